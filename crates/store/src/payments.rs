use crate::error::StoreError;
use crate::page::{self, Listed, Order, PageQuery, Table, select};
use crate::params;
use crate::tx::{Json, Row, ToParam, Tx, json};
use domain::id::{ClockId, CustomerId, PaymentId};
use domain::payment::{Operation, OperationKind, Payment};
use domain::scope::{Mode, Scope};
use domain::time::Timestamp;

const COLUMNS: &str = "id, merchant, live, storefront, provider, amount, surcharge, currency, status, op_kind, \
    op_amount, op_fee, capture_method, payment_method, customer, client_secret, amount_capturable, amount_received, \
    amount_refunded, pending_balance, fee, refund_shortfall, available_on, capture_before, last_error, \
    latest_attempt, latest_charge, attempts, next_action, details, checkout, metadata, canceled_at, \
    cancellation_reason, clock, created_at";

const TABLE: Table = Table { name: "payments", columns: COLUMNS, id: "id", order: Order::Created };

fn payment(row: &mut Row<'_>) -> Result<Payment, StoreError> {
    Ok(Payment {
        id: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        storefront: row.next()?,
        provider: row.next()?,
        amount: row.next()?,
        surcharge: row.next()?,
        currency: row.next()?,
        status: row.next()?,
        operation: operation(row.next()?, row.next()?, row.next()?),
        capture_method: row.next()?,
        payment_method: row.next()?,
        customer: row.next()?,
        client_secret: row.next()?,
        amount_capturable: row.next()?,
        amount_received: row.next()?,
        amount_refunded: row.next()?,
        pending_balance: row.next()?,
        fee: row.next()?,
        refund_shortfall: row.next()?,
        available_on: row.next()?,
        capture_before: row.next()?,
        last_error: row.next::<Option<Json<_>>>()?.map(|j| j.0),
        latest_attempt: row.next()?,
        latest_charge: row.next()?,
        attempts: row.next()?,
        next_action: row.next::<Option<Json<_>>>()?.map(|j| j.0),
        details: row.next::<Json<_>>()?.0,
        checkout: row.next()?,
        metadata: row.next::<Json<_>>()?.0,
        canceled_at: row.next()?,
        cancellation_reason: row.next()?,
        clock: row.next()?,
        created_at: row.next()?,
    })
}

fn operation(kind: Option<OperationKind>, amount: Option<i64>, fee: Option<i64>) -> Option<Operation> {
    Some(Operation { kind: kind?, amount: amount?, fee: fee? })
}

pub fn insert(tx: &mut Tx<'_>, p: &Payment) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO payments (id, merchant, live, storefront, provider, amount, surcharge, currency, status, op_kind, \
         op_amount, op_fee, capture_method, payment_method, customer, client_secret, amount_capturable, \
         amount_received, amount_refunded, pending_balance, fee, refund_shortfall, available_on, capture_before, \
         last_error, latest_attempt, latest_charge, attempts, next_action, details, checkout, metadata, canceled_at, \
         cancellation_reason, clock, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, \
         ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36)",
        params![
            p.id,
            p.scope.merchant,
            p.scope.mode,
            p.storefront,
            p.provider,
            p.amount,
            p.surcharge,
            p.currency,
            p.status,
            p.operation.map(|o| o.kind),
            p.operation.map(|o| o.amount),
            p.operation.map(|o| o.fee),
            p.capture_method,
            p.payment_method,
            p.customer,
            p.client_secret,
            p.amount_capturable,
            p.amount_received,
            p.amount_refunded,
            p.pending_balance,
            p.fee,
            p.refund_shortfall,
            p.available_on,
            p.capture_before,
            p.last_error.as_ref().map(json).transpose()?,
            p.latest_attempt,
            p.latest_charge,
            p.attempts,
            p.next_action.as_ref().map(json).transpose()?,
            json(&p.details)?,
            p.checkout,
            json(&p.metadata)?,
            p.canceled_at,
            p.cancellation_reason,
            p.clock,
            p.created_at,
        ],
    )?;
    Ok(())
}

