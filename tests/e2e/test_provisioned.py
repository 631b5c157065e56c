"""Provisioned concurrency: what is said of it, and what it takes from others."""

import pytest

from botocore.exceptions import ClientError
from recorded import ECHO, FUNCTIONS, invalid, not_found, user, value, violated
from samovar import create, until, wait_active
from steps import GONE, ok, play
from test_concurrency import reserve, throttled

PATH = "/2019-09-30/functions/{F}/provisioned-concurrency"
RESERVED = "/2017-10-31/functions/{F}/concurrency"
UNPUBLISHED = invalid("Provisioned Concurrency Configs cannot be applied to unpublished function versions.")
MUST_BE_PUBLISHED = invalid("The function resource provided must be an alias or a published version.")
NONE = (
    404,
    "ProvisionedConcurrencyConfigNotFoundException",
    user("message", "No Provisioned Concurrency Config found for this function"),
)


def requested(amount):
    return {"ProvisionedConcurrentExecutions": amount}


def config(amount, allocated, status, **more):
    return {
        "RequestedProvisionedConcurrentExecutions": amount,
        "AllocatedProvisionedConcurrentExecutions": allocated,
        "AvailableProvisionedConcurrentExecutions": allocated,
        "Status": status,
        "LastModified": "<time>",
        **more,
    }


def ready(amount, **more):
    return ok(config(amount, amount, "READY", **more))


def accepted(amount):
    return ok(config(amount, 0, "IN_PROGRESS"), 202)


def untyped(text):
    return 400, "InvalidParameterValueException", {"message": text}


def conflict(text):
    return 409, "ResourceConflictException", user("message", text)


def put(qualifier, amount, expected):
    return "PUT", f"{PATH}?Qualifier={qualifier}", requested(amount), expected


def get(qualifier, expected):
    return "GET", f"{PATH}?Qualifier={qualifier}", None, expected


def delete(qualifier, expected):
    return "DELETE", f"{PATH}?Qualifier={qualifier}", None, expected


def listed(*configs):
    items = [config(amount, amount, "READY", FunctionArn=f"ARNF:F:{name}") for name, amount in configs]
    return "GET", f"{PATH}?List=ALL", None, ok({"ProvisionedConcurrencyConfigs": items})


@pytest.fixture
def published(lam, name):
    return publish(lam, name)


def publish(lam, name):
    """A function with the versions 1 and 2, and the aliases `live` of 1, `next` of 2 and `new` of `$LATEST`."""
    create(lam, name, ECHO)
    lam.publish_version(FunctionName=name)
    lam.update_function_configuration(FunctionName=name, Description="second")
    wait_active(lam, name)
    lam.publish_version(FunctionName=name)
    for alias, version in (("live", "1"), ("next", "2"), ("new", "$LATEST")):
        lam.create_alias(FunctionName=name, Name=alias, FunctionVersion=version)
    return name


WORDS = [
    # What cannot be kept ready.
    put("$LATEST", 1, UNPUBLISHED),
    put("new", 1, UNPUBLISHED),
    ("PUT", "/2019-09-30/functions/nope/provisioned-concurrency?Qualifier=$LATEST", requested(1), UNPUBLISHED),
    get("$LATEST", MUST_BE_PUBLISHED),
    delete("$LATEST", MUST_BE_PUBLISHED),
    put(
        "1",
        0,
        violated(value("'0'", "provisionedConcurrentExecutions", "have value greater than or equal to 1")),
    ),
    # What is not there.
    get("1", NONE),
    get("live", NONE),
    delete("1", GONE),
    listed(),
    put("7", 1, not_found("Function not found: ARNF:F:7")),
    get("7", not_found("Function not found: ARNF:F:7")),
    delete("7", not_found("Function not found: ARNF:F:7")),
    put("nobody", 1, not_found("Cannot find alias arn: ARNF:F:nobody")),
    get("nobody", not_found("Cannot find alias arn: ARNF:F:nobody")),
    delete("nobody", not_found("Cannot find alias arn: ARNF:F:nobody")),
    (
        "GET",
        "/2019-09-30/functions/nope/provisioned-concurrency?Qualifier=live",
        None,
        not_found("Cannot find alias arn: ARNF:nope:live"),
    ),
    (
        "GET",
        "/2019-09-30/functions/nope/provisioned-concurrency?Qualifier=1",
        None,
        not_found("Function not found: ARNF:nope:1"),
    ),
    (
        "GET",
        "/2019-09-30/functions/nope/provisioned-concurrency?List=ALL",
        None,
        not_found("Function not found: ARNF:nope"),
    ),
    (
        "PUT",
        "/2019-09-30/functions/{F}:2/provisioned-concurrency?Qualifier=1",
        requested(1),
        invalid("The derived qualifier from the function name does not match the specified qualifier."),
    ),
    # A life.
    put("1", 3, accepted(3)),
    get("1", ready(3)),
    put("1", 2, accepted(2)),
    get("1", ready(2)),
    put(
        "live",
        1,
        conflict("Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"),
    ),
    put("next", 4, accepted(4)),
    put("2", 1, conflict("Version is pointed by a Provisioned Concurrency alias")),
    listed(("1", 2), ("next", 4)),
    delete("1", GONE),
    delete("1", GONE),
    get("1", NONE),
    listed(("next", 4)),
    ("PUT", FUNCTIONS + "/{F}/aliases/next", {"FunctionVersion": "$LATEST"}, UNPUBLISHED),
    # Reservations hold what is provisioned.
    (
        "PUT",
        RESERVED,
        reserve(3),
        untyped(
            " ReservedConcurrentExecutions  3 should not be lower than function's total provisioned concurrency [4]."
        ),
    ),
    ("PUT", RESERVED, reserve(5), ok(reserve(5))),
    put(
        "1",
        2,
        invalid(
            "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
        ),
    ),
    put("1", 1, accepted(1)),
    # An alias takes it along, and takes it away.
    ("DELETE", FUNCTIONS + "/{F}/aliases/next", None, GONE),
    listed(("1", 1)),
    delete("1", GONE),
    ("DELETE", RESERVED, None, GONE),
]


