//! Clients: the same people as REST v2's customers.

use crate::support::{VISA, refused, rows};
use domain::id::{Core, CustomerId, MerchantId, TypedId};
use domain::merchant::KeyKind;
use domain::scope::{Mode, Scope};
use http::Method;
use serde_json::{Value, json};
use testkit::TestApp;
use testkit::office::{Office, text};

fn customer(client: &Value) -> String {
    CustomerId::from_core(Core::parse_hex(&text(&client["id"])).expect("an id")).to_string()
}

testkit::on_both_engines! {
    async fn a_client_is_a_customer(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let merchant = MerchantId::from_core(Core::parse_hex(&office.organization).expect("an id"));
        let scope = Scope { merchant, mode: Mode::Test };
        let (_, key) = app.engine.create_key(scope, KeyKind::Secret, String::new()).await.expect("a key");
        let made = office.post("/clients", &json!({
            "email": "jo@example.com", "firstName": "Jo", "lastName": "Doe", "phone": "+43 1 234", "taxInfo": { "vatId": "ATU12345678" },
            "billingAddress": { "address1": "Main 1", "city": "Graz", "postcode": "8010", "country": "AT" }, "metadata": { "crm": "7" },
        })).await.expect(201);
        let path = format!("/clients/{}", text(&made["id"]));
        let v2 = app.as_key(&key, Method::GET, &format!("/v2/customers/{}", customer(&made)), &[], None).await.expect(200);
        assert_eq!((&v2["name"], &v2["email"], &v2["address"]["city"], &v2["metadata"]), (&json!("Jo Doe"), &json!("jo@example.com"), &json!("Graz"), &json!({ "crm": "7" })));

        let changed = office.put(&path, &json!({ "company": "Doe Ltd", "lastName": null, "firstName": "", "metadata": { "crm": "" } })).await.expect(200);
        assert_eq!((&changed["name"], &changed["firstName"], &changed["metadata"]), (&json!("Doe Ltd"), &Value::Null, &json!({})));
        assert_eq!(changed["taxInfo"]["vatId"], "ATU12345678", "what is not named stays");
        let checkout = office.checkout(&json!({ "clientId": made["id"] })).await.expect(200);
        office.pay(&checkout, VISA).await.expect(200);
        let seen = office.get(&path).await.expect(200);
        assert_eq!(seen["lifetimeValue"], json!([{ "currency": "EUR", "amount": 4900 }]));
        assert_eq!(rows(office.get(&format!("/transactions?clientId={}", text(&made["id"]))).await, "transactions").len(), 1);

        let history = office.get(&format!("{path}/history")).await.expect(200);
        let told: Vec<&str> = history["history"].as_array().expect("rows").iter().filter_map(|row| row["action"].as_str()).collect();
        for action in ["object_created", "settings_changed", "customer.created", "customer.updated"] {
            assert!(told.contains(&action), "{told:?}");
        }
        assert!(!history.to_string().contains("jo@example.com"), "no personal values: {history}");

        office.delete(&path).await.expect(200);
        refused(office.get(&path).await, 404, "not_found");
        refused(office.put(&path, &json!({})).await, 404, "not_found");
        refused(office.get(&format!("{path}/history")).await, 404, "not_found");
        let erased = app.as_key(&key, Method::GET, &format!("/v2/customers/{}", customer(&made)), &[], None).await.expect(200);
        assert_eq!(erased, json!({ "id": customer(&made), "object": "customer", "deleted": true }));
        let again = office.checkout(&json!({ "email": "jo@example.com" })).await.expect(200);
        assert_ne!(again["clientId"], made["id"], "a new one, not the one that is gone");
        app.assert_books().await;
    }

    async fn searches_are_literal_and_bounded(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        for (email, name) in [("a_b@example.com", "Ann"), ("axb@example.com", "Bob"), ("c@example.com", "100% Cotton"), ("d@example.com", "O'Hara")] {
            office.post("/clients", &json!({ "email": email, "lastName": name })).await.expect(201);
        }
        for (text, found) in [("a_b", 1), ("A_B", 1), ("%25", 1), ("o'h", 1), ("example.com", 4), ("' OR 1=1 --", 0), ("!", 0), ("cotton", 1)] {
            let text = text.replace(' ', "%20").replace('\'', "%27").replace('=', "%3D");
            let page = office.get(&format!("/clients/search?q={text}")).await.expect(200);
            assert_eq!(page["total"], json!(found), "{text}: {page}");
        }
        refused(office.get("/clients/search").await, 400, "parameter_missing");
        assert_eq!(rows(office.get("/clients?email=c@example.com").await, "clients").len(), 1);
        let page = office.get("/clients?page=2&limit=3").await.expect(200);
        assert_eq!((&page["total"], page["clients"].as_array().map(Vec::len)), (&json!(4), Some(1)));
    }

    async fn wrong_clients_are_refused(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        for (body, status, code) in [
            (json!({}), 422, "client_unnamed"),
            (json!({ "firstName": "Jo" }), 422, "client_unnamed"),
            (json!({ "email": "x" }), 422, "email_invalid"),
            (json!({ "lastName": "a\u{202e}b" }), 400, "parameter_invalid_string"),
            (json!({ "lastName": "4242 4242 4242 4242" }), 400, "parameter_invalid_string"),
            (json!({ "email": "a@example.com", "billingAddress": "Graz" }), 400, "parameter_invalid_object"),
            (json!({ "email": "a@example.com", "billingAddress": { "country": "AUT" } }), 422, "country_invalid"),
        ] {
            refused(office.post("/clients", &body).await, status, code);
        }
        assert_eq!(crate::support::figure(&app, "SELECT COUNT(*) FROM customers").await, 0);
    }
}
