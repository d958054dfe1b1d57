//! Refunds: the money leaves the merchant's balance first, then the provider is asked.

use crate::Engine;
use crate::call::{Call, Reply};
use crate::emit::{Cause, News};
use crate::error::Error;
use crate::payments;
use crate::provider::{Ask, Order, Origin, Step, Subject};
use crate::view::{Outcome, Snapshot, View, payment_view};
use connectors::RefundOrder;
use domain::Metadata;
use domain::attempt::Attempt;
use domain::balance::{BalanceKind, BalanceTransaction};
use domain::event::EventType;
use domain::id::{AttemptId, JournalId, PaymentId, RefundId, TypedId};
use domain::ledger::{AccountKey, AccountKind, recipes};
use domain::limits::REFUNDS_PER_PAYMENT;
use domain::outcome::ChangeOutcome;
use domain::payment::Payment;
use domain::refund::{self, Refund, RefundChange, RefundPlan, RefundReason, RefundRefusal, RefundStatus};
use domain::scope::Scope;
use domain::time::Timestamp;
use store::Tx;

/// What is to be refunded.
#[derive(Clone, Copy, Debug)]
pub enum RefundTarget {
    Payment(PaymentId),
    Charge(AttemptId),
    /// Both named: they must belong together.
    Both(PaymentId, AttemptId),
}

#[derive(Clone, Debug)]
pub struct CreateRefund {
    pub target: RefundTarget,
    /// Minor units; everything that is left if `None`.
    pub amount: Option<i64>,
    pub reason: Option<RefundReason>,
    pub metadata: Metadata,
}

impl Engine {
    /// Refunds a captured payment in full or in part.
    pub async fn create_refund(&self, call: &Call, new: CreateRefund) -> Result<Reply, Error> {
        self.create_refund_if(call, new, |_, _, _| Ok(())).await
    }

