//! Bringing a group's index into memory: from its documents, and from the end of the log that they do not cover.

use store::{Commit, Document, Key, LogEntry, LogName, LogPage, LogPosition, Store, StoreError};

use super::entry::{self, Entry, Mark};
use super::group::Group;
use super::index::{Index, Parts};
use super::stored;

/// Bytes of a log that are read at once to index them.
const READ_BYTES: usize = 1024 * 1024;

/// Index documents that are read or deleted at once.
const DOCUMENTS: usize = 64;

impl Group {
    /// Loads the index, once.
    pub(super) async fn load(&self, store: &dyn Store) -> Result<(), StoreError> {
        if self.state().loaded {
            return Ok(());
        }
        let _storing = self.storing.lock().await;
        let stored = {
            let state = self.state();
            if state.loaded {
                return Ok(());
            }
            (state.stored, state.index.stored_bytes)
        };
        let mut index = self.stored_index(store, stored).await?;
        // After a power cut the log may have lost its last second, which the index already told of.
        let shorter = store.log_end(&self.log).await? < index.end;
        if shorter {
            tracing::warn!(group = %self.key.name, "the log is shorter than its index and is indexed anew");
            index = index.emptied();
            delete_all(store, &stored::blocks_prefix(&self.key.scope, self.id)).await?;
        }
        while replay_page(store, &self.log, index.end).await?.apply(&mut index) {}
        // What was trimmed last may not have got into the documents.
        index.trimmed(store.log_usage(&self.log).await?.start);
        {
            let mut state = self.state();
            (state.index, state.loaded) = (index, true);
        }
        // An index that reaches too far must be gone before the log grows to where it reaches.
        if shorter { self.store_index(store).await } else { Ok(()) }
    }

    /// Applies what the log holds beyond the index, after an append of which nobody knows how it ended.
    pub(super) async fn catch_up(&self, store: &dyn Store) -> Result<(), StoreError> {
        loop {
            // Writers add streams to the index meanwhile, so it stays where it is.
            let end = self.state().index.end;
            let page = replay_page(store, &self.log, end).await?;
            if !page.apply(&mut self.state().index) {
                return Ok(());
            }
        }
    }

    /// Removes all documents of a group, its own last.
    pub(super) async fn delete_documents(&self, store: &dyn Store) -> Result<(), StoreError> {
        delete_all(store, &stored::index_prefix(&self.key.scope, self.id)).await?;
        let delete = vec![stored::group_key(&self.key)];
        store.commit(Commit { delete, ..Commit::default() }).await?;
        Ok(())
    }

    async fn stored_index(
        &self,
        store: &dyn Store,
        (end, stored_bytes): (LogPosition, u64),
    ) -> Result<Index, StoreError> {
        let prefix = stored::index_prefix(&self.key.scope, self.id);
        let (next, gone) = {
            let state = self.state();
            (state.next_stream, state.gone.clone())
        };
        let mut parts = Parts { end, stored_bytes, next, gone, ..Parts::default() };
        let mut after: Option<Key> = None;
        loop {
            // Keys order as numbers do, so chunks come in their order.
            let documents = store.scan(&prefix, after.as_ref(), DOCUMENTS).await?;
            for Document { key, body, .. } in &documents {
                if key.as_str()[prefix.len()..].starts_with("s/") {
                    parts.streams.extend(stored::decode_streams(key, body)?);
                } else {
                    parts.chunks.extend(stored::decode_blocks(key, body)?);
                }
            }
            match documents.into_iter().last() {
                Some(last) => after = Some(last.key),
                None => return Ok(Index::from_parts(parts)),
            }
        }
    }
}

/// Deletes all documents with a prefix.
async fn delete_all(store: &dyn Store, prefix: &str) -> Result<(), StoreError> {
    loop {
        let documents = store.scan(prefix, None, DOCUMENTS).await?;
        if documents.is_empty() {
            return Ok(());
        }
        let delete = documents.into_iter().map(|document| document.key).collect();
        store.commit(Commit { delete, ..Commit::default() }).await?;
    }
}

/// Records that the index does not know.
struct Unknown(LogPage);

async fn replay_page(store: &dyn Store, log: &LogName, from: LogPosition) -> Result<Unknown, StoreError> {
    store.read(log, from, READ_BYTES).await.map(Unknown)
}

impl Unknown {
    /// Applies the records to the index; answers whether there were any.
    fn apply(self, index: &mut Index) -> bool {
        let Self(LogPage { entries, next }) = self;
        let ends: Vec<LogPosition> =
            entries.iter().skip(1).map(|entry| entry.position).chain([next]).collect();
        let any = !entries.is_empty();
        for (LogEntry { timestamp, ingested, bytes, .. }, end) in entries.into_iter().zip(ends) {
            let event = match entry::decode(bytes) {
                Some(Entry::Event { stream, message }) => Some(Mark::new(stream, timestamp, message.len())),
                Some(Entry::Stream { stream, created, name }) => {
                    index.begun(stream, &name, created);
                    None
                }
                Some(Entry::Deleted { stream }) => {
                    index.deleted(stream, end);
                    None
                }
                None => None,
            };
            index.appended(end, ingested, event.as_slice());
        }
        any
    }
}
