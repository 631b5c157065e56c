"""A Node.js that waits for its function, and rehearses before it does."""

import json
import os
import re
import shutil
import socket
import subprocess

import pytest

from harness import PATIENCE, RUNTIMES


@pytest.mark.parametrize("patience_ms", [1, 4, 8, 500])
def test_a_rehearsal_that_takes_too_long_hurts_no_function(tmp_path, patience_ms):
    client = shutil.copytree(RUNTIMES / "node", tmp_path / "node")
    rehearsal = client / "_samovar_rehearsal.js"
    text, changes = re.subn(r"PATIENCE_MS = \d+", f"PATIENCE_MS = {patience_ms}", rehearsal.read_text())
    assert changes == 1
    rehearsal.write_text(text)
    (tmp_path / "index.js").write_text("exports.handler = async (event) => event;\n")
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(PATIENCE)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(PATIENCE)
    number = theirs.fileno()
    env = {"PATH": os.environ["PATH"], "_SAMOVAR_WAIT": str(number)}
    process = subprocess.Popen(["node", "--expose-gc", client / "bootstrap.js"], env=env, pass_fds=[number])
    try:
        theirs.close()
        assert json.loads(ours.recv(1000)) == {"ready": process.pid}
        own = {
            "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:%d" % listener.getsockname()[1],
            "LAMBDA_TASK_ROOT": str(tmp_path),
            "_HANDLER": "index.handler",
        }
        ours.send(json.dumps({"env": list(own.items()), "cwd": str(tmp_path), "argv": []}).encode())
        connection, _ = listener.accept()
        connection.settimeout(PATIENCE)
        assert connection.recv(1000).startswith(b"GET /2018-06-01/runtime/invocation/next ")
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
