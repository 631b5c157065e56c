"""Memory images of initialised functions: how a runtime has one made of itself, and goes on from one.

The platform asks for an image of a function with SnapStart by handing a pipe over. A fork of the runtime writes itself
there. The next environments begin as runtimes that know no function, like all others, and become that fork: in them
`take` returns as if they had called it. See `zygote/image.c`.
"""

import os
import stat
import sys

import _socket

# Random numbers for a generator that is to have state of its own.
_SEED_BYTES = 48
_DEVICES = ("/dev/null", "/dev/random", "/dev/urandom", "/dev/zero")
_FLAGS_KEPT = os.O_NONBLOCK | os.O_CLOEXEC
_STANDARD = (0, 1, 2)
# What a runtime exits with that an image does not fit.
_UNFIT = 97

# The library's module, in what a zygote bore.
library = None
_asked = None


class _Asked:
    """What this process was told when it learnt of its function."""

    def __init__(self, env, pipe, most):
        self.env = dict(env)
        self.pipe = pipe
        self.most = most
        self.standard = [_identity(number) for number in _STANDARD]


def find_library():
    """Loads what the zygote's own library brings for images."""
    global library
    from importlib.machinery import ExtensionFileLoader
    from importlib.util import module_from_spec, spec_from_file_location

    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_zygote.so")
    spec = spec_from_file_location("_samovar_image", path, loader=ExtensionFileLoader("_samovar_image", path))
    library = module_from_spec(spec)
    spec.loader.exec_module(library)


def zygote():
    """The name of the zygote that bore this process."""
    return library.zygote() if library else None


def begin(packet, told, files):
    """Becomes what the image is of that came with the packet, or notes that one is wanted."""
    global _asked
    if told.get("image"):
        library.load(files[0], packet)
        os._exit(_UNFIT)
    if told.get("capture"):
        _asked = _Asked(told["env"], files[0], told["capture"])


def take(runtime):
    """Has an image made where one is wanted; says what came of it, as the platform is told, or None.

    Where the image is restored it returns as well, and what it says means nothing.
    """
    global _asked
    asked, _asked = _asked, None
    if asked is None:
        return None
    try:
        state = _State(runtime, asked)
        hindrance = state.hindrance or _hindrance()
        said = hindrance or _written(asked, state)
    except OSError as error:
        said = "it cannot be looked at: %s" % error
    if said is not None:
        os.close(asked.pipe)
    return said


class _State:
    """What of this process is the kernel's, and is made again where the image is restored."""

    def __init__(self, runtime, asked):
        self.runtime = runtime
        self.env = asked.env
        self.hindrance = None
        self.files = []
        self.sockets = []
        self.directory = os.getcwd()
        self.mask = os.umask(0o022)
        os.umask(self.mask)
        if [_identity(number) for number in _STANDARD] != asked.standard:
            self.hindrance = "it has other standard files"
        known = {*_STANDARD, asked.pipe, runtime.sink.descriptor}
        for number in sorted(map(int, os.listdir("/proc/self/fd"))):
            if number not in known:
                self._look_at(number)

    def _look_at(self, number):
        try:
            found = os.fstat(number)
        except OSError:
            # What listed them.
            return
        if stat.S_ISSOCK(found.st_mode):
            return self._look_at_socket(number)
        path = os.readlink("/proc/self/fd/%d" % number)
        flags = int(_field("/proc/self/fdinfo/%d" % number, "flags:"), 8)
        is_file = stat.S_ISREG(found.st_mode) and flags & os.O_ACCMODE == os.O_RDONLY
        if not is_file and path not in _DEVICES:
            self.hindrance = "it has %s open" % path.partition(":")[0]
            return
        if is_file and not os.path.exists(path):
            self.hindrance = "it has a file open that is gone"
            return
        at = os.lseek(number, 0, os.SEEK_CUR) if is_file else None
        self.files.append((number, path, flags & (os.O_ACCMODE | _FLAGS_KEPT), os.get_inheritable(number), at))

    def _look_at_socket(self, number):
        socket = _socket.socket(fileno=os.dup(number))
        kind = socket.family, socket.type, socket.proto
        is_client = kind[0] in (_socket.AF_INET, _socket.AF_INET6) and kind[1] == _socket.SOCK_STREAM
        is_client = is_client and not socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_ACCEPTCONN)
        socket.close()
        if is_client:
            self.sockets.append((number, kind, os.get_blocking(number), os.get_inheritable(number)))
        else:
            self.hindrance = "it has a socket open that is no connection"

    def make_again(self, packet):
        told = self.runtime.scan(packet.decode())
        now = dict(told["env"])
        for name in self.env.keys() - now.keys():
            os.environ.pop(name, None)
        for name, value in now.items():
            # What the function has changed stays changed.
            if self.env.get(name) != value:
                os.environ[name] = value
        os.umask(self.mask)
        os.chdir(self.directory)
        for number, path, flags, inherits, at in self.files:
            _put(os.open(path, flags), number, inherits)
            if at is not None:
                os.lseek(number, at, os.SEEK_SET)
        for number, kind, blocks, inherits in self.sockets:
            # A connection is lost by a restore, here as on AWS: whoever held it finds it closed.
            _put(_socket.socket(*kind).detach(), number, inherits)
            os.set_blocking(number, blocks)
        sys.modules["_samovar_waiting"].show(told["env"])


