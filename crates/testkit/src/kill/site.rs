//! A merchant's server and its payers in the load and in the checks: checkouts over the Admin API, tries to pay over
//! the Main Backend, and the notices to the shop.

use super::client::Reply;
use super::inbox::Callback;
use super::load::{Payer, Sent, Stop};
use super::process::Process;
use crate::Random;
use domain::id::{Core, MerchantId, PaymentId, TypedId};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

const SCOPES: [&str; 3] = ["site:*", "checkout:*", "transaction:*"];
const HELPERS: &str = "/v2/test_helpers/payment_intents";
const TRY: &str = "/api/v1/transactions/create";

/// What the merchant's server knows of itself.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// A key of the organisation.
    pub key: String,
    pub id: String,
    /// Signs notices.
    pub secret: String,
    /// Where they go.
    pub ipn_url: String,
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

impl Site {
    /// Opens a site of the demo merchant with notices that name themselves.
    pub fn open(gateway: &Process, ipn_url: &str) -> Result<Site, String> {
        let merchant = MerchantId::parse(&gateway.merchant).ok_or("no merchant")?;
        let organization = merchant.0.hex();
        let made = |reply: Result<Reply, _>, what: &str| match reply {
            Ok(reply) if reply.status == 201 => Ok(reply.json()),
            Ok(reply) => Err(format!("{what} was refused: {} {}", reply.status, reply.body)),
            Err(_) => Err(format!("{what} could not be made")),
        };
        let keys = format!("/api/v1/organizations/{organization}/api-keys");
        let body = json!({ "name": "kill", "mode": "test", "scopes": SCOPES }).to_string();
        let mut system = gateway.admin_client(&gateway.system_key);
        let key = made(system.json("POST", &keys, None, &body), "a key")?;
        let body = json!({ "name": "Kill", "ipnVersion": 2 }).to_string();
        let mut admin = gateway.admin_client(&text(&key, "key"));
        let site = made(admin.json("POST", "/api/v1/sites", None, &body), "a site")?;
        Ok(Site {
            key: text(&key, "key"),
            id: text(&site, "id"),
            secret: text(&site, "webhookSecret"),
            ipn_url: ipn_url.to_owned(),
        })
    }
}

/// What a request to the Admin API or the Main Backend asks for. Payments are named as on REST v2.
#[derive(Clone, Debug)]
pub enum OfficeAs {
    Checkout,
    /// A payer's try, under a name of its own.
    Try {
        payment: String,
    },
    /// Without an idempotency key it is one of all that was paid: whoever repeats it learns that it was done.
    Refund {
        payment: String,
        amount: i64,
        keyed: bool,
    },
    /// Closes the checkout, or cancels what waits for the payer.
    End {
        payment: String,
    },
    Note,
}

impl OfficeAs {
    fn keyed(&self) -> bool {
        match self {
            OfficeAs::Refund { keyed, .. } => *keyed,
            OfficeAs::Try { .. } | OfficeAs::Note => false,
            _ => true,
        }
    }

    /// Whether an answer is the last word.
    pub fn ends(&self, reply: &Reply) -> bool {
        match self {
            OfficeAs::Try { .. } if reply.status == 200 => {
                let json = reply.json();
                json["status"] != "initiated" || json["redirectUrl"].is_string()
            }
            OfficeAs::Refund { keyed: false, .. } if reply.body.contains("already_refunded") => true,
            _ => reply.status == 200,
        }
    }

    /// Whether a later answer to the same request is as it must be.
    pub fn alike(&self, first: &Reply, again: &Reply) -> bool {
        match self {
            // What is answered is how the checkout stands by now.
            OfficeAs::Try { .. } => {
                again.status == 200 && again.json()["checkoutId"] == first.json()["checkoutId"]
            }
            OfficeAs::Refund { keyed: false, .. } => again.body.contains("already_refunded"),
            // What is written a second time is the same.
            OfficeAs::Note => again.status == 200 && again.json()["metadata"] == first.json()["metadata"],
            _ => *again == Reply { replayed: true, ..first.clone() },
        }
    }
}

impl Sent {
    /// Sends what is for the Admin API or the Main Backend.
    pub(super) fn send_office(
        &self,
        lines: &mut super::process::Lines,
        office: &OfficeAs,
    ) -> Result<Reply, super::client::Failure> {
        let line = if matches!(office, OfficeAs::Try { .. }) { &mut lines.public } else { &mut lines.admin };
        let verb = match office {
            OfficeAs::Note => "PATCH",
            _ => "POST",
        };
        line.json(verb, &self.path, office.keyed().then_some(self.key.as_str()), &self.form)
    }
}

/// A checkout that was made.
struct Open {
    payment: String,
    checkout: String,
    code: String,
}

