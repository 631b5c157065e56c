//! The root that all sandboxes share: a read-only tree with the host's programs and none of its data.

use std::path::{Path, PathBuf};

use crate::identity::{FUNCTION_GID, FUNCTION_UID, FUNCTION_USER, HOST_NAME, INSIDE_ADDRESS, SDK_INSIDE};
use crate::interpreters::ROOT_LINKS;
use crate::setup::{HostMount, InterpreterRoot, RuntimeFile};

/// One step towards the root. Paths of what is made are relative to it, without a leading slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootStep {
    /// Makes a directory (mode 0755) with its parents.
    Directory(PathBuf),
    /// Makes a symbolic link.
    Link {
        /// The link.
        at: PathBuf,
        /// What it says.
        to: PathBuf,
    },
    /// Makes a file.
    File {
        /// The file.
        at: PathBuf,
        /// What it holds.
        contents: Vec<u8>,
        /// Its permissions.
        mode: u32,
    },
    /// Makes a character device that everybody may use.
    Device {
        /// The node.
        at: PathBuf,
        /// Its major and minor numbers.
        number: (u32, u32),
    },
    /// Shows a directory of the host, read-only and with all that is mounted below it.
    Show {
        /// Where it is on the host.
        host: PathBuf,
        /// Where it is shown.
        at: PathBuf,
    },
    /// Makes a place for something that is mounted only in some sandboxes: a directory, or a file where the host
    /// has a file.
    Place {
        /// What will be mounted.
        host: PathBuf,
        /// The place.
        at: PathBuf,
    },
}

/// What was found on the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Those of [`TOP_LEVEL`] that exist, with their target when they are links into `/usr`.
    pub top_level: Vec<(String, Option<PathBuf>)>,
    /// Names in `/etc` that [`is_shown`] accepts.
    pub etc_directories: Vec<String>,
    /// Names in `/etc` of [`ETC_FILES`], with contents.
    pub etc_files: Vec<(String, Vec<u8>)>,
    /// Whether sandboxes have somebody to ask for names.
    pub names: bool,
}

