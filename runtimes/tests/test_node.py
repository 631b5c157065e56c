"""The Node.js client against a Runtime API: what it answers, reports and logs."""

import json
import re
import shutil
import subprocess

import pytest

from harness import ARN, REQUEST, RUNTIMES, Event, run

NODE = shutil.which("node")
FIRST = REQUEST % 1
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"

pytestmark = pytest.mark.skipif(NODE is None, reason="no node here")
CLASSIC, MODERN = "nodejs20.x", "nodejs24.x"
BOTH = [CLASSIC, MODERN]


@pytest.fixture(params=[False, True], ids=["", "waiting"])
def node(request, tmp_path):
    waiting = request.param
    argv = [NODE, str(RUNTIMES / "node" / "bootstrap.js")]

    def start(code, events=(Event(),), handler="app.handler", runtime=CLASSIC, files=None, **options):
        return run(argv, tmp_path, files or {"app.js": code}, handler, list(events), runtime=runtime, waiting=waiting, **options)

    start.folder = tmp_path
    return start


ANSWERS = [
    ("async (e) => e", b'{"a":[1,2.5,null,true,"\xc3\xa9"]}'),
    ("async () => {}", b"null"),
    ("async () => 'text'", b'"text"'),
    ("async () => ({ u: undefined, d: new Date(0) })", b'{"d":"1970-01-01T00:00:00.000Z"}'),
    ("async () => 'x'.repeat(700000)", b'"' + b"x" * 700000 + b'"'),
    ("async () => new Promise((r) => setTimeout(() => r(1), 5))", b"1"),
    ("() => ({ then: (resolve) => resolve(2) })", b"2"),
    ("async () => () => {}", b"null"),
]


@pytest.mark.parametrize("handler, body", ANSWERS, ids=[row[0][:40] for row in ANSWERS])
@pytest.mark.parametrize("runtime", BOTH)
def test_answers(node, handler, body, runtime):
    out = node("exports.handler = " + handler, [Event({"a": [1, 2.5, None, True, "é"]})] * 2, runtime=runtime)
    assert [call.path for call in out.calls] == ["/2018-06-01/runtime/invocation/%s/response" % (REQUEST % n) for n in (1, 2)]
    assert [(call.body, call.headers["Content-Type"]) for call in out.calls] == [(body, "application/json")] * 2
    assert (out.output, out.status) == (b"", None)


CALLBACKS = [
    # (handler, kind, body)
    ("(e, c, cb) => cb(null, 1)", "response", b"1"),
    ("(e, c, cb) => { cb(null, 1); cb(null, 2); }", "response", b"1"),
    ("(e, c, cb) => { setTimeout(() => cb(null, 'late'), 5); }", "response", b'"late"'),
    ("(e, c) => c.succeed({ s: 1 })", "response", b'{"s":1}'),
    ("(e, c) => c.done(null, 3)", "response", b"3"),
    ("() => {}", "response", b"null"),
    ("() => 'ignored'", "response", b"null"),
    ("(e, c, cb) => { c.callbackWaitsForEmptyEventLoop = false; setInterval(() => {}, 1000); cb(null, 1); }", "response", b"1"),
    ("async (e, c, cb) => { setInterval(() => {}, 1000); return 1; }", "response", b"1"),
    ("(e, c, cb) => cb(new RangeError('cb'))", "error", "RangeError"),
    ("(e, c, cb) => cb('text')", "error", "string"),
    ("(e, c) => c.fail()", "error", "string"),
    ("(e, c) => c.fail(new TypeError('f'))", "error", "TypeError"),
    ("(e, c, cb) => { throw new SyntaxError('now'); }", "error", "SyntaxError"),
    ("async () => { throw { odd: 1 }; }", "error", "object"),
    ("async () => 10n", "error", "Runtime.JSONStringifyError"),
]


@pytest.mark.parametrize("handler, kind, body", CALLBACKS, ids=[row[0][:60] for row in CALLBACKS])
def test_classic_handlers_answer_in_many_ways(node, handler, kind, body):
    out = node("exports.handler = " + handler, [Event()] * 2)
    assert [call.kind for call in out.calls] == [kind] * 2, out.output
    if kind == "response":
        assert [call.body for call in out.calls] == [body] * 2
    else:
        assert [call.json["errorType"] for call in out.calls] == [body] * 2


