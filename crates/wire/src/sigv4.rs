//! Signature Version 4: reading, verifying and making signatures.
//!
//! Source: "AWS Signature Version 4 for API requests", and for bodies in chunks "Signature calculations for the
//! Authorization header: transferring payload in multiple chunks". Which keys are good is for `access` to say.

mod authorization;
mod canonical;
mod chunked;
mod key;
mod sign;

use std::time::Duration;

use ::http::StatusCode;
use base::clock::Timestamp;
use base::limits;
use bytes::Bytes;

use self::canonical::Query;
use self::chunked::{Framing, Trail};
use self::key::{Moment, SigningKey, hash_hex};
use crate::error::ServiceError;
use crate::http::Head;
use crate::schema::Protocol;

pub use self::sign::{Credentials, sign};

/// What a request shows of its sender, without proof: for endpoints that take any key.
///
/// A signature need not be there, so that a hand-written Authorization header will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// The access key id.
    pub access_key: String,
    /// What the signature is good for.
    pub scope: CredentialScope,
    /// The session token of temporary credentials.
    pub security_token: Option<String>,
    framing: Option<Framing>,
}

/// What a signed request says of itself. Nothing of it is proven until [`Claim::verify`] says so.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Who is said to have signed, and for what.
    pub presented: Presented,
    moment: Moment,
    /// How long a presigned request is good for; `None` for a signature in the headers.
    expires: Option<Duration>,
    signed_headers: Vec<String>,
    signature: String,
    payload: Payload,
}

/// The scope of a signature: `20260901/eu-central-1/lambda/aws4_request`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialScope {
    /// `YYYYMMDD`
    pub date: String,
    /// The region.
    pub region: String,
    /// The service's signing name.
    pub service: String,
}

/// What the signature covers of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Payload {
    /// The hash of the body, which the request does not repeat.
    Hashed,
    /// This hash, which must be the body's.
    Declared(String),
    /// Nothing; this is what stands in the place of the hash.
    Unsigned,
    /// The body comes in frames; this is what stands in the place of the hash.
    Framed(Framing),
}

/// A signature is missing, cannot be read, or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The request carries no signature.
    #[error("Missing Authentication Token")]
    Missing,
    /// The signature lacks parts, or they are not what they should be.
    #[error("{0}")]
    Incomplete(String),
    /// The key is not known, or its session token does not belong to it.
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    /// The session token is past its end.
    #[error("The security token included in the request is expired")]
    ExpiredToken,
    /// Another key or another request was signed.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
         Access Key and signing method. Consult the service documentation for details."
    )]
    Mismatch,
    /// The signature was made too long ago, too far in the future, or for another scope.
    #[error("{0}")]
    OutOfScope(String),
    /// The frames of a chunked body cannot be read.
    #[error("The chunked body is malformed: {0}")]
    Framing(&'static str),
}

impl SignatureError {
    /// The error as clients of that protocol see it: REST services answer 403, JSON services 400.
    pub fn told(&self, protocol: Protocol) -> ServiceError {
        let code = match self {
            Self::Missing => "MissingAuthenticationTokenException",
            Self::Incomplete(_) => "IncompleteSignatureException",
            Self::UnknownKey => "UnrecognizedClientException",
            Self::ExpiredToken => "ExpiredTokenException",
            Self::Mismatch | Self::OutOfScope(_) => "InvalidSignatureException",
            Self::Framing(_) => "InvalidChunkSizeException",
        };
        let status = match (self, protocol) {
            (Self::Framing(_), _) | (_, Protocol::AwsJson(_)) => StatusCode::BAD_REQUEST,
            (_, Protocol::RestJson) => StatusCode::FORBIDDEN,
        };
        ServiceError::plain(status, code, self.to_string())
    }
}

impl Presented {
    /// Reads the credential from the Authorization header or from a presigned query.
    pub fn read(head: &Head) -> Result<Self, SignatureError> {
        authorization::presented(head)
    }

    /// The body without its frames, believed as it is.
    pub fn body(&self, body: Bytes) -> Result<Bytes, SignatureError> {
        match self.framing {
            Some(framing) => chunked::decode(framing, &body, None),
            None => Ok(body),
        }
    }
}

impl Claim {
    /// Reads a signature from the Authorization header or from a presigned query.
    pub fn read(head: &Head) -> Result<Self, SignatureError> {
        authorization::read(head)
    }

    /// Proves the claim with the key's secret, and gives the body without its frames.
    ///
    /// Fails with [`SignatureError::OutOfScope`] when `now` is more than [`limits::SIGNATURE_SKEW`] off, and with
    /// [`SignatureError::Mismatch`] when the request is not what was signed.
    pub fn verify(
        &self,
        head: &Head,
        body: Bytes,
        secret: &str,
        now: Timestamp,
    ) -> Result<Bytes, SignatureError> {
        self.in_time(now)?;
        let scope = &self.presented.scope;
        let payload = match &self.payload {
            Payload::Hashed => hash_hex(&body),
            Payload::Declared(declared) if *declared == hash_hex(&body) => declared.clone(),
            Payload::Declared(_) => return Err(SignatureError::Mismatch),
            Payload::Unsigned => canonical::UNSIGNED.to_owned(),
            Payload::Framed(framing) => framing.as_str().to_owned(),
        };
        let query = if self.expires.is_some() { Query::Presigned } else { Query::Whole };
        let request = canonical::request(head, query, &self.signed_headers, &scope.service, &payload);
        let key = SigningKey::derive(secret, scope);
        key.verify(&key::string_to_sign(&self.moment, scope, &request), &self.signature)?;
        match &self.payload {
            Payload::Framed(framing) => {
                let trail = Trail { key, moment: &self.moment, scope, previous: &self.signature };
                chunked::decode(*framing, &body, Some(trail))
            }
            _ => Ok(body),
        }
    }

    fn in_time(&self, now: Timestamp) -> Result<(), SignatureError> {
        let signed = self.moment.at;
        let life = self.expires.unwrap_or(limits::SIGNATURE_SKEW);
        let show = |moment: Timestamp| key::iso_basic(moment);
        if now.since(signed) > life {
            let earliest = Timestamp::from_micros(now.as_micros() - micros(life));
            return Err(SignatureError::OutOfScope(format!(
                "Signature expired: {} is now earlier than {} ({} - {} min.)",
                show(signed),
                show(earliest),
                show(now),
                life.as_secs() / 60
            )));
        }
        if signed.since(now) > limits::SIGNATURE_SKEW {
            return Err(SignatureError::OutOfScope(format!(
                "Signature not yet current: {} is still later than {} ({} + {} min.)",
                show(signed),
                show(now + limits::SIGNATURE_SKEW),
                show(now),
                limits::SIGNATURE_SKEW.as_secs() / 60
            )));
        }
        Ok(())
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
