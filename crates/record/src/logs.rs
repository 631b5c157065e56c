//! Log groups, streams and events.
//!
//! **One log of the store holds one group**, with the number of its stream in each record. Ten thousand
//! environments are thus not ten thousand files; a group's events lie together in nearly the order of time,
//! so a filter over a group reads forward; and one fsync covers all its streams. The price, that reading a
//! single stream passes over its neighbours, is kept low by the index.
//!
//! **The index** ([`index`]) knows for each block of 128 KiB its earliest and latest event and roughly whose
//! they are, and for each stream its name, times and extent. It lives in memory once a group is used, and
//! goes to documents every few megabytes: what was appended after that is read again from the log's end when
//! the group is first used after a restart. A log that is shorter than its index (after a power cut) is
//! indexed anew. So writing an event commits nothing, and creating a stream neither.
//!
//! **Order**: events are found by time and, within a millisecond, in the order of ingestion. A page is exact
//! however events were written; see [`search`].

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, RwLock};

use base::arn::Scope;
use base::clock::{Clock, Timestamp};
use base::limits::{LOG_ROOM_BYTES, LOG_WRITER_BYTES};
use base::random::Dice;
use bytes::Bytes;
use store::{Commit, Key, Require, Store, StoreError};
use tokio::sync::Semaphore;

mod describe;
mod entry;
mod follow;
mod group;
mod index;
mod keeper;
mod load;
mod place;
mod put;
mod scan;
mod search;
mod settings;
mod stored;
mod writer;

#[cfg(test)]
mod tests;

pub use describe::{GroupQuery, LogGroup, LogStream, Named, Page, StreamOrder, StreamQuery};
pub use follow::{Follow, Followed};
pub use keeper::{Kept, LogLimits};
pub use place::EventId;
pub use put::Rejected;
pub use scan::Scan;
pub use search::{EventPage, EventQuery, Events, FoundEvent, StreamEvents, Streams};
pub use settings::GroupSettings;
pub use writer::LogWriter;

use follow::Follows;
use group::{Group, GroupKey};
use keeper::Keeper;

/// Groups that are created or deleted at the same time; others of the same shard wait.
const SHARDS: usize = 64;

/// Group documents that are read at once when the logs are opened.
const OPEN_PAGE: usize = 1000;

/// A log event to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEvent {
    /// When it happened. Kept to the millisecond.
    pub timestamp: Timestamp,
    /// What is told. What is longer than `limits::LOG_EVENT_MESSAGE_BYTES` is cut; an empty one is left out.
    pub message: Bytes,
}

/// Why the logs did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// AWS answers `ResourceNotFoundException`.
    #[error("there is no log group {0}")]
    NoGroup(String),
    /// AWS answers `ResourceNotFoundException`.
    #[error("there is no log stream {0}")]
    NoStream(String),
    /// AWS answers `ResourceAlreadyExistsException`.
    #[error("there is a log group {0}")]
    GroupExists(String),
    /// AWS answers `ResourceAlreadyExistsException`.
    #[error("there is a log stream {0}")]
    StreamExists(String),
    /// The disk has no more room for logs. AWS answers `ServiceUnavailableException`.
    #[error("there is no room for more logs")]
    Full,
    /// The token is not one that this listing gave. AWS answers `InvalidParameterException`.
    #[error("the token is not one of this listing")]
    InvalidToken,
    /// The store refused.
    #[error("the storage of logs refused")]
    Store(#[from] StoreError),
}

/// All logs of all accounts. Clones share them.
#[derive(Debug, Clone)]
pub struct Logs {
    shared: Arc<Shared>,
}

/// What all clones share.
struct Shared {
    store: Arc<dyn Store>,
    clock: Clock,
    dice: Dice,
    groups: RwLock<BTreeMap<GroupKey, Arc<Group>>>,
    /// Held while a group is created or deleted.
    changing: [tokio::sync::Mutex<()>; SHARDS],
    /// Bytes of all writers that may wait to be appended.
    room: Arc<Semaphore>,
    follows: Arc<Follows>,
    keeper: Keeper,
}

impl Logs {
    /// Loads the names of all groups; what is in them is loaded when it is used.
    pub async fn open(store: Arc<dyn Store>, clock: Clock, dice: Dice) -> Result<Self, LogError> {
        Self::open_within(store, clock, dice, LogLimits::default()).await
    }

