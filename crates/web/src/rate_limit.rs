//! Request limits per credential, in memory: a sliding 60-second window and a token bucket.
//!
//! The window bounds what a key may do in any minute and is what the `X-RateLimit-*` headers show; the
//! bucket bounds short peaks. A request has to pass both and is counted by both or by neither. A
//! restart forgets all counts.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::rate::Tier;

use crate::Peer;

/// Keys whose counts are kept at once; bounds memory when keys are many or made up.
pub const MAX_KEYS: usize = 100_000;
/// How many times a tier's limits replays of stored replies may reach.
pub const REPLAY_FACTOR: u32 = 10;

const SHARDS: usize = 64;
const SECOND_US: i64 = 1_000_000;
const WINDOW_US: i64 = 60 * SECOND_US;
/// Requests this close together are counted as one group, which leaves the window with its last
/// member: a request may count up to 1 % too long, never too short.
const GROUP_US: i64 = WINDOW_US / 100;
/// Threads read the clock before they queue for the lock, so `now` may run backwards a little. More
/// than this is a clock that was set back.
const JITTER_US: i64 = 2 * SECOND_US;
/// The pause asked for when a tier never lets anything pass.
const NEVER_US: i64 = WINDOW_US;

/// The limits of whoever has no credential, per address. One for every surface, since they share the bucket.
pub const ANONYMOUS: Tier = Tier { per_minute: 50, per_second: 5, burst: 50 };

/// The bucket of whoever has no credential: the peer's address.
pub fn address_key(extensions: &axum::http::Extensions) -> [u8; 16] {
    let ip = extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |p| p.0.ip());
    let mut key = [0u8; 16];
    match ip {
        IpAddr::V4(v4) => key[12..].copy_from_slice(&v4.octets()),
        // One customer of an access network has a whole /64.
        IpAddr::V6(v6) => key[..8].copy_from_slice(&v6.octets()[..8]),
    }
    key
}

/// The address of whoever has no key, as the audit log names it: as wide as its bucket.
pub fn shown_address(extensions: &axum::http::Extensions) -> String {
    match extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |p| p.0.ip()) {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("{}/64", Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
    }
}

/// What the limiter says of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub allowed: bool,
    /// Requests per 60 s.
    pub limit: u32,
    /// What is left of `limit` after this request.
    pub remaining: u32,
    /// Unix second, rounded up, at which `remaining` is `limit` again if no more requests come.
    pub reset_at: i64,
    /// Seconds after which one more request passes if no others come: 0 when this one was allowed,
    /// else at least 1.
    pub retry_after: u32,
}

/// Counts of all keys. All times are microseconds since the epoch, given by the caller.
pub struct Limiter {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    keys_per_shard: usize,
}

impl Default for Limiter {
    fn default() -> Self {
        Limiter::new()
    }
}

impl Limiter {
    /// A limiter without counts.
    pub fn new() -> Limiter {
        Limiter::with_capacity(MAX_KEYS)
    }

    fn with_capacity(keys: usize) -> Limiter {
        let shards = (0..SHARDS).map(|_| Mutex::new(Shard::default())).collect();
        Limiter { shards, hasher: RandomState::new(), keys_per_shard: (keys / SHARDS).max(1) }
    }

    /// Counts one request of `key`, unless it is refused: refused requests cost nothing.
    pub fn take(&self, key: &[u8; 16], tier: Tier, now_us: i64) -> Verdict {
        self.take_from((*key, Kind::Fresh), tier, now_us)
    }

    /// Counts one replay of a stored reply. Replays are free by contract; a separate, ten times larger
    /// allowance keeps them from being a way around every limit.
    pub fn take_replay(&self, key: &[u8; 16], tier: Tier, now_us: i64) -> Verdict {
        let tier = Tier {
            per_minute: tier.per_minute.saturating_mul(REPLAY_FACTOR),
            per_second: tier.per_second.saturating_mul(REPLAY_FACTOR),
            burst: tier.burst.saturating_mul(REPLAY_FACTOR),
        };
        self.take_from((*key, Kind::Replay), tier, now_us)
    }

