//! What an entry's name may be.

use std::fmt;

/// Longest path of an entry, in bytes. Source: Linux `PATH_MAX`.
const PATH_BYTES: usize = 4096;
/// Longest part of a path, in bytes. Source: Linux `NAME_MAX`.
const PART_BYTES: usize = 255;
/// Deepest path. Ours: far above any real package.
const PARTS: usize = 128;

/// Where an entry lands.
#[derive(Debug, PartialEq, Eq)]
pub enum EntryPath<'a> {
    /// The package's own directory, as `./` names it.
    Root,
    /// Beneath it.
    Below(Path<'a>),
}

/// At least one plain part; none is `.`, `..`, empty or too long.
#[derive(Debug, PartialEq, Eq)]
pub struct Path<'a> {
    /// The directories above it, outermost first.
    pub above: Vec<&'a str>,
    /// Its own name.
    pub name: &'a str,
}

impl<'a> EntryPath<'a> {
    /// Reads a name as it stands in the archive; `None` when it must be refused.
    pub fn parse(name: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(name).ok()?;
        if text.len() > PATH_BYTES || text.starts_with('/') || text.contains(['\0', '\\']) {
            return None;
        }
        let mut parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if parts.len() > PARTS || parts.iter().any(|part| *part == ".." || part.len() > PART_BYTES) {
            return None;
        }
        Some(match parts.pop() {
            None => Self::Root,
            Some(name) => Self::Below(Path { above: parts, name }),
        })
    }
}

impl Path<'_> {
    /// What a native module was built for: `cpython-312` of `_speed.cpython-312-x86_64-linux-gnu.so`.
    pub fn native_kind(&self) -> Option<String> {
        let middle = self.name.strip_suffix(".so")?.rsplit('.').next()?;
        let version: String =
            middle.strip_prefix("cpython-")?.chars().take_while(char::is_ascii_digit).collect();
        (!version.is_empty()).then(|| format!("cpython-{version}"))
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.above {
            write!(f, "{part}/")?;
        }
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_beneath_the_package_are_taken() {
        for (name, expected) in [
            ("a", Some("a")),
            ("a/b/c", Some("a/b/c")),
            ("./a//b/", Some("a/b")),
            ("./", Some("")),
            ("/etc/passwd", None),
            ("../a", None),
            ("a/../../b", None),
            ("a\\b", None),
            ("a\0b", None),
        ] {
            let read = EntryPath::parse(name.as_bytes()).map(|path| match path {
                EntryPath::Root => String::new(),
                EntryPath::Below(path) => path.to_string(),
            });
            assert_eq!(read.as_deref(), expected, "{name:?}");
        }
        assert_eq!(EntryPath::parse(&[b'x'; 256]), None);
        assert_eq!(EntryPath::parse("a/".repeat(200).as_bytes()), None);
        assert_eq!(EntryPath::parse(b"\xff"), None);
    }

    #[test]
    fn native_modules_tell_what_they_were_built_for() {
        for (name, expected) in [
            ("_speed.cpython-312-x86_64-linux-gnu.so", Some("cpython-312")),
            ("lib.cpython-39.so", Some("cpython-39")),
            ("libplain.so", None),
            ("x.abi3.so", None),
            ("cpython-312.py", None),
        ] {
            assert_eq!(Path { above: vec![], name }.native_kind().as_deref(), expected, "{name}");
        }
    }
}
