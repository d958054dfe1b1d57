//! The Admin API (`/api/v1` of the admin listener), for merchants' servers and operators, and the Main Backend
//! (`/api/v1` of the public listener), for payers' browsers.

mod callers;
mod cookies;
mod dispatch;
mod error;
mod handlers;
mod input;
mod notices;
pub mod openapi;
mod panel;
mod public;
mod render;
mod reply;
mod request;
mod routes;

pub use callers::Access;
pub use dispatch::{admin_router, public_router};
pub use error::apology;
pub use notices::notice_body;
pub use reply::reply_renderer;
pub use routes::{ADMIN_ROUTES, Endpoint, PUBLIC_ROUTES};

/// The name under which this surface renders replies.
pub const SURFACE: &str = "admin";
