//! What must be true after a kill, and after the last one.

use super::client::{Client, Failure, Reply};
use super::load::Sent;
use super::process::Process;
use super::{CLIENTS, Run, SUBSCRIBED};
use crate::Db;
use serde_json::Value;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use store::StoreError;
use store::sandbox::ChargeState;
use tokio::runtime::Runtime;

/// How long a request that was cut off may wait for what became of its provider call. A node of a shared
/// database counts as gone after ten seconds.
const RECONCILED_WITHIN: Duration = Duration::from_secs(60);
/// A delivery that was claimed by a process that died is made again when its claim, a minute, is over.
const DELIVERED_WITHIN: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(50);
const PAGES_MAX: usize = 100_000;

/// Payment, captured and refunded of each charge, by its id.
pub type Charges = HashMap<String, (String, i64, i64)>;

/// What the answers to a payment's requests said last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Promised {
    status: String,
    received: i64,
    refunded: i64,
    refunds: usize,
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or("")
}

fn number(object: &Value, field: &str) -> i64 {
    object[field].as_i64().unwrap_or(i64::MIN)
}

fn told(failure: Failure) -> String {
    match failure {
        Failure::NotSent(e) => format!("the gateway cannot be reached: {e}"),
        Failure::NoAnswer(e) => format!("the gateway did not answer: {e}"),
    }
}

fn read(client: &mut Client, path: &str) -> Result<Value, String> {
    let reply = client.get(path).map_err(told)?;
    if reply.status == 200 {
        Ok(reply.json())
    } else {
        Err(format!("GET {path}: {} {}", reply.status, reply.body))
    }
}

/// Shows `look` every object of a list; how many there are.
fn each_of(
    client: &mut Client,
    path: &str,
    mut look: impl FnMut(&Value) -> Result<(), String>,
) -> Result<usize, String> {
    let (mut count, mut after) = (0, String::new());
    let join = if path.contains('?') { '&' } else { '?' };
    for _ in 0..PAGES_MAX {
        let page = read(client, &format!("{path}{join}limit=100{after}"))?;
        let data = page["data"].as_array().ok_or_else(|| format!("{path} has no data"))?;
        data.iter().try_for_each(&mut look)?;
        count += data.len();
        after = format!("&starting_after={}", data.last().map_or("", |object| text(object, "id")));
        if page["has_more"] != true {
            return Ok(count);
        }
    }
    Err(format!("{path} does not end"))
}

fn send(client: &mut Client, sent: &Sent) -> Result<Reply, String> {
    client.post(&sent.path, &sent.key, &sent.form).map_err(told)
}

/// Asks for an answer again that was given before.
fn replay(client: &mut Client, sent: &Sent, reply: &Reply) -> Result<(), String> {
    let again = send(client, sent)?;
    if again == (Reply { replayed: true, ..reply.clone() }) {
        return Ok(());
    }
    Err(format!(
        "{} {} was answered\n{reply:?}\nand under the same key later\n{again:?}",
        sent.key, sent.path
    ))
}

/// Sends a request that was cut off until it has its answer; whether that was not at once.
fn settle(client: &mut Client, sent: &mut Sent) -> Result<bool, String> {
    let since = Instant::now();
    let mut waited = false;
    loop {
        let reply = send(client, sent)?;
        match reply.status {
            200 | 201 | 402 => {
                sent.reply = Some(reply);
                return Ok(waited);
            }
            409 if since.elapsed() < RECONCILED_WITHIN && reply.body.contains("idempotency_key_in_use") => {
                waited = true
            }
            _ => return Err(format!("{} {} was cut off, and then {reply:?}", sent.key, sent.path)),
        }
        std::thread::sleep(POLL);
    }
}

/// Does `work` with each of `items` on several connections.
fn in_parallel<T: Send>(
    gateway: &Process,
    items: &mut [T],
    work: impl Fn(&mut Client, &mut T) -> Result<(), String> + Sync,
) -> Result<(), String> {
    let share = items.len().div_ceil(CLIENTS).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = items
            .chunks_mut(share)
            .map(|items| {
                let (mut client, work) = (gateway.client(), &work);
                scope.spawn(move || items.iter_mut().try_for_each(|item| work(&mut client, item)))
            })
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a client panicked".to_owned())?)
    })
}

