//! The operator's commands. They work on a stopped gateway and beside a running one: SQLite lets one
//! writer after another, and what they change is in force within a second.

pub mod admins;
pub mod audit;
pub mod callbacks;
pub mod doctor;
pub mod fees;
pub mod keys;
pub mod ledger;
pub mod merchants;
pub mod migrate;
pub mod services;
pub mod system_keys;
mod values;

use crate::config::{Config, Database};
use crate::{gateway, sealing_key, serve};
use anyhow::{Context, anyhow, bail};
use connectors::Connectors;
use domain::id::{MerchantId, TypedId};
use engine::{Engine, Error};
use store::Store;

/// An engine's refusal in words for an operator.
pub(crate) fn tell(e: &Error) -> String {
    match e {
        Error::NotFound { kind, id } | Error::Missing { kind, id, .. } => format!("there is no {kind} {id}"),
        Error::Invalid { message, .. } => message.clone(),
        Error::NameTaken { param, name } => format!("the {param} {name} is taken; choose another"),
        Error::Limit { what, max } => format!("there may be at most {max} {what}; remove one first"),
        Error::Store(e) => e.to_string(),
        Error::Internal(text) => text.clone(),
        other => format!("refused: {other:?}"),
    }
}

fn refused(e: Error) -> anyhow::Error {
    anyhow!(tell(&e))
}

/// Refuses to make a database by accident, as with a wrong path.
fn must_exist(config: &Config) -> anyhow::Result<()> {
    if let Database::Sqlite(path) = &config.database
        && !path.exists()
    {
        bail!(
            "there is no database at {}; name the right one with --data-dir or --database, or make one with \
             `paymentgate serve` or `paymentgate merchants create`",
            path.display()
        );
    }
    Ok(())
}

/// Opens the database that exists.
async fn open_store(config: &Config) -> anyhow::Result<Store> {
    must_exist(config)?;
    gateway::open_as_is(&config.location()).await.with_context(|| config.database.to_string())
}

/// An engine for commands: no surfaces, no providers.
struct Office {
    engine: Engine,
    store: Store,
}

impl Office {
    /// On the database that exists.
    async fn open(config: &Config) -> anyhow::Result<Office> {
        Office::on(open_store(config).await?, config).await
    }

    /// The same; the database is made if it does not exist.
    async fn open_or_make(config: &Config) -> anyhow::Result<Office> {
        serve::prepare_files(config)?;
        let store = gateway::open(&config.location()).await.with_context(|| config.database.to_string())?;
        Office::on(store, config).await
    }

    async fn on(store: Store, config: &Config) -> anyhow::Result<Office> {
        let key = sealing_key::for_database(&config.sealing_key_file, &store).await?;
        // Where webhooks may really go is decided by the gateway that sends them.
        let test_egress = outbound::Policy { allow_loopback: true, ..outbound::Policy::strict() };
        let options = engine::Options { test_egress, ..engine::Options::default() };
        let connectors = Connectors::default();
        let engine = Engine::new(store.clone(), connectors, key.vault(), options, Vec::new()).await;
        Ok(Office { engine: engine.map_err(refused)?, store })
    }

    async fn close(self) {
        drop(self.engine);
        close(self.store).await;
    }
}

/// Waits for the database's threads, which leave a tidy file behind.
async fn close(store: Store) {
    let _ = tokio::task::spawn_blocking(move || store.close()).await;
}

fn merchant_id(text: &str) -> Result<MerchantId, String> {
    MerchantId::parse(text)
        .ok_or_else(|| "is not a merchant's id; `paymentgate merchants list` shows them".to_owned())
}
