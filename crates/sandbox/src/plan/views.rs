//! What stands in `/proc` and `/sys` in place of what would tell of the machine: the function's share of it.
//!
//! The files are made once, for each number of processors and each size of memory, and shown in every sandbox.

use std::path::{Path, PathBuf};

use base::limits::FUNCTION_MEMORY;
use base::units::Mib;

/// Where the files are, in the launcher's tree: shown for reading alone.
pub const VIEWS: &str = "/views";

/// Where the launcher writes them.
pub const VIEWS_MADE: &str = "/views-made";

/// In it, what covers a file that is hidden, and what covers a directory.
pub const EMPTY: [&str; 2] = ["empty-file", "empty-directory"];

/// Parts of the process file system that tell of the whole machine or act on it. The list is runc's, with what newer
/// kernels added and with what tells of the host's load, disks and buses.
pub const MASKED: &[&str] = &[
    "acpi",
    "asound",
    "buddyinfo",
    "bus",
    "config.gz",
    "fs",
    "interrupts",
    "kallsyms",
    "kcore",
    "key-users",
    "keys",
    "latency_stats",
    "locks",
    "modules",
    "pagetypeinfo",
    "partitions",
    "pressure",
    "sched_debug",
    "schedstat",
    "scsi",
    "slabinfo",
    "softirqs",
    "sysrq-trigger",
    "timer_list",
    "timer_stats",
    "tty",
    "zoneinfo",
];

/// Files of `/proc` that say the same in every sandbox, with the little that programs look for in them.
const PLAIN: [(&str, &str); 5] = [
    ("cmdline", "\n"),
    ("diskstats", ""),
    ("loadavg", "0.00 0.00 0.00 1/1 1\n"),
    ("swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
    ("vmstat", "pgpgin 0\npgpgout 0\npswpin 0\npswpout 0\npgfault 0\npgmajfault 0\noom_kill 0\n"),
];

/// The file of memory figures.
const MEMORY_FIGURES: &str = "meminfo";

/// Files that tell of a function's size.
const OF_SIZE: [&str; 3] = ["cpuinfo", MEMORY_FIGURES, "stat"];

/// Least memory at which a function sees this many processors, and two below. Source: recorded inside functions.
const PROCESSORS: [(Mib, usize); 4] = [(Mib(8_846), 6), (Mib(7_077), 5), (Mib(5_308), 4), (Mib(3_009), 3)];

/// Fewest processors that a function sees, where the machine has them. Source: as above.
const FEWEST: usize = 2;

/// What was found on this machine when the launcher started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Numbers of the processors that may be used.
    pub processors: Vec<usize>,
    /// Those of [`MASKED`] that exist, and whether each is a directory.
    pub masked: Vec<(&'static str, bool)>,
    /// Names of the other files that are covered and exist.
    pub covered: Vec<&'static str>,
}

/// A file in [`VIEWS`]: its path and its text.
pub type View = (PathBuf, String);

impl Machine {
    /// How many processors a function of this memory sees.
    pub fn processors_of(&self, memory: Mib) -> usize {
        let share = PROCESSORS.iter().find(|(least, _)| memory >= *least).map_or(FEWEST, |(_, count)| *count);
        share.min(self.processors.len()).max(1)
    }

    /// The processors of the environment that comes after those which were given `turn` processors; none when it
    /// may use all.
    pub fn choose(&self, memory: Mib, turn: usize) -> Vec<usize> {
        let count = self.processors_of(memory);
        if count >= self.processors.len() {
            return Vec::new();
        }
        self.processors.iter().copied().cycle().skip(turn % self.processors.len()).take(count).collect()
    }

    /// The files that do not depend on a function's memory, or only by its processors. `cpuinfo` and `stat` are
    /// the machine's own.
    pub fn views(&self, cpuinfo: &str, stat: &str) -> Vec<View> {
        let counts: std::collections::BTreeSet<_> =
            [128, 3_009, 5_308, 7_077, 8_846].map(|memory| self.processors_of(Mib(memory))).into();
        let plain = PLAIN.map(|(name, text)| (PathBuf::from(name), text.to_owned()));
        let share = |count: usize| {
            let at = directory(count);
            let system = at.join("sys/devices/system/cpu");
            let range = |count: usize| if count == 1 { "0\n".into() } else { format!("0-{}\n", count - 1) };
            // Programs that keep a table by the number of the processor they run on size it by this one.
            let possible = self.processors.last().map_or(1, |last| last + 1).max(count);
            [
                (at.join("cpuinfo"), processors_text(cpuinfo, count)),
                (at.join("stat"), stat_text(stat, count)),
                (system.join("online"), range(count)),
                (system.join("present"), range(count)),
                (system.join("possible"), range(possible)),
            ]
        };
        plain.into_iter().chain(counts.into_iter().flat_map(share)).collect()
    }

    /// What covers what in every sandbox: sources in the launcher's tree, targets relative to the sandbox's root.
    /// Those who have few processors see their own; of memory there is nothing yet.
    pub fn covers(&self) -> Vec<(PathBuf, PathBuf)> {
        let views = Path::new(VIEWS);
        let proc = Path::new("proc");
        let masks = self
            .masked
            .iter()
            .map(|(name, is_directory)| (views.join(EMPTY[usize::from(*is_directory)]), proc.join(name)));
        let plain = self.covered.iter().filter(|name| !OF_SIZE.contains(name));
        let plain = plain.map(|name| (views.join(name), proc.join(name)));
        masks.chain(plain).chain(self.share(FUNCTION_MEMORY.0)).collect()
    }

    /// What covers those of a function of this memory.
    pub fn covers_of(&self, memory: Mib) -> Vec<(PathBuf, PathBuf)> {
        let meminfo = self
            .covered
            .contains(&MEMORY_FIGURES)
            .then(|| (Path::new(VIEWS).join(meminfo_name(memory)), Path::new("proc").join(MEMORY_FIGURES)));
        let is_other = self.processors_of(memory) != self.processors_of(FUNCTION_MEMORY.0);
        let share = is_other.then(|| self.share(memory)).into_iter().flatten();
        meminfo.into_iter().chain(share).collect()
    }

    /// What tells of the processors of a function of this memory.
    fn share(&self, memory: Mib) -> Vec<(PathBuf, PathBuf)> {
        let share = Path::new(VIEWS).join(directory(self.processors_of(memory)));
        let files = ["cpuinfo", "stat"].into_iter().filter(|name| self.covered.contains(name));
        let files = files.map(|name| (share.join(name), Path::new("proc").join(name)));
        files.chain([(share.join("sys"), "sys".into())]).collect()
    }
}

/// Files of `/proc` that are covered by ones with other contents.
pub fn covered() -> impl Iterator<Item = &'static str> {
    PLAIN.iter().map(|(name, _)| *name).chain(OF_SIZE)
}

