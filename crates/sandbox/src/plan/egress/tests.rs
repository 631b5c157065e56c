use super::*;

fn facts() -> Facts {
    Facts {
        nft: true,
        forwarding: Families { v4: true, v6: true },
        route6: true,
        mtu: 1400,
        ..Facts::default()
    }
}

fn plan(wishes: &Wishes) -> Plan {
    decide(wishes, &facts(), "fe01-2a").unwrap()
}

#[test]
fn what_is_missing_is_said_with_what_to_do() {
    let wishes = Wishes::default();
    let without = |facts| decide(&wishes, &facts, "fe01-2a").unwrap_err();
    assert!(without(Facts { nft: false, ..facts() }).contains("package nftables"));
    let closed = Facts { forwarding: Families::default(), ..facts() };
    assert!(without(closed.clone()).contains("--allow-ip-forward on"));
    let full = Facts { routes: vec![Cidr::known("198.18.0.0/15")], ..facts() };
    assert!(without(full).contains("--egress-range"));

    let consent = Wishes { may_forward: true, ..wishes };
    let plan = decide(&consent, &closed, "fe01-2a").unwrap();
    assert_eq!(plan.switch_on, Families { v4: true, v6: true });
    assert_eq!(plan.guards, plan.switch_on);
}

#[test]
fn ipv6_is_there_when_it_leads_somewhere() {
    let of = |wishes: &Wishes, facts: &Facts| decide(wishes, facts, "fe01-2a").unwrap();
    let wishes = Wishes::default();
    assert!(of(&wishes, &facts()).prefix6.is_some());
    assert_eq!(of(&wishes, &Facts { route6: false, ..facts() }).prefix6, None);
    let half = Facts { forwarding: Families { v4: true, v6: false }, ..facts() };
    assert_eq!(of(&wishes, &half).prefix6, None);
    let plan = of(&Wishes { may_forward: true, ..wishes }, &half);
    assert!(plan.prefix6.is_some());
    assert_eq!(plan.guards, Families { v4: false, v6: true });
    assert!(text(&plan).contains("meta nfproto ipv6 iifname != \"sv*\" oifname != \"sv*\" drop"));
}

#[test]
fn a_host_that_forwards_by_itself_goes_on_forwarding_for_others() {
    assert!(!text(&plan(&Wishes::default())).contains("iifname !="));
    let shared = Facts { forwarding_is_ours: Families { v4: true, v6: false }, ..facts() };
    let plan = decide(&Wishes::default(), &shared, "fe01-2a").unwrap();
    assert!(text(&plan).contains("meta nfproto ipv4 iifname != \"sv*\" oifname != \"sv*\" drop"));
}

#[test]
fn instances_have_names_and_addresses_of_their_own() {
    let (one, other) = ("fe01-2a", "fe01-2b");
    assert_ne!(table(one), table(other));
    assert_ne!(interfaces(one), interfaces(other));
    assert_ne!(prefix6(one), prefix6(other));
    let block = |instance, routes: &[Cidr]| block(None, routes, instance).unwrap();
    let first = block(one, &[]);
    let second = block(one, &[first]);
    assert!(!first.overlaps(&second));
    assert!(Cidr::known(RANGE).overlaps(&second));
    assert_eq!((first.bits(), block(one, &[])), (BLOCK_BITS, first));
}

#[test]
fn a_range_holds_a_block_of_ipv4() {
    for range in ["10.9.0.0/21", "fd00::/64", "10.9.0.1/32"] {
        assert!(range_refusal(&Cidr::known(range)).is_some(), "{range}");
    }
    let range = Cidr::known("10.9.0.0/20");
    assert_eq!(range_refusal(&range), None);
    assert_eq!(plan(&Wishes { range: Some(range), ..Wishes::default() }).block, range);
}

#[test]
fn links_have_short_names_and_addresses_of_the_block() {
    let plan = plan(&Wishes { range: Some(Cidr::known("10.9.0.0/20")), ..Wishes::default() });
    let last = plan.link(LINKS.end - 1);
    assert_eq!(last.address, Ipv4Addr::new(10, 9, 15, 254));
    assert!(last.interface.len() < 16 && last.interface.starts_with(&plan.interfaces), "{last:?}");
    assert_eq!(plan.link(LINKS.start).address, Ipv4Addr::new(10, 9, 0, 1));
    let (first, last) = (plan.link(1).address6.unwrap(), last.address6.unwrap());
    assert!(first.octets()[0] == 0xfd && first != last);
    assert_eq!(plan.link(1).mtu, 1400);
}

/// The verdict of the chain `leaving` on a packet of TCP, as far as it looks at destinations.
fn verdict(wishes: &Wishes, to: &str, port: u16) -> bool {
    let to = Cidr::known(to);
    let text = text(&plan(wishes));
    let chain = text.split("chain leaving {").nth(1).unwrap().split('}').collect::<Vec<_>>().join("}");
    for rule in chain.split("chain prerouting").next().unwrap().lines().map(str::trim) {
        let Some((_, rest)) = rule.split_once("daddr { ") else { continue };
        let (networks, rest) = rest.split_once(" }").unwrap();
        let within = |network: &str| {
            let network = Cidr::known(network);
            network.is_v4() == to.is_v4() && network.bits() <= to.bits() && network.overlaps(&to)
        };
        let to_port = rest.split_once("dport ").map(|(_, rest)| rest.split(' ').next().unwrap());
        let is_port = to_port.is_none_or(|wanted| wanted.parse() == Ok(port));
        if networks.split(", ").any(within) && is_port {
            return rest.ends_with("accept");
        }
    }
    true
}

