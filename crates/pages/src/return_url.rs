//! Addresses a page may leave to: only http and https, safe in an attribute and in a header.

use std::fmt::Write as _;

use url::Url;

/// Seconds the result of a challenge stays before it leaves by itself.
const REFRESH_DELAY_SECONDS: u8 = 1;

/// A longer address gets the link alone: reverse proxies answer 502 when the header block passes their buffer
/// (4 KiB in common defaults), which would hide the result from the payer.
const MAX_REFRESH_BYTES: usize = 2048;

/// An address that passed [`ReturnUrl::parse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReturnUrl {
    /// Normalised and ASCII. Still to be HTML-escaped, as everything is.
    pub href: String,
    /// The host as the browser will show it: internationalised names in their ASCII form, so that a look-alike
    /// cannot pass for another.
    pub host: String,
    /// The value of the `Refresh` header, if one is to be sent.
    pub refresh: Option<String>,
}

impl ReturnUrl {
    /// `None` for anything but an absolute http or https address without user name and password.
    ///
    /// The parser is the one browsers specify (WHATWG), so what is checked here is what they will open. Control
    /// characters are refused rather than dropped as that parser does: `java\tscript:` and a line break meant
    /// for the header have no honest use.
    pub fn parse(raw: &str) -> Option<Self> {
        Self::parse_leaving_after(raw, REFRESH_DELAY_SECONDS)
    }

    /// [`ReturnUrl::parse`] for a page that stays `seconds` before it leaves by itself.
    pub fn parse_leaving_after(raw: &str, seconds: u8) -> Option<Self> {
        if raw.chars().any(char::is_control) {
            return None;
        }
        let url = Url::parse(raw).ok()?;
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        // "https://shop.example@evil.example/" reads as the shop and opens the other.
        if !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        let host = url.host_str()?.to_owned();
        let refresh = refresh_value(url.as_str(), seconds);
        Some(Self { href: url.into(), host, refresh })
    }
}

/// `raw` with `pairs` at the end of its query, which keeps what it had; `None` for what [`ReturnUrl::parse`]
/// refuses.
pub(crate) fn with_query(raw: &str, pairs: &[(&str, &str)]) -> Option<String> {
    // Judged before it is changed: the parser drops some of what is refused here.
    let mut url = Url::parse(&ReturnUrl::parse(raw)?.href).ok()?;
    url.query_pairs_mut().extend_pairs(pairs);
    Some(url.into())
}

