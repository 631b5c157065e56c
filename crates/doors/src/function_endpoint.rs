//! The AWS endpoint inside a sandbox: the same services, under the function's own identity.

use std::net::SocketAddr;
use std::sync::Arc;

use access::{Caller, FunctionIdentity};
use base::clock::Timestamp;
use base::id::RequestId;
use base::limits::{FUNCTION_ENDPOINT_CONNECTIONS, FUNCTION_ENDPOINTS_CONNECTIONS};
use base::random::Dice;
use bytes::Bytes;
use engine::EndpointHost;
use hyper::body::Incoming;
use services::Context;
use tokio::sync::Semaphore;
use wire::http::Head;
use wire::sigv4::{Presented, SignatureError};
use wire::{lambda, logs};

use crate::api::{Apis, sent};
use crate::body::Room;
use crate::entry::{Entry, Papers};
use crate::serve::{Answerer, Door, Response};

/// Serves AWS APIs inside sandboxes. Nothing of `/_samovar/` is there.
///
/// Account and identity come from the socket, whatever key the function shows; the region is the one it speaks to.
pub struct FunctionEndpoints<L, G> {
    apis: Arc<Apis<L, G>>,
    dice: Dice,
    host: Arc<str>,
    slots: Arc<Semaphore>,
    room: Arc<Room>,
}

impl<L, G> FunctionEndpoints<L, G> {
    /// Endpoints for these services. Links in their answers lead to `host`, the endpoint outside: who follows one is
    /// whoever the function hands it to.
    pub fn new(apis: Arc<Apis<L, G>>, host: &str, dice: Dice) -> Self {
        let slots = Arc::new(Semaphore::new(FUNCTION_ENDPOINTS_CONNECTIONS));
        Self { apis, dice, host: host.into(), slots, room: Arc::default() }
    }
}

impl<L, G> EndpointHost for FunctionEndpoints<L, G>
where
    L: lambda::Lambda<Context = Context>,
    G: logs::Logs<Context = Context>,
{
    fn serve(&self, listener: std::net::TcpListener, identity: Arc<FunctionIdentity>) -> Box<dyn Send> {
        let function = identity.function.to_string();
        let opened =
            listener.set_nonblocking(true).and_then(|()| tokio::net::TcpListener::from_std(listener));
        match opened {
            Ok(listener) => {
                let answerer = Inside {
                    apis: Arc::clone(&self.apis),
                    dice: self.dice.clone(),
                    entrance: Arc::new(Entrance {
                        identity,
                        host: Arc::clone(&self.host),
                        room: Arc::clone(&self.room),
                    }),
                };
                let shared = Some(Arc::clone(&self.slots));
                Box::new(Door::open(listener, FUNCTION_ENDPOINT_CONNECTIONS, shared, Arc::new(answerer)))
            }
            Err(error) => {
                tracing::error!(%error, function, "a function's AWS endpoint could not be opened");
                Box::new(())
            }
        }
    }
}

/// The endpoint of one environment.
struct Inside<L, G> {
    apis: Arc<Apis<L, G>>,
    dice: Dice,
    entrance: Arc<Entrance>,
}

struct Entrance {
    identity: Arc<FunctionIdentity>,
    host: Arc<str>,
    /// Shared by all functions, and not with the endpoint outside.
    room: Arc<Room>,
}

impl<L, G> Answerer for Inside<L, G>
where
    L: lambda::Lambda<Context = Context>,
    G: logs::Logs<Context = Context>,
{
    async fn answer(self: Arc<Self>, request: http::Request<Incoming>, _peer: SocketAddr) -> Response {
        let (parts, body) = request.into_parts();
        let head = Head {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
        };
        let id = RequestId::fresh(&self.dice);
        sent(self.apis.answer(&self.entrance, head, body, id).await)
    }
}

impl Entry for Entrance {
    fn papers(&self, head: &Head) -> Result<Papers, SignatureError> {
        Presented::read(head).map(Papers::Shown)
    }

    fn admit(
        &self,
        papers: &Papers,
        _head: &Head,
        body: Bytes,
        _now: Timestamp,
    ) -> Result<(Caller, Bytes), SignatureError> {
        let body = papers.believe(body)?;
        Ok((Caller::function(Arc::clone(&self.identity), papers.region()), body))
    }

    fn room(&self) -> &Room {
        &self.room
    }

    fn host<'a>(&'a self, _head: &'a Head) -> &'a str {
        &self.host
    }
}
