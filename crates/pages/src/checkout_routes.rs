//! The routes of the payment page.

use crate::checkout::{
    Address, Decline, Entered, Locale, MethodKind, Problem, Problems, check_bank, check_card,
};
use crate::checkout_view::{self, Shown};
use crate::routes::{Id, Segment, from_elsewhere, id_text, nowhere, problem, routed, text, unread};
use crate::{Page, checkout_headers};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Extensions, StatusCode, request};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use connectors::ChallengeAnswer;
use domain::date::year_and_month;
use domain::gate_transaction::TransactionKind;
use domain::money::format_display;
use domain::payment_method::{BillingDetails, MethodFacts, PaymentMethod, Wallet};
use domain::rate::Tier;
use domain::scope::Mode;
use engine::checkouts::{CheckoutView, FORM_CHARS, PageView, Submission};
use engine::view::GateView;
use engine::{Error, MethodInput, wall_clock};
use std::collections::HashMap;
use std::net::IpAddr;
use url::form_urlencoded;
use web::App;
use web::card_testing::{Card, Held, RETRY_AFTER_S, declined};
use web::rate_limit::address_key;

const PAGE: &str = "/payment/{code}";
const CANCEL: &str = "/payment/{code}/cancel";
const STATUS: &str = "/payment/{code}/status";
const SIMULATED: &str = "/payment/{code}/simulated/{challenge}";
/// Fields of a form that are looked at; ours have fewer.
const FIELDS_MAX: usize = 20;
/// Longest code of a page.
const CODE_MAX: usize = 64;

/// The page of every checkout stands at both addresses; its links name the one that was handed out.
pub(crate) fn router() -> Router<App> {
    let page = Router::new()
        .route("/{code}", get(show).post(pay))
        .route("/{code}/cancel", post(cancel))
        .route("/{code}/status", get(status))
        .route("/{code}/brand.css", get(crate::brand::show))
        .route("/{code}/simulated/{challenge}", get(show_simulated).post(answer_simulated));
    Router::new().nest("/payment", page.clone()).nest("/checkout", page)
}

/// The fields of a form or query, the first of each name.
struct Fields(HashMap<String, String>);

impl Fields {
    fn parse(bytes: &[u8]) -> Fields {
        let mut fields = HashMap::new();
        for (name, value) in form_urlencoded::parse(bytes).take(FIELDS_MAX) {
            fields.entry(name.into_owned()).or_insert_with(|| value.into_owned());
        }
        Fields(fields)
    }

    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    fn method(&self) -> Option<MethodKind> {
        MethodKind::parse(self.get("method"))
    }

    fn entered(&self) -> Entered<'_> {
        Entered {
            number: self.get("number"),
            expiry: self.get("expiry"),
            code: self.get("code"),
            name: self.get("name"),
            iban: self.get("iban"),
            email: self.get("email"),
        }
    }
}

/// A code that may exist. Others are not looked up.
pub(crate) fn plausible(code: String) -> Option<String> {
    let fits = !code.is_empty() && code.len() <= CODE_MAX;
    (fits && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')).then_some(code)
}

fn locale(view: &CheckoutView, chosen: &str, headers: &HeaderMap) -> Locale {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok());
    Locale::choose(Some(chosen), view.checkout.details.language.as_deref(), accepted)
}

