use crate::error::StoreError;
use crate::page::{self, Listed, Order, PageQuery, Table, select};
use crate::params;
use crate::tx::{Json, Row, ToParam, Tx, json};
use domain::id::{AttemptId, PaymentId, RefundId};
use domain::refund::Refund;
use domain::scope::Scope;

pub(crate) const COLUMNS: &str = "id, merchant, live, payment, attempt, amount, currency, status, reason, failure_reason, \
    from_pending, shortfall, journal, failure_journal, off_platform, metadata, clock, created_at";

const TABLE: Table = Table { name: "refunds", columns: COLUMNS, id: "id", order: Order::Created };

pub(crate) fn refund(row: &mut Row<'_>) -> Result<Refund, StoreError> {
    Ok(Refund {
        id: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        payment: row.next()?,
        attempt: row.next()?,
        amount: row.next()?,
        currency: row.next()?,
        status: row.next()?,
        reason: row.next()?,
        failure_reason: row.next()?,
        from_pending: row.next()?,
        shortfall: row.next()?,
        journal: row.next()?,
        failure_journal: row.next()?,
        off_platform: row.next()?,
        metadata: row.next::<Json<_>>()?.0,
        clock: row.next()?,
        created_at: row.next()?,
    })
}

pub fn insert(tx: &mut Tx<'_>, r: &Refund) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO refunds (id, merchant, live, payment, attempt, amount, currency, status, reason, failure_reason, \
         from_pending, shortfall, journal, failure_journal, off_platform, metadata, clock, created_at) VALUES (?1, ?2, \
         ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        params![
            r.id,
            r.scope.merchant,
            r.scope.mode,
            r.payment,
            r.attempt,
            r.amount,
            r.currency,
            r.status,
            r.reason,
            r.failure_reason,
            r.from_pending,
            r.shortfall,
            r.journal,
            r.failure_journal,
            r.off_platform,
            json(&r.metadata)?,
            r.clock,
            r.created_at,
        ],
    )?;
    Ok(())
}

/// Writes everything about a refund that can change. The caller holds its payment's row lock.
pub fn update(tx: &mut Tx<'_>, r: &Refund) -> Result<(), StoreError> {
    let changed = tx.execute(
        "UPDATE refunds SET status = ?1, failure_reason = ?2, failure_journal = ?3, metadata = ?4 WHERE id = ?5",
        params![r.status, r.failure_reason, r.failure_journal, json(&r.metadata)?, r.id],
    )?;
    if changed == 1 { Ok(()) } else { Err(StoreError::Defect(format!("refund {} was not updated", r.id))) }
}

pub fn get(tx: &mut Tx<'_>, scope: Scope, id: RefundId) -> Result<Option<Refund>, StoreError> {
    let sql = select(COLUMNS, "refunds WHERE id = ?1 AND merchant = ?2 AND live = ?3");
    tx.opt(&sql, params![id, scope.merchant, scope.mode], refund)
}

/// Every refund of a payment, oldest first.
pub fn of_payment(tx: &mut Tx<'_>, scope: Scope, payment: PaymentId) -> Result<Vec<Refund>, StoreError> {
    let rest = "refunds WHERE payment = ?1 AND merchant = ?2 AND live = ?3 ORDER BY created_at, id";
    tx.all(&select(COLUMNS, rest), params![payment, scope.merchant, scope.mode], refund)
}

pub fn count_of_payment(tx: &mut Tx<'_>, payment: PaymentId) -> Result<i64, StoreError> {
    tx.one("SELECT COUNT(*) FROM refunds WHERE payment = ?1", params![payment], |r| r.next())
}

pub fn list(
    tx: &mut Tx<'_>,
    scope: Scope,
    payment: Option<PaymentId>,
    attempt: Option<AttemptId>,
    query: &PageQuery,
) -> Listed<Refund> {
    let mut filters = Vec::new();
    filters.extend(payment.as_ref().map(|id| ("payment", id.param())));
    filters.extend(attempt.as_ref().map(|id| ("attempt", id.param())));
    page::list(tx, &TABLE, scope, &filters, query, refund)
}
