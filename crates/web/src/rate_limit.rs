//! Request limits per credential, in memory: a sliding 60-second window and a token bucket.
//!
//! The window bounds what a key may do in any minute and is what the `X-RateLimit-*` headers show; the
//! bucket bounds short peaks. A request has to pass both and is counted by both or by neither. A
//! restart forgets all counts. The Admin API and the Main Backend have limits of another form, [`windows`].

mod table;
mod window;
pub mod windows;

use crate::client;
use domain::rate::Tier;
use std::net::{IpAddr, Ipv6Addr};
use table::{Count, Table};
use window::{Seen, Window, seconds_up};

/// Keys whose counts are kept at once; bounds memory when keys are many or made up.
pub const MAX_KEYS: usize = 100_000;
/// How many times a tier's limits replays of stored replies may reach.
pub const REPLAY_FACTOR: u32 = 10;

const SECOND_US: i64 = 1_000_000;
const WINDOW_US: i64 = 60 * SECOND_US;
/// Threads read the clock before they queue for the lock, so `now` may run backwards a little. More
/// than this is a clock that was set back.
const JITTER_US: i64 = 2 * SECOND_US;
/// The pause asked for when a tier never lets anything pass.
const NEVER_US: i64 = WINDOW_US;

/// The limits of whoever has no credential, per address. One for every surface, since they share the bucket.
pub const ANONYMOUS: Tier = Tier { per_minute: 50, per_second: 5, burst: 50 };

/// The bucket of whoever has no credential: the client's address.
pub fn address_key(extensions: &axum::http::Extensions) -> [u8; 16] {
    let mut key = [0u8; 16];
    match client::ip(extensions) {
        IpAddr::V4(v4) => key[12..].copy_from_slice(&v4.octets()),
        // One customer of an access network has a whole /64.
        IpAddr::V6(v6) => key[..8].copy_from_slice(&v6.octets()[..8]),
    }
    key
}

/// The address of whoever has no key, as the audit log names it: as wide as its bucket.
pub fn shown_address(extensions: &axum::http::Extensions) -> String {
    match client::ip(extensions) {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("{}/64", Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
    }
}

/// What the limiter says of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub allowed: bool,
    /// Requests per 60 s; of [`windows`], those of the window that will refuse first.
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
    meters: Table<Id, Meter>,
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
        Limiter { meters: Table::with_capacity(keys) }
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
        let known = self.meters.with_known((*key, Kind::Fresh), |meter| meter.look(tier, now_us));
        known.unwrap_or_else(|| Meter::new(tier, now_us).look(tier, now_us))
    }

    /// Undoes the latest [`Limiter::take`] of `key`: the request was a replay. Gives back no more than
    /// was taken.
    pub fn give_back(&self, key: &[u8; 16], now_us: i64) {
        self.meters.with_known((*key, Kind::Fresh), |meter| meter.give_back(now_us));
    }

    fn take_from(&self, id: Id, tier: Tier, now_us: i64) -> Verdict {
        self.meters.with(id, now_us, || Meter::new(tier, now_us), |meter| meter.take(tier, now_us))
    }
}

type Id = ([u8; 16], Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Fresh,
    Replay,
}

/// The counts of one key.
struct Meter {
    window: Window,
    /// Millionths of a token: at `per_second` tokens a second, each microsecond brings `per_second` of
    /// them, exactly.
    tokens: i64,
    /// The size of the bucket in the same unit.
    bucket: i64,
    per_second: i64,
    seen: Seen,
}

const TOKEN: i64 = 1_000_000;

impl Meter {
    fn new(tier: Tier, now_us: i64) -> Meter {
        let bucket = bucket_size(tier);
        Meter {
            window: Window::new(WINDOW_US),
            tokens: bucket,
            bucket,
            per_second: i64::from(tier.per_second),
            seen: Seen::at(now_us),
        }
    }

    fn take(&mut self, tier: Tier, now_us: i64) -> Verdict {
        self.adopt(tier, now_us);
        let wait_us = self.wait_us(tier, now_us);
        if wait_us == 0 {
            self.tokens -= TOKEN;
            self.window.record(self.seen.us());
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
        if self.window.give_back() {
            self.tokens = self.tokens.saturating_add(TOKEN).min(self.bucket);
        }
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
        let step = self.seen.advance(now_us);
        self.window.set_back(step.back_us);
        let gained = step.elapsed_us.saturating_mul(self.per_second);
        self.tokens = self.tokens.saturating_add(gained).min(self.bucket);
        self.window.advance(self.seen.us());
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
        let until_window =
            self.window.free_at(tier.per_minute, self.seen.us()).saturating_sub(self.seen.us());
        self.seen.for_caller(until_token.max(until_window), now_us)
    }

    fn verdict(&self, tier: Tier, wait_us: i64) -> Verdict {
        Verdict {
            allowed: wait_us == 0,
            limit: tier.per_minute,
            remaining: tier.per_minute.saturating_sub(self.window.count()),
            reset_at: seconds_up(self.window.empty_at(self.seen.us())),
            retry_after: u32::try_from(seconds_up(wait_us)).unwrap_or(u32::MAX),
        }
    }
}

impl Count for Meter {
    fn is_idle(&mut self, now_us: i64) -> bool {
        self.advance(now_us);
        self.window.count() == 0 && self.tokens >= self.bucket
    }

    fn weight(&self) -> (u32, i64) {
        (self.window.count(), self.seen.us())
    }
}

fn bucket_size(tier: Tier) -> i64 {
    i64::from(tier.burst).saturating_mul(TOKEN)
}

#[cfg(test)]
mod tests;
