"""What is measured: `/metrics` as Prometheus' own parser reads it, and `samovar top`."""

import concurrent.futures
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import threading
import time
import urllib.error
import urllib.request

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from prometheus_client.parser import text_string_to_metric_families

from samovar import ACCOUNT, BINARY, NODE, REGION, create, invoke, until

WORK = """import os, time
def handler(event, context):
    what = event.get("do")
    if what == "raise":
        raise ValueError("no")
    if what == "exit":
        os._exit(3)
    time.sleep(event.get("seconds", 0))
    return "done"
"""
STREAM = """
const sent = (s, data) => new Promise((resolve) => s.write(data, resolve));
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  await sent(stream, 'part');
  if (event.late) throw new RangeError('late');
  if (event.never) await new Promise(() => {});
  stream.end('whole');
});
"""
COUNTERS = [
    "invocations", "errors", "throttles", "platform_failures", "cold_starts", "provisioned_concurrency_invocations",
    "provisioned_concurrency_spillover_invocations", "async_events_received", "async_events_dropped",
    "dead_letter_errors", "destination_delivery_failures",
]
PHASES = ["queue", "sandbox", "init", "handler", "extensions"]


def get(server, path="/metrics", headers=None):
    return urllib.request.urlopen(urllib.request.Request(server.endpoint + path, headers=headers or {}), timeout=10)


def families(server):
    return {family.name: family for family in text_string_to_metric_families(get(server).read().decode())}


class Figures:
    """One look at what a server measures."""

    def __init__(self, server):
        self.samples = {}
        for family in families(server).values():
            for sample in family.samples:
                self.samples[sample.name, frozenset(sample.labels.items())] = sample.value

    def value(self, name, **labels):
        return self.samples.get((name, frozenset(labels.items())))

    def function(self, name, figure, **more):
        return self.value(f"samovar_function_{figure}", account=ACCOUNT, region=REGION, function=name, **more)

    def counts(self, name):
        """The counters of a function that are not zero."""
        all_of = {counter: self.function(name, f"{counter}_total") for counter in COUNTERS}
        return {counter: int(count) for counter, count in all_of.items() if count}

    def functions(self):
        return {dict(labels)["function"] for name, labels in self.samples if name == "samovar_function_invocations_total"}


def settled(server, name, **counts):
    """The figures, once the function's counters are exactly these and nothing runs."""
    seen = []

    def there():
        figures = Figures(server)
        seen[:] = [figures.counts(name), figures.function(name, "concurrent_executions")]
        return figures if seen == [counts, 0] else None

    try:
        return until(there, 30)
    except AssertionError:
        raise AssertionError(f"{name} has {seen} and not {counts}") from None


@pytest.fixture(scope="module")
def retried(server):
    """An event that fails, and a minute later again."""
    lam = server.client("lambda")
    create(lam, "metrics-retried", WORK)
    lam.put_function_event_invoke_config(FunctionName="metrics-retried", MaximumRetryAttempts=1)
    lam.invoke(FunctionName="metrics-retried", InvocationType="Event", Payload=b'{"do": "raise"}')
    return "metrics-retried"


@pytest.fixture(autouse=True)
def early(retried):
    """So that its minute passes while the others run."""


def test_successes_errors_and_a_timeout_are_told_apart(lam, server, name):
    create(lam, name, WORK, Timeout=1)
    for event in [{}, {}, {"do": "raise"}, {"do": "exit"}, {"seconds": 5}, {}]:
        invoke(lam, name, event)
    figures = settled(server, name, invocations=6, errors=3, cold_starts=1)
    seconds = figures.function(name, "duration_seconds_sum")
    assert figures.function(name, "duration_seconds_count") == 6 and 1 <= seconds < 5, seconds
    assert figures.function(name, "duration_seconds_bucket", le="0.5") == 5
    assert figures.function(name, "duration_seconds_bucket", le="+Inf") == 6
    assert 1 << 20 < figures.function(name, "max_memory_used_bytes") <= 128 << 20
    phases = {phase: figures.function(name, "cold_start_seconds_total", phase=phase) for phase in PHASES}
    assert phases["init"] > 0.001 and phases["sandbox"] > 0.0001 and phases["handler"] > 0 and phases["extensions"] == 0
    assert sum(phases.values()) < 10
    states = {state: figures.function(name, "environments", state=state) for state in ["starting", "idle", "busy"]}
    assert states == {"starting": 0, "idle": 1, "busy": 0}


def test_an_init_that_fails_is_an_error_of_the_invocation(lam, server, name):
    create(lam, name, "raise RuntimeError('no')")
    assert invoke(lam, name)["FunctionError"] == "Unhandled"
    settled(server, name, invocations=1, errors=1, cold_starts=1)