def test_a_callback_waits_for_the_event_loop(node):
    code = "exports.handler = (e, c, cb) => { setTimeout(() => console.log('late'), 30); cb(null, 1); console.log('same turn'); }"
    out = node(code, [Event()] * 2)
    assert [text.split("\t")[3] for _, text in out.frames] == ["same turn\n", "late\n"] * 2
    assert [call.body for call in out.calls] == [b"1", b"1"]


MODERN_CASES = [
    ("() => 'used'", "response", b'"used"'),
    ("(e, c) => c.succeed === undefined && c.callbackWaitsForEmptyEventLoop === undefined", "response", b"true"),
    ("async () => { setTimeout(() => {}, 60000); return 1; }", "response", b"1"),
    ("(e) => { throw new RangeError('sync'); }", "error", "RangeError"),
    ("async () => 10n", "error", "Runtime.JSONStringifyError"),
    ("(e, c) => awslambda.InvokeStore.getRequestId() === c.awsRequestId", "response", b"true"),
]


@pytest.mark.parametrize("handler, kind, body", MODERN_CASES, ids=[row[0][:60] for row in MODERN_CASES])
def test_modern_handlers_answer_by_what_they_return(node, handler, kind, body):
    out = node("exports.handler = " + handler, [Event()] * 2, runtime=MODERN)
    assert [call.kind for call in out.calls] == [kind] * 2, out.output
    got = [call.body if kind == "response" else call.json["errorType"] for call in out.calls]
    assert got == [body] * 2


def test_modern_runtimes_refuse_callback_handlers(node):
    out = node("exports.handler = (e, c, cb) => cb(null, 1)", runtime=MODERN)
    assert out.only.kind == "init/error" and out.status == 1
    assert out.only.json["errorType"] == "Runtime.CallbackHandlerDeprecated"
    assert re.match(STAMP + r"\t-\tERROR\tInit Error \t\{", out.frames[0][1])


@pytest.mark.parametrize("runtime", BOTH)
def test_a_failed_handler_is_reported_and_logged(node, runtime):
    out = node("exports.handler = async () => { const e = new TypeError('no\\nway\\x7f'); e.code = 'E7'; throw e; }", runtime=runtime)
    body = out.only.json
    assert out.only.kind == "error"
    assert list(body) == ["errorType", "errorMessage", "trace"]
    assert body["errorType"] == "TypeError" and body["errorMessage"] == "no\nway%7F"
    assert body["trace"][:2] == ["TypeError: no", "way%7F"]
    assert any("%s/app.js:1:" % node.folder in line for line in body["trace"])
    assert out.only.headers["Lambda-Runtime-Function-Error-Type"] == "TypeError"
    cause = json.loads(out.only.headers["Lambda-Runtime-Function-XRay-Error-Cause"])
    assert cause["exceptions"][0]["type"] == "TypeError" and "%s/app.js" % node.folder in cause["paths"]
    kind, text = out.frames[0]
    assert kind == 0xA55A0017
    head = re.match(STAMP + r"\t%s\tERROR\tInvoke Error \t" % FIRST, text)
    dump = json.loads(text[head.end() :])
    assert list(dump)[:4] == ["errorType", "errorMessage", "code", "stack"] and dump["code"] == "E7"


def test_what_is_thrown_without_being_an_error(node):
    out = node("exports.handler = async () => { throw 'words'; }")
    assert out.only.json == {"errorType": "string", "errorMessage": "words", "trace": []}


UNCAUGHT = [
    ("() => { setTimeout(() => { throw new Error('x'); }, 1); }", 129, "Error", "x", "Uncaught Exception"),
    ("() => { Promise.reject(new Error('x')); }", 128, "Runtime.UnhandledPromiseRejection", "Error: x", "Unhandled Promise Rejection"),
    ("async () => { Promise.reject('why'); await new Promise((r) => setTimeout(r, 50)); }", 128, "Runtime.UnhandledPromiseRejection", "why", "Unhandled Promise Rejection"),
]


