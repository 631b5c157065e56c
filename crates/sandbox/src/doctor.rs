//! What this host gives, wall by wall: looked at here, judged in [`rules`].

pub mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use rustix::process::{Resource, getrlimit};

use crate::interpreters::Interpreter;
use crate::interpreters::rules::waiting::zygote_command;
use crate::launcher::{NEEDED, ZYGOTES_NEED};
use crate::plan::groups::{Version, hierarchies};
use rules::{Disk, Facts};

/// Where the tool for packet filters may be.
const NFT: [&str; 3] = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"];

/// Looks at the host. Needs no rights; what they would show is among [`Facts::unreadable`].
pub fn probe(data_dir: &Path, interpreters: &[Interpreter]) -> Facts {
    let held = rustix::thread::capabilities(None).map(|sets| sets.effective);
    let held = held.unwrap_or(rustix::thread::CapabilitySet::empty());
    let mut facts = Facts {
        uid: rustix::process::geteuid().as_raw(),
        lacking: NEEDED.iter().filter(|(needed, _)| !held.contains(*needed)).map(|(_, name)| *name).collect(),
        release: rustix::system::uname().release().to_string_lossy().into_owned(),
        landlock: crate::sys::process::landlock_version().ok(),
        open_files: getrlimit(Resource::Nofile).maximum,
        nft: NFT.into_iter().find(|path| Path::new(path).exists()).map(str::to_owned),
        veth: has_veth(),
        disk: disk(data_dir),
        interpreters: interpreters
            .iter()
            .map(|found| format!("{} {}", found.family, found.version_text()))
            .collect(),
        zygotes: interpreters
            .iter()
            .filter(|found| zygote_command(found).is_some())
            .map(|found| found.id.clone())
            .collect(),
        zygotes_lack: ZYGOTES_NEED
            .iter()
            .filter(|(needed, _)| !held.contains(*needed))
            .map(|(_, name)| *name)
            .collect(),
        texts: BTreeMap::new(),
        there: BTreeSet::new(),
        unreadable: Vec::new(),
    };
    rules::TEXTS.iter().for_each(|path| facts.read(path));
    rules::PLACES.iter().for_each(|path| facts.look_for(path));
    let found = hierarchies(facts.text("/proc/self/mountinfo"), facts.text("/proc/self/cgroup"));
    for hierarchy in found {
        let at = |file: &str| hierarchy.mounted.join(file).display().to_string();
        match hierarchy.version {
            Version::V1 => rules::MEMORY_FILES_V1.iter().for_each(|file| facts.look_for(&at(file))),
            Version::V2 => facts.read(&at("cgroup.controllers")),
        }
    }
    facts
}

impl Facts {
    fn read(&mut self, path: &str) {
        match fs::read_to_string(path) {
            Ok(text) => drop(self.texts.insert(path.to_owned(), text)),
            Err(error) => self.note(path, &error),
        }
    }

    fn look_for(&mut self, path: &str) {
        match fs::metadata(path) {
            Ok(_) => drop(self.there.insert(path.to_owned())),
            Err(error) => self.note(path, &error),
        }
    }

    fn note(&mut self, path: &str, error: &io::Error) {
        if error.kind() == io::ErrorKind::PermissionDenied {
            self.unreadable.push(path.to_owned());
        }
    }
}

/// Whether the kernel has virtual Ethernet links; those that are built in show by their symbols alone.
fn has_veth() -> bool {
    let symbols = || fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    Path::new("/sys/module/veth").exists() || symbols().contains(" veth_newlink")
}

/// The file system that holds, or will hold, the data directory.
fn disk(data_dir: &Path) -> Option<Disk> {
    let there = data_dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let figures = rustix::fs::statvfs(there).ok()?;
    Some(Disk { at: data_dir.display().to_string(), free: figures.f_bavail * figures.f_frsize })
}

#[cfg(test)]
mod tests {
    use super::rules::{State, verdicts};
    use super::*;
    use crate::setup::Isolation;

    #[test]
    fn every_wall_of_this_host_is_judged_and_what_does_not_hold_has_advice() {
        let facts = probe(Path::new("/nonexistent/data"), &[]);
        assert!(facts.disk.is_some());
        for isolation in [Isolation::Full, Isolation::None] {
            let findings = verdicts(&facts, isolation);
            assert!(findings.len() >= 10);
            for finding in findings {
                assert_eq!(finding.state == State::Ok, finding.advice.is_empty(), "{finding:?}");
                assert!(!finding.detail.is_empty(), "{finding:?}");
            }
        }
    }
}
