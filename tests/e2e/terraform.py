"""Terraform's resources, as its AWS provider handles them: which calls it makes, and what it keeps of the answers.

The provider itself cannot be had offline; the calls follow its public source. A resource is created, read, updated and
deleted; what `read` gives is the state that Terraform compares with the configuration, so any difference between two
reads, or between a read and what was configured, is drift.
"""

import json

from botocore.exceptions import ClientError

from samovar import until


class NotThere(Exception):
    """The provider removes the resource from its state."""


def found(call, *gone, **arguments):
    """The answer of a look-up; what the provider takes for 'not there' is `NotThere`."""
    try:
        return call(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] in (gone or ("ResourceNotFoundException",)):
            raise NotThere from error
        raise


def forgiving(call, *gone, **arguments):
    """A deletion that may find nothing."""
    try:
        found(call, *gone, **arguments)
    except NotThere:
        pass


class Resource:
    """One resource: `key` tells it from others, the rest of the configuration may change."""

    def __init__(self, client):
        self.client = client

    def there(self, config):
        """What the provider would read, or nothing."""
        try:
            return self.read(config)
        except NotThere:
            return None


class Function(Resource):
    """`aws_lambda_function` from a local archive."""

    SETTINGS = {
        "description": "Description",
        "handler": "Handler",
        "runtime": "Runtime",
        "memory_size": "MemorySize",
        "timeout": "Timeout",
        "role": "Role",
        "kms_key_arn": "KMSKeyArn",
        "layers": "Layers",
        "environment": "Environment",
        "ephemeral_storage": "EphemeralStorage",
        "tracing_config": "TracingConfig",
        "logging_config": "LoggingConfig",
        "dead_letter_config": "DeadLetterConfig",
    }

    def create(self, config):
        wanted = {api: config[name] for name, api in self.SETTINGS.items() if name in config}
        self.client.create_function(
            FunctionName=config["function_name"],
            Code={"ZipFile": config["filename"]},
            PackageType="Zip",
            Publish=config.get("publish", False),
            Tags=config.get("tags", {}),
            Architectures=["x86_64"],
            **wanted,
        )
        self.wait(config, "State", "Pending", "Active")
        if "reserved_concurrent_executions" in config:
            self.reserve(config)
        return self.read(config)

    def read(self, config):
        name = config["function_name"]
        answer = found(self.client.get_function, FunctionName=name)
        function = answer["Configuration"]
        pages = self.client.get_paginator("list_versions_by_function").paginate(FunctionName=name, MaxItems=10000)
        latest = [version for page in pages for version in page["Versions"]][-1]
        signing = self.client.get_function_code_signing_config(FunctionName=name)
        state = {name: function.get(api) for name, api in self.SETTINGS.items()}
        return state | {
            "arn": function["FunctionArn"],
            "architectures": function["Architectures"],
            "code_sha256": function["CodeSha256"],
            "code_signing_config_arn": signing.get("CodeSigningConfigArn", ""),
            "environment": function.get("Environment"),
            "layers": [layer["Arn"] for layer in function.get("Layers", [])],
            "last_modified": function["LastModified"],
            "package_type": function["PackageType"],
            "qualified_arn": latest["FunctionArn"],
            "reserved_concurrent_executions": answer.get("Concurrency", {}).get("ReservedConcurrentExecutions", -1),
            "snap_start": function["SnapStart"],
            "source_code_size": function["CodeSize"],
            "tags": answer.get("Tags", {}),
            "version": latest["Version"],
        }

    def update(self, old, config):
        name = config["function_name"]
        if old.get("code_signing_config_arn") != config.get("code_signing_config_arn"):
            self.sign(config)
        settings = {
            api: config[key] for key, api in self.SETTINGS.items() if key in config and config[key] != old.get(key)
        }
        if settings:
            self.client.update_function_configuration(FunctionName=name, **settings)
            self.wait(config, "LastUpdateStatus", "InProgress", "Successful")
        code = config["filename"] != old["filename"]
        if code:
            self.client.update_function_code(FunctionName=name, ZipFile=config["filename"])
            self.wait(config, "LastUpdateStatus", "InProgress", "Successful")
        if old.get("reserved_concurrent_executions") != config.get("reserved_concurrent_executions"):
            self.reserve(config)
        if config.get("publish") and (settings or code):
            version = self.client.publish_version(FunctionName=name)
            self.published(version["FunctionArn"], version["Version"])
        arn = self.client.get_function(FunctionName=name)["Configuration"]["FunctionArn"]
        retag(self.client, arn, old.get("tags", {}), config.get("tags", {}))
        return self.read(config)

    def delete(self, config):
        forgiving(self.client.delete_function, FunctionName=config["function_name"])
        until(lambda: self.there(config) is None)

    def reserve(self, config):
        name, reserved = config["function_name"], config.get("reserved_concurrent_executions", -1)
        if reserved < 0:
            self.client.delete_function_concurrency(FunctionName=name)
        else:
            self.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=reserved)

    def sign(self, config):
        name = config["function_name"]
        if "code_signing_config_arn" in config:
            self.client.put_function_code_signing_config(
                FunctionName=name, CodeSigningConfigArn=config["code_signing_config_arn"]
            )
        else:
            self.client.delete_function_code_signing_config(FunctionName=name)

    def wait(self, config, member, pending, target):
        def settled():
            now = self.client.get_function(FunctionName=config["function_name"])["Configuration"][member]
            assert now in (pending, target), now
            return now == target

        until(settled)

    def published(self, arn, version):
        # An absent status counts as in progress there, so a version must show one.
        until(
            lambda: self.client.get_function_configuration(FunctionName=arn, Qualifier=version).get("LastUpdateStatus")
            == "Successful"
        )


