//! A segment that does not grow any more, compressed.
//!
//! Beginning and base as in a plain segment, with another name; then zstd frames, each of [`FRAME_BYTES`] of the
//! segment's records but the last; then where each frame begins in the file and where the last one ends, then the
//! length of the records, the number of frames, a CRC-32 of all these numbers, and the end mark. Numbers are
//! little-endian. Reading a block unpacks only the frames that it lies in; zstd's checksum covers each.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use super::frame::SEGMENT_HEAD;

/// Bytes of records that are compressed together, as much as a block of the index.
pub const FRAME_BYTES: usize = 128 * 1024;

const MAGIC: [u8; 8] = *b"SMVRLGZ\x01";
const END: [u8; 8] = *b"SMVRLGZE";

/// Length, number of frames, checksum, end mark.
const TAIL: usize = 8 + 4 + 4 + 8;

/// zstd's own default: a quarter of a gigabyte a second, and lines of logs become a fifth to a tenth.
const LEVEL: i32 = 3;

/// An open sealed segment.
#[derive(Debug)]
pub struct Sealed {
    file: File,
    /// Where frames begin in the file, and where the last one ends.
    offsets: Vec<u64>,
    /// Bytes of records.
    length: u64,
    /// The frame that was unpacked last, and its number.
    frame: Option<(usize, Vec<u8>)>,
}

/// Compresses `length` bytes of records that `read` answers into a new file. The caller makes it durable.
pub fn seal(
    file: &mut File,
    base: u64,
    length: u64,
    mut read: impl FnMut(&mut [u8], u64) -> io::Result<()>,
) -> io::Result<()> {
    let mut head = [0; SEGMENT_HEAD as usize];
    head[..8].copy_from_slice(&MAGIC);
    head[8..].copy_from_slice(&base.to_le_bytes());
    file.write_all(&head)?;
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.include_checksum(true)?;
    let mut records = vec![0; FRAME_BYTES];
    let mut offsets = vec![SEGMENT_HEAD];
    let mut done = 0;
    while done < length {
        let wanted = usize::try_from(length - done).map_or(FRAME_BYTES, |left| left.min(FRAME_BYTES));
        read(&mut records[..wanted], done)?;
        let frame = compressor.compress(&records[..wanted])?;
        file.write_all(&frame)?;
        offsets.push(offsets[offsets.len() - 1] + frame.len() as u64);
        done += wanted as u64;
    }
    file.write_all(&tail(&offsets, length))
}

fn tail(offsets: &[u64], length: u64) -> Vec<u8> {
    let mut tail: Vec<u8> = offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect();
    tail.extend(length.to_le_bytes());
    let frames = u32::try_from(offsets.len() - 1).expect("a segment has few frames");
    tail.extend(frames.to_le_bytes());
    tail.extend(crc32fast::hash(&tail).to_le_bytes());
    tail.extend(END);
    tail
}

impl Sealed {
    /// Reads where the frames are.
    pub fn open(file: File, base: u64) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let mut head = [0; SEGMENT_HEAD as usize];
        if size < SEGMENT_HEAD {
            return Err(damaged("it is short"));
        }
        file.read_exact_at(&mut head, 0)?;
        if head[..8] != MAGIC || head[8..] != base.to_le_bytes() {
            return Err(damaged("it has another beginning"));
        }
        let mut last = [0; TAIL];
        file.read_exact_at(&mut last, size.checked_sub(TAIL as u64).ok_or_else(|| damaged("it is short"))?)?;
        let frames = u32::from_le_bytes(last[8..12].try_into().expect("four bytes")) as usize;
        let whole = (frames + 1) * 8 + TAIL;
        let from = size.checked_sub(whole as u64).filter(|_| last[16..] == END);
        // Nothing is allocated for numbers that are more than the file.
        let start = from.ok_or_else(|| damaged("it has no end"))?;
        let mut numbers = vec![0; whole];
        file.read_exact_at(&mut numbers, start)?;
        let length = u64::from_le_bytes(last[..8].try_into().expect("eight bytes"));
        let (offsets, _) = numbers[..(frames + 1) * 8].as_chunks::<8>();
        let offsets: Vec<u64> = offsets.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
        let enough = length.div_ceil(FRAME_BYTES as u64) == frames as u64;
        let rising = offsets.is_sorted() && offsets.last().is_some_and(|end| Some(*end) == from);
        if tail(&offsets, length) == numbers && enough && rising {
            Ok(Self { file, offsets, length, frame: None })
        } else {
            Err(damaged("its index is not what was written"))
        }
    }

    /// Bytes of records.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Reads bytes of records from `offset` on; none at the end.
    pub fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.length || buffer.is_empty() {
            return Ok(0);
        }
        let number = (offset / FRAME_BYTES as u64) as usize;
        let within = (offset % FRAME_BYTES as u64) as usize;
        let frame = self.frame(number)?;
        let part = frame.get(within..).filter(|part| !part.is_empty());
        let part = part.ok_or_else(|| damaged("a frame is short"))?;
        let count = part.len().min(buffer.len());
        buffer[..count].copy_from_slice(&part[..count]);
        Ok(count)
    }

    fn frame(&mut self, number: usize) -> io::Result<&[u8]> {
        if self.frame.as_ref().is_none_or(|(held, _)| *held != number) {
            let (start, end) = (self.offsets[number], self.offsets[number + 1]);
            // Compressed, a frame is never much longer than what is in it.
            let size = usize::try_from(end - start).ok().filter(|size| *size <= 2 * FRAME_BYTES);
            let mut packed = vec![0; size.ok_or_else(|| damaged("a frame is long"))?];
            self.file.read_exact_at(&mut packed, start)?;
            let unpacked = unpack(&packed);
            let records = unpacked.map_err(|_| damaged("a frame does not unpack"))?;
            self.frame = Some((number, records));
        }
        Ok(self.frame.as_ref().map_or(&[], |(_, records)| records))
    }
}

