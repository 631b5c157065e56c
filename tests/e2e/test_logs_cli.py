"""`samovar logs`: several functions at once, from then and from now on."""

import contextlib
import http.server
import json
import os
import pty
import re
import select
import signal
import subprocess
import threading
import time
import types
import urllib.error
import urllib.request

import pytest

from samovar import BINARY, create, invoke, messages, until

SAY = "def handler(e, c):\n    for line in e['say']:\n        print(line)\n"
RED, YELLOW, DIM = "\x1b[31m", "\x1b[33m", "\x1b[2m"


def environment(server, **more):
    return {**os.environ, "SAMOVAR_ENDPOINT": server.endpoint, **more}


def samovar_logs(server, *words, **more):
    return subprocess.run([BINARY, "logs", *words], env=environment(server, **more), capture_output=True, text=True, timeout=60)


def say(lam, name, *lines):
    return invoke(lam, name, {"say": list(lines)})["ResponseMetadata"]["RequestId"]


def reported(logs, name, times=1):
    """Waits until so many invocations of the function are in its log whole."""
    return until(lambda: sum(line.startswith("REPORT") for line in messages(logs, name)) >= times)


class Following:
    """A running `samovar logs --follow`, read as it writes."""

    def __init__(self, server, *words):
        self.process = subprocess.Popen(
            [BINARY, "logs", "--follow", *words], env=environment(server), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.text = ""

    def wait_for(self, pattern, seconds=15):
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.text)):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert data, f"no {pattern!r} in {self.text!r}; it said {self.errors() if not ready else self.process.stderr.read()!r}"
            self.text += data.decode()
        return found

    def sees(self, pattern):
        """Whether it comes within a moment."""
        ready, _, _ = select.select([self.process.stdout], [], [], 0.2)
        self.text += os.read(self.process.stdout.fileno(), 65536).decode() if ready else ""
        return re.search(pattern, self.text)

    def errors(self):
        os.set_blocking(self.process.stderr.fileno(), False)
        return self.process.stderr.read()


@contextlib.contextmanager
def following(server, *words):
    follow = Following(server, *words)
    try:
        yield follow
    finally:
        follow.process.kill()
        follow.process.wait()
        follow.process.stdout.close()
        follow.process.stderr.close()


def test_several_functions_are_one_log(server, lam, logs, name):
    one, two = f"{name}-a", f"{name}-bb"
    for function in (one, two):
        create(lam, function, SAY)
    for number in range(3):
        say(lam, one, f"one says {number}")
        say(lam, two, f"two says {number}")
    reported(logs, one, 3), reported(logs, two, 3)
    arn = lam.get_function_configuration(FunctionName=one)["FunctionArn"]
    for words in ([one, two], [arn, f"/aws/lambda/{two}"], [f"{name}-*"], [f"/aws/lambda/{name}*"]):
        shown = samovar_logs(server, *words)
        assert shown.returncode == 0, shown
        said = re.findall(r"^(\S+) +\| \S+Z (\w+ says \d)$", shown.stdout, re.M)
        assert said == [
            (one, "one says 0"), (two, "two says 0"), (one, "one says 1"),
            (two, "two says 1"), (one, "one says 2"), (two, "two says 2"),
        ], shown.stdout
    alone = samovar_logs(server, one).stdout
    assert " | " not in alone and "one says 1" in alone and "two says" not in alone


def test_all_is_every_function_of_the_account(fresh):
    server = fresh()
    lam, logs = server.client("lambda"), server.client("logs")
    for function in ("one", "two"):
        create(lam, function, SAY)
        say(lam, function, f"{function} says")
        reported(logs, function)
    lines = samovar_logs(server, "--all", "--json").stdout.splitlines()
    assert {json.loads(line)["function"] for line in lines} == {"one", "two"}


