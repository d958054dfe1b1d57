//! For the benchmarks alone, behind the feature `bench`: what one payment writes, written without the
//! gateway around it.
//!
//! The statements are not a second copy of the product's. [`Recording`] takes them down while the
//! gateway itself makes one payment, [`Script`] turns them into a pattern that can be filled with
//! fresh ids, [`preload()`] fills a database with such payments, and [`bare_loop`] is the measure that
//! the gateway's own rate is held against. So neither can drift away from what a payment really writes.

mod bare;
mod preload;
mod recording;
mod script;

pub use bare::{BareLoop, BareRun, bare_loop, wal_syncs};
pub use preload::{PRELOAD_BATCH, preload, settle_books, spread_over_days};
pub use recording::Recording;
pub(crate) use recording::{closure_begins, note};
pub use script::{Place, Script};
