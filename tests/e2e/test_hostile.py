"""Functions, packages and clients that mean harm: what they try fails, and the others notice nothing."""

import io
import os
import stat
import struct
import subprocess
import threading
import urllib.error
import urllib.request
import warnings
import zipfile

import pytest
from botocore.exceptions import ClientError

from samovar import PYTHON, ROLE, Samovar, create, invoke, messages, until, wait_active

OTHER_ACCOUNT = "111111111111"

# Inside a function: one request to the Runtime API over a connection of its own.
API = """
import ctypes, fcntl, json, os, signal, socket, struct, sys, threading, time

def ask(request, port=9001):
    with socket.create_connection(('169.254.100.1', port), timeout=3) as connection:
        try:
            connection.sendall(request)
            return int((connection.recv(65536) or b'- 0').split()[1])
        except OSError:
            return 0

def api(method, path, body=b''):
    head = f'{method} /2018-06-01/runtime/{path} HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n'
    return ask(head.encode() + body)

def attempt(act, *arguments):
    try:
        return act(*arguments)
    except Exception as error:
        return type(error).__name__

"""


def handler(body):
    """A function's source with the helpers above."""
    return API + "def handler(event, context):\n" + "".join(f"    {line}\n" for line in body.strip("\n").split("\n"))


@pytest.fixture(scope="module")
def neighbour(server):
    """Asserts that a function which did nothing wrong still runs, and at once."""
    lam = server.client("lambda")
    create(lam, "hostile-neighbour", "def handler(e, c):\n    return 'well'\n", Timeout=3)

    def check():
        assert invoke(lam, "hostile-neighbour")["payload"] == "well"

    return check


