"""Published versions against recorded answers, whole, and what runs under them."""

import base64
import io
import json
import re
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from recorded import ARNF, FUNCTIONS, STALE, UUID, ZIP, invalid, not_found, user, value, violated
from samovar import ACCOUNT, PYTHON, REGION, ROLE, create, invoke, messages, until, wait_active, zip_of
from test_sweep import Traces

WHO = """import os
count = 0
def handler(event, context):
    global count
    count += 1
    version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
    return ["%s", version, context.function_version, context.invoked_function_arn, count]
"""
PENDING = {
    "State": "Pending", "StateReason": "The function is being created.", "StateReasonCode": "Creating",
}
ACTIVE = {"State": "Active", "LastUpdateStatus": "Successful"}
CONFLICT = 409, "ResourceConflictException"


def call(raw, method, path, body=None, status=200):
    """The JSON of an answer that has no other headers than all have."""
    found, headers, content = raw(method, f"{FUNCTIONS}/{path}".rstrip("/"), b"" if body is None else body)
    assert (found, headers) == (status, {"content-type": "application/json"}), content
    return json.loads(content)


def make(raw, name, **more):
    request = {
        "FunctionName": name, "Role": ROLE, "Runtime": PYTHON, "Handler": "index.handler", "Code": {"ZipFile": ZIP},
    }
    return call(raw, "POST", "", {**request, **more}, 201)


def settled(raw, name):
    def done():
        found = call(raw, "GET", f"{name}/configuration")
        return found if found["State"] == "Active" and found["LastUpdateStatus"] == "Successful" else None

    return until(done)


def touch(raw, name, **more):
    """One successful update."""
    call(raw, "PUT", f"{name}/configuration", more)
    return settled(raw, name)


def publish(raw, name, **more):
    return call(raw, "POST", f"{name}/versions", more, 201)


def version_of(latest, number, revision, **more):
    """The whole configuration of a version that was made of `latest`."""
    return {
        **latest, "FunctionArn": f"{latest['FunctionArn']}:{number}", "Version": str(number), "RevisionId": revision,
        **more,
    }


def listed(configuration):
    """The same as lists show it."""
    left_out = {"State", "LastUpdateStatus", "RuntimeVersionConfig"}
    return {key: value for key, value in configuration.items() if key not in left_out}


def test_the_life_of_versions(raw, name):
    make(raw, name, Description="No version")
    latest = settled(raw, name)
    first = publish(raw, name, Description="First version")
    assert re.fullmatch(UUID, first["RevisionId"]) and first["RevisionId"] != latest["RevisionId"]
    assert first == version_of(latest, 1, first["RevisionId"], Description="First version")
    renewed = settled(raw, name)
    assert renewed == {**latest, "RevisionId": renewed["RevisionId"]}
    assert renewed["RevisionId"] not in (latest["RevisionId"], first["RevisionId"])
    # Again: the version there is, whatever the description, and $LATEST stays as it is.
    assert publish(raw, name) == first
    assert publish(raw, name, Description="Another") == first
    assert settled(raw, name) == renewed
    # An update that changes nothing makes another.
    latest = touch(raw, name)
    second = publish(raw, name)
    assert second == version_of(latest, 2, second["RevisionId"])
    # The first is what it was.
    touch(raw, name, Description="Third", MemorySize=256)
    assert call(raw, "GET", f"{name}/configuration?Qualifier=1") == first
    whole = call(raw, "GET", f"{name}:1")
    assert whole.pop("Code").keys() == {"RepositoryType", "Location"}
    assert whole == {"Configuration": first}
    latest = settled(raw, name)
    assert call(raw, "GET", f"{name}/versions") == {
        "Versions": [
            listed({**latest, "FunctionArn": f"{ARNF}{name}:$LATEST"}), listed(first), listed(second),
        ]
    }


def test_a_version_made_with_its_function(raw, name):
    created = make(raw, name, Publish=True)
    assert created["FunctionArn"] == ARNF + name
    assert created["Version"] == "1"
    assert created.items() >= PENDING.items() and "LastUpdateStatus" not in created
    latest = settled(raw, name)
    assert latest == {
        **{key: found for key, found in created.items() if key not in PENDING}, **ACTIVE,
        "Version": "$LATEST", "RevisionId": latest["RevisionId"],
    }
    first = call(raw, "GET", f"{name}:1/configuration")
    assert first == version_of(latest, 1, first["RevisionId"])
    assert len({created["RevisionId"], latest["RevisionId"], first["RevisionId"]}) == 3
    assert publish(raw, name) == first
    assert settled(raw, name) == latest


