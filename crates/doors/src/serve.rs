//! Accepts connections, bounds them, and hands their requests to whoever answers.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use base::limits::{CONNECTION_IDLE, HEADER_BYTES, REQUEST_HEADERS};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;

use crate::pace::{Pace, Paced};

/// What a door answers with.
pub(crate) type Response = http::Response<Full<Bytes>>;

/// Answers the requests of a door.
pub(crate) trait Answerer: Send + Sync + 'static {
    /// Answers one request from `peer`.
    fn answer(
        self: Arc<Self>,
        request: http::Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response> + Send;
}

/// How long to wait after an error of `accept`: out of descriptors, it would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A listener being served. Dropping it stops it without waiting for anybody.
#[derive(Debug)]
pub struct Door {
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    slots: Arc<Semaphore>,
    connections: u32,
    address: Option<SocketAddr>,
}

impl Door {
    /// Serves `listener` with at most `connections` connections at once, each of which also takes one of the `shared`
    /// slots; more wait in its backlog.
    pub(crate) fn open<A: Answerer>(
        listener: TcpListener,
        connections: usize,
        shared: Option<Arc<Semaphore>>,
        answerer: Arc<A>,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let slots = Arc::new(Semaphore::new(connections));
        let address = listener.local_addr().ok();
        let all = std::iter::once(Arc::clone(&slots)).chain(shared).collect();
        let accepting = tokio::spawn(accept(listener, all, stopped, answerer));
        let connections = u32::try_from(connections).unwrap_or(u32::MAX);
        Self { stop, accepting, slots, connections, address }
    }

    /// The address that the door listens at.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Takes no more connections and requests, and waits at most `patience` until every answer under way is sent.
    ///
    /// Answers whether nothing was cut off.
    pub async fn drain(self, patience: Duration) -> bool {
        self.stop.send_replace(true);
        tokio::time::timeout(patience, self.slots.acquire_many(self.connections)).await.is_ok()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.accepting.abort();
        self.stop.send_replace(true);
    }
}

/// Waits until the door closes.
async fn closed(stopped: &mut watch::Receiver<bool>) {
    // A door that is gone has closed as well.
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// The right to hold one connection, given back when it is dropped.
struct Slot {
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Slot {
    async fn take(slots: &[Arc<Semaphore>]) -> Self {
        let mut taken = Vec::with_capacity(slots.len());
        for slots in slots {
            let slot = Arc::clone(slots).acquire_owned().await;
            taken.push(slot.expect("the slots of a door are never closed"));
        }
        Self { _permits: taken }
    }
}

async fn accept<A: Answerer>(
    listener: TcpListener,
    slots: Vec<Arc<Semaphore>>,
    mut stopped: watch::Receiver<bool>,
    answerer: Arc<A>,
) {
    loop {
        let slot = tokio::select! {
            slot = Slot::take(&slots) => slot,
            () = closed(&mut stopped) => return,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = closed(&mut stopped) => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (answerer, stopped) = (Arc::clone(&answerer), stopped.clone());
                tokio::spawn(converse(stream, peer, slot, stopped, answerer));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection until it ends, or until the door closes and its last answer is sent.
async fn converse<A: Answerer>(
    stream: TcpStream,
    peer: SocketAddr,
    _slot: Slot,
    mut stopped: watch::Receiver<bool>,
    answerer: Arc<A>,
) {
    // An answer is written whole; waiting for more to send would only delay it.
    let _ = stream.set_nodelay(true);
    let pace = Arc::new(Pace::default());
    let stream = TokioIo::new(Paced::new(stream, Arc::clone(&pace)));
    let service = service_fn(move |request| {
        let (answerer, pace) = (Arc::clone(&answerer), Arc::clone(&pace));
        async move {
            pace.head_is_read();
            let response = answerer.answer(request, peer).await;
            pace.answer_is_ready();
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = pin!(http().serve_connection(stream, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closed(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}

fn http() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(CONNECTION_IDLE)
        .max_header_size(HEADER_BYTES)
        .max_headers(REQUEST_HEADERS)
        // A client may close its half after the request and still read its answer.
        .half_close(true);
    builder
}
