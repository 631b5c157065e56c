"""Runtimes that wait in their sandbox before they know their function: nothing that a function sees tells them apart."""

import concurrent.futures
import itertools
import os
import pathlib
import platform
import signal

import pytest

from samovar import NODE, PYTHON, create, invoke, until

# All that one process of Linux is, but for numbers that differ from process to process anyway.
PYTHON_LOOK = r"""
import gc, locale, os, resource, signal, sys, time

def read(path):
    with open(path, "rb") as file:
        return file.read().decode("utf-8", "replace")

def descriptors():
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink("/proc/self/fd/" + name).split(":")[0]
        except OSError:
            pass
    return found

at_import = {
    "argv": sys.argv, "orig_argv": getattr(sys, "orig_argv", None), "path": sys.path, "executable": sys.executable,
    "flags": str(sys.flags), "environ": dict(os.environ), "cwd": os.getcwd(),
    "stdout": [sys.stdout.encoding, sys.stdout.errors, sys.stdout.line_buffering, sys.stdout.seekable(), sys.stdin.encoding],
    "locale": [locale.setlocale(locale.LC_ALL, None), sys.getfilesystemencoding()], "tz": [time.tzname, time.timezone],
    "descriptors": descriptors(), "umask": os.umask(0o022), "nice": os.nice(0), "threshold": gc.get_threshold(),
    "gc": [gc.isenabled(), gc.get_debug()], "recursion": sys.getrecursionlimit(), "switch": sys.getswitchinterval(),
    "signals": {number: str(signal.getsignal(number)) for number in range(1, 32)},
    "limits": {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")},
    "comm": read("/proc/self/comm"), "cmdline": read("/proc/self/cmdline"), "cgroup": read("/proc/self/cgroup"),
    "oom": read("/proc/self/oom_score_adj"), "login": read("/proc/self/loginuid"),
    "ids": [os.getresuid(), os.getresgid(), os.getgroups(), os.getppid(), os.getsid(0) == os.getpid()],
    "affinity": sorted(os.sched_getaffinity(0)), "waited": "_zygote.so" in read("/proc/self/maps"),
    "namespaces": sorted(os.readlink("/proc/self/ns/" + name).split(":")[0] for name in os.listdir("/proc/self/ns")),
    "mounts": sorted(line.split(" ", 4)[4] for line in read("/proc/self/mountinfo").splitlines()),
    "main": sorted(vars(sys.modules["__main__"])), "spec": str(sys.modules["__main__"].__file__),
    "meta_path": [type(finder).__name__ for finder in sys.meta_path], "importers": sorted(one for one in sys.path_importer_cache if not one.startswith("/usr")),
    "root": [[type(one).__name__ for one in __import__("logging").root.handlers], __import__("logging").root.level],
    "children": os.fork is not None,
}
names = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Uid", "Gid", "Groups", "Sig", "Shd", "Umask", "Threads")
at_import["status"] = [line for line in read("/proc/self/status").splitlines() if line.startswith(names)]

def handler(event, context):
    seen = dict(at_import, environ=dict(at_import["environ"]), c_environ=sorted(os.popen("env").read().splitlines()))
    return seen
"""

NODE_LOOK = r"""
const fs = require('fs'); const os = require('os'); const Module = require('module'); const child = require('child_process');
const v8 = require('v8');
const read = (path) => fs.readFileSync(path, 'utf8');
const descriptors = {};
for (const name of fs.readdirSync('/proc/self/fd')) {
  try { descriptors[name] = fs.readlinkSync('/proc/self/fd/' + name).split(':')[0]; } catch {}
}
const names = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp:', 'Uid', 'Gid', 'Groups', 'SigIgn', 'Umask'];
const seen = {
  argv: process.argv, execArgv: process.execArgv, execPath: process.execPath, title: process.title, cwd: process.cwd(),
  env: { ...process.env }, globalPaths: Module.globalPaths, heap: v8.getHeapStatistics().heap_size_limit,
  // Its own environment is shorter than the room that it was given for it.
  waited: read('/proc/self/environ').endsWith('\0\0'), shown: read('/proc/self/environ').split('\0').filter((line) => line !== ''), umask: process.umask(), uid: process.getuid(), tz: new Date(0).toString(), cpus: os.cpus().length, host: os.hostname(),
  gc: typeof gc, main: require.main.filename, stdout: [process.stdout.constructor.name, process.stdout.isTTY ?? null],
  // Node.js keeps one of /dev/null once it has listened, as one that waited has.
  input: descriptors[0],
  descriptors: Object.values(descriptors).filter((name) => ['pipe', 'socket', 'eventpoll'].some((kind) => name.includes(kind))).sort(),
  status: read('/proc/self/status').split('\n').filter((line) => names.some((name) => line.startsWith(name))),
  limits: read('/proc/self/limits'), oom: read('/proc/self/oom_score_adj'), cgroup: read('/proc/self/cgroup'),
  listeners: process.eventNames().map(String).sort(), resources: process.getActiveResourcesInfo(),
};
exports.handler = async () => ({ ...seen, childEnv: child.execSync('env').toString().split('\n').sort() });
"""

