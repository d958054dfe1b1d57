//! Benchmarks of the release binary over real sockets; see `docs/benchmarks.md` for how to read them.

mod client;
mod figures;
mod gateway;
mod goals;
mod load;
mod pattern;
mod payments;

pub use payments::{PaymentsOptions, run as payments};
