"""The Extensions API through extensions of every kind, and what their logs say."""

import json
import re

from extension import EXTERNAL, FUNCTION, function, heard, lines, said
from samovar import ACCOUNT, create, invoke, messages, until

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def test_an_external_extension_hears_of_each_invoke(lam, logs, name):
    function(lam, name, names=("one", "two"), plan={"two": {"events": ["SHUTDOWN"], "headers": {"Lambda-Extension-Accept-Feature": "accountId"}}})
    first = invoke(lam, name, {"n": 1}, LogType="Tail")
    assert first["payload"] == {"did": True}
    second = invoke(lam, name, {"n": 2})
    events = heard(logs, name, "one", "event", 2)
    ids = [answer["ResponseMetadata"]["RequestId"] for answer in (first, second)]
    assert [line["event"]["requestId"] for line in events] == ids
    event = events[0]["event"]
    assert set(event) == {"eventType", "deadlineMs", "requestId", "invokedFunctionArn", "tracing"}
    assert event["eventType"] == "INVOKE" and event["invokedFunctionArn"].endswith(f":function:{name}")
    assert event["tracing"]["type"] == "X-Amzn-Trace-Id" and event["tracing"]["value"].startswith("Root=1-")
    assert abs(event["deadlineMs"] / 1000 - events[0]["at"] - 3) < 1
    assert all(re.fullmatch(UUID, line["id"]) for line in events)
    assert said(logs, name, "two", "event") == []
    [registered] = said(logs, name, "one", "registered")
    assert registered["status"] == 200 and re.fullmatch(UUID, registered["id"]) and registered["body"].endswith("\n")
    assert json.loads(registered["body"]) == {"functionName": name, "functionVersion": "$LATEST", "handler": "index.handler"}
    [registered] = said(logs, name, "two", "registered")
    assert json.loads(registered["body"])["accountId"] == ACCOUNT
    assert lines(logs, name, "EXTENSION") == [
        "EXTENSION\tName: one\tState: Ready\tEvents: [INVOKE, SHUTDOWN]\n",
        "EXTENSION\tName: two\tState: Ready\tEvents: [SHUTDOWN]\n",
    ]
    assert "EXTENSION" not in first["log"]


def test_extensions_start_before_the_runtime_with_their_own_variables(lam, logs, name):
    function(lam, name, variables={"OWN": "x"})
    invoke(lam, name, {})
    [started] = heard(logs, name, "one", "started")
    [registered] = said(logs, name, "one", "registered")
    [init] = said(logs, name, "function", "init")
    assert registered["at"] < init["at"] and started["cwd"] == "/"
    env = set(started["env"])
    assert {"OWN", "AWS_ACCESS_KEY_ID", "AWS_LAMBDA_RUNTIME_API", "AWS_REGION", "AWS_LAMBDA_FUNCTION_NAME"} <= env
    withheld = {"AWS_EXECUTION_ENV", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_XRAY_CONTEXT_MISSING",
                "AWS_XRAY_DAEMON_ADDRESS", "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT"}
    assert not withheld & env and not [variable for variable in env if variable.startswith("_")], env
