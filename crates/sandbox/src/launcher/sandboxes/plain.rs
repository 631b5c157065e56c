//! Environments without walls: an init and a directory each, and nothing of the kernel's to make or remove.

use std::os::fd::OwnedFd;

use base::clock::Timestamp;
use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;

use super::{Rising, Sandbox, Sandboxes, log_pipe};
use crate::init;
use crate::plan::plain::{Places, PlainHouse};
use crate::spec::SandboxSpec;
use crate::sys::{Step, StepError, packets, process};

impl Sandboxes {
    /// Forks the init of an environment without walls.
    pub(super) fn build_plain(
        &mut self,
        ticket: u64,
        spec: &SandboxSpec,
        deadline: Timestamp,
        house: &PlainHouse,
    ) -> Result<(), StepError> {
        let (init, launcher) = packets::pair().doing("making an init's socket")?;
        let (control, server) = packets::pair().doing("making a control socket")?;
        let (read, log) = log_pipe(None).doing("making a log pipe")?;
        let birth = init::Birth {
            room: Vec::new(),
            plain: Some(Places::of(house, spec)),
            endpoint: spec.endpoint,
            launcher,
            control: server,
            log,
            joins: Vec::new(),
            filter: &self.filter,
        };
        let pid = process::spawn(0, move || init::run(birth)).doing("forking an init")?;
        self.by_pid.insert(pid, spec.id);
        self.live.insert(spec.id, Sandbox { init: pid, user: None, mourners: Vec::new() });
        // The child is not collected before it was noted, so the number is still its own.
        let keys = vec![control, read, family_of(pid).doing("looking at an init")?];
        self.rising.insert(spec.id, Rising { ticket, deadline, init, keys });
        Ok(())
    }
}

/// The directory by which a meter finds the processes of an init, whoever gets its number later.
fn family_of(init: Pid) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(format!("/proc/{}", init.as_raw_nonzero()), flags, Mode::empty())
}
