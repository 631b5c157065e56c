//! What the launcher is told at the start, and what it gives the server.

use std::borrow::Cow;
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use crate::client::LauncherClient;
use crate::plan::egress;

/// Everything the launcher knows; it is fixed before the server exists.
#[derive(Debug, Clone)]
pub struct LauncherSetup {
    /// Samovar's data directory; made when missing. It belongs to the server's user afterwards.
    pub data_dir: PathBuf,
    /// Interpreters that a sandbox may ask for by id.
    pub interpreters: Vec<InterpreterRoot>,
    /// Files shown read-only under `/var/runtime`.
    pub runtime_files: Vec<RuntimeFile>,
    /// Directory shown read-only at [`crate::identity::SDK_INSIDE`].
    pub sdk_dir: Option<PathBuf>,
    /// Unpacks an archive into a directory. Runs in a confined process without network, other files or rights;
    /// the bytes (at most [`crate::limits::UNPACK_REPORT_BYTES`]) travel to the caller of
    /// [`LauncherClient::unpack`] as they are.
    pub unpack: Unpack,
    /// How processor time is shared out.
    pub cpu_policy: CpuPolicy,
    /// Sandboxes that are kept ready at all times; none are built ahead when it is zero. Without it their number follows
    /// demand, up to [`crate::limits::PREPARED_MOST`].
    pub prepared: Option<usize>,
    /// What functions reach beyond their sandbox.
    pub egress: egress::Wishes,
    /// What stands between functions and everything else.
    pub isolation: Isolation,
}

/// The function that a confined helper runs: archive in, files below the directory out.
pub type Unpack = fn(&File, BorrowedFd<'_>) -> Result<Vec<u8>, Vec<u8>>;

/// One interpreter that sandboxes may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterpreterRoot {
    /// Lower-case letters, digits, dots, underscores and hyphens.
    pub id: String,
    /// What of the host it needs beyond `/usr`.
    pub mounts: Vec<HostMount>,
    /// Command of the zygote that bears its runtimes, if it can have one: a Python with our own client.
    pub zygote: Option<Vec<String>>,
}

/// A directory or file of the host that is shown inside, read-only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostMount {
    /// Where it is on the host.
    pub host: PathBuf,
    /// Where it is shown; absolute.
    pub inside: PathBuf,
}

/// A file under `/var/runtime`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeFile {
    /// Relative to `/var/runtime`, without `.` and `..`.
    pub path: PathBuf,
    /// What it holds.
    pub contents: Cow<'static, [u8]>,
    /// Whether it may be executed.
    pub executable: bool,
}

/// How processor time follows memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CpuPolicy {
    /// In proportion while the machine is busy; an idle machine gives all it has.
    #[default]
    Shares,
    /// In proportion, and never more than 1 vCPU per 1769 MB, as on AWS.
    Quota,
}

/// What stands between functions and everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// Every wall that this crate builds. Needs root.
    #[default]
    Full,
    /// None: functions are processes of the user who started Samovar. Needs no right at all.
    None,
}

/// What the server's process starts with, in the data directory as its working directory.
#[derive(Debug)]
pub struct ServerSide {
    /// Asks the launcher for sandboxes.
    pub client: LauncherClient,
    /// The data directory, at a path that the server's user can reach.
    pub data_dir: PathBuf,
}

/// Why the launcher did not start.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// Sandboxes need rights that only root has.
    #[error(
        "samovar builds its sandboxes as root and was started by user {uid}; start it with sudo (its server, its \
         functions and all parsing still run without any right), see `samovar doctor`, or run functions without walls, \
         as processes of your own: --isolation none"
    )]
    NotRoot {
        /// The user that started it.
        uid: u32,
    },
    /// Root without some of its powers, as in many containers.
    #[error(
        "this root lacks {missing}; give the container or service that capability, see `samovar doctor`, or run \
         functions without walls, as processes of this user: --isolation none"
    )]
    LessThanRoot {
        /// Names of the capabilities.
        missing: String,
    },
    /// Threads exist already; forking would be unsound.
    #[error("the launcher must start before any thread, and {threads} run already")]
    Threads {
        /// Threads of this process.
        threads: usize,
    },
    /// Another launcher works on this directory.
    #[error("another samovar uses the data directory {0}; stop it first or choose another --data-dir")]
    InUse(PathBuf),
    /// The directory has contents that are not Samovar's.
    #[error(
        "the data directory {0} holds files that samovar did not make, and would be given to its server's user; \
         choose an empty or new directory"
    )]
    ForeignDataDir(PathBuf),
    /// The directory is somebody else's.
    #[error("the data directory {0} belongs to another user; choose another --data-dir")]
    NotOurs(PathBuf),
    /// No control groups to limit memory with.
    #[error("no control groups limit memory here; mount cgroup v2 or v1 with the memory controller")]
    NoCgroups,
    /// The set-up contradicts itself.
    #[error("{0}")]
    Setup(String),
    /// A step failed.
    #[error("{step}: {source}")]
    Step {
        /// What was being done.
        step: String,
        /// The operating system's answer.
        source: std::io::Error,
    },
}
