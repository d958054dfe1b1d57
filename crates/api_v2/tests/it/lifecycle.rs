//! Payments from creation to their end.

use serde_json::json;
use testkit::TestApp;

testkit::on_both_engines! {
    async fn the_quick_start(db) {
        let app = TestApp::start(&db).await;
        let form = [("amount", "9900"), ("currency", "eur"), ("payment_method_types[]", "card"), ("metadata[order_id]", "ORD-1")];
        let created = app.post_once("test_1", "/v2/payment_intents", &form).await.expect(201);
        assert_eq!(created["object"], "payment_intent");
        assert_eq!(created["status"], "requires_payment_method");
        assert_eq!(created["amount"], 9900);
        assert_eq!(created["currency"], "eur");
        assert_eq!(created["metadata"], json!({"order_id": "ORD-1"}));
        let id = created["id"].as_str().expect("an id");
        assert!(created["client_secret"].as_str().expect("a secret").starts_with(&format!("{id}_secret_")));
        let confirmed = app
            .post(&format!("/v2/payment_intents/{id}/confirm"), &[("payment_method", "pm_card_visa")])
            .await
            .expect(200);
        assert_eq!(confirmed["status"], "succeeded");
        assert_eq!(confirmed["amount_received"], 9900);
        let read = app.get(&format!("/v2/payment_intents/{id}?expand[]=latest_charge.balance_transaction")).await.expect(200);
        let charge = &read["latest_charge"];
        assert_eq!(charge["status"], "succeeded");
        assert_eq!(charge["captured"], true);
        assert_eq!(charge["payment_method_details"]["card"]["last4"], "4242");
        // 2.9 % of 99.00 is 2.871, rounded half up, and 0.25.
        assert_eq!(charge["balance_transaction"]["fee"], 312);
        assert_eq!(charge["balance_transaction"]["net"], 9588);
        let types: Vec<String> = app.get("/v2/events").await.expect(200)["data"]
            .as_array().expect("a list").iter().map(|e| e["type"].as_str().expect("a type").to_owned()).collect();
        for expected in ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"] {
            assert_eq!(types.iter().filter(|t| *t == expected).count(), 1, "{expected} in {types:?}");
        }
        let balance = app.get("/v2/balance").await.expect(200);
        assert_eq!(balance["pending"], json!([{"amount": 9588, "currency": "eur"}]));
        app.assert_books().await;
    }

    async fn manual_capture_in_part(db) {
        let app = TestApp::start(&db).await;
        let held = app.pay(10_000, "pm_card_visa", &[("capture_method", "manual")]).await.expect(201);
        assert_eq!(held["status"], "requires_capture");
        assert_eq!(held["amount_capturable"], 10_000);
        assert_eq!(app.get("/v2/balance").await.expect(200)["pending"], json!([]));
        let id = held["id"].as_str().expect("an id");
        let path = format!("/v2/payment_intents/{id}/capture");
        app.post(&path, &[("amount_to_capture", "10001")]).await.expect_error(400, "invalid_request_error", Some("amount_too_large"));
        app.post(&path, &[("amount_to_capture", "0")]).await.expect_error(400, "invalid_request_error", Some("amount_too_small"));
        let captured = app.post(&path, &[("amount_to_capture", "8000")]).await.expect(200);
        assert_eq!(captured["status"], "succeeded");
        assert_eq!(captured["amount_received"], 8000);
        assert_eq!(captured["amount_capturable"], 0);
        // The worked example of docs/ledger.md: 80.00 captured, 2.57 fee.
        assert_eq!(app.get("/v2/balance").await.expect(200)["pending"], json!([{"amount": 7743, "currency": "eur"}]));
        app.post(&path, &[]).await.expect_error(400, "invalid_request_error", Some("payment_intent_unexpected_state"));
        app.assert_books().await;
    }

    async fn cancel_releases_the_hold(db) {
        let app = TestApp::start(&db).await;
        let held = app.pay(500, "pm_card_visa", &[("capture_method", "manual")]).await.expect(201);
        let path = format!("/v2/payment_intents/{}/cancel", held["id"].as_str().expect("an id"));
        let canceled = app.post(&path, &[("cancellation_reason", "duplicate")]).await.expect(200);
        assert_eq!(canceled["status"], "canceled");
        assert_eq!(canceled["cancellation_reason"], "duplicate");
        assert_eq!(canceled["amount_capturable"], 0);
        app.post(&path, &[]).await.expect_error(400, "invalid_request_error", Some("payment_intent_unexpected_state"));
        app.assert_books().await;
    }

    async fn an_increment_raises_the_hold(db) {
        let app = TestApp::start(&db).await;
        let held = app.pay(1000, "pm_card_visa", &[("capture_method", "manual")]).await.expect(201);
        let id = held["id"].as_str().expect("an id");
        let path = format!("/v2/payment_intents/{id}/increment_authorization");
        app.post(&path, &[("amount", "1000")]).await.expect_error(400, "invalid_request_error", Some("amount_too_small"));
        assert_eq!(app.post(&path, &[("amount", "1500")]).await.expect(200)["amount_capturable"], 1500);
        assert_eq!(app.post(&path, &[("amount", "1700")]).await.expect(200)["amount"], 1700);
        let captured = app.post(&format!("/v2/payment_intents/{id}/capture"), &[]).await.expect(200);
        assert_eq!(captured["amount_received"], 1700);
        app.assert_books().await;
    }

    async fn settlement_and_expiry_follow_the_test_clock(db) {
        let app = TestApp::start(&db).await;
        let clock = app.post("/v2/test_helpers/test_clocks", &[("frozen_time", "1790000000")]).await.expect(201);
        let clock = clock["id"].as_str().expect("an id").to_owned();
        let customer = app.post("/v2/customers", &[("test_clock", &clock), ("email", "a@example.com")]).await.expect(201);
        let customer = customer["id"].as_str().expect("an id");
        let paid = app.pay(10_000, "pm_card_visa", &[("customer", customer)]).await.expect(201);
        assert_eq!(paid["created"], 1_790_000_000);
        let held = app.pay(700, "pm_card_visa", &[("customer", customer), ("capture_method", "manual")]).await.expect(201);
        let advance = format!("/v2/test_helpers/test_clocks/{clock}/advance");
        app.post(&advance, &[("frozen_time", "1790000000")]).await.expect_error(400, "invalid_request_error", Some("parameter_invalid"));
        let advancing = app.post(&advance, &[("frozen_time", &(1_790_000_000 + 2 * 86_400).to_string())]).await.expect(200);
        assert_eq!(advancing["status"], "advancing");
        app.run_due().await;
        let balance = app.get("/v2/balance").await.expect(200);
        assert_eq!(balance["available"][0]["amount"], 9685);
        assert_eq!(balance["pending"][0]["amount"], 0);
        app.post(&advance, &[("frozen_time", &(1_790_000_000 + 8 * 86_400).to_string())]).await.expect(200);
        app.run_due().await;
        let ready = app.get(&format!("/v2/test_helpers/test_clocks/{clock}")).await.expect(200);
        assert_eq!(ready["status"], "ready");
        let expired = app.get(&format!("/v2/payment_intents/{}", held["id"].as_str().expect("an id"))).await.expect(200);
        assert_eq!(expired["status"], "canceled");
        assert_eq!(expired["cancellation_reason"], "automatic");
        assert_eq!(expired["canceled_at"], 1_790_000_000 + 7 * 86_400);
        app.assert_books().await;
    }

    async fn funds_of_the_bypass_card_are_available_at_once(db) {
        let app = TestApp::start(&db).await;
        app.pay(1000, "pm_card_bypassPending", &[]).await.expect(201);
        assert_eq!(app.get("/v2/balance").await.expect(200)["available"][0]["amount"], 946);
        app.assert_books().await;
    }

    async fn a_bank_debit_settles_later(db) {
        let app = TestApp::with(&db, testkit::AppOptions { settle_us: 0, ..Default::default() }).await;
        let sepa = [("payment_method_types[]", "sepa_debit")];
        let good = app.pay(2000, "pm_sepa_debit_success", &sepa).await.expect(201);
        let bad = app.pay(3000, "pm_sepa_debit_failure", &sepa).await.expect(201);
        assert_eq!((&good["status"], &bad["status"]), (&json!("processing"), &json!("processing")));
        app.run_due().await;
        let good = app.get(&format!("/v2/payment_intents/{}", good["id"].as_str().expect("an id"))).await.expect(200);
        let bad = app.get(&format!("/v2/payment_intents/{}", bad["id"].as_str().expect("an id"))).await.expect(200);
        assert_eq!(good["status"], "succeeded");
        assert_eq!(bad["status"], "requires_payment_method");
        assert_eq!(bad["last_payment_error"]["code"], "payment_method_provider_decline");
        app.assert_books().await;
    }
}
