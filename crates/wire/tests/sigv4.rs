//! Signatures against botocore's (`data/sigv4.json`, made by `data/sigv4.py`) and against AWS's documentation.

use base::clock::Timestamp;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;
use wire::http::Head;
use wire::schema::Protocol;
use wire::sigv4::{Claim, Credentials, Presented, SignatureError, sign};

const BOTOCORE: &str = include_str!("data/sigv4.json");
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
/// 2013-05-24T00:00:00Z, when the examples of the S3 documentation were signed.
const THEN: Timestamp = Timestamp::from_millis(1_369_353_600_000);

fn head(method: &str, path: &str, query: &str, headers: &[(&str, &str)]) -> Head {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        map.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header's value"));
    }
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    Head { method, path: path.into(), query: query.into(), headers: map }
}

/// A botocore case: its name, head and body.
fn cases() -> (Value, Vec<(String, Head, Bytes)>) {
    let document: Value = serde_json::from_str(BOTOCORE).expect("the data is JSON");
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let cases = document["cases"].as_array().expect("cases").iter().map(|case| {
        let headers: Vec<(String, String)> = case["headers"]
            .as_array()
            .expect("headers")
            .iter()
            .map(|pair| (text(&pair[0]), text(&pair[1])))
            .collect();
        let headers: Vec<(&str, &str)> = headers.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let head = head(&text(&case["method"]), &text(&case["path"]), &text(&case["query"]), &headers);
        (text(&case["name"]), head, Bytes::from(text(&case["body"])))
    });
    let cases = cases.collect();
    (document, cases)
}

#[test]
fn every_request_that_botocore_signed_verifies() {
    let (document, cases) = cases();
    let secret = document["secret"].as_str().expect("a secret");
    let now = Timestamp::from_millis(document["now_millis"].as_i64().expect("a moment"));
    assert!(cases.len() >= 15);
    for (name, head, body) in cases {
        let claim = Claim::read(&head).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(claim.presented.access_key, "AKIDEXAMPLE", "{name}");
        assert_eq!(claim.presented.scope.region, "eu-central-1", "{name}");
        assert_eq!(claim.verify(&head, body.clone(), secret, now), Ok(body.clone()), "{name}");
        assert_eq!(claim.presented.body(body.clone()), Ok(body.clone()), "{name}");
        assert_eq!(claim.verify(&head, body, "other", now), Err(SignatureError::Mismatch), "{name}");
    }
}

#[test]
fn we_sign_as_botocore_does() {
    let (document, cases) = cases();
    let now = Timestamp::from_millis(document["now_millis"].as_i64().expect("a moment"));
    for (name, expected, body) in cases {
        let Some(authorization) = expected.headers.get("authorization").cloned() else {
            continue;
        };
        let mut head = expected.clone();
        let token = head.headers.remove("x-amz-security-token");
        head.headers.remove("authorization");
        head.headers.remove("x-amz-date");
        let credentials = Credentials {
            access_key: "AKIDEXAMPLE",
            secret: document["secret"].as_str().expect("a secret"),
            session_token: token.as_ref().map(|token| token.to_str().expect("ASCII")),
        };
        let service = Claim::read(&expected).expect("a signed request").presented.scope.service;
        sign(&mut head, &body, credentials, "eu-central-1", &service, now).expect("signed");
        assert_eq!(head.headers["authorization"], authorization, "{name}");
    }
}

