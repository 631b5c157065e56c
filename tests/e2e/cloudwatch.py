"""Answers of CloudWatch Logs as data: whole bodies, with stars in the place of what differs from run to run."""

import os
import subprocess
import time

import botocore.exceptions

from samovar import ACCOUNT, REGION

# Both major versions of the AWS CLI; Debian's version 2 is older than AWS_ENDPOINT_URL.
AWS = {"v1": os.environ["SAMOVAR_TEST_AWS"], "v2": "/usr/bin/aws"}

VOLATILE = {"creationTime", "ingestionTime", "lastIngestionTime", "eventId", "nextSequenceToken", "nextForwardToken",
            "nextBackwardToken", "storedBytes", "requestId", "sessionId"}
NO_GROUP = (400, "ResourceNotFoundException", "The specified log group does not exist.")
NO_STREAM = (400, "ResourceNotFoundException", "The specified log stream does not exist.")


def arn(group, account=ACCOUNT, region=REGION):
    return f"arn:aws:logs:{region}:{account}:log-group:{group}"


def invalid(text):
    return 400, "InvalidParameterException", text


def violated(*errors):
    count = f"{len(errors)} validation error{'s' if len(errors) > 1 else ''} detected: "
    return invalid(count + "; ".join(errors))


def broken(text, path, constraint):
    return f"Value {text} at '{path}' failed to satisfy constraint: Member must {constraint}"


def masked(value):
    if isinstance(value, dict):
        return {key: "*" if key in VOLATILE else masked(inner) for key, inner in value.items()}
    return [masked(inner) for inner in value] if isinstance(value, list) else value


def body(answer):
    """The members of an answer."""
    answer = {key: value for key, value in answer.items() if key != "ResponseMetadata"}
    return masked(answer)


def told(operation, **input):
    """What an operation answers: its body, or status, code and message of its refusal."""
    try:
        return body(operation(**input))
    except botocore.exceptions.ClientError as error:
        refusal = error.response["Error"]
        return error.response["ResponseMetadata"]["HTTPStatusCode"], refusal["Code"], refusal.get("Message", "")


def now():
    """Milliseconds since the epoch."""
    return int(time.time() * 1000)


def cli(server, version, *command):
    """The command line of `aws logs` for this server, and its environment."""
    env = {**server.cli_env(), "AWS_DISABLE_HOST_PREFIX_INJECTION": "true", "PYTHONUNBUFFERED": "1"}
    return [AWS[version], "--endpoint-url", server.endpoint, "logs", *command], env


def aws(server, version, *command):
    """What `aws logs` answers to a command that ends."""
    words, env = cli(server, version, *command)
    return subprocess.run(words, env=env, capture_output=True, text=True, timeout=60)