# Each: what the handler does, and what `payload` or `errorType` comes back.
ATTACKS = {
    "answers for others": (
        """
ids = ['nope', '.x.', '00000000-0000-0000-0000-000000000000', '%00', 'a' * 9000]
return [api('POST', f'invocation/{one}/response', b'1') for one in ids] + [api('POST', 'init/error', b'{}')]
""",
        [400, 400, 400, 400, 400, 403],
    ),
    "answers twice": (
        """
mine = f'invocation/{context.aws_request_id}'
first = api('POST', mine + '/response', b'"first"')
print([first, api('POST', mine + '/response', b'2'), api('POST', mine + '/error', b'3')])
return 'last'
""",
        "first",
    ),
    "broken requests": (
        """
start = b'POST /2018-06-01/runtime/invocation/x/response HTTP/1.1\\r\\nHost: x\\r\\n'
return [ask(request) for request in (
    b'GET /2018-06-01/ping HTTP/1.1\\r\\nHost: x\\r\\nA: ' + b'a' * 300000 + b'\\r\\n\\r\\n',
    b'GET /2018-06-01/ping HTTP/1.1\\r\\nHost: x\\r\\n' + b'h: 1\\r\\n' * 5000 + b'\\r\\n',
    b'\\x16\\x03\\x01' * 99 + b'\\r\\n\\r\\n',
    start + b'Content-Length: 99999999999999999999\\r\\n\\r\\n',
    start + b'Transfer-Encoding: chunked\\r\\n\\r\\nzz\\r\\n')]
""",
        [431, 431, 400, 400, 400],
    ),
    "broken requests to the AWS endpoint": (
        """
start = b'POST /2015-03-31/functions HTTP/1.1\\r\\nHost: x\\r\\n'
return [ask(request, 4566) for request in (
    b'GET / HTTP/1.1\\r\\nHost: x\\r\\nA: ' + b'a' * 300000 + b'\\r\\n\\r\\n',
    start + b'Content-Length: 99999999999999999999\\r\\n\\r\\n',
    start + b'Content-Length: 5\\r\\nContent-Length: 6\\r\\n\\r\\n',
    b'GET /_samovar/health HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n',
    b'POST /_samovar/reset HTTP/1.1\\r\\nHost: localhost\\r\\nX-Samovar-Reset: yes\\r\\n\\r\\n')]
""",
        [431, 400, 400, 403, 403],
    ),
    "hundreds of connections": (
        """
held = []
for port in (9001, 4566):
    for _ in range(400):
        held.append(socket.socket())
        held[-1].setblocking(False)
        held[-1].connect_ex(('169.254.100.1', port))
return len(held)
""",
        800,
    ),
    "requests without reading the answers": (
        """
socket_ = socket.create_connection(('169.254.100.1', 9001))
socket_.settimeout(0.2)
sent = 0
try:
    while sent < 64 << 20:
        sent += socket_.send(b'GET /2018-06-01/ping HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' * 1000)
except TimeoutError:
    pass
return sent < 64 << 20
""",
        True,
    ),
    "garbage in the log": (
        """
for _ in range(64):
    os.write(1, os.urandom(65536))
return 'written'
""",
        "written",
    ),
    "a line without end": (
        """
for _ in range(80):
    os.write(1, b'x' * 65536)
return 'written'
""",
        "written",
    ),
    "frames that lie": (
        """
for moment in (0, -1, 2**63 - 1, -2**63, 9 * 10**15):
    os.write(62, b'\\xa5\\x5a\\x00\\x03' + struct.pack('>Iq', 3, moment) + b'lie')
for length in (2**24, 2**32 - 1):
    os.write(62, b'\\xa5\\x5a\\x00\\x03' + struct.pack('>Iq', length, 0) + b'short')
return 'written'
""",
        "written",
    ),
    "reading its own log": (
        """
reader = os.open('/proc/self/fd/1', os.O_RDWR | os.O_NONBLOCK)
print('mine')
return attempt(os.read, reader, 9) in (b'mine\\n', 'BlockingIOError')
""",
        True,
    ),
    "no standard output": ("os.close(1)\nos.close(2)\nreturn 'closed'", "closed"),
    "stopping itself": ("os.kill(os.getpid(), signal.SIGSTOP)", "Sandbox.Timedout"),
    "a fork bomb": ("while True:\n    attempt(os.fork)", "Sandbox.Timedout"),
    "memory taken by children": (
        """
children = []
for _ in range(6):
    children.append(os.fork())
    if children[-1] == 0:
        hoard = [bytearray(1 << 20) for _ in range(4096)]
return [os.waitpid(child, 0)[1] for child in children]
""",
        [9] * 6,
    ),
    "filling shared memory": (
        """
file = open('/dev/shm/x', 'wb', 0)
try:
    while True:
        file.write(b'x' * 65536)
except OSError as error:
    return error.errno, os.stat('/dev/shm/x').st_size
""",
        [28, 64 << 20],
    ),
    "daemons that hold the log": (
        """
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                os.write(1, b'still here\\n')
                time.sleep(0.05)
        os._exit(0)
os._exit(7)
""",
        "Runtime.ExitError",
    ),
    "keys and kernel doors": (
        """
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    ctypes.set_errno(0)
    return ctypes.get_errno() if libc.syscall(*arguments) < 0 else 'worked'
# keyctl, add_key, request_key, setns, ptrace, bpf, userfaultfd, open_by_handle_at; then clone3 and io_uring.
return [call(250, 0, -3, 0), call(248, b'user', b'a', b'b', 1, -3), call(249, b'user', b'a', 0, -3), call(308, 0, 0),
        call(101, 16, 1, 0, 0), call(321, 0, 0, 0), call(323, 0), call(304, -100, 0, 0), call(435, 0, 0), call(425, 1, 0)]
""",
        [1] * 8 + [38, 38],
    ),
    "looking around": (
        """
def seen(path):
    return attempt(os.listdir, path) if os.path.isdir(path) else attempt(lambda: open(path).read()[:20])
pids = [name for name in os.listdir('/proc') if name.isdigit()]
writable = sorted({line.split()[4] for line in open('/proc/self/mountinfo') if line.split()[5].split(',')[0] == 'rw'})
sockets = [line for line in open('/proc/net/unix')][1:]
return [pids == [str(os.getpid())], writable, len(sockets), sorted(os.listdir('/proc/self/fd'))[-1], seen('/proc/1/environ'),
        seen('/proc/keys'), seen('/etc/shadow'), seen('/sys'), seen('/run'), seen('/home')]
""",
        [True, ["/dev/shm", "/proc", "/tmp"], 0, "62", "FileNotFoundError", "", "FileNotFoundError", ["devices"], [], []],
    ),
    "the way out": (
        """
def reach(family, address):
    with socket.socket(family) as probe:
        probe.settimeout(1)
        return attempt(probe.connect, address)
return [reach(socket.AF_INET, ('127.0.0.1', event['port'])), reach(socket.AF_INET, ('10.0.0.1', 80)),
        reach(socket.AF_INET, ('169.254.169.254', 80)), reach(socket.AF_UNIX, '\\0host'), attempt(socket.socket, 17, 3),
        attempt(socket.socket, socket.AF_INET, socket.SOCK_RAW, 1), attempt(socket.socket, 40, 1)]
""",
        ["ConnectionRefusedError", "OSError", "OSError", "ConnectionRefusedError", "OSError", "PermissionError", "OSError"],
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_harms_nobody_else(server, lam, neighbour, name, attack):
    body, expected = ATTACKS[attack]
    create(lam, name, handler(body), Timeout=2 if expected == "Sandbox.Timedout" else 10, MemorySize=1024)
    payload = invoke(lam, name, {"port": server.port})["payload"]
    assert (payload["errorType"] if isinstance(payload, dict) else payload) == expected
    neighbour()


MOMENTS = {
    "after the answer": "api('POST', f'invocation/{context.aws_request_id}/response', b'true')\nos.kill(os.getpid(), 9)",
    "while it waits for work": "threading.Timer(0.02, os.kill, (os.getpid(), 9)).start()\nreturn True",
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_death_at_an_odd_moment_costs_one_runtime(lam, neighbour, name, moment):
    dies = "\n".join(f"    {line}" for line in MOMENTS[moment].split("\n"))
    create(lam, name, handler(f"if event.get('die'):\n{dies}\nreturn os.getpid()"))
    for _ in range(3):
        assert invoke(lam, name, {"die": True})["payload"] is True
    # One that was dying took no later call with it.
    until(lambda: isinstance(invoke(lam, name)["payload"], int), 5)
    neighbour()


def test_what_is_written_after_the_answer_is_logged_and_still_before_the_end(lam, name):
    create(lam, name, handler("api('POST', f'invocation/{context.aws_request_id}/response', b'1')\nprint('late')"))
    answer = invoke(lam, name, LogType="Tail")
    assert answer["payload"] == 1
    assert answer["log"].split("\n")[1] == "late"


def test_a_pipe_that_was_made_larger_is_still_read_to_its_end(lam, name):
    # 1031 is F_SETPIPE_SZ.
    create(lam, name, handler(
        "fcntl.fcntl(1, 1031, 1 << 20)\nos.write(1, (b'x' * 1023 + b'\\n') * 1000 + b'LAST\\n')\nreturn 1"
    ))
    lines = invoke(lam, name, LogType="Tail")["log"].split("\n")
    assert lines[-4] == "LAST" and lines[-3].startswith("END ")


def test_a_flood_of_empty_lines_takes_little_memory(fresh, name):
    server = fresh()
    lam = server.client("lambda")
    create(lam, name, handler("for _ in range(16):\n    os.write(1, b'\\n' * 65536)"), Timeout=15)
    invoke(lam, name)
    peak = next(line for line in open(f"/proc/{server.server_pid()}/status") if line.startswith("VmHWM"))
    assert int(peak.split()[1]) < 64 << 10


def test_one_function_cannot_keep_others_from_sending_large_requests(lam, name):
    hog = """
head = ('POST /2015-03-31/functions HTTP/1.1\\r\\nHost: x\\r\\nAuthorization: AWS4-HMAC-SHA256 Credential=000000000000/'
        '20261121/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=00\\r\\nContent-Length: 70000000\\r\\n\\r\\n{')
held = [socket.create_connection(('169.254.100.1', 4566)) for _ in range(16)]
for connection in held:
    connection.sendall(head.encode())
print('held', flush=True)
time.sleep(60)
"""
    sender = """
head = ('POST /2015-03-31/functions/none/invocations HTTP/1.1\\r\\nHost: x\\r\\nAuthorization: AWS4-HMAC-SHA256 Credential=0000'
        '00000000/20261121/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=00\\r\\nContent-Length: 500000\\r\\n\\r\\n')
return ask(head.encode() + b'"' + b'x' * 499998 + b'"', 4566)
"""
    create(lam, name + "-hog", handler(hog), Timeout=6)
    create(lam, name, handler(sender), Timeout=5)
    hogging = threading.Thread(target=invoke, args=(lam, name + "-hog"))
    hogging.start()
    assert invoke(lam, name)["payload"] == 404
    until(lambda: invoke(lam, name)["payload"] == 404, 3)
    hogging.join()


class TestPackages:
    """Archives that go through the confined helper of a real server."""

    LINK = 0o120777
    CODE = ("index.py", "import os\ndef handler(e, c):\n    return sorted(os.listdir('.'))\n", 0o100644)

    @staticmethod
    def archive(*entries, compression=zipfile.ZIP_DEFLATED):
        buffer = io.BytesIO()
        with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", compression) as archive:
            warnings.simplefilter("ignore")
            for path, content, mode in entries:
                info = zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0))
                info.compress_type, info.create_system, info.external_attr = compression, 3, mode << 16
                archive.writestr(info, content)
        return buffer.getvalue()

    @staticmethod
    def many(count, name, last=()):
        files = [(name % number, b"", 0o100644) for number in range(count)]
        return TestPackages.archive(*files, *last, compression=zipfile.ZIP_STORED)

    @staticmethod
    def directory_of(entries):
        """An archive that is nothing but its list of contents, of the 64-bit kind."""
        entry = struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, *[0] * 7, 1, *[0] * 6) + b"a"
        body = entry * min(entries, 600_000)
        end = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, entries, entries, len(body), 0)
        locator = struct.pack("<IIQI", 0x07064B50, 0, len(body), 1)
        return body + end + locator + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, *[0xFFFF] * 2, *[0xFFFFFFFF] * 2, 0)

    REFUSED = {
        "through a link": lambda t: t.archive(t.CODE, ("d", "/tmp", t.LINK), ("d/x", "evil", 0o100644)),
        "to the parent": lambda t: t.archive(t.CODE, ("../x", "evil", 0o100644)),
        "to the root": lambda t: t.archive(t.CODE, ("/etc/cron.d/x", "evil", 0o100644)),
        "a device": lambda t: t.archive(t.CODE, ("disk", "", 0o060666)),
        "a fifo": lambda t: t.archive(t.CODE, ("fifo", "", 0o010666)),
        "a long name": lambda t: t.archive(t.CODE, ("n" * 256, "x", 0o100644)),
        "a deep tree": lambda t: t.archive(t.CODE, ("/".join(["d"] * 129) + "/x", "x", 0o100644)),
        "deep trees": lambda t: t.many(99, "%d/" + "d/" * 119 + "x", [("../x", "", 0o100644)]),
        "too many entries": lambda t: t.many(200_001, "%d"),
        "a long list of contents": lambda t: t.directory_of(600_000),
        "a list that lies": lambda t: t.directory_of(2**62)[-98:],
        "a bomb": lambda t: t.archive(*((f"b{n}", bytes(60 << 20), 0o100644) for n in range(5))),
        "noise": lambda t: os.urandom(100_000),
    }

    @pytest.mark.parametrize("archive", REFUSED)
    def test_a_hostile_archive_is_refused_and_leaves_nothing(self, server, lam, neighbour, name, archive):
        zipped = self.REFUSED[archive](type(self))
        with pytest.raises(ClientError) as caught:
            lam.create_function(FunctionName=name, Runtime=PYTHON, Handler="index.handler", Role=ROLE,
                                Code={"ZipFile": zipped})
        assert caught.value.response["Error"]["Code"] == "InvalidParameterValueException"
        assert caught.value.response["Error"]["Message"].startswith(("Could not unzip", "Unzipped size must be smaller"))
        until(lambda: not leftovers(server), 60)
        neighbour()

    def test_links_lead_nowhere_outside(self, lam, name):
        links = {"shadow": "/etc/shadow", "up": "../../../../../../boot", "init": "/proc/1/environ", "index.py.x": "index.py"}
        entries = [self.CODE, *((path, target, self.LINK) for path, target in links.items()), ("su", "x", 0o106755)]
        code = "import os\ndef handler(e, c):\n    return [os.path.exists(p) for p in %r] + [os.stat('su').st_mode & 0o7777]\n"
        entries[0] = ("index.py", code % list(links), 0o100644)
        lam.create_function(FunctionName=name, Runtime=PYTHON, Handler="index.handler", Role=ROLE,
                            Code={"ZipFile": self.archive(*entries)})
        wait_active(lam, name)
        assert invoke(lam, name)["payload"] == [False, False, False, True, 0o755]

    def test_the_later_of_two_entries_replaces_a_link_and_not_its_target(self, lam, name):
        lam.create_function(
            FunctionName=name, Runtime=PYTHON, Handler="index.handler", Role=ROLE,
            Code={"ZipFile": self.archive(("index.py", "/var/runtime/python/bootstrap.py", self.LINK), self.CODE)},
        )
        wait_active(lam, name)
        assert invoke(lam, name)["payload"] == ["index.py"]

    def test_a_directory_of_many_directories_is_cleared(self, server, lam, name):
        zipped = self.many(5_000, "%d/", [("../x", b"", 0o100644)])
        with pytest.raises(ClientError):
            lam.create_function(FunctionName=name, Runtime=PYTHON, Handler="index.handler", Role=ROLE,
                                Code={"ZipFile": zipped})
        until(lambda: not leftovers(server), 20)


