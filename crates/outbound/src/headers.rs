//! Headers a caller may add to a request.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use thiserror::Error;

/// Headers that decide where the message ends, where it goes, or how long the connection lives. A caller
/// who could set them could smuggle a second request to the receiver (RFC 9112 section 11.2).
const RESERVED: [&str; 14] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-authentication-info",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const MAX_HEADERS: usize = 64;
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Why a header was refused. The texts never repeat a header's value, which may be a credential.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HeaderRefusal {
    /// The name is not an RFC 9110 token.
    #[error("`{0}` is not a header name. Use letters, digits and hyphens only.")]
    Name(String),
    /// The name is one the client sets itself.
    #[error("The header `{0}` is set by the sender and cannot be chosen. Remove it.")]
    Reserved(String),
    /// The value holds a line break, another control character, or a character outside ASCII.
    #[error(
        "The value of header `{0}` may hold visible ASCII characters, spaces and tabs only. Remove line \
         breaks and other characters."
    )]
    Value(String),
    /// More than 64 headers, or more than 16 KiB of names and values.
    #[error(
        "A request may carry at most 64 extra headers with 16384 bytes in total. Send fewer or shorter ones."
    )]
    TooLarge,
}

/// Checks one header as [`crate::Client::post`] will, for use when an endpoint is registered.
pub fn check_header(name: &str, value: &str) -> Result<(), HeaderRefusal> {
    parse(name, value).map(|_| ())
}

fn parse(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), HeaderRefusal> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| HeaderRefusal::Name(name.chars().take(64).flat_map(char::escape_default).collect()))?;
    if RESERVED.contains(&parsed.as_str()) {
        return Err(HeaderRefusal::Reserved(parsed.as_str().to_owned()));
    }
    let refused = || HeaderRefusal::Value(parsed.as_str().to_owned());
    if !value.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
        return Err(refused());
    }
    let value = HeaderValue::from_str(value).map_err(|_| refused())?;
    Ok((parsed, value))
}

/// The caller's headers plus those every request carries.
pub(crate) fn assemble(headers: &[(String, String)]) -> Result<HeaderMap, HeaderRefusal> {
    let size = headers.iter().fold(0usize, |sum, (n, v)| sum.saturating_add(n.len()).saturating_add(v.len()));
    if headers.len() > MAX_HEADERS || size > MAX_HEADER_BYTES {
        return Err(HeaderRefusal::TooLarge);
    }
    let mut map = HeaderMap::with_capacity(headers.len() + 4);
    for (name, value) in headers {
        let (name, value) = parse(name, value)?;
        map.append(name, value);
    }
    map.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    map.entry(header::ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
    map.entry(header::USER_AGENT)
        .or_insert(HeaderValue::from_static(concat!("PaymentGate/", env!("CARGO_PKG_VERSION"))));
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_headers_and_line_breaks_are_refused() {
        for name in ["Host", "content-length", "Transfer-Encoding", "CONNECTION", "Upgrade", "TE", "Expect"] {
            assert_eq!(check_header(name, "1"), Err(HeaderRefusal::Reserved(name.to_ascii_lowercase())));
        }
        for name in ["", "a b", "x\r\nhost", "x:", ":authority", "é", "host "] {
            assert!(matches!(check_header(name, "1"), Err(HeaderRefusal::Name(_))), "{name:?}");
        }
        for value in ["a\r\nHost: b", "a\nb", "a\rb", "a\0b", "é", "\u{7f}", "\u{1b}[31m"] {
            let refusal = check_header("Authorization", value).unwrap_err();
            assert_eq!(refusal, HeaderRefusal::Value("authorization".to_owned()), "{value:?}");
        }
        assert_eq!(check_header("Authorization", "Bearer abc"), Ok(()));
        assert_eq!(check_header("pg-signature", "t=1,v1=ab"), Ok(()));
    }

    #[test]
    fn number_and_size_are_bounded() {
        let many: Vec<_> = (0..65).map(|n| (format!("x-{n}"), "v".to_owned())).collect();
        assert_eq!(assemble(&many).unwrap_err(), HeaderRefusal::TooLarge);
        assert!(assemble(&many[..64]).is_ok());
        let big = vec![("x".to_owned(), "v".repeat(MAX_HEADER_BYTES))];
        assert_eq!(assemble(&big).unwrap_err(), HeaderRefusal::TooLarge);
    }

    #[test]
    fn a_caller_may_replace_the_defaults() {
        let map = assemble(&[("User-Agent".to_owned(), "shop/1".to_owned())]).unwrap();
        assert_eq!(map[header::USER_AGENT], "shop/1");
        assert_eq!(map[header::ACCEPT_ENCODING], "identity");
    }
}
