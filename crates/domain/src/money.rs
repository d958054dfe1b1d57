//! Money as integers of the minor unit, with arithmetic that answers an error instead of wrapping.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::currency::Currency;
use crate::text_enum;

/// Largest amount of one operation, in minor units. Sums of many stay far inside `i64`.
pub const MAX_AMOUNT: i64 = 999_999_999_999;

/// Why an amount cannot be used or computed. The message is a phrase that follows the parameter's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("must be an integer from 1 to 999999999999 in the currency's minor unit (cents for eur)")]
    OutOfRange,
    #[error("is too large to compute with")]
    Overflow,
    #[error("must be in {expected}, not in {got}")]
    CurrencyMismatch { expected: Currency, got: Currency },
    #[error("cannot be divided by zero")]
    DivisionByZero,
}

/// A signed sum in one currency, such as a balance or a line of an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// In minor units; may be negative.
    pub minor: i64,
    pub currency: Currency,
}

impl Money {
    pub const fn new(minor: i64, currency: Currency) -> Money {
        Money { minor, currency }
    }

    pub const fn zero(currency: Currency) -> Money {
        Money { minor: 0, currency }
    }

    /// # Errors
    /// [`MoneyError::CurrencyMismatch`], [`MoneyError::Overflow`].
    pub fn checked_add(self, other: Money) -> Result<Money, MoneyError> {
        self.same_currency(other)?;
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Money { minor, ..self })
    }

    /// # Errors
    /// [`MoneyError::CurrencyMismatch`], [`MoneyError::Overflow`].
    pub fn checked_sub(self, other: Money) -> Result<Money, MoneyError> {
        self.same_currency(other)?;
        let minor = self.minor.checked_sub(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Money { minor, ..self })
    }

    /// # Errors
    /// As for [`mul_ratio`].
    pub fn mul_ratio(self, num: i128, den: i128, rounding: Rounding) -> Result<Money, MoneyError> {
        Ok(Money { minor: mul_ratio(self.minor, num, den, rounding)?, ..self })
    }

    fn same_currency(self, other: Money) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            return Ok(());
        }
        Err(MoneyError::CurrencyMismatch { expected: self.currency, got: other.currency })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_display(self.minor, self.currency))
    }
}

/// The amount of one operation: 1 to [`MAX_AMOUNT`] minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Amount(i64); // Invariant: 1..=MAX_AMOUNT.

impl Amount {
    /// # Errors
    /// [`MoneyError::OutOfRange`].
    pub const fn new(minor: i64) -> Result<Amount, MoneyError> {
        if minor >= 1 && minor <= MAX_AMOUNT { Ok(Amount(minor)) } else { Err(MoneyError::OutOfRange) }
    }

    /// In minor units.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for Amount {
    type Error = MoneyError;

    fn try_from(minor: i64) -> Result<Amount, MoneyError> {
        Amount::new(minor)
    }
}

impl From<Amount> for i64 {
    fn from(amount: Amount) -> i64 {
        amount.0
    }
}

text_enum! {
    /// What becomes of the part of a minor unit.
    pub enum Rounding {
        /// To the nearest; a half towards plus infinity: 0.5 to 1, -0.5 to 0.
        HalfUp = "half_up",
        /// To the nearest; a half away from zero: 0.5 to 1, -0.5 to -1. The commercial rule, which
        /// gives a credit the same size as the charge it undoes.
        HalfAway = "half_away_from_zero",
        /// Towards minus infinity.
        Floor = "floor",
        /// Towards plus infinity.
        Ceiling = "ceiling",
    }
}

/// `num / den`, rounded to an integer.
///
/// # Errors
/// [`MoneyError::DivisionByZero`]; [`MoneyError::Overflow`] if a sign or the quotient does not fit.
pub fn div_round(num: i128, den: i128, rounding: Rounding) -> Result<i128, MoneyError> {
    let (num, den) = match den {
        0 => return Err(MoneyError::DivisionByZero),
        1.. => (num, den),
        _ => num.checked_neg().zip(den.checked_neg()).ok_or(MoneyError::Overflow)?,
    };
    // With den > 0: num = floor * den + part, 0 <= part < den. `den - part` cannot overflow.
    let (floor, part) = (num.div_euclid(den), num.rem_euclid(den));
    let up = match rounding {
        Rounding::Floor => false,
        Rounding::Ceiling => part > 0,
        Rounding::HalfUp => part >= den - part,
        Rounding::HalfAway if num >= 0 => part >= den - part,
        Rounding::HalfAway => part > den - part,
    };
    floor.checked_add(i128::from(up)).ok_or(MoneyError::Overflow)
}

