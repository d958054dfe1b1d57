//! Clients that mean no good, in the size in which they hurt: guessed secrets, slow sockets, a storm of one
//! key. Each prints what it measured and a verdict; all are bounded in time and number, and on loopback.

mod place;
mod secrets;
mod slow;
mod storm;

use crate::bench::figures::{Hundredths, Millis, ratio};
use crate::bench::goals::Goal;
use crate::bench::load::{Seen, Target, closed};
use crate::db::Kind;
use anyhow::{Result, ensure};
use std::time::Duration;

pub use secrets::run as secrets;
pub use slow::run as slow;
pub use storm::run as storm;

/// Connections of the customers who mean well.
const CUSTOMERS: usize = 4;

fn engine_name(kind: Kind) -> &'static str {
    if kind == Kind::Sqlite { "SQLite" } else { "PostgreSQL" }
}

/// Prints the goals; whether all are met.
fn verdict(goals: &[Goal]) -> bool {
    for goal in goals {
        println!("{}", goal.line());
    }
    goals.iter().all(|goal| goal.met)
}

/// What honest customers saw.
struct Served {
    /// The slower 99th percentile of their requests, in microseconds.
    p99: u64,
    requests: u64,
}

/// Payments of honest customers for a while.
async fn customers(target: &Target, time: Duration, when: &str) -> Result<Served> {
    let seen: Seen = closed(target, CUSTOMERS, time).await;
    ensure!(seen.errors == 0, "{} payments failed {when}: {:?}", seen.errors, seen.first_error);
    let p99 = u64::from(seen.p99());
    println!("  {when:<8}{:>7} payments, p99 {}", seen.payments, Millis(p99));
    Ok(Served { p99, requests: seen.payments * 2 })
}

/// The goal for latencies before and during an attack.
fn latency_goal(before: &Served, during: &Served, what: &str) -> Goal {
    let share = ratio(during.p99, before.p99);
    Goal::below(
        &format!("p99 of others during {what} against before"),
        Hundredths(share).to_string(),
        share,
        200,
        "2.00",
    )
}
