//! A file system that becomes read-only under the embedded database: refusals, reads that go on, recovery.

use crate::load::payments;
use crate::payer::{Crowd, assert_kept};
use crate::process::{Gateway, PATIENCE, Place, Start, UNLIMITED, program, run_on, run_within, stdout};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use testkit::{Db, Kind};

/// Builds what is preloaded. A C compiler is wherever this workspace can be built: SQLite is C.
fn library(dir: &Path) -> PathBuf {
    let (source, library) =
        (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/read_only.c"), dir.join("read_only.so"));
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let built = Command::new(compiler)
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .status();
    assert!(built.expect("a C compiler").success());
    library
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_file_refuses_cleanly_and_loses_nothing() {
    let db = Db::new(Kind::Sqlite).await;
    let place = Place::of(&db);
    let flag = db.dir().join("read-only");
    let preload = format!("LD_PRELOAD={}", library(&db.dir()).display());
    let while_there = format!("READ_ONLY_WHILE={}", flag.display());
    let wrapper = ["env", preload.as_str(), while_there.as_str()];
    let gateway =
        Gateway::start_with(&place, &Start { tier: UNLIMITED, wrapper: &wrapper, ..Start::default() });
    let crowd = Crowd::start(&gateway, 4);
    for _ in 0..2 {
        crowd.wait_for(20);
        std::fs::write(&flag, "").expect("written");
        crowd.wait_for(40);
        assert_eq!(gateway.client().pay().status, 503);
        assert_eq!(gateway.get("/v2/payment_intents").status, 200, "reads go on");
        std::fs::remove_file(&flag).expect("removed");
        let begun = Instant::now();
        while gateway.client().pay().status != 201 {
            assert!(begun.elapsed() < PATIENCE, "it does not recover: {}", gateway.log());
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
    let told = crowd.end();
    assert!(!told.refused.is_empty(), "it was never read-only");
    for answer in &told.refused {
        assert_eq!(answer.status, 503, "{}", answer.body);
        let error = &answer.json()["error"];
        assert_eq!(error["type"], "api_error", "{}", answer.body);
        assert!(error["request_id"].as_str().is_some_and(|id| id.starts_with("req_")), "{}", answer.body);
        assert!(answer.header("x-ratelimit-limit").is_some(), "{}", answer.head);
        for inside in ["sqlite", "SQL", "readonly", "read-only", "I/O", ".db", "/tmp", "panic"] {
            assert!(!answer.body.contains(inside), "{inside}: {}", answer.body);
        }
    }
    assert_eq!((told.cut, told.unanswered), (0, 0));
    assert_kept(&gateway, &told);
    gateway.stop();
    // Two more were made at the ends; a refusal leaves open whether the payment was.
    let known = told.paid.len() + told.open.len() + 2;
    let stored = payments(&db).await;
    assert!((known..=known + told.refused.len() + 2).contains(&stored), "{stored} payments, {known} known");
    let verified = run_on(&place, &["ledger", "verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", stdout(&verified));

    // A start meanwhile says why it cannot, and changes nothing.
    std::fs::write(&flag, "").expect("written");
    let mut start = program();
    start.envs([
        ("LD_PRELOAD", &preload["LD_PRELOAD=".len()..]),
        ("READ_ONLY_WHILE", &while_there["READ_ONLY_WHILE=".len()..]),
    ]);
    start.args(["serve", "--api-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    start.args(["--public-listen", "127.0.0.1:0", "--data-dir"]).arg(&place.data_dir);
    start.args(["--database", &place.database]);
    let (status, said) = run_within(start, PATIENCE);
    assert_eq!(status.and_then(|status| status.code()), Some(1), "{said}");
    assert!(said.contains("error: ") && said.to_lowercase().contains("read"), "{said}");
    std::fs::remove_file(&flag).expect("removed");
    Gateway::start(&place).stop();
}
