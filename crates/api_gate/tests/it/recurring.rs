//! Recurring transactions: stored, shown, canceled, expired. None is charged yet.

use crate::support::{assert_states, figure, refused};
use serde_json::{Value, json};
use testkit::TestApp;
use testkit::gate::{CANCEL, RECURRING, REFUND, Shop};

fn plan(shop: &Shop, name: &str, terms: Value) -> Value {
    let mut body = shop.purchase(name, "12.32");
    body["recurring"] = terms;
    body
}

async fn cancel(shop: &Shop, name: &str) -> testkit::Answer {
    shop.call(CANCEL, &json!({ "meta": { "service_id": shop.service, "payment_id": name } })).await
}

testkit::on_both_engines! {
    async fn stored_and_canceled(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let body = plan(&shop, "plan-1", json!({ "enabled": true, "cycle_days": 30 }));
        let answer = shop.call(RECURRING, &body).await.expect(200);
        assert!(answer["meta"]["message"].as_str().is_some_and(|m| m.contains("cannot be charged yet")), "{answer}");
        let uuid = testkit::gate::uuid_of(&answer);
        let stored = shop.status(&uuid).await;
        assert_states(&stored, "created", &[("subscription", "init", 0, "awaiting first payment")]);
        let gate = &stored["metadata"]["gate"];
        assert_eq!(gate["end_date"], "Infinite (until cancellation/expiration)");
        assert_eq!((&gate["customer_id"], &gate["subscription_id"]), (&json!("ERR"), &json!("ERR")));
        assert_eq!(stored["operations"][0]["metadata"], json!({ "subscription_data": [] }));
        refused(shop.call(REFUND, &shop.refund_of(&uuid, "1.00", "x")).await, 422, 422, Some("meta.transaction_uuid"));

        for _ in 0..2 {
            let answer = cancel(&shop, "plan-1").await.expect(200);
            assert_eq!(answer["meta"]["message"], "Transaction is cancelling");
            assert_states(&answer["data"], "canceled", &[("subscription", "internal_error", 0, "operation failed")]);
        }
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM payments").await, 0);
    }

    async fn only_a_cancellation_cancels(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let mut order = shop.purchase("plan-1", "10.00");
        order["recurring"] = json!({ "enabled": true, "cycle_days": 30 });
        shop.create(RECURRING, &order).await;
        // Neither the body that ordered it nor a callback, whoever has seen them.
        for body in [order, json!({
            "meta": { "service_id": shop.service, "payment_id": "plan-1", "type": "transaction" },
            "data": { "transaction": {} },
        })] {
            refused(shop.call(CANCEL, &body).await, 422, 422, Some(if body["data"].is_null() { "payment" } else { "data" }));
        }
        cancel(&shop, "plan-1").await.expect(200);
    }

    async fn what_cannot_be_canceled(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        shop.buy("order-1", "1.00").await;
        refused(cancel(&shop, "order-1").await, 422, 422, Some("meta.payment_id"));
        refused(cancel(&shop, "nothing").await, 404, 404, None);
        let uuid = shop.create(RECURRING, &plan(&shop, "plan-1", json!({ "enabled": true, "cycle_days": 1 }))).await;
        let change = |tx: &mut store::Tx<'_>| tx.execute("UPDATE gate_transactions SET expires_at = 1 WHERE kind = 'recurring'", &[]);
        app.store.write::<_, store::StoreError, _>(change).await.expect("its time is over");
        app.run_due().await;
        assert_eq!(shop.status(&uuid).await["status"], "expired");
        refused(cancel(&shop, "plan-1").await, 422, 422, Some("meta.payment_id"));
    }

    async fn terms_that_make_no_sense(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        for (terms, field) in [
            (json!(null), "recurring.enabled"), (json!([1]), "recurring"), (json!({ "enabled": false, "cycle_days": 1 }), "recurring.enabled"),
            (json!({ "enabled": true }), "recurring.cycle_days"), (json!({ "enabled": true, "cycle_days": 0 }), "recurring.cycle_days"),
            (json!({ "enabled": true, "cycle_days": -1 }), "recurring.cycle_days"), (json!({ "enabled": true, "cycle_days": 1_000_000_000 }), "recurring.cycle_days"),
            (json!({ "enabled": true, "cycle_days": 1.5 }), "recurring.cycle_days"),
            (json!({ "enabled": true, "cycle_days": 1, "trial_days": -1 }), "recurring.trial_days"),
            (json!({ "enabled": true, "cycle_days": 1, "end_date": "2020-01-01" }), "recurring.end_date"),
            (json!({ "enabled": true, "cycle_days": 1, "start_date": "1970-01-01" }), "recurring.start_date"),
            (json!({ "enabled": true, "cycle_days": 1, "start_date": "2027-12-31T00:00:00+00:00", "end_date": "2027-12-01" }), "recurring.end_date"),
            (json!({ "enabled": true, "cycle_days": 1, "start_date": "2027-12-01", "end_date": "2027-12-31", "trial_days": 60 }), "recurring.trial_days"),
            (json!({ "enabled": true, "cycle_days": 1, "end_date": "2027-02-29" }), "recurring.end_date"),
        ] {
            let answer = shop.call(RECURRING, &plan(&shop, "plan-1", terms)).await;
            refused(answer, 422, 422, Some(field));
        }
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM gate_transactions").await, 0);
    }
}
