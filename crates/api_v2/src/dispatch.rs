//! From an HTTP request to a handler and back: limits, key, access, body, idempotency, headers. In
//! this order, so that whoever is refused has cost as little as possible.

use crate::error::ApiError;
use crate::request::{Answer, Mount, Request};
use crate::routes::{Access, Endpoint, ROUTES};
use crate::{docs, reply};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, get, on};
use domain::limits::IDEMPOTENCY_KEY_CHARS;
use domain::merchant::KeyKind;
use engine::{Caller, IdempotentRequest, wall_clock};
use std::time::Duration;
use tokio::time::Instant;
use web::body::BodyRefusal;
use web::middleware::show_limits;
use web::params::{Params, echo_name};
use web::path::{RawPath, ids};
use web::rate_limit::{ANONYMOUS, Verdict, address_key};
use web::{App, KnownLimits, RequestId, RouteName};

/// Leaves that must not enter a fingerprint: a security code may not even be kept as a digest.
const SECRET_LEAVES: &[&str] = &["card.cvc", "payment_method_data.card.cvc"];

/// A decline is told to a publishable key no earlier than this after the request began: a card that is refused
/// at once would differ in time from one that its issuer was asked about.
const DECLINE_FLOOR: Duration = Duration::from_millis(300);

static REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
static SHOULD_RETRY: HeaderName = HeaderName::from_static("stripe-should-retry");
static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The `api` listener: `/v2/…` and, for Stripe clients, `/stripe/v1/…`.
pub fn router(app: App) -> Router {
    let v2 = mount(&app, Mount::V2);
    let stripe = mount(&app, Mount::Stripe);
    Router::new()
        .nest("/v2", v2)
        .nest("/stripe/v1", stripe)
        .route("/docs/errors", get(error_page))
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .with_state(app)
}

/// The optional listener for Stripe clients that take only a host and a port: `/v1/…`.
pub fn root_router(app: App) -> Router {
    let stripe = mount(&app, Mount::Stripe);
    Router::new()
        .nest("/v1", stripe)
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .with_state(app)
}

/// What may still be done for an account that leaves, beside reading: money given back, open things ended, and people
/// forgotten.
const WINDING_UP: &[(&str, &str)] = &[
    ("POST", "/payment_intents/{id}/cancel"),
    ("POST", "/payment_intents/{id}/capture"),
    ("POST", "/payouts"),
    ("POST", "/payouts/{id}/cancel"),
    ("POST", "/bank_accounts"),
    ("POST", "/refunds"),
    ("DELETE", "/customers/{id}"),
];

/// A layer around everything on a listener of this surface, inside `web::middleware::wrap`: until it is
/// known who asks, the limits are those of the address.
pub async fn know_limits(State(app): State<App>, request: axum::extract::Request, next: Next) -> Response {
    let extensions = request.extensions();
    if let Some(known) = extensions.get::<KnownLimits>() {
        known.set(app.limiter.peek(&address_key(extensions), ANONYMOUS, wall_clock().0));
    }
    next.run(request).await
}

fn mount(_app: &App, mount: Mount) -> Router<App> {
    let mut router = Router::new();
    for endpoint in ROUTES {
        let filter = match endpoint.method {
            "GET" => MethodFilter::GET,
            "DELETE" => MethodFilter::DELETE,
            _ => MethodFilter::POST,
        };
        let handler = move |State(app): State<App>, path: RawPath, request: axum::extract::Request| async move {
            dispatch(app, endpoint, mount, ids(path, endpoint.path), request).await
        };
        router = router.route(endpoint.path, on(filter, handler));
        if endpoint.access != Access::Secret {
            let answer = move |State(app): State<App>, request: axum::extract::Request| async move {
                preflight(&app, endpoint.method, request.extensions())
            };
            router = router.route(endpoint.path, on(MethodFilter::OPTIONS, answer));
        }
    }
    router
}

/// The page of error codes; counts for no limit, but shows the caller's.
async fn error_page(State(app): State<App>, request: axum::extract::Request) -> Response {
    let verdict = app.limiter.peek(&address_key(request.extensions()), ANONYMOUS, wall_clock().0);
    with_limits(docs::errors().await.into_response(), &verdict)
}

/// Browsers may send publishable keys from any page; that is what they are for. Other methods of the
/// same address are for secret keys, and are not named.
fn preflight(app: &App, method: &'static str, extensions: &axum::http::Extensions) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(method));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("Authorization, Content-Type, Idempotency-Key"),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
    with_limits(response, &app.limiter.peek(&address_key(extensions), ANONYMOUS, wall_clock().0))
}

