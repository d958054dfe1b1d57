use super::confirm::capture_fee;
use super::{lock, refuse};
use crate::Engine;
use crate::call::{Call, Reply};
use crate::error::Error;
use crate::provider::{Ask, Order, Origin, Step, Subject};
use connectors::ChangeOrder;
use domain::id::PaymentId;
use domain::payment::{self, OperationKind, Payment};
use store::Tx;

impl Engine {
    /// Captures an authorised payment, all of it or `amount` minor units; the rest is released.
    pub async fn capture_payment(
        &self,
        call: &Call,
        id: PaymentId,
        amount: Option<i64>,
    ) -> Result<Reply, Error> {
        let settings = self.settings(call.caller.scope).await?;
        self.drive(call, move |engine, tx, call| {
            let scope = call.caller.scope;
            let mut payment = lock(tx, scope, id)?;
            let capture = match payment::capture_amount(&payment, amount) {
                Ok(capture) => capture,
                Err(refusal) => return Err(refuse(tx, scope, id, refusal)),
            };
            let own = capture.min(payment.amount);
            let rules = engine.fee_rules_of(tx, &settings, payment.storefront)?;
            let fee = capture_fee(&rules, payment.currency, own, capture)?;
            payment::begin_capture(&mut payment, capture, fee);
            store::payments::update(tx, &payment)?;
            engine.ask_change(tx, call, &payment, OperationKind::Capture, capture).map(Step::Ask)
        })
        .await
    }

    /// Prepares the provider call of a change to an authorised payment.
    pub(crate) fn ask_change(
        &self,
        tx: &mut Tx<'_>,
        call: &Call,
        payment: &Payment,
        kind: OperationKind,
        amount: i64,
    ) -> Result<Box<Ask>, Error> {
        let lost = || Error::Internal(format!("{} is authorised without an attempt or provider", payment.id));
        let attempt = payment.latest_attempt.ok_or_else(lost)?;
        let provider = payment.provider.ok_or_else(lost)?;
        let provider = store::providers::get(tx, payment.scope, provider)?.ok_or_else(lost)?;
        let now = self.object_time(tx, payment.scope, payment.clock)?;
        let order = ChangeOrder { attempt: attempt.to_string(), amount, now };
        let subject = Subject::Change { payment: payment.id, attempt, kind };
        self.prepare_ask(tx, &Origin::from(call), &provider.connector, Order::Change(kind, order), subject)
    }
}
