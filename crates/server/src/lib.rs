//! Puts the crates together: settings, files, listeners, commands. Everything that a gateway needs is in
//! this library, so that a test can start one in its own process; the binary only calls [`cli::run`].

pub mod cli;
pub mod commands;
pub mod config;
mod config_aliases;
mod config_layers;
mod config_values;
mod connection_io;
pub mod data_dir;
pub mod demo;
mod framing;
pub mod gateway;
mod health;
pub mod listeners;
mod logging;
mod metrics;
mod passkey_site;
mod routers;
pub mod sealing_key;
mod serve;

pub use gateway::{Gateway, GatewayOptions, start};
pub use sealing_key::SealingKey;

/// The version that the binary says it is.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
