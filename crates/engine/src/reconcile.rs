//! What happens without a request: due settlements and expiries, and calls whose answer is missing.

use crate::Engine;
use crate::emit::Cause;
use crate::error::Error;
use crate::provider::{Ask, Order, Subject};
use connectors::{ChangeOrder, RefundOrder};
use domain::id::{AttemptId, ClockId, RefundId, TypedId};
use domain::limits::BULK_ROWS;
use domain::time::{MICROS, MINUTE, Timestamp};
use store::Tx;
use store::jobs::{Job, JobKind, Kinds};

/// A node that has not been seen for this long is gone, or cut off.
const NODE_GONE_US: i64 = 10 * MICROS;
/// How long after its deadline a call of a node that may only be cut off can still arrive somewhere.
const STRAY_US: i64 = 5 * MICROS;
/// How long a claimed job is left to its claimer.
const CLAIM_US: i64 = 2 * MINUTE;
/// Jobs asked about at the same time: a provider that hangs must not hold up the others.
const JOBS_AT_ONCE: i64 = 16;
/// Payments settled in one commit.
const SETTLED_AT_ONCE: usize = 20;

impl Engine {
    /// Tells the other nodes that this one lives, and takes over what dead ones left.
    ///
    /// A provider that knows nothing of a call says so for certain only when the call can no longer be
    /// on its way. Of this node's own earlier life that is known at once: it holds the node's lock, so
    /// its predecessor is dead. Another node may be alive and only cut off from the database, so its
    /// calls are asked about when their deadline has passed.
    pub async fn heartbeat(&self) -> Result<(), Error> {
        let (node, alone, born) = (self.node, self.store.is_embedded(), self.born);
        let stray = i64::try_from(self.options.provider_deadline.as_micros()).unwrap_or(MINUTE) + STRAY_US;
        self.store
            .write(move |tx| {
                let now = crate::wall_clock();
                // First of all, so that this node is never among the dead and keeps its calls in flight.
                store::jobs::heartbeat(tx, node, now)?;
                let mut adopted = store::jobs::adopt_own(tx, node, born, born.plus(CLAIM_US), now)?;
                if alone {
                    store::jobs::only_node(tx, node)?;
                    adopted += store::jobs::adopt_orphans(tx, now, now, 0)?;
                } else {
                    adopted += store::jobs::adopt_orphans(tx, now.plus(-NODE_GONE_US), now, stray)?;
                }
                if adopted > 0 {
                    tracing::info!(adopted, "took over unfinished provider calls of a node that is gone");
                    tx.wake(store::Wake::Jobs);
                }
                Ok::<_, Error>(())
            })
            .await
    }

    /// Says goodbye, so that others need not wait before they take over.
    pub async fn leave(&self) -> Result<(), Error> {
        let node = self.node;
        self.store.write(move |tx| Ok::<_, Error>(store::jobs::leave(tx, node)?)).await
    }

    /// Asks providers about calls whose answer is missing. How many jobs were worked on.
    pub async fn run_jobs(&self) -> Result<usize, Error> {
        let engine = self.clone();
        let jobs = self
            .store
            .write(move |tx| {
                // Within the closure, which may run late: a claim that has ended already would be taken by others.
                let now = engine.now();
                let (node, until) = (engine.node, now.plus(CLAIM_US));
                Ok::<_, Error>(store::jobs::claim(tx, node, Kinds::Questions, now, until, JOBS_AT_ONCE)?)
            })
            .await?;
        let count = jobs.len();
        let mut running = tokio::task::JoinSet::new();
        for job in jobs {
            let engine = self.clone();
            running.spawn(async move {
                let id = job.id;
                if let Err(e) = engine.run_job(job).await {
                    tracing::warn!(job = %id, error = ?e, "a job failed and will be tried again");
                }
            });
        }
        while running.join_next().await.is_some() {}
        Ok(count)
    }

    async fn run_job(&self, job: Job) -> Result<(), Error> {
        self.carry_out(move |engine, tx| engine.question(tx, &job)).await.map(|_| ())
    }

