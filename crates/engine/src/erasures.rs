//! Erasing customers: what is personal goes from every row, event, sent body and stored reply; payments keep their
//! amounts, and the books are not touched.
//!
//! The request blanks the customer itself, so that from its answer on no surface shows it. A job then goes through its
//! payments, one commit each, and begins again where it was when a process died.

use crate::Engine;
use crate::call::{By, Call, Reply};
use crate::emit::{Cause, News};
use crate::error::Error;
use crate::payments;
use crate::view::{Snapshot, View, payment_view};
use domain::audit::AuditKind;
use domain::client::ClientFacts;
use domain::customer::{Address, Customer};
use domain::erasure::{Person, blank};
use domain::event::EventType;
use domain::id::{Core, CustomerId, PaymentId, TypedId};
use domain::payment::{self, CancellationReason};
use domain::scope::Scope;
use domain::site_checkout::Party;
use domain::time::HOUR;
use std::sync::Arc;
use store::Tx;
use store::erasures::{Content, Erasure};
use store::jobs::{Job, JobKind};

/// Payments read at once.
const PAYMENTS_AT_ONCE: i64 = 50;
/// How often in one run of the job; the next run goes on from there.
const ROUNDS: usize = 20;
/// Saved methods removed in one commit.
const METHODS_AT_ONCE: i64 = 20;
/// When to look again whether a payout to the person has ended. The bank needs the account until then.
const PAYOUT_WAIT_US: i64 = HOUR;

fn context(id: CustomerId) -> String {
    format!("erasures.texts.{id}")
}

