//! Invoke: what reaches the engine, and what its answers become.

use engine::admission::AdmitError;
use engine::starter::StartError;
use expect_test::expect;

use super::*;

impl Bench {
    /// Invokes; the answer is status, headers in order of their names, and the body.
    async fn invoke(&self, name: &str, headers: &[(&str, &str)], payload: &[u8]) -> String {
        let address = format!("{FUNCTIONS}/{name}/invocations");
        let response = self.send("POST", &address, headers, Bytes::copy_from_slice(payload)).await;
        let mut lines = head(&response);
        lines.push(String::from_utf8_lossy(response.body().whole().unwrap()).into_owned());
        lines.join("\n")
    }

    fn answer(&self, answer: Result<(&'static str, Option<FunctionError>), InvokeError>) {
        *self.runner.answer.lock().unwrap() = Some(answer.map(|(payload, error)| (payload.into(), error)));
    }

    fn seen(&self) -> Vec<Invocation> {
        std::mem::take(&mut self.runner.seen.lock().unwrap())
    }
}

#[tokio::test]
async fn a_run_is_answered_with_the_functions_bytes() {
    let bench = Bench::new().await;
    bench.create("f").await;
    expect![[r#"
        200
        content-type: application/json
        x-amz-executed-version: $LATEST
        x-amzn-remapped-content-length: 0
         {"b": 1,  "a": [2]}"#]]
    .assert_eq(&bench.invoke("f", &[], b" {\"b\": 1,  \"a\": [2]}").await);
    let [seen] = &bench.seen()[..] else { panic!("one run") };
    assert_eq!(&seen.payload[..], b" {\"b\": 1,  \"a\": [2]}");
    assert_eq!(seen.requested.to_string(), "arn:aws:lambda:us-east-1:000000000000:function:f");
    assert!(!seen.tail && seen.client_context.is_none());
    bench.answer(Ok(("{\"errorType\":\"E\"}", Some(FunctionError::Unhandled))));
    expect![[r#"
        200
        content-type: application/json
        x-amz-executed-version: $LATEST
        x-amz-function-error: Unhandled
        x-amz-log-result: U1RBUlQKRU5ECg==
        x-amzn-remapped-content-length: 0
        {"errorType":"E"}"#]]
    .assert_eq(&bench.invoke("f:$LATEST", &[("x-amz-log-type", "Tail")], b"").await);
    let [seen] = &bench.seen()[..] else { panic!("one run") };
    assert_eq!(&seen.payload[..], b"{}", "no payload is an empty object");
    assert_eq!(seen.requested.to_string(), "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST");
    assert!(seen.tail);
}

#[tokio::test]
async fn trace_and_client_context_reach_the_function() {
    let bench = Bench::new().await;
    bench.create("f").await;
    let context = STANDARD.encode("{\"custom\":{\"k\":\"v\"}}");
    let headers = [
        ("x-amz-client-context", context.trim_end_matches('=')),
        ("x-amzn-trace-id", "Root=1-6b0cb900-1cbdda8955b36b42a3055b0a;Parent=aaaaaaaaaaaaaaaa;Sampled=1"),
    ];
    bench.invoke("f", &headers, b"{}").await;
    let [seen] = &bench.seen()[..] else { panic!("one run") };
    assert_eq!(seen.client_context.as_deref(), Some("{\"custom\":{\"k\":\"v\"}}"));
    let trace = seen.trace.to_string();
    assert!(
        trace.starts_with(
            "Root=1-6b0cb900-1cbdda8955b36b42a3055b0a;Parent=aaaaaaaaaaaaaaaa;Sampled=1;Lineage=1:"
        ),
        "{trace}"
    );
}

#[tokio::test]
async fn a_dry_run_runs_nothing() {
    let bench = Bench::new().await;
    bench.create("f").await;
    let dry = [("x-amz-invocation-type", "DryRun")];
    assert_eq!(bench.invoke("f", &dry, b"{}").await, "204\n");
    assert!(bench.invoke("g", &dry, b"{}").await.starts_with("404"));
    assert_eq!(bench.seen().len(), 0);
}

#[tokio::test]
async fn what_invoke_refuses_never_reaches_the_engine() {
    let bench = Bench::new().await;
    bench.create("f").await;
    let large = vec![b'1'; 6 * 1024 * 1024 + 1];
    let long = STANDARD.encode(vec![b' '; 3000]);
    for (name, headers, payload, expected) in [
        (
            "g",
            &[][..],
            &b"{}"[..],
            "404\ncontent-type: application/json\nx-amzn-errortype: ResourceNotFoundException\n{\"Type\":\"User\",\
             \"Message\":\"Function not found: arn:aws:lambda:us-east-1:000000000000:function:g:$LATEST\"}",
        ),
        (
            "f:live",
            &[],
            b"{}",
            "404\ncontent-type: application/json\nx-amzn-errortype: ResourceNotFoundException\n{\"Type\":\"User\",\
             \"Message\":\"Function not found: arn:aws:lambda:us-east-1:000000000000:function:f:live\"}",
        ),
        (
            "f",
            &[],
            b"{\"a\": nope}",
            "400\ncontent-type: application/json\nx-amzn-errortype: InvalidRequestContentException\n{\"Type\":\"User\",\
             \"message\":\"Could not parse request body into json: Could not parse payload into json: Unrecognized \
             token 'nope': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')\\n at \
             [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 11]\"}",
        ),
        (
            "f",
            &[],
            &large,
            "413\ncontent-type: application/json\nx-amzn-errortype: RequestEntityTooLargeException\n{\"Message\":\
             \"Request must be smaller than 6291456 bytes for the InvokeFunction operation\"}",
        ),
        (
            "f",
            &[("x-amz-invocation-type", "Event")],
            &large,
            "413\ncontent-type: application/json\nx-amzn-errortype: RequestEntityTooLargeException\n{\"Message\":\
             \"6291457 byte payload is too large for the Event invocation type (limit 1048576 bytes)\"}",
        ),
        (
            "f",
            &[("x-amz-tenant-id", "t")],
            b"{}",
            "400\ncontent-type: application/json\nx-amzn-errortype: InvalidParameterValueException\n{\"Type\":\"User\",\
             \"message\":\"The invoked function is not enabled with tenancy configuration. Remove the tenant ID from \
             your request and try again.\"}",
        ),
        (
            "f",
            &[("x-amz-client-context", "!")],
            b"{}",
            "400\ncontent-type: application/json\nx-amzn-errortype: InvalidRequestContentException\n{\"Type\":\"User\",\
             \"message\":\"Client context must be a valid Base64-encoded JSON object.\"}",
        ),
        (
            "f",
            &[("x-amz-client-context", &long)],
            b"{}",
            "400\ncontent-type: application/json\nx-amzn-errortype: InvalidRequestContentException\n{\"Type\":\"User\",\
             \"message\":\"Client context must not be longer than 3583 bytes.\"}",
        ),
    ] {
        assert_eq!(bench.invoke(name, headers, payload).await, expected, "{name} {headers:?}");
    }
    assert_eq!(bench.seen().len(), 0);
}

#[tokio::test]
async fn a_function_that_is_not_active_is_not_run() {
    let bench = Bench::new().await;
    let function = catalogue::NewFunction {
        key: Bench::key("f"),
        configuration: catalogue::Configuration::zip(
            "f",
            "python3.13",
            "i.h",
            "arn:aws:iam::000000000000:role/r",
        ),
        code: catalogue::CodeRef { digest: base::id::Digest([1; 32]), size: 1, unzipped: 1 },
        code_signing: None,
        tags: Default::default(),
        publish: false,
    };
    bench.catalogue.create(function).await.unwrap();
    expect![[r#"
        409
        content-type: application/json
        x-amzn-errortype: ResourceConflictException
        {"Type":"User","message":"The operation cannot be performed at this time. The function is currently in the following state: Pending"}"#]].assert_eq(&bench.invoke("f", &[], b"{}").await);
    assert_eq!(bench.seen().len(), 0);
}

#[tokio::test]
async fn what_keeps_the_engine_from_running_is_told_in_aws_codes() {
    let bench = Bench::new().await;
    bench.create("f").await;
    let limit = base::units::Concurrency(1);
    for (error, expected) in [
        (
            InvokeError::Throttled { reason: AdmitError::Account { limit } },
            "429\ncontent-type: application/json\nx-amzn-errortype: TooManyRequestsException\n{\"Reason\":\
             \"ConcurrentInvocationLimitExceeded\",\"Type\":\"User\",\"message\":\"Rate Exceeded.\"}",
        ),
        (
            InvokeError::Throttled { reason: AdmitError::Reserved { reserved: limit } },
            "429\ncontent-type: application/json\nx-amzn-errortype: TooManyRequestsException\n{\"Reason\":\
             \"ReservedFunctionConcurrentInvocationLimitExceeded\",\"Type\":\"User\",\"message\":\"Rate Exceeded.\"}",
        ),
        (
            InvokeError::Sandbox(StartError::Full { limit: 3 }),
            "429\ncontent-type: application/json\nx-amzn-errortype: TooManyRequestsException\n{\"Reason\":\
             \"ConcurrentInvocationLimitExceeded\",\"Type\":\"User\",\"message\":\"Rate Exceeded. This machine is \
             full: this machine's budget of 3 sandboxes is used up; raise the limit on open files or run less at \
             once.\"}",
        ),
        (
            InvokeError::Sandbox(StartError::Closed),
            "429\ncontent-type: application/json\nx-amzn-errortype: TooManyRequestsException\n{\"Reason\":\
             \"ConcurrentInvocationLimitExceeded\",\"Type\":\"User\",\"message\":\"Rate Exceeded. This machine is \
             full: the sandbox was closed while it started.\"}",
        ),
        (
            InvokeError::Sandbox(StartError::NotTaken("out of clay".into())),
            "500\ncontent-type: application/json\nx-amzn-errortype: ServiceException\n{\"Type\":\"User\",\"Message\":\
             \"An internal error occurred; the server's log says more.\"}",
        ),
        (
            InvokeError::Runtime("no python".into()),
            "502\ncontent-type: application/json\nx-amzn-errortype: InvalidRuntimeException\n{\"Type\":\"User\",\
             \"Message\":\"no python\"}",
        ),
        (
            InvokeError::Code("gone".into()),
            "500\ncontent-type: application/json\nx-amzn-errortype: ServiceException\n{\"Type\":\"User\",\"Message\":\
             \"An internal error occurred; the server's log says more.\"}",
        ),
        (
            InvokeError::ShuttingDown,
            "503\ncontent-type: application/json\nx-amzn-errortype: ServiceUnavailableException\n{\"message\":\"the \
             server is shutting down\"}",
        ),
    ] {
        bench.answer(Err(error));
        assert_eq!(bench.invoke("f", &[], b"{}").await, expected);
    }
}

#[tokio::test]
async fn an_event_is_taken_and_run_without_anybody_waiting() {
    let bench = Bench::new().await;
    bench.create("f").await;
    let chain = "Root=1-6b0cc900-c15c0289ec2d0a9167ec8e65;Parent=5e5532fbeea293f8;Sampled=1";
    let headers = [
        ("x-amz-invocation-type", "Event"),
        ("x-amz-client-context", "!"),
        ("x-amz-log-type", "Tail"),
        ("x-amzn-trace-id", chain),
    ];
    let old = "/2014-11-13/functions/f:$LATEST/invoke-async/";
    for (address, headers, requested, brief) in [
        (format!("{FUNCTIONS}/f/invocations"), &headers[..], ":f", chain.to_ascii_lowercase()),
        (old.to_owned(), &headers[3..], ":f:$LATEST", String::new()),
    ] {
        let response = bench.send("POST", &address, headers, Bytes::from_static(b"[1]")).await;
        assert_eq!(head(&response), ["202", "x-amzn-remapped-content-length: 0"]);
        assert!(response.body().whole().unwrap().is_empty());
        let trace = response.headers()["x-amzn-trace-id"].to_str().unwrap().to_owned();
        assert_eq!(trace == brief, !brief.is_empty(), "{trace}");
        let run = loop {
            match bench.seen().pop() {
                Some(run) => break run,
                None => tokio::task::yield_now().await,
            }
        };
        assert_eq!((&run.payload[..], run.client_context, run.tail), (&b"[1]"[..], None, false));
        assert!(run.requested.to_string().ends_with(requested), "{}", run.requested);
        assert_eq!(response.headers()["x-amzn-requestid"], run.id.to_string());
        assert!(run.trace.to_string().to_ascii_lowercase().starts_with(&trace), "{}", run.trace);
    }
}
