//! `application/vnd.amazon.eventstream`: messages with headers and checksums, one an event.
//!
//! A message is its whole length, the length of its headers, a checksum of the two, the headers, the payload, and a
//! checksum of everything before. All numbers are big-endian, all checksums CRC-32. Source: Smithy, "Amazon Event
//! Stream Specification".

mod read;

use bytes::{BufMut, Bytes, BytesMut};

pub use read::{Frame, FrameError, Frames};

/// The content type of a stream.
pub const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// The type of the event that carries the output's other members, before all others.
pub const INITIAL_RESPONSE: &str = "initial-response";

/// Largest payload of a message, in bytes; what is longer the caller splits. Source: Smithy, "Amazon Event Stream
/// Specification".
pub const PAYLOAD_BYTES: usize = 24 * 1024 * 1024;

/// The type of a header whose value is text.
const TEXT: u8 = 7;

/// The two lengths and their checksum.
const PRELUDE_BYTES: usize = 12;

/// The checksum at the end.
const CHECKSUM_BYTES: usize = 4;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// An event of this type.
    Event(&'a str),
    /// An exception of this type; the stream ends with it.
    Exception(&'a str),
}

/// Writes one message. `content_type` tells how the payload is written.
pub fn encode(kind: Kind<'_>, content_type: &str, payload: &[u8]) -> Bytes {
    let (message, key, name) = match kind {
        Kind::Event(name) => ("event", ":event-type", name),
        Kind::Exception(name) => ("exception", ":exception-type", name),
    };
    let headers = [(key, name), (":content-type", content_type), (":message-type", message)];
    let header_bytes: usize = headers.iter().map(|(key, value)| 1 + key.len() + 1 + 2 + value.len()).sum();
    let whole = PRELUDE_BYTES + header_bytes + payload.len() + CHECKSUM_BYTES;
    debug_assert!(payload.len() <= PAYLOAD_BYTES, "callers split what is longer");
    let mut out = BytesMut::with_capacity(whole);
    out.put_u32(whole as u32);
    out.put_u32(header_bytes as u32);
    out.put_u32(crc32fast::hash(&out));
    for (key, value) in headers {
        // Names and content types are the model's own and short.
        out.put_u8(key.len() as u8);
        out.put_slice(key.as_bytes());
        out.put_u8(TEXT);
        out.put_u16(value.len() as u16);
        out.put_slice(value.as_bytes());
    }
    out.put_slice(payload);
    out.put_u32(crc32fast::hash(&out));
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths, header texts and payload of a message whose checksums hold.
    fn told(frame: &[u8]) -> String {
        let number = |at: usize| u32::from_be_bytes(frame[at..at + 4].try_into().unwrap());
        let (whole, headers) = (number(0) as usize, number(4) as usize);
        assert_eq!(whole, frame.len());
        assert_eq!(number(8), crc32fast::hash(&frame[..8]));
        assert_eq!(number(whole - 4), crc32fast::hash(&frame[..whole - 4]));
        let (mut rest, payload) = frame[12..whole - 4].split_at(headers);
        let mut text = String::new();
        while let [length, tail @ ..] = rest {
            let (key, tail) = tail.split_at(usize::from(*length));
            assert_eq!(tail[0], 7, "a text");
            let (value, tail) = tail[3..].split_at(usize::from(u16::from_be_bytes([tail[1], tail[2]])));
            text += &format!("{}={} ", String::from_utf8_lossy(key), String::from_utf8_lossy(value));
            rest = tail;
        }
        text + &String::from_utf8_lossy(payload)
    }

    #[test]
    fn messages_carry_their_kind_their_type_and_two_checksums() {
        let json = "application/json";
        assert_eq!(
            told(&encode(Kind::Event("sessionStart"), json, b"{}")),
            ":event-type=sessionStart :content-type=application/json :message-type=event {}"
        );
        assert_eq!(
            told(&encode(Kind::Exception("Timeout"), json, b"")),
            ":exception-type=Timeout :content-type=application/json :message-type=exception "
        );
    }
}
