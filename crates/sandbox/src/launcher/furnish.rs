//! Mounting in a sandbox that stands already what only its function has.
//!
//! The mounts are made in the launcher's tree, where their sources are, and given their places from within the sandbox's
//! own: nobody but its sealed init has run there, so that every path leads where it led when the walls were raised.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::mount::MountFlags;

use super::stacks::{Stack, Stacks};
use crate::plan::rooms::{RoomStep, seen_inside};
use crate::plan::views::VIEWS;
use crate::sys::{self, Step, StepError, mounts, process};

/// The launcher's own mounts, and the way back to them.
pub(super) struct Home(OwnedFd);

/// Something to do within a sandbox.
enum Change<'a> {
    Place(OwnedFd, PathBuf),
    Resize(&'a str, PathBuf),
}

impl Home {
    /// Nothing where the kernel cannot do that (before Linux 5.12), or where this process may not.
    pub(super) fn open() -> Option<Self> {
        mounts::copy_to_show(Path::new(VIEWS)).ok()?;
        let home = Self(mounts::current().ok()?);
        mounts::go_to(home.0.as_fd()).ok()?;
        Some(home)
    }

    /// Carries out `steps` in the sandbox with these mounts; the stack of layers that it shows then.
    pub(super) fn furnish(
        &self,
        sandbox: BorrowedFd<'_>,
        steps: &[RoomStep],
        stacks: &mut Stacks,
    ) -> Result<Option<Stack>, StepError> {
        let mut stack = None;
        let mut changes = Vec::with_capacity(steps.len());
        for step in steps {
            changes.push(match step {
                RoomStep::Show { source, at } => {
                    let place = || format!("mounting {} at {}", source.display(), at.display());
                    Change::Place(mounts::copy_to_show(source).step(place)?, seen_inside(at))
                }
                RoomStep::Cover { source, at } => {
                    let place = || format!("covering {}", at.display());
                    Change::Place(mounts::copy(source).step(place)?, seen_inside(at))
                }
                RoomStep::Stack { lower, at } => {
                    let shown = stack.insert(stacks.stack(lower)?);
                    Change::Place(mounts::copy(shown.at()).doing("showing the layers")?, seen_inside(at))
                }
                RoomStep::Resize { at, options } => Change::Resize(options, seen_inside(at)),
                // What everybody has was mounted ahead.
                RoomStep::Memory { .. } | RoomStep::Processes { .. } => continue,
            });
        }
        self.within(sandbox, || changes.iter().try_for_each(Change::make))?;
        Ok(stack)
    }

    /// Does `work` within a sandbox's mounts.
    fn within<T>(
        &self,
        sandbox: BorrowedFd<'_>,
        work: impl FnOnce() -> Result<T, StepError>,
    ) -> Result<T, StepError> {
        mounts::go_to(sandbox).doing("entering the sandbox's mounts")?;
        let done = work();
        if let Err(error) = mounts::go_to(self.0.as_fd()) {
            // A launcher that stays there would build everything that follows of a function's files.
            sys::say(format_args!("the launcher cannot come back from a sandbox: {error}"));
            process::exit(1);
        }
        done
    }
}

impl Change<'_> {
    fn make(&self) -> Result<(), StepError> {
        match self {
            Self::Place(mount, at) => {
                mounts::place(mount.as_fd(), at).step(|| format!("mounting {}", at.display()))
            }
            Self::Resize(options, at) => {
                let safe = MountFlags::NOSUID | MountFlags::NODEV;
                mounts::set_options(at, safe, options).step(|| format!("sizing {}", at.display()))
            }
        }
    }
}
