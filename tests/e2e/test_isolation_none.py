"""--isolation none: functions as plain processes of an ordinary user, through unmodified clients."""

import os
import pathlib
import re
import signal
import subprocess
import tempfile

import pytest

from samovar import BINARY, NODE, SDK_DIR, Samovar, create, invoke, messages, until

NOBODY = 65534


class Plain(Samovar):
    """A server that an unprivileged user starts."""

    def start(self):
        self.log = open(self.data_dir.parent / f"{self.data_dir.name}.log", "ab")
        command = [BINARY, "serve", "--isolation", "none", "--listen", f"127.0.0.1:{self.port}", "--data-dir", str(self.data_dir)]
        if SDK_DIR:
            command += ["--sdk-dir", SDK_DIR]
        self.process = subprocess.Popen(
            [*command, *self.flags], stdout=self.log, stderr=self.log, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/",
            env={**os.environ, **self.env},
        )
        until(self.healthy, 30)
        return self


@pytest.fixture
def plain():
    made = []

    def make(*flags):
        # Directories of pytest's are root's alone.
        directory = pathlib.Path(tempfile.mkdtemp(prefix="samovar-none-"))
        os.chown(directory, NOBODY, NOBODY)
        samovar = Plain(directory / "data", *flags)
        made.append(samovar)
        return samovar.start()

    yield make
    for samovar in made:
        if samovar.process.poll() is None:
            assert samovar.stop() == 0
        assert not of(samovar)
        subprocess.run(["rm", "-rf", str(samovar.data_dir.parent)], check=True)


def processes():
    for path in pathlib.Path("/proc").iterdir():
        if path.name.isdigit():
            yield path


def of(samovar):
    """Processes of this server and of its functions: by command line or environment."""
    mark = str(samovar.data_dir).encode()
    found = []
    for path in processes():
        try:
            if mark in (path / "cmdline").read_bytes() or mark in (path / "environ").read_bytes():
                if "State:\tZ" not in (path / "status").read_text():
                    found.append((int(path.name), (path / "cmdline").read_bytes()))
        except OSError:
            pass
    return found


def rooms(samovar):
    return list((samovar.data_dir / "code").glob(".room-*"))


LOOK = """
import os, json, tempfile
print("a line", flush=True)
def handler(event, context):
    print("a run", flush=True)
    with open(os.path.join(tempfile.gettempdir(), "kept"), "a") as file:
        file.write("x")
    return {"uid": os.getuid(), "pid": os.getpid(), "cwd": os.getcwd(), "root": os.environ["LAMBDA_TASK_ROOT"],
            "tmp": tempfile.gettempdir(), "mine": os.environ.get("MINE"), "kept": len(open(os.path.join(tempfile.gettempdir(), "kept")).read()),
            "here": sorted(os.listdir(os.environ["LAMBDA_TASK_ROOT"]))}
"""


def test_a_function_runs_as_a_plain_process_and_stays_warm(plain):
    server = plain()
    assert server.output().count("WARNING: isolation is off") == 1
    lam = server.client("lambda")
    create(lam, "f", LOOK, Environment={"Variables": {"MINE": "/var/task"}})
    first = invoke(lam, "f", LogType="Tail")
    seen = first["payload"]
    assert seen["uid"] == NOBODY
    assert seen["cwd"] == seen["root"] and "index.py" in seen["here"]
    assert seen["root"].startswith(str(server.data_dir)) and seen["tmp"].startswith(str(server.data_dir))
    assert seen["mine"] == "/var/task"
    assert re.search(r"^START .*\na run\nEND .*\nREPORT .*Memory Size: 128 MB\tMax Memory Used: ([1-9]\d*) MB\tInit Duration: ", first["log"], re.M)
    again = invoke(lam, "f")["payload"]
    assert (again["pid"], again["kept"]) == (seen["pid"], 2)
    assert any("a line" in line for line in messages(server.client("logs"), "f"))
    assert server.stop() == 0
    assert not of(server) and not rooms(server)
    server.start()
    assert server.output().count("WARNING: isolation is off") == 2
    assert invoke(lam, "f")["payload"]["kept"] == 1, "a directory of the environment's own"


def test_memory_is_measured_of_the_whole_family(plain):
    lam = plain().client("lambda")
    code = """
import subprocess, sys
def handler(event, context):
    global held, child
    held = bytearray(60 << 20)
    child = subprocess.Popen([sys.executable, "-c", "held = bytearray(50 << 20); print(1, flush=True); import time; time.sleep(60)"], stdout=subprocess.PIPE)
    child.stdout.readline()
    return 1
"""
    create(lam, "f", code, MemorySize=512)
    used = int(re.search(r"Max Memory Used: (\d+) MB", invoke(lam, "f", LogType="Tail")["log"])[1])
    assert 110 <= used <= 150


