//! Benchmarks of the release binary over real sockets.

pub(crate) mod client;
mod dashboard;
mod export;
pub(crate) mod figures;
mod gate;
pub(crate) mod gateway;
pub(crate) mod goals;
pub(crate) mod load;
mod page;
mod pattern;
mod payments;

pub use dashboard::{DashboardOptions, run as dashboard};
pub use export::{ExportOptions, run as export};
pub use gate::{GateOptions, run as gate};
pub use page::{PageOptions, run as page};
pub use payments::{PaymentsOptions, run as payments};
