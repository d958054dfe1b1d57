//! The audit log, its seals, and the proof of both.
//!
//! Entries are sealed as journals are (see [`crate::ledger`]): the writers only insert, so that none waits
//! for another, and one leased job chains what is older than anything that can still commit.

use crate::error::StoreError;
use crate::ledger::{POST_WITHIN_US, first_id, id_instant, wall_clock};
use crate::numbered_page::{Conditions, NumberedPage, NumberedQuery, numbered};
use crate::page::select;
use crate::params;
use crate::tx::{Param, Row, ToParam, Tx};
use domain::audit::{AuditEntry, AuditKind, audit_digest};
use domain::export::{AuditSeal, SealedEntry};
use domain::id::{AuditId, Core, MerchantId};
use domain::scope::Scope;
use domain::time::{HOUR, Timestamp};

const COLUMNS: &str = "id, merchant, live, kind, actor, subject, request, detail, created_at";

fn entry(row: &mut Row<'_>) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        id: row.next()?,
        merchant: row.next()?,
        mode: row.next()?,
        kind: row.next()?,
        actor: row.next()?,
        subject: row.next()?,
        request: row.next()?,
        detail: row.next()?,
        created_at: row.next()?,
    })
}

pub fn insert(tx: &mut Tx<'_>, e: &AuditEntry) -> Result<(), StoreError> {
    // Nothing may commit below the sealer's mark.
    if wall_clock().0.saturating_sub(id_instant(e.id.0).0) > POST_WITHIN_US {
        return Err(StoreError::Unavailable("an audit entry waited too long for the database".to_owned()));
    }
    tx.execute(
        "INSERT INTO audit_log (id, merchant, live, kind, actor, subject, request, detail, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![e.id, e.merchant, e.mode, e.kind, e.actor, e.subject, e.request, e.detail, e.created_at],
    )?;
    Ok(())
}

/// Which entries are shown.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    pub merchant: Option<MerchantId>,
    pub kind: Option<AuditKind>,
    pub from: Option<Timestamp>,
}

/// Up to `limit` entries, newest first.
pub fn list(tx: &mut Tx<'_>, filter: &AuditFilter, limit: i64) -> Result<Vec<AuditEntry>, StoreError> {
    let mut sql = select(COLUMNS, "audit_log WHERE 1 = 1");
    let mut params: Vec<Param<'_>> = Vec::new();
    let conditions = [
        ("merchant =", filter.merchant.as_ref().map(ToParam::param)),
        ("kind =", filter.kind.as_ref().map(ToParam::param)),
        ("created_at >=", filter.from.as_ref().map(ToParam::param)),
    ];
    for (condition, value) in conditions {
        let Some(value) = value else { continue };
        params.push(value);
        sql.push_str(&format!(" AND {condition} ?{}", params.len()));
    }
    params.push(Param::Int(limit));
    sql.push_str(&format!(" ORDER BY id DESC LIMIT ?{}", params.len()));
    tx.all(&sql, &params, entry)
}

/// Which entries people of an organisation, or of the whole instance, are shown.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// Entries of this merchant in this mode, and those that are of no mode; of all if `None`.
    pub scope: Option<Scope>,
    pub kind: Option<AuditKind>,
    pub actor: Option<String>,
    /// Made at this instant or later.
    pub from: Option<Timestamp>,
    /// Made before this one.
    pub until: Option<Timestamp>,
}

/// An id may be made in an earlier millisecond than its entry's instant was read, if the clock goes back between.
const CLOCK_MARGIN_US: i64 = HOUR;

impl AuditQuery {
    fn conditions(&self) -> Conditions<'_> {
        let mut conditions = Conditions::new();
        if let Some(scope) = &self.scope {
            conditions.and("merchant =", scope.merchant.param());
            let live = i64::from(scope.mode.is_live());
            conditions.and_plain(&format!("(live IS NULL OR live = {live})"));
        }
        if let Some(kind) = &self.kind {
            conditions.and("kind =", kind.param());
        }
        if let Some(actor) = &self.actor {
            conditions.and("actor =", actor.param());
        }
        if let Some(from) = &self.from {
            conditions.and("created_at >=", from.param());
            // What is older need not be looked at: ids are made behind the instant that an entry tells of.
            conditions.and("id >=", Param::Id(first_id(from.plus(-CLOCK_MARGIN_US)).0));
        }
        if let Some(until) = &self.until {
            conditions.and("created_at <", until.param());
        }
        conditions
    }
}

