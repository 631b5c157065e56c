"""What functions reach beyond their sandbox, in a world of network namespaces.

`host` is where Samovar and its callers run, `internet` what is behind it, and `lan` a neighbour who would like to be
routed. Nothing here touches the machine's own network: forwarding and packet filters belong to a namespace.
"""

import contextlib
import ctypes
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import urllib.request

import pytest

from samovar import Samovar, create, invoke, until

WEB4, WEB6 = "198.51.100.80", "2001:db8:99::80"
HOST4, HOST6 = "203.0.113.2", "2001:db8:1::2"
PRIVATE4, PRIVATE6 = "10.99.0.1", "fd99::1"
METADATA = "169.254.169.254"
ROUTER4, ROUTER6 = "203.0.113.1", "2001:db8:1::1"
FORWARD4 = pathlib.Path("/proc/sys/net/ipv4/ip_forward")
FORWARD6 = pathlib.Path("/proc/sys/net/ipv6/conf/all/forwarding")
HEEDS = pathlib.Path("/proc/sys/net/ipv6/conf/up0/accept_ra")
CONSENT = ("--allow-ip-forward", "on")
NAT = ("--egress", "nat", *CONSENT)
# Gives the server a resolv.conf of its own, and what else a test asks for, without changing the machine's.
WITH_FILES = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"']
WITHOUT_NFT = ["unshare", "-m", "sh", "-c", 'mount --bind /dev/null "$0" && exec "$@"']

PROBE = """
import json, os, socket, struct, threading, time, urllib.request

def handler(event, context):
    return globals()[event.pop("do")](**event)

def get(host, port=80, path="/", source=None):
    name = f"[{host}]" if ":" in host else host
    try:
        sock = socket.create_connection((host, port), 3, source_address=source and (source, 0))
        sock.settimeout(20)
        sock.sendall(f"GET {path} HTTP/1.0\\r\\nHost: {name}\\r\\n\\r\\n".encode())
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
        head, _, body = answer.partition(b"\\r\\n\\r\\n")
        return body.decode() if len(body) < 1000 else len(body)
    except OSError as error:
        return {"error": type(error).__name__, "errno": error.errno}

def post(host, count):
    with urllib.request.urlopen(f"http://{host}/", b"y" * count, timeout=60) as answer:
        return int(answer.read())

def datagram(host, text, source=None, port=7000):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.settimeout(1)
    try:
        if source:
            sock.bind((source, 0))
        sock.sendto(text.encode(), (host, port))
        return sock.recv(65536).decode()
    except OSError as error:
        return {"error": type(error).__name__, "errno": error.errno}

def resolve(name):
    try:
        found = socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)
        return sorted(entry[4][0] for entry in found)
    except socket.gaierror as error:
        return {"error": error.errno}

def raw():
    found = []
    for family, kind in ((socket.AF_INET, socket.SOCK_RAW), (socket.AF_INET6, socket.SOCK_RAW), (17, socket.SOCK_RAW)):
        try:
            socket.socket(family, kind, 1)
            found.append("made")
        except OSError as error:
            found.append(error.errno)
    return found

def addresses():
    lines = open("/proc/net/if_inet6").read().split("\\n")
    six = [socket.inet_ntop(socket.AF_INET6, bytes.fromhex(line[:32])) for line in lines if line.endswith("eth0")]
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(("198.51.100.80", 9))
    return {"four": sock.getsockname()[0], "six": [one for one in six if not one.startswith("fe80")],
            "resolv": open("/etc/resolv.conf").read()}

def listen(seconds):
    # Serves on every address of this sandbox, and asks itself first: the listener works.
    import http.server
    class Quiet(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200); self.end_headers(); self.wfile.write(b"sibling")
        def log_message(self, *_): pass
    class Both(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6
    server = Both(("::", 8000), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    mine = addresses()
    own = [get(address, 8000) for address in (mine["four"], *mine["six"])]
    open("/tmp/listening", "w").write("yes")
    time.sleep(seconds)
    server.shutdown()
    return own
"""


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, **more).stdout


def enter(namespace):
    """Moves this thread, and what it starts from now on, into a network namespace."""
    with open(namespace) as file:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(file.fileno(), 0x40000000):
            raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def inside(name):
    with open("/proc/thread-self/ns/net") as home:
        enter(f"/run/netns/{name}")
        try:
            yield
        finally:
            enter(f"/proc/self/fd/{home.fileno()}")


