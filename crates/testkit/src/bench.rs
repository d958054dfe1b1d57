//! Benchmarks of the release binary over real sockets.

mod client;
mod figures;
mod gateway;
mod goals;
mod load;
mod pattern;
mod payments;

pub use payments::{PaymentsOptions, run as payments};
