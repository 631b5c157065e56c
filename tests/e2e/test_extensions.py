"""The Extensions API through extensions of every kind, and what their logs say."""

import json
import re
import time

import pytest

from extension import FUNCTION, function, heard, lines, said
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


def test_the_caller_is_answered_before_extensions_are_done_and_the_report_waits(lam, logs, name):
    function(lam, name, plan={"one": {"INVOKE": 'time.sleep(0.5); say("worked")'}}, Timeout=5)
    invoke(lam, name, {})
    before = time.monotonic()
    tail = invoke(lam, name, {}, LogType="Tail")["log"]  # the tail waits for the report, and that for extensions
    assert time.monotonic() - before > 0.4 and float(re.search(r"\tDuration: ([\d.]+) ms", tail)[1]) >= 500
    before = time.monotonic()
    invoke(lam, name, {})
    assert time.monotonic() - before < 0.4


def test_an_extension_that_is_not_done_in_time_is_reset_with_the_runtime(lam, logs, name):
    function(lam, name, plan={"one": {"INVOKE": "time.sleep(2)"}}, Timeout=1)
    answer = invoke(lam, name, {})
    assert "FunctionError" not in answer
    report = until(lambda: lines(logs, name, "REPORT"))[0]
    assert report.endswith("\tStatus: timeout\n") and "\tDuration: 1000.00 ms" in report
    assert invoke(lam, name, {})["payload"] == {"did": True}
    ids = [line["id"] for line in heard(logs, name, "one", "registered", 2)]
    assert len(set(ids)) == 2, "ids are new after a reset"


@pytest.mark.parametrize("status, cause", [(17, "exit status 17"), (0, "exit code 0")])
def test_a_crash_under_an_invoke_is_the_invokes_end(lam, logs, name, status, cause):
    function(lam, name, plan={"one": {"INVOKE": f"sys.exit({status})"}})
    answer = invoke(lam, name, {"do": "time.sleep(2)"})
    request = answer["ResponseMetadata"]["RequestId"]
    assert answer["FunctionError"] == "Unhandled"
    assert answer["payload"] == {"errorType": "Extension.Crash", "errorMessage": f"RequestId: {request} Error: {cause}"}
    until(lambda: lines(logs, name, "REPORT"))
    assert f"RequestId: {request} Error: {cause}\nExtension.Crash\n" in messages(logs, name)


@pytest.mark.parametrize("plan, kind", [({"exit": 3}, "Extension.Crash"), ({"init_error": "Extension.Mine", "status": 3}, "Extension.InitError")])
def test_an_extension_that_ends_in_an_init_fails_it(lam, logs, name, plan, kind):
    function(lam, name, plan={"one": plan})
    answer = invoke(lam, name, {})
    assert answer["payload"]["errorType"] == kind and answer["payload"]["errorMessage"].endswith("Error: exit status 3")
    reports = until(lambda: len(found := lines(logs, name, "INIT_REPORT")) >= 2 and found)
    assert [f"\tPhase: {phase}\tStatus: error\tError Type: {kind}\n" in report for phase, report in zip(("init", "invoke"), reports)] == [True, True]


def test_files_that_cannot_run_are_launch_errors(lam, logs, name):
    function(lam, name, files={"plain": "no program"}, modes={"plain": 0o644})
    answer = invoke(lam, name, {})
    assert answer["payload"]["errorType"] == "Extension.LaunchError"
    assert until(lambda: lines(logs, name, "EXTENSION"))[0] == "EXTENSION\tName: plain\tState: LaunchError\tEvents: []\tError Type: PermissionDenied\n"


def test_eleven_extensions_are_too_many(lam, logs, name):
    function(lam, name, names=[f"e{number:02}" for number in range(11)])
    assert invoke(lam, name, {})["payload"]["errorType"] == "Extension.LaunchError"
    until(lambda: "EXTENSION\tName: e10\tState: LaunchError\tEvents: []\tError Type: TooManyExtensions\n" in lines(logs, name, "EXTENSION"))


def test_ten_extensions_are_none_too_many(lam, logs, name):
    function(lam, name, names=[f"e{number}" for number in range(10)], MemorySize=512, Timeout=20)
    assert invoke(lam, name, {})["payload"] == {"did": True}
    assert len(lines(logs, name, "EXTENSION")) == 10


INTERNAL = FUNCTION + '''
import http.client
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def call(method, path, body=None, **headers):
    api.request(method, "/2020-01-01/extension/" + path, body, headers)
    answer = api.getresponse()
    return answer.status, answer.getheader("Lambda-Extension-Identifier"), answer.read().decode()
refused = [
    call("POST", "register", "{}"),
    call("POST", "register", "[", **{"Lambda-Extension-Name": "inner"}),
    call("POST", "register", '{"configurationKeys":["a"]}', **{"Lambda-Extension-Name": "inner"}),
    call("POST", "register", '{"events":["SHUTDOWN"]}', **{"Lambda-Extension-Name": "inner"}),
    call("POST", "register", '{"events":["NEVER"]}', **{"Lambda-Extension-Name": "inner"}),
    call("GET", "event/next"),
    call("GET", "event/next", **{"Lambda-Extension-Identifier": "x"}),
    call("GET", "event/next", **{"Lambda-Extension-Identifier": "00000000-0000-0000-0000-000000000000"}),
]
status, ME, _ = call("POST", "register", '{"events":["INVOKE"]}', **{"Lambda-Extension-Name": "inner"})
refused += [
    call("POST", "register", '{"events":[]}', **{"Lambda-Extension-Name": "inner"}),
    call("POST", "init/error", **{"Lambda-Extension-Identifier": ME}),
]
say("refused", answers=[(status, json.loads(body)["errorType"], json.loads(body)["errorMessage"]) for status, _, body in refused])
import threading
def follow():
    while True:
        status, _, body = call("GET", "event/next", **{"Lambda-Extension-Identifier": ME})
        say("inner", event=json.loads(body))
threading.Thread(target=follow, daemon=True).start()
'''


