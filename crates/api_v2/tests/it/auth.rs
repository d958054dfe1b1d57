//! Keys: every way of not having one looks the same, and a key opens only what it is for.

use crate::support::{Logs, assert_clean, assert_same_rows, join_all, rows, send};
use base64::Engine as _;
use domain::merchant::KeyKind;
use domain::scope::Mode;
use std::collections::BTreeSet;
use testkit::{Answer, TestApp};

fn basic(user_and_password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(user_and_password))
}

/// What an answer tells, without what differs for every request.
fn told(answer: &Answer) -> (u16, serde_json::Value, BTreeSet<String>) {
    let mut body = answer.json.clone();
    body["error"]["request_id"] = serde_json::Value::Null;
    let names = answer.headers.keys().map(ToString::to_string).collect();
    (answer.status.as_u16(), body, names)
}

/// The key with one change that a careless comparison would not see.
fn altered(key: &str) -> impl Iterator<Item = String> {
    let last = key.chars().last().expect("a key");
    let other = if last == 'A' { 'B' } else { 'A' };
    let swapped: String = key
        .chars()
        .map(|c| if c.is_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() })
        .collect();
    let all = vec![
        format!("{}{other}", &key[..key.len() - 1]),
        key[..key.len() - 1].to_owned(),
        key[1..].to_owned(),
        format!("{key}{key}"),
        format!("{key}{last}"),
        key.to_ascii_uppercase(),
        key.to_ascii_lowercase(),
        swapped,
        format!("{key} "),
        format!(" {key}"),
        format!("{key}\0"),
        format!("{key}%00"),
        format!("{key},{key}"),
        key.replacen('s', "\u{455}", 1),
        key.replacen("test", "live", 1),
        key.replacen("sk", "pk", 1),
        key.replacen('_', "\u{ff3f}", 1),
        "sk_test_".to_owned(),
        "'".to_owned(),
        "x".repeat(128),
        "x".repeat(20_000),
    ];
    all.into_iter().filter(move |altered| altered != key)
}

