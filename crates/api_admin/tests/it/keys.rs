//! Keys: made, narrowed, rotated, revoked, and tied to addresses.

use crate::support::{refused, rows};
use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::json;
use std::net::SocketAddr;
use testkit::TestApp;
use testkit::office::{Office, text};

testkit::on_both_engines! {
    async fn a_key_is_shown_once_and_ends_at_once(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let path = format!("/organizations/{}/api-keys", office.organization);
        let made = office.post(&path, &json!({ "name": "till", "scopes": ["checkout:write", "transaction:read"] })).await.expect(201);
        let key = text(&made["key"]);
        assert!(key.starts_with(&format!("sk_test_{}.", text(&made["id"]))), "{made}");
        assert_eq!(made["scopes"], json!(["checkout:create", "transaction:read"]));
        office.as_key(&key, Method::GET, "/transactions", None).await.expect(200);
        let listed = rows(office.get(&path).await, "apiKeys");
        let shown = listed.iter().find(|k| k["id"] == made["id"]).expect("listed");
        assert!(shown.get("key").is_none() && !shown.to_string().contains(&key[30..]), "{shown}");
        assert_eq!(shown["last4"], json!(&key[key.len() - 4..]));
        app.engine.write_key_uses().await.expect("written");
        let used = office.get(&format!("{path}/{}", text(&made["id"]))).await.expect(200);
        assert!(used["lastUsedAt"].is_string(), "{used}");

        // A new secret under the same id; the old one works until its overlap ends.
        let id = text(&made["id"]);
        let rotated = office.post(&format!("{path}/{id}/rotate"), &json!({ "overlapSeconds": 60 })).await.expect(200);
        let new = text(&rotated["key"]);
        assert_eq!(rotated["id"], made["id"]);
        for key in [&key, &new] {
            office.as_key(key, Method::GET, "/transactions", None).await.expect(200);
        }
        let again = office.post(&format!("{path}/{id}/rotate"), &json!({})).await.expect(200);
        for ended in [&key, &new] {
            refused(office.as_key(ended, Method::GET, "/transactions", None).await, 401, "unauthenticated");
        }
        let newest = text(&again["key"]);
        office.as_key(&newest, Method::GET, "/transactions", None).await.expect(200);
        let revoked = office.post(&format!("{path}/{id}/revoke"), &json!({})).await.expect(200);
        assert_eq!(revoked["status"], "revoked");
        refused(office.as_key(&newest, Method::GET, "/transactions", None).await, 401, "unauthenticated");
        refused(office.post(&format!("{path}/{id}/rotate"), &json!({})).await, 409, "key_revoked");
        office.delete(&format!("{path}/{id}")).await.expect(200);
        refused(office.get(&format!("{path}/{id}")).await, 404, "not_found");
    }

    async fn a_key_gives_no_more_than_it_has(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let path = format!("/organizations/{}/api-keys", office.organization);
        let narrow = office.key_with(&office.organization, "test", &["api_key:create", "checkout:create"]).await;
        let ask = async |scopes: &[&str]| {
            office.as_key(&narrow, Method::POST, &path, Some(&json!({ "name": "x", "scopes": scopes }))).await
        };
        ask(&["checkout:create"]).await.expect(201);
        refused(ask(&["checkout:*"]).await, 403, "insufficient_scope");
        refused(ask(&["transaction:read"]).await, 403, "insufficient_scope");
        for wrong in ["checkout:*,x", "*", "system:read", "admin", "checkout:delete:all"] {
            refused(ask(&[wrong]).await, 422, "scope_unknown");
        }
        refused(ask(&[]).await, 422, "scopes_missing");
        let live = json!({ "name": "x", "mode": "live", "scopes": ["checkout:create"] });
        refused(office.as_key(&narrow, Method::POST, &path, Some(&live)).await, 403, "mode_not_permitted");
        // Nor does it get the secret of a key that may do more, or loosen it.
        let strong = office.post(&path, &json!({ "name": "strong", "scopes": ["checkout:*"] })).await.expect(201);
        let strong = format!("{path}/{}", text(&strong["id"]));
        let handler = office.key_with(&office.organization, "test", &["api_key:*", "user:*"]).await;
        let changed = json!({ "ipWhitelist": [] });
        refused(office.as_key(&handler, Method::PUT, &strong, Some(&changed)).await, 403, "insufficient_scope");
        let rotate = format!("{strong}/rotate");
        refused(office.as_key(&handler, Method::POST, &rotate, Some(&json!({}))).await, 403, "insufficient_scope");
        let users = format!("/organizations/{}/users", office.organization);
        for role in ["admin", "support", "viewer"] {
            let invited = json!({ "email": "me@example.com", "role": role });
            refused(office.as_key(&handler, Method::POST, &users, Some(&invited)).await, 403, "insufficient_scope");
        }
        office.post(&users, &json!({ "email": "me@example.com", "role": "admin" })).await.expect(201);
        // System keys are made by those who administer the instance.
        refused(office.post("/system/api-keys", &json!({ "name": "x" })).await, 403, "not_permitted");
        let made = office.as_key(&office.system_key, Method::POST, "/system/api-keys", Some(&json!({ "name": "x" }))).await;
        let system = text(&made.expect(201)["key"]);
        office.as_key(&system, Method::GET, "/organizations", None).await.expect(200);
        let unnamed = refused(office.as_key(&system, Method::GET, "/sites", None).await, 403, "organization_not_named");
        assert!(unnamed.contains("X-Organization-ID"), "{unnamed}");
        for nobody in ["000000000000000000000000", "65f000000000000000000001", "x"] {
            let request = Request::post("/api/v1/sites")
                .header(header::AUTHORIZATION, format!("Bearer {system}"))
                .header("X-Organization-ID", nobody)
                .header(header::CONTENT_TYPE, "application/json");
            let answer = app.admin(request.body(Body::from(r#"{"name":"x"}"#)).expect("a request")).await;
            refused(answer, 404, "not_found");
        }
    }

    async fn no_other_text_is_a_key(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let (head, secret) = office.key.split_once('.').expect("two halves");
        let changed = format!("{}{}", &office.key[..office.key.len() - 1], if office.key.ends_with('a') { 'b' } else { 'a' });
        let bodies: Vec<String> = {
            let mut bodies = Vec::new();
            for text in [
                changed, office.key[..office.key.len() - 1].to_owned(), format!("{}{}", office.key, office.key),
                office.key.to_uppercase(), head.replace("sk_test_", "sk_live_") + "." + secret, format!("{head}."), head.to_owned(),
                app.sk.clone(), format!("sk_test_{}.{secret}", "0".repeat(24)), "x".repeat(2_000),
            ] {
                let answer = office.as_key(&text, Method::GET, "/sites", None).await;
                bodies.push(refused(answer, 401, "unauthenticated"));
            }
            bodies
        };
        assert!(bodies.iter().all(|body| *body == bodies[0]));
        let in_query = Request::get(format!("/api/v1/sites?api_key={}", office.key)).body(Body::empty()).expect("a request");
        refused(app.admin(in_query).await, 401, "unauthenticated");
        // A key of this surface is none of REST v2.
        assert_eq!(app.as_key(&office.key, Method::GET, "/v2/balance", &[], None).await.status.as_u16(), 401);
    }

    async fn a_key_may_be_tied_to_addresses(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let path = format!("/organizations/{}/api-keys", office.organization);
        let body = json!({ "name": "office", "scopes": ["site:read"], "ipWhitelist": ["192.0.2.0/24", "2001:db8::1"] });
        let made = office.post(&path, &body).await.expect(201);
        let key = text(&made["key"]);
        let from = async |peer: &str, header_ip: &str| {
            let peer: SocketAddr = peer.parse().expect("an address");
            let request = Request::get("/api/v1/sites")
                .extension(web::Peer(peer))
                .header(header::AUTHORIZATION, format!("Bearer {key}"))
                .header("x-forwarded-for", header_ip);
            app.admin(request.body(Body::empty()).expect("a request")).await
        };
        from("192.0.2.9:1", "").await.expect(200);
        from("[2001:db8::1]:1", "").await.expect(200);
        // Whatever an untrusted peer says of itself.
        refused(from("198.51.100.1:1", "192.0.2.9").await, 403, "address_not_allowed");
        refused(office.post(&path, &json!({ "name": "x", "scopes": ["site:read"], "ipWhitelist": ["10.0.0.0/99"] })).await, 422, "network_invalid");
    }
}
