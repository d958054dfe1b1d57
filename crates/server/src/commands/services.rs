//! `paymentgate services`.

use super::values::{mode, row, show_time, table};
use super::{Office, merchant_id, refused};
use crate::cli::StorageFlags;
use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};
use domain::currency::Currency;
use domain::gate_token::{PayloadDialect, SignVariant};
use domain::id::{GateTokenId, MerchantId, TypedId, WebhookEndpointId};
use domain::money::{format_minor, parse_major};
use domain::scope::{Mode, Scope};
use domain::storefront::{Storefront, StorefrontStatus};
use domain::webhook::EndpointStatus;
use std::process::ExitCode;

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make a service, and print its integer
    Create(Create),
    /// List services
    List(List),
    /// Show all that is set for a service
    Show(OfService),
    /// Change what is set for a service; in force within a second
    Set(Box<Set>),
    /// Make, list and revoke the tokens that sign a service's requests and callbacks
    #[command(subcommand)]
    Tokens(TokenCommand),
    /// Add, list and remove addresses that get every callback of a service
    #[command(subcommand)]
    Webhooks(WebhookCommand),
}

#[derive(Args, Debug)]
pub struct Create {
    /// Merchant, acct_...
    #[arg(value_parser = merchant_id)]
    merchant: MerchantId,
    /// Name of the service
    name: String,
    /// Which mode it works in: test or live
    #[arg(long, default_value = "test", value_parser = mode)]
    mode: Mode,
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
    /// Integer of the service, as `paymentgate services list` shows it
    service: i64,
    /// Name of the service
    #[arg(long)]
    name: Option<String>,
    /// Its own address
    #[arg(long)]
    url: Option<String>,
    /// active, or disabled: it takes no new payments, and what it has goes on
    #[arg(long, value_parser = status)]
    status: Option<StorefrontStatus>,
    /// Currency that it sells in, such as EUR
    #[arg(long, value_parser = currency)]
    currency: Option<Currency>,
    /// Whether it takes every other currency too: true or false
    #[arg(long, value_name = "true|false")]
    any_currency: Option<bool>,
    /// Where payers go after success; {payment_id}, {transaction_uuid} and {status} are filled in
    #[arg(long, value_name = "URL")]
    success_url: Option<String>,
    /// Where payers go after a failure or expiry
    #[arg(long, value_name = "URL")]
    fail_url: Option<String>,
    /// Where payers go who leave, or whose result is still open
    #[arg(long, value_name = "URL")]
    return_url: Option<String>,
    /// Seconds that a request stays open
    #[arg(long, value_name = "SECONDS")]
    request_expiration: Option<i64>,
    /// Fee group of its payments, by name, as `paymentgate fees list` shows them
    #[arg(long, value_name = "GROUP")]
    fee_group: Option<String>,
    /// Added for the payer to each payment in its own currency, such as 0.54. Charging payers extra for cards
    /// is forbidden in many countries, the European Union among them
    #[arg(long, value_name = "AMOUNT")]
    cost: Option<String>,
    /// Whether the cost is not shown to payers as a line of its own: true or false
    #[arg(long, value_name = "true|false")]
    cost_hidden: Option<bool>,
    /// Whether it may pay out: true or false
    #[arg(long, value_name = "true|false")]
    payouts: Option<bool>,
    /// Whether payers must be 18 to 100 years old by day_of_birth: true or false
    #[arg(long, value_name = "true|false")]
    adults_only: Option<bool>,
    /// Tries that a payer has on one page, 1 to 20
    #[arg(long, value_name = "NUMBER")]
    attempts: Option<i64>,
    #[command(flatten)]
    storage: StorageFlags,
}

#[derive(Subcommand, Debug)]
pub enum TokenCommand {
    /// Make a token and print its secret: it is shown this once and never again
    Create(TokenCreate),
    /// List a service's tokens, without their secrets; the oldest valid one signs its callbacks
    List(OfService),
    /// Revoke a token; running gateways refuse it within a second
    Revoke(TokenRevoke),
}

#[derive(Args, Debug)]
pub struct OfService {
    /// Integer of the service
    service: i64,
    #[command(flatten)]
    storage: StorageFlags,
}

#[derive(Args, Debug)]
pub struct TokenCreate {
    /// Integer of the service
    service: i64,
    /// Name of the token, which requests may give as webhook.token_name
    name: String,
    /// How callbacks signed with it are signed: folded (signers from 0.0.7) or raw (before)
    #[arg(long, default_value = "folded", value_parser = variant)]
    variant: SignVariant,
    /// Names in callbacks signed with it: 2025, or 2026 as the shop plugin of that year reads them
    #[arg(long, default_value = "2025", value_parser = dialect)]
    dialect: PayloadDialect,
    #[command(flatten)]
    storage: StorageFlags,
}

#[derive(Args, Debug)]
pub struct TokenRevoke {
    /// Id of the token, gtok_...
    #[arg(value_parser = token_id)]
    token: GateTokenId,
    #[command(flatten)]
    storage: StorageFlags,
}

