//! Name resolution, with every answer judged before any connection.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use url::Host;

use crate::client::SendError;
use crate::destination::Destination;

const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// The system's lookup blocks a thread for as long as it likes, even after its caller has given up. The
/// cap keeps a slow name server from taking every blocking thread of the process.
const MAX_LOOKUPS: usize = 64;

/// Addresses tried per connection. All answers are judged, the first ones are dialled.
const MAX_DIALLED: usize = 8;

pub(crate) type Lookup = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Turns a host name into addresses. Nothing it answers is trusted.
pub(crate) trait Resolve: Send + Sync {
    fn lookup(&self, host: &str, port: u16) -> Lookup;
}

/// The operating system's resolver.
pub(crate) struct SystemResolver {
    slots: Arc<Semaphore>,
}

impl SystemResolver {
    pub(crate) fn new() -> SystemResolver {
        SystemResolver { slots: Arc::new(Semaphore::new(MAX_LOOKUPS)) }
    }
}

impl Resolve for SystemResolver {
    fn lookup(&self, host: &str, port: u16) -> Lookup {
        let (slots, host) = (Arc::clone(&self.slots), host.to_owned());
        Box::pin(async move {
            let slot = slots.acquire_owned().await.map_err(io::Error::other)?;
            // A task of its own: the slot must stay taken until the blocked thread is free again, not
            // only until the caller stops waiting.
            let task = tokio::spawn(async move {
                let addresses = tokio::net::lookup_host((host, port)).await.map(Vec::from_iter);
                drop(slot);
                addresses
            });
            task.await.map_err(io::Error::other)?
        })
    }
}

/// The addresses a connection may be made to. Refuses the destination if any single answer is not
/// allowed: dropping the bad ones would let an attacker's name server decide by retrying.
pub(crate) async fn vetted_addresses(
    resolver: &dyn Resolve,
    destination: &Destination,
) -> Result<Vec<SocketAddr>, SendError> {
    let port = destination.port;
    let mut addresses = match &destination.host {
        Host::Ipv4(ip) => vec![SocketAddr::from((*ip, port))],
        Host::Ipv6(ip) => vec![SocketAddr::from((*ip, port))],
        Host::Domain(name) => match tokio::time::timeout(LOOKUP_TIMEOUT, resolver.lookup(name, port)).await {
            Ok(Ok(addresses)) if !addresses.is_empty() => addresses,
            Ok(Ok(_)) | Err(_) => return Err(SendError::Dns),
            Ok(Err(error)) => {
                tracing::debug!(host = %name, %error, "name lookup failed");
                return Err(SendError::Dns);
            }
        },
    };
    if let Some(bad) = addresses.iter().find(|address| !destination.reach.allows(address.ip())) {
        tracing::warn!(host = %destination.host, address = %bad.ip(), "destination resolves to a forbidden address");
        return Err(SendError::BlockedAddress);
    }
    addresses.truncate(MAX_DIALLED);
    // The port is the checked one, whatever the resolver put there.
    addresses.iter_mut().for_each(|address| address.set_port(port));
    Ok(addresses)
}
