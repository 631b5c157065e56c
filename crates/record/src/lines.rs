//! The raw bytes of a sandbox's one output pipe become events.
//!
//! Standard output, standard error and the telemetry descriptor are the same pipe, so order is kept. Runtimes
//! write frames to it: a header of 16 bytes (type, length, microseconds since the epoch, all big-endian) and a
//! message that may hold newlines. Everything else is raw: an event ends with each `\n`.

use base::clock::Timestamp;
use base::limits::{LOG_EVENT_MESSAGE_BYTES, LOG_FRAME_BYTES};
use bytes::{Buf, Bytes, BytesMut};

use crate::level::Level;

const HEADER: usize = 16;
const MAGIC: [u8; 3] = [0xA5, 0x5A, 0x00];

/// What an event was written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Bytes without frame: a `print`, a library, a child process.
    Raw,
    /// A frame that holds text.
    TextFrame,
    /// A frame that holds one JSON object.
    JsonFrame,
}

/// One log event, as it was written: with its newline where it had one, and not necessarily UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When the writer says it happened; frames only.
    pub timestamp: Option<Timestamp>,
    /// How grave the writer says it is; frames only.
    pub level: Option<Level>,
    /// How it was written.
    pub kind: Kind,
    /// What was written; at most [`LOG_EVENT_MESSAGE_BYTES`], longer lines and frames come in pieces.
    pub message: Bytes,
}

/// Cuts bytes into events. It holds at most one unfinished line or frame.
///
/// An unfinished line waits for its end, over the end of an invocation: it becomes the beginning of the next
/// one's first line, as on AWS. Call [`Splitter::finish`] when the process that writes has ended.
#[derive(Debug, Default)]
pub struct Splitter {
    buffer: BytesMut,
    /// Bytes at the front of the buffer in which no newline and no header begins.
    scanned: usize,
    frame: Option<Frame>,
}

/// A frame whose header has been read.
#[derive(Debug, Clone, Copy)]
struct Frame {
    kind: Kind,
    level: Option<Level>,
    timestamp: Timestamp,
    remaining: usize,
}

/// What stands at the front of a buffer.
enum Front {
    /// So many bytes of raw text that make an event.
    Raw(usize),
    /// A whole header.
    Frame(Frame),
    /// Nothing whole: more bytes must come.
    Unfinished,
}

impl Splitter {
    /// A splitter at the start of an output.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes more bytes and adds the events that are now whole.
    pub fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) {
        self.buffer.extend_from_slice(bytes);
        self.split(events);
    }

    /// The buffer to read into, to spare a copy; call [`Splitter::split`] afterwards.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Adds the events that are whole. Their messages share the buffer's memory.
    pub fn split(&mut self, events: &mut Vec<Event>) {
        loop {
            if let Some(frame) = self.frame {
                match self.take_frame(frame) {
                    Some(event) => events.push(event),
                    None => return,
                }
                continue;
            }
            match self.front() {
                Front::Raw(length) => events.push(self.take_raw(length)),
                Front::Frame(frame) => {
                    self.buffer.advance(HEADER);
                    self.frame = Some(frame);
                }
                Front::Unfinished => return,
            }
        }
    }

    /// The output has ended: adds what is unfinished as it is.
    pub fn finish(&mut self, events: &mut Vec<Event>) {
        self.split(events);
        if let Some(Frame { kind, level, timestamp, .. }) = self.frame.take() {
            let message = self.buffer.split().freeze();
            events.push(Event { timestamp: Some(timestamp), level, kind, message });
        } else {
            // The beginning of a header that never came may stand behind a line of full length.
            while !self.buffer.is_empty() {
                let length = cut(&self.buffer, LOG_EVENT_MESSAGE_BYTES).unwrap_or(self.buffer.len());
                events.push(self.take_raw(length));
            }
        }
    }

    /// The next piece of a frame; `None` until it has arrived.
    fn take_frame(&mut self, frame: Frame) -> Option<Event> {
        let Frame { kind, level, timestamp, remaining } = frame;
        let length = if remaining > LOG_EVENT_MESSAGE_BYTES {
            cut(&self.buffer, LOG_EVENT_MESSAGE_BYTES)?
        } else if self.buffer.len() < remaining {
            return None;
        } else {
            remaining
        };
        let rest = remaining - length;
        self.frame = (rest > 0).then_some(Frame { remaining: rest, ..frame });
        let message = self.buffer.split_to(length).freeze();
        Some(Event { timestamp: Some(timestamp), level, kind, message })
    }

    fn take_raw(&mut self, length: usize) -> Event {
        self.scanned = 0;
        let message = self.buffer.split_to(length).freeze();
        Event { timestamp: None, level: None, kind: Kind::Raw, message }
    }

    /// Looks for the first newline or header, no further than an event may reach: what lies behind is looked at when
    /// its turn comes, so a buffer full of small frames is read once.
    fn front(&mut self) -> Front {
        let reach = self.buffer.len().min(LOG_EVENT_MESSAGE_BYTES);
        while let Some(found) = memchr::memchr2(b'\n', MAGIC[0], &self.buffer[self.scanned..reach]) {
            let at = self.scanned + found;
            if self.buffer[at] == b'\n' {
                return Front::Raw(at + 1);
            }
            match header(&self.buffer[at..]) {
                Ok(Some(frame)) if at == 0 => return Front::Frame(frame),
                Ok(Some(_)) => return Front::Raw(at),
                Ok(None) => {
                    self.scanned = at;
                    return Front::Unfinished;
                }
                Err(NoHeader) => self.scanned = at + 1,
            }
        }
        self.scanned = reach;
        match cut(&self.buffer, LOG_EVENT_MESSAGE_BYTES) {
            Some(length) => Front::Raw(length),
            None => Front::Unfinished,
        }
    }
}

