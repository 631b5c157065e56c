"""The control plane and the logs against recorded answers, whole: a row is one request and all that comes back."""

import base64
import json
import re
import threading

import pytest

from recorded import (
    ARNF,
    ECHO,
    FUNCTIONS,
    NAME_PATTERN,
    STALE,
    ZIP,
    invalid,
    not_found,
    user,
    value,
    violated,
)
from samovar import ACCOUNT, PYTHON, REGION, ROLE, create, until, wait_active

LONG = "n" * 65
NAMES = [
    # Read operations name the qualifier where there is one.
    ("GET", "nope", not_found("Function not found: ARNF:nope")),
    ("GET", "nope/configuration", not_found("Function not found: ARNF:nope")),
    ("GET", "nope:1", not_found("Function not found: ARNF:nope:1")),
    ("GET", "nope?Qualifier=live", not_found("Function not found: ARNF:nope:live")),
    ("GET", "nope/configuration?Qualifier=7", not_found("Function not found: ARNF:nope:7")),
    ("GET", "E?Qualifier=7", not_found("Function not found: ARNF:E:7")),
    ("GET", "E:live", not_found("Function not found: ARNF:E:live")),
    ("GET", "E?Qualifier=$latest", not_found("Function not found: ARNF:E:$latest")),
    ("GET", "E:$LATEST.PUBLISHED", not_found("Function not found: ARNF:E:$LATEST.PUBLISHED")),
    ("GET", LONG, not_found(f"Function not found: ARNF:{LONG}")),
    ("GET", "a.b", not_found("Function not found: ARNF:a.b")),
    ("GET", "arn:aws:lambda:us-east-1:000000000000:function", not_found("Function not found: ARNF:function")),
    # Writes.
    ("PUT", "nope/configuration", not_found("Function not found: ARNF:nope")),
    ("PUT", "nope/code", not_found("Function not found: ARNF:nope")),
    ("PUT", "E:1/configuration", not_found("Function not found: ARNF:E:1")),
    # Deletion names no qualifier.
    ("DELETE", "nope", not_found("Function not found: ARNF:nope")),
    ("DELETE", "nope?Qualifier=3", not_found("Function not found: ARNF:nope")),
    ("DELETE", "nope?Qualifier=$latest", not_found("Function not found: ARNF:nope")),
    ("DELETE", "nope?Qualifier=-1", invalid("Deletion of aliases is not currently supported.")),
    ("GET", "nope?Qualifier=-1", not_found("Function not found: ARNF:nope:-1")),
    ("DELETE", LONG, not_found(f"Function not found: ARNF:{LONG}")),
    ("DELETE", "E?Qualifier=$LATEST", invalid("$LATEST version cannot be deleted without deleting the function.")),
    ("DELETE", "E:$LATEST", invalid("$LATEST version cannot be deleted without deleting the function.")),
    ("DELETE", "E?Qualifier=live", invalid("Deletion of aliases is not currently supported.")),
    ("DELETE", "E:live", invalid("Deletion of aliases is not currently supported.")),
    # Invoke always names one.
    ("POST", "nope/invocations", not_found("Function not found: ARNF:nope:$LATEST")),
    ("POST", "nope:3/invocations", not_found("Function not found: ARNF:nope:3")),
    ("POST", "nope/invocations?Qualifier=live", not_found("Function not found: ARNF:nope:live")),
    ("POST", "E/invocations?Qualifier=3", not_found("Function not found: ARNF:E:3")),
    ("POST", f"{LONG}/invocations", not_found(f"Function not found: ARNF:{LONG}:$LATEST")),
    # Two qualifiers, other regions, other accounts.
    (
        "GET",
        "E:1?Qualifier=2",
        invalid("The derived qualifier from the function name does not match the specified qualifier."),
    ),
    (
        "GET",
        "arn:aws:lambda:eu-west-1:000000000000:function:E",
        not_found("Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"),
    ),
    (
        "POST",
        "arn:aws:lambda:us-east-1:111111111111:function:E/invocations",
        (
            403,
            "AccessDeniedException",
            {
                "Message": "User: arn:aws:iam::000000000000:root is not authorized to perform: lambda:InvokeFunction on "
                "resource: arn:aws:lambda:us-east-1:111111111111:function:E because no resource-based "
                "policy allows the "
                "lambda:InvokeFunction action"
            },
        ),
    ),
    # The front end.
    (
        "GET",
        "E:$LATES",
        violated(
            value(
                "'E:$LATES'",
                "functionName",
                f"satisfy regular expression pattern: "
                f"{NAME_PATTERN}([a-zA-Z0-9-_\\.]+)(:(\\$LATEST(\\.PUBLISHED)?|[a-zA-Z0-9-_]+))?",
            )
        ),
    ),
    (
        "PUT",
        "a.b/configuration",
        violated(
            value(
                "'a.b'",
                "functionName",
                f"satisfy regular expression pattern: {NAME_PATTERN}([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?",
            )
        ),
    ),
    (
        "GET",
        "E?Qualifier=" + "q" * 129,
        violated(value(f"'{'q' * 129}'", "qualifier", "have length less than or equal to 128")),
    ),
    ("GET", "n" * 257, violated(value(f"'{'n' * 257}'", "functionName", "have length less than or equal to 256"))),
    ("GET", "?MaxItems=0", violated(value("'0'", "maxItems", "have value greater than or equal to 1"))),
    ("GET", "?MaxItems=10001", violated(value("'10001'", "maxItems", "have value less than or equal to 10000"))),
    ("GET", "?FunctionVersion=NONE", violated(value("'NONE'", "functionVersion", "satisfy enum value set: [ALL]"))),
]