async fn unknown(State(app): State<App>, request: axum::extract::Request) -> Response {
    let (parts, _) = request.into_parts();
    let path = echo_name(parts.uri.path());
    let message = format!("Unrecognized request URL ({}: {path}). Check the path.", parts.method);
    let error = ApiError::new(StatusCode::NOT_FOUND, "invalid_request_error", message).code("url_not_found");
    outside(&app, &parts.headers, &parts.extensions, &error).await
}

async fn not_allowed(State(app): State<App>, request: axum::extract::Request) -> Response {
    let (parts, _) = request.into_parts();
    let message = format!("{} is not allowed at this address. Check the method.", parts.method);
    let error = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", message)
        .code("method_not_allowed");
    outside(&app, &parts.headers, &parts.extensions, &error).await
}

/// An answer where no route is: with the limits of whoever asks, like every answer.
async fn outside(
    app: &App,
    headers: &HeaderMap,
    extensions: &axum::http::Extensions,
    error: &ApiError,
) -> Response {
    let known = match web::credentials::api_key(headers) {
        Ok(key) => app.engine.authenticate(&key).await.ok().flatten(),
        Err(_) => None,
    };
    let verdict = match known {
        Some(caller) => take(app, &caller).await.unwrap_or_else(|_| anonymous(app, extensions)),
        None => anonymous(app, extensions),
    };
    let error = if verdict.allowed { None } else { Some(too_many(&verdict)) }
        .map_or_else(|| refusal(app, error, extensions), |e| refusal(app, &e, extensions));
    with_limits(error, &verdict)
}

fn request_id(extensions: &axum::http::Extensions) -> String {
    extensions.get::<RequestId>().map(|r| r.0.clone()).unwrap_or_default()
}

fn refusal(app: &App, error: &ApiError, extensions: &axum::http::Extensions) -> Response {
    let body = reply::error_body(&app.urls, error, &request_id(extensions));
    let mut response = json(error.status, body);
    if let Some(seconds) = error.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if error.status == StatusCode::CONFLICT {
        response.headers_mut().insert(SHOULD_RETRY.clone(), HeaderValue::from_static("true"));
    }
    response
}

fn json(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn with_limits(mut response: Response, verdict: &Verdict) -> Response {
    show_limits(response.headers_mut(), verdict);
    response
}

fn too_many(verdict: &Verdict) -> ApiError {
    let mut error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", "Too many requests.");
    error.retry_after = Some(verdict.retry_after.max(1));
    error
}

/// One answer for every way of not having a valid key, so that it tells nothing about keys.
fn unauthenticated() -> ApiError {
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        "authentication_error",
        "No valid API key. Send your secret key as 'Authorization: Bearer sk_…', or as the user name of HTTP Basic \
         authentication with an empty password.",
    )
}

fn anonymous(app: &App, extensions: &axum::http::Extensions) -> Verdict {
    app.limiter.take(&address_key(extensions), ANONYMOUS, wall_clock().0)
}

fn bucket(caller: &Caller) -> [u8; 16] {
    let mut key = [0xff; 16];
    key[..12].copy_from_slice(&caller.actor.core().0);
    key
}

async fn take(app: &App, caller: &Caller) -> Result<Verdict, ApiError> {
    let tier = app.engine.settings(caller.scope).await?.mode.tier.limits();
    Ok(app.limiter.take(&bucket(caller), tier, wall_clock().0))
}

async fn dispatch(
    app: App,
    endpoint: &'static Endpoint,
    mount: Mount,
    path: Vec<String>,
    request: axum::extract::Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let extensions = &parts.extensions;
    let (mut response, verdict) = match identify(&app, &parts.headers, &parts.uri, extensions).await {
        Err((error, verdict)) => (refusal(&app, &error, extensions), verdict),
        Ok((caller, verdict)) => {
            if let Some(known) = extensions.get::<KnownLimits>() {
                known.set(verdict);
            }
            let answered = Exchange { app: &app, endpoint, mount, parts: &parts, caller, verdict: &verdict };
            let began = Instant::now();
            let (response, verdict) = answered.run(path, body).await;
            if caller.kind == KeyKind::Publishable && response.status() == StatusCode::PAYMENT_REQUIRED {
                tokio::time::sleep_until(began + DECLINE_FLOOR).await;
            }
            let origin = parts.headers.contains_key(header::ORIGIN);
            (allow_origin(response, origin, caller.kind), verdict)
        }
    };
    response.extensions_mut().insert(RouteName(endpoint.path));
    with_limits(response, &verdict)
}

