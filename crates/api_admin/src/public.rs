//! The Main Backend: what a payer's browser does with one checkout. Its code is the credential: it stands in the
//! address of the page, and in `sessionPublicId` of everything that is done.

use crate::error::{self, ApiError};
use crate::input::id_of;
use crate::render;
use crate::request::{Anonymous, Answer};
use crate::routes::Endpoint;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use domain::attempt::Attempt;
use domain::bank::Iban;
use domain::card::{CardNumber, Expiry};
use domain::date::year_and_month;
use domain::id::AttemptId;
use domain::payment_method::{BillingDetails, MethodFacts, PaymentMethod, Wallet};
use engine::checkouts::{CheckoutView, FORM_CHARS, Submission};
use engine::{Error, MethodInput};
use web::App;
use web::card_testing::{Card, Held, RETRY_AFTER_S, declined};
use web::params::Reader;

/// Longest code of a checkout.
const CODE_MAX: usize = 64;

/// A code that may exist. Others are not looked up.
fn plausible(code: &str) -> bool {
    !code.is_empty() && code.len() <= CODE_MAX && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn no_session() -> ApiError {
    let message = "There is no such checkout. Use the link that the shop gave.";
    ApiError::new(StatusCode::NOT_FOUND, "not_found", message)
}

async fn find(app: &App, code: &str) -> Result<CheckoutView, ApiError> {
    if !plausible(code) {
        return Err(no_session());
    }
    match app.engine.checkout(code.to_owned()).await {
        Err(Error::NotFound { .. }) => Err(no_session()),
        other => Ok(other?),
    }
}

/// The checkout's code, as a request names it.
fn code(reader: &mut Reader<'_>) -> Result<String, ApiError> {
    for name in ["sessionPublicId", "shortCode", "checkoutId"] {
        if let Some(text) = reader.raw_text(name, CODE_MAX)? {
            return Ok(text.to_owned());
        }
    }
    Err(ApiError::invalid(
        "parameter_missing",
        "sessionPublicId is missing: the code in the checkout's link.",
    )
    .field("sessionPublicId"))
}

pub(crate) async fn session(request: Anonymous) -> Result<Answer, ApiError> {
    let code = request.path.first().map_or("", String::as_str);
    let view = find(&request.app, code).await?;
    Answer::ok(render::public_checkout(&request.app.urls, &view))
}

/// Takes a payment. The answer is the transaction as the provider's answer left it; one that must be approved has a
/// `redirectUrl`.
pub(crate) async fn pay(request: Anonymous) -> Result<Answer, ApiError> {
    let params = request.params.clone();
    let mut reader = params.reader();
    let code = code(&mut reader)?;
    let view = find(&request.app, &code).await?;
    let form = match reader.raw_text("attemptKey", FORM_CHARS)? {
        Some(key) if !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => {
            key.to_owned()
        }
        Some(_) => {
            let message = "attemptKey must be letters, digits and hyphens: one for each try, so that a repetition pays once.";
            return Err(ApiError::unprocessable("attempt_key_invalid", message).field("attemptKey"));
        }
        None => request.engine().form_name(),
    };
    if !view.payable() {
        return answered(&request, &view, view.answer_to(&form));
    }
    let method = method_of(&request, &view, &mut reader).await.map_err(for_payers)?;
    let is_card = matches!(method.facts, MethodFacts::Card(_));
    let sent = Submission { form, method, request_id: request.request_id.clone() };
    let (engine, before) = (request.engine().clone(), view.payment.attempts);
    let work = async move {
        let paid = engine.pay_checkout(code, sent).await;
        // A form that was answered before is no new try.
        let tried = paid.as_ref().ok().filter(|paid| is_card && paid.payment.attempts > before);
        let outcome = tried.and_then(|paid| declined(paid.payment.status));
        (paid, outcome)
    };
    let paid = request.app.run_try(view.scope, work).await?.map_err(|e| for_payers(e.into()))?;
    answered(&request, &paid, paid.attempt.as_ref())
}

/// An operator's words for an operator's problem are nothing to a payer.
fn for_payers(error: ApiError) -> ApiError {
    if error.code != "provider_not_configured" {
        return error;
    }
    ApiError::conflict(error.code, "There is no way to pay here at the moment.")
}

fn answered(request: &Anonymous, view: &CheckoutView, attempt: Option<&Attempt>) -> Result<Answer, ApiError> {
    let Some(attempt) = attempt else {
        let message = "This checkout can no longer be paid.";
        return Err(ApiError::conflict("checkout_not_open", message));
    };
    Answer::ok(render::public_transaction(&request.app.urls, attempt, view))
}

/// The method that a request names, made but not stored yet.
async fn method_of(
    request: &Anonymous,
    view: &CheckoutView,
    reader: &mut Reader<'_>,
) -> Result<PaymentMethod, ApiError> {
    let (app, engine) = (&request.app, request.engine());
    let missing =
        |name: &str| ApiError::invalid("parameter_missing", format!("{name} is missing.")).field(name);
    let mut method = reader.object("paymentMethod")?.ok_or_else(|| missing("paymentMethod"))?;
    let kinds = ["card", "sepa_debit", "paypal", "apple_pay", "google_pay"];
    let kind = method.one_of("type", &kinds)?.ok_or_else(|| missing("paymentMethod.type"))?;
    let details = &view.checkout.details;
    let mut billing = BillingDetails {
        name: method.text("name", 200)?.or_else(|| details.payer_name.clone()),
        email: details.payer_email.clone(),
        ..BillingDetails::default()
    };
    if billing.email.is_none() {
        billing.email = crate::input::email(&mut method, "email")?;
    }
    let (scope, storefront) = (view.scope, view.payment.storefront);
    let tokenised = match kind {
        "card" => {
            let mut fields = method.object("card")?.ok_or_else(|| missing("paymentMethod.card"))?;
            let card = typed_card(&mut fields, engine.now())?;
            let number = Some(Card::Number(card.number.expose()));
            app.card_testing.admit(request.ip, number, scope, engine.now()).map_err(|Held| held())?;
            let input = MethodInput::Card {
                number: &card.number,
                exp_month: card.expiry.month(),
                exp_year: card.expiry.year(),
                has_cvc: true,
            };
            let made = engine.tokenise_at(scope, storefront, &input).await;
            if matches!(made, Err(Error::Card { .. })) {
                app.note_try(scope, true).await;
            }
            made.map_err(|e| not_taken(e, "paymentMethod.card.number"))?
        }
        "sepa_debit" => {
            let text = method.raw_text("iban", 64)?.unwrap_or_default();
            let iban = Iban::parse(text).map_err(|e| {
                ApiError::unprocessable("iban_invalid", format!("paymentMethod.iban {e}."))
                    .field("paymentMethod.iban")
            })?;
            if billing.name.is_none() || billing.email.is_none() {
                let message = "A SEPA debit needs paymentMethod.name and paymentMethod.email: the mandate names the payer.";
                return Err(ApiError::unprocessable("payer_missing", message));
            }
            let made = engine.tokenise_at(scope, storefront, &MethodInput::Iban(&iban)).await;
            made.map_err(|e| not_taken(e, "paymentMethod.iban"))?
        }
        "paypal" => engine.tokenise_at(scope, storefront, &MethodInput::Paypal).await?,
        _ if !view.wallets => {
            return Err(ApiError::unprocessable(
                "method_not_offered",
                "Wallets are not offered for this checkout.",
            ));
        }
        "apple_pay" => engine.tokenise_at(scope, storefront, &MethodInput::Wallet(Wallet::ApplePay)).await?,
        _ => engine.tokenise_at(scope, storefront, &MethodInput::Wallet(Wallet::GooglePay)).await?,
    };
    Ok(engine.new_method(scope, tokenised, billing, Vec::new()))
}

/// A number that the provider does not take, by the name that it has here.
fn not_taken(error: Error, field: &str) -> ApiError {
    match error {
        Error::Card { .. } => ApiError::from(error).field(field),
        other => other.into(),
    }
}

struct TypedCard {
    number: CardNumber,
    expiry: Expiry,
}

/// A card that a payer typed. No error repeats any of it.
fn typed_card(fields: &mut Reader<'_>, now: domain::time::Timestamp) -> Result<TypedCard, ApiError> {
    let refuse = |name: &str, message: String| {
        Err(ApiError::unprocessable("card_invalid", message).field(&format!("paymentMethod.card.{name}")))
    };
    let number = match CardNumber::parse(fields.raw_text("number", 64)?.unwrap_or_default()) {
        Ok(number) => number,
        Err(e) => return refuse("number", format!("The card number {e}.")),
    };
    let month = fields.integer("expMonth", 1, 12)?;
    let year = fields.integer("expYear", 0, 9_999)?;
    let (Some(month), Some(year)) = (month, year) else {
        return refuse("expMonth", "expMonth and expYear are both needed.".to_owned());
    };
    let expiry = match Expiry::check(month, year, year_and_month(now)) {
        Ok(expiry) => expiry,
        Err(e) => return refuse("expYear", format!("The card's expiry {e}.")),
    };
    let cvc = fields.raw_text("cvc", 16)?.unwrap_or_default();
    if !number.brand().cvc_fits(cvc) {
        return refuse("cvc", "cvc must be the 3 or 4 digits on the card.".to_owned());
    }
    Ok(TypedCard { number, expiry })
}

/// Too many cards were tried; which bound was met is not told.
fn held() -> ApiError {
    let message = "Too many cards were tried. Wait some minutes, or pay in another way.";
    let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "card_testing_suspected", message);
    ApiError { retry_after: Some(RETRY_AFTER_S), ..error }
}

