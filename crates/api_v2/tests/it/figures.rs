//! Figures by day: each payment, refusal and refund counts once, wherever the folding stands.

use crate::support::{data, id, join_all};
use domain::currency::Currency;
use domain::date::Date;
use domain::figures::{Figures, Grouping};
use domain::id::{Core, ProviderId};
use domain::period::Period;
use domain::time::{DAY, Timestamp};
use engine::figures::{FiguresFilter, FiguresReport};
use serde_json::Value;
use std::collections::BTreeMap;
use store::StoreError;
use store::figures::Source;
use testkit::{AppOptions, TestApp};

/// All days around now.
fn filter(app: &TestApp, by: Grouping) -> FiguresFilter {
    let today = Date::of_instant(app.engine.now());
    let period = Period::of_days(Date::from_days(today.days() - 180), Date::from_days(today.days() + 180));
    FiguresFilter { period: period.expect("a period"), currency: None, provider: None, by }
}

async fn shown(app: &TestApp, by: Grouping) -> FiguresReport {
    app.engine.figures(app.scope(), filter(app, by)).await.expect("figures")
}

fn number(value: &Value) -> i64 {
    value.as_i64().expect("a number")
}

/// The figures that the API's own lists add up to, by currency.
async fn expected(app: &TestApp) -> BTreeMap<Currency, Figures> {
    let mut sums: BTreeMap<Currency, Figures> = BTreeMap::new();
    let mut sum = |object: &Value, change: &dyn Fn(&mut Figures)| {
        let currency =
            Currency::parse(object["currency"].as_str().expect("a currency")).expect("one of ours");
        change(sums.entry(currency).or_default());
    };
    let path = "/v2/charges?limit=100&expand[]=data.balance_transaction";
    let charges = app.get(path).await.expect(200);
    assert_eq!(charges["has_more"], false);
    for charge in data(&charges) {
        if number(&charge["amount_captured"]) > 0 {
            let fee = number(&charge["balance_transaction"]["fee"]);
            sum(charge, &|f| {
                f.payments += 1;
                f.volume += number(&charge["amount_captured"]);
                f.fees += fee;
            });
        }
        if charge["status"] == "failed" {
            sum(charge, &|f| f.failed += 1);
        }
    }
    let refunds = app.get("/v2/refunds?limit=100").await.expect(200);
    assert_eq!(refunds["has_more"], false);
    for refund in data(&refunds) {
        let amount = number(&refund["amount"]);
        sum(refund, &|f| {
            f.refunds += 1;
            f.refunded += amount;
        });
        if refund["status"] == "failed" {
            sum(refund, &|f| {
                f.refunds_failed += 1;
                f.returned += amount;
            });
        }
    }
    sums
}

async fn refund(app: &TestApp, payment: &Value, amount: &str) {
    app.post("/v2/refunds", &[("payment_intent", &id(payment)), ("amount", amount)]).await.expect(201);
}

