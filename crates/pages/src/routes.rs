//! The routes of the public listener: the challenge, the embedded files, and a page for everything else.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{StatusCode, Uri, request};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use connectors::ChallengeAnswer;
use domain::card::Brand;
use domain::money::format_display;
use domain::payment::PaymentStatus;
use domain::time::{MINUTE, Timestamp};
use engine::Error;
use engine::payments::ChallengeView;
use url::form_urlencoded;
use web::body::BodyRefusal;
use web::middleware::Unanswered;
use web::{App, RequestId, RouteName};

use crate::checkout::{Address, Locale};
use crate::{Challenge, ChallengeDone, ChallengeResult, Page, return_url, security_headers};

const CHALLENGE: &str = "/3ds/{code}";
const ASSET: &str = "/assets/{name}";

/// Characters of a challenge's code, all of them base62.
const CODE_CHARS: usize = 24;
/// The form sends `outcome=` and a word.
const FORM_MAX: usize = 1024;

/// The pages of the public listener.
pub fn router(app: App) -> Router {
    Router::new()
        .route(CHALLENGE, get(show_challenge).post(answer_challenge))
        .route(ASSET, get(show_asset))
        .merge(crate::checkout_routes::router())
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .with_state(app)
}

pub(crate) type Id = Option<Extension<RequestId>>;

pub(crate) fn id_text(id: &Id) -> &str {
    id.as_ref().map_or("", |Extension(RequestId(id))| id)
}

/// The variable part of a path.
pub(crate) type Segment = Result<Path<String>, PathRejection>;

/// Empty if it is not UTF-8, which leads to the page for what does not exist.
pub(crate) fn text(segment: Segment) -> String {
    segment.map_or_else(|_| String::new(), |Path(text)| text)
}

/// The language of the payment page that led here, if one did.
fn locale_of(uri: &Uri) -> Option<Locale> {
    let query = form_urlencoded::parse(uri.query()?.as_bytes());
    query.take(1).find(|(name, _)| name == "locale").and_then(|(_, tag)| Locale::parse(&tag))
}

async fn show_challenge(State(app): State<App>, segment: Segment, uri: Uri, id: Id) -> Response {
    let locale = locale_of(&uri);
    let response = match known_form(text(segment)) {
        Some(code) => match app.engine.challenge(code.clone()).await {
            Ok(view) => html(StatusCode::OK, challenge_page(&view, locale, app.engine.now())),
            Err(Error::ChallengeGone) => answered_before(&app, code, locale).await,
            Err(error) => {
                refusal(&error, "Opening this page has not charged you. Try again in a minute.", id_text(&id))
            }
        },
        None => gone(),
    };
    routed(response, CHALLENGE)
}

/// A second click or a reload after the answer shows what came of the first.
async fn answered_before(app: &App, code: String, locale: Option<Locale>) -> Response {
    match app.engine.answered_challenge(code).await {
        Ok((view, answer)) => after_answer(&view, answer, locale),
        Err(_) => gone(),
    }
}

/// Back to the payment's own page, if it has one; else what came of it, and the way to the shop.
fn after_answer(view: &ChallengeView, answer: ChallengeAnswer, locale: Option<Locale>) -> Response {
    match &view.checkout {
        Some(code) => {
            let page = Address::of(code).path();
            let page = locale.map_or(page.clone(), |locale| format!("{page}?locale={}", locale.tag()));
            (StatusCode::SEE_OTHER, [(header::LOCATION, page)]).into_response()
        }
        None => leaving(done_page(view, answer)),
    }
}

async fn answer_challenge(State(app): State<App>, segment: Segment, id: Id, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let answered = match known_form(text(segment)) {
        Some(code) => take_answer(&app, code, &head, body, id_text(&id)).await,
        None => Err(gone()),
    };
    routed(answered.unwrap_or_else(|refused| refused), CHALLENGE)
}

/// The page after an answer; `Err`: the page that says why it was not taken.
async fn take_answer(
    app: &App,
    code: String,
    head: &request::Parts,
    body: Body,
    id: &str,
) -> Result<Response, Response> {
    if from_elsewhere(&head.headers) {
        let message = "This form was sent from another site. Open the address that the shop sent you to, and answer there.";
        return Err(problem(StatusCode::FORBIDDEN, "Not from this page", message, id));
    }
    let form = web::body::read(body).await.map_err(|refused| unread(refused, id))?;
    let answer = read_answer(&form).ok_or_else(|| {
        let message = "The answer was not understood. Go back, and use one of the buttons.";
        problem(StatusCode::BAD_REQUEST, "No such answer", message, id)
    })?;
    let locale = locale_of(&head.uri);
    match app.engine.answer_challenge(code.clone(), answer).await {
        Ok(view) => Ok(after_answer(&view, answer, locale)),
        Err(Error::ChallengeGone) => Ok(answered_before(app, code, locale).await),
        Err(error) => {
            // The answer may have been taken before the failure, so nothing is said about the money.
            let message = "Go back to the shop to see the state of your order before you pay again.";
            Err(refusal(&error, message, id))
        }
    }
}

