"""The life of event source mappings: states, restarts, and many at once."""

import concurrent.futures
import json

import pytest
from botocore.exceptions import ClientError

from recorded import ARNF, ECHO, user
from samovar import ACCOUNT, REGION, create, until
from test_mappings import PATH, SOURCES

IN_USE = "Cannot {} the event source mapping because it is in use."


def in_use(act):
    return 400, "ResourceInUseException", user("Message", IN_USE.format(act))


@pytest.fixture
def function(lam, name):
    create(lam, name, ECHO)
    return name


def state(lam, uuid):
    return lam.get_event_source_mapping(UUID=uuid)["State"]


def settle(lam, uuid):
    return until(lambda: (found := state(lam, uuid)) in ("Enabled", "Disabled") and found)


def test_what_is_asked_for_is_brought_about(lam, function):
    uuid = lam.create_event_source_mapping(FunctionName=function, **SOURCES["sqs"])["UUID"]
    for change, begun, ended in [
        ({}, "Updating", "Enabled"),
        ({"Enabled": False}, "Disabling", "Disabled"),
        ({"Enabled": False, "BatchSize": 2}, "Updating", "Disabled"),
        ({"Enabled": True}, "Enabling", "Enabled"),
        ({"Enabled": True}, "Updating", "Enabled"),
    ]:
        settle(lam, uuid)
        assert lam.update_event_source_mapping(UUID=uuid, **change)["State"] == begun
        assert settle(lam, uuid) == ended
    assert lam.delete_event_source_mapping(UUID=uuid)["State"] == "Deleting"
    assert state(lam, uuid) == "Deleting"

    def gone():
        with pytest.raises(ClientError) as error:
            lam.get_event_source_mapping(UUID=uuid)
        return error.value.response["Error"]["Code"] == "ResourceNotFoundException"

    until(lambda: not [m for m in lam.list_event_source_mappings(FunctionName=function)["EventSourceMappings"]])
    assert gone()
    # The pair is free again.
    lam.create_event_source_mapping(FunctionName=function, **SOURCES["sqs"])


def test_nothing_changes_while_a_change_is_brought_about(raw, lam, function):
    uuid = lam.create_event_source_mapping(FunctionName=function, **SOURCES["kinesis"])["UUID"]
    path = f"{PATH}/{uuid}"
    assert raw.error("PUT", path, {"BatchSize": 5}) == in_use("update")
    assert raw.error("DELETE", path) == in_use("delete")
    settle(lam, uuid)
    lam.delete_event_source_mapping(UUID=uuid)
    assert raw.error("PUT", path, {"BatchSize": 5}) == in_use("update")
    assert raw.error("DELETE", path) == in_use("delete")


@pytest.mark.parametrize(("source", "begun"), [("sqs", "Disabled"), ("kinesis", "Creating"), ("dynamodb", "Creating")])
def test_a_mapping_may_be_made_without_being_enabled(lam, function, source, begun):
    made = lam.create_event_source_mapping(FunctionName=function, Enabled=False, **SOURCES[source])
    assert made["State"] == begun
    assert settle(lam, made["UUID"]) == "Disabled"


def test_a_mapping_outlives_its_function(lam, function):
    uuid = lam.create_event_source_mapping(FunctionName=function, **SOURCES["sqs"])["UUID"]
    settle(lam, uuid)
    lam.delete_function(FunctionName=function)
    kept = lam.get_event_source_mapping(UUID=uuid)
    assert (kept["State"], kept["FunctionArn"]) == ("Enabled", ARNF + function)
    assert [m["UUID"] for m in lam.list_event_source_mappings(FunctionName=function)["EventSourceMappings"]] == [uuid]
    lam.update_event_source_mapping(UUID=uuid, BatchSize=3)
    settle(lam, uuid)
    lam.delete_event_source_mapping(UUID=uuid)


