//! The index of a group on its way into the store, and out of memory.

use base::clock::Timestamp;
use store::{Commit, LogPosition, Require, Store, StoreError};

use super::Group;
use crate::logs::index::Changed;
use crate::logs::stored::{self, GroupForm};

impl Group {
    /// Stores the parts of the index that changed. Does nothing for a group that is not loaded or closed.
    pub(in crate::logs) async fn checkpoint(&self, store: &dyn Store) -> Result<(), StoreError> {
        let _storing = self.storing.lock().await;
        self.store_index(store).await
    }

    /// As [`Group::checkpoint`]; the caller holds `storing`.
    pub(in crate::logs) async fn store_index(&self, store: &dyn Store) -> Result<(), StoreError> {
        let Some((commit, changed, end)) = self.index_commit() else {
            return Ok(());
        };
        match store.commit(commit).await {
            Ok(revision) => {
                let mut state = self.state();
                (state.stored, state.revision) = (end, revision);
                Ok(())
            }
            Err(error) => {
                let mut state = self.state();
                state.index.give_back(changed);
                state.dirty = true;
                Err(error)
            }
        }
    }

    /// The commit that stores the index, what it stores, and how far the log is in it.
    fn index_commit(&self) -> Option<(Commit, Changed, LogPosition)> {
        let group = stored::group_key(&self.key);
        let (scope, id) = (&self.key.scope, self.id);
        let mut state = self.state();
        if state.closed || !state.loaded || (state.index.end == state.stored && !state.dirty) {
            return None;
        }
        state.dirty = false;
        let changed = state.index.take_changed();
        let index = &state.index;
        let form = GroupForm::new(id, self.created, state.settings.clone(), index);
        let mut commit = Commit { put: vec![(group.clone(), stored::encode(&form))], ..Commit::default() };
        let streams = changed.streams.iter().map(|&chunk| {
            (stored::streams_key(scope, id, chunk), stored::encode_streams(index.stream_chunk(chunk)))
        });
        let blocks = changed.blocks.iter().map(|&chunk| {
            (stored::blocks_key(scope, id, chunk), index.chunk(chunk).map(stored::encode_blocks))
        });
        for (key, body) in streams.chain(blocks) {
            match body {
                Some(body) => commit.put.push((key, body)),
                None => commit.delete.push(key),
            }
        }
        // A group that was deleted or cleared away meanwhile must not come back.
        commit.require = vec![Require::At(group, state.revision)];
        Some((commit, changed, index.end))
    }

    /// Stores the index and takes it out of memory, unless somebody uses it; answers whether it did.
    pub(in crate::logs) async fn unload(&self, store: &dyn Store) -> Result<bool, StoreError> {
        if self.state().busy() {
            return Ok(false);
        }
        let _storing = self.storing.lock().await;
        self.store_index(store).await?;
        let mut state = self.state();
        if state.busy() || state.dirty || state.index.end != state.stored {
            return Ok(false);
        }
        state.front = state.index.front();
        state.next_stream = state.index.next_stream();
        state.gone = state.index.gone().clone();
        (state.index, state.loaded) = (state.index.unloaded(), false);
        Ok(true)
    }

    /// Time of the latest event of the stretch that would be trimmed first, as far as is known.
    pub(in crate::logs) fn front(&self) -> Option<Timestamp> {
        let state = self.state();
        if state.loaded { state.index.front() } else { state.front }
    }
}
