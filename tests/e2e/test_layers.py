"""Layers: recorded answers, whole, and functions that really run with them."""

import base64
import concurrent.futures
import hashlib
import json
import re
import urllib.request
import zipfile

import botocore.exceptions
import pytest

from recorded import MASKS, invalid, not_found, user, value, violated
from samovar import ACCOUNT, NODE, PYTHON, REGION, ROLE, create, invoke, wait_active, zip_of

LAYERS = "/2018-10-31/layers"
FUNCTIONS = "/2015-03-31/functions"
ARNL = f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:"
OTHER = "111111111111"
FOREIGN = f"arn:aws:lambda:{REGION}:{OTHER}:layer:"
ZIP = zip_of({"python/tea.py": "KIND = 'green'\n"})
SHA = base64.b64encode(hashlib.sha256(ZIP).digest()).decode()
CODE = base64.b64encode(ZIP).decode()
ACTION = "lambda:GetLayerVersion"
LAYER_PATTERN = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:"
    r"[a-zA-Z0-9-_]{1,140}|[a-zA-Z0-9-_]{1,140})"
)
VERSION_PATTERN = (
    r"((arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:"
    r"[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+))"
)
MISSING = not_found("The resource you requested does not exist.")


def shown(body, server, name="L"):
    """An answer's body, masked."""
    text = body.decode() if isinstance(body, bytes) else json.dumps(body)
    for pattern, mask in MASKS:
        text = re.sub(pattern, mask, text)
    text = re.sub(rf"{server.endpoint}/_samovar/code/[^\"]+", "<link>", text)
    return json.loads(text.replace(ARNL, "ARNL:").replace(name, "L"))


def denied(action, resource):
    words = (
        f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: {action} on resource: {resource} because no "
        f"resource-based policy allows the {action} action"
    )
    return 403, "AccessDeniedException", {"Message": words}


def publish(client, name, files=None, archive=None, **more):
    content = {"ZipFile": archive or (zip_of(files, modes={path: 0o755 for path in files}) if files else ZIP)}
    return client.publish_layer_version(LayerName=name, Content=content, **more)


@pytest.fixture
def layer(lam, name):
    """A layer of one version."""
    publish(lam, name)
    return name


def test_a_layer_is_shown_as_it_was_published(raw, server, name):
    path = f"{LAYERS}/{name}/versions"
    whole = {
        "Content": {"Location": "<link>", "CodeSha256": SHA, "CodeSize": len(ZIP)},
        "LayerArn": "ARNL:L",
        "LayerVersionArn": "ARNL:L:1",
        "Description": "",
        "CreatedDate": "<time>",
        "Version": 1,
    }
    status, headers, body = raw("POST", path, {"Content": {"ZipFile": CODE}})
    assert (status, headers, shown(body, server, name)) == (201, {"content-type": "application/json"}, whole)
    about = {
        "Description": "tea",
        "CompatibleRuntimes": ["python3.12", "go1.x"],
        "CompatibleArchitectures": ["arm64", "x86_64"],
        "LicenseInfo": "MIT",
    }
    second = {**whole, **about, "LayerVersionArn": "ARNL:L:2", "Version": 2}
    status, _, body = raw("POST", f"{LAYERS}/{ARNL}{name}/versions", {"Content": {"ZipFile": CODE}, **about})
    assert (status, shown(body, server, name)) == (201, second), "the same bytes are another version"
    for where in (
        f"{path}/2",
        f"{LAYERS}/{ARNL}{name}/versions/2".replace(":", "%3A"),
        f"{LAYERS}?find=LayerVersion&Arn={ARNL}{name}:2",
    ):
        status, _, body = raw("GET", where)
        assert (status, shown(body, server, name)) == (200, second), where
    link = json.loads(raw("GET", f"{path}/1")[2])["Content"]["Location"]
    assert urllib.request.urlopen(link).read() == ZIP

    first_item = {key: whole[key] for key in ("LayerVersionArn", "Version", "Description", "CreatedDate")}
    second_item = {key: second[key] for key in (*first_item, *about)}
    status, _, body = raw("GET", path)
    assert (status, shown(body, server, name)) == (200, {"LayerVersions": [second_item, first_item]})
    status, _, body = raw("GET", LAYERS)
    listed = [item for item in json.loads(body)["Layers"] if item["LayerName"] == name]
    latest = {"LayerName": "L", "LayerArn": "ARNL:L", "LatestMatchingVersion": second_item}
    assert (status, shown(listed, server, name)) == (200, [latest])

    for number, left in ((2, [first_item]), (2, [first_item]), (1, [])):
        assert raw("DELETE", f"{path}/{number}") == (204, {}, b"")
        assert shown(raw("GET", path)[2], server, name) == {"LayerVersions": left}
    assert name not in raw("GET", LAYERS)[2].decode()
    assert json.loads(raw("POST", path, {"Content": {"ZipFile": CODE}})[2])["Version"] == 3, "numbers are not reused"


