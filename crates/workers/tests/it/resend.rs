//! Events sent once more by the merchant.

use crate::raw_receiver::{Manner, RawReceiver};
use crate::signature::matches;
use crate::support::{Endpoint, event_of, linger, pay, text, until, work};
use serde_json::Value;
use testkit::{Receiver, TestApp};
use workers::WorkerOptions;

/// Why each attempt was made.
fn triggers(delivery: &Value) -> Vec<String> {
    delivery["attempts"].as_array().expect("the log").iter().map(|attempt| text(attempt, "trigger")).collect()
}

testkit::on_both_engines! {
    async fn while_an_attempt_is_under_way_another_one_follows(db) {
        let app = TestApp::start(&db).await;
        let slow = RawReceiver::start(Manner::Dawdles(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec())).await;
        let endpoint = Endpoint::paid(&app, &slow.url).await;
        let workers = work(&app, WorkerOptions::default());
        let payment = pay(&app).await;
        until("the first request", || async { (slow.requests() == 1).then_some(()) }).await;
        let event = event_of(&app, &payment).await;
        app.post(&format!("/v2/events/{event}/resend"), &[]).await.expect(200);
        let delivery = endpoint.attempted(&app, 2).await;
        linger().await;
        workers.stop().await;
        assert_eq!((slow.requests(), &delivery["status"]), (2, &"succeeded".into()));
        assert_eq!(triggers(&delivery), ["automatic", "manual"]);
    }

    async fn to_one_endpoint_after_success_and_after_failure(db) {
        let app = TestApp::start(&db).await;
        let (receiver, other) = (Receiver::start().await, Receiver::start().await);
        receiver.answer_with(&[200, 500, 200]);
        let endpoint = Endpoint::paid(&app, &receiver.url).await;
        let bystander = Endpoint::paid(&app, &other.url).await;
        let workers = work(&app, WorkerOptions::default());
        let payment = pay(&app).await;
        endpoint.attempted(&app, 1).await;
        bystander.attempted(&app, 1).await;
        let event = event_of(&app, &payment).await;
        for (attempt, status) in [(2, "pending"), (3, "succeeded")] {
            let sent = app.post(&format!("/v2/events/{event}/resend"), &[("webhook_endpoint", &endpoint.id)]).await;
            assert_eq!(sent.expect(200)["id"], event.as_str());
            let delivery = endpoint.attempted(&app, attempt).await;
            assert_eq!(delivery["status"], status, "after attempt {attempt}");
        }
        linger().await;
        workers.stop().await;
        let received = receiver.received();
        assert_eq!((received.len(), other.received().len()), (3, 1));
        for request in &received {
            assert_eq!((request.header("webhook-id"), &request.body), (&*event, &received[0].body));
            assert_eq!(matches(request, &endpoint.secret), [true]);
        }
        let [delivery] = &endpoint.deliveries(&app).await[..] else { panic!("a resend made another delivery") };
        assert_eq!(triggers(delivery), ["automatic", "manual", "manual"]);
    }

    async fn to_all_that_want_it_and_to_one_that_came_later(db) {
        let app = TestApp::start(&db).await;
        let receivers = [Receiver::start().await, Receiver::start().await, Receiver::start().await, Receiver::start().await];
        let [first, second, unasked, late] = &receivers;
        let asked = [Endpoint::paid(&app, &first.url).await, Endpoint::paid(&app, &second.url).await];
        Endpoint::create(&app, &unasked.url, "charge.refunded").await;
        let workers = work(&app, WorkerOptions::default());
        let payment = pay(&app).await;
        for endpoint in &asked {
            endpoint.attempted(&app, 1).await;
        }
        let event = event_of(&app, &payment).await;
        let resend = format!("/v2/events/{event}/resend");
        let newcomer = Endpoint::paid(&app, &late.url).await;
        app.post(&resend, &[("webhook_endpoint", &newcomer.id)]).await.expect(200);
        let old_news = late.wait_for(1).await.remove(0);
        newcomer.attempted(&app, 1).await;
        assert_eq!(old_news.json()["data"], first.received()[0].json()["data"]);
        assert_eq!(matches(&old_news, &newcomer.secret), [true]);

        app.post(&resend, &[]).await.expect(200);
        for receiver in [first, second, late] {
            let received = receiver.wait_for(2).await;
            assert!(received.iter().all(|r| r.header("webhook-id") == event));
        }
        linger().await;
        workers.stop().await;
        let counts: Vec<usize> = receivers.iter().map(|r| r.received().len()).collect();
        assert_eq!(counts, [2, 2, 0, 2]);
    }

    async fn only_by_whom_it_concerns(db) {
        let app = TestApp::start(&db).await;
        let other = app.another_merchant().await;
        let receiver = Receiver::start().await;
        let theirs = Endpoint::paid(&other, &receiver.url).await;
        let event = event_of(&app, &pay(&app).await).await;
        let resend = format!("/v2/events/{event}/resend");
        other.post(&resend, &[]).await.expect(404);
        app.as_key(&app.sk_live, http::Method::POST, &resend, &[], None).await.expect(404);
        app.as_key(&app.pk, http::Method::POST, &resend, &[], None).await.expect(403);
        let refused = app.post(&resend, &[("webhook_endpoint", &theirs.id)]).await;
        assert_eq!(text(&refused.expect_error(400, "invalid_request_error", Some("resource_missing")), "param"), "webhook_endpoint");
        let workers = work(&app, WorkerOptions::default());
        linger().await;
        workers.stop().await;
        assert_eq!(receiver.received().len(), 0);
    }
}
