"""Invocations against recorded answers, whole: what callers get, what logs say, what functions see."""

import base64
import json
import re

import pytest

from recorded import (
    COLD,
    ECHO,
    END,
    FUNCTIONS,
    INIT_START,
    REPORT,
    START,
    TRACE,
    dump,
    exit_error,
    init_report,
    invalid,
    provided,
    user,
    value,
    violated,
    whole_log,
)
from samovar import NODE, PYTHON, create, messages

SOURCE = "\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: "
VALUE = "expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
PAYLOADS = [
    (b"\x87\x87", "Invalid UTF-8 start byte 0x87", 1),
    (b"  \x87", "Invalid UTF-8 start byte 0x87", 3),
    (b'{"msg":"\xff"}', "Invalid UTF-8 start byte 0xff", 9),
    (b'{"key": "\xc3("}', "Invalid UTF-8 middle byte 0x28", 11),
    (b"\xef\xbb\xbf{}", f"Unexpected character ('\ufeff' (code 65279)): {VALUE}", 1),
    (b"\x00", f"Unexpected character ((CTRL-CHAR, code 0)): {VALUE}", 1),
    (b'{"msg": }', f"Unexpected character ('}}' (code 125)): {VALUE}", 9),
    (b'{"a":1} x', f"Unexpected character ('x' (code 120)): {VALUE}", 9),
]


@pytest.mark.parametrize("body, words, column", PAYLOADS, ids=lambda part: repr(part)[:30])
def test_what_is_wrong_with_a_payload(raw, echo, body, words, column):
    text = f"Could not parse request body into json: Could not parse payload into json: {words}{SOURCE}{column}]"
    expected = 400, "InvalidRequestContentException", user("message", text)
    assert raw.error("POST", f"{FUNCTIONS}/{echo}/invocations", body) == expected


@pytest.mark.parametrize(
    "body",
    [b"hello", b"NaN", b"'a'", b"[1,]", b'{"a":1,}', b"01", b"1.", b"-", b"[1", b'"', b" "],
)
def test_what_is_no_json_is_refused(raw, echo, body):
    status, code, answer = raw.error("POST", f"{FUNCTIONS}/{echo}/invocations", body)
    assert (status, code) == (400, "InvalidRequestContentException")
    assert answer["message"].startswith("Could not parse request body into json: Could not parse payload into json: ")


@pytest.mark.parametrize(
    "body",
    [b'{"b": 1,   "a": [ 2 ]}', b'{"a":1,"a":2}', b"1e400", b'"\\ud800"', b" \n 7 \t", b"1" * 500],
)
def test_a_payload_reaches_the_runtime_untouched(raw, verbatim, body):
    assert raw("POST", f"{FUNCTIONS}/{verbatim}/invocations", body)[2] == body
    assert raw("POST", f"{FUNCTIONS}/{verbatim}/invocations")[2] == b"{}"


@pytest.fixture(scope="session")
def verbatim(server):
    """A runtime that answers with the bytes it was given."""
    provided(
        server,
        "fidelity-verbatim",
        "while True:\n    headers, event = following()\n"
        "    call('POST', f'invocation/{headers[ID]}/response', event)\n",
    )
    return "fidelity-verbatim"


def test_invoke_headers(raw, echo):
    path = f"{FUNCTIONS}/{echo}/invocations"
    assert raw("POST", path, b"{bad", {"X-Amz-Invocation-Type": "DryRun"}) == (204, {}, b"")
    status, headers, body = raw("POST", path, b"1", {"X-Amz-Log-Type": "None"})
    assert re.fullmatch(TRACE, headers.pop("x-amzn-trace-id"))
    assert (status, body) == (200, b"1")
    assert headers == {
        "content-type": "application/json", "x-amz-executed-version": "$LATEST", "x-amzn-remapped-content-length": "0",
    }
    sent = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    traced = raw("POST", path, b"1", {"X-Amzn-Trace-Id": sent})[1]["x-amzn-trace-id"]
    assert re.fullmatch(re.escape(sent) + ";Lineage=1:[0-9a-f]{8}:0", traced)


