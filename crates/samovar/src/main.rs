//! AWS Lambda on your own machines: one binary that is launcher, server and command line.

mod assemble;
mod cli;
mod config;
mod serve;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use cli::{Cli, Command};

fn main() -> ExitCode {
    // A closed pipe ends a command such as `samovar logs NAME | head` quietly, as it does any other tool.
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("samovar: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `serve` and `keys` must come before any thread: the launcher forks. Only the other commands get a runtime here.
fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Serve(args) => serve::run(*args),
        Command::Keys(args) => cli::keys::run(args),
        Command::Doctor(args) => cli::doctor::run(&args),
        Command::Runtimes(args) => cli::runtimes::run(args),
        Command::Functions(endpoint) => block_on(cli::functions::run(&endpoint)).map(|()| ExitCode::SUCCESS),
        Command::Invoke(args) => block_on(cli::invoke::run(&args)),
        Command::Layers(args) => block_on(cli::layers::run(&args)).map(|()| ExitCode::SUCCESS),
        Command::Top(args) => block_on(cli::top::run(&args)).map(|()| ExitCode::SUCCESS),
        Command::Logs(args) => block_on(cli::logs::run(&args)).map(|()| ExitCode::SUCCESS),
    }
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
