"""Nobody's connections keep others from being served: from inside a function, and from outside."""

import os
import resource
import socket
import threading
import time

import pytest

from samovar import create, invoke, until

# Opens as many connections as it can to one of its own listeners, from several processes because each may hold 1,024
# descriptors, says nothing on some and half a head on the others, and holds them while it waits.
GREEDY = """
import os, socket, subprocess, sys, time
from urllib.parse import urlsplit
HOLD = '''
import socket, sys, time
held = []
for number in range(700):
    try:
        s = socket.socket(); s.settimeout(2); s.setblocking(False)
        s.connect_ex((sys.argv[1], int(sys.argv[2])))
        held.append(s)
    except OSError:
        break
time.sleep(0.5)
for s in held[::2]:
    try:
        s.send(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\\\\r\\\\nhost: x\\\\r\\\\n")
    except OSError:
        pass
print(len(held), flush=True)
time.sleep(float(sys.argv[3]))
'''
def handler(event, context):
    api = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
    endpoint = urlsplit(os.environ["AWS_ENDPOINT_URL"])
    places = [api, [endpoint.hostname, str(endpoint.port)]]
    children = [subprocess.Popen([sys.executable, "-I", "-c", HOLD, *place, "60"], stdout=subprocess.PIPE) for place in places for _ in range(3)]
    opened = [int(child.stdout.readline()) for child in children]
    time.sleep(event["hold"])
    return opened
"""


def descriptors(samovar):
    return len(os.listdir(f"/proc/{samovar.server_pid()}/fd"))


def test_a_function_that_connects_thousands_of_times_hurts_nobody(fresh):
    samovar = fresh()
    lam = samovar.client("lambda")
    create(lam, "greedy", GREEDY, MemorySize=1024, Timeout=20)
    create(lam, "modest", "import urllib.request, os\ndef handler(e, c):\n    return 'well'\n")
    create(lam, "caller", "import http.client, os\nfrom urllib.parse import urlsplit\ndef handler(e, c):\n    url = urlsplit(os.environ['AWS_ENDPOINT_URL'])\n    call = http.client.HTTPConnection(url.hostname, url.port, timeout=20)\n    call.request('GET', '/2015-03-31/functions/modest', headers={'Authorization': e['authorization']})\n    return call.getresponse().status\n", Timeout=30)
    assert invoke(lam, "modest")["payload"] == "well"
    before = descriptors(samovar)
    opened, threads = [], []
    for _ in range(3):
        thread = threading.Thread(target=lambda: opened.append(invoke(samovar.client("lambda"), "greedy", {"hold": 5})["payload"]))
        thread.start()
        threads.append(thread)
    # All that one environment may hold: 32 connections and 16.
    until(lambda: descriptors(samovar) - before >= 32 + 16)
    most, authorization = 0, "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0"
    while any(thread.is_alive() for thread in threads):
        most = max(most, descriptors(samovar))
        started = time.monotonic()
        assert invoke(lam, "modest")["payload"] == "well"
        assert invoke(lam, "caller", {"authorization": authorization})["payload"] in (200, 400, 403)
        assert time.monotonic() - started < 10
    for thread in threads:
        thread.join()
    assert len(opened) == 3 and all(sum(counts) >= 2000 for counts in opened), opened
    # 32 and 16 connections for each of three environments, and what environments and callers hold themselves.
    assert most - before < 3 * (32 + 16) + 100, (before, most)


@pytest.fixture
def many_files():
    """Lets this process hold a flood."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip("this machine lets nobody open so many")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def is_cut(client):
    client.setblocking(False)
    try:
        return client.recv(16) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_silent_and_slow_clients_outside_are_cut_and_others_are_served(fresh, many_files):
    samovar, held = fresh(), []
    lam = samovar.client("lambda")
    create(lam, "f", "def handler(e, c):\n    return 'well'\n")
    before = descriptors(samovar)

    def connect(count):
        for number in range(count):
            client = socket.create_connection(("127.0.0.1", samovar.port), timeout=5)
            held.append(client)
            if number % 2:
                client.sendall(b"GET /_samovar/health HTTP/1.1\r\nHost: localhost\r\n")

    try:
        connect(600)
        until(lambda: descriptors(samovar) - before >= 500)
        # A head that comes drop by drop is as slow as one that does not come.
        for _ in range(4):
            assert invoke(lam, "f")["payload"] == "well"
            for client in held[1::2]:
                client.sendall(b"X-A: b\r\n")
        connect(1800)
        assert descriptors(samovar) - before <= 2048 + 50
        # Where all places are taken, a new client waits until the silent are cut, 10 s after they came.
        assert invoke(samovar.client("lambda"), "f")["payload"] == "well"
        until(lambda: all(is_cut(client) for client in held[:600]), 15)
    finally:
        for client in held:
            client.close()
    until(lambda: descriptors(samovar) - before < 50)
