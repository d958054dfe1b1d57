//! A7, A8, A12–A15, C7, C8: payment methods.

use super::{card_guard, shared};
use crate::error::ApiError;
use crate::expand::{Object, Where};
use crate::render;
use crate::reply::ReplyKind;
use crate::request::{Answer, Request, expand_paths, optional_reference, page_query, required};
use domain::bank::Iban;
use domain::id::{CustomerId, PaymentMethodId};
use domain::payment_method::{MethodKind, PaymentMethod};
use engine::MethodChoice;
use engine::MethodInput;
use engine::payment_methods::MethodChanges;
use web::params::Reader;

const TYPES: &[&str] = &["card", "sepa_debit"];

/// Makes a method from `type` and the parameters of that type. Nothing is stored yet.
pub async fn read_method(request: &Request, mut r: Reader<'_>) -> Result<PaymentMethod, ApiError> {
    let kind = r.one_of("type", TYPES)?.and_then(MethodKind::parse);
    let kind = required(kind, &r, "type")?;
    let billing = shared::billing_details(&mut r)?.unwrap_or_default();
    let metadata = shared::new_metadata(&mut r)?;
    let (engine, scope) = (request.engine(), request.scope());
    let tokenised = match kind {
        MethodKind::Card => {
            let card = r.object("card")?;
            let mut card = required(card, &r, "card")?;
            match card.raw_text("token", 128)?.map(str::to_owned) {
                Some(token) => {
                    card.finish()?;
                    let ready = token.replacen("tok_", "pm_card_", 1);
                    engine.tokenise(scope, &MethodInput::ReadyMade(&ready)).await
                }
                None => {
                    let typed = shared::typed_card(&mut card, engine.now())?;
                    card.finish()?;
                    card_guard::admit_method(request, &typed.number)?;
                    let input = MethodInput::Card {
                        number: &typed.number,
                        exp_month: typed.expiry.month(),
                        exp_year: typed.expiry.year(),
                        has_cvc: typed.has_cvc,
                    };
                    let made = engine.tokenise(scope, &input).await;
                    card_guard::note_method(request, &typed.number, &made).await;
                    made
                }
            }
        }
        MethodKind::SepaDebit => {
            let account = r.object("sepa_debit")?;
            let mut account = required(account, &r, "sepa_debit")?;
            let text = account.raw_text("iban", 64)?.unwrap_or_default();
            let iban = Iban::parse(text)
                .map_err(|e| account.invalid("iban", "invalid_iban", format!("iban {e}.")))?;
            account.finish()?;
            for (name, value) in [("name", &billing.name), ("email", &billing.email)] {
                if value.is_none() {
                    let param = format!("billing_details[{name}]");
                    let message = format!("A SEPA debit needs {param}: the mandate names the payer.");
                    return Err(ApiError::invalid("parameter_missing", message).param(&param));
                }
            }
            engine.tokenise(scope, &MethodInput::Iban(&iban)).await
        }
        // Not among TYPES: a PayPal account comes from a payment page only.
        MethodKind::Paypal | MethodKind::OffPlatform => {
            return Err(ApiError::not_found("payment method type", kind.as_str()));
        }
    };
    r.ignore("allow_redisplay");
    r.finish()?;
    Ok(engine.new_method(scope, tokenised?, billing, metadata))
}

pub async fn create(request: Request) -> Result<Answer, ApiError> {
    let params = request.params.clone();
    let mut r = params.reader();
    let expand = expand_paths(&mut r, Object::PaymentMethod, Where::Post)?;
    let method = read_method(&request, r).await?;
    let kind = ReplyKind { created: true, public: request.is_publishable(), calm: false };
    let call = request.call(kind, expand);
    Ok(request.engine().create_payment_method(&call, method).await?.into())
}

pub async fn retrieve(request: Request) -> Result<Answer, ApiError> {
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::PaymentMethod, Where::Get)?;
    r.finish()?;
    let id = request.id::<PaymentMethodId>(0, "payment_method")?;
    let render = |_: &web::Urls, m: &PaymentMethod| render::payment_method(m);
    request.show(Object::PaymentMethod, expand, move |v| v.payment_method(id), render, "payment_method").await
}

