//! Who comes in: what a request shows of its sender, and whether a door believes it.

pub(crate) mod rules;

use access::{Caller, Gate, Shown, Stranger};
use base::arn::Region;
use base::clock::Timestamp;
use bytes::Bytes;
use wire::http::Head;
use wire::sigv4::{Claim, Presented, SignatureError};

use crate::body::Room;

/// A way into the APIs: it reads who a request says it is from, and decides whether that is so.
pub(crate) trait Entry: Send + Sync + 'static {
    /// What a request's head shows. Refuses those that show nothing.
    fn papers(&self, head: &Head) -> Result<Papers, SignatureError>;

    /// Who sent the request, and its body without frames.
    fn admit(
        &self,
        papers: &Papers,
        head: &Head,
        body: Bytes,
        now: Timestamp,
    ) -> Result<(Caller, Bytes), SignatureError>;

    /// Room for the bodies that come in this way.
    fn room(&self) -> &Room;

    /// Host and port that links in answers lead to.
    fn host<'a>(&'a self, head: &'a Head) -> &'a str;
}

/// What a request shows of its sender and its destination.
#[derive(Debug)]
pub(crate) enum Papers {
    /// A whole signature, which can be verified.
    Signed(Claim),
    /// A credential, which is believed. No web page sends one along unasked.
    Shown(Presented),
}

impl Papers {
    /// The service in the signature's scope.
    pub(crate) fn service(&self) -> &str {
        &self.presented().scope.service
    }

    /// The region in the signature's scope, where it is one.
    pub(crate) fn region(&self) -> Option<Region> {
        self.presented().scope.region.parse().ok()
    }

    fn presented(&self) -> &Presented {
        match self {
            Self::Signed(claim) => &claim.presented,
            Self::Shown(presented) => presented,
        }
    }

    /// The body without frames, believed as it is.
    pub(crate) fn believe(&self, body: Bytes) -> Result<Bytes, SignatureError> {
        self.presented().body(body)
    }

    /// Asks the gate; a closed one verifies the signature.
    pub(crate) fn identify(
        &self,
        gate: &Gate,
        head: &Head,
        body: Bytes,
        now: Timestamp,
    ) -> Result<(Caller, Bytes), SignatureError> {
        let presented = self.presented();
        let shown = Shown {
            access_key: &presented.access_key,
            token: presented.security_token.as_deref(),
            region: &presented.scope.region,
        };
        let mut proven = None;
        let identified = gate.identify(shown, |secret| {
            let Self::Signed(claim) = self else { return Err(SignatureError::Missing) };
            proven = Some(claim.verify(head, body.clone(), secret.expose(), now)?);
            Ok(())
        });
        let caller = identified.map_err(|stranger| match stranger {
            Stranger::UnknownKey | Stranger::WrongToken => SignatureError::UnknownKey,
            Stranger::Region => SignatureError::OutOfScope(format!(
                "Credential should be scoped to a valid region, not '{}'.",
                presented.scope.region
            )),
            Stranger::Signature(error) => error,
        })?;
        let body = match proven {
            Some(body) => body,
            None => self.believe(body)?,
        };
        Ok((caller, body))
    }
}
