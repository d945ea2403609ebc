"""The approved schema of a tool, held against the arguments of a call: what is valid, and which names are declared.

JSON Schema alone lets every name through that it does not mention. That is no answer where a grant limits an argument:
the upstream may read a second name for the same thing. So a schema is asked two questions here. `problem` says why the
arguments are not valid by it; `Place` says which names it declares at one place: those of its `properties` and those
that match its `patternProperties`, in whatever `$ref`, `allOf` and the like apply there. `additionalProperties`,
present or not, declares no name.

Nothing is ever fetched; `format` is a note, as JSON Schema 2020-12 has it. A schema that cannot be compiled, or whose
references unfold without a reasonable end, is broken: nothing is valid by it. Nor is anything that would take too much
work: a node answers everybody else meanwhile. `patterns` bounds the regular expressions, `_MOST_WORK` the rest.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

import jsonschema_rs

from entitlements import patterns, tool_schemas

_MOST_UNFOLDED: Final = 50_000
"""Parts of a schema with its references written out; each may be looked at for every call."""
_UNEVALUATED: Final = ("unevaluatedProperties", "unevaluatedItems")
_AGAIN: Final = 4
"""How much more often the validator looks at what is below one of these words."""
_MOST_WORK: Final = 10_000_000
"""Parts of a schema times values of the arguments."""
_CHARACTERS: Final = 256
"""How many characters of a text are as much work as one value."""
_MOST_PATTERN_COST: Final = 2_000
_NAMED: Final = 1 << 20
"""Characters of names that are matched with one small pattern; fewer where there are more or larger ones."""
_TOO_MUCH: Final = "Checking the arguments by the approved definition of the tool would take too much work. Send less."
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
        self.patterns = tuple(sorted({text for part in self._parts for text in _mapping(part, "patternProperties")}))

    def declares(self, name: str) -> bool:
        """Whether an argument of this name is declared here."""
        return name in self.names or any(patterns.read(text).matches(name) for text in self.patterns)

    def inside(self, name: str) -> Place:
        """Go to the place of one argument. Kept, since limits ask for the same few again and again."""
        place = self._inner.get(name)
        if place is None:
            with patterns.Bound():  # its own: what is kept holds for other calls too
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
                if patterns.read(pattern).matches(name):
                    yield inner
            yield part.get("additionalProperties")


class Schema:
    """One tool's input schema, compiled on first use. `broken` says why nothing is valid by it, else is empty."""

    __slots__ = ("_broken", "_by_name", "_names", "_parts", "_place", "_text", "_validator")

    def __init__(self, text: str) -> None:
        self._text = text
        self._broken: str | None = None
        self._parts = 0
        self._names: tuple[patterns.Pattern, ...] = ()
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
        if self._is_too_much(arguments):
            return _TOO_MUCH
        with patterns.Bound() as bound:
            try:
                sentence = "" if self._validator.is_valid(arguments) else self._first_problem(arguments)
            except (ValueError, TypeError):
                return "The arguments are no JSON object."
        return _TOO_MUCH if bound.is_spent else sentence

    def _is_too_much(self, arguments: Mapping[str, object]) -> bool:
        """Whether the arguments are too many, or their names too long, for this schema."""
        waiting: list[object] = [arguments]
        size = longest = 0
        while waiting:
            value = waiting.pop()
            size += 1
            if isinstance(value, str):
                size += len(value) // _CHARACTERS
            elif isinstance(value, Mapping):
                size += len(value)
                longest = max(longest, *map(len, value)) if value else longest
                waiting.extend(value.values())
            elif isinstance(value, list):
                waiting.extend(value)
        if size * self._parts > _MOST_WORK:
            return True
        cost = sum(_NAMED // pattern.longest for pattern in self._names)
        return any(longest > pattern.longest for pattern in self._names) or size * (longest + 1) * cost > _NAMED

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
            self._by_name = jsonschema_rs.validator_map_for(self._schema(), **_OPTIONS)
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
            self._parts = _unfolded(schema)
            if self._parts > _MOST_UNFOLDED:
                return "The input schema in the approved definition of the tool refers to itself too often."
            if not _is_cheap(schema):
                return "The input schema in the approved definition of the tool has too many or too large patterns."
            self._names = tuple(patterns.read(text) for _, text, is_of_names in patterns.within(schema) if is_of_names)
            self._validator = jsonschema_rs.validator_for(schema, **_OPTIONS)
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


_OPTIONS: Final[dict[str, Any]] = {
    "offline": True,
    "validate_formats": False,
    "pattern_options": patterns.SCHEMA_OPTIONS,
    "keywords": {"pattern": patterns.Keyword},
}


def _is_cheap(schema: _Part) -> bool:
    """Whether the patterns of a schema compile in a reasonable time. One that is unusable costs the most."""
    left = _MOST_PATTERN_COST
    for _, text, _ in patterns.within(schema):
        with contextlib.suppress(patterns.PatternUnusable):
            left -= patterns.read(text).cost
        if left < 0:
            return False
    return True


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


def _unfolded(schema: _Part) -> int:
    """Count the parts of a schema with its references written out; one to where it stands counts once.

    The validator remembers what it found at such a recursive reference, and follows each other one again. Below
    `unevaluatedProperties` it looks at everything several times. Counting ends soon after `_MOST_UNFOLDED`.
    """
    document = _Document(schema)
    waiting: list[tuple[object, frozenset[int], int]] = [(schema, frozenset({id(schema)}), 1)]
    unfolded = 0
    while waiting and unfolded <= _MOST_UNFOLDED:
        part, above, times = waiting.pop()
        unfolded += times
        if isinstance(part, list):
            waiting.extend((inner, above, times) for inner in part)
        elif isinstance(part, Mapping):
            times *= _AGAIN if any(word in part for word in _UNEVALUATED) else 1
            waiting.extend(
                (inner, above, times) for word, inner in part.items() if word not in ("$defs", "definitions")
            )
            followed = [target for target in document.targets(part) if id(target) not in above]
            waiting.extend((target, above | {id(target)}, times) for target in followed)
    return unfolded