    /// What [`Limiter::take`] would decide, with `remaining` as it is now. Counts nothing.
    pub fn peek(&self, key: &[u8; 16], tier: Tier, now_us: i64) -> Verdict {
        let id = (*key, Kind::Fresh);
        match self.shard(&id).meters.get_mut(&id) {
            Some(meter) => meter.look(tier, now_us),
            None => Meter::new(tier, now_us).look(tier, now_us),
        }
    }

    /// Undoes the latest [`Limiter::take`] of `key`: the request was a replay. Gives back no more than
    /// was taken.
    pub fn give_back(&self, key: &[u8; 16], now_us: i64) {
        let id = (*key, Kind::Fresh);
        if let Some(meter) = self.shard(&id).meters.get_mut(&id) {
            meter.give_back(now_us);
        }
    }

    fn take_from(&self, id: Id, tier: Tier, now_us: i64) -> Verdict {
        let mut shard = self.shard(&id);
        if !shard.meters.contains_key(&id) && shard.meters.len() >= self.keys_per_shard {
            shard.make_room(now_us);
        }
        shard.meters.entry(id).or_insert_with(|| Meter::new(tier, now_us)).take(tier, now_us)
    }

    /// The shard is chosen by a keyed hash: keys derived from addresses are the client's choice, and
    /// must not be able to crowd one shard.
    fn shard(&self, id: &Id) -> MutexGuard<'_, Shard> {
        let index = (self.hasher.hash_one(id) % SHARDS as u64) as usize;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Id = ([u8; 16], Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Fresh,
    Replay,
}

#[derive(Default)]
struct Shard {
    meters: HashMap<Id, Meter>,
}

impl Shard {
    /// Drops meters that say no more than a new one would; failing that, the one with the fewest
    /// requests. So a flood of new keys pushes out its own, and a busy key cannot shed its count.
    fn make_room(&mut self, now_us: i64) {
        let before = self.meters.len();
        self.meters.retain(|_, meter| !meter.is_idle(now_us));
        if self.meters.len() < before {
            return;
        }
        let least = self.meters.iter().min_by_key(|(_, meter)| (meter.count, meter.seen_us));
        if let Some(id) = least.map(|(id, _)| *id) {
            self.meters.remove(&id);
        }
    }
}

/// Requests close together in time.
struct Group {
    first_us: i64,
    last_us: i64,
    count: u32,
}

/// The counts of one key.
struct Meter {
    /// Requests of the window, oldest first; at most about 100 groups.
    groups: VecDeque<Group>,
    /// Sum of the groups.
    count: u32,
    /// Millionths of a token: at `per_second` tokens a second, each microsecond brings `per_second` of
    /// them, exactly.
    tokens: i64,
    /// The size of the bucket in the same unit.
    bucket: i64,
    per_second: i64,
    /// The latest time this meter has seen; goes back only when the clock was set back.
    seen_us: i64,
}

const TOKEN: i64 = 1_000_000;

impl Meter {
    fn new(tier: Tier, now_us: i64) -> Meter {
        let bucket = bucket_size(tier);
        Meter {
            groups: VecDeque::new(),
            count: 0,
            tokens: bucket,
            bucket,
            per_second: i64::from(tier.per_second),
            seen_us: now_us,
        }
    }

    fn take(&mut self, tier: Tier, now_us: i64) -> Verdict {
        self.adopt(tier, now_us);
        let wait_us = self.wait_us(tier, now_us);
        if wait_us == 0 {
            self.tokens -= TOKEN;
            self.count = self.count.saturating_add(1);
            self.record();
        }
        self.verdict(tier, wait_us)
    }

    fn look(&mut self, tier: Tier, now_us: i64) -> Verdict {
        self.adopt(tier, now_us);
        let wait_us = self.wait_us(tier, now_us);
        self.verdict(tier, wait_us)
    }

