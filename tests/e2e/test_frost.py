"""Between its invocations nothing of a function runs, and everything goes on with the next."""

import os
import pathlib
import signal
import time

import pytest

from samovar import create, invoke, messages, until
from test_sweep import Traces

# A thread and a child process that count for as long as they are let.
COUNTING = """
import os, subprocess, threading, time
counted = 0
def count():
    global counted
    while True:
        counted += 1
        time.sleep(0.005)
threading.Thread(target=count, daemon=True).start()
child = subprocess.Popen(["/bin/sh", "-c", "while :; do echo >> /tmp/ticks; sleep 0.01; done"])
def handler(event, context):
    if event and event.get("work"):
        time.sleep(event["work"])
    return {"thread": counted, "child": os.path.getsize("/tmp/ticks") if os.path.exists("/tmp/ticks") else 0, "pid": os.getpid()}
"""

FREEZERS = [path for path in ("/sys/fs/cgroup/freezer", "/sys/fs/cgroup/cgroup.controllers") if os.path.exists(path)]
pytestmark = pytest.mark.skipif(not FREEZERS, reason="this kernel has no freezer")


def is_frozen(group):
    """What the kernel says of one group; nothing of one without a freezer, or that has gone."""
    try:
        if (group / "freezer.state").exists():
            return (group / "freezer.state").read_text() == "FROZEN\n"
        if (group / "cgroup.freeze").exists():
            return "frozen 1" in (group / "cgroup.events").read_text()
    except OSError:
        pass
    return None


def freezers(traces):
    """The groups of one server's sandboxes by which what functions run is stopped."""
    given = traces.given()
    groups = [group for group in map(pathlib.Path, traces.groups()) if group.name in given]
    return [group for group in groups if is_frozen(group) is not None]


def states(traces):
    """For each sandbox that a function was given, whether everything stands still."""
    return [state for state in map(is_frozen, freezers(traces)) if state is not None]


def all_frozen(traces, count):
    return lambda: states(traces) == [True] * count


def test_what_a_function_left_running_stops_and_goes_on_with_the_next_invoke(fresh):
    samovar = fresh()
    lam, traces = samovar.client("lambda"), Traces(samovar)
    create(lam, "f", COUNTING)
    first = invoke(lam, "f")["payload"]
    until(all_frozen(traces, 1))
    time.sleep(2)
    second = invoke(lam, "f")["payload"]
    assert second["pid"] == first["pid"]
    # Some 50 ms pass before the frost; two seconds would have been 400 of the thread's and 200 of the child's.
    assert second["thread"] - first["thread"] < 100 and second["child"] - first["child"] < 60, (first, second)
    third = invoke(lam, "f", {"work": 0.5})["payload"]
    assert third["thread"] > second["thread"] and third["child"] > second["child"]
    until(all_frozen(traces, 1))


def test_timers_of_node_ring_when_the_function_runs_again(fresh):
    from samovar import NODE

    samovar = fresh()
    lam, traces = samovar.client("lambda"), Traces(samovar)
    code = """
let rings = 0;
setInterval(() => rings++, 10);
exports.handler = async (event) => {
    await new Promise(done => setTimeout(done, event.wait));
    return rings;
};
"""
    create(lam, "f", code, runtime=NODE)
    first = invoke(lam, "f", {"wait": 1})["payload"]
    until(all_frozen(traces, 1))
    time.sleep(1.5)
    second = invoke(lam, "f", {"wait": 1})["payload"]
    assert second - first < 40
    assert invoke(lam, "f", {"wait": 300})["payload"] - second > 10


def test_back_to_back_requests_meet_no_frost_and_late_output_is_kept(fresh):
    samovar = fresh()
    lam, logs, traces = samovar.client("lambda"), samovar.client("logs"), Traces(samovar)
    code = """
import threading, time
def late():
    time.sleep(0.01)
    print("said late")
def handler(event, context):
    threading.Thread(target=late).start()
    return 1
"""
    create(lam, "f", code)
    invoke(lam, "f")
    (group,) = freezers(traces)
    frozen = 0
    for _ in range(99):
        invoke(lam, "f")
        frozen += is_frozen(group)
    # A client that this machine kept from asking for 50 ms meets it all the same.
    assert frozen < 10
    until(all_frozen(traces, 1))
    until(lambda: sum("said late" in message for message in messages(logs, "f")) == 100)


