//! A1–A6, A9, A11: payments.

use super::{card_guard, shared};
use crate::error::ApiError;
use crate::expand::{Object, Where};
use crate::render;
use crate::reply::ReplyKind;
use crate::request::{Answer, Request, amount, expand_paths, optional_reference, page_query, required};
use domain::currency::Currency;
use domain::id::{CustomerId, PaymentId};
use domain::payment::{CancellationReason, CaptureMethod, PaymentDetails, SetupFutureUsage};
use domain::payment_method::MethodKind;
use engine::MethodChoice;
use engine::payments::{Confirm, CreatePayment, UpdatePayment};
use web::params::{Reader, echo};

const CAPTURE_METHODS: &[&str] = &["automatic", "automatic_async", "manual"];
const USAGES: &[&str] = &["off_session", "on_session"];
const TYPES: &[&str] = &["card", "sepa_debit"];
/// Parameters of Stripe's clients that change nothing here; see docs/stripe-clients.md.
const WITHOUT_EFFECT: &[&str] =
    &["use_stripe_sdk", "radar_options", "amount_details", "payment_details", "allowed_payment_method_types"];

fn capture_method(r: &mut Reader<'_>) -> Result<Option<CaptureMethod>, ApiError> {
    Ok(r.one_of("capture_method", CAPTURE_METHODS)?.and_then(CaptureMethod::parse))
}

fn usage(text: Option<&str>) -> Option<SetupFutureUsage> {
    text.and_then(SetupFutureUsage::parse)
}

/// `payment_method_types[]`, or what `automatic_payment_methods` stands for.
fn method_types(r: &mut Reader<'_>, currency: Option<Currency>) -> Result<Option<Vec<MethodKind>>, ApiError> {
    let listed = r.texts("payment_method_types", 20, 40)?;
    let automatic = match r.object("automatic_payment_methods")? {
        None => false,
        Some(mut auto) => {
            let enabled = auto.boolean("enabled")?.unwrap_or(false);
            auto.one_of("allow_redirects", &["always", "never"])?;
            auto.finish()?;
            enabled
        }
    };
    if let Some(listed) = listed {
        let mut types = Vec::with_capacity(listed.len());
        for text in &listed {
            let Some(kind) = MethodKind::parse(text).filter(|_| TYPES.contains(&text.as_str())) else {
                let shown = echo(text);
                let message =
                    format!("'{shown}' is not a payment method type here. Use one of: {}.", TYPES.join(", "));
                return Err(r.invalid("payment_method_types", "payment_method_type_unknown", message).into());
            };
            if !types.contains(&kind) {
                types.push(kind);
            }
        }
        if types.is_empty() {
            let message = "payment_method_types must name at least one type, for example card.";
            return Err(r.invalid("payment_method_types", "parameter_invalid_empty", message).into());
        }
        return Ok(Some(types));
    }
    if automatic {
        let euro = currency.is_none_or(|c| c.code() == "EUR");
        let debit = euro.then_some(MethodKind::SepaDebit);
        return Ok(Some(std::iter::once(MethodKind::Card).chain(debit).collect()));
    }
    Ok(None)
}

/// A page that the payer is sent back to.
fn return_url(r: &mut Reader<'_>) -> Result<Option<String>, ApiError> {
    shared::web_address(r, "return_url")
}

/// `payment_method`, `payment_method_data` or neither.
async fn method(request: &Request, r: &mut Reader<'_>) -> Result<MethodChoice, ApiError> {
    let named = r.raw_text("payment_method", 128)?.filter(|t| !t.is_empty());
    let data = r.object("payment_method_data")?;
    match (named, data) {
        (Some(_), Some(_)) => Err(ApiError::invalid(
            "parameters_exclusive",
            "payment_method and payment_method_data cannot be used together. Pass one of them.",
        )
        .param("payment_method_data")),
        (Some(text), None) => {
            Ok(request.engine().choose_method(request.scope(), "payment_method", text).await?)
        }
        (None, Some(data)) => {
            let method = super::payment_methods::read_method(request, data).await?;
            Ok(MethodChoice::New(Box::new(method)))
        }
        (None, None) => Ok(MethodChoice::Keep),
    }
}

fn reply_kind(request: &Request, created: bool) -> ReplyKind {
    ReplyKind { created, public: request.is_publishable(), calm: false }
}

