//! Latencies and how figures are written.

use std::fmt;
use std::time::Duration;

/// Latencies of one kind of request.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    micros: Vec<u32>,
}

impl Latencies {
    pub fn add(&mut self, latency: Duration) {
        self.micros.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    /// Adds those of another loop.
    pub fn join(&mut self, other: Latencies) {
        self.micros.extend(other.micros);
    }

    pub fn sort(&mut self) {
        self.micros.sort_unstable();
    }

    /// The value that `per_mille` of all do not exceed, in microseconds; 0 when there are none. Sorted
    /// latencies only.
    pub fn at(&self, per_mille: usize) -> u32 {
        let rank = (self.micros.len() * per_mille).div_ceil(1_000).max(1);
        self.micros.get(rank - 1).copied().unwrap_or(0)
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p90, p99, max] = [500, 900, 990, 1_000].map(|rank| Millis(u64::from(self.at(rank))));
        write!(f, "p50 {p50:>8}  p90 {p90:>8}  p99 {p99:>8}  max {max:>8}")
    }
}

/// Microseconds, shown as milliseconds with two decimals.
pub struct Millis(pub u64);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{:02} ms", self.0 / 1_000, self.0 % 1_000 / 10))
    }
}

/// Hundredths, shown with two decimals.
pub struct Hundredths(pub u64);

impl fmt::Display for Hundredths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{:02}", self.0 / 100, self.0 % 100))
    }
}

/// KiB, shown as MiB with one decimal.
pub struct Mebibytes(pub u64);

impl fmt::Display for Mebibytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{} MiB", self.0 / 1_024, self.0 % 1_024 * 10 / 1_024))
    }
}

/// `count` per second over `time`.
pub fn rate(count: u64, time: Duration) -> u64 {
    let micros = time.as_micros().max(1);
    u64::try_from(u128::from(count) * 1_000_000 / micros).unwrap_or(u64::MAX)
}

/// `part / whole` in hundredths.
pub fn ratio(part: u64, whole: u64) -> u64 {
    part.saturating_mul(100) / whole.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.at(990), 0);
        for n in (1..=200).rev() {
            latencies.add(Duration::from_micros(n));
        }
        latencies.sort();
        assert_eq!([1, 500, 990, 995, 1_000].map(|rank| latencies.at(rank)), [1, 100, 198, 199, 200]);
    }

    #[test]
    fn figures_are_written_with_their_units() {
        assert_eq!(Millis(12_345).to_string(), "12.34 ms");
        assert_eq!(Hundredths(7).to_string(), "0.07");
        assert_eq!(Mebibytes(1_536).to_string(), "1.5 MiB");
        assert_eq!((rate(10, Duration::from_millis(500)), ratio(1, 2), ratio(1, 0)), (20, 50, 100));
    }
}
