//! How many deliveries may be on their way to an endpoint, and how free slots are shared out. Pure.
//!
//! Some slots are an endpoint's own: `per_endpoint` of them if its last attempt ended promptly, one if
//! nothing is known of it, none if it was slow or has failed ever since. All that endpoints hold beyond
//! their own fits into half of the slots, so neither what hangs nor what one fast endpoint takes on top
//! holds up the rest.

use super::attempt::Impression;
use crate::WorkerOptions;
use crate::pace::backoff;
use std::time::Duration;
use tokio::time::Instant;

/// An endpoint that succeeds within this is given more at once.
const FAST: Duration = Duration::from_millis(100);
/// An attempt that ends within this, well or badly, does not hold others up.
const PROMPT: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Slots in all.
    total: usize,
    /// Of them, for what endpoints hold beyond their own.
    extra: usize,
    base: usize,
    fast: usize,
}

impl From<&WorkerOptions> for Limits {
    fn from(options: &WorkerOptions) -> Limits {
        let total = options.delivery_concurrency.max(1);
        let base = options.per_endpoint.max(1);
        Limits { total, extra: total.div_ceil(2), base, fast: options.per_fast_endpoint.max(base) }
    }
}

/// What this process knows of an endpoint.
#[derive(Debug)]
pub(super) struct Lane {
    /// Slots held: for attempts, and for claims that have not come back.
    pub in_flight: usize,
    limit: usize,
    own: usize,
    /// Nothing is claimed before; after failures to claim.
    held_until: Option<Instant>,
    failures: u32,
    used_at: Instant,
}

impl Lane {
    /// `failing`: whether the endpoint has failed since its last success, as the database has it.
    pub fn new(failing: bool, limits: &Limits, now: Instant) -> Lane {
        let own = usize::from(!failing);
        Lane { in_flight: 0, limit: limits.base, own, held_until: None, failures: 0, used_at: now }
    }

    /// Learns from an attempt: each fast success adds one to the limit, all else resets it.
    pub fn attempted(&mut self, impression: &Impression, limits: &Limits, now: Instant) {
        self.used_at = now;
        self.own = if impression.took <= PROMPT { limits.base } else { 0 };
        if impression.delivered && impression.took <= FAST {
            self.limit = (self.limit + 1).min(limits.fast);
        } else {
            self.limit = limits.base;
        }
    }

    pub fn claimed(&mut self) {
        (self.held_until, self.failures) = (None, 0);
    }

    /// After a failed claim: a damaged row of one endpoint must not be tried over and over.
    pub fn hold(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.used_at = now;
        self.held_until = Some(now + backoff(self.failures));
    }

    pub fn forgettable(&self, now: Instant, after: Duration) -> bool {
        self.in_flight == 0 && now.duration_since(self.used_at) > after
    }

    pub fn wish(&self, now: Instant) -> Wish {
        let limit = if self.held_until.is_some_and(|until| until > now) { 0 } else { self.limit };
        Wish { in_flight: self.in_flight, limit, own: self.own }
    }

    /// Slots held beyond its own.
    pub fn extra(&self) -> usize {
        self.in_flight.saturating_sub(self.own)
    }
}

/// An endpoint with something due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    in_flight: usize,
    limit: usize,
    own: usize,
}

