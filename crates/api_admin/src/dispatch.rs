//! From an HTTP request to a handler and back: who asks, limits, access, body, idempotency. In this order, so that
//! whoever is refused has cost as little as possible.

use crate::callers::{self, Access, Identity};
use crate::cookies;
use crate::error::ApiError;
use crate::openapi;
use crate::request::{Anonymous, Answer, Common, Global, Organized, Personal, Scoped, Visiting};
use crate::routes::{ADMIN_ROUTES, Endpoint, Handler, PUBLIC_ROUTES};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header, request};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use domain::limits::IDEMPOTENCY_KEY_CHARS;
use domain::scope::Scope;
use domain::session::SessionCaller;
use engine::{Call, IdempotentRequest, ReplySpec, wall_clock};
use web::body::BodyRefusal;
use web::client;
use web::middleware::show_limits;
use web::params::{Params, Value, codes, echo_name};
use web::path::{RawPath, ids};
use web::rate_limit::windows::WindowLimiter;
use web::rate_limit::{Verdict, address_key, shown_address};
use web::{App, KnownLimits, RequestId, RouteName};

/// Of the pages that describe the API: they have no script, and nothing of another site.
const DOCUMENT_POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
static REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Routes whose POST takes effect once for an `Idempotency-Key`: those that make or move something of a payer's.
const KEEPS_KEYS: &[&str] = &[
    "/checkouts/{siteId}/create",
    "/checkouts/{id}/expire",
    "/transactions/manual",
    "/transactions/{id}/mark-paid",
    "/transactions/{id}/refund",
    "/transactions/{id}/cancel",
    "/clients",
];
/// What may stand in the address of a request with a body: the rest belongs into the body, which no log keeps.
const IN_ADDRESS: &[&str] = &["mode"];

/// Reads, though it is a POST.
const EXPORT: &str = "/data-import-export/export";

/// What may still be done in an organisation that leaves, beside reading: money given back, open things ended, and
/// rights taken away.
const WINDING_UP: &[(&str, &str)] = &[
    ("POST", "/transactions/{id}/mark-paid"),
    ("POST", "/transactions/{id}/refund"),
    ("POST", "/transactions/{id}/cancel"),
    ("POST", "/checkouts/{id}/expire"),
    ("POST", "/organizations/{orgId}/api-keys/{id}/revoke"),
    ("DELETE", "/organizations/{orgId}/api-keys/{id}"),
    ("DELETE", "/organizations/{orgId}/users/{userId}"),
    ("DELETE", "/clients/{id}"),
];

/// Which of the two backends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Admin,
    Public,
}

impl Backend {
    fn limits(self, app: &App) -> &WindowLimiter {
        match self {
            Backend::Admin => &app.admin_limits,
            Backend::Public => &app.main_limits,
        }
    }
}

/// The Admin API: everything below `/api/v1`, and below `/v1`, which is another spelling of it.
pub fn admin_router(app: App) -> Router {
    let routes = mount(ADMIN_ROUTES, Backend::Admin)
        .merge(openapi::serve::routes(Backend::Admin))
        .fallback(unknown_admin)
        .method_not_allowed_fallback(not_allowed_admin);
    let panel = from_fn_with_state(app.clone(), crate::panel::allow_panel);
    Router::new().nest("/api/v1", routes.clone()).nest("/v1", routes).layer(panel).with_state(app)
}

/// The Main Backend: everything below `/api/v1` of the public listener.
pub fn public_router(app: App) -> Router {
    let routes = mount(PUBLIC_ROUTES, Backend::Public)
        .merge(openapi::serve::routes(Backend::Public))
        .fallback(unknown_public)
        .method_not_allowed_fallback(not_allowed_public);
    Router::new().nest("/api/v1", routes).with_state(app)
}

fn mount(endpoints: &'static [Endpoint], backend: Backend) -> Router<App> {
    let mut router = Router::new();
    for endpoint in endpoints {
        let filter = match endpoint.method {
            "GET" => MethodFilter::GET,
            "PUT" => MethodFilter::PUT,
            "PATCH" => MethodFilter::PATCH,
            "DELETE" => MethodFilter::DELETE,
            _ => MethodFilter::POST,
        };
        let handler = move |State(app): State<App>, path: RawPath, request: axum::extract::Request| async move {
            dispatch(app, backend, endpoint, ids(path, endpoint.path), request).await
        };
        router = router.route(endpoint.path, on(filter, handler));
        if backend == Backend::Public {
            let preflight = move |State(app): State<App>, path: RawPath, request: axum::extract::Request| async move {
                preflight(&app, endpoint, &ids(path, endpoint.path), &request.into_parts().0).await
            };
            router = router.route(endpoint.path, on(MethodFilter::OPTIONS, preflight));
        }
    }
    router
}

