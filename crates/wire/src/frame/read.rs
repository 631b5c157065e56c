//! The other direction: bytes that come in, cut into messages.

use bytes::{Buf, Bytes, BytesMut};

use super::{CHECKSUM_BYTES, PRELUDE_BYTES, TEXT};

/// Longest message that is read, in bytes. Source: Amazon Transcribe Developer Guide, "Event stream encoding":
/// payloads of 16 MiB and headers of 128 KiB at most.
const LONGEST: usize = (16 << 20) + (128 << 10) + PRELUDE_BYTES + CHECKSUM_BYTES;

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// Headers with text; others are left out.
    pub headers: Vec<(String, String)>,
    /// Its content.
    pub payload: Bytes,
}

/// The bytes are no event stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The lengths contradict each other, or exceed what the encoding allows.
    #[error("a frame of the event stream has impossible lengths")]
    Length,
    /// The bytes were changed on their way.
    #[error("a frame of the event stream has a wrong checksum")]
    Checksum,
    /// A header of an unknown kind, or one that is cut.
    #[error("a frame of the event stream has a broken header")]
    Header,
}

/// Cuts a stream of bytes into frames.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: BytesMut,
}

impl Frame {
    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Frames {
    /// Takes what came in.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, if it is there.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some(mut prelude) = self.buffer.get(..PRELUDE_BYTES) else { return Ok(None) };
        let checksum = crc32fast::hash(&prelude[..PRELUDE_BYTES - CHECKSUM_BYTES]);
        let (whole, headers) = (prelude.get_u32() as usize, prelude.get_u32() as usize);
        if prelude.get_u32() != checksum {
            return Err(FrameError::Checksum);
        }
        if whole > LONGEST || whole < PRELUDE_BYTES + headers + CHECKSUM_BYTES {
            return Err(FrameError::Length);
        }
        if self.buffer.len() < whole {
            return Ok(None);
        }
        let mut frame = self.buffer.split_to(whole).freeze();
        let checked = frame.split_to(whole - CHECKSUM_BYTES);
        if frame.get_u32() != crc32fast::hash(&checked) {
            return Err(FrameError::Checksum);
        }
        let headers = checked.slice(PRELUDE_BYTES..PRELUDE_BYTES + headers);
        let payload = checked.slice(PRELUDE_BYTES + headers.len()..);
        Ok(Some(Frame { headers: text_headers(headers).ok_or(FrameError::Header)?, payload }))
    }
}

fn text_headers(mut bytes: Bytes) -> Option<Vec<(String, String)>> {
    let mut headers = Vec::new();
    while !bytes.is_empty() {
        let length = usize::from(bytes.try_get_u8().ok()?);
        let name = take(&mut bytes, length)?;
        let kind = bytes.try_get_u8().ok()?;
        let length = match kind {
            0 | 1 => 0,
            2 => 1,
            3 => 2,
            4 => 4,
            5 | 8 => 8,
            9 => 16,
            6 | TEXT => usize::from(bytes.try_get_u16().ok()?),
            _ => return None,
        };
        let value = take(&mut bytes, length)?;
        if kind == TEXT {
            headers.push((String::from_utf8(name.into()).ok()?, String::from_utf8(value.into()).ok()?));
        }
    }
    Some(headers)
}

fn take(bytes: &mut Bytes, length: usize) -> Option<Bytes> {
    (bytes.len() >= length).then(|| bytes.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An independent encoder: `(name, kind, value with its length)`.
    fn frame(headers: &[(&str, u8, &[u8])], payload: &[u8]) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, kind, value) in headers {
            block.push(u8::try_from(name.len()).unwrap());
            block.extend_from_slice(name.as_bytes());
            block.push(*kind);
            block.extend_from_slice(value);
        }
        let whole = u32::try_from(16 + block.len() + payload.len()).unwrap();
        let mut frame = [whole.to_be_bytes(), u32::try_from(block.len()).unwrap().to_be_bytes()].concat();
        frame.extend(crc32fast::hash(&frame).to_be_bytes());
        frame.extend(block);
        frame.extend(payload);
        frame.extend(crc32fast::hash(&frame).to_be_bytes());
        frame
    }

    #[test]
    fn a_known_frame_is_read() {
        // A frame without headers and payload. Source: test vectors of the encoding.
        let mut frames = Frames::default();
        frames.feed(&[0, 0, 0, 0x10, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff]);
        assert_eq!(frames.next_frame(), Ok(Some(Frame { headers: Vec::new(), payload: Bytes::new() })));
    }

    #[test]
    fn frames_are_read_however_they_are_cut() {
        let headers: &[(&str, u8, &[u8])] =
            &[(":event-type", TEXT, b"\0\x0dsessionUpdate"), ("number", 4, &[0, 0, 0, 7]), ("yes", 0, &[])];
        let bytes = [frame(headers, b"{}"), frame(&[], b"second")].concat();
        let mut frames = Frames::default();
        let mut found = Vec::new();
        for byte in &bytes {
            frames.feed(&[*byte]);
            found.extend(frames.next_frame().unwrap());
        }
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].header(":event-type"), Some("sessionUpdate"));
        assert_eq!(found[0].headers.len(), 1);
        assert_eq!((&found[0].payload[..], &found[1].payload[..]), (&b"{}"[..], &b"second"[..]));
    }

    #[test]
    fn broken_frames_are_refused() {
        let good = frame(&[("a", TEXT, b"\0\x01b")], b"payload");
        for (at, error) in [(0, FrameError::Checksum), (20, FrameError::Checksum)] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            let mut frames = Frames::default();
            frames.feed(&bad);
            assert_eq!(frames.next_frame(), Err(error), "byte {at}");
        }
        let mut frames = Frames::default();
        frames.feed(&frame(&[("a", TEXT, b"\0\x09b")], b""));
        assert_eq!(frames.next_frame(), Err(FrameError::Header));
        let mut short = [8u32.to_be_bytes(), 0u32.to_be_bytes()].concat();
        short.extend(crc32fast::hash(&short).to_be_bytes());
        let mut frames = Frames::default();
        frames.feed(&short);
        assert_eq!(frames.next_frame(), Err(FrameError::Length));
    }
}
