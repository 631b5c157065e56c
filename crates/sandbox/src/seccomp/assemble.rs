//! From a policy to instructions.

use super::{FOREIGN_ABI, Instruction, NEWEST_KNOWN, Policy, Program, Verdict};

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const IF_AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const IF_ANY_BIT: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

const ALLOW: u32 = 0x7fff_0000; // SECCOMP_RET_ALLOW
const ERRNO: u32 = 0x0005_0000; // SECCOMP_RET_ERRNO
const KILL: u32 = 0x8000_0000; // SECCOMP_RET_KILL_PROCESS

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e; // AUDIT_ARCH_X86_64
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7; // AUDIT_ARCH_AARCH64

// Offsets into `struct seccomp_data`; the low half of an argument comes first on both architectures.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const fn argument_at(index: u32) -> u32 {
    16 + 8 * index
}

/// Every flag of `clone` that makes a namespace (NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET).
/// NEWTIME shares its bit with the exit signal and means nothing to `clone`.
const NAMESPACE_FLAGS: u32 = 0x7e02_0000;

/// Compiles a policy.
pub fn compile(policy: &Policy) -> Program {
    let mut program = vec![
        op(LOAD, ARCHITECTURE_AT),
        jump(IF_EQUAL, ARCHITECTURE, 1, 0),
        op(RETURN, KILL),
        op(LOAD, NUMBER_AT),
    ];
    program.extend(tree(&ranges(policy)));
    Program(program)
}

/// The number line cut where the verdict changes: first number of each piece, and its verdict.
fn ranges(policy: &Policy) -> Vec<(u32, Verdict)> {
    let mut ranges: Vec<(u32, Verdict)> = Vec::new();
    for first in (0..=NEWEST_KNOWN + 1).chain([FOREIGN_ABI]) {
        let verdict = policy.verdict(first);
        if ranges.last().is_none_or(|(_, last)| *last != verdict) {
            ranges.push((first, verdict));
        }
    }
    ranges
}

/// Decides between ranges by halving them.
fn tree(ranges: &[(u32, Verdict)]) -> Vec<Instruction> {
    if let [(_, verdict)] = ranges {
        return leaf(*verdict);
    }
    let (below, above) = ranges.split_at(ranges.len() / 2);
    let (first_above, below, above) = (above[0].0, tree(below), tree(above));
    let mut code = match u8::try_from(below.len()) {
        Ok(skip) => vec![jump(IF_AT_LEAST, first_above, skip, 0)],
        // A conditional jump reaches 255 instructions; a plain one reaches all.
        Err(_) => vec![jump(IF_AT_LEAST, first_above, 0, 1), op(JUMP, below.len() as u32)],
    };
    code.extend(below);
    code.extend(above);
    code
}

fn leaf(verdict: Verdict) -> Vec<Instruction> {
    match verdict {
        Verdict::Allow => vec![op(RETURN, ALLOW)],
        Verdict::Errno(errno) => vec![refuse(i32::from(errno))],
        Verdict::Kill => vec![op(RETURN, KILL)],
        Verdict::CloneWithoutNamespaces => vec![
            op(LOAD, argument_at(0)),
            jump(IF_ANY_BIT, NAMESPACE_FLAGS, 0, 1),
            refuse(libc::EPERM),
            op(RETURN, ALLOW),
        ],
        Verdict::PlainPersonality => vec![
            op(LOAD, argument_at(0)),
            jump(IF_EQUAL, 0, 2, 0),
            jump(IF_EQUAL, u32::MAX, 1, 0),
            refuse(libc::EPERM),
            op(RETURN, ALLOW),
        ],
        Verdict::PlainSocket => plain_socket(),
        Verdict::KeepsCoreLimit => vec![
            op(LOAD, argument_at(0)),
            jump(IF_EQUAL, libc::RLIMIT_CORE, 0, 1),
            refuse(libc::EPERM),
            op(RETURN, ALLOW),
        ],
        Verdict::KeepsCoreLimitOfAny => vec![
            op(LOAD, argument_at(1)),
            jump(IF_EQUAL, libc::RLIMIT_CORE, 0, 5),
            // Without new limits the old ones are asked for.
            op(LOAD, argument_at(2)),
            jump(IF_EQUAL, 0, 0, 2),
            op(LOAD, argument_at(2) + 4),
            jump(IF_EQUAL, 0, 1, 0),
            refuse(libc::EPERM),
            op(RETURN, ALLOW),
        ],
        Verdict::UnixPair => vec![
            op(LOAD, argument_at(0)),
            jump(IF_EQUAL, libc::AF_UNIX as u32, 1, 0),
            refuse(libc::EAFNOSUPPORT),
            op(RETURN, ALLOW),
        ],
    }
}

