//! Clients: customers as an organisation deals with them over the Admin API.

use crate::call::{By, Call, Reply};
use crate::emit::Cause;
use crate::error::Error;
use crate::view::{ClientView, View};
use crate::{Engine, site_checkouts};
use domain::Metadata;
use domain::audit::{AuditEntry, AuditKind};
use domain::client::ClientFacts;
use domain::customer::{Customer, Shipping};
use domain::event::{Event, EventType};
use domain::id::{CustomerId, TypedId};
use domain::scope::Scope;
use domain::site_checkout::Party;
use store::Tx;
use store::clients::ClientRow;
use store::numbered_page::{NumberedPage, NumberedQuery};

/// Rows of a history.
const HISTORY_ROWS: i64 = 200;

/// What is to be set; `None` leaves it, an inner `None` clears it.
#[derive(Clone, Debug, Default)]
pub struct ClientChanges {
    pub email: Option<Option<String>>,
    pub first_name: Option<Option<String>>,
    pub last_name: Option<Option<String>>,
    pub company: Option<Option<String>>,
    pub phone: Option<Option<String>>,
    pub vat_id: Option<Option<String>>,
    pub billing: Option<Option<Party>>,
    pub shipping: Option<Option<Party>>,
}

/// What was done to a client: the latest of each kind.
#[derive(Clone, Debug)]
pub struct ClientHistory {
    /// By whom.
    pub entries: Vec<AuditEntry>,
    /// What changed.
    pub events: Vec<Event>,
}

impl ClientChanges {
    fn apply(&self, customer: &mut Customer, facts: &mut ClientFacts) {
        let texts = [
            (&mut customer.email, &self.email),
            (&mut customer.phone, &self.phone),
            (&mut facts.first_name, &self.first_name),
            (&mut facts.last_name, &self.last_name),
            (&mut facts.company, &self.company),
            (&mut facts.vat_id, &self.vat_id),
        ];
        for (slot, change) in texts {
            if let Some(value) = change {
                slot.clone_from(value);
            }
        }
        if self.first_name.is_some() || self.last_name.is_some() || self.company.is_some() {
            customer.name = facts.name().or_else(|| facts.company.clone());
        }
        if let Some(billing) = &self.billing {
            facts.billing.clone_from(billing);
            customer.address = billing.as_ref().map(site_checkouts::address);
        }
        if let Some(shipping) = &self.shipping {
            facts.shipping.clone_from(shipping);
            customer.shipping = shipping.as_ref().map(|party| Shipping {
                name: party.name(),
                phone: party.phone.clone(),
                address: site_checkouts::address(party),
                ..Shipping::default()
            });
        }
    }

    /// Names of what was set: the values are personal.
    fn told(&self) -> String {
        let set = [
            ("email", self.email.is_some()),
            ("firstName", self.first_name.is_some()),
            ("lastName", self.last_name.is_some()),
            ("company", self.company.is_some()),
            ("phone", self.phone.is_some()),
            ("taxInfo.vatId", self.vat_id.is_some()),
            ("billingAddress", self.billing.is_some()),
            ("shippingAddress", self.shipping.is_some()),
        ];
        let names: Vec<&str> = set.iter().filter(|(_, set)| *set).map(|(name, _)| *name).collect();
        format!("set: {}", names.join(", "))
    }
}

impl Engine {
    /// Makes a client.
    pub async fn create_client<M>(
        &self,
        call: &Call,
        changes: ClientChanges,
        metadata: M,
    ) -> Result<Reply, Error>
    where
        M: Fn(&mut Metadata) -> Result<(), Error> + Send + 'static,
    {
        self.command(call, move |engine, tx, call| {
            let (scope, now) = (call.caller.scope, engine.now());
            let mut customer = Customer::new(engine.ids.next(), scope, now);
            let mut facts = ClientFacts::default();
            changes.apply(&mut customer, &mut facts);
            metadata(&mut customer.metadata)?;
            store::customers::insert(tx, &customer)?;
            store::clients::set_facts(tx, customer.id, &facts, now)?;
            engine.tell_of_customer(tx, call, &customer, None, EventType::CustomerCreated)?;
            engine.audit_client(tx, call, AuditKind::ObjectCreated, customer.id, changes.told())?;
            Ok(View::Client(Box::new(ClientView { customer, facts, updated_at: now, lifetime_value: None })))
        })
        .await
    }

