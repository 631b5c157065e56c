//! The walls of sandboxes.

use base::limits::ENVIRONMENTS;

use super::{Facts, Finding, version};
use crate::plan::groups::{Controller, Hierarchy, Version, hierarchies};

pub(super) fn verdicts(facts: &Facts) -> Vec<Finding> {
    let groups = Groups::of(facts);
    let mut findings = vec![rights(facts), kernel(facts), namespaces(facts), user_namespaces(facts)];
    findings.extend(Controller::USED.map(|controller| control_group(&groups, controller)));
    findings.extend([
        swap(facts, &groups),
        out_of_memory(facts, &groups),
        root_change(facts),
        layers(facts),
        memory_files(facts),
        landlock(facts),
    ]);
    findings.extend([packet_filter(facts), forwarding(facts), links(facts), ipv6(facts)]);
    findings.extend([core_dumps(facts), tracing(facts), process_list(facts), unprivileged(facts)]);
    findings
}

/// The hierarchies of control groups, with what version 2 offers.
struct Groups<'a> {
    found: Vec<Hierarchy>,
    offered: &'a str,
}

impl<'a> Groups<'a> {
    fn of(facts: &'a Facts) -> Self {
        let found = hierarchies(facts.text("/proc/self/mountinfo"), facts.text("/proc/self/cgroup"));
        let second = found.iter().find(|hierarchy| hierarchy.version == Version::V2);
        let file = second.map(|second| second.mounted.join("cgroup.controllers").display().to_string());
        Self { offered: file.map_or("", |file| facts.text(&file)), found }
    }

    fn carrying(&self, controller: Controller) -> Option<&Hierarchy> {
        self.found.iter().find(|hierarchy| match hierarchy.version {
            Version::V1 => hierarchy.controllers.contains(&controller),
            // No controller there, but a file of every group, since Linux 5.2.
            Version::V2 if controller == Controller::Freezer => hierarchy.controllers.contains(&controller),
            Version::V2 => self.offers(controller.name()),
        })
    }

    fn offers(&self, name: &str) -> bool {
        self.offered.split_whitespace().any(|offered| offered == name)
    }
}

fn rights(facts: &Facts) -> Finding {
    const WALL: &str = "launcher's rights";
    const NO_START: &str = "samovar serve does not start";
    if facts.uid != 0 {
        return Finding::missing(
            WALL,
            format!("this is user {}, not root", facts.uid),
            NO_START,
            "start samovar with sudo; all but its small launcher gives root up. Or run functions without walls: \
             --isolation none",
        );
    }
    match facts.lacking.is_empty() {
        true => Finding::ok(WALL, "root with all it needs"),
        false => Finding::missing(
            WALL,
            format!("root without {}", facts.lacking.join(", ")),
            NO_START,
            "give the container or service these capabilities, or run functions without walls: --isolation none",
        ),
    }
}

fn kernel(facts: &Facts) -> Finding {
    const WALL: &str = "kernel";
    let release = &facts.release;
    match version(release) {
        Some(version) if version >= (5, 12) => Finding::ok(WALL, format!("Linux {release}")),
        Some(version) if version >= (5, 9) => Finding::weaker(
            WALL,
            format!("Linux {release} cannot make a tree of mounts read-only at once"),
            "what is mounted below /usr is not shown to functions",
            "use Linux 5.12 or newer",
        ),
        _ => {
            let detail = format!("Linux {release}");
            Finding::missing(WALL, detail, "sandboxes cannot be built", "use Linux 5.12 or newer")
        }
    }
}

fn namespaces(facts: &Facts) -> Finding {
    const WALL: &str = "namespaces";
    let all = ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user"];
    let lacking: Vec<_> =
        all.into_iter().filter(|kind| !facts.has(&format!("/proc/self/ns/{kind}"))).collect();
    match lacking.is_empty() {
        true => Finding::ok(WALL, all.join(", ")),
        false => Finding::missing(
            WALL,
            format!("the kernel lacks {}", lacking.join(", ")),
            "sandboxes cannot be built",
            "use a kernel with CONFIG_NAMESPACES and all its kinds",
        ),
    }
}

fn user_namespaces(facts: &Facts) -> Finding {
    const WALL: &str = "user namespaces";
    const SETTING: &str = "user.max_user_namespaces";
    let advice = format!("sysctl -w {SETTING}=15000");
    let allowed = facts.text("/proc/sys/user/max_user_namespaces").parse().unwrap_or(0u64);
    let detail = format!("{SETTING} is {allowed}");
    match allowed {
        0 => Finding::missing(WALL, detail, "sandboxes cannot be built", advice),
        few if few < ENVIRONMENTS as u64 => {
            Finding::weaker(WALL, detail, "no more sandboxes than that stand at once", advice)
        }
        _ => Finding::ok(WALL, detail),
    }
}

