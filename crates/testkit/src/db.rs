//! A fresh database for one test.

use std::path::PathBuf;
use store::{Location, Store};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

/// A database that is removed when this is dropped.
pub struct Db {
    pub kind: Kind,
    dir: tempfile::TempDir,
    /// Name of the database on the test cluster.
    name: Option<String>,
}

/// The address of the cluster that the test command started.
fn cluster() -> String {
    std::env::var("PAYMENTGATE_TEST_POSTGRES").unwrap_or_else(|_| {
        panic!(
            "PAYMENTGATE_TEST_POSTGRES is not set: run the tests with `cargo xtask test`, or start a cluster with \
             `cargo xtask pg` and export the line that it prints"
        )
    })
}

/// Runs one statement on the cluster's own database, off the async runtime.
fn administer(sql: String) {
    let run = move || {
        let mut client =
            postgres::Client::connect(&cluster(), postgres::NoTls).expect("the test cluster answers");
        client.batch_execute(&sql).expect("the statement runs");
    };
    std::thread::spawn(run).join().expect("the thread ends");
}

impl Db {
    pub async fn new(kind: Kind) -> Db {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let name = (kind == Kind::Postgres).then(|| {
            let name = format!("t_{}", engine::ids::secret_text(20).to_lowercase());
            administer(format!("CREATE DATABASE {name}"));
            name
        });
        Db { kind, dir, name }
    }

    /// A directory for the test's own files.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// The database as `--database` names it.
    pub fn address(&self) -> String {
        match &self.name {
            None => self.dir.path().join("paymentgate.db").display().to_string(),
            Some(name) => {
                let cluster = cluster();
                let (base, _) = cluster.rsplit_once('/').expect("an address with a database");
                format!("{base}/{name}")
            }
        }
    }

    pub fn location(&self) -> Location {
        match self.kind {
            Kind::Sqlite => Location::Sqlite(self.dir.path().join("paymentgate.db")),
            Kind::Postgres => Location::Postgres { url: self.address(), connections: 8 },
        }
    }

    /// Opens the database.
    pub fn open(&self) -> Store {
        Store::open(&self.location()).expect("the database opens")
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            administer(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}
