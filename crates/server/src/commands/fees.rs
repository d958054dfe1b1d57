//! `paymentgate fees`.

use super::values::{row, table};
use super::{Office, refused};
use crate::cli::StorageFlags;
use anyhow::bail;
use clap::{Args, Subcommand};
use domain::currency::Currency;
use domain::fee::{FeeBase, FeeOperation, FeeRule};
use domain::money::Rounding;
use std::process::ExitCode;

#[derive(Subcommand, Debug)]
pub enum Command {
    /// List fee groups and their rules
    List(List),
    /// Write a rule: fixed + base x basis points / 10000, within min and max. The group is made if it
    /// does not exist; a rule for the same operation and currency is replaced
    Set(Set),
    /// Remove a rule
    Remove(Remove),
}

#[derive(Args, Debug)]
pub struct List {
    #[command(flatten)]
    storage: StorageFlags,
}

/// Which rule of which group.
#[derive(Args, Debug)]
struct Which {
    /// Fee group, by name
    group: String,
    /// What the fee is taken for: capture, refund, payout or dispute
    #[arg(long, value_parser = operation)]
    operation: FeeOperation,
    /// Three-letter currency, such as eur; without it, the rule is for every currency that has none of its own
    #[arg(long, value_parser = currency)]
    currency: Option<Currency>,
}

#[derive(Args, Debug)]
pub struct Set {
    #[command(flatten)]
    which: Which,
    /// Fixed part, in minor units (cents for eur)
    #[arg(long, default_value_t = 0, required_unless_present = "basis_points")]
    fixed: i64,
    /// Hundredths of a per cent, 0 to 10000: 290 is 2.9 %
    #[arg(long, default_value_t = 0, required_unless_present = "fixed")]
    basis_points: i64,
    /// What the rate is applied to: amount (what the merchant asked for) or total (with costs that the payer bears)
    #[arg(long, default_value = "total", value_parser = base)]
    base: FeeBase,
    /// Least fee, in minor units
    #[arg(long)]
    min: Option<i64>,
    /// Largest fee, in minor units
    #[arg(long)]
    max: Option<i64>,
    /// How the rate's part is rounded: half_up, half_away_from_zero, floor or ceiling
    #[arg(long, default_value = "half_up", value_parser = rounding)]
    rounding: Rounding,
    #[command(flatten)]
    storage: StorageFlags,
}

#[derive(Args, Debug)]
pub struct Remove {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    storage: StorageFlags,
}

/// Longest name of a group, in characters.
const NAME_MAX: usize = 60;

fn operation(text: &str) -> Result<FeeOperation, String> {
    FeeOperation::parse(text).ok_or_else(|| "must be capture, refund, payout or dispute".to_owned())
}

fn currency(text: &str) -> Result<Currency, String> {
    Currency::parse(text).map_err(|e| e.to_string())
}

fn base(text: &str) -> Result<FeeBase, String> {
    FeeBase::parse(text).ok_or_else(|| "must be amount or total".to_owned())
}

fn rounding(text: &str) -> Result<Rounding, String> {
    Rounding::parse(text).ok_or_else(|| "must be half_up, half_away_from_zero, floor or ceiling".to_owned())
}

pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List(list) => show(list).await?,
        Command::Set(set) => put(set).await?,
        Command::Remove(remove) => take_out(remove).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn print_groups(office: &Office, only: Option<&str>) -> anyhow::Result<()> {
    let head = ["GROUP", "OPERATION", "CURRENCY", "FIXED", "BASIS POINTS", "BASE", "MIN", "MAX", "ROUNDING"];
    let mut rows = vec![row(head)];
    for (name, rules) in office.engine.fee_groups().await.map_err(refused)? {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        if rules.is_empty() {
            rows.push(row([&name, "(no rules)"]));
        }
        for rule in rules {
            let bound = |amount: Option<i64>| amount.map_or("-".to_owned(), |amount| amount.to_string());
            let (min, max) = (bound(rule.min), bound(rule.max));
            let (fixed, points) = (rule.fixed.to_string(), rule.basis_points.to_string());
            let currency = rule.currency.map_or("any", Currency::lower);
            let (operation, base, rounding) =
                (rule.operation.as_str(), rule.base.as_str(), rule.rounding.as_str());
            rows.push(row([&name, operation, currency, &fixed, &points, base, &min, &max, rounding]));
        }
    }
    print!("{}", table(&rows));
    Ok(())
}

async fn show(list: List) -> anyhow::Result<()> {
    let office = Office::open(&list.storage.load()?).await?;
    print_groups(&office, None).await?;
    office.close().await;
    Ok(())
}

async fn put(set: Set) -> anyhow::Result<()> {
    let group = set.which.group.trim().to_owned();
    if group.is_empty() || group.chars().count() > NAME_MAX || group.chars().any(char::is_control) {
        bail!("GROUP must have 1 to {NAME_MAX} characters, and no control characters");
    }
    let office = Office::open(&set.storage.load()?).await?;
    let rule = FeeRule {
        operation: set.which.operation,
        currency: set.which.currency,
        fixed: set.fixed,
        basis_points: set.basis_points,
        base: set.base,
        min: set.min,
        max: set.max,
        rounding: set.rounding,
    };
    office.engine.put_fee_rule(group.clone(), rule).await.map_err(refused)?;
    print_groups(&office, Some(&group)).await?;
    office.close().await;
    Ok(())
}

async fn take_out(remove: Remove) -> anyhow::Result<()> {
    let office = Office::open(&remove.storage.load()?).await?;
    let Which { group, operation, currency } = remove.which;
    let removed = office.engine.remove_fee_rule(group.clone(), operation, currency).await.map_err(refused)?;
    if !removed {
        bail!("{group} has no rule for {operation} in {}", currency.map_or("any currency", Currency::code));
    }
    print_groups(&office, Some(&group)).await?;
    office.close().await;
    Ok(())
}
