//! Bank accounts: the IBAN check by ISO 13616 (country length, characters, modulus 97).
//!
//! Whether the account exists only its bank knows.

use std::fmt;

/// What the account part (BBAN) of a country's IBAN is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Digits,
    /// Four letters of the bank, then letters and digits.
    BankLetters,
    Mixed,
}
use Shape::{BankLetters, Digits, Mixed};

/// Country, length of the IBAN, shape, and where in the BBAN the bank identifier is (start, length).
type Country = (&'static str, usize, Shape, (usize, usize));

/// The countries in the geographical scope of the SEPA schemes, sorted. Source: SWIFT IBAN registry.
#[rustfmt::skip]
const COUNTRIES: &[Country] = &[
    ("AD", 24, Mixed, (0, 4)),       ("AL", 28, Mixed, (0, 8)),       ("AT", 20, Digits, (0, 5)),
    ("BE", 16, Digits, (0, 3)),      ("BG", 22, BankLetters, (0, 4)), ("CH", 21, Mixed, (0, 5)),
    ("CY", 28, Mixed, (0, 3)),       ("CZ", 24, Digits, (0, 4)),      ("DE", 22, Digits, (0, 8)),
    ("DK", 18, Digits, (0, 4)),      ("EE", 20, Digits, (0, 2)),      ("ES", 24, Digits, (0, 4)),
    ("FI", 18, Digits, (0, 3)),      ("FR", 27, Mixed, (0, 5)),       ("GB", 22, BankLetters, (0, 4)),
    ("GI", 23, BankLetters, (0, 4)), ("GR", 27, Mixed, (0, 3)),       ("HR", 21, Digits, (0, 7)),
    ("HU", 28, Digits, (0, 3)),      ("IE", 22, BankLetters, (0, 4)), ("IS", 26, Digits, (0, 4)),
    ("IT", 27, Mixed, (1, 5)),       ("LI", 21, Mixed, (0, 5)),       ("LT", 20, Digits, (0, 5)),
    ("LU", 20, Mixed, (0, 3)),       ("LV", 21, BankLetters, (0, 4)), ("MC", 27, Mixed, (0, 5)),
    ("MD", 24, Mixed, (0, 2)),       ("ME", 22, Digits, (0, 3)),      ("MK", 19, Mixed, (0, 3)),
    ("MT", 31, BankLetters, (0, 4)), ("NL", 18, BankLetters, (0, 4)), ("NO", 15, Digits, (0, 4)),
    ("PL", 28, Digits, (0, 8)),      ("PT", 25, Digits, (0, 4)),      ("RO", 24, BankLetters, (0, 4)),
    ("RS", 22, Digits, (0, 3)),      ("SE", 24, Digits, (0, 3)),      ("SI", 19, Digits, (0, 5)),
    ("SK", 24, Digits, (0, 4)),      ("SM", 27, Mixed, (1, 5)),       ("VA", 22, Digits, (0, 3)),
];

/// Longest IBAN of any country by ISO 13616.
const MAX_IBAN: usize = 34;

/// Why a text is not an IBAN this product takes. The message is a phrase that follows the parameter's
/// name and never repeats what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IbanError {
    #[error("must be an IBAN: two letters, two digits, then letters and digits, with spaces at most")]
    Format,
    #[error("must be an IBAN of a SEPA country")]
    Country,
    #[error("must have {expected} characters for its country")]
    Length { expected: usize },
    #[error("is not a valid IBAN: its check digits are wrong; look for a typing mistake")]
    Checksum,
}

/// An IBAN that passed the rules. `Debug` and `Display` show the country and the last four characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Iban {
    text: String, // Invariant: upper-case ASCII letters and digits, of the country's length.
    country: &'static Country,
}

