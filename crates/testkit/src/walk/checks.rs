//! Everything that a merchant can read, compared with the model; and at the end the books, the seals
//! and the provider's own tables.

use super::{Step, Walk, same};
use domain::currency::Currency;
use domain::ledger::{AccountKey, AccountKind};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use store::StoreError;
use store::sandbox::ChargeState;

const PAGES_MAX: usize = 100_000;

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or("")
}

fn number(object: &Value, field: &str) -> i64 {
    object[field].as_i64().unwrap_or(i64::MIN)
}

impl Walk {
    /// A payment and its latest charge, as read.
    pub(super) async fn compare_payment(&mut self, i: usize) -> Step<()> {
        let id = self.model.payments[i].id.clone();
        let read = self.read(&format!("/v2/payment_intents/{id}?expand[]=latest_charge")).await?;
        self.compare_shown(i, &read)?;
        let (p, charge) = (&self.model.payments[i], &read["latest_charge"]);
        same(format!("whether {id} has a charge"), charge.is_object(), p.charges > 0)?;
        if p.charges > 0 {
            let got = [number(charge, "amount_captured"), number(charge, "amount_refunded")];
            same(format!("captured and refunded of the charge of {id}"), got, [p.received, p.refunded])?;
        }
        self.compare_page(i).await
    }

    /// A payment as an answer or a list shows it.
    fn compare_shown(&self, i: usize, shown: &Value) -> Step<()> {
        let p = &self.model.payments[i];
        same(format!("the status of {}", p.id), text(shown, "status"), p.status)?;
        same(format!("the currency of {}", p.id), text(shown, "currency"), p.currency)?;
        let fields = ["amount", "amount_capturable", "amount_received"];
        let got = fields.map(|field| number(shown, field));
        same(format!("{fields:?} of {}", p.id), got, [p.amount, p.capturable, p.received])?;
        match p.failure {
            Some(code) => {
                same(format!("the failure of {}", p.id), text(&shown["last_payment_error"], "code"), code)
            }
            None => Ok(()),
        }
    }

    pub(super) async fn compare_balances(&mut self) -> Step<()> {
        let read = self.read("/v2/balance").await?;
        for (field, pick) in [("pending", true), ("available", false)] {
            let listed = read[field].as_array().cloned().unwrap_or_default();
            let codes: Vec<&str> = listed.iter().map(|entry| text(entry, "currency")).collect();
            same(format!("the order of {field} balances"), codes.is_sorted(), true)?;
            let got: BTreeMap<&str, i64> =
                listed.iter().map(|entry| (text(entry, "currency"), number(entry, "amount"))).collect();
            same(format!("currencies named once in {field}"), got.len(), listed.len())?;
            for currency in got.keys().chain(self.model.balances.keys()) {
                let balance = self.model.balances.get(currency).copied().unwrap_or_default();
                let expected = if pick { balance.pending } else { balance.available };
                let got = got.get(currency).copied().unwrap_or(0);
                same(format!("{field} in {currency}"), got, expected)?;
            }
        }
        self.compare_transit().await
    }

    /// What was taken for payouts that are not paid yet, with their fees.
    async fn compare_transit(&mut self) -> Step<()> {
        for name in self.model.balances.keys() {
            let currency = Currency::parse(name).map_err(|e| e.to_string())?;
            let scope = self.app.scope();
            let account = AccountKey { scope, currency, kind: AccountKind::PayoutTransit, owner: None };
            let read = self.app.store.write(move |tx| store::ledger::lock_balance(tx, account)).await;
            let held = read.map_err(|e| format!("{e:?}"))?.saturating_neg();
            same(format!("in transit in {name}"), held, self.model.in_transit(name))?;
        }
        Ok(())
    }

    pub(super) async fn compare_touched(&mut self) -> Step<()> {
        for i in std::mem::take(&mut self.touched) {
            self.compare_payment(i).await?;
        }
        self.compare_balances().await
    }

