//! Functions as plain processes: where that which a sandbox shows inside really is.
//!
//! Without namespaces nothing can be mounted, so runtimes are started with real paths in place of `/var/task`, `/opt`
//! and `/var/runtime`, and with the ports of their own listeners in place of the address inside.

use core::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};

use crate::identity::{ENDPOINT_PORT, INSIDE_ADDRESS, RUNTIME_API_PORT, SDK_INSIDE};
use crate::setup::HostMount;
use crate::spec::SandboxSpec;

/// Directories of environments begin so; no code directory does.
pub const ROOM: &str = ".room-";

/// Directory of the runtime clients, beside the code.
pub const RUNTIME: &str = ".runtime";

/// The variable by which every process of an environment can be told: the path of its room.
pub const MARK: &str = "SAMOVAR_ROOM";

/// Where our own clients look for layers, when not in `/opt`.
const OPT: &str = "SAMOVAR_OPT";

/// Where the Python client looks for its SDK.
const PYTHON_SDK: &str = "SAMOVAR_PYTHON_SDK";

/// Variables that hold paths: single ones, or several with colons between. All others are handed on as they are.
const PATHS: &[&str] = &[
    "AWS_LAMBDA_EXEC_WRAPPER",
    "GEM_HOME",
    "GEM_PATH",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "LD_LIBRARY_PATH",
    "NODE_PATH",
    "PATH",
    "PWD",
    "PYTHONPATH",
    "RUBYLIB",
];

/// What all environments of a launcher share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainHouse {
    /// The data directory's `code/`, which also holds the rooms.
    pub code: PathBuf,
    /// The SDKs that functions may import.
    pub sdk: Option<PathBuf>,
    /// Interpreters that are elsewhere than where a sandbox shows them.
    pub mounts: Vec<HostMount>,
}

/// Where the parts of one environment are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The environment's own directory.
    pub room: PathBuf,
    /// In place of `/var/task`.
    pub task: PathBuf,
    /// In place of `/tmp`.
    pub tmp: PathBuf,
    /// In place of `/opt`.
    pub opt: PathBuf,
    /// The layers that are merged there, the last on top.
    pub layers: Vec<PathBuf>,
    sdk: Option<PathBuf>,
    /// Paths inside with those they stand for; the longest first.
    shown: Vec<(PathBuf, PathBuf)>,
}

/// Where an environment's listeners are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The Runtime API's.
    pub runtime_api: SocketAddrV4,
    /// The AWS endpoint's.
    pub endpoint: Option<SocketAddrV4>,
}

impl Places {
    /// The request must have passed [`crate::plan::names::refusal`].
    pub fn of(house: &PlainHouse, spec: &SandboxSpec) -> Self {
        let room = house.code.join(format!("{ROOM}{}", spec.id));
        let (tmp, opt) = (room.join("tmp"), room.join("opt"));
        let task = house.code.join(&spec.code);
        let mut shown: Vec<_> =
            house.mounts.iter().map(|mount| (mount.inside.clone(), mount.host.clone())).collect();
        shown.extend(house.sdk.iter().map(|sdk| (PathBuf::from(SDK_INSIDE), sdk.clone())));
        shown.extend([
            (PathBuf::from("/var/task"), task.clone()),
            (PathBuf::from("/var/runtime"), house.code.join(RUNTIME)),
            (PathBuf::from("/opt"), opt.clone()),
            (PathBuf::from("/tmp"), tmp.clone()),
        ]);
        shown.sort_by_key(|(inside, _)| std::cmp::Reverse(inside.components().count()));
        let layers = spec.layers.iter().map(|layer| house.code.join(layer)).collect();
        Self { room, task, tmp, opt, layers, sdk: house.sdk.clone(), shown }
    }

    /// The real path of one that is seen inside; any other text is left as it is.
    pub fn path(&self, inside: &str) -> String {
        let real = self.shown.iter().find_map(|(shown, real)| {
            let below = Path::new(inside).strip_prefix(shown).ok()?;
            Some(if below.as_os_str().is_empty() { real.clone() } else { real.join(below) })
        });
        real.map_or_else(|| inside.to_owned(), |real| real.to_string_lossy().into_owned())
    }

    /// The variables of a runtime's process.
    pub fn variables(&self, inside: &[(String, String)], heard: Addresses) -> Vec<(String, String)> {
        let mut variables: Vec<_> = inside
            .iter()
            .map(|(name, value)| (name.clone(), self.value(name, value, heard)))
            .filter(|(name, _)| ![MARK, OPT, PYTHON_SDK].contains(&name.as_str()))
            .collect();
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut add = |name: &str, path: &Path| variables.push((name.to_owned(), text(path)));
        add(MARK, &self.room);
        add(OPT, &self.opt);
        if let Some(sdk) = &self.sdk {
            add(PYTHON_SDK, &sdk.join("python"));
        }
        if !inside.iter().any(|(name, _)| name == "TMPDIR") {
            add("TMPDIR", &self.tmp);
        }
        variables
    }

