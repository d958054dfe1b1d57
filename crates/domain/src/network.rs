//! Networks of addresses: who may use a key, which proxies are believed, who is not limited.
//!
//! An IPv4 address that is mapped into IPv6 (`::ffff:0:0/96`) is the IPv4 address it reaches, in networks
//! and in what is compared with them: a socket that takes both kinds shows every IPv4 peer that way.

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Most networks in one list: each request may be compared with all of them.
pub const MAX_NETWORKS: usize = 100;

/// Length of the prefix of IPv4 addresses mapped into IPv6.
const MAPPED: u8 = 96;

/// An IPv4 or IPv6 network, such as `10.0.0.0/8`. One address is a network of its own, and shown without
/// a length. Two equal networks are the same set of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(IpNet);

/// Why a text is not a network. The message is a phrase that follows the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error(
        "is not an IP address, or a network such as 10.0.0.0/8 or 2001:db8::/32; names are not looked up"
    )]
    Address,
    #[error("must have a length from 0 to {max} behind the slash")]
    Length { max: u8 },
    #[error("names a host and a network at once; give {network} for the network, or {host} for the one host")]
    HostBits { network: Network, host: IpAddr },
    #[error("has more than {MAX_NETWORKS} networks")]
    TooMany,
}

impl Network {
    /// Reads an address, or an address with the length of a prefix. An address without a length is one host.
    ///
    /// # Errors
    /// [`NetworkError`]: bits behind the prefix are refused, since `10.0.0.5/8` is as likely meant to be one
    /// host as sixteen million.
    pub fn parse(text: &str) -> Result<Network, NetworkError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let ip: IpAddr = address.parse().map_err(|_| NetworkError::Address)?;
        let Some(length) = length else { return Ok(Network::host(ip)) };
        let max = if ip.is_ipv4() { 32 } else { 128 };
        let wrong = NetworkError::Length { max };
        // `u8::from_str` takes a plus sign and zeros in front, which would give a network two spellings.
        let plain = length.bytes().all(|b| b.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
        let length = length.parse::<u8>().ok().filter(|_| plain).ok_or(wrong.clone())?;
        let net = IpNet::new(ip, length).map_err(|_| wrong)?;
        if net.trunc() != net {
            return Err(NetworkError::HostBits {
                network: Network(unmapped(net.trunc())),
                host: ip.to_canonical(),
            });
        }
        Ok(Network(unmapped(net)))
    }

    /// The network of one address.
    pub fn host(ip: IpAddr) -> Network {
        Network(IpNet::from(ip.to_canonical()))
    }

    /// Reads networks with commas between; spaces around them do not count, and nothing is an empty list.
    ///
    /// # Errors
    /// The entry that is wrong with what is wrong with it, or the whole text when there are more than
    /// [`MAX_NETWORKS`].
    pub fn parse_list(text: &str) -> Result<Vec<Network>, (String, NetworkError)> {
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        if text.split(',').count() > MAX_NETWORKS {
            return Err((text.to_owned(), NetworkError::TooMany));
        }
        let entries = text.split(',').map(str::trim);
        entries.map(|entry| Network::parse(entry).map_err(|wrong| (entry.to_owned(), wrong))).collect()
    }

    /// Whether every address of its family is in it.
    pub fn is_everywhere(&self) -> bool {
        self.0.prefix_len() == 0
    }

    /// Whether the address is in this network.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.0.contains(&ip.to_canonical())
    }
}

/// Whether one of the networks holds the address; none does when there are none.
pub fn any_contains(networks: &[Network], ip: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(ip))
}

