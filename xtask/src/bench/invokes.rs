//! What an invocation takes: the first, the next, and many at once.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::client::{Client, Function};
use super::table::{Table, Times};
use super::{floor, together};
use crate::server::Server;
use crate::setup;
use crate::shell::step;

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

/// Runs all of them on one server.
pub fn run(server: &Server, table: &mut Table) -> Result<()> {
    let official = setup::official_clients()?;
    let rust = official.join("rust/bootstrap");
    let python = Function::python(PYTHON_ECHO)?;
    let kinds = [
        ("Python", python.clone(), floor::python()?),
        ("Node", Function::node(NODE_ECHO)?, floor::node()?),
        ("static Rust", Function::provided(&rust)?, floor::spawn(Command::new("/bin/true"))?),
    ];
    for (name, function, floor) in kinds {
        step(&format!("first invoke, {name}"));
        first_invokes(server, name, &function, floor, table)?;
    }
    step("warm invokes");
    for flight in IN_FLIGHT {
        warm(server, &python, flight, table)?;
    }
    step(&format!("{BURST} invokes at once"));
    burst(server, table)?;
    let held = server.memory()?;
    table.note("the server after all of this", &held.to_string());
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
