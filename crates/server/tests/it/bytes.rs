//! Requests that are not quite HTTP (A4, D21, D23): one answer at most, and the connection is closed, so
//! that what follows can never pass for a request of its own.

use crate::process::{Gateway, Place};
use crate::wire::{Client, talk};
use std::net::SocketAddr;
use testkit::{Db, Kind};

/// What an attacker hides behind a request whose end is in dispute.
const SMUGGLED: &str = "GET /health HTTP/1.1\r\nhost: x\r\n\r\n";

/// A `POST` with these header lines and this body, and another request behind it.
fn post(gateway: &Gateway, lines: &str, body: &str) -> Vec<u8> {
    let head = format!("POST /v2/customers HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n", gateway.key);
    format!("{head}{lines}\r\n{body}{SMUGGLED}").into_bytes()
}

fn get(lines: &str) -> Vec<u8> {
    format!("GET /health HTTP/1.1\r\nhost: x\r\n{lines}\r\n{SMUGGLED}").into_bytes()
}

/// One answer with one of these statuses, and the end.
#[track_caller]
fn assert_cut(address: SocketAddr, what: &str, bytes: &[u8], statuses: &[u16]) {
    let (answers, closed) = talk(address, bytes);
    let said: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    // The answer may be lost with the connection when much is still on its way.
    let fine = said.len() == 1 && statuses.contains(&said[0]) || (said.is_empty() && bytes.len() > 100_000);
    assert!(fine && closed, "{what}: {said:?}, closed: {closed}");
}

#[tokio::test]
async fn requests_whose_end_is_in_dispute_end_the_connection() {
    let db = Db::new(Kind::Sqlite).await;
    let gateway = Gateway::start(&Place::of(&db));
    let chunked = "transfer-encoding: chunked\r\n";
    let extension = format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(1 << 20));
    let lf = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text").replacen("\r\n", "\n", 1).into_bytes();
    let cases: [(&str, Vec<u8>); 29] = [
        ("two lengths", post(&gateway, "content-length: 0\r\ncontent-length: 5\r\n", "")),
        ("a list of lengths", post(&gateway, "content-length: 0, 5\r\n", "")),
        ("a signed length", post(&gateway, "content-length: +0\r\n", "")),
        ("a negative length", post(&gateway, "content-length: -1\r\n", "")),
        ("a length in hexadecimal", post(&gateway, "content-length: 0x0\r\n", "")),
        ("another coding", post(&gateway, "transfer-encoding: gzip\r\n", "")),
        ("chunked is not last", post(&gateway, "transfer-encoding: chunked, identity\r\n", "0\r\n\r\n")),
        ("nearly chunked", post(&gateway, "transfer-encoding: xchunked\r\n", "0\r\n\r\n")),
        ("a chunk of no size", post(&gateway, chunked, "zz\r\n\r\n")),
        ("a chunk with a prefix", post(&gateway, chunked, "0x0\r\n\r\n")),
        ("a chunk beyond numbers", post(&gateway, chunked, "fffffffffffffffff\r\nx")),
        ("a chunk that ends in LF", post(&gateway, chunked, "0\n\n")),
        ("a chunk with a megabyte of extension", post(&gateway, chunked, &extension)),
        ("a folded line", get("x: a\r\n b\r\n")),
        ("a folded length", post(&gateway, "content-length:\r\n 0\r\n", "")),
        ("a bare CR", get("x: a\ry: b\r\n")),
        ("a bare LF behind the request line", lf(get(""))),
        ("a bare LF behind a header", get("x: a\ny: b\r\n")),
        ("a bare LF at the end of the head", get("x: a\r\n\n")),
        ("a bare LF in front of it all", [b"\n".to_vec(), get("")].concat()),
        ("one length twice", post(&gateway, "content-length: 0\r\ncontent-length: 0\r\n", "")),
        (
            "one coding twice",
            post(&gateway, "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"),
        ),
        (
            "length and coding",
            post(&gateway, "content-length: 6\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"),
        ),
        (
            "coding and length",
            post(&gateway, "transfer-encoding: chunked\r\ncontent-length: 6\r\n", "0\r\n\r\n"),
        ),
        ("a bare LF in a trailer", post(&gateway, chunked, "0\r\nx: a\ny: b\r\n\r\n")),
        ("a space before the colon", get("x : a\r\n")),
        ("two hosts", get("host: y\r\n")),
        ("NUL", get("x: a\0b\r\n")),
        ("NUL in a name", get("x\0y: a\r\n")),
    ];
    for (what, bytes) in cases {
        assert_cut(gateway.api, what, &bytes, &[400]);
    }
    assert_cut(gateway.api, "no host", format!("GET /health HTTP/1.1\r\n\r\n{SMUGGLED}").as_bytes(), &[400]);
    // Answered before it is known who asks, and so with the limits of the address.
    let (answers, _) = talk(gateway.api, b"GET /v2/balance HTTP/1.1\r\n\r\n");
    assert_eq!(answers[0].header("x-ratelimit-limit"), Some("50"), "{}", answers[0].head);
    for other in
        ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}", "SSH-2.0-x\r\n", "\r\n\r\n\r\n\0"]
    {
        let (answers, closed) = talk(gateway.api, other.as_bytes());
        assert!(closed && answers.iter().all(|answer| answer.status == 400), "{other:?}: {answers:?}");
    }
    // A violation behind an honest request takes nothing from its answer.
    let behind = [SMUGGLED.as_bytes(), &lf(get(""))].concat();
    let (answers, closed) = talk(gateway.api, &behind);
    let said: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!((said, closed), (vec![200, 400], true));
    assert_eq!(
        talk(gateway.api, &[SMUGGLED, SMUGGLED].concat().into_bytes()).0.len(),
        2,
        "honest pipelining works"
    );
    gateway.stop();
}

