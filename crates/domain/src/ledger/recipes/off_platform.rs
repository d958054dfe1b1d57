use crate::ledger::{AccountKind, JournalDraft, JournalKind};
use crate::payment::Payment;
use crate::refund::Refund;
use crate::time::Timestamp;

/// The merchant took `amount` without us. Memo accounts only: we owe nobody anything for it, and charge no fee.
///
/// Dr memo_off_platform / Cr memo_off_platform_contra.
pub fn off_platform_received(p: &Payment, amount: i64, at: Timestamp) -> JournalDraft {
    JournalDraft::new(p.scope, p.currency, JournalKind::OffPlatformReceived, p.id, at)
        .debit(AccountKind::OffPlatform, amount)
        .credit(AccountKind::OffPlatformContra, amount)
}

/// The merchant gave back a part of what it took without us.
///
/// Dr memo_off_platform_contra R / Cr memo_off_platform R.
pub fn off_platform_returned(r: &Refund, at: Timestamp) -> JournalDraft {
    JournalDraft::new(r.scope, r.currency, JournalKind::OffPlatformReturned, r.id, at)
        .debit(AccountKind::OffPlatformContra, r.amount)
        .credit(AccountKind::OffPlatform, r.amount)
}
