"""Samovar's Python runtime client: fetches events, calls the handler, posts what came of it.

A cold start waits for every module imported here, so this file takes only what each invocation
needs: the socket and the JSON scanner are the C modules below `socket` and `json`, and logging,
tracebacks and the rarer JSON rules come in when they are first needed. A runtime that waits for
its function has loaded them by then, see `_samovar_waiting`. Importing this file does nothing;
`main` does.
"""

import builtins
import importlib
import os
import sys
import time

import _json
import _socket

_API = b"/2018-06-01/runtime/"
_SDK = "/var/runtime/sdk/python"
_READ = 65536
_WRITE_TOGETHER = 262144
# Asks Samovar to reply to an answer with the next event. Elsewhere the reply is the usual 202.
_AND_NEXT = b"samovar-and-next: 1\r\n"
_TEXT_FRAME = 0xA55A0003
_SPACE = " \t\n\r"

# The stock client has these loaded before it looks at /var/task, so a file of the same name in a
# function's package never replaces them. Here they may load later and need that protection.
OURS_FIRST = frozenset(
    (
        "collections contextlib copy copyreg decimal enum functools heapq http json keyword linecache logging "
        "math numbers operator re reprlib socket string struct threading token tokenize traceback types "
        "warnings weakref"
    ).split()
)


class Fault(Exception):
    """An error of the runtime's own making; its type and text are part of Lambda's interface."""

    def __init__(self, kind, message, trace=None):
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.trace = trace


class CognitoIdentity:
    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")

    def __repr__(self):
        return _describe(self)


class Client:
    __slots__ = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")

    def __repr__(self):
        return _describe(self)


class ClientContext:
    __slots__ = ("custom", "env", "client")

    def __repr__(self):
        return _describe(self)


