use crate::ledger::{AccountKind, JournalDraft, JournalKind};
use crate::payment::Payment;
use crate::time::Timestamp;

/// Void, cancel or expiry: what is left of the hold goes back.
///
/// Dr memo_auth_contra / Cr memo_auth_open.
pub fn release(p: &Payment, amount: i64, at: Timestamp) -> JournalDraft {
    JournalDraft::new(p.scope, p.currency, JournalKind::Release, p.id, at)
        .debit(AccountKind::AuthContra, amount)
        .credit(AccountKind::AuthOpen, amount)
}
