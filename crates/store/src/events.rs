use crate::error::StoreError;
use crate::ledger::first_id;
use crate::page::{self, Listed, Order, PageQuery, Table, select};
use crate::params;
use crate::tx::{Param, Row, ToParam, Tx};
use domain::event::Event;
use domain::id::{Core, DeliveryId, EventId, SnapshotId};
use domain::scope::Scope;
use domain::time::Timestamp;

const COLUMNS: &str = "id, merchant, live, type, object, snapshot, request, idempotency_key, created_at";

const TABLE: Table = Table { name: "events", columns: COLUMNS, id: "id", order: Order::Written };

fn event(row: &mut Row<'_>) -> Result<Event, StoreError> {
    Ok(Event {
        id: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        event_type: row.next()?,
        object: row.next()?,
        snapshot: row.next()?,
        request: row.next()?,
        idempotency_key: row.next()?,
        created_at: row.next()?,
    })
}

pub fn insert_snapshot(tx: &mut Tx<'_>, id: SnapshotId, body: &str) -> Result<(), StoreError> {
    tx.execute("INSERT INTO snapshots (id, body) VALUES (?1, ?2)", params![id, body])?;
    Ok(())
}

pub fn snapshot(tx: &mut Tx<'_>, id: SnapshotId) -> Result<String, StoreError> {
    tx.one("SELECT body FROM snapshots WHERE id = ?1", params![id], |r| r.next())
}

pub fn insert(tx: &mut Tx<'_>, e: &Event) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO events (id, merchant, live, type, object, snapshot, request, idempotency_key, \
         created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            e.id,
            e.scope.merchant,
            e.scope.mode,
            e.event_type,
            e.object,
            e.snapshot,
            e.request,
            e.idempotency_key,
            e.created_at,
        ],
    )?;
    Ok(())
}

/// The latest `limit` events about one object, oldest first.
pub fn of_object(tx: &mut Tx<'_>, scope: Scope, object: Core, limit: i64) -> Result<Vec<Event>, StoreError> {
    let rest = "events WHERE object = ?1 AND merchant = ?2 AND live = ?3 ORDER BY id DESC LIMIT ?4";
    let mut events =
        tx.all(&select(COLUMNS, rest), params![object, scope.merchant, scope.mode, limit], event)?;
    events.reverse();
    Ok(events)
}

pub fn get(tx: &mut Tx<'_>, scope: Scope, id: EventId) -> Result<Option<Event>, StoreError> {
    let sql = select(COLUMNS, "events WHERE id = ?1 AND merchant = ?2 AND live = ?3");
    tx.opt(&sql, params![id, scope.merchant, scope.mode], event)
}

/// Which events a list shows.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Only these types; all when empty.
    pub types: Vec<domain::event::EventType>,
    /// Only those with this id or a later one: ids carry wall-clock time, whatever clock the object
    /// lives by.
    pub from: Option<Core>,
    /// Without what only Gate is told of.
    pub v2_only: bool,
    /// Only those whose deliveries all succeeded (true) or not (false).
    pub delivered: Option<bool>,
}

const UNDELIVERED: &str = "(SELECT COUNT(*) FROM deliveries d WHERE d.event = events.id AND d.kind = 'v2' \
    AND d.status <> 'succeeded')";
const GATE_ONLY: &str = "CASE WHEN type LIKE 'gate.%' THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END";

pub fn list(tx: &mut Tx<'_>, scope: Scope, filter: &EventFilter, query: &PageQuery) -> Listed<Event> {
    // PostgreSQL takes bare digits for 32-bit integers, as which our parameters cannot be bound.
    let truth = "THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END";
    let delivered = format!("CASE WHEN {UNDELIVERED} = 0 {truth}");
    let mut filters = Vec::new();
    filters.extend(filter.from.as_ref().map(|core| ("id >=", core.param())));
    if let Some(wanted) = filter.delivered {
        filters.push((delivered.as_str(), Param::Int(i64::from(wanted))));
    }
    if filter.v2_only {
        filters.push((GATE_ONLY, Param::Int(0)));
    }
    // The types come from our own list, so they may stand in the text.
    let kinds: Vec<String> = filter.types.iter().map(|t| format!("'{}'", t.as_str())).collect();
    let of_kind = format!("CASE WHEN type IN ({}) {truth}", kinds.join(", "));
    if !kinds.is_empty() {
        filters.push((of_kind.as_str(), Param::Int(1)));
    }
    page::list(tx, &TABLE, scope, &filters, query, event)
}

/// Events looked at in one [`purge`].
const PURGED_AT_ONCE: i64 = 20;
/// A snapshot is made just before the events that show it; this much older than every event that is left,
/// it is shown by none.
const SNAPSHOT_MARGIN_US: i64 = domain::time::HOUR;

/// Removes up to `limit` rows of events made before `before`: attempts first, then deliveries, events, and
/// at last snapshots. How many rows.
pub fn purge(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<i64, StoreError> {
    let events: Vec<EventId> = tx.all(
        "SELECT id FROM events WHERE id < ?1 ORDER BY id LIMIT ?2",
        params![first_id(before), PURGED_AT_ONCE],
        |r| r.next(),
    )?;
    if events.is_empty() {
        let gone = tx.execute(
            "DELETE FROM snapshots WHERE id IN (SELECT id FROM snapshots WHERE id < ?1 ORDER BY id LIMIT ?2)",
            params![first_id(before.plus(-SNAPSHOT_MARGIN_US)), limit],
        )?;
        return Ok(i64::try_from(gone).unwrap_or(limit));
    }
    let mut left = limit;
    for event in events {
        if !purge_deliveries(tx, event, &mut left)? || left < 1 {
            break;
        }
        tx.execute("DELETE FROM events WHERE id = ?1", params![event])?;
        left -= 1;
    }
    Ok(limit - left)
}

/// Removes the deliveries of an event with their attempts, within `left` rows; whether all are gone.
fn purge_deliveries(tx: &mut Tx<'_>, event: EventId, left: &mut i64) -> Result<bool, StoreError> {
    let deliveries: Vec<DeliveryId> =
        tx.all("SELECT id FROM deliveries WHERE event = ?1 ORDER BY id", params![event], |r| r.next())?;
    for delivery in deliveries {
        let gone = tx.execute(
            "DELETE FROM delivery_attempts WHERE delivery = ?1 AND n IN (SELECT n FROM delivery_attempts \
             WHERE delivery = ?1 ORDER BY n LIMIT ?2)",
            params![delivery, *left],
        )?;
        *left -= i64::try_from(gone).unwrap_or(*left);
        if *left < 1 {
            return Ok(false);
        }
        tx.execute("DELETE FROM deliveries WHERE id = ?1", params![delivery])?;
        *left -= 1;
        if *left < 1 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Deliveries of an event over REST v2 that have not succeeded or been given up.
pub fn pending_deliveries(tx: &mut Tx<'_>, id: EventId) -> Result<i64, StoreError> {
    tx.one(
        "SELECT COUNT(*) FROM deliveries WHERE event = ?1 AND kind = 'v2' AND status = 'pending'",
        params![id],
        |r| r.next(),
    )
}
