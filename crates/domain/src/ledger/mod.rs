//! Double entry: the chart of accounts, journals and what makes one valid.
//!
//! A line's amount is signed: positive debits the account, negative credits it. Every journal sums to
//! zero, has one currency and belongs to one merchant and mode. See `docs/ledger.md`.

pub mod recipes;

use crate::currency::Currency;
use crate::id::{Core, ProviderId, TypedId};
use crate::scope::Scope;
use crate::text_enum;
use crate::time::Timestamp;
use sha2::{Digest, Sha256};

text_enum! {
    /// The chart of accounts. One account of each kind per merchant, mode and currency; receivables
    /// and banks also per provider.
    pub enum AccountKind {
        /// Asset: what the provider owes for captured payments.
        AcquirerReceivable = "acquirer_receivable",
        /// Liability: owed to the merchant, not yet settled.
        MerchantPending = "merchant_pending",
        /// Liability: owed to the merchant, may be paid out.
        MerchantAvailable = "merchant_available",
        /// Liability: taken for refunds that the provider has not answered.
        RefundTransit = "refund_transit",
        /// Liability: taken for payouts that are not paid yet, with their fees.
        PayoutTransit = "payout_transit",
        /// Asset: the operator's money at a provider, from which payouts are paid. Either side: it is filled
        /// by settlements, which are not booked yet.
        Bank = "bank",
        /// Income: processing fees.
        FeeProcessing = "fee_processing",
        /// Income: fees on payouts that were paid.
        FeePayout = "fee_payout",
        /// Memo: open card authorisations.
        AuthOpen = "memo_auth_open",
        /// Memo: the other side of open authorisations.
        AuthContra = "memo_auth_contra",
        /// Memo: what merchants took without us, less what they gave back.
        OffPlatform = "memo_off_platform",
        /// Memo: the other side of the former.
        OffPlatformContra = "memo_off_platform_contra",
    }
}

impl AccountKind {
    /// Whether a debit makes this account's balance grow.
    pub const fn debit_normal(self) -> bool {
        matches!(
            self,
            AccountKind::AcquirerReceivable
                | AccountKind::Bank
                | AccountKind::AuthOpen
                | AccountKind::OffPlatform
        )
    }

    /// Kinds whose balance, on its normal side, may never be below zero.
    pub const fn never_negative(self) -> bool {
        matches!(
            self,
            AccountKind::MerchantPending
                | AccountKind::RefundTransit
                | AccountKind::PayoutTransit
                | AccountKind::AuthOpen
                | AccountKind::OffPlatform
        )
    }
}

/// Names one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AccountKey {
    pub scope: Scope,
    pub currency: Currency,
    pub kind: AccountKind,
    /// The provider of a receivable or a bank.
    pub owner: Option<ProviderId>,
}

impl AccountKey {
    /// The account's id: the first 63 bits of a digest of its name, so that it is known without a
    /// look-up. Two names with one id would violate the unique name in the database, not mix money.
    pub fn id(&self) -> i64 {
        let mut hash = Sha256::new();
        hash.update(self.scope.merchant.0.0);
        hash.update([u8::from(self.scope.mode.is_live())]);
        hash.update(self.currency.code().as_bytes());
        hash.update(self.kind.as_str().as_bytes());
        hash.update(self.owner.map_or(Core([0; 12]), |o| o.core()).0);
        let digest = hash.finalize();
        let mut first = [0u8; 8];
        first.copy_from_slice(&digest[..8]);
        i64::from_be_bytes(first) & i64::MAX
    }
}

text_enum! {
    pub enum JournalKind {
        Authorise = "authorise",
        Release = "release",
        Sale = "sale",
        Capture = "capture",
        Available = "available",
        RefundCreated = "refund_created",
        RefundSucceeded = "refund_succeeded",
        RefundFailed = "refund_failed",
        PayoutCreated = "payout_created",
        PayoutPaid = "payout_paid",
        PayoutFailed = "payout_failed",
        PayoutCanceled = "payout_canceled",
        OffPlatformReceived = "off_platform_received",
        OffPlatformReturned = "off_platform_returned",
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    pub account: AccountKey,
    /// Minor units; debit positive, credit negative, never zero.
    pub amount: i64,
}

/// A journal ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalDraft {
    pub scope: Scope,
    pub currency: Currency,
    pub kind: JournalKind,
    /// Shown id of the object that it is about.
    pub object: String,
    /// Distinguishes several journals of one kind about one object.
    pub n: i64,
    pub effective_at: Timestamp,
    pub lines: Vec<Line>,
}

