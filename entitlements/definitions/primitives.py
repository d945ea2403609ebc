"""What a system offers beside tools: resources, resource templates and prompts (MCP 2026-07-28, server features).

Each is a row of the catalog as a tool is, with a name that no tool can have, for a tool's name holds no "/", and with
arguments: the URI that is read and the variables of its template, or the arguments of the prompt. So whatever governs
tools governs them.
"""

from __future__ import annotations

import re
import string
from enum import StrEnum
from typing import Final
from urllib.parse import quote

LONGEST_NAME: Final = 128
"""Characters of a name in the catalog."""
MEMBER: Final = "primitive"
"""The member of a definition that says what is no tool."""
_RESOURCE: Final = "resources/"
_TEMPLATE: Final = "resources/templates/"
_PROMPT: Final = "prompts/"
_SAFE: Final = "".join(set(string.punctuation) - {"%"})
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}|(?:resources|prompts)/[\x21-\x7e]+")


class Primitive(StrEnum):
    """What a row of the catalog is, in the words of MCP."""

    TOOL = "tool"
    RESOURCE = "resource"
    TEMPLATE = "resource_template"
    PROMPT = "prompt"


CAPABILITY: Final = {
    Primitive.TOOL: "tools",
    Primitive.RESOURCE: "resources",
    Primitive.TEMPLATE: "resources",
    Primitive.PROMPT: "prompts",
}
"""The capability of a server that names each."""


def of_name(name: str) -> Primitive:
    """Say what the row with this name is."""
    if name.startswith(_TEMPLATE):
        return Primitive.TEMPLATE
    if name.startswith(_RESOURCE):
        return Primitive.RESOURCE
    return Primitive.PROMPT if name.startswith(_PROMPT) else Primitive.TOOL


def is_name(name: str) -> bool:
    """Whether a row of the catalog can have this name."""
    return len(name) <= LONGEST_NAME and _NAME.fullmatch(name) is not None


def resource(uri: str) -> str:
    """Name the row of a resource."""
    return f"{_RESOURCE}{uri}"


def template(uri_template: str) -> str:
    """Name the row of a resource template."""
    return f"{_TEMPLATE}{uri_template}"


def prompt(name: str) -> str:
    """Name the row of a prompt; what a name in the record cannot hold is percent-encoded."""
    return f"{_PROMPT}{quote(name, safe=_SAFE)}"


def without_prefix(name: str) -> str:
    """Return what a row is about: the URI of a resource, a template, or the name of a prompt or tool."""
    prefix = next((prefix for prefix in (_TEMPLATE, _RESOURCE, _PROMPT) if name.startswith(prefix)), "")
    return name.removeprefix(prefix)