def leftovers(server):
    """Directories of code that are half made or half removed."""
    return [entry for entry in os.listdir(server.data_dir / "code") if entry.startswith((".part-", ".gone-"))]


def test_a_function_is_itself_at_its_endpoint_whatever_it_shows(server, lam, name):
    theirs = server.client("lambda", account=OTHER_ACCOUNT)
    create(theirs, name, "def handler(e, c):\n    print('secret')\n    return 'secret'\n")
    assert invoke(theirs, name)["payload"] == "secret"
    code = """
import boto3
def refusal(act):
    try:
        return act() and 'done'
    except Exception as error:
        return error.response['Error']['Code']
def handler(event, context):
    name, account = event['name'], event['account']
    arn = f'arn:aws:lambda:us-east-1:{account}:function:{name}'
    group = f'arn:aws:logs:us-east-1:{account}:log-group:/aws/lambda/{name}'
    as_them = boto3.client('lambda', aws_access_key_id=account, aws_secret_access_key='x')
    mine, logs = boto3.client('lambda'), boto3.client('logs')
    return [
        refusal(lambda: as_them.get_function(FunctionName=name)),
        refusal(lambda: mine.invoke(FunctionName=arn)),
        refusal(lambda: mine.get_function(FunctionName=arn)),
        refusal(lambda: mine.update_function_configuration(FunctionName=arn, Timeout=9)),
        refusal(lambda: mine.delete_function(FunctionName=f'{account}:function:{name}')),
        refusal(lambda: logs.filter_log_events(logGroupIdentifier=group)),
        [f['FunctionName'] for f in as_them.list_functions()['Functions']].count(context.function_name),
    ]
"""
    create(lam, name + "-spy", code, Timeout=10, MemorySize=1024)
    payload = invoke(lam, name + "-spy", {"name": name, "account": OTHER_ACCOUNT})["payload"]
    assert payload == ["ResourceNotFoundException", *["AccessDeniedException"] * 4, "ResourceNotFoundException", 1]


