"""Resource policies against recorded answers, whole: statements as AddPermission makes them, documents as
PutResourcePolicy takes them, and how both live with what they are of."""

import json
import re
import urllib.parse

import pytest

from recorded import ARNF, ECHO, FUNCTIONS, UUID, invalid, not_found, user, value, violated
from samovar import create

POLICIES = "/2026-07-09/resource-policy"
STALE = "The Revision Id provided does not match the latest Revision Id. Call the {} API to retrieve the latest Revision Id"
GONE = not_found("The resource you requested does not exist.")
EMPTY = (204, {}, b"")
NONE = "00000000-0000-0000-0000-000000000000"


def path(name, qualifier=None, sid=None):
    query = f"?Qualifier={qualifier}" if qualifier else ""
    return f"{FUNCTIONS}/{name}/policy{'/' + sid if sid else ''}{query}"


def whole(name):
    return f"{POLICIES}/{urllib.parse.quote(ARNF + name, safe='')}"


def grant(sid, **more):
    return {"StatementId": sid, "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com", **more}


def read(raw, name, qualifier=None):
    """The document's text and its revision."""
    status, headers, body = raw("GET", path(name, qualifier))
    assert (status, headers) == (200, {"content-type": "application/json"}), body
    answer = json.loads(body)
    assert list(answer) == ["Policy", "RevisionId"] and re.fullmatch(UUID, answer["RevisionId"])
    return answer["Policy"], answer["RevisionId"]


PRINCIPALS = [
    ("s3.amazonaws.com", {"Service": "s3.amazonaws.com"}),
    ("alexa-appkit.amazon.com", {"Service": "alexa-appkit.amazon.com"}),
    ("*", "*"),
    ("111111111111", {"AWS": "arn:aws:iam::111111111111:root"}),
    ("arn:aws:iam::111111111111:role/path/r", {"AWS": "arn:aws:iam::111111111111:role/path/r"}),
]
CONDITIONS = [
    ({}, None),
    ({"SourceArn": "arn:aws:s3:::b"}, {"ArnLike": {"AWS:SourceArn": "arn:aws:s3:::b"}}),
    (
        {"SourceArn": "arn:aws:s3:::b", "SourceAccount": "111111111111"},
        {"StringEquals": {"AWS:SourceAccount": "111111111111"}, "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::b"}},
    ),
    ({"EventSourceToken": "amzn1.ask-1_2"}, {"StringEquals": {"lambda:EventSourceToken": "amzn1.ask-1_2"}}),
    ({"PrincipalOrgID": "o-1234567890"}, {"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}}),
    (
        {"FunctionUrlAuthType": "NONE", "Action": "lambda:InvokeFunctionUrl"},
        {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}},
    ),
    (
        {
            "FunctionUrlAuthType": "NONE", "Action": "lambda:InvokeFunctionUrl", "PrincipalOrgID": "o-1234567890",
            "SourceArn": "arn:aws:s3:::b", "SourceAccount": "111111111111",
        },
        {
            "StringEquals": {
                "AWS:SourceAccount": "111111111111", "lambda:FunctionUrlAuthType": "NONE",
                "aws:PrincipalOrgID": "o-1234567890",
            },
            "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::b"},
        },
    ),
    ({"InvokedViaFunctionUrl": True}, {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}),
    ({"Action": "lambda:DefinitelyNotReal"}, None),
]


def test_statements_have_the_recorded_form(raw, aliased):
    requests = [grant(f"p{n}", Principal=text) for n, (text, _) in enumerate(PRINCIPALS)]
    requests += [grant(f"c{n}", Principal="*", **more) for n, (more, _) in enumerate(CONDITIONS)]
    expected = [(principal, None) for _, principal in PRINCIPALS] + [("*", condition) for _, condition in CONDITIONS]
    texts = []
    for request, (principal, condition) in zip(requests, expected):
        statement = {
            "Sid": request["StatementId"],
            "Effect": "Allow",
            "Principal": principal,
            "Action": request["Action"],
            "Resource": ARNF + aliased,
            **({"Condition": condition} if condition else {}),
        }
        texts.append(json.dumps(statement, separators=(",", ":")))
        status, headers, body = raw("POST", path(aliased), request)
        assert (status, headers) == (201, {"content-type": "application/json"})
        assert json.loads(body) == {"Statement": texts[-1]}
    document = f'{{"Version":"2012-10-17","Id":"default","Statement":[{",".join(texts)}]}}'
    assert read(raw, aliased)[0] == document
    status, headers, body = raw("GET", whole(aliased))
    assert (status, headers) == (200, {"content-type": "application/json"})
    assert json.loads(body)["Policy"] == document


