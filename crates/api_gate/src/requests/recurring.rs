//! The block `recurring`: when a subscription starts, how often it charges, when it ends.

use domain::date::{Date, parse_instant};
use domain::time::{DAY, Timestamp};

use super::input::Input;

/// Longest cycle, trial and wait for the start, in days.
pub const DAYS_MAX: i64 = 3_650;
/// 2000-01-01: no subscription starts before, so an earlier date is a clock that was never set.
const EARLIEST_START: Timestamp = Timestamp::from_secs(946_684_800);

/// When a subscription charges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recurring {
    /// Never in the past: an earlier date that was sent means now. The first charge is `trial_days` later.
    pub start: Timestamp,
    /// Midnight UTC after the last day; `None` goes on until it is cancelled.
    pub end: Option<Timestamp>,
    /// 1 to [`DAYS_MAX`].
    pub cycle_days: i64,
    /// 0 to [`DAYS_MAX`], and over before the end.
    pub trial_days: i64,
}

pub(super) fn read(input: &mut Input<'_>) -> Option<Recurring> {
    const RECURRING: &str = "recurring";
    input.require(RECURRING, &["enabled"], "true for a subscription");
    if input.truth(RECURRING, &["enabled"]) == Some(false) {
        let message = "recurring.enabled must be true; use purchase/create for a single payment.";
        input.errors.add("recurring.enabled", message);
    }
    input.require(RECURRING, &["cycle_days"], "the days from one charge to the next");
    let cycle_days = input.integer(RECURRING, &["cycle_days"], 1, DAYS_MAX);
    let trial_days = input.integer(RECURRING, &["trial_days"], 0, DAYS_MAX).unwrap_or(0);
    let instant = "must be an instant such as 2026-11-18T22:45:55+00:00, or a day such as 2026-11-18";
    let start = input.parsed(RECURRING, &["start_date"], instant, |text| {
        parse_instant(text).or_else(|| Some(Date::parse(text)?.start()))
    });
    let end = input.parsed(RECURRING, &["end_date"], "must be a day such as 2027-12-31", Date::parse);
    let recurring = Recurring {
        start: start.unwrap_or(input.policy.now).max(input.policy.now),
        end: end.map(Date::end),
        cycle_days: cycle_days?,
        trial_days,
    };
    check(input, start, &recurring);
    Some(recurring)
}

fn check(input: &mut Input<'_>, sent_start: Option<Timestamp>, recurring: &Recurring) {
    let Recurring { start, end, trial_days, .. } = *recurring;
    if sent_start.is_some_and(|start| start < EARLIEST_START) {
        let message = "recurring.start_date is before the year 2000. Leave it out to start now.";
        input.errors.add("recurring.start_date", message);
    }
    if start > input.policy.now.plus(DAYS_MAX * DAY) {
        let message = format!("recurring.start_date must be within {DAYS_MAX} days from now.");
        input.errors.add("recurring.start_date", message);
    }
    let Some(end) = end else { return };
    if end <= start {
        let message = "recurring.end_date must be after the start and not in the past. Leave it out to go on \
                       until it is cancelled.";
        input.errors.add("recurring.end_date", message);
    } else if end <= start.plus(trial_days * DAY) {
        let message = "recurring.trial_days must be over before recurring.end_date.";
        input.errors.add("recurring.trial_days", message);
    }
}
