//! Many at once on one payment: exactly the allowed ones succeed.

use crate::support::join_all;
use serde_json::Value;
use std::collections::BTreeMap;
use testkit::{Answer, TestApp};

fn id(object: &Value) -> String {
    object["id"].as_str().expect("an id").to_owned()
}

fn tally(answers: &[Answer]) -> BTreeMap<u16, usize> {
    let mut tally = BTreeMap::new();
    for answer in answers {
        *tally.entry(answer.status.as_u16()).or_default() += 1;
    }
    tally
}

/// Fifty times the same request, each repeated while another one is at the provider.
async fn fifty(app: &TestApp, path: &str, form: &'static [(&'static str, &'static str)]) -> Vec<Answer> {
    let path = path.to_owned();
    join_all((0..50).map(|_| {
        let (app, path) = (app.clone(), path.clone());
        async move {
            loop {
                let answer = app.post(&path, form).await;
                if answer.status.as_u16() != 409 {
                    return answer;
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
    }))
    .await
}

testkit::on_both_engines! {
    async fn fifty_confirms_charge_once(db) {
        let app = TestApp::start(&db).await;
        let payment = id(&app.post("/v2/payment_intents", &[("amount", "100"), ("currency", "eur")]).await.expect(201));
        let answers = fifty(&app, &format!("/v2/payment_intents/{payment}/confirm"), &[("payment_method", "pm_card_visa")]).await;
        assert_eq!(tally(&answers), BTreeMap::from([(200, 1), (400, 49)]));
        let charges = app.get("/v2/charges").await.expect(200);
        assert_eq!(charges["data"].as_array().expect("a list").len(), 1);
        app.assert_books().await;
    }

    async fn fifty_captures_take_once(db) {
        let app = TestApp::start(&db).await;
        let payment = id(&app.pay(1000, "pm_card_visa", &[("capture_method", "manual")]).await.expect(201));
        let answers = fifty(&app, &format!("/v2/payment_intents/{payment}/capture"), &[("amount_to_capture", "700")]).await;
        assert_eq!(tally(&answers), BTreeMap::from([(200, 1), (400, 49)]));
        app.assert_books().await;
    }

    async fn fifty_refunds_of_30_percent_give_three(db) {
        let app = TestApp::start(&db).await;
        let payment = id(&app.pay(1000, "pm_card_visa", &[]).await.expect(201));
        let path = "/v2/refunds".to_owned();
        let answers = join_all((0..50).map(|_| {
            let (app, path, payment) = (app.clone(), path.clone(), payment.clone());
            async move { app.post(&path, &[("payment_intent", &payment), ("amount", "300")]).await }
        }))
        .await;
        assert_eq!(tally(&answers), BTreeMap::from([(201, 3), (400, 47)]));
        app.assert_books().await;
    }

    async fn capture_and_cancel_one_wins(db) {
        let app = TestApp::start(&db).await;
        for _ in 0..10 {
            let payment = id(&app.pay(1000, "pm_card_visa", &[("capture_method", "manual")]).await.expect(201));
            let (first, second) = (app.clone(), app.clone());
            let (a, b) = (format!("/v2/payment_intents/{payment}/capture"), format!("/v2/payment_intents/{payment}/cancel"));
            let (captured, canceled) = tokio::join!(first.post(&a, &[]), second.post(&b, &[]));
            let won = [captured.status.as_u16(), canceled.status.as_u16()].iter().filter(|s| **s == 200).count();
            assert_eq!(won, 1, "{} / {}", captured.text, canceled.text);
        }
        app.assert_books().await;
    }

    async fn one_key_fifty_times_is_one_payment(db) {
        let app = TestApp::start(&db).await;
        let answers = join_all((0..50).map(|_| {
            let app = app.clone();
            async move {
                let form = [("amount", "100"), ("currency", "eur"), ("confirm", "true"), ("payment_method", "pm_card_visa")];
                loop {
                    let answer = app.post_once("same", "/v2/payment_intents", &form).await;
                    if answer.status.as_u16() != 409 {
                        return answer;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
            }
        }))
        .await;
        assert_eq!(tally(&answers), BTreeMap::from([(201, 50)]));
        assert!(answers.iter().all(|a| a.text == answers[0].text));
        assert_eq!(answers.iter().filter(|a| a.header("idempotent-replayed").is_none()).count(), 1);
        assert_eq!(app.get("/v2/payment_intents").await.expect(200)["data"].as_array().expect("a list").len(), 1);
        app.assert_books().await;
    }
}
