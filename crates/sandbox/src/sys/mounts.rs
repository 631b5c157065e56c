//! Mounts.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags};
use rustix::thread::LinkNameSpaceType;

use super::checked;

/// `struct mount_attr`.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

const READ_ONLY: u64 = 0x1; // MOUNT_ATTR_RDONLY
const NO_SET_UID: u64 = 0x2; // MOUNT_ATTR_NOSUID
const NO_DEVICES: u64 = 0x4; // MOUNT_ATTR_NODEV
const RECURSIVE: libc::c_int = 0x8000; // AT_RECURSIVE

/// Shows `source` at `target` read-only, without set-user-id programs and devices.
pub(crate) fn show(source: &Path, target: &Path) -> io::Result<()> {
    rustix::mount::mount_bind(source, target)?;
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    Ok(rustix::mount::mount_remount(target, flags, "")?)
}

/// The same with all that is mounted below `source`.
///
/// Kernels before 5.12 cannot make a whole tree read-only; there what is mounted below is left out.
pub(crate) fn show_tree(source: &Path, target: &Path) -> io::Result<()> {
    rustix::mount::mount_bind_recursive(source, target)?;
    match set_tree(target, READ_ONLY | NO_SET_UID | NO_DEVICES) {
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {
            rustix::mount::unmount(target, UnmountFlags::DETACH)?;
            show(source, target)
        }
        result => result,
    }
}

fn set_tree(target: &Path, set: u64) -> io::Result<()> {
    let path = CString::new(target.as_os_str().as_bytes())?;
    set_attributes(libc::AT_FDCWD, &path, RECURSIVE, set)
}

fn set_attributes(directory: libc::c_int, path: &CStr, how: libc::c_int, set: u64) -> io::Result<()> {
    let attributes = MountAttributes { set, clear: 0, propagation: 0, user_namespace: 0 };
    // SAFETY: the path is null-terminated, the structure as large as said; the kernel copies both.
    checked(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            directory,
            path.as_ptr(),
            how,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    })
    .map(drop)
}

/// A mount that is nowhere yet: what is at `source`, as it is there. Since Linux 5.2.
pub(crate) fn copy(source: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    Ok(rustix::mount::open_tree(CWD, source, flags)?)
}

/// The same read-only, without set-user-id programs and devices. Since Linux 5.12.
pub(crate) fn copy_to_show(source: &Path) -> io::Result<OwnedFd> {
    let copy = copy(source)?;
    set_attributes(copy.as_raw_fd(), c"", libc::AT_EMPTY_PATH, READ_ONLY | NO_SET_UID | NO_DEVICES)?;
    Ok(copy)
}

/// Gives a mount that is nowhere its place, in the namespace that this process is in.
pub(crate) fn place(copy: BorrowedFd<'_>, target: &Path) -> io::Result<()> {
    Ok(rustix::mount::move_mount(copy, c"", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// The mount namespace that this process is in.
pub(crate) fn current() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open("/proc/self/ns/mnt", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Goes to another mount namespace, to its root. Takes CAP_SYS_CHROOT beside CAP_SYS_ADMIN.
pub(crate) fn go_to(namespace: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::thread::move_into_link_name_space(namespace, Some(LinkNameSpaceType::Mount))?)
}

/// Mounts a file system of `kind`.
pub(crate) fn mount(kind: &CStr, target: &Path, flags: MountFlags, options: &str) -> io::Result<()> {
    let options = CString::new(options)?;
    Ok(rustix::mount::mount(c"none", target, kind, flags, options.as_c_str())?)
}

/// Mounts another time what `target` holds, with other flags.
pub(crate) fn remount(target: &Path, flags: MountFlags) -> io::Result<()> {
    Ok(rustix::mount::mount_remount(target, flags, "")?)
}

/// Gives what is mounted at `target` other options, and keeps it free of set-user-id programs and devices.
pub(crate) fn set_options(target: &Path, flags: MountFlags, options: &str) -> io::Result<()> {
    let options = CString::new(options)?;
    Ok(rustix::mount::mount_remount(target, flags, options.as_c_str())?)
}

/// Takes away what is mounted at `target`; whoever uses it keeps it.
pub(crate) fn take_away(target: &Path) -> io::Result<()> {
    Ok(rustix::mount::unmount(target, UnmountFlags::DETACH)?)
}

/// Shows `source` at `target` as it is.
pub(crate) fn bind(source: &Path, target: &Path) -> io::Result<()> {
    Ok(rustix::mount::mount_bind(source, target)?)
}

/// Cuts all mounts off from those of other namespaces.
pub(crate) fn make_private() -> io::Result<()> {
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    Ok(rustix::mount::mount_change("/", flags)?)
}

/// Follows mounts of the parent namespace and shows it none.
pub(crate) fn make_follower() -> io::Result<()> {
    let flags = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    Ok(rustix::mount::mount_change("/", flags)?)
}

/// Makes `new`, a mount, the root, and lets go of everything else.
pub(crate) fn enter(new: &Path) -> io::Result<()> {
    rustix::process::chdir(new)?;
    // The old root lands on top of the new one, from where it is taken off: no directory is needed to hold it.
    rustix::process::pivot_root(".", ".")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)?;
    Ok(rustix::process::chdir("/")?)
}
