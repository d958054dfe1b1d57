//! Load over real sockets: closed (so many clients, each waiting for its answers) and open (so many
//! payments a second, whether or not earlier ones were answered).

use super::client::{Answer, Connection};
use super::figures::Latencies;
use super::pattern;
use anyhow::{Context, Result};
use domain::id::Core;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Payments under way at once in an open loop; one more is an error of its own.
const UNDER_WAY_MAX: usize = 4_000;

/// What a loop saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Payments that succeeded.
    pub payments: u64,
    pub create: Latencies,
    pub confirm: Latencies,
    pub errors: u64,
    pub first_error: Option<String>,
    /// From the first request to the last answer.
    pub elapsed: Duration,
}

impl Seen {
    fn error(&mut self, error: &anyhow::Error) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| format!("{error:#}"));
    }

    /// The slower 99th percentile of the two requests, in microseconds.
    pub fn p99(&self) -> u32 {
        self.create.at(990).max(self.confirm.at(990))
    }
}

/// Whom to load.
#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    pub key: String,
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A payment is two requests. `started`: the instant from which the first one's latency counts.
async fn pay(connection: &mut Connection, started: Instant) -> Result<(Duration, Duration)> {
    let name = random_name();
    let answer =
        connection.send(pattern::CREATE, &pattern::create_key(&name), Some(pattern::CREATE_FORM)).await?;
    let created = check(&answer, 201, "requires_payment_method")?;
    let path = pattern::confirm(text_after(answer.body, "\"id\":\"").context("a payment without an id")?);
    let answered = Instant::now();
    anyhow::ensure!(created, "an unexpected answer to a creation: {}", answer.body);
    let answer = connection.send(&path, &pattern::confirm_key(&name), Some(pattern::CONFIRM_FORM)).await?;
    let confirmed = check(&answer, 200, "succeeded")?;
    let took = answered.elapsed();
    anyhow::ensure!(confirmed, "an unexpected answer to a confirmation: {}", answer.body);
    Ok((answered - started, took))
}

/// Whether the answer has this status and shows a payment in this state.
fn check(answer: &Answer<'_>, status: u16, state: &str) -> Result<bool> {
    anyhow::ensure!(answer.status == status, "{} instead of {status}: {}", answer.status, answer.body);
    Ok(answer.body.contains(&format!("\"status\":\"{state}\"")))
}

fn text_after<'a>(body: &'a str, mark: &str) -> Option<&'a str> {
    let (_, rest) = body.split_once(mark)?;
    rest.split_once('"').map(|(text, _)| text)
}

/// A text of an id's width, different every time.
pub(super) fn random_name() -> String {
    let random = engine::ids::secret_bytes();
    let [a, b, c, d, e, f, ..] = random;
    let millis = u64::try_from(engine::wall_clock().0 / 1_000).unwrap_or(0);
    Core::new(millis, [a, b, c, d, e, f]).base62()
}

/// `clients` connections that make one payment after the other for `time`.
pub async fn closed(target: &Target, clients: usize, time: Duration) -> Seen {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let start = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let (seen, mut connection) = (seen.clone(), Connection::new(target.address, &target.key));
            tokio::spawn(async move {
                while start.elapsed() < time {
                    let paid = pay(&mut connection, Instant::now()).await;
                    let failed = paid.is_err();
                    record(&seen, paid);
                    if failed {
                        // A gateway that refuses everything must not be asked in a tight loop.
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        if let Err(e) = task.await {
            lock(&seen).error(&e.into());
        }
    }
    finish(&seen, start)
}

fn record(seen: &Mutex<Seen>, paid: Result<(Duration, Duration)>) {
    let mut seen = lock(seen);
    match paid {
        Err(e) => seen.error(&e),
        Ok((create, confirm)) => {
            seen.payments += 1;
            seen.create.add(create);
            seen.confirm.add(confirm);
        }
    }
}

fn finish(seen: &Mutex<Seen>, start: Instant) -> Seen {
    let mut seen = std::mem::take(&mut *lock(seen));
    seen.elapsed = start.elapsed();
    seen.create.sort();
    seen.confirm.sort();
    seen
}

/// `rate` payments a second for `time`, one at each instant of a fixed schedule. A creation's latency
/// counts from the instant at which it was due, so that a gateway which stalls cannot hide it by
/// holding up the requests behind; a confirmation's from the creation's answer.
pub async fn open(target: &Target, rate: u64, time: Duration) -> Seen {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let idle: Arc<Mutex<Vec<Connection>>> = Arc::default();
    let places = Arc::new(tokio::sync::Semaphore::new(UNDER_WAY_MAX));
    let start = Instant::now() + Duration::from_millis(10);
    let count = u64::try_from(u128::from(rate) * time.as_micros() / 1_000_000).unwrap_or(u64::MAX);
    for n in 0..count {
        let due = start + Duration::from_micros(n * 1_000_000 / rate.max(1));
        tokio::time::sleep_until(due).await;
        let Ok(place) = places.clone().try_acquire_owned() else {
            lock(&seen).error(&anyhow::anyhow!("{UNDER_WAY_MAX} payments are under way"));
            continue;
        };
        let (seen, idle, target) = (seen.clone(), idle.clone(), target.clone());
        tokio::spawn(async move {
            let pooled = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut connection = pooled.unwrap_or_else(|| Connection::new(target.address, &target.key));
            record(&seen, pay(&mut connection, due).await);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            drop(place);
        });
    }
    // Every request has a deadline of its own, so this ends.
    let _ = places.acquire_many(u32::try_from(UNDER_WAY_MAX).unwrap_or(u32::MAX)).await;
    finish(&seen, start)
}
