//! The day of a merchant's server: from an organisation to a refund, and the same payment over REST v2.

use crate::support::{VISA, rows};
use domain::id::{AttemptId, Core, PaymentId, TypedId};
use http::Method;
use serde_json::{Value, json};
use testkit::TestApp;
use testkit::office::{Office, text};

testkit::on_both_engines! {
    async fn sells_refunds_and_sees_it_on_both_surfaces(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let made = office.post("/providers", &json!({ "type": "sandbox", "label": "Test acquirer", "config": { "apiKey": "sandbox_0123456789abcdef" } })).await.expect(201);
        assert_eq!(made["config"]["apiKey"], "••••cdef");
        let tested = office.post(&format!("/providers/{}/test", text(&made["id"])), &json!({})).await.expect(200);
        assert_eq!(tested["ok"], true);
        let chosen = json!({ "providerIds": [made["id"]], "defaultProviderId": made["id"], "branding": { "primaryColor": "#0a7f5a" } });
        office.put(&format!("/sites/{}", office.site), &chosen).await.expect(200);

        let checkout = office.checkout(&json!({
            "email": "jo@example.com",
            "returnUrl": "https://shop.example/success?txId={transactionId}",
            "cancelUrl": "https://shop.example/cart",
            "items": [
                { "name": "Mug & saucer", "quantity": 2, "unitPrice": 2500, "vatRate": 19, "itemType": "goods" },
                { "name": "Shipping", "quantity": 1, "unitPrice": 400, "vatRate": "7.25", "itemType": "shipping" },
                { "quantity": 1, "unitPrice": -500 },
            ],
            "billingAddress": { "firstName": "Jo", "lastName": "Doe", "address1": "Main 1", "city": "Graz", "postcode": "8010", "country": "at", "phone": "" },
            "shippingAddress": { "firstName": "", "lastName": "", "address1": "", "country": "" },
            "metadata": { "cart": "77" },
        })).await.expect(200);
        assert_eq!((&checkout["status"], &checkout["amount"], &checkout["currency"]), (&json!("open"), &json!(4900), &json!("EUR")));
        assert_eq!(checkout["items"][1]["vatRate"], json!(7.25));
        assert_eq!(checkout["items"][2]["itemType"], "discount");
        assert_eq!(checkout["billingAddress"]["country"], "AT");
        assert_eq!(checkout["shippingAddress"], Value::Null);
        let code = text(&checkout["shortCode"]);
        assert_eq!(checkout["paymentUrl"], json!(format!("http://public.test/checkout/{code}")));
        assert!(code.len() == 22 && checkout["sessionPublicId"] == checkout["shortCode"], "{checkout}");

        let shown = office.browser(Method::GET, &format!("/checkouts/{code}"), None).await.expect(200);
        assert_eq!((&shown["status"], &shown["branding"]["primaryColor"]), (&json!("pending"), &json!("#0a7f5a")));
        assert_eq!(shown["lineItems"][0], json!({ "name": "Mug & saucer", "quantity": 2, "unitAmount": 2500 }));
        assert!(shown.get("metadata").is_none() && shown.get("externalReference").is_none(), "{shown}");

        let paid = office.pay(&checkout, VISA).await.expect(200);
        assert_eq!((&paid["status"], &paid["statusCode"]), (&json!("succeeded"), &json!(1)));
        let id = text(&paid["id"]);
        assert_eq!(paid["returnUrl"], json!(format!("https://shop.example/success?txId={id}")));
        // Sent again it pays nothing more.
        assert_eq!(office.pay(&checkout, VISA).await.expect(200)["id"], json!(id));

        let seen = office.get(&format!("/transactions/{id}")).await.expect(200);
        for (name, expected) in [
            ("status", json!("succeeded")), ("statusCode", json!(1)), ("amount", json!(4900)), ("currency", json!("EUR")),
            ("checkoutId", checkout["id"].clone()), ("siteId", json!(office.site)), ("providerId", made["id"].clone()),
            ("externalReference", json!("order-1")), ("refundedAmount", json!(0)), ("metadata", json!({ "cart": "77" })),
            ("paymentMethod", json!({ "type": "card", "brand": "visa", "last4": "4242" })),
        ] {
            assert_eq!(seen[name], expected, "{name}");
        }
        let kinds: Vec<&str> = seen["timeline"].as_array().expect("rows").iter().filter_map(|row| row["type"].as_str()).collect();
        assert!(kinds.contains(&"attempt") && kinds.contains(&"event") && kinds.contains(&"journal"), "{kinds:?}");
        let journal = seen["timeline"].as_array().expect("rows").iter().find(|row| row["name"] == "sale").expect("a sale");
        let side = |name: &str| journal["entries"].as_array().expect("entries").iter().filter_map(|e| e[name].as_i64()).sum::<i64>();
        assert_eq!((side("debit"), side("credit")), (4900, 4900), "{journal}");

        let refunded = office.post_once("refund-1", &format!("/transactions/{id}/refund"), &json!({ "amount": 1000, "reason": "one mug" })).await.expect(200);
        assert_eq!((&refunded["status"], &refunded["refundedAmount"]), (&json!("succeeded"), &json!(1000)));
        let again = office.post_once("refund-1", &format!("/transactions/{id}/refund"), &json!({ "amount": 1000, "reason": "one mug" })).await;
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(again.expect(200), refunded);
        let rest = office.post(&format!("/transactions/{id}/refund"), &json!({})).await.expect(200);
        assert_eq!((&rest["status"], &rest["statusCode"], &rest["refundedAmount"]), (&json!("refunded"), &json!(3), &json!(4900)));

        let told = "SELECT COUNT(*) FROM audit_log WHERE kind = 'money_moved' AND actor LIKE 'akey_%' AND detail LIKE 'refund %'";
        assert_eq!(crate::support::figure(&app, told).await, 2, "a replay moves nothing");

        // The same payment over REST v2, with a key of the same merchant.
        let merchant = domain::id::MerchantId::from_core(Core::parse_hex(&office.organization).expect("an id"));
        let scope = domain::scope::Scope { merchant, mode: domain::scope::Mode::Test };
        let (_, key) = app.engine.create_key(scope, domain::merchant::KeyKind::Secret, String::new()).await.expect("a key");
        let payment = PaymentId::from_core(Core::parse_hex(&text(&checkout["id"])).expect("an id"));
        let charge = AttemptId::from_core(Core::parse_hex(&id).expect("an id"));
        let intent = app.as_key(&key, Method::GET, &format!("/v2/payment_intents/{payment}"), &[], None).await.expect(200);
        assert_eq!((&intent["status"], &intent["amount_received"], &intent["latest_charge"]), (&json!("succeeded"), &json!(4900), &json!(charge.to_string())));
        let listed = rows(office.get("/transactions?status=refunded").await, "transactions");
        assert_eq!(listed.len(), 1);
        app.assert_books().await;
    }
}
