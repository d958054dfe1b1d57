//! Attempts as the Admin API lists them, and what shops were told of them.

use crate::attempts;
use crate::error::StoreError;
use crate::numbered_page::{Conditions, NumberedPage, NumberedQuery, numbered};
use crate::page::select;
use crate::params;
use crate::tx::{ToParam, Tx};
use domain::attempt::Attempt;
use domain::currency::Currency;
use domain::id::{AttemptId, Core, CustomerId, PaymentId, ProviderId, StorefrontId};
use domain::scope::Scope;
use domain::site_transaction::SiteStatus;
use domain::time::Timestamp;

/// Which transactions a list shows.
#[derive(Clone, Debug, Default)]
pub struct TransactionFilter {
    pub status: Option<SiteStatus>,
    pub site: Option<StorefrontId>,
    pub client: Option<CustomerId>,
    pub provider: Option<ProviderId>,
    pub checkout: Option<PaymentId>,
    pub external_reference: Option<String>,
    pub invoice_number: Option<String>,
    pub currency: Option<Currency>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

/// The same rule as `domain::site_transaction::status`, of `attempts a`; a test compares the two.
const fn condition(status: SiteStatus) -> &'static str {
    match status {
        SiteStatus::Initiated => "a.status IN ('submitted', 'requires_action') AND a.redirected = 0",
        SiteStatus::PendingProvider => {
            "(a.status IN ('processing', 'authorised') OR (a.status IN ('submitted', 'requires_action') \
             AND a.redirected = 1))"
        }
        SiteStatus::Succeeded => "a.status = 'captured' AND a.amount_refunded < a.amount_captured",
        SiteStatus::Refunded => "a.status = 'captured' AND a.amount_refunded >= a.amount_captured",
        SiteStatus::Failed => "a.status = 'failed'",
        SiteStatus::Cancelled => "a.status IN ('canceled', 'expired')",
        SiteStatus::Chargeback => "1 = 0",
    }
}

/// A page of a merchant's attempts, whichever surface made them, newest first.
pub fn list(
    tx: &mut Tx<'_>,
    scope: Scope,
    filter: &TransactionFilter,
    query: NumberedQuery,
) -> Result<NumberedPage<Attempt>, StoreError> {
    let mut from = "attempts a".to_owned();
    let mut conditions = Conditions::new();
    conditions.and("a.merchant =", scope.merchant.param());
    conditions.and("a.live =", scope.mode.param());
    conditions.and_plain("a.hidden_at IS NULL");
    if let Some(status) = filter.status {
        conditions.and_plain(condition(status));
    }
    if let Some(provider) = &filter.provider {
        conditions.and("a.provider =", provider.param());
    }
    if let Some(checkout) = &filter.checkout {
        conditions.and("a.payment =", checkout.param());
    }
    if let Some(currency) = &filter.currency {
        conditions.and("a.currency =", currency.param());
    }
    if let Some(at) = &filter.from {
        conditions.and("a.created_at >=", at.param());
    }
    if let Some(at) = &filter.to {
        conditions.and("a.created_at <", at.param());
    }
    if filter.site.is_some() || filter.client.is_some() {
        from.push_str(" JOIN payments p ON p.id = a.payment");
        if let Some(site) = &filter.site {
            conditions.and("p.storefront =", site.param());
        }
        if let Some(client) = &filter.client {
            conditions.and("p.customer =", client.param());
        }
    }
    if filter.external_reference.is_some() || filter.invoice_number.is_some() {
        from.push_str(" JOIN site_checkouts s ON s.payment = a.payment");
        conditions.and("s.merchant =", scope.merchant.param());
        conditions.and("s.live =", scope.mode.param());
        if let Some(reference) = &filter.external_reference {
            conditions.and("s.external_reference =", reference.param());
        }
        if let Some(number) = &filter.invoice_number {
            conditions.and("s.invoice_number =", number.param());
        }
    }
    let columns: Vec<String> = attempts::COLUMNS.split(", ").map(|c| format!("a.{}", c.trim())).collect();
    let order = "a.created_at DESC, a.id DESC";
    numbered(tx, &columns.join(", "), &from, conditions, order, query, attempts::attempt)
}

/// A try that is not hidden.
pub fn get(tx: &mut Tx<'_>, scope: Scope, id: AttemptId) -> Result<Option<Attempt>, StoreError> {
    let rest = "attempts WHERE id = ?1 AND merchant = ?2 AND live = ?3 AND hidden_at IS NULL";
    tx.opt(&select(attempts::COLUMNS, rest), params![id, scope.merchant, scope.mode], attempts::attempt)
}

/// The tries of a payment that are not hidden, oldest first.
pub fn of_payment(tx: &mut Tx<'_>, scope: Scope, payment: PaymentId) -> Result<Vec<AttemptId>, StoreError> {
    let sql = "SELECT id FROM attempts WHERE payment = ?1 AND merchant = ?2 AND live = ?3 AND hidden_at IS NULL \
        ORDER BY created_at, id";
    tx.all(sql, params![payment, scope.merchant, scope.mode], |r| r.next())
}

/// Takes a try out of the lists. The caller holds its payment's row lock.
pub fn hide(tx: &mut Tx<'_>, id: AttemptId, now: Timestamp) -> Result<(), StoreError> {
    tx.execute("UPDATE attempts SET hidden_at = ?1 WHERE id = ?2", params![now, id])?;
    Ok(())
}

/// What the shop was last told of the transactions of a payment.
pub fn told(tx: &mut Tx<'_>, payment: PaymentId) -> Result<Vec<(Core, SiteStatus, i64)>, StoreError> {
    let sql = "SELECT object, status, version FROM site_transactions WHERE payment = ?1 ORDER BY object";
    tx.all(sql, params![payment], |r| Ok((r.next()?, r.next()?, r.next()?)))
}

/// Writes down what the shop is told. The caller holds the payment's row lock.
pub fn tell(
    tx: &mut Tx<'_>,
    payment: PaymentId,
    object: Core,
    status: SiteStatus,
    version: i64,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO site_transactions (object, payment, status, version) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (object) DO UPDATE SET status = excluded.status, version = excluded.version",
        params![object, payment, status, version],
    )?;
    Ok(())
}
