use super::{lock, refuse};
use crate::Engine;
use crate::call::{Call, Reply};
use crate::error::Error;
use crate::provider::Step;
use domain::id::PaymentId;
use domain::payment::{self, OperationKind, Refusal};

impl Engine {
    /// Raises an authorisation to `total` minor units.
    pub async fn increment_payment(&self, call: &Call, id: PaymentId, total: i64) -> Result<Reply, Error> {
        self.drive(call, move |engine, tx, call| {
            let scope = call.caller.scope;
            let mut payment = lock(tx, scope, id)?;
            let attempt = match payment.latest_attempt {
                Some(attempt) => store::attempts::get(tx, scope, attempt)?,
                None => None,
            };
            let begun = match &attempt {
                Some(attempt) => payment::begin_increment(&mut payment, attempt, total),
                None => Err(Refusal::UnexpectedState {
                    command: "increment_authorization",
                    status: payment.status,
                    allowed: &[payment::PaymentStatus::RequiresCapture],
                }),
            };
            if let Err(refusal) = begun {
                return Err(refuse(tx, scope, id, refusal));
            }
            store::payments::update(tx, &payment)?;
            engine.ask_change(tx, call, &payment, OperationKind::Increment, total).map(Step::Ask)
        })
        .await
    }
}
