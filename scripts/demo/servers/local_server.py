"""Begins a local server in its scratch folder, and notes there what arrives: the demo copies this into each package.

    python -I serve.py MODULE ARGUMENTS

Everything that the server needs lies beside this file in `site`. A folder `repository` beside it is copied to the
scratch folder first, where the server may change it. `seen.json` gets how many calls arrived, and the digest of
everything that looks like a JSON Web Token, so that the demo can show that no caller's token ever arrives.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import runpy
import shutil
import sys
import threading
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
SEEN, REPOSITORY = Path("seen.json"), Path("repository")
JWT = re.compile(rb"eyJ[\w-]+\.[\w-]+\.[\w-]*")


def digest(value: bytes) -> str:
    """Return the SHA-256 of a value in hex: enough to recognise it, not to use it."""
    return hashlib.sha256(value).hexdigest()


def copy(folder: Path, to: Path) -> None:
    """Copy the files of a folder, as files of our own."""
    to.mkdir()
    for path in folder.iterdir():
        copy(path, to / path.name) if path.is_dir() else shutil.copyfile(path, to / path.name)


def watch(server: str, incoming: int, outgoing: int) -> None:
    """Hand on what arrives, line by line, and note of it what there is to note."""
    calls, tokens = 0, set[str]()
    with os.fdopen(incoming, "rb") as lines, os.fdopen(outgoing, "wb", buffering=0) as to:
        for line in lines:
            calls += b'"tools/call"' in line
            tokens |= {digest(token) for token in JWT.findall(line)}
            fresh = SEEN.with_suffix(".new")
            fresh.write_text(json.dumps({"server": server, "calls": calls, "tokens": sorted(tokens)}))
            fresh.replace(SEEN)
            to.write(line)


def main(module: str, arguments: list[str]) -> None:
    """Run the module as a program."""
    if (PACKAGE / REPOSITORY).is_dir():
        copy(PACKAGE / REPOSITORY, REPOSITORY)
    incoming, (reading, writing) = os.dup(0), os.pipe()
    os.dup2(reading, 0)
    threading.Thread(target=watch, args=(module, incoming, writing), daemon=True).start()
    sys.path.insert(0, str(PACKAGE / "site"))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