    fn give_back(&mut self, now_us: i64) {
        self.advance(now_us);
        let Some(newest) = self.groups.back_mut() else { return };
        newest.count = newest.count.saturating_sub(1);
        if newest.count == 0 {
            self.groups.pop_back();
        }
        self.count = self.count.saturating_sub(1);
        self.tokens = self.tokens.saturating_add(TOKEN).min(self.bucket);
    }

    /// Brings the meter to `now_us` and to the tier, which may have changed since the last request.
    fn adopt(&mut self, tier: Tier, now_us: i64) {
        self.advance(now_us);
        self.per_second = i64::from(tier.per_second);
        // A larger bucket fills at its rate: if it came full, switching to and fro would mint tokens.
        self.bucket = bucket_size(tier);
        self.tokens = self.tokens.min(self.bucket);
    }

    fn advance(&mut self, now_us: i64) {
        if now_us < self.seen_us.saturating_sub(JITTER_US) {
            self.set_back(now_us);
        }
        let elapsed = now_us.saturating_sub(self.seen_us).max(0);
        self.seen_us = self.seen_us.max(now_us);
        let gained = elapsed.saturating_mul(self.per_second);
        self.tokens = self.tokens.saturating_add(gained).min(self.bucket);
        while let Some(oldest) = self.groups.front() {
            if oldest.last_us > self.seen_us.saturating_sub(WINDOW_US) {
                break;
            }
            self.count = self.count.saturating_sub(oldest.count);
            self.groups.pop_front();
        }
    }

    /// Moves all that was counted along with a clock that was set back: the key is neither locked out
    /// until the old time comes round again, nor given a fresh window.
    fn set_back(&mut self, now_us: i64) {
        let by = self.seen_us.saturating_sub(now_us);
        for group in &mut self.groups {
            group.first_us = group.first_us.saturating_sub(by);
            group.last_us = group.last_us.saturating_sub(by);
        }
        self.seen_us = now_us;
    }

    fn record(&mut self) {
        let now_us = self.seen_us;
        match self.groups.back_mut() {
            Some(group) if now_us.saturating_sub(group.first_us) < GROUP_US => {
                group.last_us = now_us;
                group.count = group.count.saturating_add(1);
            }
            _ => self.groups.push_back(Group { first_us: now_us, last_us: now_us, count: 1 }),
        }
    }

    /// Microseconds after `now_us` at which both limits let one request pass; 0 is now.
    fn wait_us(&self, tier: Tier, now_us: i64) -> i64 {
        let lacking = (TOKEN - self.tokens).max(0);
        let until_token = match lacking {
            0 => 0,
            _ if self.bucket < TOKEN || self.per_second <= 0 => NEVER_US,
            // Rounded up.
            _ => (lacking + self.per_second - 1) / self.per_second,
        };
        let until_window = self.window_free_at(tier.per_minute).saturating_sub(self.seen_us);
        let wait = until_token.max(until_window);
        if wait <= 0 {
            return 0;
        }
        // This meter's time may be ahead of the caller's by the jitter.
        wait.saturating_add(self.seen_us.saturating_sub(now_us).max(0))
    }

    /// When enough groups have left the window for one more request.
    fn window_free_at(&self, limit: u32) -> i64 {
        if limit == 0 {
            return self.seen_us.saturating_add(NEVER_US);
        }
        let mut left = self.count;
        let mut free_at = self.seen_us;
        for group in &self.groups {
            if left < limit {
                break;
            }
            left = left.saturating_sub(group.count);
            free_at = group.last_us.saturating_add(WINDOW_US);
        }
        free_at
    }

    fn verdict(&self, tier: Tier, wait_us: i64) -> Verdict {
        let reset_us =
            self.groups.back().map_or(self.seen_us, |newest| newest.last_us.saturating_add(WINDOW_US));
        Verdict {
            allowed: wait_us == 0,
            limit: tier.per_minute,
            remaining: tier.per_minute.saturating_sub(self.count),
            reset_at: seconds_up(reset_us),
            retry_after: u32::try_from(seconds_up(wait_us)).unwrap_or(u32::MAX),
        }
    }

