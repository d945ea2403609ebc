"""Write the record anew: `python -m tests.conformance.issuers.record`, then read the difference."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main([str(Path(__file__).with_name("writer.py")), "-q", "-rN"]))
