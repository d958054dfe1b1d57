//! `bench page`: how long a payment page takes at a fixed rate of views, and what it weighs.

use super::client::{Connection, Viewed};
use super::figures::{Latencies, Millis};
use super::gateway::{Gateway, program};
use super::goals::Goal;
use super::payments::Place;
use crate::Kind;
use crate::signer::{Order, PURCHASE};
use anyhow::{Context, Result};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// Pages that are looked at in turn.
const PAGES: usize = 50;
/// Views under way at once; one more is an error of its own.
const UNDER_WAY_MAX: usize = 1_000;
const WARM_UP: Duration = Duration::from_secs(2);

/// What to measure.
#[derive(Clone, Debug)]
pub struct PageOptions {
    pub engines: Vec<Kind>,
    /// Views a second.
    pub rate: u64,
    pub time: Duration,
}

#[derive(Default)]
struct Seen {
    latencies: Latencies,
    errors: u64,
    first_error: Option<String>,
    /// The heaviest view.
    body: usize,
    whole: usize,
    plain: u64,
    under_way: usize,
}

impl Seen {
    fn note(&mut self, viewed: std::io::Result<Viewed>, took: Duration) {
        self.under_way -= 1;
        match viewed {
            Ok(viewed) if viewed.status == 200 => {
                self.latencies.add(took);
                self.body = self.body.max(viewed.body);
                self.whole = self.whole.max(viewed.whole);
                self.plain += u64::from(!viewed.gzip);
            }
            Ok(viewed) => self.error(format!("the page answered {}", viewed.status)),
            Err(e) => self.error(e.to_string()),
        }
    }

    fn error(&mut self, what: String) {
        self.errors += 1;
        self.first_error.get_or_insert(what);
    }
}

/// The paths of pages that wait for their payers.
async fn make_pages(gateway: &Gateway) -> Result<Vec<String>> {
    let mut connection = Connection::new(gateway.api, &gateway.key);
    let mut pages = Vec::new();
    for n in 0..PAGES {
        let order = Order {
            payment_id: &format!("page-{n}"),
            price: "99.00",
            currency: "EUR",
            email: "payer@example.com",
            webhook: None,
        };
        let answer = connection.send_signed(PURCHASE, &gateway.shop.purchase(&order)).await?;
        let json: serde_json::Value =
            serde_json::from_str(answer.body).context("an answer that is not JSON")?;
        let uuid = json["data"]["uuid"].as_str();
        pages.push(format!("/payment/{}", uuid.with_context(|| format!("no uuid in {}", answer.body))?));
    }
    Ok(pages)
}

/// `rate` views a second, each due at an instant of a fixed schedule and timed from it, so that a gateway
/// which stalls cannot hide it by holding up the views behind.
async fn views(gateway: &Gateway, pages: &[String], rate: u64, time: Duration) -> Seen {
    let seen = Rc::new(RefCell::new(Seen::default()));
    let idle: Rc<RefCell<Vec<Connection>>> = Rc::default();
    let count = u64::try_from(u128::from(rate) * time.as_micros() / 1_000_000).unwrap_or(u64::MAX);
    let start = Instant::now() + Duration::from_millis(10);
    let work = tokio::task::LocalSet::new();
    work.run_until(async {
        for (n, page) in (0..count).zip(pages.iter().cycle()) {
            let due = start + Duration::from_micros(n * 1_000_000 / rate.max(1));
            tokio::time::sleep_until(due).await;
            if seen.borrow().under_way >= UNDER_WAY_MAX {
                seen.borrow_mut().error(format!("{UNDER_WAY_MAX} views are under way"));
                continue;
            }
            seen.borrow_mut().under_way += 1;
            let pooled = idle.borrow_mut().pop();
            let mut connection = pooled.unwrap_or_else(|| Connection::new(gateway.public, "none"));
            let (seen, idle, page) = (seen.clone(), idle.clone(), page.clone());
            tokio::task::spawn_local(async move {
                let viewed = connection.view(&page).await;
                seen.borrow_mut().note(viewed, due.elapsed());
                idle.borrow_mut().push(connection);
            });
        }
    })
    .await;
    // Every view has a deadline of its own, so this ends.
    work.await;
    let mut seen = seen.take();
    seen.latencies.sort();
    seen
}

async fn one_engine(kind: Kind, options: &PageOptions) -> Result<u64> {
    println!("{}", if kind == Kind::Sqlite { "SQLite" } else { "PostgreSQL" });
    let place = Place::new(kind).await?;
    let gateway = place.start().await?;
    let pages = make_pages(&gateway).await?;
    views(&gateway, &pages, options.rate, WARM_UP).await;
    let before = gateway.usage()?;
    let seen = views(&gateway, &pages, options.rate, options.time).await;
    let used = gateway.usage()?.since(before);
    let count = options.rate.saturating_mul(options.time.as_secs()).max(1);
    println!(
        "  views        {} a second for {} s, {} errors",
        options.rate,
        options.time.as_secs(),
        seen.errors
    );
    println!("    latency  {}", seen.latencies);
    println!("    CPU      {} of the gateway a view", Millis(used.cpu_ms.saturating_mul(1_000) / count));
    let packed = if seen.plain == 0 { "gzip" } else { "not compressed" };
    println!("    bytes    {} of HTML ({packed}), {} with the head", seen.body, seen.whole);
    if let Some(error) = &seen.first_error {
        println!("    first of {} errors: {error}", seen.errors);
    }
    let p99 = u64::from(seen.latencies.at(990));
    let what = format!("p99 of a page at {} views/s", options.rate);
    println!("  goals\n  {}", Goal::below(&what, Millis(p99).to_string(), p99, 10_000, "10 ms").line());
    gateway.stop().await?;
    Ok(seen.errors)
}

/// Runs the benchmark and prints its figures; whether every view was answered with a page.
///
/// # Errors
/// When something cannot be measured.
pub async fn run(options: &PageOptions) -> Result<bool> {
    println!("page: {}", program()?.display());
    let mut errors = 0;
    for kind in &options.engines {
        errors += one_engine(*kind, options).await?;
    }
    Ok(errors == 0)
}
