//! Control groups: one directory for each function in each hierarchy, below one of this data directory.

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread::sleep;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};

use crate::freezer::Freezer;
use crate::init::MemoryGroup;
use crate::limits::CGROUP_RETRY;
use crate::plan::groups::{
    Controller, Hierarchy, Limits, Setting, Version, ahead, hierarchies, settings, takes_weights,
};
use crate::setup::LaunchError;
use crate::sys::{Step, StepError};

/// Directory of all launchers' groups.
const HOUSE: &str = "samovar";

/// Group into which the launcher and the server move where the kernel wants no processes beside groups.
const OURSELVES: &str = "samovar-server";

/// The hierarchies, each opened at this data directory's own group.
pub(crate) struct Groups {
    hierarchies: Vec<Opened>,
}

struct Opened {
    version: Version,
    controllers: Vec<Controller>,
    path: PathBuf,
    directory: OwnedFd,
}

/// A function's groups.
pub(crate) struct Group {
    /// A process that writes "0" into each of these joins the groups.
    pub(crate) joins: Vec<OwnedFd>,
    /// The directory in the memory hierarchy.
    pub(crate) meter: OwnedFd,
    /// The same for the init's watch.
    pub(crate) memory: MemoryGroup,
    /// Stops and continues its processes, where the kernel can.
    pub(crate) freezer: Option<Freezer>,
}

impl Groups {
    /// Makes this instance's groups. `family` are the processes that may share this process's own group.
    pub(crate) fn open(instance: &str, family: &[Pid]) -> Result<Self, LaunchError> {
        let read = |path: &str| fs::read_to_string(path).step(|| format!("reading {path}"));
        let found = hierarchies(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?);
        let hierarchies = found
            .into_iter()
            .filter_map(|hierarchy| Opened::make(hierarchy, instance, family).transpose())
            .collect::<Result<Vec<_>, _>>()?;
        let limits_memory = |opened: &Opened| opened.controllers.contains(&Controller::Memory);
        if !hierarchies.iter().any(limits_memory) {
            return Err(LaunchError::NoCgroups);
        }
        Ok(Self { hierarchies })
    }

    /// The directories of this instance, for a later start's [`sweep`].
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.hierarchies.iter().map(|opened| opened.path.as_path())
    }

    /// Makes the groups of a function, which have no limits yet. Leaves nothing behind when it fails.
    pub(crate) fn make(&self, name: &str) -> Result<Group, StepError> {
        self.try_make(name).inspect_err(|_| {
            self.remove(name);
        })
    }

    /// Sets the limits of a function's groups.
    pub(crate) fn limit(&self, name: &str, limits: Limits) -> Result<(), StepError> {
        for opened in &self.hierarchies {
            for controller in &opened.controllers {
                for setting in settings(opened.version, *controller, limits) {
                    set(opened.directory.as_fd(), &format!("{name}/{}", setting.file), &setting)?;
                }
            }
        }
        Ok(())
    }

    fn try_make(&self, name: &str) -> Result<Group, StepError> {
        let mut joins = Vec::new();
        let (mut meter, mut freezer) = (None, None);
        for opened in &self.hierarchies {
            let place = || format!("making a control group in {}", opened.path.display());
            rustix::fs::mkdirat(&opened.directory, name, Mode::from_raw_mode(0o755)).step(place)?;
            let directory = open_directory(opened.directory.as_fd(), name).step(place)?;
            for controller in &opened.controllers {
                for setting in ahead(opened.version, *controller) {
                    set(directory.as_fd(), setting.file, &setting)?;
                }
            }
            joins.push(open_join(directory.as_fd(), opened.version).step(place)?);
            if opened.controllers.contains(&Controller::Freezer) {
                freezer = Freezer::open(directory.as_fd(), opened.version);
            }
            if opened.controllers.contains(&Controller::Memory) {
                meter = Some((directory, opened.version));
            }
        }
        // `open` made sure that one hierarchy limits memory.
        let (meter, version) = meter.ok_or(Errno::NOENT).doing("finding the memory controller")?;
        let directory = meter.try_clone().doing("sharing a control group")?;
        let memory = MemoryGroup { directory, version };
        Ok(Group { joins, meter, memory, freezer })
    }

    /// Where a process joins a function's groups, which there must be.
    pub(crate) fn joins(&self, name: &str) -> io::Result<Vec<OwnedFd>> {
        let join = |opened: &Opened| {
            let directory = open_directory(opened.directory.as_fd(), name)?;
            open_join(directory.as_fd(), opened.version)
        };
        self.hierarchies.iter().map(join).collect()
    }

    /// Lets a function's processes go on: a frozen one does not die before.
    pub(crate) fn thaw(&self, name: &str) {
        let freezes = |opened: &&Opened| opened.controllers.contains(&Controller::Freezer);
        for opened in self.hierarchies.iter().filter(freezes) {
            // What has no group is not frozen.
            if let Ok(group) = open_directory(opened.directory.as_fd(), name) {
                let _ = Freezer::open(group.as_fd(), opened.version).map(|freezer| freezer.thaw());
            }
        }
    }

    /// Removes a function's groups; whether all are gone.
    pub(crate) fn remove(&self, name: &str) -> bool {
        let mut gone = true;
        for opened in &self.hierarchies {
            let removed = rustix::fs::unlinkat(&opened.directory, name, AtFlags::REMOVEDIR);
            gone &= matches!(removed, Ok(()) | Err(Errno::NOENT));
        }
        gone
    }

    /// Removes this instance's own groups, which must be empty. The house's group goes with the last instance.
    pub(crate) fn close(&self) {
        for opened in &self.hierarchies {
            for path in opened.path.ancestors().take(2) {
                // The host's tree may be out of sight by now, so the way up is by descriptor.
                let Some(name) = path.file_name() else { continue };
                let up = if path == opened.path { ".." } else { "../.." };
                let parent = open_directory(opened.directory.as_fd(), up);
                if parent.is_ok_and(|parent| rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR).is_err())
                {
                    break;
                }
            }
        }
    }
}

