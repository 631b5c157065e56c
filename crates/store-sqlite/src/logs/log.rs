//! One log's directory.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use store::{LogPosition, LogUsage};

use super::cursor::Cursor;
use super::frame::{SEGMENT_HEAD, segment_head};
use super::sealed::Sealed;
use super::source::Source;
use crate::guard::sync_directory;

/// Bytes on disk of all logs.
#[derive(Debug, Default)]
pub struct Used(AtomicU64);

impl Used {
    /// What is kept.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// So many more.
    pub fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many fewer.
    pub fn subtract(&self, bytes: u64) {
        // Never below nothing: files that other hands removed are subtracted too.
        let _ =
            self.0.try_update(Ordering::Relaxed, Ordering::Relaxed, |used| Some(used.saturating_sub(bytes)));
    }
}

/// What is known of a log that exists: no descriptor is held.
#[derive(Debug)]
pub struct Log {
    directory: PathBuf,
    /// Its segments, ascending; never empty, and the last is not sealed.
    parts: Vec<Part>,
    end: u64,
    used: Arc<Used>,
}

/// A segment's file.
#[derive(Debug, Clone, Copy)]
struct Part {
    base: u64,
    sealed: bool,
    /// Its size.
    bytes: u64,
}

/// A part of a log that is in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The file.
    pub path: PathBuf,
    /// The position of its first record.
    pub base: u64,
    /// The position after its last record.
    pub end: u64,
    /// Whether it is compressed.
    pub sealed: bool,
}

impl Log {
    /// Makes the directory of a new log, and its first segment.
    pub fn create(directory: &Path, used: Arc<Used>) -> io::Result<(Self, File)> {
        match DirBuilder::new().mode(0o700).create(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let file = create_segment(directory, 0)?;
        used.add(SEGMENT_HEAD);
        let parts = vec![Part { base: 0, sealed: false, bytes: SEGMENT_HEAD }];
        Ok((Self { directory: directory.to_owned(), parts, end: 0, used }, file))
    }

    /// Looks a log up, and cuts off what was not wholly written when an earlier process ended.
    pub fn load(directory: &Path, used: Arc<Used>) -> io::Result<Option<Self>> {
        let mut parts = match list(directory, &used) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            parts => parts?,
        };
        let end = loop {
            let Some(last) = parts.last_mut() else { return Ok(None) };
            if last.sealed {
                // The segment behind it had no beginning: a power cut took what nobody was told is durable.
                let path = path_of(directory, last.base, true);
                let end = last.base + Sealed::open(File::open(path)?, last.base)?.length();
                create_segment(directory, end)?.sync_all()?;
                sync_directory(directory)?;
                used.add(SEGMENT_HEAD);
                parts.push(Part { base: end, sealed: false, bytes: SEGMENT_HEAD });
                break end;
            }
            let repaired = repair(directory, last.base)?;
            let kept = repaired.map_or(0, |end| SEGMENT_HEAD + (end - last.base));
            used.subtract(last.bytes - kept);
            last.bytes = kept;
            match repaired {
                Some(end) => break end,
                None => drop(parts.pop()),
            }
        };
        Ok(Some(Self { directory: directory.to_owned(), parts, end, used }))
    }

    /// The position after the last record.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Where it starts, and what it takes.
    pub fn usage(&self) -> LogUsage {
        let start = self.parts.first().map_or(self.end, |part| part.base);
        let next = self.parts.get(1).map_or(self.end, |part| part.base);
        let bytes = self.parts.iter().map(|part| part.bytes).sum();
        LogUsage { start: LogPosition(start), next: LogPosition(next), bytes }
    }

    /// The segment that grows.
    pub fn last(&self) -> Segment {
        self.segment(self.parts.len() - 1)
    }

    /// The directory, whose names must be durable for new segments to be.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The segments that hold what comes at or after `from`, ascending.
    pub fn from(&self, from: u64) -> Vec<Segment> {
        let first = self.parts.partition_point(|part| part.base <= from).saturating_sub(1);
        (first..self.parts.len()).map(|number| self.segment(number)).collect()
    }

    /// The segments that hold what comes before `before`, descending.
    pub fn until(&self, before: u64) -> Vec<Segment> {
        let mut segments = self.from(0);
        segments.retain(|segment| segment.base < before);
        segments.reverse();
        segments
    }

    /// The segments that do not grow any more and are not sealed.
    pub fn unsealed(&self) -> Vec<u64> {
        let [grown @ .., _] = &self.parts[..] else { return Vec::new() };
        grown.iter().filter(|part| !part.sealed).map(|part| part.base).collect()
    }

    /// The unsealed segment at this base, if it does not grow any more.
    pub fn to_seal(&self, base: u64) -> Option<Segment> {
        self.unsealed().contains(&base).then(|| self.from(base).swap_remove(0))
    }

    /// The segment's records are in a sealed file of this size, too; from now on they are read there.
    pub fn sealed(&mut self, base: u64, bytes: u64) {
        if let Some(part) = self.parts.iter_mut().find(|part| part.base == base) {
            self.used.add(bytes);
            self.used.subtract(part.bytes);
            (part.sealed, part.bytes) = (true, bytes);
        }
    }

