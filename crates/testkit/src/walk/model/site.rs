//! What the documents say of checkouts that a shop makes over the Admin API: the words and integers for their
//! transactions, and what the shop is told of each.

use super::gate::Page;
use super::{Expected, Model, OPEN, Payment, Script};

/// Tries that a payer has, and the seconds that a checkout is open.
pub const ATTEMPTS_MAX: u32 = 3;
pub const OPEN_FOR: i64 = 3 * super::DAY;

/// What the shop was told of one transaction: the last status, and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub last: Option<&'static str>,
    pub times: i64,
}

impl Told {
    fn tell(&mut self, status: &'static str) {
        if self.last != Some(status) {
            self.last = Some(status);
            self.times += 1;
        }
    }
}

/// The Admin API's side of a payment.
#[derive(Clone, Debug, Default)]
pub struct SiteSide {
    /// 24 hex digits.
    pub checkout: String,
    /// Those of each try, as far as they were shown.
    pub transactions: Vec<String>,
    /// The shop named an address for notices.
    pub notices: bool,
    /// Of each try.
    pub told: Vec<Told>,
    /// Of the checkout itself, which ended before anybody tried to pay.
    pub told_itself: Told,
    /// The merchant's own note, under the name `cart`.
    pub note: String,
    /// How it stood when it was compared last.
    pub compared: Option<Standing>,
}

/// All that the Admin API can show of a checkout and that may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    status: &'static str,
    tries: Vec<&'static str>,
    refunded: i64,
    refunds: usize,
    note: String,
}

/// The integer for a status.
pub fn code(status: &str) -> i64 {
    match status {
        "cancelled" => -2,
        "initiated" => -1,
        "pending_provider" => 0,
        "succeeded" => 1,
        "failed" => 2,
        "refunded" => 3,
        _ => i64::MIN,
    }
}

impl Payment {
    /// The status of one try.
    pub fn site_status(&self, n: usize) -> &'static str {
        match self.tries.get(n).copied() {
            Some("success") if self.refunded >= self.received => "refunded",
            Some("success") => "succeeded",
            Some("external_error") => "failed",
            Some("internal_error") => "cancelled",
            // A bank has it; whatever else is open waits for the payer, or for an answer that was lost.
            _ if matches!(self.waiting, Some(Script::Debit { .. })) || self.off_platform => {
                "pending_provider"
            }
            _ => "initiated",
        }
    }

    /// What its checkout is called.
    pub fn checkout_status(&self) -> &'static str {
        match self.status {
            "succeeded" => "completed",
            "canceled" if self.page.as_ref().is_some_and(|page| page.expired) => "expired",
            "canceled" => "cancelled",
            _ => "open",
        }
    }

    pub fn standing(&self) -> Standing {
        Standing {
            status: self.checkout_status(),
            tries: (0..self.tries.len()).map(|n| self.site_status(n)).collect(),
            refunded: self.refunded,
            refunds: self.refunds.len(),
            note: self.site.as_ref().map(|site| site.note.clone()).unwrap_or_default(),
        }
    }

    fn come_off_platform(&mut self) {
        self.status = "succeeded";
        self.received = self.amount;
        self.try_ends("success");
    }

    /// Each new status is told once; one that only began says nothing, nor does a refund that may still fail.
    pub fn tell_shop(&mut self) {
        let open = self.refunds.iter().any(|refund| refund.status == "pending");
        let told = |status| if open && status == "refunded" { "succeeded" } else { status };
        let now: Vec<&'static str> = (0..self.tries.len()).map(|n| told(self.site_status(n))).collect();
        let ended = self.status == "canceled";
        let Some(site) = self.site.as_mut().filter(|site| site.notices) else { return };
        site.told.resize(now.len(), Told::default());
        for (told, status) in site.told.iter_mut().zip(&now) {
            if *status != "initiated" {
                told.tell(status);
            }
        }
        if now.is_empty() && ended {
            site.told_itself.tell("cancelled");
        }
    }
}

impl Model {
    /// A checkout of the Admin API; its place among the payments.
    pub fn open_checkout(
        &mut self,
        code: &str,
        amount: i64,
        currency: &'static str,
        customer: Option<usize>,
        site: SiteSide,
    ) -> usize {
        self.payments.push(Payment::new(amount, currency, false, currency == "eur", customer));
        let i = self.payments.len() - 1;
        let expires_at = self.time_of(i).map(|now| now + OPEN_FOR);
        self.payments[i].page = Some(Page {
            uuid: code.to_owned(),
            price: amount,
            attempts_max: ATTEMPTS_MAX,
            expires_at,
            expired: false,
            refused: Vec::new(),
        });
        self.payments[i].site = Some(site);
        i
    }

    /// Closed early by the shop.
    pub fn expire_checkout(&mut self, i: usize) -> Expected {
        let p = &mut self.payments[i];
        if !OPEN.contains(&p.status) {
            return Expected { status: 409, code: Some("checkout_not_open") };
        }
        if let Some(page) = &mut p.page {
            page.expired = true;
        }
        p.cancel();
        Expected { status: 200, code: None }
    }

    /// By one of its transactions, of which only the latest can.
    pub fn cancel_transaction(&mut self, i: usize, n: usize) -> Expected {
        let tries = &self.payments[i].tries;
        if n + 1 != tries.len() || ["success", "external_error", "internal_error"].contains(&tries[n]) {
            return Expected { status: 409, code: Some("transaction_ended") };
        }
        match self.cancel(i).status {
            200 => Expected { status: 200, code: None },
            _ => Expected { status: 409, code: Some("unexpected_state") },
        }
    }

    /// Money that comes past the gateway pays an open checkout, or is awaited for it.
    pub fn pay_off_platform(&mut self, i: usize, received: bool) -> Expected {
        let now = self.time_of(i);
        let p = &mut self.payments[i];
        let over = p.page.as_ref().and_then(|page| page.expires_at).zip(now).is_some_and(|(t, now)| t <= now);
        if !OPEN.contains(&p.status) || over {
            return Expected { status: 409, code: Some("checkout_not_open") };
        }
        if p.status == "requires_action" {
            p.try_ends("internal_error");
        }
        p.tries.push("processing");
        p.attempts += 1;
        p.charges += 1;
        p.off_platform = true;
        p.status = "processing";
        (p.method, p.waiting, p.failure) = (None, None, None);
        if received {
            p.come_off_platform();
        }
        Expected { status: 201, code: None }
    }

    /// The awaited money came.
    pub fn mark_paid(&mut self, i: usize, n: usize) -> Expected {
        let p = &mut self.payments[i];
        let refuse = |code| Expected { status: 409, code: Some(code) };
        if !p.off_platform || n + 1 != p.tries.len() {
            return refuse("transaction_not_manual");
        }
        if !p.awaits_off_platform() {
            return refuse("transaction_ended");
        }
        p.come_off_platform();
        Expected { status: 200, code: None }
    }

    pub fn refund_transaction(&mut self, i: usize, n: usize, asked: Option<i64>) -> Expected {
        let refuse = |status, code| Expected { status, code: Some(code) };
        if self.payments[i].tries.get(n) != Some(&"success") {
            return refuse(409, "transaction_not_paid");
        }
        match self.refund(i, asked) {
            Expected { status: 201, .. } => Expected { status: 200, code: None },
            Expected { code: Some("charge_already_refunded"), .. } => refuse(409, "already_refunded"),
            Expected { code: Some("balance_insufficient"), .. } => refuse(409, "balance_insufficient"),
            _ => refuse(422, "amount_too_large"),
        }
    }
}
