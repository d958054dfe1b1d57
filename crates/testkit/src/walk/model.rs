//! What the documents say must happen, in plain integers. Nothing here calls the product: a mistake in
//! its rules must not be repeated in what it is compared with.

pub mod gate;
pub mod site;

use gate::{Page, Payout};
use site::SiteSide;
use std::collections::BTreeMap;

pub const DAY: i64 = 86_400;
const HOLD: i64 = 7 * DAY;
const SETTLEMENT: i64 = 2 * DAY;
const ATTEMPTS: u32 = 100;

const STATE: &str = "payment_intent_unexpected_state";
const OPEN: &[&str] = &["requires_payment_method", "requires_confirmation", "requires_action"];

/// What the provider makes of a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    Approve {
        at_once: bool,
    },
    Decline(&'static str),
    /// The payer must answer; then approved, or declined with this code.
    Challenge {
        then: Option<&'static str>,
    },
    /// No answer comes; the truth, by asking later.
    Lost(Truth),
    /// A bank debit: accepted, and decided later.
    Debit {
        fails: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    Approved,
    Declined(&'static str),
    NeverArrived,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundScript {
    AtOnce,
    Later,
    Fails,
}

#[derive(Clone, Debug)]
pub struct Method {
    /// How requests name it.
    pub token: String,
    pub script: Script,
    pub refund: RefundScript,
    /// The customer that it was saved for.
    pub owner: Option<usize>,
}

#[derive(Clone, Debug)]
pub struct Refund {
    pub id: String,
    pub amount: i64,
    pub status: &'static str,
    script: RefundScript,
    overdraft: i64,
}

#[derive(Clone, Debug)]
pub struct Payment {
    pub id: String,
    pub amount: i64,
    pub currency: &'static str,
    pub manual: bool,
    /// Bank debits are among its method types.
    pub debits: bool,
    pub customer: Option<usize>,
    pub status: &'static str,
    pub capturable: i64,
    pub received: i64,
    pub refunded: i64,
    /// Attempts that are listed as charges.
    pub charges: usize,
    /// Attempts that the provider has seen.
    pub arrived: usize,
    /// Code of the latest failure, until the next try.
    pub failure: Option<&'static str>,
    pub failures: usize,
    pub refunds: Vec<Refund>,
    /// Of one that has a page: made through Gate, or over the Admin API.
    pub page: Option<Page>,
    /// Of one that was made over the Admin API.
    pub site: Option<SiteSide>,
    /// How each try went, in Gate's words.
    pub tries: Vec<&'static str>,
    /// The latest try stands for money that goes past the gateway. There is none after it.
    pub off_platform: bool,
    method: Option<Method>,
    /// What the provider will say about the attempt under way.
    waiting: Option<Script>,
    attempts: u32,
    /// Its own part of the merchant's pending balance.
    pending: i64,
    fee: i64,
    /// How much of the kept fee refunds have drawn on.
    overdrawn: i64,
    available_on: Option<i64>,
    capture_before: Option<i64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    pub pending: i64,
    pub available: i64,
    pub fees: i64,
}

/// The answer that is due: status, and the error's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    pub status: u16,
    pub code: Option<&'static str>,
}

const fn ok(status: u16) -> Expected {
    Expected { status, code: None }
}

const fn refuse(code: &'static str) -> Expected {
    Expected { status: 400, code: Some(code) }
}

/// A merchant's payments, balances, and the clocks that some of its customers live by.
#[derive(Debug, Default)]
pub struct Model {
    pub payments: Vec<Payment>,
    pub balances: BTreeMap<&'static str, Balance>,
    /// Each customer's clock.
    pub customers: Vec<Option<usize>>,
    /// Unix seconds of each test clock.
    pub clocks: Vec<i64>,
    pub payouts: Vec<Payout>,
}

/// 2.9 % of what was captured, rounded half up, and 25; never more than was captured.
pub fn fee(captured: i64) -> i64 {
    asked_fee(captured).min(captured)
}

/// The same as the rule has it.
fn asked_fee(captured: i64) -> i64 {
    (captured * 29 + 500) / 1_000 + 25
}

impl Refund {
    /// What the sandbox's own table says of it, from the first moment on.
    pub fn at_provider(&self) -> &'static str {
        match self.script {
            RefundScript::AtOnce => "done",
            RefundScript::Later => "pending",
            RefundScript::Fails => "failing",
        }
    }
}

impl Payment {
    pub fn new(
        amount: i64,
        currency: &'static str,
        manual: bool,
        debits: bool,
        customer: Option<usize>,
    ) -> Payment {
        Payment {
            id: String::new(),
            amount,
            currency,
            manual,
            debits,
            customer,
            status: "requires_payment_method",
            capturable: 0,
            received: 0,
            refunded: 0,
            charges: 0,
            arrived: 0,
            failure: None,
            failures: 0,
            refunds: Vec::new(),
            page: None,
            site: None,
            tries: Vec::new(),
            off_platform: false,
            method: None,
            waiting: None,
            attempts: 0,
            pending: 0,
            fee: 0,
            overdrawn: 0,
            available_on: None,
            capture_before: None,
        }
    }

    /// Why a method cannot pay this: kind, currency, capture, owner, in this order.
    fn misfit(&self, method: &Method) -> Option<&'static str> {
        if matches!(method.script, Script::Debit { .. }) {
            if !self.debits {
                return Some("payment_intent_incompatible_payment_method");
            }
            if self.currency != "eur" {
                return Some("payment_method_currency_mismatch");
            }
            if self.manual {
                return Some("capture_method_not_supported");
            }
        }
        let foreign = method.owner.is_some() && method.owner != self.customer;
        foreign.then_some("payment_method_customer_mismatch")
    }

    /// A page whose payer has no try left ends with its last one.
    fn fail(&mut self, code: &'static str) {
        self.status = "requires_payment_method";
        self.method = None;
        self.waiting = None;
        self.failure = Some(code);
        self.failures += 1;
        self.try_ends("external_error");
        if self.page.as_ref().is_some_and(|page| self.attempts >= page.attempts_max) {
            self.cancel();
        }
    }

    fn try_ends(&mut self, how: &'static str) {
        if let Some(latest) = self.tries.last_mut() {
            *latest = how;
        }
    }

    /// The merchant said that money is on its way to it.
    pub fn awaits_off_platform(&self) -> bool {
        self.off_platform && self.status == "processing"
    }

    fn cancel(&mut self) {
        if self.status == "requires_action" || self.awaits_off_platform() {
            self.try_ends("internal_error");
        }
        self.status = "canceled";
        self.capturable = 0;
        self.capture_before = None;
        self.waiting = None;
    }
}

