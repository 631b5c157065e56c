//! Reading logs. Only the place of the segments is looked up under a lock; their records never change.

use std::collections::VecDeque;
use std::io;

use store::{LogEntry, LogName, LogPage, LogPosition, LogSpace, LogUsage, StoreError};

use super::cursor::Cursor;
use super::log::Segment;
use super::shelf::{Shelf, Slot};
use super::source::Source;

/// How often files are looked up anew when they went between the look and their opening.
const ATTEMPTS: usize = 16;

/// The position after the last record.
pub fn end(shelf: &Shelf, name: &LogName) -> Result<LogPosition, StoreError> {
    let (_, end) = segments(shelf, name, |_| Vec::new())?;
    Ok(end)
}

/// See [`store::Store::log_usage`].
pub fn usage(shelf: &Shelf, name: &LogName) -> Result<LogUsage, StoreError> {
    let slot = shelf.slot(name);
    let known = shelf.look(name, &slot).map_err(refused)?;
    Ok(match &*known {
        Slot::Present(log) => log.usage(),
        Slot::Unknown | Slot::Absent => LogUsage::default(),
    })
}

/// See [`store::Store::log_space`].
pub fn space(shelf: &Shelf) -> Result<LogSpace, StoreError> {
    shelf.space().map_err(|error| StoreError::io("measuring the disk", error))
}

/// See [`store::Store::read`].
pub fn read(
    shelf: &Shelf,
    name: &LogName,
    from: LogPosition,
    max_bytes: usize,
) -> Result<LogPage, StoreError> {
    attempt(name, || {
        let (segments, end) = segments(shelf, name, |log| log.from(from.0))?;
        let mut page = Page { entries: Vec::new(), room: max_bytes, next: from.0.min(end.0) };
        for segment in segments {
            if page.next >= end.0 {
                break;
            }
            let Some(mut source) = open(&segment)? else {
                return Ok(None);
            };
            let full = page.read(&segment, &mut source).map_err(refused)?;
            if full {
                break;
            }
            if page.next < segment.end {
                return Err(damaged(name, page.next));
            }
        }
        Ok(Some(LogPage { entries: page.entries, next: LogPosition(page.next) }))
    })
}

/// Reads until no file went meanwhile: it was trimmed, dropped, or replaced by its sealed form.
fn attempt(
    name: &LogName,
    mut read: impl FnMut() -> Result<Option<LogPage>, StoreError>,
) -> Result<LogPage, StoreError> {
    for _ in 0..ATTEMPTS {
        if let Some(page) = read()? {
            return Ok(page);
        }
    }
    Err(StoreError::Corrupt(format!("log {name} lacks a file")))
}

struct Page {
    entries: Vec<LogEntry>,
    room: usize,
    next: u64,
}

impl Page {
    /// Adds what fits of a segment; answers whether the page is full.
    fn read(&mut self, segment: &Segment, source: &mut Source) -> io::Result<bool> {
        let from = self.next.max(segment.base);
        let mut cursor = Cursor::new(source, segment.base, from, segment.end);
        let mut entry = cursor.next()?;
        if entry.is_none() {
            // `from` lies inside a record: only from the start of the segment can the next one be found.
            cursor = Cursor::new(source, segment.base, segment.base, segment.end);
            entry = cursor.next()?;
            while entry.as_ref().is_some_and(|entry| entry.position.0 < from) {
                entry = cursor.next()?;
            }
        }
        while let Some(fitting) = entry {
            if !self.entries.is_empty() && fitting.bytes.len() > self.room {
                return Ok(true);
            }
            self.room = self.room.saturating_sub(fitting.bytes.len());
            self.next = cursor.position();
            self.entries.push(fitting);
            entry = cursor.next()?;
        }
        self.next = self.next.max(cursor.position());
        Ok(false)
    }
}

/// See [`store::Store::read_back`].
pub fn read_back(
    shelf: &Shelf,
    name: &LogName,
    before: LogPosition,
    max_bytes: usize,
) -> Result<LogPage, StoreError> {
    attempt(name, || {
        let (segments, _) = segments(shelf, name, |log| log.until(before.0))?;
        for segment in segments {
            let Some(mut source) = open(&segment)? else {
                return Ok(None);
            };
            let mut cursor = Cursor::new(&mut source, segment.base, segment.base, segment.end);
            let mut entries = VecDeque::new();
            let mut bytes = 0;
            while let Some(entry) = cursor.next().map_err(refused)? {
                if entry.position >= before {
                    break;
                }
                bytes += entry.bytes.len();
                entries.push_back(entry);
                while bytes > max_bytes && entries.len() > 1 {
                    bytes -= entries.pop_front().map_or(0, |oldest| oldest.bytes.len());
                }
            }
            if cursor.position() < segment.end.min(before.0) {
                return Err(damaged(name, cursor.position()));
            }
            if let Some(first) = entries.front() {
                let next = first.position;
                return Ok(Some(LogPage { entries: entries.into(), next }));
            }
        }
        Ok(Some(LogPage::default()))
    })
}

/// The wanted segments and the end of a log; none when it does not exist.
fn segments(
    shelf: &Shelf,
    name: &LogName,
    wanted: impl FnOnce(&super::log::Log) -> Vec<Segment>,
) -> Result<(Vec<Segment>, LogPosition), StoreError> {
    let slot = shelf.slot(name);
    let known = shelf.look(name, &slot).map_err(refused)?;
    Ok(match &*known {
        Slot::Present(log) => (wanted(log), LogPosition(log.end())),
        Slot::Unknown | Slot::Absent => (Vec::new(), LogPosition::START),
    })
}

/// The file of a segment; none when it went meanwhile.
fn open(segment: &Segment) -> Result<Option<Source>, StoreError> {
    match Source::open(segment) {
        Ok(source) => Ok(Some(source)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(refused(error)),
    }
}

fn refused(error: io::Error) -> StoreError {
    if error.kind() == io::ErrorKind::InvalidData {
        return StoreError::Corrupt(error.to_string());
    }
    StoreError::io("reading a log", error)
}

fn damaged(name: &LogName, position: u64) -> StoreError {
    StoreError::Corrupt(format!("log {name} at position {position}"))
}
