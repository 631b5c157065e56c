//! A running Samovar for the demo and the benchmarks.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
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
    name: String,
    /// `host:port`.
    pub address: String,
}

impl Server {
    /// Starts the binary on a free port and an empty data directory, and waits until it is ready.
    pub fn start(binary: &Path, name: &str, sdk: Option<&Path>, flags: &[&str]) -> Result<Self> {
        let data_dir = data_of(name);
        if data_dir.exists() {
            std::fs::remove_dir_all(&data_dir)?;
        }
        Self::resume(binary, name, sdk, flags)
    }

    /// Starts the binary on what an earlier server of this name left, and waits until it is ready.
    pub fn resume(binary: &Path, name: &str, sdk: Option<&Path>, flags: &[&str]) -> Result<Self> {
        let mut server = Self::spawn(binary, name, sdk, flags)?;
        for _ in 0..READY_TRIES {
            if server.is_healthy() {
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("samovar ended with {status}:\n{}", std::fs::read_to_string(log_of(name))?);
            }
            std::thread::sleep(READY_STEP);
        }
        bail!("samovar did not become ready:\n{}", std::fs::read_to_string(log_of(name))?)
    }

    /// Starts the binary on what an earlier server of this name left, and does not wait.
    pub fn spawn(binary: &Path, name: &str, sdk: Option<&Path>, flags: &[&str]) -> Result<Self> {
        let data_dir = data_of(name);
        std::fs::create_dir_all(&data_dir)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let log = File::create(log_of(name))?;
        let mut command = Command::new(binary);
        command.args(["serve", "--listen", &address, "--data-dir"]).arg(&data_dir).args(flags);
        if let Some(sdk) = sdk {
            command.arg("--sdk-dir").arg(sdk);
        }
        let child = command.stdout(log.try_clone()?).stderr(log).spawn().context("cannot start samovar")?;
        Ok(Self { child, name: name.to_owned(), address })
    }

    /// Whether it answers.
    pub fn is_healthy(&self) -> bool {
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

    /// Processor time of the threads that the server has now, to the nanosecond.
    ///
    /// For short times with little work, where [`Self::cpu`] is too coarse. Source: Linux, `sched-stats`.
    pub fn thread_time(&self) -> Result<Duration> {
        let mut nanos = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.process()?))? {
            let stat = std::fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
            nanos += stat.split(' ').next().and_then(|time| time.parse().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// Memory of the server's own process.
    pub fn memory(&self) -> Result<Memory> {
        memory_of(self.process()?)
    }

    /// What stands of sandboxes, made ahead or in use.
    pub fn sandboxes(&self) -> Result<Sandboxes> {
        let family = family()?;
        let below =
            |parent: u32| family.iter().filter(move |process| process.parent == parent).map(|it| it.pid);
        let named = |pid: &u32| {
            std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == INIT)
        };
        let inits: Vec<u32> = below(self.child.id()).filter(named).collect();
        let inside = inits.iter().flat_map(|init| below(*init).chain([*init]));
        // One that ended meanwhile holds nothing.
        let pss_kib = inside.filter_map(|pid| memory_of(pid).ok()).map(|memory| memory.pss_kib).sum();
        Ok(Sandboxes { count: inits.len(), pss_kib })
    }

    /// The server's process: the launcher's first child.
    fn process(&self) -> Result<u32> {
        let launcher = self.child.id();
        let mut children: Vec<Process> = family()?.into_iter().filter(|it| it.parent == launcher).collect();
        // Process ids wrap.
        children.sort_unstable_by_key(|process| process.start);
        children.first().map(|process| process.pid).context("the launcher has a child")
    }

    /// What it has said so far.
    pub fn log(&self) -> Result<String> {
        std::fs::read_to_string(log_of(&self.name)).context("the server's log")
    }

    /// Waits for the server to end by itself.
    pub fn wait(mut self) -> Result<()> {
        self.child.wait()?;
        Ok(())
    }
}

/// The name of each sandbox's first process.
const INIT: &str = "samovar-init";

/// Sandboxes and what they hold.
#[derive(Debug, Clone, Copy)]
pub struct Sandboxes {
    /// How many there are.
    pub count: usize,
    /// Memory of their processes, shared pages counted in parts.
    pub pss_kib: u64,
}

/// One process of the machine.
struct Process {
    pid: u32,
    parent: u32,
    /// Ticks from the machine's start to its own.
    start: u64,
}

/// Every process.
fn family() -> Result<Vec<Process>> {
    let mut all = Vec::new();
    for process in std::fs::read_dir("/proc")? {
        let path = process?.path();
        let Some(pid) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) else { continue };
        let stat = std::fs::read_to_string(path.join("stat")).unwrap_or_default();
        // After the name: the parent is the second, the time of its start the twentieth.
        let Some((_, rest)) = stat.rsplit_once(')') else { continue };
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
        if let (Some(parent), Some(start)) = (number(1), number(19)) {
            all.push(Process { pid, parent: u32::try_from(parent)?, start });
        }
    }
    Ok(all)
}

fn memory_of(process: u32) -> Result<Memory> {
    let rollup = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let kib = |name: &str| -> Result<u64> {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name)).context("a memory size")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    };
    Ok(Memory { rss_kib: kib("Rss:")?, pss_kib: kib("Pss:")? })
}

/// What a process holds.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// All its resident pages.
    pub rss_kib: u64,
    /// Pages that it shares counted in parts.
    pub pss_kib: u64,
}

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mib = |kib: u64| kib as f64 / 1024.0;
        write!(f, "{:>9.1} MiB RSS {:>9.1} MiB PSS", mib(self.rss_kib), mib(self.pss_kib))
    }
}

/// The header of a caller in that service's scope. Open mode on loopback wants the header, not the signature.
pub fn authorization(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

fn data_of(name: &str) -> PathBuf {
    cache().join(format!("{name}-data"))
}

fn log_of(name: &str) -> PathBuf {
    cache().join(format!("{name}.log"))
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
