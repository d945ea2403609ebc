"""How a tool is named in an address: as it is; what is no tool percent-encoded, with "~" in place of "%".

The name of a resource is a URI, whose slashes and question marks servers and proxies read as their own.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote

from django.urls import register_converter

TOOL: Final = "<tool:name>"
"""How a path holds the name of a tool."""


def encode(name: str) -> str:
    """Write a name as one segment of a path."""
    return quote(name, safe="").replace("~", "%7E").replace("%", "~") if "/" in name else name


def decode(segment: str) -> str:
    """Read a name; raises ValueError for what `encode` does not write."""
    name = unquote(segment.replace("~", "%"), errors="strict") if "~" in segment else segment
    if encode(name) != segment:
        raise ValueError(segment)
    return name


class ToolName:
    """The name of a tool, resource, template or prompt in a path."""

    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        """Read it; a ValueError is an address that does not exist."""
        return decode(value)

    def to_url(self, value: str) -> str:
        """Write it."""
        return encode(value)


register_converter(ToolName, "tool")
