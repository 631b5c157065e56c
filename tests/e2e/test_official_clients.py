"""The official runtime interface clients, unmodified, as `provided` payloads."""

import base64
import json
import os
import pathlib
import shutil

import pytest

from samovar import create, invoke

RIC = os.environ.get("SAMOVAR_TEST_RIC")  # a directory with python/, node_modules/ and rust/bootstrap


def tree(root, prefix=""):
    root = pathlib.Path(root)
    return {f"{prefix}{path.relative_to(root)}": path.read_bytes() for path in sorted(root.rglob("*"))
            if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts}


def executable(files):
    return {path: 0o755 for path in files if path == "bootstrap" or path.endswith((".so", ".node"))}


def test_awslambdaric(lam, name):
    files = tree(f"{RIC}/python")
    files["app.py"] = b"def handler(e, c):\n    if e.get('fail'):\n        raise KeyError('gone')\n    return [e, c.aws_request_id]\n"
    files["bootstrap"] = b'#!/bin/sh\nexport PYTHONPATH=/var/task\nexec /usr/bin/python3 -m awslambdaric app.handler\n'
    create(lam, name, files, runtime="provided.al2023", handler="app.handler", modes=executable(files), Timeout=15, MemorySize=256)
    answer = invoke(lam, name, {"a": 1})
    assert answer["payload"] == [{"a": 1}, answer["ResponseMetadata"]["RequestId"]]
    failed = invoke(lam, name, {"fail": 1}, LogType="Tail")
    assert failed["FunctionError"] == "Unhandled" and failed["payload"]["errorType"] == "KeyError"
    assert "[ERROR] KeyError: 'gone'" in failed["log"]


def test_aws_lambda_ric(lam, name):
    files = tree(f"{RIC}/node_modules", "node_modules/")
    files["app.js"] = b"exports.handler = async (e, c) => { if (e.fail) throw new TypeError('gone'); return [e, c.awsRequestId] }"
    files["bootstrap"] = b'#!/bin/sh\nexec node node_modules/aws-lambda-ric/bin/index.mjs app.handler\n'
    create(lam, name, files, runtime="provided.al2023", handler="app.handler", modes=executable(files), Timeout=15, MemorySize=512)
    answer = invoke(lam, name, {"a": 1})
    assert answer["payload"] == [{"a": 1}, answer["ResponseMetadata"]["RequestId"]]
    failed = invoke(lam, name, {"fail": 1})
    assert failed["FunctionError"] == "Unhandled" and failed["payload"]["errorType"] == "TypeError"


def test_aws_lambda_ric_streams(lam, name):
    files = tree(f"{RIC}/node_modules", "node_modules/")
    files["app.js"] = (
        b"exports.handler = awslambda.streamifyResponse(async (e, s) => {\n"
        b"  s = awslambda.HttpResponseStream.from(s, { statusCode: 201 });\n"
        b"  s.write('one'); await new Promise(setImmediate); s.write('two');\n"
        b"  if (e.fail) throw new TypeError('gone');\n"
        b"  s.end(); await s.finished?.();\n"
        b"})"
    )
    files["bootstrap"] = b'#!/bin/sh\nexec node node_modules/aws-lambda-ric/bin/index.mjs app.handler\n'
    create(lam, name, files, runtime="provided.al2023", handler="app.handler", modes=executable(files), Timeout=15, MemorySize=512)
    for event in ({}, {"fail": 1}, {}):
        answer = lam.invoke_with_response_stream(FunctionName=name, Payload=json.dumps(event), LogType="Tail")
        *chunks, last = answer["EventStream"]
        response = b"".join(chunk["PayloadChunk"]["Payload"] for chunk in chunks)
        assert response == b'{"statusCode":201}' + bytes(8) + b"onetwo"
        log = base64.b64decode(last["InvokeComplete"].pop("LogResult")).decode()
        assert last == {"InvokeComplete": {}} and ("TypeError" in log) == bool(event)
    assert invoke(lam, name, {})["raw"] == response


def test_the_rust_runtime(lam, name):
    files = {"bootstrap": pathlib.Path(f"{RIC}/rust/bootstrap").read_bytes()}
    create(lam, name, files, runtime="provided.al2023", handler="any", modes={"bootstrap": 0o755})
    answer = invoke(lam, name, {"a": 1}, LogType="Tail")
    assert answer["payload"] == {"a": 1}
    failed = invoke(lam, name, {"fail": True})
    assert failed["FunctionError"] == "Unhandled" and "asked to fail" in failed["payload"]["errorMessage"]
