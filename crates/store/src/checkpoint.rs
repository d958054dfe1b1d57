//! Moves what was committed from SQLite's log into the database file, beside the writer.
//!
//! Left to itself SQLite does it within a COMMIT, and everyone who waits for the writer waits for two more syncs and
//! thousands of pages. Here a thread of its own does nearly all of it. It cannot do the last bit: the log begins anew
//! only when all of it has been moved, and the writer never rests. So once the thread is through, the writer moves
//! what has come since, which is little, between two commits.

use crate::error::StoreError;
use crate::sqlite::{open, spawn};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Frames in the log, each of one page, at which they are moved: 16 MiB.
const FRAMES: i32 = 4_000;
/// Frames that are few enough for the writer.
const FEW: i32 = 256;
/// Sweeps in a row; each leaves what was committed during it.
const SWEEPS: u32 = 3;

/// The log as its writer sees it.
pub(crate) struct Log {
    /// In the log after the last commit.
    frames: Arc<AtomicI32>,
    /// When the next sweep begins. Beyond [`FRAMES`] while a long read keeps the log from beginning anew.
    due_at: i32,
    begin: Option<SyncSender<()>>,
    sweeping: bool,
    swept: Arc<AtomicBool>,
    sweeper: Option<JoinHandle<()>>,
}

impl Log {
    /// Takes checkpoints over from SQLite. `conn` is the writer's.
    pub fn watch(conn: &mut rusqlite::Connection, path: &Path) -> Result<Log, StoreError> {
        let frames = Arc::new(AtomicI32::new(0));
        let counted = frames.clone();
        conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            counted.store(pages, Ordering::Relaxed);
            Ok(())
        }))?;
        let own = open(path, true)?;
        own.execute_batch("PRAGMA wal_autocheckpoint = 0;")?;
        // Never closed: closing any handle on a file gives up every lock that the process holds on it.
        let file: &File = Box::leak(Box::new(File::open(path).map_err(|e| StoreError::Unavailable(e.to_string()))?));
        let (begin, asked) = sync_channel(1);
        let swept = Arc::new(AtomicBool::new(false));
        let (done, length) = (swept.clone(), frames.clone());
        let sweeper = spawn("store-sweeper", move || {
            while asked.recv().is_ok() {
                sweep(&own, file, &length);
                done.store(true, Ordering::Release);
            }
        })?;
        Ok(Log { frames, due_at: FRAMES, begin: Some(begin), sweeping: false, swept, sweeper: Some(sweeper) })
    }

    /// Has the log swept when it is long, and finishes what the sweeper has left. To be called after each commit.
    pub fn committed(&mut self, conn: &rusqlite::Connection) {
        let frames = self.frames.load(Ordering::Relaxed);
        if self.sweeping {
            if self.swept.swap(false, Ordering::Acquire) {
                // A failure leaves the log as it is, which loses nothing; the next turn tries again.
                let _ = checkpoint(conn);
                (self.sweeping, self.due_at) = (false, frames.saturating_add(FRAMES));
            }
        } else if frames >= self.due_at {
            self.sweeping = self.begin.as_ref().is_some_and(|begin| begin.try_send(()).is_ok());
        } else if frames < FRAMES {
            self.due_at = FRAMES;
        }
    }

    /// Ends the sweeper and leaves a tidy file behind: the next start has no log to replay.
    pub fn close(&mut self, conn: &rusqlite::Connection) {
        self.begin = None;
        if let Some(sweeper) = self.sweeper.take() {
            let _ = sweeper.join();
        }
        let _ = conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);");
    }
}

/// Moves the log until little of it is left. `file`: the database once more, to sync it.
fn sweep(conn: &rusqlite::Connection, file: &File, frames: &AtomicI32) {
    for _ in 0..SWEEPS {
        let Some(moved) = checkpoint(conn) else { return };
        // While the writer goes on, SQLite writes the pages but does not sync them: that would fall to the writer.
        if file.sync_data().is_err() || frames.load(Ordering::Relaxed).saturating_sub(moved) <= FEW {
            return;
        }
    }
}

/// Moves as much of the log as readers allow. How many of its frames are moved now; `None` when it failed.
fn checkpoint(conn: &rusqlite::Connection) -> Option<i32> {
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A writer's connection on a new file, and its log.
    fn writer(dir: &Path) -> (rusqlite::Connection, Log) {
        let path = dir.join("log.db");
        let mut conn = open(&path, true).expect("a database");
        conn.execute_batch("PRAGMA synchronous = OFF; CREATE TABLE t (n INTEGER PRIMARY KEY, filler TEXT)")
            .expect("a table");
        let log = Log::watch(&mut conn, &path).expect("a log");
        (conn, log)
    }

    fn write(conn: &rusqlite::Connection, n: i64) {
        conn.execute("INSERT INTO t VALUES (?1, ?2)", (n, "x".repeat(3_000))).expect("a row");
    }

    #[test]
    fn a_writer_that_never_rests_has_a_log_that_begins_anew() {
        let dir = tempfile::tempdir().expect("a directory");
        let (conn, mut log) = writer(dir.path());
        let (mut longest, mut begun_anew, mut before) = (0, 0, 0);
        for n in 0..30_000 {
            write(&conn, n);
            log.committed(&conn);
            let frames = log.frames.load(Ordering::Relaxed);
            begun_anew += u32::from(frames < before);
            (longest, before) = (longest.max(frames), frames);
        }
        assert!(begun_anew > 0, "the log only grew: {longest} frames");
        log.close(&conn);
        let rows: i64 = conn.query_row("SELECT COUNT(*) FROM t", [], |r| r.get(0)).expect("a count");
        assert_eq!(rows, 30_000);
        assert_eq!(std::fs::metadata(dir.path().join("log.db-wal")).expect("the log").len(), 0);
    }

    #[test]
    fn a_long_read_holds_the_log_back_and_no_longer() {
        let dir = tempfile::tempdir().expect("a directory");
        let (conn, mut log) = writer(dir.path());
        let reader = open(&dir.path().join("log.db"), false).expect("a reader");
        reader.execute_batch("BEGIN; SELECT COUNT(*) FROM t;").expect("a read");
        let mut n = 0;
        let mut until = |log: &mut Log, reached: &dyn Fn(&Log) -> bool| {
            while !reached(log) {
                assert!(n < 300_000, "{} frames", log.frames.load(Ordering::Relaxed));
                write(&conn, n);
                log.committed(&conn);
                n += 1;
            }
        };
        // Swept, but not begun anew: the reader still needs it.
        until(&mut log, &|log| log.due_at > FRAMES);
        assert!(log.frames.load(Ordering::Relaxed) >= FRAMES);
        reader.execute_batch("ROLLBACK").expect("the read ends");
        until(&mut log, &|log| log.frames.load(Ordering::Relaxed) < FRAMES);
        log.close(&conn);
    }
}
