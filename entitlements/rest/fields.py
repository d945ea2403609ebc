"""Named values in a row, as queries and forms have them: `a=1&b=2&b=3`. Pure.

Which names there may be follows from the declarations alone, so that each pair of a request belongs to one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from entitlements import strict
from entitlements.codes import Code

from . import primitives, styles
from .operation import Body, Media, Operation, Place, Shape, Style
from .refusals import NotMapped, bad_value, quoted

type Pair = tuple[str, str]

_WRITTEN: Final = re.compile(rb"[!-\"$-:<-~]*")
"""What may stand in a query or a form: visible ASCII but `#`, and `;`, at which some readers split too."""
_DELIMITED: Final = frozenset({Style.FORM, Style.SPACE, Style.PIPE})


class Named(msgspec.Struct, frozen=True):
    """One declared name: the argument that it carries, and how."""

    name: str
    argument: str
    shape: Shape
    style: Style = Style.FORM
    explode: bool = True
    required: bool = False
    is_json: bool = False
    place: Place = Place.QUERY

    @property
    def is_spread(self) -> bool:
        """Whether each element or property is a pair of its own."""
        is_many = self.shape.kind in ("array", "object") and not self.is_json
        return is_many and self.explode and self.style in _DELIMITED


class Row:
    """The declarations of one query or form. Raises ValueError where two of them share a name."""

    def __init__(self, declared: Iterable[Named]) -> None:
        self.declared = tuple(declared)
        self._by_name: dict[str, tuple[Named, str]] = {}
        self._deep: dict[str, Named] = {}
        self._rest: Named | None = None
        for each in self.declared:
            if each.style is Style.DEEP:
                self._take(self._deep, each.name, each)
            elif each.is_spread and each.shape.kind == "object":
                self._spread(each)
            else:
                self._take(self._by_name, each.name, (each, ""))

    def _spread(self, each: Named) -> None:
        for key in each.shape.properties:
            self._take(self._by_name, key, (each, key))
        if each.shape.others:
            if self._rest is not None:
                raise ValueError("Two objects take any name.")
            self._rest = each

    def _take(self, names: dict[str, Any], name: str, value: object) -> None:
        if name in self._by_name or name in self._deep:
            raise ValueError("Two parameters share a name.")
        names[name] = value

    # ------------------------------------------------------------------------------------------------------- out

    def write(self, arguments: Mapping[str, Any]) -> str:
        """Write the values that are there. Raises NotMapped."""
        pairs: list[Pair] = []
        for each in self.declared:
            if each.argument in arguments:
                try:
                    pairs += self._pairs(each, arguments[each.argument])
                except ValueError as why:
                    raise bad_value(each.name, str(why)) from why
            elif each.required:
                raise missing(each.name)
        return "&".join(f"{primitives.encode(name)}={text}" for name, text in pairs)

    def _pairs(self, each: Named, value: object) -> list[Pair]:
        if each.is_json:
            return [(each.name, primitives.encode(strict.dumps(value).decode()))]
        if each.style is Style.DEEP:
            pairs = styles.pairs_of(value, each.shape)
            if any(not key or "[" in key or "]" in key for key, _ in pairs):
                raise ValueError("holds a property whose name has brackets")
            return [(f"{each.name}[{key}]", primitives.encode(text)) for key, text in pairs]
        if each.is_spread and each.shape.kind == "object":
            pairs = styles.pairs_of(value, each.shape)
            if any(self.of(key) != (each, key) for key, _ in pairs):
                raise ValueError("holds a property that has the name of a parameter")
            return [(key, primitives.encode(text)) for key, text in pairs]
        if each.is_spread:
            return [(each.name, primitives.encode(text)) for text in styles.items_of(value, each.shape)]
        return [(each.name, styles.spelt(value, each, primitives.encode))]

    # -------------------------------------------------------------------------------------------------------- in

    def of(self, name: str) -> tuple[Named, str] | None:
        """Return the declaration that a name belongs to, and which property of it, if any."""
        if name in self._by_name:
            return self._by_name[name]
        if name in self._deep:
            return None
        outer, opened, key = name.partition("[")
        if opened and outer in self._deep:
            key = key.removesuffix("]") if key.endswith("]") else ""
            return (self._deep[outer], key) if key and "[" not in key and "]" not in key else None
        return (self._rest, name) if self._rest is not None and name else None

    def read(self, raw: bytes) -> dict[str, Any]:
        """Read the values of a query or a form, each by its declaration. Raises NotMapped."""
        found: dict[str, list[Pair]] = {}
        for name, text in _pairs(raw):
            if (known := self.of(name)) is None:
                raise NotMapped(Code.PARAMETER_NOT_DECLARED, f"The parameter {quoted(name)} is not declared.")
            each, key = known
            pairs = found.setdefault(each.argument, [])
            may_repeat = each.is_spread and each.shape.kind == "array"
            if not may_repeat and any(key == before for before, _ in pairs):
                raise NotMapped(Code.PARAMETER_REPEATED, f"The parameter {quoted(name)} is there more than once.")
            pairs.append((key, text))
        arguments: dict[str, Any] = {}
        for each in self.declared:
            if each.argument in found:
                arguments[each.argument] = _value(each, found[each.argument])
            elif each.required:
                raise missing(each.name)
        return arguments


def of_query(operation: Operation) -> Row:
    """Return the declarations of the query of an operation. Raises ValueError."""
    return Row(
        Named(each.name, each.argument, each.shape, each.style, each.explode, each.required)
        for each in operation.parameters
        if each.place is Place.QUERY
    )


def of_form(body: Body) -> Row:
    """Return the declarations of a form. Raises ValueError."""
    return Row(
        Named(name, name, each.shape, each.style, each.explode, is_json=each.content_type == Media.JSON)
        for name, each in body.fields.items()
    )


def missing(name: str) -> NotMapped:
    """Refuse a request without a required value."""
    return NotMapped(Code.PARAMETER_MISSING, f"{quoted(name)} is missing.")


def _pairs(raw: bytes) -> list[Pair]:
    if not raw:
        return []
    if not _WRITTEN.fullmatch(raw):
        raise NotMapped(Code.PARAMETER_NOT_VALID, "A name or a value holds a character that must be encoded.")
    pairs = []
    for piece in raw.split(b"&"):
        name, equals, text = piece.partition(b"=")
        if not equals or not name:
            raise NotMapped(Code.PARAMETER_NOT_VALID, "Each parameter has a name and a value.")
        try:
            pairs.append((_decoded(name), _decoded(text)))
        except ValueError as why:
            raise NotMapped(Code.PARAMETER_NOT_VALID, f"A name or a value {why}.") from why
    return pairs


def _decoded(raw: bytes) -> str:
    return primitives.decode(raw.replace(b"+", b" "))


def _value(each: Named, pairs: list[Pair]) -> Any:  # noqa: ANN401 - any JSON value
    texts = [text for _, text in pairs]
    try:
        if each.is_json:
            return strict.loads(texts[0].encode())
        if each.style is Style.DEEP or (each.is_spread and each.shape.kind == "object"):
            return styles.mapping(pairs, each.shape)
        if each.is_spread:
            return styles.array(texts, each.shape)
        return styles.unspelt(texts[0], each)
    except strict.NotStrictJson as why:
        raise bad_value(each.name, "is no strict JSON") from why
    except ValueError as why:
        raise bad_value(each.name, str(why)) from why
