//! The bodies of answers: whole, or sent piece by piece while they come to be.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use wire::http::Pieces;

/// The body of an answer.
pub(crate) enum Sent {
    /// Bytes that are there; none once they are sent.
    Whole(Bytes),
    /// Pieces, each sent when it is there. Taken only as fast as the client reads, and dropped when it goes.
    Pieces(Pieces),
    /// Pieces until the door closes.
    Until(Pieces, Closing),
}

/// Ends when the door closes.
pub(crate) type Closing = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Sent {
    /// Ends what has no end of its own when `closing` does: what is there by then is still sent.
    pub(crate) fn until(self, closing: impl FnOnce() -> Closing) -> Self {
        match self {
            Self::Pieces(pieces) => Self::Until(pieces, closing()),
            other => other,
        }
    }
}

impl From<wire::http::Body> for Sent {
    fn from(body: wire::http::Body) -> Self {
        match body {
            wire::http::Body::Whole(bytes) => Self::Whole(bytes),
            wire::http::Body::Pieces(pieces) => Self::Pieces(pieces),
        }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => None,
            Self::Whole(bytes) => Some(std::mem::take(bytes)),
            Self::Pieces(pieces) => std::task::ready!(pieces.as_mut().poll_next(cx)),
            Self::Until(pieces, closing) => match pieces.as_mut().poll_next(cx) {
                Poll::Ready(piece) => piece,
                Poll::Pending => {
                    std::task::ready!(closing.as_mut().poll(cx));
                    None
                }
            },
        };
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Pieces(_) | Self::Until(..) => SizeHint::default(),
        }
    }
}
