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
use domain::id::{Core, CustomerId, EventId, JobId, PaymentId, TypedId};
use domain::payment::{self, CancellationReason};
use domain::scope::Scope;
use domain::site_checkout::Party;
use domain::time::MINUTE;
use std::sync::Arc;
use store::Tx;
use store::erasures::{Content, Erasure, Unpaid};
use store::jobs::{Job, JobKind, Kinds};

/// Payments read at once, and in one run of the job; the next run goes on from there.
const PAYMENTS_AT_ONCE: i64 = 50;
/// Events rewritten in one commit, and methods.
const EVENTS_AT_ONCE: i64 = 50;
const METHODS_AT_ONCE: i64 = 20;
/// Stored replies looked through at once.
const REPLIES_AT_ONCE: i64 = 200;
/// When to look again whether what is at a provider, or on its way to the person's bank, has ended.
const WAIT_US: i64 = MINUTE;
/// The longest wait between two passes, as a multiple of the first.
const WAIT_MOST: i64 = 60;
/// How long a run keeps its job from other nodes.
const CLAIM_US: i64 = 10 * MINUTE;
/// How long a request that saw the customer before it was erased can go on: the time limits of PostgreSQL together.
const LATE_US: i64 = 2 * MINUTE;

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
        let known = match store::customers::lock(tx, scope, id)? {
            Some(_) => store::clients::get(tx, scope, id)?,
            None if !store::erasures::is_erased(tx, scope, id)? => return Ok(false),
            None if store::erasures::get(tx, id)?.is_some() => return Ok(true),
            // An earlier version has deleted it, and left alone what its payments wrote down.
            None => None,
        };
        let texts = known.as_ref().map(|(customer, facts, _)| texts_of(customer, facts)).unwrap_or_default();
        let texts =
            serde_json::to_vec(&texts).map_err(|e| Error::Internal(format!("texts of a customer: {e}")))?;
        let now = self.now();
        store::erasures::blank_customer(tx, id, now)?;
        store::erasures::insert(
            tx,
            &Erasure {
                customer: id,
                scope,
                texts: Some(self.vault.seal(&context(id), &texts)?),
                reached: None,
                again: false,
                begun_at: now,
                ended_at: None,
            },
        )?;
        let job = self.gateway_job(scope, JobKind::EraseCustomer, id.to_string());
        store::jobs::insert(tx, &Job { node: None, due_at: now, ..job })?;
        let (clock, created_at) =
            known.map_or((None, now), |(customer, _, _)| (customer.clock, customer.created_at));
        let at = self.object_time(tx, scope, clock)?;
        let blank = Customer::new(id, scope, created_at);
        let snapshot = Snapshot { customer: Some(blank), ..Snapshot::default() };
        self.emit(tx, scope, cause, at, snapshot, &[News::new(EventType::CustomerDeleted, id.core())])?;
        let of = (Some(scope.merchant), Some(scope.mode));
        self.audit_by(tx, by, AuditKind::ObjectDeleted, of, id.0.hex(), "the customer is erased")?;
        Ok(true)
    }

    /// Goes on with one erasure that is due. False if there is none.
    pub async fn run_erasures(&self) -> Result<bool, Error> {
        let engine = self.clone();
        let claimed = self
            .store
            .write(move |tx| {
                let now = engine.now();
                let until = now.plus(CLAIM_US);
                Ok::<_, Error>(store::jobs::claim(tx, engine.node, Kinds::Erasures, now, until, 1)?)
            })
            .await?;
        let Some(job) = claimed.into_iter().next() else { return Ok(false) };
        if let Err(error) = self.run_erasure(&job).await {
            tracing::error!(customer = %job.object, ?error, "an erasure was broken off and will be tried again");
        }
        Ok(true)
    }

    /// One run: the events and replies first, then some payments, at the end of a pass what is left. What fails is told
    /// of and stepped over, and so is what has not ended: another pass follows.
    async fn run_erasure(&self, job: &Job) -> Result<(), Error> {
        let known = CustomerId::parse(&job.object);
        let id = known.ok_or_else(|| Error::Internal(format!("{} is no customer", job.object)))?;
        let (job_id, scope) = (job.id, job.scope);
        let erasure = self.store.read(move |tx| Ok::<_, Error>(store::erasures::get(tx, id)?)).await?;
        let Some((erasure, texts)) = erasure.and_then(|e| e.texts.clone().map(|texts| (e, texts))) else {
            return self.store.write(move |tx| Ok::<_, Error>(store::jobs::delete(tx, job_id)?)).await;
        };
        let texts: Vec<String> = serde_json::from_slice(&self.vault.open(&context(id), &texts)?)
            .map_err(|e| Error::Internal(format!("texts of a customer: {e}")))?;
        let run = Run { engine: self.clone(), scope, customer: id, person: Arc::new(Person::new(texts)) };
        let mut ended = true;
        if erasure.reached.is_none() && !run.own().await {
            ended = false;
            // A pass may take many runs, and the last one must know.
            self.store.write(move |tx| Ok::<_, Error>(store::erasures::note_again(tx, id)?)).await?;
        }
        let reached = erasure.reached;
        let found = self
            .store
            .read(move |tx| Ok::<_, Error>(store::erasures::payments(tx, id, reached, PAYMENTS_AT_ONCE)?))
            .await?;
        let more = !found.is_empty();
        for payment in found {
            let whole = run.tried(payment.payment).await;
            ended &= whole;
            self.store
                .write(move |tx| {
                    store::erasures::advance(tx, id, payment)?;
                    if whole { Ok(()) } else { Ok::<_, Error>(store::erasures::note_again(tx, id)?) }
                })
                .await?;
        }
        if more {
            return self.put_erasure_off(job_id, 0).await;
        }
        ended &= !erasure.again;
        ended &= run.end().await?;
        // One process has seen everything that was begun; on PostgreSQL another one may still be at it.
        ended &= self.store.is_embedded() || self.now() >= erasure.begun_at.plus(LATE_US);
        if ended {
            return self.finish_erasure(id, job_id).await;
        }
        // What is erased by now must not wait in the log for what is not.
        if let Err(error) = self.store.shed_log().await {
            tracing::info!(?error, "the write-ahead log could not be emptied yet");
        }
        self.store.write(move |tx| Ok::<_, Error>(store::erasures::begin_again(tx, id)?)).await?;
        self.put_erasure_off(job_id, WAIT_US.saturating_mul(job.tries.clamp(1, WAIT_MOST))).await
    }

    async fn put_erasure_off(&self, job: JobId, wait: i64) -> Result<(), Error> {
        let due = self.now().plus(wait);
        self.store.write(move |tx| Ok::<_, Error>(store::jobs::put_off(tx, job, due, None)?)).await
    }

    /// Nothing in the tables names the person any more: now the log behind them, and at last by what they were known.
    async fn finish_erasure(&self, id: CustomerId, job: JobId) -> Result<(), Error> {
        if let Err(error) = self.store.shed_log().await {
            tracing::warn!(
                ?error,
                "the write-ahead log could not be emptied after an erasure; it will be tried again"
            );
            let due = self.now().plus(WAIT_US);
            return self
                .store
                .write(move |tx| Ok::<_, Error>(store::jobs::put_off(tx, job, due, None)?))
                .await;
        }
        let now = self.now();
        self.store
            .write(move |tx| {
                store::erasures::end(tx, id, now)?;
                Ok::<_, Error>(store::jobs::delete(tx, job)?)
            })
            .await
    }
}