class LambdaContext:
    """What a handler receives as its second argument."""

    def __init__(self, runtime, headers):
        env = os.environ.get
        self.aws_request_id = headers.get("lambda-runtime-aws-request-id")
        self.log_group_name = env("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = env("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = env("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = env("AWS_LAMBDA_FUNCTION_VERSION")
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn")
        self.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
        client = _header_json(headers, "lambda-runtime-client-context", "Client Context")
        self._w3c = _take_w3c(client)
        self.client_context = _filled(ClientContext, client)
        if self.client_context is not None:
            self.client_context.client = _filled(Client, self.client_context.client)
        identity = _header_json(headers, "lambda-runtime-cognito-identity", "Cognito Identity") or {}
        self.identity = CognitoIdentity()
        self.identity.cognito_identity_id = identity.get("cognitoIdentityId")
        self.identity.cognito_identity_pool_id = identity.get("cognitoIdentityPoolId")
        self._epoch_deadline_time_in_ms = int(headers.get("lambda-runtime-deadline-ms") or 0)
        self._runtime = runtime

    def get_remaining_time_in_millis(self):
        """Milliseconds until the invocation times out; never below zero."""
        return max(self._epoch_deadline_time_in_ms - int(time.time() * 1000), 0)

    def log(self, message):
        """Writes one log event."""
        self._runtime.sink.write(str(message))

    def w3c(self):
        """The W3C trace context that came with the client context."""
        return dict(self._w3c)

    def __repr__(self):
        names = (
            "aws_request_id log_group_name log_stream_name function_name memory_limit_in_mb "
            "function_version invoked_function_arn client_context identity tenant_id"
        )
        return _describe(self, names.split())


class Sink:
    """Where log events go: frames on a descriptor of their own, else plain lines on stdout."""

    def __init__(self, descriptor):
        self.descriptor = descriptor

    def write(self, message, kind=_TEXT_FRAME):
        """Writes one event. In a frame its line ends are kept."""
        if self.descriptor is None:
            sys.stdout.write(message)
            sys.stdout.flush()
            return
        data = message.encode("utf-8", "backslashreplace")
        micros = time.time_ns() // 1000
        # One write a frame: what other threads and processes write must not fall into it.
        rest = kind.to_bytes(4, "big") + len(data).to_bytes(4, "big") + micros.to_bytes(8, "big") + data
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]


class Connection:
    """One kept-alive HTTP/1.1 connection to the Runtime API."""

    def __init__(self, address, connected=None):
        host, _, port = address.rpartition(":")
        self._address = (host, int(port))
        self._host = b"Host: " + address.encode() + b"\r\n"
        self._next = b"GET " + _API + b"invocation/next HTTP/1.1\r\n" + self._host + b"\r\n"
        self._socket = connected
        self._unread = b""

    def next(self):
        """Waits for an event: (headers, body)."""
        try:
            self._send(self._next)
            return self._event()
        except OSError:
            # The server may close an idle connection; asking again is harmless.
            self._drop()
            self._send(self._next)
            return self._event()

    def restore_next(self, image):
        """Waits until the platform has a first call for what is initialised; says what became of its image, if any."""
        note = b"" if image is None else b"samovar-image: " + image.encode("ascii", "replace") + b"\r\n"
        request = b"GET " + _API + b"restore/next HTTP/1.1\r\n" + self._host + note + b"\r\n"
        try:
            self._send(request)
            self._event()
        except OSError:
            self._drop()
            self._send(request)
            self._event()

    def answer_and_next(self, path, headers, body):
        """Posts the end of an invocation and waits for the next event, in one request where the platform can."""
        try:
            request = self._post(path, headers + _AND_NEXT, body)
            if len(body) <= _WRITE_TOGETHER:
                self._send(request + body)
            else:
                self._send(request)
                self._send(body)
            status, headers, body = self._receive()
            if status == b"200":
                return headers, body
        except OSError:
            # A refused answer may end the connection; the platform has told the caller why.
            self._drop()
        return self.next()

    def post(self, path, headers, body):
        """Posts and waits for the reply."""
        self._send(self._post(path, headers, body) + body)
        self._receive()

    def _post(self, path, headers, body):
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        return b"POST " + _API + path + b" HTTP/1.1\r\n" + self._host + headers + length

    def _send(self, data):
        if self._socket is None:
            self._socket = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
            self._socket.connect(self._address)
            self._socket.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        self._socket.sendall(data)

    def _drop(self):
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._unread = b""

    def _event(self):
        status, headers, body = self._receive()
        if status != b"200":
            raise SystemExit("the Runtime API answered %s to next: %s" % (status.decode(), body.decode("utf-8", "replace")))
        return headers, body

    def _receive(self):
        data = self._unread
        end = data.find(b"\r\n\r\n")
        while end < 0:
            data += self._more(_READ)
            end = data.find(b"\r\n\r\n")
        lines = data[:end].decode("utf-8", "surrogateescape").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        end += 4
        missing = end + int(headers.get("content-length", 0)) - len(data)
        if missing > 0:
            parts = [data]
            while missing > 0:
                part = self._more(min(missing, 1 << 20))
                missing -= len(part)
                parts.append(part)
            data = b"".join(parts)
            self._unread = b""
            return lines[0].split(" ", 2)[1].encode(), headers, data[end:]
        stop = len(data) + missing
        self._unread = data[stop:]
        return lines[0].split(" ", 2)[1].encode(), headers, data[end:stop]

    def _more(self, size):
        part = self._socket.recv(size)
        if not part:
            raise ConnectionResetError("the Runtime API closed the connection")
        return part


class Scanner:
    """What the C scanner asks about: plain JSON, no hooks."""

    strict = True
    parse_float = float
    parse_int = int

    @staticmethod
    def parse_constant(name):
        return float(name.replace("Infinity", "inf"))

    def __getattr__(self, _):
        return None


class Runtime:
    """The loop of one environment."""

    def __init__(self, connection, sink):
        self.connection = connection
        self.sink = sink
        self.request_id = None
        self.tenant_id = None
        self._scan = _json.make_scanner(Scanner())
        # The stock marshaller escapes other than ASCII up to Python 3.11.
        name = os.environ.get("AWS_EXECUTION_ENV", "").rpartition("python3.")[2]
        wide = name.isdigit() and int(name) >= 12
        self._encode_text = _json.encode_basestring if wide else _json.encode_basestring_ascii
        try:
            self._flat = _json.make_encoder(None, None, self._encode_text, None, ": ", ", ", False, False, True)
        except TypeError:
            self._flat = None

    def run(self, name):
        """Loads the handler and serves until the process is ended."""
        try:
            handler = load(name)
        except Exception as error:
            import _samovar_faults

            _samovar_faults.init_failed(self, error)
            raise SystemExit(1)
        if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
            import _samovar_snapshot

            _samovar_snapshot.continue_restored(self)
        headers, body = self.connection.next()
        while True:
            headers, body = self.invoke(handler, headers, body)

    def scan(self, text):
        """The value of plain JSON."""
        return self._scan(text, 0)[0]

    def invoke(self, handler, headers, body):
        """Runs one invocation; gives the next one."""
        self.request_id = headers.get("lambda-runtime-aws-request-id")
        self.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
        trace = headers.get("lambda-runtime-trace-id")
        if trace is not None:
            os.environ["_X_AMZN_TRACE_ID"] = trace
        else:
            os.environ.pop("_X_AMZN_TRACE_ID", None)
        path, kind, answer = self._handled(handler, headers, body)
        path = b"invocation/" + self.request_id.encode() + path
        return self.connection.answer_and_next(path, kind, answer)

    def encode(self, value):
        """JSON text as the stock marshaller writes it."""
        import _samovar_json

        return _samovar_json.encode(value, self._encode_text)

    def _handled(self, handler, headers, body):
        try:
            context = LambdaContext(self, headers)
            event = self._decode(headers, body)
            kind, answer = self._marshal(handler(event, context))
            return b"/response", b"Content-Type: " + kind + b"\r\n", answer
        except Exception as error:
            import _samovar_faults

            kind, answer = _samovar_faults.invocation_failed(self, error)
            return b"/error", kind, answer

    def _decode(self, headers, body):
        if headers.get("content-type", "application/json") != "application/json":
            return body
        try:
            text = body.decode("utf-8", "surrogatepass").strip(_SPACE)
            value, end = self._scan(text, 0)
            if end == len(text):
                return value
        except (StopIteration, ValueError, RecursionError, SystemError):
            # SystemError: the scanner of some versions cannot name an error before `json` is loaded.
            pass
        # Not plain JSON: the full module says what is wrong, or reads UTF-16 after all.
        import json

        try:
            return json.loads(body)
        except Exception as error:
            raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: {}".format(error))

    def _marshal(self, value):
        # Most answers are a flat object of texts and numbers; the C encoder writes them at once.
        if self._flat is not None and _is_flat(value):
            text = "".join(self._flat(value, 0))
        elif isinstance(value, bytes):
            return b"application/unknown", bytes(value)
        else:
            try:
                text = self.encode(value)
            except Exception as error:
                raise Fault("Runtime.MarshalError", "Unable to marshal response: {}".format(error))
        try:
            return b"application/json", text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise Fault("Runtime.MarshalError", "Unable to marshal response: {}".format(error))


class StandardFirst:
    """Finds the modules of `OURS_FIRST` in the standard library, and sets logging up once it loads."""

    def __init__(self, runtime, path):
        self._runtime = runtime
        self._path = path

    def find_spec(self, name, path=None, target=None):
        if path is not None or name not in OURS_FIRST:
            return None
        from _frozen_importlib_external import PathFinder

        spec = PathFinder.find_spec(name, self._path)
        if name == "logging" and spec is not None:
            spec.loader = LoggingLoader(self._runtime, spec.loader)
        return spec


class LoggingLoader:
    """Loads `logging` and gives its root logger the handler that functions expect to find."""

    def __init__(self, runtime, inner):
        self._runtime = runtime
        self._inner = inner

    def create_module(self, spec):
        return self._inner.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self._inner
        self._inner.exec_module(module)
        import _samovar_logging

        _samovar_logging.set_up(self._runtime)


def load(name):
    """The handler function named `module.function`, `dir/module.function` or `package.module.function`."""
    try:
        module_name, function_name = name.rsplit(".", 1)
    except ValueError as error:
        raise Fault("Runtime.MalformedHandlerName", "Bad handler '{}': {}".format(name, error))
    if module_name.split(".")[0] in sys.builtin_module_names:
        text = "Cannot use built-in module {} as a handler module".format(module_name)
        raise Fault("Runtime.BuiltInModuleConflict", text)
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise Fault("Runtime.ImportModuleError", "Unable to import module '{}': {}".format(module_name, error))
    except SyntaxError as error:
        where = '  File "%s" Line %s\n    %s' % (error.filename, error.lineno, error.text)
        text = "Syntax error in module '{}': {}".format(module_name, error)
        raise Fault("Runtime.UserCodeSyntaxError", text, [where])
    try:
        return getattr(module, function_name)
    except AttributeError:
        text = "Handler '{}' missing on module '{}'".format(function_name, module_name)
        raise Fault("Runtime.HandlerNotFound", text)


def wait():
    """Waits to hear of the function, when this process was started before it was known."""
    if "_SAMOVAR_WAIT" in os.environ:
        import _samovar_waiting

        _samovar_waiting.wait()


def main():
    """Serves the function that the environment variables name."""
    address = os.environ["AWS_LAMBDA_RUNTIME_API"]
    descriptor = os.environ.pop("_LAMBDA_TELEMETRY_LOG_FD", None)
    # Whole lines at a time: an unfinished line waits for its end, as in the platform's own reader.
    sys.stdout.reconfigure(line_buffering=True)
    sys.stderr.reconfigure(line_buffering=True)
    runtime = Runtime(Connection(address), Sink(None if descriptor is None else int(descriptor)))
    set_up_imports(runtime)
    builtins.exit = builtins.quit = _quit
    runtime.run(os.environ["_HANDLER"])


def set_up_imports(runtime):
    """Lets the function import what is its own, its layers' and Python's."""
    # Python runs without `site`: neither packages nor start-up hooks of the host reach a function.
    here = os.path.dirname(os.path.abspath(__file__))
    asked = [entry for entry in os.environ.get("PYTHONPATH", "").split(":") if entry]
    standard = [entry for entry in sys.path if entry not in asked and entry != here]
    layers = os.environ.get("SAMOVAR_OPT", "/opt") + "/python"
    # What layers bring for the version that was asked for is found on another one, too.
    versions = ["python%d.%d" % sys.version_info[:2], os.environ.get("AWS_EXECUTION_ENV", "").rpartition("_")[2]]
    packages = [layers + "/lib/" + version + "/site-packages" for version in versions if version.startswith("python")]
    user = [os.environ.get("LAMBDA_TASK_ROOT", "/var/task"), *packages, layers]
    sdk = [os.environ.get("SAMOVAR_PYTHON_SDK", _SDK)]
    sys.path[:] = dict.fromkeys(user + asked + [here] + standard + sdk)
    sys.meta_path.insert(0, StandardFirst(runtime, standard))
    if "logging" in sys.modules:
        import _samovar_logging

        _samovar_logging.set_up(runtime)
    extra = [entry for entry in asked if entry != here]
    if extra:
        _customize(extra)


def _customize(path):
    # Instrumentation layers hook in through PYTHONPATH and a sitecustomize module.
    from _frozen_importlib_external import PathFinder

    for name in ("sitecustomize", "usercustomize"):
        if PathFinder.find_spec(name, path) is not None:
            importlib.import_module(name)


_PLAIN = frozenset((str, int, float, bool, type(None)))


def _is_flat(value):
    if type(value) is not dict:
        return type(value) in _PLAIN
    return all(type(key) is str and type(item) in _PLAIN for key, item in value.items())


def _quit(code=None):
    raise SystemExit(code)


def _header_json(headers, header, name):
    text = headers.get(header)
    if not text:
        return None
    import json

    try:
        return json.loads(text)
    except Exception as error:
        raise Fault("Runtime.LambdaContextUnmarshalError", "Unable to parse {} JSON: {}".format(name, error))


def _take_w3c(client):
    if not isinstance(client, dict):
        return {}
    fields = client.pop("w3c", None)
    if not isinstance(fields, dict):
        return {}
    return {key: fields[key] for key in ("traceparent", "tracestate", "baggage") if isinstance(fields.get(key), str)}


def _filled(kind, fields):
    if fields is None:
        return None
    filled = kind()
    for name in kind.__slots__:
        setattr(filled, name, fields.get(name))
    return filled


def _describe(thing, names=None):
    names = names or type(thing).__slots__
    fields = ",".join("{}={}".format(name, getattr(thing, name)) for name in names)
    return "{}([{}])".format(type(thing).__name__, fields)


if __name__ == "__main__":
    main()
