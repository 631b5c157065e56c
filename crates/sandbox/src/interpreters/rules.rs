//! Which interpreter serves a Lambda runtime id, and how it is started. Decides; does nothing.

pub mod waiting;

use std::fmt;

use base::units::Mib;

use super::{Family, Interpreter};

/// How closely an interpreter must fit a runtime id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RuntimeMatch {
    /// The nearest version of the family serves, with a warning.
    #[default]
    Nearest,
    /// Only the very version serves.
    Exact,
}

/// What runs a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice<'a> {
    /// The function brings its own `bootstrap`.
    Provided,
    /// One of this machine's interpreters.
    Interpreter {
        /// The one that serves.
        interpreter: &'a Interpreter,
        /// Said in the function's log when it is not the version that the function asked for.
        warning: Option<String>,
    },
}

/// Why nothing here runs a function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// Samovar has no client for this family.
    #[error(
        "samovar has no runtime client for {runtime}: package the function with its own bootstrap \
         and use the runtime provided.al2023"
    )]
    NoClient {
        /// The runtime id.
        runtime: String,
    },
    /// Not a runtime id that Samovar knows.
    #[error("samovar does not know the runtime {runtime}")]
    Unknown {
        /// The runtime id.
        runtime: String,
    },
    /// Nothing of the family is installed.
    #[error("{runtime} needs {family}, and none is installed here: install {wanted} and restart samovar")]
    NotInstalled {
        /// The runtime id.
        runtime: String,
        /// What is missing.
        family: Family,
        /// The version to install.
        wanted: String,
    },
    /// Only other versions are installed, and the exact one is demanded.
    #[error(
        "{runtime} needs {wanted}, and the nearest here is {nearest}: install it, \
         or start samovar with --runtime-match nearest"
    )]
    NotExact {
        /// The runtime id.
        runtime: String,
        /// The version to install.
        wanted: String,
        /// The nearest installed version.
        nearest: String,
    },
    /// The package holds native modules that the nearest version cannot load.
    #[error(
        "{runtime} needs {wanted}: the package has native modules built for {built_for}, \
         which {nearest}, the nearest here, cannot load; install {wanted} and restart samovar"
    )]
    NativeModules {
        /// The runtime id.
        runtime: String,
        /// The version to install.
        wanted: String,
        /// The nearest installed version.
        nearest: String,
        /// What the modules were built for.
        built_for: String,
    },
}

/// Argument list and environment of a runtime's first process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartCommand {
    /// The program and its arguments; the client's file is the last one.
    pub argv: Vec<String>,
    /// Defaults of the runtime; a function's own variables of the same name win.
    pub env: Vec<(String, String)>,
}

/// Which runtime an environment uses, as the first line of its log names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeVersion {
    /// Such as `python:3.11.v1`.
    pub text: String,
    /// 64 hexadecimal digits, the same on every machine.
    pub hash: String,
}

/// Number of our runtime clients' behaviour; changes with what a function can see.
const CLIENT_VERSION: u32 = 1;

/// The search path of recorded environments, without the interpreter's own directory in front.
const PATH: &str = "/usr/local/bin:/usr/bin/:/bin:/opt/bin";

/// The search path of a process that nobody configured.
const SYSTEM_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Where our clients are inside.
const CLIENTS: &str = "/var/runtime";

/// Our client for Python.
const PYTHON_CLIENT: &str = "/var/runtime/bootstrap.py";

/// Our client for Node.js.
const NODE_CLIENT: &str = "/var/runtime/bootstrap.js";