fn control_group(groups: &Groups<'_>, controller: Controller) -> Finding {
    let (wall, follows) = match controller {
        Controller::Memory => ("memory limit", "sandboxes cannot be built"),
        Controller::Cpu => ("processor share", "a busy function slows the others"),
        Controller::Pids => ("process limit", "only the user's limit of 742 tasks stops a fork bomb"),
        Controller::Io => ("disk fairness", "a function that reads much slows the others"),
        Controller::Freezer => ("freezer", "what a function left running works on between its invocations"),
    };
    if let Some(hierarchy) = groups.carrying(controller) {
        let number = if hierarchy.version == Version::V1 { 1 } else { 2 };
        return Finding::ok(wall, format!("cgroup version {number} at {}", hierarchy.mounted.display()));
    }
    let detail = format!("no control group carries {}", controller.name());
    let advice = format!("mount cgroup version 2 or 1 with the {} controller", controller.name());
    // A function without one of the others starves its siblings at worst; rlimits bound it, too.
    match controller {
        Controller::Memory => Finding::missing(wall, detail, follows, advice),
        Controller::Cpu | Controller::Pids | Controller::Io | Controller::Freezer => {
            Finding::weaker(wall, detail, follows, advice)
        }
    }
}

fn swap(facts: &Facts, groups: &Groups<'_>) -> Finding {
    const WALL: &str = "swap";
    // The first line is a heading.
    let is_on = facts.text("/proc/swaps").lines().count() > 1;
    let is_counted = match groups.carrying(Controller::Memory) {
        Some(hierarchy) if hierarchy.version == Version::V1 => {
            facts.has(&hierarchy.mounted.join("memory.memsw.limit_in_bytes").display().to_string())
        }
        // Version 2 counts it wherever the kernel has it at all.
        Some(_) => true,
        None => false,
    };
    match (is_on, is_counted) {
        (false, _) => Finding::ok(WALL, "the machine has none"),
        (true, true) => Finding::ok(WALL, "on, and forbidden to functions"),
        (true, false) => Finding::weaker(
            WALL,
            "on, and not counted by control groups",
            "a function over its memory swaps instead of ending",
            "boot with swapaccount=1, or swapoff -a",
        ),
    }
}

fn out_of_memory(facts: &Facts, groups: &Groups<'_>) -> Finding {
    const WALL: &str = "out-of-memory events";
    match groups.carrying(Controller::Memory) {
        Some(hierarchy) if hierarchy.version == Version::V2 => {
            Finding::ok(WALL, "memory.events and memory.high")
        }
        Some(hierarchy) if facts.has(&hierarchy.mounted.join("memory.oom_control").display().to_string()) => {
            Finding::ok(WALL, "memory.oom_control")
        }
        _ => Finding::weaker(
            WALL,
            "no control group tells of them",
            "a function out of memory looks like one that was killed",
            "mount cgroup version 2 with the memory controller",
        ),
    }
}

fn root_change(facts: &Facts) -> Finding {
    const WALL: &str = "root directory";
    let mounts = facts.text("/proc/self/mountinfo");
    let root = mounts.lines().rfind(|line| line.split(' ').nth(4) == Some("/"));
    match root.is_some_and(|line| line.contains(" - rootfs ")) {
        true => Finding::missing(
            WALL,
            "the system runs from its initial memory file system, which pivot_root cannot leave",
            "sandboxes cannot be built",
            "boot into a root file system, or start samovar in a container",
        ),
        false => Finding::ok(WALL, "each sandbox gets its own by pivot_root"),
    }
}

fn knows(facts: &Facts, kind: &str) -> bool {
    facts.text("/proc/filesystems").lines().any(|line| line.trim_start_matches("nodev").trim() == kind)
}

fn layers(facts: &Facts) -> Finding {
    const WALL: &str = "several layers";
    match knows(facts, "overlay") {
        true => Finding::ok(WALL, "overlay file system"),
        false => Finding::weaker(
            WALL,
            "no overlay file system",
            "functions with two layers or more do not start",
            "modprobe overlay",
        ),
    }
}

fn memory_files(facts: &Facts) -> Finding {
    const WALL: &str = "root and /dev/shm in memory";
    match knows(facts, "tmpfs") {
        true => Finding::ok(WALL, "tmpfs"),
        false => {
            Finding::missing(WALL, "no tmpfs", "sandboxes cannot be built", "use a kernel with CONFIG_TMPFS")
        }
    }
}