@pytest.mark.parametrize("handler, status, kind, message, title", UNCAUGHT, ids=[row[0][:50] for row in UNCAUGHT])
def test_classic_runtimes_report_what_nobody_caught(node, handler, status, kind, message, title):
    out = node("exports.handler = " + handler)
    assert (out.only.kind, out.only.json["errorType"], out.only.json["errorMessage"]) == ("error", kind, message)
    assert out.status == status
    assert "\tERROR\t%s \t{" % title in out.frames[0][1]


def test_modern_runtimes_die_of_what_nobody_caught(node):
    out = node("exports.handler = async () => { Promise.reject(new Error('x')); await new Promise((r) => setTimeout(r, 50)); }", runtime=MODERN)
    assert (out.calls, out.status) == ([], 1)
    assert "Error: x" in out.lines


EXITS = [
    ("async () => process.exit(3)", 3, None),
    ("() => process.exit(0)", 0, None),
    ("(e, c, cb) => { c.callbackWaitsForEmptyEventLoop = false; cb(null, 'sent'); process.exit(4); }", 4, b'"sent"'),
    ("() => process.kill(process.pid, 'SIGKILL')", -9, None),
]


@pytest.mark.parametrize("handler, status, body", EXITS, ids=[row[0][:40] for row in EXITS])
def test_processes_that_exit(node, handler, status, body):
    out = node("exports.handler = " + handler)
    assert out.status == status
    assert [call.body for call in out.calls] == ([] if body is None else [body])


INIT = [
    # (files, handler, type, message)
    ({"x.js": ""}, "nope.handler", "Runtime.ImportModuleError", "Error: Cannot find module 'nope'\nRequire stack:\n- /var/runtime/index.mjs"),
    ({"app.js": "require('gone')"}, "app.handler", "Runtime.ImportModuleError", "Error: Cannot find module 'gone'\nRequire stack:\n- %s/app.js\n- /var/runtime/index.mjs"),
    ({"app.js": "exports.x = 1"}, "app.handler", "Runtime.HandlerNotFound", "app.handler is undefined or not exported"),
    ({"app.js": "exports.handler = 1"}, "app.handler", "Runtime.HandlerNotFound", "app.handler is not a function"),
    ({"app.js": ""}, "app", "Runtime.MalformedHandlerName", "Bad handler"),
    ({"app.js": ""}, "../app.handler", "Runtime.MalformedHandlerName", "'../app.handler' is not a valid handler name. Use absolute paths when specifying root directories in handler names."),
    ({"app.js": "const x ="}, "app.handler", "Runtime.UserCodeSyntaxError", "SyntaxError: Unexpected end of input"),
    ({"app.mjs": "const x ="}, "app.handler", "Runtime.UserCodeSyntaxError", "SyntaxError: Unexpected end of input"),
    ({"app.js": "throw new RangeError('own')"}, "app.handler", "RangeError", "own"),
    ({"app.mjs": "await 1; throw new RangeError('own')"}, "app.handler", "RangeError", "own"),
]


@pytest.mark.parametrize("files, handler, kind, message", INIT, ids=["%d %s" % (n, row[2]) for n, row in enumerate(INIT)])
@pytest.mark.parametrize("runtime", BOTH)
def test_init_errors(node, files, handler, kind, message, runtime):
    out = node(None, [], handler, files=files, runtime=runtime)
    assert out.only.kind == "init/error"
    assert out.only.headers["Lambda-Runtime-Function-Error-Type"] == kind
    assert (out.only.json["errorType"], out.only.json["errorMessage"]) == (kind, message.replace("%s", str(node.folder)))
    assert out.status == (129 if runtime == CLASSIC else 1)
    title = r"\tundefined\tERROR\tUncaught Exception \t\{" if runtime == CLASSIC else r"\t-\tERROR\tInit Error \t\{"
    assert re.match(STAMP + title, out.frames[0][1])


def test_a_rejection_during_init(node):
    out = node("Promise.reject(new Error('early')); exports.handler = async () => new Promise((r) => setTimeout(r, 50))", [])
    assert out.only.kind == "init/error" and out.status == 128
    assert out.only.json["errorType"] == "Runtime.UnhandledPromiseRejection"