impl Iban {
    /// Reads an IBAN in any ASCII case, with or without spaces.
    ///
    /// # Errors
    /// [`IbanError`] for the first rule broken: format, country, length, characters, check digits.
    pub fn parse(input: &str) -> Result<Iban, IbanError> {
        let mut text = String::with_capacity(MAX_IBAN);
        for c in input.chars().filter(|c| *c != ' ') {
            if !c.is_ascii_alphanumeric() || text.len() == MAX_IBAN {
                return Err(IbanError::Format);
            }
            text.push(c.to_ascii_uppercase());
        }
        let country = country_of(&text)?;
        let (_, length, shape, _) = *country;
        if text.len() != length {
            return Err(IbanError::Length { expected: length });
        }
        let bban = text.as_bytes().get(4..).unwrap_or_default();
        let shape_fits = match shape {
            Mixed => true,
            Digits => bban.iter().all(u8::is_ascii_digit),
            BankLetters => bban.iter().take(4).all(u8::is_ascii_alphabetic),
        };
        if !shape_fits {
            return Err(IbanError::Format);
        }
        // 98 - (n mod 97) is from 02 to 98, so other check digits are congruent but never issued.
        if matches!(text.get(2..4), Some("00" | "01" | "99")) || mod_97(&text) != 1 {
            return Err(IbanError::Checksum);
        }
        Ok(Iban { text, country })
    }

    /// The whole IBAN, upper case without spaces: only for a fingerprint or the bank's request.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The last four characters, which may be shown.
    pub fn last4(&self) -> &str {
        self.text.get(self.text.len().saturating_sub(4)..).unwrap_or_default()
    }

    /// The two-letter country code.
    pub fn country(&self) -> &'static str {
        self.country.0
    }

    /// The bank identifier as the country defines it: the Bankleitzahl in DE, the code banque in FR.
    pub fn bank_code(&self) -> &str {
        let (start, length) = self.country.3;
        self.text.get(4 + start..4 + start + length).unwrap_or_default()
    }
}

impl fmt::Display for Iban {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}** **** {}", self.country(), self.last4())
    }
}

impl fmt::Debug for Iban {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Iban({self})")
    }
}

/// The country row of a text that starts with two letters and two digits, all upper case.
fn country_of(text: &str) -> Result<&'static Country, IbanError> {
    let [a, b, c, d, ..] = text.as_bytes() else { return Err(IbanError::Format) };
    if !(a.is_ascii_alphabetic() && b.is_ascii_alphabetic() && c.is_ascii_digit() && d.is_ascii_digit()) {
        return Err(IbanError::Format);
    }
    COUNTRIES.iter().find(|country| text.starts_with(country.0)).ok_or(IbanError::Country)
}

/// The IBAN as a number modulo 97 (ISO 7064): the first four characters moved to the end, letters as 10
/// to 35. `text` is upper-case ASCII letters and digits.
fn mod_97(text: &str) -> u32 {
    let (head, bban) = text.split_at_checked(4).unwrap_or((text, ""));
    bban.bytes().chain(head.bytes()).fold(0, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte.wrapping_sub(b'A')) + 10) % 97,
    })
}

