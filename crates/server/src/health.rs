//! Whether this process can serve, for load balancers and for its operator.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Store, StoreError};
use tokio::sync::Mutex;

/// How long an answer stands: `/health` needs no credentials and must not be a way to load the database.
const FRESH: Duration = Duration::from_secs(1);
/// The same for what has to count rows.
const COUNTS_FRESH: Duration = Duration::from_secs(5);
/// A database that answers later than this counts as gone.
const PATIENCE: Duration = Duration::from_secs(3);

/// What waits to be done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backlog {
    pub jobs: i64,
    pub deliveries: i64,
    /// Those of the deliveries that are due.
    pub overdue: i64,
}

type Remembered<T> = Arc<Mutex<Option<(Instant, T)>>>;

/// Looks at the database at most once a second, whoever asks.
#[derive(Clone)]
pub(crate) struct Health {
    pub store: Store,
    pub started: Instant,
    alive: Remembered<bool>,
    backlog: Remembered<Option<Backlog>>,
}

/// The remembered value, or a new one if it is older than `fresh`. Who asks meanwhile waits for the one
/// look that is under way.
async fn remember<T: Clone>(memory: &Remembered<T>, fresh: Duration, look: impl Future<Output = T>) -> T {
    let mut memory = memory.lock().await;
    match &*memory {
        Some((at, value)) if at.elapsed() < fresh => value.clone(),
        _ => {
            let value = look.await;
            *memory = Some((Instant::now(), value.clone()));
            value
        }
    }
}

impl Health {
    pub fn new(store: Store, started: Instant) -> Health {
        Health { store, started, alive: Arc::default(), backlog: Arc::default() }
    }

    /// Whether the database answers a read.
    pub async fn alive(&self) -> bool {
        let look = async {
            let read =
                self.store.read(|tx| store::fees::group_by_name(tx, engine::merchants::STANDARD_GROUP));
            matches!(tokio::time::timeout(PATIENCE, read).await, Ok(Ok(_)))
        };
        remember(&self.alive, FRESH, look).await
    }

    /// What waits to be done, at most five seconds old; `None` when the database does not answer.
    pub async fn backlog(&self) -> Option<Backlog> {
        let look = async {
            let read = self.store.read(|tx| {
                let (deliveries, overdue) = store::webhooks::backlog(tx, engine::wall_clock())?;
                Ok::<_, StoreError>(Backlog { jobs: store::jobs::count(tx)?, deliveries, overdue })
            });
            tokio::time::timeout(PATIENCE, read).await.ok().and_then(Result::ok)
        };
        remember(&self.backlog, COUNTS_FRESH, look).await
    }

    fn database_kind(&self) -> &'static str {
        if self.store.is_embedded() { "sqlite" } else { "postgres" }
    }
}

/// Whether a request was made on this machine. A proxy here connects from loopback too, so a request
/// that says it was forwarded does not count.
pub(crate) fn is_local(request: &Request) -> bool {
    let forwarded = |headers: &HeaderMap| {
        headers.contains_key(header::FORWARDED)
            || headers.contains_key(header::VIA)
            || ["x-forwarded-for", "x-forwarded-host", "x-real-ip"]
                .iter()
                .any(|name| headers.contains_key(*name))
    };
    let peer = request.extensions().get::<web::Peer>();
    peer.is_some_and(|peer| peer.0.ip().to_canonical().is_loopback()) && !forwarded(request.headers())
}

/// `/health` for anyone, `/internal/health` for this machine.
pub(crate) fn routes(health: Health) -> Router {
    Router::new().route("/health", get(liveness)).route("/internal/health", get(details)).with_state(health)
}

fn answer(ok: bool, body: &serde_json::Value, route: &'static str) -> Response {
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut response =
        (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response();
    response.extensions_mut().insert(web::RouteName(route));
    response
}

fn status(ok: bool) -> &'static str {
    if ok { "ok" } else { "unavailable" }
}

async fn liveness(State(health): State<Health>) -> Response {
    let ok = health.alive().await;
    answer(ok, &json!({ "status": status(ok) }), "/health")
}

async fn details(State(health): State<Health>, request: Request) -> Response {
    if !is_local(&request) {
        return crate::routers::not_found(&request);
    }
    let ok = health.alive().await;
    let backlog = health.backlog().await;
    let body = json!({
        "status": status(ok),
        "version": crate::VERSION,
        "uptime_seconds": health.started.elapsed().as_secs(),
        "database": { "kind": health.database_kind(), "reachable": ok },
        "jobs_waiting": backlog.map(|b| b.jobs),
        "deliveries_waiting": backlog.map(|b| b.deliveries),
        "deliveries_overdue": backlog.map(|b| b.overdue),
    });
    answer(ok, &body, "/internal/health")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn request(peer: Option<&str>, headers: &[(&'static str, &'static str)]) -> Request {
        let mut request = Request::new(Body::empty());
        if let Some(peer) = peer {
            request.extensions_mut().insert(web::Peer(peer.parse().expect("an address")));
        }
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a value"));
        }
        request
    }

    #[test]
    fn only_requests_made_here_are_local() {
        for peer in ["127.0.0.1:5000", "127.9.9.9:1", "[::1]:5000", "[::ffff:127.0.0.1]:5000"] {
            assert!(is_local(&request(Some(peer), &[])), "{peer}");
            for name in ["x-forwarded-for", "forwarded", "via", "x-real-ip"] {
                assert!(!is_local(&request(Some(peer), &[(name, "127.0.0.1")])), "{name}");
            }
        }
        for peer in ["10.0.0.1:5000", "192.168.1.1:1", "[2001:db8::1]:1", "[::ffff:10.0.0.1]:1"] {
            assert!(!is_local(&request(Some(peer), &[])), "{peer}");
        }
        assert!(!is_local(&request(None, &[])), "an unknown peer is not local");
    }

    #[tokio::test]
    async fn a_look_is_remembered_and_shared() {
        let memory: Remembered<u32> = Arc::default();
        let looks = std::sync::atomic::AtomicU32::new(0);
        let look = || async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            looks.fetch_add(1, std::sync::atomic::Ordering::SeqCst)
        };
        let fresh = Duration::from_secs(60);
        let (a, b) = tokio::join!(remember(&memory, fresh, look()), remember(&memory, fresh, look()));
        assert_eq!((a, b), (0, 0));
        assert_eq!(remember(&memory, Duration::ZERO, look()).await, 1);
    }
}
