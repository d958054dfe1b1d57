//! `bench gate`: signed requests for a payment page against payments created over REST v2, in one run.

use super::client::Connection;
use super::figures::{Hundredths, Latencies, Millis, rate, ratio};
use super::gateway::{Gateway, Usage, program, verify_books};
use super::goals::Goal;
use super::load::random_name;
use super::pattern;
use super::payments::Place;
use crate::Kind;
use crate::signer::{Order, PURCHASE, Signer};
use anyhow::Result;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const WARM_UP: Duration = Duration::from_secs(2);
/// Payers who come again and again.
const KNOWN_PAYERS: u64 = 1_000;
/// After a request that failed: a gateway that refuses everything must not be asked in a tight loop.
const PAUSE: Duration = Duration::from_millis(20);

/// The number of the shop's next order.
static ORDERS: AtomicU64 = AtomicU64::new(1);

/// What to measure.
#[derive(Clone, Debug)]
pub struct GateOptions {
    pub engines: Vec<Kind>,
    pub clients: usize,
    /// Of each kind of request.
    pub time: Duration,
    /// Print the gateway's process number when each loop starts, for a profiler.
    pub announce: bool,
}

/// What a loop creates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// Payments over REST v2.
    Payments,
    /// Pages over Gate, of payers who were here before.
    KnownPayers,
    /// Pages over Gate, each of a payer whose customer has to be made too.
    NewPayers,
}

const ALL: [What; 3] = [What::Payments, What::KnownPayers, What::NewPayers];

impl What {
    fn name(self) -> &'static str {
        match self {
            What::Payments => "REST v2",
            What::KnownPayers => "known payers",
            What::NewPayers => "new payers",
        }
    }
}

/// What the loops of one kind saw.
#[derive(Default)]
struct Seen {
    made: u64,
    latencies: Latencies,
    errors: u64,
    first_error: Option<String>,
    elapsed: Duration,
    used: Usage,
}

impl Seen {
    fn rate(&self) -> u64 {
        rate(self.made, self.elapsed)
    }

    fn print(&mut self, what: What) {
        self.latencies.sort();
        let cpu = Millis(self.used.cpu_ms.saturating_mul(1_000) / self.made.max(1));
        let writer = Millis(self.used.writer_ms.saturating_mul(1_000) / self.made.max(1));
        println!("  {:<13}{} creates/s ({} errors)", what.name(), self.rate(), self.errors);
        println!("    latency  {}", self.latencies);
        println!("    CPU      {cpu} of the gateway a create, of which the writer {writer}");
        if let Some(error) = &self.first_error {
            println!("    first of {} errors: {}", self.errors, error.chars().take(300).collect::<String>());
        }
    }
}

/// Requests signed before a loop, for each second of it: more than any gateway on this machine takes.
const SIGNED_A_SECOND: u64 = 10_000;

/// Signed requests. Signing is the client's work and not the gateway's, and a shop has a machine of its own for it, so
/// most are signed before the loop begins; a loop that has used them up signs its own.
struct Shop {
    signer: Signer,
    what: What,
    ready: RefCell<VecDeque<String>>,
}

impl Shop {
    fn new(signer: Signer, what: What, time: Duration) -> Shop {
        let shop = Shop { signer, what, ready: RefCell::default() };
        if what != What::Payments {
            let many = time.as_secs().saturating_mul(SIGNED_A_SECOND);
            shop.ready.replace((0..many).map(|_| shop.sign()).collect());
        }
        shop
    }

    /// The next order. Shops number them, so their payment_ids rise.
    fn sign(&self) -> String {
        let order = ORDERS.fetch_add(1, Ordering::Relaxed);
        let name = random_name();
        let payer = match self.what {
            What::NewPayers => name,
            _ => (name.bytes().fold(0u64, |sum, b| sum * 31 % 1_000_003 + u64::from(b)) % KNOWN_PAYERS)
                .to_string(),
        };
        self.signer.purchase(&Order {
            payment_id: &format!("order-{order:09}"),
            price: "99.00",
            currency: "EUR",
            email: &format!("{payer}@example.com"),
            webhook: None,
        })
    }

    fn next(&self) -> String {
        self.ready.borrow_mut().pop_front().unwrap_or_else(|| self.sign())
    }
}

