"""The JSON log format and the tail against recorded lines."""

import base64
import json
import re

import pytest

from recorded import COLD, END, FUNCTIONS, REPORT, START, dump, whole_log
from samovar import NODE, PYTHON, create

PYTHON_VERSION = "python:" + PYTHON.removeprefix("python")
NODE_VERSION = "nodejs:" + NODE.removeprefix("nodejs").removesuffix(".x")


def figures(line):
    """A masked platform line, read: figures become 0, so that it is JSON again."""
    return json.loads(re.sub(r"<(ms|MB|bytes)>", "0", line)) if line.startswith("{") else line


def ran(name, status="success", cold=True, kind=None, memory=128):
    more = {"errorType": kind} if kind else {}
    metrics = {"durationMs": 0, "billedDurationMs": 0, "memorySizeMB": memory, "maxMemoryUsedMB": 0}
    if cold:
        metrics["initDurationMs"] = 0
    start = {"requestId": "<uuid>", "functionArn": f"ARNF:{name}", "version": "$LATEST"}
    return (
        {"time": "<time>", "type": "platform.start", "record": start},
        {
            "time": "<time>",
            "type": "platform.report",
            "record": {"requestId": "<uuid>", "metrics": metrics, "status": status, **more},
        },
    )


def init_start(name, runtime, phase="init"):
    record = {
        "initializationType": "on-demand", "phase": phase, "runtimeVersion": f"{runtime}.v<n>",
        "runtimeVersionArn": "arn:aws:lambda:us-east-1::runtime:<hash>", "functionName": name, "functionVersion": "$LATEST",
        "instanceId": "<day>/[$LATEST]<environment>", "instanceMaxMemory": 134217728,
    }
    return {"time": "<time>", "type": "platform.initStart", "record": record}


def json_function(lam, name, code, runtime=PYTHON, **levels):
    create(lam, name, code, runtime=runtime, LoggingConfig={"LogFormat": "JSON", **levels})


def test_python_logs_in_json(raw, lam, logs, name):
    json_function(
        lam, name,
        "import logging\nlog = logging.getLogger()\n"
        "def handler(event, context):\n"
        "    log.info('hi %s', 1)\n    log.debug('not this')\n    print('plain')\n"
        "    log.warning('extra', extra={'k': 1})\n"
        "    try:\n        1 / 0\n    except Exception:\n        log.exception('caught')\n"
        "    raise ValueError('no tea')\n",
    )
    payload, _, _ = dump("ValueError", "no tea", ("handler", 12, "raise ValueError('no tea')"))
    assert raw.invoke(name)[0] == payload
    start, report = ran(name)
    said = {"timestamp": "<time>", "logger": "root", "requestId": "<uuid>"}
    assert [figures(line) for line in whole_log(logs, name)] == [
        init_start(name, PYTHON_VERSION),
        start,
        {**said, "level": "INFO", "message": "hi 1"},
        "plain\n",
        {**said, "level": "WARNING", "message": "extra", "k": 1},
        {
            **said, "level": "ERROR", "message": "caught", "errorType": "ZeroDivisionError", "errorMessage": "division by zero",
            "stackTrace": figures(whole_log(logs, name)[5])["stackTrace"], "location": "/var/task/index.py:handler:11",
        },
        {"timestamp": "<time>", "log_level": "ERROR", **json.loads(payload)},
        report,
    ]


def test_node_logs_in_json(raw, lam, logs, name):
    json_function(
        lam, name,
        "exports.handler = async () => {\n  console.log('hi %s', 1)\n  console.log({ a: 1 })\n  "
        "console.debug('not this')\n"
        "  console.warn('odd', new TypeError('inner'))\n  throw new Error('no tea')\n}\n",
        runtime=NODE,
    )
    answer = json.loads(raw.invoke(name)[0])
    start, report = ran(name)
    lines = [figures(line) for line in whole_log(logs, name)]
    warned = lines[4]
    assert warned.pop("message").startswith("odd TypeError: inner\n    at ")
    assert warned.pop("stackTrace")[0] == "TypeError: inner"
    said = {"timestamp": "<time>", "requestId": "<uuid>"}
    assert lines == [
        init_start(name, NODE_VERSION),
        start,
        {**said, "level": "INFO", "message": "hi 1"},
        {**said, "level": "INFO", "message": {"a": 1}},
        {**said, "level": "WARN", "errorType": "TypeError", "errorMessage": "inner"},
        {
            **said,
            "level": "ERROR",
            "message": {"errorType": "Error", "errorMessage": "no tea", "stackTrace": answer["trace"]},
        },
        report,
    ]


