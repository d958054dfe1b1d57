//! The steps that a shop takes over Gate and a payer on its pages: signed calls through the router.

use super::model::gate::{self, PayoutScript};
use super::model::{Method, Payment};
use super::operations::settles;
use super::{Step, Walk, email_of, same};
use crate::Answer;
use crate::signer::{self, Order, Signer};
use axum::body::Body;
use axum::http::{Request, header};
use domain::gate_token::{PayloadDialect, SignVariant};
use engine::MethodChoice;
use engine::checkouts::Submission;

/// Signed requests that later steps may send again.
const KEPT: usize = 500;

/// Accounts and what the sandbox is documented to do with a payout to each.
pub(super) const ACCOUNTS: &[(&str, PayoutScript)] = &[
    ("DE89 3704 0044 0532 0130 00", PayoutScript::Pays),
    ("GB29NWBK60161331926819", PayoutScript::Pays),
    ("DE62370400440532013001", PayoutScript::Fails),
    ("000111111113", PayoutScript::Fails),
    ("DE24370400440532013006", PayoutScript::Later { first: "processing", fails: false }),
    ("DE94370400440532013007", PayoutScript::Later { first: "processing", fails: true }),
    ("DE67370400440532013008", PayoutScript::Later { first: "created", fails: false }),
    ("DE13370400440532013010", PayoutScript::Later { first: "created", fails: false }),
    ("DE83370400440532013011", PayoutScript::Later { first: "created", fails: false }),
];

/// What a signed request made.
#[derive(Clone, Debug)]
enum Made {
    /// A transaction, or the code of one that failed at once.
    Transaction(Result<String, u64>),
    /// An operation of a payment: its uuid, and its place among the refunds unless the balance was short.
    Refund { payment: usize, operation: Option<String>, place: Option<usize> },
}

/// A signed request as it was sent.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    path: &'static str,
    body: String,
    made: Made,
}

/// The shop's side of a walk.
pub(super) struct GateSide {
    shop: Signer,
    signed: Vec<Signed>,
    /// Names given so far: payment ids, references and forms.
    names: usize,
}

/// Minor units as a decimal text, by the currency's number of decimals.
fn price(minor: i64, currency: &str) -> String {
    let decimals = match currency {
        "jpy" => return minor.to_string(),
        "kwd" => 3,
        _ => 2,
    };
    let unit = 10_i64.pow(decimals);
    format!("{}.{:0width$}", minor / unit, minor % unit, width = decimals as usize)
}

/// Opens the merchant's service for every currency, with a cost, few tries and pages that expire soon; the
/// shop that signs for it.
pub(super) async fn open_shop(app: &crate::TestApp) -> Result<GateSide, String> {
    let fault = |e: engine::Error| format!("the service: {e:?}");
    let engine = &app.engine;
    let scope = app.scope();
    let all = engine.storefronts().await.map_err(fault)?;
    let service = all.iter().find(|s| s.scope == scope).map(|s| s.number).ok_or("no service")?;
    let change = |s: &mut domain::storefront::Storefront| {
        s.any_currency = true;
        s.surcharge = gate::COST;
        s.attempts_max = i64::from(gate::ATTEMPTS_MAX);
        s.request_expiration = gate::OPEN_FOR;
    };
    engine.change_storefront(service, None, change).await.map_err(fault)?;
    let payout = domain::fee::FeeRule {
        operation: domain::fee::FeeOperation::Payout,
        currency: None,
        fixed: gate::PAYOUT_FIXED,
        basis_points: 100,
        base: domain::fee::FeeBase::Amount,
        min: None,
        max: None,
        rounding: domain::money::Rounding::HalfUp,
    };
    engine.put_fee_rule("standard".to_owned(), payout).await.map_err(fault)?;
    let (variant, dialect) = (SignVariant::Folded, PayloadDialect::Y2025);
    let made = engine.create_token(service, "walk".to_owned(), variant, dialect).await;
    let (_, secret) = made.map_err(fault)?;
    Ok(GateSide { shop: Signer { service, secret }, signed: Vec::new(), names: 0 })
}

