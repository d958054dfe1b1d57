//! Figures for Prometheus, on the admin listener and for this machine only.

use crate::health::{Health, is_local};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Upper ends of the latency buckets, in seconds.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 25.0];

/// Every value of every label is one of a fixed few: a client cannot make new time series.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Handled {
    route: &'static str,
    method: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Timed {
    route: &'static str,
    method: &'static str,
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

/// The figures of one gateway.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Handled, Counter>,
    latency: Family<Timed, Histogram, fn() -> Histogram>,
    commits: Counter,
    closures: Counter,
    jobs: Gauge,
    deliveries: Gauge,
    overdue: Gauge,
    resident: Gauge,
}

impl Metrics {
    pub fn new() -> Metrics {
        let mut registry = Registry::with_prefix("paymentgate");
        let requests = Family::<Handled, Counter>::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        let latency = Family::<Timed, Histogram, fn() -> Histogram>::new_with_constructor(histogram);
        registry.register(
            "http_request_duration_seconds",
            "From head to answer, in seconds",
            latency.clone(),
        );
        let (commits, closures) = (Counter::default(), Counter::default());
        registry.register("store_commits", "Commits of the embedded database's writer", commits.clone());
        registry.register("store_closures", "Write transactions in those commits", closures.clone());
        let gauge = |registry: &mut Registry, name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let jobs = gauge(&mut registry, "jobs_waiting", "Provider calls whose fate is open");
        let deliveries =
            gauge(&mut registry, "deliveries_waiting", "Webhook deliveries not yet made or given up");
        let overdue = gauge(&mut registry, "deliveries_overdue", "Those of them that are due");
        let resident = gauge(&mut registry, "process_resident_memory_bytes", "Resident memory");
        let start = gauge(&mut registry, "process_start_time_seconds", "Unix time of the start");
        start.set(engine::wall_clock().secs());
        let build = Info::new([("version", crate::VERSION)]);
        registry.register("build", "The version that runs", build);
        Metrics { registry, requests, latency, commits, closures, jobs, deliveries, overdue, resident }
    }

    async fn render(&self, health: &Health) -> Option<String> {
        let (commits, closures) = health.store.wakes().counts();
        self.commits.inner().store(commits, Ordering::Relaxed);
        self.closures.inner().store(closures, Ordering::Relaxed);
        if let Some(backlog) = health.backlog().await {
            self.jobs.set(backlog.jobs);
            self.deliveries.set(backlog.deliveries);
            self.overdue.set(backlog.overdue);
        }
        if let Some(bytes) = resident_bytes() {
            self.resident.set(bytes);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry).ok().map(|()| text)
    }
}

/// Resident memory as Linux tells it; `None` elsewhere.
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1_024)
}

fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn status_class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

/// Counts and times a request: the outermost layer of every listener.
pub(crate) async fn record(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let method = method_name(request.method());
    let started = Instant::now();
    let response = next.run(request).await;
    let route = response.extensions().get::<web::RouteName>().map_or("none", |route| route.0);
    let status = status_class(response.status());
    metrics.requests.get_or_create(&Handled { route, method, status }).inc();
    metrics.latency.get_or_create(&Timed { route, method }).observe(started.elapsed().as_secs_f64());
    response
}

/// `/metrics`.
pub(crate) fn routes(metrics: Arc<Metrics>, health: Health) -> Router {
    Router::new().route("/metrics", get(scrape)).with_state((metrics, health))
}

async fn scrape(State((metrics, health)): State<(Arc<Metrics>, Health)>, request: Request) -> Response {
    if !is_local(&request) {
        return crate::routers::not_found(&request);
    }
    let Some(text) = metrics.render(&health).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let mut response = ([(header::CONTENT_TYPE, kind)], text).into_response();
    response.extensions_mut().insert(web::RouteName("/metrics"));
    response
}
