//! Reading the signature of a request, from its Authorization header or from its query.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::chunked::Framing;
use super::key::{ALGORITHM, Moment, TERMINATOR};
use super::{Claim, CredentialScope, Payload, Presented, SignatureError, canonical};
use crate::http::Head;

/// Longest life of a presigned request. Source: Signature Version 4 documentation, `X-Amz-Expires`.
const LONGEST_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Reads whichever of the two is there; a header wins.
pub fn read(head: &Head) -> Result<Claim, SignatureError> {
    if let Some(header) = head.headers.get(::http::header::AUTHORIZATION) {
        return from_header(
            head,
            header.to_str().map_err(|_| incomplete("Authorization header is not ASCII."))?,
        );
    }
    let query: Vec<(String, String)> =
        head.query_pairs().filter(|(name, _)| name.starts_with("X-Amz-")).collect();
    if query.is_empty() { Err(SignatureError::Missing) } else { from_query(head, &query) }
}

/// Reads the credential alone.
pub fn presented(head: &Head) -> Result<Presented, SignatureError> {
    let header = head.headers.get(::http::header::AUTHORIZATION);
    let (credential, token) = match header.map(|header| header.to_str().unwrap_or_default()) {
        Some(header) => {
            let (_, parameters) = header.split_once(' ').unwrap_or((header, ""));
            let Some(credential) = parameter(parameters, "Credential") else {
                return Err(lacking(
                    header,
                    &[(true, "Authorization header requires 'Credential' parameter. ")],
                ));
            };
            (credential.to_owned(), head.header("x-amz-security-token").map(str::to_owned))
        }
        None => {
            let pair = |name: &str| head.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value);
            (pair("X-Amz-Credential").ok_or(SignatureError::Missing)?, pair("X-Amz-Security-Token"))
        }
    };
    let (access_key, scope) = credential_of(&credential)?;
    let framing = match payload(head.header("x-amz-content-sha256"), Payload::Hashed)? {
        Payload::Framed(framing) => Some(framing),
        _ => None,
    };
    Ok(Presented { access_key, scope, security_token: token, framing })
}

/// A parameter of the Authorization header.
fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = parameters.split(',').filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.trim())
}

/// The header itself may hold somebody's password, so only its hash is told.
fn lacking(header: &str, lacks: &[(bool, &str)]) -> SignatureError {
    let lacks: String = lacks.iter().filter(|(lacks, _)| *lacks).map(|(_, text)| *text).collect();
    let hash = STANDARD.encode(Sha256::digest(header));
    incomplete(format!("{lacks}(Hashed with SHA-256 and encoded with Base64) Authorization={hash}"))
}

fn incomplete(text: impl Into<String>) -> SignatureError {
    SignatureError::Incomplete(text.into())
}

fn from_header(head: &Head, header: &str) -> Result<Claim, SignatureError> {
    let (algorithm, parameters) = header.split_once(' ').unwrap_or((header, ""));
    if algorithm.starts_with("AWS4-") && algorithm != ALGORITHM {
        return Err(incomplete(format!("Unsupported AWS 'algorithm': '{algorithm}'.")));
    }
    let (signature, signed) = (parameter(parameters, "Signature"), parameter(parameters, "SignedHeaders"));
    let credential = parameter(parameters, "Credential");
    let moment = moment_of(head);
    let (Some(credential), Some(signature), Some(signed), Some(moment)) =
        (credential, signature, signed, moment.clone())
    else {
        return Err(lacking(
            header,
            &[
                (credential.is_none(), "Authorization header requires 'Credential' parameter. "),
                (signature.is_none(), "Authorization header requires 'Signature' parameter. "),
                (signed.is_none(), "Authorization header requires 'SignedHeaders' parameter. "),
                (
                    moment.is_none(),
                    "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ",
                ),
            ],
        ));
    };
    let (_, scope) = credential_of(credential)?;
    Ok(Claim {
        moment: dated(moment, &scope)?,
        expires: None,
        signed_headers: signed_headers(signed)?,
        signature: signature.to_owned(),
        payload: payload(head.header("x-amz-content-sha256"), Payload::Hashed)?,
        presented: presented(head)?,
    })
}

