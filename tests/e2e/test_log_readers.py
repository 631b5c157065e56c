"""Groups that go while they are filtered, queried and tailed: whoever reads is answered, and the server goes on."""

import threading
import urllib.request

import botocore.exceptions
import pytest

from cloudwatch import now
from samovar import events_of, until

LINES = [f"{number:05d} " + "tea " * 25 for number in range(7000)]


def fill(logs, group):
    at = now()
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    for _ in range(4):
        events = [{"timestamp": at, "message": line} for line in LINES]
        logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)


def reset(server):
    url = f"{server.endpoint}/_samovar/reset"
    request = urllib.request.Request(url, method="POST", headers={"X-Samovar-Reset": "yes"})
    assert urllib.request.urlopen(request, timeout=60).status == 200


@pytest.mark.parametrize("end", ["delete", "reset"])
def test_a_group_goes_under_its_readers(fresh, end):
    server = fresh("--allow-reset")
    logs = server.client("logs")
    fill(logs, "g")
    arn = logs.describe_log_groups()["logGroups"][0]["logGroupArn"]
    over, wrong = threading.Event(), []

    def again_and_again(read):
        client = server.client("logs")
        while not over.is_set():
            try:
                read(client)
            except client.exceptions.ResourceNotFoundException:
                pass
            except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
                wrong.append(error)

    def query(client):
        started = client.start_query(
            logGroupName="g", startTime=0, endTime=now() // 1000 + 60, queryString="stats count(*) by @message"
        )
        until(lambda: client.get_query_results(queryId=started["queryId"])["status"] not in ("Scheduled", "Running"), 60)

    def write(client):
        client.put_log_events(
            logGroupName="g", logStreamName="s", logEvents=[{"timestamp": now(), "message": "more"}]
        )

    tail = server.client("logs", inject_host_prefix=False).start_live_tail(logGroupIdentifiers=[arn])["responseStream"]
    updates = iter(tail)
    assert "sessionStart" in next(updates)
    reads = [lambda client: events_of(client, "g", filterPattern="coffee"), query, write]
    threads = [threading.Thread(target=again_and_again, args=(read,)) for read in reads]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            if end == "delete":
                logs.delete_log_group(logGroupName="g")
            else:
                reset(server)
            assert logs.describe_log_groups()["logGroups"] == []
            fill(logs, "g")
    finally:
        over.set()
        for thread in threads:
            thread.join(90)
    assert wrong == []
    assert any(update["sessionUpdate"]["sessionResults"] for update, _ in zip(updates, range(50)))
    tail.close()
    assert len(events_of(logs, "g", filterPattern="tea")) == 4 * len(LINES)
    assert "panicked" not in server.output()
    assert server.stop() == 0
