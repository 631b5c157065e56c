//! Accepts connections, bounds them, and hands their requests to whoever answers.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use base::limits::{
    ACCEPT_RETRY, CONNECTION_IDLE, FUNCTION_ENDPOINT_OWN_CONNECTIONS, HEADER_BYTES, REQUEST_HEADERS,
};
use base::task::Insistent;
use engine::host::peer::is_ours;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;

use crate::pace::{Pace, Paced};
use crate::sent::Sent;

/// What a door answers with.
pub(crate) type Response = http::Response<Sent>;

/// Answers the requests of a door.
pub(crate) trait Answerer: Send + Sync + 'static {
    /// Answers one request from `peer`.
    fn answer(
        self: Arc<Self>,
        request: http::Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response> + Send;
}

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
    /// Serves `listener` with at most `connections` connections at once; more wait in its backlog. Where there are
    /// `shared` slots, those beyond the first [`FUNCTION_ENDPOINT_OWN_CONNECTIONS`] also take one of these.
    pub(crate) fn open<A: Answerer>(
        listener: TcpListener,
        connections: usize,
        shared: Option<Arc<Semaphore>>,
        answerer: Arc<A>,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let slots = Arc::new(Semaphore::new(connections));
        let address = listener.local_addr().ok();
        let own = Arc::new(Semaphore::new(FUNCTION_ENDPOINT_OWN_CONNECTIONS));
        let all = Slots { door: Arc::clone(&slots), own, shared };
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
    _door: OwnedSemaphorePermit,
    _further: Option<OwnedSemaphorePermit>,
}

/// The connections that a door may hold.
struct Slots {
    /// Of this door.
    door: Arc<Semaphore>,
    /// Those of them that it need not share: a door that only waits keeps nothing from the others, and none of them
    /// can keep it from being heard.
    own: Arc<Semaphore>,
    /// Of all doors of its kind together.
    shared: Option<Arc<Semaphore>>,
}

impl Slots {
    async fn take(&self) -> Slot {
        let door = permit(&self.door).await;
        let further = match &self.shared {
            None => None,
            Some(shared) => tokio::select! {
                biased;
                permit = permit(&self.own) => Some(permit),
                permit = permit(shared) => Some(permit),
            },
        };
        Slot { _door: door, _further: further }
    }
}

async fn permit(slots: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(slots).acquire_owned().await.expect("the slots of a door are never closed")
}

async fn accept<A: Answerer>(
    listener: TcpListener,
    slots: Slots,
    mut stopped: watch::Receiver<bool>,
    answerer: Arc<A>,
) {
    loop {
        let slot = tokio::select! {
            slot = slots.take() => slot,
            () = closed(&mut stopped) => return,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = closed(&mut stopped) => return,
        };
        match accepted {
            // A function's door, where functions have no walls, is within every local user's reach.
            Ok((stream, _)) if slots.shared.is_some() && !is_ours(&stream) => {}
            Ok((stream, peer)) => {
                let (answerer, stopped) = (Arc::clone(&answerer), stopped.clone());
                tokio::spawn(Insistent::new(converse(stream, peer, slot, stopped, answerer)));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
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
    let closing = stopped.clone();
    let service = service_fn(move |request| {
        let (answerer, pace) = (Arc::clone(&answerer), Arc::clone(&pace));
        let mut closing = closing.clone();
        async move {
            pace.head_is_read();
            let response = answerer.answer(request, peer).await;
            pace.answer_is_ready();
            Ok::<_, Infallible>(
                response.map(|body| body.until(|| Box::pin(async move { closed(&mut closing).await }))),
            )
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
