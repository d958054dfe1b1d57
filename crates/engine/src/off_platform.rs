//! Payments that reach the merchant without us, as it writes them down. No provider is asked, no balance changes, no
//! fee is taken: see [`domain::off_platform`].

use crate::call::{Call, Reply};
use crate::emit::{Cause, News};
use crate::error::Error;
use crate::payments::{self, CreatePayment, confirm, create, refuse};
use crate::provider::MethodChoice;
use crate::refunds::{self, CreateRefund};
use crate::site_checkouts::Payer;
use crate::view::{Snapshot, View, payment_view};
use crate::{Engine, site_transactions, sites};
use connectors::Tokenised;
use domain::Metadata;
use domain::attempt::{Attempt, AttemptStatus};
use domain::currency::Currency;
use domain::event::EventType;
use domain::id::{AttemptId, CustomerId, JournalId, PaymentId, ProviderId, RefundId, StorefrontId, TypedId};
use domain::ledger::recipes;
use domain::merchant::Provider;
use domain::off_platform::{self, OffPlatformFacts, OffPlatformKind};
use domain::payment::{
    CONFIRMABLE, CancellationReason, CaptureMethod, Payment, PaymentDetails, PaymentStatus,
};
use domain::payment_method::{BillingDetails, MethodFacts, MethodKind};
use domain::refund::{Refund, RefundStatus};
use domain::scope::Scope;
use domain::site_checkout::SiteCheckout;
use domain::time::Timestamp;
use store::Tx;

/// What was paid for.
#[derive(Clone, Debug)]
pub enum PaidFor {
    /// A checkout that is open. Amount and currency are checked against it where they are named.
    Checkout { id: PaymentId, amount: Option<i64>, currency: Option<Currency> },
    /// Something that had no checkout.
    Order(Box<Order>),
}

#[derive(Clone, Debug)]
pub struct Order {
    pub site: StorefrontId,
    /// Minor units.
    pub amount: i64,
    pub currency: Currency,
    pub email: Option<String>,
    pub client: Option<CustomerId>,
    pub description: Option<String>,
    pub external_reference: Option<String>,
    pub invoice_number: Option<String>,
    pub metadata: Metadata,
}

/// A payment as a merchant writes it down.
#[derive(Clone, Debug)]
pub struct OffPlatformPayment {
    pub paid_for: PaidFor,
    pub kind: OffPlatformKind,
    pub reference: Option<String>,
    /// Whether the money is there, or awaited.
    pub received: bool,
    /// When it came; now if `None`.
    pub paid_at: Option<Timestamp>,
}

/// What a merchant says when awaited money came.
#[derive(Clone, Debug)]
pub struct Paid {
    /// Minor units; must be what was awaited.
    pub amount: Option<i64>,
    pub reference: Option<String>,
    /// Now if `None`.
    pub at: Option<Timestamp>,
}

impl Engine {
    /// Writes down a payment that went past us.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Missing`] for a site, client or checkout that is not there;
    /// [`Error::Conflict`] for a checkout that cannot be paid; [`Error::Invalid`] for a time to come, or an amount
    /// that is not the checkout's.
    pub async fn record_off_platform(&self, call: &Call, new: OffPlatformPayment) -> Result<Reply, Error> {
        self.command(call, move |engine, tx, call| {
            let (scope, cause) = (call.caller.scope, Cause::from(call));
            let mut payment = match &new.paid_for {
                PaidFor::Checkout { id, amount, currency } => {
                    checkout_to_pay(engine, tx, scope, *id, *amount, *currency)?
                }
                PaidFor::Order(order) => engine.order_payment(tx, &cause, scope, order)?,
            };
            let at = engine.object_time(tx, scope, payment.clock)?;
            let paid_at = if new.received { Some(engine.paid_at(new.paid_at, at)?) } else { None };
            let waiting =
                (payment.status == PaymentStatus::RequiresAction).then_some(payment.latest_attempt).flatten();
            let facts = OffPlatformFacts { kind: new.kind, reference: new.reference.clone(), paid_at };
            let mut attempt = engine.begin_off_platform(tx, &mut payment, facts, at)?;
            if let Some(old) = waiting {
                engine.give_up_attempt(tx, scope, old)?;
            }
            let events = if new.received {
                engine.receive(tx, &mut payment, &mut attempt, at)?;
                RECEIVED
            } else {
                &[EventType::ChargePending, EventType::PaymentIntentProcessing]
            };
            store::attempts::insert(tx, &attempt)?;
            let said = if new.received { "received" } else { "awaited" };
            let detail = format!("{} {} off the platform, {said}", payment.total(), payment.currency);
            engine.audit_money(tx, call, attempt.id.0.hex(), detail)?;
            engine.tell(tx, &cause, payment, attempt, events, at)
        })
        .await
    }

