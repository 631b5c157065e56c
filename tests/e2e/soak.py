"""Everything at once for a while, and then exact books: `python soak.py --seconds 600 --seed 7`.

Several clients send what succeeds, fails, times out, crashes, fills its memory, is refused, streams, hangs up, waits for
nobody, meets updates, has an extension, a snapshot or an environment that was provided. Each request must be answered once
and as its kind may be. At the end the server must be what it was after a warm-up: no environment, permits free again, and
every group, mount, link, descriptor and megabyte accounted for.
"""

import argparse
import collections
import os
import pathlib
import random
import re
import secrets
import sys
import tempfile
import threading
import time
import urllib.request

from botocore.exceptions import ClientError

from extension import layer
from samovar import NODE, Samovar, create, events_of, invoke, until, wait_active, zip_of
from test_sweep import Traces

CLIENTS = 10
# A second after its last call an environment is closed, so that most of them come and go.
IDLE_EXPIRY = 1
# A hundred must stay unreserved.
ACCOUNT_CONCURRENCY = 104
RESERVED = 2
PROVISIONED = 2
# As many sandboxes are kept ready at all times, whatever was asked for last.
PREPARED = 24
FLAGS = (
    "--idle-expiry", str(IDLE_EXPIRY), "--concurrency", str(ACCOUNT_CONCURRENCY), "--max-age", "20",
    "--prepared", str(PREPARED), "--egress", "none",
)  # fmt: skip
WARM_UP_SECONDS = 5
# What allocators and caches may keep beyond the warm-up's end, in megabytes of PSS.
SERVER_GROWTH = 24
LAUNCHER_GROWTH = 4
# What the launcher holds for a sandbox that is ready (two sockets to its init, the log, the meter, two listeners, the
# freezer, the mount namespace), for one into which a runtime may still be born (the log's other end and the runtime's
# socket), and for a network that none has yet (the namespace and the listeners).
PREPARED_DESCRIPTORS = 8
NEST_DESCRIPTORS = 2
NETWORK_DESCRIPTORS = 3

ECHO = "def handler(event, context):\n    return event\n"
BUSY = """
import subprocess, threading, time
def go_on():
    while True:
        time.sleep(0.01)
threading.Thread(target=go_on, daemon=True).start()
subprocess.Popen(["/bin/sh", "-c", "while :; do echo x; sleep 0.1; done > /tmp/x"])
def handler(event, context):
    return event
"""
WRONG = """
import os, time
def handler(event, context):
    if event == "timeout":
        time.sleep(30)
    if event == "exit":
        os._exit(3)
    if event == "memory":
        x = bytes([1]) * (300 << 20)
    if event == "raise":
        raise ValueError("as asked")
    return event
"""
TELL = "def handler(event, context):\n    print(f'GOT {event}', flush=True)\n"
SLOW = "import time\ndef handler(event, context):\n    time.sleep(event)\n    return event\n"
CHANGING = "import time\ndef handler(event, context):\n    time.sleep(event)\n    return {}\n"
STREAM = """
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
    for (let i = 0; i < event; i++) stream.write(`piece ${i}\\n`);
    stream.end();
});
"""
EXTENSION = """#!/usr/bin/python3
import http.client, json, os, sys
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def call(method, path, body=None, **headers):
    api.request(method, "/2020-01-01/extension/" + path, body, headers)
    answer = api.getresponse()
    return answer.getheaders(), json.loads(answer.read())
headers, _ = call("POST", "register", '{"events":["INVOKE","SHUTDOWN"]}', **{"Lambda-Extension-Name": os.path.basename(sys.argv[0])})
me = {name: value for name, value in headers if name.lower() == "lambda-extension-identifier"}
print("REGISTERED", *me.values(), flush=True)
while True:
    _, event = call("GET", "event/next", **me)
    if event["eventType"] == "SHUTDOWN":
        print("ENDED", *me.values(), flush=True)
        break
    print("HEARD", event["requestId"], flush=True)
"""
SNAPPED = """
import uuid
from snapshot_restore_py import register_after_restore, register_before_snapshot
hooks = []
register_before_snapshot(hooks.append, "before")
register_after_restore(hooks.append, "after")
own = str(uuid.uuid4())
def handler(event, context):
    return [event, context.function_version, hooks, own]
# {}
"""
PROVIDED = """
import os
def handler(event, context):
    if event == "exit":
        os._exit(3)
    return [event, os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]]
"""
FAILURES = {"timeout": "Sandbox.Timedout", "exit": "Runtime.ExitError", "memory": "Runtime.OutOfMemory", "raise": "ValueError"}
KINDS = {"warm", "node", "busy", "cold", *FAILURES, "narrow", "closed", "tell", "stream", "hangs up", "changing",
         "extended", "snapped", "provided"}  # fmt: skip
