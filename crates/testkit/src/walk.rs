//! A random walk over REST v2, Gate and the Admin API, step by step compared with an independent model.
//!
//! A seed chooses every operation, so a seed and an operation number are a whole bug report. The
//! requests go through the real router, engine, sandbox and database; the model in `model.rs` predicts
//! each answer, each payment and each balance from what the documents say.

mod checks;
mod erasure;
mod gate;
mod model;
mod operations;
mod payouts;
mod site;

use crate::random::Random;
use crate::{Answer, AppOptions, Db, TestApp};
use domain::rate::{Tier, TierName};
use model::Model;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

/// Operations between two comparisons of balances and of everything touched since the last one.
const COMPARE_EVERY: usize = 50;
/// The same for every payment and every list.
const COMPARE_ALL_EVERY: usize = 500;
/// Operations that a failure is reported with.
const REMEMBERED: usize = 20;
/// First instant of the first test clock, and the years between two of them: no payment of one clock
/// shares a second with one of another clock or of the wall clock, so the order of lists is known.
const FIRST_CLOCK: i64 = 2_200_000_000;
const CLOCKS_APART: i64 = 30 * 365 * model::DAY;

/// What a walk did. All of it agreed with the model, or there would be no report.
#[derive(Clone, Debug, Default)]
pub struct WalkReport {
    pub seed: u64,
    pub operations: usize,
    pub requests: usize,
    pub payments: usize,
    pub captured: usize,
    pub canceled: usize,
    pub refunds: usize,
    /// Payments that have a page of Gate.
    pub pages: usize,
    /// Checkouts of the Admin API, and what their shops were told.
    pub checkouts: usize,
    pub notices: usize,
    pub payouts: usize,
    /// Customers erased.
    pub erased: usize,
    pub replays: usize,
    pub journals: usize,
    /// Times that all payments, lists and balances were compared.
    pub comparisons: usize,
    /// Answers to operations, by status and error code.
    pub answers: BTreeMap<String, usize>,
    pub took: Duration,
}

impl fmt::Display for WalkReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "walk: seed {}: {} operations ({} requests) in {:.1} s agreed with the model",
            self.seed,
            self.operations,
            self.requests,
            self.took.as_secs_f32()
        )?;
        writeln!(
            f,
            "  {} payments ({} with a page, {} checkouts with {} notices, {} captured, {} canceled), {} refunds, {} \
             payouts, {} customers erased, {} replays, {} journals sealed, everything compared {} times",
            self.payments,
            self.pages,
            self.checkouts,
            self.notices,
            self.captured,
            self.canceled,
            self.refunds,
            self.payouts,
            self.erased,
            self.replays,
            self.journals,
            self.comparisons
        )?;
        let answers: Vec<String> = self.answers.iter().map(|(answer, n)| format!("{n} x {answer}")).collect();
        write!(f, "  answers: {}", answers.join(", "))
    }
}

/// A request under an idempotency key whose answer is stored.
#[derive(Clone)]
struct Keyed {
    key: String,
    path: String,
    form: Vec<(String, String)>,
    status: u16,
    text: String,
}

/// What a step found wrong.
type Step<T> = Result<T, String>;

struct Walk {
    app: TestApp,
    gate: gate::GateSide,
    site: site::SiteSideOfWalk,
    random: Random,
    model: Model,
    /// Ids of customers, of the card saved for each, and of the test clocks.
    customers: Vec<(String, String)>,
    /// Those of them that are erased.
    erased: std::collections::BTreeSet<usize>,
    clocks: Vec<String>,
    /// Bank accounts by number and currency.
    accounts: BTreeMap<(&'static str, &'static str), String>,
    keyed: Vec<Keyed>,
    keys: usize,
    /// Payments to compare at the next comparison.
    touched: std::collections::BTreeSet<usize>,
    log: VecDeque<String>,
    report: WalkReport,
}