    /// Every payment, every list, every balance, and the books.
    pub(super) async fn compare_all(&mut self) -> Step<()> {
        self.touched.clear();
        for i in 0..self.model.payments.len() {
            self.compare_payment(i).await?;
        }
        for n in 0..self.model.payouts.len() {
            self.compare_payout(n).await?;
        }
        self.compare_balances().await?;
        self.compare_payment_list().await?;
        self.compare_refund_list().await?;
        self.compare_charge_list().await?;
        self.compare_history().await?;
        self.compare_events().await?;
        self.compare_site().await?;
        self.compare_books().await?;
        self.report.comparisons += 1;
        Ok(())
    }

    /// All pages of a list, newest first, with a random page size; each page is also read backwards.
    async fn all_of(&mut self, path: &str) -> Step<Vec<Value>> {
        let limit = self.random.below(100) + 1;
        let join = if path.contains('?') { '&' } else { '?' };
        let (mut all, mut after, mut first_of_last) = (Vec::<Value>::new(), String::new(), String::new());
        for _ in 0..PAGES_MAX {
            let page = self.read(&format!("{path}{join}limit={limit}{after}")).await?;
            let data = page["data"].as_array().cloned().ok_or_else(|| format!("{path} has no data"))?;
            let more = page["has_more"] == true;
            same(
                format!("objects on a page of {path}"),
                data.len() <= limit && !(more && data.len() < limit),
                true,
            )?;
            if !first_of_last.is_empty() && !data.is_empty() {
                let back = self
                    .read(&format!("{path}{join}limit={limit}&ending_before={}", text(&data[0], "id")))
                    .await?;
                let from = all.len() - limit;
                same(
                    format!("a page of {path} read backwards"),
                    back["data"].as_array(),
                    Some(&all[from..].to_vec()),
                )?;
            }
            first_of_last = data.first().map(|o| text(o, "id").to_owned()).unwrap_or_default();
            after = format!("&starting_after={}", data.last().map_or("", |o| text(o, "id")));
            all.extend(data);
            if !more {
                // Events are listed as they were written, whatever clock their objects live by.
                let in_order = |newer: &Value, older: &Value| match text(newer, "object") {
                    "event" => text(newer, "id") > text(older, "id"),
                    _ => number(newer, "created") >= number(older, "created"),
                };
                let newest_first = all.windows(2).all(|w| in_order(&w[0], &w[1]));
                same(format!("{path} newest first"), newest_first, true)?;
                return Ok(all);
            }
        }
        Err(format!("{path} does not end"))
    }

    /// Whether two objects of one second are listed newest first: by id on a test clock, whose time
    /// stands still, and else by the order in which they were made.
    fn in_order(&self, newer: (&Value, usize), older: (&Value, usize)) -> bool {
        let clocked = |payment: usize| {
            self.model.payments[payment].customer.is_some_and(|c| self.model.customers[c].is_some())
        };
        let ((a, payment), (b, _)) = (newer, older);
        number(a, "created") > number(b, "created") || !clocked(payment) || text(a, "id") > text(b, "id")
    }

    async fn compare_payment_list(&mut self) -> Step<()> {
        let listed = self.all_of("/v2/payment_intents").await?;
        same("payments listed", listed.len(), self.model.payments.len())?;
        let place = self.places();
        let mut unclocked = usize::MAX;
        let mut previous: Option<(&Value, usize)> = None;
        for shown in &listed {
            let id = text(shown, "id");
            let i = *place.get(id).ok_or_else(|| format!("{id} is listed, but was never made"))?;
            self.compare_shown(i, shown)?;
            let by_wall_clock =
                self.model.payments[i].customer.is_none_or(|c| self.model.customers[c].is_none());
            if by_wall_clock {
                same("the order of payments by the wall clock", i < unclocked, true)?;
                unclocked = i;
            }
            let in_order = previous.is_none_or(|p| self.in_order(p, (shown, i)));
            same(format!("the place of {id} in the list"), in_order, true)?;
            previous = Some((shown, i));
        }
        for c in 0..self.customers.len() {
            let path = format!("/v2/payment_intents?customer={}", self.customers[c].0);
            let expected = self.model.payments.iter().filter(|p| p.customer == Some(c)).count();
            same(format!("payments of customer {c}"), self.all_of(&path).await?.len(), expected)?;
        }
        Ok(())
    }