class World:
    def __init__(self, label):
        self.host, self.internet, self.lan = (f"samovar-{label}-{part}" for part in ("host", "internet", "lan"))

    def build(self):
        for name in (self.host, self.internet, self.lan):
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        for name, interface, peer, there in (
            (self.host, "up0", "net0", self.internet),
            (self.host, "lan0", "out0", self.lan),
        ):
            run("ip", "-n", name, "link", "add", interface, "type", "veth", "peer", "name", peer, "netns", there)
        addresses = (
            (self.host, "up0", f"{HOST4}/24", f"{HOST6}/64"),
            (self.host, "lan0", "192.168.77.1/24"),
            (self.lan, "out0", "192.168.77.2/24"),
            (self.internet, "net0", f"{ROUTER4}/24", f"{ROUTER6}/64"),
            (self.internet, "lo", f"{WEB4}/32", "198.51.100.53/32", f"{PRIVATE4}/32", f"{METADATA}/32"),
            (self.internet, "lo", f"{WEB6}/128", f"{PRIVATE6}/128"),
        )
        for name, interface, *each in addresses:
            for address in each:
                options = ["nodad"] if ":" in address else []
                run("ip", "-n", name, "address", "add", address, "dev", interface, *options)
            run("ip", "-n", name, "link", "set", interface, "up")
        run("ip", "-n", self.host, "route", "add", "default", "via", ROUTER4)
        run("ip", "-n", self.host, "-6", "route", "add", "default", "via", ROUTER6)
        run("ip", "-n", self.lan, "route", "add", "default", "via", "192.168.77.1")
        run("ip", "-n", self.internet, "route", "add", "192.168.77.0/24", "via", HOST4)
        script = pathlib.Path(__file__).with_name("internet.py")
        with inside(self.internet):
            self.server = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
        assert self.server.stdout.readline() == "ready\n"
        return self

    def end(self):
        if hasattr(self, "server"):
            self.server.kill()
            self.server.wait(10)
        for name in (self.host, self.internet, self.lan):
            subprocess.run(["ip", "netns", "del", name], timeout=60)

    def seen(self):
        return json.loads(fetch(WEB4, path="/seen"))


def fetch(host, port=80, path="/"):
    """From this thread's namespace: proves that something answers there."""
    name = f"[{host}]" if ":" in host else host
    with urllib.request.urlopen(f"http://{name}:{port}{path}", timeout=5) as answer:
        return answer.read().decode()


@pytest.fixture(scope="module")
def world():
    built = World(str(os.getpid()))
    try:
        built.build()
        with inside(built.host):
            HEEDS.write_text("1")
            yield built
    finally:
        built.end()


@pytest.fixture(scope="module")
def resolv(tmp_path_factory):
    file = tmp_path_factory.mktemp("resolv") / "resolv.conf"
    file.write_text("nameserver 198.51.100.53\n")
    return file


class Place:
    """A server with the function that probes for tests."""

    def __init__(self, data, resolv, *flags, prefix=None):
        prefix = prefix if prefix is not None else [*WITH_FILES, str(resolv)]
        self.server = Samovar(data, *flags, prefix=prefix).start()
        self.lam = self.server.client("lambda")
        create(self.lam, "probe", PROBE, Timeout=60, MemorySize=256)

    def __call__(self, do, function="probe", **arguments):
        answer = invoke(self.lam, function, {"do": do, **arguments})
        assert "FunctionError" not in answer, answer["payload"]
        return answer["payload"]

    def reaches(self, host, port=80):
        answer = self("get", host=host, port=port)
        return not isinstance(answer, dict)


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


@pytest.fixture(scope="module")
def nat(world, resolv, tmp_path_factory):
    """The server that the tests share which only look."""
    place = Place(tmp_path_factory.mktemp("nat") / "data", resolv, *NAT)
    yield place
    assert place.server.stop() == 0
    until(lambda: traces() == ([], [], []))


def traces():
    """What a Samovar leaves in this namespace: tables, interfaces, routes."""
    tables = [line for line in run("nft", "list", "tables").splitlines() if "samovar" in line]
    links = [line for line in run("ip", "-o", "link").splitlines() if re.match(r"\d+: sv", line)]
    routes = [line for line in run("ip", "route").splitlines() if "198.18." in line]
    return tables, links, routes


def inits(place):
    """The first processes of a server's sandboxes."""
    found = run("ps", "-o", "pid=,comm=", "--ppid", str(place.server.process.pid))
    return [int(line.split()[0]) for line in found.splitlines() if line.split()[1] == "samovar-init"]


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


def answers(host, port):
    try:
        return bool(fetch(host, port))
    except OSError:
        return False


def test_siblings_are_not_reached_in_any_mode(world, place):
    for mode in ("nat", "open"):
        here = place("--egress", mode, *CONSENT, "--egress-private", "on", data=mode)
        create(here.lam, "other", PROBE, Timeout=60)
        first = here("addresses", function="other")
        outcome = {}
        thread = threading.Thread(target=lambda: outcome.update(own=here("listen", function="other", seconds=6)))
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
    [init] = inits(nat)

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
    [init] = inits(nat)
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


def test_two_servers_share_a_host_and_the_last_one_switches_off(world, place):
    first, second = place(*NAT, data="first"), place(*NAT, data="second")
    assert len(traces()[0]) == 2
    assert first.reaches(WEB4) and second.reaches(WEB4)
    theirs = second("addresses")["four"]
    assert not theirs.startswith(first("addresses")["four"].rsplit(".", 2)[0])
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
        ((*NAT, "--egress-range", "203.0.0.0/16"), "--egress-range CIDR"),
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
