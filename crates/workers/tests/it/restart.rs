//! Nothing is lost when workers stop, die, or are two.

use crate::raw_receiver::{Manner, RawReceiver};
use crate::support::{Endpoint, figure, pay, sql, until, work};
use std::collections::BTreeMap;
use testkit::{AppOptions, Db, Kind, Received, Receiver, TestApp};
use workers::WorkerOptions;

const EVENTS: usize = 40;

/// How often each event arrived.
fn counts(received: &[Received]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in received {
        *counts.entry(request.header("webhook-id").to_owned()).or_default() += 1;
    }
    counts
}

async fn pending(app: &TestApp) -> i64 {
    figure(app, "SELECT COUNT(*) FROM deliveries WHERE status = 'pending'").await.unwrap_or(0)
}

testkit::on_both_engines! {
    async fn stopped_in_the_middle_the_next_start_sends_the_rest_once(db) {
        let app = TestApp::start(&db).await;
        let receiver = Receiver::start().await;
        Endpoint::paid(&app, &receiver.url).await;
        for _ in 0..EVENTS {
            pay(&app).await;
        }
        let one_at_a_time =
            || WorkerOptions { per_endpoint: 1, per_fast_endpoint: 1, ..WorkerOptions::default() };
        let workers = work(&app, one_at_a_time());
        receiver.wait_for(5).await;
        workers.stop().await;
        let before = receiver.received().len();
        assert!((5..EVENTS).contains(&before), "the stop was not in the middle: {before}");
        assert_eq!(pending(&app).await, (EVENTS - before) as i64, "sent and not recorded, or the reverse");

        let workers = work(&app, one_at_a_time());
        receiver.wait_for(EVENTS).await;
        until("all is recorded", || async { (pending(&app).await == 0).then_some(()) }).await;
        workers.stop().await;
        let counts = counts(&receiver.received());
        assert!(counts.len() == EVENTS && counts.values().all(|n| *n == 1), "{counts:?}");
    }

    /// The process dies with requests on their way: their claims end by time, and they are sent again.
    async fn killed_in_the_middle_everything_arrives_at_least_once(db) {
        let app = TestApp::start(&db).await;
        let hole = RawReceiver::start(Manner::Hangs).await;
        let endpoint = Endpoint::paid(&app, &hole.url).await;
        for _ in 0..EVENTS {
            pay(&app).await;
        }
        let doomed = TestApp::with(&db, AppOptions::default()).await;
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let workers = runtime.spawn(async move { work(&doomed, WorkerOptions::default()) });
        let _workers = workers.await.expect("started");
        until("requests are on their way", || async { (hole.requests() >= 4).then_some(()) }).await;
        runtime.shutdown_background();
        let claimed = "SELECT COUNT(*) FROM deliveries WHERE status = 'pending' AND claimed_until > 0";
        assert_eq!(figure(&app, claimed).await, Some(4), "what was on its way is claimed, and no more");

        let receiver = Receiver::start().await;
        endpoint.update(&app, &[("url", &receiver.url)]).await;
        let workers = work(&app, WorkerOptions::default());
        receiver.wait_for(EVENTS - 4).await;
        until("the rest is recorded", || async { (pending(&app).await == 4).then_some(()) }).await;
        assert_eq!(receiver.received().len(), EVENTS - 4, "a claim that still holds was ignored");
        // A minute passes.
        sql(&app, "UPDATE deliveries SET claimed_until = 1 WHERE claimed_until > 0").await;
        receiver.wait_for(EVENTS).await;
        until("all is recorded", || async { (pending(&app).await == 0).then_some(()) }).await;
        workers.stop().await;
        let counts = counts(&receiver.received());
        assert!(counts.len() == EVENTS && counts.values().all(|n| *n == 1), "{counts:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_on_one_database_send_each_delivery_once() {
    let db = Db::new(Kind::Postgres).await;
    let app = TestApp::start(&db).await;
    let second = TestApp::with(&db, AppOptions::default()).await;
    let receivers = [Receiver::start().await, Receiver::start().await, Receiver::start().await];
    for receiver in &receivers {
        Endpoint::paid(&app, &receiver.url).await;
    }
    let workers = [work(&app, WorkerOptions::default()), work(&second, WorkerOptions::default())];
    let mut payers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let app = app.clone();
        payers.spawn(async move {
            for _ in 0..EVENTS / 4 {
                pay(&app).await;
            }
        });
    }
    payers.join_all().await;
    for receiver in &receivers {
        receiver.wait_for(EVENTS).await;
    }
    until("all is recorded", || async { (pending(&app).await == 0).then_some(()) }).await;
    for workers in workers {
        workers.stop().await;
    }
    for receiver in &receivers {
        let counts = counts(&receiver.received());
        assert!(counts.len() == EVENTS && counts.values().all(|n| *n == 1), "{counts:?}");
    }
}
