use crate::error::StoreError;
use crate::page::select;
use crate::params;
use crate::payments::Due;
use crate::tx::{Json, Row, Tx, json};
use domain::checkout::Checkout;
use domain::id::{ClockId, PaymentId};
use domain::scope::Scope;
use domain::time::Timestamp;

pub(crate) const COLUMNS: &str = "payment, merchant, live, storefront, customer, code, details, attempts_max, open, submitted_at, \
    expires_at, clock, created_at";

pub(crate) fn checkout(row: &mut Row<'_>) -> Result<Checkout, StoreError> {
    Ok(Checkout {
        payment: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        storefront: row.next()?,
        customer: row.next()?,
        code: row.next()?,
        details: row.next::<Json<_>>()?.0,
        attempts_max: row.next()?,
        open: row.next()?,
        submitted_at: row.next()?,
        expires_at: row.next()?,
        clock: row.next()?,
        created_at: row.next()?,
    })
}

pub fn insert(tx: &mut Tx<'_>, c: &Checkout) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO checkouts (payment, merchant, live, storefront, customer, code, details, attempts_max, open, \
         submitted_at, expires_at, clock, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        params![
            c.payment,
            c.scope.merchant,
            c.scope.mode,
            c.storefront,
            c.customer,
            c.code,
            json(&c.details)?,
            c.attempts_max,
            c.open,
            c.submitted_at,
            c.expires_at,
            c.clock,
            c.created_at,
        ],
    )?;
    Ok(())
}

/// Writes what of a checkout changes. The caller holds its payment's row lock.
pub fn update(tx: &mut Tx<'_>, c: &Checkout) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE checkouts SET open = ?1, submitted_at = ?2 WHERE payment = ?3",
        params![c.open, c.submitted_at, c.payment],
    )?;
    Ok(())
}

pub fn of_payment(tx: &mut Tx<'_>, scope: Scope, payment: PaymentId) -> Result<Option<Checkout>, StoreError> {
    let sql = select(COLUMNS, "checkouts WHERE payment = ?1 AND merchant = ?2 AND live = ?3");
    tx.opt(&sql, params![payment, scope.merchant, scope.mode], checkout)
}

/// The checkout with this code. The code is the credential, so there is no scope to ask for.
pub fn by_code(tx: &mut Tx<'_>, code: &str) -> Result<Option<Checkout>, StoreError> {
    tx.opt(&select(COLUMNS, "checkouts WHERE code = ?1"), params![code], checkout)
}

fn due(row: &mut Row<'_>) -> Result<Due, StoreError> {
    Ok(Due {
        payment: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        at: row.next()?,
    })
}

/// Which checkouts end when their time is over, of `checkouts c` and `payments p`: the same for finding them and
/// for finding when the next one is due, or a test clock would wait for ever for what nobody ends.
pub(crate) const EXPIRABLE: &str =
    "c.open = 1 AND p.op_kind IS NULL AND p.status IN ('requires_payment_method', 'requires_confirmation')";

/// Open checkouts whose time is over by `now`; those of `clock`, or those of no clock. Payments that are at
/// a provider, or wait for a payer to prove who they are, are passed over: they end there first.
pub fn to_expire(
    tx: &mut Tx<'_>,
    clock: Option<ClockId>,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Due>, StoreError> {
    let select = format!(
        "SELECT c.payment, c.merchant, c.live, c.expires_at FROM checkouts c JOIN payments p ON p.id = c.payment \
         WHERE {EXPIRABLE}"
    );
    match clock {
        None => tx.all(
            &format!(
                "{select} AND c.clock IS NULL AND c.expires_at <= ?1 ORDER BY c.expires_at, c.payment LIMIT ?2"
            ),
            params![now, limit],
            due,
        ),
        Some(clock) => tx.all(
            &format!(
                "{select} AND c.clock = ?1 AND c.expires_at <= ?2 ORDER BY c.expires_at, c.payment LIMIT ?3"
            ),
            params![clock, now, limit],
            due,
        ),
    }
}
