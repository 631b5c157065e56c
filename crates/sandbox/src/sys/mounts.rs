//! Mounts.

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

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
    let attributes = MountAttributes { set, clear: 0, propagation: 0, user_namespace: 0 };
    // SAFETY: the path is null-terminated, the structure as large as said; the kernel copies both.
    checked(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            RECURSIVE,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    })
    .map(drop)
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
