"""Write what is answered otherwise, then read the difference: `python -m tests.protocols.issuers.record`.

Names of families, as arguments, write these alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.protocols.issuers import recording


def main(families: list[str]) -> int:
    """Write the families, two at a time, then what they share. Returns the exit code."""
    chosen = ["-k", " or ".join(families)] if families else []
    failed = pytest.main(
        [str(Path(__file__).with_name("writer.py")), "-q", "-rN", "-n", "2", "--dist", "load", *chosen]
    )
    if not failed:
        recording.share(sorted(file.stem for file in recording.FOLDER.glob("*.jsonl") if file.stem != recording.SHARED))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
