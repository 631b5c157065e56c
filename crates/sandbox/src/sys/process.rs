//! Processes: forking, becoming somebody else, executing.

use std::ffi::CString;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::panic::AssertUnwindSafe;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Gid, Pid, Resource, Rlimit, Signal, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets, CpuSet, UnshareFlags};

use super::checked;
use crate::seccomp::Program;

/// Exit status of a child whose body panicked.
const PANICKED: i32 = 101;

/// Stack of a child that shares its parent's memory, in words of 16 bytes: 256 KB, of which it touches a few pages.
const STACK_WORDS: usize = 16 * 1024;

/// The nice value of a process that is to be served before others.
const FIRST_NICE: i32 = -20;

/// The network namespace of a process that is a child of this one.
pub(crate) fn network_of(child: Pid) -> io::Result<OwnedFd> {
    let path = format!("/proc/{}/ns/net", child.as_raw_nonzero());
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Forks a child that runs `body` and exits with its result, in the namespaces that `flags` ask for. What `body`
/// owns becomes the child's alone: the parent drops its copy.
///
/// The process must have a single thread: the child goes on with a copy of its memory, locks included.
pub(crate) fn spawn(flags: u64, body: impl FnOnce() -> i32) -> io::Result<Pid> {
    // SAFETY: an all-zero `clone_args` asks for nothing.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = flags;
    arguments.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: without CLONE_VM the child has its own memory and stack; the caller has a single thread, so that no
    // lock is held by a thread that the child lacks.
    let forked = checked(unsafe {
        libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<libc::clone_args>())
    });
    let result = match forked {
        // Containers hide the newer call, whose flags their filters cannot see.
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {
            let flags = flags | libc::SIGCHLD as u64;
            // SAFETY: as above; no stack of its own means the parent's, copied.
            checked(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })?
        }
        forked => forked?,
    };
    if result == 0 {
        let code = std::panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or(PANICKED);
        exit(code);
    }
    Pid::from_raw(result as i32).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// Starts a child that runs `body` in this process's own memory, and waits until it executes a program or ends.
///
/// Copying the memory, and the faults of both sides on the copies, would take longer than all that `body` does. What
/// the child changes of itself is its own: users, rights, groups, descriptors, directory, signals. `body` shall own
/// nothing, for what it drops is dropped among the child's descriptors, and what it has not dropped when it executes a
/// program stays allocated here.
///
/// The process must have a single thread.
pub(crate) fn spawn_sharing<F: FnOnce() -> i32>(body: F) -> io::Result<Pid> {
    extern "C" fn run<F: FnOnce() -> i32>(body: *mut libc::c_void) -> i32 {
        // SAFETY: the parent passed this and waits.
        let body = unsafe { (*body.cast::<Option<F>>()).take() };
        body.and_then(|body| std::panic::catch_unwind(AssertUnwindSafe(body)).ok()).unwrap_or(PANICKED)
    }
    let mut stack = Vec::with_capacity(STACK_WORDS);
    let mut body = Some(body);
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: this process, its only thread, goes on when the child has let go of its memory, so that stack and body
    // outlive their use and nothing is used by both at once.
    let child = unsafe { libc::clone(run::<F>, top(&mut stack), flags, (&raw mut body).cast()) };
    Pid::from_raw(checked(child.into())? as i32).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// A child that writes to a file of the kernel which lets the writer wait.
///
/// It works in this process's own memory: a copy would cost more than the write. What it works with stays allocated
/// when the value is dropped before [`Self::ended`].
pub(crate) struct Clerk {
    pid: Pid,
    desk: ManuallyDrop<Box<Desk>>,
}

struct Desk {
    stack: Vec<u128>,
    file: OwnedFd,
    text: String,
}

impl Clerk {
    /// Has `text` written; the child exits with 0 when that worked.
    pub(crate) fn write(file: OwnedFd, text: String) -> io::Result<Self> {
        extern "C" fn run(desk: *mut libc::c_void) -> i32 {
            // SAFETY: the desk lives until the child was waited for, and nobody changes it. Nothing here allocates,
            // nor uses anything else that the parent may be using.
            let Desk { file, text, .. } = unsafe { &*desk.cast::<Desk>() };
            i32::from(rustix::io::write(file, text.as_bytes()).is_err())
        }
        let mut desk = Box::new(Desk { stack: Vec::with_capacity(STACK_WORDS), file, text });
        let top = top(&mut desk.stack);
        let flags = libc::CLONE_VM | libc::SIGCHLD;
        // SAFETY: the desk, with the stack, is freed by `ended` alone.
        let child = unsafe { libc::clone(run, top, flags, (&raw mut *desk).cast()) };
        let pid = Pid::from_raw(checked(child.into())? as i32).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { pid, desk: ManuallyDrop::new(desk) })
    }

    /// Its number.
    pub(crate) const fn pid(&self) -> Pid {
        self.pid
    }

    /// Clears up after it; call when it was waited for.
    pub(crate) fn ended(self) {
        drop(ManuallyDrop::into_inner(self.desk));
    }
}

