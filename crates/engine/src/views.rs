//! Reading: everything of one merchant and mode, within one open transaction.

use crate::Engine;
use crate::error::Error;
use crate::view::{
    ChargeView, DeliveryView, EventView, KnownCustomer, PaymentView, SiteTransactionView, Snapshot,
    payment_view,
};
use domain::balance::{BalanceTransaction, CurrencyBalance};
use domain::bank_account::BankAccount;
use domain::currency::Currency;
use domain::customer::Customer;
use domain::event::Event;
use domain::id::{
    AttemptId, BankAccountId, ClockId, CustomerId, EventId, JournalId, PaymentId, PaymentMethodId, PayoutId,
    RefundId, WebhookEndpointId,
};
use domain::payment_method::{MethodKind, PaymentMethod};
use domain::payout::{Payout, PayoutStatus};
use domain::refund::Refund;
use domain::scope::Scope;
use domain::test_clock::TestClock;
use domain::webhook::{Delivery, DeliveryStatus, EndpointKind, WebhookEndpoint};
use store::Tx;
use store::balance::BalanceFilter;
use store::events::EventFilter;
use store::page::{Cursor, Page, PageQuery};

/// Reads objects of one merchant and mode within an open transaction. What renderers expand with.
pub struct Views<'a, 't> {
    tx: &'a mut Tx<'t>,
    scope: Scope,
}

impl<'a, 't> Views<'a, 't> {
    pub fn new(tx: &'a mut Tx<'t>, scope: Scope) -> Views<'a, 't> {
        Views { tx, scope }
    }

    pub fn payment(&mut self, id: PaymentId) -> Result<Option<PaymentView>, Error> {
        let Some(payment) = store::payments::get(self.tx, self.scope, id)? else { return Ok(None) };
        payment_view(self.tx, payment).map(Some)
    }

    pub fn charge(&mut self, id: AttemptId) -> Result<Option<ChargeView>, Error> {
        let attempt = store::attempts::get(self.tx, self.scope, id)?.filter(|a| a.listed);
        let Some(attempt) = attempt else { return Ok(None) };
        let payment = store::payments::get(self.tx, self.scope, attempt.payment)?;
        Ok(payment.map(|payment| ChargeView { attempt, payment }))
    }

    pub fn refund(&mut self, id: RefundId) -> Result<Option<Refund>, Error> {
        Ok(store::refunds::get(self.tx, self.scope, id)?)
    }

    pub fn payout(&mut self, id: PayoutId) -> Result<Option<Payout>, Error> {
        Ok(store::payouts::get(self.tx, self.scope, id)?)
    }

    pub fn customer(&mut self, id: CustomerId) -> Result<Option<Customer>, Error> {
        Ok(store::customers::get(self.tx, self.scope, id)?)
    }

    pub fn customer_or_erased(&mut self, id: CustomerId) -> Result<Option<KnownCustomer>, Error> {
        if let Some(customer) = self.customer(id)? {
            return Ok(Some(KnownCustomer::Present(customer)));
        }
        let erased = store::erasures::is_erased(self.tx, self.scope, id)?;
        Ok(erased.then_some(KnownCustomer::Erased(id)))
    }

    pub fn payment_method(&mut self, id: PaymentMethodId) -> Result<Option<PaymentMethod>, Error> {
        Ok(store::payment_methods::get(self.tx, self.scope, id)?)
    }

    pub fn balance_transaction(&mut self, id: JournalId) -> Result<Option<BalanceTransaction>, Error> {
        Ok(store::balance::get(self.tx, self.scope, id)?)
    }

    pub fn clock(&mut self, id: ClockId) -> Result<Option<TestClock>, Error> {
        Ok(store::test_clocks::get(self.tx, self.scope, id)?)
    }

    pub fn bank_account(&mut self, id: BankAccountId) -> Result<Option<BankAccount>, Error> {
        Ok(store::bank_accounts::get(self.tx, self.scope, id)?)
    }

    pub fn bank_accounts(
        &mut self,
        currency: Option<Currency>,
        query: &PageQuery,
    ) -> Result<Page<BankAccount>, Error> {
        found(store::bank_accounts::list(self.tx, self.scope, currency, query)?, query)
    }

    pub fn endpoint(&mut self, id: WebhookEndpointId) -> Result<Option<WebhookEndpoint>, Error> {
        Ok(store::webhooks::get(self.tx, self.scope, id)?.filter(|e| e.kind == EndpointKind::V2))
    }

    pub fn event(&mut self, id: EventId) -> Result<Option<EventView>, Error> {
        match store::events::get(self.tx, self.scope, id)?.filter(|e| !e.event_type.of_other_surface()) {
            Some(event) => event_view(self.tx, event).map(Some),
            None => Ok(None),
        }
    }

