//! Transactions of the Admin API: attempts, with what came of them.

use crate::Engine;
use crate::call::{By, Call, Reply};
use crate::emit::Cause;
use crate::error::Error;
use crate::refunds::{CreateRefund, RefundTarget};
use crate::view::{DeliveryView, SiteTransactionView, Snapshot, View, payment_view};
use crate::views::delivery_view;
use domain::Metadata;
use domain::attempt::{Attempt, AttemptStatus};
use domain::audit::AuditKind;
use domain::currency::Currency;
use domain::event::Event;
use domain::id::{AttemptId, Core, PaymentId, TypedId};
use domain::ledger::PostedJournal;
use domain::payment::{Payment, PaymentStatus};
use domain::scope::Scope;
use domain::session::SessionCaller;
use domain::settings_group::{RefundSettings, SettingsGroup};
use store::numbered_page::{NumberedPage, NumberedQuery};
use store::site_transactions::TransactionFilter;
use store::{Tx, Wake};

/// Rows of each kind in a timeline.
const TIMELINE_ROWS: i64 = 200;

/// What came of a transaction, oldest first of each kind.
#[derive(Clone, Debug)]
pub struct Timeline {
    pub events: Vec<Event>,
    pub journals: Vec<PostedJournal>,
    pub notices: Vec<DeliveryView>,
}

impl Engine {
    pub async fn site_transactions(
        &self,
        scope: Scope,
        filter: TransactionFilter,
        query: NumberedQuery,
    ) -> Result<NumberedPage<SiteTransactionView>, Error> {
        self.store
            .read(move |tx| {
                let page = store::site_transactions::list(tx, scope, &filter, query)?;
                let mut data = Vec::with_capacity(page.data.len());
                for attempt in page.data {
                    data.push(site_transaction_view(tx, attempt)?);
                }
                Ok::<_, Error>(NumberedPage { data, total: page.total })
            })
            .await
    }

    /// A transaction, and all that came of it.
    pub async fn site_transaction(
        &self,
        scope: Scope,
        id: AttemptId,
    ) -> Result<(SiteTransactionView, Timeline), Error> {
        self.store
            .read(move |tx| {
                let attempt = present(tx, scope, id)?;
                let view = site_transaction_view(tx, attempt)?;
                let timeline = timeline(tx, scope, &view)?;
                Ok((view, timeline))
            })
            .await
    }

