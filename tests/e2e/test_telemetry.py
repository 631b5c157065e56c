"""Telemetry API and Logs API through listeners of extensions inside their sandboxes."""

import json

import pytest

from extension import function, heard, lines, said
from listener import subscribes
from samovar import invoke, until

EVERYTHING = ["platform", "function"]


def events(logs, name, who="one"):
    return [line["event"] for line in said(logs, name, who, "telemetry")]


def kinds(logs, name, *wanted, who="one"):
    """Waits until all these types of events came; gives all events."""
    return until(lambda: (all_ := events(logs, name, who)) and set(wanted) <= {event["type"] for event in all_} and all_)


@pytest.mark.parametrize("version", ["2022-07-01", "2022-12-13", "2025-01-29"])
def test_platform_and_function_are_told_over_http(lam, logs, name, version):
    function(lam, name, plan={"one": {"registered": subscribes(EVERYTHING, version=version)}})
    answer = invoke(lam, name, {"n": 1}, LogType="Tail")
    invoke(lam, name, {"n": 2})  # what came last is heard when the environment is awake again
    told = kinds(logs, name, "platform.initStart", "platform.initRuntimeDone", "platform.initReport", "platform.start",
                 "platform.runtimeDone", "platform.report", "platform.telemetrySubscription", "platform.extension", "function")
    first = {event["type"]: event["record"] for event in reversed(told)}
    request = answer["ResponseMetadata"]["RequestId"]
    assert first["platform.initStart"]["functionName"] == name and first["platform.initStart"]["phase"] == "init"
    assert first["platform.start"]["requestId"] == first["platform.report"]["requestId"] == request
    assert first["platform.runtimeDone"]["status"] == "success"
    assert first["platform.runtimeDone"]["metrics"]["producedBytes"] == len(answer["raw"])
    spans = first["platform.runtimeDone"]["spans"]
    assert [span["name"] for span in spans] == ["responseLatency", "responseDuration", "runtimeOverhead"]
    assert [span["name"] for span in first["platform.report"]["spans"]] == ["extensionOverhead"]
    assert first["platform.telemetrySubscription"] == {"name": "one", "state": "Subscribed", "types": ["platform", "function"]}
    assert first["platform.extension"] == {"name": "one", "state": "Ready", "events": ["INVOKE", "SHUTDOWN"]}
    assert json.loads(first["function"])["what"] == "init"
    order = [event["type"] for event in told]
    assert order.index("platform.initStart") < order.index("platform.initRuntimeDone") < order.index("platform.start")
    assert lines(logs, name, "TELEMETRY") == ["TELEMETRY\tName: one\tState: Subscribed\tTypes: [Platform, Function]\n"]
    [subscribed] = said(logs, name, "one", "subscribed")
    assert subscribed["answer"] == [200, '"OK"']


def test_the_logs_api_over_tcp(lam, logs, name):
    plan = {"registered": subscribes(EVERYTHING, api="2020-08-15/logs", version="2021-03-18", protocol="TCP")}
    function(lam, name, plan={"one": plan})
    request = invoke(lam, name, {})["ResponseMetadata"]["RequestId"]
    invoke(lam, name, {})
    told = kinds(logs, name, "platform.start", "platform.end", "platform.report", "platform.logsSubscription", "function")
    assert next(event for event in told if event["type"] == "platform.end")["record"] == {"requestId": request}
    assert lines(logs, name, "LOGS") == ["LOGS\tName: one\tState: Subscribed\tTypes: [Platform, Function]\n"]


def test_a_listener_that_refuses_is_asked_again(lam, logs, name):
    function(lam, name, plan={"one": {"registered": subscribes(["platform"], refusals="1, 1, 1")}})
    invoke(lam, name, {"do": "time.sleep(1)"})
    told = kinds(logs, name, "platform.initStart", "platform.start")
    assert [event["type"] for event in told].count("platform.initStart") == 1


def test_lines_of_json_are_objects(lam, logs, name):
    function(lam, name, plan={"one": {"registered": subscribes(["function"])}}, LoggingConfig={"LogFormat": "JSON"})
    invoke(lam, name, {})
    told = kinds(logs, name, "function")
    assert told[0]["record"]["what"] == "init"


