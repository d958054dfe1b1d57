//! Figures by day, folded from rows that never change.
//!
//! The sources are balance transactions (what moved) and `charge.failed` events (what was refused). A payment
//! writes nothing for its figures. A leased worker reads what lies between a cursor and a mark, and adds it up;
//! the cursor and the figures move in one commit, and only if the cursor still stands where the reading
//! began: so two workers, or one that is run twice, count a row once. The mark is the sealers' (see
//! [`crate::ledger`]): below it nothing can still commit, so nothing is passed over. What is above the
//! cursor is added when figures are asked for.

use crate::balance::{COLUMNS, balance_transaction};
use crate::error::StoreError;
use crate::ledger::{first_id, id_instant};
use crate::page::select;
use crate::params;
use crate::tx::{FromCell, Param, Row, ToParam, Tx};
use domain::balance::BalanceTransaction;
use domain::currency::Currency;
use domain::date::Date;
use domain::figures::{Figures, FiguresGroup, FiguresKey, Grouping};
use domain::id::{AttemptId, Core, EventId, MerchantId, ProviderId, RefundId, TypedId};
use domain::limits::FIGURES_TAIL_ROWS;
use domain::period::Period;
use domain::scope::{Mode, Scope};
use domain::time::Timestamp;
use std::collections::{BTreeMap, HashMap};

/// Ids asked for in one statement.
const IDS: usize = 100;
const FIRST: Core = Core([0; 12]);

/// Where figures come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Money,
    Failures,
}

impl Source {
    pub const ALL: [Source; 2] = [Source::Money, Source::Failures];

    const fn name(self) -> &'static str {
        match self {
            Source::Money => "balance_transactions",
            Source::Failures => "events",
        }
    }
}

type Sums = BTreeMap<(MerchantId, Mode, FiguresKey), Figures>;

/// Rows that were read and added up, not stored yet.
#[derive(Clone, Debug)]
pub struct Batch {
    source: Source,
    after: Core,
    upto: Core,
    sums: Sums,
    pub rows: usize,
}

fn cursor(tx: &mut Tx<'_>, source: Source) -> Result<Core, StoreError> {
    let sql = "SELECT id FROM figure_cursors WHERE source = ?1";
    Ok(tx.opt(sql, params![source.name()], |r| r.next())?.unwrap_or(FIRST))
}

/// The furthest cursor, so that new ids sort behind it.
pub fn newest_folded(tx: &mut Tx<'_>) -> Result<Option<Core>, StoreError> {
    tx.opt("SELECT id FROM figure_cursors ORDER BY id DESC LIMIT 1", &[], |r| r.next())
}

/// The oldest failure that is in no figure yet: its event, and what comes behind, must not be removed.
pub fn oldest_unfolded_failure(tx: &mut Tx<'_>) -> Result<Option<EventId>, StoreError> {
    let after = cursor(tx, Source::Failures)?;
    let sql = "SELECT id FROM events WHERE type = 'charge.failed' AND id > ?1 ORDER BY id LIMIT 1";
    tx.opt(sql, params![after], |r| r.next())
}

/// Adds up to `limit` rows behind the cursor that were made before `mark`; `None` when there is none. For a
/// read: what lies below the mark changes no more.
pub fn read_batch(
    tx: &mut Tx<'_>,
    source: Source,
    mark: Timestamp,
    limit: i64,
) -> Result<Option<Batch>, StoreError> {
    let after = cursor(tx, source)?;
    let mut batch = Batch { source, after, upto: after, sums: Sums::new(), rows: 0 };
    let below = first_id(mark);
    let within = params![after, below, limit];
    match source {
        Source::Money => {
            let sql = select(
                COLUMNS,
                "balance_transactions WHERE journal > ?1 AND journal < ?2 ORDER BY journal LIMIT ?3",
            );
            let rows = tx.all(&sql, within, balance_transaction)?;
            batch.rows = rows.len();
            batch.upto = rows.last().map_or(after, |b| b.journal.0);
            add_money(tx, &rows, |scope, key, figures| {
                add(batch.sums.entry((scope.merchant, scope.mode, key)).or_default(), figures)
            })?;
        }
        Source::Failures => {
            let rows = tx.all(&failures("AND id < ?2 ORDER BY id LIMIT ?3"), within, failure)?;
            batch.rows = rows.len();
            batch.upto = rows.last().map_or(after, |f| f.event.0);
            add_failures(tx, &rows, |scope, key| {
                add(batch.sums.entry((scope.merchant, scope.mode, key)).or_default(), &Figures::FAILURE)
            })?;
        }
    }
    Ok((batch.rows > 0).then_some(batch))
}

