//! `samovar doctor`: what this host gives.

use std::process::ExitCode;

use anyhow::Result;
use sandbox::doctor::{State, probe};

/// Prints every wall; the status is 1 when sandboxes cannot be built here.
pub fn run() -> Result<ExitCode> {
    let findings = probe();
    for finding in &findings {
        let state = match finding.state {
            State::Holds => "ok     ",
            State::Weaker => "weaker ",
            State::Missing => "MISSING",
        };
        println!("{state}  {}: {}", finding.wall, finding.detail);
        if !finding.advice.is_empty() {
            println!("         -> {}", finding.advice);
        }
    }
    if findings.iter().any(|finding| finding.state == State::Missing) {
        println!("\nSamovar cannot run functions here until what is missing is there.");
        return Ok(ExitCode::FAILURE);
    }
    println!("\nSamovar can run functions here.");
    Ok(ExitCode::SUCCESS)
}