    /// Gives money back. See [`Engine::create_refund`]. `person`: who asks, where it is no key.
    ///
    /// # Errors
    /// [`SignInRefusal::ReauthenticationRequired`] for somebody who gives back more of the transaction in all than may
    /// be given back without a fresh login.
    pub async fn refund_site_transaction(
        &self,
        call: &Call,
        id: AttemptId,
        (amount, currency): (Option<i64>, Option<Currency>),
        metadata: Metadata,
        person: Option<&SessionCaller>,
    ) -> Result<Reply, Error> {
        let scope = call.caller.scope;
        let stale = person.and_then(|person| self.stale_login(person));
        let shown = self.store.read(move |tx| present(tx, scope, id)).await?;
        if currency.is_some_and(|currency| currency != shown.currency) {
            let message = format!("currency is not the transaction's, which is {}.", shown.currency);
            return Err(Error::invalid("currency", "currency_mismatch", message));
        }
        if !shown.listed {
            let message = "Nothing was paid by this transaction, so nothing can be refunded.".to_owned();
            return Err(Error::Conflict { code: "transaction_not_paid", message });
        }
        let new = CreateRefund { target: RefundTarget::Charge(id), amount, reason: None, metadata };
        let confirmed = move |tx: &mut Tx<'_>, payment: &Payment, attempt: &Attempt| {
            let Some(refusal) = stale else { return Ok(()) };
            let settings: RefundSettings = store::settings_groups::get(tx, scope, SettingsGroup::Refunds)?;
            let asked = amount.unwrap_or_else(|| domain::refund::refundable(payment));
            let in_all = attempt.amount_refunded.saturating_add(asked);
            if settings.confirms(payment.currency, in_all) { Err(refusal.into()) } else { Ok(()) }
        };
        self.create_refund_if(call, new, confirmed).await
    }

    /// Cancels the payment of a transaction that has not been captured.
    ///
    /// # Errors
    /// [`Error::Conflict`] for a try that is over; see [`Engine::cancel_payment`] otherwise.
    pub async fn cancel_site_transaction(&self, call: &Call, id: AttemptId) -> Result<Reply, Error> {
        let scope = call.caller.scope;
        let attempt = self.store.read(move |tx| present(tx, scope, id)).await?;
        // Under the payment's lock: a payer may begin another try at this moment.
        let still_open = move |tx: &mut Tx<'_>, payment: &Payment| {
            let attempt = present(tx, scope, id)?;
            let held = attempt.status == AttemptStatus::Authorised;
            if payment.latest_attempt == Some(id) && (attempt.status.is_open() || held) {
                return Ok(());
            }
            let message = match attempt.status {
                AttemptStatus::Captured => "The money was taken. Refund the transaction instead.",
                _ => "This transaction has ended. To close its checkout, expire that.",
            };
            Err(Error::Conflict { code: "transaction_ended", message: message.to_owned() })
        };
        self.cancel_payment_if(call, attempt.payment, None, still_open).await
    }

    /// Takes a transaction that took no money out of the lists. Its payment, events, notices and journals stay, and
    /// REST v2 still has its charge.
    ///
    /// # Errors
    /// [`Error::Conflict`] for one that is not over, or that took money.
    pub async fn hide_site_transaction(&self, scope: Scope, by: By, id: AttemptId) -> Result<(), Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                let payment = present(tx, scope, id)?.payment;
                crate::payments::lock(tx, scope, payment)?;
                let attempt = present(tx, scope, id)?;
                let message = match attempt.status {
                    AttemptStatus::Failed | AttemptStatus::Canceled | AttemptStatus::Expired => None,
                    AttemptStatus::Captured => Some(
                        "Money was taken by this transaction, so it stays in the books. Refund it instead.",
                    ),
                    _ => Some("This transaction is not over. Cancel it first."),
                };
                if let Some(message) = message {
                    return Err(Error::Conflict { code: "transaction_kept", message: message.to_owned() });
                }
                store::site_transactions::hide(tx, id, engine.now())?;
                let of = (Some(scope.merchant), Some(scope.mode));
                let detail = format!("{} transaction", attempt.status);
                engine.audit_by(tx, &by, AuditKind::ObjectDeleted, of, id.0.hex(), detail)
            })
            .await
    }

    /// Changes the merchant's own notes on a transaction's payment.
    pub async fn change_site_transaction<M>(
        &self,
        call: &Call,
        id: AttemptId,
        metadata: M,
    ) -> Result<Reply, Error>
    where
        M: Fn(&mut Metadata) -> Result<(), Error> + Send + 'static,
    {
        self.command(call, move |_, tx, call| {
            let scope = call.caller.scope;
            let attempt = present(tx, scope, id)?;
            let mut payment = crate::payments::lock(tx, scope, attempt.payment)?;
            metadata(&mut payment.metadata)?;
            store::payments::update(tx, &payment)?;
            Ok(View::SiteTransaction(Box::new(site_transaction_view(tx, attempt)?)))
        })
        .await
    }

    /// The payer has left for the provider's own page: until the answer, the transaction is pending there.
    ///
    /// # Errors
    /// [`Error::Conflict`] for one that does not wait for the payer.
    pub async fn mark_redirected(
        &self,
        scope: Scope,
        id: AttemptId,
        request: &str,
    ) -> Result<Attempt, Error> {
        let (engine, cause) = (self.clone(), Cause::request(request));
        self.store
            .write(move |tx| {
                let payment = present(tx, scope, id)?.payment;
                let payment = crate::payments::lock(tx, scope, payment)?;
                let mut attempt = present(tx, scope, id)?;
                let waits =
                    payment.status == PaymentStatus::RequiresAction && payment.latest_attempt == Some(id);
                if !waits || !attempt.status.is_open() {
                    let message = "This transaction does not wait for the payer.".to_owned();
                    return Err(Error::Conflict { code: "transaction_not_waiting", message });
                }
                if attempt.redirected {
                    return Ok(attempt);
                }
                store::attempts::set_redirected(tx, id)?;
                attempt.redirected = true;
                let at = engine.object_time(tx, scope, payment.clock)?;
                let snapshot = Snapshot { payment: Some(payment_view(tx, payment)?), ..Snapshot::default() };
                engine.emit(tx, scope, &cause, at, snapshot, &[])?;
                Ok(attempt)
            })
            .await
    }

    /// Sends the latest notice of a transaction once more, with the same bytes. A checkout that ended before anybody
    /// tried to pay is told of by its own id.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the shop named no address, or nothing was told yet.
    pub async fn resend_notice(&self, scope: Scope, id: Core) -> Result<(), Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                let checkout = store::checkouts::of_payment(tx, scope, PaymentId::from_core(id))?;
                if checkout.is_none() {
                    present(tx, scope, AttemptId::from_core(id))?;
                }
                let notices = store::webhooks::notices_of(tx, scope, id, TIMELINE_ROWS)?;
                let Some(latest) = notices.last() else {
                    let message =
                        "No notice was sent for this transaction: its checkout has no ipnUrl, or nothing \
                                   has happened yet."
                            .to_owned();
                    return Err(Error::Conflict { code: "no_notice", message });
                };
                store::webhooks::requeue(tx, latest.id, engine.now())?;
                tx.wake(Wake::Deliveries);
                Ok(())
            })
            .await
    }
}

