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

    /// The process, to ask the kernel about.
    pub fn pid(&self) -> u32 {
        self.child.id()
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
