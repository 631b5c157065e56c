//! Raising the walls: namespaces, mounts, network, and at last the rights that are given up.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::mount::MountFlags;
use rustix::thread::{CapabilitySet, UnshareFlags};

use super::Birth;
use crate::identity::{ENDPOINT_PORT, HOST_NAME, RUNTIME_API_PORT};
use crate::plan::rooms::{ROOT, RoomStep};
use crate::sys::{Step, StepError, mounts, network, packets, process};

/// First byte of the packet that says the walls stand and the user namespace waits for its map.
pub(crate) const RAISED: u8 = b'W';

/// The launcher's answer when the map is written.
pub(crate) const MAPPED: u8 = b'M';

/// What an init keeps: to become the function's user, to kill its processes, to give up rights in its children,
/// and to show each of them its own control group as the root.
const KEPT: CapabilitySet = CapabilitySet::SETUID
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::SYS_ADMIN);

/// How much sooner than the server's the kernel chooses a sandbox's processes when the machine is out of memory.
const OOM_SCORE: &str = "500";

/// Raises the walls around this process.
pub(super) fn raise(birth: &Birth<'_>) -> Result<(), StepError> {
    let kept = [&birth.launcher, &birth.control, &birth.log].into_iter().chain(&birth.joins);
    process::close_all_but(&kept.map(AsFd::as_fd).collect::<Vec<_>>()).doing("closing descriptors")?;
    process::die_with_parent().doing("tying the sandbox to the launcher")?;
    rustix::thread::set_name(c"samovar-init").doing("naming the init")?;
    fs::write("/proc/self/oom_score_adj", OOM_SCORE).doing("offering the sandbox to the OOM killer")?;

    // Everything made here belongs to the host's user namespace, so that root inside has no power over it.
    let separate = UnshareFlags::NEWNS
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWCGROUP;
    process::unshare(separate).doing("making namespaces")?;
    let listeners = set_up_network(birth.endpoint)?;
    for step in &birth.room {
        mount(step)?;
    }
    mounts::enter(Path::new(ROOT)).doing("entering the sandbox's root")?;

    process::unshare(UnshareFlags::NEWUSER).doing("making a user namespace (user.max_user_namespaces)")?;
    await_map(birth.launcher.as_fd(), &listeners)?;
    settle().doing("giving up rights")
}

/// Tells the launcher why it did not work.
pub(super) fn report(launcher: BorrowedFd<'_>, StepError { step, source }: &StepError) {
    let text = format!("E{step}\n{source}");
    let _ = packets::send(launcher, text.as_bytes(), &[], true);
}

fn set_up_network(endpoint: bool) -> Result<Vec<OwnedFd>, StepError> {
    rustix::system::sethostname(HOST_NAME.as_bytes()).doing("naming the sandbox's host")?;
    network::bring_up().doing("bringing up the sandbox's network")?;
    let ports = [RUNTIME_API_PORT].into_iter().chain(endpoint.then_some(ENDPOINT_PORT));
    ports.map(network::listen).collect::<io::Result<_>>().doing("listening in the sandbox")
}

fn mount(step: &RoomStep) -> Result<(), StepError> {
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
        RoomStep::Processes { at } => {
            let flags = safe | MountFlags::NOEXEC;
            mounts::mount(c"proc", at, flags, "hidepid=2").doing("mounting the process file system")
        }
        RoomStep::Mask { at } => mask(at).step(|| format!("masking {}", at.display())),
    }
}

/// Covers a file with the null device and a directory with an empty one.
fn mask(at: &Path) -> io::Result<()> {
    let Ok(found) = rustix::fs::stat(at) else { return Ok(()) };
    let cover = match rustix::fs::FileType::from_raw_mode(found.st_mode) {
        rustix::fs::FileType::Directory => "sys",
        _ => "dev/null",
    };
    mounts::bind(&Path::new(ROOT).join(cover), at)
}

/// Hands the listeners over and waits until the launcher has said who is who.
pub(super) fn await_map(launcher: BorrowedFd<'_>, listeners: &[OwnedFd]) -> Result<(), StepError> {
    let descriptors: Vec<_> = listeners.iter().map(AsFd::as_fd).collect();
    packets::send(launcher, &[RAISED], &descriptors, false).doing("telling the launcher")?;
    let answer = packets::receive(launcher, 1, false).doing("waiting for the launcher")?;
    match answer.packet[..] {
        [MAPPED] => Ok(()),
        _ => Err(io::Error::from(io::ErrorKind::ConnectionAborted)).doing("waiting for the launcher"),
    }
}

fn settle() -> io::Result<()> {
    process::become_user(0, 0)?;
    process::bound_capabilities(KEPT)?;
    process::hold_capabilities(KEPT)?;
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    // Becoming somebody else made the kernel forget it.
    process::die_with_parent()
}