testkit::on_both_engines! {
    async fn every_way_of_not_having_a_key_gets_one_answer(db) {
        let app = TestApp::start(&db).await;
        let before = rows(&app).await;
        let bearer = format!("Bearer {}", app.sk);
        let unknown = format!("Bearer sk_test_{}", "A".repeat(32));
        let empty_user = basic(":");
        let cases: Vec<Vec<(&str, &str)>> = vec![
            vec![("authorization", "")],
            vec![("authorization", "Bearer ")],
            vec![("authorization", "Bearer")],
            vec![("authorization", "Digest abc")],
            vec![("authorization", &app.sk)],
            vec![("authorization", &empty_user)],
            vec![("authorization", "Basic ")],
            vec![("authorization", "Basic !!!")],
            vec![("authorization", &unknown)],
            vec![("authorization", &bearer), ("authorization", &bearer)],
            vec![("authorization", &bearer), ("authorization", &unknown)],
            vec![("authorization", &unknown), ("authorization", &bearer)],
            vec![("authorization", ""), ("x-api-key", &app.sk)],
        ];
        let first = told(&send(&app, "GET", "/v2/payment_intents", &cases[0], "").await);
        for headers in &cases {
            for (method, path) in [("GET", "/v2/payment_intents"), ("POST", "/v2/payment_intents"), ("GET", "/stripe/v1/balance")] {
                let answer = send(&app, method, path, headers, "amount=1&currency=eur").await;
                assert_clean(&answer, &format!("{headers:?}"));
                assert_eq!(told(&answer), first, "{method} {path} {headers:?}");
            }
        }
        assert_eq!(first.0, 401);
        assert_eq!(first.1["error"]["type"], "authentication_error");
        assert_same_rows(&before, &rows(&app).await, "requests without a key");
    }

    async fn a_key_is_taken_only_letter_for_letter(db) {
        let app = TestApp::start(&db).await;
        for key in [&app.sk, &app.pk, &app.sk_live, &app.pk_live] {
            for bad in altered(key) {
                for value in [format!("Bearer {bad}"), basic(&format!("{bad}:"))] {
                    // A NUL cannot be in a header; the server refuses such a request before it is one.
                    if axum::http::HeaderValue::from_str(&value).is_err() {
                        continue;
                    }
                    let answer = send(&app, "GET", "/v2/balance", &[("authorization", &value)], "").await;
                    assert_eq!(answer.status.as_u16(), 401, "{value:.200}: {}", answer.text);
                    assert_clean(&answer, &value);
                }
            }
        }
        for good in [format!("bearer {}", app.sk), basic(&format!("{}:", app.sk)), basic(&app.sk)] {
            send(&app, "GET", "/v2/balance", &[("authorization", &good)], "").await.expect(200);
        }
        let with_password = basic(&format!("{}:password", app.sk));
        send(&app, "GET", "/v2/balance", &[("authorization", &with_password)], "").await.expect(401);
    }

    async fn a_key_in_the_address_is_refused_and_not_logged(db) {
        let logs = Logs::capture();
        let app = TestApp::start(&db).await;
        for (key, name) in [(&app.sk_live, "api_key"), (&app.sk, "api_key"), (&app.sk, "key"), (&app.pk, "api_key")] {
            for path in ["/v2/balance", "/v2/payment_intents", "/stripe/v1/balance"] {
                let path = format!("{path}?{name}={key}");
                for headers in [&[("authorization", "")][..], &[]] {
                    let answer = send(&app, "GET", &path, headers, "").await;
                    let request = answer.header("x-request-id").expect("an id").to_owned();
                    answer.expect_error(401, "authentication_error", None);
                    let warned = logs.of_request(&request).iter().any(|r| r["level"] == "WARN" && r["message"].as_str().is_some_and(|m| m.contains("query string")));
                    assert!(warned, "the operator is told: {path}");
                }
            }
            send(&app, "GET", &format!("/nowhere?{name}={key}"), &[("authorization", "")], "").await.expect(404);
            assert!(!logs.text().contains(key.as_str()), "{name}");
        }
    }

    async fn a_revoked_key_ends_within_a_second_and_its_successor_goes_on(db) {
        let app = TestApp::start(&db).await;
        app.get("/v2/balance").await.expect(200);
        let (_, successor) = app.engine.create_key(app.scope(), KeyKind::Secret, "next".to_owned()).await.expect("a key");
        let keys = app.engine.list_keys(app.merchant).await.expect("keys");
        let old = keys.iter().find(|k| k.last4 == app.sk[app.sk.len() - 4..] && k.kind == KeyKind::Secret && k.scope.mode == Mode::Test);
        let old = old.expect("the key is listed").id;
        // While both are valid, both work: that is how a key is changed without a pause.
        for key in [&app.sk, &successor] {
            app.as_key(key, "GET".parse().expect("a method"), "/v2/balance", &[], None).await.expect(200);
        }
        assert!(app.engine.revoke_key(old).await.expect("revoked"));
        assert!(!app.engine.revoke_key(old).await.expect("asked"), "a second time there is nothing to revoke");
        tokio::time::sleep(std::time::Duration::from_millis(1_050)).await;
        let refused = app.get("/v2/balance").await;
        refused.expect_error(401, "authentication_error", None);
        let answers = join_all((0..20).map(|_| { let app = app.clone(); async move { app.get("/v2/balance").await.status.as_u16() } })).await;
        assert!(answers.iter().all(|s| *s == 401 || *s == 429), "{answers:?}");
        app.as_key(&successor, "GET".parse().expect("a method"), "/v2/balance", &[], None).await.expect(200);
        let revoked = app.engine.list_keys(app.merchant).await.expect("keys");
        assert!(revoked.iter().any(|k| k.id == old && k.revoked_at.is_some()));
    }

    async fn a_list_of_keys_shows_no_key(db) {
        let app = TestApp::start(&db).await;
        let listed = app.engine.list_keys(app.merchant).await.expect("keys");
        assert_eq!(listed.len(), 4);
        let shown = format!("{listed:?}");
        for key in [&app.sk, &app.pk, &app.sk_live, &app.pk_live] {
            let random = key.rsplit('_').next().expect("a random part");
            assert!(!shown.contains(&random[..8]) && !shown.contains(&random[random.len() - 8..]), "{shown}");
            assert!(listed.iter().any(|k| k.last4 == key[key.len() - 4..]));
        }
    }
}
