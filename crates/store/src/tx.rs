//! One open transaction, on either engine, and the values that go in and out of it.
//!
//! SQL is written once, with `?1`, `?2` … markers. For PostgreSQL they become `$1`, `$2` …, and the
//! comments `/* for update */` and `/* for update skip locked */`, which SQLite ignores because it has
//! one writer, become the lock clauses.

use crate::error::StoreError;
use domain::id::{Core, TypedId};
use domain::time::Timestamp;
use std::collections::HashMap;

/// A value bound to a marker.
#[derive(Clone, Copy, Debug)]
pub enum Param<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
    Id([u8; 12]),
}

/// Anything that can be bound.
pub trait ToParam {
    fn param(&self) -> Param<'_>;
}

impl ToParam for i64 {
    fn param(&self) -> Param<'_> {
        Param::Int(*self)
    }
}
impl ToParam for bool {
    fn param(&self) -> Param<'_> {
        Param::Int(i64::from(*self))
    }
}
impl ToParam for Timestamp {
    fn param(&self) -> Param<'_> {
        Param::Int(self.0)
    }
}
impl ToParam for str {
    fn param(&self) -> Param<'_> {
        Param::Text(self)
    }
}
impl ToParam for String {
    fn param(&self) -> Param<'_> {
        Param::Text(self)
    }
}
impl ToParam for [u8] {
    fn param(&self) -> Param<'_> {
        Param::Blob(self)
    }
}
impl ToParam for Vec<u8> {
    fn param(&self) -> Param<'_> {
        Param::Blob(self)
    }
}
impl<const N: usize> ToParam for [u8; N] {
    fn param(&self) -> Param<'_> {
        Param::Blob(self)
    }
}
impl ToParam for Core {
    fn param(&self) -> Param<'_> {
        Param::Id(self.0)
    }
}
impl<T: ToParam + ?Sized> ToParam for &T {
    fn param(&self) -> Param<'_> {
        (**self).param()
    }
}
impl<T: ToParam> ToParam for Option<T> {
    fn param(&self) -> Param<'_> {
        self.as_ref().map_or(Param::Null, ToParam::param)
    }
}
impl ToParam for Param<'_> {
    fn param(&self) -> Param<'_> {
        *self
    }
}

/// Binds its arguments in marker order.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::tx::ToParam::param(&$value)),*] };
}

/// One column of a row.
#[derive(Clone, Copy, Debug)]
pub enum Cell<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

/// Anything that can be read from a column.
pub trait FromCell: Sized {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError>;
}

fn unexpected(wanted: &str, cell: Cell<'_>) -> StoreError {
    let got = match cell {
        Cell::Null => "null",
        Cell::Int(_) => "an integer",
        Cell::Text(_) => "text",
        Cell::Blob(_) => "bytes",
    };
    StoreError::Defect(format!("expected {wanted} in a column, found {got}"))
}

impl FromCell for i64 {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        match cell {
            Cell::Int(n) => Ok(n),
            other => Err(unexpected("an integer", other)),
        }
    }
}
impl FromCell for bool {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        i64::from_cell(cell).map(|n| n != 0)
    }
}
impl FromCell for Timestamp {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        i64::from_cell(cell).map(Timestamp)
    }
}
impl FromCell for String {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        match cell {
            Cell::Text(s) => Ok(s.to_owned()),
            other => Err(unexpected("text", other)),
        }
    }
}
impl FromCell for Vec<u8> {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        match cell {
            Cell::Blob(b) => Ok(b.to_vec()),
            other => Err(unexpected("bytes", other)),
        }
    }
}
impl FromCell for Core {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        match cell {
            Cell::Blob(b) => Core::from_slice(b).ok_or_else(|| unexpected("a 12-byte id", cell)),
            other => Err(unexpected("an id", other)),
        }
    }
}
impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        match cell {
            Cell::Null => Ok(None),
            other => T::from_cell(other).map(Some),
        }
    }
}

macro_rules! id_cells {
    ($($id:ident),+ $(,)?) => {$(
        impl ToParam for domain::id::$id {
            fn param(&self) -> Param<'_> { Param::Id(self.core().0) }
        }
        impl FromCell for domain::id::$id {
            fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
                Core::from_cell(cell).map(<domain::id::$id as TypedId>::from_core)
            }
        }
    )+};
}
id_cells!(
    MerchantId,
    StorefrontId,
    ProviderId,
    ApiKeyId,
    PaymentId,
    AttemptId,
    PaymentMethodId,
    CustomerId,
    RefundId,
    PayoutId,
    BankAccountId,
    EventId,
    SnapshotId,
    WebhookEndpointId,
    DeliveryId,
    ClockId,
    JobId,
    JournalId,
    FeeGroupId,
    RequestId,
    NodeId,
    GateTokenId,
    AuditId,
    AdminKeyId,
    UserId,
    PasskeyId,
    SessionId,
    InviteId,
);