/// The bytes are not those of a header.
struct NoHeader;

/// Reads a header; `Ok(None)` when so far it could be one.
fn header(bytes: &[u8]) -> Result<Option<Frame>, NoHeader> {
    let magic = bytes.len().min(MAGIC.len());
    if bytes[..magic] != MAGIC[..magic] {
        return Err(NoHeader);
    }
    let Some(&kind) = bytes.get(3) else {
        return Ok(None);
    };
    let (kind, level) = frame_type(kind).ok_or(NoHeader)?;
    let Some(mut numbers) = bytes.get(4..HEADER) else {
        return Ok(None);
    };
    let remaining = numbers.get_u32() as usize;
    let timestamp = Timestamp::from_micros(numbers.get_i64());
    if remaining > LOG_FRAME_BYTES {
        return Err(NoHeader);
    }
    Ok(Some(Frame { kind, level, timestamp, remaining }))
}

/// Reads the last byte of a frame's type: its kind with a level's bits. Source: the runtime clients' source.
fn frame_type(byte: u8) -> Option<(Kind, Option<Level>)> {
    let kind = match byte & 0b11 {
        0b10 => Kind::JsonFrame,
        0b11 => Kind::TextFrame,
        _ => return None,
    };
    let level = match byte & !0b11 {
        0x00 => None,
        0x04 => Some(Level::Trace),
        0x08 => Some(Level::Debug),
        0x0C => Some(Level::Info),
        0x10 => Some(Level::Warn),
        0x14 => Some(Level::Error),
        0x18 => Some(Level::Fatal),
        _ => return None,
    };
    Some((kind, level))
}

/// The largest cut at or a little before `limit` that parts no UTF-8 character; `None` until what follows is there.
fn cut(bytes: &[u8], limit: usize) -> Option<usize> {
    let inside = |at: &usize| bytes[*at] & 0xC0 == 0x80;
    (bytes.len() > limit)
        .then(|| (limit.saturating_sub(3)..=limit).rev().find(|at| !inside(at)).unwrap_or(limit))
}

#[cfg(test)]
mod tests {
    use base::random::Dice;

    use super::*;

