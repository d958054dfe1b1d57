//! The steps that a shop takes over the Admin API and a payer over the Main Backend, through the routers.

use super::erasure::PERMANENT;
use super::model::site::{self, OPEN_FOR, SiteSide};
use super::model::{Expected, Method, RefundScript, Script, Truth};
use super::operations::settles;
use super::{Step, Walk, email_of, same};
use crate::office::Office;
use crate::{Answer, TestApp};
use axum::http::Method as Verb;
use domain::access::{Grant, Resource};
use domain::id::{Core, PaymentId, RefundId, TypedId};
use engine::admin_keys::NewAdminKey;
use serde_json::{Value, json};

/// Answers under an idempotency key that later steps may ask for again.
const KEPT: usize = 300;

use RefundScript::{AtOnce, Fails, Later};
const APPROVE: Script = Script::Approve { at_once: false };
const DECLINED: &str = "card_declined";

/// Card numbers and what each is documented to do.
const CARDS: &[(&str, Script, RefundScript)] = &[
    ("4242424242424242", APPROVE, AtOnce),
    ("4242424242424242", APPROVE, AtOnce),
    ("5555555555554444", APPROVE, AtOnce),
    ("4000000000000077", Script::Approve { at_once: true }, AtOnce),
    ("4000000000000002", Script::Decline(DECLINED), AtOnce),
    ("4000000000000069", Script::Decline("expired_card"), AtOnce),
    ("4000000000003220", Script::Challenge { then: None }, AtOnce),
    ("4000000000003220", Script::Challenge { then: None }, AtOnce),
    ("4000008400001629", Script::Challenge { then: Some(DECLINED) }, AtOnce),
    ("4000009990000021", Script::Lost(Truth::Approved), AtOnce),
    ("4000009990000039", Script::Lost(Truth::Declined(DECLINED)), AtOnce),
    ("4000009990000047", Script::Lost(Truth::NeverArrived), AtOnce),
    ("4000000000007726", APPROVE, Later),
    ("4000000000005126", APPROVE, Fails),
];
const DEBITS: &[(&str, Script)] = &[
    ("DE89370400440532013000", Script::Debit { fails: false }),
    ("DE62370400440532013001", Script::Debit { fails: true }),
];

/// A request under an idempotency key, and its answer.
#[derive(Clone)]
struct Keyed {
    key: String,
    path: String,
    body: Value,
    status: u16,
    text: String,
}

/// The merchant's server in a walk.
pub(super) struct SiteSideOfWalk {
    office: Office,
    keyed: Vec<Keyed>,
    names: usize,
    /// Rows that the audit log must have of what was set here.
    audited: usize,
    /// The same of money that was moved and payments that were ended.
    moved: usize,
    /// Everything is compared, changed or not.
    pub thorough: bool,
}

/// Gives the merchant a key, a site, and few tries.
pub(super) async fn open_site(app: &TestApp) -> Result<SiteSideOfWalk, String> {
    let fault = |e: engine::Error| format!("the site: {e:?}");
    let grant = |resource| Grant { resource, action: None };
    let new = NewAdminKey {
        name: "walk".to_owned(),
        mode: domain::scope::Mode::Test,
        grants: [Resource::Organization, Resource::Site, Resource::Checkout, Resource::Transaction]
            .map(grant)
            .to_vec(),
        networks: Vec::new(),
    };
    let (_, key) = app.engine.create_admin_key(Some(app.merchant), None, new).await.map_err(fault)?;
    let mut office = Office {
        app: app.clone(),
        system_key: String::new(),
        organization: app.merchant.0.hex(),
        key,
        site: String::new(),
        secret: String::new(),
    };
    let made = office.post("/sites", &json!({ "name": "Walk" })).await;
    office.site = made.json["id"].as_str().ok_or_else(|| format!("no site: {}", made.text))?.to_owned();
    let few =
        office.put("/organizations/settings/checkout", &json!({ "maxAttempts": site::ATTEMPTS_MAX })).await;
    answered(&few, OK)?;
    Ok(SiteSideOfWalk { office, keyed: Vec::new(), names: 0, audited: 1, moved: 0, thorough: false })
}

