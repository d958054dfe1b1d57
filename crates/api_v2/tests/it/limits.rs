//! Request limits: exact, shown on every answer, and no way around them.

use crate::support::{FORM, JSON, assert_clean, id, join_all, request, send};
use axum::http::Request;
use base64::Engine as _;
use domain::merchant::KeyKind;
use domain::rate::{Tier, TierName};
use http::Method;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;
use testkit::{Answer, AppOptions, Db, TestApp};

fn tier(per_minute: u32, per_second: u32, burst: u32) -> TierName {
    TierName::custom(Tier { per_minute, per_second, burst }).expect("a tier")
}

async fn app(db: &Db, tier: TierName) -> TestApp {
    TestApp::with(db, AppOptions { tier, ..AppOptions::default() }).await
}

fn number(answer: &Answer, name: &str) -> i64 {
    answer
        .header(name)
        .and_then(|v| v.parse().ok())
        .unwrap_or_else(|| panic!("{name} in {:?}", answer.headers))
}

/// Sends this many reads at the same time; the answers that were allowed and the others.
async fn reads(app: &TestApp, count: usize) -> (Vec<Answer>, Vec<Answer>) {
    let answers = join_all((0..count).map(|_| {
        let app = app.clone();
        async move { app.get("/v2/balance").await }
    }));
    answers.await.into_iter().partition(|a| a.status.as_u16() == 200)
}

/// From an address of the caller's choice, without a key.
fn from(app: &TestApp, ip: &str, authorization: &str) -> Request<axum::body::Body> {
    let mut request = request(app, "GET", "/v2/balance", &[("authorization", authorization)], "");
    let ip: IpAddr = ip.parse().expect("an address");
    request.extensions_mut().insert(web::Peer(SocketAddr::from((ip, 1))));
    request
}

