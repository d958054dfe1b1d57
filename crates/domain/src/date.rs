//! Days of the calendar and instants, as texts from outside give them.

use crate::time::{DAY, HOUR, MICROS, MINUTE, Timestamp};

/// A day of the Gregorian calendar, from 0001-01-01 to 9999-12-31.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date {
    /// Since 1970-01-01.
    days: i64,
}

impl Date {
    /// Reads `YYYY-MM-DD`. `None` for another form, or a day that the calendar does not have.
    pub fn parse(text: &str) -> Option<Date> {
        let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text.as_bytes() else { return None };
        Date::of(number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?)
    }

    fn of(year: i64, month: i64, day: i64) -> Option<Date> {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = match month {
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            1..=12 => 31,
            _ => return None,
        };
        if year < 1 || !(1..=length).contains(&day) {
            return None;
        }
        // Howard Hinnant's days_from_civil: years begin in March, so that the leap day is the last of one.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let day_of_year = (153 * month + 2) / 5 + day - 1;
        let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
        Some(Date { days: days - 719_468 })
    }

    /// The day that this instant lies in, in UTC.
    pub const fn of_instant(at: Timestamp) -> Date {
        Date { days: at.0.div_euclid(DAY) }
    }

    /// The day this many days after 1970-01-01.
    pub const fn from_days(days: i64) -> Date {
        Date { days }
    }

    /// Days since 1970-01-01.
    pub const fn days(self) -> i64 {
        self.days
    }

    /// Midnight UTC with which the day begins.
    pub const fn start(self) -> Timestamp {
        Timestamp(self.days.saturating_mul(DAY))
    }

    /// Midnight UTC with which the day ends.
    pub const fn end(self) -> Timestamp {
        self.start().plus(DAY)
    }
}

impl std::fmt::Display for Date {
    /// `YYYY-MM-DD`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&civil(self.start()).0)
    }
}

/// Reads an instant by ISO 8601: a date, `T` or a space, hours to seconds, perhaps a fraction, and an offset:
/// `2024-11-18T22:45:55+00:00`, `…+0300`, `…Z`. Digits after the microsecond are cut off. `None` for
/// anything else, a missing offset included: a guessed time zone would be wrong for most.
pub fn parse_instant(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked(10)?;
    let (time, rest) = rest.strip_prefix(['T', 't', ' '])?.split_at_checked(8)?;
    let [h1, h2, b':', m1, m2, b':', s1, s2] = *time.as_bytes() else { return None };
    let (hours, minutes, seconds) = (number(&[h1, h2])?, number(&[m1, m2])?, number(&[s1, s2])?);
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let (fraction, offset) = match rest.strip_prefix('.') {
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (fraction, offset) = rest.split_at_checked(digits).filter(|_| (1..=9).contains(&digits))?;
            (number(format!("{fraction:0<6}").get(..6)?.as_bytes())?, offset)
        }
        None => (0, rest),
    };
    let of_day = hours * HOUR + minutes * MINUTE + seconds * MICROS + fraction;
    Some(Date::parse(date)?.start().plus(of_day).plus(-parse_offset(offset)?))
}

