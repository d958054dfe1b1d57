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
use web::middleware::{Apology, Unanswered};
use web::{App, RequestId};

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
        let finish = |router: Router, apology| {
            let router = web::middleware::wrap_behind(router, apology, app.proxies.clone());
            router.layer(from_fn_with_state(metrics.clone(), metrics::record))
        };
        let with_health =
            |surface| bounded(health::routes(health.clone()), api_v2::apology).fallback_service(surface);
        // Around the deadline, so that its answer has limits too.
        let with_limits = |surface| {
            bounded(surface, api_v2::apology).layer(from_fn_with_state(app.clone(), api_v2::know_limits))
        };
        let admin = health::routes(health.clone())
            .merge(metrics::routes(metrics.clone(), health.clone()))
            .merge(api_admin::admin_router(app.clone()))
            .fallback(async |request: Request| not_found(&request));
        let public = api_admin::public_router(app.clone())
            .layer(from_fn(move |request, next| deadline(REQUEST_TIME, api_admin::apology, request, next)))
            .fallback_service(bounded(pages::router(app.clone()), pages::apology));
        Routers {
            api: finish(
                with_health(
                    with_limits(api_v2::router(app.clone()))
                        .merge(bounded(api_gate::router(app.clone()), api_gate::apology)),
                ),
                api_apology,
            ),
            admin: finish(bounded(admin, api_admin::apology), api_admin::apology),
            public: finish(with_health(public), public_apology),
            stripe: finish(with_health(with_limits(api_v2::root_router(app.clone()))), api_v2::apology),
        }
    }
}

/// Two surfaces on one listener: Gate has everything below `/api/`.
fn api_apology(unanswered: &Unanswered<'_>) -> Response {
    if unanswered.path.starts_with("/api/") {
        api_gate::apology(unanswered)
    } else {
        api_v2::apology(unanswered)
    }
}

/// The same on the public listener: the Main Backend beside the pages.
fn public_apology(unanswered: &Unanswered<'_>) -> Response {
    if unanswered.path.starts_with("/api/") {
        api_admin::apology(unanswered)
    } else {
        pages::apology(unanswered)
    }
}

fn bounded(router: Router, apology: Apology) -> Router {
    router
        .layer(from_fn(move |request, next| deadline(REQUEST_TIME, apology, request, next)))
        .layer(from_fn(one_host))
}

/// An error in the envelope of REST v2, for what no surface answers.
fn error(status: StatusCode, code: &str, message: &str, request_id: &str) -> Response {
    let body = serde_json::json!({"error": {
        "type": "invalid_request_error", "code": code, "message": message, "request_id": request_id,
    }});
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn id_of(request: &Request) -> String {
    request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default()
}

/// The answer for a path that does not exist.
pub(crate) fn not_found(request: &Request) -> Response {
    let message = "There is nothing at this address. The Admin API is below /api/v1; the others have ports of their own: see what paymentgate printed at \
                   its start.";
    error(StatusCode::NOT_FOUND, "resource_missing", message, &id_of(request))
}

/// Refuses a request that names no host, or two: a proxy in front may have gone by the other one (RFC 9112,
/// section 3.2).
async fn one_host(request: Request, next: Next) -> Response {
    let named = request.headers().get_all(header::HOST).iter().count();
    if named == 1 || (named == 0 && request.version() < Version::HTTP_11) {
        return next.run(request).await;
    }
    let message = "The request must have exactly one Host header.";
    let response = error(StatusCode::BAD_REQUEST, "host_invalid", message, &id_of(&request));
    ([(header::CONNECTION, "close")], response).into_response()
}

async fn deadline(limit: Duration, apology: Apology, request: Request, next: Next) -> Response {
    let uri = request.uri().clone();
    let id = id_of(&request);
    tokio::time::timeout(limit, next.run(request)).await.unwrap_or_else(|_| {
        apology(&Unanswered {
            status: StatusCode::SERVICE_UNAVAILABLE,
            path: uri.path(),
            request_id: &id,
            elapsed: limit,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::routing::get;
    use tower::ServiceExt;

    async fn panics() -> &'static str {
        panic!("a detail of the inside")
    }

    async fn hangs() -> &'static str {
        std::future::pending().await
    }

    /// Status, type and body of the answer to a request at a listener whose handlers panic and hang.
    async fn ask(path: &str, apology: Apology) -> (u16, String, String) {
        let soon = Duration::from_millis(1);
        let hanging = get(hangs).layer(from_fn(move |r, next| deadline(soon, apology, r, next)));
        let router = Router::new();
        let router = router.route("/api/panics", get(panics)).route("/v2/panics", get(panics));
        let router = router.route("/api/hangs", hanging.clone()).route("/v2/hangs", hanging);
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let answer = web::middleware::wrap(router, apology).oneshot(request).await.expect("an answer");
        let kind = answer.headers()[header::CONTENT_TYPE].to_str().expect("text").to_owned();
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), 100_000).await.expect("a body");
        (status, kind, String::from_utf8(body.to_vec()).expect("UTF-8"))
    }

    #[tokio::test]
    async fn each_surface_apologises_in_its_own_form() {
        for (path, status) in [("/api/panics", 500), ("/api/hangs", 503)] {
            let (told, kind, body) = ask(path, api_apology).await;
            let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
            assert_eq!((told, kind.as_str()), (status, "application/json"), "{path}");
            assert_eq!(body["meta"]["code"], status, "{body}");
            assert_eq!(body["meta"]["success"], false, "{body}");
            assert!(!body.to_string().contains("inside"), "{body}");
        }
        for (path, status) in [("/v2/panics", 500), ("/v2/hangs", 503)] {
            let (told, kind, body) = ask(path, api_apology).await;
            let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
            assert_eq!((told, kind.as_str()), (status, "application/json"), "{path}");
            assert_eq!(body["error"]["type"], "api_error", "{body}");
            assert!(body["error"]["request_id"].as_str().is_some_and(|id| id.starts_with("req_")), "{body}");
            let (told, kind, page) = ask(path, pages::apology).await;
            assert_eq!((told, kind.as_str()), (status, "text/html; charset=utf-8"), "{path}");
            assert!(page.contains("<h1>") && page.contains("req_") && !page.contains("inside"), "{page}");
        }
    }
}
