//! What the documents say of payment pages, payouts and the words that Gate has for both.

use super::{Balance, Expected, Method, Model, OPEN, Payment, asked_fee};

/// What the service adds to each payment in its own currency, the tries that a payer has, and the seconds
/// that a page is open.
pub const COST: i64 = 54;
pub const OWN_CURRENCY: &str = "eur";
pub const ATTEMPTS_MAX: u32 = 3;
pub const OPEN_FOR: i64 = 3 * super::DAY;
/// The fee on a payout, besides its one per cent.
pub const PAYOUT_FIXED: i64 = 10;

/// The code for a balance that is short.
pub const SHORT: u64 = 223;
/// What a fee that cannot be taken is called.
pub const NO_FEE: u64 = 434;

/// The Gate side of a payment.
#[derive(Clone, Debug)]
pub struct Page {
    pub uuid: String,
    /// What may be given back: the price, without the service's cost.
    pub price: i64,
    pub attempts_max: u32,
    /// Seconds of the payment's test clock; `None`: not during a walk.
    pub expires_at: Option<i64>,
    pub expired: bool,
    /// Amounts of refunds that the balance could not bear, each an operation that failed.
    pub refused: Vec<i64>,
}

/// What the sandbox does with a payout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayoutScript {
    Pays,
    Fails,
    /// Accepted or on its way first, and decided when it is asked about.
    Later {
        first: &'static str,
        fails: bool,
    },
}

#[derive(Clone, Debug)]
pub struct Payout {
    pub uuid: String,
    pub id: String,
    pub amount: i64,
    pub fee: i64,
    pub currency: &'static str,
    pub script: PayoutScript,
    /// Of the transaction.
    pub status: &'static str,
    /// The balance was short: nothing was taken.
    pub refused: bool,
}

impl Payout {
    pub fn total(&self) -> i64 {
        self.amount + self.fee
    }

    pub fn is_open(&self) -> bool {
        matches!(self.status, "created" | "processing")
    }

    /// The status of its one operation.
    pub fn operation(&self) -> &'static str {
        match (self.status, self.refused) {
            ("failed", true) => "internal_error",
            ("failed", false) => "external_error",
            (status, _) => status,
        }
    }
}

/// One per cent, rounded half up, and the fixed part; never more than the amount.
pub fn payout_fee(amount: i64) -> i64 {
    ((amount + 50) / 100 + PAYOUT_FIXED).min(amount)
}

/// What the payer pays on top.
pub fn cost(currency: &str) -> i64 {
    if currency == OWN_CURRENCY { COST } else { 0 }
}

impl Payment {
    /// What may be given back of it in all.
    pub fn refundable(&self) -> i64 {
        self.page.as_ref().map_or(self.received, |page| self.received.min(page.price))
    }

    /// The status of the Gate transaction.
    pub fn transaction(&self, page: &Page) -> &'static str {
        let refunded: i64 = self.refunds.iter().filter(|r| r.status == "succeeded").map(|r| r.amount).sum();
        match self.status {
            "canceled" if page.expired => "expired",
            "canceled" => "failed",
            "succeeded" if refunded == 0 => "success",
            "succeeded" if refunded < page.price => "partially_refunded",
            "succeeded" => "refunded",
            "requires_payment_method" | "requires_confirmation" if self.tries.is_empty() => "created",
            _ => "processing",
        }
    }

    /// Type, status and amount of each operation, in no order.
    pub fn operations(&self, page: &Page) -> Vec<(&'static str, &'static str, i64)> {
        let mut all: Vec<_> = self.tries.iter().map(|status| ("sale", *status, self.amount)).collect();
        if all.is_empty() {
            let waits = if self.status == "canceled" { "internal_error" } else { "init" };
            all.push(("sale", waits, self.amount));
        }
        all.extend(self.refunds.iter().map(|refund| {
            let status = match refund.status {
                "succeeded" => "success",
                "pending" => "processing",
                _ => "external_error",
            };
            ("refund", status, refund.amount)
        }));
        all.extend(page.refused.iter().map(|amount| ("refund", "internal_error", *amount)));
        all
    }

    /// The page's time is over at `now`. What is at the provider, or waits for the payer, ends there first.
    pub(super) fn expire(&mut self, now: i64) {
        if !OPEN.contains(&self.status) || self.status == "requires_action" {
            return;
        }
        let Some(page) = &mut self.page else { return };
        if page.expires_at.is_some_and(|t| t <= now) {
            page.expired = true;
            self.cancel();
        }
    }
}