def test_what_is_kept_ready_counts_apart_and_starts_cold_for_nobody(lam, server, name):
    create(lam, name, WORK, Timeout=30)
    lam.publish_version(FunctionName=name)
    of_version = dict(FunctionName=name, Qualifier="1")
    lam.put_provisioned_concurrency_config(**of_version, ProvisionedConcurrentExecutions=2)
    until(lambda: lam.get_provisioned_concurrency_config(**of_version)["Status"] == "READY")

    def kept(running):
        figures = Figures(server)
        found = [
            figures.function(name, f"provisioned_{figure}")
            for figure in ("environments", "concurrent_executions", "concurrency_utilization_ratio")
        ]
        return found == [2, running, running / 2]

    until(lambda: kept(0))
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        first = pool.submit(invoke, lam, name, {"seconds": 3}, Qualifier="1")
        until(lambda: kept(1))
        rest = [pool.submit(invoke, lam, name, {"seconds": 3}, Qualifier="1") for _ in range(2)]
        until(lambda: kept(2))
        assert {run.result()["payload"] for run in [first, *rest]} == {"done"}
    settled(
        server, name, invocations=3, cold_starts=1, provisioned_concurrency_invocations=2,
        provisioned_concurrency_spillover_invocations=1,
    )
    lam.delete_provisioned_concurrency_config(**of_version)
    until(lambda: Figures(server).function(name, "provisioned_environments") is None)


def test_throttles_are_no_invocations(lam, server, name):
    create(lam, name, WORK, Timeout=30)
    lam.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    impatient = server.client("lambda", attempts=1)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        slow = pool.submit(invoke, lam, name, {"seconds": 3})
        until(lambda: Figures(server).function(name, "concurrent_executions") == 1)
        for _ in range(3):
            with pytest.raises(lam.exceptions.TooManyRequestsException):
                invoke(impatient, name)
        busy = Figures(server)
        assert busy.function(name, "environments", state="busy") + busy.function(name, "environments", state="starting") == 1
        assert busy.value("samovar_account_concurrent_executions", account=ACCOUNT, region=REGION) >= 1
        slow.result()
    settled(server, name, invocations=1, throttles=3, cold_starts=1)
    lam.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with pytest.raises(lam.exceptions.TooManyRequestsException):
        invoke(impatient, name)
    settled(server, name, invocations=1, throttles=4, cold_starts=1)


def test_each_environment_has_one_cold_start(lam, server, name):
    create(lam, name, WORK, Timeout=30)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: invoke(lam, name, {"seconds": 2}), range(4)))
    for _ in range(5):
        invoke(lam, name)
    figures = settled(server, name, invocations=9, cold_starts=4)
    assert figures.function(name, "environments", state="idle") == 4


def test_responses_that_streamed_in_part_are_errors(lam, server, name):
    create(lam, name, STREAM, runtime=NODE, Timeout=2)
    for event in [{}, {"late": True}, {"never": True}, {}]:
        answer = lam.invoke_with_response_stream(FunctionName=name, Payload=json.dumps(event))
        list(answer["EventStream"])
    settled(server, name, invocations=4, errors=2, cold_starts=1)


def test_events_are_counted_when_they_come_run_and_end(lam, server, name):
    create(lam, name, WORK)
    told = f"{name}-told"
    create(lam, told, WORK)
    arn = lam.get_function(FunctionName=told)["Configuration"]["FunctionArn"]
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:nowhere"
    lam.put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=0,
        DestinationConfig={"OnSuccess": {"Destination": arn}, "OnFailure": {"Destination": queue}},
    )
    for event in [{}, {"do": "raise"}, {}]:
        lam.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event))
    figures = until(
        lambda: (found := Figures(server)).counts(name).get("invocations") == 3
        and found.counts(told).get("invocations") == 2 and found.counts(name).get("async_events_dropped") == 1 and found
    )
    counts = figures.counts(name)
    assert counts.pop("cold_starts") in (1, 2, 3)
    assert counts == {
        "invocations": 3, "errors": 1, "async_events_received": 3, "async_events_dropped": 1,
        "destination_delivery_failures": 1,
    }
    assert figures.counts(told)["async_events_received"] == 2
    assert figures.function(name, "async_event_age_seconds_count") == 3
    assert 0 <= figures.function(name, "async_event_age_seconds_sum") < 30


def test_a_deleted_function_is_gone_and_its_account_remembers(lam, server, name):
    create(lam, name, WORK)
    invoke(lam, name)
    before = settled(server, name, invocations=1, cold_starts=1)
    total = {"account": ACCOUNT, "region": REGION}
    lam.delete_function(FunctionName=name)
    until(lambda: name not in Figures(server).functions())
    after = Figures(server)
    assert after.value("samovar_account_invocations_total", **total) >= before.value("samovar_account_invocations_total", **total)


