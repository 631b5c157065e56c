"""SnapStart from a memory image: every environment goes on from the one init, and where none is possible makes its own."""

import concurrent.futures
import os
import pathlib
import re
import time

import botocore.exceptions
import pytest

from samovar import SDK_DIR, create, invoke, messages, until
from test_snap_start import PYTHON_SNAP, SNAP, masked, published, streams

KEPT = "environments go on from a memory image"
NONE = "there is no memory image"
MANY = 20
# What its init leaves is seen in every environment; what it draws later is not.
STATEFUL = """
import json, os, random, signal, socket, ssl, sys, tempfile, threading, time, uuid
from snapshot_restore_py import register_after_restore, register_before_snapshot

print("init")
unique, inits, hooks = str(uuid.uuid4()), [1], []
big = {str(number): [number] for number in range(20000)}
context = ssl.create_default_context()
text = open(__file__)
text.readline()
os.environ["CHANGED"] = "at init"
os.umask(0o027)
signal.signal(signal.SIGUSR1, lambda *_: hooks.append("signal"))
register_before_snapshot(hooks.append, "before")
register_after_restore(hooks.append, "after")

def handler(event, _):
    time.sleep(event.get("sleep", 0))
    if event.get("crash"):
        os._exit(3)
    if event.get("signal"):
        os.kill(os.getpid(), signal.SIGUSR1)
    done = []
    worker = threading.Thread(target=lambda: done.append(sum(len(value) for value in big.values())))
    worker.start()
    worker.join()
    status = open("/proc/self/status").read().splitlines()
    return {
        "unique": unique, "inits": len(inits), "hooks": hooks[:], "done": done, "text": text.readline(),
        "drawn": [random.random(), str(uuid.uuid4()), str(uuid.uuid1()), ssl.RAND_bytes(8).hex(), tempfile.mktemp(),
                  os.urandom(8).hex()],
        "pids": [os.getpid(), threading.main_thread().native_id, threading.get_native_id()],
        "mask": os.umask(0o027), "cwd": os.getcwd(), "handlers": len(context.get_ca_certs()) >= 0,
        "env": {name: os.environ.get(name) for name in ("CHANGED", "AWS_LAMBDA_INITIALIZATION_TYPE", "OWN", "_HANDLER")},
        "shown": open("/proc/self/environ").read().count("AWS_LAMBDA_INITIALIZATION_TYPE=snap-start"),
        "files": sorted(os.readlink(f"/proc/self/fd/{n}").partition(":")[0] for n in os.listdir("/proc/self/fd")
                        if os.path.islink(f"/proc/self/fd/{n}")),
        "rights": [line for line in status if line.startswith(("CapEff", "NoNewPrivs", "Seccomp:", "Uid"))],
    }
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A server whose Python has a zygote: only what it bore has images."""
    from samovar import Samovar

    samovar = Samovar(tmp_path_factory.mktemp("images") / "data").start()
    ready(samovar)
    yield samovar
    assert samovar.stop() == 0


def zygotes(samovar):
    """The launcher's children that run Python: an environment's runtime is its init's child."""
    def is_python(pid):
        try:
            return b"bootstrap.py" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False

    return [pid for pid in samovar.children() if is_python(pid)]


def ready(samovar):
    """Waits for a version that has an image, so that there is a zygote that has borne somebody."""
    lam = samovar.client("lambda")
    for attempt in range(40):
        before = samovar.output().count(KEPT)
        name = f"ready-{attempt}-{time.monotonic_ns()}"
        snap(lam, name, "def handler(e, c): pass\n")
        published(lam, name)
        gone = samovar.output().count(KEPT) > before
        lam.delete_function(FunctionName=name)
        if gone:
            return
        time.sleep(0.25)
    raise AssertionError("no version has an image")


@pytest.fixture
def lam(house):
    return house.client("lambda")


@pytest.fixture
def logs(house):
    return house.client("logs")


def snap(lam, name, code=STATEFUL, **more):
    return create(lam, name, code, **{"runtime": PYTHON_SNAP, "SnapStart": SNAP, "Timeout": 20, **more})


def imaged(house, lam, name, code=STATEFUL, **more):
    """A published version that has an image; its number."""
    snap(lam, name, code, **more)
    version = published(lam, name)
    until(lambda: said(house, name, KEPT) or said(house, name, NONE))
    assert said(house, name, KEPT), said(house, name, NONE)
    return version


def said(house, name, words):
    return [line for line in house.output().splitlines() if words in line and f":{name}:" in line]


def at_once(lam, name, version, count, event=None):
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        ask = lambda _: invoke(lam, name, {"sleep": 1, **(event or {})}, Qualifier=version, LogType="Tail")
        return list(pool.map(ask, range(count)))


