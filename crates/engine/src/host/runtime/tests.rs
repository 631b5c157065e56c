//! The Runtime API against a raw client on a real socket.

mod restoring;

use std::time::Duration;

use expect_test::{Expect, expect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use uuid::Uuid;

use super::*;
use crate::environment::rules::RuntimeState;

const ID: &str = "00000000-0000-0000-0000-000000000007";

fn work() -> Work {
    Work {
        id: RequestId(Uuid::from_u128(7)),
        deadline: Timestamp::from_millis(1_700_000_003_000),
        arn: "arn:aws:lambda:us-east-1:000000000000:function:f".into(),
        trace: "Root=1-0-0".into(),
        client_context: Some("{\"custom\":\n\t{\"name\":\"Zoë\"}}".into()),
        cognito_identity: None,
        payload: "{\"a\":1}".into(),
    }
}

/// An API whose calls `answer` decides on, and what it was asked.
async fn api(
    mut answer: impl FnMut(Call) + Send + 'static,
) -> (std::net::SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut api = RuntimeApi::new(listener, further_connections()).expect("a listener");
    let task = tokio::spawn(async move {
        loop {
            answer(std::future::poll_fn(|cx| api.poll_call(cx)).await);
        }
    });
    (address, task)
}

fn willing(call: Call) {
    match call {
        Call::Next(asker) => drop(asker.send(NextReply::Work(Box::new(work())))),
        Call::RestoreNext(asker, _) => drop(asker.send(Ok(()))),
        Call::Stream(_, _, asker) => drop(asker.send(Passage::Whole)),
        Call::Post(Posted::Answer(None, _), asker) => drop(asker.send(Err(Refusal::RequestId))),
        Call::Post(Posted::Answer(_, Answer::Fault(Fault::ResponseTooLarge)), asker) => {
            let _ = asker.send(Err(Refusal::TooLarge));
        }
        Call::Post(Posted::Answer(_, Answer::Fault(Fault::ResponseMode)), asker) => {
            let _ = asker.send(Err(Refusal::ResponseMode));
        }
        Call::Post(_, asker) => drop(asker.send(Ok(()))),
        Call::Extension(_) => {}
    }
}

/// Sends `request` and closes the writing side; what comes back, without the date.
async fn exchange(address: std::net::SocketAddr, request: &[u8]) -> String {
    let mut client = TcpStream::connect(address).await.expect("a connection");
    client.write_all(request).await.expect("room");
    let mut answer = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let read = tokio::time::timeout(Duration::from_millis(300), client.read(&mut chunk)).await;
        match read {
            Ok(Ok(read)) if read > 0 => answer.extend_from_slice(&chunk[..read]),
            _ => break,
        }
    }
    let answer = String::from_utf8(answer).expect("text").replace('\r', "");
    let kept = answer.lines().filter(|line| !line.starts_with("Date:"));
    kept.map(|line| format!("{line}\n")).collect()
}

async fn check(request: &str, expected: Expect) {
    let (address, _task) = api(willing).await;
    expected.assert_eq(&exchange(address, request.as_bytes()).await);
}

