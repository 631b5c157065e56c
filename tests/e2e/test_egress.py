"""What functions reach beyond their sandbox, seen from one that has a way out."""

import re
import subprocess
import sys

import pytest

from egress_world import (
    FORWARD4, HEEDS, HOST4, HOST6, METADATA, NAT, PRIVATE4, PRIVATE6, WEB4, WEB6, Place, answers, init_at, inside, resolv,
    run, traces, world,
)  # fmt: skip
from samovar import until

__all__ = ["resolv", "world"]  # fixtures


@pytest.fixture(scope="module")
def nat(world, resolv, tmp_path_factory):
    """The server that the tests share which only look."""
    place = Place(tmp_path_factory.mktemp("nat") / "data", resolv, *NAT)
    yield place
    assert place.server.stop() == 0
    until(lambda: traces() == ([], [], []))


def test_the_internet_is_reached_by_both_families_and_by_name(nat):
    assert nat("get", host=WEB4) == HOST4, "the source is the host's"
    assert nat("get", host=WEB6) == HOST6
    assert nat("resolve", name="web.test") == [WEB4, WEB6]
    assert nat("get", host="web.test") in (HOST4, HOST6)
    assert nat("get", host="four.test") == HOST4
    found = nat("addresses")
    assert found["resolv"].startswith("nameserver 169.254.100.1\n")
    assert found["four"].startswith("198.1") and len(found["six"]) == 1
    assert "functions reach the internet (IPv4 and IPv6)" in nat.server.output()


def test_large_transfers_arrive_whole_and_datagrams_too(nat):
    assert nat("get", host=WEB4, path="/big") == 20_000_000
    assert nat("get", host=WEB6, path="/big") == 20_000_000
    assert nat("post", host=WEB4, count=5_000_000) == 5_000_000
    assert nat("datagram", host=WEB4, text="hello") == f"hello from {HOST4}"
    assert nat("datagram", host=WEB6, text="hello") == f"hello from {HOST6}"
    assert nat("datagram", host=WEB4, text="z" * 9000).startswith("zzz")


def test_names_are_asked_over_tcp_when_the_answer_is_long_and_some_are_known_here(nat):
    assert len(nat("resolve", name="many.test")) == 100
    assert nat("resolve", name="nothing.test") == {"error": -2}
    assert "127.0.0.1" in nat("resolve", name="some.localhost")
    assert nat("resolve", name="169-254-100-1") == ["169.254.100.1"]


def test_neither_host_nor_metadata_nor_private_networks_are_reached(nat, world):
    listener = f"import http.server as h; h.ThreadingHTTPServer.address_family = 10; h.test(h.SimpleHTTPRequestHandler, h.ThreadingHTTPServer, port=8088, bind='::')"
    serving = subprocess.Popen([sys.executable, "-c", listener], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: answers("127.0.0.1", 8088))
        for host in (HOST4, HOST6, "127.0.0.1", "::1", "192.168.77.1"):
            assert answers(host, 8088), f"{host} answers on the host"
            assert not nat.reaches(host, 8088), host
        for host in (PRIVATE4, PRIVATE6, METADATA):
            assert answers(host, 80), f"{host} answers to the host"
            assert not nat.reaches(host), host
        mapped = nat("get", host=f"::ffff:{PRIVATE4}")
        assert isinstance(mapped, dict), mapped
        assert not nat.reaches("127.0.0.1", nat.server.port)
        assert not nat.reaches(HOST4, nat.server.port)
        assert not nat.reaches("169.254.100.2", 8088), "the next hop is nobody"
    finally:
        serving.kill()
        serving.wait(10)
    refused = nat("get", host=METADATA)
    assert refused["error"] == "ConnectionRefusedError", "clients that look for it are told at once"


SPOOF = """
import socket, struct, sys
source, text = sys.argv[1:]
data = text.encode()
udp = struct.pack("!HHHH", 4000, 7000, 8 + len(data), 0) + data
ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0,
                 socket.inet_aton(source), socket.inet_aton("198.51.100.80"))
sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
sock.sendto(ip + udp, ("198.51.100.80", 0))
"""


def test_a_sandbox_sends_from_its_own_address_alone(nat, world):
    own = nat("addresses")["four"]
    init = init_at(nat, own)

    def send(source, text):
        run("nsenter", "-t", str(init), "--net", sys.executable, "-c", SPOOF, source, text)

    neighbour = own.rsplit(".", 1)[0] + ".250"
    for number, source in enumerate((HOST4, neighbour, "8.8.8.8", "10.0.0.1", "169.254.100.1")):
        send(source, f"forged {number}")
    assert isinstance(nat("datagram", host=WEB4, text="forged inside", source="169.254.100.1"), dict)
    send(own, "honest")
    until(lambda: "honest" in world.seen())
    assert not [text for text in world.seen() if text.startswith("forged")]


def test_raw_sockets_and_power_over_the_network_are_refused(nat):
    assert all(errno in (1, 97) for errno in nat("raw"))
    init = init_at(nat, nat("addresses")["four"])
    # Root of the sandbox's own user namespace, with every right that it gives.
    command = ["nsenter", "-t", str(init), "--user", "--net", "ip", "link", "set", "eth0", "down"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert refused.returncode and "not permitted" in refused.stderr
    assert nat.reaches(WEB4)


def test_a_neighbour_is_not_routed_by_a_host_that_forwards_for_functions(nat, world):
    def neighbour():
        with inside(world.lan):
            return answers(WEB4, 80)

    assert FORWARD4.read_text() == "1\n"
    assert HEEDS.read_text() == "2\n", "a host that forwards still heeds its router"
    assert nat.reaches(WEB4) and not neighbour()
    table = traces()[0][0].split()[-1]
    rule = 'iifname != "sv*" oifname != "sv*" drop'
    listing = run("nft", "-a", "list", "chain", "inet", table, "forward")
    handle = re.search(rf"{re.escape(rule)} # handle (\d+)", listing)[1]
    run("nft", "delete", "rule", "inet", table, "forward", "handle", handle)
    assert neighbour(), "without our rule it would be"
    run("nft", "add", "rule", "inet", table, "forward", *rule.split())
