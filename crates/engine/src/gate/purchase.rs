//! A purchase: a payment with a page on which the payer pays.

use super::follow::blank_operation;
use super::service::GateService;
use crate::Engine;
use crate::emit::{Cause, News};
use crate::error::Error;
use crate::ids;
use crate::payments::CreatePayment;
use crate::payments::confirm::capture_fee;
use crate::payments::create::new_payment;
use crate::provider::MethodChoice;
use crate::view::{Snapshot, payment_view};
use domain::checkout::{Checkout, CheckoutDetails};
use domain::currency::Currency;
use domain::customer::{Address, Customer};
use domain::event::EventType;
use domain::fee::{self, FeeOperation, FeeRule};
use domain::gate_operation::{GateOperation, OperationKind, OperationState};
use domain::gate_transaction::{
    CODE_FEE, GateTransaction, RecurringTerms, TransactionKind, TransactionStatus,
};
use domain::id::{ClockId, CustomerId, GateTokenId, StorefrontId, TypedId};
use domain::money::{MAX_AMOUNT, format_minor};
use domain::payment::{CaptureMethod, Payment, PaymentDetails};
use domain::payment_method::MethodKind;
use domain::scope::Scope;
use domain::storefront::{self, Storefront};
use domain::time::{MICROS, Timestamp};
use std::sync::Arc;
use store::Tx;

/// Who pays, as the merchant's request says.
#[derive(Clone, Debug, Default)]
pub struct Payer {
    pub email: String,
    pub name: String,
    pub phone: Option<String>,
    pub address: Address,
    pub language: Option<String>,
}

/// The customer behind a payer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoundPayer {
    pub customer: CustomerId,
    pub clock: Option<ClockId>,
    /// Whether the customer has its row.
    stored: bool,
    /// Whether it has its integer on Gate.
    numbered: bool,
}

/// A signed request for a transaction: a payment page, a recurring agreement or a payout.
#[derive(Clone, Debug)]
pub struct NewTransaction {
    /// The merchant's name of it.
    pub payment_id: String,
    /// Minor units, without the service's surcharge.
    pub amount: i64,
    pub currency: Currency,
    pub payer: Payer,
    /// Items, and where the request says that the payer goes afterwards.
    pub details: CheckoutDetails,
    pub callback_url: Option<String>,
    pub token: Option<GateTokenId>,
    /// The only way in which the payer may pay; all that fit the currency if `None`.
    pub method: Option<MethodKind>,
    /// Set: an agreement to pay again and again.
    pub recurring: Option<RecurringTerms>,
    /// The signed body without its signature.
    pub request: String,
    pub digest: [u8; 32],
    /// Our id of the HTTP request.
    pub request_id: String,
}

impl Engine {
    /// Makes the transaction of a signed request: once, however often the request comes. One for which no fee
    /// can be computed is written down as failed, with code 434. What refuses a new request refuses a repetition too:
    /// ask [`Engine::known_gate_transaction`] then.
    ///
    /// # Errors
    /// [`Error::NameTaken`] when another request has taken the `payment_id`; [`Error::Invalid`] for a callback
    /// address that is not allowed, or a price and cost above the largest amount; no provider.
    pub async fn create_gate_purchase(
        &self,
        service: &GateService,
        new: NewTransaction,
    ) -> Result<GateTransaction, Error> {
        let storefront = service.storefront.clone();
        check_callback(self, storefront.scope, new.callback_url.as_deref())?;
        let settings = self.settings(storefront.scope).await?;
        let engine = self.clone();
        let new = Arc::new(new);
        self.store
            .write(move |tx| {
                let kind = if new.recurring.is_some() {
                    TransactionKind::Recurring
                } else {
                    TransactionKind::Purchase
                };
                engine.provider_of(tx, &settings, storefront.id)?;
                let surcharge = storefront.surcharge_in(new.currency);
                let total = new.amount.saturating_add(surcharge);
                if total > MAX_AMOUNT {
                    return Err(Error::invalid(
                        "payment.price",
                        "amount_too_large",
                        format!(
                            "The price and the service's cost are together more than {} {}. Lower the price.",
                            format_minor(MAX_AMOUNT, new.currency),
                            new.currency
                        ),
                    ));
                }
                let rules = engine.fee_rules_of(tx, &settings, storefront.id)?;
                let fee = purchase_fee(&rules, new.currency, new.amount, total)?;
                match (fee, kind) {
                    (Some(fee), TransactionKind::Purchase) => {
                        engine.open_purchase(tx, &storefront, &new, fee)
                    }
                    (fee, kind) => engine.record_only(tx, &storefront, &new, kind, fee),
                }
            })
            .await
    }

