use crate::ledger::{AccountKind, JournalDraft, JournalKind};
use crate::payout::Payout;
use crate::time::Timestamp;

/// Payout failed before it was paid: amount and fee go back to the merchant.
///
/// Dr payout_transit W + H / Cr merchant_available W + H.
pub fn payout_failed(p: &Payout, at: Timestamp) -> JournalDraft {
    put_back(p, JournalKind::PayoutFailed, at)
}

/// Payout canceled while it was pending: the same lines.
///
/// Dr payout_transit W + H / Cr merchant_available W + H.
pub fn payout_canceled(p: &Payout, at: Timestamp) -> JournalDraft {
    put_back(p, JournalKind::PayoutCanceled, at)
}

fn put_back(p: &Payout, kind: JournalKind, at: Timestamp) -> JournalDraft {
    JournalDraft::new(p.scope, p.currency, kind, p.id, at)
        .debit(AccountKind::PayoutTransit, p.total())
        .credit(AccountKind::MerchantAvailable, p.total())
}