@pytest.mark.parametrize("qualifier", [None, "1", "live"])
def test_each_qualifier_has_a_policy_of_its_own(raw, aliased, qualifier):
    assert raw.error("GET", path(aliased, qualifier)) == GONE
    status, _, body = raw("POST", path(aliased, qualifier), grant("s"))
    assert status == 201
    resource = ARNF + aliased + (f":{qualifier}" if qualifier else "")
    assert json.loads(json.loads(body)["Statement"])["Resource"] == resource
    for other in {None, "1", "live", "$LATEST"} - {qualifier}:
        assert raw.error("GET", path(aliased, other)) == GONE, other
    assert raw("DELETE", path(aliased, qualifier, "s")) == EMPTY
    assert raw.error("GET", path(aliased, qualifier)) == GONE


def test_names_carry_qualifiers_in_every_form(raw, aliased):
    for number, form in enumerate([f"{aliased}:live", f"function:{aliased}:live", ARNF + f"{aliased}:live"]):
        assert raw("POST", f"{FUNCTIONS}/{urllib.parse.quote(form, safe='')}/policy", grant(f"s{number}"))[0] == 201
    statements = json.loads(read(raw, aliased, "live")[0])["Statement"]
    assert [statement["Sid"] for statement in statements] == ["s0", "s1", "s2"]


REFUSED = [
    ("POST", "nope", None, grant("s"), not_found("Function not found: ARNF:nope")),
    ("POST", "nope", "live", grant("s"), not_found("Function not found: ARNF:nope:live")),
    ("POST", "F", "42", grant("s"), not_found("Function not found: ARNF:F:42")),
    ("POST", "F", "other", grant("s"), not_found("Cannot find alias arn: ARNF:F:other")),
    ("POST", "F", "$LATEST", grant("s"), invalid("We currently do not support adding policies for $LATEST.")),
    ("POST", "F:$LATEST", None, grant("s"), invalid("We currently do not support adding policies for $LATEST.")),
    (
        "POST",
        "F:1",
        "2",
        grant("s"),
        invalid("The derived qualifier from the function name does not match the specified qualifier."),
    ),
    *(
        (
            "POST",
            "F",
            None,
            grant("s", Principal=principal),
            invalid("The provided principal was invalid. Please check the principal and try again."),
        )
        for principal in ["invalid.nonaws.com", "12345678901", "arn:aws:iam::1:root", "me", "**"]
    ),
    (
        "POST",
        "F",
        None,
        grant("s", FunctionUrlAuthType="NONE"),
        invalid("FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action"),
    ),
    (
        "POST",
        "F",
        None,
        grant("a b"),
        violated(value("'a b'", "statementId", "satisfy regular expression pattern: ([a-zA-Z0-9-_]+)")),
    ),
    (
        "POST",
        "F",
        None,
        grant("s", Action="s3:GetObject"),
        violated(
            value("'s3:GetObject'", "action", "satisfy regular expression pattern: (lambda:[*]|lambda:[a-zA-Z]+|[*])")
        ),
    ),
    ("GET", "nope", None, b"", GONE),
    ("GET", "F", None, b"", GONE),
    ("GET", "F", "42", b"", GONE),
    ("GET", "F", "other", b"", GONE),
    ("GET", "F", "$LATEST", b"", GONE),
    ("DELETE", "nope", None, "s", not_found("No policy found for: ARNF:nope")),
    ("DELETE", "F", None, "s", not_found("No policy is associated with the given resource.")),
    ("DELETE", "F", "1", "s", not_found("No policy is associated with the given resource.")),
    ("DELETE", "F", "other", "s", not_found("Cannot find alias arn: ARNF:F:other")),
]


def test_what_is_refused_is_told_in_recorded_words(raw, aliased):
    for method, name, qualifier, body, expected in REFUSED:
        name = name.replace("F", aliased)
        at = path(name, qualifier, body) if method == "DELETE" else path(name, qualifier)
        answer = raw.error(method, at, b"" if method == "DELETE" else body)
        assert json.loads(json.dumps(answer).replace(ARNF, "ARNF:").replace(f"ARNF:{aliased}", "ARNF:F")) == list(
            json.loads(json.dumps(expected))
        ), (method, name, qualifier, body)