pub async fn create(request: Request) -> Result<Answer, ApiError> {
    let params = request.params.clone();
    let mut r = params.reader();
    let expand = expand_paths(&mut r, Object::PaymentIntent, Where::Post)?;
    let amount = amount(&mut r, "amount")?;
    let amount = required(amount, &r, "amount")?;
    let currency = shared::currency(&mut r)?;
    let currency = required(currency, &r, "currency")?;
    let capture_method = capture_method(&mut r)?.unwrap_or(CaptureMethod::Automatic);
    let types = method_types(&mut r, Some(currency))?.unwrap_or_else(|| vec![MethodKind::Card]);
    let customer = optional_reference::<CustomerId>(&mut r, "customer")?;
    let confirm = r.boolean("confirm")?.unwrap_or(false);
    for only in ["off_session", "return_url", "error_on_requires_action", "mandate_data"] {
        if !confirm && r.has(only) {
            let message = format!("{only} can only be used with confirm=true, or when confirming later.");
            return Err(r.invalid(only, "parameter_unexpected", message).into());
        }
    }
    r.one_of("confirmation_method", &["automatic"])?;
    r.ignore("mandate_data");
    r.ignore("payment_method_options");
    request.tolerate(&mut r, WITHOUT_EFFECT);
    let details = PaymentDetails {
        description: r.multiline("description", 1_000)?,
        receipt_email: shared::email(&mut r, "receipt_email")?.flatten(),
        statement_descriptor: r.text("statement_descriptor", 22)?,
        statement_descriptor_suffix: r.text("statement_descriptor_suffix", 22)?,
        shipping: shared::patch_shipping(&mut r, "shipping")?.flatten(),
        setup_future_usage: usage(r.one_of("setup_future_usage", USAGES)?),
        off_session: r.boolean("off_session")?.unwrap_or(false),
        decline_on_challenge: r.boolean("error_on_requires_action")?.unwrap_or(false),
        payment_method_types: types,
        return_url: return_url(&mut r)?,
    };
    let metadata = shared::new_metadata(&mut r)?;
    let method = method(&request, &mut r).await?;
    r.finish()?;
    let new =
        CreatePayment { amount, currency, capture_method, customer, method, details, metadata, confirm };
    let call = request.call(reply_kind(&request, true), expand);
    Ok(request.engine().create_payment(&call, new).await?.into())
}

pub async fn retrieve(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<PaymentId>(0, "payment_intent")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::PaymentIntent, Where::Get)?;
    let secret = r.raw_text("client_secret", 256)?.map(str::to_owned);
    r.finish()?;
    check_client_secret(&request, id, secret.as_deref()).await?;
    if request.is_publishable() && !expand.is_empty() {
        return Err(ApiError::invalid("expand_invalid", "A publishable key cannot expand.").param("expand"));
    }
    let public = request.is_publishable();
    let show = move |urls: &web::Urls, view: &engine::view::PaymentView| {
        if public { render::payment_intent_public(urls, view) } else { render::payment_intent(urls, view) }
    };
    request.show(Object::PaymentIntent, expand, move |v| v.payment(id), show, "payment_intent").await
}

/// A publishable key may act on a payment only with its client secret; without it the payment does
/// not exist for that key. A secret key may send it too, but then it must be right.
async fn check_client_secret(request: &Request, id: PaymentId, secret: Option<&str>) -> Result<(), ApiError> {
    if !request.is_publishable() && secret.is_none() {
        return Ok(());
    }
    let not_found = || ApiError::not_found("payment_intent", &id.to_string());
    let secret = secret.ok_or_else(not_found)?.to_owned();
    let matches = request
        .engine()
        .view(request.scope(), move |views| {
            Ok(views
                .payment(id)?
                .is_some_and(|v| same(v.payment.client_secret.as_bytes(), secret.as_bytes())))
        })
        .await?;
    if matches { Ok(()) } else { Err(not_found()) }
}

/// Compares without stopping at the first difference.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0u8, |d, (x, y)| d | (x ^ y)) == 0
}

pub async fn list(request: Request) -> Result<Answer, ApiError> {
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::PaymentIntent, Where::List)?;
    let query = page_query::<PaymentId>(&mut r)?;
    let customer = optional_reference::<CustomerId>(&mut r, "customer")?;
    r.finish()?;
    request
        .list(Object::PaymentIntent, expand, move |v| v.payments(customer, &query), render::payment_intent)
        .await
}

