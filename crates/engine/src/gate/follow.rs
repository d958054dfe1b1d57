//! Keeps a transaction's rows in step with its payment, and finds out whom to tell what changed.

use super::show::gate_view;
use crate::Engine;
use crate::emit::{Cause, News};
use crate::error::Error;
use crate::ids;
use crate::view::{GateView, Snapshot};
use domain::attempt::Attempt;
use domain::checkout::Checkout;
use domain::event::EventType;
use domain::gate_operation::{
    GateOperation, OperationKind, OperationState, OperationStatus, PROVIDER_REFUSED, decline_number,
    payout_state, refund_state, sale_state,
};
use domain::gate_transaction::{GateTransaction, TransactionStatus, payout_status, purchase_status};
use domain::id::{Core, GateTokenId, StorefrontId, TypedId, WebhookEndpointId};
use domain::payment::{Payment, PaymentStatus};
use domain::payout::Payout;
use domain::refund::{Refund, RefundStatus};
use domain::scope::Scope;
use domain::site_transaction::SiteNotice;
use domain::time::Timestamp;
use domain::webhook::{EndpointKind, EndpointStatus};
use store::Tx;

/// Origins of one storefront's direct callbacks that queue apart; further ones share the last queue.
const ORIGINS_APART: i64 = 64;

/// Where a callback goes.
pub(crate) struct Target {
    pub endpoint: WebhookEndpointId,
    /// When not to the endpoint's own address.
    pub url: Option<String>,
    pub token: Option<GateTokenId>,
}

/// What is told beside the events of REST v2, by the surface that made the payment.
pub(crate) enum Telling {
    Gate(Box<GateView>),
    Site(Vec<SiteNotice>),
}

/// What a change tells to whom.
pub(crate) struct Callbacks {
    pub telling: Telling,
    pub news: Vec<News>,
    pub targets: Vec<Target>,
}

/// A transaction with all that its state comes from, under the payment's lock.
struct Books {
    transaction: GateTransaction,
    operations: Vec<GateOperation>,
    operations_changed: bool,
    at: Timestamp,
}

impl Engine {
    /// Brings the checkout and the Gate transaction of a payment up to date with it. `None` when neither a Gate
    /// service nor a shop is to be told of anything.
    pub(crate) fn follow_payment(
        &self,
        tx: &mut Tx<'_>,
        payment: &Payment,
        at: Timestamp,
    ) -> Result<Option<Callbacks>, Error> {
        let lost = || Error::Internal(format!("{} lost its checkout", payment.id));
        let mut checkout = store::checkouts::of_payment(tx, payment.scope, payment.id)?.ok_or_else(lost)?;
        if checkout.open && matches!(payment.status, PaymentStatus::Succeeded | PaymentStatus::Canceled) {
            checkout.open = false;
            store::checkouts::update(tx, &checkout)?;
        }
        let Some(transaction) = store::gate_transactions::of_payment(tx, payment.id)? else {
            return self.follow_site_checkout(tx, payment, &checkout);
        };
        let operations = store::gate_operations::of_transaction(tx, transaction.number)?;
        let mut books = Books { transaction, operations, operations_changed: false, at };
        let attempts = store::attempts::of_payment(tx, payment.scope, payment.id)?;
        let refunds = store::refunds::of_payment(tx, payment.scope, payment.id)?;
        books.follow_attempts(tx, &attempts, checkout.payable(payment, at))?;
        books.follow_refunds(tx, &refunds)?;
        let changed = books.follow_payment(tx, payment, &checkout, &refunds)?;
        self.callbacks(tx, books, changed)
    }

    /// The same for a payout.
    pub(crate) fn follow_payout(
        &self,
        tx: &mut Tx<'_>,
        payout: &Payout,
        at: Timestamp,
    ) -> Result<Option<Callbacks>, Error> {
        let Some(transaction) = store::gate_transactions::of_payout(tx, payout.id)? else { return Ok(None) };
        let operations = store::gate_operations::of_transaction(tx, transaction.number)?;
        let mut books = Books { transaction, operations, operations_changed: false, at };
        let object = payout.id.core();
        if let Some(place) = books.operations.iter().position(|o| o.object == Some(object)) {
            books.change(tx, place, object, payout.amount, payout.created_at, payout_state(payout))?;
        }
        let t = &mut books.transaction;
        let status = payout_status(payout);
        let changed = t.status != status;
        if changed {
            (t.status, t.updated_at) = (status, at);
            if let Some(message) = &payout.failure_message {
                (t.last_error_code, t.last_error_message) = (PROVIDER_REFUSED, message.clone());
            }
            store::gate_transactions::update(tx, t)?;
        }
        self.callbacks(tx, books, changed)
    }

