//! `kill -9` under load, again and again on one database: nothing that was acknowledged is lost, nothing
//! is done twice, and what was under way ends one way or the other.
//!
//! Each round: sixteen clients over real sockets, SIGKILL at a random moment, a restart on the same data
//! (which may be killed at once again), then the books, every acknowledged answer again under its key,
//! and every request that got no answer. After the last round: all payments against the sandbox's own
//! tables, and all events against the webhook receiver.

mod client;
mod gate;
mod inbox;
mod load;
mod process;
mod recovery;
mod site;

use crate::{Db, Kind, Random};
use inbox::Inbox;
use load::Sent;
use process::{Home, Process};
use recovery::Books;
use site::Site;
use std::fmt;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

const CLIENTS: usize = 16;
/// When the kill comes after the load has begun, in milliseconds.
const MOMENT: (i64, i64) = (50, 1_500);
/// The same for a second kill, during or soon after the restart.
const AGAIN: (i64, i64) = (0, 700);

/// What a dead gateway has sent arrives within this time.
const LAST_MAIL: Duration = Duration::from_millis(250);

/// What the events that are counted are subscribed as.
const SUBSCRIBED: [&str; 4] = [
    "payment_intent.succeeded",
    "payment_intent.canceled",
    "payment_intent.payment_failed",
    "charge.refunded",
];

/// What was killed, and what came of it. Everything was as it must be, or there would be no report.
#[derive(Clone, Debug)]
pub struct KillReport {
    pub kind: Kind,
    pub seed: u64,
    pub rounds: usize,
    pub kills: usize,
    pub acknowledged: usize,
    pub unanswered: usize,
    /// Unanswered requests that had to wait for another process's provider call to be looked into.
    pub waited: usize,
    /// Times that an acknowledged answer was asked for again and came byte for byte; of Gate, named the same.
    pub replays: usize,
    pub payments: usize,
    pub captured: usize,
    pub refunds: usize,
    /// Payments with a page of Gate, and payouts by it that were not refused.
    pub pages: usize,
    pub payouts: usize,
    /// Checkouts of the Admin API.
    pub checkouts: usize,
    /// Signed callbacks and notices that came.
    pub callbacks: usize,
    pub events: usize,
    /// Webhooks that came again because a kill came between delivery and its record.
    pub repeats: usize,
    pub took: Duration,
}

impl fmt::Display for KillReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "kill on {:?}: seed {}: {} rounds, {} x SIGKILL in {:.0} s: nothing lost, nothing twice",
            self.kind,
            self.seed,
            self.rounds,
            self.kills,
            self.took.as_secs_f32()
        )?;
        writeln!(
            f,
            "  {} requests acknowledged ({} replays, all alike), {} cut off ({} of them waited for reconciling)",
            self.acknowledged, self.replays, self.unanswered, self.waited
        )?;
        write!(
            f,
            "  {} payments ({} with a page, {} checkouts), {} captured once each, {} refunds, {} payouts, {} events and \
             {} callbacks and notices delivered ({} again after a kill)",
            self.payments,
            self.pages,
            self.checkouts,
            self.captured,
            self.refunds,
            self.payouts,
            self.events,
            self.callbacks,
            self.repeats
        )
    }
}

struct Run {
    home: Home,
    inbox: Inbox,
    /// Where callbacks of Gate go.
    callback_url: String,
    site: Site,
    random: Random,
    /// Every request of all rounds, each with its final answer.
    answered: Vec<Sent>,
    report: KillReport,
}

