//! `expand[]` on one object, on lists and on commands.

use crate::support::{assert_same_rows, data, id, rows};
use serde_json::Value;
use testkit::TestApp;

const PAY: &str = "/v2/payment_intents";
const INVALID: Option<&str> = Some("expand_invalid");

testkit::on_both_engines! {
    async fn paths_lead_through_objects_to_four_levels(db) {
        let app = TestApp::start(&db).await;
        let customer = id(&app.post("/v2/customers", &[("name", "A")]).await.expect(201));
        let method = id(&app.post("/v2/payment_methods/pm_card_visa/attach", &[("customer", &customer)]).await.expect(200));
        app.post(&format!("/v2/customers/{customer}"), &[("invoice_settings[default_payment_method]", &method)]).await.expect(200);
        let paid = app.pay(1000, &method, &[("customer", &customer)]).await.expect(201);
        let path = format!("{PAY}/{}", id(&paid));
        let plain = app.get(&path).await.expect(200);
        for field in ["customer", "payment_method", "latest_charge"] {
            assert!(plain[field].is_string(), "{field} is an id: {plain}");
            let one = app.get(&format!("{path}?expand[]={field}")).await.expect(200);
            assert_eq!(one[field]["id"], plain[field]);
            let mut back = one.clone();
            back[field] = plain[field].clone();
            assert_eq!(back, plain, "only {field} differs");
        }
        let deep = app.get(&format!("{path}?expand[]=latest_charge.balance_transaction.source.payment_intent")).await.expect(200);
        let innermost = &deep["latest_charge"]["balance_transaction"]["source"]["payment_intent"];
        assert_eq!((&innermost["id"], &innermost["customer"]), (&plain["id"], &plain["customer"]));
        let two = app.get(&format!("{path}?expand[]=latest_charge.customer&expand[]=latest_charge.balance_transaction&expand[]=customer.invoice_settings.default_payment_method")).await.expect(200);
        assert_eq!(two["latest_charge"]["customer"]["name"], "A");
        assert!(two["latest_charge"]["balance_transaction"]["net"].is_i64());
        assert_eq!(two["customer"]["invoice_settings"]["default_payment_method"]["id"], method.as_str());
        let listed = app.get(&format!("{PAY}?expand[]=data.latest_charge.balance_transaction&expand[]=data.customer")).await.expect(200);
        assert_eq!(data(&listed)[0]["latest_charge"]["balance_transaction"]["amount"], 1000);
        assert_eq!(data(&listed)[0]["customer"]["name"], "A");
        let json = app.post_json(PAY, &format!(r#"{{"amount": 5, "currency": "eur", "customer": "{customer}", "expand": ["customer"]}}"#)).await.expect(201);
        assert_eq!(json["customer"]["name"], "A");
        // What is null stays null.
        let open = id(&app.post(PAY, &[("amount", "5"), ("currency", "eur")]).await.expect(201));
        let nothing = app.get(&format!("{PAY}/{open}?expand[]=latest_charge.balance_transaction&expand[]=customer")).await.expect(200);
        assert_eq!((&nothing["latest_charge"], &nothing["customer"]), (&Value::Null, &Value::Null));
    }

    async fn wrong_paths_are_refused_before_anything_is_done(db) {
        let app = TestApp::start(&db).await;
        let customer = id(&app.post("/v2/customers", &[]).await.expect(201));
        let payment = id(&app.post(PAY, &[("amount", "5"), ("currency", "eur"), ("customer", &customer)]).await.expect(201));
        let before = rows(&app).await;
        for bad in ["latest_charge.balance_transaction.source.payment_intent.customer", "amount", "latest_charge.", ".customer", "customer..test_clock", "", "data.customer", "customer.payments", "Customer", "metadata", "x".repeat(200).as_str(), "customer\u{1b}[0m", "__proto__"] {
            let form = testkit::form_body(&[("expand[]", bad)]);
            for answer in [app.get(&format!("{PAY}/{payment}?{form}")).await, app.post(PAY, &[("amount", "5"), ("currency", "eur"), ("expand[]", bad)]).await] {
                assert_eq!((answer.status.as_u16(), &answer.json["error"]["type"]), (400, &"invalid_request_error".into()), "{bad}: {}", answer.text);
                assert!(answer.json["error"]["param"].as_str().is_some_and(|p| p.starts_with("expand")), "{bad}: {}", answer.text);
            }
        }
        app.get(&format!("{PAY}?expand[]=customer")).await.expect_error(400, "invalid_request_error", INVALID);
        let nine: Vec<(&str, &str)> = [("amount", "5"), ("currency", "eur")].into_iter().chain([("expand[]", "customer"); 9]).collect();
        app.post(PAY, &nine).await.expect_error(400, "invalid_request_error", Some("expand_too_many"));
        assert_same_rows(&before, &rows(&app).await, "wrong paths");
        assert_eq!(app.post(PAY, &nine[..10]).await.expect(201)["customer"], Value::Null, "eight are allowed");
        let twenty = "&expand[]=customer".repeat(20);
        assert!(app.get(&format!("{PAY}/{payment}?{}", &twenty[1..])).await.expect(200)["customer"].is_object());
        app.get(&format!("{PAY}/{payment}?{}&expand[]=customer", &twenty[1..])).await.expect_error(400, "invalid_request_error", Some("expand_too_many"));
    }

    async fn a_repetition_expands_as_the_first_did(db) {
        let app = TestApp::start(&db).await;
        let form = [("amount", "100"), ("currency", "eur"), ("payment_method", "pm_card_visa"), ("confirm", "true"), ("expand[]", "latest_charge.balance_transaction")];
        let first = app.post_once("k", PAY, &form).await;
        assert_eq!(first.json["latest_charge"]["balance_transaction"]["fee"], 28);
        assert_eq!(app.post_once("k", PAY, &form).await.text, first.text);
        let without = app.post_once("k", PAY, &form[..4]).await;
        without.expect_error(400, "idempotency_error", Some("idempotency_key_reused"));
    }

    async fn a_publishable_key_expands_nothing(db) {
        let app = TestApp::start(&db).await;
        let open = app.post(PAY, &[("amount", "5"), ("currency", "eur")]).await.expect(201);
        let secret = open["client_secret"].as_str().expect("a secret");
        let path = format!("{PAY}/{}?client_secret={secret}&expand[]=customer", id(&open));
        app.as_key(&app.pk, "GET".parse().expect("a method"), &path, &[], None).await.expect_error(400, "invalid_request_error", INVALID);
    }
}
