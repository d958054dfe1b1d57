//! Pages by number with a total, as the Admin API lists things.

use crate::error::StoreError;
use crate::tx::{Param, Row, Tx};

/// Which page: `limit` rows after the first `offset`.
#[derive(Clone, Copy, Debug)]
pub struct NumberedQuery {
    pub limit: i64,
    pub offset: i64,
}

#[derive(Clone, Debug)]
pub struct NumberedPage<T> {
    pub data: Vec<T>,
    /// Rows of all pages together, counted up to [`COUNTED`].
    pub total: i64,
}

/// Rows are counted up to here, to keep a list cheap: no page lies behind it.
pub const COUNTED: i64 = 100_000;

/// What a list shows: conditions that all hold, each with the parameter that it compares with.
pub(crate) struct Conditions<'p> {
    sql: String,
    params: Vec<Param<'p>>,
}

impl<'p> Conditions<'p> {
    pub fn new() -> Conditions<'p> {
        Conditions { sql: String::new(), params: Vec::new() }
    }

    /// Adds `left` (such as `merchant =`) and the value that stands to its right.
    pub fn and(&mut self, left: &str, value: Param<'p>) {
        self.params.push(value);
        let joint = if self.sql.is_empty() { "WHERE" } else { " AND" };
        self.sql.push_str(&format!("{joint} {left} ?{}", self.params.len()));
    }

    /// The text from `WHERE` on, and its parameters, for a query that goes on behind it.
    pub fn into_parts(self) -> (String, Vec<Param<'p>>) {
        (self.sql, self.params)
    }

    /// Adds a condition without a value.
    pub fn and_plain(&mut self, condition: &str) {
        let joint = if self.sql.is_empty() { "WHERE" } else { " AND" };
        self.sql.push_str(&format!("{joint} {condition}"));
    }
}

/// Reads one page of `columns` from `from` (a table or a join), in the order `order`.
pub(crate) fn numbered<T>(
    tx: &mut Tx<'_>,
    columns: &str,
    from: &str,
    conditions: Conditions<'_>,
    order: &str,
    query: NumberedQuery,
    map: impl FnMut(&mut Row<'_>) -> Result<T, StoreError>,
) -> Result<NumberedPage<T>, StoreError> {
    let Conditions { sql, mut params } = conditions;
    params.push(Param::Int(COUNTED));
    let count =
        format!("SELECT COUNT(*) FROM (SELECT 1 FROM {from} {sql} LIMIT ?{}) AS counted", params.len());
    let total = tx.one(&count, &params, |r| r.next())?;
    params.pop();
    params.extend([Param::Int(query.limit), Param::Int(query.offset)]);
    let n = params.len();
    let page = format!("SELECT {columns} FROM {from} {sql} ORDER BY {order} LIMIT ?{} OFFSET ?{n}", n - 1);
    Ok(NumberedPage { data: tx.all(&page, &params, map)?, total })
}
