//! Bringing one subscriber its events: a task that gathers, sends, and tries again until a listener has taken them.
//!
//! There is no limit on the time that a listener takes: it may be frozen with the rest of its environment, and goes on
//! when that is thawed. What waits meanwhile is bounded, and so is what is read of its answers.

use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::clock::{Clock, Timestamp};
use base::limits::{TELEMETRY_ANSWER_BYTES, TELEMETRY_RETRY};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::AbortHandle;

use super::buffer::{Buffer, DROPPED, Dropped};
use super::{Destination, Subscription};

/// A connection that is wanted to a port inside.
#[derive(Debug)]
pub struct Dial {
    /// The port.
    pub port: u16,
    /// Where the connection is awaited; dropped when there is none.
    pub reply: oneshot::Sender<TcpStream>,
}

/// The way to one subscriber. Dropping it ends the delivery.
pub struct Delivery {
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    state: Mutex<(Buffer, bool)>,
    news: Notify,
    clock: Clock,
}

impl Delivery {
    /// Begins; connections are asked for through `dials`.
    pub fn begin(subscription: &Subscription, clock: Clock, dials: mpsc::UnboundedSender<Dial>) -> Self {
        let state = Mutex::new((Buffer::new(subscription.buffering), false));
        let shared = Arc::new(Shared { state, news: Notify::new(), clock });
        let line = Line { destination: subscription.destination.clone(), dials, open: None };
        let task = tokio::spawn(Arc::clone(&shared).deliver(line)).abort_handle();
        Self { shared, task }
    }

    /// Sends an event with the others.
    pub fn push(&self, now: Timestamp, event: Bytes) {
        self.shared.lock().0.push(now, event);
        self.shared.news.notify_one();
    }

    /// Sends what waits now.
    pub fn flush(&self) {
        self.shared.lock().1 = true;
        self.shared.news.notify_one();
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    /// The state is whole between any two statements, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, (Buffer, bool)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn deliver(self: Arc<Self>, mut line: Line) {
        loop {
            let batch = self.batch().await;
            let (mut pause, longest) = TELEMETRY_RETRY;
            while line.send(&batch).await.is_err() {
                self.clock.sleep(pause).await;
                pause = (pause * 2).min(longest);
            }
        }
    }

    /// The next batch, when it is due.
    async fn batch(&self) -> Vec<Bytes> {
        loop {
            let now = self.clock.now();
            let due = {
                let mut state = self.lock();
                let (buffer, flush) = &mut *state;
                match buffer.due() {
                    Some(due) if due <= now || *flush => {
                        let (mut batch, dropped) = buffer.take(now);
                        *flush &= buffer.due().is_some();
                        if dropped != Dropped::default() {
                            batch.push(lost(now, dropped));
                        }
                        return batch;
                    }
                    due => due,
                }
            };
            match due {
                Some(due) => drop(tokio::time::timeout(due.since(now), self.news.notified()).await),
                None => self.news.notified().await,
            }
        }
    }
}

/// The event that tells of those that were dropped.
fn lost(now: Timestamp, dropped: Dropped) -> Bytes {
    let record = serde_json::json!({
        "droppedRecords": dropped.records, "droppedBytes": dropped.bytes, "reason": DROPPED,
    });
    let event =
        serde_json::json!({ "time": now.iso_millis(), "type": "platform.logsDropped", "record": record });
    event.to_string().into()
}

/// A connection to a listener, for as long as it holds.
struct Line {
    destination: Destination,
    dials: mpsc::UnboundedSender<Dial>,
    open: Option<Open>,
}

enum Open {
    Http(http1::SendRequest<Full<Bytes>>, Connection),
    Tcp(TcpStream),
}

type Connection = Pin<Box<http1::Connection<TokioIo<TcpStream>, Full<Bytes>>>>;

