"""Secrets in configuration: the keys that seal them can be changed, and nothing of them is seen anywhere."""

import base64
import json
import os
import pathlib
import subprocess

import pytest

from recorded import FUNCTIONS, Raw
from samovar import ACCOUNT, BINARY, PYTHON, ROLE, create, invoke, until, wait_active, zip_of

TELL = "import os\ndef handler(event, context):\n    return os.environ.get('TOKEN')\n"
KEY_ARN = "arn:aws:kms:us-east-1:000000000000:key/79104eff-c5f1-41a8-8dd6-8e4d4b9a8a32"


def keys(server, *command):
    """`samovar keys` on a server's data."""
    said = [BINARY, "keys", *command, "--data-dir", str(server.data_dir), *server.flags]
    return subprocess.run(said, capture_output=True, text=True, timeout=60)


def listed(server):
    """The ids and files of the keys, the one that seals first."""
    said = keys(server)
    assert said.returncode == 0, said.stderr
    heading, *rows = [line.split() for line in said.stdout.splitlines()]
    assert heading == ["KEY", "USE", "FILE"] and rows[0][1] == "seals"
    assert all(row[1:-1] == ["opens", "what", "is", "older"] for row in rows[1:])
    return [(row[0], pathlib.Path(row[-1])) for row in rows]


def rotate(server):
    said = keys(server, "rotate")
    assert said.returncode == 0, said.stderr
    return said.stdout


def variables(token):
    return {"Variables": {"TOKEN": token}}


def shown(lam, name, **more):
    return lam.get_function_configuration(FunctionName=name, **more)["Environment"]["Variables"]


def test_a_new_key_seals_everything_and_the_old_one_can_go(fresh):
    server = fresh()
    lam = server.client("lambda")
    create(lam, "f", TELL, Environment=variables("published"))
    lam.publish_version(FunctionName="f")
    lam.update_function_configuration(FunctionName="f", Environment=variables("latest"))
    wait_active(lam, "f")
    create(server.client("lambda", account="111111111111", region="eu-west-1"), "g", TELL, Environment=variables("far"))
    create(lam, "bare", TELL)
    ((first, _),) = listed(server)
    refused = keys(server, "rotate")
    assert refused.returncode == 1 and "another samovar uses the data directory" in refused.stderr
    before = lam.get_function_configuration(FunctionName="f")
    assert server.stop() == 0

    said = rotate(server)
    (second, _), (old, retired) = listed(server)
    assert old == first != second
    assert f"key {second} seals now; functions sealed anew: 2" in said and str(retired) in said
    retired.unlink()
    server.start()
    assert shown(lam, "f") == {"TOKEN": "latest"}
    assert shown(lam, "f", Qualifier="1") == {"TOKEN": "published"}
    assert invoke(lam, "f")["payload"] == "latest"
    assert invoke(lam, "f:1")["payload"] == "published"
    assert invoke(server.client("lambda", account="111111111111", region="eu-west-1"), "g")["payload"] == "far"
    after = lam.get_function_configuration(FunctionName="f")
    for answer in before, after:
        answer.pop("ResponseMetadata")
    assert before == after, "nobody can tell the difference"
    assert server.stop() == 0
    rotate(server)
    server.start()
    assert invoke(lam, "f")["payload"] == "latest"


def test_keys_are_changed_without_walls_too(fresh):
    server = fresh("--isolation", "none")
    lam = server.client("lambda")
    create(lam, "f", TELL, Environment=variables("kept"))
    assert server.stop() == 0
    ((first, _),) = listed(server)
    assert "functions sealed anew: 1" in rotate(server)
    (_, _), (old, retired) = listed(server)
    assert old == first
    retired.unlink()
    server.start()
    assert invoke(lam, "f")["payload"] == "kept"


def test_a_lost_key_is_told_and_loses_nothing_else(fresh):
    server = fresh()
    lam = server.client("lambda")
    create(lam, "lost", TELL, Environment=variables("one"))
    assert server.stop() == 0
    ((_, path),) = listed(server)
    path.unlink()
    server.start()
    create(lam, "kept", TELL, Environment=variables("two"))
    assert server.stop() == 0
    said = keys(server, "rotate")
    assert said.returncode == 1
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:lost"
    assert f"the variables of {arn} open with none of the keys; they stay as they are" in said.stdout
    (_, _), (_, retired) = listed(server)
    retired.unlink()
    server.start()
    assert invoke(lam, "kept")["payload"] == "two"
    error = lam.get_function_configuration(FunctionName="lost")["Environment"]["Error"]
    assert error["ErrorCode"] == "KMSInvalidStateException"


def test_an_interrupted_rotation_is_finished_and_not_begun_anew(fresh):
    server = fresh()
    lam = server.client("lambda")
    create(lam, "f", TELL, Environment=variables("old"))
    assert server.stop() == 0
    ((old, path),) = listed(server)
    owner = path.stat()
    path.rename(path.with_name(f"retired-{old}.key"))
    path.write_bytes(os.urandom(32))
    path.chmod(0o600)
    os.chown(path, owner.st_uid, owner.st_gid)
    server.start()
    assert invoke(lam, "f")["payload"] == "old", "it is sealed under a retired key"
    create(lam, "g", TELL, Environment=variables("new"))
    assert server.stop() == 0
    (current, _), (_, retired) = listed(server)
    said = rotate(server)
    assert "an earlier rotation had been interrupted; this finished it" in said
    assert f"key {current} seals now; functions sealed anew: 1" in said
    retired.unlink()
    server.start()
    assert [invoke(lam, name)["payload"] for name in "fg"] == ["old", "new"]