    /// Whether a new meter would decide everything as this one.
    fn is_idle(&mut self, now_us: i64) -> bool {
        self.advance(now_us);
        self.count == 0 && self.tokens >= self.bucket
    }
}

fn bucket_size(tier: Tier) -> i64 {
    i64::from(tier.burst).saturating_mul(TOKEN)
}

fn seconds_up(us: i64) -> i64 {
    us.div_euclid(SECOND_US) + i64::from(us.rem_euclid(SECOND_US) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8; 16] = b"credential-one..";
    const OTHER: &[u8; 16] = b"credential-two..";
    /// Not on a whole second, so that rounding shows.
    const T0: i64 = 1_745_308_800_250_000;
    const SANDBOX: Tier = Tier { per_minute: 100, per_second: 2, burst: 20 };
    /// Only the window limits.
    const WINDOW_ONLY: Tier = Tier { per_minute: 10, per_second: 1_000, burst: 1_000 };
    /// Only the bucket limits.
    const BUCKET_ONLY: Tier = Tier { per_minute: 100_000, per_second: 2, burst: 5 };

    fn take_n(limiter: &Limiter, tier: Tier, now_us: i64, count: u32) -> u32 {
        (0..count).map(|_| u32::from(limiter.take(KEY, tier, now_us).allowed)).sum()
    }

    #[test]
    fn the_window_ends_exactly_at_its_limit() {
        let limiter = Limiter::new();
        for taken in 1..=10 {
            let verdict = limiter.take(KEY, WINDOW_ONLY, T0);
            let reset_at = 1_745_308_861; // T0 + 60 s, rounded up
            let expected =
                Verdict { allowed: true, limit: 10, remaining: 10 - taken, reset_at, retry_after: 0 };
            assert_eq!(verdict, expected);
        }
        let refused =
            Verdict { allowed: false, limit: 10, remaining: 0, reset_at: 1_745_308_861, retry_after: 60 };
        assert_eq!(limiter.take(KEY, WINDOW_ONLY, T0), refused);
        // A refusal costs nothing: the window is not prolonged.
        assert_eq!(limiter.take(KEY, WINDOW_ONLY, T0 + WINDOW_US - 1), Verdict { retry_after: 1, ..refused });
        assert_eq!(take_n(&limiter, WINDOW_ONLY, T0 + WINDOW_US, 11), 10);
    }

    #[test]
    fn the_window_slides() {
        let limiter = Limiter::new();
        for second in 0..10 {
            assert!(limiter.take(KEY, WINDOW_ONLY, T0 + second * SECOND_US).allowed);
        }
        let refused = limiter.take(KEY, WINDOW_ONLY, T0 + 30 * SECOND_US);
        assert_eq!((refused.allowed, refused.retry_after), (false, 30));
        // Each second one more request leaves the window and makes room for one.
        for second in 60..70 {
            let now = T0 + second * SECOND_US;
            assert!(!limiter.take(KEY, WINDOW_ONLY, now - 1).allowed, "{second}");
            assert!(limiter.take(KEY, WINDOW_ONLY, now).allowed, "{second}");
            assert!(!limiter.take(KEY, WINDOW_ONLY, now).allowed, "{second}");
        }
    }

    /// Against an exact log of what was allowed: never more than the limit in any 60 s, and no refusal
    /// that a window 1 % longer would not explain.
    #[test]
    fn the_window_is_accurate() {
        let tier = Tier { per_minute: 300, per_second: 1_000_000, burst: 1_000_000 };
        let limiter = Limiter::new();
        let mut log: VecDeque<i64> = VecDeque::new();
        let (mut now, mut random, mut refused) = (T0, 1_u64, 0);
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            now += (random >> 40) as i64 % 200_000;
            let within = |us: i64| log.iter().filter(|taken| **taken > now - us).count();
            if limiter.take(KEY, tier, now).allowed {
                assert!(within(WINDOW_US) < 300, "more than the limit in 60 s");
                log.push_back(now);
            } else {
                assert!(within(WINDOW_US + WINDOW_US / 100) >= 300, "refused too early");
                refused += 1;
            }
            while log.front().is_some_and(|first| *first <= now - 2 * WINDOW_US) {
                log.pop_front();
            }
        }
        assert!(refused > 1_000, "{refused}");
    }