/// One of everything that figures have to tell apart.
async fn trade(app: &TestApp) {
    let paid = app.pay(10_000, "pm_card_visa", &[]).await.expect(201);
    refund(app, &paid, "1500").await;
    refund(app, &paid, "500").await;
    let kept = app.pay(4_000, "pm_card_refundFail", &[]).await.expect(201);
    refund(app, &kept, "4000").await;
    app.pay(700, "pm_card_visa_chargeDeclined", &[]).await.expect(402);
    // Refused first, paid then: one of each.
    let failed = app.pay(900, "pm_card_chargeDeclinedInsufficientFunds", &[]).await.expect(402);
    let again = failed["error"]["payment_intent"]["id"].as_str().expect("an id").to_owned();
    app.post(&format!("/v2/payment_intents/{again}/confirm"), &[("payment_method", "pm_card_visa")])
        .await
        .expect(200);
    // Captured in part, and another one given up.
    for capture in [true, false] {
        let held = id(&app.pay(3_000, "pm_card_visa", &[("capture_method", "manual")]).await.expect(201));
        if capture {
            let part = [("amount_to_capture", "1234")];
            app.post(&format!("/v2/payment_intents/{held}/capture"), &part).await.expect(200);
        } else {
            app.post(&format!("/v2/payment_intents/{held}/cancel"), &[]).await.expect(200);
        }
    }
    // Nobody was asked, so nobody refused.
    app.pay(600, "pm_card_requestLost", &[]).await.expect(201);
    app.pay(800, "pm_card_answerLost", &[]).await.expect(201);
    app.pay(850, "pm_card_answerLostDeclined", &[]).await.expect(201);
    for token in ["pm_sepa_debit_success", "pm_sepa_debit_failure"] {
        app.pay(2_000, token, &[("payment_method_types[]", "sepa_debit")]).await.expect(201);
    }
    let yen =
        [("amount", "5000"), ("currency", "jpy"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    app.post("/v2/payment_intents", &yen).await.expect(201);
    for _ in 0..3 {
        app.run_waiting().await;
    }
}

async fn check(app: &TestApp, expected: &BTreeMap<Currency, Figures>, when: &str) {
    for by in [Grouping::Day, Grouping::Provider] {
        let report = shown(app, by).await;
        assert_eq!(&report.totals, expected, "by {by}, {when}");
    }
}

/// Ids of all rows that are folded, of both sources, oldest first.
async fn sources(app: &TestApp) -> Vec<Core> {
    let read = |tx: &mut store::Tx<'_>| {
        let sql = "SELECT journal AS id FROM balance_transactions UNION ALL SELECT id FROM events \
            WHERE type = 'charge.failed' ORDER BY id";
        tx.all(sql, &[], |r| r.next())
    };
    app.store.read::<_, StoreError, _>(read).await.expect("ids")
}

async fn settled(db: &testkit::Db) -> TestApp {
    TestApp::with(db, AppOptions { settle_us: 0, ..AppOptions::default() }).await
}

async fn folded(app: &TestApp) -> i64 {
    let sql =
        "SELECT CAST(COALESCE(SUM(payments + failed + refunds + refunds_failed), 0) AS BIGINT) FROM figures";
    app.store.read::<_, StoreError, _>(move |tx| tx.one(sql, &[], |r| r.next())).await.expect("a sum")
}

async fn change(app: &TestApp, sql: &str) -> u64 {
    let sql = sql.to_owned();
    app.store.write::<_, StoreError, _>(move |tx| tx.execute(&sql, &[])).await.expect("changed")
}

async fn broken(app: &TestApp) -> Vec<&'static str> {
    let checks = app.engine.verify_ledger().await.expect("verified");
    checks.iter().filter(|c| c.broken > 0).map(|c| c.rule).collect()
}

const MONEY_RULE: &str = "the figures of every day equal the balance transactions that are folded into them";
const FAILURE_RULE: &str = "every refused attempt is in the figures once, or its event waits to be";

