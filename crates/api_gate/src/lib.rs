//! The Gate surface: JSON bodies that carry their own signature.
//!
//! A request is read ([`signature::SignedBody::read`]), its service is found by what it claims
//! ([`requests::service_id`], [`requests::transaction_uuid`]), the signature is checked against that
//! service's tokens ([`signature::SignedBody::verify`]), and only then is it taken for what it says
//! ([`requests`]).

mod callbacks;
mod calls;
mod dispatch;
pub mod envelope;
mod error;
mod render;
pub mod requests;
pub mod signature;

pub use callbacks::{Signing, callback_body};
pub use dispatch::{ROUTES, apology, router};
