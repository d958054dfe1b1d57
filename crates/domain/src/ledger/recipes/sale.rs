use crate::id::ProviderId;
use crate::ledger::{AccountKind, JournalDraft, JournalKind};
use crate::payment::Payment;
use crate::time::Timestamp;

/// Automatic capture: authorised and taken in one step, so no hold is ever open.
///
/// Dr acquirer_receivable C / Cr merchant_pending C - F / Cr fee_processing F. With `at_once` the
/// merchant's part goes to merchant_available instead. `0 <= fee <= captured`.
pub fn sale(
    p: &Payment,
    provider: ProviderId,
    captured: i64,
    fee: i64,
    at_once: bool,
    at: Timestamp,
) -> JournalDraft {
    let merchant = if at_once { AccountKind::MerchantAvailable } else { AccountKind::MerchantPending };
    JournalDraft::new(p.scope, p.currency, JournalKind::Sale, p.id, at)
        .debit_provider(provider, captured)
        .credit(merchant, captured - fee)
        .credit(AccountKind::FeeProcessing, fee)
}