    pub async fn change_client<M>(
        &self,
        call: &Call,
        id: CustomerId,
        changes: ClientChanges,
        metadata: M,
    ) -> Result<Reply, Error>
    where
        M: Fn(&mut Metadata) -> Result<(), Error> + Send + 'static,
    {
        self.command(call, move |engine, tx, call| {
            let (scope, now) = (call.caller.scope, engine.now());
            // The row's lock first: of two changes at the same time neither may undo the other.
            store::customers::lock(tx, scope, id)?.ok_or_else(|| missing(id))?;
            let (mut customer, mut facts, _) = present(tx, scope, id)?;
            let before = customer.clone();
            changes.apply(&mut customer, &mut facts);
            if customer.email.is_none()
                && facts.last_name.is_none()
                && facts.company.is_none()
                && customer.name.is_none()
            {
                let message = "A client needs at least one of email, lastName and company.";
                return Err(Error::invalid("email", "client_unnamed", message));
            }
            metadata(&mut customer.metadata)?;
            store::customers::update(tx, &customer)?;
            store::clients::set_facts(tx, id, &facts, now)?;
            engine.tell_of_customer(tx, call, &customer, Some(before), EventType::CustomerUpdated)?;
            engine.audit_client(tx, call, AuditKind::SettingsChanged, id, changes.told())?;
            Ok(View::Client(Box::new(ClientView { customer, facts, updated_at: now, lifetime_value: None })))
        })
        .await
    }

    pub async fn client(&self, scope: Scope, id: CustomerId) -> Result<ClientView, Error> {
        self.store
            .read(move |tx| {
                let mut view = client_view(present(tx, scope, id)?);
                view.lifetime_value = Some(store::clients::lifetime_value(tx, id)?);
                Ok(view)
            })
            .await
    }

    /// A page of clients; of those with exactly this e-mail address if one is given.
    pub async fn clients(
        &self,
        scope: Scope,
        email: Option<String>,
        query: NumberedQuery,
    ) -> Result<NumberedPage<ClientView>, Error> {
        let list =
            move |tx: &mut Tx<'_>| Ok::<_, Error>(store::clients::list(tx, scope, email.as_deref(), query)?);
        Ok(page_of(self.store.read(list).await?))
    }

    /// A page of those in whose name or e-mail address the text stands; see [`store::clients::search`].
    pub async fn search_clients(
        &self,
        scope: Scope,
        text: String,
        query: NumberedQuery,
    ) -> Result<NumberedPage<ClientView>, Error> {
        let search = move |tx: &mut Tx<'_>| Ok::<_, Error>(store::clients::search(tx, scope, &text, query)?);
        Ok(page_of(self.store.read(search).await?))
    }

    /// Erases a client, as [`Engine::erase_customer`] does.
    pub async fn delete_client(&self, scope: Scope, by: By, id: CustomerId) -> Result<(), Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                if store::customers::lock(tx, scope, id)?.is_none() {
                    return Err(missing(id));
                }
                let cause = Cause::request(&by.request);
                engine.begin_erasure(tx, scope, &cause, &by, id).map(|_| ())
            })
            .await
    }

    /// What was done to a client, by whom.
    pub async fn client_history(&self, scope: Scope, id: CustomerId) -> Result<ClientHistory, Error> {
        self.store
            .read(move |tx| {
                present(tx, scope, id)?;
                Ok(ClientHistory {
                    entries: store::audit::of_subject(tx, scope, &id.0.hex(), HISTORY_ROWS)?,
                    events: store::events::of_object(tx, scope, id.core(), HISTORY_ROWS)?,
                })
            })
            .await
    }

    fn audit_client(
        &self,
        tx: &mut Tx<'_>,
        call: &Call,
        kind: AuditKind,
        id: CustomerId,
        detail: String,
    ) -> Result<(), Error> {
        let scope = call.caller.scope;
        let by = By { actor: call.caller.actor, request: call.request.clone() };
        self.audit_by(tx, &by, kind, (Some(scope.merchant), Some(scope.mode)), id.0.hex(), detail)
    }
}

fn missing(id: CustomerId) -> Error {
    Error::not_found("client", id.0.hex())
}

fn present(tx: &mut Tx<'_>, scope: Scope, id: CustomerId) -> Result<ClientRow, Error> {
    store::clients::get(tx, scope, id)?.ok_or_else(|| missing(id))
}

fn client_view((customer, facts, updated_at): ClientRow) -> ClientView {
    let updated_at = updated_at.max(customer.created_at);
    ClientView { customer, facts, updated_at, lifetime_value: None }
}

fn page_of(page: NumberedPage<ClientRow>) -> NumberedPage<ClientView> {
    NumberedPage { data: page.data.into_iter().map(client_view).collect(), total: page.total }
}
