//! Archives, as bytes and as lists of entries with right checksums: nothing comes out beside the directory, and
//! nothing in it is more than a plain file, a link or a directory.
#![no_main]

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use artifact::{UnzipLimits, unzip};
use libfuzzer_sys::fuzz_target;
use samovar_fuzz::choice;

const LIMITS: UnzipLimits = UnzipLimits { bytes: 64 << 10, entries: 64, depth: 8 };

fuzz_target!(|data: &[u8]| {
    let Some((how, data)) = choice(data) else { return };
    let archive = if how == b'#' { entries(data) } else { [&[how], data].concat() };
    // Memory, not a disk: thousands of directories a second come and go.
    let place = tempfile::tempdir_in("/dev/shm").expect("a directory in memory");
    let into = place.path().join("in/to");
    fs::create_dir_all(&into).expect("a directory to unpack into");
    let mut file = tempfile::tempfile_in(place.path()).expect("a file");
    file.write_all(&archive).expect("room for an archive");
    let opened = File::open(&into).expect("it was just made");
    let unpacked = unzip::unpack(&file, opened.as_fd(), &LIMITS);

    let mut found = Found::default();
    found.look(&into);
    assert!(found.bytes <= LIMITS.bytes && found.entries <= LIMITS.entries, "{found:?} after {unpacked:?}");
    if let Ok(unpacked) = unpacked {
        // Of entries with one name the last is there, and all are counted.
        assert!(
            found.entries <= unpacked.entries && found.bytes <= unpacked.bytes,
            "{found:?} of {unpacked:?}"
        );
    }
    for (above, only) in [(place.path(), "in"), (&place.path().join("in"), "to")] {
        let names: Vec<_> =
            fs::read_dir(above).expect("it is there").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(names, [only], "something came out beside the directory");
    }
});

#[derive(Debug, Default)]
struct Found {
    bytes: u64,
    entries: u64,
}

impl Found {
    fn look(&mut self, directory: &Path) {
        for entry in fs::read_dir(directory).expect("directories can be read").flatten() {
            self.entries += 1;
            let metadata = entry.metadata().expect("it was just listed");
            let kind = metadata.file_type();
            assert!(kind.is_file() || kind.is_dir() || kind.is_symlink(), "{:?} is {kind:?}", entry.path());
            assert!(kind.is_symlink() || metadata.permissions().mode() & 0o7000 == 0, "{:?}", entry.path());
            if kind.is_dir() {
                self.look(&entry.path());
            } else {
                self.bytes += metadata.len();
            }
        }
    }
}

/// An archive of the lines `mode name=content`, with checksums that hold, so that entries reach the disk.
fn entries(data: &[u8]) -> Vec<u8> {
    let (mut bytes, mut central) = (Vec::new(), Vec::new());
    let lines = data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).take(80);
    let mut count = 0_u16;
    for line in lines {
        let mut mode_and_rest = line.splitn(2, |byte| *byte == b' ');
        let mode = std::str::from_utf8(mode_and_rest.next().unwrap_or_default()).ok();
        let mode = mode.and_then(|mode| u32::from_str_radix(mode, 8).ok()).unwrap_or(0o100_644) & 0xffff;
        let rest = mode_and_rest.next().unwrap_or(line);
        let equals = rest.iter().position(|byte| *byte == b'=').unwrap_or(rest.len());
        let (name, content) = (&rest[..equals], rest.get(equals + 1..).unwrap_or_default());
        let mut common = Vec::new();
        [20_u16, 0, 0, 0, 34].iter().for_each(|field| common.extend(field.to_le_bytes()));
        for field in [crc32fast::hash(content), content.len() as u32, content.len() as u32] {
            common.extend(field.to_le_bytes());
        }
        common.extend((name.len() as u16).to_le_bytes());
        central.extend(b"PK\x01\x02\x14\x03");
        central.extend(&common);
        central.extend([0; 8]);
        central.extend((mode << 16).to_le_bytes());
        central.extend((bytes.len() as u32).to_le_bytes());
        central.extend(name);
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&common);
        bytes.extend([0; 2]);
        bytes.extend(name);
        bytes.extend(content);
        count += 1;
    }
    let start = bytes.len() as u32;
    bytes.extend(&central);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    bytes.extend((central.len() as u32).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0; 2]);
    bytes
}
