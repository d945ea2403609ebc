"""Two versions of something side by side, part by part, as a code review shows them. Pure.

Parts are matched by their place in the definition, so that no name a server chooses can hide a difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

_NAMES: Final = {
    "description": gettext_lazy("Description"),
    "title": gettext_lazy("Title"),
    "inputSchema": gettext_lazy("Arguments"),
    "outputSchema": gettext_lazy("Answer"),
    "annotations": gettext_lazy("What the server claims"),
}
_MOST_WORDS: Final = 400
"""Of longer texts no words are marked: both are shown whole."""


@dataclass(frozen=True, slots=True)
class TextPart:
    """Some words of a text; `differs` when the other side has others there."""

    text: str
    differs: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One part that differs: `sign` is +, - or ~; a side without it is empty."""

    sign: str
    about: str
    before: tuple[TextPart, ...]
    now: tuple[TextPart, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs: the difference in sentences, its parts that differ, and how many do not."""

    sign: str
    about: str
    sentences: tuple[str, ...]
    rows: tuple[Row, ...]
    same: int = 0


def row(about: str, before: str | None, now: str | None) -> Row:
    """Set two texts side by side; None on the side that has none."""
    if before is None or now is None:
        sides = [(TextPart(text, differs=True),) if text is not None else () for text in (before, now)]
        return Row("+" if before is None else "-", about, *sides)
    return Row("~", about, *_marked(before, now))


def definitions(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[tuple[Row, ...], int]:
    """Compare two raw definitions of a tool: the parts that differ in their order, and how many are the same."""
    old, new = dict(_parts(before, ())), dict(_parts(now, ()))
    for side in (old, new):
        side.pop((), None)
    places = [*old, *(place for place in new if place not in old)]
    differ = [place for place in places if (place in old) != (place in new) or _differ(old[place], new[place])]
    rows = []
    for place in differ:
        sides = [_text(side[place]) if place in side else None for side in (old, new)]
        if sides[0] == sides[1]:
            sides = [json.dumps(side[place]) for side in (old, new)]
        rows.append(row(_label(place), *sides))
    return tuple(rows), len(places) - len(differ)


def _differ(left: object, right: object) -> bool:
    return json.dumps(left, sort_keys=True) != json.dumps(right, sort_keys=True)


def _parts(value: object, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield each value that holds no named ones, with its place; a list stays whole unless it holds objects."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _parts(inner, (*place, str(name)))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for number, inner in enumerate(value, start=1):
            yield from _parts(inner, (*place, str(number)))
    else:
        yield place, value


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value:
        return ", ".join(item if isinstance(item, str) else json.dumps(item) for item in value)
    return json.dumps(value, ensure_ascii=False)


def _label(place: Sequence[str]) -> str:
    """Name a place in words: the names of arguments stand as they are, between strokes."""
    first = str(_NAMES.get(place[0], place[0])) if place else _("All of it")
    words, is_name = [first], False
    for step in place[1:]:
        if step == "properties" and not is_name:
            is_name = True
            continue
        words.append(_("needed") if step == "required" and not is_name else step)
        is_name = False
    return " / ".join(words)


def _marked(before: str, now: str) -> tuple[tuple[TextPart, ...], tuple[TextPart, ...]]:
    """Mark the words of two texts that the other does not have there."""
    old, new = (re.findall(r"\s+|\S+", text) for text in (before, now))
    if len(old) > _MOST_WORDS or len(new) > _MOST_WORDS:
        return (TextPart(before, differs=True),), (TextPart(now, differs=True),)
    sides: tuple[list[TextPart], list[TextPart]] = ([], [])
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        for side, words in ((sides[0], old[a:b]), (sides[1], new[c:d])):
            if words:
                side.append(TextPart("".join(words), differs=kind != "equal"))
    return tuple(sides[0]), tuple(sides[1])
