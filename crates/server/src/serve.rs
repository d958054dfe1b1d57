//! `paymentgate serve`.

use crate::config::{Config, Database};
use crate::data_dir::{self, DatabaseLock, NodeIdentity};
use crate::gateway::{self, Gateway, GatewayOptions};
use crate::listeners::Limits;
use crate::{demo, logging, sealing_key};
use anyhow::Context;
use domain::id::NodeId;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use store::Store;
use tokio::signal::unix::{Signal, SignalKind, signal};
use workers::WorkerOptions;

/// Ends the process in the way that shells expect of Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Makes what a gateway keeps on this machine: its folder, its database file, its key file's folder.
pub(crate) fn prepare_files(config: &Config) -> anyhow::Result<()> {
    let shares_nothing = matches!(config.database, Database::Postgres(_)) && config.sealing_key_named;
    if !shares_nothing || config.demo {
        data_dir::prepare(&config.data_dir)?;
    }
    if let Database::Sqlite(path) = &config.database {
        data_dir::prepare_database_file(path)?;
    }
    Ok(())
}

/// Where the database grows: with PostgreSQL that is no disk of this machine that we know of.
fn watched_folder(config: &Config) -> Option<PathBuf> {
    match &config.database {
        Database::Sqlite(path) => Some(data_dir::parent(path).to_path_buf()),
        Database::Postgres(_) => None,
    }
}

fn options(config: &Config, sealing_key: crate::SealingKey, node: Option<NodeId>) -> GatewayOptions {
    let test_egress =
        outbound::Policy { allow_loopback: config.allow_loopback_webhooks, ..outbound::Policy::strict() };
    GatewayOptions {
        location: config.location(),
        sealing_key,
        api_listen: config.api_listen,
        admin_listen: config.admin_listen,
        public_listen: config.public_listen,
        stripe_listen: config.stripe_listen,
        api_url: config.api_url.clone(),
        public_url: config.public_url.clone(),
        admin_url: config.admin_url.clone(),
        panel_origin: config.panel_origin.clone(),
        passkey_name: config.passkey_name.clone(),
        trusted_proxies: config.trusted_proxies.clone(),
        window_limits: config.window_limits.clone(),
        health_token: config.health_token.clone(),
        watched_folder: watched_folder(config),
        engine: engine::Options {
            provider_deadline: config.provider_deadline,
            test_egress,
            live_egress: outbound::Policy::strict(),
            node,
            passkeys: None,
        },
        sandbox_settle_us: config.sandbox_settle_us,
        outbound: outbound::Client::new(),
        workers: WorkerOptions::default(),
        limits: Limits::default(),
        card_testing: config.card_testing,
    }
}

/// Serves until SIGTERM or Ctrl-C; a second one ends at once.
///
/// # Errors
/// Whatever keeps the gateway from starting.
pub(crate) async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    logging::start(config.log_format, &config.log_level);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    // Before anything else: a signal during the start is kept and ends the gateway after it.
    let mut signals = Signals::new().context("signals cannot be listened to")?;
    prepare_files(&config)?;
    let _lock = match &config.database {
        Database::Sqlite(path) => Some(DatabaseLock::take(path)?),
        Database::Postgres(_) => None,
    };
    let identity = match &config.database {
        Database::Postgres(_) if config.data_dir.is_dir() => NodeIdentity::take(&config.data_dir)?,
        Database::Postgres(_) | Database::Sqlite(_) => None,
    };
    let store = gateway::open(&config.location()).await?;
    let gateway = start(&config, store, identity.as_ref().map(|i| i.node)).await?;
    for (name, address) in &gateway.listening {
        tracing::info!("{} on http://{address}", name.replace("_listen", " listening"));
    }
    let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(version = crate::VERSION, database = %config.database, millis, "started");

    signals.next().await;
    tracing::info!("stopping: requests in flight are finished first; once more ends at once");
    tokio::select! {
        () = gateway.stop() => {
            tracing::info!("stopped");
            Ok(ExitCode::SUCCESS)
        }
        () = signals.next() => {
            tracing::warn!("ended at once; the next start finishes what is open");
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

async fn start(config: &Config, store: Store, node: Option<NodeId>) -> anyhow::Result<Gateway> {
    let key = sealing_key::for_database(&config.sealing_key_file, &store).await?;
    let gateway = gateway::start_with(store, options(config, key, node)).await?;
    if config.demo {
        let shop = demo::prepare(&gateway.engine, &config.data_dir, config.demo_tier).await?;
        print!("{}", demo::greeting(&gateway, &shop));
    }
    Ok(gateway)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
