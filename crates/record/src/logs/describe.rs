//! Listing groups and streams.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use base::arn::Scope;
use base::clock::Timestamp;

use super::group::{Group, GroupKey};
use super::index::Stream;
use super::place::Purpose;
use super::{LogError, Logs};

/// A log group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogGroup {
    /// Its name.
    pub name: Arc<str>,
    /// When it was made.
    pub created: Timestamp,
    /// Bytes of its events, with 26 for each. After a restart it may lag until the group is used.
    pub stored_bytes: u64,
    /// Days after which its events go; `None` keeps them.
    pub retention_days: Option<u32>,
    /// The key that it names for its encryption.
    pub kms_key: Option<String>,
}

/// A log stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStream {
    /// Its name.
    pub name: Arc<str>,
    /// When it was made.
    pub created: Timestamp,
    /// Time of its earliest event.
    pub first_event: Option<Timestamp>,
    /// Time of its latest event.
    pub last_event: Option<Timestamp>,
    /// When its last event was taken in.
    pub last_ingestion: Option<Timestamp>,
}

/// Which groups are listed.
#[derive(Debug, Clone, Default)]
pub enum Named {
    /// All.
    #[default]
    All,
    /// Those whose names start so.
    Prefix(String),
    /// Those whose names hold this, case and all.
    Containing(String),
    /// Those of these that exist.
    These(BTreeSet<String>),
}

/// What of the groups is asked for.
#[derive(Debug, Clone, Default)]
pub struct GroupQuery<'a> {
    /// Which.
    pub named: Named,
    /// Groups on a page.
    pub limit: usize,
    /// The token of the page before.
    pub token: Option<&'a str>,
}

/// How streams are ordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StreamOrder {
    /// By name.
    #[default]
    Name,
    /// By the time of the latest event; those without events come first.
    LastEvent,
}

/// What of a group's streams is asked for.
#[derive(Debug, Clone, Default)]
pub struct StreamQuery<'a> {
    /// Only names that start so.
    pub prefix: &'a str,
    /// In which order.
    pub order: StreamOrder,
    /// The order reversed.
    pub descending: bool,
    /// Streams on a page.
    pub limit: usize,
    /// The token of the page before.
    pub token: Option<&'a str>,
}

/// A part of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The part.
    pub items: Vec<T>,
    /// Continues the listing, unless this is its end.
    pub next: Option<String>,
}

impl Logs {
    /// Groups of a scope by name.
    ///
    /// # Errors
    /// [`LogError::InvalidToken`].
    pub async fn describe_groups(
        &self,
        scope: &Scope,
        query: &GroupQuery<'_>,
    ) -> Result<Page<LogGroup>, LogError> {
        let subject = format!("{}/{}/{:?}", scope.account, scope.region, query.named);
        let purpose = Purpose { operation: "DescribeLogGroups", subject: &subject };
        let after = query.token.map(|token| text(purpose.open(token)?)).transpose()?;
        let prefix = if let Named::Prefix(prefix) = &query.named { prefix } else { "" };
        let from = GroupKey::new(scope, after.as_deref().unwrap_or(prefix));
        let mut groups: Vec<Arc<Group>> = self.shared.groups_from(&from, |groups| {
            let mine = groups.take_while(|group| group.key.name.starts_with(prefix));
            let asked = mine.filter(|group| match &query.named {
                Named::Containing(part) => group.key.name.contains(part.as_str()),
                Named::These(names) => names.contains(&*group.key.name),
                Named::All | Named::Prefix(_) => true,
            });
            let past = asked.filter(|group| after.as_deref() != Some(&*group.key.name));
            past.take(query.limit.max(1) + 1).cloned().collect()
        });
        let next = cut(&mut groups, query.limit).map(|last| purpose.seal(last.key.name.as_bytes()));
        let mut items = Vec::with_capacity(groups.len());
        for group in groups {
            group.settled().await;
            items.push(describe_group(&group));
        }
        Ok(Page { items, next })
    }

