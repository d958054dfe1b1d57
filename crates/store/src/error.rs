//! What can go wrong below the rules.

use postgres::error::Severity;

/// A failure of the database or of the code that speaks to it; never a refusal by a rule.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot serve now: full disk, lost connection, busy, read-only, shutting down.
    /// Nothing of the transaction is known to be stored; asking again later may work.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The connection ended. Before COMMIT this means that nothing is stored; within it, the store answers
    /// [`StoreError::Unavailable`] instead.
    #[error("the database is unavailable: {0}")]
    Disconnected(String),
    /// Others held the rows that it needs for too long; nothing was changed.
    #[error("the rows are locked by other transactions")]
    LockTimeout,
    /// A uniqueness rule refused a row.
    #[error("a row with this key exists: {0}")]
    Conflict(String),
    /// Another transaction won; the closure is run again by the store itself.
    #[error("the transaction must be repeated")]
    Retry,
    /// A statement or row that the code cannot have meant: a defect.
    #[error("database defect: {0}")]
    Defect(String),
}

impl StoreError {
    /// The database is away or cannot write: the same request may work later. Else asking again does not help.
    pub fn is_passing(&self) -> bool {
        !matches!(self, StoreError::Conflict(_) | StoreError::Defect(_))
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(e: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as C;
        match e.sqlite_error_code() {
            Some(C::ConstraintViolation) if e.to_string().contains("UNIQUE") => {
                StoreError::Conflict(e.to_string())
            }
            Some(
                C::DatabaseBusy
                | C::DatabaseLocked
                | C::DiskFull
                | C::ReadOnly
                | C::SystemIoFailure
                | C::CannotOpen
                | C::OutOfMemory
                // A read that took too long.
                | C::OperationInterrupted,
            ) => StoreError::Unavailable(e.to_string()),
            _ => StoreError::Defect(e.to_string()),
        }
    }
}

impl From<postgres::Error> for StoreError {
    fn from(e: postgres::Error) -> Self {
        let Some(db) = e.as_db_error() else {
            // A value of a type that was not expected is a defect of ours, on a connection that is well; whatever else
            // the driver says without the server is about the connection.
            return match std::error::Error::source(&e) {
                Some(cause) if !cause.is::<std::io::Error>() && !e.is_closed() => {
                    StoreError::Defect(format!("{e}: {cause}"))
                }
                _ => StoreError::Disconnected(e.to_string()),
            };
        };
        // Why the session ends, in the words of the server or of a pooler in between, which leaves out the field that
        // is in English everywhere.
        let ends = matches!(db.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
        if ends || matches!(db.severity(), "FATAL" | "PANIC") {
            return StoreError::Disconnected(db.to_string());
        }
        match db.code().code() {
            "40001" | "40P01" => StoreError::Retry,
            "55P03" => StoreError::LockTimeout,
            "23505" => StoreError::Conflict(db.constraint().unwrap_or("unique").to_owned()),
            // Connection, resource and shutdown classes, and a read-only server.
            code if ["08", "53", "57", "58"].contains(&&code[..2]) || code == "25006" => {
                StoreError::Unavailable(db.to_string())
            }
            _ => StoreError::Defect(format!("{} ({})", db.message(), db.code().code())),
        }
    }
}
