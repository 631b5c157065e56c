//! One log's directory.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::cursor::Cursor;
use super::frame::{SEGMENT_HEAD, segment_head};

/// What is known of a log that exists: no descriptor is held.
#[derive(Debug)]
pub struct Log {
    directory: PathBuf,
    /// Positions at which segments begin, ascending; never empty.
    bases: Vec<u64>,
    end: u64,
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
}

impl Log {
    /// Makes the directory of a new log, and its first segment.
    pub fn create(directory: &Path) -> io::Result<(Self, File)> {
        match DirBuilder::new().mode(0o700).create(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let file = create_segment(directory, 0)?;
        Ok((Self { directory: directory.to_owned(), bases: vec![0], end: 0 }, file))
    }

    /// Looks a log up, and cuts off what was not wholly written when an earlier process ended.
    pub fn load(directory: &Path) -> io::Result<Option<Self>> {
        let mut bases = match list(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bases => bases?,
        };
        while let Some(&base) = bases.last() {
            if let Some(end) = repair(directory, base)? {
                return Ok(Some(Self { directory: directory.to_owned(), bases, end }));
            }
            bases.pop();
        }
        Ok(None)
    }

    /// The position after the last record.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The segment that grows.
    pub fn last(&self) -> Segment {
        let base = *self.bases.last().expect("a log has at least one segment");
        Segment { path: path_of(&self.directory, base), base, end: self.end }
    }

    /// The directory, whose names must be durable for new segments to be.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The segments that hold what comes at or after `from`, ascending.
    pub fn from(&self, from: u64) -> Vec<Segment> {
        let first = self.bases.partition_point(|&base| base <= from).saturating_sub(1);
        let ends = self.bases[first..].iter().skip(1).copied().chain([self.end]);
        let bases = self.bases[first..].iter().copied();
        bases
            .zip(ends)
            .map(|(base, end)| Segment { path: path_of(&self.directory, base), base, end })
            .collect()
    }

    /// The segments that hold what comes before `before`, descending.
    pub fn until(&self, before: u64) -> Vec<Segment> {
        let mut segments = self.from(0);
        segments.retain(|segment| segment.base < before);
        segments.reverse();
        segments
    }

    /// Starts a new segment behind the last one, which must be durable: else a power cut could leave a gap.
    pub fn roll(&mut self) -> io::Result<File> {
        let file = create_segment(&self.directory, self.end)?;
        self.bases.push(self.end);
        Ok(file)
    }

    /// Writes whole records at the end. What a failed write leaves is written over by the next.
    pub fn write(&mut self, file: &File, bytes: &[u8]) -> io::Result<()> {
        let base = *self.bases.last().expect("a log has at least one segment");
        file.write_all_at(bytes, SEGMENT_HEAD + (self.end - base))?;
        self.end += bytes.len() as u64;
        Ok(())
    }
}

fn path_of(directory: &Path, base: u64) -> PathBuf {
    directory.join(format!("{base:020}.log"))
}

fn list(directory: &Path) -> io::Result<Vec<u64>> {
    let mut bases = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let base = name
            .to_str()
            .and_then(|name| name.strip_suffix(".log"))
            .and_then(|name| name.parse::<u64>().ok());
        bases.extend(base);
    }
    bases.sort_unstable();
    Ok(bases)
}

fn create_segment(directory: &Path, base: u64) -> io::Result<File> {
    // A file that is there was made by a process that ended before it wrote a record.
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(path_of(directory, base))?;
    file.write_all_at(&segment_head(base), 0)?;
    Ok(file)
}

/// Cuts the last segment after its last whole record and answers the position there.
///
/// `None` when the file does not begin as a segment does: it was made and nothing more, or a power cut took its
/// start. It is set aside and not removed, for people to look at.
fn repair(directory: &Path, base: u64) -> io::Result<Option<u64>> {
    let path = path_of(directory, base);
    let file = OpenOptions::new().read(true).write(true).open(&path)?;
    let length = file.metadata()?.len();
    let mut head = [0; SEGMENT_HEAD as usize];
    if length < SEGMENT_HEAD || file.read_exact_at(&mut head, 0).is_err() || head != segment_head(base) {
        tracing::warn!(path = %path.display(), length, "a log segment has no beginning and is set aside");
        std::fs::rename(&path, path.with_extension("damaged"))?;
        return Ok(None);
    }
    let mut cursor = Cursor::new(&file, base, base, base + (length - SEGMENT_HEAD));
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
