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

use super::group::GroupKey;
use super::index::{Block, Chunk, Seen, Stream, StreamSet};

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
}

impl GroupForm {
    /// The form of a group.
    pub(super) fn new(id: u64, created: Timestamp, indexed: LogPosition, stored_bytes: u64) -> Self {
        Self { version: VERSION, id: format!("{id:016x}"), created, indexed, stored_bytes }
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

/// Start, end, earliest, latest, and the stream set as hexadecimal digits.
type BlockForm = (LogPosition, LogPosition, Timestamp, Timestamp, String);

/// A form as a document's body.
pub(super) fn encode(form: &impl Serialize) -> Bytes {
    serde_json::to_vec(form).expect("numbers and strings serialise").into()
}

/// The form in a document's body.
pub(super) fn decode<T: DeserializeOwned>(key: &Key, body: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(body).map_err(|error| StoreError::Corrupt(format!("{key}: {error}")))
}

/// A chunk of streams as a document's body.
pub(super) fn encode_streams(streams: &[Stream]) -> Bytes {
    let items = streams.iter().map(|stream| StreamForm {
        name: stream.name.as_ref().into(),
        created: stream.created,
        seen: stream.seen.map(|Seen { first, last, ingested, start, end }| SeenForm {
            first,
            last,
            ingested,
            start,
            end,
        }),
        begun: stream.begun,
    });
    encode(&ChunkForm { version: VERSION, items: items.collect() })
}

/// The streams in a document's body.
pub(super) fn decode_streams(key: &Key, body: &[u8]) -> Result<Vec<Stream>, StoreError> {
    let chunk: ChunkForm<StreamForm> = decode(key, body)?;
    let streams = chunk.items.into_iter().map(|form| Stream {
        name: form.name.into(),
        created: form.created,
        seen: form.seen.map(|SeenForm { first, last, ingested, start, end }| Seen {
            first,
            last,
            ingested,
            start,
            end,
        }),
        begun: form.begun,
    });
    Ok(streams.collect())
}

/// A chunk of blocks as a document's body.
pub(super) fn encode_blocks(chunk: &Chunk) -> Bytes {
    let item = |block: &Block| -> BlockForm {
        (block.start, block.end, block.earliest, block.latest, format!("{:x}", block.whose.0))
    };
    encode(&ChunkForm { version: VERSION, items: chunk.blocks.iter().map(item).collect() })
}

/// The blocks in a document's body; `None` for an empty chunk, which is never written.
pub(super) fn decode_blocks(key: &Key, body: &[u8]) -> Result<Option<Chunk>, StoreError> {
    let chunk: ChunkForm<BlockForm> = decode(key, body)?;
    let blocks = chunk.items.into_iter().map(|(start, end, earliest, latest, whose)| {
        let whose = u128::from_str_radix(&whose, 16)
            .map_err(|_| StoreError::Corrupt(format!("{key}: streams {whose:?}")))?;
        Ok(Block { start, end, earliest, latest, whose: StreamSet(whose) })
    });
    let blocks: Vec<Block> = blocks.collect::<Result<_, StoreError>>()?;
    let earliest = blocks.iter().map(|block| block.earliest).min();
    let latest = blocks.iter().map(|block| block.latest).max();
    Ok(earliest.zip(latest).map(|(earliest, latest)| Chunk { blocks, earliest, latest }))
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
        let stream = |name: &str, seen| Stream { name: name.into(), created: at(0), seen, begun: true };
        let streams = vec![stream("2026/11/21/[$LATEST]00", Some(seen)), stream("\"odd\"", None)];
        let key = Key::new("k");
        assert_eq!(decode_streams(&key, &encode_streams(&streams)).unwrap(), streams);
        let block = Block {
            start: LogPosition(1),
            end: LogPosition(9),
            earliest: at(-1),
            latest: at(7),
            whose: StreamSet::ALL,
        };
        let chunk = Chunk { blocks: vec![block], earliest: at(-1), latest: at(7) };
        assert_eq!(decode_blocks(&key, &encode_blocks(&chunk)).unwrap(), Some(chunk));
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