/// One create. Keys of REST v2 are random, as its client libraries make them.
async fn create(connection: &mut Connection, shop: &Shop) -> Result<()> {
    if shop.what == What::Payments {
        let key = pattern::create_key(&random_name());
        let answer = connection.send(pattern::CREATE, &key, Some(pattern::CREATE_FORM)).await?;
        anyhow::ensure!(answer.status == 201, "{}: {}", answer.status, answer.body);
        return Ok(());
    }
    let answer = connection.send_signed(PURCHASE, &shop.next()).await?;
    anyhow::ensure!(answer.status == 200, "{}: {}", answer.status, answer.body);
    Ok(())
}

/// `clients` connections that make one after the other for `time`.
async fn closed(
    gateway: &Gateway,
    what: What,
    clients: usize,
    time: Duration,
    into: &mut Seen,
) -> Result<()> {
    let seen = Rc::new(RefCell::new(Seen::default()));
    let shop = Rc::new(Shop::new(gateway.shop.clone(), what, time));
    let before = gateway.usage()?;
    let start = Instant::now();
    let work = tokio::task::LocalSet::new();
    for _ in 0..clients {
        let (seen, shop) = (seen.clone(), shop.clone());
        let mut connection = Connection::new(gateway.api, &gateway.key);
        work.spawn_local(async move {
            while start.elapsed() < time {
                let asked = Instant::now();
                let made = create(&mut connection, &shop).await;
                let failed = made.is_err();
                note(&mut seen.borrow_mut(), made, asked.elapsed());
                if failed {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
    }
    work.await;
    let seen = seen.take();
    let used = gateway.usage()?.since(before);
    into.made += seen.made;
    into.errors += seen.errors;
    into.elapsed += start.elapsed();
    into.used.cpu_ms += used.cpu_ms;
    into.used.writer_ms += used.writer_ms;
    into.latencies.join(seen.latencies);
    into.first_error = into.first_error.take().or(seen.first_error);
    Ok(())
}

fn note(seen: &mut Seen, made: Result<()>, took: Duration) {
    match made {
        Ok(()) => {
            seen.made += 1;
            seen.latencies.add(took);
        }
        Err(e) => {
            seen.errors += 1;
            seen.first_error.get_or_insert_with(|| format!("{e:#}"));
        }
    }
}

/// Each kind twice, there and back, so that none has the emptier database.
async fn one_engine(kind: Kind, options: &GateOptions) -> Result<u64> {
    println!("{}", if kind == Kind::Sqlite { "SQLite" } else { "PostgreSQL" });
    let place = Place::new(kind).await?;
    let gateway = place.start().await?;
    for what in ALL {
        closed(&gateway, what, options.clients, WARM_UP, &mut Seen::default()).await?;
    }
    let mut seen: [Seen; 3] = Default::default();
    for at in [0, 1, 2, 2, 1, 0] {
        if options.announce {
            println!("  {} runs now: process {}", ALL[at].name(), gateway.pid());
        }
        closed(&gateway, ALL[at], options.clients, options.time / 2, &mut seen[at]).await?;
    }
    for (what, seen) in ALL.into_iter().zip(&mut seen) {
        seen.print(what);
    }
    gateway.stop().await?;
    verify_books(&place.data_dir(), &place.database())?;
    println!("  ledger       sound\n  goals");
    for at in [1, 2] {
        let share = ratio(seen[at].rate(), seen[0].rate());
        let what = format!("creates over Gate, {}, against creates over REST v2", ALL[at].name());
        println!("  {}", Goal::at_least(&what, Hundredths(share).to_string(), share, 80, "0.80").line());
    }
    Ok(seen.iter().map(|seen| seen.errors).sum())
}

/// Runs the benchmark and prints its figures; whether every request was answered as it should be.
///
/// # Errors
/// When something cannot be measured, or the books are not sound afterwards.
pub async fn run(options: &GateOptions) -> Result<bool> {
    let binary = program()?;
    println!(
        "gate: {} clients, {} s of each kind of request, {}",
        options.clients,
        options.time.as_secs(),
        binary.display()
    );
    let mut errors = 0;
    for kind in &options.engines {
        errors += one_engine(*kind, options).await?;
    }
    Ok(errors == 0)
}