fn from_query(head: &Head, query: &[(String, String)]) -> Result<Claim, SignatureError> {
    let parameter = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let due = |name: &str| {
        parameter(name).ok_or_else(|| {
            incomplete(format!(
                "AWS query-string parameters must include '{name}'. Re-examine the query-string parameters."
            ))
        })
    };
    let algorithm = due("X-Amz-Algorithm")?;
    if algorithm != ALGORITHM {
        return Err(incomplete(format!("Unsupported AWS 'algorithm': '{algorithm}'.")));
    }
    let (_, scope) = credential_of(due("X-Amz-Credential")?)?;
    let date = due("X-Amz-Date")?;
    let moment = Moment::parse(date).ok_or_else(|| {
        incomplete(format!(
            "Date must be in ISO-8601 'basic format'. Got '{date}'. See http://en.wikipedia.org/wiki/ISO_8601"
        ))
    })?;
    let expires = due("X-Amz-Expires")?;
    let expires = expires.parse().map(Duration::from_secs).ok().filter(|life| *life <= LONGEST_LIFE);
    let expires = expires.ok_or_else(|| {
        incomplete("X-Amz-Expires must be a number of seconds less than a week (604800 seconds).")
    })?;
    // Who presigns for S3 cannot know the body; elsewhere the body is part of what was signed.
    let otherwise = if scope.service == "s3" { Payload::Unsigned } else { Payload::Hashed };
    let hash = head.header("x-amz-content-sha256").or(parameter("X-Amz-Content-Sha256"));
    Ok(Claim {
        moment: dated(moment, &scope)?,
        expires: Some(expires),
        signed_headers: signed_headers(due("X-Amz-SignedHeaders")?)?,
        signature: due(canonical::SIGNATURE_PARAMETER)?.to_owned(),
        payload: payload(hash, otherwise)?,
        presented: presented(head)?,
    })
}

fn moment_of(head: &Head) -> Option<Moment> {
    match head.header("x-amz-date") {
        Some(text) => Moment::parse(text),
        None => {
            let date = head.header("date")?;
            Moment::parse(date).or_else(|| Moment::from_http_date(date))
        }
    }
}

/// `AKID/20260901/eu-central-1/lambda/aws4_request`; a key id may itself hold slashes.
fn credential_of(credential: &str) -> Result<(String, CredentialScope), SignatureError> {
    let mut parts = credential.rsplitn(5, '/');
    let (Some(terminator), Some(service), Some(region), Some(date), Some(access_key)) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, \
             got '{credential}'"
        )));
    };
    if terminator != TERMINATOR {
        return Err(SignatureError::OutOfScope(format!(
            "Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{terminator}'."
        )));
    }
    let scope = CredentialScope { date: date.into(), region: region.into(), service: service.into() };
    Ok((access_key.to_owned(), scope))
}

fn dated(moment: Moment, scope: &CredentialScope) -> Result<Moment, SignatureError> {
    if moment.date() == scope.date {
        return Ok(moment);
    }
    Err(SignatureError::OutOfScope(format!(
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{}', \
         from '{}'.",
        scope.date,
        moment.date(),
        moment.text
    )))
}

/// The host must be signed, or a request could be carried to another endpoint.
fn signed_headers(list: &str) -> Result<Vec<String>, SignatureError> {
    let names: Vec<String> = list.split(';').map(str::to_ascii_lowercase).collect();
    if names.iter().any(|name| name == "host") {
        Ok(names)
    } else {
        Err(SignatureError::OutOfScope(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".into(),
        ))
    }
}

fn payload(declared: Option<&str>, otherwise: Payload) -> Result<Payload, SignatureError> {
    match declared {
        None => Ok(otherwise),
        Some(canonical::UNSIGNED) => Ok(Payload::Unsigned),
        Some(text) if text.starts_with("STREAMING-") => Framing::parse(text)
            .map(Payload::Framed)
            .ok_or_else(|| incomplete(format!("Unsupported 'X-Amz-Content-Sha256': '{text}'."))),
        Some(hash) => Ok(Payload::Declared(hash.to_ascii_lowercase())),
    }
}
