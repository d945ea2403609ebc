"""JSON Schemas of tools, as far as a review needs them: what they allow, apart from their texts.

Only the keywords are understood that say what a caller may send. Whatever is not
understood counts as changed, never as unchanged. Nothing is ever fetched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final

TEXTS: Final = frozenset({"title", "description", "examples", "example", "$comment", "deprecated"})
_MAPS: Final = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_LISTS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SINGLES: Final = frozenset(
    {
        "items", "additionalProperties", "additionalItems", "not", "if", "then", "else", "contains",
        "propertyNames", "unevaluatedItems", "unevaluatedProperties", "contentSchema",
    }
)  # fmt: skip
_SETS: Final = frozenset({"required", "enum", "type"})
_UPPER: Final = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})
_LOWER: Final = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
_LOCAL_OBJECTS: Final = frozenset({"properties", "required", "additionalProperties"})


class Direction(StrEnum):
    """In which direction a schema moved: what it lets through grew, shrank, or is otherwise not the same."""

    WIDER = "wider"
    NARROWER = "narrower"
    OTHER = "other"


def skeleton(schema: object) -> object:
    """Leave out everything that only speaks to readers, and put unordered lists into one order.

    A property that happens to be *called* `title` or `description` stays.
    """
    if isinstance(schema, list):
        return [skeleton(entry) for entry in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {key: _bone(key, value) for key, value in schema.items() if key not in TEXTS}


def _bone(key: str, value: object) -> object:
    if key in _MAPS and isinstance(value, Mapping):
        return {name: skeleton(inner) for name, inner in value.items()}
    if key in _LISTS or key in _SINGLES:
        return skeleton(value)
    if key in _SETS and isinstance(value, list):
        return sorted(value, key=key_of)
    return value


def key_of(value: object) -> str:
    """A text under which two JSON values are equal exactly when they are the same JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def compare(old: object, new: object) -> set[Direction]:
    """Say in which directions the second of two skeletons differs from the first; an empty set when it does not."""
    if key_of(old) == key_of(new):
        return set()
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return _ways_of_booleans(old, new)
    directions: set[Direction] = set()
    for key in sorted(old.keys() | new.keys()):
        if key in _LOCAL_OBJECTS:
            continue
        if key_of(old.get(key)) != key_of(new.get(key)) or (key in old) != (key in new):
            directions |= _ways_of_keyword(key, old, new)
    return directions | _ways_of_object(old, new) or {Direction.OTHER}


def _ways_of_booleans(old: object, new: object) -> set[Direction]:
    """`true` and an empty schema let everything through, `false` nothing."""
    if old is False or new in (True, {}):
        return {Direction.WIDER}
    if new is False or old in (True, {}):
        return {Direction.NARROWER}
    return {Direction.OTHER}


def _ways_of_keyword(key: str, old: Mapping[str, object], new: Mapping[str, object]) -> set[Direction]:
    before, after = old.get(key), new.get(key)
    if key in _UPPER or key in _LOWER:
        return _ways_of_bound(before, after, upper=key in _UPPER)
    if key in ("enum", "type"):
        return _ways_of_choice(before, after)
    if key in ("items", "contentSchema") and before is not None and after is not None:
        return compare(before, after)
    return {Direction.OTHER}


def _ways_of_bound(before: object, after: object, *, upper: bool) -> set[Direction]:
    if before is None or after is None:
        return {Direction.NARROWER if before is None else Direction.WIDER}
    if _is_number(before) and _is_number(after):
        grew = float(str(after)) > float(str(before))
        return {Direction.WIDER if grew is upper else Direction.NARROWER}
    return {Direction.OTHER}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _ways_of_choice(before: object, after: object) -> set[Direction]:
    if before is None or after is None:
        return {Direction.NARROWER if before is None else Direction.WIDER}
    old = {key_of(entry) for entry in (before if isinstance(before, list) else [before])}
    new = {key_of(entry) for entry in (after if isinstance(after, list) else [after])}
    return ({Direction.WIDER} if new - old else set()) | ({Direction.NARROWER} if old - new else set())


def _ways_of_object(old: Mapping[str, object], new: Mapping[str, object]) -> set[Direction]:
    """Compare what may and what must be given."""
    directions: set[Direction] = set()
    before, after = properties(old), properties(new)
    must_before, must_after = required(old), required(new)
    for name in after.keys() - before.keys():
        directions.add(Direction.OTHER if name in must_after else Direction.WIDER)
    for name in before.keys() - after.keys():
        directions.add(Direction.OTHER if name in must_before else Direction.NARROWER)
    for name in before.keys() & after.keys():
        directions |= compare(before[name], after[name])
    if must_after - must_before:
        directions.add(Direction.NARROWER)
    if must_before - must_after:
        directions.add(Direction.WIDER)
    return directions | compare(old.get("additionalProperties", True), new.get("additionalProperties", True))


def properties(schema: object) -> dict[str, object]:
    """The named properties of an object schema."""
    named = schema.get("properties") if isinstance(schema, Mapping) else None
    return dict(named) if isinstance(named, Mapping) else {}


def property_names(schema: object) -> Iterator[str]:
    """Yield the name of each property at every depth, in no order that means anything; a name may come twice."""
    pending = [schema]
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            yield from properties(value)
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)


def required(schema: object) -> frozenset[str]:
    """The properties that must be given."""
    listed = schema.get("required") if isinstance(schema, Mapping) else None
    return frozenset(name for name in listed if isinstance(name, str)) if isinstance(listed, list) else frozenset()


def foreign_references(schema: object) -> Iterator[str]:
    """Every `$ref` that points outside the document itself. They are refused, and never followed."""
    pending = [schema]
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            for key in ("$ref", "$dynamicRef", "$recursiveRef"):
                target = value.get(key)
                if isinstance(target, str) and not target.startswith("#"):
                    yield target
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
