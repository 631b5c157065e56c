//! Requests from bytes to typed input, and answers from typed output to bytes, for both protocols.

use std::future::Future;
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use base::id::RequestId;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderName, HeaderValue, Request};
use uuid::Uuid;
use wire::answer::{Answer, Streaming};
use wire::error::ServiceError;
use wire::frame::{self, Kind};
use wire::http::{Head, Response};
use wire::lambda::*;
use wire::{codec, lambda, logs, request, route};

#[path = "requests/fake.rs"]
#[macro_use]
mod fake;

use fake::Fake;

/// Runs a future that never waits.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the fake never waits"),
    }
}

fn head(method: &str, address: &str, headers: &[(&str, &str)]) -> Head {
    let mut request = Request::builder().method(method).uri(address);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Head::of(&request.body(()).expect("a request").into_parts().0)
}

/// A request's whole way through a fake Lambda.
fn call(
    fake: &Fake,
    method: &str,
    address: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Response {
    let head = head(method, address, headers);
    let id = RequestId(Uuid::nil());
    let route = match route::operation(&lambda::SERVICE, &head) {
        Ok(route) => route,
        Err(error) => return codec::refuse(lambda::SERVICE.protocol, &error, id),
    };
    let outcome = request::read(&route, &head, body.into())
        .and_then(|input| ready(lambda::dispatch(fake, &(), route.operation, input)));
    codec::respond(lambda::SERVICE.protocol, route.operation, outcome, id)
}

/// Status, headers but for the request's id, and body.
fn shown(response: &Response) -> String {
    assert_eq!(response.headers()["x-amzn-requestid"], "00000000-0000-0000-0000-000000000000");
    let mut headers: Vec<String> = response
        .headers()
        .iter()
        .filter(|(name, _)| *name != "x-amzn-requestid")
        .map(|(name, value)| format!("{name}: {}\n", value.to_str().expect("ASCII")))
        .collect();
    headers.sort();
    let body = String::from_utf8_lossy(response.body().whole().expect("a whole body"));
    format!("{}\n{}{body}", response.status().as_u16(), headers.concat())
}

fn answered(method: &str, address: &str, headers: &[(&str, &str)], body: &str) -> String {
    shown(&call(&Fake::default(), method, address, headers, body.to_owned()))
}

const FUNCTIONS: &str = "/2015-03-31/functions";
const CREATE: &str =
    r#"{"FunctionName":"f","Role":"arn:aws:iam::123456789012:role/r","Runtime":"python3.13","#;

#[test]
fn create_function_reads_its_body_and_answers_what_is_present_in_the_models_order() {
    let fake = Fake::default();
    let body = format!(
        r#"{CREATE}"Code":{{"ZipFile":"UEsFBg=="}},"Timeout":null,"Unknown":{{"x":[1]}},
        "Environment":{{"Variables":{{"KEY":"secret"}}}}}}"#
    );
    let response = call(&fake, "POST", FUNCTIONS, &[], body);
    assert_eq!(
        shown(&response),
        "201\ncontent-type: application/json\n\
         {\"FunctionName\":\"f\",\"Runtime\":\"python3.13\",\"CodeSize\":4,\"Timeout\":3,\
         \"LastModified\":\"2026-11-21T10:00:00.000+0000\",\"VpcConfig\":{\"SubnetIds\":[]},\
         \"Environment\":{\"Variables\":{\"KEY\":\"secret\"}},\
         \"State\":\"Pending\",\"Architectures\":[\"x86_64\"]}"
    );
    let asked = fake.asked.lock().expect("no panic").concat();
    assert!(!asked.contains("secret"), "secrets stay out of logs: {asked}");
    assert!(asked.contains("timeout: None"), "null is absent: {asked}");
}

#[test]
fn path_query_and_headers_reach_the_input() {
    let fake = Fake::default();
    call(&fake, "GET", "/2015-03-31/functions/?MaxItems=7&Marker=a%2Bb+c&FunctionVersion=ALL", &[], "");
    call(
        &fake,
        "GET",
        "/2015-03-31/functions/123456789012%3Afunction%3Af/configuration?Qualifier=%24LATEST",
        &[],
        "",
    );
    let headers =
        [("X-Amz-Invocation-Type", "Event"), ("x-amz-log-type", "Tail"), ("X-Amz-Client-Context", "e30=")];
    call(&fake, "POST", "/2015-03-31/functions/f/invocations?Qualifier=live", &headers, "not json \u{e9}");
    assert_eq!(
        fake.asked.lock().expect("no panic").join("\n"),
        "ListFunctionsRequest { master_region: None, function_version: Some(All), marker: Some(\"a+b c\"), max_items: \
         Some(7) }\n\
         GetFunctionConfigurationRequest { function_name: \"123456789012:function:f\", qualifier: Some(\"$LATEST\") \
         }\n\
         InvocationRequest { function_name: \"f\", invocation_type: Some(Event), log_type: Some(Tail), \
         client_context: Some(\"e30=\"), durable_execution_name: None, payload: hidden, qualifier: Some(\"live\"), \
         tenant_id: None }"
    );
}

