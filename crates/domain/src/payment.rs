//! What is owed, and the state machine that every surface drives.
//!
//! Each command has a `begin_*` function that decides before the provider is called, and an
//! `apply_*` function that takes the provider's answer. Both are pure; the engine runs them under the
//! payment's row lock. Guards stand in a fixed order and each refusal has a name.

use crate::Metadata;
use crate::attempt::{Attempt, AttemptStatus};
use crate::currency::Currency;
use crate::customer::Shipping;
use crate::event::EventType;
use crate::id::{AttemptId, ClockId, CustomerId, PaymentId, PaymentMethodId, ProviderId, StorefrontId};
use crate::limits;
use crate::outcome::{AuthoriseOutcome, ChangeOutcome, Decline};
use crate::payment_method::{MethodKind, PaymentMethod};
use crate::scope::Scope;
use crate::text_enum;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

text_enum! {
    pub enum PaymentStatus {
        RequiresPaymentMethod = "requires_payment_method",
        RequiresConfirmation = "requires_confirmation",
        RequiresAction = "requires_action",
        Processing = "processing",
        RequiresCapture = "requires_capture",
        Succeeded = "succeeded",
        Canceled = "canceled",
    }
}

text_enum! {
    pub enum CaptureMethod { Automatic = "automatic", AutomaticAsync = "automatic_async", Manual = "manual" }
}

text_enum! {
    pub enum CancellationReason {
        Duplicate = "duplicate",
        Fraudulent = "fraudulent",
        RequestedByCustomer = "requested_by_customer",
        Abandoned = "abandoned",
        /// Every try that the payer had was declined.
        FailedInvoice = "failed_invoice",
        /// Ours: an authorisation lapsed.
        Automatic = "automatic",
        /// Ours: the time to pay ran out.
        Expired = "expired",
    }
}

text_enum! {
    pub enum SetupFutureUsage { OnSession = "on_session", OffSession = "off_session" }
}

text_enum! {
    /// A call that is at the provider, or whose answer was lost.
    pub enum OperationKind { Authorise = "authorise", Capture = "capture", Void = "void", Increment = "increment" }
}

/// The provider call in flight. While it is set no other money command may start, so two captures
/// can never both be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    pub kind: OperationKind,
    /// Minor units to capture, or the new total of an increment.
    pub amount: i64,
    pub fee: i64,
}

/// Why the last attempt did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentError {
    pub decline: Decline,
    /// The attempt, where it was listed.
    pub attempt: Option<AttemptId>,
    pub payment_method: Option<PaymentMethodId>,
}

/// Where the payer must go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextAction {
    /// Code of the challenge page: a capability, 128 random bits or more.
    pub code: String,
    pub return_url: Option<String>,
}

