//! What may be registered: addresses (F1, F2, F3, F6), events, headers (F13), and how many (F12).

use crate::support::Endpoint;
use http::Method;
use testkit::{Answer, AppOptions, TestApp};

const LOOPBACK: [&str; 4] =
    ["http://127.0.0.1:4242/", "http://localhost:4242/", "http://[::1]:4242/", "https://127.0.0.1:4242/"];

/// Never, in no mode, with no setting.
const NEVER: [&str; 61] = [
    // F1: spellings of loopback and of this network's names that a naive check lets pass.
    "http://0.0.0.0:4242/",
    "http://0:4242/",
    "https://localhost./",
    "https://localhost.localdomain/",
    "https://metadata.google.internal/",
    "https://metadata/",
    "https://printer.local/",
    "https://db.svc/",
    // F2: private and reserved.
    "https://169.254.169.254/latest/meta-data",
    "https://[fd00:ec2::254]/",
    "https://100.64.0.1/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.168.1.1/",
    "https://198.18.0.1/",
    "https://192.0.0.1/",
    "https://192.0.2.1/",
    "https://203.0.113.1/",
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://3232235777/",
    "https://0xa9fea9fe/",
    "https://0251.0376.0251.0376/",
    // F3: the same in IPv6 clothes.
    "https://[::]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://[::10.0.0.1]/",
    "https://[64:ff9b::a00:1]/",
    "https://[64:ff9b:1::1]/",
    "https://[2002:a00:1::]/",
    "https://[2001::1]/",
    "https://[2001:db8::1]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25lo]/",
    "https://[fec0::1]/",
    "https://[fc00::1]/",
    "https://[ff02::1]/",
    "https://[5f00::1]/",
    "https://[100::1]/",
    // F6: ports of other services, and hosts hidden behind user names.
    "https://shop.example:22/",
    "https://shop.example:25/",
    "https://shop.example:6379/",
    "https://shop.example:5432/",
    "https://shop.example:0/",
    "https://shop.example:65536/",
    "https://shop.example:443@127.0.0.1/",
    "https://user:secret@shop.example/",
    "http://127.0.0.1:22/",
    "http://127.0.0.1:6379/",
    // Not an address, or not one for webhooks.
    "",
    "shop.example/hook",
    "//shop.example/hook",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "gopher://shop.example/",
    "https:///shop.example/",
    "https://shop.example/a b",
    "https://shop.example\\@127.0.0.1/",
    "https://shop.example/#part",
];

async fn register(app: &TestApp, key: &str, url: &str) -> Answer {
    let form = [("url", url), ("enabled_events[]", "*")];
    app.as_key(key, Method::POST, "/v2/webhook_endpoints", &form, None).await
}

#[track_caller]
fn assert_refused(answer: Answer, url: &str) {
    let error = answer.clone().expect(400)["error"].clone();
    assert_eq!(error["param"], "url", "{url:?}: {error}");
    let code = error["code"].as_str().expect("a code");
    assert!(
        ["url_invalid", "parameter_missing", "parameter_invalid_string"].contains(&code),
        "{url:?}: {error}"
    );
    assert!(error["message"].as_str().is_some_and(|m| m.len() > 20), "{url:?}: {error}");
    assert!(
        url.is_empty() || !answer.text.contains("secret"),
        "{url:?}: what may be a credential is repeated"
    );
}