    fn value(&self, name: &str, value: &str, heard: Addresses) -> String {
        let inside = SocketAddrV4::new(Ipv4Addr::from(INSIDE_ADDRESS), ENDPOINT_PORT).to_string();
        match (name, heard.endpoint) {
            ("AWS_LAMBDA_RUNTIME_API", _) => heard.runtime_api.to_string(),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", _) => {
                let inside = SocketAddrV4::new(Ipv4Addr::LOCALHOST, RUNTIME_API_PORT).to_string();
                value.replace(&inside, &heard.runtime_api.to_string())
            }
            ("AWS_ENDPOINT_URL", Some(endpoint)) => value.replace(&inside, &endpoint.to_string()),
            ("TMPDIR", _) => self.path(value),
            _ if PATHS.contains(&name) => {
                value.split(':').map(|path| self.path(path)).collect::<Vec<_>>().join(":")
            }
            _ => value.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use base::id::EnvironmentId;
    use base::random::Dice;
    use base::units::Mib;

    use super::*;

    fn places() -> Places {
        let house = PlainHouse {
            code: "/data/code".into(),
            sdk: Some("/sdk".into()),
            mounts: vec![HostMount { host: "/opt/python".into(), inside: "/opt/python".into() }],
        };
        let spec = SandboxSpec {
            id: EnvironmentId::fresh(&Dice::seeded(1)),
            memory: Mib(128),
            tmp: Mib(512),
            interpreter: None,
            code: "c0de".into(),
            layers: vec!["a".into(), "b".into()],
            endpoint: true,
            loopback: false,
            waiting: None,
        };
        let mut places = Places::of(&house, &spec);
        // The id is as long as it is random.
        let short = |path: &mut PathBuf| {
            let text = path.to_string_lossy().replace(&spec.id.to_string(), "1");
            *path = text.into();
        };
        let own = [&mut places.room, &mut places.tmp, &mut places.opt].into_iter();
        own.chain(places.shown.iter_mut().map(|(_, real)| real)).for_each(short);
        places
    }

    const HEARD: Addresses = Addresses {
        runtime_api: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 40_001),
        endpoint: Some(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 40_002)),
    };

    #[test]
    fn what_is_shown_inside_is_found_where_it_is() {
        for (inside, real) in [
            ("/var/task", "/data/code/c0de"),
            ("/var/task/bootstrap", "/data/code/c0de/bootstrap"),
            ("/opt/bootstrap", "/data/code/.room-1/opt/bootstrap"),
            ("/opt/python/bin/python3", "/opt/python/bin/python3"),
            ("/var/runtime/bootstrap.py", "/data/code/.runtime/bootstrap.py"),
            ("/var/runtime/sdk/nodejs", "/sdk/nodejs"),
            ("/var/tasks", "/var/tasks"),
            ("/usr/bin/python3", "/usr/bin/python3"),
            ("--expose-gc", "--expose-gc"),
            ("", ""),
        ] {
            assert_eq!(places().path(inside), real);
        }
        assert_eq!(places().layers, [Path::new("/data/code/a"), Path::new("/data/code/b")]);
    }

    #[test]
    fn variables_name_real_paths_and_ports_and_the_customers_own_stay() {
        let pairs = [
            ("AWS_LAMBDA_RUNTIME_API", "169.254.100.1:9001", "127.0.0.1:40001"),
            ("AWS_ENDPOINT_URL", "http://169.254.100.1:4566", "http://127.0.0.1:40002"),
            ("LAMBDA_TASK_ROOT", "/var/task", "/data/code/c0de"),
            ("PATH", "/usr/bin:/opt/bin", "/usr/bin:/data/code/.room-1/opt/bin"),
            ("MINE", "/var/task:/opt", "/var/task:/opt"),
        ];
        let given: Vec<_> =
            pairs.iter().map(|(name, inside, _)| ((*name).into(), (*inside).into())).collect();
        let variables = places().variables(&given, HEARD);
        for (name, _, real) in pairs {
            assert!(variables.contains(&(name.into(), real.into())), "{name}: {variables:?}");
        }
        for (name, real) in [
            (MARK, "/data/code/.room-1"),
            (OPT, "/data/code/.room-1/opt"),
            (PYTHON_SDK, "/sdk/python"),
            ("TMPDIR", "/data/code/.room-1/tmp"),
        ] {
            assert!(variables.contains(&(name.into(), real.into())), "{name}: {variables:?}");
        }
    }

    #[test]
    fn a_customer_chooses_the_temporary_directory_and_never_the_mark() {
        let given = [("TMPDIR".into(), "/tmp/mine".into()), (MARK.into(), "/elsewhere".into())];
        let variables = places().variables(&given, HEARD);
        assert!(variables.contains(&("TMPDIR".into(), "/data/code/.room-1/tmp/mine".into())));
        assert_eq!(variables.iter().filter(|(name, _)| name == MARK).count(), 1);
        assert!(variables.contains(&(MARK.into(), "/data/code/.room-1".into())));
    }
}
