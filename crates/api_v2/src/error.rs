//! The v2 error envelope, and how every refusal of the engine looks in it.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::date::Date;
use domain::outcome::Decline;
use domain::payment::{PaymentStatus, Refusal};
use domain::payout::{Payout, PayoutRefusal, PayoutStatus};
use domain::refund::RefundRefusal;
use domain::test_clock::AdvanceRefusal;
use engine::Error;
use engine::view::PaymentView;
use serde_json::{Map, Value, json};
use web::Urls;
use web::middleware::Unanswered;
use web::params::{ParamError, echo};

/// An answer in the error envelope.
#[derive(Debug)]
pub struct ApiError {
    pub status: StatusCode,
    pub kind: &'static str,
    pub code: Option<String>,
    pub param: Option<String>,
    pub message: String,
    pub decline_code: Option<String>,
    pub retry_after: Option<u32>,
    /// The payment that the error is about.
    pub payment: Option<Box<PaymentView>>,
    /// What was asked for and does not exist for this key.
    pub missing: Option<String>,
    /// A card's issuer or provider said no, for a reason that only they know.
    pub declined: bool,
    /// For a publishable key: the payment reduced, and no hint which check a card failed.
    pub public: bool,
}

const INVALID: &str = "invalid_request_error";
const DEFECT: &str =
    "Something went wrong on our side. Try again, or ask the operator about this request_id.";

impl ApiError {
    pub fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> ApiError {
        ApiError {
            status,
            kind,
            code: None,
            param: None,
            message: message.into(),
            decline_code: None,
            retry_after: None,
            payment: None,
            missing: None,
            declined: false,
            public: false,
        }
    }

    /// 400 with a code.
    pub fn invalid(code: &str, message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, INVALID, message).code(code)
    }

    /// 404: the object that the address names does not exist for this key.
    pub fn not_found(kind: &str, id: &str) -> ApiError {
        let shown = echo(id);
        let message =
            format!("No such {kind}: '{shown}'. Check the id, and that the key's mode and account match it.");
        let error = ApiError::new(StatusCode::NOT_FOUND, INVALID, message).code("resource_missing");
        error.param("id").missing(id)
    }

    fn missing(mut self, id: &str) -> ApiError {
        self.missing = Some(id.to_owned());
        self
    }

    pub fn code(mut self, code: &str) -> ApiError {
        self.code = Some(code.to_owned());
        self
    }

    pub fn param(mut self, param: &str) -> ApiError {
        self.param = Some(param.to_owned());
        self
    }

    /// The error as a publishable key may see it. All declines of cards look the same to it, or it could
    /// tell a working card with a wrong code from a blocked one.
    pub fn public(mut self, public: bool) -> ApiError {
        self.public = public;
        if public && self.declined {
            let shown = public_decline(self.code.as_deref().unwrap_or_default());
            if let Some((code, message)) = shown {
                (self.code, self.message) = (Some(code.to_owned()), message.to_owned());
            }
            (self.decline_code, self.param) = (None, None);
        }
        self
    }

    fn by_issuer(mut self) -> ApiError {
        self.declined = true;
        self
    }

    pub fn payment(mut self, payment: Box<PaymentView>) -> ApiError {
        self.payment = Some(payment);
        self
    }

    /// The envelope as JSON.
    pub fn body(&self, urls: &Urls, request: &str) -> Value {
        let mut error = Map::new();
        error.insert("type".to_owned(), json!(self.kind));
        if let Some(code) = &self.code {
            error.insert("code".to_owned(), json!(code));
            error.insert("doc_url".to_owned(), json!(format!("{}/docs/errors#{code}", urls.api)));
        }
        if let Some(decline_code) = self.decline_code.as_ref().filter(|_| !self.public) {
            error.insert("decline_code".to_owned(), json!(decline_code));
        }
        error.insert("message".to_owned(), json!(self.message));
        if let Some(param) = &self.param {
            error.insert("param".to_owned(), json!(param));
        }
        if let Some(seconds) = self.retry_after {
            error.insert("retry_after".to_owned(), json!(seconds));
        }
        error.insert("request_id".to_owned(), json!(request));
        if let Some(payment) = self.payment.as_ref().filter(|_| self.public) {
            error.insert("payment_intent".to_owned(), crate::render::payment_intent_public(urls, payment));
        } else if let Some(payment) = &self.payment {
            let charge = payment.payment.last_error.as_ref().and_then(|e| e.attempt);
            if let Some(charge) = charge.filter(|_| self.status == StatusCode::PAYMENT_REQUIRED) {
                error.insert("charge".to_owned(), json!(charge.to_string()));
            }
            if let Some(method) = &payment.failed_method {
                error.insert("payment_method".to_owned(), crate::render::payment_method(method));
            }
            error.insert("payment_intent".to_owned(), crate::render::payment_intent(urls, payment));
        }
        json!({ "error": error })
    }
}

