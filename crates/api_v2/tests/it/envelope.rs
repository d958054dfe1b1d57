//! What every error says, unknown parameters, and bodies in either format.

use crate::support::{JSON, id, send};
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use testkit::TestApp;

const PAY: &str = "/v2/payment_intents";

/// An object without what is new in each.
fn comparable(mut object: Value) -> Value {
    for new in ["id", "created", "client_secret"] {
        object[new] = Value::Null;
    }
    object
}

testkit::on_both_engines! {
    async fn errors_say_what_where_and_who(db) {
        let app = TestApp::start(&db).await;
        let page = app.send(Request::get("/docs/errors").body(Body::empty()).expect("a request")).await;
        assert_eq!(page.status.as_u16(), 200);
        let answers = [
            app.post(PAY, &[("amount", "0"), ("currency", "eur")]).await,
            app.post(PAY, &[("amount", "10")]).await,
            app.post(PAY, &[("amount", "10"), ("currency", "eur"), ("amout", "1")]).await,
            app.get("/v2/customers/cus_00000000000000000").await,
            app.pay(100, "pm_card_chargeDeclined", &[]).await,
            app.get("/v2/nowhere").await,
            app.as_key(&app.pk, "GET".parse().expect("a method"), "/v2/balance", &[], None).await,
            app.as_key("sk_test_x", "GET".parse().expect("a method"), "/v2/balance", &[], None).await,
        ];
        for answer in answers {
            let error = answer.json["error"].as_object().expect("an error").clone();
            assert_eq!(answer.json.as_object().expect("an object").len(), 1, "{}", answer.text);
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(error["request_id"].as_str(), answer.header("x-request-id"));
            let kinds = ["invalid_request_error", "authentication_error", "permission_error", "card_error"];
            assert!(kinds.contains(&error["type"].as_str().expect("a type")));
            match error.get("code").and_then(Value::as_str) {
                Some(code) => {
                    assert_eq!(error["doc_url"], format!("http://api.test/docs/errors#{code}"));
                    assert!(page.text.contains(&format!("id=\"{code}\"")), "{code} is explained on the page");
                }
                None => assert!(!error.contains_key("doc_url"), "{}", answer.text),
            }
        }
        let declined = app.pay(100, "pm_card_chargeDeclinedInsufficientFunds", &[]).await.expect_error(402, "card_error", Some("card_declined"));
        assert_eq!(declined["decline_code"], "insufficient_funds");
        assert_eq!(declined["payment_intent"]["last_payment_error"]["decline_code"], "insufficient_funds");
        assert!(declined["charge"].as_str().is_some_and(|c| c.starts_with("ch_")));
        assert_eq!(declined["payment_method"]["card"]["last4"], "9995");
        let first = app.get("/v2/nowhere").await.header("x-request-id").map(str::to_owned);
        assert_ne!(first.as_deref(), app.get("/v2/nowhere").await.header("x-request-id"), "each request has its own id");
        let mine = send(&app, "GET", "/v2/nowhere", &[("x-request-id", "req_mine")], "").await;
        assert_ne!(mine.header("x-request-id"), Some("req_mine"), "a client cannot choose it");
    }

    async fn unknown_parameters_are_refused_with_a_guess(db) {
        let app = TestApp::start(&db).await;
        let base = [("amount", "100"), ("currency", "eur")];
        for (name, meant) in [("amout", Some("amount")), ("curency", Some("currency")), ("capture_methd", Some("capture_method")), ("discription", Some("description")), ("metdata[a]", Some("metadata")), ("shipping[adress][line1]", Some("shipping[address]")), ("foo", None), ("x", None)] {
            let error = app.post(PAY, &[&base[..], &[(name, "1")]].concat()).await.expect_error(400, "invalid_request_error", Some("parameter_unknown"));
            let message = error["message"].as_str().expect("a message");
            match meant {
                Some(meant) => assert!(message.contains(&format!("Did you mean '{meant}'?")), "{name}: {message}"),
                None => assert!(!message.contains("Did you mean"), "{name}: {message}"),
            }
        }
        for (path, name, meant) in [("/v2/customers?emal=a", "emal", "email"), ("/v2/payment_intents?custmer=a", "custmer", "customer"), ("/v2/events?limt=1", "limt", "limit")] {
            let error = app.get(path).await.expect_error(400, "invalid_request_error", Some("parameter_unknown"));
            assert_eq!(error["param"], name);
            assert!(error["message"].as_str().is_some_and(|m| m.contains(&format!("'{meant}'"))), "{error}");
        }
        assert_eq!(app.get(PAY).await.expect(200)["data"], json!([]));
    }

    async fn json_and_forms_mean_the_same(db) {
        let app = TestApp::start(&db).await;
        let form = [("amount", "4200"), ("currency", "EUR"), ("capture_method", "manual"), ("description", "Ünïcode & = + %"), ("metadata[order_id]", "7"), ("metadata[paid]", "true"), ("payment_method_types[]", "card"), ("receipt_email", "a@example.com"), ("shipping[name]", "N"), ("shipping[address][line1]", "L"), ("shipping[address][country]", "DE")];
        let by_form = app.post(PAY, &form).await.expect(201);
        let body = json!({"amount": 4200, "currency": "EUR", "capture_method": "manual", "description": "Ünïcode & = + %", "metadata": {"order_id": 7, "paid": true}, "payment_method_types": ["card"], "receipt_email": "a@example.com", "shipping": {"name": "N", "address": {"line1": "L", "country": "DE"}}, "customer": null});
        let by_json = app.post_json(PAY, &body.to_string()).await.expect(201);
        assert_eq!(comparable(by_form.clone()), comparable(by_json));
        assert_eq!(by_form["description"], "Ünïcode & = + %");
        assert_eq!(by_form["metadata"], json!({"order_id": "7", "paid": "true"}));
        let amount_as_text = app.post_json(PAY, r#"{"amount": "4200", "currency": "eur"}"#).await.expect(201);
        assert_eq!(amount_as_text["amount"], 4200);
        let list = [("payment_method_types[0]", "card"), ("payment_method_types[1]", "sepa_debit")];
        let indexed = app.post(PAY, &[&[("amount", "1"), ("currency", "eur")][..], &list].concat()).await.expect(201);
        assert_eq!(indexed["payment_method_types"], json!(["card", "sepa_debit"]));
        let path = format!("{PAY}/{}", id(&by_form));
        for (unset, field) in [(r#"{"description": null}"#, "description"), (r#"{"receipt_email": ""}"#, "receipt_email"), (r#"{"shipping": null}"#, "shipping")] {
            assert_eq!(app.post_json(&path, unset).await.expect(200)[field], Value::Null, "{unset}");
        }
        send(&app, "POST", PAY, &[JSON], "").await.expect_error(400, "invalid_request_error", Some("parameter_missing"));
        let query = app.post(&format!("{PAY}?amount=5&currency=eur"), &[]).await.expect(201);
        assert_eq!(query["amount"], 5);
    }
}