    fn callbacks(
        &self,
        tx: &mut Tx<'_>,
        books: Books,
        transaction_changed: bool,
    ) -> Result<Option<Callbacks>, Error> {
        let Books { transaction, operations, operations_changed, .. } = books;
        self.tell_of(tx, transaction, operations, transaction_changed, operations_changed)
    }

    /// Whom to tell of a transaction, and what; `None` for nothing or nobody.
    pub(crate) fn tell_of(
        &self,
        tx: &mut Tx<'_>,
        transaction: GateTransaction,
        operations: Vec<GateOperation>,
        transaction_changed: bool,
        operations_changed: bool,
    ) -> Result<Option<Callbacks>, Error> {
        if !transaction_changed && !operations_changed {
            return Ok(None);
        }
        let targets = self.targets(tx, &transaction)?;
        if targets.is_empty() {
            return Ok(None);
        }
        let object = match (transaction.payment, transaction.payout) {
            (Some(payment), _) => payment.core(),
            (None, Some(payout)) => payout.core(),
            (None, None) => transaction.storefront.core(),
        };
        let mut news = Vec::with_capacity(2);
        if transaction_changed {
            news.push(News::new(EventType::GateTransactionUpdated, object));
        }
        if operations_changed {
            news.push(News::new(EventType::GateOperationUpdated, object));
        }
        let view = Box::new(gate_view(self, tx, transaction, operations)?);
        Ok(Some(Callbacks { telling: Telling::Gate(view), news, targets }))
    }

    /// Writes what changed about a transaction that has no payment, and tells of it.
    pub(crate) fn tell_gate(
        &self,
        tx: &mut Tx<'_>,
        cause: &Cause,
        transaction: GateTransaction,
        operations: Vec<GateOperation>,
    ) -> Result<(), Error> {
        let (scope, at) = (transaction.scope, transaction.updated_at);
        let callbacks = self.tell_of(tx, transaction, operations, true, true)?;
        self.emit_with(tx, scope, cause, at, Snapshot::default(), &[], callbacks)
    }

    /// The request's own address, and every active webhook of the service.
    fn targets(&self, tx: &mut Tx<'_>, transaction: &GateTransaction) -> Result<Vec<Target>, Error> {
        let mut targets = Vec::new();
        if let Some(url) = &transaction.callback_url {
            let endpoint = self.direct_endpoint(tx, transaction.scope, transaction.storefront, url)?;
            targets.push(Target { endpoint, url: Some(url.clone()), token: transaction.token });
        }
        let own = store::webhooks::of_service(tx, transaction.storefront)?.into_iter().map(|(_, e)| e);
        targets.extend(own.filter(|e| e.status == EndpointStatus::Enabled).map(|e| Target {
            endpoint: e.id,
            url: None,
            token: None,
        }));
        Ok(targets)
    }

    /// The endpoint that stands for the origin of a callback address.
    pub(crate) fn direct_endpoint(
        &self,
        tx: &mut Tx<'_>,
        scope: Scope,
        storefront: StorefrontId,
        url: &str,
    ) -> Result<WebhookEndpointId, Error> {
        let origin = origin_of(url);
        if let Some(known) = store::webhooks::direct(tx, storefront, origin)? {
            return Ok(known);
        }
        // Two first callbacks to one origin must not both make its endpoint, nor two more than there may be.
        store::merchants::lock_mode(tx, scope)?;
        if let Some(known) = store::webhooks::direct(tx, storefront, origin)? {
            return Ok(known);
        }
        let shared = store::webhooks::count_direct(tx, storefront)? >= ORIGINS_APART;
        let origin = if shared { "" } else { origin };
        if shared && let Some(known) = store::webhooks::direct(tx, storefront, origin)? {
            return Ok(known);
        }
        let endpoint = self.gate_endpoint(scope, storefront, EndpointKind::Direct, origin.to_owned());
        store::webhooks::insert(tx, &endpoint, &[])?;
        Ok(endpoint.id)
    }
}

/// Scheme, host and port of an address that was checked when it was taken in.
fn origin_of(url: &str) -> &str {
    let host_at = url.find("://").map_or(0, |at| at + 3);
    let end = url[host_at..].find(['/', '?', '#']).map_or(url.len(), |at| host_at + at);
    &url[..end]
}

impl Books {
    /// One operation a try: the first takes the one that was made with the transaction.
    fn follow_attempts(&mut self, tx: &mut Tx<'_>, attempts: &[Attempt], open: bool) -> Result<(), Error> {
        for attempt in attempts {
            let state = sale_state(attempt, open);
            let fresh = |o: &GateOperation| o.object.is_none() && o.kind == OperationKind::Sale;
            let known = self.operations.iter().position(|o| o.object == Some(attempt.id.core()));
            match known
                .or_else(|| self.operations.iter().position(|o| fresh(o) && !o.state.status.is_final()))
            {
                Some(at) => {
                    self.change(tx, at, attempt.id.core(), attempt.amount, attempt.created_at, state)?
                }
                None => {
                    self.add(
                        tx,
                        OperationKind::Sale,
                        attempt.id.core(),
                        attempt.amount,
                        attempt.created_at,
                        state,
                    )?;
                }
            }
        }
        Ok(())
    }