/// The descriptive part of a payment: nothing here decides about money.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PaymentDetails {
    pub description: Option<String>,
    pub receipt_email: Option<String>,
    pub statement_descriptor: Option<String>,
    pub statement_descriptor_suffix: Option<String>,
    pub shipping: Option<Shipping>,
    pub setup_future_usage: Option<SetupFutureUsage>,
    /// Of the latest confirm: the payer is not there.
    pub off_session: bool,
    /// Of the latest confirm: a challenge counts as a decline.
    pub decline_on_challenge: bool,
    pub payment_method_types: Vec<MethodKind>,
    /// Where the payer returns to after a challenge.
    pub return_url: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Payment {
    pub id: PaymentId,
    pub scope: Scope,
    pub storefront: StorefrontId,
    /// Set by the first confirm.
    pub provider: Option<ProviderId>,
    /// What is owed, in minor units, without the surcharge.
    pub amount: i64,
    /// Added for the payer on top; zero on REST v2.
    pub surcharge: i64,
    pub currency: Currency,
    pub status: PaymentStatus,
    pub operation: Option<Operation>,
    pub capture_method: CaptureMethod,
    pub payment_method: Option<PaymentMethodId>,
    pub customer: Option<CustomerId>,
    /// `pi_…_secret_…`: a capability for this payment alone.
    pub client_secret: String,
    pub amount_capturable: i64,
    pub amount_received: i64,
    /// Claimed by refunds that are pending or succeeded.
    pub amount_refunded: i64,
    /// What of this payment is still pending in the ledger.
    pub pending_balance: i64,
    /// Fee kept on it so far.
    pub fee: i64,
    /// How much of the kept fee refunds have drawn the available balance below zero by.
    pub refund_shortfall: i64,
    /// When the pending part settles.
    pub available_on: Option<Timestamp>,
    /// When an uncaptured authorisation lapses.
    pub capture_before: Option<Timestamp>,
    pub last_error: Option<PaymentError>,
    pub latest_attempt: Option<AttemptId>,
    /// The latest attempt that is listed as a charge.
    pub latest_charge: Option<AttemptId>,
    pub attempts: i64,
    pub next_action: Option<NextAction>,
    pub details: PaymentDetails,
    /// It has a page on which the payer pays; see [`crate::checkout`].
    #[serde(default)]
    pub checkout: bool,
    pub metadata: Metadata,
    pub canceled_at: Option<Timestamp>,
    pub cancellation_reason: Option<CancellationReason>,
    pub clock: Option<ClockId>,
    pub created_at: Timestamp,
}

impl Payment {
    /// What the payer pays: amount and surcharge.
    pub fn total(&self) -> i64 {
        self.amount.saturating_add(self.surcharge)
    }

    /// Whether the provider or the payer may still change how it ends. Money that is reserved waits for the merchant.
    pub fn is_open(&self) -> bool {
        self.busy() || CONFIRMABLE.contains(&self.status) || self.status == PaymentStatus::Processing
    }

    /// Whether a provider call is under way. One whose answer was lost has status `processing` and
    /// is a state, not a lock, unless it is the authorisation itself.
    pub fn busy(&self) -> bool {
        self.operation
            .is_some_and(|op| self.status != PaymentStatus::Processing || op.kind == OperationKind::Authorise)
    }
}

/// Why a command is refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another command on this payment is at the provider now; try again.
    Busy,
    /// The payment's state does not allow the command.
    UnexpectedState {
        command: &'static str,
        status: PaymentStatus,
        allowed: &'static [PaymentStatus],
    },
    MethodMissing,
    MethodKindNotAllowed {
        kind: MethodKind,
    },
    /// The method belongs to a customer who is not the payment's.
    MethodOfOtherCustomer {
        payment_has_customer: bool,
    },
    MethodUsedUp,
    TooManyAttempts,
    CaptureTooLarge {
        asked: i64,
        capturable: i64,
    },
    IncrementTooSmall {
        asked: i64,
        authorised: i64,
    },
    IncrementNotSupported,
    ManualCaptureNotSupported {
        kind: MethodKind,
    },
    CurrencyNotSupported {
        kind: MethodKind,
        currency: Currency,
    },
}

/// States in which a payment may be confirmed.
pub const CONFIRMABLE: &[PaymentStatus] = &[
    PaymentStatus::RequiresPaymentMethod,
    PaymentStatus::RequiresConfirmation,
    PaymentStatus::RequiresAction,
];
/// How long to wait before an expiry that the provider refused is tried again.
const EXPIRY_RETRY_US: i64 = crate::time::HOUR;
const CAPTURABLE: &[PaymentStatus] = &[PaymentStatus::RequiresCapture];
const CANCELABLE: &[PaymentStatus] = &[
    PaymentStatus::RequiresPaymentMethod,
    PaymentStatus::RequiresConfirmation,
    PaymentStatus::RequiresAction,
    PaymentStatus::RequiresCapture,
];
/// States in which what the payer owes may still be changed. A change while the payer authenticates
/// ends the challenge, see [`end_challenge`].
pub const EDITABLE: &[PaymentStatus] = CONFIRMABLE;

