//! Payouts at the sandbox: what happens depends only on the account that they go to.

use crate::PayoutOrder;
use domain::outcome::PayoutOutcome;
use domain::payout::AccountNumber;
use domain::time::Timestamp;
use std::time::Duration;
use store::sandbox_payouts::{SandboxPayout, SandboxPayoutState as State};
use store::{Store, StoreError};

const SLOW: Duration = Duration::from_secs(2);

/// What a payout to a test account does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// Paid at once. What every account does that is not in the table.
    Pays,
    /// Refused at once, with this code.
    Fails(&'static str),
    /// In transit first, paid after the settling time.
    PaysLater,
    /// In transit first, refused after the settling time, with this code.
    FailsLater(&'static str),
    /// Pending first, when it can be canceled; paid after the settling time.
    Waits,
    /// Paid, and the answer takes two seconds.
    Slow,
    /// Paid, but the answer is lost.
    AnswerLost,
    /// The first request is lost: the sandbox does not know of it.
    RequestLost,
}

/// An account whose payouts have a fixed end.
pub struct TestPayoutAccount {
    /// As [`AccountNumber::expose`] gives it.
    pub number: &'static str,
    /// Of what it does, for the sandbox's books.
    pub name: &'static str,
    pub script: Script,
}

const fn account(number: &'static str, name: &'static str, script: Script) -> TestPayoutAccount {
    TestPayoutAccount { number, name, script }
}

/// The accounts that do something of their own. The first two blocks are the numbers that the field's
/// test modes share, IBANs and US account numbers; the third is this gateway's own.
pub static PAYOUT_ACCOUNTS: &[TestPayoutAccount] = &[
    account("DE89370400440532013000", "pays", Script::Pays),
    account("DE62370400440532013001", "no_account", Script::Fails("no_account")),
    account("DE35370400440532013002", "account_closed", Script::Fails("account_closed")),
    account("DE08370400440532013003", "insufficient_funds", Script::Fails("insufficient_funds")),
    account("DE78370400440532013004", "debit_not_authorized", Script::Fails("debit_not_authorized")),
    account("DE51370400440532013005", "invalid_currency", Script::Fails("invalid_currency")),
    account("000123456789", "us_pays", Script::Pays),
    account("000111111116", "us_no_account", Script::Fails("no_account")),
    account("000111111113", "us_account_closed", Script::Fails("account_closed")),
    account("000222222227", "us_insufficient_funds", Script::Fails("insufficient_funds")),
    account("000333333335", "us_debit_not_authorized", Script::Fails("debit_not_authorized")),
    account("000444444440", "us_invalid_currency", Script::Fails("invalid_currency")),
    account("DE24370400440532013006", "pays_later", Script::PaysLater),
    account("DE94370400440532013007", "fails_later", Script::FailsLater("account_closed")),
    account("DE67370400440532013008", "waits", Script::Waits),
    account("DE40370400440532013009", "slow", Script::Slow),
    account("DE13370400440532013010", "answer_lost", Script::AnswerLost),
    account("DE83370400440532013011", "request_lost", Script::RequestLost),
];

/// The name and script of an account.
fn script(account: &AccountNumber) -> (&'static str, Script) {
    let known = PAYOUT_ACCOUNTS.iter().find(|a| a.number == account.expose());
    known.map_or(("pays", Script::Pays), |a| (a.name, a.script))
}

fn message(code: &str) -> &'static str {
    match code {
        "no_account" => {
            "The bank account could not be located. Check the account number and the holder's name."
        }
        "account_closed" => "The bank account has been closed. Use another account.",
        "insufficient_funds" => {
            "The provider's account has not enough funds for this payout. Try again later."
        }
        "debit_not_authorized" => {
            "The bank does not allow this transfer for the account. Use another account."
        }
        "invalid_currency" => "The bank could not process this payout in its currency. Use another account.",
        _ => "The bank refused the payout. Check the account, or use another one.",
    }
}

/// What a payout starts as.
fn first_state(order: &PayoutOrder, settle_us: i64) -> SandboxPayout {
    let (name, script) = script(&order.account);
    let later = Some(order.now.plus(settle_us));
    let (state, failure, settles_at) = match script {
        Script::Pays | Script::Slow | Script::AnswerLost => (State::Paid, None, None),
        Script::Fails(code) => (State::Failed, Some(code), None),
        Script::PaysLater => (State::InTransit, None, later),
        Script::FailsLater(code) => (State::InTransit, Some(code), later),
        Script::Waits => (State::Accepted, None, later),
        Script::RequestLost => (State::Lost, None, None),
    };
    SandboxPayout {
        payout: order.payout.clone(),
        script: name.to_owned(),
        amount: order.amount,
        currency: order.currency.code().to_owned(),
        state,
        failure: failure.map(str::to_owned),
        paid: if state == State::Paid { order.amount } else { 0 },
        settles_at,
        calls: 0,
    }
}