testkit::on_both_engines! {
    async fn figures_are_the_same_wherever_the_folding_stands(db) {
        let app = settled(&db).await;
        let other = app.another_merchant().await;
        trade(&app).await;
        other.pay(333, "pm_card_visa", &[]).await.expect(201);
        let (ours, theirs) = (expected(&app).await, expected(&other).await);
        let euro = ours[&Currency::EUR];
        assert_eq!((euro.payments, euro.failed, euro.refunds, euro.refunds_failed), (6, 4, 3, 1), "{euro:?}");
        assert_eq!((euro.volume, euro.refunded, euro.returned), (10_000 + 4_000 + 900 + 1_234 + 800 + 2_000, 6_000, 4_000));
        assert_eq!(euro.success_basis_points(), Some(6_000));
        assert_eq!(ours[&Currency::JPY].payments, 1);
        let rows = sources(&app).await;
        check(&app, &ours, "with nothing folded").await;
        for (n, row) in rows.iter().enumerate() {
            // Up to this row's millisecond, so each step folds a little.
            app.engine.fold_figures(store::ledger::id_instant(*row)).await.expect("folded");
            check(&app, &ours, &format!("before row {n}")).await;
            check(&other, &theirs, &format!("before row {n}")).await;
            app.assert_books().await;
        }
        app.engine.fold_figures(app.engine.now().plus(DAY)).await.expect("folded");
        assert_eq!(folded(&app).await, i64::try_from(rows.len()).expect("few"));
        assert_eq!(app.engine.fold_figures(app.engine.now().plus(DAY)).await.expect("folded"), 0);
        check(&app, &ours, "with all folded").await;
        check(&other, &theirs, "with all folded").await;
        app.assert_books().await;
        // What comes later is added, and nothing is counted for another mode.
        app.pay(50, "pm_card_visa", &[]).await.expect(201);
        check(&app, &expected(&app).await, "with one more").await;
        let live = domain::scope::Scope { mode: domain::scope::Mode::Live, ..app.scope() };
        let nothing = app.engine.figures(live, filter(&app, Grouping::Day)).await.expect("figures");
        assert!(nothing.totals.is_empty());
    }

    async fn what_fails_between_reading_and_the_commit_counts_once(db) {
        let app = settled(&db).await;
        trade(&app).await;
        let ours = expected(&app).await;
        let mark = app.engine.now().plus(DAY);
        let read = move |tx: &mut store::Tx<'_>| store::figures::read_batch(tx, Source::Money, mark, 5);
        let batch = app.store.read::<_, StoreError, _>(read).await.expect("read").expect("rows");
        assert_eq!(batch.rows, 5);
        // The commit is lost.
        let lost = batch.clone();
        let lost = app.store.write::<(), StoreError, _>(move |tx| {
            assert!(store::figures::store_batch(tx, &lost)?);
            Err(StoreError::Unavailable("the power fails".to_owned()))
        });
        lost.await.expect_err("rolled back");
        assert_eq!(folded(&app).await, 0);
        check(&app, &ours, "after the loss").await;
        // It is done again, and once more by somebody who read the same rows.
        for stored in [true, false] {
            let batch = batch.clone();
            let done = app.store.write::<_, StoreError, _>(move |tx| store::figures::store_batch(tx, &batch));
            assert_eq!(done.await.expect("a commit"), stored);
        }
        assert_eq!(folded(&app).await, 5);
        check(&app, &ours, "after the repetition").await;
        app.assert_books().await;
    }

    async fn workers_at_the_same_time_count_each_row_once(db) {
        let app = settled(&db).await;
        trade(&app).await;
        let ours = expected(&app).await;
        let rows = sources(&app).await.len();
        let mark = app.engine.now().plus(DAY);
        // Without the lease, and in small batches, so that they meet.
        let work = |source| {
            let app = app.clone();
            async move {
                let (mut won, mut lost) = (0, 0);
                loop {
                    let read = move |tx: &mut store::Tx<'_>| store::figures::read_batch(tx, source, mark, 2);
                    let Some(batch) = app.store.read::<_, StoreError, _>(read).await.expect("read") else { break };
                    let rows = batch.rows;
                    let store = move |tx: &mut store::Tx<'_>| store::figures::store_batch(tx, &batch);
                    match app.store.write::<_, StoreError, _>(store).await.expect("a commit") {
                        true => won += rows,
                        false => lost += rows,
                    }
                }
                (won, lost)
            }
        };
        let done = join_all([Source::Money, Source::Failures, Source::Money, Source::Failures, Source::Money].map(work)).await;
        assert_eq!(done.iter().map(|(won, _)| won).sum::<usize>(), rows, "{done:?}");
        check(&app, &ours, "after all of them").await;
        app.assert_books().await;
    }

    async fn a_refusal_is_not_purged_before_it_is_counted(db) {
        let app = TestApp::start(&db).await;
        app.pay(700, "pm_card_visa_chargeDeclined", &[]).await.expect(402);
        app.pay(700, "pm_card_visa", &[]).await.expect(201);
        // Two months pass.
        let zeros = if app.store.is_embedded() {
            "UPDATE events SET id = CAST(X'00000000' || substr(id, 5) AS BLOB)"
        } else {
            "UPDATE events SET id = decode('00000000', 'hex') || substr(id, 5)"
        };
        change(&app, zeros).await;
        let failed = sources(&app).await.into_iter().filter(|id| store::ledger::id_instant(*id) < Timestamp(DAY * 365)).count();
        assert_eq!(failed, 1);
        while app.engine.purge_events().await.expect("purged") > 0 {}
        let left = "SELECT COUNT(*) FROM events WHERE type = 'charge.failed'";
        let left: i64 = app.store.read::<_, StoreError, _>(move |tx| tx.one(left, &[], |r| r.next())).await.expect("counted");
        assert_eq!(left, 1, "it waits");
        app.engine.fold_figures(app.engine.now()).await.expect("folded");
        while app.engine.purge_events().await.expect("purged") > 0 {}
        assert_eq!(shown(&app, Grouping::Day).await.totals[&Currency::EUR].failed, 1);
        let count = "SELECT COUNT(*) FROM events";
        let left: i64 = app.store.read::<_, StoreError, _>(move |tx| tx.one(count, &[], |r| r.next())).await.expect("counted");
        assert_eq!(left, 0);
        assert!(!broken(&app).await.contains(&FAILURE_RULE));
    }

    async fn verify_tells_of_wrong_figures(db) {
        let app = settled(&db).await;
        trade(&app).await;
        app.engine.fold_figures(app.engine.now().plus(DAY)).await.expect("folded");
        app.assert_books().await;
        for (wrong, right, rule) in [
            ("volume = volume + 1", "volume = volume - 1", MONEY_RULE),
            ("fees = fees + 1", "fees = fees - 1", MONEY_RULE),
            ("refunded = refunded + 1", "refunded = refunded - 1", MONEY_RULE),
            ("returned = returned + 1", "returned = returned - 1", MONEY_RULE),
            ("payments = payments + 1", "payments = payments - 1", MONEY_RULE),
            ("day = day + 1", "day = day - 1", MONEY_RULE),
            ("failed = failed + 1", "failed = failed - 1", FAILURE_RULE),
        ] {
            assert!(change(&app, &format!("UPDATE figures SET {wrong} WHERE currency = 'EUR'")).await > 0);
            assert_eq!(broken(&app).await, [rule], "{wrong}");
            change(&app, &format!("UPDATE figures SET {right} WHERE currency = 'EUR'")).await;
        }
        // A row that the cursor passed over.
        app.assert_books().await;
        change(&app, "DELETE FROM figures WHERE currency = 'JPY'").await;
        assert_eq!(broken(&app).await, [MONEY_RULE]);
    }

    async fn refusals_whose_events_are_gone_before_the_migration_are_counted_by_it(db) {
        let app = settled(&db).await;
        trade(&app).await;
        let ours = expected(&app).await;
        change(&app, "DELETE FROM events WHERE id = (SELECT id FROM events WHERE type = 'charge.failed' ORDER BY id LIMIT 1)").await;
        assert_eq!(broken(&app).await, [FAILURE_RULE]);
        let (_, _, text) = store::migrate::MIGRATIONS.iter().find(|(_, name, _)| *name == "figures").expect("the migration");
        let insert = text.get(text.find("INSERT INTO figures").expect("its last statement")..).expect("a place").trim_end();
        change(&app, insert.trim_end_matches(';')).await;
        app.assert_books().await;
        check(&app, &ours, "after the migration").await;
    }

    async fn figures_are_narrowed_and_grouped(db) {
        let app = settled(&db).await;
        trade(&app).await;
        let ours = expected(&app).await;
        for fold in [false, true] {
            if fold {
                app.engine.fold_figures(app.engine.now().plus(DAY)).await.expect("folded");
            }
            let all = shown(&app, Grouping::Provider).await;
            let provider: ProviderId = *all.providers.keys().next().expect("the sandbox");
            assert_eq!(all.groups.len(), 2, "one provider, two currencies");
            assert_eq!(all.providers.len(), 1);
            let narrow = |f: &dyn Fn(&mut FiguresFilter)| {
                let mut filter = filter(&app, Grouping::Day);
                f(&mut filter);
                app.engine.figures(app.scope(), filter)
            };
            let yen = narrow(&|f| f.currency = Some(Currency::JPY)).await.expect("figures");
            assert_eq!(yen.totals, BTreeMap::from([(Currency::JPY, ours[&Currency::JPY])]));
            let same = narrow(&|f| f.provider = Some(provider)).await.expect("figures");
            assert_eq!(same.totals, ours);
            let foreign = ProviderId(Core([9; 12]));
            let refused = narrow(&|f| f.provider = Some(foreign)).await;
            assert!(matches!(refused, Err(engine::Error::Missing { .. })), "{refused:?}");
            let today = Date::of_instant(app.engine.now());
            let before = Period::of_days(Date::from_days(today.days() - 9), Date::from_days(today.days() - 2)).expect("a period");
            let none = narrow(&|f| f.period = before).await.expect("figures");
            assert!(none.groups.is_empty() && none.totals.is_empty());
            let days = narrow(&|_| ()).await.expect("figures");
            assert!(days.groups.keys().all(|g| g.provider.is_none() && g.day.is_some_and(|d| today.days() - d.days() < 2)));
        }
    }

    async fn a_test_clock_counts_on_its_own_days(db) {
        let app = settled(&db).await;
        let clock = id(&app.post("/v2/test_helpers/test_clocks", &[("frozen_time", "1790000000")]).await.expect(201));
        let customer = id(&app.post("/v2/customers", &[("test_clock", &clock)]).await.expect(201));
        let method = id(&app.post("/v2/payment_methods/pm_card_visa/attach", &[("customer", &customer)]).await.expect(200));
        app.pay(1000, &method, &[("customer", &customer)]).await.expect(201);
        let day = Date::of_instant(Timestamp::from_secs(1_790_000_000));
        let mut filter = filter(&app, Grouping::Day);
        filter.period = Period::of_days(day, day).expect("a day");
        for _ in 0..2 {
            let report = app.engine.figures(app.scope(), filter).await.expect("figures");
            assert_eq!(report.totals[&Currency::EUR].volume, 1000);
            assert_eq!(report.groups.keys().map(|g| g.day).collect::<Vec<_>>(), [Some(day)]);
            app.engine.fold_figures(app.engine.now().plus(DAY)).await.expect("folded");
        }
    }
}
