"""What a hostile function tries, in tables: a name, what is tried, what must hold, the code, and the check.

Every attempt's code runs inside a function and returns what came of it; `holds` looks at that. What an attempt would
have done to the host is looked for from outside, by `Canaries`, after each of them.
"""

import dataclasses
import typing


@dataclasses.dataclass(frozen=True)
class Attempt:
    """One attempt. `tried` and `must` are the cells of its row in SECURITY.md."""

    name: str
    tried: str
    must: str
    code: str
    # A value to compare with, or a function of what came back that says whether the walls held.
    holds: typing.Any
    # The function's settings, for attempts that take a function of their own.
    own: typing.Optional[dict] = None


def refused(results):
    """None of the calls did what was asked."""
    return bool(results) and all(result != "worked" for result in results.values())


# The function in which attempts run, with what they share. A result of `call` is "worked" or the name of an errno.
PROBE = r'''
import ctypes, errno, fcntl, json, mmap, os, resource, select, signal, socket, stat, struct, subprocess, sys, textwrap
import threading, time

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
API = ('169.254.100.1', 9001)
ENDPOINT = ('169.254.100.1', 4566)

def call(number, *arguments):
    ctypes.set_errno(0)
    plain = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    if libc.syscall(ctypes.c_long(number), *plain) >= 0:
        return 'worked'
    return errno.errorcode.get(ctypes.get_errno(), ctypes.get_errno())

def act(what, *arguments, **more):
    """'worked', or the error's name."""
    try:
        result = what(*arguments, **more)
    except Exception as error:
        number = getattr(error, 'errno', None)
        return errno.errorcode.get(number, number) if number else type(error).__name__
    if hasattr(result, 'close'):
        result.close()
    return 'worked'

def read(path, size=4096):
    try:
        with open(path, 'rb') as file:
            return file.read(size).decode(errors='replace')
    except OSError:
        return ''

def writable(path):
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW))
        return True
    except OSError:
        return False

def walk(top, skip=()):
    for directory, names, files in os.walk(top):
        names[:] = [name for name in names if os.path.join(directory, name) not in skip]
        yield directory, names, files

def in_child(act):
    """How a child process ended that did this: the wait status."""
    child = os.fork()
    if child == 0:
        try:
            act()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]

def ask(address, request, timeout=3):
    """The status of an HTTP answer; 0 for none."""
    try:
        with socket.create_connection(address, timeout=timeout) as connection:
            connection.sendall(request)
            return int((connection.recv(65536) or b'- 0').split()[1])
    except OSError:
        return 0

def handler(event, context):
    scope = dict(globals(), event=event, context=context)
    exec('def attempt():\n' + textwrap.indent(event['code'], '    '), scope)
    return scope['attempt']()
'''