/// The transaction that a request is about, of the checkout that it names.
async fn own(request: &Anonymous) -> Result<(CheckoutView, AttemptId), ApiError> {
    let code = code(&mut request.params.reader())?;
    let view = find(&request.app, &code).await?;
    let text = request.path.first().map_or("", String::as_str);
    let id: AttemptId = id_of("id", text).map_err(|_| ApiError::not_found("transaction", text))?;
    // Of its own checkout a browser knows the latest try, and no other's.
    match &view.attempt {
        Some(attempt) if attempt.id == id => Ok((view, id)),
        _ => Err(ApiError::not_found("transaction", text)),
    }
}

pub(crate) async fn status(request: Anonymous) -> Result<Answer, ApiError> {
    let (view, _) = own(&request).await?;
    answered(&request, &view, view.attempt.as_ref())
}

/// The payer gives up: what is at the provider stays as it is.
pub(crate) async fn cancel(request: Anonymous) -> Result<Answer, ApiError> {
    let (view, _) = own(&request).await?;
    let code = view.checkout.code.clone();
    let after = request.engine().abandon_checkout(code, request.request_id.clone()).await?;
    if after.payment.status != domain::payment::PaymentStatus::Canceled {
        let refusal = domain::payment::Refusal::UnexpectedState {
            command: "cancel",
            status: after.payment.status,
            allowed: &[],
        };
        return Err(error::refused(&refusal));
    }
    answered(&request, &after, after.attempt.as_ref())
}

