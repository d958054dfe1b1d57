//! What Gate calls a transaction: a view of a payment or payout with Gate's own names and numbers, kept in
//! rows so that each change of status can be told once.

use crate::checkout::Checkout;
use crate::currency::Currency;
use crate::id::{CustomerId, GateTokenId, PaymentId, PayoutId, StorefrontId};
use crate::payment::{CancellationReason, Payment, PaymentStatus};
use crate::payout::{Payout, PayoutStatus};
use crate::scope::Scope;
use crate::text_enum;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

text_enum! {
    pub enum TransactionKind { Purchase = "purchase", Payout = "payout", Recurring = "recurring" }
}

text_enum! {
    pub enum TransactionStatus {
        Created = "created",
        Processing = "processing",
        Success = "success",
        PartiallyRefunded = "partially_refunded",
        Refunded = "refunded",
        Failed = "failed",
        Expired = "expired",
        /// Recurring only: it runs.
        Active = "active",
        /// Recurring only.
        Canceled = "canceled",
    }
}

impl TransactionStatus {
    /// Whether no payment can come of it any more.
    pub const fn is_lost(self) -> bool {
        matches!(self, TransactionStatus::Failed | TransactionStatus::Expired | TransactionStatus::Canceled)
    }
}

/// What a recurring request agreed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecurringTerms {
    pub start_at: Timestamp,
    /// Exclusive; `None`: until canceled.
    pub end_at: Option<Timestamp>,
    pub cycle_days: i64,
    pub trial_days: i64,
}

/// One transaction as stored: what was asked for never changes, its status follows the payment or payout.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GateTransaction {
    /// Given by the store.
    pub number: i64,
    /// Also the address of its page: version 7, with 74 random bits.
    pub uuid: String,
    pub scope: Scope,
    pub storefront: StorefrontId,
    pub customer: Option<CustomerId>,
    pub kind: TransactionKind,
    pub status: TransactionStatus,
    /// The merchant's name of it; unique within the service.
    pub payment_id: String,
    pub payment: Option<PaymentId>,
    pub payout: Option<PayoutId>,
    /// Minor units, without the cost.
    pub amount: i64,
    /// What the payer pays on top, in minor units.
    pub cost: i64,
    pub cost_hidden: bool,
    pub currency: Currency,
    /// The signed body without its signature, as JSON.
    pub request: String,
    /// Digest of the request's canonical form.
    pub digest: Vec<u8>,
    pub callback_url: Option<String>,
    /// Whose secret signs callbacks to that address.
    pub token: Option<GateTokenId>,
    pub recurring: Option<RecurringTerms>,
    /// Of the last try or of the request itself, as [`crate::gate_operation::OperationState::error_code`]; 0
    /// for none.
    pub last_error_code: i64,
    pub last_error_message: String,
    /// Of one without a checkout, which would have the expiry.
    pub expires_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Not enough balance to hold the amount of a payout or refund.
pub const CODE_BALANCE: i64 = 223;
/// No fee could be computed.
pub const CODE_FEE: i64 = 434;

/// The status of a purchase, from its payment. `refunded`: the sum of refunds that succeeded.
///
/// A declined try leaves it `processing` while the page is open. A refund counts when it has succeeded, and
/// all is refunded when the own amount is: the cost is not given back.
pub fn purchase_status(p: &Payment, c: &Checkout, refunded: i64) -> TransactionStatus {
    match p.status {
        PaymentStatus::RequiresPaymentMethod | PaymentStatus::RequiresConfirmation => {
            if p.attempts == 0 && c.submitted_at.is_none() {
                TransactionStatus::Created
            } else {
                TransactionStatus::Processing
            }
        }
        PaymentStatus::RequiresAction | PaymentStatus::Processing | PaymentStatus::RequiresCapture => {
            TransactionStatus::Processing
        }
        PaymentStatus::Succeeded if refunded == 0 => TransactionStatus::Success,
        PaymentStatus::Succeeded if refunded < p.amount_received.min(p.amount) => {
            TransactionStatus::PartiallyRefunded
        }
        PaymentStatus::Succeeded => TransactionStatus::Refunded,
        PaymentStatus::Canceled if p.cancellation_reason == Some(CancellationReason::Expired) => {
            TransactionStatus::Expired
        }
        PaymentStatus::Canceled => TransactionStatus::Failed,
    }
}

/// The status of a payout.
pub fn payout_status(p: &Payout) -> TransactionStatus {
    match p.status {
        PayoutStatus::Pending => TransactionStatus::Created,
        PayoutStatus::InTransit => TransactionStatus::Processing,
        PayoutStatus::Paid => TransactionStatus::Success,
        PayoutStatus::Failed | PayoutStatus::Canceled => TransactionStatus::Failed,
    }
}

/// Why a recurring transaction cannot be canceled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelRefusal {
    NotRecurring,
    /// It has ended in another way.
    Ended(TransactionStatus),
}

/// Decides a cancel of a recurring transaction; false when it is canceled already.
pub fn cancel(t: &GateTransaction) -> Result<bool, CancelRefusal> {
    if t.kind != TransactionKind::Recurring {
        return Err(CancelRefusal::NotRecurring);
    }
    match t.status {
        TransactionStatus::Canceled => Ok(false),
        TransactionStatus::Created | TransactionStatus::Processing | TransactionStatus::Active => Ok(true),
        ended => Err(CancelRefusal::Ended(ended)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{NOW, checkout, payment};

    #[track_caller]
    fn check(change: impl Fn(&mut Payment, &mut Checkout), refunded: i64, expected: TransactionStatus) {
        let mut p = payment(PaymentStatus::RequiresPaymentMethod, 10_000);
        p.surcharge = 54;
        let mut c = checkout(&p, 5);
        change(&mut p, &mut c);
        assert_eq!(purchase_status(&p, &c, refunded), expected);
    }

    fn paid(p: &mut Payment, _: &mut Checkout) {
        p.status = PaymentStatus::Succeeded;
        p.amount_received = 10_054;
    }

    #[test]
    fn statuses_of_a_purchase() {
        use TransactionStatus as T;
        check(|_, _| {}, 0, T::Created);
        check(|p, _| p.attempts = 1, 0, T::Processing);
        check(|_, c| c.submitted_at = Some(NOW), 0, T::Processing);
        for status in
            [PaymentStatus::RequiresAction, PaymentStatus::Processing, PaymentStatus::RequiresCapture]
        {
            check(|p, _| p.status = status, 0, T::Processing);
        }
        check(paid, 0, T::Success);
        check(paid, 1, T::PartiallyRefunded);
        check(paid, 9_999, T::PartiallyRefunded);
        check(paid, 10_000, T::Refunded);
        for (reason, expected) in [
            (CancellationReason::Expired, T::Expired),
            (CancellationReason::Abandoned, T::Failed),
            (CancellationReason::FailedInvoice, T::Failed),
            (CancellationReason::RequestedByCustomer, T::Failed),
        ] {
            let cancel = |p: &mut Payment, _: &mut Checkout| {
                p.status = PaymentStatus::Canceled;
                p.cancellation_reason = Some(reason);
            };
            check(cancel, 0, expected);
        }
    }
}
