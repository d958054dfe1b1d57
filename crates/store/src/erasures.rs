//! What is left of a customer that is erased, and the rows that are about it.

use crate::error::StoreError;
use crate::ledger::first_id;
use crate::page::select;
use crate::params;
use crate::tx::{Param, Row, ToParam, Tx};
use domain::id::{Core, CustomerId, DeliveryId, EventId, PaymentId, PayoutId};
use domain::scope::Scope;
use domain::time::{MINUTE, Timestamp};

/// The erasure of one customer.
#[derive(Clone, Debug)]
pub struct Erasure {
    pub customer: CustomerId,
    pub scope: Scope,
    /// Sealed: the texts by which the person is known. `None` once it has ended.
    pub texts: Option<Vec<u8>>,
    /// The last payment that was looked through.
    pub reached: Option<Reached>,
    /// This pass met something that was not ended, or could not be read: another one must follow.
    pub again: bool,
    pub begun_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

/// A payment in the order in which a customer's are looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    pub payment: PaymentId,
    pub created_at: Timestamp,
}

const COLUMNS: &str = "customer, merchant, live, texts, payment, payment_at, again, begun_at, ended_at";

fn erasure(row: &mut Row<'_>) -> Result<Erasure, StoreError> {
    Ok(Erasure {
        customer: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        texts: row.next()?,
        reached: {
            let (payment, at) = (row.next::<Option<PaymentId>>()?, row.next::<Option<Timestamp>>()?);
            payment.zip(at).map(|(payment, created_at)| Reached { payment, created_at })
        },
        again: row.next()?,
        begun_at: row.next()?,
        ended_at: row.next()?,
    })
}

pub fn insert(tx: &mut Tx<'_>, e: &Erasure) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO erasures (customer, merchant, live, texts, payment, payment_at, again, begun_at, ended_at) \
         VALUES (?1, ?2, ?3, ?4, NULL, NULL, 0, ?5, NULL)",
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
    /// An object of ours, as JSON.
    Object,
    /// The objects of an event, as JSON.
    Snapshot,
    /// A signed request, as JSON.
    Request,
    /// Somebody's own text, or JSON of such texts.
    Free,
    /// An address of the web.
    Address,
    /// JSON that is about the person alone.
    Personal,
}

/// Gives what a column is to hold instead.
pub type Edit<'e> = dyn Fn(Content, &str) -> Option<String> + 'e;

/// Columns of one table, and how its rows are picked by one value.
struct Place {
    table: &'static str,
    key: &'static str,
    columns: &'static [(&'static str, Content)],
    picked_by: &'static str,
}

use Content::{Address, Free, Object, Personal, Request, Snapshot};

/// What a payment has written down of its payer, picked by the payment.
const OF_PAYMENT: &[Place] = &[
    Place {
        table: "payments",
        key: "id",
        columns: &[("details", Object), ("metadata", Free), ("next_action", Object)],
        picked_by: "id = ?1",
    },
    Place { table: "checkouts", key: "payment", columns: &[("details", Object)], picked_by: "payment = ?1" },
    Place {
        table: "site_checkouts",
        key: "payment",
        columns: &[
            ("items", Object),
            ("billing", Personal),
            ("shipping", Personal),
            ("external_reference", Free),
            ("invoice_number", Free),
            ("ipn_url", Address),
        ],
        picked_by: "payment = ?1",
    },
    Place {
        table: "attempts",
        key: "id",
        columns: &[("method", Object), ("billing", Personal)],
        picked_by: "payment = ?1",
    },
    Place {
        table: "challenges",
        key: "code",
        columns: &[("return_url", Address)],
        picked_by: "payment = ?1",
    },
    Place { table: "refunds", key: "id", columns: &[("metadata", Free)], picked_by: "payment = ?1" },
    Place {
        table: "gate_transactions",
        key: "number",
        columns: &[("request", Request), ("callback_url", Address)],
        picked_by: "payment = ?1",
    },
    Place {
        table: "gate_operations",
        key: "number",
        columns: &[("comment", Free)],
        picked_by: "transaction_number IN (SELECT number FROM gate_transactions WHERE payment = ?1)",
    },
];

/// What Gate has written down of a payer without a payment, picked by the customer.
const OF_PAYER: &[Place] = &[Place {
    table: "gate_transactions",
    key: "number",
    columns: &[("request", Request), ("callback_url", Address)],
    picked_by: "customer = ?1 AND payment IS NULL",
}];

/// A payout to the person, picked by itself.
const OF_PAYOUT: &[Place] = &[Place {
    table: "payouts",
    key: "id",
    columns: &[("destination", Object), ("description", Free), ("metadata", Free)],
    picked_by: "id = ?1",
}];

