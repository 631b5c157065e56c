"""The AWS SDK for JavaScript v3, in a process of its own."""

import json
import os
import pathlib
import subprocess

from samovar import ACCOUNT, NODE, REGION, ROLE, zip_of

SCRIPT = pathlib.Path(__file__).with_name("js_sdk.mjs")


def test_the_javascript_sdk_goes_all_the_way(server, name, tmp_path):
    package = tmp_path / "f.zip"
    package.write_bytes(zip_of({"index.mjs": "export const handler = async (e) => { console.log('js'); if (e.fail) throw new RangeError('no'); return {got: e} }"}))
    done = subprocess.run(
        ["node", str(SCRIPT), str(package), name, NODE, ROLE],
        env={**os.environ, "AWS_ENDPOINT_URL": server.endpoint, "AWS_ACCESS_KEY_ID": ACCOUNT,
             "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": REGION},
        capture_output=True, text=True, timeout=120,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["created"] == "Pending" and seen["payload"] == {"got": {"a": 1}}
    assert seen["error"] == "Unhandled" and seen["errorPayload"]["errorType"] == "RangeError"
    assert "START RequestId" in seen["log"] and seen["missing"] == "ResourceNotFoundException"
    assert json.loads(seen["streamed"]) == {"got": {}} and "REPORT RequestId" in seen["streamedLog"]
    assert any("INFO\tjs" in line for line in seen["events"])
