//! `paymentgate system-keys`.

use super::values::{mode, row, show_time, table};
use super::{Office, refused};
use crate::cli::StorageFlags;
use anyhow::bail;
use clap::{Args, Subcommand};
use domain::admin_key::NETWORKS_MAX;
use domain::id::{AdminKeyId, Core, TypedId};
use domain::network::Network;
use domain::scope::Mode;
use engine::admin_keys::{NewAdminKey, system_grants};
use std::process::ExitCode;

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make a key for the Admin API that administers the whole instance and print it, this once
    Create(Create),
    /// List system keys, without their secret part
    List(StorageFlags),
    /// Revoke a system key; running gateways refuse it within a second
    Revoke(Revoke),
}

#[derive(Args, Debug)]
pub struct Create {
    /// What the key is for, so that you recognise it later
    name: String,
    /// Mode of the objects that it names within an organisation: test or live
    #[arg(long, default_value = "test", value_parser = mode)]
    mode: Mode,
    /// Address or network that it may be used from, such as 203.0.113.0/24; can be given several times;
    /// from anywhere if never
    #[arg(long = "from", value_name = "NETWORK", value_parser = network)]
    networks: Vec<Network>,
    #[command(flatten)]
    storage: StorageFlags,
}

#[derive(Args, Debug)]
pub struct Revoke {
    /// Id of the key, 24 hexadecimal digits, as `paymentgate system-keys list` shows it
    #[arg(value_parser = key_id)]
    key: AdminKeyId,
    #[command(flatten)]
    storage: StorageFlags,
}

/// Longest name of a key, in characters.
const NAME_MAX: usize = 100;

fn network(text: &str) -> Result<Network, String> {
    Network::parse(text).map_err(|e| e.to_string())
}

fn key_id(text: &str) -> Result<AdminKeyId, String> {
    Core::parse_hex(text).map(AdminKeyId::from_core).ok_or_else(|| {
        "is not a system key's id (24 hexadecimal digits); `paymentgate system-keys list` shows them. Do not give \
         the key itself"
            .to_owned()
    })
}

pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Create(create) => make(create).await?,
        Command::List(storage) => show(&storage).await?,
        Command::Revoke(revoke) => end(&revoke).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn make(create: Create) -> anyhow::Result<()> {
    let name = create.name.trim();
    if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        bail!("the name must have 1 to {NAME_MAX} characters, and no control characters");
    }
    if create.networks.len() > NETWORKS_MAX {
        bail!("--from can be given at most {NETWORKS_MAX} times");
    }
    let office = Office::open(&create.storage.load()?).await?;
    let new = NewAdminKey {
        name: name.to_owned(),
        mode: create.mode,
        grants: system_grants(),
        networks: create.networks,
    };
    let (key, text) = office.engine.create_admin_key(None, None, new).await.map_err(refused)?;
    eprintln!(
        "System key {} in {} mode, for every organisation. Keep it: it is not shown again.",
        key.id.0.hex(),
        key.mode
    );
    println!("{text}");
    office.close().await;
    Ok(())
}

async fn show(storage: &StorageFlags) -> anyhow::Result<()> {
    let office = Office::open(&storage.load()?).await?;
    let mut rows = vec![row(["ID", "KEY", "NAME", "FROM", "CREATED (UTC)", "LAST USED", "STATE"])];
    for key in office.engine.admin_keys(None).await.map_err(refused)? {
        let shown = format!("sk_{}_{}....{}", key.mode, key.id.0.hex(), key.last4);
        let from = match key.networks.len() {
            0 => "anywhere".to_owned(),
            _ => key.networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        };
        let used = key.last_used_at.map_or_else(|| "never".to_owned(), show_time);
        let state = match key.revoked_at {
            Some(at) => format!("revoked {}", show_time(at)),
            None => "valid".to_owned(),
        };
        let (id, made) = (key.id.0.hex(), show_time(key.created_at));
        rows.push(row([&id, &shown, &key.name, &from, &made, &used, &state]));
    }
    print!("{}", table(&rows));
    office.close().await;
    Ok(())
}

async fn end(revoke: &Revoke) -> anyhow::Result<()> {
    let office = Office::open(&revoke.storage.load()?).await?;
    let id = revoke.key.0.hex();
    let keys = office.engine.admin_keys(None).await.map_err(refused)?;
    if !keys.iter().any(|key| key.id == revoke.key && key.revoked_at.is_none()) {
        bail!(
            "there is no valid system key {id}; `paymentgate system-keys list` shows which are revoked already"
        );
    }
    office.engine.revoke_admin_key(None, None, revoke.key).await.map_err(refused)?;
    println!("{id} is revoked.");
    office.close().await;
    Ok(())
}
