//! The AWS SDKs that functions may import without packaging them, as on AWS.
//!
//! Below the SDK directory stand `python/`, the last entry of a function's `sys.path`, and `nodejs/node_modules`,
//! which Node.js comes to after the function's own packages and those of its layers.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Family, Interpreter};
use crate::identity::SDK_INSIDE;

/// What pip installs, and with it what that depends on.
pub const PYTHON_REQUIREMENTS: [&str; 1] = ["boto3==1.44.5"];

/// What npm installs: the clients of the services that Samovar speaks.
pub const NODE_REQUIREMENTS: [&str; 2] =
    ["@aws-sdk/client-lambda@3.1162.0", "@aws-sdk/client-cloudwatch-logs@3.1162.0"];

/// Oldest Python that the SDK runs on. Source: boto3's package metadata.
const PYTHON_MINOR: u32 = 10;

/// File beside the packages that names what was installed.
const PINS: &str = ".samovar-pins";

/// Lines of a failed tool's output that are shown. Ours.
const TAIL_LINES: usize = 12;

/// What is installed of the SDKs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Installed {
    /// Python functions can import boto3.
    pub python: bool,
    /// Node.js functions can import the clients.
    pub node: bool,
}

/// Why an SDK was not installed.
#[derive(Debug, thiserror::Error)]
pub enum SdkError {
    /// The tool is missing.
    #[error("{tool} is not installed; {advice}")]
    Missing {
        /// pip or npm.
        tool: &'static str,
        /// How to get it.
        advice: &'static str,
    },
    /// The tool did not manage.
    #[error("{tool} ended with {status}:\n{output}")]
    Tool {
        /// pip or npm.
        tool: &'static str,
        /// How it ended.
        status: String,
        /// The end of what it said.
        output: String,
    },
    /// The directory cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// Where.
        path: PathBuf,
        /// The operating system's answer.
        #[source]
        source: io::Error,
    },
}

/// Which of the pinned packages stand in the SDK directory.
pub fn installed(sdk_dir: &Path) -> Installed {
    let holds = |directory: &str, pins: &[&str]| {
        fs::read_to_string(sdk_dir.join(directory).join(PINS)).is_ok_and(|text| text == pins.join("\n"))
    };
    Installed { python: holds("python", &PYTHON_REQUIREMENTS), node: holds("nodejs", &NODE_REQUIREMENTS) }
}

/// Installs what is missing for the families among `interpreters`, with pip and npm; says what it does.
///
/// A directory is replaced only once its successor is whole.
pub fn install(
    sdk_dir: &Path,
    interpreters: &[Interpreter],
    progress: &mut dyn FnMut(&str),
) -> Result<Installed, SdkError> {
    let have = installed(sdk_dir);
    let has = |family| interpreters.iter().any(|found| found.family == family);
    if has(Family::Python) && !have.python {
        install_python(sdk_dir, interpreters, progress)?;
    }
    if has(Family::Node) && !have.node {
        install_node(sdk_dir, progress)?;
    }
    Ok(installed(sdk_dir))
}

