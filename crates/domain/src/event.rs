//! The one table of event types. A type that is not here cannot be emitted or subscribed to.

use crate::id::{Core, EventId, SnapshotId};
use crate::scope::Scope;
use crate::text_enum;
use crate::time::Timestamp;

text_enum! {
    pub enum EventType {
        PaymentIntentCreated = "payment_intent.created",
        PaymentIntentRequiresAction = "payment_intent.requires_action",
        PaymentIntentProcessing = "payment_intent.processing",
        PaymentIntentAmountCapturableUpdated = "payment_intent.amount_capturable_updated",
        PaymentIntentSucceeded = "payment_intent.succeeded",
        PaymentIntentPaymentFailed = "payment_intent.payment_failed",
        PaymentIntentCanceled = "payment_intent.canceled",
        ChargePending = "charge.pending",
        ChargeSucceeded = "charge.succeeded",
        ChargeFailed = "charge.failed",
        ChargeCaptured = "charge.captured",
        ChargeRefunded = "charge.refunded",
        ChargeExpired = "charge.expired",
        ChargeUpdated = "charge.updated",
        RefundCreated = "refund.created",
        RefundUpdated = "refund.updated",
        RefundFailed = "refund.failed",
        PayoutCreated = "payout.created",
        PayoutUpdated = "payout.updated",
        PayoutPaid = "payout.paid",
        PayoutFailed = "payout.failed",
        PayoutCanceled = "payout.canceled",
        PaymentMethodAttached = "payment_method.attached",
        PaymentMethodDetached = "payment_method.detached",
        PaymentMethodUpdated = "payment_method.updated",
        CustomerCreated = "customer.created",
        CustomerUpdated = "customer.updated",
        CustomerDeleted = "customer.deleted",
        BalanceAvailable = "balance.available",
        GateTransactionUpdated = "gate.transaction.updated",
        GateOperationUpdated = "gate.operation.updated",
        SiteTransactionUpdated = "site.transaction.updated",
        AccountCardTestingSuspected = "account.card_testing_suspected",
        TestClockCreated = "test_helpers.test_clock.created",
        TestClockAdvancing = "test_helpers.test_clock.advancing",
        TestClockReady = "test_helpers.test_clock.ready",
        TestClockDeleted = "test_helpers.test_clock.deleted",
    }
}

impl EventType {
    /// Whether it is told to Gate services or to shops of the Admin API only. REST v2 tells of the same changes in
    /// its own words.
    pub const fn of_other_surface(self) -> bool {
        matches!(
            self,
            EventType::GateTransactionUpdated
                | EventType::GateOperationUpdated
                | EventType::SiteTransactionUpdated
        )
    }
}

/// Something that happened, with the object as it was then. Never changes once written.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: EventId,
    pub scope: Scope,
    pub event_type: EventType,
    /// The object that the event is about; the type's first part says of what kind.
    pub object: Core,
    pub snapshot: SnapshotId,
    /// The request that caused it; `None` when the gateway acted by itself.
    pub request: Option<String>,
    pub idempotency_key: Option<String>,
    pub created_at: Timestamp,
}
