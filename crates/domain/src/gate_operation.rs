//! What Gate calls an operation: one try to take, give back or pay out money.

use crate::attempt::{Attempt, AttemptStatus};
use crate::id::Core;
use crate::outcome::Decline;
use crate::payout::{Payout, PayoutStatus};
use crate::refund::{Refund, RefundStatus};
use crate::text_enum;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

text_enum! {
    /// `refund` stands for partial ones too.
    pub enum OperationKind {
        Sale = "sale",
        Payout = "payout",
        Refund = "refund",
        Subscription = "subscription",
    }
}

text_enum! {
    pub enum OperationStatus {
        Init = "init",
        Created = "created",
        Processing = "processing",
        Success = "success",
        PartialSuccess = "partial_success",
        InternalError = "internal_error",
        ExternalError = "external_error",
    }
}

impl OperationStatus {
    /// Whether nothing more can come of it.
    pub const fn is_final(self) -> bool {
        !matches!(self, OperationStatus::Init | OperationStatus::Created | OperationStatus::Processing)
    }
}

/// One operation as stored. What changes of it is in [`OperationState`], but for what its first try fills in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GateOperation {
    /// Given by the store.
    pub number: i64,
    pub uuid: String,
    pub transaction_number: i64,
    pub kind: OperationKind,
    /// The attempt, refund or payout that it stands for; none before the payer's first try.
    pub object: Option<Core>,
    /// Of the signed request that caused it.
    pub digest: Option<Vec<u8>>,
    /// Minor units: what moves, a cost included.
    pub amount: i64,
    pub state: OperationState,
    pub comment: Option<String>,
    /// When the payer or the merchant asked for it.
    pub confirmed_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What of an operation changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationState {
    pub status: OperationStatus,
    /// Minor units; what was computed while it is open, and nothing once it has failed.
    pub fee: i64,
    /// 0, one of ours (222, 223, 434), or the provider's.
    pub error_code: i64,
    /// The word for the code; empty for none.
    pub error_name: String,
    pub message: String,
}

/// The number of a provider's refusal that has none of its own.
pub const PROVIDER_REFUSED: i64 = 2_000;

// What operations say, word for word as Gate's document lists it: clients compare these texts.

/// A declined try while the payer may try again.
pub const PAYMENT_FAILED: &str = "payment failed, fix errors and try again";
/// A refund that the provider paid.
pub const REFUND_SUCCESSFUL: &str = "refund successful";
/// A refund that the provider could not pay.
pub const REFUND_FAILED: &str = "refund failed, fix errors and try again";
/// A subscription of which nothing was charged yet.
pub const AWAITING_FIRST_PAYMENT: &str = "awaiting first payment";
/// An authorised sale that is not captured yet.
pub const AWAITING_STATUS_CHECK: &str = "awaiting status check confirmation";
/// The provider has not given its last answer.
pub const EXTERNAL_PROCESSING: &str = "external processing";
/// A sale or payout that succeeded.
pub const SUCCESSFUL: &str = "operation successfully processed";
/// A refund in another currency than its purchase.
pub const INVALID_AMOUNT: &str = "invalid amount or currency";
/// Nothing more will come of it.
pub const FAILED: &str = "operation failed";

impl OperationState {
    /// A state without an error.
    pub fn new(status: OperationStatus, fee: i64, message: &str) -> OperationState {
        OperationState { status, fee, error_code: 0, error_name: String::new(), message: message.to_owned() }
    }

    /// Given up on our side: expired, abandoned or canceled before anything came of it.
    pub fn given_up() -> OperationState {
        OperationState::new(OperationStatus::InternalError, 0, FAILED)
    }

    /// Failed on our side with one of our codes.
    pub fn internal(code: i64, name: &str, message: &str) -> OperationState {
        OperationState {
            error_code: code,
            error_name: name.to_owned(),
            ..OperationState::new(OperationStatus::InternalError, 0, message)
        }
    }

    /// Refused by the provider.
    pub fn external(decline: &Decline, message: &str) -> OperationState {
        OperationState {
            error_code: decline_number(decline),
            error_name: decline.decline_code.as_ref().unwrap_or(&decline.code).clone(),
            ..OperationState::new(OperationStatus::ExternalError, 0, message)
        }
    }
}

/// A decline as the integer that Gate shows: card processors' customary numbers, 2000 for "no reason given".
pub fn decline_number(decline: &Decline) -> i64 {
    match decline.decline_code.as_deref().unwrap_or(&decline.code) {
        "insufficient_funds" => 2001,
        "card_velocity_exceeded" => 2002,
        "expired_card" => 2004,
        "incorrect_number" => 2005,
        "invalid_expiry_month" | "invalid_expiry_year" => 2006,
        "incorrect_cvc" => 2010,
        "lost_card" => 2012,
        "stolen_card" => 2013,
        "fraudulent" => 2014,
        "processing_error" => 3000,
        "authentication_required" => 2099,
        _ => PROVIDER_REFUSED,
    }
}