/// What the answers to `all` promise of each payment, by its id.
fn promises(all: &[Sent]) -> Result<HashMap<String, Promised>, String> {
    let mut payments: HashMap<String, Promised> = HashMap::new();
    for sent in all {
        let json = sent.reply.as_ref().map(Reply::json).unwrap_or_default();
        if sent.makes_a_refund() {
            let promised = payments.entry(text(&json, "payment_intent").to_owned()).or_default();
            promised.refunds += 1;
            promised.refunded += number(&json, "amount");
            if text(&json, "status") != "succeeded" {
                return Err(format!("{} is a refund that stayed {}", sent.key, text(&json, "status")));
            }
            continue;
        }
        let shown = if json["error"].is_object() { &json["error"]["payment_intent"] } else { &json };
        if sent.makes_a_payment() && payments.contains_key(text(shown, "id")) {
            return Err(format!("two requests made {}", text(shown, "id")));
        }
        let promised = payments.entry(text(shown, "id").to_owned()).or_default();
        promised.status = text(shown, "status").to_owned();
        promised.received = number(shown, "amount_received");
    }
    Ok(payments)
}

/// A payment, read with its latest charge, is as promised.
fn kept(shown: &Value, promised: &Promised) -> Result<(), String> {
    let charge = &shown["latest_charge"];
    let refunded = if charge.is_object() { number(charge, "amount_refunded") } else { 0 };
    let got = (text(shown, "status"), number(shown, "amount_received"), refunded);
    if got == (promised.status.as_str(), promised.received, promised.refunded) {
        return Ok(());
    }
    Err(format!("{} is {got:?}, but its requests were answered with {promised:?}", text(shown, "id")))
}

impl Run {
    /// After a restart: sound books, every answer again, an answer to everything that was cut off, and
    /// payments that are what their answers said.
    pub(super) fn recover(&mut self, gateway: &Process, mut sent: Vec<Sent>) -> Result<(), String> {
        self.home.verify_books()?;
        let waited = std::sync::atomic::AtomicUsize::new(0);
        let cut_off = sent.iter().filter(|sent| sent.reply.is_none()).count();
        in_parallel(gateway, &mut sent, |client, sent| {
            let Some(reply) = sent.reply.clone() else {
                waited.fetch_add(usize::from(settle(client, sent)?), std::sync::atomic::Ordering::Relaxed);
                let reply = sent.reply.clone().ok_or("a request without an answer")?;
                // The first answer after a crash may itself be a stored one.
                return replay(client, sent, &reply);
            };
            replay(client, sent, &reply)
        })?;
        self.report.unanswered += cut_off;
        self.report.acknowledged += sent.len() - cut_off;
        self.report.replays += sent.len();
        self.report.waited += waited.into_inner();
        let mut payments: Vec<(String, Promised)> = promises(&sent)?.into_iter().collect();
        in_parallel(gateway, &mut payments, |client, (id, promised)| {
            kept(&read(client, &format!("/v2/payment_intents/{id}?expand[]=latest_charge"))?, promised)
        })?;
        self.answered.append(&mut sent);
        self.home.verify_books()
    }

    /// After the last round: every answer of all rounds again, every payment, every event; then an
    /// orderly stop. The charges as shown.
    pub(super) fn finish(&mut self, gateway: Process) -> Result<Charges, String> {
        let mut answered = std::mem::take(&mut self.answered);
        in_parallel(&gateway, &mut answered, |client, sent| {
            let reply = sent.reply.clone().ok_or("a request without an answer")?;
            replay(client, sent, &reply)
        })?;
        self.report.replays += answered.len();
        let client = &mut gateway.client();
        let promised = promises(&answered)?;
        let mut unseen = promised.clone();
        self.report.payments = each_of(client, "/v2/payment_intents?expand[]=data.latest_charge", |shown| {
            let id = text(shown, "id");
            kept(
                shown,
                &unseen.remove(id).ok_or_else(|| format!("{id} is listed, but was not made (again)"))?,
            )
        })?;
        if let Some(id) = unseen.keys().next() {
            return Err(format!("{} payments are lost, {id} among them", unseen.len()));
        }
        self.report.refunds = promised.values().map(|p| p.refunds).sum();
        self.report.captured = promised.values().filter(|p| p.received > 0).count();
        let failures =
            answered.iter().filter(|sent| sent.reply.as_ref().is_some_and(|r| r.status == 402)).count();
        self.await_events(client, &promised, failures)?;
        // A new connection: the other one may have been idle for too long by now.
        let mut charges = Charges::new();
        each_of(&mut gateway.client(), "/v2/charges", |charge| {
            let money = (number(charge, "amount_captured"), number(charge, "amount_refunded"));
            let payment = text(charge, "payment_intent").to_owned();
            charges.insert(text(charge, "id").to_owned(), (payment, money.0, money.1));
            Ok(())
        })?;
        gateway.stop()?;
        self.home.verify_books()?;
        Ok(charges)
    }

