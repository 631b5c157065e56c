pub(crate) mod archive;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use base::random::Dice;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use self::archive::{Entry, archive, archive_claiming};
use super::*;
use crate::Abi;

/// Unpacks below a directory of its own, beside which nothing may appear.
struct Bench {
    top: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir(top.path().join("code")).unwrap();
        fs::write(top.path().join("outside"), b"untouched").unwrap();
        Self { top }
    }

    fn code(&self) -> std::path::PathBuf {
        self.top.path().join("code")
    }

    fn unpack_within(&self, bytes: &[u8], limits: &UnzipLimits) -> Result<Unpacked, Refusal> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let into = File::open(self.code()).unwrap();
        let unpacked = unpack(&file, into.as_fd(), limits);
        let mut names: Vec<_> = fs::read_dir(&self.top).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["code", "outside"]);
        assert_eq!(fs::read(self.top.path().join("outside")).unwrap(), b"untouched");
        unpacked
    }

    fn unpack(&self, bytes: &[u8]) -> Result<Unpacked, Refusal> {
        self.unpack_within(bytes, &UnzipLimits::default())
    }
}

fn unpack_entries(entries: &[Entry]) -> (Bench, Result<Unpacked, Refusal>) {
    let bench = Bench::new();
    let unpacked = bench.unpack(&archive(entries));
    (bench, unpacked)
}

/// Every path below `root` with its kind, permissions and content.
fn listing(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let mode = metadata.mode() & 0o7777;
            let told = if metadata.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else if metadata.is_dir() {
                pending.push(path.clone());
                format!("{mode:o} /")
            } else {
                format!("{mode:o} {}", String::from_utf8_lossy(&fs::read(&path).unwrap()))
            };
            found.insert(path.strip_prefix(root).unwrap().display().to_string(), told);
        }
    }
    found
}

fn is(expected: &[(&str, &str)]) -> BTreeMap<String, String> {
    expected.iter().map(|(path, told)| ((*path).into(), (*told).into())).collect()
}

fn bad(unpacked: Result<Unpacked, Refusal>, reason: &str) {
    match unpacked {
        Err(Refusal::BadEntry { reason: why, .. }) => assert_eq!(why, reason),
        other => panic!("{other:?}, not refused because it {reason}"),
    }
}

#[test]
fn an_ordinary_package_is_unpacked_as_it_is() {
    let (bench, unpacked) = unpack_entries(&[
        Entry::file("app.py", b"def handler"),
        Entry::directory("lib/"),
        Entry::file("lib/fast.cpython-312-x86_64-linux-gnu.so", b"ELF"),
        Entry::file("deep/er/x", b"x"),
        Entry::link("lib/latest", b"../app.py"),
        Entry::stored("bootstrap", 0o100_755, b"#!"),
        Entry::stored("own", 0o100_700, b""),
    ]);
    let unpacked = unpacked.unwrap();
    assert_eq!(unpacked.bytes, 11 + 3 + 1 + 9 + 2);
    assert_eq!(unpacked.entries, 9);
    assert_eq!(unpacked.native[0].abi, Abi::Python { major: 3, minor: 12 });
    assert_eq!(unpacked.bootstrap, Bootstrap::Executable);
    assert_eq!(unpacked.unreadable.as_deref(), Some("own"));
    let expected = is(&[
        ("app.py", "644 def handler"),
        ("bootstrap", "755 #!"),
        ("deep", "755 /"),
        ("deep/er", "755 /"),
        ("deep/er/x", "644 x"),
        ("lib", "755 /"),
        ("lib/fast.cpython-312-x86_64-linux-gnu.so", "644 ELF"),
        ("lib/latest", "-> ../app.py"),
        ("own", "755 "),
    ]);
    assert_eq!(listing(&bench.code()), expected);
    let modified = fs::metadata(bench.code().join("app.py")).unwrap().mtime();
    assert_eq!(modified, 315_619_200, "2 January 1980");
}

