//! Payment methods: made, changed, and tied to customers.

use crate::Engine;
use crate::call::{Call, Reply};
use crate::emit::{Cause, News};
use crate::error::Error;
use crate::provider::MethodChoice;
use crate::view::{Snapshot, View};
use domain::Metadata;
use domain::event::EventType;
use domain::id::{CustomerId, PaymentMethodId, TypedId};
use domain::payment_method::{BillingDetails, MethodFacts, PaymentMethod};
use store::Tx;

/// Changes to a method. The outer `None` leaves a field alone; an inner `None` clears it.
#[derive(Clone, Debug, Default)]
pub struct MethodChanges {
    pub billing: Option<BillingDetails>,
    pub exp_month: Option<u8>,
    pub exp_year: Option<u16>,
}

impl Engine {
    /// Stores a method that was made by [`Engine::new_method`].
    pub async fn create_payment_method(&self, call: &Call, method: PaymentMethod) -> Result<Reply, Error> {
        self.command(call, move |_, tx, _| {
            store::payment_methods::insert(tx, &method)?;
            Ok(View::PaymentMethod(method.clone()))
        })
        .await
    }

    pub async fn update_payment_method<M>(
        &self,
        call: &Call,
        id: PaymentMethodId,
        changes: MethodChanges,
        metadata: M,
    ) -> Result<Reply, Error>
    where
        M: Fn(&mut Metadata) -> Result<(), Error> + Send + 'static,
    {
        self.command(call, move |engine, tx, call| {
            let mut method = lock(tx, call, id)?;
            let before = method.clone();
            if let Some(billing) = &changes.billing {
                method.billing.clone_from(billing);
            }
            match &mut method.facts {
                MethodFacts::Card(card) => {
                    card.exp_month = changes.exp_month.unwrap_or(card.exp_month);
                    card.exp_year = changes.exp_year.unwrap_or(card.exp_year);
                }
                MethodFacts::SepaDebit(_) | MethodFacts::Paypal(_) | MethodFacts::OffPlatform(_)
                    if changes.exp_month.is_some() || changes.exp_year.is_some() =>
                {
                    return Err(Error::invalid(
                        "card",
                        "parameter_invalid",
                        "This payment method is not a card.",
                    ));
                }
                MethodFacts::SepaDebit(_) | MethodFacts::Paypal(_) | MethodFacts::OffPlatform(_) => {}
            }
            metadata(&mut method.metadata)?;
            store::payment_methods::update(tx, &method)?;
            engine.method_news(tx, call, &method, Some(before), EventType::PaymentMethodUpdated)?;
            Ok(View::PaymentMethod(method))
        })
        .await
    }

    /// Ties a method to a customer. A ready-made test method is copied first.
    pub async fn attach_payment_method(
        &self,
        call: &Call,
        choice: MethodChoice,
        customer: CustomerId,
    ) -> Result<Reply, Error> {
        // Whether the objects exist comes first: a live key learns nothing of test ones, not even where no
        // provider is configured.
        let connector = match self.default_connector(call.caller.scope).await {
            Ok(connector) => Some(connector),
            Err(Error::ProviderNotConfigured) => None,
            Err(e) => return Err(e),
        };
        self.command(call, move |engine, tx, call| {
            let scope = call.caller.scope;
            // Locked before the method: the customer may be deleted at this moment, which takes its methods along.
            let owner = store::customers::lock(tx, scope, customer)?;
            let mut method = match &choice {
                MethodChoice::New(method) => (**method).clone(),
                MethodChoice::Saved(id) => lock(tx, call, *id)?,
                MethodChoice::Keep => return Err(Error::Internal("no method to attach".to_owned())),
            };
            if owner.is_none() {
                return Err(Error::missing("customer", "customer", customer));
            }
            if method.customer == Some(customer) {
                return Ok(View::PaymentMethod(method));
            }
            if method.customer.is_some() {
                return Err(unexpected_state("This payment method is attached to another customer. Detach it first."));
            }
            if method.used_up {
                return Err(unexpected_state(
                    "This payment method was used without a customer or was detached, so it cannot be attached. \
                     Create a new one.",
                ));
            }
            let connector = connector.as_ref().ok_or(Error::ProviderNotConfigured)?;
            connector.may_save(&method.provider_token).map_err(|decline| Error::Card { decline, param: None })?;
            method.customer = Some(customer);
            match &choice {
                MethodChoice::New(_) => store::payment_methods::insert(tx, &method)?,
                MethodChoice::Saved(_) | MethodChoice::Keep => store::payment_methods::update(tx, &method)?,
            }
            engine.method_news(tx, call, &method, None, EventType::PaymentMethodAttached)?;
            Ok(View::PaymentMethod(method))
        })
        .await
    }

    /// Unties a method from its customer. It can never pay again.
    pub async fn detach_payment_method(&self, call: &Call, id: PaymentMethodId) -> Result<Reply, Error> {
        self.command(call, move |engine, tx, call| {
            let mut method = lock(tx, call, id)?;
            let Some(customer) = method.customer else {
                return Err(unexpected_state("This payment method is not attached to a customer."));
            };
            method.customer = None;
            method.used_up = true;
            store::payment_methods::update(tx, &method)?;
            let owner = store::customers::lock(tx, method.scope, customer)?;
            if let Some(mut owner) = owner.filter(|c| c.default_payment_method == Some(id)) {
                owner.default_payment_method = None;
                store::customers::update(tx, &owner)?;
            }
            engine.method_news(tx, call, &method, None, EventType::PaymentMethodDetached)?;
            Ok(View::PaymentMethod(method))
        })
        .await
    }

    fn method_news(
        &self,
        tx: &mut Tx<'_>,
        call: &Call,
        method: &PaymentMethod,
        before: Option<PaymentMethod>,
        event: EventType,
    ) -> Result<(), Error> {
        let previous = before.map(|m| Box::new(Snapshot { method: Some(m), ..Snapshot::default() }));
        let snapshot = Snapshot { method: Some(method.clone()), previous, ..Snapshot::default() };
        let news = [News::new(event, method.id.core())];
        self.emit(tx, method.scope, &Cause::from(call), self.now(), snapshot, &news)
    }
}

fn lock(tx: &mut Tx<'_>, call: &Call, id: PaymentMethodId) -> Result<PaymentMethod, Error> {
    store::payment_methods::lock(tx, call.caller.scope, id)?
        .ok_or_else(|| Error::not_found("payment_method", id))
}

fn unexpected_state(message: &str) -> Error {
    Error::Invalid { param: None, code: "payment_method_unexpected_state", message: message.to_owned() }
}
