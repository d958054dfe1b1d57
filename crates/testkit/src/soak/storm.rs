//! One key that asks as fast as the machine can, far above its limit, while another merchant's customers pay.

use super::place::Place;
use super::{customers, engine_name, verdict};
use crate::bench::client::Connection;
use crate::bench::figures::{Hundredths, Mebibytes, rate, ratio};
use crate::bench::goals::Goal;
use crate::db::Kind;
use anyhow::Result;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 32;
/// The sandbox tier's requests of a minute; the storm may touch three minutes.
const ALLOWED_MAX: u64 = 300;
/// More resident memory than this after the storm is no noise.
const GROWTH_MAX_KIB: u64 = 24 * 1_024;
/// Lines beyond one for each request.
const OTHER_LINES: u64 = 200;
const LINE_BYTES_MAX: u64 = 400;

#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    refused: AtomicU64,
    allowed: AtomicU64,
    other: AtomicU64,
}

/// Storms for `time`. Whether the other merchant was served, and memory and log stayed bounded.
///
/// # Errors
/// When the gateway cannot be started, or refuses a customer.
pub async fn run(kind: Kind, time: Duration) -> Result<bool> {
    println!("storm on {}: {CONNECTIONS} connections of one key", engine_name(kind));
    // As operators run it: one line for each request.
    let place = Place::start(kind, "info").await?;
    let (target, key) = (place.target(), place.new_key("Storm")?);
    customers(&target, time / 4, "warm").await?;
    let before = customers(&target, time, "before").await?;
    // Whatever a first storm allocates once is not growth.
    let _ = storm(place.gateway.api, &key, time / 4).await;
    let (memory_before, log_before) = (place.gateway.resident()?, log_size(&place)?);
    let begun = Instant::now();
    let (seen, during) =
        tokio::join!(storm(place.gateway.api, &key, time), customers(&target, time, "during"));
    let (during, elapsed) = (during?, begun.elapsed());
    let growth = place.gateway.resident()?.saturating_sub(memory_before);
    let log_after = log_size(&place)?;
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (refused, allowed, other) = (count(&seen.refused), count(&seen.allowed), count(&seen.other));
    println!(
        "  {refused} times 429 ({} a second), {allowed} times 200, {other} others; memory {} more",
        rate(refused, elapsed),
        Mebibytes(growth)
    );
    let lines = log_after.0.saturating_sub(log_before.0);
    let per_line = log_after.1.saturating_sub(log_before.1) / lines.max(1);
    let requests = refused + allowed + other + during.requests;
    println!("  {lines} lines of log, {per_line} bytes each, for {requests} requests");
    // No goal: the storm itself runs on the cores that it is measured on.
    let share = Hundredths(ratio(during.p99, before.p99));
    println!("  p99 of others during the storm against before: {share}");
    let goals = [
        Goal::below("growth of memory", Mebibytes(growth).to_string(), growth, GROWTH_MAX_KIB, "24.0 MiB"),
        Goal::below("bytes of a log line", per_line.to_string(), per_line, LINE_BYTES_MAX, "400"),
        Goal::below("log lines", lines.to_string(), lines, requests + OTHER_LINES, "one for each request"),
        Goal::below(
            "requests let through above the limit",
            allowed.to_string(),
            allowed,
            ALLOWED_MAX + 1,
            "301",
        ),
        Goal::below("answers that are neither", other.to_string(), other, 1, "1"),
    ];
    place.end().await?;
    Ok(verdict(&goals))
}

/// Lines and bytes of the gateway's log.
fn log_size(place: &Place) -> Result<(u64, u64)> {
    let log = std::fs::read(place.log_path())?;
    let lines = log.iter().filter(|byte| **byte == b'\n').count();
    Ok((lines as u64, log.len() as u64))
}

async fn storm(api: SocketAddr, key: &str, time: Duration) -> Arc<Seen> {
    let seen = Arc::new(Seen::default());
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (seen, mut connection) = (seen.clone(), Connection::new(api, key));
            tokio::spawn(async move {
                while !seen.stop.load(Ordering::Relaxed) {
                    let counter = match connection.send("/v2/balance", "", None).await.map(|a| a.status) {
                        Ok(429) => &seen.refused,
                        Ok(200) => &seen.allowed,
                        Ok(_) | Err(_) => &seen.other,
                    };
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    tokio::time::sleep(time).await;
    seen.stop.store(true, Ordering::Relaxed);
    for task in tasks {
        let _ = task.await;
    }
    seen
}
