//! What clients send too much of, too slowly, or not as they should; and what they may rely on.

use base::limits::{FUNCTION_ENDPOINT_OWN_CONNECTIONS, HEADER_BYTES, SYNC_REQUEST_BYTES};
use hyper::body::Incoming;
use tokio::sync::Semaphore;

use super::*;
use crate::sent::Sent;
use crate::serve::{Answerer, Response};

const INVOKE: &str = "/2015-03-31/functions/f/invocations";

async fn read_some(stream: &mut TcpStream) -> String {
    let mut buffer = vec![0; 65536];
    let count = stream.read(&mut buffer).await.unwrap_or_default();
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

#[tokio::test]
async fn every_answer_carries_its_request_id_and_the_function_sees_it() {
    let bench = Bench::open().await;
    let invoked = bench.ask("POST", INVOKE, OPEN, "{\"a\":1}").await;
    let id = header(&invoked, "x-amzn-requestid").unwrap();
    assert_eq!(header(&invoked, "x-amz-executed-version"), Some(id), "{invoked}");
    assert_eq!(told(&invoked), "200 {\"a\":1}");
    for (path, headers) in
        [("/nowhere", OPEN), ("/nowhere", ""), ("/_samovar/health", ""), ("/_samovar/code/x", "")]
    {
        let answer = bench.ask("GET", path, headers, "").await;
        assert_eq!(header(&answer, "x-amzn-requestid").map(str::len), Some(36), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_connection_serves_many_requests_also_after_a_panic() {
    let bench = Bench::open().await;
    let mut stream = bench.connect().await;
    let get = |name: &str| {
        format!("GET /2015-03-31/functions/{name}/configuration HTTP/1.1\r\nHost: localhost\r\n{OPEN}\r\n")
    };
    for (name, expected) in [
        ("f", "200"),
        ("panic", "500 InternalFailure {\"message\":\"The request processing has failed"),
        ("f", "200"),
    ] {
        stream.write_all(get(name).as_bytes()).await.unwrap();
        let answer = told(&read_some(&mut stream).await);
        assert!(answer.starts_with(expected), "{name}: {answer}");
    }
}

#[tokio::test]
async fn bodies_end_at_the_limit_of_their_operation() {
    let bench = Bench::open().await;
    let just = format!("\"{}\"", "x".repeat(SYNC_REQUEST_BYTES - 2));
    assert!(told(&bench.ask("POST", INVOKE, OPEN, &just).await).starts_with("200"));
    let sync = "413 RequestEntityTooLargeException {\"Message\":\"Request must be smaller than 6291456 bytes for the \
                InvokeFunction operation\"}";
    assert_eq!(told(&bench.ask("POST", INVOKE, OPEN, &format!("{just} ")).await), sync);
    let event = format!("{OPEN}X-Amz-Invocation-Type: Event\r\n");
    let answer = told(&bench.ask("POST", INVOKE, &event, &just).await);
    assert!(answer.starts_with("200"), "the service tells how much of an event was too much: {answer}");
    assert_eq!(told(&bench.ask("POST", INVOKE, &event, &format!("{just} ")).await), sync);
    let announced = bench
        .raw(format!(
            "POST /2015-03-31/functions HTTP/1.1\r\nHost: localhost\r\n{OPEN}Content-Length: 99000000\r\n\r\n"
        ))
        .await;
    assert_eq!(
        told(&announced),
        "413 RequestEntityTooLargeException {\"message\":\"Request must be smaller than 70167211 bytes for the \
         CreateFunction operation\"}"
    );
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, "1".repeat(1 << 20));
    let chunked = format!(
        "POST {INVOKE} HTTP/1.1\r\nHost: localhost\r\n{OPEN}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(7)
    );
    assert_eq!(told(&bench.raw(chunked).await), sync);
}

#[tokio::test]
async fn what_is_not_http_ends_in_an_error_and_the_door_lives() {
    let bench = Bench::open().await;
    let long = format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", "/x".repeat(HEADER_BYTES));
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "a: b\r\n".repeat(200));
    for request in [
        &b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        long.as_bytes(),
        many.as_bytes(),
        b"POST /2015-03-31/functions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"GET http://attacker.example/_samovar/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ] {
        let answer = told(&bench.raw(request).await);
        assert!(answer.starts_with('4') || answer.is_empty(), "{answer}");
    }
    let framing = format!(
        "POST {INVOKE} HTTP/1.1\r\nHost: localhost\r\n{OPEN}Transfer-Encoding: chunked\r\n\r\nzz\r\n"
    );
    let answer = told(&bench.raw(framing).await);
    assert!(answer.starts_with("400 SerializationException"), "{answer}");
    assert!(told(&bench.ask("GET", "/_samovar/health", "", "").await).starts_with("200"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_cut() {
    let bench = Bench::open().await;
    let mut silent = bench.connect().await;
    let before = bench.clock.now();
    assert_eq!(silent.read(&mut [0; 16]).await.unwrap_or_default(), 0);
    let waited = bench.clock.now().since(before).as_secs();
    assert!((9..=11).contains(&waited), "cut after {waited} s");
}

#[tokio::test(start_paused = true)]
async fn a_slow_head_is_cut_and_an_idle_connection_is_kept_for_a_while() {
    let bench = Bench::open().await;
    let mut slow = bench.connect().await;
    slow.write_all(b"GET /_samovar/health HTTP/1.1\r\n").await.unwrap();
    let mut idle = bench.connect().await;
    idle.write_all(b"GET /_samovar/health HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert!(read_some(&mut idle).await.starts_with("HTTP/1.1 200"));
    let before = bench.clock.now();
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).await.unwrap_or_default();
    let waited = bench.clock.now().since(before).as_secs();
    assert!((9..=11).contains(&waited), "cut after {waited} s");
    tokio::time::sleep(Duration::from_secs(40)).await;
    idle.write_all(b"GET /_samovar/health HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert!(read_some(&mut idle).await.starts_with("HTTP/1.1 200"), "50 s of rest are fine");
    let before = bench.clock.now();
    assert_eq!(idle.read(&mut [0; 16]).await.unwrap_or_default(), 0);
    let waited = bench.clock.now().since(before).as_secs();
    assert!((74..=76).contains(&waited), "closed after {waited} s");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_given_up() {
    let bench = Bench::open().await;
    let mut stalled = bench.connect().await;
    let head = format!("POST {INVOKE} HTTP/1.1\r\nHost: localhost\r\n{OPEN}Content-Length: 100\r\n\r\n{{");
    stalled.write_all(head.as_bytes()).await.unwrap();
    let answer = told(&read_some(&mut stalled).await);
    assert!(answer.starts_with("408 RequestTimeoutException"), "{answer}");
}

#[tokio::test]
async fn a_client_that_leaves_stops_nothing() {
    let bench = Bench::open().await;
    let mut stream = bench.connect().await;
    stream.write_all(request("DELETE", "/2015-03-31/functions/f", OPEN, "").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(stream);
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if bench.finished.load(Ordering::SeqCst) == 1 {
            return;
        }
    }
    panic!("the operation was cut off with its client");
}

#[tokio::test]
async fn a_client_may_close_its_half_and_still_read() {
    let bench = Bench::open().await;
    let mut stream = bench.connect().await;
    stream.write_all(request("DELETE", "/2015-03-31/functions/f", OPEN, "").as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(told(&answer), "204");
}

#[tokio::test]
async fn a_door_that_drains_finishes_what_it_took_and_takes_no_more() {
    let bench = Bench::open().await;
    let mut idle = bench.connect().await;
    idle.write_all(b"GET /_samovar/health HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    read_some(&mut idle).await;
    let mut busy = bench.connect().await;
    let delete = format!("DELETE /2015-03-31/functions/f HTTP/1.1\r\nHost: localhost\r\n{OPEN}\r\n");
    busy.write_all(delete.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let address = bench.address;
    let drained = tokio::spawn(bench.door.drain(Duration::from_secs(5)));
    assert!(read_some(&mut busy).await.starts_with("HTTP/1.1 204"));
    assert!(drained.await.unwrap(), "everything was sent in time");
    assert_eq!(idle.read(&mut [0; 16]).await.unwrap_or_default(), 0, "idle connections are closed");
    assert!(TcpStream::connect(address).await.is_err());
}

/// Answers everything.
struct Yes;

impl Answerer for Yes {
    async fn answer(self: Arc<Self>, _: http::Request<Incoming>, _: SocketAddr) -> Response {
        Response::new(Sent::Whole(Bytes::new()))
    }
}

#[tokio::test]
async fn a_door_is_heard_whatever_the_others_hold() {
    let none_left = Arc::new(Semaphore::new(0));
    for _ in 0..3 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let _door = Door::open(listener, 16, Some(none_left.clone()), Arc::new(Yes));
        let mut held = Vec::new();
        for own in 0..FUNCTION_ENDPOINT_OWN_CONNECTIONS {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
            assert!(read_some(&mut stream).await.starts_with("HTTP/1.1 200"), "connection {own}");
            held.push(stream);
        }
    }
}
