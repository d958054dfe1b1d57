//! Connections kept open between requests.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use tokio::task::AbortHandle;
use url::Host;

use crate::destination::{Destination, Reach};

/// Shorter than the 5 s after which common servers close an idle connection, so that a request is seldom
/// written to a connection that is being closed.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// Bounds how long a change of DNS goes unnoticed on a busy destination.
const MAX_AGE: Duration = Duration::from_secs(60);

const MAX_IDLE_PER_HOST: usize = 32;
const MAX_IDLE: usize = 256;

/// One HTTP/1.1 connection. Dropping it closes the socket at once, whatever is still unread.
pub(crate) struct Connection {
    pub(crate) sender: SendRequest<Full<Bytes>>,
    /// The vetted address this connection was made to.
    pub(crate) peer: IpAddr,
    opened: Instant,
    /// Bytes the other side may still send; set anew before each request.
    read_allowance: Arc<AtomicUsize>,
    driver: AbortHandle,
}

impl Connection {
    pub(crate) fn new(
        sender: SendRequest<Full<Bytes>>,
        peer: IpAddr,
        read_allowance: Arc<AtomicUsize>,
        driver: AbortHandle,
    ) -> Connection {
        Connection { sender, peer, opened: Instant::now(), read_allowance, driver }
    }

    pub(crate) fn allow_reading(&self, bytes: usize) {
        self.read_allowance.store(bytes, Ordering::Relaxed);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Connections are shared only between requests to the same scheme, host name and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    tls: bool,
    host: Host<String>,
    port: u16,
    reach: Reach,
}

impl Key {
    pub(crate) fn of(destination: &Destination) -> Key {
        let Destination { tls, host, port, reach, .. } = destination;
        Key { tls: *tls, host: host.clone(), port: *port, reach: *reach }
    }
}

struct Idle {
    connection: Connection,
    since: Instant,
}

impl Idle {
    fn usable(&self) -> bool {
        self.connection.sender.is_ready()
            && self.since.elapsed() < IDLE_TIMEOUT
            && self.connection.opened.elapsed() < MAX_AGE
    }
}

#[derive(Default)]
pub(crate) struct Pool {
    idle: Mutex<HashMap<Key, Vec<Idle>>>,
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Vec<Idle>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most recently used live connection, if its address is still allowed.
    pub(crate) fn take(&self, key: &Key) -> Option<Connection> {
        let mut idle = self.lock();
        let list = idle.get_mut(key)?;
        let found = std::iter::from_fn(|| list.pop())
            .find(|entry| entry.usable() && key.reach.allows(entry.connection.peer));
        if list.is_empty() {
            idle.remove(key);
        }
        found.map(|entry| entry.connection)
    }

    /// Keeps a connection whose last response was read to its end. Closes it if there are enough already.
    pub(crate) fn put(&self, key: Key, connection: Connection) {
        let mut idle = self.lock();
        let total: usize = idle.values().map(Vec::len).sum();
        let list = idle.entry(key).or_default();
        if total < MAX_IDLE && list.len() < MAX_IDLE_PER_HOST {
            list.push(Idle { connection, since: Instant::now() });
        }
    }

    /// Closes what is no longer usable.
    pub(crate) fn sweep(&self) {
        self.lock().retain(|_, list| {
            list.retain(Idle::usable);
            !list.is_empty()
        });
    }
}
