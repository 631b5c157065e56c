"""Terraform's AWS provider against the real server: create, refresh, update, refresh, destroy, for each resource."""

import base64
import hashlib

import pytest

import terraform
from recorded import ARNF, ECHO
from samovar import ACCOUNT, PYTHON, REGION, ROLE, create, zip_of

FIRST, SECOND = zip_of({"index.py": ECHO}), zip_of({"index.py": ECHO + "# changed\n"})
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:queue"
PROFILE = f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/profile/"


def life(resource, config, change):
    """Takes a resource through its life; gives the states after its creation and after its change."""
    made = resource.create(config)
    unchanged(resource, config, made)
    changed_config = {key: value for key, value in (config | change).items() if value is not None}
    changed = resource.update(config, changed_config)
    unchanged(resource, changed_config, changed)
    resource.delete(changed_config)
    assert resource.there(changed_config) is None
    # What is gone already may be deleted again: the state was stale.
    resource.delete(changed_config)
    return made, changed


def unchanged(resource, config, state):
    """Two refreshes see what the first read saw, and all of it is what was configured."""
    assert resource.read(config) == state
    assert resource.read(config) == state
    drift = {key: (value, state[key]) for key, value in config.items() if key in state and state[key] != value}
    assert drift == {}


@pytest.fixture
def function(lam, name):
    """A function with two versions."""
    create(lam, name, ECHO)
    lam.publish_version(FunctionName=name)
    lam.update_function_configuration(FunctionName=name, Description="second")
    terraform.Function(lam).wait({"function_name": name}, "LastUpdateStatus", "InProgress", "Successful")
    lam.publish_version(FunctionName=name)
    return name


def test_a_function(lam, name):
    layer = terraform.LayerVersion(lam)
    layer_config = {"layer_name": name, "filename": zip_of({"python/x.py": ""}), "compatible_runtimes": [PYTHON]}
    config = {
        "function_name": name,
        "filename": FIRST,
        "handler": "index.handler",
        "runtime": PYTHON,
        "role": ROLE,
        "memory_size": 128,
        "timeout": 3,
        "publish": True,
        "layers": [layer.create(layer_config)["arn"]],
        "environment": {"Variables": {"KEY": "1"}},
        "ephemeral_storage": {"Size": 512},
        "tracing_config": {"Mode": "PassThrough"},
        "reserved_concurrent_executions": 3,
        "tags": {"a": "1", "b": "2"},
    }
    change = {
        "filename": SECOND,
        "description": "changed",
        "timeout": 5,
        "layers": [],
        "environment": {"Variables": {}},
        "reserved_concurrent_executions": -1,
        "tags": {"b": "3", "c": "4"},
    }
    made, changed = life(terraform.Function(lam), config, change)
    assert (made["version"], changed["version"]) == ("1", "2")
    assert changed["qualified_arn"] == f"{ARNF}{name}:2"
    assert changed["code_sha256"] == base64.b64encode(hashlib.sha256(SECOND).digest()).decode()
    layer.delete(layer_config)


def test_a_function_with_the_least(lam, name):
    config = {"function_name": name, "filename": FIRST, "handler": "index.handler", "runtime": PYTHON, "role": ROLE}
    made, changed = life(terraform.Function(lam), config, {"memory_size": 256})
    assert (made["version"], changed["version"]) == ("$LATEST", "$LATEST")
    assert (made["environment"], made["layers"], made["tags"]) == (None, [], {})
    assert (made["memory_size"], made["timeout"], made["description"]) == (128, 3, "")


def test_an_alias(lam, function):
    config = {"function_name": function, "name": "live", "function_version": "1"}
    split = {"AdditionalVersionWeights": {"2": 0.25}}
    alias = terraform.Alias(lam)
    made, changed = life(alias, config, {"description": "split", "routing_config": split})
    assert (made["routing_config"], changed["routing_config"]) == ({}, split)
    made, changed = life(alias, config | {"routing_config": split}, {"function_version": "2", "routing_config": {}})
    assert (made["routing_config"], changed["routing_config"]) == (split, {})


@pytest.mark.parametrize(
    "more",
    [
        {"principal": "s3.amazonaws.com", "source_arn": "arn:aws:s3:::bucket", "source_account": "111111111111"},
        {"principal": "arn:aws:iam::111111111111:role/caller"},
        {"principal": "*", "principal_org_id": "o-1234567890"},
        {"principal": "alexa-appkit.amazon.com", "event_source_token": "token"},
        {"principal": "*", "function_url_auth_type": "NONE", "action": "lambda:InvokeFunctionUrl"},
        {"principal": "*", "invoked_via_function_url": True},
        {"principal": "events.amazonaws.com", "qualifier": "1"},
    ],
    ids=lambda more: ",".join(more),
)
def test_a_permission(lam, function, more):
    config = {"function_name": function, "statement_id": "sid", "action": "lambda:InvokeFunction", **more}
    life(terraform.Permission(lam), config, {"statement_id": "other"})


