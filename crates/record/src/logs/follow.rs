//! Following what is written, as it is written.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, Weak};

use base::arn::Scope;
use base::clock::Timestamp;
use base::limits::{LOG_EVENT_OVERHEAD, LOG_FOLLOW_BYTES};
use bytes::Bytes;
use tokio::sync::Notify;

use super::group::GroupKey;
use super::place::EventId;
use super::{FoundEvent, LogError, LogEvent, Logs, Streams};

/// What a follower is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// An event was taken in.
    Event {
        /// Its group.
        group: Arc<str>,
        /// The event. It is told before it has its place in the log, so its id lacks that.
        event: FoundEvent,
    },
    /// So many events were not told here: the follower was too slow.
    Lost(u64),
}

/// Tells events of some groups as they are taken in. Dropping it ends that.
pub struct Follow {
    queue: Arc<Queue>,
    follows: Arc<Follows>,
}

/// Everybody who follows.
#[derive(Debug, Default)]
pub(super) struct Follows {
    /// How many: nobody costs one look at this.
    count: AtomicUsize,
    queues: RwLock<Vec<Weak<Queue>>>,
}

/// What waits for one follower, and what it wants to hear.
#[derive(Debug)]
struct Queue {
    scope: Scope,
    groups: Vec<Arc<str>>,
    streams: Streams,
    waiting: Mutex<Waiting>,
    more: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    told: VecDeque<Followed>,
    bytes: usize,
    ended: bool,
}

impl Logs {
    /// Tells the events that these groups take in from now on, within milliseconds. Groups may be deleted and
    /// made again meanwhile; streams need not exist yet.
    ///
    /// # Errors
    /// [`LogError::NoGroup`].
    pub fn follow(&self, scope: &Scope, groups: &[String], streams: &Streams) -> Result<Follow, LogError> {
        for group in groups {
            self.shared.existing(&GroupKey::new(scope, group))?;
        }
        Ok(Follow::new(&self.shared.follows, scope, groups, streams))
    }

    /// Ends all follows, so that nobody who answers with one keeps the server from ending.
    pub fn stop_following(&self) {
        self.shared.follows.end();
    }
}

impl Follow {
    fn new(follows: &Arc<Follows>, scope: &Scope, groups: &[String], streams: &Streams) -> Self {
        let queue = Arc::new(Queue {
            scope: scope.clone(),
            groups: groups.iter().map(|group| group.as_str().into()).collect(),
            streams: streams.clone(),
            waiting: Mutex::default(),
            more: Notify::new(),
        });
        let mut queues = follows.queues.write().expect("nobody panics while holding the followers");
        queues.push(Arc::downgrade(&queue));
        follows.count.store(queues.len(), Ordering::Release);
        drop(queues);
        Self { queue, follows: follows.clone() }
    }

    /// What was taken in next; `None` when the logs are closed.
    pub async fn next(&mut self) -> Option<Followed> {
        loop {
            {
                let mut waiting = self.queue.waiting();
                if let Some(told) = waiting.told.pop_front() {
                    waiting.bytes -= weight(&told);
                    return Some(told);
                }
                if waiting.ended {
                    return None;
                }
            }
            // What comes between the look and here leaves a permit behind.
            self.queue.more.notified().await;
        }
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        let mut queues = self.follows.queues.write().expect("nobody panics while holding the followers");
        queues.retain(|queue| queue.as_ptr() != Arc::as_ptr(&self.queue));
        self.follows.count.store(queues.len(), Ordering::Release);
    }
}

impl Follows {
    /// Tells those who follow this stream of its events.
    pub(super) fn tell(&self, group: &GroupKey, id: u64, stream: &str, events: &[LogEvent], now: Timestamp) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let queues = self.queues.read().expect("nobody panics while holding the followers");
        for queue in queues.iter().filter_map(Weak::upgrade).filter(|queue| queue.wants(group, stream)) {
            queue.push(group, id, stream, events, now);
        }
    }

    fn end(&self) {
        let queues = self.queues.read().expect("nobody panics while holding the followers");
        for queue in queues.iter().filter_map(Weak::upgrade) {
            queue.waiting().ended = true;
            queue.more.notify_one();
        }
    }
}

impl Queue {
    fn wants(&self, group: &GroupKey, stream: &str) -> bool {
        let streams = match &self.streams {
            Streams::All => true,
            Streams::Named(names) => names.iter().any(|name| name == stream),
            Streams::Prefixed(prefix) => stream.starts_with(prefix.as_str()),
        };
        streams && self.scope == group.scope && self.groups.contains(&group.name)
    }

    fn push(&self, group: &GroupKey, id: u64, stream: &str, events: &[LogEvent], now: Timestamp) {
        let stream: Arc<str> = stream.into();
        let mut waiting = self.waiting();
        for LogEvent { timestamp, message } in events {
            // A copy, so that a small event does not keep a large buffer in memory.
            let event = FoundEvent {
                id: EventId::without_place(*timestamp, id),
                stream: stream.clone(),
                timestamp: *timestamp,
                ingested: now,
                message: Bytes::copy_from_slice(message),
            };
            waiting.push(Followed::Event { group: group.name.clone(), event });
        }
        self.more.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("nobody panics while holding what waits for a follower")
    }
}

impl Waiting {
    fn push(&mut self, told: Followed) {
        let weight = weight(&told);
        if self.bytes + weight <= LOG_FOLLOW_BYTES {
            self.bytes += weight;
            self.told.push_back(told);
        } else if let Some(Followed::Lost(count)) = self.told.back_mut() {
            *count += 1;
        } else {
            self.told.push_back(Followed::Lost(1));
        }
    }
}

/// What something told takes of the bytes that may wait.
fn weight(told: &Followed) -> usize {
    match told {
        // Beside the message there are names and a place in the queue.
        Followed::Event { event, .. } => event.message.len() + 4 * LOG_EVENT_OVERHEAD,
        Followed::Lost(_) => 0,
    }
}

impl fmt::Debug for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow").field("groups", &self.queue.groups).finish_non_exhaustive()
    }
}
