//! Raising the walls: namespaces, mounts, network, and at last the rights that are given up.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags};
use rustix::mount::MountFlags;
use rustix::thread::{CapabilitySet, UnshareFlags};

use super::Walls;
use super::claim::Claim;
use super::watch::Watch;
use crate::identity::{CODE_OWNER_UID, HOST_NAME};
use crate::limits::FIRST_ALARM_AFTER;
use crate::plan::rooms::{ROOT, RoomStep};
use crate::sys::{self, Step, StepError, mounts, network, packets, process};

/// First byte of the packet that says the walls stand and the user namespace waits for its map.
pub(crate) const RAISED: u8 = b'W';

/// The launcher's answer when the map is written.
pub(crate) const MAPPED: u8 = b'M';

/// The init's packet that says nothing is left to be done but what depends on the function.
pub(crate) const SEALED: u8 = b'S';

/// What an init keeps: to become the function's user, to kill its processes, to give up rights in its children,
/// and to show each of them its own control group as the root.
const KEPT: CapabilitySet = CapabilitySet::SETUID
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::SYS_ADMIN);

/// How much sooner than the server's the kernel chooses a sandbox's processes when the machine is out of memory.
const OOM_SCORE: &str = "500";

/// The login that audit records show of what runs inside: `nobody`. One that is not set could be chosen inside.
const AUDIT_LOGIN: &str = "65534";

/// What System V's objects may hold of the kernel's memory in the sandbox's own namespace. They outlive whoever made
/// them, so that no process could be ended to free it: memory goes with the last who uses it, and of queues and
/// semaphores there may be some two megabytes.
const OBJECTS: [(&str, &str); 3] = [
    ("sys/kernel/shm_rmid_forced", "1"),
    ("sys/kernel/msgmni", "32"),
    ("sys/kernel/sem", "250 32000 32 128"),
];

/// Something to do among a sandbox's mounts, from within.
pub(crate) enum Change {
    /// Gives a mount that is nowhere yet its place.
    Place(OwnedFd, PathBuf),
    /// Gives a file system in memory other options.
    Resize(String, PathBuf),
}

impl Change {
    /// Does it.
    pub(crate) fn make(&self) -> Result<(), StepError> {
        match self {
            Self::Place(mount, at) => {
                mounts::place(mount.as_fd(), at).step(|| format!("mounting {}", at.display()))
            }
            Self::Resize(options, at) => resize(at, options),
        }
    }

    fn mount(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Place(mount, _) => Some(mount.as_fd()),
            Self::Resize(..) => None,
        }
    }
}