    /// The same if `check` agrees, under the payment's lock.
    pub(crate) async fn create_refund_if(
        &self,
        call: &Call,
        new: CreateRefund,
        check: impl Fn(&mut Tx<'_>, &Payment, &Attempt) -> Result<(), Error> + Send + 'static,
    ) -> Result<Reply, Error> {
        let settings = self.settings(call.caller.scope).await?;
        let below_zero = settings.mode.refunds_below_zero;
        self.drive(call, move |engine, tx, call| {
            let (payment, attempt) = target(tx, call.caller.scope, new.target)?;
            check(tx, &payment, &attempt)?;
            if attempt.is_off_platform() {
                let subject = attempt.id;
                let refund = engine.return_off_platform(tx, call, payment, attempt, &new)?;
                let detail = format!("refund {}: {}, off the platform", refund.id.0.hex(), refund.amount);
                engine.audit_money(tx, call, subject.0.hex(), detail)?;
                let done = Outcome::Done(View::Refund(refund));
                return Ok(Step::Done(engine.reply_now(tx, call, &done)?));
            }
            let (origin, id): (_, RefundId) = (Origin::from(call), engine.ids.next());
            let subject = attempt.id;
            let ask = engine.begin_refund_as(tx, &origin, id, payment, attempt, &new, below_zero)?;
            let asked = new.amount.map_or_else(|| "all that is left".to_owned(), |amount| amount.to_string());
            engine.audit_money(tx, call, subject.0.hex(), format!("refund {}: {asked}", id.0.hex()))?;
            Ok(Step::Ask(ask))
        })
        .await
    }

    /// Transaction 1 of a refund with this id, on a payment whose row is locked. A refusal changes nothing.
    pub(crate) fn begin_refund_as(
        &self,
        tx: &mut Tx<'_>,
        origin: &Origin<'_>,
        id: RefundId,
        mut payment: Payment,
        mut attempt: Attempt,
        new: &CreateRefund,
        below_zero: bool,
    ) -> Result<Box<Ask>, Error> {
        if attempt.is_off_platform() {
            return Err(Error::Internal(format!("{} went past us: no provider can refund it", attempt.id)));
        }
        let plan = match plan(tx, &payment, new.amount, below_zero)? {
            Ok(plan) => plan,
            Err(refusal) => {
                let payment = Box::new(payment_view(tx, payment)?);
                return Err(Error::Refund { refusal, payment });
            }
        };
        let at = self.object_time(tx, payment.scope, payment.clock)?;
        let refund = self.take(tx, id, &mut payment, &mut attempt, new, plan, at)?;
        let provider = store::providers::get(tx, refund.scope, attempt.provider)?
            .ok_or_else(|| Error::Internal(format!("the provider of {} is missing", attempt.id)))?;
        let order = RefundOrder {
            refund: refund.id.to_string(),
            attempt: attempt.id.to_string(),
            amount: refund.amount,
            now: at,
        };
        let subject = Subject::Refund { payment: payment.id, refund: refund.id };
        let shown = if payment.checkout { Some(payment_view(tx, payment)?) } else { None };
        let snapshot = Snapshot { payment: shown, refund: Some(refund.clone()), ..Snapshot::default() };
        let created = [News::new(EventType::RefundCreated, refund.id.core())];
        self.emit(tx, refund.scope, &origin.cause, at, snapshot, &created)?;
        self.prepare_ask(tx, origin, &provider.connector, Order::Refund(order), subject)
    }

    /// Takes a refund's money from the merchant's balance and writes the refund as pending.
    fn take(
        &self,
        tx: &mut Tx<'_>,
        id: RefundId,
        payment: &mut Payment,
        attempt: &mut Attempt,
        new: &CreateRefund,
        plan: RefundPlan,
        at: Timestamp,
    ) -> Result<Refund, Error> {
        let journal: JournalId = self.ids.next();
        let refund = Refund {
            id,
            scope: payment.scope,
            payment: payment.id,
            attempt: attempt.id,
            amount: plan.amount,
            currency: payment.currency,
            status: RefundStatus::Pending,
            reason: new.reason,
            failure_reason: None,
            from_pending: plan.from_pending,
            shortfall: plan.shortfall,
            journal,
            failure_journal: None,
            off_platform: false,
            metadata: new.metadata.clone(),
            clock: payment.clock,
            created_at: at,
        };
        store::ledger::post(tx, &recipes::refund_created(&refund, at), journal, self.now())?;
        let pending = payment.pending_balance > plan.from_pending;
        store::balance::insert(
            tx,
            &BalanceTransaction {
                journal,
                scope: refund.scope,
                kind: BalanceKind::Refund,
                currency: refund.currency,
                amount: -refund.amount,
                fee: 0,
                source: refund.id.to_string(),
                available_on: if pending { payment.available_on.unwrap_or(at) } else { at },
                available: !pending,
                created_at: at,
            },
        )?;
        payment.amount_refunded += plan.amount;
        payment.pending_balance -= plan.from_pending;
        payment.refund_shortfall += plan.shortfall;
        attempt.amount_refunded += plan.amount;
        store::refunds::insert(tx, &refund)?;
        store::attempts::update(tx, attempt)?;
        store::payments::update(tx, payment)?;
        if plan.from_pending > 0 && payment.pending_balance == 0 {
            // Settlement passes this payment over now: there is nothing left to move.
            self.mark_available(tx, payment)?;
        }
        Ok(refund)
    }

    /// Transaction 2 of a refund.
    pub(crate) fn apply_to_refund(
        &self,
        tx: &mut Tx<'_>,
        ask: &Ask,
        payment: PaymentId,
        id: RefundId,
        outcome: &ChangeOutcome,
    ) -> Result<Refund, Error> {
        let mut payment = payments::lock(tx, ask.scope, payment)?;
        let lost = || Error::Internal(format!("{id} or its attempt is missing"));
        let mut refund = store::refunds::get(tx, ask.scope, id)?.ok_or_else(lost)?;
        let mut attempt = store::attempts::get(tx, ask.scope, refund.attempt)?.ok_or_else(lost)?;
        let clock = payment.clock;
        let at = self.object_time(tx, ask.scope, clock)?;
        let change = refund::apply(&mut refund, outcome);
        let events: &[EventType] = match change {
            RefundChange::None => &[],
            RefundChange::Succeeded => {
                self.post_journal(tx, &recipes::refund_succeeded(&refund, attempt.provider, at))?;
                &[EventType::RefundUpdated, EventType::ChargeRefunded]
            }
            RefundChange::Failed => {
                self.put_back(tx, &mut payment, &mut attempt, &mut refund, at)?;
                &[EventType::RefundUpdated, EventType::RefundFailed]
            }
        };
        if change != RefundChange::None {
            store::refunds::update(tx, &refund)?;
            let object =
                |t: EventType| if t == EventType::ChargeRefunded { attempt.id.core() } else { id.core() };
            let news: Vec<News> = events.iter().map(|t| News::new(*t, object(*t))).collect();
            let snapshot = Snapshot {
                payment: Some(payment_view(tx, payment)?),
                attempt: Some(attempt.clone()),
                refund: Some(refund.clone()),
                ..Snapshot::default()
            };
            self.emit(tx, ask.scope, &ask.cause, at, snapshot, &news)?;
        }
        let ask_again = match outcome {
            _ if refund.status != RefundStatus::Pending => None,
            ChangeOutcome::Pending { check_at } => Some(*check_at),
            _ => Some(at),
        };
        self.settle_job(tx, ask, ask_again, *outcome == ChangeOutcome::Unknown, clock)?;
        Ok(refund)
    }

    fn put_back(
        &self,
        tx: &mut Tx<'_>,
        payment: &mut Payment,
        attempt: &mut Attempt,
        refund: &mut Refund,
        at: Timestamp,
    ) -> Result<(), Error> {
        let journal = self.post_journal(tx, &recipes::refund_failed(refund, at))?;
        refund.failure_journal = Some(journal);
        store::balance::insert(
            tx,
            &BalanceTransaction {
                journal,
                scope: refund.scope,
                kind: BalanceKind::RefundFailure,
                currency: refund.currency,
                amount: refund.amount,
                fee: 0,
                source: refund.id.to_string(),
                available_on: at,
                available: true,
                created_at: at,
            },
        )?;
        payment.amount_refunded -= refund.amount;
        payment.refund_shortfall -= refund.shortfall;
        attempt.amount_refunded -= refund.amount;
        store::attempts::update(tx, attempt)?;
        Ok(store::payments::update(tx, payment)?)
    }

    /// Changes a refund's metadata, the only thing about it that can change by request.
    pub async fn update_refund<M>(&self, call: &Call, id: RefundId, metadata: M) -> Result<Reply, Error>
    where
        M: Fn(&mut Metadata) -> Result<(), Error> + Send + 'static,
    {
        self.command(call, move |engine, tx, call| {
            let scope = call.caller.scope;
            let not_found = || Error::not_found("refund", id);
            let refund = store::refunds::get(tx, scope, id)?.ok_or_else(not_found)?;
            // Under the payment's lock, like every other change of a refund; so it is read again.
            payments::lock(tx, scope, refund.payment)?;
            let mut refund = store::refunds::get(tx, scope, id)?.ok_or_else(not_found)?;
            let before = refund.clone();
            metadata(&mut refund.metadata)?;
            store::refunds::update(tx, &refund)?;
            let previous = Some(Box::new(Snapshot { refund: Some(before), ..Snapshot::default() }));
            let snapshot = Snapshot { refund: Some(refund.clone()), previous, ..Snapshot::default() };
            let news = [News::new(EventType::RefundUpdated, id.core())];
            engine.emit(tx, scope, &Cause::from(call), engine.now(), snapshot, &news)?;
            Ok(View::Refund(refund))
        })
        .await
    }
}

/// Locks the payment that a refund is about, and finds its captured attempt.
pub(crate) fn target(
    tx: &mut Tx<'_>,
    scope: Scope,
    target: RefundTarget,
) -> Result<(Payment, Attempt), Error> {
    let no_payment = |id: PaymentId| Error::missing("payment_intent", "payment_intent", id);
    let no_charge = |id: AttemptId| Error::missing("charge", "charge", id);
    let (payment, charge) = match target {
        RefundTarget::Payment(id) => (id, None),
        RefundTarget::Charge(id) | RefundTarget::Both(_, id) => {
            let attempt =
                store::attempts::get(tx, scope, id)?.filter(|a| a.listed).ok_or_else(|| no_charge(id))?;
            (attempt.payment, Some(id))
        }
    };
    if let RefundTarget::Both(named, _) = target
        && named != payment
    {
        return Err(Error::invalid(
            "charge",
            "parameter_invalid",
            "The charge does not belong to the PaymentIntent. Pass one of the two.",
        ));
    }
    let payment = store::payments::lock(tx, scope, payment)?.ok_or_else(|| no_payment(payment))?;
    let attempt = match charge.or(payment.latest_charge) {
        Some(id) => store::attempts::get(tx, scope, id)?.ok_or_else(|| no_charge(id))?,
        None => {
            let refusal = RefundRefusal::NotCaptured { status: payment.status };
            let payment = Box::new(payment_view(tx, payment)?);
            return Err(Error::Refund { refusal, payment });
        }
    };
    if charge.is_some() && payment.latest_charge != charge {
        // An earlier, failed try of the same payment: nothing was captured on it.
        let refusal = RefundRefusal::NotCaptured { status: payment.status };
        let payment = Box::new(payment_view(tx, payment)?);
        return Err(Error::Refund { refusal, payment });
    }
    Ok((payment, attempt))
}

/// How much a refund of `asked` is, as far as the payment itself decides.
pub(crate) fn asked_amount(
    tx: &mut Tx<'_>,
    payment: &Payment,
    asked: Option<i64>,
) -> Result<Result<i64, RefundRefusal>, Error> {
    let amount = refund::amount(payment, asked);
    if amount.is_ok() && store::refunds::count_of_payment(tx, payment.id)? >= REFUNDS_PER_PAYMENT {
        return Ok(Err(RefundRefusal::TooMany));
    }
    Ok(amount)
}

fn plan(
    tx: &mut Tx<'_>,
    payment: &Payment,
    asked: Option<i64>,
    below_zero: bool,
) -> Result<Result<RefundPlan, RefundRefusal>, Error> {
    let amount = match asked_amount(tx, payment, asked)? {
        Ok(amount) => amount,
        Err(refusal) => return Ok(Err(refusal)),
    };
    // The guard of the available balance is taken only if the payment's own pending part is short.
    let available = if amount > payment.pending_balance {
        let account = AccountKey {
            scope: payment.scope,
            currency: payment.currency,
            kind: AccountKind::MerchantAvailable,
            owner: None,
        };
        -store::ledger::lock_balance(tx, account)?
    } else {
        0
    };
    Ok(refund::plan(payment, amount, available, below_zero))
}
