//! The six calls: from a signed body to what is asked for, in both dialects (that of 2025, and the names of
//! 2026 beside it), with everything that is wrong told at once.
//!
//! Members that are not read here, unknown ones and those of older products (`callback`, `meta.type`,
//! `payer`), are neither refused nor believed; [`stored_request`] keeps them.

mod checks;
mod errors;
mod input;
mod recurring;
mod stored;
#[cfg(test)]
mod tests;

use domain::currency::Currency;
use domain::date::Date;
use domain::text::{email, multi_line, single_line};
use domain::time::Timestamp;
use sha2::{Digest, Sha256};
use web::params::Value;

pub use errors::Errors;
use input::{Input, Names, lookup};
pub use recurring::Recurring;
pub use stored::{stored_payout, stored_request};
pub use web::url::URL_MAX;

use crate::signature::{Number, SignedBody, Variant, fold};

/// Bytes of `additional_data` as compact JSON.
pub const ADDITIONAL_DATA_MAX: usize = 16 * 1024;
/// Lines of `order`.
pub const ORDER_LINES_MAX: usize = 100;

const PAYMENT_ID: Names = &["payment_id", "reference_id"];

/// What the reading of a request depends on besides its body.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    pub now: Timestamp,
    /// Take `http://` addresses on loopback, as in test mode.
    pub http_loopback: bool,
    /// Only the folded form was proven, so ids must not hold white space: see [`Policy::of`].
    pub folded: bool,
}

impl Policy {
    /// After a signature over the `proven` form.
    pub fn of(proven: Variant, now: Timestamp, http_loopback: bool) -> Policy {
        Policy { now, http_loopback, folded: proven == Variant::Folded }
    }
}

/// `purchase/create`, and what the other two creating calls have in common with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Create {
    pub service_id: i64,
    /// The merchant's id of the transaction, unique within the service.
    pub payment_id: String,
    /// In minor units, 1 to 999,999,999,999.
    pub amount: i64,
    pub currency: Currency,
    /// A method that the payer is bound to. Checked and kept; the page offers every method all the same.
    pub payment_method_id: Option<i64>,
    pub user: User,
    pub webhook: Webhook,
    pub redirect: Redirect,
    pub company: Company,
    pub order: Vec<OrderLine>,
    /// Compact JSON of at most [`ADDITIONAL_DATA_MAX`] bytes; security codes of cards are hidden in it.
    pub additional_data: Option<String>,
}

/// Who pays, or gets a payout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    /// Two upper-case letters; whether ISO 3166 has them is not checked.
    pub country: String,
    pub phone: Option<String>,
    pub city: Option<String>,
    pub zip: Option<String>,
    /// One or two lower-case letters, perhaps of no language.
    pub language: Option<String>,
    pub address: Option<String>,
    pub day_of_birth: Option<Date>,
}

/// Where this transaction's callbacks go, besides the service's own webhooks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Webhook {
    pub url: Option<String>,
    /// Name of the API token whose secret signs them. It may hold white space, which the folded form does
    /// not prove.
    pub token_name: Option<String>,
}

/// Where the payer goes afterwards; the service has addresses for what is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redirect {
    pub success: Option<String>,
    pub fail: Option<String>,
    pub back: Option<String>,
}

/// Whose account a payout goes to. In other calls it is checked and kept, and used for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Company {
    pub name: Option<String>,
    pub tax_id: Option<String>,
    pub bank_name: Option<String>,
    /// Always there in a payout. An IBAN or anything else; never what looks like a card number.
    pub bank_account: Option<String>,
    pub bank_swift: Option<String>,
    pub address: Option<String>,
}

/// A line of the order, for the payer to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderLine {
    /// May look like HTML. Not to be shown but escaped.
    pub textual: Option<String>,
    /// As sent; nothing is computed with it.
    pub price: Option<String>,
    pub currency: Option<String>,
}

/// `recurring/cancel`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancel {
    pub service_id: i64,
    pub payment_id: String,
}

/// `operation/refund`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    pub transaction_uuid: String,
    /// In minor units.
    pub amount: i64,
    pub currency: Currency,
    pub comment: Option<String>,
    /// Tells a second refund from a repetition of the first.
    pub reference_id: Option<String>,
}

impl Refund {
    /// What makes two requests the same refund: the fields, whatever their spelling. A shop that sends `1.00`
    /// once and `1` when it tries again must not refund twice. Texts are folded as signers fold them, since one
    /// signature fits every text of one folding.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let (amount, currency) = (self.amount.to_string(), self.currency.code());
        let uuid = self.transaction_uuid.to_ascii_lowercase();
        let comment = fold(self.comment.as_deref().unwrap_or(""));
        let reference = fold(self.reference_id.as_deref().unwrap_or(""));
        for field in [&uuid, &amount, currency, comment.as_ref(), reference.as_ref()] {
            // The length keeps two fields from being read as others.
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field.as_bytes());
        }
        hash.finalize().into()
    }
}

