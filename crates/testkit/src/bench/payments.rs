//! `bench payments`: how many payments a second, against what the database alone can do.

use super::figures::{Hundredths, Mebibytes, Millis, rate, ratio};
use super::gateway::{Gateway, cpu_ms, machine_ms, program, verify_books};
use super::goals::Goal;
use super::load::{Seen, Target, closed, open};
use super::pattern;
use crate::{Db, Kind};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use store::bench::{BareLoop, BareRun, Script, bare_loop, wal_syncs};
use store::{Location, Store};

const WARM_UP: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_secs(2);
/// What `auto` takes besides 70 % of the measured maximum, in payments a second.
const LOW_RATE: u64 = 50;
const CONNECTIONS: usize = 4;

/// What to measure.
#[derive(Clone, Debug)]
pub struct PaymentsOptions {
    pub engines: Vec<Kind>,
    pub clients: usize,
    pub time: Duration,
    /// Payments stored before a second closed loop; none: no second loop.
    pub preload: Option<u64>,
    /// Payments a second of the open loops; `None`: 70 % of the measured maximum, and 50.
    pub open_rates: Option<Vec<u64>>,
    /// Print the gateway's process number when a closed loop starts, for a profiler.
    pub announce: bool,
}

/// A database for one run, on a disk.
pub(super) struct Place {
    dir: tempfile::TempDir,
    /// PostgreSQL's database.
    db: Option<Db>,
}

impl Place {
    pub(super) async fn new(kind: Kind) -> Result<Place> {
        let parent = std::env::var_os("TMPDIR").map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from);
        let dir = tempfile::Builder::new().prefix("paymentgate-bench-").tempdir_in(&parent);
        let dir = dir.with_context(|| format!("no directory can be made in {}", parent.display()))?;
        let db = match kind {
            Kind::Sqlite => None,
            Kind::Postgres => Some(Db::new(kind).await),
        };
        Ok(Place { dir, db })
    }

    pub(super) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(super) fn database(&self) -> String {
        match &self.db {
            Some(db) => db.address(),
            None => self.data_dir().join("paymentgate.db").display().to_string(),
        }
    }

    pub(super) fn location(&self) -> Location {
        match &self.db {
            Some(db) => Location::Postgres { url: db.address(), connections: CONNECTIONS },
            None => Location::Sqlite(self.data_dir().join("paymentgate.db")),
        }
    }

    pub(super) async fn start(&self) -> Result<Gateway> {
        Gateway::start(&self.data_dir(), &self.database()).await
    }
}

fn target(gateway: &Gateway) -> Target {
    Target { address: gateway.api, key: gateway.key.clone() }
}

/// A closed loop with what the gateway used for it.
struct Closed {
    seen: Seen,
    cpu_ms: u64,
    writer_ms: u64,
    load_ms: u64,
    /// What everything else on the machine used: the kernel's own work, PostgreSQL, strangers.
    rest_ms: u64,
    /// Mean closures in a commit, in hundredths.
    batch: u64,
    resident: u64,
}

impl Closed {
    fn rate(&self) -> u64 {
        rate(self.seen.payments, self.seen.elapsed)
    }

    fn share(&self, ms: u64) -> Hundredths {
        Hundredths(ratio(ms, u64::try_from(self.seen.elapsed.as_millis()).unwrap_or(u64::MAX)))
    }

    fn print(&self, name: &str) {
        println!(
            "  {name:<13}{} payments/s ({} in {}, {} errors)",
            self.rate(),
            self.seen.payments,
            Millis(u64::try_from(self.seen.elapsed.as_micros()).unwrap_or(u64::MAX)),
            self.seen.errors
        );
        print_latencies(&self.seen);
        let per_payment = Millis(self.cpu_ms.saturating_mul(1_000) / self.seen.payments.max(1));
        println!(
            "    cores    gateway {}, of which the writer {}; load generator {}; rest of the machine {}",
            self.share(self.cpu_ms),
            self.share(self.writer_ms),
            self.share(self.load_ms),
            self.share(self.rest_ms)
        );
        println!("    CPU      {per_payment} of the gateway a payment");
        println!(
            "    batch    {} closures a commit; memory after it {}",
            Hundredths(self.batch),
            Mebibytes(self.resident)
        );
    }
}

