"""The root logger as functions find it on Lambda: text lines with tabs, or JSON objects."""

import json
import logging
import os
import time
import traceback

_TEXT_FRAME = 0xA55A0003
_JSON_FRAME = 0xA55A0002
_LEVEL_MASK = {10: 0x08, 20: 0x0C, 30: 0x10, 40: 0x14, 50: 0x18}
_DATE = "%Y-%m-%dT%H:%M:%S"
# What every record has; all else in it was given by the caller and goes into the JSON object.
_COMMON = frozenset(logging.makeLogRecord({}).__dict__) | {"aws_request_id", "tenant_id", "message", "asctime", "taskName"}


def set_up(runtime):
    """Gives the root logger its handler, and its level when one is configured."""
    logging.Formatter.converter = time.gmtime
    structured = os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    level = "DEBUG" if level == "TRACE" else level
    handler = LambdaLoggerHandler(runtime.sink, structured, bool(level))
    if structured:
        handler.setFormatter(JsonFormatter())
    else:
        layout = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
        handler.setFormatter(logging.Formatter(layout, _DATE))
    handler.addFilter(LambdaLoggerFilter(runtime))
    root = logging.getLogger()
    if isinstance(logging.getLevelName(level), int):
        root.setLevel(level)
    root.addHandler(handler)


class LambdaLoggerFilter(logging.Filter):
    """Notes on each record which invocation it belongs to; lets all pass."""

    def __init__(self, runtime):
        super().__init__()
        self._runtime = runtime

    def filter(self, record):
        record.aws_request_id = self._runtime.request_id or ""
        record.tenant_id = self._runtime.tenant_id
        return True


class LambdaLoggerHandler(logging.Handler):
    """Writes each record as one log event."""

    def __init__(self, sink, structured, leveled):
        super().__init__()
        self.log_sink = sink
        self._base = _JSON_FRAME if structured else _TEXT_FRAME
        self._leveled = structured or leveled

    def emit(self, record):
        try:
            text = self.format(record)
        except Exception:
            self.handleError(record)
            return
        mask = _LEVEL_MASK.get(_rounded(record.levelno), 0) if self._leveled else 0
        self.log_sink.write(text, self._base | mask)


class JsonFormatter(logging.Formatter):
    """One JSON object a record."""

    def format(self, record):
        plain = isinstance(record.msg, dict) and not record.args
        fields = {
            "timestamp": time.strftime(_DATE + "Z", time.gmtime(record.created)),
            "level": logging.getLevelName(_rounded(record.levelno)),
            "message": record.msg if plain else record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info:
            kind, error, trace = record.exc_info
            fields["stackTrace"] = traceback.format_tb(trace)
            fields["errorType"] = getattr(kind, "__name__", None)
            fields["errorMessage"] = str(error)
        fields["requestId"] = record.aws_request_id
        if record.exc_info:
            fields["location"] = "{}:{}:{}".format(record.pathname, record.funcName, record.lineno)
        if record.tenant_id is not None:
            fields["tenantId"] = record.tenant_id
        for key, value in record.__dict__.items():
            if key not in _COMMON and key not in fields:
                fields[key] = value
        fields = {key: value for key, value in fields.items() if value is not None}
        return json.dumps(fields, ensure_ascii=False, default=str) + "\n"


def _rounded(level):
    return min(50, max(0, level)) // 10 * 10
