//! Network namespaces and what is in them: loopback, listeners, and a cable to the host.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use super::netlink::{CREATE, Message, Netlink, attribute};
use super::{Step, StepError, process};
use crate::identity::INSIDE_ADDRESS;
use crate::limits::LISTEN_BACKLOG;
use crate::plan::egress::{Cidr, Link};

const LOOPBACK: u32 = 1; // the first interface of every namespace
/// Number of the sandbox's end of its cable, above those that kernel modules take in every namespace.
const CABLE: u32 = 100;
const CABLE_NAME: &str = "eth0";

/// Both ends of every cable have this address, locally administered. An interface that resolves no addresses sends to
/// its own, and so finds the other end.
const CABLE_ADDRESS: [u8; 6] = [0x02, 0x73, 0x76, 0, 0, 1];

/// The next hops of a sandbox. They exist as entries in its table of neighbours alone.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 100, 2);
const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

const NEW_LINK: u16 = 16; // RTM_NEWLINK
const GET_LINK: u16 = 18; // RTM_GETLINK
const NEW_ADDRESS: u16 = 20; // RTM_NEWADDR
const NEW_ROUTE: u16 = 24; // RTM_NEWROUTE
const DELETE_ROUTE: u16 = 25; // RTM_DELROUTE
const NEW_NEIGHBOUR: u16 = 28; // RTM_NEWNEIGH

const UP: u32 = 0x1; // IFF_UP
const NO_ARP: u32 = 0x80; // IFF_NOARP

/// The namespace that this process is in.
pub(crate) fn current() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open("/proc/self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Enters a namespace.
pub(crate) fn enter(namespace: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::thread::move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))?)
}

/// Makes a namespace, does `work` in it, and comes back `home`.
pub(crate) fn in_a_new_one<T>(
    home: BorrowedFd<'_>,
    work: impl FnOnce() -> Result<T, StepError>,
) -> Result<(OwnedFd, T), StepError> {
    process::unshare(UnshareFlags::NEWNET).doing("making a network namespace")?;
    let namespace = current().doing("opening a network namespace");
    let done = namespace.and_then(|namespace| Ok((namespace, work()?)));
    enter(home).doing("coming back from a network namespace")?;
    done
}

/// Does `work` in a namespace, and comes back `home`.
pub(crate) fn inside<T>(
    namespace: BorrowedFd<'_>,
    home: BorrowedFd<'_>,
    work: impl FnOnce() -> Result<T, StepError>,
) -> Result<T, StepError> {
    enter(namespace).doing("entering a network namespace")?;
    let done = work();
    enter(home).doing("coming back from a network namespace")?;
    done
}

/// Brings loopback up and gives it the address at which a function finds its services.
///
/// The order matters: the kernel adds 127.0.0.1 only to an interface that has no address when it comes up.
pub(crate) fn bring_up() -> io::Result<()> {
    let inside = IpAddr::from(INSIDE_ADDRESS);
    Netlink::route()?
        .obey([Message::new(NEW_LINK, 0, &link_header(LOOPBACK, UP)), new_address(LOOPBACK, inside)])
}

/// Connects the namespace that this process is in with `home`; the cable's other end is there.
pub(crate) fn lay_cable(link: &Link, home: BorrowedFd<'_>) -> io::Result<()> {
    let route = Netlink::route()?;
    let mut messages = vec![
        cable(link, home),
        new_address(CABLE, link.address.into()),
        neighbour(CABLE, GATEWAY.into()),
        new_route(None, CABLE, Some(GATEWAY.into())),
    ];
    if let Some(address) = link.address6 {
        messages.extend([
            new_address(CABLE, address.into()),
            neighbour(CABLE, GATEWAY6.into()),
            new_route(None, CABLE, Some(GATEWAY6.into())),
        ]);
    }
    route.obey(messages)
}

/// The kernel's tables of routes and neighbours in the namespace in which it was made.
#[derive(Debug)]
pub(crate) struct Routes(Netlink);

impl Routes {
    /// Of the namespace that this process is in.
    pub(crate) fn here() -> io::Result<Self> {
        Netlink::route().map(Self)
    }

    /// Brings the host's end of a sandbox's cable up, and leads the sandbox's addresses to it.
    pub(crate) fn lead_to(&self, link: &Link) -> io::Result<()> {
        let (interface, _) = self.interface(&link.interface)?;
        let addresses = [Some(IpAddr::V4(link.address)), link.address6.map(IpAddr::V6)].into_iter().flatten();
        let routes = addresses.flat_map(|address| {
            let whole = Cidr::of(address, u8::MAX);
            [neighbour(interface, address), new_route(Some(whole), interface, None)]
        });
        self.0.obey([Message::new(NEW_LINK, 0, &link_header(interface, UP))].into_iter().chain(routes))
    }