#[test]
fn permissions_are_the_archives_but_readable_and_without_special_bits() {
    let (bench, unpacked) = unpack_entries(&[
        Entry::stored("setuid", 0o106_755, b""),
        Entry::stored("sticky", 0o101_644, b""),
        Entry::stored("private", 0o100_600, b""),
        Entry::stored("nothing", 0o100_000, b""),
        Entry::stored("typeless", 0o000_640, b""),
        Entry { mode: None, ..Entry::stored("dos", 0, b"") },
        Entry::stored("all", 0o100_777, b""),
        Entry::stored("secret/", 0o042_700, b""),
    ]);
    assert_eq!(unpacked.unwrap().bootstrap, Bootstrap::Absent);
    let expected = is(&[
        ("setuid", "755 "),
        ("sticky", "644 "),
        ("private", "644 "),
        ("nothing", "444 "),
        ("typeless", "644 "),
        ("dos", "644 "),
        ("all", "777 "),
        ("secret", "755 /"),
    ]);
    assert_eq!(listing(&bench.code()), expected);
}

#[test]
fn names_that_lead_out_are_refused() {
    for name in ["/abs", "../outside", "a/../../outside", "a\\b", "x/..", "", "a\0b", "..", "//x"] {
        let (bench, unpacked) = unpack_entries(&[Entry::file(name, b"x")]);
        assert!(matches!(unpacked, Err(Refusal::BadEntry { .. })), "{name:?}: {unpacked:?}");
        assert!(listing(&bench.code()).is_empty(), "{name:?}");
    }
    let (_, unpacked) = unpack_entries(&[Entry::file("n".repeat(256), b"x")]);
    bad(unpacked, "has too long a name");
    let (_, unpacked) = unpack_entries(&[Entry::file("d/".repeat(129) + "f", b"x")]);
    bad(unpacked, "is in too many directories");
}

#[test]
fn links_are_stored_and_never_followed() {
    let through = "leads through a link";
    for target in ["..", "../outside", "/tmp", ".", "self", "real"] {
        for name in ["self/file", "self/deep/file", "self/"] {
            let inner = if name.ends_with('/') { Entry::directory(name) } else { Entry::file(name, b"x") };
            let (_, unpacked) =
                unpack_entries(&[Entry::directory("real/"), Entry::link("self", target.as_bytes()), inner]);
            match &unpacked {
                // A directory where a link is; the kernel names it so or so.
                Err(Refusal::BadEntry { reason, .. }) if reason.starts_with("is below something") => {}
                _ => bad(unpacked, through),
            }
        }
    }
    let (bench, unpacked) = unpack_entries(&[
        Entry::link("loop", b"loop"),
        Entry::link("a", b"b"),
        Entry::link("b", b"a"),
        Entry::link("escape", b"../../../../etc/passwd"),
    ]);
    unpacked.unwrap();
    assert_eq!(listing(&bench.code())["escape"], "-> ../../../../etc/passwd");
    for target in [&b""[..], b"a\0b", &[b'x'; 4096]] {
        let (_, unpacked) = unpack_entries(&[Entry::link("l", target)]);
        bad(unpacked, "is a link to no path");
    }
}

#[test]
fn a_file_in_place_of_a_link_replaces_the_link_and_not_its_target() {
    let (bench, unpacked) = unpack_entries(&[
        Entry::link("l", b"../outside"),
        Entry::file("./l", b"mine"),
        Entry::link("m", b"l"),
    ]);
    unpacked.unwrap();
    assert_eq!(listing(&bench.code()), is(&[("l", "644 mine"), ("m", "-> l")]));
}

