"""Aliases against recorded answers, whole, and how they split invocations."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from recorded import ARNF, FUNCTIONS, STALE, UUID, invalid, not_found, user, value, violated
from samovar import create, invoke, wait_active, zip_of

SAY = "import os\ndef handler(event, context):\n    return os.environ['AWS_LAMBDA_FUNCTION_VERSION']\n"
OTHER_ROLE = "arn:aws:iam::000000000000:role/other"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:queue"


def publish(lam, name, **changes):
    """One more version, made after an update."""
    lam.update_function_configuration(FunctionName=name, **changes)
    wait_active(lam, name)
    return lam.publish_version(FunctionName=name)["Version"]


def ask(raw, method, path, body=None):
    """Status and JSON of an answer that has no other headers than all have."""
    status, headers, content = raw(method, f"{FUNCTIONS}/{path}", b"" if body is None else body)
    assert headers == ({"content-type": "application/json"} if content else {})
    return status, json.loads(content) if content else None


def test_the_life_of_an_alias(raw, lam, name):
    create(lam, name, SAY, Publish=True)
    assert publish(lam, name) == "2"
    latest = lam.get_function_configuration(FunctionName=name)["RevisionId"]
    path = f"{name}/aliases"
    expected = {
        "AliasArn": f"{ARNF}{name}:live", "Name": "live", "FunctionVersion": "1", "Description": "custom",
        "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.2}},
    }
    body = {key: expected[key] for key in ("Name", "FunctionVersion", "Description", "RoutingConfig")}
    status, made = ask(raw, "POST", path, body)
    assert re.fullmatch(UUID, made["RevisionId"])
    assert (status, made) == (201, {**expected, "RevisionId": made["RevisionId"]})
    assert ask(raw, "GET", f"{path}/live") == (200, made)
    # Without description and without weights.
    for alias, routing in (("bare", None), ("empty", {}), ("none", {"AdditionalVersionWeights": {}})):
        body = {"Name": alias, "FunctionVersion": "1"} | ({} if routing is None else {"RoutingConfig": routing})
        status, answer = ask(raw, "POST", path, body)
        assert (status, answer) == (201, {
            "AliasArn": f"{ARNF}{name}:{alias}", "Name": alias, "FunctionVersion": "1", "Description": "",
            "RevisionId": answer["RevisionId"],
        })
    seen = {made["RevisionId"]}

    def updated(body, **changed):
        status, answer = ask(raw, "PUT", f"{path}/live", body)
        expected.update(changed)
        assert answer["RevisionId"] not in seen
        seen.add(answer["RevisionId"])
        assert (status, answer) == (200, {**expected, "RevisionId": answer["RevisionId"]})
        assert ask(raw, "GET", f"{path}/live") == (200, answer)
        return answer["RevisionId"]

    updated({})
    updated({"Description": "other"}, Description="other")
    del expected["RoutingConfig"]
    updated({"RoutingConfig": {}})
    updated({"FunctionVersion": "2"}, FunctionVersion="2")
    weights = {"AdditionalVersionWeights": {"1": 1.0}}
    updated({"RoutingConfig": weights}, RoutingConfig=weights)
    del expected["RoutingConfig"]
    revision = updated({"RoutingConfig": {"AdditionalVersionWeights": {}}})
    updated({"RevisionId": revision, "FunctionVersion": "$LATEST"}, FunctionVersion="$LATEST")
    stale = 412, "PreconditionFailedException", user("message", STALE)
    for text in (revision, latest, "mine"):
        assert raw.error("PUT", f"{FUNCTIONS}/{path}/live", {"RevisionId": text}) == stale
    # The function is not touched by all this.
    assert lam.get_function_configuration(FunctionName=name)["RevisionId"] == latest
    listed = [found["Name"] for found in ask(raw, "GET", path)[1]["Aliases"]]
    assert listed == ["bare", "empty", "live", "none"]
    for _ in range(2):
        assert raw("DELETE", f"{FUNCTIONS}/{path}/live") == (204, {}, b"")
    assert raw.error("GET", f"{FUNCTIONS}/{path}/live") == not_found(f"Cannot find alias arn: {ARNF}{name}:live")


def test_an_alias_shows_its_first_version(raw, lam, name):
    create(lam, name, SAY, Publish=True)
    publish(lam, name, Description="two")
    lam.create_alias(
        FunctionName=name, Name="live", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.9}}
    )
    status, version = ask(raw, "GET", f"{name}:1/configuration")
    assert ask(raw, "GET", f"{name}:live/configuration") == (200, {**version, "FunctionArn": f"{ARNF}{name}:live"})
    lam.create_alias(FunctionName=name, Name="edge", FunctionVersion="$LATEST")
    status, latest = ask(raw, "GET", f"{name}/configuration")
    assert ask(raw, "GET", f"{name}/configuration?Qualifier=edge") == (
        200, {**latest, "FunctionArn": f"{ARNF}{name}:edge"},
    )


@pytest.fixture(scope="module")
def four(server):
    """A function with four versions, the third under another role and the fourth with a queue; and an alias."""
    lam = server.client("lambda")
    create(lam, "aliases-four", SAY, Publish=True)
    publish(lam, "aliases-four", Description="two")
    role = lam.get_function_configuration(FunctionName="aliases-four")["Role"]
    publish(lam, "aliases-four", Role=OTHER_ROLE)
    publish(lam, "aliases-four", Role=role, DeadLetterConfig={"TargetArn": QUEUE})
    lam.create_alias(FunctionName="aliases-four", Name="custom", FunctionVersion="1")
    return "aliases-four"


def weights(**parts):
    return {"RoutingConfig": {"AdditionalVersionWeights": {key.strip("v"): part for key, part in parts.items()}}}


VALUES = (
    "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value "
    "greater than or equal to 0.0, Member must not be null]"
)
KEYS = (
    "Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length "
    "greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+, Member must not be null]"
)


def mapped(text, constraint):
    place = "routingConfig.additionalVersionWeights"
    return violated(f"Value '{text}' at '{place}' failed to satisfy constraint: {constraint}")


SHARED = invalid("$LATEST is not supported for an alias pointing to more than 1 version")
del SHARED[2]["Type"]
ROLES = invalid("Specified versions must be associated with the same execution role")
NAME = r"satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"
VERSION = r"satisfy regular expression pattern: (\$LATEST(\.PUBLISHED)?|[0-9]+)"
ONE = {"Name": "x", "FunctionVersion": "1"}
REFUSED = [
    (
        "POST", "N/aliases", {**ONE, **weights(v2=0.1, v3=0.1)},
        invalid("Number of items in AdditionalVersionWeights cannot be greater than 1"),
    ),
    ("POST", "N/aliases", {**ONE, **weights(v2=2.0)}, mapped("{2=2.0}", VALUES)),
    ("POST", "N/aliases", {**ONE, **weights(v2=-1.0)}, mapped("{2=-1.0}", VALUES)),
    ("POST", "N/aliases", {**ONE, **weights(**{"$LATEST": 0.5})}, mapped("{$LATEST=0.5}", KEYS)),
    (
        "POST", "N/aliases", {**ONE, **weights(v1=0.5)},
        invalid("Invalid function version 1. Function version 1 is already included in routing configuration."),
    ),
    ("POST", "N/aliases", {**ONE, "FunctionVersion": "10"}, not_found("Function not found: ARNF:N:10")),
    ("POST", "N/aliases", {**ONE, **weights(v10=0.5)}, not_found("Function not found: ARNF:N:10")),
    ("POST", "N/aliases", {**ONE, "FunctionVersion": "$LATEST", **weights(v1=0.5)}, SHARED),
    (
        "POST", "N/aliases", {**ONE, "FunctionVersion": "$LATEST.PUBLISHED"},
        not_found("Function not found: ARNF:N:$LATEST.PUBLISHED"),
    ),
    ("POST", "N/aliases", {**ONE, "FunctionVersion": "9" * 30}, not_found(f"Function not found: ARNF:N:{'9' * 30}")),
    (
        "POST", "N/aliases", {**ONE, "FunctionVersion": "custom"},
        violated(value("'custom'", "functionVersion", VERSION)),
    ),
    ("POST", "N/aliases", {**ONE, **weights(v3=0.5)}, ROLES),
    (
        "POST", "N/aliases", {**ONE, **weights(v4=0.5)},
        invalid("Specified versions must be associated with the same dead letter queue"),
    ),
    (
        "POST", "N/aliases", {**ONE, "Name": "custom"},
        (409, "ResourceConflictException", user("message", "Alias already exists: ARNF:N:custom")),
    ),
    ("POST", "N/aliases", {**ONE, "Name": "12"}, violated(value("'12'", "name", NAME))),
    ("POST", "N/aliases", {**ONE, "Name": "a.b"}, violated(value("'a.b'", "name", NAME))),
    (
        "POST", "N/aliases", {**ONE, "Name": "n" * 129},
        violated(value(f"'{'n' * 129}'", "name", "have length less than or equal to 128")),
    ),
    (
        "POST", "N/aliases", {**ONE, "Description": "d" * 257},
        violated(value(f"'{'d' * 257}'", "description", "have length less than or equal to 256")),
    ),
    ("POST", "nope/aliases", ONE, not_found("Function not found: ARNF:nope:1")),
    ("POST", "N:1/aliases", ONE, not_found("Function not found: ARNF:N:1")),
    ("GET", "N/aliases/nope", None, not_found("Cannot find alias arn: ARNF:N:nope")),
    ("GET", "nope/aliases/nope", None, not_found("Cannot find alias arn: ARNF:nope:nope")),
    ("PUT", "N/aliases/nope", {}, not_found("Alias not found: ARNF:N:nope")),
    ("PUT", "N/aliases/nope", {"RevisionId": "mine"}, not_found("Alias not found: ARNF:N:nope")),
    ("PUT", "nope/aliases/nope", {}, not_found("Alias not found: ARNF:nope:nope")),
    ("PUT", "N/aliases/custom", {"FunctionVersion": "10"}, not_found("Function not found: ARNF:N:10")),
    ("PUT", "N/aliases/custom", weights(v10=0.5), not_found("Function not found: ARNF:N:10")),
    ("PUT", "N/aliases/custom", weights(v3=0.5), ROLES),
    ("PUT", "N/aliases/custom", {"FunctionVersion": "$LATEST", **weights(v1=0.5)}, SHARED),
    ("PUT", "N/aliases/12", {}, violated(value("'12'", "name", NAME))),
    ("DELETE", "nope/aliases/nope", None, not_found("Function not found: ARNF:nope")),
    ("GET", "nope/aliases", None, not_found("Function not found: ARNF:nope")),
    ("GET", "N/aliases?Marker=nope", None, invalid("Invalid Marker")),
    ("GET", "N/aliases?FunctionVersion=custom", None, violated(value("'custom'", "functionVersion", VERSION))),
]


@pytest.mark.parametrize("method, path, body, expected", REFUSED)
def test_what_is_refused(raw, four, method, path, body, expected):
    path = re.sub(r"^N\b", four, path)
    status, code, answer = raw.error(method, f"{FUNCTIONS}/{path}", b"" if body is None else body)
    text = json.dumps(answer).replace(ARNF, "ARNF:").replace(four, "N")
    assert (status, code, json.loads(text)) == expected
    names = [found["Name"] for found in json.loads(raw("GET", f"{FUNCTIONS}/{four}/aliases")[2])["Aliases"]]
    assert names == ["custom"]


def test_aliases_are_listed_by_name_and_by_their_first_version(lam, name):
    create(lam, name, SAY, Publish=True)
    publish(lam, name)
    for n in range(53):
        lam.create_alias(FunctionName=name, Name=f"a{n:02}", FunctionVersion="12"[n % 2])
    lam.create_alias(FunctionName=name, Name="edge", FunctionVersion="$LATEST")
    lam.update_alias(FunctionName=name, Name="a00", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})

    def names(**more):
        page = lam.list_aliases(FunctionName=name, **more)
        return [found["Name"] for found in page["Aliases"]], page.get("NextMarker")

    everything = [f"a{n:02}" for n in range(53)] + ["edge"]
    assert names() == (everything, None), "there is no bound of 50"
    assert names(FunctionVersion="2") == (everything[1:53:2], None)
    assert names(FunctionVersion="$LATEST") == (["edge"], None)
    assert names(FunctionVersion="9") == ([], None)
    found, marker = names(MaxItems=20)
    assert found == everything[:20]
    # What the marker names may go, and others come before and after it.
    lam.delete_alias(FunctionName=name, Name="a19")
    lam.create_alias(FunctionName=name, Name="a190", FunctionVersion="1")
    lam.create_alias(FunctionName=name, Name="A", FunctionVersion="1")
    assert names(Marker=marker) == (["a190", *everything[20:]], None)
    found, marker = names(FunctionVersion="2", MaxItems=2)
    assert names(FunctionVersion="2", MaxItems=2, Marker=marker)[0] == ["a05", "a07"]


def test_an_alias_splits_by_weight(lam, name):
    create(lam, name, SAY, Publish=True)
    publish(lam, name)
    lam.create_alias(
        FunctionName=name, Name="canary", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.25}}
    )
    ran = {"1": 0, "2": 0}
    for _ in range(1000):
        answer = invoke(lam, f"{name}:canary")
        assert answer["payload"] == answer["ExecutedVersion"]
        ran[answer["ExecutedVersion"]] += 1
    # Five standard deviations around 250: one in two million runs falls outside.
    assert 181 <= ran["2"] <= 319, ran

    def executed():
        return {invoke(lam, name, Qualifier="canary")["ExecutedVersion"] for _ in range(30)}

    for weight, expected in ((0.0, {"1"}), (1.0, {"2"})):
        lam.update_alias(FunctionName=name, Name="canary", RoutingConfig={"AdditionalVersionWeights": {"2": weight}})
        assert executed() == expected
    lam.update_alias(FunctionName=name, Name="canary", RoutingConfig={})
    assert executed() == {"1"}
    lam.update_alias(FunctionName=name, Name="canary", FunctionVersion="$LATEST")
    assert executed() == {"$LATEST"}


def test_an_alias_of_latest_runs_what_latest_runs(lam, name):
    create(lam, name, "def handler(event, context):\n    return 'one'\n")
    lam.create_alias(FunctionName=name, Name="edge", FunctionVersion="$LATEST")
    assert invoke(lam, f"{name}:edge")["payload"] == "one"
    code = zip_of({"index.py": "def handler(event, context):\n    return 'two'\n"})
    lam.update_function_code(FunctionName=name, ZipFile=code)
    wait_active(lam, name)
    assert invoke(lam, f"{name}:edge")["payload"] == "two"


def test_a_deleted_alias_is_not_found_by_invoke(raw, lam, name):
    create(lam, name, SAY)
    lam.create_alias(FunctionName=name, Name="brief", FunctionVersion="$LATEST")
    assert invoke(lam, name, Qualifier="brief")["payload"] == "$LATEST"
    lam.delete_alias(FunctionName=name, Name="brief")
    assert raw.error("POST", f"{FUNCTIONS}/{name}/invocations?Qualifier=brief", b"{}") == not_found(
        f"Function not found: {ARNF}{name}:brief"
    )


def test_aliases_outlive_the_server(fresh):
    server = fresh()
    lam = server.client("lambda")
    create(lam, "f", SAY, Publish=True)
    publish(lam, "f")
    routing = {"AdditionalVersionWeights": {"2": 0.3}}
    made = lam.create_alias(
        FunctionName="f", Name="live", FunctionVersion="1", Description="tea", RoutingConfig=routing
    )
    server.kill()
    server.start()
    found = server.client("lambda").get_alias(FunctionName="f", Name="live")
    for answer in (made, found):
        del answer["ResponseMetadata"]
    assert found == made


def test_fifty_writers_with_revisions_lose_no_update(server, name):
    """Each adds one to a number that the alias's description holds, when nobody else did meanwhile."""
    lam = server.client("lambda")
    create(lam, name, SAY)
    lam.create_alias(FunctionName=name, Name="count", FunctionVersion="$LATEST", Description="0")

    def add(_):
        lam = server.client("lambda")
        while True:
            found = lam.get_alias(FunctionName=name, Name="count")
            more = str(int(found["Description"]) + 1)
            try:
                return lam.update_alias(
                    FunctionName=name, Name="count", Description=more, RevisionId=found["RevisionId"]
                )
            except lam.exceptions.PreconditionFailedException:
                continue

    with ThreadPoolExecutor(50) as writers:
        answers = list(writers.map(add, range(50)))
    assert sorted(int(answer["Description"]) for answer in answers) == list(range(1, 51))
    assert lam.get_alias(FunctionName=name, Name="count")["Description"] == "50"
