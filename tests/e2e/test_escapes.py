"""The escape suite: what a hostile function or package tries, and that nothing came of it.

Attempts are tables in `attempts/`. SECURITY.md lists every one of them; `test_security_page_lists_these_attempts`
compares. After each, `Canaries.check` looks from outside whether anything of the host or of others was reached.
"""

import os
import pathlib
import re
import secrets
import socket
import stat
import threading
import warnings

import pytest
from botocore.exceptions import ClientError

from attempts import PROBE
from attempts.canaries import Canaries, processes
from attempts.files import FILES
from attempts.harm import HARM
from attempts.host import HOST
from attempts.itself import ITSELF
from attempts.kernel import KERNEL
from attempts.packages import PACKAGES
from attempts.probers import PROBERS
from samovar import PYTHON, ROLE, create, invoke, until, wait_active, zip_of

HERE = pathlib.Path(__file__).parent
GROUPS = {
    "The kernel": KERNEL,
    "Files": FILES,
    "Itself": ITSELF,
    "The host": HOST,
    "More than its share": HARM,
    "Probers that others wrote": PROBERS,
}
ATTEMPTS = {attempt.name: attempt for group in GROUPS.values() for attempt in group}
SCENARIOS = {}

# Attempts that other files hold: name, what is tried, what must hold, file and test.
ELSEWHERE = [
    ("a fork bomb", "fork without end", "the function times out, others answer", "test_hostile.py", "a fork bomb"),
    ("a /dev/shm bomb", "fill /dev/shm", "it ends with ENOSPC at 64 MB", "test_hostile.py", "filling shared memory"),
    ("children that take memory", "take memory in six children at once", "those alone are ended", "test_hostile.py", "memory taken by children"),
    ("forged answers", "answer other invocations, twice, and with broken HTTP", "all are refused", "test_hostile.py", "answers for others"),
    ("hundreds of connections", "open hundreds of connections to its listeners", "others are served", "test_hostile.py", "hundreds of connections"),
    ("answers that nobody reads", "send requests without reading the answers", "the sender is stopped", "test_hostile.py", "requests without reading the answers"),
    ("forged log frames", "write frames that lie about length and time", "they are log, no more", "test_hostile.py", "frames that lie"),
    ("another's log", "read back what it and others wrote to the log", "it sees its own at most", "test_hostile.py", "reading its own log"),
    ("hogging large requests", "keep the room for large requests with half of one", "others still send theirs", "test_hostile.py", "test_one_function_cannot_keep_others_from_sending_large_requests"),
    ("acting as another by ARN", "name another account's functions and logs from outside", "denied", "test_hostile.py", "test_an_account_cannot_reach_into_another_by_arn"),
    ("another account's control plane", "call every operation with another account's key, by six forms of a name", "denied, or not found", "test_account_walls.py", "test_no_operation_reaches_into_another_account"),
    ("names that evade a policy", "name the whole by a part, and a part by the whole", "the policy of what is meant is asked", "test_account_walls.py", "test_a_denial_on_the_whole_is_not_evaded_by_another_name"),
    ("posing as a role", "give a function another account's role", "it is granted nothing for it", "test_account_walls.py", "test_a_role_of_another_account_gives_a_function_nothing"),
    ("forged code links", "change path, signature or end of a link to code", "403", "test_hostile.py", "test_a_code_link_is_good_for_its_package_and_method_only"),
    ("the data directory", "read it as another user of the host", "mode 0700, keys 0600", "test_hostile.py", "test_nobody_else_on_the_host_can_read_the_data_directory"),
    ("hostile archives", "thirteen archives: parents, roots, devices, links, bombs, lists that lie", "refused, nothing is left", "test_hostile.py", "test_a_hostile_archive_is_refused_and_leaves_nothing"),
    ("a full disk", "fill the disk with log", "log lines are lost, invocations are not", "test_hostile.py", "test_a_disk_that_logs_would_fill_costs_log_lines_only"),
]


def scenario(name, tried, must):
    """Puts a test of its own into the table."""

    def register(test):
        SCENARIOS[name] = (tried, must, test.__name__)
        return test

    return register


@pytest.fixture(scope="module")
def canaries(server, tmp_path_factory):
    canaries = Canaries(server, tmp_path_factory.mktemp("canaries"))
    yield canaries
    canaries.close()


