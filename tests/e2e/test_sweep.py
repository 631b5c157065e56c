"""Killed at any moment, either process or both: the next start leaves nothing of what was before."""

import os
import pathlib
import random
import shutil
import signal
import subprocess
import threading
import time

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from samovar import create, invoke, until

ROUNDS = 20
FUNCTIONS = 6

CODE = """
import subprocess, time
def handler(event, context):
    subprocess.Popen(["/bin/sh", "-c", "setsid sleep 300 & setsid sleep 300 & wait"])
    open("/tmp/filled", "wb").write(b"x" * 100000)
    time.sleep(event["sleep"])
    return 1
"""


def of_processes(read):
    for path in pathlib.Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                if "State:\tZ" not in (path / "status").read_text():
                    yield int(path.name), read(path)
            except OSError:
                pass


class Traces:
    """Everything on this machine that belongs to one data directory."""

    def __init__(self, samovar):
        found = os.stat(samovar.data_dir)
        self.data = str(samovar.data_dir)
        self.instance = f"{found.st_dev:x}-{found.st_ino:x}"

    def processes(self):
        def read(path):
            return b"\0".join((path / name).read_bytes() for name in ("cmdline", "environ", "cgroup"))

        marks = [self.data.encode(), f"/{self.instance}/".encode()]
        return sorted(pid for pid, text in of_processes(read) if pid != os.getpid() and any(mark in text for mark in marks))

    def namespaces(self):
        """Those that some process is in, of the processes above."""
        kinds = ("mnt", "pid", "net", "ipc", "uts", "cgroup", "user")
        found = set()
        for pid in self.processes():
            for kind in kinds:
                try:
                    found.add(os.readlink(f"/proc/{pid}/ns/{kind}"))
                except OSError:
                    pass
        return len(found - {os.readlink(f"/proc/self/ns/{kind}") for kind in kinds})

    def groups(self):
        # `os.walk` passes over what other servers remove meanwhile.
        return sorted(path for path, _, _ in os.walk("/sys/fs/cgroup") if path.split("/")[-2] == self.instance)

    def given(self):
        """The names of those groups that a function was given. The others wait for one, and have no limits yet."""
        def has_limit(group, file):
            try:
                limit = (pathlib.Path(group) / file).read_text().strip()
            except OSError:
                return False
            return limit != "max" and int(limit) < 1 << 60

        files = ("memory.limit_in_bytes", "memory.max")
        return {os.path.basename(group) for group in self.groups() if any(has_limit(group, file) for file in files)}

    def mounts(self):
        lines = pathlib.Path("/proc/self/mounts").read_text().splitlines()
        return sorted(line for line in lines if self.data in line or self.instance in line)

    def loops(self):
        files = pathlib.Path("/sys/block").glob("loop*/loop/backing_file")
        return sorted(str(path) for path in files if self.data in path.read_text())

    def run(self):
        return sorted(path.name for path in pathlib.Path("/run/samovar").glob(f"{self.instance}*"))

    def unfinished(self):
        return sorted(path.name for path in pathlib.Path(self.data, "code").iterdir() if path.name != ".boot" and path.name.startswith("."))

    def counts(self):
        """How many there are of each: what is made anew at every start has other names then."""
        return {name: found if isinstance(found, int) else len(found) for name, found in self.all().items()}

    def all(self):
        return {name: getattr(self, name)() for name in ("groups", "mounts", "loops", "run", "namespaces", "unfinished")} | {
            "processes": len(self.processes())
        }


def marked(samovar):
    """Variables by which `Traces` knows whatever a function starts."""
    return {"Variables": {"MARK": str(samovar.data_dir)}}


def ready(samovar):
    """The inits of sandboxes that have given up the launcher's rights, as they do last of all."""
    rights = "CapEff:\t00000000002001e0\n"
    return [pid for pid, status in of_processes(lambda path: (path / "status").read_text()) if rights in status and pid in samovar.children()]


def waiting(traces):
    """Pythons of ours that wait for a function. Zygotes do not show whose they are."""
    def is_client(path):
        return b"/var/runtime/bootstrap.py" in (path / "cmdline").read_bytes()

    own = set(traces.processes())
    return [pid for pid, yes in of_processes(is_client) if yes and pid in own]


def links():
    return sorted(os.listdir("/sys/class/net"))


def alone():
    """Whether no other server on this machine makes links at the same time."""
    return not [pid for pid, name in of_processes(lambda path: (path / "comm").read_text()) if name == "samovar\n"]


def busy(samovar, dice, stop):
    """Keeps environments of several functions starting and running."""
    def call(number):
        # A second attempt would reach the next server.
        lam = samovar.client("lambda", attempts=1)
        while not stop.is_set():
            try:
                invoke(lam, f"f{number}", {"sleep": dice.choice([0, 0.05, 5])})
            except (BotoCoreError, ClientError):
                return

    threads = [threading.Thread(target=call, args=(n % FUNCTIONS,), daemon=True) for n in range(FUNCTIONS + 3)]
    for thread in threads:
        thread.start()
    return threads