FORMS = [
    ("app.handler", {"app.js": "exports.handler = async () => 1"}),
    ("app.handler", {"app.cjs": "exports.handler = async () => 1"}),
    ("app.handler", {"app.mjs": "export const handler = async () => 1"}),
    ("app.handler", {"app.mjs": "const one = await Promise.resolve(1); export const handler = async () => one"}),
    ("app.handler", {"app.js": "export const handler = async () => 1", "package.json": '{"type":"module"}'}),
    ("dir/app.handler", {"dir/app.js": "export const handler = async () => 1", "dir/package.json": '{"type":"module"}'}),
    ("dir/deep/app.handler", {"dir/deep/app.js": "exports.handler = async () => 1"}),
    ("app.a.b.handler", {"app.js": "exports.a = { b: { handler: async () => 1 } }"}),
    ("app.handler", {"app.mjs": "import { one } from 'dep'; export const handler = async () => one", "node_modules/dep/package.json": '{"main":"x.js"}', "node_modules/dep/x.js": "exports.one = 1"}),
    ("dep.handler", {"node_modules/dep/index.js": "exports.handler = async () => 1"}),
    ("app.handler", {"app.js": "module.exports = { async handler() { return 1; } }", "package.json": "{}"}),
]


@pytest.mark.parametrize("handler, files", FORMS, ids=["%d %s" % (n, row[0]) for n, row in enumerate(FORMS)])
@pytest.mark.parametrize("runtime", BOTH)
def test_handler_forms(node, handler, files, runtime):
    assert node(None, [Event()], handler, files=files, runtime=runtime).only.body == b"1"


def test_default_exports_hold_handlers_in_modern_runtimes_only(node):
    files = {"app.mjs": "export default { handler: async () => 1 }"}
    assert node(None, files=files, runtime=MODERN).only.body == b"1"
    assert node(None, files=files, runtime=CLASSIC).only.json["errorType"] == "Runtime.HandlerNotFound"


@pytest.mark.parametrize("runtime, idle", [(CLASSIC, "undefined"), (MODERN, "-")])
def test_console_in_text(node, runtime, idle):
    code = """
console.log('cold');
exports.handler = async () => {
  console.log('a %s', 'b', { c: 1 });
  console.info();
  console.debug('two\\nlines');
  console.warn('w');
  console.error(new Error('e').message);
  console.trace('t');
  console.fatal('f');
  process.stdout.write('plain\\n');
};
"""
    out = node(code, runtime=runtime)
    texts = [re.fullmatch(STAMP + r"\t([^\t]+)\t(.*)\n", text, re.S).groups() for _, text in out.frames]
    assert texts == [
        (idle, "INFO\tcold"),
        (FIRST, "INFO\ta b { c: 1 }"),
        (FIRST, "INFO\tundefined"),
        (FIRST, "DEBUG\ttwo\nlines"),
        (FIRST, "WARN\tw"),
        (FIRST, "ERROR\te"),
        (FIRST, "TRACE\tt"),
        (FIRST, "FATAL\tf"),
    ]
    masks = [kind ^ 0xA55A0003 for kind, _ in out.frames]
    assert masks == [0x0C, 0x0C, 0x0C, 0x08, 0x10, 0x14, 0x04, 0x18]
    assert out.lines == ["plain"]