# How much longer a slow machine may take to have seen each of them.
PATIENCE = 30
COLD = 12
# Whose requests are looked for in the logs, one by one.
FOLLOWED = {"wrong", "hasty", "extended", "snapped", "provided", *(f"cold{number}" for number in range(COLD))}


def error_type(answer):
    """Of an answer that tells of a failure; none of any other."""
    return answer["payload"]["errorType"] if "FunctionError" in answer else None


class Soak:
    """Traffic of one server, and its books."""

    def __init__(self, samovar, seed):
        self.samovar = samovar
        self.seed = seed
        self.lam = samovar.client("lambda")
        self.answers = collections.Counter()
        self.wrong = []
        self.sent = collections.defaultdict(list)
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        # Which code of the function that changes was asked for, and which is known to be in force.
        self.asked = self.settled = 0
        # The versions with a snapshot, of which the last is called.
        self.snapshots = []

    def deploy(self):
        python = {"warm": ECHO, "busy": BUSY, "wrong": WRONG, "hasty": WRONG, "tell": TELL, "narrow": SLOW, "closed": ECHO, "slow": SLOW}
        for name, code in {**python, "changing": CHANGING.format(0), **{f"cold{n}": ECHO for n in range(COLD)}}.items():
            create(self.lam, name, code, Timeout=1 if name == "hasty" else 30)
        create(self.lam, "node", "exports.handler = async (event) => event;", runtime=NODE, Timeout=30)
        create(self.lam, "stream", STREAM, runtime=NODE, Timeout=30)
        create(self.lam, "extended", WRONG, Timeout=30, Layers=[layer(self.lam, "extension", follower=EXTENSION)])
        create(self.lam, "snapped", SNAPPED, runtime="python3.12", Timeout=30, SnapStart={"ApplyOn": "PublishedVersions"})
        create(self.lam, "provided", PROVIDED, Timeout=30)
        self.lam.publish_version(FunctionName="provided")
        # Whose log is opened later would look like a leak.
        invoke(self.lam, "slow", 0)
        self.lam.put_function_concurrency(FunctionName="narrow", ReservedConcurrentExecutions=RESERVED)
        self.lam.put_function_concurrency(FunctionName="closed", ReservedConcurrentExecutions=0)

    def run(self, seconds):
        """Sends traffic of every kind for a while; every answer is in the books when it returns."""
        self.stopping.clear()
        self.open()
        work = [lambda n=n: self.call(random.Random(f"{self.seed} {n}")) for n in range(CLIENTS)] + [self.change]
        threads = [threading.Thread(target=self.guarded, args=(each,)) for each in work]
        for thread in threads:
            thread.start()
        began = time.monotonic()
        while not self.stopping.wait(0.5):
            took = time.monotonic() - began
            if took >= seconds and (not self.missing() or took >= seconds + PATIENCE):
                break
        self.stopping.set()
        for thread in threads:
            thread.join(90)
            assert not thread.is_alive(), "a request has no answer"
        assert not self.wrong, (len(self.wrong), self.wrong[:10])
        self.close()

    def open(self):
        """What stands while there is traffic: environments that are provided, and a version with a snapshot."""
        self.lam.put_provisioned_concurrency_config(**self.provided, ProvisionedConcurrentExecutions=PROVISIONED)
        self.snap()
        until(self.is_provided, 60)

    def close(self):
        """Takes that away; what is provided must be there in full."""
        until(self.is_provided, 60)
        self.lam.delete_provisioned_concurrency_config(**self.provided)
        while self.snapshots:
            self.lam.delete_function(FunctionName="snapped", Qualifier=self.snapshots.pop())

    provided = {"FunctionName": "provided", "Qualifier": "1"}

    def is_provided(self):
        config = self.lam.get_provisioned_concurrency_config(**self.provided)
        return (config["Status"], config["AvailableProvisionedConcurrentExecutions"]) == ("READY", PROVISIONED)

    def snap(self):
        """Publishes a version with a snapshot, and takes those away that are not called any more."""
        code = zip_of({"index.py": SNAPPED.format(secrets.token_hex(4))})
        version = self.lam.update_function_code(FunctionName="snapped", ZipFile=code, Publish=True)["Version"]
        waiter = self.lam.get_waiter("published_version_active")
        waiter.wait(FunctionName="snapped", Qualifier=version, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        self.snapshots.append(version)
        while len(self.snapshots) > 2:
            self.lam.delete_function(FunctionName="snapped", Qualifier=self.snapshots.pop(0))

    def missing(self):
        """Kinds that no request was of yet."""
        with self.lock:
            return KINDS - {name for name, _ in self.answers}

    def guarded(self, work):
        try:
            work()
        except Exception as error:
            self.wrong.append(repr(error))
            self.stopping.set()

    def call(self, dice):
        lam = self.samovar.client("lambda", attempts=1)
        kinds = [
            (30, self.echo, "warm"), (8, self.echo, "node"), (6, self.echo, "busy"), (12, self.echo, "cold"), (3, self.fails, "raise"),
            (3, self.fails, "exit"), (1, self.fails, "timeout"), (1, self.fails, "memory"), (4, self.narrow, "narrow"),
            (2, self.closed, "closed"), (6, self.tell, "tell"), (5, self.stream, "stream"), (1, self.hangs_up, "hangs up"),
            (5, self.changing, "changing"), (4, self.extended, "extended"), (4, self.snapped, "snapped"), (6, self.provides, "provided"),
        ]  # fmt: skip
        while not self.stopping.is_set():
            weights = [weight for weight, _, _ in kinds]
            _, send, name = dice.choices(kinds, weights)[0]
            told = send(lam, dice, name)
            with self.lock:
                self.answers[name, told] += 1
                if told not in ("ok", "throttled", "failed"):
                    self.wrong.append((name, told))
        lam.close()

    def attempt(self, lam, name, event, **more):
        """The answer of an invocation, or the reason of its refusal."""
        try:
            return invoke(lam, name, event, **more), None
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            return None, "throttled" if status == 429 else repr(error)

    def echo(self, lam, dice, name):
        name = f"cold{dice.randrange(COLD)}" if name == "cold" else name
        event = [dice.random(), "x" * dice.choice([1, 1000, 100_000])]
        answer, refused = self.attempt(lam, name, event)
        self.note(name, answer)
        return refused or ("ok" if answer["payload"] == event and "FunctionError" not in answer else repr(answer["payload"])[:500])

    def fails(self, lam, dice, what):
        name = "hasty" if what == "timeout" else "wrong"
        answer, refused = self.attempt(lam, name, what)
        self.note(name, answer)
        return refused or ("failed" if error_type(answer) == FAILURES[what] else repr(answer["payload"])[:500])

    def extended(self, lam, dice, name):
        """With an extension, whose environment is closed or reset."""
        event = dice.choice(["exit", *range(5)])
        answer, refused = self.attempt(lam, name, event)
        self.note(name, answer)
        return refused or self.told(answer, event, lambda payload: payload == event)

    def snapped(self, lam, dice, name):
        event, version = dice.random(), self.snapshots[-1]
        answer, refused = self.attempt(lam, name, event, Qualifier=version)
        self.note(name, answer)
        return refused or self.told(answer, event, lambda payload: payload[:3] == [event, version, ["before", "after"]])

    def provides(self, lam, dice, name):
        event = dice.choice(["exit", *range(9)])
        answer, refused = self.attempt(lam, name, event, Qualifier="1")
        self.note(name, answer)
        kinds = ("provisioned-concurrency", "on-demand")
        return refused or self.told(answer, event, lambda payload: payload[0] == event and payload[1] in kinds)

    def told(self, answer, event, is_right):
        """What became of a call that was to end well, or to crash."""
        if event == "exit":
            return "failed" if error_type(answer) == FAILURES["exit"] else repr(answer["payload"])[:500]
        return "ok" if "FunctionError" not in answer and is_right(answer["payload"]) else repr(answer["payload"])[:500]

    def narrow(self, lam, dice, name):
        answer, refused = self.attempt(lam, name, dice.choice([0, 0.1]))
        return refused or ("ok" if "FunctionError" not in answer else repr(answer["payload"])[:500])

    def closed(self, lam, dice, name):
        answer, refused = self.attempt(lam, name, 1)
        return refused or f"not refused: {answer['raw']}"

    def tell(self, lam, dice, name):
        event = f"{dice.getrandbits(64):016x}"
        answer = lam.invoke(FunctionName=name, InvocationType="Event", Payload=f'"{event}"')
        with self.lock:
            self.sent[name].append(event)
        return "ok" if answer["StatusCode"] == 202 else repr(answer)

    def stream(self, lam, dice, name):
        count = dice.choice([1, 10, 1000])
        answer = lam.invoke_with_response_stream(FunctionName=name, Payload=str(count))
        told = list(answer["EventStream"])
        body = b"".join(event["PayloadChunk"]["Payload"] for event in told if "PayloadChunk" in event)
        right = body == b"".join(b"piece %d\n" % number for number in range(count)) and "InvokeComplete" in told[-1]
        return "ok" if right else repr((count, len(body), told[-1]))[:500]

    def hangs_up(self, lam, dice, name):
        """Who is answered in pieces goes away after the first."""
        answer = lam.invoke_with_response_stream(FunctionName="stream", Payload="20000")
        first = next(iter(answer["EventStream"]))
        answer["EventStream"].close()
        return "ok" if first["PayloadChunk"]["Payload"].startswith(b"piece 0\n") else repr(first)[:500]

    def changing(self, lam, dice, name):
        least = self.settled
        answer, refused = self.attempt(lam, name, dice.choice([0, 0, 0.3]))
        most = self.asked
        if refused:
            return refused
        value = answer["payload"]
        return "ok" if "FunctionError" not in answer and least <= value <= most else f"{value} is not of {least} to {most}"

    def note(self, name, answer):
        if answer and name in FOLLOWED:
            with self.lock:
                self.sent[name].append(answer["ResponseMetadata"]["RequestId"])

    def change(self):
        """Gives a function new code again and again: what runs ends on the old, what comes gets the new."""
        while not self.stopping.wait(0.7):
            self.asked += 1
            self.lam.update_function_code(FunctionName="changing", ZipFile=zip_of({"index.py": CHANGING.format(self.asked)}))
            wait_active(self.lam, "changing")
            self.settled = self.asked
            if self.asked % 5 == 0:
                self.snap()

    def check_logs(self):
        """Each request that was followed has one report, and each event was handled once."""
        logs = self.samovar.client("logs")
        for name, ids in sorted(self.sent.items()):
            pattern = re.compile(r"GOT (\w+)" if name == "tell" else r"REPORT RequestId: (\S+)")

            def told():
                lines = events_of(logs, f"/aws/lambda/{name}")
                return collections.Counter(match[1] for line in lines for match in pattern.finditer(line))

            until(lambda: sum(told().values()) >= len(ids), 60)
            counts = told()
            assert counts == collections.Counter(ids), (name, [(each, counts[each]) for each in ids if counts[each] != 1][:5])

    def check_extensions(self):
        """The extension heard of each request once, and each that began was told of its end, when no environment is left."""
        logs = self.samovar.client("logs")

        def said(word):
            lines = events_of(logs, "/aws/lambda/extended")
            return collections.Counter(line.split()[1] for line in lines if line.startswith(word))

        until(lambda: sum(said("ENDED").values()) >= sum(said("REGISTERED").values()), 30)
        assert said("ENDED") == said("REGISTERED")
        assert said("HEARD") == collections.Counter(self.sent["extended"])

    def check_permits(self):
        """All that the account and a function may run at once can run at once, and no more."""
        free = ACCOUNT_CONCURRENCY - RESERVED
        for name, room, seconds in (("narrow", RESERVED, 2), ("slow", free, 8)):
            answers = collections.Counter()

            def one():
                lam = self.samovar.client("lambda", attempts=1)
                answer, refused = self.attempt(lam, name, seconds)
                with self.lock:
                    answers[refused or ("FunctionError" not in answer and "ok")] += 1
                lam.close()

            threads = [threading.Thread(target=one) for _ in range(room + 3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(90)
            assert answers == {"ok": room, "throttled": 3}, (name, answers)


class Books:
    """What one server holds of the machine."""

    def __init__(self, samovar):
        self.traces = Traces(samovar)
        self.launcher, self.server = samovar.process.pid, samovar.server_pid()
        self.samovar = samovar

    def is_empty(self):
        """Whether the server has no environment and no pool."""
        with urllib.request.urlopen(f"{self.samovar.endpoint}/metrics", timeout=10) as answer:
            found = re.findall(r"^samovar_(?:pools|function_environments)(?:\{.*\})? (\S+)$", answer.read().decode(), re.M)
        return bool(found) and not any(map(float, found))

    def read(self):
        links = {pid: descriptors(pid) for pid in (self.launcher, self.server)}
        groups = collections.Counter(os.path.dirname(path) for path in self.traces.groups())
        # The log of each that is ready is a pipe of which the launcher holds one end, or both.
        pipes = sum(link.startswith("pipe:") for link in links[self.launcher])
        return {
            "nests": pipes - max(groups.values(), default=0),
            "groups": sorted(groups.values()),
            "mounts": [mounts(self.launcher), mounts(self.server)],
            "networks": sum(link.startswith("net:") for link in links[self.launcher]),
            "children": len(self.samovar.children()),
            "launcher descriptors": len(links[self.launcher]),
            "server descriptors": dict(collections.Counter(map(kind, links[self.server]))),
            "unfinished": self.traces.unfinished(),
            "launcher MB": pss(self.launcher),
            "server MB": pss(self.server),
        }


def descriptors(pid):
    found = []
    for path in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(path))
        except OSError:
            pass
    return found


def kind(link):
    """What a descriptor is of, without its numbers."""
    return re.sub(r"[0-9a-f]*\d[0-9a-f]*", "#", link)


def mounts(pid):
    return len(pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines())


def pss(pid):
    """Megabytes."""
    return int(re.search(r"^Pss:\s+(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1]) / 1024


def differences(before, after):
    """What is not as it was, beyond what is ready in advance and what memory may grow by."""
    found = {name: (before[name], after[name]) for name in ("mounts", "server descriptors", "unfinished") if before[name] != after[name]}
    # Without environments every group is that of a sandbox that is ready, which has one in each hierarchy.
    ready = sum(after["groups"]) - sum(before["groups"])
    hierarchies = {len(groups) for groups in (before["groups"], after["groups"]) if groups}
    if len(set(after["groups"])) > 1 or len(hierarchies) > 1:
        found["groups"] = (before["groups"], after["groups"])
    # On a busy machine none may be ready.
    more = ready // max(hierarchies, default=1)
    if after["children"] - before["children"] != more:
        found["children"] = (before["children"], after["children"], more)
    networks = after["networks"] - before["networks"]
    nests = after["nests"] - before["nests"]
    expected = more * PREPARED_DESCRIPTORS + nests * NEST_DESCRIPTORS + networks * NETWORK_DESCRIPTORS
    if after["launcher descriptors"] - before["launcher descriptors"] != expected:
        found["launcher descriptors"] = (before["launcher descriptors"], after["launcher descriptors"], expected)
    for who, most in (("launcher", LAUNCHER_GROWTH), ("server", SERVER_GROWTH)):
        if after[f"{who} MB"] - before[f"{who} MB"] > most:
            found[f"{who} MB"] = (before[f"{who} MB"], after[f"{who} MB"])
    return found


def soak(samovar, seconds, seed):
    """Runs all of it on a server that was started with `FLAGS`; prints the books."""
    print(f"soak of {seconds} s with seed {seed}", flush=True)
    traffic, books = Soak(samovar, seed), Books(samovar)
    traffic.deploy()
    traffic.run(WARM_UP_SECONDS)
    traffic.check_logs()
    traffic.lam.close()
    until(books.is_empty, 30)
    traffic.lam = samovar.client("lambda")
    before = settled(books)
    print(f"after the warm-up: {before}", flush=True)
    traffic.run(seconds)
    traffic.check_logs()
    traffic.check_permits()
    traffic.lam.close()
    until(books.is_empty, 30)
    traffic.check_extensions()
    after = settled(books, before)
    print(f"at the end: {after}", flush=True)
    for (name, told), count in sorted(traffic.answers.items()):
        print(f"{name:10} {told:10} {count}")
    print(f"changes of code: {traffic.settled}")
    assert not differences(before, after), differences(before, after)
    assert not traffic.missing(), traffic.missing()
    return traffic


def settled(books, before=None):
    """The books once they stand still, and where they are to be as they were, once they are or a minute has passed."""
    deadline = time.monotonic() + 60
    last = None
    while True:
        now = books.read()
        still = {name: value for name, value in now.items() if "MB" not in name}
        if time.monotonic() > deadline or (still == last and not (before and differences(before, now))):
            return now
        last = still
        time.sleep(0.5)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", default=secrets.token_hex(4))
    wishes = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="samovar-soak-") as place:
        samovar = Samovar(pathlib.Path(place) / "data", *FLAGS).start()
        try:
            soak(samovar, wishes.seconds, wishes.seed)
            assert samovar.stop() == 0
            left = {name: found for name, found in Traces(samovar).all().items() if found}
            assert not left, left
        finally:
            if samovar.process.poll() is None:
                samovar.kill()
            print(samovar.output()[-2000:], file=sys.stderr)
    print("the books are even")


if __name__ == "__main__":
    main()
