//! Sandboxes that are made and ended, one after the other and 16 at a time: the test of the walls, for longer.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::table::Table;
use crate::shell::{cargo, quiet, step};

/// Sandboxes of each kind; none of them may leave anything.
const CYCLES: usize = 20_000;
/// Processes in namespaces of their own that the floor makes.
const BARE: usize = 1_000;
/// All that a sandbox has, but for its users.
const NAMESPACES: [&str; 6] = ["--net", "--mount", "--ipc", "--uts", "--cgroup", "--pid"];

/// Runs them on the launcher alone: built when they are asked for, and built ahead.
pub fn run(table: &mut Table) -> Result<()> {
    step(&format!("creating and destroying {CYCLES} sandboxes, in both ways"));
    let mut test = cargo();
    test.args(["test", "--release", "-p", "sandbox", "--test", "walls", "--", "cycles_leave_nothing"]);
    let said = quiet(test.env("WALLS_CYCLES", CYCLES.to_string()))?;
    let floor = bare()?;
    for (scenario, what) in
        [("cycles_leave_nothing", "on demand"), ("cycles_leave_nothing_built_ahead", "16 kept ready")]
    {
        let rate = rate(&said, scenario).with_context(|| format!("{scenario} was not run:\n{said}"))?;
        let row = format!("create and destroy, sustained, {what}");
        table.rate(&row, rate, floor, "/s", "unshare(1), of the same namespaces, of `true`");
    }
    Ok(())
}

/// What a scenario noted: `test <name> ... ok (568 sandboxes a second, ...)`.
fn rate(said: &str, scenario: &str) -> Option<f64> {
    let start = format!("test {scenario} ... ok (");
    let note = said.lines().find_map(|line| line.strip_prefix(&start))?;
    note.split(' ').next()?.parse().ok()
}

/// Processes a second in fresh namespaces, as many at a time as there are cores.
fn bare() -> Result<f64> {
    let cores: usize = quiet(&mut Command::new("nproc"))?.trim().parse()?;
    let (begun, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while begun.fetch_add(1, Ordering::Relaxed) < BARE {
                    let status = Command::new("unshare").args(NAMESPACES).args(["--fork", "true"]).status();
                    if !status.is_ok_and(|status| status.success()) {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    match failed.into_inner() {
        0 => Ok(BARE as f64 / started.elapsed().as_secs_f64()),
        failed => bail!("unshare failed {failed} times"),
    }
}
