//! The Lambda Runtime API, 2018-06-01, for one environment.
//!
//! Connections are futures of the environment's own task: a warm invoke crosses no thread between its
//! environment and its runtime. Every call becomes one [`Call`], answered through its oneshot.
//!
//! A slow or silent client holds one of the environment's few connections and hurts its own function only;
//! idle connections must live, because runtimes keep theirs open while a handler runs for minutes.

pub(super) mod answers;
mod bodies;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod streams;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use base::clock::{Clock, Timestamp};
use base::id::RequestId;
use base::limits::{
    ACCEPT_RETRY, ALL_RUNTIME_API_CONNECTIONS, RUNTIME_API_CONNECTIONS, RUNTIME_API_OWN_CONNECTIONS,
    RUNTIME_API_READ_BYTES,
};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Sleep;

use self::bodies::Body;
use super::telemetry::Api;
use super::{extensions, peer, telemetry};
use crate::environment::rules::Refusal;
use crate::flow::Sink;
use crate::outcome::{Answer, Fault, sanitise};

/// What the runtime asks for.
#[derive(Debug)]
pub enum Call {
    /// Work; answered when there is some.
    Next(oneshot::Sender<NextReply>),
    /// To go on once it is restored; what it says of its image, where it was asked to make one.
    RestoreNext(oneshot::Sender<Verdict>, Option<String>),
    /// A way for the response to this invocation, which it streams; `None` when the path held no id at all.
    Stream(Option<RequestId>, Option<HeaderValue>, oneshot::Sender<Passage>),
    /// To take this.
    Post(Posted, oneshot::Sender<Verdict>),
    /// What an extension asks for.
    Extension(extensions::Request),
}

/// What the runtime posted.
#[derive(Debug)]
pub enum Posted {
    /// The answer to an invocation; `None` when the path held no id at all.
    Answer(Option<RequestId>, Answer),
    /// That the response which this sink took has ended, and the fault when it ended early.
    Streamed(RequestId, Sink, Option<Fault>),
    /// That it cannot initialise.
    InitError(Answer),
    /// That what was to run after the restore failed.
    RestoreError(Answer),
}

/// How a streamed response goes to its caller.
#[derive(Debug)]
pub enum Passage {
    /// In one piece: it is posted when all of it is there.
    Whole,
    /// As it comes, to the caller of this invocation.
    Flowing(RequestId, Sink),
    /// Not at all.
    Refused(Refusal),
}

/// The answer to a post: taken, or why not.
pub type Verdict = Result<(), Refusal>;

/// The answer to `/next`.
#[derive(Debug)]
pub enum NextReply {
    /// Work.
    Work(Box<Work>),
    /// Not now.
    Refused(Refusal),
}

/// One invocation as a runtime sees it.
#[derive(Debug, Clone)]
pub struct Work {
    /// The invocation's id.
    pub id: RequestId,
    /// When the function's time is over.
    pub deadline: Timestamp,
    /// The ARN that the caller used.
    pub arn: String,
    /// The trace header.
    pub trace: String,
    /// The client context's JSON, decoded.
    pub client_context: Option<String>,
    /// The Cognito identity's JSON.
    pub cognito_identity: Option<String>,
    /// The event.
    pub payload: Bytes,
}

/// The keys of an environment whose runtime has none among its variables, because a snapshot would hold them.
#[derive(Clone)]
pub struct Credentials {
    /// Whoever shows this in `Authorization` gets them.
    pub authorization: String,
    /// `ASIA...`
    pub access_key: String,
    /// Its secret.
    pub secret: String,
    /// The session's token.
    pub token: String,
    /// The clock.
    pub clock: Clock,
}

type Connection = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The server side of one environment's Runtime API. Poll it with [`RuntimeApi::poll_call`].
pub struct RuntimeApi {
    listener: TcpListener,
    /// At the loopback address of a sandbox, which nobody else reaches.
    loopback: Option<TcpListener>,
    connections: FuturesUnordered<Connection>,
    /// Connections that this environment need not share.
    own: Arc<Semaphore>,
    /// Those of all environments together.
    further: Arc<Semaphore>,
    /// After a failed accept, or while there are no connections to be had.
    pause: Option<Pin<Box<Sleep>>>,
    calls: mpsc::UnboundedReceiver<Call>,
    shared: Arc<Shared>,
}

