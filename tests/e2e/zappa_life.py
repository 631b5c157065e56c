"""The life of a function as Zappa leads it, run by Zappa's own Python: `zappa_life.py NAME FIRST.zip SECOND.zip ROLE`.

Prints one JSON object: what each step left. S3, IAM and API Gateway are left out: packages are local.
"""

import json
import pathlib
import sys

import boto3
from zappa.core import Zappa

name, first, second, role, runtime = sys.argv[1:]
first, second = (pathlib.Path(path).read_bytes() for path in (first, second))
# Zappa makes clients for everything it may need; those of services that are not here are never asked.
zappa = Zappa(boto3.Session(), desired_role_name="any", desired_role_arn=role, runtime=runtime, tags={"tool": "zappa"})
client = zappa.lambda_client
told = {}


def runs(qualifier):
    answer = zappa.invoke_lambda_function(name, b"1", "RequestResponse", qualifier=qualifier)
    return json.loads(answer["Payload"].read())


told["arn"] = zappa.create_lambda_function(
    function_name=name,
    handler="index.handler",
    local_zip=first,
    runtime=runtime,
    use_alb=True,
    concurrency=5,
    aws_environment_variables={"KEY": "value"},
)
told["tags"] = client.list_tags(Resource=told["arn"])["Tags"]
told["made"] = runs("current-alb-version")
for archive in (second, first, second):
    zappa.update_lambda_function(None, name, local_zip=archive, num_revisions=2)
told["pruned"] = [version["Version"] for version in client.list_versions_by_function(FunctionName=name)["Versions"]]
told["updated"] = runs("current-alb-version")
zappa.update_lambda_configuration(
    told["arn"], name, "index.handler", runtime=runtime, memory_size=256, provisioned_concurrency=2
)
told["memory"] = client.get_function_configuration(FunctionName=name)["MemorySize"]
zappa.update_lambda_configuration(told["arn"], name, "index.handler", runtime=runtime, memory_size=128)
zappa.rollback_lambda_function_version(name, 2)
zappa.wait_until_lambda_function_is_updated(name)
told["rolled_back"] = runs(None)
told["versions"] = zappa.get_lambda_function_versions(name)[0]["FunctionName"]
cors = {
    "allowCredentials": False,
    "allowedHeaders": ["x-custom"],
    "allowedMethods": ["GET"],
    "allowedOrigins": ["*"],
    "exposedResponseHeaders": [],
    "maxAge": 10,
}
url = zappa.deploy_lambda_function_url(name, {"authorizer": "NONE", "cors": cors})["FunctionUrl"]
told["statements"] = [statement["Sid"] for statement in zappa.list_function_url_policy(name)]
zappa.update_lambda_function_url(name, {"authorizer": "AWS_IAM", "cors": cors})
told["closed"] = zappa.list_function_url_policy(name)
told["same_url"] = client.get_function_url_config(FunctionName=name)["FunctionUrl"] == url
zappa.delete_lambda_function_url(name)
told["urls"] = client.list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"]
zappa.create_event_permission(name, "events.amazonaws.com", "arn:aws:events:us-east-1:000000000000:rule/r")
told["permission"] = json.loads(client.get_policy(FunctionName=name)["Policy"])["Statement"][0]["Principal"]
zappa.delete_lambda_function(name)
print(json.dumps(told))
