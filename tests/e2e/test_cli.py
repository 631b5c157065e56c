"""The AWS CLI and Samovar's own commands."""

import base64
import json
import os
import subprocess
import threading

import pytest

from samovar import BINARY, PYTHON, ROLE, create, invoke, messages, until, zip_of

# Both major versions of the AWS CLI that people use: 1 from PyPI, 2 from Debian.
AWS = {"v1": [os.environ["SAMOVAR_TEST_AWS"]], "v2": ["/usr/bin/aws", "--cli-binary-format", "raw-in-base64-out"]}


def aws(server, *command, version="v2", **more):
    # Version 2 of Debian is older than AWS_ENDPOINT_URL.
    words = [*AWS[version], "--endpoint-url", server.endpoint, *command]
    return subprocess.run(words, env=server.cli_env(), capture_output=True, text=True, timeout=120, **more)


def samovar(server, *command, **more):
    env = {**os.environ, "SAMOVAR_ENDPOINT": server.endpoint}
    return subprocess.run([BINARY, *command], env=env, capture_output=True, text=True, timeout=120, **more)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_aws_cli_creates_waits_invokes_and_deletes(server, name, tmp_path, version):
    def run(*command):
        return aws(server, *command, version=version)

    package = tmp_path / "f.zip"
    package.write_bytes(zip_of({"index.py": "def handler(e, c):\n    print('from the cli')\n    return {'got': e}\n"}))
    made = run("lambda", "create-function", "--function-name", name, "--runtime", PYTHON, "--handler",
               "index.handler", "--role", ROLE, "--zip-file", f"fileb://{package}")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["State"] == "Pending"
    waited = run("lambda", "wait", "function-active-v2", "--function-name", name)
    assert waited.returncode == 0, waited.stderr
    out = tmp_path / "out.json"
    done = run("lambda", "invoke", "--function-name", name, "--payload", '{"a": 1}', "--log-type", "Tail",
               "--query", "LogResult", "--output", "text", str(out))
    assert done.returncode == 0, done.stderr
    assert "from the cli" in base64.b64decode(done.stdout).decode()
    assert json.loads(out.read_text()) == {"got": {"a": 1}}
    updated = run("lambda", "update-function-configuration", "--function-name", name, "--timeout", "9")
    assert updated.returncode == 0, updated.stderr
    assert run("lambda", "wait", "function-updated-v2", "--function-name", name).returncode == 0
    found = run("logs", "filter-log-events", "--log-group-name", f"/aws/lambda/{name}", "--query", "events[].message")
    assert "from the cli\n" in json.loads(found.stdout) or "from the cli" in json.loads(found.stdout), found
    gone = run("lambda", "delete-function", "--function-name", name)
    assert gone.returncode == 0, gone.stderr
    missing = run("lambda", "get-function", "--function-name", name)
    assert missing.returncode != 0 and "ResourceNotFoundException" in missing.stderr


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_every_wait_of_the_aws_cli_ends(server, lam, name, tmp_path, version):
    def run(*command):
        done = aws(server, "lambda", *command, version=version)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    package = tmp_path / "f.zip"
    package.write_bytes(zip_of({"index.py": "def handler(e, c):\n    return e\n"}))
    function = ["--function-name", name]
    run("create-function", *function, "--runtime", PYTHON, "--handler", "index.handler", "--role", ROLE,
        "--zip-file", f"fileb://{package}", "--publish")
    for wait in ("function-exists", "function-active", "function-active-v2", "function-updated"):
        run("wait", wait, *function)
    run("update-function-code", *function, "--zip-file", f"fileb://{package}")
    run("wait", "function-updated-v2", *function)
    published = run("publish-version", *function)["Version"]
    assert published == "2"
    run("wait", "published-version-active", *function, "--qualifier", published)
    run("create-alias", *function, "--name", "live", "--function-version", published,
        "--routing-config", "AdditionalVersionWeights={1=0.5}")
    run("wait", "function-exists", *function, "--qualifier", "live")
    run("delete-function", *function)


