"""What HTTP headers repeat of an MCP message (MCP 2026-07-28, transports): read, compared, written. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

VERSION: Final = "mcp-protocol-version"
METHOD: Final = "mcp-method"
NAME: Final = "mcp-name"
SESSION: Final = "mcp-session-id"
LAST_EVENT: Final = "last-event-id"
PARAM: Final = "mcp-param-"

type Path = tuple[str, ...]

NAMED_BY: Final[Mapping[str, str]] = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}
"""Which member of the params the header Mcp-Name repeats."""

_WRAPPED: Final = re.compile(r"=\?base64\?(.*)\?=")
_PLAIN: Final = re.compile(r"[\x20-\x7e]*")
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_ANNOTATION: Final = "x-mcp-header"
_ELSEWHERE: Final = frozenset({"default", "examples", "const", "enum", "$ref", "$dynamicRef", "required"})


def encode(value: str) -> str:
    """Write a text as a header value; what a header cannot carry is wrapped as `=?base64?...?=`."""
    if _PLAIN.fullmatch(value) and value == value.strip() and not _WRAPPED.fullmatch(value):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def decode(value: str) -> str | None:
    """Read a header value; None when it claims to be wrapped and is not well-formed, so that it equals nothing."""
    wrapped = _WRAPPED.fullmatch(value)
    if wrapped is None:
        return value
    try:
        raw = base64.b64decode(wrapped[1], validate=True)
        return raw.decode() if base64.b64encode(raw).decode() == wrapped[1] else None
    except (binascii.Error, UnicodeDecodeError):
        return None


def annotated(schema: object) -> dict[str, Path] | None:
    """Return {header token in lower case: path of the argument} of an input schema; None when an annotation is invalid.

    Valid annotations sit on string, integer or boolean properties reached through `properties` alone, each token once.
    """
    paths: dict[str, Path] = {}
    for path, position in _positions(schema):
        if _ANNOTATION not in position:
            continue
        token = position[_ANNOTATION]
        if not path or not isinstance(token, str) or not _TOKEN.fullmatch(token) or token.lower() in paths:
            return None
        if position.get("type") not in ("string", "integer", "boolean"):
            return None
        paths[token.lower()] = path
    return paths


def rendered(arguments: Mapping[str, Any], path: Path) -> str | None:
    """Return the argument at a path as a header repeats it; None when it is absent, null or no scalar."""
    value: Any = arguments
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None


def contradicting(
    arguments: Mapping[str, Any], wanted: Mapping[str, Path], headers: Sequence[tuple[str, str]]
) -> str | None:
    """Name the Mcp-Param header that does not repeat its argument exactly once; None when all agree."""
    seen: dict[str, str | None] = {}
    for name, value in headers:
        token = name.removeprefix(PARAM)
        if token in seen:
            return name
        seen[token] = decode(value)
    for token, path in wanted.items():
        if seen.get(token) != rendered(arguments, path) and (token in seen or rendered(arguments, path) is not None):
            return PARAM + token
    return None


def _positions(schema: object) -> Iterator[tuple[Path | None, dict[str, Any]]]:
    """Yield every place in a schema that is a schema, with its path where `properties` alone lead there."""
    waiting: list[tuple[Path | None, object]] = [((), schema)]
    while waiting:
        path, node = waiting.pop()
        if isinstance(node, list):
            waiting.extend((None, inner_node) for inner_node in node)
        if not isinstance(node, dict):
            continue
        yield path, node
        for word, inner in node.items():
            if word == "properties" and isinstance(inner, dict):
                waiting.extend(
                    (None if path is None else (*path, name), inner_node) for name, inner_node in inner.items()
                )
            elif word not in _ELSEWHERE:
                waiting.append((None, inner))
