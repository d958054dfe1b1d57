//! Code that speaks to payment service providers. Data in, data out: no connector sees the engine's
//! tables or opens its transactions.
//!
//! Every call carries our own reference (attempt, refund or payout id), which the provider must treat as an
//! idempotency key: the same reference again is the same charge, not another.

pub mod sandbox;

use domain::currency::Currency;
use domain::outcome::{AuthoriseOutcome, ChangeOutcome, Decline, PayoutOutcome};
use domain::payment_method::{MethodFacts, MethodKind, Wallet};
use domain::payout::{AccountNumber, Destination};
use domain::time::Timestamp;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// An answer that takes its time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A request to take or reserve money.
#[derive(Clone, Debug)]
pub struct AuthoriseOrder {
    /// Our attempt id.
    pub attempt: String,
    /// The provider's name for the payment method.
    pub token: String,
    /// Minor units.
    pub amount: i64,
    pub currency: Currency,
    /// Take the money at once instead of reserving it.
    pub capture: bool,
    /// The payer is not there to answer a challenge.
    pub off_session: bool,
    /// The merchant cannot show the payer a challenge: decline instead of asking for one.
    pub decline_on_challenge: bool,
    /// The method was saved by this customer before.
    pub saved: bool,
    /// The payment's own time: a test clock's, where it has one.
    pub now: Timestamp,
}

/// How the payer's challenge ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeAnswer {
    Passed,
    Failed,
    /// The payer walked away, or the time ran out.
    Abandoned,
}

/// A change of what was authorised or captured.
#[derive(Clone, Debug)]
pub struct ChangeOrder {
    /// Our attempt id.
    pub attempt: String,
    /// Minor units: to capture, or the new total of an increment. Ignored by a void.
    pub amount: i64,
    pub now: Timestamp,
}

/// A request to give money back.
#[derive(Clone, Debug)]
pub struct RefundOrder {
    /// Our refund id.
    pub refund: String,
    /// Our attempt id.
    pub attempt: String,
    /// Minor units.
    pub amount: i64,
    pub now: Timestamp,
}

/// A request to pay money out.
#[derive(Clone, Debug)]
pub struct PayoutOrder {
    /// Our payout id.
    pub payout: String,
    /// Minor units.
    pub amount: i64,
    pub currency: Currency,
    pub account: AccountNumber,
    /// Whose account it is, and at which bank.
    pub destination: Destination,
    /// What the recipient may see beside it.
    pub description: Option<String>,
    pub now: Timestamp,
}

/// A method as a provider knows it.
#[derive(Clone, Debug)]
pub struct Tokenised {
    pub facts: MethodFacts,
    /// What to send in place of the number from now on.
    pub token: String,
}

