use super::{lock, refuse};
use crate::Engine;
use crate::call::{Call, Reply};
use crate::emit::{Cause, News};
use crate::error::Error;
use crate::provider::Step;
use crate::view::{Outcome, Snapshot, View, payment_view};
use domain::event::EventType;
use domain::id::{PaymentId, TypedId};
use domain::payment::{self, CancelStep, CancellationReason, OperationKind, Payment};
use store::Tx;

impl Engine {
    /// Cancels a payment that has not been captured; an authorisation is voided at the provider.
    pub async fn cancel_payment(
        &self,
        call: &Call,
        id: PaymentId,
        reason: Option<CancellationReason>,
    ) -> Result<Reply, Error> {
        self.cancel_payment_if(call, id, reason, |_, _| Ok(())).await
    }

    /// The same if `check` agrees, under the payment's lock.
    pub(crate) async fn cancel_payment_if(
        &self,
        call: &Call,
        id: PaymentId,
        reason: Option<CancellationReason>,
        check: impl Fn(&mut Tx<'_>, &Payment) -> Result<(), Error> + Send + 'static,
    ) -> Result<Reply, Error> {
        self.drive(call, move |engine, tx, call| {
            let scope = call.caller.scope;
            let mut payment = lock(tx, scope, id)?;
            check(tx, &payment)?;
            let now = engine.object_time(tx, scope, payment.clock)?;
            let waiting = payment.next_action.is_some().then_some(payment.latest_attempt).flatten();
            if let Some(view) = engine.call_off(tx, &Cause::from(call), &payment, reason, now)? {
                let subject = payment.latest_attempt.map_or_else(|| id.0.hex(), |attempt| attempt.0.hex());
                engine.audit_money(tx, call, subject, "the payment was canceled")?;
                return Ok(Step::Done(engine.reply_now(tx, call, &Outcome::Done(view))?));
            }
            let step = match payment::begin_cancel(&mut payment, reason, now) {
                Ok(step) => step,
                Err(refusal) => return Err(refuse(tx, scope, id, refusal)),
            };
            store::payments::update(tx, &payment)?;
            let subject = payment.latest_attempt.map_or_else(|| id.0.hex(), |attempt| attempt.0.hex());
            engine.audit_money(tx, call, subject, "the payment was canceled")?;
            match step {
                CancelStep::Void => {
                    let held = payment.amount_capturable;
                    engine.ask_change(tx, call, &payment, OperationKind::Void, held).map(Step::Ask)
                }
                CancelStep::Now => {
                    if let Some(attempt) = waiting {
                        engine.give_up_attempt(tx, scope, attempt)?;
                    }
                    let news = [News::new(EventType::PaymentIntentCanceled, id.core())];
                    let view = payment_view(tx, payment)?;
                    let snapshot = Snapshot { payment: Some(view.clone()), ..Snapshot::default() };
                    engine.emit(tx, scope, &Cause::from(call), now, snapshot, &news)?;
                    Ok(Step::Done(engine.reply_now(tx, call, &Outcome::Done(View::Payment(view)))?))
                }
            }
        })
        .await
    }
}
