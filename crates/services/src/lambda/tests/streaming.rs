//! InvokeWithResponseStream: headers and frames as recorded.

use expect_test::{Expect, expect};
use futures_util::StreamExt;
use wire::frame::Frames;
use wire::http::Body;

use super::*;

impl Bench {
    /// Invokes; the answer is status, headers in order of their names, and the frames.
    async fn stream(&self, name: &str, headers: &[(&str, &str)], payload: &[u8]) -> String {
        let address = format!("/2021-11-15/functions/{name}/response-streaming-invocations");
        let response = self.send("POST", &address, headers, Bytes::copy_from_slice(payload)).await;
        let mut lines = head(&response);
        match response.into_body() {
            Body::Whole(body) => lines.push(String::from_utf8_lossy(&body).into_owned()),
            Body::Pieces(mut pieces) => {
                while let Some(piece) = pieces.next().await {
                    lines.extend(frames(&piece));
                }
            }
        }
        lines.join("\n")
    }
}

/// Headers in their order and payload of each frame.
fn frames(bytes: &[u8]) -> Vec<String> {
    let mut frames = Frames::default();
    frames.feed(bytes);
    let mut lines = Vec::new();
    while let Some(frame) = frames.next_frame().unwrap() {
        let headers: Vec<String> =
            frame.headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
        lines.push(format!("{} {}", headers.join(" "), String::from_utf8_lossy(&frame.payload)));
    }
    lines
}

#[tokio::test]
async fn a_run_is_answered_with_frames() {
    let bench = Bench::new().await;
    bench.create("f").await;
    let check = async |headers: &[(&str, &str)], payload: &[u8], expected: Expect| {
        expected.assert_eq(&bench.stream("f", headers, payload).await);
    };
    check(
        &[],
        b" {\"b\": 1}",
        expect![[r#"
        200
        content-type: application/vnd.amazon.eventstream
        x-amz-executed-version: $LATEST
        x-amzn-remapped-content-type: text/tea
        :event-type=PayloadChunk :content-type=application/octet-stream :message-type=event  {"b": 1}
        :event-type=InvokeComplete :content-type=application/json :message-type=event {}"#]],
    )
    .await;
    check(&[("x-amz-log-type", "Tail")], b"", expect![[r#"
        200
        content-type: application/vnd.amazon.eventstream
        x-amz-executed-version: $LATEST
        x-amzn-remapped-content-type: text/tea
        :event-type=PayloadChunk :content-type=application/octet-stream :message-type=event {}
        :event-type=InvokeComplete :content-type=application/json :message-type=event {"LogResult":"U1RBUlQKRU5ECg=="}"#]]).await;
    let ignored = expect![[r#"
        200
        content-type: application/vnd.amazon.eventstream
        x-amz-executed-version: $LATEST
        x-amzn-remapped-content-type: text/tea
        :event-type=PayloadChunk :content-type=application/octet-stream :message-type=event 1
        :event-type=InvokeComplete :content-type=application/json :message-type=event {}"#]];
    for kind in ["Event", "DryRun", "RequestResponse"] {
        ignored.assert_eq(&bench.stream("f:$LATEST", &[("x-amz-invocation-type", kind)], b"1").await);
    }
    *bench.runner.answer.lock().unwrap() = Some(Ok((Bytes::new(), None)));
    check(
        &[],
        b"1",
        expect![[r#"
        200
        content-type: application/vnd.amazon.eventstream
        x-amz-executed-version: $LATEST
        x-amzn-remapped-content-type: text/tea
        :event-type=InvokeComplete :content-type=application/json :message-type=event {}"#]],
    )
    .await;
    assert_eq!(bench.runner.seen.lock().unwrap().len(), 6, "each of them ran");
}

#[tokio::test]
async fn what_invoke_refuses_is_refused_as_well() {
    let bench = Bench::new().await;
    bench.create("f").await;
    let large = vec![b'1'; 6 * 1024 * 1024 + 1];
    for (name, headers, payload, expected) in [
        (
            "g",
            &[][..],
            &b"{}"[..],
            expect![[r#"
            404
            content-type: application/json
            x-amzn-errortype: ResourceNotFoundException
            {"Type":"User","Message":"Function not found: arn:aws:lambda:us-east-1:000000000000:function:g:$LATEST"}"#]],
        ),
        (
            "f",
            &[],
            b"nope",
            expect![[r#"
            400
            content-type: application/json
            x-amzn-errortype: InvalidRequestContentException
            {"Type":"User","message":"Could not parse request body into json: Could not parse payload into json: Unrecognized token 'nope': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 5]"}"#]],
        ),
        (
            "f",
            &[],
            &large,
            expect![[r#"
            413
            content-type: application/json
            x-amzn-errortype: RequestEntityTooLargeException
            {"Message":"Request must be smaller than 6291456 bytes for the InvokeFunction operation"}"#]],
        ),
        (
            "f",
            &[("x-amz-tenant-id", "t")],
            b"{}",
            expect![[r#"
            400
            content-type: application/json
            x-amzn-errortype: InvalidParameterValueException
            {"Type":"User","message":"The invoked function is not enabled with tenancy configuration. Remove the tenant ID from your request and try again."}"#]],
        ),
        (
            "f",
            &[("x-amz-client-context", "!")],
            b"{}",
            expect![[r#"
            400
            content-type: application/json
            x-amzn-errortype: InvalidRequestContentException
            {"Type":"User","message":"Client context must be a valid Base64-encoded JSON object."}"#]],
        ),
    ] {
        expected.assert_eq(&bench.stream(name, headers, payload).await);
    }
    *bench.runner.answer.lock().unwrap() = Some(Err(InvokeError::ShuttingDown));
    expect![[r#"
        503
        content-type: application/json
        x-amzn-errortype: ServiceUnavailableException
        {"message":"the server is shutting down"}"#]]
    .assert_eq(&bench.stream("f", &[], b"{}").await);
    assert!(bench.runner.seen.lock().unwrap().is_empty());
}
