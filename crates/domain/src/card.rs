//! Card numbers: checks by rule only, and finding one in text where none belongs.
//!
//! Nothing here says that a card exists; the acquirer does. Sources: ISO/IEC 7812 (length, Luhn check
//! digit) and the ranges that the card schemes publish.

mod scan;

use std::fmt;

pub use scan::contains_card_number;

use crate::text_enum;

const MIN_DIGITS: usize = 12;
const MAX_DIGITS: usize = 19;

/// Whether the text is made of ASCII digits only and its last digit is the Luhn check digit.
/// False for empty text and for anything with separators.
pub fn luhn(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && luhn_digits(text.as_bytes())
}

/// `digits` are ASCII.
fn luhn_digits(digits: &[u8]) -> bool {
    let sum: usize = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, byte)| {
            let digit = usize::from(byte.wrapping_sub(b'0'));
            match place % 2 {
                0 => digit,
                _ if digit > 4 => digit * 2 - 9,
                _ => digit * 2,
            }
        })
        .sum();
    !digits.is_empty() && sum.is_multiple_of(10)
}

text_enum! {
    /// A card scheme, told from the first digits of the number. The texts are Stripe's spelling.
    pub enum Brand {
        Visa = "visa",
        Mastercard = "mastercard",
        Amex = "amex",
        Discover = "discover",
        Diners = "diners",
        Jcb = "jcb",
        Unionpay = "unionpay",
        Unknown = "unknown",
    }
}

impl Brand {
    /// The scheme of a number that starts with these digits; text after a non-digit is ignored.
    pub fn of(digits: &str) -> Brand {
        Brand::of_digits(digits.as_bytes())
    }

    fn of_digits(digits: &[u8]) -> Brand {
        // The first four digits as a number; a shorter text counts as if filled up with zeros.
        let prefix = (0..4).fold(0_u32, |value, place| {
            let digit = digits.get(place).filter(|byte| byte.is_ascii_digit());
            value * 10 + digit.map_or(0, |byte| u32::from(byte - b'0'))
        });
        match prefix {
            4000..=4999 => Brand::Visa,
            2221..=2720 | 5100..=5599 => Brand::Mastercard,
            3400..=3499 | 3700..=3799 => Brand::Amex,
            6011 | 6440..=6599 => Brand::Discover,
            3000..=3059 | 3095 | 3600..=3699 | 3800..=3999 => Brand::Diners,
            3528..=3589 => Brand::Jcb,
            6200..=6299 | 8100..=8199 => Brand::Unionpay,
            _ => Brand::Unknown,
        }
    }

    /// Whether the scheme issues numbers of this many digits. Always false for [`Brand::Unknown`].
    pub const fn has_length(self, digits: usize) -> bool {
        match self {
            Brand::Visa => matches!(digits, 13 | 16 | 19),
            Brand::Mastercard => digits == 16,
            Brand::Amex => digits == 15,
            Brand::Diners => matches!(digits, 14..=19),
            Brand::Discover | Brand::Jcb | Brand::Unionpay => matches!(digits, 16..=19),
            Brand::Unknown => false,
        }
    }

    /// Whether a security code has the right form: three digits, for American Express also four, and for
    /// an unknown scheme either.
    pub fn cvc_fits(self, cvc: &str) -> bool {
        let length_fits = match self {
            Brand::Amex | Brand::Unknown => matches!(cvc.len(), 3 | 4),
            _ => cvc.len() == 3,
        };
        length_fits && cvc.bytes().all(|byte| byte.is_ascii_digit())
    }
}

/// Why a text is not a card number. The message is a phrase that follows the parameter's name and never
/// repeats what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    #[error("must be made of digits, with spaces or dashes between them at most")]
    NotDigits,
    #[error("must have 12 to 19 digits")]
    Length,
    #[error("is not a valid card number: its check digit is wrong; look for a typing mistake")]
    Luhn,
}

