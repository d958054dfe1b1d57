use crate::error::StoreError;
use crate::page::{self, Listed, Order, PageQuery, Table, select};
use crate::params;
use crate::tx::{Row, Tx};
use domain::id::ClockId;
use domain::scope::Scope;
use domain::test_clock::TestClock;
use domain::time::Timestamp;

const COLUMNS: &str = "id, merchant, live, name, status, frozen_time, target, created_at, deletes_after";

const TABLE: Table = Table { name: "test_clocks", columns: COLUMNS, id: "id", order: Order::Created };

fn clock(row: &mut Row<'_>) -> Result<TestClock, StoreError> {
    Ok(TestClock {
        id: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        name: row.next()?,
        status: row.next()?,
        frozen_time: row.next()?,
        target: row.next()?,
        created_at: row.next()?,
        deletes_after: row.next()?,
    })
}

pub fn insert(tx: &mut Tx<'_>, c: &TestClock) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO test_clocks (id, merchant, live, name, status, frozen_time, target, created_at, deletes_after) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            c.id,
            c.scope.merchant,
            c.scope.mode,
            c.name,
            c.status,
            c.frozen_time,
            c.target,
            c.created_at,
            c.deletes_after
        ],
    )?;
    Ok(())
}

pub fn update(tx: &mut Tx<'_>, c: &TestClock) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE test_clocks SET status = ?1, frozen_time = ?2, target = ?3 WHERE id = ?4",
        params![c.status, c.frozen_time, c.target, c.id],
    )?;
    Ok(())
}

pub fn delete(tx: &mut Tx<'_>, id: ClockId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM test_clocks WHERE id = ?1", params![id])?;
    Ok(())
}

/// Moves what lives by a clock to the wall clock: its jobs are due now.
pub fn release(tx: &mut Tx<'_>, id: ClockId, now: Timestamp) -> Result<(), StoreError> {
    tx.execute("UPDATE payments SET clock = NULL WHERE clock = ?1", params![id])?;
    tx.execute("UPDATE checkouts SET clock = NULL WHERE clock = ?1", params![id])?;
    tx.execute("UPDATE customers SET clock = NULL WHERE clock = ?1", params![id])?;
    tx.execute("UPDATE payouts SET clock = NULL WHERE clock = ?1", params![id])?;
    tx.execute("UPDATE jobs SET clock = NULL, due_at = ?1 WHERE clock = ?2", params![now, id])?;
    Ok(())
}

/// The same for up to `limit` rows; how many there were.
pub fn release_some(tx: &mut Tx<'_>, id: ClockId, now: Timestamp, limit: i64) -> Result<i64, StoreError> {
    let mut left = limit;
    for sql in [
        "UPDATE payments SET clock = NULL WHERE id IN (SELECT id FROM payments WHERE clock = ?1 LIMIT ?2)",
        "UPDATE customers SET clock = NULL WHERE id IN (SELECT id FROM customers WHERE clock = ?1 LIMIT ?2)",
    ] {
        left -= i64::try_from(tx.execute(sql, params![id, left])?).unwrap_or(left);
    }
    let jobs = "UPDATE jobs SET clock = NULL, due_at = ?3 WHERE id IN (SELECT id FROM jobs WHERE clock = ?1 LIMIT ?2)";
    left -= i64::try_from(tx.execute(jobs, params![id, left, now])?).unwrap_or(left);
    Ok(limit - left)
}

/// Clocks that are kept no longer, of any merchant. One that advances is left until it has arrived.
pub fn to_delete(tx: &mut Tx<'_>, now: Timestamp, limit: i64) -> Result<Vec<TestClock>, StoreError> {
    let rest =
        "test_clocks WHERE deletes_after <= ?1 AND status <> 'advancing' ORDER BY deletes_after, id LIMIT ?2";
    tx.all(&select(COLUMNS, rest), params![now, limit], clock)
}

pub fn get(tx: &mut Tx<'_>, scope: Scope, id: ClockId) -> Result<Option<TestClock>, StoreError> {
    let sql = select(COLUMNS, "test_clocks WHERE id = ?1 AND merchant = ?2 AND live = ?3");
    tx.opt(&sql, params![id, scope.merchant, scope.mode], clock)
}

pub fn lock(tx: &mut Tx<'_>, scope: Scope, id: ClockId) -> Result<Option<TestClock>, StoreError> {
    let sql = select(COLUMNS, "test_clocks WHERE id = ?1 AND merchant = ?2 AND live = ?3 /* for update */");
    tx.opt(&sql, params![id, scope.merchant, scope.mode], clock)
}

pub fn list(tx: &mut Tx<'_>, scope: Scope, query: &PageQuery) -> Listed<TestClock> {
    page::list(tx, &TABLE, scope, &[], query, clock)
}

pub fn count(tx: &mut Tx<'_>, scope: Scope) -> Result<i64, StoreError> {
    tx.one("SELECT COUNT(*) FROM test_clocks WHERE merchant = ?1", params![scope.merchant], |r| r.next())
}

/// Clocks with an advance to work off, of any merchant.
pub fn advancing(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<TestClock>, StoreError> {
    tx.all(
        &select(COLUMNS, "test_clocks WHERE status = 'advancing' ORDER BY id LIMIT ?1"),
        params![limit],
        clock,
    )
}

/// The earliest instant up to `until` at which something that lives by `clock` is due.
pub fn next_due(tx: &mut Tx<'_>, clock: ClockId, until: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let open = super::checkouts::EXPIRABLE;
    let sql = format!(
        "SELECT MIN(t) FROM (\
         SELECT MIN(available_on) AS t FROM payments WHERE clock = ?1 AND pending_balance > 0 AND available_on <= ?2 \
         UNION ALL SELECT MIN(capture_before) FROM payments WHERE clock = ?1 AND capture_before <= ?2 AND op_kind IS NULL \
         UNION ALL SELECT MIN(c.expires_at) FROM checkouts c JOIN payments p ON p.id = c.payment WHERE c.clock = ?1 \
         AND c.expires_at <= ?2 AND {open} \
         UNION ALL SELECT MIN(due_at) FROM jobs WHERE clock = ?1 AND due_at <= ?2) AS due"
    );
    tx.one(&sql, params![clock, until], |r| r.next())
}
