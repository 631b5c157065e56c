"""An extension with the published Rust crate `lambda-extension`, whose own types read all that it is sent."""

import json
import os
import pathlib

import pytest

from extension import layer, lines, said
from samovar import create, invoke, messages, until
from test_official_clients import executable, tree

RIC = pathlib.Path(os.environ.get("SAMOVAR_TEST_RIC", ""))
RUST = RIC / "rust-extension" / "bootstrap"

PYTHON_CODE = """
import logging
logger = logging.getLogger()
logger.setLevel("INFO")
def handler(event, context):
    for number in range(event.get("lines", 0)):
        logger.info("counted %d", number)
    exec(event.get("do", ""))
    return event
"""


def code(client):
    """Files, handler and settings of a function that counts as often as its event says, by an official client."""
    if client == "rust":
        return {"bootstrap": RUST.read_bytes()}, {"bootstrap": 0o755}
    files = tree(RIC / "python")
    files["app.py"] = PYTHON_CODE
    files["bootstrap"] = "#!/bin/sh\nexport PYTHONPATH=/var/task\nexec /usr/bin/python3 -m awslambdaric app.handler\n"
    return files, executable(files)


def function(lam, name, processors="", client=None, **more):
    """A function with the Rust extension; on our own Python unless an official client is named."""
    layers = [layer(lam, f"{name}-layer", {"rust": RUST.read_bytes()})]
    shared = {"Layers": layers, "Environment": {"Variables": {"PROCESSORS": processors}}, "Timeout": 10, "MemorySize": 256, **more}
    if client is None:
        return create(lam, name, PYTHON_CODE, **shared)
    files, modes = code(client)
    return create(lam, name, files, handler="app.handler", runtime="provided.al2023", modes=modes, **shared)


def values(logs, name, what):
    return [line["value"] for line in said(logs, name, "rust", what)]


def told(lam, logs, name, what, enough):
    """Waits until enough was told, and invokes meanwhile: what is told last is heard when the environment wakes."""
    def look():
        found = values(logs, name, what)
        if enough(found):
            return found
        invoke(lam, name, {})
    try:
        return until(look, every=0.1)
    except AssertionError:
        raise AssertionError("\n".join(messages(logs, name)[:60])) from None


def parsed(logs, name):
    """Nothing was sent that the crate's types do not read."""
    assert not [line for line in messages(logs, name) if "rror parsing" in line or "ERROR" in line]


@pytest.mark.parametrize("client", [None, "rust"])
def test_each_invoke_is_told_with_its_id(lam, logs, name, client):
    arn = function(lam, name, client=client)["FunctionArn"]
    ids = [invoke(lam, name, {"n": n})["ResponseMetadata"]["RequestId"] for n in range(3)]
    events = until(lambda: len(found := values(logs, name, "invoke")) == 3 and found)
    assert [event["requestId"] for event in events] == ids
    assert {event["arn"] for event in events} == {arn}
    assert {event["tracing"]["type"] for event in events} == {"X-Amzn-Trace-Id"}
    parsed(logs, name)


@pytest.mark.parametrize("client", [None, "rust"])
def test_telemetry_is_what_the_crate_reads(lam, logs, name, client):
    function(lam, name, "telemetry", client)
    request = invoke(lam, name, {"lines": 2})["ResponseMetadata"]["RequestId"]
    wanted = {"platform.initStart", "platform.initRuntimeDone", "platform.initReport", "platform.extension",
              "platform.telemetrySubscription", "platform.start", "platform.runtimeDone", "platform.report", "function"}
    events = told(lam, logs, name, "telemetry", lambda found: wanted <= {event["type"] for event in found})
    first = {event["type"]: event["record"] for event in reversed(events)}
    assert {first[kind]["requestId"] for kind in ("platform.start", "platform.runtimeDone", "platform.report")} == {request}
    assert first["platform.telemetrySubscription"] == {"name": "rust", "state": "Subscribed", "types": ["platform", "function"]}
    assert first["platform.extension"] == {"name": "rust", "state": "Ready", "events": ["INVOKE", "SHUTDOWN"]}
    assert [span["name"] for span in first["platform.runtimeDone"]["spans"]][:2] == ["responseLatency", "responseDuration"]
    assert first["platform.report"]["metrics"]["initDurationMs"] > 0 and first["platform.report"]["status"] == "success"
    parsed(logs, name)


