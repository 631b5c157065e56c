//! What this host gives, wall by wall.

pub mod rules;

use std::fs;
use std::path::Path;

use base::limits::{ENVIRONMENT_DESCRIPTORS, ENVIRONMENTS};
use rustix::process::{Resource, getrlimit};

use crate::launcher::NEEDED;
use crate::plan::groups::{Controller, Version, hierarchies};

/// One wall, and how it stands on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The wall's name.
    pub wall: &'static str,
    /// How it stands.
    pub state: State,
    /// The fact that was found.
    pub detail: String,
    /// What to do about it; empty when it holds.
    pub advice: String,
}

/// How a wall stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As designed.
    Holds,
    /// It stands, but is weaker than designed.
    Weaker,
    /// Samovar cannot run sandboxes without it.
    Missing,
}

/// Looks at the host. Needs no rights; with root it sees more.
pub fn probe() -> Vec<Finding> {
    let mut findings = vec![rights(), kernel(), namespaces(), user_namespaces()];
    findings.extend(control_groups());
    findings.extend([system_call_filter(), root_change(), layers(), open_files(), landlock()]);
    findings
}

impl Finding {
    fn holds(wall: &'static str, detail: impl Into<String>) -> Self {
        Self { wall, state: State::Holds, detail: detail.into(), advice: String::new() }
    }

    fn weaker(wall: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { wall, state: State::Weaker, detail: detail.into(), advice: advice.into() }
    }

    fn missing(wall: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { wall, state: State::Missing, detail: detail.into(), advice: advice.into() }
    }
}

fn rights() -> Finding {
    const WALL: &str = "launcher's rights";
    let uid = rustix::process::geteuid();
    if !uid.is_root() {
        let detail = format!("this is user {}, not root", uid.as_raw());
        return Finding::missing(
            WALL,
            detail,
            "start samovar with sudo; all but its small launcher gives root up",
        );
    }
    let held = rustix::thread::capabilities(None).map(|sets| sets.effective);
    let held = held.unwrap_or(rustix::thread::CapabilitySet::empty());
    let lacking: Vec<_> =
        NEEDED.iter().filter(|(needed, _)| !held.contains(*needed)).map(|(_, name)| *name).collect();
    match lacking.is_empty() {
        true => Finding::holds(WALL, "root with all it needs"),
        false => Finding::missing(
            WALL,
            format!("root without {}", lacking.join(", ")),
            "give the container or service these capabilities",
        ),
    }
}

fn kernel() -> Finding {
    const WALL: &str = "kernel";
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy().into_owned();
    match version(&release) {
        Some(version) if version >= (5, 12) => Finding::holds(WALL, format!("Linux {release}")),
        Some(version) if version >= (5, 9) => Finding::weaker(
            WALL,
            format!("Linux {release} cannot make a tree of mounts read-only at once"),
            "use Linux 5.12 or newer; until then what is mounted below /usr is not shown inside",
        ),
        _ => Finding::missing(WALL, format!("Linux {release}"), "use Linux 5.12 or newer"),
    }
}

/// Major and minor of `6.18.44-fc`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

fn namespaces() -> Finding {
    const WALL: &str = "namespaces";
    let all = ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user"];
    let lacking: Vec<_> =
        all.into_iter().filter(|kind| !Path::new("/proc/self/ns").join(kind).exists()).collect();
    match lacking.is_empty() {
        true => Finding::holds(WALL, all.join(", ")),
        false => Finding::missing(
            WALL,
            format!("the kernel lacks {}", lacking.join(", ")),
            "use a kernel with CONFIG_NAMESPACES and all its kinds",
        ),
    }
}

fn user_namespaces() -> Finding {
    const WALL: &str = "user namespaces";
    const SETTING: &str = "user.max_user_namespaces";
    let allowed = read("/proc/sys/user/max_user_namespaces").trim().parse().unwrap_or(0u64);
    let detail = format!("{SETTING} is {allowed}");
    match allowed {
        0 => Finding::missing(WALL, detail, format!("sysctl -w {SETTING}=15000")),
        few if few < ENVIRONMENTS as u64 => {
            Finding::weaker(WALL, detail, format!("allow as many as sandboxes: sysctl -w {SETTING}=15000"))
        }
        _ => Finding::holds(WALL, detail),
    }
}

