//! The steps of a walk: a request, what the model says of it, and the comparison.

use super::model::{DAY, Expected, Method, Payment, RefundScript, Script, Truth};
use super::{Keyed, Step, Walk, id_of, same};
use crate::Answer;

/// Stored answers that later steps may ask for again.
const KEPT_KEYS: usize = 500;

const CURRENCIES: &[&str] = &["eur", "eur", "eur", "usd", "jpy", "kwd"];

use RefundScript::{AtOnce, Fails, Later};
const APPROVE: Script = Script::Approve { at_once: false };
const DECLINED: &str = "card_declined";

/// Ready-made methods and what each is documented to do.
const METHODS: &[(&str, Script, RefundScript)] = &[
    ("pm_card_visa", APPROVE, AtOnce),
    ("pm_card_visa", APPROVE, AtOnce),
    ("pm_card_mastercard", APPROVE, AtOnce),
    ("pm_card_bypassPending", Script::Approve { at_once: true }, AtOnce),
    ("pm_card_chargeDeclined", Script::Decline(DECLINED), AtOnce),
    ("pm_card_chargeDeclinedInsufficientFunds", Script::Decline(DECLINED), AtOnce),
    ("pm_card_chargeDeclinedExpiredCard", Script::Decline("expired_card"), AtOnce),
    ("pm_card_threeDSecure2Required", Script::Challenge { then: None }, AtOnce),
    ("pm_card_threeDSecure2Required", Script::Challenge { then: None }, AtOnce),
    ("pm_card_threeDSecureRequiredChargeDeclined", Script::Challenge { then: Some(DECLINED) }, AtOnce),
    ("pm_card_answerLost", Script::Lost(Truth::Approved), AtOnce),
    ("pm_card_answerLostDeclined", Script::Lost(Truth::Declined(DECLINED)), AtOnce),
    ("pm_card_requestLost", Script::Lost(Truth::NeverArrived), AtOnce),
    ("pm_sepa_debit_success", Script::Debit { fails: false }, AtOnce),
    ("pm_sepa_debit_success", Script::Debit { fails: false }, AtOnce),
    ("pm_sepa_debit_failure", Script::Debit { fails: true }, AtOnce),
    ("pm_card_pendingRefund", APPROVE, Later),
    ("pm_card_refundFail", APPROVE, Fails),
];

/// How a walker chooses, out of [`TOTAL`].
const TOTAL: usize = 142;

impl Walk {
    pub(super) async fn operate(&mut self) -> Step<()> {
        if self.model.payments.is_empty() {
            return self.create().await;
        }
        match self.random.below(TOTAL) {
            0..14 => self.create().await,
            14..26 => self.confirm().await,
            26..31 => self.authenticate().await,
            31..34 => self.update().await,
            34..40 => self.capture().await,
            40..43 => self.increment().await,
            43..46 => self.cancel().await,
            46..56 => self.refund().await,
            56..59 => self.repeat().await,
            59..61 => self.reuse_key().await,
            61..65 => self.ask_provider().await,
            65..69 => self.advance().await,
            69..78 => self.purchase().await,
            78..87 => self.pay_page().await,
            87..88 => self.abandon().await,
            88..92 => self.gate_refund().await,
            92..95 => self.payout().await,
            95..97 => self.repeat_signed().await,
            97..98 => self.reuse_name().await,
            98..106 => self.open_checkout().await,
            106..116 => self.pay_checkout().await,
            116..118 => self.expire_checkout().await,
            118..120 => self.cancel_transaction().await,
            120..126 => self.refund_transaction().await,
            126..128 => self.note_something().await,
            128..130 => self.repeat_asked().await,
            130..133 => self.pay_off_platform().await,
            133..135 => self.mark_paid().await,
            135..138 => self.pay_merchant().await,
            138..140 => self.come_or_go().await,
            _ => self.upkeep().await,
        }
    }

    /// A payment: mostly one in the state that the operation is for, sometimes any, so that commands in
    /// the wrong state are given too.
    fn payment_in(&mut self, wanted: &[&str]) -> usize {
        let count = self.model.payments.len();
        for _ in 0..20 {
            let newest = self.random.below(count.min(40));
            let i = if self.random.chance(7, 10) { count - 1 - newest } else { self.random.below(count) };
            if wanted.contains(&self.model.payments[i].status) {
                return i;
            }
        }
        self.random.below(count)
    }

    pub(super) fn method(&mut self) -> Method {
        if self.random.chance(1, 8) {
            let owner = self.living();
            let token = self.customers[owner].1.clone();
            return Method { token, script: APPROVE, refund: AtOnce, owner: Some(owner) };
        }
        let (token, script, refund) = *self.random.pick(METHODS);
        Method { token: token.to_owned(), script, refund, owner: None }
    }