struct Shared {
    /// What a runtime may ask for that is restored; see [`RuntimeApi::restoring`].
    credentials: Option<Arc<Credentials>>,
    /// At most one call a connection is under way, so the connections' cap bounds this channel.
    calls: mpsc::UnboundedSender<Call>,
    /// Whether the environment runs for its callers, and is nothing that a snapshot may be made of.
    is_restored: AtomicBool,
    /// One body at a time is held in memory, however many connections upload.
    upload: Semaphore,
}

/// The connections that all environments of a server share beyond their own.
pub fn further_connections() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(ALL_RUNTIME_API_CONNECTIONS))
}

impl RuntimeApi {
    /// Serves the listener that was made inside the sandbox.
    ///
    /// Beyond its own [`RUNTIME_API_OWN_CONNECTIONS`], each connection takes one of the `further`, which all
    /// environments share; see [`further_connections`].
    pub fn new(listener: std::net::TcpListener, further: Arc<Semaphore>) -> std::io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let (shared, calls) = Shared::fresh(None);
        let own = Arc::new(Semaphore::new(RUNTIME_API_OWN_CONNECTIONS));
        Ok(Self {
            listener,
            loopback: None,
            connections: FuturesUnordered::new(),
            own,
            further,
            pause: None,
            calls,
            shared,
        })
    }

    /// The same with the calls of a runtime that is restored, and with keys for it. It is heard at one more listener
    /// inside the sandbox, if there is one.
    pub fn restoring(
        mut self,
        credentials: Credentials,
        loopback: Option<std::net::TcpListener>,
    ) -> std::io::Result<Self> {
        (self.shared, self.calls) = Shared::fresh(Some(Arc::new(credentials)));
        if let Some(loopback) = loopback {
            loopback.set_nonblocking(true)?;
            self.loopback = Some(TcpListener::from_std(loopback)?);
        }
        Ok(self)
    }

    /// The next call of the runtime; never ends.
    pub fn poll_call(&mut self, cx: &mut Context<'_>) -> Poll<Call> {
        loop {
            while let Poll::Ready(Some(())) = self.connections.poll_next_unpin(cx) {}
            if let Poll::Ready(Some(call)) = self.calls.poll_recv(cx) {
                return Poll::Ready(call);
            }
            if self.connections.len() >= RUNTIME_API_CONNECTIONS {
                return Poll::Pending;
            }
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            let Some(slot) = self.slot() else {
                self.pause = Some(Box::pin(tokio::time::sleep(ACCEPT_RETRY)));
                continue;
            };
            match ready!(self.poll_accept(cx)) {
                Ok(None) => {}
                Ok(Some(stream)) => {
                    let served = serve(stream, Arc::clone(&self.shared));
                    self.connections.push(Box::pin(async move {
                        let _slot = slot;
                        served.await;
                    }));
                }
                // It fails for the client's reasons or the machine's (descriptors); both pass.
                Err(_) => self.pause = Some(Box::pin(tokio::time::sleep(ACCEPT_RETRY))),
            }
        }
    }

    /// A connection from inside, if the next one is.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<std::io::Result<Option<TcpStream>>> {
        if let Some(Poll::Ready(accepted)) = self.loopback.as_ref().map(|it| it.poll_accept(cx)) {
            return Poll::Ready(accepted.map(|(stream, _)| Some(stream)));
        }
        let (stream, _) = ready!(self.listener.poll_accept(cx))?;
        // Without walls every user of the machine reaches the listener.
        Poll::Ready(Ok(peer::is_ours(&stream).then_some(stream)))
    }

    /// The right to one more connection, given back when it is dropped.
    fn slot(&self) -> Option<OwnedSemaphorePermit> {
        let take = |slots: &Arc<Semaphore>| Arc::clone(slots).try_acquire_owned().ok();
        take(&self.own).or_else(|| take(&self.further))
    }

    /// From now on the runtime may keep the keys that it gets.
    pub fn restored(&self) {
        self.shared.is_restored.store(true, Ordering::Relaxed);
    }

    /// Forgets every connection and every call under way: their processes are gone, and what they sent last
    /// must not be taken for the next runtime's words.
    pub async fn forget(&mut self) {
        self.connections.clear();
        (self.shared, self.calls) = Shared::fresh(self.shared.credentials.clone());
        // Asks the kernel, and not tokio, which learns of connections later and hands out a few in a turn. Nobody is
        // left to make more of them.
        for listener in std::iter::once(&self.listener).chain(&self.loopback) {
            while rustix::net::accept(listener).is_ok() {}
        }
    }
}

