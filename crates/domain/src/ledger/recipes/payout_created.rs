use crate::ledger::{AccountKind, JournalDraft, JournalKind};
use crate::payout::Payout;
use crate::time::Timestamp;

/// Payout created: amount and fee leave the merchant's balance before the provider is asked, so that they
/// cannot be spent twice. The guard of available was taken: a payout never overdraws it.
///
/// Dr merchant_available W + H / Cr payout_transit W + H.
pub fn payout_created(p: &Payout, at: Timestamp) -> JournalDraft {
    JournalDraft::new(p.scope, p.currency, JournalKind::PayoutCreated, p.id, at)
        .debit(AccountKind::MerchantAvailable, p.total())
        .credit(AccountKind::PayoutTransit, p.total())
}