/// A card number that passed the rules. It is shown nowhere: `Debug` and `Display` give the last four
/// digits only, it cannot be cloned or serialised, and its bytes are overwritten when it is dropped. That
/// is best effort: a move may leave a copy behind on the stack.
pub struct CardNumber {
    digits: [u8; MAX_DIGITS], // Invariant: the first `length` are ASCII digits.
    length: usize,            // Invariant: MIN_DIGITS..=MAX_DIGITS.
}

impl CardNumber {
    /// Reads a number of 12 to 19 digits; spaces and dashes are dropped.
    ///
    /// # Errors
    /// [`CardError`] for the first rule broken, in the order of its variants.
    pub fn parse(text: &str) -> Result<CardNumber, CardError> {
        if !text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'-')) {
            return Err(CardError::NotDigits);
        }
        let mut number = CardNumber { digits: [0; MAX_DIGITS], length: 0 };
        for byte in text.bytes().filter(u8::is_ascii_digit) {
            *number.digits.get_mut(number.length).ok_or(CardError::Length)? = byte;
            number.length += 1;
        }
        if number.length < MIN_DIGITS {
            return Err(if number.length == 0 { CardError::NotDigits } else { CardError::Length });
        }
        if luhn_digits(number.bytes()) { Ok(number) } else { Err(CardError::Luhn) }
    }

    fn bytes(&self) -> &[u8] {
        self.digits.get(..self.length).unwrap_or_default()
    }

    /// The digits in the clear: only for a fingerprint, a test-card lookup or the acquirer's request.
    pub fn expose(&self) -> &str {
        std::str::from_utf8(self.bytes()).unwrap_or_default()
    }

    /// The last four digits, which may be shown.
    pub fn last4(&self) -> &str {
        self.expose().get(self.length.saturating_sub(4)..).unwrap_or_default()
    }

    /// The first six digits (issuer), which PCI DSS lets be stored beside the last four.
    pub fn bin6(&self) -> &str {
        self.expose().get(..6).unwrap_or_default()
    }

    pub fn brand(&self) -> Brand {
        Brand::of_digits(self.bytes())
    }
}

impl fmt::Display for CardNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "**** {}", self.last4())
    }
}

impl fmt::Debug for CardNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CardNumber(**** {})", self.last4())
    }
}

impl Drop for CardNumber {
    fn drop(&mut self) {
        self.digits = [0; MAX_DIGITS];
        // Keeps the compiler from removing the overwrite as a dead store.
        std::hint::black_box(&self.digits);
    }
}

/// The month a card is valid through, with a four-digit year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiry {
    year: u16,
    month: u8,
}

/// Why a month and year are not an expiry. The message is a phrase that follows "the card".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpiryError {
    #[error("has an invalid expiration month; use 1 to 12")]
    Month,
    #[error("has an invalid expiration year; use two or four digits, at most 50 years ahead")]
    Year,
    #[error("has expired")]
    Expired,
}

impl Expiry {
    /// Checks an expiry against the current `(year, month)` in UTC. A year below 100 means the century
    /// of now, or the next one where that would be more than 50 years back. A card is good through the
    /// last day of its month.
    ///
    /// # Errors
    /// [`ExpiryError`] for the first rule broken: month, year, expired.
    pub fn check(month: i64, year: i64, now: (u16, u8)) -> Result<Expiry, ExpiryError> {
        let month = u8::try_from(month).ok().filter(|month| (1..=12).contains(month));
        let month = month.ok_or(ExpiryError::Month)?;
        let this_year = i64::from(now.0);
        let full_year = match year {
            0..=99 => {
                let guess = this_year - this_year % 100 + year;
                if guess < this_year - 50 { guess + 100 } else { guess }
            }
            1000..=9999 => year,
            _ => return Err(ExpiryError::Year),
        };
        if full_year > this_year + 50 {
            return Err(ExpiryError::Year);
        }
        let year = u16::try_from(full_year).map_err(|_| ExpiryError::Year)?;
        let expiry = Expiry { year, month };
        if expiry.is_past(now) { Err(ExpiryError::Expired) } else { Ok(expiry) }
    }

