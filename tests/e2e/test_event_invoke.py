"""Settings of asynchronous invocation against recorded answers, whole."""

import json
import re
import time

import pytest

from recorded import ARNF, ECHO, FUNCTIONS, NAME_PATTERN, invalid, not_found, value, violated
from samovar import create

BASE = "/2019-09-25/functions"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:q"
TOPIC = "arn:aws:sns:us-east-1:000000000000:t"
BUS = "arn:aws:events:us-east-1:000000000000:event-bus/missing"
BUCKET = "arn:aws:s3:::b"
NOTHING = invalid("You must specify at least one of error handling or destination setting.")
NO_FUNCTION = not_found("The function doesn't exist.")
ITSELF = invalid("You can't specify the function as a destination for itself.")
TWO = invalid("The derived qualifier from the function name does not match the specified qualifier.")
DESTINATION = (
    r"satisfy regular expression pattern: $|kafka://([^.]([a-zA-Z0-9\-_.]{0,248}))|arn:(aws[a-zA-Z0-9-]*):"
    r"([a-zA-Z0-9\-])+:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)"
)


def no_config(qualified):
    return not_found(f"The function ARNF:{qualified} doesn't have an EventInvokeConfig")


def wrong_service(success="null", failure="null"):
    return invalid(
        f"The provided destination config DestinationConfig(onSuccess={success}, onFailure={failure}) is invalid."
    )


def to(success=None, failure=None):
    told = {"OnSuccess": success, "OnFailure": failure}
    return {"DestinationConfig": {key: {"Destination": arn} for key, arn in told.items() if arn is not None}}


@pytest.fixture(scope="module")
def functions(server):
    """`F` with version 1 and the alias `live`, and `G`."""
    client = server.client("lambda")
    for name in ("events-f", "events-g"):
        create(client, name, ECHO)
        client.publish_version(FunctionName=name)
        client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    return {"F": "events-f", "G": "events-g"}


def named(functions, thing):
    """The letters F and G in what is sent become the functions' names."""
    text = json.dumps(thing).replace("ARNF:", ARNF)
    for letter, name in functions.items():
        text = re.sub(rf'(?<=[:"/]){letter}(?=[:"/?])', name, text)
    return json.loads(text)


def lettered(functions, body):
    text = json.dumps(body).replace(ARNF, "ARNF:")
    for letter, name in functions.items():
        text = text.replace(name, letter)
    return json.loads(text)


def call(raw, functions, method, path, body=None):
    """Status and whole body; the one volatile value is checked and taken out."""
    path = named(functions, [f"/{path}"])[0]
    sent = json.dumps(named(functions, body)).encode() if body is not None else b""
    status, headers, content = raw(method, BASE + path, sent)
    if status == 204:
        assert (content, headers.pop("content-length", "0"), headers) == (b"", "0", {})
        return status, None
    assert headers.pop("content-type") == "application/json"
    answer = lettered(functions, json.loads(content))
    if status != 200:
        return status, headers.pop("x-amzn-errortype"), answer
    assert headers == {}
    for config in answer.get("FunctionEventInvokeConfigs", [answer]):
        modified = config.pop("LastModified")
        assert isinstance(modified, (int, float)) and abs(modified - time.time()) < 600, "seconds since the epoch"
    return status, answer


def config(qualified, success=None, failure=None, **more):
    destination = lambda arn: {} if arn is None else {"Destination": arn}
    return {
        "FunctionArn": f"ARNF:{qualified}",
        "DestinationConfig": {"OnSuccess": destination(success), "OnFailure": destination(failure)},
        **more,
    }


RETRIES, AGE = {"MaximumRetryAttempts": 1}, {"MaximumEventAgeInSeconds": 60}
MOST = {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 21600}
# What is sent one after another to one qualifier, and what Put and Update make of it.
LIFE = [
    ("PUT", RETRIES, dict(RETRIES)),
    ("PUT", AGE, dict(AGE)),
    ("POST", RETRIES, {**RETRIES, **AGE}),
    ("POST", {"MaximumRetryAttempts": 0}, {"MaximumRetryAttempts": 0, **AGE}),
    ("PUT", MOST, dict(MOST)),
    ("PUT", to(QUEUE, TOPIC), {"success": QUEUE, "failure": TOPIC}),
    ("POST", RETRIES, {**RETRIES, "success": QUEUE, "failure": TOPIC}),
    ("POST", to(BUS), {**RETRIES, "success": BUS, "failure": TOPIC}),
    ("POST", {"DestinationConfig": {"OnSuccess": {}, "OnFailure": {}}}, {**RETRIES, "success": BUS, "failure": TOPIC}),
    ("POST", to(failure=BUCKET), {**RETRIES, "success": BUS, "failure": BUCKET}),
    ("POST", to(""), {**RETRIES, "failure": BUCKET}),
    ("POST", to("ARNF:G", ""), {**RETRIES, "success": "ARNF:G"}),
    ("POST", to("ARNF:G:live", "ARNF:G:1"), {**RETRIES, "success": "ARNF:G:live", "failure": "ARNF:G:1"}),
    ("PUT", {"DestinationConfig": {"OnFailure": {}}}, {}),
    ("PUT", {"DestinationConfig": {"OnSuccess": {}}}, {}),
    ("PUT", to(""), {}),
    ("POST", {**AGE, **to(QUEUE)}, {**AGE, "success": QUEUE}),
]