def test_a_version_made_with_an_update_of_code(raw, name):
    make(raw, name)
    latest = settled(raw, name)
    code = base64.b64encode(zip_of({"index.py": WHO % "new"})).decode()
    answer = call(raw, "PUT", f"{name}/code", {"ZipFile": code, "Publish": True})
    expected = {
        **version_of(latest, 1, answer["RevisionId"]), **PENDING,
        **{key: answer[key] for key in ("CodeSha256", "CodeSize", "LastModified")},
    }
    del expected["LastUpdateStatus"]
    assert answer == expected
    assert answer["CodeSha256"] != latest["CodeSha256"]
    after = settled(raw, name)
    first = call(raw, "GET", f"{name}:1/configuration")
    assert first == version_of(after, 1, first["RevisionId"])
    assert publish(raw, name) == first
    # Not to be published: validated, and nothing else.
    assert call(raw, "PUT", f"{name}/code", {"ZipFile": ZIP, "Publish": True, "DryRun": True}) == after
    assert [found["Version"] for found in call(raw, "GET", f"{name}/versions")["Versions"]] == ["$LATEST", "1"]


def test_a_publication_names_what_it_means(raw, name):
    make(raw, name)
    latest = settled(raw, name)
    path = f"{FUNCTIONS}/{name}/versions"
    sha = latest["CodeSha256"]
    other = "00000000-0000-4000-8000-000000000000"
    stale = 412, "PreconditionFailedException", user("message", STALE)
    for body, expected in (
        ({"RevisionId": other}, stale),
        ({"RevisionId": "mine"}, stale),
        (
            {"CodeSha256": "somenonexistentsha256"},
            invalid(
                f"CodeSHA256 (somenonexistentsha256) is different from current CodeSHA256 in $LATEST ({sha}). Please "
                "try again with the CodeSHA256 in $LATEST."
            ),
        ),
        (
            {"Description": "d" * 257},
            violated(value(f"'{'d' * 257}'", "description", "have length less than or equal to 256")),
        ),
        (
            {"PublishTo": "ELSEWHERE"},
            violated(value("'ELSEWHERE'", "publishTo", "satisfy enum value set: [LATEST_PUBLISHED]")),
        ),
        (
            {"PublishTo": "LATEST_PUBLISHED"},
            (501, "NotImplementedException", {"message": "Samovar does not implement PublishTo"}),
        ),
    ):
        assert raw.error("POST", path, body) == expected, body
    first = publish(raw, name, CodeSha256=sha, RevisionId=latest["RevisionId"])
    assert first["Version"] == "1"
    # The publication itself moved the revision on, although the version is there.
    assert raw.error("POST", path, {"RevisionId": latest["RevisionId"]}) == stale
    assert publish(raw, name, RevisionId=settled(raw, name)["RevisionId"]) == first


def test_nothing_is_published_while_a_change_is_under_way(raw, name):
    make(raw, name)
    settled(raw, name)
    met = f"The operation cannot be performed at this time. An update is in progress for resource: {ARNF}{name}"
    told = set()

    def ask(method, path, body):
        status, _, content = raw(method, f"{FUNCTIONS}/{name}/{path}", body)
        if status == 409:
            told.add(json.loads(content)["message"])

    def race():
        """Whether somebody published while another's change was under way."""
        calls = [("PUT", "configuration", b"{}"), *[("POST", "versions", b"{}")] * 6]
        with ThreadPoolExecutor(len(calls)) as callers:
            for done in [callers.submit(ask, *call) for call in calls]:
                done.result()
        settled(raw, name)
        return met in told

    until(race, 60)
    assert told == {met}


def test_numbers_are_never_used_twice(lam, name):
    create(lam, name, WHO % "x", Publish=True)
    numbers = lambda: [found["Version"] for found in lam.list_versions_by_function(FunctionName=name)["Versions"]]
    assert lam.publish_version(FunctionName=name)["Version"] == "1"
    for _ in range(3):
        lam.delete_function(FunctionName=name, Qualifier="1")
    assert numbers() == ["$LATEST"]
    # What was published last is gone, so there is something to publish.
    assert lam.publish_version(FunctionName=name)["Version"] == "2"
    lam.delete_function(FunctionName=name)
    assert create(lam, name, WHO % "x", Publish=True)["Version"] == "3"
    assert numbers() == ["$LATEST", "3"]


