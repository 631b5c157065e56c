//! What a host's facts mean for the walls. Decides; does nothing.

/// What does not hold for functions without walls (`--isolation none`).
pub const NOT_ENFORCED: &[&str] = &[
    "files: a function reads and writes whatever its user may, other functions' code and the data directory included",
    "processes: it sees its user's processes and may signal them, Samovar's own included",
    "network: it has the host's; its Runtime API and AWS endpoint are ports on 127.0.0.1 that every local process reaches",
    "memory: no limit; Max Memory Used is measured all the same",
    "processor: no share and no quota",
    "number of processes: no limit but the user's own",
    "/tmp: the host's, without a size; TMPDIR names a directory of the environment's own, removed with it",
    "/var/task, /opt and /var/runtime: not there; LAMBDA_TASK_ROOT and the other variables name the real directories",
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
