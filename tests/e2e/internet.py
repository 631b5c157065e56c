"""An internet in a network namespace: HTTP, UDP and DNS servers on every address of it.

    python internet.py

Speaks to whoever asks: `GET /` tells the caller's address, `GET /big` sends BIG_BYTES, `POST /` counts what it gets,
`GET /seen` lists the datagrams that arrived on port 7000, which are also sent back with the address they came from.
"""

import http.server
import json
import socket
import socketserver
import struct
import threading

BIG_BYTES = 20_000_000
SEEN = []
ZONE = {
    ("web.test", 1): [socket.inet_aton("198.51.100.80")],
    ("web.test", 28): [socket.inet_pton(socket.AF_INET6, "2001:db8:99::80")],
    ("four.test", 1): [socket.inet_aton("198.51.100.80")],
    ("many.test", 1): [socket.inet_aton(f"198.51.100.{number}") for number in range(1, 101)],
}


class Web(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/big":
            return self.answer(b"x" * BIG_BYTES)
        if self.path == "/seen":
            return self.answer(json.dumps(SEEN).encode())
        return self.answer(self.client_address[0].removeprefix("::ffff:").encode())

    def do_POST(self):
        left, count = int(self.headers["Content-Length"]), 0
        while left and (piece := self.rfile.read(min(left, 65536))):
            left, count = left - len(piece), count + len(piece)
        self.answer(str(count).encode())

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class WebServer(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 128

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


def echo(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((address, 7000))
    while True:
        data, source = sock.recvfrom(65536)
        SEEN.append(data.decode(errors="replace"))
        sock.sendto(data + b" from " + source[0].encode(), source)


def resolve(question, room):
    labels, at = [], 12
    while question[at]:
        labels.append(question[at + 1 : at + 1 + question[at]].decode().lower())
        at += 1 + question[at]
    end = at + 5
    kind = struct.unpack("!H", question[at + 1 : at + 3])[0]
    name = ".".join(labels)
    records = ZONE.get((name, kind), [])
    code = 0 if any(name == known for known, _ in ZONE) else 3
    body = b"".join(
        b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(record)) + record for record in records
    )
    cut = end + len(body) > room
    flags = 0x8180 | code | (0x0200 if cut else 0)
    header = question[:2] + struct.pack("!HHHHH", flags, 1, 0 if cut else len(records), 0, 0)
    return header + question[12:end] + (b"" if cut else body)


def names_by_datagram(address):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 53))
    while True:
        question, source = sock.recvfrom(2048)
        sock.sendto(resolve(question, 512), source)


class Names(socketserver.StreamRequestHandler):
    def handle(self):
        while len(length := self.rfile.read(2)) == 2:
            answer = resolve(self.rfile.read(struct.unpack("!H", length)[0]), 65535)
            self.wfile.write(struct.pack("!H", len(answer)) + answer)


class NamesServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True


def main():
    servers = [WebServer(("::", 80), Web), WebServer(("::", 5432), Web), NamesServer(("198.51.100.53", 53), Names)]
    work = [server.serve_forever for server in servers]
    work += [lambda: names_by_datagram("198.51.100.53")]
    work += [lambda: echo("198.51.100.80"), lambda: echo("2001:db8:99::80")]
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    print("ready", flush=True)


if __name__ == "__main__":
    main()
