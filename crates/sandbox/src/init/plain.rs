//! An environment without walls: a directory of its own, listeners on loopback, and an init that outlives nobody.
//!
//! In place of a process namespace the init adopts whoever loses their parent below it, so all that the function
//! started stays its descendant however often it forks.

use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::thread::sleep;

use rustix::process::{Signal, WaitOptions, wait};
use rustix::thread::CapabilitySet;

use super::walls::await_map;
use crate::limits::{PLAIN_KILL_PAUSE, PLAIN_KILL_ROUNDS};
use crate::plan::plain::{Addresses, Places};
use crate::sys::{Step, StepError, family, process};

/// Where an environment without walls is, and where it is heard.
pub(super) struct Quarters {
    places: Places,
    heard: Addresses,
}

impl Quarters {
    /// Makes the environment's directory, and lets go of all but `kept`.
    pub(super) fn move_in(
        places: Places,
        heard: Addresses,
        kept: &[BorrowedFd<'_>],
        launcher: BorrowedFd<'_>,
    ) -> Result<Self, StepError> {
        process::close_all_but(kept).doing("closing descriptors")?;
        process::end_with_parent().doing("tying the environment to the launcher")?;
        process::adopt_orphans().doing("adopting the function's processes")?;
        rustix::thread::set_name(c"samovar-init").doing("naming the init")?;
        make_room(&places)?;
        await_map(launcher, None)?;
        process::hold_capabilities(CapabilitySet::empty()).doing("giving up rights")?;
        process::no_new_privileges().doing("giving up rights")?;
        Ok(Self { places, heard })
    }

    /// The real path of one that is seen inside.
    pub(super) fn path(&self, inside: &str) -> String {
        self.places.path(inside)
    }

    /// What to start for a program that is named as it would be seen inside.
    pub(super) fn command(
        &self,
        argv: &[String],
        env: &[(String, String)],
        cwd: &str,
    ) -> (Vec<String>, Vec<(String, String)>, String) {
        let argv = argv.iter().map(|argument| self.places.path(argument)).collect();
        (argv, self.places.variables(env, self.heard), self.places.path(cwd))
    }
}

/// Kills all descendants and collects them; gives up on those that the kernel does not let die.
pub(super) fn kill_descendants() {
    let init = rustix::process::getpid();
    for _ in 0..PLAIN_KILL_ROUNDS {
        for pid in family::descendants(init) {
            // Its number can go to another only once its parent has collected it; that is this process or one of
            // those that die here.
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
        sleep(PLAIN_KILL_PAUSE);
    }
}

fn make_room(places: &Places) -> Result<(), StepError> {
    let make = |path: &Path| fs::DirBuilder::new().mode(0o700).create(path);
    for directory in std::iter::once(&places.task).chain(&places.layers) {
        fs::read_dir(directory).step(|| format!("looking into {}", directory.display()))?;
    }
    make(&places.room).doing("making the environment's directory")?;
    make(&places.tmp).doing("making the environment's directory")?;
    match places.layers.as_slice() {
        [] => make(&places.opt).doing("making the environment's directory"),
        [layer] => std::os::unix::fs::symlink(layer, &places.opt).doing("showing the layer"),
        layers => {
            make(&places.opt).doing("making the environment's directory")?;
            layers.iter().try_for_each(|layer| merge(layer, &places.opt)).doing("merging the layers")
        }
    }
}

/// Lays one directory over another by further names for its files; what it has wins.
fn merge(upper: &Path, lower: &Path) -> io::Result<()> {
    for entry in fs::read_dir(upper)? {
        let entry = entry?;
        let (from, to) = (entry.path(), lower.join(entry.file_name()));
        let there = fs::symlink_metadata(&to).map(|found| found.is_dir()).ok();
        match (entry.file_type()?.is_dir(), there) {
            (true, Some(true)) => merge(&from, &to)?,
            (is_directory, found) => {
                match found {
                    Some(true) => fs::remove_dir_all(&to)?,
                    Some(false) => fs::remove_file(&to)?,
                    None => {}
                }
                if is_directory {
                    fs::create_dir(&to)?;
                    merge(&from, &to)?;
                } else {
                    fs::hard_link(&from, &to)?;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_layer_covers_an_earlier_one() {
        let top = std::env::temp_dir().join(format!("samovar-merge-{}", std::process::id()));
        let file = |path: &str, text: &str| {
            let path = top.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for (path, text) in [
            ("a/both", "a"),
            ("a/only-a", "a"),
            ("a/deep/er/x", "a"),
            ("a/file-then-directory", "a"),
            ("a/directory-then-file/x", "a"),
            ("b/both", "b"),
            ("b/deep/er/y", "b"),
            ("b/file-then-directory/x", "b"),
            ("b/directory-then-file", "b"),
        ] {
            file(path, text);
        }
        std::os::unix::fs::symlink("both", top.join("b/link")).unwrap();
        let opt = top.join("opt");
        fs::create_dir(&opt).unwrap();
        for layer in ["a", "b"] {
            merge(&top.join(layer), &opt).unwrap();
        }
        let shown = |path: &str| fs::read_to_string(opt.join(path)).unwrap();
        let found = [
            "both",
            "only-a",
            "deep/er/x",
            "deep/er/y",
            "file-then-directory/x",
            "directory-then-file",
            "link",
        ]
        .map(shown)
        .concat();
        fs::remove_dir_all(&top).unwrap();
        assert_eq!(found, "baabbbb");
    }
}