impl Line {
    /// Sends a batch; after an error the next goes over another connection.
    async fn send(&mut self, batch: &[Bytes]) -> io::Result<()> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.dial().await?,
        };
        self.open = match (open, &self.destination) {
            (Open::Tcp(mut stream), _) => {
                let lines: Vec<u8> = batch.iter().flat_map(|event| [&event[..], b"\n"].concat()).collect();
                stream.write_all(&lines).await?;
                Some(Open::Tcp(stream))
            }
            (Open::Http(mut sender, connection), Destination::Http { port, path, method }) => {
                let request = Request::builder()
                    .method(method)
                    .uri(path)
                    .header(header::HOST, format!("sandbox.localdomain:{port}"))
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(Full::from(array(batch)))
                    .map_err(io::Error::other)?;
                let connection = post(&mut sender, connection, request).await?;
                connection.map(|connection| Open::Http(sender, connection))
            }
            (Open::Http(..), Destination::Tcp { .. }) => return Err(io::ErrorKind::InvalidInput.into()),
        };
        Ok(())
    }

    async fn dial(&self) -> io::Result<Open> {
        let gone = || io::Error::from(io::ErrorKind::NotConnected);
        let (reply, connection) = oneshot::channel();
        self.dials.send(Dial { port: self.destination.port(), reply }).map_err(|_| gone())?;
        let stream = connection.await.map_err(|_| gone())?;
        stream.writable().await?;
        match self.destination {
            Destination::Tcp { .. } => Ok(Open::Tcp(stream)),
            Destination::Http { .. } => {
                let (sender, connection) =
                    http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
                Ok(Open::Http(sender, Box::pin(connection)))
            }
        }
    }
}

/// Posts a batch and waits until the listener has taken it; gives the connection where it still holds.
async fn post(
    sender: &mut http1::SendRequest<Full<Bytes>>,
    mut connection: Connection,
    request: Request<Full<Bytes>>,
) -> io::Result<Option<Connection>> {
    let mut answered = pin!(async {
        sender.ready().await.map_err(io::Error::other)?;
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        let taken = response.status().is_success();
        // A listener that answers at length is not asked again over this connection.
        Limited::new(response.into_body(), TELEMETRY_ANSWER_BYTES)
            .collect()
            .await
            .map_err(io::Error::other)?;
        if taken { Ok(()) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
    });
    tokio::select! {
        biased;
        answer = &mut answered => return answer.map(|()| Some(connection)),
        _ = &mut connection => {}
    }
    // Who waits for an answer learns of the connection's end only once it is dropped.
    drop(connection);
    answered.await.map(|()| None)
}

fn array(batch: &[Bytes]) -> Vec<u8> {
    let mut array = vec![b'['];
    for (index, event) in batch.iter().enumerate() {
        if index > 0 {
            array.push(b',');
        }
        array.extend_from_slice(event);
    }
    array.push(b']');
    array
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    /// Takes one request, answers it, and ends the connection as a process that is killed does.
    async fn listen(listener: &TcpListener) -> String {
        let (mut stream, _) = listener.accept().await.expect("somebody dials");
        let mut request = Vec::new();
        while !request.ends_with(b"]") {
            assert!(stream.read_buf(&mut request).await.expect("it can be read") > 0);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("it can be written");
        String::from_utf8(request).expect("it is text")
    }

    #[tokio::test]
    async fn a_connection_that_has_ended_is_made_anew() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there is a port");
        let port = listener.local_addr().expect("it is bound").port();
        let (dials, mut wanted) = mpsc::unbounded_channel::<Dial>();
        tokio::spawn(async move {
            while let Some(dial) = wanted.recv().await {
                let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, dial.port)).await;
                dial.reply.send(stream.expect("somebody listens")).expect("it is awaited");
            }
        });
        let destination = Destination::Http { port, path: "/".into(), method: http::Method::POST };
        let mut line = Line { destination, dials, open: None };
        for event in ["1", "2", "3"] {
            let heard = async {
                let send = async { while line.send(&[event.into()]).await.is_err() {} };
                tokio::join!(listen(&listener), send).0
            };
            let heard = tokio::time::timeout(std::time::Duration::from_secs(10), heard).await;
            assert!(heard.expect("it is sent").ends_with(&format!("[{event}]")));
        }
    }
}
