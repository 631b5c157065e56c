"""A runtime that was started before anybody knew for which function.

It loads what the stock client has loaded before it looks at /var/task, says that it is ready, and reads one packet:
the environment, the working directory and the arguments that it would have been executed with. Then it goes on as if
it had been. In a zygote every fork is such a runtime, in a sandbox of its own.
"""

import gc
import importlib
import os
import select
import sys
import time

import _socket

import _samovar_client
import _samovar_memory

_WAIT = "_SAMOVAR_WAIT"
_ZYGOTE = "_SAMOVAR_ZYGOTE"
# Nobody gives it to a process that waits; Python itself sets it where the locale is not installed.
_COERCED = "LC_CTYPE"
_ZYGOTE_REHEARSALS = 4
# Seconds within which a function comes whose invocation is under way already: a rehearsal would only delay it.
_ASKED_AT_ONCE = 0.005
# More than its 52 numbers take.
_STAT_BYTES = 4096
# The largest packet that an init sends.
_PACKET_BYTES = 128 * 1024
# Files that come with it at most, and the bytes of each one's number.
_FILES = 2
_FILE_BYTES = 4


def wait():
    """Returns when this process has become the runtime of a function."""
    descriptor = int(os.environ[_WAIT])
    scan = _preload()
    rehearse = importlib.import_module("_samovar_rehearsal").rehearse
    if _ZYGOTE in os.environ:
        # More than once: the interpreter writes into code until it knows it well.
        rehearse(_become, _ZYGOTE_REHEARSALS)
        _samovar_memory.find_library()
        _bear()
    os.write(descriptor, _ready(_samovar_memory.zygote()))
    if not select.select([descriptor], [], [], _ASKED_AT_ONCE)[0]:
        rehearse(_become, 1)
    packet, files = _hear(descriptor)
    if not packet:
        os._exit(0)
    told = scan(packet.decode())[0]
    _samovar_memory.begin(packet, told, files)
    _become(**told)


def _ready(zygote):
    born = "" if zygote is None else ',"zygote":"%s"' % zygote
    return ('{"ready":%d%s}' % (os.getpid(), born)).encode()


def _hear(descriptor):
    """One packet with the files that came with it; the socket is closed then."""
    # The kinds are named, so that the module need not ask for them.
    socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, descriptor)
    room = _socket.CMSG_SPACE(_FILES * _FILE_BYTES)
    packet, control, _, _ = socket.recvmsg(_PACKET_BYTES, room, _socket.MSG_CMSG_CLOEXEC)
    socket.close()
    numbers = b"".join(data for _, kind, data in control if kind == _socket.SCM_RIGHTS)
    starts = range(0, len(numbers) - len(numbers) % _FILE_BYTES, _FILE_BYTES)
    return packet, [int.from_bytes(numbers[at : at + _FILE_BYTES], sys.byteorder) for at in starts]


def _preload():
    import json

    for name in sorted(_samovar_client.OURS_FIRST):
        try:
            importlib.import_module(name)
        except ImportError:
            # A build of Python without it.
            pass
    for name in ("_samovar_faults", "_samovar_json", "_samovar_logging"):
        importlib.import_module(name)
    return json.JSONDecoder().raw_decode


def _bear():
    # What is alive now stays where it is: a collection in a child would copy the pages of all of it.
    gc.collect()
    gc.freeze()
    while os.fork():
        pass
    # Python tells a fork that it is another process, but not by which number.
    sys.modules["threading"].main_thread()._set_native_id()


def _become(env, cwd, **_):
    # The arguments are those that this process was executed with.
    coerced, zone = os.environ.get(_COERCED), os.environ.get("TZ")
    os.environ.clear()
    os.environ.update(env)
    if coerced is not None:
        os.environ.setdefault(_COERCED, coerced)
    if os.environ.get("TZ") != zone:
        time.tzset()
    os.chdir(cwd)
    show(env)


def show(env):
    """Has /proc show these variables as the process's."""
    # /proc shows the environment where it was when this process began; by now nothing points there any more.
    try:
        # A file object is more than one small read needs.
        stat = os.open("/proc/self/stat", os.O_RDONLY)
        try:
            fields = os.read(stat, _STAT_BYTES).rpartition(b") ")[2].split()
        finally:
            os.close(stat)
        start, end = int(fields[47]), int(fields[48])
        block = os.fsencode("".join("%s=%s\0" % (name, value) for name, value in env))
        memory = os.open("/proc/self/mem", os.O_WRONLY)
        try:
            os.pwrite(memory, block.ljust(end - start, b"\0")[: end - start], start)
        finally:
            os.close(memory)
    except (OSError, ValueError, IndexError):
        # A function that looks there finds less.
        pass
