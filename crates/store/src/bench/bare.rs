//! The measure: what the database does when nothing stands around it.

use super::recording::Value;
use super::script::{Instance, Script};
use crate::error::StoreError;
use crate::tx::{Param, bind, to_postgres};
use crate::{Location, migrate, postgres as pg, sqlite};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Closures in one commit of the bare loop, at most.
const BATCH_MAX: u32 = 1_000;

/// How a bare loop runs.
#[derive(Clone, Copy, Debug)]
pub struct BareLoop {
    /// Mean number of payments' steps in one commit, in hundredths; at least 100.
    pub batch_hundredths: u32,
    pub time: Duration,
    /// Ends earlier after this many payments.
    pub payments_max: u64,
}

/// What a bare loop did.
#[derive(Clone, Copy, Debug, Default)]
pub struct BareRun {
    pub payments: u64,
    pub commits: u64,
    pub elapsed: Duration,
}

/// One thread that writes payments to a fresh database with prepared statements: the rows, indexes,
/// commits per payment and durability of the gateway, and nothing else. Each group of payments goes
/// through the script's steps together, one commit a step. Blocks; not for async threads.
///
/// # Errors
/// When the database fails.
pub fn bare_loop(location: &Location, script: &Script, how: BareLoop) -> Result<BareRun, StoreError> {
    match location {
        Location::Sqlite(path) => {
            let mut conn = sqlite::open(path, true)?;
            migrate::sqlite(&mut conn, crate::Schema::Migrate)?;
            run(&mut SqliteRunner::new(&conn, script)?, script, how)
        }
        Location::Postgres { url, .. } => {
            let mut conn = pg::connect(&pg::config(url)?)?;
            migrate::postgres(&mut conn.client, crate::Schema::Migrate)?;
            run(&mut PostgresRunner::new(conn.client, script)?, script, how)
        }
    }
}

/// Flushes of PostgreSQL's write-ahead log since the server started; `None` on the embedded engine and
/// where the server does not tell.
///
/// # Errors
/// When the database cannot be reached.
pub fn wal_syncs(location: &Location) -> Result<Option<i64>, StoreError> {
    let Location::Postgres { url, .. } = location else { return Ok(None) };
    let mut conn = pg::connect(&pg::config(url)?)?;
    // The view has lost this column in PostgreSQL 18.
    let row = conn.client.query_opt("SELECT wal_sync FROM pg_stat_wal", &[]);
    Ok(row.ok().flatten().and_then(|row| row.try_get(0).ok()))
}

fn micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Transactions of prepared statements on one engine.
trait Runner {
    fn begin(&mut self) -> Result<(), StoreError>;
    fn execute(&mut self, step: usize, statement: usize, values: &[Value]) -> Result<(), StoreError>;
    fn commit(&mut self) -> Result<(), StoreError>;
}

fn run(runner: &mut impl Runner, script: &Script, how: BareLoop) -> Result<BareRun, StoreError> {
    let batch = how.batch_hundredths.clamp(100, BATCH_MAX * 100);
    let mut pool: Vec<Instance<'_>> = Vec::new();
    let (mut done, mut owed) = (BareRun::default(), 0);
    let start = Instant::now();
    while start.elapsed() < how.time && done.payments < how.payments_max {
        // Whole payments whose mean is the fraction asked for.
        owed += batch;
        let group = (owed / 100) as usize;
        owed %= 100;
        while pool.len() < group {
            pool.push(Instance::new(script));
        }
        for payment in pool.iter_mut().take(group) {
            payment.renew(micros());
        }
        for step in 0..script.steps.len() {
            runner.begin()?;
            for payment in pool.iter().take(group) {
                for (statement, values) in payment.values[step].iter().enumerate() {
                    runner.execute(step, statement, values)?;
                }
            }
            runner.commit()?;
            done.commits += 1;
        }
        done.payments += group as u64;
    }
    done.elapsed = start.elapsed();
    Ok(done)
}

struct SqliteRunner<'c> {
    statements: Vec<Vec<rusqlite::Statement<'c>>>,
    begin: rusqlite::Statement<'c>,
    commit: rusqlite::Statement<'c>,
}

impl<'c> SqliteRunner<'c> {
    fn new(conn: &'c rusqlite::Connection, script: &Script) -> Result<Self, StoreError> {
        let prepare = |step: &Vec<super::recording::Statement>| {
            step.iter().map(|s| conn.prepare(&s.sql)).collect::<Result<Vec<_>, _>>()
        };
        Ok(SqliteRunner {
            statements: script.steps.iter().map(prepare).collect::<Result<_, _>>()?,
            begin: conn.prepare("BEGIN IMMEDIATE")?,
            commit: conn.prepare("COMMIT")?,
        })
    }
}

impl Runner for SqliteRunner<'_> {
    fn begin(&mut self) -> Result<(), StoreError> {
        self.begin.raw_execute()?;
        Ok(())
    }

    fn execute(&mut self, step: usize, statement: usize, values: &[Value]) -> Result<(), StoreError> {
        let statement = &mut self.statements[step][statement];
        bind(statement, values.iter().map(Value::param))?;
        statement.raw_execute()?;
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.commit.raw_execute()?;
        Ok(())
    }
}

struct PostgresRunner {
    client: postgres::Client,
    statements: Vec<Vec<postgres::Statement>>,
}

impl PostgresRunner {
    fn new(mut client: postgres::Client, script: &Script) -> Result<Self, StoreError> {
        let mut statements = Vec::with_capacity(script.steps.len());
        for step in &script.steps {
            let prepared: Result<Vec<_>, _> =
                step.iter().map(|s| client.prepare(&to_postgres(&s.sql))).collect();
            statements.push(prepared?);
        }
        Ok(PostgresRunner { client, statements })
    }
}

impl Runner for PostgresRunner {
    fn begin(&mut self) -> Result<(), StoreError> {
        Ok(self.client.batch_execute("BEGIN")?)
    }

    fn execute(&mut self, step: usize, statement: usize, values: &[Value]) -> Result<(), StoreError> {
        let params: Vec<Param<'_>> = values.iter().map(Value::param).collect();
        let params: Vec<&(dyn postgres::types::ToSql + Sync)> =
            params.iter().map(|p| p as &(dyn postgres::types::ToSql + Sync)).collect();
        self.client.execute(&self.statements[step][statement], &params)?;
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        Ok(self.client.batch_execute("COMMIT")?)
    }
}
