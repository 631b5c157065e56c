//! How fast lines get from functions into the log.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;

use super::client::{Client, Function};
use super::table::Table;
use super::together;
use crate::server::Server;
use crate::shell::{cache, step};

/// Environments that print at once.
const WRITERS: usize = 2;
/// Lines of each environment.
const LINES: usize = 1_000_000;
/// Lines that a writer writes at once.
const CHUNK: usize = 500;
/// Memory in MB with which a function gets a processor. Source: Lambda Developer Guide, "Configure memory".
const WHOLE_CORE: u32 = 1769;
/// How often the floor makes sure of what it wrote; the store does the same.
const SYNC_EVERY: Duration = Duration::from_millis(500);

/// The group that is filled.
pub const GROUP: &str = "/aws/lambda/flood";

/// Writes lines of 100 bytes that differ, as fast as the pipe takes them.
const FLOOD: &str = "\
import os
def line(n):
    return ('INFO order %06d of table %03d was brewed in %4d ms ' % (n * 7919 % 1000000, n % 211, n % 977)).ljust(99, '.') + '\\n'
def handler(event, context):
    chunk = ''.join(line(n) for n in range(event['chunk'])).encode()
    for _ in range(event['lines'] // event['chunk']):
        view = memoryview(chunk)
        while view:
            view = view[os.write(1, view):]
";

/// What was written.
pub struct Flood {
    /// A file with the same lines.
    pub file: PathBuf,
    /// How many lines.
    pub lines: usize,
    /// How many bytes.
    pub bytes: usize,
}

/// Lets functions print as fast as they can, and then a process alone.
pub fn run(server: &Server, table: &mut Table) -> Result<Flood> {
    step(&format!("{WRITERS} environments print {LINES} lines each"));
    let mut client = Client::connect(&server.address)?;
    client.create("flood", &Function::python(FLOOD)?.with_memory(WHOLE_CORE))?;
    let warm = json!({ "lines": 0, "chunk": CHUNK });
    together(server, WRITERS, |client| client.invoke("flood", &warm).map(|_| Vec::new()))?;
    let event = json!({ "lines": LINES, "chunk": CHUNK });
    let (started, cpu) = (Instant::now(), server.cpu()?);
    together(server, WRITERS, |client| client.invoke("flood", &event).map(|_| Vec::new()))?;
    let (time, cpu) = (started.elapsed(), server.cpu()?.saturating_sub(cpu));
    let lines = WRITERS * LINES;
    let floor = append(lines)?;
    let each = cpu.as_secs_f64() * 1e6 / lines as f64;
    let rate = |time: Duration| lines as f64 / time.as_secs_f64();
    let row = format!("log ingestion (server {each:.2} us CPU a line of 100 B)");
    table.rate(&row, rate(time), rate(floor.0), "lines/s", "a process appends them, fdatasync each 500 ms");
    Ok(floor.1)
}

/// Writes the same bytes to a file.
fn append(lines: usize) -> Result<(Duration, Flood)> {
    let chunk: String = (0..CHUNK).map(line).collect();
    let path = cache().join("bench-logs.txt");
    let mut file = File::create(&path).context("the floor's file")?;
    let started = Instant::now();
    let mut synced = started;
    for _ in 0..lines / CHUNK {
        file.write_all(chunk.as_bytes())?;
        if synced.elapsed() > SYNC_EVERY {
            file.sync_data()?;
            synced = Instant::now();
        }
    }
    file.sync_data()?;
    let time = started.elapsed();
    Ok((time, Flood { file: path, lines, bytes: lines / CHUNK * chunk.len() }))
}

/// As the function makes it.
fn line(n: usize) -> String {
    let text = format!(
        "INFO order {:06} of table {:03} was brewed in {:4} ms ",
        n * 7919 % 1_000_000,
        n % 211,
        n % 977
    );
    format!("{text:.<99}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_a_hundred_bytes() {
        assert!((0..2_000).all(|n| line(n).len() == 100));
        assert_eq!(
            line(3).trim_end().trim_end_matches('.'),
            "INFO order 023757 of table 003 was brewed in    3 ms "
        );
    }
}
