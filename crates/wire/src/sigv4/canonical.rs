//! The canonical form of a request: what client and server must agree on to the byte.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use crate::http::{Head, pairs};

/// Stands for the hash of a body that is not signed.
pub const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// The parameter of a presigned query that the signature cannot cover.
pub const SIGNATURE_PARAMETER: &str = "X-Amz-Signature";

/// Everything but `A-Z a-z 0-9 - . _ ~`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same for paths, whose slashes stay.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// Which parameters of the query are covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    /// All.
    Whole,
    /// All but the signature itself.
    Presigned,
}

/// The canonical request.
pub fn request(
    head: &Head,
    covered: Query,
    signed_headers: &[String],
    service: &str,
    payload: &str,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    out.extend(head.method.as_str().bytes());
    out.push(b'\n');
    out.extend(path(&head.path, service).bytes());
    out.push(b'\n');
    out.extend(query(&head.query, covered).bytes());
    out.push(b'\n');
    for name in signed_headers {
        out.extend(name.bytes());
        out.push(b':');
        header(&mut out, head, name);
        out.push(b'\n');
    }
    out.push(b'\n');
    out.extend(signed_headers.join(";").bytes());
    out.push(b'\n');
    out.extend(payload.bytes());
    out
}

/// Paths are encoded once more than they came, after dots and doubled slashes are resolved; on S3 neither.
fn path(path: &str, service: &str) -> String {
    if service == "s3" {
        let decoded: Vec<u8> = percent_decode_str(path).collect();
        return percent_encode(&decoded, RESERVED_IN_PATH).to_string();
    }
    percent_encode(resolved(path).as_bytes(), RESERVED_IN_PATH).to_string()
}

fn resolved(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    let last = if path.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    format!("/{}{last}", segments.join("/"))
}

/// Pairs are sorted by their encoded form, name first. A plus sign is a blank, as those who send one sign it.
fn query(query: &str, covered: Query) -> String {
    let encoded = |text: &str| {
        let decoded: Vec<u8> = percent_decode_str(&text.replace('+', " ")).collect();
        percent_encode(&decoded, RESERVED).to_string()
    };
    let mut sorted: Vec<(String, String)> =
        pairs(query).map(|(name, value)| (encoded(name), encoded(value))).collect();
    if covered == Query::Presigned {
        sorted.retain(|(name, _)| name != SIGNATURE_PARAMETER);
    }
    sorted.sort();
    let joined: Vec<String> = sorted.iter().map(|(name, value)| format!("{name}={value}")).collect();
    joined.join("&")
}

/// Values without blanks around them and with single blanks inside; of several, all, with commas between.
fn header(out: &mut Vec<u8>, head: &Head, name: &str) {
    for (at, value) in head.headers.get_all(name).iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let words = value.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        for (at, word) in words.enumerate() {
            if at > 0 {
                out.push(b' ');
            }
            out.extend(word);
        }
    }
}
