//! The packet filter of one instance, as text for `nft`.

use std::fmt::Write;

use super::cidr::{Allowed, Cidr};
use super::{ANY_INTERFACE, Plan, Reach};
use crate::limits::EGRESS_CONNECTIONS;

/// What `nat` never reaches, whatever is allowed: this host, the link, everybody at once, nobody.
pub(super) const NEVER: &[&str] = &[
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/96",
    "::ffff:0.0.0.0/96",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

/// Where clouds tell a machine who it is, and give it their keys, at other addresses than 169.254.169.254: Alibaba's,
/// Azure's (WireServer, a public address), Amazon's and Google's over IPv6. `nat` never reaches these either, nor when
/// private networks or the networks that hold them are allowed. Sources: the providers' pages on instance metadata.
pub(super) const METADATA: &[&str] =
    &["100.100.100.200/32", "168.63.129.16/32", "fd00:ec2::254/128", "fd20:ce::254/128"];

/// Networks of a house, a company or a provider's customers. Sources: RFC 1918, RFC 6598, RFC 4193.
const PRIVATE: &[&str] = &["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

/// What else is not the internet, or leads to it by a detour that hides the destination: protocol assignments,
/// 6to4 relays, benchmarks, Teredo and its kind, 6to4, and all of IPv6 that is not global unicast (NAT64 is there).
///
/// The ranges for documentation are not among them: they lead nowhere. Source: IANA's special-purpose registries.
const SPECIAL: &[&str] = &[
    "192.0.0.0/24",
    "192.88.99.0/24",
    "198.18.0.0/15",
    "2001::/23",
    "2002::/16",
    "::/3",
    "4000::/2",
    "8000::/1",
];

/// The table, made anew in one transaction.
pub fn text(plan: &Plan) -> String {
    let (table, ours) = (&plan.table, format!("\"{}*\"", plan.interfaces));
    let any = format!("\"{ANY_INTERFACE}*\"");
    let mut text = format!("table inet {table}\ndelete table inet {table}\ntable inet {table} {{\n");
    let refusals = if plan.reach == Reach::Open { String::new() } else { refusals(plan) };
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\
  set connections4 {{
    type ipv4_addr
    flags dynamic
    size 65535
  }}
  set connections6 {{
    type ipv6_addr
    flags dynamic
    size 65535
  }}
  chain refuse {{
    meta l4proto tcp reject with tcp reset
    drop
  }}
  chain leaving {{
    fib saddr . iif oif missing drop
    fib daddr type != unicast goto refuse
    {own} goto refuse
{refusals}\
  }}
  chain prerouting {{
    type filter hook prerouting priority raw; policy accept;
    iifname {ours} jump leaving
  }}
  chain input {{
    type filter hook input priority filter; policy accept;
    iifname {ours} drop
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    iifname {ours} oifname {any} drop
    iifname {ours} ct state invalid drop
    iifname {ours} ct state new meta nfproto ipv4 add @connections4 {{ ip saddr ct count over {EGRESS_CONNECTIONS} }} drop
    iifname {ours} ct state new meta nfproto ipv6 add @connections6 {{ ip6 saddr ct count over {EGRESS_CONNECTIONS} }} drop
    oifname {ours} ct state established,related accept
    oifname {ours} drop
{guard}\
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
{masquerade}\
  }}
}}
",
        own = destination(&[plan.block]),
        guard = guard(plan),
        masquerade = masquerade(plan),
    );
    text
}

/// What `nat` keeps functions from, in the order of its force.
fn refusals(plan: &Plan) -> String {
    let known = |texts: &[&str]| texts.iter().map(|text| Cidr::known(text)).collect::<Vec<_>>();
    let mut text = String::new();
    let mut line = |rule: String| text.extend(["    ", &rule, "\n"]);
    both(&known(NEVER)).for_each(|networks| line(format!("{networks} goto refuse")));
    both(&known(METADATA)).for_each(|networks| line(format!("{networks} goto refuse")));
    plan.allowed.iter().map(allowance).for_each(&mut line);
    if plan.private {
        both(&known(PRIVATE)).for_each(|networks| line(format!("{networks} accept")));
    } else {
        both(&known(PRIVATE)).for_each(|networks| line(format!("{networks} goto refuse")));
    }
    both(&known(SPECIAL)).for_each(|networks| line(format!("{networks} goto refuse")));
    text
}

fn allowance(allowed: &Allowed) -> String {
    let network = destination(&[allowed.network]);
    match allowed.port {
        None => format!("{network} accept"),
        Some(port) => format!("{network} meta l4proto {{ tcp, udp }} th dport {port} accept"),
    }
}

/// While we are the reason that this host forwards, it does so for sandboxes alone.
fn guard(plan: &Plan) -> String {
    let families = match (plan.guards.v4, plan.guards.v6) {
        (false, false) => return String::new(),
        (true, true) => "",
        (true, false) => "meta nfproto ipv4 ",
        (false, true) => "meta nfproto ipv6 ",
    };
    format!("    {families}iifname != \"{ANY_INTERFACE}*\" oifname != \"{ANY_INTERFACE}*\" drop\n")
}

fn masquerade(plan: &Plan) -> String {
    let mut text = format!("    ip saddr {} masquerade\n", plan.block);
    if let Some(prefix) = plan.prefix6 {
        let _ = writeln!(text, "    ip6 saddr {prefix} masquerade");
    }
    text
}

/// A match for each family that has networks.
fn both(networks: &[Cidr]) -> impl Iterator<Item = String> {
    let (v4, v6): (Vec<Cidr>, Vec<Cidr>) = networks.iter().partition(|network| network.is_v4());
    [v4, v6].into_iter().filter(|networks| !networks.is_empty()).map(|networks| destination(&networks))
}

/// A match of destinations, all of one family.
fn destination(networks: &[Cidr]) -> String {
    let family = if networks.first().is_some_and(Cidr::is_v4) { "ip" } else { "ip6" };
    let networks: Vec<_> = networks.iter().map(Cidr::to_string).collect();
    format!("{family} daddr {{ {} }}", networks.join(", "))
}

/// Chains of other tables that drop what is forwarded unless they know it, by `family table chain`.
pub fn foreign_drops(listing: &str, own: &str) -> Vec<String> {
    let (mut table, mut chain, mut found) = ("", "", Vec::new());
    for line in listing.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("table ") {
            table = name.trim_end_matches(" {");
        } else if let Some(name) = line.strip_prefix("chain ") {
            chain = name.trim_end_matches(" {");
        } else if line.contains("hook forward") && line.contains("policy drop") && !table.ends_with(own) {
            found.push(format!("{table} {chain}"));
        }
    }
    found
}
