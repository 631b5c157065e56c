//! Requests of those who do not use an SDK.

use super::dice::Dice;
use super::request::{Kind, Request, encoded};

const METHODS: [&str; 10] =
    ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "get", "BREW"];
const SEGMENTS: [&str; 16] = [
    "%",
    "%4",
    "%GG",
    "%00",
    "%FF%FE",
    "%2F..%2F",
    "..",
    ".",
    "",
    "%25%34%31",
    "a+b",
    "%F0%9F%8D%B5",
    "{FunctionName}",
    "a%0D%0Ab",
    ";a=b",
    "~!*'(),",
];
const QUERIES: [&str; 14] = [
    "?",
    "?&&&",
    "?=",
    "?Qualifier",
    "?Qualifier=",
    "?Qualifier=1&Qualifier=2",
    "?MaxItems=%FF",
    "?MaxItems=-1",
    "?MaxItems=99999999999999999999",
    "?Marker=%00",
    "?List=ALL&List=NONE",
    "?X-Amz-Signature=0&X-Amz-Credential=a/b/c/d/e&X-Amz-Algorithm=AWS4-HMAC-SHA256",
    "?FunctionVersion=all",
    "?tagKeys=a&tagKeys=&tagKeys=%F0%9F%8D%B5",
];
const PATHS: [&str; 14] = [
    "/",
    "//",
    "*",
    "/_samovar/health",
    "/_samovar/",
    "/_samovar/code/0",
    "/2015-03-31/functions/",
    "/2015-03-31/functions//",
    "/2015-03-31/functions/anise/invocations/",
    "/2014-11-13/functions/anise/invoke-async/",
    "/2015-03-31/functions/anise/policy/%20",
    "/2018-10-31/layers/moss/versions/-1",
    "/2018-10-31/layers/moss/versions/99999999999999999999",
    "http://elsewhere.example/2015-03-31/functions",
];
const AUTHORIZATIONS: [&str; 9] = [
    "",
    "Basic dGVhOnRlYQ==",
    "AWS4-HMAC-SHA256",
    "AWS4-HMAC-SHA256 Credential=, SignedHeaders=, Signature=",
    "AWS4-HMAC-SHA256 Credential=a/b/c/d, SignedHeaders=host, Signature=0",
    "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0",
    "AWS4-HMAC-SHA256 Credential=000000000000/20260101/nowhere/lambda/aws4_request, SignedHeaders=host, Signature=0",
    "AWS4-HMAC-SHA256 Credential=\u{1F375}/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0",
    "AWS4-ECDSA-P256-SHA256 Credential=000000000000/20260101/lambda/aws4_request, SignedHeaders=host, Signature=0",
];
const HEADERS: [(&str, &str); 18] = [
    ("X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
    ("X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
    ("X-Amz-Content-Sha256", "0"),
    ("X-Amz-Target", "Logs_20140328.DescribeLogGroups"),
    ("X-Amz-Target", "Lambda.ListFunctions"),
    ("X-Amz-Target", "."),
    ("X-Amz-Invocation-Type", "Later"),
    ("X-Amz-Log-Type", "tail"),
    ("X-Amz-Client-Context", "{"),
    ("X-Amzn-Trace-Id", "Root=1;Parent;;Sampled=\u{1F375}"),
    ("Content-Type", "application/cbor"),
    ("Content-Encoding", "gzip"),
    ("Expect", "100-continue"),
    ("Origin", "http://elsewhere.example"),
    ("Host", "elsewhere.example"),
    ("Upgrade", "h2c"),
    ("Range", "bytes=0-0"),
    ("X-Amz-Date", "yesterday"),
];
/// Framing that is wrong, or that the body does not follow.
const FRAMINGS: [&str; 12] = [
    "Content-Length: -1",
    "Content-Length: tea",
    "Content-Length: 0",
    "Content-Length: 18446744073709551616",
    "Content-Length: 2\r\nContent-Length: 3",
    "Content-Length: +2",
    "Content-Length: 3, 3",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: chunked\r\nContent-Length: 2",
    "X-Length: none",
];
const BODIES: [&str; 10] =
    ["", "{", "null", "[]", "\"a\"", "{}{}", "\u{feff}{}", "{\"a\":1,}", "\u{0}", "<xml/>"];
const LONG: [usize; 4] = [2_000, 20_000, 60_000, 200_000];
const DEPTH: usize = 60_000;

/// Makes a request hostile, in one or two ways.
pub fn spoil(request: &mut Request, dice: &mut Dice) {
    request.kind = Kind::Hostile;
    for _ in 0..1 + dice.below(2) {
        match dice.below(12) {
            0 => request.method = dice.pick(&METHODS).to_owned(),
            1 => request.target = dice.pick(&PATHS).to_owned(),
            2 => target(request, dice),
            3 => request.target += dice.pick(&QUERIES),
            4 => replace(request, "Authorization", dice.pick(&AUTHORIZATIONS).bytes().collect()),
            5 => {
                let (name, value) = HEADERS[dice.below(HEADERS.len())];
                replace(request, name, value.bytes().collect());
            }
            6 => headers(request, dice),
            7 => request.body = dice.pick(&BODIES).as_bytes().to_vec(),
            8 => body(request, dice),
            9 => framing(request, dice),
            10 => cut(request, dice),
            _ => noise(request, dice),
        }
    }
}

fn replace(request: &mut Request, name: &str, value: Vec<u8>) {
    request.headers.retain(|(taken, _)| !taken.eq_ignore_ascii_case(name));
    request.headers.push((name.to_owned(), value));
}

/// Puts something between two slashes.
fn target(request: &mut Request, dice: &mut Dice) {
    let mut segments: Vec<String> = request.target.split('/').map(str::to_owned).collect();
    let at = dice.below(segments.len());
    segments[at] = match dice.below(4) {
        0 => encoded(&"a".repeat(LONG[dice.below(LONG.len())])),
        1 => dice.bytes(12).iter().map(|byte| format!("%{byte:02x}")).collect(),
        _ => dice.pick(&SEGMENTS).to_owned(),
    };
    request.target = segments.join("/");
    if !request.target.starts_with('/') {
        request.target.insert(0, '/');
    }
}

fn headers(request: &mut Request, dice: &mut Dice) {
    match dice.below(5) {
        0 => request.headers.extend((0..150).map(|number| (format!("X-{number}"), b"1".to_vec()))),
        1 => replace(request, "X-Long", vec![b'a'; LONG[dice.below(LONG.len())]]),
        2 => replace(request, "X-Amz-Client-Context", dice.bytes(40)),
        3 => request.headers.retain(|(name, _)| name != "Host"),
        _ => request.headers.push(("Bad Name".into(), b"1".to_vec())),
    }
    request.kind = Kind::Broken;
}

fn body(request: &mut Request, dice: &mut Dice) {
    request.body = match dice.below(4) {
        0 => dice.bytes(200),
        1 => "[".repeat(DEPTH).into_bytes(),
        2 => "{\"a\":".repeat(DEPTH).into_bytes(),
        _ => format!("{{\"Tea\":[{}1]}}", "1,".repeat(DEPTH)).into_bytes(),
    };
}

/// A length that is not the body's, or an encoding that is not its own.
fn framing(request: &mut Request, dice: &mut Dice) {
    request.kind = Kind::Broken;
    request.declared = Some(match dice.below(4) {
        0 => format!("Content-Length: {}", request.body.len() + 1 + dice.below(1 << 20)),
        1 => format!("Content-Length: {}", dice.below(request.body.len() + 1)),
        _ => dice.pick(&FRAMINGS).to_owned(),
    });
}

/// Ends before its end.
fn cut(request: &mut Request, dice: &mut Dice) {
    request.kind = Kind::Broken;
    request.cut = Some(dice.below(request.bytes().len()));
}

/// Flips bits of the target's and the headers' bytes.
fn noise(request: &mut Request, dice: &mut Dice) {
    request.kind = Kind::Broken;
    for _ in 0..1 + dice.below(3) {
        let at = dice.below(request.headers.len());
        let Some((name, value)) = request.headers.get_mut(at) else { return };
        // Another key would be another account, whose functions nobody takes away.
        if name == "Authorization" {
            request.target.push(char::from(dice.below(256) as u8));
            continue;
        }
        let place = dice.below(value.len());
        let noise = dice.next() as u8;
        if let Some(byte) = value.get_mut(place) {
            *byte = noise;
        }
    }
}
