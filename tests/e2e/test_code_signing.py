"""Code signing configurations: their records, who uses them, and what they mean for a package."""

import base64
import concurrent.futures
import json
import re

import pytest

from recorded import ARNF, ECHO, FUNCTIONS, ZIP, invalid, not_found, user, value, violated
from samovar import ACCOUNT, PYTHON, REGION, ROLE, create, until, wait_active

PATH = "/2020-04-22/code-signing-configs"
OF_FUNCTIONS = "/2020-06-30/functions"
PROFILE = f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/p/0123456789"
UNMADE = f"arn:aws:lambda:{REGION}:{ACCOUNT}:code-signing-config:csc-0123456789abcdef0"
PUBLISHERS = {"SigningProfileVersionArns": [PROFILE]}
BASE = {"Role": ROLE, "Runtime": PYTHON, "Handler": "index.handler", "Code": {"ZipFile": ZIP}}


def unknown(arn):
    """The one refusal that has no `Type`."""
    text = f"The Lambda code signing configuration {arn} can not be found."
    return 404, "ResourceNotFoundException", {"Message": text}


def gone(arn):
    text = f"The code signing configuration cannot be found. Check that the provided configuration is not deleted: {arn}."
    return 404, "CodeSigningConfigNotFoundException", user("Message", text)


def unsigned(name):
    text = (
        "Lambda cannot deploy the function. The function or layer might be signed using a signature that the client "
        f"is not configured to accept. Check the provided signature for {name}."
    )
    return 400, "CodeVerificationFailedException", user("Message", text)


def made(raw, **members):
    """The ARN of a configuration that was just made."""
    status, _, content = raw("POST", PATH, {"AllowedPublishers": PUBLISHERS, **members})
    assert status == 201, content
    return json.loads(content)["CodeSigningConfig"]["CodeSigningConfigArn"]


def policy(word):
    return {"UntrustedArtifactOnDeployment": word}


def shown(answer):
    """Status and configuration of an answer, what changes from call to call taken out and checked."""
    status, headers, content = answer
    assert headers == {"content-type": "application/json"}
    config = json.loads(content)["CodeSigningConfig"]
    assert list(json.loads(content)) == ["CodeSigningConfig"]
    assert re.fullmatch(r"csc-[a-z0-9]{17}", own := config.pop("CodeSigningConfigId"))
    assert config.pop("CodeSigningConfigArn") == UNMADE.rsplit(":", 1)[0] + ":" + own
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", config.pop("LastModified"))
    return status, config


def test_a_configuration_from_beginning_to_end(raw):
    plain = {"AllowedPublishers": PUBLISHERS, "CodeSigningPolicies": policy("Warn"), "Description": ""}
    assert shown(raw("POST", PATH, {"AllowedPublishers": PUBLISHERS})) == (201, plain)
    given = {
        "AllowedPublishers": {"SigningProfileVersionArns": [f"{PROFILE}{n}" for n in range(20)]},
        "CodeSigningPolicies": policy("Enforce"),
        "Description": "mine",
    }
    created = raw("POST", PATH, {**given, "Tags": {"k": "v"}})
    arn = json.loads(created[2])["CodeSigningConfig"]["CodeSigningConfigArn"]
    assert shown(created) == (201, given)
    assert shown(raw("GET", f"{PATH}/{arn}")) == (200, given)
    assert shown(raw("GET", f"{PATH}/{arn.replace(':', '%3A')}")) == (200, given)
    for change in ({"Description": ""}, {"AllowedPublishers": PUBLISHERS}, {"CodeSigningPolicies": policy("Warn")}, {}):
        given |= change
        assert shown(raw("PUT", f"{PATH}/{arn}", change)) == (200, given)
    status, headers, content = raw("DELETE", f"{PATH}/{arn}")
    assert (status, content) == (204, b"")
    for method, path, body in [("GET", "", b""), ("PUT", "", {}), ("DELETE", "", b""), ("GET", "/functions", b"")]:
        assert raw.error(method, f"{PATH}/{arn}{path}", body) == unknown(arn)


