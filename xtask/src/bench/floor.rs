//! What the same work costs without Samovar, measured beside it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::bench::table::Times;
use crate::shell::quiet;

const SPAWNS: usize = 21;
/// What any Python that answers an invocation must at least import.
const PYTHON_LEAST: [&str; 3] = ["-S", "-c", "import json, socket, traceback"];

/// Starting and ending a program.
pub fn spawn(mut command: Command) -> Result<Times> {
    command.stdout(Stdio::null());
    let mut times = Vec::new();
    for _ in 0..SPAWNS {
        let started = Instant::now();
        command.status()?;
        times.push(started.elapsed());
    }
    Ok(Times::of(times))
}

/// A Python that imports the least.
pub fn python() -> Result<Times> {
    let mut command = Command::new("/usr/bin/python3");
    command.args(PYTHON_LEAST);
    spawn(command)
}

/// A Python that imports this, with these directories to find it in.
pub fn imports(imports: &str, directories: &[&Path]) -> Result<Times> {
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-S", "-c", imports]).env("PYTHONPATH", std::env::join_paths(directories)?);
    spawn(command)
}

/// A Node that does nothing.
pub fn node() -> Result<Times> {
    let mut command = Command::new("node");
    command.args(["-e", "0"]);
    spawn(command)
}

/// Starting and ending `count` Pythons, as many at a time as there are cores.
pub fn many_pythons(count: usize) -> Result<Duration> {
    let cores: usize = quiet(&mut Command::new("nproc"))?.trim().parse()?;
    let left = AtomicUsize::new(count);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                    .is_ok()
                {
                    let _ = Command::new("/usr/bin/python3").args(PYTHON_LEAST).status();
                }
            });
        }
    });
    Ok(started.elapsed())
}