    /// The transaction that this signed request made before.
    ///
    /// # Errors
    /// [`Error::NameTaken`] when it was another request, or another call, that has taken the `payment_id`.
    pub async fn known_gate_transaction(
        &self,
        service: &GateService,
        kind: TransactionKind,
        payment_id: String,
        digest: [u8; 32],
    ) -> Result<Option<GateTransaction>, Error> {
        let storefront = service.storefront.id;
        self.store.read(move |tx| known_transaction(tx, storefront, kind, &payment_id, &digest)).await
    }

    fn open_purchase(
        &self,
        tx: &mut Tx<'_>,
        storefront: &Storefront,
        new: &NewTransaction,
        fee: i64,
    ) -> Result<GateTransaction, Error> {
        let scope = storefront.scope;
        let cause = Cause::request(&new.request_id);
        let payer = self.find_payer(tx, scope, &new.payer)?;
        let wanted = payment_of(new, payer.customer);
        let mut payment = new_payment(self, tx, scope, &wanted, storefront.id, payer.clock)?;
        payment.surcharge = storefront.surcharge_in(new.currency);
        payment.checkout = true;
        let mut transaction = self.new_transaction(storefront, new, TransactionKind::Purchase, &payment);
        transaction.customer = payment.customer;
        if let Some(earlier) = self.first_or_earlier(tx, &mut transaction)? {
            return Ok(earlier);
        }
        self.admit_gate_payer(tx, &cause, scope, &new.payer, payer)?;
        store::payments::insert(tx, &payment)?;
        store::checkouts::insert(tx, &checkout_of(storefront, new, &payment, &transaction))?;
        let mut operation = blank_operation(&transaction, OperationKind::Sale, payment.total(), fee);
        operation.number = store::gate_operations::insert(tx, &operation)?;
        let callbacks = self.tell_of(tx, transaction.clone(), vec![operation], true, true)?;
        let at = payment.created_at;
        let created = [News::new(EventType::PaymentIntentCreated, payment.id.core())];
        let snapshot = Snapshot { payment: Some(payment_view(tx, payment)?), ..Snapshot::default() };
        self.emit_with(tx, scope, &cause, at, snapshot, &created, callbacks)?;
        Ok(transaction)
    }

    /// A transaction for which no payment can be opened: it is written down all the same, since the service
    /// may ask about it. Without a fee it has failed; a recurring one waits.
    fn record_only(
        &self,
        tx: &mut Tx<'_>,
        storefront: &Storefront,
        new: &NewTransaction,
        kind: TransactionKind,
        fee: Option<i64>,
    ) -> Result<GateTransaction, Error> {
        let cause = Cause::request(&new.request_id);
        let payer = self.find_payer(tx, storefront.scope, &new.payer)?;
        let at = self.now();
        let expires_at = at.plus(storefront.request_expiration.saturating_mul(MICROS));
        let mut transaction = GateTransaction {
            customer: Some(payer.customer),
            recurring: new.recurring.clone(),
            expires_at: fee.map(|_| expires_at),
            ..self.blank_transaction(storefront, new, kind, at)
        };
        let total = transaction.amount.saturating_add(transaction.cost);
        let failure = fee.is_none().then_some((CODE_FEE, "fee_calculator", FEE_FAILED));
        let operation_kind = if kind == TransactionKind::Recurring {
            OperationKind::Subscription
        } else {
            OperationKind::Sale
        };
        let mut operation = blank_operation(&transaction, operation_kind, total, fee.unwrap_or(0));
        domain::gate_operation::AWAITING_FIRST_PAYMENT.clone_into(&mut operation.state.message);
        if let Some(failure) = failure {
            fail_at_once(&mut transaction, &mut operation, failure);
        }
        if let Some(earlier) = self.first_or_earlier(tx, &mut transaction)? {
            return Ok(earlier);
        }
        self.admit_gate_payer(tx, &cause, storefront.scope, &new.payer, payer)?;
        self.add_operation(tx, &cause, &transaction, operation)?;
        Ok(transaction)
    }

