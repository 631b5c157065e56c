"""Deployment tools that people use, unmodified: Chalice, Zappa and claudia, as far as they speak to Lambda alone."""

import http.server
import json
import os
import pathlib
import re
import subprocess
import threading

import pytest

from recorded import ARNF, ECHO
from samovar import ACCOUNT, NODE, PYTHON, REGION, ROLE, invoke, zip_of

TOOLS = pathlib.Path(os.environ["SAMOVAR_TEST_TOOLS"])
HERE = pathlib.Path(__file__).parent
CHALICE = """
from chalice import Chalice

app = Chalice(app_name="{name}")


@app.lambda_function(name="pour")
def pour(event, context):
    return {{"poured": event, "with": "{what}"}}
"""
IDENTITY = f"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:iam::{ACCOUNT}:root</Arn><UserId>{ACCOUNT}</UserId><Account>{ACCOUNT}</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>"""


def run(server, *command, cwd, **env):
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**server.cli_env(), "AWS_REGION": REGION, "PATH": f"{TOOLS}/bin:{os.environ['PATH']}", **env},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def gone(lam, name):
    with pytest.raises(lam.exceptions.ResourceNotFoundException):
        lam.get_function(FunctionName=name)


@pytest.fixture
def sts():
    """Answers who the caller is: the one question that these tools ask of another service."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            assert b"GetCallerIdentity" in self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(IDENTITY)))
            self.end_headers()
            self.wfile.write(IDENTITY.encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listener.server_port}"
        listener.shutdown()


def test_chalice_deploys_changes_and_deletes(server, lam, tmp_path, name):
    (tmp_path / ".chalice").mkdir()
    (tmp_path / "requirements.txt").write_text("")

    def deploy(what, **stage):
        (tmp_path / "app.py").write_text(CHALICE.format(name=name, what=what))
        config = {"manage_iam_role": False, "iam_role_arn": ROLE, "tags": {"what": what}, **stage}
        settings = {"version": "2.0", "app_name": name, "stages": {"dev": config}}
        (tmp_path / ".chalice/config.json").write_text(json.dumps(settings))
        return run(server, "chalice", "deploy", cwd=tmp_path)

    function = f"{name}-dev-pour"
    assert f"{ARNF}{function}" in deploy("milk", reserved_concurrency=2, environment_variables={"KEY": "value"})
    assert invoke(lam, function, {"a": 1})["payload"] == {"poured": {"a": 1}, "with": "milk"}
    first = lam.get_function(FunctionName=function)
    assert first["Concurrency"] == {"ReservedConcurrentExecutions": 2}
    assert first["Tags"]["what"] == "milk"
    deploy("lemon", lambda_timeout=7)
    assert invoke(lam, function, {})["payload"]["with"] == "lemon"
    second = lam.get_function(FunctionName=function)
    assert (second["Configuration"]["Timeout"], "Concurrency" in second) == (7, False)
    assert second["Tags"]["what"] == "lemon"
    assert second["Configuration"].get("Environment", {}).get("Variables", {}) == {}
    run(server, "chalice", "delete", cwd=tmp_path)
    gone(lam, function)


def test_zappa_deploys_updates_rolls_back_and_deletes(server, lam, sts, tmp_path, name):
    archives = []
    for word in ("first", "second"):
        path = tmp_path / f"{word}.zip"
        path.write_bytes(zip_of({"index.py": f"def handler(event, context):\n    return '{word}'\n"}))
        archives.append(path)
    life = [TOOLS / "bin/python", HERE / "zappa_life.py", name, *archives, ROLE, PYTHON]
    told = run(server, *life, cwd=tmp_path, AWS_ENDPOINT_URL_STS=sts)
    principal = {"Service": "events.amazonaws.com"}
    assert json.loads(told.splitlines()[-1]) == {
        "arn": ARNF + name,
        "tags": {"tool": "zappa"},
        "made": "first",
        "pruned": ["$LATEST", "3", "4"],
        "updated": "second",
        "memory": 256,
        "rolled_back": "first",
        "versions": name,
        "statements": ["FunctionURLAllowPublicAccess", "FunctionURLAllowPublicAccessInvoke"],
        "closed": [],
        "same_url": True,
        "urls": [],
        "permission": principal,
    }
    gone(lam, name)


def test_claudia_creates_updates_marks_versions_and_destroys(server, lam, sts, tmp_path, name):
    (tmp_path / "package.json").write_text(json.dumps({"name": name, "version": "1.0.0", "files": ["index.js"]}))

    def claudia(*arguments, pours):
        (tmp_path / "index.js").write_text(f"exports.handler = async () => '{pours}';\n")
        return run(
            server,
            "node",
            TOOLS / "node_modules/.bin/claudia",
            *arguments,
            cwd=tmp_path,
            NODE_PATH=str(TOOLS / "node_modules"),
            NODE_OPTIONS=f"--require {HERE / 'claudia_endpoints.js'}",
            SAMOVAR_TEST_STS=sts,
            AWS_DELAY="100",
        )

    def aliases():
        listed = lam.list_aliases(FunctionName=name)["Aliases"]
        return {alias["Name"]: alias["FunctionVersion"] for alias in listed}

    created = claudia(
        *("create", "--region", REGION, "--role", ROLE, "--handler", "index.handler", "--runtime", NODE),
        *("--version", "prod", "--set-env", "KEY=value"),
        pours="first",
    )
    assert json.loads(created[created.index("{") :])["lambda"]["name"] == name
    assert aliases() == {"latest": "$LATEST", "prod": "1"}
    change = ("--timeout", "9", "--update-env", "MORE=1")
    updated = claudia("update", "--region", REGION, "--version", "next", *change, pours="second")
    assert json.loads(updated[updated.index("{") :])["Timeout"] == 9
    assert aliases() == {"latest": "$LATEST", "next": "2", "prod": "1"}
    assert [invoke(lam, name, Qualifier=alias)["payload"] for alias in ("prod", "next")] == ["first", "second"]
    claudia("set-version", "--region", REGION, "--version", "prod", pours="second")
    assert aliases()["prod"] == "2"
    variables = lam.get_function_configuration(FunctionName=name, Qualifier="prod")["Environment"]["Variables"]
    assert variables == {"KEY": "value", "MORE": "1"}
    claudia("tag", "--region", REGION, "--tags", "team=tea", pours="second")
    assert lam.get_function(FunctionName=name)["Tags"] == {"team": "tea"}
    assert re.search(r'"second"', claudia("test-lambda", "--region", REGION, pours="second"))
    claudia("destroy", "--region", REGION, pours="second")
    gone(lam, name)
    assert not (tmp_path / "claudia.json").exists()
