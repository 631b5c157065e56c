//! The launcher of functions that are plain processes: what it lays out, and how it finds what nobody owns.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::process::Signal;

use super::house::{CODE, House};
use crate::limits::{PLAIN_KILL_PAUSE, PLAIN_KILL_ROUNDS};
use crate::plan::plain::{MARK, PlainHouse, RUNTIME};
use crate::setup::{LaunchError, LauncherSetup};
use crate::sys::{Step, StepError, family};

/// The link by which what Node.js imports from below the data directory finds the SDK.
const NODE_MODULES: &str = "node_modules";

/// Writes the runtime clients beside the code, and says where everything is.
pub(super) fn lay_out(house: &House, setup: &LauncherSetup) -> Result<PlainHouse, LaunchError> {
    let code = house.data.join(CODE);
    if code.to_str().is_none_or(|text| text.contains(':')) {
        // Paths go into variables, where colons part them.
        let told =
            format!("functions without walls cannot live in {}: choose a plainer path", code.display());
        return Err(LaunchError::Setup(told));
    }
    write_runtime(&code.join(RUNTIME), setup).doing("writing the runtime clients")?;
    let link = house.data.join(NODE_MODULES);
    if let Some(sdk) = &setup.sdk_dir {
        let _ = fs::remove_file(&link);
        symlink(sdk.join("nodejs").join(NODE_MODULES), &link).doing("linking the SDK")?;
    }
    let mounts = setup.interpreters.iter().flat_map(|interpreter| interpreter.mounts.iter().cloned());
    Ok(PlainHouse { code, sdk: setup.sdk_dir.clone(), mounts: mounts.collect() })
}

fn write_runtime(directory: &std::path::Path, setup: &LauncherSetup) -> std::io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        result => result?,
    }
    fs::create_dir(directory)?;
    for file in &setup.runtime_files {
        let path = directory.join(&file.path);
        fs::create_dir_all(path.parent().unwrap_or(directory))?;
        fs::write(&path, &file.contents)?;
        let mode = if file.executable { 0o755 } else { 0o644 };
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    }
    Ok(())
}

/// Ends the functions that an earlier launcher of this directory left. Its lock must be held: then every process with
/// the mark of one of its rooms is such a function.
pub(super) fn sweep(code: &std::path::Path) -> Result<(), StepError> {
    for _ in 0..PLAIN_KILL_ROUNDS {
        let left = family::marked(MARK, code);
        if left.is_empty() {
            return Ok(());
        }
        for pid in left {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(PLAIN_KILL_PAUSE);
    }
    Err(std::io::Error::from(std::io::ErrorKind::TimedOut)).doing("ending the functions of an earlier run")
}
