//! The project's own tasks: `cargo xtask demo`, `test`, `fuzz`, `bench`, `codegen`, `tidy`.
#![allow(
    clippy::disallowed_methods,
    reason = "tasks run on the machine's own clock; the product's clock is base's"
)]

mod args;
mod bench;
mod codegen;
mod demo;
mod fuzz;
mod server;
mod setup;
mod shell;
mod test;
mod tidy;

use std::process::ExitCode;

use args::Task;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(task) = args::parse(&arguments) else {
        eprintln!("{}", args::USAGE);
        return ExitCode::from(2);
    };
    let done = match task {
        Task::Codegen { check } => codegen::run(check),
        Task::Demo { keep } => demo::run(keep),
        Task::Test { only, pytest } => test::run(only.as_deref(), &pytest),
        Task::Bench { only } => bench::run(only.as_deref()),
        Task::Soak { seconds, seed } => bench::soak::run(seconds, seed.as_deref()),
        Task::Fuzz { only, seconds } => fuzz::run(only.as_deref(), seconds),
        Task::FuzzApi(plan) => fuzz::api::run(&plan),
        Task::Tidy => tidy::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
