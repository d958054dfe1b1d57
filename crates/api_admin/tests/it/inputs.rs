//! What is wrong with a request is said by name, and changes nothing.

use crate::support::{figure, refused};
use axum::body::Body;
use axum::http::{Request, header};
use serde_json::{Value, json};
use testkit::TestApp;
use testkit::office::Office;

testkit::on_both_engines! {
    async fn checkouts_that_cannot_be(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let item = |quantity: Value, price: Value| json!({ "items": [{ "name": "x", "quantity": quantity, "unitPrice": price }] });
        for (more, status, code, field) in [
            (json!({ "amount": null }), 400, "parameter_missing", "amount"),
            (json!({ "amount": 0 }), 422, "amount_out_of_range", "amount"),
            (json!({ "amount": -1 }), 422, "amount_out_of_range", "amount"),
            (json!({ "amount": 1.5 }), 400, "parameter_invalid_integer", "amount"),
            (json!({ "amount": "49.00" }), 400, "parameter_invalid_integer", "amount"),
            (json!({ "amount": 1e30 }), 400, "parameter_invalid_integer", "amount"),
            (json!({ "amount": 1_000_000_000_000_i64 }), 422, "amount_out_of_range", "amount"),
            (json!({ "amount": [] }), 400, "parameter_invalid_integer", "amount"),
            (json!({ "currency": null }), 400, "parameter_missing", "currency"),
            (json!({ "currency": "EURO" }), 422, "currency_invalid", "currency"),
            (json!({ "currency": "XAU" }), 422, "currency_invalid", "currency"),
            (json!({ "currency": "ISK" }), 422, "currency_not_supported", "currency"),
            (json!({ "externalReference": null }), 400, "reference_missing", "externalReference"),
            (json!({ "email": "no address" }), 422, "email_invalid", "email"),
            (json!({ "returnUrl": "javascript:alert(1)" }), 422, "url_invalid", "returnUrl"),
            (json!({ "returnUrl": "//evil.example/a" }), 422, "url_invalid", "returnUrl"),
            (json!({ "returnUrl": "https://u:p@shop.example/" }), 422, "url_invalid", "returnUrl"),
            (json!({ "cancelUrl": "data:text/html,x" }), 422, "url_invalid", "cancelUrl"),
            (json!({ "ipnUrl": "https://169.254.169.254/a" }), 422, "url_invalid", "ipnUrl"),
            (json!({ "ipnUrl": "http://shop.example/" }), 422, "url_invalid", "ipnUrl"),
            (json!({ "clientId": "65f000000000000000000001" }), 404, "not_found", "clientId"),
            (json!({ "clientId": "cus_1" }), 400, "id_invalid", "clientId"),
            (json!({ "expiresIn": 1 }), 400, "parameter_invalid_integer", "expiresIn"),
            (item(json!(2), json!(2_000)), 422, "items_sum_mismatch", "items"),
            (item(json!(1_000_000), json!(i64::MAX)), 400, "parameter_invalid_integer", "items[0].unitPrice"),
            (item(json!(1_000_000), json!(999_999_999_999_i64)), 422, "items_sum_mismatch", "items"),
            (item(json!(0), json!(4_900)), 400, "parameter_invalid_integer", "items[0].quantity"),
            (item(json!(1), json!("49.00")), 400, "parameter_invalid_integer", "items[0].unitPrice"),
            (json!({ "items": [{ "name": "x" }] }), 400, "parameter_missing", "items[0].unitPrice"),
            (json!({ "items": [{ "unitPrice": 4900, "vatRate": "19%" }] }), 422, "vat_rate_invalid", "items[0][vatRate]"),
            (json!({ "items": [{ "unitPrice": 4900, "itemType": "gift" }] }), 400, "parameter_invalid_enum", "items[0].itemType"),
            (json!({ "items": "x" }), 400, "parameter_invalid_array", "items"),
            (json!({ "billingAddress": { "country": "Austria" } }), 422, "country_invalid", "billingAddress.country"),
            (json!({ "metadata": { "k": "v".repeat(501) } }), 400, "parameter_invalid_metadata", "metadata.k"),
            (json!({ "metadata": { "card": "4242424242424242" } }), 400, "parameter_invalid_metadata", "metadata.card"),
            (json!({ "language": "1" }), 422, "language_invalid", "language"),
        ] {
            let answer = office.checkout(&more).await;
            let told = answer.json["details"]["field"].as_str().unwrap_or_default().replace("[vatRate]", ".vatRate");
            let shown = format!("{more}: {}", answer.text);
            let message = refused(answer, status, code);
            assert_eq!(told, field.replace("[vatRate]", ".vatRate"), "{shown}");
            assert!(message.len() > 10, "{shown}");
        }
        let mismatch = refused(office.checkout(&item(json!(2), json!(2_000))).await, 422, "items_sum_mismatch");
        assert!(mismatch.contains("sum of item amounts") && mismatch.contains("does not match total amount"), "{mismatch}");
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM checkouts").await, 0);
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM customers").await, 0);
    }

    async fn fields_that_nobody_may_set_have_no_effect(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let made = office.checkout(&json!({
            "status": "completed", "organizationId": "65f000000000000000000001", "merchantId": "x", "mode": "live",
            "shortCode": "chosen", "id": "65f000000000000000000001", "createdAt": "1999-01-01T00:00:00Z", "fee": 0, "unknown": { "a": [1] },
        })).await.expect(200);
        assert_eq!((&made["status"], &made["mode"]), (&json!("open"), &json!("test")));
        assert_ne!(made["shortCode"], "chosen");
        assert_ne!(made["id"], "65f000000000000000000001");
    }

    async fn pages_of_lists(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        for (query, status, code) in [
            ("page=0", 400, "parameter_invalid_integer"),
            ("page=-1", 400, "parameter_invalid_integer"),
            ("page=x", 400, "parameter_invalid_integer"),
            ("page=1000000000000", 400, "page_too_deep"),
            ("page=99999999999999999999", 400, "parameter_invalid_integer"),
            ("limit=0", 400, "parameter_invalid_integer"),
            ("limit=-5", 400, "parameter_invalid_integer"),
            ("limit=1&limit=2", 400, "parameter_duplicate"),
            ("status=gone", 400, "status_unknown"),
            ("from=yesterday", 400, "instant_invalid"),
            ("from=2023-02-29", 400, "instant_invalid"),
            ("siteId=1", 400, "id_invalid"),
            ("externalReference=", 400, "parameter_invalid_empty"),
        ] {
            refused(office.get(&format!("/transactions?{query}")).await, status, code);
        }
        let page = office.get("/transactions?limit=1000000000&status=canceled&from=2026-01-01&to=2026-12-31T00:00:00Z").await.expect(200);
        assert_eq!((&page["limit"], &page["total"], &page["transactions"]), (&json!(100), &json!(0), &json!([] as [Value; 0])));
        for list in ["/checkouts?page=0", "/sites?page=0", "/providers?page=0"] {
            refused(office.get(list).await, 400, "parameter_invalid_integer");
        }
        refused(office.get("/transactions/cus_1").await, 404, "not_found");
        refused(office.get("/transactions/65F000000000000000000001").await, 404, "not_found");
    }

    async fn bodies_are_json_and_nothing_else(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let send = async |kind: Option<&str>, body: Vec<u8>| {
            let mut request = Request::post("/api/v1/sites").header(header::AUTHORIZATION, format!("Bearer {}", office.key));
            if let Some(kind) = kind {
                request = request.header(header::CONTENT_TYPE, kind);
            }
            app.admin(request.body(Body::from(body)).expect("a request")).await
        };
        let good = br#"{"name":"x"}"#.to_vec();
        for kind in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("multipart/form-data"), Some("application/json; charset=utf-7")] {
            refused(send(kind, good.clone()).await, 415, "content_type_unsupported");
        }
        for body in [&b"{"[..], b"[]", b"{\"name\":\"x\",\"name\":\"y\"}", b"{\"name\":\"\\ud800\"}", b"\xff", b"{\"name\":\"x\"} trailing"] {
            let answer = send(Some("application/json"), body.to_vec()).await;
            assert_eq!(answer.status.as_u16(), 400, "{}", answer.text);
        }
        refused(send(Some("application/json"), vec![b' '; 70_000]).await, 413, "body_too_large");
        let deep = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
        assert_eq!(send(Some("application/json"), deep.into_bytes()).await.status.as_u16(), 400);
        send(Some("application/json; charset=UTF-8"), good).await.expect(201);
    }

    async fn nothing_of_a_body_stands_in_the_address(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let card = "paymentMethod[type]=card&paymentMethod[card][number]=4242424242424242";
        let answer = office.browser(axum::http::Method::POST, &format!("/transactions/create?{card}"), None).await;
        let message = refused(answer, 400, "parameter_in_query");
        assert!(!message.contains("4242"), "{message}");
        refused(office.post("/providers?type=sandbox", &json!({})).await, 400, "parameter_in_query");
        let once = office.post_once("k", "/sites", &json!({ "name": "x" })).await;
        refused(once, 400, "idempotency_not_supported");
    }

    async fn payers_cards_that_cannot_be(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let checkout = office.checkout(&json!({})).await.expect(200);
        let pay = async |method: Value| {
            let body = json!({ "sessionPublicId": checkout["sessionPublicId"], "paymentMethod": method });
            office.browser(axum::http::Method::POST, "/transactions/create", Some(&body)).await
        };
        let card = |number: &str, month: Value, year: Value, cvc: &str| {
            json!({ "type": "card", "card": { "number": number, "expMonth": month, "expYear": year, "cvc": cvc } })
        };
        for (method, status, code) in [
            (json!({}), 400, "parameter_missing"),
            (json!({ "type": "cash" }), 400, "parameter_invalid_enum"),
            (json!({ "type": "card" }), 400, "parameter_missing"),
            (card("4242424242424241", json!(12), json!(2034), "123"), 422, "card_invalid"),
            (card("4242424242424242", json!(13), json!(2034), "123"), 400, "parameter_invalid_integer"),
            (card("4242424242424242", json!(12), json!(2019), "123"), 422, "card_invalid"),
            (card("4242424242424242", json!(12), json!(2034), "12"), 422, "card_invalid"),
            // A real-looking number that is no test card.
            (card("4539578763621486", json!(12), json!(2034), "123"), 402, "card_declined"),
            (json!({ "type": "sepa_debit", "iban": "DE00" }), 422, "iban_invalid"),
            (json!({ "type": "sepa_debit", "iban": "DE89370400440532013000" }), 422, "payer_missing"),
        ] {
            let shown = method.to_string();
            let answer = pay(method).await;
            assert!(!answer.text.contains("42424242") && !answer.text.contains("4539578"), "{shown}: {}", answer.text);
            refused(answer, status, code);
        }
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM attempts").await, 0);
    }
}
