"""What lies about on the host and in another function, to see from outside whether an attempt reached it."""

import ctypes
import ipaddress
import os
import pathlib
import secrets
import socket
import subprocess

from samovar import create, invoke, until

OTHER_ACCOUNT = "111111111111"
VICTIM = """
import ctypes, os, socket
# {word}
SECRET = os.environ['SECRET']
open('/tmp/secret', 'w').write(SECRET)
listener = socket.socket(socket.AF_UNIX)
listener.bind('\\0{abstract}')
listener.listen()
ctypes.CDLL(None).shmget({key}, 4096, 0o1777)
SELF = os.urandom(8).hex()
def handler(event, context):
    return [SELF, open('/tmp/secret').read() == SECRET]
"""


class Canaries:
    """A secret file, a process, listeners and queues of the host, and a function of another account."""

    def __init__(self, server, directory):
        self.server = server
        self.word = secrets.token_hex(12)
        self.secret = directory / "secret"
        self.secret.write_text(self.word)
        self.core_before = set(pathlib.Path("/").glob("core*"))
        self.host_name = socket.gethostname()
        self.process = subprocess.Popen(["/bin/sleep", "1000000"], env={"WORD": self.word})
        self.streams, self.datagrams = [], []
        for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            for kind, kept in ((socket.SOCK_STREAM, self.streams), (socket.SOCK_DGRAM, self.datagrams)):
                one = socket.socket(family, kind)
                if family == socket.AF_INET6:
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                one.bind((host, kept[0].getsockname()[1] if kept else 0))
                kept.append(one)
        self.abstract = f"samovar-canary-{self.word[:8]}"
        for address in ("\0" + self.abstract, str(directory / "socket")):
            self.streams.append(socket.socket(socket.AF_UNIX))
            self.streams[-1].bind(address)
        for one in self.streams:
            one.listen()
        for one in self.streams + self.datagrams:
            one.setblocking(False)
        self.key = 0x10000000 + secrets.randbelow(0x0FFFFFFF)
        self.libc = ctypes.CDLL(None)
        self.shared = [self.libc.shmget(self.key, 4096, 0o1777), self.libc.semget(self.key, 1, 0o1777), self.libc.msgget(self.key, 0o1777)]
        self.queue = f"samovar-canary-{self.word[:8]}"
        self.descriptor = self.libc.mq_open(f"/{self.queue}".encode(), os.O_CREAT | os.O_RDWR, 0o666, None)
        assert min(self.shared) >= 0 and self.descriptor >= 0

        self.theirs = server.client("lambda", account=OTHER_ACCOUNT)
        code = VICTIM.format(word=self.word, abstract=self.abstract + "-function", key=self.key)
        self.other = "escape-victim"
        variables = {"Variables": {"SECRET": self.word}}
        create(self.theirs, self.other, code, Timeout=3, Environment=variables)
        self.self = invoke(self.theirs, self.other)["payload"]

    def event(self):
        """What attempts are told, to know what to look for."""
        return {
            "word": self.word,
            "secret": str(self.secret),
            "data": str(self.server.data_dir),
            "other": self.other,
            "account": OTHER_ACCOUNT,
            "key": self.key,
            "queue": self.queue,
            "abstract": [self.abstract, self.abstract + "-function"],
            "unix": str(self.secret.parent / "socket"),
            "ports": [self.server.port, self.streams[0].getsockname()[1]],
            "addresses": ["127.0.0.1", "::1", "127.1.2.3", *host_addresses()],
            "cards": cards(),
            "host": {
                "host name": [self.host_name],
                "machine id": [each for each in (text("/etc/machine-id"),) if each],
                "name servers": words("/etc/resolv.conf", "nameserver"),
                "domain": words("/etc/resolv.conf", "search") + words("/etc/resolv.conf", "domain"),
            },
            "environment": [f"{name}={value}" for name, value in os.environ.items() if len(value) > 8 and name not in ("PATH", "LANG")],
        }

    def check(self):
        """Nothing of it was touched, and who did nothing wrong is still served."""
        assert invoke(self.theirs, self.other)["payload"] == self.self, "the other function lost its environment or its files"
        assert self.process.poll() is None and self.server.process.poll() is None
        assert self.secret.read_text() == self.word and self.server.data_dir.is_dir()
        assert socket.gethostname() == self.host_name
        assert set(pathlib.Path("/").glob("core*")) == self.core_before
        for one in self.streams:
            assert quiet(one.accept), f"somebody connected to {one}"
        for one in self.datagrams:
            assert quiet(lambda: one.recv(1)), f"somebody sent to {one}"
        until(self.server.healthy, 5)

    def close(self):
        self.process.kill()
        self.process.wait(10)
        self.libc.shmctl(self.shared[0], 0, None)
        self.libc.semctl(self.shared[1], 0, 0)
        self.libc.msgctl(self.shared[2], 0, None)
        self.libc.mq_unlink(f"/{self.queue}".encode())
        for one in self.streams + self.datagrams:
            one.close()


def quiet(act):
    """Nothing waits there."""
    try:
        act()
    except BlockingIOError:
        return True
    return False


def text(path):
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError:
        return ""


def words(path, first):
    """What follows a word at the beginning of a line; loopback is nobody's secret."""
    found = [word for line in text(path).splitlines() if line.split()[:1] == [first] for word in line.split()[1:]]
    return [word for word in found if not word.startswith("127.") and word != "."]


def host_addresses():
    """Some of the host's own addresses, of both families, without loopback and link-local ones."""
    lines = text("/proc/net/fib_trie").splitlines()
    four = {line.split()[-1] for line, kind in zip(lines, lines[1:]) if kind.strip() == "/32 host LOCAL"}
    six = [line.split()[0] for line in text("/proc/net/if_inet6").splitlines()]
    six = {str(ipaddress.IPv6Address(bytes.fromhex(each))) for each in six}
    return [each for each in sorted(four) + sorted(six) if not each.startswith(("127.", "::1", "fe80"))][:6]


def cards():
    """The addresses of network cards: links that are no other program's making."""
    links = pathlib.Path("/sys/class/net")
    return [text(link / "address") for link in links.iterdir() if (link / "device").exists()]


def processes(marker):
    """Processes of the whole host whose command line holds these words."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if marker in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(int(pid))
        except OSError:
            pass
    return found