async fn unknown_admin(State(app): State<App>, request: axum::extract::Request) -> Response {
    nowhere(&app, Backend::Admin, &request)
}

async fn unknown_public(State(app): State<App>, request: axum::extract::Request) -> Response {
    nowhere(&app, Backend::Public, &request)
}

async fn not_allowed_admin(State(app): State<App>, request: axum::extract::Request) -> Response {
    wrong_method(&app, Backend::Admin, &request)
}

async fn not_allowed_public(State(app): State<App>, request: axum::extract::Request) -> Response {
    wrong_method(&app, Backend::Public, &request)
}

fn nowhere(app: &App, backend: Backend, request: &axum::extract::Request) -> Response {
    let message = format!(
        "There is nothing at {} {}. Check the path.",
        request.method(),
        echo_name(request.uri().path())
    );
    let error = ApiError::new(StatusCode::NOT_FOUND, "route_not_found", message);
    outside(app, backend, request.extensions(), &error)
}

fn wrong_method(app: &App, backend: Backend, request: &axum::extract::Request) -> Response {
    let message = format!("{} is not allowed at this address. Check the method.", request.method());
    let error = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
    outside(app, backend, request.extensions(), &error)
}

/// An answer where no route is: with limits, like every answer.
fn outside(app: &App, backend: Backend, extensions: &Extensions, error: &ApiError) -> Response {
    let verdict = anonymous(app, backend, extensions);
    let id = request_id(extensions);
    let response = if verdict.allowed { error.response(&id) } else { too_many(&verdict).response(&id) };
    with_limits(response, &verdict)
}

/// A text that is the same for everybody, within the limits.
pub(crate) fn plain_answer(
    app: &App,
    backend: Backend,
    extensions: &Extensions,
    kind: &'static str,
    text: &'static str,
) -> Response {
    let verdict = anonymous(app, backend, extensions);
    if !verdict.allowed {
        return with_limits(too_many(&verdict).response(&request_id(extensions)), &verdict);
    }
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, DOCUMENT_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    with_limits(response, &verdict)
}

fn request_id(extensions: &Extensions) -> String {
    extensions.get::<RequestId>().map(|r| r.0.clone()).unwrap_or_default()
}

fn with_limits(mut response: Response, verdict: &Verdict) -> Response {
    show_limits(response.headers_mut(), verdict);
    response
}

fn too_many(verdict: &Verdict) -> ApiError {
    let message = "Too many requests. Wait as long as Retry-After says.";
    let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", message);
    ApiError { retry_after: Some(verdict.retry_after.max(1)), ..error }
}

fn anonymous(app: &App, backend: Backend, extensions: &Extensions) -> Verdict {
    backend.limits(app).take(&address_key(extensions), client::known_ip(extensions), wall_clock().0)
}

/// A browser's question before it sends. It costs a look at the database, so it counts as a request.
async fn preflight(app: &App, endpoint: &Endpoint, path: &[String], parts: &request::Parts) -> Response {
    let verdict = anonymous(app, Backend::Public, &parts.extensions);
    let response = if verdict.allowed {
        crate::public::preflight(app, endpoint, path, &parts.headers).await
    } else {
        too_many(&verdict).response(&request_id(&parts.extensions))
    };
    with_limits(response, &verdict)
}

async fn dispatch(
    app: App,
    backend: Backend,
    endpoint: &'static Endpoint,
    path: Vec<String>,
    request: axum::extract::Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let id = request_id(&parts.extensions);
    let exchange = Exchange { app: &app, backend, endpoint, parts: &parts, request_id: &id };
    let (answer, verdict) = exchange.run(path.clone(), body).await;
    let mut response = match answer {
        Ok(answer) => shown(answer),
        Err(error) => error.response(&id),
    };
    // That needs a look at the database, which refused requests must not cost.
    if backend == Backend::Public && verdict.allowed {
        crate::public::allow_origin(&app, endpoint, &path, &parts.headers, &mut response).await;
    }
    response.extensions_mut().insert(RouteName(endpoint.path));
    with_limits(response, &verdict)
}