/// Stores what was read, unless somebody else did meanwhile; whether it was stored.
pub fn store_batch(tx: &mut Tx<'_>, batch: &Batch) -> Result<bool, StoreError> {
    let moved = tx.execute(
        "INSERT INTO figure_cursors (source, id) VALUES (?1, ?2) ON CONFLICT (source) DO UPDATE SET id = excluded.id \
         WHERE figure_cursors.id = ?3",
        params![batch.source.name(), batch.upto, batch.after],
    )?;
    if moved != 1 {
        return Ok(false);
    }
    for ((merchant, mode, key), f) in &batch.sums {
        tx.execute(
            "INSERT INTO figures (merchant, live, day, currency, provider, payments, volume, fees, failed, refunds, \
             refunded, refunds_failed, returned) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
             ON CONFLICT (merchant, live, day, currency, provider) DO UPDATE SET \
             payments = figures.payments + excluded.payments, volume = figures.volume + excluded.volume, \
             fees = figures.fees + excluded.fees, failed = figures.failed + excluded.failed, \
             refunds = figures.refunds + excluded.refunds, refunded = figures.refunded + excluded.refunded, \
             refunds_failed = figures.refunds_failed + excluded.refunds_failed, \
             returned = figures.returned + excluded.returned",
            params![
                merchant,
                mode,
                key.day.days(),
                key.currency,
                key.provider,
                f.payments,
                f.volume,
                f.fees,
                f.failed,
                f.refunds,
                f.refunded,
                f.refunds_failed,
                f.returned,
            ],
        )?;
    }
    Ok(true)
}

fn add(sum: &mut Figures, more: &Figures) -> Result<(), StoreError> {
    sum.add(more).map_err(|e| StoreError::Defect(e.to_string()))
}

/// Which figures are shown.
#[derive(Clone, Copy, Debug)]
pub struct FiguresFilter {
    /// Whole days; those that it only touches count as a whole.
    pub period: Period,
    pub currency: Option<Currency>,
    pub provider: Option<ProviderId>,
    pub by: Grouping,
}

impl FiguresFilter {
    fn shows(&self, key: &FiguresKey) -> bool {
        (self.period.first_day()..=self.period.last_day()).contains(&key.day)
            && self.currency.is_none_or(|c| c == key.currency)
            && self.provider.is_none_or(|p| p == key.provider)
    }
}

/// Figures, and how far they reach.
#[derive(Clone, Debug)]
pub struct Shown {
    pub groups: BTreeMap<FiguresGroup, Figures>,
    /// Everything made until then is in; `None` for everything that was there.
    pub until: Option<Timestamp>,
}