def test_every_family_is_named_and_described_as_prometheus_wants(server, lam, name):
    create(lam, name, WORK)
    invoke(lam, name)
    settled(server, name, invocations=1, cold_starts=1)
    answer = get(server)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    text = answer.read().decode()
    assert text.endswith("\n")
    units = ("_seconds", "_bytes", "_fds", "_info", "_executions", "_limit", "_pools", "_environments", "_ratio")
    seen = set()
    for family in text_string_to_metric_families(text):
        assert family.documentation and family.name not in seen, family.name
        seen.add(family.name)
        assert family.type in ("counter", "gauge", "histogram"), family
        assert family.name.startswith(("samovar_", "process_")), family.name
        if family.type != "counter":
            assert family.name.endswith(units), family.name
        for sample in family.samples:
            assert set(sample.labels) <= {"account", "region", "function", "phase", "state", "le", "version"}, sample
        if family.type == "histogram":
            series = {}
            for sample in family.samples:
                if sample.name.endswith("_bucket"):
                    rest = frozenset((key, value) for key, value in sample.labels.items() if key != "le")
                    series.setdefault(rest, []).append((float(sample.labels["le"]), sample.value))
            for buckets in series.values():
                assert buckets == sorted(buckets) and [count for _, count in buckets] == sorted(count for _, count in buckets)
                assert buckets[-1][0] == float("inf")
    figures = Figures(server)
    for gauge in ["process_resident_memory_bytes", "process_virtual_memory_bytes", "samovar_launcher_resident_memory_bytes",
                  "process_open_fds", "process_max_fds", "process_cpu_seconds_total", "samovar_environments_limit", "samovar_pools"]:
        assert figures.value(gauge) > 0, gauge
    assert abs(figures.value("process_start_time_seconds") - time.time()) < 3600
    # Descriptors and memory are the server's, which is not the process that was started.
    fds = len(os.listdir(f"/proc/{server.server_pid()}/fd"))
    assert abs(figures.value("process_open_fds") - fds) < 20


def test_callers_from_elsewhere_need_a_key(fresh):
    server = fresh("--require-keys", env={"SAMOVAR_KEYS": "AKIDOPERATOR:secret,111111111111/AKIDOTHER:secret2"})
    assert get(server).status == get(server, "/_samovar/metrics").status == 200
    for path in ["/metrics", "/_samovar/metrics"]:
        for headers in [{"X-Forwarded-For": "192.0.2.1"}, {"Host": "rebound.example"}]:
            with pytest.raises(urllib.error.HTTPError) as refused:
                get(server, path, headers)
            assert refused.value.code == 403
    url, passed_on = server.endpoint + "/_samovar/metrics", {"X-Forwarded-For": "192.0.2.1"}
    for key, secret, status in [("AKIDOPERATOR", "secret", 200), ("AKIDOTHER", "secret2", 403), ("AKIDOPERATOR", "no", 403)]:
        request = AWSRequest("GET", url)
        SigV4Auth(Credentials(key, secret), "lambda", REGION).add_auth(request)
        try:
            assert get(server, "/_samovar/metrics", {**request.headers, **passed_on}).status == status
        except urllib.error.HTTPError as refused:
            assert refused.code == status
    post = urllib.request.Request(server.endpoint + "/metrics", data=b"")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(post, timeout=10)
    assert refused.value.code == 405


def top(server, *words):
    environment = {**os.environ, "SAMOVAR_ENDPOINT": server.endpoint}
    return subprocess.run([BINARY, "top", *words], env=environment, capture_output=True, text=True, timeout=30)


def bare(shown):
    """A function's name without account and region, which are shown where there are several."""
    return shown.rsplit("/", 1)[-1]


def test_top_prints_once_what_was_counted(lam, server, name):
    create(lam, name, WORK)
    for event in [{}, {"do": "raise"}, {}]:
        invoke(lam, name, event)
    settled(server, name, invocations=3, errors=1, cold_starts=1)
    done = top(server, "--once", "--filter", name)
    assert (done.returncode, done.stderr) == (0, ""), done
    about, table = done.stdout.split("\n\n")
    assert about.startswith("invocations 3   errors 1   throttles 0   running "), about
    head, row = table.splitlines()
    cells = dict(zip(head.split(), row.split(), strict=True))
    cells["FUNCTION"] = bare(cells["FUNCTION"])
    shown = {key: cells[key] for key in ["FUNCTION", "INV", "ERR", "THR", "RUN", "BUSY", "IDLE", "START", "COLD"]}
    assert shown == {
        "FUNCTION": name, "INV": "3", "ERR": "1", "THR": "0", "RUN": "0", "BUSY": "0", "IDLE": "1", "START": "0", "COLD": "1"
    }
    assert cells["P50"].endswith("ms") and cells["INIT"].endswith("ms") and cells["MEM"].endswith("MB")


