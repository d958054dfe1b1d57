//! Payments: one file a command.

mod apply;
mod cancel;
mod capture;
mod challenge;
pub(crate) mod confirm;
pub(crate) mod create;
mod expire;
mod increment;
mod settle;
mod update;

pub(crate) use apply::object_of;
pub use challenge::ChallengeView;
pub use confirm::Confirm;
pub use create::CreatePayment;
pub use update::UpdatePayment;

use crate::error::Error;
use crate::view::payment_view;
use domain::id::PaymentId;
use domain::payment::{Payment, Refusal};
use domain::scope::Scope;
use store::Tx;

/// A payment that a command is about, locked until the transaction ends.
pub(crate) fn lock(tx: &mut Tx<'_>, scope: Scope, id: PaymentId) -> Result<Payment, Error> {
    store::payments::lock(tx, scope, id)?.ok_or_else(|| Error::not_found("payment_intent", id))
}

/// A refusal, with the payment as it is stored.
pub(crate) fn refuse(tx: &mut Tx<'_>, scope: Scope, id: PaymentId, refusal: Refusal) -> Error {
    let stored = match store::payments::get(tx, scope, id) {
        Ok(Some(payment)) => payment_view(tx, payment).map(Some),
        Ok(None) => Ok(None),
        Err(e) => Err(e.into()),
    };
    match stored {
        Ok(payment) => Error::Payment { refusal, payment: payment.map(Box::new) },
        Err(e) => e,
    }
}
