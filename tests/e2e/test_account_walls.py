"""Two accounts with keys of their own: whatever operation, whatever form of name, neither reads or changes what is the
other's, and a grant or a denial is about the very resource that an operation is done to."""

import json

import botocore.exceptions
import pytest

from recorded import ECHO
from samovar import ACCOUNT, PYTHON, REGION, ROLE, create, invoke, until, wait_active, zip_of

OTHER = "111111111111"
ARNF = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"
KEYS = {ACCOUNT: ("AKIAOWNER00000000000", "one"), OTHER: ("AKIAOTHER00000000000", "two")}
SECRET = "only-for-its-owner"
LAYER = f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:tools"
POLICY = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "lambda:InvokeFunction", "Resource": "*"}

# What asks for nothing of anybody's: lists and creations within the caller's own account.
OWN = {
    "CreateCodeSigningConfig",
    "GetAccountSettings",
    "ListCodeSigningConfigs",
    "ListEventSourceMappings",
    "ListFunctions",
    "ListLayers",
}
# Operations that mean the version or alias that they name; all others are about the whole function.
QUALIFIED = {
    "AddPermission",
    "CreateEventSourceMapping",
    "CreateFunctionUrlConfig",
    "DeleteFunction",
    "DeleteFunctionEventInvokeConfig",
    "DeleteFunctionUrlConfig",
    "DeleteProvisionedConcurrencyConfig",
    "DeleteResourcePolicy",
    "GetFunction",
    "GetFunctionConfiguration",
    "GetFunctionEventInvokeConfig",
    "GetFunctionScalingConfig",
    "GetFunctionUrlConfig",
    "GetPolicy",
    "GetProvisionedConcurrencyConfig",
    "GetResourcePolicy",
    "GetRuntimeManagementConfig",
    "Invoke",
    "InvokeAsync",
    "InvokeWithResponseStream",
    "PutFunctionEventInvokeConfig",
    "PutFunctionScalingConfig",
    "PutProvisionedConcurrencyConfig",
    "PutResourcePolicy",
    "PutRuntimeManagementConfig",
    "RemovePermission",
    "UpdateFunctionEventInvokeConfig",
    "UpdateFunctionUrlConfig",
}


def keyed(server, account):
    access_key, secret = KEYS[account]
    return server.client("lambda", account=access_key, secret=secret, parameter_validation=False)