    /// Streams of a group.
    ///
    /// # Errors
    /// [`LogError::NoGroup`], [`LogError::InvalidToken`].
    pub async fn describe_streams(
        &self,
        scope: &Scope,
        group: &str,
        query: &StreamQuery<'_>,
    ) -> Result<Page<LogStream>, LogError> {
        let group = self.current(scope, group).await?;
        let subject = format!("{:016x} {:?} {} {}", group.id, query.order, query.descending, query.prefix);
        let purpose = Purpose { operation: "DescribeLogStreams", subject: &subject };
        let after = query.token.map(|token| Rank::open(&purpose.open(token)?)).transpose()?;
        let state = group.state();
        let ranked =
            state.index.named(query.prefix).map(|(_, stream)| (Rank::of(stream, query.order), stream));
        let items = if query.order == StreamOrder::Name && !query.descending {
            // They lie in this order: a page of a hundred thousand streams costs no more than one of a few.
            let after = after.as_ref().map(|Rank(_, name)| &**name);
            let following = state.index.named_after(query.prefix, after);
            following.map(|(_, stream)| stream).take(query.limit.max(1) + 1).collect()
        } else if query.descending {
            let after = after.map(Reverse);
            nearest(ranked.map(|(rank, stream)| (Reverse(rank), stream)), after, query.limit)
        } else {
            nearest(ranked, after, query.limit)
        };
        let mut items: Vec<LogStream> = items.into_iter().map(describe_stream).collect();
        let next = cut(&mut items, query.limit).map(|last| {
            let rank = match query.order {
                StreamOrder::Name => Rank(None, last.name.clone()),
                StreamOrder::LastEvent => Rank(last.last_event, last.name.clone()),
            };
            purpose.seal(&rank.seal())
        });
        Ok(Page { items, next })
    }
}

/// What streams are ordered by: the time, where that is asked for, and the name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(Option<Timestamp>, Arc<str>);

impl Rank {
    fn of(stream: &Stream, order: StreamOrder) -> Self {
        let time = match order {
            StreamOrder::Name => None,
            StreamOrder::LastEvent => stream.seen.map(|seen| seen.last),
        };
        Self(time, stream.name.clone())
    }

    fn seal(&self) -> Vec<u8> {
        let time = self.0.map_or(i64::MIN, Timestamp::as_micros);
        [&time.to_be_bytes(), self.1.as_bytes()].concat()
    }

    fn open(content: &[u8]) -> Result<Self, LogError> {
        let (time, name) = content.split_first_chunk().ok_or(LogError::InvalidToken)?;
        let time = Some(i64::from_be_bytes(*time)).filter(|time| *time != i64::MIN);
        Ok(Self(time.map(Timestamp::from_micros), text(name.to_vec())?.into()))
    }
}

/// The smallest of `items` that come after `after`, in order: one more than `limit`, to see whether there are more.
fn nearest<'a, R: Ord>(
    items: impl Iterator<Item = (R, &'a Stream)>,
    after: Option<R>,
    limit: usize,
) -> Vec<&'a Stream> {
    let mut items: Vec<_> =
        items.filter(|(rank, _)| after.as_ref().is_none_or(|after| rank > after)).collect();
    let wanted = limit.max(1) + 1;
    if items.len() > wanted {
        items.select_nth_unstable_by(wanted, |(a, _), (b, _)| a.cmp(b));
        items.truncate(wanted);
    }
    items.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    items.into_iter().map(|(_, stream)| stream).collect()
}

/// Cuts a page at its limit; answers its last item when there was more.
fn cut<T>(items: &mut Vec<T>, limit: usize) -> Option<&T> {
    let limit = limit.max(1);
    let more = items.len() > limit;
    items.truncate(limit);
    items.last().filter(|_| more)
}

fn text(bytes: Vec<u8>) -> Result<String, LogError> {
    String::from_utf8(bytes).map_err(|_| LogError::InvalidToken)
}

fn describe_group(group: &Group) -> LogGroup {
    let state = group.state();
    LogGroup {
        name: group.key.name.clone(),
        created: group.created,
        stored_bytes: state.index.stored_bytes,
        retention_days: state.settings.retention_days,
        kms_key: state.settings.kms_key.clone(),
    }
}

fn describe_stream(stream: &Stream) -> LogStream {
    LogStream {
        name: stream.name.clone(),
        created: stream.created,
        first_event: stream.seen.map(|seen| seen.first),
        last_event: stream.seen.map(|seen| seen.last),
        last_ingestion: stream.seen.map(|seen| seen.ingested),
    }
}
