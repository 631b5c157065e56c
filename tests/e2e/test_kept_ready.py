"""Environments that are kept ready: warmed before use, first choice, replaced, and told of as they stand."""

import concurrent.futures
import os
import pathlib
import signal

import pytest

from botocore.exceptions import ClientError
from samovar import create, invoke, messages, until, wait_active
from test_metrics import Figures

KIND = """import os, time
STARTED = time.time()
def handler(event, context):
    time.sleep(event.get("sleep", 0) if isinstance(event, dict) else 0)
    return {"kind": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], "started": STARTED, "stream": context.log_stream_name}
"""
BAD = "raise RuntimeError('no')\n"
VALUES = ("Requested", "Allocated", "Available")


def put(lam, name, qualifier, amount):
    return lam.put_provisioned_concurrency_config(
        FunctionName=name, Qualifier=qualifier, ProvisionedConcurrentExecutions=amount
    )


def stands(lam, name, qualifier):
    found = lam.get_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier)
    return found["Status"], *(found[f"{value}ProvisionedConcurrentExecutions"] for value in VALUES)


def settled(lam, name, qualifier, amount):
    until(lambda: stands(lam, name, qualifier) == ("READY", amount, amount, amount))


def publish(lam, name, code=KIND, **more):
    create(lam, name, code, **more)
    return lam.publish_version(FunctionName=name)["Version"]


def kinds(lam, name, qualifier, count, sleep=0.5):
    """What each of some invocations at once ran in."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        runs = [pool.submit(invoke, lam, name, {"sleep": sleep}, Qualifier=qualifier) for _ in range(count)]
        return sorted(run.result()["payload"]["kind"] for run in runs)


def test_they_are_warmed_before_the_first_call(lam, logs, name):
    publish(lam, name)
    made = put(lam, name, "1", 2)
    assert made["Status"] == "IN_PROGRESS" and made["AllocatedProvisionedConcurrentExecutions"] == 0
    settled(lam, name, "1", 2)
    until(lambda: sum("INIT_REPORT Init Duration" in line for line in messages(logs, name)) == 2)
    assert sum("INIT_START" in line for line in messages(logs, name)) == 2
    first = invoke(lam, name, {}, Qualifier="1", LogType="Tail")
    assert first["payload"]["kind"] == "provisioned-concurrency"
    assert "REPORT" in first["log"] and "Init Duration" not in first["log"]
    # Nobody waits for them under another name, and what comes beyond them runs on demand.
    assert invoke(lam, name, {})["payload"]["kind"] == "on-demand"
    assert kinds(lam, name, "1", 3) == ["on-demand"] + 2 * ["provisioned-concurrency"]
    lam.delete_provisioned_concurrency_config(FunctionName=name, Qualifier="1")
    with pytest.raises(ClientError, match="No Provisioned Concurrency Config found"):
        stands(lam, name, "1")
    assert invoke(lam, name, {}, Qualifier="1")["payload"]["kind"] == "on-demand"


def test_they_follow_their_alias(lam, name):
    publish(lam, name)
    lam.update_function_configuration(FunctionName=name, Description="second")
    wait_active(lam, name)
    lam.publish_version(FunctionName=name)
    lam.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    put(lam, name, "live", 2)
    settled(lam, name, "live", 2)
    assert kinds(lam, name, "live", 2) == 2 * ["provisioned-concurrency"]
    assert invoke(lam, name, {}, Qualifier="2")["payload"]["kind"] == "on-demand"
    lam.update_alias(FunctionName=name, Name="live", FunctionVersion="2")
    settled(lam, name, "live", 2)
    assert kinds(lam, name, "live", 2) == 2 * ["provisioned-concurrency"]
    # Two versions share them by weight.
    weights = {"AdditionalVersionWeights": {"1": 0.5}}
    lam.update_alias(FunctionName=name, Name="live", RoutingConfig=weights)
    settled(lam, name, "live", 2)
    for version in ("1", "2"):
        until(lambda: kinds(lam, name, version, 2) == ["on-demand", "provisioned-concurrency"])


def test_an_init_that_fails_is_told(lam, name):
    publish(lam, name, BAD)
    put(lam, name, "1", 1)
    until(lambda: stands(lam, name, "1")[0] == "FAILED")
    found = lam.get_provisioned_concurrency_config(FunctionName=name, Qualifier="1")
    assert found["StatusReason"] == "FUNCTION_ERROR_INIT_FAILURE"
    assert found["AvailableProvisionedConcurrentExecutions"] == 0
    lam.delete_provisioned_concurrency_config(FunctionName=name, Qualifier="1")


def inits_of(server):
    """The first processes of this server's sandboxes, those included that wait for a function."""
    def is_first(process):
        status = pathlib.Path(f"/proc/{process}/status").read_text()
        return any(line.startswith("NSpid:") and line.split()[2:] == ["1"] for line in status.splitlines())
    return [process for process in server.children() if is_first(process)]