pub(crate) fn expect_state(
    p: &Payment,
    command: &'static str,
    allowed: &'static [PaymentStatus],
) -> Result<(), Refusal> {
    if p.busy() {
        return Err(Refusal::Busy);
    }
    if !allowed.contains(&p.status) {
        return Err(Refusal::UnexpectedState { command, status: p.status, allowed });
    }
    Ok(())
}

/// Whether `method` may pay `p`. Guards: kind, currency, capture method, customer, used up.
pub fn method_fits(p: &Payment, method: &PaymentMethod) -> Result<(), Refusal> {
    let kind = method.facts.kind();
    if !p.details.payment_method_types.contains(&kind) {
        return Err(Refusal::MethodKindNotAllowed { kind });
    }
    if kind == MethodKind::SepaDebit {
        if p.currency.code() != "EUR" {
            return Err(Refusal::CurrencyNotSupported { kind, currency: p.currency });
        }
        if p.capture_method == CaptureMethod::Manual {
            return Err(Refusal::ManualCaptureNotSupported { kind });
        }
    }
    if method.customer.is_some() && method.customer != p.customer {
        return Err(Refusal::MethodOfOtherCustomer { payment_has_customer: p.customer.is_some() });
    }
    if method.used_up {
        return Err(Refusal::MethodUsedUp);
    }
    Ok(())
}

/// Decides a confirm with `method` and marks the call in flight. The caller inserts the attempt.
pub fn begin_confirm(
    p: &mut Payment,
    method: &PaymentMethod,
    attempt: AttemptId,
    fee: i64,
) -> Result<(), Refusal> {
    expect_state(p, "confirm", CONFIRMABLE)?;
    method_fits(p, method)?;
    if p.attempts >= limits::ATTEMPTS_PER_PAYMENT {
        return Err(Refusal::TooManyAttempts);
    }
    p.attempts += 1;
    p.payment_method = Some(method.id);
    p.latest_attempt = Some(attempt);
    p.next_action = None;
    p.status = PaymentStatus::Processing;
    p.operation = Some(Operation { kind: OperationKind::Authorise, amount: p.total(), fee });
    Ok(())
}

/// The payer came back from a challenge: the authorisation goes on.
pub fn begin_authenticated(p: &mut Payment, attempt: &Attempt) -> Result<(), Refusal> {
    const ACTION: &[PaymentStatus] = &[PaymentStatus::RequiresAction];
    expect_state(p, "authenticate", ACTION)?;
    if p.latest_attempt != Some(attempt.id) {
        return Err(Refusal::UnexpectedState { command: "authenticate", status: p.status, allowed: ACTION });
    }
    p.next_action = None;
    p.status = PaymentStatus::Processing;
    p.operation =
        Some(Operation { kind: OperationKind::Authorise, amount: attempt.amount, fee: attempt.fee });
    Ok(())
}

/// Ends the wait for the payer, because what is owed or how it is paid changes: the payer would agree to
/// something else than would be taken. The payment must be confirmed again. The attempt to give up.
pub fn end_challenge(p: &mut Payment) -> Option<AttemptId> {
    if p.status != PaymentStatus::RequiresAction {
        return None;
    }
    p.status = PaymentStatus::RequiresConfirmation;
    p.next_action = None;
    p.latest_attempt
}

/// How much a capture will take. Guards: busy, state, not more than authorised.
pub fn capture_amount(p: &Payment, asked: Option<i64>) -> Result<i64, Refusal> {
    expect_state(p, "capture", CAPTURABLE)?;
    let amount = asked.unwrap_or(p.amount_capturable);
    if amount > p.amount_capturable {
        return Err(Refusal::CaptureTooLarge { asked: amount, capturable: p.amount_capturable });
    }
    Ok(amount)
}

