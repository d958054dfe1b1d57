//! Giving captured money back, in full or in part.

use crate::Metadata;
use crate::currency::Currency;
use crate::id::{AttemptId, ClockId, JournalId, PaymentId, RefundId};
use crate::outcome::ChangeOutcome;
use crate::payment::{Payment, PaymentStatus};
use crate::scope::Scope;
use crate::text_enum;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

text_enum! {
    pub enum RefundStatus { Pending = "pending", Succeeded = "succeeded", Failed = "failed", Canceled = "canceled" }
}

text_enum! {
    pub enum RefundReason {
        Duplicate = "duplicate",
        Fraudulent = "fraudulent",
        RequestedByCustomer = "requested_by_customer",
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refund {
    pub id: RefundId,
    pub scope: Scope,
    pub payment: PaymentId,
    pub attempt: AttemptId,
    pub amount: i64,
    pub currency: Currency,
    pub status: RefundStatus,
    pub reason: Option<RefundReason>,
    pub failure_reason: Option<String>,
    /// Part that was taken from what the payment still had pending.
    pub from_pending: i64,
    /// Part that took the available balance below zero, on the credit of the kept fee.
    pub shortfall: i64,
    pub journal: JournalId,
    /// The journal that put the money back after a failure.
    pub failure_journal: Option<JournalId>,
    /// Of a payment that went past us, and so given back past us; see [`crate::off_platform`].
    #[serde(default)]
    pub off_platform: bool,
    pub metadata: Metadata,
    pub clock: Option<ClockId>,
    pub created_at: Timestamp,
}

/// Why a refund is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundRefusal {
    /// Nothing was captured.
    NotCaptured {
        status: PaymentStatus,
    },
    /// Another change of this payment is at the provider now.
    Busy,
    AlreadyRefunded,
    TooLarge {
        asked: i64,
        left: i64,
    },
    /// The merchant's balance cannot bear it.
    BalanceInsufficient {
        short: i64,
    },
    /// The limit of refunds per payment is reached.
    TooMany,
}

/// Where the money of a refund comes from. `from_pending + from_available` is the amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefundPlan {
    pub amount: i64,
    pub from_pending: i64,
    pub from_available: i64,
    pub shortfall: i64,
}

/// How much may be refunded: everything captured that no other refund claims, up to the payment's
/// own amount (a surcharge is kept).
pub fn refundable(p: &Payment) -> i64 {
    p.amount_received.min(p.amount) - p.amount_refunded
}

/// Decides on a refund of `asked` (everything left if `None`) from a payment whose row is locked.
/// Guards in order: captured, not busy, something left, not more than left.
pub fn amount(p: &Payment, asked: Option<i64>) -> Result<i64, RefundRefusal> {
    if p.status != PaymentStatus::Succeeded {
        return Err(RefundRefusal::NotCaptured { status: p.status });
    }
    if p.busy() {
        return Err(RefundRefusal::Busy);
    }
    let left = refundable(p);
    if left <= 0 {
        return Err(RefundRefusal::AlreadyRefunded);
    }
    let asked = asked.unwrap_or(left);
    if asked > left {
        return Err(RefundRefusal::TooLarge { asked, left });
    }
    Ok(asked)
}

/// Splits a refund between the payment's pending part and the available balance.
///
/// The payment's own pending part goes first. Available may be taken below zero only by what is left
/// of the fee kept on this payment, or without bound if `below_zero` (the merchant's policy).
/// `available` is the merchant's balance under its guard.
pub fn plan(p: &Payment, amount: i64, available: i64, below_zero: bool) -> Result<RefundPlan, RefundRefusal> {
    let from_pending = amount.min(p.pending_balance);
    let from_available = amount - from_pending;
    let shortfall = (from_available - available.max(0)).max(0);
    let credit = (p.fee - p.refund_shortfall).max(0);
    if shortfall > credit && !below_zero {
        return Err(RefundRefusal::BalanceInsufficient { short: shortfall - credit });
    }
    Ok(RefundPlan { amount, from_pending, from_available, shortfall })
}

/// What a provider's answer changes about a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundChange {
    Succeeded,
    Failed,
    /// Still pending; nothing to post.
    None,
}

/// Applies an answer. A refund that already ended is left alone: answers may come twice.
/// `NotFound` is an answer only to a query made after the call can no longer be on its way, and then
/// says for certain that nothing was paid back.
pub fn apply(r: &mut Refund, outcome: &ChangeOutcome) -> RefundChange {
    if r.status != RefundStatus::Pending {
        return RefundChange::None;
    }
    match outcome {
        ChangeOutcome::Done => {
            r.status = RefundStatus::Succeeded;
            RefundChange::Succeeded
        }
        ChangeOutcome::Refused { reason } => {
            r.status = RefundStatus::Failed;
            r.failure_reason = Some(reason.clone());
            RefundChange::Failed
        }
        ChangeOutcome::NotFound => {
            r.status = RefundStatus::Failed;
            r.failure_reason = Some("unknown".to_owned());
            RefundChange::Failed
        }
        ChangeOutcome::Pending { .. } | ChangeOutcome::Unknown => RefundChange::None,
    }
}

#[cfg(test)]
mod tests;
