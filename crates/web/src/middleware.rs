//! What happens around every request on every listener: an id, a log line, and no panic that escapes.

use crate::client::Proxies;
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

/// The id of a request, `req_…`; in the extensions of every request. Always made here: it is stored with
/// events and in the audit log, where an id of somebody else's choice could name another request.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// The id in `X-Request-ID` of the answer: that of a trusted proxy if it gave one, else [`RequestId`]. In the
/// extensions of every request; for showing only.
#[derive(Clone, Debug)]
pub struct ShownId(pub String);

/// Who asks, at what address: the other end of the connection, as the listener sets it, or the one that a
/// trusted proxy asks for ([`crate::client`]). The port is the connection's.
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

/// Adds the outermost layer to a listener's router; no proxy is trusted.
pub fn wrap(router: Router, apology: Apology) -> Router {
    wrap_behind(router, apology, Arc::default())
}

/// The same for a listener that proxies may ask in the name of others.
pub fn wrap_behind(router: Router, apology: Apology, proxies: Arc<Proxies>) -> Router {
    router.layer(from_fn(move |request, next| around(apology, proxies.clone(), request, next)))
}

/// Puts the limits of whoever asks into an answer.
pub fn show_limits(headers: &mut HeaderMap, verdict: &Verdict) {
    headers.insert(LIMIT.clone(), HeaderValue::from(verdict.limit));
    headers.insert(REMAINING.clone(), HeaderValue::from(verdict.remaining));
    headers.insert(RESET.clone(), HeaderValue::from(verdict.reset_at));
}

async fn around(apology: Apology, proxies: Arc<Proxies>, mut request: Request, next: Next) -> Response {
    let id = format!("req_{}", engine::ids::secret_text(17));
    let given_id = proxies.introduce(&mut request);
    let started = Instant::now();
    let method = request.method().clone();
    let uri = request.uri().clone();
    let path = loggable(uri.path());
    request.extensions_mut().insert(RequestId(id.clone()));
    let shown_id = given_id.clone().unwrap_or_else(|| id.clone());
    request.extensions_mut().insert(ShownId(shown_id.clone()));
    let limits = KnownLimits::default();
    request.extensions_mut().insert(limits.clone());
    let span = tracing::info_span!("request", id, given_id);
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
    for (name, text) in [(&X_REQUEST_ID, &shown_id), (&REQUEST_ID, &id)] {
        if let Ok(value) = HeaderValue::from_str(text) {
            response.headers_mut().insert(name.clone(), value);
        }
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
    use super::*;
    use crate::rate_limit::{address_key, shown_address};
    use axum::body::Body;
    use axum::response::IntoResponse;
    use axum::routing::get;
    use domain::network::Network;
    use tower::ServiceExt;

    fn no_apology(_: &Unanswered<'_>) -> Response {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }

    /// What a surface sees of a request: address, bucket, and the ids.
    async fn seen(request: Request) -> String {
        let extensions = request.extensions();
        let id = extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        let shown = extensions.get::<ShownId>().map(|id| id.0.clone()).unwrap_or_default();
        format!("{} {:?} {id} {shown}", shown_address(extensions), address_key(extensions))
    }

    /// Address and bucket, our id, the shown one, and the answer's `X-Request-ID` and `Request-Id`.
    async fn ask(peer: &str, headers: &[(&'static str, &'static str)]) -> [String; 5] {
        let proxies = Arc::new(Proxies::new(vec![Network::parse("127.0.0.1").expect("a network")]));
        let router = wrap_behind(Router::new().route("/", get(seen)), no_apology, proxies);
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(Peer(peer.parse().expect(peer)));
        for (name, value) in headers {
            request.headers_mut().insert(*name, HeaderValue::from_static(value));
        }
        let answer = router.oneshot(request).await.expect("an answer");
        let header = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
        let (x_request_id, request_id) = (header("x-request-id"), header("request-id"));
        let body = axum::body::to_bytes(answer.into_body(), 10_000).await.expect("a body");
        let body = String::from_utf8(body.to_vec()).expect("text");
        let mut parts = body.rsplitn(3, ' ').map(str::to_owned);
        let (shown, id) = (parts.next().expect("an id"), parts.next().expect("an id"));
        [parts.next().expect("an address"), id, shown, x_request_id, request_id]
    }

    #[tokio::test]
    async fn surfaces_see_whom_a_trusted_proxy_asks_for_and_nobody_spoofed() {
        let headers = [("x-forwarded-for", "192.0.2.7"), ("x-request-id", "from-the-proxy")];
        let [client, ..] = ask("192.0.2.7:1", &[]).await;
        let [seen, id, shown, x_request_id, request_id] = ask("127.0.0.1:1", &headers).await;
        assert_eq!(seen, client);
        assert!(client.starts_with("192.0.2.7 ["), "{client}");
        // What is stored and put into bodies is ours whatever the proxy says.
        assert!(id.starts_with("req_") && request_id == id, "{id} {request_id}");
        assert_eq!((shown.as_str(), x_request_id.as_str()), ("from-the-proxy", "from-the-proxy"));

        let [seen, id, shown, x_request_id, request_id] = ask("198.51.100.9:1", &headers).await;
        assert_eq!(seen, ask("198.51.100.9:1", &[]).await[0]);
        assert!(id.starts_with("req_"), "{id}");
        assert_eq!([&shown, &x_request_id, &request_id], [&id; 3]);
    }

    #[tokio::test]
    async fn an_ipv4_client_of_an_ipv6_socket_has_a_bucket_of_its_own() {
        let [one, ..] = ask("[::ffff:192.0.2.7]:1", &[]).await;
        let [other, ..] = ask("[::ffff:192.0.2.8]:1", &[]).await;
        assert_ne!(one, other);
        assert_eq!(one, ask("192.0.2.7:1", &[]).await[0]);
    }

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
