"""Tool definitions: canonical form, hash, what a change means, and what to do about it (promise 7).

The hash is over the *raw* tool object as it came on the wire: hashing only what a
dialog shows catches one of eight known mutations, hashing everything catches seven.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

import rfc8785

from entitlements import arguments, strict, tool_schemas
from entitlements.codes import Code
from entitlements.errors import DomainError
from entitlements.tool_schemas import Direction
from entitlements.words import Risk

from . import primitives

_LARGEST: Final = 256 * 1024
_DEEPEST: Final = 32
_MOST_VALUES: Final = 20_000
_LONGEST_WAYS: Final = 16 * 1024 * 1024
"""Characters of the names that lead to each value, for all values of a definition together."""
_EXACT: Final = 2**53 - 1
_SHOWN: Final = ("name", "title", "description", "inputSchema", "outputSchema", "annotations", "execution")
TEXTS: Final = frozenset({"title", "description", "_meta"})
_PICTURES: Final = frozenset({"icons"})
SCHEMAS: Final = ("inputSchema", "outputSchema")
# What a missing hint means, by the specification of MCP: the worst.
_HINTS: Final = {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False, "openWorldHint": True}


class DefinitionMalformed(DomainError):
    """The tool's definition is malformed or too large."""

    code = Code.DEFINITION_MALFORMED
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class Change(StrEnum):
    """The class of a change between two definitions, mildest first."""

    NONE = "none"
    COSMETIC = "cosmetic"
    DESCRIPTION = "description"
    SCHEMA_NARROWED = "schema_narrowed"
    SCHEMA_WIDENED = "schema_widened"
    SCHEMA_CHANGED = "schema_changed"
    ANNOTATION_FLIP = "annotation_flip"
    ADDED = "added"
    REMOVED = "removed"


class Consequence(StrEnum):
    """What happens to calls after a change, until a person has looked."""

    NOTHING = "nothing"
    KEEP_SERVING = "keep_serving"
    QUARANTINE = "quarantine"
    REVIEW = "review"
    REMOVE = "remove"


def check(raw: object, *, is_tool: bool = True) -> dict[str, Any]:
    """Refuse what is not a usable tool object within bounds; hand back the very object. Raises DefinitionMalformed.

    A tool has a name of 1 to 128 of [A-Za-z0-9_.-], an input schema that arguments can be held against,
    and no reference out of the document (MCP 2026-07-28: never dereference those). `offers` makes what is no tool.
    """
    if not isinstance(raw, dict):
        raise DefinitionMalformed("A tool is an object.")
    _bounded(raw)
    if not strict.is_storable(raw):
        raise DefinitionMalformed("A text of the tool holds NUL or half a surrogate pair.")
    name = raw.get("name")
    if not isinstance(name, str) or not primitives.is_name(name) or is_tool == ("/" in name):
        raise DefinitionMalformed("A tool's name has 1 to 128 letters, digits, '_', '.' or '-'.")
    if is_tool and primitives.MEMBER in raw:
        raise DefinitionMalformed("A tool has no member called primitive.", tool=name)
    if not isinstance(raw.get("inputSchema"), dict) or not isinstance(raw.get("outputSchema", {}), dict):
        raise DefinitionMalformed("A tool's schemas are objects, and the input schema is there.", tool=name)
    for kind in SCHEMAS:
        for target in tool_schemas.foreign_references(raw.get(kind)):
            raise DefinitionMalformed(f"The {kind} refers to something elsewhere.", tool=name, reference=target)
    if len(canonical(raw)) > _LARGEST:
        raise DefinitionMalformed("The definition is too large.", tool=name)
    if broken := arguments.Schema(json.dumps(raw["inputSchema"])).broken:
        raise DefinitionMalformed(broken, tool=name)
    return raw


def canonical(raw: Mapping[str, Any]) -> bytes:
    """Write a raw tool object in canonical JSON (RFC 8785). Raises DefinitionMalformed.

    Whole numbers past 2^53, which generators of schemas love and RFC 8785 cannot say
    exactly, are rounded there and repeated exactly, with their places, on a second line.
    """
    large: list[tuple[tuple[object, ...], int]] = []
    rounded = _rounded(raw, (), large)
    try:
        lines = [rfc8785.dumps(rounded)]
        if large:
            lines.append(rfc8785.dumps(sorted([strict.pointer(way), str(number)] for way, number in large)))
    except rfc8785.CanonicalizationError as why:
        raise DefinitionMalformed(f"The definition is not proper JSON: {why}.") from why
    return b"\n".join(lines)


def digest(raw: Mapping[str, Any]) -> str:
    """SHA-256 of the raw wire object in canonical form, as 64 lower case hex digits."""
    return hashlib.sha256(canonical(raw)).hexdigest()