def test_an_internal_extension_and_refusals(lam, logs, name):
    create(lam, name, INTERNAL)
    assert invoke(lam, name, {})["payload"] == {"did": True}
    [event] = heard(logs, name, "function", "inner")
    assert event["event"]["eventType"] == "INVOKE"
    assert lines(logs, name, "EXTENSION") == ["EXTENSION\tName: inner\tState: Ready\tEvents: [INVOKE]\n"]
    [refused] = said(logs, name, "function", "refused")
    statuses, kinds, texts = zip(*refused["answers"])
    assert set(statuses) == {403}
    assert list(kinds) == [
        "Extension.InvalidExtensionName", "InvalidRequestFormat", "InvalidRequestFormat", "Extension.InvalidEventType",
        "Extension.InvalidEventType", "Extension.MissingExtensionIdentifier", "Extension.InvalidExtensionIdentifier",
        "Extension.UnknownExtensionIdentifier", "Extension.InvalidExtensionState", "Extension.MissingHeader",
    ]
    assert texts[0] == "Empty extension name" and texts[8] == "Extension with this name already registered"
    assert texts[2] == "configurationKeys are deprecated; use environment variables instead"
    late = '''exec("import http.client\\napi = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'])\\napi.request('POST', '/2020-01-01/extension/register', '{}', {'Lambda-Extension-Name': 'late'})\\nsay('late', body=json.loads(api.getresponse().read()))")'''
    invoke(lam, name, {"do": late})
    [late] = heard(logs, name, "function", "late")
    assert late["body"]["errorType"] == "Extension.RegistrationClosed"


def test_json_logs_tell_of_extensions(lam, logs, name):
    function(lam, name, LoggingConfig={"LogFormat": "JSON"})
    invoke(lam, name, {})
    [line] = until(lambda: [json.loads(line) for line in messages(logs, name) if '"platform.extension"' in line])
    assert line["record"] == {"name": "one", "state": "Ready", "events": ["INVOKE", "SHUTDOWN"]}


@pytest.mark.parametrize("plan", [{}, {"SHUTDOWN": "time.sleep(30)"}])
def test_an_unwanted_environment_is_shut_down_in_phases(lam, logs, name, plan):
    code = FUNCTION.replace("def handler", "signal.signal(signal.SIGTERM, lambda *_: (say('sigterm'), sys.exit(0)))\ndef handler")
    function(lam, name, plan={"one": plan}, code=code)
    invoke(lam, name, {})
    lam.update_function_configuration(FunctionName=name, Description="new")
    [event] = [line for line in heard(logs, name, "one", "event", 2) if line["event"]["eventType"] == "SHUTDOWN"]
    assert event["event"]["shutdownReason"] == "spindown" and event["id"] is None
    [terminated] = said(logs, name, "function", "sigterm")
    assert terminated["at"] <= event["at"], "the runtime is the first to be told"
    assert 0.5 < event["event"]["deadlineMs"] / 1000 - event["at"] <= 2.1


def test_a_timeout_is_told_to_extensions(lam, logs, name):
    function(lam, name, Timeout=1)
    assert invoke(lam, name, {"do": "time.sleep(9)"})["payload"]["errorType"] == "Sandbox.Timedout"
    shutdown = [line["event"] for line in heard(logs, name, "one", "event", 2) if line["event"]["eventType"] == "SHUTDOWN"]
    assert shutdown[0]["shutdownReason"] == "timeout"
    assert invoke(lam, name, {"do": "os._exit(1)"})["payload"]["errorType"] == "Runtime.ExitError"
    shutdown = lambda: [line["event"]["shutdownReason"] for line in said(logs, name, "one", "event") if line["event"]["eventType"] == "SHUTDOWN"]
    until(lambda: shutdown() == ["timeout", "failure"])


def test_an_internal_extensions_idle_environment_has_half_a_second(fresh, name):
    server = fresh("--idle-expiry", "1")
    lam, logs = server.client("lambda"), server.client("logs")
    stays = '''
import signal
def ticks(*_):
    say("sigterm")
    while True:
        say("tick"); time.sleep(0.02)
signal.signal(signal.SIGTERM, ticks)
'''
    create(lam, name, INTERNAL + stays)
    invoke(lam, name, {})
    [told] = heard(logs, name, "function", "sigterm")
    last = lambda: said(logs, name, "function", "tick")[-1]["at"]
    until(lambda: time.time() - last() > 1)
    assert 0.1 < last() - told["at"] <= 0.5, "it was made to end within its time"
    assert not [line for line in said(logs, name, "function", "inner") if line["event"]["eventType"] != "INVOKE"]