def images(house):
    """How many images the server holds."""
    files = pathlib.Path(f"/proc/{house.server_pid()}/fd")
    return sum("memfd:image" in os.readlink(file) for file in files.iterdir() if file.is_symlink())


def test_many_environments_at_once_go_on_from_one_init(house, lam, logs, name):
    version = imaged(house, lam, name, Environment={"Variables": {"OWN": "x"}}, MemorySize=256)
    answers = at_once(lam, name, version, MANY, {"sleep": 4})
    told = [answer["payload"] for answer in answers]
    assert len({one["unique"] for one in told}) == 1
    assert {(one["inits"], tuple(one["hooks"]), tuple(one["done"])) for one in told} == {(1, ("before", "after"), (20000,))}
    for drawn in zip(*(one["drawn"] for one in told)):
        assert len(set(drawn)) == MANY, drawn
    # The file that was open at its second line is open there; nothing else but what every function has.
    assert {one["text"] for one in told} == {STATEFUL.splitlines(keepends=True)[1]}
    # (The last one is the listing's own.)
    assert {tuple(kind for kind in one["files"] if not kind.startswith("/proc/")) for one in told} == {
        ("/dev/null", "/var/task/index.py", "pipe", "pipe", "pipe", "socket")}
    for one in told:
        assert len(set(one["pids"])) == 1, one["pids"]
        assert (one["mask"], one["cwd"], one["shown"]) == (0o027, "/var/task", 1)
        assert one["env"] == {"CHANGED": "at init", "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start", "OWN": "x",
                              "_HANDLER": "index.handler"}
    rights = {tuple(one["rights"]) for one in told}
    assert len(rights) == 1 and "CapEff:\t0000000000000000" in rights.pop()
    assert all("Restore Duration" in answer["log"] and "Init" not in answer["log"] for answer in answers)
    # One init wrote to its stream; every other stream begins with a restore.
    until(lambda: sum("REPORT RequestId" in line for line in messages(logs, name)) == MANY)
    found = streams(logs, name)
    inits = [stream for stream, lines in found.items() if "init" in lines]
    restored = [[masked(line) for line in lines] for stream, lines in found.items() if stream not in inits]
    assert len(inits) == 1 and len(restored) == MANY, [lines for lines in restored if len(lines) != 5]
    for lines in restored:
        assert lines[0].startswith("RESTORE_START Runtime Version: python:3.12."), lines
        assert lines[1] == "RESTORE_REPORT Restore Duration: N ms" and lines[2].startswith("START RequestId"), lines
    # A handler of the init's serves each of them.
    assert invoke(lam, name, {"signal": True}, Qualifier=version)["payload"]["hooks"] == ["before", "after", "signal"]


def test_an_environment_in_the_place_of_one_that_crashed_goes_on_from_the_same_init(house, lam, name):
    version = imaged(house, lam, name)
    one = invoke(lam, name, {}, Qualifier=version)["payload"]
    assert invoke(lam, name, {"crash": True}, Qualifier=version)["FunctionError"] == "Unhandled"
    other = invoke(lam, name, {}, Qualifier=version)["payload"]
    assert other["unique"] == one["unique"] and other["drawn"][0] != one["drawn"][0]


@pytest.mark.skipif(not SDK_DIR, reason="needs the SDK")
def test_keys_are_every_environments_own(house, lam, name):
    code = """
import boto3, os, time
session = boto3.Session()
client = session.client("lambda")
ask = lambda: client.get_function_configuration(FunctionName=os.environ["AWS_LAMBDA_FUNCTION_NAME"])
at_init = ask() and session.get_credentials().get_frozen_credentials().access_key
def handler(event, context):
    time.sleep(event.get("sleep", 0))
    ask()
    return [at_init, session.get_credentials().get_frozen_credentials().access_key]
"""
    version = imaged(house, lam, name, code, MemorySize=512)
    told = [answer["payload"] for answer in at_once(lam, name, version, 6)]
    assert len({at_init for at_init, _ in told}) == 1
    assert len({key for _, key in told}) == 6 and all(key.startswith("ASIA") for _, key in told)