/// Unix sockets of any kind; internet sockets by type and protocol; netlink for routing information only, which
/// the C library asks for the machine's addresses. All other families are doors into rarely used kernel code.
fn plain_socket() -> Vec<Instruction> {
    let allowed_protocols = [
        0,
        libc::IPPROTO_TCP,
        libc::IPPROTO_UDP,
        libc::IPPROTO_ICMP,
        libc::IPPROTO_ICMPV6,
        libc::IPPROTO_MPTCP,
    ];
    let mut internet = vec![
        op(LOAD, argument_at(1)),
        op(AND, 0xf),
        jump(IF_EQUAL, libc::SOCK_STREAM as u32, 2, 0),
        jump(IF_EQUAL, libc::SOCK_DGRAM as u32, 1, 0),
        refuse(libc::EPERM),
        op(LOAD, argument_at(2)),
    ];
    for (index, protocol) in allowed_protocols.iter().enumerate() {
        let to_allow = (allowed_protocols.len() - index) as u8;
        internet.push(jump(IF_EQUAL, *protocol as u32, to_allow, 0));
    }
    internet.extend([refuse(libc::EPROTONOSUPPORT), op(RETURN, ALLOW)]);

    let netlink = [
        op(LOAD, argument_at(2)),
        jump(IF_EQUAL, libc::NETLINK_ROUTE as u32, 1, 0),
        refuse(libc::EPERM),
        op(RETURN, ALLOW),
    ];
    // Four tests and a refusal stand before the internet part; each jump skips what is left of them and more.
    let (to_netlink, to_allow) = (internet.len() as u8 + 2, (internet.len() + netlink.len()) as u8 + 1);
    let mut code = vec![
        op(LOAD, argument_at(0)),
        jump(IF_EQUAL, libc::AF_INET as u32, 4, 0),
        jump(IF_EQUAL, libc::AF_INET6 as u32, 3, 0),
        jump(IF_EQUAL, libc::AF_NETLINK as u32, to_netlink, 0),
        jump(IF_EQUAL, libc::AF_UNIX as u32, to_allow, 0),
        refuse(libc::EAFNOSUPPORT),
    ];
    code.extend(internet);
    code.extend(netlink);
    code.push(op(RETURN, ALLOW));
    code
}

const fn op(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code, jt, jf, k }
}

const fn refuse(errno: i32) -> Instruction {
    op(RETURN, ERRNO | errno as u32)
}

#[cfg(test)]
mod tests {
    use super::super::{function, server, unpacker};
    use super::*;

    /// Runs a filter as the kernel does; counts the instructions.
    fn run(program: &Program, architecture: u32, number: u32, arguments: [u64; 6]) -> (u32, usize) {
        let mut data = Vec::new();
        data.extend(number.to_ne_bytes());
        data.extend(architecture.to_ne_bytes());
        data.extend(0u64.to_ne_bytes());
        arguments.iter().for_each(|argument| data.extend(argument.to_ne_bytes()));
        let (mut at, mut register) = (0, 0u32);
        for steps in 1.. {
            let Instruction { code, jt, jf, k } = program.0[at];
            at += 1;
            let mut branch = |holds: bool| at += usize::from(if holds { jt } else { jf });
            match code {
                LOAD => {
                    let word = &data[k as usize..k as usize + 4];
                    register = u32::from_ne_bytes(word.try_into().unwrap());
                }
                AND => register &= k,
                JUMP => at += k as usize,
                IF_EQUAL => branch(register == k),
                IF_AT_LEAST => branch(register >= k),
                IF_ANY_BIT => branch(register & k != 0),
                RETURN => return (k, steps),
                _ => panic!("unknown instruction {code:#x}"),
            }
        }
        unreachable!()
    }

