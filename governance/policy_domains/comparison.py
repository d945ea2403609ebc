"""What a document changes of the one in force: what is new, what goes, what is another. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

MOST_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class Changes:
    """What changes of one part of the document: names, at most MOST_NAMED of each kind, and how many there are."""

    part: Any
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def kinds(self) -> list[tuple[Any, int, tuple[str, ...], int]]:
        """What happens, to how many, the first names, and how many are not named."""
        words = ((_("New"), self.added), (_("Removed"), self.removed), (_("Changed"), self.changed))
        return [
            (word, len(names), names[:MOST_NAMED], max(len(names) - MOST_NAMED, 0)) for word, names in words if names
        ]


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Changes]:
    """Return the parts that differ. Both documents were read (`rules.read`)."""
    found = [_compared(part, named(before), named(after)) for part, named in _PARTS]
    return [each for each in found if each.kinds]


def _compared(part: Any, before: Mapping[str, str], after: Mapping[str, str]) -> Changes:  # noqa: ANN401 - a lazy text
    return Changes(
        part,
        tuple(name for name in after if name not in before),
        tuple(name for name in before if name not in after),
        tuple(name for name in after if name in before and before[name] != after[name]),
    )


def _entities(part: str) -> Callable[[Mapping[str, Any]], dict[str, str]]:
    def named(document: Mapping[str, Any]) -> dict[str, str]:
        return {f"{each['type']}/{each['id']}": _text(each.get("properties", {})) for each in document.get(part, ())}

    return named


def _types(part: str) -> Callable[[Mapping[str, Any]], dict[str, str]]:
    return lambda document: {name: _text(said) for name, said in document.get(part, {}).items()}


def _points(document: Mapping[str, Any]) -> dict[str, str]:
    return dict.fromkeys(document.get("enforcement_points", ()), "")


def _rules(document: Mapping[str, Any]) -> dict[str, str]:
    """Name the rules; of several with one name each has a number."""
    named: dict[str, str] = {}
    for rule in document.get("rules", ()):
        named[_free(rule["name"], named)] = _text(rule)
    return named


def _free(name: str, taken: Iterable[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name} ({number})"
    return free


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


_PARTS: Final[tuple[tuple[Any, Callable[[Mapping[str, Any]], dict[str, str]]], ...]] = (
    (_("Enforcement points"), _points),
    (_("Types of subjects"), _types("subject_types")),
    (_("Types of resources"), _types("resource_types")),
    (_("Subjects"), _entities("subjects")),
    (_("Resources"), _entities("resources")),
    (_("Rules"), _rules),
)