def test_timeouts_crashes_and_resets(plain):
    server = plain()
    lam = server.client("lambda")
    code = """
import os, time, subprocess
def handler(event, context):
    if event.get("spawn"):
        # Twice forked, in a session of its own, without the environment: nothing ties it to its function.
        subprocess.run(["/bin/sh", "-c", "setsid env -i /bin/sleep 3600.77 &"])
    if event.get("sleep"):
        time.sleep(event["sleep"])
    if event.get("die"):
        os._exit(3)
    return os.getpid()
"""
    create(lam, "f", code, Timeout=1)

    def sleepers():
        return [path for path in processes() if b"sleep\x003600.77" in _cmdline(path)]

    first = invoke(lam, "f", {"spawn": True})["payload"]
    until(lambda: len(sleepers()) == 1)
    late = invoke(lam, "f", {"sleep": 30})
    assert late["FunctionError"] == "Unhandled" and "Task timed out after 1.00 seconds" in late["payload"]["errorMessage"]
    until(lambda: not sleepers())
    second = invoke(lam, "f", {})["payload"]
    assert second != first
    dead = invoke(lam, "f", {"die": True})
    assert dead["payload"]["errorType"] == "Runtime.ExitError" and "exit status 3" in dead["payload"]["errorMessage"]
    assert invoke(lam, "f", {"spawn": True})["payload"] not in (first, second)
    until(lambda: len(sleepers()) == 1)
    assert server.stop() == 0
    assert not sleepers()


def _cmdline(path):
    try:
        return (path / "cmdline").read_bytes()
    except OSError:
        return b""


def test_a_function_that_kills_its_init_is_cleared_away(plain):
    server = plain()
    lam = server.client("lambda")
    code = """
import os, signal, subprocess
def handler(event, context):
    subprocess.run(["/bin/sh", "-c", "setsid env -i /bin/sleep 3600.55 &"])
    os.kill(os.getppid(), signal.SIGKILL)
    import time; time.sleep(20)
"""
    create(lam, "f", code, Timeout=10)
    assert invoke(lam, "f").get("FunctionError") == "Unhandled"
    until(lambda: not [path for path in processes() if b"sleep\x003600.55" in _cmdline(path)])
    until(lambda: not rooms(server))
    create(lam, "g", "def handler(e, c):\n    return 'well'\n")
    assert invoke(lam, "g")["payload"] == "well"


def test_node_ruby_and_own_runtimes(plain):
    server = plain()
    lam = server.client("lambda")
    node = """
const os = require("os"), fs = require("fs");
exports.handler = async (event) => { console.log("from node"); fs.writeFileSync(os.tmpdir() + "/x", "1"); return [event.n, process.getuid(), os.tmpdir().startsWith(process.env.SAMOVAR_ROOM)]; };
"""
    create(lam, "node", node, runtime=NODE)
    answer = invoke(lam, "node", {"n": 7}, LogType="Tail")
    assert answer["payload"] == [7, NOBODY, True] and "\tINFO\tfrom node" in answer["log"]
    bootstrap = """#!/bin/sh
while true; do
  curl -sS -D "$TMPDIR/head" -o "$TMPDIR/body" "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next"
  id=$(sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: *//p' "$TMPDIR/head" | tr -d '\\r')
  curl -sS -o /dev/null -d "{\\"root\\": \\"$LAMBDA_TASK_ROOT\\", \\"got\\": $(cat "$TMPDIR/body")}" "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$id/response"
done
"""
    create(lam, "own", {"bootstrap": bootstrap}, handler="none", runtime="provided.al2023", modes={"bootstrap": 0o755})
    own = invoke(lam, "own", {"a": 1})["payload"]
    assert own["got"] == {"a": 1} and own["root"].startswith(str(server.data_dir))
    create(lam, "none", {"index.py": ""}, handler="none", runtime="provided.al2023")
    missing = invoke(lam, "none")
    assert missing["payload"]["errorType"] == "Runtime.InvalidEntrypoint"


@pytest.mark.skipif(not pathlib.Path("/usr/bin/ruby").exists(), reason="no Ruby here")
def test_ruby(plain):
    lam = plain().client("lambda")
    create(lam, "ruby", {"index.rb": "def handler(event:, context:)\n  [event['n'], Process.uid]\nend\n"}, runtime="ruby3.3")
    assert invoke(lam, "ruby", {"n": 3})["payload"] == [3, NOBODY]


