//! Writes archives that honest programs do not.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// One entry, every field of which may lie.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    /// Unix mode, or none as DOS programs have it.
    pub(crate) mode: Option<u32>,
    pub(crate) method: u16,
    pub(crate) flags: u16,
    pub(crate) packed: Vec<u8>,
    pub(crate) crc: u32,
    pub(crate) size: u32,
    /// Takes the data of the entry before.
    pub(crate) shared: bool,
}

impl Entry {
    pub(crate) fn stored(name: impl AsRef<[u8]>, mode: u32, data: &[u8]) -> Self {
        Self {
            name: name.as_ref().into(),
            mode: Some(mode),
            method: 0,
            flags: 0,
            packed: data.into(),
            crc: crc32fast::hash(data),
            size: data.len() as u32,
            shared: false,
        }
    }

    pub(crate) fn file(name: impl AsRef<[u8]>, data: &[u8]) -> Self {
        Self::stored(name, 0o100_644, data).deflated()
    }

    pub(crate) fn directory(name: &str) -> Self {
        Self::stored(name, 0o040_755, b"")
    }

    pub(crate) fn link(name: &str, target: &[u8]) -> Self {
        Self::stored(name, 0o120_777, target)
    }

    pub(crate) fn deflated(mut self) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&self.packed).unwrap();
        self.packed = encoder.finish().unwrap();
        self.method = 8;
        self
    }
}

/// The bytes of an archive with these entries.
pub(crate) fn archive(entries: &[Entry]) -> Vec<u8> {
    archive_claiming(entries, entries.len() as u16)
}

/// The same, with a claim of its own about their number.
pub(crate) fn archive_claiming(entries: &[Entry], claim: u16) -> Vec<u8> {
    let (mut bytes, mut central, mut offset) = (Vec::new(), Vec::new(), 0);
    for entry in entries {
        if !entry.shared {
            offset = bytes.len() as u32;
            bytes.extend(b"PK\x03\x04");
            bytes.extend(common(entry));
            bytes.extend(0_u16.to_le_bytes());
            bytes.extend(&entry.name);
            bytes.extend(&entry.packed);
        }
        central.extend(b"PK\x01\x02");
        let system: u16 = if entry.mode.is_some() { 3 << 8 | 20 } else { 20 };
        central.extend(system.to_le_bytes());
        central.extend(common(entry));
        // No extra field, no comment, first disk, no internal attributes.
        central.extend([0; 8]);
        central.extend((entry.mode.unwrap_or(0) << 16).to_le_bytes());
        central.extend(offset.to_le_bytes());
        central.extend(&entry.name);
    }
    let start = bytes.len() as u32;
    bytes.extend(&central);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(claim.to_le_bytes());
    bytes.extend(claim.to_le_bytes());
    bytes.extend((central.len() as u32).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend(0_u16.to_le_bytes());
    bytes
}

/// What local and central headers share: from the needed version to the length of the name.
fn common(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Version 2.0; midnight of 2 January 1980.
    for field in [20, entry.flags, entry.method, 0, 0b0000_0000_0010_0010] {
        bytes.extend(field.to_le_bytes());
    }
    for field in [entry.crc, entry.packed.len() as u32, entry.size] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend((entry.name.len() as u16).to_le_bytes());
    bytes
}
