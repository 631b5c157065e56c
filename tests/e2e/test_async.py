"""Events: 202, durable, run until they are done, and told to whoever wants to know."""

import concurrent.futures
import json
import os
import re
import subprocess
import time

import pytest

from recorded import ARNF, FUNCTIONS, UUID, Raw, not_found
from samovar import ACCOUNT, REGION, create, messages, until

AWS = os.environ["SAMOVAR_TEST_AWS"]
EVENT = {"X-Amz-Invocation-Type": "Event"}
OLD = "/2014-11-13/functions"
BRIEF = r"root=1-[0-9a-f]{8}-[0-9a-f]{24};parent=[0-9a-f]{16};sampled=0"
LIMITS = {"Event": 1_048_576, "async": 262_144}
TELL = """import json
def handler(event, context):
    print("GOT " + json.dumps(event), flush=True)
    return event
"""
FAIL = """import json
def handler(event, context):
    print("GOT " + json.dumps(event), flush=True)
    raise ValueError("no")
"""


def got(logs, name, count=1):
    """What a function that tells has got, once it has got so many events."""

    def lines():
        found = [json.loads(line[4:]) for line in messages(logs, name) if line.startswith("GOT ")]
        return found if len(found) >= count else None

    return until(lines)


def send(lam, name, payload=None, **more):
    answer = lam.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(payload or {}).encode(), **more)
    assert answer["StatusCode"] == 202 and answer["Payload"].read() == b""
    return answer["ResponseMetadata"]["RequestId"]


def taken(answer):
    """Checks a whole 202."""
    status, headers, body = answer
    assert re.fullmatch(BRIEF, headers.pop("x-amzn-trace-id"))
    assert (status, headers, body) == (202, {"content-length": "0", "x-amzn-remapped-content-length": "0"}, b"")


@pytest.fixture
def tell(lam, name):
    create(lam, name, TELL)
    return name


def test_an_event_is_answered_at_once_and_run_once(raw, lam, logs, tell):
    taken(raw("POST", f"{FUNCTIONS}/{tell}/invocations", b'{"n": 1}', EVENT))
    taken(raw("POST", f"{FUNCTIONS}/{tell}/invocations", b"", EVENT | {"X-Amz-Log-Type": "Tail"}))
    taken(raw("POST", f"{FUNCTIONS}/{tell}/invocations?Qualifier=$LATEST", b"[2]", EVENT | {"X-Amz-Client-Context": "!"}))
    taken(raw("POST", f"{OLD}/{tell}/invoke-async/", b'{"n": 3}'))
    taken(raw("POST", f"{OLD}/{ARNF}{tell}:$LATEST/invoke-async", b'"4"'))
    shown = sorted(json.dumps(event) for event in got(logs, tell, 5))
    assert shown == sorted(['{"n": 1}', "{}", "[2]", '{"n": 3}', '"4"'])


def test_the_function_sees_the_request_id_of_the_answer(lam, logs, tell):
    sent = send(lam, tell, {"n": 1})
    got(logs, tell)
    report = until(lambda: [line for line in messages(logs, tell) if line.startswith("REPORT")])
    lines = [re.sub(UUID, "<uuid>" if sent in line else "<other>", line) for line in messages(logs, tell)]
    assert [line.split("\t")[0].strip() for line in lines if not line.startswith("INIT_START")] == [
        "START RequestId: <uuid> Version: $LATEST",
        'GOT {"n": 1}',
        "END RequestId: <uuid>",
        "REPORT RequestId: <uuid>",
    ]
    assert len(report) == 1


