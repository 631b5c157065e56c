//! Builds real sandboxes and tries their walls. Needs root; says so and skips without.
//!
//! The launcher must start before any thread, so this program has no test harness: it runs itself once a scenario,
//! and each such process becomes a launcher of its own with a data directory of its own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "walls/ahead.rs"]
mod ahead;
#[path = "walls/driver.rs"]
mod driver;
#[path = "walls/escapes.rs"]
mod escapes;
#[path = "walls/lifecycle.rs"]
mod lifecycle;
#[path = "walls/limits.rs"]
mod limits;
#[path = "walls/packages.rs"]
mod packages;

use std::process::{Command, ExitCode};

use driver::Scenario;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let walls = [escapes::SCENARIOS, limits::SCENARIOS, packages::SCENARIOS].concat();
    let once = [lifecycle::SCENARIOS, ahead::SCENARIOS, limits::ALONE, limits::SERVED].concat();
    let scenarios = [once, driver::all_ways(&walls)].concat();
    if let [flag, name, data_dir] = arguments.as_slice()
        && flag == "--scenario"
    {
        let scenario = scenarios.iter().find(|scenario| scenario.name == name).unwrap();
        return driver::play(scenario, data_dir.as_ref());
    }
    if arguments.iter().any(|argument| argument == "--list") {
        scenarios.iter().for_each(|scenario| println!("{}: test", scenario.name));
        return ExitCode::SUCCESS;
    }
    run_all(&scenarios, arguments.iter().find(|argument| !argument.starts_with('-')))
}

fn run_all(scenarios: &[Scenario], filter: Option<&String>) -> ExitCode {
    let chosen: Vec<_> = scenarios
        .iter()
        .filter(|scenario| filter.is_none_or(|filter| scenario.name.contains(filter)))
        .collect();
    println!("\nrunning {} tests", chosen.len());
    if !rustix::process::geteuid().is_root() {
        chosen.iter().for_each(|scenario| println!("test {} ... ignored, needs root", scenario.name));
        println!("\ntest result: ok. 0 passed; 0 failed; {} ignored", chosen.len());
        return ExitCode::SUCCESS;
    }
    let mut failed = Vec::new();
    for scenario in &chosen {
        match run_one(scenario) {
            Ok(note) => println!("test {} ... ok{note}", scenario.name),
            Err(output) => {
                println!("test {} ... FAILED", scenario.name);
                failed.push((scenario.name, output));
            }
        }
    }
    for (name, output) in &failed {
        println!("\n---- {name} ----\n{output}");
    }
    let (verdict, passed) = (if failed.is_empty() { "ok" } else { "FAILED" }, chosen.len() - failed.len());
    println!("\ntest result: {verdict}. {passed} passed; {} failed; 0 ignored", failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a scenario in a process of its own; what it has to say, or all its output when it failed.
fn run_one(scenario: &Scenario) -> Result<String, String> {
    let data_dir = driver::TempDir::new(scenario.name);
    let output = match scenario.outside {
        Some(outside) => {
            let verdict = std::panic::catch_unwind(|| outside(scenario, data_dir.path()));
            return verdict.map(|()| String::new()).map_err(|_| "see the panic above".into());
        }
        None => Command::new(std::env::current_exe().unwrap())
            .args(["--scenario", scenario.name])
            .arg(data_dir.path())
            .output()
            .unwrap(),
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        let notes = text.lines().filter_map(|line| line.strip_prefix("note: "));
        return Ok(notes.map(|note| format!(" ({note})")).collect());
    }
    Err(format!("{}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr)))
}
