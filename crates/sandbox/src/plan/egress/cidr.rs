//! Networks, and what people allow beyond the ordinary.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;
use std::str::FromStr;

use super::ruleset::{METADATA, NEVER};

/// A network: an address whose bits beyond the prefix are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr {
    address: IpAddr,
    bits: u8,
}

/// Where functions may connect to although the address is special or private.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// The addresses.
    pub network: Cidr,
    /// The one port of TCP and UDP; none for every protocol and port.
    pub port: Option<u16>,
}

/// Why a text is no network, or none that may be allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// Neither an address nor a network.
    #[error("{0:?} is not a network such as 10.1.0.0/16 or fd00:1::/64")]
    Malformed(String),
    /// The address has bits beyond its prefix.
    #[error("{given} names one address within {meant}; write {meant} or give the address without a prefix")]
    HostBits {
        /// What was written.
        given: String,
        /// The network that holds it.
        meant: Cidr,
    },
    /// The port is none.
    #[error("{0:?} is not a port from 1 to 65535")]
    Port(String),
    /// Nothing opens these but `--egress open`, or nothing at all.
    #[error("{network} cannot be allowed: it overlaps {barred}, which `nat` never reaches")]
    Barred {
        /// What was to be allowed.
        network: Cidr,
        /// What it overlaps.
        barred: Cidr,
    },
}

impl Cidr {
    /// The network of `bits` that holds an address; more bits than an address has are all of them.
    pub fn of(address: IpAddr, bits: u8) -> Self {
        let bits = bits.min(width(address));
        let masked = match address {
            IpAddr::V4(address) => IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask4(bits))),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask6(bits))),
        };
        Self { address: masked, bits }
    }

    /// One of our own tables' entries.
    pub(super) fn known(text: &str) -> Self {
        text.parse().expect("our tables hold networks")
    }

    /// The first address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Length of the prefix.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// Whether it is of IPv4.
    pub fn is_v4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// Whether an address is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let shorter = self.bits.min(other.bits);
        Self::of(self.address, shorter) == Self::of(other.address, shorter)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn mask4(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)
}

fn mask6(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let malformed = || CidrError::Malformed(text.to_owned());
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| malformed())?;
        let bits = match bits {
            None => width(address),
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().ok().filter(|bits| *bits <= width(address)).ok_or_else(malformed)?
            }
            Some(_) => return Err(malformed()),
        };
        let meant = Self::of(address, bits);
        match meant.address == address {
            true => Ok(meant),
            false => Err(CidrError::HostBits { given: text.to_owned(), meant }),
        }
    }
}

impl FromStr for Allowed {
    type Err = CidrError;

    /// Reads `CIDR`, `CIDR:PORT` and `[CIDR]:PORT`; an IPv6 network with a port needs the brackets.
    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (network, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (network, rest) =
                    rest.split_once(']').ok_or_else(|| CidrError::Malformed(text.to_owned()))?;
                match rest.strip_prefix(':') {
                    Some(port) => (network, Some(port)),
                    None if rest.is_empty() => (network, None),
                    None => return Err(CidrError::Malformed(text.to_owned())),
                }
            }
            None if text.bytes().filter(|byte| *byte == b':').count() == 1 => {
                text.split_once(':').map(|(network, port)| (network, Some(port))).unwrap_or((text, None))
            }
            None => (text, None),
        };
        let network: Cidr = network.parse()?;
        let port = match port {
            None => None,
            Some(port) => Some(
                port.parse()
                    .ok()
                    .filter(|port| *port != 0)
                    .ok_or_else(|| CidrError::Port(port.to_owned()))?,
            ),
        };
        let never = NEVER.iter().map(|text| Cidr::known(text));
        // Larger networks may be allowed: what is barred within them stays so.
        let metadata = METADATA.iter().map(|text| Cidr::known(text)).filter(|barred| *barred == network);
        match never.chain(metadata).find(|barred| barred.overlaps(&network)) {
            Some(barred) => Err(CidrError::Barred { network, barred }),
            None => Ok(Self { network, port }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_as_they_are_written() {
        for text in ["10.0.0.0/8", "0.0.0.0/0", "10.1.2.3/32", "fd00::/8", "::/0", "2001:db8::1/128"] {
            assert_eq!(Cidr::known(text).to_string(), text);
        }
        assert_eq!(Cidr::known("10.1.2.3").to_string(), "10.1.2.3/32");
        assert_eq!(Cidr::known("fd00::1").to_string(), "fd00::1/128");
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in
            ["", "/", "10/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "fd00::/129", "a.b", "1.2.3.4/"]
        {
            assert!(matches!(text.parse::<Cidr>(), Err(CidrError::Malformed(_))), "{text}");
        }
        let error = "10.1.2.3/16".parse::<Cidr>().unwrap_err();
        assert!(error.to_string().contains("10.1.0.0/16"), "{error}");
    }

    #[test]
    fn networks_overlap_when_they_share_an_address() {
        let overlap = |a, b| Cidr::known(a).overlaps(&Cidr::known(b));
        assert!(overlap("10.0.0.0/8", "10.200.0.0/16"));
        assert!(overlap("10.200.0.0/16", "0.0.0.0/0"));
        assert!(!overlap("10.0.0.0/8", "11.0.0.0/8"));
        assert!(!overlap("0.0.0.0/0", "::/0"));
    }

    #[test]
    fn an_allowance_has_a_network_and_perhaps_a_port() {
        let read = |text: &str| {
            let Allowed { network, port } = text.parse().unwrap();
            (network.to_string(), port)
        };
        assert_eq!(read("10.1.0.0/16"), ("10.1.0.0/16".into(), None));
        assert_eq!(read("10.1.0.9:5432"), ("10.1.0.9/32".into(), Some(5432)));
        assert_eq!(read("10.1.0.0/16:5432"), ("10.1.0.0/16".into(), Some(5432)));
        assert_eq!(read("fd00:1::/64"), ("fd00:1::/64".into(), None));
        assert_eq!(read("[fd00:1::/64]:443"), ("fd00:1::/64".into(), Some(443)));
        assert_eq!(read("[fd00::9]:443"), ("fd00::9/128".into(), Some(443)));
        for text in ["10.1.0.9:0", "10.1.0.9:65536", "10.1.0.9:x", "[fd00::9]443", "[fd00::9", "[fd00::9]:"] {
            assert!(text.parse::<Allowed>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_never_reached_cannot_be_allowed() {
        for text in
            ["169.254.169.254", "127.0.0.1:5432", "0.0.0.0/0", "224.0.0.0/4", "::1", "fe80::/64", "::/0"]
                .into_iter()
                .chain(METADATA.iter().copied())
        {
            assert!(matches!(text.parse::<Allowed>(), Err(CidrError::Barred { .. })), "{text}");
        }
    }
}