    /// Stores a transaction, which is the first write of its request, and gives it its number; or finds the one that
    /// another request has made of this `payment_id`, having changed nothing.
    fn first_or_earlier(
        &self,
        tx: &mut Tx<'_>,
        transaction: &mut GateTransaction,
    ) -> Result<Option<GateTransaction>, Error> {
        let t = transaction;
        if let Some(number) = store::gate_transactions::insert(tx, t)? {
            t.number = number;
            self.transaction_counts.made(t.storefront);
            return Ok(None);
        }
        match known_transaction(tx, t.storefront, t.kind, &t.payment_id, &t.digest)? {
            Some(earlier) => Ok(Some(earlier)),
            None => {
                Err(Error::Internal(format!("a transaction of the name {:?} is not there", t.payment_id)))
            }
        }
    }

    /// Stores the transaction of a payout with its one operation, and tells of it. `failure`: why it has failed at
    /// once.
    pub(super) fn write_down(
        &self,
        tx: &mut Tx<'_>,
        cause: &Cause,
        transaction: &mut GateTransaction,
        mut operation: GateOperation,
        failure: Option<Failure>,
    ) -> Result<(), Error> {
        if let Some(failure) = failure {
            fail_at_once(transaction, &mut operation, failure);
        }
        let number = store::gate_transactions::insert(tx, transaction)?;
        transaction.number = number.ok_or_else(|| lost_race(tx))?;
        self.transaction_counts.made(transaction.storefront);
        self.add_operation(tx, cause, transaction, operation)
    }

    /// Stores the first operation of a transaction that has no payment, and tells of both.
    fn add_operation(
        &self,
        tx: &mut Tx<'_>,
        cause: &Cause,
        transaction: &GateTransaction,
        mut operation: GateOperation,
    ) -> Result<(), Error> {
        operation.transaction_number = transaction.number;
        operation.number = store::gate_operations::insert(tx, &operation)?;
        self.tell_gate(tx, cause, transaction.clone(), vec![operation])
    }

    fn new_transaction(
        &self,
        storefront: &Storefront,
        new: &NewTransaction,
        kind: TransactionKind,
        payment: &Payment,
    ) -> GateTransaction {
        GateTransaction {
            payment: Some(payment.id),
            cost: payment.surcharge,
            ..self.blank_transaction(storefront, new, kind, payment.created_at)
        }
    }

    pub(super) fn blank_transaction(
        &self,
        storefront: &Storefront,
        new: &NewTransaction,
        kind: TransactionKind,
        at: Timestamp,
    ) -> GateTransaction {
        GateTransaction {
            number: 0,
            uuid: ids::uuid(),
            scope: storefront.scope,
            storefront: storefront.id,
            customer: None,
            kind,
            status: TransactionStatus::Created,
            payment_id: new.payment_id.clone(),
            payment: None,
            payout: None,
            amount: new.amount,
            cost: storefront.surcharge_in(new.currency),
            cost_hidden: storefront.surcharge_hidden,
            currency: new.currency,
            request: new.request.clone(),
            digest: new.digest.to_vec(),
            callback_url: new.callback_url.clone(),
            token: new.token,
            recurring: None,
            last_error_code: 0,
            last_error_message: String::new(),
            expires_at: None,
            created_at: at,
            updated_at: at,
        }
    }

