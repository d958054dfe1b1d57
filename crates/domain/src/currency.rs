//! Currencies: a frozen table of the active ISO 4217 codes with their exponents.
//!
//! The table is part of the product, not of a dependency: an exponent that changed under us would move
//! every stored amount by a power of ten. A test compares it with an independent list.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One row: upper-case code, lower-case code, number of decimals (ISO 4217 "minor unit").
type Row = (&'static str, &'static str, u8);

/// Active ISO 4217 currencies that a payer can hold, sorted by code.
/// Left out on purpose: see [`WITHDRAWN`], [`FUNDS`] and [`NOT_MONEY`].
#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("AED", "aed", 2), ("AFN", "afn", 2), ("ALL", "all", 2), ("AMD", "amd", 2), ("AOA", "aoa", 2),
    ("ARS", "ars", 2), ("AUD", "aud", 2), ("AWG", "awg", 2), ("AZN", "azn", 2), ("BAM", "bam", 2),
    ("BBD", "bbd", 2), ("BDT", "bdt", 2), ("BHD", "bhd", 3), ("BIF", "bif", 0), ("BMD", "bmd", 2),
    ("BND", "bnd", 2), ("BOB", "bob", 2), ("BRL", "brl", 2), ("BSD", "bsd", 2), ("BTN", "btn", 2),
    ("BWP", "bwp", 2), ("BYN", "byn", 2), ("BZD", "bzd", 2), ("CAD", "cad", 2), ("CDF", "cdf", 2),
    ("CHF", "chf", 2), ("CLP", "clp", 0), ("CNY", "cny", 2), ("COP", "cop", 2), ("CRC", "crc", 2),
    ("CUP", "cup", 2), ("CVE", "cve", 2), ("CZK", "czk", 2), ("DJF", "djf", 0), ("DKK", "dkk", 2),
    ("DOP", "dop", 2), ("DZD", "dzd", 2), ("EGP", "egp", 2), ("ERN", "ern", 2), ("ETB", "etb", 2),
    ("EUR", "eur", 2), ("FJD", "fjd", 2), ("FKP", "fkp", 2), ("GBP", "gbp", 2), ("GEL", "gel", 2),
    ("GHS", "ghs", 2), ("GIP", "gip", 2), ("GMD", "gmd", 2), ("GNF", "gnf", 0), ("GTQ", "gtq", 2),
    ("GYD", "gyd", 2), ("HKD", "hkd", 2), ("HNL", "hnl", 2), ("HTG", "htg", 2), ("HUF", "huf", 2),
    ("IDR", "idr", 2), ("ILS", "ils", 2), ("INR", "inr", 2), ("IQD", "iqd", 3), ("IRR", "irr", 2),
    ("ISK", "isk", 0), ("JMD", "jmd", 2), ("JOD", "jod", 3), ("JPY", "jpy", 0), ("KES", "kes", 2),
    ("KGS", "kgs", 2), ("KHR", "khr", 2), ("KMF", "kmf", 0), ("KPW", "kpw", 2), ("KRW", "krw", 0),
    ("KWD", "kwd", 3), ("KYD", "kyd", 2), ("KZT", "kzt", 2), ("LAK", "lak", 2), ("LBP", "lbp", 2),
    ("LKR", "lkr", 2), ("LRD", "lrd", 2), ("LSL", "lsl", 2), ("LYD", "lyd", 3), ("MAD", "mad", 2),
    ("MDL", "mdl", 2), ("MGA", "mga", 2), ("MKD", "mkd", 2), ("MMK", "mmk", 2), ("MNT", "mnt", 2),
    ("MOP", "mop", 2), ("MRU", "mru", 2), ("MUR", "mur", 2), ("MVR", "mvr", 2), ("MWK", "mwk", 2),
    ("MXN", "mxn", 2), ("MYR", "myr", 2), ("MZN", "mzn", 2), ("NAD", "nad", 2), ("NGN", "ngn", 2),
    ("NIO", "nio", 2), ("NOK", "nok", 2), ("NPR", "npr", 2), ("NZD", "nzd", 2), ("OMR", "omr", 3),
    ("PAB", "pab", 2), ("PEN", "pen", 2), ("PGK", "pgk", 2), ("PHP", "php", 2), ("PKR", "pkr", 2),
    ("PLN", "pln", 2), ("PYG", "pyg", 0), ("QAR", "qar", 2), ("RON", "ron", 2), ("RSD", "rsd", 2),
    ("RUB", "rub", 2), ("RWF", "rwf", 0), ("SAR", "sar", 2), ("SBD", "sbd", 2), ("SCR", "scr", 2),
    ("SDG", "sdg", 2), ("SEK", "sek", 2), ("SGD", "sgd", 2), ("SHP", "shp", 2), ("SLE", "sle", 2),
    ("SOS", "sos", 2), ("SRD", "srd", 2), ("SSP", "ssp", 2), ("STN", "stn", 2), ("SVC", "svc", 2),
    ("SYP", "syp", 2), ("SZL", "szl", 2), ("THB", "thb", 2), ("TJS", "tjs", 2), ("TMT", "tmt", 2),
    ("TND", "tnd", 3), ("TOP", "top", 2), ("TRY", "try", 2), ("TTD", "ttd", 2), ("TWD", "twd", 2),
    ("TZS", "tzs", 2), ("UAH", "uah", 2), ("UGX", "ugx", 0), ("USD", "usd", 2), ("UYU", "uyu", 2),
    ("UZS", "uzs", 2), ("VED", "ved", 2), ("VES", "ves", 2), ("VND", "vnd", 0), ("VUV", "vuv", 0),
    ("WST", "wst", 2), ("XAF", "xaf", 0), ("XCD", "xcd", 2), ("XCG", "xcg", 2), ("XOF", "xof", 0),
    ("XPF", "xpf", 0), ("YER", "yer", 2), ("ZAR", "zar", 2), ("ZMW", "zmw", 2), ("ZWG", "zwg", 2),
];

