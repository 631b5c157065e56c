//! Threads that read: each has what it reads with, and all share one line of requests.

use std::fmt;
use std::sync::{Arc, Mutex};

use store::StoreError;
use tokio::sync::{mpsc, oneshot};

/// Requests that may wait; more wait at the door.
const LINE: usize = 1024;

type Request<S> = Box<dyn FnOnce(&mut S) + Send>;

/// Asks the threads. They end when this is gone.
pub struct Readers<S>(mpsc::Sender<Request<S>>);

/// Asks the threads as long as they are there.
pub struct WeakReaders<S>(mpsc::WeakSender<Request<S>>);

/// The threads' end of the line.
pub struct Requests<S>(Arc<Mutex<mpsc::Receiver<Request<S>>>>);

impl<S> Readers<S> {
    /// Makes both ends.
    pub fn line() -> (Self, Requests<S>) {
        let (line, requests) = mpsc::channel(LINE);
        (Self(line), Requests(Arc::new(Mutex::new(requests))))
    }

    /// Has a thread read, and waits for its answer.
    pub async fn ask<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut S) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let request: Request<S> = Box::new(move |source| {
            // Who asked may have gone.
            let _ = reply.send(read(source));
        });
        self.0.send(request).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Does not keep the threads.
    pub fn downgrade(&self) -> WeakReaders<S> {
        WeakReaders(self.0.downgrade())
    }
}

impl<S> WeakReaders<S> {
    /// Keeps the threads, unless they are ending.
    pub fn upgrade(&self) -> Option<Readers<S>> {
        self.0.upgrade().map(Readers)
    }
}

impl<S> Requests<S> {
    /// Answers requests until nobody can ask any more.
    pub fn serve(&self, mut source: S) {
        loop {
            let request = self.0.lock().expect("no holder of the line panics").blocking_recv();
            match request {
                Some(request) => request(&mut source),
                None => return,
            }
        }
    }
}

impl<S> Clone for Requests<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> fmt::Debug for Readers<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Readers")
    }
}
