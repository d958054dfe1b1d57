//! REST v2: wire names, JSON objects and errors over the engine's commands and views.

mod dispatch;
mod docs;
mod error;
mod expand;
mod handlers;
mod render;
mod reply;
mod request;
pub mod routes;

pub use dispatch::{know_limits, root_router, router};
pub use error::apology;
pub use reply::{event_body, reply_renderer};

/// This surface's name in stored replies.
pub const SURFACE: &str = "v2";