impl Engine {
    /// Erases a customer. A second request gets the same answer.
    ///
    /// Payments of theirs that nobody has paid are canceled. What is at a provider goes on to its end, without the
    /// person's data here.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn erase_customer(&self, call: &Call, id: CustomerId) -> Result<Reply, Error> {
        self.command(call, move |engine, tx, call| {
            let scope = call.caller.scope;
            let by = By { actor: call.caller.actor, request: call.request.clone() };
            if !engine.begin_erasure(tx, scope, &Cause::from(call), &by, id)? {
                return Err(Error::not_found("customer", id));
            }
            Ok(View::CustomerErased(id))
        })
        .await
    }

    /// Blanks a customer, and sees to it that the rest follows. False if there never was one with this id.
    pub(crate) fn begin_erasure(
        &self,
        tx: &mut Tx<'_>,
        scope: Scope,
        cause: &Cause,
        by: &By,
        id: CustomerId,
    ) -> Result<bool, Error> {
        // Locked first: of two requests at the same time one finds what the other has done.
        if store::customers::lock(tx, scope, id)?.is_none() {
            return Ok(store::erasures::is_erased(tx, scope, id)?);
        }
        let (customer, facts, _) =
            store::clients::get(tx, scope, id)?.ok_or_else(|| Error::not_found("customer", id))?;
        let texts = serde_json::to_vec(&texts_of(&customer, &facts))
            .map_err(|e| Error::Internal(format!("texts of a customer: {e}")))?;
        let now = self.now();
        store::erasures::blank_customer(tx, id, now)?;
        store::erasures::insert(
            tx,
            &Erasure {
                customer: id,
                scope,
                texts: Some(self.vault.seal(&context(id), &texts)?),
                reached: None,
                begun_at: now,
                ended_at: None,
            },
        )?;
        let job = Job {
            node: None,
            due_at: now,
            ..self.gateway_job(scope, JobKind::EraseCustomer, id.to_string())
        };
        store::jobs::insert(tx, &job)?;
        tx.wake(store::Wake::Jobs);
        let at = self.object_time(tx, scope, customer.clock)?;
        let blank = Customer::new(id, scope, customer.created_at);
        let snapshot = Snapshot { customer: Some(blank), ..Snapshot::default() };
        self.emit(tx, scope, cause, at, snapshot, &[News::new(EventType::CustomerDeleted, id.core())])?;
        let of = (Some(scope.merchant), Some(scope.mode));
        self.audit_by(tx, by, AuditKind::ObjectDeleted, of, id.0.hex(), "the customer is erased")?;
        Ok(true)
    }

    /// Goes on with an erasure until nothing is left, or for as long as one run may take.
    pub(crate) async fn run_erasure(&self, job: &Job) -> Result<(), Error> {
        let known = CustomerId::parse(&job.object);
        let id = known.ok_or_else(|| Error::Internal(format!("{} is no customer", job.object)))?;
        let (job, scope) = (job.id, job.scope);
        let erasure = self.store.read(move |tx| Ok::<_, Error>(store::erasures::get(tx, id)?)).await?;
        let Some((erasure, texts)) = erasure.and_then(|e| e.texts.clone().map(|texts| (e, texts))) else {
            return self.store.write(move |tx| Ok::<_, Error>(store::jobs::delete(tx, job)?)).await;
        };
        let texts: Vec<String> = serde_json::from_slice(&self.vault.open(&context(id), &texts)?)
            .map_err(|e| Error::Internal(format!("texts of a customer: {e}")))?;
        let person = Arc::new(Person::new(texts));
        let mut reached = erasure.reached;
        for _ in 0..ROUNDS {
            let next = move |tx: &mut Tx<'_>| {
                Ok::<_, Error>(store::erasures::payments(tx, id, reached, PAYMENTS_AT_ONCE)?)
            };
            let found = self.store.read(next).await?;
            if found.is_empty() {
                return self.end_erasure(scope, id, job, person).await;
            }
            for payment in found {
                let (engine, person) = (self.clone(), person.clone());
                self.store
                    .write(move |tx| {
                        engine.erase_payment(tx, scope, id, payment.payment, &person)?;
                        Ok::<_, Error>(store::erasures::advance(tx, id, payment)?)
                    })
                    .await?;
                reached = Some(payment);
            }
        }
        let now = self.now();
        self.store
            .write(move |tx| {
                store::jobs::put_off(tx, job, now, None)?;
                tx.wake(store::Wake::Jobs);
                Ok::<_, Error>(())
            })
            .await
    }

    /// What is left after the payments: saved methods, payouts to the person, the customer's own events; and at last
    /// what the database still holds of overwritten rows.
    async fn end_erasure(
        &self,
        scope: Scope,
        id: CustomerId,
        job: domain::id::JobId,
        person: Arc<Person>,
    ) -> Result<(), Error> {
        loop {
            let (engine, person) = (self.clone(), person.clone());
            let removed = self
                .store
                .write(move |tx| {
                    let methods = store::erasures::methods(tx, id, METHODS_AT_ONCE)?;
                    for method in &methods {
                        engine.erase_method(tx, scope, *method, &person)?;
                    }
                    Ok::<_, Error>(methods.len())
                })
                .await?;
            if removed == 0 {
                break;
            }
        }
        let (engine, known) = (self.clone(), person.clone());
        let waits = self.store.write(move |tx| engine.erase_rest(tx, scope, id, &known)).await?;
        if waits {
            let later = self.now().plus(PAYOUT_WAIT_US);
            return self
                .store
                .write(move |tx| Ok::<_, Error>(store::jobs::put_off(tx, job, later, None)?))
                .await;
        }
        let now = self.now();
        self.store
            .write(move |tx| {
                store::erasures::end(tx, id, now)?;
                Ok::<_, Error>(store::jobs::delete(tx, job)?)
            })
            .await?;
        // Nothing in the tables names the person any more; the log behind them may.
        if let Err(e) = self.store.shed_log().await {
            tracing::warn!(error = ?e, "the write-ahead log could not be emptied after an erasure; a restart empties it");
        }
        Ok(())
    }

    fn erase_payment(
        &self,
        tx: &mut Tx<'_>,
        scope: Scope,
        customer: CustomerId,
        id: PaymentId,
        person: &Person,
    ) -> Result<(), Error> {
        let mut payment = payments::lock(tx, scope, id)?;
        let now = self.object_time(tx, scope, payment.clock)?;
        let waiting = payment.next_action.is_some().then_some(payment.latest_attempt).flatten();
        // Nobody may fill in the form of a person who is gone.
        if payment::close(&mut payment, CancellationReason::RequestedByCustomer, now).is_ok() {
            if let Some(attempt) = waiting {
                self.give_up_attempt(tx, scope, attempt)?;
            }
            store::payments::update(tx, &payment)?;
            let snapshot = Snapshot { payment: Some(payment_view(tx, payment)?), ..Snapshot::default() };
            let news = [News::new(EventType::PaymentIntentCanceled, id.core())];
            self.emit(tx, scope, &Cause::default(), now, snapshot, &news)?;
        }
        store::erasures::rewrite_payment(tx, id, &edit(person))?;
        self.erase_events(tx, scope, id.core(), person)?;
        for object in store::erasures::objects(tx, id)? {
            self.erase_events(tx, scope, object, person)?;
        }
        for method in store::erasures::methods_of_payment(tx, id, customer)? {
            self.erase_method(tx, scope, method, person)?;
        }
        Ok(())
    }

    fn erase_method(
        &self,
        tx: &mut Tx<'_>,
        scope: Scope,
        method: Core,
        person: &Person,
    ) -> Result<(), Error> {
        self.erase_events(tx, scope, method, person)?;
        Ok(store::erasures::delete_method(tx, method)?)
    }

    /// The customer's own events, and what Gate has of it without a payment. True while a payout to the person is
    /// under way.
    fn erase_rest(
        &self,
        tx: &mut Tx<'_>,
        scope: Scope,
        id: CustomerId,
        person: &Person,
    ) -> Result<bool, Error> {
        self.erase_events(tx, scope, id.core(), person)?;
        let mut waits = false;
        for (storefront, uuid, payout) in store::erasures::unpaid(tx, id)? {
            store::erasures::rewrite_marked_events(tx, storefront, &uuid, &edit(person))?;
            let Some(payout) = payout else { continue };
            let open = store::payouts::get(tx, scope, payout)?.is_some_and(|p| p.status.is_open());
            waits |= open;
            if !open {
                store::erasures::rewrite_payout(tx, payout, &edit(person))?;
                self.erase_events(tx, scope, payout.core(), person)?;
            }
        }
        store::erasures::rewrite_payer(tx, id, &edit(person))?;
        Ok(waits)
    }

    /// The events about an object, and the replies to the requests that caused them.
    fn erase_events(
        &self,
        tx: &mut Tx<'_>,
        scope: Scope,
        object: Core,
        person: &Person,
    ) -> Result<(), Error> {
        store::erasures::rewrite_events(tx, object, &edit(person))?;
        for key in store::erasures::keys(tx, object)? {
            self.rewrite_reply(tx, scope, &key, |body| person.erase_text(body))?;
        }
        Ok(())
    }
}

