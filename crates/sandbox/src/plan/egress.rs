//! What functions reach beyond their sandbox, and what the host must have for it.

mod cidr;
mod ruleset;
#[cfg(test)]
mod tests;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base::fnv;

pub use cidr::{Allowed, Cidr, CidrError};
pub use ruleset::{foreign_drops, text};

/// Interfaces of every Samovar on a host begin so.
pub const ANY_INTERFACE: &str = "sv";

/// Where instances take their addresses from unless told otherwise.
///
/// Set aside for benchmarks of network devices (RFC 2544), it is routed nowhere and, unlike 10/8, 172.16/12 or
/// 100.64/10, used neither by networks of houses, companies, clouds and providers nor by other tools for containers.
pub const RANGE: &str = "198.18.0.0/15";

/// Prefix of one instance's block: 4,096 addresses, twice as many as sandboxes stand at once.
pub const BLOCK_BITS: u8 = 20;

/// Prefix of an instance's own network of IPv6.
const PREFIX6_BITS: u8 = 64;

/// What the operator wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wishes {
    /// How far functions reach.
    pub mode: Mode,
    /// Whether `nat` reaches private networks.
    pub private: bool,
    /// What `nat` reaches all the same.
    pub allowed: Vec<Allowed>,
    /// Whether forwarding may be switched on.
    pub may_forward: bool,
    /// Where the instance takes its addresses from; [`RANGE`] when none.
    pub range: Option<Cidr>,
}

/// How far functions reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// [`Mode::Nat`] where rights and tools allow, otherwise [`Mode::None`].
    #[default]
    Auto,
    /// The internet.
    Nat,
    /// Whatever the host reaches, without itself and other sandboxes.
    Open,
    /// Nothing.
    None,
}

/// What was found on the host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Whether `nft` can be executed.
    pub nft: bool,
    /// Families that are forwarded.
    pub forwarding: Families,
    /// Those of them that are because a Samovar said so.
    pub forwarding_is_ours: Families,
    /// Whether IPv6 leads anywhere: there is a default route.
    pub route6: bool,
    /// Networks that the host has routes to, without default routes.
    pub routes: Vec<Cidr>,
    /// Largest packet on the way out, in bytes.
    pub mtu: u32,
}

/// A truth for each family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Families {
    /// IPv4.
    pub v4: bool,
    /// IPv6.
    pub v6: bool,
}

/// How far a [`Plan`] lets functions reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The internet.
    Internet,
    /// Whatever the host reaches.
    Open,
}

/// How functions reach the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The table of the packet filter.
    pub table: String,
    /// What this instance's interfaces begin with.
    pub interfaces: String,
    /// How far.
    pub reach: Reach,
    /// Whether private networks are within reach.
    pub private: bool,
    /// What else is within reach.
    pub allowed: Vec<Allowed>,
    /// Addresses of the sandboxes.
    pub block: Cidr,
    /// Their addresses of IPv6, when it leads anywhere.
    pub prefix6: Option<Cidr>,
    /// What has to be switched on.
    pub switch_on: Families,
    /// What is forwarded for sandboxes alone.
    pub guards: Families,
    /// Largest packet, in bytes.
    pub mtu: u32,
}

/// What `instance` does to fulfil a wish for `nat`, `open` or `auto`; what is missing, and what to do about it.
pub fn decide(wishes: &Wishes, facts: &Facts, instance: &str) -> Result<Plan, String> {
    if !facts.nft {
        return Err("the packet filter's tool `nft` is not there; install the package nftables".into());
    }
    if !facts.forwarding.v4 && !wishes.may_forward {
        return Err(
            "this host does not forward IPv4 (net.ipv4.ip_forward is 0); let Samovar switch it on with \
                    --allow-ip-forward on, or do it yourself"
                .into(),
        );
    }
    // Without a way out a second family would only make clients wait for it.
    let v6 = facts.route6 && (facts.forwarding.v6 || wishes.may_forward);
    let switch_on = Families { v4: !facts.forwarding.v4, v6: v6 && !facts.forwarding.v6 };
    let ours = facts.forwarding_is_ours;
    Ok(Plan {
        table: table(instance),
        interfaces: interfaces(instance),
        reach: if wishes.mode == Mode::Open { Reach::Open } else { Reach::Internet },
        private: wishes.private,
        allowed: wishes.allowed.clone(),
        block: block(wishes.range, &facts.routes, instance)?,
        prefix6: v6.then(|| prefix6(instance)),
        guards: Families { v4: switch_on.v4 || ours.v4, v6: switch_on.v6 || ours.v6 },
        switch_on,
        mtu: facts.mtu,
    })
}

