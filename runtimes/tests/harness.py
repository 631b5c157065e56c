"""Runs a runtime client against a Runtime API made for one test, and tells what it did."""

import base64
import glob
import http.server
import json
import os
import queue
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

RUNTIMES = Path(__file__).resolve().parent.parent
REQUEST = "11111111-2222-4333-8444-%012d"
ARN = "arn:aws:lambda:us-east-1:000000000000:function:probe"
PATIENCE = 20


def pythons():
    """The distribution's Python, and one of each other minor version that pyenv has here."""
    found = glob.glob("/usr/bin/python3.*")
    root = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    found += glob.glob(root + "/versions/3.*/bin/python3.*")
    named = {}
    for path in found:
        minor = os.path.basename(path).split(".", 1)[1]
        if minor.isdigit() and int(minor) >= 8:
            named.setdefault("python3." + minor, path)
    return sorted(named.items(), key=lambda item: int(item[0].split(".")[1]))


class Event:
    """One invocation to hand out: its payload, and headers beyond the usual ones."""

    def __init__(self, payload=None, body=None, headers=None, deadline=60):
        self.body = json.dumps(payload if payload is not None else {}).encode() if body is None else body
        self.headers = headers or {}
        self.deadline = deadline


class Call:
    """One request that the client made."""

    def __init__(self, method, path, headers, body, trailers):
        self.method, self.path, self.headers, self.body, self.trailers = method, path, headers, body, trailers

    @property
    def kind(self):
        return self.path.rsplit("/", 1)[1] if "invocation" in self.path else "init/error"

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def text(self):
        return self.body.decode()

    @property
    def trailer_error(self):
        return json.loads(base64.b64decode(self.trailers["lambda-runtime-function-error-body"]))


