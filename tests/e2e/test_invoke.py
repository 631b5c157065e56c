"""Invocations through boto3: answers, errors, limits and the log that belongs to each."""

import base64
import json
import re
import socket
import threading
import time

import pytest

from samovar import NODE, PYTHON, create, invoke, messages, until, wait_active

ECHO = "def handler(event, context):\n    return event\n"
REPORT = re.compile(
    r"REPORT RequestId: ([0-9a-f-]{36})\tDuration: (\d+\.\d\d) ms\tBilled Duration: (\d+) ms\t"
    r"Memory Size: (\d+) MB\tMax Memory Used: (\d+) MB\t(?:Init Duration: (\d+\.\d\d) ms\t)?"
    r"(?:Status: (\w+)(?:\tError Type: ([\w.]+))?)?"
)


def report(log):
    found = REPORT.search(log)
    assert found, log
    return found


def test_cold_then_warm(lam, name):
    create(lam, name, "import os\nstarted = os.urandom(8).hex()\ndef handler(e, c):\n    print('hello')\n    return [started, c.aws_request_id]\n")
    cold = invoke(lam, name, {}, LogType="Tail")
    warm = invoke(lam, name, {}, LogType="Tail")
    assert cold["StatusCode"] == 200 and cold["ExecutedVersion"] == "$LATEST" and "FunctionError" not in cold
    assert cold["payload"][0] == warm["payload"][0]
    for answer, is_cold in ((cold, True), (warm, False)):
        request_id = answer["ResponseMetadata"]["RequestId"]
        assert answer["payload"][1] == request_id
        lines = answer["log"].split("\n")
        assert lines[0] == f"START RequestId: {request_id} Version: $LATEST"
        assert lines[1] == "hello"
        assert lines[2] == f"END RequestId: {request_id}"
        found = report(lines[3])
        assert found[1] == request_id and found[4] == "128"
        assert (found[6] is not None) == is_cold
        assert 0 < int(found[5]) < 128
        total = float(found[2]) + float(found[6] or 0)
        assert 0 <= int(found[3]) - total < 1.02
    headers = cold["ResponseMetadata"]["HTTPHeaders"]
    assert headers["content-type"] == "application/json"
    assert headers["x-amzn-remapped-content-length"] == "0"
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0;Lineage=1:[0-9a-f]{8}:0",
                        headers["x-amzn-trace-id"])


@pytest.mark.parametrize("payload", [b"{}", b"[1, 2]", b'"text"', b"12.5", b"true", b"null", b'{"b": 1,   "a": "\xc3\xa9"}'])
def test_any_json_goes_through(lam, server, payload):
    name = "json-echo"
    try:
        create(lam, name, ECHO)
    except lam.exceptions.ResourceConflictException:
        wait_active(lam, name)
    answer = lam.invoke(FunctionName=name, Payload=payload)
    assert json.loads(answer["Payload"].read()) == json.loads(payload)


def test_an_empty_payload_is_an_empty_object_and_nothing_is_null(lam, name):
    create(lam, name, "def handler(e, c):\n    return None if e == {} else 'not empty'\n")
    assert lam.invoke(FunctionName=name)["Payload"].read() == b"null"


def test_a_payload_that_is_not_json_never_reaches_the_function(lam, name):
    create(lam, name, ECHO)
    with pytest.raises(lam.exceptions.InvalidRequestContentException) as caught:
        lam.invoke(FunctionName=name, Payload=b'{"a": nope}')
    assert caught.value.response["Error"]["Message"].startswith(
        "Could not parse request body into json: Could not parse payload into json: "
    )


def test_a_dry_run_runs_nothing(lam, logs, name):
    create(lam, name, ECHO)
    answer = lam.invoke(FunctionName=name, InvocationType="DryRun")
    assert answer["StatusCode"] == 204 and "ExecutedVersion" not in answer
    assert messages(logs, name) == []


def test_a_python_exception(lam, name):
    create(lam, name, "def handler(e, c):\n    raise ValueError('no tea')\n")
    answer = invoke(lam, name, LogType="Tail")
    assert answer["FunctionError"] == "Unhandled"
    assert list(answer["payload"]) == ["errorMessage", "errorType", "requestId", "stackTrace"]
    assert answer["payload"]["errorMessage"] == "no tea"
    assert answer["payload"]["errorType"] == "ValueError"
    assert answer["payload"]["stackTrace"] == [
        '  File "/var/task/index.py", line 2, in handler\n    raise ValueError(\'no tea\')\n'
    ]
    assert "[ERROR] ValueError: no tea\nTraceback (most recent call last):\n" in answer["log"]
    assert report(answer["log"])[7] is None