/// A page of entries, newest first.
pub fn page(
    tx: &mut Tx<'_>,
    asked: &AuditQuery,
    query: NumberedQuery,
) -> Result<NumberedPage<AuditEntry>, StoreError> {
    numbered(tx, COLUMNS, "audit_log", asked.conditions(), "id DESC", query, entry)
}

/// How many entries there are, as far as `max`.
pub fn count(tx: &mut Tx<'_>, asked: &AuditQuery, max: i64) -> Result<i64, StoreError> {
    let (sql, mut params) = asked.conditions().into_parts();
    params.push(Param::Int(max));
    let rows =
        format!("SELECT COUNT(*) FROM (SELECT 1 FROM audit_log {sql} LIMIT ?{}) AS counted", params.len());
    tx.one(&rows, &params, |r| r.next())
}

/// Up to `limit` entries behind `after` with their seals, oldest first.
pub fn sealed(
    tx: &mut Tx<'_>,
    asked: &AuditQuery,
    after: AuditId,
    limit: i64,
) -> Result<Vec<SealedEntry>, StoreError> {
    let mut conditions = asked.conditions();
    conditions.and("id >", after.param());
    let (sql, mut params) = conditions.into_parts();
    params.push(Param::Int(limit));
    let rest =
        format!("audit_log LEFT JOIN audit_seals ON entry = id {sql} ORDER BY id LIMIT ?{}", params.len());
    let columns = format!("{COLUMNS}, seq, prev_hash, hash");
    tx.all(&select(&columns, &rest), &params, |r| {
        let entry = entry(r)?;
        let (seq, previous, hash): (Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>) =
            (r.next()?, r.next()?, r.next()?);
        let seal = match (seq, previous, hash) {
            (Some(seq), Some(previous), Some(hash)) => Some(AuditSeal { seq, previous, hash }),
            _ => None,
        };
        Ok(SealedEntry { entry, seal })
    })
}

/// Up to `limit` entries about one object of a scope, newest first.
pub fn of_subject(
    tx: &mut Tx<'_>,
    scope: Scope,
    subject: &str,
    limit: i64,
) -> Result<Vec<AuditEntry>, StoreError> {
    let rest = "audit_log WHERE subject = ?1 AND merchant = ?2 AND live = ?3 ORDER BY id DESC LIMIT ?4";
    tx.all(&select(COLUMNS, rest), params![subject, scope.merchant, scope.mode, limit], entry)
}

/// Tables whose objects have an id that requests name, by its prefix.
const OWNED: &[(&str, &str, &str)] = &[
    ("pi", "payments", "id"),
    ("pm", "payment_methods", "id"),
    ("ch", "attempts", "id"),
    ("cus", "customers", "id"),
    ("re", "refunds", "id"),
    ("po", "payouts", "id"),
    ("evt", "events", "id"),
    ("we", "webhook_endpoints", "id"),
    ("clock", "test_clocks", "id"),
    ("txn", "balance_transactions", "journal"),
];

/// To whom the object with this shown id belongs; `None` if there is none.
pub fn owner(tx: &mut Tx<'_>, shown: &str) -> Result<Option<Scope>, StoreError> {
    if let Some(core) = Core::parse_hex(shown) {
        return owner_of_hex(tx, core);
    }
    let Some((prefix, core)) = shown.split_once('_') else { return Ok(None) };
    let table = OWNED.iter().find(|(known, _, _)| *known == prefix);
    let (Some((_, table, id)), Some(core)) = (table, Core::parse_base62(core)) else { return Ok(None) };
    tx.opt(&select("merchant, live", &format!("{table} WHERE {id} = ?1")), params![core], |r| {
        Ok(Scope { merchant: r.next()?, mode: r.next()? })
    })
}

/// Tables whose objects the Admin API names by 24 hex digits, which do not say of what kind they are.
const OWNED_BY_HEX: &[(&str, &str)] = &[
    ("attempts", "id"),
    ("payments", "id"),
    ("customers", "id"),
    ("storefronts", "id"),
    ("providers", "id"),
];

