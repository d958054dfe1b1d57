//! What renderers see: objects with what belongs to them, never rows. The same views, serialised and
//! versioned, are the snapshots of events.

use crate::error::Error;
use domain::attempt::Attempt;
use domain::balance::CurrencyBalance;
use domain::bank_account::BankAccount;
use domain::card_testing::CardTestingAlert;
use domain::checkout::Checkout;
use domain::client::ClientFacts;
use domain::currency::Currency;
use domain::customer::Customer;
use domain::event::Event;
use domain::gate_operation::GateOperation;
use domain::gate_transaction::GateTransaction;
use domain::id::AttemptId;
use domain::merchant::MerchantProfile;
use domain::payment::Payment;
use domain::payment_method::{MethodFacts, PaymentMethod};
use domain::payout::Payout;
use domain::refund::Refund;
use domain::site_checkout::SiteCheckout;
use domain::site_transaction::SiteNotice;
use domain::storefront::Storefront;
use domain::test_clock::TestClock;
use domain::time::Timestamp;
use domain::webhook::{Delivery, DeliveryStatus, WebhookEndpoint};
use serde::{Deserialize, Serialize};
use store::Tx;
use store::webhooks::DeliveryAttempt;

/// Version of the serialised form below. Fields may be added with a default; anything else needs a
/// new number and code that still reads the old one.
pub const SNAPSHOT_VERSION: u32 = 1;

/// A payment and what its surfaces show with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PaymentView {
    pub payment: Payment,
    /// The method of the last failed attempt.
    #[serde(default)]
    pub failed_method: Option<PaymentMethod>,
}

/// One try to collect a payment, with the payment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChargeView {
    pub attempt: Attempt,
    pub payment: Payment,
}

/// A transaction as Gate shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GateView {
    pub transaction: GateTransaction,
    pub operations: Vec<GateOperation>,
    pub service: ServiceView,
    /// What paid, or was last tried.
    pub method: Option<MethodFacts>,
    /// The payer's integer on Gate.
    pub payer: Option<i64>,
    /// The provider's integer on Gate: of the last try, or the one that a first try would go to.
    pub provider: Option<i64>,
}

/// A Gate service with its merchant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServiceView {
    pub storefront: Storefront,
    pub fee_group: String,
    pub webhooks: Vec<ServiceWebhook>,
    /// Up to [`crate::gate::TRANSACTIONS_COUNTED`].
    pub transactions: i64,
    pub merchant_number: i64,
    pub merchant_name: String,
    pub merchant: MerchantProfile,
    pub merchant_created_at: Timestamp,
}

/// A webhook of a service as Gate shows it, with its integer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServiceWebhook {
    pub number: i64,
    pub url: String,
    pub active: bool,
    pub created_at: Timestamp,
}

/// A checkout with its payment, as the Admin API shows it.
#[derive(Clone, Debug)]
pub struct SiteCheckoutView {
    pub payment: Payment,
    pub checkout: Checkout,
    /// `None` for one that another surface made.
    pub site: Option<SiteCheckout>,
    /// Its tries, oldest first.
    pub attempts: Vec<AttemptId>,
}

/// A customer, or that there was one.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "one a request, and the large variant is the common one")]
pub enum KnownCustomer {
    Present(Customer),
    Erased(domain::id::CustomerId),
}

/// A customer as the Admin API shows it.
#[derive(Clone, Debug)]
pub struct ClientView {
    pub customer: Customer,
    pub facts: ClientFacts,
    pub updated_at: Timestamp,
    /// What it has paid and not got back, by currency; where a single client is shown.
    pub lifetime_value: Option<Vec<(Currency, i64)>>,
}

/// A transaction of the Admin API: one try, and what came of it.
#[derive(Clone, Debug)]
pub struct SiteTransactionView {
    pub attempt: Attempt,
    pub payment: Payment,
    /// What the shop said at the checkout; `None` for a payment of another surface.
    pub site: Option<SiteCheckout>,
    pub refunds: Vec<Refund>,
    /// How often its notices were sent, all together.
    pub notice_attempts: i64,
    /// The latest notice, with its attempts.
    pub last_notice: Option<(DeliveryStatus, Vec<DeliveryAttempt>)>,
}

/// An endpoint, with its secret where it may be shown: at creation and rotation.
#[derive(Clone, Debug)]
pub struct EndpointView {
    pub endpoint: WebhookEndpoint,
    pub secret: Option<String>,
}

#[derive(Clone, Debug)]
pub struct DeliveryView {
    pub delivery: Delivery,
    pub event_type: String,
    pub attempts: Vec<DeliveryAttempt>,
}

/// An event with its frozen object.
#[derive(Clone, Debug)]
pub struct EventView {
    pub event: Event,
    pub snapshot: Snapshot,
    pub pending_deliveries: i64,
}

/// The objects of one commit as they were then; its events pick theirs by type.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    pub v: u32,
    pub payment: Option<PaymentView>,
    pub attempt: Option<Attempt>,
    pub refund: Option<Refund>,
    pub payout: Option<Payout>,
    pub customer: Option<Customer>,
    pub method: Option<PaymentMethod>,
    pub clock: Option<TestClock>,
    pub balances: Option<Vec<Balance>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<CardTestingAlert>,
    /// What Gate services are told, where there is one to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateView>,
    /// What the shop is told, where a checkout names an address for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub site: Vec<SiteNotice>,
    /// What an updated object was before, for events that say what changed.
    pub previous: Option<Box<Snapshot>>,
}

/// A merchant's balance in one currency as a snapshot keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Balance {
    pub currency: Currency,
    pub pending: i64,
    pub available: i64,
}

impl From<&CurrencyBalance> for Balance {
    fn from(b: &CurrencyBalance) -> Self {
        Balance { currency: b.currency, pending: b.pending, available: b.available }
    }
}

/// What a command shows.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "one a request, and the large variant is the common one")]
pub enum View {
    Payment(PaymentView),
    Refund(Refund),
    Payout(Payout),
    Customer(Customer),
    CustomerErased(domain::id::CustomerId),
    BankAccount(BankAccount),
    BankAccountDeleted(domain::id::BankAccountId),
    PaymentMethod(PaymentMethod),
    Endpoint(EndpointView),
    EndpointDeleted(domain::id::WebhookEndpointId),
    Event(Box<EventView>),
    Clock(TestClock),
    ClockDeleted(domain::id::ClockId),
    SiteCheckout(Box<SiteCheckoutView>),
    SiteTransaction(Box<SiteTransactionView>),
    Client(Box<ClientView>),
}

/// How a command ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    Done(View),
    /// The payment was declined: recorded, and the payment is open for another try.
    Declined(PaymentView),
    /// The provider refused to change the payment, for its own reason: it stands as before.
    Refused {
        payment: PaymentView,
        reason: String,
    },
    /// The provider could not cancel the payout any more.
    NotCanceled(Box<Payout>),
}

/// The view of a payment that was just read or changed in `tx`.
pub(crate) fn payment_view(tx: &mut Tx<'_>, payment: Payment) -> Result<PaymentView, Error> {
    let failed = payment.last_error.as_ref().and_then(|e| e.payment_method);
    let failed_method = match failed {
        Some(id) => store::payment_methods::get(tx, payment.scope, id)?,
        None => None,
    };
    Ok(PaymentView { payment, failed_method })
}