    #[test]
    fn the_bucket_bounds_peaks() {
        let limiter = Limiter::new();
        assert_eq!(take_n(&limiter, BUCKET_ONLY, T0, 20), 5);
        let refused = limiter.take(KEY, BUCKET_ONLY, T0);
        assert_eq!((refused.allowed, refused.remaining, refused.retry_after), (false, 99_995, 1));
        assert!(!limiter.take(KEY, BUCKET_ONLY, T0 + SECOND_US / 2 - 1).allowed);
        assert_eq!(take_n(&limiter, BUCKET_ONLY, T0 + SECOND_US / 2, 5), 1);
        assert_eq!(take_n(&limiter, BUCKET_ONLY, T0 + SECOND_US * 3 / 2, 5), 2);
        // Full again, and not fuller.
        assert_eq!(take_n(&limiter, BUCKET_ONLY, T0 + 3600 * SECOND_US, 20), 5);
    }

    #[test]
    fn fractions_of_tokens_are_not_lost() {
        let tier = Tier { per_minute: 1_000_000, per_second: 17, burst: 1 };
        let limiter = Limiter::new();
        // A look at each of 10,000 odd moments must not round anything away.
        let mut taken = 0;
        for step in 0..10_000 {
            taken += take_n(&limiter, tier, T0 + step * 1_001, 1);
        }
        assert!((168..=171).contains(&taken), "{taken} in 10.01 s at 17 a second");
    }

    /// Whoever waits as told gets through, whatever came before.
    #[test]
    fn waiting_as_told_succeeds() {
        let tiers = [SANDBOX, WINDOW_ONLY, BUCKET_ONLY, Tier { per_minute: 1, per_second: 1, burst: 1 }];
        for tier in tiers {
            let limiter = Limiter::new();
            let (mut now, mut random, mut waits) = (T0, 7_u64, 0);
            for _ in 0..3_000 {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                now += (random >> 40) as i64 % 100_000;
                let peeked = limiter.peek(KEY, tier, now);
                let verdict = limiter.take(KEY, tier, now);
                assert_eq!(peeked.allowed, verdict.allowed);
                assert_eq!(verdict.allowed, verdict.retry_after == 0);
                assert!(verdict.retry_after <= 61);
                if !verdict.allowed {
                    assert_eq!(peeked, verdict);
                    now += i64::from(verdict.retry_after) * SECOND_US;
                    assert!(limiter.take(KEY, tier, now).allowed, "{tier:?} {verdict:?}");
                    waits += 1;
                }
            }
            assert!(waits > 0, "{tier:?}");
        }
    }

    #[test]
    fn the_sandbox_tier_as_documented() {
        let limiter = Limiter::new();
        // 20 at once, then 2 a second, until 100 in the minute are reached after 40 s.
        assert_eq!(take_n(&limiter, SANDBOX, T0, 50), 20);
        let mut total = 20;
        for second in 1..60 {
            total += take_n(&limiter, SANDBOX, T0 + second * SECOND_US, 50);
        }
        assert_eq!(total, 100);
        assert_eq!(limiter.peek(KEY, SANDBOX, T0 + 59 * SECOND_US).retry_after, 1);
    }

    #[test]
    fn keys_are_independent() {
        let limiter = Limiter::new();
        assert_eq!(take_n(&limiter, WINDOW_ONLY, T0, 11), 10);
        assert_eq!(limiter.take(OTHER, WINDOW_ONLY, T0).remaining, 9);
    }

    #[test]
    fn looking_counts_nothing() {
        let limiter = Limiter::new();
        let fresh = limiter.peek(KEY, WINDOW_ONLY, T0);
        let expected =
            Verdict { allowed: true, limit: 10, remaining: 10, reset_at: seconds_up(T0), retry_after: 0 };
        assert_eq!(fresh, expected);
        limiter.take(KEY, WINDOW_ONLY, T0);
        for _ in 0..100 {
            assert_eq!(limiter.peek(KEY, WINDOW_ONLY, T0).remaining, 9);
        }
    }