@pytest.mark.parametrize("runtime", BOTH)
def test_console_in_json(node, runtime):
    code = """
exports.handler = async () => {
  console.log('text');
  console.log({ a: 1 });
  console.warn('x %d', 7);
  console.error('failed', Object.assign(new RangeError('r'), { code: 1 }));
  console.error(new RangeError('alone'));
  const loop = {}; loop.loop = loop; console.log(loop);
};
"""
    tenant = Event(headers={"Lambda-Runtime-Aws-Tenant-Id": "blue"})
    out = node(code, [tenant], env={"AWS_LAMBDA_LOG_FORMAT": "JSON"}, runtime=runtime)
    kinds = [kind for kind, _ in out.frames]
    assert kinds == [0xA55A000E, 0xA55A000E, 0xA55A0012, 0xA55A0016, 0xA55A0016, 0xA55A000E]
    texts = [json.loads(text) for _, text in out.frames]
    assert all(re.fullmatch(STAMP, record.pop("timestamp")) for record in texts)
    assert all(record.pop("requestId") == FIRST and record.pop("tenantId") == "blue" for record in texts)
    assert texts[:3] == [
        {"level": "INFO", "message": "text"},
        {"level": "INFO", "message": {"a": 1}},
        {"level": "WARN", "message": "x 7"},
    ]
    assert texts[3]["message"].startswith("failed RangeError: r") and texts[3]["errorType"] == "RangeError"
    assert texts[3]["errorMessage"] == "r" and texts[3]["stackTrace"][0] == "RangeError: r"
    assert texts[4]["message"]["errorType"] == "RangeError" and texts[4]["message"]["errorMessage"] == "alone"
    assert texts[5]["message"].startswith("<ref *1>")


@pytest.mark.parametrize("least, shown", [("TRACE", 6), ("DEBUG", 5), ("INFO", 4), ("WARN", 3), ("ERROR", 2), ("FATAL", 1), ("bogus", 6)])
def test_levels(node, least, shown):
    code = "exports.handler = async () => { for (const m of ['trace', 'debug', 'info', 'warn', 'error', 'fatal']) console[m](m); }"
    out = node(code, env={"AWS_LAMBDA_LOG_LEVEL": least})
    assert len(out.frames) == shown


def test_without_a_descriptor_for_frames_everything_is_lines(node):
    out = node("exports.handler = async () => { console.log('a\\nb'); }", framed=False)
    assert out.frames == [] and out.lines[0].endswith("\tINFO\ta\rb")


@pytest.mark.parametrize("runtime", BOTH)
def test_the_context(node, runtime):
    code = """
exports.handler = async (event, context) => ({
  ...context, left: context.getRemainingTimeInMillis(), trace: process.env._X_AMZN_TRACE_ID ?? null,
  frames: process.env._LAMBDA_TELEMETRY_LOG_FD ?? null,
});
"""
    given = {
        "Lambda-Runtime-Client-Context": '{"custom":{"k":"é"}}',
        "Lambda-Runtime-Cognito-Identity": '{"cognitoIdentityId":"i","cognitoIdentityPoolId":"p"}',
        "Lambda-Runtime-Aws-Tenant-Id": "blue",
    }
    given["Lambda-Runtime-Client-Context"] = '{"custom":{"k":"v"}}'
    bare = {"Lambda-Runtime-Trace-Id": None}
    out = node(code, [Event(headers=given), Event(headers=bare, deadline=-5)], runtime=runtime)
    first, second = [call.json for call in out.calls]
    assert 0 < first.pop("left") <= 60000 and second["left"] < 0
    trace = first.pop("trace")
    assert trace.startswith("Root=") and second["trace"] is None
    assert first.pop("callbackWaitsForEmptyEventLoop", None) == (True if runtime == CLASSIC else None)
    assert first.pop("xRayTraceId", None) == (trace if runtime == MODERN else None)
    assert first == {
        "functionVersion": "$LATEST",
        "functionName": "probe",
        "memoryLimitInMB": "128",
        "logGroupName": "/aws/lambda/probe",
        "logStreamName": "2026/11/21/[$LATEST]0123456789abcdef0123456789abcdef",
        "clientContext": {"custom": {"k": "v"}},
        "identity": {"cognitoIdentityId": "i", "cognitoIdentityPoolId": "p"},
        "invokedFunctionArn": ARN,
        "awsRequestId": FIRST,
        "tenantId": "blue",
        "frames": None,
    }


def test_state_lives_on_and_a_refused_answer_ends_nothing(node):
    code = "let n = 0; exports.handler = async () => (++n === 2 ? 'x'.repeat(300000) : n)"
    out = node(code, [Event()] * 3, refuse={"response": 413})
    assert [call.body[:1] for call in out.calls] == [b"1", b'"', b"3"]
    assert out.status is None


