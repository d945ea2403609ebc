"""The node's side of `issue_family_token_v3`: a token that begins a family or refreshes one. Without Django or I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from . import issue_token

_TYPES: Final = ("uuid", "integer", "boolean", "text", "text", "text", "timestamptz", "timestamptz", "text")
"""The parameters of the family, which come after those of the token."""
PSYCOPG: Final = issue_token.PSYCOPG.replace("issue_token_v3(", "issue_family_token_v3(").removesuffix(")") + "".join(
    (*(f", %s::{kind}" for kind in _TYPES), ")")
)
ADDRESS_LENGTH: Final = 64
"""Characters of an address that are kept: every IP address, and the beginning of what a socket is called."""
MOVED: Final = "family"
"""The code of an outcome `behind` where the family ended, or has another generation by now."""


@dataclass(frozen=True, slots=True)
class NewFamily:
    """What a code begins. `scope` is the ceiling that was agreed to, empty for none; `sign_in` names the sign-in."""

    resource: str
    scope: str
    sign_in: str
    signed_in_at: datetime
    expires: datetime


@dataclass(frozen=True, slots=True)
class FamilyStep:
    """The place of a token in its family: the first, with `begins`; else after `generation`, which it may replace.

    `source` is the address that the request came from; its beginning is kept with the family.
    """

    family: UUID
    generation: int | None = None
    rotates: bool = False
    begins: NewFamily | None = None
    source: str = ""

    @property
    def next_generation(self) -> int:
        """The generation of the refresh token that comes with the access token."""
        return 1 if self.generation is None else self.generation + self.rotates


class FamilyMoved(Exception):
    """The family is no longer as it was read. Read it again."""


def parameters(token: Sequence[Any], step: FamilyStep) -> list[Any]:
    """Return the parameters of a call; `token` are those of `issue_token.mint`."""
    begins = step.begins
    return [
        *token,
        step.family,
        step.generation,
        step.rotates,
        *(
            (begins.resource, begins.scope, begins.sign_in, begins.signed_in_at, begins.expires)
            if begins
            else [None] * 5
        ),
        step.source[:ADDRESS_LENGTH],
    ]