    #[test]
    fn replays_are_given_back_and_capped_on_their_own() {
        let tier = Tier { per_minute: 3, per_second: 1, burst: 2 };
        let limiter = Limiter::new();
        // A replay takes, is recognised, gives back: any number of times at one moment.
        for _ in 0..30 {
            assert!(limiter.take(KEY, tier, T0).allowed);
            limiter.give_back(KEY, T0);
        }
        assert_eq!(limiter.peek(KEY, tier, T0).remaining, 3);
        // Ten times the burst.
        let replays = (0..50).filter(|_| limiter.take_replay(KEY, tier, T0).allowed).count();
        assert_eq!(replays, 20);
        assert_eq!(limiter.peek(KEY, tier, T0).remaining, 3, "replays are counted apart");
        let refused = limiter.take_replay(KEY, tier, T0);
        assert_eq!((refused.allowed, refused.retry_after, refused.limit), (false, 1, 30));
        // Ten times the minute.
        let more = (1..30).map(|s| limiter.take_replay(KEY, tier, T0 + s * SECOND_US));
        assert_eq!(more.filter(|verdict| verdict.allowed).count(), 10);
    }

    #[test]
    fn no_more_is_given_back_than_was_taken() {
        let limiter = Limiter::new();
        limiter.give_back(KEY, T0);
        assert_eq!(take_n(&limiter, BUCKET_ONLY, T0, 3), 3);
        for _ in 0..50 {
            limiter.give_back(KEY, T0);
        }
        assert_eq!(take_n(&limiter, BUCKET_ONLY, T0, 50), 5);
        assert_eq!(limiter.peek(KEY, BUCKET_ONLY, T0).remaining, 100_000 - 5);
    }

    #[test]
    fn a_clock_set_back_neither_locks_out_nor_resets() {
        let limiter = Limiter::new();
        assert_eq!(take_n(&limiter, WINDOW_ONLY, T0, 10), 10);
        let back = T0 - 3_600 * SECOND_US;
        let refused = limiter.take(KEY, WINDOW_ONLY, back);
        assert_eq!((refused.allowed, refused.remaining, refused.retry_after), (false, 0, 60));
        assert_eq!(refused.reset_at, seconds_up(back + WINDOW_US));
        assert_eq!(take_n(&limiter, WINDOW_ONLY, back + WINDOW_US, 11), 10);

        let limiter = Limiter::new();
        assert_eq!(take_n(&limiter, BUCKET_ONLY, T0, 5), 5);
        assert_eq!(take_n(&limiter, BUCKET_ONLY, back, 5), 0);
        assert_eq!(take_n(&limiter, BUCKET_ONLY, back + SECOND_US, 5), 2);
        // Forwards: as if the time had passed.
        assert_eq!(take_n(&limiter, BUCKET_ONLY, T0 + 3_600 * SECOND_US, 9), 5);
    }

    #[test]
    fn late_threads_mint_no_tokens() {
        let limiter = Limiter::new();
        assert_eq!(take_n(&limiter, BUCKET_ONLY, T0, 5), 5);
        for _ in 0..1_000 {
            assert!(!limiter.take(KEY, BUCKET_ONLY, T0 + 400_000).allowed);
            assert!(!limiter.take(KEY, BUCKET_ONLY, T0 - SECOND_US).allowed);
        }
        // What is said to the late one holds on its own clock.
        let refused = limiter.take(KEY, BUCKET_ONLY, T0 - SECOND_US);
        let later = T0 - SECOND_US + i64::from(refused.retry_after) * SECOND_US;
        assert!(limiter.take(KEY, BUCKET_ONLY, later).allowed);
    }

