"""The Python client against a Runtime API: what it answers, reports and logs."""

import json
import re

import pytest

from harness import ARN, REQUEST, RUNTIMES, Event, pythons, run

NBSP = "\u00a0"
FIRST = REQUEST % 1


STARTS = [(*found, waiting) for found in pythons() for waiting in (False, True)]


@pytest.fixture(params=STARTS, ids=lambda start: start[0] + ("-waiting" if start[2] else ""))
def python(request, tmp_path):
    name, path, waiting = request.param
    argv = [path, "-S", str(RUNTIMES / "python" / "bootstrap.py")]

    def start(code, events=(Event(),), handler="app.handler", runtime=name, files=None, **options):
        return run(argv, tmp_path, files or {"app.py": code}, handler, list(events), runtime=runtime, waiting=waiting, **options)

    start.minor = int(name.split(".")[1])
    start.folder = tmp_path
    return start


ANSWERS = [
    # (expression returned, runtime id, body, content type)
    ("event", "python3.11", b'{"a": [1, 2.5, null, true, "\\u00e9"]}', "application/json"),
    ("event", "python3.12", '{"a": [1, 2.5, null, true, "é"]}'.encode(), "application/json"),
    ("{'b': 'é', 'n': 1}", "python3.11", b'{"b": "\\u00e9", "n": 1}', "application/json"),
    ("{'b': 'é', 'n': 1}", "python3.13", '{"b": "é", "n": 1}'.encode(), "application/json"),
    ("None", "python3.11", b"null", "application/json"),
    ("'text'", "python3.11", b'"text"', "application/json"),
    ("[]", "python3.11", b"[]", "application/json"),
    ("(1, {'x': ()})", "python3.11", b'[1, {"x": []}]', "application/json"),
    ("b'\\x00\\xff'", "python3.11", b"\x00\xff", "application/unknown"),
    ("{'x': b'text'}", "python3.11", b'{"x": "text"}', "application/json"),
    ("{b'k': [b'v']}", "python3.11", b'{"k": ["v"]}', "application/json"),
    ("[D('1.10'), D('1E+2'), D('NaN'), {'k': D('7')}]", "python3.11", b'[1.10, 1E+2, NaN, {"k": 7}]', "application/json"),
    ("P(1, [P(2, 3)])", "python3.11", b'{"x": 1, "y": [{"x": 2, "y": 3}]}', "application/json"),
    ("{1: 2, None: 3, 2.5: 4}", "python3.11", b'{"1": 2, "null": 3, "2.5": 4}', "application/json"),
    ("float('nan')", "python3.11", b"NaN", "application/json"),
    ("'x' * 700000", "python3.11", b'"' + b"x" * 700000 + b'"', "application/json"),
]


@pytest.mark.parametrize("expression, runtime, body, kind", ANSWERS, ids=[row[0][:30] + row[1] for row in ANSWERS])
def test_answers_are_written_as_the_stock_marshaller_writes_them(python, expression, runtime, body, kind):
    code = "from decimal import Decimal as D\nfrom collections import namedtuple\nP = namedtuple('P', 'x y')\n"
    code += "def handler(event, context):\n    return " + expression
    out = python(code, [Event({"a": [1, 2.5, None, True, "é"]})] * 2, runtime=runtime)
    assert [call.path for call in out.calls] == ["/2018-06-01/runtime/invocation/%s/response" % (REQUEST % n) for n in (1, 2)]
    assert [(call.body, call.headers["Content-Type"]) for call in out.calls] == [(body, kind)] * 2
    assert out.output == b"" and out.status is None


