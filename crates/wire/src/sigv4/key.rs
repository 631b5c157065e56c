//! Hashes, signing keys, and the string that is signed.

use base::clock::Timestamp;
use chrono::NaiveDateTime;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::{CredentialScope, SignatureError};

/// The one algorithm.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Ends every scope.
pub const TERMINATOR: &str = "aws4_request";

const ISO_BASIC: &str = "%Y%m%dT%H%M%SZ";

/// When a request was signed, with the text that was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// `20260901T100000Z`
    pub text: String,
    /// The same as a moment.
    pub at: Timestamp,
}

impl Moment {
    /// Reads `20260901T100000Z`.
    pub fn parse(text: &str) -> Option<Self> {
        let at = NaiveDateTime::parse_from_str(text, ISO_BASIC).ok()?.and_utc();
        Some(Self { text: text.to_owned(), at: Timestamp::from_millis(at.timestamp_millis()) })
    }

    /// Reads the `Date` header, which the string to sign has in ISO form.
    pub fn from_http_date(text: &str) -> Option<Self> {
        let at = NaiveDateTime::parse_from_str(text, "%a, %d %b %Y %H:%M:%S GMT").ok()?.and_utc();
        Some(Self::of(Timestamp::from_millis(at.timestamp_millis())))
    }

    /// A moment with its text.
    pub fn of(at: Timestamp) -> Self {
        Self { text: iso_basic(at), at }
    }

    /// `20260901`
    pub fn date(&self) -> &str {
        self.text.get(..8).unwrap_or_default()
    }
}

/// `20260901T100000Z`
pub fn iso_basic(moment: Timestamp) -> String {
    moment.to_utc().format(ISO_BASIC).to_string()
}

/// SHA-256 in lower-case hexadecimal digits.
pub fn hash_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// `20260901/eu-central-1/lambda/aws4_request`
pub fn scope_text(scope: &CredentialScope) -> String {
    format!("{}/{}/{}/{TERMINATOR}", scope.date, scope.region, scope.service)
}

/// What is signed of a canonical request.
pub fn string_to_sign(moment: &Moment, scope: &CredentialScope, request: &[u8]) -> String {
    format!("{ALGORITHM}\n{}\n{}\n{}", moment.text, scope_text(scope), hash_hex(request))
}

/// A secret narrowed to one scope.
pub struct SigningKey([u8; 32]);

impl SigningKey {
    /// Derives it.
    pub fn derive(secret: &str, scope: &CredentialScope) -> Self {
        let date = mac(format!("AWS4{secret}").as_bytes(), scope.date.as_bytes());
        let region = mac(&date, scope.region.as_bytes());
        let service = mac(&region, scope.service.as_bytes());
        Self(mac(&service, TERMINATOR.as_bytes()))
    }

    /// The signature of a text, in hexadecimal digits.
    pub fn sign(&self, text: &str) -> String {
        hex::encode(mac(&self.0, text.as_bytes()))
    }

    /// Compares in constant time.
    pub fn verify(&self, text: &str, signature: &str) -> Result<(), SignatureError> {
        let given = hex::decode(signature).map_err(|_| SignatureError::Mismatch)?;
        keyed(&self.0)
            .chain_update(text.as_bytes())
            .verify_slice(&given)
            .map_err(|_| SignatureError::Mismatch)
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    keyed(key).chain_update(text).finalize().into_bytes().into()
}
