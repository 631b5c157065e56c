//! Reads how much memory there is: the machine's, and that of the control groups which Samovar was put in.
//!
//! Sources: proc_meminfo(5), Linux's "Control Group v2" and "Memory Resource Controller".

use std::fs;
use std::path::{Path, PathBuf};

/// The two versions' names for a group's limit and use, and for what of the use the kernel would give back at once.
const FILES: [[&str; 3]; 2] = [
    ["memory.max", "memory.current", "inactive_file"],
    ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"],
];

/// A limit of version 1 from which on it is none: the kernel writes the largest number of whole pages.
const NO_LIMIT: u64 = 1 << 62;

/// Bytes that processes could still have; none where the kernel does not tell.
pub(super) fn available() -> Option<u64> {
    let machine = of_machine(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")?;
    let groups = groups(&fs::read_to_string("/proc/self/cgroup").unwrap_or_default());
    Some(groups.iter().filter_map(|group| of_group(group)).fold(machine, u64::min))
}

/// Bytes of the machine's memory.
pub(super) fn total() -> Option<u64> {
    of_machine(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

fn of_machine(meminfo: &str, name: &str) -> Option<u64> {
    value(meminfo, name).map(|kilobytes| kilobytes.saturating_mul(1024))
}

fn value(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == name).then(|| words.next()?.parse().ok())?
    })
}

/// The directories of the groups that limit this process's memory: its own, and all above it.
fn groups(own: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let root = match controllers {
            "" => "/sys/fs/cgroup",
            all if all.split(',').any(|one| one == "memory") => "/sys/fs/cgroup/memory",
            _ => continue,
        };
        let above = Path::new(path).ancestors();
        found.extend(above.map(|path| Path::new(root).join(path.strip_prefix("/").unwrap_or(path))));
    }
    found
}

/// What a group leaves of its limit; none for one without.
fn of_group(group: &Path) -> Option<u64> {
    FILES.iter().find_map(|[limit, usage, returned]| {
        let read = |file: &str| fs::read_to_string(group.join(file)).ok();
        let number = |file| read(file)?.trim().parse::<u64>().ok();
        // What is used takes the kernel longer to say, and is asked for only where there is a limit.
        let limit = number(limit).filter(|limit| *limit < NO_LIMIT)?;
        let usage = number(usage)?;
        let returned = value(&read("memory.stat")?, returned).unwrap_or(0);
        Some(limit.saturating_sub(usage.saturating_sub(returned)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_tells_what_is_available() {
        let meminfo = "MemTotal:       24684084 kB\nMemFree:  17 kB\nMemAvailable:   23411672 kB\n";
        assert_eq!(of_machine(meminfo, "MemAvailable:"), Some(23_411_672 * 1024));
        assert_eq!(of_machine("MemFree: 17 kB\n", "MemAvailable:"), None);
        assert!(available().is_some_and(|bytes| bytes > 0 && bytes <= total().unwrap_or(0)));
    }

    #[test]
    fn all_groups_above_the_own_one_count() {
        let own = "9:name=systemd:/x\n4:cpu,memory:/a/b\n0::/c\n";
        let paths: Vec<_> = groups(own).iter().map(|path| path.display().to_string()).collect();
        assert_eq!(
            paths,
            [
                "/sys/fs/cgroup/memory/a/b",
                "/sys/fs/cgroup/memory/a",
                "/sys/fs/cgroup/memory/",
                "/sys/fs/cgroup/c",
                "/sys/fs/cgroup/"
            ]
        );
    }

    #[test]
    fn a_group_leaves_its_limit_without_what_the_kernel_would_not_give_back() {
        let directory = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| fs::write(directory.path().join(file), text).unwrap();
        for (limit, usage, stat) in [
            ("memory.max", "memory.current", "anon 5\ninactive_file 30\n"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "cache 5\ntotal_inactive_file 30\n"),
        ] {
            write(limit, "100\n");
            write(usage, "80\n");
            write("memory.stat", stat);
            assert_eq!(of_group(directory.path()), Some(50));
            write(limit, if limit == "memory.max" { "max\n" } else { "9223372036854771712\n" });
            assert_eq!(of_group(directory.path()), None);
        }
    }
}
