//! Responses that runtimes stream: passed on as they come, where the caller takes them so.

use base::id::RequestId;
use bytes::Bytes;
use http::{HeaderValue, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::sync::{mpsc, oneshot};

use super::bodies::trailing_error;
use super::{Call, Passage, Posted, Shared, answers};
use crate::flow::Sink;
use crate::outcome::Fault;

impl Shared {
    /// Asks how a response is to travel, and lets it.
    pub(super) async fn streamed(
        &self,
        id: Option<RequestId>,
        content_type: Option<HeaderValue>,
        body: Incoming,
    ) -> Response<Full<Bytes>> {
        let (sender, passage) = oneshot::channel();
        if self.calls.send(Call::Stream(id, content_type.clone(), sender)).is_err() {
            return answers::internal();
        }
        match passage.await {
            Ok(Passage::Flowing(id, sink)) => {
                let posted = UnderWay::new(&self.calls, id, sink).pass(body).await;
                self.post(posted).await
            }
            Ok(Passage::Whole) => {
                let answer = self.whole(content_type, true, body).await;
                self.post(Posted::Answer(id, answer)).await
            }
            Ok(Passage::Refused(refusal)) => {
                // A runtime reads why only after it has written all.
                let _ = self.read(body).await;
                answers::refused(refusal)
            }
            Err(_) => answers::internal(),
        }
    }
}

/// A response on its way. Dropped before its end, as when its connection is given up, it still says that it ended.
struct UnderWay<'a> {
    calls: &'a mpsc::UnboundedSender<Call>,
    id: RequestId,
    /// There until the end was told.
    sink: Option<Sink>,
}

impl<'a> UnderWay<'a> {
    const fn new(calls: &'a mpsc::UnboundedSender<Call>, id: RequestId, sink: Sink) -> Self {
        Self { calls, id, sink: Some(sink) }
    }

    /// Passes the body on to its end.
    async fn pass(mut self, body: Incoming) -> Posted {
        let fault = pour(body, self.sink.as_mut().expect("nothing was told yet")).await;
        Posted::Streamed(self.id, self.sink.take().expect("nothing was told yet"), fault)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(sink) = self.sink.take() {
            let (verdict, _) = oneshot::channel();
            let ended = Posted::Streamed(self.id, sink, Some(Fault::TruncatedResponse));
            let _ = self.calls.send(Call::Post(ended, verdict));
        }
    }
}

/// Pours a body into the sink; the fault when it ended early. Trailers may tell of an error, which callers of streams
/// never see, but which counts as one.
async fn pour(mut body: Incoming, sink: &mut Sink) -> Option<Fault> {
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Some(Fault::TruncatedResponse) };
        match frame.into_data() {
            Ok(piece) => sink.take(piece).await,
            Err(frame) if frame.trailers_ref().and_then(trailing_error).is_some() => sink.fail(),
            Err(_) => {}
        }
    }
    None
}