/// The service that a creating or cancelling call claims to be of, whose tokens its signature is checked
/// against.
///
/// # Errors
/// When it is missing or no positive integer.
pub fn service_id(body: &SignedBody) -> Result<i64, Errors> {
    let mut input = Input::new(body, Policy { now: Timestamp(0), http_loopback: false, folded: false });
    let id = read_service_id(&mut input);
    input.finish(id)
}

/// The shop's name of what a creating call is about, whatever else is wrong with the body.
pub fn payment_id(body: &SignedBody) -> Option<String> {
    let mut input = Input::new(body, Policy { now: Timestamp(0), http_loopback: false, folded: false });
    read_payment_id(&mut input)
}

/// The transaction that a refund or a question for the status is about, in lower case; its service has the
/// tokens to check the signature against. This is all that `transaction/status` has to say.
///
/// # Errors
/// When it is missing or no UUID.
pub fn transaction_uuid(body: &SignedBody) -> Result<String, Errors> {
    let mut input = Input::new(body, Policy { now: Timestamp(0), http_loopback: false, folded: false });
    let id = read_uuid(&mut input);
    input.finish(id)
}

/// Reads `transaction/purchase/create`.
///
/// # Errors
/// Every field that is wrong.
pub fn purchase(body: &SignedBody, policy: Policy) -> Result<Create, Errors> {
    let mut input = Input::new(body, policy);
    let create = read_create(&mut input);
    input.finish(create)
}

/// Reads `transaction/payout/create`: as a purchase, with an account to pay to.
///
/// # Errors
/// Every field that is wrong.
pub fn payout(body: &SignedBody, policy: Policy) -> Result<Create, Errors> {
    let mut input = Input::new(body, policy);
    input.require("company", &["bank_account"], "the account that the payout goes to");
    let create = read_create(&mut input);
    input.finish(create)
}

/// Reads `transaction/recurring/create`.
///
/// # Errors
/// Every field that is wrong.
pub fn recurring(body: &SignedBody, policy: Policy) -> Result<(Create, Recurring), Errors> {
    let mut input = Input::new(body, policy);
    let (create, recurring) = (read_create(&mut input), recurring::read(&mut input));
    input.finish(create.zip(recurring))
}

/// Reads `transaction/recurring/cancel`.
///
/// # Errors
/// Every field that is wrong.
pub fn cancel(body: &SignedBody, policy: Policy) -> Result<Cancel, Errors> {
    let mut input = Input::new(body, policy);
    let (service_id, payment_id) = (read_service_id(&mut input), read_payment_id(&mut input));
    // A signature covers neither the path nor the direction: a body that asked for something, or a callback that
    // we sent, must not cancel when somebody sends it here.
    for member in ["payment", "refund", "recurring", "user", "data"] {
        input.absent(member, "must not be in a cancellation: send meta alone");
    }
    input.finish(service_id.zip(payment_id).map(|(service_id, payment_id)| Cancel { service_id, payment_id }))
}

/// Reads `operation/refund`.
///
/// # Errors
/// Every field that is wrong.
pub fn refund(body: &SignedBody, policy: Policy) -> Result<Refund, Errors> {
    let mut input = Input::new(body, policy);
    let (uuid, money) = (read_uuid(&mut input), input.money("refund"));
    let comment = input.lines("refund", &["comment"], 1_000);
    let reference_id = input.key("refund", &["reference_id"]);
    let refund = uuid.zip(money).map(|(transaction_uuid, (amount, currency))| Refund {
        transaction_uuid,
        amount,
        currency,
        comment,
        reference_id,
    });
    input.finish(refund)
}

fn read_service_id(input: &mut Input<'_>) -> Option<i64> {
    input.require("meta", &["service_id"], "the number of your service, as its operator gave it to you");
    input.integer("meta", &["service_id"], 1, i64::MAX)
}

fn read_payment_id(input: &mut Input<'_>) -> Option<String> {
    input.require("meta", PAYMENT_ID, "your own id of the payment, unique within the service");
    input.key("meta", PAYMENT_ID)
}

fn read_uuid(input: &mut Input<'_>) -> Option<String> {
    const UUID: Names = &["transaction_uuid"];
    input.require("meta", UUID, "the uuid of the transaction, from a webhook or the answer to its creation");
    input.parsed("meta", UUID, "must be a UUID such as 0a553d60-8228-422c-b535-b1cabb6d34ea", checks::uuid)
}

fn read_create(input: &mut Input<'_>) -> Option<Create> {
    let (service_id, payment_id) = (read_service_id(input), read_payment_id(input));
    let money = input.money("payment");
    let payment_method_id = input.integer("payment", &["payment_method_id"], 1, i64::MAX);
    let user = read_user(input);
    let webhook = Webhook {
        url: input.url("webhook", &["url"], false),
        token_name: input.line("webhook", &["token_name"], 191),
    };
    let redirect = Redirect {
        success: input.url("redirect", &["success_url", "success"], true),
        fail: input.url("redirect", &["fail_url", "fail"], true),
        back: input.url("redirect", &["return_url", "return"], true),
    };
    let (company, order) = (read_company(input), read_order(input));
    let additional_data = read_additional_data(input);
    let (amount, currency) = money?;
    Some(Create {
        service_id: service_id?,
        payment_id: payment_id?,
        amount,
        currency,
        payment_method_id,
        user: user?,
        webhook,
        redirect,
        company,
        order,
        additional_data,
    })
}