    /// The place of each payment in the model, by its id.
    fn places(&self) -> HashMap<String, usize> {
        self.model.payments.iter().enumerate().map(|(i, p)| (p.id.clone(), i)).collect()
    }

    async fn compare_refund_list(&mut self) -> Step<()> {
        let listed = self.all_of("/v2/refunds").await?;
        let mut expected: HashMap<&str, (usize, i64, &str)> = HashMap::new();
        for (i, p) in self.model.payments.iter().enumerate() {
            expected.extend(p.refunds.iter().map(|r| (r.id.as_str(), (i, r.amount, r.status))));
        }
        same("refunds listed", listed.len(), expected.len())?;
        let mut previous: Option<(&Value, usize)> = None;
        for shown in &listed {
            let id = text(shown, "id");
            let (i, amount, status) =
                expected.remove(id).ok_or_else(|| format!("{id} is not expected (again)"))?;
            let got = (text(shown, "payment_intent"), number(shown, "amount"), text(shown, "status"));
            same(format!("refund {id}"), got, (self.model.payments[i].id.as_str(), amount, status))?;
            let in_order = previous.is_none_or(|p| self.in_order(p, (shown, i)));
            same(format!("the place of {id} in the list"), in_order, true)?;
            previous = Some((shown, i));
        }
        let i = self.random.below(self.model.payments.len());
        let path = format!("/v2/payment_intents/{}/refunds", self.model.payments[i].id);
        same("refunds of one payment", self.all_of(&path).await?.len(), self.model.payments[i].refunds.len())
    }

    async fn compare_charge_list(&mut self) -> Step<()> {
        let listed = self.all_of("/v2/charges").await?;
        let place = self.places();
        let mut totals = vec![(0usize, 0i64, 0i64); self.model.payments.len()];
        for charge in &listed {
            let i = *place.get(text(charge, "payment_intent")).ok_or("a charge of an unknown payment")?;
            totals[i].0 += 1;
            totals[i].1 += number(charge, "amount_captured");
            totals[i].2 += number(charge, "amount_refunded");
        }
        for (p, total) in self.model.payments.iter().zip(totals) {
            same(
                format!("charges, captured and refunded of {}", p.id),
                total,
                (p.charges, p.received, p.refunded),
            )?;
        }
        Ok(())
    }

    /// Balance transactions: one for each capture, refund, payout and failure of the last two; they sum to the
    /// balances.
    async fn compare_history(&mut self) -> Step<()> {
        let listed = self.all_of("/v2/balance/history").await?;
        let payments = &self.model.payments;
        // What goes past the gateway is in no balance.
        let ours = || payments.iter().filter(|p| !p.off_platform);
        let refunds = || ours().flat_map(|p| &p.refunds);
        let captured = ours().filter(|p| p.received > 0).count();
        let payouts = || self.model.payouts.iter().filter(|p| !p.refused);
        let out = payouts().count() + payouts().filter(|p| p.status == "failed").count();
        let expected =
            captured + refunds().count() + refunds().filter(|r| r.status == "failed").count() + out;
        same("balance transactions", listed.len(), expected)?;
        let mut sums: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
        for entry in &listed {
            let sum = sums.entry(text(entry, "currency")).or_default();
            sum.0 += number(entry, "net");
            sum.1 += number(entry, "fee");
            let net = number(entry, "amount") - number(entry, "fee");
            same(format!("the net of {}", text(entry, "id")), number(entry, "net"), net)?;
        }
        for (currency, balance) in &self.model.balances {
            let got = sums.get(currency).copied().unwrap_or_default();
            let expected = (balance.pending + balance.available, balance.fees);
            same(format!("net and fees of the history in {currency}"), got, expected)?;
        }
        Ok(())
    }

