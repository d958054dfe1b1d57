//! The engine's refusals in Gate's envelope. One `match` without a catch-all: a new refusal of the engine has
//! to be given a code here before this compiles.

use crate::envelope::FEE_FAILED;
use crate::render::amount_text;
use crate::requests::Errors;
use domain::date::Date;
use domain::payment::Refusal;
use domain::payout::PayoutRefusal;
use domain::refund::{RefundRefusal, refundable};
use engine::Error;

/// A refusal on its way out.
pub struct GateError {
    /// Of `meta`: an HTTP status, or the code of an operation.
    pub code: u16,
    pub message: String,
    pub errors: Errors,
    /// Seconds.
    pub retry_after: Option<u32>,
}

impl GateError {
    /// A refusal that no field is to blame for.
    pub fn new(code: u16, message: impl Into<String>) -> GateError {
        GateError { code, message: message.into(), errors: Errors::default(), retry_after: None }
    }

    /// Fields that are wrong; the message names the first.
    pub fn fields(errors: Errors) -> GateError {
        GateError { errors: errors.clone(), ..GateError::new(422, errors.summary()) }
    }

    /// One field that is wrong, with a whole sentence that names it.
    pub fn field(code: u16, field: &str, message: impl Into<String>) -> GateError {
        GateError { code, ..GateError::fields(Errors::of(field, message)) }
    }

    pub fn defect() -> GateError {
        GateError::new(500, "Something went wrong on our side. Send the same request again later.")
    }

    fn busy() -> GateError {
        let message = "The transaction is being changed by another request. Send this one again in a moment.";
        GateError { retry_after: Some(1), ..GateError::new(409, message) }
    }
}

impl From<Error> for GateError {
    fn from(e: Error) -> Self {
        match e {
            Error::NotFound { kind, .. } => GateError::new(404, format!("There is no such {kind}.")),
            Error::Missing { param, kind, .. } => {
                GateError::field(422, &param, format!("{param} names no {kind} that there is."))
            }
            Error::Invalid { param: Some(param), message, .. } => {
                GateError::field(422, &param, format!("{param}: {message}"))
            }
            Error::Invalid { param: None, message, .. } => GateError::new(422, message),
            Error::NameTaken { param, name } => GateError::field(
                409,
                &param,
                format!("{param} {name} belongs to another transaction of this service. Give each its own."),
            ),
            Error::GateCancel(refusal) => cancel_refused(refusal),
            Error::Payment { refusal: Refusal::Busy, .. } => GateError::busy(),
            Error::Payment { refusal, .. } => {
                tracing::debug!(?refusal, "a payment refused a command");
                GateError::new(422, "The transaction's state does not allow this.")
            }
            Error::Refund { refusal, payment } => {
                refund_refused(refusal, refundable(&payment.payment), &payment.payment)
            }
            Error::Payout { refusal, .. } => payout_refused(refusal),
            Error::Offboarding { closed: true, .. } => {
                GateError::new(403, "The merchant is closed for good.")
            }
            Error::Offboarding { ends_at, .. } => GateError::new(
                403,
                format!(
                    "The merchant is being closed, on {}. Nothing new can be made.",
                    Date::of_instant(ends_at)
                ),
            ),
            Error::ProviderNotConfigured => GateError::new(
                422,
                "No payment system is connected to this service. The operator has to connect one.",
            ),
            Error::FeeNotConfigured { currency } => GateError::new(
                FEE_FAILED,
                format!("Fee calculator failed. The service's fee group has no rule for {currency}."),
            ),
            Error::Card { decline, .. } => GateError::new(422, decline.message),
            Error::NotYet { what, .. } => {
                GateError::new(422, format!("This needs {what}, which is not offered yet."))
            }
            Error::InUse { kind, message } => {
                GateError::new(409, format!("This {kind} cannot be deleted: {message}."))
            }
            Error::Forbidden { message, .. } => GateError::new(403, message),
            Error::Conflict { message, .. } => GateError::new(409, message),
            Error::Limit { what, max } => GateError::new(422, format!("There may be at most {max} {what}.")),
            Error::Store(engine::StoreError::LockTimeout) => GateError::busy(),
            Error::Store(e) if e.is_passing() => {
                tracing::error!(error = %e, "the database failed a request");
                let message =
                    "Nothing can be stored at the moment. Send the same request again: it takes effect once.";
                GateError { retry_after: Some(1), ..GateError::new(503, message) }
            }
            // These belong to requests that this surface does not have.
            Error::IdempotencyMismatch { .. }
            | Error::IdempotencyInUse { .. }
            | Error::Clock(_)
            | Error::SignIn(_)
            | Error::ChallengeGone
            | Error::WebhookEndpointDisabled(_)
            | Error::Store(_)
            | Error::Internal(_) => {
                tracing::error!(error = ?e, "a defect was met");
                GateError::defect()
            }
        }
    }
}