def reviewed(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The part that a reviewer is shown and a client is served; other fields reach neither."""
    return {key: raw[key] for key in _SHOWN if key in raw}


def classify(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Change:
    """Name the gravest class of change between two raw definitions. A field we do not know counts as schema."""
    if old is None or new is None:
        return Change.NONE if old is new else (Change.ADDED if old is None else Change.REMOVED)
    if canonical(old) == canonical(new):
        return Change.NONE
    if tool_schemas.key_of(hints(old)) != tool_schemas.key_of(hints(new)):
        return Change.ANNOTATION_FLIP
    fields = {key for key in old.keys() | new.keys() if not is_same(old, new, key)}
    unknown = fields - TEXTS - _PICTURES - {*SCHEMAS, "annotations"}
    if unknown:
        return Change.SCHEMA_CHANGED
    if way := _schema_change(old, new):
        return way
    return Change.COSMETIC if fields <= _PICTURES else Change.DESCRIPTION


def consequence(change: Change, risk: Risk) -> Consequence:
    """Say what a change of this class means for a tool of this risk (promise 7)."""
    if change is Change.NONE:
        return Consequence.NOTHING
    if change is Change.ADDED:
        return Consequence.REVIEW
    if change is Change.REMOVED:
        return Consequence.REMOVE
    if change in (Change.COSMETIC, Change.DESCRIPTION) and risk in (Risk.LOW, Risk.MEDIUM):
        return Consequence.KEEP_SERVING
    return Consequence.QUARANTINE


def hints(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The behaviour a server claims for its tool, with what MCP says a missing hint means. Untrusted."""
    annotations = raw.get("annotations")
    claimed = (
        {key: value for key, value in annotations.items() if key != "title"} if isinstance(annotations, Mapping) else {}
    )
    return {**_HINTS, **claimed}


def is_same(old: Mapping[str, Any], new: Mapping[str, Any], key: str) -> bool:
    """Whether a field is the same in two versions."""
    return (key in old) == (key in new) and canonical({key: old.get(key)}) == canonical({key: new.get(key)})


def _schema_change(old: Mapping[str, Any], new: Mapping[str, Any]) -> Change | None:
    if tool_schemas.compare(
        tool_schemas.skeleton(old.get("outputSchema")), tool_schemas.skeleton(new.get("outputSchema"))
    ):
        return Change.SCHEMA_CHANGED
    ways = tool_schemas.compare(
        tool_schemas.skeleton(old.get("inputSchema")), tool_schemas.skeleton(new.get("inputSchema"))
    )
    if ways == {Direction.WIDER}:
        return Change.SCHEMA_WIDENED
    if ways == {Direction.NARROWER}:
        return Change.SCHEMA_NARROWED
    return Change.SCHEMA_CHANGED if ways else None


def _bounded(raw: object) -> None:
    """Refuse nesting and size beyond bounds, without recursion: a text that stands in many places counts in each.

    The names that lead to a value are bounded for all values together, since who reads a schema writes them out.
    """
    pending: list[tuple[object, int, int]] = [(raw, 1, 0)]
    seen = written = led = 0
    while pending:
        value, depth, way = pending.pop()
        seen, led = seen + 1, led + way
        inner: list[tuple[object, int]] = []
        if isinstance(value, str):
            written += len(value)
        elif isinstance(value, Mapping):
            inner = [(each, len(str(name))) for name, each in value.items()]
            written += sum(length for _, length in inner)
        elif isinstance(value, list):
            inner = [(each, 1) for each in value]
        if depth > _DEEPEST or seen > _MOST_VALUES:
            raise DefinitionMalformed("The definition is nested too deep or has too many parts.")
        if written > _LARGEST or led > _LONGEST_WAYS:
            raise DefinitionMalformed("The definition is too large.")
        pending.extend((each, depth + 1, way + length) for each, length in inner)


def _rounded(value: Any, way: tuple[object, ...], large: list[tuple[tuple[object, ...], int]]) -> Any:  # noqa: ANN401 - any JSON value
    """Copy a value with unsafe whole numbers as floats, and note each with the way to it."""
    if len(way) > 2 * _DEEPEST:
        raise DefinitionMalformed("The definition is nested too deep.")
    if isinstance(value, Mapping):
        return {key: _rounded(inner, (*way, key), large) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner, (*way, index), large) for index, inner in enumerate(value)]
    if type(value) is int and abs(value) > _EXACT:
        if abs(value) > 10**300:
            raise DefinitionMalformed("A number in the definition is too large.")
        large.append((way, value))
        return float(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise DefinitionMalformed("A number in the definition is not finite.")
    return value