def test_payloads_of_the_aws_cli_are_base64_unless_said_otherwise(server, echo, tmp_path):
    out, event = tmp_path / "out.json", '{"tea": "\u00e9"}'
    encoded = base64.b64encode(event.encode()).decode()
    for arguments in (
        ["--cli-binary-format", "raw-in-base64-out", "--payload", event],
        ["--cli-binary-format", "base64", "--payload", encoded],
    ):
        command = ["/usr/bin/aws", "--endpoint-url", server.endpoint, "lambda", "invoke", "--function-name", echo]
        done = subprocess.run(
            [*command, *arguments, str(out)], env=server.cli_env(), capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(out.read_text()) == json.loads(event)


def test_the_aws_cli_follows_a_log_while_the_handler_sleeps(server, lam, logs, name):
    create(lam, name, "import time\ndef handler(e, c):\n    print('still here')\n    time.sleep(12)\n", Timeout=30)
    running = threading.Thread(target=invoke, args=(lam, name))
    running.start()
    until(lambda: any("still here" in line for line in messages(logs, name)))
    command = [*AWS["v2"], "--endpoint-url", server.endpoint, "logs", "tail", f"/aws/lambda/{name}", "--follow"]
    follow = subprocess.Popen(command, env={**server.cli_env(), "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True)
    try:
        assert any("still here" in line for line in follow.stdout)
        assert running.is_alive()
    finally:
        follow.terminate()
        follow.wait()
        running.join()


def test_samovar_lists_invokes_and_shows_logs(server, lam, name, tmp_path):
    create(lam, name, "def handler(e, c):\n    print('seen by the log')\n    return e\n")
    listed = samovar(server, "functions")
    assert listed.returncode == 0 and name in listed.stdout, listed
    assert json.loads(samovar(server, "invoke", name, "--payload", '{"n": 5}').stdout) == {"n": 5}
    event = tmp_path / "event.json"
    event.write_text('[1, 2]')
    assert json.loads(samovar(server, "invoke", name, "--payload", f"@{event}").stdout) == [1, 2]
    until(lambda: "seen by the log" in samovar(server, "logs", name).stdout)
    missing = samovar(server, "invoke", "nobody")
    assert missing.returncode != 0 and "Function not found" in missing.stderr


def test_a_failing_function_fails_the_command(server, lam, name):
    create(lam, name, "def handler(e, c):\n    raise ValueError('no tea')\n")
    done = samovar(server, "invoke", name)
    assert done.returncode != 0 and "no tea" in done.stdout


def test_doctor_and_runtimes_speak(server):
    doctor = samovar(server, "doctor")
    assert doctor.returncode == 0, doctor.stderr
    for word in ("cgroup", "seccomp", "namespaces"):
        assert word in doctor.stdout.lower()
    runtimes = samovar(server, "runtimes")
    assert PYTHON in runtimes.stdout and "provided.al2023" in runtimes.stdout


def test_help_has_examples():
    for command in ([], ["serve"], ["invoke"], ["logs"]):
        shown = subprocess.run([BINARY, *command, "--help"], capture_output=True, text=True)
        assert shown.returncode == 0 and "samovar " in shown.stdout
    assert "Examples" in subprocess.run([BINARY, "serve", "--help"], capture_output=True, text=True).stdout


def test_configuration_is_flags_over_variables_over_file(tmp_path, fresh):
    config = tmp_path / "samovar.toml"
    config.write_text('region = "eu-north-1"\naccount = "111111111111"\n')
    server = fresh("--config", str(config), "--account", "222222222222", env={"SAMOVAR_ACCOUNT": "333333333333"})
    client = server.client("lambda", account="AKIAEXAMPLE", region="eu-north-1")
    assert create(client, "f", "def handler(e, c):\n    return 1\n")["FunctionArn"] == (
        "arn:aws:lambda:eu-north-1:222222222222:function:f"
    )


@pytest.mark.parametrize(
    "text, words", [('regoin = "x"\n', "regoin"), ('listen = "nowhere"\n', "listen"), ("account = 12\n", "account")]
)
def test_a_bad_configuration_is_refused_with_its_reason(tmp_path, text, words):
    config = tmp_path / "samovar.toml"
    config.write_text(text)
    done = subprocess.run([BINARY, "serve", "--config", str(config), "--data-dir", str(tmp_path / "d")],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode != 0 and words in done.stderr


def test_a_second_server_on_one_data_directory_is_refused(fresh):
    server = fresh()
    done = subprocess.run([BINARY, "serve", "--listen", "127.0.0.1:0", "--data-dir", str(server.data_dir)],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode != 0 and "another samovar uses" in done.stderr, done
    assert server.healthy()


def test_an_open_address_needs_keys(tmp_path):
    done = subprocess.run([BINARY, "serve", "--listen", "0.0.0.0:0", "--data-dir", str(tmp_path / "d")],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode != 0 and "key" in done.stderr