/// The name of an instance's table.
pub fn table(instance: &str) -> String {
    format!("samovar_{}", instance.replace('-', "_"))
}

/// What an instance's interfaces begin with; with the number of a sandbox it stays below the kernel's 15 letters.
pub fn interfaces(instance: &str) -> String {
    format!("{ANY_INTERFACE}{:06x}", fnv::hash64(0, instance.as_bytes()) & 0xff_ffff)
}

/// What is wrong with a range, if anything.
pub fn range_refusal(range: &Cidr) -> Option<String> {
    (!range.is_v4() || range.bits() > BLOCK_BITS)
        .then(|| format!("{range} does not hold a network of IPv4 with a prefix of {BLOCK_BITS} or shorter"))
}

/// The first block of the range, beginning at one that the instance's name chooses, to which the host has no route.
fn block(range: Option<Cidr>, routes: &[Cidr], instance: &str) -> Result<Cidr, String> {
    let range = range.unwrap_or_else(|| Cidr::known(RANGE));
    let (IpAddr::V4(first), None) = (range.address(), range_refusal(&range)) else {
        return Err(format!("{range} is no range for sandboxes"));
    };
    let blocks = 1u32 << (BLOCK_BITS - range.bits());
    let start = (fnv::hash64(0, instance.as_bytes()) >> 24) as u32 % blocks;
    let at = |number: u32| {
        let number = (start + number) % blocks;
        Cidr::of(IpAddr::V4(Ipv4Addr::from_bits(first.to_bits() + (number << (32 - BLOCK_BITS)))), BLOCK_BITS)
    };
    (0..blocks).map(at).find(|block| !routes.iter().any(|route| route.overlaps(block))).ok_or_else(|| {
        format!("the host has routes to all of {range}; give sandboxes another with --egress-range CIDR")
    })
}

/// A network of RFC 4193 that is the same at every start.
fn prefix6(instance: &str) -> Cidr {
    let number = (0xfd << 56 | (fnv::hash64(0, instance.as_bytes()) & 0xff_ffff_ffff) << 16) as u128;
    Cidr::of(IpAddr::V6(Ipv6Addr::from_bits(number << 64)), PREFIX6_BITS)
}

/// How one sandbox is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The host's end.
    pub interface: String,
    /// The sandbox's address.
    pub address: Ipv4Addr,
    /// The sandbox's address of IPv6, when it has one.
    pub address6: Option<Ipv6Addr>,
    /// Largest packet, in bytes.
    pub mtu: u32,
}

/// The numbers that [`Plan::link`] takes: neither the first nor the last address of the block.
pub const LINKS: std::ops::Range<u16> = 1..(1 << (32 - BLOCK_BITS)) - 1;

impl Plan {
    /// How the sandbox of a number in [`LINKS`] is connected.
    pub fn link(&self, number: u16) -> Link {
        let IpAddr::V4(first) = self.block.address() else { unreachable!("blocks are of IPv4") };
        let address6 = self.prefix6.and_then(|prefix| match prefix.address() {
            IpAddr::V6(first) => Some(Ipv6Addr::from_bits(first.to_bits() + u128::from(number))),
            IpAddr::V4(_) => None,
        });
        Link {
            interface: format!("{}{number:x}", self.interfaces),
            address: Ipv4Addr::from_bits(first.to_bits() + u32::from(number)),
            address6,
            mtu: self.mtu,
        }
    }
}

/// Networks in the kernel's table of routes, `/proc/net/route`, without default routes; and the interface of the
/// default route.
pub fn routes4(table: &str) -> (Vec<Cidr>, Option<String>) {
    let (mut routes, mut way_out) = (Vec::new(), None);
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // Numbers are in the machine's own byte order.
        let number = |index: usize| u32::from_str_radix(fields.get(index)?, 16).ok().map(u32::from_be);
        let (Some(network), Some(mask)) = (number(1), number(7)) else { continue };
        match mask {
            0 => {
                way_out =
                    way_out.or(fields.first().filter(|name| **name != "*").map(|name| (*name).to_owned()))
            }
            _ => routes.push(Cidr::of(IpAddr::V4(Ipv4Addr::from_bits(network)), mask.leading_ones() as u8)),
        }
    }
    (routes, way_out)
}

/// The interface of the default route in `/proc/net/ipv6_route`.
pub fn way_out6(table: &str) -> Option<String> {
    const REJECT: u32 = 0x0200; // RTF_REJECT
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [network, prefix, .., flags, interface] = fields[..] else { return None };
        let is_default = network.bytes().all(|digit| digit == b'0') && prefix == "00";
        let leads =
            u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & REJECT == 0) && interface != "lo";
        (is_default && leads).then(|| interface.to_owned())
    })
}
