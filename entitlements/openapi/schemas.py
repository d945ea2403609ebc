"""Schemas of OpenAPI 3.0 and 3.1, written as JSON Schema 2020-12 with what they refer to beside them. Pure.

OpenAPI 3.1 has schemas of 2020-12 already; 3.0 has a dialect of its own (`nullable`, `exclusiveMinimum` as a boolean).
Words that only speak to readers of the document (`example`, `xml`, `discriminator`, `x-...`) are left out, and so is
what is `readOnly`, which no request carries. Keywords that would look a schema up by its own address are refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from .errors import Unsupported, Why
from .references import Document

_DEEPEST: Final = 24
_MOST_PARTS: Final = 15_000
"""Parts of the schemas of one operation."""
_SINGLES: Final = ("not", "items", "additionalProperties")
_SINGLES_31: Final = (
    "if", "then", "else", "contains", "propertyNames", "unevaluatedItems", "unevaluatedProperties", "contentSchema",
)  # fmt: skip
_LISTS: Final = ("allOf", "anyOf", "oneOf")
_MAPS_31: Final = ("patternProperties", "dependentSchemas")
_VALUES: Final = frozenset(
    {
        "type", "format", "title", "description", "default", "enum", "multipleOf", "maximum", "exclusiveMaximum",
        "minimum", "exclusiveMinimum", "maxLength", "minLength", "pattern", "maxItems", "minItems", "uniqueItems",
        "maxProperties", "minProperties", "required", "writeOnly", "deprecated",
    }
)  # fmt: skip
_VALUES_31: Final = frozenset(
    {"const", "minContains", "maxContains", "dependentRequired", "contentEncoding", "contentMediaType"}
)
_ADDRESSES: Final = ("$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor")
_DIALECTS: Final = re.compile(
    r"https://json-schema\.org/draft/2020-12/schema|https://spec\.openapis\.org/oas/3\.1/dialect/[a-z0-9-]+"
)
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_COMPONENTS: Final = "#/components/schemas/"


def is_dialect(value: object) -> bool:
    """Whether a `$schema` or `jsonSchemaDialect` is one that we read."""
    return isinstance(value, str) and _DIALECTS.fullmatch(value.removesuffix("#")) is not None


class Writer:
    """Writes the schemas of one operation; `defs` collects what they refer to, by the name it is found under."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self.defs: dict[str, Any] = {}
        self._names: dict[str, str] = {}
        self._parts = 0

    def write(self, schema: object, *, inline: bool = False) -> Any:  # noqa: ANN401 - a boolean or an object
        """Write one schema. Inline, what it refers to stands in its place. Raises Unsupported."""
        return self._write(schema, 0, inline, ())

    def _write(self, schema: object, depth: int, inline: bool, above: tuple[str, ...]) -> Any:  # noqa: ANN401, FBT001
        self._parts += 1
        if depth > _DEEPEST or self._parts > _MOST_PARTS:
            raise Unsupported(Why.TOO_LARGE)
        if isinstance(schema, bool) and not self._document.is_30:
            return schema
        if not isinstance(schema, Mapping):
            raise Unsupported(Why.MALFORMED, "schema")
        if "$ref" in schema:
            return self._referred(schema, depth, inline, above)
        return self._part(schema, depth, inline, above)

    def _referred(self, schema: Mapping[str, Any], depth: int, inline: bool, above: tuple[str, ...]) -> Any:  # noqa: ANN401, FBT001
        """Write a schema that refers to another. What stands beside the reference counts in 3.1 alone."""
        reference, siblings = schema["$ref"], {}
        if not self._document.is_30:
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            siblings = self._part(rest, depth, inline, above)
        target = self._document.target(reference)
        if not inline:
            return {**siblings, "$ref": f"#/$defs/{self._define(reference, target)}"}
        if reference in above:
            raise Unsupported(Why.REFERENCE_LOOP, reference)
        written = self._write(target, depth + 1, inline, (*above, reference))
        if not siblings:
            return written
        texts = {key: siblings[key] for key in siblings.keys() & {"title", "description", "default", "deprecated"}}
        if isinstance(written, dict) and texts.keys() == siblings.keys():
            return {**written, **texts}
        return {**siblings, "allOf": [*siblings.get("allOf", []), written]}

    def _define(self, reference: str, target: object) -> str:
        """Write what a reference leads to among the definitions, once, and return its name there."""
        name = self._names.get(reference)
        if name is None:
            name = reference.removeprefix(_COMPONENTS)
            if not _PLAIN.fullmatch(name):
                name = f"s-{hashlib.sha256(reference.encode()).hexdigest()[:16]}"
            self._names[reference] = name
            self.defs[name] = True  # what refers to itself finds its name
            self.defs[name] = self._write(target, 0, False, ())  # noqa: FBT003 - not inline
        return name

    def _part(self, schema: Mapping[str, Any], depth: int, inline: bool, above: tuple[str, ...]) -> dict[str, Any]:  # noqa: FBT001
        is_30 = self._document.is_30
        self._refuse_addresses(schema)
        kept = _VALUES if is_30 else _VALUES | _VALUES_31
        written = {key: value for key, value in schema.items() if key in kept}

        def inner(value: object) -> Any:  # noqa: ANN401 - as above
            return self._write(value, depth + 1, inline, above)

        for key in _SINGLES if is_30 else (*_SINGLES, *_SINGLES_31):
            if key in schema:
                value = schema[key]
                written[key] = value if isinstance(value, bool) and key == "additionalProperties" else inner(value)
        for key in _LISTS if is_30 else (*_LISTS, "prefixItems"):
            if key in schema:
                written[key] = [inner(value) for value in _listed(schema[key], key)]
        for key in () if is_30 else _MAPS_31:
            if key in schema:
                written[key] = {name: inner(value) for name, value in _mapped(schema[key], key).items()}
        if "properties" in schema:
            _properties(written, _mapped(schema["properties"], "properties"), inner)
        return _from_30(written, schema) if is_30 else written

    def _refuse_addresses(self, schema: Mapping[str, Any]) -> None:
        if met := next((key for key in _ADDRESSES if key in schema), None):
            raise Unsupported(Why.KEYWORD, met)
        if "$schema" in schema and not is_dialect(schema["$schema"]):
            raise Unsupported(Why.KEYWORD, "$schema")


def _properties(written: dict[str, Any], properties: Mapping[str, Any], inner: Any) -> None:  # noqa: ANN401 - a function
    """Write the properties that a request may carry."""
    read_only = {
        name for name, value in properties.items() if isinstance(value, Mapping) and value.get("readOnly") is True
    }
    written["properties"] = {name: inner(value) for name, value in properties.items() if name not in read_only}
    if read_only and isinstance(written.get("required"), list):
        written["required"] = [name for name in written["required"] if name not in read_only]


def _is_read_only(schema: object) -> bool:
    return isinstance(schema, Mapping) and schema.get("readOnly") is True


def _from_30(written: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Write the keywords of 3.0 that mean something else in 2020-12."""
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(written.get(exclusive), bool) and written.pop(exclusive) and bound in written:
            written[exclusive] = written.pop(bound)
    if schema.get("nullable") is True and isinstance(written.get("type"), str):
        # It adds null to the type beside it, and to nothing else (OpenAPI 3.0.4 section 4.7.24.2).
        written["type"] = [written["type"], "null"]
    return written


def _listed(value: object, key: str) -> list[Any]:
    if not isinstance(value, list):
        raise Unsupported(Why.MALFORMED, key)
    return value


def _mapped(value: object, key: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Unsupported(Why.MALFORMED, key)
    return value
