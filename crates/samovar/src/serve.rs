//! `samovar serve`: discovers, becomes the launcher, and runs the server in its unprivileged child.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::{Context, Result};
use sandbox::interpreters::{self, Interpreter};
use sandbox::{CpuPolicy, LauncherSetup, ServerSide};
use tracing_subscriber::EnvFilter;

use crate::assemble;
use crate::cli::ServeArgs;
use crate::config::Config;

/// Serves until SIGTERM or SIGINT; the status is the server's.
pub fn run(args: ServeArgs) -> Result<ExitCode> {
    let config = args.settings.resolve(args.config.as_deref())?;
    let interpreters = interpreters::discover();
    let setup = LauncherSetup {
        data_dir: config.data_dir.clone(),
        interpreters: interpreters.iter().map(Interpreter::root).collect(),
        runtime_files: interpreters::runtime_files(&interpreters),
        sdk_dir: config.sdk_dir.clone(),
        unpack: artifact::unzip::unpack_to_report,
        egress: config.egress.clone(),
        cpu_policy: if config.cpu_quota { CpuPolicy::Quota } else { CpuPolicy::Shares },
        prepared: config.prepared,
        isolation: config.isolation.into(),
    };
    Ok(sandbox::launch(setup, move |side| server(side, config, interpreters))?)
}

/// The server's whole life, in its own process.
fn server(side: ServerSide, config: Config, interpreters: Vec<Interpreter>) -> ExitCode {
    match serve(side, config, interpreters) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("samovar: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(side: ServerSide, config: Config, interpreters: Vec<Interpreter>) -> Result<()> {
    let filter =
        EnvFilter::try_new(&config.log).with_context(|| format!("log: {:?} is not a level", config.log))?;
    // What cannot be written is dropped: telling so on the same terminal would panic when that has gone.
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    log.with_ansi(std::io::stderr().is_terminal()).log_internal_errors(false).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(assemble::serve(side, config, interpreters))
}
