//! Archives that lie, climb, explode or are merely odd.

use std::io::Seek;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;

use base::random::Dice;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;

const SMALL: UnzipLimits = UnzipLimits { bytes: 1_000_000, entries: 1000 };

fn archive(fill: impl FnOnce(&mut ZipWriter<File>)) -> File {
    let mut writer = ZipWriter::new(tempfile::tempfile().expect("a temporary file"));
    fill(&mut writer);
    let mut file = writer.finish().expect("an archive");
    file.rewind().expect("rewound");
    file
}

fn options(mode: u32) -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).unix_permissions(mode)
}

fn add(writer: &mut ZipWriter<File>, name: &str, content: &[u8]) {
    writer.start_file(name, options(0o644)).expect("an entry");
    writer.write_all(content).expect("its content");
}

fn unpacked(archive: &File) -> (tempfile::TempDir, Result<Unpacked, Refusal>) {
    let directory = tempfile::tempdir().expect("a directory");
    let into = File::open(directory.path()).expect("opened");
    let result = unpack(archive, into.as_fd(), &SMALL);
    (directory, result)
}

#[test]
fn a_package_comes_out_as_it_went_in() {
    let zip = archive(|writer| {
        add(writer, "index.py", b"code");
        writer.start_file("bin/run", options(0o4755)).expect("an entry");
        writer.write_all(b"#!/bin/sh").expect("its content");
        writer.add_symlink("latest", "bin/run", options(0o777)).expect("a link");
        add(writer, "lib/_speed.cpython-312-x86_64-linux-gnu.so", b"elf");
    });
    let (directory, result) = unpacked(&zip);
    let result = result.expect("unpacked");
    assert_eq!((result.entries, result.native), (4, vec!["cpython-312".to_owned()]));
    let path = directory.path();
    assert_eq!(std::fs::read(path.join("index.py")).expect("read"), b"code");
    assert_eq!(std::fs::metadata(path.join("bin/run")).expect("stat").permissions().mode() & 0o7777, 0o755);
    assert_eq!(std::fs::read_link(path.join("latest")).expect("link").to_str(), Some("bin/run"));
}

#[test]
fn what_climbs_out_is_refused_and_writes_nothing() {
    for name in ["../out", "/out", "a/../../out"] {
        let zip = archive(|writer| add(writer, name, b"x"));
        assert!(matches!(unpacked(&zip).1, Err(Refusal::BadPath(_))), "{name}");
    }
    let outside = tempfile::tempdir().expect("a directory");
    let target = outside.path().to_str().expect("a path");
    let zip = archive(|writer| {
        writer.add_symlink("door", target, options(0o777)).expect("a link");
        add(writer, "door/out", b"x");
    });
    assert!(matches!(unpacked(&zip).1, Err(Refusal::BadPath(_))));
    assert_eq!(std::fs::read_dir(outside.path()).expect("listed").count(), 0);
}

#[test]
fn a_later_file_replaces_a_link_instead_of_writing_through_it() {
    let outside = tempfile::NamedTempFile::new().expect("a file");
    let target = outside.path().to_str().expect("a path");
    // The writer refuses equal names, so the second one is changed in the bytes: `x1` becomes `x0`.
    let zip = archive(|writer| {
        writer.add_symlink("x0", target, options(0o777)).expect("a link");
        add(writer, "x1", b"written");
    });
    let mut bytes = Vec::new();
    (&zip).read_to_end(&mut bytes).expect("read");
    for at in 0..bytes.len() - 1 {
        if bytes[at..at + 2] == *b"x1" {
            bytes[at + 1] = b'0';
        }
    }
    let mut renamed = tempfile::tempfile().expect("a file");
    renamed.write_all(&bytes).expect("written");
    renamed.rewind().expect("rewound");
    let _ = unpacked(&renamed).1;
    assert_eq!(std::fs::read(outside.path()).expect("read"), b"");
}

#[test]
fn a_bomb_is_counted_while_it_inflates() {
    let zip = archive(|writer| add(writer, "zeros", &vec![0; 2_000_000]));
    assert_eq!(unpacked(&zip).1, Err(Refusal::TooLarge { limit: SMALL.bytes }));
    let zip = archive(|writer| (0..1001).for_each(|number| add(writer, &number.to_string(), b"")));
    assert_eq!(unpacked(&zip).1, Err(Refusal::TooManyEntries { limit: SMALL.entries }));
}

#[test]
fn what_is_no_archive_or_an_empty_one_is_told_apart() {
    assert_eq!(unpacked(&archive(|_| {})).1, Err(Refusal::Empty));
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(b"not a zip").expect("written");
    file.rewind().expect("rewound");
    assert!(matches!(unpacked(&file).1, Err(Refusal::NotZip(_))));
}

#[test]
fn a_file_where_a_directory_stands_is_refused() {
    let zip = archive(|writer| {
        add(writer, "a/b", b"x");
        add(writer, "a", b"y");
    });
    assert!(matches!(unpacked(&zip).1, Err(Refusal::BadPath(_) | Refusal::Io(_))));
}

#[test]
fn damaged_archives_never_panic() {
    let zip = archive(|writer| {
        add(writer, "index.py", &[b'x'; 500]);
        writer.add_symlink("l", "index.py", options(0o777)).expect("a link");
        add(writer, "d/e/f", b"deep");
    });
    let mut original = Vec::new();
    (&zip).read_to_end(&mut original).expect("read");
    let dice = Dice::seeded(11);
    for _ in 0..2000 {
        let mut bytes = original.clone();
        for _ in 0..=dice.bytes::<1>()[0] % 8 {
            let at = u32::from_le_bytes(dice.bytes()) as usize % bytes.len();
            bytes[at] = dice.bytes::<1>()[0];
        }
        bytes.truncate(bytes.len() - usize::from(dice.bytes::<1>()[0] % 4));
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&bytes).expect("written");
        file.rewind().expect("rewound");
        let _ = unpacked(&file).1;
    }
}