/// Marks a capture of `amount` in flight.
pub fn begin_capture(p: &mut Payment, amount: i64, fee: i64) {
    p.operation = Some(Operation { kind: OperationKind::Capture, amount, fee });
}

/// Decides an increase of the authorised amount to `total` and marks it in flight.
pub fn begin_increment(p: &mut Payment, attempt: &Attempt, total: i64) -> Result<(), Refusal> {
    expect_state(p, "increment_authorization", CAPTURABLE)?;
    if attempt.method.kind() != MethodKind::Card {
        return Err(Refusal::IncrementNotSupported);
    }
    if total <= p.amount {
        return Err(Refusal::IncrementTooSmall { asked: total, authorised: p.amount });
    }
    p.operation = Some(Operation { kind: OperationKind::Increment, amount: total, fee: 0 });
    Ok(())
}

/// What a cancel has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelStep {
    /// No money is reserved: done at once.
    Now,
    /// An authorisation must be voided at the provider first.
    Void,
}

/// Decides a cancel; for [`CancelStep::Void`] marks the call in flight.
pub fn begin_cancel(
    p: &mut Payment,
    reason: Option<CancellationReason>,
    now: Timestamp,
) -> Result<CancelStep, Refusal> {
    expect_state(p, "cancel", CANCELABLE)?;
    p.cancellation_reason = reason;
    if p.status == PaymentStatus::RequiresCapture {
        p.operation = Some(Operation { kind: OperationKind::Void, amount: p.amount_capturable, fee: 0 });
        return Ok(CancelStep::Void);
    }
    end_canceled(p, now);
    Ok(CancelStep::Now)
}

/// Ends a payment for which no money is reserved, because of what happened on its page: its time ran out,
/// the payer gave up, or has no try left. Nothing that is at a provider is ended so.
pub fn close(p: &mut Payment, reason: CancellationReason, now: Timestamp) -> Result<(), Refusal> {
    expect_state(p, "cancel", CONFIRMABLE)?;
    p.cancellation_reason = Some(reason);
    end_canceled(p, now);
    Ok(())
}

pub(crate) fn end_canceled(p: &mut Payment, now: Timestamp) {
    p.status = PaymentStatus::Canceled;
    p.operation = None;
    p.next_action = None;
    p.amount_capturable = 0;
    p.capture_before = None;
    p.canceled_at = Some(now);
}

/// What the ledger must record for a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posting {
    /// Reserve `amount` (memo accounts only).
    Authorise { amount: i64 },
    /// Release the reservation of `amount` without taking it.
    Release { amount: i64 },
    /// Take `captured` at once, no reservation before.
    Sale { captured: i64, fee: i64, at_once: bool },
    /// Take `captured` of a reservation of `held`; the rest is released.
    Capture { held: i64, captured: i64, fee: i64 },
}

/// What a provider's answer changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    pub posting: Option<Posting>,
    pub events: Vec<EventType>,
    /// The single-use method paid and may not pay again.
    pub method_spent: bool,
    /// The answer is still open: keep asking (at this instant where the provider said so).
    pub ask_again: Option<Timestamp>,
    /// False when the answer was a duplicate and nothing changed.
    pub changed: bool,
}

impl Applied {
    fn with(posting: Option<Posting>, events: &[EventType]) -> Applied {
        Applied { posting, events: events.to_vec(), method_spent: false, ask_again: None, changed: true }
    }

    fn nothing() -> Applied {
        Applied { changed: false, ..Applied::with(None, &[]) }
    }
}

