//! `paymentgate callbacks`.

use super::values::{row, show_time, table};
use super::{Office, refused};
use crate::cli::StorageFlags;
use clap::{Args, Subcommand};
use domain::id::{DeliveryId, TypedId};
use domain::webhook::DeliveryStatus;
use std::process::ExitCode;
use store::webhooks::Callback;

#[derive(Subcommand, Debug)]
pub enum Command {
    /// List a service's latest callbacks, newest first, with the answer to the last attempt
    List(List),
    /// Send a callback once more, with the same bytes; a running gateway does it within seconds
    Resend(Resend),
}

#[derive(Args, Debug)]
pub struct List {
    /// Integer of the service, as `paymentgate services list` shows it
    service: i64,
    /// Only those that are pending, succeeded or failed
    #[arg(long, value_parser = status)]
    status: Option<DeliveryStatus>,
    /// How many at most, 1 to 1000
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    limit: u16,
    #[command(flatten)]
    storage: StorageFlags,
}

#[derive(Args, Debug)]
pub struct Resend {
    /// Id of the callback, dlv_...
    #[arg(value_parser = delivery_id)]
    callback: DeliveryId,
    #[command(flatten)]
    storage: StorageFlags,
}

fn status(text: &str) -> Result<DeliveryStatus, String> {
    DeliveryStatus::parse(text).ok_or_else(|| "must be pending, succeeded or failed".to_owned())
}

fn delivery_id(text: &str) -> Result<DeliveryId, String> {
    DeliveryId::parse(text)
        .ok_or_else(|| "is not a callback's id; `paymentgate callbacks list` shows them".to_owned())
}

pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List(list) => show(list).await?,
        Command::Resend(resend) => send_again(resend).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(list: List) -> anyhow::Result<()> {
    let office = Office::open(&list.storage.load()?).await?;
    let found = office.engine.service_callbacks(list.service, list.status, list.limit.into()).await;
    let mut rows =
        vec![row(["ID", "MADE (UTC)", "TRANSACTION", "TELLS", "STATUS", "ATTEMPTS", "LAST ANSWER", "URL"])];
    rows.extend(found.map_err(refused)?.iter().map(line));
    print!("{}", table(&rows));
    office.close().await;
    Ok(())
}

fn line(c: &Callback) -> Vec<String> {
    let answer = c.last.as_ref().map(|attempt| match (attempt.status, &attempt.error) {
        (Some(status), _) => status.to_string(),
        (None, error) => error.clone().unwrap_or_default(),
    });
    row([
        &c.delivery.id.to_string(),
        &show_time(c.delivery.created_at),
        c.transaction.as_deref().unwrap_or("-"),
        c.event_type.as_str(),
        c.delivery.status.as_str(),
        &c.delivery.attempts.to_string(),
        answer.as_deref().unwrap_or("-"),
        &c.url,
    ])
}

async fn send_again(resend: Resend) -> anyhow::Result<()> {
    let office = Office::open(&resend.storage.load()?).await?;
    office.engine.resend_callback(resend.callback).await.map_err(refused)?;
    eprintln!("{} will be sent again.", resend.callback);
    office.close().await;
    Ok(())
}