/// The state of a sale, from its attempt. `open`: the payer may try again.
pub fn sale_state(a: &Attempt, open: bool) -> OperationState {
    use OperationStatus as S;
    match a.status {
        AttemptStatus::Submitted | AttemptStatus::RequiresAction => {
            OperationState::new(S::Processing, a.fee, "")
        }
        AttemptStatus::Processing => OperationState::new(S::Processing, a.fee, EXTERNAL_PROCESSING),
        AttemptStatus::Authorised => OperationState::new(S::Processing, a.fee, AWAITING_STATUS_CHECK),
        AttemptStatus::Captured => OperationState::new(S::Success, a.fee, SUCCESSFUL),
        AttemptStatus::Failed => {
            let message = if open { PAYMENT_FAILED } else { FAILED };
            match &a.decline {
                Some(decline) => OperationState::external(decline, message),
                None => OperationState::new(S::ExternalError, 0, message),
            }
        }
        AttemptStatus::Canceled | AttemptStatus::Expired => OperationState::given_up(),
    }
}

/// The state of a refund.
pub fn refund_state(r: &Refund) -> OperationState {
    use OperationStatus as S;
    match r.status {
        RefundStatus::Pending => OperationState::new(S::Processing, 0, EXTERNAL_PROCESSING),
        RefundStatus::Succeeded => OperationState::new(S::Success, 0, REFUND_SUCCESSFUL),
        RefundStatus::Failed => OperationState {
            error_code: PROVIDER_REFUSED,
            error_name: r.failure_reason.clone().unwrap_or_default(),
            ..OperationState::new(S::ExternalError, 0, REFUND_FAILED)
        },
        RefundStatus::Canceled => OperationState::given_up(),
    }
}

/// The state of a payout. Its fee is shown while it is held, and kept once it is paid.
pub fn payout_state(p: &Payout) -> OperationState {
    use OperationStatus as S;
    match p.status {
        PayoutStatus::Pending => OperationState::new(S::Created, p.fee, ""),
        PayoutStatus::InTransit => OperationState::new(S::Processing, p.fee, EXTERNAL_PROCESSING),
        PayoutStatus::Paid => OperationState::new(S::Success, p.fee, SUCCESSFUL),
        PayoutStatus::Failed => OperationState {
            error_code: PROVIDER_REFUSED,
            error_name: p.failure_code.clone().unwrap_or_default(),
            ..OperationState::new(S::ExternalError, 0, FAILED)
        },
        PayoutStatus::Canceled => OperationState::given_up(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::recipes::sample_refund;
    use crate::payment::PaymentStatus;
    use crate::samples::{attempt, payment};

    #[test]
    fn states_of_a_sale() {
        use OperationStatus as S;
        let p = payment(PaymentStatus::Processing, 100);
        for (status, open, expected, message) in [
            (AttemptStatus::Submitted, true, S::Processing, ""),
            (AttemptStatus::RequiresAction, true, S::Processing, ""),
            (AttemptStatus::Processing, true, S::Processing, "external processing"),
            (AttemptStatus::Authorised, false, S::Processing, "awaiting status check confirmation"),
            (AttemptStatus::Captured, false, S::Success, "operation successfully processed"),
            (AttemptStatus::Failed, true, S::ExternalError, "payment failed, fix errors and try again"),
            (AttemptStatus::Failed, false, S::ExternalError, "operation failed"),
            (AttemptStatus::Canceled, false, S::InternalError, "operation failed"),
        ] {
            let state = sale_state(&attempt(&p, status), open);
            assert_eq!((state.status, state.message.as_str()), (expected, message), "{status}");
            let fee = if matches!(expected, S::Processing | S::Success) { 10 } else { 0 };
            assert_eq!(state.fee, fee, "{status}: no fee unless it succeeds");
        }
    }

    #[test]
    fn states_of_a_refund() {
        for (status, expected, message) in [
            (RefundStatus::Pending, OperationStatus::Processing, "external processing"),
            (RefundStatus::Succeeded, OperationStatus::Success, "refund successful"),
            (RefundStatus::Failed, OperationStatus::ExternalError, "refund failed, fix errors and try again"),
        ] {
            let state = refund_state(&Refund { status, ..sample_refund(10, 0) });
            assert_eq!((state.status, state.message.as_str()), (expected, message));
        }
    }
}