INVOKES = [
    (
        {"X-Amz-Invocation-Type": "Nope"},
        violated(value("'Nope'", "invocationType", "satisfy enum value set: [Event, RequestResponse, DryRun]")),
    ),
    ({"X-Amz-Log-Type": "All"}, violated(value("'All'", "logType", "satisfy enum value set: [None, Tail]"))),
    (
        {"X-Amz-Tenant-Id": "blue"},
        invalid(
            "The invoked function is not enabled with tenancy configuration. Remove the tenant ID from "
            "your request and try again."
        ),
    ),
]


@pytest.mark.parametrize(
    "headers, expected", INVOKES, ids=lambda part: str(part)[:40] if isinstance(part, dict) else ""
)
def test_what_invoke_refuses(raw, echo, headers, expected):
    assert raw.error("POST", f"{FUNCTIONS}/{echo}/invocations", b"1", headers) == expected


def test_a_request_that_is_too_large(raw, echo):
    expected = {"Message": "Request must be smaller than 6291456 bytes for the InvokeFunction operation"}
    path = f"{FUNCTIONS}/{echo}/invocations"
    assert raw.error("POST", path, b'"' + b"x" * 6291455 + b'"') == (413, "RequestEntityTooLargeException", expected)


@pytest.mark.parametrize("text", ["!!!", "bm90IGpzb24=", "WzFd", "A" * 3584])
def test_a_client_context_must_be_base64_of_an_object(raw, echo, text):
    headers = {"X-Amz-Client-Context": text}
    status, code, answer = raw.error("POST", f"{FUNCTIONS}/{echo}/invocations", b"1", headers)
    assert (status, code, answer["Type"]) == (400, "InvalidRequestContentException", "User")


PYTHON_FAULTS = [
    ("raise ValueError('no tea')", dump("ValueError", "no tea", ("handler", 3, "raise ValueError('no tea')"))),
    (
        "raise ValueError('two\\nlines')",
        dump("ValueError", "two\nlines", ("handler", 3, "raise ValueError('two\\nlines')")),
    ),
    (
        "return {'a': {1, 2}}",
        dump("Runtime.MarshalError", "Unable to marshal response: Object of type set is not JSON serializable"),
    ),
    ("sys.exit(0)", exit_error("Runtime exited without providing a reason")),
    ("os._exit(0)", exit_error("Runtime exited without providing a reason")),
    ("os._exit(3)", exit_error("Runtime exited with error: exit status 3")),
    ("sys.exit('words')", exit_error("Runtime exited with error: exit status 1")),
    ("os.kill(os.getpid(), 9)", exit_error("Runtime exited with error: signal: killed")),
    ("os.kill(os.getpid(), 11)", exit_error("Runtime exited with error: signal: segmentation fault")),
]


@pytest.mark.parametrize("body, expected", PYTHON_FAULTS, ids=lambda part: part if isinstance(part, str) else "")
def test_how_a_python_handler_fails(raw, lam, name, body, expected):
    create(lam, name, f"import os, sys\ndef handler(event, context):\n    {body}\n")
    payload, line, status = expected
    answer, log, failed = raw.invoke(name)
    assert (answer, failed) == (payload, True)
    told = "words\n" if "words" in body else ""
    end = COLD.rstrip("\t") + "\t" + status
    assert log == START + told + line + END + end


