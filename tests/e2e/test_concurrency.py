"""Reserved concurrency: what is said of it, and what it does."""

import concurrent.futures
import json
import threading

import pytest

from botocore.exceptions import ClientError
from recorded import ECHO, FUNCTIONS, Raw, invalid, not_found, user, violated, value
from samovar import create, invoke, messages, until
from steps import GONE, answer, ok, play

PUT, GET = "/2017-10-31/functions", "/2019-09-30/functions"
FUNCTION_ONLY = invalid(
    "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please "
    "specify either a function name or an unqualified function ARN."
)
BELOW_MINIMUM = (
    400,
    "InvalidParameterValueException",
    {
        "message": "Specified ReservedConcurrentExecutions for function decreases account's "
        "UnreservedConcurrentExecution below its minimum value of [100]."
    },
)
# Tells that it runs, and stays as long as it is told to.
SLOW = "import time\ndef handler(event, context):\n    print('running')\n    time.sleep(event)\n    return event\n"


def reserve(amount):
    return {"ReservedConcurrentExecutions": amount}


def put(name, amount, expected):
    return "PUT", f"{PUT}/{name}/concurrency", reserve(amount), expected


def throttled(reason="ReservedFunctionConcurrentInvocationLimitExceeded"):
    return (
        429,
        "TooManyRequestsException",
        {"Reason": reason, "Type": "User", "message": "Rate Exceeded."},
    )


RESERVATION = [
    ("GET", GET + "/{F}/concurrency", None, ok({})),
    put("{F}", 0, ok(reserve(0))),
    put("{F}", 1, ok(reserve(1))),
    ("GET", GET + "/{F}/concurrency", None, ok(reserve(1))),
    ("GET", GET + "/000000000000:function:{F}/concurrency", None, ok(reserve(1))),
    # Numbers are made whole and fit to be counted.
    put("{F}", 2.9, ok(reserve(2))),
    put("{F}", 99999999999, BELOW_MINIMUM),
    put("{F}", -1, violated(value("'-1'", "reservedConcurrentExecutions", "have value greater than or equal to 0"))),
    (
        "PUT",
        PUT + "/{F}/concurrency",
        {},
        violated(value("null", "reservedConcurrentExecutions", "not be null")),
    ),
    ("GET", GET + "/{F}/concurrency", None, ok(reserve(2))),
    ("DELETE", PUT + "/{F}/concurrency", None, GONE),
    ("DELETE", PUT + "/{F}/concurrency", None, GONE),
    ("GET", GET + "/{F}/concurrency", None, ok({})),
    # Functions only.
    put("{F}:$LATEST", 1, FUNCTION_ONLY),
    put("{F}:1", 1, FUNCTION_ONLY),
    put("nope:live", 1, FUNCTION_ONLY),
    ("DELETE", PUT + "/{F}:live/concurrency", None, FUNCTION_ONLY),
    # There must be one.
    put("nope", 1, not_found("Function not found: ARNF:nope:$LATEST")),
    put("nope", 99999, not_found("Function not found: ARNF:nope:$LATEST")),
    ("GET", GET + "/nope/concurrency", None, not_found("Function not found: ARNF:nope")),
    ("DELETE", PUT + "/nope/concurrency", None, not_found("Function not found: ARNF:nope")),
]


def test_a_reservation_is_said_as_recorded(raw, lam, name):
    create(lam, name, ECHO)
    play(raw, RESERVATION, {"F": name})


def test_a_function_shows_its_reservation_where_it_is_meant_as_a_whole(raw, lam, name):
    create(lam, name, ECHO)
    latest = answer(raw, "GET", f"{FUNCTIONS}/{name}/configuration")[2]["RevisionId"]
    assert "Concurrency" not in answer(raw, "GET", f"{FUNCTIONS}/{name}")[2]
    lam.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    assert answer(raw, "GET", f"{FUNCTIONS}/{name}")[2]["Concurrency"] == reserve(0)
    for path in (f"{name}:$LATEST", f"{name}?Qualifier=$LATEST"):
        assert "Concurrency" not in answer(raw, "GET", f"{FUNCTIONS}/{path}")[2]
    assert answer(raw, "GET", f"{FUNCTIONS}/{name}/configuration")[2]["RevisionId"] == latest