    /// No event is missing or told twice.
    async fn compare_events(&mut self) -> Step<()> {
        let payments = &self.model.payments;
        let refunds =
            |status: &str| payments.iter().flat_map(|p| &p.refunds).filter(|r| r.status == status).count();
        let payouts = |status: Option<&str>| {
            let made = self.model.payouts.iter().filter(|p| !p.refused);
            made.filter(|p| status.is_none_or(|s| p.status == s)).count()
        };
        let in_status = |status: &str| payments.iter().filter(|p| p.status == status).count();
        let expected = [
            ("payment_intent.created", payments.len()),
            ("payment_intent.succeeded", in_status("succeeded")),
            ("payment_intent.canceled", in_status("canceled")),
            ("payment_intent.payment_failed", payments.iter().map(|p| p.failures).sum()),
            ("refund.created", payments.iter().map(|p| p.refunds.len()).sum()),
            ("refund.failed", refunds("failed")),
            ("charge.refunded", refunds("succeeded")),
            ("payout.created", payouts(None)),
            ("payout.paid", payouts(Some("success"))),
            ("payout.failed", payouts(Some("failed"))),
        ];
        for (event, count) in expected {
            let listed = self.all_of(&format!("/v2/events?type={event}")).await?;
            same(format!("events {event}"), listed.len(), count)?;
        }
        Ok(())
    }

    /// What merchants hold off the platform stands in memo accounts.
    async fn compare_off_platform(&self) -> Step<()> {
        let mut held: BTreeMap<&str, i64> = BTreeMap::new();
        for p in self.model.payments.iter().filter(|p| p.off_platform) {
            *held.entry(p.currency).or_default() += p.received - p.refunded;
        }
        for (name, held) in held {
            let currency = Currency::parse(name).map_err(|e| e.to_string())?;
            let scope = self.app.scope();
            let account = AccountKey { scope, currency, kind: AccountKind::OffPlatform, owner: None };
            let read = self.app.store.write(move |tx| store::ledger::lock_balance(tx, account)).await;
            same(format!("held off the platform in {name}"), read.map_err(|e| format!("{e:?}"))?, held)?;
        }
        Ok(())
    }

    async fn compare_books(&self) -> Step<()> {
        self.compare_off_platform().await?;
        let checks = self.app.engine.verify_ledger().await.map_err(|e| format!("{e:?}"))?;
        match checks.into_iter().find(|check| check.broken > 0) {
            Some(check) => Err(format!("ledger: {} is broken: {:?}", check.rule, check.offenders)),
            None => Ok(()),
        }
    }

    /// The last comparison, after every open answer has come.
    pub(super) async fn finish(&mut self) -> Step<()> {
        self.model.ask_provider();
        self.app.run_waiting().await;
        self.site.thorough = true;
        self.compare_all().await?;
        self.seal().await?;
        self.compare_books().await?;
        self.compare_provider().await?;
        self.compare_payouts_at_provider().await?;
        let sides = || self.model.payments.iter().filter_map(|p| p.site.as_ref());
        let told = |side: &super::model::site::SiteSide| {
            side.told.iter().map(|told| told.times).sum::<i64>() + side.told_itself.times
        };
        self.report.checkouts = sides().count();
        self.report.notices = usize::try_from(sides().map(told).sum::<i64>()).unwrap_or(0);
        let pages = self.model.payments.iter().filter(|p| p.page.is_some()).count();
        self.report.pages = pages - self.report.checkouts;
        self.report.payouts = self.model.payouts.len();
        let refunds = self.model.payments.iter().map(|p| p.refunds.len()).sum();
        self.report.payments = self.model.payments.len();
        self.report.captured = self.model.payments.iter().filter(|p| p.received > 0).count();
        self.report.canceled = self.model.payments.iter().filter(|p| p.status == "canceled").count();
        self.report.refunds = refunds;
        Ok(())
    }