@pytest.mark.parametrize("path, shown", [("F", "F:$LATEST"), ("F:1", "F:1"), ("F", "F:live")], ids=lambda part: part)
def test_what_put_replaces_and_update_keeps(raw, functions, path, shown):
    address = f"{path}/event-invoke-config" + ("?Qualifier=live" if shown.endswith("live") else "")
    assert call(raw, functions, "GET", address) == no_config(shown)
    for method, sent, expected in LIFE:
        assert call(raw, functions, method, address, sent) == (200, config(shown, **expected)), sent
        assert call(raw, functions, "GET", address) == (200, config(shown, **expected)), sent
    assert call(raw, functions, "DELETE", address) == (204, None)
    for method in ("GET", "DELETE"):
        assert call(raw, functions, method, address) == no_config(shown)
    assert call(raw, functions, "POST", address, RETRIES) == no_config(shown)


# Method, path, body, answer; none of them leaves anything behind.
REFUSED = [
    ("PUT", "F", {}, NOTHING),
    ("PUT", "F", {"DestinationConfig": {}}, NOTHING),
    ("POST", "F", {"DestinationConfig": {}}, NOTHING),
    ("PUT", "nope", {}, NOTHING),
    ("PUT", "nope", RETRIES, NO_FUNCTION),
    ("PUT", "ARNF:nope", RETRIES, NO_FUNCTION),
    ("PUT", "F?Qualifier=nope", RETRIES, NO_FUNCTION),
    ("PUT", "F?Qualifier=7", RETRIES, NO_FUNCTION),
    ("PUT", "F?Qualifier=$latest", RETRIES, NO_FUNCTION),
    ("PUT", "F?Qualifier=$LATEST.PUBLISHED", RETRIES, NO_FUNCTION),
    ("POST", "nope", RETRIES, NO_FUNCTION),
    ("POST", "F", RETRIES, no_config("F:$LATEST")),
    ("POST", "F?Qualifier=live", RETRIES, no_config("F:live")),
    ("GET", "F", None, no_config("F:$LATEST")),
    ("GET", "F?Qualifier=$LATEST", None, no_config("F:$LATEST")),
    ("GET", "F:1", None, no_config("F:1")),
    ("GET", "F?Qualifier=nope", None, no_config("F:nope")),
    ("GET", "ARNF:F:live", None, no_config("F:live")),
    ("GET", "nope", None, no_config("nope:$LATEST")),
    ("DELETE", "F", None, no_config("F:$LATEST")),
    ("DELETE", "F?Qualifier=7", None, no_config("F:7")),
    ("DELETE", "nope", None, no_config("nope:$LATEST")),
    ("GET", "nope/list", None, NO_FUNCTION),
    ("PUT", "ARNF:F:live?Qualifier=other", RETRIES, TWO),
    ("PUT", "F:1?Qualifier=$LATEST", RETRIES, TWO),
    ("PUT", "F:$LATEST?Qualifier=1", RETRIES, TWO),
    ("PUT", "F:1?Qualifier=live", RETRIES, TWO),
    ("PUT", "F", to("ARNF:nope"), invalid("The destination ARN ARNF:nope is invalid.")),
    ("PUT", "F", to(failure="ARNF:G:7"), invalid("The destination ARN ARNF:G:7 is invalid.")),
    ("PUT", "F", to("ARNF:F"), ITSELF),
    ("PUT", "F?Qualifier=live", to(failure="ARNF:F:1"), ITSELF),
    ("PUT", "F", to(f"{QUEUE}.fifo"), invalid(f"The destination ARN {QUEUE}.fifo is invalid.")),
    (
        "PUT",
        "F",
        to("arn:aws:iam:us-east-1:000000000000:function:F"),
        wrong_service("OnSuccess(destination=arn:aws:iam:us-east-1:000000000000:function:F)"),
    ),
    ("PUT", "F", to(BUCKET), wrong_service(f"OnSuccess(destination={BUCKET})")),
    (
        "PUT",
        "F",
        to(QUEUE, "kafka://topic"),
        wrong_service(f"OnSuccess(destination={QUEUE})", "OnFailure(destination=kafka://topic)"),
    ),
    (
        "PUT",
        "F",
        to(failure="arn:aws:_-/!lambda:us-east-1:000000000000:function:F"),
        violated(
            value(
                "'arn:aws:_-/!lambda:us-east-1:000000000000:function:F'",
                "destinationConfig.onFailure.destination",
                DESTINATION,
            )
        ),
    ),
    (
        "PUT",
        "F",
        {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 59},
        violated(
            value("'3'", "maximumRetryAttempts", "have value less than or equal to 2"),
            value("'59'", "maximumEventAgeInSeconds", "have value greater than or equal to 60"),
        ),
    ),
    (
        "PUT",
        "F",
        {"MaximumRetryAttempts": -1, "MaximumEventAgeInSeconds": 21601},
        violated(
            value("'-1'", "maximumRetryAttempts", "have value greater than or equal to 0"),
            value("'21601'", "maximumEventAgeInSeconds", "have value less than or equal to 21600"),
        ),
    ),
    (
        "PUT",
        "F:$LATES",
        RETRIES,
        violated(
            value(
                "'F:$LATES'",
                "functionName",
                "satisfy regular expression pattern: "
                f"{NAME_PATTERN}([a-zA-Z0-9-_\\.]+)(:(\\$LATEST(\\.PUBLISHED)?|[a-zA-Z0-9-_]+))?",
            )
        ),
    ),
    ("GET", "F/list?MaxItems=51", None, violated(value("'51'", "maxItems", "have value less than or equal to 50"))),
    ("GET", "F/list?MaxItems=0", None, violated(value("'0'", "maxItems", "have value greater than or equal to 1"))),
]