def refusal(client, operation, arguments):
    """How an operation is refused: its code and text; nothing when it is not."""
    method = botocore.xform_name(operation)
    try:
        getattr(client, method)(**arguments)
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    return None


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A closed server where one account has something of everything."""
    from samovar import Samovar

    keys = ",".join(f"{account}/{key}:{secret}" for account, (key, secret) in KEYS.items())
    server = Samovar(tmp_path_factory.mktemp("walls") / "data", "--require-keys", env={"SAMOVAR_KEYS": keys}).start()
    lam = keyed(server, ACCOUNT)
    create(lam, "f", ECHO, Environment={"Variables": {"SECRET": SECRET}}, Description=SECRET, Tags={"t": SECRET})
    lam.publish_version(FunctionName="f")
    lam.create_alias(FunctionName="f", Name="live", FunctionVersion="1", Description=SECRET)
    for more in {}, {"Qualifier": "live"}, {"Qualifier": "1"}:
        lam.add_permission(FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com", **more)
        lam.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=1, **more)
    for more in {}, {"Qualifier": "live"}:
        lam.create_function_url_config(FunctionName="f", AuthType="NONE", **more)
    lam.put_provisioned_concurrency_config(FunctionName="f", Qualifier="live", ProvisionedConcurrentExecutions=1)
    lam.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=5)
    publishers = {"SigningProfileVersionArns": [f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/p/0123456789"]}
    config = lam.create_code_signing_config(AllowedPublishers=publishers, Description=SECRET, Tags={"t": SECRET})
    config = config["CodeSigningConfig"]["CodeSigningConfigArn"]
    layer = lam.publish_layer_version(LayerName="tools", Description=SECRET, Content={"ZipFile": zip_of({"x": SECRET})})
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"
    mapping = lam.create_event_source_mapping(FunctionName="f", EventSourceArn=queue, Tags={"t": SECRET})
    until(lambda: lam.get_event_source_mapping(UUID=mapping["UUID"])["State"] == "Enabled")
    yield server, {"config": config, "layer": layer["LayerVersionArn"], "mapping": mapping["EventSourceMappingArn"], "uuid": mapping["UUID"]}
    assert server.stop() == 0


def everything(lam, things):
    """All that the owner sees of what is theirs."""
    reads = [
        ("get_function", {"FunctionName": "f"}),
        ("get_function", {"FunctionName": "f", "Qualifier": "1"}),
        ("list_functions", {"FunctionVersion": "ALL"}),
        ("list_versions_by_function", {"FunctionName": "f"}),
        ("list_aliases", {"FunctionName": "f"}),
        ("list_function_event_invoke_configs", {"FunctionName": "f"}),
        ("list_function_url_configs", {"FunctionName": "f"}),
        ("list_provisioned_concurrency_configs", {"FunctionName": "f"}),
        ("get_function_concurrency", {"FunctionName": "f"}),
        ("get_function_code_signing_config", {"FunctionName": "f"}),
        ("get_function_recursion_config", {"FunctionName": "f"}),
        ("get_runtime_management_config", {"FunctionName": "f"}),
        ("get_runtime_management_config", {"FunctionName": "f", "Qualifier": "1"}),
        *(("get_policy", {"FunctionName": f"f{qualifier}"}) for qualifier in ["", ":1", ":live"]),
        ("list_tags", {"Resource": ARNF}),
        ("list_tags", {"Resource": things["config"]}),
        ("list_tags", {"Resource": things["mapping"]}),
        ("list_event_source_mappings", {}),
        ("list_code_signing_configs", {}),
        ("list_layers", {}),
        ("list_layer_versions", {"LayerName": "tools"}),
        ("get_account_settings", {}),
    ]
    seen = []
    for method, arguments in reads:
        answer = getattr(lam, method)(**arguments)
        answer.pop("ResponseMetadata")
        answer.get("Code", {}).pop("Location", None)
        seen.append((method, answer))
    return json.loads(json.dumps(seen, default=str))


def attempts(lam, things, names):
    """Every operation of the model with what it needs, naming the owner's things in every way."""
    publishers = {"SigningProfileVersionArns": [f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/p/0123456789"]}
    known = {
        "Action": "lambda:InvokeFunction",
        "AllowedPublishers": publishers,
        "AuthType": "NONE",
        "Code": {"ZipFile": zip_of({"index.py": ECHO})},
        "CodeSigningConfigArn": things["config"],
        "Content": {"ZipFile": b"x"},
        "FunctionVersion": "1",
        "InvokeArgs": b"{}",
        "Name": "live",
        "Policy": json.dumps({"Version": "2012-10-17", "Statement": [POLICY]}),
        "Principal": "*",
        "ProvisionedConcurrentExecutions": 2,
        "Qualifier": "live",
        "RecursiveLoop": "Allow",
        "ReservedConcurrentExecutions": 1,
        "Role": ROLE,
        "StatementId": "theirs",
        "TagKeys": ["t"],
        "Tags": {"t": "theirs"},
        "UUID": things["uuid"],
        "UpdateRuntimeOn": "FunctionUpdate",
        "VersionNumber": 1,
    }
    more = {
        "CreateEventSourceMapping": {"EventSourceArn": f"arn:aws:sqs:{REGION}:{OTHER}:q"},
        "CreateFunction": {"Runtime": "python3.12", "Handler": "index.handler"},
        "PutFunctionEventInvokeConfig": {"MaximumRetryAttempts": 0},
        "UpdateFunctionCode": {"ZipFile": zip_of({"index.py": "x"})},
        "UpdateFunctionConfiguration": {"Description": "theirs"},
        "UpdateFunctionEventInvokeConfig": {"MaximumRetryAttempts": 0},
        "AddLayerVersionPermission": {"Action": "lambda:GetLayerVersion"},
        "RemovePermission": {"StatementId": "s"},
    }
    model = lam.meta.service_model
    for operation in sorted(model.operation_names):
        if operation in OWN or "Durable" in operation or "CapacityProvider" in operation:
            continue
        shape = model.operation_model(operation).input_shape
        members = shape.members if shape else {}
        needed = {name: known[name] for name in shape.required_members if name in known} | more.get(operation, {})
        if "FunctionName" in members:
            for name in names:
                arguments = {**needed, "FunctionName": name}
                if ":" in name.removeprefix(ARNF) and "Qualifier" in needed:
                    arguments["Qualifier"] = name.rsplit(":", 1)[1]
                yield operation, arguments
        elif "LayerName" in members:
            yield operation, {**needed, "LayerName": LAYER}
        elif "Resource" in members:
            for resource in [ARNF, things["config"], things["mapping"]]:
                yield operation, {**needed, "Resource": resource}
        elif "ResourceArn" in members:
            for name in names:
                yield operation, {**needed, "ResourceArn": name}
        elif "Arn" in members:
            yield operation, {**needed, "Arn": things["layer"]}
        else:
            yield operation, needed


FORMS = [ARNF, f"{ACCOUNT}:function:f", f"{ARNF}:1", f"{ARNF}:live", f"{ARNF}:$LATEST", f"{ARNF}:nope"]
# Some forms of a name are refused before anybody asks whose they are.
NOT_TOLD = {"AccessDeniedException", "ResourceNotFoundException", "ValidationException"}


def test_no_operation_reaches_into_another_account(house):
    server, things = house
    lam, other = keyed(server, ACCOUNT), keyed(server, OTHER)
    before = everything(lam, things)
    tried = set()
    for operation, arguments in attempts(lam, things, FORMS):
        refused = refusal(other, operation, arguments)
        assert refused, (operation, arguments)
        code, text = refused
        assert SECRET not in text
        assert code in NOT_TOLD, (operation, arguments, refused)
        tried.add(operation)
    assert len(tried) >= 60, sorted(tried)
    assert everything(lam, things) == before
    for operation in OWN - {"CreateCodeSigningConfig", "GetAccountSettings"}:
        told = json.dumps(getattr(other, botocore.xform_name(operation))(), default=str)
        assert SECRET not in told and ACCOUNT not in told, operation


@pytest.mark.parametrize("qualifier", ["1", "live"])
def test_a_grant_on_a_part_is_none_on_the_whole(house, qualifier):
    server, things = house
    lam, other = keyed(server, ACCOUNT), keyed(server, OTHER)
    lam.add_permission(FunctionName="f", Qualifier=qualifier, StatementId="part", Action="lambda:*", Principal=OTHER)
    try:
        before = everything(lam, things)
        for operation, arguments in attempts(lam, things, [f"{ARNF}:{qualifier}"]):
            if "FunctionName" in arguments and operation not in QUALIFIED:
                refused = refusal(other, operation, arguments)
                assert refused, (operation, arguments)
        assert everything(lam, things) == before
        assert invoke(other, f"{ARNF}:{qualifier}", 1)["payload"] == 1
    finally:
        lam.remove_permission(FunctionName="f", Qualifier=qualifier, StatementId="part")


def test_a_denial_on_the_whole_is_not_evaded_by_another_name(house):
    server, things = house
    lam = keyed(server, ACCOUNT)
    statement = {"Effect": "Deny", "Principal": "*", "Action": "lambda:*", "Resource": "*"}
    kept = lam.get_policy(FunctionName="f")["Policy"]
    lam.put_resource_policy(ResourceArn=ARNF, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    try:
        for operation, arguments in attempts(lam, things, [f"{ARNF}:$LATEST"]):
            if "FunctionName" in arguments and operation not in QUALIFIED:
                code, text = refusal(lam, operation, arguments) or (None, None)
                assert code in {"AccessDeniedException", "ValidationException"}, (operation, arguments, code, text)
    finally:
        lam.put_resource_policy(ResourceArn=ARNF, Policy=kept)


def test_what_is_named_beside_a_function_is_the_callers_own_too(house):
    server, things = house
    lam, other = keyed(server, ACCOUNT), keyed(server, OTHER)
    create(other, "g", ECHO)
    # Whether another account has such a function shows to those alone who may invoke it.
    for name in ["f", "f:live", "nope"]:
        target = ARNF.removesuffix("f") + name
        arguments = {"FunctionName": "g", "DestinationConfig": {"OnFailure": {"Destination": target}}}
        expected = ("InvalidParameterValueException", f"The destination ARN {target} is invalid.")
        assert refusal(other, "PutFunctionEventInvokeConfig", arguments) == expected
    lam.add_permission(FunctionName="f", StatementId="told", Action="lambda:InvokeFunction", Principal=OTHER)
    destination = {"OnFailure": {"Destination": ARNF}}
    assert other.put_function_event_invoke_config(FunctionName="g", DestinationConfig=destination)
    lam.remove_permission(FunctionName="f", StatementId="told")
    # Who has a configuration keeps it from being deleted.
    theirs, nobodys = things["config"], things["config"][:-17] + "0" * 17
    new = {"FunctionName": "h", "Runtime": "python3.12", "Handler": "x.y", "Role": ROLE, "Code": {"ZipFile": zip_of({"x": "x"})}}
    for operation, arguments in [("PutFunctionCodeSigningConfig", {"FunctionName": "g"}), ("CreateFunction", new)]:
        told = [refusal(other, operation, {**arguments, "CodeSigningConfigArn": arn}) for arn in [theirs, nobodys]]
        assert all(told) and told[0][0] == told[1][0] == "CodeSigningConfigNotFoundException", told
    assert other.get_function_code_signing_config(FunctionName="g").get("CodeSigningConfigArn") is None
    # A layer that its owner keeps to themselves is nobody else's.
    refused = refusal(other, "UpdateFunctionConfiguration", {"FunctionName": "g", "Layers": [things["layer"]]})
    assert refused and refused[0] == "AccessDeniedException"


def test_a_role_of_another_account_gives_a_function_nothing(house):
    server, _ = house
    lam, other = keyed(server, ACCOUNT), keyed(server, OTHER)
    trusted = f"arn:aws:iam::{ACCOUNT}:role/trusted"
    lam.add_permission(FunctionName="f", StatementId="role", Action="lambda:*", Principal=trusted)
    lam.add_permission(FunctionName="f", Qualifier="1", StatementId="role", Action="lambda:*", Principal=trusted)
    ask = (
        "import boto3\ndef handler(event, context):\n    try:\n"
        "        return boto3.client('lambda').invoke(FunctionName=event, Payload=b'1')['Payload'].read().decode()\n"
        "    except Exception as error:\n        return str(error)\n"
    )
    code = {"ZipFile": zip_of({"index.py": ask})}
    other.create_function(FunctionName="posing", Runtime=PYTHON, Handler="index.handler", Role=trusted, Timeout=30, Code=code)
    wait_active(other, "posing")
    for name in [ARNF, f"{ARNF}:1"]:
        assert "not authorized to perform: lambda:InvokeFunction" in invoke(other, "posing", name)["payload"]
    for more in {}, {"Qualifier": "1"}:
        lam.remove_permission(FunctionName="f", StatementId="role", **more)
