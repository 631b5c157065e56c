//! Keeps logs within the time and the space that they have: what is too old goes, and when all logs together are too
//! large or the disk is nearly full, the oldest stretches over all groups go first.
//!
//! It also takes indexes out of memory that were not used lately. It works when logs have grown by
//! `limits::LOG_KEEP_BYTES`, and every `limits::LOG_KEEP_EVERY`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::clock::Timestamp;
use base::limits::{
    LOG_BATCH_BYTES, LOG_FREE_BYTES, LOG_FREE_LEAST, LOG_FREE_SHARE, LOG_INDEX_IDLE, LOG_KEEP_BYTES,
    LOG_KEEP_EVERY, LOG_LOADED_GROUPS, LOG_SPACE_BYTES, LOG_SPACE_SHARE, LOG_WARN_EVERY,
};
use store::{Disk, LogPosition, LogSpace};
use tokio::sync::Notify;

use super::group::{Group, Loaded};
use super::{LogError, Logs};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How much logs may keep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogLimits {
    /// Retention of groups that functions make, in days; `None` keeps their events.
    pub retention_days: Option<u32>,
    /// Bytes of all logs on disk; `None` for `limits::LOG_SPACE_BYTES`, or less on a small disk.
    pub space: Option<u64>,
}

/// What one round of keeping did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// Bytes on disk that went because they were too old.
    pub expired: u64,
    /// Bytes on disk that went for want of room.
    pub crowded_out: u64,
    /// Indexes that left the memory.
    pub unloaded: usize,
}

/// Counts what is appended, so that the keeper looks in time.
#[derive(Debug, Default)]
pub(super) struct Growth {
    bytes: AtomicU64,
    /// How many there may be until the keeper looks again.
    allowed: AtomicU64,
    much: Notify,
}

impl Growth {
    /// So many bytes of events were appended.
    pub(super) fn add(&self, bytes: usize) {
        let sum = self.bytes.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        if sum >= self.allowed.load(Ordering::Relaxed) {
            self.bytes.store(0, Ordering::Relaxed);
            self.much.notify_one();
        }
    }

    fn allow(&self, bytes: u64) {
        self.allowed.store(bytes, Ordering::Relaxed);
    }
}

/// What the keeper remembers.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    pub limits: LogLimits,
    pub growth: Arc<Growth>,
    full: AtomicBool,
    warned: Mutex<Warned>,
}

#[derive(Debug, Default)]
struct Warned {
    crowded_out: u64,
    crowded_at: Option<Timestamp>,
    dropped: u64,
    dropped_at: Option<Timestamp>,
}

/// Before when events of a group with this retention are expired.
pub(super) fn horizon(now: Timestamp, days: u32) -> Timestamp {
    let age = i64::try_from((DAY * days).as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.as_micros().saturating_sub(age))
}

/// Bytes that must go, of all logs: what is beyond the bound, or what the disk lacks to its floor.
fn excess(limits: LogLimits, space: LogSpace) -> u64 {
    let bound = limits.space.unwrap_or_else(|| {
        space.disk.map_or(LOG_SPACE_BYTES, |disk| LOG_SPACE_BYTES.min(disk.total / LOG_SPACE_SHARE))
    });
    let lacking = space.disk.map_or(0, |disk| floor(disk).saturating_sub(disk.free));
    space.logs.saturating_sub(bound).max(lacking)
}

/// Bytes that may be appended before the next look: on a disk that is nearly full, half of what it takes.
fn allowance(space: LogSpace) -> u64 {
    let room = space.disk.map_or(u64::MAX, |disk| disk.free.saturating_sub(floor(disk) / 2));
    (room / 2).clamp(LOG_BATCH_BYTES as u64, LOG_KEEP_BYTES)
}

/// Bytes that logs leave free.
fn floor(disk: Disk) -> u64 {
    LOG_FREE_BYTES.min(disk.total / LOG_FREE_SHARE).max(LOG_FREE_LEAST.min(disk.total / 2))
}

