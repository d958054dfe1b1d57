//! What must be true after a kill, and after the last one.

use super::client::{Client, Failure, Reply};
use super::gate::{Made, SignedAs};
use super::inbox::Callback;
use super::load::Sent;
use super::process::{Lines, Process};
use super::site::{Sales, Says};
use super::{CLIENTS, Run, SUBSCRIBED};
use crate::{Db, signer};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};
use store::StoreError;
use store::sandbox::ChargeState;
use store::sandbox_payouts::SandboxPayout;
use tokio::runtime::Runtime;

/// How long a request that was cut off may wait for what became of its provider call. A node of a shared
/// database counts as gone after ten seconds.
const RECONCILED_WITHIN: Duration = Duration::from_secs(60);
/// A delivery that was claimed by a process that died is made again when its claim, a minute, is over.
const DELIVERED_WITHIN: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(50);
const PAGES_MAX: usize = 100_000;

/// What the gateway shows in the end, for a comparison with the provider's own tables.
#[derive(Default)]
pub struct Books {
    /// Payment, captured and refunded of each charge, by its id.
    charges: HashMap<String, (String, i64, i64)>,
    /// Amount of each payout, and whether it was paid, by its id.
    payouts: HashMap<String, (i64, bool)>,
    sales: Sales,
}

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

fn send(lines: &mut Lines, sent: &Sent) -> Result<Reply, String> {
    sent.send(lines).map_err(told)
}

/// Asks for an answer again that was given before. A signed body has no stored answer: it names the same
/// transaction or operation, as it is by now.
fn replay(lines: &mut Lines, sent: &Sent, reply: &Reply) -> Result<(), String> {
    let again = send(lines, sent)?;
    let alike = match (&sent.signed, &sent.office) {
        (None, None) => again == (Reply { replayed: true, ..reply.clone() }),
        (Some(_), _) => sent.made(&again).is_some() && sent.made(&again) == sent.made(reply),
        (None, Some(office)) => office.alike(reply, &again),
    };
    if alike {
        return Ok(());
    }
    Err(format!(
        "{} {} was answered\n{reply:?}\nand under the same key later\n{again:?}",
        sent.key, sent.path
    ))
}