/// One run of an erasure's job.
struct Run {
    engine: Engine,
    scope: Scope,
    customer: CustomerId,
    person: Arc<Person>,
}

impl Run {
    /// The customer's own events, and the replies to requests. Whether all of them could be gone through.
    async fn own(&self) -> bool {
        let events = self.events(self.customer.core()).await;
        let replies = self.replies().await;
        if let Err(error) = events.and(replies) {
            tracing::error!(customer = %self.customer, ?error, "events or replies could not be gone through");
            return false;
        }
        true
    }

    /// Whether a payment is ended, and could be gone through.
    async fn tried(&self, id: PaymentId) -> bool {
        self.payment(id).await.unwrap_or_else(|error| {
            tracing::error!(payment = %id, ?error, "a payment of an erased customer could not be gone through");
            false
        })
    }

    async fn payment(&self, id: PaymentId) -> Result<bool, Error> {
        let (engine, scope, customer, person) =
            (self.engine.clone(), self.scope, self.customer, self.person.clone());
        let Erased { person, objects, ended } =
            self.engine.store.write(move |tx| engine.erase_payment(tx, scope, customer, id, &person)).await?;
        // After its rows: an event that is written from now on is made from what is blank already.
        let known = Run { engine: self.engine.clone(), scope, customer, person: Arc::new(person) };
        for object in objects {
            known.events(object).await?;
        }
        Ok(ended)
    }