/// Pays. The one place beside [`first_state`] where money goes out.
fn pay(payout: &mut SandboxPayout) {
    payout.state = State::Paid;
    payout.paid += payout.amount;
}

/// Brings a payout to what it is at `now`.
fn settle(payout: &mut SandboxPayout, now: Timestamp) {
    let due = payout.settles_at.is_some_and(|t| t <= now);
    match payout.state {
        State::Accepted | State::InTransit if due && payout.failure.is_some() => payout.state = State::Failed,
        State::Accepted | State::InTransit if due => pay(payout),
        _ => {}
    }
}

fn outcome(payout: &SandboxPayout, now: Timestamp) -> PayoutOutcome {
    let check_at = payout.settles_at.unwrap_or(now);
    match payout.state {
        State::Lost => PayoutOutcome::NotFound,
        State::Accepted => PayoutOutcome::Accepted { check_at },
        State::InTransit => PayoutOutcome::InTransit { check_at },
        State::Paid => PayoutOutcome::Paid,
        State::Failed => {
            let code = payout.failure.clone().unwrap_or_else(|| "could_not_process".to_owned());
            let message = message(&code).to_owned();
            PayoutOutcome::Failed { code, message }
        }
        State::Canceled => PayoutOutcome::Canceled,
    }
}

pub(super) async fn send(store: &Store, settle_us: i64, order: PayoutOrder) -> PayoutOutcome {
    let (now, (_, script)) = (order.now, script(&order.account));
    let new = first_state(&order, settle_us);
    let recorded = store
        .write(move |tx| {
            let mut payout = store::sandbox_payouts::submit(tx, &new)?;
            if payout.calls > 1 {
                // Lost once; what comes again under the same reference arrives.
                if payout.state == State::Lost {
                    pay(&mut payout);
                }
                settle(&mut payout, now);
                store::sandbox_payouts::update(tx, &payout)?;
            }
            Ok::<_, StoreError>(payout)
        })
        .await;
    let payout = match recorded {
        Ok(payout) => payout,
        Err(e) => return unreachable_books(&e),
    };
    match script {
        Script::AnswerLost => return PayoutOutcome::Unknown,
        Script::RequestLost if payout.state == State::Lost => return PayoutOutcome::Unknown,
        Script::Slow => tokio::time::sleep(SLOW).await,
        _ => {}
    }
    outcome(&payout, now)
}

pub(super) async fn find(store: &Store, payout: String, now: Timestamp) -> PayoutOutcome {
    change(store, payout, now, |_| {}).await
}

/// Cancels what is not on its way yet; what it is afterwards.
pub(super) async fn cancel(store: &Store, payout: String, now: Timestamp) -> PayoutOutcome {
    let cancel = |payout: &mut SandboxPayout| {
        if payout.state == State::Accepted {
            payout.state = State::Canceled;
        }
    };
    change(store, payout, now, cancel).await
}

async fn change(
    store: &Store,
    payout: String,
    now: Timestamp,
    change: impl Fn(&mut SandboxPayout) + Send + 'static,
) -> PayoutOutcome {
    let result = store
        .write(move |tx| {
            let Some(mut payout) = store::sandbox_payouts::lock(tx, &payout)? else { return Ok(None) };
            settle(&mut payout, now);
            change(&mut payout);
            store::sandbox_payouts::update(tx, &payout)?;
            Ok::<_, StoreError>(Some(payout))
        })
        .await;
    match result {
        Err(e) => unreachable_books(&e),
        Ok(None) => PayoutOutcome::NotFound,
        Ok(Some(payout)) => outcome(&payout, now),
    }
}

/// A sandbox that cannot reach its own books is a provider that did not answer.
fn unreachable_books(e: &StoreError) -> PayoutOutcome {
    tracing::warn!(error = %e, "the sandbox's books could not be used");
    PayoutOutcome::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_test_account_is_valid_and_unique() {
        let mut seen = std::collections::HashSet::new();
        for account in PAYOUT_ACCOUNTS {
            let number =
                AccountNumber::parse(account.number).unwrap_or_else(|e| panic!("{}: {e}", account.number));
            assert_eq!(number.expose(), account.number);
            assert_eq!(script(&number), (account.name, account.script));
            assert!(seen.insert(account.number) && seen.insert(account.name), "{}", account.number);
            if let Script::Fails(code) | Script::FailsLater(code) = account.script {
                assert_ne!(message(code), message(""), "{code}");
            }
        }
        let other = AccountNumber::parse("GB29NWBK60161331926819").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(script(&other), ("pays", Script::Pays));
    }
}
