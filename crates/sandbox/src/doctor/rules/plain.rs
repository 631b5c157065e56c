//! The walls that functions without walls still have.

use super::{Facts, Finding, version};

/// What does not hold for functions without walls (`--isolation none`), and what follows.
pub const NOT_ENFORCED: &[(&str, &str)] = &[
    (
        "files",
        "a function reads and writes whatever its user may, other functions' code and the data directory included",
    ),
    ("processes", "it sees its user's processes and may signal them, Samovar's own included"),
    (
        "network",
        "it has the host's; its Runtime API and AWS endpoint are ports on 127.0.0.1: other users are refused there, but other \
         functions are not, and may act as it does",
    ),
    ("memory", "there is no limit; Max Memory Used is measured all the same"),
    ("processor", "there is neither share nor quota"),
    ("freezer", "what a function left running works on between its invocations"),
    ("number of processes", "there is no limit but the user's own"),
    (
        "/tmp",
        "it is the host's and has no size; TMPDIR names a directory of the environment's own, removed with it",
    ),
    (
        "/var/task, /opt and /var/runtime",
        "they are not there; LAMBDA_TASK_ROOT and the other variables name the real directories, which can be written",
    ),
];

/// What is said at every start without walls.
pub fn warning(is_root: bool) -> String {
    let who = if is_root { "root, the user who started it" } else { "the user who started it" };
    format!(
        "WARNING: isolation is off (--isolation none). Functions run as plain processes of {who}: they see and change \
         its files and processes, reach its network and each other, and have no limits of memory, processor or /tmp \
         beyond what the machine sets. Run only code that you would run yourself. \
         `samovar doctor --isolation none` lists what does not hold."
    )
}

pub(super) fn verdicts(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![user(facts), kernel(facts)];
    findings.extend(NOT_ENFORCED.iter().map(|(wall, follows)| {
        Finding::weaker(wall, "not enforced", *follows, "run with --isolation full where there is root")
    }));
    findings
}

fn user(facts: &Facts) -> Finding {
    const WALL: &str = "user";
    match facts.uid {
        0 => Finding::weaker(
            WALL,
            "this is root",
            "functions run as root, with what this machine or container lets root do",
            "start samovar as another user",
        ),
        uid => Finding::ok(WALL, format!("functions run as user {uid}")),
    }
}

fn kernel(facts: &Facts) -> Finding {
    const WALL: &str = "kernel";
    let detail = format!("Linux {}", facts.release);
    match version(&facts.release) {
        Some(version) if version >= (5, 9) => Finding::ok(WALL, detail),
        _ => Finding::missing(WALL, detail, "nothing starts", "use Linux 5.9 or newer"),
    }
}