    /// Number and largest packet of an interface.
    pub(crate) fn interface(&self, name: &str) -> io::Result<(u32, u32)> {
        const NAME: u16 = 3; // IFLA_IFNAME
        const MTU: u16 = 4; // IFLA_MTU
        let question = Message::new(GET_LINK, 0, &link_header(0, 0)).with_text(NAME, name);
        let answer = self.0.ask(question, NEW_LINK)?;
        let number = answer.get(4..8).and_then(|bytes| bytes.first_chunk()).map(|it| u32::from_ne_bytes(*it));
        let mtu = attribute(answer.get(16..).unwrap_or_default(), MTU).and_then(|value| value.first_chunk());
        let mtu = mtu.map(|value| u32::from_ne_bytes(*value));
        number.zip(mtu).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Keeps packets for addresses that no sandbox has on this host, and shows others that the network is taken.
    /// Fails when a route to the very same network exists.
    pub(crate) fn reserve(&self, network: Cidr) -> io::Result<()> {
        self.0.obey([Message::new(NEW_ROUTE, CREATE, &reservation_header(network))
            .with(DESTINATION, &octets(network.address()))])
    }

    /// Takes that back.
    pub(crate) fn release(&self, network: Cidr) -> io::Result<()> {
        self.0.obey([Message::new(DELETE_ROUTE, 0, &reservation_header(network))
            .with(DESTINATION, &octets(network.address()))])
    }
}

const NETFILTER_TABLES: u8 = 10; // NFNL_SUBSYS_NFTABLES
const TABLE_NAME: u16 = 1; // NFTA_TABLE_NAME

/// `struct nfgenmsg` of tables for both families of addresses.
const BOTH_FAMILIES: [u8; 4] = [1, 0, 0, 0]; // NFPROTO_INET

/// Fails when a table of the packet filter is not there.
pub(crate) fn find_table(name: &str) -> io::Result<()> {
    const NEW_TABLE: u16 = 0; // NFT_MSG_NEWTABLE
    const GET_TABLE: u16 = 1; // NFT_MSG_GETTABLE
    let of_tables = |kind| u16::from(NETFILTER_TABLES) << 8 | kind;
    let question = Message::new(of_tables(GET_TABLE), 0, &BOTH_FAMILIES).with_text(TABLE_NAME, name);
    Netlink::netfilter()?.ask(question, of_tables(NEW_TABLE)).map(drop)
}

/// Removes a table of the packet filter and all in it.
pub(crate) fn remove_table(name: &str) -> io::Result<()> {
    const DELETE_TABLE: u16 = 2; // NFT_MSG_DELTABLE
    const BEGIN: u16 = 0x10; // NFNL_MSG_BATCH_BEGIN
    const END: u16 = 0x11; // NFNL_MSG_BATCH_END
    let batch = [0, 0, 0, NETFILTER_TABLES]; // the subsystem's number is in network order
    let delete = Message::new(u16::from(NETFILTER_TABLES) << 8 | DELETE_TABLE, 0, &BOTH_FAMILIES);
    let messages = vec![
        Message::new(BEGIN, 0, &batch),
        delete.with_text(TABLE_NAME, name),
        Message::new(END, 0, &batch),
    ];
    match Netlink::netfilter()?.transact(messages, 1) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        result => result,
    }
}

/// Opens a listener at `port` of the inside address; non-blocking.
pub(crate) fn listen(port: u16) -> io::Result<OwnedFd> {
    listen_at(SocketAddrV4::new(Ipv4Addr::from(INSIDE_ADDRESS), port))
}

/// Opens a listener; non-blocking.
pub(crate) fn listen_at(address: SocketAddrV4) -> io::Result<OwnedFd> {
    let socket = bound(SocketType::STREAM, address)?;
    rustix::net::listen(&socket, LISTEN_BACKLOG)?;
    Ok(socket)
}

/// Opens a socket for datagrams at `port` of the inside address; non-blocking.
pub(crate) fn receive_datagrams(port: u16) -> io::Result<OwnedFd> {
    bound(SocketType::DGRAM, SocketAddrV4::new(Ipv4Addr::from(INSIDE_ADDRESS), port))
}

/// Begins to connect to a port of `address`; non-blocking.
pub(crate) fn dial(address: SocketAddrV4) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

fn bound(kind: SocketType, address: SocketAddrV4) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::INET, kind, flags, None)?;
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

const DESTINATION: u16 = 1; // RTA_DST
const STATIC: u8 = 4; // RTPROT_STATIC

/// `struct ifinfomsg`; the flags are those to be raised.
fn link_header(interface: u32, flags: u32) -> Vec<u8> {
    [[0; 4], interface.to_ne_bytes(), flags.to_ne_bytes(), flags.to_ne_bytes()].concat()
}