#[test]
fn whatever_is_changed_breaks_the_signature() {
    let (document, cases) = cases();
    let secret = document["secret"].as_str().expect("a secret");
    let now = Timestamp::from_millis(document["now_millis"].as_i64().expect("a moment"));
    let (_, head, body) = cases.into_iter().find(|(name, ..)| name == "a session token").expect("the case");
    let claim = Claim::read(&head).expect("a claim");
    let verify = |head: &Head, body: &Bytes| claim.verify(head, body.clone(), secret, now).map(|_| ());
    assert_eq!(verify(&head, &body), Ok(()));
    assert_eq!(verify(&head, &Bytes::from_static(b"{\"a\":2}")), Err(SignatureError::Mismatch));
    let changed = [
        Head { method: Method::PUT, ..head.clone() },
        Head { path: "/2015-03-31/functions/g/invocations".into(), ..head.clone() },
        Head { query: "Qualifier=1".into(), ..head.clone() },
    ];
    for head in changed {
        assert_eq!(verify(&head, &body), Err(SignatureError::Mismatch), "{head:?}");
    }
    for name in ["host", "x-amz-date", "x-amz-security-token"] {
        let mut head = head.clone();
        head.headers.insert(HeaderName::from_static(name), HeaderValue::from_static("other"));
        assert_eq!(verify(&head, &body), Err(SignatureError::Mismatch), "{name}");
    }
}

#[test]
fn the_test_suites_plainest_request_verifies() {
    let authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
        SignedHeaders=host;x-amz-date, \
        Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    let head = head(
        "GET",
        "/",
        "",
        &[
            ("host", "example.amazonaws.com"),
            ("x-amz-date", "20150830T123600Z"),
            ("authorization", authorization),
        ],
    );
    let claim = Claim::read(&head).expect("a claim");
    let now = Timestamp::from_millis(1_440_938_160_000);
    let verified = claim.verify(&head, Bytes::new(), "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", now);
    assert_eq!(verified, Ok(Bytes::new()));
}

#[test]
fn the_documentations_presigned_request_verifies_for_a_day() {
    let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3\
        %2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=\
        aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    let head = head("GET", "/test.txt", query, &[("host", "examplebucket.s3.amazonaws.com")]);
    let claim = Claim::read(&head).expect("a claim");
    let at = |seconds: i64| {
        let now = Timestamp::from_millis(THEN.as_millis() + seconds * 1000);
        claim.verify(&head, Bytes::new(), SECRET, now).map_err(|error| error.to_string())
    };
    assert_eq!(at(0), Ok(Bytes::new()));
    assert_eq!(at(86_400), Ok(Bytes::new()));
    assert_eq!(
        at(86_401),
        Err("Signature expired: 20130524T000000Z is now earlier than 20130524T000001Z (20130525T000001Z - 1440 \
             min.)"
            .into())
    );
}

/// The chunked example of the documentation: 64 KiB and 1 KiB of `a`, framed with these signatures.
fn chunked(form: &str, seed: &str, signatures: [&str; 3], trailer: &str) -> (Head, Vec<u8>) {
    let trailing = form.ends_with("-TRAILER");
    let extra = if trailing { "" } else { "content-length;" };
    let trailer_name = if trailing { ";x-amz-trailer" } else { "" };
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={KEY}/20130524/us-east-1/s3/aws4_request,SignedHeaders=content-encoding;\
         {extra}host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class\
         {trailer_name},Signature={seed}"
    );
    let head = head(
        "PUT",
        "/examplebucket/chunkObject.txt",
        "",
        &[
            ("host", "s3.amazonaws.com"),
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-content-sha256", form),
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "66560"),
            ("content-length", "66824"),
            ("x-amz-trailer", "x-amz-checksum-crc32c"),
            ("authorization", &authorization),
        ],
    );
    let mut body = Vec::new();
    for (size, signature) in [65_536, 1024, 0].into_iter().zip(signatures) {
        body.extend(format!("{size:x};chunk-signature={signature}\r\n").bytes());
        body.extend(std::iter::repeat_n(b'a', size));
        body.extend(if size > 0 { "\r\n" } else { trailer }.bytes());
    }
    (head, body)
}

fn plain() -> Bytes {
    Bytes::from(vec![b'a'; 66_560])
}

#[test]
fn the_documentations_chunked_body_verifies_chunk_by_chunk() {
    let (head, body) = chunked(
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        [
            "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
            "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
            "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
        ],
        "\r\n",
    );
    let claim = Claim::read(&head).expect("a claim");
    assert_eq!(claim.verify(&head, body.clone().into(), SECRET, THEN), Ok(plain()));
    assert_eq!(claim.presented.body(body.clone().into()), Ok(plain()));
    let mut forged = body;
    forged[70_000 - 4000] = b'b';
    assert_eq!(claim.verify(&head, forged.into(), SECRET, THEN), Err(SignatureError::Mismatch));
}