REFUSED = [
    ({"AllowedPublishers": None}, violated(value("null", "allowedPublishers", "not be null"))),
    (
        {"AllowedPublishers": {}},
        violated(value("null", "allowedPublishers.signingProfileVersionArns", "not be null")),
    ),
    (
        {"AllowedPublishers": {"SigningProfileVersionArns": []}},
        violated(
            value("'[]'", "allowedPublishers.signingProfileVersionArns", "have length greater than or equal to 1")
        ),
    ),
    (
        {"CodeSigningPolicies": policy("Ignore")},
        violated(
            value(
                "'Ignore'",
                "codeSigningPolicies.untrustedArtifactOnDeployment",
                "satisfy enum value set: [Warn, Enforce]",
            )
        ),
    ),
    ({"Description": "d" * 257}, violated(value(f"'{'d' * 257}'", "description", "have length less than or equal to 256"))),
    ({"Tags": {f"k{n}": "v" for n in range(51)}}, invalid("Number of tags exceeds resource tag limit.")),
]


@pytest.mark.parametrize(("members", "answer"), REFUSED)
def test_what_does_not_fit_is_refused(raw, members, answer):
    body = {name: member for name, member in {"AllowedPublishers": PUBLISHERS, **members}.items() if member is not None}
    assert raw.error("POST", PATH, body) == answer


def test_more_than_twenty_publishers_are_refused(raw):
    many = [f"{PROFILE}{n}" for n in range(21)]
    body = {"AllowedPublishers": {"SigningProfileVersionArns": many}}
    assert raw.error("POST", PATH, body) == violated(
        value(
            f"'[{', '.join(many)}]'",
            "allowedPublishers.signingProfileVersionArns",
            "have length less than or equal to 20",
        )
    )


def test_what_is_not_there_is_said_to_be_missing(raw, echo):
    for method, path, body in [("GET", "", b""), ("PUT", "", {}), ("DELETE", "", b""), ("GET", "/functions", b"")]:
        assert raw.error(method, f"{PATH}/{UNMADE}{path}", body) == unknown(UNMADE)
    other = UNMADE.replace(ACCOUNT, "999999999999")
    assert raw.error("GET", f"{PATH}/{other}") == unknown(other)
    own = f"{OF_FUNCTIONS}/{echo}/code-signing-config"
    assert raw.error("PUT", own, {"CodeSigningConfigArn": UNMADE}) == gone(UNMADE)
    nobody = f"{OF_FUNCTIONS}/nope/code-signing-config"
    for method, body in [("GET", b""), ("PUT", {"CodeSigningConfigArn": made(raw)}), ("DELETE", b"")]:
        assert raw.error(method, nobody, body) == not_found("Function not found: " + ARNF + "nope")
    new = {**BASE, "FunctionName": "never-made", "CodeSigningConfigArn": UNMADE}
    assert raw.error("POST", FUNCTIONS, new) == gone(UNMADE)
    assert raw("GET", f"{FUNCTIONS}/never-made")[0] == 404


def test_versions_and_aliases_have_none_of_their_own(raw, echo):
    text = (
        "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. "
        "Please specify either a function name or an unqualified function ARN."
    )
    for qualifier in ("1", "live", "$LATEST"):
        assert raw.error("GET", f"{OF_FUNCTIONS}/{echo}:{qualifier}/code-signing-config") == invalid(text)


def test_a_function_has_one_and_gives_it_back(raw, lam, name):
    create(lam, name, ECHO)
    first, second = made(raw), made(raw)
    own = f"{OF_FUNCTIONS}/{name}/code-signing-config"
    json_type = {"content-type": "application/json"}
    assert raw("GET", own) == (200, json_type, b"{}")
    for arn in (first, second):
        status, headers, content = raw("PUT", own, {"CodeSigningConfigArn": arn})
        assert (status, headers) == (200, json_type)
        assert json.loads(content) == {"CodeSigningConfigArn": arn, "FunctionName": name}
        assert raw("GET", own)[2] == content
    assert json.loads(raw("GET", f"{PATH}/{first}/functions")[2]) == {"FunctionArns": []}
    assert json.loads(raw("GET", f"{PATH}/{second}/functions")[2]) == {"FunctionArns": [ARNF + name]}
    in_use = f"The code signing configuration {second} cannot be deleted because it is in use by a function."
    assert raw.error("DELETE", f"{PATH}/{second}") == (409, "ResourceConflictException", user("message", in_use))
    assert raw("DELETE", f"{PATH}/{first}")[0] == 204
    # Taking it away, and deleting the function, frees it.
    assert raw("DELETE", own) == (204, {}, b"")
    assert raw("DELETE", own) == (204, {}, b"")
    assert raw("GET", own)[2] == b"{}"
    raw("PUT", own, {"CodeSigningConfigArn": second})
    lam.delete_function(FunctionName=name)
    assert raw("DELETE", f"{PATH}/{second}")[0] == 204