@pytest.mark.parametrize("moment", ["key", "some"])
def test_a_rotation_may_be_killed_at_any_moment(fresh, moment):
    server = fresh()
    lam = server.client("lambda")
    names = [f"f{number}" for number in range(40)]
    code = {"ZipFile": zip_of({"index.py": TELL})}
    for name in names:
        more = dict(Runtime=PYTHON, Handler="index.handler", Role=ROLE, Code=code, Environment=variables(name))
        lam.create_function(FunctionName=name, **more)
    wait_active(lam, names[-1])
    assert server.stop() == 0
    directory = server.data_dir / "keys"
    old = (directory / "master.key").read_bytes()

    command = [BINARY, "keys", "rotate", "--data-dir", str(server.data_dir)]
    killed = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    journal = server.data_dir / "store" / "documents.db-wal"
    replaced = lambda: (directory / "master.key").read_bytes() != old
    some = lambda: replaced() and journal.exists() and journal.stat().st_size > 30_000
    until({"key": lambda: list(directory.glob("retired-*")), "some": some}[moment], every=0)
    killed.kill()
    killed.communicate()

    until(lambda: keys(server, "rotate").returncode == 0)
    for retired in directory.glob("retired-*.key"):
        retired.unlink()
    server.start()
    assert [shown(lam, name)["TOKEN"] for name in names] == names


def test_a_kms_key_is_kept_as_given_and_cleared(lam, name):
    create(lam, name, TELL, KMSKeyArn=KEY_ARN, Environment=variables("x"))
    assert lam.get_function_configuration(FunctionName=name)["KMSKeyArn"] == KEY_ARN
    lam.update_function_configuration(FunctionName=name, Description="other")
    wait_active(lam, name)
    assert lam.get_function_configuration(FunctionName=name)["KMSKeyArn"] == KEY_ARN
    lam.update_function_configuration(FunctionName=name, KMSKeyArn="")
    wait_active(lam, name)
    assert "KMSKeyArn" not in lam.get_function_configuration(FunctionName=name)
    assert invoke(lam, name)["payload"] == "x"


def own_processes(server):
    """The launcher, its server and each sandbox's init: what is Samovar's own, not a function's."""
    own, pids = [], [server.process.pid]
    while pids:
        pid = pids.pop()
        try:
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            if pathlib.Path(f"/proc/{pid}/exe").readlink().samefile(BINARY):
                own.append(pid)
        except OSError:
            continue
        pids += [int(child) for child in children]
    return own


def files(directory):
    return [path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()]


def test_a_secret_is_seen_nowhere(fresh):
    secret, update = "planted-9f86d081884c7d65", "planted-2c26b46b68ffc68f"
    server = fresh("--log", "debug")
    lam, raw = server.client("lambda"), Raw(server)
    create(lam, "f", TELL + "\nprint('init')", Environment=variables(secret))
    lam.publish_version(FunctionName="f")
    lam.update_function_configuration(FunctionName="f", Environment=variables(update))
    wait_active(lam, "f")
    create(lam, "broken", "import os\nos._exit(3)\n", Environment=variables(secret))
    assert invoke(lam, "f")["payload"] == update and invoke(lam, "f:1")["payload"] == secret
    assert invoke(lam, "broken")["FunctionError"] == "Unhandled"

    code = base64.b64encode(zip_of({"index.py": TELL})).decode()
    whole = {"FunctionName": "g", "Runtime": PYTHON, "Handler": "index.handler", "Role": ROLE, "Code": {"ZipFile": code}}
    wrong = [
        {"Environment": {"Variables": {"AWS_REGION": secret}}},
        {"Environment": {"Variables": {"TOKEN": secret}}, "Runtime": "python2.7"},
        {"Environment": {"Variables": {"TOKEN": secret}}, "Role": "none"},
        {"Environment": {"Variables": {"TOKEN": secret}}, "FunctionName": "f"},
        {"Environment": {"Variables": {"TOKEN": secret}}, "Code": {"ZipFile": "AAAA"}},
        {"Environment": {"Variables": {"1TOKEN": secret}}},
        {"Environment": {"Variables": {"TOKEN": [secret]}}},
        {"Environment": {"Variables": secret}},
        {"Environment": secret},
    ]
    answers = [raw.error("POST", FUNCTIONS, {**whole, **more}) for more in wrong]
    answers += [raw.error("PUT", f"{FUNCTIONS}/{name}/configuration", wrong[0]) for name in ["f", "nope"]]
    assert all(400 <= status < 500 for status, _, _ in answers), answers

    processes = own_processes(server)
    assert len(processes) >= 3, "the launcher, the server and an environment's init"
    places = {f"/proc/{pid}/{what}": pathlib.Path(f"/proc/{pid}/{what}").read_bytes() for pid in processes for what in ["cmdline", "environ"]}
    assert server.stop() == 0
    places["answers"] = json.dumps(answers).encode()
    places["output"] = server.output().encode()
    assert b"DEBUG" in places["output"], "the log was at that level"
    places.update((str(path), path.read_bytes()) for path in files(server.data_dir))
    planted = [text.encode() for text in [secret, update]]
    planted += [base64.b64encode(text)[:-4] for text in planted]
    found = {place for place, content in places.items() for text in planted if text in content}
    assert not found
    searched = [place for place, content in places.items() if b"index.handler" in content]
    assert any("documents.db" in place for place in searched), "what is no secret is found there"
