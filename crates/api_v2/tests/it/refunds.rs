//! Giving money back, and where it comes from.

use serde_json::{Value, json};
use testkit::{AppOptions, TestApp};

fn id(object: &Value) -> String {
    object["id"].as_str().expect("an id").to_owned()
}

testkit::on_both_engines! {
    async fn partial_then_full_then_too_much(db) {
        let app = TestApp::start(&db).await;
        let payment = id(&app.pay(10_000, "pm_card_visa", &[]).await.expect(201));
        let part = app.post("/v2/refunds", &[("payment_intent", &payment), ("amount", "3000"), ("reason", "duplicate")]).await.expect(201);
        assert_eq!((part["status"].as_str(), part["amount"].as_i64()), (Some("succeeded"), Some(3000)));
        let error = app.post("/v2/refunds", &[("payment_intent", &payment), ("amount", "7001")]).await
            .expect_error(400, "invalid_request_error", None);
        assert_eq!(error["param"], "amount");
        let rest = app.post("/v2/refunds", &[("payment_intent", &payment)]).await.expect(201);
        assert_eq!(rest["amount"], 7000);
        app.post("/v2/refunds", &[("payment_intent", &payment)]).await
            .expect_error(400, "invalid_request_error", Some("charge_already_refunded"));
        let read = app.get(&format!("/v2/payment_intents/{payment}?expand[]=latest_charge")).await.expect(200);
        assert_eq!(read["status"], "succeeded");
        assert_eq!(read["latest_charge"]["amount_refunded"], 10_000);
        assert_eq!(read["latest_charge"]["refunded"], true);
        // The fee of 3.15 is kept, so that is what the merchant is short of.
        let balance = app.get("/v2/balance").await.expect(200);
        assert_eq!((&balance["available"][0]["amount"], &balance["pending"][0]["amount"]), (&json!(-315), &json!(0)));
        assert_eq!(app.get(&format!("/v2/payment_intents/{payment}/refunds")).await.expect(200)["data"].as_array().expect("a list").len(), 2);
        app.assert_books().await;
    }

    async fn every_payment_of_a_day_can_be_refunded_but_not_more(db) {
        let app = TestApp::start(&db).await;
        for _ in 0..3 {
            let payment = id(&app.pay(1000, "pm_card_visa", &[]).await.expect(201));
            app.post("/v2/refunds", &[("payment_intent", &payment)]).await.expect(201);
        }
        assert_eq!(app.get("/v2/balance").await.expect(200)["available"][0]["amount"], -3 * 54);
        app.assert_books().await;
    }

    async fn a_refund_may_be_pending_and_may_fail(db) {
        let app = TestApp::with(&db, AppOptions { settle_us: 0, ..Default::default() }).await;
        let later = id(&app.pay(1000, "pm_card_pendingRefund", &[]).await.expect(201));
        let pending = app.post("/v2/refunds", &[("payment_intent", &later)]).await.expect(201);
        assert_eq!(pending["status"], "pending");
        let failing = id(&app.pay(1000, "pm_card_refundFail", &[]).await.expect(201));
        let fails = app.post("/v2/refunds", &[("payment_intent", &failing), ("amount", "600")]).await.expect(201);
        app.assert_books().await;
        app.run_due().await;
        assert_eq!(app.get(&format!("/v2/refunds/{}", id(&pending))).await.expect(200)["status"], "succeeded");
        let failed = app.get(&format!("/v2/refunds/{}", id(&fails))).await.expect(200);
        assert_eq!(failed["status"], "failed");
        assert!(failed["failure_balance_transaction"].is_string());
        let open = app.get(&format!("/v2/payment_intents/{failing}?expand[]=latest_charge")).await.expect(200);
        assert_eq!(open["latest_charge"]["amount_refunded"], 0);
        app.assert_books().await;
    }

    async fn nothing_captured_nothing_refunded(db) {
        let app = TestApp::start(&db).await;
        let held = id(&app.pay(1000, "pm_card_visa", &[("capture_method", "manual")]).await.expect(201));
        app.post("/v2/refunds", &[("payment_intent", &held)]).await
            .expect_error(400, "invalid_request_error", Some("charge_not_refundable"));
        app.post("/v2/refunds", &[]).await.expect_error(400, "invalid_request_error", Some("parameter_missing"));
        app.post("/v2/refunds", &[("payment_intent", "pi_nonsense")]).await
            .expect_error(400, "invalid_request_error", Some("resource_missing"));
        app.assert_books().await;
    }
}
