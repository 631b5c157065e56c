//! The AWS endpoint on port 4566, with the `/_samovar/` surface beside it.

mod code;
mod layers;
mod metrics;
mod surface;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use access::{Caller, Gate, Vault};
use artifact::Artifacts;
use base::clock::{Clock, Timestamp};
use base::id::RequestId;
use base::limits::ENDPOINT_CONNECTIONS;
use base::random::Dice;
use bytes::Bytes;
use http::StatusCode;
use http::header::{HOST, ORIGIN};
use http::request::Parts;
use hyper::body::Incoming;
use services::Context;
use services::lambda::layers::desk::LayerDesk;
use tokio::net::TcpListener;
use wire::error::ServiceError;
use wire::http::Head;
use wire::schema::Protocol;
use wire::sigv4::{Claim, Presented, SignatureError};
use wire::{codec, lambda, logs};

use crate::api::{Apis, sent};
use crate::body::Room;
use crate::entry::rules::HostList;
use crate::entry::{Entry, Papers};
use crate::serve::{Answerer, Door, Response};

/// Empties the server.
pub type Reset = Arc<dyn Fn() -> ResetFuture + Send + Sync>;

/// The end of a reset; a person reads why it failed.
pub type ResetFuture = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Writes what is measured, in Prometheus' text form.
pub type Measures = Arc<dyn Fn() -> String + Send + Sync>;

/// Where what is Samovar's own begins.
const SURFACE: &str = "/_samovar";

/// What an endpoint is made of.
pub struct EndpointSetup<L, G> {
    /// The services.
    pub apis: Arc<Apis<L, G>>,
    /// Who may come in. An open gate makes the endpoint check hosts and origins.
    pub gate: Gate,
    /// The names under which an open endpoint may be addressed.
    pub hosts: HostList,
    /// The packages behind `Code.Location`.
    pub artifacts: Artifacts,
    /// What the operator does with layers.
    pub layers: Arc<dyn LayerDesk>,
    /// Knows the server's own links.
    pub vault: Vault,
    /// Empties the server; none when that is not allowed.
    pub reset: Option<Reset>,
    /// Writes what is measured.
    pub measures: Measures,
    /// The clock.
    pub clock: Clock,
    /// The dice.
    pub dice: Dice,
}

/// The AWS endpoint.
pub struct Endpoint<L, G> {
    setup: EndpointSetup<L, G>,
    address: String,
    entrance: Arc<Entrance>,
}

/// How the endpoint's requests come in.
struct Entrance {
    gate: Gate,
    address: String,
    room: Room,
}

impl<L, G> Endpoint<L, G>
where
    L: lambda::Lambda<Context = Context>,
    G: logs::Logs<Context = Context>,
{
    /// Serves `listener`. The endpoint is ready when this returns.
    pub fn open(listener: TcpListener, setup: EndpointSetup<L, G>) -> Door {
        let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
        let entrance =
            Arc::new(Entrance { gate: setup.gate.clone(), address: address.clone(), room: Room::default() });
        Door::open(listener, ENDPOINT_CONNECTIONS, None, Arc::new(Self { setup, address, entrance }))
    }

    /// No web page can forge a call to an open endpoint: it would show its own name as host or origin.
    ///
    /// What changes something on the surface is held to that on every endpoint.
    fn admits(&self, parts: &Parts) -> Result<(), String> {
        let hosts = &self.setup.hosts;
        let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let mut named: Vec<String> = parts.headers.get_all(HOST).iter().map(text).collect();
        named.extend(parts.uri.authority().map(ToString::to_string));
        if named.is_empty() || !named.iter().all(|host| hosts.admits(host)) {
            let address = &self.address;
            return Err(format!(
                "Host {named:?} is not one that this endpoint is addressed by; use http://localhost or {address}, or \
                 name the host in the configuration"
            ));
        }
        match parts.headers.get_all(ORIGIN).iter().map(text).find(|origin| !hosts.admits_origin(origin)) {
            Some(origin) => Err(format!("pages of the origin {origin:?} may not call this endpoint")),
            None => Ok(()),
        }
    }

    async fn respond(&self, parts: Parts, body: Incoming, peer: SocketAddr, id: RequestId) -> Response {
        let surface = parts.uri.path() == SURFACE || parts.uri.path().starts_with("/_samovar/");
        if metrics::is_asked(&parts) {
            return self.measures(&parts, body, peer, id).await;
        }
        let guarded = self.setup.gate.is_open() || surface::changes(parts.uri.path());
        if guarded && let Err(reason) = self.admits(&parts) {
            return refused(surface, reason, id);
        }
        if surface {
            return self.surface(&parts, body, peer, id).await;
        }
        if self.setup.gate.is_open() && is_cross_site(&parts) {
            return refused(surface, "pages of other sites may not call this endpoint".to_owned(), id);
        }
        sent(self.setup.apis.answer(&self.entrance, Head::from(parts), body, id).await)
    }
}

/// A browser says that another site's page made it send this; a simple GET carries no origin.
fn is_cross_site(parts: &Parts) -> bool {
    parts.headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site")
}

fn refused(surface: bool, reason: String, id: RequestId) -> Response {
    if surface {
        return surface::told(StatusCode::FORBIDDEN, &reason, id);
    }
    let error = ServiceError::plain(StatusCode::FORBIDDEN, "AccessDeniedException", reason).upper();
    sent(codec::refuse(Protocol::RestJson, &error, id))
}

impl<L, G> Answerer for Endpoint<L, G>
where
    L: lambda::Lambda<Context = Context>,
    G: logs::Logs<Context = Context>,
{
    async fn answer(self: Arc<Self>, request: http::Request<Incoming>, peer: SocketAddr) -> Response {
        let id = RequestId::fresh(&self.setup.dice);
        let (parts, body) = request.into_parts();
        self.respond(parts, body, peer, id).await
    }
}

impl Entry for Entrance {
    fn papers(&self, head: &Head) -> Result<Papers, SignatureError> {
        if self.gate.is_open() {
            Presented::read(head).map(Papers::Shown)
        } else {
            Claim::read(head).map(Papers::Signed)
        }
    }

    fn admit(
        &self,
        papers: &Papers,
        head: &Head,
        body: Bytes,
        now: Timestamp,
    ) -> Result<(Caller, Bytes), SignatureError> {
        papers.identify(&self.gate, head, body, now)
    }

    fn room(&self) -> &Room {
        &self.room
    }

    fn host<'a>(&'a self, head: &'a Head) -> &'a str {
        head.header("host").unwrap_or(&self.address)
    }
}
