use super::lock;
use crate::Engine;
use crate::call::ReplySpec;
use crate::emit::Cause;
use crate::error::Error;
use crate::provider::{Ask, Order, Subject};
use connectors::ChangeOrder;
use domain::payment::{CancelStep, CancellationReason, OperationKind, begin_cancel};
use domain::time::{MINUTE, Timestamp};
use store::Tx;
use store::jobs::{Job, JobKind};
use store::payments::Due;

impl Engine {
    /// Ends an authorisation that was not captured in time. A capture that is under way wins: the
    /// payment is then left alone.
    pub async fn expire_payment(&self, due: Due) -> Result<bool, Error> {
        self.carry_out(move |engine, tx| engine.begin_expiry(tx, due)).await
    }

    fn begin_expiry(&self, tx: &mut Tx<'_>, due: Due) -> Result<Option<Ask>, Error> {
        let mut payment = lock(tx, due.scope, due.payment)?;
        let now = self.object_time(tx, due.scope, payment.clock)?;
        if payment.capture_before.is_none_or(|t| now < t) {
            return Ok(None);
        }
        let reason = Some(CancellationReason::Automatic);
        let Ok(CancelStep::Void) = begin_cancel(&mut payment, reason, now) else { return Ok(None) };
        let (Some(attempt), Some(provider)) = (payment.latest_attempt, payment.provider) else {
            return Err(Error::Internal(format!(
                "{} is authorised without an attempt or provider",
                payment.id
            )));
        };
        let provider = store::providers::get(tx, due.scope, provider)?
            .ok_or_else(|| Error::Internal(format!("the provider of {} is missing", payment.id)))?;
        store::payments::update(tx, &payment)?;
        let job = self.gateway_job(due.scope, JobKind::ReconcileChange, attempt.to_string());
        store::jobs::insert(tx, &job)?;
        let order = ChangeOrder { attempt: attempt.to_string(), amount: payment.amount_capturable, now };
        Ok(Some(Ask {
            scope: due.scope,
            connector: provider.connector,
            order: Order::Change(OperationKind::Void, order),
            subject: Subject::Change { payment: payment.id, attempt, kind: OperationKind::Void },
            job: job.id,
            tries: 0,
            cause: Cause::default(),
            key: None,
            spec: None::<ReplySpec>,
        }))
    }

    /// The job of a call that the gateway makes by itself.
    pub(crate) fn gateway_job(&self, scope: domain::scope::Scope, kind: JobKind, object: String) -> Job {
        let now: Timestamp = self.now();
        Job {
            id: self.ids.next(),
            scope,
            kind,
            object,
            node: Some(self.node),
            clock: None,
            due_at: now.plus(MINUTE),
            tries: 0,
            idempotency_key: None,
            created_at: now,
        }
    }
}