impl Walk {
    fn name(&mut self, what: &str) -> String {
        self.gate.names += 1;
        format!("{what}-{}", self.gate.names)
    }

    /// Sends a signed body; the answer and the code in it.
    async fn call(&mut self, path: &'static str, body: &str) -> Step<(Answer, u64)> {
        self.report.requests += 1;
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        let request = request.body(Body::from(body.to_owned())).map_err(|e| e.to_string())?;
        let answer = self.app.send(request).await;
        let code = answer.json["meta"]["code"].as_u64().ok_or_else(|| format!("no code: {}", answer.text))?;
        let status = u64::from(answer.status.as_u16());
        same(
            "the HTTP status for the code",
            status,
            if matches!(code, gate::SHORT | gate::NO_FEE) { 422 } else { code },
        )?;
        same("success", answer.json["meta"]["success"].as_bool(), Some(code == 200))?;
        if path != signer::STATUS {
            *self.report.answers.entry(format!("gate {code}")).or_default() += 1;
        }
        Ok((answer, code))
    }

    fn keep(&mut self, signed: Signed) {
        let all = &mut self.gate.signed;
        if all.len() < KEPT {
            all.push(signed);
            return;
        }
        let place = self.random.below(KEPT);
        self.gate.signed[place] = signed;
    }

    /// A payer: a customer, whose clock then is the payment's, or somebody new.
    fn payer(&mut self, currency: &str) -> (Option<usize>, String) {
        if !settles(currency) || self.random.chance(1, 4) {
            return (None, format!("{}@example.com", self.name("new")));
        }
        let customer = self.living();
        (Some(customer), email_of(customer))
    }

    pub(super) async fn purchase(&mut self) -> Step<()> {
        let (amount, currency) = (self.amount(), self.currency());
        let (customer, email) = self.payer(currency);
        let payment_id = self.name("order");
        let order = Order {
            payment_id: &payment_id,
            price: &price(amount, currency),
            currency: &currency.to_uppercase(),
            email: &email,
            webhook: None,
        };
        let body = self.gate.shop.purchase(&order);
        let (answer, code) = self.call(signer::PURCHASE, &body).await?;
        self.note(format!("purchase {order:?} -> {code}"));
        same("the code of a purchase", code, self.model.purchase_code(amount, currency))?;
        if code != 200 {
            self.keep(Signed { path: signer::PURCHASE, body, made: Made::Transaction(Err(code)) });
            return Ok(());
        }
        let uuid = uuid_of(&answer)?;
        self.model.purchase(&uuid, amount, currency, customer);
        let page = self.app.engine.checkout(uuid.clone()).await.map_err(|e| format!("{e:?}"))?;
        let i = self.model.payments.len() - 1;
        self.model.payments[i].id = page.payment.id.to_string();
        self.keep(Signed { path: signer::PURCHASE, body, made: Made::Transaction(Ok(uuid)) });
        self.compare_payment(i).await
    }

    /// A payment with a page of Gate: mostly one in a wanted state.
    fn page_in(&mut self, wanted: &[&str]) -> Option<usize> {
        self.page_where(|p| p.page.is_some() && p.site.is_none(), wanted)
    }

    /// One of the payments that `pages` picks: mostly one in a wanted state.
    pub(super) fn page_where(&mut self, pages: fn(&Payment) -> bool, wanted: &[&str]) -> Option<usize> {
        let all: Vec<usize> =
            (0..self.model.payments.len()).filter(|i| pages(&self.model.payments[*i])).collect();
        let count = all.len();
        for _ in 0..20 {
            let newest = self.random.below(count.min(20));
            let at = if self.random.chance(7, 10) {
                count.checked_sub(newest + 1)?
            } else {
                self.random.below(count)
            };
            let i = *all.get(at)?;
            if wanted.contains(&self.model.payments[i].status) {
                return Some(i);
            }
        }
        all.get(self.random.below(count)).copied()
    }

    pub(super) fn code_of_page(&self, i: usize) -> String {
        self.model.payments[i].page.as_ref().map(|page| page.uuid.clone()).unwrap_or_default()
    }