#[tokio::test]
async fn heads_and_bodies_beyond_measure_cost_no_memory() {
    let db = Db::new(Kind::Sqlite).await;
    let gateway = Gateway::start(&Place::of(&db));
    gateway.client().pay().expect(201);
    let before = gateway.memory();
    let million = "a".repeat(1 << 20);
    let many: String = (0..500).map(|n| format!("x-{n}: 1\r\n")).collect();
    for _ in 0..20 {
        let key = format!("GET /v2/balance HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {million}\r\n\r\n");
        let path = format!("GET /{million} HTTP/1.1\r\nhost: x\r\n\r\n");
        let body = format!("content-length: {}\r\ncontent-type: application/json\r\n", million.len());
        for (what, bytes, statuses) in [
            ("a megabyte of key", key.into_bytes(), &[400, 431][..]),
            ("a megabyte of path", path.into_bytes(), &[400, 414, 431]),
            ("five hundred headers", get(&many), &[400, 431]),
            ("a megabyte of body", post(&gateway, &body, &million), &[413]),
        ] {
            assert_cut(gateway.api, what, &bytes, statuses);
        }
    }
    let grown = gateway.memory().saturating_sub(before);
    assert!(grown < 24 * 1024, "{grown} KiB more after 80 oversized requests");
    gateway.client().pay().expect(201);
    gateway.stop();
}

#[tokio::test]
async fn compressed_bodies_are_refused_unopened() {
    let db = Db::new(Kind::Sqlite).await;
    let gateway = Gateway::start(&Place::of(&db));
    for coding in ["gzip", "deflate", "br", "zstd", "gzip, gzip", "GZIP"] {
        let lines = format!(
            "content-encoding: {coding}\r\ncontent-type: application/json\r\ncontent-length: 4\r\nconnection: close\r\n"
        );
        let (answers, _) = talk(gateway.api, &post(&gateway, &lines, "\u{1f}\u{1f}\u{1f}\u{1f}"));
        assert_eq!(answers[0].status, 415, "{coding}: {}", answers[0].body);
    }
    let identity = "content-encoding: identity\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n";
    let (answers, _) = talk(gateway.api, &post(&gateway, identity, "{}"));
    assert_eq!(answers[0].status, 201, "{}", answers[0].body);
    assert_eq!(Client::new(gateway.api, "sk_test_wrong").get("/v2/balance").status, 401);
    gateway.stop();
}