/// Name of the memory figures of functions of this size.
pub fn meminfo_name(memory: Mib) -> String {
    format!("meminfo-{}", memory.0)
}

/// The memory figures of a function that has just started.
pub fn meminfo_text(memory: Mib) -> String {
    let total = memory.bytes() / 1024;
    let zero = [
        "Buffers",
        "Cached",
        "SwapCached",
        "Active",
        "Inactive",
        "Active(anon)",
        "Inactive(anon)",
        "Active(file)",
        "Inactive(file)",
        "Unevictable",
        "Mlocked",
        "SwapTotal",
        "SwapFree",
        "Dirty",
        "Writeback",
        "AnonPages",
        "Mapped",
        "Shmem",
        "KReclaimable",
        "Slab",
        "SReclaimable",
        "SUnreclaim",
        "KernelStack",
        "PageTables",
    ];
    let full = ["MemTotal", "MemFree", "MemAvailable"].map(|name| (name, total));
    let rest = zero.map(|name| (name, 0));
    let figures = full.into_iter().chain(rest).chain([("CommitLimit", total), ("Committed_AS", 0)]);
    figures.map(|(name, kilobytes)| format!("{:<16}{kilobytes:>8} kB\n", format!("{name}:"))).collect()
}

fn directory(processors: usize) -> PathBuf {
    format!("processors-{processors}").into()
}

/// The first processors of the machine's, numbered from zero, as if there were no others.
fn processors_text(cpuinfo: &str, count: usize) -> String {
    let of_count = |key: &str| matches!(key, "siblings" | "cpu cores");
    let of_place = |key: &str| matches!(key, "processor" | "core id" | "apicid" | "initial apicid");
    let blocks = cpuinfo.split("\n\n").filter(|block| block.starts_with("processor")).take(count);
    let renumbered = blocks.enumerate().map(|(number, block)| {
        let lines = block.lines().map(|line| match line.split_once(':') {
            Some((key, _)) if of_place(key.trim()) => format!("{key}: {number}\n"),
            Some((key, _)) if of_count(key.trim()) => format!("{key}: {count}\n"),
            Some((key, _)) if key.trim() == "physical id" => format!("{key}: 0\n"),
            _ => format!("{line}\n"),
        });
        lines.collect::<String>() + "\n"
    });
    renumbered.collect()
}