@pytest.mark.parametrize("method, path, expected", NAMES, ids=lambda part: part[:60] if isinstance(part, str) else "")
def test_names_and_what_they_lead_to(raw, echo, method, path, expected):
    path = re.sub(r"(^|:)E\b", rf"\1{echo}", path)
    body = {"ZipFile": ZIP} if path.endswith("/code") else b"{}" if method == "PUT" else b""
    status, code, answer = raw.error(method, f"{FUNCTIONS}/{path}".replace("/?", "?"), body)
    text = json.dumps(answer).replace(ARNF, "ARNF:").replace(echo, "E")
    assert (status, code, json.loads(text)) == expected


@pytest.mark.parametrize(
    "form", ["{}", "function:{}", "000000000000:function:{}", ARNF + "{}", (ARNF + "{}").replace(":", "%3A")]
)
def test_each_form_of_a_name_is_the_function(raw, echo, form):
    path = f"{FUNCTIONS}/{form.format(echo)}"
    for suffix, arn in (
        ("", ARNF + echo),
        (":$LATEST", f"{ARNF}{echo}:$LATEST"),
        ("?Qualifier=$LATEST", f"{ARNF}{echo}:$LATEST"),
    ):
        status, _, body = raw("GET", path + suffix)
        assert (status, json.loads(body)["Configuration"]["FunctionArn"]) == (200, arn)
    assert raw("POST", path + "/invocations", b"1")[2] == b"1"
    # A version that is not there is deleted without complaint, as often as one likes.
    for _ in range(2):
        for number in ("3", "0", "$latest"):
            assert raw("DELETE", f"{path}?Qualifier={number}")[:2] == (204, {})