def test_statement_ids_are_told_before_revisions(raw, aliased):
    def stale(sid):
        return raw.error("POST", path(aliased), grant(sid, RevisionId=NONE))

    conflict = (
        "The statement id (s) provided already exists. Please provide a new statement id, or remove the existing "
        "statement."
    )
    old = (412, "PreconditionFailedException", user("message", STALE.format("GetPolicy")))
    assert stale("s") == old, "there is no policy that anybody could have seen"
    assert raw("POST", path(aliased), grant("s"))[0] == 201
    assert stale("s") == (409, "ResourceConflictException", user("message", conflict))
    assert stale("t") == old
    assert raw.error("DELETE", f"{path(aliased, sid='t')}?RevisionId={NONE}") == not_found(
        "Statement t is not found in resource policy."
    )
    assert raw.error("DELETE", f"{path(aliased, sid='s')}?RevisionId={NONE}") == old
    _, revision = read(raw, aliased)
    assert raw("POST", path(aliased), grant("t", RevisionId=revision))[0] == 201
    assert raw.error("POST", path(aliased), grant("u", RevisionId=revision)) == old
    _, revision = read(raw, aliased)
    assert raw("DELETE", f"{path(aliased, sid='s')}?RevisionId={revision}") == EMPTY


def test_a_policy_moves_no_function(raw, lam, aliased):
    before = lam.get_function_configuration(FunctionName=aliased)
    raw("POST", path(aliased), grant("s"))
    raw("POST", path(aliased, "live"), grant("s"))
    after = lam.get_function_configuration(FunctionName=aliased)
    for answer in before, after:
        answer.pop("ResponseMetadata")
    assert before == after
    published = lam.publish_version(FunctionName=aliased)
    assert published["Version"] == "1", "a policy is no change that is published"


def test_a_policy_has_its_limit(raw, aliased):
    arn = "arn:aws:s3:::" + "b" * 2000
    sizes = []
    for number in range(20):
        status, headers, body = raw("POST", path(aliased), grant(f"s{number}", SourceArn=arn))
        if status == 400:
            break
        sizes.append(len(read(raw, aliased)[0]))
    step = sizes[-1] - sizes[-2]
    text = f"The final policy size ({sizes[-1] + step}) is bigger than the limit (20480)."
    assert headers["x-amzn-errortype"] == "PolicyLengthExceededException"
    assert json.loads(body) == user("message", text) and sizes[-1] <= 20480 < sizes[-1] + step


def test_policies_go_with_what_they_are_of(raw, lam, aliased):
    for qualifier in [None, "1", "live"]:
        assert raw("POST", path(aliased, qualifier), grant("s"))[0] == 201
    lam.delete_alias(FunctionName=aliased, Name="live")
    lam.create_alias(FunctionName=aliased, Name="live", FunctionVersion="1")
    assert raw.error("GET", path(aliased, "live")) == GONE
    lam.delete_alias(FunctionName=aliased, Name="live")
    lam.delete_function(FunctionName=aliased, Qualifier="1")
    assert raw.error("GET", path(aliased, "1")) == GONE
    assert read(raw, aliased)
    lam.delete_function(FunctionName=aliased)
    create(lam, aliased, ECHO)
    assert raw.error("GET", path(aliased)) == GONE


def test_policies_survive_a_restart(fresh):
    server = fresh()
    lam = server.client("lambda")
    create(lam, "f", ECHO)
    lam.add_permission(FunctionName="f", **grant("s", SourceArn="arn:aws:s3:::b"))
    before = lam.get_policy(FunctionName="f")
    server.kill()
    server.start()
    after = lam.get_policy(FunctionName="f")
    assert (after["Policy"], after["RevisionId"]) == (before["Policy"], before["RevisionId"])


def document(*statements, **more):
    return json.dumps({"Version": "2012-10-17", **more, "Statement": list(statements)})


def statement(**more):
    return {"Effect": "Allow", "Principal": "*", "Action": "lambda:InvokeFunction", "Resource": "*", **more}


@pytest.mark.parametrize("qualifier", ["", ":1", ":live", ":$LATEST"])
def test_documents_are_put_whole_shown_and_deleted(lam, aliased, qualifier):
    arn = ARNF + aliased + qualifier
    text = document(statement(Sid="a", Principal={"Federated": "anything at all"}), statement(Effect="Deny"), Id="mine")
    put = lam.put_resource_policy(ResourceArn=arn, Policy=text)
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 200
    compact = json.dumps(json.loads(text), separators=(",", ":"))
    assert json.loads(put["Policy"]) == json.loads(compact)
    shown = lam.get_resource_policy(ResourceArn=arn)
    assert (shown["Policy"], shown["RevisionId"]) == (put["Policy"], put["RevisionId"])
    again = lam.put_resource_policy(ResourceArn=arn, Policy=text, RevisionId=put["RevisionId"])
    assert again["RevisionId"] != put["RevisionId"]
    for call in [
        lambda: lam.put_resource_policy(ResourceArn=arn, Policy=text, RevisionId=put["RevisionId"]),
        lambda: lam.delete_resource_policy(ResourceArn=arn, RevisionId=put["RevisionId"]),
    ]:
        with pytest.raises(lam.exceptions.PreconditionFailedException) as refused:
            call()
        assert refused.value.response["message"] == STALE.format("GetResourcePolicy")
    gone = lam.delete_resource_policy(ResourceArn=arn, RevisionId=again["RevisionId"])
    assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    with pytest.raises(lam.exceptions.ResourceNotFoundException):
        lam.get_resource_policy(ResourceArn=arn)


