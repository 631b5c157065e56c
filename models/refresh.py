"""Rewrites the service models in this directory from a botocore package.

Usage: python3 models/refresh.py BOTOCORE_WHEEL
See README.md beside this file.
"""

import gzip
import json
import pathlib
import sys
import zipfile

MODELS = {"lambda": "lambda/2015-03-31", "logs": "logs/2014-03-28"}
PROSE = {"documentation", "documentationUrl", "deprecatedMessage"}


def stripped(node):
    """The node without its prose; a member that happens to be called `documentation` is a dict and stays."""
    if isinstance(node, dict):
        return {k: stripped(v) for k, v in node.items() if not (k in PROSE and isinstance(v, str))}
    if isinstance(node, list):
        return [stripped(item) for item in node]
    return node


def read(wheel, folder):
    """The service model in `folder`; packages ship it plain or gzipped."""
    path = f"botocore/data/{folder}/service-2.json"
    if path in wheel.namelist():
        return json.loads(wheel.read(path))
    return json.loads(gzip.decompress(wheel.read(path + ".gz")))


def main():
    here = pathlib.Path(__file__).parent
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        for name, folder in MODELS.items():
            text = json.dumps(stripped(read(wheel, folder)), indent=1, ensure_ascii=False)
            (here / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