def test_subscriptions_are_checked(lam, logs, name):
    wrong = '\nfor body in ({"types": [], "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain"}}, ' \
            '{"types": ["platform"], "destination": {"protocol": "HTTP", "URI": "http://127.0.0.1:80/"}}):\n' \
            '    say("wrong", answer=call("PUT", "/2022-07-01/telemetry", body, **ME)[::2])\n' \
            'say("nobody", answer=call("PUT", "/2022-07-01/telemetry", {})[::2])\n'
    late = 'say("late", answer=call("PUT", "/2022-07-01/telemetry", {"types": ["platform"], "destination": {"protocol": "TCP", "port": 1}}, **ME)[::2])'
    function(lam, name, plan={"one": {"registered": wrong, "INVOKE": late}})
    invoke(lam, name, {})
    first, second = [line["answer"] for line in heard(logs, name, "one", "wrong", 2)]
    assert (first[0], json.loads(first[1])) == (400, {"errorType": "ValidationError", "errorMessage": "URI port is not provided; types should not be empty"})
    assert second[0] == 400
    [nobody] = said(logs, name, "one", "nobody")
    assert nobody["answer"][0] == 403 and "Extension.MissingExtensionIdentifier" in nobody["answer"][1]
    [late] = heard(logs, name, "one", "late")
    assert late["answer"][0] == 403 and json.loads(late["answer"][1])["errorType"] == "Telemetry.SubscriptionClosed"


def test_the_first_schema_of_the_logs_api(lam, logs, name):
    function(lam, name, plan={"one": {"registered": subscribes(EVERYTHING, api="2020-08-15/logs", version="2020-08-15")}})
    invoke(lam, name, {})
    invoke(lam, name, {})
    told = kinds(logs, name, "platform.start", "platform.end", "platform.report", "platform.logsSubscription", "platform.extension", "function")
    assert {event["type"] for event in told} == {
        "platform.start", "platform.end", "platform.report", "platform.logsSubscription", "platform.extension", "function"}


def test_an_extension_that_uses_both_apis_is_refused_the_second(lam, logs, name):
    both = subscribes(EVERYTHING) + subscribes(EVERYTHING, port=8081, api="2020-08-15/logs", version="2021-03-18")
    function(lam, name, plan={"one": {"registered": both}})
    invoke(lam, name, {})
    first, second = [line["answer"] for line in heard(logs, name, "one", "subscribed", 2)]
    assert first[0] == 200 and 400 <= second[0] < 500 and "errorType" in json.loads(second[1])
    assert lines(logs, name, "LOGS") == [] and len(lines(logs, name, "TELEMETRY")) == 1


# Listens, and answers nothing before a file says so; then says what it is sent.
DEAF = subscribes(["function"]).replace(
    "    def do_POST(self):\n", "    def do_POST(self):\n        while not os.path.exists('/tmp/hear'): time.sleep(0.01)\n"
).replace("                say(", "                if event['type'] == 'platform.logsDropped': say(")


def test_what_a_listener_does_not_take_is_dropped_and_counted(lam, logs, name):
    function(lam, name, plan={"one": {"registered": DEAF}}, Timeout=10)
    line, count = 1000, 1500  # more than two batches of 262,144 bytes, and one that is under way
    invoke(lam, name, {"do": f"print('begins', flush=True); time.sleep(0.2); [print('x' * {line}) for _ in range({count})]"})
    invoke(lam, name, {"do": "time.sleep(0.2); open('/tmp/hear', 'w').close(); time.sleep(0.5)"})
    def dropped():
        invoke(lam, name, {})
        return [event["record"] for event in events(logs, name) if event["type"] == "platform.logsDropped"]
    [first, *_] = until(dropped, every=0.2)
    assert set(first) == {"droppedRecords", "droppedBytes", "reason"}
    assert first["reason"] == "Consumer seems to have fallen behind as it has not acknowledged receipt of logs."
    assert 0 < first["droppedRecords"] < count and first["droppedBytes"] > first["droppedRecords"] * line
