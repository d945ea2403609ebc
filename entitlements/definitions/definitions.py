"""Tool definitions: canonical form, hash, what a change means, and what to do about it (promise 7).

The hash is over the *raw* tool object as it came on the wire: hashing only what a
dialog shows catches one of eight known mutations, hashing everything catches seven.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

import rfc8785

from entitlements import strict
from entitlements.codes import Code
from entitlements.decisions import arguments, schemas
from entitlements.decisions.schemas import Direction
from entitlements.errors import DomainError
from entitlements.words import Risk

_LARGEST: Final = 256 * 1024
_DEEPEST: Final = 32
_MOST_VALUES: Final = 20_000
_EXACT: Final = 2**53 - 1
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_SHOWN: Final = ("name", "title", "description", "inputSchema", "outputSchema", "annotations", "execution")
_TEXTS: Final = frozenset({"title", "description", "_meta"})
_PICTURES: Final = frozenset({"icons"})
_SCHEMAS: Final = ("inputSchema", "outputSchema")
_LONGEST_QUOTE: Final = 160
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


def check(raw: object) -> dict[str, Any]:
    """Refuse what is not a usable tool object within bounds; hand back the very object. Raises DefinitionMalformed.

    A tool has a name of 1 to 128 of [A-Za-z0-9_.-], an input schema that arguments can be held against,
    and no reference out of the document (MCP 2026-07-28: never dereference those).
    """
    if not isinstance(raw, dict):
        raise DefinitionMalformed("A tool is an object.")
    _bounded(raw)
    if not strict.is_storable(raw):
        raise DefinitionMalformed("A text of the tool holds NUL or half a surrogate pair.")
    name = raw.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DefinitionMalformed("A tool's name has 1 to 128 letters, digits, '_', '.' or '-'.")
    if not isinstance(raw.get("inputSchema"), dict) or not isinstance(raw.get("outputSchema", {}), dict):
        raise DefinitionMalformed("A tool's schemas are objects, and the input schema is there.", tool=name)
    for kind in _SCHEMAS:
        for target in schemas.foreign_references(raw.get(kind)):
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
    large: list[list[str]] = []
    rounded = _rounded(raw, "", large, 0)
    try:
        lines = [rfc8785.dumps(rounded)]
        if large:
            lines.append(rfc8785.dumps(sorted(large)))
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
    if schemas.key_of(hints(old)) != schemas.key_of(hints(new)):
        return Change.ANNOTATION_FLIP
    fields = {key for key in old.keys() | new.keys() if not _same(old, new, key)}
    unknown = fields - _TEXTS - _PICTURES - {*_SCHEMAS, "annotations"}
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


def difference(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> list[str]:
    """Say every difference in plain sentences; an empty list only when there is none.

    The sentences quote the server's words, which are untrusted: escape them where they are shown.
    """
    if old is None or new is None:
        change = classify(old, new)
        return {
            Change.ADDED: ["The server offers this tool for the first time."],
            Change.REMOVED: ["The server no longer offers this tool."],
        }.get(change, [])
    sentences: list[str] = []
    for field in sorted(key for key in old.keys() | new.keys() if not _same(old, new, key)):
        if field in _SCHEMAS:
            sentences += _schema_sentences(field, old.get(field), new.get(field))
        elif field == "annotations":
            sentences += _hint_sentences(old, new)
        elif field in _TEXTS and field != "_meta":
            sentences.append(_text_sentence(field, old.get(field), new.get(field)))
        else:
            sentences.append(f"The field {field} changed.")
    return sentences


def hints(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The behaviour a server claims for its tool, with what MCP says a missing hint means. Untrusted."""
    annotations = raw.get("annotations")
    claimed = (
        {key: value for key, value in annotations.items() if key != "title"} if isinstance(annotations, Mapping) else {}
    )
    return {**_HINTS, **claimed}


def _same(old: Mapping[str, Any], new: Mapping[str, Any], key: str) -> bool:
    return (key in old) == (key in new) and canonical({key: old.get(key)}) == canonical({key: new.get(key)})


def _schema_change(old: Mapping[str, Any], new: Mapping[str, Any]) -> Change | None:
    if schemas.compare(schemas.skeleton(old.get("outputSchema")), schemas.skeleton(new.get("outputSchema"))):
        return Change.SCHEMA_CHANGED
    ways = schemas.compare(schemas.skeleton(old.get("inputSchema")), schemas.skeleton(new.get("inputSchema")))
    if ways == {Direction.WIDER}:
        return Change.SCHEMA_WIDENED
    if ways == {Direction.NARROWER}:
        return Change.SCHEMA_NARROWED
    return Change.SCHEMA_CHANGED if ways else None