pub(crate) fn unread(refused: BodyRefusal, id: &str) -> Response {
    let (status, message) = match refused {
        BodyRefusal::TooLarge => {
            (StatusCode::PAYLOAD_TOO_LARGE, "More was sent than the answer. Go back and try again.")
        }
        BodyRefusal::TooSlow => {
            (StatusCode::REQUEST_TIMEOUT, "Your answer took too long to arrive. Go back and try again.")
        }
        BodyRefusal::Broken => {
            (StatusCode::BAD_REQUEST, "Your answer did not arrive in full. Go back and try again.")
        }
    };
    problem(status, "Your answer was not received", message, id)
}

/// A code that may exist. Others are not looked up.
fn known_form(code: String) -> Option<String> {
    (code.len() == CODE_CHARS && code.bytes().all(|b| b.is_ascii_alphanumeric())).then_some(code)
}

/// Whether a browser says that another site sent this: by `Sec-Fetch-Site`, or, where a browser sends none (old
/// ones, and all over plain HTTP), by an `Origin` of another host. `Origin: null` tells nothing: our own pages
/// send it (see [`security_headers`]). Clients without both are no browsers that keep cookies or codes for others
/// to use.
pub(crate) fn from_elsewhere(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").iter().peekable();
    if sites.peek().is_some() {
        return sites.any(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"));
    }
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
    let ours = |origin: &HeaderValue| {
        let origin = origin.as_bytes();
        let named =
            [b"https://".as_slice(), b"http://"].iter().find_map(|scheme| origin.strip_prefix(*scheme));
        origin == b"null" || (named.is_some() && named == host)
    };
    headers.get_all(header::ORIGIN).iter().any(|origin| !ours(origin))
}

/// Exactly one `outcome`, one of the three.
fn read_answer(form: &[u8]) -> Option<ChallengeAnswer> {
    if form.len() > FORM_MAX {
        return None;
    }
    let mut outcomes =
        form_urlencoded::parse(form).filter(|(name, _)| name == "outcome").map(|(_, value)| value);
    let outcome = outcomes.next()?;
    if outcomes.next().is_some() {
        return None;
    }
    match &*outcome {
        "success" => Some(ChallengeAnswer::Passed),
        "fail" => Some(ChallengeAnswer::Failed),
        "abandon" => Some(ChallengeAnswer::Abandoned),
        _ => None,
    }
}

fn challenge_page(view: &ChallengeView, locale: Option<Locale>, now: Timestamp) -> String {
    let minutes = (view.challenge.expires_at.0 - now.0) / MINUTE;
    crate::challenge(&Challenge {
        code: &view.challenge.code,
        merchant_name: &view.merchant_name,
        amount: &format_display(view.amount, view.currency),
        card_brand: brand_name(&view.card_brand),
        last4: &view.last4,
        test_mode: !view.challenge.scope.mode.is_live(),
        expires_in_minutes: u32::try_from(minutes).unwrap_or(0),
        locale,
    })
}

fn done_page(view: &ChallengeView, answer: ChallengeAnswer) -> Page {
    let payment = view.challenge.payment.to_string();
    let query = [
        ("payment_intent", &*payment),
        ("payment_intent_client_secret", &view.client_secret),
        ("redirect_status", redirect_status(view.status)),
    ];
    let leave = view.return_url.as_deref().and_then(|url| return_url::with_query(url, &query));
    crate::challenge_done(&ChallengeDone {
        merchant_name: &view.merchant_name,
        result: result(answer, view.status),
        return_url: leave.as_deref(),
    })
}

/// What to tell the payer. A passed challenge says nothing about the charge, except that a payment which
/// needs another method afterwards was declined.
fn result(answer: ChallengeAnswer, status: PaymentStatus) -> ChallengeResult {
    match answer {
        ChallengeAnswer::Passed if status == PaymentStatus::RequiresPaymentMethod => {
            ChallengeResult::Declined
        }
        ChallengeAnswer::Passed => ChallengeResult::Success,
        ChallengeAnswer::Failed => ChallengeResult::Failed,
        ChallengeAnswer::Abandoned => ChallengeResult::Abandoned,
    }
}

/// What the merchant's page is told. It is a hint: the payer can change it, so the merchant reads the payment.
fn redirect_status(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::Succeeded | PaymentStatus::Processing | PaymentStatus::RequiresCapture => "succeeded",
        PaymentStatus::RequiresPaymentMethod
        | PaymentStatus::RequiresConfirmation
        | PaymentStatus::RequiresAction
        | PaymentStatus::Canceled => "failed",
    }
}