pub async fn update(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<PaymentId>(0, "payment_intent")?;
    let params = request.params.clone();
    let mut r = params.reader();
    let expand = expand_paths(&mut r, Object::PaymentIntent, Where::Post)?;
    let currency = shared::currency(&mut r)?;
    let mut update = UpdatePayment {
        amount: amount(&mut r, "amount")?,
        currency,
        capture_method: capture_method(&mut r)?,
        customer: optional_reference::<CustomerId>(&mut r, "customer")?,
        method: None,
        payment_method_types: method_types(&mut r, currency)?,
        setup_future_usage: shared::patched(r.patch_one_of("setup_future_usage", USAGES)?)
            .map(|u| u.and_then(SetupFutureUsage::parse)),
        description: shared::patched(r.patch_multiline("description", 1_000)?),
        receipt_email: shared::email(&mut r, "receipt_email")?,
        statement_descriptor: shared::patched(r.patch_text("statement_descriptor", 22)?),
        statement_descriptor_suffix: shared::patched(r.patch_text("statement_descriptor_suffix", 22)?),
        shipping: shared::patch_shipping(&mut r, "shipping")?,
    };
    let metadata = shared::metadata(&mut r)?;
    r.ignore("payment_method_options");
    request.tolerate(&mut r, WITHOUT_EFFECT);
    update.method = match method(&request, &mut r).await? {
        MethodChoice::Keep => None,
        choice => Some(choice),
    };
    r.finish()?;
    let call = request.call(reply_kind(&request, false), expand);
    Ok(request.engine().update_payment(&call, id, update, metadata).await?.into())
}

pub async fn confirm(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<PaymentId>(0, "payment_intent")?;
    let params = request.params.clone();
    let mut r = params.reader();
    let expand = expand_paths(&mut r, Object::PaymentIntent, Where::Post)?;
    let secret = r.raw_text("client_secret", 256)?.map(str::to_owned);
    check_client_secret(&request, id, secret.as_deref()).await?;
    if request.is_publishable() && (r.has("off_session") || r.has("setup_future_usage") || !expand.is_empty())
    {
        let message = "off_session, setup_future_usage and expand cannot be sent with a publishable key.";
        return Err(ApiError::new(axum::http::StatusCode::FORBIDDEN, "permission_error", message)
            .code("insufficient_permissions"));
    }
    let mut cmd = Confirm {
        payment: id,
        return_url: return_url(&mut r)?,
        off_session: r.boolean("off_session")?.unwrap_or(false),
        decline_on_challenge: r.boolean("error_on_requires_action")?.unwrap_or(false),
        setup_future_usage: usage(r.one_of("setup_future_usage", USAGES)?),
        receipt_email: shared::email(&mut r, "receipt_email")?.flatten(),
        shipping: shared::patch_shipping(&mut r, "shipping")?.flatten(),
        method: MethodChoice::Keep,
    };
    cmd.method = match method(&request, &mut r).await {
        Ok(method) => method,
        Err(refused) => return Err(card_guard::with_payment(&request, id, refused).await),
    };
    r.ignore("mandate_data");
    r.ignore("payment_method_options");
    request.tolerate(&mut r, WITHOUT_EFFECT);
    r.finish()?;
    let call = request.call(reply_kind(&request, false), expand);
    Ok(card_guard::confirm(&request, call, cmd).await?.into())
}

pub async fn capture(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<PaymentId>(0, "payment_intent")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::PaymentIntent, Where::Post)?;
    let amount = amount(&mut r, "amount_to_capture")?;
    if r.boolean("final_capture")? == Some(false) {
        let message = "A payment is captured once: final_capture=false is not offered.";
        return Err(r.invalid("final_capture", "parameter_invalid", message).into());
    }
    request.tolerate(&mut r, WITHOUT_EFFECT);
    r.finish()?;
    let call = request.call(reply_kind(&request, false), expand);
    Ok(request.engine().capture_payment(&call, id, amount).await?.into())
}

pub async fn cancel(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<PaymentId>(0, "payment_intent")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::PaymentIntent, Where::Post)?;
    let allowed = &["duplicate", "fraudulent", "requested_by_customer", "abandoned"];
    let reason = r.one_of("cancellation_reason", allowed)?.and_then(CancellationReason::parse);
    r.finish()?;
    let call = request.call(reply_kind(&request, false), expand);
    Ok(request.engine().cancel_payment(&call, id, reason).await?.into())
}

pub async fn increment(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<PaymentId>(0, "payment_intent")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::PaymentIntent, Where::Post)?;
    let total = amount(&mut r, "amount")?;
    let total = required(total, &r, "amount")?;
    request.tolerate(&mut r, WITHOUT_EFFECT);
    r.finish()?;
    let call = request.call(reply_kind(&request, false), expand);
    Ok(request.engine().increment_payment(&call, id, total).await?.into())
}
