"""Log groups and streams: made, listed, tagged, kept for a while, removed; with AWS's words when that is refused."""

import json
import threading

import pytest

from cloudwatch import NO_GROUP, NO_STREAM, arn, aws, body, broken, invalid, now, told, violated
from samovar import ACCOUNT, create, events_of, invoke, messages, until

KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
NAMES = r"satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+"
ARNS = r"satisfy regular expression pattern: [\w+=/:,.@-]*"
RETENTIONS = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]


@pytest.fixture
def group(logs, name):
    logs.create_log_group(logGroupName=name)
    return name


def shown(group, **more):
    return {
        "logGroupName": group, "creationTime": "*", "metricFilterCount": 0, "arn": arn(group) + ":*", "storedBytes": "*",
        "logGroupClass": "STANDARD", "logGroupArn": arn(group), **more,
    }


def described(logs, group):
    return body(logs.describe_log_groups(logGroupNamePrefix=group))


def test_a_group_from_its_making_to_its_end(logs, name):
    assert told(logs.create_log_group, logGroupName=name) == {}
    assert described(logs, name) == {"logGroups": [shown(name)]}
    assert told(logs.create_log_group, logGroupName=name) == (
        400, "ResourceAlreadyExistsException", "The specified log group already exists"
    )
    assert told(logs.delete_log_group, logGroupName=name) == {}
    assert told(logs.delete_log_group, logGroupName=name) == NO_GROUP
    assert described(logs, name) == {"logGroups": []}


def test_what_is_given_when_a_group_is_made_is_kept_over_a_restart(fresh):
    server = fresh()
    logs = server.client("logs")
    logs.create_log_group(logGroupName="g", kmsKeyId=KEY, tags={"team": "tea"}, logGroupClass="STANDARD")
    logs.put_retention_policy(logGroupName="g", retentionInDays=7)
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    server.kill()
    server.start()
    assert described(logs, "g") == {"logGroups": [shown("g", kmsKeyId=KEY, retentionInDays=7)]}
    assert told(logs.list_tags_for_resource, resourceArn=arn("g")) == {"tags": {"team": "tea"}}
    assert [s["logStreamName"] for s in logs.describe_log_streams(logGroupName="g")["logStreams"]] == ["s"]


@pytest.mark.parametrize(
    "case", [
        ({"logGroupName": "a b"}, violated(broken("'a b'", "logGroupName", NAMES))),
        ({"logGroupName": ""}, violated(
            broken("''", "logGroupName", "have length greater than or equal to 1"), broken("''", "logGroupName", NAMES)
        )),
        ({}, violated(broken("null", "logGroupName", "not be null"))),
        ({"logGroupName": "aws/mine"}, invalid("Log groups starting with AWS/ are reserved for AWS.")),
        ({"logGroupName": "g", "logGroupClass": "INFREQUENT_ACCESS"},
         invalid("Samovar has log groups of the class STANDARD, not INFREQUENT_ACCESS.")),
        ({"logGroupName": "g", "logGroupClass": "LARGE"}, violated(broken(
            "'LARGE'", "logGroupClass", "satisfy enum value set: [STANDARD, INFREQUENT_ACCESS, DELIVERY, ESSENTIALS]"
        ))),
        ({"logGroupName": "g", "deletionProtectionEnabled": True},
         invalid("Samovar does not implement the deletion protection of log groups.")),
        ({"logGroupName": "g", "kmsKeyId": "alias/mine"}, (
            400, "AccessDeniedException",
            f"The specified KMS key does not exist or is not allowed to be used with Arn '{arn('g')}'",
        )),
        ({"logGroupName": "g", "tags": {}}, violated(
            broken("'{}'", "tags", "have length greater than or equal to 1")
        )),
        ({"logGroupName": "g", "tags": {"aws:x": "1"}},
         invalid("The tag key 'aws:x' begins with aws:, which is reserved for AWS.")),
    ], ids=lambda case: json.dumps(case[0])[:60],
)
def test_groups_that_are_not_made(lax, case):
    assert told(lax.create_log_group, **case[0]) == case[1]


