//! The Admin API and the Main Backend, on both engines.

mod checkouts;
mod coverage;
mod inputs;
mod keys;
mod merchants_server;
mod notices;
mod setup;
mod support;
mod transactions;