def test_twenty_publishers_at_once_publish_one_version(server, name):
    create(server.client("lambda"), name, WHO % "x")

    def publish(_):
        return server.client("lambda").publish_version(FunctionName=name)["Version"]

    with ThreadPoolExecutor(20) as publishers:
        assert list(publishers.map(publish, range(20))) == ["1"] * 20
    versions = server.client("lambda").list_versions_by_function(FunctionName=name)["Versions"]
    assert [found["Version"] for found in versions] == ["$LATEST", "1"]


def test_deleting_a_version_that_aliases_lead_to(raw, lam, name):
    create(lam, name, WHO % "x", Publish=True)
    lam.update_function_configuration(FunctionName=name, Description="two")
    wait_active(lam, name)
    lam.publish_version(FunctionName=name)
    routing = {"AdditionalVersionWeights": {"2": 0.1}}
    lam.create_alias(FunctionName=name, Name="canary", FunctionVersion="1", RoutingConfig=routing)
    lam.create_alias(FunctionName=name, Name="blue", FunctionVersion="1")
    for number, aliases in (("1", "blue, canary"), ("2", "canary")):
        assert raw.error("DELETE", f"{FUNCTIONS}/{name}?Qualifier={number}") == (
            *CONFLICT,
            user("message", f"Unable to delete version because the following aliases reference it: [{aliases}]"),
        )
    lam.update_alias(FunctionName=name, Name="canary", RoutingConfig={})
    assert raw("DELETE", f"{FUNCTIONS}/{name}:2") == (204, {}, b"")
    assert raw.error("GET", f"{FUNCTIONS}/{name}:2") == not_found(f"Function not found: {ARNF}{name}:2")
    assert raw("DELETE", f"{FUNCTIONS}/{name}") == (204, {}, b"")


# Requests about function N with the versions 1 and 2 and the alias `live`, which leads to 2.
STREAMS = "/2021-11-15/functions"
FORMS = ["{}", "function:{}", f"{ACCOUNT}:function:{{}}", ARNF + "{}", (ARNF + "{}").replace(":", "%3A")]
TWO = invalid("The derived qualifier from the function name does not match the specified qualifier.")
READ = [
    # In the name, beside it, what the answer's ARN ends in, and the version.
    ("", "", "", "$LATEST"),
    (":$LATEST", "", ":$LATEST", "$LATEST"),
    ("", "$LATEST", ":$LATEST", "$LATEST"),
    (":$LATEST", "$LATEST", ":$LATEST", "$LATEST"),
    (":1", "", ":1", "1"),
    ("", "1", ":1", "1"),
    (":1", "1", ":1", "1"),
    (":live", "", ":live", "2"),
    ("", "live", ":live", "2"),
    (":live", "live", ":live", "2"),
    (":1", "2", None, TWO),
    (":live", "2", None, TWO),
    (":1", "$LATEST", None, TWO),
    (":9", "", None, not_found("Function not found: ARNF:N:9")),
    ("", "9", None, not_found("Function not found: ARNF:N:9")),
    (":dead", "", None, not_found("Function not found: ARNF:N:dead")),
    ("", "dead", None, not_found("Function not found: ARNF:N:dead")),
    ("", "01", None, not_found("Function not found: ARNF:N:01")),
    ("", "0", None, not_found("Function not found: ARNF:N:0")),
    ("", "99999999999999999999999", None, not_found("Function not found: ARNF:N:99999999999999999999999")),
]


