//! Agreements to pay again and again: written down, shown, canceled. Charging their cycles needs
//! subscriptions, which the gateway does not have yet, so none of them begins.

use super::service::GateService;
use crate::Engine;
use crate::emit::Cause;
use crate::error::Error;
use domain::gate_operation::OperationState;
use domain::gate_transaction::{self, GateTransaction, TransactionStatus};
use store::Tx;

impl Engine {
    /// Cancels a recurring transaction of a service by the merchant's name of it. One that is canceled
    /// already stays so.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::GateCancel`] for what is not recurring, or has ended in another way.
    pub async fn cancel_gate_recurring(
        &self,
        service: &GateService,
        payment_id: String,
        request_id: String,
    ) -> Result<GateTransaction, Error> {
        let (engine, storefront) = (self.clone(), service.storefront.id);
        self.store
            .write(move |tx| {
                let named = store::gate_transactions::by_payment_id(tx, storefront, &payment_id)?;
                let number = named.ok_or_else(|| Error::not_found("transaction", &payment_id))?.number;
                let transaction = store::gate_transactions::lock(tx, number)?
                    .ok_or_else(|| Error::not_found("transaction", &payment_id))?;
                if !gate_transaction::cancel(&transaction).map_err(Error::GateCancel)? {
                    return Ok(transaction);
                }
                let cause = Cause::request(&request_id);
                engine.end_unpaid(tx, &cause, transaction, TransactionStatus::Canceled)
            })
            .await
    }

    /// Ends transactions without a checkout whose time is over. How many.
    pub async fn expire_gate_transactions(&self) -> Result<usize, Error> {
        let now = self.now();
        let due = self
            .store
            .read(move |tx| {
                Ok::<_, Error>(store::gate_transactions::to_expire(tx, now, domain::limits::BULK_ROWS)?)
            })
            .await?;
        let count = due.len();
        for number in due {
            let engine = self.clone();
            // One that cannot be ended must not hold up the others.
            if let Err(error) = self.store.write(move |tx| engine.expire_one(tx, number)).await {
                tracing::error!(transaction = number, ?error, "a Gate transaction could not be ended");
            }
        }
        Ok(count)
    }

    fn expire_one(&self, tx: &mut Tx<'_>, number: i64) -> Result<(), Error> {
        let Some(transaction) = store::gate_transactions::lock(tx, number)? else { return Ok(()) };
        if transaction.expires_at.is_some_and(|at| at <= self.now()) {
            self.end_unpaid(tx, &Cause::default(), transaction, TransactionStatus::Expired)?;
        }
        Ok(())
    }

    fn end_unpaid(
        &self,
        tx: &mut Tx<'_>,
        cause: &Cause,
        mut transaction: GateTransaction,
        status: TransactionStatus,
    ) -> Result<GateTransaction, Error> {
        let now = self.now();
        (transaction.status, transaction.expires_at, transaction.updated_at) = (status, None, now);
        store::gate_transactions::update(tx, &transaction)?;
        let mut operations = store::gate_operations::of_transaction(tx, transaction.number)?;
        for operation in operations.iter_mut().filter(|o| !o.state.status.is_final()) {
            (operation.state, operation.updated_at) = (OperationState::given_up(), now);
            store::gate_operations::update(tx, operation)?;
        }
        self.tell_gate(tx, cause, transaction.clone(), operations)?;
        Ok(transaction)
    }
}