    async fn submission(&self, form: &str, token: &str) -> Step<Submission> {
        let scope = self.app.scope();
        let choice = self.app.engine.choose_method(scope, "method", token).await;
        match choice.map_err(|e| format!("{e:?}"))? {
            MethodChoice::New(method) => {
                Ok(Submission { form: form.to_owned(), method: *method, request_id: "req_walk".to_owned() })
            }
            _ => Err(format!("{token} is no method for a form")),
        }
    }

    /// The payer sends the form of a page: once, twice at the same time, or again later with another card.
    pub(super) async fn pay_page(&mut self) -> Step<()> {
        let open = ["requires_payment_method", "requires_confirmation", "requires_action"];
        let Some(i) = self.page_in(&open) else { return self.purchase().await };
        let method = self.page_method(i);
        let (form, code) = (self.name("form"), self.code_of_page(i));
        let other = self.page_method(i);
        let first = self.submission(&form, &method.token).await?;
        let engine = self.app.engine.clone();
        let again = self.random.below(4);
        self.note(format!("pay {i} {code} with {} ({again})", method.token));
        if again == 0 {
            let second = self.submission(&form, &method.token).await?;
            let (one, two) = tokio::join!(
                engine.pay_checkout(code.clone(), first),
                engine.pay_checkout(code.clone(), second)
            );
            one.and(two).map_err(|e| format!("{e:?}"))?;
        } else {
            engine.pay_checkout(code.clone(), first).await.map_err(|e| format!("{e:?}"))?;
        }
        self.model.pay_page(i, method);
        if again == 1 {
            let second = self.submission(&form, &other.token).await?;
            engine.pay_checkout(code, second).await.map_err(|e| format!("{e:?}"))?;
        }
        self.compare_payment(i).await?;
        self.compare_balances().await
    }

    /// A method that the page offers for the payment; nobody's saved card.
    fn page_method(&mut self, i: usize) -> Method {
        loop {
            let method = self.method();
            let fits = method.owner.is_none()
                && (self.model.payments[i].debits || !method.token.starts_with("pm_sepa"));
            if fits {
                return method;
            }
        }
    }

    pub(super) async fn abandon(&mut self) -> Step<()> {
        let Some(i) = self.page_in(&["requires_payment_method", "requires_action"]) else {
            return self.purchase().await;
        };
        let code = self.code_of_page(i);
        self.note(format!("abandon {i} {code}"));
        self.model.abandon(i);
        let left = self.app.engine.abandon_checkout(code, "req_walk".to_owned()).await;
        left.map_err(|e| format!("{e:?}"))?;
        self.compare_payment(i).await
    }

    pub(super) async fn gate_refund(&mut self) -> Step<()> {
        let Some(i) = self.page_in(&["succeeded"]) else { return self.purchase().await };
        let p = &self.model.payments[i];
        let (currency, left) = (p.currency, (p.refundable() - p.refunded).max(1));
        let amount = match self.random.below(10) {
            0..3 => left,
            3..9 => self.random.within(1, left),
            _ => left + self.random.within(1, 1_000),
        };
        let (reference, uuid) = (self.name("refund"), self.code_of_page(i));
        let body =
            self.gate.shop.refund(&uuid, &price(amount, currency), &currency.to_uppercase(), &reference);
        self.send_refund(i, amount, body).await
    }

