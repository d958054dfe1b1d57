//! What all surfaces share: reading requests, knowing who asks, limits, and the layer around it all.
//! Nothing here knows a wire format's names.

pub mod app;
pub mod body;
pub mod card_testing;
pub mod client;
pub mod credentials;
pub mod csv;
pub mod middleware;
pub mod params;
pub mod path;
pub mod rate_limit;
pub mod stream;
pub mod url;

pub use app::{App, Urls};
pub use client::Proxies;
pub use middleware::{KnownLimits, Peer, RequestId, RouteName, ShownId};
