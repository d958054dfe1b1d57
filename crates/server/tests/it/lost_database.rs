//! PostgreSQL that goes away under load and comes back (E23).

use crate::load::payments;
use crate::payer::{Crowd, assert_kept};
use crate::process::{Gateway, Place, run_on, stdout};
use std::time::{Duration, Instant};
use testkit::{Db, Kind};

/// Runs statements on the cluster's own database, as its operator does.
fn administer(address: &str, statements: &[String]) {
    let (base, _) = address.rsplit_once('/').expect("an address with a database");
    let cluster = format!("{base}/postgres");
    let mut client = postgres::Client::connect(&cluster, postgres::NoTls).expect("the cluster answers");
    for statement in statements {
        client.batch_execute(statement).expect("the statement runs");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_refuses_cleanly_and_loses_nothing() {
    let db = Db::new(Kind::Postgres).await;
    let place = Place::of(&db);
    let name = place.database.rsplit_once('/').expect("a name").1.to_owned();
    let end_all = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    let gateway = Gateway::start(&place);
    let crowd = Crowd::start(&gateway, 4);
    crowd.wait_for(20);
    // As at a restart of the server: every connection ends in the middle of what it does, and for a while no
    // new one is let in.
    for _ in 0..3 {
        let close = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false");
        let (address, statements) = (place.database.clone(), vec![close, end_all.clone()]);
        std::thread::spawn(move || administer(&address, &statements)).join().expect("done");
        crowd.wait_for(4);
        let open = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true");
        let address = place.database.clone();
        std::thread::spawn(move || administer(&address, &[open])).join().expect("done");
        let begun = Instant::now();
        while gateway.client().pay().status != 201 {
            assert!(begun.elapsed() < Duration::from_secs(30), "it does not recover: {}", gateway.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    let told = crowd.end();
    assert!(!told.refused.is_empty(), "the outage was not felt");
    for answer in &told.refused {
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert_eq!(answer.json()["error"]["type"], "api_error", "{}", answer.body);
        for inside in ["postgres", "SQL", "connection", "terminat", "5432", "panic"] {
            assert!(!answer.body.contains(inside), "{inside}: {}", answer.body);
        }
    }
    assert_eq!((told.cut, told.unanswered), (0, 0));
    assert_kept(&gateway, &told);
    gateway.stop();
    // Three more were made after the outages; a refusal leaves open whether the payment was.
    let known = told.paid.len() + told.open.len() + 3;
    let stored = payments(&db).await;
    assert!((known..=known + told.refused.len()).contains(&stored), "{stored} payments, {known} known");
    let verified = run_on(&place, &["ledger", "verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", stdout(&verified));
}
