"""Ways into the kernel: calls that past escapes went through, under their numbers on x86-64."""

from . import Attempt, refused

KERNEL = [
    Attempt(
        "mount",
        "mount, unmount and move file systems, by the old and the new calls; change root",
        "every call is refused",
        r"""
flags = {'MS_BIND': 4096, 'MS_REMOUNT|MS_BIND': 4096 | 32, 'MS_PRIVATE': 1 << 18, 'MS_MOVE': 8192}
tries = {f'mount {name}': call(165, b'/tmp', b'/tmp', None, flag, None) for name, flag in flags.items()}
tries['mount tmpfs'] = call(165, b'none', b'/tmp', b'tmpfs', 0, None)
tries['mount proc'] = call(165, b'none', b'/tmp', b'proc', 0, None)
tries['mount cgroup'] = call(165, b'none', b'/tmp', b'cgroup', 0, b'memory')
tries['mount cgroup2'] = call(165, b'none', b'/tmp', b'cgroup2', 0, None)
tries['remount /'] = call(165, None, b'/', None, 32, None)
tries['umount2'] = call(166, b'/tmp', 2)
tries['umount2 /proc'] = call(166, b'/proc', 2)
tries['pivot_root'] = call(155, b'/tmp', b'/tmp')
tries['chroot'] = call(161, b'/tmp')
tries['open_tree'] = call(428, -100, b'/', 1)
tries['move_mount'] = call(429, -100, b'/tmp', -100, b'/tmp', 0)
tries['fsopen'] = call(430, b'tmpfs', 0)
tries['fsconfig'] = call(431, 0, 6, None, None, 0)
tries['fsmount'] = call(432, 0, 0, 0)
tries['fspick'] = call(433, -100, b'/', 0)
tries['mount_setattr'] = call(442, -100, b'/', 0x8000, struct.pack('QQQQ', 0, 1, 0, 0), 32)
tries['open_tree_attr'] = call(467, -100, b'/', 1, struct.pack('QQQQ', 0, 1, 0, 0), 32)
return tries
""",
        refused,
    ),
    Attempt(
        "namespaces",
        "make and enter namespaces: unshare, setns, clone and clone3 with namespace flags",
        "every call is refused, `clone3` as if the kernel had none",
        r"""
kinds = {'time': 0x80, 'mount': 0x20000, 'cgroup': 0x2000000, 'uts': 0x4000000, 'ipc': 0x8000000,
         'user': 0x10000000, 'pid': 0x20000000, 'net': 0x40000000}
tries = {f'unshare {name}': call(272, flag) for name, flag in kinds.items()}
tries['unshare user and all'] = call(272, 0x7e020000)
for name, flag in kinds.items():
    if name != 'time':
        tries[f'clone {name}'] = call(56, flag | signal.SIGCHLD, 0, 0, 0, 0)
        tries[f'clone3 {name}'] = call(435, struct.pack('Q' * 8, flag, *[0] * 7), 64)
for name in os.listdir('/proc/self/ns'):
    with open(f'/proc/self/ns/{name}') as namespace:
        tries[f'setns {name}'] = call(308, namespace.fileno(), 0)
tries['ns of pid 1'] = act(open, '/proc/1/ns/mnt')
return tries
""",
        refused,
    ),
    Attempt(
        "ptrace",
        "trace, read and write the memory of pid 1 and of a child; take descriptors of others",
        "every call is refused",
        r"""
child = os.fork()
if child == 0:
    time.sleep(5)
    os._exit(0)
word, own = ctypes.create_string_buffer(8), ctypes.create_string_buffer(16)
vector = struct.pack('QQ', ctypes.addressof(word), 8)
tries = {}
for pid in (1, child):
    tries[f'ptrace attach {pid == 1}'] = call(101, 16, pid, 0, 0)
    tries[f'ptrace seize {pid == 1}'] = call(101, 0x4206, pid, 0, 0)
    tries[f'process_vm_readv {pid == 1}'] = call(310, pid, vector, 1, vector, 1, 0)
    tries[f'process_vm_writev {pid == 1}'] = call(311, pid, vector, 1, vector, 1, 0)
    tries[f'kcmp {pid == 1}'] = call(312, os.getpid(), pid, 0, 0, 0)
    tries[f'move_pages {pid == 1}'] = call(279, pid, 0, 0, 0, 0, 0)
    tries[f'migrate_pages {pid == 1}'] = call(256, pid, 8, own, own)
tries['ptrace traceme'] = call(101, 0, 0, 0, 0)
tries['mem of pid 1'] = act(open, '/proc/1/mem')
one = os.pidfd_open(child)
tries['pidfd_getfd'] = call(438, one, 1, 0)
tries['process_madvise'] = call(440, one, vector, 1, 20, 0)
os.close(one)
os.kill(child, 9)
os.waitpid(child, 0)
return tries
""",
        refused,
    ),
    Attempt(
        "keyrings",
        "add, request and join keys and keyrings",
        "every call is refused",
        r"""
return {'add_key': call(248, b'user', b'a', b'b', 1, -3), 'request_key': call(249, b'user', b'a', None, -3),
        'join session': call(250, 1, None), 'get session': call(250, 0, -3, 0), 'describe': call(250, 6, -4, 0, 0)}
""",
        refused,
    ),
    Attempt(
        "io_uring",
        "set up, enter and register rings, whose calls no filter sees",
        "every call fails as if the kernel had none",
        "return {call(425, 8, ctypes.create_string_buffer(120)), call(426, 0, 1, 0, 0, 0), call(427, 0, 0, 0, 0)} == {'ENOSYS'}",
        True,
    ),
    Attempt(
        "kernel programs",
        "bpf, perf_event_open, userfaultfd, fanotify, lookup_dcookie",
        "every call is refused",
        r"""
perf = struct.pack('IIQ', 1, 112, 0) + bytes(96)
return {'bpf map': call(321, 0, struct.pack('IIIII', 2, 4, 4, 1, 0), 20), 'bpf load': call(321, 5, bytes(72), 72),
        'perf': call(298, perf, 0, -1, -1, 0), 'perf of all': call(298, perf, -1, 0, -1, 0),
        'userfaultfd': call(323, 0), 'userfaultfd user mode': call(323, 1), 'fanotify': call(300, 0x200, 0),
        'lookup_dcookie': call(212, 0, 0, 0)}
""",
        refused,
    ),
    Attempt(
        "kernel modules",
        "load and remove modules, load another kernel, reboot",
        "every call is refused",
        r"""
with open('/dev/zero') as file:
    zero = file.fileno()
    return {'init_module': call(175, b'x', 1, b''), 'finit_module': call(313, zero, b'', 0), 'delete': call(176, b'x', 0),
            'kexec': call(246, 0, 0, 0, 0), 'kexec_file': call(320, zero, zero, 0, b'', 0),
            'reboot': call(169, 0xfee1dead, 0x28121969, 0, 0), 'autoload': act(open, '/proc/sys/kernel/modprobe', 'w')}
""",
        refused,
    ),
    Attempt(
        "the machine's state",
        "set its clock and names, swap, accounting and quotas, ports and descriptor tables of its processor",
        "every call is refused; its names stay",
        r"""
now = struct.pack('qq', 1_000_000_000, 0)
return {'settimeofday': call(164, now, None), 'clock_settime': call(227, 0, now), 'adjtimex': call(159, struct.pack('I', 1) + bytes(204)),
        'clock_adjtime': call(305, 0, struct.pack('I', 1) + bytes(204)), 'sethostname': call(170, b'x', 1),
        'setdomainname': call(171, b'x', 1), 'swapon': call(167, b'/tmp/x', 0), 'swapoff': call(168, b'/tmp/x'),
        'acct': call(163, b'/tmp/x'), 'quotactl': call(179, 0x800002, b'/dev/vda', 0, 0), 'quotactl_fd': call(443, 0, 0, 0, 0),
        'iopl': call(172, 3), 'ioperm': call(173, 0x80, 1, 1), 'modify_ldt': call(154, 0, 0, 0), 'vhangup': call(153),
        'ustat': call(136, 0, ctypes.create_string_buffer(64)), 'sysfs': call(139, 3), 'uselib': call(134, b'/tmp/x')}
""",
        refused,
    ),
    Attempt(
        "files by handle",
        "name and open files by handle, past their paths (the way out of early Docker)",
        "every call is refused",
        r"""
handle = struct.pack('II', 128, 0) + bytes(128)
return {'name_to_handle_at': call(303, -100, b'/tmp', ctypes.create_string_buffer(handle), ctypes.create_string_buffer(8), 0),
        'open root': call(304, -100, struct.pack('II', 8, 1) + struct.pack('II', 2, 0), 0),
        'open tmp': call(304, os.open('/tmp', os.O_RDONLY), struct.pack('II', 8, 1) + struct.pack('II', 2, 0), 0)}
""",
        refused,
    ),
    Attempt(
        "sockets into the kernel",
        "raw and packet sockets, and every family and netlink protocol there is; also by socketpair",
        "Unix, TCP, UDP, ping and routing sockets exist, nothing else",
        r"""
opened = []
for family in range(1, 64):
    for kind in (1, 2, 3, 4, 5, 10):
        if family not in (1, 2, 10, 16) and act(socket.socket, family, kind) == 'worked':
            opened.append([family, kind])
        if family != 1 and call(53, family, kind, 0, ctypes.create_string_buffer(8)) == 'worked':
            opened.append(['pair', family, kind])
for family in (2, 10):
    for kind in (3, 4, 5, 6, 10):
        for protocol in (0, 1, 6, 17, 58, 132, 255):
            if act(socket.socket, family, kind, protocol) == 'worked':
                opened.append([family, kind, protocol])
for protocol in range(1, 32):
    if act(socket.socket, 16, 3, protocol) == 'worked':
        opened.append(['netlink', protocol])
return opened
""",
        [],
    ),
    Attempt(
        "families behind socketpair",
        "reach the code of other families by socketpair, which loads their modules",
        "all are refused before the kernel looks for one",
        "return sorted({call(53, family, 2, 0, ctypes.create_string_buffer(8)) for family in range(3, 60)})",
        ["EAFNOSUPPORT"],
    ),
    Attempt(
        "the network's settings",
        "change addresses, routes and links over a routing socket; netfilter by setsockopt",
        "every change is refused",
        r"""
def routing(kind, body):
    with socket.socket(16, 3, 0) as link:
        link.bind((0, 0))
        link.send(struct.pack('IHHII', 16 + len(body), kind, 0x605, 1, 0) + body)
        return 'worked' if struct.unpack_from('i', link.recv(4096), 16)[0] == 0 else 'refused'
plain = socket.socket()
return {'address': routing(20, struct.pack('BBBBI', 2, 32, 0, 0, 1) + struct.pack('HH4B', 8, 2, 10, 9, 9, 9)),
        'link down': routing(16, struct.pack('BBHiII', 0, 0, 0, 1, 0, 1)), 'new link': routing(16, struct.pack('BBHiII', 0, 0, 0, 0, 0, 0) + struct.pack('HH4s', 8, 3, b'abc')),
        'iptables': act(plain.setsockopt, 0, 64, bytes(200)), 'mark': act(plain.setsockopt, 1, 36, 7),
        'up': act(fcntl.ioctl, plain, 0x8914, b'lo'.ljust(16, b'\0') + bytes(24))}
""",
        refused,
    ),
    Attempt(
        "another architecture's calls",
        "the 32-bit and x32 numbers, which a filter may have forgotten (in machine code)",
        "the process dies",
        r"""
code = mmap.mmap(-1, 4096, prot=7)
code.write(b'\x53\xb8\x14\0\0\0\xcd\x80\x5b\xc3')  # push rbx; eax = getpid of i386; int 0x80; pop rbx; ret
getpid = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
reader, writer = os.pipe()
ended = in_child(lambda: os.write(writer, b'%d' % getpid()))
os.close(writer)
said = os.read(reader, 99)
return [os.WIFSIGNALED(ended) or said in (b'', b'-38'), [in_child(lambda: call(0x40000000 | number)) & 127 for number in (39, 102, 165, 272)]]
""",
        [True, [31] * 4],
    ),
    Attempt(
        "calls newer than the filter",
        "every number above those that the filter knows",
        "all are unknown",
        "return sorted({call(number, -1, 0, 0, 0, 0, 0) for number in range(470, 600)})",
        ["ENOSYS"],
    ),
    Attempt(
        "personality",
        "switch address randomisation off, map page zero, read implies execute",
        "every change is refused",
        "return {'no random': call(135, 0x40000), 'zero page': call(135, 0x100000), 'read is execute': call(135, 0x400000)}",
        refused,
    ),
    Attempt(
        "locks and leases on shared files",
        "leases, immutable flags and attributes on files that other functions run",
        "every change is refused",
        r"""
file = os.open('/usr/bin/env', os.O_RDONLY)
code = os.open('/var/task/index.py', os.O_RDONLY)
tries = {}
for name, one in (('env', file), ('code', code)):
    tries[f'lease {name}'] = act(fcntl.fcntl, one, 1024, fcntl.F_RDLCK)
    tries[f'flags {name}'] = act(fcntl.ioctl, one, 0x40086602, struct.pack('q', 0x10))
    tries[f'xattr {name}'] = act(os.setxattr, f'/proc/self/fd/{one}', 'user.x', b'x')
    tries[f'verity {name}'] = act(fcntl.ioctl, one, 0x40806685, bytes(128))
    tries[f'times {name}'] = act(os.utime, f'/proc/self/fd/{one}')
    tries[f'mode {name}'] = act(os.fchmod, one, 0o777)
    tries[f'owner {name}'] = act(os.fchown, one, os.getuid(), -1)
    os.close(one)
return tries
""",
        refused,
    ),
]