impl Logs {
    /// Keeps the logs within their limits for as long as the server runs.
    pub async fn keep_always(self) {
        loop {
            tokio::select! {
                () = self.shared.clock.sleep(LOG_KEEP_EVERY) => {}
                () = self.shared.keeper.growth.much.notified() => {}
            }
            if let Err(error) = self.keep().await {
                tracing::warn!(%error, "logs are not kept within their limits");
            }
        }
    }

    /// Does once what is to be done now. Of a group that cannot be kept there is a warning; the others are kept.
    ///
    /// # Errors
    /// [`LogError::Store`] when the disk cannot be measured; what was done before is done.
    pub async fn keep(&self) -> Result<Kept, LogError> {
        let expired = self.expire().await;
        let crowded_out = self.crowd_out().await?;
        let unloaded = self.unload().await;
        Ok(Kept { expired, crowded_out, unloaded })
    }

    /// What all logs take, and their bound, in bytes.
    ///
    /// # Errors
    /// [`LogError::Store`].
    pub async fn space(&self) -> Result<LogSpace, LogError> {
        Ok(self.shared.store.log_space().await?)
    }

    /// Removes what is older than its group keeps it.
    async fn expire(&self) -> u64 {
        let now = self.shared.clock.now();
        let mut gone = 0;
        for group in self.shared.all() {
            match self.expire_group(&group, now).await {
                Ok(bytes) => gone += bytes,
                Err(error) => unkept(&group, &error),
            }
        }
        gone
    }

    async fn expire_group(&self, group: &Arc<Group>, now: Timestamp) -> Result<u64, LogError> {
        let (days, kept) = {
            let state = group.state();
            (state.settings.retention_days, state.kept_until)
        };
        let Some(horizon) = days.map(|days| horizon(now, days)) else { return Ok(0) };
        if kept.is_some_and(|kept| kept >= horizon) || group.front().is_some_and(|front| front >= horizon) {
            return Ok(0);
        }
        let usage = self.shared.store.log_usage(&group.log).await?;
        if usage.next == usage.start {
            return Ok(0);
        }
        let group = group.loaded(&self.shared).await?;
        let before = group.state().index.earlier_than(horizon);
        let gone = self.trim(&group, before).await?;
        // What goes at once goes when its latest event is too old: until then nobody needs to look again.
        let next = self.shared.store.log_usage(&group.log).await?.next;
        let mut state = group.state();
        state.kept_until = state.index.latest_before(next);
        Ok(gone)
    }

    /// Removes the oldest stretches over all groups until there is room.
    async fn crowd_out(&self) -> Result<u64, LogError> {
        let mut space = self.shared.store.log_space().await?;
        let limits = self.shared.keeper.limits;
        let mut gone = 0;
        if excess(limits, space) > 0 {
            let age = |group: Arc<Group>| Reverse(Oldest(group.front(), group));
            let mut groups: BinaryHeap<_> = self.shared.all().into_iter().map(age).collect();
            while excess(limits, space) > 0 {
                let Some(Reverse(Oldest(_, group))) = groups.pop() else { break };
                match self.shorten(&group).await {
                    Ok(0) => {}
                    Ok(bytes) => {
                        gone += bytes;
                        groups.push(age(group));
                    }
                    Err(error) => unkept(&group, &error),
                }
                space = self.shared.store.log_space().await?;
            }
        }
        // What cannot be helped by trimming is helped by taking no more.
        let full = space.disk.is_some_and(|disk| disk.free < floor(disk) / 2);
        self.shared.keeper.full.store(full, Ordering::Relaxed);
        self.shared.keeper.growth.allow(allowance(space));
        self.shared.keeper.crowded_out(gone, space, self.shared.clock.now());
        Ok(gone)
    }

    /// Removes the oldest stretch of a group; answers how many bytes that was on disk.
    async fn shorten(&self, group: &Arc<Group>) -> Result<u64, LogError> {
        let usage = self.shared.store.log_usage(&group.log).await?;
        if usage.next == usage.start {
            return Ok(0);
        }
        let group = group.loaded(&self.shared).await?;
        self.trim(&group, usage.next).await
    }

