//! The AWS endpoint inside a sandbox: the same services, under the function's own identity.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Weak};

use access::{Caller, FunctionIdentity};
use base::arn::FunctionArn;
use base::clock::Timestamp;
use base::id::RequestId;
use base::limits::{ALL_FUNCTION_ENDPOINTS_CONNECTIONS, FUNCTION_ENDPOINT_CONNECTIONS};
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
    /// Each function's part of the room.
    parts: Mutex<HashMap<FunctionArn, Weak<Room>>>,
}

impl<L, G> FunctionEndpoints<L, G> {
    /// Endpoints for these services. Links in their answers lead to `host`, the endpoint outside: who follows one is
    /// whoever the function hands it to.
    pub fn new(apis: Arc<Apis<L, G>>, host: &str, dice: Dice) -> Self {
        let slots = Arc::new(Semaphore::new(ALL_FUNCTION_ENDPOINTS_CONNECTIONS));
        Self { apis, dice, host: host.into(), slots, room: Arc::default(), parts: Mutex::default() }
    }

    /// The part of the room that all environments of a function share, whatever version they run.
    fn part(&self, version: &FunctionArn) -> Arc<Room> {
        let function = FunctionArn::new(version.scope.clone(), version.name.clone());
        let mut parts = self.parts.lock().expect("nobody panics while holding the parts");
        parts.retain(|_, part| part.strong_count() > 0);
        let known = parts.get(&function).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let part = Arc::new(Room::of_function(Arc::clone(&self.room)));
            parts.insert(function, Arc::downgrade(&part));
            part
        })
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
                        room: self.part(&identity.function),
                        identity,
                        host: Arc::clone(&self.host),
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
    /// The function's part of what all functions share, which is not the endpoint's outside.
    room: Arc<Room>,
}

impl<L, G> Answerer for Inside<L, G>
where
    L: lambda::Lambda<Context = Context>,
    G: logs::Logs<Context = Context>,
{
    async fn answer(self: Arc<Self>, request: http::Request<Incoming>, _peer: SocketAddr) -> Response {
        let (parts, body) = request.into_parts();
        let id = RequestId::fresh(&self.dice);
        sent(self.apis.answer(&self.entrance, Head::from(parts), body, id).await)
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