impl Payer<'_> {
    fn office(&mut self, path: String, body: &Value, office: OfficeAs) -> Result<Value, Stop> {
        self.count += 1;
        let key = format!("{}-{}", self.name, self.count);
        let shown = format!("{path} {body}");
        let ends = office.clone();
        let form = body.to_string();
        let sent = Sent { key, path, form, reply: None, signed: None, office: Some(office) };
        let reply = self.deliver(sent)?;
        if ends.ends(&reply) {
            return Ok(reply.json());
        }
        Err(Stop::Wrong(format!("{shown}: {} {}", reply.status, reply.body)))
    }

    fn open_checkout(&mut self, amount: i64) -> Result<Open, Stop> {
        let order = format!("{}-{}", self.name, self.count);
        let body = json!({
            "amount": amount, "currency": "EUR", "externalReference": order, "ipnUrl": self.site.ipn_url,
            "items": [{ "name": "Cup", "quantity": 1, "unitPrice": amount + 50 }, { "unitPrice": -50 }],
            "metadata": { "cart": order },
        });
        let path = format!("/api/v1/checkouts/{}/create", self.site.id);
        let made = self.office(path, &body, OfficeAs::Checkout)?;
        let checkout = text(&made, "id");
        let payment = payment_of(&checkout).ok_or_else(|| Stop::Wrong(format!("no checkout in {made}")))?;
        Ok(Open { payment, checkout, code: text(&made, "shortCode") })
    }

    /// A payer's try; the transaction.
    fn try_to_pay(&mut self, open: &Open, number: &str) -> Result<String, Stop> {
        let form = format!("{}-{}", self.name, self.count);
        let body = json!({
            "sessionPublicId": open.code, "attemptKey": form,
            "paymentMethod": { "type": "card", "card": { "number": number, "expMonth": 12, "expYear": 2034, "cvc": "123" } },
        });
        let paid = self.office(TRY.to_owned(), &body, OfficeAs::Try { payment: open.payment.clone() })?;
        Ok(text(&paid, "id"))
    }

    /// One checkout's story.
    pub(super) fn sell_at_the_site(&mut self) -> Result<(), Stop> {
        let amount = self.random.within(100, 50_000);
        let open = self.open_checkout(amount)?;
        let payment = open.payment.clone();
        let of = |what: &str, id: &str, command: &str| format!("/api/v1/{what}/{id}/{command}");
        match self.random.below(6) {
            0 => {
                let path = of("checkouts", &open.checkout, "expire");
                self.office(path, &json!({}), OfficeAs::End { payment })?;
            }
            1 => {
                let transaction = self.try_to_pay(&open, "4000000000003220")?;
                let path = of("transactions", &transaction, "cancel");
                self.office(path, &json!({}), OfficeAs::End { payment })?;
            }
            2 => {
                self.try_to_pay(&open, "4000000000003220")?;
                self.post(&format!("{HELPERS}/{payment}/authenticate"), &[("outcome", "success")], 200)?;
                let path = format!("/api/v1/checkouts/{}", open.checkout);
                self.office(path, &json!({ "metadata": { "seen": "yes" } }), OfficeAs::Note)?;
            }
            3 => {
                self.try_to_pay(&open, "4000000000000002")?;
                let transaction = self.try_to_pay(&open, "4242424242424242")?;
                let path = of("transactions", &transaction, "refund");
                self.office(path, &json!({}), OfficeAs::Refund { payment, amount, keyed: false })?;
            }
            n => {
                let transaction = self.try_to_pay(&open, "4242424242424242")?;
                let amount = if n == 4 { self.random.within(1, amount) } else { amount };
                let path = of("transactions", &transaction, "refund");
                let body = json!({ "amount": amount, "reason": "none" });
                self.office(path, &body, OfficeAs::Refund { payment, amount, keyed: true })?;
            }
        }
        Ok(())
    }
}

fn checkout_of(payment: &str) -> String {
    PaymentId::parse(payment).map(|id| id.0.hex()).unwrap_or_default()
}

fn payment_of(checkout: &str) -> Option<String> {
    Core::parse_hex(checkout).map(|core| PaymentId::from_core(core).to_string())
}

