//! The API as a client sees it, on both engines.

mod auth;
mod confirm;
mod coverage;
mod cross_origin;
mod envelope;
mod expand;
mod idempotency;
mod idempotency_abuse;
mod inputs;
mod late_answers;
mod leaks;
mod lifecycle;
mod limits;
mod lists;
mod log_lines;
mod metadata;
mod money_abuse;
mod payouts;
mod races;
mod refunds;
mod routing;
mod stripe_mount;
mod support;
mod tampering;
mod tenancy;
mod texts;
