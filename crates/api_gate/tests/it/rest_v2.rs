//! What REST v2 shows of Gate's payments, and what it may do with them.

use crate::support::{AT_ONCE, allow_debts, assert_states};
use serde_json::{Value, json};
use testkit::TestApp;
use testkit::gate::{REFUND, Shop};

const SALE: (&str, &str, i64, &str) = ("sale", "success", 0, "operation successfully processed");
const REFUNDED: (&str, &str, i64, &str) = ("refund", "success", 0, "refund successful");

async fn with_cost(app: &TestApp) -> Shop {
    let shop = Shop::open(app).await;
    app.engine.change_storefront(shop.service, None, |s| s.surcharge = 54).await.expect("a cost");
    shop
}

fn id(object: &Value) -> String {
    object["id"].as_str().expect("an id").to_owned()
}

testkit::on_both_engines! {
    async fn a_purchase_is_a_payment(db) {
        let app = TestApp::start(&db).await;
        let shop = with_cost(&app).await;
        let uuid = shop.buy("order-1", "100.00").await;
        let payment = shop.payment_of("order-1").await;
        assert_eq!((&payment["amount"], &payment["currency"]), (&json!(10_054), &json!("eur")));
        assert_eq!((&payment["status"], &payment["metadata"]), (&json!("requires_payment_method"), &json!({ "payment_id": "order-1" })));
        let path = format!("/v2/payment_intents/{}", id(&payment));
        // What is owed and how belongs to the signed request.
        for change in [("amount", "1"), ("amount", "10000"), ("currency", "usd"), ("capture_method", "manual")] {
            let answer = app.post(&path, &[change]).await;
            assert_eq!(answer.status, 400, "{change:?}: {}", answer.text);
            assert_eq!(answer.json["error"]["param"], change.0, "{}", answer.text);
        }
        assert_eq!(app.get(&path).await.expect(200)["amount"], 10_054);

        app.post(&format!("{path}/confirm"), &[("payment_method", "pm_card_visa")]).await.expect(200);
        assert_states(&shop.status(&uuid).await, "success", &[SALE]);
        let customer = app.get(&format!("/v2/customers/{}", payment["customer"].as_str().expect("a customer"))).await.expect(200);
        assert_eq!((&customer["email"], &customer["name"]), (&json!("payer@example.com"), &json!("Ada Payer")));
        app.assert_books().await;
    }

    async fn a_change_there_ends_a_try_here(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        app.engine.change_storefront(shop.service, None, |s| s.attempts_max = 2).await.expect("few tries");
        let uuid = shop.sell("order-1", "10.00", "pm_card_threeDSecureRequired").await;
        assert_eq!(shop.status(&uuid).await["operations"][0]["status"], "processing");
        let path = format!("/v2/payment_intents/{}", id(&shop.payment_of("order-1").await));
        app.post(&path, &[("payment_method", "pm_card_visa")]).await.expect(200);
        let given_up = shop.status(&uuid).await;
        assert_eq!(given_up["operations"][0]["status"], "internal_error", "{given_up}");
        // The payer's last try ends the page with it.
        shop.pay(&uuid, "pm_card_threeDSecureRequired").await;
        app.post(&path, &[("payment_method", "pm_card_visa")]).await.expect(200);
        assert_eq!(shop.status(&uuid).await["status"], "failed");
        app.assert_books().await;
    }

    async fn its_refunds_end_at_the_own_amount(db) {
        let app = TestApp::start(&db).await;
        allow_debts(&app).await;
        let shop = with_cost(&app).await;
        let uuid = shop.sell("order-1", "100.00", AT_ONCE).await;
        let payment = id(&shop.payment_of("order-1").await);
        let refund = |amount: &'static str| {
            let (app, payment) = (app.clone(), payment.clone());
            async move { app.post("/v2/refunds", &[("payment_intent", &payment), ("amount", amount)]).await }
        };
        refund("10001").await.expect(400);
        refund("2500").await.expect(201);
        assert_states(&shop.status(&uuid).await, "partially_refunded", &[SALE, REFUNDED]);
        refund("7501").await.expect(400);
        // Both sides count together.
        shop.call(REFUND, &shop.refund_of(&uuid, "25.00", "x")).await.expect(200);
        refund("5001").await.expect(400);
        // Without an amount it is what is left.
        let rest = app.post("/v2/refunds", &[("payment_intent", &payment)]).await.expect(201);
        assert_eq!(rest["amount"], 5_000);
        let transaction = shop.status(&uuid).await;
        assert_states(&transaction, "refunded", &[SALE, REFUNDED, REFUNDED, REFUNDED]);
        let amounts: Vec<_> = transaction["operations"].as_array().expect("operations").iter().map(|o| o["amount"].clone()).collect();
        assert_eq!(amounts, ["100.54", "25.00", "25.00", "50.00"]);
        app.assert_books().await;
    }

    async fn events_and_endpoints_of_gate_are_not_listed(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let receiver = testkit::Receiver::start().await;
        let own = app.engine.create_service_webhook(shop.service, receiver.url.clone()).await.expect("a webhook");
        let body = shop.purchase_with_callback("order-1", "10.00", &receiver.url);
        let uuid = shop.create(testkit::gate::PURCHASE, &body).await;
        shop.pay(&uuid, AT_ONCE).await;
        let listed = app.get("/v2/events?limit=100").await.expect(200);
        let types: Vec<&str> = listed["data"].as_array().expect("a list").iter().filter_map(|e| e["type"].as_str()).collect();
        assert!(types.contains(&"payment_intent.created") && types.contains(&"payment_intent.succeeded"), "{types:?}");
        assert!(types.iter().all(|t| !t.starts_with("gate.")), "{types:?}");
        for filter in ["gate.transaction.updated", "gate.operation.updated", "gate.*"] {
            let answer = app.get(&format!("/v2/events?type={filter}")).await;
            assert!(answer.status == 400 || answer.json["data"] == json!([]), "{filter}: {}", answer.text);
        }
        assert_eq!(app.get("/v2/webhook_endpoints").await.expect(200)["data"], json!([]));
        let path = format!("/v2/webhook_endpoints/{}", own.id);
        app.get(&path).await.expect(404);
        app.get(&format!("{path}/deliveries")).await.expect(404);
        app.post(&path, &[("disabled", "true")]).await.expect(404);
        app.post(&format!("{path}/rotate_secret"), &[]).await.expect(404);
        app.delete(&path).await.expect(404);
        assert_eq!(app.engine.service_webhooks(shop.service).await.expect("webhooks").len(), 1);
        // An endpoint for all events of REST v2 is not sent Gate's.
        let wanted = app.post("/v2/webhook_endpoints", &[("url", &receiver.url), ("enabled_events[]", "gate.transaction.updated")]).await;
        wanted.expect(400);
    }

    async fn a_cancel_there_is_a_failure_here(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let uuid = shop.buy("order-1", "10.00").await;
        let payment = id(&shop.payment_of("order-1").await);
        app.post(&format!("/v2/payment_intents/{payment}/cancel"), &[]).await.expect(200);
        assert_states(&shop.status(&uuid).await, "failed", &[("sale", "internal_error", 0, "operation failed")]);
        assert!(!app.engine.checkout(uuid).await.expect("a page").payable());
    }
}
