//! What the operator sets for the whole instance.

use crate::support::refused;
use http::Method;
use serde_json::{Value, json};
use testkit::office::{Office, text};
use testkit::{Answer, Person, TestApp};

async fn change(office: &Office, group: &str, body: &Value) -> Answer {
    let path = format!("/system/settings/{group}");
    office.as_key(&office.system_key, Method::PUT, &path, Some(body)).await
}

testkit::on_both_engines! {
    async fn what_the_operator_sets_holds_from_then_on(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let read = async || office.as_key(&office.system_key, Method::GET, "/system/settings", None).await.expect(200)["settings"].clone();
        assert_eq!(read().await, json!([
            { "group": "users", "invitationHours": 48, "freshLoginMinutes": 15 },
            { "group": "api_keys", "liveNeedAddresses": false, "overlapHoursMax": 168 },
        ]));
        let admin = Person::global_admin(&app, "ada@example.com").await;
        let keys = format!("/organizations/{}/api-keys", office.organization);

        change(&office, "users", &json!({ "invitationHours": 1 })).await.expect(200);
        let users = format!("/organizations/{}/users", office.organization);
        let invited = admin.post(&users, &json!({ "email": "jo@example.com", "role": "viewer" })).await.expect(201);
        let minutes = |value: &Value| domain::date::parse_instant(&text(value)).expect("an instant").0 / 60_000_000;
        let left = minutes(&invited["expiresAt"]) - engine::wall_clock().0 / 60_000_000;
        assert!((58..=60).contains(&left), "{left} in {invited}");

        let live = async |addresses: &[&str]| {
            let body = json!({ "name": "x", "scopes": ["site:read"], "mode": "live", "ipWhitelist": addresses });
            office.as_key(&office.key_of(&office.organization, "live").await, Method::POST, &keys, Some(&body)).await
        };
        let old = text(&live(&[]).await.expect(201)["id"]);
        change(&office, "api_keys", &json!({ "overlapHoursMax": 1 })).await.expect(200);
        let of_test = text(&office.post(&keys, &json!({ "name": "x", "scopes": ["site:read"] })).await.expect(201)["id"]);
        let rotate = async |seconds: i64| office.post(&format!("{keys}/{of_test}/rotate"), &json!({ "overlapSeconds": seconds })).await;
        refused(rotate(3601).await, 422, "overlap_invalid");
        rotate(3600).await.expect(200);

        let with_addresses = live(&["192.0.2.1"]).await.expect(201);
        let asking = office.key_of(&office.organization, "live").await;
        change(&office, "api_keys", &json!({ "liveNeedAddresses": true })).await.expect(200);
        let body = json!({ "name": "x", "scopes": ["site:read"], "mode": "live" });
        refused(office.as_key(&asking, Method::POST, &keys, Some(&body)).await, 422, "addresses_required");
        office.post(&keys, &json!({ "name": "x", "scopes": ["site:read"] })).await.expect(201);
        let rotated = office.as_key(&asking, Method::POST, &format!("{keys}/{old}/rotate"), Some(&json!({}))).await;
        refused(rotated, 422, "addresses_required");
        // Nor is everywhere an address, nor a key of the instance less than a live one.
        let body = json!({ "name": "x", "scopes": ["site:read"], "mode": "live", "ipWhitelist": ["0.0.0.0/0"] });
        refused(office.as_key(&asking, Method::POST, &keys, Some(&body)).await, 422, "addresses_required");
        let body = json!({ "name": "x" });
        refused(office.as_key(&office.system_key, Method::POST, "/system/api-keys", Some(&body)).await, 422, "addresses_required");
        let cleared = json!({ "ipWhitelist": [] });
        for id in [&old, &text(&with_addresses["id"])] {
            refused(office.as_key(&asking, Method::PUT, &format!("{keys}/{id}"), Some(&cleared)).await, 422, "addresses_required");
        }
        office.as_key(&asking, Method::PUT, &format!("{keys}/{old}"), Some(&json!({ "name": "renamed" }))).await.expect(200);

        change(&office, "users", &json!({ "freshLoginMinutes": 60 })).await.expect(200);
        admin.grow_stale().await;
        admin.put("/system/settings/users", &json!({ "freshLoginMinutes": 2 })).await.expect(200);
        let told = refused(admin.put("/system/settings/users", &json!({ "freshLoginMinutes": 60 })).await, 403, "reauthentication_required");
        assert!(told.contains("last 2 min."), "{told}");
        assert_eq!(read().await[0], json!({ "group": "users", "invitationHours": 1, "freshLoginMinutes": 2 }));
        let written = "SELECT COUNT(*) FROM audit_log WHERE kind = 'settings_changed' AND merchant IS NULL";
        assert_eq!(crate::support::figure(&app, written).await, 5);
    }

    async fn wrong_settings_change_nothing(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        for (group, body, status, code) in [
            ("users", json!({ "invitationHours": 0 }), 400, "parameter_invalid_integer"),
            ("users", json!({ "freshLoginMinutes": 61, "invitationHours": 1 }), 400, "parameter_invalid_integer"),
            ("api_keys", json!({ "overlapHoursMax": 169 }), 400, "parameter_invalid_integer"),
            ("api_keys", json!({ "liveNeedAddresses": "maybe" }), 400, "parameter_invalid_boolean"),
            ("colours", json!({}), 404, "not_found"),
        ] {
            refused(change(&office, group, &body).await, status, code);
        }
        refused(office.put("/system/settings/users", &json!({ "invitationHours": 1 })).await, 403, "not_permitted");
        let written = "SELECT COUNT(*) FROM audit_log WHERE kind = 'settings_changed' AND merchant IS NULL";
        assert_eq!(crate::support::figure(&app, written).await, 0);
    }
}