fn brand_name(brand: &str) -> &'static str {
    match Brand::parse(brand) {
        Some(Brand::Visa) => "Visa",
        Some(Brand::Mastercard) => "Mastercard",
        Some(Brand::Amex) => "American Express",
        Some(Brand::Discover) => "Discover",
        Some(Brand::Diners) => "Diners Club",
        Some(Brand::Jcb) => "JCB",
        Some(Brand::Unionpay) => "UnionPay",
        _ if brand == "paypal" => "PayPal",
        Some(Brand::Unknown) | None => "Card",
    }
}

async fn show_asset(segment: Segment, id: Id, headers: HeaderMap) -> Response {
    let response = asset_response(&text(segment), &headers).unwrap_or_else(|| nowhere(id_text(&id)));
    routed(response, ASSET)
}

fn asset_response(name: &str, headers: &HeaderMap) -> Option<Response> {
    let asset = crate::asset(name)?;
    let gzip = asset.gzip.filter(|_| takes_gzip(headers));
    let (bytes, etag) = gzip.map_or((asset.bytes, asset.etag), |small| (small, asset.gzip_etag));
    let always = [
        (header::ETAG, etag),
        (header::CACHE_CONTROL, asset.cache_control),
        (header::VARY, "accept-encoding"),
    ];
    if has_current(headers, etag) {
        return Some((StatusCode::NOT_MODIFIED, always).into_response());
    }
    let content = [
        (header::CONTENT_TYPE, asset.content_type),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    let encoding = gzip.map(|_| [(header::CONTENT_ENCODING, "gzip")]);
    Some((always, content, encoding, Bytes::from_static(bytes)).into_response())
}

/// Whether `Accept-Encoding` names gzip and does not refuse it. Nothing here is secret, so that the length
/// of what is compressed tells nothing; pages, which hold secrets, are never compressed.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|entry| {
        let (coding, weight) = entry.split_once(';').unwrap_or((entry, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.trim_matches(['0', '.']).is_empty());
        coding.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

/// Whether `If-None-Match` names this version, by the weak comparison that RFC 9110 section 13.1.2 asks for.
fn has_current(headers: &HeaderMap, etag: &str) -> bool {
    let lists = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(str::trim).any(|tag| {
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        tag == "*" || tag == etag
    })
}

async fn not_found(id: Id) -> Response {
    nowhere(id_text(&id))
}

pub(crate) fn nowhere(id: &str) -> Response {
    let message = "There is nothing at this address. Check that it is complete, or go back to the shop.";
    problem(StatusCode::NOT_FOUND, "Page not found", message, id)
}

async fn not_allowed(id: Id) -> Response {
    let message = "This address cannot be used in this way. Go back to the shop.";
    problem(StatusCode::METHOD_NOT_ALLOWED, "Not possible here", message, id_text(&id))
}

fn gone() -> Response {
    html(StatusCode::GONE, crate::challenge_gone())
}

/// The page for an error of the engine; `next` says what to do.
fn refusal(error: &Error, next: &str, id: &str) -> Response {
    match error {
        Error::ChallengeGone => gone(),
        Error::Store(store) if store.is_passing() => {
            tracing::error!(error = %store, "a challenge met a failure of the database");
            problem(StatusCode::SERVICE_UNAVAILABLE, "Not available at the moment", next, id)
        }
        other => {
            tracing::error!(error = ?other, "a challenge met a defect");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong", next, id)
        }
    }
}

/// The page for a request that its handler did not answer.
pub fn apology(unanswered: &Unanswered<'_>) -> Response {
    let late = unanswered.status == StatusCode::SERVICE_UNAVAILABLE;
    let title = if late { "This took too long" } else { "Something went wrong" };
    let message = "Open the page again to see the state of your payment before you try once more.";
    let mut page = problem(unanswered.status, title, message, unanswered.request_id);
    if late {
        page.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    page
}

pub(crate) fn problem(status: StatusCode, title: &str, message: &str, id: &str) -> Response {
    html(status, crate::error_page(title, message, id))
}

fn leaving(page: Page) -> Response {
    let mut response = html(StatusCode::OK, page.html);
    if let Some(refresh) = page.refresh.and_then(|refresh| HeaderValue::try_from(refresh).ok()) {
        response.headers_mut().insert(header::REFRESH, refresh);
    }
    response
}

fn html(status: StatusCode, page: String) -> Response {
    let mut response = (status, page).into_response();
    for (name, value) in security_headers() {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

/// Names the route for the log and the metrics; never the path, which holds the code.
pub(crate) fn routed(mut response: Response, route: &'static str) -> Response {
    response.extensions_mut().insert(RouteName(route));
    response
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
