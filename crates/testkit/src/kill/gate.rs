//! The shop's part of the load and of the checks: pages, refunds and payouts by signed bodies, and their
//! callbacks.

use super::client::Reply;
use super::inbox::Callback;
use super::load::{CREATE, Payer, Sent, Stop};
use crate::signer::{self, Order};
use std::collections::{BTreeSet, HashMap};

/// Accounts, and the statuses that a payout to each goes through.
const ACCOUNTS: [(&str, [&str; 2]); 4] = [
    ("DE89370400440532013000", ["created", "success"]),
    ("DE62370400440532013001", ["created", "failed"]),
    ("DE67370400440532013008", ["created", "success"]),
    ("DE13370400440532013010", ["created", "success"]),
];
/// The code of an answer when the balance is short.
const SHORT: u64 = 223;

/// What a signed body asks for.
#[derive(Clone, Debug)]
pub enum SignedAs {
    /// A page, by our name of it.
    Purchase { payment_id: String },
    /// A refund of all or a part of what was paid on a page.
    Refund { payment_id: String, payment: String, amount: i64 },
    /// A payout that ends with this status.
    Payout { payment_id: String, amount: i64, ends: &'static str },
}

impl Sent {
    /// What a signed body made, by its answer: the transaction's uuid or the operation's, or the code of a
    /// refusal that stands for ever. `None` for an answer after which it must be sent again.
    pub fn made(&self, reply: &Reply) -> Option<Result<String, u64>> {
        let json = reply.json();
        let data = &json["data"];
        let uuid = data["uuid"].as_str().or(data["operation"]["uuid"].as_str());
        match (json["meta"]["code"].as_u64(), uuid, &self.signed) {
            (Some(200), Some(uuid), _) => Some(Ok(uuid.to_owned())),
            (Some(SHORT), _, Some(SignedAs::Payout { .. })) => Some(Err(SHORT)),
            _ => None,
        }
    }
}

fn cents(amount: i64) -> String {
    format!("{}.{:02}", amount / 100, amount % 100)
}

impl Payer<'_> {
    /// Sends a signed body; the uuid of what it made, or none for a balance that is short.
    fn sign_and_send(&mut self, path: &str, form: String, signed: SignedAs) -> Result<Option<String>, Stop> {
        let shown = format!("POST {path} {form}");
        let (key, path) = (format!("{}-{}", self.name, self.count), path.to_owned());
        let sent = Sent { key, path, form, reply: None, signed: Some(signed), office: None };
        let reply = self.deliver(sent.clone())?;
        match sent.made(&reply) {
            Some(made) => Ok(made.ok()),
            None => Err(Stop::Wrong(format!("{shown}: {} {}", reply.status, reply.body))),
        }
    }

    fn name_one(&mut self) -> String {
        self.count += 1;
        format!("{}-{}", self.name, self.count)
    }

    /// Makes a page; our name of it and the transaction's uuid.
    pub(super) fn open_page(&mut self, amount: i64) -> Result<(String, String), Stop> {
        let payment_id = self.name_one();
        let order = Order {
            payment_id: &payment_id,
            price: &cents(amount),
            currency: "EUR",
            email: &format!("{payment_id}@example.com"),
            webhook: Some(self.inbox),
        };
        let body = self.shop.purchase(&order);
        let signed = SignedAs::Purchase { payment_id: payment_id.clone() };
        let uuid = self.sign_and_send(signer::PURCHASE, body, signed)?;
        Ok((payment_id, uuid.unwrap_or_default()))
    }

    /// A page that is paid, and all or a part of it given back.
    pub(super) fn sell_on_a_page(&mut self) -> Result<(), Stop> {
        let amount = self.random.within(100, 50_000);
        let (payment_id, uuid) = self.open_page(amount)?;
        let payment = self.payment_behind(&payment_id)?;
        self.post(&format!("{CREATE}/{payment}/confirm"), &[("payment_method", "pm_card_visa")], 200)?;
        if self.random.chance(1, 3) {
            return Ok(());
        }
        let amount = if self.random.chance(1, 2) { amount } else { self.random.within(1, amount - 1) };
        let reference = self.name_one();
        let body = self.shop.refund(&uuid, &cents(amount), "EUR", &reference);
        self.sign_and_send(signer::REFUND, body, SignedAs::Refund { payment_id, payment, amount })?;
        Ok(())
    }

    /// The payment of a page, by its payer's address, which is its own.
    fn payment_behind(&mut self, payment_id: &str) -> Result<String, Stop> {
        let customers = format!("/v2/customers?email={payment_id}%40example.com");
        let customer = self.first_id(&customers)?;
        self.first_id(&format!("{CREATE}?customer={customer}"))
    }

