//! A disk that takes no more (E23): refusals, reads that go on, and sound books.

use crate::load::payments;
use crate::payer::{Crowd, assert_kept};
use crate::process::{Gateway, Place, Start, run_on, stdout};
use std::process::Command;
use std::time::{Duration, Instant};
use testkit::{Db, Kind};

/// Writing beyond a limit on file sizes would kill the process; ignored, it is an error as on a full disk.
const IGNORE_XFSZ: [&str; 3] = ["sh", "-c", r#"trap "" XFSZ; exec "$0" "$@""#];

/// Sets how large a file the process may write from now on, in bytes.
fn limit_files(pid: u32, bytes: &str) {
    let set = Command::new("prlimit").args([&format!("--pid={pid}"), &format!("--fsize={bytes}:")]).status();
    assert!(set.expect("prlimit is in util-linux").success(), "{bytes}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_cleanly_and_loses_nothing() {
    let db = Db::new(Kind::Sqlite).await;
    let place = Place::of(&db);
    let gateway = Gateway::start_with(&place, &Start { wrapper: &IGNORE_XFSZ, ..Start::default() });
    let crowd = Crowd::start(&gateway, 4);
    crowd.wait_for(20);
    // No file may grow any more; the database's log could at this moment.
    limit_files(gateway.pid(), "4096");
    crowd.wait_for(40);
    let refused = gateway.client().pay();
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert_eq!(gateway.get("/v2/payment_intents").status, 200, "reads go on");
    limit_files(gateway.pid(), "unlimited");
    let begun = Instant::now();
    while gateway.client().pay().status != 201 {
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not recover: {}", gateway.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    let told = crowd.end();
    for answer in &told.refused {
        assert_eq!(answer.status, 503, "{}", answer.body);
        let error = &answer.json()["error"];
        assert_eq!(error["type"], "api_error", "{}", answer.body);
        assert!(error["request_id"].as_str().is_some_and(|id| id.starts_with("req_")), "{}", answer.body);
        assert!(answer.header("retry-after").is_some(), "{}", answer.head);
        for inside in ["sqlite", "SQL", "disk", "I/O", ".db", "/tmp", "panic"] {
            assert!(!answer.body.contains(inside), "{inside}: {}", answer.body);
        }
    }
    assert!(!told.refused.is_empty(), "the disk was never full");
    assert_eq!((told.cut, told.unanswered), (0, 0));
    assert_kept(&gateway, &told);
    gateway.stop();
    // One more was made at the end; a refusal leaves open whether the payment was.
    let known = told.paid.len() + told.open.len() + 1;
    let stored = payments(&db).await;
    assert!((known..=known + told.refused.len() + 1).contains(&stored), "{stored} payments, {known} known");
    let verified = run_on(&place, &["ledger", "verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", stdout(&verified));
}