fn hex_of<T: TypedId>(answer: &Value, field: &str) -> Step<T> {
    let core = answer[field].as_str().and_then(Core::parse_hex);
    core.map(T::from_core).ok_or_else(|| format!("no id in {field} of {answer}"))
}

fn answered(answer: &Answer, expected: Expected) -> Step<()> {
    let (status, code) = (answer.status.as_u16(), answer.json["code"].as_str());
    let code = code.filter(|_| status >= 400);
    same("the answer", (status, code), (expected.status, expected.code))
        .map_err(|e| format!("{e}\n{}", answer.text))
}

const OK: Expected = Expected { status: 200, code: None };

impl Walk {
    /// Sends to the Admin API, half of the time under an idempotency key.
    async fn ask(&mut self, path: &str, body: &Value) -> Answer {
        self.report.requests += 1;
        let key = self.random.chance(1, 2).then(|| format!("site-{}", self.site.names));
        self.site.names += 1;
        let office = &self.site.office;
        let answer = match &key {
            Some(key) => office.post_once(key, path, body).await,
            None => office.post(path, body).await,
        };
        let code = answer.json["code"].as_str().unwrap_or("-");
        let shown = match answer.status.as_u16() {
            status @ (200 | 201) => format!("site {status}"),
            status => format!("site {status} {code}"),
        };
        self.note(format!("POST {path} {body} {key:?} -> {shown}"));
        *self.report.answers.entry(shown).or_default() += 1;
        let status = answer.status.as_u16();
        if let Some(key) = key.filter(|_| matches!(status, 200 | 201)) {
            let (path, body, text) = (path.to_owned(), body.clone(), answer.text.clone());
            let keyed = Keyed { key, path, body, status, text };
            if self.site.keyed.len() < KEPT {
                self.site.keyed.push(keyed);
            } else {
                let place = self.random.below(KEPT);
                self.site.keyed[place] = keyed;
            }
        }
        answer
    }

    /// Lines that add up to `amount`: one of them a discount, some without a name.
    fn lines(&mut self, amount: i64) -> Value {
        let discount = self.random.within(0, 500);
        let quantity = self.random.within(1, 3);
        let gross = amount + discount;
        let (each, rest) = (gross / quantity, gross % quantity);
        let mut lines = vec![json!({ "name": "Cup <b>&", "quantity": quantity, "unitPrice": each })];
        if rest > 0 {
            lines.push(json!({ "quantity": 1, "unitPrice": rest, "itemType": "shipping" }));
        }
        if discount > 0 {
            lines.push(json!({ "name": "Voucher", "unitPrice": -discount }));
        }
        Value::Array(lines)
    }

    pub(super) async fn open_checkout(&mut self) -> Step<()> {
        let (amount, currency) = (self.amount(), self.currency());
        let (customer, email) = if settles(currency) && self.random.chance(3, 4) {
            let customer = self.random.below(PERMANENT);
            (Some(customer), email_of(customer))
        } else {
            (None, format!("visitor{}@example.com", self.site.names))
        };
        let notices = self.random.chance(4, 5);
        let note = format!("cart-{}", self.site.names);
        let wrong = self.random.chance(1, 12);
        let mut body = json!({
            "amount": amount + i64::from(wrong),
            "currency": currency.to_uppercase(),
            "email": email,
            "externalReference": format!("order-{}", self.site.names),
            "items": self.lines(amount),
            "returnUrl": "https://shop.example/thanks?tx={transactionId}",
            "shippingAddress": { "firstName": "", "country": "" },
            "expiresIn": OPEN_FOR,
            "metadata": { "cart": note },
        });
        if notices {
            body["ipnUrl"] = json!("https://shop.example/ipn");
        }
        let path = format!("/checkouts/{}/create", self.site.office.site);
        let answer = self.ask(&path, &body).await;
        if wrong {
            answered(&answer, Expected { status: 422, code: Some("items_sum_mismatch") })?;
            return self.compare_balances().await;
        }
        answered(&answer, OK)?;
        let made = &answer.json;
        let id: PaymentId = hex_of(made, "id")?;
        let side = SiteSide { checkout: id.0.hex(), notices, note, ..SiteSide::default() };
        let code = made["shortCode"].as_str().unwrap_or("").to_owned();
        let i = self.model.open_checkout(&code, amount, currency, customer, side);
        self.model.payments[i].id = id.to_string();
        self.compare_payment(i).await
    }

