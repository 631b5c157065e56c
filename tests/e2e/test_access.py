"""Who may do what: accounts, functions and their roles under the policies of what they ask for."""

import json

import botocore.exceptions
import pytest

from recorded import ECHO
from samovar import ACCOUNT, PYTHON, REGION, create, invoke, wait_active, zip_of

OTHER = "111111111111"
ARNF = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:"


def denied(call, **arguments):
    """The text of a refusal, which has nothing else to tell."""
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        call(**arguments)
    answer = refused.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert answer["Error"]["Code"] == "AccessDeniedException"
    return answer["Error"]["Message"]


def not_allowed(resource, action="lambda:InvokeFunction", user=f"arn:aws:iam::{OTHER}:root"):
    return (
        f"User: {user} is not authorized to perform: {action} on resource: {resource} because no resource-based policy "
        f"allows the {action} action"
    )


def forbidden(resource, action="lambda:InvokeFunction", user=f"arn:aws:iam::{ACCOUNT}:root"):
    return (
        f"User: {user} is not authorized to perform: {action} on resource: {resource} with an explicit deny in a "
        "resource-based policy"
    )


def allow(lam, name, principal=OTHER, sid="s", action="lambda:InvokeFunction", **more):
    lam.add_permission(FunctionName=name, StatementId=sid, Action=action, Principal=principal, **more)


