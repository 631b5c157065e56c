"""How long a client takes from its start to its first question. Informational: run with `-s` to see the figures."""

import shutil
import statistics

import pytest

from harness import RUNTIMES, Event, pythons, run

RUNS = 15
PYTHON = pythons()[0][1] if pythons() else None
CLIENTS = [
    ("python", [dict(pythons()).get("python3.11", PYTHON), "-S", str(RUNTIMES / "python" / "bootstrap.py")], "app.py", "def handler(e, c): return 1"),
    ("node", [shutil.which("node"), str(RUNTIMES / "node" / "bootstrap.js")], "app.js", "exports.handler = async () => 1"),
    ("ruby", [shutil.which("ruby"), str(RUNTIMES / "ruby" / "bootstrap.rb")], "app.rb", "def handler(event:, context:) = 1"),
]


@pytest.mark.parametrize("name, argv, file, code", CLIENTS, ids=[row[0] for row in CLIENTS])
def test_start(name, argv, file, code, tmp_path):
    if argv[0] is None:
        pytest.skip("not installed here")
    options = {"runtime": "nodejs20.x" if name == "node" else "python3.11"}
    times = [run(argv, tmp_path, {file: code}, "app.handler", [Event()], **options).start_ms for _ in range(RUNS)]
    print("\n%s: start to first next: median %.1f ms, least %.1f ms" % (name, statistics.median(times), min(times)))
    assert min(times) < 1000