/// Raises the walls around this process.
///
/// The watch is opened while this process may open its files.
pub(super) fn raise(
    walls: &Walls,
    kept: &[BorrowedFd<'_>],
    launcher: BorrowedFd<'_>,
) -> Result<Watch, StepError> {
    let own = [&walls.network, &walls.memory.directory].into_iter().chain(&walls.joins).map(AsFd::as_fd);
    let own = own.chain(walls.freezer.as_ref().map(AsFd::as_fd)).chain(walls.shell.as_ref().map(AsFd::as_fd));
    let own = own.chain(walls.late.iter().filter_map(Change::mount));
    let kept: Vec<_> = kept.iter().copied().chain(own).collect();
    process::close_all_but(&kept).doing("closing descriptors")?;
    process::die_with_parent().doing("tying the sandbox to the launcher")?;
    rustix::thread::set_name(c"samovar-init").doing("naming the init")?;
    mark_sandbox()?;
    let watch = Watch::open(&walls.memory)?;
    if !walls.processors.is_empty() {
        process::run_on(None, &walls.processors).doing("choosing processors")?;
    }

    if let Some(shell) = &walls.shell {
        mounts::go_to(shell.as_fd()).doing("entering what sandboxes show")?;
        // Where the views are until the process file system hides them, and as seen from here also then.
        rustix::process::chdir("/proc").doing("finding the machine's views")?;
    }
    // Everything made here belongs to the host's user namespace, so that root inside has no power over it.
    let separate =
        UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS | UnshareFlags::NEWCGROUP;
    process::unshare(separate).doing("making namespaces")?;
    network::enter(walls.network.as_fd()).doing("entering the sandbox's network")?;
    rustix::system::sethostname(HOST_NAME.as_bytes()).doing("naming the sandbox's host")?;
    for step in walls.room.iter() {
        mount(step)?;
        if let RoomStep::Processes { at } = step {
            limit_objects(at);
        }
    }
    walls.late.iter().try_for_each(Change::make)?;
    match walls.shell {
        Some(_) => rustix::process::chdir("/").doing("entering the sandbox's root")?,
        None => mounts::enter(Path::new(ROOT)).doing("entering the sandbox's root")?,
    }

    if walls.claim.is_none() {
        // For the watch over memory. One that is built while its function waits would take the turns of those who start
        // beside it, and where it is forbidden, as in some containers, the watch has its turn as anybody.
        let _ = process::run_first();
    }

    // Whoever furnishes it later enters by this; nobody can open it once this process has settled.
    let door =
        walls.claim.is_none().then(mounts::current).transpose().doing("opening the sandbox's mounts")?;
    process::unshare(UnshareFlags::NEWUSER).doing("making a user namespace (user.max_user_namespaces)")?;
    await_map(launcher, door)?;
    settle().doing("giving up rights")?;
    Ok(watch)
}

/// Marks this process, and what will descend from it, as a sandbox's to the kernel's killer and audit.
pub(crate) fn mark_sandbox() -> Result<(), StepError> {
    fs::write("/proc/self/oom_score_adj", OOM_SCORE).doing("offering the sandbox to the OOM killer")?;
    // Kernels without audit have no such file, and those that forbid a second login keep the first.
    let _ = fs::write("/proc/self/loginuid", AUDIT_LOGIN);
    Ok(())
}

/// Tells the launcher why it did not work.
pub(super) fn report(launcher: BorrowedFd<'_>, StepError { step, source }: &StepError) {
    let text = format!("E{step}\n{source}");
    let _ = packets::send(launcher, text.as_bytes(), &[], true);
}

/// Limits System V's objects through the sandbox's own process file system, before anything covers it: in the launcher's
/// the kernel looks a setting up among those of all namespaces there are.
fn limit_objects(processes: &Path) {
    for (setting, value) in OBJECTS {
        // Kernels without such objects have no such file.
        let _ = fs::write(processes.join(setting), value);
    }
}

/// Makes one mount of a room.
pub(crate) fn mount(step: &RoomStep) -> Result<(), StepError> {
    let safe = MountFlags::NOSUID | MountFlags::NODEV;
    match step {
        RoomStep::Show { source, at } => {
            mounts::show(source, at).step(|| format!("mounting {} at {}", source.display(), at.display()))
        }
        RoomStep::Stack { lower, at } => {
            let options = format!("lowerdir={lower}");
            mounts::mount(c"overlay", at, safe | MountFlags::RDONLY, &options).doing("stacking the layers")
        }
        RoomStep::Memory { at, options, executable } => {
            let flags = if *executable { safe } else { safe | MountFlags::NOEXEC };
            mounts::mount(c"tmpfs", at, flags, options)
                .step(|| format!("mounting a tmpfs at {}", at.display()))
        }
        RoomStep::Resize { at, options } => resize(at, options),
        RoomStep::Processes { at } => {
            let flags = safe | MountFlags::NOEXEC;
            // Root inside, the init alone, sees the processes that it has to watch.
            let options = format!("hidepid=2,gid={CODE_OWNER_UID}");
            mounts::mount(c"proc", at, flags, &options).doing("mounting the process file system")
        }
        RoomStep::Cover { source, at } => match mounts::bind(source, at) {
            // What the kernel had when the launcher started and has no more needs no cover.
            Err(_) if rustix::fs::lstat(at).is_err() => Ok(()),
            result => result.step(|| format!("covering {}", at.display())),
        },
    }
}

fn resize(at: &Path, options: &str) -> Result<(), StepError> {
    let safe = MountFlags::NOSUID | MountFlags::NODEV;
    mounts::set_options(at, safe, options).step(|| format!("sizing the tmpfs at {}", at.display()))
}

/// Waits until the launcher has said who is who. It gets the mount namespace when mounts are to follow.
pub(super) fn await_map(launcher: BorrowedFd<'_>, door: Option<OwnedFd>) -> Result<(), StepError> {
    let door: Vec<_> = door.iter().map(AsFd::as_fd).collect();
    packets::send(launcher, &[RAISED], &door, false).doing("telling the launcher")?;
    let answer = packets::receive(launcher, 1, false).doing("waiting for the launcher")?;
    match answer.packet[..] {
        [MAPPED] => Ok(()),
        _ => Err(io::Error::from(io::ErrorKind::ConnectionAborted)).doing("waiting for the launcher"),
    }
}

/// Says that this sandbox is ready, and waits to hear whose it is to be. With time to spare it sets the alarm.
pub(super) fn await_claim(launcher: BorrowedFd<'_>, watch: &mut Watch) -> Result<Claim, StepError> {
    packets::send(launcher, &[SEALED], &[], false).doing("telling the launcher")?;
    let mut waits = [PollFd::from_borrowed_fd(launcher, PollFlags::IN)];
    sys::wait_for(&mut waits, Some(FIRST_ALARM_AFTER)).doing("waiting for a function")?;
    if waits[0].revents().is_empty() {
        watch.set_ahead();
    }
    let packet = packets::receive(launcher, Claim::BYTES, false).doing("waiting for a function")?.packet;
    Claim::of(&packet).ok_or(io::ErrorKind::ConnectionAborted).doing("waiting for a function")
}

fn settle() -> io::Result<()> {
    process::become_user(0, 0)?;
    process::bound_capabilities(KEPT)?;
    process::hold_capabilities(KEPT)?;
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    // Becoming somebody else made the kernel forget it.
    process::die_with_parent()
}