    async fn send_refund(&mut self, payment: usize, amount: i64, body: String) -> Step<()> {
        let expected = self.model.gate_refund(payment, amount);
        let (answer, code) = self.call(signer::REFUND, &body).await?;
        self.note(format!("gate refund {amount} of {payment} -> {code}"));
        same(format!("the code of a refund of {amount}"), code, expected)
            .map_err(|e| format!("{e}\n{}", answer.text))?;
        let p = &mut self.model.payments[payment];
        let page = p.page.as_mut().ok_or("a refund without a page")?;
        if code == 422 {
            return self.compare_payment(payment).await;
        }
        let (mut operation, mut place) = (None, None);
        if code == gate::SHORT {
            page.refused.push(amount);
        } else {
            let shown = &answer.json["data"]["operation"];
            let uuid = shown["uuid"].as_str().unwrap_or("").to_owned();
            let made = p.refunds.last_mut().ok_or("the model has no refund")?;
            made.id = shown["payment_system_transaction_id"].as_str().unwrap_or("").to_owned();
            place = Some(p.refunds.len() - 1);
            operation = Some(uuid);
        }
        let made = Made::Refund { payment, operation, place };
        self.keep(Signed { path: signer::REFUND, body, made });
        self.compare_payment(payment).await?;
        self.compare_balances().await
    }

    pub(super) async fn payout(&mut self) -> Step<()> {
        let currency = self.currency();
        let available = self.model.balances.get(currency).map_or(0, |b| b.available);
        let amount = match self.random.below(4) {
            0 => available.max(0) + self.random.within(1, 1_000),
            _ => self.random.within(1, (available / 4).max(1)),
        };
        let (account, script) = *self.random.pick(ACCOUNTS);
        let (_, email) = self.payer(currency);
        let payment_id = self.name("payout");
        let order = Order {
            payment_id: &payment_id,
            price: &price(amount, currency),
            currency: &currency.to_uppercase(),
            email: &email,
            webhook: None,
        };
        let body = self.gate.shop.payout(&order, account);
        let expected = self.model.payout(amount, currency, script);
        let (answer, code) = self.call(signer::PAYOUT, &body).await?;
        self.note(format!("payout {order:?} to {account} -> {code}"));
        same("the code of a payout", code, expected).map_err(|e| format!("{e}\n{}", answer.text))?;
        let made = if code == 200 { Ok(uuid_of(&answer)?) } else { Err(code) };
        let n = self.model.payouts.len() - 1;
        if let Ok(uuid) = &made {
            self.model.payouts[n].uuid.clone_from(uuid);
            self.compare_payout(n).await?;
        }
        self.keep(Signed { path: signer::PAYOUT, body, made: Made::Transaction(made) });
        self.compare_balances().await
    }

    /// A signed request again: what it made stays one, and what was refused stays refused.
    pub(super) async fn repeat_signed(&mut self) -> Step<()> {
        if self.gate.signed.is_empty() {
            return self.purchase().await;
        }
        let at = self.random.below(self.gate.signed.len());
        let signed = self.gate.signed[at].clone();
        self.report.replays += 1;
        match signed.made.clone() {
            Made::Transaction(made) => {
                let (answer, code) = self.call(signed.path, &signed.body).await?;
                self.note(format!("again {} {} -> {code}", signed.path, signed.body));
                let again = if code == 200 { Ok(uuid_of(&answer)?) } else { Err(code) };
                same("the repeated transaction", again, made)?;
            }
            Made::Refund { payment, place: None, .. } => {
                let (_, code) = self.call(signed.path, &signed.body).await?;
                self.note(format!("again refused refund of {payment} -> {code}"));
                same("the code of a refused refund", code, gate::SHORT)?;
                self.compare_payment(payment).await?;
            }
            Made::Refund { payment, place: Some(place), operation, .. } => {
                let status = self.model.payments[payment].refunds.get(place).map(|r| r.status);
                let expected = if status == Some("failed") { 422 } else { 200 };
                let (answer, code) = self.call(signed.path, &signed.body).await?;
                self.note(format!("again refund of {payment} -> {code}"));
                same("the code of a repeated refund", code, expected)?;
                if code == 200 {
                    let shown = answer.json["data"]["operation"]["uuid"].as_str().map(str::to_owned);
                    same("the repeated refund's operation", shown, operation)?;
                }
                self.compare_payment(payment).await?;
            }
        }
        self.compare_balances().await
    }