    /// A checkout of the Admin API, mostly one in a wanted state.
    fn checkout_in(&mut self, wanted: &[&str]) -> Option<usize> {
        self.page_where(|p| p.site.is_some(), wanted)
    }

    /// The payer's browser submits a method; sometimes twice under one name.
    pub(super) async fn pay_checkout(&mut self) -> Step<()> {
        let open = ["requires_payment_method", "requires_action"];
        let Some(i) = self.checkout_in(&open) else { return self.open_checkout().await };
        let debit = self.model.payments[i].currency == "eur" && self.random.chance(1, 8);
        let (number, script, refund) = if debit {
            let (iban, script) = *self.random.pick(DEBITS);
            (iban, script, AtOnce)
        } else {
            *self.random.pick(CARDS)
        };
        let method = if debit {
            json!({ "type": "sepa_debit", "name": "Jo Doe", "email": "jo@example.com", "iban": number })
        } else {
            let card = json!({ "number": number, "expMonth": 12, "expYear": 2034, "cvc": "123" });
            json!({ "type": "card", "name": "Jo Doe", "card": card })
        };
        let mut body = json!({ "sessionPublicId": self.code_of_page(i), "paymentMethod": method });
        let again = self.random.chance(1, 4);
        if again {
            body["attemptKey"] = json!(format!("try-{}", self.site.names));
        }
        self.site.names += 1;
        let tried = Method { token: number.to_owned(), script, refund, owner: None };
        let payable = self.model.payable(i);
        self.model.pay_page(i, tried);
        for _ in 0..=usize::from(again) {
            self.report.requests += 1;
            let office = &self.site.office;
            let answer = office.browser(Verb::POST, "/transactions/create", Some(&body)).await;
            self.note(format!("pay checkout {i} with {number} -> {}", answer.status));
            // A try that failed answers its own repetition, not another that comes too late.
            let tries = &self.model.payments[i].tries;
            let failed = tries.last().is_none_or(|t| ["external_error", "internal_error"].contains(t));
            let late = !payable && failed;
            let Some(last) = tries.len().checked_sub(1).filter(|_| !late) else {
                answered(&answer, Expected { status: 409, code: Some("checkout_not_open") })?;
                continue;
            };
            answered(&answer, OK)?;
            let status = self.model.payments[i].site_status(last);
            same("the status of a payment", answer.json["status"].as_str(), Some(status))?;
            same("its code", answer.json["statusCode"].as_i64(), Some(site::code(status)))?;
            let waits = self.model.payments[i].status == "requires_action";
            same("whether the payer must go on", answer.json["redirectUrl"].is_string(), waits)?;
        }
        self.compare_payment(i).await?;
        self.compare_balances().await
    }

    pub(super) async fn expire_checkout(&mut self) -> Step<()> {
        let open = ["requires_payment_method", "requires_action"];
        let Some(i) = self.checkout_in(&open) else { return self.open_checkout().await };
        let expected = self.model.expire_checkout(i);
        let answer = self.ask(&format!("/checkouts/{}/expire", self.checkout_id(i)), &json!({})).await;
        answered(&answer, expected)?;
        self.site.moved += usize::from(expected.status == 200);
        self.compare_payment(i).await
    }

    fn checkout_id(&self, i: usize) -> String {
        self.model.payments[i].site.as_ref().map(|site| site.checkout.clone()).unwrap_or_default()
    }

    /// One of a checkout's transactions: mostly the latest; its place and its id.
    fn transaction_of(&mut self, i: usize) -> Option<(usize, String)> {
        let known = self.model.payments[i].site.as_ref()?.transactions.clone();
        let last = known.len().checked_sub(1)?;
        let n = if self.random.chance(5, 6) { last } else { self.random.below(known.len()) };
        Some((n, known.get(n)?.clone()))
    }

