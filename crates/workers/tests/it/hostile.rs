//! Receivers that answer badly (F5, F7): bounded in size and time, and told in coarse words only (F10).

use crate::raw_receiver::{Manner, RawReceiver};
use crate::support::{Endpoint, pay, work};
use serde_json::Value;
use std::time::Duration;
use testkit::TestApp;
use workers::WorkerOptions;

const CHUNKED: &str = "HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n";
const PLAIN: &str = "HTTP/1.1 500 No\r\ncontent-length: 1000000000000\r\n\r\n";

fn says(bytes: &[u8]) -> Manner {
    Manner::Says(bytes.to_vec())
}

/// A receiver's manner, and what its merchant reads: a status, or a class of failure.
fn cases() -> Vec<(&'static str, Manner, Result<u16, &'static str>)> {
    let bomb = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(1 << 20));
    let storm = "HTTP/1.1 102 Processing\r\n\r\n".repeat(20_000);
    vec![
        ("endless body", Manner::Floods(PLAIN, &[b'x'; 4_096]), Ok(500)),
        ("endless chunks", Manner::Floods(CHUNKED, b"4\r\nwxyz\r\n"), Ok(500)),
        (
            "endless head",
            Manner::Floods("HTTP/1.1 200 OK\r\n", b"x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"),
            Err("http"),
        ),
        ("one byte at a time in the head", Manner::Drips("HTTP/1.1 200 OK\r\nx: "), Err("timeout")),
        (
            "one byte at a time in the body",
            Manner::Drips("HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n"),
            Err("timeout"),
        ),
        ("silence", Manner::Hangs, Err("timeout")),
        ("garbage", says(b"\x00\x01\x02 not HTTP \xff\xfe\r\n\r\n"), Err("http")),
        ("another protocol", says(b"SSH-2.0-OpenSSH_9.2p1\r\n"), Err("http")),
        ("nothing", says(b""), Err("http")),
        ("half a head", says(b"HTTP/1.1 200 OK\r\ncontent-le"), Err("http")),
        ("half a body", says(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"), Err("http")),
        ("broken chunks", says(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), Err("http")),
        ("a megabyte of header", says(bomb.as_bytes()), Err("http")),
        ("a storm of interim answers", says(storm.as_bytes()), Err("http")),
        (
            "another protocol's beginning",
            says(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n"),
            Err("http"),
        ),
        ("a way to a file", Manner::answers("302 Found", "location: file:///etc/passwd\r\n"), Ok(302)),
    ]
}

testkit::on_both_engines! {
    async fn bad_answers_end_as_failed_attempts_of_a_coarse_class(db) {
        let app = TestApp::start(&db).await;
        let mut endpoints = Vec::new();
        for (what, manner, outcome) in cases() {
            let receiver = RawReceiver::start(manner).await;
            endpoints.push((what, Endpoint::paid(&app, &receiver.url).await, outcome, receiver));
        }
        let options = WorkerOptions { delivery_timeout: Duration::from_secs(2), ..WorkerOptions::default() };
        let workers = work(&app, options);
        pay(&app).await;
        for (what, endpoint, outcome, _) in &endpoints {
            let delivery = endpoint.attempted(&app, 1).await;
            let attempt = &delivery["attempts"][0];
            assert_eq!(attempt["http_status"].as_u64(), outcome.ok().map(u64::from), "{what}: {attempt}");
            assert_eq!(attempt["error"].as_str(), outcome.err(), "{what}: {attempt}");
            assert_eq!(delivery["status"], "pending", "{what}");
            assert!(attempt["response_body"].as_str().unwrap_or("").len() <= 16 * 1024, "{what}");
            // One attempt lasts as long as it may, whatever the other side does; generous for slow machines.
            assert!(attempt["duration_ms"].as_u64().is_some_and(|ms| ms < 10_000), "{what}: {attempt}");
        }
        workers.stop().await;
        assert!(endpoints.iter().all(|(_, _, _, receiver)| receiver.requests() == 1), "an attempt was repeated by itself");
    }

    async fn a_success_counts_whatever_its_body(db) {
        let app = TestApp::start(&db).await;
        let text = "<script>alert(1)</script>\x1b[31m\0caf\u{e9}";
        let shown = "<script>alert(1)</script>\u{fffd}[31m\u{fffd}caf\u{e9}";
        let plain = format!("HTTP/1.1 202 Accepted\r\ncontent-length: {}\r\n\r\n{text}", text.len());
        let endless = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let zipped = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8b\x08\x00";
        for (manner, body) in [
            (says(plain.as_bytes()), Some(shown)),
            (says(b"HTTP/1.1 204 No Content\r\n\r\n"), Some("")),
            (Manner::Floods(endless, b"4\r\nwxyz\r\n"), None),
            (says(zipped), Some("\u{1f}\u{fffd}\u{8}\0")),
        ] {
            let receiver = RawReceiver::start(manner).await;
            let endpoint = Endpoint::paid(&app, &receiver.url).await;
            let workers = work(&app, WorkerOptions::default());
            pay(&app).await;
            let delivery = endpoint.attempted(&app, 1).await;
            workers.stop().await;
            assert_eq!(delivery["status"], "succeeded", "{delivery}");
            let kept = delivery["attempts"][0]["response_body"].as_str().expect("a body");
            assert!(kept.len() <= 16 * 1024 && !kept.contains(['\0', '\x1b']), "{kept:?}");
            if let Some(body) = body {
                assert_eq!(kept, body.replace(['\u{1f}', '\u{8}', '\0'], "\u{fffd}"));
            }
            app.delete(&endpoint.path()).await.expect(200);
        }
    }

    async fn a_refused_connection_is_told_and_tried_again(db) {
        let app = TestApp::start(&db).await;
        // A port that was free a moment ago.
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
        let endpoint = Endpoint::paid(&app, &format!("http://{closed}/")).await;
        let workers = work(&app, WorkerOptions::default());
        pay(&app).await;
        let delivery = endpoint.attempted(&app, 1).await;
        workers.stop().await;
        let attempt = &delivery["attempts"][0];
        assert_eq!((attempt["error"].as_str(), &attempt["http_status"]), (Some("connect"), &Value::Null));
        assert_eq!(delivery["status"], "pending");
    }
}