/// Sends a request that was cut off until it has its answer; whether that was not at once.
fn settle(lines: &mut Lines, sent: &mut Sent) -> Result<bool, String> {
    let since = Instant::now();
    let mut waited = false;
    loop {
        let reply = send(lines, sent)?;
        match reply.status {
            200 | 409 if sent.office.as_ref().is_some_and(|office| office.ends(&reply)) => {
                sent.reply = Some(reply);
                return Ok(waited);
            }
            // A try whose result is not known yet; a refund or a key that another life still holds.
            200 | 409 if sent.office.is_some() && since.elapsed() < RECONCILED_WITHIN => waited = true,
            _ if sent.made(&reply).is_some() => {
                sent.reply = Some(reply);
                return Ok(waited);
            }
            409 if sent.signed.is_some() && since.elapsed() < RECONCILED_WITHIN => waited = true,
            200 | 201 | 402 if sent.is_plain() => {
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
    work: impl Fn(&mut Lines, &mut T) -> Result<(), String> + Sync,
) -> Result<(), String> {
    let share = items.len().div_ceil(CLIENTS).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = items
            .chunks_mut(share)
            .map(|items| {
                let (mut lines, work) = (gateway.lines(), &work);
                scope.spawn(move || items.iter_mut().try_for_each(|item| work(&mut lines, item)))
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
        if let Some(signed) = &sent.signed {
            if let SignedAs::Refund { payment, amount, .. } = signed {
                let promised = payments.entry(payment.clone()).or_default();
                promised.refunds += 1;
                promised.refunded += amount;
            }
            continue;
        }
        if let (Some(office), Some(reply)) = (&sent.office, &sent.reply) {
            match office.says(reply)? {
                Says::Made(payment) => {
                    let status = "requires_payment_method".to_owned();
                    let made = Promised { status, ..Promised::default() };
                    if payments.insert(payment.clone(), made).is_some() {
                        return Err(format!("two requests made {payment}"));
                    }
                }
                Says::Stands { payment, status, received } => {
                    let promised = payments.entry(payment).or_default();
                    (promised.status, promised.received) = (status.to_owned(), received);
                }
                Says::Refunded { payment, amount } => {
                    let promised = payments.entry(payment).or_default();
                    promised.refunds += 1;
                    promised.refunded += amount;
                }
                Says::Nothing => {}
            }
            continue;
        }
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

/// Asks for a transaction's status until it is `expected`; the transaction then.
fn await_status(client: &mut Client, question: &str, expected: &str) -> Result<Value, String> {
    let since = Instant::now();
    loop {
        let reply = client.post_signed(signer::STATUS, question).map_err(told)?;
        let shown = reply.json()["data"].take();
        if reply.status == 200 && text(&shown, "status") == expected {
            return Ok(shown);
        }
        if reply.status != 200 || since.elapsed() > RECONCILED_WITHIN {
            return Err(format!("a transaction is not {expected}: {} {}", reply.status, reply.body));
        }
        std::thread::sleep(POLL);
    }
}

fn number_of_operations(shown: &Value) -> usize {
    shown["operations"].as_array().map_or(0, Vec::len)
}

/// One sale or payout, and one for each refund.
fn expected_operations(made: &Made, name: &str) -> usize {
    1 + made.refunds.get(name).map_or(0, Vec::len)
}

/// Each payout is at the provider once, and paid once or not at all.
fn compare_payouts(known: &[SandboxPayout], ours: &HashMap<String, (i64, bool)>) -> Result<(), String> {
    for theirs in known {
        let expected =
            ours.get(&theirs.payout).map(|(amount, paid)| (*amount, if *paid { *amount } else { 0 }));
        if expected != Some((theirs.amount, theirs.paid)) {
            return Err(format!("the sandbox has {theirs:?}, the gateway {expected:?}"));
        }
    }
    if known.len() == ours.len() {
        Ok(())
    } else {
        Err(format!("the sandbox has {} payouts, the gateway {}", known.len(), ours.len()))
    }
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
        Made::of(&sent)?;
        Sales::of(&sent)?;
        let mut payments: Vec<(String, Promised)> = promises(&sent)?.into_iter().collect();
        in_parallel(gateway, &mut payments, |lines, (id, promised)| {
            kept(
                &read(&mut lines.api, &format!("/v2/payment_intents/{id}?expand[]=latest_charge"))?,
                promised,
            )
        })?;
        self.answered.append(&mut sent);
        self.home.verify_books()
    }

    /// After the last round: every answer of all rounds again, every payment, every event; then an
    /// orderly stop. The charges and payouts as shown.
    pub(super) fn finish(&mut self, gateway: Process) -> Result<Books, String> {
        let mut answered = std::mem::take(&mut self.answered);
        in_parallel(&gateway, &mut answered, |client, sent| {
            let reply = sent.reply.clone().ok_or("a request without an answer")?;
            replay(client, sent, &reply)
        })?;
        self.report.replays += answered.len();
        let client = &mut gateway.client();
        let promised = promises(&answered)?;
        let made = Made::of(&answered)?;
        let sales = Sales::of(&answered)?;
        let tried = self.each_payment(client, &promised, &made)?;
        self.report.refunds = promised.values().map(|p| p.refunds).sum();
        self.report.captured = promised.values().filter(|p| p.received > 0).count();
        let failures =
            answered.iter().filter(|sent| sent.reply.as_ref().is_some_and(|r| r.status == 402)).count();
        let payouts = self.await_transactions(&gateway, &made, &tried)?;
        self.each_checkout(&gateway, &sales)?;
        let failures = failures + sales.failures;
        let mut wanted = made.callbacks(&tried);
        let ends = promised.iter().map(|(id, p)| (id.clone(), (p.status.clone(), p.refunded == p.received)));
        wanted.extend(sales.notices(&ends.collect()));
        self.await_events(&mut gateway.client(), &promised, failures, &wanted)?;
        // A new connection: the other one may have been idle for too long by now.
        let mut charges = HashMap::new();
        each_of(&mut gateway.client(), "/v2/charges", |charge| {
            let money = (number(charge, "amount_captured"), number(charge, "amount_refunded"));
            let payment = text(charge, "payment_intent").to_owned();
            charges.insert(text(charge, "id").to_owned(), (payment, money.0, money.1));
            Ok(())
        })?;
        gateway.stop()?;
        self.home.verify_books()?;
        Ok(Books { charges, payouts, sales })
    }

    /// Every payment is as promised and listed once, and none but those that were made: the pages on which a
    /// try was made by our name, each with its total if it was paid.
    fn each_payment(
        &mut self,
        client: &mut Client,
        promised: &HashMap<String, Promised>,
        made: &Made,
    ) -> Result<HashMap<String, Option<i64>>, String> {
        let (mut unseen, mut pages, mut tried) = (promised.clone(), made.pages.clone(), HashMap::new());
        self.report.payments = each_of(client, "/v2/payment_intents?expand[]=data.latest_charge", |shown| {
            let (id, page) = (text(shown, "id"), text(&shown["metadata"], "payment_id"));
            let known = unseen.remove(id);
            if !page.is_empty() && !pages.remove(page) {
                return Err(format!("{id} is a second page {page}, or was never asked for"));
            }
            if known.is_some() && !page.is_empty() {
                let total = (number(shown, "amount_received") > 0).then(|| number(shown, "amount"));
                tried.insert(page.to_owned(), total);
            }
            let open = || Promised { status: "requires_payment_method".to_owned(), ..Promised::default() };
            let promised = known.or_else(|| (!page.is_empty()).then(open));
            kept(shown, &promised.ok_or_else(|| format!("{id} is listed, but was not made (again)"))?)
        })?;
        self.report.pages = made.pages.len();
        match unseen.keys().chain(&pages).next() {
            None => Ok(tried),
            Some(id) => Err(format!("{} payments are lost, {id} among them", unseen.len() + pages.len())),
        }
    }

    /// Every checkout has the transactions that were told, and no other.
    fn each_checkout(&mut self, gateway: &Process, sales: &Sales) -> Result<(), String> {
        let mut all: Vec<String> = sales.checkouts.keys().cloned().collect();
        self.report.checkouts = all.len();
        in_parallel(gateway, &mut all, |lines, id| {
            sales.compare(&read(&mut lines.admin, &format!("/api/v1/checkouts/{id}"))?)
        })
    }

    /// Every transaction that was acknowledged is there under its uuid and our name, and comes to the status
    /// that it must have; the payouts among them.
    fn await_transactions(
        &mut self,
        gateway: &Process,
        made: &Made,
        tried: &HashMap<String, Option<i64>>,
    ) -> Result<HashMap<String, (i64, bool)>, String> {
        let payouts = std::sync::Mutex::new(HashMap::new());
        let mut all: Vec<(String, String)> =
            made.transactions.iter().filter_map(|(name, uuid)| Some((name.clone(), uuid.clone()?))).collect();
        in_parallel(gateway, &mut all, |lines, (name, uuid)| {
            let back: i64 =
                made.refunds.get(name.as_str()).into_iter().flatten().map(|(_, amount)| amount).sum();
            let expected = match (made.payouts.get(name.as_str()), tried.get(name.as_str())) {
                (Some((_, ends)), _) => ends,
                (None, None) => "created",
                (None, Some(None)) => "processing",
                (None, Some(Some(_))) if back == 0 => "success",
                (None, Some(Some(total))) if back < *total => "partially_refunded",
                (None, Some(Some(_))) => "refunded",
            };
            let shown = await_status(&mut lines.api, &gateway.shop.status(uuid), expected)?;
            if text(&shown, "payment_id") != name
                || number_of_operations(&shown) != expected_operations(made, name)
            {
                return Err(format!("{name} is not what was asked for: {shown}"));
            }
            if let Some((amount, ends)) = made.payouts.get(name.as_str()) {
                let id = text(&shown["operations"][0], "payment_system_transaction_id").to_owned();
                let mut payouts = payouts.lock().map_err(|_| "a client panicked".to_owned())?;
                payouts.insert(id, (*amount, *ends == "success"));
            }
            Ok(())
        })?;
        self.report.payouts = made.payouts.len();
        payouts.into_inner().map_err(|_| "a client panicked".to_owned())
    }

    /// There is one event for each end of a payment, each failure and each refund, and each reaches the
    /// receiver; so does each callback of Gate in `wanted`, once, and no other.
    fn await_events(
        &mut self,
        client: &mut Client,
        promised: &HashMap<String, Promised>,
        failures: usize,
        wanted: &BTreeSet<Callback>,
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
        loop {
            let (missing, _) = self.inbox.missing(wanted);
            let Some(first) = missing.first() else { break };
            if since.elapsed() > DELIVERED_WITHIN {
                return Err(format!(
                    "{} of {} callbacks did not come, {first:?} among them",
                    missing.len(),
                    wanted.len()
                ));
            }
            std::thread::sleep(POLL);
        }
        let ((_, settled), (arrived, repeats)) = (self.inbox.missing(wanted), self.inbox.count()?);
        let callbacks = self.inbox.callbacks();
        if settled != wanted.len() || arrived != events.len() + callbacks {
            return Err(format!(
                "{arrived} events and callbacks were delivered, {callbacks} callbacks among them, but there are {} and {}",
                events.len(),
                wanted.len()
            ));
        }
        (self.report.events, self.report.callbacks, self.report.repeats) = (events.len(), callbacks, repeats);
        Ok(())
    }

    /// Who moved money at the site, as the audit log has it.
    fn compare_audit(&self, runtime: &Runtime, store: &store::Store, sales: &Sales) -> Result<(), String> {
        let kind = Some(domain::audit::AuditKind::MoneyMoved);
        let filter = store::audit::AuditFilter { kind, ..Default::default() };
        let rows = runtime.block_on(engine::audit::list(store, filter, i64::from(i32::MAX)));
        let rows = rows.map_err(|e| format!("the audit log: {e:?}"))?;
        sales.compare_audit(rows.into_iter().filter_map(|row| row.subject))
    }

    /// The sandbox's own tables: each attempt submitted once, captured at most once and for what the
    /// gateway says, no payment captured by two attempts, and no account paid twice.
    pub(super) fn compare_provider(
        &mut self,
        runtime: &Runtime,
        db: &Db,
        books: &Books,
    ) -> Result<(), String> {
        let (store, charges) = (db.open(), &books.charges);
        let paid_out = runtime.block_on(store.read(store::sandbox_payouts::all));
        compare_payouts(&paid_out.map_err(|e: StoreError| e.to_string())?, &books.payouts)?;
        self.compare_audit(runtime, &store, &books.sales)?;
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