def test_deep_recursion_in_python(raw, lam, name):
    create(
        lam,
        name,
        "def dig(n):\n    return dig(n + 1)\ndef handler(event, context):\n    return dig(0) if event == "
        "{} else event\n",
    )
    answer = json.loads(raw.invoke(name)[0])
    assert (answer["errorType"], len(answer["stackTrace"])) == ("RecursionError", 5)
    assert answer["stackTrace"][-1].startswith("  [Previous line repeated ")
    deep = json.loads(raw.invoke(name, b"[" * 5000 + b"]" * 5000)[0])
    assert (deep["errorType"], deep["stackTrace"]) == ("Runtime.UnmarshalError", [])
    assert deep["errorMessage"].startswith("Unable to unmarshal input: maximum recursion depth exceeded")
    assert raw.invoke(name, b"[[1]]")[0] == "[[1]]"


PYTHON_LOADS = [
    (
        "import nothing_x\n",
        "index.handler",
        "Runtime.ImportModuleError",
        "Unable to import module 'index': No module named 'nothing_x'",
    ),
    ("x = 1\n", "index.handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'index'"),
    (
        "x = 1\n",
        "index",
        "Runtime.MalformedHandlerName",
        "Bad handler 'index': not enough values to unpack (expected 2, got 1)",
    ),
    ("x = 1\n", "sys.handler", "Runtime.BuiltInModuleConflict", "Cannot use built-in module sys as a handler module"),
]


@pytest.mark.parametrize("code, handler, kind, text", PYTHON_LOADS)
def test_a_failing_init_is_tried_again_in_the_invoke_and_logged_twice(
    raw,
    lam,
    logs,
    name,
    code,
    handler,
    kind,
    text,
):
    create(lam, name, code, handler=handler)
    payload = json.dumps({"errorMessage": text, "errorType": kind, "requestId": "", "stackTrace": []})
    answer, _, failed = raw.invoke(name)
    assert (answer, failed) == (payload, True)
    lines = whole_log(logs, name)
    warned = [
        line for line in lines if "LAMBDA_WARNING: Unhandled exception. The most likely cause is an issue in the function code. " in line
    ]
    assert len(warned) == 2 and warned[0].startswith("[WARNING]\t<time>\t\tLAMBDA_WARNING: ")
    start = INIT_START.format("python:" + PYTHON.removeprefix("python"))
    error = f"[ERROR] {kind}: {text}\nTraceback (most recent call last):"
    assert [line for line in lines if line not in warned] == [
        start, error, init_report("init", kind), start, error, init_report("invoke", kind),
        START, END, f"{REPORT}Status: error\tError Type: {kind}\n",
    ]


def test_a_process_that_ends_in_init(raw, lam, logs, name):
    create(lam, name, "import sys\nsys.exit(3)\n")
    payload, line, status = exit_error("Runtime exited with error: exit status 3")
    assert raw.invoke(name) == (payload, START + line + END + REPORT + status, True)
    start = INIT_START.format("python:" + PYTHON.removeprefix("python"))
    assert whole_log(logs, name) == [
        start, init_report("init", "Runtime.ExitError"), start, init_report("invoke", "Runtime.ExitError"),
        START, line, END, REPORT + status,
    ]
    shown = json.loads(raw("GET", f"{FUNCTIONS}/{name}/configuration")[2])
    assert (shown["State"], shown["LastUpdateStatus"]) == ("Active", "Successful")
    told = re.search(r"arn:aws:lambda:us-east-1::runtime:[0-9a-f]{64}", messages(logs, name)[0])[0]
    assert shown["RuntimeVersionConfig"] == {"RuntimeVersionArn": told}


def test_a_timeout_says_so_in_payload_and_report(raw, lam, logs, name):
    create(lam, name, "import time\ndef handler(event, context):\n    print('x')\n    time.sleep(9)\n", Timeout=1)
    payload = '{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: <uuid> Error: Task timed out after 1.00 seconds"}'
    assert raw.invoke(name) == (payload, f"{START}x\n{END}{COLD}Status: timeout\n", True)


def test_an_oversize_response(raw, lam, name):
    create(lam, name, "def handler(event, context):\n    return 'x' * 6291555\n", Timeout=20)
    payload = (
        '{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).",'
        '"errorType":"Function.ResponseSizeTooLarge"}'
    )
    assert raw.invoke(name)[0] == payload
    assert raw.invoke(name)[0] == payload


