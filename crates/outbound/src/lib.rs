//! The only way this product opens a connection to a host it did not choose.
//!
//! Destinations come from merchants, so every request is treated as an attempt at server-side request
//! forgery. The rules, in the order they are applied:
//!
//! 1. [`check_url`] judges the text: scheme, user information, host form, port, length, characters.
//! 2. The name is resolved here, and the request is refused if *any* answer is not allowed
//!    ([`address_allowed`]). A mixed answer is a rebinding attempt, not a choice.
//! 3. The connection goes to the vetted addresses themselves, with the original `Host` and TLS name, so
//!    a second lookup cannot answer differently (DNS rebinding).
//! 4. Redirects, proxies from the environment, cookies, compression and HTTP upgrades do not exist here.
//! 5. Everything the other side sends is bounded in size and in time.
//!
//! Errors are coarse on purpose ([`SendError::class`]): a merchant who can read them must not be able to
//! use the product as a port scanner.

mod address;
mod answer;
mod client;
mod connect;
mod destination;
mod headers;
mod pool;
mod resolve;

pub use address::{Policy, address_allowed};
pub use answer::{Answer, MAX_BODY_EXCERPT, MAX_RETRY_AFTER};
pub use client::{Client, MAX_TIMEOUT, Request, RootsError, SendError};
pub use destination::{MAX_URL_LENGTH, UrlRefusal, check_url};
pub use headers::{HeaderRefusal, check_header};
