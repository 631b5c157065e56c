//! Sandboxes that stand before it is known for which function.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::zygotes::{Order, Zygotes};
use crate::init::Nursery;
use crate::spec::Preparation;
use crate::sys::packets;

/// Where a runtime is to be born: in a sandbox whose namespaces stand and whose users have their names.
pub(super) struct Nest {
    /// What the sandbox is for.
    pub(super) preparation: Preparation,
    /// The first process of it.
    pub(super) init: Pid,
    /// Where a process joins its control groups, by writing `0`.
    pub(super) joins: Vec<OwnedFd>,
    /// Write end of its log.
    pub(super) log: OwnedFd,
    /// The runtime's end of its socket to the init.
    pub(super) handover: OwnedFd,
}

/// What the init of a sandbox is born with, so that a runtime waits in it, and the runtime's end of its socket when a
/// zygote will bear it.
pub(super) fn nursery(
    preparation: &Preparation,
    zygotes: &mut Zygotes,
) -> io::Result<(Option<Nursery>, Option<OwnedFd>)> {
    let Some(argv) = preparation.waiting.clone() else { return Ok((None, None)) };
    let (socket, theirs) = packets::pair()?;
    let (execute, handover) =
        if zygotes.can_bear(preparation) { (None, Some(theirs)) } else { (Some(theirs), None) };
    Ok((Some(Nursery { argv, socket, execute }), handover))
}

/// Has a zygote bear a runtime into the sandbox. When that cannot be, the init learns it by the end of its socket, and
/// executes the runtime.
///
/// Its init has the users' names by now and gives up its rights meanwhile. One that is built ahead says `SEALED` when it
/// has, and when who waits is ready.
pub(super) fn settle(nest: Nest, zygotes: &mut Zygotes) {
    let Nest { preparation, init, joins, log, handover } = nest;
    // The init is collected only by this process, so its number is still its own.
    let Ok(init) = pidfd_open(init, PidfdFlags::empty()) else { return };
    zygotes.bear(&preparation, &Order { init, handover, log, joins });
}
