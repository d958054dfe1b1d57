//! Every answer shows the limits of whoever asks, wherever it is made.

use super::*;
use axum::middleware::{from_fn, from_fn_with_state};
use domain::rate::{Tier, TierName};
use testkit::{AppOptions, Db, Kind, TestApp};
use tokio::sync::Notify;
use tower::ServiceExt;
use web::Urls;

static PANICS: Endpoint = Endpoint {
    method: "GET",
    path: "/panics",
    access: Access::Secret,
    test_only: false,
    handler: |_| Box::pin(async { panic!("a handler that panics, for a test") }),
};
static HANGS: Endpoint = Endpoint {
    method: "GET",
    path: "/hangs",
    access: Access::Secret,
    test_only: false,
    handler: |_| {
        HUNG.notify_one();
        Box::pin(std::future::pending())
    },
};
/// A request hangs: its deadline is over.
static HUNG: Notify = Notify::const_new();

async fn early() -> &'static str {
    panic!("before it is known who asks, for a test")
}

/// As on a listener: the deadline around the surface, the limits around both, and the outermost layer.
fn listener(app: &App) -> Router {
    let mut router = Router::new();
    for endpoint in [&PANICS, &HANGS] {
        let handler = move |State(app): State<App>, request: axum::extract::Request| async move {
            dispatch(app, endpoint, Mount::V2, Vec::new(), request).await
        };
        router = router.route(endpoint.path, get(handler));
    }
    let deadline = |request: axum::extract::Request, next: Next| async move {
        tokio::select! {
            answer = next.run(request) => answer,
            () = HUNG.notified() => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        }
    };
    let router = router.route("/early", get(early)).with_state(app.clone());
    let router = router.layer(from_fn(deadline)).layer(from_fn_with_state(app.clone(), know_limits));
    web::middleware::wrap(router, crate::apology)
}

#[tokio::test]
async fn answers_from_outside_of_the_surface_have_limits_too() {
    let db = Db::new(Kind::Sqlite).await;
    let tier = TierName::custom(Tier { per_minute: 77, per_second: 50, burst: 50 }).expect("a tier");
    let test = TestApp::with(&db, AppOptions { tier, ..AppOptions::default() }).await;
    let app = App::new(test.engine.clone(), Urls::clone(&test.urls));
    let router = listener(&app);
    // What is left counts down with each request of the key, and not with those of the address.
    for (path, key, status, limits) in [
        ("/panics", test.sk.as_str(), 500, ("77", "76")),
        ("/hangs", &test.sk, 503, ("77", "75")),
        ("/early", &test.sk, 500, ("50", "50")),
        ("/panics", "sk_test_wrong", 401, ("50", "49")),
        ("/early", "sk_test_wrong", 500, ("50", "49")),
        ("/nowhere", &test.sk, 404, ("50", "49")),
    ] {
        let request =
            axum::extract::Request::get(path).header(header::AUTHORIZATION, format!("Bearer {key}"));
        let answer = router.clone().oneshot(request.body(Body::empty()).expect("a request")).await;
        let answer = answer.expect("an answer");
        let header = |name: &str| answer.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or("none");
        let shown = (header("x-ratelimit-limit"), header("x-ratelimit-remaining"));
        assert_eq!((answer.status().as_u16(), shown), (status, limits), "{path} with {key:.12}");
        assert!(header("x-ratelimit-reset").parse::<i64>().is_ok_and(|at| at > 1_700_000_000), "{path}");
    }
}

/// "Repeat it" is told only where that can help.
#[test]
fn failures_of_the_database() {
    use engine::StoreError as S;
    let what = || "a detail of the inside".to_owned();
    for (failure, status) in [
        (S::Unavailable(what()), 503),
        (S::Disconnected(what()), 503),
        (S::Retry, 503),
        (S::LockTimeout, 409),
        (S::Conflict(what()), 500),
        (S::Defect(what()), 500),
    ] {
        let error = ApiError::from(engine::Error::Store(failure.clone()));
        assert_eq!(error.status.as_u16(), status, "{failure:?}");
        assert!(!error.message.contains("inside"), "{}", error.message);
    }
}