/// `amount * num / den`, rounded once at the end.
///
/// # Errors
/// [`MoneyError::DivisionByZero`]; [`MoneyError::Overflow`] if the product leaves `i128` or the result
/// leaves `i64`.
pub fn mul_ratio(amount: i64, num: i128, den: i128, rounding: Rounding) -> Result<i64, MoneyError> {
    let product = i128::from(amount).checked_mul(num).ok_or(MoneyError::Overflow)?;
    i64::try_from(div_round(product, den, rounding)?).map_err(|_| MoneyError::Overflow)
}

/// Why a text is not an amount in major units. The message is a phrase that follows the parameter's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    #[error(
        "must be a plain decimal number such as 100.00: digits and one point, without a sign, exponent, \
         space, separator of thousands or leading zero"
    )]
    Malformed,
    #[error("must have no more decimals than {}, which has {}", .0, .0.exponent())]
    Decimals(Currency),
    #[error("must be from {} to {}", Money::new(1, *.0), Money::new(MAX_AMOUNT, *.0))]
    OutOfRange(Currency),
}

/// Reads an amount given in major units: `49.00`, `49.5` and `49` in EUR, `49` in JPY. Nothing is rounded,
/// trimmed or guessed, and only ASCII digits count.
///
/// # Errors
/// [`DecimalError`]: another form, more decimals than the currency has (but zeros), or not an [`Amount`].
pub fn parse_major(text: &str, currency: Currency) -> Result<Amount, DecimalError> {
    let (whole, part) = match text.split_once('.') {
        Some((whole, part)) => (whole, Some(part)),
        None => (text, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = whole.len() > 1 && whole.starts_with('0');
    if !digits(whole) || padded || part.is_some_and(|part| !digits(part)) {
        return Err(DecimalError::Malformed);
    }
    let (part, exponent) = (part.unwrap_or_default(), usize::from(currency.exponent()));
    // Zeros behind the last decimal say nothing: 100.00 in JPY is 100.
    let kept = part.len().min(exponent);
    let (part, beyond) = part.split_at(kept);
    if beyond.bytes().any(|digit| digit != b'0') {
        return Err(DecimalError::Decimals(currency));
    }
    let minor = format!("{whole}{part:0<exponent$}").parse::<i64>().ok();
    minor.and_then(|minor| Amount::new(minor).ok()).ok_or(DecimalError::OutOfRange(currency))
}

/// The amount in major units with all its decimals and no separators: `49.00`, `-0.05`, `49` for JPY.
pub fn format_minor(minor: i64, currency: Currency) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    format!("{sign}{}", format_abs(minor, currency))
}

/// The amount for people: `€49.00`, `-$0.05`, and with its code where a symbol is missing or shared by
/// several currencies: `49.00 CHF`.
pub fn format_display(minor: i64, currency: Currency) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let abs = format_abs(minor, currency);
    match symbol(currency) {
        Some(symbol) => format!("{sign}{symbol}{abs}"),
        None => format!("{sign}{abs} {currency}"),
    }
}

fn format_abs(minor: i64, currency: Currency) -> String {
    let (abs, scale) = (minor.unsigned_abs(), currency.minor_per_major().unsigned_abs());
    match usize::from(currency.exponent()) {
        0 => abs.to_string(),
        decimals => format!("{}.{:0decimals$}", abs / scale, abs % scale),
    }
}

