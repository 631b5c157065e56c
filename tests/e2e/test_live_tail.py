"""StartLiveTail: events as they are written, through boto3 and the AWS CLI."""

import http.client
import json
import re
import subprocess
import threading
import time

import pytest

from cloudwatch import NO_GROUP, arn, broken, cli, invalid, masked, now, told, violated
from recorded import UUID
from samovar import ACCOUNT, REGION, create, invoke, until

LIMIT = "There are 15 Live Tail sessions already, which is the limit."


@pytest.fixture(scope="module")
def live(server):
    """SDKs put `stream-` before the host of this operation, and such a host does not resolve here."""
    return server.client("logs", inject_host_prefix=False)


@pytest.fixture
def group(logs, name):
    logs.create_log_group(logGroupName=name)
    for stream in ("web/1", "web/2", "db"):
        logs.create_log_stream(logGroupName=name, logStreamName=stream)
    return name


def put(logs, group, *messages, stream="db"):
    at = now()
    logs.put_log_events(
        logGroupName=group, logStreamName=stream, logEvents=[{"timestamp": at, "message": text} for text in messages]
    )


class Tail:
    """A session: `with Tail(live, ...) as tail`."""

    def __init__(self, live, *groups, **more):
        answer = live.start_live_tail(logGroupIdentifiers=[arn(group) for group in groups], **more)
        assert answer["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/vnd.amazon.eventstream"
        self.stream = answer["responseStream"]
        self.updates = iter(self.stream)
        self.start = next(self.updates)["sessionStart"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()

    def update(self):
        return next(self.updates)["sessionUpdate"]

    def messages(self, count):
        """The next events' messages, from as many updates as it takes."""
        found = []
        while len(found) < count:
            found += [event["message"] for event in self.update()["sessionResults"]]
        return found


def test_a_session_tells_of_its_start_and_then_of_each_event(live, logs, group):
    with Tail(live, group, logEventFilterPattern="?tea ?cup") as tail:
        assert masked(tail.start) == {
            "requestId": "*", "sessionId": "*", "logGroupIdentifiers": [arn(group)], "logEventFilterPattern": "?tea ?cup",
        }
        assert all(re.fullmatch(UUID, tail.start[key]) for key in ("requestId", "sessionId"))
        put(logs, group, "green tea", "coffee", "a cup", stream="web/1")
        update = tail.update()
        while not update["sessionResults"]:
            update = tail.update()
        at = update["sessionResults"][0]["timestamp"]
        assert masked(update) == {
            "sessionMetadata": {"sampled": False},
            "sessionResults": [
                {"logStreamName": "web/1", "logGroupIdentifier": arn(group), "message": message, "timestamp": at,
                 "ingestionTime": "*"}
                for message in ("green tea", "a cup")
            ],
        }


def test_silence_is_an_empty_update_each_second(live, group):
    with Tail(live, group) as tail:
        began = time.monotonic()
        for _ in range(3):
            assert tail.update() == {"sessionMetadata": {"sampled": False}, "sessionResults": []}
        assert 2.5 < time.monotonic() - began < 6


def test_streams_by_name_and_by_prefix_and_several_groups(live, logs, group, name):
    other = name + "-other"
    logs.create_log_group(logGroupName=other)
    logs.create_log_stream(logGroupName=other, logStreamName="db")
    with Tail(live, group, logStreamNames=["db", "web/2"]) as named, \
            Tail(live, group, logStreamNamePrefixes=["web/", "x"]) as prefixed, Tail(live, group, other) as both:
        for stream in ("web/1", "web/2", "db"):
            put(logs, group, f"in {stream}", stream=stream)
        put(logs, other, "in other")
        assert named.messages(2) == ["in web/2", "in db"]
        assert prefixed.messages(2) == ["in web/1", "in web/2"]
        assert both.messages(4) == ["in web/1", "in web/2", "in db", "in other"]


def test_many_events_come_in_updates_of_at_most_five_hundred(live, logs, group):
    with Tail(live, group) as tail:
        put(logs, group, *[str(number) for number in range(1800)])
        found = []
        while len(found) < 1800:
            events = tail.update()["sessionResults"]
            assert len(events) <= 500
            found += [event["message"] for event in events]
        assert found == [str(number) for number in range(1800)]


def test_a_running_function_is_heard_at_once(live, lam, logs, name):
    create(lam, name, "import time\ndef handler(event, context):\n    print('early')\n    time.sleep(4)\n", Timeout=9)
    logs.create_log_group(logGroupName=f"/aws/lambda/{name}")
    with Tail(live, f"/aws/lambda/{name}", logEventFilterPattern="early") as tail:
        running = threading.Thread(target=invoke, args=(lam, name))
        running.start()
        assert tail.messages(1) == ["early\n"]
        assert running.is_alive()
        running.join()


def test_a_group_that_is_deleted_and_made_again_is_followed_on(live, logs, group):
    with Tail(live, group) as tail:
        put(logs, group, "before")
        assert tail.messages(1) == ["before"]
        logs.delete_log_group(logGroupName=group)
        logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName="db")
        put(logs, group, "after")
        assert tail.messages(1) == ["after"]


@pytest.mark.parametrize(
    "asked, refusal", [
        ({"logGroupIdentifiers": [arn("none")]}, NO_GROUP),
        ({"logGroupIdentifiers": [arn("none", account="999999999999")]}, NO_GROUP),
        ({"logGroupIdentifiers": []}, violated(
            broken("'[]'", "logGroupIdentifiers", "have length greater than or equal to 1")
        )),
        ({"logGroupIdentifiers": ["g"] * 11}, violated(
            broken(f"'[{', '.join(['g'] * 11)}]'", "logGroupIdentifiers", "have length less than or equal to 10")
        )),
        ({"logGroupIdentifiers": ["g", "h"], "logStreamNames": ["s"]}, invalid(
            "logStreamNames and logStreamNamePrefixes can be specified only with a single log group."
        )),
        ({"logGroupIdentifiers": ["g"], "logStreamNames": ["s"], "logStreamNamePrefixes": ["s"]}, invalid(
            "logStreamNames and logStreamNamePrefixes are mutually exclusive parameters."
        )),
        ({"logGroupIdentifiers": ["g"], "logEventFilterPattern": "{ $.a"},
         invalid("If a filter pattern starts with '{' it must end with '}'")),
    ], ids=lambda value: str(value)[:60],
)
def test_sessions_that_do_not_start(server, asked, refusal):
    lax = server.client("logs", inject_host_prefix=False, parameter_validation=False)
    assert told(lax.start_live_tail, **asked) == refusal


def test_an_account_has_fifteen_sessions_and_those_that_ended_do_not_count(fresh):
    server = fresh()
    live = server.client("logs", inject_host_prefix=False)
    live.create_log_group(logGroupName="g")
    tails = [Tail(live, "g") for _ in range(15)]
    assert told(live.start_live_tail, logGroupIdentifiers=[arn("g")]) == (400, "LimitExceededException", LIMIT)
    tails.pop().stream.close()

    def one_more():
        try:
            return Tail(live, "g")
        except live.exceptions.LimitExceededException:
            return None

    tails.append(until(one_more))
    # A server that ends waits for no tail, and tells each of its end.
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 10
    assert all(not any("sessionUpdate" not in update for update in tail.updates) for tail in tails)


def test_a_client_that_does_not_read_slows_nobody_and_costs_events_only(live, logs, group):
    """Its events are dropped, it is told so, and the others get all of theirs."""
    with Tail(live, group) as slow, Tail(live, group) as quick:
        flood = ["x" * 50_000] * 20
        for _ in range(30):
            put(logs, group, *flood)
            assert len(quick.messages(20)) == 20
        put(logs, group, "last")
        assert quick.messages(1) == ["last"]
        seen, sampled = 0, False
        while not sampled:
            update = slow.update()
            seen += len(update["sessionResults"])
            sampled = update["sessionMetadata"]["sampled"]
        assert seen < 30 * 20


@pytest.mark.parametrize("host", ["stream-localhost", "stream-127.0.0.1", "stream-logs.localhost"])
def test_the_host_with_the_prefix_of_sdks_is_known(server, logs, group, host):
    scope = f"{ACCOUNT}/20260101/{REGION}/logs/aws4_request"
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("POST", "/", json.dumps({"logGroupIdentifiers": [arn(group)]}), {
        "Host": f"{host}:{server.port}", "X-Amz-Target": "Logs_20140328.StartLiveTail",
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00",
    })
    answer = connection.getresponse()
    assert answer.status == 200 and b"initial-response" in answer.read1()
    connection.close()


def test_a_function_follows_a_group_of_its_account(lam, logs, group, name):
    code = (
        "import json, os, urllib.request\n"
        "def handler(event, context):\n"
        "    key = os.environ['AWS_ACCESS_KEY_ID']\n"
        "    sent = urllib.request.Request(os.environ['AWS_ENDPOINT_URL'], json.dumps(event).encode(), {\n"
        "        'X-Amz-Target': 'Logs_20140328.StartLiveTail', 'X-Amz-Security-Token': os.environ['AWS_SESSION_TOKEN'],\n"
        "        'Authorization': f'AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/logs/aws4_request, '\n"
        "        'SignedHeaders=host, Signature=00'})\n"
        "    seen = b''\n"
        "    with urllib.request.urlopen(sent) as answer:\n"
        "        while b'green tea' not in seen:\n"
        "            seen += answer.read1()\n"
        "    return seen.count(b'sessionStart')\n"
    )
    create(lam, name, code, Timeout=20)
    answers = []
    running = threading.Thread(
        target=lambda: answers.append(invoke(lam, name, {"logGroupIdentifiers": [arn(group)]})["payload"])
    )
    running.start()
    until(lambda: put(logs, group, "green tea") or not running.is_alive(), every=0.1)
    assert answers == [1]


def test_aws_logs_start_live_tail(server, logs, group):
    words, env = cli(
        server, "v1", "start-live-tail", "--log-group-identifiers", arn(group), "--log-event-filter-pattern", "tea"
    )
    following = subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    told_of = []
    reader = threading.Thread(target=lambda: told_of.append(following.stdout.readline()))
    reader.start()
    try:
        # What is written before the session begins is not told, so it is written until something is.
        until(lambda: put(logs, group, "coffee", "green tea") or told_of, every=0.2)
        assert told_of == ["green tea\n"]
    finally:
        following.terminate()
        following.wait(20)
        reader.join()
