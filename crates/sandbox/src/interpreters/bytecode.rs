//! Compiles the Python client for each Python of this machine.
//!
//! `/var/runtime` is read-only to functions, so Python could never keep what it compiles there, and every cold start
//! would compile the client anew (measured: 4 to 5 ms of 13).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::{Family, Interpreter, probe};
use crate::setup::RuntimeFile;

/// Longest silence of a compiling Python. Ours: it takes about 30 ms.
const COMPILE_TIME: Duration = Duration::from_secs(5);

/// All compiled files of one Python together, in bytes. Ours: they have about 50,000.
const COMPILED_BYTES: usize = 4 * 1024 * 1024;

/// Reads `name size\n` and that many bytes, again and again; writes the tag of its files and then the same form.
/// Compiled files are marked as never to be checked against a source's date.
const PROGRAM: &str = "
import sys, marshal
from importlib.util import MAGIC_NUMBER
source, out = sys.stdin.buffer, sys.stdout.buffer
out.write(sys.implementation.cache_tag.encode() + b'\\n')
for line in source:
    name, size = line.split()
    code = compile(source.read(int(size)), '/var/runtime/' + name.decode(), 'exec', dont_inherit=True)
    data = MAGIC_NUMBER + (1).to_bytes(4, 'little') + bytes(8) + marshal.dumps(code)
    out.write(name + b' %d\\n' % len(data) + data)
";

/// Compiled forms of the `.py` files, as Python looks for them in `__pycache__`.
pub fn compile(interpreters: &[Interpreter], files: &[(&str, &[u8])]) -> Vec<RuntimeFile> {
    let mut input = Vec::new();
    for (name, contents) in files.iter().filter(|(name, _)| name.ends_with(".py")) {
        input.extend_from_slice(format!("{name} {}\n", contents.len()).as_bytes());
        input.extend_from_slice(contents);
    }
    let mut versions = BTreeSet::new();
    let pythons = interpreters.iter().filter(|found| {
        // All Pythons of one minor version read the same files.
        found.family == Family::Python && versions.insert(found.version.1)
    });
    // All are started before the first is waited for, so that they compile side by side.
    let started: Vec<_> = pythons
        .filter_map(|python| probe::start(&python.host, &["-I", "-S", "-c", PROGRAM], &input))
        .collect();
    let said = started.into_iter().filter_map(|probe| probe.output(COMPILE_TIME, COMPILED_BYTES));
    said.flat_map(|said| unpacked(&said).unwrap_or_default()).collect()
}

fn unpacked(mut said: &[u8]) -> Option<Vec<RuntimeFile>> {
    let tag = plain(line(&mut said)?)?;
    let mut files = Vec::new();
    while !said.is_empty() {
        let (name, size) = std::str::from_utf8(line(&mut said)?).ok()?.split_once(' ')?;
        let name = plain(name.strip_suffix(".py")?.as_bytes())?;
        let (contents, rest) = said.split_at_checked(size.parse().ok()?)?;
        said = rest;
        files.push(RuntimeFile {
            path: PathBuf::from(format!("__pycache__/{name}.{tag}.pyc")),
            contents: Cow::Owned(contents.to_vec()),
            executable: false,
        });
    }
    Some(files)
}

fn line<'a>(said: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = said.iter().position(|byte| *byte == b'\n')?;
    let line = &said[..end];
    *said = &said[end + 1..];
    Some(line)
}

// An interpreter in a home directory is not to be trusted with the choice of a path.
fn plain(name: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(name).ok()?;
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (!name.is_empty() && name.len() <= 64 && name.chars().all(fine)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_says_becomes_files() {
        let files = unpacked(b"cpython-311\na.py 3\nxyzb.py 0\n").expect("well-formed");
        let paths: Vec<_> = files.iter().map(|file| (file.path.to_str(), &*file.contents)).collect();
        let expected: [(Option<&str>, &[u8]); 2] =
            [(Some("__pycache__/a.cpython-311.pyc"), b"xyz"), (Some("__pycache__/b.cpython-311.pyc"), b"")];
        assert_eq!(paths, expected);
    }

    #[test]
    fn what_is_malformed_or_points_elsewhere_is_dropped() {
        for said in [
            &b""[..],
            b"cpython-311",
            b"../x\n",
            b"cpython-311\n../a.py 1\nx",
            b"cpython-311\na.py 9\nx",
            b"t\na 1\nx",
        ] {
            assert_eq!(unpacked(said), None, "{}", String::from_utf8_lossy(said));
        }
    }

    #[test]
    fn the_pythons_of_this_machine_compile_the_client() {
        let found = super::super::discover();
        let files = compile(&found, super::super::files());
        let minors: BTreeSet<_> =
            found.iter().filter(|i| i.family == Family::Python).map(|i| i.version.1).collect();
        let sources = super::super::files().iter().filter(|(name, _)| name.ends_with(".py")).count();
        assert_eq!(files.len(), minors.len() * sources);
    }
}
