"""The containers' health check, where there is no curl. It imports neither Django nor the product, and so is quick.

`python -m governance.probe URL` exits 0 when the address answers 200, and `python -m governance.probe /FILE` when the
file, which is ALIVE_FILE, was touched less than half a minute ago.
"""

from __future__ import annotations

import sys
import time
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import Final

OLD_SECONDS: Final = 30
"""Beat sends a message every ten seconds, a worker touches the file every five, and the sealer looks more often."""


def main(argument: str) -> int:
    """Ask once; write what is missing to standard error."""
    return _is_old(Path(argument)) if argument.startswith("/") else _is_unready(argument)


def _is_unready(address: str) -> int:
    try:
        with urllib.request.urlopen(address, timeout=4) as answer:  # noqa: S310 - an operator's own loopback address
            return int(answer.status != HTTPStatus.OK)
    except urllib.error.HTTPError as refused:
        sys.stderr.write(refused.read(500).decode(errors="replace"))
    except OSError as problem:
        sys.stderr.write(f"{problem}\n")
    return 1


def _is_old(file: Path) -> int:
    try:
        age = time.time() - file.stat().st_mtime
    except OSError:
        sys.stderr.write("It has not begun to work.\n")
        return 1
    if age > OLD_SECONDS:
        sys.stderr.write(f"It last worked {age:.0f} s ago.\n")
    return int(age > OLD_SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
