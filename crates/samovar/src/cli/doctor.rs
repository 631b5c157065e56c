//! `samovar doctor`: what this host gives.

use std::fmt::Write;
use std::process::ExitCode;

use anyhow::Result;
use sandbox::doctor::{State, probe};

/// Prints every wall; the status is 1 when sandboxes cannot be built here.
pub fn run() -> Result<ExitCode> {
    let findings = probe();
    let missing = findings.iter().any(|finding| finding.state == State::Missing);
    let mut text = String::new();
    for finding in &findings {
        let state = match finding.state {
            State::Holds => "ok     ",
            State::Weaker => "weaker ",
            State::Missing => "MISSING",
        };
        writeln!(text, "{state}  {}: {}", finding.wall, finding.detail)?;
        if !finding.advice.is_empty() {
            writeln!(text, "         -> {}", finding.advice)?;
        }
    }
    text.push_str(if missing {
        "\nSamovar cannot run functions here until what is missing is there.\n\
         The commands that speak to a server elsewhere work: functions, invoke, logs.\n"
    } else {
        "\nSamovar can run functions here.\n"
    });
    super::show(&text)?;
    Ok(if missing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
