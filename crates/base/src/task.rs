//! How long-lived tasks are polled.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Polls in a row before others get their turn. Ours: what wakes itself in a request does so two or three times.
const POLLS: usize = 8;

/// Polls a future again at once where it woke itself while it was polled.
///
/// Connections do so: parts of one task talk to each other through channels. Tokio would take it for a wish to let
/// others go first, queue the task, and wake another worker to share that queue, which moves the request to another
/// core at the price of several switches of context.
#[derive(Debug)]
pub struct Insistent<F> {
    future: Pin<Box<F>>,
    alert: Arc<Alert>,
    /// Of `alert`; the same for all polls, so that it need not be registered anew.
    waker: Waker,
}

impl<F> Insistent<F> {
    /// Polls `future`.
    pub fn new(future: F) -> Self {
        let alert = Arc::new(Alert(Mutex::new(State { task: None, polled: false, woken: false })));
        let waker = Waker::from(Arc::clone(&alert));
        Self { future: Box::pin(future), alert, waker }
    }
}

impl<F: Future> Future for Insistent<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Self { future, alert, waker } = self.get_mut();
        for _ in 0..POLLS {
            alert.begin(cx.waker());
            let polled = future.as_mut().poll(&mut Context::from_waker(waker));
            if !alert.end() || polled.is_ready() {
                return polled;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Wakes the task, but not from within.
#[derive(Debug)]
struct Alert(Mutex<State>);

#[derive(Debug)]
struct State {
    task: Option<Waker>,
    polled: bool,
    /// Since the poll began.
    woken: bool,
}

impl Alert {
    fn begin(&self, task: &Waker) {
        let mut state = self.lock();
        (state.polled, state.woken) = (true, false);
        match &mut state.task {
            Some(known) => known.clone_from(task),
            unknown => *unknown = Some(task.clone()),
        }
    }

    /// Whether somebody woke the task while it was polled.
    fn end(&self) -> bool {
        let mut state = self.lock();
        state.polled = false;
        state.woken
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Alert {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let task = {
            let mut state = self.lock();
            state.woken = true;
            if state.polled { None } else { state.task.clone() }
        };
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Polls once; `wakes` times the future wakes itself before it waits for somebody else. Answers how often it
    /// was polled, how often its task was woken, and its waker.
    fn poll(wakes: usize) -> (usize, usize, Arc<Count>, Waker) {
        let (count, mut polls, mut kept) = (Arc::new(Count::default()), 0, None);
        let task = Waker::from(Arc::clone(&count));
        let mut future = Insistent::new(std::future::poll_fn(|cx| {
            polls += 1;
            kept = Some(cx.waker().clone());
            if polls <= wakes {
                cx.waker().wake_by_ref();
            }
            Poll::<()>::Pending
        }));
        assert!(Pin::new(&mut future).poll(&mut Context::from_waker(&task)).is_pending());
        drop(future);
        let woken = count.0.load(Ordering::Relaxed);
        (polls, woken, count, kept.expect("it was polled"))
    }

    #[test]
    fn a_future_that_wakes_itself_is_polled_again_and_its_task_left_alone() {
        for (wakes, polls) in [(0, 1), (1, 2), (3, 4)] {
            let (polled, woken, count, waker) = poll(wakes);
            assert_eq!((polled, woken), (polls, 0));
            waker.wake();
            assert_eq!(count.0.load(Ordering::Relaxed), 1, "others wake the task");
        }
    }

    #[test]
    fn one_that_never_stops_lets_others_have_their_turn() {
        let (polled, woken, ..) = poll(usize::MAX);
        assert_eq!((polled, woken), (POLLS, 1));
    }
}