const PUBLIC: &[&str] = &["1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "192.167.0.1", "2606:4700::1111"];
const PRIVATE: &[&str] =
    &["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fd00::1"];
const BARRED: &[&str] = &[
    "0.0.0.0",
    "127.0.0.1",
    "169.254.169.254",
    "224.0.0.251",
    "255.255.255.255",
    "240.0.0.1",
    "198.18.0.1",
    "192.88.99.1",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",
    "2002:a00:1::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "5f00::1",
    "100.100.100.200",
    "168.63.129.16",
    "fd00:ec2::254",
    "fd20:ce::254",
];

#[test]
fn the_internet_is_all_but_what_is_special_or_private() {
    let nat = Wishes { mode: Mode::Nat, ..Wishes::default() };
    let private = Wishes { private: true, ..nat.clone() };
    for to in PUBLIC {
        assert!(verdict(&nat, to, 443) && verdict(&private, to, 443), "{to}");
    }
    for to in PRIVATE {
        assert!(!verdict(&nat, to, 443), "{to}");
        assert!(verdict(&private, to, 443), "{to}");
    }
    for to in BARRED {
        assert!(!verdict(&nat, to, 443) && !verdict(&private, to, 443), "{to}");
    }
}

#[test]
fn an_allowance_opens_its_network_and_port_alone() {
    let allowed = ["10.1.0.0/16:5432", "[fd00:1::/64]:443", "172.20.0.9", "64:ff9b::/96"];
    let allowed = allowed.iter().map(|text| text.parse().unwrap()).collect();
    let wishes = Wishes { mode: Mode::Nat, allowed, ..Wishes::default() };
    for (to, port, passes) in [
        ("10.1.2.3", 5432, true),
        ("10.1.2.3", 5433, false),
        ("10.2.0.1", 5432, false),
        ("fd00:1::7", 443, true),
        ("fd00:1::7", 80, false),
        ("172.20.0.9", 1, true),
        ("172.20.0.8", 1, false),
        ("64:ff9b::a00:1", 80, true),
        ("169.254.169.254", 5432, false),
    ] {
        assert_eq!(verdict(&wishes, to, port), passes, "{to} {port}");
    }
}

#[test]
fn metadata_stays_barred_within_what_is_allowed() {
    let allowed = ["100.64.0.0/10", "168.63.128.0/17", "fd00::/8"].map(|text| text.parse().unwrap());
    let wishes = Wishes { mode: Mode::Nat, allowed: allowed.to_vec(), ..Wishes::default() };
    for (to, passes) in [
        ("100.100.100.201", true),
        ("100.100.100.200", false),
        ("168.63.129.17", true),
        ("168.63.129.16", false),
        ("fd00:ec2::253", true),
        ("fd00:ec2::254", false),
    ] {
        assert_eq!(verdict(&wishes, to, 80), passes, "{to}");
    }
}

#[test]
fn open_refuses_the_host_and_other_sandboxes_alone() {
    let open = Wishes { mode: Mode::Open, ..Wishes::default() };
    for to in PUBLIC.iter().chain(PRIVATE) {
        assert!(verdict(&open, to, 443), "{to}");
    }
    let own = plan(&open).link(9).address.to_string();
    assert!(!verdict(&open, &own, 443));
    for rule in ["fib daddr type != unicast goto refuse", "fib saddr . iif oif missing drop"] {
        assert!(text(&plan(&open)).contains(rule));
    }
}

#[test]
fn the_hosts_routes_are_read() {
    let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                 eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                 eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
                 *\t001012C6\t00000000\t0200\t0\t0\t0\t00F0FFFF\t0\t0\t0\nodd\n";
    let (routes, way_out) = routes4(table);
    assert_eq!(routes, [Cidr::known("192.0.2.0/24"), Cidr::known("198.18.16.0/20")]);
    assert_eq!(way_out.as_deref(), Some("eth0"));
    assert_eq!(routes4(""), (Vec::new(), None));

    let zero = "0".repeat(32);
    let line = |flags: &str, name: &str| {
        format!(
            "{zero} 00 {zero} 00 fe800000000000000000000000000001 00000400 00000002 00000000 {flags} {name}\n"
        )
    };
    let reject = line("00200200", "lo");
    assert_eq!(way_out6(&reject), None);
    assert_eq!(way_out6(&(reject + &line("00000003", "eth1"))).as_deref(), Some("eth1"));
}

#[test]
fn other_tables_that_drop_are_named() {
    let listing = "table ip filter {\n\tchain INPUT {\n\t\ttype filter hook input priority filter; policy drop;\n\t}\n\
                   \tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n}\n\
                   table inet samovar_x {\n\tchain forward {\n\t\ttype filter hook forward priority filter; policy accept;\n\t}\n}\n";
    assert_eq!(foreign_drops(listing, "samovar_x"), ["ip filter FORWARD"]);
}
