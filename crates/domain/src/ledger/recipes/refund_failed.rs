use crate::ledger::{AccountKind, JournalDraft, JournalKind};
use crate::refund::Refund;
use crate::time::Timestamp;

/// Refund failed or canceled: the money goes back to the merchant, to available.
///
/// Dr refund_transit R / Cr merchant_available R.
pub fn refund_failed(r: &Refund, at: Timestamp) -> JournalDraft {
    JournalDraft::new(r.scope, r.currency, JournalKind::RefundFailed, r.id, at)
        .debit(AccountKind::RefundTransit, r.amount)
        .credit(AccountKind::MerchantAvailable, r.amount)
}
