"""How a command ends: the exit codes that scripts rely on, and the one exception that carries them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from http import HTTPStatus
from typing import Any, Final


class Exit(IntEnum):
    """The exit codes; they do not change their meaning (docs/operate/scripts.md)."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    UNREACHABLE = 5
    PARTIAL = 6
    UNAUTHENTICATED = 7
    INTERRUPTED = 130


class Ended(Exception):
    """A command cannot go on: with its exit code, a stable word, and a sentence for people."""

    def __init__(self, exits: Exit, code: str, sentence: str, facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(sentence)
        self.exits, self.code, self.sentence, self.facts = exits, code, sentence, facts or {}


_OF_STATUS: Final = {401: Exit.UNAUTHENTICATED, 404: Exit.NOT_FOUND, 429: Exit.UNREACHABLE} | dict.fromkeys(
    (409, 412, 428), Exit.CONFLICT
)


def exit_for(status: int) -> Exit:
    """Return the exit code for the HTTP status of an answer."""
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return Exit.DONE
    is_refusal = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return _OF_STATUS.get(status, Exit.REFUSED if is_refusal else Exit.UNREACHABLE)
