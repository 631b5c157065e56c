"""Tags against recorded answers, whole."""

import json
import threading
import urllib.parse

import pytest

from recorded import ARNF, ECHO, FUNCTIONS, ZIP, busy, invalid, not_found, value, violated
from samovar import ACCOUNT, PYTHON, REGION, ROLE, create, until, wait_active

ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}"
MAPPING = f"{ARN}:event-source-mapping:00000000-0000-0000-0000-000000000000"
SIGNING = f"{ARN}:code-signing-config:csc-{'a' * 17}"
PROVIDER = f"{ARN}:capacity-provider:nope"
CONNECTOR = f"{ARN}:network-connector:nope"
TOO_MANY = invalid("Number of tags exceeds resource tag limit.")
NOTHING = invalid("An error occurred and the request cannot be processed.")
QUALIFIED = invalid("Tags on function aliases and versions are not supported. Please specify a function ARN.")
RESERVED = invalid("aws: prefixed tag key names are not allowed for external use.")
RESOURCE = (
    r"satisfy regular expression pattern: arn:(aws[a-zA-Z-]*):lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:"
    r"\d{12}:(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|code-signing-config:csc-[a-z0-9]{17}|"
    r"event-source-mapping:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|"
    r"(capacity-provider|network-connector):[a-zA-Z0-9-_]{1,64})"
)
CHARACTERS = r"Member must satisfy regular expression pattern: ([\p{L}\p{Z}\p{N}_.:/=+\-@]*)"


def many(count, prefix="key"):
    return {f"{prefix}-{number}": "value" for number in range(count)}


@pytest.fixture
def call(raw, echo):
    """Sends what is about a resource, the function `F` where its ARN is `F`; tells status and whole body."""

    def send(method, resource, body=None, keys=None, quoted=True):
        arn = resource.replace("ARNF:", ARNF) if resource != "F" else send.function
        path = f"/2017-03-31/tags/{urllib.parse.quote(arn, safe='') if quoted else arn}"
        if keys is not None:
            path += "?" + urllib.parse.urlencode([("tagKeys", key) for key in keys])
        status, headers, content = raw(method, path, json.dumps(body).encode() if body is not None else b"")
        if status == 204:
            assert (content, headers.pop("content-length", "0"), headers) == (b"", "0", {})
            return status, None
        assert headers.pop("content-type") == "application/json"
        answer = json.loads(content.decode().replace(ARNF, "ARNF:"))
        return (status, answer) if status < 400 else (status, headers.pop("x-amzn-errortype"), answer)

    send.function = ARNF + echo
    return send


def test_tags_are_merged_and_taken_off_by_key(call, lam, name):
    create(lam, name, ECHO)
    call.function = ARNF + name
    assert call("GET", "F") == (200, {"Tags": {}})
    seen = lambda: lam.get_function(FunctionName=name)
    before = seen()["Configuration"]
    assert "Tags" not in seen()
    for method, sent, left in (
        ("POST", {"A": "tag-a"}, {"A": "tag-a"}),
        ("POST", {"B": "tag-b", "C": "tag-c"}, {"A": "tag-a", "B": "tag-b", "C": "tag-c"}),
        ("POST", {"C": "tag-c-new", "D": ""}, {"A": "tag-a", "B": "tag-b", "C": "tag-c-new", "D": ""}),
        ("DELETE", ["A"], {"B": "tag-b", "C": "tag-c-new", "D": ""}),
        ("DELETE", ["B", "C"], {"D": ""}),
        ("DELETE", ["F"], {"D": ""}),
        ("DELETE", ["D", "F"], {}),
        ("POST", {"é ü_.:/=+-@": " ", "my:aws:key": "aws:"}, {"é ü_.:/=+-@": " ", "my:aws:key": "aws:"}),
        ("DELETE", ["é ü_.:/=+-@", "my:aws:key", "my:aws:key"], {}),
    ):
        answer = call("POST", "F", {"Tags": sent}) if method == "POST" else call("DELETE", "F", keys=sent)
        assert answer == (204, None), sent
        assert call("GET", "F") == (200, {"Tags": left}), sent
        assert call("GET", "F", quoted=False) == (200, {"Tags": left}), "colons may be sent as they are"
        assert seen().get("Tags", {}) == left, sent
        assert seen()["Configuration"] == before, "tags are no change of the function"


def test_tags_are_the_functions_and_not_its_versions(lam, name):
    create(lam, name, ECHO, Tags={"key": "value"})
    arn = ARNF + name
    published = lam.publish_version(FunctionName=name)
    lam.tag_resource(Resource=arn, Tags={"other": ""})
    again = lam.publish_version(FunctionName=name)
    assert (published["Version"], again["Version"]) == ("1", "1"), "tags are no change to publish"
    assert lam.get_function(FunctionName=name)["Tags"] == {"key": "value", "other": ""}
    for qualifier in ("$LATEST", "1"):
        assert "Tags" not in lam.get_function(FunctionName=name, Qualifier=qualifier)
    assert lam.list_tags(Resource=arn)["Tags"] == {"key": "value", "other": ""}
    lam.delete_function(FunctionName=name)
    create(lam, name, ECHO)
    assert lam.list_tags(Resource=arn)["Tags"] == {}


