"""`python -m governance.probe URL`: the containers' health check, where there is no curl. Exits 0 on a 200."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from http import HTTPStatus


def main(address: str) -> int:
    """Ask once; say what is missing when it is not ready."""
    try:
        with urllib.request.urlopen(address, timeout=4) as answer:  # noqa: S310 - an operator's own loopback address
            return int(answer.status != HTTPStatus.OK)
    except urllib.error.HTTPError as refused:
        sys.stderr.write(refused.read(500).decode(errors="replace"))
    except OSError as problem:
        sys.stderr.write(f"{problem}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
