//! `paymentgate audit`.

use super::values::{row, show_time, table};
use super::{close, merchant_id, open_store, refused};
use crate::cli::StorageFlags;
use clap::{Args, Subcommand};
use domain::audit::{AuditEntry, AuditKind};
use domain::id::MerchantId;
use domain::time::{DAY, HOUR, MINUTE};
use std::process::ExitCode;
use store::audit::{AuditFilter, AuditProof};

#[derive(Subcommand, Debug)]
pub enum Command {
    /// List what is in the audit log, newest first
    List(List),
    /// Check that no sealed entry was changed, removed or put in later, and name the first that was; exit
    /// code 1 if there is one. Works on a stopped gateway and beside a running one
    Verify(Verify),
}

#[derive(Args, Debug)]
pub struct List {
    /// Only what concerns this merchant, acct_...
    #[arg(long, value_parser = merchant_id)]
    merchant: Option<MerchantId>,
    /// Only this kind: key_in_url, foreign_object, auth_failed, key_created, key_revoked, key_rotated,
    /// settings_changed, object_created, object_deleted, money_moved, data_exported, card_testing_suspected or
    /// suppressed
    #[arg(long, value_parser = kind)]
    kind: Option<AuditKind>,
    /// Only the last minutes, hours or days, such as 30m, 36h or 7d
    #[arg(long, value_name = "SPAN", value_parser = span)]
    last: Option<i64>,
    /// How many entries at most, 1 to 100000
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    limit: i64,
    /// One JSON object a line instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    storage: StorageFlags,
}

#[derive(Args, Debug)]
pub struct Verify {
    #[command(flatten)]
    storage: StorageFlags,
}

fn kind(text: &str) -> Result<AuditKind, String> {
    AuditKind::parse(text).ok_or_else(|| {
        let all: Vec<&str> = AuditKind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("must be one of {}", all.join(", "))
    })
}

fn span(text: &str) -> Result<i64, String> {
    super::values::span(text, &[('d', DAY), ('h', HOUR), ('m', MINUTE)])
        .filter(|us| *us > 0)
        .ok_or_else(|| "must be a number with m, h or d, such as 30m, 36h or 7d".to_owned())
}

pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List(list) => show(list).await,
        Command::Verify(verify) => prove(verify).await,
    }
}

async fn show(list: List) -> anyhow::Result<ExitCode> {
    let store = open_store(&list.storage.load()?).await?;
    let from = list.last.map(|us| engine::wall_clock().plus(-us));
    let filter = AuditFilter { merchant: list.merchant, kind: list.kind, from };
    let entries = engine::audit::list(&store, filter, list.limit).await.map_err(refused)?;
    if list.json {
        for entry in &entries {
            println!("{}", json(entry));
        }
    } else {
        let mut rows = vec![row(HEAD)];
        rows.extend(entries.iter().map(line));
        print!("{}", table(&rows));
    }
    close(store).await;
    Ok(ExitCode::SUCCESS)
}

const HEAD: [&str; 8] = ["ID", "TIME (UTC)", "KIND", "ACTOR", "MERCHANT", "MODE", "SUBJECT", "DETAIL"];

fn line(entry: &AuditEntry) -> Vec<String> {
    let (id, at) = (entry.id.to_string(), show_time(entry.created_at));
    let merchant = entry.merchant.map_or("-".to_owned(), |m| m.to_string());
    let mode = entry.mode.map_or("-", |m| m.as_str());
    let subject = entry.subject.as_deref().unwrap_or("-");
    row([&id, &at, entry.kind.as_str(), &entry.actor, &merchant, mode, subject, &entry.detail])
}

fn json(entry: &AuditEntry) -> serde_json::Value {
    serde_json::json!({
        "id": entry.id.to_string(),
        "created_us": entry.created_at.0,
        "kind": entry.kind.as_str(),
        "actor": entry.actor,
        "merchant": entry.merchant.map(|m| m.to_string()),
        "mode": entry.mode.map(|m| m.as_str()),
        "subject": entry.subject,
        "request": entry.request,
        "detail": entry.detail,
    })
}

async fn prove(verify: Verify) -> anyhow::Result<ExitCode> {
    let store = open_store(&verify.storage.load()?).await?;
    let proof = engine::audit::verify(&store).await.map_err(refused)?;
    println!("{}", told(&proof));
    close(store).await;
    Ok(if proof.first_bad.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn told(proof: &AuditProof) -> String {
    let AuditProof { sealed, unsealed, first_bad } = proof;
    match first_bad {
        None => format!(
            "The audit log is as it was written: {sealed} sealed entries, and {unsealed} that are too young to be sealed."
        ),
        Some(what) => format!(
            "The audit log was CHANGED: {what}. The {sealed} sealed entries before it are as they were written. Keep a \
             copy of the database."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::{AuditId, Core};
    use domain::time::Timestamp;

    #[test]
    fn entries_are_one_line_whatever_is_in_them() {
        let entry = AuditEntry {
            id: AuditId(Core([1; 12])),
            merchant: None,
            mode: None,
            kind: AuditKind::AuthFailed,
            actor: "192.0.2.1".to_owned(),
            subject: None,
            request: None,
            detail: "a\n\u{1b}[2Jb".to_owned(),
            created_at: Timestamp(0),
        };
        assert!(!json(&entry).to_string().contains('\n'));
        assert!(line(&entry).iter().all(|cell| !cell.contains(char::is_control)));
    }

    #[test]
    fn spans_and_kinds_are_read() {
        assert_eq!(span("30m"), Ok(30 * MINUTE));
        assert!(
            ["0m", "", "m", "5", "5w", "-5m", "99999999999999999999d"].iter().all(|bad| span(bad).is_err())
        );
        assert_eq!(kind("key_rotated"), Ok(AuditKind::KeyRotated));
        assert!(kind("nonsense").is_err_and(|e| e.contains("auth_failed")));
    }
}
