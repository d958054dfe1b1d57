//! When a failed delivery is sent again, and when an endpoint is given up.

use crate::raw_receiver::{Manner, RawReceiver};
use crate::signature::matches;
use crate::support::{Endpoint, figure, linger, make_due, pay, sql, text, until, work};
use serde_json::Value;
use std::ops::RangeInclusive;
use testkit::{Receiver, TestApp};
use workers::WorkerOptions;

const HOUR_US: i64 = 3_600 * 1_000_000;
/// Between the end of an attempt and the moment its end is recorded, from which the wait is counted.
const SLACK_US: i64 = 2_000_000;

/// Checks that the last attempt of `delivery` is followed by the next one after `seconds`.
async fn assert_wait(app: &TestApp, delivery: &Value, what: &str, tenths: &RangeInclusive<i64>) {
    // The API tells whole seconds; the rule is about parts of them.
    let attempt = "FROM delivery_attempts a JOIN deliveries d ON a.delivery = d.id JOIN webhook_endpoints e \
        ON e.id = d.endpoint WHERE a.n = d.attempts AND e.description =";
    let due = figure(app, &format!("SELECT d.due_at {attempt} '{what}'")).await.expect("a time");
    let ended = figure(app, &format!("SELECT a.started_at + a.duration_us {attempt} '{what}'"))
        .await
        .expect("a time");
    let (wait, low, high) = (due - ended, tenths.start() * 100_000, tenths.end() * 100_000);
    assert!((low..=high + SLACK_US).contains(&wait), "{what}: {wait} µs, not {low} to {high}");
    assert_eq!(delivery["next_attempt"].as_i64(), Some(due / 1_000_000), "{what}");
}