/// A network within the mapped addresses as the IPv4 network that it is.
fn unmapped(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    let mapped = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(MAPPED));
    mapped.and_then(|(v4, length)| Ipv4Net::new(v4, length).ok()).map_or(net, IpNet::V4)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            write!(f, "{}", self.0.addr())
        } else {
            write!(f, "{}", self.0)
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Network, NetworkError> {
        Network::parse(text)
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;

    fn try_from(text: String) -> Result<Network, NetworkError> {
        Network::parse(&text)
    }
}

impl From<Network> for String {
    fn from(network: Network) -> String {
        network.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn contains(network: &str, ip: &str) -> bool {
        Network::parse(network).expect(network).contains(ip.parse().expect(ip))
    }

    #[test]
    fn networks_hold_their_addresses_and_no_others() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("192.0.2.6/31", "192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::1", "::1", "127.0.0.1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.0"),
            ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.2"),
            // What is mapped is IPv4, and so in no IPv6 network.
            ("::/0", "2001:db8::1", "::ffff:192.0.2.1"),
        ] {
            assert!(contains(network, inside), "{inside} in {network}");
            assert!(!contains(network, outside), "{outside} not in {network}");
        }
    }

    #[test]
    fn each_network_has_one_spelling() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.1", "10.0.0.1"),
            ("10.0.0.1/32", "10.0.0.1"),
            ("2001:DB8:0::/32", "2001:db8::/32"),
            ("2001:db8::1/128", "2001:db8::1"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            let network = Network::parse(text).expect(text);
            assert_eq!(network.to_string(), shown);
            assert_eq!(Network::parse(shown), Ok(network));
            let json = serde_json::to_string(&network).expect("JSON");
            assert_eq!(json, format!("{shown:?}"));
            assert_eq!(serde_json::from_str::<Network>(&json).expect("read"), network);
        }
        assert!(serde_json::from_str::<Network>("\"10.0.0.1/8\"").is_err());
    }

    #[test]
    fn refusals_say_what_to_write() {
        for text in
            ["", " ", "localhost", "10.0.0", "10.0.0.01", "10.0.0.0 /8", "[::1]", "fe80::1%1", "/8", "*"]
        {
            assert_eq!(Network::parse(text), Err(NetworkError::Address), "{text:?}");
        }
        for text in
            ["10.0.0.0/", "10.0.0.0/33", "10.0.0.0/+8", "10.0.0.0/08", "10.0.0.0/255.0.0.0", "10.0.0.0/8/8"]
        {
            assert_eq!(Network::parse(text), Err(NetworkError::Length { max: 32 }), "{text:?}");
        }
        assert_eq!(Network::parse("::/129"), Err(NetworkError::Length { max: 128 }));
        let told = Network::parse("10.0.0.5/8").map_err(|e| e.to_string());
        assert_eq!(
            told,
            Err("names a host and a network at once; give 10.0.0.0/8 for the network, or 10.0.0.5 for the one host"
                .to_owned())
        );
    }

    #[test]
    fn lists_are_bounded_and_name_the_wrong_entry() {
        let list = Network::parse_list(" 127.0.0.1, ::1 ,10.0.0.0/8").expect("a list");
        assert_eq!(
            list.iter().map(Network::to_string).collect::<Vec<_>>(),
            ["127.0.0.1", "::1", "10.0.0.0/8"]
        );
        assert!(any_contains(&list, IpAddr::V6(Ipv6Addr::LOCALHOST)));
        assert!(!any_contains(&list, IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))));
        assert_eq!(Network::parse_list(" "), Ok(Vec::new()));
        assert_eq!(Network::parse_list("::1,x"), Err(("x".to_owned(), NetworkError::Address)));
        assert_eq!(Network::parse_list("::1,"), Err((String::new(), NetworkError::Address)));
        let most = vec!["::1"; MAX_NETWORKS].join(",");
        assert_eq!(Network::parse_list(&most).map(|all| all.len()), Ok(MAX_NETWORKS));
        assert!(matches!(Network::parse_list(&format!("{most},::1")), Err((_, NetworkError::TooMany))));
    }

    proptest! {
        #[test]
        fn a_network_holds_what_shares_its_prefix(bits: u32, other: u32, length in 0_u8..=32) {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            let network = Network::parse(&format!("{}/{length}", Ipv4Addr::from_bits(bits & mask)));
            let network = network.expect("a network");
            let ip = Ipv4Addr::from_bits(other);
            prop_assert_eq!(network.contains(IpAddr::V4(ip)), other & mask == bits & mask);
            prop_assert_eq!(network.contains(IpAddr::V6(ip.to_ipv6_mapped())), other & mask == bits & mask);
        }

        #[test]
        fn no_text_panics(text in "[0-9a-f:./, %+]{0,40}") {
            if let Ok(network) = Network::parse(&text) {
                prop_assert_eq!(Network::parse(&network.to_string()), Ok(network));
            }
            let _ = Network::parse_list(&text);
        }
    }
}