    /// The customer behind a payer's e-mail address, with an integer on Gate.
    pub(super) fn gate_payer(
        &self,
        tx: &mut Tx<'_>,
        cause: &Cause,
        scope: Scope,
        payer: &Payer,
    ) -> Result<CustomerId, Error> {
        let found = self.find_payer(tx, scope, payer)?;
        self.admit_gate_payer(tx, cause, scope, payer, found)?;
        Ok(found.customer)
    }

    /// The customer behind a payer's e-mail address.
    pub(crate) fn payer(
        &self,
        tx: &mut Tx<'_>,
        cause: &Cause,
        scope: Scope,
        payer: &Payer,
    ) -> Result<FoundPayer, Error> {
        let found = self.find_payer(tx, scope, payer)?;
        self.admit_payer(tx, cause, scope, payer, found)?;
        Ok(found)
    }

    /// The oldest customer with a payer's e-mail address, or the id of one that is still to be written.
    fn find_payer(&self, tx: &mut Tx<'_>, scope: Scope, payer: &Payer) -> Result<FoundPayer, Error> {
        Ok(match store::gate_transactions::payer_by_email(tx, scope, &payer.email)? {
            Some(known) => FoundPayer {
                customer: known.customer,
                clock: known.clock,
                stored: true,
                numbered: known.numbered,
            },
            None => FoundPayer { customer: self.ids.next(), clock: None, stored: false, numbered: false },
        })
    }

    /// Writes what of a payer on Gate is not there yet: the customer, and its integer.
    fn admit_gate_payer(
        &self,
        tx: &mut Tx<'_>,
        cause: &Cause,
        scope: Scope,
        payer: &Payer,
        found: FoundPayer,
    ) -> Result<(), Error> {
        self.admit_payer(tx, cause, scope, payer, found)?;
        if !found.numbered {
            store::gate_transactions::number_payer(tx, found.customer)?;
        }
        Ok(())
    }

    fn admit_payer(
        &self,
        tx: &mut Tx<'_>,
        cause: &Cause,
        scope: Scope,
        payer: &Payer,
        found: FoundPayer,
    ) -> Result<(), Error> {
        if found.stored {
            return Ok(());
        }
        let customer = Customer {
            email: Some(payer.email.clone()),
            name: Some(payer.name.clone()).filter(|name| !name.is_empty()),
            phone: payer.phone.clone(),
            address: Some(payer.address.clone()).filter(|a| *a != Address::default()),
            preferred_locales: payer.language.iter().cloned().collect(),
            ..Customer::new(found.customer, scope, self.now())
        };
        store::customers::insert(tx, &customer)?;
        let (id, at) = (customer.id, customer.created_at);
        let snapshot = Snapshot { customer: Some(customer), ..Snapshot::default() };
        self.emit(tx, scope, cause, at, snapshot, &[News::new(EventType::CustomerCreated, id.core())])
    }
}

/// Why a transaction has failed at once: code, word and message.
pub(super) type Failure = (i64, &'static str, &'static str);

fn fail_at_once(
    transaction: &mut GateTransaction,
    operation: &mut GateOperation,
    (code, word, message): Failure,
) {
    (transaction.status, transaction.expires_at) = (TransactionStatus::Failed, None);
    (transaction.last_error_code, transaction.last_error_message) = (code, message.to_owned());
    operation.state = OperationState::internal(code, word, message);
}

/// The fee of a purchase; `None` when there is no rule for it, or when it would leave the merchant less than
/// nothing.
fn purchase_fee(
    rules: &[FeeRule],
    currency: Currency,
    amount: i64,
    total: i64,
) -> Result<Option<i64>, Error> {
    let fee = match capture_fee(rules, currency, amount, total) {
        Ok(fee) => fee,
        Err(Error::FeeNotConfigured { .. }) => return Ok(None),
        Err(other) => return Err(other),
    };
    let too_much = fee::exceeds(rules, FeeOperation::Capture, currency, amount, total)
        .map_err(|e| Error::Internal(format!("a fee: {e}")))?;
    Ok((!too_much).then_some(fee))
}