    fn first_id(&mut self, path: &str) -> Result<String, Stop> {
        let reply = self.lines.api.get(path).map_err(|_| Stop::Gone)?;
        let json = reply.json();
        match (json["data"][0]["id"].as_str(), json["data"].as_array().map_or(0, Vec::len)) {
            (Some(id), 1) => Ok(id.to_owned()),
            _ => {
                Err(Stop::Wrong(format!("GET {path} shows not one object: {} {}", reply.status, reply.body)))
            }
        }
    }

    /// Takes money in that is available at once, and pays a part of it out.
    pub(super) fn pay_out(&mut self) -> Result<(), Stop> {
        let amount = self.random.within(1_000, 50_000);
        let total = amount.to_string();
        let funds = [
            ("amount", total.as_str()),
            ("currency", "eur"),
            ("payment_method", "pm_card_bypassPending"),
            ("confirm", "true"),
        ];
        self.post(CREATE, &funds, 201)?;
        let (account, [_, ends]) = *self.random.pick(&ACCOUNTS);
        let (payment_id, amount) = (self.name_one(), self.random.within(1, amount / 2));
        let order = Order {
            payment_id: &payment_id,
            price: &cents(amount),
            currency: "EUR",
            email: &format!("{payment_id}@example.com"),
            webhook: Some(self.inbox),
        };
        let body = self.shop.payout(&order, account);
        let signed = SignedAs::Payout { payment_id, amount, ends };
        self.sign_and_send(signer::PAYOUT, body, signed).map(|_| ())
    }
}

/// What all signed requests made.
#[derive(Default)]
pub struct Made {
    /// The uuid of each transaction, by our name of it; none of a payout that was refused.
    pub transactions: HashMap<String, Option<String>>,
    /// Names of pages.
    pub pages: BTreeSet<String>,
    /// Refunds of each page: the operation's uuid and what it gives back.
    pub refunds: HashMap<String, Vec<(String, i64)>>,
    /// Amount and last status of each payout that was not refused.
    pub payouts: HashMap<String, (i64, &'static str)>,
    pub refused: BTreeSet<String>,
}

impl Made {
    /// # Errors
    /// When two requests made one thing.
    pub fn of(all: &[Sent]) -> Result<Made, String> {
        let mut made = Made::default();
        let mut seen = BTreeSet::new();
        for sent in all {
            let (Some(signed), Some(reply)) = (&sent.signed, &sent.reply) else { continue };
            let what = sent.made(reply).ok_or_else(|| format!("{} made nothing: {reply:?}", sent.key))?;
            if let Ok(uuid) = &what
                && !seen.insert(uuid.clone())
            {
                return Err(format!("two requests made {uuid}"));
            }
            match (signed.clone(), what) {
                (SignedAs::Purchase { payment_id }, what) => {
                    made.pages.insert(payment_id.clone());
                    made.transactions.insert(payment_id, what.ok());
                }
                (SignedAs::Refund { payment_id, amount, .. }, what) => {
                    made.refunds.entry(payment_id).or_default().push((what.unwrap_or_default(), amount));
                }
                (SignedAs::Payout { payment_id, amount, ends }, Ok(uuid)) => {
                    made.transactions.insert(payment_id.clone(), Some(uuid));
                    made.payouts.insert(payment_id, (amount, ends));
                }
                (SignedAs::Payout { payment_id, .. }, Err(_)) => drop(made.refused.insert(payment_id)),
            }
        }
        Ok(made)
    }

    /// Every callback that must come. `tried`: pages on which a try was made, each with its total if it was
    /// paid; none for a try that died on its way to the provider.
    pub fn callbacks(&self, tried: &HashMap<String, Option<i64>>) -> BTreeSet<Callback> {
        let mut all = BTreeSet::new();
        let mut told = |name: &str, transaction: Option<&str>, operations: &str| {
            all.extend(transaction.map(|status| Callback::new(name, "transaction", status)));
            all.insert(Callback::new(name, "operations", operations));
        };
        for page in &self.pages {
            told(page, Some("created"), "sale:init");
            let Some(paid) = tried.get(page) else { continue };
            told(page, Some("processing"), "sale:processing");
            let Some(total) = paid else {
                told(page, None, "sale:external_error");
                continue;
            };
            told(page, Some("success"), "sale:success");
            for (_, amount) in self.refunds.get(page).into_iter().flatten() {
                let status = if amount < total { "partially_refunded" } else { "refunded" };
                told(page, None, "sale:success,refund:processing");
                told(page, Some(status), "sale:success,refund:success");
            }
        }
        for (payout, (_, ends)) in &self.payouts {
            let operation = if *ends == "success" { "payout:success" } else { "payout:external_error" };
            told(payout, Some("created"), "payout:created");
            told(payout, Some(ends), operation);
        }
        for payout in &self.refused {
            told(payout, Some("failed"), "payout:internal_error");
        }
        all
    }
}