/// Applies the answer to an authorisation. The one way in for such answers, whoever brings them: the
/// request, the payer's challenge, a provider's notice or the reconcile job. An attempt that already
/// ended, or is no longer the payment's latest, is left alone, so duplicates and late answers are
/// harmless.
pub fn apply_authorise(
    p: &mut Payment,
    a: &mut Attempt,
    outcome: &AuthoriseOutcome,
    now: Timestamp,
) -> Applied {
    if !a.status.is_open() || p.latest_attempt != Some(a.id) {
        return Applied::nothing();
    }
    // An approval is taken while the payer seems still to be asked, too: the provider knows better.
    let approved = matches!(outcome, AuthoriseOutcome::Approved(_));
    let expected =
        p.status == PaymentStatus::Processing || (approved && p.status == PaymentStatus::RequiresAction);
    if !expected {
        return Applied::nothing();
    }
    match outcome {
        AuthoriseOutcome::Approved(approval) => {
            a.risk = approval.risk;
            a.authenticated = approval.authenticated.clone();
            list(p, a);
            p.operation = None;
            p.next_action = None;
            p.last_error = None;
            let mut applied = if approval.captured {
                a.status = AttemptStatus::Captured;
                a.amount_captured = a.amount;
                p.status = PaymentStatus::Succeeded;
                p.amount_received = a.amount;
                p.fee = a.fee;
                let posting =
                    Posting::Sale { captured: a.amount, fee: a.fee, at_once: approval.available_at_once };
                Applied::with(Some(posting), &[EventType::ChargeSucceeded, EventType::PaymentIntentSucceeded])
            } else {
                a.status = AttemptStatus::Authorised;
                p.status = PaymentStatus::RequiresCapture;
                p.amount_capturable = a.amount;
                p.capture_before = Some(now.plus(limits::CARD_HOLD_US));
                Applied::with(
                    Some(Posting::Authorise { amount: a.amount }),
                    &[EventType::ChargeSucceeded, EventType::PaymentIntentAmountCapturableUpdated],
                )
            };
            applied.method_spent = true;
            applied
        }
        AuthoriseOutcome::Declined(decline) => fail(p, a, decline.clone()),
        AuthoriseOutcome::NotFound => fail(p, a, never_received()),
        AuthoriseOutcome::Challenge => {
            a.status = AttemptStatus::RequiresAction;
            p.status = PaymentStatus::RequiresAction;
            p.operation = None;
            Applied::with(None, &[EventType::PaymentIntentRequiresAction])
        }
        AuthoriseOutcome::Pending { check_at } => {
            let first = a.status != AttemptStatus::Processing;
            a.status = AttemptStatus::Processing;
            p.operation = None;
            list(p, a);
            let events: &[EventType] =
                if first { &[EventType::ChargePending, EventType::PaymentIntentProcessing] } else { &[] };
            Applied { ask_again: Some(*check_at), ..Applied::with(None, events) }
        }
        AuthoriseOutcome::Unknown => {
            let first = p.operation.take().is_some();
            let events: &[EventType] = if first { &[EventType::PaymentIntentProcessing] } else { &[] };
            Applied { ask_again: Some(now), changed: first, ..Applied::with(None, events) }
        }
    }
}

fn list(p: &mut Payment, a: &mut Attempt) {
    a.listed = true;
    p.latest_charge = Some(a.id);
}

fn fail(p: &mut Payment, a: &mut Attempt, decline: Decline) -> Applied {
    a.status = AttemptStatus::Failed;
    a.decline = Some(decline.clone());
    let mut events = Vec::with_capacity(2);
    if decline.reached_issuer {
        list(p, a);
        events.push(EventType::ChargeFailed);
    }
    events.push(EventType::PaymentIntentPaymentFailed);
    p.status = PaymentStatus::RequiresPaymentMethod;
    p.operation = None;
    p.payment_method = None;
    p.last_error = Some(PaymentError {
        attempt: decline.reached_issuer.then_some(a.id),
        payment_method: Some(a.payment_method),
        decline,
    });
    Applied::with(None, &events)
}