# Differs from one environment to the next; the last two have their own start executed, for the beginning of their names.
OWN = ("AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY_ID",
       "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "_X_AMZN_TRACE_ID", "PYTHON_TOLD_APART", "NODE_TOLD_APART")
OUR_OWN_START = {"PYTHON_TOLD_APART": "1", "NODE_TOLD_APART": "1"}


def neutral(seen):
    for key in ("environ", "env"):
        if key in seen:
            seen[key] = {name: value for name, value in seen[key].items() if name not in OWN}
    for key in ("c_environ", "childEnv", "shown"):
        if key in seen:
            seen[key] = [line for line in seen[key] if line.split("=")[0] not in OWN]
    return seen


def look(lam, name, runtime, code, variables, waited):
    """What a new function sees of itself; until a zygote is there, as many new ones as it takes."""
    for number in range(100):
        create(lam, f"{name}-{number}", code, runtime=runtime, Environment={"Variables": variables})
        answer = invoke(lam, f"{name}-{number}", {})
        assert "FunctionError" not in answer, answer
        if answer["payload"].pop("waited") == waited:
            return neutral(answer["payload"])
    raise AssertionError(f"{name}: waited is never {waited}")


@pytest.mark.parametrize("runtime, code", [(PYTHON, PYTHON_LOOK), (NODE, NODE_LOOK)], ids=["python", "node"])
def test_a_runtime_that_waited_is_as_one_that_was_executed(lam, name, runtime, code):
    own = {"COLOUR": "blue", "TZ": "Asia/Tokyo", "NODE_PATH": "/opt/x:/var/task", "PATH": "/usr/bin:/bin:/opt/bin", "TEXT": "ü\n= 'x'"}
    waited = look(lam, f"{name}-w", runtime, code, own, True)
    executed = look(lam, f"{name}-e", runtime, code, {**own, **OUR_OWN_START}, False)
    assert waited.keys() == executed.keys()
    for key in executed:
        assert (key, waited[key]) == (key, executed[key])


HOW = """
import os, sys
def handler(event, context):
    with open("/proc/self/maps") as maps:
        waited = "_zygote.so" in maps.read()
    if "sleep" in event:
        import time
        time.sleep(event["sleep"])
    if "fork" in event:
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(write, b"%d" % os.getppid())
            os._exit(7)
        return [os.read(read, 20).decode() == str(os.getpid()), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]
    if "eat" in event:
        hoard = bytearray(event["eat"] << 20)
    if "exit" in event:
        os._exit(event["exit"])
    return {"waited": waited, "pid": os.getpid(), "hash": hash("x"), "random": __import__("random").random()}
"""


def zygotes(server, runtime=PYTHON):
    """Processes of the server's launcher that are root's and run our client."""
    found = []
    for path in pathlib.Path("/proc").iterdir():
        try:
            command = (path / "cmdline").read_bytes().split(b"\0") if path.name.isdigit() else []
            if b"/var/runtime/bootstrap.py" not in command or not command[0].endswith(runtime.encode()):
                continue
            status = (path / "status").read_text()
        except OSError:
            continue
        if f"\nPPid:\t{server.process.pid}\n" in status and "\nState:\tZ" not in status:
            found.append(int(path.name))
    return found


def listens(pid):
    """Whether a process waits for a message: a zygote that is ready, for its orders."""
    recvmsg = {"x86_64": "47", "aarch64": "212"}[platform.machine()]
    return told(pid, "syscall").split()[:1] == [recvmsg]


def inits(server):
    """The first processes of all sandboxes, as the host numbers them."""
    launcher = server.process.pid
    children = pathlib.Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return [child for child in children if told(child, "comm") == "samovar-init\n"]


def told(pid, file):
    """A file of a process's; nothing once it has ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/{file}").read_text()
    except OSError:
        return ""


def borne(init):
    """Whether what runs in a sandbox was borne by a zygote."""
    return any("_zygote.so" in told(child, "maps") for child in told(init, f"task/{init}/children").split())


def waiting_nodes(server):
    """Processes below the server's launcher that run our client for Node.js."""
    found = []
    for init in pathlib.Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split():
        try:
            inside = pathlib.Path(f"/proc/{init}/task/{init}/children").read_text().split()
            found += [pid for pid in inside if b"/var/runtime/bootstrap.js" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]
        except OSError:
            continue
    return found


def test_a_runtime_waits_for_a_function_that_was_never_invoked_and_again_after_a_start(fresh, name):
    server = fresh()
    create(server.client("lambda"), name, NODE_LOOK, runtime=NODE)
    until(lambda: waiting_nodes(server))
    server.stop()
    server = fresh()
    # One is made at a time: when there is a second, the first one is ready.
    until(lambda: len(waiting_nodes(server)) > 1)
    assert invoke(server.client("lambda"), name, {})["payload"]["waited"]


def fresh_one(lam, name, event=None):
    create(lam, name, HOW)
    return invoke(lam, name, event or {})


def waits(lam, name, number):
    answer = fresh_one(lam, f"{name}-{next(number)}")
    assert "FunctionError" not in answer, answer
    return answer["payload"]["waited"]


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_a_zygote_that_fails_is_replaced_and_functions_do_not_notice(fresh, name, blow):
    server = fresh()
    lam, number = server.client("lambda"), itertools.count()
    until(lambda: waits(lam, name, number))
    create(lam, f"{name}-warm", HOW)
    before = invoke(lam, f"{name}-warm", {})["payload"]
    hurt = zygotes(server)
    for pid in hurt:
        os.kill(pid, blow)
    assert waits(lam, name, number) in (False, True)
    assert invoke(lam, f"{name}-warm", {})["payload"]["pid"] == before["pid"]
    until(lambda: waits(lam, name, number) and not set(zygotes(server)) & set(hurt), seconds=40)
    assert invoke(lam, f"{name}-warm", {})["payload"]["hash"] == before["hash"]


def test_a_zygote_bears_into_sandboxes_that_were_made_for_nobody(fresh, name):
    server = fresh("--prepared", "12")
    until(lambda: len(inits(server)) == 12 and any(listens(zygote) for zygote in zygotes(server)), seconds=40)
    stood, lam = inits(server), server.client("lambda")
    assert not any(borne(init) for init in stood)
    create(lam, name, HOW)
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        runs = [pool.submit(invoke, lam, name, {"sleep": 1}) for _ in range(10)]
        assert all(run.result()["payload"]["waited"] for run in runs)
    assert sum(borne(init) for init in stood) > 5


def test_children_of_one_zygote_draw_different_random_numbers_and_fork_as_ever(lam, name):
    answers = [fresh_one(lam, f"{name}-{number}")["payload"]["random"] for number in range(4)]
    assert len(set(answers)) == len(answers)
    assert fresh_one(lam, f"{name}-fork", {"fork": True})["payload"] == [True, 7]


def test_a_runtime_that_waited_ends_as_any_other(lam, name):
    create(lam, name, HOW, Timeout=1, MemorySize=128)
    assert invoke(lam, name, {"sleep": 30})["payload"]["errorType"] == "Sandbox.Timedout"
    assert invoke(lam, name, {})["payload"]["pid"]
    create(lam, f"{name}-m", HOW, MemorySize=128)
    out = invoke(lam, f"{name}-m", {"eat": 500})["payload"]
    assert out["errorType"] == "Runtime.OutOfMemory", out
    create(lam, f"{name}-x", HOW)
    out = invoke(lam, f"{name}-x", {"exit": 3})["payload"]
    assert out["errorType"] == "Runtime.ExitError" and "exit status 3" in out["errorMessage"], out
    assert invoke(lam, f"{name}-x", {})["payload"]["pid"]
