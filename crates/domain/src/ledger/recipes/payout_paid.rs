use crate::ledger::{AccountKind, JournalDraft, JournalKind};
use crate::payout::Payout;
use crate::time::Timestamp;

/// Payout paid: the amount left the operator's bank, and the fee is earned only now.
///
/// Dr payout_transit W + H / Cr bank W / Cr fee_payout H.
pub fn payout_paid(p: &Payout, at: Timestamp) -> JournalDraft {
    JournalDraft::new(p.scope, p.currency, JournalKind::PayoutPaid, p.id, at)
        .debit(AccountKind::PayoutTransit, p.total())
        .credit_bank(p.provider, p.amount)
        .credit(AccountKind::FeePayout, p.fee)
}