/// Code and message of a decline as a publishable key sees it; `None`: as they are. Authentication is the
/// payer's own to pass, and a bank debit is no card.
pub fn public_decline(code: &str) -> Option<(&'static str, &'static str)> {
    let told = matches!(
        code,
        "authentication_required"
            | "payment_intent_authentication_failure"
            | "payment_method_provider_decline"
    );
    (!told).then_some(("card_declined", "Your card was declined. Use another card or contact your bank."))
}

/// The answer to a publishable key whose card may not be tried now: the same whichever bound was met.
pub fn held() -> ApiError {
    let message = "Too many cards were tried. Wait some minutes, or pay in another way.";
    let mut error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", message)
        .code("card_testing_suspected");
    error.retry_after = Some(web::card_testing::RETRY_AFTER_S);
    error
}

/// A decline: 402, with what the card network said.
pub fn card_error(decline: &Decline, param: Option<&str>) -> ApiError {
    let mut error = ApiError::new(StatusCode::PAYMENT_REQUIRED, "card_error", decline.message.clone());
    error.code = Some(decline.code.clone());
    error.decline_code.clone_from(&decline.decline_code);
    error.param = param.map(str::to_owned);
    error
}

/// The answer to a confirm that was declined.
pub fn declined(view: &PaymentView) -> ApiError {
    let error = match &view.payment.last_error {
        Some(failed) => card_error(&failed.decline, None).by_issuer(),
        None => ApiError::new(StatusCode::PAYMENT_REQUIRED, "card_error", "The payment was declined."),
    };
    error.payment(Box::new(view.clone()))
}

/// The answer to a capture, cancel or increment that the provider refused.
pub fn provider_refused(view: &PaymentView, reason: &str) -> ApiError {
    let message = format!(
        "The payment provider refused this change: {reason}. The PaymentIntent's status is {}.",
        view.payment.status
    );
    ApiError::invalid("provider_refused", message).payment(Box::new(view.clone()))
}

impl From<ParamError> for ApiError {
    fn from(e: ParamError) -> Self {
        let mut error = ApiError::invalid(e.code, e.message);
        error.param = e.param;
        error
    }
}