    async fn methods(&self) -> Result<(), Error> {
        loop {
            let customer = self.customer;
            let removed = self
                .engine
                .store
                .write(move |tx| {
                    let methods = store::erasures::methods(tx, customer, METHODS_AT_ONCE)?;
                    for method in &methods {
                        store::erasures::delete_method(tx, *method)?;
                    }
                    Ok::<_, Error>(methods)
                })
                .await?;
            if removed.is_empty() {
                return Ok(());
            }
            for method in removed {
                self.events(method).await?;
            }
        }
    }

    /// The events about an object, a few in each commit.
    async fn events(&self, object: Core) -> Result<(), Error> {
        let mut after: Option<EventId> = None;
        loop {
            let last = after;
            let page = self
                .engine
                .store
                .read(move |tx| Ok::<_, Error>(store::erasures::events(tx, object, last, EVENTS_AT_ONCE)?))
                .await?;
            let Some(last) = page.last().copied() else { return Ok(()) };
            after = Some(last);
            self.rewrite(page).await?;
        }
    }

    async fn rewrite(&self, events: Vec<EventId>) -> Result<(), Error> {
        let person = self.person.clone();
        self.engine
            .store
            .write(move |tx| {
                events.iter().try_for_each(|event| {
                    Ok::<_, Error>(store::erasures::rewrite_event(tx, *event, &edit(&person))?)
                })
            })
            .await
    }

    /// Stored replies: those that show the customer's objects, and those in which the person is named.
    async fn replies(&self) -> Result<(), Error> {
        let (shown, hex) = (self.customer.to_string(), self.customer.0.hex());
        let scope = self.scope;
        let mut after = String::new();
        loop {
            let last = after.clone();
            let page = self
                .engine
                .store
                .read(move |tx| Ok::<_, Error>(store::erasures::replies(tx, scope, &last, REPLIES_AT_ONCE)?))
                .await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.key);
            for known in page {
                let edited = self.engine.edited_reply(scope, &known, |body| {
                    // Somebody else's reply may name the person, and is theirs for the rest.
                    let own = body.contains(&shown) || body.contains(&hex);
                    if own { self.person.erase_object(body) } else { self.person.erase_named(body) }
                });
                let edited = match edited {
                    Ok(Some(edited)) => edited,
                    Ok(None) => continue,
                    // Sealed under another key: nobody can read it, and it is removed within a day.
                    Err(error) => {
                        tracing::warn!(?error, "a stored reply could not be opened for an erasure");
                        continue;
                    }
                };
                self.engine
                    .store
                    .write(move |tx| Ok::<_, Error>(store::erasures::set_reply(tx, scope, &known, &edited)?))
                    .await?;
            }
        }
    }

    /// The end of a pass: what Gate has without a payment, and, when no payment can need them any more, the saved methods.
    /// Whether nothing is left that could bring the person back.
    async fn end(&self) -> Result<bool, Error> {
        let (customer, person) = (self.customer, self.person.clone());
        // The rows first: an event that is written from now on is made from what is blank already.
        let (unpaid, open) = self
            .engine
            .store
            .write(move |tx| {
                store::erasures::rewrite_payer(tx, customer, &edit(&person))?;
                Ok::<_, Error>((
                    store::erasures::unpaid(tx, customer)?,
                    store::erasures::open_payments(tx, customer)?,
                ))
            })
            .await?;
        let mut ended = open == 0;
        for transaction in unpaid {
            ended &= self.unpaid(transaction).await?;
        }
        if open == 0 {
            self.methods().await?;
        }
        Ok(ended)
    }

    /// A transaction of Gate without a payment; false while it is a payout under way, for which the bank needs the
    /// account.
    async fn unpaid(&self, t: Unpaid) -> Result<bool, Error> {
        let (scope, person) = (self.scope, self.person.clone());
        let Some(payout) = t.payout else {
            for at in [t.created_at, t.updated_at] {
                let (storefront, uuid) = (t.storefront, t.uuid.clone());
                let marked = move |tx: &mut Tx<'_>| {
                    Ok::<_, Error>(store::erasures::marked_events(tx, storefront, &uuid, at)?)
                };
                let events = self.engine.store.read(marked).await?;
                self.rewrite(events).await?;
            }
            return Ok(true);
        };
        let ended = self
            .engine
            .store
            .write(move |tx| {
                // Locked: a change of it at this moment writes an event, which must be among those below.
                let known = store::payouts::lock(tx, scope, payout)?;
                let ended = known.is_none_or(|payout| !payout.status.is_open());
                if ended {
                    store::erasures::rewrite_payout(tx, payout, &edit(&person))?;
                }
                Ok::<_, Error>(ended)
            })
            .await?;
        if ended {
            self.events(payout.core()).await?;
        }
        Ok(ended)
    }
}

