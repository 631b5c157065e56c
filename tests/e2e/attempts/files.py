"""Files, devices and the process file system: what is not the function's own."""

from . import Attempt, refused

FILES = [
    Attempt(
        "read the host's files",
        "read what the host has in /root, /home, /etc, /var, /boot, the data directory, by path and by `..`",
        "none of it is there",
        r"""
paths = ['/etc/shadow', '/etc/ssh', '/etc/machine-id', '/etc/sudoers', '/root/.ssh', '/root/.aws', '/home', '/boot', '/var/log', '/var/lib',
         '/host', '/code', '/old', '/.oldroot', '/var/run/docker.sock', '/run/systemd', '/sys/kernel', '/proc/kcore', '/lost+found',
         event['data'], event['secret']]
up = ['/tmp/' + '../' * 40 + event['secret'].lstrip('/'), '/proc/self/cwd/../../../' + event['secret'].lstrip('/')]
return [path for path in paths + up if os.path.isfile(path) or (os.path.isdir(path) and os.listdir(path))]
""",
        [],
    ),
    Attempt(
        "find another's secret",
        "look through every file and variable there is for the words that another function's code and environment hold",
        "they are nowhere",
        r"""
found = []
for directory, names, files in walk('/', ('/usr', '/lib', '/lib64', '/bin', '/sbin', '/sys', '/opt', '/root')):
    for name in files:
        path = os.path.join(directory, name)
        # What this very process was given holds the word that is looked for.
        if path.startswith('/proc/') and not path.endswith(('environ', 'cmdline', 'comm', 'mountinfo', 'maps')):
            continue
        if not stat.S_ISREG(os.lstat(path).st_mode if os.path.lexists(path) else 0):
            continue
        if event['word'] in read(path, 1 << 20):
            found.append(path)
return found
""",
        [],
    ),
    Attempt(
        "write outside of /tmp",
        "make files in every directory, and open every file for writing",
        "only /tmp, /dev/shm and harmless devices can be written",
        r"""
places = set()
for directory, names, files in walk('/', ('/proc', '/sys')):
    if directory.count('/') > 4:
        names[:] = []
    try:
        path = os.path.join(directory, '.probe')
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
        os.unlink(path)
        places.add(directory)
    except OSError:
        pass
    places.update(path for path in (os.path.join(directory, name) for name in files) if not os.path.islink(path) and writable(path))
return sorted(place for place in places if not place.startswith(('/tmp/', '/dev/shm/')))
""",
        ["/dev/full", "/dev/null", "/dev/random", "/dev/shm", "/dev/urandom", "/dev/zero", "/tmp"],
    ),
    Attempt(
        "write the kernel's settings",
        "open everything in /proc/sys and the triggers of /proc for writing: core_pattern, modprobe, sysrq, drop_caches",
        "none can be written",
        r"""
open_ = [os.path.join(directory, name) for directory, _, files in walk('/proc/sys') for name in files]
open_ += [f'/proc/{name}' for name in os.listdir('/proc') if not name.isdigit() and name not in ('self', 'thread-self')]
def takes(path):
    # Some can be opened and refuse what is written.
    def put():
        with open(path, 'r+b', 0) as file:
            file.write(file.read(4096) or b'0')
    return act(put) == 'worked'
return [path for path in open_ if os.path.isfile(path) and writable(path) and takes(path)]
""",
        [],
    ),
    Attempt(
        "write its own standing",
        "lower its OOM score, map users, change its audit id and control group through /proc/self",
        "every change is refused",
        r"""
def put(name, text):
    def write():
        with open(f'/proc/self/{name}', 'w') as file:
            file.write(text)
    return act(write)
return {'uid_map': put('uid_map', '0 0 1'), 'gid_map': put('gid_map', '0 0 1'), 'oom_score_adj': put('oom_score_adj', '-1000'),
        'oom_adj': put('oom_adj', '-17'), 'loginuid': put('loginuid', '0'), 'projid_map': put('projid_map', '0 0 1')}
""",
        refused,
    ),
    Attempt(
        "overwrite a running program",
        "open the interpreter for writing through /proc/self/exe and /proc/1/exe, also after it has gone (the runc hole)",
        "neither can be written or seen",
        r"""
handle = os.open('/proc/self/exe', 0x200000)
tries = {'exe': act(open, '/proc/self/exe', 'r+b'), 'exe by handle': act(open, f'/proc/self/fd/{handle}', 'r+b'),
         'exe of 1': act(open, '/proc/1/exe', 'rb'), 'link of 1': act(os.readlink, '/proc/1/exe')}
ended = subprocess.Popen(['/bin/true'])
late = act(os.open, f'/proc/{ended.pid}/exe', 0x200000)
ended.wait()
script = f"import os, time\ntime.sleep(.1)\ntry:\n    os.open('/proc/self/fd/{handle}', os.O_WRONLY)\n    print('worked')\nexcept OSError as e:\n    print(e.errno)"
tries['exe from another'] = subprocess.run([sys.executable, '-c', script], pass_fds=[handle], capture_output=True, text=True).stdout.strip()
return tries
""",
        refused,
    ),
    Attempt(
        "patch a shared program in memory",
        "write its read-only code through /proc/self/mem and a private mapping",
        "the file stays as it was, for this function and for all",
        r"""
with open('/var/task/index.py', 'rb') as file:
    before = file.read()
    pages = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
    shared = act(mmap.mmap, file.fileno(), 0, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    address = next(int(line.split('-')[0], 16) for line in open('/proc/self/maps') if 'index.py' in line)
    with open('/proc/self/mem', 'r+b', 0) as memory:
        memory.seek(address)
        wrote = act(memory.write, b'# overwritten')
    pages.close()
return [shared, open('/var/task/index.py', 'rb').read() == before]
""",
        lambda seen: seen == ["EACCES", True],
    ),
    Attempt(
        "the root of pid 1",
        "walk through /proc/1/root, cwd, fd, map_files, environ, and every other process there is",
        "nothing but its own processes is there",
        r"""
tries = {name: act(os.listdir, f'/proc/1/{name}') for name in ('root', 'cwd', 'fd', 'map_files', 'task', 'ns')}
tries |= {name: act(open, f'/proc/1/{name}') for name in ('environ', 'cmdline', 'maps', 'stack', 'mem', 'auxv', 'status')}
others = [name for name in os.listdir('/proc') if name.isdigit() and int(name) != os.getpid()]
tries['others'] = ','.join(others) or 'none'
return {name: 'worked' if name == 'others' and result != 'none' else result for name, result in tries.items()}
""",
        refused,
    ),
    Attempt(
        "devices",
        "open memory, disks, consoles, loop and virtual machine devices; make nodes of them",
        "there are null, zero, full, random and urandom; no node can be made",
        r"""
here = sorted(name for name in os.listdir('/dev') if not os.path.islink(f'/dev/{name}') and name != 'shm')
tries = {str(number): act(os.mknod, f'/tmp/node{index}', kind | 0o666, os.makedev(*number))
         for index, (kind, number) in enumerate([(stat.S_IFCHR, (1, 1)), (stat.S_IFCHR, (1, 11)), (stat.S_IFBLK, (8, 0)), (stat.S_IFBLK, (254, 0)),
                                                 (stat.S_IFCHR, (10, 237)), (stat.S_IFCHR, (1, 3))])}
tries['loop ioctl'] = act(fcntl.ioctl, os.open('/dev/zero', os.O_RDWR), 0x4C82, 0)
for path in ('mem', 'kmem', 'port', 'kmsg', 'tty', 'console', 'ptmx', 'fuse', 'kvm', 'net/tun', 'loop-control', 'vda', 'sda', 'vhost-net'):
    tries[path] = act(open, f'/dev/{path}', 'rb')
return [here, [name for name, result in tries.items() if result == 'worked']]
""",
        [["full", "null", "random", "urandom", "zero"], []],
    ),
    Attempt(
        "hard links and capabilities",
        "link the host's files into /tmp; give a file capabilities or trusted attributes",
        "every call is refused",
        r"""
os.close(os.open('/tmp/mine', os.O_CREAT | os.O_WRONLY))
capability = struct.pack('<IIIII', 0x02000001, 0xffffffff, 0, 0xffffffff, 0)
return {'link passwd': act(os.link, '/etc/passwd', '/tmp/passwd'), 'link code': act(os.link, '/var/task/index.py', '/tmp/code'),
        'link env': act(os.link, '/usr/bin/env', '/tmp/env'), 'capability': act(os.setxattr, '/tmp/mine', 'security.capability', capability),
        'trusted': act(os.setxattr, '/tmp/mine', 'trusted.overlay.opaque', b'y'), 'chown': act(os.chown, '/tmp/mine', 0, 0)}
""",
        refused,
    ),
    Attempt(
        "programs that become root",
        "run the host's set-user-id programs, and one of its own making",
        "none of them gains a user or a right",
        r"""
import shutil
found = [os.path.join(directory, name) for directory in ('/usr/bin', '/usr/sbin', '/bin') for name in os.listdir(directory)
         if os.stat(os.path.join(directory, name)).st_mode & 0o6000 and os.path.isfile(os.path.join(directory, name))]
shutil.copy('/bin/sleep', '/tmp/sleep')
os.chmod('/tmp/sleep', 0o6755)
gained = []
for path in found + ['/tmp/sleep']:
    one = subprocess.Popen([path, '1000000'], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # Some, as ssh-agent, soon hide what they are from their own user.
    status = read(f'/proc/{one.pid}/status').splitlines()
    seen = [line.split()[1:5] for line in status if line.startswith(('Uid', 'Gid'))]
    rights = [line.split()[1] for line in status if line.startswith(('CapEff', 'CapPrm'))]
    if any(number not in ('993', '990') for ids in seen for number in ids) or int(''.join(rights) or '0', 16):
        gained.append([path, seen, rights])
    one.kill()
    one.wait()
nosuid = all('nosuid' in line.split()[5] for line in open('/proc/self/mountinfo') if not line.split()[4] == '/')
return [gained, nosuid]
""",
        [[], True],
    ),
    Attempt(
        "links in /tmp that lead out",
        "leave links to the host's files and directories where somebody may follow them",
        "they lead nowhere inside, and nobody outside follows them",
        r"""
leads = []
for index, target in enumerate([event['secret'], event['data'], '/proc/1/root/etc/shadow', '../../../../../..' + event['secret'], '/tmp/loop0']):
    os.symlink(target, f'/tmp/loop{index}')
    if os.path.exists(f'/tmp/loop{index}'):
        leads.append(target)
os.symlink(os.path.dirname(event['secret']), '/tmp/directory')
return leads
""",
        [],
        own={},
    ),
    Attempt(
        "what mounts tell",
        "read the mount table for the paths of others' code and of the host's people",
        "it names no other function's code",
        r"""
lines = open('/proc/self/mountinfo').read()
return event['other'] in lines or '/home/' in lines
""",
        False,
    ),
]
