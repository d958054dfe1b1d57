use super::{lock, refuse};
use crate::Engine;
use crate::call::{Call, Reply};
use crate::emit::{Cause, News};
use crate::error::Error;
use crate::provider::MethodChoice;
use crate::view::{Snapshot, View, payment_view};
use domain::Metadata;
use domain::currency::Currency;
use domain::customer::Shipping;
use domain::event::EventType;
use domain::id::{CustomerId, PaymentId, TypedId};
use domain::payment::{self, CaptureMethod, Payment, PaymentStatus, Refusal, SetupFutureUsage};
use domain::payment_method::MethodKind;

/// Changes to a payment. The outer `None` leaves a field alone; an inner `None` clears it.
#[derive(Clone, Debug, Default)]
pub struct UpdatePayment {
    pub amount: Option<i64>,
    pub currency: Option<Currency>,
    pub capture_method: Option<CaptureMethod>,
    pub customer: Option<CustomerId>,
    pub method: Option<MethodChoice>,
    pub payment_method_types: Option<Vec<MethodKind>>,
    pub setup_future_usage: Option<Option<SetupFutureUsage>>,
    pub description: Option<Option<String>>,
    pub receipt_email: Option<Option<String>>,
    pub statement_descriptor: Option<Option<String>>,
    pub statement_descriptor_suffix: Option<Option<String>>,
    pub shipping: Option<Option<Shipping>>,
}

impl UpdatePayment {
    /// The first parameter that touches what a payer was shown on a payment page.
    fn changed_term(&self) -> Option<&'static str> {
        let given = [
            ("amount", self.amount.is_some()),
            ("currency", self.currency.is_some()),
            ("capture_method", self.capture_method.is_some()),
        ];
        given.into_iter().find_map(|(name, given)| given.then_some(name))
    }

    /// Whether it touches what is owed or how it is paid, which only an open payment allows.
    fn needs_open_payment(&self) -> bool {
        self.amount.is_some()
            || self.currency.is_some()
            || self.capture_method.is_some()
            || self.customer.is_some()
            || self.method.is_some()
            || self.payment_method_types.is_some()
            || self.setup_future_usage.is_some()
    }
}

impl Engine {
    /// Changes a payment. What is owed can change only while it is open; description and metadata
    /// always. `metadata` merges what the request said into what is stored.
    pub async fn update_payment<M>(
        &self,
        call: &Call,
        id: PaymentId,
        update: UpdatePayment,
        metadata: M,
    ) -> Result<Reply, Error>
    where
        M: Fn(&mut Metadata) -> Result<(), Error> + Send + 'static,
    {
        self.command(call, move |engine, tx, call| {
            let scope = call.caller.scope;
            let mut payment = lock(tx, scope, id)?;
            let mut given_up = false;
            if let Some(term) = update.changed_term().filter(|_| payment.checkout) {
                return Err(Error::invalid(
                    term,
                    "payment_intent_terms_fixed",
                    "This PaymentIntent has a payment page whose payer was shown its terms: amount, currency and \
                     capture_method cannot be changed. Cancel it and create a new one.",
                ));
            }
            if update.needs_open_payment() {
                if payment.busy() {
                    return Err(refuse(tx, scope, id, Refusal::Busy));
                }
                if !payment::EDITABLE.contains(&payment.status) {
                    let refusal = Refusal::UnexpectedState {
                        command: "update",
                        status: payment.status,
                        allowed: payment::EDITABLE,
                    };
                    return Err(refuse(tx, scope, id, refusal));
                }
                if let Some(attempt) = payment::end_challenge(&mut payment) {
                    engine.give_up_attempt(tx, scope, attempt)?;
                    given_up = true;
                }
            }
            if let Some(customer) = update.customer {
                change_customer(tx, &mut payment, customer)?;
            }
            change_terms(&mut payment, &update);
            if let Some(choice) = &update.method {
                let method = engine.method_for(tx, scope, choice, &payment)?;
                if let Err(refusal) = payment::method_fits(&payment, &method) {
                    return Err(refuse(tx, scope, id, refusal));
                }
                payment.payment_method = Some(method.id);
                if payment.status == PaymentStatus::RequiresPaymentMethod {
                    payment.status = PaymentStatus::RequiresConfirmation;
                }
            }
            metadata(&mut payment.metadata)?;
            if given_up && payment.checkout {
                // The payer's page and its callbacks follow the payment's changes only where they are told of.
                let at = engine.object_time(tx, scope, payment.clock)?;
                let ended = engine.exhausted(tx, &mut payment, at)?;
                store::payments::update(tx, &payment)?;
                let news = ended.then(|| News::new(EventType::PaymentIntentCanceled, id.core()));
                let view = payment_view(tx, payment.clone())?;
                let snapshot = Snapshot { payment: Some(view), ..Snapshot::default() };
                let cause = Cause::from(call);
                engine.emit(tx, scope, &cause, at, snapshot, news.as_slice())?;
            } else {
                store::payments::update(tx, &payment)?;
            }
            Ok(View::Payment(payment_view(tx, payment)?))
        })
        .await
    }
}

fn change_customer(tx: &mut store::Tx<'_>, payment: &mut Payment, id: CustomerId) -> Result<(), Error> {
    let customer = store::customers::get(tx, payment.scope, id)?;
    let customer = customer.ok_or_else(|| Error::missing("customer", "customer", id))?;
    // The test clock of a payment is fixed when it is made: its instants were taken from it.
    if customer.clock != payment.clock {
        return Err(Error::invalid(
            "customer",
            "parameter_invalid",
            "This customer lives by another test clock than the payment. Create a new PaymentIntent for it.",
        ));
    }
    payment.customer = Some(id);
    Ok(())
}

fn change_terms(payment: &mut Payment, update: &UpdatePayment) {
    if let Some(amount) = update.amount {
        payment.amount = amount;
    }
    if let Some(currency) = update.currency {
        payment.currency = currency;
    }
    if let Some(method) = update.capture_method {
        payment.capture_method = method;
    }
    let details = &mut payment.details;
    if let Some(types) = &update.payment_method_types {
        details.payment_method_types.clone_from(types);
    }
    if let Some(usage) = update.setup_future_usage {
        details.setup_future_usage = usage;
    }
    for (slot, change) in [
        (&mut details.description, &update.description),
        (&mut details.receipt_email, &update.receipt_email),
        (&mut details.statement_descriptor, &update.statement_descriptor),
        (&mut details.statement_descriptor_suffix, &update.statement_descriptor_suffix),
    ] {
        if let Some(value) = change {
            slot.clone_from(value);
        }
    }
    if let Some(shipping) = &update.shipping {
        details.shipping.clone_from(shipping);
    }
}
