"""Versions with SnapStart: initialised when they are published, restored for their first calls."""

import json
import os
import pathlib
import re
import subprocess
import time

import botocore.exceptions
import pytest

from samovar import ROLE, create, invoke, messages, until, wait_active, zip_of

RIC = os.environ.get("SAMOVAR_TEST_RIC")
AWS = os.environ.get("SAMOVAR_TEST_AWS")
PYTHON_SNAP = "python3.12"
SNAP = {"ApplyOn": "PublishedVersions"}
WHO = """
import os, random, time, uuid
from snapshot_restore_py import register_after_restore, register_before_snapshot

print("init")
told = {"init": time.time(), "uuid": str(uuid.uuid4()), "random": random.random(), "hooks": []}
register_before_snapshot(told["hooks"].append, "before")

@register_after_restore
def restored():
    print("restored")
    told["hooks"].append("after")

def handler(event, context):
    time.sleep(event.get("sleep", 0))
    if event.get("crash"):
        os._exit(3)
    drawn = {"drawn": [random.random(), str(uuid.uuid4())]} if event.get("draw") else {}
    return {**told, **drawn, "env": dict(os.environ) if event.get("env") else None, "pid": os.getpid(),
            "stream": context.log_stream_name, "version": context.function_version}
"""


def snap(lam, name, code=WHO, **more):
    """A function with SnapStart that is not published yet."""
    return create(lam, name, code, **{"runtime": PYTHON_SNAP, "SnapStart": SNAP, "Timeout": 15, **more})


def published(lam, name):
    """Publishes and waits for the version, as AWS's waiter does; its number."""
    version = lam.publish_version(FunctionName=name)["Version"]
    lam.get_waiter("published_version_active").wait(
        FunctionName=name, Qualifier=version, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    return version


def state(lam, name, version):
    found = lam.get_function_configuration(FunctionName=name, Qualifier=version)
    return {key: found.get(key) for key in ("State", "StateReason", "StateReasonCode", "LastUpdateStatus")}


def refused(call, **request):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**request)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def streams(logs, name):
    """The group's streams in the order in which they began, each with its lines."""
    group = f"/aws/lambda/{name}"
    found = {}
    for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
        for event in page["events"]:
            found.setdefault(event["logStreamName"], []).append(event["message"].rstrip("\n"))
    return found


def masked(line):
    line = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", line)
    line = re.sub(r"runtime:[0-9a-f]{64}", "runtime:SHA", line)
    return re.sub(r"\d+(\.\d\d)? (ms|MB)", r"N \2", line)