@pytest.mark.parametrize("prepared, waits", [(0, 0), (12, 2)])
def test_whatever_is_killed_the_next_start_leaves_nothing(fresh, prepared, waits):
    was_alone, before = alone(), links()
    # As many sandboxes stand ready at all times, so that a server at rest always has as much.
    samovar = fresh("--prepared", str(prepared))
    lam = samovar.client("lambda")
    for number in range(FUNCTIONS):
        create(lam, f"f{number}", CODE, Timeout=10, Environment=marked(samovar))
    assert samovar.stop() == 0
    traces = Traces(samovar)
    assert traces.all() == {"groups": [], "mounts": [], "loops": [], "run": [], "namespaces": 0, "unfinished": [], "processes": 0}
    samovar.start()

    def is_settled():
        stand = {os.path.basename(group) for group in traces.groups()}
        return len(stand) == len(ready(samovar)) == prepared and len(waiting(traces)) == waits

    until(is_settled)
    idle = traces.counts()
    assert idle["processes"] == 2 + prepared + waits
    dice = random.Random(5)
    for number in range(ROUNDS):
        stop = threading.Event()
        threads = busy(samovar, dice, stop)
        time.sleep(dice.uniform(0, 0.4))
        launcher, server = samovar.process.pid, samovar.server_pid()
        victims = [[launcher], [server], [launcher, server], [server, launcher]][number % 4]
        for victim in victims:
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                pass
        samovar.process.wait(30)
        stop.set()
        left = set(traces.groups())
        samovar.start()
        until(lambda: traces.counts() == idle and not left & set(traces.groups()))
        for thread in threads:
            thread.join(30)
    assert invoke(lam, "f0", {"sleep": 0})["payload"] == 1
    assert samovar.stop() == 0
    assert traces.all() == {"groups": [], "mounts": [], "loops": [], "run": [], "namespaces": 0, "unfinished": [], "processes": 0}
    if was_alone and alone():
        until(lambda: links() == before)


@pytest.mark.parametrize("who", ["launcher", "server"])
def test_a_termination_leaves_nothing_at_once(fresh, who):
    samovar = fresh()
    lam = samovar.client("lambda")
    for number in range(FUNCTIONS):
        create(lam, f"f{number}", CODE, Timeout=10, Environment=marked(samovar))
    traces, stop = Traces(samovar), threading.Event()
    for number in range(FUNCTIONS):
        invoke(lam, f"f{number}", {"sleep": 0})
    assert len(traces.groups()) >= FUNCTIONS
    launcher, server = samovar.process.pid, samovar.server_pid()
    os.kill({"launcher": launcher, "server": server}[who], signal.SIGTERM)
    assert samovar.process.wait(30) == 0
    stop.set()
    assert traces.all() == {"groups": [], "mounts": [], "loops": [], "run": [], "namespaces": 0, "unfinished": [], "processes": 0}


def tables():
    """The packet filters of all servers on this machine; none where there is no `nft`."""
    try:
        listing = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    return [line.split()[-1] for line in listing.splitlines()]


def test_a_start_sweeps_what_was_killed_with_a_directory_that_nobody_starts_again_and_spares_who_lives(fresh):
    dead, living = fresh(data="dead"), fresh(data="living")
    for samovar in (dead, living):
        create(samovar.client("lambda"), "f", CODE, Timeout=10)
        invoke(samovar.client("lambda"), "f", {"sleep": 0})
    gone, spared = Traces(dead), Traces(living)
    answered = []
    caller = threading.Thread(target=lambda: answered.append(invoke(living.client("lambda", attempts=1), "f", {"sleep": 5})["payload"]))
    caller.start()
    of_the_dead = {name for name in tables() if gone.instance.replace("-", "_") in name}
    until(lambda: len(spared.given()) == len(gone.given()) == 1)
    given = spared.given()
    for victim in (dead.server_pid(), dead.process.pid):
        os.kill(victim, signal.SIGKILL)
    dead.process.wait(30)
    until(lambda: gone.processes() == [])
    assert gone.groups() and gone.run(), "a killed launcher leaves something"
    # Made before the other goes, or it might get the same number and be taken for it.
    (dead.data_dir.parent / "other").mkdir()
    shutil.rmtree(dead.data_dir)

    starting = fresh(data="other")
    assert gone.groups() == [] and gone.run() == []
    assert not of_the_dead & set(tables())
    assert [path for path, _, _ in os.walk("/sys/fs/cgroup") if path.endswith(gone.instance)] == []
    # Whoever lives keeps all, its call that was under way among it.
    assert spared.given() == given and len(spared.run()) == 2
    caller.join(30)
    assert answered == [1]
    assert starting.stop() == 0 and living.stop() == 0


def test_a_killed_server_starts_again_while_others_sweep(fresh):
    samovar = fresh(data="main")
    others = [fresh(data=f"other{number}") for number in range(2)]
    for _ in range(5):
        for each in (samovar, *others):
            each.kill()
        starts = [threading.Thread(target=each.start) for each in (samovar, *others)]
        for start in starts:
            start.start()
        for start in starts:
            start.join(60)
        assert all(each.healthy() for each in (samovar, *others))
