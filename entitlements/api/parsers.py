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


class Unstorable(Malformed):
    """A text holds NUL or half a surrogate pair, which nothing here can store; leave the character out."""


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
