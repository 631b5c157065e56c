"""Archives that try to leave their directory while they are unpacked; see also `test_hostile.py`."""

import dataclasses
import io
import typing
import zipfile

LINK, FILE, FOLDER = 0o120777, 0o100644, 0o040755
CODE = ("index.py", "import os\ndef handler(event, context):\n    return 'well'\n", FILE)


@dataclasses.dataclass(frozen=True)
class Package:
    """An archive; whether it is unpacked, and then what its function answers."""

    tried: str
    archive: typing.Callable
    accepted: bool = False
    payload: typing.Any = None


def archive(*entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for path, content, mode in entries:
            info = zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, mode << 16
            made.writestr(info, content)
    return buffer.getvalue()


def of(*entries):
    return lambda canaries: archive(CODE, *entries)


PACKAGES = {
    "a link for a directory": Package(
        "a directory, then a link of its name to /tmp, then a file below it",
        of(("d/", "", FOLDER), ("d/x", "1", FILE), ("d", "/tmp", LINK), ("d/y", "evil", FILE)),
    ),
    "a link to the host's secret": Package(
        "a link to a file of the host, then a file of the link's name",
        lambda canaries: archive(CODE, ("s", str(canaries.secret), LINK), ("s", "evil", FILE)),
        accepted=True,
        payload="well",
    ),
    "a link chain": Package(
        "links that lead from one to another and out at last, then a file through them",
        of(("a", "b", LINK), ("b", "c", LINK), ("c", "/", LINK), ("a/tmp/x", "evil", FILE)),
    ),
    "a link to itself": Package("a link to itself and a file below it", of(("l", "l", LINK), ("l/x", "evil", FILE))),
    "a link by way of here": Package(
        "a link to `.` and a path with many of them", of(("h", ".", LINK), ("h/h/h/../../x", "evil", FILE))
    ),
    "parents in the middle": Package("`a/../../x`", of(("a/../../x", "evil", FILE))),
    "parents with backslashes": Package("`..\\..\\x`, as other systems write it", of(("..\\..\\x", "evil", FILE))),
    "an empty name": Package("`/` and `//x`", of(("//x", "evil", FILE))),
    "the same name twice": Package(
        "two files of one name: the later counts", of(("index.py", CODE[1].replace("well", "later"), FILE)), True, "later"
    ),
    "names that differ in case": Package(
        "`Index.py` beside `index.py`, which are two files here", of(("Index.py", "raise SystemExit\n", FILE)), True, "well"
    ),
    "set-user-id files": Package(
        "files and directories of mode 6777", of(("su", "x", 0o106777), ("d/", "", 0o046777), ("d/su", "x", 0o107777)), True, "well"
    ),
    "a socket": Package("an entry that is a socket", of(("socket", "", 0o140777))),
    "a file for a directory": Package("a file, then a file below it", of(("d", "x", FILE), ("d/x", "evil", FILE))),
}