#[derive(Subcommand, Debug)]
pub enum WebhookCommand {
    /// Add an address
    Add(WebhookAdd),
    /// List a service's addresses
    List(OfService),
    /// Remove an address
    Remove(WebhookRemove),
}

#[derive(Args, Debug)]
pub struct WebhookAdd {
    /// Integer of the service
    service: i64,
    /// Where callbacks go
    url: String,
    #[command(flatten)]
    storage: StorageFlags,
}

#[derive(Args, Debug)]
pub struct WebhookRemove {
    /// Integer of the service
    service: i64,
    /// Id of the webhook, we_...
    #[arg(value_parser = webhook_id)]
    webhook: WebhookEndpointId,
    #[command(flatten)]
    storage: StorageFlags,
}

/// Longest name, in characters.
const NAME_MAX: usize = 100;

fn status(text: &str) -> Result<StorefrontStatus, String> {
    StorefrontStatus::parse(text).ok_or_else(|| "must be active or disabled".to_owned())
}

fn currency(text: &str) -> Result<Currency, String> {
    Currency::parse(text).map_err(|_| "must be a currency such as EUR".to_owned())
}

fn variant(text: &str) -> Result<SignVariant, String> {
    SignVariant::parse(text).ok_or_else(|| "must be folded or raw".to_owned())
}

fn dialect(text: &str) -> Result<PayloadDialect, String> {
    PayloadDialect::parse(text).ok_or_else(|| "must be 2025 or 2026".to_owned())
}

fn token_id(text: &str) -> Result<GateTokenId, String> {
    GateTokenId::parse(text)
        .ok_or_else(|| "is not a token's id; `paymentgate services tokens list` shows them".to_owned())
}

fn webhook_id(text: &str) -> Result<WebhookEndpointId, String> {
    WebhookEndpointId::parse(text)
        .ok_or_else(|| "is not a webhook's id; `paymentgate services webhooks list` shows them".to_owned())
}

fn checked_name(text: &str) -> anyhow::Result<String> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        bail!("the name must have 1 to {NAME_MAX} characters, and no control characters");
    }
    Ok(name.to_owned())
}

pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Create(create) => make(create).await?,
        Command::List(list) => show_all(list).await?,
        Command::Show(service) => show(service).await?,
        Command::Set(set) => change(*set).await?,
        Command::Tokens(TokenCommand::Create(create)) => make_token(create).await?,
        Command::Tokens(TokenCommand::List(list)) => show_tokens(list).await?,
        Command::Tokens(TokenCommand::Revoke(revoke)) => return revoke_token(revoke).await,
        Command::Webhooks(WebhookCommand::Add(add)) => add_webhook(add).await?,
        Command::Webhooks(WebhookCommand::List(list)) => show_webhooks(list).await?,
        Command::Webhooks(WebhookCommand::Remove(remove)) => return remove_webhook(remove).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn make(create: Create) -> anyhow::Result<()> {
    let name = checked_name(&create.name)?;
    let office = Office::open(&create.storage.load()?).await?;
    let scope = Scope { merchant: create.merchant, mode: create.mode };
    let made = office.engine.create_storefront(scope, name.clone()).await.map_err(refused)?;
    eprintln!("Made {name}. Its first token: paymentgate services tokens create {} default", made.number);
    println!("{}", made.number);
    office.close().await;
    Ok(())
}

const HEAD: [&str; 9] =
    ["SERVICE", "NAME", "MERCHANT", "MODE", "STATUS", "CURRENCY", "COST", "EXPIRES AFTER", "URL"];

fn line(s: &Storefront) -> Vec<String> {
    let any = if s.any_currency { " and others" } else { "" };
    row([
        &s.number.to_string(),
        &s.name,
        &s.scope.merchant.to_string(),
        s.scope.mode.as_str(),
        s.status.as_str(),
        &format!("{}{any}", s.currency.code()),
        &format_minor(s.surcharge, s.currency),
        &format!("{}s", s.request_expiration),
        &s.url,
    ])
}

async fn show_all(list: List) -> anyhow::Result<()> {
    let office = Office::open(&list.storage.load()?).await?;
    let mut rows = vec![row(HEAD)];
    rows.extend(office.engine.storefronts().await.map_err(refused)?.iter().map(line));
    print!("{}", table(&rows));
    office.close().await;
    Ok(())
}

async fn show(of: OfService) -> anyhow::Result<()> {
    let office = Office::open(&of.storage.load()?).await?;
    let mut rows = vec![row(["SETTING", "VALUE"])];
    let settings = office.engine.storefront_settings(of.service).await.map_err(refused)?;
    rows.extend(settings.iter().map(|(name, value)| row([*name, value.as_str()])));
    print!("{}", table(&rows));
    office.close().await;
    Ok(())
}

