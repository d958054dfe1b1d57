//! Reading an API key out of a request. Never logs or echoes what it read.

use axum::http::{HeaderMap, header};
use base64::Engine as _;

/// Why there is no key to look up. All look the same to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoKey {
    Absent,
    Malformed,
    /// Two `Authorization` headers: parsers disagree on which one counts, so none does.
    Repeated,
}

/// What follows `Authorization: Bearer`, and no other scheme.
pub fn bearer(headers: &HeaderMap) -> Result<String, NoKey> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(NoKey::Absent)?;
    if values.next().is_some() {
        return Err(NoKey::Repeated);
    }
    let text = value.to_str().map_err(|_| NoKey::Malformed)?;
    let (scheme, rest) = text.split_once(' ').ok_or(NoKey::Malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") { non_empty(rest.to_owned()) } else { Err(NoKey::Malformed) }
}

/// The key in `Authorization: Bearer …` or `Basic …` (the key as user name, no password).
pub fn api_key(headers: &HeaderMap) -> Result<String, NoKey> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(NoKey::Absent)?;
    if values.next().is_some() {
        return Err(NoKey::Repeated);
    }
    let text = value.to_str().map_err(|_| NoKey::Malformed)?;
    let (scheme, rest) = text.split_once(' ').ok_or(NoKey::Malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return non_empty(rest.to_owned());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = base64::engine::general_purpose::STANDARD.decode(rest).map_err(|_| NoKey::Malformed)?;
        let decoded = String::from_utf8(decoded).map_err(|_| NoKey::Malformed)?;
        let (user, password) = decoded.split_once(':').unwrap_or((&decoded, ""));
        if !password.is_empty() {
            return Err(NoKey::Malformed);
        }
        return non_empty(user.to_owned());
    }
    Err(NoKey::Malformed)
}

fn non_empty(key: String) -> Result<String, NoKey> {
    if key.is_empty() { Err(NoKey::Absent) } else { Ok(key) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn check(values: &[&str], expected: Result<&str, NoKey>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).expect("header"));
        }
        assert_eq!(api_key(&headers), expected.map(str::to_owned), "{values:?}");
    }

    #[test]
    fn keys_are_read_from_both_schemes() {
        check(&["Bearer sk_test_1"], Ok("sk_test_1"));
        check(&["bearer sk_test_1"], Ok("sk_test_1"));
        check(&["Basic c2tfdGVzdF8xOg=="], Ok("sk_test_1"));
        check(&["Basic c2tfdGVzdF8x"], Ok("sk_test_1"));
        check(&["Basic c2tfdGVzdF8xOnB3"], Err(NoKey::Malformed));
        check(&["Basic Og=="], Err(NoKey::Absent));
        check(&["Bearer "], Err(NoKey::Absent));
        check(&["Bearer"], Err(NoKey::Malformed));
        check(&["Digest x"], Err(NoKey::Malformed));
        check(&[], Err(NoKey::Absent));
        check(&["Bearer a", "Bearer b"], Err(NoKey::Repeated));
        check(&["Bearer a "], Ok("a "));
    }
}
