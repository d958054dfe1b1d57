//! Rules for single texts. What they return is a phrase that follows the field's name.

use domain::text::{TextRefusal, single_line};
use url::{Host, Url};

/// Longest address, in bytes.
pub const URL_MAX: usize = 2048;

/// Longest telephone number. E.164 allows 15 digits; of cards, only obsolete and rare ones have fewer.
const PHONE_DIGITS: usize = 14;

/// Checks an address to which we send payers or webhooks. `fragment` says whether it may end in `#...`.
pub fn url(text: &str, http_loopback: bool, fragment: bool) -> Result<(), String> {
    const EXAMPLE: &str = "such as https://shop.example/back";
    if text.len() > URL_MAX {
        return Err(format!("must be at most {URL_MAX} bytes long"));
    }
    single_line(text, URL_MAX).map_err(|refusal| refusal.to_string())?;
    if text.contains(|c: char| c.is_whitespace() || c == '\\') {
        return Err("must not hold spaces or backslashes; percent-encode them".to_owned());
    }
    let url = Url::parse(text).map_err(|_| format!("must be a full address, {EXAMPLE}"))?;
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => {}
        "http" if loopback && http_loopback => {}
        _ => return Err(format!("must be an https:// address, {EXAMPLE}")),
    }
    // Browsers read https:/host and https:///host as https://host; others do not.
    let authority = text.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() {
        return Err(format!("must have a host after two slashes, {EXAMPLE}"));
    }
    if authority.contains('@') {
        return Err("must not hold a user name or password before the host".to_owned());
    }
    if !fragment && url.fragment().is_some() {
        return Err("must not hold a fragment; remove # and what follows".to_owned());
    }
    Ok(())
}

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
    fn addresses() {
        for text in [
            "https://shop.example",
            "https://shop.example/back?order=1&x=%20",
            "HTTPS://Shop.Example:8443/a",
            "https://xn--bcher-kva.example/",
            "https://bücher.example/",
            "https://[2001:db8::1]/",
        ] {
            assert_eq!(url(text, false, false), Ok(()), "{text}");
        }
        for (text, part) in [
            ("", "full address"),
            ("shop.example/back", "full address"),
            ("//shop.example", "full address"),
            ("/back", "full address"),
            ("https://", "full address"),
            ("http://shop.example", "https://"),
            ("http://localhost/", "https://"),
            ("ftp://shop.example", "https://"),
            ("javascript:alert(1)", "https://"),
            ("JavaScript://shop.example/%0aalert(1)", "https://"),
            ("data:text/html,x", "https://"),
            ("file:///etc/passwd", "https://"),
            ("https:shop.example", "two slashes"),
            ("https:/shop.example", "two slashes"),
            ("https:///shop.example", "two slashes"),
            ("https://shop.example@evil.example/", "user name"),
            ("https://@evil.example/", "user name"),
            ("https://a:b@evil.example/", "user name"),
            ("https://shop.example/#a", "fragment"),
            ("https://shop.example/a b", "spaces"),
            (" https://shop.example/", "spaces"),
            ("https://shop.example\\@evil.example/", "backslashes"),
            ("https://shop.example/\u{a0}", "spaces"),
            ("https://shop.example/\n", "control"),
            ("java\tscript:alert(1)", "control"),
            ("https://shop.example/\u{202e}", "direction"),
            ("https://shop.example/4242424242424242", "card number"),
        ] {
            let refusal = url(text, false, false).unwrap_err();
            assert!(refusal.contains(part), "{text:?}: {refusal}");
        }
        let long = format!("https://shop.example/{}", "a".repeat(URL_MAX));
        assert!(url(&long, false, false).is_err());
        assert_eq!(url("https://shop.example/#a", false, true), Ok(()));
    }

    #[test]
    fn plain_http_is_for_loopback_and_only_if_allowed() {
        for text in ["http://localhost:8080/a", "http://127.0.0.1/", "http://127.8.8.8/", "http://[::1]:1/"] {
            assert_eq!(url(text, true, false), Ok(()), "{text}");
            assert!(url(text, false, false).is_err(), "{text}");
        }
        for text in ["http://shop.example/", "http://localhost.evil.example/", "http://10.0.0.1/"] {
            assert!(url(text, true, false).is_err(), "{text}");
        }
    }

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
