"""Becoming somebody else, or more than a function may be."""

from . import Attempt, refused

ITSELF = [
    Attempt(
        "another user",
        "become root or any other user and group, for everything or for files alone",
        "every call is refused",
        r"""
tries = {'setuid': act(os.setuid, 0), 'seteuid': act(os.seteuid, 0), 'setreuid': act(os.setreuid, 0, 0), 'setresuid': act(os.setresuid, 0, 0, 0),
         'setgid': act(os.setgid, 0), 'setegid': act(os.setegid, 0), 'setresgid': act(os.setresgid, 0, 0, 0), 'setgroups': act(os.setgroups, [0]),
         'no groups': act(os.setgroups, []), 'another': act(os.setuid, 1000)}
libc.setfsuid(0)
tries['setfsuid'] = 'worked' if libc.setfsuid(-1) == 0 else 'kept'
return tries
""",
        refused,
    ),
    Attempt(
        "capabilities",
        "raise capabilities, the bounding and the ambient set; unset no_new_privs and the filter",
        "all sets are empty, no_new_privs and the filter stay",
        r"""
header = struct.pack('Ii', 0x20080522, 0)
tries = {'capset': call(126, header, struct.pack('IIIIII', *[0xffffffff] * 6)), 'ambient': call(157, 47, 2, 21, 0, 0),
         'no new privileges': call(157, 38, 0, 0, 0, 0), 'securebits': call(157, 28, 0x2f, 0, 0, 0), 'seccomp off': call(157, 22, 0, 0, 0, 0)}
status = {line.split(':')[0]: line.split()[1] for line in open('/proc/self/status') if len(line.split()) > 1}
sets = [int(status[name], 16) for name in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb')]
return ['worked' in tries.values(), sets, status['NoNewPrivs'], status['Seccomp']]
""",
        [False, [0] * 5, "1", "2"],
    ),
    Attempt(
        "programs from memory",
        "run a program that was never a file, from a sealed memory descriptor",
        "it runs, behind the same walls",
        r"""
descriptor = os.memfd_create('x', 0)
with open('/bin/cat', 'rb') as file:
    os.write(descriptor, file.read())
said = subprocess.run([f'/proc/self/fd/{descriptor}', '/proc/self/status'], pass_fds=[descriptor], capture_output=True, text=True).stdout
status = {line.split(':')[0]: line.split()[1] for line in said.splitlines() if len(line.split()) > 1}
return [status['Uid'], int(status['CapEff'], 16) + int(status['CapBnd'], 16), status['NoNewPrivs'], status['Seccomp']]
""",
        ["993", 0, "1", "2"],
    ),
    Attempt(
        "higher limits",
        "raise its hard limits of files, processes, locked memory, core dumps, priorities, and those of pid 1",
        "every change is refused",
        r"""
tries = {}
for name in ('NOFILE', 'NPROC', 'MEMLOCK', 'CORE', 'NICE', 'RTPRIO', 'SIGPENDING', 'MSGQUEUE'):
    one = getattr(resource, 'RLIMIT_' + name)
    hard = resource.getrlimit(one)[1]
    tries[name] = act(resource.setrlimit, one, (hard, hard + 1)) if hard != resource.RLIM_INFINITY else 'without'
tries['of pid 1'] = act(resource.prlimit, 1, resource.RLIMIT_NOFILE, (4096, 4096))
return tries
""",
        refused,
    ),
    Attempt(
        "the first place in the queue",
        "nicer values, real-time and deadline scheduling, real-time disk priority, another's processors",
        "every change is refused",
        r"""
deadline = struct.pack('IIQiIQQQ', 48, 6, 0, 0, 0, 1_000_000, 2_000_000, 2_000_000)
return {'nice': act(os.nice, -5), 'setpriority of all': act(os.setpriority, os.PRIO_USER, 0, -5),
        'fifo': act(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1)), 'round robin': act(os.sched_setscheduler, 0, os.SCHED_RR, os.sched_param(1)),
        'deadline': call(314, 0, deadline, 0), 'disk': call(251, 1, 0, 1 << 13), 'disk of 1': call(251, 1, 1, 2 << 13),
        'processors of 1': act(os.sched_setaffinity, 1, {0}), 'niceness of 1': act(os.setpriority, os.PRIO_PROCESS, 1, 19)}
""",
        refused,
    ),
    Attempt(
        "locked memory",
        "lock a gigabyte and all pages to come, take huge pages",
        "every call is refused",
        r"""
pages = mmap.mmap(-1, 64 << 20)
address = ctypes.addressof(ctypes.c_char.from_buffer(pages))
return {'mlock': call(149, address, 64 << 20), 'mlockall': call(151, 3), 'mlock2': call(325, address, 64 << 20, 0),
        'huge': act(mmap.mmap, -1, 1 << 30, flags=0x40022)}
""",
        refused,
    ),
    Attempt(
        "signals to others",
        "signal pid 1, every other number, every group and everybody",
        "only its own processes hear it",
        r"""
tries = {'kill 1': act(os.kill, 1, 9), 'stop 1': act(os.kill, 1, 19), 'end 1': act(os.kill, 1, 15), 'group 1': act(os.killpg, 1, 0)}
tries['others'] = 'worked' if any(act(os.kill, pid, 0) == 'worked' for pid in range(1, 40000) if pid not in own) else 'none'
tries['queue'] = call(129, 1, 10, bytes(128))
tries['by descriptor'] = act(lambda: signal.pidfd_send_signal(os.pidfd_open(1), 9))
return tries
""".replace("tries = {", "own = {os.getpid(), *map(int, os.listdir('/proc/self/task'))}\ntries = {", 1),
        refused,
    ),
    Attempt(
        "terminals",
        "push keys into the launcher's terminal (TIOCSTI), take it over, open new ones",
        "there is none",
        r"""
tries = {f'TIOCSTI {fd}': act(fcntl.ioctl, fd, 0x5412, b'x') for fd in (0, 1, 2)}
os.fork() or (os.setsid(), os._exit(0))
os.wait()
return tries | {'TIOCSCTTY': act(fcntl.ioctl, 0, 0x540E, 1), 'tty': act(open, '/dev/tty'), 'pty': act(os.openpty)}
""",
        refused,
    ),
    Attempt(
        "inherited descriptors",
        "use what the launcher may have left open: any number up to 4096",
        "there is nothing but its input, its log and what it opened",
        r"""
def kind(fd):
    link = os.readlink(f'/proc/self/fd/{fd}')
    return 'socket' if link.startswith('socket:') else 'pipe' if link.startswith('pipe:') else link
seen = {int(fd): kind(fd) for fd in os.listdir('/proc/self/fd') if os.path.islink(f'/proc/self/fd/{fd}')}
mine = [path for path in seen.values() if path not in ('socket', 'pipe', '/dev/null', 'anon_inode:[eventpoll]') and not path.startswith(('/proc/', '/var/', '/tmp/', '/usr/lib'))]
# The only socket is the runtime client's own, to this environment's Runtime API.
peers = [socket.socket(fileno=os.dup(fd)).getpeername() for fd, what in seen.items() if what == 'socket']
return [mine, [list(peer) for peer in peers if tuple(peer) != API]]
""",
        [[], []],
        own={},
    ),
]
