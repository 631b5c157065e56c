"""What the client says when something fails: error bodies, the log's dump of them, the cause for X-Ray."""

import json
import os
import sys
import time
import traceback

from _samovar_client import Fault

_TEXT_ERROR_FRAME = 0xA55A0017
_JSON_ERROR_FRAME = 0xA55A0016
# A trace with a deep stack must not burst the head of the request.
_CAUSE_LIMIT = 16 * 1024
# Indented lines would look like events of their own to tools that read logs by line.
_INDENT = "\u00a0"

_WARNING = (
    "LAMBDA_WARNING: Unhandled exception. The most likely cause is an issue in the function code. "
    "In rare cases another version of the runtime behaves differently: the INIT_START log entry names the version in use.\r"
)


def init_failed(runtime, error):
    """Logs why the handler could not be loaded and reports it."""
    body = _body(error, "")
    import logging

    logging.warning(_WARNING)
    _log(runtime, body)
    headers = b"Content-Type: application/json\r\n" + _type_header(body["errorType"])
    runtime.connection.post(b"init/error", headers, _encoded(runtime, body))


def hook_failed(runtime, error, path, kind):
    """Logs why a hook around a snapshot failed and reports it as an error of this kind."""
    body = _body(error, "")
    _log(runtime, body)
    headers = b"Content-Type: application/json\r\nLambda-Runtime-Function-Error-Type: " + kind + b"\r\n"
    runtime.connection.post(path, headers, _encoded(runtime, body))


def invocation_failed(runtime, error):
    """Logs a failed invocation: (request headers, body) to report it with."""
    body = _body(error, runtime.request_id)
    _log(runtime, body)
    headers = b"Content-Type: application/json\r\n" + _type_header(body["errorType"]) + _cause_header(error)
    return headers, _encoded(runtime, body)


def _body(error, request_id):
    if isinstance(error, Fault):
        kind, message, trace = error.kind, error.message, error.trace or []
    else:
        kind, message = type(error).__name__, str(error)
        trace = traceback.format_list(_frames(error))
    body = {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": trace}
    if os.environ.get("AWS_EXECUTION_ENV") == "AWS_Lambda_python3.8":
        del body["requestId"]
    return body


def _frames(error):
    frames = [(f.filename, f.lineno, f.name, f.line) for f in traceback.extract_tb(error.__traceback__)]
    here = os.path.dirname(os.path.abspath(__file__))
    for index, frame in enumerate(frames):
        if os.path.dirname(frame[0]) != here:
            return frames[index:]
    return frames


def _log(runtime, body):
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON":
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        record = {"timestamp": now, "log_level": "ERROR"}
        record.update(body)
        text = runtime.encode(record)
        if runtime.sink.descriptor is None:
            text += "\n"
        runtime.sink.write(text, _JSON_ERROR_FRAME)
        return
    head = "[ERROR]"
    if body["errorType"]:
        head += " " + body["errorType"]
    if body["errorMessage"]:
        head += (": " if body["errorType"] else " ") + body["errorMessage"]
    lines = [head, "Traceback (most recent call last):"]
    for element in body["stackTrace"]:
        lines += [_indented(line) for line in element.splitlines()] or [""]
    if runtime.sink.descriptor is None:
        runtime.sink.write("\r".join(lines) + "\n")
    else:
        runtime.sink.write("\n".join(lines), _TEXT_ERROR_FRAME)


def _indented(line):
    text = line.lstrip(" ")
    return _INDENT * (len(line) - len(text)) + text


def _encoded(runtime, body):
    return runtime.encode(body).encode("utf-8", "backslashreplace")


def _type_header(kind):
    if not kind.isascii() or not kind.isprintable():
        return b""
    return b"Lambda-Runtime-Function-Error-Type: " + kind.encode() + b"\r\n"


def _cause_header(error):
    if isinstance(error, Fault):
        kind, message, frames = "LambdaValidationError", error.message, []
    else:
        kind, message, frames = type(error).__name__, str(error), _frames(error)
    stack = [{"label": name, "path": path, "line": line} for path, line, name, _ in frames]
    cause = {
        "working_directory": os.getcwd(),
        "exceptions": [{"message": message, "type": kind, "stack": stack}],
        "paths": sorted({frame["path"] for frame in stack}),
    }
    text = json.dumps(cause)
    if len(text) > _CAUSE_LIMIT:
        return b""
    return b"Lambda-Runtime-Function-XRay-Error-Cause: " + text.encode() + b"\r\n"
