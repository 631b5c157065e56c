//! Sends requests and reads whatever comes back.

use std::fmt;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::request::{Kind, Request};

/// How long an answer may take; the server itself waits at most 30 s for a body.
const PATIENCE: Duration = Duration::from_secs(45);
/// Largest line of a head, and most lines.
const LINE: u64 = 256 * 1024;
const LINES: usize = 200;
/// Answers that go on without end.
const ENDLESS: [&str; 1] = ["StartLiveTail"];

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Silence {
    Refused(std::io::Error),
    Hang,
    Closed(String),
    Garbled(String),
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "no connection: {error}"),
            Self::Hang => write!(f, "no whole answer within {} s", PATIENCE.as_secs()),
            Self::Closed(how) => write!(f, "the connection was closed without a whole answer: {how}"),
            Self::Garbled(what) => write!(f, "the answer is not HTTP: {what}"),
        }
    }
}

/// A connection that is kept as long as it can be.
pub struct Client {
    address: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    pub fn new(address: &str) -> Self {
        Self { address: address.to_owned(), stream: None }
    }

    /// Asks on the connection that there is; what may spoil a connection gets one of its own.
    pub fn ask(&mut self, request: &Request) -> Result<Answer, Silence> {
        if request.kind == Kind::Broken || ENDLESS.contains(&request.operation.as_str()) {
            return Self::new(&self.address).once(request, true);
        }
        let idle = self.stream.is_some();
        match self.once(request, false) {
            // The server may close a connection that nobody uses.
            Err(Silence::Closed(_)) if idle => self.once(request, false),
            other => other,
        }
    }

    fn once(&mut self, request: &Request, last: bool) -> Result<Answer, Silence> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect()?,
        };
        let sent = stream.get_mut().write_all(&request.bytes());
        if last && !ENDLESS.contains(&request.operation.as_str()) {
            // Nothing follows: whoever waits for more is to know.
            let _ = stream.get_mut().shutdown(Shutdown::Write);
        }
        let answer = read(&mut stream, request).map_err(|silence| match (silence, sent) {
            (Silence::Closed(how), Err(error)) => Silence::Closed(format!("{how}; sending: {error}")),
            (silence, _) => silence,
        })?;
        let closes = answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if !last && !closes {
            self.stream = Some(stream);
        }
        Ok(answer)
    }

    fn connect(&self) -> Result<BufReader<TcpStream>, Silence> {
        let stream = TcpStream::connect(&self.address).map_err(Silence::Refused)?;
        let _ = stream.set_nodelay(true);
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let _ = stream.set_write_timeout(Some(PATIENCE));
        Ok(BufReader::new(stream))
    }
}

fn read(stream: &mut BufReader<TcpStream>, request: &Request) -> Result<Answer, Silence> {
    let mut status = line(stream)?;
    // An interim answer comes before the one that counts.
    while status.contains(" 100 ") {
        line(stream)?;
        status = line(stream)?;
    }
    let code = status.strip_prefix("HTTP/1.1 ").or_else(|| status.strip_prefix("HTTP/1.0 "));
    let code = code.and_then(|rest| rest.get(..3)?.parse().ok());
    let mut answer = Answer {
        status: code.ok_or_else(|| Silence::Garbled(status.clone()))?,
        headers: Vec::new(),
        body: Vec::new(),
    };
    for _ in 0..LINES {
        let line = line(stream)?;
        let Some((name, value)) = line.split_once(':') else { break };
        answer.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let bodiless = request.method == "HEAD" || answer.status == 204 || answer.status == 304;
    if bodiless || (answer.status == 200 && ENDLESS.contains(&request.operation.as_str())) {
        return Ok(answer);
    }
    answer.body = if answer.header("transfer-encoding").is_some() {
        chunks(stream)?
    } else {
        let length = answer.header("content-length").unwrap_or("0");
        let length = length.parse().map_err(|_| Silence::Garbled(format!("Content-Length: {length}")))?;
        exactly(stream, length)?
    };
    Ok(answer)
}

fn chunks(stream: &mut BufReader<TcpStream>) -> Result<Vec<u8>, Silence> {
    let mut body = Vec::new();
    loop {
        let size = line(stream)?;
        let length = usize::from_str_radix(&size, 16).map_err(|_| Silence::Garbled(size))?;
        body.extend(exactly(stream, length)?);
        line(stream)?;
        if length == 0 {
            return Ok(body);
        }
    }
}

fn exactly(stream: &mut BufReader<TcpStream>, length: usize) -> Result<Vec<u8>, Silence> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).map_err(|error| silence(&error))?;
    Ok(bytes)
}

/// One line, without its end.
fn line(stream: &mut BufReader<TcpStream>) -> Result<String, Silence> {
    let mut bytes = Vec::new();
    stream.take(LINE).read_until(b'\n', &mut bytes).map_err(|error| silence(&error))?;
    if bytes.last() != Some(&b'\n') {
        return Err(Silence::Closed("within a line".into()));
    }
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

fn silence(error: &std::io::Error) -> Silence {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Silence::Hang,
        _ => Silence::Closed(error.to_string()),
    }
}