RUNTIMES = "nodejs20.x, python3.14, provided.al2023, python3.12, "
REFUSED = [
    ("GET", "L/versions/2", None, MISSING),
    ("GET", "nope/versions/1", None, MISSING),
    ("GET", "L/versions/0", None, invalid("Layer Version Cannot be less than 1")),
    ("GET", "L/versions/-1", None, invalid("Layer Version Cannot be less than 1")),
    ("DELETE", "nope/versions/0", None, invalid("Layer Version Cannot be less than 1")),
    ("GET", f"?find=LayerVersion&Arn={ARNL}nope:1", None, MISSING),
    ("GET", "?find=LayerVersion&Arn=arn:aws:lambda:::awslayer:AmazonLinux1803", None, MISSING),
    ("GET", f"?find=LayerVersion&Arn={ARNL.replace('us-east', 'eu-west')}L:1", None, MISSING),
    (
        "GET",
        f"?find=LayerVersion&Arn={ARNL}L",
        None,
        violated(value(f"'{ARNL}L'", "arn", f"satisfy regular expression pattern: {VERSION_PATTERN}")),
    ),
    (
        "GET",
        "a.b/versions/1",
        None,
        violated(value("'a.b'", "layerName", f"satisfy regular expression pattern: {LAYER_PATTERN}")),
    ),
    ("GET", f"?find=LayerVersion&Arn={FOREIGN}x:1", None, denied(ACTION, f"{FOREIGN}x:1")),
    ("GET", f"{FOREIGN}x/versions/7", None, denied(ACTION, f"{FOREIGN}x:7")),
    ("GET", f"{FOREIGN}x/versions", None, denied("lambda:ListLayerVersions", f"{FOREIGN}x")),
    (
        "POST",
        f"{FOREIGN}x/versions",
        {"Content": {"ZipFile": CODE}},
        denied("lambda:PublishLayerVersion", f"{FOREIGN}x"),
    ),
    ("DELETE", f"{FOREIGN}x/versions/1", None, denied("lambda:DeleteLayerVersion", f"{FOREIGN}x")),
    ("POST", "L/versions", {}, violated(value("null", "content", "not be null"))),
    ("POST", "L/versions", {"Content": {}}, invalid("Please provide a source for function code.")),
    (
        "POST",
        "L/versions",
        {"Content": {"S3Bucket": "b-u", "S3Key": "k"}},
        (501, "NotImplementedException", {"message": "Samovar does not implement code in S3; send it as ZipFile"}),
    ),
    ("POST", "L/versions", {"Content": {"ZipFile": ""}}, invalid("Uploaded file must be a non-empty zip")),
    (
        "POST",
        "L/versions",
        {"Content": {"ZipFile": "anVuaw=="}},
        invalid("Could not unzip uploaded file. Please check your file, then try to upload again."),
    ),
    (
        "POST",
        "L/versions",
        {"Content": {"ZipFile": CODE}, "CompatibleArchitectures": ["m68k"]},
        violated(
            value(
                "'[m68k]'",
                "compatibleArchitectures",
                "satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]",
            )
        ),
    ),
    (
        "POST",
        "L/versions",
        {"Content": {"ZipFile": CODE}, "LicenseInfo": "x" * 513},
        violated(value(f"'{'x' * 513}'", "licenseInfo", "have length less than or equal to 512")),
    ),
    ("GET", "L/versions?MaxItems=0", None, violated(value("'0'", "maxItems", "have value greater than or equal to 1"))),
    ("GET", "?MaxItems=51", None, violated(value("'51'", "maxItems", "have value less than or equal to 50"))),
    ("GET", "?Marker=junk", None, invalid("Invalid Marker")),
    # Policies name the layer version.
    ("GET", "L/versions/1/policy", None, not_found("No policy is associated with the given resource.")),
    ("GET", "L/versions/2/policy", None, not_found("Layer version ARNL:L:2 does not exist.")),
    ("GET", "nope/versions/1/policy", None, not_found("Layer version ARNL:nope:1 does not exist.")),
    ("DELETE", "nope/versions/1/policy/s", None, not_found("Layer version ARNL:nope:1 does not exist.")),
    ("DELETE", "L/versions/1/policy/s", None, not_found("No policy is associated with the given resource.")),
    (
        "POST",
        "L/versions/9/policy",
        {"StatementId": "s", "Action": ACTION, "Principal": "*"},
        not_found("Layer version ARNL:L:9 does not exist."),
    ),
    (
        "POST",
        "L/versions/1/policy",
        {"StatementId": "s", "Action": "lambda:*", "Principal": "*"},
        violated(value("'lambda:*'", "action", "satisfy regular expression pattern: lambda:GetLayerVersion")),
    ),
    (
        "POST",
        "L/versions/1/policy",
        {"StatementId": "s", "Action": ACTION, "Principal": "somebody"},
        violated(
            value(
                "'somebody'",
                "principal",
                r"satisfy regular expression pattern: \d{12}|\*|arn:(aws[a-zA-Z-]*):iam::\d{12}:root",
            )
        ),
    ),
]


