//! `paymentgate keys`.

use super::values::{mode, row, show_time, span, table};
use super::{Office, merchant_id, refused};
use crate::cli::StorageFlags;
use anyhow::bail;
use clap::{Args, Subcommand};
use domain::id::{ApiKeyId, MerchantId, TypedId};
use domain::limits::KEY_OVERLAP_US;
use domain::merchant::KeyKind;
use domain::scope::{Mode, Scope};
use domain::time::{DAY, HOUR, MICROS, MINUTE};
use std::process::ExitCode;

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make a key and print it: it is shown this once and never again
    Create(Create),
    /// List keys, without their secret part
    List(List),
    /// Make a key that follows another one and print it, this once; the old one ends at once or after --overlap
    Rotate(Rotate),
    /// Revoke a key; running gateways refuse it within a second
    Revoke(Revoke),
}

#[derive(Args, Debug)]
pub struct Create {
    /// Merchant, acct_...
    #[arg(value_parser = merchant_id)]
    merchant: MerchantId,
    /// Which mode the key works in: test or live
    #[arg(long, default_value = "test", value_parser = mode)]
    mode: Mode,
    /// secret: for servers, does everything. publishable: for browsers, can only tokenise and confirm
    #[arg(long, default_value = "secret", value_parser = kind)]
    kind: KeyKind,
    /// What the key is for, so that you recognise it later
    #[arg(long, default_value = "")]
    name: String,
    #[command(flatten)]
    storage: StorageFlags,
}

#[derive(Args, Debug)]
pub struct List {
    /// Only the keys of this merchant, acct_...
    #[arg(value_parser = merchant_id)]
    merchant: Option<MerchantId>,
    #[command(flatten)]
    storage: StorageFlags,
}

#[derive(Args, Debug)]
pub struct Revoke {
    /// Id of the key, key_..., as `paymentgate keys list` shows it
    #[arg(value_parser = key_id)]
    key: ApiKeyId,
    #[command(flatten)]
    storage: StorageFlags,
}

#[derive(Args, Debug)]
pub struct Rotate {
    /// Id of the key, key_..., as `paymentgate keys list` shows it
    #[arg(value_parser = key_id)]
    key: ApiKeyId,
    /// How long the old key works on: 0, or seconds, minutes, hours or days such as 60s, 15m, 24h or 7d (at most 7d)
    #[arg(long, value_name = "SPAN", value_parser = overlap)]
    overlap: i64,
    #[command(flatten)]
    storage: StorageFlags,
}

/// Longest name of a key, in characters.
const NAME_MAX: usize = 100;

fn kind(text: &str) -> Result<KeyKind, String> {
    match text {
        "secret" => Ok(KeyKind::Secret),
        "publishable" => Ok(KeyKind::Publishable),
        _ => Err("must be secret or publishable".to_owned()),
    }
}

fn key_id(text: &str) -> Result<ApiKeyId, String> {
    ApiKeyId::parse(text).ok_or_else(|| {
        "is not a key's id (key_...); `paymentgate keys list` shows them. Do not give the key itself"
            .to_owned()
    })
}

fn overlap(text: &str) -> Result<i64, String> {
    let micros = match text {
        "0" => Some(0),
        text => span(text, &[('s', MICROS), ('m', MINUTE), ('h', HOUR), ('d', DAY)]),
    };
    micros.filter(|us| *us <= KEY_OVERLAP_US).ok_or_else(|| {
        "must be 0 or a number with s, m, h or d, such as 60s or 24h, and at most 7d".to_owned()
    })
}

pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Create(create) => make(create).await?,
        Command::List(list) => show(list).await?,
        Command::Rotate(rotate) => follow(rotate).await?,
        Command::Revoke(revoke) => end(revoke).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn make(create: Create) -> anyhow::Result<()> {
    if create.name.chars().count() > NAME_MAX || create.name.chars().any(char::is_control) {
        bail!("--name must have at most {NAME_MAX} characters, and no control characters");
    }
    let office = Office::open(&create.storage.load()?).await?;
    let merchant = office.engine.merchant(create.merchant).await.map_err(refused)?;
    let scope = Scope { merchant: merchant.id, mode: create.mode };
    let (key, text) = office.engine.create_key(scope, create.kind, create.name).await.map_err(refused)?;
    eprintln!("{} of {} in {} mode. Keep it: it is not shown again.", key.id, merchant.name, create.mode);
    println!("{text}");
    office.close().await;
    Ok(())
}

async fn show(list: List) -> anyhow::Result<()> {
    let office = Office::open(&list.storage.load()?).await?;
    let merchants = match list.merchant {
        Some(id) => vec![office.engine.merchant(id).await.map_err(refused)?],
        None => office.engine.merchants().await.map_err(refused)?,
    };
    let mut rows = vec![row(["ID", "MERCHANT", "KEY", "NAME", "CREATED (UTC)", "STATE"])];
    for merchant in merchants {
        for key in office.engine.list_keys(merchant.id).await.map_err(refused)? {
            let shown = format!("{}_{}_...{}", key.kind, key.scope.mode, key.last4);
            let state = match (key.revoked_at, key.ends_at) {
                (Some(at), _) => format!("revoked {}", show_time(at)),
                (None, Some(at)) => format!("ends {}", show_time(at)),
                (None, None) => "valid".to_owned(),
            };
            let (id, owner, made) = (key.id.to_string(), merchant.id.to_string(), show_time(key.created_at));
            rows.push(row([&id, &owner, &shown, &key.name, &made, &state]));
        }
    }
    print!("{}", table(&rows));
    office.close().await;
    Ok(())
}

async fn follow(rotate: Rotate) -> anyhow::Result<()> {
    let office = Office::open(&rotate.storage.load()?).await?;
    let (key, text) = office.engine.rotate_key(rotate.key, rotate.overlap).await.map_err(refused)?;
    let until = match rotate.overlap {
        0 => "is revoked".to_owned(),
        us => format!("works until {} UTC", show_time(key.created_at.plus(us))),
    };
    eprintln!("{} follows {}, which {until}. Keep it: it is not shown again.", key.id, rotate.key);
    println!("{text}");
    office.close().await;
    Ok(())
}

async fn end(revoke: Revoke) -> anyhow::Result<()> {
    let office = Office::open(&revoke.storage.load()?).await?;
    if !office.engine.revoke_key(revoke.key).await.map_err(refused)? {
        bail!(
            "there is no valid key {}; `paymentgate keys list` shows which are revoked already",
            revoke.key
        );
    }
    println!("{} is revoked.", revoke.key);
    office.close().await;
    Ok(())
}