def test_a_published_version_is_initialised_before_it_is_called(lam, logs, name):
    snap(lam, name, Timeout=15)
    answer = lam.publish_version(FunctionName=name)
    assert (answer["State"], answer["StateReasonCode"], answer.get("LastUpdateStatus")) == ("Pending", "Creating", None)
    assert answer["SnapStart"] == {**SNAP, "OptimizationStatus": "On"}
    lam.get_waiter("published_version_active").wait(
        FunctionName=name, Qualifier="1", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    found = lam.get_function(FunctionName=name, Qualifier="1")["Configuration"]
    assert (found["State"], found["LastUpdateStatus"]) == ("Active", "Successful")
    assert found["SnapStart"] == {**SNAP, "OptimizationStatus": "On"}
    latest = lam.get_function_configuration(FunctionName=name)
    assert latest["SnapStart"] == {**SNAP, "OptimizationStatus": "Off"}
    # The init has its own stream, and nothing was called.
    until(lambda: any("INIT_REPORT" in line for line in messages(logs, name)))
    ((stream, lines),) = streams(logs, name).items()
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[1\][0-9a-f]{32}", stream)
    lines = [masked(line) for line in lines if not line.startswith("SAMOVAR")]
    assert lines == [
        "INIT_START Runtime Version: python:3.12.mainlinev2.v27\tRuntime Version ARN: "
        "arn:aws:lambda:us-east-1::runtime:SHA",
        "init",
        "INIT_REPORT Init Duration: N ms",
    ] or lines[1:] == ["init", "INIT_REPORT Init Duration: N ms"], lines


def test_the_first_call_is_restored_and_the_next_is_warm(lam, logs, name):
    snap(lam, name)
    version = published(lam, name)
    before = time.time()
    first = invoke(lam, name, {}, Qualifier=version, LogType="Tail")
    told = first["payload"]
    assert told["init"] < before and told["hooks"] == ["before", "after"] and told["version"] == version
    second = invoke(lam, name, {}, Qualifier=version, LogType="Tail")
    assert second["payload"] == told
    assert [masked(line) for line in first["log"].splitlines()][-4:] == [
        "restored",
        f"START RequestId: ID Version: {version}",
        "END RequestId: ID",
        "REPORT RequestId: ID\tDuration: N ms\tBilled Duration: N ms\tMemory Size: N MB\tMax Memory Used: N MB\t"
        "Restore Duration: N ms\tBilled Restore Duration: N ms\t",
    ]
    assert "Restore" not in second["log"] and "Init" not in second["log"]
    figures = {key: float(value) for key, value in re.findall(r"([A-Z][A-Za-z ]+): ([\d.]+) ms", first["log"])}
    assert figures["Billed Duration"] == -(-(figures["Duration"] + figures["Billed Restore Duration"]) // 1)
    # The restored environment's stream begins with the restore.
    until(lambda: sum("REPORT RequestId" in line for line in messages(logs, name)) == 2)
    restored = next(lines for lines in streams(logs, name).values() if any("START RequestId" in line for line in lines))
    lines = [masked(line) for line in restored]
    assert lines[0].startswith("RESTORE_START Runtime Version: python:3.12.")
    assert lines[1:3] == ["restored", "RESTORE_REPORT Restore Duration: N ms"] and "START" in lines[3]


def test_randomness_is_every_environments_own(lam, name):
    from concurrent.futures import ThreadPoolExecutor

    snap(lam, name)
    version = published(lam, name)
    with ThreadPoolExecutor(6) as pool:
        ask = lambda _: invoke(lam, name, {"sleep": 1, "draw": True}, Qualifier=version)["payload"]
        drawn = [one["drawn"] for one in pool.map(ask, range(6))]
    assert len({number for number, _ in drawn}) == len({unique for _, unique in drawn}) == 6


def test_the_variables_of_a_snapshot(lam, name):
    snap(lam, name)
    env = invoke(lam, name, {"env": True}, Qualifier=published(lam, name))["payload"]["env"]
    assert env["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start"
    assert env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "http://127.0.0.1:9001/2021-04-23/credentials"
    assert env["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
    missing = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_LOG_GROUP_NAME",
               "AWS_LAMBDA_LOG_STREAM_NAME"}
    assert not missing & set(env)
    env = invoke(lam, name, {"env": True})["payload"]["env"]
    assert env["AWS_LAMBDA_INITIALIZATION_TYPE"] == "on-demand" and missing <= set(env)


def test_boto3_gets_its_keys_from_the_endpoint(lam, name):
    code = """
import boto3, os
def handler(event, context):
    session = boto3.Session()
    keys = session.get_credentials()
    found = session.client("lambda").get_function_configuration(FunctionName=os.environ["AWS_LAMBDA_FUNCTION_NAME"])
    return [keys.method, keys.access_key[:4], found["FunctionName"]]
"""
    snap(lam, name, code, MemorySize=512)
    answer = invoke(lam, name, {}, Qualifier=published(lam, name))
    assert answer["payload"] == ["container-role", "ASIA", name]


def test_an_init_that_fails_fails_the_version(lam, logs, name):
    snap(lam, name, "raise ValueError('no')\ndef handler(e, c): return 1\n")
    assert lam.publish_version(FunctionName=name)["State"] == "Pending"
    until(lambda: state(lam, name, "1")["State"] == "Failed")
    assert state(lam, name, "1") == {
        "State": "Failed", "StateReason": "An error occurred during function initialization.",
        "StateReasonCode": "FunctionError", "LastUpdateStatus": None,
    }
    found = lam.get_function_configuration(FunctionName=name, Qualifier="1")
    assert found["SnapStart"]["OptimizationStatus"] == "Off"
    assert "INIT_REPORT Init Duration: N ms\tPhase: init\tStatus: error\tError Type: Runtime.Unknown" in [
        masked(line) for line in until(lambda: [x.rstrip("\n") for x in messages(logs, name) if "INIT_REPORT" in x])
    ]
    assert refused(lam.invoke, FunctionName=name, Qualifier="1")[:2] == (409, "ResourceConflictException")
    conflict = refused(lam.create_alias, FunctionName=name, Name="live", FunctionVersion="1")
    assert conflict[:2] == (409, "ResourceConflictException") and "StateReasonCode: 'FunctionError'" in conflict[2]
    # It is not what a later publication finds, though nothing has changed.
    assert lam.publish_version(FunctionName=name)["Version"] == "2"


def test_a_pending_version_is_not_called_and_may_be_deleted(lam, name):
    snap(lam, name, "import time\ntime.sleep(60)\ndef handler(e, c): return 1\n")
    lam.publish_version(FunctionName=name)
    assert lam.publish_version(FunctionName=name)["Version"] == "1"
    for request in ({}, {"InvocationType": "Event"}):
        assert refused(lam.invoke, FunctionName=name, Qualifier="1", **request) == (
            409, "SnapStartNotReadyException",
            "Lambda is initializing your function. It will be ready to invoke once your function state becomes ACTIVE.",
        )
    # Neither $LATEST nor what hangs on the version waits for it.
    lam.update_function_configuration(FunctionName=name, Description="other")
    wait_active(lam, name)
    lam.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    lam.delete_alias(FunctionName=name, Name="live")
    lam.delete_function(FunctionName=name, Qualifier="1")
    assert refused(lam.get_function_configuration, FunctionName=name, Qualifier="1")[0] == 404
    lam.delete_function(FunctionName=name)


def test_publishing_with_a_change_initialises_what_changed(lam, name):
    code = "import time\nat = time.time()\ndef handler(e, c): return [c.function_version, at]\n"
    lam.create_function(
        FunctionName=name, Runtime=PYTHON_SNAP, Handler="index.handler", Role=ROLE, Publish=True, SnapStart=SNAP,
        Code={"ZipFile": zip_of({"index.py": code})},
    )
    lam.get_waiter("published_version_active").wait(
        FunctionName=name, Qualifier="1", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    before = time.time()
    assert invoke(lam, name, {}, Qualifier="1")["payload"][1] < before
    answer = lam.update_function_code(FunctionName=name, Publish=True, ZipFile=zip_of({"index.py": code + "#"}))
    assert (answer["Version"], answer["State"]) == ("2", "Pending")
    until(lambda: state(lam, name, "2")["State"] == "Active")
    before = time.time()
    version, at = invoke(lam, name, {}, Qualifier="2")["payload"]
    assert version == "2" and at < before


def test_hooks_that_fail(lam, logs, name):
    code = "from snapshot_restore_py import *\n@register_%s\ndef hook():\n    raise KeyError('gone')\ndef handler(e, c): pass\n"
    snap(lam, name, code % "after_restore")
    version = published(lam, name)
    assert refused(lam.invoke, FunctionName=name, Qualifier=version) == (
        400, "SnapStartException",
        "The afterRestore() runtime hook encountered an error. For more information, check the Amazon CloudWatch logs.",
    )
    line = until(lambda: [masked(line.rstrip("\n")) for line in messages(logs, name) if "RESTORE_REPORT" in line])
    assert line[0] == "RESTORE_REPORT Restore Duration: N ms\tStatus: error\tError Type: Runtime.AfterRestoreError"
    assert any("[ERROR] KeyError: 'gone'" in line for line in messages(logs, name))
    lam.update_function_code(FunctionName=name, ZipFile=zip_of({"index.py": code % "before_snapshot"}))
    wait_active(lam, name)
    version = lam.publish_version(FunctionName=name)["Version"]
    until(lambda: state(lam, name, version)["State"] == "Failed")
    assert state(lam, name, version)["StateReasonCode"] == "FunctionError"


def test_a_hook_has_ten_seconds(lam, logs, name):
    code = "import time\nfrom snapshot_restore_py import *\nregister_after_restore(time.sleep, 60)\ndef handler(e, c): pass\n"
    snap(lam, name, code)
    version = published(lam, name)
    began = time.monotonic()
    assert refused(lam.invoke, FunctionName=name, Qualifier=version) == (
        408, "SnapStartTimeoutException", "Lambda couldn't restore the snapshot within the timeout limit.",
    )
    assert 9.5 < time.monotonic() - began < 15
    line = until(lambda: [line.rstrip("\n") for line in messages(logs, name) if "RESTORE_REPORT" in line])
    assert re.fullmatch(r"RESTORE_REPORT Restore Duration: 1\d{4}\.\d\d ms\tStatus: timeout", line[0]), line


def test_an_environment_that_crashed_is_replaced_by_a_restored_one(lam, name):
    snap(lam, name)
    version = published(lam, name)
    crashed = invoke(lam, name, {"crash": True}, Qualifier=version)
    assert crashed["FunctionError"] == "Unhandled" and crashed["payload"]["errorType"] == "Runtime.ExitError"
    other = invoke(lam, name, {}, Qualifier=version, LogType="Tail")
    assert other["payload"]["hooks"] == ["before", "after"]
    assert "Restore Duration" in other["log"]


def test_json_logs_tell_the_restore(lam, logs, name):
    snap(lam, name, LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": "DEBUG"})
    version = published(lam, name)
    invoke(lam, name, {}, Qualifier=version)
    lines = until(lambda: (lambda found: found if any("platform.report" in line for line in found) else None)(messages(logs, name)))
    events = [json.loads(line) for line in lines if '"platform.' in line]
    kinds = [event["type"] for event in events]
    for kind in ("initStart", "initRuntimeDone", "initReport", "restoreStart", "restoreRuntimeDone", "restoreReport"):
        assert f"platform.{kind}" in kinds, kinds
    of = lambda kind: next(event["record"] for event in events if event["type"] == f"platform.{kind}")
    assert of("initStart")["initializationType"] == of("initReport")["initializationType"] == "snap-start"
    start = of("restoreStart")
    assert (start["functionName"], start["functionVersion"]) == (name, version)
    assert start["instanceId"] != of("initStart")["instanceId"] and start["runtimeVersion"].startswith("python:3.12.")
    assert of("restoreRuntimeDone") == {"status": "success"}
    assert of("restoreReport")["status"] == "success" and of("restoreReport")["metrics"]["durationMs"] > 0
    metrics = of("report")["metrics"]
    assert metrics["restoreDurationMs"] > 0 and metrics["billedRestoreDurationMs"] >= 0
    assert "initDurationMs" not in metrics


def test_what_snap_start_refuses(lam, name):
    base = {"Role": ROLE, "Handler": "index.handler", "Code": {"ZipFile": zip_of({"index.py": WHO})}, "SnapStart": SNAP}
    large = "Ephemeral storage greater than 512 MB is not supported for SnapStart enabled functions."
    for change, words in (
        ({"Runtime": "nodejs22.x"}, "nodejs22.x is not supported for SnapStart enabled functions."),
        ({"Runtime": "python3.11"}, "python3.11 is not supported for SnapStart enabled functions."),
        ({"Runtime": PYTHON_SNAP, "EphemeralStorage": {"Size": 513}}, large),
    ):
        assert refused(lam.create_function, FunctionName=name, **{**base, **change}) == (
            400, "InvalidParameterValueException", words)
    create(lam, name, WHO, runtime=PYTHON_SNAP, EphemeralStorage={"Size": 1024})
    update = lambda **change: refused(lam.update_function_configuration, FunctionName=name, **change)
    assert update(SnapStart=SNAP)[2] == large
    lam.update_function_configuration(FunctionName=name, SnapStart=SNAP, EphemeralStorage={"Size": 512})
    wait_active(lam, name)
    assert update(EphemeralStorage={"Size": 1024})[2] == large
    assert update(Runtime="python3.9")[2] == "python3.9 is not supported for SnapStart enabled functions."
    version = published(lam, name)
    lam.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
    for qualifier in (version, "live"):
        assert refused(lam.put_provisioned_concurrency_config, FunctionName=name, Qualifier=qualifier,
                       ProvisionedConcurrentExecutions=1) == (
            400, "InvalidParameterValueException",
            "Provisioned Concurrency is not supported for SnapStart enabled functions.")


def test_aws_own_library_and_client(lam, name):
    # The stock client in the place of ours, with the hooks' library from PyPI beside it.
    package = pathlib.Path(RIC, "python")
    files = {str(path.relative_to(package)): path.read_bytes() for path in sorted(package.rglob("*"))
             if path.is_file() and "__pycache__" not in path.parts}
    files["index.py"] = WHO.replace("told = {", 'import snapshot_restore_py\ntold = {"library": snapshot_restore_py.__file__, ').encode()
    files["wrap"] = b'#!/bin/sh\nexport PYTHONPATH=/var/task\nexec /usr/bin/python3 -m awslambdaric "$_HANDLER"\n'
    snap(lam, name, files, modes={"wrap": 0o755}, MemorySize=512)
    # First ours, which finds the package of the function's own.
    told = invoke(lam, name, {}, Qualifier=published(lam, name))["payload"]
    assert told["library"] == "/var/task/snapshot_restore_py.py" and told["hooks"] == ["before", "after"]
    lam.update_function_configuration(
        FunctionName=name, Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/wrap"}})
    wait_active(lam, name)
    version = published(lam, name)
    answer = invoke(lam, name, {"env": True}, Qualifier=version, LogType="Tail")
    told = answer["payload"]
    assert told["library"] == "/var/task/snapshot_restore_py.py" and told["hooks"] == ["before", "after"]
    assert told["env"]["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start" and "Restore Duration" in answer["log"]


def test_a_restart_takes_up_what_is_pending(fresh, tmp_path):
    gate = "import time, os\nif not os.path.exists('/var/task/open'):\n    time.sleep(3)\ndef handler(e, c): return 'there'\n"
    server = fresh()
    lam = server.client("lambda")
    snap(lam, "pending", gate)
    lam.publish_version(FunctionName="pending")
    assert state(lam, "pending", "1")["State"] == "Pending"
    server.kill()
    server.start()
    lam = server.client("lambda")
    assert state(lam, "pending", "1")["State"] in ("Pending", "Active")
    until(lambda: state(lam, "pending", "1")["State"] == "Active")
    assert invoke(lam, "pending", {}, Qualifier="1")["payload"] == "there"
    # Of a version that is active nothing is kept: its first call after a restart is restored all the same.
    server.stop()
    server.start()
    answer = invoke(server.client("lambda"), "pending", {}, Qualifier="1", LogType="Tail")
    assert answer["payload"] == "there" and "Restore Duration" in answer["log"]


def test_the_command_line_waits_for_the_version(server, lam, name):
    snap(lam, name)
    run = lambda *words: subprocess.run([AWS, "lambda", *words], env=server.cli_env(), capture_output=True, text=True, check=True).stdout
    version = json.loads(run("publish-version", "--function-name", name))["Version"]
    run("wait", "published-version-active", "--function-name", name, "--qualifier", version)
    shown = json.loads(run("get-function-configuration", "--function-name", f"{name}:{version}"))
    assert shown["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}
    assert shown["State"] == "Active"