    /// The money that was awaited is there.
    ///
    /// # Errors
    /// [`Error::Conflict`] for a transaction that does not wait for such money; [`Error::Invalid`] for another amount.
    pub async fn mark_paid(&self, call: &Call, id: AttemptId, paid: Paid) -> Result<Reply, Error> {
        self.command(call, move |engine, tx, call| {
            let scope = call.caller.scope;
            let payment = site_transactions::present(tx, scope, id)?.payment;
            let mut payment = payments::lock(tx, scope, payment)?;
            let mut attempt = site_transactions::present(tx, scope, id)?;
            if !off_platform::is_awaited(&payment, &attempt) {
                return Err(not_awaited(&attempt));
            }
            let at = engine.object_time(tx, scope, payment.clock)?;
            if let Some(amount) = paid.amount.filter(|amount| *amount != attempt.amount) {
                let message = format!(
                    "amount is {amount}, and {} was awaited. Cancel the transaction and record what came.",
                    attempt.amount
                );
                return Err(Error::invalid("amount", "amount_mismatch", message));
            }
            let paid_at = engine.paid_at(paid.at, at)?;
            if let MethodFacts::OffPlatform(facts) = &mut attempt.method {
                facts.paid_at = Some(paid_at);
                facts.reference = paid.reference.clone().or(facts.reference.take());
            }
            engine.receive(tx, &mut payment, &mut attempt, at)?;
            store::attempts::set_method(tx, &attempt)?;
            if let Some(mut method) = store::payment_methods::lock(tx, scope, attempt.payment_method)? {
                method.facts.clone_from(&attempt.method);
                store::payment_methods::update(tx, &method)?;
            }
            store::attempts::update(tx, &attempt)?;
            engine.audit_money(tx, call, id.0.hex(), "marked as paid")?;
            engine.tell(tx, &Cause::from(call), payment, attempt, RECEIVED, at)
        })
        .await
    }

    /// Ends a payment whose money is awaited off the platform; `None` if it waits for something else. The caller
    /// holds the payment's row lock.
    pub(crate) fn call_off(
        &self,
        tx: &mut Tx<'_>,
        cause: &Cause,
        payment: &Payment,
        reason: Option<CancellationReason>,
        at: Timestamp,
    ) -> Result<Option<View>, Error> {
        if payment.status != PaymentStatus::Processing {
            return Ok(None);
        }
        let Some(latest) = payment.latest_attempt else { return Ok(None) };
        let attempt = store::attempts::get(tx, payment.scope, latest)?;
        let awaited = attempt.filter(|attempt| off_platform::is_awaited(payment, attempt));
        let Some(mut attempt) = awaited else { return Ok(None) };
        let mut payment = payment.clone();
        off_platform::call_off(&mut payment, &mut attempt, reason, at);
        store::attempts::update(tx, &attempt)?;
        self.tell(tx, cause, payment, attempt, off_platform::CALLED_OFF, at).map(Some)
    }

    /// A refund of money that went past us: the merchant has given it back itself. Done at once.
    ///
    /// # Errors
    /// [`Error::Refund`] as for every other refund, but for the balance, which it does not touch.
    pub(crate) fn return_off_platform(
        &self,
        tx: &mut Tx<'_>,
        call: &Call,
        mut payment: Payment,
        mut attempt: Attempt,
        new: &CreateRefund,
    ) -> Result<Refund, Error> {
        let amount = match refunds::asked_amount(tx, &payment, new.amount)? {
            Ok(amount) => amount,
            Err(refusal) => {
                let payment = Box::new(payment_view(tx, payment)?);
                return Err(Error::Refund { refusal, payment });
            }
        };
        let at = self.object_time(tx, payment.scope, payment.clock)?;
        let (id, journal): (RefundId, JournalId) = (self.ids.next(), self.ids.next());
        let refund = Refund {
            id,
            scope: payment.scope,
            payment: payment.id,
            attempt: attempt.id,
            amount,
            currency: payment.currency,
            status: RefundStatus::Succeeded,
            reason: new.reason,
            failure_reason: None,
            from_pending: 0,
            shortfall: 0,
            journal,
            failure_journal: None,
            off_platform: true,
            metadata: new.metadata.clone(),
            clock: payment.clock,
            created_at: at,
        };
        store::ledger::post(tx, &recipes::off_platform_returned(&refund, at), journal, self.now())?;
        payment.amount_refunded += amount;
        attempt.amount_refunded += amount;
        store::refunds::insert(tx, &refund)?;
        store::attempts::update(tx, &attempt)?;
        store::payments::update(tx, &payment)?;
        let news = [
            News::new(EventType::RefundCreated, id.core()),
            News::new(EventType::RefundUpdated, id.core()),
            News::new(EventType::ChargeRefunded, attempt.id.core()),
        ];
        let snapshot = Snapshot {
            payment: Some(payment_view(tx, payment)?),
            attempt: Some(attempt),
            refund: Some(refund.clone()),
            ..Snapshot::default()
        };
        self.emit(tx, refund.scope, &Cause::from(call), at, snapshot, &news)?;
        Ok(refund)
    }