def _put(opened, number, inherits):
    if opened != number:
        os.dup2(opened, number, inherits)
        os.close(opened)
    else:
        os.set_inheritable(number, inherits)


def _written(asked, state):
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    hear, tell = os.pipe()
    child = os.fork()
    if child == 0:
        packet = None
        try:
            packet = library.save(asked.pipe, asked.most)
            if type(packet) is not bytes:
                os.write(tell, (packet or "taken").encode())
        finally:
            if type(packet) is not bytes:
                os._exit(0)
        try:
            state.make_again(packet)
            _be_unlike_others()
        except Exception:
            os._exit(_UNFIT)
        return None
    os.close(tell)
    said = b"".join(iter(lambda: os.read(hear, 256), b"")).decode()
    os.close(hear)
    try:
        os.waitpid(child, 0)
    except ChildProcessError:
        # The function has its children collected.
        pass
    # Those of libraries that end them around a fork are gone by now; of others the fork knows nothing.
    if len(os.listdir("/proc/self/task")) > 1:
        return "it has threads"
    return said or "its fork ended"


def _hindrance():
    """Why what this process is cannot be made again."""
    import _signal

    threading = sys.modules.get("threading")
    if threading is not None and threading.active_count() > 1:
        return "it has threads"
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return "it has child processes"
    except ChildProcessError:
        pass
    if any(any(_signal.getitimer(which)) for which in range(3)) or _contents("/proc/self/timers"):
        return "it has timers"
    for place in ("/tmp", "/dev/shm"):
        if os.path.isdir(place) and os.listdir(place):
            return "it left files in " + place
    return None


def _be_unlike_others():
    """Gives random numbers and names to this process that no other one restored from the image has."""
    modules = sys.modules.get
    if modules("random") is not None:
        modules("random").seed()
    if modules("_ssl") is not None:
        # Libraries with generators of their own see that the process is another one, and do so themselves.
        modules("_ssl").RAND_add(os.urandom(_SEED_BYTES), float(_SEED_BYTES))
    for module, name in (("uuid", "_node"), ("uuid", "_last_timestamp"), ("tempfile", "_name_sequence")):
        if hasattr(modules(module), name):
            setattr(modules(module), name, None)
    if modules("threading") is not None:
        modules("threading").main_thread()._set_native_id()


def _identity(number):
    try:
        found = os.fstat(number)
        return found.st_dev, found.st_ino
    except OSError:
        return None


def _field(path, name):
    for line in _contents(path).splitlines():
        if line.startswith(name):
            return line[len(name) :].strip()
    raise OSError("%s has no %s" % (path, name))


def _contents(path):
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return ""
