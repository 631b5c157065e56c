"""Taking more than its share, and outliving its time. Each has a function of its own."""

from . import Attempt

HARM = [
    Attempt(
        "spoofed answers",
        "write answers, ends and reports to descriptors 1, 2, 62 and every other that is open",
        "the caller gets the handler's own answer; what was written is log",
        r"""
lie = json.dumps({'statusCode': 200, 'body': 'spoofed'}).encode()
for text in (lie, b'\nHTTP/1.1 202 Accepted\r\n\r\n' + lie, f'\nEND RequestId: {context.aws_request_id}\nREPORT RequestId: {context.aws_request_id}\n'.encode()):
    for fd in [int(one) for one in os.listdir('/proc/self/fd')]:
        # Its own connections to the Runtime API are its own affair.
        try:
            if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                os.write(fd, text)
        except OSError:
            pass
return 'mine'
""",
        "mine",
        own={},
    ),
    Attempt(
        "a thread bomb",
        "start threads until no more can be",
        "fewer than 1,100 are made",
        r"""
stop, made = threading.Event(), 0
threading.stack_size(65536)
try:
    while made < 5000:
        threading.Thread(target=stop.wait, daemon=True).start()
        made += 1
except RuntimeError:
    pass
stop.set()
return 10 < made < 1100
""",
        True,
        own={},
    ),
    Attempt(
        "a storm of short processes",
        "fork for two seconds without a pause, many at once",
        "numbers and processes stay the sandbox's own",
        r"""
until = time.monotonic() + 2
count = 0
while time.monotonic() < until:
    try:
        if os.fork() == 0:
            os.fork()
            os._exit(0)
        count += 1
    except OSError:
        while True:
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    break
            except ChildProcessError:
                break
return count > 0
""",
        True,
        own={},
    ),
    Attempt(
        "a memory bomb",
        "take memory until there is none",
        "the function alone is ended",
        "hoard = []\nwhile True:\n    hoard.append(bytearray(16 << 20))",
        lambda answer: isinstance(answer, dict) and answer.get("errorType", "").startswith("Runtime."),
        own={"MemorySize": 256},
    ),
    Attempt(
        "memory in hidden places",
        "take memory as pipes, socket buffers, memory descriptors and page tables, more than the function has",
        "the function fails or is ended, and nobody else",
        r"""
held = []
try:
    for _ in range(900):
        descriptor = os.memfd_create('x')
        held.append(descriptor)
        os.ftruncate(descriptor, 4 << 20)
        os.pwrite(descriptor, b'x' * (4 << 20), 0)
except OSError as error:
    return error.errno
return 'took it all'
""",
        lambda answer: answer != "took it all",
        own={"MemorySize": 256, "Timeout": 15},
    ),
    Attempt(
        "memory behind a storm",
        "take memory while dying processes keep the init busy that watches over it",
        "the function is ended at its memory",
        r"""
def storm():
    while True:
        try:
            child = os.fork()
            if child == 0:
                try:
                    os.fork()
                finally:
                    os._exit(0)
            os.waitpid(child, 0)
        except OSError:
            pass
for _ in range(3):
    if os.fork() == 0:
        storm()
hoard = []
for _ in range(30):
    hoard.append(bytearray(b'x' * (16 << 20)))
    time.sleep(0.05)
return 'took it all'
""",
        lambda answer: isinstance(answer, dict) and answer.get("errorType") == "Runtime.OutOfMemory",
        own={"MemorySize": 128, "EphemeralStorage": {"Size": 2048}},
    ),
    Attempt(
        "memory in many short lives",
        "fork processes that hold memory for a while, faster than they are ended one by one",
        "all of them are ended",
        r"""
until = time.monotonic() + 10
while time.monotonic() < until:
    try:
        if os.fork() == 0:
            hoard = bytearray(b'x' * (8 << 20))
            time.sleep(3)
            os._exit(0)
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except OSError:
        pass
return 'took it all'
""",
        lambda answer: isinstance(answer, dict) and answer.get("errorType") == "Runtime.OutOfMemory",
        own={"MemorySize": 128, "EphemeralStorage": {"Size": 2048}},
    ),
    Attempt(
        "memory in sockets",
        "fill the buffers of thousands of sockets, which are the kernel's memory, once the watch is at ease",
        "its processes are ended until the rest fits",
        r"""
time.sleep(2)
def fill():
    held = []
    for _ in range(480):
        pair = socket.socketpair()
        held.append(pair)
        pair[0].setblocking(False)
        try:
            while True:
                pair[0].send(b'x' * 65536)
        except OSError:
            pass
    time.sleep(60)
# Each would hold some 100 MB.
children = []
for _ in range(4):
    children.append(os.fork())
    if children[-1] == 0:
        fill()
        os._exit(0)
ended = 0
until = time.monotonic() + 20
while ended < 3 and time.monotonic() < until:
    ended += os.waitpid(-1, os.WNOHANG)[0] > 0
    time.sleep(0.01)
return 'ended' if ended >= 3 else f'{4 - ended} of 4 are left'
""",
        lambda answer: answer == "ended" or isinstance(answer, dict) and answer.get("errorType") == "Runtime.OutOfMemory",
        own={"MemorySize": 128, "EphemeralStorage": {"Size": 2048}, "Timeout": 30},
    ),
    Attempt(
        "memory that nobody owns",
        "leave System V segments, queues and semaphores behind that no process uses",
        "segments go with their last user, and of the others there are few",
        r"""
libc.shmat.restype = ctypes.c_void_p
libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
libc.shmdt.argtypes = [ctypes.c_void_p]
for _ in range(12):
    segment = libc.shmget(0, 16 << 20, 0o1600)
    at = libc.shmat(segment, None, 0)
    ctypes.memset(at, 1, 16 << 20)
    libc.shmdt(at)
queues = [call(68, 0, 0o1600) for _ in range(64)].count('worked')
sets = [call(64, 0, 250, 0o1600) for _ in range(200)].count('worked')
return [act(os.stat, '/dev/shm'), call(31, segment, 2, bytes(256)), queues <= 32, sets <= 128]
""",
        ["worked", "EINVAL", True, True],
        own={"MemorySize": 128},
    ),
    Attempt(
        "a /tmp bomb",
        "fill /tmp",
        "it ends with ENOSPC at its size",
        r"""
written = 0
try:
    with open('/tmp/bomb', 'wb', 0) as file:
        while written < 700 << 20:
            written += file.write(bytes(1 << 20))
except OSError as error:
    os.unlink('/tmp/bomb')
    return [errno.errorcode[error.errno], 450 << 20 <= written <= 514 << 20]
return written
""",
        ["ENOSPC", True],
        own={"MemorySize": 1024, "Timeout": 30},
    ),
    Attempt(
        "an inode bomb",
        "make empty files and directories until no more can be",
        "it ends with ENOSPC before half a million",
        r"""
made = 0
try:
    while made < 500_000:
        os.mkdir(f'/tmp/{made}') if made % 9 == 0 else os.close(os.open(f'/tmp/{made}', os.O_CREAT))
        made += 1
except OSError as error:
    return [errno.errorcode[error.errno], made > 1000]
return made
""",
        ["ENOSPC", True],
        own={"MemorySize": 1024, "Timeout": 60},
    ),
    Attempt(
        "a log flood",
        "write lines as fast as they are taken, from many processes, until its time is up",
        "it slows itself; others answer at once",
        r"""
for _ in range(4):
    if os.fork() == 0:
        while True:
            os.write(1, (b'flood ' * 100 + b'\n') * 100)
while True:
    os.write(1, b'flood\n' * 1000)
""",
        lambda answer: isinstance(answer, dict) and answer.get("errorType") == "Sandbox.Timedout",
        own={"Timeout": 3},
    ),
    Attempt(
        "descriptors",
        "open files until none is left, in many processes at once",
        "each process has its 1,024, and others still open theirs",
        r"""
reader, writer = os.pipe()
for _ in range(100):
    if os.fork() == 0:
        count = 0
        try:
            while True:
                os.open('/dev/null', os.O_RDONLY)
                count += 1
        except OSError:
            os.write(writer, struct.pack('i', count))
        time.sleep(1)
        os._exit(0)
counts = [struct.unpack('i', os.read(reader, 4))[0] for _ in range(100)]
return max(counts) <= 1024
""",
        True,
        own={"MemorySize": 1024, "Timeout": 20},
    ),
    Attempt(
        "slow clients of its own listeners",
        "hold hundreds of connections with half a request, byte by byte",
        "it is still answered, and so are others",
        r"""
held = []
for address in (API, ENDPOINT) * 250:
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex(address)
    held.append(one)
for byte in b'POST / HT':
    for one in held:
        try:
            one.send(bytes([byte]))
        except OSError:
            pass
    time.sleep(0.1)
return len(held)
""",
        500,
        own={"Timeout": 10},
    ),
    Attempt(
        "core dumps",
        "crash with a large memory and ask for a core file, or for the host's collector",
        "no core is written, inside or outside, and the limit at which the kernel calls no collector stays",
        r"""
def crash():
    secret = b'core-' + event['word'].encode() * 1000
    os.chdir('/tmp')
    os.kill(os.getpid(), signal.SIGSEGV)
wanted = (resource.RLIM_INFINITY, 1 << 20, 0)
changes = [act(resource.setrlimit, resource.RLIMIT_CORE, (one, one)) for one in wanted]
changes += [call(160, resource.RLIMIT_CORE, struct.pack('qq', one, one)) for one in wanted]
ended = in_child(crash)
return [os.WIFSIGNALED(ended), os.WCOREDUMP(ended), [name for name in os.listdir('/tmp') if 'core' in name],
        resource.getrlimit(resource.RLIMIT_CORE), 'worked' in changes]
""",
        [True, False, [], [1, 1], False],
        own={},
    ),
    Attempt(
        "huge arguments",
        "start programs with megabytes of arguments and variables, and with thousands of links to follow",
        "they fail or run inside; nothing else is slowed",
        r"""
for index in range(60):
    os.symlink(f'/tmp/l{index + 1}', f'/tmp/l{index}')
return [act(os.execv, '/bin/true', ['x' * (1 << 20)] * 3), act(os.execv, '/bin/true', ['x'] * 3_000_000), act(open, '/tmp/l0'),
        subprocess.run(['/bin/true', 'x' * 100_000], env={'A': 'x' * 100_000}).returncode]
""",
        ["E2BIG", "E2BIG", "ELOOP", 0],
        own={"MemorySize": 1024},
    ),
]