    /// The payment of an order that had no checkout, as it begins.
    fn order_payment(
        &self,
        tx: &mut Tx<'_>,
        cause: &Cause,
        scope: Scope,
        order: &Order,
    ) -> Result<Payment, Error> {
        sites::present(tx, scope, order.site).map_err(|e| match e {
            Error::NotFound { kind, id } => Error::missing("siteId", kind, id),
            other => other,
        })?;
        let payer = Payer { client: order.client, email: order.email.as_deref(), ..Payer::default() };
        let payer = self.site_payer(tx, cause, scope, payer)?;
        let (customer, clock) = payer.map_or((None, None), |(id, clock)| (Some(id), clock));
        let wanted = CreatePayment {
            amount: order.amount,
            currency: order.currency,
            capture_method: CaptureMethod::Automatic,
            customer,
            method: MethodChoice::Keep,
            details: PaymentDetails {
                description: order.description.clone(),
                payment_method_types: vec![MethodKind::OffPlatform],
                ..PaymentDetails::default()
            },
            metadata: order.metadata.clone(),
            confirm: false,
        };
        let payment = create::new_payment(self, tx, scope, &wanted, order.site, clock)?;
        store::payments::insert(tx, &payment)?;
        let facts = SiteCheckout {
            payment: payment.id,
            scope,
            external_reference: order.external_reference.clone(),
            invoice_number: order.invoice_number.clone(),
            items: Vec::new(),
            billing: None,
            shipping: None,
            ipn_url: None,
            ipn_version: 1,
        };
        store::site_checkouts::insert(tx, &facts)?;
        let created = [News::new(EventType::PaymentIntentCreated, payment.id.core())];
        let snapshot = Snapshot { payment: Some(payment_view(tx, payment.clone())?), ..Snapshot::default() };
        self.emit(tx, scope, cause, payment.created_at, snapshot, &created)?;
        Ok(payment)
    }

    /// Begins the try that stands for the money; not stored yet.
    fn begin_off_platform(
        &self,
        tx: &mut Tx<'_>,
        payment: &mut Payment,
        facts: OffPlatformFacts,
        at: Timestamp,
    ) -> Result<Attempt, Error> {
        let scope = payment.scope;
        let provider = self.off_platform_provider(tx, scope)?;
        let tokenised = Tokenised { facts: MethodFacts::OffPlatform(facts), token: String::new() };
        let mut method = self.new_method(scope, tokenised, BillingDetails::default(), Vec::new());
        // It stands for money that came once.
        method.used_up = true;
        let id: AttemptId = self.ids.next();
        if let Err(refusal) = off_platform::begin(payment, id, provider.id, method.id) {
            return Err(refuse(tx, scope, payment.id, refusal));
        }
        store::payment_methods::insert(tx, &method)?;
        Ok(Attempt {
            status: AttemptStatus::Processing,
            listed: true,
            ..confirm::new_attempt(payment, &method, &provider, id, 0, at)
        })
    }

    /// What such attempts name as their provider.
    fn off_platform_provider(&self, tx: &mut Tx<'_>, scope: Scope) -> Result<Provider, Error> {
        let id = match store::providers::off_platform(tx, scope)? {
            Some(id) => id,
            None => {
                // Of two first payments at the same time one waits here, and finds the other's.
                store::merchants::lock_mode(tx, scope)?;
                match store::providers::off_platform(tx, scope)? {
                    Some(id) => id,
                    None => self.make_off_platform_provider(tx, scope)?,
                }
            }
        };
        store::providers::get(tx, scope, id)?
            .ok_or_else(|| Error::Internal("the provider of payments off the platform is missing".to_owned()))
    }

    fn make_off_platform_provider(&self, tx: &mut Tx<'_>, scope: Scope) -> Result<ProviderId, Error> {
        let now = self.now();
        let provider = Provider {
            id: self.ids.next(),
            scope,
            connector: off_platform::CONNECTOR.to_owned(),
            name: "Off the platform".to_owned(),
            enabled: false,
            shown: Vec::new(),
            check: None,
            created_at: now,
            updated_at: now,
        };
        store::providers::insert(tx, &provider, None)?;
        store::providers::delete(tx, provider.id, now)?;
        Ok(provider.id)
    }

