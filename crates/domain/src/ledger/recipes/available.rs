use crate::ledger::{AccountKind, JournalDraft, JournalKind};
use crate::payment::Payment;
use crate::time::Timestamp;

/// Settlement: what of this payment is still pending becomes available. Once per payment.
///
/// Dr merchant_pending P / Cr merchant_available P.
pub fn available(p: &Payment, amount: i64, at: Timestamp) -> JournalDraft {
    JournalDraft::new(p.scope, p.currency, JournalKind::Available, p.id, at)
        .debit(AccountKind::MerchantPending, amount)
        .credit(AccountKind::MerchantAvailable, amount)
}
