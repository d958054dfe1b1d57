//! Methods, types, sizes and limits: every refusal has Gate's envelope.

use crate::support::{figure, refused};
use axum::body::Body;
use axum::http::Request;
use domain::rate::{Tier, TierName};
use serde_json::json;
use std::net::Ipv4Addr;
use testkit::gate::{CANCEL, PAYOUT, PURCHASE, RECURRING, REFUND, STATUS, Shop};
use testkit::{AppOptions, TestApp};

testkit::on_both_engines! {
    async fn other_methods_and_paths(db) {
        let app = TestApp::start(&db).await;
        let request = |method: &str, path: &str| {
            Request::builder().method(method).uri(path).body(Body::empty()).expect("a request")
        };
        for path in [PURCHASE, RECURRING, CANCEL, PAYOUT, REFUND, STATUS] {
            let method = if path == STATUS { "DELETE" } else { "GET" };
            refused(app.send(request(method, path)).await, 405, 405, None);
        }
        for path in ["/api/", "/api/transaction", "/api/transaction/status/", "/api/Transaction/status", "/api/x/y"] {
            let answer = app.send(request("POST", path)).await;
            refused(answer, 404, 404, None);
        }
    }

    async fn types_and_sizes(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let good = shop.seal(&shop.purchase("order-1", "1.00"));
        for kind in ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
            "application/json; charset=utf-7", "application/json; charset=utf-16", "text/json"] {
            let headers = [("content-type", kind)];
            refused(shop.send(PURCHASE, &headers, good.clone()).await, 415, 415, None);
        }
        for coding in ["gzip", "br", "deflate"] {
            let headers = [("content-encoding", coding)];
            refused(shop.send(PURCHASE, &headers, good.clone()).await, 415, 415, None);
        }
        let mut large = shop.purchase("order-1", "1.00");
        large["additional_data"] = json!(["x".repeat(70_000)]);
        refused(shop.call(PURCHASE, &large).await, 413, 413, None);
        large["additional_data"] = json!(["x".repeat(17_000)]);
        refused(shop.call(PURCHASE, &large).await, 422, 422, Some("additional_data"));
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM gate_transactions").await, 0);
        for kind in ["application/json; charset=UTF-8", "Application/JSON"] {
            shop.send(PURCHASE, &[("content-type", kind)], good.clone()).await.expect(200);
        }
    }

    async fn each_token_has_its_limit(db) {
        let tier = TierName::Custom(Tier { per_minute: 6, per_second: 3, burst: 3 });
        let app = TestApp::with(&db, AppOptions { tier, ..AppOptions::default() }).await;
        let shop = Shop::open(&app).await;
        let other = Shop::of_service(&app, shop.service, "other").await;
        let asked = json!({ "meta": { "transaction_uuid": shop.buy("order-1", "1.00").await } });
        let mut limited = None;
        for _ in 0..10 {
            let answer = shop.call(STATUS, &asked).await;
            assert_eq!(answer.header("x-ratelimit-limit"), Some("6"), "{}", answer.text);
            let remaining: i64 = answer.header("x-ratelimit-remaining").and_then(|n| n.parse().ok()).expect("a number");
            assert!((0..6).contains(&remaining));
            assert!(answer.header("x-ratelimit-reset").is_some());
            if answer.status != 200 {
                limited = Some(answer);
                break;
            }
        }
        let limited = limited.expect("ten are more than the limit");
        let wait: i64 = limited.header("retry-after").and_then(|n| n.parse().ok()).expect("seconds");
        assert!((1..=60).contains(&wait));
        refused(limited, 429, 429, None);
        other.call(STATUS, &asked).await.expect(200);
    }

    async fn who_cannot_sign_is_limited_by_address(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let from = Ipv4Addr::new(192, 0, 2, 7);
        let unsigned = shop.purchase("order-1", "1.00").to_string();
        let mut answers = Vec::new();
        for _ in 0..60 {
            answers.push(shop.send_from(from, PURCHASE, &[], unsigned.clone()).await);
        }
        let limited = answers.pop().expect("an answer");
        assert!(limited.header("retry-after").is_some());
        refused(limited, 429, 429, None);
        assert!(answers.iter().filter(|a| a.status == 401).count() >= 40);
        // Who can sign is not held up by others behind the same address.
        let signed = shop.seal(&shop.purchase("order-1", "1.00"));
        shop.send_from(from, PURCHASE, &[], signed).await.expect(200);
    }
}
