//! The embedded engine: one writer with group commit, readers beside it.
//!
//! The writer takes every closure that is waiting, runs all in one transaction, commits once and
//! answers all. A closure that refuses has no effect, and none on the others (see [`Batch`]). With
//! `synchronous=FULL` the commit is on disk before anyone is answered.

use crate::Schema;
use crate::error::StoreError;
use crate::job::Job;
use crate::migrate;
use crate::tx::{Conn, Tx};
use crate::wakes::Wakes;
use rusqlite::config::DbConfig;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Closures in one commit.
const BATCH_MAX: usize = 128;
/// No closure is added to a commit after this long, so that the first in it does not wait for ever.
const BATCH_TIME: Duration = Duration::from_millis(8);
/// Batches that take savepoints after one had to be run again.
const CAREFUL_BATCHES: u32 = 64;
/// Closures that may wait for the writer; further callers wait for a place.
const QUEUE: usize = 1_024;
const READERS: usize = 4;
/// How long a read may take, as on PostgreSQL: there are few readers, and a request has given up by then.
const READ_TIME: Duration = Duration::from_secs(30);
/// Steps of SQLite's machine between two looks at the clock; well below a millisecond.
const STEPS: i32 = 10_000;

thread_local! {
    /// When the read that runs on this thread is interrupted; `None` while none runs, or for one that has
    /// no limit.
    static READ_ENDS: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Lifts the limit of the read that runs on this thread.
pub(crate) fn allow_long_read() {
    READ_ENDS.set(None);
}

fn watch(conn: &mut rusqlite::Connection) -> Result<(), StoreError> {
    let is_late = || READ_ENDS.get().is_some_and(|end| Instant::now() > end);
    Ok(conn.progress_handler(STEPS, Some(is_late))?)
}

pub(crate) struct Sqlite {
    pub path: PathBuf,
    pub writer: mpsc::Sender<Box<dyn Job>>,
    pub readers: std_mpsc::Sender<Box<dyn Job>>,
    pub threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
}

pub(crate) fn open(path: &Path, writer: bool) -> Result<rusqlite::Connection, StoreError> {
    let mut conn = rusqlite::Connection::open(path)?;
    conn.busy_timeout(Duration::from_secs(5))?;
    conn.set_prepared_statement_cache_capacity(512);
    // Else a statement with a bound `LIMIT` is prepared anew whenever another value is bound to it.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = OFF;
         PRAGMA secure_delete = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -16000;
         PRAGMA wal_autocheckpoint = 4000;",
    )?;
    if !writer {
        conn.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -4000;")?;
        watch(&mut conn)?;
    }
    Ok(conn)
}

impl Sqlite {
    /// Opens or creates the file, applies migrations and starts the threads.
    pub fn start(path: PathBuf, schema: Schema, wakes: Arc<Wakes>) -> Result<Sqlite, StoreError> {
        if schema == Schema::AsIs && !path.exists() {
            return Err(StoreError::Unavailable(format!("there is no database at {}", path.display())));
        }
        let mut conn = open(&path, true)?;
        migrate::sqlite(&mut conn, schema)?;
        let (writer, jobs) = mpsc::channel(QUEUE);
        let mut threads = vec![spawn("store-writer", move || write_loop(&conn, jobs, &wakes))?];
        #[allow(
            clippy::disallowed_methods,
            reason = "bounded by the semaphore in Store: a full queue must wait, not block a runtime thread"
        )]
        let (readers, reads) = std_mpsc::channel::<Box<dyn Job>>();
        let reads = Arc::new(Mutex::new(reads));
        for i in 0..READERS {
            let conn = open(&path, false)?;
            let reads = reads.clone();
            threads.push(spawn(&format!("store-reader-{i}"), move || read_loop(&conn, &reads, READ_TIME))?);
        }
        Ok(Sqlite { path, writer, readers, threads: Mutex::new(threads) })
    }
}

/// How often emptying the log is tried: a reader that holds an old view of the database is in its way.
const SHED_TRIES: u32 = 10;

/// How long one try may keep the writer waiting, while it waits for readers itself.
const SHED_WAIT: Duration = Duration::from_millis(20);

/// Copies the log into the file and cuts it to nothing.
pub(crate) fn shed_log(path: &Path) -> Result<(), StoreError> {
    let conn = open(path, true)?;
    conn.busy_timeout(SHED_WAIT)?;
    for attempt in 1..=SHED_TRIES {
        let busy: i64 = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy == 0 {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50) * attempt);
    }
    Err(StoreError::Unavailable("the log is in use".to_owned()))
}

