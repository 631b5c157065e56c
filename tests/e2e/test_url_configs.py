"""The configuration of function URLs against recorded answers, whole."""

import datetime
import json
import re

import pytest

from recorded import ARNF, ECHO, NAME_PATTERN, invalid, not_found, user, value, violated
from samovar import REGION, create

BASE = "/2021-10-31/functions"
URL = re.compile(rf"https://[a-z0-9]{{32}}\.lambda-url\.{REGION}\.on\.aws/")
TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
NO_FUNCTION = not_found("Function does not exist")
NO_URL = not_found("The resource you requested does not exist.")
TWO = invalid("The derived qualifier from the function name does not match the specified qualifier.")
QUALIFIER = r"satisfy regular expression pattern: ((?!^\d+$)^[0-9a-zA-Z-_]+$)"
NAME = f"satisfy regular expression pattern: {NAME_PATTERN}([a-zA-Z0-9-_]{{1,64}})(:((?!\\d+$)[0-9a-zA-Z-_]+))?"
NONE, IAM = {"AuthType": "NONE"}, {"AuthType": "AWS_IAM"}
STREAM, BUFFERED = {"InvokeMode": "RESPONSE_STREAM"}, {"InvokeMode": "BUFFERED"}
CORS = {
    "AllowCredentials": True,
    "AllowHeaders": ["x-one", "x-two"],
    "AllowMethods": ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"],
    "AllowOrigins": ["https://example.com", "http://localhost:60905"],
    "ExposeHeaders": ["date"],
    "MaxAge": 86400,
}


def exists(qualified):
    text = (
        f"Failed to create function url config for [functionArn = ARNF:{qualified}]. Error message:  "
        "FunctionUrlConfig exists for this Lambda function"
    )
    return 409, "ResourceConflictException", user("message", text)


@pytest.fixture
def function(server, name):
    """A function with version 1 and the alias `live`."""
    client = server.client("lambda")
    create(client, name, ECHO)
    client.publish_version(FunctionName=name)
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    return name


@pytest.fixture
def call(raw, function):
    """Sends what is about `F` and tells status and whole body; what is volatile is checked and taken out, the
    addresses are kept in `call.urls`."""

    def send(method, path, body=None):
        address = re.sub(r"(^|:)F(?=[:/?])", rf"\1{function}", path).replace("ARNF:", ARNF)
        sent = b"" if body is None else json.dumps(body).encode()
        status, headers, content = raw(method, f"{BASE}/{address}", sent)
        if status == 204:
            assert (content, headers.pop("content-length", "0"), headers) == (b"", "0", {})
            return status, None
        assert headers.pop("content-type") == "application/json"
        answer = json.loads(json.dumps(json.loads(content)).replace(ARNF, "ARNF:").replace(function, "F"))
        if status >= 400:
            return status, headers.pop("x-amzn-errortype"), answer
        assert headers == {}
        for one in answer.get("FunctionUrlConfigs", [answer]):
            url = one.pop("FunctionUrl")
            assert URL.fullmatch(url)
            send.urls.setdefault(one["FunctionArn"], []).append(url)
            moments = [one.pop(key) for key in ("CreationTime", "LastModifiedTime") if key in one]
            # The form of recorded answers: microseconds, and `Z`.
            assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", moment) for moment in moments)
            assert moments == sorted(moments)
            now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
            assert all(abs(datetime.datetime.strptime(moment, TIME) - now).total_seconds() < 600 for moment in moments)
            send.moments = moments
        return status, answer

    send.urls = {}
    return send


def url(qualified, *members, cors=None):
    """A configuration without what is volatile."""
    shown = {"FunctionArn": f"ARNF:{qualified}", "AuthType": "NONE"}
    for member in members:
        shown |= member
    return shown | ({} if cors is None else {"Cors": cors})


EMPTY = {"AllowMethods": [], "MaxAge": 0}
# What is sent one after another, the answer, and what is then read back.
LIFE = [
    ("POST", NONE, [], None, [BUFFERED], None),
    ("PUT", {}, [], None, [BUFFERED], None),
    ("PUT", IAM, [IAM], None, [IAM, BUFFERED], None),
    ("PUT", STREAM, [IAM, STREAM], None, [IAM, STREAM], None),
    ("PUT", {"Cors": CORS}, [IAM], CORS, [IAM, STREAM], CORS),
    ("PUT", {**NONE}, [], CORS, [STREAM], CORS),
    # A present object replaces every member.
    ("PUT", {"Cors": {"AllowOrigins": ["*"]}}, [], {"AllowOrigins": ["*"]}, [STREAM], {"AllowOrigins": ["*"]}),
    ("PUT", {"Cors": EMPTY}, [], EMPTY, [STREAM], EMPTY),
    ("PUT", {"Cors": {}}, [], None, [STREAM], None),
    ("PUT", BUFFERED, [BUFFERED], None, [BUFFERED], None),
]


