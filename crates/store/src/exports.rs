//! Rows in bulk, page by page: each page begins behind the last row of the one before, so that nothing is held
//! open between two and the hundredth costs what the first does.

use crate::checkouts::{self, checkout};
use crate::clients::{self, client};
use crate::error::StoreError;
use crate::refunds::{self, refund};
use crate::tx::{Json, Param, Row, ToParam, Tx};
use crate::{attempts, attempts::attempt, params};
use domain::checkout::CheckoutDetails;
use domain::export::{CheckoutRow, ClientRow, ExportKind, ExportRows, RefundRow, TransactionRow};
use domain::id::{Core, PaymentId, TypedId};
use domain::period::Period;
use domain::scope::Scope;
use domain::time::Timestamp;

/// Behind which row a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    at: Timestamp,
    id: Core,
}

impl Place {
    /// Before the first row of a period.
    pub const fn start(period: &Period) -> Place {
        Place { at: period.from(), id: Core([0; 12]) }
    }
}

/// Rows of one page, and where the next one begins; `None` behind the last.
#[derive(Clone, Debug)]
pub struct ExportPage {
    pub rows: ExportRows,
    pub next: Option<Place>,
}

/// The table whose rows are counted and put in order, under the name that [`page`] gives it.
const fn table(kind: ExportKind) -> (&'static str, &'static str) {
    match kind {
        ExportKind::Transactions => ("attempts", "a"),
        ExportKind::Clients => ("customers", "c"),
        ExportKind::Checkouts => ("payments", "p"),
        ExportKind::Refunds => ("refunds", "r"),
    }
}

/// How many rows a period has, as far as `max`.
pub fn count(
    tx: &mut Tx<'_>,
    scope: Scope,
    kind: ExportKind,
    period: &Period,
    max: i64,
) -> Result<i64, StoreError> {
    let (table, _) = table(kind);
    let only = match kind {
        ExportKind::Checkouts => " AND checkout = 1",
        ExportKind::Clients => " AND deleted = 0",
        ExportKind::Transactions => " AND hidden_at IS NULL",
        ExportKind::Refunds => "",
    };
    let sql = format!(
        "SELECT COUNT(*) FROM (SELECT 1 FROM {table} WHERE merchant = ?1 AND live = ?2 AND created_at >= ?3 \
         AND created_at < ?4{only} LIMIT ?5) AS counted"
    );
    tx.one(&sql, params![scope.merchant, scope.mode, period.from(), period.until(), max], |r| r.next())
}

/// Up to `limit` rows of a period behind `after`, oldest first.
pub fn page(
    tx: &mut Tx<'_>,
    scope: Scope,
    kind: ExportKind,
    period: &Period,
    after: Place,
    limit: i64,
) -> Result<ExportPage, StoreError> {
    let (_, t) = table(kind);
    let only = if kind == ExportKind::Transactions { " AND a.hidden_at IS NULL" } else { "" };
    let sql = format!(
        "SELECT {} WHERE {t}.merchant = ?1 AND {t}.live = ?2 AND {t}.created_at < ?3 AND ({t}.created_at, {t}.id) > \
         (?4, ?5){only} ORDER BY {t}.created_at, {t}.id LIMIT ?6",
        from(kind)
    );
    let until = period.until();
    let params: [Param<'_>; 6] = [
        scope.merchant.param(),
        scope.mode.param(),
        until.param(),
        after.at.param(),
        after.id.param(),
        Param::Int(limit),
    ];
    let mut last = None;
    let mut seen = 0;
    let mut note = |at: Timestamp, id: Core| {
        seen += 1;
        last = Some(Place { at, id });
    };
    let rows = match kind {
        ExportKind::Transactions => ExportRows::Transactions(tx.all(&sql, &params, |r| {
            let row = transaction_row(r)?;
            note(row.attempt.created_at, row.attempt.id.core());
            Ok(row)
        })?),
        ExportKind::Clients => ExportRows::Clients(tx.all(&sql, &params, |r| {
            let (customer, facts, _) = client(r)?;
            note(customer.created_at, customer.id.core());
            Ok(ClientRow { customer, facts })
        })?),
        ExportKind::Checkouts => ExportRows::Checkouts(tx.all(&sql, &params, |r| {
            // Ordered by the payment, whose time a test clock may have moved on before the page was made.
            let at = r.next()?;
            let row = checkout_row(r)?;
            note(at, row.checkout.payment.core());
            Ok(row)
        })?),
        ExportKind::Refunds => ExportRows::Refunds(tx.all(&sql, &params, |r| {
            let row = refund_row(r)?;
            note(row.refund.created_at, row.refund.id.core());
            Ok(row)
        })?),
    };
    Ok(ExportPage { rows, next: last.filter(|_| seen >= limit) })
}

