//! The least that HTTP servers do, as floors: sending back the body of each request, and a Runtime API that hands out
//! the same event for ever.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

/// How long a runtime's answers are counted, and how long they are not before that.
const COUNTED: Duration = Duration::from_secs(4);
const WARMING: Duration = Duration::from_secs(1);
/// What the bare Runtime API hands out, as large as what Samovar is asked with.
const EVENT: &str = "{\"n\":1}";
const TAKEN: &[u8] = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
/// Until when a runtime may take, from the start.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Serves on a free port of loopback until the process ends; gives `host:port`.
pub fn start() -> Result<String> {
    serve(|_, body, answer| {
        answer.extend_from_slice(
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(),
        );
        answer.extend_from_slice(body);
    })
}

/// Answers a second of so many processes of a runtime that has an event at all times, and nothing around it: what no
/// server can exceed on this machine, however little it does itself.
pub fn runtimes(bootstrap: &Path, processes: usize) -> Result<f64> {
    let deadline = (SystemTime::now().duration_since(UNIX_EPOCH)? + PATIENCE).as_millis();
    let work = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: \
         8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\nLambda-Runtime-Deadline-Ms: {deadline}\r\n\
         Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:000000000000:function:bare\r\n\
         Content-Length: {}\r\n\r\n{EVENT}",
        EVENT.len()
    );
    let answers = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&answers);
    let address = serve(move |line, _, answer| {
        let asks = line.starts_with("GET");
        counter.fetch_add(u64::from(!asks), Ordering::Relaxed);
        answer.extend_from_slice(if asks { work.as_bytes() } else { TAKEN });
    })?;
    let _runtimes =
        (0..processes).map(|_| Runtime::start(bootstrap, &address)).collect::<Result<Vec<_>>>()?;
    std::thread::sleep(WARMING);
    let (before, since) = (answers.load(Ordering::Relaxed), Instant::now());
    std::thread::sleep(COUNTED);
    Ok((answers.load(Ordering::Relaxed) - before) as f64 / since.elapsed().as_secs_f64())
}

/// A runtime's process, which ends with this.
struct Runtime(Child);

impl Runtime {
    fn start(bootstrap: &Path, address: &str) -> Result<Self> {
        let mut command = Command::new(bootstrap);
        command.env_clear().stdout(Stdio::null()).stderr(Stdio::null()).envs([
            ("AWS_LAMBDA_RUNTIME_API", address),
            ("AWS_LAMBDA_FUNCTION_NAME", "bare"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bare"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "bare"),
        ]);
        command.spawn().map(Self).with_context(|| format!("cannot start {}", bootstrap.display()))
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Writes the answer to a request with this first line and body.
trait Answer: Fn(&str, &[u8], &mut Vec<u8>) + Send + Sync + 'static {}

impl<A: Fn(&str, &[u8], &mut Vec<u8>) + Send + Sync + 'static> Answer for A {}

/// One thread a connection. A client that leaves ends its thread.
fn serve(answer: impl Answer) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || converse(stream, &*answer));
        }
    });
    Ok(address)
}

fn converse(stream: TcpStream, answer: &impl Answer) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let (mut first, mut line) = (String::new(), String::new());
    let (mut body, mut answered) = (Vec::new(), Vec::new());
    loop {
        first.clear();
        answered.clear();
        if stream.read_line(&mut first)? == 0 {
            return Ok(());
        }
        body.resize(body_length(&mut stream, &mut line)?, 0);
        stream.read_exact(&mut body)?;
        answer(&first, &body, &mut answered);
        stream.get_mut().write_all(&answered).context("the client has gone")?;
    }
}

/// The length of the body that follows the headers.
fn body_length(stream: &mut BufReader<TcpStream>, line: &mut String) -> Result<usize> {
    let mut length = 0;
    loop {
        line.clear();
        stream.read_line(line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse()?;
            }
            None if line.len() <= 2 => return Ok(length),
            _ => {}
        }
    }
}