impl From<Error> for ApiError {
    fn from(e: Error) -> Self {
        match e {
            Error::NotFound { kind, id } => ApiError::not_found(kind, &id),
            Error::Missing { param, kind, id } => {
                let shown = echo(&id);
                let what = if shown.is_empty() { String::new() } else { format!(": '{shown}'") };
                ApiError::invalid("resource_missing", format!("No such {kind}{what}. Check the value of {param}."))
                    .param(&param)
                    .missing(&id)
            }
            Error::Invalid { param, code, message } => {
                let mut error = ApiError::invalid(code, message);
                error.param = param;
                error
            }
            Error::Payment { refusal, payment } => {
                let mut error = refused(&refusal);
                error.payment = payment;
                error
            }
            Error::Refund { refusal, payment } => refund_refused(refusal, &payment),
            Error::Payout { refusal, .. } => payout_refused(refusal),
            Error::Card { decline, param } => card_error(&decline, param).by_issuer(),
            Error::NotYet { param, what } => ApiError::invalid(
                "test_method_not_supported",
                format!("This test method needs {what}, which this gateway does not offer yet. Use another one."),
            )
            .param(&param),
            Error::IdempotencyMismatch { key } => {
                let message = format!(
                    "Keys for idempotent requests can only be used with the same parameters they were first used \
                     with. Use another key than '{}' for this request.",
                    echo(key.trim())
                );
                ApiError::new(StatusCode::BAD_REQUEST, "idempotency_error", message).code("idempotency_key_reused")
            }
            Error::IdempotencyInUse { key } => {
                let message = format!(
                    "The first request with the idempotency key '{}' has not ended yet. Repeat this request in a moment.",
                    echo(key.trim())
                );
                let mut error = ApiError::new(StatusCode::CONFLICT, "idempotency_error", message)
                    .code("idempotency_key_in_use");
                error.retry_after = Some(1);
                error
            }
            Error::Offboarding { closed: true, .. } => {
                let message = "This account is closed for good: it can be read, and not changed.";
                ApiError::new(StatusCode::FORBIDDEN, "permission_error", message).code("account_closed")
            }
            Error::Offboarding { ends_at, .. } => {
                let message = format!(
                    "This account is being closed (on {}). It can be read and wound up; nothing new can be made. The operator can take that back.",
                    Date::of_instant(ends_at)
                );
                ApiError::new(StatusCode::FORBIDDEN, "permission_error", message).code("account_offboarding")
            }
            Error::ProviderNotConfigured => ApiError::invalid(
                "provider_not_configured",
                "No payment provider is configured for this mode of the account. In test mode the sandbox is there \
                 by itself; in live mode the operator has to configure a provider.",
            ),
            Error::FeeNotConfigured { currency } => ApiError::invalid(
                "fee_not_configured",
                format!(
                    "The account's fee group has no rule for {currency}. The operator has to add one (paymentgate fees set)."
                ),
            )
            .param("currency"),
            Error::Clock(refusal) => clock_refused(refusal),
            Error::InUse { kind, message } => {
                ApiError::invalid("resource_in_use", format!("This {kind} cannot be deleted: {message}."))
            }
            Error::Forbidden { code, message } => {
                ApiError::new(StatusCode::FORBIDDEN, "permission_error", message).code(code)
            }
            Error::Conflict { code, message } => ApiError::invalid(code, message),
            Error::Limit { what, max } => ApiError::invalid(
                "limit_exceeded",
                format!("An account may have at most {max} {what} in each mode. Delete one first."),
            ),
            Error::NameTaken { param, name } => ApiError::invalid(
                "resource_already_exists",
                format!("There is another object named '{}'. Choose another {param}.", echo(&name)),
            )
            .param(&param),
            // People sign in elsewhere.
            Error::SignIn(refusal) => defect(&refusal),
            Error::GateCancel(_) => unexpected_state("This transaction cannot be canceled.".to_owned()),
            Error::ChallengeGone => ApiError::not_found("challenge", ""),
            Error::WebhookEndpointDisabled(endpoint) => ApiError::invalid(
                "webhook_endpoint_disabled",
                format!("The webhook endpoint {} is disabled. Enable it first (disabled=false).", endpoint.id),
            )
            .param("webhook_endpoint"),
            Error::Store(engine::StoreError::LockTimeout) => refused(&Refusal::Busy),
            Error::Store(e) if e.is_passing() => unavailable(&e),
            Error::Store(e) => defect(&e),
            Error::Internal(what) => defect(&what),
        }
    }
}

