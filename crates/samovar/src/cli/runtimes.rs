//! `samovar runtimes`: what can run here, and installing what functions may import.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use sandbox::interpreters::rules::{Choice, RuntimeMatch, choose};
use sandbox::interpreters::{Interpreter, discover, sdk};

use services::lambda::runtimes::SUPPORTED;

use super::{RuntimesArgs, RuntimesCommand};
use crate::config::installed_sdk;

/// Lists runtimes, or installs the SDKs.
pub fn run(args: RuntimesArgs) -> Result<ExitCode> {
    match args.command {
        None => super::show(&list(&discover())?)?,
        Some(RuntimesCommand::Install { sdk_dir }) => install(&sdk_dir)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(interpreters: &[Interpreter]) -> Result<String> {
    let mut rows = vec![["RUNTIME", "RUNS ON", "NOTE"].map(str::to_owned).to_vec()];
    rows.extend(SUPPORTED.iter().map(|runtime| row(runtime, interpreters)));
    let mut text = super::columns(&rows);
    text.push_str("\nInterpreters found:\n");
    for interpreter in interpreters {
        let (family, version) = (interpreter.family, interpreter.version_text());
        writeln!(text, "  {family} {version} at {}", interpreter.host.display())?;
    }
    match installed_sdk() {
        Some(dir) => writeln!(text, "SDKs for functions: {}", dir.display())?,
        None => text.push_str("SDKs for functions: none; `samovar runtimes install` installs them\n"),
    }
    Ok(text)
}

fn row(runtime: &str, interpreters: &[Interpreter]) -> Vec<String> {
    let (on, note) = match choose(runtime, &[], interpreters, RuntimeMatch::Nearest) {
        Ok(Choice::Provided) => ("the package's own bootstrap".to_owned(), String::new()),
        Ok(Choice::Interpreter { interpreter, warning }) => (
            format!("{} {}", interpreter.family, interpreter.version_text()),
            warning.map_or_else(String::new, |_| {
                "nearest installed; a warning in the function's log".to_owned()
            }),
        ),
        Err(error) => ("-".to_owned(), error.to_string()),
    };
    vec![runtime.to_owned(), on, note]
}

fn install(sdk_dir: &Path) -> Result<()> {
    let have = sdk::install(sdk_dir, &discover(), &mut |step| eprintln!("{step} ..."))?;
    let state = |there: bool| if there { "installed" } else { "not installed (no interpreter for it here)" };
    let (python, node) = (state(have.python), state(have.node));
    super::show(&format!("boto3: {python}\n@aws-sdk clients: {node}\nin {}\n", sdk_dir.display()))
}
