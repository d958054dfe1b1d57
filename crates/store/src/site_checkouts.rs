use crate::checkouts;
use crate::error::StoreError;
use crate::numbered_page::{Conditions, NumberedPage, NumberedQuery, numbered};
use crate::page::select;
use crate::params;
use crate::tx::{Json, Row, ToParam, Tx, json};
use domain::checkout::Checkout;
use domain::id::{CustomerId, PaymentId, StorefrontId};
use domain::scope::Scope;
use domain::site_checkout::SiteCheckout;
use domain::time::Timestamp;

const COLUMNS: &str = "payment, merchant, live, external_reference, invoice_number, items, billing, shipping, ipn_url, \
    ipn_version";

fn site_checkout(row: &mut Row<'_>) -> Result<SiteCheckout, StoreError> {
    Ok(SiteCheckout {
        payment: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        external_reference: row.next()?,
        invoice_number: row.next()?,
        items: row.next::<Json<_>>()?.0,
        billing: row.next::<Option<Json<_>>>()?.map(|j| j.0),
        shipping: row.next::<Option<Json<_>>>()?.map(|j| j.0),
        ipn_url: row.next()?,
        ipn_version: row.next()?,
    })
}

pub fn insert(tx: &mut Tx<'_>, c: &SiteCheckout) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO site_checkouts (payment, merchant, live, external_reference, invoice_number, items, billing, \
         shipping, ipn_url, ipn_version) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            c.payment,
            c.scope.merchant,
            c.scope.mode,
            c.external_reference,
            c.invoice_number,
            json(&c.items)?,
            c.billing.as_ref().map(json).transpose()?,
            c.shipping.as_ref().map(json).transpose()?,
            c.ipn_url,
            c.ipn_version,
        ],
    )?;
    Ok(())
}

/// What the Admin API keeps of a checkout; `None` for one that another surface made.
pub fn of_payment(tx: &mut Tx<'_>, scope: Scope, id: PaymentId) -> Result<Option<SiteCheckout>, StoreError> {
    let sql = select(COLUMNS, "site_checkouts WHERE payment = ?1 AND merchant = ?2 AND live = ?3");
    tx.opt(&sql, params![id, scope.merchant, scope.mode], site_checkout)
}

/// Which checkouts a list shows.
#[derive(Clone, Debug, Default)]
pub struct CheckoutFilter {
    pub site: Option<StorefrontId>,
    pub client: Option<CustomerId>,
    pub external_reference: Option<String>,
    pub invoice_number: Option<String>,
    /// Statuses of the payment, any of them; none: all.
    pub open: Option<bool>,
    pub payment_status: Option<&'static str>,
    pub expired: Option<bool>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

/// A page of a merchant's checkouts, whichever surface made them, newest first.
pub fn list(
    tx: &mut Tx<'_>,
    scope: Scope,
    filter: &CheckoutFilter,
    query: NumberedQuery,
) -> Result<NumberedPage<Checkout>, StoreError> {
    let mut from = "checkouts c".to_owned();
    let mut conditions = Conditions::new();
    conditions.and("c.merchant =", scope.merchant.param());
    conditions.and("c.live =", scope.mode.param());
    if let Some(site) = &filter.site {
        conditions.and("c.storefront =", site.param());
    }
    if let Some(client) = &filter.client {
        conditions.and("c.customer =", client.param());
    }
    if let Some(at) = &filter.from {
        conditions.and("c.created_at >=", at.param());
    }
    if let Some(at) = &filter.to {
        conditions.and("c.created_at <", at.param());
    }
    if let Some(open) = &filter.open {
        conditions.and("c.open =", open.param());
    }
    if filter.payment_status.is_some() || filter.expired.is_some() {
        from.push_str(" JOIN payments p ON p.id = c.payment");
        if let Some(status) = filter.payment_status {
            conditions.and("p.status =", status.param());
        }
        match filter.expired {
            Some(true) => conditions.and_plain("p.cancellation_reason = 'expired'"),
            Some(false) => {
                conditions.and_plain("(p.cancellation_reason IS NULL OR p.cancellation_reason <> 'expired')")
            }
            None => {}
        }
    }
    if filter.external_reference.is_some() || filter.invoice_number.is_some() {
        from.push_str(" JOIN site_checkouts s ON s.payment = c.payment");
        conditions.and("s.merchant =", scope.merchant.param());
        conditions.and("s.live =", scope.mode.param());
        if let Some(reference) = &filter.external_reference {
            conditions.and("s.external_reference =", reference.param());
        }
        if let Some(number) = &filter.invoice_number {
            conditions.and("s.invoice_number =", number.param());
        }
    }
    let columns: Vec<String> = checkouts::COLUMNS.split(", ").map(|c| format!("c.{}", c.trim())).collect();
    numbered(tx, &columns.join(", "), &from, conditions, "c.payment DESC", query, checkouts::checkout)
}