fn shown(status: StatusCode, page: Page) -> Response {
    let mut response = (status, page.html).into_response();
    for (name, value) in checkout_headers() {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if let Some(refresh) = page.refresh.and_then(|refresh| HeaderValue::try_from(refresh).ok()) {
        response.headers_mut().insert(header::REFRESH, refresh);
    }
    response
}

fn see_other(path: &str) -> Response {
    let location = HeaderValue::try_from(path).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

/// The page itself. What a form came to is shown there and not in the answer to the POST: the result leaves for
/// the shop, and the way back from there would meet a page that the browser may neither keep nor send for again.
fn home(view: &CheckoutView, locale: Locale) -> String {
    format!("{}?locale={}", Address::of(&view.checkout.code).path(), locale.tag())
}

/// Addresses that do not exist, per peer. Real ones are never counted, so a payer is not held up by whoever
/// guesses from the same address.
const MISSES: Tier = Tier { per_minute: 30, per_second: 5, burst: 30 };

/// There is no such page. Whoever guesses is slowed down.
pub(crate) fn missed(app: &App, extensions: &Extensions, id: &str) -> Response {
    let mut key = address_key(extensions);
    // Not the bucket of requests to the API.
    key[0] ^= 0xa5;
    let verdict = app.limiter.take(&key, MISSES, wall_clock().0);
    if verdict.allowed {
        return nowhere(id);
    }
    let message = "Too many addresses that do not exist were asked for. Wait a minute.";
    let mut response = problem(StatusCode::TOO_MANY_REQUESTS, "Too many requests", message, id);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(verdict.retry_after.max(1)));
    response
}

/// The page for an error of the engine; nothing was charged by the request that met it.
pub(crate) fn refusal(app: &App, extensions: &Extensions, error: &Error, id: &str) -> Response {
    match error {
        Error::NotFound { .. } => missed(app, extensions, id),
        Error::Store(store) if store.is_passing() => {
            tracing::error!(error = %store, "a payment page met a failure of the database");
            let message =
                "Reload this page in a minute to see the state of your payment before you pay again.";
            problem(StatusCode::SERVICE_UNAVAILABLE, "Not available at the moment", message, id)
        }
        other => {
            tracing::error!(error = ?other, "a payment page met a defect");
            let message = "Reload this page to see the state of your payment before you pay again.";
            problem(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong", message, id)
        }
    }
}

async fn show(State(app): State<App>, segment: Segment, id: Id, request: Request) -> Response {
    let (head, id) = (request.into_parts().0, id_text(&id).to_owned());
    let response = match plausible(text(segment)) {
        Some(code) => match app.engine.page(code).await {
            Ok(PageView::Checkout(view)) => {
                let fields = Fields::parse(head.uri.query().unwrap_or("").as_bytes());
                let form = app.engine.form_name();
                let locale = locale(&view, fields.get("locale"), &head.headers);
                let shown_as = Shown::fresh(locale, fields.method(), &form, &id);
                shown(StatusCode::OK, checkout_view::page(&view, &shown_as))
            }
            Ok(PageView::Transaction(view)) => nothing_to_pay(&view, &id),
            Err(error) => refusal(&app, &head.extensions, &error, &id),
        },
        None => missed(&app, &head.extensions, &id),
    };
    routed(response, PAGE)
}

/// The address of a transaction on which nobody pays.
fn nothing_to_pay(view: &GateView, id: &str) -> Response {
    let t = &view.transaction;
    let amount = format_display(t.amount, t.currency);
    let (title, message) = match t.kind {
        TransactionKind::Payout => (
            "Payout",
            format!("This payout of {amount} is {}. There is nothing to do on this page.", t.status),
        ),
        TransactionKind::Recurring => (
            "Not available yet",
            "Recurring payments cannot be started here yet. You have not been charged. Go back to the shop."
                .to_owned(),
        ),
        TransactionKind::Purchase => (
            "This payment cannot be made",
            "You have not been charged. Go back to the shop and ask for another way to pay.".to_owned(),
        ),
    };
    problem(StatusCode::OK, title, &message, id)
}

async fn pay(State(app): State<App>, segment: Segment, id: Id, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let id = id_text(&id).to_owned();
    let answered = match plausible(text(segment)) {
        Some(code) => take_form(&app, code, &head, body, &id).await,
        None => Err(missed(&app, &head.extensions, &id)),
    };
    routed(answered.unwrap_or_else(|refused| refused), PAGE)
}

/// What a form may be refused for before anybody is asked to pay.
enum Unusable {
    Problems(Problems),
    Refused(Decline),
    /// The payer's network, the card or the merchant met a bound against card testing.
    Held,
    Failed(Box<Error>),
}

impl From<Error> for Unusable {
    fn from(e: Error) -> Self {
        Unusable::Failed(Box::new(e))
    }
}

async fn read_form(head: &request::Parts, body: Body, id: &str) -> Result<Fields, Response> {
    if from_elsewhere(&head.headers) {
        let message = "This form was sent from another site. Open the address that the shop sent you to, and answer there.";
        return Err(problem(StatusCode::FORBIDDEN, "Not from this page", message, id));
    }
    let form = web::body::read(body).await.map_err(|refused| unread(refused, id))?;
    Ok(Fields::parse(&form))
}

async fn take_form(
    app: &App,
    code: String,
    head: &request::Parts,
    body: Body,
    id: &str,
) -> Result<Response, Response> {
    let fields = read_form(head, body, id).await?;
    let view = app.engine.checkout(code.clone()).await.map_err(|e| refusal(app, &head.extensions, &e, id))?;
    let locale = locale(&view, fields.get("locale"), &head.headers);
    let fresh = app.engine.form_name();
    let again = |view: &CheckoutView, status, problems, refused| {
        let shown_as = Shown {
            locale,
            method: fields.method(),
            form: &fresh,
            entered: fields.entered(),
            problems,
            refused,
            request_id: id,
        };
        shown(status, checkout_view::page(view, &shown_as))
    };
    let form = fields.get("attempt");
    let named =
        !form.is_empty() && form.len() <= FORM_CHARS && form.bytes().all(|b| b.is_ascii_alphanumeric());
    if !view.payable() {
        // A form that comes too late: the page as it is is the answer.
        return Ok(see_other(&home(&view, locale)));
    }
    if !named {
        // A form of no page of ours.
        return Ok(again(&view, StatusCode::OK, Problems::default(), None));
    }
    let method = match method_of(app, &view, &fields, web::client::ip(&head.extensions)).await {
        Ok(method) => method,
        Err(Unusable::Problems(problems)) => {
            return Ok(again(&view, StatusCode::UNPROCESSABLE_ENTITY, problems, None));
        }
        Err(Unusable::Refused(decline)) => {
            return Ok(again(&view, StatusCode::UNPROCESSABLE_ENTITY, Problems::default(), Some(decline)));
        }
        Err(Unusable::Held) => {
            let held = Some(Decline::TooManyTries);
            let mut page = again(&view, StatusCode::TOO_MANY_REQUESTS, Problems::default(), held);
            page.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
            return Ok(page);
        }
        Err(Unusable::Failed(error)) => return Err(refusal(app, &head.extensions, &error, id)),
    };
    let is_card = matches!(method.facts, MethodFacts::Card(_));
    let sent = Submission { form: form.to_owned(), method, request_id: id.to_owned() };
    let (engine, before) = (app.engine.clone(), view.payment.attempts);
    let work = async move {
        let paid = engine.pay_checkout(code, sent).await;
        // A form that was answered before is no new try.
        let tried = paid.as_ref().ok().filter(|paid| is_card && paid.payment.attempts > before);
        let outcome = tried.and_then(|paid| declined(paid.payment.status));
        (paid, outcome)
    };
    let paid = match app.run_try(view.scope, work).await.and_then(|paid| paid) {
        Ok(paid) => paid,
        Err(Error::Payment { refusal: refused, .. }) => {
            tracing::debug!(?refused, "a payment refused the payer's method");
            return Ok(again(
                &view,
                StatusCode::UNPROCESSABLE_ENTITY,
                Problems::default(),
                Some(Decline::NotConfirmed),
            ));
        }
        Err(error) => return Err(refusal(app, &head.extensions, &error, id)),
    };
    if let Some(action) = checkout_view::next_page(&paid, locale) {
        return Ok(see_other(&action));
    }
    if !paid.payable() {
        return Ok(see_other(&home(&paid, locale)));
    }
    // Only this answer holds what was typed, so that the payer need not type all of it again.
    Ok(again(&paid, StatusCode::OK, Problems::default(), None))
}

/// The method that a form names, made but not stored yet.
async fn method_of(
    app: &App,
    view: &CheckoutView,
    fields: &Fields,
    ip: IpAddr,
) -> Result<PaymentMethod, Unusable> {
    let engine = &app.engine;
    let entered = fields.entered();
    let details = &view.checkout.details;
    let mut billing = BillingDetails {
        name: Some(entered.name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .or_else(|| details.payer_name.clone()),
        email: details.payer_email.clone(),
        ..BillingDetails::default()
    };
    let (scope, storefront) = (view.scope, view.payment.storefront);
    let tokenised = match fields.method() {
        Some(MethodKind::Card) => {
            let now = year_and_month(engine.now());
            let card = check_card(&entered, now, |_| true).map_err(Unusable::Problems)?;
            let input = MethodInput::Card {
                number: &card.number,
                exp_month: card.expiry.month(),
                exp_year: card.expiry.year(),
                has_cvc: true,
            };
            let number = Some(Card::Number(card.number.expose()));
            app.card_testing.admit(ip, number, scope, engine.now()).map_err(|Held| Unusable::Held)?;
            match engine.tokenise_at(scope, storefront, &input).await {
                Ok(tokenised) => tokenised,
                Err(error) => {
                    if matches!(error, Error::Card { .. }) {
                        app.note_try(scope, true).await;
                    }
                    return Err(not_taken(error, scope.mode, &entered));
                }
            }
        }
        Some(MethodKind::SepaDebit) => {
            let iban = check_bank(&entered, details.payer_email.is_none()).map_err(Unusable::Problems)?;
            if billing.email.is_none() {
                billing.email = Some(entered.email.trim().to_owned());
            }
            engine.tokenise_at(scope, storefront, &MethodInput::Iban(&iban)).await.map_err(|e| match e {
                Error::Card { .. } => {
                    let problem =
                        if scope.mode.is_live() { Problem::IbanCheck } else { Problem::IbanNotTest };
                    Unusable::Problems(Problems { iban: Some(problem), ..Problems::default() })
                }
                other => other.into(),
            })?
        }
        Some(MethodKind::Paypal) => engine.tokenise_at(scope, storefront, &MethodInput::Paypal).await?,
        Some(MethodKind::ApplePay) if view.wallets => {
            engine.tokenise_at(scope, storefront, &MethodInput::Wallet(Wallet::ApplePay)).await?
        }
        Some(MethodKind::GooglePay) if view.wallets => {
            engine.tokenise_at(scope, storefront, &MethodInput::Wallet(Wallet::GooglePay)).await?
        }
        _ => return Err(Unusable::Refused(Decline::NotConfirmed)),
    };
    Ok(engine.new_method(scope, tokenised, billing, Vec::new()))
}

/// A number that the provider does not take: in test mode any but the published ones, and those of them that need what
/// is not offered yet.
fn not_taken(error: Error, mode: Mode, entered: &Entered<'_>) -> Unusable {
    match error {
        Error::Card { .. } | Error::NotYet { .. } => {
            let digits: String = entered.number.chars().filter(char::is_ascii_digit).collect();
            let brand = crate::checkout::CardBrand::of(&digits);
            let problem =
                if mode.is_live() { Problem::NumberUnsupported(brand) } else { Problem::NumberNotTest };
            Unusable::Problems(Problems { number: Some(problem), ..Problems::default() })
        }
        other => other.into(),
    }
}

async fn cancel(State(app): State<App>, segment: Segment, id: Id, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let id = id_text(&id).to_owned();
    let answered = match plausible(text(segment)) {
        Some(code) => match read_form(&head, body, &id).await {
            Ok(fields) => match app.engine.abandon_checkout(code, id.clone()).await {
                Ok(view) => {
                    let locale = locale(&view, fields.get("locale"), &head.headers);
                    see_other(&home(&view, locale))
                }
                Err(error) => refusal(&app, &head.extensions, &error, &id),
            },
            Err(refused) => refused,
        },
        None => missed(&app, &head.extensions, &id),
    };
    routed(answered, CANCEL)
}

async fn status(State(app): State<App>, segment: Segment, id: Id, request: Request) -> Response {
    let (head, id) = (request.into_parts().0, id_text(&id).to_owned());
    let response = match plausible(text(segment)) {
        Some(code) => match app.engine.checkout(code).await {
            Ok(view) => {
                let headers = [
                    (header::CONTENT_TYPE, "application/json"),
                    (header::CACHE_CONTROL, "no-store"),
                    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                ];
                (headers, checkout_view::status(&view)).into_response()
            }
            Err(error) => refusal(&app, &head.extensions, &error, &id),
        },
        None => missed(&app, &head.extensions, &id),
    };
    routed(response, STATUS)
}

type Segments = Result<Path<(String, String)>, axum::extract::rejection::PathRejection>;

fn both(segments: Segments) -> Option<(String, String)> {
    let Ok(Path((code, challenge))) = segments else { return None };
    plausible(code).zip(plausible(challenge))
}

/// The sandbox's stand-in for PayPal's own page.
async fn show_simulated(State(app): State<App>, segments: Segments, id: Id, request: Request) -> Response {
    let (head, id) = (request.into_parts().0, id_text(&id).to_owned());
    let response = match both(segments) {
        Some((code, challenge)) => match app.engine.checkout(code).await {
            Ok(view) => {
                let fields = Fields::parse(head.uri.query().unwrap_or("").as_bytes());
                let locale = locale(&view, fields.get("locale"), &head.headers);
                let open = view.payment.next_action.as_ref().is_some_and(|a| a.code == challenge);
                if open && checkout_view::is_simulated(&view) {
                    let shown_as = Shown::fresh(locale, None, "", &id);
                    let html = checkout_view::approval_page(&view, &shown_as, &challenge);
                    shown(StatusCode::OK, Page { html, refresh: None })
                } else {
                    see_other(&home(&view, locale))
                }
            }
            Err(error) => refusal(&app, &head.extensions, &error, &id),
        },
        None => missed(&app, &head.extensions, &id),
    };
    routed(response, SIMULATED)
}

async fn answer_simulated(State(app): State<App>, segments: Segments, id: Id, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let id = id_text(&id).to_owned();
    let response = match both(segments) {
        Some((code, challenge)) => match take_answer(&app, code, challenge, &head, body, &id).await {
            Ok(response) | Err(response) => response,
        },
        None => missed(&app, &head.extensions, &id),
    };
    routed(response, SIMULATED)
}

async fn take_answer(
    app: &App,
    code: String,
    challenge: String,
    head: &request::Parts,
    body: Body,
    id: &str,
) -> Result<Response, Response> {
    let fields = read_form(head, body, id).await?;
    let answer = match fields.get("outcome") {
        "approve" => ChallengeAnswer::Passed,
        "decline" => ChallengeAnswer::Failed,
        "leave" => ChallengeAnswer::Abandoned,
        _ => {
            let message = "The answer was not understood. Go back, and use one of the buttons.";
            return Err(problem(StatusCode::BAD_REQUEST, "No such answer", message, id));
        }
    };
    let view = app.engine.checkout(code).await.map_err(|e| refusal(app, &head.extensions, &e, id))?;
    // The challenge must be this payment's own: its code alone would answer another's.
    let own = view.payment.next_action.as_ref().is_some_and(|a| a.code == challenge);
    if own {
        match app.engine.answer_challenge(challenge, answer).await {
            Ok(_) | Err(Error::ChallengeGone) => {}
            Err(error) => return Err(refusal(app, &head.extensions, &error, id)),
        }
    }
    let locale = locale(&view, fields.get("locale"), &head.headers);
    Ok(see_other(&home(&view, locale)))
}
