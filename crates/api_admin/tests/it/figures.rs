//! The dashboard's figures over HTTP; what they count is tested in the engine's own tests.

use crate::keyed::Keyed;
use crate::support::refused;
use axum::http::Method;
use domain::time::DAY;
use serde_json::{Value, json};
use testkit::TestApp;

fn total(figures: &Value) -> &Value {
    assert_eq!(figures["totals"].as_array().expect("totals").len(), 1, "{figures}");
    &figures["totals"][0]
}

testkit::on_both_engines! {
    async fn figures_are_shown_by_day_and_by_provider(db) {
        let shop = Keyed::new(TestApp::start(&db).await).await;
        let none = shop.get("/dashboard").await.expect(200);
        assert_eq!((&none["totals"], &none["days"]), (&json!([]), &json!([])), "{none}");
        for _ in 0..2 {
            shop.app.pay(10_000, "pm_card_visa", &[]).await.expect(201);
        }
        shop.app.pay(500, "pm_card_visa_chargeDeclined", &[]).await.expect(402);
        let paid = shop.app.pay(2_000, "pm_card_visa", &[]).await.expect(201);
        let refund = [("payment_intent", paid["id"].as_str().expect("an id")), ("amount", "300")];
        shop.app.post("/v2/refunds", &refund).await.expect(201);
        for folded in [false, true] {
            if folded {
                shop.app.engine.fold_figures(shop.app.engine.now().plus(DAY)).await.expect("folded");
            }
            let days = shop.get("/dashboard").await.expect(200);
            let sum = total(&days);
            let fees = 2 * (290 + 25) + 58 + 25;
            assert_eq!(*sum, json!({
                "currency": "EUR", "payments": 3, "volume": 22_000, "fees": fees, "failed": 1, "successRate": 75,
                "refunds": 1, "refunded": 300, "refundsFailed": 0, "returned": 0, "net": 22_000 - fees - 300,
            }));
            assert_eq!(days["groupBy"], "day");
            assert!(days["days"].as_array().is_some_and(|d| d.iter().all(|d| d["date"].as_str().is_some_and(|d| d.len() == 10))), "{days}");
            let asked = domain::date::parse_instant(days["asOf"].as_str().expect("an instant")).expect("ISO 8601");
            assert!(shop.app.engine.now().0 - asked.0 < DAY, "{days}");
            let providers = shop.get("/dashboard?groupBy=provider&currency=eur").await.expect(200);
            assert_eq!(total(&providers), sum);
            let provider = &providers["providers"][0];
            assert_eq!((provider["payments"].as_i64(), provider["provider"].as_str().is_some()), (Some(3), true), "{providers}");
            let of_one = format!("/dashboard?providerId={}", provider["providerId"].as_str().expect("an id"));
            assert_eq!(total(&shop.get(&of_one).await.expect(200)), sum);
            let yen = shop.get("/dashboard?currency=JPY").await.expect(200);
            assert_eq!(yen["totals"], json!([]));
            let live = shop.ask(&shop.live, Method::GET, "/dashboard", None).await.expect(200);
            assert_eq!(live["totals"], json!([]), "another mode");
        }
        let other = Keyed::new(shop.app.another_merchant().await).await;
        assert_eq!(other.get("/dashboard").await.expect(200)["totals"], json!([]));
        let provider = shop.get("/dashboard?groupBy=provider").await.expect(200)["providers"][0]["providerId"].clone();
        let foreign = format!("/dashboard?providerId={}", provider.as_str().expect("an id"));
        refused(other.get(&foreign).await, 404, "not_found");
    }

    async fn what_cannot_be_asked_is_refused(db) {
        let shop = Keyed::new(TestApp::start(&db).await).await;
        for (query, status, code) in [
            ("from=1926-01-01&to=2026-01-01", 400, "period_invalid"),
            ("from=0001-01-01&to=9999-12-31", 400, "period_invalid"),
            ("from=2026-02-01&to=2026-01-01", 400, "period_invalid"),
            ("from=yesterday", 400, "instant_invalid"),
            ("from=2026-02-30", 400, "instant_invalid"),
            ("from=1926-01-01", 400, "period_invalid"),
            ("providerId=zz", 400, "id_invalid"),
            ("providerId=0123456789abcdef01234567", 404, "not_found"),
            ("currency=XTS", 422, "currency_invalid"),
        ] {
            refused(shop.get(&format!("/dashboard?{query}")).await, status, code);
        }
        shop.get("/dashboard?groupBy=month").await.expect(400);
        shop.get("/dashboard?from=2024-01-01&to=2024-12-31").await.expect(200);
        shop.get("/dashboard?from=2024-01-01T00:00:00Z&to=2024-01-02T12:00:00Z").await.expect(200);
        let narrow = shop.narrow("client:read").await;
        refused(shop.ask(&narrow, Method::GET, "/dashboard", None).await, 403, "insufficient_scope");
    }
}
