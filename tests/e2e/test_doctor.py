"""samovar doctor: what a host gives, wall by wall, with and without rights."""

import json
import os
import resource
import subprocess

from samovar import BINARY

NOBODY = {"user": 65534, "group": 65534, "extra_groups": []}


def doctor(*flags, **more):
    return subprocess.run([BINARY, "doctor", *flags], capture_output=True, text=True, cwd="/", timeout=30, **more)


def report(*flags, **more):
    said = doctor("--json", *flags, **more)
    return said.returncode, json.loads(said.stdout)


def test_a_host_that_serves_is_ready():
    status, found = report()
    assert (status, found["isolation"], found["ready"]) == (0, "full", True)
    walls = {wall["wall"]: wall for wall in found["walls"]}
    for name in ("launcher's rights", "memory limit", "processor share", "process limit", "disk fairness", "freezer", "swap", "out-of-memory events",
                 "system-call filter", "landlock", "several layers", "egress filter", "forwarding", "links into sandboxes", "IPv6", "open files",
                 "process list", "core dumps", "tracing", "unprivileged user namespaces", "user namespaces", "disk space", "interpreters"):
        wall = walls[name]
        assert wall["detail"] and wall["state"] in ("ok", "weaker", "missing")
        assert (wall["state"] == "ok") == (not wall["advice"]) == (not wall["follows"]), wall
    assert "Python" in walls["interpreters"]["detail"]
    said = doctor()
    assert said.returncode == 0 and said.stdout.rstrip().endswith("Samovar can run functions here.")


def test_without_root_it_says_what_is_missing_and_what_to_do():
    status, found = report(**NOBODY)
    assert (status, found["ready"]) == (1, False)
    missing = [wall for wall in found["walls"] if wall["state"] == "missing"]
    assert [wall["wall"] for wall in missing] == ["launcher's rights"]
    assert "sudo" in missing[0]["advice"] and "--isolation none" in missing[0]["advice"]
    said = doctor(**NOBODY)
    assert said.returncode == 1 and "MISSING  launcher's rights: this is user 65534" in said.stdout


def test_without_walls_it_lists_what_does_not_hold():
    for ask in ({"flags": ["--isolation", "none"]}, {"flags": [], "env": {**os.environ, "SAMOVAR_ISOLATION": "none"}}):
        status, found = report(*ask.pop("flags"), **ask, **NOBODY)
        assert (status, found["isolation"], found["ready"]) == (0, "none", True)
        open_ = [wall["wall"] for wall in found["walls"] if wall["detail"] == "not enforced"]
        assert {"files", "processes", "network", "memory", "processor", "/tmp"} <= set(open_)
    assert "without walls" in doctor("--isolation", "none", **NOBODY).stdout


def test_figures_follow_the_host(tmp_path):
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300))

    status, found = report("--data-dir", str(tmp_path / "there"), preexec_fn=few)
    walls = {wall["wall"]: wall for wall in found["walls"]}
    assert status == 0
    assert walls["open files"]["detail"] == "a hard limit of 300 makes room for 23 environments"
    assert walls["open files"]["state"] == "weaker"
    assert str(tmp_path / "there") in walls["disk space"]["detail"]