/// The answer to a request that its handler did not answer.
pub fn apology(unanswered: &Unanswered<'_>) -> Response {
    let Unanswered { status, request_id, .. } = *unanswered;
    let (code, message) = if status == StatusCode::SERVICE_UNAVAILABLE {
        let late = "The request took too long. Whether it took effect is not known: repeat it with the same \
                    Idempotency-Key, and it takes effect once.";
        (Some("timeout"), late)
    } else {
        (None, DEFECT)
    };
    let mut error = json!({ "type": "api_error", "message": message, "request_id": request_id });
    if let Some(code) = code {
        error["code"] = json!(code);
    }
    let body = json!({ "error": error }).to_string();
    let mut answer = (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

fn defect(what: &impl std::fmt::Display) -> ApiError {
    tracing::error!(%what, "a defect was met");
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "api_error", DEFECT)
}

/// 503 for a database that is away; never its words.
fn unavailable(e: &impl std::fmt::Display) -> ApiError {
    tracing::error!(error = %e, "the database failed a request");
    let mut error = ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "api_error",
        "The gateway's database cannot be reached at the moment. Repeat the request. If it changes something, whether \
         it took effect is not known: repeat it with the same Idempotency-Key, and it takes effect once.",
    );
    error.retry_after = Some(1);
    error
}

fn unexpected_state(message: String) -> ApiError {
    ApiError::invalid("payment_intent_unexpected_state", message)
}

fn refused(refusal: &Refusal) -> ApiError {
    match refusal {
        Refusal::Busy => {
            let message = "This PaymentIntent is being changed by another request. Repeat this one in a moment.";
            let mut error = ApiError::new(StatusCode::CONFLICT, INVALID, message).code("lock_timeout");
            error.retry_after = Some(1);
            error
        }
        Refusal::UnexpectedState { command, status, allowed } => {
            let allowed: Vec<&str> = allowed.iter().map(|s| s.as_str()).collect();
            unexpected_state(format!(
                "This PaymentIntent cannot be used for {command}: its status is {status}. Only a PaymentIntent with \
                 one of these statuses can: {}.",
                allowed.join(", ")
            ))
        }
        Refusal::MethodMissing => unexpected_state(
            "This PaymentIntent has no payment method. Pass payment_method, for example pm_card_visa in test mode."
                .to_owned(),
        ).param("payment_method"),
        Refusal::MethodKindNotAllowed { kind } => ApiError::invalid(
            "payment_intent_incompatible_payment_method",
            format!("The payment method is of type {kind}, which is not among this PaymentIntent's payment_method_types."),
        )
        .param("payment_method"),
        Refusal::MethodOfOtherCustomer { payment_has_customer } => ApiError::invalid(
            "payment_method_customer_mismatch",
            if *payment_has_customer {
                "The payment method belongs to another customer than the PaymentIntent."
            } else {
                "The payment method belongs to a customer. Pass that customer on the PaymentIntent."
            },
        )
        .param("payment_method"),
        Refusal::MethodUsedUp => ApiError::invalid(
            "payment_method_unexpected_state",
            "This payment method was used without a customer or was detached, so it cannot be used again. Create a \
             new one, or attach methods to a customer before reusing them.",
        )
        .param("payment_method"),
        Refusal::TooManyAttempts => ApiError::invalid(
            "payment_intent_payment_attempt_limit",
            "This PaymentIntent was tried too often. Create a new one.",
        ),
        Refusal::CaptureTooLarge { asked, capturable } => ApiError::invalid(
            "amount_too_large",
            format!("amount_to_capture is {asked}, but only {capturable} can be captured."),
        )
        .param("amount_to_capture"),
        Refusal::IncrementTooSmall { asked, authorised } => ApiError::invalid(
            "amount_too_small",
            format!("amount is {asked}; it must be more than the {authorised} authorised so far."),
        )
        .param("amount"),
        Refusal::IncrementNotSupported => ApiError::invalid(
            "increment_not_supported",
            "Only card authorisations can be raised.",
        ),
        Refusal::ManualCaptureNotSupported { kind } => ApiError::invalid(
            "capture_method_not_supported",
            format!("A payment by {kind} cannot be captured manually. Use capture_method=automatic."),
        )
        .param("capture_method"),
        Refusal::CurrencyNotSupported { kind, currency } => ApiError::invalid(
            "payment_method_currency_mismatch",
            format!("A payment by {kind} cannot be in {currency}."),
        )
        .param("currency"),
    }
}

