//! What is left of a customer that is erased, and the rows that are about it.

use crate::error::StoreError;
use crate::page::select;
use crate::params;
use crate::tx::{Param, Row, ToParam, Tx};
use domain::id::{Core, CustomerId, PaymentId, PayoutId};
use domain::scope::Scope;
use domain::time::Timestamp;

/// The erasure of one customer.
#[derive(Clone, Debug)]
pub struct Erasure {
    pub customer: CustomerId,
    pub scope: Scope,
    /// Sealed: the texts by which the person is known. `None` once it has ended.
    pub texts: Option<Vec<u8>>,
    /// The last payment that was looked through.
    pub reached: Option<Reached>,
    pub begun_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

/// A payment in the order in which a customer's are looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    pub payment: PaymentId,
    pub created_at: Timestamp,
}

const COLUMNS: &str = "customer, merchant, live, texts, payment, payment_at, begun_at, ended_at";

fn erasure(row: &mut Row<'_>) -> Result<Erasure, StoreError> {
    Ok(Erasure {
        customer: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        texts: row.next()?,
        reached: {
            let (payment, at) = (row.next::<Option<PaymentId>>()?, row.next::<Option<Timestamp>>()?);
            payment.zip(at).map(|(payment, created_at)| Reached { payment, created_at })
        },
        begun_at: row.next()?,
        ended_at: row.next()?,
    })
}

pub fn insert(tx: &mut Tx<'_>, e: &Erasure) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO erasures (customer, merchant, live, texts, payment, payment_at, begun_at, ended_at) \
         VALUES (?1, ?2, ?3, ?4, NULL, NULL, ?5, NULL)",
        params![e.customer, e.scope.merchant, e.scope.mode, e.texts, e.begun_at],
    )?;
    Ok(())
}

pub fn get(tx: &mut Tx<'_>, customer: CustomerId) -> Result<Option<Erasure>, StoreError> {
    tx.opt(&select(COLUMNS, "erasures WHERE customer = ?1"), params![customer], erasure)
}

/// Records how far it has come.
pub fn advance(tx: &mut Tx<'_>, customer: CustomerId, reached: Reached) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE erasures SET payment = ?1, payment_at = ?2 WHERE customer = ?3",
        params![reached.payment, reached.created_at, customer],
    )?;
    Ok(())
}

/// Ends it: what the person was known by goes last.
pub fn end(tx: &mut Tx<'_>, customer: CustomerId, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE erasures SET texts = NULL, ended_at = ?1 WHERE customer = ?2",
        params![now, customer],
    )?;
    Ok(())
}

/// The customer's next payments behind `reached`.
pub fn payments(
    tx: &mut Tx<'_>,
    customer: CustomerId,
    reached: Option<Reached>,
    limit: i64,
) -> Result<Vec<Reached>, StoreError> {
    let one = |row: &mut Row<'_>| Ok(Reached { payment: row.next()?, created_at: row.next()? });
    let order = "ORDER BY created_at, id";
    match reached {
        None => tx.all(
            &format!("SELECT id, created_at FROM payments WHERE customer = ?1 {order} LIMIT ?2"),
            params![customer, limit],
            one,
        ),
        Some(Reached { payment, created_at }) => tx.all(
            &format!(
                "SELECT id, created_at FROM payments WHERE customer = ?1 AND (created_at, id) > (?2, ?3) {order} \
                 LIMIT ?4"
            ),
            params![customer, created_at, payment, limit],
            one,
        ),
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Text, or JSON, in which the person may be named.
    Any,
    /// JSON that is about the person alone.
    Personal,
}

/// Gives what a column is to hold instead.
pub type Edit<'e> = dyn Fn(Content, &str) -> String + 'e;

/// Columns of one table, and how its rows are picked by one value.
struct Place {
    table: &'static str,
    key: &'static str,
    columns: &'static [(&'static str, Content)],
    picked_by: &'static str,
}

use Content::{Any, Personal};

