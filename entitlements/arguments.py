"""The approved schema of a tool, held against the arguments of a call: what is valid, and which names are declared.

JSON Schema alone lets every name through that it does not mention. That is no answer where a grant limits an argument:
the upstream may read a second name for the same thing. So a schema is asked two questions here. `problem` says why the
arguments are not valid by it; `Place` says which names it declares at one place: those of its `properties` and those
that match its `patternProperties`, in whatever `$ref`, `allOf` and the like apply there. `additionalProperties`,
present or not, declares no name.

Nothing is ever fetched; `format` is a note, as JSON Schema 2020-12 has it. A schema that cannot be compiled, or whose
references unfold without a reasonable end, is broken: nothing is valid by it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

import jsonschema_rs

from entitlements import tool_schemas

_MOST_UNFOLDED: Final = 50_000
"""Parts of a schema with its references written out; each may be looked at for every call."""
_MOST_NAMED: Final = 20
_LONGEST_NAME: Final = 64
_LONGEST_QUOTE: Final = 200
_MAPS_HERE: Final = ("dependentSchemas", "dependencies")
_LISTS_HERE: Final = ("allOf", "anyOf", "oneOf")
_SINGLES_HERE: Final = ("if", "then", "else")
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_ANCHORS: Final = ("$anchor", "$dynamicAnchor")

type _Part = Mapping[str, Any]


class _Document:
    """A schema as a whole, in which its references are looked up."""

    def __init__(self, root: _Part) -> None:
        self.root = root
        anchored = [(part.get(word), part) for part in _every_part(root) for word in _ANCHORS]
        self._anchors = {name: part for name, part in anchored if isinstance(name, str)}

    def targets(self, part: _Part) -> Iterator[object]:
        """Yield what the references of a part point to; one that leads nowhere declares nothing."""
        for word in _REFERENCES:
            reference = part.get(word)
            if isinstance(reference, str) and reference.startswith("#"):
                yield self._target(unquote(reference[1:]))

    def _target(self, fragment: str) -> object:
        if fragment and not fragment.startswith("/"):
            return self._anchors.get(fragment)
        node: Any = self.root
        for step in fragment[1:].split("/") if fragment else ():
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and key.isdecimal() and int(key) < len(node):
                node = node[int(key)]
            elif isinstance(node, Mapping) and key in node:
                node = node[key]
            else:
                return None
        return node


class Place:
    """What a schema declares at one place of the arguments, and at the places inside it."""

    def __init__(self, document: _Document, schemas_here: tuple[object, ...]) -> None:
        self._document = document
        self._parts = list(_applying(document, schemas_here))
        self._inner: dict[str, Place] = {}
        self.names = frozenset(name for part in self._parts for name in tool_schemas.properties(part))
        patterns = sorted({pattern for part in self._parts for pattern in _mapping(part, "patternProperties")})
        self.patterns = tuple(patterns)
        self._matches = _validator({"anyOf": [{"pattern": text} for text in patterns]}) if patterns else None

    def declares(self, name: str) -> bool:
        """Whether an argument of this name is declared here."""
        return name in self.names or (self._matches is not None and self._matches.is_valid(name))

    def inside(self, name: str) -> Place:
        """Go to the place of one argument. Kept, since limits ask for the same few again and again."""
        place = self._inner.get(name)
        if place is None:
            place = self._inner[name] = Place(self._document, tuple(self._of(name)))
        return place

    def listed(self) -> str:
        """Name what is declared, for the answer to a call that names something else."""
        named = [quote(name) for name in sorted(self.names)]
        named += [f"names like {quote(pattern)}" for pattern in self.patterns]
        left = len(named) - _MOST_NAMED
        return ", ".join(named[:_MOST_NAMED]) + (f" and {left} more" if left > 0 else "") or "nothing"

    def _of(self, name: str) -> Iterator[object]:
        for part in self._parts:
            named = tool_schemas.properties(part)
            if name in named:
                yield named[name]
            for pattern, inner in _mapping(part, "patternProperties").items():
                if _validator({"pattern": pattern}).is_valid(name):
                    yield inner
            yield part.get("additionalProperties")


class Schema:
    """One tool's input schema, compiled on first use. `broken` says why nothing is valid by it, else is empty."""

    __slots__ = ("_broken", "_by_name", "_place", "_text", "_validator")

    def __init__(self, text: str) -> None:
        self._text = text
        self._broken: str | None = None
        self._validator: jsonschema_rs.Validator | None = None
        self._place: Place | None = None
        self._by_name: jsonschema_rs.ValidatorMap | None = None

    @property
    def broken(self) -> str:
        """Why the schema cannot be used, in a sentence; empty when it can."""
        if self._broken is None:
            self._broken = self._compile()
        return self._broken

    @property
    def place(self) -> Place:
        """What the schema declares at the top."""
        if self._place is None:
            schema = self._schema()
            self._place = Place(_Document(schema), (schema,))
        return self._place

    def problem(self, arguments: Mapping[str, object]) -> str:
        """Say why the arguments are not valid, in a sentence that hides their values; empty when they are."""
        if self.broken:
            return self.broken
        assert self._validator is not None  # noqa: S101 - for the type checker: what compiled has one
        try:
            if self._validator.is_valid(arguments):
                return ""
        except (ValueError, TypeError):
            return "The arguments are no JSON object."
        return self._first_problem(arguments)

    def _first_problem(self, arguments: Mapping[str, object]) -> str:
        """Look for one argument that is at fault. The validator's own list of errors has no bound on its time."""
        schema = self._schema()
        for name in sorted(tool_schemas.required(schema)):
            if name not in arguments:
                return f"The argument {quote(name)} is missing: the approved definition of the tool requires it."
        if schema.get("additionalProperties") is False:
            for name in arguments:
                if not self.place.declares(name):
                    return undeclared(quote(name), self.place)
        named = tool_schemas.properties(schema)
        for name in arguments:
            if name in named and not self._is_valid_alone(name, arguments[name]):
                form = json.dumps(tool_schemas.skeleton(named[name]), ensure_ascii=True, sort_keys=True)
                form = form if len(form) <= _LONGEST_QUOTE else form[:_LONGEST_QUOTE] + "..."
                return f"The argument {quote(name)} is not of the declared form. Declared: {form}."
        return (
            f"The arguments do not fit together as the approved definition declares. Declared: {self.place.listed()}."
        )

    def _is_valid_alone(self, name: str, value: object) -> bool:
        if self._by_name is None:
            self._by_name = jsonschema_rs.validator_map_for(self._schema(), offline=True, validate_formats=False)
        validator = self._by_name.get("#/properties/" + name.replace("~", "~0").replace("/", "~1"))
        return validator is None or validator.is_valid(value)

    def _schema(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self._text)
        return read

    def _compile(self) -> str:
        try:
            schema = self._schema()
            if not isinstance(schema, dict):
                return "The approved definition of the tool has no input schema."
            if not _ends(schema):
                return "The input schema in the approved definition of the tool refers to itself too often."
            self._validator = _validator(schema)
        except (ValueError, TypeError, RecursionError, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError):
            return "The input schema in the approved definition of the tool is not valid JSON Schema."
        return ""


