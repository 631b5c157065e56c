//! A small blocking HTTP client: what it costs must not hide what is measured.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::bench::zip;
use crate::server::authorization;
use crate::shell::{cache, quiet};

/// What functions get that name no memory, in MB. Source: Lambda API reference.
const DEFAULT_MEMORY: u32 = 128;
/// The longest that a function of the benchmarks may run, in seconds.
const FUNCTION_TIMEOUT: u32 = 300;
const ACTIVE_TRIES: u32 = 500;
const ACTIVE_STEP: Duration = Duration::from_millis(10);

/// What to deploy.
#[derive(Clone)]
pub struct Function {
    runtime: String,
    zip: Vec<u8>,
    /// In MB; processor time comes with it.
    memory: u32,
    /// Whether its versions are initialised once and restored.
    snap_start: bool,
}

impl Function {
    /// `index.py` under the Python that is here.
    pub fn python(source: &str) -> Result<Self> {
        let version = quiet(
            Command::new("/usr/bin/python3")
                .args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]),
        )?;
        Ok(Self {
            runtime: format!("python{}", version.trim()),
            zip: one_file("index.py", source.as_bytes())?,
            memory: DEFAULT_MEMORY,
            snap_start: false,
        })
    }

    /// `index.py` beside what lies in a directory of packages.
    pub fn python_beside(packages: &Path, source: &str) -> Result<Self> {
        std::fs::write(packages.join("index.py"), source)?;
        let mut names = Vec::new();
        for entry in std::fs::read_dir(packages)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Ok(Self { zip: zip(packages, &names)?, ..Self::python(source)? })
    }

    /// `index.js` under the Node that is here.
    pub fn node(source: &str) -> Result<Self> {
        let major = quiet(Command::new("node").args(["-p", "process.versions.node.split('.')[0]"]))?;
        Ok(Self {
            runtime: format!("nodejs{}.x", major.trim()),
            zip: one_file("index.js", source.as_bytes())?,
            memory: DEFAULT_MEMORY,
            snap_start: false,
        })
    }

    /// An executable as a custom runtime.
    pub fn provided(bootstrap: &Path) -> Result<Self> {
        let directory = bootstrap.parent().context("the bootstrap lies in a directory")?;
        Ok(Self {
            runtime: "provided.al2023".into(),
            zip: zip(directory, &["bootstrap"])?,
            memory: DEFAULT_MEMORY,
            snap_start: false,
        })
    }

    /// A Python function with SnapStart, which AWS offers from this version on; the Python that is here runs it.
    pub fn with_snap_start(self) -> Self {
        Self { snap_start: true, runtime: "python3.12".into(), ..self }
    }

    /// The same with more memory.
    pub fn with_memory(self, memory: u32) -> Self {
        Self { memory, ..self }
    }
}

fn one_file(name: &str, content: &[u8]) -> Result<Vec<u8>> {
    let directory = cache().join("bench-source");
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join(name), content)?;
    zip(&directory, &[name])
}