def test_what_cannot_run_is_refused_as_ever(raw, lam, echo):
    large, old = (b'"' + b"x" * (limit - 1) + b'"' for limit in LIMITS.values())
    too_large = lambda size, limit: (
        413,
        "RequestEntityTooLargeException",
        {"Message": f"{size} byte payload is too large for the Event invocation type (limit {limit} bytes)"},
    )
    no_json = "Could not parse request body into json: Could not parse payload into json: Unrecognized token 'nope'"
    for way, path, headers, limit, body in [
        ("Event", f"{FUNCTIONS}/{{}}/invocations", EVENT, 1_048_576, large),
        ("async", f"{OLD}/{{}}/invoke-async", {}, 262_144, old),
    ]:
        missing = not_found(f"Function not found: {ARNF}nobody:$LATEST")
        assert raw.error("POST", path.format("nobody"), b"{}", headers) == missing, way
        gone = not_found(f"Function not found: {ARNF}{echo}:live")
        assert raw.error("POST", path.format(f"{echo}:live"), b"{}", headers) == gone, way
        assert raw.error("POST", path.format(echo), body, headers) == too_large(limit + 1, limit), way
        status, code, told = raw.error("POST", path.format(echo), b"nope", headers)
        assert (status, code, told.pop("Type")) == (400, "InvalidRequestContentException", "User"), way
        assert told["message"].startswith(no_json), way
        stranger = raw.error("POST", path.format(ARNF.replace(ACCOUNT, "111111111111") + "f"), b"{}", headers)
        assert stranger[:2] == (403, "AccessDeniedException") and "lambda:InvokeFunction" in stranger[2]["Message"]
    status, code, told = raw.error("POST", f"{FUNCTIONS}/{echo}/invocations", b'"' + b"x" * 6291456 + b'"', EVENT)
    assert (status, code) == (413, "RequestEntityTooLargeException")


def test_the_largest_events_run(raw, lam, logs, name):
    create(lam, name, 'def handler(event, context):\n    print(f"GOT {len(event)}", flush=True)\n')
    for path, headers, limit in [
        (f"{FUNCTIONS}/{name}/invocations", EVENT, 1_048_576),
        (f"{OLD}/{name}/invoke-async", {}, 262_144),
    ]:
        taken(raw("POST", path, b'"' + b"x" * (limit - 2) + b'"', headers))
    assert sorted(got(logs, name, 2)) == [262_142, 1_048_574]


def test_versions_and_aliases(lam, logs, name):
    code = 'def handler(event, context):\n    print("GOT " + \'"%s %s"\' % (context.function_version, context.invoked_function_arn.split(":", 7)[-1]), flush=True)\n'
    create(lam, name, code)
    lam.publish_version(FunctionName=name)
    lam.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    for qualifier in ("1", "live", "$LATEST"):
        send(lam, name, Qualifier=qualifier)
    send(lam, name)
    assert sorted(got(logs, name, 4)) == sorted(["1 1", "1 live", "$LATEST $LATEST", f"$LATEST {name}"])


def failing(lam, name, logs, code=FAIL, retries=0, **destinations):
    """A function whose events end at a second one."""
    create(lam, name, code)
    create(lam, f"{name}-end", TELL)
    config = {which: {"Destination": f"{ARNF}{name}-end"} for which in destinations.get("to", ("OnFailure",))}
    lam.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=retries, DestinationConfig=config)


def ends(logs, name, count=1):
    """The records that the second function has got, masked."""

    def masked(record):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["timestamp"])
        record["timestamp"] = "<time>"
        return record

    return [masked(record) for record in got(logs, f"{name}-end", count)]


def test_a_failure_is_told_to_a_function(lam, logs, name):
    failing(lam, name, logs)
    sent = send(lam, name, {"n": 1})
    [record] = ends(logs, name)
    assert record["responsePayload"].pop("stackTrace")
    assert json.dumps(record) == json.dumps(
        {
            "version": "1.0",
            "timestamp": "<time>",
            "requestContext": {
                "requestId": sent,
                "functionArn": f"{ARNF}{name}:$LATEST",
                "condition": "RetriesExhausted",
                "approximateInvokeCount": 1,
            },
            "requestPayload": {"n": 1},
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "responsePayload": {"errorMessage": "no", "errorType": "ValueError", "requestId": sent},
        }
    )
    assert got(logs, name) == [{"n": 1}]


