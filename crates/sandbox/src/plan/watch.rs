//! How a function's own memory is kept within its limit while its `/tmp` may hold more.
//!
//! The kernel charges what is written to `/tmp` to the group of whoever writes it, as it does its processes' memory.
//! So the group's hard limit is the sum of both ([`hard_limit`]), which no honest function reaches, and the init keeps
//! the processes' own share within the function's memory: it looks when the group as a whole goes over that
//! ([`decide`]), and measures what is the processes' own ([`own_memory`]). On a busy machine it may look when too much
//! was taken and given back already: version 1 keeps what the group held at most, which tells of that.

use std::time::Duration;

use base::units::Mib;

use crate::limits::{
    MEMORY_GROWTH, MEMORY_STEP, PAGE_BYTES, SLOWEST_LOOK, SOONEST_LOOK, TMP_BYTES_PER_INODE, TMP_INODE_COST,
    TMP_PAGES_COST,
};
use crate::plan::groups::Version;
use crate::plan::rooms::tmp_bytes;

/// What a file system in memory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// Bytes of its files.
    pub bytes: u64,
    /// Number of its files.
    pub inodes: u64,
}

impl Held {
    /// What the kernel needs to keep the files, in bytes, beside their contents.
    fn upkeep(self) -> u64 {
        self.inodes * TMP_INODE_COST + self.bytes / TMP_PAGES_COST
    }
}

/// What the watch finds when it looks, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// What the group holds.
    pub usage: u64,
    /// Most that it held since the last look, and no less than [`Self::usage`].
    pub highest: u64,
    /// What of it is the processes' own; of no interest while [`Self::highest`] is within the limit.
    pub own: u64,
    /// Most that is known of what files held since the last look.
    pub files: u64,
}

/// What the watch does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Waits for the next alarm: all that the group holds is within the function's memory.
    Rest,
    /// Lets the group grow, and looks again.
    Follow {
        /// Bytes of the whole group at which the kernel shall raise the alarm again (version 2 alone).
        alarm: u64,
        /// When to look without an alarm: files may make room for memory of processes, which raises none.
        after: Duration,
    },
    /// Ends the largest process, and looks again after [`SOONEST_LOOK`].
    Kill,
    /// Ends the process that held more than the function's memory, if there is one: since the last look somebody took
    /// too much and gave it back. Files that came and went meanwhile look the same.
    Search,
}

/// What no part of a sandbox can exceed together, in bytes: its memory, a full `/tmp`, and what the kernel needs to
/// keep the files in it.
pub fn hard_limit(memory: Mib, tmp: Mib) -> u64 {
    let bytes = tmp_bytes(tmp);
    let full = Held { bytes, inodes: bytes / TMP_BYTES_PER_INODE };
    memory.bytes() + bytes + full.upkeep()
}

/// What to do when a group is found like this whose processes may hold `limit` bytes.
pub fn decide(limit: u64, Figures { usage, highest, own, files }: Figures) -> Step {
    if highest <= limit {
        return Step::Rest;
    }
    match limit.checked_sub(own) {
        None => Step::Kill,
        Some(_) if highest.saturating_sub(files) > limit => Step::Search,
        Some(_) if usage <= limit => Step::Rest,
        Some(room) => Step::Follow { alarm: usage + room.max(MEMORY_STEP), after: pace(room) },
    }
}

/// What version 1 is asked for so that the alarm rings when a group holds more than `bytes`: it rings at what it is asked
/// for, which is counted in pages, and whoever then looks shall find more.
pub const fn alarm_above(bytes: u64) -> u64 {
    bytes + PAGE_BYTES
}

/// Whether a group of version 1 that holds `usage` bytes raises an alarm before it exceeds `limit`, or when it does.
/// Each of `alarms` rings above so many bytes.
pub fn is_heard(alarms: &[u64], usage: u64, limit: u64) -> bool {
    alarms.iter().any(|alarm| (usage..=limit).contains(alarm))
}

/// Time in which processes cannot fill `room` bytes.
pub fn pace(room: u64) -> Duration {
    Duration::from_micros(room / (MEMORY_GROWTH / 1_000_000)).clamp(SOONEST_LOOK, SLOWEST_LOOK)
}