def deny(lam, arn, action="lambda:*", principal="*"):
    statement = {"Effect": "Deny", "Principal": principal, "Action": action, "Resource": "*"}
    lam.put_resource_policy(ResourceArn=arn, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


@pytest.fixture
def other(server):
    """Somebody else's account."""
    return server.client("lambda", account=OTHER)


def test_another_account_invokes_what_it_was_granted(lam, other, aliased):
    arn = ARNF + aliased
    assert denied(other.invoke, FunctionName=arn) == not_allowed(arn)
    assert denied(other.invoke, FunctionName=arn, InvocationType="DryRun") == not_allowed(arn)
    allow(lam, aliased)
    assert invoke(other, arn, {"a": 1})["payload"] == {"a": 1}
    assert other.invoke(FunctionName=arn, InvocationType="DryRun")["StatusCode"] == 204
    assert invoke(other, f"{ACCOUNT}:function:{aliased}", 7)["payload"] == 7
    assert denied(other.get_function, FunctionName=arn) == not_allowed(arn, "lambda:GetFunction")
    lam.remove_permission(FunctionName=aliased, StatementId="s")
    assert denied(other.invoke, FunctionName=arn) == not_allowed(arn)


@pytest.mark.parametrize("granted", [None, "1", "live"])
def test_a_grant_covers_the_very_resource_and_no_other(lam, other, aliased, granted):
    allow(lam, aliased, **({"Qualifier": granted} if granted else {}))
    for qualifier in [None, "$LATEST", "1", "live"]:
        arn = ARNF + aliased + (f":{qualifier}" if qualifier else "")
        beside = {"FunctionName": ARNF + aliased, **({"Qualifier": qualifier} if qualifier else {})}
        if qualifier == granted:
            assert invoke(other, arn, 1)["payload"] == 1
            assert other.invoke(**beside)["StatusCode"] == 200
        else:
            assert denied(other.invoke, FunctionName=arn) == not_allowed(arn)
            assert denied(other.invoke, **beside) == not_allowed(arn)


def test_what_is_not_there_is_nothing_that_others_may_know_of(lam, other, aliased):
    for name in ["nope", f"{aliased}:42", f"{aliased}:other"]:
        assert denied(other.invoke, FunctionName=ARNF + name) == not_allowed(ARNF + name)


def test_other_actions_are_granted_too(lam, other, aliased):
    arn = ARNF + aliased
    allow(lam, aliased, action="lambda:GetFunction")
    assert other.get_function(FunctionName=arn)["Configuration"]["FunctionArn"] == arn
    assert denied(other.invoke, FunctionName=arn) == not_allowed(arn)
    delete = not_allowed(arn, "lambda:DeleteFunction")
    assert denied(other.delete_function, FunctionName=arn) == delete
    permit = not_allowed(arn, "lambda:AddPermission")
    grant = dict(StatementId="t", Action="lambda:*", Principal=OTHER)
    assert denied(other.add_permission, FunctionName=arn, **grant) == permit
    allow(lam, aliased, sid="all", action="lambda:*")
    other.update_function_configuration(FunctionName=arn, Description="by another")
    wait_active(lam, aliased)
    assert lam.get_function_configuration(FunctionName=aliased)["Description"] == "by another"


def test_conditions_on_the_caller_hold(lam, other, aliased):
    arn = ARNF + aliased
    allow(lam, aliased, sid="a", SourceAccount=OTHER)
    allow(lam, aliased, sid="b", SourceArn="arn:aws:s3:::*")
    allow(lam, aliased, sid="c", PrincipalOrgID="o-1234567890", principal="*")
    allow(lam, aliased, sid="d", InvokedViaFunctionUrl=True, principal="*")
    allow(lam, aliased, sid="e", principal="s3.amazonaws.com")
    assert denied(other.invoke, FunctionName=arn) == not_allowed(arn)
    allow(lam, aliased, sid="f", InvokedViaFunctionUrl=False)
    assert invoke(other, arn, 1)["payload"] == 1


def test_members_of_an_organization_are_let_in(fresh):
    server = fresh("--organization", "o-1234567890")
    lam, other = server.client("lambda"), server.client("lambda", account=OTHER)
    create(lam, "f", ECHO)
    allow(lam, "f", sid="a", PrincipalOrgID="o-1234567891", principal="*")
    assert denied(other.invoke, FunctionName=ARNF + "f") == not_allowed(ARNF + "f")
    allow(lam, "f", sid="b", PrincipalOrgID="o-1234567890", principal="*")
    assert invoke(other, ARNF + "f", 1)["payload"] == 1


def test_a_denial_binds_the_owner_who_can_still_lift_it(lam, other, aliased):
    arn = ARNF + aliased
    deny(lam, arn)
    assert denied(lam.invoke, FunctionName=aliased) == forbidden(arn)
    assert denied(lam.get_function, FunctionName=aliased) == forbidden(arn, "lambda:GetFunction")
    assert denied(lam.delete_function, FunctionName=aliased) == forbidden(arn, "lambda:DeleteFunction")
    assert denied(other.invoke, FunctionName=arn) == forbidden(arn, user=f"arn:aws:iam::{OTHER}:root")
    assert invoke(lam, f"{aliased}:live", 1)["payload"] == 1, "an alias has a policy of its own"
    assert lam.get_resource_policy(ResourceArn=arn)["Policy"]
    lam.delete_resource_policy(ResourceArn=arn)
    assert invoke(lam, aliased, 1)["payload"] == 1


def test_a_denial_may_be_for_some_only(lam, other, aliased):
    arn = ARNF + aliased
    statements = [
        {"Effect": "Allow", "Principal": "*", "Action": "lambda:Invoke*", "Resource": arn},
        {"Effect": "Deny", "NotPrincipal": {"AWS": [ACCOUNT]}, "NotAction": "lambda:InvokeFunction", "Resource": "*"},
    ]
    lam.put_resource_policy(ResourceArn=arn, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    assert invoke(other, arn, 1)["payload"] == 1
    expected = forbidden(arn, "lambda:GetFunction", f"arn:aws:iam::{OTHER}:root")
    assert denied(other.get_function, FunctionName=arn) == expected
    assert lam.get_function(FunctionName=aliased)


def test_verified_keys_of_two_accounts_are_told_apart(fresh):
    keys = f"AKIAOWNER00000000000:one,{OTHER}/AKIAOTHER00000000000:two"
    server = fresh("--require-keys", env={"SAMOVAR_KEYS": keys})
    lam = server.client("lambda", account="AKIAOWNER00000000000", secret="one")
    other = server.client("lambda", account="AKIAOTHER00000000000", secret="two")
    create(lam, "f", ECHO)
    assert lam.get_function(FunctionName="f")["Configuration"]["FunctionArn"] == ARNF + "f"
    assert other.list_functions()["Functions"] == []
    assert denied(other.invoke, FunctionName=ARNF + "f") == not_allowed(ARNF + "f")
    allow(lam, "f")
    assert invoke(other, ARNF + "f", 1)["payload"] == 1
    forged = server.client("lambda", account="AKIAOTHER00000000000", secret="three")
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        forged.invoke(FunctionName=ARNF + "f")
    assert refused.value.response["Error"]["Code"] == "InvalidSignatureException"


CALLER = """
import boto3, botocore.exceptions

def handler(event, context):
    try:
        answer = boto3.client("lambda").invoke(FunctionName=event, Payload=b"1")
        return answer["Payload"].read().decode()
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Message"]
"""


@pytest.mark.parametrize(
    "principal",
    [OTHER, f"arn:aws:iam::{OTHER}:role/service/caller", f"arn:aws:sts::{OTHER}:assumed-role/caller/NAME"],
)
def test_a_function_asks_with_its_role(lam, other, aliased, name, principal):
    arn, caller = ARNF + aliased, f"caller-{name}"[:64]
    other.create_function(
        FunctionName=caller,
        Runtime=PYTHON,
        Handler="index.handler",
        Role=f"arn:aws:iam::{OTHER}:role/service/caller",
        Timeout=30,
        Code={"ZipFile": zip_of({"index.py": CALLER})},
    )
    wait_active(other, caller)
    session = f"arn:aws:sts::{OTHER}:assumed-role/caller/{caller}"
    assert invoke(other, caller, arn)["payload"] == not_allowed(arn, user=session)
    allow(lam, aliased, principal=f"arn:aws:iam::{OTHER}:role/another", sid="another")
    assert invoke(other, caller, arn)["payload"] == not_allowed(arn, user=session)
    allow(lam, aliased, principal=principal.replace("NAME", caller))
    assert invoke(other, caller, arn)["payload"] == "1"