testkit::on_both_engines! {
    async fn the_minute_is_exact_under_two_hundred_at_once(db) {
        let app = app(&db, tier(60, 10_000, 10_000)).await;
        let (allowed, refused) = reads(&app, 200).await;
        assert_eq!((allowed.len(), refused.len()), (60, 140));
        let remaining: BTreeSet<i64> = allowed.iter().map(|a| number(a, "x-ratelimit-remaining")).collect();
        assert_eq!(remaining, (0..60).collect(), "each answer shows what is left after it");
        for answer in &refused {
            assert_clean(answer, "refused");
            assert_eq!(answer.json["error"]["type"], "rate_limit_exceeded");
            let after = number(answer, "retry-after");
            assert!((1..=61).contains(&after));
            assert_eq!(answer.json["error"]["retry_after"], after);
            assert_eq!((number(answer, "x-ratelimit-limit"), number(answer, "x-ratelimit-remaining"), answer.status.as_u16()), (60, 0, 429));
        }
        let now = app.engine.now().secs();
        assert!((now..=now + 62).contains(&number(&refused[0], "x-ratelimit-reset")));
    }

    async fn the_bucket_bounds_a_peak(db) {
        let app = app(&db, TierName::Sandbox).await;
        let started = Instant::now();
        let (allowed, refused) = reads(&app, 60).await;
        let refilled = usize::try_from(started.elapsed().as_secs()).expect("few") * 2 + 2;
        assert!((20..=20 + refilled).contains(&allowed.len()), "{} in {:?}", allowed.len(), started.elapsed());
        assert!(refused.iter().all(|a| a.status.as_u16() == 429 && number(a, "retry-after") == 1));
        assert_eq!(number(&allowed[0], "x-ratelimit-limit"), 100);
    }

    async fn one_key_has_one_allowance_however_it_is_sent(db) {
        let app = app(&db, tier(30, 10_000, 10_000)).await;
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("{}:", app.sk));
        let spellings = [format!("Bearer {}", app.sk), format!("bearer {}", app.sk), format!("BEARER {}", app.sk), format!("Basic {basic}"), format!("basic {basic}")];
        let places = [("GET", "/v2/balance", 200), ("GET", "/stripe/v1/balance", 200), ("GET", "/nowhere", 404), ("PUT", "/v2/balance", 405), ("POST", "/v2/customers", 415), ("GET", "/v2/events/x", 404)];
        for left in (0..30).rev() {
            let (method, path, status) = places[left % places.len()];
            let answer = send(&app, method, path, &[("authorization", &spellings[left % spellings.len()])], "x").await;
            assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
            assert_eq!(number(&answer, "x-ratelimit-remaining"), i64::try_from(left).expect("few"), "{method} {path}");
        }
        for spelling in &spellings {
            for (method, path, _) in places {
                let answer = send(&app, method, path, &[("authorization", spelling)], "x").await;
                assert_eq!(answer.status.as_u16(), 429, "{method} {path}: {}", answer.text);
                assert_clean(&answer, path);
            }
        }
        // Limits are per key: another key of the merchant, the other mode and other merchants go on.
        let (_, second) = app.engine.create_key(app.scope(), KeyKind::Secret, "second".to_owned()).await.expect("a key");
        for key in [&second, &app.sk_live, &app.another_merchant().await.sk] {
            app.as_key(key, Method::GET, "/v2/balance", &[], None).await.expect(200);
        }
    }

    async fn every_answer_shows_the_limits(db) {
        let app = TestApp::start(&db).await;
        let big = "x".repeat(70_000);
        let pk = format!("Bearer {}", app.pk);
        type Headers<'a> = &'a [(&'a str, &'a str)];
        let cases: [(&str, &str, Headers<'_>, &str, u16); 16] = [
            ("GET", "/v2/balance", &[], "", 200),
            ("POST", "/v2/customers", &[FORM], "", 201),
            ("POST", "/v2/customers", &[FORM], "x=1", 400),
            ("POST", "/v2/customers", &[JSON], "{", 400),
            ("GET", "/v2/balance", &[("authorization", "")], "", 401),
            ("GET", "/nowhere", &[("authorization", "")], "", 404),
            ("PUT", "/v2/balance", &[("authorization", "")], "", 405),
            ("GET", "/v2/balance", &[("authorization", &pk)], "", 403),
            ("POST", "/v2/payment_intents", &[FORM], "amount=1&currency=eur&confirm=true&payment_method=pm_card_chargeDeclined", 402),
            ("GET", "/v2/events/evt_00000000000000000", &[], "", 404),
            ("GET", "/v2/payment_intents/%ff", &[], "", 404),
            ("GET", "/v2/payment_intents/%ff", &[("authorization", "")], "", 401),
            ("GET", "/nowhere", &[], "", 404),
            ("PATCH", "/v2/balance", &[], "", 405),
            ("POST", "/v2/customers", &[FORM], &big, 413),
            ("POST", "/v2/customers", &[("content-type", "text/xml")], "x", 415),
        ];
        for (method, path, headers, body, status) in cases {
            let answer = send(&app, method, path, headers, body.to_owned()).await;
            assert_eq!(answer.status.as_u16(), status, "{method} {path}: {}", answer.text);
            let (limit, left, reset) = (number(&answer, "x-ratelimit-limit"), number(&answer, "x-ratelimit-remaining"), number(&answer, "x-ratelimit-reset"));
            assert!(limit == 60_000 || limit == 50, "{method} {path}: {limit}");
            assert!(left < limit && reset >= app.engine.now().secs() - 1, "{method} {path}: {left} until {reset}");
            let request = answer.header("x-request-id").expect("an id");
            assert!(request.starts_with("req_") && answer.header("request-id") == Some(request));
            assert_eq!((answer.header("x-content-type-options"), answer.header("cache-control")), (Some("nosniff"), Some("no-store")));
        }
    }

    async fn replays_are_free_but_not_without_end(db) {
        let app = app(&db, tier(8, 1, 8)).await;
        let form = [("amount", "100"), ("currency", "eur")];
        let first = app.post_once("k", "/v2/payment_intents", &form).await;
        assert_eq!((first.status.as_u16(), number(&first, "x-ratelimit-remaining")), (201, 7));
        for _ in 0..20 {
            let replay = app.post_once("k", "/v2/payment_intents", &form).await;
            assert_eq!((replay.header("idempotent-replayed"), number(&replay, "x-ratelimit-remaining")), (Some("true"), 7), "{}", replay.text);
            assert_eq!(replay.text, first.text);
        }
        let (allowed, _) = reads(&app, 20).await;
        assert_eq!(allowed.len(), 7);
        // With nothing left, a repetition is still answered, and a new request is not, key or no key.
        assert_eq!(app.post_once("k", "/v2/payment_intents", &form).await.expect(201)["id"], first.json["id"]);
        let fresh = app.post_once("new", "/v2/payment_intents", &form).await;
        assert_eq!(fresh.status.as_u16(), 429, "{}", fresh.text);
        app.post_once("k", "/v2/payment_intents", &[("amount", "101"), ("currency", "eur")]).await.expect(400);
        // Ten times the tier: 80 a minute, of which 23 are used; a made-up key costs as much as a real one.
        let mut capped = Vec::new();
        for _ in 0..80 {
            capped.push(app.post_once("k", "/v2/payment_intents", &form).await);
        }
        let refused: Vec<_> = capped.iter().filter(|a| a.status.as_u16() == 429).collect();
        assert_eq!(refused.len(), 80 - 57);
        assert!(refused.iter().all(|a| number(a, "retry-after") >= 1));
        assert_eq!(id(&first.json), id(&capped[0].json));
    }

    async fn requests_without_a_key_are_limited_by_address(db) {
        let app = TestApp::start(&db).await;
        let wrong = format!("Bearer sk_test_{}", "A".repeat(32));
        for n in 0..50 {
            let answer = app.send(from(&app, "192.0.2.1", if n % 2 == 0 { "" } else { &wrong })).await;
            assert_eq!((answer.status.as_u16(), number(&answer, "x-ratelimit-remaining")), (401, 49 - n));
        }
        let refused = app.send(from(&app, "192.0.2.1", &wrong)).await;
        assert_eq!((refused.status.as_u16(), number(&refused, "x-ratelimit-limit")), (429, 50));
        assert!(number(&refused, "retry-after") >= 1);
        // Claims about where a request comes from change nothing.
        for name in ["x-forwarded-for", "x-real-ip", "forwarded", "cf-connecting-ip", "true-client-ip"] {
            let mut claims = from(&app, "192.0.2.1", &wrong);
            claims.headers_mut().insert(name, axum::http::HeaderValue::from_static("198.51.100.7"));
            assert_eq!(app.send(claims).await.status.as_u16(), 429, "{name}");
        }
        assert_eq!(app.send(from(&app, "192.0.2.2", &wrong)).await.status.as_u16(), 401);
        // A valid key from there still works: neighbours behind one address must not lock each other out.
        let valid = format!("Bearer {}", app.sk);
        assert_eq!(app.send(from(&app, "192.0.2.1", &valid)).await.status.as_u16(), 200);
        // A whole /64 is one customer of an access network.
        for n in 0..50 {
            assert_eq!(app.send(from(&app, &format!("2001:db8::{n:x}"), &wrong)).await.status.as_u16(), 401);
        }
        assert_eq!(app.send(from(&app, "2001:db8::ffff:1", &wrong)).await.status.as_u16(), 429);
        assert_eq!(app.send(from(&app, "2001:db8:0:1::1", &wrong)).await.status.as_u16(), 401);
    }
}