/// Microseconds east of UTC.
fn parse_offset(text: &str) -> Option<i64> {
    let sign = match text.as_bytes().first()? {
        b'Z' | b'z' if text.len() == 1 => return Some(0),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = match *text.as_bytes() {
        [_, h1, h2, b':', m1, m2] | [_, h1, h2, m1, m2] => (number(&[h1, h2])?, number(&[m1, m2])?),
        _ => return None,
    };
    (hours <= 14 && minutes <= 59).then_some(sign * (hours * HOUR + minutes * MINUTE))
}

/// `2024-10-19T21:24:12.000000Z`.
pub fn iso_micros(at: Timestamp) -> String {
    let (day, micros) = civil(at);
    format!("{day}T{}.{:06}Z", time_of_day(micros), micros % MICROS)
}

/// `2025-01-29 23:44:15`, in UTC.
pub fn plain_seconds(at: Timestamp) -> String {
    let (day, micros) = civil(at);
    format!("{day} {}", time_of_day(micros))
}

/// The year and the month, 1 to 12, in UTC.
pub fn year_and_month(at: Timestamp) -> (u16, u8) {
    let (day, _) = civil(at);
    let part = |from: usize, to: usize| day.get(from..to).and_then(|text| text.parse().ok()).unwrap_or(0);
    (part(0, 4), u8::try_from(part(5, 7)).unwrap_or(1))
}

fn time_of_day(micros: i64) -> String {
    format!("{:02}:{:02}:{:02}", micros / HOUR, micros % HOUR / MINUTE, micros % MINUTE / MICROS)
}

/// The day as `YYYY-MM-DD`, and the microseconds since its midnight.
fn civil(at: Timestamp) -> (String, i64) {
    let (days, micros) = (at.0.div_euclid(DAY), at.0.rem_euclid(DAY));
    // Howard Hinnant's civil_from_days, the way back of `Date::of`.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (format!("{year:04}-{month:02}-{day:02}"), micros)
}

/// At most nine ASCII digits.
fn number(digits: &[u8]) -> Option<i64> {
    if digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn days_of_the_calendar() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("1969-12-31", -1),
            ("2000-02-29", 11_016),
            ("2000-03-01", 11_017),
            ("2026-11-25", 20_782),
            ("2107-09-08", 50_288),
            ("0001-01-01", -719_162),
            ("9999-12-31", 2_932_896),
        ] {
            let date = Date::parse(text).unwrap();
            assert_eq!(date.start(), Timestamp(days * DAY), "{text}");
            assert_eq!(date.end(), Timestamp((days + 1) * DAY));
        }
        for text in [
            "",
            "2026-11-31",
            "2026-02-29",
            "1900-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-01-00",
            "0000-01-01",
            "2026-1-01",
            "26-01-01",
            "2026/01/01",
            "01.01.2026",
            "2026-01-01 ",
            "+026-01-01",
            "2026-01-0x",
            "\u{662}026-01-01",
            "99999-01-01",
        ] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut days = Date::parse("1899-12-31").unwrap().days;
        for year in 1900..=2110 {
            for month in 1..=12 {
                for day in 1..=31 {
                    if let Some(date) = Date::of(year, month, day) {
                        assert_eq!(date.days, days + 1, "{year}-{month}-{day}");
                        days = date.days;
                    }
                }
            }
        }
        assert_eq!(days, Date::parse("2110-12-31").unwrap().days);
    }

    #[test]
    fn instants() {
        let noon = Timestamp::from_secs(1_731_969_955);
        for text in [
            "2024-11-18T22:45:55+00:00",
            "2024-11-18T22:45:55Z",
            "2024-11-18 22:45:55z",
            "2024-11-19T01:45:55+03:00",
            "2024-11-19T01:45:55+0300",
            "2024-11-18T17:15:55-05:30",
            "2024-11-18T22:45:55.000000Z",
            "2024-11-18T22:45:55.0000009+00:00",
        ] {
            assert_eq!(parse_instant(text), Some(noon), "{text}");
        }
        assert_eq!(parse_instant("2024-11-18T22:45:55.25Z"), Some(noon.plus(250_000)));
        for text in [
            "",
            "2024-11-18",
            "2024-11-18T22:45:55",
            "2024-11-18T22:45Z",
            "2024-11-18T24:00:00Z",
            "2024-11-18T22:60:00Z",
            "2024-11-18T22:45:60Z",
            "2024-11-18T22:45:55+15:00",
            "2024-11-18T22:45:55+03",
            "2024-11-18T22:45:55.Z",
            "2024-11-18T22:45:55.0000000001Z",
            "2024-11-18T22:45:55ZZ",
            "2024-02-30T22:45:55Z",
            "1731969955",
            "tomorrow",
            "2024-11-1éT22:45:55Z",
        ] {
            assert_eq!(parse_instant(text), None, "{text}");
        }
    }

    #[test]
    fn instants_as_text() {
        for (at, iso, plain) in [
            (0, "1970-01-01T00:00:00.000000Z", "1970-01-01 00:00:00"),
            (-1, "1969-12-31T23:59:59.999999Z", "1969-12-31 23:59:59"),
            (1_731_969_955_000_001, "2024-11-18T22:45:55.000001Z", "2024-11-18 22:45:55"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z", "2000-02-29 00:00:00"),
        ] {
            assert_eq!(
                (iso_micros(Timestamp(at)).as_str(), plain_seconds(Timestamp(at)).as_str()),
                (iso, plain)
            );
        }
    }

    #[test]
    fn months() {
        for (secs, expected) in [
            (0, (1970, 1)),
            (951_782_400, (2000, 2)),
            (951_868_799, (2000, 2)),
            (951_868_800, (2000, 3)),
            (1_735_689_599, (2024, 12)),
            (1_735_689_600, (2025, 1)),
            (4_107_542_399, (2100, 2)),
            (4_107_542_400, (2100, 3)),
        ] {
            assert_eq!(year_and_month(Timestamp::from_secs(secs)), expected, "{secs}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(at in -60_000_000_000_000_000_i64..250_000_000_000_000_000) {
            prop_assert_eq!(parse_instant(&iso_micros(Timestamp(at))), Some(Timestamp(at)));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{8}[.0-9]{0,8}[Z+-]?[0-9:]{0,6}|.{0,30}") {
            let _ = (Date::parse(&text), parse_instant(&text));
        }
    }
}
