"""FilterLogEvents with filter patterns, over one group of many kinds of lines."""

import json

import pytest

from cloudwatch import invalid, now, told
from samovar import create, invoke, messages, until

LINES = [
    "[INFO] payment accepted",
    "[WARN] payment slow: 1200 ms",
    "[ERROR] payment refused, code 502",
    "[ERROR 401] UNAUTHORIZED \"card\" C:\\tmp",
    '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /apache_pb.gif HTTP/1.0" 200 1534',
    '127.0.0.1 - - [10/Oct/2000:13:35:22 -0700] "POST /index.html HTTP/1.0" 500 5324',
    json.dumps({"level": "INFO", "user": {"id": 1, "name": "ann"}, "roles": ["admin", "dev"], "ms": 12.5}),
    json.dumps({"level": "ERROR", "user": {"id": 2, "name": "bob"}, "roles": [], "ms": 1000, "error": None, "fatal": True}),
    "é ünïcode \U0001f375",
]

PATTERNS = {
    "": [0, 1, 2, 3, 4, 5, 6, 7, 8],
    "ERROR": [2, 3, 7],
    "error": [7],
    "payment ERROR": [2],
    "-ERROR -payment": [4, 5, 6, 8],
    "?accepted ?UNAUTHORIZED": [0, 3],
    "?accepted payment": [0, 1, 2],
    '"payment refused, code"': [2],
    '"\\"card\\" C:\\\\tmp"': [3],
    '"ünï"': [8],
    r"%\d{4} ms%": [1],
    "%^.ERROR%": [2, 3],
    "[ip, user, name, time, request, status, bytes]": [4, 5],
    "[..., status = 5*, bytes > 1000 && bytes < 6000]": [5],
    "[ip, user, name = frank || name = bob, ...]": [4],
    "[..., request = \"GET*\", status, bytes]": [4],
    "{ $.level = \"ERROR\" }": [7],
    "{ $.level != ERROR }": [6],
    "{ $.user.id = 1 || $.user.name = b* }": [6, 7],
    "{ ($.ms >= 1e3 && $.fatal IS TRUE) || $.roles[0] = nobody }": [7],
    "{ $.error IS NULL }": [7],
    "{ $.error NOT EXISTS }": [6],
    "{ $.roles[*] = \"dev\" }": [6],
    "{ $.user.name = %^a.n$% }": [6],
    "{ $['user'].name = \"ann\" }": [6],
}


@pytest.fixture(scope="module")
def group(server):
    logs = server.client("logs")
    where = {"logGroupName": "filter-patterns", "logStreamName": "s"}
    logs.create_log_group(logGroupName=where["logGroupName"])
    logs.create_log_stream(**where)
    at = now() - 1000
    logs.put_log_events(**where, logEvents=[{"timestamp": at + n, "message": line} for n, line in enumerate(LINES)])
    return where["logGroupName"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_choose_lines(logs, group, pattern):
    page = logs.filter_log_events(logGroupName=group, filterPattern=pattern)
    assert [event["message"] for event in page["events"]] == [LINES[n] for n in PATTERNS[pattern]]


def test_patterns_that_are_refused(logs, group):
    def refusal(pattern):
        return told(logs.filter_log_events, logGroupName=group, filterPattern=pattern)

    assert refusal("a:b") == invalid("Invalid character(s) in term ':'")
    assert refusal("%(a)%") == invalid("Invalid character(s) in term '('")
    assert refusal("{ $.a = 1") == invalid("If a filter pattern starts with '{' it must end with '}'")
    for pattern in ("{ $.a }", "[a, b = ]", '"open', "%[a%", "[..., ...]", "{ a = 1 }"):
        status, code, message = refusal(pattern)
        assert (status, code) == (400, "InvalidParameterException") and message.startswith("Invalid filter pattern")
    assert refusal("x" * 1025)[:2] == (400, "InvalidParameterException")


def test_a_rare_line_is_found_among_many_and_pages_join(logs, name):
    where = {"logGroupName": name, "logStreamName": "s"}
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(**where)
    at = now() - 60_000
    for part in range(5):
        lines = [f"line {part * 4000 + n} {'rare' if n % 1000 == 7 else 'common'} {'x' * 100}" for n in range(4000)]
        logs.put_log_events(**where, logEvents=[{"timestamp": at + part * 4000 + n, "message": line} for n, line in enumerate(lines)])
    found, token = [], {}
    while True:
        page = logs.filter_log_events(logGroupName=name, filterPattern="rare", limit=6, **token)
        found += [int(event["message"].split()[1]) for event in page["events"]]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert found == [thousand * 1000 + 7 for thousand in range(20)]


def test_what_a_function_logged_is_filtered(lam, logs, name):
    create(lam, name, "import json\ndef handler(e, c):\n    print(json.dumps({'order': e['n'], 'state': 'new'}))\n    print('ERROR no', e['n'])\n")
    for n in range(3):
        invoke(lam, name, {"n": n})
    until(lambda: len([line for line in messages(logs, name) if line.startswith("REPORT")]) == 3)

    def chosen(pattern):
        page = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}", filterPattern=pattern)
        return [event["message"].strip() for event in page["events"]]

    assert chosen("{ $.order > 0 && $.state = new }") == [json.dumps({"order": n, "state": "new"}) for n in (1, 2)]
    assert chosen("ERROR -1") == [f"ERROR no {n}" for n in (0, 2)]
    assert len(chosen('"Billed Duration"')) == 3
    assert all("Duration" in line for line in chosen("[kind = REPORT, ...]")) and len(chosen("[kind = REPORT, ...]")) == 3
