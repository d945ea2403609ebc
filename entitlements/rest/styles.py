"""One value in one piece of a request, by the styles of OpenAPI 3.1 (Parameter Object, style values). Pure.

A style joins pieces by a delimiter. Readers disagree whether an encoded delimiter still is one, so no piece may hold
it: then all of them read the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from . import primitives
from .operation import Place, Shape, Style

type Encode = Callable[[str], str]

PATH_FORBIDS: Final = "/\\;"
"""What no value in a path may hold, encoded or not: servers decode a path before they compare it, drop what follows a
semicolon, and take a backslash for a slash, and would then carry out another operation."""
_ENCODED: Final = {" ": "%20", "|": "%7C"}


class Written(Protocol):
    """How a value stands in a request."""

    @property
    def name(self) -> str:
        """Its name there."""

    @property
    def place(self) -> Place:
        """Where it stands."""

    @property
    def shape(self) -> Shape:
        """What it is."""

    @property
    def style(self) -> Style:
        """How its pieces are joined."""

    @property
    def explode(self) -> bool:
        """Whether each piece is named or stands alone."""


def spelt(value: object, how: Written, encode: Encode) -> str:
    """Write a value in one piece. Raises ValueError, with half a sentence."""
    prefix, shape = _prefix(how, encode), how.shape
    if shape.kind not in ("array", "object"):
        return prefix + encode(_checked(primitives.write(value, _primitive(shape)), "", how))
    delimiter, assigns = _delimiter(how), _assigns(how)
    joined = _ENCODED.get(delimiter, delimiter)
    if shape.kind == "array":
        items = [encode(_checked(text, delimiter, how)) for text in items_of(value, shape)]
        if _is_exploded_matrix(how):
            items = [f"{encode(how.name)}={item}" for item in items]
        return prefix + joined.join(items)
    pairs = pairs_of(value, shape)
    for key, text in pairs:
        _checked(key, f"{delimiter}=" if assigns else delimiter, how)
        _checked(text, delimiter, how)
    if assigns:
        return prefix + joined.join(f"{encode(key)}={encode(text)}" for key, text in pairs)
    return prefix + joined.join(encode(text) for pair in pairs for text in pair)


def unspelt(text: str, how: Written) -> Any:  # noqa: ANN401 - any JSON value
    """Read what `spelt` writes, decoded. Raises ValueError, with half a sentence."""
    prefix, shape = _prefix(how, str), how.shape
    if not text.startswith(prefix):
        raise ValueError(f"is not written in the style {how.style.value}")
    rest = text[len(prefix) :]
    if shape.kind not in ("array", "object"):
        return primitives.read(_checked(rest, "", how), _primitive(shape))
    pieces = rest.split(_delimiter(how))
    if how.place is Place.HEADER:
        pieces = [piece.strip(" \t") for piece in pieces]
    if shape.kind == "array":
        if _is_exploded_matrix(how):
            pieces = [_named(piece, how.name) for piece in pieces]
        return array([_checked(piece, "", how) for piece in pieces], shape)
    if _assigns(how):
        pairs = [_assigned(piece) for piece in pieces]
    elif len(pieces) % 2:
        raise ValueError("has a name without a value")
    else:
        pairs = list(zip(pieces[::2], pieces[1::2], strict=True))
    for pair in pairs:
        for piece in pair:
            _checked(piece, "", how)
    return mapping(pairs, shape)


def items_of(value: object, shape: Shape) -> list[str]:
    """Write each element of an array. Raises ValueError; an empty one has no form in a request but to be left out."""
    if not isinstance(value, list | tuple):
        raise ValueError("is no array")  # noqa: TRY004 - half a sentence, like the others
    if not value:
        raise ValueError("is empty: leave it out")
    return [primitives.write(item, shape.items) for item in value]


def pairs_of(value: object, shape: Shape) -> list[tuple[str, str]]:
    """Write each property of an object. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError("is no object")  # noqa: TRY004
    if not value:
        raise ValueError("is empty: leave it out")
    return [(primitives.write(key, "string"), primitives.write(inner, _of(shape, key))) for key, inner in value.items()]


def array(texts: Iterable[str], shape: Shape) -> list[primitives.Value]:
    """Read the elements of an array. Raises ValueError."""
    return [primitives.read(text, shape.items) for text in texts]


def mapping(pairs: Sequence[tuple[str, str]], shape: Shape) -> dict[str, primitives.Value]:
    """Read the properties of an object. Raises ValueError, for one that is there twice or not declared too."""
    found = {primitives.read(key, "string"): primitives.read(text, _of(shape, key)) for key, text in pairs}
    if len(found) != len(pairs):
        raise ValueError("holds a property twice")
    return {str(key): value for key, value in found.items()}


def _of(shape: Shape, key: str) -> Any:  # noqa: ANN401 - a primitive's name
    kind = shape.properties.get(key) or shape.others
    if not kind:
        raise ValueError("holds a property that is not declared")
    return kind


def _primitive(shape: Shape) -> Any:  # noqa: ANN401 - a primitive's name
    return shape.kind


def _prefix(how: Written, encode: Encode) -> str:
    if how.style is Style.LABEL:
        return "."
    if how.style is Style.MATRIX:
        return ";" if how.explode and how.shape.kind in ("array", "object") else f";{encode(how.name)}="
    return ""


def _delimiter(how: Written) -> str:
    match how.style:
        case Style.SPACE:
            return " "
        case Style.PIPE:
            return "|"
        case Style.LABEL if how.explode:
            return "."
        case Style.MATRIX if how.explode:
            return ";"
    return ","


def _assigns(how: Written) -> bool:
    """Whether each property is written with its name before an equals sign."""
    return how.explode and how.shape.kind == "object" and how.style in (Style.SIMPLE, Style.LABEL, Style.MATRIX)


def _is_exploded_matrix(how: Written) -> bool:
    return how.style is Style.MATRIX and how.explode


def _assigned(piece: str) -> tuple[str, str]:
    key, equals, text = piece.partition("=")
    if not equals:
        raise ValueError("has a name without a value")
    return key, text


def _named(piece: str, name: str) -> str:
    key, text = _assigned(piece)
    if key != name:
        raise ValueError("is not written in the style matrix")
    return text


def _checked(text: str, forbidden: str, how: Written) -> str:
    """Refuse a piece that another reader could take apart differently."""
    place = how.place
    if any(character in text for character in forbidden):
        raise ValueError("holds the character that stands between values")
    if place is Place.PATH:
        if not text:
            raise ValueError("is empty")
        if any(character in text for character in PATH_FORBIDS):
            raise ValueError("holds a slash, a backslash or a semicolon")
    if place is Place.HEADER and (not text or text != text.strip() or not text.isascii() or not text.isprintable()):
        raise ValueError("is no text that a header can hold")
    return text