pub(crate) fn present(tx: &mut Tx<'_>, scope: Scope, id: AttemptId) -> Result<Attempt, Error> {
    store::site_transactions::get(tx, scope, id)?.ok_or_else(|| Error::not_found("transaction", id.0.hex()))
}

/// A transaction with what is shown beside it, as it is stored.
pub(crate) fn site_transaction_view(tx: &mut Tx<'_>, attempt: Attempt) -> Result<SiteTransactionView, Error> {
    let scope = attempt.scope;
    let payment = store::payments::get(tx, scope, attempt.payment)?
        .ok_or_else(|| Error::Internal(format!("the payment of {} is missing", attempt.id)))?;
    let site = store::site_checkouts::of_payment(tx, scope, payment.id)?;
    let refunds = store::refunds::of_payment(tx, scope, payment.id)?;
    let refunds = refunds.into_iter().filter(|r| r.attempt == attempt.id).collect();
    let notices = match site.as_ref().and_then(|s| s.ipn_url.as_ref()) {
        Some(_) => store::webhooks::notices_of(tx, scope, attempt.id.core(), TIMELINE_ROWS)?,
        None => Vec::new(),
    };
    let last_notice = match notices.last() {
        Some(latest) => Some((latest.status, store::webhooks::attempts(tx, latest.id)?)),
        None => None,
    };
    let notice_attempts = notices.iter().map(|n| n.attempts).sum();
    Ok(SiteTransactionView { attempt, payment, site, refunds, notice_attempts, last_notice })
}

fn timeline(tx: &mut Tx<'_>, scope: Scope, view: &SiteTransactionView) -> Result<Timeline, Error> {
    let (attempt, payment) = (&view.attempt, &view.payment);
    let mut objects = vec![payment.id.core(), attempt.id.core()];
    objects.extend(view.refunds.iter().map(|r| r.id.core()));
    let mut events = Vec::new();
    let mut journals = Vec::new();
    for object in objects {
        events.extend(store::events::of_object(tx, scope, object, TIMELINE_ROWS)?);
    }
    events.retain(|e| !e.event_type.of_other_surface());
    events.sort_by_key(|e| e.id);
    events.dedup_by_key(|e| e.id);
    let mut names = vec![payment.id.to_string(), attempt.id.to_string()];
    names.extend(view.refunds.iter().map(|r| r.id.to_string()));
    for name in names {
        journals.extend(store::ledger::journals_of(tx, scope, &name, TIMELINE_ROWS)?);
    }
    journals.sort_by_key(|j| j.id);
    let mut notices = Vec::new();
    for delivery in store::webhooks::notices_of(tx, scope, attempt.id.core(), TIMELINE_ROWS)? {
        notices.push(delivery_view(tx, scope, delivery)?);
    }
    Ok(Timeline { events, journals, notices })
}
