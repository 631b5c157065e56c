//! One timer for an environment's whole life.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use base::clock::{Clock, Timestamp};
use tokio::time::{Instant, Sleep};

/// Far enough to never matter, near enough for tokio.
const NEVER: Duration = Duration::from_secs(30 * 24 * 3600);

/// Rings at the moment it was set to.
///
/// Each warm invoke sets a deadline and clears it again. Tokio's timer is therefore only moved when it would
/// ring too late: one that rings early is set anew, once in a timeout and not twice in an invoke.
pub struct Alarm {
    clock: Clock,
    sleep: Pin<Box<Sleep>>,
    armed: Timestamp,
    due: Option<Timestamp>,
}

impl Alarm {
    /// An alarm that is not set.
    pub fn new(clock: Clock) -> Self {
        let sleep = Box::pin(tokio::time::sleep(NEVER));
        Self { clock, sleep, armed: clock.now() + NEVER, due: None }
    }

    /// Rings at `moment` and not at an earlier setting.
    pub const fn set(&mut self, moment: Timestamp) {
        self.due = Some(moment);
    }

    /// Does not ring.
    pub const fn clear(&mut self) {
        self.due = None;
    }

    /// Ready once, when the moment has come.
    pub fn poll_ring(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.due else { return Poll::Pending };
        if due < self.armed {
            self.arm(due);
        }
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            if self.clock.now() >= due {
                self.due = None;
                self.arm(due + NEVER);
                return Poll::Ready(());
            }
            self.arm(due);
        }
    }

    fn arm(&mut self, moment: Timestamp) {
        self.sleep.as_mut().reset(Instant::now() + moment.since(self.clock.now()));
        self.armed = moment;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ring(alarm: &mut Alarm) -> Timestamp {
        std::future::poll_fn(|cx| alarm.poll_ring(cx)).await;
        alarm.clock.now()
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_setting_counts() {
        let start = Timestamp::from_millis(0);
        let mut alarm = Alarm::new(Clock::starting_at(start));
        for (first, last) in [(5, 2), (2, 5), (1, 1)] {
            let now = alarm.clock.now();
            alarm.set(now + Duration::from_secs(first));
            alarm.clear();
            alarm.set(now + Duration::from_secs(last));
            assert_eq!(ring(&mut alarm).await.since(now).as_secs(), last);
        }
    }
}
