//! Unpacking archives and removing directories, each in a short-lived helper.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use base::clock::Timestamp;
use rustix::fs::{FileType, Gid, Mode, OFlags, RenameFlags, Uid};
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Signal, WaitStatus};

use super::desk::Outbox;
use super::house::{DOOMED, House, UNFINISHED, doom, entries, remove_directory};
use crate::identity::CODE_OWNER_UID;
use crate::limits::{ARCHIVES_WAITING, CHORE_TIME, CHORES_AT_ONCE, UNPACK_REPORT_BYTES};
use crate::plan::plain::ROOM;
use crate::plan::{names, rooms};
use crate::requests::Outcome;
use crate::seccomp::{self, Program};
use crate::setup::{Isolation, Unpack};
use crate::sys::{self, process};
use crate::unpack::{self, Target, Unpacking};

/// Every chore of this launcher.
pub(super) struct Chores {
    code: OwnedFd,
    unpack: Unpack,
    isolation: Isolation,
    filter: Program,
    waiting: VecDeque<Task>,
    busy: HashMap<Pid, Chore>,
}

/// Something to do.
enum Task {
    Unpack { ticket: u64, name: String, archive: OwnedFd },
    Clear { entry: String },
}

/// Something being done.
struct Chore {
    deadline: Timestamp,
    kind: Kind,
}

enum Kind {
    Unpack { ticket: u64, name: String, report: OwnedFd },
    Clear { entry: String },
}

impl Chores {
    pub(super) fn new(house: &House, unpack: Unpack, isolation: Isolation) -> Self {
        let leftovers = entries(&house.code).unwrap_or_default().into_iter();
        let leftovers =
            leftovers.filter(|name| [UNFINISHED, DOOMED, ROOM].iter().any(|left| name.starts_with(left)));
        Self {
            code: house.code.try_clone().expect("a launcher that starts has descriptors left"),
            unpack,
            isolation,
            filter: seccomp::compile(&seccomp::unpacker()),
            waiting: leftovers.map(|entry| Task::Clear { entry }).collect(),
            busy: HashMap::new(),
        }
    }

    /// Takes a request to unpack.
    pub(super) fn request_unpack(
        &mut self,
        ticket: u64,
        name: String,
        archive: Option<OwnedFd>,
        outbox: &mut Outbox,
    ) {
        let waiting = self.waiting.iter().filter(|task| matches!(task, Task::Unpack { .. })).count();
        let is_welcome = |archive: &OwnedFd| {
            waiting < ARCHIVES_WAITING && names::is_code_name(&name) && is_archive(archive)
        };
        match archive.filter(is_welcome) {
            Some(archive) => self.waiting.push_back(Task::Unpack { ticket, name, archive }),
            None => outbox.answer(ticket, Outcome::NotUnpacked),
        }
    }

    /// Takes a request to remove: the name is free at once, the files go when there is time.
    pub(super) fn request_remove(&mut self, ticket: u64, name: &str, outbox: &mut Outbox) {
        if names::is_code_name(name) {
            self.clear(doom(&self.code, name));
        }
        outbox.answer(ticket, Outcome::Removed);
    }

    /// Takes the name of a directory that is to go, which nobody uses any more.
    pub(super) fn request_clear(&mut self, entry: String) {
        self.waiting.push_back(Task::Clear { entry });
    }

    fn clear(&mut self, doomed: io::Result<Option<String>>) {
        match doomed {
            Ok(None) => {}
            Ok(Some(entry)) => self.waiting.push_back(Task::Clear { entry }),
            Err(error) => sys::say(format_args!("unpacked code cannot be removed: {error}")),
        }
    }

    /// Starts what waits and ends what takes too long.
    pub(super) fn advance(&mut self, now: Timestamp, outbox: &mut Outbox) {
        while self.busy.len() < CHORES_AT_ONCE
            && let Some(task) = self.waiting.pop_front()
        {
            let ticket = match &task {
                Task::Unpack { ticket, .. } => Some(*ticket),
                Task::Clear { .. } => None,
            };
            let started = match task {
                Task::Unpack { ticket, name, archive } => self.start_unpack(ticket, name, archive),
                Task::Clear { entry } => self.start_clear(entry),
            };
            match (started, ticket) {
                (Ok((pid, kind)), _) => {
                    self.busy.insert(pid, Chore { deadline: now + CHORE_TIME, kind });
                }
                (Err(_), Some(ticket)) => outbox.answer(ticket, Outcome::NotUnpacked),
                (Err(error), None) => sys::say(format_args!("unpacked code cannot be removed: {error}")),
            }
        }
        for (pid, _) in self.busy.iter().filter(|(_, chore)| chore.deadline < now) {
            kill(*pid);
        }
    }

