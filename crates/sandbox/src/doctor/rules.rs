//! What a host's facts mean for the walls. Decides; does nothing.

mod full;
mod plain;

use std::collections::{BTreeMap, BTreeSet};

use base::limits::{ENVIRONMENT_DESCRIPTORS, ENVIRONMENTS};
use serde::Serialize;

use crate::setup::Isolation;
pub use plain::{NOT_ENFORCED, warning};

/// Files that tell of the host, read whole.
pub const TEXTS: &[&str] = &[
    "/proc/filesystems",
    "/proc/self/cgroup",
    "/proc/self/mountinfo",
    "/proc/swaps",
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/seccomp/actions_avail",
    "/proc/sys/kernel/unprivileged_userns_clone",
    "/proc/sys/kernel/yama/ptrace_scope",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/net/ipv6/conf/all/disable_ipv6",
    "/proc/sys/user/max_user_namespaces",
];

/// Files whose being there tells something.
pub const PLACES: &[&str] = &[
    "/proc/self/ns/cgroup",
    "/proc/self/ns/ipc",
    "/proc/self/ns/mnt",
    "/proc/self/ns/net",
    "/proc/self/ns/pid",
    "/proc/self/ns/user",
    "/proc/self/ns/uts",
];

/// The same in the memory hierarchy of version 1.
pub const MEMORY_FILES_V1: &[&str] = &["memory.memsw.limit_in_bytes", "memory.oom_control"];

/// Room on the disk below which a warning is due, in bytes: a few packages and an hour of logs. Ours.
const ROOM: u64 = 1024 * 1024 * 1024;

/// What was found on a host.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Who looked.
    pub uid: u32,
    /// Capabilities that the launcher needs and this process lacks.
    pub lacking: Vec<&'static str>,
    /// The kernel's release.
    pub release: String,
    /// Version of the landlock interface, where it is on.
    pub landlock: Option<i64>,
    /// Hard limit on open files; none is no limit.
    pub open_files: Option<u64>,
    /// Where the tool for packet filters is.
    pub nft: Option<String>,
    /// Whether the kernel has virtual Ethernet links, built in or loaded.
    pub veth: bool,
    /// Where data goes.
    pub disk: Option<Disk>,
    /// Interpreters with their versions.
    pub interpreters: Vec<String>,
    /// Ids of those whose runtimes a zygote can bear.
    pub zygotes: Vec<String>,
    /// Capabilities that a zygote needs and this process lacks.
    pub zygotes_lack: Vec<&'static str>,
    /// Contents of files, by path.
    pub texts: BTreeMap<String, String>,
    /// Those of the files that were looked for that are there.
    pub there: BTreeSet<String>,
    /// What could not be looked at for want of rights.
    pub unreadable: Vec<String>,
}

/// The file system of the data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The data directory.
    pub at: String,
    /// Bytes that are free.
    pub free: u64,
}

/// One wall, and how it stands on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The wall's name.
    pub wall: &'static str,
    /// How it stands.
    pub state: State,
    /// The fact that was found.
    pub detail: String,
    /// What follows from it; empty when it is as designed.
    pub follows: String,
    /// What to do about it; empty when it holds.
    pub advice: String,
}

/// How a wall stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As designed.
    Ok,
    /// It stands, but is weaker than designed, or could not be looked at.
    Weaker,
    /// Samovar cannot run functions without it.
    Missing,
}

/// Every wall of a mode.
pub fn verdicts(facts: &Facts, isolation: Isolation) -> Vec<Finding> {
    let mut findings = match isolation {
        Isolation::Full => full::verdicts(facts).into_iter().chain(zygotes(facts)).collect(),
        Isolation::None => plain::verdicts(facts),
    };
    findings.extend([system_call_filter(facts), open_files(facts), disk(facts), interpreters(facts)]);
    if !facts.unreadable.is_empty() {
        let detail = format!("no right to look at {}", facts.unreadable.join(", "));
        findings.push(Finding::weaker(
            "this look",
            detail,
            "some of the above may be otherwise",
            "run it as root",
        ));
    }
    findings
}

/// Whether functions can run.
pub fn is_ready(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.state != State::Missing)
}