impl Engine {
    /// Blanks a payment's rows, and ends it if nobody has paid it.
    fn erase_payment(
        &self,
        tx: &mut Tx<'_>,
        scope: Scope,
        customer: CustomerId,
        id: PaymentId,
        person: &Person,
    ) -> Result<Erased, Error> {
        payments::lock(tx, scope, id)?;
        // What the payer said of themselves here may stand in other texts of this payment too.
        let person = person.clone().also(store::erasures::personal_texts(tx, id)?);
        let methods = store::erasures::methods_of_payment(tx, id, customer)?;
        for method in &methods {
            store::erasures::blank_method(tx, *method)?;
        }
        store::erasures::rewrite_payment(tx, id, &edit(&person))?;
        // Only now: the news of its end must not tell what was blanked.
        let mut payment = payments::lock(tx, scope, id)?;
        let now = self.object_time(tx, scope, payment.clock)?;
        let waiting = payment.next_action.is_some().then_some(payment.latest_attempt).flatten();
        let reason = CancellationReason::RequestedByCustomer;
        // Nobody may fill in the form of a person who is gone.
        if payment::close(&mut payment, reason, now).is_ok() {
            if let Some(attempt) = waiting {
                self.give_up_attempt(tx, scope, attempt)?;
            }
            store::payments::update(tx, &payment)?;
            let snapshot = Snapshot { payment: Some(payment_view(tx, payment)?), ..Snapshot::default() };
            let news = [News::new(EventType::PaymentIntentCanceled, id.core())];
            self.emit(tx, scope, &Cause::default(), now, snapshot, &news)?;
        } else {
            self.call_off(tx, &Cause::default(), &payment, Some(reason), now)?;
        }
        let mut objects = vec![id.core()];
        objects.extend(store::erasures::objects(tx, id)?);
        let ended = !payments::lock(tx, scope, id)?.is_open();
        // What waits for an answer of the provider, or of the payer, may need its method once more.
        for method in methods.into_iter().filter(|_| ended) {
            store::erasures::delete_method(tx, method)?;
            objects.push(method);
        }
        Ok(Erased { person, objects, ended })
    }
}

/// A payment whose rows are blank.
struct Erased {
    /// By what its payer is known.
    person: Person,
    /// The objects whose events are about it.
    objects: Vec<Core>,
    /// Nothing can come back to it.
    ended: bool,
}

fn edit(person: &Person) -> impl Fn(Content, &str) -> Option<String> {
    |content, text| match content {
        Content::Object => Some(person.erase_object(text)),
        Content::Snapshot => Some(readable(person.erase_object(text))),
        Content::Request => Some(person.erase_request(text)),
        Content::Free => Some(person.erase_free(text)),
        Content::Address => person.erase_address(text),
        Content::Personal => Some(match serde_json::from_str(text) {
            Ok(mut value) => {
                blank(&mut value);
                value.to_string()
            }
            Err(_) => domain::erasure::ERASED.to_owned(),
        }),
    }
}

/// A snapshot that can still be read, or none of its objects: an event that cannot be shown would hold up every list and
/// every delivery in which it stands.
fn readable(snapshot: String) -> String {
    if let Err(error) = serde_json::from_str::<Snapshot>(&snapshot) {
        tracing::error!(%error, "an erased snapshot could not be read any more, and was emptied");
        return "{}".to_owned();
    }
    snapshot
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