def test_lines_before_any_invoke_have_no_request_id_in_json(raw, lam, logs, name):
    json_function(lam, name, "console.log('early'); exports.handler = async () => 1", runtime=NODE)
    assert raw.invoke(name)[0] == "1"
    assert json.loads(whole_log(logs, name)[1]) == {"timestamp": "<time>", "level": "INFO", "message": "early"}


def test_a_failing_init_in_json(raw, lam, logs, name):
    json_function(lam, name, "import nothing_x\n", SystemLogLevel="DEBUG")
    raw.invoke(name)
    kind = "Runtime.ImportModuleError"
    lines = [figures(line) for line in whole_log(logs, name)]
    for phase, at in (("init", 0), ("invoke", 5)):
        common = {"initializationType": "on-demand", "phase": phase, "status": "error", "errorType": kind}
        assert lines[at] == init_start(name, PYTHON_VERSION, phase)
        assert lines[at + 1]["level"] == "WARNING" and lines[at + 2]["log_level"] == "ERROR"
        assert lines[at + 3]["record"] == common and lines[at + 3]["type"] == "platform.initRuntimeDone"
        assert lines[at + 4]["record"] == {**common, "metrics": {"durationMs": 0}}
        assert lines[at + 4]["type"] == "platform.initReport"
    start, report = ran(name, "error", False, kind)
    assert (lines[10], lines[-1]) == (start, report)
    assert lines[11]["record"]["status"] == "error" and lines[11]["type"] == "platform.runtimeDone"


@pytest.mark.parametrize(
    "body, status, kind", [
        ("import os; os._exit(3)", "error", "Runtime.ExitError"),
        ("import time; time.sleep(9)", "timeout", None),
    ]
)
def test_crashes_and_timeouts_in_json(raw, lam, logs, name, body, status, kind):
    create(
        lam,
        name,
        f"def handler(event, context):\n    {body}\n",
        Timeout=1,
        LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": "WARN"},
    )
    raw.invoke(name)
    lines = [figures(line) for line in whole_log(logs, name)]
    assert lines[-1] == ran(name, status, True, kind)[1]
    # Failures pass the level that keeps successes out.
    assert [line["type"] for line in lines] == ["platform.runtimeDone", "platform.report"]
    assert lines[0]["record"]["status"] == status


def test_the_tail_comes_before_the_filters(raw, lam, logs, name):
    json_function(
        lam,
        name,
        "import logging\ndef handler(event, context):\n    logging.getLogger().error('loud')\n",
        SystemLogLevel="WARN",
    )
    log = raw.invoke(name)[1]
    start, report = ran(name)
    kinds = [json.loads(re.sub(r"<(ms|MB|bytes)>", "0", line)) for line in log.splitlines()]
    assert [line.get("type", line.get("message")) for line in kinds] == [
        "platform.start", "loud", "platform.runtimeDone", "platform.report",
    ]
    assert (kinds[0], kinds[-1]) == (start, report)


def test_the_tail_is_cut_by_bytes(raw, lam, echo, name):
    create(lam, name, "def handler(event, context):\n    print('é' * 3000)\n")
    path = f"{FUNCTIONS}/{name}/invocations"
    seen = base64.b64decode(raw("POST", path, b"1", {"X-Amz-Log-Type": "Tail"})[1]["x-amz-log-result"])
    text = seen.decode()
    broken = len(text) - len(text.lstrip("\ufffd"))
    assert broken <= 1 and len(seen) == 4096 + 2 * broken and text.endswith("\t\n")


def test_text_without_line_end_waits_for_the_next_invoke(raw, lam, logs, name):
    create(
        lam,
        name,
        "import sys\ndef handler(event, context):\n    sys.stdout.write('part')\n    sys.stdout.flush()\n  "
        "  if event == 2:\n        print()\n",
    )
    assert raw.invoke(name, b"1")[1] == f"{START}{END}{COLD}\n"
    assert raw.invoke(name, b"2")[1] == f"{START}partpart\n{END}{REPORT}\n"
