//! What can be set of groups, and making and deleting groups and streams.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::arn::Scope;
use base::limits::LOG_EVENT_OVERHEAD;
use serde::{Deserialize, Serialize};

use super::group::{Appender, Durable, Group, GroupKey, Room, Unready};
use super::{LogError, Logs};

/// What a group's owner may set. The default keeps events for ever.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSettings {
    /// Days after which events go; `None` keeps them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// The key that the group names for its encryption. Told back; nothing is encrypted with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// Tags by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl Logs {
    /// Makes an empty group.
    ///
    /// # Errors
    /// [`LogError::GroupExists`].
    pub async fn create_group(
        &self,
        scope: &Scope,
        name: &str,
        settings: GroupSettings,
    ) -> Result<(), LogError> {
        let key = GroupKey::new(scope, name);
        let _changing = self.shared.changing(&key).lock().await;
        if self.shared.group(&key).is_some() {
            return Err(LogError::GroupExists(name.into()));
        }
        self.shared.create(&key, settings).await?;
        Ok(())
    }

    /// Changes what is set of a group; durable when it answers.
    ///
    /// # Errors
    /// [`LogError::NoGroup`].
    pub async fn change_group(
        &self,
        scope: &Scope,
        name: &str,
        change: impl FnOnce(&mut GroupSettings) + Send,
    ) -> Result<(), LogError> {
        let group = self.shared.existing(&GroupKey::new(scope, name))?.loaded(&self.shared).await?;
        let before = {
            let mut state = group.state();
            let before = state.settings.clone();
            change(&mut state.settings);
            state.dirty = true;
            before
        };
        let stored = group.checkpoint(&*self.shared.store).await;
        if stored.is_err() {
            group.state().settings = before;
        }
        Ok(stored?)
    }

    /// What is set of a group.
    ///
    /// # Errors
    /// [`LogError::NoGroup`].
    pub fn group_settings(&self, scope: &Scope, name: &str) -> Result<GroupSettings, LogError> {
        let group = self.shared.existing(&GroupKey::new(scope, name))?;
        let settings = group.state().settings.clone();
        Ok(settings)
    }

    /// Makes an empty stream; durable when it answers.
    ///
    /// # Errors
    /// [`LogError::NoGroup`], [`LogError::StreamExists`].
    pub async fn create_stream(&self, scope: &Scope, group: &str, stream: &str) -> Result<(), LogError> {
        self.change_stream(scope, group, |group, appender, room| group.begin(appender, stream, room))
            .await?
            .ok_or_else(|| LogError::StreamExists(stream.into()))
    }

    /// Removes a stream with its events; durable when it answers. One that is written to later starts anew. Its
    /// bytes count until they are trimmed with what was written about the same time.
    ///
    /// # Errors
    /// [`LogError::NoGroup`], [`LogError::NoStream`].
    pub async fn delete_stream(&self, scope: &Scope, group: &str, stream: &str) -> Result<(), LogError> {
        self.change_stream(scope, group, |group, appender, room| group.end_stream(appender, stream, room))
            .await?
            .ok_or_else(|| LogError::NoStream(stream.into()))
    }

    /// Does something with a stream and waits until it is durable; `None` when the stream does not allow it.
    async fn change_stream(
        &self,
        scope: &Scope,
        group: &str,
        change: impl Fn(&Arc<Group>, &Appender, Room) -> Result<Durable, Unready> + Send,
    ) -> Result<Option<()>, LogError> {
        let missing = || LogError::NoGroup(group.into());
        let group = self.shared.existing(&GroupKey::new(scope, group))?.loaded(&self.shared).await?;
        let room = self.shared.room(&group, LOG_EVENT_OVERHEAD, None).await;
        match change(&group, &self.shared.appender(), room) {
            Ok(durable) => Ok(Some(durable.await.map_err(|_| missing())??)),
            Err(Unready::Stream) => Ok(None),
            Err(Unready::Closed | Unready::Unloaded) => Err(missing()),
        }
    }
}
