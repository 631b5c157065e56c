"""What a function may use, through unmodified clients: memory, /tmp, processors, processes, descriptors."""

import os
import pathlib
import re
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from samovar import NODE, create, invoke, messages, until
from test_sweep import Traces

TMP_BYTES = 538_333_184
REPORT = re.compile(r"Memory Size: (\d+) MB\tMax Memory Used: (\d+) MB\t")


def used(answer):
    """Max Memory Used of an invocation, in MB."""
    return int(REPORT.search(answer["log"]).group(2))


def run(lam, name, body, event=None, **more):
    """Creates a function whose handler has this body, and invokes it with its log."""
    more.setdefault("MemorySize", 128)
    lines = "".join(f"    {line}\n" for line in body.strip("\n").split("\n"))
    create(lam, name, f"import os, resource, subprocess, sys, time\n{HELPERS}\ndef handler(event, context):\n{lines}", Timeout=30, **more)
    return invoke(lam, name, event, LogType="Tail")


HELPERS = """
def fill(path, megabytes):
    with open(path, 'wb', 0) as file:
        for _ in range(megabytes):
            file.write(bytes(1 << 20))

def until_full(path):
    with open(path, 'wb', 0) as file:
        try:
            while True:
                file.write(bytes(1 << 20))
        except OSError as error:
            return [error.errno, os.stat(path).st_size]

def read(path):
    with open(path) as file:
        return file.read()
"""


HOLD = """
import os
def handler(event, context):
    kind, megabytes = event
    if kind == "memory":
        x = bytes([1]) * (megabytes << 20)
        del x
    else:
        with open("/tmp/x", "wb") as file:
            for _ in range(megabytes):
                file.write(bytes(1 << 20))
        os.remove("/tmp/x")
    print("gave back", event, flush=True)
    return event
"""


def status(pid, field):
    """A number of a process's status; sizes are in megabytes."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    (words,) = [line.split() for line in lines if line.startswith(f"{field}:")]
    return int(words[1]) // 1024 if "kB" in words else int(words[1])


def runtime_and_init(samovar):
    """The processes of the only environment that was given to a function."""
    traces = Traces(samovar)
    (given,) = traces.given()
    groups = [pathlib.Path(group) / "cgroup.procs" for group in traces.groups() if group.endswith(f"/{given}")]
    (runtime,) = {int(pid) for group in groups for pid in group.read_text().split()}
    return runtime, status(runtime, "PPid")


def is_out_of_memory(answer):
    assert answer["FunctionError"] == "Unhandled"
    identifier = answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]
    assert answer["payload"] == {
        "errorType": "Runtime.OutOfMemory",
        "errorMessage": f"RequestId: {identifier} Error: Runtime exited with error: signal: killed",
    }
    assert "Status: error\tError Type: Runtime.OutOfMemory" in answer["log"]
    assert used(answer) == int(REPORT.search(answer["log"]).group(1))


def test_tmp_holds_more_than_memory_and_counts_for_nothing(lam, name):
    answer = run(lam, name, "fill('/tmp/big', 300)\nreturn os.stat('/tmp/big').st_size")
    assert answer["payload"] == 300 << 20
    assert used(answer) < 100
    again = invoke(lam, name, LogType="Tail")
    assert again["payload"] == 300 << 20 and used(again) < 100


def test_tmp_ends_where_it_was_recorded_to(lam, name):
    body = """
full = until_full('/tmp/big')
figures = os.statvfs('/tmp')
os.remove('/tmp/big')
try:
    for number in range(1_000_000):
        os.close(os.open(f'/tmp/{number}', os.O_CREAT))
except OSError as error:
    return full + [figures.f_blocks * figures.f_frsize, error.errno]
"""
    assert run(lam, name, body)["payload"] == [28, TMP_BYTES, TMP_BYTES, 28]


def test_a_larger_tmp_is_as_large_as_it_says(lam, name):
    body = "figures = os.statvfs('/tmp')\nfill('/tmp/big', 900)\nreturn figures.f_blocks * figures.f_frsize"
    answer = run(lam, name, body, EphemeralStorage={"Size": 10_240})
    assert answer["payload"] == 10_738_335_744 and used(answer) < 100


def test_tmp_outlives_a_crash_and_not_an_update(lam, name):
    body = """
if event == 'crash':
    fill('/tmp/big', 200)
    os._exit(1)
return os.path.exists('/tmp/big')
"""
    assert run(lam, name, body, "crash")["payload"]["errorType"] == "Runtime.ExitError"
    assert invoke(lam, name)["payload"] is True
    lam.update_function_configuration(FunctionName=name, Description="other")
    until(lambda: lam.get_function_configuration(FunctionName=name)["LastUpdateStatus"] == "Successful")
    assert invoke(lam, name)["payload"] is False


def test_files_that_are_read_are_not_memory_used(lam, name):
    body = """
