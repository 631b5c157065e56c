//! Cuts clients that send the head of a request slowly or stop reading an answer, and leaves idle connections alone.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use base::limits::{ANSWER_STALL, HEADER_TIME};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// Where a connection stands, told by the one who answers its requests.
///
/// The phase is even while a head is awaited or read, and odd while a request is answered (its body included).
#[derive(Debug, Default)]
pub(crate) struct Pace {
    phase: AtomicU64,
}

impl Pace {
    /// The head of a request came whole.
    pub(crate) fn head_is_read(&self) {
        self.phase.fetch_add(1, Ordering::Relaxed);
    }

    /// What is read from now on belongs to the next request.
    pub(crate) fn answer_is_ready(&self) {
        self.phase.fetch_add(1, Ordering::Relaxed);
    }

    fn phase(&self) -> u64 {
        self.phase.load(Ordering::Relaxed)
    }
}

/// A stream that fails when a request's head takes longer than [`HEADER_TIME`] from its first byte on, or from the
/// connection's beginning for the first request: who connects and says nothing keeps a place from others. It fails, too,
/// when nothing of an answer is taken for [`ANSWER_STALL`].
#[derive(Debug)]
pub(crate) struct Paced<S> {
    stream: S,
    pace: Arc<Pace>,
    head: Option<Head>,
    /// Runs while the client takes nothing.
    stall: Option<Pin<Box<Sleep>>>,
}

/// A head whose first byte has come.
#[derive(Debug)]
struct Head {
    phase: u64,
    /// Made when the rest does not come at once, so a head that comes whole costs no timer.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    /// Watches `stream`.
    pub(crate) fn new(stream: S, pace: Arc<Pace>) -> Self {
        let head = Head { phase: pace.phase(), deadline: None };
        Self { stream, pace, head: Some(head), stall: None }
    }

    /// What came of a write, or that the client has taken nothing for too long.
    fn unless_stalled(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(ANSWER_STALL)));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let phase = self.pace.phase();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if phase % 2 == 1 {
            return polled;
        }
        if polled.is_ready() {
            if buffer.filled().len() > before && self.head.as_ref().is_none_or(|head| head.phase != phase) {
                self.head = Some(Head { phase, deadline: None });
            }
            return polled;
        }
        let Some(head) = self.head.as_mut().filter(|head| head.phase == phase) else { return Poll::Pending };
        let deadline = head.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(HEADER_TIME)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.unless_stalled(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.unless_stalled(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
