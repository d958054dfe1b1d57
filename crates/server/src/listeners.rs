//! Sockets: accepting, bounding and ending connections.

use crate::connection_io::{BoundedStream, Exchange};
use anyhow::Context;
use axum::Router;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tower::ServiceExt;

/// Bounds on connections, of all listeners together.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connections: u32,
    /// Bytes of a request's head; more is answered 431.
    pub head_bytes: usize,
    /// From the first byte of a head to its last.
    pub head_time: Duration,
    /// How long a connection may wait for its first or next request. Longer than the 60 seconds for
    /// which common proxies keep theirs, so that it is the proxy that closes.
    pub idle_time: Duration,
    /// How long a client may take nothing of its answer.
    pub write_time: Duration,
    /// How long requests in flight are waited for at a stop.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 4_096,
            head_bytes: 32 * 1024,
            head_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(75),
            write_time: Duration::from_secs(30),
            drain_time: Duration::from_secs(25),
        }
    }
}

/// Pause after an `accept` that failed for want of file handles or memory: trying at once again would
/// only burn a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    /// No new connections or requests; those under way end by themselves.
    Draining,
    /// Connections are cut.
    Ending,
}

/// Opens a socket. `setting` is named in the error.
pub(crate) async fn bind(setting: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let flag = setting.replace('_', "-");
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "{setting}: cannot listen on {address}; is another program using it? Choose another with --{flag}"
        )
    })
}

/// Listeners that serve. Dropping the value cuts everything.
pub(crate) struct Listeners {
    phase: watch::Sender<Phase>,
    slots: Arc<Semaphore>,
    acceptors: Vec<JoinHandle<()>>,
    limits: Limits,
}

impl Listeners {
    /// Starts to accept on every socket.
    pub fn start(sockets: Vec<(TcpListener, Router)>, limits: Limits) -> Listeners {
        let (phase, watching) = watch::channel(Phase::Serving);
        let slots = Arc::new(Semaphore::new(limits.connections as usize));
        let acceptors = sockets
            .into_iter()
            .map(|(socket, router)| {
                let shared = Shared { router, limits, phase: watching.clone() };
                tokio::spawn(accept(socket, shared, slots.clone()))
            })
            .collect();
        Listeners { phase, slots, acceptors, limits }
    }

    /// Stops accepting, lets requests in flight end within [`Limits::drain_time`], and cuts the rest.
    pub async fn stop(self) {
        self.phase.send_replace(Phase::Draining);
        for acceptor in self.acceptors {
            let _ = acceptor.await;
        }
        // Every connection holds a slot, so having all of them is having no connection.
        let all = self.limits.connections;
        if tokio::time::timeout(self.limits.drain_time, self.slots.acquire_many(all)).await.is_ok() {
            return;
        }
        let left = all as usize - self.slots.available_permits();
        tracing::warn!(connections = left, "requests did not end in time and are cut off");
        self.phase.send_replace(Phase::Ending);
        let _ = tokio::time::timeout(Duration::from_secs(1), self.slots.acquire_many(all)).await;
    }
}

#[derive(Clone)]
struct Shared {
    router: Router,
    limits: Limits,
    phase: watch::Receiver<Phase>,
}

/// Returns once the phase is at least `wanted`, or the [`Listeners`] are gone.
async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    let _ = phase.wait_for(|phase| *phase >= wanted).await;
}

async fn accept(socket: TcpListener, mut shared: Shared, slots: Arc<Semaphore>) {
    loop {
        // A slot first: clients beyond the limit wait in the system's queue and cost nothing here.
        let slot = tokio::select! {
            slot = slots.clone().acquire_owned() => slot,
            () = reached(&mut shared.phase, Phase::Draining) => return,
        };
        let Ok(slot) = slot else { return };
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = reached(&mut shared.phase, Phase::Draining) => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(stream, peer, shared.clone(), slot));
            }
            Err(e) if is_of_one_connection(&e) => {}
            Err(e) => {
                tracing::warn!(error = %e, "connections cannot be accepted at the moment");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether the client is to blame, rather than this process.
fn is_of_one_connection(e: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(e.kind(), K::ConnectionAborted | K::ConnectionReset | K::ConnectionRefused | K::Interrupted)
}

async fn serve(stream: TcpStream, peer: SocketAddr, mut shared: Shared, _slot: OwnedSemaphorePermit) {
    let limits = shared.limits;
    let exchange = Arc::new(Exchange::default());
    let stream = BoundedStream::new(stream, exchange.clone(), limits.head_time, limits.write_time);
    let router = shared.router;
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let answering = exchange.begin();
        request.extensions_mut().insert(web::Peer(peer));
        let answer = router.clone().oneshot(request);
        async move {
            let answer = answer.await;
            drop(answering);
            Ok::<_, Infallible>(answer.unwrap_or_else(|never| match never {}))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle_time)
        .max_header_size(limits.head_bytes)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = reached(&mut shared.phase, Phase::Draining) => connection.as_mut().graceful_shutdown(),
    }
    // Errors of a connection are the client's: it went away, or sent what is not HTTP.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = reached(&mut shared.phase, Phase::Ending) => {}
    }
}

#[cfg(test)]
#[path = "listeners_tests.rs"]
mod tests;
