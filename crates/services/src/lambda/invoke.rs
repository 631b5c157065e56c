//! Invoke and InvokeAsync: one run, awaited, or taken to be done some time.

use std::sync::Arc;

use access::Authorized;
use base::arn::FunctionArn;
use base::limits::{
    ASYNC_REQUEST_BYTES, CLIENT_CONTEXT_BYTES, INLINE_BYTES, OLD_ASYNC_REQUEST_BYTES, SYNC_REQUEST_BYTES,
};
use base64::Engine;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use catalogue::{CatalogueError, State, Version};
use engine::{Ended, Invocation, Reply, TraceHeader};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde::de::IgnoredAny;
use tokio::sync::oneshot;
use wire::answer::Answer;
use wire::lambda as api;

use super::checks::Refusal;
use super::create::refuse_first;
use super::errors::{Failure, fault, not_now, not_ready};
use super::{Lambda, json};
use crate::Context;

pub(super) const TRACE: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const REMAPPED_LENGTH: HeaderName = HeaderName::from_static("x-amzn-remapped-content-length");

/// SDKs in other languages leave base64's padding out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A version that may be run, and the function as the caller named it.
pub(super) struct Runnable {
    version: Arc<Version>,
    requested: FunctionArn,
}

/// What a function is to be run with.
pub(super) struct Event {
    /// The body of the request.
    pub(super) payload: Option<Bytes>,
    /// In base64.
    pub(super) client_context: Option<String>,
    /// Whether the caller wants the end of the log.
    pub(super) tail: bool,
}

impl Lambda {
    pub(super) async fn invoke(
        &self,
        context: &Context,
        input: api::InvocationRequest,
    ) -> Result<Answer<api::InvocationResponse>, Failure> {
        refuse_first(&[(input.durable_execution_name.is_some(), "durable executions")])?;
        let (name, qualifier) = (&input.function_name, input.qualifier.as_deref());
        let runnable = self.runnable(context, name, qualifier, input.tenant_id.as_deref()).await?;
        match input.invocation_type {
            Some(api::InvocationType::DryRun) => {
                return Ok(api::InvocationResponse { status_code: Some(204), ..Default::default() }.into());
            }
            Some(api::InvocationType::Event) => {
                let output = api::InvocationResponse { status_code: Some(202), ..Default::default() };
                let trace = self.take(context, runnable, input.payload, ASYNC_REQUEST_BYTES).await?;
                return Ok(taken(output, &trace));
            }
            Some(api::InvocationType::RequestResponse) | None => {}
        }
        let tail = input.log_type == Some(api::LogType::Tail);
        let event = Event { payload: input.payload, client_context: input.client_context, tail };
        let invocation = self.invocation(context, runnable, event).await?;
        answer(self.parts.runner.invoke(invocation).await?, tail).await
    }

    /// The older way to send an event, under the rights of the newer one. Recorded: it belongs to no trace.
    pub(super) async fn invoke_async(
        &self,
        context: &Context,
        input: api::InvokeAsyncRequest,
    ) -> Result<Answer<api::InvokeAsyncResponse>, Failure> {
        let context = Context { trace: None, ..context.clone() };
        let runnable = self.runnable(&context, &input.function_name, None, None).await?;
        let trace = self.take(&context, runnable, Some(input.invoke_args), OLD_ASYNC_REQUEST_BYTES).await?;
        Ok(taken(api::InvokeAsyncResponse { status: Some(202) }, &trace))
    }

    /// Takes an event of at most `limit` bytes, to be run some time.
    async fn take(
        &self,
        context: &Context,
        runnable: Runnable,
        payload: Option<Bytes>,
        limit: usize,
    ) -> Result<TraceHeader, Failure> {
        let size = payload.as_ref().map_or(0, Bytes::len);
        if size > limit {
            return Err(Refusal::LargeEvent { size, limit }.into());
        }
        // Recorded: nobody hands an event's client context to its function.
        let event = Event { payload, client_context: None, tail: false };
        let invocation = self.invocation(context, runnable, event).await?;
        let trace = invocation.trace.clone();
        self.parts.events.accept(invocation).await?;
        Ok(trace)
    }