REFUSED = [
    ("object()", "Object of type object is not JSON serializable"),
    ("{1, 2}", "Object of type set is not JSON serializable"),
    ("{(1, 2): 3}", "keys must be str, int, float, bool or None, not tuple"),
    ("{'x': b'\\xff'}", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
    ("__import__('asyncio').sleep(0)", "Object of type coroutine is not JSON serializable"),
    ("loop", "Circular reference detected"),
]


@pytest.mark.parametrize("expression, text", REFUSED, ids=[row[0] for row in REFUSED])
def test_answers_that_are_not_json_are_marshal_errors(python, expression, text):
    out = python("loop = []\nloop.append(loop)\ndef handler(event, context):\n    return " + expression)
    expected = {"errorMessage": "Unable to marshal response: " + text, "errorType": "Runtime.MarshalError"}
    assert out.only.kind == "error"
    assert {key: out.only.json[key] for key in expected} == expected
    assert out.only.json["stackTrace"] == []
    assert out.only.headers["Lambda-Runtime-Function-Error-Type"] == "Runtime.MarshalError"


def test_a_failed_handler_is_reported_and_logged_as_one_event(python):
    out = python("def inner():\n    raise ValueError('no\\nway')\n\ndef handler(event, context):\n    inner()\n", [Event()] * 2)
    assert [call.kind for call in out.calls] == ["error", "error"]
    body = out.calls[0].json
    keys = ["errorMessage", "errorType", "requestId", "stackTrace"]
    assert list(body) == [key for key in keys if python.minor > 8 or key != "requestId"]
    assert body["errorMessage"] == "no\nway" and body["errorType"] == "ValueError"
    assert body.get("requestId", FIRST) == FIRST
    where = '  File "%s/app.py", line %d, in %s\n    %s\n'
    assert body["stackTrace"] == [
        where % (python.folder, 5, "handler", "inner()"),
        where % (python.folder, 2, "inner", "raise ValueError('no\\nway')"),
    ]
    cause = json.loads(out.calls[0].headers["Lambda-Runtime-Function-XRay-Error-Cause"])
    assert cause["exceptions"][0]["type"] == "ValueError" and cause["paths"] == ["%s/app.py" % python.folder]
    kind, text = out.frames[0]
    assert kind == 0xA55A0017
    lines = text.split("\n")
    assert lines[:3] == ["[ERROR] ValueError: no", "way", "Traceback (most recent call last):"]
    assert lines[3] == NBSP * 2 + 'File "%s/app.py", line 5, in handler' % python.folder
    assert lines[4] == NBSP * 4 + "inner()"


INIT = [
    # (files, handler, type, message)
    ({}, "nope.handler", "Runtime.ImportModuleError", "Unable to import module 'nope': No module named 'nope'"),
    ({"app.py": "import gone"}, "app.handler", "Runtime.ImportModuleError", "Unable to import module 'app': No module named 'gone'"),
    ({"app.py": "x = 1"}, "app.handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
    ({}, "handler", "Runtime.MalformedHandlerName", "Bad handler 'handler': not enough values to unpack (expected 2, got 1)"),
    ({}, "sys.exit", "Runtime.BuiltInModuleConflict", "Cannot use built-in module sys as a handler module"),
    ({"app.py": "def handler(:\n"}, "app.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app': invalid syntax (app.py, line 1)"),
    ({"app.py": "raise KeyError('k')"}, "app.handler", "KeyError", "'k'"),
]


@pytest.mark.parametrize("files, handler, kind, message", INIT, ids=[row[2] for row in INIT[:-1]] + ["own error"])
def test_init_errors(python, files, handler, kind, message):
    out = python(None, [], handler, files=files or {"other.py": ""})
    assert out.status == 1
    assert out.only.kind == "init/error"
    assert out.only.headers["Lambda-Runtime-Function-Error-Type"] == kind
    body = out.only.json
    assert (body["errorType"], body.get("requestId", "")) == (kind, "")
    assert body["errorMessage"] == message or kind == "Runtime.UserCodeSyntaxError"
    assert (python.minor > 8) == ("requestId" in body)
    warning, dump = out.frames
    assert re.match(r"\[WARNING\]\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\t\tLAMBDA_WARNING: Unhandled exception. ", warning[1])
    assert dump[1].startswith("[ERROR] %s: " % kind) and "\nTraceback (most recent call last):" in dump[1]
    if kind == "KeyError":
        assert "in import_module\n" in body["stackTrace"][0]
        assert body["stackTrace"][-1] == '  File "%s/app.py", line 1, in <module>\n    raise KeyError(\'k\')\n' % python.folder


FORMS = [
    ("dir/app.handler", {"dir/app.py": "def handler(e, c): return 1"}),
    ("dir.app.handler", {"dir/__init__.py": "", "dir/app.py": "def handler(e, c): return 1"}),
    ("dir.handler", {"dir/__init__.py": "handler = lambda e, c: 1"}),
    ("app.handler", {"app.py": "class H:\n    def __call__(self, e, c): return 1\nhandler = H()"}),
]


@pytest.mark.parametrize("handler, files", FORMS, ids=[row[0] for row in FORMS])
def test_handler_forms(python, handler, files):
    assert python(None, [Event()], handler, files=files).only.body == b"1"


EXITS = [
    ("sys.exit(3)", 3),
    ("sys.exit()", 0),
    ("exit(4)", 4),
    ("quit()", 0),
    ("os._exit(5)", 5),
    ("os.kill(os.getpid(), 9)", -9),
]


@pytest.mark.parametrize("statement, status", EXITS, ids=[row[0] for row in EXITS])
@pytest.mark.parametrize("place", ["init", "handler"])
def test_a_process_that_exits_reports_nothing(python, statement, status, place):
    body = "import os, sys\n" + (statement + "\n" if place == "init" else "")
    out = python(body + "def handler(event, context):\n    print('bye')\n    " + statement + "\n")
    assert (out.calls, out.status) == ([], status)


def test_logging_in_text(python):
    code = """
import logging
log = logging.getLogger()
log.setLevel(logging.INFO)
log.info('cold')
def handler(event, context):
    print('printed')
    print('held', end='')
    log.info('line one\\nline %d', 2)
    log.debug('hidden')
    logging.getLogger('x').warning('w')
    print(' back')
    context.log('raw')
"""
    out = python(code)
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    shapes = [
        (0xA55A0003, r"\[INFO\]\t%s\t\tcold\n" % stamp),
        (None, "printed"),
        (0xA55A0003, r"\[INFO\]\t%s\t%s\tline one\nline 2\n" % (stamp, FIRST)),
        (0xA55A0003, r"\[WARNING\]\t%s\t%s\tw\n" % (stamp, FIRST)),
        (None, "held back"),
        (0xA55A0003, "raw"),
    ]
    assert len(out.records) == len(shapes), out.records
    for (kind, text), (wanted_kind, wanted_text) in zip(out.records, shapes):
        assert kind == wanted_kind and re.fullmatch(wanted_text, text), text


LEVELS = [("DEBUG", 0x08), ("INFO", 0x0C), ("WARNING", 0x10), ("ERROR", 0x14), ("CRITICAL", 0x18)]


@pytest.mark.parametrize("least", ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", None])
def test_levels_in_json(python, least):
    code = "import logging\ndef handler(e, c):\n"
    code += "".join("    logging.getLogger('a.b').%s('m')\n" % name.lower() for name, _ in LEVELS)
    env = {"AWS_LAMBDA_LOG_FORMAT": "JSON"}
    if least:
        env["AWS_LAMBDA_LOG_LEVEL"] = least
    out = python(code, env=env)
    first = {"TRACE": 0, "DEBUG": 0, "INFO": 1, "WARN": 2, None: 2, "ERROR": 3, "FATAL": 4}[least]
    assert [kind for kind, _ in out.frames] == [0xA55A0002 | mask for _, mask in LEVELS[first:]]
    for (_, text), (name, _) in zip(out.frames, LEVELS[first:]):
        record = json.loads(text)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record.pop("timestamp"))
        assert record == {"level": name, "message": "m", "logger": "a.b", "requestId": FIRST}


def test_errors_and_extras_in_json(python):
    code = """
import logging
def handler(event, context):
    try:
        1 / 0
    except ZeroDivisionError:
        logging.exception('caught %s', 'it', extra={'order': 7, 'odd': object})
    logging.error({'a': 'é'})
    raise RuntimeError('out')
"""
    out = python(code, [Event(headers={"Lambda-Runtime-Aws-Tenant-Id": "blue"})], env={"AWS_LAMBDA_LOG_FORMAT": "JSON"})
    caught, plain, dump = [json.loads(text) for _, text in out.frames]
    assert [kind for kind, _ in out.frames] == [0xA55A0016] * 3
    assert caught["message"] == "caught it" and caught["errorType"] == "ZeroDivisionError"
    assert caught["errorMessage"] == "division by zero" and "1 / 0" in caught["stackTrace"][0]
    assert caught["location"] == "%s/app.py:handler:7" % python.folder
    assert caught["order"] == 7 and caught["odd"] == "<class 'object'>" and caught["tenantId"] == "blue"
    assert plain["message"] == {"a": "é"} and "é" in out.frames[1][1]
    assert list(dump)[:4] == ["timestamp", "log_level", "errorMessage", "errorType"]
    assert (dump["log_level"], dump["errorMessage"], dump["errorType"]) == ("ERROR", "out", "RuntimeError")


def test_without_a_descriptor_for_frames_everything_is_lines(python):
    code = "import logging\ndef handler(e, c):\n    logging.warning('w')\n    raise ValueError('v')\n"
    out = python(code, framed=False)
    assert out.frames == [] and len(out.lines) == 2
    assert out.lines[0].endswith("\t%s\tw" % FIRST)
    assert out.lines[1].startswith("[ERROR] ValueError: v\rTraceback (most recent call last):\r" + NBSP * 2 + "File ")


def test_the_context(python):
    code = """
import os
def handler(event, context):
    fields = {name: getattr(context, name) for name in (
        'aws_request_id', 'log_group_name', 'log_stream_name', 'function_name', 'memory_limit_in_mb',
        'function_version', 'invoked_function_arn', 'tenant_id')}
    left = context.get_remaining_time_in_millis()
    client = context.client_context
    return {
        'fields': fields, 'left': 0 < left <= event['left'], 'int': isinstance(left, int),
        'trace': os.environ.get('_X_AMZN_TRACE_ID'), 'frames': os.environ.get('_LAMBDA_TELEMETRY_LOG_FD'),
        'client': client and [client.custom, client.env, client.client and client.client.app_title],
        'identity': [context.identity.cognito_identity_id, context.identity.cognito_identity_pool_id],
        'repr': repr(context)[:31], 'deadline': context._epoch_deadline_time_in_ms > 10 ** 12, 'w3c': context.w3c()}
"""
    given = {
        "Lambda-Runtime-Client-Context": json.dumps({"custom": {"k": "v"}, "env": {"e": 1}, "client": {"app_title": "t"}, "w3c": {"traceparent": "00", "x": 1}}),
        "Lambda-Runtime-Cognito-Identity": '{"cognitoIdentityId":"i","cognitoIdentityPoolId":"p"}',
        "Lambda-Runtime-Aws-Tenant-Id": "blue",
    }
    bare = {"Lambda-Runtime-Trace-Id": None}
    out = python(code, [Event({"left": 60000}, headers=given), Event({"left": 3000}, headers=bare, deadline=3)])
    first, second = [call.json for call in out.calls]
    assert first["fields"] == {
        "aws_request_id": FIRST,
        "log_group_name": "/aws/lambda/probe",
        "log_stream_name": "2026/11/21/[$LATEST]0123456789abcdef0123456789abcdef",
        "function_name": "probe",
        "memory_limit_in_mb": "128",
        "function_version": "$LATEST",
        "invoked_function_arn": ARN,
        "tenant_id": "blue",
    }
    assert first["left"] and first["int"] and first["deadline"] and second["left"]
    assert first["trace"].startswith("Root=") and first["frames"] is None
    assert first["client"] == [{"k": "v"}, {"e": 1}, "t"] and first["identity"] == ["i", "p"]
    assert first["w3c"] == {"traceparent": "00"} and first["repr"] == "LambdaContext([aws_request_id=1"
    assert (second["client"], second["identity"], second["trace"]) == (None, [None, None], None)
    assert second["fields"]["tenant_id"] is None


def test_time_that_ran_out_is_zero(python):
    out = python("def handler(e, c):\n    return c.get_remaining_time_in_millis()", [Event(deadline=-5)])
    assert out.only.body == b"0"


EVENTS = [
    (b'{"a": 1}', "application/json", b'{"a": 1}'),
    (b' [1,\n2] ', "application/json", b"[1, 2]"),
    ('"é\\u00e9"'.encode(), "application/json", b'"\\u00e9\\u00e9"'),
    (b"1e3", "application/json", b"1000.0"),
    (b"123456789012345678901234567890", "application/json", b"123456789012345678901234567890"),
    (b"raw \xff", "application/octet-stream", b"\"b'raw \\\\xff'\""),
]


@pytest.mark.parametrize("body, kind, answer", EVENTS, ids=[str(row[0]) for row in EVENTS])
def test_events(python, body, kind, answer):
    code = "def handler(e, c):\n    return repr(e) if isinstance(e, bytes) else e"
    out = python(code, [Event(body=body, headers={"Content-Type": kind})], runtime="python3.11")
    assert out.only.body == answer


def test_an_event_that_is_not_json(python):
    out = python("def handler(e, c):\n    return e", [Event(body=b"{oops"), Event()])
    assert out.calls[0].json["errorType"] == "Runtime.UnmarshalError"
    assert out.calls[0].json["errorMessage"].startswith("Unable to unmarshal input: Expecting property name enclosed in double quotes")
    assert out.calls[1].body == b"{}"


def test_state_lives_on_and_a_refused_answer_ends_nothing(python):
    code = "n = 0\ndef handler(e, c):\n    global n\n    n += 1\n    return n if n != 2 else 'x' * 300000"
    out = python(code, [Event()] * 3, refuse={"response": 413})
    assert [call.body[:1] for call in out.calls] == [b"1", b'"', b"3"]
    assert out.status is None


def test_import_paths(python):
    files = {
        "app.py": "import sys\nimport logging, string, json\ndef handler(e, c):\n    return [sys.path, logging.__file__, json.dumps(1)]",
        # A package's own file does not replace what the client needs.
        "logging.py": "raise RuntimeError('taken for the standard library')",
        "string.py": "raise RuntimeError('taken for the standard library')",
    }
    out = python(None, [Event()], files=files, env={"PYTHONPATH": "/extra:/var/runtime", "SAMOVAR_PYTHON_SDK": "/sdk"})
    path, logging_file, one = out.only.json
    version = "python3.%d" % python.minor
    start = [str(python.folder), "/opt/python/lib/%s/site-packages" % version, "/opt/python", "/extra", "/var/runtime"]
    assert path[:5] == start and path[-1] == "/sdk"
    assert not any("dist-packages" in entry or "site-packages" in entry for entry in path[2:])
    assert logging_file.endswith("/logging/__init__.py") and one == "1"


def test_sitecustomize_of_an_instrumentation_layer_runs(python):
    files = {"layer/sitecustomize.py": "import builtins\nbuiltins.seen = 1", "app.py": "def handler(e, c):\n    return seen"}
    out = python(None, [Event()], files=files, env={"PYTHONPATH": "%s/layer" % python.folder})
    assert out.only.body == b"1"


def test_threads_and_children_log_through_the_same_pipe(python):
    code = """
import logging, subprocess, threading
def handler(event, context):
    threads = [threading.Thread(target=lambda: [logging.warning('t' * 50) for _ in range(200)]) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    subprocess.run(['/bin/echo', 'child'])
"""
    out = python(code)
    assert len(out.frames) == 800 and all(text.endswith("t" * 50 + "\n") for _, text in out.frames)
    assert out.lines == ["child"]


def test_a_platform_that_hands_out_events_only_when_asked_is_asked(python):
    out = python("def handler(e, c):\n    return e['n']", [Event({"n": n}) for n in (1, 2)], together=False)
    assert [call.body for call in out.calls] == [b"1", b"2"]
