//! Which addresses may be reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// What a destination may be. The default is [`Policy::strict`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Test mode with the operator's setting on: plain `http` and `https` may also reach the loopback
    /// addresses `127.0.0.0/8` and `::1`, written as such or as the name `localhost`. Other names that
    /// resolve to loopback stay refused, and so does everything else that is private.
    pub allow_loopback: bool,
    /// Plain `http` to public addresses on port 80. For test mode only.
    pub allow_http: bool,
    /// Ports allowed on public addresses in addition to 443 and 8443.
    pub extra_ports: Vec<u16>,
}

impl Policy {
    /// `https` only, ports 443 and 8443, public addresses only.
    pub fn strict() -> Policy {
        Policy::default()
    }
}

/// Whether a connection to `ip` is allowed.
///
/// IPv4 addresses must be globally reachable unicast (IANA special-purpose registry, RFC 6890). An IPv4
/// address mapped into IPv6 (`::ffff:0:0/96`) is judged as the IPv4 address it reaches; every other
/// embedding (compatible, NAT64, 6to4, Teredo, ISATAP) is refused. IPv6 is refused unless it is global
/// unicast (`2000::/3`), so ranges assigned later are refused too.
pub fn address_allowed(ip: IpAddr, policy: &Policy) -> bool {
    is_public(ip) || (policy.allow_loopback && is_loopback(ip))
}

/// Exactly `127.0.0.0/8` and `::1`; a mapped `::ffff:127.0.0.1` is a disguise and does not count.
pub(crate) fn is_loopback(ip: IpAddr) -> bool {
    ip.is_loopback()
}

pub(crate) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_public_v4(v4),
            None => is_public_v6(v6),
        },
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(first: u16, second: u16, third: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(first, second, third, 0, 0, 0, 0, 0), prefix)
}

const FORBIDDEN_V4: [Ipv4Net; 19] = [
    v4(0, 0, 0, 0, 8),        // "this network", RFC 791; Linux connects 0.0.0.0 to loopback
    v4(10, 0, 0, 0, 8),       // private, RFC 1918
    v4(100, 64, 0, 0, 10),    // carrier-grade NAT, RFC 6598; Alibaba Cloud metadata
    v4(127, 0, 0, 0, 8),      // loopback, RFC 1122
    v4(168, 63, 129, 16, 32), // Azure platform endpoint, on a public address
    v4(169, 254, 0, 0, 16),   // link-local, RFC 3927; cloud metadata
    v4(172, 16, 0, 0, 12),    // private, RFC 1918
    v4(192, 0, 0, 0, 24),     // IETF protocol assignments, RFC 6890; Oracle Cloud metadata
    v4(192, 0, 2, 0, 24),     // documentation, RFC 5737
    v4(192, 31, 196, 0, 24),  // AS112, RFC 7535
    v4(192, 52, 193, 0, 24),  // AMT relays, RFC 7450
    v4(192, 88, 99, 0, 24),   // 6to4 relay anycast, RFC 7526
    v4(192, 168, 0, 0, 16),   // private, RFC 1918
    v4(192, 175, 48, 0, 24),  // AS112, RFC 7534
    v4(198, 18, 0, 0, 15),    // benchmarking, RFC 2544
    v4(198, 51, 100, 0, 24),  // documentation, RFC 5737
    v4(203, 0, 113, 0, 24),   // documentation, RFC 5737
    v4(224, 0, 0, 0, 4),      // multicast, RFC 5771
    v4(240, 0, 0, 0, 4),      // reserved, RFC 1112; broadcast, RFC 919
];

const GLOBAL_UNICAST_V6: Ipv6Net = v6(0x2000, 0, 0, 3);

const FORBIDDEN_V6: [Ipv6Net; 5] = [
    v6(0x2001, 0, 0, 23), // IETF protocol assignments, RFC 2928: Teredo, benchmarking, ORCHID
    v6(0x2001, 0x0db8, 0, 32), // documentation, RFC 3849
    v6(0x2002, 0, 0, 16), // 6to4, RFC 3056: embeds any IPv4 address
    v6(0x2620, 0x004f, 0x8000, 48), // AS112, RFC 7534
    v6(0x3fff, 0, 0, 20), // documentation, RFC 9637
];

fn is_public_v4(ip: Ipv4Addr) -> bool {
    !FORBIDDEN_V4.iter().any(|net| net.contains(&ip))
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    GLOBAL_UNICAST_V6.contains(&ip) && !FORBIDDEN_V6.iter().any(|net| net.contains(&ip)) && !is_isatap(ip)
}

/// RFC 5214 interface identifiers carry an IPv4 address under any prefix.
fn is_isatap(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    (segments[4] == 0 || segments[4] == 0x0200) && segments[5] == 0x5efe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(text: &str, policy: &Policy) -> bool {
        address_allowed(text.parse().unwrap(), policy)
    }

    const NEVER: &[&str] = &[
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.1",
        "100.100.100.200",
        "100.127.255.255",
        "168.63.129.16",
        "169.254.169.254",
        "169.254.0.0",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.31.196.1",
        "192.52.193.1",
        "192.88.99.1",
        "192.168.0.1",
        "192.168.255.255",
        "192.175.48.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "100:0:0:1::1",
        "2001::1",
        "2001:0:7f00:1::",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:1ff:ffff::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "2620:4f:8000::1",
        "3fff::1",
        "3fff:fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "2a00:1450:4001:800::5efe:a00:1",
        "2a00:1450:4001:800:200:5efe:a00:1",
    ];

    #[test]
    fn private_and_special_addresses_are_refused_under_every_policy() {
        let widest = Policy { allow_loopback: true, allow_http: true, extra_ports: vec![80, 9000] };
        for text in NEVER {
            assert!(!allowed(text, &Policy::strict()), "{text} under the strict policy");
            assert!(!allowed(text, &widest), "{text} under the widest policy");
        }
    }

    #[test]
    fn public_addresses_are_allowed_up_to_the_edge_of_each_forbidden_range() {
        for text in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "168.63.129.17",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "191.255.255.255",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "8.8.8.8",
            "::ffff:8.8.8.8",
            "2000::1",
            "2001:200::1",
            "2001:db7:ffff::1",
            "2001:db9::1",
            "2003::1",
            "2606:4700::1111",
            "3ffe:ffff::1",
            "3fff:1000::1",
        ] {
            assert!(allowed(text, &Policy::strict()), "{text}");
        }
    }

    #[test]
    fn loopback_needs_the_setting() {
        for text in ["127.0.0.1", "127.1.2.3", "127.255.255.255", "::1"] {
            assert!(!allowed(text, &Policy::strict()), "{text}");
            assert!(allowed(text, &Policy { allow_loopback: true, ..Policy::strict() }), "{text}");
        }
    }
}