/// Processors that have done nothing, and the moment of the machine's start: processes count their age from it.
fn stat_text(stat: &str, count: usize) -> String {
    let btime = stat.lines().find(|line| line.starts_with("btime ")).unwrap_or("btime 0");
    let all = format!("cpu  0 0 0 {count} 0 0 0 0 0 0\n");
    let each: String = (0..count).map(|number| format!("cpu{number} 0 0 0 1 0 0 0 0 0 0\n")).collect();
    let rest = "processes 1\nprocs_running 1\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n";
    format!("{all}{each}intr 0\nctxt 0\n{btime}\n{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(processors: usize) -> Machine {
        Machine { processors: (0..processors).collect(), ..Machine::default() }
    }

    #[test]
    fn processors_follow_memory_as_recorded_and_never_exceed_the_machine() {
        for (memory, on_64, on_4, on_1) in [
            (128, 2, 2, 1),
            (1_769, 2, 2, 1),
            (3_008, 2, 2, 1),
            (3_009, 3, 3, 1),
            (5_307, 3, 3, 1),
            (5_308, 4, 4, 1),
            (7_077, 5, 4, 1),
            (8_845, 5, 4, 1),
            (8_846, 6, 4, 1),
            (10_240, 6, 4, 1),
        ] {
            let seen = [64, 4, 1].map(|processors| machine(processors).processors_of(Mib(memory)));
            assert_eq!(seen, [on_64, on_4, on_1], "{memory} MB");
        }
    }

    #[test]
    fn environments_are_spread_over_the_processors_that_may_be_used() {
        let machine = Machine { processors: vec![2, 3, 6, 7], ..Machine::default() };
        let turns = [0, 2, 4, 7].map(|turn| machine.choose(Mib(128), turn));
        assert_eq!(turns, [[2, 3], [6, 7], [2, 3], [7, 2]]);
        assert!(machine.choose(Mib(10_240), 0).is_empty(), "all of them need no choice");
    }

    #[test]
    fn a_share_of_the_processors_looks_like_a_machine() {
        let block = |number: u32| {
            format!(
                "processor\t: {number}\nmodel name\t: AMD EPYC\nphysical id\t: 1\nsiblings\t: 64\ncore id\t\t: {number}\n\
                 cpu cores\t: 32\nflags\t\t: fpu: avx"
            )
        };
        let host: String = (8..12).map(|number| block(number) + "\n\n").collect();
        let expected = |number: u32| {
            format!(
                "processor\t: {number}\nmodel name\t: AMD EPYC\nphysical id\t: 0\nsiblings\t: 2\ncore id\t\t: {number}\n\
                 cpu cores\t: 2\nflags\t\t: fpu: avx\n\n"
            )
        };
        assert_eq!(processors_text(&host, 2), expected(0) + &expected(1));
        let stat = stat_text("cpu  9 9 9\ncpu0 9\nbtime 1700000000\n", 2);
        assert!(stat.starts_with("cpu  0 0 0 2 0 0 0 0 0 0\ncpu0 0 0 0 1 0 0 0 0 0 0\ncpu1 "), "{stat}");
        assert!(stat.contains("\nbtime 1700000000\n") && !stat.contains("cpu2"), "{stat}");
    }

    #[test]
    fn every_view_that_is_shown_is_made() {
        let machine = Machine { covered: covered().collect(), masked: vec![("keys", false)], ..machine(8) };
        let made: Vec<_> =
            machine.views("", "").into_iter().map(|(path, _)| Path::new(VIEWS).join(path)).collect();
        for memory in [128, 3_009, 5_308, 7_077, 10_240].map(Mib) {
            for (source, at) in [machine.covers(), machine.covers_of(memory)].concat() {
                let own = source.ends_with(meminfo_name(memory)) || source.ends_with(EMPTY[0]);
                assert!(own || made.iter().any(|made| made.starts_with(&source)), "{source:?} at {at:?}");
            }
        }
    }

    #[test]
    fn a_function_with_more_processors_than_the_least_gets_its_own_views_on_top() {
        let machine = Machine { covered: covered().collect(), ..machine(8) };
        let at = |memory| {
            let covers = machine.covers_of(Mib(memory)).into_iter();
            covers.map(|(_, at)| at.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(at(128), ["proc/meminfo"]);
        assert_eq!(at(10_240), ["proc/meminfo", "proc/cpuinfo", "proc/stat", "sys"]);
        assert!(!machine.covers().iter().any(|(_, at)| at.ends_with("meminfo")));
    }

    #[test]
    fn memory_figures_are_the_functions() {
        let text = meminfo_text(Mib(128));
        assert!(text.starts_with("MemTotal:         131072 kB\nMemFree:          131072 kB\n"), "{text}");
        assert!(text.contains("SwapTotal:             0 kB\n"));
    }
}