fn refund_refused(refusal: RefundRefusal, view: &PaymentView) -> ApiError {
    let id = view.payment.id;
    match refusal {
        RefundRefusal::NotCaptured { status } => ApiError::invalid(
            "charge_not_refundable",
            format!("{id} has status {status}: nothing was captured that could be refunded. {}", match status {
                PaymentStatus::Processing => "Wait for its result.",
                PaymentStatus::Succeeded => "Name its successful charge, or the PaymentIntent.",
                PaymentStatus::Canceled => "It was canceled.",
                _ => "Cancel it instead.",
            }),
        )
        .param("payment_intent"),
        RefundRefusal::Busy => refused(&Refusal::Busy),
        RefundRefusal::AlreadyRefunded => {
            ApiError::invalid("charge_already_refunded", format!("{id} has already been refunded in full."))
        }
        RefundRefusal::TooLarge { asked, left } => {
            let mut error = ApiError::invalid(
                "",
                format!("Refund amount ({asked}) is greater than the amount that is left to refund ({left})."),
            )
            .param("amount");
            // Clients tell this case by its parameter; a code is not given for it in the field.
            error.code = None;
            error
        }
        RefundRefusal::BalanceInsufficient { short } => ApiError::invalid(
            "balance_insufficient",
            format!(
                "The account's available balance is {short} short of this refund. Wait until pending funds are available."
            ),
        )
        .param("amount"),
        RefundRefusal::TooMany => ApiError::invalid("limit_exceeded", format!("{id} has too many refunds.")),
    }
}

fn payout_refused(refusal: PayoutRefusal) -> ApiError {
    match refusal {
        PayoutRefusal::AmountOutOfRange { .. } => ApiError::invalid(
            "parameter_invalid",
            "amount must be an integer from 1 to 999999999999 in the currency's minor unit (cents for eur).",
        )
        .param("amount"),
        PayoutRefusal::BalanceInsufficient { short } => ApiError::invalid(
            "balance_insufficient",
            format!(
                "The account's available balance is {short} short of this payout and its fee. Pay out less, or wait \
                 until pending funds are available."
            ),
        )
        .param("amount"),
        PayoutRefusal::Busy => {
            let message = "This payout waits for an answer of the payment provider. Repeat the request in a moment.";
            let mut error = ApiError::new(StatusCode::CONFLICT, INVALID, message).code("lock_timeout");
            error.retry_after = Some(1);
            error
        }
        PayoutRefusal::NotPending { status } => not_cancelable(status),
    }
}

/// The answer to a cancellation that came too late for the provider.
pub fn payout_not_canceled(payout: &Payout) -> ApiError {
    not_cancelable(payout.status)
}

fn not_cancelable(status: PayoutStatus) -> ApiError {
    let why = match status {
        PayoutStatus::Pending => "The payment provider would not cancel it.".to_owned(),
        other => format!("Its status is {other}; only a pending payout can be canceled."),
    };
    ApiError::invalid("payout_unexpected_state", format!("This payout cannot be canceled. {why}"))
}

fn clock_refused(refusal: AdvanceRefusal) -> ApiError {
    match refusal {
        AdvanceRefusal::StillAdvancing => ApiError::invalid(
            "test_clock_advancing",
            "The test clock is advancing. Retrieve it until its status is ready.",
        ),
        AdvanceRefusal::NotForwards => ApiError::invalid(
            "parameter_invalid",
            "A test clock only moves forwards: frozen_time must be later than it is.",
        )
        .param("frozen_time"),
        AdvanceRefusal::TooFar => ApiError::invalid(
            "parameter_invalid",
            "A test clock moves at most two years at once. Advance it in steps.",
        )
        .param("frozen_time"),
    }
}
