//! A bounded piece of time that a report or an export is about.

use crate::date::Date;
use crate::limits::RANGE_DAYS;
use crate::time::{DAY, Timestamp};

/// From an instant up to, and without, another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    from: Timestamp,
    until: Timestamp,
}

/// Why two instants are no period. The text follows the names of the two parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    #[error("the end lies before the start, or at it")]
    Empty,
    #[error("span more than {RANGE_DAYS} days; ask for less at a time")]
    TooLong,
}

impl Period {
    /// # Errors
    /// [`PeriodError`] when `until` is not behind `from`, or more than [`RANGE_DAYS`] days behind.
    pub fn new(from: Timestamp, until: Timestamp) -> Result<Period, PeriodError> {
        if until <= from {
            return Err(PeriodError::Empty);
        }
        if i128::from(until.0) - i128::from(from.0) > i128::from(RANGE_DAYS * DAY) {
            return Err(PeriodError::TooLong);
        }
        Ok(Period { from, until })
    }

    /// Whole UTC days, both included.
    ///
    /// # Errors
    /// As [`Period::new`].
    pub fn of_days(first: Date, last: Date) -> Result<Period, PeriodError> {
        Period::new(first.start(), last.end())
    }

    pub const fn from(&self) -> Timestamp {
        self.from
    }

    pub const fn until(&self) -> Timestamp {
        self.until
    }

    /// The days that any of it lies in.
    pub const fn first_day(&self) -> Date {
        Date::of_instant(self.from)
    }

    pub const fn last_day(&self) -> Date {
        Date::of_instant(self.until.plus(-1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_bounded() {
        let day = |text| Date::parse(text).unwrap();
        for (first, last, expected) in [
            ("2026-01-01", "2026-01-01", Ok(())),
            ("2026-01-01", "2025-12-31", Err(PeriodError::Empty)),
            ("2024-01-01", "2024-12-31", Ok(())),
            ("2025-01-01", "2026-01-01", Ok(())),
            ("2025-01-01", "2026-01-02", Err(PeriodError::TooLong)),
            ("1926-01-01", "2026-01-01", Err(PeriodError::TooLong)),
            ("0001-01-01", "9999-12-31", Err(PeriodError::TooLong)),
        ] {
            let period = Period::of_days(day(first), day(last));
            assert_eq!(period.map(|_| ()), expected, "{first} to {last}");
            if let Ok(period) = period {
                assert_eq!((period.first_day(), period.last_day()), (day(first), day(last)));
            }
        }
        let extreme = Period::new(Timestamp(i64::MIN), Timestamp(i64::MAX));
        assert_eq!(extreme, Err(PeriodError::TooLong));
        assert_eq!(Period::new(Timestamp(5), Timestamp(5)), Err(PeriodError::Empty));
    }
}
