//! One accounting recipe a file, so that the books can be audited by reading this folder.

mod authorise;
mod available;
mod capture;
mod off_platform;
mod payout_created;
mod payout_paid;
mod payout_reversed;
mod refund_created;
mod refund_failed;
mod refund_succeeded;
mod release;
mod sale;

pub use authorise::authorise;
pub use available::available;
pub use capture::capture;
pub use off_platform::{off_platform_received, off_platform_returned};
pub use payout_created::payout_created;
pub use payout_paid::payout_paid;
pub use payout_reversed::{payout_canceled, payout_failed};
pub use refund_created::refund_created;
pub use refund_failed::refund_failed;
pub use refund_succeeded::refund_succeeded;
pub use release::release;
pub use sale::sale;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::sample_refund;