    /// What a request to run a function names, if its sender may run it: asked before anything is looked up, so that
    /// others do not learn what there is.
    pub(super) async fn runnable(
        &self,
        context: &Context,
        name: &str,
        qualifier: Option<&str>,
        tenant: Option<&str>,
    ) -> Result<Runnable, Failure> {
        let target = self.target(context, name, qualifier, "lambda:InvokeFunction")?;
        let (Some(qualifier), Some(requested)) = (target.qualifier(), target.arn()) else {
            return Err(target.unknown_to_invoke().into());
        };
        let version = match self.parts.catalogue.resolve(&target.key(), Some(&qualifier)).await {
            Err(CatalogueError::NotFound { .. }) => return Err(target.unknown_to_invoke().into()),
            other => other?,
        };
        if tenant.is_some() {
            return Err(Refusal::Tenant.into());
        }
        Ok(Runnable { version, requested })
    }

    /// One run of it, if its caller may make it. It is asked again, because only the gate makes what the engine takes.
    pub(super) async fn invocation(
        &self,
        context: &Context,
        Runnable { version, requested }: Runnable,
        Event { payload: body, client_context: text, tail }: Event,
    ) -> Result<Authorized<Invocation>, Failure> {
        let payload = payload(body).await?;
        let client_context = text.as_deref().map(client_context).transpose()?;
        match &version.state {
            State::Active => {}
            State::Pending(_) if version.snap_starts() => return Err(Failure(not_ready())),
            other => return Err(Failure(not_now(other.as_str()))),
        }
        let now = self.parts.clock.now();
        let trace = TraceHeader::of_invoke(context.trace.as_deref(), &version.arn, now, &self.parts.dice);
        let invocation = Invocation {
            id: context.request_id,
            version,
            requested,
            payload,
            trace,
            client_context,
            cognito_identity: None,
            tail,
        };
        Ok(self.parts.gate.authorize(&context.principal, invocation)?)
    }
}

/// The event: JSON of any kind, as it came. No body stands for an empty object.
async fn payload(body: Option<Bytes>) -> Result<Bytes, Failure> {
    let Some(payload) = body.filter(|body| !body.is_empty()) else { return Ok(Bytes::from_static(b"{}")) };
    if payload.len() > SYNC_REQUEST_BYTES {
        return Err(Failure(wire::request::too_large("Invoke", SYNC_REQUEST_BYTES)));
    }
    let checked = if payload.len() > INLINE_BYTES {
        // Megabytes take longer to read than others on this thread may wait.
        let payload = payload.clone();
        let checked = tokio::task::spawn_blocking(move || json::check(&payload)).await;
        checked.map_err(|error| Failure(fault(&error)))?
    } else {
        json::check(&payload)
    };
    checked.map_err(|fault| Refusal::Payload(fault.to_string()))?;
    Ok(payload)
}

/// The client context's JSON.
fn client_context(text: &str) -> Result<String, Refusal> {
    if text.len() > CLIENT_CONTEXT_BYTES {
        return Err(Refusal::LargeClientContext);
    }
    let bytes = LENIENT.decode(text).map_err(|_| Refusal::ClientContext)?;
    let text = String::from_utf8(bytes).map_err(|_| Refusal::ClientContext)?;
    match serde_json::from_str::<IgnoredAny>(&text) {
        Ok(_) if text.trim_start().starts_with('{') => Ok(text),
        _ => Err(Refusal::ClientContext),
    }
}

/// The answer to whoever does not wait.
fn taken<T>(output: T, trace: &TraceHeader) -> Answer<T> {
    let answer = Answer::from(output).header(REMAPPED_LENGTH, HeaderValue::from_static("0"));
    match HeaderValue::try_from(trace.brief()) {
        Ok(trace) => answer.header(TRACE, trace),
        Err(_) => answer,
    }
}

async fn answer(reply: Reply, tail: bool) -> Result<Answer<api::InvocationResponse>, Failure> {
    let log = if tail { log_result(reply.end).await } else { None };
    let output = api::InvocationResponse {
        status_code: Some(200),
        function_error: reply.function_error.map(|error| error.as_str().to_owned()),
        log_result: log,
        payload: Some(reply.payload),
        executed_version: Some(reply.executed_version.to_string()),
        durable_execution_arn: None,
    };
    let mut answer = Answer::from(output)
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(REMAPPED_LENGTH, HeaderValue::from_static("0"));
    if let Ok(trace) = HeaderValue::try_from(reply.trace) {
        answer = answer.header(TRACE, trace);
    }
    Ok(answer)
}

/// The end of the log. An environment that broke has none; its caller still gets the function's answer.
pub(super) async fn log_result(end: oneshot::Receiver<Ended>) -> Option<String> {
    end.await.ok().map(|ended| STANDARD.encode(&ended.tail))
}