def test_an_account_cannot_reach_into_another_by_arn(server, lam, logs, name):
    theirs = server.client("lambda", account=OTHER_ACCOUNT)
    create(theirs, name, "def handler(e, c):\n    return 1\n")
    invoke(theirs, name)
    arn = f"arn:aws:lambda:us-east-1:{OTHER_ACCOUNT}:function:{name}"
    for call in (
        lambda: lam.invoke(FunctionName=arn),
        lambda: lam.get_function(FunctionName=arn),
        lambda: lam.update_function_code(FunctionName=arn, ZipFile=b"x"),
        lambda: lam.delete_function(FunctionName=arn),
        lambda: logs.get_log_events(
            logGroupIdentifier=f"arn:aws:logs:us-east-1:{OTHER_ACCOUNT}:log-group:/aws/lambda/{name}", logStreamName="x"
        ),
    ):
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] in ("AccessDeniedException", "ResourceNotFoundException")
    assert messages(logs, name) == []


def test_a_code_link_is_good_for_its_package_and_method_only(server, lam, name):
    create(lam, name, f"# {name}\ndef handler(e, c):\n    return 1\n")
    create(lam, name + "b", f"# {name} b\ndef handler(e, c):\n    return 2\n")
    link, other = (lam.get_function(FunctionName=each)["Code"]["Location"] for each in (name, name + "b"))
    path, query = link.split("?")

    def status(url, method="GET"):
        try:
            return urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=5).status
        except urllib.error.HTTPError as error:
            return error.code

    assert status(link) == 200
    for forged in (path, f"{other.split('?')[0]}?{query}", link.replace("Expires=1", "Expires=2"), link[:-1]):
        assert status(forged) == 403, forged
    assert status(link, "PUT") in (403, 405) and status(link, "DELETE") in (403, 405)


