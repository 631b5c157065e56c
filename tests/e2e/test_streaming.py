"""InvokeWithResponseStream: what callers get of a response while the function writes it."""

import base64
import http.client
import json
import re

import pytest
from botocore.eventstream import EventStreamBuffer

from recorded import COLD, ECHO, END, REPORT, START, TRACE, UUID, exit_error, invalid, masked, not_found, provided, violated, value
from samovar import ACCOUNT, NODE, REGION, create, invoke, messages, until

STREAMS = "/2021-11-15/functions/{}/response-streaming-invocations"
MODES = """
const { once } = require('events');
const { AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SESSION_TOKEN } = process.env;
const headers = {
  'X-Amz-Target': 'Logs_20140328.DescribeLogGroups',
  'X-Amz-Security-Token': AWS_SESSION_TOKEN,
  'Authorization': `AWS4-HMAC-SHA256 Credential=${AWS_ACCESS_KEY_ID}/20260101/us-east-1/logs/aws4_request, SignedHeaders=host, Signature=00`,
};
// The test says go by making a log group.
const go = async (logGroupNamePrefix) => {
  for (;;) {
    const answer = await fetch(AWS_ENDPOINT_URL, { method: 'POST', headers, body: JSON.stringify({ logGroupNamePrefix }) });
    if ((await answer.json()).logGroups.length) return;
  }
};
const sent = (s, data) => new Promise((resolve) => s.write(data, resolve));
const modes = {
  tea: async (s) => { s.setContentType('text/tea'); await sent(s, 'one'); s.write({ two: 2 }); s.end(Buffer.from([0, 255])); },
  hold: async (s, e) => { await sent(s, 'one'); await go(e.group); console.log('gone on'); s.end('two'); },
  http: async (s) => {
    s = awslambda.HttpResponseStream.from(s, { statusCode: 201, headers: { a: 'b' }, cookies: ['c=d'] });
    s.write('body');
    s.end();
  },
  empty: async (s) => { s.end(); },
  early: async () => { throw new RangeError('early'); },
  late: async (s) => { await sent(s, 'part'); throw new RangeError('late'); },
  slow: async (s) => { await sent(s, 'part'); await new Promise(() => {}); },
  never: async () => new Promise(() => {}),
  exit: async (s, e) => { await sent(s, 'part'); await go(e.group); process.exit(3); },
  big: async (s, e) => {
    const chunk = Buffer.alloc(1 << 20, 'x');
    for (let n = 0; n < e.mib; n++) if (!s.write(chunk)) await once(s, 'drain');
    s.end();
  },
};
exports.handler = awslambda.streamifyResponse((event, stream) => modes[event.do](stream, event));
"""


@pytest.fixture(scope="module")
def modes(lam_module):
    create(lam_module, "stream-modes", MODES, runtime=NODE, MemorySize=1769, Timeout=3)
    return "stream-modes"


@pytest.fixture(scope="module")
def lam_module(server):
    return server.client("lambda")


class Running:
    """One invocation over plain HTTP: its head, and its frames as they come."""

    def __init__(self, server, name, event, **headers):
        scope = f"{ACCOUNT}/20260101/{REGION}/lambda/aws4_request"
        sent = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00"}
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        self.connection.request("POST", STREAMS.format(name), body, {**sent, **headers})
        self.answer = self.connection.getresponse()
        self.headers = {name.lower(): value for name, value in self.answer.getheaders()}
        self.buffer = EventStreamBuffer()

    def frames(self):
        while piece := self.answer.read1():
            self.buffer.add_data(piece)
            for frame in self.buffer:
                yield frame.headers, frame.payload

    def close(self):
        self.connection.close()


def heads(headers):
    """What does not change from call to call."""
    assert re.fullmatch(UUID, headers.pop("x-amzn-requestid")) and headers.pop("date").endswith(" GMT")
    assert re.fullmatch(TRACE, headers.pop("x-amzn-trace-id"))
    return headers


def run(lam, name, event, **more):
    """Through boto3: the response, the last event, and the log."""
    payload = event if isinstance(event, bytes) else json.dumps(event).encode()
    answer = lam.invoke_with_response_stream(FunctionName=name, Payload=payload, LogType="Tail", **more)
    assert answer["StatusCode"] == 200
    *chunks, last = list(answer["EventStream"])
    complete = last["InvokeComplete"]
    log = base64.b64decode(complete.pop("LogResult")).decode()
    assert complete == {}, "nothing says that a stream was cut short"
    response = b"".join(chunk["PayloadChunk"]["Payload"] for chunk in chunks)
    kind = answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-remapped-content-type"]
    return kind, response, masked(log)