fn symbol(currency: Currency) -> Option<&'static str> {
    match currency.code() {
        "EUR" => Some("€"),
        "USD" => Some("$"),
        "GBP" => Some("£"),
        "JPY" => Some("¥"),
        "INR" => Some("₹"),
        "KRW" => Some("₩"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn currency(code: &str) -> Currency {
        Currency::parse(code).unwrap()
    }

    #[test]
    fn amounts_have_bounds() {
        for good in [1, 2, MAX_AMOUNT] {
            assert_eq!(Amount::new(good).map(Amount::get), Ok(good));
        }
        for bad in [0, -1, MAX_AMOUNT + 1, i64::MIN, i64::MAX] {
            assert_eq!(Amount::new(bad), Err(MoneyError::OutOfRange));
        }
        assert_eq!(serde_json::from_str::<Amount>("4900").unwrap().get(), 4900);
        assert_eq!(serde_json::to_string(&Amount::new(4900).unwrap()).unwrap(), "4900");
        for bad in ["0", "-1", "1.0", "\"1\"", "1000000000000", "99999999999999999999"] {
            assert!(serde_json::from_str::<Amount>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sums_are_checked() {
        let (eur, usd) = (Money::new(100, Currency::EUR), Money::new(1, Currency::USD));
        assert_eq!(eur.checked_sub(Money::new(101, Currency::EUR)), Ok(Money::new(-1, Currency::EUR)));
        let mismatch = MoneyError::CurrencyMismatch { expected: Currency::EUR, got: Currency::USD };
        assert_eq!(eur.checked_add(usd), Err(mismatch));
        assert_eq!(eur.checked_sub(usd), Err(mismatch));
        let (most, least) = (Money::new(i64::MAX, Currency::USD), Money::new(i64::MIN, Currency::USD));
        assert_eq!(most.checked_add(usd), Err(MoneyError::Overflow));
        assert_eq!(least.checked_sub(usd), Err(MoneyError::Overflow));
        assert_eq!(Money::zero(Currency::USD).checked_sub(least), Err(MoneyError::Overflow));
    }

    #[test]
    fn rounding_table() {
        use Rounding::{Ceiling, Floor, HalfAway, HalfUp};
        // (num, den, floor, ceiling, half up, half away from zero)
        let cases = [
            (0, 2, 0, 0, 0, 0),
            (1, 2, 0, 1, 1, 1),
            (-1, 2, -1, 0, 0, -1),
            (1, -2, -1, 0, 0, -1),
            (-1, -2, 0, 1, 1, 1),
            (3, 2, 1, 2, 2, 2),
            (-3, 2, -2, -1, -1, -2),
            (1, 3, 0, 1, 0, 0),
            (2, 3, 0, 1, 1, 1),
            (-2, 3, -1, 0, -1, -1),
            (6, 3, 2, 2, 2, 2),
            (-6, 3, -2, -2, -2, -2),
            (i128::MAX, i128::MAX, 1, 1, 1, 1),
            (i128::MAX - 1, i128::MAX, 0, 1, 1, 1),
        ];
        for (num, den, floor, ceiling, half_up, half_away) in cases {
            for (rounding, expected) in
                [(Floor, floor), (Ceiling, ceiling), (HalfUp, half_up), (HalfAway, half_away)]
            {
                assert_eq!(div_round(num, den, rounding), Ok(expected), "{num}/{den} {rounding}");
            }
        }
    }

    #[test]
    fn overflow_is_an_error_value() {
        use MoneyError::{DivisionByZero, Overflow};
        for rounding in Rounding::ALL {
            assert_eq!(div_round(1, 0, *rounding), Err(DivisionByZero));
            assert_eq!(div_round(i128::MIN, -1, *rounding), Err(Overflow));
            assert_eq!(div_round(1, i128::MIN, *rounding), Err(Overflow));
            assert_eq!(mul_ratio(2, i128::MAX, 1, *rounding), Err(Overflow));
            assert_eq!(mul_ratio(i64::MAX, 2, 1, *rounding), Err(Overflow));
            assert_eq!(mul_ratio(i64::MIN, -1, 1, *rounding), Err(Overflow));
            assert_eq!(mul_ratio(i64::MAX, 2, 2, *rounding), Ok(i64::MAX));
        }
        let eur = Money::new(100, Currency::EUR);
        assert_eq!(eur.mul_ratio(1, 3, Rounding::HalfAway), Ok(Money::new(33, Currency::EUR)));
    }

    #[test]
    fn formats() {
        let cases = [
            (4900, "EUR", "49.00", "€49.00"),
            (-5, "EUR", "-0.05", "-€0.05"),
            (0, "EUR", "0.00", "€0.00"),
            (49, "JPY", "49", "¥49"),
            (-49, "JPY", "-49", "-¥49"),
            (1, "KWD", "0.001", "0.001 KWD"),
            (123_456, "KWD", "123.456", "123.456 KWD"),
            (4900, "CHF", "49.00", "49.00 CHF"),
            (-4900, "CAD", "-49.00", "-49.00 CAD"),
            (MAX_AMOUNT, "USD", "9999999999.99", "$9999999999.99"),
            (i64::MIN, "USD", "-92233720368547758.08", "-$92233720368547758.08"),
        ];
        for (minor, code, plain, display) in cases {
            assert_eq!(format_minor(minor, currency(code)), plain);
            assert_eq!(format_display(minor, currency(code)), display);
            assert_eq!(Money::new(minor, currency(code)).to_string(), display);
        }
    }

    #[test]
    fn major_units_are_read_exactly() {
        let read = |text: &str, code: &str| parse_major(text, currency(code)).map(Amount::get);
        for (text, code, minor) in [
            ("49.00", "EUR", 4900),
            ("49.5", "EUR", 4950),
            ("49", "EUR", 4900),
            ("0.01", "EUR", 1),
            ("49", "JPY", 49),
            ("0.001", "KWD", 1),
            ("1.5", "KWD", 1500),
            ("100.00", "JPY", 100),
            ("1.00000000", "EUR", 100),
            ("9999999999.99", "USD", MAX_AMOUNT),
            ("999999999999", "JPY", MAX_AMOUNT),
        ] {
            assert_eq!(read(text, code), Ok(minor), "{text} {code}");
        }
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "1.2.3",
            "-1",
            "+1",
            "1e3",
            "1E3",
            " 1",
            "1 ",
            "1,00",
            "1_000",
            "1'000",
            "0x10",
            "00.10",
            "01",
            "1\u{a0}000",
            "\u{661}\u{662}",
            "\u{ff11}",
            "1\0",
            "NaN",
            "INF",
            "1\n",
            "\u{2212}1",
        ] {
            assert_eq!(read(text, "EUR"), Err(DecimalError::Malformed), "{text:?}");
        }
        for (text, code) in [("0.001", "EUR"), ("100.50", "JPY"), ("1.0001", "KWD"), ("1.005", "EUR")] {
            assert_eq!(read(text, code), Err(DecimalError::Decimals(currency(code))), "{text}");
        }
        let long = "9".repeat(400);
        for (text, code) in [
            ("0", "EUR"),
            ("0.00", "EUR"),
            ("10000000000.00", "EUR"),
            ("1000000000000", "JPY"),
            ("9223372036854775808", "JPY"),
            (&long, "EUR"),
        ] {
            assert_eq!(read(text, code), Err(DecimalError::OutOfRange(currency(code))), "{text}");
        }
        assert_eq!(
            DecimalError::OutOfRange(Currency::EUR).to_string(),
            "must be from €0.01 to €9999999999.99"
        );
    }

    proptest! {
        #[test]
        fn what_is_formatted_is_read_back(minor in 1..=MAX_AMOUNT, index in 0..Currency::all().count()) {
            let currency = Currency::all().nth(index).unwrap();
            prop_assert_eq!(parse_major(&format_minor(minor, currency), currency).map(Amount::get), Ok(minor));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9.eE+\\- ,]{0,24}|.{0,12}") {
            if let Ok(amount) = parse_major(&text, Currency::EUR) {
                let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
                prop_assert_eq!(format_minor(amount.get(), Currency::EUR), format!("{whole}.{part:0<2}"));
            }
        }

        #[test]
        fn formatting_keeps_every_digit(minor: i64, index in 0..Currency::all().count()) {
            let currency = Currency::all().nth(index).unwrap();
            let text = format_minor(minor, currency);
            prop_assert_eq!(text.replace('.', "").parse::<i64>().unwrap(), minor);
            let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            prop_assert_eq!(decimals, usize::from(currency.exponent()));
        }

        #[test]
        fn rounding_is_within_one_and_ordered(num in any::<i64>(), den in any::<i64>().prop_filter("", |d| *d != 0)) {
            let (num, den) = (i128::from(num), i128::from(den));
            let of = |rounding| div_round(num, den, rounding).unwrap();
            let (floor, ceiling) = (of(Rounding::Floor), of(Rounding::Ceiling));
            prop_assert_eq!(floor, -div_round(-num, den, Rounding::Ceiling).unwrap());
            prop_assert_eq!(ceiling - floor, i128::from(num % den != 0));
            for half in [of(Rounding::HalfUp), of(Rounding::HalfAway)] {
                prop_assert!((floor..=ceiling).contains(&half));
                prop_assert!(((half * den - num) * 2).abs() <= den.abs(), "nearest");
            }
        }

        #[test]
        fn half_away_is_symmetric(amount in -MAX_AMOUNT..=MAX_AMOUNT, num in 0..=i128::from(u32::MAX), den in 1..=i128::from(u32::MAX)) {
            let charge = mul_ratio(amount, num, den, Rounding::HalfAway).unwrap();
            prop_assert_eq!(mul_ratio(-amount, num, den, Rounding::HalfAway), Ok(-charge));
        }

        #[test]
        fn nothing_panics(amount: i64, num: i128, den: i128, minor: i64) {
            for rounding in Rounding::ALL {
                let _ = mul_ratio(amount, num, den, *rounding);
                let _ = div_round(num, den, *rounding);
            }
            let (a, b) = (Money::new(amount, Currency::EUR), Money::new(minor, Currency::EUR));
            prop_assert_eq!(a.checked_add(b).ok().map(|sum| sum.minor), amount.checked_add(minor));
        }
    }
}