def test_provisioned_concurrency_is_said_as_recorded(raw, lam, published):
    for row in WORDS:
        play(raw, [row], {"F": published})
        _, _, _, (status, _, _) = row
        if status == 202:
            until(lambda: all_ready(lam, published))


def all_ready(lam, name):
    configs = lam.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"]
    return all(config["Status"] == "READY" for config in configs)


def test_weights_and_provisioned_concurrency_do_not_go_together(raw, lam, published):
    half = {"AdditionalVersionWeights": {"2": 0.5}}
    lam.update_alias(FunctionName=published, Name="live", RoutingConfig=half)
    words = invalid("Alias with weights can not be used with Provisioned Concurrency")
    play(raw, [put("live", 1, words)], {"F": published})


def test_the_account_bounds_what_is_provisioned(raw, server):
    account = "100000000003"
    publish(server.client("lambda", account=account), "F")
    server.client("lambda", account=account).put_function_concurrency(
        FunctionName=create(server.client("lambda", account=account), "G", ECHO)["FunctionName"],
        ReservedConcurrentExecutions=700,
    )
    below = untyped(
        "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its "
        "minimum value of [100]."
    )
    more = "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [{}]."
    rows = [
        put("1", 301, untyped(more.format(300))),
        put("1", 201, below),
        put("1", 200, accepted(200)),
        put("2", 1, below),
        put("2", 101, untyped(more.format(100))),
        ("PUT", "/2017-10-31/functions/G/concurrency", reserve(700), ok(reserve(700))),
        (
            "PUT",
            "/2017-10-31/functions/G/concurrency",
            reserve(701),
            untyped(
                "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
                "below its minimum value of [100]."
            ),
        ),
        delete("1", GONE),
        put("2", 200, accepted(200)),
    ]
    play(raw, rows, {"F": "F"}, account)


def test_all_of_a_reservation_provisioned_leaves_nothing_to_others(raw, lam, published):
    lam.put_function_concurrency(FunctionName=published, ReservedConcurrentExecutions=1)
    lam.put_provisioned_concurrency_config(
        FunctionName=published, Qualifier="live", ProvisionedConcurrentExecutions=1
    )
    invocations = f"{FUNCTIONS}/{published}/invocations"
    refused = throttled()
    assert raw.error("POST", invocations, b"1") == refused
    assert raw.error("POST", f"{invocations}?Qualifier=2", b"1") == refused
    assert raw("POST", f"{invocations}?Qualifier=live", b"1")[2] == b"1"
    # It moves with its alias.
    lam.update_alias(FunctionName=published, Name="live", FunctionVersion="2")
    assert raw("POST", f"{invocations}?Qualifier=live", b"1")[2] == b"1"
    assert raw.error("POST", f"{invocations}?Qualifier=1", b"1") == refused
    lam.delete_alias(FunctionName=published, Name="live")
    assert raw("POST", invocations, b"1")[2] == b"1"


def test_lists_go_on_where_they_were_cut(lam, published):
    for qualifier in ("1", "next"):
        lam.put_provisioned_concurrency_config(
            FunctionName=published, Qualifier=qualifier, ProvisionedConcurrentExecutions=1
        )
    pages = lam.get_paginator("list_provisioned_concurrency_configs").paginate(
        FunctionName=published, PaginationConfig={"PageSize": 1}
    )
    found = [[item["FunctionArn"].split(":")[-1] for item in page["ProvisionedConcurrencyConfigs"]] for page in pages]
    assert found == [["1"], ["next"]]
    with pytest.raises(ClientError, match="Invalid Marker"):
        lam.list_provisioned_concurrency_configs(FunctionName=published, Marker="x")


def test_the_time_of_a_change_is_told_in_whole_seconds(lam, published):
    made = lam.put_provisioned_concurrency_config(
        FunctionName=published, Qualifier="1", ProvisionedConcurrentExecutions=1
    )
    assert len(made["LastModified"]) == len("2026-09-28T09:33:40+0000")
    found = lam.get_provisioned_concurrency_config(FunctionName=published, Qualifier="1")
    assert found["LastModified"] == made["LastModified"]
