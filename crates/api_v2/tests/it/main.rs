//! The API as a client sees it, on both engines.

mod confirm;
mod idempotency;
mod lifecycle;
mod races;
mod refunds;