class TestListing:
    @pytest.fixture(scope="class")
    def many(self, server):
        logs = server.client("logs", account="111122223333", parameter_validation=False)
        for number in range(55):
            logs.create_log_group(logGroupName=f"/list/{number:02}")
        logs.create_log_group(logGroupName="Other")
        return logs

    @pytest.mark.parametrize(
        "asked, expected", [
            ({"logGroupNamePrefix": "/list/0"}, [f"/list/0{n}" for n in range(10)]),
            ({"logGroupNamePrefix": "/none"}, []),
            ({"logGroupNamePattern": "st/1"}, [f"/list/1{n}" for n in range(10)]),
            ({"logGroupNamePattern": "other"}, []),
            ({"logGroupIdentifiers": ["Other", arn("/list/03", "111122223333"), arn("/list/04"), "none"]},
             ["/list/03", "Other"]),
            ({"logGroupClass": "DELIVERY"}, []),
            ({"logGroupClass": "STANDARD", "logGroupNamePrefix": "O"}, ["Other"]),
        ], ids=str,
    )
    def test_of_some(self, many, asked, expected):
        assert [group["logGroupName"] for group in many.describe_log_groups(**asked)["logGroups"]] == expected

    def test_in_pages(self, many):
        first = many.describe_log_groups()
        assert len(first["logGroups"]) == 50
        last = many.describe_log_groups(nextToken=first["nextToken"])
        assert len(last["logGroups"]) == 6 and "nextToken" not in last
        pages = many.get_paginator("describe_log_groups").paginate(PaginationConfig={"PageSize": 7})
        names = [group["logGroupName"] for page in pages for group in page["logGroups"]]
        assert names == [f"/list/{n:02}" for n in range(55)] + ["Other"]

    def test_by_pattern_shows_less(self, many):
        group = body(many.describe_log_groups(logGroupNamePattern="ther"))["logGroups"]
        assert group == [{"logGroupName": "Other", "creationTime": "*", "arn": arn("Other", "111122223333") + ":*"}]

    @pytest.mark.parametrize(
        "asked, refusal", [
            ({"limit": 51}, violated(broken("'51'", "limit", "have value less than or equal to 50"))),
            ({"limit": 0}, violated(broken("'0'", "limit", "have value greater than or equal to 1"))),
            ({"nextToken": "x"}, invalid("The specified nextToken is invalid.")),
            ({"logGroupNamePrefix": "a", "logGroupNamePattern": "b"},
             invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")),
        ], ids=str,
    )
    def test_refused(self, many, asked, refusal):
        assert told(many.describe_log_groups, **asked) == refusal


class TestRetention:
    def test_is_set_and_lifted(self, logs, group):
        for days in RETENTIONS:
            assert told(logs.put_retention_policy, logGroupName=group, retentionInDays=days) == {}
            assert described(logs, group)["logGroups"] == [shown(group, retentionInDays=days)]
        assert told(logs.delete_retention_policy, logGroupName=group) == {}
        assert described(logs, group)["logGroups"] == [shown(group)]

    @pytest.mark.parametrize("days", [0, 2, -1, 3654])
    def test_of_other_lengths(self, logs, group, days):
        constraint = f"satisfy enum value set: {RETENTIONS}"
        assert told(logs.put_retention_policy, logGroupName=group, retentionInDays=days) == violated(
            broken(f"'{days}'", "retentionInDays", constraint)
        )

    def test_of_no_group(self, logs):
        assert told(logs.put_retention_policy, logGroupName="none", retentionInDays=1) == NO_GROUP
        assert told(logs.delete_retention_policy, logGroupName="none") == NO_GROUP


class TestKeys:
    @pytest.mark.parametrize("by", [lambda g: {"logGroupName": g}, lambda g: {"resourceIdentifier": arn(g)},
                                    lambda g: {"resourceIdentifier": arn(g) + ":*"}])
    def test_come_and_go(self, logs, group, by):
        assert told(logs.associate_kms_key, kmsKeyId=KEY, **by(group)) == {}
        assert described(logs, group)["logGroups"] == [shown(group, kmsKeyId=KEY)]
        assert told(logs.disassociate_kms_key, **by(group)) == {}
        assert described(logs, group)["logGroups"] == [shown(group)]

    def test_refused(self, logs, group):
        assert told(logs.associate_kms_key, kmsKeyId=KEY, logGroupName="none") == NO_GROUP
        assert told(logs.associate_kms_key, kmsKeyId=KEY) == invalid(
            "You must include either logGroupName or resourceIdentifier."
        )
        assert told(logs.associate_kms_key, kmsKeyId=KEY, logGroupName=group, resourceIdentifier=arn(group)) == invalid(
            "You must include either logGroupName or resourceIdentifier, but not both."
        )
        assert told(logs.associate_kms_key, kmsKeyId="x", logGroupName=group)[1] == "AccessDeniedException"


class TestTags:
    def test_through_both_families_of_operations(self, logs, group):
        assert told(logs.list_tags_for_resource, resourceArn=arn(group)) == {"tags": {}}
        assert told(logs.tag_resource, resourceArn=arn(group), tags={"a": "1", "b": ""}) == {}
        assert told(logs.tag_log_group, logGroupName=group, tags={"a": "2", "c d": "é"}) == {}
        both = {"tags": {"a": "2", "b": "", "c d": "é"}}
        assert told(logs.list_tags_for_resource, resourceArn=arn(group)) == both
        assert told(logs.list_tags_log_group, logGroupName=group) == both
        assert told(logs.untag_resource, resourceArn=arn(group), tagKeys=["a", "never"]) == {}
        assert told(logs.untag_log_group, logGroupName=group, tags=["b"]) == {}
        assert told(logs.list_tags_log_group, logGroupName=group) == {"tags": {"c d": "é"}}

    def test_are_at_most_fifty(self, logs, group):
        logs.tag_resource(resourceArn=arn(group), tags={f"k{n}": "v" for n in range(50)})
        assert told(logs.tag_resource, resourceArn=arn(group), tags={"k0": "again"}) == {}
        assert told(logs.tag_resource, resourceArn=arn(group), tags={"more": "v"}) == (
            400, "TooManyTagsException", "The resource has 51 tags, which exceeds the limit of 50."
        )
        assert len(logs.list_tags_log_group(logGroupName=group)["tags"]) == 50

    @pytest.mark.parametrize(
        "resource, refusal", [
            (arn("none"), NO_GROUP),
            (arn("none", account="999999999999"), NO_GROUP),
            (arn("none", region="eu-west-1"), NO_GROUP),
            (arn("none") + ":*", violated(broken(f"'{arn('none')}:*'", "resourceArn", ARNS))),
            ("none", invalid("'none' is not the ARN of a log group.")),
        ],
    )
    def test_of_no_group(self, logs, resource, refusal):
        assert told(logs.list_tags_for_resource, resourceArn=resource) == refusal
        assert told(logs.tag_resource, resourceArn=resource, tags={"a": "b"}) == refusal
        assert told(logs.untag_resource, resourceArn=resource, tagKeys=["a"]) == refusal


class TestStreams:
    def test_from_making_to_end(self, logs, group):
        assert told(logs.create_log_stream, logGroupName=group, logStreamName="s/[1]") == {}
        assert told(logs.create_log_stream, logGroupName=group, logStreamName="s/[1]") == (
            400, "ResourceAlreadyExistsException", "The specified log stream already exists"
        )
        assert body(logs.describe_log_streams(logGroupIdentifier=arn(group))) == {"logStreams": [{
            "logStreamName": "s/[1]", "creationTime": "*", "arn": f"{arn(group)}:log-stream:s/[1]", "storedBytes": "*",
        }]}
        assert told(logs.delete_log_stream, logGroupName=group, logStreamName="s/[1]") == {}
        assert told(logs.delete_log_stream, logGroupName=group, logStreamName="s/[1]") == NO_STREAM
        assert body(logs.describe_log_streams(logGroupName=group)) == {"logStreams": []}

    def test_a_removed_stream_takes_its_events_along(self, logs, group):
        for stream in ("a", "b"):
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
            logs.put_log_events(logGroupName=group, logStreamName=stream,
                                logEvents=[{"timestamp": now(), "message": f"in {stream}"}])
        logs.delete_log_stream(logGroupName=group, logStreamName="a")
        assert events_of(logs, group) == ["in b"]
        logs.create_log_stream(logGroupName=group, logStreamName="a")
        assert events_of(logs, group) == ["in b"]
        assert told(logs.get_log_events, logGroupName=group, logStreamName="a")["events"] == []

    def test_in_order_and_in_pages(self, logs, group):
        for number in range(12):
            logs.create_log_stream(logGroupName=group, logStreamName=f"s{number:02}")
        names = [f"s{number:02}" for number in range(12)]

        def listed(**asked):
            pages = logs.get_paginator("describe_log_streams").paginate(
                logGroupName=group, PaginationConfig={"PageSize": 5}, **asked
            )
            return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]

        assert listed() == names
        assert listed(descending=True) == names[::-1]
        assert listed(logStreamNamePrefix="s1") == ["s10", "s11"]
        assert told(logs.describe_log_streams, logGroupName=group, orderBy="LastEventTime", logStreamNamePrefix="s") == \
            invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")

    @pytest.mark.parametrize(
        "stream, refusal", [
            ("a:b", violated(broken("'a:b'", "logStreamName", "satisfy regular expression pattern: [^:*]*"))),
            ("x" * 513, violated(broken(f"'{'x' * 513}'", "logStreamName", "have length less than or equal to 512"))),
        ], ids=["colon", "length"],
    )
    def test_with_bad_names(self, lax, group, stream, refusal):
        assert told(lax.create_log_stream, logGroupName=group, logStreamName=stream) == refusal

    def test_of_no_group(self, logs):
        assert told(logs.create_log_stream, logGroupName="none", logStreamName="s") == NO_GROUP
        assert told(logs.delete_log_stream, logGroupName="none", logStreamName="s") == NO_GROUP
        assert told(logs.describe_log_streams, logGroupName="none") == NO_GROUP
        assert told(logs.describe_log_streams) == invalid(
            "You must include either logGroupIdentifier or logGroupName."
        )