macro_rules! text_cells {
    ($($path:path),+ $(,)?) => {$(
        impl ToParam for $path {
            fn param(&self) -> Param<'_> { Param::Text(self.as_str()) }
        }
        impl FromCell for $path {
            fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
                let text = match cell { Cell::Text(s) => s, other => return Err(unexpected("text", other)) };
                <$path>::parse(text).ok_or_else(|| {
                    StoreError::Defect(format!("unknown {} {text:?} in a column", stringify!($path)))
                })
            }
        }
    )+};
}
text_cells!(
    domain::payment::PaymentStatus,
    domain::payment::CaptureMethod,
    domain::payment::CancellationReason,
    domain::payment::OperationKind,
    domain::attempt::AttemptStatus,
    domain::refund::RefundStatus,
    domain::refund::RefundReason,
    domain::payout::PayoutStatus,
    domain::payout::PayoutCall,
    domain::bank_account::HolderType,
    domain::outcome::RiskLevel,
    domain::payment_method::MethodKind,
    domain::merchant::KeyKind,
    domain::event::EventType,
    domain::balance::BalanceKind,
    domain::webhook::EndpointStatus,
    domain::webhook::EndpointKind,
    domain::storefront::StorefrontStatus,
    domain::gate_token::SignVariant,
    domain::gate_token::PayloadDialect,
    domain::gate_transaction::TransactionKind,
    domain::gate_transaction::TransactionStatus,
    domain::gate_operation::OperationKind,
    domain::gate_operation::OperationStatus,
    domain::webhook::DeliveryStatus,
    domain::webhook::DeliveryKind,
    domain::test_clock::ClockStatus,
    domain::ledger::AccountKind,
    domain::ledger::JournalKind,
    domain::audit::AuditKind,
    domain::site_transaction::SiteStatus,
    domain::access::Role,
    domain::user::UserStatus,
    domain::passkey::CeremonyKind,
    domain::session::SessionEnd,
);

impl ToParam for domain::scope::Mode {
    fn param(&self) -> Param<'_> {
        Param::Int(i64::from(self.is_live()))
    }
}
impl FromCell for domain::scope::Mode {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        let live = bool::from_cell(cell)?;
        Ok(if live { domain::scope::Mode::Live } else { domain::scope::Mode::Test })
    }
}
impl ToParam for domain::currency::Currency {
    fn param(&self) -> Param<'_> {
        Param::Text(self.code())
    }
}
impl FromCell for domain::currency::Currency {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        let text = String::from_cell(cell)?;
        domain::currency::Currency::parse(&text)
            .map_err(|_| StoreError::Defect(format!("unknown currency {text:?} in a column")))
    }
}

/// A value kept as JSON text in one column.
pub struct Json<T>(pub T);

impl<T: serde::de::DeserializeOwned> FromCell for Json<T> {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        match cell {
            Cell::Text(s) => serde_json::from_str(s)
                .map(Json)
                .map_err(|e| StoreError::Defect(format!("a JSON column cannot be read: {e}"))),
            other => Err(unexpected("JSON text", other)),
        }
    }
}

/// Writes a value as JSON text for a column.
pub fn json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|e| StoreError::Defect(format!("a value cannot be written as JSON: {e}")))
}

enum RowSource<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a postgres::Row),
}

/// A row being read from left to right.
pub struct Row<'a> {
    source: RowSource<'a>,
    column: usize,
}