/// The file that a process of one thread joins by, writing `0`.
///
/// Moving a whole process waits for a grace period of the kernel, 10 to 20 ms on an idle machine; a thread that moves
/// itself does not (since Linux 5.16). Version 2 moves single threads only between threaded groups.
fn join_file(version: Version) -> &'static str {
    match version {
        Version::V1 => "tasks",
        Version::V2 => "cgroup.procs",
    }
}

impl Opened {
    /// Nothing where a hierarchy turns out to carry none of the controllers.
    fn make(hierarchy: Hierarchy, instance: &str, family: &[Pid]) -> Result<Option<Self>, StepError> {
        let (home, controllers) = match hierarchy.version {
            // Joining it would cost every start something and give it nothing.
            Version::V1 if hierarchy.controllers == [Controller::Io] && !disks_take_weights() => {
                return Ok(None);
            }
            Version::V1 => (hierarchy.own, hierarchy.controllers),
            Version::V2 => match delegate(&hierarchy, instance, family)? {
                Some(home) => home,
                None => return Ok(None),
            },
        };
        let path = home.join(HOUSE).join(instance);
        let place = || format!("making the control group {}", path.display());
        // A launcher that ends may take the house's group away in between.
        fs::create_dir_all(&path).or_else(|_| fs::create_dir_all(&path)).step(place)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&path, flags, Mode::empty()).step(place)?;
        Ok(Some(Self { version: hierarchy.version, controllers, path, directory }))
    }
}

/// Whether any disk of this machine gives turns by a weight of version 1.
fn disks_take_weights() -> bool {
    let disks = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let schedulers = disks.filter_map(|disk| fs::read_to_string(disk.path().join("queue/scheduler")).ok());
    schedulers.into_iter().any(|scheduler| takes_weights(&scheduler))
}

