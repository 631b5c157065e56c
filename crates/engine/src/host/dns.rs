//! The name server of one environment: relays questions to the resolvers of the host.
//!
//! A function shares no resolver's socket: each of its questions goes out from a socket and under a number of its own,
//! and an answer comes back only when it answers that question. What is sent here is hostile until proved otherwise;
//! what is no question gets no answer.

mod resolvers;
pub mod rules;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base::limits::ACCEPT_RETRY;
use base::random::Dice;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use sandbox::NameSockets;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::resolvers::Resolvers;
use self::rules::{Question, Reply};

/// Questions of one environment that are under way at once; others are dropped, and asked again by whoever asked. Ours.
const QUESTIONS_EACH: usize = 16;

/// Of them, those that no other environment can take the room of: who looks up a host asks for its addresses of both
/// families at once. Ours.
const QUESTIONS_OWN: usize = 2;

/// Further questions of all environments that are under way at once, each with a descriptor. Ours.
const QUESTIONS: usize = 512;

/// Connections that one environment may hold to its name server. Ours.
const CONNECTIONS_EACH: usize = 4;

/// Time that one resolver gets to answer. Ours: with [`rules::SERVERS`] of them, below the ten seconds after which a
/// function's own resolver gives up.
const PATIENCE: Duration = Duration::from_secs(3);

/// Time that a client may let pass before its next question over TCP, and to send it. Source: RFC 7766 asks for seconds.
const IDLE: Duration = Duration::from_secs(10);

/// Largest answer over UDP, in bytes; larger ones are asked for again over TCP. Ours: twice what resolvers send.
const DATAGRAM_BYTES: usize = 8 * 1024;

/// Relays the questions of every environment. Cheap to clone.
#[derive(Clone)]
pub struct NameServer {
    shared: Arc<Shared>,
}

struct Shared {
    resolvers: Resolvers,
    dice: Dice,
    under_way: Semaphore,
}

/// One environment's access to it.
struct Guest {
    shared: Arc<Shared>,
    own: Semaphore,
}

/// Ends the service of one environment when dropped.
pub struct Service(JoinHandle<()>);

impl Drop for Service {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl NameServer {
    /// Relays to the resolvers of this host.
    pub fn new(dice: Dice) -> Self {
        Self::of(Resolvers::of_the_host(), dice)
    }

    fn of(resolvers: Resolvers, dice: Dice) -> Self {
        Self { shared: Arc::new(Shared { resolvers, dice, under_way: Semaphore::new(QUESTIONS) }) }
    }

    /// Serves one environment. Needs a tokio runtime.
    pub fn serve(&self, sockets: NameSockets) -> io::Result<Service> {
        let datagrams = UdpSocket::from_std(sockets.datagrams)?;
        let listener = TcpListener::from_std(sockets.listener)?;
        let guest = Guest { shared: Arc::clone(&self.shared), own: Semaphore::new(QUESTIONS_OWN) };
        let service = async move {
            tokio::join!(answer_datagrams(&guest, &datagrams), answer_connections(&guest, &listener));
        };
        Ok(Service(tokio::spawn(service)))
    }
}

async fn answer_datagrams(guest: &Guest, socket: &UdpSocket) {
    let mut under_way = FuturesUnordered::new();
    let mut buffer = vec![0; rules::QUESTION_BYTES + 1];
    loop {
        tokio::select! {
            Some(()) = under_way.next() => {}
            received = socket.recv_from(&mut buffer) => match received {
                Ok((length, from)) if under_way.len() < QUESTIONS_EACH => {
                    if let Some(question) = Question::read(&buffer[..length]) {
                        under_way.push(async move {
                            if let Some(answer) = guest.answer(&question, Transport::Datagrams).await {
                                // A full buffer loses the answer, as networks do.
                                let _ = socket.try_send_to(&answer, from);
                            }
                        });
                    }
                }
                Ok(_) => {}
                Err(_) => tokio::time::sleep(ACCEPT_RETRY).await,
            },
        }
    }
}

async fn answer_connections(guest: &Guest, listener: &TcpListener) {
    let mut connections = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(()) = connections.next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_EACH => match accepted {
                Ok((stream, _)) => connections.push(async move {
                    // It ends when the client does, or breaks the rules.
                    let _ = answer_connection(guest, stream).await;
                }),
                Err(_) => tokio::time::sleep(ACCEPT_RETRY).await,
            },
        }
    }
}

/// Answers the questions of one connection, one after the other.
async fn answer_connection(guest: &Guest, mut stream: TcpStream) -> io::Result<()> {
    loop {
        let packet = in_time(IDLE, read_framed(&mut stream, rules::QUESTION_BYTES)).await?;
        let question = Question::read(&packet).ok_or(io::ErrorKind::InvalidData)?;
        let answer = guest.answer(&question, Transport::Stream).await.ok_or(io::ErrorKind::TimedOut)?;
        in_time(IDLE, write_framed(&mut stream, &answer)).await?;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Datagrams,
    Stream,
}

impl Guest {
    /// The packet that answers a question; none when too many are under way.
    async fn answer(&self, question: &Question, transport: Transport) -> Option<Vec<u8>> {
        if let Some(answer) = question.answer_here() {
            return Some(answer);
        }
        let shared = &self.shared;
        let _turn: SemaphorePermit<'_> =
            self.own.try_acquire().or_else(|_| shared.under_way.try_acquire()).ok()?;
        for server in shared.resolvers.current() {
            let number = u16::from_ne_bytes(shared.dice.bytes());
            let asked = async {
                match transport {
                    Transport::Datagrams => ask_by_datagram(server, question, number).await,
                    Transport::Stream => ask_by_stream(server, question, number).await,
                }
            };
            // A resolver that fails or cannot tell leaves the question to the next one.
            if let Ok(Reply::Final(answer)) = in_time(PATIENCE, asked).await {
                return Some(answer);
            }
        }
        Some(question.failure())
    }
}

/// Waits for the one datagram that answers; others may be forged, and are passed over.
async fn ask_by_datagram(server: SocketAddr, question: &Question, number: u16) -> io::Result<Reply> {
    let socket = UdpSocket::bind(any_port(server)).await?;
    socket.connect(server).await?;
    socket.send(&question.packet(number)).await?;
    let mut buffer = vec![0; DATAGRAM_BYTES];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let is_whole = length < DATAGRAM_BYTES;
        if let Some(reply) = question.reply(&buffer[..length], number, is_whole) {
            return Ok(reply);
        }
    }
}

async fn ask_by_stream(server: SocketAddr, question: &Question, number: u16) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(server).await?;
    write_framed(&mut stream, &question.packet(number)).await?;
    let answer = read_framed(&mut stream, usize::from(u16::MAX)).await?;
    question.reply(&answer, number, true).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn any_port(server: SocketAddr) -> SocketAddr {
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    any.parse().expect("an address")
}

/// Reads a packet with its length before it.
async fn read_framed(stream: &mut TcpStream, most: usize) -> io::Result<Vec<u8>> {
    let length = usize::from(stream.read_u16().await?);
    if length > most {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut packet = vec![0; length];
    stream.read_exact(&mut packet).await?;
    Ok(packet)
}

/// Writes a packet with its length before it, at once: some servers take the two apart for two questions.
async fn write_framed(stream: &mut TcpStream, packet: &[u8]) -> io::Result<()> {
    let length = u16::try_from(packet.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    stream.write_all(&[&length.to_be_bytes(), packet].concat()).await
}

async fn in_time<T>(time: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(time, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
