"""Starts the real binary and gives unmodified AWS clients for it."""

import io
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.request
import zipfile

import boto3
import botocore.config

BINARY = os.environ["SAMOVAR_TEST_BINARY"]
SDK_DIR = os.environ.get("SAMOVAR_TEST_SDK")
ACCOUNT = "000000000000"
REGION = "us-east-1"
ROLE = "arn:aws:iam::000000000000:role/test"


def _version(*command):
    return re.search(r"(\d+)\.(\d+)", subprocess.run(command, capture_output=True, text=True, check=True).stdout)


PYTHON = "python{}.{}".format(*_version("/usr/bin/python3", "--version").groups())
NODE = "nodejs{}.x".format(_version("node", "--version")[1])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(check, seconds=20.0, every=0.02):
    """Polls `check` until it gives something true; fails at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"nothing true within {seconds} s from {check}")
        time.sleep(every)


def zip_of(files, modes=None):
    """A zip archive of `{path: text or bytes}`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            info = zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = ((modes or {}).get(path, 0o644) | 0o100000) << 16
            archive.writestr(info, content)
    return buffer.getvalue()


class Samovar:
    """One server on its own data directory and port."""

    def __init__(self, data_dir, *flags, env=None, port=None, prefix=()):
        self.data_dir = pathlib.Path(data_dir)
        self.flags = flags
        self.env = env or {}
        self.prefix = prefix
        self.port = port or free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.process = None
        self.log = None

    def start(self):
        self.log = open(self.data_dir.parent / f"{self.data_dir.name}.log", "ab")
        command = [*self.prefix, BINARY, "serve", "--listen", f"127.0.0.1:{self.port}", "--data-dir", str(self.data_dir)]
        if SDK_DIR:
            command += ["--sdk-dir", SDK_DIR]
        self.process = subprocess.Popen(
            [*command, *self.flags], stdout=self.log, stderr=self.log, env={**os.environ, **self.env}
        )
        until(self.healthy, 30)
        return self

    def healthy(self):
        if self.process.poll() is not None:
            raise AssertionError(f"samovar ended with {self.process.returncode}: {self.output()[-3000:]}")
        try:
            with urllib.request.urlopen(f"{self.endpoint}/_samovar/health", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def output(self):
        return (self.data_dir.parent / f"{self.data_dir.name}.log").read_text(errors="replace")

    def children(self):
        """The launcher's own children: the server, helpers, and an init for each environment."""
        launcher = self.process.pid
        return [int(pid) for pid in pathlib.Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()]

    def server_pid(self):
        """The process that serves: the launcher forks it before any other."""
        return self.children()[0]

    def stop(self):
        """An orderly end; gives the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self):
        """As when the power goes: nothing is told to anybody."""
        self.process.kill()
        self.process.wait(30)

    def client(self, service, account=ACCOUNT, region=REGION, secret="secret", attempts=2, **config):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=region,
            aws_access_key_id=account,
            aws_secret_access_key=secret,
            config=botocore.config.Config(
                retries={"total_max_attempts": attempts, "mode": "standard"},
                max_pool_connections=600,
                read_timeout=120,
                parameter_validation=config.pop("parameter_validation", True),
                **config,
            ),
        )

    def cli_env(self):
        return {
            **os.environ,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_PAGER": "",
            "PYTHONUTF8": "1",
        }


def wait_active(client, name):
    def settled():
        configuration = client.get_function_configuration(FunctionName=name)
        if configuration["State"] == "Failed":
            raise AssertionError(configuration)
        return configuration["State"] == "Active" and configuration.get("LastUpdateStatus") == "Successful"

    until(settled)


def create(client, name, code, handler="index.handler", runtime=PYTHON, modes=None, **more):
    """Creates a function from source text (or a dict of files) and waits until it is active."""
    files = code if isinstance(code, dict) else {"index.py" if runtime.startswith("python") else "index.js": code}
    answer = client.create_function(
        FunctionName=name, Runtime=runtime, Handler=handler, Role=ROLE, Code={"ZipFile": zip_of(files, modes)}, **more
    )
    wait_active(client, name)
    return answer


def invoke(client, name, payload=None, **more):
    """Invokes; gives the raw answer with `payload` parsed and `log` decoded."""
    import base64

    body = b"" if payload is None else json.dumps(payload).encode()
    answer = client.invoke(FunctionName=name, Payload=body, **more)
    raw = answer["Payload"].read()
    answer["raw"] = raw
    try:
        answer["payload"] = json.loads(raw) if raw else None
    except ValueError:
        answer["payload"] = raw
    if "LogResult" in answer:
        answer["log"] = base64.b64decode(answer["LogResult"]).decode()
    return answer


def messages(logs, name, group=None):
    """Every log message of a function, in order; none when its group is not there yet."""
    return events_of(logs, group or f"/aws/lambda/{name}")


def events_of(logs, group, **more):
    """All messages of a group in order; none when there is no such group yet."""
    try:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, **more)
        return [event["message"] for page in pages for event in page["events"]]
    except logs.exceptions.ResourceNotFoundException:
        return []
