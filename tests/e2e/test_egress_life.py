"""How a way out is opened, chosen, refused and closed again."""

import ipaddress
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading

import pytest

from egress_world import (
    CONSENT, FORWARD4, FORWARD6, HEEDS, HOST4, METADATA, NAT, PRIVATE4, PRIVATE6, PROBE, WEB4, WEB6, WITHOUT_NFT, Place,
    answers, inits, inside, resolv, run, traces, world,
)  # fmt: skip
from samovar import Samovar, create, invoke, until

__all__ = ["resolv", "world"]  # fixtures


@pytest.fixture
def place(world, resolv, tmp_path):
    """Makes servers in `host`; at the end none of their traces may be left."""
    made = []

    def make(*flags, data="data", **more):
        made.append(Place(tmp_path / data, resolv, *flags, **more))
        return made[-1]

    yield make
    for one in made:
        if one.server.process.poll() is None:
            one.server.stop()
    until(lambda: traces() == ([], [], []))
    assert (FORWARD4.read_text(), FORWARD6.read_text(), HEEDS.read_text()) == ("0\n", "0\n", "1\n")
    assert not list(pathlib.Path("/run/samovar").glob(f"forwarding-{os.stat('/proc/thread-self/ns/net').st_ino}"))


def test_siblings_are_not_reached_in_any_mode(world, place):
    for mode in ("nat", "open"):
        here = place("--egress", mode, *CONSENT, "--egress-private", "on", data=mode)
        create(here.lam, "other", PROBE, Timeout=60)
        first = here("addresses", function="other")
        outcome = {}
        thread = threading.Thread(target=lambda: outcome.update(own=here("listen", function="other", seconds=3)))
        thread.start()
        # Whoever asks from inside the sibling's own namespace is answered.
        pids = inits(here)
        ask = f"import urllib.request as u; print(u.urlopen('http://{first['four']}:8000', timeout=1).read())"

        def listening():
            asked = [
                subprocess.run(
                    ["nsenter", "-t", str(pid), "--net", sys.executable, "-c", ask], capture_output=True, timeout=20
                )
                for pid in pids
            ]
            return any(b"sibling" in one.stdout for one in asked)

        until(listening)
        assert not here.reaches(first["four"], 8000)
        assert not here.reaches(first["six"][0], 8000)
        thread.join(30)
        assert outcome["own"] == ["sibling", "sibling"]
        assert here.server.stop() == 0


def test_private_networks_by_option_and_by_list(world, place):
    here = place(*NAT, "--egress-private", "on", data="private")
    assert here.reaches(PRIVATE4) and here.reaches(PRIVATE6) and here.reaches(WEB4)
    assert not here.reaches(METADATA)
    here.server.stop()

    allowed = ("--egress-allow", f"{PRIVATE4}:5432", "--egress-allow", "[fd99::/64]:5432")
    here = place(*NAT, *allowed, data="list")
    assert here.reaches(PRIVATE4, 5432) and here.reaches(PRIVATE6, 5432) and here.reaches(WEB4)
    assert not here.reaches(PRIVATE4, 80) and not here.reaches(PRIVATE6, 80)
    here.server.stop()


def test_open_reaches_what_the_host_reaches_but_not_the_host(world, place):
    here = place("--egress", "open", *CONSENT)
    assert here.reaches(PRIVATE4) and here.reaches(PRIVATE6) and here.reaches(METADATA) and here.reaches(WEB6)
    assert not here.reaches(HOST4, here.server.port) and not here.reaches("127.0.0.1", here.server.port)
    assert "but neither the host nor each other" in here.server.output()


def test_none_reaches_nothing(world, place):
    here = place("--egress", "none", *CONSENT)
    assert here("get", host=WEB4)["errno"] == 101
    assert here("get", host=WEB6)["errno"] == 101
    assert "error" in here("resolve", name="web.test")
    assert traces() == ([], [], []) and FORWARD4.read_text() == "0\n"


def test_two_servers_share_a_host_and_the_last_one_switches_off(world, place):
    first, second = place(*NAT, data="first"), place(*NAT, data="second")
    assert len(traces()[0]) == 2
    assert first.reaches(WEB4) and second.reaches(WEB4)
    blocks = [ipaddress.ip_network(one("addresses")["four"] + "/20", strict=False) for one in (first, second)]
    assert blocks[0] != blocks[1]
    assert first.server.stop() == 0
    assert FORWARD4.read_text() == "1\n" and len(traces()[0]) == 1
    assert second.reaches(WEB4) and second.reaches(WEB6)
    assert second.server.stop() == 0