/// The failure recorded when the provider says for certain that it never saw the attempt.
fn never_received() -> Decline {
    Decline {
        code: "processing_error".to_owned(),
        decline_code: Some("processing_error".to_owned()),
        message: "The payment did not reach the card network and nothing was charged. Confirm it again."
            .to_owned(),
        reached_issuer: false,
        blocked: false,
    }
}

/// Applies the answer to the capture, void or increment in flight. As with
/// [`apply_authorise`], an answer that no longer fits changes nothing.
pub fn apply_change(
    p: &mut Payment,
    a: &mut Attempt,
    kind: OperationKind,
    outcome: &ChangeOutcome,
    now: Timestamp,
) -> Applied {
    let Some(operation) = p.operation.filter(|op| op.kind == kind && a.status == AttemptStatus::Authorised)
    else {
        return Applied::nothing();
    };
    match outcome {
        ChangeOutcome::Done => match kind {
            OperationKind::Capture => captured(p, a, operation),
            OperationKind::Void => voided(p, a, now),
            OperationKind::Increment => incremented(p, a, operation),
            OperationKind::Authorise => Applied::nothing(),
        },
        // Certain that nothing happened: the authorisation stands as before.
        ChangeOutcome::Refused { .. } | ChangeOutcome::NotFound => {
            let told: &[EventType] = match p.status {
                PaymentStatus::Processing => &[EventType::PaymentIntentAmountCapturableUpdated],
                _ => &[],
            };
            p.operation = None;
            p.status = PaymentStatus::RequiresCapture;
            if p.cancellation_reason.take() == Some(CancellationReason::Automatic) {
                p.capture_before = Some(now.plus(EXPIRY_RETRY_US));
            }
            Applied::with(None, told)
        }
        ChangeOutcome::Pending { check_at } => unknown_change(p, *check_at),
        ChangeOutcome::Unknown => unknown_change(p, now),
    }
}

fn unknown_change(p: &mut Payment, ask_at: Timestamp) -> Applied {
    let first = p.status != PaymentStatus::Processing;
    p.status = PaymentStatus::Processing;
    let events: &[EventType] = if first { &[EventType::PaymentIntentProcessing] } else { &[] };
    Applied { ask_again: Some(ask_at), changed: first, ..Applied::with(None, events) }
}

fn captured(p: &mut Payment, a: &mut Attempt, op: Operation) -> Applied {
    let held = p.amount_capturable;
    a.status = AttemptStatus::Captured;
    a.amount_captured = op.amount;
    p.status = PaymentStatus::Succeeded;
    p.operation = None;
    p.amount_capturable = 0;
    p.amount_received = op.amount;
    p.capture_before = None;
    p.fee = op.fee;
    Applied::with(
        Some(Posting::Capture { held, captured: op.amount, fee: op.fee }),
        &[EventType::ChargeCaptured, EventType::PaymentIntentSucceeded],
    )
}

fn voided(p: &mut Payment, a: &mut Attempt, now: Timestamp) -> Applied {
    let held = p.amount_capturable;
    let expired = p.cancellation_reason == Some(CancellationReason::Automatic);
    a.status = if expired { AttemptStatus::Expired } else { AttemptStatus::Canceled };
    end_canceled(p, now);
    let events: &[EventType] = if expired {
        &[EventType::ChargeExpired, EventType::PaymentIntentCanceled]
    } else {
        &[EventType::ChargeUpdated, EventType::PaymentIntentCanceled]
    };
    Applied::with(Some(Posting::Release { amount: held }), events)
}

fn incremented(p: &mut Payment, a: &mut Attempt, op: Operation) -> Applied {
    let more = op.amount - p.amount;
    p.amount = op.amount;
    a.amount = p.total();
    p.amount_capturable = p.total();
    p.operation = None;
    p.status = PaymentStatus::RequiresCapture;
    Applied::with(
        Some(Posting::Authorise { amount: more }),
        &[EventType::ChargeUpdated, EventType::PaymentIntentAmountCapturableUpdated],
    )
}

#[cfg(test)]
mod tests;