pub async fn list(request: Request) -> Result<Answer, ApiError> {
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::PaymentMethod, Where::List)?;
    let query = page_query::<PaymentMethodId>(&mut r)?;
    let customer = optional_reference::<CustomerId>(&mut r, "customer")?;
    let kind = r.one_of("type", TYPES)?.and_then(MethodKind::parse);
    r.finish()?;
    let show = |_: &web::Urls, m: &PaymentMethod| render::payment_method(m);
    request
        .list(Object::PaymentMethod, expand, move |v| v.payment_methods(customer, kind, &query), show)
        .await
}

pub async fn list_of_customer(request: Request) -> Result<Answer, ApiError> {
    let customer = request.id::<CustomerId>(0, "customer")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::PaymentMethod, Where::List)?;
    let query = page_query::<PaymentMethodId>(&mut r)?;
    let kind = r.one_of("type", TYPES)?.and_then(MethodKind::parse);
    r.finish()?;
    let show = |_: &web::Urls, m: &PaymentMethod| render::payment_method(m);
    let list = move |v: &mut engine::Views<'_, '_>| {
        if v.customer(customer)?.is_none() {
            return Err(engine::Error::NotFound { kind: "customer", id: customer.to_string() });
        }
        v.payment_methods(Some(customer), kind, &query)
    };
    request.list(Object::PaymentMethod, expand, list, show).await
}

pub async fn retrieve_of_customer(request: Request) -> Result<Answer, ApiError> {
    let customer = request.id::<CustomerId>(0, "customer")?;
    let id = request.id::<PaymentMethodId>(1, "payment_method")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::PaymentMethod, Where::Get)?;
    r.finish()?;
    let render = |_: &web::Urls, m: &PaymentMethod| render::payment_method(m);
    let find = move |v: &mut engine::Views<'_, '_>| {
        Ok(v.payment_method(id)?.filter(|m| m.customer == Some(customer)))
    };
    request.show(Object::PaymentMethod, expand, find, render, "payment_method").await
}

pub async fn update(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<PaymentMethodId>(0, "payment_method")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::PaymentMethod, Where::Post)?;
    let mut changes = MethodChanges { billing: shared::billing_details(&mut r)?, ..MethodChanges::default() };
    if let Some(mut card) = r.object("card")? {
        changes.exp_month = card.integer("exp_month", 1, 12)?.and_then(|m| u8::try_from(m).ok());
        changes.exp_year = card.integer("exp_year", 2_000, 2_100)?.and_then(|y| u16::try_from(y).ok());
        card.finish()?;
    }
    let metadata = shared::metadata(&mut r)?;
    r.finish()?;
    let call = request.call(ReplyKind::default(), expand);
    Ok(request.engine().update_payment_method(&call, id, changes, metadata).await?.into())
}

pub async fn attach(request: Request) -> Result<Answer, ApiError> {
    let text = request.path.first().cloned().unwrap_or_default();
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::PaymentMethod, Where::Post)?;
    let customer = optional_reference::<CustomerId>(&mut r, "customer")?;
    let customer = required(customer, &r, "customer")?;
    r.finish()?;
    let choice = request.engine().choose_method(request.scope(), "id", &text).await;
    let choice: MethodChoice = choice.map_err(|e| match e {
        engine::Error::Missing { .. } => ApiError::not_found("payment_method", &text),
        other => other.into(),
    })?;
    let call = request.call(ReplyKind::default(), expand);
    Ok(request.engine().attach_payment_method(&call, choice, customer).await?.into())
}

pub async fn detach(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<PaymentMethodId>(0, "payment_method")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::PaymentMethod, Where::Post)?;
    r.finish()?;
    let call = request.call(ReplyKind::default(), expand);
    Ok(request.engine().detach_payment_method(&call, id).await?.into())
}