def test_a_node_error(lam, name):
    create(lam, name, "exports.handler = async () => { throw new TypeError('no tea') }", runtime=NODE)
    answer = invoke(lam, name)
    assert answer["FunctionError"] == "Unhandled"
    assert answer["payload"]["errorType"] == "TypeError" and answer["payload"]["errorMessage"] == "no tea"
    assert answer["payload"]["trace"][0] == "TypeError: no tea"


def test_node_modules_of_both_kinds(lam, name):
    create(lam, name + "c", {"index.js": "exports.handler = (e, c, done) => done(null, [e.n, c.functionName])"}, runtime=NODE)
    create(lam, name + "m", {"index.mjs": "export const handler = async (e) => ({n: e.n})"}, runtime=NODE)
    assert invoke(lam, name + "c", {"n": 1})["payload"] == [1, name + "c"]
    assert invoke(lam, name + "m", {"n": 2})["payload"] == {"n": 2}


@pytest.mark.parametrize(
    "code, handler, kind, words",
    [
        ("import nothing_there\n", "index.handler", "Runtime.ImportModuleError",
         "Unable to import module 'index': No module named 'nothing_there'"),
        ("x = 1\n", "index.handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'index'"),
        ("def (\n", "index.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'index': "),
        ("x = 1\n", "elsewhere.handler", "Runtime.ImportModuleError", "Unable to import module 'elsewhere': No module named 'elsewhere'"),
    ],
)
def test_a_function_that_cannot_be_loaded(lam, logs, name, code, handler, kind, words):
    create(lam, name, code, handler=handler)
    answer = invoke(lam, name, LogType="Tail")
    assert answer["FunctionError"] == "Unhandled"
    assert answer["payload"]["errorType"] == kind
    assert answer["payload"]["errorMessage"].startswith(words)
    assert answer["payload"]["requestId"] == ""
    assert kind in answer["log"]
    # The configuration stays as it was: only invokes fail.
    assert lam.get_function_configuration(FunctionName=name)["State"] == "Active"


def test_a_timeout_resets_the_runtime_and_keeps_tmp(lam, name):
    create(
        lam, name,
        "import os, time\ncount = 0\n"
        "def handler(e, c):\n    global count\n    count += 1\n"
        "    if e.get('sleep'):\n        open('/tmp/kept', 'w').write('yes')\n        time.sleep(60)\n"
        "    return [count, os.path.exists('/tmp/kept')]\n",
        Timeout=1,
    )
    assert invoke(lam, name, {})["payload"] == [1, False]
    late = invoke(lam, name, {"sleep": True}, LogType="Tail")
    request_id = late["ResponseMetadata"]["RequestId"]
    assert late["FunctionError"] == "Unhandled"
    assert late["raw"].decode() == (
        '{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: %s Error: Task timed out after 1.00 seconds"}' % request_id
    )
    assert report(late["log"])[7] == "timeout"
    assert 1000 <= float(report(late["log"])[2]) < 1500
    again = invoke(lam, name, {}, LogType="Tail")
    assert again["payload"] == [1, True]
    assert report(again["log"])[6] is None


@pytest.mark.parametrize(
    "body, words",
    [
        ("sys.exit(0)", "Runtime exited without providing a reason"),
        ("os._exit(0)", "Runtime exited without providing a reason"),
        ("os._exit(7)", "Runtime exited with error: exit status 7"),
        ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
        ("os.kill(os.getpid(), 11)", "Runtime exited with error: signal: segmentation fault"),
    ],
)
def test_a_runtime_that_ends(lam, name, body, words):
    create(lam, name, f"import os, sys\nseen = 0\ndef handler(e, c):\n    global seen\n    seen += 1\n    if e.get('end'):\n        {body}\n    return seen\n")
    assert invoke(lam, name, {})["payload"] == 1
    answer = invoke(lam, name, {"end": True}, LogType="Tail")
    request_id = answer["ResponseMetadata"]["RequestId"]
    assert answer["payload"] == {"errorType": "Runtime.ExitError", "errorMessage": f"RequestId: {request_id} Error: {words}"}
    assert answer["FunctionError"] == "Unhandled"
    assert report(answer["log"])[8] == "Runtime.ExitError"
    assert invoke(lam, name, {})["payload"] == 1