impl Model {
    fn clock_of(&self, i: usize) -> Option<usize> {
        self.payments[i].customer.and_then(|c| self.customers[c])
    }

    /// The payment's own time; `None` for the wall clock, by which nothing falls due during a walk.
    fn time_of(&self, i: usize) -> Option<i64> {
        self.clock_of(i).map(|c| self.clocks[c])
    }

    /// Creates a payment; nothing is left of one whose method is refused.
    pub fn create(&mut self, new: Payment, method: Option<Method>, confirm: bool) -> Expected {
        self.payments.push(new);
        let i = self.payments.len() - 1;
        let expected = if confirm {
            self.confirm(i, method, false)
        } else {
            match method.as_ref().map(|m| self.payments[i].misfit(m)) {
                Some(Some(code)) => refuse(code),
                Some(None) => {
                    self.payments[i].method = method;
                    self.payments[i].status = "requires_confirmation";
                    ok(200)
                }
                None => ok(200),
            }
        };
        match expected.status {
            400 => drop(self.payments.pop()),
            200 => return ok(201),
            _ => {}
        }
        expected
    }

    /// `off_session`: the payer is not there to answer a challenge, at this confirm.
    pub fn confirm(&mut self, i: usize, method: Option<Method>, off_session: bool) -> Expected {
        let p = &mut self.payments[i];
        if !OPEN.contains(&p.status) {
            return refuse(STATE);
        }
        let Some(method) = method.or_else(|| p.method.clone()) else { return refuse(STATE) };
        if let Some(code) = p.misfit(&method) {
            return refuse(code);
        }
        if p.attempts >= ATTEMPTS {
            return refuse("payment_intent_payment_attempt_limit");
        }
        p.attempts += 1;
        if p.status == "requires_action" {
            p.try_ends("internal_error");
        }
        p.tries.push("processing");
        p.status = "processing";
        p.waiting = None;
        p.failure = None;
        let script = method.script;
        p.arrived += usize::from(script != Script::Lost(Truth::NeverArrived));
        p.method = Some(method);
        match script {
            Script::Approve { at_once } => self.approve(i, at_once),
            Script::Decline(code) => self.decline(i, code),
            Script::Challenge { .. } if off_session => self.decline(i, "authentication_required"),
            Script::Challenge { .. } => {
                let p = &mut self.payments[i];
                p.status = "requires_action";
                p.waiting = Some(script);
                ok(200)
            }
            Script::Lost(_) => {
                self.payments[i].waiting = Some(script);
                ok(200)
            }
            Script::Debit { .. } => {
                let p = &mut self.payments[i];
                p.waiting = Some(script);
                p.charges += 1;
                ok(200)
            }
        }
    }

