//! The launcher's own small tree of mounts, which every sandbox starts from.
//!
//! A new mount namespace copies every mount of its parent's, so the launcher leaves the host's tree for one that
//! holds only what sandboxes are made of: the shared root, the code, and the interpreters. All of it vanishes with
//! the launcher and its sandboxes, whatever ends them.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

use base::units::Mib;
use rustix::fs::{FileType, Mode};
use rustix::mount::MountFlags;
use rustix::thread::UnshareFlags;

use super::house::{CODE, House};
use crate::identity::CODE_OWNER_UID;
use crate::plan::rooms::{self, PlacedMount};
use crate::plan::root::{self, HostFacts, RootStep};
use crate::plan::views::{self, Machine, VIEWS, VIEWS_MADE};
use crate::setup::LauncherSetup;
use crate::sys::{Step, StepError, mounts, process};

/// The interpreters a sandbox may have, by id.
pub(super) type Interpreters = Vec<(String, Vec<PlacedMount>)>;

/// Builds the tree and makes it this process's root. `names`: sandboxes have somebody to ask for names.
pub(super) fn enter(
    house: &House,
    setup: &LauncherSetup,
    names: bool,
) -> Result<(Interpreters, Machine), StepError> {
    process::unshare(UnshareFlags::NEWNS).doing("making the launcher's mount namespace")?;
    mounts::make_private().doing("separating the launcher's mounts")?;
    let top = &house.run;
    let safe = MountFlags::NOSUID | MountFlags::NODEV;
    mounts::mount(c"tmpfs", top, safe, "mode=0755").doing("mounting the launcher's root")?;
    let own = |path: &str| top.join(path.trim_start_matches('/'));
    for directory in [rooms::ROOT, rooms::CODE, rooms::HOST, rooms::STACKS, VIEWS, VIEWS_MADE, "/proc"] {
        fs::create_dir(own(directory)).doing("making the launcher's root")?;
    }
    mounts::bind(&house.data.join(CODE), &own(rooms::CODE)).doing("showing the code to the launcher")?;
    mounts::bind(Path::new("/proc"), &own("/proc")).doing("showing processes to the launcher")?;
    let interpreters = place_interpreters(&own(rooms::HOST), setup)?;
    build_root(&own(rooms::ROOT), setup, names)?;
    let machine = make_views(&own(VIEWS_MADE)).doing("describing the machine to sandboxes")?;
    mounts::show(&own(VIEWS_MADE), &own(VIEWS)).doing("describing the machine to sandboxes")?;
    mounts::enter(top).doing("entering the launcher's root")?;
    Ok((interpreters, machine))
}

/// Writes what sandboxes see of the machine. The files belong to the host's root, who is nobody inside.
fn make_views(at: &Path) -> io::Result<Machine> {
    let proc = Path::new("/proc");
    // What only the host's root may read or write needs no cover: he is nobody inside.
    let kind = |name: &&'static str| {
        let found = fs::metadata(proc.join(name)).ok()?;
        (found.mode() & 0o007 != 0).then_some((*name, found.is_dir()))
    };
    let machine = Machine {
        processors: process::processors()?,
        masked: views::MASKED.iter().filter_map(kind).collect(),
        covered: views::covered().filter(|name| proc.join(name).exists()).collect(),
    };
    let [file, directory] = views::EMPTY;
    fs::write(at.join(file), b"")?;
    fs::create_dir(at.join(directory))?;
    let read = |name: &str| fs::read_to_string(proc.join(name));
    for (path, text) in machine.views(&read("cpuinfo")?, &read("stat")?) {
        let path = at.join(path);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, text)?;
    }
    Ok(machine)
}

/// Writes the memory figures of functions of this size, unless they are there.
pub(super) fn make_memory_view(memory: Mib) -> io::Result<()> {
    let path = Path::new(VIEWS_MADE).join(views::meminfo_name(memory));
    if path.exists() { Ok(()) } else { fs::write(path, views::meminfo_text(memory)) }
}

fn place_interpreters(host: &Path, setup: &LauncherSetup) -> Result<Interpreters, StepError> {
    let mut number = 0;
    let mut interpreters = Vec::new();
    for interpreter in &setup.interpreters {
        let mut placed = Vec::new();
        for mount in &interpreter.mounts {
            if !root::is_already_shown(mount) {
                number += 1;
                let at = host.join(number.to_string());
                let place = || format!("showing {} to sandboxes", mount.host.display());
                make_place(&mount.host, &at).step(place)?;
                mounts::show_tree(&mount.host, &at).step(place)?;
            }
            placed.push(PlacedMount { mount: mount.clone(), number });
        }
        interpreters.push((interpreter.id.clone(), placed));
    }
    Ok(interpreters)
}