def test_top_without_a_server_says_so():
    done = subprocess.run([BINARY, "top", "--once", "--endpoint", "http://127.0.0.1:1"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "no server answers at http://127.0.0.1:1" in done.stderr


def test_top_goes_on_without_a_terminal(lam, server, name):
    create(lam, name, WORK)
    invoke(lam, name)
    process = subprocess.Popen(
        [BINARY, "top", "--interval", "0.1", "--filter", name], env={**os.environ, "SAMOVAR_ENDPOINT": server.endpoint},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    try:
        text = b""
        while text.count(b"FUNCTION") < 3:
            assert select.select([process.stdout], [], [], 10)[0], text
            text += os.read(process.stdout.fileno(), 65536)
        assert b"\x1b" not in text and name.encode() in text and b"INV/S" in text
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.stdout.close()
        process.stderr.close()


class Terminal:
    """A running `samovar top` on a terminal of its own."""

    def __init__(self, server, *words):
        self.master, self.slave = pty.openpty()
        self.resize(30, 120)
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [BINARY, "top", "--interval", "0.2", *words], env={**os.environ, "SAMOVAR_ENDPOINT": server.endpoint},
            stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True,
        )
        self.text = ""

    def resize(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        if select.select([self.master], [], [], 0.05)[0]:
            self.text += os.read(self.master, 65536).decode(errors="replace")

    def frame(self):
        """The last whole frame."""
        self.read()
        frames = self.text.split("\x1b[H")
        return frames[-2] if len(frames) > 2 else ""

    def shows(self, check):
        return until(lambda: check(self.frame()), 10)

    def press(self, keys):
        os.write(self.master, keys.encode())

    def ended(self):
        """The terminal is as it was."""

        def gone():
            self.read()
            return self.process.poll() is not None

        until(gone, 10)
        self.read()
        assert self.process.returncode == 0, self.text[-300:]
        assert self.text.count("\x1b[?1049h") == self.text.count("\x1b[?1049l") == 1
        assert self.text.rindex("\x1b[?25h") > self.text.rindex("\x1b[?25l")
        assert termios.tcgetattr(self.slave) == self.before

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal(server):
    made = []

    def make(*words):
        made.append(Terminal(server, *words))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_top_lives_in_a_terminal_and_leaves_it_as_it_was(lam, server, name, terminal):
    create(lam, name, WORK)
    create(lam, f"{name}-other", WORK)
    screen = terminal("--filter", name)
    stop = threading.Event()

    def traffic():
        while not stop.is_set():
            invoke(lam, name)
            invoke(lam, f"{name}-other", {"do": "raise"})

    worker = threading.Thread(target=traffic)
    worker.start()
    try:
        rows = lambda frame: [bare(line.split()[0]) for line in frame.splitlines() if name in line and "filter" not in line]
        screen.shows(lambda frame: len(rows(frame)) == 2)
        screen.press("e")
        screen.shows(lambda frame: rows(frame)[:1] == [f"{name}-other"])
        screen.press("n")
        screen.shows(lambda frame: rows(frame)[:1] == [name])
        screen.press("/-oth\r")
        screen.shows(lambda frame: f"filter: {name}-oth" in frame and rows(frame) == [f"{name}-other"])
        screen.press("\x1b")
        screen.shows(lambda frame: "filter:" not in frame)
        screen.resize(12, 60)
        os.kill(screen.process.pid, signal.SIGWINCH)
        screen.shows(lambda frame: frame.count("\r\n") == 11)
        screen.press("q")
        screen.ended()
    finally:
        stop.set()
        worker.join()


@pytest.mark.parametrize("end", ["\x03", signal.SIGTERM, signal.SIGHUP], ids=["ctrl-c", "SIGTERM", "SIGHUP"])
def test_whatever_ends_top_restores_the_terminal(terminal, end):
    screen = terminal()
    screen.shows(lambda frame: "FUNCTION" in frame)
    screen.press(end) if isinstance(end, str) else screen.process.send_signal(end)
    screen.ended()


def test_a_retry_is_an_invocation_and_an_error_more(server, retried):
    until(lambda: Figures(server).counts(retried).get("async_events_dropped") == 1, 90)
    figures = Figures(server)
    counts = figures.counts(retried)
    assert counts == {
        "invocations": 2, "errors": 2, "cold_starts": 1, "async_events_received": 1, "async_events_dropped": 1
    }
    assert figures.function(retried, "async_event_age_seconds_count") == 2
    assert 59 < figures.function(retried, "async_event_age_seconds_sum") < 100