@pytest.mark.parametrize("client", [None, "rust"])
def test_the_logs_api_is_what_the_crate_reads(lam, logs, name, client):
    function(lam, name, "logs", client)
    request = invoke(lam, name, {"lines": 2})["ResponseMetadata"]["RequestId"]
    wanted = {"platform.extension", "platform.logsSubscription", "platform.start", "platform.runtimeDone", "platform.end",
              "platform.report", "function"}
    events = told(lam, logs, name, "log", lambda found: wanted <= {event["type"] for event in found})
    first = {event["type"]: event["record"] for event in reversed(events)}
    assert {first[kind]["requestId"] for kind in ("platform.start", "platform.runtimeDone", "platform.end", "platform.report")} == {request}
    assert first["platform.logsSubscription"] == {"name": "rust", "state": "Subscribed", "types": ["platform", "function"]}
    parsed(logs, name)


def test_a_fault_is_told_by_the_logs_api(lam, logs, name):
    function(lam, name, "logs")
    request = invoke(lam, name, {"do": "import os; os._exit(3)"})["ResponseMetadata"]["RequestId"]
    until(lambda: lines(logs, name, "REPORT"))  # now the one environment is ready for another life
    events = told(lam, logs, name, "log", lambda found: "platform.fault" in {event["type"] for event in found})
    [fault] = [event["record"] for event in events if event["type"] == "platform.fault"]
    assert fault == f"RequestId: {request} Error: Runtime exited with error: exit status 3\nRuntime.ExitError"
    parsed(logs, name)


def test_an_extension_uses_one_of_the_two_apis(lam, logs, name):
    function(lam, name, "logs,telemetry")
    answer = invoke(lam, name, {})
    assert answer["FunctionError"] == "Unhandled" and answer["payload"]["errorType"].startswith("Extension.")
    refused = until(lambda: values(logs, name, "refused"))
    assert "unable to initialize the telemetry api: 4" in refused[0]


@pytest.mark.parametrize("client", [None, "rust"])
def test_an_idle_environment_is_spun_down(fresh, name, client):
    samovar = fresh("--idle-expiry", "1")
    lam, logs = samovar.client("lambda"), samovar.client("logs")
    function(lam, name, "telemetry", client)
    invoke(lam, name, {})
    [shutdown] = until(lambda: values(logs, name, "shutdown"))
    assert shutdown["reason"] == "spindown"
    parsed(logs, name)


def test_a_server_that_stops_spins_down(fresh, name):
    samovar = fresh()
    function(samovar.client("lambda"), name)
    invoke(samovar.client("lambda"), name, {})
    assert samovar.stop() == 0
    samovar.start()
    [shutdown] = until(lambda: values(samovar.client("logs"), name, "shutdown"))
    assert shutdown["reason"] == "spindown"


@pytest.mark.parametrize("log_format", ["Text", "JSON"])
@pytest.mark.parametrize("client", ["awslambdaric", "rust"])
def test_logs_of_official_clients_stream_in_order(lam, logs, name, client, log_format):
    function(lam, name, "telemetry", client, LoggingConfig={"LogFormat": log_format})
    count = 300
    request = invoke(lam, name, {"lines": count})["ResponseMetadata"]["RequestId"]
    counted = lambda found: [event["record"] for event in found if event["type"] == "function" and "counted" in json.dumps(event["record"])]
    got = counted(told(lam, logs, name, "telemetry", lambda found: len(counted(found)) >= count))
    assert len(got) == count and {type(record) for record in got} == {dict if log_format == "JSON" else str}
    assert [number(record) for record in got] == list(range(count))
    if client == "awslambdaric":
        assert all(request in json.dumps(record) for record in got)
    parsed(logs, name)


def number(record):
    """What a line of either client counted."""
    if isinstance(record, dict):
        fields = record.get("fields", record)
        return fields["number"] if "number" in fields else int(fields["message"].removeprefix("counted "))
    line = record.strip()
    return int(line.rsplit("=" if "number=" in line else " ", 1)[1])
