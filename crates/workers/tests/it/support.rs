//! What these tests share: endpoints, workers, the delivery log, and a hand on the clock.

use serde_json::Value;
use std::future::Future;
use std::time::{Duration, Instant};
use store::{StoreError, Tx, Wake};
use testkit::TestApp;
use workers::{WorkerOptions, Workers};

/// For what should take milliseconds: long enough for a loaded machine, short enough to see a hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// An endpoint as its merchant knows it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub id: String,
    pub secret: String,
}

impl Endpoint {
    /// Registers `url` for `events`.
    pub async fn create(app: &TestApp, url: &str, events: &str) -> Endpoint {
        let made = app
            .post("/v2/webhook_endpoints", &[("url", url), ("enabled_events[]", events)])
            .await
            .expect(201);
        Endpoint { id: text(&made, "id"), secret: text(&made, "secret") }
    }

    /// Registers `url` for successful payments: one event each.
    pub async fn paid(app: &TestApp, url: &str) -> Endpoint {
        Endpoint::create(app, url, "payment_intent.succeeded").await
    }

    pub fn path(&self) -> String {
        format!("/v2/webhook_endpoints/{}", self.id)
    }

    pub async fn read(&self, app: &TestApp) -> Value {
        app.get(&self.path()).await.expect(200)
    }

    pub async fn update(&self, app: &TestApp, form: &[(&str, &str)]) -> Value {
        app.post(&self.path(), form).await.expect(200)
    }

    /// Its deliveries, newest first.
    pub async fn deliveries(&self, app: &TestApp) -> Vec<Value> {
        let listed = app.get(&format!("{}/deliveries?limit=100", self.path())).await.expect(200);
        listed["data"].as_array().expect("a list").clone()
    }

    /// Waits until the newest delivery has had `count` attempts.
    pub async fn attempted(&self, app: &TestApp, count: u64) -> Value {
        let what = format!("attempt {count} to {}", self.id);
        until(&what, || async {
            let newest = self.deliveries(app).await.into_iter().next()?;
            (newest["attempt_count"].as_u64() >= Some(count)).then_some(newest)
        })
        .await
    }
}

pub fn text(object: &Value, name: &str) -> String {
    object[name].as_str().unwrap_or_else(|| panic!("no {name} in {object}")).to_owned()
}

/// Starts the workers of `app`.
pub fn work(app: &TestApp, options: WorkerOptions) -> Workers {
    Workers::start(
        app.engine.clone(),
        outbound::Client::new(),
        testkit::event_renderer(app.urls.clone()),
        options,
    )
}

/// Makes one `payment_intent.succeeded` happen; its payment's id.
pub async fn pay(app: &TestApp) -> String {
    text(&app.pay(4_200, "pm_card_visa", &[]).await.expect(201), "id")
}

/// The event that tells of the success of `payment`.
pub async fn event_of(app: &TestApp, payment: &str) -> String {
    let events = app.get("/v2/events?limit=100").await.expect(200);
    let of_payment =
        |e: &&Value| e["type"] == "payment_intent.succeeded" && e["data"]["object"]["id"] == payment;
    let event = events["data"].as_array().expect("a list").iter().find(of_payment);
    text(event.expect("the payment has its event"), "id")
}

/// Asks again until there is an answer.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Time for what must not happen to happen. A loaded machine makes such a test pass too easily, never
/// fail wrongly.
pub async fn linger() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}

/// Runs a statement that changes rows, and wakes the workers.
pub async fn sql(app: &TestApp, statement: &str) {
    let statement = statement.to_owned();
    let change = move |tx: &mut Tx<'_>| {
        tx.wake(Wake::Deliveries);
        tx.execute(&statement, &[])
    };
    app.store.write::<_, StoreError, _>(change).await.expect("the statement runs");
}

/// A figure of the database.
pub async fn figure(app: &TestApp, query: &str) -> Option<i64> {
    let query = query.to_owned();
    let read = move |tx: &mut Tx<'_>| tx.one(&query, &[], |row| row.next());
    app.store.read::<_, StoreError, _>(read).await.expect("the query runs")
}

/// Makes every waiting retry due, as though its time had come.
pub async fn make_due(app: &TestApp) {
    sql(app, "UPDATE deliveries SET due_at = 0 WHERE status = 'pending' AND claimed_until = 0").await;
}
