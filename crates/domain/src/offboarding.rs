//! How an organisation leaves: first it only reads, for a time of grace in which it can come back, then it is closed.
//! What it did stays in the books.

use crate::text_enum;
use crate::time::{DAY, Timestamp};

text_enum! {
    pub enum MerchantStatus {
        Active = "active",
        /// Everything can be read, nothing changed. Can be taken back.
        Offboarding = "offboarding",
        /// Its keys and members are gone.
        Closed = "closed",
    }
}

/// An organisation's way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offboarding {
    pub started_at: Timestamp,
    /// When the time of grace is over.
    pub ends_at: Timestamp,
    pub reason: Option<String>,
    pub closed_at: Option<Timestamp>,
}

impl Offboarding {
    pub fn begin(days: i64, reason: Option<String>, now: Timestamp) -> Offboarding {
        Offboarding { started_at: now, ends_at: now.plus(days * DAY), reason, closed_at: None }
    }
}

/// Bounds of the time of grace, in days.
pub const GRACE_DAYS: (i64, i64) = (1, 365);
/// Days of grace if nobody says otherwise.
pub const GRACE_DAYS_USUAL: i64 = 30;

/// Why an organisation cannot leave yet: somebody's real money is on its way. Test mode holds nobody up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blocker {
    /// An account that is not empty; minor units that are owed to the merchant or on their way.
    Balance { account: &'static str, currency: crate::currency::Currency, amount: i64 },
    /// Payments that are authorised, or of which the end is not known.
    OpenPayments { count: i64 },
}

impl std::fmt::Display for Blocker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Blocker::Balance { account, currency, amount } => {
                write!(f, "{account} holds {amount} {currency} in minor units: pay it out or settle it")
            }
            Blocker::OpenPayments { count } => {
                write!(f, "{count} live payments are open: capture, cancel or wait for them")
            }
        }
    }
}
