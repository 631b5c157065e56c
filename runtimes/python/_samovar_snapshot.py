"""What the client does for functions with SnapStart, between their init and their first invocation."""

import sys

# The stock client ends with these.
_BEFORE_FAILED = 64
_AFTER_FAILED = 65


def continue_restored(runtime):
    """Runs the hooks around the restore, which the platform lets happen when there is a call."""
    # A function that registered hooks has imported the library, its own or ours.
    hooks = sys.modules.get("snapshot_restore_py")
    try:
        before = hooks.get_before_snapshot() if hooks else []
        while before:
            _call(before.pop())
        runtime.connection.restore_next(_image(runtime))
    except BaseException as error:
        _report(runtime, error, b"init/error", b"Runtime.BeforeSnapshotError")
        raise SystemExit(_BEFORE_FAILED)
    try:
        for hook in hooks.get_after_restore() if hooks else []:
            _call(hook)
    except BaseException as error:
        _report(runtime, error, b"restore/error", b"Runtime.AfterRestoreError")
        raise SystemExit(_AFTER_FAILED)


def _image(runtime):
    # A runtime that did not wait for its function has not loaded it, and is of no zygote's.
    memory = sys.modules.get("_samovar_memory")
    return memory.take(runtime) if memory else None


def _call(hook):
    function, args, kwargs = hook
    function(*args, **kwargs)


def _report(runtime, error, path, kind):
    import _samovar_faults

    _samovar_faults.hook_failed(runtime, error, path, kind)
