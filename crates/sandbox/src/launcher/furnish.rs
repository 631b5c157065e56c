//! What all sandboxes with one interpreter show, mounted once, and what only one function has.
//!
//! The mounts are made in the launcher's tree, where their sources are, and given their places from within the sandbox's
//! own: nobody but its sealed init has run there, so that every path leads where it led when the walls were raised.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::thread::UnshareFlags;

use super::stacks::{Stack, Stacks};
use crate::init::{self, Change};
use crate::plan::rooms::{self, PlacedMount, ROOT, RoomStep, seen_inside};
use crate::plan::views::VIEWS;
use crate::sys::{self, Step, StepError, mounts, process};

/// The launcher's own mounts, and the way back to them.
pub(super) struct Home {
    mounts: OwnedFd,
    /// By the interpreters' ids; see [`Self::shell`].
    shells: HashMap<Option<String>, OwnedFd>,
}

impl Home {
    /// Nothing where the kernel cannot do that (before Linux 5.12), or where this process may not.
    pub(super) fn open() -> Option<Self> {
        mounts::copy_to_show(Path::new(VIEWS)).ok()?;
        let home = Self { mounts: mounts::current().ok()?, shells: HashMap::new() };
        mounts::go_to(home.mounts.as_fd()).ok()?;
        Some(home)
    }

    /// A mount namespace with what sandboxes with this interpreter have in common. Their inits copy it: none has to
    /// leave the launcher's tree, for which the kernel looks at every process there is and waits for a grace period.
    pub(super) fn shell(
        &mut self,
        interpreter: Option<&str>,
        mounts: &[PlacedMount],
    ) -> Result<OwnedFd, StepError> {
        let id = interpreter.map(str::to_owned);
        let shell = match self.shells.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacancy) => {
                process::unshare(UnshareFlags::NEWNS).doing("making what sandboxes show")?;
                let made = mounts::current().doing("making what sandboxes show").and_then(|made| {
                    rooms::shell(mounts).iter().try_for_each(init::mount)?;
                    mounts::enter(Path::new(ROOT)).doing("entering what sandboxes show")?;
                    Ok(made)
                });
                go_home(self.mounts.as_fd());
                vacancy.insert(made?)
            }
        };
        shell.try_clone().doing("sharing what sandboxes show")
    }

    /// Carries out `steps` in the sandbox with these mounts; the stack of layers that it shows then.
    pub(super) fn furnish(
        &self,
        sandbox: BorrowedFd<'_>,
        steps: &[RoomStep],
        stacks: &mut Stacks,
    ) -> Result<Option<Stack>, StepError> {
        let (changes, stack) = changes(steps, stacks)?;
        mounts::go_to(sandbox).doing("entering the sandbox's mounts")?;
        let done = changes.iter().try_for_each(Change::make);
        go_home(self.mounts.as_fd());
        done.map(|()| stack)
    }
}

/// What `steps` come to within a sandbox, and the stack of layers that it shows then.
pub(super) fn changes(
    steps: &[RoomStep],
    stacks: &mut Stacks,
) -> Result<(Vec<Change>, Option<Stack>), StepError> {
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
            RoomStep::Resize { at, options } => Change::Resize(options.clone(), seen_inside(at)),
            // What everybody has was mounted ahead.
            RoomStep::Memory { .. } | RoomStep::Processes { .. } => continue,
        });
    }
    Ok((changes, stack))
}

/// Comes back to the launcher's own mounts.
fn go_home(home: BorrowedFd<'_>) {
    if let Err(error) = mounts::go_to(home) {
        // A launcher that stays there would build everything that follows of a function's files.
        sys::say(format_args!("the launcher cannot come back from a sandbox: {error}"));
        process::exit(1);
    }
}