def test_an_answer_is_a_head_and_frames(server, modes):
    running = Running(server, modes, {"do": "tea"})
    assert running.answer.status == 200
    assert heads(running.headers) == {
        "content-type": "application/vnd.amazon.eventstream",
        "transfer-encoding": "chunked",
        "x-amz-executed-version": "$LATEST",
        "x-amzn-remapped-content-type": "text/tea",
    }
    *chunks, (last, complete) = running.frames()
    for headers, _ in chunks:
        assert list(headers.items()) == [
            (":event-type", "PayloadChunk"),
            (":content-type", "application/octet-stream"),
            (":message-type", "event"),
        ]
    assert list(last.items()) == [
        (":event-type", "InvokeComplete"), (":content-type", "application/json"), (":message-type", "event"),
    ]
    assert (b"".join(payload for _, payload in chunks), complete) == (b'one{"two":2}\x00\xff', b"{}")
    # The connection is fit for more.
    running.connection.request("GET", "/_samovar/health")
    assert running.connection.getresponse().status == 200
    running.close()


def test_the_first_piece_comes_before_the_function_writes_the_second(lam, logs, modes, name):
    answer = lam.invoke_with_response_stream(
        FunctionName=modes, Payload=json.dumps({"do": "hold", "group": name}), LogType="Tail"
    )
    assert answer["ResponseStreamContentType"] == "application/vnd.amazon.eventstream"
    assert answer["ExecutedVersion"] == "$LATEST"
    events = iter(answer["EventStream"])
    assert next(events) == {"PayloadChunk": {"Payload": b"one"}}
    logs.create_log_group(logGroupName=name)
    assert next(events) == {"PayloadChunk": {"Payload": b"two"}}
    log = base64.b64decode(next(events)["InvokeComplete"]["LogResult"]).decode()
    assert "gone on" in log and "REPORT" in log
    assert next(events, None) is None


def test_a_client_that_goes_away_does_not_stop_the_function(server, lam, logs, modes, name):
    running = Running(server, modes, {"do": "hold", "group": name})
    assert next(running.frames())[1] == b"one"
    running.close()
    logs.create_log_group(logGroupName=name)
    request = running.headers["x-amzn-requestid"]
    told = lambda: [line for line in messages(logs, modes) if request in line and line.startswith("REPORT")]
    assert "Status" not in until(told)[0]
    assert any(request in line and "gone on" in line for line in messages(logs, modes))


OCTETS, JSON_TYPE = "application/octet-stream", "application/json"
PRELUDE = b'{"statusCode":201,"headers":{"a":"b"},"cookies":["c=d"]}' + bytes(8) + b"body"
ENDS = [
    ("http", "application/vnd.awslambda.http-integration-response", PRELUDE, ""),
    ("empty", OCTETS, b"", ""),
    ("early", OCTETS, b"", ""),
    ("late", OCTETS, b"part", ""),
    ("slow", OCTETS, b"part", "Status: timeout\n"),
    (
        "never",
        JSON_TYPE,
        b'{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: <uuid> Error: Task timed out after 3.00 seconds"}',
        "Status: timeout\n",
    ),
    ("exit", OCTETS, b"part", exit_error("Runtime exited with error: exit status 3")[2]),
]


@pytest.mark.parametrize("mode, kind, response, status", ENDS, ids=lambda part: str(part)[:10])
def test_how_streams_end(lam, logs, modes, name, mode, kind, response, status):
    logs.create_log_group(logGroupName=name)
    found, told, log = run(lam, modes, {"do": mode, "group": name})
    assert (found, masked(told.decode("latin-1")).encode("latin-1")) == (kind, response)
    assert log.startswith(START) and END in log
    report = log[log.index("REPORT"):].replace("1769 MB", "128 MB").replace("Init Duration: <ms>\t", "")
    assert report == REPORT + (status or "\n")
    assert ("RangeError" in log) == (mode in ("early", "late"))
    # What comes next is not harmed.
    assert run(lam, modes, {"do": "tea"})[1] == b'one{"two":2}\x00\xff'


def test_large_responses(lam, modes):
    for mib, expected in [(7, 7 << 20), (201, (200 << 20) + 1)]:
        lam.update_function_configuration(FunctionName=modes, Timeout=60)
        lam.get_waiter("function_updated_v2").wait(FunctionName=modes)
        answer = lam.invoke_with_response_stream(FunctionName=modes, Payload=json.dumps({"do": "big", "mib": mib}))
        seen, complete = 0, None
        for event in answer["EventStream"]:
            assert complete is None
            seen += len(event.get("PayloadChunk", {}).get("Payload", b""))
            complete = event.get("InvokeComplete")
        assert (seen, complete) == (expected, {})


