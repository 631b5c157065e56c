//! Requests and answers as HTTP carries them, without the connection.

use std::fmt;
use std::pin::Pin;

use ::http::header::HOST;
use ::http::request::Parts;
use ::http::{HeaderMap, Method};
use bytes::Bytes;
use futures_util::Stream;

/// A request's head as the client wrote it: signatures cover the path and query before any decoding.
#[derive(Debug, Clone)]
pub struct Head {
    /// The method.
    pub method: Method,
    /// The path, still percent-encoded.
    pub path: String,
    /// What follows the question mark, still percent-encoded; may be empty.
    pub query: String,
    /// All headers.
    pub headers: HeaderMap,
}

/// An answer.
pub type Response = ::http::Response<Body>;

/// The body of an answer.
pub enum Body {
    /// All of it.
    Whole(Bytes),
    /// Pieces that are to be sent when they are there.
    Pieces(Pieces),
}

/// Pieces of a body, in order.
pub type Pieces = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

impl Body {
    /// The whole body, where it is there.
    pub fn whole(&self) -> Option<&Bytes> {
        match self {
            Self::Whole(bytes) => Some(bytes),
            Self::Pieces(_) => None,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Self::Pieces(_) => f.write_str("Pieces"),
        }
    }
}

impl Head {
    /// The head of an HTTP request that is needed further.
    pub fn of(parts: &Parts) -> Self {
        Self::from(parts.clone())
    }

    /// The header's value as text; `None` when it is absent or not visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The query's pairs in order, decoded; a pair that is not UTF-8 when decoded is left out.
    pub fn query_pairs(&self) -> impl Iterator<Item = (String, String)> {
        pairs(&self.query).filter_map(|(key, value)| Some((form_decoded(key)?, form_decoded(value)?)))
    }
}

impl From<Parts> for Head {
    /// For HTTP/2 the authority becomes the `host` header that signatures cover.
    fn from(Parts { method, uri, mut headers, .. }: Parts) -> Self {
        if !headers.contains_key(HOST)
            && let Some(authority) = uri.authority()
            && let Ok(host) = authority.as_str().parse()
        {
            headers.insert(HOST, host);
        }
        let query = uri.query().unwrap_or_default().to_owned();
        Self { method, path: uri.path().to_owned(), query, headers }
    }
}

/// A query's pairs in order, not decoded.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Decodes percent signs; `None` when the result is not UTF-8.
pub(crate) fn decoded(text: &str) -> Option<String> {
    Some(percent_encoding::percent_decode_str(text).decode_utf8().ok()?.into_owned())
}

/// Decodes percent signs, and plus signs as blanks, as servers read queries.
fn form_decoded(text: &str) -> Option<String> {
    if text.contains('+') { decoded(&text.replace('+', " ")) } else { decoded(text) }
}
