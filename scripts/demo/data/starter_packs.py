"""The SoD policies of the files in `deploy/starter-packs`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

FOLDER: Final = Path(__file__).resolve().parents[3] / "deploy" / "starter-packs"


def sod_policy(name: str) -> dict[str, Any]:
    """Return the terms of a shipped SoD policy. Raises StopIteration."""
    files = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in FOLDER.glob("*.yaml"))
    return next(each for file in files for each in file.get("sod-policies", ()) if each["name"] == name)
