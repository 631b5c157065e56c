"""How runtimes are managed, what becomes of recursion, and scaling that Samovar has no instances for."""

import json
import threading

import pytest

from botocore.exceptions import ClientError
from recorded import ECHO, FUNCTIONS, busy, invalid, not_found, value, violated
from samovar import NODE, create, until, wait_active
from steps import answer, ok, play

RUNTIME = "/2021-07-20/functions/{}/runtime-management-config"
RECURSION = "/2024-08-31/functions/{}/recursion-config"
SCALING = "/2025-11-30/functions/{}/function-scaling-config?Qualifier={}"
UNQUALIFIED = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?"
    r"([a-zA-Z0-9-_]+)"
)
NO_PROVIDER = (
    403,
    "AccessDeniedException",
    {"Message": "The function provided by the arn does not contain a capacity provider configuration"},
)


def recursion(text):
    return ok({"RecursiveLoop": text})


RECURSIONS = [
    ("GET", RECURSION.format("{F}"), None, recursion("Terminate")),
    ("PUT", RECURSION.format("{F}"), {"RecursiveLoop": "Allow"}, recursion("Allow")),
    ("GET", RECURSION.format("{F}"), None, recursion("Allow")),
    ("PUT", RECURSION.format("{F}"), {"RecursiveLoop": "Terminate"}, recursion("Terminate")),
    ("GET", RECURSION.format("{F}"), None, recursion("Terminate")),
    (
        "PUT",
        RECURSION.format("{F}"),
        {"RecursiveLoop": "maybe"},
        violated(value("'maybe'", "recursiveLoop", "satisfy enum value set: [Allow, Terminate]")),
    ),
    ("PUT", RECURSION.format("{F}"), {}, violated(value("null", "recursiveLoop", "not be null"))),
    (
        "GET",
        RECURSION.format("{F}:live"),
        None,
        violated(value("'F:live'", "functionName", f"satisfy regular expression pattern: {UNQUALIFIED}")),
    ),
    ("GET", RECURSION.format("nope"), None, not_found("Function not found: ARNF:nope")),
    ("PUT", RECURSION.format("nope"), {"RecursiveLoop": "Allow"}, not_found("Function not found: ARNF:nope")),
]

SCALINGS = [
    # Functions without instances of their own have nothing to scale.
    ("PUT", SCALING.format("{F}", "1"), {"FunctionScalingConfig": {"MinExecutionEnvironments": 1}}, NO_PROVIDER),
    ("PUT", SCALING.format("{F}", "$LATEST.PUBLISHED"), {}, NO_PROVIDER),
    ("GET", SCALING.format("{F}", "1"), None, NO_PROVIDER),
    ("GET", SCALING.format("{F}", "7"), None, not_found("Function not found: ARNF:F:7")),
    ("PUT", SCALING.format("nope", "1"), {}, not_found("Function not found: ARNF:nope:1")),
    (
        "GET",
        SCALING.format("{F}", "live"),
        None,
        violated(
            value("'live'", "qualifier", r"satisfy regular expression pattern: (\$LATEST\.PUBLISHED|[0-9]+)")
        ),
    ),
    (
        "PUT",
        SCALING.format("{F}", "1"),
        {"FunctionScalingConfig": {"MaxExecutionEnvironments": 15001}},
        violated(
            value(
                "'15001'",
                "functionScalingConfig.maxExecutionEnvironments",
                "have value less than or equal to 15000",
            )
        ),
    ),
]


@pytest.mark.parametrize("rows", [RECURSIONS, SCALINGS], ids=["recursion", "scaling"])
def test_settings_are_said_as_recorded(raw, lam, name, rows):
    create(lam, name, ECHO)
    lam.publish_version(FunctionName=name)
    play(raw, rows, {"F": name})


def managed(mode, arn="ARNF:F", **more):
    return ok({"UpdateRuntimeOn": mode, "FunctionArn": arn, **more})


def missing(qualifier=""):
    return not_found(f"Function not found: ARNF:nope{qualifier}")