def retag(client, arn, old, new):
    """How the provider brings tags about."""
    if removed := sorted(set(old) - set(new)):
        client.untag_resource(Resource=arn, TagKeys=removed)
    if changed := {key: value for key, value in new.items() if old.get(key) != value}:
        client.tag_resource(Resource=arn, Tags=changed)


class Alias(Resource):
    """`aws_lambda_alias`."""

    def asked(self, config):
        return {
            "Description": config.get("description", ""),
            "FunctionName": config["function_name"],
            "FunctionVersion": config["function_version"],
            "Name": config["name"],
            "RoutingConfig": config.get("routing_config", {}),
        }

    def create(self, config):
        self.client.create_alias(**self.asked(config))
        return self.read(config)

    def read(self, config):
        answer = found(self.client.get_alias, FunctionName=config["function_name"], Name=config["name"])
        return {
            "arn": answer["AliasArn"],
            "description": answer["Description"],
            "function_name": config["function_name"],
            "function_version": answer["FunctionVersion"],
            "name": answer["Name"],
            "routing_config": answer.get("RoutingConfig", {}),
        }

    def update(self, _old, config):
        asked = self.asked(config)
        self.client.update_alias(**asked)
        if not asked["RoutingConfig"].get("AdditionalVersionWeights"):
            until(lambda: not self.read(config)["routing_config"].get("AdditionalVersionWeights"))
        return self.read(config)

    def delete(self, config):
        forgiving(self.client.delete_alias, FunctionName=config["function_name"], Name=config["name"])


class Permission(Resource):
    """`aws_lambda_permission`: never updated, always replaced."""

    MEMBERS = {
        "action": "Action",
        "event_source_token": "EventSourceToken",
        "function_name": "FunctionName",
        "function_url_auth_type": "FunctionUrlAuthType",
        "invoked_via_function_url": "InvokedViaFunctionUrl",
        "principal": "Principal",
        "principal_org_id": "PrincipalOrgID",
        "qualifier": "Qualifier",
        "source_account": "SourceAccount",
        "source_arn": "SourceArn",
        "statement_id": "StatementId",
    }

    def at(self, config):
        return {"FunctionName": config["function_name"]} | (
            {"Qualifier": config["qualifier"]} if "qualifier" in config else {}
        )

    def create(self, config):
        self.client.add_permission(**{api: config[key] for key, api in self.MEMBERS.items() if key in config})
        return self.read(config)

    def read(self, config):
        policy = json.loads(found(self.client.get_policy, **self.at(config))["Policy"])
        statements = [one for one in policy["Statement"] if one["Sid"] == config["statement_id"]]
        if not statements:
            raise NotThere
        [statement] = statements
        name, _, qualifier = statement["Resource"].split(":function:")[1].partition(":")
        principal, condition = statement["Principal"], statement.get("Condition", {})
        equals = condition.get("StringEquals", {})
        state = {
            "action": statement["Action"],
            "event_source_token": equals.get("lambda:EventSourceToken"),
            "function_name": name,
            "function_url_auth_type": equals.get("lambda:FunctionUrlAuthType"),
            "invoked_via_function_url": condition.get("Bool", {}).get("lambda:InvokedViaFunctionUrl", "") == "true",
            "principal": principal if isinstance(principal, str) else principal.get("AWS", principal.get("Service")),
            "principal_org_id": equals.get("aws:PrincipalOrgID"),
            "qualifier": qualifier or None,
            "source_account": equals.get("AWS:SourceAccount"),
            "source_arn": condition.get("ArnLike", {}).get("AWS:SourceArn"),
            "statement_id": statement["Sid"],
        }
        return {key: value for key, value in state.items() if value}

    def update(self, old, config):
        self.delete(old)
        return self.create(config)

    def delete(self, config):
        forgiving(self.client.remove_permission, StatementId=config["statement_id"], **self.at(config))
        until(lambda: self.there(config) is None)


