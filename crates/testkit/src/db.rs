//! A fresh database for one test.

use crate::cluster::Cluster;
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
    /// Address of its cluster, and its name there.
    name: Option<(String, String)>,
    own_cluster: bool,
}

/// The address of the cluster that the test command started, without the name of a database.
fn cluster() -> String {
    let url = std::env::var("PAYMENTGATE_TEST_POSTGRES").unwrap_or_else(|_| {
        panic!(
            "PAYMENTGATE_TEST_POSTGRES is not set: run the tests with `cargo xtask test`, or start a cluster with \
             `cargo xtask pg` and export the line that it prints"
        )
    });
    url.rsplit_once('/').expect("an address with a database").0.to_owned()
}

/// Runs one statement on the cluster's own database, off the async runtime.
fn administer(cluster: &str, sql: String) {
    let url = format!("{cluster}/postgres");
    let run = move || {
        let mut client = postgres::Client::connect(&url, postgres::NoTls).expect("the test cluster answers");
        client.batch_execute(&sql).expect("the statement runs");
    };
    std::thread::spawn(run).join().expect("the thread ends");
}

/// Whether a server lets somebody in, asked off the async runtime.
pub(crate) fn connects(url: &str) -> bool {
    let url = url.to_owned();
    let ask = move || postgres::Client::connect(&url, postgres::NoTls).is_ok();
    std::thread::spawn(ask).join().expect("the thread ends")
}

impl Db {
    pub async fn new(kind: Kind) -> Db {
        Db::in_cluster((kind == Kind::Postgres).then(cluster), false)
    }

    /// A database on a cluster of the test's own, which must outlive it.
    pub fn on(cluster: &Cluster) -> Db {
        Db::in_cluster(Some(cluster.base()), true)
    }

    fn in_cluster(cluster: Option<String>, own_cluster: bool) -> Db {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let kind = if cluster.is_some() { Kind::Postgres } else { Kind::Sqlite };
        let name = cluster.map(|cluster| {
            let name = format!("t_{}", engine::ids::secret_text(20).to_lowercase());
            administer(&cluster, format!("CREATE DATABASE {name}"));
            (cluster, name)
        });
        Db { kind, dir, name, own_cluster }
    }

    /// A directory for the test's own files.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// The database as `--database` names it.
    pub fn address(&self) -> String {
        match &self.name {
            None => self.dir.path().join("paymentgate.db").display().to_string(),
            Some((cluster, name)) => format!("{cluster}/{name}"),
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
        // A cluster of the test's own goes as a whole, and may be down by now.
        if let Some((cluster, name)) = self.name.take().filter(|_| !self.own_cluster) {
            administer(&cluster, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}