    #[test]
    fn extreme_clocks_and_tiers_do_not_overflow() {
        let most = Tier { per_minute: u32::MAX, per_second: u32::MAX, burst: u32::MAX };
        let none = Tier { per_minute: 0, per_second: 0, burst: 0 };
        let limiter = Limiter::new();
        for now in [T0, i64::MIN, i64::MAX, 0, -1, i64::MAX, i64::MIN, T0] {
            assert!(limiter.take(KEY, most, now).allowed);
            assert!(limiter.take_replay(KEY, most, now).allowed);
            limiter.give_back(KEY, now);
            let refused = limiter.take(OTHER, none, now);
            assert_eq!((refused.allowed, refused.remaining), (false, 0));
            assert!((60..=62).contains(&refused.retry_after), "{refused:?}");
        }
    }

    #[test]
    fn a_new_tier_counts_at_once() {
        let limiter = Limiter::new();
        assert_eq!(take_n(&limiter, SANDBOX, T0, 50), 20);
        let growth = Tier { per_minute: 1_000, per_second: 17, burst: 200 };
        assert_eq!(take_n(&limiter, growth, T0, 500), 0, "the bucket is as empty as it was");
        assert_eq!(take_n(&limiter, growth, T0 + SECOND_US, 500), 17);
        assert_eq!(take_n(&limiter, growth, T0 + 6 * SECOND_US, 500), 85);
        for _ in 0..10 {
            assert!(!limiter.peek(KEY, SANDBOX, T0 + 6 * SECOND_US).allowed);
            assert!(!limiter.peek(KEY, growth, T0 + 6 * SECOND_US).allowed);
        }
        let now = T0 + 6 * SECOND_US;
        let refused = limiter.take(KEY, SANDBOX, now);
        assert_eq!((refused.allowed, refused.remaining, refused.limit), (false, 0, 100));
        // 122 requests are counted: the first 20 leaving at 60 s is not enough, the 17 at 61 s is.
        assert_eq!(refused.retry_after, 55);
        assert!(limiter.take(KEY, SANDBOX, now + i64::from(refused.retry_after) * SECOND_US).allowed);
    }

    #[test]
    fn two_hundred_threads_take_exactly_the_limit() {
        let limiter = Limiter::new();
        let tier = Tier { per_minute: 1_234, per_second: 1, burst: 10_000 };
        let worker = |id: i64| {
            let now = T0 + id;
            (0..20).filter(|_| limiter.take(KEY, tier, now).allowed).count()
        };
        let allowed: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..200).map(|id| scope.spawn(move || worker(id))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or(0)).sum()
        });
        assert_eq!(allowed, 1_234);
    }

    #[test]
    fn memory_is_bounded_and_busy_keys_stay() {
        let limiter = Limiter::with_capacity(SHARDS * 10);
        let stored =
            || -> usize { limiter.shards.iter().map(|s| s.lock().map_or(0, |s| s.meters.len())).sum() };
        assert_eq!(take_n(&limiter, WINDOW_ONLY, T0, 10), 10);
        for other in 0..20_000_u128 {
            limiter.take(&(other << 64).to_le_bytes(), WINDOW_ONLY, T0 + 1);
        }
        assert!(stored() <= SHARDS * 10, "{}", stored());
        assert!(!limiter.take(KEY, WINDOW_ONLY, T0 + 2).allowed, "a flood of keys must not reset a busy one");

        // An hour later all are idle: the first new key of each full shard clears it.
        let later = T0 + 3_600 * SECOND_US;
        for other in 0..2_000_u128 {
            limiter.take(&(other << 64 | 1).to_le_bytes(), WINDOW_ONLY, later);
            limiter.give_back(&(other << 64 | 1).to_le_bytes(), later);
        }
        assert!(stored() <= SHARDS * 10, "{}", stored());
    }

    #[test]
    fn groups_stay_few() {
        let tier = Tier { per_minute: u32::MAX, per_second: u32::MAX, burst: u32::MAX };
        let mut meter = Meter::new(tier, T0);
        for step in 0..100_000 {
            assert!(meter.take(tier, T0 + step * 2_000).allowed);
        }
        assert!(meter.groups.len() <= 102, "{}", meter.groups.len());
        assert_eq!(meter.count, meter.groups.iter().map(|group| group.count).sum::<u32>());
        // 500 a second for 60 s, and at most 1 % more.
        assert!((30_000..=30_300).contains(&meter.count), "{}", meter.count);
    }
}