/// A pair of connected interfaces: `eth0` here, and the host's end in `home`. Neither resolves addresses, so that
/// nothing a function does grows the machine's table of neighbours.
fn cable(link: &Link, home: BorrowedFd<'_>) -> Message {
    const ADDRESS: u16 = 1; // IFLA_ADDRESS
    const NAME: u16 = 3; // IFLA_IFNAME
    const MTU: u16 = 4; // IFLA_MTU
    const INFORMATION: u16 = 18; // IFLA_LINKINFO
    const KIND: u16 = 1; // IFLA_INFO_KIND
    const DATA: u16 = 2; // IFLA_INFO_DATA
    const PEER: u16 = 1; // VETH_INFO_PEER
    const NAMESPACE: u16 = 28; // IFLA_NET_NS_FD
    let end = |message: Message, name: &str| {
        let message = message.with_text(NAME, name).with(ADDRESS, &CABLE_ADDRESS);
        message.with(MTU, &link.mtu.to_ne_bytes())
    };
    let here = end(Message::new(NEW_LINK, CREATE, &link_header(CABLE, UP | NO_ARP)), CABLE_NAME);
    here.with_nested(INFORMATION, &[], |message| {
        message.with_text(KIND, "veth").with_nested(DATA, &[], |message| {
            // It cannot come up before this end exists.
            message.with_nested(PEER, &link_header(0, NO_ARP), |message| {
                end(message, &link.interface).with(NAMESPACE, &home.as_raw_fd().to_ne_bytes())
            })
        })
    })
}

/// `struct ifaddrmsg` of a single address, and the address.
fn new_address(interface: u32, address: IpAddr) -> Message {
    const LOCAL: u16 = 2; // IFA_LOCAL
    const ADDRESS: u16 = 1; // IFA_ADDRESS
    const NO_DETECTION: u8 = 0x02; // IFA_F_NODAD: nobody else has it
    let mut body = vec![family(address), bits(address), NO_DETECTION, 0];
    body.extend(interface.to_ne_bytes());
    let octets = octets(address);
    Message::new(NEW_ADDRESS, CREATE, &body).with(LOCAL, &octets).with(ADDRESS, &octets)
}

/// `struct ndmsg` of a neighbour that is never looked for and never forgotten.
fn neighbour(interface: u32, address: IpAddr) -> Message {
    const PERMANENT: u16 = 0x80; // NUD_PERMANENT
    const DESTINATION: u16 = 1; // NDA_DST
    const HARDWARE: u16 = 2; // NDA_LLADDR
    let mut body = vec![family(address), 0, 0, 0];
    body.extend(interface.to_ne_bytes());
    body.extend(PERMANENT.to_ne_bytes());
    body.extend([0; 2]);
    Message::new(NEW_NEIGHBOUR, CREATE, &body)
        .with(DESTINATION, &octets(address))
        .with(HARDWARE, &CABLE_ADDRESS)
}

/// `struct rtmsg`: a route to a network, or of everything else to a gateway.
fn new_route(to: Option<Cidr>, interface: u32, gateway: Option<IpAddr>) -> Message {
    const GATEWAY: u16 = 5; // RTA_GATEWAY
    const INTERFACE: u16 = 4; // RTA_OIF
    const ON_LINK: u32 = 4; // RTNH_F_ONLINK
    const LINK: u8 = 253; // RT_SCOPE_LINK
    const UNICAST: u8 = 1; // RTN_UNICAST
    let address = to.map(|to| to.address()).or(gateway);
    let family = address.map_or(libc::AF_INET as u8, family);
    let scope = if gateway.is_some() { 0 } else { LINK };
    let flags = if gateway.is_some() { ON_LINK } else { 0 };
    let body = route_header(family, to.map_or(0, |to| to.bits()), scope, UNICAST, flags);
    let mut message = Message::new(NEW_ROUTE, CREATE, &body).with(INTERFACE, &interface.to_ne_bytes());
    if let Some(to) = to {
        message = message.with(DESTINATION, &octets(to.address()));
    }
    match gateway {
        Some(gateway) => message.with(GATEWAY, &octets(gateway)),
        None => message,
    }
}

fn reservation_header(network: Cidr) -> Vec<u8> {
    const UNREACHABLE: u8 = 7; // RTN_UNREACHABLE
    route_header(family(network.address()), network.bits(), 0, UNREACHABLE, 0)
}

fn route_header(family: u8, bits: u8, scope: u8, kind: u8, flags: u32) -> Vec<u8> {
    const MAIN: u8 = 254; // RT_TABLE_MAIN
    let mut body = vec![family, bits, 0, 0, MAIN, STATIC, scope, kind];
    body.extend(flags.to_ne_bytes());
    body
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { libc::AF_INET as u8 } else { libc::AF_INET6 as u8 }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
