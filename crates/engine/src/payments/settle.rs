use super::lock;
use crate::Engine;
use crate::emit::{Cause, News};
use crate::error::Error;
use crate::view::{Balance, Snapshot};
use domain::event::EventType;
use domain::id::TypedId;
use domain::ledger::recipes;
use domain::payment::Payment;
use domain::scope::Scope;
use domain::time::Timestamp;
use store::Tx;
use store::page::PageQuery;
use store::payments::Due;

impl Engine {
    /// Makes what these payments have pending available, in one commit. A payment that was settled
    /// or refunded to nothing meanwhile is passed over.
    pub async fn settle_payments(&self, dues: Vec<Due>) -> Result<(), Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                let mut scopes: Vec<(Scope, Timestamp)> = Vec::new();
                for due in &dues {
                    if engine.settle_payment(tx, due)? && !scopes.iter().any(|(s, _)| *s == due.scope) {
                        scopes.push((due.scope, due.at));
                    }
                }
                for (scope, at) in scopes {
                    engine.emit_available(tx, scope, at)?;
                }
                Ok(())
            })
            .await
    }

    fn settle_payment(&self, tx: &mut Tx<'_>, due: &Due) -> Result<bool, Error> {
        let mut payment = lock(tx, due.scope, due.payment)?;
        let at = self.object_time(tx, due.scope, payment.clock)?;
        if payment.pending_balance == 0 || payment.available_on.is_none_or(|t| at < t) {
            return Ok(false);
        }
        self.post_journal(tx, &recipes::available(&payment, payment.pending_balance, at))?;
        payment.pending_balance = 0;
        store::payments::update(tx, &payment)?;
        self.mark_available(tx, &payment)?;
        Ok(true)
    }

    /// Marks every balance transaction of a payment as available: nothing of it is pending any more.
    pub(crate) fn mark_available(&self, tx: &mut Tx<'_>, payment: &Payment) -> Result<(), Error> {
        let scope = payment.scope;
        if let Some(charge) = payment.latest_charge {
            let attempt = store::attempts::get(tx, scope, charge)?;
            if let Some(journal) = attempt.and_then(|a| a.journal) {
                store::balance::set_available(tx, journal)?;
            }
        }
        let everything = PageQuery {
            limit: domain::limits::REFUNDS_PER_PAYMENT,
            cursor: store::page::Cursor::Newest,
            created_from: None,
            created_to: None,
        };
        let refunds = store::refunds::list(tx, scope, Some(payment.id), None, &everything)?;
        for refund in refunds.map(|p| p.data).unwrap_or_default() {
            store::balance::set_available(tx, refund.journal)?;
        }
        Ok(())
    }

    fn emit_available(&self, tx: &mut Tx<'_>, scope: Scope, at: Timestamp) -> Result<(), Error> {
        let balances = store::ledger::merchant_balances(tx, scope)?;
        let snapshot =
            Snapshot { balances: Some(balances.iter().map(Balance::from).collect()), ..Snapshot::default() };
        let news = [News::new(EventType::BalanceAvailable, scope.merchant.core())];
        self.emit(tx, scope, &Cause::default(), at, snapshot, &news)
    }
}
