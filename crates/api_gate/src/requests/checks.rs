//! Rules for single texts. What they return is a phrase that follows the field's name.

use domain::text::{TextRefusal, single_line};

/// Longest telephone number. E.164 allows 15 digits; of cards, only obsolete and rare ones have fewer.
const PHONE_DIGITS: usize = 14;

/// Checks a telephone number, of which all that is known is that it is short.
pub fn phone(text: &str) -> Result<(), TextRefusal> {
    match single_line(text, 100) {
        Err(TextRefusal::CardNumber) if digits(text) <= PHONE_DIGITS => Ok(()),
        checked => checked,
    }
}

/// Checks a bank account. Account numbers of many countries are plain digits that look like a rare card's;
/// the lengths of nearly all cards are refused all the same. No account has a plus sign, but the folded form
/// of one with spaces does, which someone on the way could have put there.
pub fn bank_account(text: &str) -> Result<(), String> {
    if text.contains('+') {
        return Err("must not hold a plus sign; write spaces as spaces".to_owned());
    }
    match single_line(text, 64) {
        Err(TextRefusal::CardNumber) if !matches!(digits(text), 15 | 16) => Ok(()),
        checked => checked.map_err(|refusal| refusal.to_string()),
    }
}

fn digits(text: &str) -> usize {
    text.chars().filter(|c| c.is_numeric()).count()
}

/// A UUID in lower case.
pub fn uuid(text: &str) -> Option<String> {
    let fits = |(place, byte): (usize, u8)| match place {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    (text.len() == 36 && text.bytes().enumerate().all(fits)).then(|| text.to_ascii_lowercase())
}

/// Two letters of a country, in upper case.
pub fn country(text: &str) -> Option<String> {
    let letters = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    letters.then(|| text.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_where_they_are_normal() {
        // Each looks like a card number to the general check.
        let visa13 = "4222222222222";
        assert_eq!(single_line(visa13, 100), Err(TextRefusal::CardNumber));
        assert_eq!(phone(visa13), Ok(()));
        assert_eq!(phone("+49 30 123456"), Ok(()));
        assert_eq!(phone("shapphfjqiwcqxrulmhb"), Ok(()));
        for card in ["4242424242424242", "4242 4242 4242 4242", "378282246310005"] {
            assert_eq!(phone(card), Err(TextRefusal::CardNumber), "{card}");
            assert_eq!(bank_account(card), Err(TextRefusal::CardNumber.to_string()), "{card}");
        }
        assert_eq!(bank_account(visa13), Ok(()));
        for account in ["HB49SAAD93848485849948490", "DE89 3704 0044 0532 0130 00", "19-2000145399/0800"] {
            assert_eq!(bank_account(account), Ok(()), "{account}");
        }
        assert_eq!(bank_account(&"1".repeat(65)), Err(TextRefusal::TooLong { max: 64 }.to_string()));
        assert!(bank_account("DE89+3704+0044+0532+0130+00").is_err());
        assert_eq!(phone(&"1".repeat(101)), Err(TextRefusal::TooLong { max: 100 }));
    }

    #[test]
    fn ids_and_countries() {
        let id = "FF6bcd26-9e70-40fd-a3aa-80c8586193d1";
        assert_eq!(uuid(id), Some(id.to_lowercase()));
        for text in ["", "transaction-uuid-1744241274", &id[1..], &format!("{id} "), &id.replace('-', "a")] {
            assert_eq!(uuid(text), None, "{text}");
        }
        assert_eq!(country("cz"), Some("CZ".to_owned()));
        for text in ["", "C", "TST", "C1", "é", "ÄÖ"] {
            assert_eq!(country(text), None, "{text}");
        }
    }
}