impl Shared {
    fn fresh(credentials: Option<Arc<Credentials>>) -> (Arc<Self>, mpsc::UnboundedReceiver<Call>) {
        let (sender, calls) = mpsc::unbounded_channel();
        let is_restored = AtomicBool::new(false);
        (Arc::new(Self { credentials, calls: sender, is_restored, upload: Semaphore::new(1) }), calls)
    }
}

impl extensions::Desk for Shared {
    fn take(&self, request: extensions::Request) -> bool {
        self.calls.send(Call::Extension(request)).is_ok()
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // Without it a response waits for the acknowledgement of the last.
    let _ = stream.set_nodelay(true);
    converse(stream, shared).await;
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(shared.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .max_buf_size(RUNTIME_API_READ_BYTES)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "runtime connection ended");
    }
}

/// With this header a runtime client that posts an answer waits for the next event in the same request, which saves
/// both sides a request for each invocation. Ours; who does not know it answers 202 as ever, and is then asked.
const AND_NEXT: &str = "samovar-and-next";

/// With this header a runtime client says what became of the memory image that it was asked for. Ours.
const IMAGE: &str = "samovar-image";

/// What a request is for.
#[derive(Debug, PartialEq, Eq)]
enum Route<'a> {
    Ping,
    Next,
    Response(&'a str),
    Error(&'a str),
    InitError,
    RestoreNext,
    RestoreError,
    Credentials,
    WrongMethod,
    Unknown,
}

/// `restoring` is whether the runtime is one that is restored: others do not have its calls.
fn route<'a>(method: &Method, path: &'a str, restoring: bool) -> Route<'a> {
    if restoring && path == "/2021-04-23/credentials" {
        return if *method == Method::GET { Route::Credentials } else { Route::WrongMethod };
    }
    let Some(path) = path.strip_prefix("/2018-06-01/") else { return Route::Unknown };
    let (route, expected) = match path {
        "runtime/restore/next" if restoring => (Route::RestoreNext, Method::GET),
        "runtime/restore/error" if restoring => (Route::RestoreError, Method::POST),
        "ping" => (Route::Ping, Method::GET),
        "runtime/invocation/next" => (Route::Next, Method::GET),
        "runtime/init/error" => (Route::InitError, Method::POST),
        _ => match path.strip_prefix("runtime/invocation/").and_then(|rest| rest.split_once('/')) {
            Some((id, "response")) => (Route::Response(id), Method::POST),
            Some((id, "error")) => (Route::Error(id), Method::POST),
            _ => return Route::Unknown,
        },
    };
    if *method == expected { route } else { Route::WrongMethod }
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        if let Some(path) = head.uri.path().strip_prefix("/2020-01-01/extension/") {
            return extensions::answer(self, &head.method, path, &head.headers, body).await;
        }
        if let Some(api) = Api::at(head.uri.path()) {
            return telemetry::answer(self, api, &head.method, &head.headers, body).await;
        }
        match route(&head.method, head.uri.path(), self.credentials.is_some()) {
            Route::Ping => answers::pong(),
            Route::Next => self.next().await,
            Route::Response(id) => {
                let reply = self.response(id.parse().ok().map(RequestId), &head.headers, body).await;
                self.and_next(reply, &head.headers).await
            }
            Route::Error(id) => {
                let answer = self.error(&head.headers, body).await;
                let reply = self.post(Posted::Answer(id.parse().ok().map(RequestId), answer)).await;
                self.and_next(reply, &head.headers).await
            }
            Route::InitError => {
                let answer = self.error(&head.headers, body).await;
                self.post(Posted::InitError(answer)).await
            }
            Route::RestoreNext => self.restore_next(&head.headers).await,
            Route::RestoreError => {
                let answer = self.error(&head.headers, body).await;
                self.post(Posted::RestoreError(answer)).await
            }
            Route::Credentials => self.hand_out(&head.headers),
            Route::WrongMethod => answers::wrong_method(),
            Route::Unknown => answers::not_found(),
        }
    }

    async fn next(&self) -> Response<Full<Bytes>> {
        let (sender, reply) = oneshot::channel();
        if self.calls.send(Call::Next(sender)).is_err() {
            return answers::internal();
        }
        match reply.await {
            Ok(NextReply::Work(work)) => answers::work(*work),
            Ok(NextReply::Refused(refusal)) => answers::refused(refusal),
            Err(_) => answers::internal(),
        }
    }

    async fn restore_next(&self, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let (sender, verdict) = oneshot::channel();
        let image = headers.get(IMAGE).and_then(|note| note.to_str().ok()).map(str::to_owned);
        if self.calls.send(Call::RestoreNext(sender, image)).is_err() {
            return answers::internal();
        }
        match verdict.await {
            Ok(Ok(())) => answers::restored(),
            Ok(Err(refusal)) => answers::refused(refusal),
            Err(_) => answers::internal(),
        }
    }

    /// The environment's keys for who shows its token.
    fn hand_out(&self, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let shown = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let keys = self.credentials.as_deref();
        match keys.filter(|keys| shown == Some(keys.authorization.as_bytes())) {
            Some(keys) => answers::credentials(keys, self.is_restored.load(Ordering::Relaxed)),
            None => answers::no_credentials(),
        }
    }

    /// The next event in the place of the word that an answer was taken, for a client that asks for it.
    async fn and_next(&self, reply: Response<Full<Bytes>>, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let asked = reply.status() == StatusCode::ACCEPTED && headers.contains_key(AND_NEXT);
        if asked { self.next().await } else { reply }
    }

    async fn post(&self, posted: Posted) -> Response<Full<Bytes>> {
        let (sender, verdict) = oneshot::channel();
        if self.calls.send(Call::Post(posted, sender)).is_err() {
            return answers::internal();
        }
        match verdict.await {
            Ok(Ok(())) => answers::accepted(),
            Ok(Err(refusal)) => answers::refused(refusal),
            Err(_) => answers::internal(),
        }
    }

    async fn response(
        &self,
        id: Option<RequestId>,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Response<Full<Bytes>> {
        let content_type = headers.get(CONTENT_TYPE).cloned();
        let streaming = match headers.get("lambda-runtime-function-response-mode") {
            None => false,
            Some(mode) if mode.as_bytes().eq_ignore_ascii_case(b"streaming") => true,
            Some(_) => {
                let _ = self.read(body).await;
                return self.post(Posted::Answer(id, Answer::Fault(Fault::ResponseMode))).await;
            }
        };
        if streaming {
            return self.streamed(id, content_type, body).await;
        }
        let answer = self.whole(content_type, false, body).await;
        self.post(Posted::Answer(id, answer)).await
    }

    /// Reads a response to its end. The trailers of one that is streamed may make it an error.
    async fn whole(&self, content_type: Option<HeaderValue>, streaming: bool, body: Incoming) -> Answer {
        match self.read(body).await {
            Body::Whole(body, trailers) => trailers
                .filter(|_| streaming)
                .and_then(|trailers| bodies::trailing_error(&trailers))
                .unwrap_or(Answer::Response { content_type, body }),
            Body::TooLarge => Answer::Fault(Fault::ResponseTooLarge),
            Body::Truncated => Answer::Fault(Fault::TruncatedResponse),
        }
    }

    async fn error(&self, headers: &HeaderMap, body: Incoming) -> Answer {
        let kind = headers.get("lambda-runtime-function-error-type").and_then(|kind| kind.to_str().ok());
        let kind = sanitise(kind.unwrap_or_default());
        match self.read(body).await {
            Body::Whole(body, _) => {
                let body = if bodies::carries_cause(headers) { bodies::without_cause(body) } else { body };
                Answer::Error { kind, body }
            }
            Body::TooLarge => Answer::Fault(Fault::ResponseTooLarge),
            Body::Truncated => Answer::Fault(Fault::TruncatedResponse),
        }
    }

    async fn read(&self, body: Incoming) -> Body {
        let _upload = self.upload.acquire().await.expect("the semaphore is never closed");
        bodies::read(body).await
    }
}

#[cfg(test)]
mod tests;
