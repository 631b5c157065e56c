"""What functions run before a snapshot and after a restore: the interface of AWS's library of this name.

A function that brings AWS's own package gets that one; the client finds whichever was imported.
"""

__version__ = "1.0.0"
__all__ = ["register_before_snapshot", "register_after_restore"]

_before_snapshot = []
_after_restore = []


def register_before_snapshot(func, *args, **kwargs):
    """Has `func` called when the function is initialised; the last one registered first. Also a decorator."""
    _before_snapshot.append((func, args, kwargs))
    return func


def register_after_restore(func, *args, **kwargs):
    """Has `func` called before the first invocation; the first one registered first. Also a decorator."""
    _after_restore.append((func, args, kwargs))
    return func


def get_before_snapshot():
    """The list of (function, arguments, named arguments) to call before a snapshot."""
    return _before_snapshot


def get_after_restore():
    """The list of (function, arguments, named arguments) to call after a restore."""
    return _after_restore