#[test]
fn the_documentations_trailer_verifies() {
    let example = |trailer: &str| {
        chunked(
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
            [
                "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
                "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
                "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
            ],
            trailer,
        )
    };
    let signature =
        "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435";
    let verified = |trailer: &str| {
        let (head, body) = example(trailer);
        Claim::read(&head).expect("a claim").verify(&head, body.into(), SECRET, THEN)
    };
    assert_eq!(verified(&format!("x-amz-checksum-crc32c:sOO8/Q==\r\n{signature}\r\n\r\n")), Ok(plain()));
    assert_eq!(
        verified(&format!("x-amz-checksum-crc32c:AAAAAA==\r\n{signature}\r\n\r\n")),
        Err(SignatureError::Mismatch)
    );
    assert_eq!(verified("x-amz-checksum-crc32c:sOO8/Q==\r\n\r\n"), Err(SignatureError::Mismatch));
}

#[test]
fn frames_without_signatures_are_undone_and_broken_ones_refused() {
    let mut head = head(
        "PUT",
        "/b/k",
        "",
        &[("host", "h"), ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")],
    );
    let credentials = Credentials { access_key: KEY, secret: SECRET, session_token: None };
    sign(&mut head, b"", credentials, "us-east-1", "s3", THEN).expect("signed");
    let claim = Claim::read(&head).expect("a claim");
    for (body, expected) in [
        ("3\r\nabc\r\n0\r\nx-amz-checksum-crc32:x\r\n\r\n", Ok("abc")),
        ("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", Ok("abcde")),
        ("3\r\nabc\r\n0\r\n", Ok("abc")),
        ("4\r\nabc\r\n0\r\n\r\n", Err("a chunk is longer than its size")),
        ("ffffffffffffffff\r\nabc", Err("a chunk is shorter than its size")),
        ("-1\r\nabc", Err("a chunk's size is not a hexadecimal number")),
        ("3", Err("a line has no end")),
        ("", Err("a line has no end")),
        ("0\r\nnothing\r\n", Err("a trailer has no value")),
    ] {
        let expected =
            expected.map(|text| Bytes::from_static(text.as_bytes())).map_err(SignatureError::Framing);
        let read = claim.verify(&head, Bytes::from_static(body.as_bytes()), SECRET, THEN);
        assert_eq!(read, expected, "{body:?}");
        assert_eq!(claim.presented.body(Bytes::from_static(body.as_bytes())), read, "{body:?}");
    }
}

#[test]
fn a_clock_may_be_off_by_five_minutes() {
    let mut head = head("GET", "/", "", &[("host", "h")]);
    let credentials = Credentials { access_key: KEY, secret: SECRET, session_token: None };
    sign(&mut head, b"", credentials, "us-east-1", "lambda", THEN).expect("signed");
    let claim = Claim::read(&head).expect("a claim");
    let at = |seconds: i64| {
        let now = Timestamp::from_millis(THEN.as_millis() + seconds * 1000);
        claim.verify(&head, Bytes::new(), SECRET, now).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(at(300), Ok(()));
    assert_eq!(at(-300), Ok(()));
    assert_eq!(
        at(301),
        Err("Signature expired: 20130524T000000Z is now earlier than 20130524T000001Z (20130524T000501Z - 5 min.)"
            .into())
    );
    assert_eq!(
        at(-301),
        Err("Signature not yet current: 20130524T000000Z is still later than 20130523T235959Z (20130523T235459Z + \
             5 min.)"
            .into())
    );
}

#[test]
fn what_cannot_be_read_is_refused_in_the_protocols_words() {
    let good = "AWS4-HMAC-SHA256 Credential=K/20130524/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=00";
    let date = ("x-amz-date", "20130524T000000Z");
    for (headers, query, status, expected) in [
        (vec![], "", 403, "MissingAuthenticationTokenException: Missing Authentication Token"),
        (vec![], "MaxItems=1", 403, "MissingAuthenticationTokenException: Missing Authentication Token"),
        (
            vec![("authorization", "Bearer x")],
            "",
            403,
            "IncompleteSignatureException: Authorization header requires 'Credential' parameter. Authorization \
             header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. \
             Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. (Hashed with \
             SHA-256 and encoded with Base64) Authorization=uTem/WB082UJMN2ajD6lH6UChGpTAddMJSx2iu923No=",
        ),
        (
            vec![("authorization", "AWS4-ECDSA-P256-SHA256 Credential=K"), date],
            "",
            403,
            "IncompleteSignatureException: Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256'.",
        ),
        (
            vec![
                ("authorization", "AWS4-HMAC-SHA256 Credential=K/x, SignedHeaders=host, Signature=00"),
                date,
            ],
            "",
            403,
            "IncompleteSignatureException: Credential must have exactly 5 slash-delimited elements, e.g. \
             keyid/date/region/service/term, got 'K/x'",
        ),
        (
            vec![("authorization", good), ("x-amz-date", "20130525T000000Z")],
            "",
            403,
            "InvalidSignatureException: Date in Credential scope does not match YYYYMMDD from ISO-8601 version of \
             date from HTTP: '20130524' != '20130525', from '20130525T000000Z'.",
        ),
        (
            vec![],
            "X-Amz-Algorithm=AWS4-HMAC-SHA256",
            403,
            "IncompleteSignatureException: AWS query-string parameters must include 'X-Amz-Credential'. Re-examine \
             the query-string parameters.",
        ),
    ] {
        let head = head("GET", "/", query, &headers);
        let error = Claim::read(&head).map(|_| ()).expect_err(expected);
        let told = error.told(Protocol::RestJson);
        assert_eq!((told.status.as_u16(), told.to_string().as_str()), (status, expected));
    }
    let json = wire::logs::SERVICE.protocol;
    assert_eq!(SignatureError::UnknownKey.told(json).status.as_u16(), 400);
    assert_eq!(SignatureError::UnknownKey.told(Protocol::RestJson).code, "UnrecognizedClientException");
}

#[test]
fn a_hand_written_credential_is_enough_where_nothing_is_proven() {
    let credential = "AWS4-HMAC-SHA256 Credential=123456789012/20130524/us-east-1/lambda/aws4_request";
    let read = |headers: &[(&str, &str)], query: &str| {
        let read = Presented::read(&head("GET", "/", query, headers));
        read.map(|presented| format!("{} {:?}", presented.access_key, presented.scope.region))
    };
    assert_eq!(read(&[("authorization", credential)], ""), Ok("123456789012 \"us-east-1\"".into()));
    let query = "X-Amz-Credential=K%2F20130524%2Feu-west-1%2Flambda%2Faws4_request";
    assert_eq!(read(&[], query), Ok("K \"eu-west-1\"".into()));
    assert_eq!(read(&[], ""), Err(SignatureError::Missing));
    assert!(matches!(read(&[("authorization", "Basic dTpw")], ""), Err(SignatureError::Incomplete(_))));
    let error = Claim::read(&head("GET", "/", "", &[("authorization", credential)])).map(|_| ());
    assert!(matches!(error, Err(SignatureError::Incomplete(_))));
}

#[test]
fn no_authorization_header_makes_reading_panic() {
    let pieces =
        ["AWS4-HMAC-SHA256", " ", "Credential=", "/", "=", ",", "SignedHeaders=host", "Signature=", "é", "%"];
    let mut state = 1u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..12 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text += pieces[(state >> 33) as usize % pieces.len()];
        }
        let head = head("GET", &text, &text, &[("authorization", &text), ("host", "h"), ("date", &text)]);
        if let Ok(claim) = Claim::read(&head) {
            let _ = claim.verify(&head, Bytes::from(text), SECRET, THEN);
        }
    }
}