/// What a payment has written down of its payer, picked by the payment.
const OF_PAYMENT: &[Place] = &[
    Place {
        table: "payments",
        key: "id",
        columns: &[("details", Any), ("metadata", Any), ("next_action", Any)],
        picked_by: "id = ?1",
    },
    Place { table: "checkouts", key: "payment", columns: &[("details", Any)], picked_by: "payment = ?1" },
    Place {
        table: "site_checkouts",
        key: "payment",
        columns: &[
            ("items", Any),
            ("billing", Personal),
            ("shipping", Personal),
            ("external_reference", Any),
            ("invoice_number", Any),
        ],
        picked_by: "payment = ?1",
    },
    Place {
        table: "attempts",
        key: "id",
        columns: &[("method", Any), ("billing", Personal)],
        picked_by: "payment = ?1",
    },
    Place { table: "challenges", key: "code", columns: &[("return_url", Any)], picked_by: "payment = ?1" },
    Place { table: "refunds", key: "id", columns: &[("metadata", Any)], picked_by: "payment = ?1" },
    Place {
        table: "gate_transactions",
        key: "number",
        columns: &[("request", Any), ("callback_url", Any)],
        picked_by: "payment = ?1",
    },
    Place {
        table: "gate_operations",
        key: "number",
        columns: &[("comment", Any)],
        picked_by: "transaction_number IN (SELECT number FROM gate_transactions WHERE payment = ?1)",
    },
];

/// What Gate has written down of a payer without a payment, picked by the customer.
const OF_PAYER: &[Place] = &[Place {
    table: "gate_transactions",
    key: "number",
    columns: &[("request", Any), ("callback_url", Any)],
    picked_by: "customer = ?1 AND payment IS NULL",
}];

/// A payout to the person, picked by itself.
const OF_PAYOUT: &[Place] = &[Place {
    table: "payouts",
    key: "id",
    columns: &[("destination", Any), ("description", Any), ("metadata", Any)],
    picked_by: "id = ?1",
}];

/// What was frozen and sent about an object, picked by the object.
const OF_OBJECT: &[Place] = &[
    Place {
        table: "snapshots",
        key: "id",
        columns: &[("body", Any)],
        picked_by: "id IN (SELECT snapshot FROM events WHERE object = ?1)",
    },
    Place {
        table: "deliveries",
        key: "id",
        columns: &[("url", Any)],
        picked_by: "event IN (SELECT id FROM events WHERE object = ?1) AND status <> 'pending'",
    },
    Place {
        table: "delivery_attempts",
        key: "delivery",
        columns: &[("url", Any)],
        picked_by: "delivery IN (SELECT d.id FROM deliveries d JOIN events e ON e.id = d.event WHERE e.object = ?1)",
    },
];

/// A key as it came, to find its row again by.
enum Key {
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl ToParam for Key {
    fn param(&self) -> Param<'_> {
        match self {
            Key::Int(n) => Param::Int(*n),
            Key::Text(text) => Param::Text(text),
            Key::Blob(bytes) => Param::Blob(bytes),
        }
    }
}

impl crate::tx::FromCell for Key {
    fn from_cell(cell: crate::tx::Cell<'_>) -> Result<Self, StoreError> {
        use crate::tx::Cell;
        match cell {
            Cell::Int(n) => Ok(Key::Int(n)),
            Cell::Text(text) => Ok(Key::Text(text.to_owned())),
            Cell::Blob(bytes) => Ok(Key::Blob(bytes.to_vec())),
            Cell::Null => Err(StoreError::Defect("a row without a key".to_owned())),
        }
    }
}