def test_groups_of_another_account_are_not_seen(server, logs, group):
    other = server.client("logs", account="222233334444")
    for operation, more in [
        (other.describe_log_streams, {}), (other.filter_log_events, {}), (other.get_log_events, {"logStreamName": "s"}),
    ]:
        assert told(operation, logGroupIdentifier=arn(group), **more) == NO_GROUP
        assert told(operation, logGroupIdentifier=arn(group, region="eu-west-1"), **more) == NO_GROUP
        with_star = broken(
            f"'{arn(group)}:*'", "logGroupIdentifier", r"satisfy regular expression pattern: [\w#+=/:,.@-]*"
        )
        assert told(operation, logGroupIdentifier=arn(group) + ":*", **more) == violated(with_star)
    assert told(other.delete_log_group, logGroupName=group) == NO_GROUP
    assert told(other.describe_log_groups, logGroupIdentifiers=[arn(group)]) == {"logGroups": []}


def test_a_group_that_was_made_first_serves_its_function(lam, logs, name):
    """Terraform makes the group with its retention and tags, and the function after it."""
    group = f"/aws/lambda/{name}"
    logs.create_log_group(logGroupName=group, tags={"made": "first"})
    logs.put_retention_policy(logGroupName=group, retentionInDays=14)
    create(lam, name, "def handler(event, context):\n    print('brewed')\n", LoggingConfig={"LogGroup": group})
    invoke(lam, name)
    until(lambda: "brewed\n" in messages(logs, name))
    assert described(logs, group)["logGroups"] == [shown(group, retentionInDays=14)]
    assert logs.list_tags_log_group(logGroupName=group)["tags"] == {"made": "first"}