    fn decline(&mut self, i: usize, code: &'static str) -> Expected {
        self.payments[i].charges += 1;
        self.payments[i].fail(code);
        Expected { status: 402, code: Some(code) }
    }

    fn approve(&mut self, i: usize, at_once: bool) -> Expected {
        self.payments[i].charges += 1;
        self.take_or_hold(i, at_once);
        ok(200)
    }

    fn take_or_hold(&mut self, i: usize, at_once: bool) {
        let now = self.time_of(i);
        let p = &mut self.payments[i];
        p.waiting = None;
        if p.manual {
            p.status = "requires_capture";
            p.capturable = p.amount;
            p.capture_before = now.map(|t| t + HOLD);
        } else {
            let amount = p.amount;
            self.take(i, amount, at_once);
        }
    }

    fn take(&mut self, i: usize, captured: i64, at_once: bool) {
        let now = self.time_of(i);
        let p = &mut self.payments[i];
        p.status = "succeeded";
        p.try_ends("success");
        p.received = captured;
        p.capturable = 0;
        p.capture_before = None;
        p.fee = fee(captured);
        let net = captured - p.fee;
        let balance = self.balances.entry(p.currency).or_default();
        balance.fees += p.fee;
        if at_once {
            balance.available += net;
        } else {
            balance.pending += net;
            p.pending = net;
            p.available_on = now.map(|t| t + SETTLEMENT);
        }
    }

    /// The payer's answer to a challenge, by the test helper: a failure is an expected result, 200.
    pub fn authenticate(&mut self, i: usize, passed: bool) -> Expected {
        let p = &mut self.payments[i];
        let (true, Some(Script::Challenge { then })) = (p.status == "requires_action", p.waiting) else {
            return refuse(STATE);
        };
        match (passed, then) {
            (false, _) => p.fail("payment_intent_authentication_failure"),
            (true, Some(code)) => drop(self.decline(i, code)),
            (true, None) => drop(self.approve(i, false)),
        }
        ok(200)
    }

    /// A new amount makes what the payer was asked to agree to void: a challenge ends, and the payment
    /// must be confirmed again. The terms of a page stand.
    pub fn update_amount(&mut self, i: usize, amount: i64) -> Expected {
        let p = &mut self.payments[i];
        if p.page.is_some() {
            return refuse("payment_intent_terms_fixed");
        }
        if !OPEN.contains(&p.status) {
            return refuse(STATE);
        }
        p.amount = amount;
        if p.status == "requires_action" {
            p.status = "requires_confirmation";
            p.waiting = None;
        }
        ok(200)
    }

    pub fn capture(&mut self, i: usize, asked: Option<i64>) -> Expected {
        let p = &self.payments[i];
        if p.status != "requires_capture" {
            return refuse(STATE);
        }
        let amount = asked.unwrap_or(p.capturable);
        if amount > p.capturable {
            return refuse("amount_too_large");
        }
        self.take(i, amount, false);
        ok(200)
    }

    pub fn increment(&mut self, i: usize, total: i64) -> Expected {
        let p = &mut self.payments[i];
        if p.status != "requires_capture" {
            return refuse(STATE);
        }
        if total <= p.amount {
            return refuse("amount_too_small");
        }
        p.amount = total;
        p.capturable = total;
        ok(200)
    }

    pub fn cancel(&mut self, i: usize) -> Expected {
        let p = &mut self.payments[i];
        if !OPEN.contains(&p.status) && p.status != "requires_capture" && !p.awaits_off_platform() {
            return refuse(STATE);
        }
        p.cancel();
        ok(200)
    }

