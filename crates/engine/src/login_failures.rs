//! Logins that failed of late, by account and by address, in memory. Past a bound the failures are told apart from
//! refusals by nothing but the advice to wait; a passkey that verifies is let in all the same, so that nobody can lock
//! another out. What is counted is forgotten half an hour after it.

use domain::session::{LOGIN_FAILURES, LOGIN_FAILURES_US};
use domain::time::{MICROS, Timestamp};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Accounts and addresses that are counted at one time.
const COUNTED: usize = 10_000;

/// An account by the keyed digest of its address, or where a request came from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Counted {
    Account(Vec<u8>),
    Address(String),
}

#[derive(Default)]
pub(crate) struct LoginFailures(Mutex<HashMap<Counted, VecDeque<Timestamp>>>);

/// What one more failure came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    /// Seconds until the bound is not reached any more; 0 below it.
    pub wait: u32,
    /// Whether this one reached it.
    pub first: bool,
}

impl LoginFailures {
    pub fn note(&self, what: Counted, now: Timestamp) -> Noted {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(&what) && all.len() >= COUNTED {
            make_room(&mut all, now);
        }
        let failures = all.entry(what).or_default();
        forget(failures, now);
        let was_below = failures.len() < LOGIN_FAILURES;
        if !was_below {
            failures.pop_front();
        }
        failures.push_back(now);
        let full = failures.len() >= LOGIN_FAILURES;
        let ends = failures.front().map_or(now, |first| first.plus(LOGIN_FAILURES_US));
        let wait = if full { (ends.0 - now.0).max(MICROS) / MICROS } else { 0 };
        Noted { wait: u32::try_from(wait).unwrap_or(u32::MAX), first: full && was_below }
    }

    /// Forgets what was counted for an account whose owner signed in.
    pub fn clear(&self, what: &Counted) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(what);
    }
}

/// Drops what is over. After a clock that was set back nothing counts from a time to come.
fn forget(failures: &mut VecDeque<Timestamp>, now: Timestamp) {
    failures.retain(|at| *at <= now && now < at.plus(LOGIN_FAILURES_US));
}

/// Drops whoever's failures are over; failing that, the one with the fewest, the oldest of them. So a flood of
/// addresses pushes out its own.
fn make_room(all: &mut HashMap<Counted, VecDeque<Timestamp>>, now: Timestamp) {
    all.retain(|_, failures| {
        forget(failures, now);
        !failures.is_empty()
    });
    if all.len() < COUNTED {
        return;
    }
    let least = all.iter().min_by_key(|(_, failures)| (failures.len(), failures.back().copied()));
    if let Some(least) = least.map(|(what, _)| what.clone()) {
        all.remove(&least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn account(n: usize) -> Counted {
        Counted::Account(n.to_be_bytes().to_vec())
    }

    #[test]
    fn failures_past_the_bound_wait_and_end_by_themselves() {
        let failures = LoginFailures::default();
        for n in 1..LOGIN_FAILURES {
            assert_eq!(failures.note(account(1), NOW), Noted { wait: 0, first: false }, "{n}");
        }
        assert_eq!(failures.note(account(1), NOW), Noted { wait: 1_800, first: true });
        assert_eq!(failures.note(account(1), NOW), Noted { wait: 1_800, first: false });
        assert_eq!(failures.note(account(2), NOW).wait, 0, "others are counted for themselves");
        let later = NOW.plus(LOGIN_FAILURES_US - MICROS);
        assert_eq!(failures.note(account(1), later).wait, 1);
        assert_eq!(failures.note(account(1), NOW.plus(LOGIN_FAILURES_US)).wait, 0);
        for _ in 0..LOGIN_FAILURES {
            failures.note(account(3), NOW);
        }
        failures.clear(&account(3));
        assert_eq!(failures.note(account(3), NOW).wait, 0);
    }

    #[test]
    fn a_flood_of_accounts_takes_no_more_memory_and_keeps_whoever_is_over_the_bound() {
        let failures = LoginFailures::default();
        for _ in 0..LOGIN_FAILURES {
            failures.note(account(0), NOW);
        }
        for n in 1..COUNTED + 50 {
            failures.note(account(n), NOW);
        }
        assert_eq!(failures.0.lock().expect("unlocked").len(), COUNTED);
        assert!(failures.note(account(0), NOW).wait > 0);
    }
}
