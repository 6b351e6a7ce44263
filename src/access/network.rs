//! Networks of addresses: of clients, and of proxies that are trusted to name their clients.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use http::HeaderMap;

/// The field in which proxies name the client, and those before it.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Most addresses that are read of it.
const MAX_HOPS: usize = 16;

/// Addresses that begin alike: `10.0.0.0/8`, `::1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    /// Bits that are the same.
    prefix: u32,
}

impl Network {
    /// Whether an address belongs to it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let outside = |bits: u32| bits.saturating_sub(self.prefix);
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(other)) => {
                (first.to_bits() ^ other.to_bits()).checked_shr(outside(32)).unwrap_or(0) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(other)) => {
                (first.to_bits() ^ other.to_bits()).checked_shr(outside(128)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let first = address.parse::<IpAddr>().map_err(|_| ())?.to_canonical();
        let bits = if first.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().map_err(|_| ())?,
            Some(_) => return Err(()),
            None => bits,
        };
        if prefix > bits { Err(()) } else { Ok(Self { first, prefix }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.first, self.prefix)
    }
}

/// The addresses that a client with this one can use as well: IPv6 networks are assigned by /64.
pub(super) fn of_client(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The address of the client. A trusted proxy's field is read from its end, as far as it names trusted proxies: what
/// stands before is what the client says.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(*address));
    let mut client = peer.to_canonical();
    let fields = headers.get_all(FORWARDED_FOR).iter().rev();
    let hops = fields.flat_map(|field| field.to_str().unwrap_or_default().rsplit(','));
    for hop in hops.take(MAX_HOPS) {
        if !is_trusted(&client) {
            break;
        }
        let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
        client = address.to_canonical();
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_network_contains_the_addresses_that_begin_alike() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.1.2", "11.0.0.0"),
            ("10.0.0.7", "::ffff:10.0.0.7", "10.0.0.8"),
            ("10.1.2.3/31", "10.1.2.2", "10.1.2.4"),
            ("0.0.0.0/0", "255.1.2.3", "::1"),
            ("fd00::/8", "fdff::1", "fe00::"),
            ("::1", "::1", "::2"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
        ] {
            let parsed: Network = network.parse().expect(network);
            assert!(parsed.contains(ip(inside)) && !parsed.contains(ip(outside)), "{network}");
            assert_eq!(parsed.to_string().parse(), Ok(parsed));
        }
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "host", "10.0.0.0/8/8"] {
            assert_eq!(text.parse::<Network>(), Err(()), "{text}");
        }
    }

    #[test]
    fn only_trusted_proxies_name_the_client() {
        let trusted = ["10.0.0.0/24".parse().expect("a network"), "::1".parse().expect("a network")];
        let table: &[(&str, &[&'static str], &str)] = &[
            ("192.0.2.1", &["1.1.1.1"], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1"], "1.1.1.1"),
            ("::ffff:10.0.0.1", &["1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6, 1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6, 1.1.1.1, 10.0.0.9"], "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6", "1.1.1.1,10.0.0.9"], "1.1.1.1"),
            ("10.0.0.1", &["unknown"], "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1, unknown, 10.0.0.9"], "10.0.0.9"),
            ("::1", &["2001:db8::7"], "2001:db8::7"),
        ];
        for (peer, fields, expected) in table {
            let mut headers = HeaderMap::new();
            for field in *fields {
                headers.append(FORWARDED_FOR, http::HeaderValue::from_static(field));
            }
            assert_eq!(client(ip(peer), &headers, &trusted), ip(expected), "{peer} {fields:?}");
        }
    }

    #[test]
    fn a_client_counts_with_its_network() {
        for (address, network) in
            [("2001:db8::1:2:3:4", "2001:db8::"), ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1")]
        {
            assert_eq!(of_client(ip(address)), ip(network));
        }
    }
}
