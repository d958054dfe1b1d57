//! What a provider can answer, in our words. Connectors translate into these; the state machines
//! consume them. There is no variant for a guess.

use crate::text_enum;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Why the payer's bank or the provider said no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decline {
    /// Machine-readable code of the failure, e.g. `card_declined`.
    pub code: String,
    /// The issuer's reason where it gave one, e.g. `insufficient_funds`.
    pub decline_code: Option<String>,
    /// For people. Never says "lost" or "stolen" to a buyer.
    pub message: String,
    /// Whether the attempt reached the issuer and so belongs in lists of charges.
    pub reached_issuer: bool,
    /// Refused by a risk rule before the issuer was asked.
    pub blocked: bool,
}

text_enum! {
    pub enum RiskLevel { Normal = "normal", Elevated = "elevated", Highest = "highest", NotAssessed = "not_assessed" }
}

/// Facts that come with an approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Money was moved already (a sale), not only reserved.
    pub captured: bool,
    /// The funds skip the settlement delay.
    pub available_at_once: bool,
    pub risk: RiskLevel,
    /// Whether the payer was authenticated (3DS), and how.
    pub authenticated: Option<String>,
}

/// Answer to an authorisation, to the end of a challenge, or to a later query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthoriseOutcome {
    Approved(Approval),
    Declined(Decline),
    /// The payer must prove who they are first.
    Challenge,
    /// Accepted, and will settle or fail later; ask again then.
    Pending {
        check_at: Timestamp,
    },
    /// No usable answer. The truth is unknown until a query tells it.
    Unknown,
    /// Answer to a query only: the provider has never seen this reference.
    NotFound,
}

/// Answer to a capture, a void or a refund, and to a query about one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeOutcome {
    Done,
    Refused { reason: String },
    Pending { check_at: Timestamp },
    Unknown,
    NotFound,
}

/// Answer to a payout, to its cancellation, and to a query about one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayoutOutcome {
    Paid,
    /// Accepted and not sent to the bank yet: can still be canceled.
    Accepted {
        check_at: Timestamp,
    },
    /// On its way to the bank; ask again then.
    InTransit {
        check_at: Timestamp,
    },
    /// It did not reach the account, and the money is back.
    Failed {
        /// Machine-readable, e.g. `account_closed`.
        code: String,
        /// For people.
        message: String,
    },
    /// Never sent, and never will be.
    Canceled,
    /// No usable answer. The truth is unknown until a query tells it.
    Unknown,
    /// The provider has never seen this reference.
    NotFound,
}