impl Row<'_> {
    /// The next column. Columns are read in the order in which the statement names them.
    #[allow(clippy::should_implement_trait, reason = "each call has its own type, which an iterator cannot")]
    pub fn next<T: FromCell>(&mut self) -> Result<T, StoreError> {
        let i = self.column;
        self.column += 1;
        match &self.source {
            RowSource::Sqlite(row) => {
                use rusqlite::types::ValueRef as V;
                let cell = match row.get_ref(i)? {
                    V::Null => Cell::Null,
                    V::Integer(n) => Cell::Int(n),
                    V::Text(s) => Cell::Text(
                        std::str::from_utf8(s)
                            .map_err(|_| StoreError::Defect("text is not UTF-8".to_owned()))?,
                    ),
                    V::Blob(b) => Cell::Blob(b),
                    V::Real(_) => return Err(StoreError::Defect("a floating point column".to_owned())),
                };
                T::from_cell(cell)
            }
            RowSource::Postgres(row) => {
                use postgres::types::Type;
                let ty = row
                    .columns()
                    .get(i)
                    .map(|c| c.type_().clone())
                    .ok_or_else(|| StoreError::Defect(format!("no column {i}")))?;
                let cell = if ty == Type::INT8 {
                    row.try_get::<_, Option<i64>>(i)?.map_or(Cell::Null, Cell::Int)
                } else if ty == Type::INT4 {
                    row.try_get::<_, Option<i32>>(i)?.map_or(Cell::Null, |n| Cell::Int(i64::from(n)))
                } else if ty == Type::BYTEA {
                    row.try_get::<_, Option<&[u8]>>(i)?.map_or(Cell::Null, Cell::Blob)
                } else if ty == Type::TEXT {
                    row.try_get::<_, Option<&str>>(i)?.map_or(Cell::Null, Cell::Text)
                } else {
                    return Err(StoreError::Defect(format!("a column of type {ty}")));
                };
                T::from_cell(cell)
            }
        }
    }
}

/// A PostgreSQL connection with its prepared statements.
pub(crate) struct PgConn {
    pub client: postgres::Client,
    pub statements: HashMap<String, postgres::Statement>,
}

impl PgConn {
    fn prepare(&mut self, sql: &str) -> Result<postgres::Statement, StoreError> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        // Statements with expanded lists differ by length; a bound keeps them from piling up.
        if self.statements.len() >= 512 {
            self.statements.clear();
        }
        let statement = self.client.prepare(&to_postgres(sql))?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

/// Rewrites our one SQL text for PostgreSQL.
///
/// A scope behind another condition checks the row that the other one finds. Without statistics, as on a new database,
/// the planner takes an index on the scope for just as good, and reads all that a merchant has to find one row; so the
/// check is written in a form that no index can answer.
pub(crate) fn to_postgres(sql: &str) -> String {
    sql.replace("AND merchant = ?", "AND merchant IS NOT DISTINCT FROM ?")
        .replace('?', "$")
        .replace("/* for update */", "FOR UPDATE")
        .replace("/* for update skip locked */", "FOR UPDATE SKIP LOCKED")
}

impl postgres::types::ToSql for Param<'_> {
    fn to_sql(
        &self,
        ty: &postgres::types::Type,
        out: &mut bytes::BytesMut,
    ) -> Result<postgres::types::IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Param::Null => Ok(postgres::types::IsNull::Yes),
            Param::Int(n) => n.to_sql(ty, out),
            Param::Text(s) => s.to_sql(ty, out),
            Param::Blob(b) => b.to_sql(ty, out),
            Param::Id(id) => id.as_slice().to_sql(ty, out),
        }
    }

    fn accepts(_: &postgres::types::Type) -> bool {
        true
    }

    postgres::types::to_sql_checked!();
}

pub(crate) enum Conn<'c> {
    Sqlite(&'c rusqlite::Connection),
    Postgres(&'c mut PgConn),
}

/// Background work that a commit may have made due; see [`crate::Store::wakes`].
#[derive(Clone, Copy, Debug)]
pub enum Wake {
    Deliveries,
    Jobs,
    Clocks,
}

/// One open transaction. Given to closures only: it cannot be leaked, held over an await, or
/// forgotten.
pub struct Tx<'c> {
    pub(crate) conn: Conn<'c>,
    pub(crate) retry: bool,
    /// A statement failed.
    pub(crate) failed: bool,
    /// The connection ended under it.
    pub(crate) lost: Option<StoreError>,
    pub(crate) wakes: u8,
}