    /// Removes what is before a place; answers how many bytes that was on disk.
    async fn trim(&self, group: &Loaded, before: LogPosition) -> Result<u64, LogError> {
        let store = &*self.shared.store;
        let _storing = group.storing.lock().await;
        let usage = store.log_usage(&group.log).await?;
        if usage.next == usage.start || usage.next > before {
            return Ok(0);
        }
        // The names of streams must be stored before the records that tell them go.
        group.store_index(store).await?;
        let trimmed = store.trim_log(&group.log, before).await?;
        {
            let mut state = group.state();
            state.index.trimmed(trimmed.start);
            state.dirty = true;
        }
        group.store_index(store).await?;
        Ok(usage.bytes.saturating_sub(trimmed.bytes))
    }

    /// Takes indexes out of memory: those not used lately, and the least used of too many.
    async fn unload(&self) -> usize {
        let now = self.shared.clock.now();
        let mut loaded: Vec<_> = self.shared.all();
        loaded.retain(|group| group.state().loaded);
        loaded.sort_by_cached_key(|group| group.state().used);
        let many = loaded.len().saturating_sub(LOG_LOADED_GROUPS);
        let mut unloaded = 0;
        for (place, group) in loaded.iter().enumerate() {
            let used = group.state().used;
            if place < many || used.is_none_or(|used| now.since(used) >= LOG_INDEX_IDLE) {
                match group.unload(&*self.shared.store).await {
                    Ok(done) => unloaded += usize::from(done),
                    Err(error) => unkept(group, &error.into()),
                }
            }
        }
        unloaded
    }
}

/// A group that cannot be kept within its limits, being damaged perhaps, is no reason to leave the others.
fn unkept(group: &Group, error: &LogError) {
    let source = std::error::Error::source(error);
    tracing::warn!(%error, source, group = %group.key.name, "a log group is not kept within its limits");
}

/// A group by the age of what would go first; nothing known counts as oldest.
struct Oldest(Option<Timestamp>, Arc<Group>);

impl PartialEq for Oldest {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Oldest {}

impl PartialOrd for Oldest {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Oldest {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl Keeper {
    /// Nothing was done yet.
    pub(super) fn new(limits: LogLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Whether the disk is so full that nothing more is taken.
    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Events of functions were dropped: the disk is full.
    pub(super) fn dropped(&self, events: usize, now: Timestamp) {
        let mut warned = self.warned.lock().expect("nobody panics while holding what was warned of");
        warned.dropped += events as u64;
        if due(&mut warned.dropped_at, now) {
            let dropped = std::mem::take(&mut warned.dropped);
            tracing::warn!(dropped, "the disk is nearly full: log events are dropped");
        }
    }

    fn crowded_out(&self, bytes: u64, space: LogSpace, now: Timestamp) {
        let mut warned = self.warned.lock().expect("nobody panics while holding what was warned of");
        warned.crowded_out += bytes;
        if warned.crowded_out > 0 && due(&mut warned.crowded_at, now) {
            let removed = std::mem::take(&mut warned.crowded_out);
            let free = space.disk.map(|disk| disk.free);
            tracing::warn!(
                removed,
                logs = space.logs,
                free,
                "the oldest log events were removed for want of room"
            );
        }
    }
}

/// Whether to warn again; remembers that it was done.
fn due(last: &mut Option<Timestamp>, now: Timestamp) -> bool {
    let due = last.is_none_or(|last| now.since(last) >= LOG_WARN_EVERY);
    if due {
        *last = Some(now);
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1 << 30;

    #[test]
    fn logs_have_their_space_and_the_disk_its_floor() {
        let disk = |total, free| Some(Disk { total: total * GB, free: free * GB });
        for (space, logs, disk, expected) in [
            (None, 11, None, 1),
            (None, 10, disk(1000, 500), 0),
            (None, 11, disk(1000, 500), 1),
            (None, 3, disk(8, 4), 1),
            (Some(20 * GB), 11, disk(8, 4), 0),
            (Some(4 * GB), 11, disk(1000, 500), 7),
            (None, 1, disk(1000, 0), 1),
            (Some(20 * GB), 11, disk(40, 0), 1),
        ] {
            let limits = LogLimits { space, retention_days: None };
            let excess = excess(limits, LogSpace { logs: logs * GB, disk });
            assert_eq!(excess, expected * GB, "{space:?} {logs} {disk:?}");
        }
    }
}