def test_the_memory_of_a_frozen_function_is_still_measured_and_it_still_ends(fresh):
    samovar = fresh("--idle-expiry", "1")
    lam, traces = samovar.client("lambda"), Traces(samovar)
    create(lam, "f", COUNTING)
    invoke(lam, "f")
    until(all_frozen(traces, 1))
    # Idle expiry ends what is frozen.
    until(lambda: not traces.given(), 10)
    log = invoke(lam, "f", LogType="Tail")["log"]
    assert "Max Memory Used: " in log and "Max Memory Used: 0 MB" not in log


def test_an_init_sleeps_while_its_sandbox_is_frozen_and_watches_again_after(fresh):
    samovar = fresh()
    lam, traces = samovar.client("lambda"), Traces(samovar)
    code = "def handler(event, context):\n    return len([bytes([1]) * (1 << 20) for _ in range(event)])\n"
    create(lam, "f", code, Timeout=30)
    invoke(lam, "f", 0)
    until(all_frozen(traces, 1))
    (group,) = freezers(traces)
    runtime = (group / "cgroup.procs").read_text().split()[0]
    (init,) = [line.split()[1] for line in pathlib.Path(f"/proc/{runtime}/status").read_text().splitlines() if line.startswith("PPid:")]
    assert pathlib.Path(f"/proc/{init}/comm").read_text() == "samovar-init\n"

    def woken():
        status = pathlib.Path(f"/proc/{init}/status").read_text()
        return sum(int(line.split()[1]) for line in status.splitlines() if "ctxt_switches" in line)

    # It looks for some time before it knows that the frost has come.
    def sleeps(seconds=2.5):
        before = woken()
        time.sleep(seconds)
        return woken() == before

    until(sleeps, 30)
    answer = invoke(lam, "f", 400)
    assert answer["payload"]["errorType"] == "Runtime.OutOfMemory", answer["payload"]


def test_an_update_and_a_deletion_end_frozen_environments(fresh):
    samovar = fresh()
    lam, traces = samovar.client("lambda"), Traces(samovar)
    for name in ("f", "g"):
        create(lam, name, COUNTING)
        invoke(lam, name)
    until(all_frozen(traces, 2))
    lam.update_function_configuration(FunctionName="f", Timeout=7)
    lam.delete_function(FunctionName="g")
    until(lambda: not traces.given())


def test_a_crash_and_a_timeout_of_a_function_that_was_frozen(fresh):
    samovar = fresh()
    lam, traces = samovar.client("lambda"), Traces(samovar)
    create(lam, "f", "import os, time\ndef handler(event, context):\n    if event == 'exit': os._exit(3)\n    if event == 'hang': time.sleep(60)\n    return 1\n", Timeout=1)
    for event, error in (("exit", "Runtime.ExitError"), ("hang", "Sandbox.Timedout")):
        assert invoke(lam, "f", 1)["payload"] == 1
        until(all_frozen(traces, 1))
        assert invoke(lam, "f", event)["payload"]["errorType"] == error
    assert invoke(lam, "f", 1)["payload"] == 1


@pytest.mark.parametrize("who", ["launcher", "server", "both"])
def test_a_kill_with_frozen_environments_leaves_no_process_at_once_and_nothing_after_the_next_start(fresh, who):
    samovar = fresh()
    lam, traces = samovar.client("lambda"), Traces(samovar)
    for name in ("f", "g", "h"):
        create(lam, name, COUNTING)
        invoke(lam, name)
    until(all_frozen(traces, 3))
    launcher, server = samovar.process.pid, samovar.server_pid()
    for victim in {"launcher": [launcher], "server": [server], "both": [server, launcher]}[who]:
        os.kill(victim, signal.SIGKILL)
    samovar.process.wait(30)
    until(lambda: traces.processes() == [], 10)
    left = set(traces.groups())
    # A launcher that outlives its server removes them itself.
    assert bool(left) == (who != "server")
    samovar.start()
    # Whatever is there now was made since.
    until(lambda: not left & set(traces.groups()))
    assert invoke(lam, "f")["payload"]["thread"] >= 0
    until(all_frozen(traces, 1))
    assert samovar.stop() == 0
    assert traces.processes() == [] and traces.groups() == [] and traces.run() == []


def test_an_environment_of_age_is_replaced_between_two_invokes(fresh):
    samovar = fresh("--max-age", "2")
    lam = samovar.client("lambda")
    create(lam, "f", COUNTING + "\nimport uuid\nself = str(uuid.uuid4())\nold = handler\ndef handler(event, context):\n    old(event, context)\n    return self\n", Timeout=10)
    first = invoke(lam, "f")["payload"]
    assert invoke(lam, "f", {"work": 3})["payload"] == first
    assert invoke(lam, "f")["payload"] != first
