//! Work that must happen although a process may die, the nodes that do it, and leases.

use crate::error::StoreError;
use crate::params;
use crate::tx::{Row, Tx};
use domain::id::{ClockId, JobId, NodeId};
use domain::scope::Scope;
use domain::text_enum;
use domain::time::{MINUTE, Timestamp};

text_enum! {
    /// Most ask the provider what became of a call whose answer is not recorded.
    pub enum JobKind {
        ReconcileAttempt = "reconcile_attempt",
        ReconcileChange = "reconcile_change",
        ReconcileRefund = "reconcile_refund",
        ReconcilePayout = "reconcile_payout",
        /// Undoes a charge whose approval came after its payment had been given up.
        ReverseAttempt = "reverse_attempt",
        /// Goes through what is stored about a customer that is erased. Asks nobody.
        EraseCustomer = "erase_customer",
    }
}

/// Which jobs are claimed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinds {
    /// What a provider is asked.
    Questions,
    /// Long work that must not hold them up.
    Erasures,
}

impl Kinds {
    /// How their kind compares with that of erasures.
    const fn comparison(self) -> &'static str {
        match self {
            Kinds::Questions => "<>",
            Kinds::Erasures => "=",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Job {
    pub id: JobId,
    pub scope: Scope,
    pub kind: JobKind,
    /// Shown id of the object whose fate is open.
    pub object: String,
    /// The node that made the provider call; `None` once that node is known to be gone or done.
    pub node: Option<NodeId>,
    pub clock: Option<ClockId>,
    pub due_at: Timestamp,
    pub tries: i64,
    /// The request that waits for the answer.
    pub idempotency_key: Option<String>,
    pub created_at: Timestamp,
}

const COLUMNS: &str =
    "id, merchant, live, kind, object, node, clock, due_at, tries, idempotency_key, created_at";

fn job(row: &mut Row<'_>) -> Result<Job, StoreError> {
    Ok(Job {
        id: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        kind: {
            let text: String = row.next()?;
            JobKind::parse(&text).ok_or_else(|| StoreError::Defect(format!("unknown job kind {text:?}")))?
        },
        object: row.next()?,
        node: row.next()?,
        clock: row.next()?,
        due_at: row.next()?,
        tries: row.next()?,
        idempotency_key: row.next()?,
        created_at: row.next()?,
    })
}

pub fn insert(tx: &mut Tx<'_>, j: &Job) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO jobs (id, merchant, live, kind, object, node, clock, due_at, claimed_until, tries, \
         idempotency_key, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, ?10, ?11)",
        params![
            j.id,
            j.scope.merchant,
            j.scope.mode,
            j.kind.as_str(),
            j.object,
            j.node,
            j.clock,
            j.due_at,
            j.tries,
            j.idempotency_key,
            j.created_at
        ],
    )?;
    Ok(())
}

pub fn delete(tx: &mut Tx<'_>, id: JobId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM jobs WHERE id = ?1", params![id])?;
    Ok(())
}

pub fn get(tx: &mut Tx<'_>, id: JobId) -> Result<Option<Job>, StoreError> {
    tx.opt(&crate::page::select(COLUMNS, "jobs WHERE id = ?1"), params![id], job)
}

/// The open job about an object, if any.
pub fn of_object(tx: &mut Tx<'_>, scope: Scope, object: &str) -> Result<Option<Job>, StoreError> {
    let rest = "jobs WHERE object = ?1 AND merchant = ?2 AND live = ?3 ORDER BY id LIMIT 1";
    tx.opt(&crate::page::select(COLUMNS, rest), params![object, scope.merchant, scope.mode], job)
}

/// Puts a job off, and frees it: the node that made the call has an answer, though not the last word.
/// The request that waited has its reply by then, so the job forgets its key: 24 hours later the key may
/// be another request's.
pub fn put_off(
    tx: &mut Tx<'_>,
    id: JobId,
    due_at: Timestamp,
    clock: Option<ClockId>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE jobs SET due_at = ?1, clock = ?2, node = NULL, claimed_until = 0, tries = tries + 1, \
         idempotency_key = NULL WHERE id = ?3",
        params![due_at, clock, id],
    )?;
    Ok(())
}