def test_nobody_else_on_the_host_can_read_the_data_directory(server):
    data = server.data_dir
    assert stat.S_IMODE(os.stat(data).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(data / "keys").st_mode) == 0o700
    assert stat.S_IMODE(os.stat(data / "keys/master.key").st_mode) == 0o600
    for directory in (data / "store", data / "blobs"):
        assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    assert subprocess.run(["/bin/ls", str(data)], capture_output=True, **nobody).returncode != 0


def test_a_terminal_that_has_gone_stops_nothing(tmp_path):
    """The server's messages go to a pipe that nobody reads any more, as under `samovar serve | head`."""
    server = Samovar(tmp_path / "data")
    reader, writer = os.pipe()
    command = [os.environ["SAMOVAR_TEST_BINARY"], "serve", "--listen", f"127.0.0.1:{server.port}", "--data-dir",
               str(server.data_dir)]
    server.process = subprocess.Popen(command, stdout=writer, stderr=writer, env={**os.environ, "SAMOVAR_LOG": "trace"})
    os.close(writer)
    server.output = lambda: ""
    try:
        until(server.healthy, 20)
        os.close(reader)
        lam = server.client("lambda")
        create(lam, "f", "def handler(e, c):\n    return 1\n")
        assert invoke(lam, "f")["payload"] == 1
        assert server.stop() == 0
    finally:
        server.process.kill()
        server.process.wait(10)


def test_a_disk_that_logs_would_fill_costs_log_lines_only(tmp_path):
    """What cannot be compressed fills the disk but for what everything else needs."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(disk)], check=True)
    server = Samovar(disk / "data")
    try:
        server.start()
        lam = server.client("lambda")
        create(lam, "f", "def handler(e, c):\n    print('line')\n    return 1\n")
        create(lam, "flood", handler("for _ in range(600):\n    os.write(1, os.urandom(32 << 10).hex().encode() + b'\\n')\nreturn 2"), Timeout=20)
        assert invoke(lam, "flood")["payload"] == 2
        assert [invoke(lam, "f")["payload"] for _ in range(3)] == [1, 1, 1]
        create(lam, "later", "def handler(e, c):\n    return 3\n")
        assert invoke(lam, "later")["payload"] == 3
        assert server.stop() == 0
    finally:
        server.process.kill()
        server.process.wait(10)
        subprocess.run(["umount", "-l", str(disk)], check=True)
