"""YAML with the values of JSON alone, built from the events of a parser, so that each bound holds while it is read.

Names are texts, as JSON has them: `200:` is "200". Plain values are read by the core schema of YAML 1.2, as OpenAPI
asks for, so `no` and `2020-01-01` are texts. An alias counts as often as it stands for its whole value. A name that is
there twice, a merge key, a tag of another schema and a second document are refused. Pure.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

_MOST_VALUES: Final = 400_000
"""Values of a document with its aliases written out."""
_CHARACTERS: Final = 64
"""So many characters of a text or a name count as a value."""
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG: Final = "tag:yaml.org,2002:"
_INT: Final = re.compile(r"[-+]?[0-9]{1,400}")
_BASED: Final = re.compile(r"0o[0-7]{1,300}|0x[0-9a-fA-F]{1,300}")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,6})?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: Final = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "str": (str,), "int": (int,), "float": (int, float), "bool": (bool,), "null": (type(None),),
}  # fmt: skip


class NotStrictYaml(ValueError):
    """The text is not YAML that can be read as JSON values in only one way; the sentence never quotes the text."""


@dataclass(slots=True)
class _Open:
    """A mapping or list that is still being read; `key` is the name whose value comes next."""

    value: dict[str, Any] | list[Any]
    anchor: str | None
    began: int
    key: str | None = None


@dataclass(slots=True)
class _Builder:
    """What was read so far. `sizes` says how many values stand behind an anchor."""

    deepest: int
    opened: list[_Open] = field(default_factory=list)
    anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)
    count: int = 0
    roots: list[Any] = field(default_factory=list)

    def add(self, value: Any, size: int = 1) -> None:  # noqa: ANN401 - any JSON value
        """Put a whole value where it belongs."""
        self.add_size(size)
        if not self.opened:
            self.roots.append(value)
            return
        above = self.opened[-1]
        if isinstance(above.value, list):
            above.value.append(value)
        elif above.key is None:
            raise NotStrictYaml("A name in it is not a plain text.")
        else:
            above.value[above.key] = value
            above.key = None

    def add_size(self, size: int) -> None:
        """Count values, up to the bound."""
        self.count += size
        if self.count > _MOST_VALUES:
            raise NotStrictYaml("It has too many values, or its aliases unfold to too many.")

    def scalar(self, event: yaml.ScalarEvent) -> None:
        """Take a scalar: a name where a mapping waits for one, else a value."""
        above = self.opened[-1] if self.opened else None
        if above is not None and isinstance(above.value, dict) and above.key is None:
            if event.anchor or event.tag not in (None, "!", f"{_TAG}str"):
                raise NotStrictYaml("A name in it has an anchor or a tag.")
            if event.value == "<<" and event.style is None:
                raise NotStrictYaml("It uses merge keys, which YAML 1.2 does not have.")
            if event.value in above.value:
                raise NotStrictYaml("A mapping holds the same name twice.")
            above.key = event.value
            self.add_size(len(event.value) // _CHARACTERS)
            return
        value, size = _scalar(event), 1 + len(event.value) // _CHARACTERS
        if event.anchor:
            self.anchors[event.anchor] = (value, size)
        self.add(value, size)

    def open(self, event: yaml.CollectionStartEvent) -> None:
        """Begin a mapping or a list."""
        kind = "map" if isinstance(event, yaml.MappingStartEvent) else "seq"
        if event.tag not in (None, "!", f"{_TAG}{kind}"):
            raise NotStrictYaml("It has a tag that is not of JSON.")
        if len(self.opened) >= self.deepest:
            raise NotStrictYaml("It is nested too deep.")
        above = self.opened[-1] if self.opened else None
        if above is not None and isinstance(above.value, dict) and above.key is None:
            raise NotStrictYaml("A name in it is not a plain text.")
        self.opened.append(_Open({} if kind == "map" else [], event.anchor, self.count))

    def close(self) -> None:
        """End the innermost mapping or list."""
        done = self.opened.pop()
        if done.anchor:
            self.anchors[done.anchor] = (done.value, self.count - done.began + 1)
        self.add(done.value)

    def alias(self, event: yaml.AliasEvent) -> None:
        """Put the value of an anchor once more. An anchor that is still open is unknown: no value holds itself."""
        if event.anchor not in self.anchors:
            raise NotStrictYaml("An alias in it stands for nothing, or for what holds it.")
        self.add(*self.anchors[event.anchor])


def loads(text: bytes, *, deepest: int) -> Any:  # noqa: ANN401 - any JSON value
    """Read one document in UTF-8, nested at most `deepest` deep. Raises NotStrictYaml."""
    builder = _Builder(deepest)
    try:
        for event in yaml.parse(text.decode("utf-8"), Loader=_LOADER):
            _take(builder, event)
    except NotStrictYaml:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as why:
        raise NotStrictYaml("It is not well-formed.") from why
    if len(builder.roots) != 1:
        raise NotStrictYaml("It is not one document.")
    return builder.roots[0]


def _take(builder: _Builder, event: yaml.Event) -> None:
    if isinstance(event, yaml.AliasEvent):
        builder.alias(event)
    elif isinstance(event, yaml.ScalarEvent):
        builder.scalar(event)
    elif isinstance(event, yaml.CollectionStartEvent):
        builder.open(event)
    elif isinstance(event, yaml.CollectionEndEvent):
        builder.close()


def _scalar(event: yaml.ScalarEvent) -> Any:  # noqa: ANN401 - any JSON value
    tag = event.tag
    if tag in (None, "!"):
        return _plain(event.value) if event.implicit[0] else event.value
    kind = tag.removeprefix(_TAG)
    if kind == "str":
        return event.value
    value = _plain(event.value)
    if kind not in _KINDS or not isinstance(value, _KINDS[kind]) or (kind != "bool" and isinstance(value, bool)):
        raise NotStrictYaml("It has a tag that is not of JSON.")
    return value


def _plain(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Read a plain scalar by the core schema (YAML 1.2.2 section 10.3.2)."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text[2:], 8 if text[1] == "o" else 16)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            raise NotStrictYaml("A number in it is too large.")
        return number
    if _NOT_FINITE.fullmatch(text):
        raise NotStrictYaml("NaN and infinity are no numbers in JSON.")
    return text