#[test]
fn of_one_name_the_later_entry_wins_and_a_directory_does_not_become_a_file() {
    let (bench, unpacked) = unpack_entries(&[
        Entry::file("a", b"first"),
        Entry::file("./a", b"second"),
        Entry::file("d/x", b"1"),
        Entry::file("d//x", b"2"),
        Entry::directory("d/"),
    ]);
    unpacked.unwrap();
    assert_eq!(listing(&bench.code()), is(&[("a", "644 second"), ("d", "755 /"), ("d/x", "644 2")]));
    let bench = Bench::new();
    bench.unpack(&archive(&[Entry::file("a", b"first"), Entry::file("a", b"second")])).unwrap();
    assert_eq!(listing(&bench.code()), is(&[("a", "644 second")]));

    let (_, unpacked) = unpack_entries(&[Entry::directory("a/"), Entry::file("a", b"x")]);
    bad(unpacked, "is a directory and something else");
    let (_, unpacked) = unpack_entries(&[Entry::directory("a/"), Entry::link("a", b"x")]);
    bad(unpacked, "is a directory and something else");
    for inner in [Entry::directory("a/"), Entry::file("a/b", b"")] {
        let (_, unpacked) = unpack_entries(&[Entry::file("a", b"x"), inner]);
        bad(unpacked, "is below something that is not a directory");
    }
}

#[test]
fn devices_fifos_sockets_and_encrypted_entries_are_refused() {
    for kind in [0o010_000, 0o020_000, 0o060_000, 0o140_000] {
        let (bench, unpacked) = unpack_entries(&[Entry::stored("x", kind | 0o666, b"")]);
        bad(unpacked, "is a device, socket or fifo");
        assert!(listing(&bench.code()).is_empty());
    }
    let (_, unpacked) = unpack_entries(&[Entry { flags: 1, ..Entry::stored("x", 0o100_644, &[0; 64]) }]);
    assert!(unpacked.is_err(), "{unpacked:?}");
    let (_, unpacked) = unpack_entries(&[Entry { method: 14, ..Entry::file("x", b"lzma") }]);
    assert!(matches!(unpacked, Err(Refusal::NotZip { .. })), "{unpacked:?}");
}

#[test]
fn what_is_no_archive_is_refused() {
    let bench = Bench::new();
    assert_eq!(bench.unpack(b""), Err(Refusal::Empty));
    assert_eq!(bench.unpack(&archive(&[])), Err(Refusal::Empty));
    for bytes in [&b"x"[..], b"not a zip at all, but longer than any end record would have to be", &[0; 5000]]
    {
        assert!(matches!(bench.unpack(bytes), Err(Refusal::NotZip { .. })));
    }
    let wrong = Entry { crc: 1, ..Entry::file("x", b"hello") };
    assert!(matches!(bench.unpack(&archive(&[wrong])), Err(Refusal::NotZip { .. })));
}

/// A deflate stream of `mib` MiB of zeros: one flushed MiB, repeated.
fn zeros(mib: usize) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&[0; 1024 * 1024]).unwrap();
    encoder.flush().unwrap();
    encoder.get_mut().repeat(mib)
}

#[test]
fn a_bomb_of_ten_gigabytes_is_cut_off_whatever_its_header_says() {
    for (size, honest) in [(0, false), (5, false), (u32::MAX, true)] {
        let bomb = Entry { method: 8, packed: zeros(10_240), size, ..Entry::stored("bomb", 0o100_644, b"") };
        let (bench, unpacked) = unpack_entries(&[bomb]);
        match unpacked {
            Err(Refusal::TooLarge { limit: 262_144_000 }) if honest => {}
            Err(Refusal::NotZip { .. }) if !honest => {}
            other => panic!("{size}: {other:?}"),
        }
        let written = fs::metadata(bench.code().join("bomb")).unwrap().len();
        assert!(written <= 262_144_000, "{written}");
    }
}

#[test]
fn entries_that_share_their_data_are_counted_each() {
    let first = Entry { crc: 0, ..Entry::stored("f0", 0o100_644, &[b'x'; 100_000]).deflated() };
    let first = Entry { crc: crc32fast::hash(&[b'x'; 100_000]), ..first };
    let others = (1..5000).map(|n| Entry { name: format!("f{n}").into(), shared: true, ..first.clone() });
    let entries: Vec<_> = std::iter::once(first.clone()).chain(others).collect();
    let bytes = archive(&entries);
    assert!(bytes.len() < 400_000);
    assert_eq!(Bench::new().unpack(&bytes), Err(Refusal::TooLarge { limit: 262_144_000 }));
}

