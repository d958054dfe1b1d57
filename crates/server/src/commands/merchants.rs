//! `paymentgate merchants`.

use super::values::{delay, mode, row, show_delay, show_time, table};
use super::{Office, merchant_id, refused};
use crate::cli::StorageFlags;
use anyhow::bail;
use clap::{Args, Subcommand};
use domain::id::{FeeGroupId, MerchantId};
use domain::merchant::MerchantMode;
use domain::rate::TierName;
use domain::scope::{Mode, Scope};
use engine::merchants::ModeChanges;
use std::collections::HashMap;
use std::process::ExitCode;

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make a merchant, with the sandbox as its provider in test mode
    Create(Create),
    /// List merchants and what is set for them in each mode
    List(List),
    /// Change what is set for a merchant in one mode; in force within a second
    Set(Set),
}

#[derive(Args, Debug)]
pub struct Create {
    /// Name of the merchant, as payers may see it
    name: String,
    #[command(flatten)]
    storage: StorageFlags,
}

#[derive(Args, Debug)]
pub struct List {
    #[command(flatten)]
    storage: StorageFlags,
}

#[derive(Args, Debug)]
pub struct Set {
    /// Merchant, acct_...
    #[arg(value_parser = merchant_id)]
    merchant: MerchantId,
    /// Which mode to change: test or live
    #[arg(long, value_parser = mode)]
    mode: Mode,
    /// Rate limits: sandbox, starter, growth, enterprise or custom:<per_minute>/<per_second>/<burst>
    #[arg(long)]
    tier: Option<TierName>,
    /// Fee group, by name, as `paymentgate fees list` shows them
    #[arg(long, value_name = "GROUP")]
    fee_group: Option<String>,
    /// From capture to available: 0, or days or hours such as 2d or 36h; for new captures only
    #[arg(long, value_name = "DELAY", value_parser = delay)]
    settlement_delay: Option<i64>,
    /// Whether refunds may take the available balance below zero without bound: true or false
    #[arg(long, value_name = "true|false")]
    refunds_below_zero: Option<bool>,
    #[command(flatten)]
    storage: StorageFlags,
}

/// Longest name of a merchant, in characters.
const NAME_MAX: usize = 100;

pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Create(create) => make(create).await?,
        Command::List(list) => show(list).await?,
        Command::Set(set) => change(set).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn make(create: Create) -> anyhow::Result<()> {
    let name = create.name.trim();
    if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        bail!("NAME must have 1 to {NAME_MAX} characters, and no control characters");
    }
    let office = Office::open_or_make(&create.storage.load()?).await?;
    let merchant = office.engine.create_merchant(name.to_owned()).await.map_err(refused)?;
    eprintln!("Made {name}. Its first key: paymentgate keys create {}", merchant.id);
    println!("{}", merchant.id);
    office.close().await;
    Ok(())
}

type GroupNames = HashMap<FeeGroupId, String>;

async fn group_names(office: &Office) -> anyhow::Result<GroupNames> {
    Ok(office.store.read(store::fees::groups).await?.into_iter().collect())
}

const HEAD: [&str; 8] =
    ["ID", "NAME", "CREATED (UTC)", "MODE", "TIER", "FEE GROUP", "SETTLEMENT", "REFUNDS BELOW ZERO"];

fn line(id: &str, name: &str, made: &str, set: &MerchantMode, groups: &GroupNames) -> Vec<String> {
    let group = groups.get(&set.fee_group).map_or("?", String::as_str);
    let below_zero = if set.refunds_below_zero { "yes" } else { "no" };
    let (tier, delay) = (set.tier.to_string(), show_delay(set.settlement_delay));
    row([id, name, made, set.scope.mode.as_str(), &tier, group, &delay, below_zero])
}

async fn show(list: List) -> anyhow::Result<()> {
    let office = Office::open(&list.storage.load()?).await?;
    let groups = group_names(&office).await?;
    let mut rows = vec![row(HEAD)];
    for merchant in office.engine.merchants().await.map_err(refused)? {
        for mode in Mode::ALL {
            let scope = Scope { merchant: merchant.id, mode: *mode };
            let set = office.engine.merchant_mode(scope).await.map_err(refused)?;
            let (id, made) = (merchant.id.to_string(), show_time(merchant.created_at));
            rows.push(line(&id, &merchant.name, &made, &set, &groups));
        }
    }
    print!("{}", table(&rows));
    office.close().await;
    Ok(())
}

async fn change(set: Set) -> anyhow::Result<()> {
    let nothing = set.tier.is_none()
        && set.fee_group.is_none()
        && set.settlement_delay.is_none()
        && set.refunds_below_zero.is_none();
    if nothing {
        bail!("nothing to change: give --tier, --fee-group, --settlement-delay or --refunds-below-zero");
    }
    let office = Office::open(&set.storage.load()?).await?;
    let merchant = office.engine.merchant(set.merchant).await.map_err(refused)?;
    let changes = ModeChanges {
        tier: set.tier,
        fee_group: set.fee_group,
        settlement_delay: set.settlement_delay,
        refunds_below_zero: set.refunds_below_zero,
    };
    let scope = Scope { merchant: merchant.id, mode: set.mode };
    let now = office.engine.set_mode(scope, changes).await.map_err(refused)?;
    let groups = group_names(&office).await?;
    let (id, made) = (merchant.id.to_string(), show_time(merchant.created_at));
    print!("{}", table(&[row(HEAD), line(&id, &merchant.name, &made, &now, &groups)]));
    office.close().await;
    Ok(())
}
