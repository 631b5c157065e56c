"""`samovar layers import`: layers of other accounts under their own ARNs."""

import json
import subprocess

import botocore.exceptions
import pytest

from recorded import Raw
from samovar import ACCOUNT, BINARY, REGION, create, invoke, wait_active, zip_of

KLAYER = "arn:aws:lambda:us-east-1:770693421928:layer:Klayers-p312-boto3:12"
TEA = zip_of({"python/tea.py": "KIND = 'green'"})
OTHER_TEA = zip_of({"python/tea.py": "KIND = 'black'"})
CODE = "from tea import KIND\ndef handler(event, context):\n    return KIND\n"
SURFACE = f"/_samovar/layers?arn={KLAYER}"


def command(server, *words, env=None):
    """A command of the binary; gives status, output and errors."""
    done = subprocess.run(
        [BINARY, *words], env={**server.cli_env(), "SAMOVAR_ENDPOINT": server.endpoint, **(env or {})},
        capture_output=True, text=True, timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def archives(tmp_path):
    for name, content in (("tea.zip", TEA), ("other.zip", OTHER_TEA), ("junk.zip", b"junk")):
        (tmp_path / name).write_bytes(content)
    return lambda name: str(tmp_path / name)


def test_a_template_that_names_somebody_elses_layer_works_unchanged(fresh, archives):
    server = fresh()
    lam = server.client("lambda")
    with pytest.raises(botocore.exceptions.ClientError) as error:
        create(lam, "early", CODE, Layers=[KLAYER])
    assert error.value.response["Error"]["Code"] == "AccessDeniedException"
    assert command(server, "layers")[1].startswith("no layers; `samovar layers import --help`")

    imported = command(server, "layers", "import", KLAYER, "--zip", archives("tea.zip"))
    assert imported == (0, f"{KLAYER} is here\n", "")
    again = command(server, "layers", "import", KLAYER, "--zip", archives("tea.zip"))
    assert again == (0, f"{KLAYER} is here already, with the same bytes\n", "")
    create(lam, "f", CODE, Layers=[KLAYER])
    assert invoke(lam, "f")["payload"] == "green"
    # Every account here may use it.
    other = server.client("lambda", account="111111111111")
    create(other, "f", CODE, Layers=[KLAYER])
    assert invoke(other, "f")["payload"] == "green"
    assert other.get_layer_version_by_arn(Arn=KLAYER)["Version"] == 12
    assert other.get_layer_version(LayerName=KLAYER.rsplit(":", 1)[0], VersionNumber=12)["LayerVersionArn"] == KLAYER

    status, out, err = command(server, "layers", "import", KLAYER, "--zip", archives("other.zip"))
    assert (status, out) == (1, "") and "holds another archive; --replace puts this one in its place" in err
    replaced = command(server, "layers", "import", KLAYER, "--zip", archives("other.zip"), "--replace")
    assert replaced[:2] == (
        0,
        f"{KLAYER} is replaced; functions that have it keep the old one until they are updated\n",
    )
    assert invoke(lam, "f")["payload"] == "green"
    lam.update_function_configuration(FunctionName="f", Layers=[KLAYER])
    wait_active(lam, "f")
    assert invoke(lam, "f")["payload"] == "black"

    assert server.stop() == 0
    server.start()
    assert invoke(lam, "f")["payload"] == "black"
    assert invoke(other, "f")["payload"] == "green"
    status, out, _ = command(server, "layers")
    header, row = out.splitlines()
    assert (status, header.split()) == (0, ["ARN", "BYTES", "SINCE"])
    assert row.split()[:2] == [KLAYER, str(len(OTHER_TEA))]
    # It is no layer of ours, and numbers go on behind it for whose it is.
    assert lam.list_layers()["Layers"] == []
    owner = server.client("lambda", account="770693421928")
    assert owner.list_layers()["Layers"][0]["LatestMatchingVersion"]["LayerVersionArn"] == KLAYER
    published = owner.publish_layer_version(LayerName="Klayers-p312-boto3", Content={"ZipFile": TEA})
    assert published["Version"] == 13


def test_an_import_of_ones_own_and_in_another_region(fresh, archives):
    server = fresh()
    for arn, account, region in (
        (f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:own:3", ACCOUNT, REGION),
        (f"arn:aws:lambda:eu-west-1:{ACCOUNT}:layer:own:3", ACCOUNT, "eu-west-1"),
        ("arn:aws:lambda:eu-west-1:580247275435:layer:LambdaInsightsExtension:55", ACCOUNT, "eu-west-1"),
    ):
        assert command(server, "layers", "import", arn, "--zip", archives("tea.zip"))[0] == 0
        lam = server.client("lambda", account=account, region=region)
        name = arn.rsplit(":", 2)[1]
        create(lam, name, CODE, Layers=[arn])
        assert invoke(lam, name)["payload"] == "green"


def test_what_cannot_be_imported_is_told(fresh, archives):
    server = fresh()
    for arn, archive, words in (
        (KLAYER, "junk.zip", "Could not unzip uploaded file"),
        (KLAYER, "none.zip", "cannot read"),
        (KLAYER.rsplit(":", 1)[0], "tea.zip", "is not a layer name or ARN"),
        (KLAYER.replace(":12", ":0"), "tea.zip", "is not a layer name or ARN"),
        (
            KLAYER.replace(":12", ":1000000001"),
            "tea.zip",
            "the version's number must be between 1 and 1000000000",
        ),
        ("tools:1", "tea.zip", "is not a layer name or ARN"),
    ):
        status, out, err = command(server, "layers", "import", arn, "--zip", archives(archive))
        assert status != 0 and out == "" and words in err, (arn, err)
    assert command(server, "layers")[1].startswith("no layers")
    assert "templates that name ARN work unchanged" in command(server, "layers", "--help")[1]
    assert "get-layer-version-by-arn" in command(server, "layers", "import", "--help")[1]


def test_no_web_page_imports_anything(fresh):
    server = fresh()
    raw = Raw(server)
    for headers in ({"Origin": "https://attacker.example"}, {"Host": "attacker.example"}):
        status, _, body = raw("PUT", SURFACE, TEA, headers)
        assert status == 403, body
    status, _, body = raw("PUT", SURFACE, TEA, {"Authorization": ""})
    assert status == 403, body
    status, _, body = raw("PUT", SURFACE, TEA)
    assert (status, json.loads(body)["Before"]) == (200, "nothing")


def test_a_server_with_keys_takes_its_own_ones_only(fresh, archives):
    server = fresh("--require-keys", env={"SAMOVAR_KEYS": "AKIDEXAMPLE:secret"})
    words = ("layers", "import", KLAYER, "--zip", archives("tea.zip"))
    for key, secret in (("AKIDEXAMPLE", "wrong"), ("AKIDOTHER", "secret"), (ACCOUNT, "secret")):
        status, out, err = command(server, *words, env={"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret})
        assert (status, out) == (1, "") and "403" in err, err
    good = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
    assert command(server, "layers", env={**good, "AWS_SECRET_ACCESS_KEY": "wrong"})[0] == 1
    assert command(server, "layers", env=good)[1].startswith("no layers")
    assert command(server, *words, env=good)[0] == 0
    assert KLAYER in command(server, "layers", env=good)[1]
    raw = Raw(server)
    assert raw("PUT", SURFACE, OTHER_TEA)[0] == 403


def test_a_functions_own_keys_import_nothing(fresh):
    """Without walls a function reaches the endpoint; what it has are its own keys."""
    for flags in ((), ("--isolation", "none")):
        keys = {"SAMOVAR_KEYS": "AKIDEXAMPLE:secret"}
        server = fresh("--require-keys", *flags, data=f"data{len(flags)}", env=keys)
        lam = server.client("lambda", account="AKIDEXAMPLE")
        create(lam, "keys", "import os\ndef handler(e, c): return {k: v for k, v in os.environ.items() if 'AWS' in k}")
        found = invoke(lam, "keys")["payload"]
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        status, _, err = command(server, "layers", env={name: found[name] for name in names})
        assert status == 1 and "layers are imported with a key of the server's own account" in err
