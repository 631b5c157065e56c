//! Reads the records of one segment, forward.

use std::io;

use bytes::Bytes;
use store::LogEntry;

use super::frame::{Decoded, HEAD, decode, size};
use super::source::Source;

/// Bytes read at once, unless a record is larger. Records are parts of what was read at once, not copies.
const WINDOW: usize = 128 * 1024;

/// A place between two records of a segment.
pub struct Cursor<'a> {
    source: &'a mut Source,
    base: u64,
    /// Where the next record begins.
    position: u64,
    /// What lies beyond does not belong to the log.
    end: u64,
    buffer: Bytes,
    /// How much of the buffer is used up.
    used: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at `position` in the segment that begins at `base` and ends at `end`.
    pub fn new(source: &'a mut Source, base: u64, position: u64, end: u64) -> Self {
        Self { source, base, position, end, buffer: Bytes::new(), used: 0 }
    }

    /// Where the next record begins.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next record. `None` where there is none: at the end, or where something else lies.
    pub fn next(&mut self) -> io::Result<Option<LogEntry>> {
        let mut wanted = HEAD;
        loop {
            if !self.fill(wanted)? {
                return Ok(None);
            }
            match decode(&self.buffer, self.used, self.position) {
                Decoded::Record(entry) => {
                    let size = size(entry.bytes.len());
                    self.used += size as usize;
                    self.position += size;
                    return Ok(Some(entry));
                }
                Decoded::Part(whole) => wanted = whole,
                Decoded::Nothing => return Ok(None),
            }
        }
    }

    /// Has at least `wanted` bytes in the buffer; false when the segment has no more.
    fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        if self.buffer.len() - self.used >= wanted {
            return Ok(true);
        }
        let held = self.buffer.len() - self.used;
        let left = self.end.saturating_sub(self.position + held as u64);
        let more = WINDOW.max(wanted - held).min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut fresh = Vec::with_capacity(held + more);
        fresh.extend_from_slice(&self.buffer[self.used..]);
        fresh.resize(held + more, 0);
        let mut read = 0;
        while read < more {
            let at = self.position - self.base + (held + read) as u64;
            match self.source.read_at(&mut fresh[held + read..], at) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        fresh.truncate(held + read);
        (self.buffer, self.used) = (fresh.into(), 0);
        Ok(self.buffer.len() >= wanted)
    }
}
