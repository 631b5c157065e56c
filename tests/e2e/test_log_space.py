"""Logs within the space and the time that they have: what is oldest goes, and the server says so."""

import random
import re
import subprocess

import pytest

from cloudwatch import now
from samovar import BINARY, create, events_of, invoke, until

MIB = 1024 * 1024
BOUND = 64 * MIB
# Lines that hardly compress, so that the bound is soon reached.
MESSAGE = 240_000
BATCH = 4


def text(number, size=MESSAGE):
    return f"{number:06d} " + random.Random(number).randbytes(size // 2).hex()


def put(logs, group, numbers, stream="s"):
    at = now()
    events = [{"timestamp": at, "message": text(number)} for number in numbers]
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def numbers_of(logs, group):
    """The numbers of a group's events."""
    return [int(message[:6]) for message in events_of(logs, group)]


def disk_use(server):
    return sum(path.stat().st_size for path in (server.data_dir / "logs").rglob("*") if path.is_file())


def test_the_oldest_events_go_when_the_space_is_used_up_and_the_server_says_so(fresh):
    server = fresh("--log-space", "64MiB")
    logs = server.client("logs")
    for group in ["old", "busy", "small"]:
        logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName="s")
    put(logs, "small", [0])
    written = 0

    def write_until(size):
        nonlocal written
        while size > 0:
            group = "old" if written < 40 else "busy"
            put(logs, group, range(written, written + BATCH))
            written += BATCH
            size -= BATCH * MESSAGE

    warning = "the oldest log events were removed for want of room"
    write_until(BOUND + 32 * MIB)
    for _ in range(20):
        if warning in server.output():
            break
        write_until(16 * MIB)
    until(lambda: warning in server.output(), 5)
    line = next(line for line in server.output().splitlines() if warning in line)
    assert re.search(r"WARN.*removed=\d+.*logs=\d+", re.sub(r"\x1b\[[0-9;]*m", "", line))

    left = numbers_of(logs, "busy")
    assert left == list(range(left[0], written)), "a stretch without a gap up to the latest event"
    gone = numbers_of(logs, "old")
    assert not gone or gone[-1] == 39, "of the older group the oldest went first"
    assert len(gone) < 40
    put(logs, "busy", [written])
    assert numbers_of(logs, "busy")[-1] == written

    assert server.stop() == 0
    server.start()
    logs = server.client("logs")
    assert numbers_of(logs, "busy")[-1] == written
    assert [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]] == ["busy", "old", "small"]
    assert disk_use(server) < BOUND + 80 * MIB


def test_groups_of_functions_have_the_retention_that_was_set_and_others_keep_theirs(fresh):
    server = fresh("--log-retention", "7")
    lam, logs = server.client("lambda"), server.client("logs")
    logs.create_log_group(logGroupName="/aws/lambda/mine")
    logs.create_log_group(logGroupName="theirs")
    for name in ["mine", "made"]:
        create(lam, name, "def handler(e, c):\n    print('hello')\n")
        invoke(lam, name)
    until(lambda: "hello\n" in events_of(logs, "/aws/lambda/made"))

    def retentions():
        groups = logs.describe_log_groups()["logGroups"]
        return {group["logGroupName"]: group.get("retentionInDays") for group in groups}

    expected = {"/aws/lambda/made": 7, "/aws/lambda/mine": None, "theirs": None}
    assert retentions() == expected
    logs.put_retention_policy(logGroupName="/aws/lambda/made", retentionInDays=1)
    assert server.stop() == 0
    server.start()
    logs = server.client("logs")
    assert retentions() == {**expected, "/aws/lambda/made": 1}
    logs.delete_retention_policy(logGroupName="/aws/lambda/made")
    assert retentions() == {**expected, "/aws/lambda/made": None}


def test_expired_events_are_refused_and_not_shown(fresh):
    server = fresh()
    logs = server.client("logs")
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    day = 24 * 60 * 60 * 1000
    old, late = now() - 2 * day, now()

    def put_at(at, message):
        events = [{"timestamp": at, "message": message}]
        return logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=events)

    put_at(old, "old")
    put_at(late, "late")
    assert events_of(logs, "g") == ["old", "late"]
    logs.put_retention_policy(logGroupName="g", retentionInDays=1)
    assert events_of(logs, "g") == ["late"]
    refused = put_at(old, "too late")["rejectedLogEventsInfo"]
    assert refused == {"expiredLogEventEndIndex": 1}
    logs.delete_retention_policy(logGroupName="g")
    assert events_of(logs, "g") == ["old", "late"], "what was not removed yet is there again"


@pytest.mark.parametrize("flags", [("--log-space", "1MiB"), ("--log-space", "lots"), ("--log-retention", "2")])
def test_limits_that_cannot_be_meant_are_told_before_anything_starts(tmp_path, flags):
    data = tmp_path / "data"
    ended = subprocess.run([BINARY, "serve", "--data-dir", str(data), *flags], capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0 and flags[0][2:].replace("-", "_") in ended.stderr, ended
    assert not data.exists()