/// Only answers to publishable keys may be read by a page of another site.
fn allow_origin(mut response: Response, from_browser: bool, kind: KeyKind) -> Response {
    match (from_browser, kind) {
        (true, KeyKind::Publishable) => {
            let any = HeaderValue::from_static("*");
            response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
        }
        (true, KeyKind::Secret) => tracing::warn!("a secret key was sent from a browser page: rotate it"),
        (false, _) => {}
    }
    response
}

/// Who asks, and whether they may ask now. Verdicts come with refusals too: every answer has limits.
async fn identify(
    app: &App,
    headers: &HeaderMap,
    uri: &Uri,
    extensions: &axum::http::Extensions,
) -> Result<(Caller, Verdict), (ApiError, Verdict)> {
    let refuse = |error: ApiError| {
        if error.status == StatusCode::UNAUTHORIZED {
            app.engine.note_auth_failed(web::rate_limit::shown_address(extensions));
        }
        let verdict = anonymous(app, extensions);
        // A failure of ours, such as a lost database, is told as it is: the caller may well have a good key.
        let told = verdict.allowed || error.status.is_server_error();
        (if told { error } else { too_many(&verdict) }, verdict)
    };
    let in_query =
        uri.query().is_some_and(|q| q.split('&').any(|p| p.starts_with("api_key=") || p.starts_with("key=")));
    if in_query {
        tracing::warn!("an API key was sent in a query string, where logs keep it: rotate it");
        app.engine.note_key_in_url(web::rate_limit::shown_address(extensions), &request_id(extensions));
        return Err(refuse(unauthenticated()));
    }
    let key = web::credentials::api_key(headers).map_err(|_| refuse(unauthenticated()))?;
    let caller = match app.engine.authenticate(&key).await {
        Ok(Some(caller)) => caller,
        Ok(None) => return Err(refuse(unauthenticated())),
        Err(e) => return Err(refuse(e.into())),
    };
    match take(app, &caller).await {
        Ok(verdict) => Ok((caller, verdict)),
        Err(e) => Err(refuse(e)),
    }
}

/// One authenticated request on its way through.
struct Exchange<'a> {
    app: &'a App,
    endpoint: &'static Endpoint,
    mount: Mount,
    parts: &'a axum::http::request::Parts,
    caller: Caller,
    verdict: &'a Verdict,
}