/// Walks `operations` steps chosen by `seed` on a fresh database.
///
/// # Panics
/// When the product and the model disagree; the message has the seed, the step and the latest
/// operations.
pub async fn walk(db: &Db, seed: u64, operations: usize) -> WalkReport {
    let started = Instant::now();
    let unlimited =
        TierName::Custom(Tier { per_minute: 10_000_000, per_second: 10_000_000, burst: 10_000_000 });
    // The same few cards, again and again.
    let card_testing = web::card_testing::Settings { cards: None, tries: None, breaker: false };
    let options = AppOptions { tier: unlimited, settle_us: 0, card_testing, ..AppOptions::default() };
    let app = TestApp::with(db, options).await;
    let gate = gate::open_shop(&app).await.unwrap_or_else(|e| panic!("{e}"));
    let site = site::open_site(&app).await.unwrap_or_else(|e| panic!("{e}"));
    let mut walk = Walk {
        app,
        gate,
        site,
        random: Random::new(seed),
        model: Model::default(),
        customers: Vec::new(),
        erased: Default::default(),
        clocks: Vec::new(),
        accounts: BTreeMap::new(),
        keyed: Vec::new(),
        keys: 0,
        touched: Default::default(),
        log: VecDeque::new(),
        report: WalkReport { seed, operations, ..WalkReport::default() },
    };
    let mut step = 0;
    let walked = walk.all_steps(operations, &mut step).await;
    if let Err(wrong) = walked {
        let log: Vec<String> = walk.log.into();
        panic!(
            "walk on {:?}, seed {seed}, step {step}: {wrong}\nthe latest operations:\n{}",
            db.kind,
            log.join("\n")
        );
    }
    walk.report.took = started.elapsed();
    walk.report
}

impl Walk {
    async fn all_steps(&mut self, operations: usize, step: &mut usize) -> Step<()> {
        self.prepare().await?;
        for n in 1..=operations {
            *step = n;
            self.operate().await?;
            if n % COMPARE_ALL_EVERY == 0 {
                self.compare_all().await?;
            } else if n % COMPARE_EVERY == 0 {
                self.compare_touched().await?;
            }
        }
        self.finish().await
    }

    /// Customers without a clock and with one, two of them on the same, each with a saved card.
    async fn prepare(&mut self) -> Step<()> {
        for n in 0..3 {
            let start = FIRST_CLOCK + n * CLOCKS_APART;
            let made =
                self.send("/v2/test_helpers/test_clocks", &[("frozen_time", &start.to_string())], None).await;
            self.clocks.push(id_of(&made)?);
            self.model.clocks.push(start);
        }
        for clock in [None, Some(0), Some(0), Some(1), Some(2), None] {
            self.new_customer(clock).await?;
        }
        Ok(())
    }

    async fn send(&mut self, path: &str, form: &[(&str, &str)], key: Option<&str>) -> Answer {
        self.report.requests += 1;
        match key {
            Some(key) => self.app.post_once(key, path, form).await,
            None => self.app.post(path, form).await,
        }
    }

    /// A GET that must answer 200.
    async fn read(&mut self, path: &str) -> Step<serde_json::Value> {
        self.report.requests += 1;
        let answer = self.app.get(path).await;
        if answer.status.as_u16() == 200 {
            Ok(answer.json)
        } else {
            Err(format!("GET {path} answered {}: {}", answer.status, answer.text))
        }
    }

    fn note(&mut self, line: String) {
        if self.log.len() == REMEMBERED {
            self.log.pop_front();
        }
        self.log.push_back(line);
    }
}

/// A customer's address, by which Gate finds who pays.
fn email_of(customer: usize) -> String {
    format!("payer{customer}@example.com")
}

/// The id of the object in an answer.
fn id_of(answer: &Answer) -> Step<String> {
    let id = answer.json["id"].as_str().map(str::to_owned);
    id.ok_or_else(|| format!("an object was expected, not {}: {}", answer.status, answer.text))
}

/// Fails with what differs.
fn same<T: PartialEq + fmt::Debug>(what: impl fmt::Display, got: T, expected: T) -> Step<()> {
    if got == expected { Ok(()) } else { Err(format!("{what}: {got:?}, but the model says {expected:?}")) }
}
