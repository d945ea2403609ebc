"""Values that addresses, headers and forms can say: a primitive, or one level of primitives. Pure.

Null cannot be written there, so it is taken out of the schema; what is left has one type, or is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from entitlements.rest.operation import Primitive, Shape

from .errors import Unsupported, Why

_PRIMITIVES: Final = ("string", "integer", "number", "boolean")
_TEXTS: Final = frozenset({"title", "description", "default", "deprecated"})
_NULL: Final = "null"
_CHOICES: Final = ("anyOf", "oneOf")
_CONDITIONS: Final = (
    "not", "if", "then", "else", "patternProperties", "dependentSchemas", "unevaluatedProperties", "unevaluatedItems",
    "prefixItems", "contains",
)  # fmt: skip


def shaped(schema: object, about: str) -> tuple[Shape, dict[str, Any]]:
    """Return the shape of a schema that was written inline, and the schema without null. Raises Unsupported."""
    plain = _without_null(schema, about)
    kind = _kind(plain, about)
    if kind in _PRIMITIVES:
        return Shape(kind=cast("Primitive", kind)), plain
    if any(key in plain for key in (*_CHOICES, "allOf", *_CONDITIONS)):
        raise Unsupported(Why.NESTED, about)
    if kind == "array":
        items, plain["items"] = _primitive(plain.get("items", {}), about)
        return Shape(kind="array", items=items), plain
    return _object(plain, about)


def _object(plain: dict[str, Any], about: str) -> tuple[Shape, dict[str, Any]]:
    properties: dict[str, Primitive] = {}
    named = plain.get("properties", {})
    for name, inner in named.items():
        properties[name], named[name] = _primitive(inner, about)
    others: Primitive | str = ""
    if isinstance(plain.get("additionalProperties"), dict):
        others, plain["additionalProperties"] = _primitive(plain["additionalProperties"], about)
    else:  # what is not declared is not sent
        plain["additionalProperties"] = False
    if not properties and not others:
        raise Unsupported(Why.UNTYPED, about)
    return Shape(kind="object", properties=properties, others=cast("Any", others)), plain


def _primitive(schema: object, about: str) -> tuple[Primitive, dict[str, Any]]:
    plain = _without_null(schema, about)
    kind = _kind(plain, about)
    if kind not in _PRIMITIVES:
        raise Unsupported(Why.NESTED, about)
    return cast("Primitive", kind), plain


def _without_null(schema: object, about: str) -> dict[str, Any]:
    """Return a schema without null and without a choice or combination of one, which generators write for optional."""
    if not isinstance(schema, dict):
        raise Unsupported(Why.UNTYPED, about)
    plain = dict(schema)
    types = plain.get("type")
    if isinstance(types, list):
        left = [kind for kind in types if kind != _NULL]
        if len(left) != 1:
            raise Unsupported(Why.MIXED, about)
        plain["type"] = left[0]
    if isinstance(plain.get("enum"), list):
        plain["enum"] = [value for value in plain["enum"] if value is not None]
    if "default" in plain and plain["default"] is None:
        del plain["default"]
    for key in _CHOICES:
        if key in plain:
            plain[key] = [_without_null(inner, about) for inner in plain[key] if not _is_null(inner)]
    for key in (*_CHOICES, "allOf"):
        if len(plain.get(key, ())) == 1:
            plain = _merged(plain, key, about)
    return plain


def _merged(plain: dict[str, Any], key: str, about: str) -> dict[str, Any]:
    """Put the one schema of a list where the list stands; only texts may stand in both, and the outer ones count."""
    only = _without_null(plain[key][0], about)
    outer = {name: value for name, value in plain.items() if name != key}
    twice = [name for name in outer.keys() & only.keys() - _TEXTS if outer[name] != only[name]]
    if twice:
        raise Unsupported(Why.MIXED, about)
    return {**only, **outer}


def _is_null(schema: object) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == _NULL


def _kind(plain: Mapping[str, Any], about: str) -> str:
    """Return the one type of a schema: named, or the same in each of a choice, or that of its listed values."""
    kind = plain.get("type")
    if isinstance(kind, str):
        return kind
    inner = [_kind(_without_null(choice, about), about) for key in _CHOICES for choice in plain.get(key, ())]
    if not inner:
        values = (
            plain["enum"] if isinstance(plain.get("enum"), list) else [plain[key] for key in ("const",) if key in plain]
        )
        inner = [_kind_of(value) for value in values]
    if not inner:
        inner = [_kind(part, about) for part in plain.get("allOf", ()) if isinstance(part, Mapping) and "type" in part]
    if not inner:
        raise Unsupported(Why.UNTYPED, about)
    if len(set(inner)) > 1:
        raise Unsupported(Why.MIXED, about)
    return inner[0]


def _kind_of(value: object) -> str:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), _NULL)
