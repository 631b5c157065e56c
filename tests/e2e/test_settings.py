"""What a server's settings change for functions."""

import os
import subprocess
import threading
import time

import pytest

from samovar import BINARY, create, invoke, messages, until

MISSING = "python3.15"  # newer than any that the tests' machines have
WHO = "import os\nme = os.urandom(8).hex()\ndef handler(e, c):\n    return me\n"


def test_the_nearest_python_stands_in_with_a_visible_warning(lam, logs, name):
    create(lam, name, "import sys\ndef handler(e, c):\n    return sys.version_info[0]\n", runtime=MISSING)
    assert invoke(lam, name)["payload"] == 3
    lines = until(lambda: (found := messages(logs, name)) and any(l.startswith("REPORT") for l in found) and found)
    assert any("WARNING" in line and MISSING in line for line in lines), lines


def test_an_exact_match_can_be_demanded(fresh):
    server = fresh("--runtime-match", "exact")
    lam = server.client("lambda")
    create(lam, "here", WHO)
    assert len(invoke(lam, "here")["payload"]) == 16
    create(lam, "elsewhere", WHO, runtime=MISSING)
    with pytest.raises(lam.exceptions.InvalidRuntimeException) as caught:
        invoke(lam, "elsewhere")
    assert f"{MISSING} needs Python" in caught.value.response["Message"]


def test_native_modules_of_another_version_are_refused(lam, name):
    files = {"index.py": WHO, "_speed.cpython-315-x86_64-linux-gnu.so": b"\x7fELF"}
    create(lam, name, files, runtime=MISSING)
    with pytest.raises(lam.exceptions.InvalidRuntimeException) as caught:
        invoke(lam, name)
    assert "native modules built for cpython-315" in caught.value.response["Message"]


def test_a_function_s_own_packages_win_over_the_sdk(lam, name):
    create(lam, name, {"index.py": "import boto3\ndef handler(e, c):\n    return boto3.mine\n", "boto3.py": "mine = 'yes'\n"})
    assert invoke(lam, name)["payload"] == "yes"


def test_idle_environments_are_closed(fresh):
    server = fresh("--idle-expiry", "1")
    lam = server.client("lambda")
    create(lam, "f", WHO)
    first = invoke(lam, "f")["payload"]
    assert invoke(lam, "f")["payload"] == first

    def another():
        # Each try keeps the environment it meets alive, so the tries lie further apart than its idle time.
        time.sleep(1.3)
        return invoke(lam, "f")["payload"] != first

    until(another)


def test_functions_can_be_left_to_real_aws(fresh):
    server = fresh("--function-endpoint", "off")
    lam = server.client("lambda")
    create(lam, "f", "import os\ndef handler(e, c):\n    return os.environ.get('AWS_ENDPOINT_URL')\n")
    assert invoke(lam, "f")["payload"] is None


def test_a_customer_s_own_endpoint_is_kept(lam, name):
    create(
        lam, name, "import os\ndef handler(e, c):\n    return os.environ['AWS_ENDPOINT_URL']\n",
        Environment={"Variables": {"AWS_ENDPOINT_URL": "http://elsewhere:1"}},
    )
    assert invoke(lam, name)["payload"] == "http://elsewhere:1"


def test_samovar_logs_follows_while_the_handler_sleeps(server, lam, name):
    create(lam, name, "import time\ndef handler(e, c):\n    print('still here')\n    time.sleep(6)\n", Timeout=20)
    follow = subprocess.Popen(
        [BINARY, "logs", name, "--follow"], env={**os.environ, "SAMOVAR_ENDPOINT": server.endpoint},
        stdout=subprocess.PIPE, text=True,
    )
    running = threading.Thread(target=invoke, args=(lam, name))
    running.start()
    try:
        assert any("still here" in line for line in follow.stdout)
        assert running.is_alive()
    finally:
        follow.terminate()
        follow.wait()
        running.join()


def test_the_account_limit_throttles_with_aws_s_reason(fresh):
    server = fresh("--concurrency", "2")
    lam = server.client("lambda")
    create(lam, "f", "import time\ndef handler(e, c):\n    time.sleep(3)\n", Timeout=10)
    running = [threading.Thread(target=invoke, args=(lam, "f")) for _ in range(2)]
    for thread in running:
        thread.start()
    logs = server.client("logs")
    until(lambda: sum(line.startswith("START") for line in messages(logs, "f")) == 2)
    try:
        lam.invoke(FunctionName="f")
        raise AssertionError("a third invocation was admitted")
    except lam.exceptions.TooManyRequestsException as error:
        assert error.response["Reason"] == "ConcurrentInvocationLimitExceeded"
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 429
        assert error.response["Error"]["Message"] == "Rate Exceeded."
    for thread in running:
        thread.join()
    assert invoke(lam, "f")["payload"] is None