#[test]
fn entries_are_counted_with_the_directories_that_nobody_names() {
    let limits = UnzipLimits { entries: 100, ..UnzipLimits::default() };
    let refused = Err(Refusal::TooManyEntries { limit: 100 });
    let many: Vec<_> = (0..101).map(|n| Entry::file(format!("f{n}"), b"")).collect();
    assert_eq!(Bench::new().unpack_within(&archive(&many), &limits), refused);
    let deep: Vec<_> = (0..2).map(|n| Entry::file(format!("{n}/{}f", "d/".repeat(60)), b"")).collect();
    assert_eq!(Bench::new().unpack_within(&archive(&deep), &limits), refused);
    assert_eq!(Bench::new().unpack_within(&archive(&many[..100]), &limits).unwrap().entries, 100);
}

#[test]
fn too_many_entries_are_refused_and_lies_about_their_number_do_no_harm() {
    let many: Vec<_> = (0..3).map(|n| Entry::file(format!("f{n}"), b"")).collect();
    for claim in [u16::MAX, 2, 0] {
        let unpacked = Bench::new().unpack(&archive_claiming(&many, claim));
        assert!(unpacked.as_ref().is_err() || unpacked.unwrap().entries <= 3, "{claim}");
    }
    let numbered = |count: u32| {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for n in 0..count {
            let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
            writer.start_file(format!("{n:x}"), options).unwrap();
        }
        writer.finish().unwrap().into_inner()
    };
    assert_eq!(Bench::new().unpack(&numbered(200_001)), Err(Refusal::TooManyEntries { limit: 200_000 }));
    // So many that a zip64 record counts them; it says a million.
    let mut lying = numbered(66_000);
    let record = lying.windows(4).rposition(|window| window == b"PK\x06\x06").unwrap();
    lying[record + 24..][..8].copy_from_slice(&1_000_000_u64.to_le_bytes());
    lying[record + 32..][..8].copy_from_slice(&1_000_000_u64.to_le_bytes());
    assert!(matches!(Bench::new().unpack(&lying), Err(Refusal::NotZip { .. })));
}

#[test]
fn other_honest_forms_are_read() {
    let contents = is(&[("a", "644 hello"), ("b", "644 world")]);
    let write = |mut writer: ZipWriter<_>, options: SimpleFileOptions| {
        for (name, data) in [("a", "hello"), ("b", "world")] {
            writer.start_file(name, options).unwrap();
            writer.write_all(data.as_bytes()).unwrap();
        }
        writer
    };
    let plain = SimpleFileOptions::default();
    let zip64 = write(ZipWriter::new(Cursor::new(Vec::new())), plain.large_file(true));
    let zip64 = zip64.finish().unwrap().into_inner();
    let mut commented = write(ZipWriter::new(Cursor::new(Vec::new())), plain);
    commented.set_comment("PK\x05\x06 is not the end").unwrap();
    let commented = commented.finish().unwrap().into_inner();
    let prefixed = [b"#!/usr/bin/env python\n", &zip64[..]].concat();

    let mut streamed = ZipWriter::new_stream(Vec::new());
    for (name, data) in [("a", "hello"), ("b", "world")] {
        streamed.start_file(name, plain).unwrap();
        streamed.write_all(data.as_bytes()).unwrap();
    }
    let streamed = streamed.finish().unwrap().into_inner();

    for (form, bytes) in
        [("zip64", zip64), ("commented", commented), ("prefixed", prefixed), ("streamed", streamed)]
    {
        let bench = Bench::new();
        let unpacked = bench.unpack(&bytes);
        assert!(unpacked.is_ok(), "{form}: {unpacked:?}");
        assert_eq!(listing(&bench.code()), contents, "{form}");
    }
}

#[test]
fn names_in_utf_8_are_kept_whatever_the_flags_say() {
    let (bench, unpacked) = unpack_entries(&[Entry::file("grüße.txt", b"x"), Entry::file(b"gr\x81n", b"y")]);
    unpacked.unwrap();
    let expected = is(&[("grün", "644 y"), ("grüße.txt", "644 x")]);
    assert_eq!(listing(&bench.code()), expected);
}