class FakeApi:
    """A Runtime API that serves a list of events and writes down what comes back."""

    def __init__(self, events, refuse=None, together=True):
        """`together`: an answer may be replied to with the next event, as Samovar does and others do not."""
        self.events = list(events)
        self.calls = []
        self.asked = queue.Queue()
        self.refuse = refuse or {}
        self.closing = threading.Event()
        self.count = 0
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                self.hand_out()

            def hand_out(self):
                api.asked.put(time.perf_counter())
                event = api.take()
                if event is None:
                    api.closing.wait()
                    self.close_connection = True
                    return
                api.count += 1
                headers = {
                    "Content-Type": "application/json",
                    "Lambda-Runtime-Aws-Request-Id": REQUEST % api.count,
                    "Lambda-Runtime-Deadline-Ms": str(int((time.time() + event.deadline) * 1000)),
                    "Lambda-Runtime-Invoked-Function-Arn": ARN,
                    "Lambda-Runtime-Trace-Id": "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0",
                }
                headers.update(event.headers)
                self.reply(200, {k: v for k, v in headers.items() if v is not None}, event.body)

            def do_POST(self):
                body, trailers = self.read_body()
                call = Call("POST", self.path, self.headers, body, trailers)
                api.calls.append(call)
                status = api.refuse.get(call.kind, 202)
                if together and status == 202 and self.headers["Samovar-And-Next"]:
                    return self.hand_out()
                self.reply(status, {"Content-Type": "application/json"}, b'{"status":"OK"}\n')

            def read_body(self):
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers["Content-Length"])), {}
                body = b""
                while True:
                    size = int(self.rfile.readline(), 16)
                    if size == 0:
                        break
                    body += self.rfile.read(size)
                    assert self.rfile.readline() == b"\r\n"
                trailers = {}
                while True:
                    line = self.rfile.readline().strip().decode()
                    if not line:
                        return body, trailers
                    name, value = line.split(": ", 1)
                    trailers[name.lower()] = value

            def reply(self, status, headers, body):
                head = "HTTP/1.1 %d X\r\n" % status
                head += "".join("%s: %s\r\n" % item for item in headers.items())
                self.wfile.write(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        # Clients are killed while they wait; that is no news.
        self.server.handle_error = lambda *_: None
        self.address = "127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def take(self):
        return self.events.pop(0) if self.events else None

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()


class Outcome:
    """What came of a run: calls in order, log records, and how the process ended (None: it was ended)."""

    def __init__(self, calls, output, status, started, asked):
        self.calls, self.output, self.status = calls, output, status
        self.records = list(records(output))
        self.start_ms = (asked[0] - started) * 1000 if asked else None

    @property
    def only(self):
        assert len(self.calls) == 1, [(c.path, c.body) for c in self.calls] + [self.output]
        return self.calls[0]

    @property
    def lines(self):
        return [text for kind, text in self.records if kind is None]

    @property
    def frames(self):
        return [(kind, text) for kind, text in self.records if kind is not None]


def records(output):
    """Splits a sandbox's output as the platform does: frames at record starts, else lines."""
    at = 0
    while at < len(output):
        if output[at : at + 3] == b"\xa5\x5a\x00" and len(output) >= at + 16:
            kind, length, micros = struct.unpack(">IIQ", output[at : at + 16])
            assert abs(micros / 1e6 - time.time()) < 3600
            yield kind, output[at + 16 : at + 16 + length].decode()
            at += 16 + length
            continue
        end = output.find(b"\n", at)
        end = len(output) if end < 0 else end
        yield None, output[at:end].decode()
        at = end + 1


def run(
    argv, folder, files, handler, events=(), env=None, runtime="python3.11", framed=True, refuse=None, together=True, waiting=False
):
    """Writes `files` to a package, starts `argv` for it and lets it serve `events`.

    A `waiting` runtime is started before it knows its function, and is told once it is ready.
    """
    for name, text in files.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    api = FakeApi(events, refuse, together)
    variables = {
        "PATH": "/usr/bin:/bin",
        "LANG": "en_US.UTF-8",
        "LC_CTYPE": "C.UTF-8",
        "TZ": ":UTC",
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "AWS_EXECUTION_ENV": "AWS_Lambda_" + runtime,
        "AWS_LAMBDA_FUNCTION_NAME": "probe",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/probe",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/21/[$LATEST]0123456789abcdef0123456789abcdef",
        "LAMBDA_TASK_ROOT": str(folder),
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "_HANDLER": handler,
    }
    variables.update(env or {})
    out_read, out_write = os.pipe()
    keep = ()
    if framed:
        os.dup2(out_write, 62)
        variables["_LAMBDA_TELEMETRY_LOG_FD"] = "62"
        keep = (62,)
    outputs = {"stdin": subprocess.DEVNULL, "stdout": out_write, "stderr": out_write}
    if waiting:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        known = {name: variables[name] for name in ("PATH", "LANG", "LC_CTYPE", "TZ")}
        known["_SAMOVAR_WAIT"] = str(theirs.fileno())
        process = subprocess.Popen(argv, cwd="/", env=known, **outputs, pass_fds=(*keep, theirs.fileno()))
        theirs.close()
        ours.settimeout(PATIENCE)
        assert json.loads(ours.recv(100)) == {"ready": process.pid}
        started = time.perf_counter()
        order = {"env": list(variables.items()), "cwd": str(folder), "argv": argv}
        ours.send(json.dumps(order, ensure_ascii=False).encode())
        ours.close()
    else:
        started = time.perf_counter()
        process = subprocess.Popen(argv, cwd=folder, env=variables, **outputs, pass_fds=keep)
    os.close(out_write)
    if framed:
        os.close(62)
    output = bytearray()

    def drain():
        while True:
            part = os.read(out_read, 65536)
            if not part:
                return
            output.extend(part)

    reader = threading.Thread(target=drain)
    reader.start()
    status = _wait(process, api, len(events))
    if status is None:
        process.send_signal(signal.SIGKILL)
        process.wait()
    reader.join(PATIENCE)
    os.close(out_read)
    api.close()
    return Outcome(api.calls, bytes(output), status, started, list(api.asked.queue))


def _wait(process, api, events):
    # Done when the client asks for one event more than there are, or ends.
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        status = process.poll()
        if status is not None:
            return status
        if api.asked.qsize() > events:
            return None
        time.sleep(0.002)
    return None
