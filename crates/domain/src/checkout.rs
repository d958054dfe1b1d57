//! The page on which a payer pays: one for a payment, with its items, addresses and time.

use crate::id::{ClockId, CustomerId, PaymentId, StorefrontId};
use crate::payment::{self, CancellationReason, Payment, PaymentStatus, Refusal};
use crate::scope::Scope;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One line of what is paid for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The merchant's text; may hold markup, which pages must not obey.
    pub text: String,
    /// Minor units, where the merchant gave a price.
    pub amount: Option<i64>,
}

/// Where the payer goes afterwards; addresses are checked when they are taken in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeaveUrls {
    pub success: Option<String>,
    pub fail: Option<String>,
    /// When the payer leaves, or the result is still open.
    pub back: Option<String>,
    /// When what the payer handed in is settled later; as `back` if `None`.
    pub pending: Option<String>,
}

/// What a page shows beside the payment: nothing here decides about money.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CheckoutDetails {
    /// The merchant's own name of the payment.
    pub reference: Option<String>,
    pub items: Vec<Item>,
    pub leave: LeaveUrls,
    /// Two letters, as the merchant asked for.
    pub language: Option<String>,
    pub payer_name: Option<String>,
    pub payer_email: Option<String>,
    pub payer_country: Option<String>,
    pub surcharge_hidden: bool,
}

/// A payment's page: who may still pay it, and until when.
#[derive(Clone, Debug)]
pub struct Checkout {
    pub payment: PaymentId,
    pub scope: Scope,
    pub storefront: StorefrontId,
    pub customer: Option<CustomerId>,
    /// The capability in the page's address: 74 random bits or more.
    pub code: String,
    pub details: CheckoutDetails,
    /// Tries that the payer has.
    pub attempts_max: i64,
    /// Until the payment has ended.
    pub open: bool,
    /// When the payer first sent the form.
    pub submitted_at: Option<Timestamp>,
    pub expires_at: Timestamp,
    pub clock: Option<ClockId>,
    pub created_at: Timestamp,
}

impl Checkout {
    /// Whether the payer may still begin a try. What is at the provider when the time runs out ends there.
    pub fn payable(&self, p: &Payment, now: Timestamp) -> bool {
        payment::CONFIRMABLE.contains(&p.status) && now < self.expires_at && p.attempts < self.attempts_max
    }
}

/// Ends the payment when its time is over and nothing is under way; true if it ended. A payer who is proving who
/// they are is under way: that has a time limit of its own.
pub fn expire(c: &Checkout, p: &mut Payment, now: Timestamp) -> bool {
    now >= c.expires_at
        && p.status != PaymentStatus::RequiresAction
        && payment::close(p, CancellationReason::Expired, now).is_ok()
}

/// Ends the payment after the payer's last try was declined or given up; true if it ended.
pub fn exhaust(c: &Checkout, p: &mut Payment, now: Timestamp) -> bool {
    matches!(p.status, PaymentStatus::RequiresPaymentMethod | PaymentStatus::RequiresConfirmation)
        && p.attempts >= c.attempts_max
        && payment::close(p, CancellationReason::FailedInvoice, now).is_ok()
}

/// The payer gives up.
pub fn abandon(p: &mut Payment, now: Timestamp) -> Result<(), Refusal> {
    payment::close(p, CancellationReason::Abandoned, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::{Operation, OperationKind};
    use crate::samples::{NOW, checkout, payment};

    #[test]
    fn only_open_payments_expire_and_only_in_time() {
        use PaymentStatus as S;
        for (status, ends) in [
            (S::RequiresPaymentMethod, true),
            (S::RequiresConfirmation, true),
            (S::RequiresAction, false),
            (S::Processing, false),
            (S::RequiresCapture, false),
            (S::Succeeded, false),
            (S::Canceled, false),
        ] {
            let mut p = payment(status, 100);
            let c = checkout(&p, 2);
            assert!(!expire(&c, &mut p, NOW.plus(-1)), "{status} too early");
            assert_eq!(p.status, status);
            assert_eq!(expire(&c, &mut p, NOW), ends, "{status}");
            if ends {
                assert_eq!(p.status, S::Canceled);
                assert_eq!(p.cancellation_reason, Some(CancellationReason::Expired));
            }
        }
    }

    #[test]
    fn what_is_at_the_provider_is_not_ended() {
        let mut p = payment(PaymentStatus::Processing, 100);
        p.operation = Some(Operation { kind: OperationKind::Authorise, amount: 100, fee: 0 });
        let c = checkout(&p, 2);
        assert!(!expire(&c, &mut p, NOW));
        assert_eq!(abandon(&mut p, NOW), Err(Refusal::Busy));
    }

    #[test]
    fn the_last_declined_try_ends_it() {
        for (attempts, ends) in [(0, false), (1, false), (2, true), (3, true)] {
            let mut p = payment(PaymentStatus::RequiresPaymentMethod, 100);
            p.attempts = attempts;
            let c = checkout(&p, 2);
            assert_eq!(exhaust(&c, &mut p, NOW), ends, "{attempts}");
        }
        let mut p = payment(PaymentStatus::RequiresAction, 100);
        p.attempts = 2;
        let c = checkout(&p, 2);
        assert!(!exhaust(&c, &mut p, NOW), "the payer is still authenticating");
    }
}
