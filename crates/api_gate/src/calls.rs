//! The six calls: what was asked for becomes a command of the engine, and its outcome an answer.

use crate::dispatch::Signed;
use crate::envelope::{FEE_FAILED, NOT_ENOUGH_BALANCE};
use crate::error::GateError;
use crate::render::{self, Shape, page_url};
use crate::requests::{self, Create, OrderLine, Recurring};
use domain::checkout::{CheckoutDetails, Item, LeaveUrls};
use domain::currency::Currency;
use domain::customer::Address;
use domain::date::Date;
use domain::gate_operation::{OperationStatus, REFUND_FAILED};
use domain::gate_transaction::{CODE_BALANCE, CODE_FEE, GateTransaction, RecurringTerms, TransactionKind};
use domain::id::GateTokenId;
use domain::money::parse_major;
use domain::payment_method::MethodKind;
use domain::storefront::StorefrontStatus;
use domain::time::{DAY, Timestamp};
use engine::gate::{GateRefund, NewTransaction, Payer};
use serde_json::{Value, json};

/// What a request can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Purchase,
    Recurring,
    Cancel,
    Payout,
    Refund,
    Status,
}

impl Call {
    /// Whether the body names a transaction, through which its service is found.
    pub fn names_a_transaction(self) -> bool {
        matches!(self, Call::Refund | Call::Status)
    }
}

