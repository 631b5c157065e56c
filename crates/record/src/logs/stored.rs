//! The documents of a group: its own, and those of its index. Their form is theirs, not the domain's.
//!
//! `log-group/<account>/<region>/<name>` is the group; `log-index/<account>/<region>/<id>/s/<number>` a chunk of
//! its streams and `.../b/<number>` a chunk of its blocks. The log is `log/<account>/<region>/<id>`.

use base::arn::Scope;
use base::clock::Timestamp;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::{Key, LogName, LogPosition, StoreError};

use super::entry::StreamId;
use super::group::GroupKey;
use super::index::{Block, Chunk, Index, STREAMS_PER_CHUNK, Seen, Stream, StreamSet};
use super::settings::GroupSettings;

/// Where the documents of all groups are.
pub(super) const GROUP_PREFIX: &str = "log-group/";

const VERSION: u32 = 1;

/// A group's own document.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GroupForm {
    #[serde(rename = "v")]
    version: u32,
    /// The group's number, sixteen hexadecimal digits: it tells a group from one of its name before.
    id: String,
    /// When it was made.
    pub created: Timestamp,
    /// How far the index documents reach.
    pub indexed: LogPosition,
    /// Bytes of the events up to there.
    pub stored_bytes: u64,
    /// What its owner set.
    #[serde(default, flatten)]
    pub settings: GroupSettings,
    /// The number of the next stream.
    #[serde(default)]
    pub next_stream: u32,
    /// Numbers of deleted streams, and where in the log none of their events is any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<(u32, LogPosition)>,
    /// Time of the latest event of the stretch that would be trimmed first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub front: Option<Timestamp>,
}

impl GroupForm {
    /// The form of a group.
    pub(super) fn new(id: u64, created: Timestamp, settings: GroupSettings, index: &Index) -> Self {
        Self {
            version: VERSION,
            id: format!("{id:016x}"),
            created,
            indexed: index.end,
            stored_bytes: index.stored_bytes,
            settings,
            next_stream: index.next_stream(),
            gone: index.gone().iter().map(|(id, end)| (id.0, *end)).collect(),
            front: index.front(),
        }
    }

    /// The group's number.
    pub(super) fn id(&self) -> Result<u64, StoreError> {
        u64::from_str_radix(&self.id, 16)
            .map_err(|_| StoreError::Corrupt(format!("log group id {:?}", self.id)))
    }
}

/// A chunk of streams, or of blocks.
#[derive(Debug, Serialize, Deserialize)]
struct ChunkForm<T> {
    #[serde(rename = "v")]
    version: u32,
    items: Vec<T>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StreamForm {
    /// Its number; without it, the one after the stream before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<u32>,
    name: String,
    created: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<SeenForm>,
    begun: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct SeenForm {
    first: Timestamp,
    last: Timestamp,
    ingested: Timestamp,
    start: LogPosition,
    end: LogPosition,
}

/// Start, end, earliest, latest, the stream set as hexadecimal digits, and what its events count.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum BlockForm {
    Counted(LogPosition, LogPosition, Timestamp, Timestamp, String, u64),
    /// As written before blocks were trimmed: their length is about what their events count.
    Uncounted(LogPosition, LogPosition, Timestamp, Timestamp, String),
}

/// A form as a document's body.
pub(super) fn encode(form: &impl Serialize) -> Bytes {
    serde_json::to_vec(form).expect("numbers and strings serialise").into()
}

/// The form in a document's body.
pub(super) fn decode<T: DeserializeOwned>(key: &Key, body: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(body).map_err(|error| StoreError::Corrupt(format!("{key}: {error}")))
}

/// A chunk of streams as a document's body; `None` for an empty one, which is not kept.
pub(super) fn encode_streams<'a>(streams: impl Iterator<Item = (StreamId, &'a Stream)>) -> Option<Bytes> {
    let item = |(id, stream): (StreamId, &Stream)| StreamForm {
        n: Some(id.0),
        name: stream.name.to_string(),
        created: stream.created,
        seen: stream.seen.map(|Seen { first, last, ingested, start, end }| SeenForm {
            first,
            last,
            ingested,
            start,
            end,
        }),
        begun: stream.begun,
    };
    let items: Vec<_> = streams.map(item).collect();
    (!items.is_empty()).then(|| encode(&ChunkForm { version: VERSION, items }))
}

