//! Bodies in frames (`aws-chunked`), with or without a signature a chunk, with or without a trailer.

use bytes::{Bytes, BytesMut};

use super::key::{Moment, SigningKey, hash_hex, scope_text};
use super::{CredentialScope, SignatureError};

/// Longest line in frames: a chunk's head or a trailer, in bytes. Ours.
const LONGEST_LINE: usize = 4096;
/// Most lines of trailer. Ours.
const MOST_TRAILERS: usize = 32;

/// The forms of framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// A signature a chunk.
    Signed,
    /// A signature a chunk, and one for the trailer.
    SignedTrailer,
    /// No signatures, a trailer.
    UnsignedTrailer,
}

/// What the signature of the next chunk continues.
pub struct Trail<'a> {
    /// The key of the request's scope.
    pub key: SigningKey,
    /// When the request was signed.
    pub moment: &'a Moment,
    /// The request's scope.
    pub scope: &'a CredentialScope,
    /// The signature before, at first that of the request's head.
    pub previous: &'a str,
}

impl Framing {
    /// As `x-amz-content-sha256` names it.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Signed, Self::SignedTrailer, Self::UnsignedTrailer]
            .into_iter()
            .find(|form| form.as_str() == text)
    }

    /// As `x-amz-content-sha256` names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signed => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            Self::SignedTrailer => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            Self::UnsignedTrailer => "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        }
    }

    fn has_trailer(self) -> bool {
        self != Self::Signed
    }
}

/// Takes a body out of its frames; with a trail, verifies every signature on the way.
pub fn decode(framing: Framing, body: &Bytes, trail: Option<Trail<'_>>) -> Result<Bytes, SignatureError> {
    let trail = trail.filter(|_| framing != Framing::UnsignedTrailer);
    let mut rest: &[u8] = body;
    let mut out = BytesMut::with_capacity(body.len());
    let mut previous = trail.as_ref().map(|trail| trail.previous.to_owned()).unwrap_or_default();
    loop {
        let (size, signature) = chunk_head(line(&mut rest)?)?;
        let data =
            rest.split_off(..size).ok_or(SignatureError::Framing("a chunk is shorter than its size"))?;
        if let Some(trail) = &trail {
            let text = chunk_text(trail, &previous, data);
            trail.key.verify(&text, signature)?;
            previous = signature.to_owned();
        }
        if size == 0 {
            break;
        }
        out.extend_from_slice(data);
        if !line(&mut rest)?.is_empty() {
            return Err(SignatureError::Framing("a chunk is longer than its size"));
        }
    }
    if framing.has_trailer() {
        trailer(rest, trail.as_ref(), &previous)?;
    }
    Ok(out.freeze())
}

/// The next line, without its end.
fn line<'a>(rest: &mut &'a [u8]) -> Result<&'a str, SignatureError> {
    let window = &rest[..rest.len().min(LONGEST_LINE)];
    let end = window.windows(2).position(|pair| pair == b"\r\n");
    let end = end.ok_or(SignatureError::Framing("a line has no end"))?;
    let line =
        std::str::from_utf8(&rest[..end]).map_err(|_| SignatureError::Framing("a line is not text"))?;
    *rest = &rest[end + 2..];
    Ok(line)
}

/// `10000;chunk-signature=<64 digits>` or `10000`.
fn chunk_head(line: &str) -> Result<(usize, &str), SignatureError> {
    let (size, extension) = line.split_once(';').unwrap_or((line, ""));
    let size = usize::from_str_radix(size.trim(), 16)
        .map_err(|_| SignatureError::Framing("a chunk's size is not a hexadecimal number"))?;
    Ok((size, extension.trim().strip_prefix("chunk-signature=").unwrap_or_default()))
}

fn chunk_text(trail: &Trail<'_>, previous: &str, data: &[u8]) -> String {
    let (moment, scope) = (&trail.moment.text, scope_text(trail.scope));
    let (nothing, data) = (hash_hex(b""), hash_hex(data));
    format!("AWS4-HMAC-SHA256-PAYLOAD\n{moment}\n{scope}\n{previous}\n{nothing}\n{data}")
}

/// Lines of `name:value` up to an empty one; the signature's own line covers those before it.
fn trailer(mut rest: &[u8], trail: Option<&Trail<'_>>, previous: &str) -> Result<(), SignatureError> {
    let (mut covered, mut signature) = (String::new(), None);
    for _ in 0..MOST_TRAILERS {
        // Some clients end the body without the last empty line.
        let line = if rest.is_empty() { "" } else { line(&mut rest)? };
        if line.is_empty() {
            return match (trail, signature) {
                (None, _) => Ok(()),
                (Some(trail), Some(signature)) => {
                    trail.key.verify(&trailer_text(trail, previous, &covered), signature)
                }
                (Some(_), None) => Err(SignatureError::Mismatch),
            };
        }
        let (name, value) = line.split_once(':').ok_or(SignatureError::Framing("a trailer has no value"))?;
        if name.trim().eq_ignore_ascii_case("x-amz-trailer-signature") {
            signature = Some(value.trim());
        } else {
            covered += &format!("{}:{}\n", name.trim().to_ascii_lowercase(), value.trim());
        }
    }
    Err(SignatureError::Framing("the trailer has no end"))
}

fn trailer_text(trail: &Trail<'_>, previous: &str, covered: &str) -> String {
    let (moment, scope) = (&trail.moment.text, scope_text(trail.scope));
    format!("AWS4-HMAC-SHA256-TRAILER\n{moment}\n{scope}\n{previous}\n{}", hash_hex(covered.as_bytes()))
}