def node_error(kind, text, key):
    return rf'\{{"errorType":"{kind}","errorMessage":"{text}"(,"(code|name)":"\w+")*,"{key}":\["{kind}: {text}"(,"[^"]+")*\]\}}'


def thrown(kind, text):
    """What an error value becomes: the answer, and the line in the log."""
    return node_error(kind, text, "trace"), "Invoke Error", node_error(kind, text, "stack"), None


def odd(kind, text):
    answer = re.escape(f'{{"errorType":"{kind}","errorMessage":"{text}","trace":[]}}')
    return answer, "Invoke Error", node_error("Error", re.escape(text), "stack"), None


REJECTED = node_error("Runtime.UnhandledPromiseRejection", "Error: no tea", "trace")
NODE_FAULTS = [
    ("async () => { throw new TypeError('no tea') }", thrown("TypeError", "no tea")),
    ("() => { throw new Error('no tea') }", thrown("Error", "no tea")),
    ("(e, c, done) => done(new RangeError('no tea'))", thrown("RangeError", "no tea")),
    ("(e, c, done) => done('no tea')", odd("string", "no tea")),
    ("async () => { throw 'no tea' }", odd("string", "no tea")),
    ("async () => { throw 7 }", odd("number", "7")),
    ("async () => { throw { a: 1 } }", odd("object", "[object Object]")),
    (
        "async () => { class Own extends Error { constructor(m) { super(m); this.name = 'Own'; this.code = "
        "'E1' } }; throw new Own('no tea') }",
        thrown("Own", "no tea"),
    ),
    (
        "() => { setTimeout(() => { throw new Error('no tea') }, 5) }",
        (node_error("Error", "no tea", "trace"), "Uncaught Exception", node_error("Error", "no tea", "stack"), 129),
    ),
    (
        "() => { Promise.reject(new Error('no tea')) }",
        (
            REJECTED,
            "Unhandled Promise Rejection",
            r'\{"errorType":"Runtime.UnhandledPromiseRejection","errorMessage":"Error: no tea","reason":'
            + node_error("Error", "no tea", "stack")
            + r',"promise":\{\},"stack":\["Runtime.UnhandledPromiseRejection: Error: no tea"(,"[^"]+")*\]\}',
            128,
        ),
    ),
]


@pytest.mark.parametrize(
    "handler, expected", NODE_FAULTS, ids=lambda part: part[:60] if isinstance(part, str) else ""
)
def test_how_a_node_handler_fails(raw, lam, name, handler, expected):
    create(lam, name, f"exports.handler = {handler}", runtime=NODE)
    payload, title, shown, status = expected
    answer, log, failed = raw.invoke(name)
    assert failed and re.fullmatch(payload, answer), answer
    ended, fault = "\n", ""
    if status is not None:
        _, fault, ended = exit_error(f"Runtime exited with error: exit status {status}")
    line = rf"<time>\t<uuid>\tERROR\t{title} \t{shown}\n"
    assert re.fullmatch(re.escape(START) + line + re.escape(fault + END + COLD + ended), log), log


NODE_LOADS = [
    (
        {"other.js": ""},
        "index.handler",
        "Runtime.ImportModuleError",
        r"Error: Cannot find module 'index'\\nRequire stack:.*?",
    ),
    (
        {"index.js": "exports.x = 1"},
        "index.handler",
        "Runtime.HandlerNotFound",
        "index.handler is undefined or not exported",
    ),
    ({"index.js": "exports.x = 1"}, "index", "Runtime.MalformedHandlerName", "Bad handler"),
    ({"index.js": "(((;"}, "index.handler", "Runtime.UserCodeSyntaxError", "SyntaxError: Unexpected token ';'"),
    ({"index.js": "throw new TypeError('no tea')"}, "index.handler", "TypeError", "no tea"),
]


