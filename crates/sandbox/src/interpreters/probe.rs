//! Runs an interpreter for a moment, with a limit on time and on what it may say.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Longest silence of an interpreter that is asked for its version. Ours: they answer in 2 to 40 ms.
const VERSION_TIME: Duration = Duration::from_millis(500);

/// What a version answer may be long, in bytes. Ours.
const VERSION_BYTES: usize = 256;

/// The version that an executable names when it is run with `--version`.
pub fn version_of(executable: &Path) -> Option<(u32, u32, u32)> {
    let said = start(executable, &["--version"], b"")?.output(VERSION_TIME, VERSION_BYTES)?;
    version_in(&String::from_utf8_lossy(&said))
}

/// The first `1.2.3` or `1.2` in a text; a missing patch level is 0.
pub fn version_in(text: &str) -> Option<(u32, u32, u32)> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.').find_map(|word| {
        let mut numbers = word.split('.').map(str::parse::<u32>);
        let major = numbers.next()?.ok()?;
        let minor = numbers.next()?.ok()?;
        let patch = numbers.next().and_then(Result::ok).unwrap_or(0);
        Some((major, minor, patch))
    })
}

/// An interpreter at work.
#[derive(Debug)]
pub struct Probe {
    child: Child,
    output: OwnedFd,
}

/// Starts an executable with a clean environment, as the owner of its file; `None` when it does not start.
///
/// `input` must fit into a pipe (64 KiB).
pub fn start(executable: &Path, arguments: &[&str], input: &[u8]) -> Option<Probe> {
    let owner = std::fs::metadata(executable).ok()?;
    let mut command = Command::new(executable);
    command.args(arguments).env_clear().current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    if rustix::process::geteuid().is_root() && owner.uid() != 0 {
        // Root must not run what another user can rewrite.
        command.uid(owner.uid()).gid(owner.gid());
    }
    let mut child = command.spawn().ok()?;
    let output = OwnedFd::from(child.stdout.take()?);
    // Whoever does not read its input ends it early; its output then tells nothing.
    let _ = child.stdin.take()?.write_all(input);
    Some(Probe { child, output })
}

impl Probe {
    /// All it writes, up to `limit` bytes; `None` when it is silent for longer than `patience`.
    pub fn output(mut self, patience: Duration, limit: usize) -> Option<Vec<u8>> {
        let patience = Timespec::try_from(patience).ok()?;
        let mut output = File::from(self.output.try_clone().ok()?);
        let mut said = Vec::new();
        let mut part = [0; 16 * 1024];
        let complete = loop {
            let mut waiting = [PollFd::from_borrowed_fd(self.output.as_fd(), PollFlags::IN)];
            if !matches!(poll(&mut waiting, Some(&patience)), Ok(1..)) {
                break false;
            }
            match output.read(&mut part) {
                Ok(0) => break true,
                Ok(size) if said.len() + size <= limit => said.extend_from_slice(&part[..size]),
                Ok(_) | Err(_) => break false,
            }
        };
        // Nothing is wanted from it any more; the kill of one that has ended does nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
        complete.then_some(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_interpreters_say() {
        for (text, expected) in [
            ("Python 3.11.2\n", Some((3, 11, 2))),
            ("v20.20.2\n", Some((20, 20, 2))),
            ("ruby 3.1.2p20 (2022-04-12 revision 4491bb740a) [x86_64-linux-gnu]", Some((3, 1, 2))),
            ("Python 3.14.0rc2", Some((3, 14, 0))),
            ("cpython-3.12.4-linux-x86_64-gnu", Some((3, 12, 4))),
            ("not a version", None),
        ] {
            assert_eq!(version_in(text), expected, "{text}");
        }
    }

    #[test]
    fn a_silent_or_talkative_program_is_given_up() {
        let sleep = start(Path::new("/bin/sleep"), &["5"], b"").expect("sleep starts");
        assert_eq!(sleep.output(Duration::from_millis(20), 10), None);
        let yes = start(Path::new("/usr/bin/yes"), &[], b"").expect("yes starts");
        assert_eq!(yes.output(Duration::from_secs(5), 10), None);
        assert_eq!(version_of(Path::new("/nonexistent")), None);
    }

    #[test]
    fn the_environment_is_clean() {
        let env = start(Path::new("/usr/bin/env"), &[], b"").expect("env starts");
        assert_eq!(env.output(Duration::from_secs(5), 1000), Some(vec![]));
    }
}
