//! Taking down the statements that a database thread runs.
//!
//! On the embedded engine every write of a store runs on the store's one writer thread, so a recording
//! that is kept by that thread holds what this store wrote and nothing of other stores in the process.

use crate::error::StoreError;
use crate::tx::{Conn, Param, Tx};
use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

/// A bound value, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
    Id([u8; 12]),
}

impl Value {
    pub(crate) fn param(&self) -> Param<'_> {
        match self {
            Value::Null => Param::Null,
            Value::Int(n) => Param::Int(*n),
            Value::Text(text) => Param::Text(text),
            Value::Blob(bytes) => Param::Blob(bytes),
            Value::Id(id) => Param::Id(*id),
        }
    }
}

impl From<&Param<'_>> for Value {
    fn from(param: &Param<'_>) -> Value {
        match param {
            Param::Null => Value::Null,
            Param::Int(n) => Value::Int(*n),
            Param::Text(text) => Value::Text((*text).to_owned()),
            Param::Blob(bytes) => Value::Blob(bytes.to_vec()),
            Param::Id(id) => Value::Id(*id),
        }
    }
}

/// A statement that changed rows.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub sql: String,
    pub values: Vec<Value>,
}

thread_local! {
    static KEPT: RefCell<Option<(i64, Vec<Vec<Statement>>)>> = const { RefCell::new(None) };
}

fn micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Tells the thread's recording, if there is one, that a closure begins.
pub(crate) fn closure_begins() {
    KEPT.with_borrow_mut(|kept| {
        if let Some((_, closures)) = kept {
            closures.push(Vec::new());
        }
    });
}

/// Tells the thread's recording, if there is one, of a statement. One that changed nothing wrote
/// nothing, and is not part of what a payment writes.
pub(crate) fn note(sql: &str, params: &[Param<'_>], changed: u64) {
    if changed == 0 {
        return;
    }
    KEPT.with_borrow_mut(|kept| {
        if let Some(last) = kept.as_mut().and_then(|(_, closures)| closures.last_mut()) {
            last.push(Statement { sql: sql.to_owned(), values: params.iter().map(Value::from).collect() });
        }
    });
}

/// What a store wrote between two instants.
pub struct Recording {
    /// UTC microseconds.
    pub(crate) started: i64,
    pub(crate) ended: i64,
    /// Statements by the closure that ran them; closures that wrote nothing are left out.
    pub(crate) closures: Vec<Vec<Statement>>,
}

impl Recording {
    /// Starts recording on the thread of this transaction. Nothing else may write to the store until
    /// [`Recording::take`].
    ///
    /// # Errors
    /// [`StoreError::Defect`] on PostgreSQL, where closures run on many threads.
    pub fn start(tx: &mut Tx<'_>) -> Result<(), StoreError> {
        if matches!(tx.conn, Conn::Postgres(_)) {
            return Err(StoreError::Defect("statements are recorded on the embedded engine only".to_owned()));
        }
        KEPT.set(Some((micros(), Vec::new())));
        Ok(())
    }

    /// Ends the recording of this thread.
    ///
    /// # Errors
    /// [`StoreError::Defect`] when there is none.
    pub fn take(_: &mut Tx<'_>) -> Result<Recording, StoreError> {
        let (started, closures) =
            KEPT.take().ok_or_else(|| StoreError::Defect("there is no recording".to_owned()))?;
        let closures = closures.into_iter().filter(|statements| !statements.is_empty()).collect();
        Ok(Recording { started, ended: micros(), closures })
    }
}