@pytest.mark.parametrize("files, handler, kind, text", NODE_LOADS)
def test_how_node_code_fails_to_load(raw, lam, name, files, handler, kind, text):
    create(lam, name, files, handler=handler, runtime=NODE)
    answer, log, failed = raw.invoke(name)
    assert failed and re.fullmatch(
        rf'\{{"errorType":"{kind}","errorMessage":"{text}","trace":\[.+\]\}}',
        answer,
    ), answer
    shown = kind if kind.startswith("Runtime.") else "Runtime.Unknown"
    assert log.endswith(f"{START}{END}{REPORT}Status: error\tError Type: {shown}\n"), log
    assert len(
        re.findall(rf'(?m)^<time>\tundefined\tERROR\tUncaught Exception \t\{{"errorType":"{kind}"', log)
    ) == 2, log


# Method, path below /2018-06-01/runtime/, headers, body.
REFUSALS = [
    ("POST", "invocation/00000000-0000-0000-0000-000000000000/response", {}, "1", 400, "InvalidRequestID"),
    ("POST", "invocation/00000000-0000-0000-0000-000000000000/error", {}, "{}", 400, "InvalidRequestID"),
    ("POST", "init/error", {}, "{}", 403, "InvalidStateTransition"),
]


def test_the_runtime_api_before_and_after_an_answer(raw, server, name):
    rows = [list(row[:4]) for row in REFUSALS]
    provided(
        server, name,
        f"rows = {rows!r}\n"
        "early = [call('POST', 'invocation/00000000-0000-0000-0000-000000000000/response', '1'), "
        "call('GET', 'ping', root='/2018-06-01/')]\n"
        "last = []\n"
        "while True:\n"
        "    headers, event = following()\n"
        "    seen = [call(method, path, body, sent) for method, path, sent, body in rows]\n"
        "    told = [[status, headers['Content-Type'], body.decode()] for status, headers, body in early + "
        "seen + last]\n"
        "    told = [told, sorted(dict(headers).items())]\n"
        "    path = f'invocation/{headers[ID]}/response'\n"
        "    first = call('POST', path, json.dumps(told))\n"
        "    last = [first, call('POST', path, '2'), call('POST', f'invocation/{headers[ID]}/error', '{}')]\n",
    )
    raw.invoke(name)
    answers, headers = json.loads(
        raw.invoke(name, b'{"tea": 1}', {"X-Amz-Client-Context": base64.b64encode(b'{"custom":{"a":1}}').decode()})[0]
    )
    told = [(status, kind, json.loads(text) if text.startswith("{") else text) for status, kind, text in answers]
    unknown = (400, "application/json", {"errorMessage": "Invalid request ID", "errorType": "InvalidRequestID"})
    early, ping, *refused = told[:5]
    assert early[0] == 403 and early[2]["errorType"] == "InvalidStateTransition"
    assert ping[0] == 200 and ping[2] == "pong"
    assert refused[:2] == [unknown, unknown]
    assert refused[2] == (403, "application/json", {
        "errorMessage": "State transition from Running to InitError failed for runtime. Error: State transition is not allowed",
        "errorType": "InvalidStateTransition",
    })
    first, again, error = told[5:]
    assert first == (202, "application/json", {"status": "OK"})
    assert again[0] in (400, 403) and error[0] in (400, 403)
    found = dict(headers)
    assert re.fullmatch(r"\d{13}", found.pop("Lambda-Runtime-Deadline-Ms"))
    assert re.fullmatch(TRACE, found.pop("Lambda-Runtime-Trace-Id"))
    found.pop("Date")
    assert found == {
        "Content-Type": "application/json", "Content-Length": "10", "Lambda-Runtime-Aws-Request-Id": "<uuid>",
        "Lambda-Runtime-Invoked-Function-Arn": f"ARNF:{name}", "Lambda-Runtime-Client-Context": '{"custom":{"a":1}}',
    }