fill('/tmp/big', 100)
total = 0
for _ in range(3):
    with open('/tmp/big', 'rb', 0) as file:
        while piece := file.read(1 << 20):
            total += len(piece)
for folder, _, files in os.walk('/usr/lib/python3'):
    for file in files:
        try:
            with open(os.path.join(folder, file), 'rb') as opened:
                opened.read()
        except OSError:
            pass
return total
"""
    answer = run(lam, name, body)
    assert answer["payload"] == 300 << 20 and used(answer) < 100


def test_memory_used_is_what_was_held(lam, name):
    answer = run(lam, name, "x = bytearray(event << 20)\ndel x", 200, MemorySize=512)
    assert 200 <= used(answer) < 300
    # The most so far, as on AWS.
    assert 200 <= used(invoke(lam, name, 1, LogType="Tail")) < 300


BOMBS = {
    "at once": "return len(bytearray(600 << 20))",
    "bit by bit": "hoard = []\nwhile True:\n    hoard.append(bytearray(1 << 20))",
    "beside a full tmp": "fill('/tmp/big', 300)\nreturn len(bytearray(300 << 20))",
    "in the place of files": "fill('/tmp/big', 300)\nos.remove('/tmp/big')\nx = bytearray(300 << 20)\ntime.sleep(20)",
    "in nameless files": "file = os.memfd_create('x')\nwhile True:\n    os.write(file, bytes(1 << 20))",
    "beside shared memory": "fill('/dev/shm/x', 60)\nx = bytearray(100 << 20)\ntime.sleep(20)",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_memory_bomb_ends_the_runtime_alone(lam, logs, echo, name, bomb):
    answer = run(lam, name, f"if event == 'calm':\n    return 'calm'\n{BOMBS[bomb]}")
    is_out_of_memory(answer)
    assert f"RequestId: {answer['ResponseMetadata']['HTTPHeaders']['x-amzn-requestid']} Error: Runtime exited" in answer["log"]
    assert invoke(lam, name, "calm")["payload"] == "calm"
    assert invoke(lam, echo, 1)["payload"] == 1
    assert any("Runtime.OutOfMemory" in message for message in messages(logs, name))


def test_what_took_too_much_is_found_out_though_its_init_looks_late(fresh):
    """What was too much is given back, and answered with, before the init, which stands still, can look."""
    samovar = fresh()
    lam, logs = samovar.client("lambda"), samovar.client("logs")
    create(lam, "f", HOLD, Timeout=30)
    for event in [["memory", 1], ["memory", 300], ["files", 300], ["memory", 2], ["memory", 301]]:
        invoke(lam, "f", ["memory", 0])
        _, init = runtime_and_init(samovar)
        os.kill(init, signal.SIGSTOP)
        with ThreadPoolExecutor() as pool:
            answer = pool.submit(invoke, lam, "f", event, LogType="Tail")
            try:
                until(lambda: any(f"gave back {event}" in message for message in messages(logs, "f")))
            finally:
                os.kill(init, signal.SIGCONT)
            answer = answer.result()
        if event[0] == "memory" and event[1] > 128:
            is_out_of_memory(answer)
        else:
            assert answer["payload"] == event


def test_a_memory_bomb_at_init_is_told_as_one(lam, name):
    create(lam, name, "hoard = [bytearray(1 << 20) for _ in range(4096)]\ndef handler(e, c):\n    pass\n", Timeout=30)
    answer = invoke(lam, name, LogType="Tail")
    assert answer["payload"]["errorType"] == "Runtime.OutOfMemory"
    assert "Error Type: Runtime.OutOfMemory" in answer["log"]


def test_a_memory_bomb_in_a_child_ends_the_child(lam, name):
    code = "hoard = [bytearray(1 << 20) for _ in range(4096)]"
    answer = run(lam, name, f"return subprocess.run([sys.executable, '-c', {code!r}]).returncode")
    assert answer["payload"] == -9
    assert used(answer) <= 128


def processors(most):
    return min(most, len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("memory, most", [(128, 2), (3_008, 2), (3_009, 3), (5_308, 4), (10_240, 6)])
def test_a_function_sees_its_processors_and_memory(lam, name, memory, most):
    body = """
cpu = '/sys/devices/system/cpu/'
return [os.cpu_count(), len(os.sched_getaffinity(0)), read('/proc/cpuinfo').count('processor\\t'),
        sum(line[:3] == 'cpu' and line[3] != ' ' for line in read('/proc/stat').splitlines()),
        read(cpu + 'online').strip(), read(cpu + 'present').strip(),
        [int(line.split()[1]) >> 10 for line in read('/proc/meminfo').splitlines() if line.startswith('MemTotal')],
        read('/proc/swaps').count('\\n')]