def test_memory_ends_at_the_limit_and_only_for_the_function(lam, name):
    create(lam, name, "def handler(e, c):\n    return len(bytearray(e['mb'] << 20))\n", MemorySize=128, Timeout=20)
    assert invoke(lam, name, {"mb": 40})["payload"] == 40 << 20
    answer = invoke(lam, name, {"mb": 400}, LogType="Tail")
    request_id = answer["ResponseMetadata"]["RequestId"]
    assert answer["FunctionError"] == "Unhandled"
    assert answer["payload"]["errorMessage"] == f"RequestId: {request_id} Error: Runtime exited with error: signal: killed"
    assert report(answer["log"])[8] == "Runtime.OutOfMemory"
    assert invoke(lam, name, {"mb": 1})["payload"] == 1 << 20


def test_an_oversize_response_is_refused_and_the_environment_lives(lam, name):
    create(lam, name, "import os\nme = os.urandom(4).hex()\ndef handler(e, c):\n    return me + 'x' * e['n']\n", MemorySize=512)
    first = invoke(lam, name, {"n": 0})["payload"]
    answer = invoke(lam, name, {"n": 6_291_600})
    assert answer["payload"] == {
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        "errorType": "Function.ResponseSizeTooLarge",
    }
    assert answer["FunctionError"] == "Unhandled"
    assert invoke(lam, name, {"n": 0})["payload"] == first
    assert len(invoke(lam, name, {"n": 6_291_456 - 100})["payload"]) == 6_291_456 - 92


def test_an_oversize_request_is_refused(lam, name):
    create(lam, name, ECHO)
    with pytest.raises(lam.exceptions.ClientError) as caught:
        lam.invoke(FunctionName=name, Payload=json.dumps("x" * 6_291_500))
    error = caught.value.response
    assert error["Error"]["Code"] == "RequestEntityTooLargeException"
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert error["Error"]["Message"] == "Request must be smaller than 6291456 bytes for the InvokeFunction operation"


def test_the_context_carries_what_the_caller_sent(lam, name):
    create(
        lam, name,
        "def handler(e, c):\n"
        "    return {'custom': c.client_context.custom, 'left': c.get_remaining_time_in_millis(),\n"
        "            'arn': c.invoked_function_arn, 'memory': c.memory_limit_in_mb, 'name': c.function_name,\n"
        "            'version': c.function_version, 'group': c.log_group_name, 'stream': c.log_stream_name}\n",
        Timeout=5, MemorySize=256,
    )
    context = base64.b64encode(json.dumps({"custom": {"k": "v"}}).encode()).decode()
    seen = invoke(lam, name, {}, ClientContext=context)["payload"]
    assert 3000 < seen.pop("left") <= 5000
    stream = seen.pop("stream")
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", stream)
    assert seen == {
        "custom": {"k": "v"}, "arn": f"arn:aws:lambda:us-east-1:000000000000:function:{name}", "memory": "256",
        "name": name, "version": "$LATEST", "group": f"/aws/lambda/{name}",
    }


def test_the_environment_is_the_recorded_one(lam, name):
    create(lam, name, "import os\ndef handler(e, c):\n    return dict(os.environ)\n",
           Environment={"Variables": {"COLOUR": "red", "LANG": "C"}})
    seen = invoke(lam, name)["payload"]
    assert seen["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    expected = {
        "COLOUR": "red", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{PYTHON}", "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "LAMBDA_RUNTIME_DIR": "/var/runtime", "LAMBDA_TASK_ROOT": "/var/task", "TZ": ":UTC", "_HANDLER": "index.handler",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
    }
    assert {key: seen.get(key) for key in expected} == expected
    for key in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", "_X_AMZN_TRACE_ID", "AWS_ENDPOINT_URL"):
        assert seen[key]
    assert not [key for key in seen if key.startswith("SAMOVAR")]


def test_one_environment_serves_one_request_at_a_time(lam, name):
    create(lam, name, "import os, time\nme = os.urandom(8).hex()\ndef handler(e, c):\n    time.sleep(0.5)\n    return me\n")
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(invoke(lam, name)["payload"])) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 6 and len(set(seen)) == 6
    assert invoke(lam, name)["payload"] in seen


