//! Layers laid over each other, once for all sandboxes that show the same.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use base::clock::Timestamp;
use rustix::mount::MountFlags;

use crate::limits::{STACK_GRACE, STACKS_MOST};
use crate::plan::rooms::{CODE, STACKS};
use crate::sys::{Step, StepError, mounts};

/// Every stack in the launcher's tree, by the directories that lie in it.
#[derive(Default)]
pub(super) struct Stacks {
    known: HashMap<String, Known>,
    made: u64,
}

struct Known {
    stack: Stack,
    /// Since when no sandbox shows it.
    idle: Option<Timestamp>,
}

/// A stack; gone when nobody has it any more. Who shows it has a mount of their own, which goes with them.
#[derive(Clone)]
pub(super) struct Stack(Rc<Mounted>);

struct Mounted(PathBuf);

impl Stack {
    /// Where it is, in the launcher's tree.
    pub(super) fn at(&self) -> &Path {
        &self.0.0
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = mounts::take_away(&self.0);
        let _ = fs::remove_dir(&self.0);
    }
}

impl Stacks {
    /// The stack of these directories, from top to bottom.
    pub(super) fn stack(&mut self, lower: &str) -> Result<Stack, StepError> {
        if let Some(known) = self.known.get_mut(lower) {
            known.idle = None;
            return Ok(known.stack.clone());
        }
        self.made += 1;
        let at = Path::new(STACKS).join(self.made.to_string());
        fs::create_dir(&at).doing("making room for the layers")?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::RDONLY;
        let mounted = mounts::mount(c"overlay", &at, flags, &format!("lowerdir={lower}"));
        let stack = Stack(Rc::new(Mounted(at)));
        mounted.doing("stacking the layers")?;
        // Each is copied with the launcher's tree when a zygote or a shell is made, so there are not many.
        if self.known.len() < STACKS_MOST {
            self.known.insert(lower.to_owned(), Known { stack: stack.clone(), idle: None });
        }
        Ok(stack)
    }

    /// Lets go of those that no sandbox has shown for a while.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.known.retain(|_, known| {
            if Rc::strong_count(&known.stack.0) > 1 {
                known.idle = None;
                return true;
            }
            let since = *known.idle.get_or_insert(now);
            now.since(since) < STACK_GRACE
        });
    }

    /// Lets go of those in which a directory lies that is about to be removed.
    pub(super) fn forget(&mut self, code: &str) {
        let path = format!("{CODE}/{code}");
        self.known.retain(|lower, _| !lower.split(':').any(|directory| directory == path));
    }

    /// Whether there are any that may go after a while.
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}
