"""How tools are named at the address of all systems: `<system>__<tool>`.

No slug of a system holds an underscore, so the first two end the slug, whatever the tool is called. Pure.
"""

from __future__ import annotations

import re
from typing import Final

SEPARATOR: Final = "__"
LONGEST_NAME: Final = 128
"""Characters that the name of a tool has at most (MCP 2026-07-28, tools)."""
_NAME: Final = re.compile(r"([a-z0-9][a-z0-9-]{0,62})__(.+)", re.DOTALL)


def name(system: str, tool: str) -> str:
    """Return the name of a system's tool at the address of all systems."""
    return f"{system}{SEPARATOR}{tool}"


def split(named: str) -> tuple[str, str] | None:
    """Return the system and the tool of a name; None where it has not the form `<system>__<tool>`."""
    match = _NAME.fullmatch(named)
    return (match[1], match[2]) if match else None