fn install_python(
    sdk_dir: &Path,
    interpreters: &[Interpreter],
    progress: &mut dyn FnMut(&str),
) -> Result<(), SdkError> {
    // All Pythons of one minor version read the same compiled files.
    let mut minors = BTreeSet::new();
    let fits = |i: &&Interpreter| i.family == Family::Python && i.version.1 >= PYTHON_MINOR && may_run(i);
    let pythons: Vec<_> = interpreters.iter().filter(fits).filter(|i| minors.insert(i.version.1)).collect();
    let python = pythons.iter().find(|python| has_pip(python)).ok_or(SdkError::Missing {
        tool: "pip",
        advice: "install it for Python 3.10 or newer (Debian: apt install python3-pip)",
    })?;
    progress(&format!("installing {} with pip", PYTHON_REQUIREMENTS.join(", ")));
    let fresh = fresh_directory(sdk_dir, "python")?;
    let mut pip = Command::new(&python.host);
    pip.args(["-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check", "--target"]);
    run("pip", pip.arg(&fresh).args(PYTHON_REQUIREMENTS))?;
    for python in pythons {
        // Functions see the directory read-only: what is not compiled now, each cold start compiles.
        progress(&format!("compiling it for Python {}", python.version_text()));
        let mut compile = Command::new(&python.host);
        compile.args(["-S", "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]);
        // Tracebacks name the files as functions see them.
        compile.arg("-s").arg(&fresh).arg("-p").arg(format!("{SDK_INSIDE}/python"));
        run("compileall", compile.arg(&fresh))?;
    }
    put_in_place(sdk_dir, "python", &fresh, &PYTHON_REQUIREMENTS)
}

fn has_pip(python: &Interpreter) -> bool {
    let mut ask = Command::new(&python.host);
    ask.args(["-m", "pip", "--version"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    ask.status().is_ok_and(|status| status.success())
}

// Root must not run what another user can rewrite.
fn may_run(python: &Interpreter) -> bool {
    let owner = fs::metadata(&python.host).map(|metadata| metadata.uid());
    !rustix::process::geteuid().is_root() || owner.is_ok_and(|uid| uid == 0)
}

fn install_node(sdk_dir: &Path, progress: &mut dyn FnMut(&str)) -> Result<(), SdkError> {
    progress(&format!("installing {} with npm", NODE_REQUIREMENTS.join(", ")));
    let fresh = fresh_directory(sdk_dir, "nodejs")?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", "--prefix"]);
    run("npm", npm.arg(&fresh).args(NODE_REQUIREMENTS))?;
    put_in_place(sdk_dir, "nodejs", &fresh, &NODE_REQUIREMENTS)
}

fn run(tool: &'static str, command: &mut Command) -> Result<(), SdkError> {
    let output = command.stdin(Stdio::null()).output().map_err(|_| SdkError::Missing {
        tool,
        advice: "install it and run `samovar runtimes install` again",
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let lines: Vec<_> = said.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
    Err(SdkError::Tool { tool, status: output.status.to_string(), output: tail })
}

fn fresh_directory(sdk_dir: &Path, name: &str) -> Result<PathBuf, SdkError> {
    let fresh = sdk_dir.join(format!(".{name}-new"));
    remove(&fresh)?;
    fs::create_dir_all(&fresh).map_err(|source| SdkError::Write { path: fresh.clone(), source })?;
    Ok(fresh)
}

fn put_in_place(sdk_dir: &Path, name: &str, fresh: &Path, pins: &[&str]) -> Result<(), SdkError> {
    let place = sdk_dir.join(name);
    remove(&place)?;
    let written = fs::write(fresh.join(PINS), pins.join("\n")).and_then(|()| fs::rename(fresh, &place));
    written.map_err(|source| SdkError::Write { path: place, source })
}

fn remove(directory: &Path) -> Result<(), SdkError> {
    match fs::remove_dir_all(directory) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(SdkError::Write { path: directory.to_path_buf(), source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_with_its_pins_counts_as_installed() {
        let directory = std::env::temp_dir().join(format!("samovar-sdk-{}", std::process::id()));
        assert_eq!(installed(&directory), Installed { python: false, node: false });
        let fresh = fresh_directory(&directory, "python").expect("a writable directory");
        fs::write(fresh.join("module.py"), "").expect("a file");
        assert_eq!(installed(&directory), Installed { python: false, node: false });
        put_in_place(&directory, "python", &fresh, &PYTHON_REQUIREMENTS).expect("moved");
        assert_eq!(installed(&directory), Installed { python: true, node: false });
        assert!(directory.join("python/module.py").exists());
        fs::write(directory.join("python").join(PINS), "boto3==1.0.0").expect("a file");
        assert_eq!(installed(&directory), Installed { python: false, node: false });
        fs::remove_dir_all(&directory).expect("removed");
    }

    #[test]
    fn a_tool_that_fails_is_quoted_and_one_that_is_missing_is_named() {
        let failed = run("sh", Command::new("sh").args(["-c", "seq 1 20; echo why >&2; exit 3"]));
        let text = failed.expect_err("it failed").to_string();
        assert!(text.starts_with("sh ended with exit status: 3:\n10\n") && text.ends_with("\nwhy"), "{text}");
        let missing = run("npm", &mut Command::new("/nonexistent/npm"));
        assert!(matches!(missing, Err(SdkError::Missing { tool: "npm", .. })), "{missing:?}");
    }
}
