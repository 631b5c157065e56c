//! `cargo xtask bench`: figures with their floors from the same run, since the machines are noisy.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::server::Server;
use crate::setup;
use crate::shell::{cache, quiet, step};

mod client;
mod floor;

use client::{Client, Function};

/// Functions whose first invocation is timed, for each runtime.
const FIRST_INVOKES: usize = 21;
/// Invocations at once without any environment.
const BURST: usize = 500;
/// How long each of them is held, so that none is answered before the last has started; not part of its time.
const BURST_HOLD: Duration = Duration::from_secs(20);
/// Warm invocations a connection makes.
const WARM_ROUNDS: usize = 400;
/// Invocations in flight.
const IN_FLIGHT: [usize; 3] = [1, 8, 64];

const PYTHON_ECHO: &str = "def handler(event, context):\n    return event\n";
const NODE_ECHO: &str = "exports.handler = async (event) => event\n";

/// Runs every benchmark and prints one table.
pub fn run() -> Result<()> {
    let binary = setup::binary()?;
    let official = setup::official_clients()?;
    let rust = official.join("rust/bootstrap");
    let server = Server::start(&binary, "bench", None, &[])?;
    let mut table = Table::default();
    let python = Function::python(PYTHON_ECHO)?;
    let kinds = [
        ("Python", python.clone(), floor::python()?),
        ("Node", Function::node(NODE_ECHO)?, floor::node()?),
        ("static Rust", Function::provided(&rust)?, floor::spawn(Command::new("/bin/true"))?),
    ];
    for (name, function, floor) in kinds {
        step(&format!("first invoke, {name}"));
        first_invokes(&server, name, &function, floor, &mut table)?;
    }
    step("warm invokes");
    for flight in IN_FLIGHT {
        warm(&server, &python, flight, &mut table)?;
    }
    step(&format!("{BURST} invokes at once"));
    burst(&server, &mut table)?;
    memory(&server, &mut table)?;
    println!("{}", table.text);
    Ok(())
}

/// HTTP to HTTP, a function never invoked before.
fn first_invokes(
    server: &Server,
    name: &str,
    function: &Function,
    floor: Times,
    table: &mut Table,
) -> Result<()> {
    let mut client = Client::connect(&server.address)?;
    let mut times = Vec::new();
    for number in 0..FIRST_INVOKES {
        let function_name = format!("first-{}-{number}", name.replace(' ', "-"));
        client.create(&function_name, function)?;
        times.push(client.timed_invoke(&function_name)?);
    }
    table.row(&format!("first invoke, {name}"), &Times::of(times), &floor, "spawn the interpreter alone");
    Ok(())
}

/// The same function over and over on `flight` connections; the floor is the health answer of the same server.
fn warm(server: &Server, function: &Function, flight: usize, table: &mut Table) -> Result<()> {
    let name = "warm";
    Client::connect(&server.address)?.create(name, function)?;
    together(server, flight, |client| client.timed_invoke(name).map(|time| vec![time]))?;
    let (started, cpu) = (Instant::now(), server.cpu()?);
    let times =
        together(server, flight, |client| (0..WARM_ROUNDS).map(|_| client.timed_invoke(name)).collect())?;
    let rate = times.len() as f64 / started.elapsed().as_secs_f64();
    let cpu = (server.cpu()? - cpu).as_secs_f64() * 1e6 / times.len() as f64;
    let floor = together(server, flight, |client| (0..WARM_ROUNDS).map(|_| client.timed_health()).collect())?;
    let row = format!("warm, {flight} in flight ({rate:.0}/s, server {cpu:.0} us CPU)");
    table.row(&row, &Times::of(times), &Times::of(floor), "GET /_samovar/health");
    Ok(())
}

/// All at once, no environment there, each held until all have started: as many environments as invocations.
///
/// The floor is as many interpreters spawned by as many threads as cores.
fn burst(server: &Server, table: &mut Table) -> Result<()> {
    let hold = BURST_HOLD.as_secs();
    let function = Function::python(&format!(
        "import time\ndef handler(event, context):\n    time.sleep({hold})\n    return event\n"
    ))?;
    Client::connect(&server.address)?.create("burst", &function)?;
    let times = together(server, BURST, |client| client.timed_invoke("burst").map(|time| vec![time]))?;
    let times = Times::of(times.into_iter().map(|time| time.saturating_sub(BURST_HOLD)).collect());
    let floor = floor::many_pythons(BURST)?;
    let row = format!("{BURST} at once, {BURST} environments, last {:.0} ms", times.percentile(100));
    table.row(&row, &times, &Times::of(vec![floor]), "spawn as many interpreters alone");
    Ok(())
}

/// What the server itself holds.
fn memory(server: &Server, table: &mut Table) -> Result<()> {
    let held = server.memory_kib()? / 1024;
    writeln!(table.text, "{:<52} {held:>6} MB resident after all of this", "the server")?;
    Ok(())
}

/// Runs `work` on `flight` connections at once and gives all times.
fn together(
    server: &Server,
    flight: usize,
    work: impl Fn(&mut Client) -> Result<Vec<Duration>> + Sync,
) -> Result<Vec<Duration>> {
    let barrier = Barrier::new(flight);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..flight)
            .map(|_| {
                std::thread::Builder::new().stack_size(256 * 1024).spawn_scoped(scope, || {
                    let client = Client::connect(&server.address);
                    barrier.wait();
                    work(&mut client?)
                })
            })
            .collect::<std::io::Result<_>>()?;
        let mut all = Vec::new();
        for worker in workers {
            match worker.join() {
                Ok(times) => all.extend(times?),
                Err(_) => bail!("a worker panicked"),
            }
        }
        Ok(all)
    })
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Sorted times.
struct Times(Vec<Duration>);

impl Times {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    fn percentile(&self, percent: usize) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get((last * percent).div_ceil(100).min(last)).copied().map_or(f64::NAN, millis)
    }
}

#[derive(Default)]
struct Table {
    text: String,
}

impl Table {
    fn row(&mut self, what: &str, times: &Times, floor: &Times, floor_is: &str) {
        let (p50, p99, least) = (times.percentile(50), times.percentile(99), floor.percentile(50));
        let line = format!(
            "{what:<52} p50 {p50:>9.3} ms   p99 {p99:>9.3} ms   floor {least:>9.3} ms (x{:.1}: {floor_is})\n",
            p50 / least
        );
        eprint!("{line}");
        self.text.push_str(&line);
    }
}

/// Makes an archive with Python's own zip command line.
fn zip(directory: &Path, files: &[&str]) -> Result<Vec<u8>> {
    let archive = cache().join("bench.zip");
    quiet(
        Command::new("/usr/bin/python3")
            .current_dir(directory)
            .args(["-m", "zipfile", "-c"])
            .arg(&archive)
            .args(files),
    )?;
    std::fs::read(archive).context("the archive that was just made")
}