/// Bytes of the valid IBAN that `text` starts with, in one piece or in groups with single spaces.
pub(crate) fn leading_iban(text: &str) -> Option<usize> {
    let head = text.get(..4)?.to_ascii_uppercase();
    let (_, length, _, _) = *country_of(&head).ok()?;
    let mut taken = 0;
    let mut after_space = false;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b' ' if !after_space => after_space = true,
            _ if byte.is_ascii_alphanumeric() => {
                (taken, after_space) = (taken + 1, false);
            }
            _ => return None,
        }
        if taken == length {
            let end = index + 1;
            let goes_on = text.as_bytes().get(end).is_some_and(u8::is_ascii_alphanumeric);
            return (!goes_on && Iban::parse(text.get(..end)?).is_ok()).then_some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the SWIFT IBAN registry and the bank identifiers in them.
    const EXAMPLES: &[(&str, &str)] = &[
        ("AD1200012030200359100100", "0001"),
        ("AL47212110090000000235698741", "21211009"),
        ("AT611904300234573201", "19043"),
        ("BE68539007547034", "539"),
        ("BG80BNBG96611020345678", "BNBG"),
        ("CH9300762011623852957", "00762"),
        ("CY17002001280000001200527600", "002"),
        ("CZ6508000000192000145399", "0800"),
        ("DE89370400440532013000", "37040044"),
        ("DK5000400440116243", "0040"),
        ("EE382200221020145685", "22"),
        ("ES9121000418450200051332", "2100"),
        ("FI2112345600000785", "123"),
        ("FR1420041010050500013M02606", "20041"),
        ("GB29NWBK60161331926819", "NWBK"),
        ("GI75NWBK000000007099453", "NWBK"),
        ("GR1601101250000000012300695", "011"),
        ("HR1210010051863000160", "1001005"),
        ("HU42117730161111101800000000", "117"),
        ("IE29AIBK93115212345678", "AIBK"),
        ("IS140159260076545510730339", "0159"),
        ("IT60X0542811101000000123456", "05428"),
        ("LI21088100002324013AA", "08810"),
        ("LT121000011101001000", "10000"),
        ("LU280019400644750000", "001"),
        ("LV80BANK0000435195001", "BANK"),
        ("MC5811222000010123456789030", "11222"),
        ("MD24AG000225100013104168", "AG"),
        ("ME25505000012345678951", "505"),
        ("MK07250120000058984", "250"),
        ("MT84MALT011000012345MTLCAST001S", "MALT"),
        ("NL91ABNA0417164300", "ABNA"),
        ("NO9386011117947", "8601"),
        ("PL61109010140000071219812874", "10901014"),
        ("PT50000201231234567890154", "0002"),
        ("RO49AAAA1B31007593840000", "AAAA"),
        ("RS35260005601001611379", "260"),
        ("SE4550000000058398257466", "500"),
        ("SI56263300012039086", "26330"),
        ("SK3112000000198742637541", "1200"),
        ("SM86U0322509800000000270100", "03225"),
        ("VA59001123000012345678", "001"),
    ];

    #[test]
    fn every_country_by_its_registry_example() {
        assert!(COUNTRIES.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(EXAMPLES.len(), COUNTRIES.len());
        for ((text, bank), country) in EXAMPLES.iter().zip(COUNTRIES) {
            let iban = Iban::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((iban.country(), iban.bank_code(), iban.expose()), (country.0, *bank, *text));
            assert!(text.ends_with(iban.last4()) && iban.last4().len() == 4);
        }
    }

    #[test]
    fn case_and_spaces_are_folded() {
        for text in ["DE89 3704 0044 0532 0130 00", "de89370400440532013000", " De89 37040044 0532013000 "] {
            assert_eq!(Iban::parse(text).unwrap().expose(), "DE89370400440532013000");
        }
    }

    #[test]
    fn refusals() {
        let cases = [
            ("", IbanError::Format),
            ("DE8", IbanError::Format),
            ("1234567890", IbanError::Format),
            ("DEXX370400440532013000", IbanError::Format),
            ("DE89-3704-0044-0532-0130-00", IbanError::Format),
            ("DE89\t370400440532013000", IbanError::Format),
            ("DE8937040044053201300\u{660}", IbanError::Format),
            ("DE8937040044053201300A", IbanError::Format),
            ("NL91A1NA0417164300", IbanError::Format),
            (&"DE89".repeat(10_000), IbanError::Format),
            ("BR1800360305000010009795493C1", IbanError::Country),
            ("XX89370400440532013000", IbanError::Country),
            ("DE8937040044053201300", IbanError::Length { expected: 22 }),
            ("DE893704004405320130000", IbanError::Length { expected: 22 }),
            ("DE88370400440532013000", IbanError::Checksum),
            ("DE89370400440532013001", IbanError::Checksum),
            ("DE89730400440532013000", IbanError::Checksum),
        ];
        for (text, error) in cases {
            assert_eq!(Iban::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn check_digits_that_are_never_issued() {
        // Congruent to a good pair modulo 97, so the modulus alone would let them pass.
        let mut seen = 0;
        for account in 0..1_000 {
            let bban = format!("37040044{account:010}");
            for digits in ["00", "01", "99"] {
                let text = format!("DE{digits}{bban}");
                if mod_97(&text) == 1 {
                    assert_eq!(Iban::parse(&text), Err(IbanError::Checksum));
                    seen += 1;
                }
            }
        }
        assert!(seen > 0);
    }

    #[test]
    fn an_iban_is_masked() {
        let iban = Iban::parse("DE89370400440532013000").unwrap();
        assert_eq!(format!("{iban:?} {iban}"), "Iban(DE** **** 3000) DE** **** 3000");
    }

    #[test]
    fn leading_ibans() {
        let cases = [
            ("DE89370400440532013000", Some(22)),
            ("de89 3704 0044 0532 0130 00 is mine", Some(27)),
            ("DE89370400440532013000, thanks", Some(22)),
            ("DE893704004405320130009", None),
            ("DE89  370400440532013000", None),
            ("DE88370400440532013000", None),
            ("DE89", None),
            ("Dé89370400440532013000", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(leading_iban(text), expected, "{text:?}");
        }
    }
}