/// One kept-alive connection.
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects to `host:port`.
    pub fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Creates a function unless it is there, and waits until it is active.
    pub fn create(&mut self, name: &str, function: &Function) -> Result<()> {
        self.create_only(name, function)?;
        self.await_active(name, "")
    }

    /// Publishes version 1 of a new function, and waits until it is active.
    pub fn publish_new(&mut self, name: &str, function: &Function) -> Result<()> {
        self.create(name, function)?;
        let (status, body) = self.ask("POST", &format!("/2015-03-31/functions/{name}/versions"), b"{}")?;
        if status != 201 {
            bail!("publish answered {status}: {}", String::from_utf8_lossy(&body));
        }
        self.await_active(name, "?Qualifier=1")
    }

    /// Removes a function.
    pub fn delete(&mut self, name: &str) -> Result<()> {
        let (status, _) = self.ask("DELETE", &format!("/2015-03-31/functions/{name}"), b"")?;
        if status == 204 { Ok(()) } else { bail!("delete answered {status}") }
    }

    fn await_active(&mut self, name: &str, query: &str) -> Result<()> {
        for _ in 0..ACTIVE_TRIES {
            let path = format!("/2015-03-31/functions/{name}/configuration{query}");
            let (_, body) = self.ask("GET", &path, b"")?;
            if serde_json::from_slice::<Value>(&body)?["State"] == "Active" {
                return Ok(());
            }
            std::thread::sleep(ACTIVE_STEP);
        }
        bail!("{name} did not become active")
    }

    /// Creates a function unless it is there.
    pub fn create_only(&mut self, name: &str, function: &Function) -> Result<()> {
        let request = json!({
            "FunctionName": name, "Runtime": function.runtime, "Handler": "index.handler",
            "Timeout": FUNCTION_TIMEOUT, "MemorySize": function.memory,
            "SnapStart": { "ApplyOn": if function.snap_start { "PublishedVersions" } else { "None" } },
            "Role": "arn:aws:iam::000000000000:role/bench", "Code": { "ZipFile": STANDARD.encode(&function.zip) },
        });
        let (status, body) = self.ask("POST", "/2015-03-31/functions", request.to_string().as_bytes())?;
        if status != 201 && status != 409 {
            bail!("create answered {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(())
    }

    /// The first page of ListFunctions; gives how many functions it has.
    pub fn list_functions(&mut self) -> Result<usize> {
        let (status, body) = self.ask("GET", "/2015-03-31/functions", b"")?;
        if status != 200 {
            bail!("ListFunctions answered {status}");
        }
        Ok(serde_json::from_slice::<Value>(&body)?["Functions"].as_array().map_or(0, Vec::len))
    }

    /// Invokes and gives the answer.
    pub fn invoke(&mut self, name: &str, event: &Value) -> Result<Value> {
        let path = format!("/2015-03-31/functions/{name}/invocations");
        let (status, body) = self.ask("POST", &path, event.to_string().as_bytes())?;
        if status != 200 {
            bail!("{name} answered {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(serde_json::from_slice(&body)?)
    }

    /// An operation of CloudWatch Logs.
    pub fn logs(&mut self, operation: &str, input: &Value) -> Result<Value> {
        let headers = format!(
            "Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: Logs_20140328.{operation}\r\n"
        );
        let (status, body) = self.ask_as("logs", "POST", "/", &headers, input.to_string().as_bytes())?;
        if status != 200 {
            bail!("{operation} answered {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(serde_json::from_slice(&body)?)
    }

    /// Invokes with a small event and times it.
    pub fn timed_invoke(&mut self, name: &str) -> Result<Duration> {
        let path = format!("/2015-03-31/functions/{name}/invocations");
        let started = Instant::now();
        let (status, body) = self.ask("POST", &path, br#"{"n":1}"#)?;
        let time = started.elapsed();
        if status != 200 || body != br#"{"n":1}"# && body != br#"{"n": 1}"# {
            bail!("{name} answered {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(time)
    }

    /// Invokes version 1 of a function that answers `null`, and times it.
    pub fn timed_version(&mut self, name: &str) -> Result<Duration> {
        let started = Instant::now();
        let path = format!("/2015-03-31/functions/{name}/invocations?Qualifier=1");
        let (status, body) = self.ask("POST", &path, b"{}")?;
        let time = started.elapsed();
        if status != 200 || body != b"null" {
            bail!("{name} answered {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(time)
    }

    /// The cheapest answer of the same server.
    pub fn timed_health(&mut self) -> Result<Duration> {
        let started = Instant::now();
        let (status, _) = self.ask("GET", "/_samovar/health", b"")?;
        if status != 200 {
            bail!("health answered {status}");
        }
        Ok(started.elapsed())
    }

    /// Any request to Lambda; gives status and body.
    pub fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Result<(u16, Vec<u8>)> {
        self.ask_as("lambda", method, path, "", body)
    }

    fn ask_as(
        &mut self,
        service: &str,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> Result<(u16, Vec<u8>)> {
        let authorization = authorization(service);
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {authorization}\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.stream.get_mut().write_all(&request)?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).context("a status line")?.parse()?;
        let mut length = 0;
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                bail!("the connection ended within a head");
            }
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse()?
                }
                None => break,
                Some(_) => {}
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        Ok((status, answer))
    }
}
