use super::*;
use std::cell::RefCell;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of its own that goes away with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("samovar-discover-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("scratch directory");
        Self(path.canonicalize().expect("scratch directory"))
    }

    fn program(&self, path: &str, contents: &[u8]) -> PathBuf {
        let file = self.0.join(path);
        fs::create_dir_all(file.parent().expect("has a parent")).expect("directories");
        fs::write(&file, contents).expect("file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("mode");
        file
    }

    fn elf(&self, path: &str) -> PathBuf {
        self.program(path, b"\x7fELF and more")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn places(scratch: &Scratch) -> Places {
    let home = scratch.0.join("home");
    Places {
        directories: vec![scratch.0.join("system/bin"), home.join(".local/bin")],
        versions: vec![home.join("versions"), scratch.0.join("uv")],
        homes: vec![home],
    }
}

fn shape(scratch: &Scratch, found: &[Interpreter]) -> Vec<String> {
    let below = |path: &Path| path.strip_prefix(&scratch.0).unwrap_or(path).display().to_string();
    let line = |i: &Interpreter| {
        let mounts: Vec<_> = i.mounts.iter().map(|mount| below(&mount.host)).collect();
        format!("{} {} {} [{}]", i.id, i.version_text(), below(&i.host), mounts.join(" "))
    };
    found.iter().map(line).collect()
}

#[test]
fn version_managers_tell_the_version_without_a_process() {
    let scratch = Scratch::new();
    scratch.elf("home/versions/3.12.1/bin/python3.12");
    scratch.elf("home/versions/3.6.15/bin/python3.6");
    scratch.elf("home/versions/v22.4.0/bin/node");
    scratch.elf("home/versions/3.3.5/bin/ruby");
    scratch.elf("uv/cpython-3.13.0-linux-x86_64-gnu/bin/python3.13");
    let asked = |path: &Path| panic!("{} was run", path.display());
    let found = search(&places(&scratch), &asked);
    let expected = [
        "python3.12 3.12.1 home/versions/3.12.1/bin/python3.12 [home/versions/3.12.1]",
        "python3.13 3.13.0 uv/cpython-3.13.0-linux-x86_64-gnu/bin/python3.13 [uv/cpython-3.13.0-linux-x86_64-gnu]",
        "node22 22.4.0 home/versions/v22.4.0/bin/node [home/versions/v22.4.0]",
        "ruby3.3 3.3.5 home/versions/3.3.5/bin/ruby [home/versions/3.3.5]",
    ];
    assert_eq!(shape(&scratch, &found), expected);
}

#[test]
fn the_preferred_one_of_a_version_has_the_short_name_and_no_file_comes_twice() {
    let scratch = Scratch::new();
    let real = scratch.elf("system/bin/python3.11");
    symlink(&real, scratch.0.join("system/bin/python3")).expect("link");
    scratch.elf("home/versions/3.11.7/bin/python3.11");
    scratch.elf("uv/3.11.7/bin/python3.11");
    let runs = RefCell::new(0);
    let ask = |_: &Path| {
        *runs.borrow_mut() += 1;
        Some((3, 11, 2))
    };
    let found = search(&places(&scratch), &ask);
    let ids: Vec<_> = found.iter().map(|i| (i.id.as_str(), i.version.2)).collect();
    assert_eq!(ids, [("python3.11", 2), ("python3.11.7", 7), ("python3.11.7-2", 7)]);
    assert_eq!(runs.into_inner(), 1);
}

#[test]
fn scripts_and_files_that_others_can_rewrite_are_passed_over() {
    let scratch = Scratch::new();
    scratch.program("system/bin/python3.11", b"#!/bin/sh\nexec pyenv\n");
    scratch.elf("system/bin/python3.11-config");
    let open = scratch.elf("system/bin/python3.12");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("mode");
    let plain = scratch.elf("system/bin/python3.13");
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).expect("mode");
    symlink("/nonexistent", scratch.0.join("system/bin/node")).expect("link");
    scratch.elf("uv/3.10.1/bin/python3.10");
    let open_directory = scratch.0.join("uv/3.10.1/bin");
    fs::set_permissions(open_directory, fs::Permissions::from_mode(0o777)).expect("mode");
    assert_eq!(search(&places(&scratch), &|_| Some((3, 11, 0))), []);
}

#[test]
fn no_home_directory_is_shown_whole() {
    let scratch = Scratch::new();
    scratch.elf("home/.local/bin/node");
    scratch.elf("home/.local/bin/python3.11");
    let found =
        search(&places(&scratch), &|path| Some(if path.ends_with("node") { (20, 1, 0) } else { (3, 11, 0) }));
    assert_eq!(shape(&scratch, &found), ["node20 20.1.0 home/.local/bin/node [home/.local/bin/node]"]);
    let homes = [scratch.0.join("home")];
    for (prefix, expected) in [
        ("/", true),
        ("/srv", true),
        ("/home/ada", true),
        ("/home/ada/.local", true),
        ("/home/ada/miniconda3", false),
        ("/srv/pythons/3.12", false),
    ] {
        assert_eq!(shared(Path::new(prefix), &homes), expected, "{prefix}");
    }
    assert!(shared(&homes[0], &homes) && shared(&scratch.0, &homes));
}

#[test]
fn what_lies_in_opt_is_shown_elsewhere_because_layers_are_there() {
    let real = Path::new("/opt/pythons/3.12/bin/python3.12");
    let prefix = Path::new("/opt/pythons/3.12");
    let (mounts, executable) = shown(Family::Python, real, prefix, &Places::default()).expect("shown");
    assert_eq!(executable, Path::new("/var/lang/bin/python3.12"));
    assert_eq!((mounts[0].host.as_path(), mounts[0].inside.as_path()), (prefix, Path::new("/var/lang")));
    let usr = Path::new("/usr/bin/python3.11");
    let nothing = shown(Family::Python, usr, Path::new("/usr"), &Places::default());
    assert_eq!(nothing, Some((vec![], usr.to_path_buf())));
}

#[test]
fn a_header_beside_node_tells_its_version() {
    let header =
        "#define NODE_MAJOR_VERSION 20\n#define NODE_MINOR_VERSION 19\n#define NODE_PATCH_VERSION 4\n";
    assert_eq!(version_in_header(header), Some((20, 19, 4)));
    assert_eq!(version_in_header("#define NODE_MAJOR_VERSION 20\n"), None);
}

#[test]
fn the_caller_of_sudo_has_a_home_too() {
    let users = "root:x:0:0:root:/root:/bin/bash\nada:x:1000:1000:Ada,,,:/home/ada:/bin/bash\n";
    assert_eq!(home_of(OsStr::new("ada"), users), Some(PathBuf::from("/home/ada")));
    assert_eq!(home_of(OsStr::new("bob"), users), None);
}

#[test]
fn this_machine_has_interpreters_with_names_of_their_own() {
    let found = super::super::discover();
    let ids: HashSet<_> = found.iter().map(|i| &i.id).collect();
    assert_eq!(ids.len(), found.len());
    for interpreter in &found {
        assert!(interpreter.host.is_file(), "{interpreter:?}");
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        assert!(interpreter.id.chars().all(fine), "{interpreter:?}");
    }
}