/// The streams in a document's body.
pub(super) fn decode_streams(key: &Key, body: &[u8]) -> Result<Vec<(StreamId, Stream)>, StoreError> {
    let chunk: ChunkForm<StreamForm> = decode(key, body)?;
    let first = number(key)? * STREAMS_PER_CHUNK;
    let stream = |(place, form): (usize, StreamForm)| {
        let seen = form.seen.map(|SeenForm { first, last, ingested, start, end }| Seen {
            first,
            last,
            ingested,
            start,
            end,
        });
        let id = StreamId(form.n.unwrap_or((first + place) as u32));
        let (name, created, begun) = (form.name.into(), form.created, form.begun);
        (id, Stream { name, created, seen, begun, pending: 0 })
    };
    Ok(chunk.items.into_iter().enumerate().map(stream).collect())
}

/// A chunk of blocks as a document's body.
pub(super) fn encode_blocks(chunk: &Chunk) -> Bytes {
    let item = |block: &Block| {
        let Block { start, end, earliest, latest, whose, bytes } = *block;
        BlockForm::Counted(start, end, earliest, latest, format!("{:x}", whose.0), bytes)
    };
    encode(&ChunkForm { version: VERSION, items: chunk.blocks.iter().map(item).collect() })
}

/// The number of a chunk and the blocks in its document's body; `None` for an empty chunk, which is never written.
pub(super) fn decode_blocks(key: &Key, body: &[u8]) -> Result<Option<(usize, Chunk)>, StoreError> {
    let chunk: ChunkForm<BlockForm> = decode(key, body)?;
    let blocks = chunk.items.into_iter().map(|form| {
        let (start, end, earliest, latest, whose, bytes) = match form {
            BlockForm::Counted(start, end, earliest, latest, whose, bytes) => {
                (start, end, earliest, latest, whose, bytes)
            }
            BlockForm::Uncounted(start, end, earliest, latest, whose) => {
                (start, end, earliest, latest, whose, end.0.saturating_sub(start.0))
            }
        };
        let whose = u128::from_str_radix(&whose, 16)
            .map_err(|_| StoreError::Corrupt(format!("{key}: streams {whose:?}")))?;
        Ok(Block { start, end, earliest, latest, whose: StreamSet(whose), bytes })
    });
    let blocks: Vec<Block> = blocks.collect::<Result<_, StoreError>>()?;
    let earliest = blocks.iter().map(|block| block.earliest).min();
    let latest = blocks.iter().map(|block| block.latest).max();
    let number = number(key)?;
    Ok(earliest.zip(latest).map(|(earliest, latest)| (number, Chunk { blocks, earliest, latest })))
}

/// The number of the chunk whose document this is.
fn number(key: &Key) -> Result<usize, StoreError> {
    let digits = key.as_str().rsplit('/').next().unwrap_or_default();
    usize::from_str_radix(digits, 16).map_err(|_| StoreError::Corrupt(format!("document key {key}")))
}

/// Where a group's document is.
pub(super) fn group_key(key: &GroupKey) -> Key {
    let Scope { account, region } = &key.scope;
    Key::new(format!("{GROUP_PREFIX}{account}/{region}/{}", key.name))
}

