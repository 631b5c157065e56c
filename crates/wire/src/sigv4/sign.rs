//! Signing requests, for our own client and for tests.

use ::http::HeaderValue;
use ::http::header::{AUTHORIZATION, HOST};
use base::clock::Timestamp;

use super::canonical::{self, Query};
use super::key::{ALGORITHM, Moment, SigningKey, hash_hex, scope_text, string_to_sign};
use super::{CredentialScope, SignatureError};
use crate::http::Head;

/// Headers that proxies may change, and that SDKs therefore do not sign.
const NOT_SIGNED: &[&str] = &[
    "authorization",
    "connection",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-amzn-trace-id",
];

/// A key to sign with.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// The access key id.
    pub access_key: &'a str,
    /// The secret.
    pub secret: &'a str,
    /// The session token of temporary credentials.
    pub session_token: Option<&'a str>,
}

/// Signs a request: adds `x-amz-date`, `x-amz-security-token` and `authorization` to its headers.
///
/// The head must carry `host`. Fails when a credential cannot stand in a header.
pub fn sign(
    head: &mut Head,
    body: &[u8],
    credentials: Credentials<'_>,
    region: &str,
    service: &str,
    now: Timestamp,
) -> Result<(), SignatureError> {
    let moment = Moment::of(now);
    let scope =
        CredentialScope { date: moment.date().into(), region: region.into(), service: service.into() };
    head.headers.insert("x-amz-date", value(&moment.text)?);
    if let Some(token) = credentials.session_token {
        head.headers.insert("x-amz-security-token", value(token)?);
    }
    if !head.headers.contains_key(HOST) {
        return Err(SignatureError::Incomplete("The request has no 'Host' header.".into()));
    }
    let mut signed: Vec<String> = head.headers.keys().map(|name| name.as_str().to_owned()).collect();
    signed.retain(|name| !NOT_SIGNED.contains(&name.as_str()));
    signed.sort();
    let declared = head.header("x-amz-content-sha256").map(str::to_owned);
    let payload = declared.unwrap_or_else(|| hash_hex(body));
    let request = canonical::request(head, Query::Whole, &signed, service, &payload);
    let signature =
        SigningKey::derive(credentials.secret, &scope).sign(&string_to_sign(&moment, &scope, &request));
    let authorization = format!(
        "{ALGORITHM} Credential={}/{}, SignedHeaders={}, Signature={signature}",
        credentials.access_key,
        scope_text(&scope),
        signed.join(";")
    );
    head.headers.insert(AUTHORIZATION, value(&authorization)?);
    Ok(())
}

fn value(text: &str) -> Result<HeaderValue, SignatureError> {
    HeaderValue::from_str(text)
        .map_err(|_| SignatureError::Incomplete("A credential cannot stand in a header.".into()))
}
