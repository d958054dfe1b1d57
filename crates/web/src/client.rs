//! Who asks: the other end of the connection, or whom a proxy that the operator trusts asks for.
//!
//! Anyone can write a header, so an address in one counts only when the connection comes from a trusted
//! proxy. The rest of the gateway sees the result as [`Peer`]: limits, card testing and the audit log are
//! about the client, never about the proxy.

use crate::Peer;
use axum::extract::Request;
use axum::http::{Extensions, HeaderMap, HeaderName, header};
use domain::network::{self, Network};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

/// Longest id that is taken over from a proxy, in bytes.
const ID_MAX: usize = 64;

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
static FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// In the extensions of a request that a proxy of the operator's seems to have passed on without telling for whom: the
/// address in [`Peer`] may stand for many, so it must not open what is open to that address alone.
#[derive(Clone, Copy, Debug)]
struct Veiled;

/// The address that a request came from; unspecified when the listener did not tell.
pub fn ip(extensions: &Extensions) -> IpAddr {
    extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip().to_canonical())
}

/// The address that a request came from, if it is sure to be the client's own: for exemptions, lists of who may come,
/// and whatever else an address opens. `None` behind a proxy on this machine or a private network that is not trusted,
/// whose address all its clients share. What passes requests on at a public address is the client's own affair.
pub fn known_ip(extensions: &Extensions) -> Option<IpAddr> {
    let peer = extensions.get::<Peer>()?;
    extensions.get::<Veiled>().is_none().then(|| peer.0.ip().to_canonical())
}

/// Whether an address is of a network that is not routed on the internet, RFC 1918, 3927, 4193, 4291 and 6598.
pub fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_link_local() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// Whether headers say that the request was passed on, be they true or not.
pub fn is_forwarded(headers: &HeaderMap) -> bool {
    let names = [&header::FORWARDED, &header::VIA, &FORWARDED_FOR, &FORWARDED_HOST, &REAL_IP];
    names.iter().any(|name| headers.contains_key(*name))
}

/// The proxies whose headers are believed.
#[derive(Debug, Default)]
pub struct Proxies {
    trusted: Vec<Network>,
    warned: AtomicBool,
}

impl Proxies {
    pub fn new(trusted: Vec<Network>) -> Proxies {
        Proxies { trusted, warned: AtomicBool::new(false) }
    }

    /// Puts the client's address in the place of a trusted proxy's. Answers the id that such a proxy gave to
    /// the request.
    ///
    /// The address is the rightmost of `X-Forwarded-For` that is no trusted proxy, or, without that header,
    /// the one of `X-Real-IP`. Left of it stands what the client sent itself. Where a trusted proxy tells
    /// nothing readable, the address stays the proxy's, and opens nothing.
    pub(crate) fn introduce(&self, request: &mut Request) -> Option<String> {
        let peer = request.extensions().get::<Peer>()?.0;
        let (mut address, mut veiled) = (peer.ip().to_canonical(), false);
        let trusted = network::any_contains(&self.trusted, address);
        if is_forwarded(request.headers()) {
            match self.client(request.headers()).filter(|_| trusted) {
                Some(client) => address = client,
                None => veiled = trusted || address.is_loopback() || is_private(address),
            }
        }
        if veiled && peer.ip().to_canonical().is_loopback() && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "requests come through a proxy on this machine that is not in trusted_proxies, or does not tell whom \
                 it asks for: all its clients are counted as one"
            );
        }
        let id = request.headers().get(&REQUEST_ID).and_then(|id| id.to_str().ok());
        let id = id.filter(|id| trusted && is_safe(id)).map(str::to_owned);
        let extensions = request.extensions_mut();
        extensions.insert(Peer(SocketAddr::new(address, peer.port())));
        if veiled {
            extensions.insert(Veiled);
        }
        id
    }

    /// Whom a trusted proxy asks for; `None` when it does not say so in a form that is understood.
    fn client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        if !headers.contains_key(&FORWARDED_FOR) {
            let mut told = headers.get_all(&REAL_IP).iter();
            let only = told.next().filter(|_| told.next().is_none())?;
            return read_address(only.to_str().ok()?);
        }
        let mut last = None;
        for line in headers.get_all(&FORWARDED_FOR).iter().rev() {
            for entry in line.to_str().ok()?.rsplit(',') {
                let ip = read_address(entry)?;
                if !network::any_contains(&self.trusted, ip) {
                    return Some(ip);
                }
                last = Some(ip);
            }
        }
        last
    }
}

/// An address as proxies write it: some add the port, and brackets to IPv6.
fn read_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let ip = text.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().ok();
    ip.ok().or_else(|| bracketed().map(IpAddr::V6)).map(|ip| ip.to_canonical())
}

