"""Invocations of nobody's function, before a runtime that waits knows its own.

What a zygote has run through once is not written to again by its children, and what a child has run through it has
copied before anybody waits for it: of a first invocation that is more than half.
"""

import logging
import os
import sys

import _socket

import _samovar_client

_WORK = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    b"Lambda-Runtime-Aws-Request-Id: 00000000-0000-4000-8000-000000000000\r\nLambda-Runtime-Deadline-Ms: 0\r\n"
    b"Lambda-Runtime-Invoked-Function-Arn: rehearsal\r\nLambda-Runtime-Trace-Id: rehearsal\r\n"
    b'Content-Length: 7\r\n\r\n{"n":1}'
)
# Functions bring their source.
_PACKAGE = "import os\n\n\ndef handler(event, context):\n    return {'n': [event, 1]}\n"


def handler(event, context):
    """The function."""
    return event


def rehearse(become, times):
    """Runs so many invocations; nothing of them is left but what is loaded."""
    kept = _State()
    platform, runtime_end = _socket.socketpair()
    try:
        become(env=_environment(), cwd="/")
        connection = _samovar_client.Connection("127.0.0.1:0", runtime_end)
        runtime = _samovar_client.Runtime(connection, _samovar_client.Sink(None))
        _samovar_client.set_up_imports(runtime)
        found = _samovar_client.load(__name__ + ".handler")
        compile(_PACKAGE, "/var/task/index.py", "exec")
        platform.send(_WORK * (times + 1))
        event = connection.next()
        for _ in range(times):
            event = runtime.invoke(found, *event)
    except Exception:
        # Then the first invocation takes longer.
        pass
    finally:
        platform.close()
        runtime_end.close()
        kept.restore()


def _environment():
    return [
        ("AWS_EXECUTION_ENV", "AWS_Lambda_python%d.%d" % sys.version_info[:2]),
        ("AWS_LAMBDA_FUNCTION_NAME", "rehearsal"),
        ("LAMBDA_TASK_ROOT", os.path.dirname(os.path.abspath(__file__))),
        ("PYTHONPATH", os.environ.get("PYTHONPATH", "")),
        # The same, for reading another one takes longer than all the rest.
        ("TZ", os.environ.get("TZ", "")),
    ]


class _State:
    """What an invocation changes in a process."""

    def __init__(self):
        self.path, self.finders = sys.path[:], sys.meta_path[:]
        self.importers = dict(sys.path_importer_cache)
        self.environment, self.directory = dict(os.environ), os.getcwd()
        self.root = logging.root.handlers[:], logging.root.level

    def restore(self):
        sys.path[:], sys.meta_path[:] = self.path, self.finders
        sys.path_importer_cache.clear()
        sys.path_importer_cache.update(self.importers)
        os.environ.clear()
        os.environ.update(self.environment)
        os.chdir(self.directory)
        logging.root.handlers[:] = self.root[0]
        logging.root.setLevel(self.root[1])