def test_what_a_runtime_posts_to_error_is_the_answer(raw, server, name):
    provided(
        server, name,
        "while True:\n    headers, event = following()\n"
        "    call('POST', f'invocation/{headers[ID]}/error', b'any  bytes \\xff', "
        "{'Lambda-Runtime-Function-Error-Type': 'Odd'})\n",
    )
    status, headers, body = raw("POST", f"{FUNCTIONS}/{name}/invocations", b"1")
    assert (status, headers["x-amz-function-error"], body) == (200, "Unhandled", b"any  bytes \xff")


def test_an_odd_response_mode(raw, server, name):
    provided(
        server, name,
        "while True:\n    headers, event = following()\n"
        "    seen = call('POST', f'invocation/{headers[ID]}/response', '1', "
        "{'Lambda-Runtime-Function-Response-Mode': 'odd'})\n"
        "    print(seen[0], seen[2].decode(), flush=True)\n",
    )
    payload, log, failed = raw.invoke(name)
    assert failed and "Status: error\tError Type: Runtime.InvalidResponseModeHeader\n" in log, (payload, log)


def test_a_custom_runtime_without_bootstrap(raw, lam, logs, name):
    create(lam, name, {"x": "1"}, runtime="provided.al2023")
    text = "RequestId: <uuid> Error: Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"
    line, kind = f"{text}\nRuntime.InvalidEntrypoint\n", "Runtime.InvalidEntrypoint"
    payload = f'{{"errorType":"{kind}","errorMessage":"{text}"}}'
    assert raw.invoke(name) == (payload, f"{START}{line}{END}{REPORT}Status: error\tError Type: {kind}\n", True)