def test_a_success_is_told_to_a_function(lam, logs, name):
    failing(lam, name, logs, TELL, to=("OnSuccess", "OnFailure"))
    sent = send(lam, name, {"n": 1})
    assert json.dumps(ends(logs, name)) == json.dumps(
        [
            {
                "version": "1.0",
                "timestamp": "<time>",
                "requestContext": {
                    "requestId": sent,
                    "functionArn": f"{ARNF}{name}:$LATEST",
                    "condition": "Success",
                    "approximateInvokeCount": 1,
                },
                "requestPayload": {"n": 1},
                "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
                "responsePayload": {"n": 1},
            }
        ]
    )


def test_a_qualifier_has_a_configuration_of_its_own(lam, logs, name):
    failing(lam, name, logs)
    lam.publish_version(FunctionName=name)
    lam.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    config = {"OnFailure": {"Destination": f"{ARNF}{name}-end"}}
    put = lam.put_function_event_invoke_config
    put(FunctionName=name, Qualifier="live", MaximumRetryAttempts=0, DestinationConfig=config)
    sent = {send(lam, name, Qualifier="live"): "live", send(lam, name): "$LATEST"}
    records = ends(logs, name, 2)
    contexts = [(record["requestContext"]["requestId"], record["requestContext"]["functionArn"]) for record in records]
    assert sorted(contexts) == sorted((sent, f"{ARNF}{name}:{qualifier}") for sent, qualifier in sent.items())


def test_where_nothing_may_run_the_event_ends_at_once(lam, logs, name):
    failing(lam, name, logs)
    lam.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    sent = send(lam, name, {"n": 1})
    assert json.dumps(ends(logs, name)) == json.dumps(
        [
            {
                "version": "1.0",
                "timestamp": "<time>",
                "requestContext": {
                    "requestId": sent,
                    "functionArn": f"{ARNF}{name}:$LATEST",
                    "condition": "ZeroReservedConcurrency",
                    "approximateInvokeCount": 0,
                },
                "requestPayload": {"n": 1},
            }
        ]
    )
    assert messages(logs, name) == []


def test_a_reservation_of_one_keeps_the_order(lam, logs, name):
    create(lam, name, TELL)
    lam.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    for number in range(30):
        send(lam, name, number + 1)
    assert got(logs, name, 30) == list(range(1, 31))


def test_an_end_that_nobody_can_be_told_of_has_a_line(fresh):
    server = fresh()
    lam, logs = server.client("lambda"), server.client("logs")
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"
    create(lam, "f", FAIL, DeadLetterConfig={"TargetArn": queue})
    config = {"OnFailure": {"Destination": f"arn:aws:sns:{REGION}:{ACCOUNT}:t"}}
    lam.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=0, DestinationConfig=config)
    sent = send(lam, "f")
    lines = until(lambda: (found := re.findall(".*an event's end was told to nobody.*", server.output()))[1:] and found)
    for line, target in zip(sorted(lines, key=lambda line: ":sqs:" in line), [":sns:", ":sqs:"], strict=True):
        for part in ("WARN", sent, f"{ARNF}f", "RetriesExhausted", target, "does not have the service"):
            assert part in line, line
    assert got(logs, "f") == [{}]


def test_a_retry_waits_and_keeps_its_id(fresh, tmp_path):
    """The server ends in an orderly way meanwhile; the retry is done by the next one."""
    server = fresh()
    lam, logs = server.client("lambda"), server.client("logs")
    create(lam, "f", FAIL)
    sent = send(lam, "f", {"n": 1})
    got(logs, "f")
    began = time.monotonic()
    assert server.stop() == 0
    server.start()
    logs = server.client("logs")
    assert len(got(logs, "f")) == 1
    starts = lambda: [line for line in messages(logs, "f") if line.startswith(f"START RequestId: {sent}")]
    until(lambda: len(starts()) == 2, 90, 0.5)
    assert 55 < time.monotonic() - began < 75


