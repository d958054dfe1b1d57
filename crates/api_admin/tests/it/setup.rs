//! Organisations, sites and providers.

use crate::support::{VISA, figure, refused, rows};
use axum::http::Method;
use serde_json::{Value, json};
use testkit::TestApp;
use testkit::office::{Office, text};

testkit::on_both_engines! {
    async fn an_organisation_is_made_and_renamed(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let path = format!("/organizations/{}", office.organization);
        let seen = office.get(&path).await.expect(200);
        assert_eq!((&seen["name"], &seen["supportEmail"]), (&json!("Shop & Sons"), &Value::Null));
        let changed = office.put(&path, &json!({ "name": "Shop", "supportEmail": "help@shop.example" })).await.expect(200);
        assert_eq!((&changed["name"], &changed["supportEmail"]), (&json!("Shop"), &json!("help@shop.example")));
        refused(office.put(&path, &json!({ "supportEmail": "no address" })).await, 422, "email_invalid");
        refused(office.get("/organizations").await, 403, "not_permitted");
        let all = rows(office.as_key(&office.system_key, Method::GET, "/organizations?limit=100", None).await, "organizations");
        assert!(all.iter().any(|o| o["id"] == json!(office.organization)));
        let changes = figure(&app, "SELECT COUNT(*) FROM audit_log WHERE kind = 'settings_changed' AND actor LIKE 'akey_%'").await;
        assert_eq!(changes, 2, "the organisation was made and changed by keys");
    }

    async fn a_site_shows_its_secret_once(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        assert!(office.secret.starts_with("whsec_") && office.secret.len() == 38, "{}", office.secret);
        let path = format!("/sites/{}", office.site);
        let seen = office.get(&path).await.expect(200);
        assert!(!seen.to_string().contains("whsec_"), "{seen}");
        let new = office.post(&format!("{path}/webhook-secret/regenerate"), &json!({})).await.expect(200);
        assert_ne!(new["webhookSecret"], json!(office.secret));
        let listed = rows(office.get("/sites").await, "sites");
        assert_eq!(listed.len(), 2, "its first one, and this one");
        office.delete(&path).await.expect(200);
        refused(office.get(&path).await, 404, "not_found");
        refused(office.checkout(&json!({})).await, 404, "not_found");
        let first = listed.iter().find(|s| s["id"] != json!(office.site)).expect("the first");
        refused(office.delete(&format!("/sites/{}", text(&first["id"]))).await, 409, "resource_in_use");
        for (body, code) in [
            (json!({ "branding": { "primaryColor": "red" } }), "color_invalid"),
            (json!({ "branding": { "logo": "javascript:alert(1)" } }), "url_invalid"),
            (json!({ "url": "ftp://shop.example" }), "url_invalid"),
        ] {
            refused(office.put(&format!("/sites/{}", text(&first["id"])), &body).await, 422, code);
        }
    }

    async fn a_disabled_provider_takes_nothing(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let all = rows(office.get("/providers").await, "providers");
        assert_eq!((all.len(), &all[0]["type"]), (1, &json!("sandbox")));
        let id = text(&all[0]["id"]);
        let checkout = office.checkout(&json!({})).await.expect(200);
        let toggled = office.post(&format!("/providers/{id}/toggle"), &json!({})).await.expect(200);
        assert_eq!(toggled["enabled"], false);
        // What a node knows of its settings is a second old at most.
        let waited = tokio::time::timeout(std::time::Duration::from_secs(30), async {
            while office.checkout(&json!({})).await.status.as_u16() == 200 {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        });
        waited.await.expect("the change is in force");
        refused(office.checkout(&json!({})).await, 409, "provider_not_configured");
        refused(office.pay(&checkout, VISA).await, 409, "provider_not_configured");
        let second = office.post("/providers", &json!({ "type": "sandbox" })).await.expect(201);
        let site = format!("/sites/{}", office.site);
        office.put(&site, &json!({ "defaultProviderId": second["id"] })).await.expect(200);
        let paid = office.pay(&checkout, VISA).await.expect(200);
        assert_eq!(paid["status"], "succeeded");
        let seen = office.get(&format!("/transactions/{}", text(&paid["id"]))).await.expect(200);
        assert_eq!(seen["providerId"], second["id"]);
        refused(office.delete(&format!("/providers/{}", text(&second["id"]))).await, 409, "resource_in_use");
        let cleared = office.put(&site, &json!({ "defaultProviderId": null })).await.expect(200);
        assert_eq!(cleared["defaultProviderId"], Value::Null);
        office.delete(&format!("/providers/{}", text(&second["id"]))).await.expect(200);
        // What went through it can still be refunded.
        let refunded = office.post(&format!("/transactions/{}/refund", text(&paid["id"])), &json!({})).await.expect(200);
        assert_eq!(refunded["status"], "refunded");
        app.assert_books().await;
    }

    async fn credentials_are_sealed_masked_and_tried(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let kinds = rows(office.as_key("", Method::GET, "/provider-types", None).await, "providerTypes");
        assert_eq!((&kinds[0]["type"], &kinds[0]["config"][0]["name"]), (&json!("sandbox"), &json!("apiKey")));
        let canary = "sandbox_canary_77aa55bb";
        let made = office.post("/providers", &json!({ "type": "sandbox", "config": { "apiKey": canary } })).await.expect(201);
        assert_eq!(made["config"]["apiKey"], "••••55bb");
        let path = format!("/providers/{}", text(&made["id"]));
        assert!(!office.get(&path).await.expect(200).to_string().contains(canary));
        // What was read is sent back as it was shown: nothing is lost.
        let mut seen = office.get(&path).await.expect(200);
        seen["label"] = json!("renamed");
        let kept = office.put(&path, &seen).await.expect(200);
        assert_eq!((&kept["label"], &kept["config"]["apiKey"]), (&json!("renamed"), &json!("••••55bb")));
        assert_eq!(office.post(&format!("{path}/test"), &json!({})).await.expect(200)["ok"], true);
        refused(office.put(&path, &json!({ "label": "" })).await, 400, "parameter_invalid_empty");
        office.put(&path, &json!({ "config": { "apiKey": "wrong_0123456789" } })).await.expect(200);
        let tried = office.post(&format!("{path}/test"), &json!({})).await.expect(200);
        assert_eq!((&tried["ok"], &tried["provider"]["lastTest"]["ok"]), (&json!(false), &json!(false)));
        assert!(text(&tried["error"]).contains("sandbox_") && !text(&tried["error"]).contains("wrong_"), "{tried}");
        office.put(&path, &json!({ "config": { "apiKey": "" } })).await.expect(200);
        assert_eq!(office.post(&format!("{path}/test"), &json!({})).await.expect(200)["ok"], true);
        for (body, code) in [
            (json!({ "type": "stripe" }), "provider_type_unknown"),
            (json!({ "type": "sandbox", "config": { "secret": "x" } }), "credential_unknown"),
        ] {
            refused(office.post("/providers", &body).await, 422, code);
        }
        let live = office.key_of(&office.organization, "live").await;
        let answer = office.as_key(&live, Method::POST, "/providers", Some(&json!({ "type": "sandbox" }))).await;
        refused(answer, 422, "provider_test_only");
    }
}