def test_a_client_that_leaves_changes_nothing_for_the_function(server, lam, logs, name):
    create(lam, name, "import time\ndef handler(e, c):\n    print('begun', flush=True)\n    time.sleep(1)\n    print('finished')\n")
    invoke_head = (
        f"POST /2015-03-31/functions/{name}/invocations HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Authorization: AWS4-HMAC-SHA256 Credential=000000000000/20261121/us-east-1/lambda/aws4_request, "
        "SignedHeaders=host, Signature=00\r\nContent-Length: 2\r\n\r\n{}"
    )
    client = socket.create_connection(("127.0.0.1", server.port))
    client.sendall(invoke_head.encode())
    until(lambda: any("begun" in line for line in messages(logs, name)))
    client.close()
    until(lambda: any(line.startswith("REPORT") for line in messages(logs, name)))
    assert any("finished" in line for line in messages(logs, name))


def test_a_custom_runtime_is_any_executable(lam, name):
    bootstrap = (
        "#!/bin/sh\nset -eu\n"
        'python3 - <<"END"\n'
        "import os, urllib.request\n"
        "api = 'http://' + os.environ['AWS_LAMBDA_RUNTIME_API'] + '/2018-06-01/runtime/invocation/'\n"
        "while True:\n"
        "    event = urllib.request.urlopen(api + 'next')\n"
        "    body = event.read()\n"
        "    urllib.request.urlopen(urllib.request.Request(api + event.headers['Lambda-Runtime-Aws-Request-Id'] + '/response', data=b'[' + body + b']'))\n"
        "END\n"
    )
    create(lam, name, {"bootstrap": bootstrap}, runtime="provided.al2023", handler="any", modes={"bootstrap": 0o755}, Timeout=10)
    assert invoke(lam, name, {"a": 1})["payload"] == [{"a": 1}]


def test_a_custom_runtime_without_bootstrap(lam, name):
    create(lam, name, {"readme": "x"}, runtime="provided.al2023", handler="any")
    answer = invoke(lam, name)
    request_id = answer["ResponseMetadata"]["RequestId"]
    assert answer["payload"] == {
        "errorType": "Runtime.InvalidEntrypoint",
        "errorMessage": f"RequestId: {request_id} Error: Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]",
    }


def test_a_function_that_is_slow_to_start_starts_again_inside_the_invoke(lam, logs, name):
    create(
        lam, name,
        "import os, time\nif not os.path.exists('/tmp/tried'):\n    open('/tmp/tried', 'w').close()\n    time.sleep(30)\n"
        "def handler(e, c):\n    return 'late'\n",
        Timeout=20,
    )
    answer = invoke(lam, name, LogType="Tail")
    assert answer["payload"] == "late"
    found = until(lambda: [line for line in messages(logs, name) if line.startswith("INIT_REPORT")])
    assert re.match(r"INIT_REPORT Init Duration: (9999|1000\d)\.\d\d ms\tPhase: init\tStatus: timeout", found[0])
    assert report(answer["log"])[6] is None


def test_functions_import_the_sdk_and_reach_samovar_as_themselves(server, lam, name):
    create(
        lam, name,
        "import boto3\n"
        "def handler(e, c):\n"
        "    names = [f['FunctionName'] for p in boto3.client('lambda').get_paginator('list_functions').paginate() for f in p['Functions']]\n"
        "    return c.function_name in names\n",
        Timeout=30, MemorySize=512,
    )
    assert invoke(lam, name)["payload"] is True
    other = server.client("lambda", account="333333333333")
    create(
        other, name,
        "import boto3\ndef handler(e, c):\n"
        "    c = boto3.client('lambda', aws_access_key_id='000000000000', aws_secret_access_key='x')\n"
        "    return [f['FunctionName'] for f in c.list_functions()['Functions']]\n",
        Timeout=30, MemorySize=512,
    )
    assert invoke(other, name)["payload"] == [name]


def test_node_functions_import_the_sdk(lam, name):
    create(
        lam, name + "c",
        "const { LambdaClient, GetFunctionConfigurationCommand } = require('@aws-sdk/client-lambda');\n"
        "exports.handler = async (e, c) => (await new LambdaClient({}).send(new GetFunctionConfigurationCommand({FunctionName: c.functionName}))).Runtime",
        runtime=NODE, Timeout=30, MemorySize=512,
    )
    create(
        lam, name + "m",
        {"index.mjs": "import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';\nexport const handler = async () => typeof CloudWatchLogsClient"},
        runtime=NODE, Timeout=30, MemorySize=512,
    )
    assert invoke(lam, name + "c")["payload"] == NODE
    assert invoke(lam, name + "m")["payload"] == "function"


