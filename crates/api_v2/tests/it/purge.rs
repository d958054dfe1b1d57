//! What is kept no longer goes away, in small steps, and takes nothing else with it.

use crate::support::{data, id};
use domain::limits::BULK_ROWS;
use domain::time::DAY;
use store::StoreError;
use testkit::{Receiver, TestApp};

async fn count(app: &TestApp, table: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) FROM {table}");
    app.store.read(move |tx| tx.one(&sql, &[], |r| r.next())).await.expect("counted")
}

async fn change(app: &TestApp, sql: &str) -> u64 {
    let sql = sql.to_owned();
    app.store.write::<_, StoreError, _>(move |tx| tx.execute(&sql, &[])).await.expect("changed")
}

/// Makes the ids in a column those of early 1970: the upper bytes of their milliseconds become zero.
async fn age(app: &TestApp, table: &str, column: &str) {
    let zeros = if app.store.is_embedded() {
        format!("UPDATE {table} SET {column} = CAST(X'00000000' || substr({column}, 5) AS BLOB)")
    } else {
        format!("UPDATE {table} SET {column} = decode('00000000', 'hex') || substr({column}, 5)")
    };
    change(app, &zeros).await;
}

testkit::on_both_engines! {
    async fn old_events_go_with_their_snapshots_and_deliveries(db) {
        let app = TestApp::start(&db).await;
        let receiver = Receiver::start().await;
        for _ in 0..3 {
            app.post("/v2/webhook_endpoints", &[("url", &receiver.url), ("enabled_events[]", "*")]).await.expect(201);
        }
        for _ in 0..12 {
            app.pay(1000, "pm_card_visa", &[]).await.expect(201);
        }
        assert_eq!(app.engine.purge_events().await.expect("purged"), 0, "nothing is old yet");
        let events = count(&app, "events").await;
        let deliveries = count(&app, "deliveries").await;
        assert!(events >= 24 && deliveries == 3 * events, "{events} events, {deliveries} deliveries");
        change(&app, "INSERT INTO delivery_attempts (delivery, n, cause, url, started_at, duration_us) \
            SELECT d.id, j.line, 'automatic', 'https://example.com', 1, 1 FROM deliveries d CROSS JOIN (SELECT DISTINCT line FROM entries) j").await;
        for (table, column) in [("deliveries", "event"), ("events", "id"), ("events", "snapshot"), ("snapshots", "id")] {
            age(&app, table, column).await;
        }
        // One that is new, and stays.
        let new = id(&app.pay(1000, "pm_card_visa", &[]).await.expect(201));
        let mut steps = 0;
        loop {
            let before = count(&app, "delivery_attempts").await + count(&app, "deliveries").await + count(&app, "events").await + count(&app, "snapshots").await;
            let gone = app.engine.purge_events().await.expect("purged");
            let after = count(&app, "delivery_attempts").await + count(&app, "deliveries").await + count(&app, "events").await + count(&app, "snapshots").await;
            assert_eq!(before - after, gone);
            assert!(gone <= BULK_ROWS, "{gone} rows in one commit");
            if gone == 0 {
                break;
            }
            steps += 1;
        }
        assert!(steps > 3, "in {steps} steps");
        assert_eq!(count(&app, "delivery_attempts").await, 0);
        let left = app.get("/v2/events?limit=100").await.expect(200);
        assert!(data(&left).iter().all(|e| e["data"]["object"]["id"] == new || e["data"]["object"]["payment_intent"] == new), "{left}");
        assert_eq!(count(&app, "events").await, i64::try_from(data(&left).len()).expect("few"));
        assert_eq!(count(&app, "deliveries").await, 3 * count(&app, "events").await);
        let orphans = "SELECT COUNT(*) FROM events e WHERE NOT EXISTS (SELECT 1 FROM snapshots s WHERE s.id = e.snapshot)";
        let orphans: i64 = app.store.read::<_, StoreError, _>(move |tx| tx.one(orphans, &[], |r| r.next())).await.expect("counted");
        assert_eq!(orphans, 0);
    }

    async fn the_books_are_sound_without_the_events_of_old_payments(db) {
        let app = TestApp::start(&db).await;
        let paid = id(&app.pay(1000, "pm_card_visa", &[]).await.expect(201));
        app.assert_books().await;
        change(&app, "DELETE FROM events").await;
        let broken: usize = app.engine.verify_ledger().await.expect("verified").iter().map(|c| c.broken).sum();
        assert_eq!(broken, 2, "a young payment without its events is a fault");
        for (table, column) in [("payments", "id"), ("attempts", "payment"), ("refunds", "payment")] {
            age(&app, table, column).await;
        }
        app.assert_books().await;
        app.get(&format!("/v2/payment_intents/{paid}")).await.expect(404);
    }

    async fn clocks_go_when_their_time_is_over_and_what_lived_by_them_goes_on(db) {
        let app = TestApp::start(&db).await;
        let clock = id(&app.post("/v2/test_helpers/test_clocks", &[("frozen_time", "1790000000")]).await.expect(201));
        let young = id(&app.post("/v2/test_helpers/test_clocks", &[("frozen_time", "1790000000")]).await.expect(201));
        for _ in 0..120 {
            app.post("/v2/customers", &[("test_clock", &clock)]).await.expect(201);
        }
        let customer = id(&app.post("/v2/customers", &[("test_clock", &clock)]).await.expect(201));
        let method = id(&app.post("/v2/payment_methods/pm_card_visa/attach", &[("customer", &customer)]).await.expect(200));
        let paid = app.pay(1000, &method, &[("customer", &customer)]).await.expect(201);
        assert!(!app.engine.purge_clocks().await.expect("purged"), "none is over");
        let old = app.engine.now().plus(-DAY).0;
        change(&app, &format!("UPDATE test_clocks SET deletes_after = {old} WHERE created_at = (SELECT MIN(created_at) FROM test_clocks)")).await;
        let mut steps = 0;
        loop {
            let before = count(&app, "customers WHERE clock IS NOT NULL").await + count(&app, "payments WHERE clock IS NOT NULL").await;
            let more = app.engine.purge_clocks().await.expect("purged");
            let after = count(&app, "customers WHERE clock IS NOT NULL").await + count(&app, "payments WHERE clock IS NOT NULL").await;
            assert!(before - after <= BULK_ROWS);
            if !more {
                break;
            }
            steps += 1;
        }
        assert_eq!(steps, 2, "100 rows, and then the rest with the clock itself");
        app.get(&format!("/v2/test_helpers/test_clocks/{clock}")).await.expect(404);
        app.get(&format!("/v2/test_helpers/test_clocks/{young}")).await.expect(200);
        assert_eq!(count(&app, "customers WHERE clock IS NOT NULL").await, 0);
        let deleted = app.get("/v2/events?type=test_helpers.test_clock.deleted").await.expect(200);
        assert_eq!(data(&deleted).len(), 1, "{deleted}");
        // It lives by the wall clock now, and is paid out by it.
        app.get(&format!("/v2/payment_intents/{}", id(&paid))).await.expect(200);
        app.run_due().await;
        app.assert_books().await;
    }

    async fn a_clock_that_advances_is_left_until_it_has_arrived(db) {
        let app = TestApp::start(&db).await;
        let clock = id(&app.post("/v2/test_helpers/test_clocks", &[("frozen_time", "1790000000")]).await.expect(201));
        app.post(&format!("/v2/test_helpers/test_clocks/{clock}/advance"), &[("frozen_time", "1790000100")]).await.expect(200);
        change(&app, "UPDATE test_clocks SET deletes_after = 1").await;
        assert!(!app.engine.purge_clocks().await.expect("purged"));
        app.run_due().await;
        assert!(app.engine.purge_clocks().await.expect("purged"));
        assert_eq!(count(&app, "test_clocks").await, 0);
    }
}
