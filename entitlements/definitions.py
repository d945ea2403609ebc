"""Tool definitions: canonical form, hash, what a change means, and what to do about it (promise 7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from entitlements.words import Action, Risk


class Change(StrEnum):
    """The class of a change between two definitions, mildest first."""

    NONE = "none"
    COSMETIC = "cosmetic"
    DESCRIPTION = "description"
    SCHEMA_NARROWED = "schema_narrowed"
    SCHEMA_WIDENED = "schema_widened"
    SCHEMA_CHANGED = "schema_changed"
    ANNOTATION_FLIP = "annotation_flip"
    ADDED = "added"
    REMOVED = "removed"


class Consequence(StrEnum):
    """What happens to calls after a change, until a person has looked."""

    NOTHING = "nothing"
    KEEP_SERVING = "keep_serving"
    QUARANTINE = "quarantine"
    REVIEW = "review"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A proposed action and risk for a new tool, and the rules that led there."""

    action: Action
    risk: Risk
    because: tuple[str, ...]


def canonical(raw: Mapping[str, object]) -> bytes:
    """Write a raw tool object in canonical JSON (RFC 8785). Raises DefinitionMalformed."""
    raise NotImplementedError


def digest(raw: Mapping[str, object]) -> str:
    """SHA-256 (lower case hex) of the raw wire object in canonical form."""
    raise NotImplementedError


def reviewed(raw: Mapping[str, object]) -> dict[str, object]:
    """The part a reviewer is shown and a client is served: name, title, description, schemas, annotations."""
    raise NotImplementedError


def check(raw: object) -> dict[str, object]:
    """Refuse what is not a usable tool object within bounds. Raises DefinitionMalformed."""
    raise NotImplementedError


def classify(old: Mapping[str, object] | None, new: Mapping[str, object] | None) -> Change:
    """Name the gravest class of change between two raw definitions."""
    raise NotImplementedError


def consequence(change: Change, risk: Risk) -> Consequence:
    """Say what a change of this class means for a tool of this risk (promise 7)."""
    raise NotImplementedError


def difference(old: Mapping[str, object] | None, new: Mapping[str, object] | None) -> list[str]:
    """Say every difference in plain sentences."""
    raise NotImplementedError
