//! From a function's write to what `samovar logs --follow` prints, and what following costs while nothing comes.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::client::{Client, Function};
use super::table::{Table, Times, millis};
use crate::server::Server;
use crate::shell::step;

/// Lines that are timed, and the time between them in seconds: the writer sleeps, so that none waits for another.
const LINES: usize = 200;
const PAUSE: f64 = 0.02;
/// The longest that one waits for a line.
const LINE_WITHIN: Duration = Duration::from_secs(5);
/// How often the function is invoked until its first line comes through.
const FIRST_TRIES: u32 = 3;
/// How long idling is watched.
const IDLE: Duration = Duration::from_secs(5);

/// Prints the clock, again and again.
const TICKS: &str = "\
import sys, time
def ticks(lines, pause):
    for n in range(lines):
        print('tick', n, '%.6f' % time.time(), flush=True)
        time.sleep(pause)
";
const HANDLER: &str = "def handler(event, context):\n    ticks(event['lines'], event['pause'])\n";

/// Follows a function that tells the time; then nothing happens.
pub fn run(binary: &Path, server: &Server, table: &mut Table) -> Result<()> {
    step("following a log");
    let mut client = Client::connect(&server.address)?;
    client.create("ticks", &Function::python(&format!("{TICKS}{HANDLER}"))?)?;
    client.invoke("ticks", &json!({ "lines": 1, "pause": 0 }))?;
    let alone = idle(server)?;
    let follower = Writer::follower(binary, server)?;
    // Once a line has come through, it follows.
    let mut first = follower.latencies(0);
    for _ in 0..FIRST_TRIES {
        client.invoke("ticks", &json!({ "lines": 1, "pause": 0 }))?;
        first = follower.latencies(1);
        if first.is_ok() {
            break;
        }
    }
    first?;
    let event = json!({ "lines": LINES, "pause": PAUSE });
    let (invoked, times) = std::thread::scope(|scope| {
        let invoked = scope.spawn(|| Client::connect(&server.address)?.invoke("ticks", &event));
        (invoked.join(), follower.latencies(LINES))
    });
    if invoked.is_err() {
        bail!("the invoking thread panicked");
    }
    let floor = Writer::alone()?.latencies(LINES)?;
    let row = "from a function's print to `logs --follow`";
    table.row(row, &Times::of(times?), &Times::of(floor), "print into a pipe");
    let followed = idle(server)?;
    let figure = format!(
        "{:>9.3} ms CPU in {} s   floor {:>9.3} ms: the server without a follower",
        millis(followed),
        IDLE.as_secs(),
        millis(alone)
    );
    table.note("the server while a follower idles", &figure);
    Ok(())
}

/// The server's work while nobody asks for any.
fn idle(server: &Server) -> Result<Duration> {
    // What came before has to be written first.
    std::thread::sleep(Duration::from_secs(2));
    let before = server.thread_time()?;
    std::thread::sleep(IDLE);
    Ok(server.thread_time()?.saturating_sub(before))
}

/// A process that tells times. Ends with its value.
struct Writer {
    child: Child,
    /// How old each line was when it was read.
    ages: Receiver<Duration>,
}

impl Writer {
    /// `samovar logs ticks --follow`.
    fn follower(binary: &Path, server: &Server) -> Result<Self> {
        let mut command = Command::new(binary);
        command.args(["logs", "ticks", "--follow", "--tail", "0", "--endpoint"]);
        Self::start(command.arg(format!("http://{}", server.address)))
    }

    /// The function's program, with a pipe to here.
    fn alone() -> Result<Self> {
        let program = format!("{TICKS}ticks({LINES}, {PAUSE})");
        Self::start(Command::new("/usr/bin/python3").args(["-c", &program]))
    }

    fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("its output")?).lines();
        let (sender, ages) = mpsc::channel();
        std::thread::spawn(move || {
            for age in lines.map_while(Result::ok).filter_map(|line| age(&line)) {
                let _ = sender.send(age);
            }
        });
        Ok(Self { child, ages })
    }

    /// Of the next lines that tell their time.
    fn latencies(&self, count: usize) -> Result<Vec<Duration>> {
        let next = || self.ages.recv_timeout(LINE_WITHIN).context("no line came through");
        (0..count).map(|_| next()).collect()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long ago a line was written, by what it says; nothing when it says no time.
fn age(line: &str) -> Option<Duration> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let (_, told) = line.split_once("tick ")?;
    let written: f64 = told.split_whitespace().nth(1)?.parse().ok()?;
    Some(Duration::from_secs_f64((now.as_secs_f64() - written).max(0.0)))
}