def test_fifty_tags_are_enough(call, lam, name):
    create(lam, name, ECHO)
    call.function = ARNF + name
    assert call("POST", "F", {"Tags": many(51)}) == TOO_MANY
    assert call("GET", "F") == (200, {"Tags": {}})
    assert call("POST", "F", {"Tags": many(50)}) == (204, None)
    assert call("POST", "F", {"Tags": {"more": "x"}}) == TOO_MANY
    assert call("POST", "F", {"Tags": {"key-7": "again"}}) == (204, None)
    assert call("GET", "F") == (200, {"Tags": {**many(50), "key-7": "again"}})
    assert call("DELETE", "F", keys=list(many(50))) == (204, None)


def made(lam, kind, name, tags):
    """Something of a kind other than functions that can have tags; gives its ARN and what takes it away."""
    if kind == "mapping":
        create(lam, name, ECHO)
        queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        mapping = lam.create_event_source_mapping(FunctionName=name, EventSourceArn=queue, Enabled=False, Tags=tags)
        return mapping["EventSourceMappingArn"], lambda: lam.delete_event_source_mapping(UUID=mapping["UUID"])
    publishers = {"SigningProfileVersionArns": [f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/test"]}
    signing = lam.create_code_signing_config(AllowedPublishers=publishers, Tags=tags)
    arn = signing["CodeSigningConfig"]["CodeSigningConfigArn"]
    return arn, lambda: lam.delete_code_signing_config(CodeSigningConfigArn=arn)


@pytest.mark.parametrize("kind", ["mapping", "code signing configuration"])
def test_mappings_and_code_signing_configurations_have_tags(call, lam, name, kind):
    arn, delete = made(lam, kind, name, {"key": "value"})
    assert call("GET", arn) == (200, {"Tags": {"key": "value"}})
    assert call("POST", arn, {"Tags": {"key": "new", "other": ""}}) == (204, None)
    assert call("GET", arn) == (200, {"Tags": {"key": "new", "other": ""}})
    assert call("DELETE", arn, keys=["key", "nope"]) == (204, None)
    assert call("GET", arn) == (200, {"Tags": {"other": ""}})
    assert call("POST", arn, {"Tags": many(50)}) == TOO_MANY
    assert call("POST", arn, {"Tags": {}}) == NOTHING
    assert call("POST", arn, {"Tags": {"aws:x": "y"}}) == RESERVED
    assert call("GET", arn) == (200, {"Tags": {"other": ""}})
    delete()
    gone = until(lambda: (answer := call("GET", arn)) and answer[0] == 404 and answer)
    words = f"Event source mapping not found: {arn}"
    if kind != "mapping":
        words = f"The Lambda code signing configuration {arn} can not be found."
    assert gone == missing(words, typed=kind == "mapping")
    assert call("POST", arn, {"Tags": {"a": "b"}}) == call("DELETE", arn, keys=["a"]) == gone


@pytest.mark.parametrize("kind", ["mapping", "code signing configuration"])
@pytest.mark.parametrize("tags, words", [({"aws:x": "y"}, RESERVED), (many(51), TOO_MANY)], ids=["aws", "51"])
def test_what_their_creation_refuses_of_tags(lam, name, kind, tags, words):
    with pytest.raises(lam.exceptions.InvalidParameterValueException) as refused:
        made(lam, kind, name, tags)
    assert refused.value.response["message"] == words[2]["message"]


def missing(text, typed=True):
    status, code, body = not_found(text)
    return status, code, body if typed else {"Message": text}


# For each resource what all three operations say of it.
RESOURCES = [
    ("ARNF:nope", missing("Function not found: ARNF:nope")),
    ("ARNF:nope:1", QUALIFIED),
    ("ARNF:nope:live", QUALIFIED),
    ("ARNF:nope:$LATEST", QUALIFIED),
    (MAPPING, missing(f"Event source mapping not found: {MAPPING}")),
    (SIGNING, missing(f"The Lambda code signing configuration {SIGNING} can not be found.", typed=False)),
    (PROVIDER, missing(f"Capacity provider not found: {PROVIDER}")),
    (CONNECTOR, (501, "NotImplementedException", {"message": "Samovar does not implement network connectors"})),
    (
        f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:f",
        missing(f"Functions from 'eu-west-1' are not reachable in this region ('{REGION}')"),
    ),
    (
        f"arn:aws:lambda:{REGION}:111111111111:function:f",
        (
            403,
            "AccessDeniedException",
            {
                "Message": f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: lambda:ACTION on resource: "
                f"arn:aws:lambda:{REGION}:111111111111:function:f because no resource-based policy allows the lambda:ACTION "
                "action"
            },
        ),
    ),
    ("arn:aws:something", violated(value("'arn:aws:something'", "resource", RESOURCE))),
    (f"{ARN}:layer:l", violated(value(f"'{ARN}:layer:l'", "resource", RESOURCE))),
    ("name", violated(value("'name'", "resource", RESOURCE))),
]


@pytest.mark.parametrize("resource, expected", RESOURCES, ids=lambda part: part[-24:] if isinstance(part, str) else "")
def test_what_has_no_tags(call, resource, expected):
    for action, method, more in (
        ("TagResource", "POST", {"body": {"Tags": {"a": "b"}}}),
        ("UntagResource", "DELETE", {"keys": ["a"]}),
        ("ListTags", "GET", {}),
    ):
        told = json.loads(json.dumps(expected).replace("ACTION", action))
        assert list(call(method, resource, **more)) == told, action


REFUSED = [
    ("POST", {"body": {"Tags": {}}}, NOTHING),
    ("POST", {"body": {}}, violated(value("null", "tags", "not be null"))),
    ("DELETE", {}, violated(value("null", "tagKeys", "not be null"))),
    ("DELETE", {"keys": []}, violated(value("null", "tagKeys", "not be null"))),
    ("POST", {"body": {"Tags": {"aws:x": "y"}}}, RESERVED),
    ("POST", {"body": {"Tags": {"AWS:x": "y"}}}, RESERVED),
    ("DELETE", {"keys": ["a", "aws:cloudformation:stack-name"]}, RESERVED),
    (
        "POST",
        {"body": {"Tags": {"a;b": "c"}}},
        violated(
            value(
                "'{a;b=c}'",
                "tags",
                "satisfy constraint: [Member must have length less than or equal to 128, Member must have length "
                f"greater than or equal to 1, {CHARACTERS}, Member must not be null]",
            ).replace("Member must satisfy constraint", "Map keys must satisfy constraint", 1)
        ),
    ),
    (
        "POST",
        {"body": {"Tags": {"k" * 129: "c"}}},
        violated(
            value(
                f"'{{{'k' * 129}=c}}'",
                "tags",
                "satisfy constraint: [Member must have length less than or equal to 128, Member must have length "
                f"greater than or equal to 1, {CHARACTERS}, Member must not be null]",
            ).replace("Member must satisfy constraint", "Map keys must satisfy constraint", 1)
        ),
    ),
    (
        "POST",
        {"body": {"Tags": {"k": "v" * 257}}},
        violated(
            value(
                f"'{{k={'v' * 257}}}'",
                "tags",
                "satisfy constraint: [Member must have length less than or equal to 256, Member must have length "
                f"greater than or equal to 0, {CHARACTERS}, Member must not be null]",
            ).replace("Member must satisfy constraint", "Map value must satisfy constraint", 1)
        ),
    ),
    (
        "DELETE",
        {"keys": ["a", "b;"]},
        violated(
            value(
                "'[a, b;]'",
                "tagKeys",
                "satisfy constraint: [Member must have length less than or equal to 128, Member must have length "
                f"greater than or equal to 1, {CHARACTERS}, Member must not be null]",
            )
        ),
    ),
]


@pytest.mark.parametrize("method, more, expected", REFUSED, ids=lambda part: str(part)[:40])
def test_what_is_refused(call, method, more, expected):
    assert call(method, "F", **more) == expected
    assert call("GET", "F") == (200, {"Tags": {}})


def test_what_create_refuses_of_tags(raw, name):
    base = {"FunctionName": name, "Runtime": PYTHON, "Handler": "index.handler", "Role": ROLE, "Code": {"ZipFile": ZIP}}
    for tags, expected in (({"aws:x": "y"}, RESERVED), (many(51), TOO_MANY)):
        assert raw.error("POST", FUNCTIONS, {**base, "Tags": tags}) == expected
    assert raw("POST", FUNCTIONS, {**base, "Tags": {}})[0] == 201


def test_no_tags_while_an_update_is_under_way(raw, call, lam, name):
    """Requests race until one meets the state."""
    create(lam, name, ECHO)
    call.function = ARNF + name
    told = []

    def once():
        tag = threading.Thread(target=lambda: told.extend(call("POST", "F", {"Tags": {"a": "b"}}) for _ in range(5)))
        tag.start()
        raw("PUT", f"{FUNCTIONS}/{name}/code", {"ZipFile": ZIP})
        tag.join()
        wait_active(lam, name)
        return busy(name) in told

    until(once, 60)
    assert set(map(str, told)) <= {str(busy(name)), str((204, None))}
    assert call("POST", "F", {"Tags": {"a": "c"}}) == (204, None)
