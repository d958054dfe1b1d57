//! Whether this process can serve, for load balancers and for its operator.

use crate::config_values::Secret;
use crate::data_dir::free_bytes;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Store, StoreError};
use tokio::sync::Mutex;
use web::client;

/// How long an answer stands: `/health` needs no credentials and must not be a way to load the database.
const FRESH: Duration = Duration::from_secs(1);
/// The same for what has to count rows.
const COUNTS_FRESH: Duration = Duration::from_secs(5);
/// A database that answers later than this counts as gone.
const PATIENCE: Duration = Duration::from_secs(3);
/// A delivery that is due this long, in seconds, says that sending does not keep up.
const LATE_S: i64 = 300;
const MIB: u64 = 1 << 20;
/// Less free space than this fails, less than the second is worth a warning.
pub(crate) const SPACE_FAIL: u64 = 100 * MIB;
pub(crate) const SPACE_WARN: u64 = 1_024 * MIB;

/// What waits to be done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backlog {
    pub jobs: i64,
    pub deliveries: i64,
    /// Those of the deliveries that are due.
    pub overdue: i64,
    /// For how long the first of those is due, in seconds.
    pub oldest_s: i64,
}

/// What became of one check, and of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Ok,
    Degraded,
    Fail,
}

impl Condition {
    const fn as_str(self) -> &'static str {
        match self {
            Condition::Ok => "ok",
            Condition::Degraded => "degraded",
            Condition::Fail => "fail",
        }
    }
}

type Remembered<T> = Arc<Mutex<Option<(Instant, T)>>>;

/// Looks at the database at most once a second, whoever asks.
#[derive(Clone)]
pub(crate) struct Health {
    pub store: Store,
    pub started: Instant,
    /// A folder of the file system whose space is watched.
    folder: Option<PathBuf>,
    token: Option<Secret>,
    /// How long the database took to answer; `None`: it did not.
    latency: Remembered<Option<Duration>>,
    backlog: Remembered<Option<Backlog>>,
    space: Remembered<Option<u64>>,
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
    /// `folder` is where what grows is kept; `None`: not on this machine.
    pub fn new(store: Store, started: Instant, folder: Option<PathBuf>, token: Option<Secret>) -> Health {
        let (latency, backlog, space) = (Arc::default(), Arc::default(), Arc::default());
        Health { store, started, folder, token, latency, backlog, space }
    }

    /// How long the database takes to answer a read; `None`: it does not answer.
    async fn latency(&self) -> Option<Duration> {
        let look = async {
            let asked = Instant::now();
            let read =
                self.store.read(|tx| store::fees::group_by_name(tx, engine::merchants::STANDARD_GROUP));
            let answer = tokio::time::timeout(PATIENCE, read).await;
            matches!(answer, Ok(Ok(_))).then(|| asked.elapsed())
        };
        remember(&self.latency, FRESH, look).await
    }

    /// What waits to be done, at most five seconds old; `None` when the database does not answer.
    pub async fn backlog(&self) -> Option<Backlog> {
        let look = async {
            let read = self.store.read(|tx| {
                let now = engine::wall_clock();
                let (deliveries, overdue, first) = store::webhooks::backlog(tx, now)?;
                let oldest_s = first.map_or(0, |first| now.secs().saturating_sub(first.secs()).max(0));
                Ok::<_, StoreError>(Backlog { jobs: store::jobs::count(tx)?, deliveries, overdue, oldest_s })
            });
            tokio::time::timeout(PATIENCE, read).await.ok().and_then(Result::ok)
        };
        remember(&self.backlog, COUNTS_FRESH, look).await
    }

    /// Free bytes where the database or the data folder is; `None` when that cannot be told.
    async fn space(&self) -> Option<u64> {
        let folder = self.folder.clone()?;
        let look = async {
            // A file system of another machine may hang.
            let look = tokio::task::spawn_blocking(move || free_bytes(&folder));
            tokio::time::timeout(PATIENCE, look).await.ok()?.ok()?
        };
        remember(&self.space, COUNTS_FRESH, look).await
    }

    fn database_kind(&self) -> &'static str {
        if self.store.is_embedded() { "sqlite" } else { "postgres" }
    }
}

