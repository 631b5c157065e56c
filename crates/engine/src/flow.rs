//! A response on its way from the runtime to a caller that takes it as it comes.

use std::fmt;

use base::limits::{STREAM_PIECES, STREAM_RESPONSE_BYTES};
use bytes::Bytes;
use http::HeaderValue;
use tokio::sync::mpsc;

/// The caller's side. A function that fails after the first piece leaves it short, and nothing says so.
///
/// Dropping it stops nothing: the function goes on, and what it sends is thrown away.
#[derive(Debug)]
pub struct Flow {
    /// What the runtime says the response is.
    pub content_type: HeaderValue,
    source: Source,
}

enum Source {
    /// All of it is there; nothing once it is taken.
    Whole(Bytes),
    /// It is being written.
    Written(mpsc::Receiver<Bytes>),
}

/// The runtime's side. The stream ends when it is dropped.
#[derive(Debug)]
pub struct Sink {
    /// None once the caller is gone.
    pieces: Option<mpsc::Sender<Bytes>>,
    taken: u64,
    /// Bytes that may still reach the caller.
    left: usize,
    failed: bool,
}

/// The two sides of one response.
pub fn flow(content_type: HeaderValue) -> (Sink, Flow) {
    let (pieces, written) = mpsc::channel(STREAM_PIECES);
    let sink = Sink { pieces: Some(pieces), taken: 0, left: STREAM_RESPONSE_BYTES, failed: false };
    (sink, Flow { content_type, source: Source::Written(written) })
}

impl Flow {
    /// A response that is there.
    pub const fn whole(content_type: HeaderValue, body: Bytes) -> Self {
        Self { content_type, source: Source::Whole(body) }
    }

    /// The next bytes, never none; nothing at the end.
    pub async fn next(&mut self) -> Option<Bytes> {
        match &mut self.source {
            Source::Whole(body) => Some(std::mem::take(body)).filter(|body| !body.is_empty()),
            Source::Written(pieces) => pieces.recv().await,
        }
    }
}

impl Sink {
    /// Takes a piece, and waits while the caller is slow. What the caller may not have, or is not there to have, is
    /// thrown away.
    pub async fn take(&mut self, mut piece: Bytes) {
        self.taken += piece.len() as u64;
        piece.truncate(self.left);
        self.left -= piece.len();
        if piece.is_empty() {
            return;
        }
        if let Some(pieces) = &self.pieces
            && pieces.send(piece).await.is_err()
        {
            self.pieces = None;
        }
    }

    /// The runtime says that the function failed; the caller does not learn of it.
    pub const fn fail(&mut self) {
        self.failed = true;
    }

    /// Whether the runtime said so.
    pub const fn has_failed(&self) -> bool {
        self.failed
    }

    /// Bytes that the runtime has sent.
    pub const fn taken(&self) -> u64 {
        self.taken
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const TEA: HeaderValue = HeaderValue::from_static("text/tea");

    #[tokio::test]
    async fn a_slow_caller_makes_the_function_wait_and_one_that_is_gone_does_not() {
        let (mut sink, mut flow) = flow(TEA);
        for _ in 0..STREAM_PIECES {
            assert!(sink.take("piece".into()).now_or_never().is_some());
        }
        {
            let mut late = std::pin::pin!(sink.take("late".into()));
            assert!(late.as_mut().now_or_never().is_none(), "no more than that is held");
            assert_eq!(flow.next().await.expect("a piece"), "piece");
            late.await;
        }
        drop(flow);
        for _ in 0..100 {
            assert!(sink.take("lost".into()).now_or_never().is_some());
        }
        assert_eq!(sink.taken(), 5 * STREAM_PIECES as u64 + 4 + 400);
    }

    #[tokio::test]
    async fn what_is_beyond_the_limit_is_thrown_away() {
        let (mut sink, mut flow) = flow(TEA);
        let mebibyte = Bytes::from(vec![0; 1 << 20]);
        let function = async move {
            for _ in 0..201 {
                sink.take(mebibyte.clone()).await;
            }
            sink.taken()
        };
        let caller = async move {
            let mut seen = 0;
            while let Some(piece) = flow.next().await {
                seen += piece.len();
            }
            seen
        };
        assert_eq!(tokio::join!(function, caller), (201 << 20, (200 << 20) + 1));
    }

    #[tokio::test]
    async fn a_whole_response_is_one_piece_and_an_empty_one_none() {
        let mut flow = Flow::whole(TEA, "all".into());
        assert_eq!(flow.next().await.expect("all"), "all");
        assert!(flow.next().await.is_none());
        assert!(Flow::whole(TEA, Bytes::new()).next().await.is_none());
    }
}