thread_local! {
    /// What unpacking needs: to make it takes about as long as to unpack a frame.
    static UNPACKING: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

fn unpack(frame: &[u8]) -> io::Result<Vec<u8>> {
    UNPACKING.with_borrow_mut(|unpacking| {
        let decompressor = match unpacking {
            Some(decompressor) => decompressor,
            None => unpacking.insert(zstd::bulk::Decompressor::new()?),
        };
        decompressor.decompress(frame, FRAME_BYTES)
    })
}

fn damaged(how: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a sealed log segment is damaged: {how}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at / 7 % 251) as u8).collect()
    }

    fn sealed(records: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        let read = |buffer: &mut [u8], at: u64| {
            buffer.copy_from_slice(&records[at as usize..at as usize + buffer.len()]);
            Ok(())
        };
        seal(&mut file, 77, records.len() as u64, read).unwrap();
        file
    }

    #[test]
    fn what_was_sealed_is_read_from_any_place() {
        for length in [1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 3 * FRAME_BYTES + 5] {
            let records = records(length);
            let file = sealed(&records);
            assert!(file.metadata().unwrap().len() < length as u64 / 2 + 200, "{length}");
            let mut sealed = Sealed::open(file, 77).unwrap();
            assert_eq!(sealed.length(), length as u64);
            for from in [0, length / 2, length - 1] {
                let (mut read, mut buffer) = (Vec::new(), vec![0; 100_000]);
                while let count @ 1.. = sealed.read_at(&mut buffer, (from + read.len()) as u64).unwrap() {
                    read.extend_from_slice(&buffer[..count]);
                }
                assert_eq!(read, records[from..]);
            }
        }
    }

    #[test]
    fn damage_is_told() {
        let records = records(2 * FRAME_BYTES);
        let whole = sealed(&records).metadata().unwrap().len();
        let file = sealed(&records);
        for at in (0..40).chain((40..whole).step_by(whole as usize / 20)).chain(whole - 60..whole) {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 4], at).unwrap();
            let answer = Sealed::open(file.try_clone().unwrap(), 77).and_then(|mut sealed| {
                let mut buffer = vec![0; FRAME_BYTES];
                for offset in [0, FRAME_BYTES as u64] {
                    sealed.read_at(&mut buffer, offset)?;
                    assert_eq!(buffer, records[offset as usize..offset as usize + FRAME_BYTES], "byte {at}");
                }
                Ok(())
            });
            assert!(answer.is_err() || (16..whole - 40).contains(&at), "byte {at}");
            file.write_all_at(&byte, at).unwrap();
        }
        for cut in [0, 10, 16, whole / 2, whole - 1] {
            let file = sealed(&records);
            file.set_len(cut).unwrap();
            let told = Sealed::open(file, 77).unwrap_err();
            assert_eq!(told.kind(), io::ErrorKind::InvalidData, "{cut}");
        }
        let file = sealed(&records);
        file.write_all_at(&[255; 4], whole - 16).unwrap();
        assert!(Sealed::open(file, 77).is_err(), "more frames than memory has room for");
        assert!(Sealed::open(sealed(&records), 78).is_err());
    }
}