/// Finds a group of version 2 that may hand its controllers down to ours: the one we were put in, when nobody else
/// is in it, else the root, which alone may have both processes and limited groups.
fn delegate(
    hierarchy: &Hierarchy,
    instance: &str,
    family: &[Pid],
) -> Result<Option<(PathBuf, Vec<Controller>)>, StepError> {
    for home in [&hierarchy.own, &hierarchy.mounted] {
        let offered = fs::read_to_string(home.join("cgroup.controllers")).unwrap_or_default();
        let wanted = hierarchy.controllers.iter().copied();
        let carried: Vec<_> = wanted
            .filter(|wanted| offered.split_whitespace().any(|offered| offered == wanted.name()))
            .collect();
        // No controller there, but a file of every group.
        let freezer = hierarchy.controllers.contains(&Controller::Freezer).then_some(Controller::Freezer);
        if carried.is_empty() || (home != &hierarchy.mounted && !move_aside(home, family)) {
            continue;
        }
        let below = home.join(HOUSE).join(instance);
        fs::create_dir_all(&below).step(|| format!("making the control group {}", below.display()))?;
        let given = |controller: &&Controller| {
            let on = format!("+{}", controller.name());
            [home, &home.join(HOUSE), &below]
                .into_iter()
                .all(|group| fs::write(group.join("cgroup.subtree_control"), &on).is_ok())
        };
        let controllers: Vec<_> = carried.iter().filter(given).copied().collect();
        if !controllers.is_empty() {
            return Ok(Some((home.clone(), controllers.into_iter().chain(freezer).collect())));
        }
    }
    Ok(None)
}

/// Moves the family out of a group when it is alone there; whether the group is empty then.
fn move_aside(group: &Path, family: &[Pid]) -> bool {
    let members = pids(&group.join("cgroup.procs"));
    let aside = group.join(OURSELVES);
    members.iter().all(|member| family.contains(member))
        && fs::create_dir_all(&aside).is_ok()
        && members
            .iter()
            .all(|member| fs::write(aside.join("cgroup.procs"), member.as_raw_nonzero().to_string()).is_ok())
}

/// Lets everything go on that an earlier launcher left in `instance`, one of the paths it noted: a frozen process does
/// not die, and is frozen in one hierarchy while it is looked for in another.
pub(crate) fn thaw(instance: &Path) {
    for group in groups_in(instance) {
        for version in [Version::V1, Version::V2] {
            let _ = fs::write(group.join(version.freezer_file()), version.freezer_value(false));
        }
    }
}

/// Ends and removes what an earlier launcher left there; each group is tried so often.
pub(crate) fn sweep(instance: &Path, tries: u32) {
    groups_in(instance).for_each(|group| sweep_group(&group, tries));
    // The house's group goes with the last instance.
    for group in instance.ancestors().take(2) {
        let _ = fs::remove_dir(group);
    }
}

fn groups_in(instance: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(instance).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
}

fn sweep_group(group: &Path, tries: u32) {
    let _ = fs::write(group.join("cgroup.kill"), "1");
    for _ in 0..tries {
        for pid in pids(&group.join("cgroup.procs")) {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        if fs::remove_dir(group).is_ok() {
            return;
        }
        sleep(CGROUP_RETRY);
    }
}

fn pids(file: &Path) -> Vec<Pid> {
    numbers(&fs::read_to_string(file).unwrap_or_default())
}

fn numbers(text: &str) -> Vec<Pid> {
    text.lines().filter_map(|line| line.parse().ok().and_then(Pid::from_raw)).collect()
}

fn open_join(group: BorrowedFd<'_>, version: Version) -> io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(group, join_file(version), flags, Mode::empty())?)
}

fn open_directory(parent: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty())?)
}

fn set(directory: BorrowedFd<'_>, file: &str, setting: &Setting) -> Result<(), StepError> {
    match write_file(directory, file, &setting.value) {
        Err(_) if setting.optional => Ok(()),
        result => result.step(|| format!("setting {} to {}", setting.file, setting.value)),
    }
}

fn write_file(directory: BorrowedFd<'_>, name: &str, value: &str) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, name, flags, Mode::empty())?;
    fs::File::from(file).write_all(value.as_bytes())
}

/// The threads in a group of either version.
pub(crate) fn threads(group: BorrowedFd<'_>) -> Vec<Pid> {
    let text = read_file(group, "tasks").or_else(|_| read_file(group, "cgroup.threads"));
    numbers(&text.unwrap_or_default())
}

/// Bytes that most files of the kernel's fit in.
const SMALL_FILE: usize = 4096;

/// Reads a small file of a group, or of a process.
pub(crate) fn read_file(directory: BorrowedFd<'_>, name: &str) -> io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, name, flags, Mode::empty())?;
    let mut text = Vec::with_capacity(SMALL_FILE);
    // Asked for its size first, as the standard library does, such a file has none.
    while rustix::io::read(&file, rustix::buffer::spare_capacity(&mut text))? > 0 {
        text.reserve(SMALL_FILE);
    }
    String::from_utf8(text).map_err(io::Error::other)
}
