"""Requests in a row and all that comes back of each."""

import json

from recorded import ARNF, masked
from samovar import ACCOUNT


def ok(body, status=200):
    return status, None, body


GONE = 204, None, None


def answer(raw, method, path, body=b"", account=ACCOUNT):
    """Status, error code and body of a call, masked, after a look at its headers."""
    status, headers, content = raw(method, path, body, account=account)
    code = headers.pop("x-amzn-errortype", None)
    assert headers == ({"content-type": "application/json"} if content else {}), headers
    text = masked(content.decode()).replace(ARNF.replace(ACCOUNT, account), "ARNF:")
    return status, code, json.loads(text) if content else None


def play(raw, rows, names, account=ACCOUNT):
    """Sends each row's request and compares; `names` are the functions that rows call by one capital letter."""
    for method, path, body, expected in rows:
        full = path.format(**names)
        status, code, content = answer(raw, method, full, body if body is not None else b"", account)
        text = json.dumps(content)
        for letter, name in names.items():
            text = text.replace(name, letter)
        assert (status, code, json.loads(text)) == expected, (method, path, body)
