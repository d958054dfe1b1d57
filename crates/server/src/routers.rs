//! What each listener serves: its surface, health, and the layers around them.

use crate::health::{self, Health};
use crate::metrics::{self, Metrics};
use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, Version, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::time::Duration;
use web::App;

/// How long a request may take in all. Above the longest provider deadline and the time for a body.
const REQUEST_TIME: Duration = Duration::from_secs(60);

/// The routers of the listeners.
pub(crate) struct Routers {
    pub api: Router,
    pub admin: Router,
    pub public: Router,
    pub stripe: Router,
}

impl Routers {
    pub fn new(app: &App, health: &Health, metrics: &Arc<Metrics>) -> Routers {
        let bounded = |router: Router| router.layer(from_fn(deadline)).layer(from_fn(one_host));
        let finish = |router: Router| {
            let router = web::middleware::wrap(router);
            router.layer(from_fn_with_state(metrics.clone(), metrics::record))
        };
        let with_health = |surface| bounded(health::routes(health.clone())).fallback_service(surface);
        // Around the deadline, so that its answer has limits too.
        let with_limits =
            |surface| bounded(surface).layer(from_fn_with_state(app.clone(), api_v2::know_limits));
        let admin = health::routes(health.clone())
            .merge(metrics::routes(metrics.clone(), health.clone()))
            .fallback(async || not_found());
        Routers {
            api: finish(with_health(
                with_limits(api_v2::router(app.clone())).merge(bounded(api_gate::router(app.clone()))),
            )),
            admin: finish(bounded(admin)),
            public: finish(with_health(bounded(pages::router(app.clone())))),
            stripe: finish(with_health(with_limits(api_v2::root_router(app.clone())))),
        }
    }
}

/// An error in the envelope of REST v2, for what no surface answers.
fn error(status: StatusCode, kind: &str, code: &str, message: &str) -> Response {
    let body = serde_json::json!({"error": {"type": kind, "code": code, "message": message}});
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// The answer for a path that does not exist.
pub(crate) fn not_found() -> Response {
    let message = "There is nothing at this address. The API is on another port: see what paymentgate printed at \
                   its start.";
    error(StatusCode::NOT_FOUND, "invalid_request_error", "resource_missing", message)
}

/// Refuses a request that names no host, or two: a proxy in front may have gone by the other one (RFC 9112,
/// section 3.2).
async fn one_host(request: Request, next: Next) -> Response {
    let named = request.headers().get_all(header::HOST).iter().count();
    if named == 1 || (named == 0 && request.version() < Version::HTTP_11) {
        return next.run(request).await;
    }
    let message = "The request must have exactly one Host header.";
    let response = error(StatusCode::BAD_REQUEST, "invalid_request_error", "host_invalid", message);
    ([(header::CONNECTION, "close")], response).into_response()
}

async fn deadline(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_TIME, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let message = "The request took too long. Its outcome is unknown: repeat it with the same \
                           Idempotency-Key.";
            let response = error(StatusCode::SERVICE_UNAVAILABLE, "api_error", "timeout", message);
            ([(header::RETRY_AFTER, "1")], response).into_response()
        }
    }
}