/// Codes that were money once. Source: ISO 4217 list three (historic codes).
const WITHDRAWN: &[&str] = &["ANG", "BGN", "CUC", "HRK", "SLL", "ZWL"];

/// Funds and units of account with a minor unit in ISO 4217 that nobody pays with.
const FUNDS: &[&str] = &["BOV", "CHE", "CHW", "CLF", "COU", "MXV", "USN", "UYI", "UYW", "XAD"];

/// Codes without a minor unit in ISO 4217: metals, bond units, drawing rights, test and no-currency.
const NOT_MONEY: &[&str] =
    &["XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XDR", "XPD", "XPT", "XSU", "XTS", "XUA", "XXX"];

/// Why a text is not a currency this product takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CurrencyError {
    /// Not three ASCII letters.
    #[error("must be a three-letter ISO 4217 currency code such as eur")]
    Malformed,
    /// Three letters, but no code of ISO 4217.
    #[error("is not an ISO 4217 currency code; use an active one such as eur")]
    Unknown,
    /// A code that has been withdrawn from circulation.
    #[error("has been withdrawn; use the currency that replaced it")]
    Withdrawn(&'static str),
    /// A fund, a unit of account, a metal, or a test code.
    #[error("is not a currency that can be paid with; use an active one such as eur")]
    NotPayable(&'static str),
}

/// An active ISO 4217 currency. Two values are equal when their codes are; order is by code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency(u8); // Invariant: an index into TABLE; only `position` makes one.

impl Currency {
    pub const CHF: Currency = known("CHF");
    pub const EUR: Currency = known("EUR");
    pub const GBP: Currency = known("GBP");
    pub const JPY: Currency = known("JPY");
    pub const USD: Currency = known("USD");

    /// Reads a code in any ASCII case. Nothing is trimmed and no other alphabet is folded, so that
    /// `ınr` with a dotless i, or `eur` followed by NUL, is never taken for a currency.
    ///
    /// # Errors
    /// [`CurrencyError`], whose text is a phrase that follows the parameter's name.
    pub fn parse(text: &str) -> Result<Currency, CurrencyError> {
        let bytes: [u8; 3] = text.as_bytes().try_into().map_err(|_| CurrencyError::Malformed)?;
        if !bytes.iter().all(u8::is_ascii_alphabetic) {
            return Err(CurrencyError::Malformed);
        }
        let code = bytes.map(|byte| byte.to_ascii_uppercase());
        if let Some(index) = position(code) {
            return Ok(Currency(index));
        }
        let listed =
            |list: &[&'static str]| list.iter().find(|entry| entry.as_bytes() == code.as_slice()).copied();
        if let Some(code) = listed(WITHDRAWN) {
            return Err(CurrencyError::Withdrawn(code));
        }
        match listed(FUNDS).or_else(|| listed(NOT_MONEY)) {
            Some(code) => Err(CurrencyError::NotPayable(code)),
            None => Err(CurrencyError::Unknown),
        }
    }

    /// The upper-case code, `EUR`.
    pub const fn code(self) -> &'static str {
        TABLE[self.0 as usize].0
    }

    /// The lower-case code, `eur`.
    pub const fn lower(self) -> &'static str {
        TABLE[self.0 as usize].1
    }

    /// Decimals of the minor unit: 2 for EUR, 0 for JPY, 3 for KWD.
    pub const fn exponent(self) -> u8 {
        TABLE[self.0 as usize].2
    }

    /// Minor units in one major unit: 100 for EUR, 1 for JPY, 1000 for KWD.
    pub const fn minor_per_major(self) -> i64 {
        10_i64.pow(self.exponent() as u32)
    }

    /// Every currency, in the order of the codes.
    pub fn all() -> impl Iterator<Item = Currency> {
        (0..=u8::MAX).take(TABLE.len()).map(Currency)
    }

    /// Why the v2 API refuses this currency, if it does. A client written for Stripe sends amounts in
    /// Stripe's convention; where that differs from ISO's exponent, a guess would be wrong by a hundred.
    pub fn refused_on_v2(self) -> Option<&'static str> {
        match self.code() {
            "ISK" => Some(
                "isk is not accepted here: Stripe clients send two decimals while ISO 4217 has none, \
                 so the amount would be ambiguous by a factor of 100",
            ),
            "UGX" => Some(
                "ugx is not accepted here: Stripe clients send two decimals while ISO 4217 has none, \
                 so the amount would be ambiguous by a factor of 100",
            ),
            "MGA" => Some(
                "mga is not accepted here: Stripe clients send no decimals while ISO 4217 has two, \
                 so the amount would be ambiguous by a factor of 100",
            ),
            _ => None,
        }
    }
}

