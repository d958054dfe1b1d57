//! Which URLs may be called: the static part, before any name is resolved.

use std::net::IpAddr;

use http::uri::PathAndQuery;
use thiserror::Error;
use url::{Host, Position, Url};

use crate::address::{Policy, is_loopback, is_public};

/// The longest URL accepted, in bytes, as given and as normalised.
pub const MAX_URL_LENGTH: usize = 2048;

/// Why a URL was refused. Each text says what to do; none repeats the URL, which may hold a credential.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UrlRefusal {
    /// Empty, or longer than [`MAX_URL_LENGTH`].
    #[error("The URL must be 1 to 2048 bytes long, not {0}. Send a shorter one.")]
    Length(usize),
    /// Whitespace, a control character or a backslash anywhere in the text. URL parsers disagree on
    /// these, and disagreement is how a check is passed with one host and a connection made to another.
    #[error(
        "The URL must not hold spaces, line breaks, tabs, control characters or backslashes. \
         Percent-encode them."
    )]
    Character,
    /// Not an absolute `https://` (or, where allowed, `http://`) URL.
    #[error("The URL must start with https://, like https://shop.example/webhooks.")]
    Scheme,
    /// Plain `http` to a host that needs `https`.
    #[error("Plain http is not allowed for this host. Use https://.")]
    PlainHttp,
    /// The parser refused it: bad port, bad IPv6 literal, bad international name.
    #[error("The URL cannot be parsed: {0}. Send an absolute URL like https://shop.example/webhooks.")]
    Malformed(url::ParseError),
    /// `user:password@` before the host, even if empty.
    #[error("The URL must not hold a user name, a password or `@` before the host. Use a header instead.")]
    Userinfo,
    /// `#...` at the end, which is never sent.
    #[error("The URL must not hold a fragment. Remove `#` and what follows.")]
    Fragment,
    /// Not a host name: trailing dot, empty or overlong label, or a character other than letters, digits,
    /// hyphens and underscores.
    #[error("The URL's host is not a full host name. Use one like shop.example, without a trailing dot.")]
    HostForm,
    /// A name that only has a meaning inside a network.
    #[error("The URL's host must be a public host name. Names of an internal network are not allowed.")]
    InternalHost,
    /// An IP literal, in whatever notation, outside the public ranges.
    #[error("The URL's address is private or reserved. Use a host that is reachable from the internet.")]
    Address,
    /// A port outside the policy.
    #[error("Port {0} is not allowed. Use 443 or 8443.")]
    Port(u16),
    /// The path or query has characters that cannot be sent.
    #[error("The URL's path or query holds characters that cannot be sent. Percent-encode them.")]
    Path,
}

/// Which addresses a destination may have. Fixed by the host's text, so that a name outside `localhost`
/// can never be pointed at loopback, not even in test mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reach {
    Public,
    Loopback,
}

impl Reach {
    pub(crate) fn allows(self, ip: IpAddr) -> bool {
        match self {
            Reach::Public => is_public(ip),
            Reach::Loopback => is_loopback(ip),
        }
    }
}

/// A URL that passed [`check_url`], in the pieces a connection needs.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    pub(crate) url: Url,
    pub(crate) tls: bool,
    pub(crate) host: Host<String>,
    pub(crate) port: u16,
    pub(crate) reach: Reach,
    pub(crate) target: PathAndQuery,
}

impl Destination {
    /// The `Host` header: the port is left out if it is the scheme's own.
    pub(crate) fn authority(&self) -> &str {
        &self.url[Position::BeforeHost..Position::AfterPort]
    }
}

/// Checks a URL without resolving it: scheme, user information, host, port, length and characters. IP
/// literals are judged at once, in every notation (decimal, octal, hexadecimal and short IPv4 forms are
/// normalised first). Names are resolved and judged again at each connection.
///
/// Returns the normalised URL.
pub fn check_url(raw: &str, policy: &Policy) -> Result<Url, UrlRefusal> {
    parse(raw, policy).map(|destination| destination.url)
}