@pytest.fixture(scope="module")
def probe(server):
    """A function whose runtime a zygote bore; until there is a zygote, as many as it takes."""
    lam = server.client("lambda")
    for number in range(100):
        name = f"escape-probe-{number}"
        create(lam, name, PROBE, Timeout=30, MemorySize=1024)
        if invoke(lam, name, {"code": "return '_zygote.so' in read('/proc/self/maps', 1 << 20)"})["payload"] is True:
            return name
    raise AssertionError("no zygote bears a runtime")


@pytest.fixture(scope="module")
def executed(server):
    """A function whose runtime is executed, for it sets a variable that Python might read at its start."""
    more = {"Environment": {"Variables": {"PYTHON_OF_ITS_OWN": "1"}}}
    create(server.client("lambda"), "escape-executed", PROBE, Timeout=30, MemorySize=1024, **more)
    return "escape-executed"


def attempt_code(code, canaries):
    return {**canaries.event(), "code": code}


def test_the_canaries_notice(canaries):
    """Were a connection or a datagram to arrive, every attempt would fail."""
    for one, kind in ((canaries.streams[0], socket.SOCK_STREAM), (canaries.datagrams[0], socket.SOCK_DGRAM)):
        with socket.socket(socket.AF_INET, kind) as visitor:
            visitor.connect(("127.0.0.1", one.getsockname()[1]))
            visitor.send(b"x")
            with pytest.raises(AssertionError, match="somebody"):
                canaries.check()
    canaries.check()


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_attempt(lam, canaries, probe, executed, name, attempt):
    """Where the function is not the attempt's own, both by a runtime that a zygote bore and by one that was executed."""
    tried = ATTEMPTS[attempt]
    probes = [probe, executed]
    if tried.own is not None:
        create(lam, name, PROBE, **{"Timeout": 20, "MemorySize": 512, **tried.own})
        probes = [name]
    for each in probes:
        answer = invoke(lam, each, attempt_code(tried.code, canaries))["payload"]
        canaries.check()
        assert tried.holds(answer) if callable(tried.holds) else answer == tried.holds, (each, answer)
    if tried.own is not None:
        lam.delete_function(FunctionName=name)
        canaries.check()