/// Why a method cannot be made from what was sent.
#[derive(Clone, Debug)]
pub enum TokeniseRefusal {
    /// No such ready-made method.
    UnknownToken,
    /// The data is wrong or the bank refuses; like a decline, with the field it is about.
    Card { decline: Decline, param: &'static str },
    /// The ready-made method needs something that this gateway does not do yet.
    NotYet(&'static str),
}

/// What a method is made from.
pub enum MethodInput<'a> {
    /// A ready-made test method, such as `pm_card_visa`.
    ReadyMade(&'a str),
    Card {
        number: &'a domain::card::CardNumber,
        exp_month: u8,
        exp_year: u16,
        has_cvc: bool,
    },
    Iban(&'a domain::bank::Iban),
    /// A card from a wallet; the sandbox stands in for the wallet's sheet.
    Wallet(Wallet),
    /// The payer approves on the provider's own page.
    Paypal,
}

/// What a provider of one kind needs to be set up.
#[derive(Clone, Copy, Debug)]
pub struct ConnectorProfile {
    /// For people.
    pub title: &'static str,
    /// Whether it moves real money; one that does not is for test mode only.
    pub live: bool,
    pub fields: &'static [CredentialField],
}

/// One thing that an operator enters.
#[derive(Clone, Copy, Debug)]
pub struct CredentialField {
    pub name: &'static str,
    /// Shown masked once it is stored.
    pub secret: bool,
    pub required: bool,
    /// What it is, and where to find it.
    pub help: &'static str,
}

/// One kind of provider.
pub trait Connector: Send + Sync {
    /// The name in `providers.connector`.
    fn name(&self) -> &'static str;

    /// What an operator is told of it and asked for.
    fn profile(&self) -> ConnectorProfile;

    /// Asks the provider whether it takes these credentials, by the names of the profile's fields. The error says
    /// why not.
    fn check(&self, credentials: Vec<(String, String)>) -> Answer<'_, Result<(), String>>;

    /// Whether payment pages may offer this kind of method.
    fn offers(&self, kind: MethodKind) -> bool;

    /// Whether payment pages may offer cards from wallets.
    fn wallets(&self) -> bool;

    /// Turns what the payer gave into a method. `fingerprint` makes a keyed digest of a number.
    fn tokenise(
        &self,
        input: &MethodInput<'_>,
        fingerprint: &dyn Fn(&str) -> String,
    ) -> Result<Tokenised, TokeniseRefusal>;

    /// Whether the method may be saved for a customer; some are refused at that moment already.
    fn may_save(&self, token: &str) -> Result<(), Decline>;

    fn authorise(&self, order: AuthoriseOrder) -> Answer<'_, AuthoriseOutcome>;

    /// Goes on after the payer's challenge.
    fn authenticated(&self, order: AuthoriseOrder, answer: ChallengeAnswer) -> Answer<'_, AuthoriseOutcome>;

    /// What became of an attempt. `NotFound` only if the provider is sure never to have seen it.
    fn find_attempt(&self, attempt: String, now: Timestamp) -> Answer<'_, AuthoriseOutcome>;

    fn capture(&self, order: ChangeOrder) -> Answer<'_, ChangeOutcome>;

    fn void(&self, order: ChangeOrder) -> Answer<'_, ChangeOutcome>;

    fn increment(&self, order: ChangeOrder) -> Answer<'_, ChangeOutcome>;

    /// Undoes a charge altogether, authorised or captured: for an approval that came after the payment
    /// had been given up.
    fn reverse(&self, order: ChangeOrder) -> Answer<'_, ChangeOutcome>;

    fn refund(&self, order: RefundOrder) -> Answer<'_, ChangeOutcome>;

    fn find_refund(&self, refund: String, now: Timestamp) -> Answer<'_, ChangeOutcome>;

    fn payout(&self, order: PayoutOrder) -> Answer<'_, PayoutOutcome>;

    /// What became of a payout. `NotFound` only if the provider is sure never to have seen it.
    fn find_payout(&self, payout: String, now: Timestamp) -> Answer<'_, PayoutOutcome>;

    /// Stops a payout that is not on its way yet. What it is afterwards: `Canceled` only if it will never
    /// be paid.
    fn cancel_payout(&self, payout: String, now: Timestamp) -> Answer<'_, PayoutOutcome>;
}

/// The connectors of this build, by name.
#[derive(Clone, Default)]
pub struct Connectors {
    by_name: HashMap<&'static str, Arc<dyn Connector>>,
}

impl Connectors {
    pub fn with(mut self, connector: Arc<dyn Connector>) -> Connectors {
        self.by_name.insert(connector.name(), connector);
        self
    }

    /// Every connector, by name.
    pub fn all(&self) -> Vec<Arc<dyn Connector>> {
        let mut all: Vec<_> = self.by_name.values().cloned().collect();
        all.sort_by_key(|connector| connector.name());
        all
    }

    pub fn get(&self, name: &str) -> Option<Arc<dyn Connector>> {
        self.by_name.get(name).cloned()
    }
}