@pytest.mark.parametrize("qualifier", ["", "live"], ids=["function", "alias"])
def test_the_life_of_a_url(call, qualifier):
    path = "F/url" + (f"?Qualifier={qualifier}" if qualifier else "")
    shown = f"F:{qualifier}".rstrip(":")
    for method in ("GET", "PUT", "DELETE"):
        assert call(method, path, {} if method == "PUT" else None) == NO_URL
    for method, sent, answered, answered_cors, read, read_cors in LIFE:
        expected = url(shown, *answered, cors=answered_cors)
        assert call(method, path, sent) == (201 if method == "POST" else 200, expected), sent
        assert ("LastModifiedTime" in expected, len(call.moments)) == (False, 1 if method == "POST" else 2)
        assert call("GET", path) == (200, url(shown, *read, cors=read_cors)), sent
    assert len(set(call.urls[f"ARNF:{shown}"])) == 1, "a URL stays what it is"
    assert call("POST", path, NONE) == exists(shown)
    assert call("GET", "F/urls") == (200, {"FunctionUrlConfigs": [url(shown, BUFFERED)]})
    assert call("DELETE", path) == (204, None)
    assert call("DELETE", path) == NO_URL
    first = call.urls.pop(f"ARNF:{shown}")[0]
    assert call("POST", path, {**NONE, **BUFFERED, "Cors": {}}) == (201, url(shown, BUFFERED))
    assert call.urls[f"ARNF:{shown}"] != [first], "a new URL has a new id"


def test_times_move_as_they_should(call):
    call("POST", "F/url", NONE)
    (created,) = call.moments
    call("GET", "F/url")
    assert call.moments == [created, created]
    call("PUT", "F/url", {})
    assert call.moments[0] == created < call.moments[1]


REFUSED = [
    ("POST", "nope/url", NONE, NO_FUNCTION),
    ("POST", "ARNF:nope/url", NONE, NO_FUNCTION),
    ("POST", "F/url?Qualifier=nope", NONE, NO_FUNCTION),
    ("POST", "F:nope/url", NONE, NO_FUNCTION),
    ("GET", "nope/urls", None, NO_FUNCTION),
    ("GET", "nope/url", None, NO_URL),
    ("GET", "ARNF:nope/url", None, NO_URL),
    ("GET", "F/url?Qualifier=nope", None, NO_URL),
    ("PUT", "nope/url", IAM, NO_FUNCTION),
    ("PUT", "F:nope/url", IAM, NO_FUNCTION),
    ("PUT", "F/url?Qualifier=nope", IAM, NO_FUNCTION),
    ("PUT", "F/url", IAM, NO_URL),
    ("DELETE", "nope/url", None, NO_URL),
    ("DELETE", "F/url?Qualifier=nope", None, NO_URL),
    ("POST", "F:live/url?Qualifier=other", NONE, TWO),
    ("POST", "F/url?Qualifier=1", NONE, violated(value("'1'", "qualifier", QUALIFIER))),
    ("POST", "nope/url?Qualifier=1", NONE, violated(value("'1'", "qualifier", QUALIFIER))),
    ("GET", "F/url?Qualifier=2", None, violated(value("'2'", "qualifier", QUALIFIER))),
    ("PUT", "F/url?Qualifier=$LATEST", IAM, violated(value("'$LATEST'", "qualifier", QUALIFIER))),
    ("DELETE", "F/url?Qualifier=$LATEST", None, violated(value("'$LATEST'", "qualifier", QUALIFIER))),
    ("POST", "F:$LATEST/url", NONE, violated(value("'F:$LATEST'", "functionName", NAME))),
    ("POST", "F:1/url", NONE, violated(value("'F:1'", "functionName", NAME))),
    ("POST", "F/url", {}, violated(value("null", "authType", "not be null"))),
    ("POST", "F/url", {"AuthType": "X"}, violated(value("'X'", "authType", "satisfy enum value set: [NONE, AWS_IAM]"))),
    (
        "POST",
        "F/url",
        {**NONE, "InvokeMode": "X"},
        violated(value("'X'", "invokeMode", "satisfy enum value set: [BUFFERED, RESPONSE_STREAM]")),
    ),
    (
        "POST",
        "F/url",
        {**NONE, "Cors": {"MaxAge": 86401}},
        violated(value("'86401'", "cors.maxAge", "have value less than or equal to 86400")),
    ),
    (
        "POST",
        "F/url",
        {**NONE, "Cors": {"AllowMethods": ["OPTIONS"]}},
        violated(
            value(
                "'[OPTIONS]'",
                "cors.allowMethods",
                "satisfy constraint: [Member must have length less than or equal to 6, Member must have length greater "
                "than or equal to 0, Member must satisfy regular expression pattern: .*, Member must not be null]",
            )
        ),
    ),
    (
        "PUT",
        "F/url",
        {"Cors": {"AllowMethods": ["A"] * 7}},
        violated(value("'[A, A, A, A, A, A, A]'", "cors.allowMethods", "have length less than or equal to 6")),
    ),
    (
        "POST",
        "F/url",
        {**NONE, "Cors": {"AllowOrigins": ["o" * 254]}},
        violated(
            value(
                f"'[{'o' * 254}]'",
                "cors.allowOrigins",
                "satisfy constraint: [Member must have length less than or equal to 253, Member must have length "
                "greater than or equal to 1, Member must satisfy regular expression pattern: .*, Member must not be null]",
            )
        ),
    ),
    ("GET", "F/urls?MaxItems=51", None, violated(value("'51'", "maxItems", "have value less than or equal to 50"))),
    ("GET", "F/urls?Marker=x", None, invalid("Invalid Marker")),
]


