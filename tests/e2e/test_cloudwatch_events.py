"""Log events: put, read back, filtered; their limits, and AWS's words for what is over them."""

import json
import re
import subprocess

import pytest

from cloudwatch import NO_GROUP, NO_STREAM, arn, aws, broken, cli, invalid, now, told, violated
from samovar import create, events_of, invoke, messages, until

HOUR = 3_600_000
DAY = 24 * HOUR
MIB = 1024 * 1024


@pytest.fixture
def stream(logs, name):
    """Group and stream of a test's own."""
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    return {"logGroupName": name, "logStreamName": "s"}


def event(message, at=None):
    return {"timestamp": now() if at is None else at, "message": message}


def batch(*messages):
    at = now()
    return [event(message, at) for message in messages]


class TestPutting:
    def test_and_reading_back(self, logs, stream):
        sent = [event(message, now() - 5 + number) for number, message in enumerate(["a", "b\n", " é\x00\U0001f375"])]
        answer = logs.put_log_events(**stream, logEvents=sent)
        assert told(lambda: answer) == {"nextSequenceToken": "*"}
        assert re.fullmatch(r"\d{56}", answer["nextSequenceToken"])
        group = stream["logGroupName"]
        assert told(logs.get_log_events, **stream, startFromHead=True) == {
            "events": [{**one, "ingestionTime": "*"} for one in sent], "nextForwardToken": "*", "nextBackwardToken": "*",
        }
        assert told(logs.filter_log_events, logGroupName=group) == {
            "events": [{**one, "logStreamName": "s", "ingestionTime": "*", "eventId": "*"} for one in sent],
            "searchedLogStreams": [],
        }
        found = logs.describe_log_streams(logGroupName=group)["logStreams"][0]
        assert (found["firstEventTimestamp"], found["lastEventTimestamp"]) == (sent[0]["timestamp"], sent[-1]["timestamp"])
        assert abs(found["lastIngestionTime"] - now()) < 60_000

    def test_takes_any_sequence_token(self, logs, stream):
        for token in ("1", "49" * 28, "nonsense"):
            assert told(logs.put_log_events, **stream, logEvents=batch("x"), sequenceToken=token) == {
                "nextSequenceToken": "*"
            }
        assert len(events_of(logs, stream["logGroupName"])) == 3

    def test_is_durable_when_it_answers(self, fresh):
        server = fresh()
        logs = server.client("logs")
        logs.create_log_group(logGroupName="g")
        logs.create_log_stream(logGroupName="g", logStreamName="s")
        for number in range(5):
            logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=batch(f"m{number}"))
        server.kill()
        server.start()
        assert events_of(server.client("logs"), "g") == [f"m{number}" for number in range(5)]

    def test_an_event_of_the_greatest_size(self, logs, stream):
        largest = "x" * (MIB - 26)
        assert told(logs.put_log_events, **stream, logEvents=batch(largest)) == {"nextSequenceToken": "*"}
        assert events_of(logs, stream["logGroupName"]) == [largest]

    def test_the_greatest_number_of_events(self, logs, stream):
        sent = [str(number) for number in range(10_000)]
        assert told(logs.put_log_events, **stream, logEvents=batch(*sent)) == {"nextSequenceToken": "*"}
        assert events_of(logs, stream["logGroupName"]) == sent

    def test_a_day_of_events(self, logs, stream):
        sent = [event("first", now() - DAY), event("last", now())]
        sent[1]["timestamp"] = sent[0]["timestamp"] + DAY
        assert told(logs.put_log_events, **stream, logEvents=sent) == {"nextSequenceToken": "*"}

    @pytest.mark.parametrize(
        "events, refusal", [
            (lambda: batch("x" * (MIB - 25)), invalid("Log event too large: 1048577 bytes exceeds limit of 1048576")),
            (lambda: batch("é" * (MIB // 2)), invalid("Log event too large: 1048602 bytes exceeds limit of 1048576")),
            (lambda: batch("x" * (MIB // 2), "y" * (MIB // 2)),
             invalid("Upload too large: 1048628 bytes exceeds limit of 1048576")),
            (lambda: [event("b"), event("a", now() - 1000)],
             invalid("Log events in a single PutLogEvents request must be in chronological order.")),
            (lambda: [event("a", now() - DAY - 1000), event("b")],
             invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")),
            (lambda: [], violated(broken("'[]'", "logEvents", "have length greater than or equal to 1"))),
            (lambda: batch(""), violated(
                broken("''", "logEvents.1.member.message", "have length greater than or equal to 1")
            )),
            (lambda: [{"message": "x"}], violated(broken("null", "logEvents.1.member.timestamp", "not be null"))),
            (lambda: [event("x", -1)], violated(
                broken("'-1'", "logEvents.1.member.timestamp", "have value greater than or equal to 0")
            )),
        ],
        ids=["event", "utf-8", "batch", "order", "span", "none", "empty", "no time", "before 1970"],
    )
    def test_is_refused_whole(self, lax, logs, stream, events, refusal):
        assert told(lax.put_log_events, **stream, logEvents=events()) == refusal
        assert events_of(logs, stream["logGroupName"]) == []

    def test_too_many_events(self, lax, stream):
        status, code, message = told(lax.put_log_events, **stream, logEvents=batch(*["x"] * 10_001))
        assert (status, code) == (400, "InvalidParameterException")
        assert message.startswith("1 validation error detected: Value '[") and message.endswith(
            "' at 'logEvents' failed to satisfy constraint: Member must have length less than or equal to 10000"
        )

    @pytest.mark.parametrize(
        "offsets, info, kept", [
            ([-15 * DAY, -14 * DAY - HOUR], {"tooOldLogEventEndIndex": 2}, 0),
            ([-14 * DAY - HOUR, -14 * DAY + HOUR], {"tooOldLogEventEndIndex": 1}, 1),
            ([HOUR, 3 * HOUR], {"tooNewLogEventStartIndex": 1}, 1),
            ([3 * HOUR, 4 * HOUR], {"tooNewLogEventStartIndex": 0}, 0),
        ], ids=["all too old", "one too old", "one too new", "all too new"],
    )
    def test_rejects_what_is_too_old_or_too_new(self, logs, stream, offsets, info, kept):
        sent = [event(f"at {offset}", now() + offset) for offset in offsets]
        answer = told(logs.put_log_events, **stream, logEvents=sent)
        assert answer == {"nextSequenceToken": "*", "rejectedLogEventsInfo": info}
        assert len(events_of(logs, stream["logGroupName"])) == kept

    def test_rejects_what_the_group_keeps_no_longer(self, logs, stream):
        logs.put_retention_policy(logGroupName=stream["logGroupName"], retentionInDays=1)
        sent = [event("gone", now() - 25 * HOUR), event("there", now() - 2 * HOUR)]
        answer = told(logs.put_log_events, **stream, logEvents=sent)
        assert answer == {"nextSequenceToken": "*", "rejectedLogEventsInfo": {"expiredLogEventEndIndex": 1}}
        assert events_of(logs, stream["logGroupName"]) == ["there"]

    def test_to_nowhere(self, logs, stream):
        nowhere = {**stream, "logStreamName": "none"}
        assert told(logs.put_log_events, **nowhere, logEvents=batch("x")) == NO_STREAM
        assert told(logs.put_log_events, logGroupName="none", logStreamName="s", logEvents=batch("x")) == NO_GROUP
        assert told(logs.get_log_events, **nowhere) == NO_STREAM
        assert told(logs.filter_log_events, logGroupName="none") == NO_GROUP


class TestFiltering:
    @pytest.fixture(scope="class")
    def group(self, server):
        logs = server.client("logs")
        logs.create_log_group(logGroupName="filtered")
        at = now() - 10_000
        for stream in ("web/1", "web/2", "db"):
            logs.create_log_stream(logGroupName="filtered", logStreamName=stream)
            lines = [f"ERROR {stream} broke", f"INFO {stream} fine", json.dumps({"level": "warn", "ms": 42, "of": stream})]
            logs.put_log_events(
                logGroupName="filtered", logStreamName=stream, logEvents=[event(line, at + n) for n, line in enumerate(lines)]
            )
        return "filtered"

    @pytest.mark.parametrize(
        "asked, count", [
            ({}, 9),
            ({"filterPattern": ""}, 9),
            ({"filterPattern": "ERROR"}, 3),
            ({"filterPattern": "ERROR web"}, 2),
            ({"filterPattern": "?ERROR ?INFO"}, 6),
            ({"filterPattern": "-ERROR -INFO"}, 3),
            ({"filterPattern": '"db broke"'}, 1),
            ({"filterPattern": "%web.[12] f%"}, 2),
            ({"filterPattern": '{ $.level = "warn" && $.ms >= 42 }'}, 3),
            ({"filterPattern": '{ $.of = "web/*" }'}, 2),
            ({"filterPattern": "[level=INFO, ..., last=fine]"}, 3),
            ({"filterPattern": "ERROR", "logStreamNames": ["db", "web/1"]}, 2),
            ({"filterPattern": "ERROR", "logStreamNamePrefix": "web/"}, 2),
            ({"filterPattern": "ERROR", "limit": 1}, 3),
        ], ids=str,
    )
    def test_by_pattern_and_stream(self, logs, group, asked, count):
        limit = {"PaginationConfig": {"PageSize": asked["limit"]}} if "limit" in asked else {}
        assert len(events_of(logs, group, **{key: v for key, v in asked.items() if key != "limit"}, **limit)) == count

    @pytest.mark.parametrize(
        "asked, refusal", [
            ({"filterPattern": "{ $.a = 1"}, invalid("If a filter pattern starts with '{' it must end with '}'")),
            ({"filterPattern": "a:b"}, invalid("Invalid character(s) in term ':'")),
            ({"limit": 10_001}, violated(broken("'10001'", "limit", "have value less than or equal to 10000"))),
            ({"nextToken": "x"}, invalid("The specified nextToken is invalid.")),
            ({"logStreamNames": ["none"]}, NO_STREAM),
            ({"logStreamNames": ["db"], "logStreamNamePrefix": "w"},
             invalid("logStreamNames and logStreamNamePrefix are mutually exclusive parameters.")),
            ({"startFromHead": False, "startTime": 1}, invalid(
                "startFromHead can be false only when startTime is on or after Jan 1, 2024 00:00:00 UTC."
            )),
        ], ids=str,
    )
    def test_refused(self, lax, group, asked, refusal):
        assert told(lax.filter_log_events, logGroupName=group, **asked) == refusal

    def test_by_arn(self, logs, group):
        assert len(logs.filter_log_events(logGroupIdentifier=arn(group))["events"]) == 9
        assert told(logs.filter_log_events, logGroupIdentifier=arn(group), logGroupName=group) == invalid(
            "You must include either logGroupIdentifier or logGroupName, but not both."
        )


def test_a_function_puts_events_into_groups_of_its_account(server, lam, logs, name):
    code = (
        "import json, os, time, urllib.request\n"
        "def handler(event, context):\n"
        "    url = os.environ['AWS_ENDPOINT_URL']\n"
        "    scope = '20260101/us-east-1/logs/aws4_request'\n"
        "    key = os.environ['AWS_ACCESS_KEY_ID']\n"
        "    def call(operation, **body):\n"
        "        sent = urllib.request.Request(url, json.dumps(body).encode(), {\n"
        "            'X-Amz-Target': 'Logs_20140328.' + operation, 'Content-Type': 'application/x-amz-json-1.1',\n"
        "            'X-Amz-Security-Token': os.environ.get('AWS_SESSION_TOKEN', ''),\n"
        "            'Authorization': f'AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders=host, Signature=00'})\n"
        "        return urllib.request.urlopen(sent).status\n"
        "    where = {'logGroupName': event, 'logStreamName': 'mine'}\n"
        "    return [call('CreateLogGroup', logGroupName=event), call('CreateLogStream', **where),\n"
        "            call('PutLogEvents', **where, logEvents=[{'timestamp': int(time.time() * 1000), 'message': 'within'}])]\n"
    )
    create(lam, name, code)
    assert invoke(lam, name, f"/own/{name}")["payload"] == [200, 200, 200]
    assert events_of(logs, f"/own/{name}") == ["within"]


def test_bytes_that_are_no_text_and_lines_of_any_length(lam, logs, name):
    code = (
        "import os\n"
        "def handler(event, context):\n"
        "    os.write(1, b'\\xff\\xfe\\x00 odd\\n')\n"
        "    os.write(1, b'k' * (300 * 1024) + b'\\n')\n"
        "    os.write(1, b'm' * (3 * 1024 * 1024) + b'\\n')\n"
        "    os.write(1, b'no end')\n"
    )
    create(lam, name, code)
    invoke(lam, name)
    invoke(lam, name)

    def written():
        lines = messages(logs, name)
        return lines if sum(line.startswith("REPORT") for line in lines) == 2 else None

    lines = [line for line in until(written) if not line.startswith(("INIT_START", "START", "END", "REPORT"))]
    assert lines[0] == "\ufffd\ufffd\x00 odd\n"
    assert lines[1] == "k" * (300 * 1024) + "\n", "what is under a megabyte stays whole"
    parts = [line for line in lines[2:] if line.startswith("m")][:4]
    assert max(map(len, parts)) <= MIB - 26 and len("".join(parts)) == 3 * MIB + 1
    assert any(line.startswith("no end") for line in lines), "what has no end is told with what comes after"


def test_through_the_aws_cli(server, stream):
    where = ["--log-group-name", stream["logGroupName"], "--log-stream-name", "s"]
    events = json.dumps([event("a kettle"), event("a cup")])
    put = aws(server, "v1", "put-log-events", *where, "--log-events", events)
    assert put.returncode == 0 and "nextSequenceToken" in put.stdout, put.stderr
    found = aws(server, "v1", "get-log-events", *where, "--start-from-head", "--query", "events[].message")
    assert json.loads(found.stdout) == ["a kettle", "a cup"], found.stderr


def test_aws_logs_tail(server, logs, stream):
    group = stream["logGroupName"]
    old = [event("ERROR stale", now() - 2 * HOUR), event("ERROR early", now() - 60_000), event("INFO early", now() - 50_000)]
    logs.put_log_events(**stream, logEvents=old)
    tail = ["tail", group, "--since", "10m", "--filter-pattern", "ERROR", "--format", "short"]
    once = aws(server, "v2", *tail)
    assert once.returncode == 0, once.stderr
    assert [line.split(" ", 1)[1] for line in once.stdout.splitlines()] == ["ERROR early"]
    words, env = cli(server, "v2", *tail, "--follow")
    following = subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert following.stdout.readline().rstrip().endswith("ERROR early")
        logs.put_log_events(**stream, logEvents=batch("INFO late", "ERROR late"))
        assert following.stdout.readline().rstrip().endswith("ERROR late")
    finally:
        following.terminate()
        following.wait(20)