    fn frame(kind: u8, micros: i64, message: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xA5, 0x5A, 0x00, kind];
        bytes.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        bytes.extend(micros.to_be_bytes());
        bytes.extend(message);
        bytes
    }

    fn split(chunks: &[&[u8]]) -> Vec<Event> {
        let (mut splitter, mut events) = (Splitter::new(), Vec::new());
        chunks.iter().for_each(|chunk| splitter.push(chunk, &mut events));
        splitter.finish(&mut events);
        events
    }

    fn shown(chunks: &[&[u8]]) -> String {
        let show = |event: &Event| {
            let text = String::from_utf8_lossy(&event.message);
            match event.kind {
                Kind::Raw => format!("{text:?}"),
                kind => format!(
                    "{kind:?} {:?} {:?} {text:?}",
                    event.level,
                    event.timestamp.map(Timestamp::as_micros)
                ),
            }
        };
        split(chunks).iter().map(show).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn each_newline_ends_an_event_and_carriage_returns_stay() {
        assert_eq!(shown(&[b"a\nb\r\rc\n\nd"]), r#""a\n" | "b\r\rc\n" | "\n" | "d""#);
        assert_eq!(shown(&[b"a", b"b", b"c\nd", b"\n"]), r#""abc\n" | "d\n""#);
    }

    #[test]
    fn an_unfinished_line_waits_for_its_end() {
        let (mut splitter, mut events) = (Splitter::new(), Vec::new());
        splitter.push(b"no end", &mut events);
        assert_eq!(events.len(), 0);
        splitter.push(b" yet\n", &mut events);
        assert_eq!(events[0].message, "no end yet\n");
    }

    #[test]
    fn frames_carry_level_time_and_newlines() {
        let text = frame(0x0F, 1_700_000_000_000_001, b"one\ntwo\n");
        let json = frame(0x16, 7, b"{\"a\":1}");
        let plain = frame(0x03, 0, b"");
        let expected = concat!(
            r#"TextFrame Some(Info) Some(1700000000000001) "one\ntwo\n" | "raw\n" | "#,
            r#"JsonFrame Some(Error) Some(7) "{\"a\":1}" | TextFrame None Some(0) """#
        );
        let whole = [text.as_slice(), b"raw\n", &json, &plain].concat();
        assert_eq!(shown(&[&whole]), expected);
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(shown(&bytes), expected);
    }

    #[test]
    fn a_frame_ends_the_raw_line_before_it() {
        let bytes = [b"partial".as_slice(), &frame(0x03, 5, b"framed\n"), b"next\n"].concat();
        assert_eq!(shown(&[&bytes]), r#""partial" | TextFrame None Some(5) "framed\n" | "next\n""#);
    }

    #[test]
    fn what_only_resembles_a_frame_is_raw() {
        for bytes in [
            b"\xA5\x5A\x00\x01aaaaaaaaaaaa\n".as_slice(),
            b"\xA5\x5A\x00\x1Faaaaaaaaaaaa\n",
            b"\xA5\xA5\x5Ax\n",
            b"\xA5\x5A\x00\x03\xFF\xFF\xFF\xFF00000000\n",
        ] {
            let events = split(&[bytes]);
            assert_eq!((events.len(), &events[0].message[..]), (1, bytes));
        }
        assert_eq!(split(&[b"\xA5\x5A\x00\x03\x00\x00"])[0].kind, Kind::Raw);
    }

    #[test]
    fn long_lines_and_frames_come_in_pieces_that_part_no_character() {
        let line = ["é".repeat(LOG_EVENT_MESSAGE_BYTES).as_bytes(), b"\n"].concat();
        let sizes =
            |bytes: &[u8]| split(&[bytes]).iter().map(|event| event.message.len()).collect::<Vec<_>>();
        let limit = LOG_EVENT_MESSAGE_BYTES;
        assert_eq!(sizes(&line), [limit, limit, 1]);
        assert_eq!(sizes(&[b"x".as_slice(), &line].concat()), [limit - 1, limit, 3]);
        let framed = frame(0x0F, 1, &line);
        assert_eq!(sizes(&framed), [limit, limit, 1]);
        assert!(split(&[&framed]).iter().all(|event| event.level == Some(Level::Info)));
    }

    #[test]
    fn an_unfinished_frame_ends_with_its_process() {
        let bytes = frame(0x0F, 9, b"cut short");
        assert_eq!(shown(&[&bytes[..20]]), r#"TextFrame Some(Info) Some(9) "cut ""#);
    }

    #[test]
    fn random_bytes_in_random_chunks_lose_nothing() {
        let dice = Dice::seeded(42);
        let below = |limit: u64| u64::from_le_bytes(dice.bytes()) % limit;
        for _ in 0..400 {
            let (mut stream, mut messages) = (Vec::new(), Vec::new());
            for _ in 0..below(20) {
                // Random text avoids the first byte of a header, so that what is a frame is known.
                let mut text: Vec<u8> = (0..below(300)).map(|_| below(256) as u8).collect();
                text.iter_mut().filter(|byte| **byte == MAGIC[0]).for_each(|byte| *byte = b'\n');
                let framed = below(2) == 0;
                stream.extend(if framed { frame(0x03, 1, &text) } else { text.clone() });
                messages.extend(text);
            }
            let mut chunks = Vec::new();
            let mut rest = stream.as_slice();
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at((1 + below(60) as usize).min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            let events = split(&chunks);
            assert_eq!(events, split(&[&stream]), "chunks change nothing");
            let seen: Vec<u8> = events.iter().flat_map(|event| event.message.iter().copied()).collect();
            assert_eq!(seen, messages);
        }
    }

    #[test]
    fn cuts_do_not_depend_on_how_the_bytes_arrive() {
        let line = "€".repeat(LOG_EVENT_MESSAGE_BYTES / 3 + 9);
        let (line, framed) = (line.as_bytes(), frame(0x03, 0, line.as_bytes()));
        let half_header = [&b"x".repeat(LOG_EVENT_MESSAGE_BYTES - 1), &MAGIC[..], &[3]].concat();
        for bytes in [line, &framed, &half_header] {
            let whole = split(&[bytes]);
            assert!(whole.iter().all(|event| event.message.len() <= LOG_EVENT_MESSAGE_BYTES));
            for at in LOG_EVENT_MESSAGE_BYTES - 4..=(LOG_EVENT_MESSAGE_BYTES + HEADER + 4).min(bytes.len()) {
                assert_eq!(split(&[&bytes[..at], &bytes[at..]]), whole, "{at}");
            }
        }
    }

    #[test]
    fn garbage_with_half_headers_never_panics() {
        let dice = Dice::seeded(7);
        let below = |limit: u64| u64::from_le_bytes(dice.bytes()) % limit;
        let alphabet = [0xA5, 0x5A, 0x00, 0x03, 0x0F, b'\n', 0x01, b'x'];
        for _ in 0..2000 {
            let bytes: Vec<u8> = (0..below(200)).map(|_| alphabet[below(8) as usize]).collect();
            let (mut splitter, mut events) = (Splitter::new(), Vec::new());
            for chunk in bytes.chunks(1 + below(9) as usize) {
                splitter.push(chunk, &mut events);
            }
            splitter.finish(&mut events);
            let messages: usize = events.iter().map(|event| event.message.len()).sum();
            assert_eq!((bytes.len() - messages) % HEADER, 0, "only whole headers are gone");
        }
    }
}