class _Unread(Schema):
    """The schema of a tool whose definition was not read with the facts."""

    __slots__ = ()

    def _compile(self) -> str:
        return "The approved definition of the tool was not read."


UNREAD: Final = _Unread("{}")
"""Nothing is valid by it."""


def undeclared(argument: str, place: Place) -> str:
    """Say that an argument is not declared, and what is."""
    return f"The approved definition of the tool does not declare the argument {argument}. Declared: {place.listed()}."


def quote(name: str) -> str:
    """Quote a name that a caller or an upstream chose: short, and in ASCII, so that a lookalike letter is seen."""
    plain = name[:_LONGEST_NAME].encode("unicode_escape").decode("ascii")
    return f'"{plain}{"..." if len(name) > _LONGEST_NAME else ""}"'


def _validator(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(schema, offline=True, validate_formats=False)


def _mapping(part: _Part, word: str) -> Mapping[str, Any]:
    value = part.get(word)
    return value if isinstance(value, Mapping) else {}


def _applying(document: _Document, schemas_here: tuple[object, ...]) -> Iterator[_Part]:
    """Yield every part of a schema that applies at the same place: what its references and combinations lead to."""
    waiting, met = list(schemas_here), set[int]()
    while waiting:
        part = waiting.pop()
        if not isinstance(part, Mapping) or id(part) in met:
            continue
        met.add(id(part))
        yield part
        waiting += document.targets(part)
        waiting += [inner for word in _LISTS_HERE for inner in _listed(part, word)]
        waiting += [part.get(word) for word in _SINGLES_HERE]
        waiting += [inner for word in _MAPS_HERE for inner in _mapping(part, word).values()]


def _listed(part: _Part, word: str) -> list[Any]:
    value = part.get(word)
    return value if isinstance(value, list) else []


def _every_part(schema: object) -> Iterator[_Part]:
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _ends(schema: _Part) -> bool:
    """Whether a schema with its references written out has a reasonable size; one to where it stands counts once.

    The validator remembers what it found at such a recursive reference, and follows each other one again.
    """
    document = _Document(schema)
    waiting: list[tuple[object, frozenset[int]]] = [(schema, frozenset({id(schema)}))]
    unfolded = 0
    while waiting and unfolded <= _MOST_UNFOLDED:
        part, above = waiting.pop()
        unfolded += 1
        if isinstance(part, list):
            waiting.extend((inner, above) for inner in part)
        elif isinstance(part, Mapping):
            waiting.extend((inner, above) for word, inner in part.items() if word not in ("$defs", "definitions"))
            followed = [target for target in document.targets(part) if id(target) not in above]
            waiting.extend((target, above | {id(target)}) for target in followed)
    return not waiting