def test_a_wrapper_that_is_not_there(raw, lam, name):
    create(lam, name, ECHO, Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/nope"}})
    payload, line, status = exit_error("Runtime exited with error: exit status 127")
    assert raw.invoke(name)[0] == payload


KINDS = [
    ("Function.OwnTrouble", "Function.OwnTrouble"),
    ("Runtime.OwnTrouble", "Runtime.OwnTrouble"),
    ("Function.own trouble", "Function.Unknown"),
    ("ValueError", "Runtime.Unknown"),
]


@pytest.mark.parametrize("sent, shown", KINDS)
def test_an_init_error_is_the_answer_and_its_kind_is_cleaned(raw, server, name, sent, shown):
    provided(
        server,
        name,
        f"call('POST', 'init/error', '{{\"own\":  1}}', {{'Lambda-Runtime-Function-Error-Type': '{sent}'}})\nraise SystemExit(1)\n",
    )
    log = f"{START}{END}{REPORT}Status: error\tError Type: {shown}\n"
    assert raw.invoke(name) == ('{"own":  1}', log, True)


def test_a_runtime_is_told_that_its_response_is_too_large(raw, server, name):
    provided(
        server, name,
        "while True:\n    headers, event = following()\n    path = f'invocation/{headers[ID]}/response'\n"
        "    told = call('POST', path, b'x' * 6291557 if event == b'1' else json.dumps(told[::2] and "
        "[told[0], told[2].decode()]))\n",
    )
    assert raw.invoke(name, b"1")[2]
    status, told = json.loads(raw.invoke(name, b"2")[0])
    assert (status, json.loads(told)) == (413, {
        "errorMessage": "Exceeded maximum allowed payload size (6291556 bytes).", "errorType": "RequestEntityTooLarge",
    })


def test_a_cold_tail_begins_with_what_init_wrote(raw, lam, name):
    create(lam, name, "print('early')\ndef handler(event, context):\n    print('late')\n")
    assert raw.invoke(name)[1] == f"early\n{START}late\n{END}{COLD}\n"
    assert raw.invoke(name)[1] == f"{START}late\n{END}{REPORT}\n"
INSIDE = """
import os, resource, stat
def handler(event, context):
    limits = {name: resource.getrlimit(getattr(resource, "RLIMIT_" + name)) for name in event}
    files = {path: stat.filemode(os.stat(path).st_mode) for path in ("/var/task", "/opt", "/tmp", "/dev/shm", "/lambda-entrypoint.sh")}
    files["."] = os.getcwd()
    return [dict(os.environ), limits, files, [os.getuid(), os.getgid()]]
"""


def test_what_a_function_sees_of_its_environment(raw, lam, name):
    create(lam, name, INSIDE, Environment={"Variables": {"LANG": "C", "OWN": "1"}})
    names = ["NOFILE", "NPROC", "STACK", "MEMLOCK", "AS", "CPU", "DATA", "FSIZE", "RSS"]
    variables, limits, files, ids = json.loads(raw.invoke(name, json.dumps(names).encode())[0])
    assert limits == {
        "NOFILE": [1024, 1024], "NPROC": [742, 742], "STACK": [8 << 20, -1], "MEMLOCK": [64 << 10, 64 << 10],
        **{name: [-1, -1] for name in ("AS", "CPU", "DATA", "FSIZE", "RSS")},
    }
    assert files == {
        "/var/task": "drwxr-xr-x", "/opt": "drwxr-xr-x", "/tmp": "drwxrwxrwt", "/dev/shm": "drwxrwxrwt",
        "/lambda-entrypoint.sh": "-rwxr-xr-x", ".": "/var/task",
    }
    assert ids == [993, 990]
    for secret in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        assert variables.pop(secret)
    assert re.fullmatch(TRACE, variables.pop("_X_AMZN_TRACE_ID"))
    assert variables == {
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": "http://169.254.100.1:4566",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{PYTHON}", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_FUNCTION_NAME": name, "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "<day>/[$LATEST]<environment>", "AWS_LAMBDA_RUNTIME_API": "169.254.100.1:9001",
        "AWS_REGION": "us-east-1", "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1:2000", "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "LAMBDA_TASK_ROOT": "/var/task", "LANG": "C", "LC_CTYPE": "C.UTF-8",
        "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
        "OWN": "1", "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin", "PWD": "/var/task",
        "PYTHONPATH": "/var/runtime", "SHLVL": "0", "TZ": ":UTC", "_AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1",
        "_AWS_XRAY_DAEMON_PORT": "2000", "_HANDLER": "index.handler",
    }


def test_what_other_runtimes_see(raw, server, lam, name):
    create(lam, name + "n", "exports.handler = async () => process.env", runtime=NODE)
    node = json.loads(raw.invoke(name + "n")[0])
    major = NODE.removeprefix("nodejs").removesuffix(".x")
    assert node["NODE_PATH"] == (
        f"/opt/nodejs/node{major}/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task"
    )
    assert node["AWS_EXECUTION_ENV"] == f"AWS_Lambda_{NODE}" and "PYTHONPATH" not in node
    provided(
        server, name + "p",
        "while True:\n    headers, event = following()\n"
        "    call('POST', f'invocation/{headers[ID]}/response', json.dumps(dict(os.environ)))\n",
    )
    own = json.loads(raw.invoke(name + "p")[0])
    assert not {"AWS_EXECUTION_ENV", "SHLVL", "PWD", "PYTHONPATH", "NODE_PATH"} & own.keys()
    create(
        lam,
        name + "j",
        INSIDE,
        LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "WARN", "LogGroup": "/shared"},
    )
    logged = json.loads(raw.invoke(name + "j", b"[]")[0])[0]
    assert (logged["AWS_LAMBDA_LOG_FORMAT"], logged["AWS_LAMBDA_LOG_LEVEL"]) == ("JSON", "WARN")
    assert logged["AWS_LAMBDA_LOG_GROUP_NAME"] == "/shared"
    assert logged["AWS_LAMBDA_LOG_STREAM_NAME"] == f"<day>/{name}j[$LATEST][<environment>]"