/// What was frozen and sent, picked by the event.
const OF_EVENT: &[Place] = &[
    Place {
        table: "snapshots",
        key: "id",
        columns: &[("body", Snapshot)],
        picked_by: "id = (SELECT snapshot FROM events WHERE id = ?1)",
    },
    Place {
        table: "deliveries",
        key: "id",
        columns: &[("url", Free)],
        picked_by: "event = ?1 AND status <> 'pending'",
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
            if edited.as_deref() != Some(text.as_str()) {
                let sql = format!("UPDATE {table} SET {name} = ?1 WHERE {key} = ?2");
                tx.execute(&sql, params![edited, row])?;
            }
        }
    }
    Ok(())
}

/// What stands in the places of a payment that are about its payer alone: names, addresses and numbers.
pub fn personal_texts(tx: &mut Tx<'_>, payment: PaymentId) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    let columns = [
        ("attempts", "billing", "payment = ?1"),
        ("site_checkouts", "billing", "payment = ?1"),
        ("site_checkouts", "shipping", "payment = ?1"),
        ("payments", "details", "id = ?1"),
        ("checkouts", "details", "payment = ?1"),
    ];
    for (table, column, picked_by) in columns {
        let sql = format!("SELECT {column} FROM {table} WHERE {picked_by} AND {column} IS NOT NULL");
        let texts: Vec<String> = tx.all(&sql, params![payment], |row| row.next())?;
        for text in texts {
            let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) else { continue };
            domain::erasure::names(&value, &mut found);
        }
    }
    Ok(found)
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

/// The events about an object behind `after`, in the order of their ids.
pub fn events(
    tx: &mut Tx<'_>,
    object: Core,
    after: Option<EventId>,
    limit: i64,
) -> Result<Vec<EventId>, StoreError> {
    tx.all(
        "SELECT id FROM events WHERE object = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
        params![object, after.unwrap_or(EventId(Core([0; 12]))), limit],
        |row| row.next(),
    )
}

/// The events of a storefront, made around `at`, in whose snapshot `mark` stands: Gate tells so of what has no payment.
pub fn marked_events(
    tx: &mut Tx<'_>,
    storefront: Core,
    mark: &str,
    at: Timestamp,
) -> Result<Vec<EventId>, StoreError> {
    tx.all(
        "SELECT e.id FROM events e JOIN snapshots s ON s.id = e.snapshot WHERE e.id >= ?1 AND e.id < ?2 \
         AND e.object = ?3 AND s.body LIKE ?4 ORDER BY e.id",
        params![first_id(at.plus(-MINUTE)), first_id(at.plus(MINUTE)), storefront, format!("%{mark}%")],
        |row| row.next(),
    )
}

/// Rewrites an event. Bodies that were sent are made anew when they are sent again; what receivers answered is forgotten.
pub fn rewrite_event(tx: &mut Tx<'_>, event: EventId, edit: &Edit<'_>) -> Result<(), StoreError> {
    OF_EVENT.iter().try_for_each(|place| rewrite(tx, place, event.param(), edit))?;
    tx.execute("UPDATE deliveries SET body = NULL WHERE event = ?1", params![event])?;
    let key = tx.opt("SELECT idempotency_key FROM events WHERE id = ?1", params![event], |row| {
        row.next::<Option<String>>()
    })?;
    if let Some(key) = key.flatten()
        && edit(Free, &key).as_deref() != Some(key.as_str())
    {
        tx.execute("UPDATE events SET idempotency_key = NULL WHERE id = ?1", params![event])?;
    }
    let of_event = "delivery IN (SELECT id FROM deliveries WHERE event = ?1)";
    let forget = format!("UPDATE delivery_attempts SET response = NULL WHERE {of_event}");
    tx.execute(&forget, params![event])?;
    let urls: Vec<(DeliveryId, i64, String)> = tx.all(
        &format!("SELECT delivery, n, url FROM delivery_attempts WHERE {of_event}"),
        params![event],
        |row| Ok((row.next()?, row.next()?, row.next()?)),
    )?;
    for (delivery, n, url) in urls {
        if let Some(edited) = edit(Free, &url).filter(|edited| *edited != url) {
            tx.execute(
                "UPDATE delivery_attempts SET url = ?1 WHERE delivery = ?2 AND n = ?3",
                params![edited, delivery, n],
            )?;
        }
    }
    Ok(())
}

/// A reply that is stored under an idempotency key.
#[derive(Clone, Debug)]
pub struct StoredReply {
    pub key: String,
    pub sealed: Vec<u8>,
}

