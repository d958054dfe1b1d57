//! Customers of a merchant.

use crate::Engine;
use crate::call::{Call, Reply};
use crate::emit::{Cause, News};
use crate::error::Error;
use crate::view::{Snapshot, View};
use domain::Metadata;
use domain::customer::{Address, Customer, Shipping};
use domain::event::EventType;
use domain::id::{ClockId, CustomerId, PaymentMethodId, TypedId};
use store::Tx;

/// Facts about a customer. The outer `None` leaves a field alone; an inner `None` clears it.
#[derive(Clone, Debug, Default)]
pub struct CustomerChanges {
    pub email: Option<Option<String>>,
    pub name: Option<Option<String>>,
    pub phone: Option<Option<String>>,
    pub description: Option<Option<String>>,
    pub address: Option<Option<Address>>,
    pub shipping: Option<Option<Shipping>>,
    pub preferred_locales: Option<Vec<String>>,
    pub default_payment_method: Option<Option<PaymentMethodId>>,
}

impl CustomerChanges {
    fn apply(&self, tx: &mut Tx<'_>, c: &mut Customer) -> Result<(), Error> {
        for (slot, change) in [
            (&mut c.email, &self.email),
            (&mut c.name, &self.name),
            (&mut c.phone, &self.phone),
            (&mut c.description, &self.description),
        ] {
            if let Some(value) = change {
                slot.clone_from(value);
            }
        }
        if let Some(address) = &self.address {
            c.address.clone_from(address);
        }
        if let Some(shipping) = &self.shipping {
            c.shipping.clone_from(shipping);
        }
        if let Some(locales) = &self.preferred_locales {
            c.preferred_locales.clone_from(locales);
        }
        if let Some(method) = self.default_payment_method {
            if let Some(id) = method {
                let owned =
                    store::payment_methods::get(tx, c.scope, id)?.filter(|m| m.customer == Some(c.id));
                if owned.is_none() {
                    let param = "invoice_settings[default_payment_method]";
                    return Err(Error::missing(param, "payment method of this customer", id));
                }
            }
            c.default_payment_method = method;
        }
        Ok(())
    }
}

impl Engine {
    pub async fn create_customer<M>(
        &self,
        call: &Call,
        changes: CustomerChanges,
        clock: Option<ClockId>,
        metadata: M,
    ) -> Result<Reply, Error>
    where
        M: Fn(&mut Metadata) -> Result<(), Error> + Send + 'static,
    {
        self.command(call, move |engine, tx, call| {
            let scope = call.caller.scope;
            if let Some(id) = clock {
                let known = store::test_clocks::get(tx, scope, id)?;
                known.ok_or_else(|| Error::missing("test_clock", "test clock", id))?;
            }
            let created_at = engine.object_time(tx, scope, clock)?;
            let mut customer = Customer { clock, ..Customer::new(engine.ids.next(), scope, created_at) };
            changes.apply(tx, &mut customer)?;
            metadata(&mut customer.metadata)?;
            store::customers::insert(tx, &customer)?;
            engine.tell_of_customer(tx, call, &customer, None, EventType::CustomerCreated)?;
            Ok(View::Customer(customer))
        })
        .await
    }

    pub async fn update_customer<M>(
        &self,
        call: &Call,
        id: CustomerId,
        changes: CustomerChanges,
        metadata: M,
    ) -> Result<Reply, Error>
    where
        M: Fn(&mut Metadata) -> Result<(), Error> + Send + 'static,
    {
        self.command(call, move |engine, tx, call| {
            let scope = call.caller.scope;
            let mut customer =
                store::customers::lock(tx, scope, id)?.ok_or_else(|| Error::not_found("customer", id))?;
            let before = customer.clone();
            changes.apply(tx, &mut customer)?;
            metadata(&mut customer.metadata)?;
            store::customers::update(tx, &customer)?;
            engine.tell_of_customer(tx, call, &customer, Some(before), EventType::CustomerUpdated)?;
            Ok(View::Customer(customer))
        })
        .await
    }

    /// Tells of a customer that was made, or changed from what it was `before`.
    pub(crate) fn tell_of_customer(
        &self,
        tx: &mut Tx<'_>,
        call: &Call,
        customer: &Customer,
        before: Option<Customer>,
        event: EventType,
    ) -> Result<(), Error> {
        let at = self.object_time(tx, customer.scope, customer.clock)?;
        let previous = before.map(|c| Box::new(Snapshot { customer: Some(c), ..Snapshot::default() }));
        let snapshot = Snapshot { customer: Some(customer.clone()), previous, ..Snapshot::default() };
        self.emit(
            tx,
            customer.scope,
            &Cause::from(call),
            at,
            snapshot,
            &[News::new(event, customer.id.core())],
        )
    }
}
