//! Deliveries end to end: the engine's outbox, the workers, and a receiver on a socket.

mod support;

use domain::webhook::DeliveryStatus;
use std::sync::Arc;
use std::time::Duration;
use support::{Bench, OK, Receiver, within};
use workers::{WorkerOptions, sign};

const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn an_event_arrives_once_and_signed() {
    let bench = Bench::new().await;
    let receiver = Receiver::start(Arc::new(|_, _| Some((Duration::ZERO, OK)))).await;
    let scope = bench.merchant().await;
    let (endpoint, secret) = bench.endpoint(scope, format!("{}/hook", receiver.base)).await;
    let workers = bench.work(WorkerOptions::default());
    bench.event(scope).await;
    within(SOON, "the delivery is recorded", || async {
        bench.deliveries(scope, endpoint).await.iter().all(|(d, _)| d.status == DeliveryStatus::Succeeded)
    })
    .await;
    workers.stop().await;

    let deliveries = bench.deliveries(scope, endpoint).await;
    let [(delivery, log)] = &deliveries[..] else { panic!("{deliveries:?}") };
    assert_eq!(log, &["200 ok"]);
    let received = receiver.received("/hook");
    let [request] = &received[..] else { panic!("{received:?}") };
    let (event, id) = (delivery.event.to_string(), delivery.id.to_string());
    assert_eq!(request.body, format!("{{\"id\":\"{event}\"}}").into_bytes());
    let timestamp: i64 = request.headers["webhook-timestamp"].parse().expect("seconds");
    assert!((bench.engine.now().secs() - timestamp).abs() <= 30, "{timestamp}");
    let message = sign::Message { event: &event, delivery: &id, attempt: 1, timestamp, body: &request.body };
    for (name, value) in sign::headers(&message, &[secret]) {
        assert_eq!(request.headers.get(&name), Some(&value), "{name}");
    }
}

#[tokio::test]
async fn a_failed_delivery_is_sent_again_with_the_same_id_and_bytes() {
    let bench = Bench::new().await;
    let receiver = Receiver::start(Arc::new(|_, n| {
        Some((Duration::ZERO, if n == 0 { "HTTP/1.1 500 No\r\ncontent-length: 4\r\n\r\nno\0!" } else { OK }))
    }))
    .await;
    let scope = bench.merchant().await;
    let (endpoint, _) = bench.endpoint(scope, format!("{}/hook", receiver.base)).await;
    let workers = bench.work(WorkerOptions::default());
    bench.event(scope).await;
    within(SOON, "the first attempt is recorded", || async {
        bench.deliveries(scope, endpoint).await.iter().all(|(d, _)| d.attempts == 1)
    })
    .await;
    let (delivery, log) = bench.deliveries(scope, endpoint).await.remove(0);
    assert_eq!((delivery.status, &log[..]), (DeliveryStatus::Pending, &["500 no\u{fffd}!".to_owned()][..]));
    let wait = delivery.due_at.0 - bench.engine.now().0;
    assert!((3_000_000..=5_500_000).contains(&wait), "the next attempt is due in {wait} µs");

    // Due now, and after the last bell: the workers must look by themselves.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (id, now) = (delivery.id, bench.engine.now());
    let moved = bench
        .engine
        .store
        .write(move |tx| store::webhooks::settle_delivery(tx, id, DeliveryStatus::Pending, 1, now));
    moved.await.expect("moved");
    within(SOON, "the second attempt succeeds", || async {
        bench.deliveries(scope, endpoint).await.iter().all(|(d, _)| d.status == DeliveryStatus::Succeeded)
    })
    .await;
    workers.stop().await;
    let received = receiver.received("/hook");
    let [first, second] = &received[..] else { panic!("{received:?}") };
    assert_eq!(first.body, second.body);
    assert_eq!(first.headers["webhook-id"], second.headers["webhook-id"]);
    assert_eq!(first.headers["pg-delivery-id"], second.headers["pg-delivery-id"]);
    assert_eq!((&*first.headers["pg-delivery-attempt"], &*second.headers["pg-delivery-attempt"]), ("1", "2"));
}

/// 20 hanging endpoints with a backlog want 80 slots of 64; the 20 healthy ones beside them must be
/// served long before the first of those is given up.
#[tokio::test]
async fn hanging_endpoints_do_not_hold_up_healthy_ones() {
    const EVENTS: usize = 6;
    let bench = Bench::new().await;
    let receiver =
        Receiver::start(Arc::new(|path, _| (path != "/hang").then_some((Duration::ZERO, OK)))).await;
    let mut scopes = Vec::new();
    for path in ["/hang", "/hang", "/ok", "/ok"] {
        let scope = bench.merchant().await;
        for _ in 0..10 {
            bench.endpoint(scope, format!("{}{path}", receiver.base)).await;
        }
        scopes.push(scope);
    }
    for _ in 0..EVENTS {
        for scope in &scopes {
            bench.event(*scope).await;
        }
    }
    let options = WorkerOptions {
        delivery_concurrency: 64,
        delivery_timeout: Duration::from_secs(30),
        ..Default::default()
    };
    let workers = bench.work(options);
    within(SOON, "all healthy endpoints are served", || async {
        receiver.received("/ok").len() == 20 * EVENTS
    })
    .await;
    let hanging = receiver.received("/hang").len();
    assert!((20..=52).contains(&hanging), "one each, and at most half of the slots on top: {hanging}");
    drop(workers);
}

#[tokio::test]
async fn stop_finishes_what_is_under_way_and_claims_no_more() {
    let bench = Bench::new().await;
    let receiver = Receiver::start(Arc::new(|_, _| Some((Duration::from_millis(400), OK)))).await;
    let scope = bench.merchant().await;
    let (endpoint, _) = bench.endpoint(scope, format!("{}/hook", receiver.base)).await;
    let workers = bench.work(WorkerOptions::default());
    bench.event(scope).await;
    within(SOON, "the request is under way", || async { receiver.received("/hook").len() == 1 }).await;
    let stopping = tokio::spawn(workers.stop());
    tokio::time::sleep(Duration::from_millis(100)).await;
    bench.event(scope).await;
    stopping.await.expect("stopped");
    let mut logs: Vec<_> =
        bench.deliveries(scope, endpoint).await.into_iter().map(|(d, log)| (d.created_at, log)).collect();
    logs.sort();
    let logs: Vec<Vec<String>> = logs.into_iter().map(|(_, log)| log).collect();
    assert_eq!(logs, [vec!["200 ok".to_owned()], vec![]], "the first is finished, the second left alone");
    assert_eq!(receiver.received("/hook").len(), 1);
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_disabled_and_left_alone() {
    let bench = Bench::new().await;
    let receiver = Receiver::start(Arc::new(|_, _| {
        Some((Duration::ZERO, "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n"))
    }))
    .await;
    let scope = bench.merchant().await;
    let (endpoint, _) = bench.endpoint(scope, format!("{}/hook", receiver.base)).await;
    bench.event(scope).await;
    let workers = bench.work(WorkerOptions::default());
    within(SOON, "the endpoint is disabled", || async {
        let shown = bench.engine.view(scope, move |views| views.endpoint(endpoint)).await.expect("shown");
        shown.is_some_and(|e| e.disabled_reason.is_some())
    })
    .await;
    bench.event(scope).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    workers.stop().await;
    assert_eq!(receiver.received("/hook").len(), 1);
}