/// The group whose document this is. Group names may hold slashes.
pub(super) fn read_group_key(key: &Key) -> Result<GroupKey, StoreError> {
    let corrupt = || StoreError::Corrupt(format!("document key {key}"));
    let rest = key.as_str().strip_prefix(GROUP_PREFIX).ok_or_else(corrupt)?;
    let mut parts = rest.splitn(3, '/');
    let mut part = || parts.next().ok_or_else(corrupt);
    let account = part()?.parse().map_err(|_| corrupt())?;
    let region = part()?.parse().map_err(|_| corrupt())?;
    Ok(GroupKey { scope: Scope { account, region }, name: part()?.into() })
}

/// The group's log.
pub(super) fn log_name(scope: &Scope, id: u64) -> LogName {
    LogName::new(format!("log/{}/{}/{id:016x}", scope.account, scope.region))
}

/// Where all index documents of a group are.
pub(super) fn index_prefix(scope: &Scope, id: u64) -> String {
    format!("log-index/{}/{}/{id:016x}/", scope.account, scope.region)
}

/// Where a chunk of streams is.
pub(super) fn streams_key(scope: &Scope, id: u64, chunk: usize) -> Key {
    Key::new(format!("{}s/{chunk:08x}", index_prefix(scope, id)))
}

/// Where a chunk of blocks is.
pub(super) fn blocks_key(scope: &Scope, id: u64, chunk: usize) -> Key {
    Key::new(format!("{}{chunk:08x}", blocks_prefix(scope, id)))
}

/// Where all chunks of blocks are.
pub(super) fn blocks_prefix(scope: &Scope, id: u64) -> String {
    format!("{}b/", index_prefix(scope, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_read_back_as_written() {
        let at = Timestamp::from_millis;
        let seen =
            Seen { first: at(1), last: at(2), ingested: at(3), start: LogPosition(4), end: LogPosition(5) };
        let stream = |name: &str, seen| {
            let (name, created) = (name.into(), at(0));
            Stream { name, created, seen, begun: true, pending: 0 }
        };
        let streams = [
            (StreamId(256), stream("2026/11/21/[$LATEST]00", Some(seen))),
            (StreamId(300), stream("\"odd\"", None)),
        ];
        let key = Key::new("k/00000002");
        let body = encode_streams(streams.iter().map(|(id, stream)| (*id, stream))).unwrap();
        assert_eq!(decode_streams(&key, &body).unwrap(), streams);
        assert_eq!(encode_streams(std::iter::empty()), None);
        let old = br#"{"v":1,"items":[{"name":"a","created":0,"begun":true},{"name":"b","created":0,"begun":true}]}"#;
        let ids: Vec<_> = decode_streams(&key, old).unwrap().into_iter().map(|(id, _)| id.0).collect();
        assert_eq!(ids, [256, 257]);
        let block = Block {
            start: LogPosition(1),
            end: LogPosition(9),
            earliest: at(-1),
            latest: at(7),
            whose: StreamSet::ALL,
            bytes: 8,
        };
        let chunk = Chunk { blocks: vec![block], earliest: at(-1), latest: at(7) };
        assert_eq!(decode_blocks(&key, &encode_blocks(&chunk)).unwrap(), Some((2, chunk.clone())));
        let old = br#"{"v":1,"items":[[1,9,-1000,7000,"ffffffffffffffffffffffffffffffff"]]}"#;
        assert_eq!(decode_blocks(&key, old).unwrap(), Some((2, chunk)));
        assert!(matches!(decode_blocks(&key, b"{"), Err(StoreError::Corrupt(_))));
    }

    #[test]
    fn keys_name_their_group_even_with_slashes() {
        let scope = Scope { account: "000000000000".parse().unwrap(), region: "us-east-1".parse().unwrap() };
        let key = GroupKey { scope, name: "/aws/lambda/f".into() };
        assert_eq!(group_key(&key).as_str(), "log-group/000000000000/us-east-1//aws/lambda/f");
        assert_eq!(read_group_key(&group_key(&key)).unwrap(), key);
        assert!(read_group_key(&Key::new("log-group/x/us-east-1/g")).is_err());
    }
}
