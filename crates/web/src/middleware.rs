//! What happens around every request on every listener: an id, a log line, and no panic that escapes.

use crate::rate_limit::Verdict;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::Instrument;

/// The id of a request, `req_…`; in the extensions of every request.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// The other end of the connection; set by the listener.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The limits of whoever asks, as far as they are known yet; in the extensions of every request. Answers
/// that are made outside of the surface (after a panic, or past a deadline) show them too.
#[derive(Clone, Debug, Default)]
pub struct KnownLimits(Arc<Mutex<Option<Verdict>>>);

impl KnownLimits {
    /// Replaces what was known before.
    pub fn set(&self, verdict: Verdict) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
    }

    fn get(&self) -> Option<Verdict> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The route that answered; in the extensions of its response, for metrics and the log.
#[derive(Clone, Copy, Debug)]
pub struct RouteName(pub &'static str);

static LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
static REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
static RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// A request that its handler did not answer.
#[derive(Clone, Copy, Debug)]
pub struct Unanswered<'r> {
    /// 500 after a panic, 503 past the deadline.
    pub status: StatusCode,
    /// A listener may have several surfaces, each with its own form of an error.
    pub path: &'r str,
    pub request_id: &'r str,
    pub elapsed: Duration,
}

/// What a listener says instead of its handler: nothing of what happened. The id to ask about is in a header anyhow.
pub type Apology = fn(&Unanswered<'_>) -> Response;

/// Adds the outermost layer to a listener's router.
pub fn wrap(router: Router, apology: Apology) -> Router {
    router.layer(from_fn(move |request, next| around(apology, request, next)))
}

/// Puts the limits of whoever asks into an answer.
pub fn show_limits(headers: &mut HeaderMap, verdict: &Verdict) {
    headers.insert(LIMIT.clone(), HeaderValue::from(verdict.limit));
    headers.insert(REMAINING.clone(), HeaderValue::from(verdict.remaining));
    headers.insert(RESET.clone(), HeaderValue::from(verdict.reset_at));
}

async fn around(apology: Apology, mut request: Request, next: Next) -> Response {
    let id = format!("req_{}", engine::ids::secret_text(17));
    let started = Instant::now();
    let method = request.method().clone();
    let uri = request.uri().clone();
    let path = loggable(uri.path());
    request.extensions_mut().insert(RequestId(id.clone()));
    let limits = KnownLimits::default();
    request.extensions_mut().insert(limits.clone());
    let span = tracing::info_span!("request", id);
    let handled = tokio::spawn(next.run(request).instrument(span.clone()));
    let abort = AbortOnDrop(handled.abort_handle());
    let mut response = match handled.await {
        Ok(response) => response,
        Err(e) => {
            tracing::error!(parent: &span, error = %e, "a handler ended early");
            apology(&Unanswered {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                path: uri.path(),
                request_id: &id,
                elapsed: started.elapsed(),
            })
        }
    };
    drop(abort);
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(X_REQUEST_ID.clone(), value.clone());
        response.headers_mut().insert(REQUEST_ID.clone(), value);
    }
    let headers = response.headers_mut();
    if let Some(verdict) = limits.get().filter(|_| !headers.contains_key(&LIMIT)) {
        show_limits(headers, &verdict);
    }
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let route = response.extensions().get::<RouteName>().map_or("-", |r| r.0);
    tracing::info!(
        parent: &span,
        %method,
        path,
        route,
        status = response.status().as_u16(),
        micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        "handled"
    );
    response
}

/// A path with only route words and ids of ours in it: people put keys, card numbers and capabilities
/// into addresses, and those must not reach a log. The query is left out altogether.
fn loggable(path: &str) -> String {
    let word = |s: &str| {
        s.len() <= 40 && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let named = |s: &str| {
        s.rsplit_once('_').is_some_and(|(prefix, core)| {
            word(prefix)
                && !matches!(prefix, "sk_test" | "sk_live" | "pk_test" | "pk_live" | "whsec")
                && domain::id::Core::parse_base62(core).is_some()
        })
    };
    let plain = |s: &str| word(s) && s.bytes().filter(u8::is_ascii_digit).count() < 4;
    let segments: Vec<&str> =
        path.split('/').take(10).map(|s| if plain(s) || named(s) { s } else { "…" }).collect();
    segments.join("/")
}

/// A client that hangs up ends its handler, as without the task around it. Work that must go on has a
/// task of its own.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::loggable;

    #[test]
    fn only_route_words_and_ids_are_logged() {
        for (path, shown) in [
            ("/v2/payment_intents", "/v2/payment_intents"),
            (
                "/v2/payment_intents/pi_00ekCc4HHUUsHRgJT/confirm",
                "/v2/payment_intents/pi_00ekCc4HHUUsHRgJT/confirm",
            ),
            ("/v2/4242424242424242", "/v2/…"),
            ("/v2/sk_test_s2Of4vspfSO1RZhREOAvuhqk8kgo76ZH", "/v2/…"),
            ("/3ds/cY6FSumXyFFyLjLTXqmq9FjI", "/3ds/…"),
            ("/v2/a%0aINFO forged", "/v2/…"),
            ("/", "/"),
        ] {
            assert_eq!(loggable(path), shown);
        }
    }
}