def test_the_walls_hold(lam, name):
    create(
        lam, name,
        "import ctypes, os, socket, subprocess\n"
        "def attempt(f):\n    try:\n        return repr(f())\n    except BaseException as e:\n        return type(e).__name__\n"
        "def handler(e, c):\n"
        "    libc = ctypes.CDLL(None, use_errno=True)\n"
        "    return {\n"
        "        'uid': os.getuid(), 'root': attempt(lambda: open('/root/.profile').read()), 'shadow': attempt(lambda: open('/etc/shadow').read()),\n"
        "        'task': attempt(lambda: open('/var/task/x', 'w')), 'slash': attempt(lambda: open('/x', 'w')),\n"
        "        'shm': attempt(lambda: open('/dev/shm/x', 'w').write('x')), 'tmp': attempt(lambda: open('/tmp/y', 'w').write('x')),\n"
        "        'mount': libc.mount(b'none', b'/tmp', b'tmpfs', 0, None), 'unshare': libc.unshare(0x10000000),\n"
        "        'host': attempt(lambda: socket.create_connection(('127.0.0.1', e['port']), 2)),\n"
        "        'procs': len([p for p in os.listdir('/proc') if p.isdigit()]),\n"
        "        'cwd': os.getcwd(), 'caps': [l for l in open('/proc/self/status') if l.startswith('CapEff')][0].split()[1],\n"
        "        'nnp': [l for l in open('/proc/self/status') if l.startswith('NoNewPrivs')][0].split()[1],\n"
        "        'fds': sorted(os.readlink(f'/proc/self/fd/{f}').split(':')[0] for f in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{f}')),\n"
        "    }\n",
        Timeout=20,
    )
    seen = invoke(lam, name, {"port": int(lam.meta.endpoint_url.rsplit(":", 1)[1])})["payload"]
    assert seen["uid"] == 993
    for key in ("root", "shadow", "task", "slash", "host"):
        assert seen[key] in ("FileNotFoundError", "PermissionError", "OSError", "ConnectionRefusedError"), (key, seen)
    assert (seen["shm"], seen["tmp"]) == ("1", "1")
    assert (seen["mount"], seen["unshare"]) == (-1, -1)
    assert seen["cwd"] == "/var/task" and int(seen["caps"], 16) == 0 and seen["nnp"] == "1"
    assert seen["procs"] <= 2


def test_multiprocessing_works(lam, name):
    create(
        lam, name,
        "import multiprocessing\ndef work(q):\n    q.put(42)\n"
        "def handler(e, c):\n    q = multiprocessing.Queue(); p = multiprocessing.Process(target=work, args=(q,)); p.start()\n"
        "    r = q.get(); p.join(); return r\n",
        Timeout=20, MemorySize=256,
    )
    assert invoke(lam, name)["payload"] == 42


def test_the_tail_is_the_last_four_kilobytes(lam, name):
    create(lam, name, "def handler(e, c):\n    for n in range(1000):\n        print('line', n)\n")
    log = invoke(lam, name, LogType="Tail")["log"]
    assert len(log.encode()) == 4096 and "REPORT" in log and "line 999\n" in log and "line 0\n" not in log


def test_a_ruby_function_answers_and_fails(lam, name):
    code = (
        "def handler(event:, context:)\n  puts 'from ruby'\n  raise 'no tea' if event['fail']\n"
        "  {got: event, id: context.aws_request_id}\nend\n"
    )
    create(lam, name, {"index.rb": code}, runtime="ruby3.3", Timeout=15)
    answer = invoke(lam, name, {"a": 1}, LogType="Tail")
    assert answer["payload"] == {"got": {"a": 1}, "id": answer["ResponseMetadata"]["RequestId"]}
    assert "from ruby\n" in answer["log"]
    failed = invoke(lam, name, {"fail": True})
    assert failed["FunctionError"] == "Unhandled"
    assert (failed["payload"]["errorMessage"], failed["payload"]["errorType"]) == ("no tea", "Function<RuntimeError>")
    assert failed["payload"]["stackTrace"]