    /// Another request under a name that is taken: refused, and nothing happens.
    pub(super) async fn reuse_name(&mut self) -> Step<()> {
        let taken = self.gate.signed.iter().find_map(|signed| match &signed.made {
            Made::Transaction(_) => serde_json::from_str::<serde_json::Value>(&signed.body).ok(),
            Made::Refund { .. } => None,
        });
        let Some(taken) = taken else { return self.purchase().await };
        let payment_id = taken["meta"]["payment_id"].as_str().unwrap_or("").to_owned();
        let order = Order {
            payment_id: &payment_id,
            price: "123456.78",
            currency: "EUR",
            email: "other@example.com",
            webhook: None,
        };
        let body = self.gate.shop.purchase(&order);
        let (_, code) = self.call(signer::PURCHASE, &body).await?;
        self.note(format!("other body under {payment_id} -> {code}"));
        same("the code of a name that is taken", code, 409)?;
        self.compare_balances().await
    }

    /// A transaction as Gate shows it.
    async fn transaction(&mut self, uuid: &str) -> Step<serde_json::Value> {
        let body = self.gate.shop.status(uuid);
        let (answer, code) = self.call(signer::STATUS, &body).await?;
        same(format!("the code of the status of {uuid}"), code, 200)?;
        Ok(answer.json["data"].clone())
    }

    /// The side that Gate or the Admin API has of a payment: on Gate status, amounts and every operation.
    pub(super) async fn compare_page(&mut self, i: usize) -> Step<()> {
        if self.model.payments[i].site.is_some() {
            return self.compare_checkout(i).await;
        }
        let uuid = self.code_of_page(i);
        if uuid.is_empty() {
            return Ok(());
        }
        let shown = self.transaction(&uuid).await?;
        let p = &self.model.payments[i];
        let Some(page) = &p.page else { return Ok(()) };
        let what = |field: &str| format!("{field} of the transaction {uuid} of {}", p.id);
        same(what("status"), shown["status"].as_str(), Some(p.transaction(page)))?;
        same(what("amount"), shown["amount"].as_str(), Some(price(page.price, p.currency).as_str()))?;
        let cost = price(gate::cost(p.currency), p.currency);
        same(what("cost"), shown["cost"].as_str(), Some(cost.as_str()))?;
        let mut expected: Vec<_> = p
            .operations(page)
            .into_iter()
            .map(|(kind, status, amount)| (kind.to_owned(), status.to_owned(), price(amount, p.currency)))
            .collect();
        expected.sort();
        same(what("operations"), operations(&shown), expected)
    }

    pub(super) async fn compare_payout(&mut self, n: usize) -> Step<()> {
        let uuid = self.model.payouts[n].uuid.clone();
        if uuid.is_empty() {
            return if self.model.payouts[n].id.is_empty() {
                Ok(())
            } else {
                self.compare_merchant_payout(n).await
            };
        }
        let shown = self.transaction(&uuid).await?;
        let payout = &mut self.model.payouts[n];
        same(format!("the status of the payout {uuid}"), shown["status"].as_str(), Some(payout.status))?;
        let amount = price(payout.amount, payout.currency);
        let expected = vec![("payout".to_owned(), payout.operation().to_owned(), amount)];
        same(format!("the operation of the payout {uuid}"), operations(&shown), expected)?;
        let id = shown["operations"][0]["payment_system_transaction_id"].as_str().unwrap_or("");
        if payout.id.is_empty() {
            id.clone_into(&mut payout.id);
        }
        same(format!("the id of the payout {uuid}"), id, payout.id.as_str())
    }
}

fn uuid_of(answer: &Answer) -> Step<String> {
    let uuid = answer.json["data"]["uuid"].as_str().map(str::to_owned);
    uuid.ok_or_else(|| format!("no uuid in {}: {}", answer.status, answer.text))
}

/// Type, status and amount of each operation, sorted.
fn operations(transaction: &serde_json::Value) -> Vec<(String, String, String)> {
    let text = |o: &serde_json::Value, field: &str| o[field].as_str().unwrap_or("").to_owned();
    let all = transaction["operations"].as_array().into_iter().flatten();
    let mut all: Vec<_> = all.map(|o| (text(o, "type"), text(o, "status"), text(o, "amount"))).collect();
    all.sort();
    all
}