testkit::on_both_engines! {
    async fn addresses_outside_the_public_internet_are_refused(db) {
        let app = TestApp::start(&db).await;
        for url in NEVER {
            for key in [&app.sk, &app.sk_live] {
                assert_refused(register(&app, key, url).await, url);
            }
        }
        for url in ["http://127.1:4242/", "http://2130706433:4242/", "http://0x7f.1:4242/", "http://0177.0.0.1:4242/"] {
            assert_refused(register(&app, &app.sk_live, url).await, url);
        }
        let long = format!("https://shop.example/{}", "a".repeat(2_048));
        assert_refused(register(&app, &app.sk, &long).await, &long);
        let kept = register(&app, &app.sk_live, "https://shop.example:8443/hook?a=1").await.expect(201);
        assert_eq!((&kept["url"], &kept["livemode"]), (&"https://shop.example:8443/hook?a=1".into(), &true.into()));
        // An address may not be changed into what it could not have been.
        let path = format!("/v2/webhook_endpoints/{}", kept["id"].as_str().expect("an id"));
        for url in ["https://10.0.0.1/", "http://shop.example/"] {
            let answer = app.as_key(&app.sk_live, Method::POST, &path, &[("url", url)], None).await;
            assert_refused(answer, url);
        }
        let listed = app.get("/v2/webhook_endpoints").await.expect(200);
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(0), "a refused address was stored");
    }

    async fn loopback_and_plain_http_are_for_test_mode_alone(db) {
        let open = TestApp::start(&db).await;
        let strict = TestApp::with(&db, AppOptions { options: engine::Options::default(), ..Default::default() }).await;
        for url in LOOPBACK {
            register(&open, &open.sk, url).await.expect(201);
            assert_refused(register(&open, &open.sk_live, url).await, url);
            assert_refused(register(&strict, &strict.sk, url).await, url);
            assert_refused(register(&strict, &strict.sk_live, url).await, url);
        }
        for app in [&open, &strict] {
            for key in [&app.sk, &app.sk_live] {
                assert_refused(register(app, key, "http://shop.example/hook").await, "http");
                register(app, key, "https://shop.example/hook").await.expect(201);
            }
        }
    }

    async fn events_are_known_types_or_groups_of_them(db) {
        let app = TestApp::start(&db).await;
        let create = async |events: &[&str]| {
            let mut form = vec![("url", "https://shop.example/hook")];
            form.extend(events.iter().map(|event| ("enabled_events[]", *event)));
            app.post("/v2/webhook_endpoints", &form).await
        };
        for good in [&["*"][..], &["charge.*"], &["payment_intent.succeeded", "charge.refunded"]] {
            assert_eq!(create(good).await.expect(201)["enabled_events"], serde_json::json!(good));
        }
        for bad in ["charge*", "nonsense.*", "payment_intent.exploded", "**", ".*", "CHARGE.*", "charge.* ", ""] {
            let refused = create(&["charge.refunded", bad]).await;
            let param = refused.clone().expect(400)["error"]["param"].as_str().expect("a parameter").to_owned();
            assert!(param.starts_with("enabled_events"), "{bad:?}: {}", refused.text);
        }
        create(&[]).await.expect_error(400, "invalid_request_error", Some("parameter_missing"));
        let flood: Vec<&str> = std::iter::repeat_n("charge.refunded", 201).collect();
        create(&flood).await.expect(400);
    }

    async fn sixteen_in_each_mode_and_no_headers_of_ones_own(db) {
        let app = TestApp::start(&db).await;
        let form = [("url", "https://shop.example/hook"), ("enabled_events[]", "*")];
        for header in ["headers[Host]", "headers[Content-Length]", "headers[Authorization]"] {
            let refused = app.post("/v2/webhook_endpoints", &[form[0], form[1], (header, "x\r\nX-Evil: 1")]).await;
            refused.expect_error(400, "invalid_request_error", Some("parameter_unknown"));
        }
        let mut last = Endpoint::paid(&app, "https://shop.example/0").await;
        for n in 1..16 {
            last = Endpoint::paid(&app, &format!("https://shop.example/{n}")).await;
        }
        let full = app.post("/v2/webhook_endpoints", &form).await;
        full.expect_error(400, "invalid_request_error", Some("limit_exceeded"));
        register(&app, &app.sk_live, "https://shop.example/live").await.expect(201);
        app.delete(&last.path()).await.expect(200);
        app.post("/v2/webhook_endpoints", &form).await.expect(201);
        app.post("/v2/webhook_endpoints", &form).await.expect(400);
    }

    async fn at_most_sixteen_by_parallel_requests_too(db) {
        let app = TestApp::start(&db).await;
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..40 {
            let app = app.clone();
            all.spawn(async move { register(&app, &app.sk, "https://shop.example/hook").await.status.as_u16() });
        }
        let made = all.join_all().await.into_iter().filter(|status| *status == 201).count();
        assert_eq!(made, 16);
    }
}