impl<'c> Tx<'c> {
    pub(crate) fn new(conn: Conn<'c>) -> Tx<'c> {
        #[cfg(feature = "bench")]
        crate::bench::closure_begins();
        Tx { conn, retry: false, failed: false, lost: None, wakes: 0 }
    }

    /// Asks that a worker be woken once this transaction is committed.
    pub fn wake(&mut self, wake: Wake) {
        self.wakes |= 1 << wake as u8;
    }

    /// Lifts the time limit of statements for the rest of this transaction: for work over whole tables.
    pub fn allow_long_statements(&mut self) -> Result<(), StoreError> {
        match &mut self.conn {
            Conn::Sqlite(_) => {
                crate::sqlite::allow_long_read();
                Ok(())
            }
            Conn::Postgres(conn) => {
                let set = conn.client.batch_execute("SET LOCAL statement_timeout = 0");
                self.note(set.map_err(StoreError::from))
            }
        }
    }

    /// Asks that the closure be run again from the start, because another transaction won a race. The
    /// closure must return an error now.
    pub fn run_again(&mut self) {
        self.retry = true;
    }

    fn note<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        match &result {
            Ok(_) => {}
            Err(StoreError::Retry) => self.retry = true,
            // PostgreSQL has given the whole transaction up: a closure that goes on cannot be kept.
            Err(e) => {
                self.failed = true;
                if matches!(e, StoreError::Disconnected(_)) {
                    self.lost = Some(e.clone());
                }
            }
        }
        result
    }

    /// Runs a statement; the number of rows that it changed.
    pub fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        let result = match &mut self.conn {
            Conn::Sqlite(conn) => sqlite_execute(conn, sql, params),
            Conn::Postgres(conn) => pg_execute(conn, sql, params),
        };
        #[cfg(feature = "bench")]
        if let Ok(changed) = &result {
            crate::bench::note(sql, params, *changed);
        }
        self.note(result)
    }

    /// Runs a query and maps each row.
    pub fn all<T>(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        mut map: impl FnMut(&mut Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        self.each(sql, params, |row| {
            found.push(map(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// Runs a query and visits each row without collecting them.
    pub fn each(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        mut visit: impl FnMut(&mut Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let result = match &mut self.conn {
            Conn::Sqlite(conn) => sqlite_each(conn, sql, params, &mut visit),
            Conn::Postgres(conn) => pg_each(conn, sql, params, &mut visit),
        };
        self.note(result)
    }

    /// Runs a query that finds at most one row.
    pub fn opt<T>(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        map: impl FnMut(&mut Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut rows = self.all(sql, params, map)?;
        if rows.len() > 1 {
            return Err(StoreError::Defect(format!("{} rows where at most one was expected", rows.len())));
        }
        Ok(rows.pop())
    }

    /// Runs a query that finds exactly one row.
    pub fn one<T>(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        map: impl FnMut(&mut Row<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.opt(sql, params, map)?
            .ok_or_else(|| StoreError::Defect("a row that must exist is missing".to_owned()))
    }
}

pub(crate) fn bind<'p>(
    statement: &mut rusqlite::Statement<'_>,
    params: impl Iterator<Item = Param<'p>>,
) -> Result<(), StoreError> {
    for (param, n) in params.zip(1..) {
        match param {
            Param::Null => statement.raw_bind_parameter(n, rusqlite::types::Null)?,
            Param::Int(v) => statement.raw_bind_parameter(n, v)?,
            Param::Text(v) => statement.raw_bind_parameter(n, v)?,
            Param::Blob(v) => statement.raw_bind_parameter(n, v)?,
            Param::Id(v) => statement.raw_bind_parameter(n, v.as_slice())?,
        }
    }
    Ok(())
}

fn sqlite_execute(conn: &rusqlite::Connection, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError> {
    let mut statement = conn.prepare_cached(sql)?;
    bind(&mut statement, params.iter().copied())?;
    Ok(statement.raw_execute()? as u64)
}

type Visit<'v> = dyn FnMut(&mut Row<'_>) -> Result<(), StoreError> + 'v;

fn sqlite_each(
    conn: &rusqlite::Connection,
    sql: &str,
    params: &[Param<'_>],
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    let mut statement = conn.prepare_cached(sql)?;
    bind(&mut statement, params.iter().copied())?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        visit(&mut Row { source: RowSource::Sqlite(row), column: 0 })?;
    }
    Ok(())
}

fn pg_params<'a>(params: &'a [Param<'a>]) -> Vec<&'a (dyn postgres::types::ToSql + Sync)> {
    params.iter().map(|p| p as &(dyn postgres::types::ToSql + Sync)).collect()
}

fn pg_execute(conn: &mut PgConn, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError> {
    let statement = conn.prepare(sql)?;
    Ok(conn.client.execute(&statement, &pg_params(params))?)
}

fn pg_each(
    conn: &mut PgConn,
    sql: &str,
    params: &[Param<'_>],
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    let statement = conn.prepare(sql)?;
    for row in conn.client.query(&statement, &pg_params(params))? {
        visit(&mut Row { source: RowSource::Postgres(&row), column: 0 })?;
    }
    Ok(())
}
