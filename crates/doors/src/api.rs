//! The AWS APIs behind every door: route, read, verify, validate, dispatch, answer.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use base::clock::Clock;
use base::id::RequestId;
use base::limits::{CREATE_REQUEST_BYTES, INLINE_BYTES, REQUEST_BYTES, SYNC_REQUEST_BYTES};
use futures_util::FutureExt;
use http::StatusCode;
use hyper::body::Incoming;
use services::Context;
use wire::answer::Answer;
use wire::error::ServiceError;
use wire::http::{Head, Response};
use wire::route::Route;
use wire::schema::Protocol;
use wire::value::Value;
use wire::{codec, lambda, logs, request, route};

use crate::body::{self, BodyError};
use crate::entry::Entry;

/// The services that doors serve.
#[derive(Debug)]
pub struct Apis<L, G> {
    /// Lambda.
    pub lambda: L,
    /// CloudWatch Logs.
    pub logs: G,
    /// The clock against which signatures are held.
    pub clock: Clock,
}

/// A request that was let in and understood.
struct Call {
    route: Route,
    context: Context,
    input: Value,
}

impl<L, G> Apis<L, G>
where
    L: lambda::Lambda<Context = Context>,
    G: logs::Logs<Context = Context>,
{
    /// Answers one request.
    pub(crate) async fn answer<E: Entry>(
        self: &Arc<Self>,
        entry: &Arc<E>,
        head: Head,
        body: Incoming,
        id: RequestId,
    ) -> Response {
        let (protocol, call) = self.understand(entry, head, body, id).await;
        match call {
            Ok(call) => {
                let operation = call.route.operation;
                codec::respond(protocol, operation, self.perform(call).await, id)
            }
            Err(error) => codec::refuse(protocol, &error, id),
        }
    }

    /// Lets a request in and reads it; tells how its service wants to be answered in any case.
    async fn understand<E: Entry>(
        &self,
        entry: &Arc<E>,
        head: Head,
        body: Incoming,
        id: RequestId,
    ) -> (Protocol, Result<Call, ServiceError>) {
        let papers = match entry.papers(&head) {
            Ok(papers) => papers,
            Err(error) => {
                let protocol = unsigned(&head);
                return (protocol, Err(error.told(protocol)));
            }
        };
        let service = match route::service(&head, Some(papers.service())) {
            Ok(service) => service,
            Err(error) => return (unsigned(&head), Err(error)),
        };
        let protocol = service.protocol;
        let read = async {
            let route = route::operation(service, &head)?;
            let limit = limit(&route);
            let _room = entry.room().take(body::most(&body, limit)).await;
            let body = body::read(body, limit).await.map_err(|error| unread(&route, &error))?;
            let (entry, now) = (Arc::clone(entry), self.clock.now());
            let large = body.len() > INLINE_BYTES;
            let work = move || {
                let (caller, body) =
                    entry.admit(&papers, &head, body, now).map_err(|error| error.told(protocol))?;
                let input = request::read(&route, &head, body)?;
                let context = Context {
                    scope: caller.scope,
                    principal: caller.principal,
                    request_id: id,
                    host: entry.host(&head).into(),
                    trace: head.header("x-amzn-trace-id").map(str::to_owned),
                };
                Ok(Call { route, context, input })
            };
            // Hashing and parsing megabytes takes longer than others on this thread may wait.
            if large {
                tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(broken(&error)))
            } else {
                work()
            }
        };
        (protocol, read.await)
    }

    /// Performs an operation so that a client that goes away stops nothing half-way, and a panic is an answer: in a
    /// task of its own, but for invocations, of which the engine holds everything that must go on without its caller.
    async fn perform(self: &Arc<Self>, call: Call) -> Result<Answer<Value>, ServiceError> {
        if matches!(call.route.operation.name, "Invoke" | "InvokeWithResponseStream") {
            let performed = AssertUnwindSafe(self.dispatch(call)).catch_unwind().await;
            return performed.unwrap_or_else(|_| Err(broken(&"it panicked")));
        }
        let this = Arc::clone(self);
        let performed = tokio::spawn(async move { this.dispatch(call).await }).await;
        performed.unwrap_or_else(|error| Err(broken(&error)))
    }

    async fn dispatch(&self, call: Call) -> Result<Answer<Value>, ServiceError> {
        let Call { route, context, input } = call;
        match route.service.name {
            "lambda" => lambda::dispatch(&self.lambda, &context, route.operation, input).await,
            "logs" => logs::dispatch(&self.logs, &context, route.operation, input).await,
            _ => Err(ServiceError::not_built(route.operation.name)),
        }
    }
}

/// How a service that only the address tells wants to be answered.
fn unsigned(head: &Head) -> Protocol {
    route::service(head, None).map_or(Protocol::RestJson, |service| service.protocol)
}

fn broken(error: &dyn std::fmt::Display) -> ServiceError {
    tracing::error!(%error, "an operation broke");
    ServiceError::internal()
}

/// Largest body of an operation, in bytes.
fn limit(route: &Route) -> usize {
    match route.operation.name {
        // Events may have less; who sends too much is told how much it was.
        "Invoke" | "InvokeAsync" | "InvokeWithResponseStream" => SYNC_REQUEST_BYTES,
        "CreateFunction" | "UpdateFunctionCode" | "PublishLayerVersion" => CREATE_REQUEST_BYTES,
        _ => REQUEST_BYTES,
    }
}

fn unread(route: &Route, error: &BodyError) -> ServiceError {
    match error {
        BodyError::TooLarge { limit } => request::too_large(route.operation.name, *limit),
        BodyError::Stalled | BodyError::Slow => {
            ServiceError::plain(StatusCode::REQUEST_TIMEOUT, "RequestTimeoutException", error.to_string())
        }
        BodyError::Broken(_) => {
            ServiceError::plain(StatusCode::BAD_REQUEST, "SerializationException", error.to_string()).upper()
        }
    }
}

/// An answer as the connection takes it.
pub(crate) fn sent(response: Response) -> crate::serve::Response {
    response.map(Into::into)
}
