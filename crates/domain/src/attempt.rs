//! One try to collect a payment at one provider; a charge on REST v2.

use crate::currency::Currency;
use crate::id::{AttemptId, ClockId, JournalId, PaymentId, PaymentMethodId, ProviderId};
use crate::outcome::{Decline, RiskLevel};
use crate::payment_method::{BillingDetails, MethodFacts};
use crate::scope::Scope;
use crate::text_enum;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

text_enum! {
    pub enum AttemptStatus {
        /// Written down before the provider is called; the answer is not known yet.
        Submitted = "submitted",
        /// Waiting for the payer to authenticate.
        RequiresAction = "requires_action",
        /// The provider accepted it and will answer later.
        Processing = "processing",
        Authorised = "authorised",
        Captured = "captured",
        Failed = "failed",
        /// Given up before money moved, or voided afterwards.
        Canceled = "canceled",
        /// The authorisation lapsed uncaptured.
        Expired = "expired",
    }
}

impl AttemptStatus {
    /// Whether an authorisation outcome may still arrive.
    pub const fn is_open(self) -> bool {
        matches!(self, AttemptStatus::Submitted | AttemptStatus::RequiresAction | AttemptStatus::Processing)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attempt {
    pub id: AttemptId,
    pub scope: Scope,
    pub payment: PaymentId,
    pub provider: ProviderId,
    pub status: AttemptStatus,
    pub amount: i64,
    pub currency: Currency,
    pub amount_captured: i64,
    pub amount_refunded: i64,
    /// Fee agreed on before the provider was asked, so that the posting needs no second look-up.
    pub fee: i64,
    pub payment_method: PaymentMethodId,
    /// The method as it was at this attempt.
    pub method: MethodFacts,
    pub billing: BillingDetails,
    pub decline: Option<Decline>,
    pub risk: RiskLevel,
    pub authenticated: Option<String>,
    /// Shown among charges. Not before the payer has authenticated.
    pub listed: bool,
    /// The one form of a payment page that made it.
    #[serde(default)]
    pub form: Option<String>,
    /// The payer has left for the provider's own page.
    #[serde(default)]
    pub redirected: bool,
    /// The journal that captured it.
    pub journal: Option<JournalId>,
    pub clock: Option<ClockId>,
    pub created_at: Timestamp,
}

impl Attempt {
    /// Whether the money went past us; see [`crate::off_platform`].
    pub const fn is_off_platform(&self) -> bool {
        matches!(self.method, MethodFacts::OffPlatform(_))
    }
}