/// Figures of a merchant and mode: those that are folded, and what is younger.
pub fn list(tx: &mut Tx<'_>, scope: Scope, filter: &FiguresFilter) -> Result<Shown, StoreError> {
    let mut shown = Shown { groups: folded(tx, scope, filter)?, until: None };
    for source in Source::ALL {
        let edge = tail(tx, source, scope, |key, figures| {
            if filter.shows(&key) {
                add(shown.groups.entry(key.group(filter.by)).or_default(), figures)?;
            }
            Ok(())
        })?;
        // The one that reaches less far says how far both do.
        shown.until = match (shown.until, edge) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    Ok(shown)
}

fn folded(
    tx: &mut Tx<'_>,
    scope: Scope,
    filter: &FiguresFilter,
) -> Result<BTreeMap<FiguresGroup, Figures>, StoreError> {
    let by = match filter.by {
        Grouping::Day => "day",
        Grouping::Provider => "provider",
    };
    let (first, last) = (filter.period.first_day().days(), filter.period.last_day().days());
    let mut params = vec![scope.merchant.param(), scope.mode.param(), Param::Int(first), Param::Int(last)];
    let mut narrowed = String::new();
    let filters = [
        ("currency", filter.currency.as_ref().map(ToParam::param)),
        ("provider", filter.provider.as_ref().map(ToParam::param)),
    ];
    for (column, value) in filters {
        let Some(value) = value else { continue };
        params.push(value);
        narrowed.push_str(&format!(" AND {column} = ?{}", params.len()));
    }
    let sums = ["payments", "volume", "fees", "failed", "refunds", "refunded", "refunds_failed", "returned"]
        .map(|column| format!("CAST(SUM({column}) AS BIGINT)"))
        .join(", ");
    let sql = select(
        &format!("{by}, currency, {sums}"),
        &format!(
            "figures WHERE merchant = ?1 AND live = ?2 AND day >= ?3 AND day <= ?4{narrowed} GROUP BY {by}, currency"
        ),
    );
    let mut groups = BTreeMap::new();
    tx.each(&sql, &params, |r| {
        let (day, provider) = match filter.by {
            Grouping::Day => (Some(r.next()?), None),
            Grouping::Provider => (None, Some(r.next()?)),
        };
        let group = FiguresGroup { day, provider, currency: r.next()? };
        groups.insert(group, figures(r)?);
        Ok(())
    })?;
    Ok(groups)
}

fn figures(r: &mut Row<'_>) -> Result<Figures, StoreError> {
    Ok(Figures {
        payments: r.next()?,
        volume: r.next()?,
        fees: r.next()?,
        failed: r.next()?,
        refunds: r.next()?,
        refunded: r.next()?,
        refunds_failed: r.next()?,
        returned: r.next()?,
    })
}

impl FromCell for Date {
    fn from_cell(cell: crate::tx::Cell<'_>) -> Result<Self, StoreError> {
        i64::from_cell(cell).map(Date::from_days)
    }
}

/// Visits what of a merchant and mode lies behind the cursor, among the first [`FIGURES_TAIL_ROWS`] rows of
/// all merchants; until when these reach, if there are more.
fn tail(
    tx: &mut Tx<'_>,
    source: Source,
    scope: Scope,
    mut visit: impl FnMut(FiguresKey, &Figures) -> Result<(), StoreError>,
) -> Result<Option<Timestamp>, StoreError> {
    let after = cursor(tx, source)?;
    let rest = match source {
        Source::Money => select("journal", "balance_transactions WHERE journal > ?1 ORDER BY journal"),
        Source::Failures => select("id", "events WHERE type = 'charge.failed' AND id > ?1 ORDER BY id"),
    };
    let edge: Option<Core> =
        tx.opt(&format!("{rest} LIMIT 1 OFFSET ?2"), params![after, FIGURES_TAIL_ROWS - 1], |r| r.next())?;
    let within = params![after, FIGURES_TAIL_ROWS, scope.merchant, scope.mode];
    match source {
        Source::Money => {
            // The limit within keeps the database from looking through all that the merchant ever had instead.
            let young = select(COLUMNS, "balance_transactions WHERE journal > ?1 ORDER BY journal LIMIT ?2");
            let sql = select(COLUMNS, &format!("({young}) AS young WHERE merchant = ?3 AND live = ?4"));
            let rows = tx.all(&sql, within, balance_transaction)?;
            add_money(tx, &rows, |_, key, figures| visit(key, figures))?;
        }
        Source::Failures => {
            let young = failures("ORDER BY id LIMIT ?2");
            let sql =
                select(FAILURE_COLUMNS, &format!("({young}) AS young WHERE merchant = ?3 AND live = ?4"));
            let rows = tx.all(&sql, within, failure)?;
            add_failures(tx, &rows, |_, key| visit(key, &Figures::FAILURE))?;
        }
    }
    Ok(edge.map(id_instant))
}

/// An event that tells of a refused attempt.
struct Failure {
    event: EventId,
    scope: Scope,
    attempt: Core,
    at: Timestamp,
}

const FAILURE_COLUMNS: &str = "id, merchant, live, object, created_at";

/// Events of refused attempts behind `?1` that fit `rest`.
fn failures(rest: &str) -> String {
    select(FAILURE_COLUMNS, &format!("events WHERE type = 'charge.failed' AND id > ?1 {rest}"))
}

fn failure(r: &mut Row<'_>) -> Result<Failure, StoreError> {
    let (event, merchant, mode) = (r.next()?, r.next()?, r.next()?);
    Ok(Failure { event, scope: Scope { merchant, mode }, attempt: r.next()?, at: r.next()? })
}

/// Visits what refused attempts add to figures. Attempts are asked for by their ids, and not joined: a database without
/// statistics would look through all that a merchant has for the few that are wanted.
fn add_failures(
    tx: &mut Tx<'_>,
    rows: &[Failure],
    mut visit: impl FnMut(Scope, FiguresKey) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for chunk in rows.chunks(IDS) {
        let mut attempts = HashMap::with_capacity(chunk.len());
        let ids = chunk.iter().map(|f| f.attempt).collect();
        by_id(tx, "SELECT id, currency, provider FROM attempts WHERE id IN", ids, |id, r| {
            attempts.insert(id, (r.next()?, r.next()?));
            Ok(())
        })?;
        for f in chunk {
            let lost = || StoreError::Defect(format!("{} is about no attempt", f.event));
            let (currency, provider) = attempts.get(&f.attempt).copied().ok_or_else(lost)?;
            visit(f.scope, FiguresKey { day: Date::of_instant(f.at), currency, provider })?;
        }
    }
    Ok(())
}

/// Visits what balance transactions add to figures.
fn add_money(
    tx: &mut Tx<'_>,
    rows: &[BalanceTransaction],
    mut visit: impl FnMut(Scope, FiguresKey, &Figures) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for chunk in rows.chunks(IDS) {
        let providers = providers(tx, chunk)?;
        for b in chunk {
            let Some(figures) = Figures::of(b) else { continue };
            let provider = providers
                .get(&b.source)
                .copied()
                .ok_or_else(|| StoreError::Defect(format!("{} has no provider: {}", b.journal, b.source)))?;
            let key = FiguresKey { day: Date::of_instant(b.created_at), currency: b.currency, provider };
            visit(b.scope, key, &figures)?;
        }
    }
    Ok(())
}

/// Providers of the attempts and refunds that balance transactions are about, by the text that names them.
fn providers(
    tx: &mut Tx<'_>,
    rows: &[BalanceTransaction],
) -> Result<HashMap<String, ProviderId>, StoreError> {
    let attempts = rows.iter().filter_map(|b| AttemptId::parse(&b.source)).map(TypedId::core).collect();
    let refunds = rows.iter().filter_map(|b| RefundId::parse(&b.source)).map(TypedId::core).collect();
    let mut found = HashMap::with_capacity(rows.len());
    by_id(tx, "SELECT id, provider FROM attempts WHERE id IN", attempts, |id, r| {
        found.insert(AttemptId(id).to_string(), r.next()?);
        Ok(())
    })?;
    by_id(
        tx,
        "SELECT r.id, a.provider FROM refunds r JOIN attempts a ON a.id = r.attempt WHERE r.id IN",
        refunds,
        |id, r| {
            found.insert(RefundId(id).to_string(), r.next()?);
            Ok(())
        },
    )?;
    Ok(found)
}

/// Runs a query for up to [`IDS`] ids and visits its rows, each behind its id. One text for any number of them, so that it is prepared once: places
/// that are left have the last id again.
fn by_id(
    tx: &mut Tx<'_>,
    sql: &str,
    mut ids: Vec<Core>,
    mut found: impl FnMut(Core, &mut Row<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let Some(last) = ids.last().copied() else { return Ok(()) };
    ids.resize(IDS, last);
    let markers = (1..=IDS).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ");
    let params: Vec<Param<'_>> = ids.iter().map(ToParam::param).collect();
    tx.each(&format!("{sql} ({markers})"), &params, |r| {
        let id = r.next()?;
        found(id, r)
    })
}

/// What `ledger verify` checks of figures; see [`crate::ledger_verify`].
pub(crate) const RULES: &[(&str, &str, &str)] = &[
    (
        "the figures of every day equal the balance transactions that are folded into them",
        "SELECT COUNT(*) FROM figures",
        "SELECT 'merchant', merchant, day FROM (SELECT merchant, live, day, currency, provider, payments AS p, \
         volume AS v, fees AS f, refunds AS r, refunded AS x, refunds_failed AS q, returned AS y FROM figures \
         UNION ALL SELECT b.merchant, b.live, b.created_at / 86400000000, b.currency, a.provider, -1, -b.amount, -b.fee, \
         0, 0, 0, 0 FROM attempts a JOIN balance_transactions b ON b.journal = a.journal \
         WHERE b.journal <= (SELECT id FROM figure_cursors WHERE source = 'balance_transactions') \
         UNION ALL SELECT b.merchant, b.live, b.created_at / 86400000000, b.currency, a.provider, 0, 0, 0, -1, b.amount, \
         0, 0 FROM refunds r JOIN attempts a ON a.id = r.attempt JOIN balance_transactions b ON b.journal = r.journal \
         WHERE b.journal <= (SELECT id FROM figure_cursors WHERE source = 'balance_transactions') \
         UNION ALL SELECT b.merchant, b.live, b.created_at / 86400000000, b.currency, a.provider, 0, 0, 0, 0, 0, -1, \
         -b.amount FROM refunds r JOIN attempts a ON a.id = r.attempt \
         JOIN balance_transactions b ON b.journal = r.failure_journal \
         WHERE b.journal <= (SELECT id FROM figure_cursors WHERE source = 'balance_transactions')) AS d \
         GROUP BY merchant, live, day, currency, provider HAVING SUM(p) <> 0 OR SUM(v) <> 0 OR SUM(f) <> 0 \
         OR SUM(r) <> 0 OR SUM(x) <> 0 OR SUM(q) <> 0 OR SUM(y) <> 0",
    ),
    (
        "every refused attempt is in the figures once, or its event waits to be",
        "SELECT COUNT(*) FROM attempts WHERE status = 'failed'",
        "SELECT 'merchant', merchant, CAST(SUM(n) AS BIGINT) FROM (SELECT merchant, live, currency, provider, \
         failed AS n FROM figures UNION ALL SELECT merchant, live, currency, provider, -1 FROM attempts \
         WHERE status = 'failed' AND decline LIKE '%\"reached_issuer\":true%' \
         UNION ALL SELECT a.merchant, a.live, a.currency, a.provider, 1 FROM events e JOIN attempts a ON a.id = e.object \
         WHERE e.type = 'charge.failed' AND (e.id > (SELECT id FROM figure_cursors WHERE source = 'events') \
         OR NOT EXISTS (SELECT 1 FROM figure_cursors WHERE source = 'events'))) AS d \
         GROUP BY merchant, live, currency, provider HAVING SUM(n) <> 0",
    ),
];
