"""Recorded answers and real ones, side by side: plain HTTP, and masks for what changes from call to call."""

import base64
import http.client
import json
import re

from samovar import ACCOUNT, REGION, create, messages, until, zip_of

FUNCTIONS = "/2015-03-31/functions"
ARNF = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:"
ECHO = "def handler(event, context):\n    return event\n"
ZIP = base64.b64encode(zip_of({"index.py": ECHO})).decode()
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
TRACE = r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0;Lineage=1:[0-9a-f]{8}:0"
STALE = (
    "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve "
    "the latest Revision Id"
)
NAME_PATTERN = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?"
)
MASKS = [
    (UUID, "<uuid>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?(Z|\+0000)", "<time>"),
    (r"\d{4}/\d\d/\d\d/", "<day>/"),
    (r"\[[0-9a-f]{32}\]", "[<environment>]"),
    (r"\][0-9a-f]{32}", "]<environment>"),
    (r"::runtime:[0-9a-f]{64}", "::runtime:<hash>"),
    (r"Duration: \d+\.\d\d ms", "Duration: <ms>"),
    (r"Billed Duration: \d+ ms", "Billed Duration: <ms>"),
    (r"Max Memory Used: [1-9]\d* MB", "Max Memory Used: <MB>"),
    (r'("(?:initD|d)urationMs":)\d+(\.\d{1,3})?', r"\1<ms>"),
    (r'("billedDurationMs":)\d+', r"\1<ms>"),
    (r'("maxMemoryUsedMB":)[1-9]\d*', r"\1<MB>"),
    (r'("producedBytes":)\d+', r"\1<bytes>"),
    (r"((?:python|nodejs|provided):[a-z0-9.]+\.v)\d+", r"\1<n>"),
]


def masked(text):
    for pattern, name in MASKS:
        text = re.sub(pattern, name, text)
    return text.replace(ARNF, "ARNF:")


class Raw:
    """Plain HTTP, as no SDK lets one send and see it."""

    def __init__(self, server):
        self.server = server

    def __call__(self, method, path, body=b"", headers=None, service="lambda", account=ACCOUNT):
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        scope = f"{account}/20260101/{REGION}/{service}/aws4_request"
        sent = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00"}
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            connection.request(method, path, body, {**sent, **(headers or {})})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        found = {name.lower(): value for name, value in answer.getheaders()}
        assert len(found) == len(answer.getheaders()), "a header came twice"
        assert re.fullmatch(UUID, found.pop("x-amzn-requestid"))
        assert found.pop("date").endswith(" GMT")
        found.pop("connection", None)
        if content:
            assert found.pop("content-length") == str(len(content))
        return answer.status, found, content

    def error(self, *args, **more):
        """Status, code and body of an error, which has these headers and no others."""
        status, headers, body = self(*args, **more)
        assert headers.pop("content-type") == "application/json"
        code = headers.pop("x-amzn-errortype")
        assert headers == {}
        return status, code, json.loads(body)

    def settled(self, *args, **more):
        """As a call, again and again while an update that went before is not done."""

        def once():
            answer = self(*args, **more)
            return answer if answer[0] != 409 else None

        return until(once)

    def invoke(self, name, body=b"{}", headers=None):
        """The payload of an invoke and its log, masked."""
        status, found, content = self(
            "POST", f"{FUNCTIONS}/{name}/invocations", body, {"X-Amz-Log-Type": "Tail", **(headers or {})}
        )
        assert status == 200, content
        log = base64.b64decode(found.pop("x-amz-log-result")).decode()
        assert re.fullmatch(TRACE, found.pop("x-amzn-trace-id"))
        failed = found.pop("x-amz-function-error", None)
        found.pop("content-length", None)
        assert failed in (None, "Unhandled")
        assert found == {
            "content-type": "application/json",
            "x-amz-executed-version": "$LATEST",
            "x-amzn-remapped-content-length": "0",
        }
        return masked(content.decode()), masked(log), failed is not None


def user(key, text):
    return {"Type": "User", key: text}


def not_found(text):
    return 404, "ResourceNotFoundException", user("Message", text)


def invalid(text):
    return 400, "InvalidParameterValueException", user("message", text)


def busy(name):
    """What a change is told that comes while an update of the function is under way."""
    text = f"The operation cannot be performed at this time. An update is in progress for resource: ARNF:{name}"
    return 409, "ResourceConflictException", user("message", text)


def violated(*errors):
    count = f"{len(errors)} validation error{'s' if len(errors) > 1 else ''} detected: "
    return 400, "ValidationException", {"message": count + "; ".join(errors)}


def value(text, path, constraint):
    return f"Value {text} at '{path}' failed to satisfy constraint: Member must {constraint}"


START, END = "START RequestId: <uuid> Version: $LATEST\n", "END RequestId: <uuid>\n"
REPORT = "REPORT RequestId: <uuid>\tDuration: <ms>\tBilled Duration: <ms>\tMemory Size: 128 MB\tMax Memory Used: <MB>\t"
COLD = REPORT + "Init Duration: <ms>\t"


def exit_error(cause):
    payload = f'{{"errorType":"Runtime.ExitError","errorMessage":"RequestId: <uuid> Error: {cause}"}}'
    line = f"RequestId: <uuid> Error: {cause}\nRuntime.ExitError\n"
    return payload, line, "Status: error\tError Type: Runtime.ExitError\n"


def dump(kind, text, *frames):
    """What Python's client answers and logs for an exception; frames are (function, line, source)."""
    trace = [
        f'  File "/var/task/index.py", line {line}, in {function}\n    '
        f'{source}\n' for function, line, source in frames
    ]
    payload = json.dumps({"errorMessage": text, "errorType": kind, "requestId": "<uuid>", "stackTrace": trace})
    blank = "\u00a0"
    told = ""
    for at, line in enumerate("".join(trace).splitlines()):
        told += "\n" + blank * (2 if at % 2 == 0 else 4) + line.strip()
    return payload, f"[ERROR] {kind}: {text}\nTraceback (most recent call last):{told}", "\n"


INIT_START = "INIT_START Runtime Version: {}.v<n>\tRuntime Version ARN: arn:aws:lambda:us-east-1::runtime:<hash>\n"


def init_report(phase, kind):
    return f"INIT_REPORT Init Duration: <ms>\tPhase: {phase}\tStatus: error\tError Type: {kind}\n"


def whole_log(logs, name):
    """All events of one invocation, masked."""
    ended = lambda line: line.startswith("REPORT") or '"platform.report"' in line
    found = until(lambda: (lines := messages(logs, name)) and ended(lines[-1]) and lines)
    return [masked(line) for line in found]


# A runtime of the customer's own, for functions that talk to the Runtime API themselves.
RUNTIME = """#!/usr/bin/python3
import http.client, json, os
ID = "Lambda-Runtime-Aws-Request-Id"

def call(method, path, body=None, headers={}, root="/2018-06-01/runtime/"):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    connection.request(method, root + path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()

def following():
    status, headers, event = call("GET", "invocation/next")
    return headers, event

"""


def provided(server, name, code):
    create(
        server.client("lambda"),
        name,
        {"bootstrap": RUNTIME + code},
        runtime="provided.al2023",
        modes={"bootstrap": 0o755},
    )
