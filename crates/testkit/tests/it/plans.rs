//! How PostgreSQL finds rows on a new database, which has no statistics yet.

use testkit::{Db, Kind, TestApp};

/// Indexes that were used to find rows, and how often, by what every backend has reported.
const USED: &str = "SELECT indexrelname::text, idx_scan FROM pg_stat_user_indexes WHERE idx_scan > 0";

#[tokio::test]
async fn one_row_is_not_looked_for_among_all_of_a_merchant() {
    let db = Db::new(Kind::Postgres).await;
    let app = TestApp::start(&db).await;
    for _ in 0..20 {
        let paid = app.pay(1_000, "pm_card_visa", &[]).await.expect(201);
        let path = format!("/v2/payment_intents/{}", paid["id"].as_str().expect("an id"));
        app.get(&path).await.expect(200);
        app.post("/v2/refunds", &[("payment_intent", paid["id"].as_str().expect("an id"))]).await.expect(201);
        let charge = format!("/v2/charges/{}", paid["latest_charge"].as_str().expect("a charge"));
        app.get(&charge).await.expect(200);
    }
    // Backends report what they did when they end.
    let store = app.store.clone();
    drop(app);
    tokio::task::spawn_blocking(|| store.close()).await.expect("closed");
    let store = db.open();
    let mut used: Vec<(String, i64)> = Vec::new();
    let begun = std::time::Instant::now();
    let of_payments = |used: &[(String, i64)]| -> i64 {
        used.iter().filter(|(index, _)| index.starts_with("payments_")).map(|(_, times)| times).sum()
    };
    while of_payments(&used) < 100 {
        assert!(begun.elapsed().as_secs() < 60, "{used:?}");
        let read = store
            .read::<_, store::StoreError, _>(|tx| tx.all(USED, &[], |row| Ok((row.next()?, row.next()?))));
        used = read.await.expect("statistics");
    }
    used.retain(|(index, _)| index.ends_with("_newest"));
    assert!(used.is_empty(), "found by an index that has all of a merchant: {used:?}");
}