/// A message for `meta`, and the data.
type Answer = Result<(&'static str, Value), GateError>;

const ACCEPTED: &str = "Transaction can be processed!";
/// Nothing is charged for a recurring transaction yet, and the answer says so.
const STORED: &str = "Transaction is stored. Recurring payments cannot be charged yet.";

pub async fn run(call: Call, signed: Signed) -> Answer {
    match call {
        Call::Purchase => once(&signed, TransactionKind::Purchase, ACCEPTED, purchase(&signed).await).await,
        Call::Recurring => once(&signed, TransactionKind::Recurring, STORED, recurring(&signed).await).await,
        Call::Payout => once(&signed, TransactionKind::Payout, ACCEPTED, payout(&signed).await).await,
        Call::Cancel => cancel(signed).await,
        Call::Refund => refund(signed).await,
        Call::Status => status(signed).await,
    }
}

/// What is refused today may have been taken before: dates have passed since, or the service was changed. A repetition
/// gets the answer of the first request all the same.
async fn once(signed: &Signed, kind: TransactionKind, message: &'static str, answer: Answer) -> Answer {
    let refused = match answer {
        Err(refused) if refused.code < 500 => refused,
        other => return other,
    };
    let Some(payment_id) = requests::payment_id(&signed.body) else { return Err(refused) };
    let engine = &signed.app.engine;
    match engine.known_gate_transaction(&signed.service, kind, payment_id, signed.body.digest()).await {
        Ok(Some(known)) => accepted(signed, &known, message),
        Ok(None) | Err(engine::Error::NameTaken { .. }) => Err(refused),
        Err(failed) => Err(failed.into()),
    }
}

async fn purchase(signed: &Signed) -> Answer {
    signed.require_open().await?;
    let create = requests::purchase(&signed.body, signed.policy).map_err(GateError::fields)?;
    let method = forced_method(&create)?;
    let new = NewTransaction { method, ..new_transaction(signed, create)? };
    let created = signed.app.engine.create_gate_purchase(&signed.service, new).await?;
    accepted(signed, &created, ACCEPTED)
}

async fn recurring(signed: &Signed) -> Answer {
    signed.require_open().await?;
    let (create, terms) = requests::recurring(&signed.body, signed.policy).map_err(GateError::fields)?;
    let recurring = Some(terms_of(&terms));
    let new = NewTransaction { recurring, ..new_transaction(signed, create)? };
    let created = signed.app.engine.create_gate_purchase(&signed.service, new).await?;
    accepted(signed, &created, STORED)
}

fn terms_of(r: &Recurring) -> RecurringTerms {
    RecurringTerms { start_at: r.start, end_at: r.end, cycle_days: r.cycle_days, trial_days: r.trial_days }
}

/// The answer to a creating call: the page, unless the transaction failed at once. What becomes of it later
/// does not change the answer: a repetition gets the one that the first request got.
fn accepted(signed: &Signed, t: &GateTransaction, message: &'static str) -> Answer {
    let nothing_begun = t.payment.is_none() && t.payout.is_none();
    if nothing_begun && t.status.is_lost() && t.last_error_code != 0 {
        return Err(failed_at_once(t));
    }
    let page = page_url(&signed.app.urls, &t.uuid);
    Ok((message, json!({ "redirect_url": page, "uuid": t.uuid })))
}

fn failed_at_once(t: &GateTransaction) -> GateError {
    let code = match t.last_error_code {
        CODE_FEE => FEE_FAILED,
        CODE_BALANCE => NOT_ENOUGH_BALANCE,
        _ => 422,
    };
    GateError::new(code, t.last_error_message.clone())
}

fn new_transaction(signed: &Signed, create: Create) -> Result<NewTransaction, GateError> {
    let token = permitted(signed, &create)?;
    let currency = create.currency;
    let name = format!("{} {}", create.user.first_name, create.user.last_name);
    let details = CheckoutDetails {
        reference: Some(create.payment_id.clone()),
        items: create.order.iter().filter_map(|line| item(line, currency)).collect(),
        leave: LeaveUrls {
            pending: None,
            success: create.redirect.success,
            fail: create.redirect.fail,
            back: create.redirect.back,
        },
        language: create.user.language.clone(),
        payer_name: Some(name.trim().to_owned()),
        payer_email: Some(create.user.email.clone()),
        payer_country: Some(create.user.country.clone()),
        surcharge_hidden: false,
    };
    let payer = Payer {
        email: create.user.email,
        name: name.trim().to_owned(),
        phone: create.user.phone,
        address: Address {
            line1: create.user.address,
            city: create.user.city,
            postal_code: create.user.zip,
            country: Some(create.user.country),
            ..Address::default()
        },
        language: create.user.language,
    };
    Ok(NewTransaction {
        payment_id: create.payment_id,
        amount: create.amount,
        currency,
        payer,
        details,
        callback_url: create.webhook.url,
        token,
        method: None,
        recurring: None,
        request: signed.stored(),
        digest: signed.body.digest(),
        request_id: signed.request_id.clone(),
    })
}

/// A line of the order as the page shows it; its price only where it is one in the payment's currency.
fn item(line: &OrderLine, currency: Currency) -> Option<Item> {
    let text = line.textual.clone()?;
    let same = line.currency.as_deref().is_none_or(|c| c.eq_ignore_ascii_case(currency.code()));
    let amount = line.price.as_deref().filter(|_| same).and_then(|p| parse_major(p, currency).ok());
    Some(Item { text, amount: amount.map(|a| a.get()) })
}

/// Whether the service is set to take this now, and the token that signs the callbacks if the request names one.
fn permitted(signed: &Signed, create: &Create) -> Result<Option<GateTokenId>, GateError> {
    let storefront = &signed.service.storefront;
    if storefront.status == StorefrontStatus::Disabled {
        return Err(GateError::field(
            422,
            "meta.service_id",
            "The service is disabled and takes no new payments.",
        ));
    }
    if !storefront.takes(create.currency) {
        let message = format!("payment.currency must be {}: the service sells in it.", storefront.currency);
        return Err(GateError::field(422, "payment.currency", message));
    }
    if storefront.adults_only {
        let old_enough = create.user.day_of_birth.is_some_and(|born| is_adult(born, signed.policy.now));
        if !old_enough {
            let message = "user.day_of_birth is required by this service, and must be 18 to 100 years ago.";
            return Err(GateError::field(422, "user.day_of_birth", message));
        }
    }
    named_token(signed, create.webhook.token_name.as_deref())
}

/// From the 18th birthday to the last day before the 101st, give or take a leap day.
fn is_adult(born: Date, now: Timestamp) -> bool {
    const YEAR_DAYS_X100: i64 = 36_525;
    let days = (now.0 - born.start().0).div_euclid(DAY);
    (18 * YEAR_DAYS_X100 / 100..101 * YEAR_DAYS_X100 / 100).contains(&days)
}

/// The way of paying that the request chooses for the payer.
fn forced_method(create: &Create) -> Result<Option<MethodKind>, GateError> {
    match create.payment_method_id {
        None => Ok(None),
        Some(1) => Ok(Some(MethodKind::Card)),
        Some(2) if create.currency == Currency::EUR => Ok(Some(MethodKind::SepaDebit)),
        Some(3) => Ok(Some(MethodKind::Paypal)),
        Some(_) => {
            let message = "payment.payment_method_id must be 1 (card), 2 (SEPA direct debit, in EUR only) or 3 \
                           (PayPal). Leave it out to let the payer choose.";
            Err(GateError::field(422, "payment.payment_method_id", message))
        }
    }
}

fn named_token(signed: &Signed, name: Option<&str>) -> Result<Option<GateTokenId>, GateError> {
    let Some(name) = name else { return Ok(None) };
    let found = signed.service.tokens.iter().find(|t| t.token.name == name);
    let message = "webhook.token_name is not the name of a valid token of this service.";
    found.map(|t| Some(t.token.id)).ok_or_else(|| GateError::field(422, "webhook.token_name", message))
}

async fn cancel(signed: Signed) -> Answer {
    signed.require_not_closed().await?;
    let cancel = requests::cancel(&signed.body, signed.policy).map_err(GateError::fields)?;
    let engine = &signed.app.engine;
    let request_id = signed.request_id.clone();
    let transaction = engine.cancel_gate_recurring(&signed.service, cancel.payment_id, request_id).await?;
    let view = engine.show_gate_transaction(transaction.uuid).await?;
    let shown = render::transaction(&signed.app.urls, &view, Shape::Answer, true);
    Ok(("Transaction is cancelling", shown))
}

async fn payout(signed: &Signed) -> Answer {
    signed.require_not_closed().await?;
    let create = requests::payout(&signed.body, signed.policy).map_err(GateError::fields)?;
    if !signed.service.storefront.payouts {
        let message = "Payouts are switched off for this service.";
        return Err(GateError::field(422, "meta.service_id", message));
    }
    let company = create.company.clone();
    let request = requests::stored_payout(&signed.body);
    let new = NewTransaction { request, ..new_transaction(signed, create)? };
    let created = signed.app.engine.create_gate_payout(&signed.service, new, destination(company)).await?;
    accepted(signed, &created, ACCEPTED)
}

fn destination(company: requests::Company) -> engine::gate::PayoutAccount {
    engine::gate::PayoutAccount {
        holder: company.name,
        account: company.bank_account.unwrap_or_default(),
        bank_name: company.bank_name,
        swift: company.bank_swift,
    }
}

async fn refund(signed: Signed) -> Answer {
    signed.require_not_closed().await?;
    let refund = requests::refund(&signed.body, signed.policy).map_err(GateError::fields)?;
    let transaction =
        signed.transaction.as_ref().ok_or_else(|| GateError::new(404, "There is no such transaction."))?;
    if refund.currency != transaction.currency {
        let message = domain::gate_operation::INVALID_AMOUNT;
        return Err(GateError {
            message: message.to_owned(),
            ..GateError::field(
                422,
                "refund.currency",
                format!("refund.currency must be {}, like the transaction's.", transaction.currency),
            )
        });
    }
    let asked = GateRefund {
        digest: refund.digest(),
        amount: refund.amount,
        comment: refund.comment,
        request_id: signed.request_id.clone(),
    };
    let engine = &signed.app.engine;
    let operation = engine.refund_gate_purchase(transaction, asked).await?;
    let view = engine.show_gate_transaction(transaction.uuid.clone()).await?;
    let made = view.operations.iter().find(|o| o.uuid == operation);
    let made = made.ok_or_else(|| GateError::new(500, "The refund's operation cannot be shown."))?;
    match made.state.status {
        OperationStatus::InternalError if made.state.error_code == CODE_BALANCE => {
            return Err(GateError::new(NOT_ENOUGH_BALANCE, made.state.message.clone()));
        }
        OperationStatus::InternalError | OperationStatus::ExternalError => {
            return Err(GateError::new(422, REFUND_FAILED));
        }
        _ => {}
    }
    let mut shown = render::operation(&view, made, Shape::Answer);
    shown["transaction"] = render::bare_transaction(&signed.app.urls, &view);
    let message = format!("Status: {}", made.state.status);
    Ok(("OK", json!({ "message": message, "operation": shown })))
}

async fn status(signed: Signed) -> Answer {
    let uuid = signed.transaction.as_ref().map(|t| t.uuid.clone()).unwrap_or_default();
    let view = signed.app.engine.show_gate_transaction(uuid).await?;
    let shown = render::transaction(&signed.app.urls, &view, Shape::Answer, false);
    Ok(("Transaction status request successful", shown))
}