def test_enforcing_refuses_every_package_because_none_is_signed(raw, lam, name):
    strict = made(raw, CodeSigningPolicies=policy("Enforce"))
    new = {**BASE, "FunctionName": name, "CodeSigningConfigArn": strict}
    assert raw.error("POST", FUNCTIONS, new) == unsigned(name)
    assert raw("GET", f"{FUNCTIONS}/{name}")[0] == 404
    # What is deployed stays; the next package is refused, also when it is only tried.
    create(lam, name, ECHO)
    own = f"{OF_FUNCTIONS}/{name}/code-signing-config"
    assert raw("PUT", own, {"CodeSigningConfigArn": strict})[0] == 200
    for more in ({}, {"DryRun": True}):
        assert raw.error("PUT", f"{FUNCTIONS}/{name}/code", {"ZipFile": ZIP, **more}) == unsigned(name)
    assert raw.invoke(name)[0] == "{}"
    # A configuration that has no package in it is no deployment.
    assert raw.settled("PUT", f"{FUNCTIONS}/{name}/configuration", {"Description": "d"})[0] == 200
    wait_active(lam, name)
    assert shown(raw("PUT", f"{PATH}/{strict}", {"CodeSigningPolicies": policy("Warn")}))[0] == 200
    assert raw.settled("PUT", f"{FUNCTIONS}/{name}/code", {"ZipFile": ZIP})[0] == 200


def test_warning_takes_a_package_and_says_so(raw, server, lam, name):
    lax = made(raw)
    before = server.output().count("no allowed publisher signed")
    lam.create_function(
        FunctionName=name,
        Role=ROLE,
        Runtime=PYTHON,
        Handler="index.handler",
        Code={"ZipFile": base64.b64decode(ZIP)},
        CodeSigningConfigArn=lax,
    )
    assert lam.get_function_code_signing_config(FunctionName=name)["CodeSigningConfigArn"] == lax
    until(lambda: server.output().count("no allowed publisher signed") == before + 1)
    assert lam.list_functions_by_code_signing_config(CodeSigningConfigArn=lax)["FunctionArns"] == [ARNF + name]


def test_lists_lead_from_page_to_page(server, raw):
    lam = server.client("lambda", account="343434343434")
    arns = sorted(
        lam.create_code_signing_config(AllowedPublishers=PUBLISHERS)["CodeSigningConfig"]["CodeSigningConfigArn"]
        for _ in range(5)
    )
    found = lam.get_paginator("list_code_signing_configs").paginate(PaginationConfig={"PageSize": 2})
    listed = [config["CodeSigningConfigArn"] for page in found for config in page["CodeSigningConfigs"]]
    assert listed == arns
    for letter in "abc":
        create(lam, letter, ECHO, CodeSigningConfigArn=arns[0])
    pages = lam.get_paginator("list_functions_by_code_signing_config").paginate(
        CodeSigningConfigArn=arns[0], PaginationConfig={"PageSize": 2}
    )
    names = [arn.rsplit(":", 1)[1] for page in pages for arn in page["FunctionArns"]]
    assert names == ["a", "b", "c"]
    assert raw("GET", PATH, account="454545454545")[2] == b'{"CodeSigningConfigs":[]}'


def test_a_configuration_that_is_given_away_while_it_is_deleted_is_one_or_the_other(raw, lam, name):
    create(lam, name, ECHO)
    own = f"{OF_FUNCTIONS}/{name}/code-signing-config"
    for _ in range(10):
        arn = made(raw)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            put = pool.submit(raw, "PUT", own, {"CodeSigningConfigArn": arn})
            deleted = pool.submit(raw, "DELETE", f"{PATH}/{arn}")
        assert (put.result()[0], deleted.result()[0]) in [(200, 409), (404, 204)]
        assert raw("DELETE", own)[0] == 204


def test_a_restart_keeps_configurations_and_who_has_them(fresh):
    first = fresh()
    lam = first.client("lambda")
    config = lam.create_code_signing_config(AllowedPublishers=PUBLISHERS)["CodeSigningConfig"]
    create(lam, "f", ECHO, CodeSigningConfigArn=config["CodeSigningConfigArn"])
    first.kill()
    lam = fresh().client("lambda")
    arn = config["CodeSigningConfigArn"]
    assert lam.get_code_signing_config(CodeSigningConfigArn=arn)["CodeSigningConfig"] == config
    assert lam.get_function_code_signing_config(FunctionName="f")["CodeSigningConfigArn"] == arn
