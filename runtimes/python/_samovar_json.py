"""JSON answers as the stock marshaller writes them, which is not quite how `json` does.

Decimals keep their digits, named tuples become objects, and bytes become text. The C encoder does
the work; only answers that hold such values are walked in Python.
"""

import os
import sys

import _json


def encode(value, encode_text):
    """JSON text of `value`; raises what the stock marshaller raises."""
    try:
        text = _encode(value, encode_text)
    except TypeError:
        if not _any(value, _needs_rewrite):
            raise
        return _encode(_rewritten(value), encode_text)
    # Only now is it certain that the value ends, so it may be walked.
    if _any(value, _is_record):
        return _encode(_rewritten(value), encode_text)
    return text


def _encode(value, encode_text):
    raw = _RawTexts()
    text = "".join(_encoder(raw.default, encode_text)(value, 0))
    return raw.restored(text)


def _encoder(default, encode_text):
    try:
        return _json.make_encoder({}, default, encode_text, None, ": ", ", ", False, False, True)
    except TypeError:
        # The C encoder is private to `json`; where its arguments changed, go through the front.
        import json

        wide = encode_text is _json.encode_basestring
        public = json.JSONEncoder(ensure_ascii=not wide, default=default)
        return lambda value, _: public.encode(value)


class _RawTexts:
    """Decimals: the encoder can only be given strings for them, which are exchanged afterwards."""

    def __init__(self):
        decimal = sys.modules.get("decimal")
        self._decimal = decimal.Decimal if decimal else ()
        self._mark = None
        self._texts = []

    def default(self, value):
        if isinstance(value, self._decimal):
            # Random, so that no text of the answer can be taken for it.
            self._mark = self._mark or os.urandom(16).hex()
            self._texts.append("NaN" if value.is_nan() else str(value))
            return "%s:%d" % (self._mark, len(self._texts) - 1)
        if isinstance(value, bytes):
            return str(value, "utf-8")
        if callable(getattr(value, "_asdict", None)):
            return value._asdict()
        raise TypeError("Object of type {} is not JSON serializable".format(type(value).__name__))

    def restored(self, text):
        if self._mark is None:
            return text
        first, *marked = text.split('"%s:' % self._mark)
        parts = [first]
        for part in marked:
            number, _, rest = part.partition('"')
            parts += self._texts[int(number)], rest
        return "".join(parts)


def _is_record(value):
    return isinstance(value, tuple) and callable(getattr(value, "_asdict", None))


def _needs_rewrite(value):
    return _is_record(value) or (isinstance(value, dict) and any(isinstance(key, bytes) for key in value))


def _any(value, wanted):
    seen = set()
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if not isinstance(value, (dict, list, tuple)) or id(value) in seen:
            continue
        if wanted(value):
            return True
        seen.add(id(value))
        waiting += value.values() if isinstance(value, dict) else value
    return False


def _rewritten(value):
    if _is_record(value):
        value = value._asdict()
    if isinstance(value, dict):
        return {_key(key): _rewritten(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rewritten(item) for item in value]
    return value


def _key(key):
    return str(key, "utf-8") if isinstance(key, bytes) else key
