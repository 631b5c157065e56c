//! What a function uses, read from outside.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{CWD, Mode, OFlags};

use crate::cgroups::read_file;
use crate::sys::family;

/// Version 1's file with the most that a group held since somebody wrote to it.
pub(crate) const HIGH_MARK: &str = "memory.max_usage_in_bytes";

/// Longest number in a group's file, in bytes, with the end of its line.
const NUMBER_BYTES: usize = 24;

/// Reads one sandbox's memory. The reads are short and blocking.
///
/// It holds the function's directory in the memory hierarchy and opens its files anew for each reading: version 1
/// repeats an old list of processes to whoever keeps that file open.
#[derive(Debug)]
pub struct Meter {
    directory: OwnedFd,
    /// Whether the directory is that of an init in the process file system, whose descendants are measured.
    family: bool,
    highest: AtomicU64,
    /// Version 1's most that the group held since its watch looked last. Kept open, for each answer asks it.
    mark: OnceLock<Option<OwnedFd>>,
}

impl Meter {
    pub(crate) fn new(directory: OwnedFd) -> Self {
        Self::reading(directory, false)
    }

    /// Measures the descendants of the process whose `/proc/<pid>` this is.
    pub(crate) fn of_family(directory: OwnedFd) -> Self {
        Self::reading(directory, true)
    }

    fn reading(directory: OwnedFd, family: bool) -> Self {
        Self { directory, family, highest: AtomicU64::new(0), mark: OnceLock::new() }
    }

    /// The most bytes that the function's processes and files held together since the init looked after them last;
    /// none where the kernel does not keep that, as in version 2, which slows down who takes too much.
    pub fn high_mark(&self) -> Option<u64> {
        let open = || {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            rustix::fs::openat(&self.directory, HIGH_MARK, flags, Mode::empty()).ok()
        };
        self.mark.get_or_init(open).as_ref().map(number)
    }

    /// The processes to measure, one a line.
    fn members(&self) -> std::io::Result<String> {
        if !self.family {
            return read_file(self.directory.as_fd(), "cgroup.procs");
        }
        let stat = read_file(self.directory.as_fd(), "stat")?;
        let init =
            stat.split(' ').next().and_then(|pid| pid.parse().ok()).and_then(rustix::process::Pid::from_raw);
        let members = init.map(family::descendants).unwrap_or_default();
        Ok(members.iter().map(|pid| format!("{}\n", pid.as_raw_nonzero())).collect())
    }

    /// Most memory that the function's processes held, in bytes, as far as seen at the calls until now.
    ///
    /// The sum, over the processes that run, of each one's highest resident set (`VmHWM`) without the pages of files
    /// and shared memory it maps now: neither page cache nor `/tmp` count. What a process shares with its parent
    /// counts for both. A process that ended between two calls is not seen; where no call saw any, the kernel's peak
    /// without the files that are in memory now stands for them.
    pub fn max_memory(&self) -> u64 {
        let processes = self.members().unwrap_or_default();
        let now = processes.lines().filter_map(own_memory).sum();
        match self.highest.fetch_max(now, Ordering::Relaxed).max(now) {
            0 => self.peak(),
            highest => highest,
        }
    }

    fn peak(&self) -> u64 {
        // The first is version 2's file, the second version 1's; so are the fields.
        let peak = ["memory.peak", HIGH_MARK]
            .into_iter()
            .find_map(|file| read_file(self.directory.as_fd(), file).ok()?.trim().parse::<u64>().ok());
        let stat = read_file(self.directory.as_fd(), "memory.stat").unwrap_or_default();
        let files = ["file", "cache"].into_iter().find_map(|field| value(&stat, field));
        peak.unwrap_or(0).saturating_sub(files.unwrap_or(0))
    }
}

/// The number that a group's open file holds now; 0 when it cannot be read.
pub(crate) fn number(file: &OwnedFd) -> u64 {
    let mut text = [0; NUMBER_BYTES];
    let length = rustix::io::pread(file, &mut text, 0).unwrap_or(0);
    str::from_utf8(&text[..length]).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// The most that a process held for itself, in bytes; none when there is no such process.
pub(crate) fn own_memory(pid: &str) -> Option<u64> {
    let status = read_file(CWD, &format!("/proc/{pid}/status")).ok()?;
    Some(own_memory_of(&status))
}

/// Bytes, from the text of `/proc/<pid>/status`.
fn own_memory_of(status: &str) -> u64 {
    let kilobytes = |name| value(status, name).unwrap_or(0);
    let mapped = kilobytes("RssFile:") + kilobytes("RssShmem:");
    1024 * kilobytes("VmHWM:").saturating_sub(mapped).max(kilobytes("RssAnon:"))
}

/// The number behind `name` at the start of a line.
pub(crate) fn value(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == name).then(|| words.next()?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_counts_with_its_peak_without_files() {
        let status = "Name:\tpython3\nVmHWM:\t  30000 kB\nVmRSS:\t  20000 kB\nRssAnon:\t  12000 kB\nRssFile:\t   7000 kB\nRssShmem:\t   1000 kB\n";
        assert_eq!(own_memory_of(status), 22_000 * 1024);
        assert_eq!(own_memory_of("Name:\tkthread\n"), 0);
    }

    #[test]
    fn kills_are_read_from_either_version() {
        assert_eq!(value("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", "oom_kill"), Some(3));
        assert_eq!(value("low 0\nmax 12\noom 2\noom_kill 1\noom_group_kill 0\n", "oom_kill"), Some(1));
        assert_eq!(value("oom_kill_disable 0\n", "oom_kill"), None);
    }
}
