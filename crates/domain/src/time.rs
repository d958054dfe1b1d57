//! Instants as UTC microseconds since the epoch. The caller brings the clock.

use serde::{Deserialize, Serialize};

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

pub const MICROS: i64 = 1_000_000;
pub const MINUTE: i64 = 60 * MICROS;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

impl Timestamp {
    /// From whole unix seconds; saturates far outside any calendar.
    pub const fn from_secs(secs: i64) -> Timestamp {
        Timestamp(secs.saturating_mul(MICROS))
    }

    /// Whole unix seconds, rounded down: the form used on the wire.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(MICROS)
    }

    /// This instant moved by `micros` (negative moves back); saturating.
    pub const fn plus(self, micros: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(micros))
    }
}