    /// Half of all requests carry an idempotency key. Answers that are stored are remembered.
    pub(super) async fn post(&mut self, path: &str, form: Vec<(&str, String)>) -> Answer {
        let keyed = self.random.chance(1, 2);
        let key = format!("walk-{}", self.keys);
        let pairs: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = self.send(path, &pairs, keyed.then_some(key.as_str())).await;
        self.keys += usize::from(keyed);
        let (status, code) = (answer.status.as_u16(), code_of(&answer).unwrap_or("-").to_owned());
        *self
            .report
            .answers
            .entry(if status < 300 { status.to_string() } else { format!("{status} {code}") })
            .or_default() += 1;
        self.note(format!("POST {path} {pairs:?}{} -> {status} {code}", if keyed { &key } else { "" }));
        if keyed && matches!(status, 200 | 201 | 402) {
            let form = form.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            let stored = Keyed { key, path: path.to_owned(), form, status, text: answer.text.clone() };
            if self.keyed.len() < KEPT_KEYS {
                self.keyed.push(stored);
            } else {
                let place = self.random.below(KEPT_KEYS);
                self.keyed[place] = stored;
            }
        }
        answer
    }

    /// The answer has the predicted status and code, and the payment in it, or else read again, is in
    /// every respect what the model has.
    async fn check(&mut self, i: usize, answer: &Answer, expected: Expected) -> Step<()> {
        same_answer(answer, expected)?;
        self.touched.insert(i);
        let shown = if answer.json["object"] == "payment_intent" {
            &answer.json
        } else {
            &answer.json["error"]["payment_intent"]
        };
        if let Some(status) = shown["status"].as_str() {
            same("the status in the answer", status, self.model.payments[i].status)?;
        }
        self.compare_payment(i).await
    }

    fn path(&self, i: usize, command: &str) -> String {
        format!("/v2/payment_intents/{}{command}", self.model.payments[i].id)
    }

    /// Mostly everyday amounts, sometimes tiny ones, where the fee is all or nearly all of it.
    pub(super) fn amount(&mut self) -> i64 {
        if self.random.chance(1, 6) { self.random.within(1, 60) } else { self.random.within(61, 200_000) }
    }