/// Builds the root that sandboxes share, and closes it for writing.
fn build_root(top: &Path, setup: &LauncherSetup, names: bool) -> Result<(), StepError> {
    let options = format!("mode=0755,uid={CODE_OWNER_UID},gid={CODE_OWNER_UID}");
    mounts::mount(c"tmpfs", top, MountFlags::NOSUID, &options).doing("mounting the shared root")?;
    let facts = HostFacts { names, ..facts().doing("looking at the host's programs")? };
    let sdk_dir = setup.sdk_dir.as_deref();
    for step in root::steps(&facts, &setup.interpreters, &setup.runtime_files, sdk_dir) {
        perform(&step, top).step(|| describe(&step))?;
    }
    mounts::remount(top, MountFlags::NOSUID | MountFlags::RDONLY).doing("closing the shared root")
}

fn describe(step: &RootStep) -> String {
    match step {
        RootStep::Show { host, .. } | RootStep::Place { host, .. } => {
            format!("showing {} to sandboxes", host.display())
        }
        RootStep::Directory(at)
        | RootStep::Link { at, .. }
        | RootStep::File { at, .. }
        | RootStep::Device { at, .. } => format!("making /{} for sandboxes", at.display()),
    }
}

fn facts() -> io::Result<HostFacts> {
    let top_level = root::TOP_LEVEL.iter().filter_map(|name| {
        let path = Path::new("/").join(name);
        let kind = fs::symlink_metadata(&path).ok()?.file_type();
        let target = if kind.is_symlink() { fs::read_link(&path).ok() } else { None };
        Some(((*name).to_owned(), target))
    });
    let etc_files = root::ETC_FILES.iter().filter_map(|name| {
        fs::read(Path::new("/etc").join(name)).ok().map(|contents| ((*name).to_owned(), contents))
    });
    let mut etc_directories = Vec::new();
    for entry in fs::read_dir("/etc")? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if root::is_shown(&name) && entry.file_type()?.is_dir() {
            etc_directories.push(name);
        }
    }
    let (top_level, etc_files) = (top_level.collect(), etc_files.collect());
    Ok(HostFacts { top_level, etc_directories, etc_files, names: false })
}

fn perform(step: &RootStep, top: &Path) -> io::Result<()> {
    match step {
        RootStep::Directory(at) => make_directories(top, at).map(drop),
        RootStep::Link { at, to } => {
            let at = make_parent(top, at)?;
            symlink(to, &at)?;
            lchown(&at, Some(CODE_OWNER_UID), Some(CODE_OWNER_UID))
        }
        RootStep::File { at, contents, mode } => {
            let at = make_parent(top, at)?;
            fs::write(&at, contents)?;
            own(&at, *mode)
        }
        RootStep::Device { at, number: (major, minor) } => {
            let at = make_parent(top, at)?;
            let number = rustix::fs::makedev(*major, *minor);
            rustix::fs::mknodat(rustix::fs::CWD, &at, FileType::CharacterDevice, Mode::empty(), number)?;
            own(&at, 0o666)
        }
        RootStep::Show { host, at } => mounts::show_tree(host, &make_directories(top, at)?),
        RootStep::Place { host, at } => make_place(host, &make_parent(top, at)?),
    }
}

/// Makes an empty file or directory, as `like` is one, unless it is there.
fn make_place(like: &Path, at: &Path) -> io::Result<()> {
    match fs::metadata(like)?.is_dir() {
        true if at.is_dir() => Ok(()),
        true => fs::create_dir(at).and_then(|()| own(at, 0o755)),
        false => fs::write(at, b"").and_then(|()| own(at, 0o644)),
    }
}

fn make_parent(top: &Path, at: &Path) -> io::Result<PathBuf> {
    if let Some(parent) = at.parent() {
        make_directories(top, parent)?;
    }
    Ok(top.join(at))
}

/// Makes a directory with its parents below `top`; all of them shown as root's.
fn make_directories(top: &Path, at: &Path) -> io::Result<PathBuf> {
    let mut path = top.to_owned();
    for part in at {
        path.push(part);
        if !path.is_dir() {
            fs::create_dir(&path)?;
            own(&path, 0o755)?;
        }
    }
    Ok(path)
}

fn own(path: &Path, mode: u32) -> io::Result<()> {
    // The mode is set last and explicitly: neither the umask nor a change of owner shall alter it.
    chown(path, Some(CODE_OWNER_UID), Some(CODE_OWNER_UID))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}