def test_a_hundred_of_an_account_stay_unreserved(raw, server):
    account = "100000000001"
    lam = server.client("lambda", account=account)
    for function in "fgh":
        create(lam, function, ECHO)
    rows = [
        put("f", 900, ok(reserve(900))),
        put("f", 901, BELOW_MINIMUM),
        put("g", 1, BELOW_MINIMUM),
        put("g", 0, ok(reserve(0))),
        put("f", 500, ok(reserve(500))),
        put("g", 400, ok(reserve(400))),
        put("h", 1, BELOW_MINIMUM),
        put("f", 501, BELOW_MINIMUM),
        ("DELETE", PUT + "/g/concurrency", None, GONE),
        put("h", 400, ok(reserve(400))),
        ("DELETE", FUNCTIONS + "/h", None, GONE),
        put("g", 400, ok(reserve(400))),
    ]
    play(raw, rows, {}, account)


def test_many_who_reserve_at_once_leave_a_hundred(server):
    lam = server.client("lambda", account="100000000002")
    names = [f"f{number}" for number in range(24)]
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        list(pool.map(lambda name: create(lam, name, ECHO), names))

        def reserved(name):
            try:
                lam.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=90)
                return True
            except ClientError as error:
                assert "below its minimum value of [100]" in str(error)
                return False

        assert sum(pool.map(reserved, names)) == 10
    assert lam.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == 100


def test_zero_stops_a_function_at_once(raw, lam, name):
    create(lam, name, ECHO)
    path = f"{FUNCTIONS}/{name}/invocations"
    for _ in range(5):
        lam.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        assert raw.error("POST", path, b"1") == throttled()
        lam.delete_function_concurrency(FunctionName=name)
        assert raw("POST", path, b"1")[2] == b"1"


def busy(server, name, seconds):
    """Invokes in the background; returns when the function says that it runs."""
    lam = server.client("lambda")
    before = len(running(server, name))
    thread = threading.Thread(target=invoke, args=(lam, name, seconds))
    thread.start()
    until(lambda: len(running(server, name)) > before)
    return thread


def running(server, name):
    return [message for message in messages(server.client("logs"), name) if message == "running\n"]


def test_one_runs_one_at_a_time(raw, server, lam, name):
    create(lam, name, SLOW, Timeout=30)
    path = f"{FUNCTIONS}/{name}/invocations"
    lam.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    thread = busy(server, name, 3)
    assert raw.error("POST", path, b"0") == throttled()
    # Room for another one, and none for a third.
    lam.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=2)
    assert raw("POST", path, b"0")[2] == b"0"
    lam.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    assert raw.error("POST", path, b"0") == throttled()
    thread.join()
    assert until(lambda: raw("POST", path, b"0")[0] == 200)


def test_what_one_function_uses_others_cannot(fresh, name):
    server = fresh("--concurrency", "1")
    lam = server.client("lambda")
    create(lam, "slow", SLOW, Timeout=30)
    create(lam, "other", ECHO)
    raw, thread = Raw(server), busy(server, "slow", 3)
    refused = throttled("ConcurrentInvocationLimitExceeded")
    assert raw.error("POST", f"{FUNCTIONS}/other/invocations", b"1") == refused
    # A small account has nothing to reserve, but it can stop a function.
    words = BELOW_MINIMUM[2]["message"].replace("[100]", "[1]")
    rows = [
        put("other", 1, (*BELOW_MINIMUM[:2], {"message": words})),
        put("other", 0, ok(reserve(0))),
        ("POST", FUNCTIONS + "/other/invocations", b"1", throttled()),
    ]
    thread.join()
    until(lambda: raw("POST", f"{FUNCTIONS}/other/invocations", b"1")[0] == 200)
    play(raw, rows, {})


def test_reservations_outlive_the_server(fresh):
    server = fresh()
    lam = server.client("lambda")
    create(lam, "f", ECHO)
    lam.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    server.kill()
    server.start()
    with pytest.raises(ClientError) as caught:
        invoke(lam, "f", 1)
    assert caught.value.response["Error"]["Code"] == "TooManyRequestsException"
    assert json.dumps(caught.value.response).count("ReservedFunctionConcurrentInvocationLimitExceeded") == 1
