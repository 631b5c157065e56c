//! Who may come in.

use engine::EndpointHost;
use wire::http::Head;
use wire::sigv4::{Credentials, sign};

use super::*;
use crate::FunctionEndpoints;

const LIST: &str = "/2015-03-31/functions";
const WHO: &str = "/2015-03-31/functions/f/configuration";

#[tokio::test]
async fn an_open_endpoint_wants_a_credential_a_known_host_and_no_foreign_page() {
    let bench = Bench::open().await;
    let host = |host: &str| format!("{OPEN}Host: {host}\r\n");
    let more = |header: &str| format!("{OPEN}{header}\r\n");
    for (path, headers, expected) in [
        (LIST, OPEN.to_owned(), "200 {\"Functions\":[]}"),
        (
            LIST,
            String::new(),
            "403 MissingAuthenticationTokenException {\"message\":\"Missing Authentication Token\"}",
        ),
        (LIST, host("127.0.0.1:4566"), "200 {\"Functions\":[]}"),
        (LIST, host("[::1]:4566"), "200 {\"Functions\":[]}"),
        (LIST, host("attacker.example"), "403 AccessDeniedException"),
        (LIST, host("localhost\r\nHost: attacker.example"), "403 AccessDeniedException"),
        (LIST, more("Origin: http://localhost:3000"), "200 {\"Functions\":[]}"),
        (LIST, more("Origin: https://attacker.example"), "403 AccessDeniedException"),
        (LIST, more("Origin: null"), "403 AccessDeniedException"),
        (LIST, more("Sec-Fetch-Site: cross-site"), "403 AccessDeniedException"),
        (LIST, more("Sec-Fetch-Site: same-origin"), "200 {\"Functions\":[]}"),
        (
            "/2015-03-31/functions?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2F20261121%2Fus-east-1%2Flambda%2F\
             aws4_request&X-Amz-Date=20261121T100000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00",
            String::new(),
            "200 {\"Functions\":[]}",
        ),
        (LIST, "Authorization: Bearer x\r\n".to_owned(), "403 IncompleteSignatureException"),
        (LIST, OPEN.replace("us-east-1", "Mars"), "403 InvalidSignatureException"),
        (LIST, OPEN.replace("lambda", "sts"), "501 NotImplementedException"),
    ] {
        let answer = told(&bench.ask("GET", path, &headers, "").await);
        assert!(answer.starts_with(expected), "{path} {headers}: {answer}");
    }
}

#[tokio::test]
async fn account_and_region_come_from_the_credential() {
    let bench = Bench::open().await;
    for (credential, expected) in [
        (
            "111111111111/20261121/eu-west-1",
            "arn:aws:iam::111111111111:root\",\"Description\":\"111111111111 eu-west-1 localhost",
        ),
        (
            "AKIDANY/20261121/us-west-2",
            "arn:aws:iam::000000000000:root\",\"Description\":\"000000000000 us-west-2 localhost",
        ),
    ] {
        let headers = OPEN.replace("000000000000/20261121/us-east-1", credential);
        let answer = bench.ask("GET", WHO, &headers, "").await;
        assert!(answer.contains(expected), "{answer}");
    }
}

/// A signed request as bytes on the wire.
fn signed(path: &str, body: &str, key: &str, secret: &str, at: Timestamp) -> String {
    let request = http::Request::builder().method("POST").uri(path).header("host", "localhost");
    let mut head = Head::of(&request.body(()).unwrap().into_parts().0);
    let credentials = Credentials { access_key: key, secret, session_token: None };
    sign(&mut head, body.as_bytes(), credentials, "us-east-1", "lambda", at).unwrap();
    let lines: String =
        head.headers.iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap())).collect();
    super::request("POST", path, &lines.replace("host:", "Host:"), body)
}

#[tokio::test]
async fn a_closed_endpoint_takes_verified_signatures_only() {
    let bench = Bench::of(Kind { closed: true, reset: true }).await;
    let path = "/2015-03-31/functions/f/invocations";
    let now = bench.clock.now();
    let late = Timestamp::from_micros(now.as_micros() - 1_200_000_000);
    let good = signed(path, "{}", KEY, SECRET, now);
    for (request, expected) in [
        (good.clone(), "200 {}"),
        (good.replace("\r\n\r\n{}", "\r\n\r\n[]"), "403 InvalidSignatureException"),
        (signed(path, "{}", KEY, "wrong", now), "403 InvalidSignatureException"),
        (signed(path, "{}", "AKIDNOBODY", SECRET, now), "403 UnrecognizedClientException"),
        (
            signed(path, "{}", KEY, SECRET, late),
            "403 InvalidSignatureException {\"message\":\"Signature expired: ",
        ),
        (super::request("POST", path, "", "{}"), "403 MissingAuthenticationTokenException"),
        (super::request("POST", path, OPEN, "{}"), "403 IncompleteSignatureException"),
    ] {
        let answer = told(&bench.raw(&request).await);
        assert!(answer.starts_with(expected), "{request}\n{answer}");
    }
}

#[tokio::test]
async fn a_function_is_known_by_its_socket_and_reaches_aws_apis_only() {
    let bench = Bench::open().await;
    let endpoints = FunctionEndpoints::new(bench.apis.clone(), "127.0.0.1:4566", Dice::seeded(2));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let guard = endpoints.serve(listener, identity());
    let ask = async |path: &str, headers: &str| {
        exchange(address, request("GET", path, headers, "").as_bytes()).await
    };
    let mine = ask(WHO, &format!("{OPEN}Host: sandbox.localdomain:4566\r\n")).await;
    assert!(
        mine.contains(
            "arn:aws:sts::999999999999:assumed-role/worker/inside\",\"Description\":\"999999999999 us-east-1 \
             127.0.0.1:4566"
        ),
        "{mine}"
    );
    assert!(told(&ask(WHO, "").await).starts_with("403 MissingAuthenticationTokenException"));
    for path in ["/_samovar/health", "/_samovar/reset", "/_samovar/code/x"] {
        let answer = told(&ask(path, OPEN).await);
        assert!(answer.starts_with("404 UnknownOperationException"), "{path}: {answer}");
    }
    assert_eq!(bench.resets.load(Ordering::SeqCst), 0);
    drop(guard);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(TcpStream::connect(address).await.is_err(), "a dropped endpoint does not listen");
}
