//! Load from wrk, a client that others wrote: one thread and many connections, so that it takes little of the machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::server::authorization;
use crate::setup;
use crate::shell::{cache, quiet};

/// How long a load lasts, in seconds, and how long one that only warms.
const SECONDS: u32 = 8;
const WARM_SECONDS: u32 = 2;

/// What a load gave.
pub struct Load {
    /// Answers a second.
    pub rate: f64,
    /// The median time of an answer, as wrk writes it.
    pub p50: String,
    /// The time within which all but one in a hundred were answered.
    pub p99: String,
}

/// A wrk that is installed, with its script.
pub struct Wrk {
    script: PathBuf,
}

impl Wrk {
    /// Seconds of answers that [`Self::invoke`] takes, with those that it does not count.
    pub const COUNTED: f64 = (SECONDS + WARM_SECONDS) as f64;

    /// Installs it where it is missing.
    pub fn new() -> Result<Self> {
        setup::wrk()?;
        let script = cache().join("invoke.lua");
        let text = format!(
            "wrk.method = 'POST'\nwrk.body = '{{\"n\":1}}'\nwrk.headers['Authorization'] = '{}'\n",
            authorization("lambda")
        );
        std::fs::write(&script, text)?;
        Ok(Self { script })
    }

    /// Keeps `connections` invocations of a function in flight, first without counting.
    pub fn invoke(&self, address: &str, function: &str, connections: usize) -> Result<Load> {
        let url = format!("http://{address}/2015-03-31/functions/{function}/invocations");
        run(&url, connections, WARM_SECONDS, Some(&self.script))?;
        run(&url, connections, SECONDS, Some(&self.script))
    }

    /// The same with the cheapest answer of the server.
    pub fn health(&self, address: &str, connections: usize) -> Result<Load> {
        run(&format!("http://{address}/_samovar/health"), connections, WARM_SECONDS, None)
    }
}

fn run(url: &str, connections: usize, seconds: u32, script: Option<&Path>) -> Result<Load> {
    let mut wrk = Command::new("wrk");
    wrk.args(["-t1", "--latency", "--timeout", "30s"]);
    wrk.args([format!("-c{connections}"), format!("-d{seconds}s")]);
    if let Some(script) = script {
        wrk.arg("-s").arg(script);
    }
    read(&quiet(wrk.arg(url))?)
}

fn read(said: &str) -> Result<Load> {
    let after = |start: &str| {
        let line = said.lines().find_map(|line| line.trim_start().strip_prefix(start));
        line.map(str::trim).with_context(|| format!("wrk says nothing of {start}:\n{said}"))
    };
    if said.contains("Non-2xx") || said.contains("Socket errors") {
        bail!("not every request was answered well:\n{said}");
    }
    Ok(Load {
        rate: after("Requests/sec:")?.parse()?,
        p50: after("50%")?.to_owned(),
        p99: after("99%")?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_says_is_read_and_failures_are_none() {
        let said =
            "  Latency Distribution\n     50%    6.95ms\n     99%  110.01ms\nRequests/sec:   8470.45\n";
        let load = read(said).unwrap();
        assert_eq!((load.rate, load.p50.as_str(), load.p99.as_str()), (8470.45, "6.95ms", "110.01ms"));
        assert!(read(&format!("{said}  Non-2xx or 3xx responses: 3\n")).is_err());
        assert!(read("Requests/sec: 1\n").is_err());
    }
}