    /// Seals everything. Nothing is posted any more, so the mark may lie ahead of the clock.
    async fn seal(&mut self) -> Step<()> {
        let mark = self.app.engine.now().plus(domain::time::MINUTE);
        loop {
            match self.app.engine.seal_journals(mark).await.map_err(|e| format!("{e:?}"))? {
                0 => break,
                sealed => self.report.journals += sealed,
            }
        }
        let checks = self.app.engine.verify_ledger().await.map_err(|e| format!("{e:?}"))?;
        let counted = |word: &str| checks.iter().find(|c| c.rule.contains(word)).map(|c| c.counted);
        let sealed = i64::try_from(self.report.journals).unwrap_or(-1);
        same("seals", counted("the seals"), Some(sealed))?;
        same("sealed journals", counted("every journal"), Some(sealed))
    }

    /// The provider's own tables: every attempt submitted once, every payment captured once and for what
    /// we say, every refund as we say.
    async fn compare_provider(&mut self) -> Step<()> {
        let place = self.places();
        let listed = self.all_of("/v2/charges").await?;
        let payment_of: HashMap<&str, usize> = listed
            .iter()
            .filter_map(|charge| Some((text(charge, "id"), *place.get(text(charge, "payment_intent"))?)))
            .collect();
        // Nobody is asked about what goes past the gateway.
        let asked = || self.model.payments.iter().filter(|p| !p.off_platform);
        let ids: Vec<String> = asked().flat_map(|p| &p.refunds).map(|r| r.id.clone()).collect();
        let read = self.app.store.read(move |tx| {
            let charges = store::sandbox::all_charges(tx)?;
            let states: Result<Vec<_>, StoreError> =
                ids.iter().map(|id| store::sandbox::refund_state(tx, id)).collect();
            Ok::<_, StoreError>((charges, states?))
        });
        let (charges, states) = read.await.map_err(|e| format!("{e:?}"))?;
        let arrived: usize = self.model.payments.iter().map(|p| p.arrived).sum();
        same("attempts at the provider", charges.len(), arrived)?;
        let mut captured = vec![Vec::new(); self.model.payments.len()];
        for charge in charges {
            same(format!("submissions of {}", charge.attempt), charge.calls, 1)?;
            if charge.captured > 0 {
                same(format!("the state of {}", charge.attempt), charge.state, ChargeState::Captured)?;
                let i = payment_of
                    .get(charge.attempt.as_str())
                    .ok_or_else(|| format!("{} is lost", charge.attempt))?;
                captured[*i].push((charge.captured, charge.refunded, charge.currency.to_lowercase()));
            }
        }
        for (p, captured) in self.model.payments.iter().zip(captured) {
            let paid_back = p.refunds.iter().filter(|r| r.at_provider() != "failing").map(|r| r.amount).sum();
            let once =
                (p.received > 0 && !p.off_platform).then(|| (p.received, paid_back, p.currency.to_owned()));
            same(
                format!("what the provider captured and refunded for {}", p.id),
                captured,
                once.into_iter().collect(),
            )?;
        }
        let asked = self.model.payments.iter().filter(|p| !p.off_platform);
        for (refund, state) in asked.flat_map(|p| &p.refunds).zip(states) {
            same(format!("{} at the provider", refund.id), state.as_deref(), Some(refund.at_provider()))?;
        }
        Ok(())
    }

    /// The provider's own table of payouts: each that was not refused is there once and paid out what we say.
    async fn compare_payouts_at_provider(&mut self) -> Step<()> {
        let read = self.app.store.read(store::sandbox_payouts::all).await;
        let mut theirs: HashMap<String, store::sandbox_payouts::SandboxPayout> =
            read.map_err(|e| format!("{e:?}"))?.into_iter().map(|p| (p.payout.clone(), p)).collect();
        for payout in self.model.payouts.iter().filter(|p| !p.refused) {
            let known = theirs.remove(&payout.id).ok_or_else(|| format!("{} never got there", payout.id))?;
            let paid = if payout.status == "success" { payout.amount } else { 0 };
            let what = format!("amount and paid of {} at the provider", payout.id);
            same(what, (known.amount, known.paid), (payout.amount, paid))?;
        }
        same("payouts that only the provider knows", theirs.len(), 0)
    }
}
