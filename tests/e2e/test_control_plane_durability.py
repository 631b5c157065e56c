"""kill -9 amid changes of every kind: what was answered is there afterwards, what was not is there whole or not at all,
nothing stays half-way, and no number is given out twice."""

import base64
import hashlib
import random
import threading
import time
import urllib.request

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from samovar import ACCOUNT, PYTHON, REGION, ROLE, create, invoke, until, wait_active, zip_of

ROUNDS = 4
WORKERS = 3
CODE = "def handler(event, context):\n    return {!r}\n"
PUBLISHERS = {"SigningProfileVersionArns": [f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/p/0123456789"]}
# What goes with a version or alias; a function URL outlives its alias.
HANGS_ON = {"sid", "event", "provisioned", "runtime"}
ON_ITS_WAY = {"Creating", "Enabling", "Disabling", "Updating", "Deleting"}


def package(text):
    return zip_of({"index.py": CODE.format(text)})


def sha256(archive):
    return base64.b64encode(hashlib.sha256(archive).digest()).decode()


class Unanswered(Exception):
    """An error of the server's own, as it may give while it goes."""


class Worker:
    """Somebody with functions, layers, mappings and configurations that nobody else changes.

    `known` is what was answered: `{(kind, ...): value}`. While a request is under way, `next` says what becomes of it;
    where the server chooses the name of what is new, `new` is its kind instead.
    """

    def __init__(self, server, number, seed):
        self.server, self.number, self.dice = server, number, random.Random(seed * 100 + number)
        self.f, self.brief, self.layer = f"w{number}", f"brief{number}", f"layer{number}"
        self.known, self.next, self.new, self.spent = {}, None, None, {}
        self.count, self.answered, self.broken = 0, 0, None
        self.done = set()

    def client(self):
        return self.server.client("lambda")

    def begin(self):
        create(self.client(), self.f, CODE.format("first"))
        self.known = self.seen()

    # What happens.

    def work(self, stop):
        lam = self.client()
        moves = [getattr(self, name) for name in sorted(dir(self)) if name.startswith("do_")]
        try:
            while not stop.is_set():
                move, before = self.dice.choice(moves), self.answered
                move(lam)
                self.done |= {move.__name__} if self.answered > before else set()
        except (BotoCoreError, Unanswered):
            return
        except BaseException as error:
            self.broken = error

    def text(self):
        self.count += 1
        return f"{self.f}-{self.count}"

    def change(self, call, new=None, becomes=lambda answer: {}, gone=lambda key: False, **arguments):
        """One request. Without `new`, `becomes` must not need the answer."""
        kept = {key: value for key, value in self.known.items() if not gone(key)}
        self.new, self.next = new, None if new else {**kept, **becomes(None)}
        try:
            answer = call(**arguments)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
                until(lambda: self.server.process.poll() is not None, 5)
                raise Unanswered from error
            assert "unzip" not in str(error), "no archive is at fault"
            self.new = self.next = None
            return None
        self.known = {**kept, **becomes(answer)}
        self.new = self.next = None
        self.answered += 1
        return answer

    def fresh_number(self, of, number):
        assert number > max(self.spent.get(of, set()) | {0}), f"{of} gave {number} out again"
        self.spent.setdefault(of, set()).add(number)

    def versions(self):
        return [key[1] for key in self.known if key[0] == "version"]

    def aliases(self):
        return [key[1] for key in self.known if key[0] == "alias"]

    def qualifier(self, latest=False):
        return self.dice.choice([*map(str, self.versions()), *self.aliases(), *(["$LATEST"] if latest else [])] or ["1"])

    def do_describe(self, lam):
        text = self.text()
        self.change(lam.update_function_configuration, becomes=lambda _: {("description",): text}, FunctionName=self.f, Description=text)

    def do_code(self, lam):
        archive = package(self.text())
        self.change(lam.update_function_code, becomes=lambda _: {("code",): sha256(archive)}, FunctionName=self.f, ZipFile=archive)

    def do_publish(self, lam):
        known = self.known

        def becomes(answer):
            key = ("version", int(answer["Version"]))
            return {} if key in known else {key: answer["CodeSha256"]}

        answer = self.change(lam.publish_version, new="version", becomes=becomes, FunctionName=self.f)
        if answer and int(answer["Version"]) not in self.spent.get(self.f, set()):
            self.fresh_number(self.f, int(answer["Version"]))

    do_publish_again = do_publish

    def do_delete_version(self, lam):
        if len(self.versions()) > 3:
            number = self.dice.choice(self.versions())
            gone = lambda key: key == ("version", number) or (key[0] in HANGS_ON and key[1] == str(number))
            self.change(lam.delete_function, gone=gone, FunctionName=self.f, Qualifier=str(number))

    def do_alias(self, lam):
        if self.versions():
            name, version, text = f"a{self.dice.randrange(3)}", str(self.dice.choice(self.versions())), self.text()
            call = lam.update_alias if ("alias", name) in self.known else lam.create_alias
            value = {("alias", name): (version, text)}
            self.change(call, becomes=lambda _: value, FunctionName=self.f, Name=name, FunctionVersion=version, Description=text)

    def do_delete_alias(self, lam):
        if self.aliases() and self.dice.random() < 0.4:
            name = self.dice.choice(self.aliases())
            gone = lambda key: key == ("alias", name) or (key[0] in HANGS_ON and key[1] == name)
            self.change(lam.delete_alias, gone=gone, FunctionName=self.f, Name=name)

    def do_permit(self, lam):
        qualifier, sid = self.qualifier(), self.text()
        arguments = {"Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
        self.change(lam.add_permission, becomes=lambda _: {("sid", qualifier, sid): True}, FunctionName=self.f, Qualifier=qualifier, StatementId=sid, **arguments)

    def do_forbid(self, lam):
        grants = [key for key in self.known if key[0] == "sid"]
        if grants:
            key = self.dice.choice(grants)
            self.change(lam.remove_permission, gone=key.__eq__, FunctionName=self.f, Qualifier=key[1], StatementId=key[2])

    def do_events(self, lam):
        qualifier, retries = self.qualifier(latest=True), self.dice.randrange(3)
        call = lam.put_function_event_invoke_config
        self.change(call, becomes=lambda _: {("event", qualifier): retries}, FunctionName=self.f, Qualifier=qualifier, MaximumRetryAttempts=retries)

    def do_url(self, lam):
        if self.aliases():
            alias, auth = self.dice.choice(self.aliases()), self.dice.choice(["NONE", "AWS_IAM"])
            call = lam.update_function_url_config if ("url", alias) in self.known else lam.create_function_url_config
            self.change(call, becomes=lambda _: {("url", alias): auth}, FunctionName=self.f, Qualifier=alias, AuthType=auth)

    def do_provision(self, lam):
        qualifier, count = self.qualifier(), self.dice.randrange(1, 4)
        call = lam.put_provisioned_concurrency_config
        value = {("provisioned", qualifier): count}
        self.change(call, becomes=lambda _: value, FunctionName=self.f, Qualifier=qualifier, ProvisionedConcurrentExecutions=count)

    def do_reserve(self, lam):
        count = self.dice.randrange(60, 80)
        self.change(lam.put_function_concurrency, becomes=lambda _: {("reserved",): count}, FunctionName=self.f, ReservedConcurrentExecutions=count)

    def do_recurse(self, lam):
        loop = self.dice.choice(["Allow", "Terminate"])
        self.change(lam.put_function_recursion_config, becomes=lambda _: {("recursion",): loop}, FunctionName=self.f, RecursiveLoop=loop)

    def do_manage(self, lam):
        if self.versions():
            number, when = str(self.dice.choice(self.versions())), self.dice.choice(["Auto", "FunctionUpdate"])
            call = lam.put_runtime_management_config
            self.change(call, becomes=lambda _: {("runtime", number): when}, FunctionName=self.f, Qualifier=number, UpdateRuntimeOn=when)

    def do_manage_latest(self, lam):
        when = self.dice.choice(["Auto", "FunctionUpdate"])
        self.change(lam.put_runtime_management_config, becomes=lambda _: {("runtime", "$LATEST"): when}, FunctionName=self.f, UpdateRuntimeOn=when)

    def do_tag(self, lam):
        key, text = f"t{self.dice.randrange(3)}", self.text()
        self.change(lam.tag_resource, becomes=lambda _: {("tag", key): text}, Resource=self.arn(), Tags={key: text})

    def do_layer(self, lam):
        archive = package(self.text())
        becomes = lambda answer: {("layer", answer["Version"]): sha256(archive)}
        answer = self.change(lam.publish_layer_version, new="layer", becomes=becomes, LayerName=self.layer, Content={"ZipFile": archive})
        if answer:
            self.fresh_number(self.layer, answer["Version"])

    def do_delete_layer(self, lam):
        layers = [key for key in self.known if key[0] == "layer"]
        if layers:
            key = max(layers)
            self.change(lam.delete_layer_version, gone=key.__eq__, LayerName=self.layer, VersionNumber=key[1])

    def do_mapping(self, lam):
        queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self.text()}"
        becomes = lambda answer: {("mapping", answer["UUID"]): 7}
        self.change(lam.create_event_source_mapping, new="mapping", becomes=becomes, FunctionName=self.f, EventSourceArn=queue, BatchSize=7)

    def do_change_mapping(self, lam):
        mappings = [key for key in self.known if key[0] == "mapping"]
        if mappings:
            key, size = self.dice.choice(mappings), self.dice.randrange(1, 10)
            self.change(lam.update_event_source_mapping, becomes=lambda _: {key: size}, UUID=key[1], BatchSize=size)

    def do_delete_mapping(self, lam):
        mappings = [key for key in self.known if key[0] == "mapping"]
        if mappings:
            key = self.dice.choice(mappings)
            self.change(lam.delete_event_source_mapping, gone=key.__eq__, UUID=key[1])

    def do_config(self, lam):
        text = self.text()
        becomes = lambda answer: {("config", answer["CodeSigningConfig"]["CodeSigningConfigArn"]): text}
        self.change(lam.create_code_signing_config, new="config", becomes=becomes, AllowedPublishers=PUBLISHERS, Description=text)

    def do_delete_config(self, lam):
        configs = [key for key in self.known if key[0] == "config"]
        if configs:
            key = self.dice.choice(configs)
            self.change(lam.delete_code_signing_config, gone=key.__eq__, CodeSigningConfigArn=key[1])

    def do_brief(self, lam):
        """A function that comes and goes whole: with a version, an alias and a policy, and without what it once had."""
        if ("brief",) in self.known:
            gone = lambda key: key[0] == "brief"
            self.change(lam.delete_function, gone=gone, FunctionName=self.brief)
            return
        archive = package(self.text())
        expected = max(self.spent.get(self.brief, set()) | {0}) + 1
        answer = self.change(
            lam.create_function,
            becomes=lambda _: {("brief",): expected},
            FunctionName=self.brief,
            Runtime=PYTHON,
            Handler="index.handler",
            Role=ROLE,
            Code={"ZipFile": archive},
            Publish=True,
        )
        if answer:
            self.fresh_number(self.brief, int(answer["Version"]))

    do_brief_again = do_brief

    def do_brief_alias(self, lam):
        if ("brief",) in self.known and ("brief", "alias") not in self.known:
            version = str(self.known["brief",])
            value = {("brief", "alias"): version}
            self.change(lam.create_alias, becomes=lambda _: value, FunctionName=self.brief, Name="a", FunctionVersion=version)

    # What is seen.

    def arn(self):
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.f}"

    def settled(self):
        """Nothing of this worker's is on its way any more."""
        lam = self.client()
        for name in [self.f, self.brief]:
            try:
                versions = pages(lam, "list_versions_by_function", "Versions", FunctionName=name)
            except lam.exceptions.ResourceNotFoundException:
                continue
            for version in versions:
                shown = lam.get_function_configuration(FunctionName=name, Qualifier=version["Version"])
                if shown["State"] == "Pending" or shown.get("LastUpdateStatus") == "InProgress":
                    return False
                assert shown["State"] == "Active", shown
        mappings = pages(lam, "list_event_source_mappings", "EventSourceMappings", FunctionName=self.f)
        return not any(mapping["State"] in ON_ITS_WAY for mapping in mappings)

    def seen(self):
        """All that there is, as `known` has it."""
        lam, seen = self.client(), {}
        whole = {"FunctionName": self.f}
        latest = lam.get_function(**whole)
        seen["description",] = latest["Configuration"]["Description"]
        seen["code",] = latest["Configuration"]["CodeSha256"]
        seen.update({("tag", key): value for key, value in latest.get("Tags", {}).items()})
        if "Concurrency" in latest:
            seen["reserved",] = latest["Concurrency"]["ReservedConcurrentExecutions"]
        seen["recursion",] = lam.get_function_recursion_config(**whole)["RecursiveLoop"]
        for version in pages(lam, "list_versions_by_function", "Versions", **whole):
            if version["Version"] != "$LATEST":
                seen["version", int(version["Version"])] = version["CodeSha256"]
        for alias in pages(lam, "list_aliases", "Aliases", **whole):
            seen["alias", alias["Name"]] = (alias["FunctionVersion"], alias["Description"])
        qualifiers = [str(key[1]) for key in seen if key[0] in {"version", "alias"}]
        for qualifier in qualifiers:
            for sid in statements(lam, self.f, qualifier):
                seen["sid", qualifier, sid] = True
        for qualifier in ["$LATEST", *(str(key[1]) for key in list(seen) if key[0] == "version")]:
            when = lam.get_runtime_management_config(**whole, Qualifier=qualifier)["UpdateRuntimeOn"]
            if when != "Auto" or ("runtime", qualifier) in self.known:
                seen["runtime", qualifier] = when
        for config in pages(lam, "list_function_event_invoke_configs", "FunctionEventInvokeConfigs", **whole):
            seen["event", config["FunctionArn"].rsplit(":", 1)[1]] = config["MaximumRetryAttempts"]
        for config in pages(lam, "list_function_url_configs", "FunctionUrlConfigs", **whole):
            seen["url", config["FunctionArn"].rsplit(":", 1)[1]] = config["AuthType"]
        for config in pages(lam, "list_provisioned_concurrency_configs", "ProvisionedConcurrencyConfigs", **whole):
            key = ("provisioned", config["FunctionArn"].rsplit(":", 1)[1])
            seen[key] = config["RequestedProvisionedConcurrentExecutions"]
            # What it keeps ready is warmed anew after a start.
            assert config["Status"] in ("IN_PROGRESS", "READY"), config
        for version in pages(lam, "list_layer_versions", "LayerVersions", LayerName=self.layer):
            content = lam.get_layer_version(LayerName=self.layer, VersionNumber=version["Version"])["Content"]
            seen["layer", version["Version"]] = content["CodeSha256"]
        for mapping in pages(lam, "list_event_source_mappings", "EventSourceMappings", **whole):
            seen["mapping", mapping["UUID"]] = mapping["BatchSize"]
        for config in pages(lam, "list_code_signing_configs", "CodeSigningConfigs"):
            if config["Description"].startswith(f"{self.f}-"):
                seen["config", config["CodeSigningConfigArn"]] = config["Description"]
        try:
            versions = pages(lam, "list_versions_by_function", "Versions", FunctionName=self.brief)
            (number,) = [version["Version"] for version in versions if version["Version"] != "$LATEST"]
            seen["brief",] = int(number)
            for alias in pages(lam, "list_aliases", "Aliases", FunctionName=self.brief):
                seen["brief", "alias"] = alias["FunctionVersion"]
        except lam.exceptions.ResourceNotFoundException:
            pass
        return seen

    def judge(self):
        """What is there is what was answered, and of what was not answered all or nothing."""
        seen, known, latter = self.seen(), self.known, self.next
        if self.new:
            added = [key for key in seen if key not in known]
            assert len(added) <= 1 and all(key[0] == self.new for key in added), (self.new, added)
            latter = {**known, **{key: seen[key] for key in added}}
        # `Auto` is what every runtime has of which nothing is known.
        bare = lambda state: {key: value for key, value in state.items() if key[0] != "runtime" or value != "Auto"}
        assert bare(seen) in [bare(known), bare(latter or known)], difference(bare(seen), bare(known), bare(latter or known))
        for key in seen:
            spent = {"version": self.f, "layer": self.layer}.get(key[0])
            if spent:
                self.spent.setdefault(spent, set()).add(key[1])
        if ("brief",) in seen:
            self.spent.setdefault(self.brief, set()).add(seen["brief",])
        self.known, self.new, self.next = seen, None, None

    def packages(self):
        """Every version runs, and every layer can be had."""
        lam = self.client()
        for key, digest in self.known.items():
            if key[0] == "version":
                assert invoke(lam, self.f, Qualifier=str(key[1]))["ExecutedVersion"] == str(key[1])
                link = lam.get_function(FunctionName=self.f, Qualifier=str(key[1]))["Code"]["Location"]
            elif key[0] == "layer":
                link = lam.get_layer_version(LayerName=self.layer, VersionNumber=key[1])["Content"]["Location"]
            else:
                continue
            with urllib.request.urlopen(link) as answer:
                assert sha256(answer.read()) == digest, key


def pages(lam, operation, member, **arguments):
    found, marker = [], {}
    while True:
        answer = getattr(lam, operation)(**arguments, **marker)
        found += answer[member]
        if not answer.get("NextMarker"):
            return found
        marker = {"Marker": answer["NextMarker"]}


def statements(lam, name, qualifier):
    import json

    try:
        policy = lam.get_policy(FunctionName=name, Qualifier=qualifier)["Policy"]
    except lam.exceptions.ResourceNotFoundException:
        return []
    return [statement["Sid"] for statement in json.loads(policy)["Statement"]]


def difference(seen, *expected):
    return [{key: (seen.get(key), one.get(key)) for key in {*seen, *one} if seen.get(key) != one.get(key)} for one in expected]


@pytest.mark.parametrize("seed", [1, 2])
def test_changes_of_every_kind_survive_kills(fresh, seed):
    dice = random.Random(seed)
    server = fresh()
    workers = [Worker(server, number, seed) for number in range(WORKERS)]
    for worker in workers:
        worker.begin()
    for _ in range(ROUNDS):
        stop, before = threading.Event(), sum(worker.answered for worker in workers)
        threads = [threading.Thread(target=worker.work, args=(stop,)) for worker in workers]
        for thread in threads:
            thread.start()
        broken = lambda: any(worker.broken for worker in workers)
        until(lambda: broken() or sum(worker.answered for worker in workers) >= before + 30)
        time.sleep(dice.uniform(0, 1.5))
        server.kill()
        stop.set()
        for thread in threads:
            thread.join()
        server.start()
        for worker in workers:
            if worker.broken:
                raise worker.broken
            until(worker.settled)
            worker.judge()
    every = {name for name in dir(Worker) if name.startswith("do_") and getattr(Worker, name).__name__ == name}
    assert set.union(*(worker.done for worker in workers)) == every
    for worker in workers:
        worker.packages()
        wait_active(worker.client(), worker.f)
    assert server.stop() == 0