def test_tail_since_and_until(server, lam, logs, name):
    create(lam, name, SAY)
    say(lam, name, *(f"line {n}" for n in range(20)))
    reported(logs, name)
    last = samovar_logs(server, name, "--tail", "4").stdout.splitlines()
    assert len(last) == 4 and last[0].endswith("line 18") and last[1].endswith("line 19") and " REPORT " in last[3]
    assert "line 0\n" in samovar_logs(server, name, "--since", "10m").stdout
    none = samovar_logs(server, name, "--since", "2100-01-01T00:00:00Z")
    assert none.returncode == 0 and none.stdout == "" and "no lines" in none.stderr
    assert samovar_logs(server, name, "--until", "1h").stdout == ""
    bad = samovar_logs(server, name, "--since", "yesterday")
    assert bad.returncode != 0 and "10m" in bad.stderr


def test_a_filter_pattern_is_the_servers(server, lam, logs, name):
    create(lam, name, SAY)
    say(lam, name, "ERROR no tea", "INFO tea", '{"level": "ERROR", "cups": 3}')
    reported(logs, name)
    assert [line.split("Z ", 1)[1] for line in samovar_logs(server, name, "--filter", "ERROR -cups").stdout.splitlines()] == ["ERROR no tea"]
    found = samovar_logs(server, name, "--filter", "{ $.cups > 2 }").stdout
    assert found.count("\n") == 1 and '"cups": 3' in found
    bad = samovar_logs(server, name, "--filter", "{ $.cups >")
    assert bad.returncode != 0 and "InvalidParameterException" in bad.stderr


def test_everything_of_one_invocation(server, lam, logs, name):
    create(lam, name, "print('imported')\n" + SAY)
    first, second = say(lam, name, "of the first"), say(lam, name, "of the second")
    reported(logs, name, 2)
    shown = samovar_logs(server, name, "--request-id", first).stdout
    assert "imported" in shown and "of the first" in shown and f"REPORT RequestId: {first}" in shown
    assert "of the second" not in shown
    shown = samovar_logs(server, name, "--request-id", second).stdout
    assert "imported" not in shown and "of the first" not in shown
    assert [line.split("Z ", 1)[1].split()[0] for line in shown.splitlines()] == ["START", "of", "END", "REPORT"]
    unknown = samovar_logs(server, name, "--request-id", "00000000-0000-0000-0000-000000000000")
    assert unknown.returncode != 0 and "00000000-" in unknown.stderr


def test_colours_are_forced_and_forbidden(server, lam, logs, name):
    create(lam, name, "def handler(e, c):\n    print('WARNING: hot')\n    print('plain')\n    raise ValueError('no tea')\n")
    invoke(lam, name)
    reported(logs, name)
    shown = samovar_logs(server, name, "--color", "always").stdout
    lines = {re.sub("\x1b\\[[0-9;]*m", "", line).split("Z ", 1)[-1].split()[0]: line for line in shown.splitlines()}
    assert YELLOW in lines["WARNING:"] and RED in lines["[ERROR]"]
    for frame in ("START", "END", "REPORT"):
        assert lines[frame].count(DIM) == 2, lines[frame]
    assert RED not in lines["plain"] and lines["plain"].endswith("plain")
    for words, more in ([], {}), (["--color", "never"], {}), (["--color", "auto"], {"CLICOLOR_FORCE": "1"}):
        assert "\x1b" not in samovar_logs(server, name, *words, **more).stdout


