//! Messages to the kernel's network configuration, and their acknowledgements.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::netlink::NETFILTER;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};

const HEADER: usize = 16; // struct nlmsghdr
const ERROR: u16 = 2; // NLMSG_ERROR
const REQUEST: u16 = 0x0001; // NLM_F_REQUEST
const ACKNOWLEDGE: u16 = 0x0004; // NLM_F_ACK
/// Make what is not there (`NLM_F_CREATE`), and fail when it is (`NLM_F_EXCL`).
pub(super) const CREATE: u16 = 0x0600;
const NESTED: u16 = 0x8000; // NLA_F_NESTED

/// Bytes of an answer; one about an interface takes less than 2 KB.
const ANSWER_BYTES: usize = 16 * 1024;

/// One message.
pub(super) struct Message(Vec<u8>);

impl Message {
    /// A request of a kind, with the structure that the kind demands.
    pub(super) fn new(kind: u16, flags: u16, body: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend([0; 4]);
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((REQUEST | flags).to_ne_bytes());
        bytes.extend([0; 8]); // sequence and port
        bytes.extend(body);
        Self(bytes)
    }

    /// Adds an attribute.
    pub(super) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.0.extend((4 + value.len() as u16).to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Adds an attribute that ends with a zero byte.
    pub(super) fn with_text(self, kind: u16, value: &str) -> Self {
        self.with(kind, &[value.as_bytes(), b"\0"].concat())
    }

    /// Adds an attribute that holds `body`, and after it what `fill` adds.
    pub(super) fn with_nested(mut self, kind: u16, body: &[u8], fill: impl FnOnce(Self) -> Self) -> Self {
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend((kind | NESTED).to_ne_bytes());
        self.0.extend(body);
        let mut filled = fill(self);
        let length = (filled.0.len() - start) as u16;
        filled.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        filled
    }

    fn finish(mut self, sequence: u32, flags: u16) -> Vec<u8> {
        let length = self.0.len() as u32;
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        let flags = u16::from_ne_bytes([self.0[6], self.0[7]]) | flags;
        self.0[6..8].copy_from_slice(&flags.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.0
    }
}

/// A connection to the kernel, bound to the network namespace in which it was made.
#[derive(Debug)]
pub(super) struct Netlink(OwnedFd);

impl Netlink {
    /// To links, addresses, routes and neighbours.
    pub(super) fn route() -> io::Result<Self> {
        // Routing information is protocol number 0, which is none.
        Self::open(None)
    }

    /// To the packet filter.
    pub(super) fn netfilter() -> io::Result<Self> {
        Self::open(Some(NETFILTER))
    }

    fn open(protocol: Option<Protocol>) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
        Ok(Self(socket))
    }

    /// Has every message obeyed, in order; the first refusal is returned once all are answered.
    pub(super) fn obey(&self, messages: impl IntoIterator<Item = Message>) -> io::Result<()> {
        let mut packet = Vec::with_capacity(2048);
        let mut awaited = 0;
        for message in messages {
            awaited += 1;
            packet.extend(message.finish(awaited, ACKNOWLEDGE));
        }
        rustix::net::send(&self.0, &packet, SendFlags::empty())?;
        let mut refusal = Ok(());
        while awaited > 0 {
            for (kind, body) in split(&self.receive()?) {
                if kind == ERROR {
                    awaited -= 1;
                    refusal = refusal.and_then(|()| acknowledged(body));
                }
            }
        }
        refusal
    }

    /// Sends messages of which the kernel acknowledges the one at `answered` alone, as it does in a transaction.
    pub(super) fn transact(&self, messages: Vec<Message>, answered: usize) -> io::Result<()> {
        let numbered = messages.into_iter().enumerate();
        let packet = numbered.flat_map(|(index, message)| {
            message.finish(index as u32, if index == answered { ACKNOWLEDGE } else { 0 })
        });
        rustix::net::send(&self.0, &packet.collect::<Vec<_>>(), SendFlags::empty())?;
        loop {
            if let Some((_, body)) = split(&self.receive()?).find(|(kind, _)| *kind == ERROR) {
                return acknowledged(body);
            }
        }
    }

    /// Has a question answered by one message of `kind`: its body.
    pub(super) fn ask(&self, message: Message, kind: u16) -> io::Result<Vec<u8>> {
        rustix::net::send(&self.0, &message.finish(1, 0), SendFlags::empty())?;
        let packet = self.receive()?;
        let (answer, body) = split(&packet).next().ok_or(io::ErrorKind::InvalidData)?;
        match answer {
            ERROR => acknowledged(body).and(Err(io::ErrorKind::InvalidData.into())),
            answer if answer == kind => Ok(body.to_vec()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn receive(&self) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0u8; ANSWER_BYTES];
        let (length, _) = rustix::io::retry_on_intr(|| {
            rustix::net::recv(&self.0, buffer.as_mut_slice(), RecvFlags::empty())
        })?;
        buffer.truncate(length);
        Ok(buffer)
    }
}

/// Kind and body of the messages in a packet.
fn split(packet: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = packet;
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*rest.first_chunk()?) as usize;
        let kind = u16::from_ne_bytes([*rest.get(4)?, *rest.get(5)?]);
        let body = rest.get(HEADER..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, body))
    })
}

/// `struct nlmsgerr`: zero is an acknowledgement.
fn acknowledged(body: &[u8]) -> io::Result<()> {
    match body.first_chunk().map(|errno| i32::from_ne_bytes(*errno)) {
        Some(0) => Ok(()),
        Some(errno) => Err(io::Error::from_raw_os_error(-errno)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The value of an attribute.
pub(super) fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    while let Some(header) = attributes.first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let value = attributes.get(4..length)?;
        if u16::from_ne_bytes([header[2], header[3]]) & !NESTED == wanted {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_again_and_end_on_words() {
        let message = Message::new(16, CREATE, &[7; 8]).with_text(3, "eth0").with_nested(
            18,
            &[1, 2, 3, 4],
            |message| message.with(1, &[9]),
        );
        let bytes = message.finish(5, ACKNOWLEDGE);
        let (kind, body) = split(&bytes).next().unwrap();
        assert_eq!((kind, bytes.len() % 4), (16, 0));
        assert_eq!(attribute(&body[8..], 3), Some(b"eth0\0".as_slice()));
        let nested = attribute(&body[8..], 18).unwrap();
        assert_eq!(nested[..4], [1, 2, 3, 4]);
        assert_eq!(attribute(&nested[4..], 1), Some([9].as_slice()));
        assert_eq!(attribute(&body[8..], 4), None);
    }

    #[test]
    fn a_packet_cut_short_ends_it() {
        for length in 0..40 {
            let packet = Message::new(2, 0, &[0; 20]).with(1, &[1, 2, 3]).finish(1, 0);
            let cut = &packet[..length];
            assert!(split(cut).count() == 0 && attribute(cut, 9).is_none());
        }
    }
}
