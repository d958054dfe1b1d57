//! The merchant's side of the ledger, line by line.

use crate::currency::Currency;
use crate::id::JournalId;
use crate::scope::Scope;
use crate::text_enum;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

text_enum! {
    pub enum BalanceKind {
        Charge = "charge",
        Payment = "payment",
        Refund = "refund",
        RefundFailure = "refund_failure",
        Payout = "payout",
        /// A failed payout's money and fee, back in the balance.
        PayoutFailure = "payout_failure",
        PayoutCancel = "payout_cancel",
    }
}

/// One change of a merchant's balance. `net = amount - fee`; the sum of `net` over a merchant's rows
/// of one currency equals pending + available in the ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BalanceTransaction {
    /// The journal that moved the money; shown as `txn_…`.
    pub journal: JournalId,
    pub scope: Scope,
    pub kind: BalanceKind,
    pub currency: Currency,
    pub amount: i64,
    pub fee: i64,
    /// The object it is about, by its shown id.
    pub source: String,
    /// When the funds become available; equal to `created_at` for what is available at once.
    pub available_on: Timestamp,
    /// Set when the pending part was moved to available.
    pub available: bool,
    pub created_at: Timestamp,
}

/// What a merchant has in one currency, in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrencyBalance {
    pub currency: Currency,
    pub pending: i64,
    pub available: i64,
    /// Held for refunds that the provider has not answered yet.
    pub refund_transit: i64,
}
