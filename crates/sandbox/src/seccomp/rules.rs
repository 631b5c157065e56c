//! The three policies: functions, the server, and the unpacking helper.

use super::{Policy, Verdict};

/// Ways into the kernel that no function needs, and that past escapes went through.
const REFUSED: &[i64] = &[
    // Mounts and namespaces: the sandbox's own are fixed.
    libc::SYS_chroot,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_pivot_root,
    libc::SYS_setns,
    libc::SYS_umount2,
    libc::SYS_unshare,
    // Other processes' memory and descriptors.
    libc::SYS_kcmp,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_pidfd_getfd,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_userfaultfd,
    // The kernel itself and the machine.
    libc::SYS_acct,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_perf_event_open,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    // Keys, and files reached without their path.
    libc::SYS_add_key,
    libc::SYS_fanotify_init,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_name_to_handle_at,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_request_key,
];

/// The same, of x86 alone.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[i64] = &[
    libc::SYS__sysctl,
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_modify_ldt,
    libc::SYS_sysfs,
    libc::SYS_uselib,
    libc::SYS_ustat,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[i64] = &[];

/// Calls whose users fall back to older ways when the kernel seems not to have them: `clone3` because a filter
/// cannot see its flags, io_uring because it runs calls that no filter sees.
const ABSENT: &[i64] = &[
    libc::SYS_clone3,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    LISTMOUNT,
    STATMOUNT,
];

const STATMOUNT: i64 = 457;
const LISTMOUNT: i64 = 458;

/// What functions may call: everything ordinary programs call.
pub fn function() -> Policy {
    let refused = refuse(REFUSED.iter().chain(REFUSED_HERE));
    let absent = ABSENT.iter().map(|number| (*number as u32, Verdict::Errno(libc::ENOSYS as u16)));
    let looked_at = [
        (libc::SYS_clone as u32, Verdict::CloneWithoutNamespaces),
        (libc::SYS_socket as u32, Verdict::PlainSocket),
        (libc::SYS_socketpair as u32, Verdict::UnixPair),
        (libc::SYS_personality as u32, Verdict::PlainPersonality),
        (libc::SYS_setrlimit as u32, Verdict::KeepsCoreLimit),
        (libc::SYS_prlimit64 as u32, Verdict::KeepsCoreLimitOfAny),
    ];
    Policy {
        rules: refused.chain(absent).chain(looked_at).collect(),
        otherwise: Verdict::Allow,
        unknown: Verdict::Errno(libc::ENOSYS as u16),
    }
}

/// What the server gave up, or never needs: starting programs, other users, rights, devices, signals to others.
const REFUSED_TO_SERVER: &[i64] = &[
    libc::SYS_capset,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_kill,
    libc::SYS_mknodat,
    libc::SYS_pidfd_send_signal,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_setfsgid,
    libc::SYS_setfsuid,
    libc::SYS_setgid,
    libc::SYS_setgroups,
    libc::SYS_setregid,
    libc::SYS_setresgid,
    libc::SYS_setresuid,
    libc::SYS_setreuid,
    libc::SYS_setuid,
    libc::SYS_tkill,
];

#[cfg(target_arch = "x86_64")]
const REFUSED_TO_SERVER_HERE: &[i64] = &[libc::SYS_fork, libc::SYS_mknod, libc::SYS_vfork];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_TO_SERVER_HERE: &[i64] = &[];

/// What the server may call: all but what would let one that was taken over start a program, pry, or reach for rights.
pub fn server() -> Policy {
    let mut policy = function();
    policy.rules.extend(refuse(REFUSED_TO_SERVER.iter().chain(REFUSED_TO_SERVER_HERE)));
    policy
}

/// What reading an archive and writing files takes; nothing else.
pub fn unpacker() -> Policy {
    let rules =
        UNPACKING.iter().chain(UNPACKING_HERE).map(|number| (*number as u32, Verdict::Allow)).collect();
    let refused = Verdict::Errno(libc::EPERM as u16);
    Policy { rules, otherwise: refused, unknown: refused }
}

const UNPACKING: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_close,
    libc::SYS_copy_file_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_fstat,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_futex,
    libc::SYS_getdents64,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_mkdirat,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    libc::SYS_statx,
    libc::SYS_symlinkat,
    libc::SYS_tgkill,
    libc::SYS_umask,
    libc::SYS_unlinkat,
    libc::SYS_utimensat,
    libc::SYS_write,
    libc::SYS_writev,
];

/// Older names of the same calls.
#[cfg(target_arch = "x86_64")]
const UNPACKING_HERE: &[i64] = &[
    libc::SYS_chmod,
    libc::SYS_dup2,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_open,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_stat,
    libc::SYS_symlink,
    libc::SYS_unlink,
];
#[cfg(not(target_arch = "x86_64"))]
const UNPACKING_HERE: &[i64] = &[libc::SYS_ppoll];

fn refuse<'a>(numbers: impl Iterator<Item = &'a i64>) -> impl Iterator<Item = (u32, Verdict)> {
    numbers.map(|number| (*number as u32, Verdict::Errno(libc::EPERM as u16)))
}