    /// What to ask about a job's object. A job whose object needs no answer any more is removed.
    fn question(&self, tx: &mut Tx<'_>, job: &Job) -> Result<Option<Ask>, Error> {
        let question = match job.kind {
            JobKind::ReconcileAttempt => self.about_attempt(tx, job)?,
            JobKind::ReconcileChange => self.about_change(tx, job)?,
            JobKind::ReconcileRefund => self.about_refund(tx, job)?,
            JobKind::ReconcilePayout => self.about_payout(tx, job)?,
            JobKind::ReverseAttempt => self.about_reversal(tx, job)?,
            JobKind::EraseCustomer => None,
        };
        let Some((connector, order, subject)) = question else {
            store::jobs::delete(tx, job.id)?;
            return Ok(None);
        };
        Ok(Some(Ask {
            scope: job.scope,
            connector,
            order,
            subject,
            job: job.id,
            tries: job.tries,
            cause: Cause { request: None, idempotency_key: job.idempotency_key.clone() },
            key: job.idempotency_key.clone(),
            spec: None,
        }))
    }

    fn about_attempt(&self, tx: &mut Tx<'_>, job: &Job) -> Result<Option<(String, Order, Subject)>, Error> {
        let Some(id) = AttemptId::parse(&job.object) else { return Ok(None) };
        let Some(attempt) = store::attempts::get(tx, job.scope, id)? else { return Ok(None) };
        let provider = self.connector_of(tx, job, attempt.provider)?;
        let now = self.object_time(tx, job.scope, attempt.clock)?;
        let subject = Subject::Attempt { payment: attempt.payment, attempt: id };
        Ok(Some((provider, Order::FindAttempt { attempt: job.object.clone(), now }, subject)))
    }

    /// A capture, void or increment is simply sent again: the provider takes one reference once.
    fn about_change(&self, tx: &mut Tx<'_>, job: &Job) -> Result<Option<(String, Order, Subject)>, Error> {
        let Some(id) = AttemptId::parse(&job.object) else { return Ok(None) };
        let Some(attempt) = store::attempts::get(tx, job.scope, id)? else { return Ok(None) };
        let Some(payment) = store::payments::get(tx, job.scope, attempt.payment)? else { return Ok(None) };
        let Some(operation) = payment.operation else {
            // Ended already; a request that still waits gets the payment as it is.
            if let Some(key) = &job.idempotency_key {
                let outcome = self.payment_outcome(tx, payment, false)?;
                self.reply_later(tx, job.scope, Some(key), None, &outcome)?;
            }
            return Ok(None);
        };
        let provider = self.connector_of(tx, job, attempt.provider)?;
        let now = self.object_time(tx, job.scope, payment.clock)?;
        let order = ChangeOrder { attempt: job.object.clone(), amount: operation.amount, now };
        let subject = Subject::Change { payment: payment.id, attempt: id, kind: operation.kind };
        Ok(Some((provider, Order::Change(operation.kind, order), subject)))
    }

    fn about_refund(&self, tx: &mut Tx<'_>, job: &Job) -> Result<Option<(String, Order, Subject)>, Error> {
        let Some(id) = RefundId::parse(&job.object) else { return Ok(None) };
        let Some(refund) = store::refunds::get(tx, job.scope, id)? else { return Ok(None) };
        let Some(attempt) = store::attempts::get(tx, job.scope, refund.attempt)? else { return Ok(None) };
        let provider = self.connector_of(tx, job, attempt.provider)?;
        let now = self.object_time(tx, job.scope, refund.clock)?;
        let order = RefundOrder {
            refund: job.object.clone(),
            attempt: refund.attempt.to_string(),
            amount: refund.amount,
            now,
        };
        Ok(Some((
            provider,
            Order::FindRefund(order),
            Subject::Refund { payment: refund.payment, refund: id },
        )))
    }

