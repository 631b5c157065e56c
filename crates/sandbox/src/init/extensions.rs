//! Extensions: what stands in `/opt/extensions`, further processes beside the runtime, and connections to them.
//!
//! They are started as the runtime is, in its groups and under its filter, and write to a pipe of their own, so that
//! the server can tell their lines from the function's.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::pipe::PipeFlags;
use rustix::process::{DumpableBehavior, Pid, Signal, kill_process, kill_process_group};

use super::{Init, Process, Surroundings};
use crate::identity::{FUNCTION_GID, FUNCTION_UID, INSIDE_ADDRESS};
use crate::limits::{EXTENSION_FILES, EXTENSION_FILES_SEEN};
use crate::protocol::{FromInit, Stop, Who};
use crate::sys::{network, process};

/// Where extensions are. Source: Lambda Developer Guide, "Lambda Extensions API".
const DIRECTORY: &str = "/opt/extensions";

/// The extensions of one sandbox.
#[derive(Default)]
pub(super) struct Extensions {
    running: Vec<(u32, Process)>,
    /// Where they write, once any was found.
    output: Option<OwnedFd>,
}

impl Extensions {
    /// Those that run.
    pub(super) fn processes(&mut self) -> impl Iterator<Item = &mut Process> {
        self.running.iter_mut().map(|(_, process)| process)
    }

    /// Takes out the one with this process.
    pub(super) fn take(&mut self, pid: Pid) -> Option<(u32, Process)> {
        let index = self.running.iter().position(|(_, process)| process.pid == pid)?;
        Some(self.running.swap_remove(index))
    }

    /// Forgets all that run: they are being killed.
    pub(super) fn forget(&mut self) {
        self.running.clear();
    }

    fn pid(&self, id: u32) -> Option<Pid> {
        self.running.iter().find(|(other, _)| *other == id).map(|(_, process)| process.pid)
    }
}

impl Init<'_> {
    /// Names the extensions, and makes the pipe to which they write.
    pub(super) fn discover(&mut self) -> io::Result<()> {
        let directory = match &self.around {
            Surroundings::Walls(..) => DIRECTORY.to_owned(),
            Surroundings::Nothing(quarters) => quarters.path(DIRECTORY),
        };
        let names = names(&directory);
        let has_any = !names.is_empty();
        for name in names {
            self.tell(FromInit::Extension { name })?;
        }
        let read = if has_any { Some(self.make_output()?) } else { None };
        self.hand_over(&FromInit::Discovered, read.as_ref().map(AsFd::as_fd))
    }

    fn make_output(&mut self) -> io::Result<OwnedFd> {
        let make = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC);
        let (read, write) = match &self.around {
            // The function's user shall be able to open it by name (`/dev/stdout`).
            Surroundings::Walls(..) => {
                let made = process::making_files_as(FUNCTION_UID, FUNCTION_GID, make);
                // Becoming somebody else made this process as open as fs.suid_dumpable says, and forget its parent.
                rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
                process::end_with_parent()?;
                made?
            }
            Surroundings::Nothing(_) => make()?,
        };
        rustix::fs::fcntl_setfl(&read, OFlags::NONBLOCK)?;
        self.extensions.output = Some(write);
        Ok(read)
    }

    /// Starts one.
    pub(super) fn launch(
        &mut self,
        id: u32,
        argv: &[String],
        env: &[(String, String)],
        cwd: &str,
    ) -> io::Result<()> {
        let started = match (&self.extensions.output, self.extensions.pid(id), &self.around) {
            (None, ..) | (_, Some(_), _) => Err(io::Error::from_raw_os_error(libc::EINVAL)),
            (Some(output), None, Surroundings::Walls(..)) => {
                self.ready.start_writing(output.as_fd(), argv, env, cwd)
            }
            (Some(output), None, Surroundings::Nothing(quarters)) => {
                let (argv, env, cwd) = quarters.command(argv, env, cwd);
                self.ready.start_writing(output.as_fd(), &argv, &env, &cwd)
            }
        };
        let answer = match started {
            Ok(pid) => {
                let kernel_kills = self.kernel_kills();
                self.extensions.running.push((id, Process { pid, kernel_kills, outgrew: false }));
                FromInit::Launched { id }
            }
            Err(error) => FromInit::LaunchFailed { id, errno: error.raw_os_error().unwrap_or(libc::EIO) },
        };
        self.tell(answer)?;
        self.begin_watch();
        Ok(())
    }

    /// Ends a process, with the group that it leads.
    pub(super) fn signal(&self, who: Who, stop: Stop) {
        let pid = match who {
            Who::Runtime => self.runtime.as_ref().map(|runtime| runtime.pid),
            Who::Extension(id) => self.extensions.pid(id),
        };
        // It has not been collected, so the number is still its own.
        let Some(pid) = pid else { return };
        let signal = match stop {
            Stop::Term => Signal::TERM,
            Stop::Kill => Signal::KILL,
        };
        if kill_process_group(pid, signal).is_err() {
            let _ = kill_process(pid, signal);
        }
    }

    /// Hands over a connection to a listener inside.
    pub(super) fn dial(&self, id: u32, port: u16) -> io::Result<()> {
        let address = match &self.around {
            Surroundings::Walls(..) => Ipv4Addr::from(INSIDE_ADDRESS),
            Surroundings::Nothing(_) => Ipv4Addr::LOCALHOST,
        };
        match network::dial(SocketAddrV4::new(address, port)) {
            Ok(socket) => self.hand_over(&FromInit::Dialed { id }, Some(socket.as_fd())),
            Err(_) => self.tell(FromInit::DialFailed { id }),
        }
    }
}

/// Names of the files in a directory, in order. One whose name is no text cannot register.
fn names(directory: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let files = entries.flatten().take(EXTENSION_FILES_SEEN).filter(|entry| {
        // What cannot be looked at is found out when it is started.
        !fs::metadata(entry.path()).is_ok_and(|found| found.is_dir())
    });
    let mut names: Vec<_> = files.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names.truncate(EXTENSION_FILES);
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_in_order_and_directories_are_not() {
        let top = std::env::temp_dir().join(format!("samovar-extensions-{}", std::process::id()));
        fs::create_dir_all(top.join("directory")).unwrap();
        for name in ["b", "a.sh", "not-executable"] {
            fs::write(top.join(name), "").unwrap();
        }
        std::os::unix::fs::symlink("directory", top.join("link-to-directory")).unwrap();
        std::os::unix::fs::symlink("nowhere", top.join("link-to-nothing")).unwrap();
        let found = names(top.to_str().unwrap());
        (0..20).for_each(|number| fs::write(top.join(format!("more-{number}")), "").unwrap());
        let many = names(top.to_str().unwrap()).len();
        fs::remove_dir_all(&top).unwrap();
        assert_eq!(found, ["a.sh", "b", "link-to-nothing", "not-executable"]);
        assert_eq!((many, names("/nowhere/at/all").len()), (EXTENSION_FILES, 0));
    }
}
