//! Benchmarks of the release binary over real sockets.

pub(crate) mod client;
pub(crate) mod figures;
pub(crate) mod gateway;
pub(crate) mod goals;
pub(crate) mod load;
mod pattern;
mod payments;

pub use payments::{PaymentsOptions, run as payments};
