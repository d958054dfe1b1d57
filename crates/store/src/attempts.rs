use crate::error::StoreError;
use crate::page::{self, Listed, Order, PageQuery, Table, select};
use crate::params;
use crate::tx::{Json, Param, Row, ToParam, Tx, json};
use domain::attempt::Attempt;
use domain::id::{AttemptId, CustomerId, PaymentId};
use domain::scope::Scope;

pub(crate) const COLUMNS: &str = "id, merchant, live, payment, provider, status, amount, currency, amount_captured, \
    amount_refunded, fee, payment_method, method, billing, decline, risk, authenticated, listed, form, \
    redirected, journal, clock, created_at";

const TABLE: Table = Table { name: "attempts", columns: COLUMNS, id: "id", order: Order::Created };

pub(crate) fn attempt(row: &mut Row<'_>) -> Result<Attempt, StoreError> {
    Ok(Attempt {
        id: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        payment: row.next()?,
        provider: row.next()?,
        status: row.next()?,
        amount: row.next()?,
        currency: row.next()?,
        amount_captured: row.next()?,
        amount_refunded: row.next()?,
        fee: row.next()?,
        payment_method: row.next()?,
        method: row.next::<Json<_>>()?.0,
        billing: row.next::<Json<_>>()?.0,
        decline: row.next::<Option<Json<_>>>()?.map(|j| j.0),
        risk: row.next()?,
        authenticated: row.next()?,
        listed: row.next()?,
        form: row.next()?,
        redirected: row.next()?,
        journal: row.next()?,
        clock: row.next()?,
        created_at: row.next()?,
    })
}

pub fn insert(tx: &mut Tx<'_>, a: &Attempt) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO attempts (id, merchant, live, payment, provider, status, amount, currency, amount_captured, \
         amount_refunded, fee, payment_method, method, billing, decline, risk, authenticated, listed, form, journal, \
         clock, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, \
         ?19, ?20, ?21, ?22)",
        params![
            a.id,
            a.scope.merchant,
            a.scope.mode,
            a.payment,
            a.provider,
            a.status,
            a.amount,
            a.currency,
            a.amount_captured,
            a.amount_refunded,
            a.fee,
            a.payment_method,
            json(&a.method)?,
            json(&a.billing)?,
            a.decline.as_ref().map(json).transpose()?,
            a.risk,
            a.authenticated,
            a.listed,
            a.form,
            a.journal,
            a.clock,
            a.created_at,
        ],
    )?;
    Ok(())
}

/// Writes everything about an attempt that can change. The caller holds its payment's row lock.
pub fn update(tx: &mut Tx<'_>, a: &Attempt) -> Result<(), StoreError> {
    let changed = tx.execute(
        "UPDATE attempts SET status = ?1, amount = ?2, amount_captured = ?3, amount_refunded = ?4, decline = ?5, \
         risk = ?6, authenticated = ?7, listed = ?8, journal = ?9 WHERE id = ?10",
        params![
            a.status,
            a.amount,
            a.amount_captured,
            a.amount_refunded,
            a.decline.as_ref().map(json).transpose()?,
            a.risk,
            a.authenticated,
            a.listed,
            a.journal,
            a.id,
        ],
    )?;
    if changed == 1 { Ok(()) } else { Err(StoreError::Defect(format!("attempt {} was not updated", a.id))) }
}

/// Writes what a merchant says of a payment that went past us. The caller holds its payment's row lock.
pub fn set_method(tx: &mut Tx<'_>, a: &Attempt) -> Result<(), StoreError> {
    let changed =
        tx.execute("UPDATE attempts SET method = ?1 WHERE id = ?2", params![json(&a.method)?, a.id])?;
    if changed == 1 { Ok(()) } else { Err(StoreError::Defect(format!("attempt {} was not updated", a.id))) }
}

/// Writes down that the payer has left for the provider's own page.
pub fn set_redirected(tx: &mut Tx<'_>, id: AttemptId) -> Result<(), StoreError> {
    tx.execute("UPDATE attempts SET redirected = 1 WHERE id = ?1", params![id])?;
    Ok(())
}

pub fn get(tx: &mut Tx<'_>, scope: Scope, id: AttemptId) -> Result<Option<Attempt>, StoreError> {
    let sql = select(COLUMNS, "attempts WHERE id = ?1 AND merchant = ?2 AND live = ?3");
    tx.opt(&sql, params![id, scope.merchant, scope.mode], attempt)
}

/// Charges: the attempts that are listed.
pub fn list(
    tx: &mut Tx<'_>,
    scope: Scope,
    payment: Option<PaymentId>,
    customer: Option<CustomerId>,
    query: &PageQuery,
) -> Listed<Attempt> {
    let mut filters = vec![("listed", Param::Int(1))];
    filters.extend(payment.as_ref().map(|id| ("payment", id.param())));
    // A customer's charges are found through its payments.
    filters.extend(
        customer.as_ref().map(|id| ("(SELECT customer FROM payments p WHERE p.id = payment)", id.param())),
    );
    page::list(tx, &TABLE, scope, &filters, query, attempt)
}

/// The attempt that a form of a payment page made.
pub fn of_form(tx: &mut Tx<'_>, scope: Scope, form: &str) -> Result<Option<Attempt>, StoreError> {
    let sql = select(COLUMNS, "attempts WHERE form = ?1 AND merchant = ?2 AND live = ?3");
    tx.opt(&sql, params![form, scope.merchant, scope.mode], attempt)
}

/// Every attempt of a payment, listed or not, oldest first.
pub fn of_payment(tx: &mut Tx<'_>, scope: Scope, payment: PaymentId) -> Result<Vec<Attempt>, StoreError> {
    let rest = "attempts WHERE payment = ?1 AND merchant = ?2 AND live = ?3 ORDER BY created_at, id";
    tx.all(&select(COLUMNS, rest), params![payment, scope.merchant, scope.mode], attempt)
}
