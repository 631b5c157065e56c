//! A record as bytes of a segment file:
//! length and CRC-32 (4 bytes each), timestamp and time of ingestion (8 each), then what it tells; little-endian.

use base::clock::Timestamp;
use base::limits::LOG_RECORD_BYTES;
use bytes::Bytes;
use store::{LogEntry, LogPosition, LogRecord};

/// Bytes before what a record tells.
pub const HEAD: usize = 24;

/// What a segment file starts with: a name and the version of this form. The base position follows.
const MAGIC: [u8; 8] = *b"SMVRLOG\x01";

/// Bytes before the first record of a segment.
pub const SEGMENT_HEAD: u64 = 16;

/// How a segment that begins at `base` begins.
pub fn segment_head(base: u64) -> [u8; SEGMENT_HEAD as usize] {
    let mut head = [0; SEGMENT_HEAD as usize];
    head[..8].copy_from_slice(&MAGIC);
    head[8..].copy_from_slice(&base.to_le_bytes());
    head
}

/// What bytes at a position are.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A record; the next one follows it at once.
    Record(LogEntry),
    /// The start of a record that has so many bytes in all.
    Part(usize),
    /// Nothing that was written at this position.
    Nothing,
}

/// Adds a record to `bytes`, to be written at `position`; answers the position after it.
pub fn encode(record: &LogRecord, position: u64, ingested: Timestamp, bytes: &mut Vec<u8>) -> u64 {
    let mut head = [0; HEAD];
    let length = u32::try_from(record.bytes.len()).expect("records are checked against LOG_RECORD_BYTES");
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[8..16].copy_from_slice(&record.timestamp.as_micros().to_le_bytes());
    head[16..].copy_from_slice(&ingested.as_micros().to_le_bytes());
    let checksum = checksum(position, &head, &record.bytes);
    head[4..8].copy_from_slice(&checksum.to_le_bytes());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(&record.bytes);
    position + size(record.bytes.len())
}

/// Bytes that a record takes.
pub fn size(told: usize) -> u64 {
    (HEAD + told) as u64
}

/// What `bytes`, which were read at `position`, start with behind the first `from` of them.
pub fn decode(bytes: &Bytes, from: usize, position: u64) -> Decoded {
    let Some((head, rest)) = bytes[from..].split_first_chunk::<HEAD>() else {
        return Decoded::Part(HEAD);
    };
    let length = u32::from_le_bytes(field(head, 0)) as usize;
    if length > LOG_RECORD_BYTES {
        return Decoded::Nothing;
    }
    let Some(told) = rest.get(..length) else {
        return Decoded::Part(HEAD + length);
    };
    if u32::from_le_bytes(field(head, 4)) != checksum(position, head, told) {
        return Decoded::Nothing;
    }
    let told = from + HEAD..from + HEAD + length;
    Decoded::Record(LogEntry {
        position: LogPosition(position),
        timestamp: Timestamp::from_micros(i64::from_le_bytes(field(head, 8))),
        ingested: Timestamp::from_micros(i64::from_le_bytes(field(head, 16))),
        bytes: bytes.slice(told),
    })
}

fn field<const N: usize>(head: &[u8; HEAD], at: usize) -> [u8; N] {
    head[at..at + N].try_into().expect("fields lie inside the head")
}

/// Covers the position too, so that bytes which only look like a record, or lie elsewhere, are none.
fn checksum(position: u64, head: &[u8; HEAD], told: &[u8]) -> u32 {
    // In one piece, for lines are short and each piece costs.
    let mut before = [0; 8 + HEAD - 4];
    before[..8].copy_from_slice(&position.to_le_bytes());
    before[8..12].copy_from_slice(&head[..4]);
    before[12..].copy_from_slice(&head[8..]);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&before);
    hasher.update(told);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8], position: u64) -> Decoded {
        let padded = [b"...".as_slice(), bytes].concat();
        super::decode(&padded.into(), 3, position)
    }

    fn frame() -> (LogRecord, Vec<u8>) {
        let record = LogRecord { timestamp: Timestamp::from_micros(-5), bytes: Bytes::from_static(b"hello") };
        let mut bytes = Vec::new();
        assert_eq!(encode(&record, 100, Timestamp::from_micros(7), &mut bytes), 100 + 29);
        (record, bytes)
    }

    #[test]
    fn a_record_is_decoded_as_it_was_encoded() {
        let (record, mut bytes) = frame();
        bytes.extend_from_slice(b"next");
        let Decoded::Record(entry) = decode(&bytes, 100) else { panic!("no record") };
        assert_eq!((entry.timestamp, entry.bytes), (record.timestamp, record.bytes));
        assert_eq!((entry.position, entry.ingested), (LogPosition(100), Timestamp::from_micros(7)));
    }

    #[test]
    fn the_checksum_covers_position_head_and_text() {
        let (_, bytes) = frame();
        let covered = [&100u64.to_le_bytes(), &bytes[..4], &bytes[8..]].concat();
        assert_eq!(bytes[4..8], crc32fast::hash(&covered).to_le_bytes());
    }

    #[test]
    fn a_record_that_was_cut_says_how_long_it_would_be() {
        let (_, bytes) = frame();
        for cut in 0..bytes.len() {
            let whole = if cut < HEAD { HEAD } else { bytes.len() };
            assert_eq!(decode(&bytes[..cut], 100), Decoded::Part(whole));
        }
    }

    #[test]
    fn changed_moved_and_zeroed_bytes_are_no_record() {
        let (_, bytes) = frame();
        assert_eq!(decode(&bytes, 101), Decoded::Nothing);
        assert_eq!(decode(&[0; 100], 100), Decoded::Nothing);
        assert_eq!(decode(&[255; 100], 100), Decoded::Nothing);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(!matches!(decode(&changed, 100), Decoded::Record(_)), "byte {at}");
        }
    }
}
