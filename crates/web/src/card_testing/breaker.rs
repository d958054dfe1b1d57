//! Holds up a merchant's payers when most of their latest tries were declined.
//!
//! Closed: all pass. Open, for ten minutes: none. Half open, for ten minutes at most: a few, and what
//! comes of them decides.

use domain::card_testing::CardTestingAlert;
use domain::scope::Scope;
use domain::time::{MINUTE, Timestamp};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Merchants and modes with counts at once.
pub(super) const SCOPES_MAX: usize = 4_096;
/// How many of the latest tries are looked at, and how far back.
pub(super) const LATEST: usize = 20;
pub(super) const WINDOW_US: i64 = 10 * MINUTE;
pub(super) const OPEN_US: i64 = 10 * MINUTE;
/// Tries that pass in a minute while it is half open, and the results that decide.
pub(super) const PROBES: usize = 5;
const PROBES_EVERY_US: i64 = MINUTE;
const HALF_OPEN_US: i64 = 10 * MINUTE;
/// More than this share of declines opens it.
const PERCENT: usize = 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    Open { until_us: i64 },
    HalfOpen { until_us: i64, probes: usize, more_at_us: i64 },
}

struct Breaker {
    phase: Phase,
    /// The latest results, oldest first: when, and whether it was a decline.
    results: VecDeque<(i64, bool)>,
    /// The latest time that was seen; goes back only when the clock was set back.
    seen_us: i64,
}

#[derive(Default)]
pub(super) struct Breakers(Mutex<HashMap<Scope, Breaker>>);

impl Breakers {
    pub fn is_open(&self, scope: Scope, now_us: i64) -> bool {
        let mut all = self.lock();
        let Some(breaker) = all.get_mut(&scope) else { return false };
        breaker.advance(now_us);
        matches!(breaker.phase, Phase::Open { .. })
    }

    /// Whether one more try may begin. While it is half open, a flood must not pass before its first
    /// results are in.
    pub fn admit(&self, scope: Scope, now_us: i64) -> bool {
        let mut all = self.lock();
        let Some(breaker) = all.get_mut(&scope) else { return true };
        breaker.advance(now_us);
        match &mut breaker.phase {
            Phase::Closed => true,
            Phase::Open { .. } => false,
            Phase::HalfOpen { probes, .. } => {
                let passes = *probes > 0;
                *probes = probes.saturating_sub(1);
                passes
            }
        }
    }

    pub fn note(&self, scope: Scope, declined: bool, now_us: i64) -> Option<CardTestingAlert> {
        let mut all = self.lock();
        if !all.contains_key(&scope) && all.len() >= SCOPES_MAX {
            make_room(&mut all, now_us);
        }
        all.entry(scope).or_insert_with(|| Breaker::new(now_us)).note(declined, now_us)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Scope, Breaker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.lock().len()
    }
}

/// Drops breakers that say no more than new ones would; failing that, the closed one that was quiet for
/// longest, or any.
fn make_room(all: &mut HashMap<Scope, Breaker>, now_us: i64) {
    let before = all.len();
    all.retain(|_, breaker| {
        breaker.advance(now_us);
        breaker.phase != Phase::Closed || !breaker.results.is_empty()
    });
    if all.len() < before {
        return;
    }
    let quietest =
        all.iter().min_by_key(|(_, b)| (b.phase != Phase::Closed, b.results.back().map(|(at, _)| *at)));
    if let Some(scope) = quietest.map(|(scope, _)| *scope) {
        all.remove(&scope);
    }
}

impl Breaker {
    fn new(now_us: i64) -> Breaker {
        Breaker { phase: Phase::Closed, results: VecDeque::new(), seen_us: now_us }
    }

    fn advance(&mut self, now_us: i64) {
        if now_us < self.seen_us {
            self.set_back(now_us);
        }
        self.seen_us = now_us;
        while self.results.front().is_some_and(|(at, _)| *at <= now_us.saturating_sub(WINDOW_US)) {
            self.results.pop_front();
        }
        if let Phase::Open { until_us } = self.phase
            && now_us >= until_us
        {
            self.results.clear();
            let (until_us, more_at_us) =
                (until_us.saturating_add(HALF_OPEN_US), now_us.saturating_add(PROBES_EVERY_US));
            self.phase = Phase::HalfOpen { until_us, probes: PROBES, more_at_us };
        }
        if let Phase::HalfOpen { until_us, probes, more_at_us } = &mut self.phase {
            if now_us >= *until_us {
                self.phase = Phase::Closed;
            } else if now_us >= *more_at_us {
                // Not all who pass have a result: some only open their bank's page.
                (*probes, *more_at_us) = (PROBES, now_us.saturating_add(PROBES_EVERY_US));
            }
        }
    }

    /// Moves all times along with a clock that was set back, or with a thread that read it earlier.
    fn set_back(&mut self, now_us: i64) {
        let by = self.seen_us.saturating_sub(now_us);
        for (at, _) in &mut self.results {
            *at = at.saturating_sub(by);
        }
        match &mut self.phase {
            Phase::Closed => {}
            Phase::Open { until_us } => *until_us = until_us.saturating_sub(by),
            Phase::HalfOpen { until_us, more_at_us, .. } => {
                *until_us = until_us.saturating_sub(by);
                *more_at_us = more_at_us.saturating_sub(by);
            }
        }
    }

    fn note(&mut self, declined: bool, now_us: i64) -> Option<CardTestingAlert> {
        self.advance(now_us);
        // A try that passed before it opened.
        if matches!(self.phase, Phase::Open { .. }) {
            return None;
        }
        let of = if self.phase == Phase::Closed { LATEST } else { PROBES };
        self.results.push_back((now_us, declined));
        while self.results.len() > of {
            self.results.pop_front();
        }
        let declines = self.results.iter().filter(|(_, declined)| *declined).count();
        // As soon as it is certain: thirteen of twenty are too many, whatever the other seven would be.
        if declines * 100 > of * PERCENT {
            return Some(self.open(declines, now_us));
        }
        if matches!(self.phase, Phase::HalfOpen { .. }) && self.results.len() == of {
            self.phase = Phase::Closed;
        }
        None
    }

    fn open(&mut self, declines: usize, now_us: i64) -> CardTestingAlert {
        let until_us = now_us.saturating_add(OPEN_US);
        let tries = self.results.len();
        self.phase = Phase::Open { until_us };
        self.results.clear();
        CardTestingAlert {
            tries: u32::try_from(tries).unwrap_or(u32::MAX),
            declines: u32::try_from(declines).unwrap_or(u32::MAX),
            opened_at: Timestamp(now_us),
            open_until: Timestamp(until_us),
        }
    }
}
