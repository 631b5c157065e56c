//! The calls that only the runtime of a version with SnapStart has.

use super::*;

/// What an API of a restored runtime answers, which knows the keys' token as `sesame`.
async fn restoring(request: &str, expected: Expect) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let credentials = Credentials {
        authorization: "sesame".into(),
        access_key: "ASIAX".into(),
        secret: "s".into(),
        token: "t".into(),
        clock: Clock::starting_at(Timestamp::from_millis(1_700_000_000_000)),
    };
    let api = RuntimeApi::new(listener, further_connections()).expect("a listener");
    let mut api = api.restoring(credentials, None).expect("a listener");
    let _task = tokio::spawn(async move {
        loop {
            willing(std::future::poll_fn(|cx| api.poll_call(cx)).await);
        }
    });
    expected.assert_eq(&exchange(address, request.as_bytes()).await);
}

const NEXT: &str = "GET /2018-06-01/runtime/restore/next HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn a_restored_runtime_goes_on() {
    restoring(
        NEXT,
        expect![[r#"
        HTTP/1.1 200 OK
        Content-Type: application/json
        Content-Length: 0

    "#]],
    )
    .await;
    let error = "POST /2018-06-01/runtime/restore/error HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}";
    restoring(
        error,
        expect![[r#"
        HTTP/1.1 202 Accepted
        Content-Type: application/json
        Content-Length: 16

        {"status":"OK"}
    "#]],
    )
    .await;
    restoring(
        &error.replace("POST", "PUT"),
        expect![[r#"
        HTTP/1.1 405 Method Not Allowed
        Content-Type: text/plain; charset=utf-8
        Allow: GET, POST
        Content-Length: 0

    "#]],
    )
    .await;
}

#[tokio::test]
async fn keys_are_for_who_has_the_token() {
    let ask = |headers: &str| format!("GET /2021-04-23/credentials HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    restoring(
        &ask("authorization: sesame\r\n"),
        expect![[r#"
            HTTP/1.1 200 OK
            Content-Type: application/json
            Connection: close
            Content-Length: 93

            {"AccessKeyId":"ASIAX","SecretAccessKey":"s","Expiration":"2023-11-14T22:14:20Z","Token":"t"}
        "#]],
    )
    .await;
    restoring(
        &ask("authorization: sesam\r\n"),
        expect![[r#"
        HTTP/1.1 404 Not Found
        Content-Type: text/plain; charset=utf-8
        Content-Length: 46

        cannot get credentials for the provided token
    "#]],
    )
    .await;
    restoring(
        &ask(""),
        expect![[r#"
        HTTP/1.1 404 Not Found
        Content-Type: text/plain; charset=utf-8
        Content-Length: 46

        cannot get credentials for the provided token
    "#]],
    )
    .await;
}

#[tokio::test]
async fn other_runtimes_do_not_have_these_calls() {
    check(
        NEXT,
        expect![[r#"
        HTTP/1.1 404 Not Found
        Content-Type: text/plain; charset=utf-8
        Content-Length: 19

        404 page not found
    "#]],
    )
    .await;
    check(
        &NEXT.replace("2018-06-01/runtime/restore/next", "2021-04-23/credentials"),
        expect![[r#"
        HTTP/1.1 404 Not Found
        Content-Type: text/plain; charset=utf-8
        Content-Length: 19

        404 page not found
    "#]],
    )
    .await;
}
