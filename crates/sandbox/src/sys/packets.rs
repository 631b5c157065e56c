//! Packets with descriptors over `SOCK_SEQPACKET` sockets.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use crate::limits::PACKET_DESCRIPTORS;

/// Two ends of a connection; both close on `execve`.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends one packet. `nonblocking`: fails with `EAGAIN` rather than wait for room.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    packet: &[u8],
    descriptors: &[BorrowedFd<'_>],
    nonblocking: bool,
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PACKET_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let wait = if nonblocking { SendFlags::DONTWAIT } else { SendFlags::empty() };
    let flags = SendFlags::NOSIGNAL | wait;
    rustix::io::retry_on_intr(|| rustix::net::sendmsg(socket, &[IoSlice::new(packet)], &mut control, flags))?;
    Ok(())
}

/// A received packet.
pub(crate) struct Received {
    /// Its bytes; empty at the end of the connection.
    pub(crate) packet: Vec<u8>,
    /// What came with it.
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// Receives one packet of at most `limit` bytes; a longer one is an error (`EMSGSIZE`), and so is one whose
/// descriptors did not all arrive.
pub(crate) fn receive(socket: BorrowedFd<'_>, limit: usize, nonblocking: bool) -> io::Result<Received> {
    let wait = if nonblocking { RecvFlags::DONTWAIT } else { RecvFlags::empty() };
    // Room for the longest would be touched, and mostly for nothing: what comes is short.
    let peek = RecvFlags::PEEK | RecvFlags::TRUNC | wait;
    let (_, length) = rustix::io::retry_on_intr(|| rustix::net::recv(socket, &mut [0u8; 0][..], peek))?;
    let mut packet = vec![0; length.min(limit)];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PACKET_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | wait;
    let received = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut packet)], &mut control, flags)
    })?;
    let descriptors = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
    }
    packet.truncate(received.bytes);
    Ok(Received { packet, descriptors })
}