    fn start_unpack(&self, ticket: u64, name: String, archive: OwnedFd) -> io::Result<(Pid, Kind)> {
        if rustix::fs::statat(&self.code, name.as_str(), rustix::fs::AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let entry = format!("{UNFINISHED}{name}");
        rustix::fs::mkdirat(&self.code, entry.as_str(), Mode::from_raw_mode(0o755))?;
        let forked = self.fork_unpack(&entry, archive);
        let (pid, report) = forked.inspect_err(|_| {
            let _ = remove_directory(&self.code, &entry);
        })?;
        Ok((pid, Kind::Unpack { ticket, name, report }))
    }

    fn fork_unpack(&self, entry: &str, archive: OwnedFd) -> io::Result<(Pid, OwnedFd)> {
        let directory = self.open(entry)?;
        let (report, reporter) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        let (unpack, filter) = (self.unpack, &self.filter);
        let (flags, into) = match self.isolation {
            Isolation::Full => {
                let owner = (Some(Uid::from_raw(CODE_OWNER_UID)), Some(Gid::from_raw(CODE_OWNER_UID)));
                rustix::fs::fchown(&directory, owner.0, owner.1)?;
                (libc::CLONE_NEWPID as u64, Target::Root(Path::new(rooms::CODE).join(entry)))
            }
            Isolation::None => (0, Target::Directory(directory.try_clone()?)),
        };
        rustix::fs::fchmod(&directory, Mode::from_raw_mode(0o755))?;
        let unpacking = Unpacking { archive, into, report: reporter, unpack, filter };
        let pid = process::spawn(flags, move || unpack::unpack(unpacking))?;
        Ok((pid, report))
    }

    fn start_clear(&self, entry: String) -> io::Result<(Pid, Kind)> {
        let directory = self.open(&entry)?;
        let isolation = self.isolation;
        let pid = process::spawn(0, move || unpack::clear(directory, isolation))?;
        Ok((pid, Kind::Clear { entry }))
    }

    fn open(&self, entry: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.code, entry, flags, Mode::empty())?)
    }

    /// Notes that a helper ended.
    pub(super) fn ended(&mut self, pid: Pid, status: WaitStatus, outbox: &mut Outbox) {
        let Some(Chore { kind, .. }) = self.busy.remove(&pid) else { return };
        match kind {
            Kind::Clear { entry } if status.exit_status() == Some(unpack::DONE) => {
                // What is left of it now goes at the next start.
                let _ = remove_directory(&self.code, &entry);
            }
            Kind::Clear { .. } => {}
            Kind::Unpack { ticket, name, report } => {
                self.unpacked(ticket, &name, status.exit_status(), report, outbox);
            }
        }
    }

    fn unpacked(
        &mut self,
        ticket: u64,
        name: &str,
        status: Option<i32>,
        report: OwnedFd,
        outbox: &mut Outbox,
    ) {
        let entry = format!("{UNFINISHED}{name}");
        // The helper has ended, so the pipe holds all it wrote and is closed behind it.
        let mut text = Vec::new();
        let read = File::from(report).take(UNPACK_REPORT_BYTES as u64).read_to_end(&mut text);
        let kept = read.is_ok()
            && status == Some(unpack::DONE)
            && rustix::fs::renameat_with(&self.code, &entry, &self.code, name, RenameFlags::NOREPLACE)
                .is_ok();
        if kept {
            outbox.send(ticket, Outcome::Unpacked, &text, Vec::new());
            return;
        }
        if status != Some(unpack::REFUSED) {
            text.clear();
        }
        // The name is free again before the refusal is heard.
        self.clear(doom(&self.code, &entry));
        outbox.send(ticket, Outcome::NotUnpacked, &text, Vec::new());
    }

    /// Ends all helpers and forgets what waits; what they leave is cleared at the next start. Rooms of functions without
    /// walls are cleared while there is time, for they hold what functions wrote.
    pub(super) fn abandon(&mut self) {
        let is_room = |entry: &str| entry.starts_with(ROOM);
        self.waiting.retain(|task| matches!(task, Task::Clear { entry } if is_room(entry)));
        for (pid, chore) in &self.busy {
            if !matches!(&chore.kind, Kind::Clear { entry } if is_room(entry)) {
                kill(*pid);
            }
        }
    }

    /// Whether a process is one of the helpers.
    pub(super) fn has(&self, pid: Pid) -> bool {
        self.busy.contains_key(&pid)
    }

    /// Whether a helper runs or is to.
    pub(super) fn is_busy(&self) -> bool {
        !self.busy.is_empty() || !self.waiting.is_empty()
    }

    /// Requests that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

/// Whether a descriptor is what an archive is: a regular file that can be read.
///
/// Anything else would hand the helper more than bytes: a directory leads out of its root, a socket elsewhere.
fn is_archive(descriptor: &OwnedFd) -> bool {
    let is_file = rustix::fs::fstat(descriptor)
        .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::RegularFile);
    let is_readable =
        |flags: OFlags| !flags.contains(OFlags::PATH) && flags & OFlags::RWMODE != OFlags::WRONLY;
    is_file && rustix::fs::fcntl_getfl(descriptor).is_ok_and(is_readable)
}

fn kill(helper: Pid) {
    // A helper is reaped only by this process, so its number cannot have gone to another.
    let _ = rustix::process::kill_process(helper, Signal::KILL);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_regular_file_that_can_be_read_is_an_archive() {
        let path = std::env::temp_dir().join(format!("samovar-archive-{}", std::process::id()));
        std::fs::write(&path, "PK").unwrap();
        let open = |flags: OFlags| rustix::fs::open(&path, flags | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let (pipe, _write) = rustix::pipe::pipe().unwrap();
        let directory = rustix::fs::open("/", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let (socket, _other) = crate::sys::packets::pair().unwrap();
        assert!(is_archive(&open(OFlags::RDONLY)) && is_archive(&open(OFlags::RDWR)));
        for other in [open(OFlags::WRONLY), open(OFlags::PATH), pipe, directory, socket] {
            assert!(!is_archive(&other), "{other:?}");
        }
        std::fs::remove_file(&path).unwrap();
    }
}
