//! `paymentgate admins`.

use super::values::{row, show_time, table};
use super::{Office, refused};
use crate::cli::StorageFlags;
use clap::{Args, Subcommand};
use domain::id::{TypedId, UserId};
use domain::user::{Invite, UserStatus};
use std::process::ExitCode;

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make a global administrator: print a token with which somebody registers a passkey, once, within 48 hours unless
    /// that is set otherwise; whoever is registered already is one at once
    Invite(InviteFlags),
    /// List global administrators, and who is invited to become one
    List(StorageFlags),
    /// Print a token with which somebody who lost their passkeys registers a new one for all of them
    Recover(Of),
    /// Keep somebody out: running gateways refuse the next request, and every session ends
    Disable(Of),
    /// Let somebody in again
    Enable(Of),
}

#[derive(Args, Debug)]
pub struct InviteFlags {
    /// E-mail address; who registers signs in with it
    #[arg(long)]
    email: String,
    /// Name, until they say otherwise
    #[arg(long, default_value = "")]
    name: String,
    #[command(flatten)]
    storage: StorageFlags,
}

#[derive(Args, Debug)]
pub struct Of {
    /// Id of the person, user_..., as `paymentgate admins list` and the audit log show it
    #[arg(value_parser = user_id)]
    user: UserId,
    #[command(flatten)]
    storage: StorageFlags,
}

fn user_id(text: &str) -> Result<UserId, String> {
    UserId::parse(text)
        .ok_or_else(|| "is not a person's id (user_...); `paymentgate admins list` shows them".to_owned())
}

pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Invite(flags) => invite(flags).await?,
        Command::List(storage) => show(storage).await?,
        Command::Recover(of) => recover(of).await?,
        Command::Disable(of) => set(of, UserStatus::Disabled).await?,
        Command::Enable(of) => set(of, UserStatus::Active).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The token alone goes to standard output.
fn hand_over(invite: &Invite, token: &str) {
    eprintln!(
        "Whoever has this token can register a passkey for {} until {} UTC, once, or take it up signed in if registered \
         already. It is not shown again.",
        invite.email,
        show_time(invite.expires_at)
    );
    println!("{token}");
}

async fn invite(flags: InviteFlags) -> anyhow::Result<()> {
    let office = Office::open_or_make(&flags.storage.load()?).await?;
    let invited = office.engine.invite_global_admin(&flags.email, &flags.name).await;
    let (invite, token) = invited.map_err(refused)?;
    hand_over(&invite, &token);
    office.close().await;
    Ok(())
}

async fn show(storage: StorageFlags) -> anyhow::Result<()> {
    let office = Office::open(&storage.load()?).await?;
    let (admins, invites) = office.engine.global_admins().await.map_err(refused)?;
    let mut rows = vec![row(["ID", "EMAIL", "NAME", "SINCE (UTC)", "STATE"])];
    for user in admins {
        let (id, since) = (user.id.to_string(), show_time(user.created_at));
        rows.push(row([&id, &user.email, &user.name, &since, user.status.as_str()]));
    }
    for invite in invites {
        let (id, since) = (invite.id.to_string(), show_time(invite.created_at));
        let state = format!("invited until {}", show_time(invite.expires_at));
        rows.push(row([&id, &invite.email, &invite.name, &since, &state]));
    }
    print!("{}", table(&rows));
    office.close().await;
    Ok(())
}

async fn recover(of: Of) -> anyhow::Result<()> {
    let office = Office::open(&of.storage.load()?).await?;
    let (invite, token) = office.engine.recover_user(of.user).await.map_err(refused)?;
    hand_over(&invite, &token);
    office.close().await;
    Ok(())
}

async fn set(of: Of, status: UserStatus) -> anyhow::Result<()> {
    let office = Office::open(&of.storage.load()?).await?;
    let user = office.engine.set_user_status(of.user, status).await.map_err(refused)?;
    println!("{} ({}) is {status}.", user.id, user.email);
    office.close().await;
    Ok(())
}
