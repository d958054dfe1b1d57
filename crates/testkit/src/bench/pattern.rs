//! The payment that is measured, and what it writes.

use crate::{AppOptions, Db, Kind, TestApp};
use anyhow::{Context, Result};
use domain::currency::Currency;
use domain::id::TypedId;
use store::StoreError;
use store::bench::{Place, Recording, Script};

pub const CREATE: &str = "/v2/payment_intents";
pub const CREATE_FORM: &str = "amount=9900&currency=eur";
pub const CONFIRM_FORM: &str = "payment_method=pm_card_visa";

/// The first request's idempotency key; `name` is 17 characters, like an id's.
pub fn create_key(name: &str) -> String {
    format!("create-{name}")
}

pub fn confirm_key(name: &str) -> String {
    format!("confirm-{name}")
}

pub fn confirm(payment: &str) -> String {
    format!("/v2/payment_intents/{payment}/confirm")
}

pub fn currency() -> Result<Currency> {
    Currency::parse("eur").map_err(|e| anyhow::anyhow!("{e}"))
}

/// Lets the gateway make one payment in a database of its own and takes down what it writes; the place
/// is the merchant for which it did.
pub async fn record() -> Result<(Script, Place)> {
    let db = Db::new(Kind::Sqlite).await;
    let app = TestApp::with(&db, AppOptions::default()).await;
    // The first payment also opens the merchant's accounts, which is not part of making one.
    pay(&app, "first").await?;
    // Ids of the recorded payment are told from older ones by their millisecond.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    app.store.write(Recording::start).await.map_err(anyhow::Error::from)?;
    let name: domain::id::RequestId = app.engine.ids.next();
    pay(&app, &name.core().base62()).await?;
    let recording = app.store.write(Recording::take).await?;
    let place = app.store.read(Place::first).await?;
    Ok((Script::new(recording), place))
}

/// Makes the payment without sockets.
pub async fn pay(app: &TestApp, name: &str) -> Result<()> {
    let form =
        |text: &'static str| text.split('&').filter_map(|pair| pair.split_once('=')).collect::<Vec<_>>();
    let created = app.post_once(&create_key(name), CREATE, &form(CREATE_FORM)).await;
    anyhow::ensure!(created.status == 201, "{}: {}", created.status, created.text);
    let id = created.json["id"].as_str().context("a payment without an id")?;
    let confirmed = app.post_once(&confirm_key(name), &confirm(id), &form(CONFIRM_FORM)).await;
    anyhow::ensure!(confirmed.json["status"] == "succeeded", "{}: {}", confirmed.status, confirmed.text);
    Ok(())
}

/// Writes `payments` more payments of the database's first merchant, who must have one already. No
/// gateway may run on it.
///
/// # Errors
/// When the database fails.
pub async fn preload(store: &store::Store, payments: u64) -> Result<()> {
    let (script, from) = record().await?;
    let to = store.read(Place::first).await?;
    let script = std::sync::Arc::new(script.moved(&from, &to, currency()?));
    let mut left = payments;
    while left > 0 {
        let batch = left.min(store::bench::PRELOAD_BATCH as u64);
        let part = script.clone();
        let count = usize::try_from(batch)?;
        store.write(move |tx| store::bench::preload(tx, &part, count)).await?;
        left -= batch;
        if (payments - left).is_multiple_of(1_000) || left == 0 {
            settle(store).await?;
        }
    }
    // Ids made from now on must sort behind all that was sealed.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    Ok(())
}

async fn settle(store: &store::Store) -> Result<(), StoreError> {
    while !store.write(store::bench::settle_books).await? {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use store::bench::{BareLoop, bare_loop};

    #[tokio::test]
    async fn the_script_is_what_a_payment_writes() {
        let (script, _) = record().await.expect("recorded");
        let tables: Vec<Vec<String>> = script
            .outline()
            .into_iter()
            .map(|step| step.iter().map(|s| s.replace("INSERT INTO", "+").replace(" SET", "")).collect())
            .collect();
        let tables: Vec<Vec<&str>> =
            tables.iter().map(|step| step.iter().map(String::as_str).collect()).collect();
        let create = vec!["+ payments", "+ snapshots", "+ events", "+ idempotency_keys"];
        assert_eq!(tables.first(), Some(&create));
        assert_eq!(
            tables.len(),
            4,
            "create, two transactions of confirm, the sandbox's own between them: {tables:?}"
        );
        for table in
            ["+ journals", "+ entries", "+ account_deltas", "+ balance_transactions", "UPDATE payments"]
        {
            assert!(tables[3].contains(&table), "{table}: {tables:?}");
        }
    }

    crate::on_both_engines! {
        async fn a_preloaded_database_has_sound_books_and_serves(db) {
            let app = TestApp::with(&db, AppOptions::default()).await;
            pay(&app, "before").await.expect("paid");
            preload(&app.store, 200).await.expect("preloaded");
            app.assert_books().await;
            let before = app.store.read(|tx| store::payments::count(tx, domain::scope::Mode::Test)).await;
            assert_eq!(before.expect("counted"), 201);
            pay(&app, "after").await.expect("paid");
            app.run_due().await;
            app.assert_books().await;
        }

        async fn the_bare_loop_writes_payments(db) {
            let (script, _) = record().await.expect("recorded");
            let location = db.location();
            let how = BareLoop { batch_hundredths: 650, time: Duration::from_secs(60), payments_max: 20 };
            let run = std::thread::spawn(move || bare_loop(&location, &script, how)).join().expect("joined");
            let run = run.expect("the loop runs");
            // Groups of 6, 7 and 6 payments and one more, four commits each.
            assert_eq!((run.payments, run.commits), (26, 16));
            let count = db.open().read(|tx| store::payments::count(tx, domain::scope::Mode::Test)).await;
            assert_eq!(count.expect("counted"), 26);
        }
    }
}
