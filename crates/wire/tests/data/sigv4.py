"""Writes sigv4.json beside this file: requests signed by botocore at a fixed moment.

Usage: python3 sigv4.py (needs botocore; the committed file was made with 1.44.5)
"""

import datetime
import json
import pathlib
import urllib.parse

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

NOW = datetime.datetime(2026, 9, 1, 10, 0, 0, tzinfo=datetime.timezone.utc)
KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
LAMBDA = "https://lambda.eu-central-1.amazonaws.com"
LOCAL = "http://127.0.0.1:4566"
ARN = "arn%3Aaws%3Alambda%3Aeu-central-1%3A123456789012%3Afunction%3Af%3A%24LATEST"
FUNCTIONS = "/2015-03-31/functions"

CASES = [
    # name, signer, service, method, url, headers, body, token
    ("a plain GET", "header", "lambda", "GET", f"{LAMBDA}{FUNCTIONS}", {}, "", None),
    ("a trailing slash", "header", "lambda", "GET", f"{LAMBDA}{FUNCTIONS}/", {}, "", None),
    ("the bare root", "header", "logs", "POST", "https://logs.eu-central-1.amazonaws.com/",
     {"X-Amz-Target": "Logs_20140328.DescribeLogGroups", "Content-Type": "application/x-amz-json-1.1"}, "{}", None),
    ("a body", "header", "lambda", "POST", f"{LOCAL}{FUNCTIONS}", {"Content-Type": "application/json"},
     '{"FunctionName":"f\u00fcr"}', None),
    ("an encoded ARN", "header", "lambda", "GET", f"{LAMBDA}{FUNCTIONS}/{ARN}/configuration", {}, "", None),
    ("raw colons", "header", "lambda", "GET",
     f"{LAMBDA}{FUNCTIONS}/arn:aws:lambda:eu-central-1:123456789012:function:f", {}, "", None),
    ("dots and doubled slashes", "header", "lambda", "GET", f"{LAMBDA}/2015-03-31//x/../functions/./f", {}, "", None),
    ("a query out of order", "header", "lambda", "GET", f"{LAMBDA}{FUNCTIONS}?MaxItems=10&Marker=a%2Fb%3D&FunctionVersion=ALL",
     {}, "", None),
    ("repeated and empty parameters", "header", "lambda", "DELETE",
     f"{LAMBDA}/2017-03-31/tags/x?tagKeys=b&tagKeys=a&tagKeys=a%20b&tagKeys=", {}, "", None),
    ("names that begin alike", "header", "lambda", "GET", f"{LAMBDA}/x?a=1&a-b=2&aa=3", {}, "", None),
    ("blanks in headers", "header", "lambda", "POST", f"{LOCAL}{FUNCTIONS}/f/invocations",
     {"X-Amz-Client-Context": "  a   b  ", "X-Amz-Invocation-Type": "Event"}, "{}", None),
    ("a session token", "header", "lambda", "POST", f"{LOCAL}{FUNCTIONS}/f/invocations", {}, '{"a":1}', "tok/en+="),
    ("a payload on S3", "s3", "s3", "PUT", "https://s3.eu-central-1.amazonaws.com/bucket/a%20b//c", {}, "data", None),
    ("an unsigned payload", "unsigned", "s3", "PUT", "https://s3.eu-central-1.amazonaws.com/bucket/key", {}, "data", None),
    ("a presigned GET", "query", "lambda", "GET", f"{LAMBDA}{FUNCTIONS}/f?Qualifier=1", {}, "", None),
    ("a presigned POST", "query", "lambda", "POST", f"{LOCAL}{FUNCTIONS}/f/invocations", {}, "", "tok/en+="),
    ("a presigned GET on S3", "s3query", "s3", "GET", "https://s3.eu-central-1.amazonaws.com/bucket/a%20b", {}, "", None),
]


def signer(kind, credentials, service):
    region = "eu-central-1"
    if kind == "query":
        return botocore.auth.SigV4QueryAuth(credentials, service, region, expires=600)
    if kind == "s3query":
        return botocore.auth.S3SigV4QueryAuth(credentials, service, region, expires=600)
    if kind in ("s3", "unsigned"):
        return botocore.auth.S3SigV4Auth(credentials, service, region)
    return botocore.auth.SigV4Auth(credentials, service, region)


def signed(name, kind, service, method, url, headers, body, token):
    request = AWSRequest(method=method, url=url, headers=dict(headers), data=body.encode())
    request.headers["Host"] = urllib.parse.urlsplit(url).netloc
    if kind == "unsigned":
        request.context["payload_signing_enabled"] = False
    signer(kind, Credentials(KEY, SECRET, token), service).add_auth(request)
    parts = urllib.parse.urlsplit(request.url)
    return {
        "name": name,
        "method": method,
        "path": parts.path,
        "query": parts.query,
        "headers": [[key.lower(), value] for key, value in request.headers.items()],
        "body": body,
    }


def main():
    botocore.auth.get_current_datetime = lambda *a, **k: NOW.replace(tzinfo=None)
    cases = [signed(*case) for case in CASES]
    document = {"access_key": KEY, "secret": SECRET, "now_millis": int(NOW.timestamp() * 1000), "cases": cases}
    path = pathlib.Path(__file__).with_name("sigv4.json")
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