STREAMS = [
    # (body of the handler, payload, content type)
    ("s.write('a'); await tick(); s.write(Buffer.from('b')); s.end('c')", b"abc", "application/octet-stream"),
    ("s.setContentType('text/html'); s.write('<p>'); s.end()", b"<p>", "text/html"),
    ("s.write({ j: 1 }); s.end()", b'{"j":1}', "application/octet-stream"),
    ("s.end()", b"", "application/octet-stream"),
    ("await require('stream/promises').pipeline(require('stream').Readable.from(['x', 'y']), s)", b"xy", "application/octet-stream"),
    ("for (let n = 0; n < 200; n++) if (!s.write('z'.repeat(10000))) await require('events').once(s, 'drain'); s.end()", b"z" * 2000000, "application/octet-stream"),
    (
        "s = awslambda.HttpResponseStream.from(s, { statusCode: 201, cookies: ['a=b'] }); s.write('body'); s.end()",
        b'{"statusCode":201,"cookies":["a=b"]}' + bytes(8) + b"body",
        "application/vnd.awslambda.http-integration-response",
    ),
]


@pytest.mark.parametrize("code, payload, kind", STREAMS, ids=[row[0][:40] for row in STREAMS])
@pytest.mark.parametrize("runtime", BOTH)
def test_streaming(node, code, payload, kind, runtime):
    code = "const tick = () => new Promise(setImmediate); exports.handler = awslambda.streamifyResponse(async (e, s, c) => { %s })" % code
    out = node(code, [Event()] * 2, runtime=runtime)
    assert [(call.kind, call.body) for call in out.calls] == [("response", payload)] * 2, out.output
    headers = out.calls[0].headers
    assert headers["Lambda-Runtime-Function-Response-Mode"] == "streaming" and headers["Content-Type"] == kind
    assert headers["Trailer"] == "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body"
    assert out.calls[0].trailers == {} and out.output == b""


BROKEN_STREAMS = [
    ("async (e, s) => { s.write('a'); throw new RangeError('mid'); }", b"a", "RangeError"),
    ("async (e, s) => { throw new RangeError('first'); }", b"", "RangeError"),
    ("async (e, s) => { s.write('a'); s.setContentType('text/html'); }", b"a", "Runtime.InvalidStreamingOperation"),
    ("async (e, s) => { s.write('a'); s.destroy(new TypeError('broken')); }", b"a", "TypeError"),
    ("(e, s) => { s.write('a'); }", b"a", {CLASSIC: "string", MODERN: "Error"}),
]


@pytest.mark.parametrize("handler, payload, kind", BROKEN_STREAMS, ids=[row[0][:50] for row in BROKEN_STREAMS])
@pytest.mark.parametrize("runtime", BOTH)
def test_streams_that_fail_say_so_in_trailers(node, handler, payload, kind, runtime):
    kind = kind if isinstance(kind, str) else kind[runtime]
    out = node("exports.handler = awslambda.streamifyResponse(%s)" % handler, [Event()] * 2, runtime=runtime)
    assert [call.body for call in out.calls] == [payload] * 2
    for call in out.calls:
        assert call.trailers["lambda-runtime-function-error-type"] == kind
        assert call.trailer_error["errorType"] == kind
    assert "\tERROR\tInvoke Error \t{" in out.frames[0][1]
    assert out.status is None


def test_esm_imports_fall_back_to_directories_above(node):
    # A sandbox has links to the layers' and the SDK's packages above /var/task; here the test makes them.
    files = {"node_modules/sdk/index.js": "exports.one = 1", "task/app.mjs": "import { one } from 'sdk'; export const handler = async () => one"}
    out = node(None, [Event()], files=files, env={"LAMBDA_TASK_ROOT": str(node.folder / "task")})
    assert out.only.body == b"1"


def test_the_sources_parse():
    for file in (RUNTIMES / "node").glob("*.js"):
        subprocess.run([NODE, "--check", str(file)], check=True)


def test_a_platform_that_hands_out_events_only_when_asked_is_asked(node):
    out = node("exports.handler = async (event) => event.n", [Event({"n": n}) for n in (1, 2)], together=False)
    assert [call.body for call in out.calls] == [b"1", b"2"]
