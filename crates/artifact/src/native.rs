//! Compiled modules, told by their file names.

use serde::{Deserialize, Serialize};

/// Longest path that is reported, in bytes.
const PATH: usize = 128;

/// Kinds of modules that are reported; a package has one or two.
const KINDS: usize = 32;

/// The first compiled module of its kind in a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NativeModule {
    /// What it was built for.
    pub abi: Abi,
    /// Where it is, for messages.
    pub path: String,
}

/// What a module was built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Abi {
    /// CPython of this version, from `*.cpython-312-x86_64-linux-gnu.so`. `abi3` modules run anywhere and are
    /// not reported.
    Python {
        /// 3.
        major: u32,
        /// 12.
        minor: u32,
    },
    /// Node, from `*.node`. The ABI number (`process.versions.modules`) is known only where the name tells it;
    /// those named after the stable Node-API run anywhere and are not reported.
    Node {
        /// 115 for Node 20.
        abi: Option<u32>,
    },
    /// Ruby of this version, from `extensions/<platform>/3.3.0/`.
    Ruby {
        /// 3.
        major: u32,
        /// 3.
        minor: u32,
    },
}

/// Notes a file if it is a compiled module of a kind that was not seen yet.
pub(crate) fn note(path: &str, seen: &mut Vec<NativeModule>) {
    if let Some(abi) = abi_of(path)
        && seen.len() < KINDS
        && seen.iter().all(|module| module.abi != abi)
    {
        let end = path.floor_char_boundary(PATH);
        seen.push(NativeModule { abi, path: path[..end].into() });
    }
}

fn abi_of(path: &str) -> Option<Abi> {
    let file = path.rsplit('/').next()?;
    if let Some(stem) = file.strip_suffix(".so") {
        return python(stem).or_else(|| ruby(path));
    }
    let stem = file.strip_suffix(".node")?;
    let words = || stem.split(['.', '-', '_']);
    if words().any(|word| word == "napi" || word == "abi3") {
        return None;
    }
    let number = |word: &str| word.strip_prefix("abi").or(word.strip_prefix('v'))?.parse().ok();
    Some(Abi::Node { abi: words().find_map(number) })
}

/// `name.cpython-312-x86_64-linux-gnu`: one digit of major version, the rest is minor.
fn python(stem: &str) -> Option<Abi> {
    let tag = stem.rsplit('.').next()?.strip_prefix("cpython-")?;
    let digits = tag.split('-').next()?;
    let digits = digits.trim_end_matches(|flag: char| flag.is_ascii_lowercase());
    let (major, minor) = digits.split_at_checked(1)?;
    Some(Abi::Python { major: major.parse().ok()?, minor: minor.parse().ok()? })
}

fn ruby(path: &str) -> Option<Abi> {
    let mut parts = path.split('/').skip_while(|part| *part != "extensions").skip(2);
    let mut version = parts.next()?.split('.');
    Some(Abi::Ruby { major: version.next()?.parse().ok()?, minor: version.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compiled_modules_are_told_by_their_names() {
        let python = |minor| Some(Abi::Python { major: 3, minor });
        for (path, abi) in [
            ("numpy/core/_multiarray.cpython-312-x86_64-linux-gnu.so", python(12)),
            ("x.cpython-39-aarch64-linux-gnu.so", python(9)),
            ("x.cpython-313t-x86_64-linux-gnu.so", python(13)),
            ("x.cpython-312.so", python(12)),
            ("cryptography/_rust.abi3.so", None),
            ("numpy.libs/libopenblas.so", None),
            ("lib/libfoo.so.1", None),
            ("x.cpython-.so", None),
            ("x.cpython-3x9.so", None),
            ("node_modules/bcrypt/build/Release/bcrypt_lib.node", Some(Abi::Node { abi: None })),
            ("prebuilds/linux-x64/node.abi115.node", Some(Abi::Node { abi: Some(115) })),
            ("binding/node-v108-linux-x64/better.node", Some(Abi::Node { abi: None })),
            ("prebuilds/linux-x64/node.napi.node", None),
            (
                "vendor/bundle/ruby/3.3.0/extensions/x86_64-linux/3.3.0/nokogiri/nokogiri.so",
                Some(Abi::Ruby { major: 3, minor: 3 }),
            ),
            ("extensions/x.so", None),
            ("handler.py", None),
            ("", None),
        ] {
            assert_eq!(abi_of(path), abi, "{path}");
        }
    }

    #[test]
    fn each_kind_is_noted_once_and_paths_are_cut_at_characters() {
        let mut seen = Vec::new();
        note(&format!("{}.node", "ä".repeat(300)), &mut seen);
        note("b.node", &mut seen);
        note("c.cpython-312.so", &mut seen);
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[0].path.len(), 128);
    }
}
