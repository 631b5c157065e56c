//! Starting the runtime: from a fork of the init to the function's user executing its program.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::fs::{Mode, OFlags};
use rustix::pipe::PipeFlags;
use rustix::process::{DumpableBehavior, Pid, Resource};
use rustix::thread::{CapabilitySet, UnshareFlags};

use crate::identity::{FUNCTION_GID, FUNCTION_UID, TELEMETRY_FD};
use crate::interpreters::rules::waiting::HANDOVER_FD;
use crate::limits::{FUNCTION_CORE, FUNCTION_LOCKED, FUNCTION_STACK, FUNCTION_TASKS};
use crate::seccomp::Program;
use crate::sys::process::{self, Executable};
use crate::sys::{Step, StepError, landlock, signals};

/// Everything a runtime needs that was prepared before.
pub(super) struct Ready<'a> {
    null: OwnedFd,
    log: OwnedFd,
    /// Where a process joins the function's groups; none when there are no walls.
    joins: Option<Vec<OwnedFd>>,
    filter: &'a Program,
    /// What may be done with files, where the kernel has Landlock.
    files: Option<OwnedFd>,
}

impl<'a> Ready<'a> {
    /// Call inside the sandbox's root.
    pub(super) fn new(
        log: OwnedFd,
        joins: Option<Vec<OwnedFd>>,
        filter: &'a Program,
    ) -> Result<Self, StepError> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let null = rustix::fs::open("/dev/null", flags, Mode::empty()).doing("opening the null device")?;
        // What the init itself says, as it dies of a bug, must not reach the function's log or the host's terminal.
        for standard in 0..3 {
            process::place_fd(null.as_fd(), standard).doing("leaving the terminal")?;
        }
        let files = landlock::prepare().doing("making the rules about files")?;
        Ok(Self { null, log, joins, filter, files })
    }

    /// Starts the runtime's program and waits until it runs: until `execve` has succeeded.
    pub(super) fn start(&self, argv: &[String], env: &[(String, String)], cwd: &str) -> io::Result<Pid> {
        self.execute(&Executable::new(argv, env)?, cwd, self.log.as_fd(), None)
    }

    /// The same for a program that writes to another log.
    pub(super) fn start_writing(
        &self,
        log: BorrowedFd<'_>,
        argv: &[String],
        env: &[(String, String)],
        cwd: &str,
    ) -> io::Result<Pid> {
        self.execute(&Executable::new(argv, env)?, cwd, log, None)
    }

    /// Starts a program that waits to hear of its function, and gives it one descriptor more to hear it on.
    pub(super) fn start_waiting(
        &self,
        argv: &[String],
        env: &[(String, String)],
        handover: BorrowedFd<'_>,
    ) -> io::Result<Pid> {
        let handover = out_of_the_way(handover)?;
        self.execute(&Executable::new(argv, env)?, "/", self.log.as_fd(), Some(handover.as_fd()))
    }

    fn execute(
        &self,
        program: &Executable,
        cwd: &str,
        log: BorrowedFd<'_>,
        handover: Option<BorrowedFd<'_>>,
    ) -> io::Result<Pid> {
        let (report, reporter) = report_pipe()?;
        let pid = process::spawn_sharing(|| {
            let kept = Kept { log, reporter: reporter.as_fd(), handover };
            let error = match self.become_function(kept, cwd) {
                Ok(()) => program.execute(),
                Err(error) => error,
            };
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            let _ = rustix::io::write(&reporter, &errno.to_ne_bytes());
            1
        })?;
        // A child that becomes somebody else makes the memory it shares as open as fs.suid_dumpable says.
        if self.joins.is_some() {
            rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        }
        drop(reporter);
        let mut errno = [0; 4];
        match File::from(report).read_exact(&mut errno) {
            // The pipe closed as the program took over.
            Err(_) => Ok(pid),
            Ok(()) => Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno))),
        }
    }

    /// Turns the forked child into the function's process, with all but its program.
    ///
    /// `zygote/fork.c` does the same for a runtime that a zygote bears; what changes here changes there.
    fn become_function(&self, kept: Kept<'_>, cwd: &str) -> io::Result<()> {
        let Some(joins) = &self.joins else { return self.become_plain(kept, cwd) };
        for join in joins {
            rustix::io::write(join, b"0")?;
        }
        process::unshare(UnshareFlags::NEWCGROUP)?;
        rustix::process::setsid()?;
        process::no_new_privileges()?;
        // Before the descriptors are closed, the rules' among them.
        self.files.as_ref().map_or(Ok(()), |files| landlock::obey(files.as_fd()))?;
        self.place_descriptors(kept)?;
        set_limits()?;
        process::bound_capabilities(CapabilitySet::empty())?;
        process::become_user(FUNCTION_UID, FUNCTION_GID)?;
        process::hold_capabilities(CapabilitySet::empty())?;
        rustix::process::chdir(cwd)?;
        signals::reset_all();
        process::filter_calls(self.filter)
    }

    /// The same without walls: what a process may do to itself without any right.
    fn become_plain(&self, kept: Kept<'_>, cwd: &str) -> io::Result<()> {
        process::die_with_parent()?;
        rustix::process::setsid()?;
        self.place_descriptors(kept)?;
        set_plain_limits()?;
        process::hold_capabilities(CapabilitySet::empty())?;
        process::no_new_privileges()?;
        rustix::process::chdir(cwd)?;
        signals::reset_all();
        process::filter_calls(self.filter)
    }

    /// Input from nowhere; output, errors and telemetry frames into the log; nothing else but what is `kept`.
    fn place_descriptors(&self, Kept { log, reporter, handover }: Kept<'_>) -> io::Result<()> {
        process::place_fd(self.null.as_fd(), 0)?;
        for target in [1, 2, TELEMETRY_FD] {
            process::place_fd(log, target)?;
        }
        // Last, for what it takes the place of is in use until then.
        handover.map_or(Ok(()), |handover| process::place_fd(handover, HANDOVER_FD))?;
        let kept = reporter.as_raw_fd();
        process::close_range(HANDOVER_FD + RawFd::from(handover.is_some()), TELEMETRY_FD - 1)?;
        process::close_range(TELEMETRY_FD + 1, kept - 1)?;
        process::close_range(kept + 1, i32::MAX)
    }
}