/// Rewrites the columns of every row that `value` picks. The names are constants of this file.
fn rewrite(tx: &mut Tx<'_>, place: &Place, value: Param<'_>, edit: &Edit<'_>) -> Result<(), StoreError> {
    let Place { table, key, columns, picked_by } = place;
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let rows = tx.all(
        &format!("SELECT {key}, {} FROM {table} WHERE {picked_by}", names.join(", ")),
        &[value],
        |row| {
            let key: Key = row.next()?;
            let texts: Result<Vec<Option<String>>, StoreError> = names.iter().map(|_| row.next()).collect();
            Ok((key, texts?))
        },
    )?;
    for (row, texts) in rows {
        for ((name, content), text) in columns.iter().zip(texts) {
            let Some(text) = text else { continue };
            let edited = edit(*content, &text);
            if edited != text {
                let sql = format!("UPDATE {table} SET {name} = ?1 WHERE {key} = ?2");
                tx.execute(&sql, params![edited, row])?;
            }
        }
    }
    Ok(())
}

/// Rewrites a payment with all that belongs to it. The caller holds its row lock.
pub fn rewrite_payment(tx: &mut Tx<'_>, payment: PaymentId, edit: &Edit<'_>) -> Result<(), StoreError> {
    OF_PAYMENT.iter().try_for_each(|place| rewrite(tx, place, payment.param(), edit))
}

/// Rewrites what Gate has of a payer without a payment.
pub fn rewrite_payer(tx: &mut Tx<'_>, customer: CustomerId, edit: &Edit<'_>) -> Result<(), StoreError> {
    OF_PAYER.iter().try_for_each(|place| rewrite(tx, place, customer.param(), edit))
}

/// Rewrites a payout that has ended, and forgets its account.
pub fn rewrite_payout(tx: &mut Tx<'_>, payout: PayoutId, edit: &Edit<'_>) -> Result<(), StoreError> {
    OF_PAYOUT.iter().try_for_each(|place| rewrite(tx, place, payout.param(), edit))?;
    tx.execute("UPDATE payouts SET account = ?1 WHERE id = ?2", &[Param::Blob(&[]), payout.param()])?;
    Ok(())
}

/// Rewrites the events about an object. Bodies that were sent are made anew when they are sent again; what receivers
/// answered is forgotten.
pub fn rewrite_events(tx: &mut Tx<'_>, object: Core, edit: &Edit<'_>) -> Result<(), StoreError> {
    OF_OBJECT.iter().try_for_each(|place| rewrite(tx, place, object.param(), edit))?;
    tx.execute(
        "UPDATE deliveries SET body = NULL WHERE event IN (SELECT id FROM events WHERE object = ?1)",
        params![object],
    )?;
    tx.execute(
        "UPDATE delivery_attempts SET response = NULL WHERE delivery IN (SELECT d.id FROM deliveries d \
         JOIN events e ON e.id = d.event WHERE e.object = ?1)",
        params![object],
    )?;
    Ok(())
}

/// The same for the events of a storefront in whose snapshot `mark` stands: Gate tells so of what has no payment.
pub fn rewrite_marked_events(
    tx: &mut Tx<'_>,
    storefront: Core,
    mark: &str,
    edit: &Edit<'_>,
) -> Result<(), StoreError> {
    let marked: Vec<(Vec<u8>, Vec<u8>, String)> = tx.all(
        "SELECT e.id, s.id, s.body FROM events e JOIN snapshots s ON s.id = e.snapshot \
         WHERE e.object = ?1 AND s.body LIKE ?2",
        params![storefront, format!("%{mark}%")],
        |row| Ok((row.next()?, row.next()?, row.next()?)),
    )?;
    for (event, snapshot, body) in marked {
        let edited = edit(Any, &body);
        tx.execute("UPDATE snapshots SET body = ?1 WHERE id = ?2", params![edited, snapshot])?;
        tx.execute("UPDATE deliveries SET body = NULL WHERE event = ?1", params![event])?;
        tx.execute(
            "UPDATE delivery_attempts SET response = NULL WHERE delivery IN (SELECT id FROM deliveries WHERE event = ?1)",
            params![event],
        )?;
    }
    Ok(())
}