/// Chooses for a runtime id among what is installed (preferred ones of equal version first).
///
/// `native` names, package by package, what native modules were built for, such as `cpython-312`: a function's
/// own package and its layers must each be loadable.
pub fn choose<'a>(
    runtime: &str,
    native: &[Vec<String>],
    installed: &'a [Interpreter],
    policy: RuntimeMatch,
) -> Result<Choice<'a>, RuntimeError> {
    let asked = match asked_for(runtime)? {
        Asked::Provided => return Ok(Choice::Provided),
        Asked::Interpreter(asked) => asked,
    };
    let nearest = installed
        .iter()
        .filter(|found| found.family == asked.family)
        .min_by_key(|found| asked.distance(found.version));
    let Some(interpreter) = nearest else {
        let (runtime, wanted) = (runtime.to_owned(), asked.to_string());
        return Err(RuntimeError::NotInstalled { runtime, family: asked.family, wanted });
    };
    if asked.is_met_by(interpreter.version) {
        return Ok(Choice::Interpreter { interpreter, warning: None });
    }
    let nearest = format!("{} {}", interpreter.family, interpreter.version_text());
    let (runtime, wanted) = (runtime.to_owned(), asked.to_string());
    if policy == RuntimeMatch::Exact {
        return Err(RuntimeError::NotExact { runtime, wanted, nearest });
    }
    if let Some(built_for) = native.iter().find_map(|package| unloadable(package, interpreter)) {
        return Err(RuntimeError::NativeModules { runtime, wanted, nearest, built_for });
    }
    let warning = format!(
        "WARNING: {runtime} is not installed on this machine; this function runs on {nearest} instead. \
         Install {wanted} for the same behaviour as on AWS."
    );
    Ok(Choice::Interpreter { interpreter, warning: Some(warning) })
}

/// How an interpreter is started for a runtime id.
pub fn launch_command(runtime: &str, interpreter: &Interpreter) -> StartCommand {
    let executable = interpreter.executable.display().to_string();
    let (arguments, variables): (&[&str], Vec<(&str, String)>) = match interpreter.family {
        // Without `site`: it costs 2 ms and would bring in what the host has installed.
        Family::Python => (&["-S", PYTHON_CLIENT], vec![("PYTHONPATH", CLIENTS.into())]),
        Family::Node => (&["--expose-gc", NODE_CLIENT], vec![("NODE_PATH", node_path(runtime))]),
        Family::Ruby => (&["/var/runtime/bootstrap.rb"], ruby_variables(runtime, interpreter)),
    };
    let argv = std::iter::once(executable).chain(arguments.iter().map(|&text| text.to_owned())).collect();
    let mut env = vec![("PATH".to_owned(), search_path(interpreter))];
    env.extend(variables.into_iter().map(|(name, value)| (name.to_owned(), value)));
    StartCommand { argv, env }
}

impl StartCommand {
    /// Fits the heap of Node.js to the function's memory, in the shares of the stock runtime.
    ///
    /// Without it the heap follows the machine's memory, and garbage alone would get a small function killed.
    #[must_use]
    pub fn for_memory(mut self, memory: Mib) -> Self {
        if self.argv.last().is_some_and(|file| file.ends_with(".js")) {
            let young = format!("--max-semi-space-size={}", (memory.0 / 20).max(1));
            let old = format!("--max-old-space-size={}", memory.0 / 10 * 9);
            let file = self.argv.len() - 1;
            self.argv.splice(file..file, [young, old]);
        }
        self
    }
}

/// Names the runtime of an environment.
pub fn runtime_version(runtime: &str) -> RuntimeVersion {
    let split = runtime.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(runtime.len());
    let (family, version) = runtime.split_at(split);
    let version = version.trim_start_matches('.').trim_end_matches(".x");
    let text = format!("{family}:{version}.v{CLIENT_VERSION}");
    let words = (1..=4_u64).map(|part| format!("{:016x}", hash(part, text.as_bytes())));
    RuntimeVersion { hash: words.collect(), text }
}

impl RuntimeVersion {
    /// The ARN that the log shows: `arn:aws:lambda:us-east-1::runtime:<hash>`.
    pub fn arn(&self, region: &str) -> String {
        format!("arn:aws:lambda:{region}::runtime:{}", self.hash)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Provided,
    Interpreter(Wanted),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    family: Family,
    major: u32,
    minor: u32,
}

impl Wanted {
    fn is_met_by(self, version: (u32, u32, u32)) -> bool {
        version.0 == self.major && (self.family == Family::Node || version.1 == self.minor)
    }

