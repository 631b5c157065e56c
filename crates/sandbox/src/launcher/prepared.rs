//! Sandboxes that stand before it is known for which function.

use std::os::fd::OwnedFd;

use rustix::process::Pid;

use crate::spec::Preparation;

/// Where a runtime may wait: in a sandbox whose namespaces stand and whose users have their names.
pub(super) struct Nest {
    /// What the sandbox is for.
    pub(super) preparation: Preparation,
    /// The first process of it.
    pub(super) init: Pid,
    /// Where a process joins its control groups, by writing `0`.
    pub(super) joins: Vec<OwnedFd>,
    /// Write end of its log.
    pub(super) log: OwnedFd,
}

/// Has a runtime wait in the sandbox, where that is asked for and can be done from here.
///
/// Its init has the users' names by now and gives up its rights meanwhile. One that is built ahead says `SEALED` when it
/// has, and when who waits is ready.
pub(super) fn settle(nest: Nest) {
    let Nest { preparation, init, joins, log } = nest;
    // Nobody moves in from here yet: the init executes the command when it is told to.
    drop((preparation, init, joins, log));
}