class LayerVersion(Resource):
    """`aws_lambda_layer_version`: a change makes another version and deletes this one."""

    def create(self, config):
        answer = self.client.publish_layer_version(
            LayerName=config["layer_name"],
            Content={"ZipFile": config["filename"]},
            Description=config.get("description", ""),
            LicenseInfo=config.get("license_info", ""),
            CompatibleRuntimes=config.get("compatible_runtimes", []),
            CompatibleArchitectures=config.get("compatible_architectures", []),
        )
        config["version"] = answer["Version"]
        return self.read(config)

    def read(self, config):
        answer = found(
            self.client.get_layer_version, LayerName=config["layer_name"], VersionNumber=config["version"]
        )
        return {
            "arn": answer["LayerVersionArn"],
            "compatible_architectures": answer.get("CompatibleArchitectures", []),
            "compatible_runtimes": answer.get("CompatibleRuntimes", []),
            "created_date": answer["CreatedDate"],
            "description": answer.get("Description", ""),
            "layer_arn": answer["LayerArn"],
            "license_info": answer.get("LicenseInfo", ""),
            "source_code_hash": answer["Content"]["CodeSha256"],
            "source_code_size": answer["Content"]["CodeSize"],
            "version": answer["Version"],
        }

    def update(self, old, config):
        state = self.create(config)
        self.delete(old)
        return state

    def delete(self, config):
        self.client.delete_layer_version(LayerName=config["layer_name"], VersionNumber=config["version"])


class LayerPermission(Resource):
    """`aws_lambda_layer_version_permission`: replaced, never updated."""

    def at(self, config):
        return {"LayerName": config["layer_name"], "VersionNumber": config["version_number"]}

    def create(self, config):
        members = {"Principal": "principal", "Action": "action", "OrganizationId": "organization_id"}
        asked = {api: config[key] for api, key in members.items() if key in config}
        self.client.add_layer_version_permission(StatementId=config["statement_id"], **self.at(config), **asked)
        return self.read(config)

    def read(self, config):
        answer = found(self.client.get_layer_version_policy, **self.at(config))
        statements = json.loads(answer["Policy"])["Statement"]
        [statement] = [one for one in statements if one["Sid"] == config["statement_id"]] or [None]
        if statement is None:
            raise NotThere
        principal = statement["Principal"]
        organization = statement.get("Condition", {}).get("StringEquals", {}).get("aws:PrincipalOrgID")
        return {
            "action": statement["Action"],
            # The account of `arn:aws:iam::<account>:root` is what the configuration says.
            "principal": principal if isinstance(principal, str) else principal["AWS"].split(":")[4],
            "revision_id": answer["RevisionId"],
            "statement_id": statement["Sid"],
        } | ({"organization_id": organization} if organization else {})

    def update(self, old, config):
        self.delete(old)
        return self.create(config)

    def delete(self, config):
        forgiving(
            self.client.remove_layer_version_permission, StatementId=config["statement_id"], **self.at(config)
        )


class EventInvokeConfig(Resource):
    """`aws_lambda_function_event_invoke_config`: always put whole."""

    def at(self, config):
        return {"FunctionName": config["function_name"]} | (
            {"Qualifier": config["qualifier"]} if "qualifier" in config else {}
        )

    def create(self, config):
        asked = {"MaximumRetryAttempts": config.get("maximum_retry_attempts", 2)}
        if "maximum_event_age_in_seconds" in config:
            asked["MaximumEventAgeInSeconds"] = config["maximum_event_age_in_seconds"]
        if "destination_config" in config:
            asked["DestinationConfig"] = config["destination_config"]
        self.client.put_function_event_invoke_config(**self.at(config), **asked)
        return self.read(config)

    def read(self, config):
        answer = found(self.client.get_function_event_invoke_config, **self.at(config))
        destinations = {name: target for name, target in answer["DestinationConfig"].items() if target}
        state = {
            "destination_config": destinations,
            "maximum_event_age_in_seconds": answer.get("MaximumEventAgeInSeconds"),
            "maximum_retry_attempts": answer.get("MaximumRetryAttempts"),
        }
        return {key: value for key, value in state.items() if value not in (None, {})}

    def update(self, _old, config):
        return self.create(config)

    def delete(self, config):
        forgiving(self.client.delete_function_event_invoke_config, **self.at(config))


