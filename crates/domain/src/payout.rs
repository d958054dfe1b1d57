//! Paying a merchant's available balance out to a bank account.

use crate::Metadata;
use crate::bank::{Iban, IbanError};
use crate::card::contains_card_number;
use crate::currency::Currency;
use crate::id::{BankAccountId, ClockId, JournalId, PayoutId, ProviderId, StorefrontId};
use crate::money::MAX_AMOUNT;
use crate::outcome::PayoutOutcome;
use crate::scope::Scope;
use crate::text_enum;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

const ACCOUNT_CHARS: std::ops::RangeInclusive<usize> = 4..=34;

text_enum! {
    /// `pending` until the bank has it; then `in_transit` until it is paid or comes back.
    pub enum PayoutStatus {
        Pending = "pending",
        InTransit = "in_transit",
        Paid = "paid",
        Failed = "failed",
        Canceled = "canceled",
    }
}

impl PayoutStatus {
    /// Its money is in transit: neither the merchant's nor gone.
    pub const fn is_open(self) -> bool {
        matches!(self, PayoutStatus::Pending | PayoutStatus::InTransit)
    }
}

text_enum! {
    /// A call about the payout that the provider has not answered.
    pub enum PayoutCall { Send = "send", Cancel = "cancel" }
}

text_enum! {
    pub enum DestinationKind { BankAccount = "bank_account" }
}

/// Where a payout goes, as far as it may be shown. The whole account number is sealed beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    pub kind: DestinationKind,
    /// The merchant's own bank account, as it was then; `None` for an account that only the request named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank_account: Option<BankAccountId>,
    pub holder: String,
    pub last4: String,
    /// Two letters, if known.
    pub country: Option<String>,
    pub bank_name: Option<String>,
    pub swift: Option<String>,
}

/// One payout. Its money has left the balance from the moment it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Payout {
    pub id: PayoutId,
    pub scope: Scope,
    pub storefront: StorefrontId,
    pub provider: ProviderId,
    /// What the account gets, in minor units.
    pub amount: i64,
    /// Taken on top of the amount, in minor units; income only when the payout is paid.
    pub fee: i64,
    pub currency: Currency,
    pub status: PayoutStatus,
    /// The call under way. No other may begin meanwhile.
    pub call: Option<PayoutCall>,
    pub destination: Destination,
    pub description: Option<String>,
    pub failure_code: Option<String>,
    pub failure_message: Option<String>,
    /// The journal that took the money from the balance.
    pub journal: JournalId,
    /// The journal of its end: paid, or the money put back.
    pub closing_journal: Option<JournalId>,
    pub metadata: Metadata,
    pub clock: Option<ClockId>,
    /// When the account has the money, as far as known.
    pub arrival_date: Timestamp,
    pub created_at: Timestamp,
}

impl Payout {
    /// What it takes from the balance: amount and fee. [`begin`] has checked the sum.
    pub fn total(&self) -> i64 {
        self.amount.saturating_add(self.fee)
    }
}

/// Why an account number is refused. The message is a phrase that follows the parameter's name and never
/// repeats what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    #[error(
        "must be an IBAN or an account number: 4 to 34 letters and digits, with spaces and hyphens at most"
    )]
    Format,
    #[error("looks like a card number; payouts go to bank accounts, so pass an IBAN or an account number")]
    Card,
    #[error("{0}")]
    Iban(IbanError),
}

/// The number of the account to pay: an IBAN or a national number. `Debug` shows the last four
/// characters.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountNumber(String); // Invariant: 4 to 34 upper-case ASCII letters and digits.

impl AccountNumber {
    /// Reads an account number in any ASCII case, with or without spaces and hyphens. What begins like an
    /// IBAN must be one, so that a typing mistake does not send money to somebody else; countries without
    /// a known IBAN form are left to the provider.
    ///
    /// # Errors
    /// The first rule that is broken: characters and length, a card number, the IBAN's own rules.
    pub fn parse(input: &str) -> Result<AccountNumber, AccountError> {
        let mut text = String::with_capacity(*ACCOUNT_CHARS.end());
        for c in input.chars().filter(|c| !matches!(c, ' ' | '-')) {
            if !c.is_ascii_alphanumeric() || text.len() == *ACCOUNT_CHARS.end() {
                return Err(AccountError::Format);
            }
            text.push(c.to_ascii_uppercase());
        }
        if !ACCOUNT_CHARS.contains(&text.len()) {
            return Err(AccountError::Format);
        }
        let iban_like = matches!(text.as_bytes(), [a, b, c, d, ..] if a.is_ascii_alphabetic()
            && b.is_ascii_alphabetic() && c.is_ascii_digit() && d.is_ascii_digit());
        match Iban::parse(&text) {
            Ok(_) => {}
            Err(IbanError::Country) => {}
            Err(e) if iban_like => return Err(AccountError::Iban(e)),
            Err(_) if contains_card_number(&text) => return Err(AccountError::Card),
            Err(_) => {}
        }
        Ok(AccountNumber(text))
    }

