//! A PostgreSQL server that is really stopped and started under load, in both ways in which that happens.

use crate::load::payments;
use crate::payer::{Crowd, assert_kept};
use crate::process::{Gateway, PATIENCE, Place, Start, UNLIMITED, run_on, stdout};
use std::time::{Duration, Instant};
use testkit::{Cluster, Db};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_server_refuses_cleanly_and_loses_nothing() {
    // Of this test's own: the others share one, which must stay up.
    let mut cluster = Cluster::start();
    let db = Db::on(&cluster);
    let place = Place::of(&db);
    let gateway = Gateway::start_with(&place, &Start { tier: UNLIMITED, ..Start::default() });
    let crowd = Crowd::start(&gateway, 4);
    // In order, as at an upgrade, and at once, as at a crash: PostgreSQL then recovers from its log.
    for crash in [false, true, true] {
        crowd.wait_for(20);
        cluster.stop(crash);
        crowd.wait_for(8);
        assert_eq!(gateway.client().pay().status, 503);
        cluster.start_again();
        let begun = Instant::now();
        while gateway.client().pay().status != 201 {
            assert!(begun.elapsed() < PATIENCE, "it does not recover: {}", gateway.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    let told = crowd.end();
    assert!(!told.refused.is_empty(), "the restart was not felt");
    for answer in &told.refused {
        assert_eq!(answer.status, 503, "{}", answer.body);
        let error = &answer.json()["error"];
        assert_eq!(error["type"], "api_error", "{}", answer.body);
        assert!(error["request_id"].as_str().is_some_and(|id| id.starts_with("req_")), "{}", answer.body);
        assert!(answer.header("retry-after").is_some(), "{}", answer.head);
        for inside in ["postgres", "SQL", "connection", "refused", "terminat", "panic"] {
            assert!(!answer.body.contains(inside), "{inside}: {}", answer.body);
        }
    }
    assert_eq!((told.cut, told.unanswered), (0, 0));
    assert_kept(&gateway, &told);
    gateway.stop();
    // Three more were made after the restarts; a refusal leaves open whether the payment was.
    let known = told.paid.len() + told.open.len() + 3;
    let stored = payments(&db).await;
    assert!((known..=known + told.refused.len() + 3).contains(&stored), "{stored} payments, {known} known");
    let verified = run_on(&place, &["ledger", "verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", stdout(&verified));
}