@pytest.mark.parametrize("method, path, body, expected", REFUSED, ids=lambda part: str(part)[:50])
def test_what_is_refused(raw, server, layer, method, path, body, expected):
    at = re.sub(r"(^|:)L\b", rf"\1{layer}", path)
    status, code, answer = raw.error(method, f"{LAYERS}/{at}".replace("/?", "?"), b"" if body is None else body)
    assert (status, code, shown(answer, server, layer)) == (*expected[:2], shown(expected[2], server, layer))


def test_runtimes_that_nobody_knows_are_told_as_aws_tells_them(raw, layer):
    body = {"Content": {"ZipFile": CODE}, "CompatibleRuntimes": ["cobol85", "python3.12"]}
    status, code, answer = raw.error("POST", f"{LAYERS}/{layer}/versions", body)
    assert (status, code) == (400, "ValidationException")
    assert answer["message"].startswith(
        "1 validation error detected: Value '[cobol85, python3.12]' at 'compatibleRuntimes' failed to satisfy "
        f"constraint: Member must satisfy enum value set: [{RUNTIMES}"
    )
    body["CompatibleArchitectures"] = ["m68k"]
    status, code, answer = raw.error("POST", f"{LAYERS}/{layer}/versions", body)
    both = answer["message"]
    assert both.startswith("2 validation errors detected: ") and f"enum value set: [{RUNTIMES}" in both
    assert "Value '[m68k]' at 'compatibleArchitectures' failed to satisfy constraint: " in both
    for path in ("", f"/{layer}/versions"):
        status, code, answer = raw.error("GET", f"{LAYERS}{path}?CompatibleRuntime=cobol85")
        assert (status, code) == (400, "ValidationException")
        assert answer["message"].startswith(
            "1 validation error detected: Value 'cobol85' at 'compatibleRuntime' failed to satisfy constraint: Member "
            "must satisfy enum value set: [ruby2.6, dotnetcore1.0, python3.7, nodejs8.10, nasa, "
        )


def test_lists_filter_and_go_on_whatever_happens_meanwhile(fresh):
    lam = fresh().client("lambda")
    for at in range(7):
        publish(lam, f"l{at}", CompatibleRuntimes=["python3.12"] if at % 2 else [], CompatibleArchitectures=["arm64"])
    publish(lam, "l1", CompatibleRuntimes=["nodejs20.x"])

    def names(**more):
        pages = lam.get_paginator("list_layers").paginate(PaginationConfig={"PageSize": 2}, **more)
        return [(item["LayerName"], item["LatestMatchingVersion"]["Version"]) for page in pages for item in page["Layers"]]

    assert names() == [("l0", 1), ("l1", 2), *((f"l{at}", 1) for at in range(2, 7))]
    assert names(CompatibleRuntime="python3.12") == [("l1", 1), ("l3", 1), ("l5", 1)]
    assert names(CompatibleRuntime="nodejs20.x", CompatibleArchitecture="arm64") == []
    assert names(CompatibleArchitecture="x86_64") == []
    page = lam.list_layers(MaxItems=2)
    lam.delete_layer_version(LayerName="l1", VersionNumber=1)
    lam.delete_layer_version(LayerName="l1", VersionNumber=2)
    publish(lam, "l0a")
    assert [item["LayerName"] for item in lam.list_layers(MaxItems=2, Marker=page["NextMarker"])["Layers"]] == ["l2", "l3"]

    for _ in range(5):
        publish(lam, "many")
    page = lam.list_layer_versions(LayerName="many", MaxItems=2)
    assert [item["Version"] for item in page["LayerVersions"]] == [5, 4]
    lam.delete_layer_version(LayerName="many", VersionNumber=4)
    publish(lam, "many")
    page = lam.list_layer_versions(LayerName="many", MaxItems=2, Marker=page["NextMarker"])
    assert [item["Version"] for item in page["LayerVersions"]] == [3, 2]
    assert lam.list_layer_versions(LayerName="nope")["LayerVersions"] == []


