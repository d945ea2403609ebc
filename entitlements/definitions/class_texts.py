"""What is read of a tool's definition to class it: its words, by where they stand, and the reasons that follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from entitlements import tool_schemas
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

    def as_json(self) -> dict[str, str]:
        """Return it as JSON."""
        return {"rule": self.rule, "field": self.field, "word": self.word, "text": self.text}


@dataclass(slots=True)
class DefinitionTexts:
    """The words of one definition, read once, and the reasons that gather for its classes."""

    raw: Mapping[str, Any]
    words: list[str]
    title: list[str]
    text: str
    arguments: dict[str, tuple[list[str], str, bool]]
    claimed: Mapping[str, Any]
    compounds: dict[str, tuple[str, str]]
    because: list[Reason] = field(default_factory=list)

    def add_reason(self, rule: str, place: str, word: str, text: str) -> None:
        """Add a reason: the rule that fired, the field and the word on which it did, and a sentence."""
        self.because.append(Reason(rule, place, impressions.visible(word)[:80], text))

    def find_word(self, words: frozenset[str]) -> tuple[str, str] | None:
        """Return where one of the words stands, as (field, word): in the name, an argument's name or the title."""
        for place, texts_words in (("name", self.words), ("title", self.title)):
            if match := next((word for word in texts_words if word in words), None):
                return place, match
        for argument, (texts_words, _description, _free) in self.arguments.items():
            if any(word in words for word in texts_words):
                return "inputSchema", argument
        return None

    def mentions(self, nouns: frozenset[str]) -> tuple[str, str] | None:
        """Return where one of the nouns of `class_words` stands, as (field, words): in any text or property name."""
        return next((met for compound, met in self.compounds.items() if compound in nouns), None)


def read_texts(raw: Mapping[str, Any]) -> DefinitionTexts:
    """Read a definition once."""
    annotations = raw.get("annotations")
    claimed = annotations if isinstance(annotations, Mapping) else {}
    title = raw.get("title") or claimed.get("title") or ""
    described = raw.get("description")
    texts = DefinitionTexts(
        raw=raw,
        words=known.of_name(str(raw.get("name", ""))),
        title=known.of_text(title) if isinstance(title, str) else [],
        text=described[:4000] if isinstance(described, str) else "",
        arguments={
            name: _argument(name, inner) for name, inner in tool_schemas.properties(raw.get("inputSchema")).items()
        },
        claimed=claimed,
        compounds={},
    )
    for place, words in _read(texts):
        for compound, read in known.compounds(words):
            texts.compounds.setdefault(compound, (place, read))
    return texts


def _read(texts: DefinitionTexts) -> Iterator[tuple[str, list[str]]]:
    """Yield each text of a definition as (field, words), properties at every depth and of what it returns included."""
    yield "name", texts.words
    yield "title", texts.title
    for schema in ("inputSchema", "outputSchema"):
        for name in tool_schemas.property_names(texts.raw.get(schema)):
            yield schema, known.of_name(name)
    yield "description", known.of_text(texts.text)
    for _words, described, _free in texts.arguments.values():
        yield "inputSchema", known.of_text(described)


def _argument(name: str, schema: object) -> tuple[list[str], str, bool]:
    """Return an argument's words, its description, and whether it takes any text."""
    if not isinstance(schema, Mapping):
        return known.of_name(name), "", True
    described = schema.get("description")
    free = schema.get("type", "string") in ("string", "array", "object") and not {"enum", "const"} & schema.keys()
    return known.of_name(name), described[:1000] if isinstance(described, str) else "", free