    /// As [`Logs::open`], with limits, which [`Logs::keep_always`] enforces.
    pub async fn open_within(
        store: Arc<dyn Store>,
        clock: Clock,
        dice: Dice,
        limits: LogLimits,
    ) -> Result<Self, LogError> {
        let keeper = Keeper::new(limits);
        let mut groups = BTreeMap::new();
        let mut after: Option<Key> = None;
        loop {
            let documents = store.scan(stored::GROUP_PREFIX, after.as_ref(), OPEN_PAGE).await?;
            for document in &documents {
                let group = Group::stored(document)?;
                groups.insert(group.key.clone(), Arc::new(group));
            }
            match documents.into_iter().last() {
                Some(last) => after = Some(last.key),
                None => break,
            }
        }
        let changing = std::array::from_fn(|_| tokio::sync::Mutex::default());
        let room = Arc::new(Semaphore::new(LOG_ROOM_BYTES));
        let shared = Shared {
            store,
            clock,
            dice,
            groups: RwLock::new(groups),
            changing,
            room,
            follows: Arc::default(),
            keeper,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// A writer to a stream. Group and stream come to be with the first event.
    pub fn writer(&self, scope: &Scope, group: &str, stream: &str) -> LogWriter {
        LogWriter::new(self.shared.clone(), GroupKey::new(scope, group), stream, LOG_WRITER_BYTES)
    }

    /// Removes a group with its streams and events. One that is written to later starts anew.
    pub async fn delete_group(&self, scope: &Scope, name: &str) -> Result<(), LogError> {
        let key = GroupKey::new(scope, name);
        let _changing = self.shared.changing(&key).lock().await;
        let group = self.shared.existing(&key)?;
        group.close().await;
        // Documents go last: a group that is half deleted when the process is killed is empty, not lost.
        self.shared.store.drop_log(&group.log).await?;
        group.delete_documents(&*self.shared.store).await?;
        self.shared.groups.write().expect("nobody panics while holding the groups").remove(&key);
        Ok(())
    }

    /// Waits until what was written is appended, and stores all indexes: an orderly end.
    pub async fn close(&self) -> Result<(), LogError> {
        self.stop_following();
        for group in self.shared.all() {
            group.settled().await;
            group.checkpoint(&*self.shared.store).await?;
        }
        Ok(())
    }

    /// Forgets everything, after `Store::clear`. Writers go on and make their groups anew.
    pub async fn forget(&self) -> Result<(), LogError> {
        let groups =
            std::mem::take(&mut *self.shared.groups.write().expect("nobody panics while holding the groups"));
        for group in groups.into_values() {
            group.close().await;
            // What was under way when the store was cleared has made the log again.
            self.shared.store.drop_log(&group.log).await?;
        }
        Ok(())
    }
}

impl Shared {
    fn group(&self, key: &GroupKey) -> Option<Arc<Group>> {
        self.groups.read().expect("nobody panics while holding the groups").get(key).cloned()
    }

    fn existing(&self, key: &GroupKey) -> Result<Arc<Group>, LogError> {
        self.group(key).ok_or_else(|| LogError::NoGroup(key.name.to_string()))
    }

    fn all(&self) -> Vec<Arc<Group>> {
        self.groups.read().expect("nobody panics while holding the groups").values().cloned().collect()
    }

    /// Groups of a scope from a name on, as many as `take` lets pass.
    fn groups_from<T>(
        &self,
        from: &GroupKey,
        take: impl FnOnce(&mut dyn Iterator<Item = &Arc<Group>>) -> T,
    ) -> T {
        let groups = self.groups.read().expect("nobody panics while holding the groups");
        let range = groups.range((Bound::Included(from), Bound::Unbounded));
        take(&mut range.take_while(|(key, _)| key.scope == from.scope).map(|(_, group)| group))
    }

    fn changing(&self, key: &GroupKey) -> &tokio::sync::Mutex<()> {
        &self.changing[crc32fast::hash(key.name.as_bytes()) as usize % SHARDS]
    }

    /// The group, loaded; made when there is none.
    async fn writable(&self, key: &GroupKey) -> Result<Arc<Group>, LogError> {
        let there = || self.group(key).filter(|group| !group.is_closed());
        let group = match there() {
            Some(group) => group,
            None => {
                let _changing = self.changing(key).lock().await;
                match there() {
                    Some(group) => group,
                    None => {
                        let retention_days = self.keeper.limits.retention_days;
                        self.create(key, GroupSettings { retention_days, ..GroupSettings::default() }).await?
                    }
                }
            }
        };
        group.load(&*self.store).await?;
        Ok(group)
    }

    /// Makes a group; the caller holds [`Shared::changing`].
    async fn create(&self, key: &GroupKey, settings: GroupSettings) -> Result<Arc<Group>, LogError> {
        let id = u64::from_be_bytes(self.dice.bytes());
        let group = Arc::new(Group::new(key.clone(), id, self.clock.now()));
        group.state().settings = settings;
        let document = group.document();
        let commit = Commit {
            require: vec![Require::Absent(document.0.clone())],
            put: vec![document],
            ..Commit::default()
        };
        let made = match self.store.commit(commit).await {
            Ok(revision) => {
                group.committed(revision);
                group
            }
            Err(StoreError::Conflict(document)) => self.stored(&document).await?,
            Err(error) => return Err(error.into()),
        };
        let mut groups = self.groups.write().expect("nobody panics while holding the groups");
        groups.insert(key.clone(), made.clone());
        Ok(made)
    }

    /// A group that the store has and this process does not: made by a call that was dropped meanwhile.
    async fn stored(&self, key: &Key) -> Result<Arc<Group>, LogError> {
        let document = self.store.get(key).await?.ok_or_else(|| StoreError::Conflict(key.clone()))?;
        Ok(Arc::new(Group::stored(&document)?))
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logs").finish_non_exhaustive()
    }
}