impl Exchange<'_> {
    async fn run(&self, path: Vec<String>, body: Body) -> (Response, Verdict) {
        let verdict = *self.verdict;
        let repeats = self.parts.headers.contains_key(&IDEMPOTENCY_KEY) && self.endpoint.method == "POST";
        if !verdict.allowed && !repeats {
            return (refusal(self.app, &too_many(&verdict), &self.parts.extensions), verdict);
        }
        if !verdict.allowed {
            // Before anything is read for it: a made-up key must not cost more than a real repetition.
            if let Err((error, verdict)) = self.free_replay(false).await {
                return (refusal(self.app, &error, &self.parts.extensions), verdict);
            }
        }
        match self.answer(path, body, verdict.allowed).await {
            Err(error) => {
                if let Some(object) = &error.missing {
                    let request = request_id(&self.parts.extensions);
                    self.app.engine.note_missing(self.caller, object, &request);
                }
                let error = error.public(self.caller.kind == KeyKind::Publishable);
                (refusal(self.app, &error, &self.parts.extensions), verdict)
            }
            Ok(Answer::Json(value)) => (json(StatusCode::OK, value.to_string()), verdict),
            Ok(Answer::Download(download)) => (download.response(), verdict),
            Ok(Answer::Reply(reply)) => {
                let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
                if !reply.replayed {
                    return (json(status, reply.body), verdict);
                }
                let free = if verdict.allowed { self.free_replay(true).await } else { Ok(verdict) };
                match free {
                    Err((error, verdict)) => (refusal(self.app, &error, &self.parts.extensions), verdict),
                    Ok(verdict) => {
                        let mut response = json(status, reply.body);
                        response.headers_mut().insert(REPLAYED.clone(), HeaderValue::from_static("true"));
                        (response, verdict)
                    }
                }
            }
        }
    }

    /// A replay takes no token of the key's limit, but has a bucket of its own: free must not mean
    /// without bound.
    async fn free_replay(&self, took: bool) -> Result<Verdict, (ApiError, Verdict)> {
        let tier = match self.app.engine.settings(self.caller.scope).await {
            Ok(settings) => settings.mode.tier.limits(),
            Err(e) => return Err((e.into(), *self.verdict)),
        };
        let (key, now) = (bucket(&self.caller), wall_clock().0);
        if took {
            self.app.limiter.give_back(&key, now);
        }
        let replay = self.app.limiter.take_replay(&key, tier, now);
        let shown = self.app.limiter.peek(&key, tier, now);
        if replay.allowed { Ok(shown) } else { Err((too_many(&replay), shown)) }
    }

    /// An account that leaves is read and wound up.
    async fn may_change(&self) -> Result<(), ApiError> {
        if self.endpoint.method == "GET" {
            return Ok(());
        }
        if WINDING_UP.contains(&(self.endpoint.method, self.endpoint.path)) {
            return Ok(self.app.engine.require_not_closed(self.caller.scope).await?);
        }
        Ok(self.app.engine.require_open(self.caller.scope).await?)
    }

    async fn answer(&self, path: Vec<String>, body: Body, allowed: bool) -> Result<Answer, ApiError> {
        self.check_access()?;
        let params = self.params(body).await?;
        let request = self.request(path, params)?;
        let repeated = request.idempotency.is_some().then(|| request.call(Default::default(), Vec::new()));
        if allowed {
            let answer = match self.may_change().await {
                Ok(()) => (self.endpoint.handler)(request).await,
                Err(refused) => Err(refused),
            };
            return match (answer, repeated) {
                (Err(refused), Some(call)) => self.unless_answered(refused, &call).await,
                (answer, _) => answer,
            };
        }
        // Over the limit: only a repetition of what was answered before gets an answer.
        let stored = match &repeated {
            Some(call) => self.app.engine.replay(call).await?,
            None => None,
        };
        match stored {
            Some(reply) => Ok(Answer::Reply(reply)),
            None => Err(too_many(self.verdict)),
        }
    }

    /// A repetition may be refused because of what the first request did, or because a setting changed
    /// since: what was answered then is the answer still.
    async fn unless_answered(&self, refused: ApiError, call: &engine::Call) -> Result<Answer, ApiError> {
        match self.app.engine.replay(call).await {
            Ok(Some(reply)) => Ok(Answer::Reply(reply)),
            Err(e @ (engine::Error::IdempotencyInUse { .. } | engine::Error::IdempotencyMismatch { .. })) => {
                Err(e.into())
            }
            Ok(None) | Err(_) => Err(refused),
        }
    }

    fn check_access(&self) -> Result<(), ApiError> {
        if self.caller.kind == KeyKind::Publishable && self.endpoint.access == Access::Secret {
            let message = "A publishable key (pk_…) cannot be used for this request. Use a secret key (sk_…), from \
                           your server only.";
            let error = ApiError::new(StatusCode::FORBIDDEN, "permission_error", message);
            return Err(error.code("insufficient_permissions"));
        }
        if self.endpoint.test_only && self.caller.scope.mode.is_live() {
            return Err(ApiError::not_found("test helper", self.endpoint.path));
        }
        for name in ["stripe-account", "pg-account"] {
            if self.parts.headers.contains_key(name) {
                let message =
                    format!("The header {name} was sent, but connected accounts are not offered. Remove it.");
                return Err(ApiError::invalid("connected_accounts_not_supported", message).param(name));
            }
        }
        Ok(())
    }

    async fn params(&self, body: Body) -> Result<Params, ApiError> {
        let query = Params::from_query(self.parts.uri.query().unwrap_or(""))?;
        let headers = &self.parts.headers;
        if self.endpoint.method != "POST" {
            let length = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok());
            if length.is_some_and(|l| l.trim() != "0") {
                let message =
                    "This request takes its parameters in the query string, not in a body (with curl: -G).";
                return Err(ApiError::invalid("body_unexpected", message));
            }
            return Ok(query);
        }
        // Addresses end up in logs of proxies: no card or account data in them.
        for secret in ["card", "sepa_debit", "payment_method_data", "iban", "account_number"] {
            if query.entries().iter().any(|(name, _)| name == secret) {
                let message = format!("{secret} must be sent in the body, never in the query string.");
                return Err(ApiError::invalid("parameter_in_query", message).param(secret));
            }
        }
        let unsupported = |message: &str| {
            ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request_error", message)
                .code("content_type_unsupported")
        };
        let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
        if encodings.any(|encoding| !matches!(encoding.as_bytes(), b"identity" | b"")) {
            return Err(unsupported("Compressed request bodies are not accepted. Send the body as it is."));
        }
        let bytes = web::body::read(body).await.map_err(body_refused)?;
        if headers.get_all(header::CONTENT_TYPE).iter().count() > 1 {
            return Err(unsupported("Content-Type was sent twice. Send it once."));
        }
        let kind = headers.get(header::CONTENT_TYPE).map(|v| v.to_str().unwrap_or("?").to_ascii_lowercase());
        let (kind, rest) = match kind.as_deref() {
            None => ("", ""),
            Some(text) => text.split_once(';').unwrap_or((text, "")),
        };
        let mut charsets = rest.split(';').filter_map(|part| part.trim().strip_prefix("charset="));
        if charsets.any(|charset| charset.trim_matches('"') != "utf-8") {
            return Err(unsupported("Only UTF-8 bodies are accepted."));
        }
        let body = match kind.trim() {
            "application/json" => Params::from_json(&bytes)?,
            "application/x-www-form-urlencoded" => Params::from_form(&bytes)?,
            _ if bytes.is_empty() => Params::empty(),
            _ => {
                let message = "Send the body as application/x-www-form-urlencoded or application/json, and name the \
                               type in Content-Type.";
                return Err(unsupported(message));
            }
        };
        Ok(query.merge(body)?)
    }

    fn request(&self, path: Vec<String>, params: Params) -> Result<Request, ApiError> {
        let request_id = request_id(&self.parts.extensions);
        let idempotency = match self.endpoint.method {
            "POST" => self.idempotency(&path, &params)?,
            _ => None,
        };
        let mut route_path = String::new();
        let mut ids = path.iter();
        for segment in self.endpoint.path.split('/').skip(1) {
            let segment =
                if segment.starts_with('{') { ids.next().map_or("", String::as_str) } else { segment };
            route_path.push('/');
            route_path.push_str(segment);
        }
        Ok(Request {
            app: self.app.clone(),
            caller: self.caller,
            mount: self.mount,
            path,
            params,
            request_id,
            ip: web::client::ip(&self.parts.extensions),
            idempotency,
            route_path,
        })
    }

    fn idempotency(&self, path: &[String], params: &Params) -> Result<Option<IdempotentRequest>, ApiError> {
        let mut values = self.parts.headers.get_all(&IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let refuse = |message: &str| {
            Err(ApiError::new(StatusCode::BAD_REQUEST, "idempotency_error", message)
                .code("idempotency_key_invalid"))
        };
        if values.next().is_some() {
            return refuse("Idempotency-Key was sent twice. Send it once.");
        }
        let Ok(key) = std::str::from_utf8(value.as_bytes()) else {
            return refuse("Idempotency-Key must be UTF-8 text. A random UUID is a good choice.");
        };
        let key = key.trim();
        if key.is_empty() || key.chars().count() > IDEMPOTENCY_KEY_CHARS || key.chars().any(char::is_control)
        {
            return refuse(
                "Idempotency-Key must have 1 to 255 characters, none of them control characters. A random UUID is a \
                 good choice.",
            );
        }
        if domain::card::contains_card_number(key) {
            return refuse(
                "Idempotency-Key looks like a card number, which must not be stored. A random UUID is a good choice.",
            );
        }
        let mut print = self.app.engine.vault.fingerprint();
        print.part(crate::SURFACE.as_bytes());
        // The two kinds of key are answered differently, so theirs are two requests.
        print.part(self.caller.kind.as_str().as_bytes());
        print.part(Method::POST.as_str().as_bytes());
        print.part(self.endpoint.path.as_bytes());
        for id in path {
            print.part(id.as_bytes());
        }
        let mut canonical = Vec::new();
        params.canonical(SECRET_LEAVES, &mut |bytes| canonical.extend_from_slice(bytes));
        print.part(&canonical);
        // A publishable key is public: whoever has it must not use up the keys that the merchant is about to
        // use, nor read what was answered to the merchant. A leading space keeps the two apart, because keys
        // are trimmed.
        let key = match self.caller.kind {
            KeyKind::Secret => key.to_owned(),
            KeyKind::Publishable => format!(" {key}"),
        };
        Ok(Some(IdempotentRequest { key, fingerprint: print.finish() }))
    }
}

fn body_refused(refusal: BodyRefusal) -> ApiError {
    let (status, code, message) = match refusal {
        BodyRefusal::TooLarge => {
            (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The body is larger than 64 KiB. Send less.")
        }
        BodyRefusal::TooSlow => {
            (StatusCode::REQUEST_TIMEOUT, "body_too_slow", "The body did not arrive within 10 seconds.")
        }
        BodyRefusal::Broken => {
            (StatusCode::BAD_REQUEST, "body_broken", "The body could not be read to its end.")
        }
    };
    ApiError::new(status, "invalid_request_error", message).code(code)
}

#[cfg(test)]
#[path = "dispatch_tests.rs"]
mod tests;
