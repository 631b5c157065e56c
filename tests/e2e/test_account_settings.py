"""GetAccountSettings, and the limit on all archives."""

import pytest

from botocore.exceptions import ClientError
from recorded import ECHO, Raw, user
from samovar import ROLE, PYTHON, create, wait_active, zip_of
from steps import answer

PATH = "/2016-08-19/account-settings"
GIB = 1024 * 1024 * 1024


def settings(limit=300 * GIB, concurrency=1000, unreserved=1000, code=0, functions=0):
    limits = {
        "TotalCodeSize": limit,
        "CodeSizeUnzipped": 262144000,
        "CodeSizeZipped": 52428800,
        "ConcurrentExecutions": concurrency,
        "UnreservedConcurrentExecutions": unreserved,
    }
    return 200, None, {"AccountLimit": limits, "AccountUsage": {"TotalCodeSize": code, "FunctionCount": functions}}


def test_an_account_is_told_its_limits_and_what_it_uses(raw, server):
    account = "100000000004"
    lam = server.client("lambda", account=account)

    def told():
        return answer(raw, "GET", PATH, account=account)

    assert told() == settings()
    size = create(lam, "f", ECHO)["CodeSize"]
    create(lam, "g", ECHO)
    assert told() == settings(code=2 * size, functions=2)
    # Each published version counts its archive again; what changes no code does not.
    lam.publish_version(FunctionName="f")
    lam.publish_version(FunctionName="f")
    assert told() == settings(code=3 * size, functions=2)
    lam.update_function_configuration(FunctionName="f", Description="other")
    wait_active(lam, "f")
    assert told() == settings(code=3 * size, functions=2)
    larger = zip_of({"index.py": ECHO, "more.txt": "more"})
    lam.update_function_code(FunctionName="f", ZipFile=larger)
    wait_active(lam, "f")
    assert told() == settings(code=2 * size + len(larger), functions=2)
    # Layers count, each version on its own.
    used = 2 * size + len(larger)
    for number in (1, 2):
        lam.publish_layer_version(LayerName="l", Content={"ZipFile": larger})
        assert told() == settings(code=used + number * len(larger), functions=2)
    lam.delete_layer_version(LayerName="l", VersionNumber=1)
    lam.delete_layer_version(LayerName="l", VersionNumber=2)
    # Reservations.
    lam.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=30)
    lam.put_function_concurrency(FunctionName="g", ReservedConcurrentExecutions=40)
    assert told() == settings(unreserved=930, code=used, functions=2)
    lam.delete_function_concurrency(FunctionName="f")
    lam.delete_function(FunctionName="f")
    assert told() == settings(unreserved=960, code=size, functions=1)
    # Other accounts and regions are on their own.
    assert answer(raw, "GET", PATH, account="100000000005") == settings()
    there = server.client("lambda", account=account, region="eu-west-1")
    assert there.get_account_settings()["AccountUsage"] == {"TotalCodeSize": 0, "FunctionCount": 0}
    lam.delete_function(FunctionName="g")
    assert told() == settings()


def test_usage_is_known_after_a_restart(fresh):
    server = fresh("--concurrency", "250")
    lam = server.client("lambda")
    size = create(lam, "f", ECHO)["CodeSize"]
    lam.publish_version(FunctionName="f")
    lam.publish_layer_version(LayerName="l", Content={"ZipFile": zip_of({"index.py": ECHO})})
    lam.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=150)
    expected = settings(concurrency=250, unreserved=100, code=3 * size, functions=1)
    assert answer(Raw(server), "GET", PATH) == expected
    server.kill()
    server.start()
    assert answer(Raw(server), "GET", PATH) == expected


def test_archives_stay_within_their_limit(fresh):
    archive = zip_of({"index.py": ECHO})
    server = fresh("--code-storage", str(2 * len(archive) + 1))
    lam, raw = server.client("lambda"), Raw(server)
    full = (400, "CodeStorageExceededException", user("message", "Code storage limit exceeded."))

    def refusal(operation, **arguments):
        with pytest.raises(ClientError) as caught:
            getattr(lam, operation)(**arguments)
        response = caught.value.response
        found = {key: response[key] for key in ("Type", "message")}
        return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], found

    create(lam, "f", ECHO)
    lam.publish_version(FunctionName="f")
    new = {"Runtime": PYTHON, "Handler": "index.handler", "Role": ROLE, "Code": {"ZipFile": archive}}
    assert refusal("create_function", FunctionName="g", **new) == full
    # Nothing new: no room is needed.
    assert lam.publish_version(FunctionName="f")["Version"] == "1"
    lam.update_function_code(FunctionName="f", ZipFile=archive)
    wait_active(lam, "f")
    assert refusal("publish_version", FunctionName="f") == full
    more = zip_of({"index.py": ECHO, "more.txt": "more"})
    assert refusal("update_function_code", FunctionName="f", ZipFile=more) == full
    assert refusal("publish_layer_version", LayerName="l", Content={"ZipFile": more}) == full
    lam.delete_function(FunctionName="f", Qualifier="1")
    assert lam.publish_version(FunctionName="f")["Version"] == "2"
    assert answer(raw, "GET", PATH)[2]["AccountLimit"]["TotalCodeSize"] == 2 * len(archive) + 1
