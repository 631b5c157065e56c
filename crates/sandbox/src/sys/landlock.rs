//! The kernel's Landlock: rules about files that a process gives itself and its descendants.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

use super::{checked, process::landlock_version};
use crate::plan::files::{Access, Rules, rules};

/// `struct landlock_ruleset_attr`, as long as the newest version we use has it.
#[repr(C)]
struct Attributes {
    files: u64,
    network: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneath {
    access: u64,
    parent: i32,
}

const PATH_BENEATH: u32 = 1; // LANDLOCK_RULE_PATH_BENEATH
/// Keeps signals and abstract sockets inside, as the kernel numbers it.
pub(crate) const SCOPES: u64 = 3; // LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL

/// Makes the rules for this kernel; none where it has no Landlock that is of use. Call inside the sandbox's root.
pub(crate) fn prepare() -> io::Result<Option<OwnedFd>> {
    let Some(Rules { handled, scoped, allowed }) = landlock_version().ok().and_then(rules) else {
        return Ok(None);
    };
    let attributes = Attributes { files: handled.0, network: 0, scoped: if scoped { SCOPES } else { 0 } };
    // Kernels before version 6 accept the longer structure when what they do not know is zero.
    let size = size_of::<Attributes>();
    // SAFETY: the structure is as large as said; the kernel copies it and returns a new descriptor.
    let rules = unsafe {
        let made = libc::syscall(libc::SYS_landlock_create_ruleset, &raw const attributes, size, 0u32);
        OwnedFd::from_raw_fd(checked(made)? as i32)
    };
    for (path, Access(access)) in allowed {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let parent = rustix::fs::open(path, flags, Mode::empty())?;
        let rule = PathBeneath { access, parent: parent.as_raw_fd() };
        let rule = &raw const rule;
        // SAFETY: the structure is laid out as the kernel's; the kernel copies it.
        checked(unsafe {
            libc::syscall(libc::SYS_landlock_add_rule, rules.as_raw_fd(), PATH_BENEATH, rule, 0u32)
        })?;
    }
    Ok(Some(rules))
}

/// Obeys the rules from now on. Needs [`super::process::no_new_privileges`].
pub(crate) fn obey(rules: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: takes numbers.
    checked(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0u32) }).map(drop)
}
