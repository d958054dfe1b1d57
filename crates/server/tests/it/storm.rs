//! Many clients that mean no good, in small: slow ones (D22), and one that does not stop (H7).

use crate::process::{Gateway, Place, Start, run_on, stdout};
use crate::wire::{Client, connect};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use testkit::{Db, Kind};

const SLOW: usize = 200;
/// A request's head has ten seconds, its body too; the rest is for a slow machine.
const CUT_WITHIN: Duration = Duration::from_secs(30);

/// Whether the other side has ended the connection; what it says before that is dropped.
fn is_cut(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 4_096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(e) => return e.kind() != ErrorKind::WouldBlock,
        }
    }
}

#[tokio::test]
async fn slow_clients_are_cut_and_hold_nobody_up() {
    let db = Db::new(Kind::Sqlite).await;
    let gateway = Gateway::start(&Place::of(&db));
    let head = "POST /v2/customers HTTP/1.1\r\nhost: x\r\n";
    let body = format!(
        "{head}authorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n{{",
        gateway.key
    );
    let mut slow: Vec<TcpStream> = (0..SLOW)
        .map(|n| {
            let mut stream = connect(gateway.api).expect("connected");
            let start = if n % 2 == 0 { head } else { &body };
            stream.write_all(start.as_bytes()).expect("sent");
            stream.set_nonblocking(true).expect("set");
            stream
        })
        .collect();
    let begun = Instant::now();
    let mut served = 0;
    while !slow.is_empty() {
        assert!(begun.elapsed() < CUT_WITHIN, "{} slow connections are still there", slow.len());
        for stream in &mut slow {
            let _ = stream.write(b" ");
        }
        gateway.client().pay().expect(201);
        served += 1;
        std::thread::sleep(Duration::from_millis(250));
        slow.retain_mut(|stream| !is_cut(stream));
    }
    assert!(served >= 5, "normal clients were held up: {served} payments");
    gateway.stop();
}

/// A merchant beside the demo's, and its key.
fn another_merchant(place: &Place) -> String {
    let merchant = stdout(&run_on(place, &["merchants", "create", "Other shop"])).trim().to_owned();
    let set = run_on(place, &["merchants", "set", &merchant, "--mode", "test", "--tier", "enterprise"]);
    assert!(set.status.success(), "{set:?}");
    stdout(&run_on(place, &["keys", "create", &merchant])).trim().to_owned()
}

#[tokio::test]
async fn a_storm_of_refusals_stays_with_who_raised_it() {
    const THREADS: usize = 4;
    const EACH: usize = 150;
    let db = Db::new(Kind::Sqlite).await;
    let place = Place::of(&db);
    let gateway = Gateway::start_with(&place, &Start { tier: "custom:60/10/20", ..Start::default() });
    let other = Client::new(gateway.api, &another_merchant(&place));
    let storm: Vec<_> = (0..THREADS)
        .map(|_| {
            let client = gateway.client();
            std::thread::spawn(move || (0..EACH).map(|_| client.get("/v2/balance")).collect::<Vec<_>>())
        })
        .collect();
    for _ in 0..20 {
        other.pay().expect(201);
    }
    let answers: Vec<_> = storm.into_iter().flat_map(|thread| thread.join().expect("answered")).collect();
    let allowed = answers.iter().filter(|answer| answer.status == 200).count();
    // 20 at once; after that 10 a second, and never more than 60 in a minute.
    assert!((20..=60).contains(&allowed), "{allowed} were let through");
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(refused.status, 429, "{}", refused.body);
        assert_eq!(refused.json()["error"]["type"], "rate_limit_exceeded");
        let wait: u64 = refused.header("retry-after").and_then(|s| s.parse().ok()).expect("seconds");
        assert!((1..=60).contains(&wait), "{wait}");
        for name in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
            assert!(
                refused.header(name).is_some_and(|n| n.parse::<u64>().is_ok()),
                "{name}: {}",
                refused.head
            );
        }
    }
    let lines = gateway.log().lines().count();
    assert!(lines <= THREADS * EACH + 100, "{lines} lines of log");
    gateway.stop();
}