/// The processes' own memory, in bytes, from the group's `memory.stat`: what they hold alone, what they share (with
/// `/dev/shm`, but without `/tmp`), and what the kernel holds for them, without what keeps the files of `/tmp`.
///
/// `kernel` is version 1's `memory.kmem.usage_in_bytes`; version 2 has it among the rest.
pub fn own_memory(version: Version, stat: &str, kernel: u64, tmp: Held) -> u64 {
    let field = |wanted: &str| {
        stat.lines().find_map(|line| line.strip_prefix(wanted)?.strip_prefix(' ')?.parse().ok())
    };
    let sum = |names: &[&str]| names.iter().filter_map(|name| field(name)).sum();
    let (alone, kernel): (u64, u64) = match version {
        Version::V1 => (sum(&["rss"]), kernel),
        // Linux before 5.18 does not say the whole.
        Version::V2 => {
            let parts = || sum(&["kernel_stack", "pagetables", "slab"]);
            (sum(&["anon"]), field("kernel").unwrap_or_else(parts) + sum(&["sock"]))
        }
    };
    let shared = sum(&["shmem"]).saturating_sub(tmp.bytes);
    alone + shared + kernel.saturating_sub(tmp.upkeep())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    #[test]
    fn a_full_tmp_fits_beside_full_memory() {
        assert_eq!(hard_limit(Mib(128), Mib(512)) / MB, 128 + 513 + 80 + 2);
        assert!(hard_limit(Mib(10_240), Mib(10_240)) > 20_480 * MB);
    }

    /// Megabytes of which a limit of 128 is decided.
    fn figures(usage: u64, highest: u64, own: u64, files: u64) -> Step {
        let [usage, highest, own, files] = [usage, highest, own, files].map(|figure| figure * MB);
        decide(128 * MB, Figures { usage, highest, own, files })
    }

    #[test]
    fn who_took_too_much_and_gave_it_back_is_searched_for() {
        for (usage, highest, own, files, expected) in [
            (128, 128, 200, 0, Step::Rest),
            (20, 129, 20, 0, Step::Search),
            (20, 320, 20, 0, Step::Search),
            // Files that are gone, or still there, explain it.
            (20, 320, 20, 300, Step::Rest),
            (20, 320, 20, 191, Step::Search),
            (20, 320, 129, 300, Step::Kill),
        ] {
            assert_eq!(figures(usage, highest, own, files), expected, "{usage} {highest} {own} {files}");
        }
        let Step::Follow { .. } = figures(330, 340, 30, 300) else { panic!("its files are there") };
        assert_eq!(figures(330, 640, 30, 300), Step::Search);
    }

    #[test]
    fn only_own_memory_over_the_limit_kills() {
        for (usage, own, expected) in [
            (400, 128, Some((404, 2))),
            (400, 127, Some((404, 2))),
            (400, 28, Some((500, 13))),
            (2_000, 0, Some((2_128, 16))),
            (400, 129, None),
            (129, 129, None),
        ] {
            let step = figures(usage, usage, own, usage.saturating_sub(own));
            let told = match step {
                Step::Follow { alarm, after } => Some((alarm / MB, after.as_millis())),
                _ => None,
            };
            assert_eq!(told, expected, "{usage} {own}: {step:?}");
            assert_eq!(step == Step::Kill, expected.is_none());
        }
    }

    #[test]
    fn an_alarm_that_is_still_ahead_is_heard() {
        let alarms = [128 * MB, 512 * MB];
        for (usage, limit, heard) in [
            (0, 128, true),
            (100, 300, true),
            (129, 300, false),
            (129, 512, true),
            (512, 512, true),
            (100, 127, false),
        ] {
            assert_eq!(is_heard(&alarms, usage * MB, limit * MB), heard, "{usage} {limit}");
        }
        // Who looks because it rang has something to decide.
        let rang = alarm_above(128 * MB);
        let found = Figures { usage: rang, highest: rang, own: 0, files: rang };
        assert_ne!(decide(128 * MB, found), Step::Rest);
        assert!(!is_heard(&[], 0, 128 * MB));
    }

    #[test]
    fn the_watch_never_sleeps_long_above_the_limit() {
        let found = Figures { usage: 20_000 * MB, highest: 20_000 * MB, own: 0, files: 20_000 * MB };
        let Step::Follow { after, .. } = decide(10_240 * MB, found) else { unreachable!() };
        assert_eq!(after, SLOWEST_LOOK);
    }

    #[test]
    fn tmp_is_nobodys_memory_and_shared_memory_is() {
        let tmp = Held { bytes: 300 * MB, inodes: 10 };
        let v1 =
            format!("cache {}\nrss {}\nrss_huge 0\nshmem {}\ntotal_rss 77\n", 900 * MB, 20 * MB, 310 * MB);
        // Ten of its megabytes are in /dev/shm; of three of the kernel's, more than one keeps the files.
        let own = own_memory(Version::V1, &v1, 3 * MB, tmp);
        assert_eq!(own, 30 * MB + 3 * MB - tmp.upkeep());
        let v2 = format!(
            "anon {}\nfile {}\nkernel {}\nkernel_stack 9\nsock 5\nshmem {}\n",
            20 * MB,
            900 * MB,
            3 * MB,
            310 * MB
        );
        assert_eq!(own_memory(Version::V2, &v2, 0, tmp), own + 5);
        let older = "anon 100\nkernel_stack 10\npagetables 20\nslab 30\nshmem 0\n";
        assert_eq!(own_memory(Version::V2, older, 0, Held::default()), 160);
    }
}
