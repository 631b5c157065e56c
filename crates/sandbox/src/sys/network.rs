//! The network of a sandbox: loopback, one address, listeners.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::identity::INSIDE_ADDRESS;
use crate::limits::LISTEN_BACKLOG;

const LOOPBACK: u32 = 1; // the first interface of every namespace

const NEW_LINK: u16 = 16; // RTM_NEWLINK
const NEW_ADDRESS: u16 = 20; // RTM_NEWADDR
const ACKNOWLEDGE: u16 = 0x0005; // NLM_F_REQUEST | NLM_F_ACK
const CREATE: u16 = 0x0600; // NLM_F_CREATE | NLM_F_EXCL
const UP: u32 = 1; // IFF_UP
const ERROR: u16 = 2; // NLMSG_ERROR

/// Brings loopback up and gives it the address at which a function finds its services.
///
/// The order matters: the kernel adds 127.0.0.1 only to an interface that has no address when it comes up.
pub(crate) fn bring_up() -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC;
    // No protocol is routing information, number 0.
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    let messages =
        [message(NEW_LINK, ACKNOWLEDGE, &link_up()), message(NEW_ADDRESS, ACKNOWLEDGE | CREATE, &address())];
    rustix::net::send(&socket, &messages.concat(), SendFlags::empty())?;
    let mut acknowledged = 0;
    while acknowledged < messages.len() {
        let mut buffer = [0u8; 1024];
        let (length, _) = rustix::net::recv(&socket, &mut buffer, RecvFlags::empty())?;
        acknowledged += acknowledgements(&buffer[..length])?;
    }
    Ok(())
}

/// Opens a listener at `port` of the inside address; non-blocking.
pub(crate) fn listen(port: u16) -> io::Result<OwnedFd> {
    listen_at(SocketAddrV4::new(Ipv4Addr::from(INSIDE_ADDRESS), port))
}

/// Opens a listener; non-blocking.
pub(crate) fn listen_at(address: SocketAddrV4) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, LISTEN_BACKLOG)?;
    Ok(socket)
}

fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(16 + body.len());
    message.extend((16 + body.len() as u32).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]); // sequence and port: one question, one asker
    message.extend(body);
    message
}

/// `struct ifinfomsg`.
fn link_up() -> Vec<u8> {
    [[0; 4], LOOPBACK.to_ne_bytes(), UP.to_ne_bytes(), UP.to_ne_bytes()].concat()
}

/// `struct ifaddrmsg` of a single address, then its attributes IFA_LOCAL and IFA_ADDRESS.
fn address() -> Vec<u8> {
    let mut body = vec![libc::AF_INET as u8, 32, 0, 0];
    body.extend(LOOPBACK.to_ne_bytes());
    for attribute in [2u16, 1] {
        body.extend(8u16.to_ne_bytes());
        body.extend(attribute.to_ne_bytes());
        body.extend(INSIDE_ADDRESS);
    }
    body
}

/// Counts the acknowledgements in a datagram; an error among them is returned.
fn acknowledgements(mut datagram: &[u8]) -> io::Result<usize> {
    let mut count = 0;
    while let Some((header, _)) = datagram.split_first_chunk::<20>() {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        let errno = i32::from_ne_bytes([header[16], header[17], header[18], header[19]]);
        if kind == ERROR && errno != 0 {
            return Err(io::Error::from_raw_os_error(-errno));
        }
        count += 1;
        let Some(rest) = datagram.get(length.next_multiple_of(4).max(20)..) else { break };
        datagram = rest;
    }
    Ok(count)
}