def _bounded(raw: object) -> None:
    """Refuse nesting and size beyond bounds, without recursion."""
    pending: list[tuple[object, int]] = [(raw, 1)]
    seen = 0
    while pending:
        value, depth = pending.pop()
        seen += 1
        if depth > _DEEPEST or seen > _MOST_VALUES:
            raise DefinitionMalformed("The definition is nested too deep or has too many parts.")
        if isinstance(value, Mapping):
            pending.extend((inner, depth + 1) for inner in value.values())
        elif isinstance(value, list):
            pending.extend((inner, depth + 1) for inner in value)


def _rounded(value: Any, place: str, large: list[list[str]], depth: int) -> Any:  # noqa: ANN401 - any JSON value
    """Copy a value with unsafe whole numbers as floats, and note each with its JSON Pointer."""
    if depth > 2 * _DEEPEST:
        raise DefinitionMalformed("The definition is nested too deep.")
    if isinstance(value, Mapping):
        steps = {key: f"{place}/{str(key).replace('~', '~0').replace('/', '~1')}" for key in value}
        return {key: _rounded(inner, steps[key], large, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner, f"{place}/{index}", large, depth + 1) for index, inner in enumerate(value)]
    if type(value) is int and abs(value) > _EXACT:
        if abs(value) > 10**300:
            raise DefinitionMalformed("A number in the definition is too large.")
        large.append([place, str(value)])
        return float(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise DefinitionMalformed("A number in the definition is not finite.")
    return value


# Sentences


def _quoted(value: object) -> str:
    text = value if isinstance(value, str) else schemas.key_of(value)
    return f"“{text}”" if len(text) <= _LONGEST_QUOTE else f"“{text[:_LONGEST_QUOTE]}…”"


def _text_sentence(field: str, old: object, new: object) -> str:
    if old is None or new is None:
        return f"The {field} was {'added' if old is None else 'removed'}: {_quoted(new if old is None else old)}."
    return f"The {field} changed from {_quoted(old)} to {_quoted(new)}."


def _hint_sentences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    words = {
        "readOnlyHint": ("says that the tool only reads", "no longer says that the tool only reads"),
        "destructiveHint": ("says that the tool may destroy things", "says that the tool destroys nothing"),
        "idempotentHint": ("says that repeating a call changes nothing", "says that repeating a call matters"),
        "openWorldHint": ("says that the tool reaches the outside world", "says that the tool stays inside"),
    }
    before, after = hints(old), hints(new)
    changed = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    sentences = [
        f"The server now {words[key][0 if after.get(key) else 1]}." if key in words else f"The hint {key} changed."
        for key in changed
    ]
    return sentences or ["The annotations changed in their wording."]


def _schema_sentences(field: str, old: object, new: object) -> list[str]:
    """Say what happened to each named argument, then whether anything else in the schema changed."""
    word = "argument" if field == "inputSchema" else "result field"
    before, after = schemas.properties(old), schemas.properties(new)
    sentences: list[str] = []
    for name in sorted(after.keys() - before.keys()):
        must = " and must be given" if name in schemas.required(new) else ""
        sentences.append(f"The {word} {_quoted(name)} was added{must}.")
    sentences.extend(f"The {word} {_quoted(name)} was removed." for name in sorted(before.keys() - after.keys()))
    for name in sorted(before.keys() & after.keys()):
        sentences += _argument_sentences(f"The {word} {_quoted(name)}", before[name], after[name])
        if (name in schemas.required(old)) != (name in schemas.required(new)):
            sentences.append(
                f"The {word} {_quoted(name)} {'must' if name in schemas.required(new) else 'need not'} be given."
            )
    rest = [_rest(old), _rest(new)]
    if schemas.key_of(rest[0]) != schemas.key_of(rest[1]) or not sentences:
        sentences.append(f"Something else in the {field} changed.")
    return sentences


def _argument_sentences(subject: str, old: object, new: object) -> list[str]:
    if schemas.key_of(old) == schemas.key_of(new):
        return []
    ways = schemas.compare(schemas.skeleton(old), schemas.skeleton(new))
    if not ways:
        return [f"{subject} is described in other words."]
    if ways == {Direction.WIDER}:
        return [f"{subject} allows more than before."]
    return [f"{subject} allows less than before." if ways == {Direction.NARROWER} else f"{subject} changed its form."]


def _rest(schema: object) -> object:
    return (
        {k: v for k, v in schema.items() if k not in ("properties", "required")}
        if isinstance(schema, Mapping)
        else schema
    )