    /// Books the money; the attempt is not written yet.
    fn receive(
        &self,
        tx: &mut Tx<'_>,
        payment: &mut Payment,
        attempt: &mut Attempt,
        at: Timestamp,
    ) -> Result<(), Error> {
        off_platform::received(payment, attempt);
        let draft = recipes::off_platform_received(payment, attempt.amount, at);
        attempt.journal = Some(self.post_journal(tx, &draft)?);
        Ok(())
    }

    /// Writes the payment, and tells of it.
    fn tell(
        &self,
        tx: &mut Tx<'_>,
        cause: &Cause,
        payment: Payment,
        attempt: Attempt,
        events: &[EventType],
        at: Timestamp,
    ) -> Result<View, Error> {
        store::payments::update(tx, &payment)?;
        let scope = payment.scope;
        let news: Vec<News> =
            events.iter().map(|t| News::new(*t, payments::object_of(*t, &payment, &attempt))).collect();
        let view = payment_view(tx, payment)?;
        let snapshot =
            Snapshot { payment: Some(view.clone()), attempt: Some(attempt), ..Snapshot::default() };
        self.emit(tx, scope, cause, at, snapshot, &news)?;
        Ok(View::Payment(view))
    }

    /// When the money came: what the merchant says, within [`off_platform::PAID_AT_US`].
    fn paid_at(&self, said: Option<Timestamp>, at: Timestamp) -> Result<Timestamp, Error> {
        let Some(said) = said else { return Ok(at) };
        let now = at.max(self.now());
        let (back, ahead) = off_platform::PAID_AT_US;
        if said > now.plus(ahead) {
            let message = "paidAt lies in the future. Leave it out while the money is awaited.";
            return Err(Error::invalid("paidAt", "instant_in_future", message));
        }
        if said < now.plus(-back) {
            let message = "paidAt lies more than ten years back.";
            return Err(Error::invalid("paidAt", "instant_too_old", message));
        }
        Ok(said)
    }
}

const RECEIVED: &[EventType] = &[EventType::ChargeSucceeded, EventType::PaymentIntentSucceeded];

/// A checkout of this surface that can be paid, locked.
fn checkout_to_pay(
    engine: &Engine,
    tx: &mut Tx<'_>,
    scope: Scope,
    id: PaymentId,
    amount: Option<i64>,
    currency: Option<Currency>,
) -> Result<Payment, Error> {
    let missing = || Error::missing("checkoutId", "checkout", id.0.hex());
    let payment = store::payments::lock(tx, scope, id)?.filter(|p| p.checkout).ok_or_else(missing)?;
    let checkout = store::checkouts::of_payment(tx, scope, id)?.ok_or_else(missing)?;
    let conflict = |code, message: &str| Err(Error::Conflict { code, message: message.to_owned() });
    if store::site_checkouts::of_payment(tx, scope, id)?.is_none() {
        let message = "This checkout was made over another API, which knows no payments off the platform.";
        return conflict("checkout_of_other_surface", message);
    }
    let now = engine.object_time(tx, scope, payment.clock)?;
    if payment.busy() || payment.status == PaymentStatus::Processing {
        let message =
            "This checkout is being paid at this moment. Wait for the end of its transaction, or cancel it.";
        return conflict("checkout_not_open", message);
    }
    if !CONFIRMABLE.contains(&payment.status) {
        let message = if payment.status == PaymentStatus::Canceled {
            "This checkout has ended. Record the payment without checkoutId."
        } else {
            "This checkout is paid already. Record a second payment without checkoutId."
        };
        return conflict("checkout_not_open", message);
    }
    if now >= checkout.expires_at {
        return conflict(
            "checkout_not_open",
            "This checkout has expired. Record the payment without checkoutId.",
        );
    }
    if amount.is_some_and(|amount| amount != payment.total()) {
        let message = format!("amount is not the checkout's, which is {}.", payment.total());
        return Err(Error::invalid("amount", "amount_mismatch", message));
    }
    if currency.is_some_and(|currency| currency != payment.currency) {
        let message = format!("currency is not the checkout's, which is {}.", payment.currency);
        return Err(Error::invalid("currency", "currency_mismatch", message));
    }
    Ok(payment)
}

fn not_awaited(attempt: &Attempt) -> Error {
    let (code, message) = match attempt.status {
        _ if !attempt.is_off_platform() => (
            "transaction_not_manual",
            "A provider carries this transaction out, and says whether it was paid. Record money that came another way \
             with POST /transactions/manual.",
        ),
        AttemptStatus::Captured => ("transaction_ended", "This transaction is paid already."),
        _ => ("transaction_ended", "This transaction was cancelled. Record the payment anew."),
    };
    Error::Conflict { code, message: message.to_owned() }
}
