//! Addresses and methods beside the routes: no way around the checks, and the same envelope.

use crate::support::{FORM, Logs, assert_clean, assert_same_rows, id, rows, send};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use http::Method;
use testkit::TestApp;

testkit::on_both_engines! {
    async fn tricks_with_paths_reach_nothing(db) {
        let app = TestApp::start(&db).await;
        let payment = id(&app.pay(100, "pm_card_visa", &[]).await.expect(201));
        let before = rows(&app).await;
        let paths = [
            "/v2/../admin", "/v2/%2e%2e/admin", "/v2/%2E%2E%2Fadmin", "//v2/balance", "/v2//balance", "/v2/balance/", "/v2/balance;x=y", "/V2/balance", "/v2/Balance", "/v2/balance.", "/v2/balance%00", "/v2/balance%20", "/v2/balance/../balance", "/v2/./balance", "/v2\\balance", "/v2/%62alance%2f", "/v2%2fbalance", "/admin", "/metrics", "/debug", "/.git/config", "/paymentgate.db", "/apiv1", "/admin/v1", "/v1/balance", "/stripe/v2/balance", "/stripe/v1/", "/", "/v2", "/v2/", "/v2/payment_intents/", "/v2/test_helpers", "/v2/payment_intents/a/b/c", "/v2/balance%ff", "/v2/payment_intents/%ff", "/v2/payment_intents/%c3%28/confirm",
        ];
        for path in paths {
            for method in ["GET", "POST"] {
                for headers in [&[][..], &[("authorization", "")]] {
                    let answer = send(&app, method, path, headers, "").await;
                    let expected: &[u16] = if headers.is_empty() { &[404, 405] } else { &[401, 404, 405] };
                    assert!(expected.contains(&answer.status.as_u16()), "{method} {path}: {} {}", answer.status, answer.text);
                    assert_clean(&answer, path);
                    assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
                }
            }
        }
        // An encoded letter is the letter, and the key is asked for all the same.
        for path in ["/v2/payment_intents/%70i_00000000000000000", &format!("/v2/payment_intents/{}", payment.replace('_', "%5F"))] {
            send(&app, "GET", path, &[("authorization", "")], "").await.expect(401);
            let pk = format!("Bearer {}", app.pk);
            send(&app, "POST", path, &[("authorization", &pk), FORM], "").await.expect(403);
        }
        assert_same_rows(&before, &rows(&app).await, "tricks with paths");
    }

    async fn methods_are_what_they_say(db) {
        let app = TestApp::start(&db).await;
        let hook = id(&app.post("/v2/webhook_endpoints", &[("url", "https://example.com/h"), ("enabled_events[]", "*")]).await.expect(201));
        let before = rows(&app).await;
        let path = format!("/v2/webhook_endpoints/{hook}");
        for method in ["PUT", "PATCH", "TRACE", "CONNECT", "PROPFIND", "delete", "Delete", "FOO"] {
            let answer = send(&app, method, &path, &[], "").await;
            assert_eq!(answer.status.as_u16(), 405, "{method}: {}", answer.text);
            assert_eq!(answer.json["error"]["code"], "method_not_allowed");
            assert_clean(&answer, method);
            assert!(answer.header("allow").is_some_and(|a| a.contains("DELETE")), "{method}: {:?}", answer.headers);
        }
        for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
            send(&app, "GET", &path, &[(name, "DELETE")], "").await.expect(200);
            send(&app, "POST", &path, &[(name, "DELETE"), FORM], "").await.expect(200);
            let body = send(&app, "POST", &path, &[FORM], "_method=DELETE").await;
            body.expect_error(400, "invalid_request_error", Some("parameter_unknown"));
        }
        for (name, value) in [("x-original-url", "/v2/balance"), ("x-rewrite-url", "/v2/balance"), ("x-forwarded-prefix", "/v2")] {
            send(&app, "GET", "/nowhere", &[(name, value)], "").await.expect(404);
        }
        let head = send(&app, "HEAD", &path, &[], "").await;
        assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
        send(&app, "HEAD", &path, &[("authorization", "")], "").await.expect(401);
        app.as_key(&app.pk, Method::DELETE, &path, &[], None).await.expect(403);
        assert_same_rows(&before, &rows(&app).await, "methods");
    }
}

/// A handler that panics costs its own request and nothing else.
#[tokio::test]
async fn a_panic_is_one_answer_500() {
    use http_body_util::BodyExt;
    use tower::ServiceExt;
    let logs = Logs::capture();
    async fn boom() -> String {
        panic!("a detail of the inside")
    }
    let router = Router::new().route("/boom", get(boom)).route("/fine", get(async || "fine"));
    let router = web::middleware::wrap(router, api_v2::apology);
    for _ in 0..3 {
        let request = Request::get("/boom").body(Body::empty()).expect("a request");
        let response = router.clone().oneshot(request).await.expect("an answer");
        assert_eq!(response.status().as_u16(), 500);
        let id = response.headers()["x-request-id"].to_str().expect("text").to_owned();
        assert!(id.starts_with("req_"));
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let json: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(
            (&json["error"]["type"], &json["error"]["request_id"]),
            (&"api_error".into(), &id.as_str().into())
        );
        assert!(!String::from_utf8_lossy(&body).contains("inside"));
        assert!(logs.of_request(&id).iter().any(|record| record["level"] == "ERROR"), "the operator is told");
        let fine = Request::get("/fine").body(Body::empty()).expect("a request");
        assert_eq!(router.clone().oneshot(fine).await.expect("an answer").status().as_u16(), 200);
    }
}