def test_a_layer_version(lam, name):
    config = {
        "layer_name": name,
        "filename": FIRST,
        "description": "first",
        "license_info": "MIT",
        "compatible_runtimes": [PYTHON],
        "compatible_architectures": ["x86_64"],
    }
    made, changed = life(terraform.LayerVersion(lam), config, {"filename": SECOND, "description": "second"})
    assert (made["version"], changed["version"]) == (1, 2)
    bare = {"layer_name": name, "filename": FIRST}
    state = terraform.LayerVersion(lam).create(bare)
    assert (state["compatible_runtimes"], state["description"], state["version"]) == ([], "", 3)


def test_a_layer_versions_permission(lam, name):
    version = terraform.LayerVersion(lam).create({"layer_name": name, "filename": FIRST})["version"]
    config = {
        "layer_name": name,
        "version_number": version,
        "statement_id": "sid",
        "action": "lambda:GetLayerVersion",
        "principal": "111111111111",
    }
    everybody = {"statement_id": "org", "principal": "*", "organization_id": "o-1234567890"}
    life(terraform.LayerPermission(lam), config, everybody)


def test_an_event_invoke_config(lam, function):
    config = {"function_name": function, "maximum_retry_attempts": 1}
    change = {
        "maximum_event_age_in_seconds": 60,
        "maximum_retry_attempts": 0,
        "destination_config": {"OnFailure": {"Destination": QUEUE}},
    }
    life(terraform.EventInvokeConfig(lam), config, change)
    life(terraform.EventInvokeConfig(lam), config | {"qualifier": "2"}, change)
    life(terraform.EventInvokeConfig(lam), config | change, {"destination_config": None})


def test_a_function_url(lam, function):
    cors = {"AllowOrigins": ["https://example.com"], "AllowMethods": ["GET"], "MaxAge": 60}
    config = {"function_name": function, "authorization_type": "AWS_IAM"}
    made, changed = life(terraform.FunctionUrl(lam), config, {"cors": cors, "invoke_mode": "RESPONSE_STREAM"})
    assert made["function_url"] == changed["function_url"]
    assert (made["cors"], made["invoke_mode"]) == ({}, "BUFFERED")
    lam.create_alias(FunctionName=function, Name="live", FunctionVersion="1")
    open_to_all = {"function_name": function, "qualifier": "live", "authorization_type": "NONE", "cors": cors}
    life(terraform.FunctionUrl(lam), open_to_all, {"authorization_type": "AWS_IAM", "cors": None})
    # The provider leaves the permission that it added.
    terraform.Permission(lam).read(
        {"function_name": function, "qualifier": "live", "statement_id": "FunctionURLAllowPublicAccess"}
    )


def test_provisioned_concurrency(lam, function):
    config = {"function_name": function, "qualifier": "1", "provisioned_concurrent_executions": 1}
    life(terraform.ProvisionedConcurrency(lam), config, {"provisioned_concurrent_executions": 2})
    lam.create_alias(FunctionName=function, Name="live", FunctionVersion="2")
    life(terraform.ProvisionedConcurrency(lam), config | {"qualifier": "live"}, {"provisioned_concurrent_executions": 3})


def test_an_event_source_mapping(lam, function):
    queue = {"function_name": ARNF + function, "event_source_arn": f"{QUEUE}-{function}", "tags": {"a": "1"}}
    change = {
        "batch_size": 5,
        "function_response_types": ["ReportBatchItemFailures"],
        "filter_criteria": {"Filters": [{"Pattern": '{"body":{"a":[1]}}'}]},
        "scaling_config": {"MaximumConcurrency": 2},
        "enabled": False,
        "tags": {"b": "2"},
    }
    life(terraform.EventSourceMapping(lam), queue, change)
    life(terraform.EventSourceMapping(lam), queue | change, {"filter_criteria": None, "scaling_config": None})
    stream = {
        "function_name": f"{ARNF}{function}:1",
        "event_source_arn": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{function}",
        "starting_position": "LATEST",
        "enabled": False,
    }
    failures = {"OnFailure": {"Destination": QUEUE}}
    life(
        terraform.EventSourceMapping(lam),
        stream,
        {"batch_size": 7, "parallelization_factor": 2, "maximum_retry_attempts": 3, "destination_config": failures},
    )


def test_a_code_signing_config(lam, function):
    config = {"signing_profile_version_arns": [PROFILE + "abcdefghij"], "tags": {"a": "1"}}
    change = {"policy": "Enforce", "description": "strict", "tags": {"a": "2"}}
    life(terraform.CodeSigningConfig(lam), config, change)
    # A look-up on a function without one tells nothing, and one with it is unset before it goes.
    resource = terraform.CodeSigningConfig(lam)
    arn = resource.create(config)["arn"]
    functions = terraform.Function(lam)
    bare = {"function_name": function, "filename": FIRST}
    assert functions.read(bare)["code_signing_config_arn"] == ""
    signed = functions.update(bare, bare | {"code_signing_config_arn": arn})
    assert signed["code_signing_config_arn"] == arn
    unsigned = functions.update(bare | {"code_signing_config_arn": arn}, bare)
    assert unsigned["code_signing_config_arn"] == ""
    resource.delete(config)
    assert resource.there(config) is None


def test_a_log_group(logs, name):
    config = {"name": f"/tf/{name}", "retention_in_days": 7, "tags": {"a": "1", "b": "2"}}
    life(terraform.LogGroup(logs), config, {"retention_in_days": 30, "tags": {"b": "3"}})
    life(terraform.LogGroup(logs), config, {"retention_in_days": None, "tags": None})