def test_a_killed_server_loses_nothing(fresh):
    """Events that were answered, that run, and that wait for a retry."""
    server = fresh()
    lam, logs = server.client("lambda"), server.client("logs")
    code = 'import time\ndef handler(event, context):\n    print(f"GOT {event}", flush=True)\n    time.sleep(0.5)\n'
    create(lam, "f", code, Timeout=30)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: send(lam, "f", number + 1), range(200)))
    server.kill()
    server.start()
    logs = server.client("logs")
    seen = lambda: {int(line[4:]) for line in messages(logs, "f") if line.startswith("GOT ")}
    until(lambda: seen() == set(range(1, 201)), 120, 0.5)


def test_thousands_of_events(lam, logs, tell):
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda number: send(lam, tell, number + 1), range(2000)))
    seen = lambda: [int(line[4:]) for line in messages(logs, tell) if line.startswith("GOT ")]
    until(lambda: len(seen()) >= 2000, 120, 1)
    assert sorted(seen()) == list(range(1, 2001)), "each once"


def test_a_slow_function_holds_up_nobody(lam, logs, name, tell):
    slow = f"{name}-slow"
    create(lam, slow, "import time\ndef handler(event, context):\n    time.sleep(20)\n", Timeout=60)
    lam.put_function_concurrency(FunctionName=slow, ReservedConcurrentExecutions=2)
    for _ in range(100):
        send(lam, slow)
    began = time.monotonic()
    send(lam, tell)
    got(logs, tell)
    assert time.monotonic() - began < 10
    lam.delete_function(FunctionName=slow)


def test_a_deleted_target_ends_the_event(fresh):
    server = fresh()
    lam, logs = server.client("lambda"), server.client("logs")
    for name in ("f", "busy"):
        create(lam, name, "import time\ndef handler(event, context):\n    time.sleep(3)\n", Timeout=30)
    create(lam, "f-end", TELL)
    config = {"OnFailure": {"Destination": f"{ARNF}f-end"}}
    lam.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=0, DestinationConfig=config)
    lam.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    send(lam, "f", {"n": 1})
    second = send(lam, "f", {"n": 2})
    lam.delete_function(FunctionName="f")
    [record] = ends(logs, "f")
    assert record["requestContext"]["requestId"] == second
    assert record["requestContext"] | {"requestId": 0} == {
        "requestId": 0,
        "functionArn": f"{ARNF}f:$LATEST",
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 1,
    }
    assert record["responseContext"] == {"statusCode": 404} and "responsePayload" not in record


def test_a_reset_forgets_events(fresh):
    server = fresh("--allow-reset")
    lam, logs = server.client("lambda"), server.client("logs")
    create(lam, "f", FAIL)
    send(lam, "f")
    got(logs, "f")
    connection = Raw(server)
    answer = connection("POST", "/_samovar/reset", b"", {"X-Samovar-Reset": "yes"})
    assert answer[0] == 200
    create(lam, "f", TELL)
    send(lam, "f", {"n": 2})
    assert got(logs, "f") == [{"n": 2}]


def test_the_command_line_sends_events(server, lam, logs, tell, tmp_path):
    out = tmp_path / "out"
    command = [AWS, "lambda", "invoke", "--function-name", tell, "--invocation-type", "Event", "--payload", '{"n": 1}']
    run = lambda command: json.loads(
        subprocess.run(command, env=server.cli_env(), capture_output=True, text=True, check=True).stdout
    )
    assert run([*command, str(out)]) == {"StatusCode": 202}
    assert out.read_bytes() == b""
    arguments = tmp_path / "arguments"
    arguments.write_text('{"n": 2}')
    assert run([AWS, "lambda", "invoke-async", "--function-name", tell, "--invoke-args", str(arguments)]) == {
        "Status": 202
    }
    assert sorted(event["n"] for event in got(logs, tell, 2)) == [1, 2]
