//! Refunds by signed request: one request, one refund, for ever.

use super::follow::blank_operation;
use crate::Engine;
use crate::emit::Cause;
use crate::error::Error;
use crate::provider::{Ask, Origin};
use crate::refunds::{CreateRefund, RefundTarget, target};
use domain::gate_operation::{GateOperation, OperationKind, OperationState};
use domain::gate_transaction::{CODE_BALANCE, GateTransaction, TransactionKind};
use domain::id::{RefundId, TypedId};
use domain::refund::RefundRefusal;
use domain::time::Timestamp;
use store::Tx;

/// A signed request for a refund.
#[derive(Clone, Debug)]
pub struct GateRefund {
    /// Minor units.
    pub amount: i64,
    pub comment: Option<String>,
    /// Of what the request asks for: requests that are spelled otherwise and mean the same are the same.
    pub digest: [u8; 32],
    pub request_id: String,
}

/// What the merchant is told when the balance is short.
pub(super) const BALANCE_SHORT: &str = "Not enough balance to hold the amount.";

impl Engine {
    /// Refunds a purchase; the uuid of the operation, new or of the same request before.
    ///
    /// A refund that the balance could not bear has an operation with code 223 and stays refused, however often
    /// the same request comes: else one that was kept, or seen by somebody else, could refund later beside the
    /// merchant's new one.
    ///
    /// # Errors
    /// [`Error::Refund`]: not paid, more than is left, busy; [`Error::Invalid`] for what is no purchase.
    pub async fn refund_gate_purchase(
        &self,
        transaction: &GateTransaction,
        refund: GateRefund,
    ) -> Result<String, Error> {
        let settings = self.settings(transaction.scope).await?;
        let below_zero = settings.mode.refunds_below_zero;
        let (transaction, digest) = (transaction.clone(), refund.digest);
        let number = transaction.number;
        self.carry_out(move |engine, tx| engine.begin_gate_refund(tx, &transaction, &refund, below_zero))
            .await?;
        self.store
            .read(move |tx| {
                let operations = store::gate_operations::of_transaction(tx, number)?;
                let made = operations.into_iter().find(|o| o.digest.as_deref() == Some(digest.as_slice()));
                made.map(|o| o.uuid).ok_or_else(|| Error::Internal("a refund left no operation".to_owned()))
            })
            .await
    }

    fn begin_gate_refund(
        &self,
        tx: &mut Tx<'_>,
        transaction: &GateTransaction,
        refund: &GateRefund,
        below_zero: bool,
    ) -> Result<Option<Ask>, Error> {
        let (scope, payment) = match (transaction.kind, transaction.payment) {
            (TransactionKind::Purchase, Some(payment)) => (transaction.scope, payment),
            _ => {
                return Err(Error::invalid(
                    "meta.transaction_uuid",
                    "transaction_type",
                    "Only a purchase that was paid can be refunded.",
                ));
            }
        };
        // The payment's lock first: two requests of one digest wait for each other here.
        let (payment, attempt) = target(tx, scope, RefundTarget::Payment(payment))?;
        let operations = store::gate_operations::of_transaction(tx, transaction.number)?;
        if operations.iter().any(|o| o.digest.as_deref() == Some(refund.digest.as_slice())) {
            return Ok(None);
        }
        let origin = Origin::unattended(scope, &refund.request_id);
        let wanted = CreateRefund {
            target: RefundTarget::Payment(payment.id),
            amount: Some(refund.amount),
            reason: None,
            metadata: Vec::new(),
        };
        let at = self.object_time(tx, scope, payment.clock)?;
        let id: RefundId = self.ids.next();
        let mut operation = GateOperation {
            object: Some(id.core()),
            digest: Some(refund.digest.to_vec()),
            comment: refund.comment.clone(),
            confirmed_at: Some(at),
            created_at: at,
            updated_at: at,
            ..blank_operation(transaction, OperationKind::Refund, refund.amount, 0)
        };
        operation.number = store::gate_operations::insert(tx, &operation)?;
        match self.begin_refund_as(tx, &origin, id, payment, attempt, &wanted, below_zero) {
            Ok(ask) => Ok(Some(*ask)),
            Err(Error::Refund { refusal: RefundRefusal::BalanceInsufficient { .. }, .. }) => {
                self.refuse_for_balance(tx, &origin.cause, &transaction.uuid, operation, at)?;
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Writes down that the balance was short. Nothing else was changed by the try.
    fn refuse_for_balance(
        &self,
        tx: &mut Tx<'_>,
        cause: &Cause,
        uuid: &str,
        mut operation: GateOperation,
        at: Timestamp,
    ) -> Result<(), Error> {
        operation.object = None;
        operation.state = OperationState::internal(CODE_BALANCE, "balance_insufficient", BALANCE_SHORT);
        operation.updated_at = at;
        store::gate_operations::update(tx, &operation)?;
        // As it is under the payment's lock: the one that the caller read may be older.
        let transaction = store::gate_transactions::by_uuid(tx, uuid)?
            .ok_or_else(|| Error::not_found("transaction", uuid))?;
        let operations = store::gate_operations::of_transaction(tx, transaction.number)?;
        let scope = transaction.scope;
        let callbacks = self.tell_of(tx, transaction, operations, false, true)?;
        self.emit_with(tx, scope, cause, at, Default::default(), &[], callbacks)
    }
}