fn owner_of_hex(tx: &mut Tx<'_>, core: Core) -> Result<Option<Scope>, StoreError> {
    for (table, id) in OWNED_BY_HEX {
        let rest = format!("{table} WHERE {id} = ?1");
        let found = tx.opt(&select("merchant, live", &rest), params![core], |r| {
            Ok(Scope { merchant: r.next()?, mode: r.next()? })
        })?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The newest entry's id, so that new ones sort behind it.
pub fn newest(tx: &mut Tx<'_>) -> Result<Option<AuditId>, StoreError> {
    tx.opt("SELECT id FROM audit_log ORDER BY id DESC LIMIT 1", &[], |r| r.next())
}

/// Seals up to `limit` entries made before `mark`, in id order; how many. The caller holds the sealer's
/// lease, so there is one chain.
pub fn seal(tx: &mut Tx<'_>, mark: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let last: Option<(i64, Core, Vec<u8>)> =
        tx.opt("SELECT seq, entry, hash FROM audit_seals ORDER BY seq DESC LIMIT 1", &[], |r| {
            Ok((r.next()?, r.next()?, r.next()?))
        })?;
    let (mut seq, after, mut previous) = last.unwrap_or((0, Core([0; 12]), Vec::new()));
    let sql = select(COLUMNS, "audit_log WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3");
    let entries = tx.all(&sql, params![after, first_id(mark), limit], entry)?;
    for e in &entries {
        seq += 1;
        let hash = audit_digest(&previous, seq, e);
        tx.execute(
            "INSERT INTO audit_seals (seq, entry, prev_hash, hash) VALUES (?1, ?2, ?3, ?4)",
            params![seq, e.id, previous, hash],
        )?;
        previous = hash.to_vec();
    }
    Ok(entries.len())
}

/// What a walk over the chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditProof {
    pub sealed: i64,
    /// Entries too young to be sealed.
    pub unsealed: i64,
    /// The first seal or entry that is not as it was, named.
    pub first_bad: Option<String>,
}

/// Walks the chain: gapless from 1, each digest right, in id order, nothing skipped. Ends at the first
/// fault, since nothing behind it can be trusted.
pub fn verify(tx: &mut Tx<'_>) -> Result<AuditProof, StoreError> {
    tx.allow_long_statements()?;
    let mut proof = AuditProof { sealed: 0, unsealed: 0, first_bad: None };
    let (mut seq, mut previous, mut last) = (0i64, Vec::new(), Core([0; 12]));
    loop {
        let batch: Vec<(i64, Core, Vec<u8>, Vec<u8>)> = tx.all(
            "SELECT seq, entry, prev_hash, hash FROM audit_seals WHERE seq > ?1 ORDER BY seq LIMIT 1000",
            params![seq],
            |r| Ok((r.next()?, r.next()?, r.next()?, r.next()?)),
        )?;
        if batch.is_empty() {
            break;
        }
        for (n, id, prev, hash) in batch {
            proof.first_bad = fault(tx, (n, id, &prev, &hash), (seq, &previous, last))?;
            if proof.first_bad.is_some() {
                return Ok(proof);
            }
            proof.sealed += 1;
            (seq, previous, last) = (n, hash, id);
        }
    }
    let newer = "SELECT COUNT(*) FROM audit_log WHERE id > ?1";
    proof.unsealed = tx.one(newer, params![last], |r| r.next())?;
    let seals = "SELECT 1 FROM audit_seals s WHERE s.entry = l.id";
    let skipped = format!("audit_log l WHERE l.id <= ?1 AND NOT EXISTS ({seals}) ORDER BY l.id LIMIT 1");
    let skipped: Option<AuditId> = tx.opt(&select("l.id", &skipped), params![last], |r| r.next())?;
    proof.first_bad = skipped.map(|id| format!("{id} was put in behind the seals"));
    Ok(proof)
}

type Seal<'a> = (i64, Core, &'a [u8], &'a [u8]);

/// What is wrong with a seal that should follow another one.
fn fault(
    tx: &mut Tx<'_>,
    (n, id, prev, hash): Seal<'_>,
    (seq, previous, last): (i64, &[u8], Core),
) -> Result<Option<String>, StoreError> {
    if n != seq + 1 || id <= last || prev != previous {
        return Ok(Some(format!("seal {n} does not follow seal {seq}")));
    }
    let shown = AuditId(id);
    let Some(row) = tx.opt(&select(COLUMNS, "audit_log WHERE id = ?1"), params![id], entry)? else {
        return Ok(Some(format!("seal {n}: {shown} is missing")));
    };
    let intact = audit_digest(prev, n, &row).as_slice() == hash;
    Ok((!intact).then(|| format!("seal {n}: {shown} was changed")))
}