fn print_latencies(seen: &Seen) {
    println!("    create   {}", seen.create);
    println!("    confirm  {}", seen.confirm);
    if let Some(error) = &seen.first_error {
        let short: String = error.chars().take(300).collect();
        println!("    first of {} errors: {short}", seen.errors);
    }
}

async fn closed_loop(
    gateway: &Gateway,
    place: &Place,
    options: &PaymentsOptions,
    commits: u64,
) -> Result<Closed> {
    let target = target(gateway);
    let _ = closed(&target, options.clients, WARM_UP).await;
    if options.announce {
        println!("  closed loop runs now: process {}", gateway.pid());
    }
    let (before, batches, syncs) = (gateway.usage()?, gateway.batches().await?, syncs(place).await?);
    let (own, machine) = (cpu_ms("/proc/self/stat")?, machine_ms()?);
    let seen = closed(&target, options.clients, options.time).await;
    let load_ms = cpu_ms("/proc/self/stat")? - own;
    let used = gateway.usage()?.since(before);
    let rest_ms = (machine_ms()? - machine).saturating_sub(used.cpu_ms + load_ms);
    let after = gateway.batches().await?;
    let batch = match (syncs, self::syncs(place).await?) {
        // PostgreSQL flushes once for several commits at a time.
        (Some(from), Some(to)) => ratio(commits * seen.payments, u64::try_from(to - from).unwrap_or(0)),
        _ => ratio(after.1 - batches.1, after.0 - batches.0),
    };
    Ok(Closed {
        cpu_ms: used.cpu_ms,
        writer_ms: used.writer_ms,
        load_ms,
        rest_ms,
        batch: batch.max(100),
        resident: gateway.resident()?,
        seen,
    })
}

async fn syncs(place: &Place) -> Result<Option<i64>> {
    let location = place.location();
    blocking(move || wal_syncs(&location)).await
}

/// Runs what blocks on a plain thread: the PostgreSQL driver may not run inside a runtime.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, store::StoreError> + Send + 'static,
) -> Result<T> {
    let joined = tokio::task::spawn_blocking(move || std::thread::spawn(work).join()).await?;
    Ok(joined.map_err(|_| anyhow::anyhow!("a database thread died"))??)
}

/// Everything about one engine; its goals.
struct Run<'o> {
    kind: Kind,
    options: &'o PaymentsOptions,
    script: Script,
    goals: Vec<Goal>,
    errors: u64,
}