    fn about_reversal(&self, tx: &mut Tx<'_>, job: &Job) -> Result<Option<(String, Order, Subject)>, Error> {
        let Some(id) = AttemptId::parse(&job.object) else { return Ok(None) };
        let Some(attempt) = store::attempts::get(tx, job.scope, id)? else { return Ok(None) };
        let provider = self.connector_of(tx, job, attempt.provider)?;
        let order = ChangeOrder { attempt: job.object.clone(), amount: attempt.amount, now: self.now() };
        Ok(Some((
            provider,
            Order::Reverse(order),
            Subject::Reversal { payment: attempt.payment, attempt: id },
        )))
    }

    fn connector_of(
        &self,
        tx: &mut Tx<'_>,
        job: &Job,
        provider: domain::id::ProviderId,
    ) -> Result<String, Error> {
        let provider = store::providers::get(tx, job.scope, provider)?;
        provider
            .map(|p| p.connector)
            .ok_or_else(|| Error::Internal(format!("{} has no provider", job.object)))
    }

    /// Does what is due by `now` in the time of `clock` (the wall clock's if `None`): settlements, expiries
    /// of authorisations and of payment pages, and, for test clocks, jobs. How many things were done.
    pub async fn run_due(&self, clock: Option<ClockId>, now: Timestamp) -> Result<usize, Error> {
        let settle = self
            .store
            .read(move |tx| Ok::<_, Error>(store::payments::to_settle(tx, clock, now, BULK_ROWS)?))
            .await?;
        let expire = self
            .store
            .read(move |tx| Ok::<_, Error>(store::payments::to_expire(tx, clock, now, BULK_ROWS)?))
            .await?;
        let lapsed = self
            .store
            .read(move |tx| Ok::<_, Error>(store::checkouts::to_expire(tx, clock, now, BULK_ROWS)?))
            .await?;
        let mut done = settle.len() + expire.len() + lapsed.len();
        for due in lapsed {
            if let Err(e) = self.expire_checkout(due).await {
                tracing::warn!(payment = %due.payment, error = ?e, "a checkout could not be expired and will be tried again");
            }
        }
        if clock.is_none() {
            done += self.expire_gate_transactions().await?;
        }
        for batch in settle.chunks(SETTLED_AT_ONCE) {
            if self.settle_payments(batch.to_vec()).await.is_ok() {
                continue;
            }
            // One payment that cannot be settled must not hold up the rest.
            for due in batch {
                if let Err(e) = self.settle_payments(vec![*due]).await {
                    tracing::error!(payment = %due.payment, error = ?e, "a settlement failed and will be tried again");
                }
            }
        }
        for due in expire {
            // One payment that cannot be expired must not hold up the rest.
            if let Err(e) = self.expire_payment(due).await {
                tracing::warn!(payment = %due.payment, error = ?e, "an expiry failed and will be tried again");
            }
        }
        if let Some(clock) = clock {
            let jobs = self
                .store
                .read(move |tx| Ok::<_, Error>(store::jobs::due_by_clock(tx, clock, now, BULK_ROWS)?))
                .await?;
            done += jobs.len();
            for job in jobs {
                let id = job.id;
                if let Err(e) = self.run_job(job).await {
                    tracing::warn!(job = %id, error = ?e, "a job failed and will be tried again");
                }
            }
        }
        Ok(done)
    }

    /// Ends challenges whose time is over. How many.
    pub async fn lapse_challenges(&self) -> Result<usize, Error> {
        let now = self.now();
        let lapsed =
            self.store.read(move |tx| Ok::<_, Error>(store::challenges::lapsed(tx, now, BULK_ROWS)?)).await?;
        let count = lapsed.len();
        for challenge in lapsed {
            let payment = challenge.payment;
            if let Err(e) = self.lapse_challenge(challenge).await {
                tracing::warn!(%payment, error = ?e, "a challenge could not be ended and will be tried again");
            }
        }
        Ok(count)
    }

    /// Removes idempotency keys that are older than replies are kept. How many.
    pub async fn purge_keys(&self) -> Result<u64, Error> {
        let before = self.now().plus(-domain::limits::IDEMPOTENCY_KEPT_US);
        self.store.write(move |tx| Ok::<_, Error>(store::idempotency::purge(tx, before, BULK_ROWS)?)).await
    }
}
