use crate::id::ProviderId;
use crate::ledger::{AccountKind, JournalDraft, JournalKind};
use crate::payment::Payment;
use crate::time::Timestamp;

/// Capture of an authorisation, in full or in part; the capture is final, so the whole hold ends and
/// what was not taken goes back to the payer.
///
/// Dr acquirer_receivable C / Cr merchant_pending C - F / Cr fee_processing F, and the memo lines
/// Dr memo_auth_contra A / Cr memo_auth_open A. `0 <= fee <= captured <= held`.
pub fn capture(
    p: &Payment,
    provider: ProviderId,
    held: i64,
    captured: i64,
    fee: i64,
    at: Timestamp,
) -> JournalDraft {
    JournalDraft::new(p.scope, p.currency, JournalKind::Capture, p.id, at)
        .debit_provider(provider, captured)
        .credit(AccountKind::MerchantPending, captured - fee)
        .credit(AccountKind::FeeProcessing, fee)
        .debit(AccountKind::AuthContra, held)
        .credit(AccountKind::AuthOpen, held)
}