/// The idempotency keys of the requests that caused the events about an object.
pub fn keys(tx: &mut Tx<'_>, object: Core) -> Result<Vec<String>, StoreError> {
    tx.all(
        "SELECT DISTINCT idempotency_key FROM events WHERE object = ?1 AND idempotency_key IS NOT NULL",
        params![object],
        |row| row.next(),
    )
}

/// Attempts and refunds of a payment: events are about them too.
pub fn objects(tx: &mut Tx<'_>, payment: PaymentId) -> Result<Vec<Core>, StoreError> {
    tx.all(
        "SELECT id FROM attempts WHERE payment = ?1 UNION ALL SELECT id FROM refunds WHERE payment = ?1",
        params![payment],
        |row| row.next(),
    )
}

/// Methods that paid a payment and belong to nobody else.
pub fn methods_of_payment(
    tx: &mut Tx<'_>,
    payment: PaymentId,
    customer: CustomerId,
) -> Result<Vec<Core>, StoreError> {
    tx.all(
        "SELECT m.id FROM payment_methods m WHERE m.id IN (SELECT payment_method FROM attempts WHERE payment = ?1 \
         UNION SELECT payment_method FROM payments WHERE id = ?1) AND (m.customer IS NULL OR m.customer = ?2)",
        params![payment, customer],
        |row| row.next(),
    )
}

/// Saved methods of a customer.
pub fn methods(tx: &mut Tx<'_>, customer: CustomerId, limit: i64) -> Result<Vec<Core>, StoreError> {
    tx.all(
        "SELECT id FROM payment_methods WHERE customer = ?1 ORDER BY created_at, id LIMIT ?2",
        params![customer, limit],
        |row| row.next(),
    )
}

/// Removes a method with the token by which the provider knows it.
pub fn delete_method(tx: &mut Tx<'_>, method: Core) -> Result<(), StoreError> {
    tx.execute("DELETE FROM payment_methods WHERE id = ?1", params![method])?;
    Ok(())
}

/// What a payer has on Gate without a payment: storefront, uuid, and the payout if it is one.
pub fn unpaid(
    tx: &mut Tx<'_>,
    customer: CustomerId,
) -> Result<Vec<(Core, String, Option<PayoutId>)>, StoreError> {
    tx.all(
        "SELECT storefront, uuid, payout FROM gate_transactions WHERE customer = ?1 AND payment IS NULL ORDER BY number",
        params![customer],
        |row| Ok((row.next()?, row.next()?, row.next()?)),
    )
}

/// Replaces the stored reply to a key.
pub fn set_reply(tx: &mut Tx<'_>, scope: Scope, key: &str, reply: &[u8]) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE idempotency_keys SET reply = ?1 WHERE merchant = ?2 AND live = ?3 AND key = ?4",
        params![reply, scope.merchant, scope.mode, key],
    )?;
    Ok(())
}

/// Blanks a customer for every surface, and takes its saved methods out of use. Payments keep its id. The caller holds
/// the row lock.
pub fn blank_customer(tx: &mut Tx<'_>, id: CustomerId, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE customers SET deleted = 1, email = NULL, name = NULL, phone = NULL, description = NULL, \
         address = NULL, shipping = NULL, preferred_locales = '[]', default_payment_method = NULL, metadata = '[]', \
         client = '{}', updated_at = ?1 WHERE id = ?2",
        params![now, id],
    )?;
    tx.execute(
        "UPDATE payment_methods SET used_up = 1, billing = '{}', metadata = '[]' WHERE customer = ?1",
        params![id],
    )?;
    Ok(())
}

/// Whether there was a customer with this id that is erased.
pub fn is_erased(tx: &mut Tx<'_>, scope: Scope, id: CustomerId) -> Result<bool, StoreError> {
    let found = tx.opt(
        "SELECT 1 FROM customers WHERE id = ?1 AND merchant = ?2 AND live = ?3 AND deleted = 1",
        params![id, scope.merchant, scope.mode],
        |row| row.next::<i64>(),
    )?;
    Ok(found.is_some())
}