/// Whether a request was made on this machine. A proxy here connects from loopback too, so a request
/// that says it was forwarded does not count.
pub(crate) fn is_local(request: &Request) -> bool {
    let from = client::known_ip(request.extensions());
    from.is_some_and(|ip| ip.is_loopback()) && !client::is_forwarded(request.headers())
}

/// Whether a request comes from this machine or a private network: itself, or by the word of a proxy that
/// is believed.
fn is_near(request: &Request) -> bool {
    let from = client::known_ip(request.extensions());
    from.is_some_and(|ip| ip.is_loopback() || client::is_private(ip))
}

/// `/health` for anyone, `/internal/health` for this machine and private networks.
pub(crate) fn routes(health: Health) -> Router {
    Router::new().route("/health", get(liveness)).route("/internal/health", get(details)).with_state(health)
}

fn answer(status: StatusCode, body: &Value, route: &'static str) -> Response {
    let mut response =
        (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response();
    response.extensions_mut().insert(web::RouteName(route));
    response
}

const fn status_of(ok: bool) -> StatusCode {
    if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn liveness(State(health): State<Health>) -> Response {
    let ok = health.latency().await.is_some();
    answer(status_of(ok), &json!({ "status": if ok { "ok" } else { "unavailable" } }), "/health")
}

/// Whether the request brings the token, where there is one.
fn has_token(token: Option<&Secret>, request: &Request) -> bool {
    let Some(token) = token else { return true };
    let mut given = request.headers().get_all(header::AUTHORIZATION).iter();
    let only = given.next().filter(|_| given.next().is_none()).and_then(|value| value.to_str().ok());
    let bearer =
        only.and_then(|text| text.split_once(' ')).filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
    bearer.is_some_and(|(_, text)| token.is(text))
}

async fn details(State(health): State<Health>, request: Request) -> Response {
    const ROUTE: &str = "/internal/health";
    if !is_near(&request) {
        return crate::routers::not_found(&request);
    }
    if !has_token(health.token.as_ref(), &request) {
        let mut refused = answer(StatusCode::UNAUTHORIZED, &json!({ "status": "unauthorized" }), ROUTE);
        refused.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        return refused;
    }
    let latency = health.latency().await;
    let backlog = health.backlog().await;
    let (overall, checks) = weigh(latency, backlog, health.space().await);
    let mut body = json!({ "status": overall.as_str(), "checks": checks });
    // What this machine's operator may see besides is no business of the network's.
    if is_local(&request)
        && let Some(body) = body.as_object_mut()
    {
        body.insert("version".to_owned(), json!(crate::VERSION));
        body.insert("uptime_seconds".to_owned(), json!(health.started.elapsed().as_secs()));
        let database = json!({ "kind": health.database_kind(), "reachable": latency.is_some() });
        body.insert("database".to_owned(), database);
        body.insert("jobs_waiting".to_owned(), json!(backlog.map(|b| b.jobs)));
        body.insert("deliveries_waiting".to_owned(), json!(backlog.map(|b| b.deliveries)));
        body.insert("deliveries_overdue".to_owned(), json!(backlog.map(|b| b.overdue)));
    }
    answer(status_of(overall != Condition::Fail), &body, ROUTE)
}

/// The whole and its parts: without the database nothing works; the rest is worth a look.
fn weigh(latency: Option<Duration>, backlog: Option<Backlog>, space: Option<u64>) -> (Condition, Value) {
    let database = if latency.is_some() { Condition::Ok } else { Condition::Fail };
    let outbox = match backlog {
        Some(backlog) if backlog.oldest_s <= LATE_S => Condition::Ok,
        Some(_) => Condition::Degraded,
        None => Condition::Fail,
    };
    let disk = space.map(|free| match free {
        free if free < SPACE_FAIL => Condition::Fail,
        free if free < SPACE_WARN => Condition::Degraded,
        _ => Condition::Ok,
    });
    let overall = match (database, outbox, disk.unwrap_or(Condition::Ok)) {
        (Condition::Ok, Condition::Ok, Condition::Ok) => Condition::Ok,
        (Condition::Ok, ..) => Condition::Degraded,
        _ => Condition::Fail,
    };
    let millis = latency.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    let mut checks = json!({
        "database": { "status": database.as_str(), "latencyMs": millis, "critical": true },
        "outbox": {
            "status": outbox.as_str(),
            "waiting": backlog.map(|b| b.deliveries),
            "overdue": backlog.map(|b| b.overdue),
            "oldestOverdueSeconds": backlog.map(|b| b.oldest_s),
            "critical": false,
        },
    });
    if let (Some(disk), Some(checks)) = (disk, checks.as_object_mut()) {
        let free_mib = space.map(|free| free / MIB);
        let disk = json!({ "status": disk.as_str(), "freeMiB": free_mib, "critical": false });
        checks.insert("disk".to_owned(), disk);
    }
    (overall, checks)
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

    #[test]
    fn private_networks_are_near() {
        for peer in [
            "127.0.0.1:1",
            "10.0.0.1:1",
            "192.168.1.1:1",
            "172.16.0.1:1",
            "[fd00::1]:1",
            "[::ffff:10.0.0.1]:1",
        ] {
            assert!(is_near(&request(Some(peer), &[])), "{peer}");
        }
        for peer in ["192.0.2.1:1", "172.32.0.1:1", "[2001:db8::1]:1", "0.0.0.0:1"] {
            assert!(!is_near(&request(Some(peer), &[])), "{peer}");
        }
        assert!(!is_near(&request(None, &[])));
    }

    #[test]
    fn the_token_is_asked_for_where_there_is_one() {
        let token = Secret::parse("0123456789abcdef").expect("a token");
        let with = |value| request(Some("127.0.0.1:1"), &[("authorization", value)]);
        assert!(has_token(None, &request(None, &[])));
        assert!(has_token(Some(&token), &with("Bearer 0123456789abcdef")));
        for wrong in [
            "Bearer 0123456789abcdeF",
            "Bearer 0123456789abcde",
            "Basic 0123456789abcdef",
            "0123456789abcdef",
        ] {
            assert!(!has_token(Some(&token), &with(wrong)), "{wrong}");
        }
        assert!(!has_token(Some(&token), &request(Some("127.0.0.1:1"), &[])));
        let mut twice = with("Bearer 0123456789abcdef");
        twice.headers_mut().append("authorization", "Bearer x".parse().expect("a value"));
        assert!(!has_token(Some(&token), &twice));
    }

    #[test]
    fn only_the_database_is_critical() {
        let backlog = Backlog { jobs: 0, deliveries: 3, overdue: 2, oldest_s: 300 };
        let late = Backlog { oldest_s: 301, ..backlog };
        let took = Some(Duration::from_micros(2_500));
        let plenty = Some(SPACE_WARN);
        for (latency, backlog, space, overall, parts) in [
            (took, Some(backlog), plenty, Condition::Ok, ["ok", "ok", "ok"]),
            (took, Some(backlog), Some(SPACE_WARN - 1), Condition::Degraded, ["ok", "ok", "degraded"]),
            (took, Some(backlog), Some(SPACE_FAIL - 1), Condition::Degraded, ["ok", "ok", "fail"]),
            (took, Some(late), plenty, Condition::Degraded, ["ok", "degraded", "ok"]),
            (took, None, plenty, Condition::Degraded, ["ok", "fail", "ok"]),
            (None, None, plenty, Condition::Fail, ["fail", "fail", "ok"]),
        ] {
            let (told, checks) = weigh(latency, backlog, space);
            assert_eq!(told, overall, "{checks}");
            let statuses = ["database", "outbox", "disk"].map(|name| checks[name]["status"].clone());
            assert_eq!(statuses.map(|s| s.as_str().unwrap_or_default().to_owned()), parts, "{checks}");
        }
        let (told, checks) = weigh(took, Some(backlog), None);
        assert_eq!((told, checks.get("disk")), (Condition::Ok, None), "where the space is another machine's");
        assert_eq!(checks["database"], json!({ "status": "ok", "latencyMs": 2, "critical": true }));
        assert_eq!(status_of(told != Condition::Fail), StatusCode::OK);
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
