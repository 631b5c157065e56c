//! Control groups: where they are, and what is written into one for a function.

use std::path::{Path, PathBuf};

use base::limits::{FUNCTION_PROCESSES, MEMORY_PER_VCPU};
use base::units::{Mib, MilliCpu};
use serde::{Deserialize, Serialize};

use crate::limits::CPU_PERIOD;
use crate::plan::watch::hard_limit;
use crate::setup::CpuPolicy;

/// Controllers that limit a function. In version 2 they share one hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Controller {
    /// Memory; the one that must exist.
    Memory,
    /// Processor time.
    Cpu,
    /// Number of processes and threads.
    Pids,
    /// Turns at the disks.
    Io,
    /// Stopping and continuing all processes of a group.
    Freezer,
}

impl Controller {
    /// Those that bound what a function takes.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Cpu, Self::Pids];

    /// The same, and where the kernel has them the one that is merely fair and the one that stops a function between
    /// its invocations.
    pub const USED: [Self; 5] = [Self::Memory, Self::Cpu, Self::Pids, Self::Io, Self::Freezer];

    /// The kernel's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Pids => "pids",
            Self::Io => "io",
            Self::Freezer => "freezer",
        }
    }

    /// Whether a hierarchy is worth joining for its sake.
    const fn is_needed(self) -> bool {
        matches!(self, Self::Memory | Self::Cpu | Self::Pids)
    }

    /// The name that version 1 has for it.
    const fn old_name(self) -> &'static str {
        match self {
            Self::Io => "blkio",
            other => other.name(),
        }
    }
}

/// Files of version 1 that give a group its turns at the disks: the first for disks with the scheduler bfq, the
/// second, of Linux before 5.0, for disks with cfq.
pub const V1_IO_WEIGHTS: [&str; 2] = ["blkio.bfq.weight", "blkio.weight"];

/// Whether the text of `/sys/block/<disk>/queue/scheduler` says that the disk gives turns by weight in version 1.
pub fn takes_weights(scheduler: &str) -> bool {
    ["[bfq]", "[cfq]"].iter().any(|chosen| scheduler.contains(chosen))
}

/// Which interface a controller is reached through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    /// A hierarchy for each controller.
    V1,
    /// One hierarchy for all.
    V2,
}

impl Version {
    /// The file of a group by which its processes are stopped.
    pub const fn freezer_file(self) -> &'static str {
        match self {
            Self::V1 => "freezer.state",
            Self::V2 => "cgroup.freeze",
        }
    }

    /// What is written into it to stop them, or to let them go on.
    pub const fn freezer_value(self, frozen: bool) -> &'static str {
        match (self, frozen) {
            (Self::V1, true) => "FROZEN",
            (Self::V1, false) => "THAWED",
            (Self::V2, true) => "1",
            (Self::V2, false) => "0",
        }
    }
}

/// One hierarchy on this machine, with those of our controllers that it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Its interface.
    pub version: Version,
    /// Where it is mounted.
    pub mounted: PathBuf,
    /// The group this process is in, as a path on the host.
    pub own: PathBuf,
    /// Which of our controllers it carries. For version 2 all are hoped for.
    pub controllers: Vec<Controller>,
}

/// Finds the hierarchies in the texts of `/proc/self/mountinfo` and `/proc/self/cgroup`.
///
/// Version 1 is preferred for a controller that is mounted so: the kernel gives it to one version only.
pub fn hierarchies(mountinfo: &str, own: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for controller in Controller::USED {
        let hierarchy = mountinfo.lines().find_map(|line| {
            let mount = Mount::parse(line).filter(|mount| mount.kind == "cgroup")?;
            let name = controller.old_name();
            mount.options.split(',').any(|option| option == name).then_some(mount)
        });
        let Some(mount) = hierarchy else { continue };
        match found.iter_mut().find(|known| known.mounted == mount.at) {
            Some(known) => known.controllers.push(controller),
            None => found.push(mount.hierarchy(Version::V1, own, controller.old_name(), vec![controller])),
        }
    }
    let missing: Vec<_> = Controller::USED
        .into_iter()
        .filter(|controller| !found.iter().any(|known| known.controllers.contains(controller)))
        .collect();
    // Those that functions can do without are not worth a hierarchy that takes long to join.
    if missing.iter().any(|controller| controller.is_needed())
        && let Some(mount) = mountinfo.lines().filter_map(Mount::parse).find(|mount| mount.kind == "cgroup2")
    {
        found.push(mount.hierarchy(Version::V2, own, "", missing));
    }
    found
}

struct Mount<'a> {
    root: &'a str,
    at: PathBuf,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    /// Reads a line of mountinfo: `36 35 98:0 /root /at options - kind source super-options`.
    fn parse(line: &'a str) -> Option<Self> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let mut file_system = file_system.split(' ');
        Some(Self {
            root: mount.next()?,
            at: PathBuf::from(mount.next()?.replace("\\040", " ")),
            kind: file_system.next()?,
            options: file_system.nth(1)?,
        })
    }

    fn hierarchy(self, version: Version, own: &str, name: &str, controllers: Vec<Controller>) -> Hierarchy {
        // The mount may show only a part of the hierarchy, as in a container.
        let path = own_path(own, name);
        let below = Path::new(path).strip_prefix(self.root).unwrap_or(Path::new(""));
        Hierarchy { version, own: self.at.join(below), mounted: self.at, controllers }
    }
}

