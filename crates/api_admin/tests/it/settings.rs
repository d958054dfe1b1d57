//! What an organisation sets for all of its sites.

use crate::support::refused;
use serde_json::json;
use testkit::TestApp;
use testkit::office::{Office, text};

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
        assert_eq!(office.get(path).await.expect(200)["expiresIn"], 86_300);
        let unknown = refused(office.get("/organizations/settings/colours").await, 404, "not_found");
        assert!(unknown.contains("checkout, ipn"), "{unknown}");
    }
}
