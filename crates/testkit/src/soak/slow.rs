//! Sockets that send a byte a second, in the head or in the body of a request, while customers pay.

use super::place::{Place, raise_file_limit};
use super::{customers, engine_name, latency_goal, verdict};
use crate::bench::figures::Mebibytes;
use crate::bench::goals::Goal;
use crate::bench::load::Target;
use crate::db::Kind;
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Handles that the gateway and this program need besides the slow sockets.
const OTHER_HANDLES: usize = 200;
/// Heads and bodies have ten seconds.
const CUT_AFTER_MS: u64 = 10_000;
/// For a machine that is busy with everything else.
const CUT_SLACK_MS: u64 = 3_000;
/// A socket that lives for longer is given up, and counts as one that was not cut.
const LIFE_MAX: Duration = Duration::from_secs(30);

/// What slow sockets lived through.
#[derive(Default)]
struct Lives {
    stop: AtomicBool,
    cut: AtomicU64,
    longest_ms: AtomicU64,
    open: AtomicU64,
    failed: AtomicU64,
}

/// Keeps `sockets` slow sockets open for `time`. Whether others were served and all were cut.
///
/// # Errors
/// When the gateway cannot be started, or refuses a customer.
pub async fn run(kind: Kind, sockets: usize, time: Duration) -> Result<bool> {
    let limit = raise_file_limit();
    let room = limit.saturating_sub(OTHER_HANDLES);
    let sockets = if sockets > room {
        println!("  only {limit} files may be open (ulimit -n), so {room} sockets instead of {sockets}");
        room
    } else {
        sockets
    };
    println!("slow on {}: {sockets} sockets, half in the head and half in the body", engine_name(kind));
    let place = Place::start(kind, "warn").await?;
    let target = place.target();
    // The first payments of all open accounts and warm caches.
    customers(&target, time / 4, "warm").await?;
    let before = customers(&target, time, "before").await?;
    let memory_before = place.gateway.resident()?;
    let lives = Arc::new(Lives::default());
    let tasks: Vec<_> = (0..sockets).map(|n| tokio::spawn(one(target.clone(), n, lives.clone()))).collect();
    let begun = Instant::now();
    while lives.open.load(Ordering::Relaxed) < sockets as u64 && begun.elapsed() < time {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let reached = lives.open.load(Ordering::Relaxed);
    let during = customers(&target, time, "during").await?;
    let memory = place.gateway.resident()?.saturating_sub(memory_before);
    lives.stop.store(true, Ordering::Relaxed);
    for task in tasks {
        let _ = task.await;
    }
    let (cut, longest) = (lives.cut.load(Ordering::Relaxed), lives.longest_ms.load(Ordering::Relaxed));
    println!(
        "  {reached} open at once, {cut} cut, {} could not connect, {} more memory for them",
        lives.failed.load(Ordering::Relaxed),
        Mebibytes(memory)
    );
    let goals = [
        latency_goal(&before, &during, "slow sockets"),
        Goal::below(
            "longest life of a slow socket",
            format!("{longest} ms"),
            longest,
            CUT_AFTER_MS + CUT_SLACK_MS,
            "13 s",
        ),
        Goal::at_least(
            "slow sockets that were cut",
            cut.to_string(),
            cut,
            sockets as u64,
            &sockets.to_string(),
        ),
    ];
    place.end().await?;
    Ok(verdict(&goals))
}

/// One slow socket after the other; the last one is seen to its end.
async fn one(target: Target, n: usize, lives: Arc<Lives>) {
    let head = "POST /v2/customers HTTP/1.1\r\nHost: soak\r\n".to_owned();
    let start = match n % 2 {
        0 => head,
        _ => format!(
            "{head}Authorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{{",
            target.key
        ),
    };
    // Not all at the same moment: a listener's queue is short.
    tokio::time::sleep(Duration::from_micros(500 * n as u64)).await;
    while !lives.stop.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect(target.address).await else {
            lives.failed.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        };
        lives.open.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        let cut = tokio::time::timeout(LIFE_MAX, drip(&mut stream, start.as_bytes())).await.is_ok();
        let lived = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        lives.longest_ms.fetch_max(lived, Ordering::Relaxed);
        lives.cut.fetch_add(u64::from(cut), Ordering::Relaxed);
        lives.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sends the start and then a byte a second until the other side ends it.
async fn drip(stream: &mut TcpStream, start: &[u8]) {
    if stream.write_all(start).await.is_err() {
        return;
    }
    let mut said = [0; 1_024];
    loop {
        tokio::select! {
            read = stream.read(&mut said) => {
                // What it says before it closes changes nothing.
                if !matches!(read, Ok(n) if n > 0) {
                    return;
                }
            }
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                if stream.write_all(b"a").await.is_err() {
                    return;
                }
            }
        }
    }
}