fn sample() -> Vec<u8> {
    archive(&[
        Entry::file("app.py", b"def handler(event, context): return event"),
        Entry::directory("lib/"),
        Entry::link("lib/l", b"../app.py"),
        Entry::file("lib/x.so", &[7; 300]),
        Entry::stored("raw", 0o100_755, b"stored data"),
    ])
}

#[test]
fn an_archive_cut_anywhere_is_refused() {
    let whole = sample();
    for length in 0..whole.len() {
        assert!(Bench::new().unpack(&whole[..length]).is_err(), "cut at {length}");
    }
}

#[test]
fn two_thousand_damaged_archives_do_no_harm() {
    let whole = sample();
    let limits = UnzipLimits { bytes: 10_000_000, ..UnzipLimits::default() };
    let mut refused = 0;
    for seed in 0..2000 {
        let dice = Dice::seeded(seed);
        let mut bytes = whole.clone();
        let [changes, kind] = dice.bytes::<2>();
        for _ in 0..=changes % 8 {
            let place = usize::from(u16::from_le_bytes(dice.bytes())) % bytes.len();
            match kind % 4 {
                0 => bytes[place] = dice.bytes::<1>()[0],
                1 => bytes[place] ^= 1 << (dice.bytes::<1>()[0] % 8),
                2 => drop(bytes.drain(place..(place + 3).min(bytes.len()))),
                _ => {
                    let end = (place + 40).min(bytes.len());
                    bytes.splice(place..place, bytes[place..end].to_vec());
                }
            }
        }
        let bench = Bench::new();
        refused += usize::from(bench.unpack_within(&bytes, &limits).is_err());
        for (path, told) in listing(&bench.code()) {
            let special = told.split(' ').next().is_some_and(|mode| mode.len() > 3);
            assert!(!special, "{seed}: {path} {told}");
        }
    }
    assert!(refused > 1000, "{refused}");
}

#[test]
fn random_bytes_do_no_harm() {
    let dice = Dice::seeded(3);
    for length in 0..300 {
        let mut bytes = vec![0; length * 7];
        dice.fill(&mut bytes);
        // An end record that points into the noise.
        bytes.extend_from_slice(&archive_claiming(&[], 3)[..12]);
        bytes.extend(dice.bytes::<10>());
        assert!(Bench::new().unpack(&bytes).is_err());
    }
}

#[test]
fn a_report_crosses_the_pipe_and_stays_small() {
    let names = |n| format!("{}{n}.node-v{n}.node", "\u{1}".repeat(240 - 20));
    let entries: Vec<_> = (100..200).map(|n| Entry::stored(names(n), 0o100_600, b"")).collect();
    let bench = Bench::new();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&archive(&entries)).unwrap();
    let report = unpack_to_report(&file, File::open(bench.code()).unwrap().as_fd());
    assert!(report.as_ref().unwrap().len() < 48 * 1024, "{}", report.unwrap().len());
    let unpacked = read_report(report).unwrap();
    assert_eq!((unpacked.entries, unpacked.native.len()), (100, 32));

    let again = unpack_to_report(&tempfile::tempfile().unwrap(), File::open(bench.code()).unwrap().as_fd());
    assert_eq!(read_report(again), Err(Refusal::Empty));
    assert_eq!(read_report(Err(Vec::new())), Err(Refusal::Died));
    assert_eq!(read_report(Ok(Vec::new())), Err(Refusal::Died));
}

#[test]
fn a_directory_that_cannot_be_written_is_the_systems_fault() {
    let bench = Bench::new();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&sample()).unwrap();
    let gone = File::open(bench.code()).unwrap();
    fs::set_permissions(bench.code(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::remove_dir(bench.code()).unwrap();
    let unpacked = unpack(&file, gone.as_fd(), &UnzipLimits::default());
    assert!(matches!(unpacked, Err(Refusal::Io { .. })), "{unpacked:?}");
}
