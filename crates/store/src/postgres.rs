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
/// How long what was sent may stay without an acknowledgement, unless the address says otherwise. A firewall that has
/// forgotten an idle connection answers nothing, and without a bound each thread would wait for minutes.
const SILENCE: Duration = Duration::from_secs(10);
/// The longest idle time after which the other end is asked whether it is there: shorter than firewalls remember.
const KEEPALIVE: Duration = Duration::from_secs(60);

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
    let client = match config.get_ssl_mode() {
        postgres::config::SslMode::Require => config.connect(tls()?),
        _ => config.connect(postgres::NoTls),
    };
    let mut client = client.map_err(|e| {
        StoreError::Unavailable(match (e.as_db_error(), std::error::Error::source(&e)) {
            (Some(db), _) => db.message().to_owned(),
            (None, Some(cause)) => format!("{e}: {cause}"),
            (None, None) => e.to_string(),
        })
    })?;
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
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE);
    }
    if config.get_keepalives_idle() > KEEPALIVE {
        config.keepalives_idle(KEEPALIVE);
    }
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
        let outcome = serve(config, &mut connection, job.as_mut(), writes.then_some(wakes));
        job.finish(outcome);
    }
}

/// Runs a closure on the connection at hand, or on a new one.
///
/// A connection that has lain idle may be dead without our knowing: the server was restarted, or
/// something in between ended it. That is no answer to the caller, so the closure is run once more on a
/// new connection. This is right for writes too, because COMMIT was not sent.
fn serve(
    config: &postgres::Config,
    connection: &mut Option<PgConn>,
    job: &mut dyn Job,
    wakes: Option<&Wakes>,
) -> Result<(), StoreError> {
    let mut kept = connection.take().filter(|c| !c.client.is_closed());
    loop {
        let was_kept = kept.is_some();
        let mut conn = match kept.take() {
            Some(conn) => conn,
            None => connect(config)?,
        };
        let outcome = match wakes {
            Some(wakes) => write(&mut conn, job, wakes),
            None => read(&mut conn, job),
        };
        match outcome {
            Err(StoreError::Disconnected(_)) if was_kept => {}
            Err(StoreError::Disconnected(_) | StoreError::Unavailable(_)) => return outcome,
            _ => {
                *connection = Some(conn);
                return outcome;
            }
        }
    }
}

fn read(conn: &mut PgConn, job: &mut dyn Job) -> Result<(), StoreError> {
    conn.client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    let mut tx = Tx::new(Conn::Postgres(conn));
    job.run(&mut tx);
    if let Some(lost) = tx.lost {
        return Err(lost);
    }
    // The closure has what it read: an end of the connection is the next one's affair.
    let _ = conn.client.batch_execute("ROLLBACK");
    Ok(())
}

fn write(conn: &mut PgConn, job: &mut dyn Job, wakes: &Wakes) -> Result<(), StoreError> {
    for attempt in 0..=RETRIES {
        conn.client.batch_execute("BEGIN")?;
        let mut tx = Tx::new(Conn::Postgres(conn));
        let keep = job.run(&mut tx);
        let (retry, failed, flags) = (tx.retry, tx.failed, tx.wakes);
        if let Some(lost) = tx.lost {
            return Err(lost);
        }
        if keep && failed && !retry {
            conn.client.batch_execute("ROLLBACK")?;
            return Err(StoreError::Defect("a closure went on after a statement had failed".to_owned()));
        }
        let outcome = if keep && !retry {
            conn.client.batch_execute("COMMIT").map_err(|e| match StoreError::from(e) {
                // Whether it is stored is not known, so it must not be run again.
                StoreError::Disconnected(why) => StoreError::Unavailable(why),
                other => other,
            })
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