@pytest.mark.parametrize("more, coloured", [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_gets_colours_and_no_control(server, lam, logs, name, more, coloured):
    create(lam, name, "def handler(e, c):\n    print('ERROR \\x1b]0;title\\x07')\n")
    invoke(lam, name)
    reported(logs, name)
    ours, its = pty.openpty()
    env = {key: value for key, value in environment(server).items() if key != "NO_COLOR"}
    done = subprocess.run([BINARY, "logs", name, "--filter", "ERROR"], env={**env, **more}, stdout=its, timeout=60)
    os.close(its)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.returncode == 0 and (RED in shown) == coloured, shown
    assert "\x1b]" not in shown and "\x07" not in shown and "\\u{1b}]0;title" in shown


def test_json_and_the_long_format(server, lam, logs, name):
    create(lam, name, SAY)
    say(lam, name, 'a "quoted" line')
    reported(logs, name)
    objects = [json.loads(line) for line in samovar_logs(server, name, "--json").stdout.splitlines()]
    said = next(o for o in objects if "quoted" in o["message"])
    stream = logs.describe_log_streams(logGroupName=f"/aws/lambda/{name}")["logStreams"][0]["logStreamName"]
    assert said["message"] == 'a "quoted" line' and said["function"] == name
    assert said["stream"] == stream and said["group"] == f"/aws/lambda/{name}"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said["timestamp"])
    assert f"{stream} a \"quoted\" line" in samovar_logs(server, name, "--format", "long").stdout
    assert "quoted" in samovar_logs(server, name, "--stream", stream[:10]).stdout
    assert samovar_logs(server, name, "--stream", "1999").stdout == ""


def test_a_group_that_functions_share_is_told_apart(server, lam, logs, name):
    group = f"/shared/{name}"
    for function in (f"{name}-a", f"{name}-b"):
        create(lam, function, SAY, LoggingConfig={"LogFormat": "Text", "LogGroup": group})
        say(lam, function, f"by {function}")
    until(lambda: sum(line.startswith("REPORT") for line in messages(logs, name, group)) == 2)
    shown = samovar_logs(server, f"{name}-a").stdout
    assert f"by {name}-a" in shown and f"by {name}-b" not in shown
    assert samovar_logs(server, group).stdout.count(" START RequestId") == 2


def test_unknown_names_get_a_suggestion(server, lam, name):
    create(lam, name, SAY)
    silent = samovar_logs(server, name)
    assert silent.returncode == 0 and "no lines" in silent.stderr
    for words in ([name[:-1]], [name[:-1], "--follow"], [f"{name}x"]):
        missing = samovar_logs(server, *words)
        assert missing.returncode != 0 and f"there is no function {words[0]}" in missing.stderr, missing
        assert name in missing.stderr
    assert "there is no log group /not/there" in samovar_logs(server, "/not/there").stderr
    away = subprocess.run([BINARY, "logs", "f", "--endpoint", "http://127.0.0.1:9"], capture_output=True, text=True, timeout=60)
    assert away.returncode != 0 and "samovar serve" in away.stderr


def test_following_tells_what_was_and_what_comes(server, lam, name):
    one, two = f"{name}-a", f"{name}-b"
    for function in (one, two):
        create(lam, function, SAY)
    say(lam, one, "before")
    with following(server, one, two) as follow:
        follow.wait_for(rf"{one} +\| \S+ before\n")
        # The second function has never run: its group is waited for.
        for number in range(3):
            say(lam, one, f"one {number}")
            say(lam, two, f"two {number}")
            follow.wait_for(rf"{one} +\| \S+ one {number}\n")
            follow.wait_for(rf"{two} +\| \S+ two {number}\n")
        follow.wait_for(r"(?s)(REPORT.*){7}")
        for line in ("before", "one 1", "two 2"):
            assert follow.text.count(f" {line}\n") == 1
        assert follow.text.index(" before\n") < follow.text.index(" one 0\n") < follow.text.index(" one 2\n")
        follow.process.send_signal(signal.SIGINT)
        assert follow.process.wait(10) == 0
        assert follow.process.stderr.read() == b""


def test_following_with_a_filter_and_only_what_is_new(server, lam, logs, name):
    create(lam, name, SAY)
    say(lam, name, "tea before")
    reported(logs, name)
    with following(server, name, "--tail", "0", "--filter", "tea") as follow:
        # From when on it follows is for it to say.
        until(lambda: say(lam, name, "coffee", "tea now") and follow.sees("tea now\n"))
        say(lam, name, "tea then", "coffee")
        follow.wait_for("tea then\n")
        assert "coffee" not in follow.text and "before" not in follow.text and "START" not in follow.text


def test_following_a_prefix_finds_new_functions(server, lam, name):
    create(lam, f"{name}-a", SAY)
    with following(server, f"{name}-*") as follow:
        say(lam, f"{name}-a", "first")
        follow.wait_for("first\n")
        create(lam, f"{name}-b", SAY)
        say(lam, f"{name}-b", "joined")
        follow.wait_for(rf"{name}-b +\| \S+ joined\n")


def test_following_loses_nothing_of_a_flood(server, lam, name):
    create(lam, name, "def handler(e, c):\n    for n in range(8000):\n        print(f'line {n:05}')\n", Timeout=60)
    create(lam, f"{name}-x", SAY)
    say(lam, f"{name}-x", "ready")
    with following(server, name, f"{name}-x") as follow:
        follow.wait_for("ready\n")
        invoke(lam, name)
        invoke(lam, name)
        follow.wait_for(r"(?s)(REPORT RequestId.*){3}", 60)
        seen = re.findall(r"line (\d{5})\n", follow.text)
        assert len(seen) == 16000
        assert sorted(seen) == sorted(2 * [f"{n:05}" for n in range(8000)])


@pytest.fixture
def without_live_tail(server):
    """The server behind a peer that has no StartLiveTail."""

    class Peer(http.server.BaseHTTPRequestHandler):
        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if "StartLiveTail" in self.headers.get("X-Amz-Target", ""):
                status, said = 400, b'{"__type": "UnknownOperationException", "message": "no"}'
            else:
                request = urllib.request.Request(server.endpoint + self.path, body or None, dict(self.headers), method=self.command)
                try:
                    with urllib.request.urlopen(request, timeout=20) as answer:
                        status, said = answer.status, answer.read()
                except urllib.error.HTTPError as error:
                    status, said = error.code, error.read()
            self.send_response(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = answer

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Peer) as peer:
        threading.Thread(target=peer.serve_forever).start()
        yield types.SimpleNamespace(endpoint=f"http://127.0.0.1:{peer.server_port}")
        peer.shutdown()


def test_a_peer_without_live_tail_is_polled(without_live_tail, lam, name):
    create(lam, name, SAY)
    say(lam, name, "before")
    with following(without_live_tail, name) as follow:
        follow.wait_for("before\n")
        for number in range(3):
            say(lam, name, f"line {number}")
            follow.wait_for(f"line {number}\n")
        follow.wait_for("(?s)(REPORT.*){4}")
        assert [follow.text.count(f" {line}\n") for line in ("before", "line 0", "line 2")] == [1, 1, 1]


def test_following_outlives_a_restart(fresh):
    server = fresh()
    lam = server.client("lambda")
    create(lam, "speaker", SAY)
    say(lam, "speaker", "in the first life")
    with following(server, "speaker") as follow:
        follow.wait_for("in the first life\n")
        follow.wait_for("REPORT")
        assert server.stop() == 0
        server.start()
        say(lam, "speaker", "in the second life")
        follow.wait_for("in the second life\n")
        server.kill()
        server.start()
        say(lam, "speaker", "in the third life")
        follow.wait_for("in the third life\n")
        assert follow.text.count(" life\n") == 3


def test_a_closed_pipe_ends_it(server, lam, logs, name):
    create(lam, name, SAY)
    say(lam, name, "spoken")
    reported(logs, name)
    follow = Following(server, name)
    follow.wait_for("spoken\n")
    # Nothing more is written: the closed pipe alone must end it.
    follow.process.stdout.close()
    assert follow.process.wait(10) == 0
    assert follow.process.stderr.read() == b""
    follow.process.stderr.close()
