//! An operator's panel that is served from another host: the one other origin whose pages may call the Admin API.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use web::App;

const METHODS: &str = "GET, POST, PUT, PATCH, DELETE";
const SENT: &str = "Authorization, Content-Type, Idempotency-Key, X-Organization-ID";
const SHOWN: &str = "X-Request-ID, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, \
                     Idempotent-Replayed, Content-Disposition";
/// How long a browser may remember what was allowed, in seconds.
const REMEMBERED_S: &str = "600";

/// Adds what a browser needs to be told when the panel's pages ask. Nothing is opened by it: every route asks for
/// its credential as ever, and other origins are told nothing, so that their pages can neither send what needs to be
/// asked for first nor read an answer.
pub(crate) async fn allow_panel(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(panel) = app.urls.panel_origin.as_deref().and_then(|text| HeaderValue::from_str(text).ok())
    else {
        return next.run(request).await;
    };
    let mut origins = request.headers().get_all(header::ORIGIN).iter();
    let is_panel = origins.next() == Some(&panel) && origins.next().is_none();
    let asks = *request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_panel && asks { preflight() } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if is_panel {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, panel);
        // The cookie that refreshes a session.
        put(headers, header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
        put(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, SHOWN);
    }
    response
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

fn preflight() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    put(headers, header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    put(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, SENT);
    put(headers, header::ACCESS_CONTROL_MAX_AGE, REMEMBERED_S);
    response
}
