//! Signals, read from a descriptor instead of handlers.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::checked;

/// The signals a thread blocked before [`block`].
pub(crate) struct Mask(libc::sigset_t);

/// Blocks `signals`; the result restores what was.
pub(crate) fn block(signals: &[i32]) -> io::Result<Mask> {
    let set = set_of(signals);
    let mut before = set_of(&[]);
    // SAFETY: both sets are initialised.
    checked(unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, &raw mut before) }.into())?;
    Ok(Mask(before))
}

/// Blocks what was blocked before.
pub(crate) fn restore(mask: &Mask) -> io::Result<()> {
    // SAFETY: the set is initialised.
    checked(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const mask.0, std::ptr::null_mut()) }.into())
        .map(drop)
}

/// A descriptor that is readable while one of `signals` is pending; they must be blocked. Non-blocking.
pub(crate) fn descriptor(signals: &[i32]) -> io::Result<OwnedFd> {
    let set = set_of(signals);
    // SAFETY: the set is initialised.
    let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    checked(fd.into())?;
    // SAFETY: the call just made this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The next pending signal, if any.
pub(crate) fn next(descriptor: BorrowedFd<'_>) -> Option<i32> {
    // SAFETY: all-zero is a valid `signalfd_siginfo`.
    let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::signalfd_siginfo>();
    // SAFETY: the buffer is of the given size.
    let read = unsafe { libc::read(descriptor.as_raw_fd(), (&raw mut info).cast(), size) };
    (read == size as isize).then_some(info.ssi_signo as i32)
}

/// Default dispositions and an empty mask, as a fresh program expects.
pub(crate) fn reset_all() {
    // All zero: the default action, no flags, an empty mask. The C library would refuse its own two signals.
    let default = [0u64; 4];
    for signal in 1..=64 {
        // SAFETY: the buffer is at least as large as the kernel's `struct sigaction`; a default action needs no
        // handler, and signals that cannot be set are refused.
        unsafe {
            let none = std::ptr::null::<u64>();
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), none, size_of::<u64>())
        };
    }
    // A process may always empty its own mask.
    let _ = restore(&Mask(set_of(&[])));
}

fn set_of(signals: &[i32]) -> libc::sigset_t {
    // SAFETY: `sigemptyset` initialises the set before anybody reads it.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        set
    }
}
