//! Addresses that mean nothing here, however they are spelt (D20, H10, H12).

use crate::process::{Gateway, Place};
use crate::wire::{Client, talk};
use testkit::{Db, Kind};

/// `GET target`, as is.
fn get(gateway: &Gateway, target: &str, more: &str) -> Vec<u8> {
    let key = &gateway.key;
    format!(
        "GET {target} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n{more}connection: close\r\n\r\n"
    )
    .into_bytes()
}

#[tokio::test]
async fn no_other_spelling_leads_anywhere() {
    let db = Db::new(Kind::Sqlite).await;
    let gateway = Gateway::start(&Place::of(&db));
    for target in [
        "/v2/../admin",
        "/v2/../v2/balance",
        "/v2/%2e%2e/v2/balance",
        "/v2/%2E%2E%2Fv2/balance",
        "/v2/./balance",
        "//v2/balance",
        "/v2//balance",
        "///",
        "/v2/;/balance",
        "/v2;a=b/balance",
        "/v2/balance;a=b",
        "/v2/balance.",
        "/v2/balance.json",
        "/v2/balance/",
        "/v2/balance%00",
        "/v2/balance%20",
        "/v2/balance%0d%0aX-Evil:1",
        "/v2/%62alance",
        "/V2/balance",
        "/v2/BALANCE",
        "/v2\\balance",
        "/v2/payment_intents/pi_1/../../balance",
        "/v2/payment_intents/..%2f..%2fbalance",
        "/v2/payment_intents/%2e%2e",
        "/stripe/v1/../../v2/balance",
        "*",
    ] {
        let (answers, _) = talk(gateway.api, &get(&gateway, target, ""));
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert!(statuses == [404] || statuses == [400], "{target}: {statuses:?}");
        assert!(answers[0].header("x-evil").is_none(), "{target}");
    }
    for header in ["x-original-url", "x-rewrite-url", "x-forwarded-path", "x-forwarded-prefix"] {
        let (answers, _) =
            talk(gateway.api, &get(&gateway, "/v2/nothing", &format!("{header}: /v2/balance\r\n")));
        assert_eq!(answers[0].status, 404, "{header}");
    }
    let customer =
        gateway.client().post("/v2/customers", &[]).expect(201)["id"].as_str().expect("an id").to_owned();
    for header in ["x-http-method-override", "x-http-method", "x-method-override"] {
        let path = format!("/v2/customers/{customer}");
        let request = get(&gateway, &path, &format!("{header}: DELETE\r\n"));
        assert_eq!(talk(gateway.api, &request).0[0].status, 200, "{header}");
        assert_eq!(gateway.get(&path).expect(200)["id"], customer.as_str(), "{header} deleted it");
    }
    for method in ["TRACE", "CONNECT", "OPTIONS", "PATCH", "PUT", "PROPFIND", "get"] {
        let request = format!("{method} /v2/balance HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let (answers, _) = talk(gateway.api, request.as_bytes());
        assert!([400, 401, 404, 405].contains(&answers[0].status), "{method}: {}", answers[0].status);
        assert!(!answers[0].body.contains("authorization"), "{method} echoes the request");
    }
    // Wherever it says it goes, it goes here, and needs a key here.
    let elsewhere =
        "GET http://evil.example/v2/balance HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    assert_eq!(talk(gateway.api, elsewhere.as_bytes()).0[0].status, 401);
    gateway.stop();
}

#[tokio::test]
async fn nothing_is_left_lying_around() {
    let db = Db::new(Kind::Sqlite).await;
    let gateway = Gateway::start(&Place::of(&db));
    for listener in [gateway.api, gateway.admin, gateway.public, gateway.stripe] {
        for path in [
            "/debug",
            "/debug/pprof",
            "/debug/vars",
            "/.git/config",
            "/.git/HEAD",
            "/.env",
            "/.htaccess",
            "/paymentgate.db",
            "/paymentgate.db-wal",
            "/sealing.key",
            "/demo-keys.txt",
            "/paymentgate-data/sealing.key",
            "/backup.sql",
            "/backup.zip",
            "/dump.rdb",
            "/server-status",
            "/actuator/env",
            "/phpinfo.php",
            "/wp-login.php",
            "/swagger.json",
            "/openapi.json",
            "/graphql",
            "/console",
            "/assets/",
            "/assets/../sealing.key",
            "/assets/%2e%2e%2fsealing.key",
            "/assets/app.js.map",
            "/assets/style.css.map",
            "/static/../Cargo.toml",
            "/etc/passwd",
            "/proc/self/environ",
            "/trace",
            "/heapdump",
            "/config",
            "/admin",
            "/login",
        ] {
            // With a good key, so that it is not the key that is refused.
            let answer = Client::new(listener, &gateway.key).get(path);
            assert_eq!(answer.status, 404, "{path} on {listener}");
        }
        if listener != gateway.admin {
            let answer = Client::new(listener, &gateway.key).get("/metrics");
            assert_eq!(answer.status, 404, "/metrics on {listener}");
        }
    }
    gateway.stop();
}

/// A flood of health checks gets the same short answer, and tells nothing about the machine.
#[tokio::test]
async fn health_tells_no_internals() {
    let db = Db::new(Kind::Sqlite).await;
    let gateway = Gateway::start(&Place::of(&db));
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| {
                for _ in 0..40 {
                    let answer = Client::new(gateway.public, "").get("/health");
                    assert_eq!((answer.status, &*answer.body), (200, r#"{"status":"ok"}"#));
                }
            });
        }
    });
    for forwarded in [
        "x-forwarded-for: 203.0.113.9",
        "forwarded: for=203.0.113.9",
        "via: 1.1 proxy",
        "x-real-ip: 127.0.0.1",
    ] {
        for (listener, path) in [
            (gateway.public, "/internal/health"),
            (gateway.api, "/internal/health"),
            (gateway.admin, "/metrics"),
        ] {
            let request = get(&gateway, path, &format!("{forwarded}\r\n"));
            let (answers, _) = talk(listener, &request);
            assert_eq!(answers[0].status, 404, "{path} with {forwarded}: {}", answers[0].body);
        }
    }
    gateway.stop();
}