    fn call(policy: &Policy, number: i64, arguments: [u64; 6]) -> u32 {
        run(&compile(policy), ARCHITECTURE, number as u32, arguments).0
    }

    fn errno(errno: i32) -> u32 {
        ERRNO | errno as u32
    }

    #[test]
    fn every_number_gets_its_policys_verdict_in_few_steps() {
        for policy in [function(), server(), unpacker()] {
            let program = compile(&policy);
            assert!(program.0.len() < 1_000, "{} instructions", program.0.len());
            for number in (0..600).chain([FOREIGN_ABI - 1, FOREIGN_ABI, FOREIGN_ABI + 59, u32::MAX]) {
                let (result, steps) = run(&program, ARCHITECTURE, number, [0; 6]);
                let expected = match policy.verdict(number) {
                    Verdict::Allow
                    | Verdict::CloneWithoutNamespaces
                    | Verdict::PlainPersonality
                    | Verdict::KeepsCoreLimit
                    | Verdict::KeepsCoreLimitOfAny => ALLOW,
                    Verdict::PlainSocket | Verdict::UnixPair => errno(libc::EAFNOSUPPORT),
                    Verdict::Errno(code) => errno(i32::from(code)),
                    Verdict::Kill => KILL,
                };
                assert_eq!(result, expected, "syscall {number}");
                assert!(steps < 24, "syscall {number} takes {steps} steps");
            }
        }
    }

    #[test]
    fn another_architectures_calls_kill() {
        let program = compile(&function());
        assert_eq!(run(&program, 0x4000_0003, 1, [0; 6]).0, KILL);
    }

    #[test]
    fn clone_makes_threads_and_children_but_no_namespaces() {
        let clone = |flags: i32| call(&function(), libc::SYS_clone, [flags as u32 as u64, 0, 0, 0, 0, 0]);
        assert_eq!(clone(libc::SIGCHLD), ALLOW);
        assert_eq!(
            clone(libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND | libc::CLONE_FILES),
            ALLOW
        );
        for flag in [
            libc::CLONE_NEWNS,
            libc::CLONE_NEWUSER,
            libc::CLONE_NEWPID,
            libc::CLONE_NEWNET,
            libc::CLONE_NEWIPC,
            libc::CLONE_NEWUTS,
            libc::CLONE_NEWCGROUP,
        ] {
            assert_eq!(clone(flag | libc::SIGCHLD), errno(libc::EPERM), "{flag:#x}");
        }
        assert_eq!(call(&function(), libc::SYS_clone3, [0; 6]), errno(libc::ENOSYS));
    }