/// The path in a line of `/proc/self/cgroup`: `4:memory:/path`, or `0::/path` of version 2.
fn own_path<'a>(own: &'a str, controller: &str) -> &'a str {
    let path = own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let names = parts.next()?;
        names.split(',').any(|name| name == controller).then(|| parts.next())?
    });
    path.unwrap_or("/")
}

/// What a function may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Its memory; processor time follows from it.
    pub memory: Mib,
    /// Its `/tmp`, which is charged to it beside its memory.
    pub tmp: Mib,
    /// How processor time follows.
    pub cpu_policy: CpuPolicy,
}

/// A value for a file of a fresh group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Name of the file.
    pub file: &'static str,
    /// What is written.
    pub value: String,
    /// Whether a kernel may be without the file.
    pub optional: bool,
}

const fn setting(file: &'static str, value: String, optional: bool) -> Setting {
    Setting { file, value, optional }
}

/// The settings of any function's fresh group.
pub fn ahead(version: Version, controller: Controller) -> Vec<Setting> {
    let may = |file, value: u64| setting(file, value.to_string(), true);
    match (version, controller) {
        (Version::V1, Controller::Memory) => vec![may("memory.swappiness", 0)],
        (Version::V2, Controller::Memory) => vec![may("memory.swap.max", 0)],
        (_, Controller::Pids) => vec![setting("pids.max", FUNCTION_PROCESSES.to_string(), false)],
        (_, Controller::Cpu | Controller::Io | Controller::Freezer) => Vec::new(),
    }
}

/// The settings of one function's, on top of those, in the order in which the kernel accepts them.
pub fn settings(version: Version, controller: Controller, limits: Limits) -> Vec<Setting> {
    let cpu = MilliCpu::of_memory(limits.memory);
    let must = |file, value: u64| setting(file, value.to_string(), false);
    let may = |file, value: u64| setting(file, value.to_string(), true);
    let period = CPU_PERIOD.as_micros() as u64;
    // The kernel accepts no quota below a millisecond.
    let quota = (period * u64::from(cpu.0) / 1000).max(1000);
    let strict = limits.cpu_policy == CpuPolicy::Quota;
    let hard = hard_limit(limits.memory, limits.tmp);
    match (version, controller) {
        (Version::V1, Controller::Memory) => {
            vec![must("memory.limit_in_bytes", hard), may("memory.memsw.limit_in_bytes", hard)]
        }
        (Version::V2, Controller::Memory) => {
            let alarm = limits.memory.bytes();
            vec![must("memory.max", hard), must("memory.high", alarm)]
        }
        (Version::V1, Controller::Io) => {
            let weight = in_proportion(limits.memory, 100);
            vec![may(V1_IO_WEIGHTS[0], weight.clamp(1, 1000)), may(V1_IO_WEIGHTS[1], weight.clamp(10, 1000))]
        }
        (Version::V2, Controller::Io) => {
            let weight = in_proportion(limits.memory, 100);
            vec![may("io.weight", weight.clamp(1, 10_000)), may("io.bfq.weight", weight.clamp(1, 1000))]
        }
        (_, Controller::Pids | Controller::Freezer) => Vec::new(),
        (Version::V1, Controller::Cpu) => {
            let mut settings = vec![must("cpu.shares", in_proportion(limits.memory, 1024).max(2))];
            if strict {
                settings.extend([must("cpu.cfs_period_us", period), must("cpu.cfs_quota_us", quota)]);
            }
            settings
        }
        (Version::V2, Controller::Cpu) => {
            let mut settings = vec![must("cpu.weight", in_proportion(limits.memory, 1000).clamp(1, 10_000))];
            if strict {
                settings.push(setting("cpu.max", format!("{quota} {period}"), false));
            }
            settings
        }
    }
}