/// Kills the gateway `rounds` times under load on a fresh database.
///
/// # Panics
/// When `PAYMENTGATE_BIN` does not name the gateway's binary, and when anything is lost, done twice or
/// not answered; the message has the seed, the round and the end of the gateway's log.
pub fn kill_runs(kind: Kind, rounds: usize, seed: u64) -> KillReport {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime for the webhook receiver");
    let db = runtime.block_on(Db::new(kind));
    let started = Instant::now();
    let report = KillReport {
        kind,
        seed,
        rounds,
        kills: 0,
        acknowledged: 0,
        unanswered: 0,
        waited: 0,
        replays: 0,
        payments: 0,
        captured: 0,
        refunds: 0,
        pages: 0,
        payouts: 0,
        checkouts: 0,
        callbacks: 0,
        events: 0,
        repeats: 0,
        took: Duration::ZERO,
    };
    let home = Home::new(&db).unwrap_or_else(|e| panic!("{e}"));
    let mut run = Run {
        home,
        inbox: Inbox::default(),
        callback_url: String::new(),
        site: Site::default(),
        random: Random::new(seed),
        answered: Vec::new(),
        report,
    };
    let mut round = 0;
    let done = run.all_rounds(&runtime, rounds, &mut round);
    let done = done.and_then(|books| run.compare_provider(&runtime, &db, &books));
    if let Err(wrong) = done {
        panic!(
            "kill on {kind:?}, seed {seed}, round {round}: {wrong}\nthe end of the gateway's log:\n{}",
            run.home.log()
        );
    }
    run.report.took = started.elapsed();
    run.report
}

impl Run {
    /// The charges and payouts as the gateway shows them after the last round.
    fn all_rounds(&mut self, runtime: &Runtime, rounds: usize, round: &mut usize) -> Result<Books, String> {
        let gateway = self.home.serve()?;
        let [url, callback_url, ipn_url] = runtime.block_on(self.inbox.start())?;
        self.callback_url = callback_url;
        self.site = Site::open(&gateway, &ipn_url)?;
        self.inbox.trust_site(&self.site.secret);
        self.home.site_key.clone_from(&self.site.key);
        let mut gateway = gateway.with_site_key(&self.site.key);
        self.inbox.trust(&gateway.shop.secret);
        subscribe(&gateway, &url)?;
        for n in 1..=rounds {
            *round = n;
            let sent = self.load_and_kill(gateway, n)?;
            gateway = self.restart()?;
            self.recover(&gateway, sent)?;
        }
        self.finish(gateway)
    }

    /// A round's load, ended by a kill.
    fn load_and_kill(&mut self, gateway: Process, round: usize) -> Result<Vec<Sent>, String> {
        let moment = milliseconds(self.random.within(MOMENT.0, MOMENT.1));
        let clients = (0..CLIENTS).map(|_| gateway.lines()).collect();
        let shop = gateway.shop.clone();
        let sent =
            load::run(clients, (&shop, &self.site, &self.callback_url), self.report.seed, round, || {
                std::thread::sleep(moment);
                gateway.kill()
            })?;
        self.died();
        Ok(sent)
    }

    /// Starts the gateway again; every fourth time it is killed on its way up, or soon after.
    fn restart(&mut self) -> Result<Process, String> {
        if self.random.chance(1, 4) {
            let gateway = self.home.start()?;
            std::thread::sleep(milliseconds(self.random.within(AGAIN.0, AGAIN.1)));
            gateway.kill()?;
            self.died();
        }
        self.home.serve()
    }

    /// A webhook of the life that has ended may still be on its way through the sockets: it belongs to a
    /// life between that one and the next.
    fn died(&mut self) {
        self.report.kills += 1;
        self.inbox.next_life();
        std::thread::sleep(LAST_MAIL);
        self.inbox.next_life();
    }
}

fn milliseconds(n: i64) -> Duration {
    Duration::from_millis(n.unsigned_abs())
}

fn subscribe(gateway: &Process, url: &str) -> Result<(), String> {
    let mut form = vec![("url", url)];
    form.extend(SUBSCRIBED.map(|event| ("enabled_events[]", event)));
    match gateway.client().post("/v2/webhook_endpoints", "subscribe", &crate::form_body(&form)) {
        Ok(reply) if reply.status == 201 => Ok(()),
        Ok(reply) => Err(format!("the webhook endpoint was refused: {} {}", reply.status, reply.body)),
        Err(_) => Err("the webhook endpoint could not be made".to_owned()),
    }
}
