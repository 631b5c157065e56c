//! InvokeWithResponseStream: one run, sent on while the function writes.

use engine::{Ended, Flow, Reply};
use futures_util::{Stream, stream};
use http::header::{HeaderName, HeaderValue};
use tokio::sync::oneshot;
use wire::answer::Streaming;
use wire::lambda as api;
use wire::lambda::InvokeWithResponseStreamResponseEvent as Told;

use super::Lambda;
use super::errors::Failure;
use super::invoke::{Event, TRACE, log_result};
use crate::Context;

/// What the runtime says its response is; the content type itself is the event stream's.
const REMAPPED_TYPE: HeaderName = HeaderName::from_static("x-amzn-remapped-content-type");

type Answer = Streaming<api::InvokeWithResponseStreamResponse, Told>;

impl Lambda {
    /// Recorded: the invocation type is ignored, even where it says Event or DryRun.
    pub(super) async fn invoke_with_response_stream(
        &self,
        context: &Context,
        input: api::InvokeWithResponseStreamRequest,
    ) -> Result<Answer, Failure> {
        let (name, qualifier) = (&input.function_name, input.qualifier.as_deref());
        let runnable = self.runnable(context, name, qualifier, input.tenant_id.as_deref()).await?;
        let tail = input.log_type == Some(api::LogType::Tail);
        let event = Event { payload: input.payload, client_context: input.client_context, tail };
        let invocation = self.invocation(context, runnable, event).await?;
        Ok(answer(self.parts.runner.stream(invocation).await?, tail))
    }
}

fn answer(reply: Reply<Flow>, tail: bool) -> Answer {
    let Reply { executed_version, payload: flow, trace, end, .. } = reply;
    let output = api::InvokeWithResponseStreamResponse {
        status_code: Some(200),
        executed_version: Some(executed_version.to_string()),
        response_stream_content_type: None,
    };
    let content_type = flow.content_type.clone();
    let answer =
        Streaming::new(output, events(flow, tail.then_some(end))).header(REMAPPED_TYPE, content_type);
    match HeaderValue::try_from(trace) {
        Ok(trace) => answer.header(TRACE, trace),
        Err(_) => answer,
    }
}

/// The response's pieces, and what follows the last. Recorded: a stream that was cut short ends like any other.
fn events(flow: Flow, end: Option<oneshot::Receiver<Ended>>) -> impl Stream<Item = Told> + Send {
    stream::unfold(Some((flow, end)), async |under_way| {
        let (mut flow, end) = under_way?;
        if let Some(piece) = flow.next().await {
            let chunk = api::InvokeResponseStreamUpdate { payload: Some(piece) };
            return Some((Told::PayloadChunk(chunk), Some((flow, end))));
        }
        let log_result = match end {
            Some(end) => log_result(end).await,
            None => None,
        };
        let complete = api::InvokeWithResponseStreamCompleteEvent { log_result, ..Default::default() };
        Some((Told::InvokeComplete(complete), None))
    })
}
