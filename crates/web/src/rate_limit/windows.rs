//! Limits of the Admin API and the Main Backend: requests in a long window and in any minute.
//!
//! A request has to fit into both and is counted by both or by neither. Counted for the address of
//! whoever has no credential, else for the key or session. A restart forgets all counts.

use super::table::{Count, Table};
use super::window::{Seen, Window, seconds_up};
use super::{MAX_KEYS, SECOND_US, Verdict};
use domain::network::{self, Network};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const MINUTE_US: i64 = 60 * SECOND_US;

/// What a [`WindowLimiter`] allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `false`: nothing is counted or refused.
    pub enabled: bool,
    /// Length of the long window in microseconds.
    pub window_us: i64,
    /// Requests in the long window.
    pub per_window: u32,
    /// Requests in any 60 s.
    pub per_minute: u32,
    /// Whoever asks from there is not limited.
    pub exempt: Vec<Network>,
}

impl Settings {
    /// Nothing is limited.
    pub fn off() -> Settings {
        Settings { enabled: false, ..Settings::default() }
    }
}

/// 500 in five minutes and 100 in a minute, but for requests from this machine.
impl Default for Settings {
    fn default() -> Settings {
        let here = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        Settings {
            enabled: true,
            window_us: 5 * MINUTE_US,
            per_window: 500,
            per_minute: 100,
            exempt: here.map(Network::host).to_vec(),
        }
    }
}

/// Counts of all keys of one surface. All times are microseconds since the epoch, given by the caller.
pub struct WindowLimiter {
    settings: Settings,
    meters: Table<[u8; 16], Meter>,
}

impl WindowLimiter {
    /// A limiter without counts.
    pub fn new(settings: Settings) -> WindowLimiter {
        WindowLimiter::with_capacity(settings, MAX_KEYS)
    }

    fn with_capacity(settings: Settings, keys: usize) -> WindowLimiter {
        WindowLimiter { settings, meters: Table::with_capacity(keys) }
    }

    /// Counts one request of `key`, unless it is refused: refused requests cost nothing. Not counted is who
    /// is exempt, and nobody when the limits are off; the verdict then shows the limits as unused.
    ///
    /// `from` is the address that asks, from [`crate::client::known_ip`]; `None`: nobody is exempt.
    pub fn take(&self, key: &[u8; 16], from: Option<IpAddr>, now_us: i64) -> Verdict {
        if self.is_free(from) {
            return self.unused(now_us);
        }
        let new = || Meter::new(&self.settings, now_us);
        self.meters.with(*key, now_us, new, |meter| meter.take(&self.settings, now_us))
    }

    /// What [`WindowLimiter::take`] would decide, with `remaining` as it is now. Counts nothing.
    pub fn peek(&self, key: &[u8; 16], from: Option<IpAddr>, now_us: i64) -> Verdict {
        if self.is_free(from) {
            return self.unused(now_us);
        }
        let known = self.meters.with_known(*key, |meter| meter.look(&self.settings, now_us));
        known.unwrap_or_else(|| self.unused(now_us))
    }

    fn is_free(&self, from: Option<IpAddr>) -> bool {
        !self.settings.enabled || from.is_some_and(|ip| network::any_contains(&self.settings.exempt, ip))
    }

    fn unused(&self, now_us: i64) -> Verdict {
        let verdict = Meter::new(&self.settings, now_us).look(&self.settings, now_us);
        Verdict { allowed: true, retry_after: 0, ..verdict }
    }
}

/// The counts of one key.
struct Meter {
    long: Window,
    minute: Window,
    seen: Seen,
}

impl Meter {
    fn new(settings: &Settings, now_us: i64) -> Meter {
        Meter {
            long: Window::new(settings.window_us),
            minute: Window::new(MINUTE_US),
            seen: Seen::at(now_us),
        }
    }

    fn advance(&mut self, now_us: i64) {
        let step = self.seen.advance(now_us);
        for window in [&mut self.long, &mut self.minute] {
            window.set_back(step.back_us);
            window.advance(self.seen.us());
        }
    }

    fn take(&mut self, settings: &Settings, now_us: i64) -> Verdict {
        let before = self.look(settings, now_us);
        if !before.allowed {
            return before;
        }
        self.long.record(self.seen.us());
        self.minute.record(self.seen.us());
        Verdict { allowed: true, retry_after: 0, ..self.look(settings, now_us) }
    }

    fn look(&mut self, settings: &Settings, now_us: i64) -> Verdict {
        self.advance(now_us);
        let minute = self.verdict(&self.minute, settings.per_minute, now_us);
        let long = self.verdict(&self.long, settings.per_window, now_us);
        // Shown is the window that will refuse first; of two that refuse, the one that does so longer.
        if (long.remaining, minute.retry_after) < (minute.remaining, long.retry_after) {
            long
        } else {
            minute
        }
    }

    fn verdict(&self, window: &Window, limit: u32, now_us: i64) -> Verdict {
        let free_at = window.free_at(limit, self.seen.us());
        let wait_us = self.seen.for_caller(free_at.saturating_sub(self.seen.us()), now_us);
        Verdict {
            allowed: wait_us == 0,
            limit,
            remaining: limit.saturating_sub(window.count()),
            reset_at: seconds_up(window.empty_at(self.seen.us())),
            retry_after: u32::try_from(seconds_up(wait_us)).unwrap_or(u32::MAX),
        }
    }
}

impl Count for Meter {
    fn is_idle(&mut self, now_us: i64) -> bool {
        self.advance(now_us);
        self.long.count() == 0 && self.minute.count() == 0
    }

    fn weight(&self) -> (u32, i64) {
        (self.long.count().max(self.minute.count()), self.seen.us())
    }
}

#[cfg(test)]
#[path = "windows_tests.rs"]
mod tests;
