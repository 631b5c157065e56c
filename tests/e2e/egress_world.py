"""A world of network namespaces for what functions reach beyond their sandbox.

`host` is where Samovar and its callers run, `internet` what is behind it, and `lan` a neighbour who would like to be
routed. Nothing here touches the machine's own network: forwarding and packet filters belong to a namespace.
"""

import contextlib
import ctypes
import json
import os
import pathlib
import re
import subprocess
import sys
import urllib.request

import pytest

from samovar import Samovar, create, invoke

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
import socket, threading, time, urllib.request

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
    def __init__(self):
        label = os.getpid()
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
    built = World()
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
        if not self.lam.list_functions()["Functions"]:
            create(self.lam, "probe", PROBE, Timeout=60, MemorySize=256)

    def __call__(self, do, function="probe", **arguments):
        answer = invoke(self.lam, function, {"do": do, **arguments})
        assert "FunctionError" not in answer, answer["payload"]
        return answer["payload"]

    def reaches(self, host, port=80):
        answer = self("get", host=host, port=port)
        return not isinstance(answer, dict)


def traces():
    """What a Samovar leaves in this namespace: tables, interfaces, routes."""
    tables = [line for line in run("nft", "list", "tables").splitlines() if "samovar" in line]
    links = [line for line in run("ip", "-o", "link").splitlines() if re.match(r"\d+: sv", line)]
    routes = [line for line in run("ip", "route").splitlines() if re.search(r"198\.1[89]\.", line)]
    return tables, links, routes


def inits(place):
    """The first processes of a server's sandboxes."""
    found = run("ps", "-o", "pid=,comm=", "--ppid", str(place.server.process.pid))
    return [int(line.split()[0]) for line in found.splitlines() if line.split()[1] == "samovar-init"]


def init_at(place, address):
    """The first process of the sandbox that has this address."""
    show = ("ip", "-4", "-o", "address", "show", "eth0")
    [found] = [pid for pid in inits(place) if f" {address}/" in run("nsenter", "-t", str(pid), "--net", *show)]
    return found


def answers(host, port):
    try:
        return bool(fetch(host, port))
    except OSError:
        return False
