//! The networked engine: a pool of plain threads, each with one blocking connection.
//!
//! Writes run at READ COMMITTED with explicit row locks; a serialisation failure or deadlock repeats
//! the closure a bounded number of times. Reads run in a read-only snapshot, so that the several
//! statements of one read see one state.

use crate::Schema;
use crate::error::StoreError;
use crate::job::Job;
use crate::migrate;
use crate::sqlite::spawn;
use crate::tx::{Conn, PgConn, Tx};
use crate::wakes::Wakes;
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How often a closure that lost a race is repeated.
const RETRIES: u32 = 8;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A closure and whether it writes.
pub(crate) struct Work {
    pub job: Box<dyn Job>,
    pub writes: bool,
}

pub(crate) struct Postgres {
    pub queue: Sender<Work>,
    pub threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
}

pub(crate) fn connect(config: &postgres::Config) -> Result<PgConn, StoreError> {
    // With `sslmode=require` the server must prove its name; otherwise the connection is plain, which
    // is for loopback and private networks.
    let mut client = match config.get_ssl_mode() {
        postgres::config::SslMode::Require => config.connect(tls()?)?,
        _ => config.connect(postgres::NoTls)?,
    };
    client.batch_execute(
        "SET synchronous_commit = on; SET statement_timeout = '30s'; SET lock_timeout = '10s';
         SET idle_in_transaction_session_timeout = '60s'; SET client_min_messages = warning;",
    )?;
    Ok(PgConn { client, statements: HashMap::new() })
}

pub(crate) fn config(url: &str) -> Result<postgres::Config, StoreError> {
    let mut config: postgres::Config = url
        .parse()
        .map_err(|e| StoreError::Unavailable(format!("the database address is not valid: {e}")))?;
    config.connect_timeout(CONNECT_TIMEOUT).application_name("paymentgate");
    Ok(config)
}

/// TLS by the public certificate authorities.
fn tls() -> Result<tokio_postgres_rustls::MakeRustlsConnect, StoreError> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| StoreError::Defect(format!("TLS cannot be set up: {e}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(tokio_postgres_rustls::MakeRustlsConnect::new(config))
}

impl Postgres {
    /// Connects, applies migrations and starts `threads` workers.
    pub fn start(
        url: &str,
        schema: Schema,
        threads: usize,
        wakes: &Arc<Wakes>,
    ) -> Result<Postgres, StoreError> {
        let config = config(url)?;
        migrate::postgres(&mut connect(&config)?.client, schema)?;
        #[allow(
            clippy::disallowed_methods,
            reason = "bounded by the semaphore in Store: a full queue must wait, not block a runtime thread"
        )]
        let (queue, works) = channel::<Work>();
        let works = Arc::new(Mutex::new(works));
        let mut handles = Vec::with_capacity(threads);
        for i in 0..threads {
            let (config, works, wakes) = (config.clone(), works.clone(), wakes.clone());
            handles.push(spawn(&format!("store-pg-{i}"), move || work_loop(&config, &works, &wakes))?);
        }
        Ok(Postgres { queue, threads: Mutex::new(handles) })
    }
}

fn work_loop(config: &postgres::Config, works: &Mutex<Receiver<Work>>, wakes: &Wakes) {
    let mut connection: Option<PgConn> = None;
    loop {
        let next = match works.lock() {
            Ok(queue) => queue.recv(),
            Err(_) => return,
        };
        let Ok(Work { mut job, writes }) = next else { return };
        let conn = match connection.take().filter(|c| !c.client.is_closed()) {
            Some(conn) => Ok(conn),
            None => connect(config),
        };
        match conn {
            Err(e) => job.finish(Err(e)),
            Ok(mut conn) => {
                let outcome = if writes {
                    write(&mut conn, job.as_mut(), wakes)
                } else {
                    read(&mut conn, job.as_mut())
                };
                if !matches!(outcome, Err(StoreError::Unavailable(_))) {
                    connection = Some(conn);
                }
                job.finish(outcome);
            }
        }
    }
}

fn read(conn: &mut PgConn, job: &mut dyn Job) -> Result<(), StoreError> {
    conn.client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    job.run(&mut Tx::new(Conn::Postgres(conn)));
    conn.client.batch_execute("ROLLBACK")?;
    Ok(())
}

fn write(conn: &mut PgConn, job: &mut dyn Job, wakes: &Wakes) -> Result<(), StoreError> {
    for attempt in 0..=RETRIES {
        conn.client.batch_execute("BEGIN")?;
        let mut tx = Tx::new(Conn::Postgres(conn));
        let keep = job.run(&mut tx);
        let (retry, failed, flags) = (tx.retry, tx.failed, tx.wakes);
        if keep && failed && !retry {
            conn.client.batch_execute("ROLLBACK")?;
            return Err(StoreError::Defect("a closure went on after a statement had failed".to_owned()));
        }
        let outcome = if keep && !retry {
            conn.client.batch_execute("COMMIT").map_err(StoreError::from)
        } else {
            conn.client.batch_execute("ROLLBACK").map_err(StoreError::from)
        };
        match outcome {
            Ok(()) if !retry => {
                if keep {
                    wakes.raise(flags);
                }
                return Ok(());
            }
            Ok(()) | Err(StoreError::Retry) if attempt < RETRIES => {
                std::thread::sleep(Duration::from_millis(1 << attempt.min(5)));
            }
            Ok(()) | Err(StoreError::Retry) => break,
            Err(e) => {
                let _ = conn.client.batch_execute("ROLLBACK");
                return Err(e);
            }
        }
    }
    Err(StoreError::LockTimeout)
}
