"""The one parser of the API. The framework's own answers 500 to deep nesting, `1e400` and lone surrogates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any, Final

from rest_framework.parsers import BaseParser

from entitlements import strict
from entitlements.errors import Malformed

LARGEST: Final = 1024 * 1024
DEEPEST: Final = 32


class NotAnObject(Malformed):
    """The body is a JSON object."""


class HoldsNul(Malformed):
    """A text holds the character NUL, which nothing here can store."""


class StrictJSON(BaseParser):
    """Reads one JSON object that every parser would read alike."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,  # noqa: ARG002 - the framework's signature
        parser_context: Mapping[str, Any] | None = None,  # noqa: ARG002 - as above
    ) -> dict[str, Any]:
        """Return the object. Raises strict.NotStrictJson and NotAnObject."""
        value = strict.loads(stream.read(LARGEST + 1), largest=LARGEST, deepest=DEEPEST)
        if not isinstance(value, dict):
            raise NotAnObject
        return value


def holds_nul(value: object) -> bool:
    """Whether a text in a value, names included, holds NUL. The value is at most DEEPEST deep."""
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, Mapping):
        return any(holds_nul(name) or holds_nul(inner) for name, inner in value.items())
    return isinstance(value, list) and any(map(holds_nul, value))
