//! How the text of each setting is read. What is wrong with one is a phrase that follows the text.

use crate::config::Database;
use domain::network::Network;
use domain::text;
use domain::time::{HOUR, MICROS, MINUTE};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use subtle::ConstantTimeEq;
use url::{Host, Url};
use web::card_testing;

/// Longest name of the gateway in a passkey dialogue, in characters.
const NAME_MAX: usize = 64;
/// Bounds of a secret, in bytes.
const SECRET_MIN: usize = 16;
const SECRET_MAX: usize = 256;

pub(crate) fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        Err("is not a path".to_owned())
    } else {
        Ok(PathBuf::from(text))
    }
}

pub(crate) fn database(text: &str) -> Result<Database, String> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Ok(Database::Postgres(text.to_owned()));
    }
    // SQLite reads `file:` and `:memory:` as something else than a path: each of our connections would
    // then see a database of its own.
    if text.contains("://") || text.starts_with("file:") || text.starts_with(':') {
        return Err("is neither a path nor a postgres:// address".to_owned());
    }
    path(text).map(Database::Sqlite)
}

pub(crate) fn number<T: TryFrom<i64>>(text: &str, min: i64, max: i64) -> Result<T, String> {
    let wrong = || "is not in range".to_owned();
    let number: i64 = text.parse().map_err(|_| "is not a whole number".to_owned())?;
    if !(min..=max).contains(&number) {
        return Err(wrong());
    }
    T::try_from(number).map_err(|_| wrong())
}

pub(crate) fn flag(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("is neither".to_owned()),
    }
}

pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    let text =
        text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().map_err(|_| "is not an IP address with a port".to_owned())
}

pub(crate) fn address_or_off(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "off" { Ok(None) } else { address(text).map(Some) }
}

pub(crate) fn limit_or_off(text: &str) -> Result<Option<u32>, String> {
    if text == "off" {
        return Ok(None);
    }
    number(text, 1, i64::from(card_testing::LIMIT_MAX)).map(Some)
}

/// A base for links; answers it without a slash at its end.
pub(crate) fn base_url(text: &str) -> Result<String, String> {
    read_url(text).map(|url| url.as_str().trim_end_matches('/').to_owned())
}

fn read_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "is not an absolute address".to_owned())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("does not start with https:// or http:// and a host".to_owned());
    }
    if url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Err("has a query, a fragment or a user's name".to_owned());
    }
    Ok(url)
}

/// The same with a name for a host and no path: passkeys belong to a name, and cookies to all of a host.
pub(crate) fn url_of_a_name(text: &str) -> Result<String, String> {
    let url = read_url(text)?;
    if !matches!(url.host(), Some(Host::Domain(_))) {
        return Err("has an IP address for a host, where passkeys need a name".to_owned());
    }
    if url.path() != "/" {
        return Err("has a path".to_owned());
    }
    Ok(url.origin().ascii_serialization())
}

/// What a browser sends as `Origin`.
pub(crate) fn origin(text: &str) -> Result<String, String> {
    let url = read_url(text)?;
    if url.path() != "/" {
        return Err("has a path".to_owned());
    }
    Ok(url.origin().ascii_serialization())
}

pub(crate) fn networks(text: &str) -> Result<Vec<Network>, String> {
    // Where a list has a default, `off` is how it is emptied: an empty variable counts as not set.
    if text == "off" {
        return Ok(Vec::new());
    }
    Network::parse_list(text).map_err(|(entry, wrong)| {
        if entry == text { wrong.to_string() } else { format!("holds {entry:?}, which {wrong}") }
    })
}

/// A time span such as `5m`, `90s` or `1h30m`, in microseconds.
pub(crate) fn span(text: &str, min_us: i64, max_us: i64) -> Result<i64, String> {
    let mut rest = text;
    let mut total = 0_i64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = rest.split_at(digits);
        let mut after = unit.chars();
        let unit_us = match after.next() {
            Some('h') => HOUR,
            Some('m') => MINUTE,
            Some('s') => MICROS,
            _ => return Err("is not a time span".to_owned()),
        };
        let part = number.parse::<i64>().ok().and_then(|n| n.checked_mul(unit_us));
        total = part.and_then(|part| total.checked_add(part)).ok_or("is not a time span")?;
        rest = after.as_str();
    }
    if (min_us..=max_us).contains(&total) { Ok(total) } else { Err("is not in range".to_owned()) }
}

/// A name that people read.
pub(crate) fn name(text: &str) -> Result<String, String> {
    text::single_line(text, NAME_MAX).map_err(|wrong| wrong.to_string())?;
    if text.trim().is_empty() { Err("is empty".to_owned()) } else { Ok(text.to_owned()) }
}

/// A token that a client has to know. Shown nowhere.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Reads 16 to 256 visible characters of ASCII.
    ///
    /// # Errors
    /// What is wrong, as a phrase that follows the text's name; the text is not in it.
    pub fn parse(text: &str) -> Result<Secret, String> {
        let length = text.len();
        if !(SECRET_MIN..=SECRET_MAX).contains(&length) || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("is not a token".to_owned());
        }
        Ok(Secret(text.to_owned()))
    }

    /// Whether it is `text`; takes as long wherever they differ.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.0.as_bytes().ct_eq(text.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