def test_a_caller_that_waits_gets_the_response_whole(lam, modes):
    assert invoke(lam, modes, {"do": "tea"})["raw"] == b'one{"two":2}\x00\xff'
    answer = invoke(lam, modes, {"do": "big", "mib": 7})
    assert (answer["FunctionError"], answer["payload"]["errorType"]) == ("Unhandled", "Function.ResponseSizeTooLarge")
    answer = invoke(lam, modes, {"do": "late"})
    assert (answer["FunctionError"], answer["payload"]["errorType"]) == ("Unhandled", "RangeError")


def test_functions_that_do_not_stream(lam, echo, name):
    kind, response, log = run(lam, echo, b' {"a": [1]}')
    assert (kind, response) == (JSON_TYPE, b'{"a": [1]}') and log.startswith(START)
    assert run(lam, echo, b"")[1] == b"{}"
    create(lam, name, "def handler(event, context):\n    raise KeyError('gone')\n")
    kind, response, log = run(lam, name, {})
    assert (kind, json.loads(response)["errorType"]) == (JSON_TYPE, "KeyError")
    assert log.endswith(COLD.rstrip("\t") + "\t\n") and "[ERROR] KeyError: 'gone'" in log


def test_the_runtimes_content_type_is_told(server, lam, name):
    provided(
        server,
        name,
        "while True:\n    headers, event = following()\n"
        "    kind = {'Content-Type': json.loads(event)} if event != b'{}' else {}\n"
        "    call('POST', f'invocation/{headers[ID]}/response', b'tea', kind)\n",
    )
    assert run(lam, name, "text/tea")[:2] == ("text/tea", b"tea")
    assert run(lam, name, {})[:2] == (OCTETS, b"tea")


@pytest.mark.parametrize("kind", ["Event", "DryRun", "RequestResponse"])
def test_the_invocation_type_is_ignored(server, echo, kind):
    running = Running(server, echo, {"a": 1}, **{"X-Amz-Invocation-Type": kind})
    assert running.answer.status == 200
    assert [payload for _, payload in running.frames()] == [b'{"a": 1}', b"{}"]
    running.close()


def test_versions_and_aliases(lam, name):
    create(lam, name, ECHO, Publish=True)
    lam.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    for qualifier, executed in [("1", "1"), ("live", "1"), ("$LATEST", "$LATEST")]:
        answer = lam.invoke_with_response_stream(FunctionName=name, Qualifier=qualifier, Payload=b"1")
        assert answer["ExecutedVersion"] == executed
        assert list(answer["EventStream"]) == [{"PayloadChunk": {"Payload": b"1"}}, {"InvokeComplete": {}}]


REFUSALS = [
    ("no-such-function", b"{}", {}, not_found("Function not found: ARNF:no-such-function:$LATEST")),
    ("fidelity-echo:nope", b"{}", {}, not_found("Function not found: ARNF:fidelity-echo:nope")),
    (
        "fidelity-echo", b"1", {"X-Amz-Log-Type": "All"},
        violated(value("'All'", "logType", "satisfy enum value set: [None, Tail]")),
    ),
    (
        "fidelity-echo", b"1", {"X-Amz-Tenant-Id": "blue"},
        invalid("The invoked function is not enabled with tenancy configuration. Remove the tenant ID from your request "
                "and try again."),
    ),
    (
        "fidelity-echo", b'"' + b"x" * 6291455 + b'"', {},
        (413, "RequestEntityTooLargeException",
         {"Message": "Request must be smaller than 6291456 bytes for the InvokeFunction operation"}),
    ),
]


@pytest.mark.parametrize("function, body, headers, expected", REFUSALS, ids=range(len(REFUSALS)))
def test_what_is_refused_before_the_function_runs(raw, echo, function, body, headers, expected):
    status, code, answer = raw.error("POST", STREAMS.format(function), body, headers)
    assert (status, code, json.loads(masked(json.dumps(answer)))) == expected


def test_a_bad_payload(raw, echo):
    status, code, answer = raw.error("POST", STREAMS.format(echo), b"{bad")
    assert (status, code, answer["Type"]) == (400, "InvalidRequestContentException", "User")
    assert answer["message"].startswith("Could not parse request body into json: Could not parse payload into json: ")
