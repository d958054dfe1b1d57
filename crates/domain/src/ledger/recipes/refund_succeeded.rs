use crate::id::ProviderId;
use crate::ledger::{AccountKind, JournalDraft, JournalKind};
use crate::refund::Refund;
use crate::time::Timestamp;

/// Refund succeeded: the provider paid the payer and owes that much less. The fee is kept.
///
/// Dr refund_transit R / Cr acquirer_receivable R.
pub fn refund_succeeded(r: &Refund, provider: ProviderId, at: Timestamp) -> JournalDraft {
    JournalDraft::new(r.scope, r.currency, JournalKind::RefundSucceeded, r.id, at)
        .debit(AccountKind::RefundTransit, r.amount)
        .credit_provider(provider, r.amount)
}