pub(crate) fn parse(raw: &str, policy: &Policy) -> Result<Destination, UrlRefusal> {
    check_text(raw)?;
    let url = Url::parse(raw).map_err(UrlRefusal::Malformed)?;
    if url.as_str().len() > MAX_URL_LENGTH {
        return Err(UrlRefusal::Length(url.as_str().len()));
    }
    let tls = match url.scheme() {
        "https" => true,
        "http" => false,
        _ => return Err(UrlRefusal::Scheme),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlRefusal::Userinfo);
    }
    if url.fragment().is_some() {
        return Err(UrlRefusal::Fragment);
    }
    let host = url.host().ok_or(UrlRefusal::HostForm)?.to_owned();
    let port = url.port_or_known_default().ok_or(UrlRefusal::Scheme)?;
    let reach = check_host(&host, policy)?;
    check_service(reach, tls, port, policy)?;
    let target = url[Position::BeforePath..Position::AfterQuery].parse().map_err(|_| UrlRefusal::Path)?;
    Ok(Destination { url, tls, host, port, reach, target })
}

/// What the parser would silently repair or drop is refused here, so that the text stored, shown and
/// called are the same.
fn check_text(raw: &str) -> Result<(), UrlRefusal> {
    if raw.is_empty() || raw.len() > MAX_URL_LENGTH {
        return Err(UrlRefusal::Length(raw.len()));
    }
    if raw.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err(UrlRefusal::Character);
    }
    let (scheme, rest) = raw.split_once("://").ok_or(UrlRefusal::Scheme)?;
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return Err(UrlRefusal::Scheme);
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(UrlRefusal::Userinfo);
    }
    if authority.is_empty() {
        // `https:///host` would be repaired to `https://host`.
        return Err(UrlRefusal::HostForm);
    }
    Ok(())
}

fn check_host(host: &Host<String>, policy: &Policy) -> Result<Reach, UrlRefusal> {
    match host {
        Host::Ipv4(ip) => check_literal(IpAddr::V4(*ip), policy),
        Host::Ipv6(ip) => check_literal(IpAddr::V6(*ip), policy),
        Host::Domain(name) if name == "localhost" && policy.allow_loopback => Ok(Reach::Loopback),
        Host::Domain(name) => check_name(name).map(|()| Reach::Public),
    }
}

fn check_literal(ip: IpAddr, policy: &Policy) -> Result<Reach, UrlRefusal> {
    if policy.allow_loopback && is_loopback(ip) {
        Ok(Reach::Loopback)
    } else if is_public(ip) {
        Ok(Reach::Public)
    } else {
        Err(UrlRefusal::Address)
    }
}

/// Suffixes that never lead to the public internet: RFC 6761, RFC 6762, RFC 7686, RFC 8375, the
/// `.internal` reservation of 2024 (cloud metadata names live there), and what routers and clusters use.
const INTERNAL_SUFFIXES: [&str; 11] = [
    ".localhost",
    ".local",
    ".localdomain",
    ".internal",
    ".intranet",
    ".lan",
    ".corp",
    ".home",
    ".home.arpa",
    ".onion",
    ".svc",
];

/// `name` comes from the URL parser: lower case, international names in their ASCII form.
fn check_name(name: &str) -> Result<(), UrlRefusal> {
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let bare = name.strip_suffix('.').unwrap_or(name);
    // A single label is completed by the resolver's search list, so it names a machine of this network.
    if !bare.contains('.') || INTERNAL_SUFFIXES.iter().any(|suffix| bare.ends_with(suffix)) {
        return Err(UrlRefusal::InternalHost);
    }
    if name.len() > 253 || !name.split('.').all(label_ok) {
        return Err(UrlRefusal::HostForm);
    }
    Ok(())
}

/// Loopback ports that stay closed in test mode too: services that act on a request without asking who
/// sent it (memcached, Redis, databases, Docker, etcd, Kubernetes).
const CLOSED_LOOPBACK_PORTS: [u16; 15] =
    [1433, 2375, 2376, 2379, 2380, 3306, 5432, 5984, 6379, 6443, 10250, 10255, 11211, 27017, 33060];

fn check_service(reach: Reach, tls: bool, port: u16, policy: &Policy) -> Result<(), UrlRefusal> {
    let port_ok = match reach {
        Reach::Loopback => {
            (port >= 1024 && !CLOSED_LOOPBACK_PORTS.contains(&port)) || port == 80 || port == 443
        }
        Reach::Public if !tls && !policy.allow_http => return Err(UrlRefusal::PlainHttp),
        Reach::Public if !tls => port == 80 || policy.extra_ports.contains(&port),
        Reach::Public => port == 443 || port == 8443 || policy.extra_ports.contains(&port),
    };
    if port_ok && port != 0 { Ok(()) } else { Err(UrlRefusal::Port(port)) }
}

#[cfg(test)]
#[path = "destination_tests.rs"]
mod tests;
