//! Payments that reach the merchant without us: a transfer to its own bank account, cash, a cheque. They are written
//! down so that orders, clients and refunds are complete. We never have the money, so the books hold them in memo
//! accounts only, and there is no provider to ask.

use crate::attempt::{Attempt, AttemptStatus};
use crate::event::EventType;
use crate::id::{AttemptId, PaymentMethodId, ProviderId};
use crate::limits;
use crate::payment::{self, CONFIRMABLE, CancellationReason, Payment, PaymentStatus, Refusal};
use crate::text_enum;
use crate::time::{DAY, HOUR, Timestamp};
use serde::{Deserialize, Serialize};

/// What stands as the connector of the provider that such attempts name. No build has one of this name.
pub const CONNECTOR: &str = "off_platform";

text_enum! {
    /// How the money came.
    pub enum OffPlatformKind {
        BankTransfer = "bank_transfer",
        Cash = "cash",
        Cheque = "cheque",
        /// A terminal of somebody else.
        CardTerminal = "card_terminal",
        Other = "other",
    }
}

/// How far back the money may have come (ten years), and how far ahead: it is tomorrow somewhere (14 h). Microseconds.
pub const PAID_AT_US: (i64, i64) = (3_653 * DAY, 14 * HOUR);

/// What the merchant says of such a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffPlatformFacts {
    pub kind: OffPlatformKind,
    /// What the merchant finds it by: the line of a bank statement, a receipt.
    pub reference: Option<String>,
    /// When the money came, as the merchant says; `None` while it is awaited.
    pub paid_at: Option<Timestamp>,
}

/// Events of the end of a wait for such a payment.
pub const CALLED_OFF: &[EventType] = &[EventType::ChargeUpdated, EventType::PaymentIntentCanceled];

/// Makes `attempt` the payment's try, in the state in which the money is awaited. The caller inserts it, `listed`.
///
/// # Errors
/// As for a confirm: busy, a state that cannot be paid, or too many tries.
pub fn begin(
    p: &mut Payment,
    attempt: AttemptId,
    provider: ProviderId,
    method: PaymentMethodId,
) -> Result<(), Refusal> {
    payment::expect_state(p, "pay off the platform", CONFIRMABLE)?;
    if p.attempts >= limits::ATTEMPTS_PER_PAYMENT {
        return Err(Refusal::TooManyAttempts);
    }
    p.attempts += 1;
    p.provider = Some(provider);
    p.payment_method = Some(method);
    p.latest_attempt = Some(attempt);
    p.latest_charge = Some(attempt);
    p.next_action = None;
    p.last_error = None;
    p.operation = None;
    p.status = PaymentStatus::Processing;
    Ok(())
}

/// Whether the payment waits for money that this attempt stands for.
pub fn is_awaited(p: &Payment, a: &Attempt) -> bool {
    p.latest_attempt == Some(a.id)
        && p.status == PaymentStatus::Processing
        && a.status == AttemptStatus::Processing
        && a.is_off_platform()
}

/// The merchant has the money. The caller checks [`is_awaited`] under the payment's lock, and posts the journal.
pub fn received(p: &mut Payment, a: &mut Attempt) {
    a.status = AttemptStatus::Captured;
    a.amount_captured = a.amount;
    p.status = PaymentStatus::Succeeded;
    p.amount_received = a.amount;
    p.fee = 0;
}

/// The money will not come: the payment ends. The caller checks [`is_awaited`] under the payment's lock.
pub fn call_off(p: &mut Payment, a: &mut Attempt, reason: Option<CancellationReason>, now: Timestamp) {
    a.status = AttemptStatus::Canceled;
    p.cancellation_reason = reason;
    payment::end_canceled(p, now);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment_method::MethodFacts;
    use crate::samples::{NOW, attempt, method, payment, provider};

    /// A payment in `status` whose latest try is one off the platform, if it could begin.
    fn begun(status: PaymentStatus) -> Option<(Payment, Attempt)> {
        let mut p = payment(status, 1_000);
        let mut a = attempt(&p, AttemptStatus::Processing);
        let facts = OffPlatformFacts { kind: OffPlatformKind::Cash, reference: None, paid_at: None };
        a.method = MethodFacts::OffPlatform(facts);
        begin(&mut p, a.id, provider(), method().id).ok().map(|()| (p, a))
    }

    #[test]
    fn what_is_paid_or_at_a_provider_is_not_paid_once_more() {
        for status in PaymentStatus::ALL {
            assert_eq!(begun(*status).is_some(), CONFIRMABLE.contains(status), "{status}");
        }
    }

    #[test]
    fn the_end_of_a_wait_is_final() {
        let (p, a) = begun(PaymentStatus::RequiresPaymentMethod).expect("a payment that can be paid");
        assert!(is_awaited(&p, &a));
        let (mut paid, mut taken) = (p.clone(), a.clone());
        received(&mut paid, &mut taken);
        assert!(!is_awaited(&paid, &taken));
        assert_eq!((paid.amount_received, paid.pending_balance, paid.fee), (1_000, 0, 0));
        let (mut ended, mut given_up) = (p, a);
        call_off(&mut ended, &mut given_up, None, NOW);
        assert!(!is_awaited(&ended, &given_up));
        assert_eq!((ended.status, ended.canceled_at), (PaymentStatus::Canceled, Some(NOW)));
    }
}