/// Row of an upper-case code.
const fn position(code: [u8; 3]) -> Option<u8> {
    let mut index = 0;
    while index < TABLE.len() {
        let row = TABLE[index].0.as_bytes();
        if row[0] == code[0] && row[1] == code[1] && row[2] == code[2] {
            return Some(index as u8);
        }
        index += 1;
    }
    None
}

/// A constant's row; evaluated by the compiler only, so a wrong code does not build.
const fn known(code: &str) -> Currency {
    let bytes = code.as_bytes();
    match position([bytes[0], bytes[1], bytes[2]]) {
        Some(index) => Currency(index),
        None => panic!("not in the table"),
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Currency {
    type Err = CurrencyError;

    fn from_str(text: &str) -> Result<Currency, CurrencyError> {
        Currency::parse(text)
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.lower())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Currency, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Currency;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a three-letter ISO 4217 currency code")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Currency, E> {
                Currency::parse(text).map_err(|error| E::custom(format_args!("currency {error}")))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted_and_consistent() {
        assert!(TABLE.is_sorted_by(|a, b| a.0 < b.0), "sorted, no code twice");
        assert!(TABLE.len() <= 256, "an index is one byte");
        for (upper, lower, exponent) in TABLE {
            assert_eq!(upper.len(), 3);
            assert_eq!(upper.to_ascii_lowercase(), *lower);
            assert!(*exponent <= 4, "{upper}");
        }
        assert_eq!(Currency::all().count(), TABLE.len());
    }

    #[test]
    fn table_agrees_with_an_independent_list() {
        // Deliberate differences: the other list has these, ours does not.
        let left_out = [
            ("BGN", "Bulgaria joined the euro on 2026-01-01"),
            ("CUC", "withdrawn 2021, Cuba kept the CUP"),
            ("HRK", "Croatia joined the euro on 2023-01-01"),
            ("SLL", "replaced by SLE (1000 old leones to one)"),
            ("ZWL", "replaced by ZWG in 2024"),
            ("BOV", "Bolivian fund code"),
            ("CHE", "WIR Bank complementary euro"),
            ("CHW", "WIR Bank complementary franc"),
            ("CLF", "Chilean index unit"),
            ("COU", "Colombian index unit"),
            ("MXV", "Mexican index unit"),
            ("USN", "US dollar next day, a settlement code"),
            ("UYI", "Uruguayan index unit"),
            ("UYW", "Uruguayan wage index unit"),
            ("XAD", "accounting unit of the Arab Monetary Fund"),
        ];
        let mut seen = 0;
        for number in 0..26_u32.pow(3) {
            let letter =
                |place: u32| char::from(b'A' + u8::try_from(number / 26_u32.pow(place) % 26).unwrap());
            let code: String = [letter(2), letter(1), letter(0)].iter().collect();
            let theirs = iso_currency::Currency::from_code(&code).map(|currency| currency.exponent());
            let ours = Currency::parse(&code).ok().map(Currency::exponent);
            match (theirs, ours) {
                (Some(Some(theirs)), Some(ours)) => {
                    assert_eq!(theirs, u16::from(ours), "{code}");
                    seen += 1;
                }
                (Some(Some(_)), None) => {
                    assert!(left_out.iter().any(|(left, _)| *left == code), "{code} is missing");
                }
                // Without an exponent there is no minor unit to count in.
                (Some(None), ours) => assert_eq!(ours, None, "{code} has no minor unit"),
                (None, ours) => assert_eq!(ours, None, "{code} is not in the other list"),
            }
        }
        assert_eq!(seen, TABLE.len());
    }

    #[test]
    fn exponents_that_matter() {
        let cases = [
            (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"),
            (2, "EUR USD HUF MGA MRU TWD XCG ZWG SLE VED"),
            (3, "BHD IQD JOD KWD LYD OMR TND"),
        ];
        for (exponent, codes) in cases {
            for code in codes.split(' ') {
                assert_eq!(Currency::parse(code).unwrap().exponent(), exponent, "{code}");
            }
        }
        let odd = Currency::all().filter(|currency| currency.exponent() != 2).count();
        assert_eq!(odd, 16 + 7, "every other currency has two decimals");
    }

    #[test]
    fn parses_any_ascii_case() {
        for text in ["EUR", "eur", "eUr"] {
            let currency = Currency::parse(text).unwrap();
            assert_eq!((currency.code(), currency.lower(), currency), ("EUR", "eur", Currency::EUR));
        }
        for currency in Currency::all() {
            assert_eq!(Currency::parse(currency.lower()), Ok(currency));
            assert_eq!(currency.code().parse(), Ok(currency));
        }
    }

    #[test]
    fn refuses_what_is_not_a_currency() {
        use CurrencyError::{Malformed, NotPayable, Unknown, Withdrawn};
        let cases = [
            ("", Malformed),
            ("EU", Malformed),
            ("EURO", Malformed),
            ("eu\0", Malformed),
            ("eur\0", Malformed),
            (" eur", Malformed),
            ("e r", Malformed),
            ("12€", Malformed),
            ("€", Malformed), // three bytes
            ("978", Malformed),
            ("\u{131}nr", Malformed),  // dotless i
            ("\u{130}NR", Malformed),  // dotted capital I
            ("i\u{307}n", Malformed),  // i with a combining dot
            ("\u{1e9e}", Malformed),   // three bytes, upper-cases oddly elsewhere
            ("\u{ff25}UR", Malformed), // full-width E
            ("ZZZ", Unknown),
            ("DEM", Unknown),
            ("hrk", Withdrawn("HRK")),
            ("BGN", Withdrawn("BGN")),
            ("ANG", Withdrawn("ANG")),
            ("clf", NotPayable("CLF")),
            ("XAU", NotPayable("XAU")),
            ("xts", NotPayable("XTS")),
        ];
        for (text, error) in cases {
            assert_eq!(Currency::parse(text), Err(error), "{text:?}");
        }
        for code in "XAU XDR XTS XXX CLF UYI UYW CHE CHW COU MXV USN BOV XUA HRK BGN CUC ANG".split(' ') {
            assert!(!matches!(Currency::parse(code), Ok(_) | Err(Unknown)), "{code}");
        }
    }

    #[test]
    fn lists_do_not_overlap() {
        for code in WITHDRAWN.iter().chain(FUNDS).chain(NOT_MONEY) {
            assert!(TABLE.iter().all(|row| row.0 != *code), "{code}");
        }
    }

    #[test]
    fn refused_on_v2_only_where_stripe_differs() {
        let refused: Vec<_> = Currency::all()
            .filter(|currency| currency.refused_on_v2().is_some())
            .map(Currency::code)
            .collect();
        assert_eq!(refused, ["ISK", "MGA", "UGX"]);
    }

    #[test]
    fn serde_is_a_lower_case_string() {
        assert_eq!(serde_json::to_string(&Currency::EUR).unwrap(), "\"eur\"");
        assert_eq!(serde_json::from_str::<Currency>("\"JpY\"").unwrap(), Currency::JPY);
        for bad in ["\"XXX\"", "\"\"", "1", "null", "[\"eur\"]"] {
            assert!(serde_json::from_str::<Currency>(bad).is_err(), "{bad}");
        }
    }
}
