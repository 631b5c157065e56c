//! Finds interpreters where distributions, version managers and people put them.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{Family, Interpreter, probe};
use crate::setup::HostMount;

/// Most entries of one directory that are looked at. Ours: `/usr/bin` has some thousand on a full system.
const DIRECTORY_ENTRIES: usize = 20_000;

/// Most interpreters that are kept. Ours: every one of them is started once.
const INTERPRETERS: usize = 64;

/// Where an interpreter of `/opt` is shown inside, because `/opt` is the layers' there.
/// Source: the directory of the stock runtimes' interpreters.
const INSIDE_FOR_OPT: &str = "/var/lang";

type Version = (u32, u32, u32);

/// Where to look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// Directories with executables, the preferred ones first.
    pub directories: Vec<PathBuf>,
    /// Directories with one prefix (a directory that holds `bin`) a version.
    pub versions: Vec<PathBuf>,
    /// Home directories, which are never shown to a function whole.
    pub homes: Vec<PathBuf>,
}

impl Places {
    /// The places of this machine, from `PATH`, `PYENV_ROOT`, `HOME` and the user that called `sudo`.
    pub fn of_this_machine() -> Self {
        let var = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let mut homes: Vec<PathBuf> = var("HOME").into_iter().collect();
        if let Some(user) = std::env::var_os("SUDO_USER")
            && let Ok(users) = fs::read_to_string("/etc/passwd")
        {
            homes.extend(home_of(&user, &users));
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self::from(std::env::split_paths(&path).collect(), homes, var("PYENV_ROOT"))
    }

    fn from(path: Vec<PathBuf>, homes: Vec<PathBuf>, pyenv: Option<PathBuf>) -> Self {
        // The distribution's builds come first: those of pyenv take 20 ms longer to start.
        let mut directories = vec![PathBuf::from("/usr/bin"), PathBuf::from("/usr/local/bin")];
        directories.extend(path.into_iter().filter(|directory| directory.is_absolute()));
        let mut versions: Vec<_> = ["/usr/local", "/opt", "/opt/python"].map(PathBuf::from).to_vec();
        versions.extend(pyenv.map(|root| root.join("versions")));
        for home in &homes {
            let managers =
                [".local/share/uv/python", ".pyenv/versions", ".nvm/versions/node", ".rbenv/versions"];
            versions.extend(managers.map(|manager| home.join(manager)));
        }
        Self { directories, versions, homes }
    }
}

/// All usable interpreters, ordered by family and version, the preferred one of a version first.
/// `ask` runs an executable for its version.
pub fn search(places: &Places, ask: &dyn Fn(&Path) -> Option<Version>) -> Vec<Interpreter> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for path in candidates(places) {
        let Ok(real) = path.canonicalize() else { continue };
        if found.len() < INTERPRETERS && seen.insert(real.clone()) && trustworthy(&real) {
            found.extend(identify(&path, real, places, ask));
        }
    }
    // A stable sort keeps the order of preference within a version.
    found.sort_by_key(|found: &Interpreter| (found.family, found.version.0, found.version.1));
    name_apart(&mut found);
    found
}