    pub(super) fn currency(&mut self) -> &'static str {
        let &currency = self.random.pick(CURRENCIES);
        currency
    }

    pub(super) async fn create(&mut self) -> Step<()> {
        let amount = self.amount();
        let currency = self.currency();
        let (manual, debits) = (self.random.chance(3, 10), self.random.chance(4, 10));
        let known = settles(currency) && self.random.chance(2, 3);
        let customer = known.then(|| self.living());
        let confirm = self.random.chance(1, 2);
        let method = (confirm || self.random.chance(1, 4)).then(|| self.method());
        let mut form = vec![("amount", amount.to_string()), ("currency", currency.to_owned())];
        if manual {
            form.push(("capture_method", "manual".to_owned()));
        }
        if debits {
            form.push(("payment_method_types[]", "card".to_owned()));
            form.push(("payment_method_types[]", "sepa_debit".to_owned()));
        }
        form.extend(customer.map(|c| ("customer", self.customers[c].0.clone())));
        form.extend(method.as_ref().map(|m| ("payment_method", m.token.clone())));
        if confirm {
            form.push(("confirm", "true".to_owned()));
        }
        let before = self.model.payments.len();
        let expected =
            self.model.create(Payment::new(amount, currency, manual, debits, customer), method, confirm);
        let answer = self.post("/v2/payment_intents", form).await;
        if self.model.payments.len() == before {
            return same_answer(&answer, expected);
        }
        let made =
            if expected.status == 402 { &answer.json["error"]["payment_intent"] } else { &answer.json };
        let id =
            made["id"].as_str().ok_or_else(|| format!("no payment in {}: {}", answer.status, answer.text))?;
        self.model.payments[before].id = id.to_owned();
        self.check(before, &answer, expected).await
    }

    async fn confirm(&mut self) -> Step<()> {
        let i = self.payment_in(&["requires_payment_method", "requires_confirmation", "requires_action"]);
        let method = self.random.chance(3, 4).then(|| self.method());
        let off_session = self.random.chance(1, 5).then(|| self.random.chance(1, 2));
        let mut form: Vec<(&str, String)> = Vec::new();
        form.extend(method.as_ref().map(|m| ("payment_method", m.token.clone())));
        form.extend(off_session.map(|off| ("off_session", off.to_string())));
        let expected = self.model.confirm(i, method, off_session == Some(true));
        let answer = self.post(&self.path(i, "/confirm"), form).await;
        self.check(i, &answer, expected).await
    }

    async fn authenticate(&mut self) -> Step<()> {
        let i = self.payment_in(&["requires_action"]);
        let outcome = *self.random.pick(&["success", "success", "fail", "abandon"]);
        let expected = self.model.authenticate(i, outcome == "success");
        let path = format!("/v2/test_helpers/payment_intents/{}/authenticate", self.model.payments[i].id);
        let answer = self.post(&path, vec![("outcome", outcome.to_owned())]).await;
        self.check(i, &answer, expected).await
    }

    async fn update(&mut self) -> Step<()> {
        let i = self.payment_in(&["requires_payment_method", "requires_confirmation", "requires_action"]);
        let (form, expected) = if self.random.chance(1, 5) {
            (
                vec![("metadata[note]", format!("note {}", self.random.below(1_000)))],
                Expected { status: 200, code: None },
            )
        } else {
            let amount = self.amount();
            (vec![("amount", amount.to_string())], self.model.update_amount(i, amount))
        };
        let answer = self.post(&self.path(i, ""), form).await;
        self.check(i, &answer, expected).await
    }

    async fn capture(&mut self) -> Step<()> {
        let i = self.payment_in(&["requires_capture"]);
        let held = self.model.payments[i].capturable.max(1);
        let asked = match self.random.below(10) {
            0..4 => None,
            4..9 => Some(self.random.within(1, held)),
            _ => Some(held + self.random.within(1, 1_000)),
        };
        let expected = self.model.capture(i, asked);
        let form = asked.map(|amount| ("amount_to_capture", amount.to_string()));
        let answer = self.post(&self.path(i, "/capture"), form.into_iter().collect()).await;
        self.check(i, &answer, expected).await
    }

    async fn increment(&mut self) -> Step<()> {
        let i = self.payment_in(&["requires_capture"]);
        let total = (self.model.payments[i].amount + self.random.within(-50, 5_000)).max(1);
        let expected = self.model.increment(i, total);
        let form = vec![("amount", total.to_string())];
        let answer = self.post(&self.path(i, "/increment_authorization"), form).await;
        self.check(i, &answer, expected).await
    }

    async fn cancel(&mut self) -> Step<()> {
        let i = self.payment_in(&["requires_capture", "requires_action", "requires_payment_method"]);
        let expected = self.model.cancel(i);
        let answer = self.post(&self.path(i, "/cancel"), Vec::new()).await;
        self.check(i, &answer, expected).await
    }

    async fn refund(&mut self) -> Step<()> {
        let i = self.payment_in(&["succeeded"]);
        let p = &self.model.payments[i];
        let left = (p.received - p.refunded).max(1);
        let asked = match self.random.below(10) {
            0..3 => None,
            3..9 => Some(self.random.within(1, left)),
            _ => Some(left + self.random.within(1, 1_000)),
        };
        let mut form = vec![("payment_intent", self.model.payments[i].id.clone())];
        form.extend(asked.map(|amount| ("amount", amount.to_string())));
        let expected = self.model.refund(i, asked);
        let answer = self.post("/v2/refunds", form).await;
        same_answer(&answer, expected)?;
        if expected.status == 201 {
            let id = id_of(&answer)?;
            let made = self.model.payments[i].refunds.last_mut().ok_or("the model has no refund")?;
            made.id = id;
            same("the refund's amount", answer.json["amount"].as_i64(), Some(made.amount))?;
            same("the refund's status", answer.json["status"].as_str(), Some(made.status))?;
        }
        self.check(i, &answer, expected).await
    }

    /// The same request under the same key: the same bytes, and nothing else happens.
    async fn repeat(&mut self) -> Step<()> {
        let Some(first) = self.stored() else { return self.create().await };
        let form: Vec<(&str, &str)> = first.form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let again = self.send(&first.path, &form, Some(&first.key)).await;
        self.note(format!("again {} {} -> {}", first.key, first.path, again.status));
        self.report.replays += 1;
        same("the repeated status", again.status.as_u16(), first.status)?;
        same("the repeated body", again.text.as_str(), first.text.as_str())?;
        same("Idempotent-Replayed", again.header("idempotent-replayed"), Some("true"))?;
        self.compare_balances().await
    }

    /// Another request under a key that was used: refused, and nothing happens.
    async fn reuse_key(&mut self) -> Step<()> {
        let Some(first) = self.stored() else { return self.create().await };
        let (mut path, mut form) = (first.path.clone(), first.form.clone());
        match form.iter_mut().find(|(name, _)| name == "amount") {
            Some((_, amount)) => *amount = (amount.parse::<i64>().unwrap_or(0) + 1).to_string(),
            None => {
                path = "/v2/payment_intents".to_owned();
                form =
                    vec![("amount".to_owned(), "100".to_owned()), ("currency".to_owned(), "eur".to_owned())];
            }
        }
        let pairs: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let answer = self.send(&path, &pairs, Some(&first.key)).await;
        self.note(format!("other body under {} {path} -> {}", first.key, answer.status));
        same_answer(&answer, Expected { status: 400, code: Some("idempotency_key_reused") })?;
        same("the error's type", answer.json["error"]["type"].as_str(), Some("idempotency_error"))?;
        self.compare_balances().await
    }

    fn stored(&mut self) -> Option<Keyed> {
        let count = self.keyed.len();
        (count > 0).then(|| self.keyed[self.random.below(count)].clone())
    }

    /// Missing answers are fetched; a second round finds nothing to do.
    pub(super) async fn ask_provider(&mut self) -> Step<()> {
        self.model.ask_provider();
        self.touch_open();
        let asked = self.app.run_waiting().await;
        let again = self.app.engine.run_jobs().await.map_err(|e| format!("{e:?}"))?;
        self.note(format!("run_jobs -> {asked}, then {again}"));
        same("jobs left after all were answered", again, 0)
    }

    /// What the provider answers or time moves: payments that are not ended for good.
    fn touch_open(&mut self) {
        let ended = |p: &Payment| p.status == "canceled" && p.refunds.is_empty();
        let newest = self.model.payments.len().saturating_sub(200);
        let open = self.model.payments.iter().enumerate().skip(newest).filter(|(_, p)| !ended(p));
        self.touched.extend(open.map(|(i, _)| i));
    }

    async fn advance(&mut self) -> Step<()> {
        let clock = self.random.below(self.clocks.len());
        let step = *self.random.pick(&[1, 3_600, DAY, 2 * DAY, 2 * DAY - 1, 3 * DAY, 7 * DAY, 7 * DAY - 1]);
        let to = self.model.clocks[clock] + step;
        let path = format!("/v2/test_helpers/test_clocks/{}/advance", self.clocks[clock]);
        if self.random.chance(1, 10) {
            let back = self.model.clocks[clock] - self.random.within(0, DAY);
            let answer = self.post(&path, vec![("frozen_time", back.to_string())]).await;
            return same_answer(&answer, Expected { status: 400, code: Some("parameter_invalid") });
        }
        self.model.advance(clock, to);
        self.touch_open();
        let answer = self.post(&path, vec![("frozen_time", to.to_string())]).await;
        same_answer(&answer, Expected { status: 200, code: None })?;
        let answer = self.post(&path, vec![("frozen_time", (to + 1).to_string())]).await;
        same_answer(&answer, Expected { status: 400, code: Some("test_clock_advancing") })?;
        while self.app.engine.advance_clocks().await.map_err(|e| format!("{e:?}"))? {}
        let shown = self.read(&format!("/v2/test_helpers/test_clocks/{}", self.clocks[clock])).await?;
        same("the clock's status", shown["status"].as_str(), Some("ready"))?;
        same("the clock's time", shown["frozen_time"].as_i64(), Some(to))
    }

    /// What workers do meanwhile changes nothing that can be seen.
    async fn upkeep(&mut self) -> Step<()> {
        let engine = &self.app.engine;
        let now = engine.now();
        let folded = engine.fold_balances().await.map_err(|e| format!("{e:?}"))?;
        let due = engine.run_due(None, now).await.map_err(|e| format!("{e:?}"))?;
        let lapsed = engine.lapse_challenges().await.map_err(|e| format!("{e:?}"))?;
        self.note(format!("upkeep: folded {folded}, due {due}, lapsed {lapsed}"));
        same("things due by the wall clock", due + lapsed, 0)?;
        self.compare_balances().await
    }
}

/// Without a test clock nothing settles, so that refunds in one currency meet an empty balance.
pub(super) fn settles(currency: &str) -> bool {
    currency != "kwd"
}

fn code_of(answer: &Answer) -> Option<&str> {
    answer.json["error"]["code"].as_str()
}

/// The answer has the predicted status and code.
fn same_answer(answer: &Answer, expected: Expected) -> Step<()> {
    let got = Expected { status: answer.status.as_u16(), code: None };
    let (got, code) = (got.status, code_of(answer));
    same("the answer", (got, code), (expected.status, expected.code))
        .map_err(|e| format!("{e}\n{}", answer.text))
}