/// Names beside `/usr` that hold programs on one system or another.
pub const TOP_LEVEL: &[&str] = &["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// Files of `/etc` that programs want and that say nothing about the host.
pub const ETC_FILES: &[&str] = &[
    "ca-certificates.conf",
    "gai.conf",
    "host.conf",
    "ld.so.cache",
    "ld.so.conf",
    "mime.types",
    "os-release",
    "protocols",
    "services",
];

/// How resolvers ask the name server inside, which asks every server of the host's before it gives up.
const ASKING_SOMEBODY: &str = "options timeout:5 attempts:2\n";

/// How they ask when nobody is there.
const ASKING_NOBODY: &str = "options timeout:1 attempts:1\n";

/// A script that functions find at the root. Source: recorded inside functions of every runtime.
const ENTRYPOINT: &str = "lambda-entrypoint.sh";

/// What it does: there is no runtime to start that is not running already, so it runs what it is given.
const ENTRYPOINT_SCRIPT: &[u8] = b"#!/bin/sh\nexec \"$@\"\n";

/// Whether a directory of `/etc` belongs to the installed programs: certificates, library paths, fonts, Java.
pub fn is_shown(etc_name: &str) -> bool {
    const DIRECTORIES: &[&str] =
        &["alternatives", "ca-certificates", "crypto-policies", "fonts", "ld.so.conf.d", "pki", "ssl"];
    DIRECTORIES.contains(&etc_name) || etc_name.starts_with("java-")
}

/// What the root is made of, in order.
pub fn steps(
    host: &HostFacts,
    interpreters: &[InterpreterRoot],
    runtime_files: &[RuntimeFile],
    sdk_dir: Option<&Path>,
) -> Vec<RootStep> {
    let mut steps: Vec<_> = directories().collect();
    steps.push(RootStep::Show { host: "/usr".into(), at: "usr".into() });
    steps.extend(host.top_level.iter().map(|(name, target)| match target {
        Some(target) => RootStep::Link { at: name.into(), to: target.clone() },
        None => RootStep::Show { host: Path::new("/").join(name), at: name.into() },
    }));
    steps.extend(etc(host));
    steps.extend(devices());
    steps.push(RootStep::File { at: ENTRYPOINT.into(), contents: ENTRYPOINT_SCRIPT.to_vec(), mode: 0o755 });
    for file in runtime_files {
        let mode = if file.executable { 0o755 } else { 0o644 };
        let at = Path::new("var/runtime").join(&file.path);
        steps.push(RootStep::File { at, contents: file.contents.to_vec(), mode });
    }
    if let Some(sdk_dir) = sdk_dir {
        steps.push(RootStep::Show { host: sdk_dir.to_owned(), at: below_root(Path::new(SDK_INSIDE)) });
    }
    steps.extend(ROOT_LINKS.map(|(at, to)| RootStep::Link { at: below_root(Path::new(at)), to: to.into() }));
    let mounts = interpreters.iter().flat_map(|interpreter| &interpreter.mounts);
    steps.extend(
        mounts
            .filter(|mount| !is_already_shown(mount))
            .map(|mount| RootStep::Place { host: mount.host.clone(), at: below_root(&mount.inside) }),
    );
    steps
}

/// Whether a mount is the part of `/usr` that every sandbox sees.
pub fn is_already_shown(mount: &HostMount) -> bool {
    mount.host == mount.inside && mount.inside.starts_with("/usr")
}

/// What is wrong with the set-up's paths, if anything.
pub fn refusal(interpreters: &[InterpreterRoot], runtime_files: &[RuntimeFile]) -> Option<String> {
    let is_plain = |path: &Path| {
        path.components().all(|part| matches!(part, std::path::Component::Normal(_)))
            && path.file_name().is_some()
    };
    if let Some(file) = runtime_files.iter().find(|file| !is_plain(&file.path)) {
        return Some(format!("the runtime file {} is not below /var/runtime", file.path.display()));
    }
    for interpreter in interpreters {
        if !super::names::is_interpreter_id(&interpreter.id) {
            return Some(format!("{:?} cannot be an interpreter's id", interpreter.id));
        }
        for HostMount { host, inside } in &interpreter.mounts {
            let taken = ["/proc", "/dev", "/tmp", "/etc", "/var/task", "/var/runtime"];
            let refused = !host.is_absolute()
                || !inside.is_absolute()
                || !is_plain(&below_root(inside))
                || taken.iter().any(|taken| inside.starts_with(taken))
                || ["/opt", "/usr"].iter().any(|whole| inside == Path::new(whole) && inside != host);
            if refused {
                return Some(format!(
                    "interpreter {} cannot be shown at {}",
                    interpreter.id,
                    inside.display()
                ));
            }
        }
    }
    None
}

fn directories() -> impl Iterator<Item = RootStep> {
    [
        "dev/shm",
        "etc",
        "home",
        "mnt",
        "opt",
        "proc",
        "run",
        "sys",
        "tmp",
        "usr",
        "var/runtime",
        "var/task",
        "var/tmp",
    ]
    .into_iter()
    .map(|path| RootStep::Directory(path.into()))
}

fn etc(host: &HostFacts) -> Vec<RootStep> {
    let [a, b, c, d] = INSIDE_ADDRESS;
    let hosts = format!(
        "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n\
         {a}.{b}.{c}.{d} sandbox.localdomain sandbox {HOST_NAME}\n"
    );
    let passwd = format!(
        "root:x:0:0:root:/root:/sbin/nologin\n{FUNCTION_USER}:x:{FUNCTION_UID}:{FUNCTION_GID}::/home/{FUNCTION_USER}:/sbin/nologin\n\
         nobody:x:65534:65534:nobody:/:/sbin/nologin\n"
    );
    let group = format!("root:x:0:\n{FUNCTION_USER}:x:{FUNCTION_GID}:\nnogroup:x:65534:\n");
    let resolver = match host.names {
        true => format!("nameserver {a}.{b}.{c}.{d}\n{ASKING_SOMEBODY}"),
        false => ASKING_NOBODY.to_owned(),
    };
    let texts: [(&str, &[u8]); 6] = [
        ("group", group.as_bytes()),
        ("hostname", HOST_NAME.as_bytes()),
        ("hosts", hosts.as_bytes()),
        ("nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files dns\n"),
        ("passwd", passwd.as_bytes()),
        ("resolv.conf", resolver.as_bytes()),
    ];
    let file = |name: &str, contents: &[u8]| RootStep::File {
        at: Path::new("etc").join(name),
        contents: contents.to_vec(),
        mode: 0o644,
    };
    let mut steps: Vec<_> = texts.iter().map(|(name, contents)| file(name, contents)).collect();
    steps.extend(host.etc_files.iter().map(|(name, contents)| file(name, contents)));
    steps.extend(
        host.etc_directories.iter().map(|name| RootStep::Show {
            host: Path::new("/etc").join(name),
            at: Path::new("etc").join(name),
        }),
    );
    // Functions live in UTC, as on AWS, wherever the host is.
    steps.push(RootStep::Link { at: "etc/localtime".into(), to: "/usr/share/zoneinfo/UTC".into() });
    steps.push(RootStep::Link { at: "etc/mtab".into(), to: "/proc/self/mounts".into() });
    steps
}

fn devices() -> Vec<RootStep> {
    let nodes = [("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)];
    let links = [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ];
    let at = |name: &str| Path::new("dev").join(name);
    let nodes = nodes.map(|(name, minor)| RootStep::Device { at: at(name), number: (1, minor) });
    let links = links.map(|(name, to)| RootStep::Link { at: at(name), to: to.into() });
    nodes.into_iter().chain(links).collect()
}

fn below_root(path: &Path) -> PathBuf {
    path.strip_prefix("/").unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interpreter(host: &str, inside: &str) -> InterpreterRoot {
        let mount = HostMount { host: host.into(), inside: inside.into() };
        InterpreterRoot { id: "python-3.12".into(), mounts: vec![mount], zygote: None }
    }

    #[test]
    fn programs_are_shown_as_the_host_has_them() {
        let host = HostFacts {
            top_level: vec![("bin".into(), Some("usr/bin".into())), ("lib".into(), None)],
            ..HostFacts::default()
        };
        let steps = steps(&host, &[], &[], Some(Path::new("/srv/sdk")));
        for step in [
            RootStep::Show { host: "/usr".into(), at: "usr".into() },
            RootStep::Link { at: "bin".into(), to: "usr/bin".into() },
            RootStep::Show { host: "/lib".into(), at: "lib".into() },
            RootStep::Show { host: "/srv/sdk".into(), at: "var/runtime/sdk".into() },
            RootStep::Device { at: "dev/null".into(), number: (1, 3) },
        ] {
            assert!(steps.contains(&step), "{step:?}");
        }
    }

    #[test]
    fn nothing_that_tells_of_the_host_is_shown() {
        for name in ["shadow", "ssh", "passwd", "hostname", "machine-id", "systemd"] {
            assert!(!is_shown(name), "{name}");
            assert!(!ETC_FILES.contains(&name), "{name}");
        }
    }

    #[test]
    fn an_interpreter_in_usr_needs_no_place_and_others_get_one() {
        let places = |interpreter| {
            let steps = steps(&HostFacts::default(), &[interpreter], &[], None);
            steps.into_iter().filter(|step| matches!(step, RootStep::Place { .. })).count()
        };
        assert_eq!(places(interpreter("/usr/lib/python3", "/usr/lib/python3")), 0);
        assert_eq!(places(interpreter("/root/.pyenv/versions/3.12", "/root/.pyenv/versions/3.12")), 1);
    }

    #[test]
    fn set_ups_that_would_cover_the_walls_are_refused() {
        for inside in ["/proc/x", "/dev", "/tmp", "relative", "/", "/a/../etc", "/var/task/x", "/usr"] {
            assert!(refusal(&[interpreter("/somewhere", inside)], &[]).is_some(), "{inside}");
        }
        assert_eq!(refusal(&[interpreter("/opt/python", "/opt/python")], &[]), None);
        let file = |path: &str| RuntimeFile {
            path: path.into(),
            contents: b"".as_slice().into(),
            executable: false,
        };
        assert!(refusal(&[], &[file("../x")]).is_some());
        assert!(refusal(&[], &[file("/x")]).is_some());
        assert_eq!(refusal(&[], &[file("python/bootstrap.py")]), None);
    }
}
