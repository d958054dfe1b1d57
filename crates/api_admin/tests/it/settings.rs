//! What an organisation sets for all of its sites.

use crate::support::refused;
use serde_json::json;
use testkit::office::{Office, text};
use testkit::{Person, TestApp};

testkit::on_both_engines! {
    async fn settings_hold_for_what_is_made_afterwards(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let path = "/organizations/settings/checkout";
        let before = office.get(path).await.expect(200);
        assert_eq!(before, json!({ "group": "checkout", "expiresIn": 86_300, "maxAttempts": 5, "language": null }));
        let changed = office.put(path, &json!({ "expiresIn": 600, "maxAttempts": 2, "language": "de-AT" })).await.expect(200);
        assert_eq!(changed, json!({ "group": "checkout", "expiresIn": 600, "maxAttempts": 2, "language": "de" }));
        assert_eq!(office.put(path, &json!({ "maxAttempts": 1 })).await.expect(200)["expiresIn"], 600);
        let made = office.checkout(&json!({})).await.expect(200);
        let seconds = |name: &str| domain::date::parse_instant(&text(&made[name])).expect("an instant").0 / 1_000_000;
        assert_eq!(seconds("expiresAt") - seconds("createdAt"), 600);
        let declined = office.pay(&made, crate::support::DECLINED).await.expect(200);
        assert_eq!(declined["payable"], false);
        refused(office.pay(&made, crate::support::VISA).await, 409, "checkout_not_open");
        let own = office.checkout(&json!({ "expiresIn": 60 })).await.expect(200);
        assert_ne!(own["expiresAt"], made["expiresAt"]);

        office.put("/organizations/settings/ipn", &json!({ "version": 2 })).await.expect(200);
        let site = office.post("/sites", &json!({ "name": "new" })).await.expect(201);
        assert_eq!(site["ipnVersion"], 2);
        assert_eq!(office.post("/sites", &json!({ "name": "old", "ipnVersion": 1 })).await.expect(201)["ipnVersion"], 1);
        let other = office.another("Other").await;
        assert_eq!(other.get(path).await.expect(200)["expiresIn"], 86_300);
    }

    async fn large_refunds_want_a_login_of_now(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let admin = Person::global_admin(&app, "ada@example.com").await;
        let admin = Person { organization: office.organization.clone(), ..admin };
        let path = "/organizations/settings/refunds";
        assert_eq!(office.get(path).await.expect(200), json!({ "group": "refunds", "confirmAbove": 100_000, "currencies": [] }));
        let own = json!({ "confirmAbove": null, "currencies": [{ "currency": "EUR", "confirmAbove": 1000 }] });
        admin.put(path, &own).await.expect(200);
        let pay = async || {
            let checkout = office.checkout(&json!({})).await.expect(200);
            format!("/transactions/{}/refund", text(&office.pay(&checkout, crate::support::VISA).await.expect(200)["id"]))
        };
        let (first, second) = (pay().await, pay().await);
        admin.grow_stale().await;
        refused(admin.put(path, &json!({ "confirmAbove": null })).await, 403, "reauthentication_required");
        admin.post(&first, &json!({ "amount": 600 })).await.expect(200);
        // Not by parts either.
        refused(admin.post(&first, &json!({ "amount": 401 })).await, 403, "reauthentication_required");
        admin.post(&first, &json!({ "amount": 400 })).await.expect(200);
        refused(admin.post(&second, &json!({})).await, 403, "reauthentication_required");
        // A key has no login.
        office.post(&second, &json!({ "amount": 4000 })).await.expect(200);
        office.put(path, &json!({ "currencies": [] })).await.expect(200);
        admin.post(&second, &json!({})).await.expect(200);
        app.assert_books().await;
    }

    async fn wrong_settings_change_nothing(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let path = "/organizations/settings/checkout";
        for (body, status, code) in [
            (json!({ "expiresIn": 59 }), 400, "parameter_invalid_integer"),
            (json!({ "expiresIn": 9_999_999_999_i64 }), 400, "parameter_invalid_integer"),
            (json!({ "maxAttempts": 0, "expiresIn": 600 }), 400, "parameter_invalid_integer"),
            (json!({ "maxAttempts": 21 }), 400, "parameter_invalid_integer"),
            (json!({ "language": "!" }), 422, "language_invalid"),
        ] {
            refused(office.put(path, &body).await, status, code);
        }
        let euro = json!({ "currency": "EUR", "confirmAbove": 1 });
        for (body, status, code) in [
            (json!({ "confirmAbove": -1 }), 400, "parameter_invalid_integer"),
            (json!({ "currencies": [euro, euro] }), 400, "currency_twice"),
            (json!({ "currencies": [{ "currency": "EUR" }] }), 400, "parameter_missing"),
            (json!({ "currencies": [{ "confirmAbove": 5 }] }), 400, "parameter_missing"),
        ] {
            refused(office.put("/organizations/settings/refunds", &body).await, status, code);
        }
        assert_eq!(office.get("/organizations/settings/refunds").await.expect(200)["confirmAbove"], 100_000);
        assert_eq!(office.get(path).await.expect(200)["expiresIn"], 86_300);
        let unknown = refused(office.get("/organizations/settings/colours").await, 404, "not_found");
        assert!(unknown.contains("checkout, ipn, refunds"), "{unknown}");
    }
}
