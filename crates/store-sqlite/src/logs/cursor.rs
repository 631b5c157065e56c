//! Reads the records of one segment file, forward.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use store::LogEntry;

use super::frame::{Decoded, HEAD, SEGMENT_HEAD, decode, size};

/// Bytes read at once, unless a record is larger.
const WINDOW: usize = 64 * 1024;

/// A place between two records of a segment.
pub struct Cursor<'a> {
    file: &'a File,
    base: u64,
    /// Where the next record begins.
    position: u64,
    /// What lies beyond does not belong to the log.
    end: u64,
    buffer: Vec<u8>,
    /// How much of the buffer is used up.
    used: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at `position` in the segment that begins at `base` and ends at `end`.
    pub fn new(file: &'a File, base: u64, position: u64, end: u64) -> Self {
        Self { file, base, position, end, buffer: Vec::new(), used: 0 }
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
            match decode(&self.buffer[self.used..], self.position) {
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
        self.buffer.drain(..self.used);
        self.used = 0;
        let held = self.buffer.len();
        let left = self.end.saturating_sub(self.position + held as u64);
        let more = WINDOW.max(wanted - held).min(usize::try_from(left).unwrap_or(usize::MAX));
        self.buffer.resize(held + more, 0);
        let mut read = 0;
        while read < more {
            let at = SEGMENT_HEAD + (self.position - self.base) + (held + read) as u64;
            match self.file.read_at(&mut self.buffer[held + read..], at) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.buffer.truncate(held + read);
        Ok(self.buffer.len() >= wanted)
    }
}
