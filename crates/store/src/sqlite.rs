//! The embedded engine: one writer with group commit, readers beside it.
//!
//! The writer takes every closure that is waiting, runs each in a savepoint of one transaction,
//! commits once and answers all. A closure that refuses rolls back its own savepoint only. With
//! `synchronous=FULL` the commit is on disk before anyone is answered.

use crate::Schema;
use crate::error::StoreError;
use crate::job::Job;
use crate::migrate;
use crate::tx::{Conn, Tx};
use crate::wakes::Wakes;
use std::path::{Path, PathBuf};
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Closures in one commit.
const BATCH_MAX: usize = 128;
/// No closure is added to a commit after this long, so that the first in it does not wait for ever.
const BATCH_TIME: Duration = Duration::from_millis(8);
/// Closures that may wait for the writer; further callers wait for a place.
const QUEUE: usize = 1_024;
const READERS: usize = 4;

pub(crate) struct Sqlite {
    pub writer: mpsc::Sender<Box<dyn Job>>,
    pub readers: std_mpsc::Sender<Box<dyn Job>>,
    pub threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
}

pub(crate) fn open(path: &Path, writer: bool) -> Result<rusqlite::Connection, StoreError> {
    let conn = rusqlite::Connection::open(path)?;
    conn.busy_timeout(Duration::from_secs(5))?;
    conn.set_prepared_statement_cache_capacity(512);
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
            threads.push(spawn(&format!("store-reader-{i}"), move || read_loop(&conn, &reads))?);
        }
        Ok(Sqlite { writer, readers, threads: Mutex::new(threads) })
    }
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
    let mut batch: Vec<Box<dyn Job>> = Vec::with_capacity(BATCH_MAX);
    while let Some(first) = jobs.blocking_recv() {
        if let Err(e) = conn.execute_batch("BEGIN IMMEDIATE") {
            first.finish(Err(e.into()));
            continue;
        }
        let started = Instant::now();
        let mut flags = 0u8;
        let mut next = Some(first);
        while let Some(mut job) = next.take() {
            flags |= run_in_savepoint(conn, job.as_mut());
            batch.push(job);
            if batch.len() < BATCH_MAX && started.elapsed() < BATCH_TIME {
                next = jobs.try_recv().ok();
            }
        }
        let outcome = commit(conn);
        wakes.batch(batch.len());
        let kept = outcome.is_ok();
        for job in batch.drain(..) {
            job.finish(outcome.clone());
        }
        if kept {
            wakes.raise(flags);
        }
    }
    // Leave a tidy file behind: the next start has no log to replay.
    let _ = conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);");
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
    if !keep {
        let _ = savepoint("ROLLBACK TO job");
    }
    let _ = savepoint("RELEASE job");
    if keep { flags } else { 0 }
}

fn read_loop(conn: &rusqlite::Connection, reads: &Mutex<std_mpsc::Receiver<Box<dyn Job>>>) {
    loop {
        let next = match reads.lock() {
            Ok(queue) => queue.recv(),
            Err(_) => return,
        };
        let Ok(mut job) = next else { return };
        let outcome = conn.execute_batch("BEGIN").map_err(StoreError::from);
        if outcome.is_ok() {
            job.run(&mut Tx::new(Conn::Sqlite(conn)));
            let _ = conn.execute_batch("ROLLBACK");
        }
        job.finish(outcome);
    }
}
