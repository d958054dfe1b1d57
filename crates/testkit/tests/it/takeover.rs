//! What a process leaves unfinished is taken up by its successor at once, wherever the death struck.

use store::jobs::Kinds;
use testkit::{AppOptions, TestApp};

testkit::on_both_engines! {
    async fn a_question_that_a_dead_process_was_asking_is_asked_again_at_once(db) {
        let app = TestApp::start(&db).await;
        let lost = app.pay(1_000, "pm_card_answerLost", &[]).await.expect(201);
        let path = format!("/v2/payment_intents/{}", lost["id"].as_str().expect("an id"));
        assert_eq!(lost["status"], "processing");
        // The job is claimed, and the process dies before it has an answer.
        let (node, now) = (app.engine.node, app.engine.now());
        let claimed = app.store.write(move |tx| {
            store::jobs::make_all_due(tx, Kinds::Questions, now)?;
            store::jobs::claim(tx, node, Kinds::Questions, now, now.plus(120 * domain::time::MICROS), 100)
        });
        assert_eq!(claimed.await.expect("claimed").len(), 1);
        app.engine.heartbeat().await.expect("a heartbeat");
        assert_eq!(app.engine.run_jobs().await.expect("jobs run"), 0, "its own claim is not taken from it");

        let options = engine::Options { node: Some(node), ..AppOptions::default().options };
        let next = TestApp::with(&db, AppOptions { options, ..AppOptions::default() }).await;
        next.engine.heartbeat().await.expect("a heartbeat");
        assert_eq!(next.engine.run_jobs().await.expect("jobs run"), 1);
        assert_eq!(app.get(&path).await.expect(200)["status"], "succeeded");
        next.assert_books().await;
    }
}