STALE = (
    "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy API to retrieve the "
    "latest Revision Id"
)
STALE = (412, "PreconditionFailedException", user("message", STALE))
EXISTS = (
    "The statement id (all) provided already exists. Please provide a new statement id, or remove the existing "
    "statement."
)


def test_a_policy_grows_and_ends(raw, server, layer):
    path = f"{LAYERS}/{layer}/versions/1/policy"

    def statement(sid, principal, **condition):
        parts = {"Sid": sid, "Effect": "Allow", "Principal": principal, "Action": ACTION, "Resource": f"{ARNL}{layer}:1"}
        return json.dumps({**parts, **condition}, separators=(",", ":"))

    def add(sid, principal, query="", **more):
        return raw("POST", path + query, {"StatementId": sid, "Action": ACTION, "Principal": principal, **more})

    everyone = statement("all", "*")
    status, headers, body = add("all", "*")
    first = json.loads(body)
    assert (status, headers) == (201, {"content-type": "application/json"})
    assert first.keys() == {"Statement", "RevisionId"} and first["Statement"] == everyone
    for query in ("", "?RevisionId=stale"):
        answer = raw.error("POST", path + query, {"StatementId": "all", "Action": ACTION, "Principal": "*"})
        assert answer == (409, "ResourceConflictException", user("message", EXISTS)), "it beats a stale revision"
    members = {"StatementId": "org", "Action": ACTION, "Principal": "*", "OrganizationId": "o-a1b2c3d4e5"}
    assert raw.error("POST", f"{path}?RevisionId=stale", members) == STALE
    status, _, body = raw("POST", f"{path}?RevisionId={first['RevisionId']}", members)
    second = json.loads(body)
    of_org = statement("org", "*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}})
    assert (status, second["Statement"]) == (201, of_org)
    assert second["RevisionId"] != first["RevisionId"]
    account = json.loads(add("one", OTHER)[2])
    of_one = statement("one", {"AWS": f"arn:aws:iam::{OTHER}:root"})
    assert account["Statement"] == of_one

    status, _, body = raw("GET", path)
    whole = '{"Version":"2012-10-17","Id":"default","Statement":[%s]}' % ",".join([everyone, of_org, of_one])
    assert (status, json.loads(body)) == (200, {"Policy": whole, "RevisionId": account["RevisionId"]})

    unknown = not_found("Statement none is not found in resource policy.")
    assert raw.error("DELETE", f"{path}/none?RevisionId=stale") == unknown
    assert raw.error("DELETE", f"{path}/all?RevisionId={first['RevisionId']}") == STALE
    for sid in ("all", "org", "one"):
        assert raw("DELETE", f"{path}/{sid}") == (204, {}, b"")
    assert raw.error("GET", path) == not_found("No policy is associated with the given resource.")


def test_a_policy_ends_at_twenty_kilobytes(lam, layer):
    with pytest.raises(lam.exceptions.PolicyLengthExceededException) as error:
        for at in range(200):
            lam.add_layer_version_permission(
                LayerName=layer, VersionNumber=1, StatementId=f"{'s' * 90}{at}", Action=ACTION, Principal="*"
            )
    words = error.value.response["Error"]["Message"]
    assert re.fullmatch(r"The final policy size \(20\d{3}\) is bigger than the limit \(20480\)\.", words), words


def test_of_fifty_writers_of_a_policy_none_is_lost(server, layer):
    lam = server.client("lambda")

    def add(at):
        lam.add_layer_version_permission(
            LayerName=layer, VersionNumber=1, StatementId=f"s{at}", Action=ACTION, Principal="*"
        )

    with concurrent.futures.ThreadPoolExecutor(25) as pool:
        list(pool.map(add, range(50)))
    policy = json.loads(lam.get_layer_version_policy(LayerName=layer, VersionNumber=1)["Policy"])
    assert {statement["Sid"] for statement in policy["Statement"]} == {f"s{at}" for at in range(50)}


def test_another_account_has_a_layer_when_its_policy_says_so(server, lam, layer):
    other = server.client("lambda", account=OTHER)
    arn = f"{ARNL}{layer}:1"

    def refused(call, **arguments):
        with pytest.raises(botocore.exceptions.ClientError) as error:
            call(**arguments)
        answer = error.value.response
        assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("AccessDeniedException", 403)
        assert answer["Error"]["Message"] == denied(ACTION, arn)[2]["Message"].replace(ACCOUNT + ":root", OTHER + ":root")

    function = {
        "FunctionName": layer,
        "Runtime": PYTHON,
        "Handler": "index.handler",
        "Role": ROLE,
        "Code": {"ZipFile": zip_of({"index.py": "from tea import KIND\ndef handler(e, c): return KIND"})},
        "Layers": [arn],
    }
    for call, arguments in (
        (other.get_layer_version_by_arn, {"Arn": arn}),
        (other.get_layer_version, {"LayerName": f"{ARNL}{layer}", "VersionNumber": 1}),
        (other.create_function, function),
    ):
        refused(call, **arguments)
    grant = {"LayerName": layer, "VersionNumber": 1, "Action": ACTION}
    lam.add_layer_version_permission(StatementId="third", Principal="222222222222", **grant)
    lam.add_layer_version_permission(StatementId="org", Principal="*", OrganizationId="o-a1b2c3d4e5", **grant)
    refused(other.get_layer_version_by_arn, Arn=arn)
    lam.add_layer_version_permission(StatementId="other", Principal=OTHER, **grant)
    assert other.get_layer_version_by_arn(Arn=arn)["Content"]["CodeSha256"] == SHA
    other.create_function(**function)
    wait_active(other, layer)
    assert invoke(other, layer)["payload"] == "green"
    lam.remove_layer_version_permission(LayerName=layer, VersionNumber=1, StatementId="other")
    refused(other.get_layer_version_by_arn, Arn=arn)
    refused(other.update_function_configuration, FunctionName=layer, Layers=[arn])
    assert other.get_function_configuration(FunctionName=layer)["Layers"] == [{"Arn": arn, "CodeSize": len(ZIP)}]


def test_functions_name_layers_as_aws_lets_them(raw, server, lam, name):
    for at in range(6):
        publish(lam, f"{name}-{at}")
    publish(lam, f"{name}-0")
    arns = [f"{ARNL}{name}-{at}:1" for at in range(6)]
    west = arns[0].replace(REGION, "eu-west-1")
    twice = (
        "Two different versions of the same layer are not allowed to be referenced in the same function. "
        "{} and {} are versions of the same layer."
    )
    versionless = violated(
        value(
            f"'[{ARNL}{name}-0]'",
            "layers",
            "satisfy constraint: [Member must have length less than or equal to 2048, Member must have length greater "
            "than or equal to 1, Member must satisfy regular expression pattern: " + VERSION_PATTERN + ", Member must "
            "not be null]",
        )
    )
    table = [
        (arns, invalid("Cannot reference more than 5 layers.")),
        ([arns[0], arns[0]], invalid(twice.format(arns[0], arns[0]))),
        ([arns[0], arns[1], arns[0][:-1] + "2"], invalid(twice.format(arns[0], arns[0][:-1] + "2"))),
        (
            [west],
            invalid("Layers are not in the same region as the function. Layers are expected to be in region us-east-1."),
        ),
        ([f"{ARNL}{name}-9:1"], invalid(f"Layer version {ARNL}{name}-9:1 does not exist.")),
        ([arns[1][:-1] + "2"], invalid(f"Layer version {arns[1][:-1]}2 does not exist.")),
        ([f"{ARNL}{name}-0"], versionless),
        ([f"{FOREIGN}x:1"], denied(ACTION, f"{FOREIGN}x:1")),
        ([f"{FOREIGN}x:1".replace(REGION, "eu-west-1")], denied(ACTION, f"{FOREIGN}x:1".replace(REGION, "eu-west-1"))),
    ]
    request = {
        "FunctionName": name,
        "Runtime": PYTHON,
        "Handler": "index.handler",
        "Role": ROLE,
        "Code": {"ZipFile": base64.b64encode(zip_of({"index.py": "def handler(e, c): return 1"})).decode()},
    }
    for layers, expected in table:
        assert raw.error("POST", FUNCTIONS, {**request, "Layers": layers}) == expected, layers
    good = [arns[4], arns[0], arns[3], arns[1], arns[2]]
    has = [{"Arn": arn, "CodeSize": len(ZIP)} for arn in good]
    status, _, body = raw("POST", FUNCTIONS, {**request, "Layers": good})
    assert (status, json.loads(body)["Layers"]) == (201, has)
    wait_active(lam, name)
    for layers, expected in table:
        assert raw.error("PUT", f"{FUNCTIONS}/{name}/configuration", {"Layers": layers}) == expected, layers
    assert json.loads(raw("GET", f"{FUNCTIONS}/{name}")[2])["Configuration"]["Layers"] == has
    listed = [page for page in lam.get_paginator("list_functions").paginate()]
    listed = [function for page in listed for function in page["Functions"] if function["FunctionName"] == name]
    assert listed[0]["Layers"] == has
    # What leaves layers out keeps them; an empty list clears them.
    for change, expected in (({"Timeout": 9}, has), ({"Layers": good[:1]}, has[:1]), ({"Layers": []}, None)):
        status, _, body = raw("PUT", f"{FUNCTIONS}/{name}/configuration", change)
        assert (status, json.loads(body).get("Layers")) == (200, expected)
        wait_active(lam, name)


def test_a_function_and_its_layers_end_at_250_megabytes(lam, name, tmp_path):
    def blob(size, path="blob"):
        file = tmp_path / "zip"
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr(path, b"\0" * size)
        return file.read_bytes()

    half = 131072000
    with pytest.raises(lam.exceptions.InvalidParameterValueException) as error:
        publish(lam, name, archive=blob(2 * half + 1))
    assert error.value.response["Error"]["Message"] == "Unzipped size must be smaller than 262144000 bytes"
    arns = [publish(lam, f"{name}-{at}", archive=blob(half - 100))["LayerVersionArn"] for at in range(2)]

    def actual(call, size, **arguments):
        with pytest.raises(lam.exceptions.InvalidParameterValueException) as error:
            call(FunctionName=name, **arguments)
        assert error.value.response["Error"]["Message"] == (
            "Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. "
            f"The actual size is {size} bytes."
        )

    function = {"Runtime": PYTHON, "Handler": "index.handler", "Role": ROLE}
    actual(lam.create_function, 2 * half + 1, Code={"ZipFile": blob(201)}, Layers=arns, **function)
    lam.create_function(FunctionName=name, Code={"ZipFile": blob(200)}, Layers=arns, **function)
    wait_active(lam, name)
    actual(lam.update_function_code, 2 * half + 1, ZipFile=blob(201))
    actual(lam.update_function_code, 2 * half + 1, ZipFile=blob(201), DryRun=True)
    lam.update_function_configuration(FunctionName=name, Layers=arns[:1])
    wait_active(lam, name)
    lam.update_function_code(FunctionName=name, ZipFile=blob(201))
    wait_active(lam, name)
    actual(lam.update_function_configuration, 2 * half + 1, Layers=arns)


def run_with(lam, name, layers, code, payload=None, **more):
    """What a function of these layers answers; the last layer's files win."""
    arns = [publish(lam, f"{name}-{at}", files)["LayerVersionArn"] for at, files in enumerate(layers)]
    create(lam, name, code, Layers=arns, **more)
    answer = invoke(lam, name, payload)
    assert "FunctionError" not in answer, answer["raw"]
    return answer["payload"]


RUNTIME_PATHS = """
import importlib, sys, os, subprocess
def handler(event, context):
    found = {name: importlib.import_module(name).FROM for name in ("own", "both", "plain", "packaged")}
    start = [entry for entry in sys.path if entry.startswith(("/var/task", "/opt", "/var/runtime"))][:4]
    return [found, start, open("/opt/order").read(), sorted(os.listdir("/opt/shared")),
            subprocess.run(["tool"], capture_output=True, text=True).stdout, os.environ["LD_LIBRARY_PATH"].split(":")[-1]]
"""


def test_python_finds_packages_programs_and_later_layers_first(lam, name):
    site = f"python/lib/{PYTHON}/site-packages"
    layers = [
        {
            "python/own.py": "FROM = 'layer'",
            "python/both.py": "FROM = 'python'",
            f"{site}/both.py": "FROM = 'site-packages'",
            "python/plain.py": "FROM = 'python'",
            "order": "first",
            "shared/one": "1",
            "bin/tool": "#!/bin/sh\necho first\n",
        },
        {f"{site}/packaged.py": "FROM = 'site-packages'", "order": "second", "shared/two": "2"},
    ]
    code = {"index.py": RUNTIME_PATHS, "own.py": "FROM = 'task'"}
    found, path, order, shared, tool, libraries = run_with(lam, name, layers, code)
    assert found == {"own": "task", "both": "site-packages", "plain": "python", "packaged": "site-packages"}
    assert path == ["/var/task", f"/opt/{site}", "/opt/python", "/var/runtime"]
    assert (order, shared, tool, libraries) == ("second", ["one", "two"], "first\n", "/opt/lib")


def test_what_layers_bring_for_a_version_that_is_not_installed_is_found(lam, name):
    runtime = "python3.15"
    layers = [{f"python/lib/{runtime}/site-packages/packaged.py": "FROM = 'site-packages'"}]
    code = "import packaged\ndef handler(event, context):\n    return packaged.FROM\n"
    assert run_with(lam, name, layers, code, runtime=runtime) == "site-packages"


def test_native_modules_of_a_layer_count_when_an_interpreter_is_chosen(lam, name):
    arn = publish(lam, name, {"python/_fast.cpython-315-x86_64-linux-gnu.so": "x"})["LayerVersionArn"]
    create(lam, name, "def handler(event, context):\n    return 1\n", runtime="python3.15", Layers=[arn])
    with pytest.raises(botocore.exceptions.ClientError) as error:
        invoke(lam, name)
    assert error.value.response["Error"]["Code"] == "InvalidRuntimeException"
    assert "native modules built for cpython-315" in error.value.response["Error"]["Message"]


def test_node_finds_modules_of_layers(lam, name):
    major = NODE.removeprefix("nodejs").removesuffix(".x")
    layers = [
        {
            "nodejs/node_modules/plain/index.js": "exports.from = 'plain'",
            "nodejs/node_modules/both/index.js": "exports.from = 'plain'",
            f"nodejs/node{major}/node_modules/both/index.js": "exports.from = 'versioned'",
            f"nodejs/node{major}/node_modules/own/index.js": "exports.from = 'layer'",
            f"nodejs/node{major}/node_modules/new/index.mjs": "export { from } from 'esm';",
            f"nodejs/node{major}/node_modules/new/package.json": '{"exports": "./index.mjs"}',
        },
        {
            "nodejs/node_modules/esm/package.json": '{"type": "module", "exports": "./index.js"}',
            "nodejs/node_modules/esm/index.js": "export const from = 'module';",
        },
    ]
    code = (
        "exports.handler = async () => [require('plain').from, require('both').from, require('own').from, "
        "(await import('esm')).from, (await import('new')).from, await import('nope').catch((e) => e.code), "
        "process.env.NODE_PATH]"
    )
    files = {"index.js": code, "node_modules/own/index.js": "exports.from = 'task'"}
    *found, path = run_with(lam, name, layers, files, runtime=NODE)
    assert found == ["plain", "versioned", "task", "module", "module", "ERR_MODULE_NOT_FOUND"]
    node = f"/opt/nodejs/node{major}/node_modules:/opt/nodejs/node_modules:"
    assert path == f"{node}/var/runtime/node_modules:/var/runtime:/var/task"


def test_ruby_finds_gems_and_libraries_of_layers(lam, name):
    spec = (
        "Gem::Specification.new do |s|\n  s.name = 'tea'\n  s.version = '1.0'\n  s.summary = 't'\n  s.authors = ['t']\n"
        "  s.require_paths = ['lib']\nend\n"
    )
    layers = [
        {
            "ruby/gems/3.2.0/specifications/tea-1.0.gemspec": spec,
            "ruby/gems/3.2.0/gems/tea-1.0/lib/tea.rb": "TEA = 'gem'\n",
            "ruby/lib/cup.rb": "CUP = 'lib'\n",
        }
    ]
    code = {"index.rb": "require 'tea'\nrequire 'cup'\ndef handler(event:, context:)\n  [TEA, CUP]\nend\n"}
    assert run_with(lam, name, layers, code, runtime="ruby3.2", handler="index.handler") == ["gem", "lib"]


def test_a_wrapper_from_a_layer_starts_the_runtime(lam, name):
    wrapper = '#!/bin/sh\nexport WRAPPED=yes\nexec "$@"\n'
    code = "import os\ndef handler(event, context):\n    return os.environ.get('WRAPPED')\n"
    environment = {"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrapper"}}
    assert run_with(lam, name, [{"wrapper": wrapper}], code, Environment=environment) == "yes"


