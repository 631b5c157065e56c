"""The server's process holds no right, and cannot reach the launcher's."""

import json
import os
import pathlib
import subprocess
import tempfile

import pytest

from samovar import BINARY, create, invoke


def status(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


# What a server that was taken over would try, run with its user and groups, without rights and with none to be gained.
PRY = """
import ctypes, json, os, signal, sys
launcher, data, sandbox = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
libc = ctypes.CDLL(None, use_errno=True)
done = {}
def attempt(name, do):
    try:
        done[name] = "did: " + repr(do())
    except OSError as error:
        done[name] = error.errno
def traced(pid):
    if libc.ptrace(16, pid, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")
    libc.ptrace(17, pid, 0, 0)
for who, pid in (("launcher", launcher), ("init", sandbox)):
    attempt(who + " memory", lambda: open(f"/proc/{pid}/mem", "rb").read(1))
    attempt(who + " descriptors", lambda: os.listdir(f"/proc/{pid}/fd"))
    attempt(who + " environment", lambda: open(f"/proc/{pid}/environ").read())
    attempt(who + " root", lambda: os.listdir(f"/proc/{pid}/root"))
    attempt(who + " traced", lambda: traced(pid))
    attempt(who + " signalled", lambda: os.kill(pid, 0))
    attempt(who + " namespace", lambda: os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY))
found = os.stat(data)
lock = f"/run/samovar/{found.st_dev:x}-{found.st_ino:x}.lock"
attempt("lock", lambda: open(lock).read())
attempt("lock removed", lambda: os.unlink(lock))
attempt("code", lambda: open(data + "/code/x", "w"))
attempt("root", lambda: os.setuid(0))
attempt("group", lambda: os.setgroups([0]))
attempt("mounted", lambda: (_ for _ in ()).throw(OSError(ctypes.get_errno(), "")) if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) else 1)
print(json.dumps(done))
"""


def test_the_server_holds_no_right(fresh):
    samovar = fresh()
    lam = samovar.client("lambda")
    create(lam, "f", "def handler(e, c):\n    return 1\n")
    assert invoke(lam, "f")["payload"] == 1
    pid = samovar.server_pid()
    for task in os.listdir(f"/proc/{pid}/task"):
        found = status(f"{pid}/task/{task}")
        users = set(found["Uid"].split() + found["Gid"].split())
        assert len(users) == 1 and int(users.pop()) >= 0x7000_0000
        assert found["Groups"].strip() == ""
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(found[name], 16) == 0, name
        assert found["NoNewPrivs"] == "1" and found["Seccomp"] == "2"
    assert status(samovar.process.pid)["Uid"].split()[0] == "0"


@pytest.fixture
def reachable():
    """A directory that every user may enter, unlike pytest's own."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="samovar-rights-"))
    directory.chmod(0o755)
    yield directory
    subprocess.run(["rm", "-rf", str(directory)], check=True)


def test_what_the_server_s_user_cannot_do(reachable, fresh):
    samovar = fresh(data=str(reachable / "data"))
    lam = samovar.client("lambda")
    create(lam, "f", "def handler(e, c):\n    return 1\n")
    invoke(lam, "f")
    pid = samovar.server_pid()
    user = int(status(pid)["Uid"].split()[0])
    init = next(child for child in samovar.children() if child != pid)
    prober = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    said = subprocess.run([*prober, "/usr/bin/python3", "-I", "-c", PRY, str(samovar.process.pid), str(samovar.data_dir), str(init)],
                          capture_output=True, text=True, cwd="/", timeout=30)
    assert said.returncode == 0, said.stderr
    done = json.loads(said.stdout)
    assert len(done) >= 19
    for attempt, outcome in done.items():
        # EPERM or EACCES, whatever it was.
        assert outcome in (1, 13), (attempt, outcome)


def test_code_that_the_server_moved_away_is_noticed_at_the_next_start(fresh):
    """The data directory is the server's, so it can rename `code/`; what it puts there instead is refused."""
    samovar = fresh()
    lam = samovar.client("lambda")
    create(lam, "f", "def handler(e, c):\n    return 1\n")
    assert samovar.stop() == 0
    code, user = samovar.data_dir / "code", os.stat(samovar.data_dir).st_uid
    os.rename(code, samovar.data_dir / "elsewhere")
    os.symlink("/etc", code)
    said = subprocess.run([BINARY, "serve", "--data-dir", str(samovar.data_dir), "--listen", f"127.0.0.1:{samovar.port}"], capture_output=True, text=True, timeout=30)
    assert said.returncode != 0 and "code" in said.stderr
    os.unlink(code)
    os.mkdir(code)
    os.chown(code, user, user)
    said = subprocess.run([BINARY, "serve", "--data-dir", str(samovar.data_dir), "--listen", f"127.0.0.1:{samovar.port}"], capture_output=True, text=True, timeout=30)
    assert said.returncode != 0 and "holds files that samovar did not make" in said.stderr