/// Where a stack that grows downwards begins.
fn top(stack: &mut Vec<u128>) -> *mut libc::c_void {
    stack.spare_capacity_mut().as_mut_ptr_range().end.cast()
}

/// Ends the process at once: no destructors, no buffers written.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: always sound.
    unsafe { libc::_exit(code) }
}

/// Closes all descriptors but `keep` and those below 3.
pub(crate) fn close_all_but(keep: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut keep: Vec<RawFd> = keep.iter().map(AsRawFd::as_raw_fd).collect();
    keep.sort_unstable();
    let mut first = 3;
    for fd in keep {
        close_range(first, fd - 1)?;
        first = first.max(fd + 1);
    }
    close_range(first, RawFd::MAX)
}

/// Closes a descriptor that a fork copied and nobody here will use.
pub(crate) fn close(fd: RawFd) {
    // Closing one open descriptor fails only after it was closed.
    let _ = close_range(fd, fd);
}

/// Closes a range of descriptors, ends included.
pub(crate) fn close_range(first: RawFd, last: RawFd) -> io::Result<()> {
    if first > last {
        return Ok(());
    }
    // SAFETY: the callers are forked children that own every descriptor of their table, and drop no owner of a
    // closed one: they end by `exit` or `execve`.
    checked(unsafe { libc::syscall(libc::SYS_close_range, first as u32, last as u32, 0) }).map(drop)
}

/// Makes `target` a copy of `source` that survives `execve`.
pub(crate) fn place_fd(source: BorrowedFd<'_>, target: RawFd) -> io::Result<()> {
    let source = source.as_raw_fd();
    if source == target {
        // A copy onto itself would leave it as it is.
        // SAFETY: takes numbers.
        return checked(unsafe { libc::fcntl(target, libc::F_SETFD, 0) }.into()).map(drop);
    }
    // SAFETY: called in a forked child just before `execve`; whoever owned `target` never runs again.
    checked(unsafe { libc::dup2(source, target) }.into()).map(drop)
}

/// Sends SIGKILL to every process that this one may signal, but not to itself: as pid 1, to all in its namespace.
pub(crate) fn kill_all_others() {
    // SAFETY: takes numbers.
    unsafe { libc::kill(-1, libc::SIGKILL) };
}

/// Asks for SIGKILL when the parent ends. Forgotten when the process changes its user.
pub(crate) fn die_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Asks for SIGTERM when the parent ends, for a process that has to clear up. Forgotten when it changes its user.
pub(crate) fn end_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?)
}

/// Becomes the parent of every descendant that loses its own.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Leaves the namespaces that `flags` name.
pub(crate) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: the descriptor table is not among the flags that any caller uses.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}

/// Does `work` as another user and group where files are made, which needs the right to become anybody.
pub(crate) fn making_files_as<T>(uid: u32, gid: u32, work: impl FnOnce() -> T) -> T {
    // SAFETY: both take numbers, and tell the earlier ones.
    let (user, group) = unsafe { (libc::setfsuid(uid), libc::setfsgid(gid)) };
    let done = work();
    // SAFETY: as above.
    unsafe { (libc::setfsuid(user as u32), libc::setfsgid(group as u32)) };
    done
}

/// Becomes another user and group, in all three forms, without further groups.
pub(crate) fn become_user(uid: u32, gid: u32) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    Ok(rustix::thread::set_thread_res_uid(uid, uid, uid)?)
}

/// Removes all capabilities but `keep` from what this process or its descendants can ever have.
pub(crate) fn bound_capabilities(keep: CapabilitySet) -> io::Result<()> {
    for number in 0..64 {
        if keep.bits() & (1 << number) != 0 {
            continue;
        }
        // SAFETY: takes a number.
        let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number as libc::c_ulong, 0, 0, 0) };
        match checked(result.into()) {
            Ok(_) => {}
            // Beyond the last capability of this kernel.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Keeps only `keep` of the capabilities this process holds, and passes none on.
pub(crate) fn hold_capabilities(keep: CapabilitySet) -> io::Result<()> {
    rustix::thread::clear_ambient_capability_set()?;
    let sets = CapabilitySets { effective: keep, permitted: keep, inheritable: CapabilitySet::empty() };
    Ok(rustix::thread::set_capabilities(None, sets)?)
}

/// Has a thread, or this one, run on these processors alone, and so do the children that it makes from now on.
pub(crate) fn run_on(thread: Option<Pid>, processors: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    processors.iter().for_each(|processor| set.set(*processor));
    Ok(rustix::thread::sched_setaffinity(thread, &set)?)
}

/// Has this process run before all ordinary ones whenever it has something to do, or at least get its turn soon; its
/// children are ordinary. For one that seldom has, and not for long.
pub(crate) fn run_first() -> io::Result<()> {
    let set = |policy: i32, priority: i32| {
        let policy = policy | libc::SCHED_RESET_ON_FORK;
        // SAFETY: `sched_param` is this one number. The C library of musl refuses instead of asking.
        checked(unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const priority) })
    };
    if set(libc::SCHED_FIFO, 1).is_err() {
        // Control groups may forbid it.
        set(libc::SCHED_OTHER, 0)?;
        rustix::process::setpriority_process(None, FIRST_NICE)?;
    }
    Ok(())
}

