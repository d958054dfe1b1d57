//! The Gate surface's side of the engine: services and their tokens, transactions and operations as views of
//! payments, refunds and payouts, and the callbacks that tell of them.
//!
//! Nothing here moves money by itself: a purchase is a payment, a refund a refund, a payout a payout, and
//! each goes through the same commands as on every other surface.

mod follow;
mod payout;
mod purchase;
mod recurring;
mod refund;
mod service;
mod show;

pub(crate) use follow::{Callbacks, Target, Telling};
pub use payout::PayoutAccount;
pub use purchase::{NewTransaction, Payer};
pub use refund::GateRefund;
pub(crate) use service::ServiceCache;
pub use service::{GateService, ServiceToken};
pub(crate) use show::TransactionCounts;

/// Transactions of a service are counted up to here, to keep the figure cheap.
pub const TRANSACTIONS_COUNTED: i64 = 100_000;