def test_what_a_killed_server_leaves_is_swept_by_the_next(world, place):
    here = place(*NAT)
    assert here.reaches(WEB4)
    here.server.kill()
    until(lambda: not traces()[1])
    tables, _, routes = traces()
    assert tables and routes and FORWARD4.read_text() == "1\n", "there is something to sweep"
    again = place("--egress", "none")
    assert traces() == ([], [], [])
    assert (FORWARD4.read_text(), FORWARD6.read_text(), HEEDS.read_text()) == ("0\n", "0\n", "1\n")
    again.server.stop()

    here = place(*NAT)
    here.server.kill()
    again = place(*NAT)
    assert again.reaches(WEB4) and again.reaches(WEB6)


def test_without_its_packet_filter_no_function_is_let_out(world, place):
    here = place(*NAT)
    assert here.reaches(WEB4)
    run("nft", "flush", "ruleset")
    create(here.lam, "later", PROBE, Timeout=20, MemorySize=256)
    with pytest.raises(here.lam.exceptions.ServiceException):
        invoke(here.lam, "later", {"do": "get", "host": HOST4})
    assert "looking for the packet filter" in here.server.output()


def test_auto_does_without_and_says_what_is_missing(world, place):
    here = place()
    assert here("get", host=WEB4)["errno"] == 101
    [line] = [line for line in here.server.output().splitlines() if "reach no network" in line]
    assert "net.ipv4.ip_forward is 0" in line and "--allow-ip-forward on" in line
    here.server.stop()

    here = place(*CONSENT, data="toolless", prefix=[*WITHOUT_NFT, os.path.realpath(shutil.which("nft"))])
    assert here("get", host=WEB4)["errno"] == 101
    assert "install the package nftables" in here.server.output()
    assert FORWARD4.read_text() == "0\n"


def test_what_was_asked_for_and_cannot_be_had_stops_the_start(world, resolv, tmp_path):
    for flags, reason in (
        (("--egress", "nat"), "--egress nat cannot be had: this host does not forward IPv4"),
        (("--egress", "open"), "--egress open cannot be had"),
        ((*NAT, "--egress-range", "203.0.112.0/20"), "--egress-range CIDR"),
        ((*NAT, "--egress-range", "198.18.0.0/24"), "prefix of 20"),
        ((*NAT, "--egress-allow", "10.0.0.1/8"), "10.0.0.0/8"),
        ((*NAT, "--egress-allow", METADATA), "never reaches"),
        (("--egress", "none", "--egress-allow", PRIVATE4), "open nothing"),
    ):
        with pytest.raises(AssertionError, match=re.escape(reason)):
            Samovar(tmp_path / "data", *flags).start()
    assert traces() == ([], [], []) and FORWARD4.read_text() == "0\n"


def test_a_host_that_forwards_by_itself_is_left_as_it_is(world, resolv, tmp_path):
    FORWARD4.write_text("1")
    try:
        here = Place(tmp_path / "data", resolv)
        assert here.reaches(WEB4) and here("get", host=WEB6)["errno"] == 101
        assert "not IPv6, which this host does not forward" in here.server.output()
        with inside(world.lan):
            assert answers(WEB4, 80), "others are routed as before"
        assert here.server.stop() == 0
        assert FORWARD4.read_text() == "1\n"
    finally:
        FORWARD4.write_text("0")


def test_a_firewall_that_would_stop_us_is_named(world, place):
    run("nft", "add table ip strict; add chain ip strict FORWARD { type filter hook forward priority 0; policy drop; }")
    try:
        here = place(*NAT)
        assert "the host's firewall (ip strict FORWARD) drops what it does not know" in here.server.output()
        assert not here.reaches(WEB4) and here.reaches(WEB6)
    finally:
        run("nft", "delete table ip strict")


def test_resolvers_are_read_again_when_they_change(world, place, resolv):
    here = place(*NAT)
    assert here("resolve", name="four.test") == [WEB4]
    try:
        resolv.write_text("nameserver 127.0.0.9\n")
        assert here("resolve", name="four.test") == {"error": -3}
        resolv.write_text("nameserver 127.0.0.9\nnameserver 198.51.100.53\n")
        assert here("resolve", name="four.test") == [WEB4]
    finally:
        resolv.write_text("nameserver 198.51.100.53\n")