def test_the_whole_answers_about_a_function(raw, name):
    request = {
        "FunctionName": name, "Role": ROLE, "Runtime": PYTHON, "Handler": "index.handler", "Code": {"ZipFile": ZIP},
        "Tags": {"tea": "green"}, "Environment": {"Variables": {}},
    }
    status, headers, body = raw("POST", FUNCTIONS, request)
    assert (status, headers) == (201, {"content-type": "application/json"})
    created = json.loads(body)
    listed = {
        "FunctionName": name,
        "FunctionArn": ARNF + name,
        "Runtime": PYTHON,
        "Role": ROLE,
        "Handler": "index.handler",
        "CodeSize": len(base64.b64decode(ZIP)),
        "Description": "",
        "Timeout": 3,
        "MemorySize": 128,
        "LastModified": created["LastModified"],
        "CodeSha256": created["CodeSha256"],
        "Version": "$LATEST",
        "Environment": {"Variables": {}},
        "TracingConfig": {"Mode": "PassThrough"},
        "RevisionId": created["RevisionId"],
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"},
    }
    whole = {**listed, "RuntimeVersionConfig": created["RuntimeVersionConfig"]}
    assert created == {
        **whole, "State": "Pending", "StateReason": "The function is being created.", "StateReasonCode": "Creating",
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", created["LastModified"])

    def active():
        found = json.loads(raw("GET", f"{FUNCTIONS}/{name}/configuration")[2])
        return found if found["State"] == "Active" else None

    found = until(active)
    assert found["RevisionId"] != created["RevisionId"]
    revision = {"RevisionId": found["RevisionId"]}
    shown = {**whole, **revision, "State": "Active", "LastUpdateStatus": "Successful"}
    assert found == shown
    got = json.loads(raw("GET", f"{FUNCTIONS}/{name}")[2])
    assert got.pop("Code").keys() == {"RepositoryType", "Location"}
    assert got == {"Configuration": shown, "Tags": {"tea": "green"}}
    qualified = json.loads(raw("GET", f"{FUNCTIONS}/{name}?Qualifier=$LATEST")[2])
    assert "Tags" not in qualified
    assert qualified["Configuration"] == {**shown, "FunctionArn": f"{ARNF}{name}:$LATEST"}
    for query, arn in (("", ARNF + name), ("?FunctionVersion=ALL", f"{ARNF}{name}:$LATEST")):
        functions = list_all(raw, query)
        assert functions[name] == {**listed, **revision, "FunctionArn": arn}
    assert raw("DELETE", f"{FUNCTIONS}/{name}") == (204, {}, b"")


def list_all(raw, query=""):
    found, marker = {}, None
    while True:
        joint = "&" if query else "?"
        page = json.loads(raw("GET", FUNCTIONS + query + (f"{joint}Marker={marker}" if marker else ""))[2])
        found.update((function["FunctionName"], function) for function in page["Functions"])
        marker = page.get("NextMarker")
        if marker is None:
            return found


def test_markers_survive_inserts_and_deletes(raw, server):
    account = "777777777777"
    lam = server.client("lambda", account=account)
    for letter in "bdf":
        create(lam, f"list-{letter}", ECHO)
    page = lam.list_functions(MaxItems=2)
    assert [f["FunctionName"] for f in page["Functions"]] == ["list-b", "list-d"]
    create(lam, "list-a", ECHO)
    create(lam, "list-e", ECHO)
    lam.delete_function(FunctionName="list-d")
    rest = lam.list_functions(Marker=page["NextMarker"])
    assert [f["FunctionName"] for f in rest["Functions"]] == ["list-e", "list-f"]
    assert "NextMarker" not in rest
    empty = raw("GET", FUNCTIONS, account="888888888888")
    assert empty == (200, {"content-type": "application/json"}, b'{"Functions":[]}')


BASE = {"Role": ROLE, "Runtime": PYTHON, "Handler": "index.handler", "Code": {"ZipFile": ZIP}}
KEYS = (
    "Value at 'environment.variables' failed to satisfy constraint: Map keys must satisfy constraint: "
    "[Member must satisfy "
    "regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+, Member must not be null]"
)
RUNTIMES = (
    "nodejs20.x, python3.14, provided.al2023, python3.12, python3.13, nodejs24.x, nodejs22.x, java25, python3.10, "
    "python3.11, java21, ruby3.3, ruby3.4, ruby3.2, python3.8, python3.9, java17, nodejs16.x, dotnet10, "
    "dotnet8, java11, "
    "dotnet6, nodejs18.x, provided.al2, java8.al2, ruby4.0, nodejs26.x, python3.15, java8.al2023, java11.al2023, "
    "java17.al2023"
)
LEVEL = (
    'LogLevel is not supported when LogFormat is set to "Text". Remove LogLevel from your request or '
    'change the LogFormat '
    'to "JSON" and try again.'
)
VARIABLES = (
    "Lambda was unable to configure your environment variables because the environment variables you have provided "
)
LAYER = "arn:aws:lambda:us-east-1:000000000000:layer:x:1"
REFUSED = [
    (
        {"FunctionName": "n" * 65},
        invalid(
            "1 validation error detected: " + value(
                f"'{LONG}'",
                "functionName",
                "have length less than or equal to 64",
            )
        ),
    ),
    (
        {"FunctionName": "n" * 141},
        violated(value(f"'{'n' * 141}'", "functionName", "have length less than or equal to 140")),
    ),
    (
        {"FunctionName": " " * 141},
        violated(
            value(f"'{' ' * 141}'", "functionName", "have length less than or equal to 140"),
            value(
                f"'{' ' * 141}'",
                "functionName",
                f"satisfy regular expression pattern: {NAME_PATTERN}([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?",
            ),
        ),
    ),
    ({"Role": None}, violated(value("null", "role", "not be null"))),
    (
        {"FunctionName": None, "Code": None},
        violated(value("null", "functionName", "not be null"), value("null", "code", "not be null")),
    ),
    ({"EphemeralStorage": {}}, violated(value("null", "ephemeralStorage.size", "not be null"))),
    (
        {"Role": "x"},
        violated(
            value(
                "'x'",
                "role",
                r"satisfy regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+",
            )
        ),
    ),
    ({"Handler": "a b"}, violated(value("'a b'", "handler", r"satisfy regular expression pattern: [^\s]+"))),
    ({"Handler": "h" * 129}, violated(value(f"'{'h' * 129}'", "handler", "have length less than or equal to 128"))),
    (
        {"Description": "d" * 257},
        violated(value(f"'{'d' * 257}'", "description", "have length less than or equal to 256")),
    ),
    (
        {"MemorySize": 127, "Timeout": 0},
        violated(
            value("'0'", "timeout", "have value greater than or equal to 1"),
            value("'127'", "memorySize", "have value greater than or equal to 128"),
        ),
    ),
    (
        {"MemorySize": 10241},
        invalid(
            "1 validation error detected: " + value("'10241'", "memorySize", "have value less than or equal to 10240")
        ),
    ),
    (
        {"Timeout": 901},
        invalid("1 validation error detected: " + value("'901'", "timeout", "have value less than or equal to 900")),
    ),
    ({"Architectures": []}, violated(value("'[]'", "architectures", "have length greater than or equal to 1"))),
    (
        {"Architectures": ["x86_64", "arm64"]},
        violated(value("'[x86_64, arm64]'", "architectures", "have length less than or equal to 1")),
    ),
    (
        {"Architectures": ["mips"]},
        violated(
            value(
                "'[mips]'",
                "architectures",
                "satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]",
            )
        ),
    ),
    ({"PackageType": "Tar"}, violated(value("'Tar'", "packageType", "satisfy enum value set: [Zip, Image]"))),
    (
        {"TracingConfig": {"Mode": "X"}},
        violated(value("'X'", "tracingConfig.mode", "satisfy enum value set: [Active, PassThrough]")),
    ),
    (
        {"SnapStart": {"ApplyOn": "X"}},
        violated(value("'X'", "snapStart.applyOn", "satisfy enum value set: [PublishedVersions, None]")),
    ),
    ({"Environment": {"Variables": {"a-b": "c"}}}, violated(KEYS)),
    (
        {"Environment": {"Variables": {"AWS_REGION": "a", "LAMBDA_TASK_ROOT": "b"}}},
        invalid(
            VARIABLES + "contains reserved keys that are currently not supported for modification. "
            "Reserved keys used in this request: AWS_REGION, LAMBDA_TASK_ROOT"
        ),
    ),
    (
        {"Environment": {"Variables": {"AA": "é" * 2048}}},
        invalid(VARIABLES + 'exceeded the 4KB limit. String measured: {"AA":"' + "é" * 2048 + '"}'),
    ),
    ({"LoggingConfig": {"ApplicationLogLevel": "DEBUG"}}, invalid(LEVEL)),
    (
        {"LoggingConfig": {"LogFormat": "XML", "SystemLogLevel": "LOUD"}},
        violated(
            value("'XML'", "loggingConfig.logFormat", "satisfy enum value set: [JSON, Text]"),
            value("'LOUD'", "loggingConfig.systemLogLevel", "satisfy enum value set: [DEBUG, INFO, WARN]"),
        ),
    ),
    (
        {"Runtime": "cobol85"},
        invalid(
            f"Value cobol85 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: "
            f"[{RUNTIMES}] or be a valid ARN"
        ),
    ),
    (
        {"Runtime": "python3.7"},
        invalid(
            "The runtime parameter of python3.7 is no longer supported for creating or updating AWS Lambda "
            "functions. We recommend you use a supported runtime while creating or updating functions."
        ),
    ),
    (
        {"Runtime": "nodejs22.x", "SnapStart": {"ApplyOn": "PublishedVersions"}},
        invalid("nodejs22.x is not supported for SnapStart enabled functions."),
    ),
    ({"Tags": {f"k{n}": "v" for n in range(51)}}, invalid("Number of tags exceeds resource tag limit.")),
    ({"Code": {"ZipFile": ""}}, invalid("Uploaded file must be a non-empty zip")),
    (
        {"Code": {"ZipFile": "AAAA"}},
        invalid("Could not unzip uploaded file. Please check your file, then try to upload again."),
    ),
    ({"Layers": [LAYER]}, invalid(f"Layer version {LAYER} does not exist.")),
]


@pytest.mark.parametrize(
    "change, expected", REFUSED, ids=lambda part: str(part)[:50] if isinstance(part, dict) else ""
)
def test_what_create_refuses(raw, name, change, expected):
    assert raw.error("POST", FUNCTIONS, {"FunctionName": name, **BASE, **change}) == expected
    assert raw("GET", f"{FUNCTIONS}/{name}")[0] == 404


def test_a_name_is_taken_once(raw, echo):
    taken = (409, "ResourceConflictException", user("message", f"Function already exist: {echo}"))
    assert raw.error("POST", FUNCTIONS, {"FunctionName": echo, **BASE}) == taken


TEXT, JSON = {"LogFormat": "Text"}, {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"}
QUEUE = {"TargetArn": "arn:aws:sqs:us-east-1:000000000000:q"}
KEY = "arn:aws:kms:us-east-1:000000000000:key/1"
VPC = {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
NO_VPC = {"SubnetIds": [], "SecurityGroupIds": [], "VpcId": "", "Ipv6AllowedForDualStack": False}
# What is sent one after another, and what the member then is; an error leaves it as it was.
MERGES = {
    "LoggingConfig": [
        (
            {**JSON, "ApplicationLogLevel": "DEBUG", "LogGroup": "/g"},
            {**JSON, "ApplicationLogLevel": "DEBUG", "LogGroup": "/g"},
        ),
        (None, {**JSON, "ApplicationLogLevel": "DEBUG", "LogGroup": "/g"}),
        ({"LogFormat": "JSON"}, {**JSON, "LogGroup": "/aws/lambda/F"}),
        ({"ApplicationLogLevel": "WARN"}, invalid(LEVEL)),
        ({"LogFormat": "Text", "SystemLogLevel": "WARN"}, invalid(LEVEL)),
        ({"LogGroup": "/h"}, {**TEXT, "LogGroup": "/h"}),
        ({}, {**TEXT, "LogGroup": "/aws/lambda/F"}),
    ],
    "DeadLetterConfig": [(QUEUE, QUEUE), ({}, QUEUE), (None, QUEUE), ({"TargetArn": ""}, None)],
    "KMSKeyArn": [(KEY, KEY), (None, KEY), ("", None)],
    "Environment": [
        ({"Variables": {"AA": "1", "BB": "2"}}, {"Variables": {"AA": "1", "BB": "2"}}),
        (None, {"Variables": {"AA": "1", "BB": "2"}}),
        ({"Variables": {"CC": "3"}}, {"Variables": {"CC": "3"}}),
        ({}, {"Variables": {}}),
    ],
    "VpcConfig": [
        (VPC, {**VPC, "VpcId": "vpc-*", "Ipv6AllowedForDualStack": False}),
        ({"SubnetIds": [], "SecurityGroupIds": []}, NO_VPC),
        (None, NO_VPC),
    ],
    "Layers": [([], None), ([LAYER], invalid(f"Layer version {LAYER} does not exist."))],
    "TracingConfig": [({"Mode": "Active"}, {"Mode": "Active"}), ({}, {"Mode": "Active"}), (None, {"Mode": "Active"})],
    "EphemeralStorage": [({"Size": 600}, {"Size": 600}), (None, {"Size": 600})],
    "RevisionId": [
        ("x", (412, "PreconditionFailedException", user("message", STALE))),
        ("00000000-0000-0000-0000-000000000000", (412, "PreconditionFailedException", user("message", STALE))),
    ],
}


@pytest.mark.parametrize("member", MERGES)
def test_what_an_update_keeps_replaces_and_clears(raw, lam, name, member):
    create(lam, name, ECHO)
    path = f"{FUNCTIONS}/{name}/configuration"

    def seen(answer):
        found = answer.get(member)
        if found and "VpcId" in found:
            found["VpcId"] = re.sub("vpc-[0-9a-f]{17}", "vpc-*", found["VpcId"])
        return json.loads(json.dumps(found).replace(f"/aws/lambda/{name}", "/aws/lambda/F"))

    for sent, expected in MERGES[member]:
        body = {} if sent is None else {member: sent}
        if isinstance(expected, tuple):
            assert raw.error("PUT", path, body) == expected
            continue
        status, _, answer = raw("PUT", path, body)
        assert (status, seen(json.loads(answer))) == (200, expected), sent
        wait_active(lam, name)
        assert seen(json.loads(raw("GET", path)[2])) == expected, sent


def test_each_update_changes_the_revision_twice(raw, lam, name):
    create(lam, name, ECHO)
    path = f"{FUNCTIONS}/{name}"
    get = lambda: json.loads(raw("GET", f"{path}/configuration")[2])
    before = get()
    revisions = {before["RevisionId"]}
    for call, body in (
        ("code", {"ZipFile": ZIP}),
        ("code", {"ZipFile": ZIP}),
        ("configuration", {}),
        ("configuration", {"Timeout": 3}),
    ):
        status, _, answer = raw("PUT", f"{path}/{call}", body)
        update = json.loads(answer)
        assert (status, update["State"], update["LastUpdateStatus"]) == (200, "Active", "InProgress")
        assert update["LastUpdateStatusReason"] == "The function is being created."
        assert update["LastUpdateStatusReasonCode"] == "Creating"
        assert "StateReason" not in update and "StateReasonCode" not in update
        wait_active(lam, name)
        after = get()
        revisions |= {update["RevisionId"], after["RevisionId"]}
        assert after["LastUpdateStatus"] == "Successful" and not any("Reason" in key for key in after)
        assert after["LastModified"] == update["LastModified"] > before["LastModified"]
    assert len(revisions) == 9


CODE = [
    ({}, invalid("Please provide a source for function code.")),
    ({"Architectures": ["x86_64"]}, invalid("Please provide a source for function code.")),
    ({"ImageUri": "x"}, invalid("Please don't provide ImageUri when updating a function with packageType Zip.")),
    (
        {"ZipFile": "AAAA"},
        invalid("Could not unzip uploaded file. Please check your file, then try to upload again."),
    ),
    ({"ZipFile": ""}, invalid("Uploaded file must be a non-empty zip")),
    ({"ZipFile": ZIP, "RevisionId": "stale"}, (412, "PreconditionFailedException", user("message", STALE))),
]


@pytest.mark.parametrize("body, expected", CODE, ids=lambda part: str(part)[:40] if isinstance(part, dict) else "")
def test_what_an_update_of_code_refuses(raw, echo, body, expected):
    assert raw.error("PUT", f"{FUNCTIONS}/{echo}/code", body) == expected


def test_a_change_under_way_holds_up_the_next(raw, lam, name):
    """Requests race until one meets each state; the wordings themselves are pinned in the services' own tests."""
    pending, updating = set(), set()
    allowed_pending = {
        f"The operation cannot be performed at this time. The resource {ARNF}F is currently in the following state: "
        "'Pending'. StateReasonCode: 'Creating'",
        "The operation cannot be performed at this time. The function is currently in the following state: Pending",
        f"The operation cannot be performed at this time. An update is in progress for resource: {ARNF}F",
    }

    def race(function, calls, into):
        def one(method, path, body):
            status, headers, answer = raw(method, f"{FUNCTIONS}/{path}".rstrip("/"), body)
            if status == 409:
                assert headers["x-amzn-errortype"] == "ResourceConflictException"
                told = json.loads(answer)
                assert told["Type"] == "User"
                into.add(told["message"].replace(function, "F"))
            else:
                assert status in (200, 201, 404), answer

        threads = [threading.Thread(target=one, args=call) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_active(lam, function)

    for attempt in range(20):
        function = f"{name}-{attempt}"
        made = ("POST", "", {"FunctionName": function, **BASE})
        tried = [("PUT", f"{function}/configuration", {})] * 3 + [("POST", f"{function}/invocations", b"1")] * 2
        race(function, [made, *tried], pending)
        race(function, [("PUT", f"{function}/code", {"ZipFile": ZIP})] * 4, updating)
        if pending and updating:
            break
    assert pending <= allowed_pending
    assert updating <= allowed_pending and updating


NO_GROUP, NO_STREAM = "The specified log group does not exist.", "The specified log stream does not exist."
BAD_TOKEN = "The specified nextToken is invalid."
MOST = "1 validation error detected: Value '{}' at 'limit' failed to satisfy constraint: Member must have value less than or equal to {}"
LOGS = [
    ("DescribeLogStreams", {"logGroupName": "/nope"}, "ResourceNotFoundException", NO_GROUP),
    ("GetLogEvents", {"logGroupName": "/nope", "logStreamName": "s"}, "ResourceNotFoundException", NO_GROUP),
    ("GetLogEvents", {"logGroupName": "G", "logStreamName": "s"}, "ResourceNotFoundException", NO_STREAM),
    ("FilterLogEvents", {"logGroupName": "/nope"}, "ResourceNotFoundException", NO_GROUP),
    ("FilterLogEvents", {"logGroupName": "G", "logStreamNames": ["s"]}, "ResourceNotFoundException", NO_STREAM),
    ("FilterLogEvents", {"logGroupName": "G", "nextToken": "x"}, "InvalidParameterException", BAD_TOKEN),
    (
        "GetLogEvents",
        {"logGroupName": "G", "logStreamName": "S", "nextToken": "x"},
        "InvalidParameterException",
        BAD_TOKEN,
    ),
    ("DescribeLogGroups", {"nextToken": "x"}, "InvalidParameterException", BAD_TOKEN),
    (
        "FilterLogEvents",
        {"logGroupName": "G", "limit": 10001},
        "InvalidParameterException",
        MOST.format(10001, 10000),
    ),
    (
        "GetLogEvents",
        {"logGroupName": "G", "logStreamName": "S", "limit": 10001},
        "InvalidParameterException",
        MOST.format(10001, 10000),
    ),
    ("DescribeLogGroups", {"limit": 51}, "InvalidParameterException", MOST.format(51, 50)),
]


@pytest.fixture(scope="session")
def group(raw, server, echo):
    """The group and the stream of a function that ran once."""
    raw.invoke(echo)
    name = f"/aws/lambda/{echo}"
    stream = server.client("logs").describe_log_streams(logGroupName=name)["logStreams"][0]["logStreamName"]
    return {"G": name, "S": stream}


def ask_logs(raw, operation, body):
    headers = {"X-Amz-Target": f"Logs_20140328.{operation}", "Content-Type": "application/x-amz-json-1.1"}
    status, found, content = raw("POST", "/", body, headers, service="logs")
    assert found == {"content-type": "application/x-amz-json-1.1"}
    return status, json.loads(content)


@pytest.mark.parametrize(
    "operation, body, code, words", LOGS, ids=lambda part: part[:20] if isinstance(part, str) else ""
)
def test_what_the_logs_refuse(raw, group, operation, body, code, words):
    body = {key: group.get(value, value) if isinstance(value, str) else value for key, value in body.items()}
    assert ask_logs(raw, operation, body) == (400, {"__type": code, "message": words})


def test_the_whole_answers_of_the_logs(raw, group):
    name, stream = group["G"], group["S"]
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}"
    (shown,) = ask_logs(raw, "DescribeLogGroups", {"logGroupNamePrefix": name})[1]["logGroups"]
    assert isinstance(shown.pop("creationTime"), int) and isinstance(shown.pop("storedBytes"), int)
    assert shown == {
        "logGroupName": name,
        "arn": f"{arn}:*",
        "logGroupArn": arn,
        "metricFilterCount": 0,
        "logGroupClass": "STANDARD",
    }
    page = ask_logs(raw, "GetLogEvents", {"logGroupName": name, "logStreamName": stream, "startFromHead": True})[1]
    assert page.keys() == {"events", "nextForwardToken", "nextBackwardToken"}
    assert page["nextForwardToken"].startswith("f/") and page["nextBackwardToken"].startswith("b/")
    assert all(event.keys() == {"timestamp", "message", "ingestionTime"} for event in page["events"])
    asked = {"logGroupName": name, "logStreamName": stream, "nextToken": page["nextForwardToken"]}
    end = ask_logs(raw, "GetLogEvents", asked)[1]
    assert end["events"] == [] and end["nextForwardToken"] == page["nextForwardToken"]
    for by in ({"logGroupName": name}, {"logGroupIdentifier": arn}):
        found = ask_logs(raw, "FilterLogEvents", {**by, "logStreamNames": [stream]})[1]
        assert found.keys() == {"events", "searchedLogStreams"} and found["searchedLogStreams"] == []
        assert [event["message"] for event in found["events"]] == [event["message"] for event in page["events"]]
        for event in found["events"]:
            assert event.keys() == {"eventId", "ingestionTime", "logStreamName", "message", "timestamp"}
            assert re.fullmatch(r"\d{56}", event["eventId"])
