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
use crate::shell::{cache, quiet};

/// Open mode on loopback wants the header, not the signature.
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0";
const ACTIVE_TRIES: u32 = 500;
const ACTIVE_STEP: Duration = Duration::from_millis(10);

/// What to deploy.
#[derive(Clone)]
pub struct Function {
    runtime: String,
    zip: Vec<u8>,
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
        })
    }

    /// `index.js` under the Node that is here.
    pub fn node(source: &str) -> Result<Self> {
        let major = quiet(Command::new("node").args(["-p", "process.versions.node.split('.')[0]"]))?;
        Ok(Self {
            runtime: format!("nodejs{}.x", major.trim()),
            zip: one_file("index.js", source.as_bytes())?,
        })
    }

    /// An executable as a custom runtime.
    pub fn provided(bootstrap: &Path) -> Result<Self> {
        let directory = bootstrap.parent().context("the bootstrap lies in a directory")?;
        Ok(Self { runtime: "provided.al2023".into(), zip: zip(directory, &["bootstrap"])? })
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
        let request = json!({
            "FunctionName": name, "Runtime": function.runtime, "Handler": "index.handler", "Timeout": 30,
            "Role": "arn:aws:iam::000000000000:role/bench", "Code": { "ZipFile": STANDARD.encode(&function.zip) },
        });
        let (status, body) = self.ask("POST", "/2015-03-31/functions", request.to_string().as_bytes())?;
        if status != 201 && status != 409 {
            bail!("create answered {status}: {}", String::from_utf8_lossy(&body));
        }
        for _ in 0..ACTIVE_TRIES {
            let (_, body) = self.ask("GET", &format!("/2015-03-31/functions/{name}/configuration"), b"")?;
            if serde_json::from_slice::<Value>(&body)?["State"] == "Active" {
                return Ok(());
            }
            std::thread::sleep(ACTIVE_STEP);
        }
        bail!("{name} did not become active")
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

    /// The cheapest answer of the same server.
    pub fn timed_health(&mut self) -> Result<Duration> {
        let started = Instant::now();
        let (status, _) = self.ask("GET", "/_samovar/health", b"")?;
        if status != 200 {
            bail!("health answered {status}");
        }
        Ok(started.elapsed())
    }

    fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Result<(u16, Vec<u8>)> {
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {AUTHORIZATION}\r\nContent-Length: {}\r\n\r\n",
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