    pub(super) async fn cancel_transaction(&mut self) -> Step<()> {
        let Some(i) = self.checkout_in(&["requires_action", "requires_payment_method", "processing"]) else {
            return self.open_checkout().await;
        };
        let Some((n, id)) = self.transaction_of(i) else { return self.pay_checkout().await };
        let expected = self.model.cancel_transaction(i, n);
        let answer = self.ask(&format!("/transactions/{id}/cancel"), &json!({})).await;
        answered(&answer, expected)?;
        self.site.moved += usize::from(expected.status == 200);
        self.compare_payment(i).await
    }

    /// The shop writes down money that came, or is to come, past the gateway.
    pub(super) async fn pay_off_platform(&mut self) -> Step<()> {
        let open = ["requires_payment_method", "requires_action"];
        let Some(i) = self.checkout_in(&open) else { return self.open_checkout().await };
        let received = self.random.chance(1, 2);
        let mut body =
            json!({ "checkoutId": self.checkout_id(i), "method": "cash", "reference": "receipt 7" });
        if !received {
            body["status"] = json!("pending_provider");
        }
        let expected = self.model.pay_off_platform(i, received);
        let answer = self.ask("/transactions/manual", &body).await;
        answered(&answer, expected)?;
        self.site.moved += usize::from(expected.status == 201);
        self.compare_payment(i).await?;
        self.compare_balances().await
    }

    pub(super) async fn mark_paid(&mut self) -> Step<()> {
        let Some(i) = self.checkout_in(&["processing"]) else { return self.open_checkout().await };
        let Some((n, id)) = self.transaction_of(i) else { return self.pay_off_platform().await };
        let expected = self.model.mark_paid(i, n);
        let answer = self.ask(&format!("/transactions/{id}/mark-paid"), &json!({})).await;
        answered(&answer, expected)?;
        self.site.moved += usize::from(expected.status == 200);
        self.compare_payment(i).await?;
        self.compare_balances().await
    }

    pub(super) async fn refund_transaction(&mut self) -> Step<()> {
        let Some(i) = self.checkout_in(&["succeeded"]) else { return self.open_checkout().await };
        let Some((n, id)) = self.transaction_of(i) else { return self.pay_checkout().await };
        let p = &self.model.payments[i];
        let left = (p.refundable() - p.refunded).max(1);
        let asked = match self.random.below(10) {
            0..4 => None,
            4..9 => Some(self.random.within(1, left)),
            _ => Some(left + self.random.within(1, 1_000)),
        };
        let before = self.model.payments[i].refunds.len();
        let expected = self.model.refund_transaction(i, n, asked);
        let mut body = json!({ "reason": "changed my mind" });
        if let Some(amount) = asked {
            body["amount"] = json!(amount);
        }
        let answer = self.ask(&format!("/transactions/{id}/refund"), &body).await;
        answered(&answer, expected)?;
        self.site.moved += usize::from(expected.status == 200);
        if self.model.payments[i].refunds.len() > before {
            let shown = answer.json["refunds"].as_array().and_then(|all| all.last()).cloned();
            let id: RefundId = hex_of(&shown.unwrap_or_default(), "id")?;
            let made = self.model.payments[i].refunds.last_mut().ok_or("the model has no refund")?;
            made.id = id.to_string();
            let refunded = self.model.payments[i].refunded;
            same("refundedAmount", answer.json["refundedAmount"].as_i64(), Some(refunded))?;
        }
        self.compare_payment(i).await?;
        self.compare_balances().await
    }