fn read_user(input: &mut Input<'_>) -> Option<User> {
    const USER: &str = "user";
    input.require(USER, &["email"], "the payer's e-mail address");
    let email = input.checked(USER, &["email"], email);
    let first_name = read_name(input, "first_name", &["first_name"], &["name"]);
    let last_name = read_name(input, "last_name", &["last_name"], &["surname"]);
    input.require(USER, &["country"], "two letters by ISO 3166, such as CZ");
    let country =
        input.parsed(USER, &["country"], "must be two letters by ISO 3166, such as CZ", checks::country);
    let born = input.parsed(USER, &["day_of_birth"], "must be a day such as 1990-12-31", Date::parse);
    if let Some(born) = born
        && (born.start() >= input.policy.now || Date::parse("1900-01-01").is_none_or(|oldest| born < oldest))
    {
        input.errors.add("user.day_of_birth", "user.day_of_birth must be in the past, and not before 1900.");
    }
    let language =
        input.parsed(USER, &["language"], "must be two letters by ISO 639-1, such as en", |text| {
            let letters = text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
            letters.then(|| text.to_ascii_lowercase())
        });
    let phone = input.checked(USER, &["phone"], checks::phone);
    let (city, zip) = (input.line(USER, &["city"], 100), input.line(USER, &["zip"], 30));
    let address = input.lines(USER, &["address"], 255);
    Some(User {
        email: email?,
        first_name: first_name?,
        last_name: last_name?,
        country: country?,
        phone,
        city,
        zip,
        language,
        address,
        day_of_birth: born,
    })
}

/// A name under `names`, else under the older `others`, which is not read when it is not needed.
fn read_name(input: &mut Input<'_>, shown: &str, names: Names, others: Names) -> Option<String> {
    let user = input.member("user");
    let has = |name: &&str| matches!(user, Some(Value::Map(entries)) if lookup(entries, name).is_some());
    let names = if names.iter().any(has) || !others.iter().any(has) { names } else { others };
    input.require("user", names, &format!("the payer's {}", shown.replace('_', " ")));
    input.line("user", names, 255)
}

fn read_company(input: &mut Input<'_>) -> Company {
    const COMPANY: &str = "company";
    Company {
        name: input.line(COMPANY, &["name"], 255),
        tax_id: input.line(COMPANY, &["tax_id"], 100),
        bank_name: input.line(COMPANY, &["bank_name"], 255),
        bank_account: input.checked(COMPANY, &["bank_account"], checks::bank_account),
        bank_swift: input.line(COMPANY, &["bank_swift"], 64),
        address: input.lines(COMPANY, &["address"], 255),
    }
}

fn read_order(input: &mut Input<'_>) -> Vec<OrderLine> {
    let items: Vec<&Value> = match input.member("order") {
        None => return Vec::new(),
        Some(Value::List(items)) => items.iter().collect(),
        // A list whose keys PHP wrote out signs like one.
        Some(Value::Map(entries)) => entries.iter().map(|(_, item)| item).collect(),
        Some(_) => {
            input.errors.add("order", "order must be a list of objects.");
            return Vec::new();
        }
    };
    if items.len() > ORDER_LINES_MAX {
        input.errors.add("order", format!("order must have at most {ORDER_LINES_MAX} lines."));
        return Vec::new();
    }
    items.into_iter().enumerate().map(|(place, item)| read_order_line(input, place, item)).collect()
}

fn read_order_line(input: &mut Input<'_>, place: usize, item: &Value) -> OrderLine {
    let Value::Map(entries) = item else {
        let path = format!("order.{place}");
        input.errors.add(&path, format!("{path} must be an object such as {{\"textual\": \"2 tickets\"}}."));
        return OrderLine::default();
    };
    let mut text = |name: &str, max_chars: usize| {
        let path = format!("order.{place}.{name}");
        let text = match lookup(entries, name)? {
            Value::Text(text) => text.clone(),
            Value::Number(literal) if name == "price" => Number::of(literal).text(),
            _ => {
                input.errors.add(&path, format!("{path} must be a string."));
                return None;
            }
        };
        let check = if name == "textual" { multi_line } else { single_line };
        if let Err(refusal) = check(&text, max_chars) {
            input.errors.add(&path, format!("{path} {refusal}."));
        }
        Some(text)
    };
    OrderLine { textual: text("textual", 2_000), price: text("price", 40), currency: text("currency", 10) }
}

fn read_additional_data(input: &mut Input<'_>) -> Option<String> {
    const NAME: &str = "additional_data";
    let value = input.member(NAME)?;
    if stored::holds_card_number(value) {
        input.errors.add(NAME, format!("{NAME} must not contain a card number; remove it."));
    }
    let text = stored::json_text(&stored::masked(value, &[NAME]));
    if text.len() > ADDITIONAL_DATA_MAX {
        input.errors.add(NAME, format!("{NAME} must be at most {ADDITIONAL_DATA_MAX} bytes of JSON."));
    }
    Some(text)
}
