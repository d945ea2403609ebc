"""What is read of a tool's definition to class it: its words, by where they stand, and the reasons that follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from entitlements.decisions import schemas
from entitlements.definitions import class_words as known
from entitlements.definitions import impressions


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: the rule that fired, the field and the word on which it did, and what follows as a sentence."""

    rule: str
    field: str
    word: str
    text: str

    def __str__(self) -> str:
        return self.text

    def said(self) -> dict[str, str]:
        """Return it as JSON."""
        return {"rule": self.rule, "field": self.field, "word": self.word, "text": self.text}


@dataclass(slots=True)
class Look:
    """One look at one definition: what is read of it once, and the reasons that gather."""

    raw: Mapping[str, Any]
    words: list[str]
    title: list[str]
    text: str
    arguments: dict[str, tuple[list[str], str, bool]]
    claimed: Mapping[str, Any]
    compounds: dict[str, tuple[str, str]]
    because: list[Reason] = field(default_factory=list)

    def say(self, rule: str, place: str, word: str, text: str) -> None:
        """Add a reason: the rule that fired, the field and the word on which it did, and a sentence."""
        self.because.append(Reason(rule, place, impressions.visible(word)[:80], text))

    def met(self, words: frozenset[str]) -> tuple[str, str] | None:
        """Return where one of the words stands, as (field, word): in the name, an argument's name or the title."""
        for place, spoken in (("name", self.words), ("title", self.title)):
            if found := next((word for word in spoken if word in words), None):
                return place, found
        for argument, (spoken, _said, _free) in self.arguments.items():
            if any(word in words for word in spoken):
                return "inputSchema", argument
        return None

    def mentions(self, nouns: frozenset[str]) -> tuple[str, str] | None:
        """Return where one of the nouns of `classwords` stands, as (field, words): in any text or property name."""
        return next((met for compound, met in self.compounds.items() if compound in nouns), None)


def look_at(raw: Mapping[str, Any]) -> Look:
    """Read a definition once."""
    annotations = raw.get("annotations")
    claimed = annotations if isinstance(annotations, Mapping) else {}
    title = raw.get("title") or claimed.get("title") or ""
    described = raw.get("description")
    look = Look(
        raw=raw,
        words=known.of_name(str(raw.get("name", ""))),
        title=known.of_text(title) if isinstance(title, str) else [],
        text=described[:4000] if isinstance(described, str) else "",
        arguments={name: _argument(name, inner) for name, inner in schemas.properties(raw.get("inputSchema")).items()},
        claimed=claimed,
        compounds={},
    )
    for place, words in _read(look):
        for compound, read in known.compounds(words):
            look.compounds.setdefault(compound, (place, read))
    return look


def _read(look: Look) -> Iterator[tuple[str, list[str]]]:
    """Yield each text of a definition as (field, words), properties at every depth and of what it returns included."""
    yield "name", look.words
    yield "title", look.title
    for schema in ("inputSchema", "outputSchema"):
        for name in schemas.property_names(look.raw.get(schema)):
            yield schema, known.of_name(name)
    yield "description", known.of_text(look.text)
    for _words, described, _free in look.arguments.values():
        yield "inputSchema", known.of_text(described)


def _argument(name: str, schema: object) -> tuple[list[str], str, bool]:
    """Return an argument's words, its description, and whether it takes any text."""
    if not isinstance(schema, Mapping):
        return known.of_name(name), "", True
    described = schema.get("description")
    free = schema.get("type", "string") in ("string", "array", "object") and not {"enum", "const"} & schema.keys()
    return known.of_name(name), described[:1000] if isinstance(described, str) else "", free