    /// The whole number, upper case without spaces: only for sealing it and for the provider's request.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The last four characters, which may be shown.
    pub fn last4(&self) -> &str {
        self.0.get(self.0.len().saturating_sub(4)..).unwrap_or_default()
    }

    /// The country of an IBAN.
    pub fn country(&self) -> Option<&'static str> {
        Iban::parse(&self.0).ok().map(|iban| iban.country())
    }
}

impl std::fmt::Debug for AccountNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccountNumber(**** {})", self.last4())
    }
}

/// Why a payout, or its cancellation, is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayoutRefusal {
    /// Not from 1 to the largest amount.
    AmountOutOfRange { asked: i64 },
    /// The available balance is `short` less than amount and fee.
    BalanceInsufficient { short: i64 },
    /// Another call about this payout has no answer yet.
    Busy,
    /// Only a pending payout can be canceled.
    NotPending { status: PayoutStatus },
}

/// Checks an amount before its fee is computed.
pub fn check_amount(amount: i64) -> Result<(), PayoutRefusal> {
    if (1..=MAX_AMOUNT).contains(&amount) {
        Ok(())
    } else {
        Err(PayoutRefusal::AmountOutOfRange { asked: amount })
    }
}

/// Decides on a payout of `amount` with `fee` on top from `available`, which is read under its guard.
/// The total to take. Guards in order: amount, balance. A payout never takes the balance below zero.
pub fn begin(amount: i64, fee: i64, available: i64) -> Result<i64, PayoutRefusal> {
    check_amount(amount)?;
    let total = amount.checked_add(fee).ok_or(PayoutRefusal::AmountOutOfRange { asked: amount })?;
    if total > available {
        return Err(PayoutRefusal::BalanceInsufficient { short: total.saturating_sub(available) });
    }
    Ok(total)
}

/// Marks a payout whose row is locked as being canceled at the provider. Guards in order: pending, no
/// call under way: what was sent and not answered may be paid already.
pub fn begin_cancel(p: &mut Payout) -> Result<(), PayoutRefusal> {
    if p.status != PayoutStatus::Pending {
        return Err(PayoutRefusal::NotPending { status: p.status });
    }
    if p.call.is_some() {
        return Err(PayoutRefusal::Busy);
    }
    p.call = Some(PayoutCall::Cancel);
    Ok(())
}

/// What a provider's answer changes about a payout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayoutChange {
    /// Nothing to tell or post.
    None,
    /// The bank has it; nothing to post.
    Sent,
    Paid,
    Failed,
    Canceled,
}

/// Applies an answer that came at `at`. A payout that ended is left alone and one on its way does not go
/// back to pending: answers may come twice, and late. `NotFound` and `Unknown` say nothing for certain.
pub fn apply(p: &mut Payout, outcome: &PayoutOutcome, at: Timestamp) -> PayoutChange {
    if !p.status.is_open() {
        return PayoutChange::None;
    }
    let change = match outcome {
        PayoutOutcome::Unknown | PayoutOutcome::NotFound => return PayoutChange::None,
        PayoutOutcome::Accepted { check_at } => {
            if p.status == PayoutStatus::Pending {
                p.arrival_date = *check_at;
            }
            PayoutChange::None
        }
        PayoutOutcome::InTransit { check_at } => {
            p.arrival_date = *check_at;
            let news = p.status == PayoutStatus::Pending;
            p.status = PayoutStatus::InTransit;
            if news { PayoutChange::Sent } else { PayoutChange::None }
        }
        PayoutOutcome::Paid => {
            p.status = PayoutStatus::Paid;
            p.arrival_date = at;
            PayoutChange::Paid
        }
        PayoutOutcome::Failed { code, message } => {
            p.status = PayoutStatus::Failed;
            p.failure_code = Some(code.clone());
            p.failure_message = Some(message.clone());
            PayoutChange::Failed
        }
        PayoutOutcome::Canceled => {
            p.status = PayoutStatus::Canceled;
            PayoutChange::Canceled
        }
    };
    p.call = None;
    change
}

/// Whether an answer tells of another end than the one that is in the books: money then moved behind
/// them, and a person has to look.
pub fn contradicts(p: &Payout, outcome: &PayoutOutcome) -> bool {
    match p.status {
        PayoutStatus::Pending | PayoutStatus::InTransit => false,
        PayoutStatus::Paid => matches!(outcome, PayoutOutcome::Failed { .. } | PayoutOutcome::Canceled),
        PayoutStatus::Failed | PayoutStatus::Canceled => matches!(outcome, PayoutOutcome::Paid),
    }
}

#[cfg(test)]
mod tests;