@pytest.fixture(scope="module")
def two(server):
    """A function with two versions and an alias, which all read and none change."""
    lam = server.client("lambda")
    create(lam, "versions-two", WHO % "one", Publish=True)
    lam.update_function_code(FunctionName="versions-two", ZipFile=zip_of({"index.py": WHO % "two"}), Publish=True)
    wait_active(lam, "versions-two")
    lam.update_function_code(FunctionName="versions-two", ZipFile=zip_of({"index.py": WHO % "three"}))
    wait_active(lam, "versions-two")
    lam.create_alias(FunctionName="versions-two", Name="live", FunctionVersion="2")
    lam.create_alias(FunctionName="versions-two", Name="edge", FunctionVersion="$LATEST")
    return "versions-two"


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_every_qualifier(raw, lam, two, form):
    for derived, given, arn, expected in READ:
        path = f"{FUNCTIONS}/{form.format(two)}{derived.replace(':', '%3A') if '%3A' in form else derived}"
        query = f"?Qualifier={given}" if given else ""
        at = (form, derived, given)
        invocations = f"{path}/invocations"
        streams = f"{path.replace(FUNCTIONS, STREAMS)}/response-streaming-invocations"
        if arn is None:
            everywhere = ("GET", path), ("GET", f"{path}/configuration"), ("POST", invocations), ("POST", streams)
            for method, asked in everywhere:
                status, code, answer = raw.error(method, asked + query)
                answer = json.loads(json.dumps(answer).replace(ARNF, "ARNF:").replace(two, "N"))
                assert (status, code, answer) == expected, (method, asked, query)
            continue
        word = {"1": "one", "2": "two", "$LATEST": "three"}[expected]
        for suffix in ("", "/configuration"):
            status, _, body = raw("GET", path + suffix + query)
            found = json.loads(body)
            found = found.get("Configuration", found)
            assert (status, found["FunctionArn"], found["Version"]) == (200, ARNF + two + arn, expected), at
        status, headers, body = raw("POST", invocations + query)
        assert (status, headers["x-amz-executed-version"]) == (200, expected), at
        assert json.loads(body)[:4] == [word, expected, expected, ARNF + two + arn], at
        named = {"FunctionName": form.format(two).replace("%3A", ":") + derived}
        stream = lam.invoke_with_response_stream(**named, **({"Qualifier": given} if given else {}))
        pieces = [event["PayloadChunk"]["Payload"] for event in stream["EventStream"] if "PayloadChunk" in event]
        assert stream["ExecutedVersion"] == expected, at
        assert json.loads(b"".join(pieces))[:4] == [word, expected, expected, ARNF + two + arn], at
        dry = raw("POST", invocations + query, b"", {"X-Amz-Invocation-Type": "DryRun"})
        assert dry[0] == 204 and "x-amz-executed-version" not in dry[1], at


@pytest.mark.parametrize("form", FORMS)
def test_operations_on_functions_take_every_form_of_a_name(raw, two, form):
    path = f"{FUNCTIONS}/{form.format(two)}"
    for suffix in ("", ":$LATEST" if "%3A" not in form else "%3A$LATEST"):
        numbers = [found["Version"] for found in json.loads(raw("GET", f"{path}{suffix}/versions")[2])["Versions"]]
        assert numbers == ["$LATEST", "1", "2"]
        aliases = json.loads(raw("GET", f"{path}{suffix}/aliases")[2])["Aliases"]
        assert [found["Name"] for found in aliases] == ["edge", "live"]
        assert json.loads(raw("GET", f"{path}{suffix}/aliases/live")[2])["FunctionVersion"] == "2"
        alias = {"Name": "brief", "FunctionVersion": "1"}
        status, _, body = raw("POST", f"{path}{suffix}/aliases", alias)
        assert (status, json.loads(body)["AliasArn"]) == (201, f"{ARNF}{two}:brief")
        assert raw("PUT", f"{path}{suffix}/aliases/brief", {"Description": "x"})[0] == 200
        assert raw("DELETE", f"{path}{suffix}/aliases/brief") == (204, {}, b"")
        for number in ("7", "01", "9" * 30):
            query = suffix.replace("$LATEST", number) or f"?Qualifier={number}"
            assert raw("DELETE", path + query) == (204, {}, b"")


NOWHERE = [
    ("GET", "nope/versions", not_found("Function not found: ARNF:nope")),
    ("POST", "nope/versions", not_found("Function not found: ARNF:nope")),
    ("GET", "N:1/versions", not_found("Function not found: ARNF:N:1")),
    ("POST", "N:1/versions", not_found("Function not found: ARNF:N:1")),
    ("POST", "N:live/versions", not_found("Function not found: ARNF:N:live")),
    ("PUT", "N:live/configuration", not_found("Function not found: ARNF:N:live")),
    ("PUT", "N:1/code", not_found("Function not found: ARNF:N:1")),
    ("DELETE", "N:live", invalid("Deletion of aliases is not currently supported.")),
    ("DELETE", "N?Qualifier=nope", invalid("Deletion of aliases is not currently supported.")),
    ("DELETE", "N:$LATEST", invalid("$LATEST version cannot be deleted without deleting the function.")),
    ("DELETE", "N:1?Qualifier=2", TWO),
    ("DELETE", "nope:1", not_found("Function not found: ARNF:nope")),
    ("POST", "N/invocations?Qualifier=9", not_found("Function not found: ARNF:N:9")),
    ("POST", "N:dead/invocations", not_found("Function not found: ARNF:N:dead")),
    ("GET", "N/versions?Marker=nope", invalid("Invalid Marker")),
    ("GET", "N/versions?MaxItems=0", violated(value("'0'", "maxItems", "have value greater than or equal to 1"))),
    (
        "GET",
        "arn:aws:lambda:eu-west-1:000000000000:function:N/versions",
        not_found("Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"),
    ),
]


