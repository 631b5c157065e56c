//! What the targets share: readable inputs, so that seeds are files that people can write.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use wire::http::Head;

/// Reads `METHOD path?query`, lines of headers, an empty line and a body. `None` for what no HTTP parser lets through.
pub fn request(data: &[u8]) -> Option<(Head, Bytes)> {
    let split = data.windows(2).position(|pair| pair == b"\n\n").unwrap_or(data.len());
    let body = Bytes::copy_from_slice(data.get(split + 2..).unwrap_or_default());
    let mut lines = data[..split].split(|byte| *byte == b'\n');
    let mut first = lines.next()?.splitn(2, |byte| *byte == b' ');
    let method = Method::from_bytes(first.next()?).ok()?;
    let uri: http::Uri = std::str::from_utf8(first.next()?).ok()?.parse().ok()?;
    let mut headers = HeaderMap::new();
    for line in lines.take(100) {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        headers.append(name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?);
    }
    let query = uri.query().unwrap_or_default().to_owned();
    Some((Head { method, path: uri.path().to_owned(), query, headers }, body))
}

/// The first byte as a choice, and the rest.
pub fn choice(data: &[u8]) -> Option<(u8, &[u8])> {
    data.split_first().map(|(choice, rest)| (*choice, rest))
}