/// A journal as it is stored, for people to read.
#[derive(Clone, Debug)]
pub struct PostedJournal {
    pub id: crate::id::JournalId,
    pub kind: JournalKind,
    pub currency: Currency,
    pub effective_at: Timestamp,
    pub entries: Vec<PostedEntry>,
}

/// One line of a stored journal.
#[derive(Clone, Copy, Debug)]
pub struct PostedEntry {
    pub account: AccountKind,
    /// Minor units; debit positive, credit negative.
    pub amount: i64,
}

/// Why a draft is not a journal. Reaching one is a defect of a recipe; the commit is abandoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unbalanced {
    #[error("the lines sum to {0}, not to zero")]
    Sum(i128),
    #[error("a line has amount zero")]
    ZeroLine,
    #[error("a line belongs to another merchant, mode or currency")]
    Foreign,
    #[error("a journal needs at least two lines")]
    TooFew,
}

impl JournalDraft {
    /// Starts a draft; add lines with [`JournalDraft::debit`] and [`JournalDraft::credit`].
    pub fn new(
        scope: Scope,
        currency: Currency,
        kind: JournalKind,
        object: impl ToString,
        effective_at: Timestamp,
    ) -> JournalDraft {
        JournalDraft {
            scope,
            currency,
            kind,
            object: object.to_string(),
            n: 0,
            effective_at,
            lines: Vec::with_capacity(4),
        }
    }

    fn line(mut self, kind: AccountKind, owner: Option<ProviderId>, amount: i64) -> Self {
        if amount != 0 {
            let account = AccountKey { scope: self.scope, currency: self.currency, kind, owner };
            self.lines.push(Line { account, amount });
        }
        self
    }

    /// Debits `amount >= 0`; a zero amount adds no line.
    pub fn debit(self, kind: AccountKind, amount: i64) -> Self {
        self.line(kind, None, amount)
    }

    /// Credits `amount >= 0`; a zero amount adds no line.
    pub fn credit(self, kind: AccountKind, amount: i64) -> Self {
        self.line(kind, None, -amount)
    }

    /// Debits the receivable of one provider.
    pub fn debit_provider(self, provider: ProviderId, amount: i64) -> Self {
        self.line(AccountKind::AcquirerReceivable, Some(provider), amount)
    }

    /// Credits the receivable of one provider.
    pub fn credit_provider(self, provider: ProviderId, amount: i64) -> Self {
        self.line(AccountKind::AcquirerReceivable, Some(provider), -amount)
    }

    /// Credits the bank of one provider.
    pub fn credit_bank(self, provider: ProviderId, amount: i64) -> Self {
        self.line(AccountKind::Bank, Some(provider), -amount)
    }

    /// Checks what every journal must be; called before each insert.
    pub fn check(&self) -> Result<(), Unbalanced> {
        if self.lines.len() < 2 {
            return Err(Unbalanced::TooFew);
        }
        let mut sum = 0i128;
        for line in &self.lines {
            if line.amount == 0 {
                return Err(Unbalanced::ZeroLine);
            }
            if line.account.scope != self.scope || line.account.currency != self.currency {
                return Err(Unbalanced::Foreign);
            }
            sum += i128::from(line.amount);
        }
        if sum == 0 { Ok(()) } else { Err(Unbalanced::Sum(sum)) }
    }
}

/// The digest that seals a journal: chains to the seal before it, so that no sealed journal can be
/// changed, removed or reordered unnoticed. Covers ids and numbers only, never personal data.
pub fn seal_digest(previous: &[u8], seq: i64, journal: &SealedJournal<'_>) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    field(previous);
    field(&seq.to_be_bytes());
    field(&journal.id.0);
    field(&journal.merchant.0);
    field(&[u8::from(journal.live)]);
    field(journal.currency.as_bytes());
    field(journal.kind.as_bytes());
    field(journal.object.as_bytes());
    field(&journal.n.to_be_bytes());
    field(&journal.effective_at.to_be_bytes());
    field(&journal.recorded_at.to_be_bytes());
    for (account, amount) in journal.entries {
        field(&account.to_be_bytes());
        field(&amount.to_be_bytes());
    }
    hash.finalize().into()
}

/// A journal as its seal sees it.
pub struct SealedJournal<'a> {
    pub id: Core,
    pub merchant: Core,
    pub live: bool,
    pub currency: &'a str,
    pub kind: &'a str,
    pub object: &'a str,
    pub n: i64,
    pub effective_at: i64,
    pub recorded_at: i64,
    /// Account and signed amount, by line number.
    pub entries: &'a [(i64, i64)],
}