/// How many slots each endpoint gets: one each in turn, in the order given, until no one may have more.
/// `held`: slots in use; `extra`: those of them that endpoints hold beyond their own.
pub(super) fn allot(wishes: &[Wish], limits: &Limits, held: usize, extra: usize) -> Vec<usize> {
    let mut shares = vec![0; wishes.len()];
    let mut free = limits.total.saturating_sub(held);
    let mut free_extra = limits.extra.saturating_sub(extra);
    loop {
        let before = free;
        for (wish, share) in wishes.iter().zip(&mut shares) {
            let has = wish.in_flight + *share;
            let is_extra = has >= wish.own;
            if free == 0 || has >= wish.limit || (is_extra && free_extra == 0) {
                continue;
            }
            *share += 1;
            free -= 1;
            free_extra -= usize::from(is_extra);
        }
        if free == before {
            return shares;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { total: 16, extra: 8, base: 4, fast: 12 };

    fn slow(in_flight: usize) -> Wish {
        Wish { in_flight, limit: 4, own: 0 }
    }

    fn unknown(in_flight: usize) -> Wish {
        Wish { in_flight, limit: 4, own: 1 }
    }

    fn fast(in_flight: usize) -> Wish {
        Wish { in_flight, limit: 12, own: 4 }
    }

    fn impression(millis: u64, delivered: bool) -> Impression {
        Impression { took: Duration::from_millis(millis), delivered }
    }

    #[test]
    fn shares_are_even_and_within_every_bound() {
        assert!(allot(&[], &LIMITS, 0, 0).is_empty());
        assert_eq!(allot(&[slow(0)], &LIMITS, 0, 0), [4]);
        assert_eq!(allot(&[slow(3)], &LIMITS, 3, 3), [1]);
        assert_eq!(allot(&[slow(0), slow(0), slow(0)], &LIMITS, 0, 0), [3, 3, 2], "half of 16 in all");
        assert_eq!(allot(&[unknown(0), unknown(0), unknown(0)], &LIMITS, 0, 0), [4, 4, 3], "and one each");
        assert_eq!(allot(&[fast(0)], &LIMITS, 0, 0), [12], "4 of its own and 8 of the extra half");
        assert_eq!(allot(&[fast(0), fast(0)], &LIMITS, 0, 0), [8, 8]);
        assert_eq!(allot(&[fast(0), fast(0)], &LIMITS, 15, 0), [1, 0], "one slot goes to the first in turn");
        assert_eq!(allot(&[fast(0)], &LIMITS, 16, 0), [0]);
        assert_eq!(allot(&[fast(0)], &LIMITS, 99, 99), [0]);
    }

    #[test]
    fn what_hangs_leaves_half_to_the_rest() {
        let mut wishes = vec![slow(0); 100];
        wishes.extend([unknown(0), fast(0)]);
        let shares = allot(&wishes, &LIMITS, 0, 0);
        assert_eq!(shares[..100].iter().sum::<usize>(), 8);
        assert_eq!(shares[100..], [1, 4]);
        // The extra half is stuck: others still get their own, the slow nothing.
        assert_eq!(allot(&[slow(4), slow(0), unknown(0), fast(0)], &LIMITS, 8, 8), [0, 0, 1, 4]);
    }

    #[test]
    fn standing_follows_what_the_endpoint_does() {
        let now = Instant::now();
        assert_eq!(Lane::new(true, &LIMITS, now).own, 0);
        let mut lane = Lane::new(false, &LIMITS, now);
        assert_eq!((lane.limit, lane.own), (4, 1));
        for limit in [5, 6, 7, 8, 9, 10, 11, 12, 12] {
            lane.attempted(&impression(100, true), &LIMITS, now);
            assert_eq!((lane.limit, lane.own), (limit, 4));
        }
        lane.in_flight = 10;
        assert_eq!(lane.extra(), 6);
        for (other, own) in
            [(impression(101, true), 4), (impression(1, false), 4), (impression(1_001, true), 0)]
        {
            lane.attempted(&impression(1, true), &LIMITS, now);
            assert!(lane.limit > 4);
            lane.attempted(&other, &LIMITS, now);
            assert_eq!((lane.limit, lane.own), (4, own), "{other:?}");
        }
        assert_eq!(lane.extra(), 10, "a slow endpoint has no slots of its own");
    }

    #[test]
    fn a_failed_claim_holds_the_endpoint_for_a_while() {
        let now = Instant::now();
        let mut lane = Lane::new(false, &LIMITS, now);
        lane.hold(now);
        lane.hold(now);
        assert_eq!(lane.wish(now).limit, 0);
        assert_eq!(lane.wish(now + Duration::from_millis(999)).limit, 0);
        assert_eq!(lane.wish(now + Duration::from_millis(1_001)).limit, 4);
        lane.claimed();
        assert_eq!(lane.wish(now).limit, 4);
    }

    #[test]
    fn records_are_kept_while_used() {
        let now = Instant::now();
        let mut lane = Lane::new(false, &LIMITS, now);
        let later = now + Duration::from_secs(11);
        assert!(!lane.forgettable(now, Duration::from_secs(10)));
        assert!(lane.forgettable(later, Duration::from_secs(10)));
        lane.in_flight = 1;
        assert!(!lane.forgettable(later, Duration::from_secs(10)), "slots would be lost");
    }
}