/// `a.id, a.merchant, …`
fn of(table: &str, columns: &str) -> String {
    columns.split(',').map(|column| format!("{table}.{}", column.trim())).collect::<Vec<_>>().join(", ")
}

const REFERENCE: &str = "s.payment, s.external_reference, s.invoice_number, c.details";

fn from(kind: ExportKind) -> String {
    match kind {
        ExportKind::Transactions => format!(
            "{}, p.storefront, COALESCE(f.name, ''), p.customer, u.email, COALESCE(v.name, ''), p.fee, {REFERENCE} FROM attempts a \
             JOIN payments p ON p.id = a.payment LEFT JOIN storefronts f ON f.id = p.storefront \
             LEFT JOIN providers v ON v.id = a.provider LEFT JOIN customers u ON u.id = p.customer AND u.deleted = 0 \
             LEFT JOIN site_checkouts s ON s.payment = p.id LEFT JOIN checkouts c ON c.payment = p.id",
            of("a", attempts::COLUMNS)
        ),
        ExportKind::Clients => {
            format!("{} FROM (SELECT * FROM customers WHERE deleted = 0) AS c", clients::columns())
        }
        ExportKind::Checkouts => format!(
            "p.created_at, {}, p.amount + p.surcharge, p.currency, p.status, p.cancellation_reason, COALESCE(f.name, ''), {REFERENCE} \
             FROM payments p JOIN checkouts c ON c.payment = p.id LEFT JOIN storefronts f ON f.id = p.storefront \
             LEFT JOIN site_checkouts s ON s.payment = p.id",
            of("c", checkouts::COLUMNS)
        ),
        ExportKind::Refunds => format!(
            "{}, a.provider, COALESCE(v.name, ''), {REFERENCE} FROM refunds r JOIN attempts a ON a.id = r.attempt \
             LEFT JOIN providers v ON v.id = a.provider LEFT JOIN site_checkouts s ON s.payment = r.payment \
             LEFT JOIN checkouts c ON c.payment = r.payment",
            of("r", refunds::COLUMNS)
        ),
    }
}

/// The shop's name of the order and its invoice, whichever surface it gave them on.
fn references(r: &mut Row<'_>) -> Result<(Option<String>, Option<String>), StoreError> {
    let site: Option<PaymentId> = r.next()?;
    let (external, invoice): (Option<String>, Option<String>) = (r.next()?, r.next()?);
    let details: Option<Json<CheckoutDetails>> = r.next()?;
    let reference = if site.is_some() { external } else { details.and_then(|d| d.0.reference) };
    Ok((reference, invoice))
}

fn transaction_row(r: &mut Row<'_>) -> Result<TransactionRow, StoreError> {
    let attempt = attempt(r)?;
    let (storefront, storefront_name) = (r.next()?, r.next()?);
    let (customer, customer_email) = (r.next()?, r.next()?);
    let provider_name = r.next()?;
    let fee: i64 = r.next()?;
    let (external_reference, invoice_number) = references(r)?;
    Ok(TransactionRow {
        fee: if attempt.amount_captured > 0 { fee } else { 0 },
        attempt,
        storefront,
        storefront_name,
        customer,
        customer_email,
        provider_name,
        external_reference,
        invoice_number,
    })
}

fn checkout_row(r: &mut Row<'_>) -> Result<CheckoutRow, StoreError> {
    let checkout = checkout(r)?;
    let (amount, currency, status, cancellation_reason) = (r.next()?, r.next()?, r.next()?, r.next()?);
    let storefront_name = r.next()?;
    let (external_reference, invoice_number) = references(r)?;
    Ok(CheckoutRow {
        checkout,
        amount,
        currency,
        status,
        cancellation_reason,
        storefront_name,
        external_reference,
        invoice_number,
    })
}

fn refund_row(r: &mut Row<'_>) -> Result<RefundRow, StoreError> {
    let refund = refund(r)?;
    let (provider, provider_name) = (r.next()?, r.next()?);
    let (external_reference, _) = references(r)?;
    Ok(RefundRow { refund, provider, provider_name, external_reference })
}