    fn follow_refunds(&mut self, tx: &mut Tx<'_>, refunds: &[Refund]) -> Result<(), Error> {
        for refund in refunds {
            let (object, state) = (refund.id.core(), refund_state(refund));
            match self.operations.iter().position(|o| o.object == Some(object)) {
                Some(at) => self.change(tx, at, object, refund.amount, refund.created_at, state)?,
                None => {
                    self.add(tx, OperationKind::Refund, object, refund.amount, refund.created_at, state)?;
                }
            }
        }
        Ok(())
    }

    /// The transaction itself; true if its status changed. What the payer never began ends with it.
    fn follow_payment(
        &mut self,
        tx: &mut Tx<'_>,
        payment: &Payment,
        checkout: &Checkout,
        refunds: &[Refund],
    ) -> Result<bool, Error> {
        let refunded =
            refunds.iter().filter(|r| r.status == RefundStatus::Succeeded).map(|r| r.amount).sum::<i64>();
        let status = purchase_status(payment, checkout, refunded);
        if status.is_lost() {
            for at in 0..self.operations.len() {
                if self.operations[at].object.is_none() && !self.operations[at].state.status.is_final() {
                    self.set(tx, at, OperationState::given_up())?;
                }
            }
        }
        let t = &mut self.transaction;
        let (code, message) = match &payment.last_error {
            Some(error) => (decline_number(&error.decline), error.decline.message.clone()),
            None if status == TransactionStatus::Success => (0, String::new()),
            None => (t.last_error_code, t.last_error_message.clone()),
        };
        let changed = t.status != status;
        if changed || t.last_error_code != code || t.last_error_message != message {
            (t.status, t.last_error_code, t.last_error_message, t.updated_at) =
                (status, code, message, self.at);
            store::gate_transactions::update(tx, t)?;
        }
        Ok(changed)
    }

    fn add(
        &mut self,
        tx: &mut Tx<'_>,
        kind: OperationKind,
        object: Core,
        amount: i64,
        confirmed_at: Timestamp,
        state: OperationState,
    ) -> Result<(), Error> {
        let mut operation = GateOperation {
            object: Some(object),
            state,
            confirmed_at: Some(confirmed_at),
            created_at: self.at,
            updated_at: self.at,
            ..blank_operation(&self.transaction, kind, amount, 0)
        };
        operation.number = store::gate_operations::insert(tx, &operation)?;
        self.operations.push(operation);
        self.operations_changed = true;
        Ok(())
    }

    fn change(
        &mut self,
        tx: &mut Tx<'_>,
        at: usize,
        object: Core,
        amount: i64,
        confirmed_at: Timestamp,
        state: OperationState,
    ) -> Result<(), Error> {
        let Some(operation) = self.operations.get_mut(at) else { return Ok(()) };
        if operation.object.is_none() {
            (operation.object, operation.amount) = (Some(object), amount);
            operation.confirmed_at = Some(confirmed_at);
        }
        if operation.state != state || operation.amount != amount {
            operation.amount = amount;
            self.set(tx, at, state)?;
        }
        Ok(())
    }

    /// Told of is a change of status; its message may change beside it.
    fn set(&mut self, tx: &mut Tx<'_>, at: usize, state: OperationState) -> Result<(), Error> {
        let Some(operation) = self.operations.get_mut(at) else { return Ok(()) };
        self.operations_changed |= operation.state.status != state.status;
        (operation.state, operation.updated_at) = (state, self.at);
        Ok(store::gate_operations::update(tx, operation)?)
    }
}

/// An operation of which nothing has come yet, as old as its transaction.
pub(super) fn blank_operation(
    transaction: &GateTransaction,
    kind: OperationKind,
    amount: i64,
    fee: i64,
) -> GateOperation {
    GateOperation {
        number: 0,
        uuid: ids::uuid(),
        transaction_number: transaction.number,
        kind,
        object: None,
        digest: None,
        amount,
        state: OperationState::new(OperationStatus::Init, fee, ""),
        comment: None,
        confirmed_at: None,
        created_at: transaction.created_at,
        updated_at: transaction.created_at,
    }
}

#[cfg(test)]
mod tests {
    use super::origin_of;

    #[test]
    fn origins() {
        for (url, origin) in [
            ("https://shop.test/hook?order=1", "https://shop.test"),
            ("https://shop.test:8443", "https://shop.test:8443"),
            ("http://127.0.0.1:9000/a/b", "http://127.0.0.1:9000"),
            ("https://shop.test?x=/y", "https://shop.test"),
        ] {
            assert_eq!(origin_of(url), origin);
        }
    }
}