/// The weight of a function, when one with a whole vCPU weighs `whole`.
fn in_proportion(memory: Mib, whole: u64) -> u64 {
    u64::from(memory.0) * whole / u64::from(MEMORY_PER_VCPU.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(version: Version, memory: u32, cpu_policy: CpuPolicy) -> Vec<String> {
        let limits = Limits { memory: Mib(memory), tmp: Mib(512), cpu_policy };
        let of = |controller| [ahead(version, controller), settings(version, controller, limits)].concat();
        let all = Controller::USED.into_iter().flat_map(of);
        all.map(|Setting { file, value, optional }| {
            format!("{file}={value}{}", if optional { "?" } else { "" })
        })
        .collect()
    }

    #[test]
    fn version_1_limits_memory_shares_and_processes() {
        assert_eq!(
            shown(Version::V1, 1769, CpuPolicy::Shares),
            [
                "memory.swappiness=0?",
                "memory.limit_in_bytes=2479480912",
                "memory.memsw.limit_in_bytes=2479480912?",
                "cpu.shares=1024",
                "pids.max=1024",
                "blkio.bfq.weight=100?",
                "blkio.weight=100?",
            ]
        );
    }

    #[test]
    fn version_2_limits_the_same() {
        assert_eq!(
            shown(Version::V2, 1769, CpuPolicy::Shares),
            [
                "memory.swap.max=0?",
                "memory.max=2479480912",
                "memory.high=1854930944",
                "cpu.weight=1000",
                "pids.max=1024",
                "io.weight=100?",
                "io.bfq.weight=100?",
            ]
        );
    }

    #[test]
    fn a_strict_quota_is_one_cpu_per_1769_mb() {
        let strict = |version, memory| {
            let all = shown(version, memory, CpuPolicy::Quota);
            all.into_iter().filter(|setting| setting.starts_with("cpu.")).collect::<Vec<_>>()
        };
        assert_eq!(
            strict(Version::V1, 128),
            ["cpu.shares=74", "cpu.cfs_period_us=20000", "cpu.cfs_quota_us=1460"]
        );
        assert_eq!(strict(Version::V2, 3538), ["cpu.weight=2000", "cpu.max=40000 20000"]);
        assert_eq!(strict(Version::V2, 10_240), ["cpu.weight=5788", "cpu.max=115780 20000"]);
    }

    #[test]
    fn turns_at_the_disks_follow_memory_within_what_the_kernel_takes() {
        let weights = |version, memory| {
            let all = shown(version, memory, CpuPolicy::Shares);
            all.into_iter().filter(|setting| setting.contains("io.")).collect::<Vec<_>>()
        };
        assert_eq!(weights(Version::V1, 128), ["blkio.bfq.weight=7?", "blkio.weight=10?"]);
        assert_eq!(weights(Version::V2, 10_240), ["io.weight=578?", "io.bfq.weight=578?"]);
    }

    #[test]
    fn only_some_schedulers_give_turns_by_weight() {
        for (scheduler, takes) in [
            ("none [mq-deadline] kyber bfq\n", false),
            ("none mq-deadline [bfq]\n", true),
            ("[none]\n", false),
        ] {
            assert_eq!(takes_weights(scheduler), takes, "{scheduler}");
        }
    }

    #[test]
    fn separate_hierarchies_are_found_with_our_own_groups() {
        let mounts = "\
30 23 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
31 23 0:27 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct
33 23 0:29 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
38 23 0:34 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
40 23 0:36 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";
        let own = "8:pids:/\n4:memory:/api/a5\n1:cpu:/\n0::/";
        let found = hierarchies(mounts, own);
        let paths: Vec<_> = found.iter().map(|found| found.own.to_str().unwrap()).collect();
        assert_eq!(paths, ["/sys/fs/cgroup/memory/api/a5", "/sys/fs/cgroup/cpu/", "/sys/fs/cgroup/pids/"]);
        assert!(found.iter().all(|found| found.version == Version::V1));
    }

    #[test]
    fn what_functions_can_do_without_is_taken_where_it_is_and_sought_nowhere_else() {
        let mounts = "\
30 23 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
33 23 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
38 23 0:34 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
40 23 0:36 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";
        assert!(hierarchies(mounts, "0::/").iter().all(|found| found.version == Version::V1));
        let freezer = "39 23 0:35 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer";
        let found = hierarchies(&format!("{mounts}\n{freezer}"), "7:freezer:/a\n0::/");
        assert_eq!(found[3].controllers, [Controller::Freezer]);
        assert_eq!(found[3].own, Path::new("/sys/fs/cgroup/freezer/a"));
    }

    #[test]
    fn joined_hierarchies_are_one() {
        let mounts = "\
30 23 0:26 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
33 23 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory";
        let found = hierarchies(mounts, "2:cpu,cpuacct:/user.slice\n4:memory:/user.slice");
        assert_eq!(found[1].controllers, [Controller::Cpu]);
        assert_eq!(found[1].own, Path::new("/sys/fs/cgroup/cpu,cpuacct/user.slice"));
    }

    #[test]
    fn version_2_carries_them_all() {
        let mounts = "35 24 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";
        let found = hierarchies(mounts, "0::/system.slice/samovar.service");
        assert_eq!(
            found,
            [Hierarchy {
                version: Version::V2,
                mounted: "/sys/fs/cgroup".into(),
                own: "/sys/fs/cgroup/system.slice/samovar.service".into(),
                controllers: Controller::USED.to_vec(),
            }]
        );
    }

    #[test]
    fn a_mount_that_shows_a_part_is_entered_below_it() {
        let mounts = "35 24 0:30 /docker/ab /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory";
        let found = hierarchies(mounts, "4:memory:/docker/ab/x\n");
        assert_eq!(found[0].own, Path::new("/sys/fs/cgroup/memory/x"));
    }
}