fn control_groups() -> [Finding; 3] {
    let found = hierarchies(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"));
    let offered = |controller: Controller| {
        found.iter().find(|hierarchy| match hierarchy.version {
            Version::V1 => hierarchy.controllers.contains(&controller),
            Version::V2 => {
                let file = hierarchy.mounted.join("cgroup.controllers");
                fs::read_to_string(file)
                    .unwrap_or_default()
                    .split_whitespace()
                    .any(|name| name == controller.name())
            }
        })
    };
    Controller::ALL.map(|controller| {
        let wall = match controller {
            Controller::Memory => "memory limit",
            Controller::Cpu => "processor share",
            Controller::Pids => "process limit",
        };
        match offered(controller) {
            Some(hierarchy) => {
                let number = if hierarchy.version == Version::V1 { 1 } else { 2 };
                Finding::holds(wall, format!("cgroup version {number} at {}", hierarchy.mounted.display()))
            }
            None => {
                let detail = format!("no control group carries {}", controller.name());
                let advice = format!("mount cgroup version 2 or 1 with the {} controller", controller.name());
                // A function without one of the others starves its siblings at worst; rlimits bound it, too.
                let worst = controller == Controller::Memory;
                let finding = if worst { Finding::missing } else { Finding::weaker };
                finding(wall, detail, advice)
            }
        }
    })
}

fn system_call_filter() -> Finding {
    const WALL: &str = "system-call filter";
    let actions = read("/proc/sys/kernel/seccomp/actions_avail");
    let has = |wanted: &str| actions.split_whitespace().any(|action| action == wanted);
    match has("kill_process") && has("errno") {
        true => Finding::holds(WALL, "seccomp with the actions kill_process and errno"),
        false => {
            Finding::missing(WALL, "seccomp filters are not there", "use a kernel with CONFIG_SECCOMP_FILTER")
        }
    }
}

fn root_change() -> Finding {
    const WALL: &str = "root directory";
    let mounts = read("/proc/self/mountinfo");
    let root = mounts.lines().rfind(|line| line.split(' ').nth(4) == Some("/"));
    match root.is_some_and(|line| line.contains(" - rootfs ")) {
        true => Finding::missing(
            WALL,
            "the system runs from its initial memory file system, which pivot_root cannot leave",
            "boot into a root file system, or start samovar in a container",
        ),
        false => Finding::holds(WALL, "each sandbox gets its own by pivot_root"),
    }
}

fn layers() -> Finding {
    const WALL: &str = "several layers";
    let known =
        read("/proc/filesystems").lines().any(|line| line.trim_start_matches("nodev").trim() == "overlay");
    match known {
        true => Finding::holds(WALL, "overlay file system"),
        false => Finding::weaker(
            WALL,
            "no overlay file system: functions with two layers or more do not start",
            "modprobe overlay",
        ),
    }
}

fn open_files() -> Finding {
    const WALL: &str = "open files";
    let hard = getrlimit(Resource::Nofile).maximum;
    let sandboxes = ENVIRONMENTS.min((hard.unwrap_or(u64::MAX) / ENVIRONMENT_DESCRIPTORS) as usize);
    let shown = hard.map_or("unlimited".to_owned(), |hard| hard.to_string());
    let detail = format!("a hard limit of {shown} makes room for {sandboxes} sandboxes");
    match sandboxes < ENVIRONMENTS {
        true => {
            let wanted = ENVIRONMENTS as u64 * ENVIRONMENT_DESCRIPTORS;
            Finding::weaker(WALL, detail, format!("raise it to {wanted}: LimitNOFILE= or ulimit -Hn"))
        }
        false => Finding::holds(WALL, detail),
    }
}

fn landlock() -> Finding {
    const WALL: &str = "landlock";
    match crate::sys::process::landlock_version() {
        Ok(version) => Finding::holds(WALL, format!("version {version} is there; no wall rests on it")),
        Err(error) => Finding::holds(WALL, format!("not there ({error}); no wall rests on it")),
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        assert_eq!(version("6.18.44-fc-v669"), Some((6, 18)));
        assert_eq!(version("5.9"), Some((5, 9)));
        assert!(version("5.9.1") < version("5.12.0"));
        assert_eq!(version("odd"), None);
    }

    #[test]
    fn every_wall_is_looked_at_and_what_does_not_hold_has_advice() {
        let findings = probe();
        assert!(findings.len() >= 10);
        for finding in findings {
            assert_eq!(finding.state == State::Holds, finding.advice.is_empty(), "{finding:?}");
            assert!(!finding.detail.is_empty(), "{finding:?}");
        }
    }
}
