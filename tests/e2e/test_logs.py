"""What functions say, found again through CloudWatch Logs' own operations."""

import json
import re
import time

import pytest

from samovar import NODE, create, invoke, messages, until, wait_active


def test_the_log_of_a_cold_and_a_warm_invoke(lam, logs, name):
    create(lam, name, "import sys\ndef handler(e, c):\n    print('to stdout')\n    print('to stderr', file=sys.stderr)\n    return 1\n")
    ids = [invoke(lam, name)["ResponseMetadata"]["RequestId"] for _ in range(2)]
    lines = until(lambda: (found := messages(logs, name)) and len(found) >= 11 and found)
    told = re.match(r"INIT_START Runtime Version: \S+\tRuntime Version ARN: (arn:aws:lambda:us-east-1::runtime:[0-9a-f]{64})$", lines[0])
    shown = lam.get_function(FunctionName=name)["Configuration"]["RuntimeVersionConfig"]["RuntimeVersionArn"]
    assert told and told[1] == shown
    for number, request_id in enumerate(ids):
        block = lines[1 + number * 5 : 6 + number * 5]
        assert [line.rstrip("\n") for line in block[:4]] == [
            f"START RequestId: {request_id} Version: $LATEST", "to stdout", "to stderr", f"END RequestId: {request_id}"
        ]
        assert block[4].startswith(f"REPORT RequestId: {request_id}\t")
    streams = logs.describe_log_streams(logGroupName=f"/aws/lambda/{name}")["logStreams"]
    assert len(streams) == 1
    stream = streams[0]["logStreamName"]
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", stream)
    page = logs.get_log_events(logGroupName=f"/aws/lambda/{name}", logStreamName=stream, startFromHead=True)
    assert [event["message"] for event in page["events"]] == lines
    again = logs.get_log_events(
        logGroupName=f"/aws/lambda/{name}", logStreamName=stream, startFromHead=True, nextToken=page["nextForwardToken"]
    )
    assert again["events"] == [] and again["nextForwardToken"] == page["nextForwardToken"]


def test_pages_of_events_join_without_gap_or_repeat(lam, logs, name):
    create(lam, name, "def handler(e, c):\n    for n in range(250):\n        print('line', n)\n")
    invoke(lam, name)
    group = f"/aws/lambda/{name}"
    until(lambda: any(line.startswith("REPORT") for line in messages(logs, name)))
    seen, ids, token = [], [], {}
    while True:
        page = logs.filter_log_events(logGroupName=group, limit=40, **token)
        seen += [event["message"].strip() for event in page["events"]]
        ids += [event["eventId"] for event in page["events"]]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert [line for line in seen if line.startswith("line ")] == [f"line {n}" for n in range(250)]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"\d{56}", i) for i in ids)


def test_python_logging_and_levels_in_text(lam, logs, name):
    create(
        lam, name,
        "import logging\nlog = logging.getLogger()\nlog.setLevel(logging.INFO)\n"
        "def handler(e, c):\n    log.debug('not this')\n    log.info('two\\nlines')\n    log.warning('careful')\n",
    )
    request_id = invoke(lam, name)["ResponseMetadata"]["RequestId"]
    lines = until(lambda: (found := messages(logs, name)) and any(l.startswith("REPORT") for l in found) and found)
    assert not any("not this" in line for line in lines)
    info = next(line for line in lines if line.startswith("[INFO]"))
    assert re.fullmatch(r"\[INFO\]\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\t" + request_id + "\ttwo\nlines\n?", info)
    assert any(line.startswith("[WARNING]") and "careful" in line for line in lines)


def test_json_format_and_level_filter(lam, logs, name):
    create(
        lam, name,
        "import logging\nlog = logging.getLogger()\n"
        "def handler(e, c):\n    log.info('quiet')\n    log.error('loud')\n    print('raw')\n",
        LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "ERROR"},
    )
    request_id = invoke(lam, name)["ResponseMetadata"]["RequestId"]
    lines = until(lambda: (found := messages(logs, name)) and any("platform.report" in l for l in found) and found)
    records = [json.loads(line) for line in lines if line.lstrip().startswith("{")]
    kinds = [record.get("type") for record in records if "type" in record]
    assert kinds == ["platform.initStart", "platform.start", "platform.report"]
    loud = [record for record in records if record.get("level")]
    assert [(r["level"], r["message"], r["requestId"]) for r in loud] == [("ERROR", "loud", request_id)]
    report = records[-1]["record"]
    assert report["requestId"] == request_id and report["status"] == "success"
    assert set(report["metrics"]) >= {"durationMs", "billedDurationMs", "memorySizeMB", "maxMemoryUsedMB", "initDurationMs"}


def test_node_console(lam, logs, name):
    create(lam, name, "exports.handler = async () => { console.log('a\\nb'); console.error('bad') }", runtime=NODE)
    request_id = invoke(lam, name)["ResponseMetadata"]["RequestId"]
    lines = until(lambda: (found := messages(logs, name)) and any(l.startswith("REPORT") for l in found) and found)
    assert any(re.fullmatch(r"\S+Z\t" + request_id + r"\tINFO\ta[\r\n]b\n?", line) for line in lines), lines
    assert any(re.fullmatch(r"\S+Z\t" + request_id + r"\tERROR\tbad\n?", line) for line in lines)


def test_a_custom_group(lam, logs, name):
    group = f"/shared/{name}"
    create(lam, name, "def handler(e, c):\n    print('hi')\n", LoggingConfig={"LogFormat": "Text", "LogGroup": group})
    invoke(lam, name)
    until(lambda: any("hi" in line for line in messages(logs, name, group)))
    stream = logs.describe_log_streams(logGroupName=group)["logStreams"][0]["logStreamName"]
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/" + name + r"\[\$LATEST\]\[[0-9a-f]{32}\]", stream)


def test_lines_are_there_while_the_handler_sleeps(lam, logs, name):
    import threading

    create(lam, name, "import time\ndef handler(e, c):\n    print('early')\n    time.sleep(5)\n", Timeout=10)
    running = threading.Thread(target=invoke, args=(lam, name))
    running.start()
    until(lambda: any("early" in line for line in messages(logs, name)), 4)
    assert running.is_alive()
    assert not any(line.startswith("END") for line in messages(logs, name))
    running.join()


def test_an_unknown_group(logs):
    with pytest.raises(logs.exceptions.ResourceNotFoundException) as caught:
        logs.filter_log_events(logGroupName="/aws/lambda/nobody")
    assert caught.value.response["Error"]["Message"] == "The specified log group does not exist."


def test_logs_outlive_the_server(fresh):
    server = fresh()
    lam = server.client("lambda")
    create(lam, "speaker", "def handler(e, c):\n    print('remember me')\n")
    invoke(lam, "speaker")
    before = until(lambda: (found := messages(server.client("logs"), "speaker")) and found[-1].startswith("REPORT") and found)
    time.sleep(1.5)  # the promise: what a function wrote is durable within a second
    server.kill()
    server.start()
    assert messages(server.client("logs"), "speaker") == before