BOOTSTRAP = """#!/usr/bin/python3
import http.client, json, os
def call(method, path, body=None):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    connection.request(method, "/2018-06-01/runtime/" + path, body)
    answer = connection.getresponse()
    return answer.headers["Lambda-Runtime-Aws-Request-Id"], answer.read()
while True:
    request, _ = call("GET", "invocation/next")
    call("POST", f"invocation/{request}/response", json.dumps([__file__, open("/var/task/data").read()]))
"""


def test_a_runtime_from_a_layer_runs_a_function_that_has_none(lam, name):
    answer = run_with(lam, name, [{"bootstrap": BOOTSTRAP}], {"data": "tea"}, runtime="provided.al2023")
    assert answer == ["/opt/bootstrap", "tea"]


GREET = "from greeting import WORD\ndef handler(event, context):\n    return WORD\n"


def test_a_deleted_layer_stays_with_the_functions_that_have_it(fresh, tmp_path):
    server = fresh()
    lam = server.client("lambda")
    arn = publish(lam, "l", {"python/greeting.py": "WORD = 'one'"})["LayerVersionArn"]
    create(lam, "f", GREET, Layers=[arn])
    assert lam.publish_version(FunctionName="f")["Layers"][0]["Arn"] == arn
    lam.delete_layer_version(LayerName="l", VersionNumber=1)
    with pytest.raises(lam.exceptions.InvalidParameterValueException) as error:
        lam.update_function_configuration(FunctionName="f", Layers=[arn])
    assert error.value.response["Error"]["Message"] == f"Layer version {arn} does not exist."
    assert invoke(lam, "f")["payload"] == "one"
    server.kill()
    # What was unpacked is lost, too: it is unpacked again from the package that the function holds.
    for directory in (server.data_dir / "code").iterdir():
        directory.rename(tmp_path / f"gone-{directory.name}")
    server.start()
    assert lam.list_layers()["Layers"] == []
    assert lam.get_function_configuration(FunctionName="f")["Layers"][0]["Arn"] == arn
    assert invoke(lam, "f")["payload"] == "one"
    lam.update_function_code(FunctionName="f", ZipFile=zip_of({"index.py": GREET + "# changed"}))
    wait_active(lam, "f")
    assert invoke(lam, "f")["payload"] == "one"
    second = publish(lam, "l", {"python/greeting.py": "WORD = 'two'"})["LayerVersionArn"]
    assert second == arn[:-1] + "2"
    lam.update_function_configuration(FunctionName="f", Layers=[second])
    wait_active(lam, "f")
    assert invoke(lam, "f")["payload"] == "two"
    assert server.stop() == 0
    server.start()
    assert [invoke(lam, "f", Qualifier=qualifier)["payload"] for qualifier in ("1", "$LATEST")] == ["one", "two"]


def test_layers_are_merged_without_walls_too(fresh):
    lam = fresh("--isolation", "none").client("lambda")
    site = f"python/lib/{PYTHON}/site-packages"
    layers = [{f"{site}/greeting.py": "WORD = 'one'"}, {f"{site}/greeting.py": "WORD = 'two'", "bin/tool": "x"}]
    assert run_with(lam, "f", layers, GREET) == "two"
    assert run_with(lam, "g", layers[:1], GREET) == "one"
    node = {"nodejs/node_modules/tea/index.js": "exports.from = 'layer'"}
    code = "exports.handler = async () => [require('tea').from, (await import('tea')).default.from]"
    assert run_with(lam, "n", [node], code, runtime=NODE) == ["layer", "layer"]
    bootstrap = BOOTSTRAP.replace('"/var/task/data"', 'os.environ["LAMBDA_TASK_ROOT"] + "/data"')
    answer = run_with(lam, "p", [{"bootstrap": bootstrap}], {"data": "tea"}, runtime="provided.al2023")
    assert answer[1] == "tea"