fn edit(person: &Person) -> impl Fn(Content, &str) -> String {
    |content, text| match content {
        Content::Any => person.erase_text(text),
        Content::Personal => match serde_json::from_str(text) {
            Ok(mut value) => {
                blank(&mut value);
                value.to_string()
            }
            Err(_) => domain::erasure::ERASED.to_owned(),
        },
    }
}

/// By what a customer is known: names, addresses and numbers that point at one person or household.
fn texts_of(customer: &Customer, facts: &ClientFacts) -> Vec<String> {
    let mut texts = vec![customer.email.as_ref(), customer.name.as_ref(), customer.phone.as_ref()];
    let street = |a: &Address| [a.line1.clone(), a.line2.clone()];
    let mut streets: Vec<Option<String>> = customer.address.iter().flat_map(street).collect();
    if let Some(shipping) = &customer.shipping {
        texts.extend([shipping.name.as_ref(), shipping.phone.as_ref()]);
        streets.extend(street(&shipping.address));
    }
    texts.extend([
        facts.first_name.as_ref(),
        facts.last_name.as_ref(),
        facts.company.as_ref(),
        facts.vat_id.as_ref(),
    ]);
    for party in [&facts.billing, &facts.shipping].into_iter().flatten() {
        let Party { first_name, last_name, company, address1, address2, phone, .. } = party;
        texts.extend([first_name, last_name, company, address1, address2, phone].map(Option::as_ref));
        streets.push(party.name());
    }
    let mut all: Vec<String> = texts.into_iter().flatten().cloned().collect();
    all.extend(streets.into_iter().flatten());
    all
}