class FunctionUrl(Resource):
    """`aws_lambda_function_url`, which opens public URLs to everybody."""

    def at(self, config):
        return {"FunctionName": config["function_name"]} | (
            {"Qualifier": config["qualifier"]} if "qualifier" in config else {}
        )

    def create(self, config):
        asked = {"AuthType": config["authorization_type"], "InvokeMode": config.get("invoke_mode", "BUFFERED")}
        if "cors" in config:
            asked["Cors"] = config["cors"]
        self.client.create_function_url_config(**self.at(config), **asked)
        if config["authorization_type"] == "NONE":
            self.client.add_permission(
                Action="lambda:InvokeFunctionUrl",
                FunctionUrlAuthType="NONE",
                Principal="*",
                StatementId="FunctionURLAllowPublicAccess",
                **self.at(config),
            )
        return self.read(config)

    def read(self, config):
        answer = found(self.client.get_function_url_config, **self.at(config))
        return {
            "authorization_type": answer["AuthType"],
            "cors": answer.get("Cors", {}),
            "function_arn": answer["FunctionArn"],
            "function_url": answer["FunctionUrl"],
            "invoke_mode": answer["InvokeMode"],
        }

    def update(self, old, config):
        members = {"authorization_type": "AuthType", "cors": "Cors", "invoke_mode": "InvokeMode"}
        changed = {
            api: config.get(key, {}) for key, api in members.items() if config.get(key) != old.get(key)
        }
        self.client.update_function_url_config(**self.at(config), **changed)
        return self.read(config)

    def delete(self, config):
        forgiving(self.client.delete_function_url_config, **self.at(config))


class ProvisionedConcurrency(Resource):
    """`aws_lambda_provisioned_concurrency_config`."""

    GONE = ("ProvisionedConcurrencyConfigNotFoundException", "ResourceNotFoundException")

    def at(self, config):
        return {"FunctionName": config["function_name"], "Qualifier": config["qualifier"]}

    def create(self, config):
        self.client.put_provisioned_concurrency_config(
            ProvisionedConcurrentExecutions=config["provisioned_concurrent_executions"], **self.at(config)
        )

        def ready():
            status = self.client.get_provisioned_concurrency_config(**self.at(config))["Status"]
            assert status in ("IN_PROGRESS", "READY"), status
            return status == "READY"

        until(ready)
        return self.read(config)

    def read(self, config):
        answer = found(self.client.get_provisioned_concurrency_config, *self.GONE, **self.at(config))
        allocated = answer["AllocatedProvisionedConcurrentExecutions"]
        assert allocated == answer["RequestedProvisionedConcurrentExecutions"]
        return {"provisioned_concurrent_executions": allocated}

    def update(self, _old, config):
        return self.create(config)

    def delete(self, config):
        forgiving(self.client.delete_provisioned_concurrency_config, *self.GONE, **self.at(config))


class EventSourceMapping(Resource):
    """`aws_lambda_event_source_mapping`."""

    MEMBERS = {
        "batch_size": "BatchSize",
        "bisect_batch_on_function_error": "BisectBatchOnFunctionError",
        "destination_config": "DestinationConfig",
        "event_source_arn": "EventSourceArn",
        "filter_criteria": "FilterCriteria",
        "function_name": "FunctionName",
        "function_response_types": "FunctionResponseTypes",
        "maximum_batching_window_in_seconds": "MaximumBatchingWindowInSeconds",
        "maximum_record_age_in_seconds": "MaximumRecordAgeInSeconds",
        "maximum_retry_attempts": "MaximumRetryAttempts",
        "parallelization_factor": "ParallelizationFactor",
        "scaling_config": "ScalingConfig",
        "starting_position": "StartingPosition",
        "tumbling_window_in_seconds": "TumblingWindowInSeconds",
    }
    MOVING = ("Creating", "Enabling", "Disabling", "Updating")

    def create(self, config):
        asked = {api: config[key] for key, api in self.MEMBERS.items() if key in config}
        answer = self.client.create_event_source_mapping(
            Enabled=config.get("enabled", True), Tags=config.get("tags", {}), **asked
        )
        config["uuid"] = answer["UUID"]
        self.settle(config)
        return self.read(config)

    def read(self, config):
        answer = found(self.client.get_event_source_mapping, UUID=config["uuid"])
        tags = self.client.list_tags(Resource=answer["EventSourceMappingArn"])["Tags"]
        state = {key: answer.get(api) for key, api in self.MEMBERS.items() if api in answer}
        return state | {
            "arn": answer["EventSourceMappingArn"],
            "enabled": {"Enabled": True, "Enabling": True, "Disabled": False, "Disabling": False}[answer["State"]],
            "function_name": answer["FunctionArn"],
            "last_modified": answer["LastModified"],
            "state": answer["State"],
            "state_transition_reason": answer["StateTransitionReason"],
            "tags": tags,
            "uuid": answer["UUID"],
        }

    def update(self, old, config):
        config["uuid"] = old["uuid"]
        changed = {
            api: config.get(key, {})
            for key, api in self.MEMBERS.items()
            if key in {*config, *old} and config.get(key) != old.get(key)
        }
        if config.get("enabled", True) != old.get("enabled", True):
            changed["Enabled"] = config.get("enabled", True)
        self.client.update_event_source_mapping(UUID=config["uuid"], **changed)
        self.settle(config)
        retag(self.client, self.read(config)["arn"], old.get("tags", {}), config.get("tags", {}))
        return self.read(config)

    def delete(self, config):
        forgiving(self.client.delete_event_source_mapping, UUID=config["uuid"])

        def gone():
            try:
                answer = found(self.client.get_event_source_mapping, UUID=config["uuid"])
            except NotThere:
                return True
            assert answer["State"] == "Deleting", answer
            return False

        until(gone)

    def settle(self, config):
        until(lambda: self.client.get_event_source_mapping(UUID=config["uuid"])["State"] not in self.MOVING)