    // Releases between two versions, and the newer one first where two are equally far.
    fn distance(self, version: (u32, u32, u32)) -> (u32, bool) {
        let place = |major: u32, minor: u32| match self.family {
            Family::Python => minor,
            Family::Node => major,
            // 3.4 was followed by 4.0.
            Family::Ruby => major.saturating_sub(3) * 5 + minor,
        };
        let (asked, found) = (place(self.major, self.minor), place(version.0, version.1));
        (asked.abs_diff(found), found < asked)
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.family {
            Family::Node => write!(f, "{} {}", self.family, self.major),
            Family::Python | Family::Ruby => write!(f, "{} {}.{}", self.family, self.major, self.minor),
        }
    }
}

fn asked_for(runtime: &str) -> Result<Asked, RuntimeError> {
    let unknown = || RuntimeError::Unknown { runtime: runtime.to_owned() };
    let number = |text: &str| text.parse::<u32>().map_err(|_| unknown());
    if let Some(version) = runtime.strip_prefix("nodejs").and_then(|rest| rest.strip_suffix(".x")) {
        return Ok(Asked::Interpreter(Wanted { family: Family::Node, major: number(version)?, minor: 0 }));
    }
    for (prefix, family) in [("python", Family::Python), ("ruby", Family::Ruby)] {
        if let Some(version) = runtime.strip_prefix(prefix) {
            let (major, minor) = version.split_once('.').ok_or_else(unknown)?;
            return Ok(Asked::Interpreter(Wanted { family, major: number(major)?, minor: number(minor)? }));
        }
    }
    match runtime {
        "provided.al2" | "provided.al2023" => Ok(Asked::Provided),
        _ if ["java", "dotnet"].iter().any(|family| runtime.starts_with(family)) => {
            Err(RuntimeError::NoClient { runtime: runtime.to_owned() })
        }
        _ => Err(unknown()),
    }
}

// What the package was built for, when none of it fits the interpreter.
fn unloadable(native: &[String], interpreter: &Interpreter) -> Option<String> {
    let (major, minor, _) = interpreter.version;
    let (family, fitting) = match interpreter.family {
        Family::Python => ("cpython-", format!("cpython-{major}{minor}")),
        // The number that Node.js calls its module version; modules of its stable interface carry none.
        Family::Node => ("node-", format!("node-{}", node_modules_version(major)?)),
        Family::Ruby => ("ruby-", format!("ruby-{major}.{minor}")),
    };
    // A tag may name the machine too: `cpython-312-x86_64-linux-gnu`.
    let fits = |tag: &&String| {
        tag.strip_prefix(&fitting).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let mut of_family = native.iter().filter(|tag| tag.starts_with(family)).peekable();
    let first = (*of_family.peek()?).clone();
    (!of_family.any(|tag| fits(&tag))).then_some(first)
}

// Source: the Node.js project's registry of module versions.
fn node_modules_version(major: u32) -> Option<u32> {
    Some(match major {
        16 => 93,
        18 => 108,
        20 => 115,
        22 => 127,
        24 => 137,
        26 => 147,
        _ => return None,
    })
}

fn node_path(runtime: &str) -> String {
    let major = runtime.trim_start_matches("nodejs").trim_end_matches(".x");
    format!(
        "/opt/nodejs/node{major}/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task"
    )
}

// Ruby numbers its library directories by the series; packages have that of the runtime they were made for.
fn ruby_variables(runtime: &str, interpreter: &Interpreter) -> Vec<(&'static str, String)> {
    let packaged = format!("{}.0", runtime.trim_start_matches("ruby"));
    let running = format!("{}.{}.0", interpreter.version.0, interpreter.version.1);
    let gems = |series: &str| format!("/var/task/vendor/bundle/ruby/{series}:/opt/ruby/gems/{series}");
    let path =
        if packaged == running { gems(&running) } else { format!("{}:{}", gems(&running), gems(&packaged)) };
    vec![
        ("GEM_HOME", "/var/runtime".to_owned()),
        ("GEM_PATH", path),
        ("RUBYLIB", "/var/task:/var/runtime/lib:/opt/ruby/lib".to_owned()),
    ]
}

fn search_path(interpreter: &Interpreter) -> String {
    match interpreter.executable.parent() {
        Some(directory) if !directory.starts_with("/usr") && directory != "/bin" => {
            format!("{}:{PATH}", directory.display())
        }
        _ => format!("/var/lang/bin:{PATH}"),
    }
}

// It only has to be the same everywhere and to differ between runtimes.
fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let mixed = base::fnv::hash64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), bytes);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

#[cfg(test)]
mod tests;
