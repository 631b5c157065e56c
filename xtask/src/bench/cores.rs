//! Keeping work on one core, where wake-ups of others do not count.

use std::process::Command;

use anyhow::Result;

use crate::shell::quiet;

/// Runs `work` with this thread, and all that it starts, on the first core.
pub fn on_the_first<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let last = quiet(&mut Command::new("nproc"))?.trim().parse::<usize>()?.saturating_sub(1);
    run_on("0")?;
    let done = work();
    run_on(&format!("0-{last}"))?;
    done
}

fn run_on(cores: &str) -> Result<()> {
    // The number of a process is that of its first thread, which this is.
    quiet(Command::new("taskset").args(["-pc", cores]).arg(std::process::id().to_string())).map(drop)
}
