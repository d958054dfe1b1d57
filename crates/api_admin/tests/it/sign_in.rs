//! Registering, signing in, staying signed in, signing out, over HTTP.

use crate::support::refused;
use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};
use testkit::office::Office;
use testkit::{Authenticator, PASSKEY_ORIGIN, Person, TestApp};

const ADA: &str = "ada@example.com";

/// A POST with these headers.
async fn post(app: &TestApp, path: &str, headers: &[(&str, &str)], body: &str) -> testkit::Answer {
    let mut request = Request::post(format!("/api/v1{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.admin(request.body(Body::from(body.to_owned())).expect("a request")).await
}

testkit::on_both_engines! {
    async fn from_an_invitation_to_a_logout(db) {
        let app = TestApp::start(&db).await;
        let mut ada = Person::global_admin(&app, "Ada@Example.com").await;
        assert_eq!(ada.email, ADA);
        let token = ada.token.clone();
        ada.token.clear();
        let body = ada.answer().await;
        let entered = ada.post("/auth/authenticate-complete", &body).await;
        refused(ada.post("/auth/authenticate-complete", &body).await, 401, "challenge_gone");
        let cookie = entered.header("set-cookie").expect("a cookie").to_owned();
        for part in ["__Host-pg_refresh=pgr_", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
        let body = ada.enter(entered, 200);
        assert!(!body.to_string().contains("pgr_"), "the refresh token is for the cookie alone: {body}");
        assert_eq!((&body["mode"], &body["tokenType"], &body["user"]["globalAdmin"]), (&json!("test"), &json!("Bearer"), &json!(true)));
        assert_ne!(ada.token, token);

        let check = ada.get("/auth/login/check").await.expect(200);
        assert_eq!((&check["valid"], &check["user"]["email"], &check["reauthenticationRequired"]), (&json!(true), &json!(ADA), &json!(false)));
        let live = ada.refresh(&json!({ "mode": "live" })).await;
        let body = ada.enter(live, 200);
        assert_eq!(body["mode"], "live");
        assert_eq!(ada.get("/auth/login/check").await.expect(200)["mode"], "live");
        let out = ada.post("/auth/logout", &json!({})).await;
        assert!(out.header("set-cookie").is_some_and(|line| line.contains("Max-Age=0")));
        out.expect(200);
        refused(ada.get("/auth/login/check").await, 401, "unauthenticated");
        refused(ada.get("/profile").await, 401, "unauthenticated");
        let cookies = ada.cookies.clone();
        refused(Person { token: String::new(), cookies, ..ada.clone() }.refresh(&json!({})).await, 401, "session_ended");
    }

    async fn a_refresh_needs_its_cookie_from_our_own_pages_and_once(db) {
        let app = TestApp::start(&db).await;
        let ada = Person::global_admin(&app, ADA).await;
        let cookie = ada.cookies.as_str();
        let json = ("content-type", "application/json");
        let own = ("origin", PASSKEY_ORIGIN);
        let path = "/auth/refresh-token";
        for headers in [
            vec![("cookie", cookie), json],
            vec![("cookie", cookie), json, ("origin", "https://evil.example")],
            vec![("cookie", cookie), json, ("origin", "null")],
            vec![("cookie", cookie), json, ("origin", "http://localhost:8082")],
            vec![("cookie", cookie), json, own, ("origin", "https://evil.example")],
            vec![("cookie", cookie), json, ("sec-fetch-site", "cross-site")],
            vec![("cookie", cookie), json, ("sec-fetch-site", "same-site")],
        ] {
            refused(post(&app, path, &headers, "{}").await, 403, "origin_not_allowed");
        }
        for kind in ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"] {
            let headers = [("cookie", cookie), ("content-type", kind), own];
            refused(post(&app, path, &headers, "mode=live").await, 415, "content_type_unsupported");
        }
        let twice = format!("{cookie}; {cookie}");
        for headers in [vec![json, own], vec![("cookie", twice.as_str()), json, own], vec![("cookie", "__Host-pg_refresh=x"), json, own]] {
            refused(post(&app, path, &headers, "{}").await, 401, "session_ended");
        }
        // None of this used the token up; the same site's own pages need not name their origin.
        let first = post(&app, path, &[("cookie", cookie), json, ("sec-fetch-site", "same-origin")], "{}").await;
        let mut later = ada.clone();
        later.enter(first, 200);
        refused(ada.refresh(&json!({})).await, 401, "refresh_token_reused");
        refused(later.get("/profile").await, 401, "unauthenticated");
        refused(later.refresh(&json!({})).await, 401, "session_ended");
        refused(Person::global_admin(&app, "b@example.com").await.refresh(&json!({ "mode": "both" })).await, 400, "parameter_invalid_enum");
    }

    async fn a_preset_cookie_becomes_nobodys_session(db) {
        let app = TestApp::start(&db).await;
        let mut ada = Person::global_admin(&app, ADA).await;
        ada.cookies = format!("__Host-pg_refresh=pgr_{}", "A".repeat(43));
        let preset = ada.cookies.clone();
        ada.log_in().await;
        assert_ne!(ada.cookies, preset);
        refused(Person { cookies: preset, ..ada.clone() }.refresh(&json!({})).await, 401, "session_ended");
    }

    async fn wrong_logins_are_refused_alike(db) {
        let app = TestApp::start(&db).await;
        let ada = Person::global_admin(&app, ADA).await;
        let nobody = Person { token: String::new(), ..ada.clone() };
        let complete = "/auth/authenticate-complete";
        for email in [ADA, "nobody@example.com"] {
            let mut thief = Person { email: email.to_owned(), authenticator: Authenticator::default(), ..nobody.clone() };
            let body = thief.answer().await;
            refused(thief.post(complete, &body).await, 401, "passkey_refused");
            let challenge = thief.post("/auth", &json!({ "email": email })).await.expect(200);
            for credential in [json!({}), json!("x"), json!(null), json!([1, true]), json!({ "id": "x", "rawId": 1 })] {
                let challenge = if credential.is_object() { thief.post("/auth", &json!({ "email": email })).await.expect(200) } else { challenge.clone() };
                let answer = thief.post(complete, &json!({ "ceremonyId": challenge["ceremonyId"], "credential": credential })).await;
                assert!(matches!(answer.status.as_u16(), 400 | 401 | 422), "{email} {credential}: {}", answer.text);
            }
        }
        let foreign = Person { authenticator: Authenticator { origin: "https://evil.example".to_owned(), ..ada.authenticator.clone() }, ..nobody.clone() };
        let body = foreign.clone().answer().await;
        refused(foreign.post(complete, &body).await, 401, "passkey_refused");
        let mut copy = Person { authenticator: Authenticator { counter: 0, ..ada.authenticator.clone() }, ..nobody.clone() };
        let body = copy.answer().await;
        refused(copy.post(complete, &body).await, 401, "passkey_cloned");
        refused(nobody.post("/auth", &json!({})).await, 400, "parameter_missing");
        refused(nobody.post("/auth", &json!({ "email": "ada" })).await, 422, "parameter_invalid");
        refused(nobody.post("/auth/register", &json!({ "token": "pgi_x" })).await, 404, "invitation_gone");
        let app_of = post(&app, "/auth", &[("content-type", "application/json"), ("origin", "https://evil.example")], "{}").await;
        refused(app_of, 403, "origin_not_allowed");
    }

    async fn failed_logins_are_told_to_wait_and_the_owner_gets_in(db) {
        let app = TestApp::start(&db).await;
        let mut ada = Person::global_admin(&app, ADA).await;
        let mut thief = Person { token: String::new(), authenticator: Authenticator::default(), ..ada.clone() };
        let mut last: Option<testkit::Answer> = None;
        for _ in 0..domain::session::LOGIN_FAILURES {
            let body = thief.answer().await;
            last = Some(thief.post("/auth/authenticate-complete", &body).await);
        }
        let last = last.expect("tried");
        assert!(last.header("retry-after").and_then(|s| s.parse::<u32>().ok()).is_some_and(|s| (1..=1_800).contains(&s)), "{:?}", last.headers);
        refused(last, 429, "too_many_failures");
        ada.log_in().await;
        ada.get("/profile").await.expect(200);
    }

    async fn no_token_but_our_own_is_taken(db) {
        let app = TestApp::start(&db).await;
        let ada = Person::global_admin(&app, ADA).await;
        let [header, claims, signature] = ada.token.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
        let none = "eyJhbGciOiJub25lIn0";
        for token in [
            format!("{none}.{claims}."),
            format!("{none}.{claims}.{signature}"),
            format!("{header}.{claims}."),
            format!("{header}.{}.{signature}", claims.replacen('e', "f", 1)),
            format!("{header}.{claims}.{signature}x"),
            format!("{header}.{claims}"),
            ada.cookies.split_once('=').expect("a cookie").1.to_owned(),
            "x".repeat(10_000),
        ] {
            refused(Person { token: token.clone(), ..ada.clone() }.get("/profile").await, 401, "unauthenticated");
        }
        // A key is no person, and a person's routes say so.
        let office = Office::open(&app).await;
        for key in [&office.key, &office.system_key] {
            let as_key = Person { token: key.clone(), ..ada.clone() };
            refused(as_key.get("/profile").await, 403, "not_permitted");
            refused(as_key.post("/auth", &json!({ "email": ADA })).await, 401, "unauthenticated");
        }
        let in_query = Request::get(format!("/api/v1/profile?token={}", ada.token)).header("authorization", format!("Bearer {}", ada.token));
        refused(app.admin(in_query.body(Body::empty()).expect("a request")).await, 401, "unauthenticated");
    }

    async fn passkeys_are_added_and_removed_with_a_login_of_now(db) {
        let app = TestApp::start(&db).await;
        let mut ada = Person::global_admin(&app, ADA).await;
        let listed = ada.get("/profile/passkeys").await.expect(200);
        assert_eq!((&listed["total"], &listed["page"]), (&json!(1), &json!(1)));
        let only = format!("/profile/passkeys/{}", listed["passkeys"][0]["id"].as_str().expect("an id"));
        refused(ada.delete(&only).await, 409, "last_passkey");
        ada.grow_stale().await;
        refused(ada.post("/profile/passkeys", &json!({})).await, 403, "reauthentication_required");
        refused(ada.delete(&only).await, 403, "reauthentication_required");
        assert_eq!(ada.get("/auth/login/check").await.expect(200)["reauthenticationRequired"], true);
        // The login once more, within the session.
        let challenge = ada.post("/auth", &json!({})).await.expect(200);
        let body = json!({ "ceremonyId": challenge["ceremonyId"], "credential": ada.authenticator.get(&challenge) });
        let confirmed = ada.post("/auth/authenticate-complete", &body).await;
        assert!(confirmed.header("set-cookie").is_none());
        let old = ada.token.clone();
        ada.enter(confirmed, 200);
        Person { token: old, ..ada.clone() }.get("/profile").await.expect(200);
        let mut second = Authenticator::default();
        let challenge = ada.post("/profile/passkeys", &json!({})).await.expect(200);
        assert_eq!(challenge["publicKey"]["authenticatorSelection"]["userVerification"], "required");
        let body = json!({ "ceremonyId": challenge["ceremonyId"], "credential": second.create(&challenge), "label": "Key ring" });
        let added = ada.post("/profile/passkeys/complete", &body).await.expect(201);
        assert_eq!((&added["label"], &added["lastUsedAt"]), (&json!("Key ring"), &Value::Null));
        refused(ada.post("/profile/passkeys/complete", &body).await, 401, "challenge_gone");
        let path = format!("/profile/passkeys/{}", added["id"].as_str().expect("an id"));
        assert_eq!(ada.put(&path, &json!({ "label": "Safe" })).await.expect(200)["label"], "Safe");
        ada.delete(&only).await.expect(200);
        refused(ada.delete(&only).await, 404, "not_found");
        refused(ada.delete("/profile/passkeys/0").await, 404, "not_found");
        let mut with_second = Person { authenticator: second, ..ada.clone() };
        with_second.log_in().await;
        assert_eq!(ada.put("/profile", &json!({ "name": "Ada L." })).await.expect(200)["name"], "Ada L.");
        assert_eq!(with_second.get("/profile").await.expect(200)["name"], "Ada L.");
        refused(ada.put("/profile", &json!({ "name": "a\u{202e}b" })).await, 400, "parameter_invalid_string");
    }

    async fn members_are_invited_changed_and_removed(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let other = office.another("Other").await;
        let root = Person::global_admin(&app, "root@example.com").await;
        let ada = root.invite(&office.organization, "admin", ADA).await;
        let eve = ada.invite(&office.organization, "viewer", "eve@example.com").await;
        let bob = root.invite(&other.organization, "admin", "bob@example.com").await;
        let users = format!("/organizations/{}/users", office.organization);
        let invited = ada.post(&users, &json!({ "email": "new@example.com", "role": "support", "name": "New" })).await.expect(201);
        assert_eq!((&invited["status"], &invited["role"], &invited["name"]), (&json!("invited"), &json!("support"), &json!("New")));
        let listed = ada.get(&users).await.expect(200);
        assert!(!listed.to_string().contains(invited["token"].as_str().expect("a token")));
        let told: Vec<(&str, &str)> = listed["users"].as_array().expect("rows").iter().map(|u| (u["email"].as_str().unwrap_or(""), u["status"].as_str().unwrap_or(""))).collect();
        assert_eq!(told, [(ADA, "active"), ("eve@example.com", "active"), ("new@example.com", "invited")]);
        refused(ada.post(&users, &json!({ "email": "eve@example.com", "role": "admin" })).await, 422, "already_member");
        refused(ada.post(&users, &json!({ "email": "x", "role": "admin" })).await, 422, "parameter_invalid");
        refused(ada.post(&users, &json!({ "email": "x@example.com" })).await, 400, "parameter_missing");
        refused(ada.post(&users, &json!({ "email": "x@example.com", "role": "root" })).await, 400, "parameter_invalid_enum");

        let id = |who: &str| listed["users"].as_array().expect("rows").iter().find(|u| u["email"] == who).and_then(|u| u["id"].as_str()).expect("listed").to_owned();
        let of = |who: &str| format!("{users}/{}", id(who));
        refused(ada.put(&of(ADA), &json!({ "role": "viewer" })).await, 403, "own_role");
        refused(ada.delete(&of(ADA)).await, 403, "own_role");
        refused(eve.put(&of(ADA), &json!({ "role": "viewer" })).await, 403, "insufficient_scope");
        refused(bob.get(&users).await, 404, "not_found");
        refused(eve.post("/sites", &json!({ "name": "x" })).await, 403, "insufficient_scope");
        ada.put(&of("eve@example.com"), &json!({ "role": "admin" })).await.expect(200);
        eve.post("/sites", &json!({ "name": "x" })).await.expect(201);
        ada.delete(&of("eve@example.com")).await.expect(200);
        refused(eve.get("/sites").await, 404, "not_found");
        ada.delete(&of("new@example.com")).await.expect(200);
        refused(ada.delete(&of("eve@example.com")).await, 404, "not_found");
        ada.grow_stale().await;
        refused(ada.post(&users, &json!({ "email": "y@example.com", "role": "viewer" })).await, 403, "reauthentication_required");
        let keys = format!("/organizations/{}/api-keys", office.organization);
        refused(ada.post(&keys, &json!({ "name": "x", "scopes": ["site:read"] })).await, 403, "reauthentication_required");
        ada.get(&keys).await.expect(200);
    }

    async fn a_person_sees_their_own_organisations_and_chooses_one(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let other = office.another("Other").await;
        let third = office.another("Third").await;
        let root = Person::global_admin(&app, "root@example.com").await;
        let mut ada = root.invite(&office.organization, "support", ADA).await;
        ada.organization.clear();
        assert_eq!(ada.get("/organizations").await.expect(200)["total"], 1);
        let has = |listed: &Value, site: &str| listed["sites"].as_array().expect("rows").iter().any(|s| s["id"] == site);
        let only = ada.get("/sites").await.expect(200);
        assert!(has(&only, &office.site) && !has(&only, &other.site), "the only one need not be named: {only}");
        // A second membership by another invitation, taken up in the session.
        let body = json!({ "email": ADA, "role": "viewer" });
        let token = root.post(&format!("/organizations/{}/users", other.organization), &body).await.expect(201)["token"].clone();
        let nobody = Person { token: String::new(), ..ada.clone() };
        refused(nobody.post("/auth/register", &json!({ "token": token })).await, 409, "sign_in_first");
        refused(root.post("/auth/register", &json!({ "token": token })).await, 403, "invitation_for_another");
        let joined = ada.post("/auth/register", &json!({ "token": token })).await.expect(200);
        assert_eq!((joined["joined"].clone(), joined["user"]["organizations"].as_array().map(Vec::len)), (json!(true), Some(2)));
        refused(ada.get("/sites").await, 403, "organization_not_named");
        refused(ada.post(&format!("/organizations/{}/select", third.organization), &json!({})).await, 404, "not_found");
        let chosen = ada.post(&format!("/organizations/{}/select", other.organization), &json!({})).await;
        let cookie = chosen.header("set-cookie").expect("a cookie").split(';').next().expect("a pair").to_owned();
        assert_eq!(chosen.expect(200)["role"], "viewer");
        let with = |cookies: String, organization: &str| Person { cookies, organization: organization.to_owned(), ..ada.clone() };
        let sites = with(cookie.clone(), "").get("/sites").await.expect(200);
        assert!(has(&sites, &other.site) && !has(&sites, &office.site), "{sites}");
        let sites = with(cookie, &office.organization).get("/sites").await.expect(200);
        assert!(has(&sites, &office.site) && !has(&sites, &other.site), "the header wins: {sites}");
        let forged = format!("selectedOrganization={}", third.organization);
        refused(with(forged, "").get("/sites").await, 403, "organization_not_named");
        refused(with(String::new(), &third.organization).get("/sites").await, 404, "not_found");
        assert_eq!(root.get("/organizations").await.expect(200)["total"].as_i64().map(|n| n >= 3), Some(true));
        refused(ada.ask(Method::POST, "/organizations", Some(&json!({ "name": "x" }))).await, 403, "not_permitted");
    }
}