#[tokio::test]
async fn next_carries_the_event_and_its_headers() {
    check(
        "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nhost: x\r\n\r\n",
        expect![[r#"
            HTTP/1.1 200 OK
            Content-Type: application/json
            Lambda-Runtime-Aws-Request-Id: 00000000-0000-0000-0000-000000000007
            Lambda-Runtime-Deadline-Ms: 1700000003000
            Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:000000000000:function:f
            Lambda-Runtime-Trace-Id: Root=1-0-0
            Lambda-Runtime-Client-Context: {"custom":  {"name":"Zoë"}}
            Content-Length: 7

            {"a":1}
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_response_and_the_next_call_may_come_in_one_write() {
    let post = format!(
        "POST /2018-06-01/runtime/invocation/{ID}/response HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    let both = format!("{post}GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nhost: x\r\n\r\n");
    let (address, _task) = api(willing).await;
    let answer = exchange(address, both.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 202 Accepted\n"), "{answer}");
    assert!(answer.contains("{\"status\":\"OK\"}\nHTTP/1.1 200 OK\n"), "{answer}");
    assert!(answer.ends_with("{\"a\":1}\n"), "{answer}");
}

#[tokio::test]
async fn refusals_have_their_own_bodies() {
    let post = |path: &str, more: &str| {
        format!("POST /2018-06-01/runtime/{path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n{more}\r\n")
    };
    check(
        &post("invocation/not-an-id/response", ""),
        expect![[r#"
            HTTP/1.1 400 Bad Request
            Content-Type: application/json
            Content-Length: 69

            {"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}
        "#]],
    )
    .await;
    let mode = "lambda-runtime-function-response-mode: odd\r\n";
    check(
        &post(&format!("invocation/{ID}/response"), mode),
        expect![[r#"
            HTTP/1.1 400 Bad Request
            Content-Type: application/json
            Content-Length: 92

            {"errorMessage":"Invalid function response mode","errorType":"InvalidFunctionResponseMode"}
        "#]],
    )
    .await;
    check(
        &post("invocation/next", ""),
        expect![[r#"
            HTTP/1.1 405 Method Not Allowed
            Content-Type: text/plain; charset=utf-8
            Allow: GET, POST
            Content-Length: 0

        "#]],
    )
    .await;
    check(
        &post("elsewhere", ""),
        expect![[r#"
            HTTP/1.1 404 Not Found
            Content-Type: text/plain; charset=utf-8
            Content-Length: 19

            404 page not found
        "#]],
    )
    .await;
    check(
        "GET /2018-06-01/ping HTTP/1.1\r\nhost: x\r\n\r\n",
        expect![[r#"
            HTTP/1.1 200 OK
            Content-Type: text/plain; charset=utf-8
            Content-Length: 4

            pong
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_transition_out_of_place_names_both_states() {
    let (address, _task) = api(|call| {
        if let Call::Post(_, asker) = call {
            let (from, to) = (RuntimeState::ResponseSent, RuntimeState::InvocationResponse);
            let _ = asker.send(Err(Refusal::Transition { from, to }));
        }
    })
    .await;
    let request = format!(
        "POST /2018-06-01/runtime/invocation/{ID}/response HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
    );
    expect![[r#"
        HTTP/1.1 403 Forbidden
        Content-Type: application/json
        Content-Length: 172

        {"errorMessage":"State transition from ResponseSent to InvocationResponse failed for runtime. Error: State transition is not allowed","errorType":"InvalidStateTransition"}
    "#]].assert_eq(&exchange(address, request.as_bytes()).await);
}

/// What the environment was told by a post.
async fn told(request: Vec<u8>) -> Posted {
    let (sender, mut posts) = mpsc::unbounded_channel();
    let (address, _task) = api(move |call| match call {
        Call::Next(_) | Call::RestoreNext(..) | Call::Extension(_) => {}
        Call::Stream(_, _, asker) => drop(asker.send(Passage::Whole)),
        Call::Post(posted, asker) => {
            let _ = asker.send(Ok(()));
            let _ = sender.send(posted);
        }
    })
    .await;
    let client = tokio::spawn(async move { exchange(address, &request).await });
    let posted = tokio::time::timeout(Duration::from_secs(10), posts.recv()).await;
    client.abort();
    posted.expect("in time").expect("a post")
}

fn answer_of(posted: Posted) -> Answer {
    match posted {
        Posted::Answer(id, answer) => {
            assert_eq!(id, Some(RequestId(Uuid::from_u128(7))));
            answer
        }
        Posted::InitError(answer) | Posted::RestoreError(answer) => answer,
        Posted::Streamed(..) => panic!("nothing here flows"),
    }
}

fn post(kind: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /2018-06-01/runtime/invocation/{ID}/{kind} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn errors_keep_their_body_and_have_their_type_sanitised() {
    let body = br#"{"errorMessage":"m","errorType":"t"}"#;
    let header = "lambda-runtime-function-error-type: Exception\r\n";
    assert_eq!(
        answer_of(told(post("error", header, body)).await),
        Answer::Error { kind: "Runtime.Unknown".into(), body: Bytes::from_static(body) }
    );
    let cause = br#"{"errorMessage":"m","errorType":"t","stackTrace":["a"],"errorCause":{"paths":[]}}"#;
    let headers = "content-type: application/vnd.aws.lambda.error.cause+json\r\n\
                   lambda-runtime-function-error-type: Function.Boom\r\n";
    assert_eq!(
        answer_of(told(post("error", headers, cause)).await),
        Answer::Error {
            kind: "Function.Boom".into(),
            body: r#"{"errorMessage":"m","errorType":"t","stackTrace":["a"]}"#.into()
        }
    );
    let head = "POST /2018-06-01/runtime/init/error HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}";
    assert!(matches!(told(head.into()).await, Posted::InitError(Answer::Error { .. })));
}

#[tokio::test]
async fn a_streamed_response_is_one_to_a_caller_that_waits_for_it_and_its_trailers_may_make_it_an_error() {
    let head = format!(
        "POST /2018-06-01/runtime/invocation/{ID}/response HTTP/1.1\r\nhost: x\r\n\
         lambda-runtime-function-response-mode: streaming\r\ntransfer-encoding: chunked\r\n\
         trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n"
    );
    let whole = Answer::Response { content_type: None, body: "abcde".into() };
    assert_eq!(answer_of(told(format!("{head}\r\n").into()).await), whole);
    let trailers = "Lambda-Runtime-Function-Error-Type: Function.Late\r\n\
                    Lambda-Runtime-Function-Error-Body: eyJhIjoxfQ==\r\n\r\n";
    assert_eq!(
        answer_of(told(format!("{head}{trailers}").into()).await),
        Answer::Error { kind: "Function.Late".into(), body: r#"{"a":1}"#.into() }
    );
}

#[tokio::test]
async fn responses_are_bounded() {
    let limit = base::limits::SYNC_RESPONSE_BYTES;
    let whole = answer_of(told(post("response", "", &vec![b'x'; limit])).await);
    assert!(matches!(whole, Answer::Response { body, .. } if body.len() == limit));
    let more = answer_of(told(post("response", "", &vec![b'x'; limit + 1])).await);
    assert_eq!(more, Answer::Fault(Fault::ResponseTooLarge));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_truncated() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut api = RuntimeApi::new(listener, further_connections()).expect("a listener");
    let mut client = TcpStream::connect(address).await.expect("a connection");
    let mut request = post("response", "", &[b'x'; 100]);
    request.truncate(request.len() - 50);
    client.write_all(&request).await.expect("room");
    client.shutdown().await.expect("open");
    let call = std::future::poll_fn(|cx| api.poll_call(cx)).await;
    assert!(matches!(call, Call::Post(Posted::Answer(_, Answer::Fault(Fault::TruncatedResponse)), _)));
}

#[tokio::test]
async fn garbage_and_silent_clients_do_not_keep_a_good_one_waiting() {
    let (address, _task) = api(willing).await;
    let mut crowd = Vec::new();
    for head in ["", "GET", "\0\0\0\0\r\n\r\n", "POST /2018-06-01/runtime/init/error HTTP/1.1\r\n"] {
        for _ in 0..5 {
            let mut client = TcpStream::connect(address).await.expect("a connection");
            client.write_all(head.as_bytes()).await.expect("room");
            crowd.push(client);
        }
    }
    let huge = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(4 * RUNTIME_API_READ_BYTES));
    let refused = exchange(address, huge.as_bytes()).await;
    assert!(!refused.contains("200 OK"), "{refused}");
    let answer = exchange(address, b"GET /2018-06-01/ping HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.ends_with("pong\n"), "{answer}");
}

#[tokio::test]
async fn connections_are_capped_and_the_rest_wait() {
    let (address, _task) = api(willing).await;
    let mut crowd = Vec::new();
    for _ in 0..RUNTIME_API_CONNECTIONS + 3 {
        crowd.push(TcpStream::connect(address).await.expect("a connection"));
    }
    let ping = b"GET /2018-06-01/ping HTTP/1.1\r\nhost: x\r\n\r\n";
    let last = crowd.last_mut().expect("a crowd");
    last.write_all(ping).await.expect("room");
    let mut byte = [0];
    let waited = tokio::time::timeout(Duration::from_millis(200), last.read(&mut byte)).await;
    assert!(waited.is_err(), "served beyond the cap");
    crowd.drain(..RUNTIME_API_CONNECTIONS / 2);
    let last = crowd.last_mut().expect("a crowd");
    tokio::time::timeout(Duration::from_secs(10), last.read_exact(&mut byte))
        .await
        .expect("served")
        .expect("a byte");
}

#[tokio::test]
async fn what_an_ended_runtime_said_last_is_forgotten() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut api = RuntimeApi::new(listener, further_connections()).expect("a listener");
    let next = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut old = TcpStream::connect(address).await.expect("a connection");
    old.write_all(next).await.expect("room");
    let call = std::future::poll_fn(|cx| api.poll_call(cx)).await;
    assert!(matches!(call, Call::Next(_)));
    let mut late = TcpStream::connect(address).await.expect("a connection");
    late.write_all(next).await.expect("room");
    api.forget().await;
    let heard =
        tokio::time::timeout(Duration::from_millis(200), std::future::poll_fn(|cx| api.poll_call(cx)));
    assert!(heard.await.is_err(), "an ended runtime was heard");
}

#[tokio::test]
async fn an_environment_is_heard_when_others_hold_all_that_is_shared() {
    let further = Arc::new(Semaphore::new(3));
    let open = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        (RuntimeApi::new(listener, Arc::clone(&further)).expect("a listener"), address)
    };
    let next = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nhost: x\r\n\r\n";
    let (mut greedy, address) = open();
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(TcpStream::connect(address).await.expect("a connection"));
    }
    let silence =
        tokio::time::timeout(Duration::from_millis(200), std::future::poll_fn(|cx| greedy.poll_call(cx)));
    assert!(silence.await.is_err());
    assert_eq!(greedy.connections.len(), RUNTIME_API_OWN_CONNECTIONS + 3);
    assert_eq!(further.available_permits(), 0);

    let (mut modest, address) = open();
    let mut runtime = TcpStream::connect(address).await.expect("a connection");
    runtime.write_all(next).await.expect("room");
    assert!(matches!(std::future::poll_fn(|cx| modest.poll_call(cx)).await, Call::Next(_)));

    greedy.forget().await;
    assert_eq!(further.available_permits(), 3, "what was forgotten is shared again");
}

#[tokio::test]
async fn an_answer_is_replied_to_with_the_next_event_where_that_was_asked_for() {
    let post = |id: &str| {
        format!(
            "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nHost: h\r\nsamovar-and-next: 1\r\n\
             Content-Length: 1\r\n\r\n1"
        )
    };
    let (address, _task) = api(willing).await;
    let taken = exchange(address, post(ID).as_bytes()).await;
    assert!(
        taken.starts_with("HTTP/1.1 200 OK\n") && taken.contains(&format!("Request-Id: {ID}\n")),
        "{taken}"
    );
    let refused = exchange(address, post("none").as_bytes()).await;
    assert!(refused.starts_with("HTTP/1.1 400 ") && refused.contains("InvalidRequestID"), "{refused}");
}
