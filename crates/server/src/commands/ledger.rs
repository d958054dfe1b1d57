//! `paymentgate ledger`.

use super::{close, open_store, refused};
use crate::cli::StorageFlags;
use clap::{Args, Subcommand};
use std::fmt::Write;
use std::process::ExitCode;
use store::ledger_verify::Check;

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Recheck every rule of the books from the rows and print each check; exit code 1 if one is broken.
    /// Works on a stopped gateway and beside a running one
    Verify(Verify),
}

#[derive(Args, Debug)]
pub struct Verify {
    #[command(flatten)]
    storage: StorageFlags,
}

pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let Command::Verify(verify) = command;
    let store = open_store(&verify.storage.load()?).await?;
    let checks = engine::ledger::verify(&store).await.map_err(refused)?;
    print!("{}", report(&checks));
    close(store).await;
    Ok(if is_sound(&checks) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(super) fn is_sound(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.broken == 0)
}

/// Every check with what it counted, and the rows that break it.
fn report(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let state = if check.broken == 0 { "ok" } else { "BROKEN" };
        let _ = writeln!(text, "{state:<7}{:>12}  {}", check.counted, check.rule);
        for offender in &check.offenders {
            let _ = writeln!(text, "                     {offender}");
        }
        let more = check.broken.saturating_sub(check.offenders.len());
        if more > 0 {
            let _ = writeln!(text, "                     and {more} more");
        }
    }
    let broken = checks.iter().filter(|check| check.broken > 0).count();
    let _ = match broken {
        0 => writeln!(text, "\nThe books are sound: {} checks.", checks.len()),
        n => writeln!(
            text,
            "\nThe books are BROKEN: {n} of {} checks. Stop the gateway, keep a copy of the database, and do not \
             repair rows by hand.",
            checks.len()
        ),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(broken: usize, offenders: &[&str]) -> Check {
        let offenders = offenders.iter().map(|name| (*name).to_owned()).collect();
        Check { rule: "every journal sums to zero", counted: 7, broken, offenders }
    }

    #[test]
    fn a_report_names_what_is_broken() {
        let sound = [check(0, &[]), check(0, &[])];
        assert!(is_sound(&sound));
        assert!(report(&sound).contains("ok                7  every journal sums to zero"));
        assert!(report(&sound).contains("The books are sound: 2 checks."));

        let broken = [check(0, &[]), check(22, &["txn_1 (5)"])];
        assert!(!is_sound(&broken));
        let text = report(&broken);
        for part in ["BROKEN            7", "txn_1 (5)", "and 21 more", "1 of 2 checks"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
