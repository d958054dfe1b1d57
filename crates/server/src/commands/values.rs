//! Values as operators write and read them.

pub(super) use domain::date::plain_seconds as show_time;
use domain::scope::Mode;
use domain::time::{DAY, HOUR, MICROS, MINUTE};

/// Longest settlement delay: a year.
const DELAY_MAX_DAYS: i64 = 365;

/// Reads `test` or `live`.
pub(super) fn mode(text: &str) -> Result<Mode, String> {
    Mode::parse(text).ok_or_else(|| "must be test or live".to_owned())
}

/// Reads a time span such as `2d`, `36h` or `0`, in microseconds.
pub(super) fn delay(text: &str) -> Result<i64, String> {
    let wrong =
        || format!("must be 0 or a number with d or h, such as 2d or 36h, and at most {DELAY_MAX_DAYS}d");
    if text == "0" {
        return Ok(0);
    }
    let micros = span(text, &[('d', DAY), ('h', HOUR)]);
    micros.filter(|span| *span <= DELAY_MAX_DAYS * DAY).ok_or_else(wrong)
}

/// Reads digits and the letter of a unit, in microseconds; `None` for anything else.
pub(super) fn span(text: &str, units: &[(char, i64)]) -> Option<i64> {
    let (digits, micros) = units.iter().find_map(|(letter, us)| Some((text.strip_suffix(*letter)?, *us)))?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse::<i64>().ok()?.checked_mul(micros)
}

/// Writes what [`delay`] reads; finer spans in the largest whole unit.
pub(super) fn show_delay(micros: i64) -> String {
    match micros {
        0 => "0".to_owned(),
        m if m % DAY == 0 => format!("{}d", m / DAY),
        m if m % HOUR == 0 => format!("{}h", m / HOUR),
        m if m % MINUTE == 0 => format!("{}min", m / MINUTE),
        m => format!("{}s", m / MICROS),
    }
}

/// Lines of columns, each as wide as its widest cell.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A row of a [`table`].
pub(super) fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.iter().map(|cell| printable(cell)).collect()
}

/// Names come from outside: control characters in them must not reach the operator's terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::time::Timestamp;

    #[test]
    fn delays_read_back() {
        for (text, micros) in [("0", 0), ("2d", 2 * DAY), ("36h", 36 * HOUR), ("365d", 365 * DAY)] {
            assert_eq!(delay(text), Ok(micros));
            assert_eq!(show_delay(micros), text);
        }
        assert_eq!(delay("48h"), Ok(2 * DAY));
        for bad in ["", "2", "d", "-1d", "+1d", "2 d", "366d", "9999999999999999999h", "1w", "2D", "1.5d"] {
            assert!(delay(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_shown_in_utc() {
        for (seconds, shown) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_745_308_800, "2025-04-22 08:00:00"),
            (4_107_542_399, "2100-02-28 23:59:59"),
            (4_107_542_400, "2100-03-01 00:00:00"),
            (-1, "1969-12-31 23:59:59"),
        ] {
            assert_eq!(show_time(Timestamp::from_secs(seconds)), shown);
        }
    }

    #[test]
    fn tables_line_up_and_show_no_control_characters() {
        let rows = [row(["a", "name"]), row(["long", "x\u{1b}[2Jy"])];
        assert_eq!(table(&rows), "a     name\nlong  x?[2Jy\n");
    }
}
