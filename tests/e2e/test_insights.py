"""Queries of Logs Insights, through an unmodified client."""

import json
import re
import time

import botocore.exceptions
import pytest

from cloudwatch import arn, now
from samovar import ACCOUNT, create, invoke, messages, until


def start(logs, query, groups, **more):
    """Starts a query over the last hour."""
    end = int(time.time()) + 1
    return logs.start_query(logGroupNames=groups, startTime=end - 3600, endTime=end, queryString=query, **more)["queryId"]


def answer(logs, query_id):
    """The answer of a query when it has ended."""
    def ended():
        answer = logs.get_query_results(queryId=query_id)
        return answer["status"] not in ("Scheduled", "Running") and answer
    return until(ended, seconds=60)


def rows(logs, query, *groups, **more):
    """The rows of a query's answer, without @ptr."""
    told = answer(logs, start(logs, query, list(groups), **more))
    assert told["status"] == "Complete"
    return [{cell["field"]: cell["value"] for cell in row if cell["field"] != "@ptr"} for row in told["results"]]


def refusal(call, *args, **kwargs):
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        call(*args, **kwargs)
    return refused.value.response


def put(logs, group, lines, at=None):
    where = {"logGroupName": group, "logStreamName": "s"}
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(**where)
    at = at or now() - 60_000
    for begin in range(0, len(lines), 8000):
        part = lines[begin : begin + 8000]
        logs.put_log_events(**where, logEvents=[{"timestamp": at + (begin + n) // 10, "message": m} for n, m in enumerate(part)])


@pytest.fixture(scope="module")
def orders(server):
    """A group of JSON lines and plain ones."""
    lines = [json.dumps({"level": "ERROR" if n % 10 == 0 else "INFO", "ms": n, "user": {"name": f"u{n % 3}"}}) for n in range(100)]
    put(server.client("logs"), "insights-orders", lines + ["plain code=502 user=carl"])
    return "insights-orders"


@pytest.fixture(scope="module")
def many(server):
    """A group of a hundred thousand events and one."""
    put(server.client("logs"), "insights-many", [f'{{"n": {n}, "kind": "k{n % 7}"}}' for n in range(100_001)])
    return "insights-many"


class TestAnswers:
    def test_have_time_message_and_pointer(self, logs, orders):
        told = answer(logs, start(logs, "filter @message like 'code='", [orders]))
        assert [cell["field"] for cell in told["results"][0]] == ["@timestamp", "@message", "@ptr"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", told["results"][0][0]["value"])
        assert told["results"][0][1]["value"] == "plain code=502 user=carl"
        statistics = told["statistics"]
        assert (statistics["recordsMatched"], statistics["recordsScanned"], statistics["logGroupsScanned"]) == (1, 101, 1)
        assert statistics["bytesScanned"] > 4000
        assert told["queryLanguage"] == "CWLI"

    def test_are_sorted_and_limited(self, logs, orders):
        assert rows(logs, "fields ms | filter level = 'ERROR' | sort ms desc | limit 3", orders) == [
            {"ms": "90"}, {"ms": "80"}, {"ms": "70"}
        ]
        assert len(rows(logs, "fields ms", orders, limit=7)) == 7
        latest = rows(logs, "fields @timestamp, ms | limit 20", orders)
        assert latest == sorted(latest, key=lambda row: row["@timestamp"], reverse=True)

    def test_are_calculated_by_groups(self, logs, orders):
        found = rows(logs, "stats count(*) as n, avg(ms), max(ms), pct(ms, 50) by user.name | sort user.name", orders)
        assert found == [
            {"n": "1"},
            {"user.name": "u0", "n": "34", "avg(ms)": "49.5", "max(ms)": "99", "pct(ms, 50)": "48"},
            {"user.name": "u1", "n": "33", "avg(ms)": "49", "max(ms)": "97", "pct(ms, 50)": "49"},
            {"user.name": "u2", "n": "33", "avg(ms)": "50", "max(ms)": "98", "pct(ms, 50)": "50"},
        ]

    def test_have_what_parse_cuts_out(self, logs, orders):
        query = "parse @message 'code=* user=*' as code, who | filter ispresent(code) | display code * 2 as twice, toupper(who) as who"
        assert rows(logs, query, orders) == [{"twice": "1004", "who": "CARL"}]
        assert rows(logs, r"parse /code=(?<code>\d+)/ | filter code = 502 | stats count(*) as n", orders) == [{"n": "1"}]

    def test_come_from_several_groups_in_one_order(self, logs, name):
        groups = [f"{name}-{n}" for n in range(3)]
        at = now() - 30_000
        for n, group in enumerate(groups):
            put(logs, group, [f"{group} {line}" for line in range(50)], at + n)
        found = rows(logs, "fields @timestamp, @log", *groups)
        assert len(found) == 150
        assert found == sorted(found, key=lambda row: row["@timestamp"], reverse=True)
        by_log = rows(logs, "stats count(*) as n by @log | sort @log", *groups)
        assert by_log == [{"@log": f"{ACCOUNT}:{group}", "n": "50"} for group in groups]

    def test_page_by_page(self, logs, orders):
        query_id = start(logs, "fields ms | filter ispresent(ms)", [orders])
        whole = answer(logs, query_id)["results"]
        seen, token = [], {}
        while True:
            page = logs.get_query_results(queryId=query_id, maxItems=30, **token)
            seen += page["results"]
            if "nextToken" not in page:
                break
            token = {"nextToken": page["nextToken"]}
        assert seen == whole and len(seen) == 100


class TestLambdaLogs:
    def test_have_discovered_fields(self, lam, logs, name):
        create(lam, name, "def handler(e, c):\n    print('ERROR cannot do', e['n'])\n")
        ids = [invoke(lam, name, {"n": n})["ResponseMetadata"]["RequestId"] for n in range(4)]
        reports = until(lambda: len(found := [m for m in messages(logs, name) if m.startswith("REPORT")]) == 4 and found)
        group = f"/aws/lambda/{name}"
        durations = [float(re.search(r"\tDuration: ([0-9.]+) ms", line)[1]) for line in reports]
        [found] = rows(
            logs,
            "filter @type = 'REPORT' | stats count(*) as n, avg(@duration) as mean, max(@duration) as most, "
            "max(@memorySize / 1000 / 1000) as memory, count(@initDuration) as cold by bin(1d)",
            group,
        )
        assert (found["n"], found["memory"], found["cold"]) == ("4", "128", "1")
        assert abs(float(found["mean"]) - sum(durations) / 4) < 0.001 and float(found["most"]) == max(durations)
        by_id = rows(logs, "filter ispresent(@duration) | fields @requestId, @billedDuration | sort @timestamp asc", group)
        assert [row["@requestId"] for row in by_id] == ids
        assert all(re.fullmatch(r"\d+\.0", row["@billedDuration"]) for row in by_id)
        said = rows(logs, r"parse @message /ERROR cannot do (?<n>\d)/ | filter ispresent(n) | sort n | fields n", group)
        assert [row["n"] for row in said] == ["0", "1", "2", "3"]


class TestLife:
    def test_a_query_over_a_hundred_thousand_events_ends(self, logs, many):
        told = answer(logs, start(logs, "filter n >= 10 | stats count(*) as n, max(n) as most by kind | sort kind", [many]))
        assert told["status"] == "Complete"
        assert (told["statistics"]["recordsScanned"], told["statistics"]["recordsMatched"]) == (100_001, 99_991)
        found = [{cell["field"]: cell["value"] for cell in row} for row in told["results"]]
        assert [row["kind"] for row in found] == [f"k{n}" for n in range(7)]
        assert sum(int(row["n"]) for row in found) == 99_991
        assert max(int(row["most"]) for row in found) == 100_000

    def test_too_many_groups_end_a_query_and_not_the_server(self, logs, many):
        assert answer(logs, start(logs, "stats count(*) by n", [many]))["status"] == "Failed"
        assert rows(logs, "stats count(*) as n", many) == [{"n": "100001"}]

    def test_too_many_at_once_are_refused_and_those_that_wait_can_be_stopped(self, logs, many):
        started = []
        # Far slower than they are started one after the other, whatever the machine.
        slow = "".join(f"fields replace(concat(@message, @message), 'k', 'kk') as a{n} | " for n in range(100))

        def one_more():
            started.append(start(logs, slow + "stats count_distinct(concat(n, @message))", [many]))

        def refused():
            try:
                one_more()
            except logs.exceptions.LimitExceededException as error:
                return error.response["Error"]["Message"]

        told = until(refused)
        assert told == "Account maximum query concurrency limit of [100] reached."
        waiting = logs.describe_queries(logGroupName=many, status="Scheduled")["queries"]
        assert {query["queryId"] for query in waiting} <= set(started) and len(waiting) > 10
        last = started[-1]
        assert logs.stop_query(queryId=last)["success"] is True
        assert answer(logs, last)["status"] == "Cancelled"
        for query_id in started[:-1]:
            try:
                logs.stop_query(queryId=query_id)
            except logs.exceptions.InvalidParameterException:
                pass
        assert {answer(logs, query_id)["status"] for query_id in started} <= {"Cancelled", "Complete"}
        listed = logs.describe_queries(logGroupName=many, maxResults=2)
        assert [query["queryId"] for query in listed["queries"]] == [last, started[-2]] and listed["nextToken"]
        following = logs.describe_queries(logGroupName=many, maxResults=1, nextToken=listed["nextToken"])
        assert [query["queryId"] for query in following["queries"]] == [started[-3]]

    def test_one_that_has_ended_cannot_be_stopped(self, logs, orders):
        query_id = start(logs, "stats count(*)", [orders])
        answer(logs, query_id)
        assert refusal(logs.stop_query, queryId=query_id)["Error"]["Code"] == "InvalidParameterException"


class TestRefusals:
    def test_of_a_query_tell_the_place(self, logs, orders):
        told = refusal(start, logs, "fields @message | filtr x = 1", [orders])
        assert told["Error"]["Code"] == "MalformedQueryException"
        assert told["queryCompileError"]["location"] == {"startCharOffset": 18, "endCharOffset": 23}
        assert "filtr at line 1 and position 19" in told["queryCompileError"]["message"]
        for query in ("pattern @message", "fields @timestamp | anomaly", "SOURCE logGroups() | fields a", "unmask @message"):
            told = refusal(start, logs, query, [orders])
            assert told["Error"]["Code"] == "MalformedQueryException"
            assert "does not implement the command" in told["Error"]["Message"]

    def test_of_groups_times_and_numbers(self, logs, orders):
        assert refusal(start, logs, "fields a", ["no-such-group"])["Error"]["Code"] == "ResourceNotFoundException"
        nothing = refusal(logs.start_query, startTime=0, endTime=1, queryString="fields a")
        assert nothing["Error"]["Code"] == "InvalidParameterException"
        both = refusal(start, logs, "fields a", [orders], logGroupName=orders)
        assert both["Error"]["Code"] == "InvalidParameterException"
        many = refusal(start, logs, "fields a", [f"g{n}" for n in range(51)])
        assert many["Error"]["Code"] == "InvalidParameterException"
        backwards = refusal(logs.start_query, logGroupName=orders, startTime=5, endTime=4, queryString="fields a")
        assert backwards["Error"]["Code"] == "InvalidParameterException"
        unknown = "9f0f0a52-1111-4222-8333-444455556666"
        assert refusal(logs.get_query_results, queryId=unknown)["Error"]["Code"] == "ResourceNotFoundException"
        assert refusal(logs.stop_query, queryId=unknown)["Error"]["Code"] == "ResourceNotFoundException"

    def test_groups_can_be_named_by_arn(self, logs, orders):
        end = int(time.time()) + 1
        query_id = logs.start_query(logGroupIdentifiers=[arn(orders)], startTime=end - 3600, endTime=end,
                                    queryString="stats count(*) as n")["queryId"]
        assert answer(logs, query_id)["results"] == [[{"field": "n", "value": "101"}]]