    /// There is one event for each end of a payment, each failure and each refund, and each reaches the
    /// receiver.
    fn await_events(
        &mut self,
        client: &mut Client,
        promised: &HashMap<String, Promised>,
        failures: usize,
    ) -> Result<(), String> {
        let mut events = Vec::new();
        for event in SUBSCRIBED {
            let listed = each_of(client, &format!("/v2/events?type={event}"), |event| {
                events.push(text(event, "id").to_owned());
                Ok(())
            })?;
            let ended = |status: &str| promised.values().filter(|p| p.status == status).count();
            let expected = match event {
                "payment_intent.succeeded" => ended("succeeded"),
                "payment_intent.canceled" => ended("canceled"),
                "payment_intent.payment_failed" => failures,
                _ => self.report.refunds,
            };
            if listed != expected {
                return Err(format!("{listed} events {event} for {expected} such ends"));
            }
        }
        let since = Instant::now();
        while let Some(missing) = events.iter().find(|event| !self.inbox.has(event)) {
            if since.elapsed() > DELIVERED_WITHIN {
                let count = events.iter().filter(|event| !self.inbox.has(event)).count();
                return Err(format!(
                    "{count} of {} events were not delivered, {missing} among them",
                    events.len()
                ));
            }
            std::thread::sleep(POLL);
        }
        let (arrived, repeats) = self.inbox.count()?;
        if arrived != events.len() {
            return Err(format!("{arrived} events were delivered, but {} exist", events.len()));
        }
        (self.report.events, self.report.repeats) = (arrived, repeats);
        Ok(())
    }

    /// The sandbox's own tables: each attempt submitted once, captured at most once and for what the
    /// gateway says, and no payment captured by two attempts.
    pub(super) fn compare_provider(
        &mut self,
        runtime: &Runtime,
        db: &Db,
        charges: &Charges,
    ) -> Result<(), String> {
        let store = db.open();
        let known = runtime.block_on(store.read(store::sandbox::all_charges));
        let known = known.map_err(|e: StoreError| format!("the sandbox's tables: {e}"))?;
        let mut captured_for: HashMap<&str, &str> = HashMap::new();
        let (mut taken, mut given_back) = (0, 0);
        for theirs in &known {
            if theirs.calls != 1 || (theirs.captured > 0) != (theirs.state == ChargeState::Captured) {
                return Err(format!("the sandbox was asked wrongly: {theirs:?}"));
            }
            if theirs.captured == 0 {
                continue;
            }
            let ours =
                charges.get(&theirs.attempt).ok_or_else(|| format!("{theirs:?} is no charge of ours"))?;
            if (ours.1, ours.2) != (theirs.captured, theirs.refunded) {
                return Err(format!("the sandbox has {theirs:?}, the gateway {ours:?}"));
            }
            if let Some(other) = captured_for.insert(&ours.0, &theirs.attempt) {
                return Err(format!("{} was captured by {other} and by {}", ours.0, theirs.attempt));
            }
            (taken, given_back) = (taken + theirs.captured, given_back + theirs.refunded);
        }
        let ours = charges.values().fold((0, 0), |sum, charge| (sum.0 + charge.1, sum.1 + charge.2));
        if (taken, given_back) != ours {
            return Err(format!(
                "the sandbox captured {taken} and refunded {given_back}; the gateway says {ours:?}"
            ));
        }
        store.close();
        Ok(())
    }
}
