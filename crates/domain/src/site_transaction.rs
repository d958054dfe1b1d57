//! What the Admin API calls a transaction: one attempt, with the statuses that shops read as integers.

use crate::attempt::{Attempt, AttemptStatus};
use crate::id::Core;
use crate::text_enum;
use serde::{Deserialize, Serialize};

text_enum! {
    pub enum SiteStatus {
        /// Made, not final.
        Initiated = "initiated",
        /// The provider answers later, or the payer is on the provider's page.
        PendingProvider = "pending_provider",
        Succeeded = "succeeded",
        Failed = "failed",
        /// In full; a partial refund leaves it succeeded.
        Refunded = "refunded",
        Chargeback = "chargeback",
        Cancelled = "cancelled",
    }
}

impl SiteStatus {
    /// The integer that shop plugins read.
    pub const fn code(self) -> i64 {
        match self {
            SiteStatus::Cancelled => -2,
            SiteStatus::Initiated => -1,
            SiteStatus::PendingProvider => 0,
            SiteStatus::Succeeded => 1,
            SiteStatus::Failed => 2,
            SiteStatus::Refunded => 3,
            SiteStatus::Chargeback => 4,
        }
    }

    /// Reads a status or its integer, with either spelling of cancelled.
    pub fn read(text: &str) -> Option<SiteStatus> {
        SiteStatus::parse(text)
            .or_else(|| (text == "canceled").then_some(SiteStatus::Cancelled))
            .or_else(|| SiteStatus::ALL.iter().copied().find(|status| status.code().to_string() == text))
    }

    /// Whether a shop is told of it: what has only begun says nothing.
    pub const fn is_told(self) -> bool {
        !matches!(self, SiteStatus::Initiated)
    }
}

/// The status of an attempt.
pub fn status(attempt: &Attempt) -> SiteStatus {
    match attempt.status {
        AttemptStatus::Submitted | AttemptStatus::RequiresAction if attempt.redirected => {
            SiteStatus::PendingProvider
        }
        AttemptStatus::Submitted | AttemptStatus::RequiresAction => SiteStatus::Initiated,
        AttemptStatus::Processing | AttemptStatus::Authorised => SiteStatus::PendingProvider,
        AttemptStatus::Captured if attempt.amount_refunded >= attempt.amount_captured => SiteStatus::Refunded,
        AttemptStatus::Captured => SiteStatus::Succeeded,
        AttemptStatus::Failed => SiteStatus::Failed,
        AttemptStatus::Canceled | AttemptStatus::Expired => SiteStatus::Cancelled,
    }
}

/// One notice to a shop, as it was then.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SiteNotice {
    /// The transaction: an attempt, or a payment that ended without one.
    pub object: Core,
    pub status: SiteStatus,
    /// How often the shop was told of this transaction, this time included.
    pub version: i64,
    pub external_reference: Option<String>,
}