fn shown(answer: Answer) -> Response {
    let mut kept = Vec::new();
    let (status, body, replayed) = match answer {
        Answer::Download(download) => return download.response(),
        Answer::Json(status, value) => (status, value.to_string(), false),
        Answer::Cookies(status, value, cookies) => {
            kept = cookies;
            (status, value.to_string(), false)
        }
        Answer::Reply(reply) => {
            let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
            (status, reply.body, reply.replayed)
        }
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for cookie in kept {
        // Made of our own characters, so there is none that is no header.
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    if replayed {
        response.headers_mut().insert(REPLAYED.clone(), HeaderValue::from_static("true"));
    }
    response
}

/// One request on its way through.
struct Exchange<'a> {
    app: &'a App,
    backend: Backend,
    endpoint: &'static Endpoint,
    parts: &'a request::Parts,
    request_id: &'a str,
}

impl Exchange<'_> {
    async fn run(&self, path: Vec<String>, body: Body) -> (Result<Answer, ApiError>, Verdict) {
        let extensions = &self.parts.extensions;
        let identity = match self.identify().await {
            Ok(identity) => identity,
            Err(error) => {
                if error.status == StatusCode::UNAUTHORIZED {
                    self.app.engine.note_auth_failed(shown_address(extensions));
                }
                let verdict = anonymous(self.app, self.backend, extensions);
                // A failure of ours is told as it is: the caller may well have a good key.
                let told = verdict.allowed || error.status.is_server_error();
                return (Err(if told { error } else { too_many(&verdict) }), verdict);
            }
        };
        let verdict = match &identity {
            Some(identity) => {
                let from = client::known_ip(extensions);
                self.backend.limits(self.app).take(&identity.bucket(), from, wall_clock().0)
            }
            None => anonymous(self.app, self.backend, extensions),
        };
        if let Some(known) = extensions.get::<KnownLimits>() {
            known.set(verdict);
        }
        if !verdict.allowed {
            return (Err(too_many(&verdict)), verdict);
        }
        let org = match self.endpoint.access {
            Access::Organization(..) => path.first().cloned(),
            _ => None,
        };
        let answer = self.answer(identity.as_ref(), path, body).await;
        if let Some(identity) = &identity
            && let Ok(callers::Permit { scope: Some(scope) }) = self.permit(identity, org.as_deref())
        {
            self.note(identity, scope, &answer);
        }
        (answer, verdict)
    }

    /// Notes for the audit log what a caller asked for in vain, and what a key of the instance did in an organisation.
    fn note(&self, identity: &Identity, scope: Scope, answer: &Result<Answer, ApiError>) {
        let caller = callers::caller(identity, scope);
        match answer {
            Err(ApiError { missing: Some(object), .. }) => {
                self.app.engine.note_missing(caller, object, self.request_id);
            }
            Ok(_) if identity.is_system_key() && self.endpoint.method != "GET" => {
                let what = format!("{} {}", self.endpoint.method, self.endpoint.path);
                self.app.engine.note_system_key(caller, what, self.request_id);
            }
            _ => {}
        }
    }

    /// Who asks; `None` where nobody need say.
    async fn identify(&self) -> Result<Option<Identity>, ApiError> {
        let headers = &self.parts.headers;
        match self.endpoint.access {
            Access::Public => return Ok(None),
            Access::Cookie => {
                cookies::surely_own_pages(self.app, headers)?;
                return Ok(None);
            }
            Access::Visitor => {
                cookies::own_pages(self.app, headers)?;
                if !headers.contains_key(header::AUTHORIZATION) {
                    return Ok(None);
                }
            }
            _ => {}
        }
        if key_in_query(&self.parts.uri) {
            tracing::warn!("an API key was sent in a query string, where logs keep it: rotate it");
            self.app.engine.note_key_in_url(shown_address(&self.parts.extensions), self.request_id);
            return Err(callers::unauthenticated());
        }
        let address = client::known_ip(&self.parts.extensions);
        callers::identify(self.app, &self.parts.headers, address).await.map(Some)
    }

    fn permit(&self, identity: &Identity, org: Option<&str>) -> Result<callers::Permit, ApiError> {
        callers::permit(identity, self.endpoint.access, &self.parts.headers, org)
    }

    async fn answer(
        &self,
        identity: Option<&Identity>,
        path: Vec<String>,
        body: Body,
    ) -> Result<Answer, ApiError> {
        let org = match self.endpoint.access {
            Access::Organization(..) => path.first().map(String::as_str),
            _ => None,
        };
        let scope = match identity {
            Some(identity) => self.permit(identity, org)?.scope,
            None => None,
        };
        if let (Some(identity), Some(scope)) = (identity, scope)
            && identity.is_global()
        {
            // Everybody else belongs to it.
            self.app
                .engine
                .merchant(scope.merchant)
                .await
                .map_err(|_| ApiError::not_found("organization", &scope.merchant.0.hex()))?;
        }
        if let Some(person) = identity.and_then(Identity::person).filter(|_| self.endpoint.fresh_login) {
            self.app.engine.require_fresh_login(person)?;
        }
        let params = self.params(body).await?;
        let idempotency = match identity {
            Some(_) if self.endpoint.method == "POST" => self.idempotency(&path, &params)?,
            _ => None,
        };
        let call = match (identity, scope, &idempotency) {
            (Some(identity), Some(scope), Some(_)) => Some(Call {
                caller: callers::caller(identity, scope),
                request: self.request_id.to_owned(),
                idempotency: idempotency.clone(),
                reply: ReplySpec {
                    surface: crate::SURFACE,
                    kind: String::new(),
                    expand: Vec::new(),
                    request: self.request_id.to_owned(),
                },
            }),
            _ => None,
        };
        let common = Common {
            app: self.app.clone(),
            path,
            params,
            request_id: self.request_id.to_owned(),
            ip: client::ip(&self.parts.extensions),
            headers: self.parts.headers.clone(),
            idempotency,
        };
        let answer = match self.may_change(scope).await {
            Ok(()) => self.handle(common, identity, scope).await,
            Err(refused) => Err(refused),
        };
        match (answer, call) {
            (Err(refused), Some(call)) => self.unless_answered(refused, &call).await,
            (answer, _) => answer,
        }
    }

    /// An organisation that leaves is read and wound up.
    async fn may_change(&self, scope: Option<Scope>) -> Result<(), ApiError> {
        let route = (self.endpoint.method, self.endpoint.path);
        let Some(scope) = scope.filter(|_| route.0 != "GET" && route.1 != EXPORT) else { return Ok(()) };
        if WINDING_UP.contains(&route) {
            return Ok(self.app.engine.require_not_closed(scope).await?);
        }
        Ok(self.app.engine.require_open(scope).await?)
    }

    /// A repetition may be refused because of what the first request did: what was answered then is the answer still.
    async fn unless_answered(&self, refused: ApiError, call: &Call) -> Result<Answer, ApiError> {
        match self.app.engine.replay(call).await {
            Ok(Some(reply)) => Ok(Answer::Reply(reply)),
            Err(e @ (engine::Error::IdempotencyInUse { .. } | engine::Error::IdempotencyMismatch { .. })) => {
                Err(e.into())
            }
            Ok(None) | Err(_) => Err(refused),
        }
    }

    async fn handle(
        &self,
        common: Common,
        identity: Option<&Identity>,
        scope: Option<Scope>,
    ) -> Result<Answer, ApiError> {
        match (self.endpoint.handler, identity.cloned(), scope) {
            (Handler::Public(handler), ..) => handler(Anonymous { common }).await,
            (Handler::Visitor(handler), None, _) => handler(self.visiting(common, None)).await,
            (Handler::Visitor(handler), Some(Identity::Person(person)), _) => {
                handler(self.visiting(common, Some(*person))).await
            }
            (Handler::Person(handler), Some(Identity::Person(person)), _) => {
                handler(Personal { common, person: *person }).await
            }
            (Handler::Scoped(handler), Some(identity), Some(scope)) => {
                handler(Scoped { common, identity, scope }).await
            }
            (Handler::Organized(handler), Some(identity), Some(scope)) => {
                handler(Organized { common, identity, scope }).await
            }
            (Handler::Global(handler), Some(identity), _) => handler(Global { common, identity }).await,
            // A route whose access leads to another kind of request than its handler takes.
            _ => Err(callers::unauthenticated()),
        }
    }

    fn visiting(&self, common: Common, person: Option<SessionCaller>) -> Visiting {
        Visiting { common, person, address: shown_address(&self.parts.extensions) }
    }

    async fn params(&self, body: Body) -> Result<Params, ApiError> {
        let query = Params::from_query(self.parts.uri.query().unwrap_or(""))?;
        let headers = &self.parts.headers;
        if matches!(self.endpoint.method, "GET" | "DELETE") {
            // An empty filter would be none, and show all where one was looked for.
            if let Some((name, _)) =
                query.entries().iter().find(|(_, v)| matches!(v, Value::Text(t) if t.is_empty()))
            {
                let message = format!("{} is empty. Give it a value, or leave it out.", echo_name(name));
                return Err(ApiError::invalid(codes::INVALID_EMPTY, message).field(name));
            }
            return Ok(query);
        }
        if let Some((name, _)) = query.entries().iter().find(|(name, _)| !IN_ADDRESS.contains(&name.as_str()))
        {
            let message = format!("{} must be sent in the body, not in the address.", echo_name(name));
            return Err(ApiError::invalid("parameter_in_query", message).field(name));
        }
        let unsupported = |message: &str| {
            ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type_unsupported", message)
        };
        let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
        if encodings.any(|encoding| !matches!(encoding.as_bytes(), b"identity" | b"")) {
            return Err(unsupported("Compressed request bodies are not accepted. Send the body as it is."));
        }
        let bytes = web::body::read(body).await.map_err(body_refused)?;
        if bytes.is_empty() {
            return Ok(query);
        }
        // Anything else could come from a form of another site without a question to us first.
        if !is_json(headers) {
            return Err(unsupported("Send the body as JSON, with Content-Type: application/json, once."));
        }
        Ok(query.merge(Params::from_json(&bytes)?)?)
    }

    fn idempotency(&self, path: &[String], params: &Params) -> Result<Option<IdempotentRequest>, ApiError> {
        let mut values = self.parts.headers.get_all(&IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if !KEEPS_KEYS.contains(&self.endpoint.path) {
            let message = "This request keeps no Idempotency-Key: repeated, it takes effect again. Send it without, and \
                           look what there is before you repeat it.";
            return Err(ApiError::invalid("idempotency_not_supported", message));
        }
        let key = value.to_str().unwrap_or_default().trim();
        let bad = key.is_empty()
            || key.chars().count() > IDEMPOTENCY_KEY_CHARS
            || key.chars().any(char::is_control)
            || domain::card::contains_card_number(key)
            || values.next().is_some();
        if bad {
            let message = "Idempotency-Key must be one plain text of 1 to 255 characters. A random UUID is a good choice.";
            return Err(ApiError::invalid("idempotency_key_invalid", message));
        }
        let mut print = self.app.engine.vault.fingerprint();
        for part in [crate::SURFACE, self.endpoint.method, self.endpoint.path] {
            print.part(part.as_bytes());
        }
        for id in path {
            print.part(id.as_bytes());
        }
        let mut canonical = Vec::new();
        params.canonical(&[], &mut |bytes| canonical.extend_from_slice(bytes));
        print.part(&canonical);
        // Two leading spaces keep this surface's keys apart from those of REST v2, which are trimmed.
        Ok(Some(IdempotentRequest { key: format!("  {key}"), fingerprint: print.finish() }))
    }
}

fn key_in_query(uri: &Uri) -> bool {
    let names = ["api_key=", "apiKey=", "key=", "token="];
    let is_key = |pair: &str| {
        let value = pair.split_once('=').map_or("", |(_, value)| value);
        names.iter().any(|name| pair.starts_with(name)) || value.starts_with("sk_")
    };
    uri.query().is_some_and(|q| q.split('&').any(is_key))
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(kind), None) = (kinds.next(), kinds.next()) else { return false };
    let kind = kind.to_str().unwrap_or("?").to_ascii_lowercase();
    let (name, rest) = kind.split_once(';').unwrap_or((&kind, ""));
    let mut charsets = rest.split(';').filter_map(|part| part.trim().strip_prefix("charset="));
    name.trim() == "application/json" && charsets.all(|charset| charset.trim_matches('"') == "utf-8")
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
    ApiError::new(status, code, message)
}
