use crate::error::StoreError;
use crate::page::select;
use crate::params;
use crate::tx::{Json, Row, Tx, json};
use domain::gate_transaction::GateTransaction;
use domain::id::{ClockId, CustomerId, PaymentId, PayoutId, StorefrontId};
use domain::scope::Scope;
use domain::time::Timestamp;

const COLUMNS: &str = "number, uuid, merchant, live, storefront, customer, kind, status, payment_id, payment, payout, \
    amount, cost, cost_hidden, currency, request, digest, callback_url, token, recurring, last_error_code, \
    last_error_message, expires_at, created_at, updated_at";

fn transaction(row: &mut Row<'_>) -> Result<GateTransaction, StoreError> {
    Ok(GateTransaction {
        number: row.next()?,
        uuid: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        storefront: row.next()?,
        customer: row.next()?,
        kind: row.next()?,
        status: row.next()?,
        payment_id: row.next()?,
        payment: row.next()?,
        payout: row.next()?,
        amount: row.next()?,
        cost: row.next()?,
        cost_hidden: row.next()?,
        currency: row.next()?,
        request: row.next()?,
        digest: row.next()?,
        callback_url: row.next()?,
        token: row.next()?,
        recurring: row.next::<Option<Json<_>>>()?.map(|j| j.0),
        last_error_code: row.next()?,
        last_error_message: row.next()?,
        expires_at: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
    })
}

/// Stores a transaction and gives it its number; `None` when the service has one with this payment_id: of
/// two requests at the same time one finds the other's.
pub fn insert(tx: &mut Tx<'_>, t: &GateTransaction) -> Result<Option<i64>, StoreError> {
    tx.opt(
        "INSERT INTO gate_transactions (uuid, merchant, live, storefront, customer, kind, status, payment_id, payment, \
         payout, amount, cost, cost_hidden, currency, request, digest, callback_url, token, recurring, \
         last_error_code, last_error_message, expires_at, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, \
         ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24) \
         ON CONFLICT (storefront, payment_id) DO NOTHING RETURNING number",
        params![
            t.uuid,
            t.scope.merchant,
            t.scope.mode,
            t.storefront,
            t.customer,
            t.kind,
            t.status,
            t.payment_id,
            t.payment,
            t.payout,
            t.amount,
            t.cost,
            t.cost_hidden,
            t.currency,
            t.request,
            t.digest,
            t.callback_url,
            t.token,
            t.recurring.as_ref().map(json).transpose()?,
            t.last_error_code,
            t.last_error_message,
            t.expires_at,
            t.created_at,
            t.updated_at,
        ],
        |r| r.next(),
    )
}

/// Writes what of a transaction changes.
pub fn update(tx: &mut Tx<'_>, t: &GateTransaction) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE gate_transactions SET status = ?1, last_error_code = ?2, last_error_message = ?3, expires_at = ?4, \
         updated_at = ?5 WHERE number = ?6",
        params![
            t.status,
            t.last_error_code,
            t.last_error_message,
            t.expires_at,
            t.updated_at,
            t.number
        ],
    )?;
    Ok(())
}

/// The transaction with this uuid, of any merchant: the request's signature, or the address of a page, says
/// who may see it.
pub fn by_uuid(tx: &mut Tx<'_>, uuid: &str) -> Result<Option<GateTransaction>, StoreError> {
    let paged = "gate_transactions WHERE payment = (SELECT payment FROM checkouts WHERE code = ?1)";
    if let Some(found) = tx.opt(&select(COLUMNS, paged), params![uuid], transaction)? {
        return Ok(Some(found));
    }
    let sql = select(COLUMNS, "gate_transactions WHERE uuid = ?1 AND payment IS NULL");
    tx.opt(&sql, params![uuid], transaction)
}

/// The transaction with its row locked until the database's transaction ends: for one that has no payment to lock.
pub fn lock(tx: &mut Tx<'_>, number: i64) -> Result<Option<GateTransaction>, StoreError> {
    let sql = select(COLUMNS, "gate_transactions WHERE number = ?1 /* for update */");
    tx.opt(&sql, params![number], transaction)
}

pub fn by_payment_id(
    tx: &mut Tx<'_>,
    storefront: StorefrontId,
    payment_id: &str,
) -> Result<Option<GateTransaction>, StoreError> {
    let sql = select(COLUMNS, "gate_transactions WHERE storefront = ?1 AND payment_id = ?2");
    tx.opt(&sql, params![storefront, payment_id], transaction)
}

pub fn of_payment(tx: &mut Tx<'_>, payment: PaymentId) -> Result<Option<GateTransaction>, StoreError> {
    tx.opt(&select(COLUMNS, "gate_transactions WHERE payment = ?1"), params![payment], transaction)
}

pub fn of_payout(tx: &mut Tx<'_>, payout: PayoutId) -> Result<Option<GateTransaction>, StoreError> {
    tx.opt(&select(COLUMNS, "gate_transactions WHERE payout = ?1"), params![payout], transaction)
}

/// Transactions without a checkout whose time is over, by number.
pub fn to_expire(tx: &mut Tx<'_>, now: Timestamp, limit: i64) -> Result<Vec<i64>, StoreError> {
    tx.all(
        "SELECT number FROM gate_transactions WHERE expires_at <= ?1 ORDER BY expires_at, number LIMIT ?2",
        params![now, limit],
        |r| r.next(),
    )
}

/// How many transactions a storefront has, counted up to `most`.
pub fn count(tx: &mut Tx<'_>, storefront: StorefrontId, most: i64) -> Result<i64, StoreError> {
    tx.one(
        "SELECT COUNT(*) FROM (SELECT 1 AS one FROM gate_transactions WHERE storefront = ?1 LIMIT ?2) AS counted",
        params![storefront, most],
        |r| r.next(),
    )
}

/// A payer's integer on Gate, if it has one.
pub fn payer_number(tx: &mut Tx<'_>, customer: CustomerId) -> Result<Option<i64>, StoreError> {
    tx.opt("SELECT number FROM gate_payers WHERE customer = ?1", params![customer], |r| r.next())
}

/// Gives a payer an integer on Gate, unless it has one.
pub fn number_payer(tx: &mut Tx<'_>, customer: CustomerId) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO gate_payers (customer) VALUES (?1) ON CONFLICT (customer) DO NOTHING",
        params![customer],
    )?;
    Ok(())
}

/// A customer as a payer on Gate.
#[derive(Clone, Copy, Debug)]
pub struct KnownPayer {
    pub customer: CustomerId,
    pub clock: Option<ClockId>,
    /// Whether it has an integer on Gate.
    pub numbered: bool,
}

/// The oldest customer of a scope with exactly this e-mail address.
pub fn payer_by_email(tx: &mut Tx<'_>, scope: Scope, email: &str) -> Result<Option<KnownPayer>, StoreError> {
    tx.opt(
        "SELECT c.id, c.clock, p.number FROM customers c LEFT JOIN gate_payers p ON p.customer = c.id \
         WHERE c.merchant = ?1 AND c.live = ?2 AND c.email = ?3 AND c.deleted = 0 ORDER BY c.created_at, c.id LIMIT 1",
        params![scope.merchant, scope.mode, email],
        |r| {
            let (customer, clock) = (r.next()?, r.next()?);
            Ok(KnownPayer { customer, clock, numbered: r.next::<Option<i64>>()?.is_some() })
        },
    )
}
