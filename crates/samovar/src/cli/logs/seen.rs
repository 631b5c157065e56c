//! Which events of a log group were printed already. Pure.
//!
//! A followed log is told twice where history and live part overlap, and again after a reconnection. Live
//! events carry no id and are told before their time of ingestion is settled, so an event is known by its
//! stream, its time and its message, and equal ones are counted: what one side has told `n` times is printed
//! the `n+1`st time only.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::cli::client::logs::Event;

/// Events this long, in milliseconds, before the newest one may still come in out of order.
const OVERLAP_MILLIS: i64 = 5_000;
/// Events that are remembered at least before old ones are forgotten.
const LEAST_REMEMBERED: usize = 4_096;

/// The printed events of one group, as far back as they may be told again.
#[derive(Debug, Default)]
pub struct Seen {
    /// The earliest moment that is of interest, in milliseconds since the epoch.
    from: i64,
    newest: i64,
    events: HashMap<Known, Told>,
    forget_at: usize,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Known {
    timestamp: i64,
    digest: u64,
}

#[derive(Debug, Default)]
struct Told {
    printed: u32,
    by_history: u32,
    live: u32,
}

impl Seen {
    /// Nothing is printed yet, and nothing before `from` is of interest.
    pub fn from(from: i64) -> Self {
        Self { from, ..Self::default() }
    }

    /// From when on history must be asked to miss nothing, in milliseconds since the epoch.
    pub fn since(&self) -> i64 {
        self.from.max(self.newest.saturating_sub(OVERLAP_MILLIS))
    }

    /// History is told from [`Self::since`] on once more.
    pub fn history_begins(&mut self) {
        self.events.values_mut().for_each(|told| told.by_history = 0);
    }

    /// Live events begin after a break.
    pub fn live_begins(&mut self) {
        self.events.values_mut().for_each(|told| told.live = 0);
    }

    /// Whether an event of history must be printed.
    pub fn is_new_in_history(&mut self, event: &Event) -> bool {
        self.is_new(event, |told| &mut told.by_history)
    }

    /// Whether a live event must be printed.
    pub fn is_new_live(&mut self, event: &Event) -> bool {
        // Even one from before `from`: it came in now, and the server's clock may be behind.
        self.is_new(event, |told| &mut told.live)
    }

    fn is_new(&mut self, event: &Event, side: impl Fn(&mut Told) -> &mut u32) -> bool {
        // An event that claims to be of the future must not hide the present.
        self.newest = self.newest.max(event.timestamp.min(event.ingestion_time.unwrap_or(event.timestamp)));
        let told = self.events.entry(Known::of(event)).or_default();
        let count = side(told);
        *count += 1;
        let is_new = *count > told.printed;
        if is_new {
            told.printed += 1;
        }
        self.forget_old();
        is_new
    }

    /// Forgets what is not asked for any more, now and then, so that this costs little an event.
    fn forget_old(&mut self) {
        if self.events.len() < self.forget_at.max(LEAST_REMEMBERED) {
            return;
        }
        let since = self.since();
        self.events.retain(|known, _| known.timestamp >= since);
        self.forget_at = self.events.len() * 2;
    }
}

impl Known {
    fn of(event: &Event) -> Self {
        let mut hasher = DefaultHasher::new();
        (&event.log_stream_name, &event.message).hash(&mut hasher);
        Self { timestamp: event.timestamp, digest: hasher.finish() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(timestamp: i64, message: &str) -> Event {
        Event {
            timestamp,
            ingestion_time: Some(timestamp),
            log_stream_name: "s".into(),
            message: message.into(),
            log_group_identifier: None,
        }
    }

    #[test]
    fn what_history_told_is_not_printed_again_live() {
        let mut seen = Seen::default();
        assert!(seen.is_new_in_history(&event(10, "a")));
        assert!(!seen.is_new_live(&event(10, "a")));
        assert!(seen.is_new_live(&event(11, "a")));
        assert!(seen.is_new_live(&event(10, "b")));
    }

    #[test]
    fn ingestion_is_told_with_another_time_live() {
        let mut seen = Seen::default();
        let mut told = event(10, "a");
        assert!(seen.is_new_live(&told));
        told.ingestion_time = Some(12);
        assert!(!seen.is_new_in_history(&told));
    }

    #[test]
    fn what_was_live_is_not_printed_again_from_history() {
        let mut seen = Seen::default();
        assert!(seen.is_new_live(&event(10, "a")));
        seen.history_begins();
        assert!(!seen.is_new_in_history(&event(10, "a")));
        assert!(seen.is_new_in_history(&event(9, "missed while disconnected")));
    }

    #[test]
    fn equal_events_are_printed_as_often_as_they_were_written() {
        let mut seen = Seen::default();
        let x = event(10, "x");
        assert!(seen.is_new_live(&x) && seen.is_new_live(&x));
        seen.history_begins();
        let printed = (0..3).filter(|_| seen.is_new_in_history(&x)).count();
        assert_eq!(printed, 1, "two of three were printed live");
        seen.live_begins();
        assert!((0..3).all(|_| !seen.is_new_live(&x)));
        assert!(seen.is_new_live(&x));
    }

    #[test]
    fn history_is_asked_again_from_a_while_before_the_newest() {
        let mut seen = Seen::from(1_000);
        assert_eq!(seen.since(), 1_000);
        seen.is_new_live(&event(3_000, "a"));
        assert_eq!(seen.since(), 1_000);
        seen.is_new_live(&event(60_000, "b"));
        assert_eq!(seen.since(), 60_000 - OVERLAP_MILLIS);
    }

    #[test]
    fn an_event_of_the_future_does_not_hide_the_present() {
        let mut seen = Seen::default();
        let mut future = event(7_200_000, "later");
        future.ingestion_time = Some(50_000);
        assert!(seen.is_new_live(&future));
        assert_eq!(seen.since(), 50_000 - OVERLAP_MILLIS);
        seen.history_begins();
        assert!(!seen.is_new_in_history(&future));
    }

    #[test]
    fn memory_is_bounded_by_the_overlap() {
        let mut seen = Seen::default();
        let millis = i64::try_from(LEAST_REMEMBERED).unwrap() * 10;
        assert!((0..millis).all(|at| seen.is_new_live(&event(at, "a"))));
        assert!(seen.events.len() <= 2 * usize::try_from(OVERLAP_MILLIS).unwrap() + LEAST_REMEMBERED);
        seen.history_begins();
        assert!((seen.since()..millis).all(|at| !seen.is_new_in_history(&event(at, "a"))));
    }
}
