//! Errors as AWS clients see them.

use http::{HeaderName, HeaderValue, StatusCode};

use crate::value::Mismatch;

/// An error answer: everything a codec needs to write it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{code}: {}", message.as_deref().unwrap_or_default())]
pub struct ServiceError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The exception's name, without namespace: `ResourceNotFoundException`.
    pub code: &'static str,
    /// What people read; some errors have none.
    pub message: Option<String>,
    /// How the message's key is spelled in restJson bodies.
    pub message_key: MessageKey,
    /// Whether the body carries `"Type":"User"`.
    pub type_user: bool,
    /// Further members of the body, such as `Reason`, in order, before `Type` and the message.
    pub members: Vec<(&'static str, serde_json::Value)>,
    /// Further headers, such as `Retry-After`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// How a message's key is spelled; AWS has both, by exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKey {
    /// `message`
    Lower,
    /// `Message`
    Upper,
}

/// One of a model's exceptions: what all its instances have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exception {
    /// The exception's name.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// How the message's key is spelled.
    pub message_key: MessageKey,
    /// Whether the body carries `"Type":"User"`.
    pub type_user: bool,
}

impl Exception {
    /// The exception with a message.
    pub fn with(&self, message: impl Into<String>) -> ServiceError {
        ServiceError {
            status: StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            message_key: self.message_key,
            type_user: self.type_user,
            ..ServiceError::plain(StatusCode::BAD_REQUEST, self.code, message)
        }
    }
}

impl ServiceError {
    /// An error whose body carries just `message`.
    pub fn plain(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: Some(message.into()),
            message_key: MessageKey::Lower,
            type_user: false,
            members: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// The answer to a routed operation that Samovar does not implement.
    pub fn not_built(operation: &str) -> Self {
        Self::plain(
            StatusCode::NOT_IMPLEMENTED,
            "NotImplementedException",
            format!("Samovar does not implement the operation {operation}"),
        )
    }

    /// The answer when Samovar itself is at fault; details belong in the server's log.
    pub fn internal() -> Self {
        Self::plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalFailure",
            "The request processing has failed because of an unknown error, exception or failure.",
        )
    }

    /// With the message's key spelled `Message`.
    #[must_use]
    pub fn upper(mut self) -> Self {
        self.message_key = MessageKey::Upper;
        self
    }

    /// With `"Type":"User"` in the body.
    #[must_use]
    pub fn user(mut self) -> Self {
        self.type_user = true;
        self
    }

    /// With one more member in the body.
    #[must_use]
    pub fn member(mut self, name: &'static str, value: impl Into<serde_json::Value>) -> Self {
        self.members.push((name, value.into()));
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl From<Mismatch> for ServiceError {
    fn from(_: Mismatch) -> Self {
        Self::internal()
    }
}