"""
    count = processors(most)
    span = f"0-{count - 1}" if count > 1 else "0"
    expected = [count, count, count, count, span, span, [memory], 1]
    assert run(lam, name, body, MemorySize=memory)["payload"] == expected


def test_node_sees_its_processors_and_memory(lam, name):
    code = """
const os = require('os');
exports.handler = async () => [os.cpus().length, os.availableParallelism(), os.totalmem() / 1048576, os.freemem() > 0];
"""
    create(lam, name, code, runtime=NODE, MemorySize=256, Timeout=20)
    assert invoke(lam, name)["payload"] == [processors(2), processors(2), 256, True]


def test_processes_descriptors_cores_and_swap_are_bounded(lam, name):
    body = """
files = []
try:
    while True:
        files.append(os.open('/dev/null', os.O_RDONLY))
except OSError as error:
    refused = error.errno
count = max(files) + 1
for file in files:
    os.close(file)
children = []
try:
    while True:
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        children.append(child)
except OSError as error:
    forks = error.errno
for child in children:
    os.kill(child, 9)
    os.waitpid(child, 0)
swap = [line.split()[1] for line in read('/proc/self/status').splitlines() if line.startswith('VmSwap')]
return [refused, count, forks, 100 < len(children) < 1024, resource.getrlimit(resource.RLIMIT_CORE)[1], swap]
"""
    assert run(lam, name, body, MemorySize=2048)["payload"] == [24, 1024, 11, True, 1, ["0"]]


def groups(samovar, controller):
    """The directories of a server's functions in a hierarchy, of version 1 or 2."""
    identity = os.stat(samovar.data_dir)
    instance = f"samovar/{identity.st_dev:x}-{identity.st_ino:x}"
    for top in (f"/sys/fs/cgroup/{controller}", "/sys/fs/cgroup"):
        found = [path for path in pathlib.Path(top).glob(f"**/{instance}/*") if path.is_dir()]
        if found:
            return found
    return []


def throttled(group):
    return int(re.search(r"nr_throttled (\d+)", (group / "cpu.stat").read_text()).group(1))


SPIN = "end = time.process_time() + 0.2\nwhile time.process_time() < end:\n    pass\nreturn True"


def test_a_strict_quota_holds_a_small_function_back(fresh, name):
    samovar = fresh("--cpu-quota", "on")
    assert run(samovar.client("lambda"), name, SPIN)["payload"] is True
    assert any(throttled(group) > 0 for group in groups(samovar, "cpu"))


def test_an_idle_machine_gives_all_it_has(fresh, name):
    samovar = fresh()
    assert run(samovar.client("lambda"), name, SPIN)["payload"] is True
    found = groups(samovar, "cpu")
    assert found and all(throttled(group) == 0 for group in found)


def test_nothing_inside_tells_of_others(lam, echo, name):
    """Descriptors, variables, arguments, mounts: what a curious function finds."""
    assert invoke(lam, echo, 1)["payload"] == 1
    body = """
seen = {}
for pid in (name for name in os.listdir('/proc') if name.isdigit()):
    for kind in ('cmdline', 'environ', 'mountinfo', 'cgroup', 'maps'):
        seen[kind] = seen.get(kind, '') + read(f'/proc/{pid}/{kind}')
    for fd in os.listdir(f'/proc/{pid}/fd'):
        try:
            seen['fd'] = seen.get('fd', '') + os.readlink(f'/proc/{pid}/fd/{fd}') + ' '
        except OSError:
            pass
seen['cmd'] = read('/proc/cmdline')
seen['net'] = read('/proc/net/unix') + read('/proc/net/tcp')
return seen
"""
    seen = run(lam, name, body)["payload"]
    mounts = seen.pop("mountinfo").splitlines()
    # Where a mount comes from cannot be hidden: of all code it is the function's own alone.
    assert sum("/code/" in line for line in mounts) == sum(" /var/task " in line for line in mounts) > 0
    everything = "\n".join(seen.values()) + "\n".join(line for line in mounts if "/code/" not in line)
    # A directory that is named as one of the function's own tells nothing; the program in it does.
    binary = pathlib.Path(os.environ["SAMOVAR_TEST_BINARY"])
    place = binary if str(binary.parent) in {line.split()[4] for line in mounts} else binary.parent
    for word in ("samovar", "fidelity-echo", str(place), "pytest"):
        assert word not in everything, word
    assert seen["cmd"].strip() == ""
    assert all(place.startswith(("pipe:", "socket:", "/dev/null", "anon_inode:", "/proc/")) for place in seen["fd"].split()), seen["fd"]
