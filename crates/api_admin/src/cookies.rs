//! The two cookies of people who are signed in, and from whose pages a request may come that one of them proves.

use crate::error::ApiError;
use axum::http::{HeaderMap, HeaderName, header};
use domain::id::MerchantId;
use domain::session::LIFETIME_US;
use domain::time::MICROS;
use web::App;

/// The refresh token. The prefix keeps sub-domains and plain http from setting it.
const REFRESH: &str = "__Host-pg_refresh";
/// The organisation that a person chose; a convenience that proves nothing.
const SELECTED: &str = "selectedOrganization";
const COMMON: &str = "; Path=/; Secure; HttpOnly; SameSite=Strict";

static FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The value of the cookie with this name; `None` when it is there twice, since then one may be another's.
fn value(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut values = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(known, _)| *known == name)
        .map(|(_, value)| value.to_owned());
    let found = values.next()?;
    values.next().is_none().then_some(found)
}

pub(crate) fn refresh_token(headers: &HeaderMap) -> Option<String> {
    value(headers, REFRESH)
}

pub(crate) fn selected(headers: &HeaderMap) -> Option<String> {
    value(headers, SELECTED)
}

/// Keeps a refresh token as long as its session can last.
pub(crate) fn keep_refresh(token: &str) -> String {
    format!("{REFRESH}={token}; Max-Age={}{COMMON}", LIFETIME_US / MICROS)
}

pub(crate) fn drop_refresh() -> String {
    format!("{REFRESH}=; Max-Age=0{COMMON}")
}

pub(crate) fn keep_selected(merchant: MerchantId) -> String {
    format!("{SELECTED}={}; Max-Age={}{COMMON}", merchant.0.hex(), LIFETIME_US / MICROS)
}

pub(crate) fn drop_selected() -> String {
    format!("{SELECTED}=; Max-Age=0{COMMON}")
}

fn refused() -> ApiError {
    let message = "This is for pages of the Admin API's own address and of the panel's. Send the header Origin with one of \
                   them.";
    ApiError::forbidden("origin_not_allowed", message)
}

/// Refuses a request that a page of another site sent. Browsers always say from where they post.
pub(crate) fn own_pages(app: &App, headers: &HeaderMap) -> Result<(), ApiError> {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else { return Ok(()) };
    let allowed = app
        .engine
        .options
        .passkeys
        .as_ref()
        .is_some_and(|site| site.origins.iter().any(|own| own.as_bytes() == origin.as_bytes()));
    if allowed && origins.next().is_none() { Ok(()) } else { Err(refused()) }
}

/// The same for what a cookie proves: it has to say from where it comes.
pub(crate) fn surely_own_pages(app: &App, headers: &HeaderMap) -> Result<(), ApiError> {
    own_pages(app, headers)?;
    let same = headers.get(&FETCH_SITE).is_some_and(|site| site == "same-origin");
    if headers.contains_key(header::ORIGIN) || same { Ok(()) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_cookie_counts_if_it_is_there_once() {
        for (lines, found) in [
            (vec!["__Host-pg_refresh=a"], Some("a")),
            (vec!["x=1; __Host-pg_refresh=a; y=2"], Some("a")),
            (vec!["x=1", "__Host-pg_refresh=a=b"], Some("a=b")),
            (vec!["__Host-pg_refresh=a; __Host-pg_refresh=b"], None),
            (vec!["__Host-pg_refresh=a", "__Host-pg_refresh=a"], None),
            (vec!["pg_refresh=a; __host-pg_refresh=a"], None),
            (vec![], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in &lines {
                headers.append(header::COOKIE, HeaderValue::from_str(line).expect("a header"));
            }
            assert_eq!(refresh_token(&headers).as_deref(), found, "{lines:?}");
        }
    }

    #[test]
    fn cookies_are_for_this_host_and_no_script() {
        let kept = [keep_refresh("t"), drop_refresh(), drop_selected()];
        for cookie in kept {
            for part in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict", "; Max-Age="] {
                assert!(cookie.contains(part), "{cookie} lacks {part}");
            }
            assert!(!cookie.contains("Domain"), "{cookie}");
        }
    }
}