@pytest.mark.parametrize("method, path, expected", NOWHERE, ids=lambda part: part[:60] if isinstance(part, str) else "")
def test_what_leads_nowhere(raw, two, method, path, expected):
    path = re.sub(r"(^|:)N\b", rf"\1{two}", path)
    body = {"ZipFile": ZIP} if path.endswith("/code") else b"{}" if method in ("PUT", "POST") else b""
    status, code, answer = raw.error(method, f"{FUNCTIONS}/{path}", body)
    text = json.dumps(answer).replace(ARNF, "ARNF:").replace(two, "N")
    assert (status, code, json.loads(text)) == expected


def test_environments_of_versions_live_side_by_side(server, lam, logs, name):
    create(lam, name, WHO % "one", Publish=True)
    ran = lambda qualifier: invoke(lam, name, Qualifier=qualifier)["payload"]
    assert ran("1")[0::4] == ["one", 1]
    assert ran("$LATEST")[0::4] == ["one", 1]
    # A publication that makes a version ends nothing.
    lam.update_function_configuration(FunctionName=name, Description="two")
    wait_active(lam, name)
    assert ran("$LATEST")[0::4] == ["one", 1]
    assert lam.publish_version(FunctionName=name)["Version"] == "2"
    assert [ran(qualifier)[4] for qualifier in ("$LATEST", "1", "2")] == [2, 2, 1]
    # An update ends $LATEST's and no version's.
    lam.update_function_code(FunctionName=name, ZipFile=zip_of({"index.py": WHO % "three"}))
    wait_active(lam, name)
    assert [ran(qualifier)[0::4] for qualifier in ("$LATEST", "1", "2")] == [["three", 1], ["one", 3], ["one", 2]]
    streams = logs.describe_log_streams(logGroupName=f"/aws/lambda/{name}")["logStreams"]
    versions = sorted(re.fullmatch(r"\d{4}/\d\d/\d\d/\[(.+)\][0-9a-f]{32}", s["logStreamName"])[1] for s in streams)
    assert versions == ["$LATEST"] * 3 + ["1", "2"]
    started = [line for line in messages(logs, name) if line.startswith("START")]
    assert {line.split("Version: ")[1].strip() for line in started} == {"$LATEST", "1", "2"}
    # A version's environments go with it.
    there = lambda: len(Traces(server).given())
    before = there()
    lam.delete_function(FunctionName=name, Qualifier="1")
    until(lambda: there() < before)
    assert ran("2")[4] == 3


def test_versions_outlive_the_server(fresh):
    server = fresh()
    lam = server.client("lambda")
    create(lam, "f", WHO % "one", Publish=True)
    lam.update_function_code(FunctionName="f", ZipFile=zip_of({"index.py": WHO % "two"}), Publish=True)
    server.kill()
    server.start()
    lam = server.client("lambda")
    wait_active(lam, "f")
    assert lam.get_function_configuration(FunctionName="f", Qualifier="2")["State"] == "Active"
    assert [invoke(lam, "f", Qualifier=number)["payload"][0] for number in ("1", "2")] == ["one", "two"]
    assert lam.publish_version(FunctionName="f")["Version"] == "2"


def test_the_package_of_a_version_stays(lam, name):
    create(lam, name, WHO % "one", Publish=True)
    lam.update_function_code(FunctionName=name, ZipFile=zip_of({"index.py": WHO % "two"}))
    wait_active(lam, name)
    for qualifier, word in (("1", "one"), ("$LATEST", "two")):
        location = lam.get_function(FunctionName=name, Qualifier=qualifier)["Code"]["Location"]
        with urllib.request.urlopen(location) as answer:
            archive = zipfile.ZipFile(io.BytesIO(answer.read()))
        assert archive.read("index.py").decode() == WHO % word


