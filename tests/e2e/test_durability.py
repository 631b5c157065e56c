"""kill -9 at any moment: what was answered is there, what was half made is not."""

import random
import threading
import time

import pytest
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, HTTPClientError

from samovar import PYTHON, ROLE, create, invoke, until, wait_active, zip_of


def code(text):
    return zip_of({"index.py": f"def handler(e, c):\n    return {text!r}\n"})


def everybody_is_well(server, expected):
    """Every acknowledged function is there, becomes active and answers; no other is."""
    lam = server.client("lambda")
    listed = {f["FunctionName"]: f for page in lam.get_paginator("list_functions").paginate() for f in page["Functions"]}
    for name in expected:
        assert name in listed, f"{name} was acknowledged and is gone"
    for name in listed:
        wait_active(lam, name)
    return lam, listed


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_creates_survive_a_kill(fresh, seed):
    dice = random.Random(seed)
    server = fresh()
    acknowledged, stop = [], threading.Event()

    def create_forever(worker):
        lam = server.client("lambda")
        for number in range(10000):
            if stop.is_set():
                return
            name = f"w{worker}-{number}"
            try:
                lam.create_function(FunctionName=name, Runtime=PYTHON, Handler="index.handler", Role=ROLE, Code={"ZipFile": code(name)})
            except (BotoCoreError, ClientError):
                return
            acknowledged.append(name)

    workers = [threading.Thread(target=create_forever, args=(w,)) for w in range(3)]
    for worker in workers:
        worker.start()
    until(lambda: len(acknowledged) >= 3)
    time.sleep(dice.uniform(0, 0.5))
    server.kill()
    stop.set()
    for worker in workers:
        worker.join()
    server.start()
    lam, _ = everybody_is_well(server, acknowledged)
    for name in dice.sample(acknowledged, min(4, len(acknowledged))):
        assert invoke(lam, name)["payload"] == name


def test_updates_survive_a_kill(fresh):
    server = fresh()
    create(server.client("lambda"), "f", "def handler(e, c):\n    return 0\n")
    dice, version, base = random.Random(7), 0, 0
    for _ in range(4):
        state = {"sent": version, "answered": version}

        def update_forever():
            lam = server.client("lambda")
            try:
                while True:
                    state["sent"] += 1
                    lam.update_function_code(FunctionName="f", ZipFile=code(state["sent"]))
                    state["answered"] = state["sent"]
                    wait_active(lam, "f")
            except (BotoCoreError, ClientError):
                return

        worker = threading.Thread(target=update_forever)
        worker.start()
        until(lambda: state["answered"] > version)
        time.sleep(dice.uniform(0, 0.3))
        server.kill()
        worker.join()
        server.start()
        lam, _ = everybody_is_well(server, ["f"])
        version = int(invoke(lam, "f")["payload"])
        assert state["answered"] <= version <= state["sent"]


def test_a_kill_leaves_no_process_of_a_function(fresh):
    import pathlib

    server = fresh()
    lam = server.client("lambda")
    create(lam, "f", "import time\ndef handler(e, c):\n    time.sleep(0.01)\n    return open('/proc/sys/kernel/random/boot_id').read() and 'samovar-marker'\n",
           Environment={"Variables": {"MARKER": "samovar-kill-test"}})
    invoke(lam, "f")

    def marked():
        found = []
        for path in pathlib.Path("/proc").iterdir():
            if path.name.isdigit():
                try:
                    if b"MARKER=samovar-kill-test" in (path / "environ").read_bytes():
                        found.append(path.name)
                except OSError:
                    pass
        return found

    assert marked()
    server.kill()
    until(lambda: not marked())
    server.start()
    assert invoke(lam, "f")["payload"] == "samovar-marker"


def test_an_orderly_stop_lets_running_invokes_finish(fresh):
    server = fresh()
    lam = server.client("lambda")
    create(lam, "f", "import time\ndef handler(e, c):\n    print('on it', flush=True)\n    time.sleep(2)\n    return 'done'\n", Timeout=10)
    got = []
    running = threading.Thread(target=lambda: got.append(invoke(lam, "f")["payload"]))
    running.start()
    from samovar import messages

    until(lambda: any("on it" in line for line in messages(server.client("logs"), "f")))
    assert server.stop() == 0
    running.join()
    assert got == ["done"]
