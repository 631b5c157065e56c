//! The interpreters of this machine and the runtime clients that run on them.
//!
//! [`discover`](discover()) finds them, once, in the launcher; [`rules`] says which of them serves a Lambda runtime
//! id and how it is started; [`sdk`] installs the AWS SDKs that functions may import without packaging them.

mod bytecode;
pub mod discover;
mod probe;
pub mod rules;
pub mod sdk;

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use crate::setup::{HostMount, InterpreterRoot, RuntimeFile};

/// A kind of interpreter that Samovar has a runtime client for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// CPython 3.8 or newer.
    Python,
    /// Node.js 16 or newer.
    Node,
    /// CRuby 3.0 or newer.
    Ruby,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Python => "Python",
            Self::Node => "Node.js",
            Self::Ruby => "Ruby",
        })
    }
}

/// One interpreter found on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// Unique here: `python3.11` for the preferred one of a version, `python3.11.7` for a further one.
    pub id: String,
    /// What it interprets.
    pub family: Family,
    /// Major, minor and patch level.
    pub version: (u32, u32, u32),
    /// The real file on the host.
    pub host: PathBuf,
    /// The same file as a sandbox sees it.
    pub executable: PathBuf,
    /// What of the host a sandbox needs beyond `/usr`.
    pub mounts: Vec<HostMount>,
}

impl Interpreter {
    /// What the launcher has to know of it.
    pub fn root(&self) -> InterpreterRoot {
        InterpreterRoot {
            id: self.id.clone(),
            mounts: self.mounts.clone(),
            zygote: rules::waiting::zygote_command(self),
        }
    }

    /// The version as people write it: `3.11.2`.
    pub fn version_text(&self) -> String {
        format!("{}.{}.{}", self.version.0, self.version.1, self.version.2)
    }
}

/// Symbolic links in the root of every sandbox, as (link, target).
///
/// Node.js looks for what an ES module imports in `node_modules` directories above it only. These two stand above
/// `/var/task`: first what layers bring, last the SDK, so that a function's own packages always win.
pub const ROOT_LINKS: [(&str, &str); 2] = [
    ("/var/node_modules", "/opt/nodejs/node_modules"),
    ("/node_modules", "/var/runtime/sdk/nodejs/node_modules"),
];

const FILES: &[(&str, &[u8])] = &[
    ("bootstrap.py", include_bytes!("../../../runtimes/python/bootstrap.py")),
    ("_samovar_client.py", include_bytes!("../../../runtimes/python/_samovar_client.py")),
    ("_samovar_faults.py", include_bytes!("../../../runtimes/python/_samovar_faults.py")),
    ("_samovar_snapshot.py", include_bytes!("../../../runtimes/python/_samovar_snapshot.py")),
    ("snapshot_restore_py.py", include_bytes!("../../../runtimes/python/snapshot_restore_py.py")),
    ("_samovar_json.py", include_bytes!("../../../runtimes/python/_samovar_json.py")),
    ("_samovar_memory.py", include_bytes!("../../../runtimes/python/_samovar_memory.py")),
    ("_samovar_logging.py", include_bytes!("../../../runtimes/python/_samovar_logging.py")),
    ("_samovar_rehearsal.py", include_bytes!("../../../runtimes/python/_samovar_rehearsal.py")),
    ("_samovar_waiting.py", include_bytes!("../../../runtimes/python/_samovar_waiting.py")),
    ("bootstrap.js", include_bytes!("../../../runtimes/node/bootstrap.js")),
    ("_samovar_connection.js", include_bytes!("../../../runtimes/node/_samovar_connection.js")),
    ("_samovar_console.js", include_bytes!("../../../runtimes/node/_samovar_console.js")),
    ("_samovar_errors.js", include_bytes!("../../../runtimes/node/_samovar_errors.js")),
    ("_samovar_layers.js", include_bytes!("../../../runtimes/node/_samovar_layers.js")),
    ("_samovar_loader.js", include_bytes!("../../../runtimes/node/_samovar_loader.js")),
    ("_samovar_store.js", include_bytes!("../../../runtimes/node/_samovar_store.js")),
    ("_samovar_stream.js", include_bytes!("../../../runtimes/node/_samovar_stream.js")),
    ("_samovar_rehearsal.js", include_bytes!("../../../runtimes/node/_samovar_rehearsal.js")),
    ("_samovar_rehearsal.mjs", include_bytes!("../../../runtimes/node/_samovar_rehearsal.mjs")),
    ("_samovar_waiting.js", include_bytes!("../../../runtimes/node/_samovar_waiting.js")),
    ("bootstrap.rb", include_bytes!("../../../runtimes/ruby/bootstrap.rb")),
    (rules::waiting::ZYGOTE_LIBRARY, include_bytes!(concat!(env!("OUT_DIR"), "/zygote.so"))),
];

/// The runtime clients: path below `/var/runtime`, and contents.
pub fn files() -> &'static [(&'static str, &'static [u8])] {
    FILES
}

/// Everything that belongs under `/var/runtime`: the clients, and their compiled form for each Python that is here.
///
/// Starts every Python once, all at the same time (about 30 ms); without its compiled form a client still works and
/// only starts some milliseconds later.
pub fn runtime_files(interpreters: &[Interpreter]) -> Vec<RuntimeFile> {
    let sources = FILES.iter().map(|(path, contents)| RuntimeFile {
        path: PathBuf::from(path),
        contents: Cow::Borrowed(*contents),
        executable: false,
    });
    sources.chain(bytecode::compile(interpreters, FILES)).collect()
}

/// All interpreters of this machine that Samovar can use, the preferred one of each version first.
///
/// Runs in the launcher before anything else: it starts a process only where files do not tell the version, as the
/// owner of the file and never as root for a file of somebody else.
pub fn discover() -> Vec<Interpreter> {
    discover::search(&discover::Places::of_this_machine(), &probe::version_of)
}