@pytest.mark.skipif(not SDK_DIR, reason="no SDK here")
def test_a_function_calls_its_own_endpoint(plain):
    lam = plain().client("lambda")
    create(lam, "callee", "def handler(e, c):\n    return 'called'\n")
    create(lam, "caller", "import boto3\ndef handler(e, c):\n    return boto3.client('lambda').invoke(FunctionName='callee')['Payload'].read().decode()\n", Timeout=30)
    assert invoke(lam, "caller")["payload"] == '"called"'


def test_other_users_are_refused_at_a_function_s_ports(plain):
    lam = plain().client("lambda")
    code = "import os\ndef handler(e, c):\n    return [os.environ['AWS_LAMBDA_RUNTIME_API'], os.environ['AWS_ENDPOINT_URL'][7:]]\n"
    create(lam, "f", code, Timeout=10)
    ask = "import http.client, sys\ncall = http.client.HTTPConnection(sys.argv[1], timeout=5)\ncall.request('GET', sys.argv[2])\nprint(call.getresponse().status)"
    api, endpoint = invoke(lam, "f", {})["payload"]
    for address, path in ((api, "/2018-06-01/ping"), (endpoint, "/2015-03-31/functions")):
        for user, is_heard in ((NOBODY, True), (NOBODY - 1, False), (0, False)):
            said = subprocess.run(["/usr/bin/python3", "-I", "-c", ask, address, path], user=user, group=user, extra_groups=[], cwd="/",
                                  capture_output=True, text=True)
            assert (said.returncode == 0) == is_heard, (address, user, said.stdout, said.stderr[-300:])
    assert invoke(lam, "f", {})["payload"] == [api, endpoint], "what was refused changed nothing"


@pytest.mark.parametrize("who", ["launcher", "server", "both"])
def test_a_kill_leaves_nothing(plain, who):
    server = plain()
    lam = server.client("lambda")
    code = """
import subprocess
def handler(event, context):
    subprocess.run(["/bin/sh", "-c", "setsid /bin/sleep 3600.66 &"])
    return 1
"""
    create(lam, "f", code)
    invoke(lam, "f")
    launcher = server.process.pid
    victims = {"launcher": [launcher], "server": [server.server_pid()], "both": [launcher, server.server_pid()]}[who]
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    server.process.wait(30)
    server.start()
    assert invoke(lam, "f")["payload"] == 1
    def left():
        return [path for path in processes() if b"sleep\x003600.66" in _cmdline(path)]
    until(lambda: len(left()) == 1)
    assert server.stop() == 0
    assert not left() and not rooms(server)


def test_without_root_the_full_mode_says_what_to_do(tmp_path):
    said = subprocess.run([BINARY, "serve", "--data-dir", "/tmp/samovar-never-made"], user=NOBODY, group=NOBODY, extra_groups=[], cwd="/",
                          capture_output=True, text=True)
    assert said.returncode == 1
    assert "sudo" in said.stderr and "--isolation none" in said.stderr
    assert not pathlib.Path("/tmp/samovar-never-made").exists()


def test_directories_of_others_are_refused(tmp_path):
    foreign = tempfile.mkdtemp(prefix="samovar-none-")
    os.chmod(foreign, 0o755)
    try:
        def serve():
            return subprocess.run([BINARY, "serve", "--isolation", "none", "--data-dir", foreign], user=NOBODY, group=NOBODY, extra_groups=[], cwd="/",
                                  capture_output=True, text=True, timeout=20)

        assert "belongs to another user" in serve().stderr
        os.chown(foreign, NOBODY, NOBODY)
        pathlib.Path(foreign, "diary").write_text("dear")
        said = serve()
        assert said.returncode == 1 and "holds files that samovar did not make" in said.stderr
    finally:
        subprocess.run(["rm", "-rf", foreign], check=True)


def test_data_is_at_home_unless_told_otherwise():
    home = pathlib.Path(tempfile.mkdtemp(prefix="samovar-none-"))
    os.chown(home, NOBODY, NOBODY)
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("SAMOVAR_", "XDG_"))}
    server = subprocess.Popen([BINARY, "serve", "--isolation", "none", "--listen", "127.0.0.1:0"], user=NOBODY, group=NOBODY, extra_groups=[], cwd="/",
                              env={**variables, "HOME": str(home)}, stderr=subprocess.PIPE, text=True)
    try:
        ready = next(line for line in server.stderr if "ready" in line or "cannot" in line)
        assert f"data in {home}/.local/share/samovar" in ready
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0
        subprocess.run(["rm", "-rf", str(home)], check=True)
