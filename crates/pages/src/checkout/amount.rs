//! Amounts as people of a language write them.

use domain::currency::Currency;

use super::locale::Locale;

/// Keeps a number and its sign together, and groups of digits in languages that part them by a space.
const NBSP: &str = "\u{a0}";
/// French parts groups by a narrow space.
const NARROW: &str = "\u{202f}";

/// How a language writes a number with its currency.
struct Style {
    group: &'static str,
    decimal: char,
    /// Digits before the decimal sign from which groups are made: some languages leave four together.
    grouped_from: usize,
    order: Order,
}

/// Where the currency stands.
enum Order {
    /// `€49.00`, but `CHF 49.00`.
    First,
    /// `€ 49,00`.
    FirstSpaced,
    /// `49,00 €`.
    Last,
}

const fn style(group: &'static str, decimal: char, grouped_from: usize, order: Order) -> Style {
    Style { group, decimal, grouped_from, order }
}

/// Source: the Unicode CLDR patterns of each language. Arabic is written with the digits 0 to 9, which its
/// readers meet on cards and bank statements.
const fn style_of(locale: Locale) -> Style {
    match locale {
        Locale::En => style(",", '.', 4, Order::First),
        Locale::De | Locale::It => style(".", ',', 4, Order::Last),
        Locale::Fr => style(NARROW, ',', 4, Order::Last),
        Locale::Es => style(".", ',', 5, Order::Last),
        Locale::Nl => style(".", ',', 4, Order::FirstSpaced),
        Locale::Pl | Locale::Pt | Locale::Lv => style(NBSP, ',', 5, Order::Last),
        Locale::Cs => style(NBSP, ',', 4, Order::Last),
        Locale::Ar | Locale::He => style(",", '.', 4, Order::Last),
    }
}

/// The sign that the language's readers take for this currency and no other; else its code.
fn symbol(currency: Currency, locale: Locale) -> &'static str {
    match (currency.code(), locale) {
        ("EUR", _) => "€",
        ("GBP", _) => "£",
        ("USD", Locale::En) => "$",
        ("JPY", Locale::En) => "¥",
        ("PLN", Locale::Pl) => "zł",
        ("CZK", Locale::Cs) => "Kč",
        ("ILS", Locale::He) => "₪",
        (code, _) => code,
    }
}

/// `minor` units of `currency`, with its number of decimals. To be shown left to right in any language.
pub(crate) fn format(minor: i64, currency: Currency, locale: Locale) -> String {
    let style = style_of(locale);
    let exponent = usize::from(currency.exponent());
    let digits = format!("{:0>width$}", minor.unsigned_abs(), width = exponent + 1);
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(exponent));
    let mut number = grouped(whole, &style);
    if !fraction.is_empty() {
        number.push(style.decimal);
        number.push_str(fraction);
    }
    let sign = if minor < 0 { "-" } else { "" };
    let symbol = symbol(currency, locale);
    match style.order {
        Order::First if symbol.is_ascii() && symbol.len() > 1 => {
            format!("{sign}{symbol}{NBSP}{number}")
        }
        Order::First => format!("{sign}{symbol}{number}"),
        Order::FirstSpaced => format!("{symbol}{NBSP}{sign}{number}"),
        Order::Last => format!("{sign}{number}{NBSP}{symbol}"),
    }
}

fn grouped(whole: &str, style: &Style) -> String {
    if whole.len() < style.grouped_from {
        return whole.to_owned();
    }
    let mut text = String::with_capacity(whole.len() * 2);
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            text.push_str(style.group);
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(minor: i64, code: &str, locale: Locale) -> String {
        format(minor, Currency::parse(code).expect("a currency"), locale)
            .replace([' ', '\u{a0}', '\u{202f}'], "_")
    }

    #[test]
    fn each_language_has_its_own_way() {
        for (locale, small, large) in [
            (Locale::En, "€1,234.56", "€1,234,567.89"),
            (Locale::De, "1.234,56_€", "1.234.567,89_€"),
            (Locale::Fr, "1_234,56_€", "1_234_567,89_€"),
            (Locale::Es, "1234,56_€", "1.234.567,89_€"),
            (Locale::It, "1.234,56_€", "1.234.567,89_€"),
            (Locale::Nl, "€_1.234,56", "€_1.234.567,89"),
            (Locale::Pl, "1234,56_€", "1_234_567,89_€"),
            (Locale::Pt, "1234,56_€", "1_234_567,89_€"),
            (Locale::Cs, "1_234,56_€", "1_234_567,89_€"),
            (Locale::Lv, "1234,56_€", "1_234_567,89_€"),
            (Locale::Ar, "1,234.56_€", "1,234,567.89_€"),
            (Locale::He, "1,234.56_€", "1,234,567.89_€"),
        ] {
            assert_eq!(money(123_456, "EUR", locale), small, "{locale:?}");
            assert_eq!(money(123_456_789, "EUR", locale), large, "{locale:?}");
        }
    }

    #[test]
    fn decimals_are_the_currency_s() {
        assert_eq!(money(5_000, "JPY", Locale::En), "¥5,000");
        assert_eq!(money(5_000, "JPY", Locale::De), "5.000_JPY");
        assert_eq!(money(1_234, "KWD", Locale::En), "KWD_1.234");
        assert_eq!(money(1, "KWD", Locale::Ar), "0.001_KWD");
        assert_eq!(money(1, "EUR", Locale::En), "€0.01");
        assert_eq!(money(0, "JPY", Locale::En), "¥0");
        assert_eq!(money(-500, "EUR", Locale::En), "-€5.00");
        assert_eq!(money(-500, "EUR", Locale::Nl), "€_-5,00");
        assert_eq!(money(-500, "PLN", Locale::Pl), "-5,00_zł");
        assert_eq!(money(i64::MIN, "EUR", Locale::En), "-€92,233,720,368,547,758.08");
    }
}
