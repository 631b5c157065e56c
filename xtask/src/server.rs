//! A running Samovar for the demo and the benchmarks.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::shell::cache;

/// How long a server may take to answer its first health request.
const READY_TRIES: u32 = 300;
/// Of `/proc/<pid>/stat`. Source: Linux, `USER_HZ` on x86-64.
const TICKS_PER_SECOND: u64 = 100;
const READY_STEP: Duration = Duration::from_millis(50);

/// Ends with its value.
pub struct Server {
    child: Child,
    /// `host:port`.
    pub address: String,
}

impl Server {
    /// Starts the binary on a free port and an empty data directory, and waits until it is ready.
    pub fn start(binary: &Path, name: &str, sdk: Option<&Path>, flags: &[&str]) -> Result<Self> {
        let data_dir = cache().join(format!("{name}-data"));
        if data_dir.exists() {
            std::fs::remove_dir_all(&data_dir)?;
        }
        std::fs::create_dir_all(&data_dir)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let log_path = cache().join(format!("{name}.log"));
        let log = File::create(&log_path)?;
        let mut command = Command::new(binary);
        command.args(["serve", "--listen", &address, "--data-dir"]).arg(&data_dir).args(flags);
        if let Some(sdk) = sdk {
            command.arg("--sdk-dir").arg(sdk);
        }
        let child = command.stdout(log.try_clone()?).stderr(log).spawn().context("cannot start samovar")?;
        let mut server = Self { child, address };
        for _ in 0..READY_TRIES {
            if server.healthy() {
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("samovar ended with {status}:\n{}", std::fs::read_to_string(&log_path)?);
            }
            std::thread::sleep(READY_STEP);
        }
        bail!("samovar did not become ready:\n{}", std::fs::read_to_string(&log_path)?)
    }

    fn healthy(&self) -> bool {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(&self.address)?;
            stream.write_all(
                b"GET /_samovar/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            )?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    /// Processor time of the server's own process so far, without launcher and functions.
    pub fn cpu(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process()?))?;
        let fields = stat.rsplit_once(')').context("a process's stat")?.1;
        let ticks: u64 =
            fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
    }

    /// Memory of the server's own process.
    pub fn memory_kib(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process()?))?;
        let resident =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a resident size")?;
        Ok(resident.trim().trim_end_matches(" kB").parse()?)
    }

    /// The server's process: the launcher's first child.
    fn process(&self) -> Result<u32> {
        let launcher = format!("PPid:\t{}", self.child.id());
        let mut children = Vec::new();
        for process in std::fs::read_dir("/proc")? {
            let path = process?.path();
            let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
            let pid = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            children.extend(pid.filter(|_: &u32| status.lines().any(|line| line == launcher)));
        }
        children.into_iter().min().context("the launcher has a child")
    }

    /// Waits for the server to end by itself.
    pub fn wait(mut self) -> Result<()> {
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // An orderly end; the launcher tears the sandboxes down and then leaves.
            let _ =
                Command::new("sh").args(["-c", "kill -TERM \"$0\"", &self.child.id().to_string()]).status();
            let _ = self.child.wait();
        }
    }
}