    #[test]
    fn sockets_are_plain() {
        let socket = |domain: i32, kind: i32, protocol: i32| {
            let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
            call(
                &function(),
                libc::SYS_socket,
                [domain as u64, (kind | flags) as u64, protocol as u64, 0, 0, 0],
            )
        };
        assert_eq!(socket(libc::AF_UNIX, libc::SOCK_SEQPACKET, 0), ALLOW);
        assert_eq!(socket(libc::AF_INET, libc::SOCK_STREAM, 0), ALLOW);
        assert_eq!(socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP), ALLOW);
        assert_eq!(socket(libc::AF_INET6, libc::SOCK_DGRAM, libc::IPPROTO_UDP), ALLOW);
        assert_eq!(socket(libc::AF_INET6, libc::SOCK_STREAM, libc::IPPROTO_TCP), ALLOW);
        assert_eq!(socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE), ALLOW);
        assert_eq!(socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_NETFILTER), errno(libc::EPERM));
        assert_eq!(socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_TCP), errno(libc::EPERM));
        assert_eq!(socket(libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6), errno(libc::EPERM));
        assert_eq!(
            socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_SCTP),
            errno(libc::EPROTONOSUPPORT)
        );
        for family in [libc::AF_PACKET, libc::AF_VSOCK, libc::AF_ALG, libc::AF_KEY, libc::AF_BLUETOOTH, 44] {
            assert_eq!(socket(family, libc::SOCK_DGRAM, 0), errno(libc::EAFNOSUPPORT), "family {family}");
        }
    }

    #[test]
    fn personality_is_read_or_reset_only() {
        let personality = |persona: u64| call(&function(), libc::SYS_personality, [persona, 0, 0, 0, 0, 0]);
        assert_eq!(personality(0), ALLOW);
        assert_eq!(personality(0xffff_ffff), ALLOW);
        assert_eq!(personality(0x0040_0000), errno(libc::EPERM));
    }

    #[test]
    fn the_limit_of_core_files_is_read_and_never_set() {
        let core = u64::from(libc::RLIMIT_CORE);
        let files = u64::from(libc::RLIMIT_NOFILE);
        let set = |resource| call(&function(), libc::SYS_setrlimit, [resource, 0x1000, 0, 0, 0, 0]);
        let of_any = |resource, new| call(&function(), libc::SYS_prlimit64, [0, resource, new, 0x2000, 0, 0]);
        assert_eq!((set(core), set(files)), (errno(libc::EPERM), ALLOW));
        for new in [0x1000, 0x7f00_0000_0000, u64::MAX] {
            assert_eq!((of_any(core, new), of_any(files, new)), (errno(libc::EPERM), ALLOW), "{new:#x}");
        }
        assert_eq!((of_any(core, 0), of_any(files, 0)), (ALLOW, ALLOW));
        assert_eq!(of_any(core | 1 << 32, 0x1000), errno(libc::EPERM), "the kernel looks at the low half");
    }

    #[test]
    fn what_only_escapes_need_is_refused() {
        for number in [
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_mount,
            libc::SYS_umount2,
            libc::SYS_pivot_root,
            libc::SYS_move_mount,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_bpf,
            libc::SYS_perf_event_open,
            libc::SYS_keyctl,
            libc::SYS_add_key,
            libc::SYS_open_by_handle_at,
            libc::SYS_kexec_load,
            libc::SYS_init_module,
            libc::SYS_userfaultfd,
        ] {
            assert_eq!(call(&function(), number, [0; 6]), errno(libc::EPERM), "syscall {number}");
        }
        assert_eq!(call(&function(), libc::SYS_io_uring_setup, [0; 6]), errno(libc::ENOSYS));
        assert_eq!(call(&function(), i64::from(NEWEST_KNOWN) + 1, [0; 6]), errno(libc::ENOSYS));
    }

    #[test]
    fn the_unpacker_starts_nothing_and_opens_no_socket() {
        for number in [
            libc::SYS_execve,
            libc::SYS_clone,
            libc::SYS_socket,
            libc::SYS_ptrace,
            libc::SYS_linkat,
            libc::SYS_mount,
        ] {
            assert_eq!(call(&unpacker(), number, [0; 6]), errno(libc::EPERM), "syscall {number}");
        }
    }

    #[test]
    fn the_server_serves_and_does_nothing_else() {
        for number in [
            libc::SYS_execve,
            libc::SYS_mount,
            libc::SYS_ptrace,
            libc::SYS_kexec_load,
            libc::SYS_bpf,
            libc::SYS_keyctl,
            libc::SYS_init_module,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_setuid,
            libc::SYS_setresgid,
            libc::SYS_capset,
            libc::SYS_mknodat,
            libc::SYS_kill,
        ] {
            assert_eq!(call(&server(), number, [0; 6]), errno(libc::EPERM), "syscall {number}");
        }
        let clone = |flags: i32| call(&server(), libc::SYS_clone, [flags as u64, 0, 0, 0, 0, 0]);
        assert_eq!(clone(libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND), ALLOW);
        assert_eq!(clone(libc::CLONE_NEWUSER), errno(libc::EPERM));
        for number in
            [libc::SYS_accept4, libc::SYS_openat, libc::SYS_fdatasync, libc::SYS_epoll_wait, libc::SYS_tgkill]
        {
            assert_eq!(call(&server(), number, [0; 6]), ALLOW, "syscall {number}");
        }
    }
}