impl Model {
    /// The code of the answer to a purchase: no fee may leave the merchant less than nothing.
    pub fn purchase_code(&self, price: i64, currency: &str) -> u64 {
        let total = price + cost(currency);
        if asked_fee(total) > total { NO_FEE } else { 200 }
    }

    /// A page for `price` and the service's cost.
    pub fn purchase(&mut self, uuid: &str, price: i64, currency: &'static str, customer: Option<usize>) {
        let total = price + cost(currency);
        self.payments.push(Payment::new(total, currency, false, currency == "eur", customer));
        let i = self.payments.len() - 1;
        let expires_at = self.time_of(i).map(|now| now + OPEN_FOR);
        self.payments[i].page = Some(Page {
            uuid: uuid.to_owned(),
            price,
            attempts_max: ATTEMPTS_MAX,
            expires_at,
            expired: false,
            refused: Vec::new(),
        });
    }

    /// Whether a form of the page does anything.
    pub fn payable(&self, i: usize) -> bool {
        let (p, now) = (&self.payments[i], self.time_of(i));
        let Some(page) = &p.page else { return false };
        let over = page.expires_at.zip(now).is_some_and(|(t, now)| t <= now);
        OPEN.contains(&p.status) && !over && p.attempts < page.attempts_max
    }

    /// The payer sends the page's form: a confirm, with the payer there.
    pub fn pay_page(&mut self, i: usize, method: Method) {
        if self.payable(i) {
            self.confirm(i, Some(method), false);
        }
    }

    pub fn abandon(&mut self, i: usize) {
        if OPEN.contains(&self.payments[i].status) {
            self.payments[i].cancel();
        }
    }

    /// The code of the answer: an HTTP status, or 223.
    pub fn gate_refund(&mut self, i: usize, amount: i64) -> u64 {
        match self.refund(i, Some(amount)) {
            Expected { status: 201, .. } => 200,
            Expected { code: Some("balance_insufficient"), .. } => SHORT,
            _ => 422,
        }
    }

    /// The code of the answer to a payout, which is added.
    pub fn payout(&mut self, amount: i64, currency: &'static str, script: PayoutScript) -> u64 {
        let fee = payout_fee(amount);
        let balance = self.balances.entry(currency).or_default();
        let refused = amount + fee > balance.available;
        let status = match script {
            _ if refused => "failed",
            PayoutScript::Pays => "success",
            PayoutScript::Fails => "failed",
            PayoutScript::Later { first, .. } => first,
        };
        let payout =
            Payout { uuid: String::new(), id: String::new(), amount, fee, currency, script, status, refused };
        if !refused && script != PayoutScript::Fails {
            take(balance, &payout);
        }
        self.payouts.push(payout);
        if refused { SHORT } else { 200 }
    }

    pub(super) fn settle_payouts(&mut self) {
        for payout in self.payouts.iter_mut().filter(|p| p.is_open()) {
            let PayoutScript::Later { fails, .. } = payout.script else { continue };
            payout.status = if fails { "failed" } else { "success" };
            if fails {
                let balance = self.balances.entry(payout.currency).or_default();
                balance.available += payout.total();
                balance.fees -= payout.fee;
            }
        }
    }

    /// What is in transit to bank accounts, fees included.
    pub fn in_transit(&self, currency: &str) -> i64 {
        self.payouts.iter().filter(|p| p.is_open() && p.currency == currency).map(Payout::total).sum()
    }
}

fn take(balance: &mut Balance, payout: &Payout) {
    balance.available -= payout.total();
    balance.fees += payout.fee;
}
