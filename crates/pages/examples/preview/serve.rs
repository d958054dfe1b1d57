//! The samples as a small site with the headers of the real one. A POST is counted and answered by the page of a
//! payment under way; nothing is kept of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{HeaderName, HeaderValue, REFRESH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use pages::Page;
use pages::checkout::{Locale, MethodKind};
use url::form_urlencoded;

use crate::samples;

/// What was posted, and how often the state was asked for.
#[derive(Default)]
struct Seen {
    posts: AtomicUsize,
    asked: AtomicUsize,
}

pub fn router() -> Router {
    Router::new()
        .route("/posts", get(posts))
        .route("/{name}", get(sample))
        .route("/assets/{name}", get(asset))
        .route("/payment/{code}", get(current).post(pay))
        .route("/payment/{code}/cancel", axum::routing::post(cancel))
        .route("/payment/{code}/status", get(status))
        .with_state(Arc::new(Seen::default()))
}

async fn posts(State(seen): State<Arc<Seen>>) -> String {
    seen.posts.load(Ordering::SeqCst).to_string()
}

async fn sample(
    State(seen): State<Arc<Seen>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    seen.asked.store(0, Ordering::SeqCst);
    shown(&name, query)
}

async fn current(RawQuery(query): RawQuery) -> Response {
    let name = if parameter(query.as_deref(), "method").is_some() { "card" } else { "succeeded" };
    shown(name, query)
}

async fn pay(State(seen): State<Arc<Seen>>) -> Response {
    seen.posts.fetch_add(1, Ordering::SeqCst);
    shown("processing", None)
}

async fn cancel(State(seen): State<Arc<Seen>>) -> Response {
    seen.posts.fetch_add(1, Ordering::SeqCst);
    shown("canceled", None)
}

/// Under way when it is asked for the first time, done at the second.
async fn status(State(seen): State<Arc<Seen>>) -> Response {
    let state = if seen.asked.fetch_add(1, Ordering::SeqCst) == 0 { "processing" } else { "succeeded" };
    ([("content-type", "application/json")], format!("{{\"state\":\"{state}\"}}")).into_response()
}

fn parameter(query: Option<&str>, wanted: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query?.as_bytes());
    pairs.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
}

fn shown(name: &str, query: Option<String>) -> Response {
    let locale = Locale::choose(parameter(query.as_deref(), "locale").as_deref(), None, None);
    let method = parameter(query.as_deref(), "method").and_then(|word| MethodKind::parse(&word));
    samples::page(name, locale, method).map_or_else(|| StatusCode::NOT_FOUND.into_response(), with_headers)
}

fn with_headers(page: Page) -> Response {
    let mut headers = HeaderMap::new();
    for (name, value) in pages::checkout_headers() {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if let Some(refresh) = page.refresh.and_then(|refresh| HeaderValue::try_from(refresh).ok()) {
        headers.insert(REFRESH, refresh);
    }
    (headers, page.html).into_response()
}

/// Compressed, which every browser takes.
async fn asset(Path(name): Path<String>) -> Response {
    match pages::asset(&name).and_then(|file| Some((file, file.gzip?))) {
        Some((file, small)) => {
            ([("content-type", file.content_type), ("content-encoding", "gzip")], small).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