fn landlock(facts: &Facts) -> Finding {
    const WALL: &str = "landlock";
    match facts.landlock {
        Some(version) => Finding::ok(WALL, format!("version {version}")),
        None => Finding::weaker(
            WALL,
            "not in this kernel, or not among its security modules",
            "a second wall around files is missing; the first, mounts, stands",
            "use a kernel with CONFIG_SECURITY_LANDLOCK and landlock in lsm=",
        ),
    }
}

fn packet_filter(facts: &Facts) -> Finding {
    const WALL: &str = "egress filter";
    match &facts.nft {
        Some(nft) => Finding::ok(WALL, nft.clone()),
        None => Finding::weaker(
            WALL,
            "no nft tool",
            "functions cannot be let out through a filter (--egress nat)",
            "install nftables",
        ),
    }
}

fn forwarding(facts: &Facts) -> Finding {
    const WALL: &str = "forwarding";
    match facts.text("/proc/sys/net/ipv4/ip_forward") {
        "1" => Finding::ok(WALL, "net.ipv4.ip_forward is on"),
        "0" => Finding::weaker(
            WALL,
            "net.ipv4.ip_forward is off",
            "functions reach no network but their own endpoint until it is on",
            "sysctl -w net.ipv4.ip_forward=1, or let samovar do so: --allow-ip-forward on",
        ),
        _ => Finding::weaker(WALL, "it cannot be read", "egress may not work", "look at net.ipv4.ip_forward"),
    }
}

fn links(facts: &Facts) -> Finding {
    const WALL: &str = "links into sandboxes";
    match facts.veth {
        true => Finding::ok(WALL, "veth"),
        false => Finding::weaker(
            WALL,
            "veth is not in the kernel yet; it is loaded when it is needed, where its module is installed",
            "without it functions have no network but their own endpoint",
            "modprobe veth",
        ),
    }
}

fn ipv6(facts: &Facts) -> Finding {
    const WALL: &str = "IPv6";
    match facts.text("/proc/sys/net/ipv6/conf/all/disable_ipv6") {
        "0" => Finding::ok(WALL, "on"),
        found => Finding::weaker(
            WALL,
            if found == "1" { "off by net.ipv6.conf.all.disable_ipv6" } else { "not in this kernel" },
            "functions reach the network by IPv4 only",
            "nothing, unless they need it",
        ),
    }
}

fn core_dumps(facts: &Facts) -> Finding {
    const WALL: &str = "core dumps";
    let pattern = facts.text("/proc/sys/kernel/core_pattern");
    match pattern.strip_prefix('@') {
        Some(socket) => Finding::weaker(
            WALL,
            format!("kernel.core_pattern hands them to the socket {socket}"),
            "no limit keeps them from a socket, so what a crashed function held may be kept there",
            "sysctl -w kernel.core_pattern=core",
        ),
        None if pattern.starts_with('|') => {
            Finding::ok(WALL, "off: functions have the limit at which the kernel starts no collector")
        }
        None => Finding::ok(WALL, "off: files are limited to nothing, and no collector is set"),
    }
}

fn tracing(facts: &Facts) -> Finding {
    const WALL: &str = "tracing";
    match facts.text("/proc/sys/kernel/yama/ptrace_scope") {
        "" => Finding::ok(WALL, "denied by filter; the kernel has no Yama besides"),
        scope => Finding::ok(WALL, format!("denied by filter; kernel.yama.ptrace_scope is {scope}")),
    }
}

fn process_list(facts: &Facts) -> Finding {
    const WALL: &str = "process list";
    let hidden = facts.text("/proc/self/mountinfo").lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let is_proc = mount.split(' ').nth(4) == Some("/proc");
        is_proc.then(|| kind.split([' ', ',']).find(|option| option.starts_with("hidepid=")))?
    });
    match hidden {
        Some(option) => {
            Finding::ok(WALL, format!("each sandbox sees its own; the host's /proc has {option}"))
        }
        None => Finding::ok(WALL, "each sandbox sees its own; the host's /proc shows everybody to its users"),
    }
}

fn unprivileged(facts: &Facts) -> Finding {
    const WALL: &str = "unprivileged user namespaces";
    let apparmor = facts.text("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1";
    let sysctl = facts.text("/proc/sys/kernel/unprivileged_userns_clone") == "0";
    // Samovar makes its own as root, and functions are denied them by filter.
    let detail = match (apparmor, sysctl) {
        (true, _) => "restricted by AppArmor; samovar does not need them",
        (_, true) => "off; samovar does not need them",
        _ => "on; denied to functions by filter",
    };
    Finding::ok(WALL, detail)
}