def test_runtime_management_is_said_as_recorded(raw, lam, name):
    create(lam, name, ECHO)
    lam.publish_version(FunctionName=name)
    lam.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    path, one = RUNTIME.format("{F}"), RUNTIME.format("{F}") + "?Qualifier=1"
    rows = [
        ("GET", path, None, managed("Auto")),
        ("GET", path + "?Qualifier=$LATEST", None, managed("Auto", "ARNF:F:$LATEST")),
        ("GET", one, None, managed("Auto", "ARNF:F:1")),
        # A version keeps its own.
        ("PUT", one, {"UpdateRuntimeOn": "FunctionUpdate"}, managed("FunctionUpdate", "ARNF:F:1")),
        ("GET", one, None, managed("FunctionUpdate", "ARNF:F:1")),
        ("GET", path, None, managed("Auto")),
        ("PUT", one, {"UpdateRuntimeOn": "Auto"}, managed("Auto", "ARNF:F:1")),
        ("GET", one, None, managed("Auto", "ARNF:F:1")),
        # What is not there.
        ("GET", RUNTIME.format("nope"), None, missing()),
        ("PUT", RUNTIME.format("nope:1"), {"UpdateRuntimeOn": "Auto"}, missing(":1")),
        ("GET", path + "?Qualifier=7", None, not_found("Function not found: ARNF:F:7")),
        ("GET", path + "?Qualifier=live", None, not_found("Function not found: ARNF:F:live")),
        # Words of ours: nothing is recorded.
        (
            "PUT",
            path,
            {"UpdateRuntimeOn": "Manual"},
            invalid("RuntimeVersionArn is required when UpdateRuntimeOn is Manual."),
        ),
        (
            "PUT",
            path,
            {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": "arn:aws:lambda:us-east-1::runtime:other"},
            invalid(
                "The runtime version arn:aws:lambda:us-east-1::runtime:other is not available: Samovar runs this "
                "function with arn:aws:lambda:us-east-1::runtime:<hash>."
            ),
        ),
    ]
    play(raw, rows, {"F": name})


def test_a_change_for_the_latest_version_is_an_update(raw, lam, name):
    create(lam, name, ECHO)
    before = lam.get_function_configuration(FunctionName=name)
    path, change = RUNTIME.format("{F}"), {"UpdateRuntimeOn": "FunctionUpdate"}
    told = []

    def once():
        status, code, body = answer(raw, "PUT", path.format(F=name), change)
        told.append((status, code, json.loads(json.dumps(body).replace(name, "F"))))

    def race():
        """Whether a call came while another's update was under way."""
        calls = [threading.Thread(target=once) for _ in range(4)]
        for call in calls:
            call.start()
        for call in calls:
            call.join()
        wait_active(lam, name)
        return busy("F") in told

    until(race, 60)
    assert all(one in (busy("F"), managed("FunctionUpdate")) for one in told), told
    after = lam.get_function_configuration(FunctionName=name)
    assert after["RevisionId"] != before["RevisionId"]
    play(raw, [("GET", path, None, managed("FunctionUpdate"))], {"F": name})


def test_a_runtime_version_that_is_set_by_hand_stays(raw, lam, name):
    create(lam, name, ECHO)
    arn = lam.get_function_configuration(FunctionName=name)["RuntimeVersionConfig"]["RuntimeVersionArn"]
    put = lam.put_runtime_management_config(FunctionName=name, UpdateRuntimeOn="Manual", RuntimeVersionArn=arn)
    assert put["RuntimeVersionArn"] == arn
    wait_active(lam, name)
    kept = lam.get_runtime_management_config(FunctionName=name)
    assert (kept["UpdateRuntimeOn"], kept["RuntimeVersionArn"]) == ("Manual", arn)
    assert lam.get_function_configuration(FunctionName=name)["RuntimeVersionConfig"] == {"RuntimeVersionArn": arn}
    with pytest.raises(ClientError, match="Set UpdateRuntimeOn to Auto or FunctionUpdate"):
        lam.update_function_configuration(FunctionName=name, Runtime=NODE)
    lam.put_runtime_management_config(FunctionName=name, UpdateRuntimeOn="Auto")
    wait_active(lam, name)
    lam.update_function_configuration(FunctionName=name, Runtime=NODE)
    wait_active(lam, name)
    changed = lam.get_function_configuration(FunctionName=name)["RuntimeVersionConfig"]["RuntimeVersionArn"]
    assert changed != arn