def test_both_families_change_the_same_policy(raw, lam, aliased):
    arn = ARNF + aliased
    lam.add_permission(FunctionName=aliased, **grant("granted"))
    assert json.loads(lam.get_resource_policy(ResourceArn=arn)["Policy"])["Statement"][0]["Sid"] == "granted"
    lam.put_resource_policy(ResourceArn=arn, Policy=document(statement(Sid="put")))
    lam.add_permission(FunctionName=aliased, **grant("later"))
    policy = lam.get_policy(FunctionName=aliased)
    assert [one["Sid"] for one in json.loads(policy["Policy"])["Statement"]] == ["put", "later"]
    lam.remove_permission(FunctionName=aliased, StatementId="put", RevisionId=policy["RevisionId"])
    lam.remove_permission(FunctionName=aliased, StatementId="later")
    assert raw.error("GET", whole(aliased)) == GONE


MALFORMED = [
    ("no JSON", "policies and statements are JSON objects"),
    ('{"Version":"2012-10-17"}', "missing field `Statement`"),
    (document(), "there is no statement"),
    (document(statement(), Version="2013-01-01"), "the policy language has no version 2013-01-01"),
    (document(statement(Effect="Perhaps")), "Perhaps is not an effect"),
    (document(statement(Principal={"AWS": "me"})), "me is not a principal"),
    (document(statement(Principal=None)), "each statement must have either Principal or NotPrincipal"),
    (document(statement(Action="Invoke")), "Invoke is not an action"),
    (document(statement(Resource="f")), "f is not a resource"),
    (document(statement(Condition={"StringIs": {"a": "b"}})), "StringIs is not a condition operator"),
    (document(statement(Sid="s"), statement(Sid="s")), "statement id s is used twice"),
]


def test_what_is_no_policy_is_refused(raw, aliased):
    for text, reason in MALFORMED:
        expected = invalid(f"The provided policy document was invalid: {reason}.")
        assert raw.error("PUT", whole(aliased), {"Policy": text}) == expected, text
    assert raw.error("GET", whole(aliased)) == GONE
    status, code, answer = raw.error("PUT", whole(aliased), {"Policy": "x" * 20481})
    assert (status, code) == (400, "ValidationException")
    constraint = "at 'policy' failed to satisfy constraint: Member must have length less than or equal to 20480"
    assert answer["message"].endswith(constraint)


def test_whole_policies_are_of_functions_that_exist(raw, aliased):
    put = {"Policy": document(statement())}
    for name, expected in [
        ("nope", not_found(f"Function not found: {ARNF}nope")),
        (f"{aliased}:42", not_found(f"Function not found: {ARNF}{aliased}:42")),
        (f"{aliased}:other", not_found(f"Cannot find alias arn: {ARNF}{aliased}:other")),
    ]:
        assert raw.error("PUT", whole(name), put) == expected
        assert raw.error("GET", whole(name)) == GONE
    assert raw.error("DELETE", whole("nope")) == GONE
    assert raw.error("DELETE", whole(aliased)) == not_found("No policy is associated with the given resource.")
    runtime = urllib.parse.quote("arn:aws:lambda:us-east-1:000000000000:runtime/mine", safe="")
    for method, body in [("PUT", put), ("GET", b""), ("DELETE", b"")]:
        status, code, answer = raw.error(method, f"{POLICIES}/{runtime}", body)
        assert (status, code) == (501, "NotImplementedException")
        assert "resource policies of runtimes" in json.dumps(answer)


def test_many_grants_at_once_are_all_kept(raw, aliased):
    import concurrent.futures

    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        statuses = list(pool.map(lambda n: raw("POST", path(aliased), grant(f"s{n}"))[0], range(48)))
    assert statuses == [201] * 48
    assert len(json.loads(read(raw, aliased)[0])["Statement"]) == 48
