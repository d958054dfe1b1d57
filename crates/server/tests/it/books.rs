//! `paymentgate ledger verify`.

use crate::process::{Gateway, Place, run_on, stderr, stdout};
use domain::id::JournalId;
use store::{StoreError, Tx};
use testkit::{Db, Kind};

/// The oldest journal with an entry of 42 euros.
const FIRST: &str = "SELECT journal FROM entries WHERE amount = 4200 ORDER BY journal LIMIT 1";

/// Changes a row that the schema protects.
async fn corrupt(db: &Db, statements: [String; 2]) {
    let store = db.open();
    for statement in statements {
        let run = move |tx: &mut Tx<'_>| tx.execute(&statement, &[]);
        store.write::<_, StoreError, _>(run).await.expect("the statement runs");
    }
    tokio::task::spawn_blocking(|| store.close()).await.expect("closed");
}

/// The counts of every check that a report tells of.
fn counts(report: &str) -> Vec<u64> {
    let lines = report.lines().filter(|line| line.starts_with("ok ") || line.starts_with("BROKEN "));
    lines.map(|line| line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a count")).collect()
}

testkit::on_both_engines! {
    async fn sound_books_are_counted_and_a_changed_entry_is_named(db) {
        let place = Place::of(&db);
        let gateway = Gateway::start(&place);
        for _ in 0..3 {
            let paid = gateway.client().pay().expect(201);
            let form = [("payment_intent", paid["id"].as_str().expect("an id")), ("amount", "100")];
            gateway.client().post("/v2/refunds", &form).expect(201);
        }
        let beside = run_on(&place, &["ledger", "verify"]);
        assert_eq!(beside.status.code(), Some(0), "beside a running gateway: {}{}", stdout(&beside), stderr(&beside));
        gateway.stop();
        let sound = run_on(&place, &["ledger", "verify"]);
        let report = stdout(&sound);
        assert_eq!(sound.status.code(), Some(0), "{report}{}", stderr(&sound));
        assert!(report.contains("The books are sound"), "{report}");
        let counted = counts(&report);
        assert!(counted.len() >= 15 && counted.iter().filter(|n| **n >= 3).count() >= 5, "{report}");

        let trigger = if db.kind == Kind::Sqlite { "DROP TRIGGER entries_keep_u" } else { "DROP TRIGGER entries_keep ON entries" };
        let store = db.open();
        let changed: JournalId = store
            .read::<_, StoreError, _>(|tx| tx.one(FIRST, &[], |row| row.next()))
            .await
            .expect("a journal");
        tokio::task::spawn_blocking(|| store.close()).await.expect("closed");
        let change = format!("UPDATE entries SET amount = amount + 1 WHERE amount = 4200 AND journal = ({FIRST})");
        corrupt(&db, [trigger.to_owned(), change]).await;
        let broken = run_on(&place, &["ledger", "verify"]);
        let report = stdout(&broken);
        assert_eq!(broken.status.code(), Some(1), "{report}{}", stderr(&broken));
        assert!(report.contains("BROKEN") && report.contains(&changed.to_string()), "{changed}: {report}");
    }
}
