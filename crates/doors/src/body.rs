//! Request bodies, read with a limit.

use std::sync::Arc;
use std::time::Duration;

use base::limits::{
    BODIES_BYTES, BODY_RATE, BODY_STALL, FUNCTION_BODIES_BYTES, INLINE_BYTES, REFUSED_BODY_BYTES,
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// It is larger than the operation takes.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The most that the operation takes, in bytes.
        limit: usize,
    },
    /// The client stopped sending.
    #[error("no byte of the body came for {} s", BODY_STALL.as_secs())]
    Stalled,
    /// The client sends too slowly.
    #[error("the body came more slowly than {BODY_RATE} bytes a second")]
    Slow,
    /// The connection ended or the framing is broken.
    #[error("the body ended before its end")]
    Broken(#[source] hyper::Error),
}

/// Room for large bodies that are being read and parsed; the others wait.
#[derive(Debug)]
pub(crate) struct Room {
    /// One permit a KiB.
    free: Semaphore,
    /// What this is a part of.
    whole: Option<Arc<Room>>,
}

/// Room taken for one body: of a part, and of the whole.
pub(crate) type Taken<'a> = (SemaphorePermit<'a>, Option<SemaphorePermit<'a>>);

const KIB: usize = 1024;

impl Default for Room {
    fn default() -> Self {
        Self { free: Semaphore::new(BODIES_BYTES / KIB), whole: None }
    }
}

impl Room {
    /// The part of `whole` that one function may fill. Who sends slowly holds it for long.
    pub(crate) fn of_function(whole: Arc<Self>) -> Self {
        Self { free: Semaphore::new(FUNCTION_BODIES_BYTES / KIB), whole: Some(whole) }
    }

    /// Room for a body of so many bytes, where that is many.
    pub(crate) async fn take(&self, bytes: usize) -> Option<Taken<'_>> {
        if bytes <= INLINE_BYTES {
            return None;
        }
        let permits = u32::try_from(bytes / KIB).unwrap_or(u32::MAX);
        // Its own part first: who waits for that keeps nobody else from the whole.
        let part = self.acquire(permits).await;
        let whole = match &self.whole {
            Some(whole) => Some(whole.acquire(permits).await),
            None => None,
        };
        Some((part, whole))
    }

    async fn acquire(&self, permits: u32) -> SemaphorePermit<'_> {
        self.free.acquire_many(permits).await.expect("nobody closes the room")
    }
}

/// Reads a whole body of at most `limit` bytes.
///
/// A body that came in one piece is passed on as it is, without a copy.
pub(crate) async fn read(body: Incoming, limit: usize) -> Result<Bytes, BodyError> {
    let patience = BODY_STALL + Duration::from_secs(most(&body, limit) as u64 / BODY_RATE);
    tokio::time::timeout(patience, whole(body, limit)).await.unwrap_or(Err(BodyError::Slow))
}

/// The most bytes that a body can come to.
pub(crate) fn most(body: &Incoming, limit: usize) -> usize {
    body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(limit).min(limit)
}

async fn whole(mut body: Incoming, limit: usize) -> Result<Bytes, BodyError> {
    let announced = body.size_hint().exact();
    if announced.is_some_and(|bytes| bytes > limit as u64) {
        discard(body).await;
        return Err(BodyError::TooLarge { limit });
    }
    let first = piece(&mut body).await?.unwrap_or_default();
    if body.is_end_stream() && first.len() <= limit {
        return Ok(first);
    }
    // The announcement is within the limit here, so a client cannot make us reserve more than it may send.
    let expected = announced.map_or(2 * first.len(), |bytes| bytes as usize);
    let mut whole = BytesMut::with_capacity(expected.min(limit));
    let mut next = Some(first);
    while let Some(data) = next {
        if whole.len() + data.len() > limit {
            drop(whole);
            discard(body).await;
            return Err(BodyError::TooLarge { limit });
        }
        whole.extend_from_slice(&data);
        next = piece(&mut body).await?;
    }
    Ok(whole.freeze())
}

/// The next bytes of a body; nothing at its end.
async fn piece(body: &mut Incoming) -> Result<Option<Bytes>, BodyError> {
    loop {
        let frame = tokio::time::timeout(BODY_STALL, body.frame()).await.map_err(|_| BodyError::Stalled)?;
        match frame {
            None => return Ok(None),
            Some(Err(error)) => return Err(BodyError::Broken(error)),
            // Trailers carry nothing that an AWS API reads.
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => return Ok(Some(data)),
                Err(_) => continue,
            },
        }
    }
}

/// Reads on for a while without keeping anything: a client that still sends when we close gets a reset,
/// and would not see why it was refused.
async fn discard(mut body: Incoming) {
    if body.size_hint().exact().is_some_and(|left| left > REFUSED_BODY_BYTES as u64) {
        return;
    }
    let mut left = REFUSED_BODY_BYTES;
    while let Ok(Some(data)) = piece(&mut body).await {
        match left.checked_sub(data.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