/// What a failed fee is called on Gate.
pub(super) const FEE_FAILED: &str = "Fee calculator failed.";

/// The callback's address must be one that webhooks of this mode may go to.
pub(super) fn check_callback(engine: &Engine, scope: Scope, url: Option<&str>) -> Result<(), Error> {
    let Some(url) = url else { return Ok(()) };
    outbound::check_url(url, engine.egress(scope))
        .map(|_| ())
        .map_err(|e| Error::invalid("webhook.url", "url_invalid", e.to_string()))
}

/// The transaction that this service has under `payment_id`, if the same signed request made it by the same
/// call. A signature does not cover the path: what bought something must not be told that it paid out.
pub(super) fn known_transaction(
    tx: &mut Tx<'_>,
    storefront: StorefrontId,
    kind: TransactionKind,
    payment_id: &str,
    digest: &[u8],
) -> Result<Option<GateTransaction>, Error> {
    match store::gate_transactions::by_payment_id(tx, storefront, payment_id)? {
        None => Ok(None),
        Some(transaction) if transaction.digest == digest && transaction.kind == kind => {
            Ok(Some(transaction))
        }
        Some(_) => Err(Error::NameTaken { param: "meta.payment_id".to_owned(), name: payment_id.to_owned() }),
    }
}

/// Another request of the same name won at this moment: the closure runs again and finds its transaction.
pub(super) fn lost_race(tx: &mut Tx<'_>) -> Error {
    tx.run_again();
    Error::Internal("a request of the same name came first".to_owned())
}

fn payment_of(new: &NewTransaction, customer: CustomerId) -> CreatePayment {
    let kinds = match new.method {
        Some(method) => vec![method],
        None if new.currency == Currency::EUR => {
            vec![MethodKind::Card, MethodKind::SepaDebit, MethodKind::Paypal]
        }
        None => vec![MethodKind::Card, MethodKind::Paypal],
    };
    CreatePayment {
        amount: new.amount,
        currency: new.currency,
        capture_method: CaptureMethod::Automatic,
        customer: Some(customer),
        method: MethodChoice::Keep,
        details: PaymentDetails { payment_method_types: kinds, ..PaymentDetails::default() },
        metadata: vec![("payment_id".to_owned(), new.payment_id.clone())],
        confirm: false,
    }
}

fn checkout_of(
    storefront: &Storefront,
    new: &NewTransaction,
    payment: &Payment,
    transaction: &GateTransaction,
) -> Checkout {
    let mut details = new.details.clone();
    let fill = |asked: Option<String>, template: &str, status: &str| {
        let values = [
            ("payment_id", new.payment_id.as_str()),
            ("transaction_uuid", &transaction.uuid),
            ("status", status),
        ];
        asked.or_else(|| (!template.is_empty()).then(|| storefront::fill(template, &values)))
    };
    let (asked, templates) = (std::mem::take(&mut details.leave), &storefront.redirects);
    details.leave.success = fill(asked.success, &templates.success, "success");
    details.leave.fail = fill(asked.fail, &templates.fail, "failed");
    details.leave.back = fill(asked.back, &templates.back, "processing");
    details.reference = Some(new.payment_id.clone());
    details.surcharge_hidden = storefront.surcharge_hidden;
    Checkout {
        payment: payment.id,
        scope: storefront.scope,
        storefront: storefront.id,
        customer: payment.customer,
        code: transaction.uuid.clone(),
        details,
        attempts_max: storefront.attempts_max,
        open: true,
        submitted_at: None,
        expires_at: payment.created_at.plus(storefront.request_expiration.saturating_mul(MICROS)),
        clock: payment.clock,
        created_at: payment.created_at,
    }
}
