//! The end of an invocation's log, for callers that ask with `LogType: Tail`.

use std::collections::VecDeque;

use base::limits::LOG_TAIL_BYTES;
use bytes::Bytes;

use crate::level::Format;

/// Collects the last [`LOG_TAIL_BYTES`] bytes of an invocation's log, before levels filter it.
///
/// What belongs in it: the function's complete lines since its init or since the invocation before, and the
/// platform's records for which [`crate::report::Record::in_tail`] holds. Source: recorded answers of 2026.
#[derive(Debug, Clone)]
pub struct Tail {
    format: Format,
    records: VecDeque<Bytes>,
    bytes: usize,
}

impl Tail {
    /// An empty tail for a function of this log format.
    pub fn new(format: Format) -> Self {
        Self { format, records: VecDeque::new(), bytes: 0 }
    }

    /// Adds an event's message, with its newline.
    pub fn push(&mut self, message: &[u8]) {
        let kept = match self.format {
            Format::Text => &message[message.len().saturating_sub(LOG_TAIL_BYTES)..],
            Format::Json => message,
        };
        // A record too long even alone pushes out all the others and then itself; no need to copy it.
        if kept.len() > LOG_TAIL_BYTES {
            self.records.clear();
            self.bytes = 0;
        } else {
            self.bytes += kept.len();
            self.records.push_back(Bytes::copy_from_slice(kept));
            self.trim();
        }
    }

    /// The tail as text: the last bytes cut anywhere (text format), or the last whole records (JSON format).
    ///
    /// Each byte that is not UTF-8 becomes U+FFFD, so the result may be a little longer than the limit.
    pub fn finish(self) -> String {
        let bytes: Vec<u8> = self.records.into_iter().flatten().collect();
        let start = bytes.len().saturating_sub(LOG_TAIL_BYTES);
        let mut text = String::with_capacity(LOG_TAIL_BYTES + 8);
        for chunk in bytes[start..].utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
        }
        text
    }

    /// Drops records that the limit excludes; in text format the one that it cuts stays.
    fn trim(&mut self) {
        while let Some(first) = self.records.front() {
            let without = self.bytes - first.len();
            let excluded = match self.format {
                Format::Text => without >= LOG_TAIL_BYTES,
                Format::Json => self.bytes > LOG_TAIL_BYTES,
            };
            if !excluded {
                return;
            }
            self.bytes = without;
            self.records.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(format: Format, messages: &[&[u8]]) -> String {
        let mut tail = Tail::new(format);
        messages.iter().for_each(|message| tail.push(message));
        tail.finish()
    }

    #[test]
    fn text_is_cut_anywhere_at_4096_bytes() {
        let long = [b'x'; 5000];
        assert_eq!(tail(Format::Text, &[b"START\n", b"hi\n"]), "START\nhi\n");
        assert_eq!(tail(Format::Text, &[b"START\n", &long, b"END\n"]), "x".repeat(4092) + "END\n");
        assert_eq!(tail(Format::Text, &[b"START\n", &long[..4093], b"END\n"]).len(), 4096);
    }

    #[test]
    fn each_broken_byte_becomes_a_replacement_character() {
        let emoji = "\u{1F600}".as_bytes();
        let rest = [b'y'; 4093];
        let text = tail(Format::Text, &[emoji, &rest]);
        assert_eq!((text.len(), text.chars().take_while(|c| *c == '\u{FFFD}').count()), (4102, 3));
        assert_eq!(tail(Format::Text, &[b"a\xF0\x9F\x98\n"]), "a\u{FFFD}\u{FFFD}\u{FFFD}\n");
    }

    #[test]
    fn json_keeps_whole_records_and_an_oversize_one_leaves_nothing() {
        let record = [b'r'; 1500];
        assert_eq!(tail(Format::Json, &[b"{}\n", &record, &record, &record]).len(), 3000);
        assert_eq!(tail(Format::Json, &[b"{}\n", &[b'z'; 4097]]), "");
        assert_eq!(tail(Format::Json, &[b"{}\n", &[b'z'; 4097], b"{1}\n"]), "{1}\n");
        assert_eq!(tail(Format::Json, &[&[b'z'; 4096]]).len(), 4096);
    }
}
