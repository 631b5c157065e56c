"""The Python client with SnapStart: which hooks run when, and what is reported of those that fail."""


import pytest

from harness import RUNTIMES, Event, pythons, run

RESTORING = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
# The first event answers the call for the restore, which has none.
RESTORE = Event(body=b"")

HOOKS = """
from snapshot_restore_py import register_after_restore, register_before_snapshot

ran = []

@register_before_snapshot
def first():
    ran.append("before 1")

@register_after_restore
def again():
    ran.append("after 1")

assert register_before_snapshot(ran.append, "before 2") == ran.append
register_after_restore(lambda *args, **named: ran.append([args, named]), 1, two=2)

def handler(event, context):
    return ran
"""


@pytest.fixture(params=pythons(), ids=lambda found: found[0])
def python(request, tmp_path):
    name, path = request.param
    argv = [path, "-S", str(RUNTIMES / "python" / "bootstrap.py")]

    def start(code, events, env=RESTORING, files=None):
        return run(argv, tmp_path, {"app.py": code, **(files or {})}, "app.handler", events, runtime=name, env=env)

    return start


def test_hooks_run_around_the_restore_backwards_and_then_forwards(python):
    out = python(HOOKS, [RESTORE, Event(), Event()])
    expected = ["before 2", "before 1", "after 1", [[1], {"two": 2}]]
    assert [call.json for call in out.calls] == [expected, expected] and out.status is None


def test_hooks_do_nothing_without_snapshots(python):
    out = python(HOOKS, [Event()], env={"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"})
    assert out.only.json == []


def test_after_restore_hooks_wait_for_the_restore(python):
    out = python("from snapshot_restore_py import *\nregister_before_snapshot(print, 'before')\n"
                 "register_after_restore(print, 'after')\ndef handler(e, c): return 1\n", [])
    assert out.calls == [] and out.lines == ["before"]


def test_a_function_without_hooks_waits_for_the_restore_all_the_same(python):
    out = python("def handler(e, c): return e\n", [RESTORE, Event({"a": 1})])
    assert out.only.json == {"a": 1}


def test_a_package_of_the_functions_own_wins(python):
    # As AWS's package is made: lists of callables with their arguments, which the client takes from it.
    own = (RUNTIMES / "python" / "snapshot_restore_py.py").read_text().replace('"1.0.0"', '"own"')
    code = HOOKS + "import snapshot_restore_py\nran.append(snapshot_restore_py.__version__)\n"
    out = python(code, [RESTORE, Event()], files={"snapshot_restore_py.py": own})
    assert out.only.json == ["own", "before 2", "before 1", "after 1", [[1], {"two": 2}]]


@pytest.mark.parametrize("when, path, kind, status", [
    ("before_snapshot", "init/error", "Runtime.BeforeSnapshotError", 64),
    ("after_restore", "restore/error", "Runtime.AfterRestoreError", 65),
])
@pytest.mark.parametrize("statement, told", [("1 / 0", "ZeroDivisionError"), ("raise SystemExit(3)", "SystemExit")])
def test_a_hook_that_fails_ends_the_process(python, when, path, kind, status, statement, told):
    code = "import snapshot_restore_py as s\n@s.register_%s\ndef hook():\n    %s\ndef handler(e, c): pass\n"
    out = python(code % (when, statement), [RESTORE])
    assert out.only.path == "/2018-06-01/runtime/" + path
    assert out.only.headers["Lambda-Runtime-Function-Error-Type"] == kind
    assert out.only.json["errorType"] == told and out.status == status
    assert any(told in text for _, text in out.frames)