/// `1; url=…` as the HTML standard's "shared declarative refresh steps" read it: an unquoted address up to the
/// end of the value.
///
/// Readers that split at `;` or honour quotes inside must find only one address too, so every byte outside the
/// plain URL characters is percent-encoded, `;` and both quotes among them. The link keeps the address as it is.
fn refresh_value(url: &str, seconds: u8) -> Option<String> {
    let mut value = format!("{seconds}; url=");
    for byte in url.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&()*+,=%".contains(&byte) {
            value.push(char::from(byte));
        } else {
            // Writing into a String cannot fail; were it to, no header is the safe answer.
            write!(value, "%{byte:02X}").ok()?;
        }
    }
    (value.len() <= MAX_REFRESH_BYTES).then_some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refresh(raw: &str) -> String {
        ReturnUrl::parse(raw).and_then(|u| u.refresh).unwrap_or_else(|| panic!("{raw:?} was refused"))
    }

    #[test]
    fn ordinary_addresses_pass_unchanged() {
        for raw in [
            "https://shop.example/thanks?payment_intent=pi_1&redirect_status=succeeded#top",
            "http://127.0.0.1:3000/return",
            "http://[::1]:3000/",
            "https://shop.example/a%20b?x=%3B",
        ] {
            let url = ReturnUrl::parse(raw).unwrap_or_else(|| panic!("{raw} was refused"));
            assert_eq!(url.href, raw);
            assert_eq!(url.refresh, Some(format!("1; url={raw}")));
        }
    }

    #[test]
    fn everything_but_http_and_https_is_refused() {
        for raw in [
            "",
            "/thanks",
            "//evil.example/",
            "shop.example",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            " javascript:alert(1)",
            "java\tscript:alert(1)",
            "\u{1}javascript:alert(1)",
            "javascript://shop.example/%0aalert(1)",
            "data:text/html,<script>alert(1)</script>",
            "vbscript:x",
            "file:///etc/passwd",
            "blob:https://shop.example/1",
            "view-source:https://shop.example/",
            "ftp://shop.example/",
            "https://",
            "https://shop.example@evil.example/",
            "https://:secret@shop.example/",
            "https://shop.example/\r\nSet-Cookie: a=b",
            "https://shop.example/\nx",
            "https://shop.example/\u{0}",
            "https://shop.example/\u{85}",
        ] {
            assert_eq!(ReturnUrl::parse(raw), None, "{raw:?}");
        }
    }

    #[test]
    fn header_hides_what_could_end_or_replace_the_address() {
        assert_eq!(
            refresh("https://shop.example/;url=https://evil.example/"),
            "1; url=https://shop.example/%3Burl=https://evil.example/"
        );
        assert_eq!(
            refresh("https://shop.example/?q=\"'`<>; url='https://evil.example/'"),
            "1; url=https://shop.example/?q=%22%27%60%3C%3E%3B%20url=%27https://evil.example/%27"
        );
        assert_eq!(refresh("https://shop.example/\u{202e}é"), "1; url=https://shop.example/%E2%80%AE%C3%A9");
        assert_eq!(refresh("https://shop.example/%0d%0aX: y"), "1; url=https://shop.example/%0d%0aX:%20y");
    }

    #[test]
    fn link_keeps_path_parameters() {
        let url = ReturnUrl::parse("https://shop.example/cart;jsessionid=1?a=1;b=2").expect("valid");
        assert_eq!(url.href, "https://shop.example/cart;jsessionid=1?a=1;b=2");
    }

    #[test]
    fn query_is_extended_and_never_broken() {
        let pairs = [("payment_intent", "pi_1"), ("x", "a&b=c #?é")];
        let tail = "payment_intent=pi_1&x=a%26b%3Dc+%23%3F%C3%A9";
        for (raw, expected) in [
            ("https://shop.example", format!("https://shop.example/?{tail}")),
            ("https://shop.example/thanks", format!("https://shop.example/thanks?{tail}")),
            ("https://shop.example/?", format!("https://shop.example/?{tail}")),
            ("https://shop.example/?order=7", format!("https://shop.example/?order=7&{tail}")),
            ("https://shop.example/?a=%26&a=b%3Dc", format!("https://shop.example/?a=%26&a=b%3Dc&{tail}")),
            ("http://127.0.0.1:3000/r?q#/route", format!("http://127.0.0.1:3000/r?q&{tail}#/route")),
        ] {
            assert_eq!(with_query(raw, &pairs), Some(expected), "{raw}");
        }
        for raw in [
            "",
            "/thanks",
            "javascript:alert(1)",
            "https://a@b.example/",
            "https://shop.example/\nx",
            "ftp://a/",
        ] {
            assert_eq!(with_query(raw, &pairs), None, "{raw:?}");
        }
    }

    #[test]
    fn look_alike_host_is_shown_in_ascii() {
        let url = ReturnUrl::parse("https://pаypal.example/").expect("valid; the first a is Cyrillic");
        assert!(url.host.starts_with("xn--"), "{}", url.host);
    }

    #[test]
    fn long_address_keeps_its_link_and_loses_the_header() {
        let room = MAX_REFRESH_BYTES - "1; url=https://shop.example/".len();
        let fits = format!("https://shop.example/{}", "a".repeat(room));
        assert_eq!(refresh(&fits).len(), MAX_REFRESH_BYTES);
        let long = ReturnUrl::parse(&format!("{fits}a")).expect("valid");
        assert_eq!(long.refresh, None);
        assert_eq!(long.href, format!("{fits}a"));
    }

    proptest! {
        #[test]
        fn header_is_one_line_with_one_address_to_the_same_host(tail in any::<String>(), host in "[a-z]{1,8}\\.example") {
            let raw = format!("https://{host}/{tail}");
            if let Some(url) = ReturnUrl::parse(&raw) {
                prop_assert!(url.href.is_ascii());
                prop_assert_eq!(&url.host, &host);
                if let Some(value) = url.refresh {
                    let target = value.strip_prefix("1; url=").expect("prefix");
                    prop_assert!(target.bytes().all(|b| b.is_ascii_graphic() && !b";'\"`<>\\".contains(&b)), "{}", value);
                    let opened = Url::parse(target).expect("still an address");
                    prop_assert_eq!(opened.host_str(), Some(host.as_str()));
                }
            }
        }

        #[test]
        fn any_text_is_refused_or_http(raw in any::<String>()) {
            if let Some(url) = ReturnUrl::parse(&raw) {
                prop_assert!(url.href.starts_with("http://") || url.href.starts_with("https://"));
            }
        }
    }
}
