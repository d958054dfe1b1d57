//! Every way in which a command can be refused. Each surface maps this exhaustively to its own
//! envelope; there is no catch-all variant to hide a new one in.

use crate::view::PaymentView;
use domain::gate_transaction::CancelRefusal;
use domain::outcome::Decline;
use domain::payment::Refusal;
use domain::payout::{Payout, PayoutRefusal};
use domain::refund::RefundRefusal;
use domain::session::SignInRefusal;
use domain::test_clock::AdvanceRefusal;
use domain::webhook::WebhookEndpoint;
use store::StoreError;

#[derive(Debug)]
pub enum Error {
    /// The object that the request is about does not exist for this merchant and mode.
    NotFound {
        kind: &'static str,
        id: String,
    },
    /// A parameter names an object that does not exist for this merchant and mode.
    Missing {
        param: String,
        kind: &'static str,
        id: String,
    },
    /// A parameter is wrong in a way that only the engine can see.
    Invalid {
        param: Option<String>,
        code: &'static str,
        message: String,
    },
    /// The payment's state or facts do not allow the command. With the payment as it is stored, unless
    /// the refused command was to create it.
    Payment {
        refusal: Refusal,
        payment: Option<Box<PaymentView>>,
    },
    Refund {
        refusal: RefundRefusal,
        payment: Box<PaymentView>,
    },
    /// With the payout as it is stored, unless the refused command was to create it.
    Payout {
        refusal: PayoutRefusal,
        payout: Option<Box<Payout>>,
    },
    /// Card data is wrong, or the bank refuses to have the card saved.
    Card {
        decline: Decline,
        param: Option<&'static str>,
    },
    /// A test method that needs something which does not exist yet.
    NotYet {
        param: String,
        what: &'static str,
    },
    /// The idempotency key was used for another request.
    IdempotencyMismatch {
        key: String,
    },
    /// The first request with this key has not ended.
    IdempotencyInUse {
        key: String,
    },
    /// The merchant leaves, and only winds up; or it has left.
    Offboarding {
        ends_at: domain::time::Timestamp,
        closed: bool,
    },
    /// No enabled provider for this merchant and mode.
    ProviderNotConfigured,
    /// The merchant's fee group has no rule for this currency.
    FeeNotConfigured {
        currency: domain::currency::Currency,
    },
    /// The merchant gave another object this name, or made this one with another request.
    NameTaken {
        param: String,
        name: String,
    },
    /// A Gate transaction that cannot be canceled.
    GateCancel(CancelRefusal),
    Clock(AdvanceRefusal),
    /// Something else needs the object, so it cannot be deleted.
    InUse {
        kind: &'static str,
        message: String,
    },
    /// The caller would give or get more than it may do itself.
    Forbidden {
        code: &'static str,
        message: String,
    },
    /// The object's state does not allow it; the message says what would.
    Conflict {
        code: &'static str,
        message: String,
    },
    /// Somebody cannot sign in, or may not do what only people do.
    SignIn(SignInRefusal),
    /// A limit of objects is reached.
    Limit {
        what: &'static str,
        max: usize,
    },
    /// The challenge was answered before, lapsed, or never existed.
    ChallengeGone,
    WebhookEndpointDisabled(Box<WebhookEndpoint>),
    Store(StoreError),
    /// A defect; the text goes to the log, not to the client.
    Internal(String),
}

impl From<StoreError> for Error {
    fn from(e: StoreError) -> Self {
        Error::Store(e)
    }
}

impl From<SignInRefusal> for Error {
    fn from(refusal: SignInRefusal) -> Self {
        Error::SignIn(refusal)
    }
}

impl Error {
    pub(crate) fn not_found(kind: &'static str, id: impl ToString) -> Error {
        Error::NotFound { kind, id: id.to_string() }
    }

    pub(crate) fn missing(param: &str, kind: &'static str, id: impl ToString) -> Error {
        Error::Missing { param: param.to_owned(), kind, id: id.to_string() }
    }

    pub(crate) fn invalid(param: &str, code: &'static str, message: impl Into<String>) -> Error {
        Error::Invalid { param: Some(param.to_owned()), code, message: message.into() }
    }
}
