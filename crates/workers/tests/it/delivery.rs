//! What arrives when all goes well, and to whom.

use crate::signature::matches;
use crate::support::{Endpoint, event_of, figure, linger, pay, text, until, work};
use domain::time::Timestamp;
use testkit::{Received, Receiver, TestApp};
use workers::WorkerOptions;

fn types(received: &[Received]) -> Vec<String> {
    let mut types: Vec<String> = received.iter().map(|r| text(&r.json(), "type")).collect();
    types.sort();
    types
}

testkit::on_both_engines! {
    async fn a_payment_is_reported_signed_and_logged(db) {
        let app = TestApp::start(&db).await;
        let receiver = Receiver::start().await;
        let endpoint = Endpoint::paid(&app, &receiver.url).await;
        let workers = work(&app, WorkerOptions::default());
        let payment = pay(&app).await;
        let request = receiver.wait_for(1).await.remove(0);
        let delivery = endpoint.attempted(&app, 1).await;

        let event = event_of(&app, &payment).await;
        for (name, value) in [
            ("content-type", "application/json; charset=utf-8"),
            ("user-agent", concat!("PaymentGate/", env!("CARGO_PKG_VERSION"))),
            ("webhook-id", &event),
            ("pg-delivery-id", &text(&delivery, "id")),
            ("pg-delivery-attempt", "1"),
            ("content-length", &request.body.len().to_string()),
        ] {
            assert_eq!(request.header(name), value, "{name}");
        }
        let t = request.header("webhook-timestamp");
        assert!(request.header("pg-signature").starts_with(&format!("t={t},v1=")), "{:?}", request.headers);
        let age = app.engine.now().secs() - t.parse::<i64>().expect("seconds");
        assert!((0..=60).contains(&age), "signed {age} s ago");
        assert_eq!(matches(&request, &endpoint.secret), [true]);
        assert_eq!(matches(&request, "whsec_abcdefghijklmnopqrstuvwxyz012345"), [false]);
        let forged = Received { body: request.body.iter().copied().chain([b' ']).collect(), ..request.clone() };
        assert_eq!(matches(&forged, &endpoint.secret), [false]);

        let body = request.json();
        assert_eq!((body["id"].as_str(), body["type"].as_str()), (Some(&*event), Some("payment_intent.succeeded")));
        assert_eq!((&body["data"]["object"]["id"], &body["livemode"]), (&payment.into(), &false.into()));
        assert_eq!(delivery["status"], "succeeded");
        assert_eq!((&delivery["event"], &delivery["next_attempt"]), (&body["id"], &serde_json::Value::Null));
        assert_eq!((&delivery["attempts"][0]["http_status"], &delivery["attempts"][0]["error"]), (&200.into(), &().into()));
        workers.stop().await;
        assert_eq!(receiver.received().len(), 1, "delivered more than once");
    }

    async fn endpoints_get_what_they_asked_for(db) {
        let app = TestApp::start(&db).await;
        let (all, charges, refunds) = (Receiver::start().await, Receiver::start().await, Receiver::start().await);
        let other = app.another_merchant().await;
        let stranger = Receiver::start().await;
        Endpoint::create(&app, &all.url, "*").await;
        Endpoint::create(&app, &charges.url, "charge.*").await;
        Endpoint::create(&app, &refunds.url, "charge.refunded").await;
        Endpoint::create(&other, &stranger.url, "*").await;
        let workers = work(&app, WorkerOptions::default());
        pay(&app).await;
        let everything = types(&all.wait_for(3).await);
        assert_eq!(everything, ["charge.succeeded", "payment_intent.created", "payment_intent.succeeded"]);
        assert_eq!(types(&charges.wait_for(1).await), ["charge.succeeded"]);
        linger().await;
        workers.stop().await;
        assert_eq!((all.received().len(), charges.received().len()), (3, 1));
        assert_eq!((refunds.received().len(), stranger.received().len()), (0, 0));
    }

    async fn nothing_goes_to_an_endpoint_that_is_disabled_or_deleted(db) {
        let app = TestApp::start(&db).await;
        let (off, gone) = (Receiver::start().await, Receiver::start().await);
        let (disabled, deleted) = (Endpoint::paid(&app, &off.url).await, Endpoint::paid(&app, &gone.url).await);
        let payment = pay(&app).await;
        // Both deliveries wait; no worker runs yet.
        assert_eq!(disabled.update(&app, &[("disabled", "true")]).await["status"], "disabled");
        assert_eq!(app.delete(&deleted.path()).await.expect(200)["deleted"], true);
        let workers = work(&app, WorkerOptions::default());
        pay(&app).await;
        linger().await;
        assert_eq!((off.received().len(), gone.received().len()), (0, 0));

        let resend = format!("/v2/events/{}/resend", event_of(&app, &payment).await);
        let refused = app.post(&resend, &[("webhook_endpoint", &disabled.id)]).await;
        refused.expect_error(400, "invalid_request_error", Some("webhook_endpoint_disabled"));
        let refused = app.post(&resend, &[("webhook_endpoint", &deleted.id)]).await;
        assert_eq!(refused.expect_error(400, "invalid_request_error", Some("resource_missing"))["param"], "webhook_endpoint");
        app.get(&format!("{}/deliveries", deleted.path())).await.expect(404);
        app.post(&resend, &[]).await.expect(200);
        linger().await;
        assert_eq!((off.received().len(), gone.received().len()), (0, 0));

        // What waited when it was disabled goes out when it is enabled; what happened meanwhile was not queued.
        disabled.update(&app, &[("disabled", "false")]).await;
        assert_eq!(off.wait_for(1).await[0].json()["data"]["object"]["id"], payment);
        linger().await;
        workers.stop().await;
        assert_eq!((off.received().len(), gone.received().len()), (1, 0));
    }

    /// What the health check and the metrics look at.
    async fn the_backlog_tells_since_when_it_waits(db) {
        let app = TestApp::start(&db).await;
        let told = async |now| {
            app.store.read(move |tx| store::webhooks::backlog(tx, now)).await.expect("read")
        };
        let now = app.engine.now();
        assert_eq!(told(now).await, (0, 0, None));
        let receiver = Receiver::start().await;
        Endpoint::paid(&app, &receiver.url).await;
        for _ in 0..3 {
            pay(&app).await;
        }
        let due = figure(&app, "SELECT MIN(due_at) FROM deliveries").await.map(Timestamp);
        let later = now.plus(3_600_000_000);
        assert_eq!(told(later).await, (3, 3, due));
        assert_eq!(told(now.plus(-1)).await, (3, 0, due));
        let workers = work(&app, WorkerOptions::default());
        receiver.wait_for(3).await;
        until("all are sent", async || (told(later).await == (0, 0, None)).then_some(())).await;
        workers.stop().await;
    }
}