/// Claims up to `limit` due jobs of no test clock for `node` until `until`; others skip them meanwhile.
/// Should the node die first, whoever takes over its calls takes these over too.
pub fn claim(
    tx: &mut Tx<'_>,
    node: NodeId,
    kinds: Kinds,
    now: Timestamp,
    until: Timestamp,
    limit: i64,
) -> Result<Vec<Job>, StoreError> {
    let of_kind = kinds.comparison();
    let ids: Vec<JobId> = tx.all(
        &format!(
            "SELECT id FROM jobs WHERE clock IS NULL AND due_at <= ?1 AND claimed_until <= ?1 AND kind {of_kind} ?2 \
             ORDER BY due_at, id LIMIT ?3 /* for update skip locked */"
        ),
        params![now, JobKind::EraseCustomer.as_str(), limit],
        |r| r.next(),
    )?;
    let mut claimed = Vec::with_capacity(ids.len());
    for id in ids {
        tx.execute("UPDATE jobs SET claimed_until = ?1, node = ?2 WHERE id = ?3", params![until, node, id])?;
        claimed.extend(get(tx, id)?);
    }
    Ok(claimed)
}

/// Jobs of a test clock that are due by `now`.
pub fn due_by_clock(
    tx: &mut Tx<'_>,
    clock: ClockId,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Job>, StoreError> {
    let rest = "jobs WHERE clock = ?1 AND due_at <= ?2 ORDER BY due_at, id LIMIT ?3";
    tx.all(&crate::page::select(COLUMNS, rest), params![clock, now, limit], job)
}

/// Records that a node lives.
pub fn heartbeat(tx: &mut Tx<'_>, node: NodeId, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO nodes (id, seen_at) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at",
        params![node, now],
    )?;
    Ok(())
}

/// Forgets every other node: the caller owns the embedded database alone.
pub fn only_node(tx: &mut Tx<'_>, node: NodeId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM nodes WHERE id <> ?1", params![node])?;
    Ok(())
}

pub fn leave(tx: &mut Tx<'_>, node: NodeId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM nodes WHERE id = ?1", params![node])?;
    Ok(())
}

/// Frees the jobs that this node left in an earlier life, before `born`: due now. A claim that ends before
/// `claims_end` was made in that life.
pub fn adopt_own(
    tx: &mut Tx<'_>,
    node: NodeId,
    born: Timestamp,
    claims_end: Timestamp,
    now: Timestamp,
) -> Result<u64, StoreError> {
    tx.execute(
        "UPDATE jobs SET due_at = ?1, node = NULL, claimed_until = 0, clock = NULL WHERE node = ?2 AND created_at < ?3 \
         AND claimed_until < ?4",
        params![now, node, born, claims_end],
    )
}

/// Frees the jobs of nodes not seen since `since`. They are due `stray` microseconds after they were
/// made, when their calls can no longer be on their way; until then a missing answer means nothing.
pub fn adopt_orphans(
    tx: &mut Tx<'_>,
    since: Timestamp,
    now: Timestamp,
    stray: i64,
) -> Result<u64, StoreError> {
    tx.execute("DELETE FROM nodes WHERE seen_at < ?1", params![since])?;
    tx.execute(
        "UPDATE jobs SET due_at = CASE WHEN created_at + ?1 > ?2 THEN created_at + ?1 ELSE CAST(?2 AS BIGINT) END, \
         node = NULL, claimed_until = 0, clock = NULL WHERE node IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM nodes WHERE nodes.id = jobs.node)",
        params![stray, now],
    )
}

/// Makes every job of these kinds that waits for a later moment due now; how many. For tests, which need not wait.
pub fn make_all_due(tx: &mut Tx<'_>, kinds: Kinds, now: Timestamp) -> Result<u64, StoreError> {
    let of_kind = kinds.comparison();
    tx.execute(
        &format!("UPDATE jobs SET due_at = ?1 WHERE due_at > ?1 AND clock IS NULL AND kind {of_kind} ?2"),
        params![now, JobKind::EraseCustomer.as_str()],
    )
}

/// Further ahead than nodes' clocks may differ.
const SKEW_US: i64 = 2 * MINUTE;

/// Takes or renews a lease; false when another holder has it. One that ends much later than a lease taken
/// now was taken before the clock went back: whoever holds it would keep others out for as long as that.
pub fn lease(
    tx: &mut Tx<'_>,
    name: &str,
    holder: NodeId,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let got = tx.execute(
        "INSERT INTO leases (name, holder, until) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE \
         SET holder = excluded.holder, until = excluded.until WHERE leases.holder = ?2 OR leases.until < ?4 \
         OR leases.until > ?5",
        params![name, holder, until, now, until.plus(SKEW_US)],
    )?;
    Ok(got == 1)
}

/// How many jobs wait; for metrics.
pub fn count(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    tx.one("SELECT COUNT(*) FROM jobs", &[], |r| r.next())
}