    /// A transaction of the Admin API.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    pub fn site_transaction(&mut self, id: AttemptId) -> Result<SiteTransactionView, Error> {
        let attempt = store::attempts::get(self.tx, self.scope, id)?;
        let attempt = attempt.ok_or_else(|| Error::not_found("transaction", id.0.hex()))?;
        crate::site_transactions::site_transaction_view(self.tx, attempt)
    }

    /// What the merchant has, per currency.
    pub fn balances(&mut self) -> Result<Vec<CurrencyBalance>, Error> {
        Ok(store::ledger::merchant_balances(self.tx, self.scope)?)
    }

    pub fn payments(
        &mut self,
        customer: Option<CustomerId>,
        query: &PageQuery,
    ) -> Result<Page<PaymentView>, Error> {
        let page = found(store::payments::list(self.tx, self.scope, customer, query)?, query)?;
        self.map(page, payment_view)
    }

    pub fn charges(
        &mut self,
        payment: Option<PaymentId>,
        customer: Option<CustomerId>,
        query: &PageQuery,
    ) -> Result<Page<ChargeView>, Error> {
        let page = found(store::attempts::list(self.tx, self.scope, payment, customer, query)?, query)?;
        let scope = self.scope;
        self.map(page, |tx, attempt| {
            let payment = store::payments::get(tx, scope, attempt.payment)?
                .ok_or_else(|| Error::Internal(format!("the payment of {} is missing", attempt.id)))?;
            Ok(ChargeView { attempt, payment })
        })
    }

    pub fn refunds(
        &mut self,
        payment: Option<PaymentId>,
        attempt: Option<AttemptId>,
        query: &PageQuery,
    ) -> Result<Page<Refund>, Error> {
        found(store::refunds::list(self.tx, self.scope, payment, attempt, query)?, query)
    }

    pub fn payouts(
        &mut self,
        status: Option<PayoutStatus>,
        query: &PageQuery,
    ) -> Result<Page<Payout>, Error> {
        found(store::payouts::list(self.tx, self.scope, status, query)?, query)
    }

    pub fn customers(
        &mut self,
        email: Option<&str>,
        clock: Option<ClockId>,
        query: &PageQuery,
    ) -> Result<Page<Customer>, Error> {
        found(store::customers::list(self.tx, self.scope, email, clock, query)?, query)
    }

    pub fn payment_methods(
        &mut self,
        customer: Option<CustomerId>,
        kind: Option<MethodKind>,
        query: &PageQuery,
    ) -> Result<Page<PaymentMethod>, Error> {
        found(store::payment_methods::list(self.tx, self.scope, customer, kind, query)?, query)
    }

    pub fn balance_transactions(
        &mut self,
        filter: &BalanceFilter,
        query: &PageQuery,
    ) -> Result<Page<BalanceTransaction>, Error> {
        found(store::balance::list(self.tx, self.scope, filter, query)?, query)
    }

    pub fn endpoints(&mut self, query: &PageQuery) -> Result<Page<WebhookEndpoint>, Error> {
        found(store::webhooks::list(self.tx, self.scope, query)?, query)
    }

    pub fn events(&mut self, filter: &EventFilter, query: &PageQuery) -> Result<Page<EventView>, Error> {
        let page = found(store::events::list(self.tx, self.scope, filter, query)?, query)?;
        self.map(page, event_view)
    }

    pub fn deliveries(
        &mut self,
        endpoint: WebhookEndpointId,
        status: Option<DeliveryStatus>,
        event: Option<EventId>,
        query: &PageQuery,
    ) -> Result<Page<DeliveryView>, Error> {
        let page = store::webhooks::list_deliveries(self.tx, self.scope, endpoint, status, event, query)?;
        let page = found(page, query)?;
        let scope = self.scope;
        self.map(page, |tx, delivery| delivery_view(tx, scope, delivery))
    }

    pub fn clocks(&mut self, query: &PageQuery) -> Result<Page<TestClock>, Error> {
        found(store::test_clocks::list(self.tx, self.scope, query)?, query)
    }

    fn map<A, B>(
        &mut self,
        page: Page<A>,
        mut f: impl FnMut(&mut Tx<'_>, A) -> Result<B, Error>,
    ) -> Result<Page<B>, Error> {
        let mut data = Vec::with_capacity(page.data.len());
        for item in page.data {
            data.push(f(self.tx, item)?);
        }
        Ok(Page { data, has_more: page.has_more })
    }
}

/// A page, or the refusal of a cursor that names nothing of this merchant and mode.
fn found<T>(page: Option<Page<T>>, query: &PageQuery) -> Result<Page<T>, Error> {
    page.ok_or_else(|| {
        let param =
            if matches!(query.cursor, Cursor::Before(_)) { "ending_before" } else { "starting_after" };
        Error::Missing { param: param.to_owned(), kind: "object", id: String::new() }
    })
}

pub(crate) fn event_view(tx: &mut Tx<'_>, event: Event) -> Result<EventView, Error> {
    let body = store::events::snapshot(tx, event.snapshot)?;
    let snapshot: Snapshot = serde_json::from_str(&body)
        .map_err(|e| Error::Internal(format!("the snapshot of {}: {e}", event.id)))?;
    let pending_deliveries = store::events::pending_deliveries(tx, event.id)?;
    Ok(EventView { event, snapshot, pending_deliveries })
}

pub(crate) fn delivery_view(
    tx: &mut Tx<'_>,
    scope: Scope,
    delivery: Delivery,
) -> Result<DeliveryView, Error> {
    let event = store::events::get(tx, scope, delivery.event)?;
    let event_type = event.map_or_else(String::new, |e| e.event_type.to_string());
    let attempts = store::webhooks::attempts(tx, delivery.id)?;
    Ok(DeliveryView { delivery, event_type, attempts })
}

impl Engine {
    /// Runs `show` over one consistent state of a merchant's objects.
    pub async fn view<T, F>(&self, scope: Scope, mut show: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&mut Views<'_, '_>) -> Result<T, Error> + Send + 'static,
    {
        self.store.read(move |tx| show(&mut Views::new(tx, scope))).await
    }
}