@pytest.mark.parametrize(
    "method, path, body, expected", REFUSED, ids=lambda part: "" if isinstance(part, tuple) else str(part)[:60]
)
def test_what_is_refused(raw, functions, method, path, body, expected):
    address, question, query = path.partition("?")
    head, slash, tail = address.partition("/")
    address = f"{head}/event-invoke-config{slash}{tail}{question}{query}"
    assert call(raw, functions, method, address, body) == expected


def test_a_list_goes_on_where_it_stopped(raw, server, functions):
    qualifiers = ["$LATEST", "1", "live"]
    for qualifier in qualifiers:
        assert call(raw, functions, "PUT", f"G/event-invoke-config?Qualifier={qualifier}", RETRIES)[0] == 200
    whole = [config(f"G:{qualifier}", **RETRIES) for qualifier in qualifiers]
    for path in ("G", "G:live"):
        answer = call(raw, functions, "GET", f"{path}/event-invoke-config/list")
        assert answer == (200, {"FunctionEventInvokeConfigs": whole}), path
    first = call(raw, functions, "GET", "G/event-invoke-config/list?MaxItems=2")[1]
    assert first["FunctionEventInvokeConfigs"] == whole[:2]
    # What the marker stands for may go meanwhile.
    assert call(raw, functions, "DELETE", "G/event-invoke-config?Qualifier=1")[0] == 204
    rest = call(raw, functions, "GET", f"G/event-invoke-config/list?MaxItems=2&Marker={first['NextMarker']}")
    assert rest == (200, {"FunctionEventInvokeConfigs": whole[2:]})
    assert call(raw, functions, "GET", "G/event-invoke-config/list?Marker=x") == invalid("Invalid Marker")
    pages = server.client("lambda").get_paginator("list_function_event_invoke_configs")
    one_each = pages.paginate(FunctionName=functions["G"], PaginationConfig={"PageSize": 1})
    found = [page["FunctionEventInvokeConfigs"] for page in one_each]
    assert [one["FunctionArn"].rsplit(":")[-1] for (one,) in found] == ["$LATEST", "live"]


def test_settings_live_as_long_as_what_they_are_of(raw, lam, name):
    function = {"N": name}
    create(lam, name, ECHO)
    lam.publish_version(FunctionName=name)
    lam.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    before = lam.get_function_configuration(FunctionName=name)["RevisionId"]
    for qualifier in ("$LATEST", "1", "live"):
        lam.put_function_event_invoke_config(FunctionName=name, Qualifier=qualifier, MaximumRetryAttempts=1)
    assert lam.get_function_configuration(FunctionName=name)["RevisionId"] == before
    listed = lambda: call(raw, function, "GET", f"{name}/event-invoke-config/list")[1]["FunctionEventInvokeConfigs"]
    lam.delete_alias(FunctionName=name, Name="live")
    assert [one["FunctionArn"] for one in listed()] == ["ARNF:N:$LATEST", "ARNF:N:1"]
    lam.delete_function(FunctionName=name, Qualifier="1")
    assert [one["FunctionArn"] for one in listed()] == ["ARNF:N:$LATEST"]
    lam.delete_function(FunctionName=name)
    assert call(raw, function, "GET", f"{name}/event-invoke-config/list") == NO_FUNCTION
    create(lam, name, ECHO)
    assert listed() == []