def test_a_group_that_is_deleted_under_its_function_comes_back_bare(lam, logs, name):
    group = f"/aws/lambda/{name}"
    create(lam, name, "def handler(event, context):\n    print('said', event)\n")
    invoke(lam, name, 1)
    until(lambda: "said 1\n" in messages(logs, name))
    logs.put_retention_policy(logGroupName=group, retentionInDays=3)
    logs.delete_log_group(logGroupName=group)
    assert described(logs, group) == {"logGroups": []}
    invoke(lam, name, 2)
    found = until(lambda: (lines := messages(logs, name)) and lines[-1].startswith("REPORT") and lines)
    assert "said 2\n" in found and "said 1\n" not in found
    assert described(logs, group)["logGroups"] == [shown(group)]


def test_a_group_that_is_deleted_while_its_function_writes(lam, logs, name):
    group = f"/aws/lambda/{name}"
    create(
        lam, name, "import time\ndef handler(event, context):\n    for n in range(200):\n        print('n', n)\n"
        "        time.sleep(0.005)\n    return 'done'\n", Timeout=30,
    )
    running = threading.Thread(target=lambda: answers.append(invoke(lam, name)["payload"]))
    answers = []
    running.start()
    while running.is_alive():
        assert told(logs.delete_log_group, logGroupName=group) in ({}, NO_GROUP)
    assert answers == ["done"]
    assert invoke(lam, name)["payload"] == "done"
    found = until(lambda: (lines := messages(logs, name)) and lines[-1].startswith("REPORT") and lines)
    assert [line for line in found if line.startswith("n ")][-200:] == [f"n {n}\n" for n in range(200)]


