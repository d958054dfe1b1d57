//! Gate as a shop sees it, on both engines.

mod callbacks;
mod documented;
mod payouts;
mod purchases;
mod recurring;
mod refunds;
mod replays;
mod rest_v2;
mod signing;
mod support;
mod tenancy;
mod transport;
