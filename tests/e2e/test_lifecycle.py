"""Functions from creation to deletion, as boto3 sees them."""

import base64
import hashlib
import re
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError

from samovar import ACCOUNT, PYTHON, ROLE, create, invoke, until, wait_active, zip_of

ECHO = "def handler(event, context):\n    return event\n"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def refusal(call, **arguments):
    """The error of a call that must fail: code, message, status."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response
    return error["Error"]["Code"], error["Error"]["Message"], error["ResponseMetadata"]["HTTPStatusCode"]


def new(name, **more):
    return {
        "FunctionName": name,
        "Runtime": PYTHON,
        "Handler": "index.handler",
        "Role": ROLE,
        "Code": {"ZipFile": zip_of({"index.py": ECHO})},
        **more,
    }


def test_the_answer_to_create_is_the_recorded_one(lam, name):
    request = new(name)
    answer = lam.create_function(**request)
    meta = answer.pop("ResponseMetadata")
    assert meta["HTTPStatusCode"] == 201
    assert UUID.fullmatch(meta["RequestId"])
    assert UUID.fullmatch(answer.pop("RevisionId"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", answer.pop("LastModified"))
    assert re.fullmatch(
        r"arn:aws:lambda:us-east-1::runtime:[0-9a-f]{64}", answer.pop("RuntimeVersionConfig")["RuntimeVersionArn"]
    )
    code = request["Code"]["ZipFile"]
    assert answer == {
        "FunctionName": name,
        "FunctionArn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}",
        "Runtime": PYTHON,
        "Role": ROLE,
        "Handler": "index.handler",
        "CodeSize": len(code),
        "Description": "",
        "Timeout": 3,
        "MemorySize": 128,
        "CodeSha256": base64.b64encode(hashlib.sha256(code).digest()).decode(),
        "Version": "$LATEST",
        "TracingConfig": {"Mode": "PassThrough"},
        "State": "Pending",
        "StateReason": "The function is being created.",
        "StateReasonCode": "Creating",
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"},
    }


def test_an_active_function_has_a_new_revision_and_no_reasons(lam, name):
    created = create(lam, name, ECHO)
    active = lam.get_function_configuration(FunctionName=name)
    assert (active["State"], active["LastUpdateStatus"]) == ("Active", "Successful")
    assert "StateReason" not in active and "StateReasonCode" not in active
    assert active["RevisionId"] != created["RevisionId"]


def test_get_function_gives_a_link_that_serves_the_zip(server, lam, name):
    create(lam, name, ECHO, Tags={"team": "tea"})
    answer = lam.get_function(FunctionName=name)
    assert answer["Tags"] == {"team": "tea"}
    assert answer["Code"]["RepositoryType"] == "S3"
    link = answer["Code"]["Location"]
    with urllib.request.urlopen(link) as download:
        body = download.read()
    assert body == zip_of({"index.py": ECHO})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(link, method="HEAD"))
    assert caught.value.code == 403
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(link[:-4] + "0000")
    assert caught.value.code == 403
    lam.delete_function(FunctionName=name)
    with urllib.request.urlopen(link) as download:
        assert download.read() == body


def test_every_form_of_a_name_finds_the_function(lam, name):
    create(lam, name, ECHO)
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"
    for form in (name, f"function:{name}", f"{ACCOUNT}:function:{name}", arn):
        assert lam.get_function_configuration(FunctionName=form)["FunctionArn"] == arn
        assert invoke(lam, form, {"a": 1})["payload"] == {"a": 1}
    latest = lam.get_function_configuration(FunctionName=name, Qualifier="$LATEST")
    assert latest["FunctionArn"] == f"{arn}:$LATEST"
    assert invoke(lam, f"{arn}:$LATEST", [1])["payload"] == [1]


def test_unknown_functions_are_not_found_in_the_words_of_each_operation(lam, name):
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"
    for call in (lam.get_function, lam.get_function_configuration, lam.delete_function):
        assert refusal(call, FunctionName=name) == ("ResourceNotFoundException", f"Function not found: {arn}", 404)
    assert refusal(lam.invoke, FunctionName=name)[1] == f"Function not found: {arn}:$LATEST"
    assert refusal(lam.get_function, FunctionName=name, Qualifier="live")[1] == f"Function not found: {arn}:live"
    assert refusal(lam.get_function, FunctionName=arn.replace("us-east-1", "eu-west-1"))[1] == (
        "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"
    )


def test_a_name_can_be_taken_once(lam, name):
    create(lam, name, ECHO)
    assert refusal(lam.create_function, **new(name)) == (
        "ResourceConflictException",
        f"Function already exist: {name}",
        409,
    )


def test_constraint_violations_come_together_in_the_words_of_aws(server, name):
    lam = server.client("lambda", parameter_validation=False)
    code, message, status = refusal(lam.create_function, **new(name, Timeout=0, MemorySize=1, Role="nobody"))
    assert (code, status) == ("ValidationException", 400)
    assert message.startswith("3 validation errors detected: ")
    for part in (
        "Value '0' at 'timeout' failed to satisfy constraint: Member must have value greater than or equal to 1",
        "Value '1' at 'memorySize' failed to satisfy constraint: Member must have value greater than or equal to 128",
        "Value 'nobody' at 'role' failed to satisfy constraint: Member must satisfy regular expression pattern: ",
    ):
        assert part in message


@pytest.mark.parametrize(
    "change, code, words",
    [
        ({"Code": {"ZipFile": b"not a zip"}}, "InvalidParameterValueException",
         "Could not unzip uploaded file. Please check your file, then try to upload again."),
        ({"FunctionName": "x" * 65}, "InvalidParameterValueException",
         "1 validation error detected: Value '" + "x" * 65 + "' at 'functionName' failed to satisfy constraint: "
         "Member must have length less than or equal to 64"),
        ({"Environment": {"Variables": {"KEY": "v" * 5000}}}, "InvalidParameterValueException",
         "Lambda was unable to configure your environment variables because the environment variables you have "
         "provided exceeded the 4KB limit. String measured: {\"KEY\":\"" + "v" * 5000 + "\"}"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "InvalidParameterValueException",
         "Lambda was unable to configure your environment variables because the environment variables you have "
         "provided contains reserved keys that are currently not supported for modification. "
         "Reserved keys used in this request: AWS_REGION"),
        ({"LoggingConfig": {"LogFormat": "Text", "ApplicationLogLevel": "INFO"}}, "InvalidParameterValueException",
         'LogLevel is not supported when LogFormat is set to "Text". Remove LogLevel from your request or change '
         'the LogFormat to "JSON" and try again.'),
    ],
    ids=["bad zip", "long name", "large environment", "reserved key", "level with text"],
)
def test_what_the_back_end_refuses(lam, name, change, code, words):
    request = {**new(name), **change}
    assert refusal(lam.create_function, **request) == (code, words, 400)
    listed = {f["FunctionName"] for page in lam.get_paginator("list_functions").paginate() for f in page["Functions"]}
    assert request["FunctionName"] not in listed


def test_an_unknown_runtime_is_named_with_all_known_ones(server, name):
    lam = server.client("lambda", parameter_validation=False)
    code, message, _ = refusal(lam.create_function, **new(name, Runtime="cobol85"))
    assert code == "InvalidParameterValueException"
    assert message.startswith("Value cobol85 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [nodejs20.x, ")
    assert message.endswith("] or be a valid ARN")


def test_a_zip_over_fifty_megabytes_is_too_large(lam, name):
    import os

    code, message, status = refusal(
        lam.create_function, **new(name, Code={"ZipFile": zip_of({"index.py": ECHO, "x": os.urandom(52_500_000)})})
    )
    assert (code, status) == ("RequestEntityTooLargeException", 413)
    assert "52428800" in message or "70167211" in message


def test_a_zip_that_unpacks_too_large_leaves_nothing(server, lam, name):
    bomb = zip_of({"index.py": ECHO, "zeros": bytes(300_000_000)})

    def packages():
        # A removed directory loses its name at once and its files a little later.
        return sorted(path.name for path in (server.data_dir / "code").iterdir() if not path.name.startswith("."))

    before = packages()
    assert refusal(lam.create_function, **new(name, Code={"ZipFile": bomb})) == (
        "InvalidParameterValueException",
        "Unzipped size must be smaller than 262144000 bytes",
        400,
    )
    assert packages() == before
    until(lambda: not [path for path in (server.data_dir / "code").iterdir() if ".part-" in path.name])


def test_a_hostile_zip_writes_nowhere_else(server, lam, name):
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("escape")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/tmp")
        archive.writestr("escape/samovar-was-here", "x")
    assert refusal(lam.create_function, **new(name, Code={"ZipFile": buffer.getvalue()}))[0] == (
        "InvalidParameterValueException"
    )
    import os

    assert not os.path.exists("/tmp/samovar-was-here")


def test_an_update_of_code_serves_the_new_code_and_clears_tmp(lam, name):
    version = 'import os\ndef handler(e, c):\n    seen = os.path.exists("/tmp/x"); open("/tmp/x", "w").close()\n    return ["%s", seen]\n'
    create(lam, name, version % "one")
    assert invoke(lam, name)["payload"] == ["one", False]
    assert invoke(lam, name)["payload"] == ["one", True]
    before = lam.get_function_configuration(FunctionName=name)
    answer = lam.update_function_code(FunctionName=name, ZipFile=zip_of({"index.py": version % "two"}))
    assert (answer["State"], answer["LastUpdateStatus"]) == ("Active", "InProgress")
    assert (answer["LastUpdateStatusReason"], answer["LastUpdateStatusReasonCode"]) == (
        "The function is being created.",
        "Creating",
    )
    wait_active(lam, name)
    after = lam.get_function_configuration(FunctionName=name)
    assert len({before["RevisionId"], answer["RevisionId"], after["RevisionId"]}) == 3
    assert after["CodeSha256"] != before["CodeSha256"]
    assert invoke(lam, name)["payload"] == ["two", False]


def test_an_update_of_configuration_keeps_what_it_does_not_name(lam, name):
    create(
        lam, name, "import os\ndef handler(e, c):\n    return os.environ.get('COLOUR')\n",
        Environment={"Variables": {"COLOUR": "red"}}, Description="tea",
    )
    assert invoke(lam, name)["payload"] == "red"
    lam.update_function_configuration(FunctionName=name, Timeout=7)
    wait_active(lam, name)
    kept = lam.get_function_configuration(FunctionName=name)
    assert (kept["Timeout"], kept["Description"], kept["Environment"]) == (7, "tea", {"Variables": {"COLOUR": "red"}})
    lam.update_function_configuration(FunctionName=name, Environment={"Variables": {"COLOUR": "blue"}})
    wait_active(lam, name)
    assert invoke(lam, name)["payload"] == "blue"
    lam.update_function_configuration(FunctionName=name, LoggingConfig={"LogFormat": "JSON"})
    wait_active(lam, name)
    assert lam.get_function_configuration(FunctionName=name)["LoggingConfig"] == {
        "LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO",
        "LogGroup": f"/aws/lambda/{name}",
    }


def test_a_stale_revision_id_changes_nothing(lam, name):
    created = create(lam, name, ECHO)
    assert refusal(lam.update_function_configuration, FunctionName=name, Timeout=9, RevisionId=created["RevisionId"]) == (
        "PreconditionFailedException",
        "The Revision Id provided does not match the latest Revision Id. "
        "Call the GetFunction/GetAlias API to retrieve the latest Revision Id",
        412,
    )
    assert lam.get_function_configuration(FunctionName=name)["Timeout"] == 3


def test_a_dry_run_of_an_update_changes_nothing(lam, name):
    create(lam, name, ECHO)
    before = lam.get_function_configuration(FunctionName=name)
    lam.update_function_code(FunctionName=name, ZipFile=zip_of({"index.py": "x"}), DryRun=True)
    after = lam.get_function_configuration(FunctionName=name)
    assert (after["RevisionId"], after["CodeSha256"]) == (before["RevisionId"], before["CodeSha256"])


def test_lists_come_in_pages_of_at_most_fifty(fresh):
    lam = fresh().client("lambda")
    for number in range(53):
        lam.create_function(**new(f"f{number:02}"))
    first = lam.list_functions(MaxItems=1000)
    assert len(first["Functions"]) == 50 and first["NextMarker"]
    rest = lam.list_functions(Marker=first["NextMarker"])
    names = [f["FunctionName"] for f in first["Functions"] + rest["Functions"]]
    assert names == [f"f{number:02}" for number in range(53)]
    assert "NextMarker" not in rest
    for absent in ("State", "LastUpdateStatus", "RuntimeVersionConfig"):
        assert absent not in first["Functions"][0]


def test_a_deleted_function_is_gone_and_its_name_is_free(lam, name):
    create(lam, name, ECHO)
    assert lam.delete_function(FunctionName=name)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(lam.get_function, FunctionName=name)[0] == "ResourceNotFoundException"
    create(lam, name, "def handler(e, c):\n    return 'again'\n")
    assert invoke(lam, name)["payload"] == "again"


def test_what_is_not_built_says_so(lam):
    code, message, status = refusal(lam.list_capacity_providers)
    assert status == 501 and "ListCapacityProviders" in message


def test_equal_names_in_two_accounts_and_two_regions_never_meet(server):
    clients = {
        (account, region): server.client("lambda", account=account, region=region)
        for account in ("101010101010", "202020202020")
        for region in ("us-east-1", "eu-west-1")
    }
    for (account, region), client in clients.items():
        create(client, "twin", f"def handler(e, c):\n    return ['{account}', c.invoked_function_arn]\n")
    for (account, region), client in clients.items():
        assert invoke(client, "twin")["payload"] == [account, f"arn:aws:lambda:{region}:{account}:function:twin"]
        assert [f["FunctionName"] for f in client.list_functions()["Functions"]] == ["twin"]
    clients["101010101010", "us-east-1"].delete_function(FunctionName="twin")
    assert invoke(clients["202020202020", "us-east-1"], "twin")["payload"][0] == "202020202020"
    assert refusal(clients["101010101010", "us-east-1"].get_function, FunctionName="twin")[2] == 404
    logs = server.client("logs", account="202020202020", region="eu-west-1")
    assert until(lambda: [g["logGroupName"] for g in logs.describe_log_groups()["logGroups"]]) == ["/aws/lambda/twin"]


def test_secrets_are_ciphertext_on_disk(server, lam, name):
    secret = "a-secret-that-must-not-be-found"
    create(lam, name, ECHO, Environment={"Variables": {"PASSWORD": secret}})
    invoke(lam, name)
    found = [
        path for path in server.data_dir.rglob("*")
        if path.is_file() and not path.is_symlink() and secret.encode() in path.read_bytes()
    ]
    assert found == []
    keys = [path for path in server.data_dir.rglob("*key*") if path.is_file()]
    assert keys and all(path.stat().st_mode & 0o777 == 0o600 for path in keys)