    /// Starts a new segment behind the last one, which must be durable: else a power cut could leave a gap.
    pub fn roll(&mut self) -> io::Result<File> {
        let file = create_segment(&self.directory, self.end)?;
        self.used.add(SEGMENT_HEAD);
        self.parts.push(Part { base: self.end, sealed: false, bytes: SEGMENT_HEAD });
        Ok(file)
    }

    /// Removes the first segment when all that is in it is before `before`; answers whether it did.
    ///
    /// Directories keep the order of what is removed from them, so that a power cut leaves no gap.
    pub fn trim_one(&mut self, before: u64) -> io::Result<bool> {
        let [first, second, ..] = self.parts[..] else { return Ok(false) };
        if second.base > before {
            return Ok(false);
        }
        match std::fs::remove_file(path_of(&self.directory, first.base, first.sealed)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.used.subtract(first.bytes);
        self.parts.remove(0);
        Ok(true)
    }

    /// Writes whole records at the end. What a failed write leaves is written over by the next.
    pub fn write(&mut self, file: &File, bytes: &[u8]) -> io::Result<()> {
        let last = self.parts.last_mut().expect("a log has at least one segment");
        file.write_all_at(bytes, SEGMENT_HEAD + (self.end - last.base))?;
        self.end += bytes.len() as u64;
        last.bytes += bytes.len() as u64;
        self.used.add(bytes.len() as u64);
        Ok(())
    }

    fn segment(&self, number: usize) -> Segment {
        let Part { base, sealed, .. } = self.parts[number];
        let end = self.parts.get(number + 1).map_or(self.end, |next| next.base);
        Segment { path: path_of(&self.directory, base, sealed), base, end, sealed }
    }
}

/// Where a segment is.
pub fn path_of(directory: &Path, base: u64, sealed: bool) -> PathBuf {
    directory.join(format!("{base:020}.{}", if sealed { "zst" } else { "log" }))
}

/// Where a segment is sealed until it is durable.
pub fn path_while_sealing(directory: &Path, base: u64) -> PathBuf {
    directory.join(format!("{base:020}.sealing"))
}

/// The segments of a directory. Ends what an earlier process did not get to: of each segment one file is left.
fn list(directory: &Path, used: &Used) -> io::Result<Vec<Part>> {
    let mut parts = BTreeMap::<u64, Part>::new();
    let remove = |path: &Path, bytes: u64| {
        used.subtract(bytes);
        std::fs::remove_file(path)
    };
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let (name, path, bytes) = (entry.file_name(), entry.path(), entry.metadata()?.len());
        let Some((base, kind)) = name.to_str().and_then(|name| name.split_once('.')) else { continue };
        let Ok(base) = base.parse::<u64>() else { continue };
        let part = match kind {
            "log" => Part { base, sealed: false, bytes },
            "zst" => Part { base, sealed: true, bytes },
            "sealing" => {
                remove(&path, bytes)?;
                continue;
            }
            _ => continue,
        };
        if let Some(other) = parts.insert(base, part) {
            // A sealed file has its name only when it is whole and durable.
            let plain = if other.sealed { part } else { other };
            remove(&path_of(directory, base, false), plain.bytes)?;
            parts.insert(base, if other.sealed { other } else { part });
        }
    }
    Ok(parts.into_values().collect())
}

fn create_segment(directory: &Path, base: u64) -> io::Result<File> {
    // A file that is there was made by a process that ended before it wrote a record.
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(path_of(directory, base, false))?;
    file.write_all_at(&segment_head(base), 0)?;
    Ok(file)
}

/// Cuts the last segment after its last whole record and answers the position there.
///
/// `None` when the file does not begin as a segment does: it was made and nothing more, or a power cut took its
/// start. It is set aside and not removed, for people to look at.
fn repair(directory: &Path, base: u64) -> io::Result<Option<u64>> {
    let path = path_of(directory, base, false);
    let file = OpenOptions::new().read(true).write(true).open(&path)?;
    let length = file.metadata()?.len();
    let mut head = [0; SEGMENT_HEAD as usize];
    if length < SEGMENT_HEAD || file.read_exact_at(&mut head, 0).is_err() || head != segment_head(base) {
        tracing::warn!(path = %path.display(), length, "a log segment has no beginning and is set aside");
        std::fs::rename(&path, path.with_extension("damaged"))?;
        return Ok(None);
    }
    let mut source = Source::Plain(file.try_clone()?);
    let mut cursor = Cursor::new(&mut source, base, base, base + (length - SEGMENT_HEAD));
    while cursor.next()?.is_some() {}
    let kept = SEGMENT_HEAD + (cursor.position() - base);
    if kept < length {
        let lost = length - kept;
        tracing::warn!(path = %path.display(), lost, "a log record that was not wholly written is cut off");
        file.set_len(kept)?;
        file.sync_all()?;
    }
    Ok(Some(cursor.position()))
}
