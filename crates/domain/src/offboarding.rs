//! How an organisation leaves: first it only reads, for a time of grace in which it can come back, then it is closed.
//! What it did stays in the books.

use crate::currency::Currency;
use crate::ledger::AccountKind;
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
    /// Whoever let it leave knows of its balances, and settles them elsewhere.
    pub accepts_balances: bool,
    pub closed_at: Option<Timestamp>,
}

impl Offboarding {
    pub fn begin(new: NewOffboarding, now: Timestamp) -> Offboarding {
        Offboarding {
            started_at: now,
            ends_at: now.plus(new.grace_days * DAY),
            reason: new.reason,
            accepts_balances: new.accepts_balances,
            closed_at: None,
        }
    }

    pub const fn status(&self) -> MerchantStatus {
        if self.closed_at.is_some() { MerchantStatus::Closed } else { MerchantStatus::Offboarding }
    }
}

/// How an organisation is to leave.
#[derive(Clone, Debug)]
pub struct NewOffboarding {
    pub grace_days: i64,
    pub reason: Option<String>,
    pub accepts_balances: bool,
}

impl Default for NewOffboarding {
    fn default() -> Self {
        NewOffboarding { grace_days: GRACE_DAYS_USUAL, reason: None, accepts_balances: false }
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
    Balance { account: AccountKind, currency: Currency, amount: i64 },
    /// Payments that are authorised, or of which the end is not known.
    OpenPayments { count: i64 },
}

impl Blocker {
    /// Whether it holds up an organisation whose balances are accepted: what is in transit comes to its end first.
    pub const fn holds_up(&self, accepts_balances: bool) -> bool {
        match self {
            Blocker::Balance {
                account: AccountKind::MerchantPending | AccountKind::MerchantAvailable,
                ..
            } => !accepts_balances,
            Blocker::Balance { .. } | Blocker::OpenPayments { .. } => true,
        }
    }
}

impl std::fmt::Display for Blocker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Blocker::Balance { account, currency, amount } => {
                let (what, minor) =
                    if *amount < 0 { ("is owed", amount.saturating_neg()) } else { ("holds", *amount) };
                write!(f, "{account} {what} {minor} minor units of {currency}")
            }
            Blocker::OpenPayments { count } => write!(f, "live payments that are open: {count}"),
        }
    }
}
