//! Where the bytes of a segment come from: a plain file, or a sealed one.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::frame::SEGMENT_HEAD;
use super::log::Segment;
use super::sealed::Sealed;

/// The records of one segment, as bytes that begin at its base.
#[derive(Debug)]
pub enum Source {
    /// As they were appended.
    Plain(File),
    /// Compressed.
    Sealed(Sealed),
}

impl Source {
    /// Opens the file of a segment.
    pub fn open(segment: &Segment) -> io::Result<Self> {
        let file = File::open(&segment.path)?;
        if segment.sealed {
            let opened = Sealed::open(file, segment.base).map(Self::Sealed);
            opened
                .map_err(|error| io::Error::new(error.kind(), format!("{error}: {}", segment.path.display())))
        } else {
            Ok(Self::Plain(file))
        }
    }

    /// Reads bytes from `offset` on; none at the end.
    pub fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read_at(buffer, SEGMENT_HEAD + offset),
            Self::Sealed(sealed) => sealed.read_at(buffer, offset),
        }
    }
}
