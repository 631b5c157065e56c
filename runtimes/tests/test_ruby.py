"""The Ruby client against a Runtime API: what it answers, reports and logs."""

import json
import re
import shutil

import pytest

from harness import ARN, REQUEST, RUNTIMES, Event, run

RUBY = shutil.which("ruby")
FIRST = REQUEST % 1

pytestmark = pytest.mark.skipif(RUBY is None, reason="no ruby here")


@pytest.fixture
def ruby(tmp_path):
    argv = [RUBY, str(RUNTIMES / "ruby" / "bootstrap.rb")]

    def start(code, events=(Event(),), handler="app.handler", files=None, **options):
        return run(argv, tmp_path, files or {"app.rb": code}, handler, list(events), runtime="ruby3.4", **options)

    start.folder = tmp_path
    return start


ANSWERS = [
    ("event", '{"a":[1,2.5,null,true,"é"]}'.encode(), "application/json"),
    ("nil", b"null", "application/json"),
    ("'text'", b'"text"', "application/json"),
    ("StringIO.new('raw')", b"raw", "application/unknown"),
    ("'x' * 700_000", b'"' + b"x" * 700000 + b'"', "application/json"),
]


@pytest.mark.parametrize("expression, body, kind", ANSWERS, ids=[row[0] for row in ANSWERS])
def test_answers(ruby, expression, body, kind):
    out = ruby("def handler(event:, context:)\n  %s\nend" % expression, [Event({"a": [1, 2.5, None, True, "é"]})] * 2)
    assert [(call.body, call.headers["Content-Type"]) for call in out.calls] == [(body, kind)] * 2, out.output
    assert out.output == b""


FORMS = [
    ("app.handler", {"app.rb": "def handler(event:, context:) = 1"}),
    ("app.Deep::Thing.handler", {"app.rb": "module Deep\n class Thing\n  def self.handler(event:, context:) = 1\n end\nend"}),
    ("dir/app.handler", {"dir/app.rb": "def handler(event:, context:) = 1"}),
]


@pytest.mark.parametrize("handler, files", FORMS, ids=[row[0] for row in FORMS])
def test_handler_forms(ruby, handler, files):
    assert ruby(None, handler=handler, files=files).only.body == b"1"


def test_a_failed_handler_is_reported_and_logged(ruby):
    out = ruby("def handler(event:, context:)\n  raise 'no way'\nend", [Event()] * 2)
    assert [call.kind for call in out.calls] == ["error", "error"]
    assert list(out.calls[0].json) == ["errorMessage", "errorType", "stackTrace"]
    body = out.calls[0].json
    assert (body["errorMessage"], body["errorType"]) == ("no way", "Function<RuntimeError>")
    assert re.fullmatch(r"%s/app.rb:2:in [`'].*handler'" % ruby.folder, body["stackTrace"][0]) and len(body["stackTrace"]) == 1
    assert out.calls[0].headers["Lambda-Runtime-Function-Error-Type"] == "Function<UserException>"
    kind, text = out.frames[0]
    assert kind == 0xA55A0003 and text.startswith("Error raised from handler method\n{\n")
    assert json.loads(text.split("\n", 1)[1]) == body


@pytest.mark.parametrize("statement, kind", [("nothing_like_it", "NameError"), ("nil.nope", "NoMethodError"), ("exit 3", "SystemExit")])
def test_after_a_critical_exception_the_process_ends(ruby, statement, kind):
    out = ruby("def handler(event:, context:)\n  %s\nend" % statement)
    assert out.only.json["errorType"] == "Function<%s>" % kind
    assert out.only.headers["Lambda-Runtime-Function-Error-Type"] == "Function<%s>" % kind
    assert out.status == 255


INIT = [
    ({"app.rb": ""}, "nope.handler", "Init<LoadError>", "cannot load such file -- nope"),
    ({"app.rb": "def handler("}, "app.handler", "Init<SyntaxError>", None),
    ({"app.rb": "raise 'own'"}, "app.handler", "Init<RuntimeError>", "own"),
    ({"app.rb": ""}, "app", "Init<ArgumentError>", None),
]


@pytest.mark.parametrize("files, handler, kind, message", INIT, ids=[row[2] for row in INIT])
def test_init_errors(ruby, files, handler, kind, message):
    out = ruby(None, [], handler, files=files)
    assert (out.only.kind, out.only.json["errorType"], out.status) == ("init/error", kind, 252)
    assert message in (None, out.only.json["errorMessage"])
    assert out.frames[0][1].startswith("Init error when loading handler %s\n" % handler)


def test_logging(ruby):
    code = """
require 'logger'
LOG = Logger.new($stdout)
def handler(event:, context:)
  puts "one\\ntwo", [3]
  LOG.warn('careful')
  LOG.error(RuntimeError.new('e'))
  print "plain\\n"
end
"""
    out = ruby(code)
    (puts_kind, puts), (warn_kind, warn), (error_kind, error) = out.frames
    assert (puts_kind, puts) == (0xA55A0003, "one\ntwo\n3")
    assert warn_kind == 0xA55A0013 and re.fullmatch(r"W, \[\S+ #\d+\]  WARN %s -- : careful\n" % FIRST, warn)
    assert error_kind == 0xA55A0017 and "e (RuntimeError)" in error
    assert out.lines == ["plain"]
    out = ruby(code, env={"AWS_LAMBDA_LOG_FORMAT": "JSON"})
    assert [kind for kind, _ in out.frames] == [0xA55A0003, 0xA55A0012, 0xA55A0016]
    record = json.loads(out.frames[1][1])
    assert (record["level"], record["message"], record["requestId"]) == ("WARN", "careful", FIRST)
    assert json.loads(out.frames[2][1])["errorType"] == "RuntimeError"


def test_the_context(ruby):
    code = """
def handler(event:, context:)
  { id: context.aws_request_id, arn: context.invoked_function_arn, name: context.function_name,
    memory: context.memory_limit_in_mb, version: context.function_version, client: context.client_context,
    identity: context.identity, left: context.get_remaining_time_in_millis, trace: ENV['_X_AMZN_TRACE_ID'] }
end
"""
    out = ruby(code, [Event(headers={"Lambda-Runtime-Client-Context": '{"custom":1}'}), Event(headers={"Lambda-Runtime-Trace-Id": None})])
    first, second = [call.json for call in out.calls]
    assert 0 < first.pop("left") <= 60000 and first.pop("trace").startswith("Root=")
    assert first == {"id": FIRST, "arn": ARN, "name": "probe", "memory": "128", "version": "$LATEST", "client": {"custom": 1}, "identity": None}
    assert second["trace"] is None and second["client"] is None


def test_a_refused_answer_ends_nothing(ruby):
    out = ruby("def handler(event:, context:)\n  event['n'] == 2 ? 'x' * 300_000 : event['n']\nend", [Event({"n": n}) for n in (1, 2, 3)], refuse={"response": 413})
    assert [call.body[:1] for call in out.calls] == [b"1", b'"', b"3"]


def test_a_platform_that_hands_out_events_only_when_asked_is_asked(ruby):
    out = ruby("def handler(event:, context:)\n  event['n']\nend", [Event({"n": n}) for n in (1, 2)], together=False)
    assert [call.body for call in out.calls] == [b"1", b"2"]