def test_versions_come_in_pages(server, lam, name):
    create(lam, name, WHO % "x", Publish=True)
    for number in range(2, 54):
        lam.update_function_configuration(FunctionName=name, Description=str(number))
        wait_active(lam, name)
        lam.publish_version(FunctionName=name)
    numbers = lambda page: [found["Version"] for found in page["Versions"]]
    everything = ["$LATEST", *map(str, range(1, 54))]
    first = lam.list_versions_by_function(FunctionName=name, MaxItems=1000)
    assert numbers(first) == everything[:50]
    # What the marker names may go.
    lam.delete_function(FunctionName=name, Qualifier="49")
    rest = lam.list_versions_by_function(FunctionName=name, Marker=first["NextMarker"])
    assert numbers(rest) == everything[50:] and "NextMarker" not in rest
    one = lam.list_versions_by_function(FunctionName=name, MaxItems=1)
    assert numbers(one) == ["$LATEST"]
    assert numbers(lam.list_versions_by_function(FunctionName=name, MaxItems=1, Marker=one["NextMarker"])) == ["1"]


def test_the_versions_of_all_functions_come_in_pages(raw, server):
    lam = server.client("lambda", account="666666666666")
    for letter in "bdf":
        create(lam, f"all-{letter}", WHO % letter, Publish=True)
    lam.update_function_configuration(FunctionName="all-d", Description="two")
    wait_active(lam, "all-d")
    lam.publish_version(FunctionName="all-d")

    def page(**more):
        answer = lam.list_functions(FunctionVersion="ALL", **more)
        found = [":".join(found["FunctionArn"].rsplit(":", 2)[1:]) for found in answer["Functions"]]
        return found, answer.get("NextMarker")

    everything = [
        "all-b:$LATEST", "all-b:1", "all-d:$LATEST", "all-d:1", "all-d:2", "all-f:$LATEST", "all-f:1",
    ]
    assert page() == (everything, None)
    for size in (1, 2, 3, 4):
        found, marker = page(MaxItems=size)
        while marker:
            more, marker = page(MaxItems=size, Marker=marker)
            found += more
        assert found == everything, size
    # In the middle of a function's versions: that one goes, another comes, a function comes before.
    found, marker = page(MaxItems=4)
    assert found[-1] == "all-d:1"
    lam.delete_function(FunctionName="all-d", Qualifier="1")
    lam.update_function_configuration(FunctionName="all-d", Description="three")
    wait_active(lam, "all-d")
    lam.publish_version(FunctionName="all-d")
    create(lam, "all-a", WHO % "a")
    assert page(Marker=marker) == (["all-d:2", "all-d:3", "all-f:$LATEST", "all-f:1"], None)
    lam.delete_function(FunctionName="all-d")
    assert page(Marker=marker) == (["all-f:$LATEST", "all-f:1"], None)
    # Without ALL each function comes once.
    once = [found["FunctionArn"].rsplit(":", 1)[1] for found in lam.list_functions()["Functions"]]
    assert once == ["all-a", "all-b", "all-f"]
    reduced = lam.list_functions(FunctionVersion="ALL")["Functions"]
    assert not any({"State", "LastUpdateStatus", "RuntimeVersionConfig"} & found.keys() for found in reduced)


def test_fifty_writers_with_revisions_lose_no_update(server, name):
    """Each adds one to a number that the function's description holds, when nobody else did meanwhile."""
    create(server.client("lambda"), name, WHO % "x", Description="0")

    def add(_):
        lam = server.client("lambda")
        refused = (lam.exceptions.PreconditionFailedException, lam.exceptions.ResourceConflictException)
        while True:
            found = lam.get_function_configuration(FunctionName=name)
            description = str(int(found["Description"]) + 1)
            try:
                return lam.update_function_configuration(
                    FunctionName=name, Description=description, RevisionId=found["RevisionId"]
                )
            except refused:
                continue

    with ThreadPoolExecutor(50) as writers:
        answers = list(writers.map(add, range(50)))
    assert sorted(int(answer["Description"]) for answer in answers) == list(range(1, 51))
    lam = server.client("lambda")
    wait_active(lam, name)
    assert lam.get_function_configuration(FunctionName=name)["Description"] == "50"