    /// The merchant's own notes, by the checkout or by its transaction; or a site's setting, which is audited.
    pub(super) async fn note_something(&mut self) -> Step<()> {
        if self.random.chance(1, 4) {
            let color = format!("#{:06x}", self.random.below(0x100_0000));
            let path = format!("/sites/{}", self.site.office.site);
            self.report.requests += 1;
            let answer = self.site.office.put(&path, &json!({ "branding": { "primaryColor": color } })).await;
            self.note(format!("PUT {path} {color} -> {}", answer.status));
            self.site.audited += 1;
            return answered(&answer, OK);
        }
        let wanted = ["succeeded", "canceled", "requires_payment_method"];
        let Some(i) = self.checkout_in(&wanted) else { return self.open_checkout().await };
        let note = format!("cart-{}", self.site.names);
        self.site.names += 1;
        let body = json!({ "metadata": { "cart": note } });
        let by = if self.random.chance(1, 2) { self.transaction_of(i) } else { None };
        self.report.requests += 1;
        let office = &self.site.office;
        let answer = match &by {
            Some((_, id)) => office.put(&format!("/transactions/{id}"), &body).await,
            None => office.patch(&format!("/checkouts/{}", self.checkout_id(i)), &body).await,
        };
        self.note(format!("note on {i} {by:?} -> {}", answer.status));
        answered(&answer, OK)?;
        if let Some(site) = &mut self.model.payments[i].site {
            site.note = note;
        }
        self.compare_payment(i).await
    }

    /// The same request under the same key: the same bytes. Another one: refused. Nothing happens.
    pub(super) async fn repeat_asked(&mut self) -> Step<()> {
        if self.site.keyed.is_empty() {
            return self.open_checkout().await;
        }
        let at = self.random.below(self.site.keyed.len());
        let Keyed { key, path, mut body, status, text } = self.site.keyed[at].clone();
        let other = self.random.chance(1, 4);
        if other {
            body["metadata"] = json!({ "other": "body" });
        }
        self.report.requests += 1;
        self.report.replays += usize::from(!other);
        let again = self.site.office.post_once(&key, &path, &body).await;
        self.note(format!("again {key} {path} (another body: {other}) -> {}", again.status));
        if other {
            answered(&again, Expected { status: 409, code: Some("idempotency_key_reused") })?;
        } else {
            answered(&again, Expected { status, code: None })?;
            same("the repeated body", again.text.as_str(), text.as_str())?;
            same("Idempotent-Replayed", again.header("idempotent-replayed"), Some("true"))?;
        }
        self.compare_balances().await
    }

    async fn shown(&mut self, path: &str) -> Step<Value> {
        self.report.requests += 1;
        let answer = self.site.office.get(path).await;
        answered(&answer, OK).map_err(|e| format!("GET {path}: {e}"))?;
        Ok(answer.json)
    }

    /// The Admin API's side of a payment: the checkout, each of its transactions, and what its shop was told. Until the
    /// end of the walk only where the model says that something changed: these are many requests.
    pub(super) async fn compare_checkout(&mut self, i: usize) -> Step<()> {
        let p = &mut self.model.payments[i];
        p.tell_shop();
        let now = Some(p.standing());
        match &mut p.site {
            Some(site) if self.site.thorough || site.compared != now => site.compared = now,
            _ => return Ok(()),
        }
        let id = self.checkout_id(i);
        let shown = self.shown(&format!("/checkouts/{id}")).await?;
        let listed = shown["transactionIds"].as_array().cloned().unwrap_or_default();
        let listed: Vec<String> = listed.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let p = &mut self.model.payments[i];
        let what = |field: &str| format!("{field} of the checkout {id}");
        same(what("status"), shown["status"].as_str(), Some(p.checkout_status()))?;
        same(what("amount"), shown["amount"].as_i64(), Some(p.amount))?;
        same(what("transactions"), listed.len(), p.tries.len())?;
        let Some(site) = &mut p.site else { return Ok(()) };
        same(what("note"), shown["metadata"]["cart"].as_str(), Some(site.note.as_str()))?;
        let known = site.transactions.len().min(listed.len());
        same(what("earlier transactions"), &listed[..known], &site.transactions[..])?;
        site.transactions.clone_from(&listed);
        for (n, transaction) in listed.iter().enumerate() {
            self.compare_transaction(i, n, transaction).await?;
        }
        self.compare_told(i).await
    }