pub(crate) fn spawn(
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> Result<std::thread::JoinHandle<()>, StoreError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|e| StoreError::Unavailable(format!("cannot start a thread: {e}")))
}

fn write_loop(conn: &rusqlite::Connection, mut jobs: mpsc::Receiver<Box<dyn Job>>, wakes: &Wakes) {
    let mut batch = Batch { conn, jobs: Vec::with_capacity(BATCH_MAX), flags: 0, careful: 0 };
    while let Some(first) = jobs.blocking_recv() {
        let outcome = batch.run(first, &mut jobs);
        let kept = outcome.is_ok();
        wakes.batch(batch.jobs.len());
        for job in batch.jobs.drain(..) {
            job.finish(outcome.clone());
        }
        if kept {
            wakes.raise(batch.flags);
        }
    }
    // Leave a tidy file behind: the next start has no log to replay.
    let _ = conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);");
}

/// The closures of one commit.
///
/// A savepoint costs a copy of every page that its closure touches, and almost every closure is kept.
/// So closures run without one at first. When one refuses after it has written, the transaction is
/// rolled back and all of them run again, each in a savepoint of its own; the next few batches then
/// take savepoints from the start, so that refusals in a row do not double the work of everyone.
struct Batch<'c> {
    conn: &'c rusqlite::Connection,
    jobs: Vec<Box<dyn Job>>,
    flags: u8,
    /// Batches that take savepoints from the start.
    careful: u32,
}

impl Batch<'_> {
    /// Runs `first` and what else is waiting, and commits.
    fn run(
        &mut self,
        first: Box<dyn Job>,
        waiting: &mut mpsc::Receiver<Box<dyn Job>>,
    ) -> Result<(), StoreError> {
        let apart = self.careful > 0;
        self.careful = self.careful.saturating_sub(1);
        self.flags = 0;
        self.jobs.push(first);
        begin(self.conn)?;
        let started = Instant::now();
        let mut ran = 0;
        while let Some(job) = self.jobs.get_mut(ran) {
            ran += 1;
            if apart {
                self.flags |= run_in_savepoint(self.conn, job.as_mut());
            } else {
                match run_bare(self.conn, job.as_mut()) {
                    Some(flags) => self.flags |= flags,
                    None => return self.again(),
                }
            }
            // SQLite itself rolled everything back, as on a full disk: nothing may run outside.
            if self.conn.is_autocommit() {
                break;
            }
            if ran < BATCH_MAX && started.elapsed() < BATCH_TIME {
                self.jobs.extend(waiting.try_recv().ok());
            }
        }
        commit(self.conn)
    }

    /// Runs all closures a second time, apart from each other.
    fn again(&mut self) -> Result<(), StoreError> {
        self.careful = CAREFUL_BATCHES;
        self.flags = 0;
        if !self.conn.is_autocommit() {
            self.conn.execute_batch("ROLLBACK")?;
        }
        begin(self.conn)?;
        for job in self.jobs.iter_mut().take_while(|_| !self.conn.is_autocommit()) {
            self.flags |= run_in_savepoint(self.conn, job.as_mut());
        }
        commit(self.conn)
    }
}

fn begin(conn: &rusqlite::Connection) -> Result<(), StoreError> {
    Ok(conn.prepare_cached("BEGIN IMMEDIATE")?.raw_execute().map(|_| ())?)
}

/// Runs a closure in the open transaction. `None` when it refused and left changes behind, which only
/// a rollback of the transaction can undo.
fn run_bare(conn: &rusqlite::Connection, job: &mut dyn Job) -> Option<u8> {
    // Statements that fail undo themselves and count no changes.
    let before = conn.total_changes();
    let mut tx = Tx::new(Conn::Sqlite(conn));
    let keep = job.run(&mut tx);
    if keep {
        return Some(tx.wakes);
    }
    (conn.total_changes() == before && !conn.is_autocommit()).then_some(0)
}

/// Commits, or makes sure that nothing stays open.
fn commit(conn: &rusqlite::Connection) -> Result<(), StoreError> {
    if conn.is_autocommit() {
        // SQLite itself rolled everything back, as on a full disk.
        return Err(StoreError::Unavailable("the transaction was rolled back by the database".to_owned()));
    }
    conn.execute_batch("COMMIT").map_err(|e| {
        let _ = conn.execute_batch("ROLLBACK");
        e.into()
    })
}

