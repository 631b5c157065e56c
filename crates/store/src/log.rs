//! Logs: records in the order in which they were appended.

use std::fmt;
use std::sync::Arc;

use base::clock::Timestamp;
use base::limits::{LOG_APPEND_BYTES, LOG_RECORD_BYTES, STORE_KEY_BYTES};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::error::within;

/// The name of a log: `<owner-prefix>/<account>/<region>/...`. Any text. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogName(Arc<str>);

impl LogName {
    /// A name; the owner of its prefix knows its shape.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A place in one log. It never moves; later records have larger ones, with gaps between them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogPosition(pub u64);

impl LogPosition {
    /// Before the first record.
    pub const START: Self = Self(0);
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A record to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// When what it tells happened, as its writer says.
    pub timestamp: Timestamp,
    /// What it tells.
    pub bytes: Bytes,
}

impl LogRecord {
    /// Whether a batch for `log` is within `base::limits`; answers its bytes. Backends ask before anything else.
    pub fn check(log: &LogName, records: &[Self]) -> Result<usize, StoreError> {
        within("a log name", log.as_str().len(), STORE_KEY_BYTES)?;
        for record in records {
            within("a log record", record.bytes.len(), LOG_RECORD_BYTES)?;
        }
        let bytes = records.iter().map(|record| record.bytes.len()).sum();
        within("a batch of log records", bytes, LOG_APPEND_BYTES)?;
        Ok(bytes)
    }
}

/// A record that was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Where it is.
    pub position: LogPosition,
    /// When what it tells happened, as its writer said.
    pub timestamp: Timestamp,
    /// When it was appended.
    pub ingested: Timestamp,
    /// What it tells.
    pub bytes: Bytes,
}

/// Some records of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogPage {
    /// The records, in the order of the log. Empty at the end (reading back, at the start) of the log.
    pub entries: Vec<LogEntry>,
    /// Where the next page begins (reading back, ends).
    pub next: LogPosition,
}

/// Where a log starts, and what it takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogUsage {
    /// Before its first record.
    pub start: LogPosition,
    /// Where it would start if the least was trimmed that can be; `start` when there is nothing to trim.
    pub next: LogPosition,
    /// Bytes on disk.
    pub bytes: u64,
}

/// What all logs take, and the disk that they are on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogSpace {
    /// Bytes of all logs on disk.
    pub logs: u64,
    /// The disk; `None` where there is none.
    pub disk: Option<Disk>,
}

/// The size of a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// What may still be written.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

/// When an append answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Once written; a background thread makes it durable within a second.
    Background,
    /// Once durable.
    Now,
}