fn candidates(places: &Places) -> Vec<PathBuf> {
    let mut candidates = Vec::new();
    let prefixes =
        places.versions.iter().flat_map(|directory| entries(directory)).map(|prefix| prefix.join("bin"));
    for directory in places.directories.iter().cloned().chain(prefixes) {
        let mut files = entries(&directory);
        files.retain(|file| file.file_name().and_then(family_of).is_some());
        // `python3.11` before `python3`: the longer name tells more.
        files.sort_by_key(|file| std::cmp::Reverse(file.as_os_str().len()));
        candidates.extend(files);
    }
    candidates
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<_> = entries.take(DIRECTORY_ENTRIES).flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn family_of(name: &OsStr) -> Option<Family> {
    let name = name.to_str()?;
    let version = |rest: &str| rest.chars().all(|c| c.is_ascii_digit() || c == '.');
    match name {
        "node" | "nodejs" => Some(Family::Node),
        _ if name.strip_prefix("python3").is_some_and(version) => Some(Family::Python),
        _ if name.strip_prefix("ruby").is_some_and(version) => Some(Family::Ruby),
        _ => None,
    }
}

// A program in machine code (version managers put scripts in between) that not everybody can rewrite.
fn trustworthy(file: &Path) -> bool {
    let Ok(metadata) = fs::metadata(file) else { return false };
    let mode = metadata.permissions().mode();
    let open_directory = file.parent().and_then(|parent| fs::metadata(parent).ok()).is_none_or(|parent| {
        let mode = parent.permissions().mode();
        mode & 0o002 != 0 && mode & 0o1000 == 0
    });
    if !metadata.is_file() || metadata.size() == 0 || mode & 0o111 == 0 || mode & 0o002 != 0 || open_directory
    {
        return false;
    }
    let mut magic = [0; 4];
    fs::File::open(file).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"\x7fELF"
}

fn identify(
    path: &Path,
    real: PathBuf,
    places: &Places,
    ask: &dyn Fn(&Path) -> Option<Version>,
) -> Option<Interpreter> {
    let family = path.file_name().and_then(family_of)?;
    let prefix = real.parent()?.parent()?.to_path_buf();
    let version = version_by_path(family, &real, &prefix).or_else(|| ask(&real))?;
    let oldest = match family {
        Family::Python => (3, 8, 0),
        Family::Node => (16, 0, 0),
        Family::Ruby => (3, 0, 0),
    };
    if version < oldest || (family != Family::Node && version.0 >= 5) {
        return None;
    }
    let (mounts, executable) = shown(family, &real, &prefix, places)?;
    Some(Interpreter { id: String::new(), family, version, host: real, executable, mounts })
}

fn version_by_path(family: Family, real: &Path, prefix: &Path) -> Option<Version> {
    if family == Family::Node
        && let Ok(header) = fs::read_to_string(prefix.join("include/node/node_version.h"))
        && let Some(version) = version_in_header(&header)
    {
        return Some(version);
    }
    // Version managers name the prefix after the whole version.
    let named = probe::version_in(prefix.file_name()?.to_str()?)?;
    let file = real.file_name()?.to_str()?;
    let agrees = probe::version_in(file).is_none_or(|by_file| (by_file.0, by_file.1) == (named.0, named.1));
    let whole = prefix.file_name()?.to_str()?.matches('.').count() >= 2;
    (agrees && whole).then_some(named)
}

fn version_in_header(header: &str) -> Option<Version> {
    let number = |name: &str| {
        let line = header.lines().find(|line| line.starts_with("#define") && line.contains(name))?;
        line.split_whitespace().nth(2)?.parse().ok()
    };
    Some((number("NODE_MAJOR_VERSION")?, number("NODE_MINOR_VERSION")?, number("NODE_PATCH_VERSION")?))
}

// What a sandbox has to be shown, and where the executable is then; nothing where that would show too much.
fn shown(family: Family, real: &Path, prefix: &Path, places: &Places) -> Option<(Vec<HostMount>, PathBuf)> {
    if real.starts_with("/usr") || real.starts_with("/bin") {
        return Some((Vec::new(), real.to_path_buf()));
    }
    if shared(prefix, &places.homes) {
        // Node.js is one file; the others need libraries that lie among other things here.
        let mount = HostMount { host: real.to_path_buf(), inside: real.to_path_buf() };
        return (family == Family::Node).then(|| (vec![mount], real.to_path_buf()));
    }
    let inside =
        if prefix.starts_with("/opt") { PathBuf::from(INSIDE_FOR_OPT) } else { prefix.to_path_buf() };
    let executable = inside.join(real.strip_prefix(prefix).ok()?);
    Some((vec![HostMount { host: prefix.to_path_buf(), inside }], executable))
}

// A directory that holds more than one program: the root, a home, `~/.local`, or what lies directly in the root.
fn shared(prefix: &Path, homes: &[PathBuf]) -> bool {
    let home = homes.iter().any(|home| {
        let real = home.canonicalize().unwrap_or_else(|_| home.clone());
        [home, &real].iter().any(|home| home.starts_with(prefix) || prefix == home.join(".local"))
    });
    let of_somebody = prefix.parent() == Some(Path::new("/home")) || prefix.ends_with(".local");
    home || of_somebody || prefix.components().count() <= 2
}

fn name_apart(found: &mut [Interpreter]) {
    let mut taken = HashSet::new();
    for interpreter in found {
        let (major, minor, patch) = interpreter.version;
        let short = match interpreter.family {
            Family::Python => format!("python{major}.{minor}"),
            Family::Node => format!("node{major}"),
            Family::Ruby => format!("ruby{major}.{minor}"),
        };
        let long = match interpreter.family {
            Family::Node => format!("{short}.{minor}.{patch}"),
            Family::Python | Family::Ruby => format!("{short}.{patch}"),
        };
        let numbered = (2..).map(|number| format!("{long}-{number}"));
        let mut names = [short, long.clone()].into_iter().chain(numbered);
        interpreter.id = names.find(|name| !taken.contains(name)).expect("numbers do not end");
        taken.insert(interpreter.id.clone());
    }
}

fn home_of(user: &OsStr, users: &str) -> Option<PathBuf> {
    let user = user.to_str()?;
    let line = users.lines().find(|line| line.split(':').next() == Some(user))?;
    line.split(':').nth(5).map(PathBuf::from).filter(|home| home.is_absolute())
}

#[cfg(test)]
mod tests;
