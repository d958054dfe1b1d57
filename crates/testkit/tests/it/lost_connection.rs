//! Connections to PostgreSQL that end unnoticed: the next caller does not pay for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use store::StoreError;
use testkit::{Db, Kind};

/// Ends every connection to the database, as a restart of the server or of a machine in between does.
fn end_all(address: &str) {
    let (base, name) = address.rsplit_once('/').expect("an address with a database");
    let cluster = format!("{base}/postgres");
    let end =
        format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'");
    let run = move || {
        let mut client = postgres::Client::connect(&cluster, postgres::NoTls).expect("the cluster answers");
        client.batch_execute(&end).expect("the statement runs");
    };
    std::thread::spawn(run).join().expect("the thread ends");
}

#[tokio::test]
async fn idle_connections_that_died_are_replaced_before_anybody_is_refused() {
    let db = Db::new(Kind::Postgres).await;
    let store = db.open();
    for round in 0..3_u8 {
        // More than there are connections, so that each has been used.
        for n in 0..24_u8 {
            let name = format!("{round}-{n}");
            let stored =
                store.write::<_, StoreError, _>(move |tx| store::instance::put_once(tx, &name, &[round, n]));
            assert_eq!(stored.await.expect("stored"), [round, n]);
            store.read::<_, StoreError, _>(store::merchants::all).await.expect("read");
        }
        end_all(&db.address());
    }
}

#[tokio::test]
async fn a_transaction_whose_connection_ends_before_its_commit_is_run_again() {
    let db = Db::new(Kind::Postgres).await;
    let store = db.open();
    // Each thread connects at its first work; a new connection is not replaced at once.
    for _ in 0..24 {
        store.read::<_, StoreError, _>(store::merchants::all).await.expect("read");
    }
    let runs = Arc::new(AtomicU32::new(0));
    let (counted, address) = (runs.clone(), db.address());
    let stored = store.write::<_, StoreError, _>(move |tx| {
        let run = counted.fetch_add(1, Ordering::SeqCst) + 1;
        let value = store::instance::put_once(tx, "once", &run.to_be_bytes())?;
        if run == 1 {
            end_all(&address);
            // The end is met by the next statement.
            store::merchants::all(tx)?;
        }
        Ok(value)
    });
    assert_eq!(stored.await.expect("stored at the second run"), 2_u32.to_be_bytes());
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    let kept = store.write::<_, StoreError, _>(|tx| store::instance::put_once(tx, "once", &[9]));
    assert_eq!(kept.await.expect("read"), 2_u32.to_be_bytes(), "the first run left nothing");
}