/// Numbers of the processors that this process may run on.
pub(crate) fn processors() -> io::Result<Vec<usize>> {
    let set = rustix::thread::sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|processor| set.is_set(*processor)).collect())
}

/// Gives up gaining rights by executing, for good.
pub(crate) fn no_new_privileges() -> io::Result<()> {
    Ok(rustix::thread::set_no_new_privs(true)?)
}

/// Sets both limits of a resource.
pub(crate) fn limit(resource: Resource, value: u64) -> io::Result<()> {
    let both = Rlimit { current: Some(value), maximum: Some(value) };
    Ok(rustix::process::setrlimit(resource, both)?)
}

/// Sets both limits of a resource, or leaves a hard limit that is lower already.
pub(crate) fn limit_within(resource: Resource, value: u64) -> io::Result<()> {
    let hard = rustix::process::getrlimit(resource).maximum;
    limit(resource, hard.map_or(value, |hard| hard.min(value)))
}

/// Sets the soft limit of a resource as far as its hard limit allows.
pub(crate) fn limit_softly(resource: Resource, value: Option<u64>) -> io::Result<()> {
    let hard = rustix::process::getrlimit(resource).maximum;
    let current = match (value, hard) {
        (Some(value), Some(hard)) => Some(value.min(hard)),
        (value, hard) => value.or(hard),
    };
    Ok(rustix::process::setrlimit(resource, Rlimit { current, maximum: hard })?)
}

/// Installs a filter on this thread. Needs [`no_new_privileges`].
pub(crate) fn filter_calls(program: &Program) -> io::Result<()> {
    #[repr(C)]
    struct Filter {
        len: u16,
        instructions: *const crate::seccomp::Instruction,
    }
    let len = u16::try_from(program.0.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let filter = Filter { len, instructions: program.0.as_ptr() };
    // SAFETY: `Filter` and `Instruction` are laid out as `sock_fprog` and `sock_filter`; the kernel copies them.
    checked(unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER as libc::c_long, 0, &raw const filter)
    })
    .map(drop)
}

/// Version of the kernel's landlock interface.
pub(crate) fn landlock_version() -> io::Result<i64> {
    const VERSION: u32 = 1; // LANDLOCK_CREATE_RULESET_VERSION
    // SAFETY: asks with neither rules nor size, as the interface's documentation says.
    checked(unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0usize, VERSION)
    })
}

/// A program with its arguments and environment, ready for `execve`: a child that shares memory allocates none.
pub(crate) struct Executable {
    arguments: Texts,
    environment: Texts,
}

/// Texts as `execve` takes them.
struct Texts {
    pointers: Vec<*const libc::c_char>,
    /// What the pointers point to.
    _texts: Vec<CString>,
}

impl Executable {
    /// Refuses what holds a zero byte (`EINVAL`) or names no program (`ENOENT`).
    pub(crate) fn new(argv: &[String], env: &[(String, String)]) -> io::Result<Self> {
        if argv.is_empty() {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        let variables = env.iter().map(|(name, value)| format!("{name}={value}"));
        Ok(Self { arguments: Texts::new(argv.iter().cloned())?, environment: Texts::new(variables)? })
    }

    /// Replaces this process; returns only when that failed.
    pub(crate) fn execute(&self) -> io::Error {
        let (arguments, environment) = (&self.arguments.pointers, &self.environment.pointers);
        // SAFETY: both are null-terminated arrays of null-terminated strings that outlive the call.
        unsafe { libc::execve(arguments[0], arguments.as_ptr(), environment.as_ptr()) };
        io::Error::last_os_error()
    }
}

impl Texts {
    fn new(texts: impl Iterator<Item = String>) -> io::Result<Self> {
        let texts = texts.map(CString::new).collect::<Result<Vec<_>, _>>();
        let texts = texts.map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
        let pointers = texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect();
        Ok(Self { pointers, _texts: texts })
    }
}