fn run_in_savepoint(conn: &rusqlite::Connection, job: &mut dyn Job) -> u8 {
    let savepoint = |sql| conn.prepare_cached(sql).and_then(|mut s| s.execute([]));
    if savepoint("SAVEPOINT job").is_err() {
        return 0;
    }
    let mut tx = Tx::new(Conn::Sqlite(conn));
    let keep = job.run(&mut tx);
    let flags = tx.wakes;
    if !keep && savepoint("ROLLBACK TO job").is_err() {
        // What the closure wrote cannot be taken back alone, so nothing of the batch may be kept.
        let _ = conn.execute_batch("ROLLBACK");
        return 0;
    }
    let _ = savepoint("RELEASE job");
    if keep { flags } else { 0 }
}

/// Runs reads one after the other. A statement that is still running `limit` after its transaction began is
/// interrupted, unless the closure has allowed long ones.
fn read_loop(conn: &rusqlite::Connection, reads: &Mutex<std_mpsc::Receiver<Box<dyn Job>>>, limit: Duration) {
    loop {
        let next = match reads.lock() {
            Ok(queue) => queue.recv(),
            Err(_) => return,
        };
        let Ok(mut job) = next else { return };
        let outcome = conn.execute_batch("BEGIN").map_err(StoreError::from);
        if outcome.is_ok() {
            READ_ENDS.set(Some(Instant::now() + limit));
            job.run(&mut Tx::new(Conn::Sqlite(conn)));
            READ_ENDS.set(None);
            let _ = conn.execute_batch("ROLLBACK");
        }
        job.finish(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::job;
    use crate::params;
    use tokio::sync::oneshot::Receiver;

    type Answer = Result<i64, StoreError>;

    fn insert(tx: &mut Tx<'_>, n: i64) -> Result<u64, StoreError> {
        tx.execute("INSERT INTO t (n) VALUES (?1)", params![n])
    }

    fn keep(n: i64) -> (Box<dyn Job>, Receiver<Answer>) {
        job(move |tx| insert(tx, n).map(|_| n))
    }

    fn refuse_after_writing(n: i64) -> (Box<dyn Job>, Receiver<Answer>) {
        job(move |tx| {
            insert(tx, n)?;
            Err(StoreError::Conflict("refused".to_owned()))
        })
    }

    fn panic_after_writing(n: i64) -> (Box<dyn Job>, Receiver<Answer>) {
        job(move |tx| {
            insert(tx, n)?;
            panic!("a closure that panics, for a test");
        })
    }

    /// Runs closures that were all waiting when the writer looked: the answers, the rows, the commits.
    fn run(closures: Vec<(Box<dyn Job>, Receiver<Answer>)>) -> (Vec<Option<i64>>, Vec<i64>, u64) {
        let conn = rusqlite::Connection::open_in_memory().expect("a database");
        conn.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY)").expect("a table");
        let (sender, jobs) = mpsc::channel(closures.len());
        let mut answers = Vec::new();
        for (job, answer) in closures {
            assert!(sender.try_send(job).is_ok());
            answers.push(answer);
        }
        drop(sender);
        let wakes = Wakes::default();
        write_loop(&conn, jobs, &wakes);
        let answers = answers.into_iter().map(|mut a| a.try_recv().expect("an answer").ok()).collect();
        let mut rows = conn.prepare("SELECT n FROM t ORDER BY n").expect("a query");
        let rows =
            rows.query_map([], |r| r.get(0)).expect("rows").collect::<Result<Vec<i64>, _>>().expect("rows");
        assert!(conn.is_autocommit());
        (answers, rows, wakes.counts().0)
    }

    /// Counts to three hundred million, which takes far longer than any limit here.
    const SLOW: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000000) \
        SELECT COUNT(*) FROM n";
    /// The same to a million: longer than the limit, and yet soon over.
    const LONG: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) \
        SELECT COUNT(*) FROM n";

    fn count(sql: &'static str, long: bool) -> (Box<dyn Job>, Receiver<Answer>) {
        job(move |tx| {
            if long {
                tx.allow_long_statements()?;
            }
            tx.one(sql, &[], |r| r.next())
        })
    }

    #[test]
    fn a_read_that_takes_too_long_is_interrupted_and_the_reader_goes_on() {
        let mut conn = rusqlite::Connection::open_in_memory().expect("a database");
        watch(&mut conn).expect("watched");
        let (sender, reads) = std_mpsc::sync_channel(8);
        let mut answers = Vec::new();
        for (job, answer) in [
            count(SLOW, false),
            count("SELECT 7", false),
            count(LONG, true),
            count(SLOW, false),
            count(LONG, false),
        ] {
            sender.send(job).expect("a place");
            answers.push(answer);
        }
        drop(sender);
        read_loop(&conn, &Mutex::new(reads), Duration::from_millis(20));
        let told: Vec<Answer> = answers.iter_mut().map(|a| a.try_recv().expect("an answer")).collect();
        let late = |answer: &Answer| matches!(answer, Err(StoreError::Unavailable(_)));
        assert!(late(&told[0]) && late(&told[3]) && late(&told[4]), "{told:?}");
        assert_eq!((told[1].as_ref().ok(), told[2].as_ref().ok()), (Some(&7), Some(&1_000_000)), "{told:?}");
        assert!(conn.is_autocommit());
    }

    #[test]
    fn what_is_kept_is_one_commit() {
        let (answers, rows, commits) = run((1..=5).map(keep).collect());
        assert_eq!((answers, rows, commits), ((1..=5).map(Some).collect(), (1..=5).collect(), 1));
    }

    #[test]
    fn a_refusal_undoes_its_own_writes_alone() {
        for spoiler in [refuse_after_writing, panic_after_writing] {
            let (answers, rows, commits) = run(vec![keep(1), spoiler(2), keep(3), spoiler(4), keep(5)]);
            assert_eq!(answers, [Some(1), None, Some(3), None, Some(5)]);
            assert_eq!(rows, [1, 3, 5]);
            // The batch that was spoilt, and the one after it, which takes savepoints from the start.
            assert_eq!(commits, 2);
        }
    }

    #[test]
    fn a_refusal_without_writes_costs_nothing() {
        let early = || job(|_| Err::<i64, _>(StoreError::Conflict("refused".to_owned())));
        // A statement that fails leaves nothing behind either.
        let (answers, rows, commits) = run(vec![keep(1), early(), keep(1), keep(2)]);
        assert_eq!((answers, rows, commits), (vec![Some(1), None, None, Some(2)], vec![1, 2], 1));
    }

    #[test]
    fn a_rollback_by_the_database_fails_everyone() {
        let hostile = || {
            job(|tx| {
                // As SQLite does by itself on a full disk; the closure does not even notice.
                tx.execute("INSERT OR ROLLBACK INTO t (n) VALUES (1)", &[]).ok();
                Ok(9)
            })
        };
        let (answers, rows, _) = run(vec![keep(1), hostile(), keep(2)]);
        assert_eq!(answers[..2], [None, None]);
        assert!(!rows.contains(&1), "{rows:?}");
        assert_eq!(answers[2].is_some(), rows.contains(&2));
    }

    #[test]
    fn statements_are_prepared_once_whatever_is_bound_to_their_limit() {
        let conn = open(Path::new(":memory:"), true).expect("a database");
        conn.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY, a INTEGER); CREATE INDEX t_a ON t (a)")
            .expect("a table");
        let mut statement =
            conn.prepare("SELECT n FROM t WHERE a = ?1 ORDER BY n LIMIT ?2").expect("prepared");
        for n in 1..9 {
            statement.query_map([n, n * 100], |row| row.get::<_, i64>(0)).expect("rows").for_each(drop);
        }
        assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0);
    }

    #[test]
    fn savepoints_are_taken_for_a_while_and_then_no_more() {
        let conn = rusqlite::Connection::open_in_memory().expect("a database");
        conn.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY)").expect("a table");
        let (_sender, mut waiting) = mpsc::channel(1);
        let mut batch = Batch { conn: &conn, jobs: Vec::new(), flags: 0, careful: 0 };
        batch.run(refuse_after_writing(1).0, &mut waiting).expect("committed");
        assert_eq!(batch.careful, CAREFUL_BATCHES);
        for n in 0..CAREFUL_BATCHES {
            batch.jobs.clear();
            batch.run(refuse_after_writing(i64::from(n)).0, &mut waiting).expect("committed");
        }
        assert_eq!(batch.careful, 0);
        let rows: i64 = conn.query_row("SELECT COUNT(*) FROM t", [], |r| r.get(0)).expect("a count");
        assert_eq!(rows, 0);
    }
}