fn cancel_refused(refusal: domain::gate_transaction::CancelRefusal) -> GateError {
    use domain::gate_transaction::CancelRefusal as R;
    match refusal {
        R::NotRecurring => GateError::field(
            422,
            "meta.payment_id",
            "meta.payment_id names a transaction that is not recurring; only those can be cancelled.",
        ),
        R::Ended(status) => GateError::field(
            422,
            "meta.payment_id",
            format!("meta.payment_id names a transaction that has ended: its status is {status}."),
        ),
    }
}

fn payout_refused(refusal: PayoutRefusal) -> GateError {
    match refusal {
        PayoutRefusal::AmountOutOfRange { .. } => {
            GateError::field(422, "payment.price", "payment.price is outside what can be paid out.")
        }
        PayoutRefusal::BalanceInsufficient { .. } => {
            GateError::new(crate::envelope::NOT_ENOUGH_BALANCE, "Not enough balance to hold the amount.")
        }
        PayoutRefusal::Busy => GateError::busy(),
        PayoutRefusal::NotPending { status } => {
            GateError::new(422, format!("The payout cannot be changed any more: its status is {status}."))
        }
    }
}

fn refund_refused(refusal: RefundRefusal, left: i64, payment: &domain::payment::Payment) -> GateError {
    const UUID: &str = "meta.transaction_uuid";
    match refusal {
        RefundRefusal::NotCaptured { .. } => {
            GateError::field(422, UUID, "The transaction was not paid, so nothing can be refunded.")
        }
        RefundRefusal::Busy => GateError::busy(),
        RefundRefusal::AlreadyRefunded => GateError::field(
            422,
            UUID,
            "The transaction is refunded already, or refunds of all of it are under way.",
        ),
        RefundRefusal::TooLarge { .. } => GateError::field(
            422,
            "refund.price",
            format!(
                "refund.price must be at most {}: that is left to refund.",
                amount_text(left, payment.currency)
            ),
        ),
        RefundRefusal::BalanceInsufficient { .. } => {
            GateError::new(crate::envelope::NOT_ENOUGH_BALANCE, "Not enough balance to hold the amount.")
        }
        RefundRefusal::TooMany => GateError::field(422, UUID, "The transaction has too many refunds."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "Send the same request again" is told only where that can help.
    #[test]
    fn failures_of_the_database() {
        use engine::StoreError as S;
        let what = || "a detail of the inside".to_owned();
        for (failure, code) in [
            (S::Unavailable(what()), 503),
            (S::Disconnected(what()), 503),
            (S::Retry, 503),
            (S::LockTimeout, 409),
            (S::Conflict(what()), 500),
            (S::Defect(what()), 500),
        ] {
            let refused = GateError::from(Error::Store(failure.clone()));
            assert_eq!(refused.code, code, "{failure:?}");
            assert!(!refused.message.contains("inside"), "{}", refused.message);
        }
    }
}
