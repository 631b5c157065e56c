"""Who may come in, and who may not."""

import base64
import datetime
import http.client
import json
import urllib.parse

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from botocore.exceptions import ClientError

from samovar import create, invoke

OPEN = "AWS4-HMAC-SHA256 Credential=000000000000/20261121/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=00"
LIST = "/2015-03-31/functions"


def ask(server, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request(method, path, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    return answer.status, dict((k.lower(), v) for k, v in answer.getheaders()), answer.read()


def test_open_mode_wants_an_authorization_header(server):
    status, headers, body = ask(server, "GET", LIST)
    assert (status, headers["x-amzn-errortype"]) == (403, "MissingAuthenticationTokenException")
    assert ask(server, "GET", LIST, Authorization=OPEN)[0] == 200


def test_no_web_page_can_forge_a_call(server):
    assert ask(server, "GET", LIST, Authorization=OPEN, Host="attacker.example")[0] == 403
    assert ask(server, "GET", LIST, Authorization=OPEN, Origin="https://attacker.example")[0] == 403
    assert ask(server, "GET", LIST, Authorization=OPEN, Host=f"localhost:{server.port}")[0] == 200


def test_a_presigned_request_is_taken(server):
    url = server.client("lambda").generate_presigned_url("list_functions", Params={})
    path = url[len(server.endpoint):]
    assert ask(server, "GET", path)[0] == 200


def test_health_and_reset(fresh):
    server = fresh("--allow-reset")
    lam = server.client("lambda")
    create(lam, "f", "def handler(e, c):\n    return 1\n")
    invoke(lam, "f")
    assert ask(server, "POST", "/_samovar/reset")[0] in (400, 403)
    assert len(lam.list_functions()["Functions"]) == 1
    assert ask(server, "POST", "/_samovar/reset", X_Samovar_Reset="yes")[0] == 200
    assert lam.list_functions()["Functions"] == []
    assert server.client("logs").describe_log_groups()["logGroups"] == []
    create(lam, "f", "def handler(e, c):\n    return 2\n")
    assert invoke(lam, "f")["payload"] == 2


def test_reset_needs_its_flag(server):
    assert ask(server, "POST", "/_samovar/reset", X_Samovar_Reset="yes")[0] in (403, 404)


KEYS = {"SAMOVAR_KEYS": "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}


@pytest.fixture
def closed(fresh):
    return fresh("--require-keys", env=KEYS)


def test_closed_mode_takes_the_right_key_only(closed):
    good = closed.client("lambda", account="AKIDEXAMPLE", secret=KEYS["SAMOVAR_KEYS"].split(":")[1])
    create(good, "f", "def handler(e, c):\n    return 1\n")
    assert invoke(good, "f")["payload"] == 1
    for account, secret, code in (
        ("AKIDEXAMPLE", "wrong", "InvalidSignatureException"),
        ("AKIDNOBODY", "x", "UnrecognizedClientException"),
    ):
        with pytest.raises(ClientError) as caught:
            closed.client("lambda", account=account, secret=secret).list_functions()
        assert caught.value.response["Error"]["Code"] == code
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def signed(server, method, path, body=b"", when=None, secret=KEYS["SAMOVAR_KEYS"].split(":")[1], **headers):
    request = botocore.awsrequest.AWSRequest(method, server.endpoint + path, data=body, headers=headers)
    credentials = botocore.credentials.Credentials("AKIDEXAMPLE", secret)
    signer = botocore.auth.SigV4Auth(credentials, "lambda", "us-east-1")
    if when:
        import unittest.mock as mock

        with mock.patch("botocore.auth.get_current_datetime", return_value=when, create=True), mock.patch(
            "botocore.compat.get_current_datetime", return_value=when, create=True
        ):
            signer.add_auth(request)
    else:
        signer.add_auth(request)
    return ask(server, method, path, body, **{k: v for k, v in request.headers.items()})


def test_a_skewed_clock_is_refused(closed):
    assert signed(closed, "GET", LIST)[0] == 200
    late = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - datetime.timedelta(minutes=20)
    status, headers, body = signed(closed, "GET", LIST, when=late)
    assert status == 403 and headers["x-amzn-errortype"] == "InvalidSignatureException"
    assert json.loads(body)["message"].startswith("Signature expired: ")


def test_a_changed_body_is_refused(closed):
    request = botocore.awsrequest.AWSRequest("POST", closed.endpoint + "/2015-03-31/functions/f/invocations", data=b"{}")
    botocore.auth.SigV4Auth(
        botocore.credentials.Credentials("AKIDEXAMPLE", KEYS["SAMOVAR_KEYS"].split(":")[1]), "lambda", "us-east-1"
    ).add_auth(request)
    status, headers, _ = ask(closed, "POST", "/2015-03-31/functions/f/invocations", b'{"x":1}', **dict(request.headers.items()))
    assert status == 403 and headers["x-amzn-errortype"] == "InvalidSignatureException"


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"GET " + b"/x" * 60000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /2015-03-31/functions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /2015-03-31/functions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_malformed_requests_end_in_an_error_and_the_server_lives(server, head):
    import socket

    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as connection:
        connection.sendall(head)
        connection.shutdown(socket.SHUT_WR)
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
    assert b"HTTP/1.1 200" not in data
    assert server.healthy()


def test_deep_and_odd_json_is_a_client_error(server):
    for body in (b"[" * 100000, b'{"FunctionName":', b"\xff\xfe", b"null", b"[]", b'{"FunctionName": {"a": 1}}'):
        status, headers, _ = ask(server, "POST", LIST, body, Authorization=OPEN)
        assert 400 <= status < 500, (body[:30], status)
