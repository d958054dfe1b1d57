use crate::error::StoreError;
use crate::page::{self, Listed, Order, PageQuery, Table, select};
use crate::params;
use crate::tx::{Row, ToParam, Tx};
use domain::balance::{BalanceKind, BalanceTransaction};
use domain::currency::Currency;
use domain::id::{Core, JournalId};
use domain::scope::Scope;
use domain::time::Timestamp;

pub(crate) const COLUMNS: &str =
    "journal, merchant, live, kind, currency, amount, fee, source, available_on, available, created_at";

const TABLE: Table =
    Table { name: "balance_transactions", columns: COLUMNS, id: "journal", order: Order::Created };

pub(crate) fn balance_transaction(row: &mut Row<'_>) -> Result<BalanceTransaction, StoreError> {
    Ok(BalanceTransaction {
        journal: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        kind: row.next()?,
        currency: row.next()?,
        amount: row.next()?,
        fee: row.next()?,
        source: row.next()?,
        available_on: row.next()?,
        available: row.next()?,
        created_at: row.next()?,
    })
}

pub fn insert(tx: &mut Tx<'_>, b: &BalanceTransaction) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO balance_transactions (journal, merchant, live, kind, currency, amount, fee, net, source, \
         available_on, available, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            b.journal,
            b.scope.merchant,
            b.scope.mode,
            b.kind,
            b.currency,
            b.amount,
            b.fee,
            b.amount - b.fee,
            b.source,
            b.available_on,
            b.available,
            b.created_at,
        ],
    )?;
    Ok(())
}

/// Marks the balance transaction of a journal as settled.
pub fn set_available(tx: &mut Tx<'_>, journal: JournalId) -> Result<(), StoreError> {
    tx.execute("UPDATE balance_transactions SET available = 1 WHERE journal = ?1", params![journal])?;
    Ok(())
}

pub fn get(tx: &mut Tx<'_>, scope: Scope, id: JournalId) -> Result<Option<BalanceTransaction>, StoreError> {
    let sql = select(COLUMNS, "balance_transactions WHERE journal = ?1 AND merchant = ?2 AND live = ?3");
    tx.opt(&sql, params![id, scope.merchant, scope.mode], balance_transaction)
}

/// Which balance transactions a list shows.
#[derive(Clone, Debug, Default)]
pub struct BalanceFilter {
    pub kind: Option<BalanceKind>,
    pub currency: Option<Currency>,
    pub source: Option<String>,
}

/// A part of the history: all of it unless narrowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct BalanceSpan {
    /// Inclusive bounds on the creation instant.
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub currency: Option<Currency>,
}

/// Up to `limit` rows of `span` behind `after`, oldest first.
pub fn behind(
    tx: &mut Tx<'_>,
    scope: Scope,
    span: &BalanceSpan,
    after: Option<&BalanceTransaction>,
    limit: i64,
) -> Result<Vec<BalanceTransaction>, StoreError> {
    let start = Timestamp(span.from.map_or(i64::MIN, |from| from.0));
    let (at, id) = after.map_or((start, JournalId(Core([0; 12]))), |row| (row.created_at, row.journal));
    let end = span.to.unwrap_or(Timestamp(i64::MAX));
    let place = "balance_transactions WHERE merchant = ?1 AND live = ?2 AND (created_at, journal) > (?3, ?4) \
        AND created_at <= ?5 AND (CAST(?6 AS TEXT) IS NULL OR currency = ?6) ORDER BY created_at, journal LIMIT ?7";
    let params = params![scope.merchant, scope.mode, at, id, end, span.currency, limit];
    tx.all(&select(COLUMNS, place), params, balance_transaction)
}

pub fn list(
    tx: &mut Tx<'_>,
    scope: Scope,
    filter: &BalanceFilter,
    query: &PageQuery,
) -> Listed<BalanceTransaction> {
    let mut filters = Vec::new();
    filters.extend(filter.kind.as_ref().map(|k| ("kind", k.param())));
    filters.extend(filter.currency.as_ref().map(|c| ("currency", c.param())));
    filters.extend(filter.source.as_ref().map(|s| ("source", s.param())));
    page::list(tx, &TABLE, scope, &filters, query, balance_transaction)
}