impl Facts {
    /// The contents of a file; empty when it is not there.
    pub fn text(&self, path: &str) -> &str {
        self.texts.get(path).map_or("", |text| text.trim_end())
    }

    fn has(&self, path: &str) -> bool {
        self.there.contains(path)
    }
}

impl Finding {
    fn ok(wall: &'static str, detail: impl Into<String>) -> Self {
        Self { wall, state: State::Ok, detail: detail.into(), follows: String::new(), advice: String::new() }
    }

    fn weaker(
        wall: &'static str,
        detail: impl Into<String>,
        follows: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let (detail, follows, advice) = (detail.into(), follows.into(), advice.into());
        Self { wall, state: State::Weaker, detail, follows, advice }
    }

    fn missing(
        wall: &'static str,
        detail: impl Into<String>,
        follows: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { state: State::Missing, ..Self::weaker(wall, detail, follows, advice) }
    }
}

/// Major and minor of `6.18.44-fc`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

fn system_call_filter(facts: &Facts) -> Finding {
    const WALL: &str = "system-call filter";
    let actions = facts.text("/proc/sys/kernel/seccomp/actions_avail");
    let has = |wanted: &str| actions.split_whitespace().any(|action| action == wanted);
    match has("kill_process") && has("errno") {
        true => Finding::ok(WALL, "seccomp with the actions kill_process and errno"),
        false => Finding::missing(
            WALL,
            "seccomp filters are not there",
            "nothing starts: server and functions are filtered in every mode",
            "use a kernel with CONFIG_SECCOMP_FILTER",
        ),
    }
}

fn open_files(facts: &Facts) -> Finding {
    const WALL: &str = "open files";
    let sandboxes =
        ENVIRONMENTS.min((facts.open_files.unwrap_or(u64::MAX) / ENVIRONMENT_DESCRIPTORS) as usize);
    let shown = facts.open_files.map_or("unlimited".to_owned(), |hard| hard.to_string());
    let detail = format!("a hard limit of {shown} makes room for {sandboxes} environments");
    match sandboxes < ENVIRONMENTS {
        true => {
            let wanted = ENVIRONMENTS as u64 * ENVIRONMENT_DESCRIPTORS;
            let follows = "more at once are answered with 429";
            Finding::weaker(
                WALL,
                detail,
                follows,
                format!("raise it to {wanted}: LimitNOFILE= or ulimit -Hn"),
            )
        }
        false => Finding::ok(WALL, detail),
    }
}

fn disk(facts: &Facts) -> Finding {
    const WALL: &str = "disk space";
    let Some(Disk { at, free }) = &facts.disk else {
        return Finding::weaker(
            WALL,
            "its file system does not tell",
            "it may fill up unseen",
            "watch it by other means",
        );
    };
    let detail = format!("{} MiB free for {at}", free / 1024 / 1024);
    match *free < ROOM {
        true => {
            let follows = "deployments and logs fail when it is full";
            Finding::weaker(WALL, detail, follows, "make room, or choose another --data-dir")
        }
        false => Finding::ok(WALL, detail),
    }
}

fn interpreters(facts: &Facts) -> Finding {
    const WALL: &str = "interpreters";
    match facts.interpreters.is_empty() {
        true => Finding::weaker(
            WALL,
            "none found",
            "only functions with their own bootstrap run (provided.al2023)",
            "install Python, Node.js or Ruby",
        ),
        false => Finding::ok(WALL, facts.interpreters.join(", ")),
    }
}

/// Nothing where there is no Python.
fn zygotes(facts: &Facts) -> Option<Finding> {
    const WALL: &str = "zygotes";
    let ids = facts.zygotes.join(", ");
    match (ids.is_empty(), facts.zygotes_lack.is_empty()) {
        (true, _) => None,
        (false, true) => Some(Finding::ok(WALL, format!("runtimes of {ids} are forked"))),
        (false, false) => Some(Finding::weaker(
            WALL,
            format!("this process lacks {}", facts.zygotes_lack.join(", ")),
            format!("runtimes of {ids} are executed, and start some 20 ms later"),
            "give the container or service that capability",
        )),
    }
}

#[cfg(test)]
mod tests;