@pytest.mark.parametrize("init,reason", [
    ("import threading, time\nthreading.Thread(target=time.sleep, args=(3600,), daemon=True).start()", "it has threads"),
    ("import socket\nkept = socket.create_server(('127.0.0.1', 0))", "it has a socket open that is no connection"),
    ("import socket\nkept = socket.socketpair()", "it has a socket open that is no connection"),
    ("import os\nkept = os.pipe()", "it has pipe open"),
    ("import asyncio\nloop = asyncio.new_event_loop()", "open"),
    ("open('/tmp/x', 'w').write('x')", "it left files in /tmp"),
    ("import subprocess\nkept = subprocess.Popen(['/bin/sleep', '3600'])", "it has child processes"),
    ("import mmap\nkept = mmap.mmap(-1, 4096)", "it shares memory"),
    ("import signal\nsignal.setitimer(signal.ITIMER_REAL, 3600)", "it has timers"),
    ("kept = bytearray(b'x') * (300 << 20)", "it is too large"),
], ids=lambda text: re.sub(r"\W+", "-", text)[-24:])
def test_what_cannot_be_made_again_is_initialised_in_every_environment(house, lam, name, init, reason):
    code = f"import uuid, time\n{init}\nunique = str(uuid.uuid4())\ndef handler(e, c):\n    time.sleep(e['sleep'])\n    return unique\n"
    snap(lam, name, code, MemorySize=1024)
    version = published(lam, name)
    lines = until(lambda: said(house, name, NONE))
    assert reason in lines[0], lines
    answers = at_once(lam, name, version, 3, {"sleep": 3})
    assert len({answer["payload"] for answer in answers}) == 3
    assert all("Restore Duration" in answer["log"] for answer in answers)


@pytest.mark.parametrize("seed", ["os._exit(5)", "time.sleep(3600)"], ids=["ends", "hangs"])
def test_an_image_that_does_not_restore_ends_one_environment_and_is_given_up(house, lam, name, seed):
    # What restored environments draw new is the one part of the function that runs before they are heard of.
    code = f"""
import os, random, time
random.seed = lambda *_: {seed}
def handler(event, context):
    time.sleep(event["sleep"])
    return os.getpid()
"""
    before = images(house)
    version = imaged(house, lam, name, code)
    began = time.monotonic()
    answers = at_once(lam, name, version, 3, {"sleep": 2})
    # Nobody waits longer than for the ten seconds of a restore; who was first may serve the others meanwhile.
    assert time.monotonic() - began < 20
    assert all(type(answer["payload"]) is int for answer in answers), answers
    until(lambda: said(house, name, "did not restore"))
    # It is not tried again before there is another zygote.
    until(lambda: images(house) == before)
    at_once(lam, name, version, 6, {"sleep": 2})
    assert len(said(house, name, KEPT)) == 1


def test_a_hook_has_ten_seconds_in_every_environment(house, lam, logs, name):
    code = "import time\nfrom snapshot_restore_py import *\nregister_after_restore(time.sleep, 60)\ndef handler(e, c): pass\n"
    version = imaged(house, lam, name, code)

    def refused(_):
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            lam.invoke(FunctionName=name, Qualifier=version)
        return caught.value.response["Error"]["Code"]

    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        assert set(pool.map(refused, range(3))) == {"SnapStartTimeoutException"}
    assert 9.5 < time.monotonic() - began < 16
    until(lambda: sum("Status: timeout" in line for line in messages(logs, name)) == 3)


def test_what_is_deleted_or_changed_gives_its_image_back(house, lam, name):
    before = images(house)
    first = imaged(house, lam, name)
    assert images(house) == before + 1
    from samovar import wait_active, zip_of

    lam.update_function_code(FunctionName=name, ZipFile=zip_of({"index.py": STATEFUL + "#"}))
    wait_active(lam, name)
    second = published(lam, name)
    until(lambda: len(said(house, name, KEPT)) == 2)
    uniques = {invoke(lam, name, {}, Qualifier=version)["payload"]["unique"] for version in (first, second)}
    assert images(house) == before + 2 and len(uniques) == 2
    lam.delete_function(FunctionName=name, Qualifier=first)
    until(lambda: images(house) == before + 1)
    lam.delete_function(FunctionName=name)
    until(lambda: images(house) == before)


def test_an_image_is_made_anew_when_its_zygote_is_gone(fresh):
    house = fresh()
    ready(house)
    lam = house.client("lambda")
    version = imaged(house, lam, "outlives")
    one = invoke(lam, "outlives", {}, Qualifier=version)["payload"]
    # One for each Python of the machine.
    old = zygotes(house)
    for zygote in old:
        os.kill(zygote, 9)
    until(lambda: zygotes(house) and not set(old) & set(zygotes(house)))
    # Those that no zygote bears make an init of their own; one that the new zygote bore makes the next image.
    def asked():
        invoke(lam, "outlives", {"crash": True}, Qualifier=version)
        return len(said(house, "outlives", KEPT)) == 2

    until(asked, 60, 0.2)
    uniques = {answer["payload"]["unique"] for answer in at_once(lam, "outlives", version, 4)}
    assert one["unique"] not in uniques
    until(lambda: images(house) == 1)
