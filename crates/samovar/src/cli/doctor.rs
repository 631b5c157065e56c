//! `samovar doctor`: what this host gives.

use std::fmt::Write;
use std::process::ExitCode;

use anyhow::Result;
use sandbox::Isolation;
use sandbox::doctor::probe;
use sandbox::doctor::rules::{Finding, State, is_ready, verdicts};
use sandbox::interpreters;
use serde_json::json;

use super::DoctorArgs;
use crate::config::default_data_dir;

/// Prints every wall; the status is 1 when functions cannot run here.
pub fn run(args: &DoctorArgs) -> Result<ExitCode> {
    let data_dir = args.data_dir.clone().unwrap_or_else(|| default_data_dir(args.isolation));
    let isolation = args.isolation.into();
    let findings = verdicts(&probe(&data_dir, &interpreters::discover()), isolation);
    let ready = is_ready(&findings);
    if args.json {
        let report = json!({ "isolation": name(isolation), "ready": ready, "walls": findings });
        super::show(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else {
        super::show(&text(&findings, isolation)?)?;
    }
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(findings: &[Finding], isolation: Isolation) -> Result<String> {
    let mut text = String::new();
    for finding in findings {
        let state = match finding.state {
            State::Ok => "ok     ",
            State::Weaker => "weaker ",
            State::Missing => "MISSING",
        };
        writeln!(text, "{state}  {}: {}", finding.wall, finding.detail)?;
        if !finding.follows.is_empty() {
            writeln!(text, "         {}", finding.follows)?;
        }
        if !finding.advice.is_empty() {
            writeln!(text, "         -> {}", finding.advice)?;
        }
    }
    text.push_str(match (is_ready(findings), isolation) {
        (true, Isolation::Full) => "\nSamovar can run functions here.\n",
        (true, Isolation::None) => "\nSamovar can run functions here, without walls.\n",
        (false, _) => {
            "\nSamovar cannot run functions here until what is missing is there.\n\
             The commands that speak to a server elsewhere work: functions, invoke, logs.\n"
        }
    });
    Ok(text)
}

const fn name(isolation: Isolation) -> &'static str {
    match isolation {
        Isolation::Full => "full",
        Isolation::None => "none",
    }
}
