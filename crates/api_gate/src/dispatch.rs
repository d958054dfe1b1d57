//! From an HTTP request to a call and back: read, find the service, check the signature, count, take for
//! what it says. In this order: whoever cannot sign costs no more than reading.

use crate::calls::{self, Call};
use crate::envelope::{self, Envelope};
use crate::error::GateError;
use crate::requests::{self, Policy, stored_request};
use crate::signature::{SignatureRefusal, SignedBody, Unreadable};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header, request};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use domain::gate_transaction::GateTransaction;
use domain::scope::Mode;
use engine::gate::GateService;
use engine::wall_clock;
use std::sync::Arc;
use std::time::{Duration, Instant};
use web::body::BodyRefusal;
use web::middleware::{Unanswered, show_limits};
use web::rate_limit::{ANONYMOUS, Verdict, address_key};
use web::{App, RequestId, RouteName};

/// Names the token whose secret signed, under its own name and an older one.
const TOKEN_HEADERS: [&str; 2] = ["x-request-token-name", "x-request-api-key"];

/// One call of this surface.
#[derive(Clone, Copy)]
pub struct Route {
    pub path: &'static str,
    pub call: Call,
}

/// Every call, by its path.
pub const ROUTES: &[Route] = &[
    Route { path: "/api/transaction/purchase/create", call: Call::Purchase },
    Route { path: "/api/transaction/recurring/create", call: Call::Recurring },
    Route { path: "/api/transaction/recurring/cancel", call: Call::Cancel },
    Route { path: "/api/transaction/payout/create", call: Call::Payout },
    Route { path: "/api/operation/refund", call: Call::Refund },
    Route { path: "/api/transaction/status", call: Call::Status },
];

/// The calls of the `api` listener under `/api/`.
pub fn router(app: App) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let handler = move |State(app): State<App>, request: axum::extract::Request| async move {
            dispatch(app, *route, request).await
        };
        let other = move |State(app): State<App>, request: axum::extract::Request| async move {
            outside(&app, &request, 405, "This address takes POST only.")
        };
        router = router.route(route.path, post(handler).fallback(other));
    }
    let unknown = |State(app): State<App>, request: axum::extract::Request| async move {
        outside(&app, &request, 404, "There is nothing at this address. Check the path.")
    };
    router.route("/api/", any(unknown)).route("/api/{*path}", any(unknown)).with_state(app)
}

fn outside(app: &App, request: &axum::extract::Request, code: u16, message: &str) -> Response {
    let verdict = anonymous(app, request.extensions());
    let refused = if verdict.allowed { GateError::new(code, message) } else { too_many(&verdict) };
    with_limits(failure(&refused, Duration::ZERO), &verdict)
}

fn anonymous(app: &App, extensions: &axum::http::Extensions) -> Verdict {
    app.limiter.take(&address_key(extensions), ANONYMOUS, wall_clock().0)
}

fn too_many(verdict: &Verdict) -> GateError {
    let retry_after = Some(verdict.retry_after.max(1));
    GateError { retry_after, ..GateError::new(429, "Too many requests. Wait for Retry-After seconds.") }
}

fn with_limits(mut response: Response, verdict: &Verdict) -> Response {
    show_limits(response.headers_mut(), verdict);
    response
}

/// The answer to a request that its handler did not answer.
pub fn apology(unanswered: &Unanswered<'_>) -> Response {
    let refused = if unanswered.status == StatusCode::SERVICE_UNAVAILABLE {
        let late = "The request took too long. Whether it took effect is not known: send the same request again, and \
                    it takes effect once.";
        GateError { retry_after: Some(1), ..GateError::new(503, late) }
    } else {
        GateError::defect()
    };
    failure(&refused, unanswered.elapsed)
}