def test_a_custom_group_keeps_its_key_and_takes_what_its_levels_let_pass(lam, logs, name):
    group = f"/custom/{name}"
    logs.create_log_group(logGroupName=group, kmsKeyId=KEY)
    code = (
        "import logging\nlog = logging.getLogger()\n"
        "def handler(event, context):\n    log.info('quiet')\n    log.error('loud')\n    print('plain')\n"
    )
    settings = {"LogFormat": "JSON", "LogGroup": group, "ApplicationLogLevel": "ERROR", "SystemLogLevel": "WARN"}
    create(lam, name, code, LoggingConfig=settings)
    assert lam.get_function_configuration(FunctionName=name)["LoggingConfig"] == settings
    invoke(lam, name)
    found = until(lambda: (lines := events_of(logs, group)) and lines[-1] == "plain\n" and lines)
    assert [json.loads(line)["message"] for line in found[:-1]] == ["loud"]
    assert described(logs, group)["logGroups"] == [shown(group, kmsKeyId=KEY)]
    assert told(logs.describe_log_groups, logGroupNamePrefix=f"/aws/lambda/{name}") == {"logGroups": []}


def test_what_is_not_built_says_so(logs):
    for operation, input in [
        (logs.describe_metric_filters, {}), (logs.list_log_anomaly_detectors, {}), (logs.list_log_groups, {}),
        (logs.get_log_group_fields, {"logGroupName": "g"}),
    ]:
        status, code, message = told(operation, **input)
        assert (status, code) == (501, "NotImplementedException") and "does not implement" in message


def test_through_the_aws_cli(server, logs, name):
    def run(version, *args):
        answer = aws(server, version, *args)
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout or "{}")

    run("v1", "create-log-group", "--log-group-name", name, "--tags", "team=tea")
    run("v1", "put-retention-policy", "--log-group-name", name, "--retention-in-days", "5")
    for version in ("v1", "v2"):
        found = run(version, "describe-log-groups", "--log-group-name-prefix", name)["logGroups"]
        assert [(group["logGroupName"], group["retentionInDays"]) for group in found] == [(name, 5)]
    assert logs.list_tags_log_group(logGroupName=name)["tags"] == {"team": "tea"}
    nobody = aws(server, "v1", "delete-log-group", "--log-group-name", name + "-none")
    assert "(ResourceNotFoundException)" in nobody.stderr and "The specified log group does not exist." in nobody.stderr
