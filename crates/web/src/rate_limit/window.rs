//! A sliding window of one key's requests, and the time as the key's meter has seen it.

use super::{JITTER_US, SECOND_US};
use std::collections::VecDeque;

/// Groups that a window is divided into. Requests this close together are counted as one, which leaves the
/// window with its last member: a request may count up to 1 % too long, never too short.
const GROUPS: i64 = 100;

/// Requests close together in time.
struct Group {
    first_us: i64,
    last_us: i64,
    count: u32,
}

/// Requests of the latest `length_us` microseconds. Every `now_us` is what [`Seen`] answers.
pub(super) struct Window {
    length_us: i64,
    /// Oldest first; at most about 100.
    groups: VecDeque<Group>,
    /// Sum of the groups.
    count: u32,
}

impl Window {
    pub fn new(length_us: i64) -> Window {
        Window { length_us, groups: VecDeque::new(), count: 0 }
    }

    pub fn count(&self) -> u32 {
        self.count
    }

    /// Forgets what has left the window.
    pub fn advance(&mut self, now_us: i64) {
        while let Some(oldest) = self.groups.front() {
            if oldest.last_us > now_us.saturating_sub(self.length_us) {
                break;
            }
            self.count = self.count.saturating_sub(oldest.count);
            self.groups.pop_front();
        }
    }

    /// Moves all that was counted along with a clock that was set back: the key is neither locked out
    /// until the old time comes round again, nor given a fresh window.
    pub fn set_back(&mut self, by_us: i64) {
        for group in &mut self.groups {
            group.first_us = group.first_us.saturating_sub(by_us);
            group.last_us = group.last_us.saturating_sub(by_us);
        }
    }

    pub fn record(&mut self, now_us: i64) {
        self.count = self.count.saturating_add(1);
        match self.groups.back_mut() {
            Some(group) if now_us.saturating_sub(group.first_us) < self.length_us / GROUPS => {
                group.last_us = now_us;
                group.count = group.count.saturating_add(1);
            }
            _ => self.groups.push_back(Group { first_us: now_us, last_us: now_us, count: 1 }),
        }
    }

    /// Forgets the latest request. Whether there was one.
    pub fn give_back(&mut self) -> bool {
        let Some(newest) = self.groups.back_mut() else { return false };
        newest.count = newest.count.saturating_sub(1);
        if newest.count == 0 {
            self.groups.pop_back();
        }
        self.count = self.count.saturating_sub(1);
        true
    }

    /// When enough groups have left the window for one more request; not after `now_us`: at once.
    pub fn free_at(&self, limit: u32, now_us: i64) -> i64 {
        if limit == 0 {
            return now_us.saturating_add(self.length_us);
        }
        let mut left = self.count;
        let mut free_at = now_us;
        for group in &self.groups {
            if left < limit {
                break;
            }
            left = left.saturating_sub(group.count);
            free_at = group.last_us.saturating_add(self.length_us);
        }
        free_at
    }

    /// When the window is empty if no more requests come.
    pub fn empty_at(&self, now_us: i64) -> i64 {
        self.groups.back().map_or(now_us, |newest| newest.last_us.saturating_add(self.length_us))
    }

    #[cfg(test)]
    pub fn groups(&self) -> (usize, u32) {
        (self.groups.len(), self.groups.iter().map(|group| group.count).sum())
    }
}

/// The latest time that a meter has seen; goes back only when the clock was set back.
///
/// Threads read the clock before they queue for the lock, so `now` may run backwards a little: that is
/// held to be the time seen already.
#[derive(Clone, Copy)]
pub(super) struct Seen(i64);

/// How a meter's time moved.
pub(super) struct Step {
    /// By how much the clock was set back before; 0: not at all.
    pub back_us: i64,
    pub elapsed_us: i64,
}

impl Seen {
    pub fn at(now_us: i64) -> Seen {
        Seen(now_us)
    }

    pub fn us(self) -> i64 {
        self.0
    }

    pub fn advance(&mut self, now_us: i64) -> Step {
        if now_us < self.0.saturating_sub(JITTER_US) {
            let back_us = self.0.saturating_sub(now_us);
            self.0 = now_us;
            return Step { back_us, elapsed_us: 0 };
        }
        let elapsed_us = now_us.saturating_sub(self.0).max(0);
        self.0 = self.0.max(now_us);
        Step { back_us: 0, elapsed_us }
    }

    /// A wait counted from here, as one counted from the caller's time: this may be ahead by the jitter.
    pub fn for_caller(self, wait_us: i64, now_us: i64) -> i64 {
        if wait_us <= 0 {
            return 0;
        }
        wait_us.saturating_add(self.0.saturating_sub(now_us).max(0))
    }
}

/// Whole seconds, rounded up.
pub(super) fn seconds_up(us: i64) -> i64 {
    us.div_euclid(SECOND_US) + i64::from(us.rem_euclid(SECOND_US) != 0)
}