pub(crate) async fn mark_pending(request: Anonymous) -> Result<Answer, ApiError> {
    let (view, id) = own(&request).await?;
    let attempt = request.engine().mark_redirected(view.scope, id, &request.request_id).await?;
    answered(&request, &view, Some(&attempt))
}

/// Whether a page of this origin may read answers about the checkout: the shop's own site.
async fn is_shop(app: &App, code: &str, origin: &str) -> bool {
    let Ok(view) = find(app, code).await else { return false };
    let shop = url::Url::parse(&view.shop_url).map(|url| url.origin().ascii_serialization());
    shop.is_ok_and(|shop| shop == origin)
}

/// The code that a request names where its headers show it: in the address.
fn code_in_path<'p>(endpoint: &Endpoint, path: &'p [String]) -> Option<&'p str> {
    endpoint.path.starts_with("/checkouts/").then(|| path.first().map(String::as_str)).flatten()
}

/// Lets a page of the shop's own site read the answer; other origins' pages may not.
pub(crate) async fn allow_origin(
    app: &App,
    endpoint: &Endpoint,
    path: &[String],
    headers: &HeaderMap,
    response: &mut Response,
) {
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = headers.get(header::ORIGIN).and_then(|v| v.to_str().ok()) else { return };
    let Some(code) = code_in_path(endpoint, path) else { return };
    if is_shop(app, code, origin).await
        && let Ok(value) = HeaderValue::from_str(origin)
    {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, value);
    }
}

/// The answer to a browser that asks before it sends.
pub(crate) async fn preflight(
    app: &App,
    endpoint: &Endpoint,
    path: &[String],
    headers: &HeaderMap,
) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    allow_origin(app, endpoint, path, headers, &mut response).await;
    if response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(endpoint.method));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Content-Type"));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    response
}
