"""Every member of the requests that make and change functions: kept, refused as AWS refuses it, or refused by name.

A table has a line for each member that the service model has, and each line what is sent and what comes of it."""

import json
import pathlib
import re

import pytest

from recorded import ARNF, ECHO, FUNCTIONS, STALE, ZIP, invalid, user, value, violated
from samovar import ACCOUNT, PYTHON, REGION, ROLE, create, wait_active

MODEL = json.loads((pathlib.Path(__file__).parents[2] / "models" / "lambda.json").read_text())
BASE = {"Runtime": PYTHON, "Handler": "index.handler", "Role": ROLE, "Code": {"ZipFile": ZIP}}
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
LAYER = f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:nope:1"
ARN = r"(arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()"
ROLE_PATTERN = r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"
FILES = [
    {
        "Arn": f"arn:aws:elasticfilesystem:{REGION}:{ACCOUNT}:access-point/fsap-{'0' * 17}",
        "LocalMountPath": "/mnt/files",
    }
]
PROVIDER = {
    "LambdaManagedInstancesCapacityProviderConfig": {
        "CapacityProviderArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:capacity-provider:p"
    }
}
RUNTIME = {"RuntimeArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:runtime/my-runtime", "RuntimeAlias": "live"}
SOURCE = "Please provide a source for function code."
COEXIST = "SubnetIds and SecurityIds must coexist or be both empty list."
DEAD = "Invalid dead letter queue ARN: "
VARIABLES = (
    "Lambda was unable to configure your environment variables because the environment variables you have provided "
)


def matches(text, path, pattern):
    return violated(value(f"'{text}'", path, f"satisfy regular expression pattern: {pattern}"))


def at_most(number, path, most):
    text = value(f"'{number}'", path, f"have value less than or equal to {most}")
    return violated(text), invalid(f"1 validation error detected: {text}")


def too_long(text, path, most):
    return violated(value(f"'{text}'", path, f"have length less than or equal to {most}"))


def no_choice(text, path, *choices):
    return violated(value(f"'{text}'", path, f"satisfy enum value set: [{', '.join(choices)}]"))


def not_built(feature):
    return 501, "NotImplementedException", {"message": f"Samovar does not implement {feature}"}


def kept(**shown):
    """What the answer shows; a member that is None is not shown."""
    return shown


def numbers(member, path, least, model, most):
    below = violated(value(f"'{least - 1}'", path, f"have value greater than or equal to {least}"))
    wrapped = lambda number: {"Size": number} if member == "EphemeralStorage" else number
    return [
        (wrapped(least), kept(**{member: wrapped(least)})),
        (wrapped(most), kept(**{member: wrapped(most)})),
        (wrapped(least - 1), below),
        # Beyond what a function on shared hardware may have, the back end refuses in the front end's words.
        (wrapped(most + 1), at_most(most + 1, path, most)[1]),
        (wrapped(model + 1), at_most(model + 1, path, model)[0]),
    ]


# Snapshots are for newer Pythons than some machines have.
SNAPSHOTS = kept(SnapStart={"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"})
if int(PYTHON.split(".")[1]) < 12:
    SNAPSHOTS = invalid(f"{PYTHON} is not supported for SnapStart enabled functions.")