@pytest.mark.parametrize("package", PACKAGES)
def test_package(server, lam, canaries, name, package):
    """Refused, or nothing but plain files, directories and links in its own directory."""
    made = PACKAGES[package]
    before = set(os.listdir(server.data_dir / "code"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            zipped = made.archive(canaries)
        lam.create_function(FunctionName=name, Runtime=PYTHON, Handler="index.handler", Role=ROLE, Code={"ZipFile": zipped})
        wait_active(lam, name)
        payload = invoke(lam, name)["payload"]
        accepted = True
    except ClientError as refusal:
        assert refusal.response["Error"]["Code"] == "InvalidParameterValueException"
        accepted, payload = False, None
    assert accepted == made.accepted and payload == made.payload
    for entry in set(os.listdir(server.data_dir / "code")) - before:
        for directory, names, files in os.walk(server.data_dir / "code" / entry):
            for each in names + files:
                mode = os.lstat(os.path.join(directory, each)).st_mode
                assert stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode), each
                assert stat.S_ISLNK(mode) or not mode & 0o7000, each
    canaries.check()


@scenario("seen from outside", "look at a function's process with the host's eyes", "its own user, no capability, a filter, and namespaces of its own")
def test_a_function_seen_from_outside(lam, canaries, name):
    create(lam, name, PROBE, Timeout=20, MemorySize=512)
    marker = str(10**9 + secrets.randbelow(10**9))
    code = f"held = subprocess.Popen(['/bin/sleep', '{marker}'])\nreturn True"
    assert invoke(lam, name, attempt_code(code, canaries))["payload"] is True
    [pid] = until(lambda: processes(marker.encode()))
    status = dict(re.findall(r"^(\w+):\t(.*)$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M))
    users = {int(word) for key in ("Uid", "Gid") for word in status[key].split()}
    assert min(users) >= 0x10000, "users of the host run no functions"
    assert {int(status[key], 16) for key in status if key.startswith("Cap")} == {0}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    for kind in ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts"):
        assert os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}"), kind
    lam.delete_function(FunctionName=name)
    until(lambda: not processes(marker.encode()))


DAEMON = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in range(1, 32):
            if number not in (9, 17, 19):
                signal.signal(number, signal.SIG_IGN)
        os.execv('/bin/sh', ['sh', '-c', 'trap "" HUP INT TERM; while true; do sleep 0.1; : %s; done'])
    os._exit(0)
os.wait()
"""


@scenario("work after the end", "leave a daemon that ignores every signal, and let the function time out or be deleted", "it is gone with its environment")
@pytest.mark.parametrize("end", ["timeout", "exit", "deletion", "update"])
def test_nothing_outlives_its_environment(lam, canaries, name, end):
    create(lam, name, PROBE, Timeout=3, MemorySize=512)
    ending = {"timeout": "time.sleep(60)", "exit": "os._exit(3)"}.get(end, "return True")
    marker = f"{name}-{canaries.word}"
    invoke(lam, name, attempt_code(DAEMON % marker + ending, canaries))
    if end == "deletion":
        lam.delete_function(FunctionName=name)
    elif end == "update":
        lam.update_function_configuration(FunctionName=name, Timeout=4)
    until(lambda: not processes(f": {marker};".encode()))
    canaries.check()


@scenario("leftovers", "leave files, shared memory and sockets for the next function and the next version", "the next finds none")
def test_the_next_function_finds_no_leftovers(lam, canaries, name):
    leave = """
for path in ('/tmp/left', '/dev/shm/left', '/tmp/.hidden'):
    with open(path, 'w') as file:
        file.write('left')
return libc.shmget(0x5a5a, 4096, 0o1777) >= 0
"""
    look = "return [os.listdir('/tmp'), os.listdir('/dev/shm'), call(29, 0x5a5a, 0, 0)]"
    create(lam, name, PROBE, MemorySize=512)
    assert invoke(lam, name, attempt_code(leave, canaries))["payload"] is True
    create(lam, name + "-next", PROBE, MemorySize=512)
    clean = [[], [], "ENOENT"]
    assert invoke(lam, name + "-next", attempt_code(look, canaries))["payload"] == clean
    lam.update_function_code(FunctionName=name, ZipFile=zip_of({"index.py": PROBE + "# 2"}))
    wait_active(lam, name)
    assert invoke(lam, name, attempt_code(look, canaries))["payload"] == clean


@scenario("two of one function", "reach from one environment into another of the same function", "two users, two of everything")
def test_two_environments_of_one_function_are_strangers(lam, canaries, name):
    create(lam, name, PROBE, Timeout=10, MemorySize=512)
    marker = str(10**9 + secrets.randbelow(10**9))
    code = """
with open('/tmp/mine', 'x') as file:
    file.write('x')
listener = socket.socket(socket.AF_UNIX)
listener.bind('\\0mine')
held = subprocess.Popen(['/bin/sleep', '%s'])
time.sleep(1)
seen = [read(f'/proc/{one}/comm').strip() for one in os.listdir('/proc') if one.isdigit()]
return [seen.count('sleep'), os.listdir('/tmp')]
""" % marker
    answers = []
    ask = lambda: answers.append(invoke(lam, name, attempt_code(code, canaries))["payload"])  # noqa: E731
    both = [threading.Thread(target=ask) for _ in range(2)]
    [one.start() for one in both]
    [one.join() for one in both]
    assert answers == [[1, ["mine"]]] * 2
    owners = {os.stat(f"/proc/{pid}").st_uid for pid in processes(marker.encode())}
    assert len(owners) == 2


def rows():
    """The table of SECURITY.md, line by line."""
    for group, attempts in GROUPS.items():
        yield f"| **{group}** | | | |"
        for one in attempts:
            yield f"| {one.name} | {one.tried} | {one.must} | `test_attempt[{one.name}]` |"
    yield "| **Packages** | | | |"
    for name, one in PACKAGES.items():
        yield f"| {name} | {one.tried} | {'unpacked and harmless' if one.accepted else 'refused'} | `test_package[{name}]` |"
    yield "| **Time and others** | | | |"
    for name, (tried, must, test) in SCENARIOS.items():
        yield f"| {name} | {tried} | {must} | `{test}` |"
    yield "| **In other files** | | | |"
    for name, tried, must, file, test in ELSEWHERE:
        yield f"| {name} | {tried} | {must} | `{file}: {test}` |"


def test_security_page_lists_these_attempts():
    page = (HERE / "../../SECURITY.md").read_text().splitlines()
    table = [line for line in page if line.startswith("| ") and not line.startswith("| Attempt |")]
    wanted = list(rows())
    assert table == wanted, "\n".join(["SECURITY.md must say:", *(line for line in wanted if line not in table)])


def test_attempts_in_other_files_are_still_there():
    for name, _, _, file, test in ELSEWHERE:
        text = (HERE / file).read_text()
        assert f'"{test}"' in text or f"def {test}(" in text, f"{file} no longer has {test}"
    assert len(ATTEMPTS) + len(PACKAGES) + len(SCENARIOS) >= 40