/// Stored replies to a merchant's requests behind the key `after`.
pub fn replies(
    tx: &mut Tx<'_>,
    scope: Scope,
    after: &str,
    limit: i64,
) -> Result<Vec<StoredReply>, StoreError> {
    tx.all(
        "SELECT key, reply FROM idempotency_keys WHERE merchant = ?1 AND live = ?2 AND key > ?3 AND reply IS NOT NULL \
         ORDER BY key LIMIT ?4",
        params![scope.merchant, scope.mode, after, limit],
        |row| Ok(StoredReply { key: row.next()?, sealed: row.next()? }),
    )
}

/// Replaces a stored reply, unless the key has another one meanwhile.
pub fn set_reply(tx: &mut Tx<'_>, scope: Scope, known: &StoredReply, reply: &[u8]) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE idempotency_keys SET reply = ?1 WHERE merchant = ?2 AND live = ?3 AND key = ?4 AND reply = ?5",
        params![*reply, scope.merchant, scope.mode, known.key, known.sealed],
    )?;
    Ok(())
}

/// How many of the customer's payments are not ended: what comes of them may bring the payer's words once more.
pub fn open_payments(tx: &mut Tx<'_>, customer: CustomerId) -> Result<i64, StoreError> {
    tx.one(
        "SELECT COUNT(*) FROM payments WHERE customer = ?1 AND (op_kind IS NOT NULL OR status IN \
         ('requires_payment_method', 'requires_confirmation', 'requires_action', 'processing'))",
        params![customer],
        |row| row.next(),
    )
}

/// Notes that this pass is not the last one.
pub fn note_again(tx: &mut Tx<'_>, customer: CustomerId) -> Result<(), StoreError> {
    tx.execute("UPDATE erasures SET again = 1 WHERE customer = ?1", params![customer])?;
    Ok(())
}

/// Begins another pass.
pub fn begin_again(tx: &mut Tx<'_>, customer: CustomerId) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE erasures SET payment = NULL, payment_at = NULL, again = 0 WHERE customer = ?1",
        params![customer],
    )?;
    Ok(())
}

/// Blanks what methods say of their holder.
pub fn blank_method(tx: &mut Tx<'_>, method: Core) -> Result<(), StoreError> {
    tx.execute("UPDATE payment_methods SET billing = '{}', metadata = '[]' WHERE id = ?1", params![method])?;
    Ok(())
}

/// Attempts and refunds of a payment: events are about them too.
pub fn objects(tx: &mut Tx<'_>, payment: PaymentId) -> Result<Vec<Core>, StoreError> {
    tx.all(
        "SELECT id FROM attempts WHERE payment = ?1 UNION ALL SELECT id FROM refunds WHERE payment = ?1",
        params![payment],
        |row| row.next(),
    )
}

/// Methods with which a payment was tried, and that nobody else has or pays with now.
pub fn methods_of_payment(
    tx: &mut Tx<'_>,
    payment: PaymentId,
    customer: CustomerId,
) -> Result<Vec<Core>, StoreError> {
    tx.all(
        "SELECT m.id FROM payment_methods m WHERE m.id IN (SELECT payment_method FROM attempts WHERE payment = ?1 \
         UNION SELECT payment_method FROM payments WHERE id = ?1) AND (m.customer = ?2 OR m.customer IS NULL \
         AND (m.used_by IS NULL OR m.used_by IN (SELECT id FROM attempts WHERE payment = ?1)))",
        params![payment, customer],
        |row| row.next(),
    )
}

/// Methods that are or were saved for a customer.
pub fn methods(tx: &mut Tx<'_>, customer: CustomerId, limit: i64) -> Result<Vec<Core>, StoreError> {
    tx.all(
        "SELECT id FROM payment_methods WHERE customer = ?1 UNION ALL \
         SELECT id FROM payment_methods WHERE former_customer = ?1 LIMIT ?2",
        params![customer, limit],
        |row| row.next(),
    )
}

/// Removes a method with the token by which the provider knows it.
pub fn delete_method(tx: &mut Tx<'_>, method: Core) -> Result<(), StoreError> {
    tx.execute("DELETE FROM payment_methods WHERE id = ?1", params![method])?;
    Ok(())
}

/// What a payer has on Gate without a payment.
#[derive(Clone, Debug)]
pub struct Unpaid {
    pub storefront: Core,
    pub uuid: String,
    pub payout: Option<PayoutId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

pub fn unpaid(tx: &mut Tx<'_>, customer: CustomerId) -> Result<Vec<Unpaid>, StoreError> {
    tx.all(
        "SELECT storefront, uuid, payout, created_at, updated_at FROM gate_transactions WHERE customer = ?1 \
         AND payment IS NULL ORDER BY number",
        params![customer],
        |row| {
            Ok(Unpaid {
                storefront: row.next()?,
                uuid: row.next()?,
                payout: row.next()?,
                created_at: row.next()?,
                updated_at: row.next()?,
            })
        },
    )
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
