//! What an invocation takes: the first, and the next.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::client::{Client, Function};
use super::load::Wrk;
use super::table::{Table, Times};
use super::{cores, echo, floor};
use crate::server::Server;
use crate::setup;
use crate::shell::step;

/// Functions whose first invocation is timed, for each runtime.
const FIRST_INVOKES: usize = 41;
/// Between deploying a function and invoking it: what a deployment tool takes at least. Without it the rows tell how fast
/// one client can have runtimes made, one after the other.
const PAUSE: Duration = Duration::from_millis(200);
/// Warm invocations of one connection, and of those before that are not counted.
const WARM_ROUNDS: usize = 4_000;
const WARMING: usize = 400;
/// Invocations in flight.
const IN_FLIGHT: [usize; 3] = [1, 8, 64];

const NAME: &str = "bench";
const ON_ONE_CORE: &str = "bench-core";
const PYTHON_ECHO: &str = "def handler(event, context):\n    return event\n";
const NODE_ECHO: &str = "exports.handler = async (event) => event\n";

/// Runs all of them.
pub fn run(binary: &Path, table: &mut Table) -> Result<()> {
    let rust = setup::official_clients()?.join("rust/bootstrap");
    let python = Function::python(PYTHON_ECHO)?;
    let provided = Function::provided(&rust)?;
    let server = Server::start(binary, NAME, None, &[])?;
    let kinds = [
        ("Python", python.clone(), floor::python()?),
        ("Node", Function::node(NODE_ECHO)?, floor::node()?),
        ("static Rust", provided.clone(), floor::spawn(Command::new("/bin/true"))?),
    ];
    for (name, function, floor) in kinds {
        step(&format!("first invoke, {name}"));
        first_invokes(&server, name, &function, PAUSE, &floor, table)?;
        first_invokes(&server, &format!("{name}, back to back"), &function, Duration::ZERO, &floor, table)?;
    }
    let wrk = Wrk::new()?;
    for (name, function) in [("Python", &python), ("provided (lambda_runtime)", &provided)] {
        step(&format!("warm invokes, {name}"));
        throughput(&server, &wrk, name, function, table)?;
    }
    table.note("the server after all of this", &server.memory()?.to_string());
    drop(server);
    step("the same runtime without Samovar");
    IN_FLIGHT.into_iter().try_for_each(|flight| alone(&rust, flight, table))?;
    step("one warm invoke at a time, all on one core");
    cores::on_the_first(|| {
        let server = Server::start(binary, ON_ONE_CORE, None, &[])?;
        one_at_a_time(&server, "Python", &python, table)?;
        one_at_a_time(&server, "provided (lambda_runtime)", &provided, table)?;
        alone(&rust, 1, table)
    })
}

/// What is left when neither client nor server does anything.
fn alone(bootstrap: &Path, processes: usize, table: &mut Table) -> Result<()> {
    let what = format!("lambda_runtime alone, processes: {processes}, a bare Runtime API");
    table.note(&what, &format!("{:>13.0} /s", echo::runtimes(bootstrap, processes)?));
    Ok(())
}

/// HTTP to HTTP, a function never invoked before.
fn first_invokes(
    server: &Server,
    name: &str,
    function: &Function,
    pause: Duration,
    floor: &Times,
    table: &mut Table,
) -> Result<()> {
    let mut client = Client::connect(&server.address)?;
    let mut times = Vec::new();
    for number in 0..FIRST_INVOKES {
        let function_name = format!("first-{}-{number}", name.replace([' ', ','], "-"));
        client.create(&function_name, function)?;
        std::thread::sleep(pause);
        times.push(client.timed_invoke(&function_name)?);
    }
    table.row(&format!("first invoke, {name}"), &Times::of(times), floor, "spawn the interpreter alone");
    Ok(())
}

/// The same function over and over on as many connections as it gets environments; the floor is the cheapest answer
/// of the same server to the same client.
fn throughput(server: &Server, wrk: &Wrk, name: &str, function: &Function, table: &mut Table) -> Result<()> {
    let function_name = format!("warm-{}", &name[..4]);
    Client::connect(&server.address)?.create(&function_name, function)?;
    for flight in IN_FLIGHT {
        let before = server.cpu()?;
        let load = wrk.invoke(&server.address, &function_name, flight)?;
        let cpu = (server.cpu()? - before).as_secs_f64();
        let floor = wrk.health(&server.address, flight)?;
        let what = format!("warm, {name}, {flight} in flight (p50 {}, p99 {})", load.p50, load.p99);
        table.rate(&what, load.rate, floor.rate, "/s", "GET /_samovar/health");
        table.note("", &format!("server {:.0} us CPU each", cpu * 1e6 / (load.rate * Wrk::COUNTED)));
    }
    Ok(())
}

/// One connection beside an echo on the same core: what is left is work, and no wake-up of another core.
fn one_at_a_time(server: &Server, name: &str, function: &Function, table: &mut Table) -> Result<()> {
    let function_name = format!("one-{}", &name[..4]);
    let mut client = Client::connect(&server.address)?;
    client.create(&function_name, function)?;
    let mut bare = Client::connect(&echo::start()?)?;
    let timed = |work: &mut dyn FnMut() -> Result<Duration>| -> Result<Times> {
        (0..WARMING).try_for_each(|_| work().map(drop))?;
        Ok(Times::of((0..WARM_ROUNDS).map(|_| work()).collect::<Result<_>>()?))
    };
    let times = timed(&mut || client.timed_invoke(&function_name))?;
    let floor = timed(&mut || bare.timed_invoke("echo"))?;
    table.row(&format!("warm, {name}, 1 in flight, one core"), &times, &floor, "bare HTTP echo, same core");
    Ok(())
}
