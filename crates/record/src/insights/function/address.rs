//! Functions of IP addresses.

use std::net::IpAddr;

use crate::insights::value::Value;

pub fn valid(arguments: &[Value], kind: impl Fn(IpAddr) -> bool) -> Value {
    Value::Truth(arguments[0].shown().parse().is_ok_and(kind))
}

/// Whether an address lies in `10.0.0.0/8` or `2001:db8::/32`.
pub fn within(arguments: &[Value], kind: impl Fn(IpAddr) -> bool) -> Value {
    let (address, subnet) = (arguments[0].shown(), arguments[1].shown());
    let inside = || {
        let (network, length) = subnet.split_once('/')?;
        let (network, length): (IpAddr, u32) = (network.parse().ok()?, length.parse().ok()?);
        let address: IpAddr = address.parse().ok()?;
        let (a, b, width) = match (address, network) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
            _ => return None,
        };
        let host = width - Some(length).filter(|length| *length <= width)?;
        // A shift by all bits is not defined.
        let same = a.checked_shr(host).unwrap_or(0) == b.checked_shr(host).unwrap_or(0);
        Some(same && kind(address))
    };
    Value::Truth(inside().unwrap_or(false))
}
