//! SIGTERM in the middle of load.

use crate::payer::Crowd;
use crate::process::{Gateway, Place, run_on, stdout};
use testkit::Db;

/// Payments in the database, in whatever state.
pub async fn payments(db: &Db) -> usize {
    let store = db.open();
    let count = "SELECT COUNT(*) FROM payments";
    let counted = store.read::<_, store::StoreError, _>(move |tx| tx.one(count, &[], |row| row.next())).await;
    tokio::task::spawn_blocking(|| store.close()).await.expect("closed");
    usize::try_from(counted.map(|n: i64| n).expect("a count")).expect("not negative")
}

testkit::on_both_engines! {
    async fn what_was_accepted_is_answered_before_the_end(db) {
        let place = Place::of(&db);
        let mut gateway = Gateway::start(&place);
        let crowd = Crowd::start(&gateway, 8);
        crowd.wait_for(40);
        gateway.terminate();
        let status = gateway.wait();
        let told = crowd.end();
        assert_eq!(status.code(), Some(0), "{}", gateway.log());
        assert!(told.open.is_empty(), "{:?} are open", told.open);
        assert_eq!(told.cut, 0, "answers were cut off");
        assert!(told.refused.is_empty(), "{:?}", told.refused[0]);
        assert!(told.unanswered <= 8, "{} requests of 8 clients got no answer", told.unanswered);
        // Every payment that was made was told to its client: nobody is left to guess.
        assert_eq!(payments(&db).await, told.paid.len(), "and {} got no answer", told.unanswered);
        assert!(!gateway.log().contains("cut off"), "{}", gateway.log());

        let gateway = Gateway::start(&place);
        for id in told.paid.iter().rev().take(5) {
            assert_eq!(gateway.get(&format!("/v2/payment_intents/{id}")).expect(200)["status"], "succeeded");
        }
        gateway.stop();
        let verified = run_on(&place, &["ledger", "verify"]);
        assert_eq!(verified.status.code(), Some(0), "{}", stdout(&verified));
    }
}
