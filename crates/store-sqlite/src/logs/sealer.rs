//! Compresses segments that do not grow any more: one thread, behind everything else.
//!
//! A segment is compressed into a file beside it, which is made durable, gets its name, and then the plain file
//! goes. Whenever the process ends, one of the two is whole; [`Log::load`](super::log::Log::load) removes the other.
//! Readers go on with the file that they opened. Why not as blobs: a group's segments would then lie in two places
//! that must agree (a name here for each digest there), and a blob is read whole, where a page of events wants a
//! hundredth of it.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use store::LogName;

use super::frame::SEGMENT_HEAD;
use super::log::{Segment, path_of, path_while_sealing};
use super::sealed::seal;
use super::shelf::{Shelf, Slot};
use crate::guard::sync_directory;

/// The lowest priority that Linux knows. Source: nice(2).
const LOWEST: i32 = 19;

#[derive(Debug, Default)]
struct Waiting {
    segments: VecDeque<(LogName, u64)>,
    closed: bool,
}

/// Segments that wait to be sealed.
#[derive(Debug, Default)]
pub struct Sealer {
    waiting: Mutex<Waiting>,
    more: Condvar,
}

impl Sealer {
    /// Has segments sealed at some time.
    pub fn add(&self, log: &LogName, bases: impl IntoIterator<Item = u64>) {
        let mut waiting = self.lock();
        waiting.segments.extend(bases.into_iter().map(|base| (log.clone(), base)));
        self.more.notify_one();
    }

    /// Ends the thread after the segment that it is about; the others wait for the next start.
    pub fn close(&self) {
        self.lock().closed = true;
        self.more.notify_one();
    }

    /// Works until closed.
    pub fn run(&self, shelf: &Shelf) {
        // A thread that cannot be made slow is not worth stopping for.
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), LOWEST);
        while let Some((log, base)) = self.next() {
            if let Err(error) = seal_segment(shelf, &log, base) {
                tracing::warn!(%error, %log, base, "a log segment is left uncompressed");
            }
        }
    }

    fn next(&self) -> Option<(LogName, u64)> {
        let idle = |waiting: &mut Waiting| waiting.segments.is_empty() && !waiting.closed;
        let waiting = self.more.wait_while(self.lock(), idle);
        let mut waiting = waiting.expect("nobody panics while holding what waits");
        let next = waiting.segments.pop_front();
        next.filter(|_| !waiting.closed)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("nobody panics while holding what waits")
    }
}

/// Seals a segment, unless it went or was sealed meanwhile.
fn seal_segment(shelf: &Shelf, name: &LogName, base: u64) -> io::Result<()> {
    // Held all the time, so that nobody looks the log up anew and takes our file for a left-over.
    let slot = shelf.slot(name);
    let Some((segment, directory)) = (match &*shelf.look(name, &slot)? {
        Slot::Present(log) => log.to_seal(base).map(|segment| (segment, log.directory().to_owned())),
        Slot::Unknown | Slot::Absent => None,
    }) else {
        return Ok(());
    };
    let staged = path_while_sealing(&directory, base);
    let written = match write(&segment, &staged) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        written => written.inspect_err(|_| drop(std::fs::remove_file(&staged))),
    };
    let bytes = written?;
    {
        let mut known = slot.lock().expect("nobody panics while holding a slot");
        match &mut *known {
            Slot::Present(log) if log.to_seal(base).as_ref() == Some(&segment) => {
                match std::fs::rename(&staged, path_of(&directory, base, true)) {
                    // Another log has this name now, and our file went with the one before.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                    renamed => renamed?,
                }
                log.sealed(base, bytes);
            }
            _ => {
                let _ = std::fs::remove_file(&staged);
                return Ok(());
            }
        }
    }
    sync_directory(&directory)?;
    match std::fs::remove_file(&segment.path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes the sealed form of a segment, durably; answers its size.
fn write(segment: &Segment, staged: &std::path::Path) -> io::Result<u64> {
    let plain = File::open(&segment.path)?;
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(staged)?;
    let read = |buffer: &mut [u8], offset| plain.read_exact_at(buffer, SEGMENT_HEAD + offset);
    seal(&mut file, segment.base, segment.end - segment.base, read)?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

/// The thread's work.
pub fn run(shelf: &Arc<Shelf>) {
    shelf.sealer.run(shelf);
}