testkit::on_both_engines! {
    /// Ten waits of the documented schedule, each within 10 %, then no more.
    async fn the_whole_schedule_with_the_same_bytes(db) {
        const SECONDS: [i64; 10] = [5, 30, 120, 600, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400];
        let app = TestApp::start(&db).await;
        let receiver = Receiver::start().await;
        receiver.answer_with(&[500; 20]);
        let endpoint = Endpoint::paid(&app, &receiver.url).await;
        endpoint.update(&app, &[("description", "it")]).await;
        let workers = work(&app, WorkerOptions::default());
        pay(&app).await;
        for (n, seconds) in (1..).zip(SECONDS) {
            let delivery = endpoint.attempted(&app, n).await;
            assert_eq!(delivery["status"], "pending", "after attempt {n}");
            assert_wait(&app, &delivery, "it", &(seconds * 9..=seconds * 11)).await;
            make_due(&app).await;
        }
        let last = endpoint.attempted(&app, 11).await;
        assert_eq!((&last["status"], &last["next_attempt"]), (&"failed".into(), &Value::Null));
        make_due(&app).await;
        linger().await;
        assert_eq!(receiver.received().len(), 11, "an event that was given up is sent");
        // Asked for once more, it has the whole schedule before it again.
        app.post(&format!("/v2/events/{}/resend", text(&last, "event")), &[]).await.expect(200);
        let again = endpoint.attempted(&app, 12).await;
        assert_eq!(again["status"], "pending");
        assert_wait(&app, &again, "it", &(45..=55)).await;
        workers.stop().await;

        let received = receiver.received();
        assert_eq!(received.len(), 12);
        for (n, request) in (1..).zip(&received) {
            assert_eq!(request.body, received[0].body, "attempt {n}");
            assert_eq!(request.header("webhook-id"), received[0].header("webhook-id"), "attempt {n}");
            assert_eq!(request.header("pg-delivery-id"), received[0].header("pg-delivery-id"), "attempt {n}");
            assert_eq!(request.header("pg-delivery-attempt"), n.to_string());
            assert_eq!(matches(request, &endpoint.secret), [true], "attempt {n}");
        }
        let log = last["attempts"].as_array().expect("the log");
        let numbers: Vec<Option<i64>> = log.iter().map(|a| a["attempt"].as_i64()).collect();
        assert_eq!(numbers, (1..=11).map(Some).collect::<Vec<_>>());
    }

    /// One event to as many endpoints as there are answers, and the wait after each.
    async fn waits_after_each_kind_of_failure(db) {
        const FIRST: RangeInclusive<i64> = 45..=55;
        let app = TestApp::start(&db).await;
        let trap = RawReceiver::start(Manner::answers("200 OK", "")).await;
        let elsewhere = format!("location: {}\r\n", trap.url);
        let date = "retry-after: Fri, 31 Dec 9999 23:59:59 GMT\r\n";
        let cases = [
            ("500", "500 No", "", FIRST),
            ("404", "404 No", "", FIRST),
            ("500 with Retry-After", "500 No", "retry-after: 90\r\n", FIRST),
            ("301", "301 Moved", &*elsewhere, FIRST),
            ("302", "302 Found", &elsewhere, FIRST),
            ("308", "308 Moved", &elsewhere, FIRST),
            ("503", "503 No", "", FIRST),
            ("503 sooner than planned", "503 No", "retry-after: 1\r\n", FIRST),
            ("503 later", "503 No", "retry-after: 120\r\n", 1_200..=1_200),
            ("503 in ages", "503 No", "retry-after: 1000000000000\r\n", 864_000..=864_000),
            ("503 at the end of time", "503 No", date, 864_000..=864_000),
            ("503 before now", "503 No", "retry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n", FIRST),
            ("503 with garbage", "503 No", "retry-after: -1\r\n", FIRST),
            ("429", "429 No", "", 600..=600),
            ("429 later", "429 No", "retry-after: 90\r\n", 900..=900),
            ("429 sooner than a minute", "429 No", "retry-after: 7\r\n", 600..=600),
        ];
        let mut endpoints = Vec::new();
        for (what, status, headers, _) in &cases {
            let receiver = RawReceiver::start(Manner::answers(status, headers)).await;
            let endpoint = Endpoint::paid(&app, &receiver.url).await;
            endpoint.update(&app, &[("description", what)]).await;
            endpoints.push((endpoint, receiver));
        }
        let workers = work(&app, WorkerOptions::default());
        pay(&app).await;
        for ((what, status, _, wait), (endpoint, _)) in cases.iter().zip(&endpoints) {
            let delivery = endpoint.attempted(&app, 1).await;
            assert_eq!(delivery["status"], "pending", "{what}");
            assert_eq!(delivery["attempts"][0]["http_status"], status[..3].parse::<i64>().expect("digits"), "{what}");
            assert_wait(&app, &delivery, what, wait).await;
        }
        workers.stop().await;
        assert_eq!(trap.requests(), 0, "a redirect was followed");
        assert!(endpoints.iter().all(|(_, receiver)| receiver.requests() == 1));
    }

    async fn gone_disables_at_once(db) {
        let app = TestApp::start(&db).await;
        let receiver = Receiver::start().await;
        receiver.answer_with(&[410; 5]);
        let endpoint = Endpoint::paid(&app, &receiver.url).await;
        let workers = work(&app, WorkerOptions::default());
        pay(&app).await;
        endpoint.attempted(&app, 1).await;
        let told = endpoint.read(&app).await;
        assert_eq!(told["status"], "disabled");
        assert!(text(&told, "disabled_reason").contains("410"), "{told}");
        pay(&app).await;
        make_due(&app).await;
        linger().await;
        workers.stop().await;
        assert_eq!(receiver.received().len(), 1);
        let enabled = endpoint.update(&app, &[("disabled", "false")]).await;
        assert_eq!((&enabled["status"], &enabled["disabled_reason"]), (&"enabled".into(), &Value::Null));
    }

    async fn three_days_of_failure_disable_and_a_success_forgives(db) {
        let app = TestApp::start(&db).await;
        let receiver = Receiver::start().await;
        receiver.answer_with(&[500, 500, 200, 500, 500]);
        let endpoint = Endpoint::paid(&app, &receiver.url).await;
        let workers = work(&app, WorkerOptions::default());
        let failing_for = async |hours: i64| {
            let since = app.engine.now().0 - hours * HOUR_US;
            sql(&app, &format!("UPDATE webhook_endpoints SET failing_since = {since}")).await;
            make_due(&app).await;
        };
        let failing_since = || figure(&app, "SELECT failing_since FROM webhook_endpoints");
        pay(&app).await;
        endpoint.attempted(&app, 1).await;
        let began = failing_since().await.expect("the first failure is noted");
        assert!((0..60_000_000).contains(&(app.engine.now().0 - began)), "{began}");

        failing_for(71).await;
        endpoint.attempted(&app, 2).await;
        assert_eq!(endpoint.read(&app).await["status"], "enabled", "before 72 hours");
        failing_for(80).await;
        assert_eq!(endpoint.attempted(&app, 3).await["status"], "succeeded");
        assert_eq!(failing_since().await, None, "a success forgives");

        pay(&app).await;
        endpoint.attempted(&app, 1).await;
        assert_eq!(endpoint.read(&app).await["status"], "enabled", "a single failure after a success");
        failing_for(72).await;
        endpoint.attempted(&app, 2).await;
        let told = until("the endpoint is disabled", || async {
            Some(endpoint.read(&app).await).filter(|e| e["status"] == "disabled")
        }).await;
        assert!(text(&told, "disabled_reason").contains("72 hours"), "{told}");
        make_due(&app).await;
        linger().await;
        workers.stop().await;
        assert_eq!(receiver.received().len(), 5, "a disabled endpoint was called");
    }

    async fn a_new_address_is_used_from_the_next_attempt_on(db) {
        let app = TestApp::start(&db).await;
        let (old, new) = (Receiver::start().await, Receiver::start().await);
        old.answer_with(&[500; 5]);
        let endpoint = Endpoint::paid(&app, &old.url).await;
        let workers = work(&app, WorkerOptions::default());
        pay(&app).await;
        endpoint.attempted(&app, 1).await;
        endpoint.update(&app, &[("url", &new.url)]).await;
        make_due(&app).await;
        let second = new.wait_for(1).await.remove(0);
        let delivery = endpoint.attempted(&app, 2).await;
        workers.stop().await;
        let first = &old.received()[..];
        assert_eq!(first.len(), 1);
        assert_eq!((&first[0].body, second.header("pg-delivery-attempt")), (&second.body, "2"));
        let urls: Vec<String> = delivery["attempts"].as_array().expect("the log").iter().map(|a| text(a, "url")).collect();
        assert_eq!(urls, [old.url.clone(), new.url.clone()]);
    }
}
