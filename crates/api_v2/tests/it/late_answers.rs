//! Answers that come when nobody expects them any more.

use domain::id::{AttemptId, Core, JobId, TypedId};
use serde_json::Value;
use store::StoreError;
use store::jobs::{Job, JobKind};
use store::sandbox::ChargeState;
use testkit::TestApp;

/// Has the engine ask the provider about an attempt once more.
async fn ask_again(app: &TestApp, attempt: AttemptId) {
    let (scope, now) = (app.scope(), app.engine.now());
    let job = Job {
        id: JobId(Core::new(1, [7; 6])),
        scope,
        kind: JobKind::ReconcileAttempt,
        object: attempt.to_string(),
        node: None,
        clock: None,
        due_at: now,
        tries: 0,
        idempotency_key: None,
        created_at: now,
    };
    app.store.write(move |tx| store::jobs::insert(tx, &job)).await.expect("a job");
}

testkit::on_both_engines! {
    async fn an_approval_after_the_payment_was_given_up_is_undone(db) {
        let app = TestApp::start(&db).await;
        let unknown = app.pay(700, "pm_card_requestLost", &[]).await.expect(201);
        app.run_waiting().await;
        let path = format!("/v2/payment_intents/{}", unknown["id"].as_str().expect("an id"));
        let failed = app.get(&path).await.expect(200);
        assert_eq!(failed["status"], "requires_payment_method");
        assert_eq!(failed["last_payment_error"]["code"], "processing_error");
        // The payer tries again and pays; then the first request reaches the provider after all.
        app.post(&format!("{path}/confirm"), &[("payment_method", "pm_card_visa")]).await.expect(200);
        let scope = app.scope();
        let id = unknown["id"].as_str().expect("an id").to_owned();
        let stray = app
            .store
            .write(move |tx| {
                let id = domain::id::PaymentId::parse(&id).expect("an id");
                let charges: Vec<_> = store::sandbox::all_charges(tx)?;
                let mut charge = charges.first().cloned().expect("the second try's charge");
                let paid = store::payments::get(tx, scope, id)?.expect("the payment").latest_attempt.expect("an attempt");
                let attempts = store::attempts::of_payment(tx, scope, id)?;
                let first = attempts.iter().map(|a| a.id).find(|a| *a != paid).expect("the first try");
                charge.attempt = first.to_string();
                store::sandbox::submit(tx, &charge)?;
                Ok::<_, StoreError>(first)
            })
            .await
            .expect("written");
        ask_again(&app, stray).await;
        app.run_waiting().await;
        app.run_waiting().await;
        let charge = app
            .store
            .read(move |tx| store::sandbox::get(tx, &stray.to_string()))
            .await
            .expect("read")
            .expect("the stray charge");
        assert_eq!((charge.state, charge.refunded), (ChargeState::Voided, 700));
        let paid = app.get(&path).await.expect(200);
        assert_eq!((paid["status"].as_str(), paid["amount_received"].as_i64()), (Some("succeeded"), Some(700)));
        app.assert_books().await;
    }

    async fn a_duplicate_answer_posts_nothing(db) {
        let app = TestApp::start(&db).await;
        let paid = app.pay(700, "pm_card_visa", &[]).await.expect(201);
        let attempt = AttemptId::parse(paid["latest_charge"].as_str().expect("a charge")).expect("an id");
        ask_again(&app, attempt).await;
        app.run_waiting().await;
        let balance: Value = app.get("/v2/balance").await.expect(200);
        assert_eq!(balance["pending"][0]["amount"], 700 - 45);
        assert_eq!(app.get("/v2/events?type=payment_intent.succeeded").await.expect(200)["data"].as_array().expect("a list").len(), 1);
        app.assert_books().await;
    }
}