def test_a_function_its_versions_and_its_aliases_are_fed_each_for_itself(lam, function):
    version = lam.publish_version(FunctionName=function)["Version"]
    lam.create_alias(FunctionName=function, Name="live", FunctionVersion=version)
    made = {}
    for own in (function, f"{function}:{version}", f"{function}:live", f"{function}:$LATEST"):
        answer = lam.create_event_source_mapping(FunctionName=own, **SOURCES["sqs"])
        assert answer["FunctionArn"] == ARNF + own
        made[own] = answer["UUID"]
    for own, uuid in made.items():
        (listed,) = lam.list_event_source_mappings(FunctionName=own)["EventSourceMappings"]
        assert listed["UUID"] == uuid
    with pytest.raises(ClientError, match=rf'function \(" {function}:live "\) already exists.*{made[f"{function}:live"]}'):
        lam.create_event_source_mapping(FunctionName=f"{ARNF}{function}:live", **SOURCES["sqs"])
    # What is gone is no longer to be had, but keeps what it had.
    lam.delete_alias(FunctionName=function, Name="live")
    lam.delete_function(FunctionName=function, Qualifier=version)
    for own in (f"{function}:{version}", f"{function}:live"):
        assert settle(lam, made[own]) == "Enabled"
        with pytest.raises(ClientError, match="Function does not exist"):
            lam.create_event_source_mapping(FunctionName=own, **SOURCES["fifo"])


def test_one_account_does_not_see_anothers(server, lam, function):
    uuid = lam.create_event_source_mapping(FunctionName=function, **SOURCES["sqs"])["UUID"]
    for other in (server.client("lambda", account="121212121212"), server.client("lambda", region="eu-west-1")):
        with pytest.raises(ClientError) as error:
            other.get_event_source_mapping(UUID=uuid)
        assert error.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_a_restart_ends_what_was_begun_and_loses_nothing(fresh):
    first = fresh()
    lam = first.client("lambda")
    create(lam, "f", ECHO)
    tags = {"k": "v"}
    kept = lam.create_event_source_mapping(FunctionName="f", **SOURCES["sqs"], Tags=tags, BatchSize=3)["UUID"]
    settle(lam, kept)
    before = lam.get_event_source_mapping(UUID=kept)
    going = lam.create_event_source_mapping(FunctionName="f", **SOURCES["mq"])["UUID"]
    settle(lam, going)
    lam.delete_event_source_mapping(UUID=going)
    coming = lam.create_event_source_mapping(FunctionName="f", **SOURCES["kafka"])["UUID"]
    first.kill()
    lam = fresh().client("lambda")
    assert settle(lam, coming) == "Enabled"
    after = lam.get_event_source_mapping(UUID=kept)
    assert {**before, "ResponseMetadata": 0} == {**after, "ResponseMetadata": 0}
    until(lambda: len(lam.list_event_source_mappings()["EventSourceMappings"]) == 2)


def test_of_many_creations_of_one_pair_one_succeeds(raw, function):
    body = {"FunctionName": function, **SOURCES["sqs"]}
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: raw("POST", PATH, body), range(40)))
    made = [json.loads(content)["UUID"] for status, _, content in answers if status == 202]
    assert len(made) == 1
    refused = {content for status, _, content in answers if status == 409}
    assert len(refused) == 1 and made[0] in json.loads(refused.pop())["message"]


def test_of_many_changes_at_once_one_is_taken(raw, lam, function):
    uuid = lam.create_event_source_mapping(FunctionName=function, **SOURCES["kinesis"])["UUID"]
    settle(lam, uuid)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        sent = list(pool.map(lambda n: raw("PUT", f"{PATH}/{uuid}", {"BatchSize": n}), range(1, 21)))
    taken = [json.loads(content)["BatchSize"] for status, _, content in sent if status == 202]
    assert len(taken) == 1 and {status for status, *_ in sent} == {202, 400}
    settle(lam, uuid)
    assert lam.get_event_source_mapping(UUID=uuid)["BatchSize"] == taken[0]
