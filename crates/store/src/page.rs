//! Keyset pages, newest first.

use crate::error::StoreError;
use crate::tx::{Param, Row, ToParam, Tx};
use domain::id::Core;
use domain::scope::Scope;
use domain::time::Timestamp;

/// From where a page starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cursor {
    #[default]
    Newest,
    /// The page of older objects after this one.
    After(Core),
    /// The page of newer objects next to this one.
    Before(Core),
}

/// Which page of a list.
#[derive(Clone, Copy, Debug)]
pub struct PageQuery {
    pub limit: i64,
    pub cursor: Cursor,
    /// Inclusive bounds on the creation instant.
    pub created_from: Option<Timestamp>,
    pub created_to: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub struct Page<T> {
    pub data: Vec<T>,
    pub has_more: bool,
}

/// A page, or the news that the cursor's object does not exist for this merchant and mode.
pub type Listed<T> = Result<Option<Page<T>>, StoreError>;

/// A table as lists see it.
pub(crate) struct Table {
    pub name: &'static str,
    pub columns: &'static str,
    /// The id column.
    pub id: &'static str,
    pub order: Order,
}

/// By what a list is ordered, newest first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// By creation instant, then by id: for objects that may live by a test clock.
    Created,
    /// By id, which carries the wall-clock instant of writing: whoever follows the list misses nothing.
    Written,
}

/// Reads one page of `table` within `scope`, narrowed by `filters`: `column = value` each,
/// or `column >= value` where the text names that comparison.
pub(crate) fn list<T>(
    tx: &mut Tx<'_>,
    table: &Table,
    scope: Scope,
    filters: &[(&str, Param<'_>)],
    query: &PageQuery,
    map: impl FnMut(&mut Row<'_>) -> Result<T, StoreError>,
) -> Listed<T> {
    let mut sql = format!("SELECT {} FROM {} WHERE merchant = ?1 AND live = ?2", table.columns, table.name);
    let mut params: Vec<Param<'_>> = vec![scope.merchant.param(), scope.mode.param()];
    let mut conditions: Vec<(String, Param<'_>)> = filters
        .iter()
        .map(|(column, value)| {
            let condition = if column.ends_with(">=") { (*column).to_owned() } else { format!("{column} =") };
            (condition, *value)
        })
        .collect();
    conditions.extend(query.created_from.map(|t| ("created_at >=".to_owned(), Param::Int(t.0))));
    conditions.extend(query.created_to.map(|t| ("created_at <=".to_owned(), Param::Int(t.0))));
    for (condition, value) in conditions {
        params.push(value);
        sql.push_str(&format!(" AND {condition} ?{}", params.len()));
    }
    let (cursor, newer) = match query.cursor {
        Cursor::Newest => (None, false),
        Cursor::After(core) => (Some(core), false),
        Cursor::Before(core) => (Some(core), true),
    };
    if let Some(core) = cursor {
        let probe = format!(
            "SELECT created_at FROM {} WHERE {} = ?1 AND merchant = ?2 AND live = ?3",
            table.name, table.id
        );
        let at: Option<i64> =
            tx.opt(&probe, crate::params![core, scope.merchant, scope.mode], |r| r.next())?;
        let Some(at) = at else { return Ok(None) };
        let compare = if newer { ">" } else { "<" };
        match table.order {
            Order::Created => {
                params.extend([Param::Int(at), Param::Id(core.0)]);
                let n = params.len();
                sql.push_str(&format!(" AND (created_at, {}) {compare} (?{}, ?{n})", table.id, n - 1));
            }
            Order::Written => {
                params.push(Param::Id(core.0));
                sql.push_str(&format!(" AND {} {compare} ?{}", table.id, params.len()));
            }
        }
    }
    let direction = if newer { "ASC" } else { "DESC" };
    let first =
        if table.order == Order::Created { format!("created_at {direction}, ") } else { String::new() };
    params.push(Param::Int(query.limit + 1));
    sql.push_str(&format!(" ORDER BY {first}{} {direction} LIMIT ?{}", table.id, params.len()));
    let mut data = tx.all(&sql, &params, map)?;
    let has_more = data.len() as i64 > query.limit;
    if has_more {
        data.pop();
    }
    if newer {
        data.reverse();
    }
    Ok(Some(Page { data, has_more }))
}

/// A query of `columns` from what `rest` names.
pub(crate) fn select(columns: &str, rest: &str) -> String {
    format!("SELECT {columns} FROM {rest}")
}
