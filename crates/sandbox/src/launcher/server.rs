//! Becoming the server: no right is left but to read and write the data directory and to serve.

use std::fs::File;
use std::io::Read;
use std::os::fd::{OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rustix::mount::MountFlags;
use rustix::process::Resource;
use rustix::thread::{CapabilitySet, UnshareFlags};

use crate::client::LauncherClient;
use crate::identity::SERVER_UID;
use crate::limits::FUNCTION_CORE;
use crate::seccomp;
use crate::setup::{Isolation, ServerSide};
use crate::sys::signals::{self, Mask};
use crate::sys::{self, Step, StepError, mounts, process};

/// What the server's process is born with.
pub(super) struct Birth {
    /// Where the data directory is on the host.
    pub(super) data: PathBuf,
    /// Where the server sees it.
    pub(super) seen_at: PathBuf,
    /// Descriptors of the launcher that the fork copied.
    pub(super) foreign: Vec<RawFd>,
    /// To the launcher.
    pub(super) launcher: OwnedFd,
    /// What it stands on.
    pub(super) isolation: Isolation,
    /// Gives one byte when the launcher is ready, and ends when it is not.
    pub(super) go: OwnedFd,
    /// The signals that were blocked before the launcher blocked its own.
    pub(super) mask: Mask,
}

/// Runs the server in the process that was just forked; returns its exit status.
pub(super) fn run(birth: Birth, server: impl FnOnce(ServerSide) -> ExitCode) -> i32 {
    let Birth { data, seen_at, foreign, launcher, isolation, go, mask } = birth;
    foreign.into_iter().for_each(process::close);
    let stepped = await_launcher(go).and_then(|()| match isolation {
        Isolation::Full => step_down(&data, &seen_at),
        Isolation::None => step_aside(&seen_at),
    });
    if let Err(StepError { step, source }) = stepped.and_then(|()| give_up_the_rest()) {
        sys::say(format_args!("the server cannot start: {step}: {source}"));
        return 1;
    }
    let client = match LauncherClient::start(launcher, isolation) {
        Ok(client) => client,
        Err(error) => {
            sys::say(format_args!("the server cannot start a thread: {error}"));
            return 1;
        }
    };
    if signals::restore(&mask).is_err() {
        return 1;
    }
    let code = server(ServerSide { client, data_dir: seen_at });
    // `ExitCode` tells its number to nobody but `main`, which this process never returns to.
    (0..=u8::MAX).find(|number| ExitCode::from(*number) == code).map_or(1, i32::from)
}

fn await_launcher(go: OwnedFd) -> Result<(), StepError> {
    process::die_with_parent().doing("tying the server to the launcher")?;
    // A terminal's interrupt reaches the launcher alone, which passes it on once.
    rustix::process::setsid().doing("leaving the terminal's session")?;
    let mut ready = [0];
    File::from(go).read_exact(&mut ready).doing("waiting for the launcher")
}

/// Becomes the server's user, in a mount namespace of its own.
fn step_down(data: &Path, seen_at: &Path) -> Result<(), StepError> {
    process::unshare(UnshareFlags::NEWNS).doing("making the server's mount namespace")?;
    mounts::make_follower().doing("separating the server's mounts")?;
    mounts::bind(data, seen_at).doing("showing the data directory")?;
    let flags = MountFlags::BIND | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mounts::remount(seen_at, flags).doing("showing the data directory")?;
    rustix::process::chdir(seen_at).doing("entering the data directory")?;
    process::bound_capabilities(CapabilitySet::empty()).doing("giving up rights")?;
    process::become_user(SERVER_UID, SERVER_UID).doing("becoming the server's user")
}

/// Stays the user who started it.
fn step_aside(seen_at: &Path) -> Result<(), StepError> {
    rustix::process::chdir(seen_at).doing("entering the data directory")
}

fn give_up_the_rest() -> Result<(), StepError> {
    process::limit_softly(Resource::Nofile, None).doing("raising the limit of open files")?;
    // What it holds of others' secrets shall reach no core file and no collector.
    process::limit_within(Resource::Core, FUNCTION_CORE).doing("forbidding core dumps")?;
    process::hold_capabilities(CapabilitySet::empty()).doing("giving up rights")?;
    process::no_new_privileges().doing("giving up rights")?;
    process::die_with_parent().doing("tying the server to the launcher")?;
    process::filter_calls(&seccomp::compile(&seccomp::server())).doing("filtering the server's calls")
}