# Members that creation and change have in common.
COMMON = {
    "Role": [
        ("arn:aws:iam::000000000000:role/path/to/other", kept(Role="arn:aws:iam::000000000000:role/path/to/other")),
        ("role", matches("role", "role", ROLE_PATTERN)),
        ("", matches("", "role", ROLE_PATTERN)),
    ],
    "Handler": [
        ("a/b.c::d", kept(Handler="a/b.c::d")),
        ("a b", matches("a b", "handler", r"[^\s]+")),
        ("", matches("", "handler", r"[^\s]+")),
        ("h" * 129, too_long("h" * 129, "handler", 128)),
    ],
    "Runtime": [
        ("nodejs22.x", kept(Runtime="nodejs22.x")),
        ("provided.al2023", kept(Runtime="provided.al2023")),
        (
            "python3.6",
            invalid(
                "The runtime parameter of python3.6 is no longer supported for creating or updating AWS Lambda functions. "
                "We recommend you use a supported runtime while creating or updating functions."
            ),
        ),
        ("custom", not_built("the runtime custom")),
    ],
    "Description": [
        ("ä words", kept(Description="ä words")),
        ("", kept(Description="")),
        ("d" * 257, too_long("d" * 257, "description", 256)),
    ],
    "Timeout": numbers("Timeout", "timeout", 1, 5400, 900),
    "MemorySize": numbers("MemorySize", "memorySize", 128, 32768, 10240),
    "EphemeralStorage": [
        *numbers("EphemeralStorage", "ephemeralStorage.size", 512, 32768, 10240),
        ({}, violated(value("null", "ephemeralStorage.size", "not be null"))),
    ],
    "VpcConfig": [
        (
            {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"], "Ipv6AllowedForDualStack": True},
            kept(
                VpcConfig={
                    "SubnetIds": ["subnet-1", "subnet-2"],
                    "SecurityGroupIds": ["sg-1"],
                    "VpcId": "vpc-*",
                    "Ipv6AllowedForDualStack": True,
                }
            ),
        ),
        (
            {"SubnetIds": [], "SecurityGroupIds": []},
            kept(VpcConfig={"SubnetIds": [], "SecurityGroupIds": [], "VpcId": "", "Ipv6AllowedForDualStack": False}),
        ),
        ({"SubnetIds": ["subnet-1"]}, invalid(COEXIST)),
        ({"SubnetIds": [], "SecurityGroupIds": ["sg-1"]}, invalid(COEXIST)),
        (
            {"SubnetIds": ["subnet-1"] * 17, "SecurityGroupIds": ["sg-1"]},
            too_long(f"[{', '.join(['subnet-1'] * 17)}]", "vpcConfig.subnetIds", 16),
        ),
        (
            {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"] * 6},
            too_long(f"[{', '.join(['sg-1'] * 6)}]", "vpcConfig.securityGroupIds", 5),
        ),
    ],
    "DeadLetterConfig": [
        ({"TargetArn": QUEUE}, kept(DeadLetterConfig={"TargetArn": QUEUE})),
        ({"TargetArn": QUEUE.replace("sqs", "sns")}, kept(DeadLetterConfig={"TargetArn": QUEUE.replace("sqs", "sns")})),
        ({"TargetArn": ""}, kept(DeadLetterConfig=None)),
        ({"TargetArn": "q"}, matches("q", "deadLetterConfig.targetArn", ARN)),
        (
            {"TargetArn": "arn:aws:s3:::bucket"},
            invalid(f"{DEAD}The service specified by the TargetArn is not supported for dead letter configuration."),
        ),
        (
            {"TargetArn": f"arn:aws:sqs:eu-west-1:{ACCOUNT}:q"},
            invalid(
                f"{DEAD}The resource specified by the TargetArn must be in the same region as the Lambda function it's "
                "associated with."
            ),
        ),
        (
            {"TargetArn": f"{QUEUE}.fifo"},
            invalid(f"{DEAD}FIFO SQS queue is not supported for dead letter configuration"),
        ),
    ],
    "Environment": [
        ({"Variables": {"AA": "é"}}, kept(Environment={"Variables": {"AA": "é"}})),
        ({}, kept(Environment={"Variables": {}})),
        (
            {"Variables": {"1A": "x"}},
            violated(
                "Value at 'environment.variables' failed to satisfy constraint: Map keys must satisfy constraint: [Member "
                "must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+, Member must not be null]"
            ),
        ),
        (
            {"Variables": {"AWS_SESSION_TOKEN": "x"}},
            invalid(
                f"{VARIABLES}contains reserved keys that are currently not supported for modification. Reserved keys used "
                "in this request: AWS_SESSION_TOKEN"
            ),
        ),
    ],
    "KMSKeyArn": [
        (KEY, kept(KMSKeyArn=KEY)),
        ("", kept(KMSKeyArn=None)),
        ("key", matches("key", "kMSKeyArn", ARN)),
    ],
    "TracingConfig": [
        ({"Mode": "Active"}, kept(TracingConfig={"Mode": "Active"})),
        ({"Mode": "On"}, no_choice("On", "tracingConfig.mode", "Active", "PassThrough")),
    ],
    "Layers": [
        ([], kept(Layers=None)),
        ([LAYER], invalid(f"Layer version {LAYER} does not exist.")),
        ([LAYER] * 6, invalid("Cannot reference more than 5 layers.")),
    ],
    "FileSystemConfigs": [
        ([], kept(FileSystemConfigs=None)),
        (FILES, not_built("FileSystemConfigs")),
        (
            [{**FILES[0], "LocalMountPath": "/files"}],
            matches("/files", "fileSystemConfigs.1.member.localMountPath", r"/mnt/[a-zA-Z0-9-_.]+"),
        ),
        (FILES * 2, violated(value("'[..., ...]'", "fileSystemConfigs", "have length less than or equal to 1"))),
    ],
    "ImageConfig": [
        ({}, kept(ImageConfigResponse=None)),
        ({"Command": []}, not_built("ImageConfig")),
        (
            {"WorkingDirectory": "w" * 1001},
            too_long("w" * 1001, "imageConfig.workingDirectory", 1000),
        ),
    ],
    "SnapStart": [
        ({"ApplyOn": "None"}, kept(SnapStart={"ApplyOn": "None", "OptimizationStatus": "Off"})),
        ({"ApplyOn": "PublishedVersions"}, SNAPSHOTS),
        ({"ApplyOn": "Never"}, no_choice("Never", "snapStart.applyOn", "PublishedVersions", "None")),
    ],
    "LoggingConfig": [
        (
            {"LogFormat": "JSON", "SystemLogLevel": "WARN", "LogGroup": "/of/mine"},
            kept(
                LoggingConfig={
                    "LogFormat": "JSON",
                    "ApplicationLogLevel": "INFO",
                    "SystemLogLevel": "WARN",
                    "LogGroup": "/of/mine",
                }
            ),
        ),
        ({"LogGroup": "a b"}, matches("a b", "loggingConfig.logGroup", r"[\.\-_/#A-Za-z0-9]+")),
    ],
    "CapacityProviderConfig": [(PROVIDER, not_built("CapacityProviderConfig"))],
    "DurableConfig": [
        ({}, not_built("DurableConfig")),
        (
            {"RetentionPeriodInDays": 91},
            at_most(91, "durableConfig.retentionPeriodInDays", 90)[0],
        ),
    ],
    "RuntimeConfig": [(RUNTIME, not_built("RuntimeConfig"))],
    "AcceleratorConfig": [({"AcceleratorMemorySize": 8}, not_built("AcceleratorConfig"))],
}
CREATE = {
    **COMMON,
    "FunctionName": [
        (
            "n" * 65,
            invalid(
                "1 validation error detected: "
                + value(f"'{'n' * 65}'", "functionName", "have length less than or equal to 64")
            ),
        ),
    ],
    "Code": [
        ({}, invalid(SOURCE)),
        ({"ZipFile": ""}, invalid("Uploaded file must be a non-empty zip")),
        ({"S3Bucket": "bucket", "S3Key": "key"}, not_built("code in S3; send it as ZipFile")),
        (
            {"ZipFile": ZIP, "S3Bucket": "bucket"},
            invalid("Please do not provide other FunctionCode parameters when providing a ZipFile."),
        ),
        ({"S3Bucket": "ab"}, violated(value("'ab'", "code.s3Bucket", "have length greater than or equal to 3"))),
        ({"ImageUri": "repository:tag"}, not_built("functions from container images")),
        ({"ZipFile": ZIP, "S3ObjectStorageMode": "COPY"}, kept()),
        ({"ZipFile": ZIP, "S3ObjectStorageMode": "REFERENCE"}, not_built("S3ObjectStorageMode REFERENCE")),
        ({"ZipFile": ZIP, "SourceKMSKeyArn": KEY}, not_built("SourceKMSKeyArn")),
        ({"ZipFile": ZIP, "SourceKMSKeyArn": ""}, kept()),
    ],
    "PackageType": [
        ("Zip", kept(PackageType="Zip")),
        ("Image", not_built("functions from container images")),
        ("Tar", no_choice("Tar", "packageType", "Zip", "Image")),
    ],
    "Architectures": [
        (["arm64"], kept(Architectures=["arm64"])),
        ([], violated(value("'[]'", "architectures", "have length greater than or equal to 1"))),
    ],
    "Publish": [(True, kept(Version="1")), (False, kept(Version="$LATEST"))],
    "PublishTo": [("LATEST_PUBLISHED", not_built("PublishTo"))],
    "Tags": [({"a": "b"}, kept())],
    "CodeSigningConfigArn": [
        ("csc", matches("csc", "codeSigningConfigArn", MODEL["shapes"]["CodeSigningConfigArn"]["pattern"]))
    ],
    "TenancyConfig": [
        ({"TenantIsolationMode": "PER_TENANT"}, not_built("TenancyConfig")),
        ({}, violated(value("null", "tenancyConfig.tenantIsolationMode", "not be null"))),
    ],
}
CHANGE = {
    **COMMON,
    "FunctionName": [],
    "RevisionId": [("x", (412, "PreconditionFailedException", user("message", STALE)))],
}
CODE = {
    "FunctionName": [],
    "ZipFile": [
        (ZIP, kept(LastUpdateStatus="InProgress")),
        ("AAAA", invalid("Could not unzip uploaded file. Please check your file, then try to upload again.")),
    ],
    "S3Bucket": [("bucket", not_built("code in S3; send it as ZipFile"))],
    "S3Key": [("key", not_built("code in S3; send it as ZipFile"))],
    "S3ObjectVersion": [("1", not_built("code in S3; send it as ZipFile"))],
    "S3ObjectStorageMode": [
        ("REFERENCE", not_built("S3ObjectStorageMode REFERENCE")),
        ("COPY", kept(LastUpdateStatus="InProgress")),
    ],
    "ImageUri": [("x", invalid("Please don't provide ImageUri when updating a function with packageType Zip."))],
    "Architectures": [(["arm64"], kept(Architectures=["arm64"])), (["x86_64"], kept(Architectures=["x86_64"]))],
    "Publish": [(True, kept(Version="1", FunctionArn="ARNF:F:1"))],
    "PublishTo": [("LATEST_PUBLISHED", not_built("PublishTo"))],
    "DryRun": [(True, kept(LastUpdateStatus="Successful"))],
    "RevisionId": [("x", (412, "PreconditionFailedException", user("message", STALE)))],
    "SourceKMSKeyArn": [(KEY, not_built("SourceKMSKeyArn")), ("", kept(LastUpdateStatus="InProgress"))],
}
# Members that say where code is replace the archive that all other requests bring.
PLACES = {"S3Bucket", "S3Key", "S3ObjectVersion", "ImageUri"}


@pytest.mark.parametrize(
    "operation, table",
    [("CreateFunction", CREATE), ("UpdateFunctionConfiguration", CHANGE), ("UpdateFunctionCode", CODE)],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_no_member_of_the_model_is_left_out(operation, table):
    shape = MODEL["operations"][operation]["input"]["shape"]
    assert set(table) == set(MODEL["shapes"][shape]["members"])


def lettered(function, answer):
    text = json.dumps(answer).replace(ARNF, "ARNF:").replace(function, "F")
    return json.loads(re.sub("vpc-[0-9a-f]{17}", "vpc-*", text))


def judge(raw, function, method, path, body, expected):
    """Sends a request; whether it changed something."""
    if isinstance(expected, tuple):
        status, code, answer = raw.error(method, path, body)
        assert (status, code, answer) == expected, body
        return False
    status, _, content = raw(method, path, body)
    assert status in (200, 201), content
    answer = lettered(function, json.loads(content))
    shown = {member: answer.get(member) for member in expected}
    assert shown == expected, body
    return not body.get("DryRun")


@pytest.mark.parametrize("member", CREATE)
def test_what_creation_makes_of_it(raw, lam, name, member):
    for number, (sent, expected) in enumerate(CREATE[member]):
        function = f"{name}-{number}"
        body = {"FunctionName": function, **BASE, member: sent}
        if judge(raw, function, "POST", FUNCTIONS, body, expected):
            wait_active(lam, function)
            later = lettered(function, json.loads(raw("GET", f"{FUNCTIONS}/{function}/configuration")[2]))
            assert {key: later.get(key) for key in expected if key != "Version"} == {
                key: value for key, value in expected.items() if key != "Version"
            }
        else:
            assert raw("GET", f"{FUNCTIONS}/{function}")[0] == 404


@pytest.mark.parametrize("member", CHANGE)
def test_what_a_change_of_configuration_makes_of_it(raw, lam, name, member):
    create(lam, name, ECHO)
    path = f"{FUNCTIONS}/{name}/configuration"
    for sent, expected in CHANGE[member]:
        before = raw("GET", path)[2]
        if judge(raw, name, "PUT", path, {member: sent}, expected):
            wait_active(lam, name)
            later = lettered(name, json.loads(raw("GET", path)[2]))
            assert {key: later.get(key) for key in expected} == expected
        else:
            assert raw("GET", path)[2] == before, "what is refused changes nothing"


@pytest.mark.parametrize("member", CODE)
def test_what_a_change_of_code_makes_of_it(raw, lam, name, member):
    create(lam, name, ECHO)
    path = f"{FUNCTIONS}/{name}/code"
    for sent, expected in CODE[member]:
        body = {member: sent} if member in PLACES | {"ZipFile"} else {"ZipFile": ZIP, member: sent}
        before = raw("GET", f"{FUNCTIONS}/{name}/configuration")[2]
        if judge(raw, name, "PUT", path, body, expected):
            wait_active(lam, name)
        else:
            assert raw("GET", f"{FUNCTIONS}/{name}/configuration")[2] == before


def test_architectures_alone_are_no_code(raw, echo):
    assert raw.error("PUT", f"{FUNCTIONS}/{echo}/code", {"Architectures": ["arm64"]}) == invalid(SOURCE)