    pub const fn month(self) -> u8 {
        self.month
    }

    /// The year with four digits.
    pub const fn year(self) -> u16 {
        self.year
    }

    /// Whether the card is no longer good at this `(year, month)`.
    pub fn is_past(self, now: (u16, u8)) -> bool {
        (self.year, self.month) < now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luhn_accepts_and_refuses() {
        for good in ["4242424242424242", "79927398713", "378282246310005", "0"] {
            assert!(luhn(good), "{good}");
        }
        for bad in ["", "4242424242424241", "2424242424242424", "4242 4242 4242 4242", "a", "４２"] {
            assert!(!luhn(bad), "{bad}");
        }
    }

    #[test]
    fn luhn_catches_every_single_wrong_digit() {
        let good = *b"4000056655665556";
        for place in 0..good.len() {
            for digit in b'0'..=b'9' {
                let mut changed = good;
                changed[place] = digit;
                assert_eq!(luhn_digits(&changed), changed == good, "place {place} digit {digit}");
            }
        }
    }

    /// The schemes' published test numbers.
    const TEST_NUMBERS: &[(&str, Brand)] = &[
        ("4242424242424242", Brand::Visa),
        ("4222222222222", Brand::Visa),
        ("5555555555554444", Brand::Mastercard),
        ("2223003122003222", Brand::Mastercard),
        ("5105105105105100", Brand::Mastercard),
        ("378282246310005", Brand::Amex),
        ("371449635398431", Brand::Amex),
        ("6011111111111117", Brand::Discover),
        ("6011000990139424", Brand::Discover),
        ("3056930009020004", Brand::Diners),
        ("36227206271667", Brand::Diners),
        ("3566002020360505", Brand::Jcb),
        ("6200000000000005", Brand::Unionpay),
        ("6205500000000000004", Brand::Unionpay),
    ];

    #[test]
    fn brands_by_number() {
        for (text, brand) in TEST_NUMBERS {
            let number = CardNumber::parse(text).unwrap();
            assert_eq!(number.brand(), *brand, "{text}");
            assert!(brand.has_length(text.len()), "{text}");
            assert!(contains_card_number(text), "{text}");
        }
    }

    #[test]
    fn brand_range_edges() {
        let cases = [
            ("2220", Brand::Unknown),
            ("2221", Brand::Mastercard),
            ("2720", Brand::Mastercard),
            ("2721", Brand::Unknown),
            ("50", Brand::Unknown),
            ("51", Brand::Mastercard),
            ("5599", Brand::Mastercard),
            ("56", Brand::Unknown),
            ("3527", Brand::Unknown),
            ("3528", Brand::Jcb),
            ("3589", Brand::Jcb),
            ("3590", Brand::Unknown),
            ("306", Brand::Unknown),
            ("3095", Brand::Diners),
            ("643", Brand::Unknown),
            ("644", Brand::Discover),
            ("6599", Brand::Discover),
            ("61", Brand::Unknown),
            ("4", Brand::Visa),
            ("", Brand::Unknown),
            ("visa", Brand::Unknown),
        ];
        for (digits, brand) in cases {
            assert_eq!(Brand::of(digits), brand, "{digits}");
        }
    }

    #[test]
    fn brand_names_round_trip() {
        for brand in Brand::ALL {
            assert_eq!(Brand::parse(brand.as_str()), Some(*brand));
        }
        assert_eq!(Brand::parse("VISA"), None);
    }

    #[test]
    fn numbers_with_separators() {
        for text in ["4242 4242 4242 4242", "4242-4242-4242-4242", " 4242424242424242 ", "4 2424242 42424242"]
        {
            let number = CardNumber::parse(text).unwrap();
            assert_eq!(
                (number.expose(), number.last4(), number.bin6()),
                ("4242424242424242", "4242", "424242")
            );
        }
    }

    #[test]
    fn number_errors_are_distinguished() {
        let cases = [
            ("", CardError::NotDigits),
            (" - ", CardError::NotDigits),
            ("4242 4242 4242 424x", CardError::NotDigits),
            ("4242.4242.4242.4242", CardError::NotDigits),
            ("4242424242424242\0", CardError::NotDigits),
            ("４２４２４２４２４２４２４２４２", CardError::NotDigits),
            ("42424242424", CardError::Length),
            ("42424242424242424242", CardError::Length),
            (&"4".repeat(10_000), CardError::Length),
            ("4242424242424241", CardError::Luhn),
            ("123456789012", CardError::Luhn),
        ];
        for (text, error) in cases {
            assert_eq!(CardNumber::parse(text).err(), Some(error), "{text:?}");
        }
        assert!(CardNumber::parse("000000000000").is_ok(), "12 digits, no scheme");
    }

    #[test]
    fn a_number_is_never_shown() {
        let number = CardNumber::parse("4000 0566 5566 5556").unwrap();
        for shown in [format!("{number}"), format!("{number:?}"), format!("{:#?}", Some(&number))] {
            assert!(shown.contains("5556") && !shown.contains("4000") && !shown.contains("0566"), "{shown}");
        }
    }

    #[test]
    fn security_codes() {
        let cases = [
            (Brand::Visa, "123", true),
            (Brand::Visa, "1234", false),
            (Brand::Visa, "12", false),
            (Brand::Visa, "12a", false),
            (Brand::Visa, "", false),
            (Brand::Visa, "１", false),
            (Brand::Amex, "1234", true),
            (Brand::Amex, "123", true),
            (Brand::Amex, "12345", false),
            (Brand::Unknown, "1234", true),
        ];
        for (brand, cvc, fits) in cases {
            assert_eq!(brand.cvc_fits(cvc), fits, "{brand} {cvc:?}");
        }
    }

    #[test]
    fn expiries() {
        let now = (2026, 8);
        let cases = [
            (8, 2026, Ok((2026, 8))),
            (8, 26, Ok((2026, 8))),
            (12, 34, Ok((2034, 12))),
            (1, 2076, Ok((2076, 1))),
            (1, 76, Ok((2076, 1))),
            (7, 2026, Err(ExpiryError::Expired)),
            (12, 25, Err(ExpiryError::Expired)),
            (12, 77, Err(ExpiryError::Year)),
            (12, 0, Err(ExpiryError::Expired)),
            (1, 1999, Err(ExpiryError::Expired)),
            (0, 2030, Err(ExpiryError::Month)),
            (13, 2030, Err(ExpiryError::Month)),
            (-1, 2030, Err(ExpiryError::Month)),
            (256 + 8, 2030, Err(ExpiryError::Month)),
            (8, 2077, Err(ExpiryError::Year)),
            (8, 203, Err(ExpiryError::Year)),
            (8, -1, Err(ExpiryError::Year)),
            (8, 65_536 + 2030, Err(ExpiryError::Year)),
            (i64::MIN, i64::MAX, Err(ExpiryError::Month)),
        ];
        for (month, year, expected) in cases {
            let got = Expiry::check(month, year, now).map(|expiry| (expiry.year(), expiry.month()));
            assert_eq!(got, expected, "{month}/{year}");
        }
        // At the end of a century two digits mean the next one.
        assert_eq!(Expiry::check(1, 2, (2099, 12)).map(Expiry::year), Ok(2102));
    }

    #[test]
    fn a_card_is_good_through_its_month() {
        let expiry = Expiry::check(12, 26, (2026, 8)).unwrap();
        assert!(!expiry.is_past((2026, 12)));
        assert!(expiry.is_past((2027, 1)));
    }
}