/// Whether an id may be repeated in a header and a log line.
fn is_safe(id: &str) -> bool {
    let safe = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    (1..=ID_MAX).contains(&id.len()) && id.bytes().all(safe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    /// The address seen, whether it is sure, and the id, of a request with these headers.
    fn see(peer: &str, trusted: &str, headers: &[(&'static str, &str)]) -> (String, bool, Option<String>) {
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(Peer(SocketAddr::new(peer.parse().expect(peer), 5_000)));
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().expect(value));
        }
        let proxies = Proxies::new(Network::parse_list(trusted).expect(trusted));
        let id = proxies.introduce(&mut request);
        (ip(request.extensions()).to_string(), known_ip(request.extensions()).is_some(), id)
    }

    fn check(peer: &str, headers: &[(&'static str, &str)], ip: &str, sure: bool) {
        let (seen, is_sure, _) = see(peer, "127.0.0.1, ::1, 10.0.0.0/8", headers);
        assert_eq!((seen.as_str(), is_sure), (ip, sure), "{peer} {headers:?}");
    }

    const FOR: &str = "x-forwarded-for";
    const REAL: &str = "x-real-ip";

    #[test]
    fn nobody_else_is_believed() {
        for headers in [
            &[(FOR, "127.0.0.1")][..],
            &[(REAL, "127.0.0.1")],
            &[("forwarded", "for=127.0.0.1")],
            &[(FOR, "10.0.0.1, 127.0.0.1"), (REAL, "::1")],
        ] {
            // To the internet headers make no difference.
            check("192.0.2.1", headers, "192.0.2.1", true);
            check("2001:db8::1", headers, "2001:db8::1", true);
            // This machine and private networks are not trusted by themselves, and what seems to be passed on
            // there is not exempt as their own.
            for peer in ["127.0.0.1", "192.168.7.7", "fd00::1"] {
                let (ip, sure, _) = see(peer, "", headers);
                assert_eq!((ip.as_str(), sure), (peer, false));
            }
        }
        check("192.0.2.1", &[], "192.0.2.1", true);
        check("127.0.0.1", &[], "127.0.0.1", true);
    }

    #[test]
    fn a_trusted_proxy_tells_whom_it_asks_for() {
        for (headers, ip) in [
            (&[(FOR, "192.0.2.7")][..], "192.0.2.7"),
            (&[(FOR, "192.0.2.7:4711")], "192.0.2.7"),
            (&[(FOR, "[2001:db8::7]:4711")], "2001:db8::7"),
            (&[(FOR, "[2001:db8::7]")], "2001:db8::7"),
            (&[(FOR, "::ffff:192.0.2.7")], "192.0.2.7"),
            (&[(REAL, "192.0.2.7")], "192.0.2.7"),
            // What the client wrote itself stands to the left.
            (&[(FOR, "127.0.0.1, 192.0.2.7")], "192.0.2.7"),
            (&[(FOR, "unknown,192.0.2.7 , 10.1.1.1,10.0.0.9")], "192.0.2.7"),
            (&[(FOR, "127.0.0.1"), (FOR, "192.0.2.7")], "192.0.2.7"),
            (&[(FOR, "192.0.2.7"), (REAL, "127.0.0.1")], "192.0.2.7"),
            // All trusted: a client within the operator's own network.
            (&[(FOR, "10.9.9.9, 10.0.0.9")], "10.9.9.9"),
        ] {
            for proxy in ["127.0.0.1", "10.0.0.3", "::1", "::ffff:10.0.0.3"] {
                check(proxy, headers, ip, true);
            }
        }
    }

    #[test]
    fn what_a_trusted_proxy_tells_unreadably_opens_nothing() {
        for headers in [
            &[(FOR, "unknown")][..],
            &[(FOR, "")],
            &[(FOR, "192.0.2.7, ")],
            &[(FOR, "192.0.2.7, example.com"), (REAL, "192.0.2.9")],
            &[(REAL, "192.0.2.9"), (REAL, "127.0.0.1")],
            &[("forwarded", "for=192.0.2.7")],
            &[("via", "1.1 proxy")],
        ] {
            check("127.0.0.1", headers, "127.0.0.1", false);
        }
    }

    #[test]
    fn ids_are_taken_from_trusted_proxies_alone() {
        let id = |peer, id: &str| see(peer, "127.0.0.1", &[(FOR, "192.0.2.7"), ("x-request-id", id)]).2;
        let longest = "a".repeat(ID_MAX);
        for good in ["1", "0b5f-4e.A_9:1", longest.as_str()] {
            assert_eq!(id("127.0.0.1", good).as_deref(), Some(good));
            assert_eq!(id("192.0.2.1", good), None);
        }
        for bad in ["", "a b", "a\tb", "a\"b", "ä", "<a>", "a,b", &"a".repeat(ID_MAX + 1)] {
            assert_eq!(id("127.0.0.1", bad), None, "{bad:?}");
        }
    }
}