/// Writes everything about a payment that can change. The caller holds its row lock.
pub fn update(tx: &mut Tx<'_>, p: &Payment) -> Result<(), StoreError> {
    let changed = tx.execute(
        "UPDATE payments SET provider = ?1, amount = ?2, currency = ?3, status = ?4, op_kind = ?5, op_amount = ?6, \
         op_fee = ?7, capture_method = ?8, payment_method = ?9, customer = ?10, amount_capturable = ?11, \
         amount_received = ?12, amount_refunded = ?13, pending_balance = ?14, fee = ?15, refund_shortfall = ?16, \
         available_on = ?17, capture_before = ?18, last_error = ?19, latest_attempt = ?20, latest_charge = ?21, \
         attempts = ?22, next_action = ?23, details = ?24, metadata = ?25, canceled_at = ?26, \
         cancellation_reason = ?27 WHERE id = ?28 AND merchant = ?29 AND live = ?30",
        params![
            p.provider,
            p.amount,
            p.currency,
            p.status,
            p.operation.map(|o| o.kind),
            p.operation.map(|o| o.amount),
            p.operation.map(|o| o.fee),
            p.capture_method,
            p.payment_method,
            p.customer,
            p.amount_capturable,
            p.amount_received,
            p.amount_refunded,
            p.pending_balance,
            p.fee,
            p.refund_shortfall,
            p.available_on,
            p.capture_before,
            p.last_error.as_ref().map(json).transpose()?,
            p.latest_attempt,
            p.latest_charge,
            p.attempts,
            p.next_action.as_ref().map(json).transpose()?,
            json(&p.details)?,
            json(&p.metadata)?,
            p.canceled_at,
            p.cancellation_reason,
            p.id,
            p.scope.merchant,
            p.scope.mode,
        ],
    )?;
    if changed == 1 { Ok(()) } else { Err(StoreError::Defect(format!("payment {} was not updated", p.id))) }
}

pub fn get(tx: &mut Tx<'_>, scope: Scope, id: PaymentId) -> Result<Option<Payment>, StoreError> {
    let sql = select(COLUMNS, "payments WHERE id = ?1 AND merchant = ?2 AND live = ?3");
    tx.opt(&sql, params![id, scope.merchant, scope.mode], payment)
}

/// Reads a payment and locks its row until the transaction ends.
pub fn lock(tx: &mut Tx<'_>, scope: Scope, id: PaymentId) -> Result<Option<Payment>, StoreError> {
    let sql = select(COLUMNS, "payments WHERE id = ?1 AND merchant = ?2 AND live = ?3 /* for update */");
    tx.opt(&sql, params![id, scope.merchant, scope.mode], payment)
}

pub fn list(
    tx: &mut Tx<'_>,
    scope: Scope,
    customer: Option<CustomerId>,
    query: &PageQuery,
) -> Listed<Payment> {
    let filter = customer.map(|c| ("customer", c));
    let filters: Vec<_> = filter.iter().map(|(column, id)| (*column, id.param())).collect();
    page::list(tx, &TABLE, scope, &filters, query, payment)
}

/// A payment that background work is due for.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    pub scope: Scope,
    pub payment: PaymentId,
    pub at: Timestamp,
}

fn due(row: &mut Row<'_>) -> Result<Due, StoreError> {
    Ok(Due {
        payment: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        at: row.next()?,
    })
}

/// Payments whose pending part settles by `now`; those of `clock`, or those of no clock.
pub fn to_settle(
    tx: &mut Tx<'_>,
    clock: Option<ClockId>,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Due>, StoreError> {
    match clock {
        None => tx.all(
            "SELECT id, merchant, live, available_on FROM payments WHERE pending_balance > 0 AND clock IS NULL \
             AND available_on <= ?1 ORDER BY available_on, id LIMIT ?2",
            params![now, limit],
            due,
        ),
        Some(clock) => tx.all(
            "SELECT id, merchant, live, available_on FROM payments WHERE clock = ?1 AND pending_balance > 0 \
             AND available_on <= ?2 ORDER BY available_on, id LIMIT ?3",
            params![clock, now, limit],
            due,
        ),
    }
}

/// Uncaptured authorisations that lapse by `now`; those of `clock`, or those of no clock.
pub fn to_expire(
    tx: &mut Tx<'_>,
    clock: Option<ClockId>,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Due>, StoreError> {
    match clock {
        None => tx.all(
            "SELECT id, merchant, live, capture_before FROM payments WHERE capture_before IS NOT NULL \
             AND clock IS NULL AND capture_before <= ?1 AND op_kind IS NULL ORDER BY capture_before, id LIMIT ?2",
            params![now, limit],
            due,
        ),
        Some(clock) => tx.all(
            "SELECT id, merchant, live, capture_before FROM payments WHERE clock = ?1 AND capture_before <= ?2 \
             AND op_kind IS NULL ORDER BY capture_before, id LIMIT ?3",
            params![clock, now, limit],
            due,
        ),
    }
}

/// How many payments there are in each status, over all merchants of a mode; for figures only.
pub fn count(tx: &mut Tx<'_>, mode: Mode) -> Result<i64, StoreError> {
    tx.one("SELECT COUNT(*) FROM payments WHERE live = ?1", params![mode], |r| r.next())
}
