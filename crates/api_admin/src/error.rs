//! The error envelope of both backends, and how every refusal of the engine looks in it.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use domain::date::Date;
use domain::id::Core;
use domain::payment::{PaymentStatus, Refusal};
use domain::refund::RefundRefusal;
use domain::session::SignInRefusal;
use engine::Error;
use serde_json::{Map, Value, json};
use web::middleware::Unanswered;
use web::params::{ParamError, echo};

/// An answer in the error envelope: `error` for people, and beside it what programs look for.
#[derive(Debug)]
pub struct ApiError {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: String,
    /// The field that is to blame, as it is spelled in JSON: `items[0].quantity`.
    pub field: Option<String>,
    pub retry_after: Option<u32>,
    /// What was asked for and does not exist for this caller.
    pub missing: Option<String>,
}

const DEFECT: &str = "Something went wrong on our side. Try again, or ask the operator about this requestId.";

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { status, code, message: message.into(), field: None, retry_after: None, missing: None }
    }

    /// 400: what was sent cannot be read.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 422: it can be read, and breaks a rule.
    pub fn unprocessable(code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    pub fn conflict(code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::CONFLICT, code, message)
    }

    pub fn forbidden(code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::FORBIDDEN, code, message)
    }

    /// 404: there is no such object for this caller.
    pub fn not_found(kind: &str, id: &str) -> ApiError {
        let message = format!(
            "There is no {kind} {}. Check the id, and that the key's organisation and mode are its.",
            echo(id)
        );
        ApiError {
            missing: Some(id.to_owned()),
            ..ApiError::new(StatusCode::NOT_FOUND, "not_found", message)
        }
    }

    pub fn field(mut self, field: &str) -> ApiError {
        self.field = Some(field.to_owned());
        self
    }

    pub fn body(&self, request: &str) -> Value {
        let mut body = Map::new();
        body.insert("error".to_owned(), json!(self.message));
        body.insert("message".to_owned(), json!(self.message));
        body.insert("code".to_owned(), json!(self.code));
        if let Some(field) = &self.field {
            body.insert("details".to_owned(), json!({ "field": field }));
        }
        body.insert("requestId".to_owned(), json!(request));
        Value::Object(body)
    }

    pub fn response(&self, request: &str) -> Response {
        let mut response = Response::new(Body::from(self.body(request).to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<ParamError> for ApiError {
    fn from(e: ParamError) -> Self {
        let mut error = ApiError::invalid(e.code, e.message);
        error.field = e.param.map(|param| dotted(&param));
        error
    }
}

/// `items[0][quantity]` as JSON has it: `items[0].quantity`.
pub(crate) fn dotted(param: &str) -> String {
    let mut parts = param.split('[');
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let name = part.trim_end_matches(']');
        if name.bytes().all(|b| b.is_ascii_digit()) {
            shown.push_str(&format!("[{name}]"));
        } else {
            shown.push_str(&format!(".{name}"));
        }
    }
    shown
}

impl From<Error> for ApiError {
    fn from(e: Error) -> Self {
        match e {
            Error::NotFound { kind, id } => ApiError::not_found(kind, &as_hex(id)),
            Error::Missing { param, kind, id } => {
                let id = as_hex(id);
                let message =
                    format!("{param} names no {kind} of this organisation and mode: {}.", echo(&id));
                ApiError { missing: Some(id), ..ApiError::new(StatusCode::NOT_FOUND, "not_found", message) }
                    .field(&param)
            }
            Error::Invalid { param, code, message } => {
                ApiError { field: param, ..ApiError::unprocessable(code, message) }
            }
            Error::Payment { refusal, .. } => refused(&refusal),
            Error::Refund { refusal, .. } => refund_refused(refusal),
            Error::Payout { .. } => {
                ApiError::conflict("payout_refused", "The payout cannot be made or changed.")
            }
            Error::Card { decline, param } => {
                let error = ApiError::new(StatusCode::PAYMENT_REQUIRED, "card_declined", decline.message);
                ApiError { field: param.map(str::to_owned), ..error }
            }
            Error::NotYet { param, what } => ApiError::unprocessable(
                "not_supported",
                format!("This test method needs {what}, which is not offered."),
            )
            .field(&param),
            Error::IdempotencyMismatch { key } => ApiError::conflict(
                "idempotency_key_reused",
                format!(
                    "The Idempotency-Key {} was used for another request. Use a new one.",
                    echo(key.trim())
                ),
            ),
            Error::IdempotencyInUse { .. } => {
                let message =
                    "The first request with this Idempotency-Key has not ended. Repeat it in a moment.";
                ApiError { retry_after: Some(1), ..ApiError::conflict("idempotency_key_in_use", message) }
            }
            Error::Offboarding { closed: true, .. } => ApiError::forbidden(
                "organization_closed",
                "This organisation is closed for good: it can be read, and not changed.",
            ),
            Error::Offboarding { ends_at, .. } => ApiError::forbidden(
                "organization_offboarding",
                format!(
                    "This organisation is being closed (on {}): it can be read and wound up; nothing new can be made. A global \
                     administrator can restore it.",
                    Date::of_instant(ends_at)
                ),
            ),
            Error::ProviderNotConfigured => ApiError::conflict(
                "provider_not_configured",
                "No provider that this site offers is enabled in this mode. Set one up (POST /api/v1/providers), or \
                 enable it.",
            ),
            Error::FeeNotConfigured { currency } => ApiError::unprocessable(
                "fee_not_configured",
                format!(
                    "The organisation's fee group has no rule for {currency}. The operator has to add one."
                ),
            )
            .field("currency"),
            Error::Limit { what, max } => ApiError::conflict(
                "limit_exceeded",
                format!("There may be at most {max} {what}. Delete one first."),
            ),
            Error::InUse { kind, message } => {
                ApiError::conflict("resource_in_use", format!("This {kind} cannot be deleted: {message}."))
            }
            Error::Forbidden { code, message } => ApiError::forbidden(code, message),
            Error::Conflict { code, message } => ApiError::conflict(code, message),
            Error::NameTaken { param, name } => ApiError::conflict(
                "already_exists",
                format!("There is another one with {param} {}.", echo(&name)),
            )
            .field(&param),
            Error::GateCancel(_) => {
                ApiError::conflict("transaction_ended", "This transaction cannot be cancelled.")
            }
            Error::SignIn(refusal) => sign_in_refused(refusal),
            Error::Clock(_) => ApiError::conflict("test_clock", "The test clock cannot be moved so."),
            Error::ChallengeGone => ApiError::not_found("challenge", ""),
            Error::WebhookEndpointDisabled(_) => {
                ApiError::conflict("webhook_endpoint_disabled", "The webhook endpoint is disabled.")
            }
            Error::Store(engine::StoreError::LockTimeout) => refused(&Refusal::Busy),
            Error::Store(e) if e.is_passing() => {
                tracing::error!(error = %e, "the database failed a request");
                let message = "The gateway's database cannot be reached at the moment. Whether the request took effect \
                               is not known: look what there is, or repeat it with the same Idempotency-Key if it had one: \
                               then it takes effect once.";
                let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message);
                ApiError { retry_after: Some(1), ..error }
            }
            Error::Store(e) => defect(&e),
            Error::Internal(what) => defect(&what),
        }
    }
}

/// An id as this surface spells it: the engine names objects with their prefix.
fn as_hex(id: String) -> String {
    let core = id.split_once('_').and_then(|(_, core)| Core::parse_base62(core));
    core.map_or(id, Core::hex)
}

fn defect(what: &impl std::fmt::Display) -> ApiError {
    tracing::error!(%what, "a defect was met");
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", DEFECT)
}

fn sign_in_refused(refusal: SignInRefusal) -> ApiError {
    use SignInRefusal as R;
    let status = match refusal {
        R::TooManyFailures { .. } => StatusCode::TOO_MANY_REQUESTS,
        R::SessionEnded | R::RefreshReused | R::ChallengeGone | R::PasskeyRefused | R::PasskeyCloned => {
            StatusCode::UNAUTHORIZED
        }
        R::InviteForAnother | R::OwnRole | R::NotAdministrator | R::ReauthenticationRequired { .. } => {
            StatusCode::FORBIDDEN
        }
        R::InviteGone => StatusCode::NOT_FOUND,
        R::SignInFirst | R::PasskeyTaken | R::LastPasskey | R::PasskeysUnavailable => StatusCode::CONFLICT,
    };
    let retry_after = match refusal {
        R::TooManyFailures { wait } => Some(wait),
        _ => None,
    };
    ApiError { retry_after, ..ApiError::new(status, refusal.code(), refusal.to_string()) }
}

pub(crate) fn refused(refusal: &Refusal) -> ApiError {
    match refusal {
        Refusal::Busy => {
            let message = "The payment is being changed by another request. Repeat this one in a moment.";
            ApiError { retry_after: Some(1), ..ApiError::conflict("busy", message) }
        }
        Refusal::UnexpectedState { status, .. } => {
            let message = match status {
                PaymentStatus::Succeeded => "The money was taken. Refund the transaction instead.".to_owned(),
                PaymentStatus::Canceled => "The payment has ended.".to_owned(),
                PaymentStatus::Processing => {
                    "The provider has not answered yet. Wait for its result.".to_owned()
                }
                other => format!("The payment's state ({other}) does not allow this."),
            };
            ApiError::conflict("unexpected_state", message)
        }
        Refusal::TooManyAttempts => {
            ApiError::conflict("too_many_attempts", "This checkout was tried too often. Create a new one.")
        }
        Refusal::MethodKindNotAllowed { kind } => {
            ApiError::unprocessable("method_not_offered", format!("This checkout cannot be paid by {kind}."))
        }
        Refusal::CurrencyNotSupported { kind, currency } => ApiError::unprocessable(
            "method_not_offered",
            format!("A payment by {kind} cannot be in {currency}."),
        ),
        Refusal::MethodMissing
        | Refusal::MethodOfOtherCustomer { .. }
        | Refusal::MethodUsedUp
        | Refusal::CaptureTooLarge { .. }
        | Refusal::IncrementTooSmall { .. }
        | Refusal::IncrementNotSupported
        | Refusal::ManualCaptureNotSupported { .. } => {
            ApiError::unprocessable("method_refused", "The payment method cannot be used for this payment.")
        }
    }
}

fn refund_refused(refusal: RefundRefusal) -> ApiError {
    match refusal {
        RefundRefusal::NotCaptured { .. } => ApiError::conflict(
            "transaction_not_paid",
            "Nothing was taken by this transaction, so nothing can be refunded.",
        ),
        RefundRefusal::Busy => refused(&Refusal::Busy),
        RefundRefusal::AlreadyRefunded => {
            ApiError::conflict("already_refunded", "This transaction has been refunded in full.")
        }
        RefundRefusal::TooLarge { asked, left } => ApiError::unprocessable(
            "amount_too_large",
            format!("amount is {asked}, but only {left} of this transaction is left to refund."),
        )
        .field("amount"),
        RefundRefusal::BalanceInsufficient { short } => ApiError::conflict(
            "balance_insufficient",
            format!(
                "The organisation's balance is {short} short of this refund. Wait until pending funds are available."
            ),
        ),
        RefundRefusal::TooMany => {
            ApiError::conflict("limit_exceeded", "This transaction has too many refunds.")
        }
    }
}

/// The answer to a request that its handler did not answer.
pub fn apology(unanswered: &Unanswered<'_>) -> Response {
    let Unanswered { status, request_id, .. } = *unanswered;
    let error = if status == StatusCode::SERVICE_UNAVAILABLE {
        let message = "The request took too long. Whether it took effect is not known: look what there is, or repeat it \
                       with the same Idempotency-Key if it had one: then it takes effect once.";
        ApiError { retry_after: Some(1), ..ApiError::new(status, "timeout", message) }
    } else {
        ApiError::new(status, "internal_error", DEFECT)
    };
    error.response(request_id)
}

#[cfg(test)]
mod tests {
    use super::dotted;

    #[test]
    fn fields_are_named_as_in_json() {
        for (param, field) in [
            ("amount", "amount"),
            ("items[0][unitPrice]", "items[0].unitPrice"),
            ("billingAddress[country]", "billingAddress.country"),
        ] {
            assert_eq!(dotted(param), field);
        }
    }
}