class CodeSigningConfig(Resource):
    """`aws_lambda_code_signing_config`."""

    def asked(self, config):
        return {
            "AllowedPublishers": {"SigningProfileVersionArns": config["signing_profile_version_arns"]},
            "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": config.get("policy", "Warn")},
            "Description": config.get("description", ""),
        }

    def create(self, config):
        answer = self.client.create_code_signing_config(**self.asked(config), Tags=config.get("tags", {}))
        config["arn"] = answer["CodeSigningConfig"]["CodeSigningConfigArn"]
        return self.read(config)

    def read(self, config):
        answer = found(self.client.get_code_signing_config, CodeSigningConfigArn=config["arn"])["CodeSigningConfig"]
        return {
            "arn": answer["CodeSigningConfigArn"],
            "config_id": answer["CodeSigningConfigId"],
            "description": answer["Description"],
            "last_modified": answer["LastModified"],
            "policy": answer["CodeSigningPolicies"]["UntrustedArtifactOnDeployment"],
            "signing_profile_version_arns": answer["AllowedPublishers"]["SigningProfileVersionArns"],
            "tags": self.client.list_tags(Resource=config["arn"])["Tags"],
        }

    def update(self, old, config):
        config["arn"] = old["arn"]
        self.client.update_code_signing_config(CodeSigningConfigArn=config["arn"], **self.asked(config))
        retag(self.client, config["arn"], old.get("tags", {}), config.get("tags", {}))
        return self.read(config)

    def delete(self, config):
        forgiving(self.client.delete_code_signing_config, CodeSigningConfigArn=config["arn"])


class LogGroup(Resource):
    """`aws_cloudwatch_log_group`; its client is the one for logs."""

    def create(self, config):
        self.client.create_log_group(logGroupName=config["name"], tags=config.get("tags", {}))
        self.retain(config)
        return self.read(config)

    def read(self, config):
        pages = self.client.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=config["name"])
        groups = [group for page in pages for group in page["logGroups"] if group["logGroupName"] == config["name"]]
        if not groups:
            raise NotThere
        [group] = groups
        arn = group["arn"].removesuffix(":*")
        return {
            "arn": arn,
            "log_group_class": group["logGroupClass"],
            "name": group["logGroupName"],
            "retention_in_days": group.get("retentionInDays", 0),
            "tags": self.client.list_tags_for_resource(resourceArn=arn)["tags"],
        }

    def update(self, old, config):
        if config.get("retention_in_days", 0) != old.get("retention_in_days", 0):
            self.retain(config)
        arn, before, after = self.read(config)["arn"], old.get("tags", {}), config.get("tags", {})
        if removed := sorted(set(before) - set(after)):
            self.client.untag_resource(resourceArn=arn, tagKeys=removed)
        if changed := {key: value for key, value in after.items() if before.get(key) != value}:
            self.client.tag_resource(resourceArn=arn, tags=changed)
        return self.read(config)

    def delete(self, config):
        forgiving(self.client.delete_log_group, logGroupName=config["name"])

    def retain(self, config):
        if days := config.get("retention_in_days", 0):
            self.client.put_retention_policy(logGroupName=config["name"], retentionInDays=days)
        else:
            self.client.delete_retention_policy(logGroupName=config["name"])