/// Descriptors of one program.
#[derive(Clone, Copy)]
struct Kept<'a> {
    /// Takes what it writes.
    log: BorrowedFd<'a>,
    /// Closes as the program takes over.
    reporter: BorrowedFd<'a>,
    /// Goes to a program that waits.
    handover: Option<BorrowedFd<'a>>,
}

/// A pipe whose write end lies above every descriptor that the program gets.
fn report_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (report, reporter) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    Ok((report, out_of_the_way(reporter.as_fd())?))
}

/// A copy above every descriptor that the program gets: what has the number of one of those would be lost as that takes
/// its place.
fn out_of_the_way(descriptor: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(descriptor, TELEMETRY_FD + 1)?)
}

/// The limits that were recorded inside a function, but for core files: hosts collect them, and they hold secrets. A
/// single byte is too small for a file, and means to the kernel that a program which collects them is not started
/// either; nothing at all would not keep it. The filter keeps a function from changing it.
fn set_limits() -> io::Result<()> {
    process::limit(Resource::Nofile, base::limits::FUNCTION_FILES)?;
    process::limit(Resource::Nproc, FUNCTION_TASKS)?;
    process::limit(Resource::Memlock, FUNCTION_LOCKED)?;
    process::limit_within(Resource::Core, FUNCTION_CORE)?;
    process::limit_softly(Resource::Stack, Some(FUNCTION_STACK))
}

/// Those of them that say nothing about the user's other processes, as far as the hard limits allow.
fn set_plain_limits() -> io::Result<()> {
    process::limit_within(Resource::Nofile, base::limits::FUNCTION_FILES)?;
    process::limit_within(Resource::Memlock, FUNCTION_LOCKED)?;
    process::limit_within(Resource::Core, FUNCTION_CORE)?;
    process::limit_softly(Resource::Stack, Some(FUNCTION_STACK))
}

#[cfg(test)]
mod tests {
    use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_getfd};

    use super::*;

    #[test]
    fn a_descriptor_that_has_its_number_already_survives_the_program_s_start() {
        let (_read, log) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
        let log = fcntl_dupfd_cloexec(log, TELEMETRY_FD).expect("a copy");
        assert_eq!(fcntl_getfd(&log), Ok(FdFlags::CLOEXEC));
        process::place_fd(log.as_fd(), log.as_raw_fd()).expect("it stays");
        assert_eq!(fcntl_getfd(&log), Ok(FdFlags::empty()));
    }

    #[test]
    fn what_must_last_until_all_is_placed_has_no_number_that_the_program_gets() {
        let (socket, _other) = crate::sys::packets::pair().expect("a pair");
        let copy = out_of_the_way(socket.as_fd()).expect("a copy");
        assert!(copy.as_raw_fd() > TELEMETRY_FD);
        assert_eq!(fcntl_getfd(&copy), Ok(FdFlags::CLOEXEC));
    }
}