fn failure(refused: &GateError, elapsed: Duration) -> Response {
    let answer = envelope::failure(refused.code, &refused.message, &refused.errors, elapsed);
    let mut response = answer.into_response();
    if let Some(seconds) = refused.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A request whose signature was found good.
pub struct Signed {
    pub app: App,
    pub service: Arc<GateService>,
    pub body: SignedBody,
    pub policy: Policy,
    /// For calls that name one.
    pub transaction: Option<GateTransaction>,
    pub request_id: String,
}

impl Signed {
    /// Refuses to begin anything for a merchant that leaves. It still pays back, pays out and ends what there is.
    pub async fn require_open(&self) -> Result<(), GateError> {
        Ok(self.app.engine.require_open(self.service.storefront.scope).await?)
    }

    /// Refuses to wind up a merchant that is closed.
    pub async fn require_not_closed(&self) -> Result<(), GateError> {
        Ok(self.app.engine.require_not_closed(self.service.storefront.scope).await?)
    }

    /// The body as it is kept: without its signature.
    pub fn stored(&self) -> String {
        stored_request(&self.body)
    }
}

async fn dispatch(app: App, route: Route, request: axum::extract::Request) -> Response {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let (answer, verdict) = match identify(&app, route.call, &parts, body).await {
        Err(refused) => {
            if refused.code == 401 {
                app.engine.note_auth_failed(web::rate_limit::shown_address(&parts.extensions));
            }
            let verdict = anonymous(&app, &parts.extensions);
            // A failure of ours, such as a lost database, is told as it is: the caller may well sign rightly.
            let told = verdict.allowed || refused.code >= 500;
            (Err(if told { refused } else { too_many(&verdict) }), verdict)
        }
        Ok((signed, verdict)) if verdict.allowed => (calls::run(route.call, signed).await, verdict),
        Ok((_, verdict)) => (Err(too_many(&verdict)), verdict),
    };
    let mut response = match answer {
        Ok((message, data)) => success(message, data, started).into_response(),
        Err(refused) => failure(&refused, started.elapsed()),
    };
    response.extensions_mut().insert(RouteName(route.path));
    with_limits(response, &verdict)
}

fn success(message: &str, data: serde_json::Value, started: Instant) -> Envelope {
    envelope::success(message, data, started.elapsed())
}

/// Who asks, and whether they may ask now.
async fn identify(
    app: &App,
    call: Call,
    parts: &request::Parts,
    body: Body,
) -> Result<(Signed, Verdict), GateError> {
    check_headers(&parts.headers)?;
    let bytes = web::body::read(body).await.map_err(body_refused)?;
    let body = SignedBody::read(&bytes).map_err(unreadable)?;
    let (mut service, transaction) = find(app, call, &body).await?;
    let mut proof = verify(&service, &parts.headers, &body);
    if proof.is_err()
        && let Some(anew) = app.engine.gate_service_anew(service.storefront.number).await?
    {
        proof = verify(&anew, &parts.headers, &body);
        service = anew;
    }
    let (token, variant) = proof?;
    let scope = service.storefront.scope;
    let settings = app.engine.settings(scope).await?;
    let mut bucket = [0xfe; 16];
    bucket[..12].copy_from_slice(&token.0.0);
    let verdict = app.limiter.take(&bucket, settings.mode.tier.limits(), wall_clock().0);
    let loopback = scope.mode == Mode::Test && app.engine.egress(scope).allow_loopback;
    let signed = Signed {
        app: app.clone(),
        policy: Policy::of(variant, app.engine.now(), loopback),
        service,
        body,
        transaction,
        request_id: parts.extensions.get::<RequestId>().map(|r| r.0.clone()).unwrap_or_default(),
    };
    Ok((signed, verdict))
}

fn check_headers(headers: &HeaderMap) -> Result<(), GateError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let (kind, rest) = kind.split_once(';').unwrap_or((kind, ""));
    let charset = rest.trim().to_ascii_lowercase();
    let plain = headers.get(header::CONTENT_ENCODING).is_none_or(|v| v.as_bytes() == b"identity");
    let json = kind.trim().eq_ignore_ascii_case("application/json")
        && (charset.is_empty() || charset == "charset=utf-8");
    if json && plain && headers.get_all(header::CONTENT_TYPE).iter().count() == 1 {
        return Ok(());
    }
    Err(GateError::new(415, "Send the body as it is, in UTF-8, with Content-Type: application/json."))
}

fn body_refused(refused: BodyRefusal) -> GateError {
    match refused {
        BodyRefusal::TooLarge => GateError::new(413, "The body is larger than 64 KiB. Send less."),
        BodyRefusal::TooSlow => GateError::new(408, "The body did not arrive within 10 seconds."),
        BodyRefusal::Broken => GateError::new(400, "The body could not be read to its end."),
    }
}

fn unreadable(refused: Unreadable) -> GateError {
    GateError::new(400, refused.to_string())
}

/// The service that must have signed, and the transaction where the call names one.
async fn find(
    app: &App,
    call: Call,
    body: &SignedBody,
) -> Result<(Arc<GateService>, Option<GateTransaction>), GateError> {
    if call.names_a_transaction() {
        let uuid = requests::transaction_uuid(body).map_err(GateError::fields)?;
        let found = app.engine.gate_transaction(uuid).await?;
        let (transaction, service) = found
            .ok_or_else(|| GateError::field(404, "meta.transaction_uuid", "There is no such transaction."))?;
        return Ok((service, Some(transaction)));
    }
    let number = requests::service_id(body).map_err(GateError::fields)?;
    let service = app.engine.gate_service(number).await?;
    let service =
        service.ok_or_else(|| GateError::field(404, "meta.service_id", "There is no such service."))?;
    Ok((service, None))
}

/// Checks the signature against the token that a header names, or else against every valid one.
fn verify(
    service: &GateService,
    headers: &HeaderMap,
    body: &SignedBody,
) -> Result<(domain::id::GateTokenId, crate::signature::Variant), GateError> {
    let unsigned = |refused: SignatureRefusal| GateError::field(401, "meta.signature", refused.to_string());
    let named = TOKEN_HEADERS.iter().find_map(|name| headers.get(*name));
    let tokens: Vec<_> = match named.map(|value| value.to_str().unwrap_or_default()) {
        Some(name) => service.tokens.iter().filter(|t| t.token.name == name).collect(),
        None => service.tokens.iter().collect(),
    };
    let secrets: Vec<&[u8]> = tokens.iter().map(|t| t.secret.as_bytes()).collect();
    let proof = body.verify(&secrets).map_err(unsigned)?;
    let token = tokens.get(proof.secret).ok_or_else(|| unsigned(SignatureRefusal::Wrong))?;
    Ok((token.token.id, proof.variant))
}