    /// A customer is erased: what of theirs nobody has paid ends.
    pub fn erase(&mut self, customer: usize) {
        for p in self.payments.iter_mut().filter(|p| p.customer == Some(customer)) {
            if OPEN.contains(&p.status) {
                p.cancel();
            }
        }
    }

    /// Takes a refund from the payment's own pending part, then from available, which may go below zero
    /// only by what is left of the fee kept on this payment.
    pub fn refund(&mut self, i: usize, asked: Option<i64>) -> Expected {
        let p = &mut self.payments[i];
        if p.status != "succeeded" {
            return refuse("charge_not_refundable");
        }
        let left = p.refundable() - p.refunded;
        if left == 0 {
            return refuse("charge_already_refunded");
        }
        let amount = asked.unwrap_or(left);
        if amount > left {
            return Expected { status: 400, code: None };
        }
        if p.off_platform {
            // The merchant gave it back itself: no balance has it, and nobody is asked.
            p.refunded += amount;
            let (status, script) = ("succeeded", RefundScript::AtOnce);
            p.refunds.push(Refund { id: String::new(), amount, status, script, overdraft: 0 });
            return ok(201);
        }
        let balance = self.balances.entry(p.currency).or_default();
        let from_pending = amount.min(p.pending);
        let from_available = amount - from_pending;
        let overdraft = (from_available - balance.available.max(0)).max(0);
        if overdraft > p.fee - p.overdrawn {
            return refuse("balance_insufficient");
        }
        balance.pending -= from_pending;
        balance.available -= from_available;
        p.pending -= from_pending;
        p.overdrawn += overdraft;
        p.refunded += amount;
        let script = p.method.as_ref().map_or(RefundScript::AtOnce, |m| m.refund);
        let status = if script == RefundScript::AtOnce { "succeeded" } else { "pending" };
        p.refunds.push(Refund { id: String::new(), amount, status, script, overdraft });
        ok(201)
    }

    /// Every question to the provider that waits on the wall clock is asked and answered.
    pub fn ask_provider(&mut self) {
        self.settle_payouts();
        for i in 0..self.payments.len() {
            match self.payments[i].waiting {
                Some(Script::Lost(Truth::Approved)) => drop(self.approve(i, false)),
                Some(Script::Lost(Truth::Declined(code))) => drop(self.decline(i, code)),
                Some(Script::Lost(Truth::NeverArrived)) => self.payments[i].fail("processing_error"),
                _ => {}
            }
            if self.clock_of(i).is_none() {
                self.bank_decides(i);
            }
            self.payments[i].tell_shop();
        }
    }

    /// What banks decide later is decided: the debit, and refunds that were pending.
    fn bank_decides(&mut self, i: usize) {
        if let Some(Script::Debit { fails }) = self.payments[i].waiting {
            if fails {
                self.payments[i].fail("payment_method_provider_decline");
            } else {
                self.take_or_hold(i, false);
            }
        }
        let p = &mut self.payments[i];
        for refund in p.refunds.iter_mut().filter(|r| r.status == "pending") {
            refund.status = "succeeded";
            if refund.script == RefundScript::Fails {
                refund.status = "failed";
                p.refunded -= refund.amount;
                p.overdrawn -= refund.overdraft;
                self.balances.entry(p.currency).or_default().available += refund.amount;
            }
        }
    }

    /// Moves a clock, and does what falls due on the way. What banks decide is due at once.
    pub fn advance(&mut self, clock: usize, to: i64) {
        let lives = |m: &Model, i: usize| m.clock_of(i) == Some(clock);
        for i in (0..self.payments.len()).filter(|i| lives(self, *i)).collect::<Vec<_>>() {
            self.bank_decides(i);
            let p = &mut self.payments[i];
            if p.available_on.is_some_and(|t| t <= to) {
                let balance = self.balances.entry(p.currency).or_default();
                balance.pending -= p.pending;
                balance.available += p.pending;
                p.pending = 0;
                p.available_on = None;
            }
            if p.capture_before.is_some_and(|t| t <= to) {
                p.cancel();
            }
            p.expire(to);
            p.tell_shop();
        }
        self.clocks[clock] = to;
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