async fn change(set: Set) -> anyhow::Result<()> {
    let name = set.name.as_deref().map(checked_name).transpose()?;
    let office = Office::open(&set.storage.load()?).await?;
    let before = office.engine.storefront(set.service).await.map_err(refused)?;
    let currency = set.currency.unwrap_or(before.currency);
    let cost = set.cost.as_deref().map(|text| cost(text, currency)).transpose()?;
    if cost.is_none() && currency != before.currency && before.surcharge != 0 {
        bail!("the service has a cost in {}; give the new one with --cost", before.currency);
    }
    let fee_group = set.fee_group.clone();
    let changed = office
        .engine
        .change_storefront(set.service, fee_group, move |s| {
            let texts = [
                (&mut s.name, &name),
                (&mut s.url, &set.url),
                (&mut s.redirects.success, &set.success_url),
                (&mut s.redirects.fail, &set.fail_url),
                (&mut s.redirects.back, &set.return_url),
            ];
            for (slot, text) in texts {
                if let Some(text) = text {
                    slot.clone_from(text);
                }
            }
            s.status = set.status.unwrap_or(s.status);
            // Else another command's new currency would be taken back here.
            if set.currency.is_some() || cost.is_some() {
                s.currency = currency;
            }
            s.any_currency = set.any_currency.unwrap_or(s.any_currency);
            s.request_expiration = set.request_expiration.unwrap_or(s.request_expiration);
            s.surcharge = cost.unwrap_or(s.surcharge);
            s.surcharge_hidden = set.cost_hidden.unwrap_or(s.surcharge_hidden);
            s.payouts = set.payouts.unwrap_or(s.payouts);
            s.adults_only = set.adults_only.unwrap_or(s.adults_only);
            s.attempts_max = set.attempts.unwrap_or(s.attempts_max);
        })
        .await
        .map_err(refused)?;
    print!("{}", table(&[row(HEAD), line(&changed)]));
    office.close().await;
    Ok(())
}

/// A cost in major units; zero is one too.
fn cost(text: &str, currency: Currency) -> anyhow::Result<i64> {
    if text.bytes().all(|b| matches!(b, b'0' | b'.')) && text.contains('0') {
        return Ok(0);
    }
    Ok(parse_major(text, currency).map_err(|e| anyhow!("--cost {e}"))?.get())
}

async fn make_token(create: TokenCreate) -> anyhow::Result<()> {
    let name = checked_name(&create.name)?;
    let office = Office::open(&create.storage.load()?).await?;
    let made = office.engine.create_token(create.service, name, create.variant, create.dialect).await;
    let (token, secret) = made.map_err(refused)?;
    eprintln!("Made {} ({}). Its secret is shown this once:", token.id, token.name);
    println!("{secret}");
    office.close().await;
    Ok(())
}

async fn show_tokens(list: OfService) -> anyhow::Result<()> {
    let office = Office::open(&list.storage.load()?).await?;
    let mut rows = vec![row(["ID", "NAME", "SECRET", "SIGNS", "DIALECT", "CREATED (UTC)", "REVOKED (UTC)"])];
    for t in office.engine.tokens(list.service).await.map_err(refused)? {
        rows.push(row([
            &t.id.to_string(),
            &t.name,
            &format!("...{}", t.last4),
            t.variant.as_str(),
            t.dialect.as_str(),
            &show_time(t.created_at),
            &t.revoked_at.map_or_else(|| "-".to_owned(), show_time),
        ]));
    }
    print!("{}", table(&rows));
    office.close().await;
    Ok(())
}

async fn revoke_token(revoke: TokenRevoke) -> anyhow::Result<ExitCode> {
    let office = Office::open(&revoke.storage.load()?).await?;
    let done = office.engine.revoke_token(revoke.token).await.map_err(refused)?;
    office.close().await;
    if !done {
        eprintln!("{} is not a valid token: unknown, or revoked before", revoke.token);
        return Ok(ExitCode::FAILURE);
    }
    eprintln!("Revoked {}.", revoke.token);
    Ok(ExitCode::SUCCESS)
}

async fn add_webhook(add: WebhookAdd) -> anyhow::Result<()> {
    let office = Office::open(&add.storage.load()?).await?;
    let made = office.engine.create_service_webhook(add.service, add.url).await.map_err(refused)?;
    println!("{}", made.id);
    office.close().await;
    Ok(())
}

async fn show_webhooks(list: OfService) -> anyhow::Result<()> {
    let office = Office::open(&list.storage.load()?).await?;
    let mut rows = vec![row(["ID", "NUMBER", "STATUS", "URL"])];
    for (number, e) in office.engine.service_webhooks(list.service).await.map_err(refused)? {
        let status = if e.status == EndpointStatus::Enabled { "active" } else { "disabled" };
        rows.push(row([&e.id.to_string(), &number.to_string(), status, &e.url]));
    }
    print!("{}", table(&rows));
    office.close().await;
    Ok(())
}

async fn remove_webhook(remove: WebhookRemove) -> anyhow::Result<ExitCode> {
    let office = Office::open(&remove.storage.load()?).await?;
    let done = office.engine.delete_service_webhook(remove.service, remove.webhook).await.map_err(refused)?;
    office.close().await;
    if !done {
        eprintln!("service {} has no webhook {}", remove.service, remove.webhook);
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
