use crate::ledger::{AccountKind, JournalDraft, JournalKind};
use crate::refund::Refund;
use crate::time::Timestamp;

/// Refund created: its money leaves the merchant's balance before the provider is asked, so that it
/// cannot be spent twice. The payment's own pending part goes first, then available.
///
/// Dr merchant_pending P / Dr merchant_available R - P / Cr refund_transit R.
pub fn refund_created(r: &Refund, at: Timestamp) -> JournalDraft {
    JournalDraft::new(r.scope, r.currency, JournalKind::RefundCreated, r.id, at)
        .debit(AccountKind::MerchantPending, r.from_pending)
        .debit(AccountKind::MerchantAvailable, r.amount - r.from_pending)
        .credit(AccountKind::RefundTransit, r.amount)
}