#[test]
fn an_invocations_payload_is_not_copied() {
    struct Keeping(Mutex<Option<Bytes>>);
    let body = Bytes::from(vec![b' '; 1024]);
    let head = head("POST", "/2015-03-31/functions/f/invocations", &[]);
    let route = route::operation(&lambda::SERVICE, &head).expect("routed");
    let input = request::read(&route, &head, body.clone()).expect("read");
    let kept = Keeping(Mutex::new(None));
    let input: InvocationRequest = wire::value::FromValue::from_value(input).expect("typed");
    *kept.0.lock().expect("no panic") = input.payload;
    let payload = kept.0.lock().expect("no panic").take().expect("a payload");
    assert_eq!(payload.as_ptr(), body.as_ptr());
}

#[test]
fn an_invocations_answer_has_its_payload_as_body_and_the_rest_as_headers() {
    let fake = Fake::default();
    let output = InvocationResponse {
        status_code: Some(200),
        function_error: Some("Unhandled".into()),
        executed_version: Some("$LATEST".into()),
        payload: Some(Bytes::from_static(b"{\"errorType\":\"E\"}")),
        ..Default::default()
    };
    let answer = Answer::from(output)
        .header(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(HeaderName::from_static("x-amzn-trace-id"), HeaderValue::from_static("Root=1"));
    *fake.invoke.lock().expect("no panic") = Some(answer);
    assert_eq!(
        shown(&call(&fake, "POST", "/2015-03-31/functions/f/invocations", &[], "{}")),
        "200\ncontent-type: application/json\nx-amz-executed-version: $LATEST\nx-amz-function-error: Unhandled\n\
         x-amzn-trace-id: Root=1\n{\"errorType\":\"E\"}"
    );
    let output = InvocationResponse { status_code: Some(204), ..Default::default() };
    *fake.invoke.lock().expect("no panic") = Some(output.into());
    assert_eq!(shown(&call(&fake, "POST", "/2015-03-31/functions/f/invocations", &[], "{}")), "204\n");
    assert_eq!(answered("DELETE", "/2015-03-31/functions/f", &[], ""), "204\n");
}

#[test]
fn errors_spell_their_message_as_the_exception_does() {
    for (error, expected) in [
        (
            exception::RESOURCE_NOT_FOUND.with("Function not found: f"),
            "404\ncontent-type: application/json\nx-amzn-errortype: ResourceNotFoundException\n\
             {\"Type\":\"User\",\"Message\":\"Function not found: f\"}",
        ),
        (
            exception::INVALID_PARAMETER_VALUE.with("no \"quotes\""),
            "400\ncontent-type: application/json\nx-amzn-errortype: InvalidParameterValueException\n\
             {\"Type\":\"User\",\"message\":\"no \\\"quotes\\\"\"}",
        ),
        (
            exception::TOO_MANY_REQUESTS
                .with("Rate Exceeded.")
                .member("Reason", "ReservedFunctionConcurrentInvocationLimitExceeded")
                .header(http::header::RETRY_AFTER, HeaderValue::from_static("1")),
            "429\ncontent-type: application/json\nretry-after: 1\nx-amzn-errortype: TooManyRequestsException\n\
             {\"Reason\":\"ReservedFunctionConcurrentInvocationLimitExceeded\",\"Type\":\"User\",\
             \"message\":\"Rate Exceeded.\"}",
        ),
        (
            exception::SERVICE.with("x"),
            "500\ncontent-type: application/json\nx-amzn-errortype: ServiceException\n\
             {\"Type\":\"User\",\"Message\":\"x\"}",
        ),
    ] {
        let fake = Fake::default();
        *fake.error.lock().expect("no panic") = Some(error);
        assert_eq!(shown(&call(&fake, "GET", "/2015-03-31/functions/f", &[], "")), expected);
    }
}

#[test]
fn what_is_not_built_answers_501_with_its_name() {
    assert_eq!(
        answered("GET", "/2025-12-01/functions/f/durable-executions", &[], ""),
        "501\ncontent-type: application/json\nx-amzn-errortype: NotImplementedException\n\
         {\"message\":\"Samovar does not implement the operation ListDurableExecutionsByFunction\"}"
    );
    assert_eq!(
        answered("GET", "/nothing", &[], ""),
        "404\ncontent-type: application/json\nx-amzn-errortype: UnknownOperationException\n\
         {\"message\":\"The requested operation is not recognized by the service.\"}"
    );
}

#[test]
fn a_body_that_is_not_what_the_model_says_is_a_serialization_exception() {
    let deep = format!(r#"{{"Unknown":{}}}"#, "[".repeat(100_000));
    let deep_known = "[".repeat(100_000);
    let many = format!(r#"{{"Layers":[{}""]}}"#, "\"\",".repeat(1_100_000));
    for (body, expected) in [
        ("{", "Could not parse request body into json: EOF while parsing an object at line 1 column 1"),
        ("{} x", "Could not parse request body into json: trailing characters at line 1 column 4"),
        (r#"{"Timeout":"3"}"#, "STRING_VALUE can not be converted to an Integer"),
        (r#"{"Handler":7}"#, "NUMBER_VALUE can not be converted to a String"),
        (r#"{"Publish":"true"}"#, "STRING_VALUE can not be converted to a Boolean"),
        (r#"{"Code":true}"#, "Expected null"),
        (r#"{"Layers":"a"}"#, "Expected list or null"),
        (r#"{"Handler":{}}"#, "Start of structure or map found where not expected."),
        (r#"{"Handler":[]}"#, "Unexpected list, found where not expected."),
        (r#"{"Code":{"ZipFile":"%%"}}"#, "STRING_VALUE can not be converted to a Blob"),
        (&deep, "Could not parse request body into json: expected value at line 1 column 100012"),
        (&deep_known, "Unexpected list, found where not expected."),
        (&many, "Request body holds too many values"),
    ] {
        let expected = format!(
            "400\ncontent-type: application/json\nx-amzn-errortype: SerializationException\n{{\"Message\":\"{expected}\"}}"
        );
        assert_eq!(answered("POST", FUNCTIONS, &[], body), expected);
    }
    let invalid =
        call(&Fake::default(), "POST", FUNCTIONS, &[], Bytes::from_static(b"{\"Handler\":\"\xff\"}"));
    assert_eq!(invalid.status().as_u16(), 400);
    assert_eq!(
        answered("GET", "/2015-03-31/functions?MaxItems=many", &[], ""),
        "400\ncontent-type: application/json\nx-amzn-errortype: SerializationException\n\
         {\"Message\":\"STRING_VALUE can not be converted to an Integer\"}"
    );
}

#[test]
fn decimals_are_cut_off_and_large_numbers_saturate() {
    let fake = Fake::default();
    let body = format!(r#"{CREATE}"Code":{{}},"Timeout":7.9,"MemorySize":1e3}}"#);
    call(&fake, "POST", FUNCTIONS, &[], body);
    let asked = fake.asked.lock().expect("no panic").concat();
    assert!(asked.contains("timeout: Some(7)") && asked.contains("memory_size: Some(1000)"), "{asked}");
    let body = format!(r#"{CREATE}"Code":{{}},"Timeout":99999999999999999999}}"#);
    assert!(answered("POST", FUNCTIONS, &[], &body).contains("Value '2147483647' at 'timeout'"));
}

#[test]
fn a_body_over_the_limit_is_refused_with_the_recorded_words() {
    let body = vec![b' '; base::limits::CREATE_REQUEST_BYTES + 1];
    assert_eq!(
        shown(&call(&Fake::default(), "POST", FUNCTIONS, &[], body)),
        "413\ncontent-type: application/json\nx-amzn-errortype: RequestEntityTooLargeException\n\
         {\"message\":\"Request must be smaller than 70167211 bytes for the CreateFunction operation\"}"
    );
    assert_eq!(
        request::too_large("Invoke", 6_291_456).to_string(),
        "RequestEntityTooLargeException: Request must be smaller than 6291456 bytes for the InvokeFunction operation"
    );
}

struct Books;

impl logs::Logs for Books {
    type Context = ();

    async fn describe_log_groups(
        &self,
        (): &(),
        input: logs::DescribeLogGroupsRequest,
    ) -> Result<Answer<logs::DescribeLogGroupsResponse>, ServiceError> {
        let group = logs::LogGroup { log_group_name: input.log_group_name_prefix, ..Default::default() };
        Ok(logs::DescribeLogGroupsResponse { log_groups: Some(vec![group]), next_token: None }.into())
    }

    async fn describe_log_streams(
        &self,
        (): &(),
        _: logs::DescribeLogStreamsRequest,
    ) -> Result<Answer<logs::DescribeLogStreamsResponse>, ServiceError> {
        Err(logs::exception::RESOURCE_NOT_FOUND.with("The specified log group does not exist."))
    }

    async fn filter_log_events(
        &self,
        (): &(),
        _: logs::FilterLogEventsRequest,
    ) -> Result<Answer<logs::FilterLogEventsResponse>, ServiceError> {
        Ok(logs::FilterLogEventsResponse::default().into())
    }

    async fn get_log_events(
        &self,
        (): &(),
        input: logs::GetLogEventsRequest,
    ) -> Result<Answer<logs::GetLogEventsResponse>, ServiceError> {
        let event = logs::OutputLogEvent {
            timestamp: input.start_time,
            message: Some("START\t\u{1}\n".into()),
            ingestion_time: Some(1_700_000_000_123),
        };
        Ok(logs::GetLogEventsResponse { events: Some(vec![event]), ..Default::default() }.into())
    }

    async fn start_live_tail(
        &self,
        (): &(),
        _: logs::StartLiveTailRequest,
    ) -> Result<Streaming<logs::StartLiveTailResponse, logs::StartLiveTailResponseStream>, ServiceError> {
        let start = logs::LiveTailSessionStart { session_id: Some("1".into()), ..Default::default() };
        let over = logs::SessionTimeoutException { message: Some("over".into()) };
        let told = [
            logs::StartLiveTailResponseStream::SessionStart(start),
            logs::StartLiveTailResponseStream::SessionTimeoutException(over),
        ];
        Ok(Streaming::new(logs::StartLiveTailResponse {}, stream::iter(told)))
    }

    unbuilt! {
        logs;
        associate_kms_key(AssociateKmsKeyRequest) -> ();
        create_log_group(CreateLogGroupRequest) -> ();
        create_log_stream(CreateLogStreamRequest) -> ();
        delete_log_group(DeleteLogGroupRequest) -> ();
        delete_log_stream(DeleteLogStreamRequest) -> ();
        delete_retention_policy(DeleteRetentionPolicyRequest) -> ();
        describe_queries(DescribeQueriesRequest) -> logs::DescribeQueriesResponse;
        disassociate_kms_key(DisassociateKmsKeyRequest) -> ();
        get_query_results(GetQueryResultsRequest) -> logs::GetQueryResultsResponse;
        list_tags_for_resource(ListTagsForResourceRequest) -> logs::ListTagsForResourceResponse;
        list_tags_log_group(ListTagsLogGroupRequest) -> logs::ListTagsLogGroupResponse;
        put_log_events(PutLogEventsRequest) -> logs::PutLogEventsResponse;
        put_retention_policy(PutRetentionPolicyRequest) -> ();
        start_query(StartQueryRequest) -> logs::StartQueryResponse;
        stop_query(StopQueryRequest) -> logs::StopQueryResponse;
        tag_log_group(TagLogGroupRequest) -> ();
        tag_resource(TagResourceRequest) -> ();
        untag_log_group(UntagLogGroupRequest) -> ();
        untag_resource(UntagResourceRequest) -> ();
    }
}

#[test]
fn aws_json_has_the_operation_in_a_header_and_everything_else_in_the_body() {
    let answered = |operation: &str, body: &str| {
        let head = head("POST", "/", &[("x-amz-target", &format!("Logs_20140328.{operation}"))]);
        let id = RequestId(Uuid::nil());
        let protocol = logs::SERVICE.protocol;
        let route = match route::operation(&logs::SERVICE, &head) {
            Ok(route) => route,
            Err(error) => return shown(&codec::refuse(protocol, &error, id)),
        };
        let outcome = request::read(&route, &head, Bytes::from(body.to_owned()))
            .and_then(|input| ready(logs::dispatch(&Books, &(), route.operation, input)));
        shown(&codec::respond(protocol, route.operation, outcome, id))
    };
    let typed = "content-type: application/x-amz-json-1.1\n";
    for (operation, body, expected) in [
        (
            "DescribeLogGroups",
            r#"{"logGroupNamePrefix":"/aws"}"#,
            format!("200\n{typed}{{\"logGroups\":[{{\"logGroupName\":\"/aws\"}}]}}"),
        ),
        ("DescribeLogGroups", "", format!("200\n{typed}{{\"logGroups\":[{{}}]}}")),
        (
            "GetLogEvents",
            r#"{"logStreamName":"s","startTime":1700000000000}"#,
            format!(
                "200\n{typed}{{\"events\":[{{\"timestamp\":1700000000000,\"message\":\"START\\t\\u0001\\n\",\
                 \"ingestionTime\":1700000000123}}]}}"
            ),
        ),
        (
            "DescribeLogStreams",
            "{}",
            format!(
                "400\n{typed}{{\"__type\":\"ResourceNotFoundException\",\
                 \"message\":\"The specified log group does not exist.\"}}"
            ),
        ),
        (
            "GetLogEvents",
            r#"{"logGroupName":"a b"}"#,
            format!(
                "400\n{typed}{{\"__type\":\"InvalidParameterException\",\"message\":\"2 validation errors detected: \
                 Value 'a b' at 'logGroupName' failed to satisfy constraint: Member must satisfy regular expression \
                 pattern: [\\\\.\\\\-_/#A-Za-z0-9]+; Value null at 'logStreamName' failed to satisfy constraint: \
                 Member must not be null\"}}"
            ),
        ),
        (
            "GetLogEvents",
            "{",
            format!(
                "400\n{typed}{{\"__type\":\"SerializationException\",\"Message\":\"Could not parse request body into \
                 json: EOF while parsing an object at line 1 column 1\"}}"
            ),
        ),
        (
            "PutMetricFilter",
            "{}",
            format!(
                "501\n{typed}{{\"__type\":\"NotImplementedException\",\"message\":\"Samovar does not implement the \
                 operation PutMetricFilter\"}}"
            ),
        ),
        (
            "Nothing",
            "{}",
            format!(
                "404\n{typed}{{\"__type\":\"UnknownOperationException\",\"message\":\"The requested operation is not \
                 recognized by the service.\"}}"
            ),
        ),
    ] {
        assert_eq!(answered(operation, body), expected, "{operation}");
    }
}

#[test]
fn no_body_makes_reading_panic() {
    let good = format!(
        r#"{CREATE}"Code":{{"ZipFile":"UEsFBg=="}},"Timeout":3,"Environment":{{"Variables":{{"K":"v"}}}},
        "Tags":{{"a":"b"}},"Layers":["x"],"FileSystemConfigs":[{{"Arn":"a","LocalMountPath":"b"}}]}}"#
    );
    let (fake, mut state) = (Fake::default(), 1u64);
    for _ in 0..5_000 {
        let mut body = good.clone().into_bytes();
        for _ in 0..3 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (state >> 33) as usize % body.len();
            match state >> 62 {
                0 => body.truncate(at.max(1)),
                1 => body[at] = (state >> 20) as u8,
                _ => body[at] = b"{}[]\":,0e-n\\"[(state >> 24) as usize % 12],
            }
        }
        let status = call(&fake, "POST", FUNCTIONS, &[], body).status().as_u16();
        assert!(status == 201 || status == 400, "{status}");
    }
}

#[test]
fn an_event_stream_begins_with_the_output_and_has_a_frame_for_each_event() {
    let head = head("POST", "/", &[("x-amz-target", "Logs_20140328.StartLiveTail")]);
    let route = route::operation(&logs::SERVICE, &head).expect("routed");
    let body = Bytes::from_static(br#"{"logGroupIdentifiers":["g"]}"#);
    let input = request::read(&route, &head, body).expect("read");
    let outcome = ready(logs::dispatch(&Books, &(), route.operation, input));
    let protocol = logs::SERVICE.protocol;
    let response = codec::respond(protocol, route.operation, outcome, RequestId(Uuid::nil()));
    assert_eq!(response.headers()["content-type"], "application/vnd.amazon.eventstream");
    let wire::http::Body::Pieces(pieces) = response.into_body() else { panic!("a whole body") };
    let frames: Vec<Bytes> = ready(pieces.collect());
    let json = "application/x-amz-json-1.1";
    let expected = [
        frame::encode(Kind::Event("initial-response"), json, b"{}"),
        frame::encode(Kind::Event("sessionStart"), json, br#"{"sessionId":"1"}"#),
        frame::encode(Kind::Exception("SessionTimeoutException"), json, br#"{"message":"over"}"#),
    ];
    assert_eq!(frames, expected);
}