def test_one_that_is_killed_is_replaced_and_all_stand_again_after_a_restart(fresh):
    server = fresh()
    lam = server.client("lambda")
    publish(lam, "f")
    put(lam, "f", "1", 1)
    settled(lam, "f", "1", 1)
    before = invoke(lam, "f", {}, Qualifier="1")["payload"]
    # A frozen runtime would die of its own kill only with its next call.
    for process in inits_of(server):
        os.kill(process, signal.SIGKILL)
    def replaced():
        now = invoke(lam, "f", {}, Qualifier="1")["payload"]
        return now.get("kind") == "provisioned-concurrency" and now["stream"] != before["stream"]
    until(replaced)
    settled(lam, "f", "1", 1)
    server.kill()
    server.start()
    settled(lam, "f", "1", 1)
    first = invoke(lam, "f", {}, Qualifier="1", LogType="Tail")
    assert first["payload"]["kind"] == "provisioned-concurrency" and "Init Duration" not in first["log"]


def test_a_machine_without_memory_closes_what_idles_and_then_refuses(fresh):
    server = fresh("--memory-limit", "40MiB")
    lam = server.client("lambda", attempts=1)
    hog = "held = bytearray(30 << 20)\n" + KIND
    for name in ("f", "g"):
        create(lam, name, hog, MemorySize=256, Timeout=30)
    assert invoke(lam, "f", {})["payload"]["kind"] == "on-demand"
    standing = [Figures(server).value("samovar_environments", state=state) for state in ("starting", "idle", "busy")]
    assert sum(standing) == 1
    # It idles, and is closed for another.
    assert invoke(lam, "g", {})["payload"]["kind"] == "on-demand"
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        busy = pool.submit(invoke, lam, "g", {"sleep": 20})
        with pytest.raises(ClientError) as refused:
            until(lambda: invoke(lam, "f", {}) and False, 15)
        assert busy.result()["payload"]["kind"] == "on-demand"
    error = refused.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert error["Reason"] == "ConcurrentInvocationLimitExceeded"
    assert "This machine is full" in error["Error"]["Message"]
    assert Figures(server).counts("f")["throttles"] == 1


def test_aws_rates_hold_where_they_are_asked_for(fresh):
    server = fresh("--aws-limits")
    lam = server.client("lambda", attempts=1)
    create(lam, "f", KIND)
    lam.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    with pytest.raises(ClientError) as refused:
        for _ in range(200):
            invoke(lam, "f", {})
    error = refused.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert error["Reason"] == "ReservedFunctionInvocationRateLimitExceeded"
    assert error["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"


def test_five_hundred_at_once_on_a_small_machine_are_answered_or_throttled(fresh):
    server = fresh("--memory-limit", "400MiB")
    lam = server.client("lambda", attempts=1)
    create(lam, "f", KIND, Timeout=30)

    def one(_):
        try:
            return invoke(lam, "f", {"sleep": 0.1})["StatusCode"]
        except ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"]

    with concurrent.futures.ThreadPoolExecutor(500) as pool:
        answers = list(pool.map(one, range(500)))
    assert set(answers) <= {200, 429}, {answer: answers.count(answer) for answer in set(answers)}
    assert answers.count(200) > 100
