//! Finding a card number in free text.

use super::{Brand, MAX_DIGITS, MIN_DIGITS, luhn_digits};
use crate::bank;

/// Whether free text holds what looks like a real card number: digits, in one piece or in groups with
/// spaces or dashes, of a known scheme's range and length, with a right check digit.
///
/// So as not to refuse ordinary text, these never count: runs of more than 19 digits, UUIDs and long
/// hexadecimal tokens, valid IBANs, phone numbers after a plus sign, and article numbers (EAN-13).
pub fn contains_card_number(text: &str) -> bool {
    // Most text has too few digits; this is the fast way out.
    if text.chars().filter(|c| digit_value(*c).is_some()).nth(MIN_DIGITS).is_none() {
        return false;
    }
    let mut groups: Vec<Group> = Vec::new();
    let mut rest = text;
    let mut after_word = false; // the character before `rest` is a letter or digit
    let mut gap = 0; // separators since the last group
    let mut plus = false; // the character before `rest` is a plus sign
    while let Some(c) = rest.chars().next() {
        if !after_word && let Some(skipped) = opaque_token(rest).or_else(|| bank::leading_iban(rest)) {
            if holds_card(&groups) {
                return true;
            }
            groups.clear();
            rest = rest.get(skipped..).unwrap_or_default();
            (after_word, gap, plus) = (true, 0, false);
            continue;
        }
        if digit_value(c).is_some() {
            let digits: Vec<u8> = rest.chars().map_while(digit_value).collect();
            rest = skip_chars(rest, digits.len());
            let too_long = digits.len() > MAX_DIGITS;
            if !too_long {
                groups.push(Group { digits, phone: plus });
            }
            // A run too long to be a card ends the sequence, like a letter.
            if too_long && holds_card(&std::mem::take(&mut groups)) {
                return true;
            }
            (after_word, gap, plus) = (true, 0, false);
            continue;
        }
        if is_separator(c) && gap < 3 {
            gap += 1;
        } else if holds_card(&std::mem::take(&mut groups)) {
            return true;
        }
        after_word = c.is_alphanumeric();
        plus = c == '+';
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    holds_card(&groups)
}

/// One run of at most 19 digits.
struct Group {
    digits: Vec<u8>,
    /// Follows a plus sign: the start of a phone number.
    phone: bool,
}

/// Whether any run of whole groups in this sequence is a card number.
fn holds_card(groups: &[Group]) -> bool {
    (0..groups.len()).any(|start| {
        let tail = groups.get(start..).unwrap_or_default();
        let mut digits: Vec<u8> = Vec::with_capacity(MAX_DIGITS);
        for (index, group) in tail.iter().enumerate() {
            digits.extend(&group.digits);
            if digits.len() > MAX_DIGITS {
                return false;
            }
            let taken = tail.get(..=index).unwrap_or_default();
            if grouping_fits(taken, taken.len() == groups.len()) && is_card(&digits) {
                return true;
            }
        }
        false
    })
}

/// Whether a person would group a card number so: in one piece; in pieces of three digits and more, the
/// last one of any length; or in equal smaller pieces if nothing else stands beside them. Dates, prices
/// and lists of small numbers do not fit.
fn grouping_fits(groups: &[Group], whole_sequence: bool) -> bool {
    let Some((first, others)) = groups.split_first() else { return false };
    if first.phone {
        return false;
    }
    let Some((last, middle)) = others.split_last() else { return true };
    let size = first.digits.len();
    let large = size >= 3 && middle.iter().all(|group| group.digits.len() >= 3);
    let equal = middle.iter().all(|group| group.digits.len() == size) && last.digits.len() <= size;
    large || (equal && whole_sequence)
}

fn is_card(digits: &[u8]) -> bool {
    Brand::of_digits(digits).has_length(digits.len())
        && luhn_digits(digits)
        // German article numbers begin with 4, like Visa's obsolete numbers of the same length.
        && !(digits.len() == 13 && is_ean13(digits))
}

/// The check digit of a GS1 article number: weights 1 and 3 in turn.
fn is_ean13(digits: &[u8]) -> bool {
    let weighted = |(place, byte): (usize, &u8)| {
        let digit = usize::from(byte.wrapping_sub(b'0'));
        if place.is_multiple_of(2) { digit } else { digit * 3 }
    };
    digits.iter().enumerate().map(weighted).sum::<usize>().is_multiple_of(10)
}

/// The ASCII form of a digit: ASCII, full-width, Arabic-Indic (both sets), Devanagari.
fn digit_value(c: char) -> Option<u8> {
    let zero = match c {
        '0'..='9' => '0',
        '\u{ff10}'..='\u{ff19}' => '\u{ff10}',
        '\u{0660}'..='\u{0669}' => '\u{0660}',
        '\u{06f0}'..='\u{06f9}' => '\u{06f0}',
        '\u{0966}'..='\u{096f}' => '\u{0966}',
        _ => return None,
    };
    u8::try_from(u32::from(c) - u32::from(zero)).ok().map(|value| b'0' + value)
}

/// Spaces, dashes, and characters that cannot be seen, which would hide a number from this check.
fn is_separator(c: char) -> bool {
    matches!(c,
        ' ' | '-' | '\u{a0}' | '\u{ad}' | '\u{2000}'..='\u{200f}' | '\u{2010}'..='\u{2015}'
        | '\u{202f}' | '\u{205f}'..='\u{2064}' | '\u{2212}' | '\u{3000}' | '\u{fe0f}' | '\u{fe58}'
        | '\u{fe63}' | '\u{ff0d}')
}

/// Bytes of a UUID, or of a hexadecimal token of 24 characters and more with a letter in it, that `text`
/// starts with: identifiers and digests, whose runs of digits mean nothing.
fn opaque_token(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let ends = |length: usize| !bytes.get(length).is_some_and(u8::is_ascii_alphanumeric);
    let uuid = bytes.get(..36).is_some_and(|head| {
        head.iter().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
    });
    if uuid && ends(36) {
        return Some(36);
    }
    let length = bytes.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let letter = bytes.iter().take(length).any(u8::is_ascii_alphabetic);
    (length >= 24 && letter && ends(length)).then_some(length)
}

fn skip_chars(text: &str, count: usize) -> &str {
    let mut chars = text.chars();
    if count > 0 {
        chars.nth(count - 1);
    }
    chars.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_card_numbers() {
        let texts = [
            "4242424242424242",
            "4222222222222",
            "Card: 4242 4242 4242 4242.",
            "4242-4242-4242-4242",
            "4242 - 4242 - 4242 - 4242",
            "4242\u{a0}4242\u{2013}4242\u{202f}4242",
            "4242\u{200b}4242\u{200d}4242\u{ad}4242",
            "amex 3782 822463 10005 ok",
            "3782-822463-10005",
            "diners 3622 720627 1667",
            "42 42 42 42 42 42 42 42",
            "pan 4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2 end",
            "Visa4242424242424242exp0427",
            "ref_4242424242424242",
            "{\"card\":\"5555555555554444\"}",
            "4242 4242 4242 4242 04/27 123",
            "4242424242424242 123",
            "order 2026 4242424242424242",
            "2026-08-21 5555 5555 5555 4444",
            "on 21 08 2026: 5555 5555 5555 4444",
            "+49 30 1234 5555555555554444",
            "６２０００００００００００００５",
            "\u{664}\u{662}\u{664}\u{662}\u{664}\u{662}\u{664}\u{662}\u{664}\u{662}\u{664}\u{662}\u{664}\u{662}\u{664}\u{662}",
            "DE89370400440532013000 and 4242424242424242",
            "4242424242424242 DE89370400440532013000",
            "9b2d1c34-3f0e-4a5b-9c6d-1234567890ab 4242424242424242",
            "12345678901234567890123 4242424242424242",
            "4242424242424242 12345678901234567890123",
        ];
        for text in texts {
            assert!(contains_card_number(text), "{text:?}");
        }
    }

    #[test]
    fn leaves_ordinary_text_alone() {
        let texts = [
            "",
            "ORD-7741",
            "Order 1234567890123452", // right check digit, no scheme
            "order 9999999999999995",
            "4242424242424241",       // wrong check digit
            "4242424242424242424242", // longer than any card
            "00004242424242424242",
            "424242424242", // 12 digits, no scheme issues them
            "4242424242 x 424242",
            "4242 4242\n4242 4242",
            "4242,4242,4242,4242",
            "4242    4242    4242    4242",
            "42424242-4242-4242-8242-424242424242", // UUID with 4242 4242 4242 4242 at its start
            "e3b0c4f4242424242424242fafbf4c8996fb9242", // digest
            "a4242424242424242abcdefab",            // 25 hexadecimal characters
            "+4915112345673",                       // phone number
            "4006381333931",                        // EAN-13
            "DE44 5001 0517 5407 3249 31",
            "DE89370400440532013000",
            "2026-08-21 12:30:45 1755779445",
            "1755779445123",
            "10 000 000 000 000 EUR",
            "version 4.2.4.2.4.2.4.2.4.2.4.2.4.2.4.2",
            "no digits at all, but a text of some length",
        ];
        for text in texts {
            assert!(!contains_card_number(text), "{text:?}");
        }
    }

    #[test]
    fn each_exemption_is_needed() {
        // Digits that look like a card in every other respect, and the same in their exempt form.
        let like_visa = |from: u64| {
            let mut texts = (from..).map(|number| number.to_string());
            texts.find(|text| luhn_digits(text.as_bytes()) && !is_ean13(text.as_bytes())).unwrap()
        };
        let phone = like_visa(4_915_112_345_670);
        assert!(contains_card_number(&phone) && !contains_card_number(&format!("+{phone}")));

        let both = |text: &String| luhn_digits(text.as_bytes()) && is_ean13(text.as_bytes());
        let article = (4_006_381_333_900_u64..).map(|number| number.to_string()).find(both).unwrap();
        assert_eq!(Brand::of_digits(article.as_bytes()), Brand::Visa);
        assert!(!contains_card_number(&article));

        assert!(contains_card_number("42424242-4242-4242-8242"));
        assert!(!contains_card_number("42424242-4242-4242-8242-424242424242"));

        assert!(contains_card_number("c4f4242424242424242f"));
        assert!(!contains_card_number("e3b0c4f4242424242424242fafbf"));

        let is_iban =
            |digits: &u32| bank::leading_iban(&format!("DE{digits:02}424242424242424242")).is_some();
        let digits = (2..99).find(is_iban).unwrap();
        assert!(contains_card_number("DE 4242 4242 4242 4242 42"));
        assert!(!contains_card_number(&format!("DE{digits:02} 4242 4242 4242 4242 42")));
    }

    #[test]
    fn hostile_sizes_stay_cheap() {
        for piece in ["4", "4 ", "4-", "42 ", "424 ", "4242 ", "a", "f", "+4 ", "4\u{200d}", "DE4 ", "-"] {
            contains_card_number(&piece.repeat(50_000));
        }
    }
}
