//! Which names an entry may have.

use super::Refusal;

/// Longest path below the code directory, in bytes: what is left of `PATH_MAX` after `/var/task/`.
const PATH: usize = 4000;

/// Longest name of a file. Source: Linux, `NAME_MAX`.
const NAME: usize = 255;

/// An entry's name, taken apart. All parts are plain names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EntryPath<'a> {
    /// As the archive has it.
    pub(super) name: &'a str,
    /// Not empty, unless it is the top directory itself.
    pub(super) parts: Vec<&'a str>,
    /// Whether the name ends with a slash.
    pub(super) is_directory: bool,
}

impl<'a> EntryPath<'a> {
    pub(super) fn parse(name: &'a str, depth: usize) -> Result<Self, Refusal> {
        let refuse = |reason: &str| Err(Refusal::entry(name.as_bytes(), reason));
        if name.len() > PATH {
            return refuse("has too long a name");
        }
        if name.starts_with('/') {
            return refuse("has an absolute path");
        }
        if name.contains(['\\', '\0']) {
            return refuse("has a backslash or NUL in its name");
        }
        let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        let is_directory = name.ends_with('/') || name.ends_with("/.");
        if parts.contains(&"..") {
            return refuse("leads out of its directory");
        }
        if parts.is_empty() && !is_directory {
            return refuse("has no name");
        }
        if parts.iter().any(|part| part.len() > NAME) {
            return refuse("has too long a name");
        }
        if parts.len() > depth {
            return refuse("is in too many directories");
        }
        Ok(Self { name, parts, is_directory })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let long = "a/".repeat(200);
        let longer = format!("{}b", "a/".repeat(2100));
        let wide = "w".repeat(256);
        for name in [
            "",
            "/etc/passwd",
            "..",
            "../x",
            "a/../x",
            "a/..",
            "a\\b",
            "C:\\x",
            "a\0b",
            ".",
            &long,
            &longer,
            &wide,
        ] {
            assert!(EntryPath::parse(name, 128).is_err(), "{name:?}");
        }
    }

    #[test]
    fn names_that_stay_are_taken_apart() {
        for (name, parts, is_directory) in [
            ("a", &["a"][..], false),
            ("a/b.py", &["a", "b.py"], false),
            ("./a//b/", &["a", "b"], true),
            ("./", &[], true),
            ("...", &["..."], false),
            ("..a/b..", &["..a", "b.."], false),
            ("ä ö", &["ä ö"], false),
        ] {
            let parsed = EntryPath::parse(name, 128).unwrap();
            assert_eq!((&parsed.parts[..], parsed.is_directory), (parts, is_directory), "{name:?}");
        }
    }
}
