use crate::ledger::{AccountKind, JournalDraft, JournalKind};
use crate::payment::Payment;
use crate::time::Timestamp;

/// Authorise: a hold of `amount` on the payer's card. Memo accounts only: nobody owes anything yet.
///
/// Dr memo_auth_open / Cr memo_auth_contra. `n` counts the increments of one payment.
pub fn authorise(p: &Payment, amount: i64, n: i64, at: Timestamp) -> JournalDraft {
    let mut draft = JournalDraft::new(p.scope, p.currency, JournalKind::Authorise, p.id, at)
        .debit(AccountKind::AuthOpen, amount)
        .credit(AccountKind::AuthContra, amount);
    draft.n = n;
    draft
}