/// What one answered request says of its payment: the payment, and what is known of it then.
pub enum Says {
    Made(String),
    Stands { payment: String, status: &'static str, received: i64 },
    Refunded { payment: String, amount: i64 },
    Nothing,
}

impl OfficeAs {
    pub fn says(&self, reply: &Reply) -> Result<Says, String> {
        let json = reply.json();
        let stands = |payment: &String, status, received| {
            Ok(Says::Stands { payment: payment.clone(), status, received })
        };
        match self {
            OfficeAs::Checkout => match payment_of(&text(&json, "id")) {
                Some(payment) => Ok(Says::Made(payment)),
                None => Err(format!("no checkout in {reply:?}")),
            },
            OfficeAs::Try { payment } => match text(&json, "status").as_str() {
                "succeeded" => stands(payment, "succeeded", json["amount"].as_i64().unwrap_or(i64::MIN)),
                "failed" => stands(payment, "requires_payment_method", 0),
                "initiated" => stands(payment, "requires_action", 0),
                other => Err(format!("{payment} is {other} after a try")),
            },
            OfficeAs::Refund { payment, amount, .. } => {
                Ok(Says::Refunded { payment: payment.clone(), amount: *amount })
            }
            OfficeAs::End { payment } => stands(payment, "canceled", 0),
            OfficeAs::Note => Ok(Says::Nothing),
        }
    }
}

/// All that was done at the site: by payment, each transaction with whether its try failed.
#[derive(Default)]
pub struct Sales {
    pub checkouts: BTreeMap<String, Vec<(String, bool)>>,
    /// How often each transaction's or checkout's money was moved, or its end was asked for: a row of the audit log
    /// each.
    pub moved: BTreeMap<String, usize>,
    /// Tries that were told as failed.
    pub failures: usize,
}

impl Sales {
    pub fn of(all: &[Sent]) -> Result<Sales, String> {
        let mut sales = Sales::default();
        for sent in all {
            let Some(office) = &sent.office else { continue };
            let Some(reply) = &sent.reply else { continue };
            match office {
                OfficeAs::Checkout => drop(sales.checkouts.entry(text(&reply.json(), "id")).or_default()),
                OfficeAs::Try { payment } => {
                    let json = reply.json();
                    let failed = json["status"] == "failed";
                    sales.failures += usize::from(failed);
                    let tries = sales.checkouts.entry(checkout_of(payment)).or_default();
                    tries.push((text(&json, "id"), failed));
                }
                OfficeAs::Refund { payment, .. } | OfficeAs::End { payment } => {
                    let checkout = checkout_of(payment);
                    let latest = sales.checkouts.get(&checkout).and_then(|tries| tries.last());
                    let subject = latest.map_or(checkout, |(id, _)| id.clone());
                    *sales.moved.entry(subject).or_default() += 1;
                }
                OfficeAs::Note => {}
            }
        }
        let mut seen = BTreeSet::new();
        match sales.checkouts.values().flatten().find(|(id, _)| !seen.insert(id)) {
            Some((twice, _)) => Err(format!("two tries made {twice}")),
            None => Ok(sales),
        }
    }

    /// Every notice that must come. `ends`: each payment's status by its answers, and whether all of it was given
    /// back.
    pub fn notices(&self, ends: &HashMap<String, (String, bool)>) -> BTreeSet<Callback> {
        let mut all = BTreeSet::new();
        let mut told = |id: &str, code: i64| {
            all.insert(Callback::new(id, "ipn", &code.to_string()));
        };
        for (checkout, tries) in &self.checkouts {
            let end = payment_of(checkout).and_then(|payment| ends.get(&payment));
            let (status, refunded) = end.map_or(("", false), |(status, back)| (status.as_str(), *back));
            if tries.is_empty() && status == "canceled" {
                told(checkout, -2);
            }
            for (id, failed) in tries {
                match status {
                    _ if *failed => told(id, 2),
                    "succeeded" => {
                        told(id, 1);
                        if refunded {
                            told(id, 3);
                        }
                    }
                    "canceled" => told(id, -2),
                    _ => {}
                }
            }
        }
        all
    }

    /// A checkout as the Admin API shows it has the transactions that were told, and no other.
    pub fn compare(&self, shown: &Value) -> Result<(), String> {
        let listed = shown["transactionIds"].as_array().cloned().unwrap_or_default();
        let listed: Vec<&str> = listed.iter().filter_map(Value::as_str).collect();
        let known = self.checkouts.get(&text(shown, "id"));
        let known: Vec<&str> = known.into_iter().flatten().map(|(id, _)| id.as_str()).collect();
        if listed == known {
            return Ok(());
        }
        Err(format!("the checkout {} has the transactions {listed:?}, not {known:?}", shown["id"]))
    }

    /// The audit log says once who moved money or ended a payment, each time.
    pub fn compare_audit(&self, subjects: impl Iterator<Item = String>) -> Result<(), String> {
        let mut rows: BTreeMap<String, usize> = BTreeMap::new();
        for subject in subjects {
            *rows.entry(subject).or_default() += 1;
        }
        match rows.iter().find(|(subject, times)| self.moved.get(*subject) != Some(*times)) {
            Some((subject, times)) => Err(format!(
                "the audit log has {subject} {times} times, but {:?} requests were answered",
                self.moved.get(subject)
            )),
            None if rows.len() == self.moved.len() => Ok(()),
            None => Err(format!("the audit log has {} of {} moves", rows.len(), self.moved.len())),
        }
    }
}

/// Whether a client of this round sells at the site.
pub(super) fn chosen(random: &mut Random) -> bool {
    random.chance(2, 5)
}
