//! Every line of SQL of the product, on SQLite and on PostgreSQL.
//!
//! [`Store::read`] and [`Store::write`] take a closure over one open transaction. A closure may run
//! twice, does no I/O but SQL, and stays short: on SQLite all writers share one thread.

pub mod admin_keys;
pub mod api_keys;
pub mod attempts;
pub mod audit;
pub mod balance;
pub mod bank_accounts;
#[cfg(feature = "bench")]
pub mod bench;
pub mod ceremonies;
pub mod challenges;
pub mod checkouts;
pub mod clients;
pub mod customers;
pub mod erasures;
pub mod error;
pub mod events;
pub mod exports;
pub mod fees;
pub mod figures;
pub mod gate_operations;
pub mod gate_tokens;
pub mod gate_transactions;
pub mod idempotency;
pub mod instance;
pub mod invites;
mod job;
pub mod jobs;
pub mod ledger;
pub mod ledger_verify;
pub mod memberships;
pub mod merchants;
pub mod migrate;
pub mod numbered_page;
pub mod offboarding;
pub mod page;
pub mod passkeys;
pub mod payment_methods;
pub mod payments;
pub mod payouts;
mod postgres;
pub mod providers;
pub mod refunds;
pub mod sandbox;
pub mod sandbox_payouts;
pub mod sessions;
pub mod settings_groups;
pub mod site_checkouts;
pub mod site_transactions;
pub mod sites;
mod sqlite;
pub mod storefronts;
pub mod system_settings;
pub mod test_clocks;
pub mod tx;
pub mod users;
mod wakes;
pub mod webhooks;

pub use error::StoreError;
pub use tx::{Tx, Wake};
pub use wakes::Wakes;

use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Closures that may wait for a PostgreSQL connection or an SQLite reader.
const WAITING: usize = 2_048;

/// Which database, and where.
#[derive(Clone, Debug)]
pub enum Location {
    /// The embedded engine on this file.
    Sqlite(PathBuf),
    /// A PostgreSQL address, and how many connections to hold.
    Postgres { url: String, connections: usize },
}

/// What opening may do to the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schema {
    Migrate,
    AsIs,
}

enum Backend {
    Sqlite(sqlite::Sqlite),
    Postgres(self::postgres::Postgres),
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    backend: Arc<Backend>,
    wakes: Arc<Wakes>,
    waiting: Arc<Semaphore>,
}

impl Store {
    /// Opens the database, makes it if need be, applies migrations and starts the threads. Blocks;
    /// call it before the async runtime has work to do.
    pub fn open(location: &Location) -> Result<Store, StoreError> {
        Store::start(location, Schema::Migrate)
    }

    /// The same for a database as it is: one that is missing, or that needs a migration, is refused.
    pub fn open_as_is(location: &Location) -> Result<Store, StoreError> {
        Store::start(location, Schema::AsIs)
    }

    fn start(location: &Location, schema: Schema) -> Result<Store, StoreError> {
        let wakes = Arc::new(Wakes::default());
        let backend = match location {
            Location::Sqlite(path) => {
                Backend::Sqlite(sqlite::Sqlite::start(path.clone(), schema, wakes.clone())?)
            }
            Location::Postgres { url, connections } => {
                // The driver runs a runtime of its own and must not start inside another one.
                let (url, connections, bells) = (url.clone(), *connections, wakes.clone());
                let started =
                    std::thread::spawn(move || postgres::Postgres::start(&url, schema, connections, &bells));
                let started =
                    started.join().map_err(|_| StoreError::Defect("the database thread died".to_owned()))?;
                Backend::Postgres(started?)
            }
        };
        Ok(Store { backend: Arc::new(backend), wakes, waiting: Arc::new(Semaphore::new(WAITING)) })
    }

    /// Whether this is the embedded engine: one process owns the file.
    pub fn is_embedded(&self) -> bool {
        matches!(*self.backend, Backend::Sqlite(_))
    }

    /// Empties the embedded engine's log, in which overwritten rows stay readable until it is reused. Waits for open
    /// transactions. On PostgreSQL that is the server's affair: its vacuum, and how long it keeps its log.
    pub async fn shed_log(&self) -> Result<(), StoreError> {
        let path = match &*self.backend {
            Backend::Sqlite(db) => db.path.clone(),
            Backend::Postgres(_) => return Ok(()),
        };
        let (done, outcome) = tokio::sync::oneshot::channel();
        sqlite::spawn("store-log", move || {
            let _ = done.send(sqlite::shed_log(&path));
        })?;
        outcome.await.map_err(|_| closed())?
    }

    /// Bells that commits ring for the workers.
    pub fn wakes(&self) -> &Wakes {
        &self.wakes
    }

    /// Runs `work` in a transaction that sees one state and changes nothing.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let _place = self.waiting.acquire().await.map_err(|_| closed())?;
        let (job, answer) = job::job(work);
        match &*self.backend {
            Backend::Sqlite(db) => db.readers.send(job).map_err(|_| closed())?,
            Backend::Postgres(db) => {
                db.queue.send(postgres::Work { job, writes: false }).map_err(|_| closed())?;
            }
        }
        answer.await.map_err(|_| closed())?
    }

    /// Runs `work` in a transaction and commits it. `Err` rolls back everything that it did. When
    /// this returns `Ok` the changes are on disk.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let (job, answer) = job::job(work);
        match &*self.backend {
            Backend::Sqlite(db) => db.writer.send(job).await.map_err(|_| closed())?,
            Backend::Postgres(db) => {
                let _place = self.waiting.acquire().await.map_err(|_| closed())?;
                db.queue.send(postgres::Work { job, writes: true }).map_err(|_| closed())?;
                return answer.await.map_err(|_| closed())?;
            }
        }
        answer.await.map_err(|_| closed())?
    }

    /// Waits until every thread has finished what it was given. Call it last: it consumes the handle,
    /// and returns at once when others still hold one.
    pub fn close(self) {
        let Ok(backend) = Arc::try_unwrap(self.backend) else { return };
        let threads = match backend {
            Backend::Sqlite(db) => db.threads,
            Backend::Postgres(db) => db.threads,
        };
        for thread in threads.into_inner().unwrap_or_default() {
            let _ = thread.join();
        }
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the database is shutting down".to_owned())
}
