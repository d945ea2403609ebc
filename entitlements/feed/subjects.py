"""Whom a change concerns: each has its column in the change feed and the lock that guards what is said about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from entitlements.feed import models
from entitlements.feed.locks import Key, Lock

EVERYTHING: Final = "everything"
"""The key of the lock that guards what concerns all."""
DRILL_KIND: Final = "drill"
KINDS: Final = frozenset({EVERYTHING, DRILL_KIND, *(name.removesuffix("_id") for name in models.SUBJECTS)})
"""What a change can be about. A reader that meets another, of a newer release, takes it to concern all."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A row by its table's name and its primary key, with the lock that each change of it holds alone.

    `lock` is None for what others guard: it can only be named beside what changed.
    """

    kind: str
    key: int | str | UUID | None
    lock: Key | None

    @property
    def column(self) -> str:
        """The column of a change that names it."""
        return f"{self.kind}_id" if self.key is not None else "concerns_all"

    @property
    def value(self) -> int | str | UUID | bool:
        """What the column holds."""
        return True if self.key is None else self.key


ALL: Final = Subject(EVERYTHING, None, (Lock.EVERYTHING, EVERYTHING))
"""Everybody: a stop of everything, and what cannot name whom it concerns."""
DRILL: Final = Subject(DRILL_KIND, None, (Lock.EVERYTHING, DRILL_KIND))
"""No subject: a node acknowledges it and does nothing."""


def agent(pk: int) -> Subject:
    """Name an agent."""
    return Subject("agent", pk, (Lock.AGENT, pk))


def person(pk: int) -> Subject:
    """Name a person."""
    return Subject("person", pk, (Lock.PERSON, pk))


def group(pk: int) -> Subject:
    """Name a group. Who is in it is guarded by the lock of the person who joins or leaves."""
    return Subject("group", pk, None)


def client(pk: int) -> Subject:
    """Name an OAuth client."""
    return Subject("client", pk, (Lock.CLIENT, pk))


def system(pk: int) -> Subject:
    """Name a system, with its entitlements and its credential."""
    return Subject("system", pk, (Lock.SYSTEM, pk))


def tool(pk: int) -> Subject:
    """Name a tool."""
    return Subject("tool", pk, (Lock.TOOL, pk))


def grant(pk: UUID) -> Subject:
    """Name a grant."""
    return Subject("grant", pk, (Lock.GRANT, pk))


def session(pk: UUID) -> Subject:
    """Name an agent's session."""
    return Subject("session", pk, (Lock.SESSION, pk))


def token(jti: UUID) -> Subject:
    """Name an issued token."""
    return Subject("token", jti, (Lock.TOKEN, jti))


def client_session(pk: UUID) -> Subject:
    """Name a client's session with the gateway, by the id that its sealed name holds."""
    return Subject("client_session", pk, (Lock.CLIENT_SESSION, pk))


def token_family(pk: UUID) -> Subject:
    """Name what one sign-in of a person at a client made: its refresh token, and every token of it."""
    return Subject("token_family", pk, (Lock.TOKEN_FAMILY, pk))


def trusted_issuer(pk: int) -> Subject:
    """Name an issuer whose assertions are accepted."""
    return Subject("trusted_issuer", pk, (Lock.TRUSTED_ISSUER, pk))


def identity_link(pk: int) -> Subject:
    """Name the link between an issuer's subject and a person."""
    return Subject("identity_link", pk, (Lock.IDENTITY_LINK, pk))


def signing_key(kid: str, issuer_path: str) -> Subject:
    """Name a signing key of ours; the keys of one issuer share its lock."""
    return Subject("signing_key", kid, (Lock.KEY, issuer_path))