impl Run<'_> {
    async fn run(&mut self) -> Result<()> {
        let place = Place::new(self.kind).await?;
        let gateway = place.start().await?;
        self.starting(&gateway, "start").await?;
        let commits = self.script.commits() as u64;
        let closed = closed_loop(&gateway, &place, self.options, commits).await?;
        closed.print("closed loop");
        self.errors += closed.seen.errors;
        self.bare(&closed).await?;
        self.open_loops(&gateway, closed.rate()).await?;
        gateway.stop().await?;
        self.books(&place.data_dir(), &place.database())?;
        drop(place);
        if let Some(payments) = self.options.preload {
            self.preloaded(payments, &closed).await?;
        }
        Ok(())
    }

    async fn starting(&mut self, gateway: &Gateway, name: &str) -> Result<()> {
        tokio::time::sleep(IDLE).await;
        let resident = gateway.resident()?;
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let (health, api) = (micros(gateway.health_after), micros(gateway.api_after));
        println!(
            "  {name:<13}/health after {}, an API call after {}, idle memory {}",
            Millis(health),
            Millis(api),
            Mebibytes(resident)
        );
        self.goals.push(Goal::below(
            &format!("serving after {name}"),
            Millis(api).to_string(),
            api,
            300_000,
            "300 ms",
        ));
        let memory = Mebibytes(resident).to_string();
        self.goals.push(Goal::below(
            &format!("idle memory after {name}"),
            memory,
            resident,
            64 * 1_024,
            "64 MiB",
        ));
        Ok(())
    }

    async fn bare(&mut self, closed: &Closed) -> Result<()> {
        let place = Place::new(self.kind).await?;
        std::fs::create_dir_all(place.data_dir())?;
        let how = BareLoop {
            batch_hundredths: u32::try_from(closed.batch).unwrap_or(u32::MAX),
            time: self.options.time,
            payments_max: u64::MAX,
        };
        let (location, script) = (place.location(), self.script.clone());
        let machine = machine_ms()?;
        let BareRun { payments, commits, elapsed } =
            blocking(move || bare_loop(&location, &script, how)).await?;
        let bare = rate(payments, elapsed);
        let cores = ratio(machine_ms()? - machine, u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
        println!(
            "  bare loop    {bare} payments/s ({} commits/s of {} steps; the whole machine used {} cores)",
            rate(commits, elapsed),
            Hundredths(closed.batch),
            Hundredths(cores)
        );
        let share = ratio(closed.rate(), bare);
        let what = format!("{} clients against the bare loop", self.options.clients);
        self.goals.push(Goal::at_least(&what, Hundredths(share).to_string(), share, 50, "0.50"));
        Ok(())
    }

    async fn open_loops(&mut self, gateway: &Gateway, maximum: u64) -> Result<()> {
        let high = maximum * 7 / 10;
        let rates = self.options.open_rates.clone().unwrap_or_else(|| vec![high, LOW_RATE]);
        for rate in rates.into_iter().filter(|rate| *rate > 0) {
            // Folding and checkpoints of the loop before are not this one's.
            tokio::time::sleep(IDLE).await;
            let seen = open(&target(gateway), rate, self.options.time).await;
            println!(
                "  open loop    {rate} payments/s for {} s ({} payments, {} errors)",
                self.options.time.as_secs(),
                seen.payments,
                seen.errors
            );
            print_latencies(&seen);
            self.errors += seen.errors;
            let p99 = u64::from(seen.p99());
            let (goal, shown) = if rate <= LOW_RATE { (10_000, "10 ms") } else { (25_000, "25 ms") };
            let what = format!("p99 of a request at {rate} payments/s");
            self.goals.push(Goal::below(&what, Millis(p99).to_string(), p99, goal, shown));
        }
        Ok(())
    }

    fn books(&self, data_dir: &Path, database: &str) -> Result<()> {
        let started = Instant::now();
        verify_books(data_dir, database)?;
        println!("  ledger       sound (verified in {} s)", started.elapsed().as_secs());
        Ok(())
    }

    async fn preloaded(&mut self, payments: u64, empty: &Closed) -> Result<()> {
        let place = Place::new(self.kind).await?;
        let gateway = place.start().await?;
        // The merchant's accounts come with its first payment.
        let _ = closed(&target(&gateway), 1, Duration::from_millis(1)).await;
        gateway.stop().await?;
        let started = Instant::now();
        let location = place.location();
        let store = tokio::task::spawn_blocking(move || Store::open(&location)).await??;
        pattern::preload(&store, payments).await?;
        tokio::task::spawn_blocking(move || store.close()).await?;
        println!("  preload      {payments} payments in {} s", started.elapsed().as_secs());
        let gateway = place.start().await?;
        self.starting(&gateway, "restart").await?;
        let full = closed_loop(&gateway, &place, self.options, self.script.commits() as u64).await?;
        full.print("closed loop");
        self.errors += full.seen.errors;
        gateway.stop().await?;
        self.books(&place.data_dir(), &place.database())?;
        let share = ratio(full.rate(), empty.rate());
        let what = format!("rate with {payments} payments stored against the empty database");
        self.goals.push(Goal::at_least(&what, Hundredths(share).to_string(), share, 80, "0.80"));
        Ok(())
    }
}

/// Runs the benchmark and prints its figures; whether every request was answered as it should be.
///
/// # Errors
/// When something cannot be measured, or the books are not sound afterwards.
pub async fn run(options: &PaymentsOptions) -> Result<bool> {
    let binary = program()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "payments: {} clients, {} s a loop, {cores} cores, {}",
        options.clients,
        options.time.as_secs(),
        binary.display()
    );
    let (script, _) = pattern::record().await?;
    let mut errors = 0;
    for kind in &options.engines {
        println!("{}", if *kind == Kind::Sqlite { "SQLite" } else { "PostgreSQL" });
        let mut run = Run { kind: *kind, options, script: script.clone(), goals: Vec::new(), errors: 0 };
        run.run().await?;
        println!("  goals");
        for goal in &run.goals {
            println!("  {}", goal.line());
        }
        errors += run.errors;
    }
    Ok(errors == 0)
}
