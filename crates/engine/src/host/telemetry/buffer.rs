//! Events on their way to one subscriber, never more than it may have.

use std::collections::VecDeque;

use base::clock::Timestamp;
use bytes::Bytes;

use super::Buffering;

/// Batches for which a subscriber that takes none has room; what comes then is dropped and counted. Ours: AWS
/// documents requests of about twice the size.
const BATCHES: usize = 2;

/// Why events were dropped. Source: Lambda Developer Guide, "Telemetry API event schema reference".
pub const DROPPED: &str = "Consumer seems to have fallen behind as it has not acknowledged receipt of logs.";

/// Events that wait, each as JSON.
#[derive(Debug)]
pub struct Buffer {
    limits: Buffering,
    events: VecDeque<Bytes>,
    bytes: usize,
    first: Option<Timestamp>,
    dropped: Dropped,
}

/// What found no room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Events.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Buffer {
    /// An empty one.
    pub const fn new(limits: Buffering) -> Self {
        let dropped = Dropped { records: 0, bytes: 0 };
        Self { limits, events: VecDeque::new(), bytes: 0, first: None, dropped }
    }

    /// Takes an event, or counts it as dropped.
    pub fn push(&mut self, now: Timestamp, event: Bytes) {
        let full = self.events.len() >= BATCHES * self.limits.items
            || self.bytes + event.len() > BATCHES * self.limits.bytes;
        if full {
            self.dropped.records += 1;
            self.dropped.bytes += event.len() as u64;
            return;
        }
        self.first.get_or_insert(now);
        self.bytes += event.len();
        self.events.push_back(event);
    }

    /// When the next batch is to be sent; `None` while there is nothing.
    pub fn due(&self) -> Option<Timestamp> {
        let first = self.first?;
        let full = self.events.len() >= self.limits.items || self.bytes >= self.limits.bytes;
        Some(if full { first } else { first + self.limits.timeout })
    }

    /// The next batch, and what was dropped since the last.
    pub fn take(&mut self, now: Timestamp) -> (Vec<Bytes>, Dropped) {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < self.limits.items && bytes < self.limits.bytes {
            let Some(event) = self.events.pop_front() else { break };
            bytes += event.len();
            batch.push(event);
        }
        self.bytes -= bytes;
        self.first = (!self.events.is_empty()).then_some(now);
        (batch, std::mem::take(&mut self.dropped))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_batch_is_due_when_it_is_old_or_full() {
        let limits = Buffering { items: 2, bytes: 100, timeout: Duration::from_millis(50) };
        let mut buffer = Buffer::new(limits);
        assert_eq!(buffer.due(), None);
        buffer.push(at(10), "a".into());
        assert_eq!(buffer.due(), Some(at(60)));
        buffer.push(at(20), "b".into());
        assert_eq!(buffer.due(), Some(at(10)), "now");
        buffer.push(at(30), "c".into());
        assert_eq!(buffer.take(at(40)).0, ["a", "b"]);
        assert_eq!(buffer.due(), Some(at(90)));
    }

    #[test]
    fn what_finds_no_room_is_counted_and_told_once() {
        let limits = Buffering { items: 10, bytes: 4, timeout: Duration::from_millis(50) };
        let mut buffer = Buffer::new(limits);
        (0..10).for_each(|_| buffer.push(at(0), "xx".into()));
        assert_eq!(buffer.take(at(1)), (vec!["xx".into(); 2], Dropped { records: 6, bytes: 12 }));
        assert_eq!(buffer.take(at(1)), (vec!["xx".into(); 2], Dropped::default()));
        assert_eq!(buffer.due(), None);
    }
}