    async fn compare_transaction(&mut self, i: usize, n: usize, id: &str) -> Step<()> {
        let shown = self.shown(&format!("/transactions/{id}")).await?;
        let p = &self.model.payments[i];
        let (status, paid) = (p.site_status(n), p.tries[n] == "success");
        let what = |field: &str| format!("{field} of the transaction {id} of {}", p.id);
        same(what("status"), shown["status"].as_str(), Some(status))?;
        same(what("statusCode"), shown["statusCode"].as_i64(), Some(site::code(status)))?;
        let (taken, back) = if paid { (p.received, p.refunded) } else { (0, 0) };
        same(what("capturedAmount"), shown["capturedAmount"].as_i64(), Some(taken))?;
        same(what("refundedAmount"), shown["refundedAmount"].as_i64(), Some(back))?;
        let refunds = if paid { p.refunds.len() } else { 0 };
        same(what("refunds"), shown["refunds"].as_array().map(Vec::len), Some(refunds))?;
        let rows = shown["timeline"].as_array().cloned().unwrap_or_default();
        let sales = rows.iter().filter(|row| row["type"] == "journal" && row["name"] == "sale").count();
        same(what("sales in the timeline"), sales, usize::from(p.received > 0 && !p.off_platform))
    }

    /// Each status of a transaction was told once, in one notice.
    async fn compare_told(&mut self, i: usize) -> Step<()> {
        let p = &self.model.payments[i];
        let Some(site) = &p.site else { return Ok(()) };
        let named = site.transactions.iter().zip(&site.told);
        let itself = std::iter::once((&site.checkout, &site.told_itself));
        let mut expected: Vec<(String, &str, i64, usize)> = named
            .chain(itself)
            .filter_map(|(id, told)| {
                let notices = usize::try_from(told.times).unwrap_or(0);
                Some((id.clone(), told.last?, told.times, notices))
            })
            .collect();
        expected.sort();
        let (scope, payment) = (self.app.scope(), PaymentId::parse(&p.id).ok_or("no payment")?);
        let read = self.app.store.read(move |tx| {
            let mut told = Vec::new();
            for (object, status, version) in store::site_transactions::told(tx, payment)? {
                let notices = store::webhooks::notices_of(tx, scope, object, 100)?.len();
                told.push((object.hex(), status.as_str(), version, notices));
            }
            Ok::<_, store::StoreError>(told)
        });
        let mut told = read.await.map_err(|e| format!("{e:?}"))?;
        told.sort();
        same(format!("what the shop of {} was told", p.id), told, expected)
    }

    /// Lists of the Admin API count what there is; the audit log has what was set.
    pub(super) async fn compare_site(&mut self) -> Step<()> {
        let site = self.site.office.site.clone();
        let ours = || self.model.payments.iter().filter(|p| p.site.is_some());
        let checkouts: Vec<(&str, usize)> = ["open", "completed", "expired", "cancelled"]
            .map(|status| (status, ours().filter(|p| p.checkout_status() == status).count()))
            .to_vec();
        let statuses = ["initiated", "pending_provider", "succeeded", "failed", "refunded", "cancelled"];
        let tries = |status: &str| {
            ours().map(|p| (0..p.tries.len()).filter(|n| p.site_status(*n) == status).count()).sum::<usize>()
        };
        let transactions: Vec<(&str, usize)> = statuses.map(|status| (status, tries(status))).to_vec();
        for (list, counts) in [("checkouts", checkouts), ("transactions", transactions)] {
            for (status, count) in counts {
                let path = format!("/{list}?siteId={site}&status={status}&limit=1");
                let total = self.shown(&path).await?["total"].as_u64();
                same(format!("{list} that are {status}"), total, Some(count as u64))?;
            }
        }
        let filter = store::audit::AuditFilter { merchant: Some(self.app.merchant), ..Default::default() };
        let rows = engine::audit::list(&self.app.store, filter, 1_000_000).await;
        let rows = rows.map_err(|e| format!("{e:?}"))?;
        let of_site = rows.iter().filter(|row| row.subject.as_deref() == Some(site.as_str())).count();
        same("what was set about the site, in the audit log", of_site, self.site.audited)?;
        let moved = rows.iter().filter(|row| row.kind == domain::audit::AuditKind::MoneyMoved).count();
        same("moves of money in the audit log", moved, self.site.moved)
    }
}
