//! Answers that are sent while they come to be.

use super::*;

const TAIL: &str = "X-Amz-Target: Logs_20140328.StartLiveTail\r\n\
                    Authorization: AWS4-HMAC-SHA256 Credential=000000000000/20261121/us-east-1/logs/aws4_request, \
                    SignedHeaders=host, Signature=00\r\n";
const BODY: &str = r#"{"logGroupIdentifiers":["g"]}"#;

/// Begins a live tail, and reads until its first event is there.
async fn tail(bench: &Bench) -> TcpStream {
    let mut stream = bench.connect().await;
    stream.write_all(request("POST", "/", TAIL, BODY).as_bytes()).await.unwrap();
    let mut answer = String::new();
    while !answer.contains("requestId") {
        let mut piece = [0; 1024];
        let length = stream.read(&mut piece).await.unwrap();
        assert!(length > 0, "it ended after {answer}");
        answer += &String::from_utf8_lossy(&piece[..length]);
    }
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("transfer-encoding: chunked"), "{answer}");
    assert!(answer.contains("content-type: application/vnd.amazon.eventstream"), "{answer}");
    assert!(answer.contains("initial-response") && answer.contains("sessionStart"), "{answer}");
    stream
}

#[tokio::test]
async fn pieces_are_sent_when_they_are_there_and_given_up_when_the_client_goes() {
    let bench = Bench::open().await;
    let one = tail(&bench).await;
    let other = tail(&bench).await;
    assert_eq!(bench.tails(), 2);
    drop(one);
    bench.wait_for_tails(1).await;
    drop(other);
    bench.wait_for_tails(0).await;
}

#[tokio::test]
async fn a_door_that_closes_ends_what_has_no_end_of_its_own() {
    let bench = Bench::open().await;
    let mut stream = tail(&bench).await;
    assert!(bench.door.drain(Duration::from_secs(5)).await, "nothing was cut off");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "the body has its end");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_of_its_answer_is_cut() {
    let bench = Bench::open().await;
    let mut stream = bench.connect().await;
    stream.write_all(request("POST", "/", TAIL, BODY).as_bytes()).await.unwrap();
    bench.wait_for_tails(1).await;
    bench.wait_for_tails(0).await;
    drop(stream);
}
