//! What a shop is told (IPN): by which headers, how often, and until when.

use crate::support::{DECLINED, VISA, figure, refused};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use store::{StoreError, Tx, Wake};
use testkit::office::{Office, text};
use testkit::{Received, Receiver, TestApp};
use workers::{WorkerOptions, Workers};

pub fn work(app: &TestApp) -> Workers {
    let render = testkit::event_renderer(app.urls.clone());
    Workers::start(app.engine.clone(), outbound::Client::new(), render, WorkerOptions::default())
}

/// Waits until the database says `wanted`.
async fn until(app: &TestApp, query: &'static str, wanted: i64) {
    let waited = tokio::time::timeout(std::time::Duration::from_secs(60), async {
        while figure(app, query).await != wanted {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("{query} did not become {wanted}"));
}

/// Checks a notice as shop plugins do; its body.
#[track_caller]
fn verified(received: &Received, secret: &str) -> Value {
    let timestamp = received.header("x-signature-timestamp");
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(&received.body);
    let expected: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(received.header("x-signature-hmac-sha256"), expected);
    received.json()
}

testkit::on_both_engines! {
    async fn of_a_try_that_failed_one_that_paid_and_its_refund(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let receiver = Receiver::start().await;
        let workers = work(&app);
        let checkout = office.checkout(&json!({ "ipnUrl": receiver.url })).await.expect(200);
        let failed = text(&office.pay(&checkout, DECLINED).await.expect(200)["id"]);
        let paid = text(&office.pay(&checkout, VISA).await.expect(200)["id"]);
        receiver.wait_for(2).await;
        office.post(&format!("/transactions/{paid}/refund"), &json!({ "amount": 100 })).await.expect(200);
        office.post(&format!("/transactions/{paid}/refund"), &json!({})).await.expect(200);
        until(&app, "SELECT COUNT(*) FROM deliveries WHERE status = 'succeeded'", 3).await;
        let mut told: Vec<(String, i64)> = receiver.received().iter().map(|r| {
            let body = verified(r, &office.secret);
            assert_eq!(body.as_object().map(serde_json::Map::len), Some(3), "{body}");
            assert_eq!((body["externalReference"].as_str(), r.header("x-ipn-version")), (Some("order-1"), ""));
            (text(&body["id"]), body["status"].as_i64().expect("an integer"))
        }).collect();
        told.sort();
        let mut expected = vec![(failed, 2), (paid.clone(), 1), (paid.clone(), 3)];
        expected.sort();
        assert_eq!(told, expected, "a partial refund is no new status");
        let seen = office.get(&format!("/transactions/{paid}")).await.expect(200);
        assert_eq!(seen["ipn"], json!({ "url": receiver.url, "attempts": 2, "status": "delivered", "lastStatus": "200" }));
        let attempts: Vec<&Value> = seen["timeline"].as_array().expect("rows").iter().filter(|row| row["type"] == "ipn").collect();
        assert_eq!(attempts.len(), 2);
        office.post(&format!("/transactions/{paid}/ipn/retry"), &json!({})).await.expect(200);
        receiver.wait_for(4).await;
        let again = receiver.received().last().cloned().expect("sent again");
        assert_eq!(verified(&again, &office.secret)["status"], 3);
        workers.stop().await;
    }

    async fn version_two_names_itself(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let receiver = Receiver::start().await;
        let workers = work(&app);
        office.put(&format!("/sites/{}", office.site), &json!({ "ipnVersion": 2 })).await.expect(200);
        let checkout = office.checkout(&json!({ "ipnUrl": receiver.url })).await.expect(200);
        let paid = text(&office.pay(&checkout, VISA).await.expect(200)["id"]);
        office.post(&format!("/transactions/{paid}/refund"), &json!({})).await.expect(200);
        let mut versions = Vec::new();
        for received in receiver.wait_for(2).await {
            let body = verified(&received, &office.secret);
            assert_eq!((received.header("x-ipn-version"), &body["schemaVersion"]), ("2", &json!(2)));
            assert_eq!(body["deliveryId"].as_str(), Some(received.header("x-ipn-delivery-id")));
            assert!(body["occurredAt"].as_str().is_some_and(|at| at.ends_with('Z')), "{body}");
            versions.push((body["eventVersion"].as_i64().expect("a number"), body["status"].as_i64().expect("a number")));
        }
        versions.sort_unstable();
        assert_eq!(versions, [(1, 1), (2, 3)]);
        workers.stop().await;
    }

    async fn three_tries_and_only_200_counts(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let receiver = Receiver::start().await;
        receiver.answer_with(&[204, 302, 500, 204]);
        let workers = work(&app);
        let checkout = office.checkout(&json!({ "ipnUrl": receiver.url })).await.expect(200);
        let paid = text(&office.pay(&checkout, VISA).await.expect(200)["id"]);
        for tries in 1..=2 {
            let query = if tries == 1 { "SELECT COUNT(*) FROM deliveries WHERE attempts = 1 AND status = 'pending'" } else { "SELECT COUNT(*) FROM deliveries WHERE attempts = 2 AND status = 'pending'" };
            until(&app, query, 1).await;
            let due = |tx: &mut Tx<'_>| {
                tx.wake(Wake::Deliveries);
                tx.execute("UPDATE deliveries SET due_at = 0", &[])
            };
            app.store.write::<_, StoreError, _>(due).await.expect("made due");
        }
        until(&app, "SELECT COUNT(*) FROM deliveries WHERE attempts = 3 AND status = 'failed'", 1).await;
        let bodies: Vec<Vec<u8>> = receiver.received().iter().map(|r| r.body.clone()).collect();
        assert!(bodies.len() == 3 && bodies.iter().all(|body| *body == bodies[0]), "the same bytes at every attempt");
        let seen = office.get(&format!("/transactions/{paid}")).await.expect(200);
        assert_eq!((&seen["ipn"]["status"], &seen["ipn"]["lastStatus"]), (&json!("failed"), &json!("500")));
        // By hand it begins anew.
        office.post(&format!("/transactions/{paid}/ipn/retry"), &json!({})).await.expect(200);
        until(&app, "SELECT COUNT(*) FROM deliveries WHERE attempts = 4 AND status = 'pending'", 1).await;
        workers.stop().await;
    }

    async fn of_what_ended_before_anybody_paid(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let receiver = Receiver::start().await;
        let workers = work(&app);
        let checkout = office.checkout(&json!({ "ipnUrl": receiver.url })).await.expect(200);
        office.post(&format!("/checkouts/{}/expire", text(&checkout["id"])), &json!({})).await.expect(200);
        let told = verified(&receiver.wait_for(1).await[0], &office.secret);
        assert_eq!((&told["id"], &told["status"]), (&checkout["id"], &json!(-2)));
        // A secret that was replaced signs nothing any more.
        let new = office.post(&format!("/sites/{}/webhook-secret/regenerate", office.site), &json!({})).await.expect(200);
        let checkout = office.checkout(&json!({ "ipnUrl": receiver.url })).await.expect(200);
        office.pay(&checkout, VISA).await.expect(200);
        verified(&receiver.wait_for(2).await[1], &text(&new["webhookSecret"]));
        let silent = office.checkout(&json!({})).await.expect(200);
        let paid = text(&office.pay(&silent, VISA).await.expect(200)["id"]);
        refused(office.post(&format!("/transactions/{paid}/ipn/retry"), &json!({})).await, 409, "no_notice");
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM deliveries").await, 2);
        workers.stop().await;
    }

    async fn an_older_status_is_not_sent_after_a_newer_one(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let receiver = Receiver::start().await;
        receiver.answer_with(&[500]);
        let workers = work(&app);
        let checkout = office.checkout(&json!({ "ipnUrl": receiver.url, "email": "jo@example.com" })).await.expect(200);
        let body = json!({
            "sessionPublicId": checkout["sessionPublicId"],
            "paymentMethod": { "type": "sepa_debit", "name": "Jo Doe", "iban": "DE89370400440532013000" },
        });
        let pending = office.browser(http::Method::POST, "/transactions/create", Some(&body)).await.expect(200);
        assert_eq!(pending["statusCode"], 0, "{pending}");
        until(&app, "SELECT COUNT(*) FROM deliveries WHERE attempts = 1 AND status = 'pending'", 1).await;
        // The bank answers; its notice arrives.
        let due = |tx: &mut Tx<'_>| tx.execute("UPDATE jobs SET due_at = 0, claimed_until = 0", &[]);
        let settled = |tx: &mut Tx<'_>| tx.execute("UPDATE sandbox_charges SET settles_at = 1 WHERE settles_at IS NOT NULL", &[]);
        app.store.write::<_, StoreError, _>(settled).await.expect("settled");
        app.store.write::<_, StoreError, _>(due).await.expect("made due");
        app.run_due().await;
        until(&app, "SELECT COUNT(*) FROM deliveries WHERE status = 'succeeded'", 1).await;
        let again = |tx: &mut Tx<'_>| {
            tx.wake(Wake::Deliveries);
            tx.execute("UPDATE deliveries SET due_at = 0 WHERE status = 'pending'", &[])
        };
        app.store.write::<_, StoreError, _>(again).await.expect("made due");
        until(&app, "SELECT COUNT(*) FROM deliveries WHERE status = 'failed'", 1).await;
        let told: Vec<i64> = receiver.received().iter().filter_map(|r| r.json()["status"].as_i64()).collect();
        assert_eq!(told, [0, 1], "the shop would take a paid order back");
        workers.stop().await;
    }
}
