//! How a zygote comes up: in a root of its own with one interpreter, without network, and with the rights alone that it
//! takes to put children into sandboxes.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::net::sockopt;
use rustix::process::Pid;
use rustix::thread::{CapabilitySet, UnshareFlags};

use crate::init;
use crate::interpreters::rules::waiting::{HANDOVER_FD, zygote_environment};
use crate::limits::ZYGOTE_ORDERS_BYTES;
use crate::plan::rooms::{self, PlacedMount, ROOT, RoomStep};
use crate::sys::process::{self, Executable};
use crate::sys::{Step, StepError, mounts, packets, signals};

/// What a zygote keeps: to enter sandboxes, and to give up everything in them.
const KEPT: CapabilitySet = CapabilitySet::SYS_ADMIN
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETPCAP);

/// Forks one that executes `argv`; its process and the socket to it.
pub(super) fn start(argv: &[String], mounts: &[PlacedMount]) -> Result<(Pid, OwnedFd), StepError> {
    let program = Executable::new(argv, &zygote_environment()).doing("naming a zygote's program")?;
    let (ours, theirs) = packets::pair().doing("making a zygote's socket")?;
    // Where more is forbidden, fewer orders wait, and more runtimes are executed.
    let _ = sockopt::set_socket_send_buffer_size_force(&ours, ZYGOTE_ORDERS_BYTES);
    let room: Vec<_> = rooms::shown(mounts).collect();
    let pid = process::spawn(0, move || match jail(&room).and_then(|()| place(theirs)) {
        Ok(()) => {
            program.execute();
            1
        }
        Err(_) => 1,
    });
    Ok((pid.doing("forking a zygote")?, ours))
}

/// Leaves all that the launcher has.
fn jail(room: &[RoomStep]) -> Result<(), StepError> {
    process::die_with_parent().doing("tying a zygote to the launcher")?;
    init::mark_sandbox()?;
    let separate = UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS | UnshareFlags::NEWNET;
    process::unshare(separate).doing("making a zygote's namespaces")?;
    room.iter().try_for_each(init::mount)?;
    mounts::enter(Path::new(ROOT)).doing("entering a zygote's root")?;
    process::bound_capabilities(KEPT).doing("giving up rights")
}

/// Input from nowhere, output to nobody, the launcher's socket, and nothing else.
fn place(launcher: OwnedFd) -> Result<(), StepError> {
    // A pipe, as a function has it: Python looks once at what its output is, and its children have it from there.
    let (_, output) = rustix::pipe::pipe().doing("making a pipe")?;
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let null = rustix::fs::open("/dev/null", flags, Mode::empty()).doing("opening the null device")?;
    // All that is open is closed below, and nobody else may close it again.
    let (null, output, launcher) =
        (ManuallyDrop::new(null), ManuallyDrop::new(output), ManuallyDrop::new(launcher));
    for (source, target) in [(&null, 0), (&output, 1), (&output, 2), (&launcher, HANDOVER_FD)] {
        process::place_fd(source.as_fd(), target).doing("placing a zygote's descriptors")?;
    }
    process::close_range(HANDOVER_FD + 1, i32::MAX).doing("closing descriptors")?;
    signals::reset_all();
    Ok(())
}
