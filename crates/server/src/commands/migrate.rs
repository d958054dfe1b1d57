//! `paymentgate migrate`.

use super::close;
use crate::config::{Config, Database};
use crate::{gateway, sealing_key, serve};
use anyhow::Context;
use std::process::ExitCode;
use store::migrate::MIGRATIONS;

/// Brings the database up to date, as `serve` does at its start, and says where it stands.
pub(crate) async fn run(config: &Config) -> anyhow::Result<ExitCode> {
    let new = matches!(&config.database, Database::Sqlite(path) if !path.exists());
    serve::prepare_files(config)?;
    let store = gateway::open(&config.location()).await.with_context(|| config.database.to_string())?;
    sealing_key::for_database(&config.sealing_key_file, &store).await?;
    println!("{} the database {}.", if new { "Made" } else { "Checked" }, config.database);
    for (number, name, _) in MIGRATIONS {
        println!("  {number:04} {name}: applied");
    }
    println!("It is up to date for paymentgate {}.", crate::VERSION);
    close(store).await;
    Ok(ExitCode::SUCCESS)
}
