//! Addresses that merchants name: where payers go, and what is told where.

use domain::text::single_line;
use url::{Host, Url};

/// Longest address, in bytes.
pub const URL_MAX: usize = 2048;

/// Checks an address to which we send payers or webhooks. `fragment` says whether it may end in `#...`.
pub fn check(text: &str, http_loopback: bool, fragment: bool) -> Result<(), String> {
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
            assert_eq!(check(text, false, false), Ok(()), "{text}");
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
            let refusal = check(text, false, false).unwrap_err();
            assert!(refusal.contains(part), "{text:?}: {refusal}");
        }
        let long = format!("https://shop.example/{}", "a".repeat(URL_MAX));
        assert!(check(&long, false, false).is_err());
        assert_eq!(check("https://shop.example/#a", false, true), Ok(()));
    }

    #[test]
    fn plain_http_is_for_loopback_and_only_if_allowed() {
        for text in ["http://localhost:8080/a", "http://127.0.0.1/", "http://127.8.8.8/", "http://[::1]:1/"] {
            assert_eq!(check(text, true, false), Ok(()), "{text}");
            assert!(check(text, false, false).is_err(), "{text}");
        }
        for text in ["http://shop.example/", "http://localhost.evil.example/", "http://10.0.0.1/"] {
            assert!(check(text, true, false).is_err(), "{text}");
        }
    }
}