def test_what_is_refused(call):
    for method, path, body, expected in REFUSED:
        assert call(method, path, body) == expected, (method, path, body)
    assert call("GET", "F/urls") == (200, {"FunctionUrlConfigs": []})


def test_a_list_goes_on_where_it_stopped(call, server, function):
    call("POST", "F/url", NONE)
    call("POST", "F:live/url", {**IAM, **STREAM, "Cors": CORS})
    both = [url("F", BUFFERED), url("F:live", IAM, STREAM, cors=CORS)]
    assert call("GET", "F/urls") == (200, {"FunctionUrlConfigs": both})
    first = call("GET", "F/urls?MaxItems=1")[1]
    assert first["FunctionUrlConfigs"] == both[:1]
    call("DELETE", "F/url")
    rest = call("GET", f"F/urls?MaxItems=1&Marker={first['NextMarker']}")
    assert rest == (200, {"FunctionUrlConfigs": both[1:]})
    pages = server.client("lambda").get_paginator("list_function_url_configs").paginate(FunctionName=function)
    assert len([one for page in pages for one in page["FunctionUrlConfigs"]]) == 1


def test_a_url_outlives_its_alias_and_not_its_function(call, lam, function):
    call("POST", "F:live/url", NONE)
    before = lam.get_function_configuration(FunctionName=function)["RevisionId"]
    lam.delete_alias(FunctionName=function, Name="live")
    left = (200, url("F:live", BUFFERED))
    assert call("GET", "F:live/url") == left
    assert call("GET", "F/urls") == (200, {"FunctionUrlConfigs": [left[1]]})
    assert call("POST", "F:live/url", NONE) == exists("F:live")
    assert call("PUT", "F:live/url", IAM) == (200, url("F:live", IAM))
    # Another alias of the name finds the URL that was there.
    lam.create_alias(FunctionName=function, Name="live", FunctionVersion="$LATEST")
    assert call("GET", "F:live/url") == (200, url("F:live", IAM, BUFFERED))
    assert len(set(call.urls["ARNF:F:live"])) == 1
    assert lam.get_function_configuration(FunctionName=function)["RevisionId"] == before
    lam.delete_function(FunctionName=function)
    assert call("GET", "F:live/url") == NO_URL
    create(lam, function, ECHO)
    assert call("GET", "F/urls") == (200, {"FunctionUrlConfigs": []})


def test_urls_are_there_after_a_restart(fresh):
    samovar = fresh()
    client = samovar.client("lambda")
    create(client, "kept", ECHO)
    client.create_function_url_config(FunctionName="kept", AuthType="AWS_IAM", Cors=CORS, InvokeMode="RESPONSE_STREAM")
    client.put_function_event_invoke_config(
        FunctionName="kept",
        MaximumEventAgeInSeconds=77,
        DestinationConfig={"OnFailure": {"Destination": "arn:aws:s3:::b"}},
    )
    seen = lambda client: [
        {key: value for key, value in answer.items() if key != "ResponseMetadata"}
        for answer in (
            client.get_function_url_config(FunctionName="kept"),
            client.get_function_event_invoke_config(FunctionName="kept"),
        )
    ]
    before = seen(client)
    samovar.kill()
    samovar.start()
    assert seen(samovar.client("lambda")) == before
